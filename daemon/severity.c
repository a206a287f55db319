/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "severity.h"

#include "util.h"

static const char *const names[] = {"none", "notice", "warning", "critical"};

const char *severity_name(enum severity s)
{
	return names[s];
}

enum severity severity_named(const char *name)
{
	for (unsigned i = 0; i < ELEMENTS(names); i++)
		if (streq(names[i], name))
			return i;
	return SEVERITY_NONE;
}

const char *severity_priority(enum severity s)
{
	static const char *const priorities[] = {"PN", "PL", "PM", "PH"};
	return priorities[s];
}
