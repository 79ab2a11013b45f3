// SPDX-License-Identifier: Apache-2.0
/*
 * tap.h - a tap interface: a network device's back end that needs its host's
 * administrator
 */
#ifndef MOTE_VIRTIO_TAP_H
#define MOTE_VIRTIO_TAP_H

#include "virtio/net.h"

#define TAP_MAX_NAME 15 /* bytes, IFNAMSIZ without the NUL */

/* Attaches to the tap interface NAME, which exists.  *OWNED is closed with its
 * close().  -errno: -ENOENT or -ENXIO without the tun driver, -ENODEV when
 * there is no such interface, -EINVAL when it is no tap or has several queues,
 * -EBUSY when another process has it, -EPERM when it is not ours to use.
 */
int tap_open(const char *name, struct net_backend **owned);

/* Takes FD, an attached tap, which gets a number of its own (base/fd.h) and is
 * closed with the back end (on failure FD is still the caller's).  -EBADF,
 * -ENOTTY when it is no tap, -EPROTO when it was not opened with IFF_TAP,
 * IFF_NO_PI and IFF_VNET_HDR.
 */
int tap_adopt(int fd, struct net_backend **owned);

#endif
