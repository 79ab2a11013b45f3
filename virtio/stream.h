// SPDX-License-Identifier: Apache-2.0
/*
 * stream.h - Ethernet frames over a stream socket: a network device's back end
 * that is another process
 */
#ifndef MOTE_VIRTIO_STREAM_H
#define MOTE_VIRTIO_STREAM_H

#include "virtio/net.h"

/* Takes FD, a connected stream socket, which is closed with the back end (on
 * failure it is still the caller's).  PEER, which must live as long, is who is
 * at the other end, for messages.  -ENOMEM.
 */
int stream_create(int fd, const char *peer, struct net_backend **owned);

#endif
