// SPDX-License-Identifier: Apache-2.0
/*
 * http_server.h - a Unix socket on which requests are answered, on the loop
 *
 * At most HTTP_MAX_CONNECTIONS clients, each with fixed buffers.  One request
 * is answered at a time and in order; a client that does not read its answer is
 * not read from any more, and nobody waits for it.
 */
#ifndef MOTE_VMM_HTTP_SERVER_H
#define MOTE_VMM_HTTP_SERVER_H

#include <sys/types.h>
#include <sys/un.h>

#include "base/loop.h"
#include "vmm/http.h"

#define HTTP_MAX_CONNECTIONS 10
#define HTTP_MAX_REPLY	     (128u << 10)

struct http_server;

/* What a request is answered with. */
struct http_reply {
	unsigned int status;
	bool deprecated;
	size_t len; /* of the body; 0: none */
	char *body; /* HTTP_MAX_REPLY bytes to be filled */
};

struct http_connection {
	struct http_server *server; /* NULL: free */
	struct loop_source source;
	struct http_reader reader;
	bool again;  /* what has come in may be a further request */
	bool ending; /* after what is still to be sent */
	size_t in_len, out_at, out_len;
	char in[HTTP_MAX_HEAD + HTTP_MAX_BODY];
	char out[HTTP_REPLY_HEAD + HTTP_MAX_REPLY];
};

struct http_server {
	struct loop *loop;	     /* borrowed */
	struct loop_source listener; /* fd -1: not open */
	struct loop_timer retry;
	/* Answers REQUEST.  May use the loop, but not close the server. */
	void (*handle)(struct http_server *server,
		       const struct http_request *request,
		       struct http_reply *reply);
	size_t max_body; /* at most HTTP_MAX_BODY */
	dev_t dev;	 /* of the socket file that is ours to remove */
	ino_t ino;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct http_connection conn[HTTP_MAX_CONNECTIONS];
};

/* Makes the socket PATH, for its owner alone, and serves it on LOOP.  SERVER is
 * all zeros but for handle and max_body; it is not cleared here, because most
 * of it is buffers whose pages are never used.  SIGPIPE is ignored.  -errno:
 * -EADDRINUSE when there is a file of that name, -ENAMETOOLONG, others of
 * bind(2).
 */
int http_server_open(struct http_server *server, struct loop *loop,
		     const char *path);

/* Closes all connections and removes the socket.  Harmless when not open. */
void http_server_close(struct http_server *server);

/* Removes the socket if it is still ours, for a process that is about to end.
 */
void http_server_remove(const struct http_server *server);

#endif
