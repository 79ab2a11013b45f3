// SPDX-License-Identifier: Apache-2.0
/*
 * api_call.h - what api.c, which reads requests, and api_calls.c, which does
 * what they ask for, share
 */
#ifndef MOTE_VMM_API_CALL_H
#define MOTE_VMM_API_CALL_H

#include "vmm/api.h"

#define API_WRONG_TIME                                                         \
	"The requested operation is not supported %s starting the microVM."

enum api_when { API_ANY, API_BEFORE, API_AFTER };

/* A request whose body is read and whose time is right. */
struct api_call {
	struct api *api;
	char id[API_ID_SIZE]; /* from the path; "" when there is none */
	const union api_body *body;
	json_t *answer; /* set it: status 200 with this body */
	bool bare;	/* the error has no prefix */
	struct api_error *error;
};

struct api_endpoint {
	enum http_method method;
	const char *path; /* words and slashes; "*" is an id */
	enum api_when when;
	const struct schema *body; /* NULL: there is none */
	const char *id_field;	   /* of the body, the same as the path's id */
	const char *prefix;	   /* of errors */
	/* False: call->error.  NULL: not offered, `refusal` says why. */
	bool (*act)(struct api_call *call);
	const char *refusal;
};

/* Longer paths stand before their beginnings. */
extern const struct api_endpoint api_endpoints[];
extern const size_t api_nr_endpoints;

/* GET /vm/config, which --config-file reads again: a new object. */
json_t *api_config_json(const struct api_config *config);

#endif
