// SPDX-License-Identifier: Apache-2.0
/*
 * bpf.c - a small interpreter of classic BPF as seccomp filters use it
 */
#include <string.h>

#include "tests/unit/bpf.h"

#define LOAD	    (BPF_LD | BPF_W | BPF_ABS)
#define AND	    (BPF_ALU | BPF_AND | BPF_K)
#define RETURN	    (BPF_RET | BPF_K)
#define JUMP	    (BPF_JMP | BPF_JA)
#define IF_EQUAL    (BPF_JMP | BPF_JEQ | BPF_K)
#define IF_GREATER  (BPF_JMP | BPF_JGT | BPF_K)
#define IF_NOT_LESS (BPF_JMP | BPF_JGE | BPF_K)
#define IF_BITS	    (BPF_JMP | BPF_JSET | BPF_K)

bool bpf_valid(const struct sock_filter *code, unsigned int length)
{
	for (unsigned int i = 0; i < length; i++) {
		const struct sock_filter *f = &code[i];

		switch (f->code) {
		case LOAD:
			if (f->k % 4 || f->k >= sizeof(struct seccomp_data))
				return false;
			break;
		case AND:
		case RETURN:
			break;
		case JUMP:
			if (f->k >= length - i - 1)
				return false;
			break;
		case IF_EQUAL:
		case IF_GREATER:
		case IF_NOT_LESS:
		case IF_BITS:
			if (i + 1 + f->jt >= length || i + 1 + f->jf >= length)
				return false;
			break;
		default:
			return false;
		}
	}
	return length > 0 && code[length - 1].code == RETURN;
}

uint32_t bpf_run(const struct sock_filter *code,
		 const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (;; code++) {
		switch (code->code) {
		case LOAD:
			memcpy(&a, (const uint8_t *)data + code->k, sizeof(a));
			break;
		case AND:
			a &= code->k;
			break;
		case RETURN:
			return code->k;
		case JUMP:
			code += code->k;
			break;
		case IF_EQUAL:
			code += a == code->k ? code->jt : code->jf;
			break;
		case IF_GREATER:
			code += a > code->k ? code->jt : code->jf;
			break;
		case IF_NOT_LESS:
			code += a >= code->k ? code->jt : code->jf;
			break;
		case IF_BITS:
			code += a & code->k ? code->jt : code->jf;
			break;
		}
	}
}
