/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Contec ECG90A, ".ECG". The maker publishes nothing; this is what others have found out from its files
 * (RigacciOrg/ecg-contec). There is no checksum and no magic number: the time at its place is what the format
 * is known by.
 *
 *   0 case number 8 | 8 ? 2 | 10 "YYYY-MM-DD hh:mm:ss" 20 | 30 ? 2 | 32 name 8 | 40 sex | 41 age | 42 weight
 *   43 rows of 8 u16 LE: II, III, V1..V6; 800 Hz, 5 uV, zero at 2048 | 37 bytes of something
 *
 * The case number counts recordings: it is nobody's id. Sex is 0 for women and 1 for men, age 1..200
 * years, weight in kg, 0 unknown. A row of zeros ends the rows. With an electrode of II or III off
 * nothing is derived.
 */
#include "ecg.h"

#include <ctype.h>

#define HEADER 43
#define FOOTER 37
#define COLUMNS 8
#define ROW (2 * (size_t)COLUMNS)
#define ZERO 2048
#define OFF_SCALE 0x6800 /* out of range, or the electrode is off */
#define INTERVAL_NS 1250000
#define PV_PER_LSB 5000000

enum { STAMP = 10, NAME = 32, NAME_BYTES = 8, SEX = 40, AGE = 41, WEIGHT = 42, AGE_MAX = 200 };

static unsigned number(const uint8_t *p, unsigned n)
{
	unsigned value = 0;
	for (unsigned i = 0; i < n; i++)
		value = value * 10 + (unsigned)(p[i] - '0');
	return value;
}

static bool is_stamp(const uint8_t *p)
{
	static const char shape[] = "0000-00-00 00:00:00";
	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == '0' ? !isdigit(p[i]) : p[i] != shape[i])
			return false;
	return p[sizeof(shape) - 1] == 0 || p[sizeof(shape) - 1] == ' ';
}

static void acquired(struct ecg *e, const uint8_t *p)
{
	struct vg_civil c = {.year = (uint16_t)number(p, 4),
		.month = (uint8_t)number(p + 5, 2),
		.day = (uint8_t)number(p + 8, 2),
		.hour = (uint8_t)number(p + 11, 2),
		.minute = (uint8_t)number(p + 14, 2),
		.second = (uint8_t)number(p + 17, 2)};
	if (ecg_date_exists(&c, 1980, 2200) && ecg_time_exists(&c))
		e->acquired = c;
	else
		ecg_warn(e, "bad_date", NULL);
}

static void patient(struct ecg *e, const uint8_t *bytes)
{
	if (!ecg_text(e->last_name, sizeof(e->last_name), bytes + NAME, NAME_BYTES, CHARSET_GUESS))
		ecg_warn(e, "charset_guessed", NULL);
	e->sex = bytes[SEX] == 0 ? 'F' : bytes[SEX] == 1 ? 'M' : 0;
	if (bytes[AGE] && bytes[AGE] <= AGE_MAX)
		e->age = (struct ecg_amount){bytes[AGE], "a"};
	if (bytes[WEIGHT])
		e->weight = (struct ecg_amount){bytes[WEIGHT], "kg"};
}

static uint16_t cell(const uint8_t *rows, uint32_t row, unsigned column)
{
	const uint8_t *p = rows + row * ROW + 2 * (size_t)column;
	return (uint16_t)(p[0] | p[1] << 8);
}

/* Rows until one of zeros, which no electrode gives. */
static uint32_t used_rows(const uint8_t *rows, uint32_t n)
{
	static const uint8_t none[ROW];
	for (uint32_t i = 0; i < n; i++)
		if (memcmp(rows + i * ROW, none, ROW) == 0)
			return i;
	return n;
}

/* A lead that was off all the time is left out; true: it was never off. */
static bool column(struct ecg *e, const uint8_t *rows, uint32_t n, bool truncated, unsigned index,
	const char *name)
{
	uint32_t off = 0;
	for (uint32_t i = 0; i < n; i++)
		off += cell(rows, i, index) == OFF_SCALE;
	if (off)
		ecg_warn(e, off == n ? "lead_off" : "off_scale", name);
	struct ecg_lead *lead = off == n ? NULL : ecg_add_lead(e, name, n);
	if (!lead)
		return false;
	lead->truncated = truncated;
	for (; lead->n < n; lead->n++)
		lead->samples[lead->n] = cell(rows, lead->n, index) - ZERO;
	return !off;
}

/* I = II - III; ecg_read() makes the others of I and II. */
static void lead_i(struct ecg *e, const uint8_t *rows, uint32_t n, bool truncated)
{
	struct ecg_lead *lead = ecg_add_lead(e, "I", n);
	if (!lead)
		return;
	lead->derived = true;
	lead->truncated = truncated;
	for (; lead->n < n; lead->n++)
		lead->samples[lead->n] = cell(rows, lead->n, 0) - cell(rows, lead->n, 1);
}

bool ecg90a_read(struct ecg *e, const uint8_t *bytes, size_t len)
{
	static const char *const names[COLUMNS] = {"II", "III", "V1", "V2", "V3", "V4", "V5", "V6"};
	if (len < HEADER + FOOTER || !is_stamp(bytes + STAMP))
		return false;
	e->format = "ecg90a";
	if ((len - HEADER - FOOTER) % ROW) {
		ecg_reject(e, "structure", "rows are not whole");
		return true;
	}
	text_copy(e->manufacturer, sizeof(e->manufacturer), "Contec", 6);
	text_copy(e->model, sizeof(e->model), "ECG90A", 6);
	acquired(e, bytes + STAMP);
	patient(e, bytes);
	e->interval_ns = INTERVAL_NS;
	e->pv_per_lsb = PV_PER_LSB;
	const uint8_t *rows = bytes + HEADER;
	uint32_t declared = (uint32_t)((len - HEADER - FOOTER) / ROW);
	uint32_t n = used_rows(rows, declared);
	bool limbs = n > 0;
	if (!n)
		ecg_warn(e, "no_rhythm", NULL);
	for (unsigned i = 0; n && i < COLUMNS; i++) {
		bool never_off = column(e, rows, n, n < declared, i, names[i]);
		limbs = limbs && (never_off || i > 1);
	}
	if (limbs)
		lead_i(e, rows, n, n < declared);
	return true;
}
