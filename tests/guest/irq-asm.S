// SPDX-License-Identifier: Apache-2.0
/*
 * irq-asm.S - interrupt entry and return without IRET
 *
 * KVM's interpreter has no IRET in protected mode.  The return swaps the frame
 * around instead, so that POPF and RET do the same for ring 0.
 */
	.section .text.irq, "ax"
	.code32

	.macro	entry n
irq_entry_\n:
	incl	irq_count + 4 * \n
	jmp	irq_return
	.endm

	entry	0
	entry	1
	entry	2
	entry	3
	entry	4
	entry	5
	entry	6
	entry	7

irq_return:
	pushl	%eax
	movl	$0, 0xfee000b0		/* end of interrupt */
	movl	4(%esp), %eax		/* EIP, CS, EFLAGS become ... */
	xchgl	12(%esp), %eax
	movl	%eax, 8(%esp)		/* ... -, EFLAGS, EIP */
	popl	%eax
	leal	4(%esp), %esp
	popfl
	ret

	.globl	irq_load_gdt
irq_load_gdt:
	lgdt	gdt_pointer
	ljmp	$0x08, $1f
1:	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	ret

	.section .rodata.irq, "a"
	.align	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x08: flat code */
	.quad	0x00cf93000000ffff	/* 0x10: flat data */
	.globl	gdt_pointer
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.align	4
	.globl	irq_entry
irq_entry:
	.long	irq_entry_0, irq_entry_1, irq_entry_2, irq_entry_3
	.long	irq_entry_4, irq_entry_5, irq_entry_6, irq_entry_7

	.section .note.GNU-stack, "", @progbits
