// SPDX-License-Identifier: Apache-2.0
/*
 * schema.h - JSON objects to structs and back, by one table for each
 *
 * A struct that a schema describes begins with `uint32_t given`: bit n says
 * that field n of the table was there.  Numbers are uint64_t, words of a list
 * are unsigned int, texts are arrays of char with a final NUL.
 *
 * Objects are taken as serde takes them where Firecracker says
 * deny_unknown_fields: no unknown field, no duplicate (the parser's part), no
 * wrong type, no number beyond its type; `null` is as good as absent where a
 * field may be absent.
 */
#ifndef MOTE_VMM_SCHEMA_H
#define MOTE_VMM_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum field_kind {
	FIELD_BOOL,
	FIELD_UINT,
	FIELD_TEXT,
	FIELD_WORD,
	FIELD_OBJECT,
};

#define FIELD_REQUIRED	 1u
#define FIELD_DEPRECATED 2u /* the answer says so */
#define FIELD_QUIET	 4u /* not printed when it was not given */
#define FIELD_PRESET	 8u /* printed as its preset when it was not given */

struct schema;

struct field {
	const char *name;
	enum field_kind kind;
	unsigned int flags;
	size_t offset, size;
	uint64_t preset;	  /* when not given: a number, word or bool */
	uint64_t max;		  /* FIELD_UINT: of its type */
	const char *const *words; /* FIELD_WORD: ends with NULL */
	const struct schema *object; /* FIELD_OBJECT */
};

struct schema {
	const char *name; /* of the struct, as serde says it */
	const struct field *field;
	unsigned int nr_fields; /* at most 32 */
	size_t size;
	bool lenient; /* unknown fields are ignored */
};

/* The text that an object was parsed from, for places in it. */
struct schema_source {
	const char *text; /* NULL: no places are told */
	size_t len;
	char error[512];
	bool deprecated; /* a deprecated field was given */
};

/* Fills OBJECT (S->size bytes) from JSON, presets where nothing is given.
 * False: SOURCE->error says what is wrong.
 */
bool schema_parse(const struct schema *s, json_t *json, void *object,
		  struct schema_source *source);

/* A new JSON object with every field of OBJECT: null for what was not given and
 * has no preset.
 */
json_t *schema_print(const struct schema *s, const void *object);

/* OBJECT with nothing given, and the presets. */
void schema_init(const struct schema *s, void *object);

/* The field NAME, one of S's, counts as given. */
void schema_set(const struct schema *s, void *object, const char *name);

/* Whether the field NAME, one of S's, was given. */
bool schema_has(const struct schema *s, const void *object, const char *name);

/* The text of the field NAME, one of S's. */
const char *schema_text(const struct schema *s, const void *object,
			const char *name);

/* What was given in FROM, of the schema UPDATE, becomes INTO's, of S; fields go
 * by their names.
 */
void schema_merge(const struct schema *s, void *into,
		  const struct schema *update, const void *from);

#endif
