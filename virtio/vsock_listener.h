// SPDX-License-Identifier: Apache-2.0
/*
 * vsock_listener.h - the host's side of a vsock device as paths of Unix sockets
 *
 * Host clients connect to PATH and say "CONNECT port\n".  When the guest
 * connects to a port of the host, PATH_port is connected to.
 */
#ifndef MOTE_VIRTIO_VSOCK_LISTENER_H
#define MOTE_VIRTIO_VSOCK_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>
#include <sys/un.h>

#include "base/loop.h"

/* What PATH_4294967295 leaves for PATH in a socket address, with its NUL. */
#define VSOCK_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 11)

struct vsock_listener {
	/* A host client has come; its socket is the callee's. */
	void (*client)(struct vsock_listener *l, int fd);
	struct loop *loop; /* borrowed */
	struct loop_source source;
	struct loop_timer retry; /* no descriptors were left */
	int fd;
	char path[VSOCK_PATH_MAX];
	dev_t dev; /* the socket file that is ours */
	ino_t ino;
};

/* Makes PATH, for its owner alone, and listens in LOOP; l->client is set.
 * -ENAMETOOLONG, -EADDRINUSE when there is a file, or another -errno.  Changes
 * the umask for an instant: before other threads exist.
 */
int vsock_listener_open(struct vsock_listener *l, const char *path,
			struct loop *loop);

/* Removes PATH if it is still ours. */
void vsock_listener_remove(const struct vsock_listener *l);

/* The same, and closes. */
void vsock_listener_close(struct vsock_listener *l);

/* A socket connected to PATH_PORT, or -errno. */
int vsock_listener_connect(const struct vsock_listener *l, uint32_t port);

/* Reads "CONNECT port\n" of LEN bytes, the newline included, any case. */
bool vsock_listener_parse(const char *line, size_t len, uint32_t *port);

#endif
