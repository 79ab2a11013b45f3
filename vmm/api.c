// SPDX-License-Identifier: Apache-2.0
/*
 * api.c - the control API: from a request to its row, and from there to an
 * answer
 *
 * The order of the checks is Firecracker's: is there a body, is the path known,
 * is the id one, can the body be read, is it the time for it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/api_call.h"
#include "vmm/json_pool.h"

#define MAX_WORDS	4
#define NO_BODY_ALLOWED "%s request cannot have a body."
#define NO_BODY		"Empty %s request."
#define BAD_JSON                                                               \
	"An error occurred when deserializing the json body of a request: %s."
#define BAD_ID                                                                 \
	"API Resource IDs can only contain alphanumeric characters and "       \
	"underscores."
#define OTHER_ID "The id from the path does not match the id from the body!"
#define OTHER_ID_NAMED                                                         \
	"The id from the path [%s] does not match the id from the body [%s]!"

/* A path, cut at its slashes. */
struct words {
	char text[HTTP_MAX_LINE];
	const char *word[MAX_WORDS];
	unsigned int nr;
};

static void split_path(struct words *words, const char *path, size_t len)
{
	char *save = NULL, *word;

	memcpy(words->text, path, len);
	words->text[len] = '\0';
	words->nr = 0;
	word = strtok_r(words->text, "/", &save);
	for (; word && words->nr < MAX_WORDS; word = strtok_r(NULL, "/", &save))
		words->word[words->nr++] = word;
}

/* Whether PATTERN leads to where WORDS do; words beyond it do not count.  *ID
 * is the one in the place of its "*", "" when there is none.
 */
static bool path_matches(const char *pattern, const struct words *words,
			 const char **id)
{
	unsigned int i = 0;

	*id = "";
	for (; *pattern; i++) {
		size_t len = strcspn(pattern, "/");
		const char *word = i < words->nr ? words->word[i] : "";

		if (*pattern == '*')
			*id = word;
		else if (strlen(word) != len || memcmp(pattern, word, len) != 0)
			return false;
		pattern += len + (pattern[len] == '/');
	}
	return i > 0 || words->nr == 0;
}

static const struct api_endpoint *find_endpoint(enum http_method method,
						const struct words *words,
						const char **id)
{
	for (size_t i = 0; i < api_nr_endpoints; i++) {
		const struct api_endpoint *row = &api_endpoints[i];

		if (row->method == method && path_matches(row->path, words, id))
			return row;
	}
	return NULL;
}

static bool check_id(const char *id, struct api_error *error)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_";

	if (!*id)
		return api_refuse(error, "The ID cannot be empty.");
	if (id[strspn(id, allowed)])
		return api_refuse(error, BAD_ID);
	if (strlen(id) >= API_ID_SIZE)
		return api_refuse(error, "The ID is longer than %d characters.",
				  API_ID_SIZE - 1);
	return true;
}

static bool read_body(struct api_call *call, const struct api_endpoint *row,
		      const struct http_request *request,
		      struct http_reply *reply)
{
	struct schema_source source = {
		.text = request->body,
		.len = request->body_len,
	};
	json_t *json = json_pool_parse(request->body, request->body_len,
				       source.error, sizeof(source.error));

	if (!json || !schema_parse(row->body, json, &call->api->body, &source))
		return api_refuse(call->error, BAD_JSON, source.error);
	reply->deprecated = source.deprecated;
	return true;
}

static bool check_time(const struct api *api, enum api_when when,
		       struct api_error *error)
{
	bool started = api->phase != API_NOT_STARTED;

	if (when == API_BEFORE && started)
		return api_refuse(error, API_WRONG_TIME, "after");
	if (when == API_AFTER && !started)
		return api_refuse(error, API_WRONG_TIME, "before");
	return true;
}

/* The id that the body repeats. */
static bool check_body_id(const struct api_call *call,
			  const struct api_endpoint *row)
{
	const char *id =
		schema_text(row->body, &call->api->body, row->id_field);

	if (strcmp(id, call->id) == 0)
		return true;
	if (strcmp(row->id_field, "iface_id") == 0)
		return api_refuse(call->error, OTHER_ID_NAMED, call->id, id);
	return api_refuse(call->error, OTHER_ID);
}

/* Does what the row is for; its errors get the row's prefix. */
static bool act(struct api_call *call, const struct api_endpoint *row)
{
	struct api_error inner;
	struct api_error *outer = call->error;
	bool ok;

	call->error = &inner;
	ok = row->act(call);
	call->error = outer;
	return ok || api_refuse(outer, "%s%s",
				row->prefix && !call->bare ? row->prefix : "",
				inner.text);
}

/* False: call->error. */
static bool answer(struct api_call *call, const struct http_request *request,
		   struct http_reply *reply)
{
	bool wants_body = request->method == HTTP_PUT ||
			  request->method == HTTP_PATCH;
	const char *method = http_method_name(request->method), *id;
	const struct api_endpoint *row;
	struct words words;

	split_path(&words, request->path, request->path_len);
	row = find_endpoint(request->method, &words, &id);
	if (!wants_body && request->body_len > 0)
		return api_refuse(call->error, NO_BODY_ALLOWED, method);
	if (wants_body && request->body_len == 0 && (!row || row->body))
		return api_refuse(call->error, NO_BODY, method);
	if (!row)
		return api_refuse(call->error,
				  "Invalid request method and/or path: %s "
				  "%.300s.",
				  method, words.nr > 0 ? words.word[0] : "");
	if (strchr(row->path, '*')) {
		if (!check_id(id, call->error))
			return false;
		memcpy(call->id, id, strlen(id) + 1);
	}
	if (!row->act)
		return api_refuse(call->error, "%s", row->refusal);
	if (row->body && !read_body(call, row, request, reply))
		return false;
	if (row->id_field && !check_body_id(call, row))
		return false;
	if (!check_time(call->api, row->when, call->error))
		return false;
	return act(call, row);
}

/* JSON into the reply's body; false when it does not fit. */
static bool put_json(struct http_reply *reply, const json_t *json)
{
	size_t len =
		json_dumpb(json, reply->body, HTTP_MAX_REPLY, JSON_COMPACT);

	reply->len = len;
	return len > 0 && len <= HTTP_MAX_REPLY;
}

void api_handle(struct api *api, const struct http_request *request,
		struct http_reply *reply)
{
	static const char no_room[] =
		"{\"fault_message\":\"The answer is too long.\"}";
	struct api_error error = { "" };
	struct api_call call = {
		.api = api,
		.body = &api->body,
		.error = &error,
	};

	json_pool_open();
	reply->status = 204;
	if (!answer(&call, request, reply)) {
		reply->status = 400;
		/* The body may have used up the pool. */
		json_pool_close();
		json_pool_open();
		call.answer = json_object();
		json_object_set_new(call.answer, "fault_message",
				    json_pool_string(error.text));
	} else if (call.answer) {
		reply->status = 200;
	}
	if (call.answer && !put_json(reply, call.answer)) {
		reply->status = 400;
		reply->len = sizeof(no_room) - 1;
		memcpy(reply->body, no_room, reply->len);
	}
	json_pool_close();
}

static void http_handle(struct http_server *server,
			const struct http_request *request,
			struct http_reply *reply)
{
	api_handle(container_of(server, struct api, http), request, reply);
}

int api_init(struct api *api, const char *id,
	     bool (*start)(struct api *api, struct api_error *error))
{
	api->id = id;
	api->start = start;
	api->http.handle = http_handle;
	api->http.max_body = HTTP_MAX_BODY;
	api_config_init(&api->config);
	return json_pool_init();
}

int api_open(struct api *api, struct loop *loop, const char *path)
{
	return http_server_open(&api->http, loop, path);
}

void api_leave(const struct api *api)
{
	http_server_remove(&api->http);
}

void api_started(struct api *api, struct machine *machine)
{
	api->machine = machine;
	api->phase = API_RUNNING;
}
