// SPDX-License-Identifier: Apache-2.0
/*
 * bios-reset-asm.S - from flat protected mode to real mode (SDM 3A §9.9.2) and
 * to the reset vector
 */
	.section .text.bios_reset, "ax"
	.code32
	.globl	enter_trampoline
enter_trampoline:
	cli
	lgdtl	gdt_pointer
	movw	$0x10, %ax		/* limits and bases of real mode */
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	ljmpl	$0x08, $0		/* TRAMPOLINE in bios-reset.c */

	.code16
	.globl	trampoline
	.globl	trampoline_end
trampoline:
	movl	%cr0, %eax
	andl	$~1, %eax
	movl	%eax, %cr0
	ljmpw	$0xffff, $0
trampoline_end:

	.data
	.align	8
gdt:	.quad	0
	.quad	0x00009b010000ffff	/* 0x08: 16-bit code at 0x10000 */
	.quad	0x000093000000ffff	/* 0x10: 16-bit data at 0 */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.section .note.GNU-stack, "", @progbits
