// SPDX-License-Identifier: Apache-2.0
/*
 * tail.h - the last lines that the guest printed, for the post-mortem
 *
 * Bounded: 40 lines of at most 511 bytes, inside the struct.  What is kept is
 * printable ASCII, so that it can be shown on any terminal and put into any
 * log.  One thread, the loop's.
 */
#ifndef MOTE_VMM_TAIL_H
#define MOTE_VMM_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAIL_LINES 40
#define TAIL_WIDTH 512 /* with the NUL that ends each line */

enum tail_escape { TAIL_TEXT, TAIL_ESC, TAIL_CSI, TAIL_STRING };

/* Private to tail.c; embedded by its owner. */
struct tail {
	char line[TAIL_LINES + 1][TAIL_WIDTH];
	unsigned int current;  /* slot of the line that is being written */
	unsigned int finished; /* lines before it, at most TAIL_LINES */
	size_t len;	       /* of the current line */
	bool rewind; /* a carriage return: the next byte starts anew */
	enum tail_escape escape;
	unsigned int matched; /* of the panic message */
	unsigned int lead;    /* how much of "] " was just seen; 2: a start */
	bool panic;
};

/* Empties TAIL. */
void tail_init(struct tail *tail);

/* Takes LEN bytes of guest output, in any pieces.  Lines end at a newline; a
 * line that is too long loses its end; escape sequences and control bytes are
 * left out, each character beyond ASCII becomes one '?'.
 */
void tail_add(struct tail *tail, const void *data, size_t len);

/* Lines that are kept, an unfinished last one included. */
unsigned int tail_count(const struct tail *tail);

/* Line I, 0 being the oldest: NUL-terminated, without a newline.  I is below
 * tail_count().  Valid until the next tail_add().
 */
const char *tail_line(const struct tail *tail, unsigned int i);

/* True once the kernel's "Kernel panic - not syncing" began a line or followed
 * a printk time stamp.  The guest can forge it; it decides an exit status,
 * nothing else.
 */
bool tail_saw_panic(const struct tail *tail);

#endif
