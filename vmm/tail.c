// SPDX-License-Identifier: Apache-2.0
/*
 * tail.c - the last lines that the guest printed, for the post-mortem
 *
 * A ring of lines and two small automata that see every byte.
 *
 * The first drops what a terminal would obey: an escape sequence is ESC and one
 * byte; ESC [ up to a final byte in 0x40..0x7e; or a string (ESC followed by
 * ], P, X, ^ or _) up to BEL or ESC \.  (ECMA-48 §5.4, §5.6, §8.3.)  A newline
 * ends all of them, so that a sequence which never ends hides one line only.
 * Bytes of 0x80 and above are never kept: alone or inside UTF-8 some of them
 * are control functions (ECMA-48 §5.3, C1).
 *
 * The second looks for the panic message.  It sees the bytes before they are
 * cut at the width of a line, and accepts the message where printk puts it: at
 * the start of a line, or after "] " of a time stamp, which may itself follow a
 * prompt.  A program that prints the words amid its text is no panic.
 */
#include "base/util.h"
#include "vmm/tail.h"

static const char panic_text[] = "Kernel panic - not syncing";

void tail_init(struct tail *tail)
{
	/* Not the lines: 20 KiB that most machines never fill. */
	memset(&tail->current, 0,
	       sizeof(*tail) - offsetof(struct tail, current));
	tail->line[0][0] = '\0';
	tail->lead = 2;
}

static void tail_match_panic(struct tail *tail, unsigned char c)
{
	if (tail->matched > 0 && c == (unsigned char)panic_text[tail->matched])
		tail->matched++;
	else
		/* 'K' occurs only once in the text: no shorter match is lost */
		tail->matched = tail->lead == 2 && c == 'K';

	if (tail->matched == sizeof(panic_text) - 1) {
		tail->panic = true;
		tail->matched = 0;
	}

	if (c == '\n' || c == '\r')
		tail->lead = 2;
	else if (c == ']')
		tail->lead = 1;
	else
		tail->lead = tail->lead == 1 && c == ' ' ? 2 : 0;
}

static void tail_newline(struct tail *tail)
{
	tail->current = (tail->current + 1) % (TAIL_LINES + 1);
	tail->finished = MIN(tail->finished + 1, TAIL_LINES);
	tail->line[tail->current][0] = '\0';
	tail->len = 0;
	tail->rewind = false;
}

static void tail_put(struct tail *tail, char c)
{
	char *line = tail->line[tail->current];

	if (tail->rewind) {
		tail->len = 0;
		tail->rewind = false;
	}
	if (tail->len >= TAIL_WIDTH - 1)
		return;
	line[tail->len++] = c;
	line[tail->len] = '\0';
}

/* True when C belongs to an escape sequence. */
static bool tail_in_escape(struct tail *tail, unsigned char c)
{
	switch (tail->escape) {
	case TAIL_TEXT:
		if (c != 0x1b)
			return false;
		tail->escape = TAIL_ESC;
		return true;
	case TAIL_ESC:
		if (c == '[')
			tail->escape = TAIL_CSI;
		else if (strchr("]PX^_", c) && c != '\0')
			tail->escape = TAIL_STRING;
		else if (c != 0x1b && (c < 0x20 || c > 0x2f))
			tail->escape = TAIL_TEXT; /* not an intermediate */
		return true;
	case TAIL_CSI:
		if (c >= 0x40 && c <= 0x7e)
			tail->escape = TAIL_TEXT;
		return true;
	case TAIL_STRING:
		if (c == 0x07)
			tail->escape = TAIL_TEXT;
		else if (c == 0x1b)
			tail->escape = TAIL_ESC; /* ESC \ follows */
		return true;
	}
	return false;
}

static void tail_byte(struct tail *tail, unsigned char c)
{
	if (c == '\n') {
		tail->escape = TAIL_TEXT;
		tail_match_panic(tail, c);
		tail_newline(tail);
		return;
	}
	if (tail_in_escape(tail, c))
		return;

	tail_match_panic(tail, c);
	if (c == '\r')
		tail->rewind = true;
	else if (c == '\t')
		tail_put(tail, ' ');
	else if (c >= 0xc0)
		tail_put(tail, '?'); /* the first byte of a UTF-8 character */
	else if (c >= 0x20 && c < 0x7f)
		tail_put(tail, (char)c);
}

void tail_add(struct tail *tail, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		tail_byte(tail, p[i]);
}

unsigned int tail_count(const struct tail *tail)
{
	return MIN(tail->finished + (tail->len > 0), (unsigned int)TAIL_LINES);
}

const char *tail_line(const struct tail *tail, unsigned int i)
{
	/* How many slots line I is behind the current one. */
	unsigned int back = tail_count(tail) - i - (tail->len > 0);

	assert(i < tail_count(tail));
	return tail->line[(tail->current + TAIL_LINES + 1 - back) %
			  (TAIL_LINES + 1)];
}

bool tail_saw_panic(const struct tail *tail)
{
	return tail->panic;
}
