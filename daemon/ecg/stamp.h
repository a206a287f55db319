/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times as HL7 and DICOM write them: YYYYMMDDHHMMSS.ffff+ZZZZ, as far as it is known. */
#pragma once

#include "ecg.h"

/* Digits of a stamp that names a day, a minute, a second. */
enum { STAMP_DAY = 8, STAMP_MINUTE = 12, STAMP_SECOND = 14 };

/*
 * Reads `text`. What it does not say is 0, the offset ECG_ABSENT; fractions of a second are dropped. Returns how
 * many digits there were before the fraction (4, 6, .. 14), 0 when it is no stamp. Whether that day and
 * hour exist is not asked.
 */
unsigned stamp_read(const char *text, struct vg_civil *ret_civil, int32_t *ret_tz_min);
