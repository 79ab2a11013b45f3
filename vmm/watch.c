// SPDX-License-Identifier: Apache-2.0
/*
 * watch.c - notices that a mapped file has become shorter
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "vmm/watch.h"

static void watch_check(struct watch *watch, const struct watch_file *f)
{
	off_t end = lseek(f->fd, 0, SEEK_END);

	if (end >= 0 && (uint64_t)end < f->size)
		vm_end(watch->vm, VM_END_FAILED,
		       "%s %.80s: the file was truncated while the machine ran "
		       "(--copy reads it instead of mapping it)",
		       f->option, f->path);
}

/* Which file changed does not matter: there are two at most. */
static void watch_ready(struct loop_source *source, uint32_t events)
{
	struct watch *watch = container_of(source, struct watch, source);
	char buf[4096];

	(void)events;
	while (read(source->fd, buf, sizeof(buf)) > 0)
		;
	for (unsigned int i = 0; i < watch->nr_files; i++)
		watch_check(watch, &watch->file[i]);
}

int watch_init(struct watch *watch, struct vm *vm)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	watch->vm = vm;
	watch->nr_files = 0;
	watch->source = (struct loop_source){ .ready = watch_ready, .fd = -1 };
	ret = loop_add(vm->loop, &watch->source, fd, EPOLLIN);
	if (ret < 0)
		close(fd);
	return ret;
}

int watch_add(struct watch *watch, const char *option, const char *path, int fd)
{
	struct watch_file *f = &watch->file[watch->nr_files];
	struct stat st;
	char self[32];
	int ret;

	if (watch->nr_files == WATCH_MAX_FILES) {
		ret = -ENOSPC;
		goto err_close;
	}
	fd = fd_place(fd, FD_IMAGES, FD_NR_IMAGES);
	/* The file that is open, whatever its name means by now. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) < 0 ||
	    inotify_add_watch(watch->source.fd, self, IN_MODIFY) < 0) {
		ret = -errno;
		goto err_close;
	}
	*f = (struct watch_file){
		.option = option,
		.path = path,
		.fd = fd,
		.size = (uint64_t)st.st_size,
	};
	watch->nr_files++;
	return 0;

err_close:
	close(fd);
	return ret;
}

void watch_fini(struct watch *watch)
{
	int fd = watch->source.fd;

	if (!watch->vm || fd < 0)
		return;
	while (watch->nr_files > 0)
		close(watch->file[--watch->nr_files].fd);
	loop_remove(watch->vm->loop, &watch->source);
	close(fd);
}
