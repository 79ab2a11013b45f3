// SPDX-License-Identifier: Apache-2.0
/*
 * boot-linux.c - what the Linux 64-bit boot protocol promises in RSI
 *
 * Linked twice: as an ELF file without a PVH note, and as a bzImage.
 */
#include "guest.h"

/* Offsets in struct boot_params, the "zero page". */
#define ZP_RSDP		  0x070
#define ZP_E820_ENTRIES	  0x1e8
#define ZP_BOOT_FLAG	  0x1fe
#define ZP_HEADER	  0x202
#define ZP_TYPE_OF_LOADER 0x210
#define ZP_RAMDISK_IMAGE  0x218
#define ZP_RAMDISK_SIZE	  0x21c
#define ZP_CMD_LINE_PTR	  0x228
#define ZP_E820_TABLE	  0x2d0

struct e820 {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

static void check_memory(uintptr_t zero_page)
{
	const struct e820 *map = (const void *)(zero_page + ZP_E820_TABLE);
	unsigned int entries = read8(zero_page + ZP_E820_ENTRIES);
	int found = 0;

	CHECK(entries > 0 && entries <= 128, "number of e820 entries");
	for (unsigned int i = 0; i < entries; i++) {
		uint64_t end = map[i].addr + map[i].size;

		if (map[i].type != 1)
			continue;
		if (map[i].addr <= 0x100000 && end > 0x200000)
			found = 1;
		CHECK(end <= LAYOUT_HOLE_START ||
			      map[i].addr >= LAYOUT_HOLE_END,
		      "RAM in the device hole");
	}
	CHECK(found, "no RAM at 1 MiB");
}

static void check_mode(void)
{
	uint64_t cr0, cr4, flags;
	uint16_t cs, ds;

	__asm__("mov %%cr0, %0" : "=r"(cr0));
	__asm__("mov %%cr4, %0" : "=r"(cr4));
	__asm__("pushfq; pop %0" : "=r"(flags));
	__asm__("mov %%cs, %0" : "=r"(cs));
	__asm__("mov %%ds, %0" : "=r"(ds));
	CHECK(cr0 & 0x80000000, "paging is off");
	CHECK(cr4 & 0x20, "PAE is off");
	CHECK(!(flags & 0x200), "interrupts are on");
	/* Linux boot protocol, 64-bit: __BOOT_CS and __BOOT_DS */
	CHECK(cs == 0x10, "CS is not __BOOT_CS");
	CHECK(ds == 0x18, "DS is not __BOOT_DS");
}

void guest_main(uintptr_t zero_page)
{
	uint32_t ramdisk = read32(zero_page + ZP_RAMDISK_IMAGE);
	uint32_t size = read32(zero_page + ZP_RAMDISK_SIZE);
	uintptr_t rsdp = *(const uint64_t *)(zero_page + ZP_RSDP);

	check_mode();
	CHECK(read16(zero_page + ZP_BOOT_FLAG) == 0xaa55, "boot flag");
	CHECK(read32(zero_page + ZP_HEADER) == 0x53726448, "no HdrS");
	CHECK(read8(zero_page + ZP_TYPE_OF_LOADER), "type_of_loader is 0");
	check_memory(zero_page);
	CHECK(rsdp && read32(rsdp) == 0x20445352, "no RSDP");
	say("cmdline ");
	say((const char *)(uintptr_t)read32(zero_page + ZP_CMD_LINE_PTR));
	put('\n');
	if (ramdisk) {
		say("initrd ");
		for (uint32_t i = 0; i < size; i++)
			put((char)read8(ramdisk + i));
	}
	pass();
}
