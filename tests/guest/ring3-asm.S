// SPDX-License-Identifier: Apache-2.0
/*
 * ring3-asm.S - from ring 0 to ring 3 in long mode
 *
 * Ring 3 gets the ports by IOPL and by the TSS's bitmap: KVM's interpreter drops
 * the first on the way down.
 *
 * SYSEXIT is the one way down that KVM's interpreter knows.  AMD's CPUs do not
 * have it in long mode: there it raises #UD, whose handler uses IRET.
 */
	.section .text.ring3, "ax"
	.code64
	.globl	enter_ring3
enter_ring3:
	lgdt	gdt_pointer(%rip)
	movq	%rdi, %cr3
	leaq	tss(%rip), %rax
	movw	%ax, 2 + tss_entry(%rip)
	shrq	$16, %rax
	movb	%al, 4 + tss_entry(%rip)
	movb	%ah, 7 + tss_entry(%rip)
	movl	$0x38, %eax
	ltr	%ax
	leaq	by_iret(%rip), %rax
	movw	%ax, ud_gate(%rip)
	shrq	$16, %rax
	movw	%ax, 6 + ud_gate(%rip)
	lidt	idt_pointer(%rip)
	pushq	$0x08
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
1:
	movl	$0x174, %ecx		/* IA32_SYSENTER_CS */
	movl	$0x08, %eax
	xorl	%edx, %edx
	wrmsr
	pushq	$0x3002			/* IOPL 3 */
	popfq
	leaq	user_main(%rip), %rdx
	leaq	-8 + stack_top(%rip), %rcx
	sysexitq

by_iret:
	leaq	-8 + stack_top(%rip), %rax
	pushq	$0x33
	pushq	%rax
	pushq	$0x3002
	pushq	$0x2b
	leaq	user_main(%rip), %rax
	pushq	%rax
	iretq

	.section .data.ring3, "aw"
	.align	8
gdt:	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: ring 0 code, 64-bit */
	.quad	0x00cf93000000ffff	/* 0x10: ring 0 data */
	.quad	0			/* 0x18: 32-bit code of SYSEXIT */
	.quad	0
	.quad	0x00affb000000ffff	/* 0x28: ring 3 code, 64-bit */
	.quad	0x00cff3000000ffff	/* 0x30: ring 3 data */
tss_entry:				/* 0x38: TSS; below 4 GiB, too */
	.quad	0x0000890000000000 + TSS_LIMIT
	.quad	0
gdt_pointer:
	.word	. - gdt - 1
	.quad	gdt

	.align	8
idt:	.skip	6 * 16
	.globl	ud_gate
ud_gate:				/* 6: #UD; the address is below 4 GiB */
	.word	0, 0x08, 0x8e00, 0
	.quad	0
idt_pointer:
	.word	. - idt - 1
	.quad	idt

	/* SDM 1 §19.5.2: a permission bitmap of zeros opens every port. */
	.balign	8
tss:	.long	0
	.quad	ring0_stack_top		/* RSP0: of a handler */
	.skip	90
	.word	104			/* where the bitmap begins */
	.skip	65536 / 8
	.byte	0xff
tss_end:
	.set	TSS_LIMIT, tss_end - tss - 1

	.bss
	.align	16
	.skip	4096
ring0_stack_top:

	.section .note.GNU-stack, "", @progbits
