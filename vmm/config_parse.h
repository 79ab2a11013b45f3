// SPDX-License-Identifier: Apache-2.0
/*
 * config_parse.h - what the files of config.c share: words to values
 *
 * Private to config.c, config_devices.c, config_limit.c and
 * config_jail.c.  A function that
 * returns false has refused: the one line for the operator is written.
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

/* A rate limit's words as they were given; 0: not given. */
struct limit_words {
	uint64_t rate, burst, ops, ops_burst;
};

/* What follows the '=' when FLAG is one of a rate limit's words, or NULL. */
const char *limit_word_tail(const char *flag);

/* Takes FLAG, which is such a word, into WORDS.  BEFORE is what the operator
 * wrote in front of it, up to the first letter.
 */
bool parse_limit(struct parse *p, const char *before, struct limit_words *words,
		 const char *flag);

/* All words are there: RATE is what they ask for. */
bool parse_limit_end(struct parse *p, const char *option,
		     const struct limit_words *words, struct rate_config *rate);

/* The arguments of -d, --balloon, --rng, --console, --net and --vsock; WORD is
 * cut up.
 */
bool parse_disk(struct parse *p, char *word);
bool parse_balloon(struct parse *p, char *word);
bool parse_rng(struct parse *p, char *word);
bool parse_console(struct parse *p, char *word);
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
