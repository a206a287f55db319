/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The local door: <runtime>/control.sock, one JSON command per line, one JSON reply per line, in order.
 * Who speaks is known by the kernel (SO_PEERCRED) and written into every audit line. Loop thread.
 */
#pragma once

struct gateway;
struct control;

int control_new(struct gateway *g, struct control **ret);
void control_free(struct control *c);
