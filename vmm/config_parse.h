// SPDX-License-Identifier: Apache-2.0
/*
 * config_parse.h - what config.c, config_devices.c and config_jail.c share
 *
 * Words to values.  Private to the three.  A function that returns false has
 * refused: the one line for the operator is written.
 */
#ifndef MOTE_VMM_CONFIG_PARSE_H
#define MOTE_VMM_CONFIG_PARSE_H

#include "vmm/config.h"

struct parse {
	struct vm_config *config; /* being filled */
	char *text;		  /* of the refusal */
	size_t len;
};

/* Writes the refusal; returns false. */
bool parse_refuse(struct parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Decimal digits only: no sign, no space, no 0x.  *END is what follows. */
bool parse_number(const char *word, uint64_t *value, const char **end);

/* Seconds with up to nine decimals, as nanoseconds. */
bool parse_seconds(const char *word, uint64_t *ns);

/* The arguments of -d, --balloon, --rng, --net and --vsock; WORD is cut up. */
bool parse_disk(struct parse *p, char *word);
bool parse_balloon(struct parse *p, char *word);
bool parse_rng(struct parse *p, char *word);
bool parse_net(struct parse *p, char *word);
bool parse_vsock(struct parse *p, char *word);

/* Those of --jail (WORD may be NULL), --uid, --gid, --cgroup, --netns and
 * --require; and whether all of them go together.
 */
bool parse_jail(struct parse *p, char *word);
bool parse_uid(struct parse *p, char *word);
bool parse_gid(struct parse *p, char *word);
bool parse_cgroup(struct parse *p, char *word);
bool parse_netns(struct parse *p, char *word);
bool parse_require(struct parse *p, char *word);
bool parse_jail_check(struct parse *p);

#endif
