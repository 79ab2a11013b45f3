// SPDX-License-Identifier: Apache-2.0
/*
 * http.c - a bounded HTTP/1.1 reader (RFC 9112)
 *
 * A line at a time, each looked for from where it starts, so that a client that
 * sends byte by byte costs a line's length a byte.  Whatever two readers of one
 * stream might understand differently is an error: a second Content-Length, a
 * Transfer-Encoding, a blank before the colon, a lone line feed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "vmm/http.h"

static const char *const method_names[] = {
	[HTTP_GET] = "GET",
	[HTTP_PUT] = "PUT",
	[HTTP_PATCH] = "PATCH",
	[HTTP_DELETE] = "DELETE",
};

/* A part of a line. */
struct text {
	const char *at;
	size_t len;
};

const char *http_method_name(enum http_method method)
{
	return method_names[method];
}

void http_reader_init(struct http_reader *r, size_t max_body)
{
	*r = (struct http_reader){ .max_body = max_body };
}

PRINTF_LIKE(2, 3)
static bool http_refuse(struct http_reader *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->error, sizeof(r->error), fmt, args);
	va_end(args);
	return false;
}

static bool text_is(struct text t, const char *word)
{
	return t.len == strlen(word) && memcmp(t.at, word, t.len) == 0;
}

/* Header names and their words have no case (RFC 9110 §5.1). */
static bool text_is_word(struct text t, const char *word)
{
	return t.len == strlen(word) && strncasecmp(t.at, word, t.len) == 0;
}

/* The part of LINE before the first C, which is cut off with it. */
static bool text_cut(struct text *line, char c, struct text *part)
{
	const char *end = memchr(line->at, c, line->len);

	if (!end)
		return false;
	*part = (struct text){ line->at, (size_t)(end - line->at) };
	line->at = end + 1;
	line->len -= part->len + 1;
	return true;
}

static struct text text_trim(struct text t)
{
	while (t.len > 0 && (*t.at == ' ' || *t.at == '\t')) {
		t.at++;
		t.len--;
	}
	while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t'))
		t.len--;
	return t;
}

/* "/path", or "http://host/path" of which only the path counts. */
static bool take_target(struct http_reader *r, const char *buf,
			struct text target)
{
	static const char scheme[] = "http://";
	size_t n = sizeof(scheme) - 1;

	if (target.len == 0)
		return http_refuse(r, "Invalid URI: Empty URI not allowed.");
	for (size_t i = 0; i < target.len; i++) {
		if (target.at[i] <= ' ' || target.at[i] > '~')
			return http_refuse(
				r, "Invalid URI: Only printable ASCII is "
				   "allowed.");
	}
	if (target.len > n && memcmp(target.at, scheme, n) == 0) {
		const char *slash = memchr(target.at + n, '/', target.len - n);

		if (!slash)
			return http_refuse(r, "Invalid URI: The path is "
					      "missing.");
		target.len -= (size_t)(slash - target.at);
		target.at = slash;
	}
	if (*target.at != '/')
		return http_refuse(r, "Invalid URI: The path must begin with "
				      "a slash.");
	r->line.path = (size_t)(target.at - buf);
	r->line.path_len = target.len;
	return true;
}

static bool take_method(struct http_reader *r, struct text method)
{
	for (size_t i = 0; i < ARRAY_SIZE(method_names); i++) {
		if (text_is(method, method_names[i])) {
			r->line.method = (enum http_method)i;
			return true;
		}
	}
	return http_refuse(r, "Invalid HTTP Method: Unsupported HTTP method.");
}

/* RFC 9112 §3: method, target and version, a space between them. */
static bool take_request_line(struct http_reader *r, const char *buf,
			      struct text line)
{
	struct text method, target;

	if (!text_cut(&line, ' ', &method) || !text_cut(&line, ' ', &target))
		return http_refuse(r, "Invalid request.");
	if (!take_method(r, method) || !take_target(r, buf, target))
		return false;
	if (!text_is(line, "HTTP/1.1") && !text_is(line, "HTTP/1.0"))
		return http_refuse(r, "Invalid HTTP Version: Unsupported HTTP "
				      "version.");
	return true;
}

static bool take_length(struct http_reader *r, struct text value)
{
	size_t n = 0;

	if (r->has_length)
		return http_refuse(r, "Invalid header. Reason: Content-Length "
				      "is given twice.");
	if (value.len == 0 || value.len > 10)
		return http_refuse(r, "Invalid header. Reason: Invalid value. "
				      "Key:Content-Length");
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return http_refuse(r, "Invalid header. Reason: Invalid "
					      "value. Key:Content-Length");
		n = n * 10 + (size_t)(value.at[i] - '0');
	}
	if (n > r->max_body)
		return http_refuse(r,
				   "Request payload with size %zu is larger "
				   "than the limit of %zu allowed by server.",
				   n, r->max_body);
	r->has_length = true;
	r->body_len = n;
	return true;
}

static bool take_header(struct http_reader *r, struct text line)
{
	struct text name;

	if (!text_cut(&line, ':', &name) || name.len == 0 ||
	    text_trim(name).len != name.len)
		return http_refuse(r, "Invalid header. Reason: Header is "
				      "incorrectly formatted.");
	line = text_trim(line);
	if (text_is_word(name, "Content-Length"))
		return take_length(r, line);
	if (text_is_word(name, "Transfer-Encoding") &&
	    !text_is_word(line, "identity"))
		return http_refuse(r, "Invalid header. Reason: Unsupported "
				      "feature. Key: Transfer-Encoding");
	if (text_is_word(name, "Expect")) {
		if (!text_is_word(line, "100-continue"))
			return http_refuse(r, "Invalid header. Reason: "
					      "Unsupported feature. Key: "
					      "Expect");
		r->expect = true;
	}
	return true;
}

/* The line that starts at r->at, without its end.  False when there is none
 * yet, or none within its limit: r->error is set then.
 */
static bool next_line(struct http_reader *r, const char *buf, size_t len,
		      struct text *line)
{
	size_t most = MIN(HTTP_MAX_LINE, HTTP_MAX_HEAD - r->at);
	size_t room = MIN(len - r->at, most);
	const char *start = buf + r->at;
	const char *end = memmem(start, room, "\r\n", 2);

	if (!end && room == most)
		return http_refuse(r, "Invalid request.");
	if (!end)
		return false;
	*line = (struct text){ start, (size_t)(end - start) };
	return true;
}

enum http_result http_read(struct http_reader *r, const char *buf, size_t len,
			   struct http_request *request)
{
	struct text line = { buf, 0 };

	while (!r->in_body) {
		bool ok = true;

		if (!next_line(r, buf, len, &line))
			return *r->error ? HTTP_BAD : HTTP_MORE;
		if (r->line.path_len == 0)
			ok = take_request_line(r, buf, line);
		else if (line.len > 0)
			ok = take_header(r, line);
		else
			r->in_body = true;
		if (!ok)
			return HTTP_BAD;
		r->at += line.len + 2;
	}
	if (len - r->at < r->body_len)
		return HTTP_MORE;
	*request = (struct http_request){
		.method = r->line.method,
		.path = buf + r->line.path,
		.path_len = r->line.path_len,
		.body = buf + r->at,
		.body_len = r->body_len,
	};
	return HTTP_REQUEST;
}

size_t http_reader_end(const struct http_reader *r)
{
	return r->at + r->body_len;
}

bool http_wants_continue(struct http_reader *r)
{
	bool wants = r->expect && r->in_body && r->body_len > 0;

	if (wants)
		r->expect = false;
	return wants;
}

size_t http_format_head(const struct http_reply_head *head, char *buf)
{
	size_t room = HTTP_REPLY_HEAD;
	int n = snprintf(buf, room,
			 "HTTP/1.1 %u \r\nServer: Firecracker API\r\n"
			 "Connection: %s\r\n%s",
			 head->status, head->closing ? "close" : "keep-alive",
			 head->deprecated ? "Deprecation: true\r\n" : "");

	if (head->len > 0)
		n += snprintf(buf + n, room - (size_t)n,
			      "Content-Type: application/json\r\n"
			      "Content-Length: %zu\r\n",
			      head->len);
	n += snprintf(buf + n, room - (size_t)n, "\r\n");
	return (size_t)n;
}
