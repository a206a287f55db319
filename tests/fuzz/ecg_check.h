/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For fuzz targets of ECG readers: a file made of a good one and edits, and what holds of every answer. */
#pragma once

#include "ecg/ecg.h"

#define ECG_CHECK(x)                                                                           \
	do {                                                                                   \
		if (!(x)) {                                                                    \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                               \
		}                                                                              \
	} while (0)

#define EDIT_BYTES 4
#define FILE_MAX 16384
#define SAMPLES 8 /* of each lead, in the JSON */

typedef bool (*ecg_reader)(struct ecg *, const uint8_t *, size_t);

/* Bytes that mean something to the format. */
struct piece {
	const char *bytes;
	size_t len;
};
#define PIECE(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}

/* Makes room at `at` for `n` bytes; false: there is none. */
static inline bool edit_open(uint8_t *file, size_t *len, size_t at, size_t n)
{
	if (*len + n > FILE_MAX)
		return false;
	memmove(file + at + n, file + at, *len - at);
	*len += n;
	return true;
}

/* One edit: two bytes where, one what, one with what. */
static inline void edit(uint8_t *file, size_t *len, const uint8_t how[EDIT_BYTES],
	const struct piece *pieces, size_t n_pieces)
{
	size_t at = (size_t)(how[0] | how[1] << 8) % (*len + 1), n = how[3];
	const struct piece *piece = &pieces[how[3] % n_pieces];
	switch (how[2] % 6) {
	case 0: /* another byte */
		if (at < *len)
			file[at] = how[3];
		break;
	case 1: /* a bit */
		if (at < *len)
			file[at] ^= (uint8_t)(1u << (how[3] & 7));
		break;
	case 2: /* a piece comes in */
		if (edit_open(file, len, at, piece->len))
			memcpy(file + at, piece->bytes, piece->len);
		break;
	case 3: /* a piece goes over what is there */
		if (at + piece->len <= *len)
			memcpy(file + at, piece->bytes, piece->len);
		break;
	case 4: /* some are gone */
		n = MIN(n, *len - at);
		memmove(file + at, file + at + n, *len - at - n);
		*len -= n;
		break;
	default: /* some are there twice */
		n = MIN(n, *len - at);
		if (edit_open(file, len, at, n))
			memmove(file + at, file + at + n, n);
	}
}

/* The good file with the edits that `data` names. The length. */
static inline size_t edited(uint8_t *file, const void *good, size_t len, const uint8_t *data,
	size_t size, const struct piece *pieces, size_t n_pieces)
{
	memcpy(file, good, len);
	for (; size >= EDIT_BYTES; size -= EDIT_BYTES, data += EDIT_BYTES)
		edit(file, &len, data, pieces, n_pieces);
	return len;
}

static inline void check_text(const char *text, size_t size)
{
	ECG_CHECK(memchr(text, 0, size));
	for (size_t i = 0, left = strlen(text); left;) {
		size_t n = utf8_length(text + i, left);
		ECG_CHECK(n && (uint8_t)text[i] >= 0x20 && text[i] != 0x7f);
		i += n;
		left -= n;
	}
}

static inline void check_leads(const struct ecg *e)
{
	size_t all = 0;
	ECG_CHECK(e->n_leads <= ECG_LEADS_MAX);
	for (unsigned i = 0; i < e->n_leads; i++) {
		const struct ecg_lead *lead = &e->leads[i];
		ECG_CHECK(*lead->name && lead->n <= ECG_LEAD_SAMPLES_MAX && lead->pv_per_lsb > 0);
		ECG_CHECK(!lead->n || lead->samples);
		check_text(lead->name, sizeof(lead->name));
		for (unsigned k = 0; k < i; k++)
			ECG_CHECK(!streq(lead->name, e->leads[k].name));
		for (uint32_t k = 0; k < lead->n; k++)
			ECG_CHECK(abs(lead->samples[k]) <= ECG_SAMPLE_LIMIT);
		all += lead->n;
	}
	ECG_CHECK(all <= ECG_SAMPLES_MAX);
}

static inline bool check_range(int32_t value, int32_t least, int32_t most)
{
	return value == ECG_ABSENT || (value >= least && value <= most);
}

static inline void check_numbers(const struct ecg *e)
{
	ECG_CHECK(check_range(e->hr, 1, 499) && check_range(e->rr, 1, 19998));
	ECG_CHECK(check_range(e->pr, 1, 2000) && check_range(e->p, 1, 2000));
	ECG_CHECK(check_range(e->qrs, 1, 2000) && check_range(e->qt, 1, 2000));
	ECG_CHECK(check_range(e->qtc, 1, 2000) && check_range(e->p_axis, -360, 360));
	ECG_CHECK(check_range(e->qrs_axis, -360, 360) && check_range(e->t_axis, -360, 360));
	ECG_CHECK(check_range(e->tz_min, -720, 840) && check_range(e->high_pass_mhz, 0, INT32_MAX));
	ECG_CHECK(check_range(e->low_pass_hz, 1, INT32_MAX) &&
		  check_range(e->notch_hz, 1, INT32_MAX));
	ECG_CHECK(e->interval_ns >= 0 && e->pv_per_lsb >= 0);
	ECG_CHECK(!e->acquired.year ||
		  (ecg_date_exists(&e->acquired, 1980, 2200) && ecg_time_exists(&e->acquired)));
	ECG_CHECK(!e->birth.year || (e->birth.year >= 1850 && e->birth.year <= 2200 &&
					    e->birth.month <= 12 && e->birth.day <= 31));
	ECG_CHECK(!e->sex || e->sex == 'M' || e->sex == 'F');
	ECG_CHECK(e->age.value == ECG_ABSENT || e->age.unit);
}

/* Brackets and strings of the JSON match, and nothing in it is a control character. */
static inline void check_json(const char *text)
{
	int depth = 0;
	bool quoted = false;
	ECG_CHECK(text[0] == '{');
	for (; *text; text++) {
		ECG_CHECK((uint8_t)*text >= 0x20);
		if (quoted && *text == '\\')
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += (*text == '{' || *text == '[') - (*text == '}' || *text == ']');
		ECG_CHECK(depth > 0 || !text[1]);
	}
	ECG_CHECK(depth == 0 && !quoted);
}

/* What `reader` says of the file as JSON, checked; NULL: it is none of its own. */
static inline char *answer_of(ecg_reader reader, const uint8_t *bytes, size_t len)
{
	static struct ecg e, untouched;
	struct json j = {0};
	ecg_init(&e);
	ecg_init(&untouched);
	if (!reader(&e, bytes, len)) {
		ECG_CHECK(memcmp(&e, &untouched, sizeof(e)) == 0);
		return NULL;
	}
	ECG_CHECK(!e.failed);
	if (e.rejected)
		ECG_CHECK(!e.n_leads && !e.n_lines && !*e.id && !*e.last_name && !e.acquired.year);
	else
		ecg_derive(&e);
	check_leads(&e);
	check_numbers(&e);
	const char *const texts[] = {
		e.id, e.last_name, e.first_name, e.manufacturer, e.model, e.serial, e.software};
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		check_text(texts[i], ECG_TEXT_MAX);
	for (unsigned i = 0; i < e.n_lines; i++)
		check_text(e.lines[i].text, ECG_TEXT_MAX);
	for (unsigned i = 0; i < e.n_warnings; i++)
		check_text(e.warnings[i], sizeof(e.warnings[i]));
	ECG_CHECK(!e.n_lines || e.status);
	ecg_json(&e, SAMPLES, &j);
	ecg_free(&e);
	ECG_CHECK(json_text(&j));
	check_json(json_text(&j));
	return json_take(&j);
}

/* The same file says the same, whatever was read before it; looked at with one length in eight, to be fast. */
static inline void check_reader(ecg_reader reader, const uint8_t *bytes, size_t len)
{
	char *first = answer_of(reader, bytes, len);
	char *second = first && len % 8 == 0 ? answer_of(reader, bytes, len) : NULL;
	ECG_CHECK(!second || streq(first, second));
	free(first);
	free(second);
}

/* The file in a block of its own size, so that one byte too far is seen. */
static inline void check_file(ecg_reader reader, const uint8_t *bytes, size_t len)
{
	static bool opened;
	if (!opened)
		ecg_text_init();
	opened = true;
	uint8_t *exact = malloc(len ? len : 1);
	ECG_CHECK(exact);
	memcpy(exact, bytes, len);
	check_reader(reader, exact, len);
	free(exact);
}
