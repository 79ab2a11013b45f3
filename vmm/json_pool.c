// SPDX-License-Identifier: Apache-2.0
/*
 * json_pool.c - jansson without the heap, and where in a text something is
 *
 * The pool only grows until it is emptied; freeing the youngest block gives it
 * back, which is what jansson's growing buffers do most.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/random.h>

#include "vmm/json_pool.h"

#define POOL_ALIGN   16u
#define POOL_KEEP    (256u << 10)
#define POOL_TOO_BIG "the JSON text holds more values than there is room for"

/* jansson's hooks have no argument of their own. */
static struct {
	char *bytes; /* JSON_POOL_SIZE; NULL before json_pool_init() */
	size_t used, youngest;
} pool;

static void *pool_malloc(size_t size)
{
	void *block;

	if (size > JSON_POOL_SIZE - pool.used - POOL_ALIGN)
		return NULL;
	pool.youngest = pool.used;
	block = pool.bytes + pool.used;
	pool.used += ALIGN_UP(size, POOL_ALIGN);
	return block;
}

static void pool_free(void *block)
{
	if (block == pool.bytes + pool.youngest)
		pool.used = pool.youngest;
}

int json_pool_init(void)
{
	size_t seed = 0;
	void *bytes;

	if (pool.bytes)
		return 0;
	bytes = mmap(NULL, JSON_POOL_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		return -ENOMEM;
	pool.bytes = bytes;
	/* Left alone, jansson would open /dev/urandom at some later time. */
	if (getrandom(&seed, sizeof(seed), 0) > 0)
		json_object_seed(seed | 1);
	return 0;
}

void json_pool_open(void)
{
	json_set_alloc_funcs(pool_malloc, pool_free);
}

void json_pool_close(void)
{
	json_set_alloc_funcs(malloc, free);
	/* One big request is no reason to hold its pages for ever. */
	if (pool.used > POOL_KEEP)
		madvise(pool.bytes + POOL_KEEP, JSON_POOL_SIZE - POOL_KEEP,
			MADV_DONTNEED);
	pool.used = 0;
	pool.youngest = 0;
}

/* The duplicated key is the token that ends where jansson stopped. */
static void name_duplicate(const char *text, const json_error_t *at,
			   char *error, size_t size)
{
	const char *end = text + at->position - 1, *start = end;

	if (at->position < 2)
		start = end = text;
	while (start > text && start[-1] != '"')
		start--;
	snprintf(error, size, "duplicate field `%.*s` at line %d column %d",
		 (int)MIN(end - start, 80), start, at->line, at->column);
}

json_t *json_pool_parse(const char *text, size_t len, char *error, size_t size)
{
	json_error_t at = { .line = 1 };
	json_t *json = json_loadb(
		text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
	const char *what = at.text;

	if (json)
		return json;
	switch (json_error_code(&at)) {
	case json_error_duplicate_key:
		name_duplicate(text, &at, error, size);
		return NULL;
	case json_error_out_of_memory:
	case json_error_unknown:
		what = POOL_TOO_BIG;
		break;
	case json_error_premature_end_of_input:
		what = "EOF while parsing a value";
		break;
	case json_error_end_of_input_expected:
		what = "trailing characters";
		break;
	case json_error_invalid_utf8:
		what = "invalid unicode code point";
		break;
	case json_error_numeric_overflow:
		what = "number out of range";
		break;
	default:
		break;
	}
	snprintf(error, size, "%s at line %d column %d", what, at.line,
		 MAX(at.column, 0));
	return NULL;
}

json_t *json_pool_string(const char *text)
{
	json_t *json = json_string(text);
	char plain[512];
	size_t i;

	if (json)
		return json;
	for (i = 0; i < sizeof(plain) - 1 && text[i]; i++)
		plain[i] = text[i] & 0x80 ? '?' : text[i];
	plain[i] = '\0';
	return json_string(plain);
}

/* --- places: a walk over text that is known to be JSON ------------------- */

struct walk {
	const char *at, *end;
};

static void walk_blanks(struct walk *w)
{
	while (w->at < w->end && strchr(" \t\r\n", *w->at) && *w->at)
		w->at++;
}

/* Past the closing quote of a string. */
static void walk_string(struct walk *w)
{
	for (w->at++; w->at < w->end && *w->at != '"'; w->at++) {
		if (*w->at == '\\' && w->at + 1 < w->end)
			w->at++;
	}
	if (w->at < w->end)
		w->at++;
}

static void walk_value(struct walk *w)
{
	unsigned int depth = 0;

	while (w->at < w->end) {
		char c = *w->at;

		if (c == '"') {
			walk_string(w);
		} else if (c == '{' || c == '[') {
			depth++;
			w->at++;
		} else if (strchr(",}] \t\r\n", c) && depth == 0) {
			return;
		} else {
			depth -= c == '}' || c == ']';
			w->at++;
		}
		if (depth == 0 && strchr("\"}]", c))
			return;
	}
}

/* From a '{' to the value of its member NAME; the key ends at *KEY_END. */
static bool walk_member(struct walk *w, const char *name, const char **key_end)
{
	if (w->at == w->end || *w->at != '{')
		return false;
	for (w->at++;; w->at++) {
		const char *key;
		size_t len;

		walk_blanks(w);
		if (w->at == w->end || *w->at != '"')
			return false;
		key = w->at + 1;
		walk_string(w);
		*key_end = w->at;
		len = (size_t)(w->at - key) - 1;
		walk_blanks(w);
		w->at += w->at < w->end;
		walk_blanks(w);
		if (strlen(name) == len && memcmp(key, name, len) == 0)
			return true;
		walk_value(w);
		walk_blanks(w);
		if (w->at == w->end || *w->at != ',')
			return false;
	}
}

void json_place(const char *text, size_t len, const struct json_path *path,
		enum json_part part, char *buf, size_t size)
{
	struct walk w = { text, text + len };
	const char *key_end = text, *line = text;
	unsigned int lines = 1;

	*buf = '\0';
	walk_blanks(&w);
	for (unsigned int i = 0; i < path->depth; i++) {
		if (!walk_member(&w, path->key[i], &key_end))
			return;
	}
	if (part == JSON_KEY)
		w.at = key_end;
	else if (part == JSON_END ||
		 (w.at < w.end && *w.at != '{' && *w.at != '['))
		walk_value(&w);
	for (const char *c = text; c < w.at; c++) {
		if (*c == '\n') {
			lines++;
			line = c + 1;
		}
	}
	snprintf(buf, size, " at line %u column %zu", lines,
		 (size_t)(w.at - line));
}
