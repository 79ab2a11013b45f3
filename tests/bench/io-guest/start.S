// SPDX-License-Identifier: Apache-2.0
/*
 * start.S - entry by PVH, on to long mode
 *
 * 32-bit, flat, no paging.  The 64-bit code builds the real tables and goes
 * down to ring 3; these map the first GiB, which holds all of the guest.
 */
	.section .note.pvh, "a", @note
	.align	4
	.long	4		/* size of the name */
	.long	4		/* size of the descriptor */
	.long	18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	_start

	.section .head, "ax"
	.code32
	.globl	_start
_start:
	movl	$stack_top, %esp
	movl	$pdpt + 7, pml4
	movl	$pd + 7, pdpt
	movl	$0x87, %eax	/* SDM 3A §4.5.4: a page of 2 MiB, PS */
	xorl	%ecx, %ecx
1:	movl	%eax, pd(, %ecx, 8)
	addl	$0x200000, %eax
	incl	%ecx
	cmpl	$512, %ecx
	jne	1b

	/* SDM 3A §9.8.5: PAE, then LME, then paging. */
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $2f

	.code64
2:	xorl	%edi, %edi
	call	guest_main
	ud2

	.section .data.start, "aw"
	.align	8
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 8: ring 0 code, 64-bit */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.bss
	.align	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pd:	.skip	4096
	.skip	16384
	.globl	stack_top
stack_top:

	.section .note.GNU-stack, "", @progbits
