// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_kernel.h - one run of boot_load() on a hostile kernel, and its promises
 */
#ifndef MOTE_TESTS_FUZZ_KERNEL_H
#define MOTE_TESTS_FUZZ_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "base/gmem.h"
#include "boot/boot.h"
#include "boot/layout.h"

#define FUZZ_RAM    MIB(32)
#define FUZZ_INITRD 0x123456u

static inline int fuzz_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	return fd;
}

/* Independent of the loaders: only what a vCPU and a kernel rely on. */
static inline void fuzz_check(const struct guest_memory *gm,
			      const struct boot_entry *entry)
{
	uint64_t pml4;

	assert(entry->rip >= MIB(1) && entry->rip < FUZZ_RAM);
	assert(!memcmp(gmem_ptr(gm, LAYOUT_ACPI, 8), "RSD PTR ", 8));
	assert(!memcmp(gmem_ptr(gm, LAYOUT_MPTABLE, 4), "_MP_", 4));
	assert(!memcmp(gmem_ptr(gm, LAYOUT_CMDLINE, 9), "acpi=off ", 9));
	if (entry->protocol == BOOT_PVH) {
		assert(entry->rbx == LAYOUT_PVH_INFO);
		return;
	}
	assert(gmem_read(gm, entry->cr3, &pml4, sizeof(pml4)) == 0);
	assert(pml4 == (LAYOUT_PAGE_TABLES + PAGE_SIZE + 3));
	assert(get_le32(gmem_ptr(gm, entry->rsi + 0x21c, 4)) == FUZZ_INITRD);
	assert(get_le32(gmem_ptr(gm, entry->rsi + 0x218, 4)) >= MIB(1));
}

static inline int fuzz_kernel(const uint8_t *data, size_t size,
			      const char *magic, size_t offset)
{
	static const struct boot_device device = { 0xc0001000, 6 };
	static int initrd_fd = -1;
	struct guest_memory gm = { 0 };
	struct boot_config config = {
		.gm = &gm,
		.cmdline = "acpi=off",
		.nr_cpus = 2,
		.device = &device,
		.nr_devices = 1,
	};
	struct boot_entry entry;
	struct boot_error err;
	int ret;

	/* Another format is another fuzzer's. */
	if (size < offset + 4 || memcmp(data + offset, magic, 4) != 0)
		return 0;
	if (initrd_fd < 0) {
		initrd_fd = fuzz_file(data, 0);
		if (ftruncate(initrd_fd, FUZZ_INITRD) < 0)
			abort();
	}
	if (gmem_map(&gm, 0, FUZZ_RAM) < 0)
		abort();
	config.kernel_fd = fuzz_file(data, size);
	config.initrd_fd = initrd_fd;
	config.copy = data[size - 1] & 1;
	memset(&err, 0, sizeof(err));

	ret = boot_load(&config, &entry, &err);
	if (ret == 0) {
		fuzz_check(&gm, &entry);
	} else {
		assert(ret == -EBADMSG || ret == -ENOSPC || ret == -ENOTSUP);
		assert(err.text[0] && !strchr(err.text, '\n'));
		assert(strlen(err.text) < sizeof(err.text) - 1);
	}
	close(config.kernel_fd);
	gmem_fini(&gm);
	return 0;
}

#endif
