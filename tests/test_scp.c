/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which bytes are SCP-ECG, which records are rejected and why, which sections are dropped. */
#include "scp_rig.h"

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	if (!r)
		return -1;
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

static void a_good_record_is_taken(void **state)
{
	struct rig *r = *state;
	rig_expect(r, "");
	assert_string_equal(r->e->format, "scp");
	assert_string_equal(r->e->id, "R-0001");
	assert_int_equal(r->e->n_leads, 2);
	EXPECT_SAMPLES(&r->e->leads[0], 10, -20, 30, -40);
	EXPECT_SAMPLES(&r->e->leads[1], 1, 2, 3, 4);
}

static void what_is_not_scp_is_left_alone(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	assert_string_equal(rig_verdict(r, 0), "no");
	assert_string_equal(rig_verdict(r, 31), "no");
	assert_string_equal(rig_verdict(r, 32), "truncated");
	r->record[8] = 1; /* of section 0 */
	assert_string_equal(rig_verdict(r, r->len), "no");
	struct ecg *untouched = malloc(sizeof(*untouched));
	assert_non_null(untouched);
	ecg_init(untouched);
	assert_memory_equal(untouched, r->e, sizeof(*untouched));
	free(untouched);
}

/* Without the letters SCPECG the first pointer has to point at section 0. */
static void without_letters_the_first_pointer_tells(void **state)
{
	struct rig *r = *state;
	static const struct {
		size_t at;
		uint32_t value;
		const char *verdict;
	} cases[] = {
		{16, 0, ""},
		{6 + 16, 1, "no"},		    /* its id */
		{6 + 18, RIG_SECTION_0 + 10, "no"}, /* its length */
		{6 + 22, 8, "no"},		    /* its index */
		{6 + 4, RIG_SECTION_0 + 10, "no"},  /* the length of the section */
		{6 + 4, 16 + 10 * 1024, "structure: section 0: length"},
		{6 + 4, 16 + 10 * 1024 + 10, "no"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_build(r);
		memset(r->record + 16, 0, 6);
		rig_set(r, cases[i].at, cases[i].value, cases[i].at == 6 + 16 ? 2 : 4);
		if (cases[i].value >= 16 + 10 * 1024)
			rig_set(r, 6 + 18, cases[i].value, 4);
		rig_fix_section(r, 0);
		rig_fix_record(r);
		assert_string_equal(rig_verdict(r, r->len), cases[i].verdict);
	}
	for (uint32_t len = 16; len <= 26; len += 10) { /* 26 is one pointer */
		rig_build(r);
		memset(r->record + 16, 0, 6);
		rig_set(r, 6 + 4, len, 4);
		rig_set(r, 6 + 18, len, 4);
		rig_fix_section(r, 0);
		rig_fix_record(r);
		assert_string_equal(rig_verdict(r, r->len),
			len == 16 ? "no" : "structure: section 1 is missing");
	}
}

static void a_short_file_is_truncated(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	for (size_t len = 32; len < r->len; len++)
		assert_string_equal(rig_verdict(r, len), "truncated");
	assert_string_equal(rig_verdict(r, r->len), "");
	for (uint32_t claimed = 0; claimed < 32; claimed++) {
		rig_set(r, 2, claimed, 4);
		assert_string_equal(rig_verdict(r, r->len), "truncated");
	}
	rig_set(r, 2, 0xffffffff, 4);
	assert_string_equal(rig_verdict(r, r->len), "truncated");
}

static void bytes_behind_the_record_are_ignored(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	memset(r->record + r->len, 0x1a, 200); /* XMODEM fills its last block */
	assert_string_equal(rig_verdict(r, r->len + 200), "");
	EXPECT_SAMPLES(&r->e->leads[1], 1, 2, 3, 4);
}

static void every_changed_byte_is_seen(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	for (size_t at = 0; at < r->len; at++) {
		r->record[at] ^= 0x10;
		const char *verdict = rig_verdict(r, r->len);
		bool seen = streq(verdict, "record_crc") || streq(verdict, "truncated") ||
			    streq(verdict, "no");
		if (!seen)
			fail_msg("byte %zu: %s", at, verdict);
		r->record[at] ^= 0x10;
	}
}

/* A change of section 0 or of a header, with all CRCs made right, and what it is called. */
static void a_record_that_contradicts_itself_is_rejected(void **state)
{
	struct rig *r = *state;
	enum { POINTER_1 = 6 + 26, POINTER_3 = 6 + 46, POINTER_9 = 6 + 106 };
	static const struct {
		int section; /* `at` counts from it; -1: from the record */
		size_t at;
		uint32_t value;
		unsigned bytes;
		const char *verdict;
	} cases[] = {
		{-1, 6 + 4, 16, 4, "structure: section 0: length"},
		{-1, 6 + 4, 6, 4, "structure: section 0: length"},
		{-1, 6 + 4, 25, 4, "structure: section 0: length"},
		{-1, 6 + 4, RIG_SECTION_0 + 1, 4, "structure: section 0: length"},
		{-1, 6 + 4, 16 + 10 * 100000, 4, "structure: section 0: length"},
		{-1, 6 + 4, 0xfffffff6, 4, "structure: section 0: length"},
		{-1, POINTER_3 + 2, 15, 4, "structure: section 3: pointer"},
		{-1, POINTER_3 + 6, 0, 4, "structure: section 3: pointer"},
		{-1, POINTER_3 + 6, 0xffffffff, 4, "structure: section 3: pointer"},
		{-1, POINTER_3 + 2, 0xffffffff, 4, "structure: section 3: pointer"},
		{-1, POINTER_3 + 6, 7, 4, "structure: section 3: header is not the pointer's"},
		{-1, POINTER_3, 9, 2, "structure: section 9: header is not the pointer's"},
		{-1, POINTER_3 + 2, 18, 4, "structure: section 3: header is not the pointer's"},
		{3, 2, 4, 2, "structure: section 3: header is not the pointer's"},
		{3, 4, 18, 4, "structure: section 3: header is not the pointer's"},
		{3, 4, 0, 4, "structure: section 3: header is not the pointer's"},
		{-1, POINTER_1 + 2, 0, 4, "structure: section 1 is missing"},
		{-1, POINTER_9, 1, 2, ""}, /* length 0: it says nothing */
		{-1, POINTER_9 + 6, 99999999, 4, ""},
		{-1, 6 + 18, 0, 4, ""}, /* nobody needs the pointer to section 0 */
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		rig_build(r);
		size_t from = cases[i].section < 0 ? 0 : r->at[cases[i].section];
		rig_set(r, from + cases[i].at, cases[i].value, cases[i].bytes);
		rig_fix_section(r, 0);
		if (cases[i].section > 0)
			rig_fix_section(r, cases[i].section);
		rig_fix_record(r);
		assert_string_equal(rig_verdict(r, r->len), cases[i].verdict);
	}
}

static void pointers_reach_exactly_to_the_end(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	uint32_t all = (uint32_t)r->len;
	put(&r->pointers, "244", 200, 100,
		all - 100 + 1 + 10); /* the record grows by this pointer */
	rig_expect(r, "");
	out_clear(&r->pointers);
	put(&r->pointers, "244", 200, 100, all - 100 + 2 + 10);
	rig_expect(r, "structure: section 200: pointer");
	out_clear(&r->pointers);
	put(&r->pointers, "244", 12, 15, 7);
	rig_expect(r, "structure: section 12: pointer");
	out_clear(&r->pointers);
	put(&r->pointers, "244", 12, 16, 7); /* what is there is not looked at */
	put(&r->pointers, "244", 12, 16, 1);
	rig_expect(r, "");
	assert_int_equal(r->e->n_leads, 2);
}

static void a_record_of_nothing_but_section_0(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	for (unsigned n = 1; n <= 12; n++) {
		r->len = 6 + 16 + 10 * n;
		rig_set(r, 2, r->len, 4);
		memset(r->record + 6 + 16, 0, 10 * n);
		rig_set(r, 6 + 4, 16 + 10 * n, 4);
		rig_fix_section(r, 0);
		rig_fix_record(r);
		assert_string_equal(rig_verdict(r, r->len), "structure: section 1 is missing");
		rig_set(r, 6 + 4, 16 + 10 * n + 10, 4); /* more than the record */
		rig_fix_record(r);
		assert_string_equal(rig_verdict(r, r->len), "structure: section 0: length");
	}
}

/* Section 0 ends one to ten bytes behind the record. */
static void section_0_is_longer_than_the_record(void **state)
{
	struct rig *r = *state;
	for (unsigned n = 0; n < 10; n++) {
		put(&r->gap, "1", 0);
		rig_build(r);
		size_t room = r->len - 6 - 16;
		rig_set(r, 6 + 4, 16 + room / 10 * 10 + 10, 4);
		rig_fix_record(r);
		assert_string_equal(rig_verdict(r, r->len), "structure: section 0: length");
	}
}

static void the_same_section_twice_is_rejected(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	put(&r->pointers, "244", 3, (unsigned)r->sections[3].len + 16, (unsigned)r->at[3] + 1 + 10);
	rig_expect(r, "structure: section 3 twice");
	out_clear(&r->pointers);
	put(&r->pointers, "244", 3, 0, 0); /* length 0 */
	rig_expect(r, "");
}

static void pointers_may_stand_in_any_order(void **state)
{
	struct rig *r = *state;
	uint8_t third[10];
	rig_build(r);
	uint8_t *pointers = r->record + 6 + 16;
	memcpy(third, pointers + 30, 10);
	memmove(pointers + 10, pointers, 30);
	memcpy(pointers, third, 10);
	rig_fix_section(r, 0);
	rig_fix_record(r);
	assert_string_equal(rig_verdict(r, r->len), "");
	EXPECT_SAMPLES(&r->e->leads[1], 1, 2, 3, 4);
}

/* Its own CRC is wrong, the record's is right. */
static void a_section_with_a_wrong_crc(void **state)
{
	struct rig *r = *state;
	static const char *const verdicts[] = {
		[0] = "structure: section 0: crc",
		[1] = "section_crc: section 1",
		[2] = "section_crc: 2; waveform_unsupported: section 2",
		[3] = "section_crc: section 3",
		[4] = "section_crc: 4",
		[5] = "section_crc: 5",
		[6] = "section_crc: section 6",
		[7] = "section_crc: 7",
		[8] = "section_crc: 8",
		[9] = "",
		[10] = "",
		[11] = "section_crc: 11",
	};
	for (unsigned id = 2; id < 12; id++)
		if (!r->sections[id].bytes)
			put(&r->sections[id], "2444", 0, 0, 0, 0);
	rig_expect(r, "");
	for (unsigned id = 0; id < 12; id++) {
		rig_build(r);
		r->record[r->at[id]] ^= 1;
		rig_fix_record(r);
		assert_string_equal(rig_verdict(r, r->len), verdicts[id]);
		if (verdicts[id][0] && id > 6)
			assert_true(id == 7 ? r->e->rr == ECG_ABSENT : r->e->n_lines == 0);
	}
}

/* Of several faults the first in this order is told. */
static void the_first_fault_is_told(void **state)
{
	struct rig *r = *state;
	rig_build(r);
	r->record[r->at[6]] ^= 1;
	r->record[r->at[3]] ^= 1;
	rig_fix_record(r);
	assert_string_equal(rig_verdict(r, r->len), "section_crc: section 3");
	rig_set(r, 6 + 18, 15, 4); /* a pointer */
	rig_fix_section(r, 0);
	rig_fix_record(r);
	assert_string_equal(rig_verdict(r, r->len), "structure: section 0: pointer");
	r->record[r->len - 1] ^= 1;
	assert_string_equal(rig_verdict(r, r->len), "record_crc");
	assert_string_equal(rig_verdict(r, r->len - 1), "truncated");
}

/* A dropped section 8 leaves no interpretation. */
static void a_dropped_section_is_as_if_it_were_not_there(void **state)
{
	struct rig *r = *state;
	put(&r->sections[8], "12111111", 1, 2026, 1, 31, 8, 9, 10, 1);
	put(&r->sections[8], "12", 1, 5);
	put_bytes(&r->sections[8], "TEST", 5);
	rig_expect(r, "");
	assert_string_equal(r->e->status, "confirmed");
	assert_int_equal(r->e->n_lines, 1);
	r->record[r->at[8]] ^= 1;
	rig_fix_record(r);
	assert_string_equal(rig_verdict(r, r->len), "section_crc: 8");
	assert_null(r->e->status);
	assert_int_equal(r->e->n_lines, 0);
}

/* Sections of all lengths: their CRC is computed in steps. */
static void crcs_are_right_at_every_length(void **state)
{
	struct rig *r = *state;
	for (unsigned n = 0; n < 40; n++) {
		put(&r->gap, "1", n * 37 & 0xff);
		rig_expect(r, "");
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_good_record_is_taken),
		TEST(what_is_not_scp_is_left_alone),
		TEST(without_letters_the_first_pointer_tells),
		TEST(a_short_file_is_truncated),
		TEST(bytes_behind_the_record_are_ignored),
		TEST(every_changed_byte_is_seen),
		TEST(a_record_that_contradicts_itself_is_rejected),
		TEST(pointers_reach_exactly_to_the_end),
		TEST(a_record_of_nothing_but_section_0),
		TEST(section_0_is_longer_than_the_record),
		TEST(the_same_section_twice_is_rejected),
		TEST(pointers_may_stand_in_any_order),
		TEST(a_section_with_a_wrong_crc),
		TEST(the_first_fault_is_told),
		TEST(a_dropped_section_is_as_if_it_were_not_there),
		TEST(crcs_are_right_at_every_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
