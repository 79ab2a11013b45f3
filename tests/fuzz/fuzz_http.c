// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_http.c - the HTTP reader: any bytes, in any pieces
 *
 * The first byte says how large the pieces are; the rest is the stream.  What
 * is read in pieces must be what is read at once, requests lie inside their
 * bytes and within the limits, and the next one begins where one ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "vmm/http.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_request(const struct http_request *request,
			  const struct http_reader *r, const char *buf,
			  size_t len)
{
	size_t end = http_reader_end(r);

	must(end <= len && end - request->body_len <= HTTP_MAX_HEAD);
	must(request->body_len <= HTTP_MAX_BODY);
	must(request->path >= buf && request->path_len > 0 &&
	     request->path_len < HTTP_MAX_LINE);
	must(request->path[0] == '/');
	for (size_t i = 0; i < request->path_len; i++)
		must(request->path[i] > ' ' && request->path[i] <= '~');
	must(request->body + request->body_len == buf + end);
	must(http_method_name(request->method) != NULL);
}

static void check_error(const struct http_reader *r)
{
	must(*r->error && strlen(r->error) < sizeof(r->error));
	for (const char *c = r->error; *c; c++)
		must(*c >= ' ' && *c <= '~' && *c != '"' && *c != '\\');
}

/* All of BUF at once; the pieces end at each STEP-th byte. */
static enum http_result read_in_pieces(struct http_reader *r, const char *buf,
				       size_t len, size_t step,
				       struct http_request *request)
{
	enum http_result result = HTTP_MORE;

	http_reader_init(r, HTTP_MAX_BODY);
	for (size_t n = 0; n < len && result == HTTP_MORE;) {
		char *copy;

		n = MIN(n + step, len);
		/* Of exactly that size, so that a byte more is seen. */
		copy = malloc(n);
		must(copy);
		memcpy(copy, buf, n);
		result = http_read(r, copy, n, request);
		if (result == HTTP_REQUEST)
			check_request(request, r, copy, n);
		free(copy);
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct http_reader one, many;
	struct http_request request;
	enum http_result result;
	size_t step;

	if (len < 2)
		return 0;
	step = 1 + data[0];
	data++;
	len--;
	for (int i = 0; i < 16 && len > 0; i++) {
		const char *buf = (const char *)data;
		bool waits;

		http_reader_init(&one, HTTP_MAX_BODY);
		result = http_read(&one, buf, len, &request);
		waits = http_wants_continue(&one);
		must(!waits || (result != HTTP_BAD && one.body_len > 0));
		must(!http_wants_continue(&one));
		must(read_in_pieces(&many, buf, len, step, &request) == result);
		if (result == HTTP_BAD) {
			check_error(&one);
			must(strcmp(one.error, many.error) == 0);
		}
		if (result != HTTP_REQUEST)
			break;
		must(http_reader_end(&one) == http_reader_end(&many));
		must(http_reader_end(&one) > 0);
		data += http_reader_end(&one);
		len -= http_reader_end(&one);
	}
	return 0;
}
