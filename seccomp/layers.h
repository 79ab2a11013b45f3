// SPDX-License-Identifier: Apache-2.0
/*
 * layers.h - the layers of the lock-down, and which of them hold
 *
 * Each step of the lock-down says of its layer that it holds, or which call the
 * host refused.  A layer of which nobody has said anything was not asked for.
 */
#ifndef MOTE_SECCOMP_LAYERS_H
#define MOTE_SECCOMP_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

/* In the order of the report. */
enum layer {
	LAYER_DESCRIPTORS, /* none inherited but those that are named */
	LAYER_ENVIRONMENT, /* empty */
	LAYER_NO_CORE,	   /* no core dump, not traceable */
	LAYER_NO_NEW_PRIVS,
	LAYER_SEAL, /* mappings that nothing can change */
	LAYER_SECCOMP,
	/* With --jail: */
	LAYER_USER_NS,
	LAYER_MOUNT_NS,
	LAYER_PID_NS,
	LAYER_IPC_NS,
	LAYER_UTS_NS,
	LAYER_CGROUP_NS,
	LAYER_NET_NS,
	LAYER_ROOT, /* an empty one */
	LAYER_LANDLOCK,
	LAYER_LIMITS,
	LAYER_KEYRING,
	LAYER_CAPABILITIES, /* none */
	LAYER_BOUNDING_SET, /* none to be had */
	LAYER_CGROUP,
	NR_LAYERS,
};

struct lockdown {
	struct {
		bool asked;
		bool holds;
		const char *call; /* that failed; a string constant */
		int err;	  /* its -errno */
	} layer[NR_LAYERS];
};

/* The word for LAYER in --require and in the report. */
const char *layer_name(enum layer layer);

/* The layer whose name is the first LEN bytes of WORD, or -1. */
int layer_find(const char *word, size_t len);

/* Says of LAYER that it holds, or that CALL failed with ERR (-errno).  The
 * first failure stands.
 */
void layer_holds(struct lockdown *lockdown, enum layer layer);
void layer_lacks(struct lockdown *lockdown, enum layer layer, const char *call,
		 int err);

/* layer_holds() when RET is not negative, else layer_lacks() with errno. */
void layer_tried(struct lockdown *lockdown, enum layer layer, const char *call,
		 long ret);

/* Why LAYER does not hold: "CALL: error", or "not asked for".  TEXT is for LEN
 * bytes; returns it.
 */
const char *layer_why(const struct lockdown *lockdown, enum layer layer,
		      char *text, size_t len);

/* All of it as one line of JSON with its newline, for --lockdown-report: the
 * length, or 0 when LEN is too small.  Allocates nothing.
 */
size_t lockdown_json(const struct lockdown *lockdown, char *text, size_t len);

#endif
