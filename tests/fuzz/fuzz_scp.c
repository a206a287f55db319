/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SCP-ECG. Input: a byte of how, then
 *   how % 8 == 0   the file itself, with its CRCs made right
 *   how % 8 == 1   the file itself
 *   else           edits of a good record, five bytes each: of a section's body, from which the
 *                  record is put together, or of the record; its CRCs are made right
 * How's other bits choose the good record: its code, its order of differences, whether beats were
 * taken out.
 *
 * Beside what holds of every answer: a waveform that is not supported has no leads, and behind right
 * CRCs no record is rejected for its own.
 */
#include "ecg_check.h"

#define SECTIONS 12
#define POINTERS 14
#define HEAD 16
#define BODY_MAX 2048
#define EDITS_MAX 12
#define EDIT 5
#define RECORD_MAX (6 + HEAD + 10 * POINTERS + SECTIONS * (HEAD + BODY_MAX))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct body {
	size_t len;
	uint8_t bytes[BODY_MAX];
};

/* --- a good record */

static void set(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

/* Little-endian numbers, of as many bytes as the letters say. */
static void put(struct body *b, const char *widths, const uint32_t *values)
{
	for (; *widths && b->len + 4 <= BODY_MAX; widths++, values++) {
		set(b->bytes + b->len, *values, (unsigned)(*widths - '0'));
		b->len += (size_t)(*widths - '0');
	}
}

#define PUT(b, widths, ...) put(b, widths, (const uint32_t[]){__VA_ARGS__})

static void put_text(struct body *b, const char *text, size_t len)
{
	memcpy(b->bytes + b->len, text, len);
	b->len += len;
}

#define TEXT(b, text) put_text(b, text, sizeof(text))

static void patient(struct body *b)
{
	PUT(b, "12", 2, 7);
	TEXT(b, "R-0001");
	PUT(b, "12", 0, 5);
	TEXT(b, "\xb2\xe2\xca\xd4");
	PUT(b, "1221", 4, 3, 39, 1);
	PUT(b, "12211", 5, 4, 1950, 3, 4);
	PUT(b, "1221", 6, 3, 180, 1);
	PUT(b, "1221", 7, 3, 85, 1);
	PUT(b, "121", 8, 1, 2);
	PUT(b, "12", 14, 36 + 25);
	PUT(b, "222114211111", 0, 0, 0, 0, 255, 0x54534554, 0, 20, 0, 0x27, 0, 1);
	PUT(b, "44441", 0, 0, 0, 0, 1);
	put_text(b, "1\0SERIAL\0SOFT\0SCP\0MAKER\0", 25);
	PUT(b, "12211", 25, 4, 2026, 1, 31);
	PUT(b, "12111", 26, 3, 8, 9, 10);
	PUT(b, "122122121", 27, 2, 5, 28, 2, 150, 29, 1, 2);
	PUT(b, "122212", 34, 5, 480, 0, 0, 255);
}

/* Two tables that switch to each other, with codes longer than the decoder's look-up table. */
static void tables(struct body *b)
{
	PUT(b, "22", 2, 5);
	PUT(b, "11124", 1, 1, 1, 0, 0);
	PUT(b, "11124", 2, 6, 1, 0, 1);
	PUT(b, "11124", 3, 3, 0, 2, 3);
	PUT(b, "11124", 14, 30, 1, 5, 7);
	PUT(b, "11124", 32, 56, 1, 0, 0xffffffff);
	PUT(b, "2", 2);
	PUT(b, "11124", 1, 17, 1, 0, 0);
	PUT(b, "11124", 1, 1, 0, 1, 1);
}

/* Section 5 or 6: two leads of some bits, which are samples in any code. */
static void signal_of(struct body *b, unsigned order, unsigned bytes)
{
	PUT(b, "2211", 2500, 2000, order, 0);
	PUT(b, "22", bytes, bytes);
	for (unsigned i = 0; i < 2 * bytes; i++)
		PUT(b, "1", i % 5 ? i * 89 >> 3 & 0x5d : 0);
}

static void statements(struct body *b, const char *line)
{
	PUT(b, "12111111", 1, 2026, 1, 31, 8, 9, 10, 2);
	for (unsigned i = 0; i < 2; i++) {
		PUT(b, "12", i, 4);
		put_text(b, line, 4);
	}
}

static void good_record(struct body *s, uint8_t how)
{
	unsigned code = how >> 3 & 3, order = how >> 5 & 3, beats = how >> 7;
	memset(s, 0, SECTIONS * sizeof(*s));
	patient(&s[1]);
	if (code == 1)
		PUT(&s[2], "2", 19999);
	else if (code >= 2)
		tables(&s[2]);
	PUT(&s[3], "11", 2, 0x14 | beats);
	PUT(&s[3], "441441", 1, 100, 1, code & 1, 99 + (code & 1), 2);
	PUT(&s[4], "222", 60, 10, 2);
	PUT(&s[4], "24442444", 0, 5, 14, 30, 0, 55, 64, 99);
	signal_of(&s[5], order, 40);
	signal_of(&s[6], order, 150);
	PUT(&s[7], "1122", 1, 1, 800, 29999);
	PUT(&s[7], "22222222", 100, 192, 257, 345, 617, 29, 53, 56);
	PUT(&s[7], "222222", 1, 2, 3, 4, 5, 0);
	PUT(&s[7], "222212", 75, 29999, 402, 1, 0, 0);
	statements(&s[8], "NSR");
	statements(&s[11], "\2SR");
}

/* --- edits */

/* Numbers that mean something somewhere. */
static const uint32_t numbers[] = {0, 1, 2, 8, 16, 24, 25, 32, 33, 60, 61, 64, 65, 127, 128, 255,
	256, 1023, 1024, 1025, 19998, 19999, 29998, 29999, 32767, 32768, 65535, 999999, 1000000,
	1000001, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};

static void edit_body(struct body *b, size_t at, uint8_t what, uint8_t with)
{
	uint32_t number = numbers[with % ELEMENTS(numbers)];
	unsigned width = what % 8 == 2 ? 2 : 4;
	at = b->len ? at % b->len : 0;
	switch (what % 8) {
	case 0:
		b->bytes[at] = with;
		break;
	case 1:
		b->bytes[at] ^= (uint8_t)(1 << (with & 7));
		break;
	case 2:
	case 3:
		if (at + width <= b->len)
			set(b->bytes + at, number, width);
		break;
	case 4: /* ends here */
		b->len = at;
		break;
	case 5: /* some are gone */
		b->len -= MIN((size_t)with, b->len - at);
		memmove(b->bytes + at, b->bytes + at + with, b->len > at ? b->len - at : 0);
		break;
	case 6: /* more at the end */
		while (with-- && b->len < BODY_MAX)
			b->bytes[b->len++] = (uint8_t)(what ^ with * 7);
		break;
	default: /* nothing is left, or twice */
		if (with % 4 == 0)
			b->len = 0;
		else if (b->len && 2 * b->len <= BODY_MAX) {
			memcpy(b->bytes + b->len, b->bytes, b->len);
			b->len *= 2;
		}
	}
}

/* --- the record */

static size_t assemble(const struct body *s, uint8_t *record)
{
	size_t at = 6 + HEAD + 10 * POINTERS;
	memset(record, 0, at);
	memcpy(record + 6 + 10, "SCPECG", 6);
	set(record + 6 + 4, HEAD + 10 * POINTERS, 4);
	for (unsigned id = 0; id < SECTIONS; id++) {
		uint8_t *pointer = record + 6 + HEAD + 10 * id;
		size_t len = id ? HEAD + s[id].len : HEAD + 10 * POINTERS;
		set(pointer, id, 2);
		if (id && !s[id].len)
			continue;
		set(pointer + 2, len, 4);
		set(pointer + 6, id ? at + 1 : 7, 4);
		if (!id)
			continue;
		memset(record + at, 0, HEAD);
		set(record + at + 2, id, 2);
		set(record + at + 4, len, 4);
		memcpy(record + at + HEAD, s[id].bytes, s[id].len);
		at += len;
	}
	set(record + 2, at, 4);
	return at;
}

static void set_crc(uint8_t *at, size_t len)
{
	uint16_t crc = 0xffff;
	for (size_t i = 2; i < len; i++) {
		crc = (uint16_t)(crc ^ at[i] << 8);
		for (unsigned bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
	}
	set(at, crc, 2);
}

static void repair_section(uint8_t *record, size_t len, size_t at)
{
	if (at > len || len - at < HEAD)
		return;
	size_t length = get32(record + at + 4);
	if (length >= HEAD && length <= len - at)
		set_crc(record + at, length);
}

/* Makes the CRCs right: of the sections, of section 0, of the record. */
static void repair(uint8_t *record, size_t size)
{
	size_t len = size >= 6 ? get32(record + 2) : 0;
	if (len > size || len < 6 + HEAD)
		return;
	size_t end = MIN(MIN(len, 4096U), 6 + (size_t)get32(record + 6 + 4));
	for (size_t at = 6 + HEAD; at + 10 <= end; at += 10)
		repair_section(record, len, (size_t)get32(record + at + 6) - 1);
	repair_section(record, len, 6);
	set_crc(record, len);
}

/* --- what holds */

static void check_lead(const struct ecg_lead *lead)
{
	ECG_CHECK(*lead->name && lead->pv_per_lsb > 0 && lead->n <= ECG_LEAD_SAMPLES_MAX);
	for (uint32_t k = 0; k < lead->n; k++)
		ECG_CHECK(abs(lead->samples[k]) <= ECG_SAMPLE_LIMIT);
}

static void check_waveform(const struct ecg *e)
{
	size_t all = 0;
	ECG_CHECK(e->n_leads <= ECG_LEADS_MAX && e->room <= ECG_SAMPLES_MAX);
	for (unsigned i = 0; i < e->n_leads; i++) {
		check_lead(&e->leads[i]);
		all += e->leads[i].n;
	}
	ECG_CHECK(all <= e->room);
	for (unsigned i = 0; i < e->n_warnings; i++)
		if (strncmp(e->warnings[i], "waveform_unsupported", 20) == 0 ||
			streq(e->warnings[i], "no_rhythm"))
			ECG_CHECK(!e->n_leads);
	ECG_CHECK(!e->n_leads || e->interval_ns > 0);
}

static void check_texts(const struct ecg *e)
{
	const char *const texts[] = {e->id, e->last_name, e->first_name, e->manufacturer, e->model,
		e->serial, e->software};
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		check_text(texts[i], ECG_TEXT_MAX);
	for (unsigned i = 0; i < e->n_lines; i++)
		check_text(e->lines[i].text, ECG_TEXT_MAX);
	for (unsigned i = 0; i < e->n_warnings; i++)
		check_text(e->warnings[i], sizeof(e->warnings[i]));
	ECG_CHECK(!e->n_lines || e->status);
}

static char *answer(const uint8_t *bytes, size_t len, bool repaired)
{
	static struct ecg e, untouched;
	struct json j = {0};
	ecg_init(&e);
	ecg_init(&untouched);
	if (!scp_read(&e, bytes, len)) {
		ECG_CHECK(memcmp(&e, &untouched, sizeof(e)) == 0);
		return NULL;
	}
	ECG_CHECK(!e.failed);
	ECG_CHECK(!e.rejected || (!e.n_leads && !e.n_lines && !*e.id && !e.acquired.year));
	ECG_CHECK(!repaired || !e.rejected || !streq(e.rejected, "record_crc"));
	check_waveform(&e);
	ecg_derive(&e);
	check_waveform(&e);
	check_numbers(&e);
	check_texts(&e);
	ecg_json(&e, SAMPLES, &j);
	ecg_free(&e);
	ECG_CHECK(json_text(&j));
	check_json(json_text(&j));
	return json_take(&j);
}

/* In a block of its own size, so that one byte too far is seen; and the same file says the same. */
static void check_record(const uint8_t *bytes, size_t len, bool repaired)
{
	static bool opened;
	if (!opened)
		ecg_text_init();
	opened = true;
	uint8_t *exact = malloc(len ? len : 1);
	ECG_CHECK(exact);
	if (len)
		memcpy(exact, bytes, len);
	char *first = answer(exact, len, repaired);
	char *second = first && len % 8 == 0 ? answer(exact, len, repaired) : NULL;
	ECG_CHECK(!second || streq(first, second));
	free(first);
	free(second);
	free(exact);
}

/* Edits of sections 1..11; of the whole when they name another. */
static void edit_all(struct body *s, uint8_t *record, size_t *len, const uint8_t *data, size_t size)
{
	const size_t n = MIN(size / EDIT, (size_t)EDITS_MAX);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *how = data + EDIT * i;
		unsigned id = how[0] % 16;
		if (id >= 1 && id < SECTIONS)
			edit_body(&s[id], (size_t)(how[1] | how[2] << 8), how[3], how[4]);
	}
	*len = assemble(s, record);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *how = data + EDIT * i;
		size_t at = (size_t)(how[1] | how[2] << 8) %
			    (how[0] & 16 ? *len : 6 + HEAD + 10 * POINTERS);
		unsigned width = how[3] & 1 ? 2 : 4;
		if (how[0] % 16 >= SECTIONS && at + width <= *len)
			set(record + at, how[3] & 2 ? how[4] : numbers[how[4] % ELEMENTS(numbers)],
				width);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct body sections[SECTIONS];
	static uint8_t record[RECORD_MAX];
	if (!size)
		return 0;
	size_t len = MIN(size - 1, sizeof(record));
	if (data[0] % 8 > 1) {
		good_record(sections, data[0]);
		edit_all(sections, record, &len, data + 1, size - 1);
	} else {
		memcpy(record, data + 1, len);
	}
	if (data[0] % 8 != 1)
		repair(record, len);
	check_record(record, len, data[0] % 8 != 1);
	return 0;
}
