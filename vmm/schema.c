// SPDX-License-Identifier: Apache-2.0
/*
 * schema.c - JSON objects to structs and back, by one table for each
 *
 * The texts of refusals are serde's, because clients print them and tests of
 * clients compare them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "vmm/json_pool.h"
#include "vmm/schema.h"

/* One object being read, and the way to it. */
struct parse {
	struct schema_source *source;
	struct json_path path;
};

PRINTF_LIKE(3, 4)
static bool schema_refuse(struct parse *p, enum json_part part, const char *fmt,
			  ...)
{
	struct schema_source *source = p->source;
	char place[48] = "", what[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (source->text)
		json_place(source->text, source->len, &p->path, part, place,
			   sizeof(place));
	snprintf(source->error, sizeof(source->error), "%s%s", what, place);
	return false;
}

/* serde's words for what is there. */
static void describe(const json_t *json, char *buf, size_t size)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		snprintf(buf, size, "map");
		return;
	case JSON_ARRAY:
		snprintf(buf, size, "sequence");
		return;
	case JSON_STRING:
		snprintf(buf, size, "string \"%.100s\"",
			 json_string_value(json));
		return;
	case JSON_INTEGER:
		snprintf(buf, size, "integer `%lld`",
			 (long long)json_integer_value(json));
		return;
	case JSON_REAL:
		snprintf(buf, size, "floating point `%g`",
			 json_real_value(json));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(buf, size, "boolean `%s`",
			 json_is_true(json) ? "true" : "false");
		return;
	case JSON_NULL:
		snprintf(buf, size, "null");
		return;
	}
}

static bool wrong_type(struct parse *p, const json_t *json, const char *wanted)
{
	char what[160];

	describe(json, what, sizeof(what));
	return schema_refuse(p, JSON_VALUE, "invalid type: %s, expected %s",
			     what, wanted);
}

/* And what a number should have been. */
static const char *uint_name(uint64_t max)
{
	switch (max) {
	case UINT8_MAX:
		return "u8";
	case UINT16_MAX:
		return "u16";
	case UINT32_MAX:
		return "u32";
	default:
		return "u64";
	}
}

static bool take_uint(struct parse *p, const struct field *f,
		      const json_t *json, void *to)
{
	json_int_t value = json_integer_value(json);

	if (!json_is_integer(json))
		return wrong_type(p, json, uint_name(f->max));
	if (value < 0 || (uint64_t)value > f->max)
		return schema_refuse(p, JSON_VALUE,
				     "invalid value: integer `%lld`, expected "
				     "%s",
				     (long long)value, uint_name(f->max));
	*(uint64_t *)to = (uint64_t)value;
	return true;
}

static bool take_text(struct parse *p, const struct field *f,
		      const json_t *json, void *to)
{
	size_t len = json_string_length(json);

	if (!json_is_string(json))
		return wrong_type(p, json, "a string");
	if (len >= f->size)
		return schema_refuse(p, JSON_VALUE,
				     "invalid length %zu, expected a string of "
				     "at most %zu bytes",
				     len, f->size - 1);
	memcpy(to, json_string_value(json), len + 1);
	return true;
}

/* "`a`", "`a` or `b`", "one of `a`, `b`, `c`". */
static void list_names(char *buf, size_t size, const char *const *names,
		       unsigned int nr)
{
	size_t len = 0;

	buf[0] = '\0';
	if (nr > 2)
		len = (size_t)snprintf(buf, size, "one of ");
	for (unsigned int i = 0; i < nr && len < size; i++) {
		const char *between = i == 0 ? "" : nr == 2 ? " or " : ", ";

		len += (size_t)snprintf(buf + len, size - len, "%s`%s`",
					between, names[i]);
	}
}

static bool take_word(struct parse *p, const struct field *f,
		      const json_t *json, void *to)
{
	unsigned int nr = 0;
	char names[160];

	if (!json_is_string(json))
		return wrong_type(p, json, "variant identifier");
	for (; f->words[nr]; nr++) {
		if (strcmp(f->words[nr], json_string_value(json)) == 0) {
			*(unsigned int *)to = nr;
			return true;
		}
	}
	list_names(names, sizeof(names), f->words, nr);
	return schema_refuse(p, JSON_VALUE,
			     "unknown variant `%.80s`, expected %s",
			     json_string_value(json), names);
}

/* The tables end the recursion, not the text: a schema that has itself for a
 * field does not exist.
 */
/* NOLINTBEGIN(misc-no-recursion) */
static bool take_object(struct parse *p, const struct schema *s, json_t *json,
			void *object);

static bool take_field(struct parse *p, const struct field *f, json_t *json,
		       void *to)
{
	switch (f->kind) {
	case FIELD_BOOL:
		if (!json_is_boolean(json))
			return wrong_type(p, json, "a boolean");
		*(bool *)to = json_is_true(json);
		return true;
	case FIELD_UINT:
		return take_uint(p, f, json, to);
	case FIELD_TEXT:
		return take_text(p, f, json, to);
	case FIELD_WORD:
		return take_word(p, f, json, to);
	case FIELD_OBJECT:
		return take_object(p, f->object, json, to);
	}
	return false;
}

static bool unknown_field(struct parse *p, const struct schema *s)
{
	const char *name[32];
	char names[320];

	for (unsigned int i = 0; i < s->nr_fields; i++)
		name[i] = s->field[i].name;
	list_names(names, sizeof(names), name, s->nr_fields);
	return schema_refuse(p, JSON_KEY, "unknown field `%.60s`, expected %s",
			     p->path.key[p->path.depth - 1], names);
}

void schema_init(const struct schema *s, void *object)
{
	memset(object, 0, s->size);
	for (unsigned int i = 0; i < s->nr_fields; i++) {
		const struct field *f = &s->field[i];
		void *to = (char *)object + f->offset;

		if (f->kind == FIELD_UINT)
			*(uint64_t *)to = f->preset;
		else if (f->kind == FIELD_WORD)
			*(unsigned int *)to = (unsigned int)f->preset;
		else if (f->kind == FIELD_BOOL)
			*(bool *)to = f->preset;
	}
}

static bool take_member(struct parse *p, const struct schema *s, json_t *json,
			void *object)
{
	const char *key = p->path.key[p->path.depth - 1];
	unsigned int i = 0;

	while (i < s->nr_fields && strcmp(s->field[i].name, key) != 0)
		i++;
	if (i == s->nr_fields)
		return s->lenient || unknown_field(p, s);
	if (json_is_null(json) && !(s->field[i].flags & FIELD_REQUIRED))
		return true;
	*(uint32_t *)object |= 1u << i;
	if (s->field[i].flags & FIELD_DEPRECATED)
		p->source->deprecated = true;
	return take_field(p, &s->field[i], json,
			  (char *)object + s->field[i].offset);
}

static bool take_object(struct parse *p, const struct schema *s, json_t *json,
			void *object)
{
	char wanted[64];
	const char *key;
	json_t *value;

	snprintf(wanted, sizeof(wanted), "struct %s", s->name);
	if (!json_is_object(json))
		return wrong_type(p, json, wanted);
	schema_init(s, object);
	json_object_foreach(json, key, value)
	{
		bool ok;

		p->path.key[p->path.depth++] = key;
		ok = take_member(p, s, value, object);
		p->path.depth--;
		if (!ok)
			return false;
	}
	for (unsigned int i = 0; i < s->nr_fields; i++) {
		if (s->field[i].flags & FIELD_REQUIRED &&
		    !(*(uint32_t *)object >> i & 1))
			return schema_refuse(p, JSON_END, "missing field `%s`",
					     s->field[i].name);
	}
	return true;
}

/* NOLINTEND(misc-no-recursion) */

bool schema_parse(const struct schema *s, json_t *json, void *object,
		  struct schema_source *source)
{
	struct parse p = { .source = source };

	return take_object(&p, s, json, object);
}

/* NOLINTBEGIN(misc-no-recursion): likewise */
static json_t *print_field(const struct field *f, const void *from)
{
	switch (f->kind) {
	case FIELD_BOOL:
		return json_boolean(*(const bool *)from);
	case FIELD_UINT:
		return json_integer((json_int_t)(*(const uint64_t *)from));
	case FIELD_TEXT:
		return json_pool_string(from);
	case FIELD_WORD:
		return json_string(f->words[*(const unsigned int *)from]);
	case FIELD_OBJECT:
		return schema_print(f->object, from);
	}
	return NULL;
}

json_t *schema_print(const struct schema *s, const void *object)
{
	json_t *json = json_object();

	for (unsigned int i = 0; i < s->nr_fields; i++) {
		const struct field *f = &s->field[i];
		bool given = *(const uint32_t *)object >> i & 1;

		if (given || f->flags & FIELD_PRESET)
			json_object_set_new(
				json, f->name,
				print_field(f,
					    (const char *)object + f->offset));
		else if (!(f->flags & FIELD_QUIET))
			json_object_set_new(json, f->name, json_null());
	}
	return json;
}

/* NOLINTEND(misc-no-recursion) */

/* The field NAME of S, or NULL. */
static const struct field *find_field(const struct schema *s, const char *name)
{
	for (unsigned int i = 0; i < s->nr_fields; i++) {
		if (strcmp(s->field[i].name, name) == 0)
			return &s->field[i];
	}
	return NULL;
}

void schema_set(const struct schema *s, void *object, const char *name)
{
	const struct field *f = find_field(s, name);

	assert(f);
	*(uint32_t *)object |= 1u << (f - s->field);
}

bool schema_has(const struct schema *s, const void *object, const char *name)
{
	const struct field *f = find_field(s, name);

	assert(f);
	return *(const uint32_t *)object >> (f - s->field) & 1;
}

const char *schema_text(const struct schema *s, const void *object,
			const char *name)
{
	const struct field *f = find_field(s, name);

	assert(f && f->kind == FIELD_TEXT);
	return (const char *)object + f->offset;
}

void schema_merge(const struct schema *s, void *into,
		  const struct schema *update, const void *from)
{
	uint32_t given = *(const uint32_t *)from;

	for (unsigned int i = 0; i < update->nr_fields; i++) {
		const struct field *f = &update->field[i];
		const struct field *to = find_field(s, f->name);

		if (!to || !(given >> i & 1))
			continue;
		memcpy((char *)into + to->offset,
		       (const char *)from + f->offset, f->size);
		*(uint32_t *)into |= 1u << (to - s->field);
	}
}
