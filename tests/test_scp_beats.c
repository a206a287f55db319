/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reference beats of SCP-ECG: what was taken out comes back, exactly, and only where it was. */
#include "scp_rig.h"

#define SAMPLES 400
#define BEAT 50

struct place {
	uint32_t type, first, fiducial, last;
};

struct plan {
	unsigned rhythm_avm, beat_avm;
	uint32_t start;
	uint16_t fiducial, beat_ms; /* 500 Hz */
	unsigned beat_samples, n;
	struct place places[4];
};

static int32_t residue[2][SAMPLES], beats[2][BEAT];

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	if (!r)
		return -1;
	rig_start(r);
	for (int i = 0; i < SAMPLES; i++) {
		residue[0][i] = i % 13 - 6;
		residue[1][i] = -(i % 7);
	}
	for (int i = 0; i < BEAT; i++) {
		beats[0][i] = i * (BEAT - i) - 300;
		beats[1][i] = 77 - 3 * i;
	}
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_stop(*state);
	free(*state);
	return 0;
}

static struct plan good(void)
{
	return (struct plan){.rhythm_avm = 1000,
		.beat_avm = 1000,
		.start = 1,
		.fiducial = 20,
		.beat_ms = 100,
		.beat_samples = BEAT,
		.n = 3,
		.places = {{0, 31, 50, 80}, {1, 120, 140, 160}, {0, 201, 220, 250}}};
}

static void put_places(struct rig *r, const struct plan *p)
{
	rig_drop(r, 4);
	put(&r->sections[4], "222", p->beat_ms, p->fiducial, p->n);
	for (unsigned i = 0; i < p->n; i++)
		put(&r->sections[4], "2444", p->places[i].type, p->places[i].first,
			p->places[i].fiducial, p->places[i].last);
}

static void put_plan(struct rig *r, const struct plan *p)
{
	struct out pieces[2];
	rig_drop(r, 2);
	put(&r->sections[2], "2", 19999);
	rig_drop(r, 3);
	rig_lead(r, p->start, p->start + SAMPLES - 1, 1);
	rig_lead(r, p->start, p->start + SAMPLES - 1, 2);
	r->sections[3].bytes[1] |= 1;
	put_places(r, p);
	for (unsigned i = 0; i < 2; i++)
		pieces[i] = rig_coded(beats[i], p->beat_samples, 2);
	rig_head(r, 5, p->beat_avm, 2000, 2);
	rig_pieces(r, 5, pieces, 2);
	for (unsigned i = 0; i < 2; i++)
		pieces[i] = rig_coded(residue[i], SAMPLES, 1);
	rig_head(r, 6, p->rhythm_avm, 2000, 1);
	rig_pieces(r, 6, pieces, 2);
}

/* By the sentence of the standard, sample by sample; all numbers from 1. */
static int32_t expected(const struct plan *p, unsigned lead, int64_t number)
{
	int32_t x = residue[lead][number - MAX(p->start, 1U)];
	int64_t n = MIN(p->beat_samples, p->beat_ms * 1000U / 2000);
	for (unsigned i = 0; i < p->n; i++) {
		const struct place *q = &p->places[i];
		int64_t at = (int64_t)p->fiducial - q->fiducial + number;
		if (q->type || number < q->first || number > q->last || at < 1 || at > n)
			continue;
		int64_t scaled = beats[lead][at - 1] * (int64_t)p->beat_avm * 10 / p->rhythm_avm;
		x += (int32_t)((scaled + (scaled < 0 ? -5 : 5)) / 10);
	}
	return x;
}

static void expect_restored(struct rig *r, const struct plan *p)
{
	put_plan(r, p);
	rig_expect(r, "");
	for (unsigned lead = 0; lead < 2; lead++) {
		assert_int_equal(r->e->leads[lead].n, SAMPLES);
		assert_false(r->e->leads[lead].truncated);
		for (unsigned i = 0; i < SAMPLES; i++)
			assert_int_equal(r->e->leads[lead].samples[i],
				expected(p, lead, (int64_t)MAX(p->start, 1U) + i));
	}
}

static void beats_come_back(void **state)
{
	struct plan p = good();
	expect_restored(*state, &p);
	struct rig *r = *state;
	assert_int_equal(r->e->leads[0].samples[30], residue[0][30] + beats[0][0]);
	assert_int_equal(r->e->leads[0].samples[79], residue[0][79] + beats[0][49]);
	assert_int_equal(r->e->leads[0].samples[29], residue[0][29]);
	assert_int_equal(r->e->leads[0].samples[140], residue[0][140]); /* of type 1 */
}

static void units_are_converted(void **state)
{
	static const unsigned avms[][2] = {{1000, 2500}, {2500, 1000}, {65535, 1}};
	for (size_t i = 0; i < ELEMENTS(avms); i++) {
		struct plan p = good();
		p.rhythm_avm = avms[i][0];
		p.beat_avm = avms[i][1];
		expect_restored(*state, &p);
	}
	struct plan p = good(); /* 500 / 1000: halves go away from zero */
	p.beat_avm = 500;
	expect_restored(*state, &p);
	struct rig *r = *state;
	assert_int_equal(beats[1][0], 77);
	assert_int_equal(r->e->leads[1].samples[30], residue[1][30] + 39);
	assert_int_equal(beats[1][26], -1);
	assert_int_equal(r->e->leads[1].samples[56], residue[1][56] - 1);
}

static void only_where_all_three_have_samples(void **state)
{
	struct plan p = good();
	p.places[0] = (struct place){0, 0, 3, 40};	       /* the beat begins before the lead */
	p.places[2] = (struct place){0, 380, 395, 0xffffffff}; /* and ends behind it */
	expect_restored(*state, &p);
	p.places[0] = (struct place){0, 10, 50, 300}; /* the place is longer than the beat */
	expect_restored(*state, &p);
	p.places[0] = (struct place){0, 60, 50, 60};
	expect_restored(*state, &p);
	p.places[0] = (struct place){0, 60, 50, 59}; /* ends before it begins */
	p.places[1] = (struct place){0, 1, 0xffffffff, 400};
	p.places[2] = (struct place){0, 1, 0, 400};
	expect_restored(*state, &p);
	p = good();
	p.beat_samples = 30; /* fewer than declared */
	expect_restored(*state, &p);
	p = good();
	p.beat_ms = 61; /* 30.5 samples: the rest of the piece is not the beat */
	expect_restored(*state, &p);
	p.beat_ms = 1;
	expect_restored(*state, &p);
	p = good();
	p.n = 0;
	expect_restored(*state, &p);
}

static void the_start_of_a_lead_counts(void **state)
{
	struct plan p = good();
	p.start = 0; /* as 1; then the last of the declared ones is not looked for */
	expect_restored(*state, &p);
	p.start = 41;
	expect_restored(*state, &p);
	p.start = 0xffffff00 - SAMPLES;
	p.places[0] = (struct place){0, p.start + 10, p.start + 20, p.start + 60};
	expect_restored(*state, &p);
}

static void without_the_flag_nothing_is_added(void **state)
{
	struct rig *r = *state;
	struct plan p = good();
	put_plan(r, &p);
	r->sections[3].bytes[1] &= 0xfe;
	rig_expect(r, "");
	expect_samples(&r->e->leads[0], residue[0], SAMPLES);
	rig_drop(r, 4);
	rig_drop(r, 5);
	rig_expect(r, "");
	expect_samples(&r->e->leads[1], residue[1], SAMPLES);
}

static void when_beats_cannot_come_back_there_are_no_samples(void **state)
{
	struct rig *r = *state;
	struct plan p = good();
#define NONE()                                                    \
	do {                                                      \
		rig_expect(r, "waveform_unsupported: section 4"); \
		assert_int_equal(r->e->n_leads, 0);               \
		assert_int_equal(r->e->interval_ns, 2000000);     \
		put_plan(r, &p);                                  \
	} while (0)
	put_plan(r, &p);
	rig_drop(r, 4);
	NONE();
	rig_drop(r, 5);
	NONE();
	for (unsigned id = 4; id <= 5; id++) {
		rig_build(r);
		r->record[r->at[id]] ^= 1;
		rig_fix_record(r);
		const char *verdict = rig_verdict(r, r->len);
		assert_string_equal(
			verdict, id == 4 ? "section_crc: 4; waveform_unsupported: section 4"
					 : "section_crc: 5; waveform_unsupported: section 4");
	}
	r->sections[4].bytes[4] = 4; /* four are declared, three are there */
	NONE();
	for (size_t len = 0; len < 6 + 3 * 14; len += 2) {
		r->sections[4].len = len;
		NONE();
	}
	for (size_t len = 0; len < r->sections[5].len; len += 2) {
		r->sections[5].len = len;
		NONE();
	}
	r->sections[5].bytes[2] ^= 1; /* interval */
	NONE();
	r->sections[5].bytes[4] = 3; /* difference */
	NONE();
	r->sections[4].bytes[2] = 0; /* fiducial */
	NONE();
	p.beat_avm = 0;
	put_plan(r, &p);
	p.beat_avm = 1000;
	NONE();
	rig_expect(r, "");
}

static void a_rhythm_without_unit_or_interval(void **state)
{
	struct rig *r = *state;
	struct plan p = good();
	put_plan(r, &p);
	r->sections[6].bytes[0] = r->sections[6].bytes[1] = 0;
	rig_expect(r, "waveform_unsupported: section 4");
	put_plan(r, &p);
	for (unsigned id = 5; id <= 6; id++)
		r->sections[id].bytes[2] = r->sections[id].bytes[3] = 0;
	rig_expect(r, "waveform_unsupported: interval");
}

/* A table with one short code, so that everything else is none. */
static void a_beat_that_cannot_be_read(void **state)
{
	struct rig *r = *state;
	put(&r->sections[2], "22", 1, 2);
	put(&r->sections[2], "11124", 1, 1, 1, 3, 0);
	put(&r->sections[2], "11124", 3, 27, 1, 0, 1); /* 100 and 24 bits */
	r->sections[3].bytes[1] |= 1;
	static const struct {
		const char *beat, *verdict;
	} cases[] = {{"0000 0000", ""}, {"0001 1000", "waveform_unsupported: section 4"},
		{"100 011111111111111111111111 0 0 0", "sample_range: II"},
		{"100 011111111111111111111100 0 0 0", ""}, /* 3 + 8388604 */
		{"100 100000000000000000000000 0 0 0", "waveform_unsupported: section 4"}};
	struct plan p = {.fiducial = 1, .beat_ms = 8, .n = 1, .places = {{0, 2, 2, 3}}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct out pieces[2] = {0};
		put_places(r, &p);
		put_bits(&pieces[0], "0000 0000");
		put_bits(&pieces[1], cases[i].beat);
		rig_head(r, 5, 1000, 2000, 0);
		rig_pieces(r, 5, pieces, 2);
		/* 11 is no code, which is not told of a lead that is not there */
		put_bits(&pieces[0],
			strstr(cases[i].verdict, "section") ? "0000 1100" : "0000 0000");
		put_bits(&pieces[1], "0000 0000");
		rig_head(r, 6, 1000, 2000, 0);
		rig_pieces(r, 6, pieces, 2);
		rig_expect(r, cases[i].verdict);
		if (i == 2) { /* 3 + 8388607 */
			EXPECT_SAMPLES(&r->e->leads[1], 3);
			assert_true(r->e->leads[1].truncated);
			EXPECT_SAMPLES(&r->e->leads[0], 3, 6, 6, 3);
		}
		if (i == 3)
			EXPECT_SAMPLES(&r->e->leads[1], 3, ECG_SAMPLE_LIMIT, 6, 3);
	}
}

static void what_no_sample_can_be_ends_the_lead(void **state)
{
	struct rig *r = *state;
	struct plan p = good();
	p.rhythm_avm = 1;
	p.beat_avm = 65535; /* beat 0 begins with -300: -19660500 */
	put_plan(r, &p);
	rig_expect(r, "sample_range: I");
	expect_samples(&r->e->leads[0], residue[0], 30);
	assert_true(r->e->leads[0].truncated);
	assert_int_equal(r->e->leads[1].n, SAMPLES); /* 77: 5046195 */
	assert_int_equal(r->e->leads[1].samples[30], residue[1][30] + 77 * 65535);
	p.rhythm_avm = 65535;
	p.beat_avm = 1;
	expect_restored(r, &p);
}

/* Places that all take the whole lead, of a beat of zeros: no sample out of range ends the work. */
static void hostile_places_are_not_worked_off(void **state)
{
	struct rig *r = *state;
	struct plan p = good();
	static const int32_t zeros[SAMPLES];
	p.beat_ms = 2 * SAMPLES;
	p.fiducial = 1;
	static const unsigned counts[] = {20000, 20001, 65535};
	for (size_t k = 0; k < ELEMENTS(counts); k++) {
		unsigned n = counts[k];
		put_plan(r, &p);
		struct out pieces[] = {rig_coded(zeros, SAMPLES, 0), rig_coded(zeros, SAMPLES, 0)};
		rig_head(r, 5, 1000, 2000, 0);
		rig_pieces(r, 5, pieces, 2);
		rig_drop(r, 4);
		put(&r->sections[4], "222", p.beat_ms, p.fiducial, n);
		for (unsigned i = 0; i < n; i++)
			put(&r->sections[4], "2444", 0, 1, 1, SAMPLES);
		bool hostile = 2ULL * SAMPLES * n > 4ULL * ECG_SAMPLES_MAX;
		rig_expect(r, hostile ? "waveform_unsupported: section 4" : "");
		assert_int_equal(hostile, k > 0);
		if (!hostile)
			expect_samples(&r->e->leads[1], residue[1], SAMPLES);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(beats_come_back),
		TEST(units_are_converted),
		TEST(only_where_all_three_have_samples),
		TEST(the_start_of_a_lead_counts),
		TEST(without_the_flag_nothing_is_added),
		TEST(when_beats_cannot_come_back_there_are_no_samples),
		TEST(a_rhythm_without_unit_or_interval),
		TEST(a_beat_that_cannot_be_read),
		TEST(what_no_sample_can_be_ends_the_lead),
		TEST(hostile_places_are_not_worked_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
