// SPDX-License-Identifier: Apache-2.0
/*
 * initrd.c - the initial RAM disk, or any first module of a PVH kernel
 *
 * As high as possible: the kernel grows and unpacks upwards from where it is.
 * Page aligned, so that the file's pages can be mapped.
 */
#include <errno.h>

#include "boot/initrd.h"
#include "boot/layout.h"

/* The highest page in [LOW, HIGH) with SIZE bytes after it, if there is one. */
static bool place(uint64_t low, uint64_t high, uint64_t size, uint64_t *gpa)
{
	if (high < low || size > high - low)
		return false;
	*gpa = ALIGN_DOWN(high - size, PAGE_SIZE);
	return *gpa >= low;
}

int initrd_load(struct guest_memory *gm, int fd, bool copy,
		const struct image *image, struct initrd *initrd,
		struct boot_error *err)
{
	const struct gmem_region *top = &gm->region[gm->nr_regions - 1];
	uint64_t low_end = image_low_end(gm);
	uint64_t low = ALIGN_UP(image->end, PAGE_SIZE);
	uint64_t high = low_end;
	struct image_file file;
	int ret;

	ret = image_open(&file, fd, copy, "initrd", err);
	if (ret < 0)
		return ret;
	/* Linux boot protocol, initrd_addr_max: the last byte, not the end. */
	if (image->initrd_max < high)
		high = image->initrd_max + 1;
	initrd->size = file.size;
	if (place(low, high, file.size, &initrd->gpa))
		return image_load(&file, gm, initrd->gpa, 0, file.size, err);
	if (image->initrd_high &&
	    place(MAX(low, top->gpa), top->gpa + top->size, file.size,
		  &initrd->gpa))
		return image_load(&file, gm, initrd->gpa, 0, file.size, err);
	if (high < low_end && !image->initrd_high)
		return boot_refuse(err, -ENOSPC, "initrd",
				   "%llu bytes: the kernel takes it only below "
				   "0x%llx and leaves no such room there",
				   (unsigned long long)file.size,
				   (unsigned long long)high);
	return boot_refuse(err, -ENOSPC, "initrd",
			   "%llu bytes, the kernel leaves room for %llu: use a "
			   "larger -m",
			   (unsigned long long)file.size,
			   (unsigned long long)(low_end - MIN(low, low_end)));
}
