// SPDX-License-Identifier: Apache-2.0
/*
 * flow.c - many bytes over one TCP connection, and a checksum at either end
 *
 *	flow take PORT			waits for one, counts to its end
 *	flow give ADDRESS PORT MIB	connects, as soon as somebody listens
 *
 * Both print "flow BYTES CHECKSUM"; the checksum depends on every byte and its
 * place, and costs little where a processor is emulated.  Exit status 0 when
 * the connection ended well.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define CHUNK	   (1u << 18)
#define PATIENCE_S 60

/* FNV-1a over words of eight bytes; what is left of a word waits. */
struct sum {
	uint64_t value, bytes;
	uint8_t part[8];
};

static uint64_t words[CHUNK / 8];

static void die(const char *what)
{
	fprintf(stderr, "flow: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void sum_word(struct sum *s, const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	s->value = (s->value ^ word) * 0x100000001b3ull;
	s->value ^= s->value >> 29;
}

static void sum_add(struct sum *s, const uint8_t *p, size_t len)
{
	while (len > 0 && s->bytes % 8 != 0) {
		s->part[s->bytes++ % 8] = *p++;
		len--;
		if (s->bytes % 8 == 0)
			sum_word(s, s->part);
	}
	for (; len >= 8; p += 8, len -= 8, s->bytes += 8)
		sum_word(s, p);
	for (; len > 0; len--)
		s->part[s->bytes++ % 8] = *p++;
}

/* The sender's bytes are whole words. */
static void sum_print(const struct sum *s)
{
	printf("flow %llu %016llx\n", (unsigned long long)s->bytes,
	       (unsigned long long)s->value);
}

static void take(const char *port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
	};
	const int on = 1;
	struct sum sum = { 0 };
	int server = socket(AF_INET, SOCK_STREAM, 0), s;
	ssize_t n;

	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(server, (void *)&at, sizeof(at)) < 0 || listen(server, 1) < 0)
		die("listen");
	s = accept(server, NULL, NULL);
	if (s < 0)
		die("accept");
	while ((n = read(s, words, sizeof(words))) > 0)
		sum_add(&sum, (const uint8_t *)words, (size_t)n);
	if (n < 0)
		die("read");
	sum_print(&sum);
}

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
	};

	inet_pton(AF_INET, address, &at.sin_addr);
	for (int i = 0; i < 10 * PATIENCE_S; i++) {
		int s = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(s, (void *)&at, sizeof(at)) == 0)
			return s;
		close(s);
		usleep(100000);
	}
	die("connect");
	return -1;
}

static void write_all(int s, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(s, p, len);

		if (n < 0)
			die("write");
		p += n;
		len -= (size_t)n;
	}
}

static void give(const char *address, const char *port, const char *mib)
{
	uint64_t state = 0x9e3779b97f4a7c15ull;
	int s = connect_to(address, port);
	struct sum sum = { 0 };
	char byte;

	for (int left = atoi(mib) * (int)((1u << 20) / CHUNK); left > 0;
	     left--) {
		for (size_t i = 0; i < CHUNK / 8; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			words[i] = state;
		}
		sum_add(&sum, (const uint8_t *)words, CHUNK);
		write_all(s, (const uint8_t *)words, CHUNK);
	}
	/* All of it has arrived when the other side closes as well. */
	if (shutdown(s, SHUT_WR) < 0 || read(s, &byte, 1) != 0)
		die("end");
	sum_print(&sum);
}

int main(int argc, char **argv)
{
	alarm(10 * PATIENCE_S);
	if (argc == 3 && strcmp(argv[1], "take") == 0)
		take(argv[2]);
	else if (argc == 5 && strcmp(argv[1], "give") == 0)
		give(argv[2], argv[3], argv[4]);
	else
		die("usage");
	return 0;
}
