/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stored reading's numbers and flags, read back from the body that reading_json_body() wrote. Pure. */
#pragma once

#include "reading.h"

struct stored;

/* NULL: out of memory, or it is no such body. What the tables do not know any more is left out. */
struct stored *stored_read(const struct codes *codes, const char *body);
/* Quantities and flags; it lives as long as `s`. The caller may add what else is known of it. */
struct reading *stored_reading(struct stored *s);
void stored_end(struct stored *s);

static inline void stored_endp(struct stored **s)
{
	stored_end(*s);
}
