// SPDX-License-Identifier: Apache-2.0
/*
 * start-linux.S - entry by the Linux 64-bit protocol, ELF or bzImage
 *
 * As a bzImage the entry lies 0x200 bytes into the protected-mode code (Linux
 * boot protocol, 64-bit boot protocol) and the image may be moved, so nothing
 * here knows an absolute address.
 */
	.section .head, "ax"
	.code64
#ifdef BZIMAGE
	.skip	0x200, 0xf4
#endif
	.globl	_start
_start:
	leaq	stack_top(%rip), %rsp
	movq	%rsi, %rdi
	call	guest_main
	call	pass

	.bss
	.align	16
	.skip	8192
	.globl	stack_top
stack_top:

	.section .note.GNU-stack, "", @progbits
