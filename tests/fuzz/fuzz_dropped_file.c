/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dropped_file given a file, after it was asked whether that is a whole one. The input is the file.
 *
 *   - it is whole or not, and nothing else of it is a frame;
 *   - a whole file is one study of exactly its bytes; nothing is one when memory is short;
 *   - an SCP-ECG record is not whole before its last byte; a PDF not without its end;
 *   - scrubbed it has its length, is whole, and is scrubbed once and for all.
 */
#include "vg_mock.h"

extern const struct vg_driver dropped_file;
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool whole(const uint8_t *bytes, size_t len)
{
	struct vg_frame f = dropped_file.frame(NULL, bytes, len);
	MOCK_CHECK(!f.skip && (!f.length || f.length == len));
	return f.length;
}

/* Cut at its end it lies in a block of its size. */
static bool whole_cut(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len + !len);
	MOCK_CHECK(copy);
	memcpy(copy, data, len);
	bool yes = whole(copy, len);
	free(copy);
	return yes;
}

static void check_cuts(const uint8_t *data, size_t size)
{
	uint32_t record = 0;
	MOCK_CHECK(!whole_cut(data, 0));
	for (size_t i = 0; size >= 22 && i < 4; i++)
		record |= (uint32_t)data[2 + i] << 8 * i;
	bool scp = size >= 22 && memcmp(data + 16, "SCPECG", 6) == 0;
	bool pdf = size >= 5 && memcmp(data, "%PDF-", 5) == 0;
	if (scp)
		MOCK_CHECK(whole(data, size) == (record <= size));
	for (size_t len = scp ? 22 : 5; len < size; len += 1 + size / 64) {
		bool yes = whole_cut(data, len);
		if (scp)
			MOCK_CHECK(yes == (record <= len));
		else if (pdf)
			MOCK_CHECK(!yes || memmem(data, len, "%%EOF", 5));
	}
}

static void check_scrub(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size);
	MOCK_CHECK(copy);
	memcpy(copy, data, size);
	dropped_file.scrub(&dropped_file, 0, copy, size);
	MOCK_CHECK(whole(copy, size));
	for (size_t i = 0; i < size; i++)
		MOCK_CHECK(copy[i] == 'x');
	free(copy);
}

/* `starve`: 1 there is no memory for its bytes, 2 for the study */
static void check_study(const uint8_t *data, size_t size, unsigned starve)
{
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(s);
	s->starve = starve;
	mock_open(s, &dropped_file);
	mock_heard(s, 0, data, size);
	MOCK_CHECK(s->studies == !starve && s->emitted == !starve && s->classed == 1);
	MOCK_CHECK(s->results[starve ? VG_MALFORMED : VG_NOTHING] == 1 && !s->events);
	MOCK_CHECK(starve || (s->study_len == size && memcmp(s->study, data, size) == 0));
	mock_close(s);
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_cuts(data, size);
	if (!size || !whole(data, size))
		return 0;
	check_scrub(data, size);
	for (unsigned starve = 0; starve < 3; starve++)
		check_study(data, size, starve);
	return 0;
}
