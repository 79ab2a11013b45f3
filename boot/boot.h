// SPDX-License-Identifier: Apache-2.0
/*
 * boot.h - fills guest memory for a kernel, and says where it starts
 *
 * boot_load() is called once, before the first vCPU runs.  Kernel and initrd
 * are hostile files: nothing in them is trusted for a length, a loop or an
 * address, and every refusal has its own text.  Nothing here knows of KVM: the
 * result is plain register values.
 */
#ifndef MOTE_BOOT_BOOT_H
#define MOTE_BOOT_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/gmem.h"
#include "base/util.h"

/* A virtio-mmio window that the guest has to be told of. */
struct boot_device {
	uint64_t base;
	uint32_t gsi;
};

struct boot_config {
	struct guest_memory *gm; /* regions as layout.h says; all zeros */
	int kernel_fd;		 /* borrowed, regular file */
	int initrd_fd;		 /* borrowed, or -1 */
	const char *cmdline;	 /* the operator's words */
	unsigned int nr_cpus;	 /* APIC ids 0 to nr_cpus - 1 */
	const struct boot_device *device;
	unsigned int nr_devices;
	bool serial; /* a 16550 is there */
	bool copy;   /* read the files instead of mapping them */
};

enum boot_protocol {
	BOOT_LINUX_64, /* Linux x86 64-bit boot protocol: long mode, rsi */
	BOOT_PVH,      /* PVH: 32-bit protected mode, ebx */
};

/* The state of CPU 0 before its first instruction; what is not here is as after
 * INIT.  Segments are flat; selectors are those of the GDT at LAYOUT_GDT.
 */
struct boot_entry {
	enum boot_protocol protocol;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rsi; /* BOOT_LINUX_64: zero page */
	uint64_t rbx; /* BOOT_PVH: start info */
	uint64_t cr0, cr3, cr4, efer;
	uint64_t gdt_base;
	uint16_t gdt_limit;
	uint16_t code_selector, data_selector, task_selector;
	bool linux_kernel; /* the image says that it is Linux */
};

/* Why a file was refused, as the end of "mote: kernel FILE: ...". */
struct boot_error {
	char what[16]; /* "kernel", "initrd", "command line", "memory" */
	char text[160];
};

/* Fills ERR and returns CODE; the loaders' one way to refuse. */
int boot_refuse(struct boot_error *err, int code, const char *what,
		const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Loads kernel, initrd, command line, tables.  0, or -EBADMSG (malformed),
 * -ENOSPC (does not fit), -ENOTSUP (a kind of kernel that we do not boot),
 * -EIO and other errno of reading the file; ERR is filled then.
 */
int boot_load(const struct boot_config *config, struct boot_entry *entry,
	      struct boot_error *err);

#endif
