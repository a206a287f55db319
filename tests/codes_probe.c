/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Converts numbers for tests/test_tables.py: `codes_probe TABLES` reads lines "kind mantissa exponent
 * unit" and answers "result milli decimals" for each.
 */
#include <stdio.h>

#include "codes.h"

int main(int argc, char **argv)
{
	char error[400], kind[64], unit[64];
	long long mantissa;
	int exponent;
	struct codes *codes = argc > 1 ? codes_load(argv[1], error, sizeof(error)) : NULL;
	if (!codes) {
		puts(argc > 1 ? error : "usage: codes_probe TABLES");
		return 1;
	}
	while (scanf("%63s %lld %d %63s", kind, &mantissa, &exponent, unit) == 4) {
		const struct code *code = codes_find(codes, kind);
		struct vg_decimal number = {.mantissa = mantissa, .exponent = (int8_t)exponent};
		struct value v = {0};
		if (!code)
			return 1;
		int r = codes_convert(codes, code, number, unit, &v);
		printf("%d %lld %d\n", r, (long long)v.milli, v.decimals);
	}
	codes_free(codes);
	return 0;
}
