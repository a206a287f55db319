/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rule_set.h"

int rule_check(const struct alert_rules *r, const struct codes *codes, const char *path,
	char *error, size_t error_size)
{
	(void)r;
	(void)codes;
	(void)path;
	(void)error;
	(void)error_size;
	return 0;
}
