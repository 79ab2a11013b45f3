// SPDX-License-Identifier: Apache-2.0
/*
 * directory.c - directories that nobody else can change
 *
 * A path is walked a part at a time, each opened relative to the one before and
 * judged after it is open.  So what was judged is what is used, whatever is
 * renamed meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/util.h"
#include "seccomp/directory.h"

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static int judge(int fd, uid_t user, bool last)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != user)
		return -EPERM;
	if (!(st.st_mode & OTHERS_WRITE) || (!last && st.st_mode & S_ISVTX))
		return 0;
	return -EPERM;
}

/* Opens NAME in FD, which is closed. */
static int step(int fd, const char *name)
{
	int next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int ret = next < 0 ? -errno : next;
	struct stat st;

	close(fd);
	if (next >= 0 && fstat(next, &st) == 0 && S_ISLNK(st.st_mode)) {
		close(next);
		return -ELOOP;
	}
	return ret;
}

int directory_open(const char *path, uid_t user)
{
	char words[PATH_MAX], *save = NULL, *word;
	int fd, ret;

	if (strlen(path) >= sizeof(words))
		return -ENAMETOOLONG;
	memcpy(words, path, strlen(path) + 1);
	fd = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	word = strtok_r(words, "/", &save);
	while (word) {
		ret = judge(fd, user, false);
		if (ret < 0) {
			close(fd);
			return ret;
		}
		fd = step(fd, word);
		if (fd < 0)
			return fd;
		word = strtok_r(NULL, "/", &save);
	}
	ret = judge(fd, user, true);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

int directory_is_empty(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	const struct dirent *entry;
	int ret = 1;

	if (!dir) {
		ret = -errno;
		if (own >= 0)
			close(own);
		return ret;
	}
	while (ret && (entry = readdir(dir)))
		ret = strcmp(entry->d_name, ".") == 0 ||
		      strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	return ret;
}
