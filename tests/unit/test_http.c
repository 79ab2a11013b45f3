// SPDX-License-Identifier: Apache-2.0
/*
 * test_http.c - the HTTP reader: requests, limits, bytes that are none
 */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "vmm/http.h"

static struct http_reader reader;
static struct http_request request;

/* All of TEXT at once. */
static enum http_result read_text(const char *text)
{
	http_reader_init(&reader, HTTP_MAX_BODY);
	return http_read(&reader, text, strlen(text), &request);
}

static const struct {
	const char *text;
	enum http_method method;
	const char *path, *body;
} good[] = {
	{ "GET / HTTP/1.1\r\n\r\n", HTTP_GET, "/", "" },
	{ "GET /vm/config HTTP/1.0\r\n\r\n", HTTP_GET, "/vm/config", "" },
	{ "PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", HTTP_PUT, "/a",
	  "{}" },
	{ "PATCH /a HTTP/1.1\r\ncontent-length:\t3 \r\nX: y\r\n\r\nabcMORE",
	  HTTP_PATCH, "/a", "abc" },
	{ "DELETE /drives/a HTTP/1.1\r\nHost: localhost\r\n\r\n", HTTP_DELETE,
	  "/drives/a", "" },
	{ "GET http://localhost/version HTTP/1.1\r\n\r\n", HTTP_GET, "/version",
	  "" },
	{ "GET http://unix:80/a?b=%20 HTTP/1.1\r\n\r\n", HTTP_GET, "/a?b=%20",
	  "" },
	{ "PUT /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", HTTP_PUT, "/a", "" },
	{ "PUT /a HTTP/1.1\r\nContent-Length: 0000000004\r\n\r\n\r\n\r\n",
	  HTTP_PUT, "/a", "\r\n\r\n" },
	{ "GET /a HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", HTTP_GET,
	  "/a", "" },
	{ "GET /a HTTP/1.1\r\nEmpty:\r\nA: b:c\r\n\r\n", HTTP_GET, "/a", "" },
};

static void check_good(size_t i)
{
	ck_assert_msg(request.method == good[i].method, "%s", good[i].text);
	ck_assert_uint_eq(request.path_len, strlen(good[i].path));
	ck_assert_mem_eq(request.path, good[i].path, request.path_len);
	ck_assert_uint_eq(request.body_len, strlen(good[i].body));
	ck_assert_mem_eq(request.body, good[i].body, request.body_len);
}

START_TEST(requests)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(read_text(good[i].text) == HTTP_REQUEST, "%s: %s",
			      good[i].text, reader.error);
		check_good(i);
	}
}
END_TEST

/* However the bytes come, the same request is read at the same byte. */
START_TEST(byte_by_byte)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		size_t end;

		read_text(good[i].text);
		end = http_reader_end(&reader);
		http_reader_init(&reader, HTTP_MAX_BODY);
		for (size_t n = 0; n < end; n++)
			ck_assert_msg(http_read(&reader, good[i].text, n,
						&request) == HTTP_MORE,
				      "%s: byte %zu", good[i].text, n);
		ck_assert_int_eq(http_read(&reader, good[i].text, end,
					   &request),
				 HTTP_REQUEST);
		check_good(i);
	}
}
END_TEST

static const struct {
	const char *text, *error;
} bad[] = {
	{ "POST / HTTP/1.1\r\n\r\n", "HTTP Method" },
	{ "HEAD / HTTP/1.1\r\n\r\n", "HTTP Method" },
	{ "get / HTTP/1.1\r\n\r\n", "HTTP Method" },
	{ "\r\nGET / HTTP/1.1\r\n\r\n", "Invalid request" },
	{ "GET /\r\n\r\n", "Invalid request" },
	{ "GET  / HTTP/1.1\r\n\r\n", "Empty URI" },
	{ "GET / HTTP/1.1 \r\n\r\n", "HTTP Version" },
	{ "GET / HTTP/2.0\r\n\r\n", "HTTP Version" },
	{ "GET / http/1.1\r\n\r\n", "HTTP Version" },
	{ "GET a HTTP/1.1\r\n\r\n", "slash" },
	{ "GET http:// HTTP/1.1\r\n\r\n", "slash" },
	{ "GET http://host HTTP/1.1\r\n\r\n", "path is missing" },
	{ "GET /\x80 HTTP/1.1\r\n\r\n", "printable" },
	{ "GET /\t HTTP/1.1\r\n\r\n", "printable" },
	{ "GET / HTTP/1.1\r\nno colon\r\n\r\n", "formatted" },
	{ "GET / HTTP/1.1\r\n: x\r\n\r\n", "formatted" },
	{ "GET / HTTP/1.1\r\nA : x\r\n\r\n", "formatted" },
	{ "GET / HTTP/1.1\r\nA: x\r\n folded\r\n\r\n", "formatted" },
	{ "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "Content-Length" },
	{ "PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", "Content-Length" },
	{ "PUT / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", "Content-Length" },
	{ "PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", "Content-Length" },
	{ "PUT / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n", "Content-Length" },
	{ "PUT / HTTP/1.1\r\nContent-Length: 51201\r\n\r\n", "larger than" },
	{ "PUT / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
	  "larger than" },
	{ "PUT / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\n",
	  "Content-Length" },
	{ "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
	  "twice" },
	{ "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
	  "Transfer-Encoding" },
	{ "PUT / HTTP/1.1\r\nExpect: more\r\n\r\n", "Expect" },
};

START_TEST(no_requests)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(read_text(bad[i].text) == HTTP_BAD, "%s",
			      bad[i].text);
		ck_assert_msg(strstr(reader.error, bad[i].error), "%s: %s",
			      bad[i].text, reader.error);
	}
}
END_TEST

/* A line of COUNT bytes with its end, as the first or as a header. */
static enum http_result read_line(size_t count, bool header)
{
	static char text[4096];
	size_t n = 0;

	if (header)
		n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");
	http_reader_init(&reader, HTTP_MAX_BODY);
	memset(text + n, 'a', count);
	if (header)
		memcpy(text + n, "Name:", 5);
	else
		memcpy(text + n, "GET /", 5);
	if (!header)
		memcpy(text + count - 11, " HTTP/1.1", 9);
	memcpy(text + n + count - 2, "\r\n\r\n", 5);
	return http_read(&reader, text, strlen(text), &request);
}

START_TEST(line_limits)
{
	ck_assert_int_eq(read_line(HTTP_MAX_LINE, false), HTTP_REQUEST);
	ck_assert_int_eq(read_line(HTTP_MAX_LINE + 1, false), HTTP_BAD);
	ck_assert_int_eq(read_line(HTTP_MAX_LINE, true), HTTP_REQUEST);
	ck_assert_int_eq(read_line(HTTP_MAX_LINE + 1, true), HTTP_BAD);
}
END_TEST

/* Many short headers reach the limit of all of them; no end of line is as far
 * as a line may go.
 */
START_TEST(head_limits)
{
	static char text[HTTP_MAX_HEAD + 64];
	size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");

	while (n + 4 <= HTTP_MAX_HEAD - 2) {
		memcpy(text + n, "A:\r\n", 4);
		n += 4;
	}
	while (n < HTTP_MAX_HEAD - 2) {
		memmove(text + 17, text + 16, n++ - 16);
		text[16] = 'B';
	}
	memcpy(text + n, "\r\n", 2);
	http_reader_init(&reader, HTTP_MAX_BODY);
	ck_assert_int_eq(http_read(&reader, text, n + 2, &request),
			 HTTP_REQUEST);
	ck_assert_uint_eq(http_reader_end(&reader), HTTP_MAX_HEAD);
	memcpy(text + n, "A:\r\n\r\n", 6);
	http_reader_init(&reader, HTTP_MAX_BODY);
	ck_assert_int_eq(http_read(&reader, text, n + 6, &request), HTTP_BAD);

	memset(text, 'a', sizeof(text));
	http_reader_init(&reader, HTTP_MAX_BODY);
	ck_assert_int_eq(http_read(&reader, text, HTTP_MAX_LINE - 1, &request),
			 HTTP_MORE);
	ck_assert_int_eq(http_read(&reader, text, HTTP_MAX_LINE, &request),
			 HTTP_BAD);
}
END_TEST

START_TEST(expect_continue)
{
	static const char text[] = "PUT /a HTTP/1.1\r\nExpect: 100-Continue\r\n"
				   "Content-Length: 2\r\n\r\n";

	ck_assert_int_eq(read_text(text), HTTP_MORE);
	ck_assert(http_wants_continue(&reader));
	ck_assert(!http_wants_continue(&reader));
	/* Not before the head is whole, and not for nothing. */
	http_reader_init(&reader, HTTP_MAX_BODY);
	http_read(&reader, text, sizeof(text) - 2, &request);
	ck_assert(!http_wants_continue(&reader));
	read_text("PUT /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n");
	ck_assert(!http_wants_continue(&reader));
}
END_TEST

START_TEST(own_body_limit)
{
	static const char text[] =
		"PUT /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n";

	http_reader_init(&reader, 4);
	ck_assert_int_eq(http_read(&reader, text, strlen(text), &request),
			 HTTP_MORE);
	http_reader_init(&reader, 3);
	ck_assert_int_eq(http_read(&reader, text, strlen(text), &request),
			 HTTP_BAD);
}
END_TEST

START_TEST(heads)
{
	struct http_reply_head head = { .status = 204 };
	char buf[HTTP_REPLY_HEAD + 1];

	buf[http_format_head(&head, buf)] = '\0';
	ck_assert_str_eq(buf, "HTTP/1.1 204 \r\nServer: Firecracker API\r\n"
			      "Connection: keep-alive\r\n\r\n");
	head = (struct http_reply_head){
		.status = 400,
		.deprecated = true,
		.closing = true,
		.len = SIZE_MAX,
	};
	buf[http_format_head(&head, buf)] = '\0';
	ck_assert_str_eq(buf, "HTTP/1.1 400 \r\nServer: Firecracker API\r\n"
			      "Connection: close\r\nDeprecation: true\r\n"
			      "Content-Type: application/json\r\n"
			      "Content-Length: 18446744073709551615\r\n\r\n");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("http");
	TCase *tc = tcase_create("reader");

	tcase_add_test(tc, requests);
	tcase_add_test(tc, byte_by_byte);
	tcase_add_test(tc, no_requests);
	tcase_add_test(tc, line_limits);
	tcase_add_test(tc, head_limits);
	tcase_add_test(tc, expect_continue);
	tcase_add_test(tc, own_body_limit);
	tcase_add_test(tc, heads);
	suite_add_tcase(s, tc);
	return s;
}

UNIT_MAIN(suite)
