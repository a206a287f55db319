/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Leads and samples of SCP-ECG: how they may be written, where they end, when there are none. */
#include "scp_rig.h"

#define SAMPLES 600

static int32_t wave[2][SAMPLES]; /* something like an ECG, within 16 bits */

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	if (!r)
		return -1;
	uint32_t noise = 1;
	for (int i = 0; i < SAMPLES; i++) {
		noise = noise * 1664525 + 1013904223;
		int beat = i % 200;
		int32_t qrs = beat < 10 ? beat * 90 : beat < 20 ? (20 - beat) * 90 : 0;
		wave[0][i] = qrs + i / 10 + (int32_t)(noise >> 28) - 8;
		wave[1][i] = -wave[0][i] / 3 + (int32_t)(noise >> 29);
	}
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

static void put_default_table(struct rig *r)
{
	rig_drop(r, 2);
	put(&r->sections[2], "2", 19999);
}

/* Leads I and II of `n` samples, from `start`. */
static void two_leads(struct rig *r, uint32_t start, uint32_t n)
{
	rig_drop(r, 3);
	rig_lead(r, start, start + n - 1, 1);
	rig_lead(r, start, start + n - 1, 2);
}

/* Section 6 with both waves, as int16 or in the default table. */
static void put_waves(struct rig *r, bool coded, unsigned order)
{
	struct out pieces[2];
	for (unsigned i = 0; i < 2; i++) {
		int32_t d[SAMPLES];
		for (unsigned k = 0; k < SAMPLES; k++)
			d[k] = k < order    ? wave[i][k]
			       : order == 2 ? wave[i][k] - 2 * wave[i][k - 1] + wave[i][k - 2]
			       : order == 1 ? wave[i][k] - wave[i][k - 1]
					    : wave[i][k];
		pieces[i] = coded ? rig_coded(wave[i], SAMPLES, order) : rig_raw(d, SAMPLES);
	}
	rig_head(r, 6, 1000, 1667, order);
	rig_pieces(r, 6, pieces, 2);
}

static void samples_of_every_code_and_order(void **state)
{
	struct rig *r = *state;
	two_leads(r, 1, SAMPLES);
	for (unsigned way = 0; way < 6; way++) {
		rig_drop(r, 2);
		if (way >= 3)
			put_default_table(r);
		put_waves(r, way >= 3, way % 3);
		rig_expect(r, "");
		assert_int_equal(r->e->n_leads, 2);
		for (unsigned i = 0; i < 2; i++) {
			expect_samples(&r->e->leads[i], wave[i], SAMPLES);
			assert_false(r->e->leads[i].truncated);
		}
		assert_int_equal(r->e->interval_ns, 1667000);
		assert_int_equal(r->e->pv_per_lsb, 1000000);
		assert_int_equal(r->e->leads[1].pv_per_lsb, 1000000);
	}
}

/* Section 2 may say that there is no compression. */
static void int16_by_section_2(void **state)
{
	struct rig *r = *state;
	two_leads(r, 1, SAMPLES);
	put_waves(r, false, 1);
	put(&r->sections[2], "2", 0);
	rig_expect(r, "");
	expect_samples(&r->e->leads[1], wave[1], SAMPLES);
	rig_drop(r, 2);
	put(&r->sections[2], "22", 1, 1);
	put(&r->sections[2], "11124", 16, 16, 1, 0, 0);
	rig_expect(r, "");
	expect_samples(&r->e->leads[1], wave[1], SAMPLES);
}

static void a_table_of_the_file(void **state)
{
	struct rig *r = *state;
	put(&r->sections[2], "22", 1, 3);
	put(&r->sections[2], "11124", 1, 1, 1, 0, 0);	/* 0 */
	put(&r->sections[2], "11124", 2, 6, 1, 0, 1);	/* 10 + 4 bits */
	put(&r->sections[2], "11124", 2, 18, 1, -5, 3); /* 11 + 16 bits, less 5 */
	rig_head(r, 6, 1000, 2000, 1);
	struct out pieces[2] = {0};
	put_bits(&pieces[0], "11 0000000001101001 10 1111 0 10 0001"); /* 100, 99, 99, 100 */
	put_bits(&pieces[1], "0 0 0 11 0000000000000000");
	rig_pieces(r, 6, pieces, 2);
	rig_expect(r, "");
	EXPECT_SAMPLES(&r->e->leads[0], 100, 99, 99, 100);
	EXPECT_SAMPLES(&r->e->leads[1], 0, 0, 0, -5);
}

/* Some write 0 for the first sample, and then one fewer is there than end - start + 1. */
static void a_start_of_0_or_any_other(void **state)
{
	struct rig *r = *state;
	static const struct {
		uint32_t start, end;
		bool truncated;
	} cases[] = {{0, 4, false}, {0, 5, true}, {0, 3, false}, {1, 4, false}, {1, 5, true},
		{1, 3, false}, {1001, 1004, false}, {1001, 1005, true},
		{0xfffffffc, 0xffffffff, false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_drop(r, 3);
		rig_lead(r, cases[i].start, cases[i].end, 1);
		rig_lead(r, 1, 4, 2);
		rig_expect(r, "");
		uint32_t declared = cases[i].end - cases[i].start + 1;
		expect_samples(&r->e->leads[0], (int32_t[]){10, -20, 30, -40}, MIN(declared, 4U));
		assert_int_equal(r->e->leads[0].truncated, cases[i].truncated);
		EXPECT_SAMPLES(&r->e->leads[1], 1, 2, 3, 4);
	}
}

static void a_lead_that_ends_early_is_truncated(void **state)
{
	struct rig *r = *state;
	two_leads(r, 1, SAMPLES);
	struct out pieces[] = {rig_raw(wave[0], 37), rig_raw(wave[1], SAMPLES)};
	put(&pieces[0], "1", 99); /* half a sample */
	rig_head(r, 6, 1000, 2000, 0);
	rig_pieces(r, 6, pieces, 2);
	rig_expect(r, "");
	expect_samples(&r->e->leads[0], wave[0], 37);
	assert_true(r->e->leads[0].truncated);
	expect_samples(&r->e->leads[1], wave[1], SAMPLES);
	assert_false(r->e->leads[1].truncated);

	struct out empty[] = {{0}, rig_raw(wave[1], 9)};
	rig_head(r, 6, 1000, 2000, 0);
	rig_pieces(r, 6, empty, 2);
	rig_expect(r, "");
	assert_int_equal(r->e->leads[0].n, 0);
	assert_true(r->e->leads[0].truncated);
}

static void a_code_of_no_table_ends_its_lead(void **state)
{
	struct rig *r = *state;
	put(&r->sections[2], "22", 1, 2);
	put(&r->sections[2], "11124", 1, 1, 1, 3, 0);
	put(&r->sections[2], "11124", 2, 2, 1, 4, 1); /* 10 */
	struct out pieces[2] = {0};
	put_bits(&pieces[0], "0 10 11 0 0 0");
	put_bits(&pieces[1], "0 10 0 10");
	rig_head(r, 6, 1000, 2000, 0);
	rig_pieces(r, 6, pieces, 2);
	rig_expect(r, "huffman_code: I");
	EXPECT_SAMPLES(&r->e->leads[0], 3, 4);
	assert_true(r->e->leads[0].truncated);
	EXPECT_SAMPLES(&r->e->leads[1], 3, 4, 3, 4);
}

static void a_sample_out_of_range_ends_its_lead(void **state)
{
	struct rig *r = *state;
	put(&r->sections[2], "22", 1, 2);
	put(&r->sections[2], "11124", 1, 25, 1, -1, 0); /* 0 + 24 bits, less 1 */
	put(&r->sections[2], "11124", 2, 2, 1, 1, 1);	/* 10: 1 */
	static const struct {
		const char *bits;
		unsigned order;
		int32_t samples[4];
		uint32_t n;
		const char *verdict;
	} cases[] = {
		{"10 0 011111111111111111111111 10 10", 0, {1, 8388606, 1, 1}, 4, ""},
		{"10 0 100000000000000000000001 10 10", 0, {1, -8388608}, 1, "sample_range: I"},
		{"10 0 100000000000000000000010 10 10", 0, {1, -8388607, 1, 1}, 4, ""},
		{"0 011111111111111111111111 10 10 10", 1, {8388606, 8388607}, 2,
			"sample_range: I"},
		{"0 100000000000000000000010 0 000000000000000000000000 10 10", 1, {-8388607}, 1,
			"sample_range: I"},
		{"10 0 001000000000000000000000 10 10", 2, {1, 2097151, 4194302, 6291454}, 4, ""},
		{"10 0 010000000000000000000000 10 10", 2, {1, 4194303, 8388606}, 3,
			"sample_range: I"},
		{"0 100000000000000000000001 10 10 10", 2, {0}, 0, "sample_range: I"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct out pieces[2] = {0};
		put_bits(&pieces[0], cases[i].bits);
		put_bits(&pieces[1], "10 10 10 10");
		rig_head(r, 6, 1000, 2000, cases[i].order);
		rig_pieces(r, 6, pieces, 2);
		rig_expect(r, cases[i].verdict);
		if (i == 1)
			assert_int_equal(r->e->leads[0].n, 1);
		expect_samples(&r->e->leads[0], cases[i].samples, cases[i].n);
		assert_int_equal(r->e->leads[0].truncated, cases[i].n < 4);
		assert_int_equal(r->e->leads[1].n, 4);
	}
}

/* Corpuls carts: no lengths, all samples are there. */
static void without_lengths_the_leads_are_as_long_as_declared(void **state)
{
	struct rig *r = *state;
	rig_drop(r, 3);
	rig_lead(r, 1, 4, 1);
	rig_lead(r, 1, 2, 2);
	struct out *s = &r->sections[6];
	rig_head(r, 6, 2500, 2000, 0);
	put(s, "222222", 500, -20, 30, -40, 7, 8);
	rig_expect(r, "no_lead_lengths");
	EXPECT_SAMPLES(&r->e->leads[0], 500, -20, 30, -40);
	EXPECT_SAMPLES(&r->e->leads[1], 7, 8);

	rig_head(r, 6, 2500, 2000,
		0); /* small numbers first: they could be lengths, but leave a rest */
	put(s, "222222", 2, 4, 30, -40, 7, 8);
	rig_expect(r, "no_lead_lengths");
	EXPECT_SAMPLES(&r->e->leads[0], 2, 4, 30, -40);

	rig_head(r, 6, 2500, 2000, 0); /* lengths, which fill the section */
	put(s, "222222", 6, 2, 30, -40, 7, 8);
	rig_expect(r, "");
	EXPECT_SAMPLES(&r->e->leads[0], 30, -40, 7);
	EXPECT_SAMPLES(&r->e->leads[1], 8);

	rig_head(r, 6, 2500, 2000, 0);
	put(s, "2222222", 500, -20, 30, -40, 7, 8, 9); /* one too many */
	rig_expect(r, "waveform_unsupported: lead lengths");
	rig_head(r, 6, 2500, 2000, 0);
	put(s, "22222", 500, -20, 30, -40, 7);
	rig_expect(r, "waveform_unsupported: lead lengths");
	rig_head(r, 6, 2500, 2000, 1);
	put(s, "222222", 500, -20, 30, -40, 7, 8);
	rig_expect(r, "waveform_unsupported: lead lengths");
	rig_head(r, 6, 2500, 2000, 0);
	put(s, "222222", 500, -20, 30, -40, 7, 8);
	put_default_table(r);
	rig_expect(r, "waveform_unsupported: lead lengths");
}

static void lengths_beyond_the_section(void **state)
{
	struct rig *r = *state;
	two_leads(r, 1, SAMPLES);
	put_waves(r, false, 1);
	rig_expect(r, "");
	size_t rest = r->sections[6].len - 6 - 4;
	for (unsigned i = 0; i < 3; i++) {
		r->sections[6].bytes[6] = (uint8_t)(rest - 1200 + 2 * i); /* of the first lead */
		r->sections[6].bytes[7] = (uint8_t)((rest - 1200 + 2 * i) >> 8);
		rig_expect(r, i ? "waveform_unsupported: lead lengths" : "");
		assert_int_equal(r->e->n_leads, i ? 0 : 2);
	}
}

/* Each fault, beside the good record. */
static void when_there_are_no_samples(void **state)
{
	struct rig *r = *state;
	struct out *s3 = &r->sections[3], *s6 = &r->sections[6];
	struct ecg *e = r->e;
#define NONE(why)                                                            \
	do {                                                                 \
		rig_expect(r, "waveform_unsupported: " why);                 \
		assert_int_equal(e->n_leads, 0);                             \
		assert_int_equal(e->interval_ns, s6->len < 4 ? 0 : 2000000); \
		assert_int_equal(e->pv_per_lsb, s6->len < 2 ? 0 : 2500000);  \
	} while (0)
	s6->bytes[5] = 1;
	NONE("bimodal");
	s6->bytes[5] = 255;
	s6->bytes[4] = 3;
	NONE("bimodal");
	s6->bytes[5] = 0;
	NONE("difference");
	s6->bytes[4] = 0;
	rig_expect(r, "");

	put(&r->sections[2], "2", 65);
	NONE("section 2");
	r->sections[2].len = 0;
	NONE("section 2");
	rig_drop(r, 2);

	s3->bytes[0] = 0;
	NONE("section 3");
	s3->bytes[0] = 3;
	NONE("section 3");
	rig_drop(r, 3);
	rig_lead(r, 1, 4, 1);
	rig_lead(r, 4, 3, 2);
	NONE("section 3");
	rig_drop(r, 3);
	rig_lead(r, 1, 4, 1);
	rig_lead(r, 1, 1000001, 2);
	NONE("too long");
	rig_drop(r, 3);
	rig_lead(r, 0, 0xffffffff, 1); /* 2^32 */
	NONE("too long");
	rig_drop(r, 3);
	for (unsigned i = 0; i < 5; i++)
		rig_lead(r, 1, 800000 + (i == 4), 1 + i);
	NONE("too long");
	rig_drop(r, 3);
	NONE("no section 3");
	put(s3, "1", 1);
	s3->len = 0;
	NONE("section 3");
}

static void sixty_leads_are_the_most(void **state)
{
	struct rig *r = *state;
	struct out pieces[61] = {0};
	for (unsigned n = 60; n <= 61; n++) {
		rig_drop(r, 3);
		for (unsigned i = 0; i < n; i++) {
			rig_lead(r, 1, 1, 100 + i);
			pieces[i] = rig_raw((int32_t[]){(int32_t)i}, 1);
		}
		rig_head(r, 6, 2500, 2000, 0);
		rig_pieces(r, 6, pieces, n);
		rig_expect(r, n == 60 ? "" : "waveform_unsupported: section 3");
	}
}

static void a_million_samples_are_the_most(void **state)
{
	struct rig *r = *state;
	rig_drop(r, 3);
	rig_lead(r, 1, 1000000, 1);
	rig_lead(r, 1, 1000000, 2);
	rig_expect(r, ""); /* they are declared, and not there */
	assert_int_equal(r->e->leads[0].n, 4);
	assert_true(r->e->leads[0].truncated);
	rig_drop(r, 3);
	for (unsigned i = 0; i < 5; i++)
		rig_lead(r, 1, 800000, 1 + i);
	rig_head(r, 6, 2500, 2000, 0);
	put(&r->sections[6], "2222222", 2, 0, 0, 0, 0, 5, 0);
	rig_expect(r, "");
	assert_int_equal(r->e->n_leads, 5);
	assert_int_equal(r->e->leads[0].n, 1);
}

static void sections_too_short_for_their_head(void **state)
{
	struct rig *r = *state;
	static const char *const verdicts[] = {"waveform_unsupported: lead lengths",
		"waveform_unsupported: lead lengths", "waveform_unsupported: lead lengths",
		"waveform_unsupported: lead lengths", "waveform_unsupported: lead lengths", ""};
	for (unsigned len = 0; len <= 10; len += 2) {
		rig_head(r, 6, 2500, 2000, 0);
		put(&r->sections[6], "22", 0, 0);
		r->sections[6].len = len;
		rig_expect(r, verdicts[len / 2]);
		assert_int_equal(r->e->pv_per_lsb, len < 2 ? 0 : 2500000);
		assert_int_equal(r->e->interval_ns, len < 4 ? 0 : 2000000);
	}
}

static void without_interval_or_unit_there_is_nothing_to_draw(void **state)
{
	struct rig *r = *state;
	r->sections[6].bytes[0] = r->sections[6].bytes[1] = 0;
	rig_expect(r, "waveform_unsupported: interval");
	assert_int_equal(r->e->pv_per_lsb, 0);
	assert_int_equal(r->e->interval_ns, 2000000);
	r->sections[6].bytes[0] = 1;
	r->sections[6].bytes[2] = r->sections[6].bytes[3] = 0;
	rig_expect(r, "waveform_unsupported: interval");
	assert_int_equal(r->e->pv_per_lsb, 1000);
	assert_int_equal(r->e->interval_ns, 0);
}

static void no_rhythm_at_all(void **state)
{
	struct rig *r = *state;
	rig_drop(r, 6);
	rig_expect(r, "no_rhythm");
	rig_drop(r, 3);
	rig_expect(r, "no_rhythm");
	assert_int_equal(r->e->n_leads, 0);
	assert_int_equal(r->e->interval_ns, 0);
}

static void leads_have_the_names_of_iso_11073(void **state)
{
	struct rig *r = *state;
	static const char *const names[256] = {[1] = "I",
		"II",
		"V1",
		"V2",
		"V3",
		"V4",
		"V5",
		"V6",
		"V7",
		"V2R",
		"V3R",
		"V4R",
		"V5R",
		"V6R",
		"V7R",
		"X",
		"Y",
		"Z",
		[61] = "III",
		"aVR",
		"aVL",
		"aVF",
		"-aVR",
		"V8",
		"V9",
		"V8R",
		"V9R"};
	for (unsigned id = 0; id < 256; id++) {
		char unnamed[16];
		snprintf(unnamed, sizeof(unnamed), "lead-%u", id);
		rig_drop(r, 3);
		rig_lead(r, 1, 4, id);
		rig_lead(r, 1, 4, id == 2 ? 1 : 2);
		rig_expect(r, "");
		assert_string_equal(r->e->leads[0].name, names[id] ? names[id] : unnamed);
	}
}

/* Both stay, as the file has them. */
static void a_lead_that_is_there_twice_is_told(void **state)
{
	struct rig *r = *state;
	rig_drop(r, 3);
	rig_lead(r, 1, 4, 2);
	rig_lead(r, 1, 4, 2);
	rig_expect(r, "lead_twice: II");
	assert_int_equal(r->e->n_leads, 2);
	assert_string_equal(r->e->leads[1].name, "II");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(samples_of_every_code_and_order),
		TEST(int16_by_section_2),
		TEST(a_table_of_the_file),
		TEST(a_start_of_0_or_any_other),
		TEST(a_lead_that_ends_early_is_truncated),
		TEST(a_code_of_no_table_ends_its_lead),
		TEST(a_sample_out_of_range_ends_its_lead),
		TEST(without_lengths_the_leads_are_as_long_as_declared),
		TEST(lengths_beyond_the_section),
		TEST(when_there_are_no_samples),
		TEST(sixty_leads_are_the_most),
		TEST(a_million_samples_are_the_most),
		TEST(sections_too_short_for_their_head),
		TEST(without_interval_or_unit_there_is_nothing_to_draw),
		TEST(no_rhythm_at_all),
		TEST(leads_have_the_names_of_iso_11073),
		TEST(a_lead_that_is_there_twice_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
