// SPDX-License-Identifier: Apache-2.0
/*
 * start-pvh.S - entry by PVH: 32-bit, flat, no paging, EBX is the start info
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
	pushl	%ebx
	call	guest_main
	call	pass

	.bss
	.align	16
	.skip	8192
	.globl	stack_top
stack_top:

	.section .note.GNU-stack, "", @progbits
