// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_api.c - JSON bodies to the control API's structs, and back
 *
 * Any text is tried as each of the bodies there are.  One that is taken is
 * printed, and what is printed is taken again and prints the same; one that is
 * refused has a sentence.  Nothing comes from the heap.  What the structs would
 * do to the host is not done.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/api_call.h"
#include "vmm/json_pool.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_error(const char *error, size_t size)
{
	must(*error && strnlen(error, size) < size);
}

/* The fields of OBJECT, an S, as text; its length. */
static size_t print(const struct schema *s, const union api_body *object,
		    char *buf, size_t size)
{
	size_t len =
		json_dumpb(schema_print(s, object), buf, size, JSON_COMPACT);

	must(len > 0 && len <= size);
	return len;
}

static void again(const struct schema *s, const char *text, size_t len)
{
	static char second[HTTP_MAX_REPLY];
	static union api_body body;
	struct schema_source source = { .text = text, .len = len };
	json_t *json;

	json_pool_close();
	json_pool_open();
	json = json_pool_parse(text, len, source.error, sizeof(source.error));
	must(json && schema_parse(s, json, &body, &source));
	must(print(s, &body, second, sizeof(second)) == len);
	must(memcmp(text, second, len) == 0);
}

static void try_schema(const struct schema *s, const char *text, size_t len)
{
	static char first[HTTP_MAX_REPLY];
	static union api_body body;
	struct schema_source source = { .text = text, .len = len };
	json_t *json;

	json_pool_open();
	json = json_pool_parse(text, len, source.error, sizeof(source.error));
	if (!json || !schema_parse(s, json, &body, &source))
		check_error(source.error, sizeof(source.error));
	else
		again(s, first, print(s, &body, first, sizeof(first)));
	json_pool_close();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text;

	must(json_pool_init() == 0);
	if (len == 0 || len > HTTP_MAX_BODY)
		return 0;
	/* Of exactly that size, so that a byte more is seen. */
	text = malloc(len);
	must(text);
	memcpy(text, data, len);
	for (size_t i = 0; i < api_nr_endpoints; i++) {
		if (api_endpoints[i].body)
			try_schema(api_endpoints[i].body, text, len);
	}
	free(text);
	return 0;
}
