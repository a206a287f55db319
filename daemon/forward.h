/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The core's side of the uplink: listens on <runtime>/uplink.sock, passes what the outbox hands over to
 * the uplink process of that sink, and its answers back. An uplink that is slow, dead or missing costs
 * nothing but the outbox growing. Loop thread.
 */
#pragma once

#include "json.h"
#include "outbox.h"

struct gateway;
struct forward;

int forward_new(struct gateway *g, struct forward **ret);
void forward_free(struct forward *f);
/* Called on the store thread by the outbox. */
void forward_post(void *gateway, struct publish *p);
/* A message that is not in the outbox (a reply): sent if the uplink is there, else dropped. */
void forward_reply(
	struct forward *f, unsigned sink, const char *topic, const char *text, size_t len);
/* "uplink":{"platform":"up",..} into an open object. */
void forward_json(const struct forward *f, struct json *j);
