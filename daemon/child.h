/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is common to the programs that we start: the decoder of studies, the site's own program. */
#pragma once

#include <stddef.h>

/* A file that is nowhere, with these bytes, to be a child's standard input: it reads at its own pace, or not at all, and
 * nobody waits. The descriptor is closed on exec and is the caller's; negative errno. */
int child_input(const char *name, const void *bytes, size_t len);
