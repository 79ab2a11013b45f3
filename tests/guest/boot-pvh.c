// SPDX-License-Identifier: Apache-2.0
/*
 * boot-pvh.c - the start info that PVH promises in EBX
 *
 * It says the command line and the module back, so that the runner can compare
 * them with what it gave.
 */
#include "guest.h"

#define START_MAGIC   0x336ec578u
#define SIGNATURE_RSD 0x20445352u /* "RSD " */

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct module {
	uint64_t start, size, cmdline, reserved;
};

struct memmap {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* RAM at 1 MiB, and none in the hole: where the devices are. */
static void check_memory(const struct memmap *map, unsigned int entries)
{
	int found = 0;

	CHECK(entries > 0 && entries < 32, "number of memory map entries");
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

static void say_module(const struct module *module)
{
	const char *text = (const char *)(uintptr_t)module->start;

	CHECK((module->start & 0xfff) == 0, "module is not page aligned");
	say("initrd ");
	for (uint32_t i = 0; i < (uint32_t)module->size; i++)
		put(text[i]);
}

void guest_main(uintptr_t boot)
{
	const struct start_info *info = (const void *)boot;
	uint32_t cr0;

	CHECK(info->magic == START_MAGIC, "start info magic");
	CHECK(info->version >= 1, "start info version");
	__asm__("mov %%cr0, %0" : "=r"(cr0));
	CHECK(cr0 & 1, "protected mode is off");
	CHECK(!(cr0 & 0x80000000), "paging is on");
	check_memory((const void *)(uintptr_t)info->memmap,
		     info->memmap_entries);
	CHECK(info->rsdp && read32((uintptr_t)info->rsdp) == SIGNATURE_RSD,
	      "no RSDP");
	say("cmdline ");
	say((const char *)(uintptr_t)info->cmdline);
	put('\n');
	if (info->nr_modules)
		say_module((const void *)(uintptr_t)info->modlist);
	pass();
}
