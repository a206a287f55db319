/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Something that happened to the gateway itself, for its events and the platform. From the loop. */
#pragma once

struct gateway;

/* `type` is static, `detail` a short sentence without a person's data. Short of memory it is only logged. */
void news_tell(struct gateway *g, const char *type, const char *detail);
