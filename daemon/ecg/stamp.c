/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HL7 v3 TS and DICOM DT are the same but for the decimals that they allow. */
#include "stamp.h"

#define TZ_MIN (-720)
#define TZ_MAX 840

/* The number in `n` digits. */
static unsigned digits(const char *text, unsigned n)
{
	unsigned value = 0;
	for (unsigned i = 0; i < n; i++)
		value = value * 10 + (unsigned)(text[i] - '0');
	return value;
}

static unsigned run_of_digits(const char *text)
{
	unsigned n = 0;
	while (text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

/* "+0800", "-0330", nothing; false: something else. What no place on earth has is ignored. */
static bool offset(const char *text, int32_t *ret_tz_min)
{
	*ret_tz_min = ECG_ABSENT;
	if (!*text)
		return true;
	if ((*text != '+' && *text != '-') || run_of_digits(text + 1) != 4 || text[5])
		return false;
	int32_t minutes = (int32_t)(digits(text + 1, 2) * 60 + digits(text + 3, 2));
	minutes = *text == '-' ? -minutes : minutes;
	if (minutes >= TZ_MIN && minutes <= TZ_MAX && digits(text + 3, 2) < 60)
		*ret_tz_min = minutes;
	return true;
}

unsigned stamp_read(const char *text, struct vg_civil *ret_civil, int32_t *ret_tz_min)
{
	unsigned n = run_of_digits(text);
	if (n < 4 || n > STAMP_SECOND || n % 2)
		return 0;
	const char *rest = text + n;
	if (*rest == '.')
		rest += 1 + run_of_digits(rest + 1);
	int32_t tz_min;
	if (!offset(rest, &tz_min))
		return 0;
	*ret_civil = (struct vg_civil){
		.year = (uint16_t)digits(text, 4),
		.month = (uint8_t)(n > 4 ? digits(text + 4, 2) : 0),
		.day = (uint8_t)(n > 6 ? digits(text + 6, 2) : 0),
		.hour = (uint8_t)(n > 8 ? digits(text + 8, 2) : 0),
		.minute = (uint8_t)(n > 10 ? digits(text + 10, 2) : 0),
		.second = (uint8_t)(n > 12 ? digits(text + 12, 2) : 0),
	};
	*ret_tz_min = tz_min;
	return n;
}
