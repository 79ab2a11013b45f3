// SPDX-License-Identifier: Apache-2.0
/*
 * json_pool.h - jansson without the heap, and where in a text something is
 *
 * Requests are read and answered while the guest runs, when nothing may be
 * allocated.  Between json_pool_open() and json_pool_close() all of jansson's
 * memory comes from a fixed pool that is emptied in one piece; no json_t made
 * in between may be used afterwards.  For the loop's thread.
 */
#ifndef MOTE_VMM_JSON_POOL_H
#define MOTE_VMM_JSON_POOL_H

#include <jansson.h>

#include "base/util.h"

/* The worst body of HTTP_MAX_BODY bytes that any endpoint wants needs a small
 * part of it; the rest is never touched, and costs nothing.
 */
#define JSON_POOL_SIZE (2u << 20)

/* Maps the pool, once; the same again is harmless.  0 or -ENOMEM.  Start-up
 * only.
 */
int json_pool_init(void);

void json_pool_open(void);
void json_pool_close(void);

/* One value from the LEN bytes of TEXT, or NULL: ERROR (SIZE bytes) then holds
 * what serde_json would have said, or as near as can be.
 */
json_t *json_pool_parse(const char *text, size_t len, char *error, size_t size);

/* A new string; what is not UTF-8 in TEXT becomes question marks. */
json_t *json_pool_string(const char *text);

enum json_part {
	JSON_KEY,   /* the end of the key */
	JSON_VALUE, /* the end of the value, or the start of a composite one */
	JSON_END,   /* the end of the value, composite or not */
};

#define JSON_PATH_DEPTH 4

/* The keys that lead from object to object; none: the whole text. */
struct json_path {
	const char *key[JSON_PATH_DEPTH];
	unsigned int depth;
};

/* Writes " at line L column C" into BUF: where PART of what PATH leads to is.
 * TEXT has been parsed without an error.  "" when it is not found.
 */
void json_place(const char *text, size_t len, const struct json_path *path,
		enum json_part part, char *buf, size_t size);

#endif
