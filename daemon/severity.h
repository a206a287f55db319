/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

enum severity { SEVERITY_NONE, SEVERITY_NOTICE, SEVERITY_WARNING, SEVERITY_CRITICAL };
const char *severity_name(enum severity s);
/* SEVERITY_NONE: no such name. */
enum severity severity_named(const char *name);
/* IHE ACM priority (facet 68484): PN, PL, PM, PH. */
const char *severity_priority(enum severity s);
