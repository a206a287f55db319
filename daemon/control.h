/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The local door: <runtime>/control.sock, one JSON command per line, one JSON reply per line, in order.
 * Who speaks is known by the kernel (SO_PEERCRED) and written into every audit line. Loop thread.
 *
 * After {"cmd":"follow"} a connection is told of alerts (follow.h), and takes no further command. Whoever does not read what
 * it was sent for half a minute is dropped.
 */
#pragma once

#include <stdint.h>

struct gateway;
struct control;

int control_new(struct gateway *g, struct control **ret);
void control_free(struct control *c);
/* There are new revisions of alerts. */
void control_news(struct control *c);
/* For tests: how long a follower may leave unread what it was sent. */
void control_use(struct control *c, int64_t patience_us);
