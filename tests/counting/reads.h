// SPDX-License-Identifier: Apache-2.0
/*
 * reads.h - how often each byte of guest memory is read
 *
 * Theory of operation.  The counting build compiles the monitor's sources with
 * clang's -fsanitize=thread, which calls a function before each load and store,
 * and leaves the sanitizer's library out: reads.c has those functions, and
 * counts.  Copies by memcpy(3) and its like, and what writev(2) and its like
 * take, are counted by the linker's --wrap.  So a byte that is read twice is
 * found wherever the second read is, with no word of it in the sources.
 */
#ifndef MOTE_TESTS_COUNTING_READS_H
#define MOTE_TESTS_COUNTING_READS_H

#include <stddef.h>
#include <stdint.h>

#define READS_MAX (16u << 20) /* bytes of memory that are watched */

/* Watches SIZE bytes at RAM, at most READS_MAX, from here on; all counts are 0.
 */
void reads_begin(const void *ram, size_t size);

/* Reads by whoever was compiled for it count no more. */
void reads_end(void);

/* Reads of the byte at OFFSET from RAM between the two, at most 255. */
unsigned int reads_of(size_t offset);

/* The offsets of all that was read, and their number. */
size_t reads_touched(const uint32_t **offset);

#endif
