/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who and when from DICOM files, built here element by element; and that a PDF is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ecg/ecg.h"

#define SAMPLE "../shared/samples/ecgtoolkit-Example.dcm"
#define IMPLICIT "1.2.840.10008.1.2"
#define EXPLICIT "1.2.840.10008.1.2.1"

static struct ecg *e;
static uint8_t file[4096];
static size_t len;
static bool explicit;

static void put(const void *bytes, size_t n)
{
	memcpy(file + len, bytes, n);
	len += n;
}

static void put_number(uint32_t value, size_t n)
{
	const uint8_t le[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
		(uint8_t)(value >> 24)};
	put(le, n);
}

static void tag(uint32_t number)
{
	put_number(number >> 16, 2);
	put_number(number, 2);
}

/* An element's head; `vr` NULL: without one. */
static void head(uint32_t number, const char *vr, uint32_t length)
{
	bool wide = vr && strstr("OB OW SQ UN UT", vr);
	bool shown = vr && (explicit || number >> 16 == 2);
	tag(number);
	if (shown)
		put(vr, 2);
	if (shown && wide)
		put_number(0, 2);
	put_number(length, shown && !wide ? 2 : 4);
}

static void text(uint32_t number, const char *vr, const char *value)
{
	head(number, vr, (uint32_t)strlen(value));
	put(value, strlen(value));
}

static void begin(const char *syntax)
{
	memset(file, 0, 128);
	len = 128;
	put("DICM", 4);
	explicit = !syntax || !streq(syntax, IMPLICIT);
	if (syntax)
		text(0x00020010, "UI", syntax);
}

static void person(void)
{
	text(0x00080020, "DA", "20260131");
	text(0x00080030, "TM", "080910.25 ");
	text(0x00080060, "CS", "ECG ");
	text(0x00080070, "LO", "Maker ");
	text(0x00081090, "LO", "M1");
	text(0x00100010, "PN", "TEST^A^B");
	text(0x00100020, "LO", "R-0001 ");
	text(0x00100030, "DA", "19500304");
	text(0x00100040, "CS", "F ");
	text(0x00181000, "LO", "S-7");
}

static bool read_bytes(bool (*reader)(struct ecg *, const uint8_t *, size_t), size_t n)
{
	ecg_free(e);
	ecg_init(e);
	uint8_t *exact = malloc(n + !n);
	memcpy(exact, file, n);
	bool mine = reader(e, exact, n);
	free(exact);
	return mine;
}

static void read_file(void)
{
	assert_true(read_bytes(dicom_read, len));
	assert_null(e->rejected);
	assert_string_equal(e->format, "dicom");
	assert_int_equal(e->n_leads, 0);
	assert_string_equal(e->warnings[e->n_warnings - 1], "waveform_unsupported: dicom");
}

static bool warned(const char *warning)
{
	for (unsigned i = 0; i < e->n_warnings; i++)
		if (streq(e->warnings[i], warning))
			return true;
	return false;
}

static void same_acquired(const char *want)
{
	char found[64];
	const struct vg_civil *c = &e->acquired;
	snprintf(found, sizeof(found), "%04u-%02u-%02u %02u:%02u:%02u", c->year, c->month, c->day,
		c->hour, c->minute, c->second);
	assert_string_equal(found, want);
}

static void test_whole(void **state)
{
	(void)state;
	static const char *const syntaxes[] = {IMPLICIT, EXPLICIT, NULL, "1.2.840.10008.1.2.4.50"};
	for (size_t i = 0; i < ELEMENTS(syntaxes); i++) {
		begin(syntaxes[i]);
		person();
		read_file();
		assert_string_equal(e->id, "R-0001");
		assert_string_equal(e->last_name, "TEST");
		assert_string_equal(e->first_name, "A");
		assert_int_equal(e->sex, 'F');
		assert_int_equal(
			e->birth.year * 10000 + e->birth.month * 100 + e->birth.day, 19500304);
		assert_string_equal(e->manufacturer, "Maker");
		assert_string_equal(e->model, "M1");
		assert_string_equal(e->serial, "S-7");
		same_acquired("2026-01-31 08:09:10");
		assert_int_equal(e->tz_min, ECG_ABSENT);
		assert_int_equal(e->n_warnings, 1);
	}
}

static void test_other_files(void **state)
{
	(void)state;
	begin(NULL);
	assert_false(read_bytes(dicom_read, 131));
	assert_false(read_bytes(dicom_read, 0));
	assert_true(read_bytes(dicom_read, 132));
	assert_true(warned("bad_date"));
	file[131] = 'N';
	assert_false(read_bytes(dicom_read, 132));
}

static void test_sequences(void **state)
{
	(void)state;
	static const char *const syntaxes[] = {IMPLICIT, EXPLICIT};
	for (size_t i = 0; i < ELEMENTS(syntaxes); i++) {
		begin(syntaxes[i]);
		head(0x00081032, "SQ", UINT32_MAX); /* a sequence, an item and one more, all open */
		head(0xfffee000, NULL, UINT32_MAX);
		text(0x00100020, "LO", "inside");
		head(0x00081140, "SQ", UINT32_MAX);
		head(0xfffee000, NULL, 4); /* an item with a length is stepped over */
		put("junk", 4);
		head(0xfffee0dd, NULL, 0);
		head(0xfffee00d, NULL, 0);
		head(0xfffee0dd, NULL, 0);
		head(0x00081150, "SQ", 8); /* and so is a sequence with one */
		head(0xfffee000, NULL, UINT32_MAX);
		text(0x00100020, "LO", "R-0002");
		head(0x00090010, "UN", 4);
		put("junk", 4);
		head(0x00091010, "OB", 2);
		put("ob", 2);
		text(0x00100040, "CS", "M");
		read_file();
		assert_string_equal(e->id, "R-0002");
		assert_false(warned("dicom_cut"));
	}
}

static void test_order(void **state)
{
	(void)state;
	begin(EXPLICIT);
	text(0x00100040, "CS", "M");
	read_file();
	assert_int_equal(e->sex, 'M');
	head(0x53fffffe, "OW", 0);
	text(0x00100040, "CS", "F");
	read_file();
	assert_int_equal(e->sex, 'F');
	head(0x54000100, "SQ", UINT32_MAX); /* the waveform: nothing after it is looked at */
	text(0x00100040, "CS", "M");
	put("\1", 1);
	read_file();
	assert_int_equal(e->sex, 'F');
	assert_false(warned("dicom_cut"));
}

static void test_cut(void **state)
{
	(void)state;
	begin(EXPLICIT);
	person();
	size_t whole = len;
	bool cut_seen = false;
	for (len = 132; len < whole; len++) { /* every length: what stands before is known */
		read_file();
		cut_seen = cut_seen || warned("dicom_cut");
		assert_int_equal(e->id[0] != 0, len >= whole - 16 - 10 - 11);
	}
	assert_true(cut_seen);
	begin(EXPLICIT);
	head(0xfffee0dd, NULL, 0); /* an end without a beginning */
	text(0x00100040, "CS", "M");
	read_file();
	assert_false(e->sex);
	begin(EXPLICIT);
	head(0x00090010, "UN", UINT32_MAX); /* its content has another syntax */
	text(0x00100040, "CS", "M");
	read_file();
	assert_true(warned("dicom_cut") && !e->sex);
	begin(EXPLICIT);
	tag(0x00090010);
	put("OB\0\0", 4); /* a wide length that is not there */
	read_file();
	assert_true(warned("dicom_cut"));
	begin(EXPLICIT); /* nothing is cut where the last element has no value */
	text(0x00100040, "CS", "M");
	head(0x00181000, "LO", 0);
	read_file();
	assert_false(warned("dicom_cut"));
	head(0x00189999, "UT", 0);
	read_file();
	assert_false(warned("dicom_cut"));
	begin(EXPLICIT);
	head(0x00090010, "UT", 1);
	read_file();
	assert_true(warned("dicom_cut"));
}

static void test_syntax(void **state)
{
	(void)state;
	static const char *const beyond[] = {"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"};
	for (size_t i = 0; i < ELEMENTS(beyond); i++) {
		begin(beyond[i]);
		text(0x00020013, "SH", "after it");
		text(0x00030010, "LO", "");
		put("\1", 1); /* what is not read cannot be cut */
		person();
		read_file();
		assert_true(warned("dicom_syntax") && !warned("dicom_cut"));
		assert_string_equal(e->id, "");
	}
}

static void name_of(
	const char *set, const char *value, const char *last, const char *first, bool guessed)
{
	begin(IMPLICIT);
	if (set)
		text(0x00080005, "CS", set);
	text(0x00100010, "PN", value);
	read_file();
	assert_string_equal(e->last_name, last);
	assert_string_equal(e->first_name, first);
	assert_int_equal(warned("charset_guessed"), guessed);
}

static void test_names(void **state)
{
	(void)state;
	name_of(NULL, "", "", "", false);
	name_of(NULL, "TEST ", "TEST", "", false);
	name_of(NULL, "^A", "", "A", false);
	name_of(NULL, "TEST^A^^Dr=\xb2\xe2", "TEST", "A", true);
	name_of("GB18030", "=\xb2\xe2\xca\xd4^\xbc\xd7=x", "测试", "甲", false);
	name_of("GBK ", "\xb2\xe2\xca\xd4^\xbc\xd7", "测试", "甲", false);
	name_of("ISO_IR 192", "\xe6\xb5\x8b\xe8\xaf\x95^\xe7\x94\xb2", "测试", "甲", false);
	name_of("ISO_IR 100", "M\xfcller^J\xf6rg", "Müller", "Jörg", false);
	name_of("ISO_IR 101", "\xa3", "Ł", "", false);
	name_of("ISO_IR 144", "\xb0", "А", "", false);
	name_of("ISO_IR 6", "\xe6\xb5\x8b", "测", "", true);
	/* a ^ that is half of a Chinese character is none */
	name_of("GBK", "\x81^^A", "乛", "A", false);
}

static void acquired_of(const char *date, const char *time, const char *at, const char *offset)
{
	begin(IMPLICIT);
	text(0x00080020, "DA", date);
	text(0x0008002a, "DT", at);
	text(0x00080030, "TM", time);
	text(0x00080201, "SH", offset);
	read_file();
}

static void test_acquired(void **state)
{
	(void)state;
	acquired_of("20260131", "080910", "20260201101112.5", "");
	same_acquired("2026-02-01 10:11:12");
	acquired_of("20260131", "080910", "202602011011", "");
	same_acquired("2026-02-01 10:11:00");
	acquired_of("19800101", "000000", "", "");
	same_acquired("1980-01-01 00:00:00");
	acquired_of("22001231", "235959", "", "");
	same_acquired("2200-12-31 23:59:59");
	acquired_of("20260131", "0809", "", "+0800");
	same_acquired("2026-01-31 08:09:00");
	assert_int_equal(e->tz_min, 480);
	acquired_of("20260131", "0809", "20260201101112-0330", "+0800");
	assert_int_equal(e->tz_min, -210);
	acquired_of("20260131", "0809", "20260201", "x");
	same_acquired("2026-01-31 08:09:00");
	assert_int_equal(e->tz_min, ECG_ABSENT);
	static const char *const bad[][3] = {{"", "080910", ""}, {"20260131", "", ""},
		{"20260131", "08", ""}, {"20260231", "080910", ""}, {"20260131", "246060", ""},
		{"19791231", "080910", ""}, {"22010101", "080910", ""},
		{"20260131", "080910", "20260231000000"}, {"x", "x", "x"}};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		acquired_of(bad[i][0], bad[i][1], bad[i][2], "");
		assert_true(warned("bad_date"));
		assert_int_equal(e->acquired.year, 0);
	}
}

static void test_values(void **state)
{
	(void)state;
	static const char *const births[] = {
		"", "1950", "18491231", "22010101", "19500230", "19500304x", "1950.03.04"};
	for (size_t i = 0; i < ELEMENTS(births); i++) {
		begin(IMPLICIT);
		text(0x00100030, "DA", births[i]);
		text(0x00100040, "CS", "O");
		read_file();
		assert_int_equal(e->birth.year, 0);
		assert_int_equal(e->sex, 0);
	}
	begin(IMPLICIT);
	text(0x00080060, "CS", "CT");
	read_file();
	assert_true(warned("modality: CT"));
	begin(IMPLICIT);
	text(0x00080060, "CS", "<b>");
	read_file();
	assert_true(warned("modality"));
	begin(IMPLICIT);
	text(0x00080060, "CS", "");
	text(0x00100030, "DA", "18500101");
	read_file();
	assert_false(warned("modality"));
	assert_int_equal(e->birth.year, 1850);
	begin(IMPLICIT);
	text(0x00100030, "DA", "22001231");
	head(0x00100040, NULL, 2);
	put("F", 2); /* a NUL makes it even */
	read_file();
	assert_int_equal(e->birth.year, 2200);
	assert_int_equal(e->sex, 'F');
	/* longer than there is room for */
	char longest[601];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[600] = 0;
	begin(IMPLICIT);
	for (unsigned i = 0; i < 3; i++)
		text((const uint32_t[]){0x00080020, 0x0008002a, 0x00100020}[i], "LO", longest);
	read_file();
	assert_int_equal(strlen(e->id), ECG_TEXT_MAX - 1);
}

static void test_sample(void **state)
{
	(void)state;
	_cleanup_(fclosep) FILE *f = fopen(SAMPLE, "r");
	if (!f) {
		print_message("skipped: no shared data\n");
		skip();
	}
	len = fread(file, 1, sizeof(file), f); /* who and when stand at its beginning */
	read_file();
	assert_string_equal(e->id, "SBJ-123");
	assert_string_equal(e->model, "ELI250");
	assert_int_equal(e->birth.year, 1953);
	same_acquired("2002-11-22 09:10:00");
}

static void test_pdf(void **state)
{
	(void)state;
	memset(file, ' ', sizeof(file));
	assert_false(read_bytes(pdf_read, sizeof(file)));
	assert_false(read_bytes(pdf_read, 0));
	memcpy(file, "%PDF-1.4", 8);
	assert_false(read_bytes(pdf_read, 4));
	assert_true(read_bytes(pdf_read, 5));
	assert_string_equal(e->format, "pdf");
	assert_null(e->rejected);
	assert_true(warned("waveform_unsupported: pdf") && e->n_warnings == 1);
	file[0] = ' ';
	memcpy(file + 1019, "%PDF-", 5);
	assert_true(read_bytes(pdf_read, 1024));
	file[1019] = ' ';
	memcpy(file + 1020, "%PDF-", 5);
	assert_false(read_bytes(pdf_read, 1025));
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
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_acquired),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_pdf),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("dicom", tests, setup, teardown);
}
