// SPDX-License-Identifier: Apache-2.0
/*
 * api.h - the control API: Firecracker's REST API on a Unix socket
 *
 * One table (api_calls.c) has a row for each method and path: when it is
 * allowed, the schema of its body, and the function that does it.  Requests are
 * answered on the loop, one at a time and at once: none of them waits for the
 * guest.
 */
#ifndef MOTE_VMM_API_H
#define MOTE_VMM_API_H

#include "vmm/api_config.h"
#include "vmm/http_server.h"
#include "vmm/machine.h"

/* The release of Firecracker whose API this is. */
#define API_VERSION "1.17.0"
#define API_SOCKET  "/run/firecracker.socket"

enum api_phase { API_NOT_STARTED, API_RUNNING, API_PAUSED };

struct api {
	struct http_server http;
	struct api_config config;
	union api_body body; /* of the request being answered */
	enum api_phase phase;
	const char *id;		 /* borrowed */
	void *user;		 /* of `start` */
	struct machine *machine; /* borrowed; not before it is started */
	/* InstanceStart: makes the machine that api->config asks for and starts
	 * it; calls api_started().  False: ERROR, and it may be tried again.
	 */
	bool (*start)(struct api *api, struct api_error *error);
};

/* Readies API (all zeros) for the machine ID.  0, or -ENOMEM.  Start-up only.
 */
int api_init(struct api *api, const char *id,
	     bool (*start)(struct api *api, struct api_error *error));

/* Serves requests at the socket PATH; errors of http_server_open(). */
int api_open(struct api *api, struct loop *loop, const char *path);

/* Removes the socket: the process is about to end. */
void api_leave(const struct api *api);

/* The machine runs from now on. */
void api_started(struct api *api, struct machine *machine);

/* Takes what the LEN bytes of TEXT, a --config-file, ask for.  False: ERROR. */
bool api_take_file(struct api *api, const char *text, size_t len,
		   struct api_error *error);

/* The same with the file at PATH, which describes the machine as the requests
 * of a client would.  -errno: a line has said why.
 */
int api_open_file(struct api *api, const char *path);

/* One request, as the socket brings it. */
void api_handle(struct api *api, const struct http_request *request,
		struct http_reply *reply);

#endif
