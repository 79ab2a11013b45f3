// SPDX-License-Identifier: Apache-2.0
/*
 * test_boot.c - boot_load() as a whole: what the kernel finds, read from memory
 */
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "base/util.h"
#include "boot/boot.h"
#include "boot/image.h"
#include "boot/layout.h"
#include "tests/unit/kernels.h"
#include "tests/unit/unit.h"

static struct kernel_file k;
static struct guest_memory gm;
static struct boot_config config;
static struct boot_entry entry;
static struct boot_error err;
static const struct boot_device devices[] = {
	{ 0xc0001000, 6 },
	{ 0xc0002000, 7 },
};

#define HDR ((struct setup_header *)(void *)(k.data + 0x1f1))

static void machine(uint64_t low, uint64_t high)
{
	gmem_fini(&gm);
	ck_assert_int_eq(gmem_map(&gm, 0, low), 0);
	if (high > 0)
		ck_assert_int_eq(gmem_map(&gm, GIB(4), high), 0);
	config = (struct boot_config){
		.gm = &gm,
		.kernel_fd = -1,
		.initrd_fd = -1,
		.cmdline = "console=hvc0",
		.nr_cpus = 2,
		.device = devices,
		.nr_devices = ARRAY_SIZE(devices),
	};
	kernels_bzimage(&k);
}

/* A file of SIZE bytes whose only data is its last byte. */
static void initrd(uint64_t size)
{
	config.initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	ck_assert_int_ge(config.initrd_fd, 0);
	ck_assert_int_eq(pwrite(config.initrd_fd, "\x77", 1, (off_t)size - 1),
			 1);
}

static int load(void)
{
	int ret;

	err = (struct boot_error){ 0 };
	config.kernel_fd = kernels_fd(k.data, k.len);
	ret = boot_load(&config, &entry, &err);
	close(config.kernel_fd);
	if (config.initrd_fd >= 0)
		close(config.initrd_fd);
	config.initrd_fd = -1;
	return ret;
}

static void refused(int code, const char *what, const char *text)
{
	int ret = load();

	ck_assert_msg(ret == code, "%d instead of %d: %s", ret, code, err.text);
	ck_assert_str_eq(err.what, what);
	ck_assert_str_eq(err.text, text);
}

static const struct boot_params *zero_page(void)
{
	return gmem_ptr(&gm, entry.rsi, sizeof(struct boot_params));
}

static const char *cmdline(void)
{
	return gmem_ptr(&gm, LAYOUT_CMDLINE, LAYOUT_CMDLINE_MAX);
}

START_TEST(test_linux_64_registers)
{
	const uint64_t *gdt;

	machine(MIB(16), 0);
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(entry.protocol, BOOT_LINUX_64);
	ck_assert_uint_eq(entry.rip, 0x100200);
	ck_assert_uint_eq(entry.rsi, LAYOUT_ZERO_PAGE);
	ck_assert_uint_eq(entry.rsp, LAYOUT_STACK_TOP);
	ck_assert_uint_eq(entry.cr0, 0x80000031); /* PG NE ET PE */
	ck_assert_uint_eq(entry.cr3, LAYOUT_PAGE_TABLES);
	ck_assert_uint_eq(entry.cr4, 0x20);   /* PAE */
	ck_assert_uint_eq(entry.efer, 0x500); /* LME LMA */
	ck_assert(entry.linux_kernel);
	/* Linux boot protocol, 64-bit: __BOOT_CS, __BOOT_DS */
	ck_assert_uint_eq(entry.code_selector, 0x10);
	ck_assert_uint_eq(entry.data_selector, 0x18);
	gdt = gmem_ptr(&gm, entry.gdt_base, entry.gdt_limit + 1u);
	ck_assert_uint_eq(gdt[0], 0);
	ck_assert_uint_eq(gdt[2], 0x00af9b000000ffff);
	ck_assert_uint_eq(gdt[3], 0x00cf93000000ffff);
	ck_assert_uint_eq(gdt[entry.task_selector / 8], 0x00008b0000000067);
	ck_assert_uint_ge(entry.gdt_limit, entry.task_selector + 15);
}
END_TEST

/* SDM 3A §4.5: walks our tables as the CPU does. */
static uint64_t translate(uint64_t address)
{
	uint64_t table = entry.cr3, e = 0;

	for (int shift = 39; shift >= 21; shift -= 9) {
		uint64_t at = table + (address >> shift & 511) * 8;

		ck_assert_int_eq(gmem_read(&gm, at, &e, 8), 0);
		ck_assert_uint_eq(e & 3, 3);
		ck_assert_uint_eq(e >> 7 & 1, shift == 21);
		table = e & 0x000ffffffffff000;
	}
	return table | (address & 0x1fffff);
}

START_TEST(test_identity_map)
{
	machine(MIB(16), 0);
	ck_assert_int_eq(load(), 0);
	for (uint64_t a = 0x1234; a < GIB(4); a += MIB(1))
		ck_assert_uint_eq(translate(a), a);
}
END_TEST

START_TEST(test_zero_page)
{
	const struct boot_params *p;
	uint8_t header[0x26c - 0x1f1];

	machine(MIB(16), 0);
	HDR->root_flags = 0x1234;
	HDR->setup_data = 0x4141414141414141;
	ck_assert_int_eq(load(), 0);
	p = zero_page();
	ck_assert_uint_eq(p->hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(p->hdr.loadflags, LOADED_HIGH);
	ck_assert_uint_eq(p->hdr.cmd_line_ptr, LAYOUT_CMDLINE);
	ck_assert_uint_eq(p->hdr.ramdisk_image, 0);
	ck_assert_uint_eq(p->hdr.ramdisk_size, 0);
	ck_assert_uint_eq(p->hdr.setup_data, 0);
	ck_assert_uint_eq(p->acpi_rsdp_addr, LAYOUT_ACPI);
	ck_assert_uint_eq(p->sentinel, 0);
	/* all the rest of the header is the file's */
	memcpy(header, &p->hdr, sizeof(header));
	ck_assert_uint_eq(get_le16(header + 1), 0x1234);
	ck_assert_int_eq(memcmp(header + 0x15, k.data + 0x206, 8), 0);
	ck_assert_int_eq(memcmp(header + 0x3b, k.data + 0x22c, 16), 0);
	ck_assert_int_eq(memcmp(header + 0x67, k.data + 0x258, 12), 0);

	/* Linux boot protocol, acpi_rsdp_addr: 2.14 and later */
	machine(MIB(16), 0);
	HDR->version = 0x20d;
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(zero_page()->acpi_rsdp_addr, 0);
}
END_TEST

START_TEST(test_zero_page_of_an_elf_file)
{
	const struct boot_params *p;

	machine(MIB(16), 0);
	kernels_elf64(&k);
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(entry.protocol, BOOT_LINUX_64);
	ck_assert_uint_eq(entry.rip, 0x100010);
	p = zero_page();
	ck_assert_uint_eq(p->hdr.boot_flag, 0xaa55);
	ck_assert_uint_eq(p->hdr.header, 0x53726448);
	ck_assert_uint_eq(p->hdr.type_of_loader, 0xff);
	ck_assert_uint_eq(p->hdr.cmd_line_ptr, LAYOUT_CMDLINE);
	ck_assert_uint_eq(p->acpi_rsdp_addr, LAYOUT_ACPI);
	ck_assert_uint_eq(p->e820_entries, 4);
}
END_TEST

static void check_range(const struct boot_e820_entry *e, uint64_t start,
			uint64_t end, uint32_t type)
{
	ck_assert_uint_eq(e->addr, start);
	ck_assert_uint_eq(e->addr + e->size, end);
	ck_assert_uint_eq(e->type, type);
}

START_TEST(test_memory_map)
{
	static const uint64_t sizes[][2] = {
		{ MIB(16), 0 },
		{ GIB(3), 0 },
		{ GIB(3), MIB(1) },
		{ GIB(3), GIB(61) },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct boot_e820_entry *e;

		machine(sizes[i][0], sizes[i][1]);
		ck_assert_int_eq(load(), 0);
		e = zero_page()->e820_table;
		check_range(e + 0, 0, 0x9fc00, 1);
		check_range(e + 1, 0x9fc00, 0xa0000, 2);
		check_range(e + 2, 0xe0000, 0x100000, 2);
		check_range(e + 3, 0x100000, sizes[i][0], 1);
		ck_assert_uint_eq(zero_page()->e820_entries,
				  sizes[i][1] ? 5 : 4);
		if (sizes[i][1])
			check_range(e + 4, GIB(4), GIB(4) + sizes[i][1], 1);
	}
}
END_TEST

/* Xen public/arch-x86/hvm/start_info.h; docs/misc/pvh.pandoc for registers. */
START_TEST(test_pvh)
{
	const uint8_t *info, *module, *map;
	const uint64_t *gdt;

	machine(MIB(16), MIB(16));
	config.serial = true;
	kernels_elf32(&k);
	kernels_pvh_note(&k);
	initrd(5000);
	ck_assert_int_eq(load(), 0);
	ck_assert_int_eq(entry.protocol, BOOT_PVH);
	ck_assert_uint_eq(entry.rip, KERNELS_PVH_ENTRY);
	ck_assert_uint_eq(entry.cr0, 0x11); /* ET PE */
	ck_assert_uint_eq(entry.cr4, 0);
	ck_assert_uint_eq(entry.efer, 0);
	ck_assert(!entry.linux_kernel);
	gdt = gmem_ptr(&gm, entry.gdt_base, entry.gdt_limit + 1u);
	ck_assert_uint_eq(gdt[entry.code_selector / 8], 0x00cf9b000000ffff);
	ck_assert_uint_eq(gdt[entry.data_selector / 8], 0x00cf93000000ffff);

	info = gmem_ptr(&gm, entry.rbx, 56);
	ck_assert_uint_eq(get_le32(info), 0x336ec578);
	ck_assert_uint_eq(get_le32(info + 4), 1);
	ck_assert_uint_eq(get_le32(info + 8), 0);
	ck_assert_uint_eq(get_le32(info + 12), 1);
	ck_assert_uint_eq(get_le64(info + 24), LAYOUT_CMDLINE);
	ck_assert_uint_eq(get_le64(info + 32), LAYOUT_ACPI);
	ck_assert_uint_eq(get_le32(info + 48), 5);
	module = gmem_ptr(&gm, get_le64(info + 16), 32);
	ck_assert_uint_eq(get_le64(module), MIB(16) - 8192);
	ck_assert_uint_eq(get_le64(module + 8), 5000);
	ck_assert_uint_eq(get_le64(module + 16), 0);
	map = gmem_ptr(&gm, get_le64(info + 40), 5 * 24);
	ck_assert_uint_eq(get_le64(map + 3 * 24), 0x100000);
	ck_assert_uint_eq(get_le64(map + 3 * 24 + 8), MIB(15));
	ck_assert_uint_eq(get_le32(map + 3 * 24 + 16), 1);
	ck_assert_uint_eq(get_le64(map + 4 * 24), GIB(4));
	ck_assert_str_eq(cmdline(), "console=hvc0");

	/* without a module */
	ck_assert_int_eq(load(), 0);
	info = gmem_ptr(&gm, entry.rbx, 56);
	ck_assert_uint_eq(get_le32(info + 12), 0);
	ck_assert_uint_eq(get_le64(info + 16), 0);
}
END_TEST

START_TEST(test_initrd_as_high_as_possible)
{
	for (int copy = 0; copy < 2; copy++) {
		machine(MIB(16), 0);
		config.copy = copy;
		initrd(4097);
		ck_assert_int_eq(load(), 0);
		ck_assert_uint_eq(zero_page()->hdr.ramdisk_image,
				  MIB(16) - 8192);
		ck_assert_uint_eq(zero_page()->hdr.ramdisk_size, 4097);
		ck_assert_uint_eq(zero_page()->ext_ramdisk_image, 0);
		ck_assert_uint_eq(*(const uint8_t *)gmem_ptr(&gm,
							     MIB(16) - 4096, 1),
				  0x77);
	}
	/* from the kernel's last page to the end of RAM, and one byte more */
	machine(MIB(16), 0);
	initrd(MIB(10));
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, 0x600000);
	initrd(MIB(10) + 1);
	refused(-ENOSPC, "initrd",
		"10485761 bytes, the kernel leaves room for 10485760: use a "
		"larger -m");
}
END_TEST

START_TEST(test_initrd_addr_max)
{
	machine(MIB(64), 0);
	HDR->initrd_addr_max = MIB(32) - 1;
	initrd(100);
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, MIB(32) - 4096);

	HDR->initrd_addr_max = MIB(32) - 2;
	initrd(4096);
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, MIB(32) - 8192);

	/* there is RAM above the limit, but only for a kernel that says so */
	initrd(MIB(27));
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, MIB(37));
	HDR->xloadflags = XLF_KERNEL_64;
	initrd(MIB(27));
	refused(-ENOSPC, "initrd",
		"28311552 bytes: the kernel takes it only below 0x1ffffff and "
		"leaves no such room there");
	HDR->initrd_addr_max = 0;
	initrd(1);
	refused(-ENOSPC, "initrd",
		"1 bytes: the kernel takes it only below 0x1 and leaves no "
		"such room there");
}
END_TEST

/* Linux boot protocol, xloadflags bit 1 */
START_TEST(test_initrd_above_4_gib)
{
	machine(MIB(16), MIB(32));
	initrd(MIB(20));
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(zero_page()->hdr.ramdisk_image, MIB(12));
	ck_assert_uint_eq(zero_page()->ext_ramdisk_image, 1);
	ck_assert_uint_eq(
		*(const uint8_t *)gmem_ptr(&gm, GIB(4) + MIB(32) - 1, 1), 0x77);
	initrd(MIB(33));
	refused(-ENOSPC, "initrd",
		"34603008 bytes, the kernel leaves room for 10485760: use a "
		"larger -m");
	HDR->xloadflags = XLF_KERNEL_64;
	initrd(MIB(20));
	refused(-ENOSPC, "initrd",
		"20971520 bytes, the kernel leaves room for 10485760: use a "
		"larger -m");
}
END_TEST

START_TEST(test_empty_files)
{
	machine(MIB(16), 0);
	k.len = 0;
	refused(-EBADMSG, "kernel", "the file is empty");
	kernels_bzimage(&k);
	config.initrd_fd = memfd_create("empty", MFD_CLOEXEC);
	refused(-EBADMSG, "initrd", "the file is empty");
	config.initrd_fd = open("/", O_RDONLY | O_CLOEXEC);
	refused(-EINVAL, "initrd", "not a regular file");
}
END_TEST

#define DEVICE_WORDS                                                           \
	" virtio_mmio.device=4K@0xc0001000:6"                                  \
	" virtio_mmio.device=4K@0xc0002000:7"

START_TEST(test_command_line)
{
	static const char *const lines[][2] = {
		{ "", "" },
		{ "a  b", "a  b" },
		{ "acpi=off", "acpi=off" DEVICE_WORDS },
		{ "a acpi=off b ", "a acpi=off b" DEVICE_WORDS },
		{ "acpi=off -- x  y", "acpi=off" DEVICE_WORDS " -- x  y" },
		{ "acpi=off  --", "acpi=off" DEVICE_WORDS " --" },
		{ "a -- acpi=off", "a -- acpi=off" },
		{ "xacpi=off acpi=offx acpi=of",
		  "xacpi=off acpi=offx acpi=of" },
		{ "a=\"b acpi=off c\"", "a=\"b acpi=off c\"" },
		{ "a=\"b -- c\" acpi=off d",
		  "a=\"b -- c\" acpi=off d" DEVICE_WORDS },
	};

	machine(MIB(16), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(lines); i++) {
		config.cmdline = lines[i][0];
		ck_assert_int_eq(load(), 0);
		ck_assert_str_eq(cmdline(), lines[i][1]);
	}
}
END_TEST

START_TEST(test_command_line_limits)
{
	static char words[5000];

	machine(MIB(16), 0);
	config.cmdline = words;
	memset(words, 'x', 2047);
	ck_assert_int_eq(load(), 0);
	ck_assert_str_eq(cmdline(), words);
	words[2047] = 'x';
	refused(-ENOSPC, "command line",
		"2048 bytes, the kernel takes at most 2047");
	/* a kernel's promise does not widen our own buffer */
	HDR->cmdline_size = UINT32_MAX;
	memset(words, 'x', 4095);
	ck_assert_int_eq(load(), 0);
	words[4095] = 'x';
	refused(-ENOSPC, "command line",
		"4096 bytes, the kernel takes at most 4095");
	HDR->cmdline_size = 0;
	words[1] = '\0';
	refused(-ENOSPC, "command line", "1 bytes, the kernel takes at most 0");
	HDR->cmdline_size = 40;
	config.cmdline = "acpi=off";
	refused(-ENOSPC, "command line",
		"78 bytes with the virtio_mmio.device= words that acpi=off "
		"needs, the kernel takes at most 40");
	HDR->cmdline_size = 78;
	ck_assert_int_eq(load(), 0);
}
END_TEST

static const struct {
	size_t offset;
	const char *magic;
	const char *text;
} mistakes[] = {
	{ 0, "\x1f\x8b", "compressed with gzip: unpack it first (gunzip)" },
	{ 0, "070701", "a cpio archive: is it the initrd? (-i)" },
	{ 0, "#!/bin/sh", "a script, not a kernel" },
	{ 0, "QFI\xfb", "a qcow2 disk image, not a kernel" },
	{ 0x38, "ARM\x64", "built for aarch64: use one built for x86-64" },
	{ 0, "MZ", "an EFI program without a Linux setup header" },
	{ 0x1fe, "\x55\xaa", "a boot sector or disk image, not a kernel" },
	{ 0, "x", "neither a bzImage nor an ELF file" },
};

START_TEST(test_not_a_kernel)
{
	machine(MIB(16), 0);
	memset(k.data, 0, k.len);
	memcpy(k.data + mistakes[_i].offset, mistakes[_i].magic,
	       strlen(mistakes[_i].magic));
	refused(_i < 7 ? -ENOTSUP : -EBADMSG, "kernel", mistakes[_i].text);
	k.len = 1;
	refused(-EBADMSG, "kernel", "neither a bzImage nor an ELF file");
}
END_TEST

START_TEST(test_too_little_memory)
{
	machine(MIB(1) - PAGE_SIZE, 0);
	refused(-EINVAL, "memory",
		"the guest has no RAM up to 1 MiB: use a larger -m");
	machine(MIB(1), 0);
	refused(-ENOSPC, "kernel",
		"needs 6 MiB, the guest has 1 MiB: use a larger -m");
}
END_TEST

/* Nothing is written outside of what layout.h names, kernel and initrd. */
START_TEST(test_nothing_else_is_touched)
{
	static const uint64_t free_ranges[][2] = {
		{ 0, LAYOUT_GDT },
		{ LAYOUT_GDT + 48, LAYOUT_PVH_INFO },
		{ LAYOUT_PAGE_TABLES + 6 * PAGE_SIZE, LAYOUT_CMDLINE },
		{ LAYOUT_CMDLINE + LAYOUT_CMDLINE_MAX, LAYOUT_ACPI },
		{ 0x100000 + KERNELS_BZ_SIZE - KERNELS_SETUP,
		  MIB(16) - PAGE_SIZE },
	};

	machine(MIB(16), 0);
	initrd(10);
	ck_assert_int_eq(load(), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(free_ranges); i++) {
		uint64_t len = free_ranges[i][1] - free_ranges[i][0];
		const uint8_t *p = gmem_ptr(&gm, free_ranges[i][0], len);

		/* An assertion for each byte would take a minute. */
		for (uint64_t j = 0; j < len; j++) {
			if (p[j])
				ck_abort_msg("0x%" PRIx64 " is not 0",
					     free_ranges[i][0] + j);
		}
	}
	ck_assert_int_eq(memcmp(gmem_ptr(&gm, LAYOUT_ACPI, 8), "RSD PTR ", 8),
			 0);
	ck_assert_int_eq(memcmp(gmem_ptr(&gm, LAYOUT_MPTABLE, 4), "_MP_", 4),
			 0);
	/* mov dx, 0x602; mov al, 1; out dx, al: tests/guest runs it */
	ck_assert_int_eq(memcmp(gmem_ptr(&gm, 0xffff0, 6),
				"\xba\x02\x06\xb0\x01\xee", 6),
			 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("boot");
	TCase *tc = tcase_create("boot");

	tcase_add_test(tc, test_linux_64_registers);
	tcase_add_test(tc, test_identity_map);
	tcase_add_test(tc, test_zero_page);
	tcase_add_test(tc, test_zero_page_of_an_elf_file);
	tcase_add_test(tc, test_memory_map);
	tcase_add_test(tc, test_pvh);
	tcase_add_test(tc, test_initrd_as_high_as_possible);
	tcase_add_test(tc, test_initrd_addr_max);
	tcase_add_test(tc, test_initrd_above_4_gib);
	tcase_add_test(tc, test_empty_files);
	tcase_add_test(tc, test_command_line);
	tcase_add_test(tc, test_command_line_limits);
	tcase_add_loop_test(tc, test_not_a_kernel, 0,
			    (int)ARRAY_SIZE(mistakes));
	tcase_add_test(tc, test_too_little_memory);
	tcase_add_test(tc, test_nothing_else_is_touched);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
