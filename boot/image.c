// SPDX-License-Identifier: Apache-2.0
/*
 * image.c - bounded access to kernel and initrd files, and how to refuse them
 *
 * A loader looks at a file only through image_read(), into a buffer of its own
 * and of fixed size.  The bytes that become guest memory never pass through us:
 * image_load() hands a range that was checked to gmem_load_file().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/log.h"
#include "boot/image.h"
#include "boot/layout.h"

int boot_refuse(struct boot_error *err, int code, const char *what,
		const char *fmt, ...)
{
	va_list ap;

	snprintf(err->what, sizeof(err->what), "%s", what);
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

int image_open(struct image_file *file, int fd, bool copy, const char *what,
	       struct boot_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return boot_refuse(err, -errno, what, "cannot be examined: %s",
				   log_errno(errno));
	if (!S_ISREG(st.st_mode))
		return boot_refuse(err, -EINVAL, what, "not a regular file");
	if (st.st_size <= 0)
		return boot_refuse(err, -EBADMSG, what, "the file is empty");
	*file = (struct image_file){
		.fd = fd,
		.size = (uint64_t)st.st_size,
		.copy = copy,
		.what = what,
	};
	return 0;
}

static int image_cut(const struct image_file *file, const char *name,
		     uint64_t offset, size_t len, struct boot_error *err)
{
	return boot_refuse(err, -EBADMSG, file->what,
			   "cut short: %s is %zu bytes at byte %llu, the file "
			   "has %llu",
			   name, len, (unsigned long long)offset,
			   (unsigned long long)file->size);
}

int image_read(const struct image_file *file, uint64_t offset, void *buf,
	       size_t len, const char *name, struct boot_error *err)
{
	size_t done = 0;

	if (offset > file->size || len > file->size - offset)
		return image_cut(file, name, offset, len, err);
	while (done < len) {
		ssize_t got = pread(file->fd, (uint8_t *)buf + done, len - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return boot_refuse(err, -errno, file->what,
					   "cannot be read: %s",
					   log_errno(errno));
		if (got == 0) /* it shrank since image_open() */
			return image_cut(file, name, offset, len, err);
		done += (size_t)got;
	}
	return 0;
}

int image_load(const struct image_file *file, struct guest_memory *gm,
	       uint64_t gpa, uint64_t offset, uint64_t len,
	       struct boot_error *err)
{
	int ret = gmem_load_file(gm, gpa, file->fd, offset, len, file->copy);

	if (ret < 0)
		return boot_refuse(err, ret, file->what,
				   "cannot be loaded at 0x%llx: %s",
				   (unsigned long long)gpa, log_errno(ret));
	return 0;
}

uint64_t image_low_end(const struct guest_memory *gm)
{
	return gm->region[0].gpa + gm->region[0].size;
}

int image_fits(const struct guest_memory *gm, uint64_t end,
	       struct boot_error *err)
{
	uint64_t low_end = image_low_end(gm);
	unsigned long long need = (end >> 20) + !IS_ALIGNED(end, MIB(1));

	if (end <= low_end)
		return 0;
	/* More RAM than the hole leaves room for is above 4 GiB: no remedy. */
	if (end > LAYOUT_HOLE_START)
		return boot_refuse(err, -ENOSPC, "kernel",
				   "needs %llu MiB below 4 GiB, where a guest "
				   "has at most %llu MiB",
				   need, LAYOUT_HOLE_START >> 20);
	return boot_refuse(err, -ENOSPC, "kernel",
			   "needs %llu MiB, the guest has %llu MiB: use a "
			   "larger -m",
			   need, (unsigned long long)(low_end >> 20));
}
