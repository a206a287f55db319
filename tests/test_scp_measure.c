/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measurements and statements of SCP-ECG: each code for "not computed", every early end. */
#include "scp_rig.h"

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	if (!r)
		return -1;
	ecg_text_init();
	rig_start(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_stop(*state);
	free(*state);
	return 0;
}

/* Section 7; what is 0 stays 0. */
struct found {
	uint16_t rr, on[5]; /* P on, P off, QRS on, QRS off, T off */
	int16_t axes[3];
	uint16_t rate, qtc;
	uint8_t formula;
};

static struct found good(void)
{
	return (struct found){.rr = 800,
		.on = {100, 192, 257, 345, 617},
		.axes = {29, 53, -56},
		.rate = 76,
		.qtc = 402,
		.formula = 1};
}

static void put_found(struct rig *r, const struct found *f, unsigned blocks, unsigned spikes)
{
	struct out *s = &r->sections[7];
	rig_drop(r, 7);
	put(s, "1122", blocks, spikes, f->rr, 29999);
	for (unsigned i = 0; i < blocks; i++)
		for (unsigned k = 0; k < 8; k++)
			put(s, "2", i ? 99 : k < 5 ? f->on[k] : (unsigned)f->axes[k - 5]);
	for (unsigned i = 0; i < 10 * spikes; i++)
		put(s, "1", 0xff);
	put(s, "2111", 3, 7, 7, 7); /* three QRS of type 7 */
	put(s, "22212", f->rate, 29999, f->qtc, f->formula, 0);
}

static const struct ecg *read_found(struct rig *r, const struct found *f)
{
	put_found(r, f, 1, 0);
	rig_expect(r, "");
	return r->e;
}

static void everything_is_read(void **state)
{
	struct rig *r = *state;
	struct found f = good();
	for (unsigned blocks = 1; blocks <= 255; blocks += 127)
		for (unsigned spikes = 0; spikes <= 255; spikes += 51) {
			put_found(r, &f, blocks, spikes);
			rig_expect(r, "");
			assert_int_equal(r->e->hr, 76);
			assert_int_equal(r->e->rr, 800);
			assert_int_equal(r->e->p, 92);
			assert_int_equal(r->e->pr, 157);
			assert_int_equal(r->e->qrs, 88);
			assert_int_equal(r->e->qt, 360);
			assert_int_equal(r->e->qtc, 402);
			assert_string_equal(r->e->qtc_formula, "bazett");
			assert_int_equal(r->e->p_axis, 29);
			assert_int_equal(r->e->qrs_axis, 53);
			assert_int_equal(r->e->t_axis, -56);
		}
}

/* Whatever stands behind the end is absent, and what stands before is there. */
static void it_may_end_anywhere(void **state)
{
	struct rig *r = *state;
	struct found f = good();
	put_found(r, &f, 2, 1);
	enum { BLOCK = 6, RATE = 6 + 32 + 10 + 5 };
	for (size_t len = r->sections[7].len & ~1UL; len; len -= 2) { /* a section is even */
		r->sections[7].len = len;
		rig_expect(r, "");
		const struct ecg *e = r->e;
		assert_int_equal(e->rr, len >= 4 ? 800 : ECG_ABSENT);
		assert_int_equal(e->hr, len >= RATE + 2 ? 76 : len >= 4 ? 75 : ECG_ABSENT);
		assert_int_equal(e->p, len >= BLOCK + 4 ? 92 : ECG_ABSENT);
		assert_int_equal(e->pr, len >= BLOCK + 6 ? 157 : ECG_ABSENT);
		assert_int_equal(e->qrs, len >= BLOCK + 8 ? 88 : ECG_ABSENT);
		assert_int_equal(e->qt, len >= BLOCK + 10 ? 360 : ECG_ABSENT);
		assert_int_equal(e->p_axis, len >= BLOCK + 12 ? 29 : ECG_ABSENT);
		assert_int_equal(e->qrs_axis, len >= BLOCK + 14 ? 53 : ECG_ABSENT);
		assert_int_equal(e->t_axis, len >= BLOCK + 16 ? -56 : ECG_ABSENT);
		assert_int_equal(e->qtc, len >= RATE + 6 ? 402 : ECG_ABSENT);
		assert_int_equal(e->qtc_formula != NULL, len >= RATE + 7);
	}
	rig_drop(r, 7);
	put(&r->sections[7], "1122", 0, 0, 800, 0); /* no block */
	put(&r->sections[7], "2222222", 100, 192, 257, 345, 617, 1, 2);
	rig_expect(r, "");
	assert_int_equal(r->e->p, ECG_ABSENT);
	assert_int_equal(r->e->p_axis, ECG_ABSENT);
	rig_drop(r, 7);
	rig_expect(r, "");
	assert_int_equal(r->e->rr, ECG_ABSENT);
}

static void boundaries_that_were_not_found(void **state)
{
	struct rig *r = *state;
	static const uint16_t codes[] = {29999, 29998, 19999, 0xffff};
	for (size_t i = 0; i < ELEMENTS(codes); i++)
		for (unsigned k = 0; k < 5; k++) {
			struct found f = good();
			f.on[k] = codes[i];
			const struct ecg *e = read_found(r, &f);
			assert_int_equal(e->p, k < 2 ? ECG_ABSENT : 92);
			assert_int_equal(e->pr, k == 0 || k == 2 ? ECG_ABSENT : 157);
			assert_int_equal(e->qrs, k == 2 || k == 3 ? ECG_ABSENT : 88);
			assert_int_equal(e->qt, k == 2 || k == 4 ? ECG_ABSENT : 360);
		}
	for (size_t i = 0; i < ELEMENTS(codes); i++) { /* the difference would be one that can be */
		struct found f = good();
		f.on[0] = (uint16_t)(codes[i] - 9);
		f.on[1] = codes[i];
		assert_int_equal(read_found(r, &f)->p, ECG_ABSENT);
		f.on[0] = codes[i];
		f.on[1] = codes[i] < 0xffff ? codes[i] + 9 : codes[i];
		assert_int_equal(read_found(r, &f)->p, ECG_ABSENT);
		f.on[0] = (uint16_t)(codes[i] - 9);
		f.on[1] = (uint16_t)(codes[i] - 2);
		assert_int_equal(read_found(r, &f)->p, 7);
	}
}

static void a_duration_lies_between_1_and_2000_ms(void **state)
{
	struct rig *r = *state;
	static const struct {
		uint16_t off;
		int32_t p;
	} cases[] = {{100, ECG_ABSENT}, {99, ECG_ABSENT}, {101, 1}, {2100, 2000},
		{2101, ECG_ABSENT}, {0, ECG_ABSENT}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct found f = good();
		f.on[1] = cases[i].off;
		assert_int_equal(read_found(r, &f)->p, cases[i].p);
	}
}

static void axes_are_degrees(void **state)
{
	struct rig *r = *state;
	static const int16_t absent[] = {999, 29999, 361, -361, 32767, -32768};
	static const int16_t there[] = {-360, -180, -1, 0, 1, 90, 360};
	for (unsigned k = 0; k < 3; k++) {
		struct found f = good();
		for (size_t i = 0; i < ELEMENTS(absent) + ELEMENTS(there); i++) {
			bool is_there = i >= ELEMENTS(absent);
			f.axes[k] = is_there ? there[i - ELEMENTS(absent)] : absent[i];
			const struct ecg *e = read_found(r, &f);
			int32_t got[] = {e->p_axis, e->qrs_axis, e->t_axis};
			assert_int_equal(got[k], is_there ? f.axes[k] : ECG_ABSENT);
			assert_int_equal(got[(k + 1) % 3], f.axes[(k + 1) % 3]);
		}
	}
}

static void the_heart_rate(void **state)
{
	struct rig *r = *state;
	static const struct {
		uint16_t rate, rr;
		int32_t hr, told_rr;
	} cases[] = {{76, 800, 76, 800}, {1, 800, 1, 800}, {499, 800, 499, 800},
		{500, 800, 75, 800}, {0, 800, 75, 800}, {29999, 800, 75, 800}, {0, 801, 75, 801},
		{0, 779, 77, 779}, {0, 120, 500, 120}, {0, 119, ECG_ABSENT, 119},
		{0, 6000, 10, 6000}, {0, 6001, ECG_ABSENT, 6001}, {0, 0, ECG_ABSENT, ECG_ABSENT},
		{0, 29999, ECG_ABSENT, ECG_ABSENT}, {0, 19998, ECG_ABSENT, 19998},
		{0, 19999, ECG_ABSENT, ECG_ABSENT}, {60, 29999, 60, ECG_ABSENT},
		{0, 1, ECG_ABSENT, 1}, {0, 0xffff, ECG_ABSENT, ECG_ABSENT}, {0, 4000, 15, 4000},
		{0, 1714, 35, 1714}, {0, 1739, 35, 1739}, {0, 1740, 34, 1740}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct found f = good();
		f.rate = cases[i].rate;
		f.rr = cases[i].rr;
		assert_int_equal(read_found(r, &f)->hr, cases[i].hr);
		assert_int_equal(r->e->rr, cases[i].told_rr);
	}
}

static void a_rate_from_every_interval(void **state)
{
	struct rig *r = *state;
	struct found f = good();
	f.rate = 0;
	for (f.rr = 120; f.rr <= 6000; f.rr++) /* nearest */
		assert_int_equal(read_found(r, &f)->hr, (2 * 60000 + f.rr) / (2 * f.rr));
}

static void qtc_and_its_formula(void **state)
{
	struct rig *r = *state;
	static const struct {
		uint16_t qtc;
		uint8_t formula;
		int32_t told;
		const char *name;
	} cases[] = {{402, 1, 402, "bazett"}, {402, 2, 402, "hodges"}, {402, 0, 402, NULL},
		{402, 3, 402, NULL}, {1, 1, 1, "bazett"}, {2000, 2, 2000, "hodges"},
		{0, 1, ECG_ABSENT, NULL}, {2001, 1, ECG_ABSENT, NULL},
		{29999, 2, ECG_ABSENT, NULL}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct found f = good();
		f.qtc = cases[i].qtc;
		f.formula = cases[i].formula;
		const struct ecg *e = read_found(r, &f);
		assert_int_equal(e->qtc, cases[i].told);
		assert_int_equal(e->qtc_formula != NULL, cases[i].name != NULL);
		if (cases[i].name)
			assert_string_equal(e->qtc_formula, cases[i].name);
	}
}

/* --- sections 8 and 11 */

static void put_head(struct rig *r, unsigned id, unsigned status, unsigned n)
{
	rig_drop(r, id);
	put(&r->sections[id], "12111111", status, 2007, 3, 21, 11, 6, 0, n);
}

static void put_line(struct rig *r, unsigned id, const char *text, size_t len)
{
	put(&r->sections[id], "12", 1, (unsigned)len);
	put_bytes(&r->sections[id], text, len);
}

#define LINE(r, id, text) put_line(r, id, text, sizeof(text))

static void lines_of_a_report(void **state)
{
	struct rig *r = *state;
	put_head(r, 8, 0, 4);
	LINE(r, 8, "SINUS RHYTHM");
	LINE(r, 8, "");
	put_line(r, 8, "", 0);
	put_line(r, 8, " NO NUL", 7);
	rig_expect(r, "");
	const struct ecg *e = r->e;
	assert_string_equal(e->status, "original");
	assert_int_equal(e->interpreted.year, 2007);
	assert_int_equal(e->interpreted.minute, 6);
	assert_int_equal(e->n_lines, 4);
	static const char *const lines[] = {"SINUS RHYTHM", "", "", "NO NUL"};
	for (unsigned i = 0; i < 4; i++) {
		assert_string_equal(e->lines[i].text, lines[i]);
		assert_null(e->lines[i].type);
	}
}

static void who_has_looked_at_it(void **state)
{
	struct rig *r = *state;
	static const char *const names[] = {"original", "confirmed", "overread", "original"};
	for (unsigned status = 0; status < 4; status++) {
		put_head(r, 8, status, 0);
		rig_expect(r, status < 3 ? "" : "status");
		assert_string_equal(r->e->status, names[status]);
	}
	put_head(r, 8, 255, 0);
	rig_expect(r, "status");
	assert_string_equal(r->e->status, "original");
	rig_drop(r, 8);
	rig_expect(r, "");
	assert_null(r->e->status);
}

static void when_it_was_looked_at(void **state)
{
	struct rig *r = *state;
	static const struct {
		unsigned at, value;
	} faults[] = {{2, 0}, {3, 0}, {3, 13}, {4, 0}, {4, 32}, {5, 24}, {6, 60}, {7, 60}};
	for (size_t i = 0; i < ELEMENTS(faults); i++) {
		put_head(r, 8, 1, 0);
		r->sections[8].bytes[faults[i].at] = (uint8_t)faults[i].value;
		rig_expect(r, "");
		assert_int_equal(r->e->interpreted.year, 0);
		assert_string_equal(r->e->status, "confirmed");
	}
	for (uint16_t year = 1970; year <= 2210; year++) {
		put_head(r, 8, 1, 0);
		r->sections[8].bytes[1] = (uint8_t)year;
		r->sections[8].bytes[2] = (uint8_t)(year >> 8);
		rig_expect(r, "");
		bool there = year >= 1980 && year <= 2200;
		assert_int_equal(r->e->interpreted.year, there ? year : 0);
	}
}

static void statements_have_a_type(void **state)
{
	struct rig *r = *state;
	static const char *const types[] = {"", "coded", "text", "logic", ""};
	put_head(r, 11, 1, 6);
	for (unsigned i = 0; i < 5; i++) {
		char text[] = "?NSR";
		text[0] = (char)i;
		LINE(r, 11, text);
	}
	put_line(r, 11, "", 0);
	rig_expect(r, "");
	const struct ecg *e = r->e;
	assert_string_equal(e->status, "confirmed");
	assert_int_equal(e->interpreted.day, 21);
	assert_int_equal(e->n_lines, 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_string_equal(e->lines[i].type, i < 5 ? types[i] : "");
		assert_string_equal(e->lines[i].text, i < 5 ? "NSR" : "");
	}
}

static void of_both_sections_the_report_has_the_status(void **state)
{
	struct rig *r = *state;
	put_head(r, 8, 2, 1);
	LINE(r, 8, "LINE");
	put_head(r, 11, 1, 1);
	r->sections[11].bytes[1] = 0xea; /* 2026 */
	LINE(r, 11, "\2TEXT");
	rig_expect(r, "");
	assert_string_equal(r->e->status, "overread");
	assert_int_equal(r->e->interpreted.year, 2007);
	assert_int_equal(r->e->n_lines, 2);
	assert_null(r->e->lines[0].type);
	assert_string_equal(r->e->lines[1].type, "text");
}

static void what_is_cut_off_is_told(void **state)
{
	struct rig *r = *state;
	static const char *const cut[] = {[8] = "section8_cut", [11] = "section11_cut"};
	for (unsigned id = 8; id <= 11; id += 3) {
		put_head(r, id, 1, 2);
		LINE(r, id, "\2ABCDE"); /* 7 with its NUL */
		LINE(r, id, "\2FGHIJK");
		size_t whole = r->sections[id].len;
		assert_int_equal(whole % 2, 0);
		for (size_t len = 2; len <= whole; len += 2) {
			r->sections[id].len = len;
			rig_expect(r, len < whole ? cut[id] : "");
			assert_int_equal(r->e->n_lines, len < 9 + 10 ? 0 : len < whole ? 1 : 2);
			assert_int_equal(r->e->status != NULL, len > 9);
		}
		rig_drop(r, id);
	}
}

static void two_sections_of_255(void **state)
{
	struct rig *r = *state;
	for (unsigned id = 8; id <= 11; id += 3) {
		put_head(r, id, 0, 255);
		for (unsigned i = 0; i < 255; i++)
			LINE(r, id, "\2X");
	}
	rig_expect(r, "");
	assert_int_equal(r->e->n_lines, 510);
}

static void lines_in_the_charset_of_the_record(void **state)
{
	struct rig *r = *state;
	put_head(r, 8, 0, 1);
	LINE(r, 8, "F\xf6rmaksflimmer");
	rig_expect(r, "charset_guessed");
	assert_string_equal(r->e->lines[0].text, "Förmaksflimmer");
	rig_patient(r, 0x01);
	rig_expect(r, "");
	assert_string_equal(r->e->lines[0].text, "Förmaksflimmer");
	rig_patient(r, 0x27);
	put_head(r, 8, 0, 1);
	LINE(r, 8, "\xd0\xc4\xc2\xc9\xd5\xfd\xb3\xa3");
	rig_expect(r, "");
	assert_string_equal(r->e->lines[0].text, "心律正常");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(everything_is_read),
		TEST(it_may_end_anywhere),
		TEST(boundaries_that_were_not_found),
		TEST(a_duration_lies_between_1_and_2000_ms),
		TEST(axes_are_degrees),
		TEST(the_heart_rate),
		TEST(a_rate_from_every_interval),
		TEST(qtc_and_its_formula),
		TEST(lines_of_a_report),
		TEST(who_has_looked_at_it),
		TEST(when_it_was_looked_at),
		TEST(statements_have_a_type),
		TEST(of_both_sections_the_report_has_the_status),
		TEST(what_is_cut_off_is_told),
		TEST(two_sections_of_255),
		TEST(lines_in_the_charset_of_the_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
