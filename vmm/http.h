// SPDX-License-Identifier: Apache-2.0
/*
 * http.h - a bounded HTTP/1.1 reader: bytes to requests, and heads of replies
 *
 * Pure: no descriptors, no allocation.  What is understood is what clients of
 * Firecracker send: GET, PUT, PATCH and DELETE, HTTP/1.0 and 1.1, bodies with a
 * Content-Length, `Expect: 100-continue`.  Every length has a limit, and bytes
 * that are no request are an error after which the stream means nothing.
 */
#ifndef MOTE_VMM_HTTP_H
#define MOTE_VMM_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_LINE 1024u  /* request line or header line, with its CR LF */
#define HTTP_MAX_HEAD 8192u  /* all of them */
#define HTTP_MAX_BODY 51200u /* unless told otherwise */

enum http_method { HTTP_GET, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

/* "GET" and so on. */
const char *http_method_name(enum http_method method);

/* A whole request; points into the bytes that were read. */
struct http_request {
	enum http_method method;
	const char *path; /* printable ASCII that begins with '/'; no NUL */
	size_t path_len;
	const char *body; /* any bytes */
	size_t body_len;
};

enum http_result {
	HTTP_MORE,    /* as far as it goes it may become a request */
	HTTP_REQUEST, /* there is one */
	HTTP_BAD,     /* there is none, and never will be */
};

/* Where the reader stands in a request. */
struct http_reader {
	size_t max_body;
	bool in_body;
	size_t at; /* start of the current line, or of the body */
	struct {
		enum http_method method;
		size_t path, path_len;
	} line;
	bool has_length;
	size_t body_len;
	bool expect;	 /* the client waits to be told to go on */
	char error[192]; /* one sentence, of JSON's harmless characters */
};

/* Ready for the first byte of a request. */
void http_reader_init(struct http_reader *r, size_t max_body);

/* Looks at the LEN bytes there are of a request, of which it has seen the first
 * ones before.  HTTP_REQUEST: REQUEST points into BUF and http_reader_end() is
 * where the next one begins.  HTTP_BAD: r->error says why.
 */
enum http_result http_read(struct http_reader *r, const char *buf, size_t len,
			   struct http_request *request);

/* After HTTP_REQUEST. */
size_t http_reader_end(const struct http_reader *r);

/* True once, when the client waits for "100 Continue". */
bool http_wants_continue(struct http_reader *r);

#define HTTP_CONTINUE                                                          \
	"HTTP/1.1 100 \r\nServer: Firecracker API\r\n"                         \
	"Connection: keep-alive\r\n\r\n"

#define HTTP_TOO_MANY                                                          \
	"HTTP/1.1 503 \r\nServer: Firecracker API\r\n"                         \
	"Connection: close\r\nContent-Length: 40\r\n\r\n"                      \
	"{ \"error\": \"Too many open connections\" }"

#define HTTP_REPLY_HEAD 256u /* bytes that a head may need */

struct http_reply_head {
	unsigned int status;
	bool deprecated; /* the request has a field that will go */
	bool closing;	 /* the connection ends with it */
	size_t len;	 /* of the JSON body; 0: there is none */
};

/* Writes the head into BUF (HTTP_REPLY_HEAD bytes); returns its length. */
size_t http_format_head(const struct http_reply_head *head, char *buf);

#endif
