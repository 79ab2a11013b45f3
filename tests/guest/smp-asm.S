// SPDX-License-Identifier: Apache-2.0
/*
 * smp-asm.S - an application processor from real mode to its bit in the mask
 */
	.section .text.smp, "ax"
	.code16
	.globl	trampoline
	.globl	trampoline_end
trampoline:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	ap_gdt_pointer - trampoline
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$0x08, $ap_start
	.align	8
ap_gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x08: flat code */
	.quad	0x00cf93000000ffff	/* 0x10: flat data */
ap_gdt_pointer:
	.word	. - ap_gdt - 1
	.long	0x10000 + ap_gdt - trampoline	/* TRAMPOLINE in smp.c */
trampoline_end:

	.code32
ap_start:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %ss
	movl	0xfee00020, %ecx	/* local APIC id */
	shrl	$24, %ecx
	movl	$1, %eax
	shll	%cl, %eax
	lock orl %eax, smp_mask
1:	cli
	hlt
	jmp	1b

	.data
	.align	4
	.globl	smp_mask
smp_mask:
	.long	0

	.section .note.GNU-stack, "", @progbits
