// SPDX-License-Identifier: Apache-2.0
/*
 * api_file.c - a whole machine as one JSON text: GET /vm/config, --config-file
 *
 * What the first prints the second reads.  The parts of a file are taken in the
 * order in which they may depend on each other, each as its request would be.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/api_call.h"
#include "vmm/json_pool.h"

#define MAX_FILE (1 << 20) /* a body's worth for each device */

/* OBJECT's fields where it was given. */
static json_t *print_optional(const struct schema *s, const void *object,
			      bool given)
{
	return given ? schema_print(s, object) : json_null();
}

json_t *api_config_json(const struct api_config *config)
{
	static const char *const absent[] = { "cpu-config", "logger",
					      "metrics",    "mmds-config",
					      "pmem",	    "memory-hotplug" };
	json_t *json = json_object(), *drives = json_array();
	json_t *nets = json_array();

	for (unsigned int i = 0; i < config->nr_drives; i++)
		json_array_append_new(drives, schema_print(&api_drive_schema,
							   &config->drive[i]));
	for (unsigned int i = 0; i < config->nr_nets; i++)
		json_array_append_new(nets, schema_print(&api_net_schema,
							 &config->net[i]));
	json_object_set_new(json, "balloon",
			    print_optional(&api_balloon_schema,
					   &config->balloon,
					   config->has_balloon));
	json_object_set_new(json, "drives", drives);
	json_object_set_new(json, "boot-source",
			    print_optional(&api_boot_source_schema,
					   &config->boot, config->has_boot));
	json_object_set_new(json, "machine-config",
			    schema_print(&api_machine_schema,
					 &config->machine));
	json_object_set_new(json, "network-interfaces", nets);
	json_object_set_new(json, "vsock",
			    print_optional(&api_vsock_schema, &config->vsock,
					   config->has_vsock));
	json_object_set_new(json, "entropy",
			    print_optional(&api_entropy_schema,
					   &config->entropy,
					   config->has_entropy));
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		json_object_set_new(json, absent[i], json_null());
	return json;
}

/* A part of the file: an object, or an array of them. */
struct part {
	const char *key;
	const char *path; /* of the request that it stands for */
};

static const struct part parts[] = {
	{ "machine-config", "machine-config" },
	{ "boot-source", "boot-source" },
	{ "drives", "drives/*" },
	{ "network-interfaces", "network-interfaces/*" },
	{ "vsock", "vsock" },
	{ "balloon", "balloon" },
	{ "entropy", "entropy" },
	{ "cpu-config", "cpu-config" },
	{ "logger", "logger" },
	{ "metrics", "metrics" },
	{ "mmds-config", "mmds/config" },
	{ "pmem", "pmem/*" },
	{ "memory-hotplug", "hotplug/memory" },
};

static const struct api_endpoint *find_put(const char *path)
{
	for (size_t i = 0; i < api_nr_endpoints; i++) {
		if (api_endpoints[i].method == HTTP_PUT &&
		    strcmp(api_endpoints[i].path, path) == 0)
			return &api_endpoints[i];
	}
	return NULL;
}

static bool take_one(struct api *api, const struct part *part, json_t *json,
		     struct api_error *error)
{
	const struct api_endpoint *row = find_put(part->path);
	struct schema_source source = { .text = NULL };
	struct api_error inner;
	struct api_call call = {
		.api = api,
		.body = &api->body,
		.error = &inner,
	};

	assert(row);
	if (!row->act)
		return api_refuse(error, "%s: %s", part->key, row->refusal);
	if (!schema_parse(row->body, json, &api->body, &source))
		return api_refuse(error, "%s: %s", part->key, source.error);
	return row->act(&call) ||
	       api_refuse(error, "%s%s", row->prefix, inner.text);
}

static bool take_part(struct api *api, const struct part *part, json_t *json,
		      struct api_error *error)
{
	if (!json || json_is_null(json))
		return true;
	if (!json_is_array(json))
		return take_one(api, part, json, error);
	for (size_t i = 0; i < json_array_size(json); i++) {
		if (!take_one(api, part, json_array_get(json, i), error))
			return false;
	}
	return true;
}

static bool take_parts(struct api *api, const json_t *file,
		       struct api_error *error)
{
	static const char *const required[] = { "boot-source", "drives" };

	if (!json_is_object(file))
		return api_refuse(error, "not a JSON object");
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		if (!json_object_get(file, required[i]))
			return api_refuse(error, "missing field `%s`",
					  required[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!take_part(api, &parts[i],
			       json_object_get(file, parts[i].key), error))
			return false;
	}
	return true;
}

bool api_take_file(struct api *api, const char *text, size_t len,
		   struct api_error *error)
{
	json_t *file;
	bool ok;

	json_pool_open();
	file = json_pool_parse(text, len, error->text, sizeof(error->text));
	ok = file && take_parts(api, file, error);
	json_pool_close();
	return ok;
}

int api_open_file(struct api *api, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = malloc(MAX_FILE);
	struct api_error error;
	ssize_t n = fd < 0 || !text ? -1 : read(fd, text, MAX_FILE);
	int ret = n < 0 ? -errno : 0;

	if (ret < 0) {
		api_refuse(&error, "%s", log_errno(ret));
	} else if (n == MAX_FILE) {
		ret = -EFBIG;
		api_refuse(&error, "1 MiB or larger");
	} else if (!api_take_file(api, text, (size_t)n, &error)) {
		ret = -EINVAL;
	}
	if (ret < 0)
		log_error("--config-file %s: %s", path, error.text);
	if (fd >= 0)
		close(fd);
	free(text);
	return ret;
}
