// SPDX-License-Identifier: Apache-2.0
/*
 * params.c - memory map, command line and Linux's zero page
 */
#include <errno.h>
#include <stdio.h>

#include "boot/layout.h"
#include "boot/params.h"

#define E820_RAM      1
#define E820_RESERVED 2

#define BOOT_FLAG	  0xaa55u
#define MAGIC		  0x53726448u /* "HdrS" */
#define LOADER_UNASSIGNED 0xffu
#define PROTOCOL_ELF	  0x20eu /* what we speak to a kernel that cannot say */
#define PROTOCOL_RSDP	  0x20eu

static_assert(sizeof(struct boot_params) == 4096, "the zero page");

static void memmap_add(struct memmap *map, uint64_t start, uint64_t end,
		       uint32_t type)
{
	assert(map->nr_entries < MEMMAP_MAX);
	map->entry[map->nr_entries++] = (struct boot_e820_entry){
		.addr = start,
		.size = end - start,
		.type = type,
	};
}

void memmap_build(const struct guest_memory *gm, struct memmap *map)
{
	*map = (struct memmap){ 0 };
	/* Linux keeps off what a BIOS would keep just below 640 KiB. */
	memmap_add(map, 0, LAYOUT_LOW_RAM_END, E820_RAM);
	memmap_add(map, LAYOUT_LOW_RAM_END, 0xa0000, E820_RESERVED);
	memmap_add(map, LAYOUT_ACPI, LAYOUT_RESERVED_END, E820_RESERVED);
	memmap_add(map, LAYOUT_KERNEL, image_low_end(gm), E820_RAM);
	for (unsigned int i = 1; i < gm->nr_regions; i++)
		memmap_add(map, gm->region[i].gpa,
			   gm->region[i].gpa + gm->region[i].size, E820_RAM);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Finds WORD among the words of the command line up to END, as Linux splits
 * them: at blanks outside double quotes.  END itself when it is not there.
 */
static const char *find_word(const char *at, const char *end, const char *word)
{
	size_t len = strlen(word);

	while (at < end) {
		const char *start = at;
		bool quoted = false;

		for (; at < end && (quoted || !is_blank(*at)); at++)
			quoted ^= *at == '"';
		if ((size_t)(at - start) == len && !memcmp(start, word, len))
			return start;
		while (at < end && is_blank(*at))
			at++;
	}
	return end;
}

struct text {
	char buf[LAYOUT_CMDLINE_MAX];
	size_t len; /* as if it had fitted */
};

static void text_add(struct text *t, const char *words, size_t len)
{
	if (t->len + len < sizeof(t->buf))
		memcpy(t->buf + t->len, words, len);
	t->len += len;
}

static void text_add_device(struct text *t, const struct boot_device *device)
{
	char word[64];
	int len;

	/* Linux, admin-guide: virtio_mmio.device=<size>@<baseaddr>:<irq> */
	len = snprintf(word, sizeof(word), " virtio_mmio.device=4K@0x%llx:%u",
		       (unsigned long long)device->base, device->gsi);
	text_add(t, word, (size_t)len);
}

int cmdline_write(const struct boot_config *config, uint32_t max,
		  struct boot_error *err)
{
	const char *words = config->cmdline;
	const char *end = words + strlen(words);
	/* Linux gives what follows "--" to init: ours must come before it. */
	const char *rest = find_word(words, end, "--");
	bool acpi_off = find_word(words, rest, "acpi=off") != rest;
	struct text t = { .len = 0 };

	max = MIN(max, LAYOUT_CMDLINE_MAX - 1);
	if (acpi_off) {
		const char *head = rest;

		while (head > words && is_blank(head[-1]))
			head--;
		text_add(&t, words, (size_t)(head - words));
		for (unsigned int i = 0; i < config->nr_devices; i++)
			text_add_device(&t, &config->device[i]);
		if (rest != end)
			text_add(&t, " ", 1);
		text_add(&t, rest, (size_t)(end - rest));
	} else {
		text_add(&t, words, (size_t)(end - words));
	}
	if (t.len > max && acpi_off && (size_t)(end - words) <= max)
		return boot_refuse(
			err, -ENOSPC, "command line",
			"%zu bytes with the virtio_mmio.device= "
			"words that acpi=off needs, the kernel takes "
			"at most %u",
			t.len, max);
	if (t.len > max)
		return boot_refuse(err, -ENOSPC, "command line",
				   "%zu bytes, the kernel takes at most %u",
				   t.len, max);
	t.buf[t.len] = '\0';
	return gmem_write(config->gm, LAYOUT_CMDLINE, t.buf, t.len + 1);
}

int params_write(struct guest_memory *gm, const struct image *image,
		 const struct memmap *map, const struct initrd *initrd)
{
	struct boot_params params = { .hdr = image->header };
	struct setup_header *h = &params.hdr;

	/* An ELF file has no header: what a loader would find in a bzImage. */
	if (h->header != MAGIC) {
		h->boot_flag = BOOT_FLAG;
		h->header = MAGIC;
		h->version = PROTOCOL_ELF;
		h->loadflags = LOADED_HIGH;
		h->kernel_alignment = MIB(2);
		h->cmdline_size = image->cmdline_max;
	}
	h->type_of_loader = LOADER_UNASSIGNED;
	h->loadflags &= (uint8_t)~CAN_USE_HEAP; /* there is no setup code */
	h->cmd_line_ptr = LAYOUT_CMDLINE;
	h->ramdisk_image = (uint32_t)initrd->gpa;
	h->ramdisk_size = (uint32_t)initrd->size;
	params.ext_ramdisk_image = (uint32_t)(initrd->gpa >> 32);
	params.ext_ramdisk_size = (uint32_t)(initrd->size >> 32);
	/* The monitor's, not the file's: a list of pointers to follow. */
	h->setup_data = 0;
	h->hardware_subarch = 0;
	h->hardware_subarch_data = 0;
	if (h->version >= PROTOCOL_RSDP)
		params.acpi_rsdp_addr = LAYOUT_ACPI;
	params.e820_entries = (uint8_t)map->nr_entries;
	memcpy(params.e820_table, map->entry,
	       map->nr_entries * sizeof(map->entry[0]));
	return gmem_write(gm, LAYOUT_ZERO_PAGE, &params, sizeof(params));
}
