/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unix sockets that only our own users may reach. */
#pragma once

/* Listening, non-blocking socket at `path` (mode 0660), replacing a stale one; -EADDRINUSE: another
 * daemon answers there. */
int listen_unix(const char *path, int type);
/* Accepted, non-blocking; -errno. Out of descriptors: -EMFILE after giving up a spare one, so that the
 * caller does not spin. */
int listen_accept(int fd);
/* "local:<user>" of the peer process. */
void listen_principal(int fd, char *out, unsigned size);
