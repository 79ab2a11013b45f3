// SPDX-License-Identifier: Apache-2.0
/*
 * cgroup.c - a control group that a machine's process joins, and its limits
 *
 * One file system with every controller (v2) or one for each (v1): the type of
 * the file system tells, and so which files there are for the same limits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "base/util.h"
#include "seccomp/cgroup.h"
#include "seccomp/directory.h"

#define PERIOD_US 100000u

static int write_word(int fd, const char *file, const char *word)
{
	int out = openat(fd, file, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (out < 0)
		return -errno;
	if (write(out, word, strlen(word)) < 0)
		ret = -errno;
	close(out);
	return ret;
}

static int write_number(int fd, const char *file, uint64_t number)
{
	char word[24];

	snprintf(word, sizeof(word), "%llu", (unsigned long long)number);
	return write_word(fd, file, word);
}

static int limit_memory(int fd, bool v2, uint64_t bytes, const char **file)
{
	int ret;

	*file = v2 ? "memory.max" : "memory.limit_in_bytes";
	ret = write_number(fd, *file, bytes);
	if (ret < 0)
		return ret;
	/* Swap would be a way around.  Hosts without it have no such file. */
	*file = v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
	ret = write_number(fd, *file, v2 ? 0 : bytes);
	return ret == -ENOENT ? 0 : ret;
}

static int limit_cpu(int fd, bool v2, uint64_t cpu_ns, const char **file)
{
	uint64_t quota = MAX(cpu_ns / (1000000000 / PERIOD_US), 1000u);
	char word[48];
	int ret;

	if (v2) {
		*file = "cpu.max";
		snprintf(word, sizeof(word), "%llu %u",
			 (unsigned long long)quota, PERIOD_US);
		return write_word(fd, *file, word);
	}
	*file = "cpu.cfs_period_us";
	ret = write_number(fd, *file, PERIOD_US);
	if (ret < 0)
		return ret;
	*file = "cpu.cfs_quota_us";
	return write_number(fd, *file, quota);
}

static int set_limits(int fd, bool v2, const struct cgroup_config *config,
		      const char **file)
{
	int ret = 0;

	if (config->memory)
		ret = limit_memory(fd, v2, config->memory, file);
	if (ret == 0 && config->cpu_ns)
		ret = limit_cpu(fd, v2, config->cpu_ns, file);
	if (ret == 0 && config->tasks) {
		*file = "pids.max";
		ret = write_number(fd, *file, config->tasks);
	}
	return ret;
}

/* Whether FD is in a cgroup file system, and which; -ENODEV. */
static int find_version(int fd, bool *v2)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*v2 = fs.f_type == CGROUP2_SUPER_MAGIC;
	return *v2 || fs.f_type == CGROUP_SUPER_MAGIC ? 0 : -ENODEV;
}

/* Makes the group in the one above it, whose file system is checked before
 * anything is made there.
 */
static int make_group(struct cgroup *cgroup, const char *path, uid_t user)
{
	const char *slash = strrchr(path, '/');
	char above[PATH_MAX];
	bool v2;
	int ret;

	if (!slash || slash == path || !slash[1])
		return -ENOENT;
	if ((size_t)(slash - path) >= sizeof(above))
		return -ENAMETOOLONG;
	memcpy(above, path, (size_t)(slash - path));
	above[slash - path] = '\0';
	cgroup->name = slash + 1;
	cgroup->parent_fd = directory_open(above, user);
	if (cgroup->parent_fd < 0)
		return cgroup->parent_fd;
	ret = find_version(cgroup->parent_fd, &v2);
	if (ret == 0 && mkdirat(cgroup->parent_fd, cgroup->name, 0755) < 0)
		ret = -errno;
	if (ret < 0) {
		close(cgroup->parent_fd);
		cgroup->parent_fd = -1;
		return ret;
	}
	return directory_open(path, user);
}

int cgroup_open(struct cgroup *cgroup, const struct cgroup_config *config,
		uid_t user, const char **file)
{
	bool v2 = false;
	int ret;

	*file = "";
	*cgroup = (struct cgroup){ .parent_fd = -1 };
	cgroup->fd = directory_open(config->path, user);
	if (cgroup->fd == -ENOENT)
		cgroup->fd = make_group(cgroup, config->path, user);
	ret = cgroup->fd;
	if (ret >= 0)
		ret = find_version(cgroup->fd, &v2);
	if (ret == 0)
		ret = set_limits(cgroup->fd, v2, config, file);
	if (ret < 0)
		cgroup_close(cgroup);
	return ret;
}

int cgroup_join(const struct cgroup *cgroup)
{
	return write_word(cgroup->fd, "cgroup.procs", "0");
}

void cgroup_close(struct cgroup *cgroup)
{
	if (cgroup->fd >= 0)
		close(cgroup->fd);
	if (cgroup->parent_fd >= 0) {
		unlinkat(cgroup->parent_fd, cgroup->name, AT_REMOVEDIR);
		close(cgroup->parent_fd);
	}
	*cgroup = (struct cgroup){ .fd = -1, .parent_fd = -1 };
}
