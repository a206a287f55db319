/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Contec ECG90A files, made here from what is known of the format: no public one may be shipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ecg/ecg.h"

#define HEADER 43
#define ROW 16
#define FOOTER 37
#define OFF 0x6800

static struct ecg *e;
static uint8_t file[HEADER + 8 * ROW + FOOTER];

/* Rows of a slope: column c of row r is 2048 + 10 * c + r, but II of row r is 2048 + 3 * r + 5. */
static size_t make(unsigned rows)
{
	memset(file, 0, sizeof(file));
	memcpy(file,
		"0000001\0\x01\x02"
		"2026-01-31 08:09:10\0\x03\x04"
		"TEST\0\0\0\0"
		"\x01\x27\x50",
		HEADER);
	for (unsigned r = 0; r < rows; r++)
		for (unsigned c = 0; c < 8; c++) {
			unsigned value = c ? 2048 + 10 * c + r : 2048 + 3 * r + 5;
			file[HEADER + r * ROW + 2 * c] = (uint8_t)value;
			file[HEADER + r * ROW + 2 * c + 1] = (uint8_t)(value >> 8);
		}
	for (unsigned i = 0; i < FOOTER; i++) /* it is none of the rows, whatever stands there */
		file[HEADER + rows * ROW + i] = i % 2 ? OFF >> 8 : 0;
	return HEADER + rows * ROW + FOOTER;
}

static void cell(unsigned row, unsigned column, unsigned value)
{
	file[HEADER + row * ROW + 2 * column] = (uint8_t)value;
	file[HEADER + row * ROW + 2 * column + 1] = (uint8_t)(value >> 8);
}

static bool read_file(size_t len)
{
	ecg_free(e);
	ecg_init(e);
	uint8_t *exact = malloc(len + !len);
	memcpy(exact, file, len);
	bool mine = ecg90a_read(e, exact, len);
	if (mine && !e->rejected)
		ecg_derive(e);
	free(exact);
	return mine;
}

static const struct ecg_lead *lead(const char *name)
{
	for (unsigned i = 0; i < e->n_leads; i++)
		if (streq(e->leads[i].name, name))
			return &e->leads[i];
	return NULL;
}

static bool warned(const char *text)
{
	for (unsigned i = 0; i < e->n_warnings; i++)
		if (streq(e->warnings[i], text))
			return true;
	return false;
}

static void test_whole(void **state)
{
	(void)state;
	static const char *const names[] = {
		"II", "III", "V1", "V2", "V3", "V4", "V5", "V6", "I", "aVR", "aVL", "aVF"};
	assert_true(read_file(make(4)));
	assert_string_equal(e->format, "ecg90a");
	assert_null(e->rejected);
	assert_string_equal(e->last_name, "TEST");
	assert_string_equal(e->id, "");
	assert_int_equal(e->sex, 'M');
	assert_int_equal(e->age.value, 39);
	assert_string_equal(e->age.unit, "a");
	assert_int_equal(e->weight.value, 80);
	assert_string_equal(e->weight.unit, "kg");
	assert_int_equal(
		e->acquired.year * 10000 + e->acquired.month * 100 + e->acquired.day, 20260131);
	assert_int_equal(
		e->acquired.hour * 10000 + e->acquired.minute * 100 + e->acquired.second, 80910);
	assert_int_equal(e->tz_min, ECG_ABSENT);
	assert_string_equal(e->manufacturer, "Contec");
	assert_string_equal(e->model, "ECG90A");
	assert_int_equal(e->interval_ns, 1250000);
	assert_int_equal(e->pv_per_lsb, 5000000);
	assert_int_equal(e->n_warnings, 0);
	assert_int_equal(e->n_leads, ELEMENTS(names));
	for (unsigned i = 0; i < ELEMENTS(names); i++) {
		assert_string_equal(e->leads[i].name, names[i]);
		assert_int_equal(e->leads[i].n, 4);
		assert_int_equal(e->leads[i].derived, i > 7);
		assert_false(e->leads[i].truncated);
		assert_int_equal(e->leads[i].pv_per_lsb, 5000000);
	}
	for (int r = 0; r < 4; r++) {
		assert_int_equal(lead("II")->samples[r], 3 * r + 5);
		assert_int_equal(lead("III")->samples[r], 10 + r);
		assert_int_equal(lead("V6")->samples[r], 70 + r);
		assert_int_equal(lead("I")->samples[r], 2 * r - 5);
	}
}

static void test_other_files(void **state)
{
	(void)state;
	size_t len = make(1);
	assert_false(read_file(HEADER + FOOTER - 1));
	assert_true(read_file(HEADER + FOOTER));
	assert_true(e->n_leads == 0 && warned("no_rhythm"));
	for (unsigned i = 0; i < 20; i++) {
		static const uint8_t wrong[] = {'/', ':', 'x', 0xb2};
		uint8_t kept = file[10 + i];
		for (size_t k = 0; k < ELEMENTS(wrong); k++) {
			if (wrong[k] == kept)
				continue;
			file[10 + i] = wrong[k];
			assert_false(read_file(len));
		}
		file[10 + i] = kept;
	}
	file[29] = ' ';
	assert_true(read_file(len));
	assert_int_equal(e->n_leads, 12);
}

static void test_structure(void **state)
{
	(void)state;
	for (size_t extra = 1; extra < ROW; extra++) {
		assert_true(read_file(make(1) + extra));
		assert_string_equal(e->rejected, "structure");
		assert_int_equal(e->n_leads, 0);
		assert_string_equal(e->last_name, "");
	}
}

static void test_patient(void **state)
{
	(void)state;
	size_t len = make(1);
	file[40] = 0;
	file[41] = 0;
	file[42] = 0;
	assert_true(read_file(len));
	assert_int_equal(e->sex, 'F');
	assert_int_equal(e->age.value, ECG_ABSENT);
	assert_int_equal(e->weight.value, ECG_ABSENT);
	file[40] = 255;
	file[41] = 200;
	assert_true(read_file(len));
	assert_int_equal(e->sex, 0);
	assert_int_equal(e->age.value, 200);
	file[40] = 'x';
	file[41] = 201;
	memcpy(file + 32, "ABCDEFGH", 8);
	assert_true(read_file(len));
	assert_int_equal(e->sex, 0);
	assert_int_equal(e->age.value, ECG_ABSENT);
	assert_string_equal(e->last_name, "ABCDEFGH");
	assert_int_equal(e->n_warnings, 0);
	memcpy(file + 32, "\xb2\xe2\xca\xd4\0\0\0\0", 8);
	assert_true(read_file(len));
	assert_string_equal(e->last_name, "测试");
	assert_true(warned("charset_guessed"));
}

static void test_date(void **state)
{
	(void)state;
	static const char *const bad[] = {"1979-12-31 00:00:00", "2201-01-01 00:00:00",
		"2026-02-29 00:00:00", "2026-01-31 24:00:00", "2026-01-31 00:60:00",
		"0000-00-00 00:00:00"};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		size_t len = make(1);
		memcpy(file + 10, bad[i], 19);
		assert_true(read_file(len));
		assert_null(e->rejected);
		assert_int_equal(e->acquired.year, 0);
		assert_true(warned("bad_date"));
	}
	static const char *const good[] = {
		"1980-01-01 00:00:00", "2200-12-31 23:59:59", "2024-02-29 12:00:00"};
	for (size_t i = 0; i < ELEMENTS(good); i++) {
		size_t len = make(1);
		memcpy(file + 10, good[i], 19);
		assert_true(read_file(len));
		assert_int_equal(e->acquired.year, atoi(good[i]));
		assert_int_equal(e->n_warnings, 0);
	}
}

static void test_end_of_rows(void **state)
{
	(void)state;
	size_t len = make(5);
	memset(file + HEADER + 3 * ROW, 0, ROW);
	assert_true(read_file(len));
	assert_int_equal(e->n_leads, 12);
	for (unsigned i = 0; i < e->n_leads; i++)
		assert_true(e->leads[i].n == 3 && e->leads[i].truncated);
	make(5);
	memset(file + HEADER, 0, ROW);
	assert_true(read_file(len));
	assert_true(e->n_leads == 0 && warned("no_rhythm"));
	make(5);
	memset(file + HEADER + 3 * ROW, 0, ROW - 1);
	file[HEADER + 4 * ROW - 1] = 8;
	assert_true(read_file(len));
	assert_int_equal(lead("V1")->n, 5);
	assert_int_equal(lead("V1")->samples[3], -2048);
	assert_false(lead("V1")->truncated);
}

static void test_electrodes(void **state)
{
	(void)state;
	size_t len = make(3);
	for (unsigned r = 0; r < 3; r++)
		cell(r, 2, OFF);
	cell(1, 3, OFF);
	cell(1, 4, OFF - 1);
	assert_true(read_file(len));
	assert_null(lead("V1"));
	assert_int_equal(lead("V2")->samples[1], OFF - 2048);
	assert_int_equal(lead("V2")->n, 3);
	assert_true(warned("lead_off: V1") && warned("off_scale: V2") && e->n_warnings == 2);
	assert_int_equal(e->n_leads, 11);
	/* nothing is computed from a limb lead that was off */
	for (unsigned c = 0; c < 2; c++) {
		make(3);
		cell(2, c, OFF);
		assert_true(read_file(len));
		assert_int_equal(e->n_leads, 8);
		assert_null(lead("I"));
		assert_null(lead("aVF"));
		for (unsigned r = 0; r < 3; r++)
			cell(r, c, OFF);
		assert_true(read_file(len));
		assert_int_equal(e->n_leads, 7);
	}
}

static int setup(void **state)
{
	(void)state;
	ecg_text_init();
	e = malloc(sizeof(*e));
	if (e)
		ecg_init(e);
	return e ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ecg_free(e);
	free(e);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_patient),
		cmocka_unit_test(test_date),
		cmocka_unit_test(test_end_of_rows),
		cmocka_unit_test(test_electrodes),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ecg90a", tests, setup, teardown);
}
