// SPDX-License-Identifier: Apache-2.0
/*
 * list.h - a first-in, first-out list of things that embed their link
 *
 * Zeroed memory is an empty list.  A node is on one list at a time.  Not
 * locked: one thread, or the owner's lock.
 */
#ifndef MOTE_BASE_LIST_H
#define MOTE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Found again with container_of(). */
struct list_node {
	struct list_node *next;
};

struct list {
	struct list_node *first;
	struct list_node *last; /* valid while first is */
};

static inline bool list_empty(const struct list *list)
{
	return !list->first;
}

static inline void list_add(struct list *list, struct list_node *node)
{
	node->next = NULL;
	if (list->first)
		list->last->next = node;
	else
		list->first = node;
	list->last = node;
}

static inline void list_add_front(struct list *list, struct list_node *node)
{
	node->next = list->first;
	if (!list->first)
		list->last = node;
	list->first = node;
}

/* Takes the first node off the list; NULL when there is none. */
static inline struct list_node *list_take(struct list *list)
{
	struct list_node *node = list->first;

	if (node)
		list->first = node->next;
	return node;
}

#endif
