/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "typed.h"

/* 0 to 35; -1: it is none of the characters. */
static int value_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'z' ? c - 'a' + 10 : -1;
}

bool typed_proven(const char *id)
{
	int product = 36, sum = 0; /* ISO 7064:2003, hybrid systems: M+1 = 37, M = 36 */
	unsigned n = 0;
	for (const char *p = id; *p; p++) {
		int value = value_of(*p);
		if (*p == '-' || *p == '_')
			continue;
		if (value < 0)
			return false;
		sum = product + value;
		product = (sum % 36 ? sum % 36 : 36) * 2 % 37;
		n++;
	}
	return n >= 2 && sum % 36 == 1;
}
