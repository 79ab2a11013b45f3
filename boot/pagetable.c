// SPDX-License-Identifier: Apache-2.0
/*
 * pagetable.c - what the first instruction's mode needs: GDT and identity map
 */
#include <asm/processor-flags.h>

#include "boot/layout.h"
#include "boot/pagetable.h"

/* SDM 3A §3.4.5, §5.8.1: base 0, limit 4 GiB (TSS: 0x67), present, accessed
 * (TSS: busy), so that the CPU has nothing to write back.
 */
#define DESC_CODE_64 0x00af9b000000ffffull
#define DESC_CODE_32 0x00cf9b000000ffffull
#define DESC_DATA    0x00cf93000000ffffull
#define DESC_TSS     0x00008b0000000067ull

/* SDM 3A §4.5.4: present, writable; in a PD, a 2 MiB page. */
#define TABLE_ENTRY 0x3ull
#define PAGE_ENTRY  0x83ull
#define NR_ENTRIES  512u
#define MAPPED_GIB  4u

#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

static int write_gdt(struct guest_memory *gm, struct boot_entry *entry)
{
	/* A TSS descriptor of long mode has two words. */
	const uint64_t gdt[] = {
		0,
		0,
		entry->protocol == BOOT_PVH ? DESC_CODE_32 : DESC_CODE_64,
		DESC_DATA,
		DESC_TSS,
		0,
	};

	entry->gdt_base = LAYOUT_GDT;
	entry->gdt_limit = sizeof(gdt) - 1;
	entry->code_selector = PAGETABLE_CODE_SELECTOR;
	entry->data_selector = PAGETABLE_DATA_SELECTOR;
	entry->task_selector = PAGETABLE_TASK_SELECTOR;
	return gmem_write(gm, LAYOUT_GDT, gdt, sizeof(gdt));
}

static int write_map(struct guest_memory *gm)
{
	const uint64_t pdpt = LAYOUT_PAGE_TABLES + PAGE_SIZE;
	const uint64_t pd = pdpt + PAGE_SIZE;
	uint64_t table[NR_ENTRIES] = { pdpt | TABLE_ENTRY };
	int ret;

	ret = gmem_write(gm, LAYOUT_PAGE_TABLES, table, sizeof(table));
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < MAPPED_GIB; i++)
		table[i] = (pd + (uint64_t)i * PAGE_SIZE) | TABLE_ENTRY;
	ret = gmem_write(gm, pdpt, table, sizeof(table));
	for (unsigned int i = 0; ret == 0 && i < MAPPED_GIB; i++) {
		for (unsigned int j = 0; j < NR_ENTRIES; j++)
			table[j] = (GIB(i) + j * MIB(2)) | PAGE_ENTRY;
		ret = gmem_write(gm, pd + (uint64_t)i * PAGE_SIZE, table,
				 sizeof(table));
	}
	return ret;
}

int pagetable_write(struct guest_memory *gm, struct boot_entry *entry)
{
	int ret = write_gdt(gm, entry);

	/* ET reads as one whatever is written (SDM 3A §2.5). */
	entry->cr0 = X86_CR0_PE | X86_CR0_ET;
	if (ret < 0 || entry->protocol == BOOT_PVH)
		return ret;
	entry->cr0 |= X86_CR0_PG | X86_CR0_NE;
	entry->cr3 = LAYOUT_PAGE_TABLES;
	entry->cr4 = X86_CR4_PAE;
	entry->efer = EFER_LME | EFER_LMA;
	return write_map(gm);
}
