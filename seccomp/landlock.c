// SPDX-License-Identifier: Apache-2.0
/*
 * landlock.c - no file may be opened any more (landlock(7))
 *
 * A ruleset that handles every right and has no rule for any.  The rights are
 * given here as numbers: which there are depends on the host, not on the
 * headers.
 */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include <sys/syscall.h>

#include <linux/landlock.h>

#include "base/util.h"
#include "seccomp/landlock.h"

/* struct landlock_ruleset_attr of ABI 6; older kernels take its beginning. */
struct ruleset {
	uint64_t files, net, scoped;
};

/* How many rights of each kind an ABI version has: landlock(7). */
static const struct {
	uint8_t files, net, scoped;
	uint8_t size; /* of the ruleset */
} abi_table[] = {
	{ 13, 0, 0, 8 },  { 14, 0, 0, 8 },  { 15, 0, 0, 8 },
	{ 15, 2, 0, 16 }, { 16, 2, 0, 16 }, { 16, 2, 2, 24 },
};

static uint64_t all_of(unsigned int count)
{
	return (1ull << count) - 1;
}

int landlock_deny_all(const char **call)
{
	struct ruleset rules;
	long abi, fd, ret;

	*call = "landlock_create_ruleset";
	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
		      LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1)
		return abi < 0 ? -errno : -ENOSYS;
	/* What came after the table is more than we know to ask for. */
	abi = MIN(abi, (long)ARRAY_SIZE(abi_table)) - 1;
	rules = (struct ruleset){
		.files = all_of(abi_table[abi].files),
		.net = all_of(abi_table[abi].net),
		.scoped = all_of(abi_table[abi].scoped),
	};
	fd = syscall(SYS_landlock_create_ruleset, &rules,
		     (size_t)abi_table[abi].size, 0);
	if (fd < 0)
		return -errno;
	*call = "landlock_restrict_self";
	ret = syscall(SYS_landlock_restrict_self, (int)fd, 0) < 0 ? -errno : 0;
	close((int)fd);
	return (int)ret;
}
