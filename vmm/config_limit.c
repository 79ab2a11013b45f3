// SPDX-License-Identifier: Apache-2.0
/*
 * config_limit.c - rate limits, in the same words for every device
 *
 *	rate=SIZE		bytes a second
 *	burst=SIZE		bytes once at first, besides
 *	ops=N			operations a second
 *	ops-burst=N		operations once at first, besides
 *
 * Each stands between the commas of its device's own words.
 */
#include <string.h>

#include "vmm/config_parse.h"

static bool parse_count(const char *word, uint64_t *n)
{
	const char *end;

	return parse_number(word, n, &end) && *end == '\0';
}

const char *limit_word_tail(const char *flag)
{
	static const char *const name[] = { "rate=", "burst=", "ops=",
					    "ops-burst=" };

	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		if (strncmp(flag, name[i], strlen(name[i])) == 0)
			return flag + strlen(name[i]);
	}
	return NULL;
}

bool parse_limit(struct parse *p, const char *before, struct limit_words *words,
		 const char *flag)
{
	const char *value = limit_word_tail(flag);
	bool bytes = *flag == 'r' || *flag == 'b';
	uint64_t n;

	if (bytes ? !config_parse_size(value, &n) : !parse_count(value, &n))
		n = 0;
	if (n == 0)
		return parse_refuse(p,
				    bytes ? "%s%s: give a size above 0, e.g. "
					    "512K or 10M"
					  : "%s%s: give a number above 0",
				    before, flag);
	if (*flag == 'r')
		words->rate = n;
	else if (*flag == 'b')
		words->burst = n;
	else if (flag[3] == '=')
		words->ops = n;
	else
		words->ops_burst = n;
	return true;
}

bool parse_limit_end(struct parse *p, const char *option,
		     const struct limit_words *words, struct rate_config *rate)
{
	if (words->burst && !words->rate)
		return parse_refuse(p, "%s: burst= needs rate=", option);
	if (words->ops_burst && !words->ops)
		return parse_refuse(p, "%s: ops-burst= needs ops=", option);
	rate->bytes = rate_bucket_of(words->rate, words->burst);
	rate->ops = rate_bucket_of(words->ops, words->ops_burst);
	return true;
}
