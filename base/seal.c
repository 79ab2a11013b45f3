// SPDX-License-Identifier: Apache-2.0
/*
 * seal.c - mappings that stay as they are until the process ends
 */
#include <errno.h>
#include <link.h>
#include <unistd.h>

#include <sys/syscall.h>

#include "base/seal.h"
#include "base/util.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

int seal(const void *addr, size_t len)
{
	return syscall(SYS_mseal, addr, len, 0) < 0 ? -errno : 0;
}

/* Of each object that the program consists of; mote's is one. */
static int seal_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	int *ret = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum && *ret == 0; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		uintptr_t end = start + info->dlpi_phdr[i].p_memsz;

		start = ALIGN_DOWN(start, (uintptr_t)PAGE_SIZE);
		end = ALIGN_UP(end, (uintptr_t)PAGE_SIZE);
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
			*ret = seal((const void *)start, end - start);
	}
	return *ret;
}

int seal_program(void)
{
	int ret = 0;

	dl_iterate_phdr(seal_object, &ret);
	return ret;
}
