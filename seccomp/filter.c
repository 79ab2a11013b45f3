// SPDX-License-Identifier: Apache-2.0
/*
 * filter.c - puts a thread under its filter
 */
#include <errno.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/util.h"
#include "seccomp/filter.h"

#define JUMP_IF_EQUAL (BPF_JMP | BPF_JEQ | BPF_K)

unsigned int seccomp_resolve(enum seccomp_kind kind,
			     struct sock_filter out[SECCOMP_MAX_LENGTH])
{
	const struct seccomp_program *program = &seccomp_programs[kind];
	uint32_t self = (uint32_t)getpid();

	assert(program->length <= SECCOMP_MAX_LENGTH);
	for (unsigned int i = 0; i < program->length; i++) {
		out[i] = program->code[i];
		if (out[i].code == JUMP_IF_EQUAL && out[i].k == SECCOMP_OWN_PID)
			out[i].k = self;
	}
	return program->length;
}

int seccomp_install(enum seccomp_kind kind)
{
	struct sock_filter code[SECCOMP_MAX_LENGTH];
	struct sock_fprog program = {
		.len = (unsigned short)seccomp_resolve(kind, code),
		.filter = code,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}
