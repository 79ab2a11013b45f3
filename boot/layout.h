// SPDX-License-Identifier: Apache-2.0
/*
 * layout.h - every fixed guest physical address, in one table
 *
 *	0x0000_0500  GDT of the first instruction
 *	0x0000_6000  PVH start info, its module list, its memory map
 *	0x0000_7000  zero page (struct boot_params), Linux 64-bit entry
 *	0x0000_8ff0  first stack, growing down
 *	0x0000_9000  page tables: identity map of the first 4 GiB, 2 MiB pages
 *	0x0002_0000  kernel command line
 *	0x0009_fc00  end of conventional memory
 *	0x000e_0000  ACPI: RSDP first, the other tables after it
 *	0x000f_0000  MP table.  Its pointer is searched for here too (MP 1.4
 *		     §4); the 1 KiB below 640 KiB holds 38 CPUs, not 64
 *	0x000f_fff0  reset vector: code that resets the machine
 *	0x0010_0000  kernel; the initrd ends where low memory ends
 *	0xc000_0000  hole: boot timer page, then one page for each device
 *	0xfec0_0000  IOAPIC;  0xfee0_0000 local APIC;  0xfffb_c000 KVM's own
 *	0x1_0000_0000  the rest of RAM
 */
#ifndef MOTE_BOOT_LAYOUT_H
#define MOTE_BOOT_LAYOUT_H

#define LAYOUT_GDT	    0x500u
#define LAYOUT_PVH_INFO	    0x6000u
#define LAYOUT_PVH_MODULES  0x6100u
#define LAYOUT_PVH_MEMMAP   0x6200u
#define LAYOUT_ZERO_PAGE    0x7000u
#define LAYOUT_STACK_TOP    0x8ff0u
#define LAYOUT_PAGE_TABLES  0x9000u /* PML4, PDPT, four PDs: 6 pages */
#define LAYOUT_CMDLINE	    0x20000u
#define LAYOUT_CMDLINE_MAX  4096u /* bytes, with the final NUL */
#define LAYOUT_LOW_RAM_END  0x9fc00u
#define LAYOUT_ACPI	    0xe0000u
#define LAYOUT_ACPI_END	    0xf0000u
#define LAYOUT_MPTABLE	    0xf0000u
#define LAYOUT_MPTABLE_END  0xffff0u
#define LAYOUT_RESET_VECTOR 0xffff0u /* ffff:0 of real mode */
#define LAYOUT_RESERVED_END 0x100000u
#define LAYOUT_KERNEL	    0x100000u

#define LAYOUT_HOLE_START 0xc0000000ull
#define LAYOUT_HOLE_END	  0x100000000ull

#define LAYOUT_BOOT_TIMER  0xc0000000ull
#define LAYOUT_VIRTIO_MMIO 0xc0001000ull /* device n is n pages further */
#define LAYOUT_MAX_DEVICES 18

#define LAYOUT_IOAPIC	    0xfec00000u
#define LAYOUT_LOCAL_APIC   0xfee00000u
#define LAYOUT_IDENTITY_MAP 0xfffbc000u /* one page, KVM */
#define LAYOUT_KVM_TSS	    0xfffbd000u /* three pages, KVM */

/* Interrupt lines (GSI = IOAPIC pin); 0 to 4 are the PC's. */
#define LAYOUT_GSI_SERIAL	4
#define LAYOUT_GSI_POWER_BUTTON 5
#define LAYOUT_GSI_VIRTIO	6 /* device n has the n-th after it */
#define LAYOUT_NR_GSI		24

/* Ports: ACPI 6.5 §4.8.3.7 sleep control and status, §4.8.3.6 reset. */
#define LAYOUT_PORT_SLEEP_CONTROL 0x600
#define LAYOUT_PORT_SLEEP_STATUS  0x601
#define LAYOUT_PORT_RESET	  0x602
#define LAYOUT_RESET_VALUE	  1
#define LAYOUT_SLEEP_TYPE_S5	  5
#define LAYOUT_PORT_SERIAL	  0x3f8 /* eight ports */
#define LAYOUT_PORT_I8042	  0x60	/* data; command and status at 0x64 */

#endif
