// SPDX-License-Identifier: Apache-2.0
/*
 * layers.c - the layers of the lock-down, and which of them hold
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "seccomp/layers.h"

static const char *const names[NR_LAYERS] = {
	[LAYER_DESCRIPTORS] = "descriptors",
	[LAYER_ENVIRONMENT] = "environment",
	[LAYER_NO_CORE] = "no-core",
	[LAYER_NO_NEW_PRIVS] = "no-new-privs",
	[LAYER_SEAL] = "seal",
	[LAYER_SECCOMP] = "seccomp",
	[LAYER_USER_NS] = "user-ns",
	[LAYER_MOUNT_NS] = "mount-ns",
	[LAYER_PID_NS] = "pid-ns",
	[LAYER_IPC_NS] = "ipc-ns",
	[LAYER_UTS_NS] = "uts-ns",
	[LAYER_CGROUP_NS] = "cgroup-ns",
	[LAYER_NET_NS] = "net-ns",
	[LAYER_ROOT] = "root",
	[LAYER_LANDLOCK] = "landlock",
	[LAYER_LIMITS] = "limits",
	[LAYER_KEYRING] = "keyring",
	[LAYER_CAPABILITIES] = "capabilities",
	[LAYER_BOUNDING_SET] = "bounding-set",
	[LAYER_CGROUP] = "cgroup",
};

const char *layer_name(enum layer layer)
{
	return names[layer];
}

int layer_find(const char *word, size_t len)
{
	for (int i = 0; i < NR_LAYERS; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], word, len) == 0)
			return i;
	}
	return -1;
}

void layer_holds(struct lockdown *lockdown, enum layer layer)
{
	if (lockdown->layer[layer].call)
		return;
	lockdown->layer[layer].asked = true;
	lockdown->layer[layer].holds = true;
}

void layer_lacks(struct lockdown *lockdown, enum layer layer, const char *call,
		 int err)
{
	if (lockdown->layer[layer].call)
		return;
	lockdown->layer[layer].asked = true;
	lockdown->layer[layer].holds = false;
	lockdown->layer[layer].call = call;
	lockdown->layer[layer].err = err;
}

void layer_tried(struct lockdown *lockdown, enum layer layer, const char *call,
		 long ret)
{
	if (ret < 0)
		layer_lacks(lockdown, layer, call, -errno);
	else
		layer_holds(lockdown, layer);
}

const char *layer_why(const struct lockdown *lockdown, enum layer layer,
		      char *text, size_t len)
{
	if (lockdown->layer[layer].call)
		snprintf(text, len, "%s: %s", lockdown->layer[layer].call,
			 log_errno(lockdown->layer[layer].err));
	else
		snprintf(text, len, "not asked for");
	return text;
}

/* One layer's member of the object.  What it prints holds no character that
 * JSON would have escaped: names of calls, texts of errors.
 */
static int layer_json(const struct lockdown *lockdown, enum layer layer,
		      char *text, size_t len)
{
	const char *comma = layer ? ", " : "";
	char why[120];

	if (lockdown->layer[layer].holds)
		return snprintf(text, len, "%s\"%s\": {\"holds\": true}", comma,
				names[layer]);
	return snprintf(text, len,
			"%s\"%s\": {\"holds\": false, \"why\": \"%s\"}", comma,
			names[layer],
			layer_why(lockdown, layer, why, sizeof(why)));
}

size_t lockdown_json(const struct lockdown *lockdown, char *text, size_t len)
{
	size_t used = (size_t)snprintf(text, len, "{\"lockdown\": {");

	for (int i = 0; i < NR_LAYERS && used < len; i++)
		used += (size_t)layer_json(lockdown, (enum layer)i, text + used,
					   len - used);
	if (used < len)
		used += (size_t)snprintf(text + used, len - used, "}}\n");
	return used < len ? used : 0;
}
