/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a driver says becomes a reading: units, plausibility, the limits of the contract, ids that stay the
 * same for ever, and its JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reading.h"

static struct codes *codes;

static int load(void **state)
{
	(void)state;
	char error[400];
	codes = codes_load("config", error, sizeof(error));
	return codes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	codes_free(codes);
	return 0;
}

/* 128/82, pulse 66, as bt_blp says it. */
static struct vg_quantity bp[] = {
	{.kind = "bp.sbp", .value = {1280, -1}, .unit = "mmHg"},
	{.kind = "bp.dbp", .value = {82, 0}, .unit = "mmHg"},
	{.kind = "bp.pulse", .value = {66, 0}, .unit = "bpm"},
};

static struct vg_reading of(const struct vg_quantity *q, size_t n)
{
	return (struct vg_reading){
		.kind = "bp", .user = -1, .seq = -1, .quantities = q, .n_quantities = n};
}

static enum vg_result take(struct reading *r, const struct vg_reading *in, char *why)
{
	*r = (struct reading){0};
	memset(why, 0, 96);
	return reading_take(r, in, "lis01", codes, why);
}

static void test_good(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	struct vg_civil taken = {2024, 6, 15, 17, 17, 27};
	struct vg_reading in = of(bp, 3);
	in.taken = &taken;
	in.user = 2;
	in.seq = 77;
	in.status = VG_CORRECTED;
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_string_equal(r.kind, "bp");
	assert_true(r.has_taken);
	assert_memory_equal(&r.taken, &taken, sizeof(taken));
	assert_int_equal(r.user, 2);
	assert_int_equal(r.seq, 77);
	assert_int_equal(r.status, VG_CORRECTED);
	assert_int_equal(r.n_quantities, 3);
	assert_string_equal(r.quantities[0].code->kind, "bp.sbp");
	assert_int_equal(r.quantities[0].value.milli, 128000);
	assert_int_equal(r.quantities[0].value.decimals, 0);
	assert_string_equal(r.quantities[0].received_unit, "mmHg");
	assert_int_equal(r.quantities[2].value.milli, 66000);
	assert_int_equal(r.n_flags, 0);
	assert_false(r.has_patient);
	in.taken = NULL;
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_false(r.has_taken);
}

static void test_converted(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	struct vg_quantity q = {
		.local = "gluc ", .value = {98, 0}, .unit = "mg/dL", .received = "98"};
	struct vg_reading in = of(&q, 1);
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_string_equal(r.quantities[0].code->kind, "glu.random");
	assert_int_equal(r.quantities[0].value.milli, 5400);
	assert_string_equal(r.quantities[0].received, "98");
	assert_string_equal(r.quantities[0].received_unit, "mg/dL");
	/* longer than we keep: cut, not refused */
	q.received = "98.000000000000000000000000000000000000";
	q.unit = "mg/dL";
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(strlen(r.quantities[0].received), sizeof(r.quantities[0].received) - 1);
	q.unit = NULL; /* none: already canonical */
	q.value = (struct vg_decimal){54, -1};
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.quantities[0].value.milli, 5400);
}

static void test_unknown(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	struct vg_quantity q = {.local = "XYZ", .value = {98, 0}, .unit = "mg/dL"};
	struct vg_reading in = of(&q, 1);
	assert_int_equal(take(&r, &in, why), VG_UNSUPPORTED);
	assert_string_equal(why, "unknown test \"XYZ\"; add it to local_codes.csv");
	q.local = NULL;
	assert_int_equal(take(&r, &in, why), VG_UNSUPPORTED);
	q.local =
		"a test whose name is longer than what fits into the reason that a person is given";
	assert_int_equal(take(&r, &in, why), VG_UNSUPPORTED);
	assert_true(strlen(why) < 96 && strstr(why, "local_codes.csv"));
	q.kind = "no.such";
	assert_int_equal(take(&r, &in, why), VG_UNSUPPORTED);
	q.kind = "glu.random";
	q.unit = "stone";
	assert_int_equal(take(&r, &in, why), VG_UNSUPPORTED);
	assert_string_equal(why, "unknown unit \"stone\" for glu.random; add it to units.csv");
	q.unit = "a unit whose name is longer than a unit's name should ever be";
	assert_int_equal(take(&r, &in, why), VG_UNSUPPORTED);
	assert_non_null(strstr(why, "units.csv"));
}

static void test_implausible(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	struct vg_quantity q[3];
	memcpy(q, bp, sizeof(q));
	struct vg_reading in = of(q, 3);
	q[0].value = (struct vg_decimal){301, 0};
	assert_int_equal(take(&r, &in, why), VG_IMPLAUSIBLE);
	assert_string_equal(why, "bp.sbp out of range");
	q[0].value = (struct vg_decimal){39, 0};
	assert_int_equal(take(&r, &in, why), VG_IMPLAUSIBLE);
	q[0].value = (struct vg_decimal){INT64_MAX, 127}; /* no number at all */
	assert_int_equal(take(&r, &in, why), VG_IMPLAUSIBLE);
	q[0].value = (struct vg_decimal){INT64_MIN, -128};
	assert_int_equal(take(&r, &in, why), VG_IMPLAUSIBLE);
	q[0].value = (struct vg_decimal){300, 0}; /* the ends of the range belong to it */
	assert_int_equal(take(&r, &in, why), VG_READING);
	q[0].value = (struct vg_decimal){40, 0};
	assert_int_equal(take(&r, &in, why), VG_READING);
}

/* 190 mmHg with a nonsensical pulse must still reach somebody. */
static void test_implausible_part(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	struct vg_quantity q[3];
	memcpy(q, bp, sizeof(q));
	struct vg_reading in = of(q, 3);
	const char *flags[] = {"irregular_pulse"};
	in.flags = flags;
	in.n_flags = 1;
	q[0].value = (struct vg_decimal){190, 0};
	q[1].value = (struct vg_decimal){500, 0};
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.n_quantities, 2);
	assert_string_equal(r.quantities[0].code->kind, "bp.sbp");
	assert_string_equal(r.quantities[1].code->kind, "bp.pulse");
	assert_int_equal(r.n_flags, 2);
	assert_string_equal(r.flags[0], "irregular_pulse");
	assert_string_equal(r.flags[1], "implausible_part");
	q[2].unit = "stone"; /* a later one that nobody knows is left out the same way */
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.n_quantities, 1);
	assert_int_equal(r.n_flags, 2);
}

/* HI and LO lie outside the range by their nature. */
static void test_censored(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	struct vg_quantity q = {.kind = "glu.random", .value = {350, -1}, .comparator = '>'};
	struct vg_reading in = of(&q, 1);
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.quantities[0].comparator, '>');
	assert_int_equal(r.quantities[0].value.milli, 35000);
	q.value = (struct vg_decimal){5, -1};
	q.comparator = '<';
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.quantities[0].comparator, '<');
	q.comparator = 0;
	assert_int_equal(take(&r, &in, why), VG_IMPLAUSIBLE);
	q.comparator = '=';
	assert_int_equal(take(&r, &in, why), VG_IMPLAUSIBLE);
	q.value = (struct vg_decimal){5, 0};
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.quantities[0].comparator, 0);
	q.comparator = '>';
	q.value = (struct vg_decimal){INT64_MAX, 100};
	assert_int_equal(take(&r, &in, why), VG_IMPLAUSIBLE);
}

/* Exactly what the contract allows is taken, one more is refused, whatever it is. */
static void test_limits(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	struct vg_quantity q[VG_QUANTITIES_MAX + 1];
	const char *flags[VG_FLAGS_MAX + 1];
	struct vg_note notes[VG_NOTES_MAX + 1];
	uint8_t identity[VG_IDENTITY_MAX + 1] = {0};
	static const char *const kinds[ELEMENTS(q)] = {"bp.sbp", "bp.dbp", "bp.map", "bp.pulse",
		"ecg.hr", "spo2", "spo2.pulse", "weight", "height", "waist", "creatinine",
		"abdominal_circ", "hr.form", "body_fat", "temp", "hba1c", "bmi"};
	static const int64_t values[ELEMENTS(q)] = {
		120, 80, 90, 60, 60, 97, 60, 70, 170, 90, 80, 90, 60, 20, 37, 6, 24};
	for (size_t i = 0; i < ELEMENTS(q); i++)
		q[i] = (struct vg_quantity){.kind = kinds[i], .value = {values[i], 0}};
	for (size_t i = 0; i < ELEMENTS(flags); i++)
		flags[i] = "poor_signal";
	for (size_t i = 0; i < ELEMENTS(notes); i++)
		notes[i] = (struct vg_note){"arm", "left", 4};
	struct vg_reading in = of(q, VG_QUANTITIES_MAX);
	in.flags = flags;
	in.n_flags = VG_FLAGS_MAX;
	in.notes = notes;
	in.n_notes = VG_NOTES_MAX;
	in.identity = identity;
	in.identity_len = VG_IDENTITY_MAX;
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.n_quantities, VG_QUANTITIES_MAX);
	assert_int_equal(r.n_flags, VG_FLAGS_MAX);
	assert_int_equal(r.n_notes, VG_NOTES_MAX);
	q[2].kind = "bp.dbp"; /* twice: the second is left out */
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.n_quantities, VG_QUANTITIES_MAX - 1);
	assert_string_equal(r.flags[VG_FLAGS_MAX], "implausible_part");
	q[2].kind = "bp.map";
	q[1].value = (struct vg_decimal){900, 0}; /* our own flag has a place beside theirs */
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(r.n_flags, VG_FLAGS_MAX + 1);
	assert_string_equal(r.flags[VG_FLAGS_MAX], "implausible_part");

	size_t *const counts[] = {&in.n_quantities, &in.n_flags, &in.n_notes, &in.identity_len};
	for (size_t i = 0; i < ELEMENTS(counts); i++) {
		(*counts[i])++;
		assert_int_equal(take(&r, &in, why), VG_MALFORMED);
		assert_string_equal(why, "more in one reading than the contract allows");
		assert_int_equal(r.n_quantities, 0);
		size_t was = *counts[i];
		*counts[i] = SIZE_MAX;
		assert_int_equal(take(&r, &in, why), VG_MALFORMED);
		*counts[i] = was - 1;
	}
	in.n_quantities = 0;
	assert_int_equal(take(&r, &in, why), VG_MALFORMED);
}

static void test_texts(void **state)
{
	(void)state;
	struct reading r;
	char why[96], longer[200];
	memset(longer, 'x', sizeof(longer));
	const struct vg_note notes[] = {{"meal", "before", 6}, {"arm", "leftright", 4},
		{"site", longer, 200}, {"empty", NULL, 0}};
	struct vg_reading in = of(bp, 1);
	in.notes = notes;
	in.n_notes = 4;
	in.patient = "R-0001 and more";
	in.patient_len = 6;
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_string_equal(r.notes[0].text, "before");
	assert_string_equal(r.notes[1].text, "left");
	assert_int_equal(strlen(r.notes[2].text), VG_TEXT_MAX);
	assert_string_equal(r.notes[3].text, "");
	assert_true(r.has_patient);
	assert_string_equal(r.patient, "R-0001");
	in.patient = longer;
	in.patient_len = sizeof(longer);
	assert_int_equal(take(&r, &in, why), VG_READING);
	assert_int_equal(strlen(r.patient), VG_TEXT_MAX);
}

/* ids */

static struct reading identified(const char *uid, const char *driver, const void *identity,
	size_t len, const char *raw, const char *patient)
{
	struct reading r = {.raw = {(uint8_t *)(uintptr_t)raw, strlen(raw)}};
	strcpy(r.patient, patient);
	reading_identify(&r, uid, driver, identity, len);
	return r;
}

static bool same(struct uuid a, struct uuid b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

/* These ids are in databases and at platforms: sha256 of "vg1\0" "uid|driver\0" identity, 16 bytes, as
 * computed by sha256sum. They must never change. */
static void test_golden_id(void **state)
{
	(void)state;
	char text[33];
	struct reading r = identified("sn:12345", "bt_blp", "\x01\x02\x03", 3, "raw", "");
	assert_string_equal(hex(text, r.id.bytes, 16), "8ceefae81f4f05a893dfbd22560515e3");
	assert_string_equal(hex(text, r.content.bytes, 16), "8ce658ddd65dc47819e72bd5eaae0508");
	struct uuid u = uuid_of("alert", "\x00", 1);
	assert_string_equal(hex(text, u.bytes, 16), "f75f42a87d2b3a1b0603ed2be4f7cc56");
}

static void test_ids(void **state)
{
	(void)state;
	struct reading a = identified("sn:1", "bt_blp", "abc", 3, "raw", "");
	struct reading b = identified("sn:1", "bt_blp", "abc", 3, "raw", "");
	assert_true(same(a.id, b.id) && same(a.content, b.content));
	b = identified("sn:1", "bt_blp", "abc", 3, "other", ""); /* a conflict: the id stays */
	assert_true(same(a.id, b.id) && !same(a.content, b.content));
	b = identified("sn:1", "bt_blp", "abc", 3, "raw", "R-0001");
	assert_true(same(a.id, b.id) && !same(a.content, b.content));
	b = identified("sn:1", "bt_blp", "abd", 3, "raw", "");
	assert_true(!same(a.id, b.id) && same(a.content, b.content));
	b = identified("sn:1", "bt_blp", "abc", 2, "raw", "");
	assert_false(same(a.id, b.id));
	b = identified("sn:2", "bt_blp", "abc", 3, "raw", "");
	assert_false(same(a.id, b.id));
	b = identified("sn:1", "lis01", "abc", 3, "raw", "");
	assert_false(same(a.id, b.id));
	a = identified("sn:1", "d", "\0x", 2, "raw", ""); /* what is where cannot be confused */
	b = identified("sn:1", "d", "x", 1, "raw", "");
	assert_false(same(a.id, b.id));
	/* nothing that identifies it: never merged with anything */
	a = identified("sn:1", "bt_blp", NULL, 0, "raw", "");
	b = identified("sn:1", "bt_blp", NULL, 0, "raw", "");
	assert_true(!same(a.id, b.id) && same(a.content, b.content));
	assert_false(same(uuid_random(), uuid_random()));
	/* the longest that may come, from a block of its exact size */
	char uid[96];
	memset(uid, 'u', 95);
	uid[95] = 0;
	_cleanup_(freep) uint8_t *longest = calloc(1, VG_IDENTITY_MAX);
	a = identified(uid, "driver_with_a_long_name", longest, VG_IDENTITY_MAX, "raw", "");
	longest[VG_IDENTITY_MAX - 1] = 1; /* its last byte counts */
	b = identified(uid, "driver_with_a_long_name", longest, VG_IDENTITY_MAX, "raw", "");
	assert_false(same(a.id, b.id));
}

/* units and JSON */

static void test_unit(void **state)
{
	(void)state;
	struct unit *u = unit_new();
	assert_non_null(u);
	struct reading *first = unit_add_reading(u), *second = unit_add_reading(u);
	assert_ptr_equal(u->readings, first);
	assert_ptr_equal(first->next, second);
	assert_true(bytes_copy(&first->raw, (const uint8_t *)"abc", 3));
	assert_true(bytes_copy(&second->raw, NULL, 0));
	assert_int_equal(second->raw.len, 0);
	struct happening *e = unit_add_event(u, "battery");
	assert_string_equal(e->type, "battery");
	e = unit_add_event(u, "a type that is longer than what its column holds");
	assert_int_equal(strlen(e->type), sizeof(e->type) - 1);
	assert_ptr_equal(u->events->next, e);
	assert_true(bytes_copy(&e->raw, (const uint8_t *)"abc", 3));
	u->marks = calloc(1, sizeof(*u->marks));
	unit_free(u);
	unit_free(NULL);
}

static void json_is(const struct reading *r, bool full, const char *expected)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	reading_json_body(r, &j, full);
	json_object_end(&j);
	assert_string_equal(json_text(&j), expected);
	json_free(&j);
}

static void test_json(void **state)
{
	(void)state;
	struct reading r;
	char why[96];
	const struct vg_quantity q[] = {{.local = "GLU",
						.value = {333, -1},
						.comparator = '>',
						.unit = "mmol/L",
						.received = "HI"},
		{.kind = "hba1c", .value = {48, 0}, .unit = "mmol/mol"}};
	const struct vg_note notes[] = {{"meal", "before \"it\"", 11}};
	const char *flags[] = {"high"};
	struct vg_reading in = of(q, 2);
	in.notes = notes;
	in.n_notes = 1;
	in.flags = flags;
	in.n_flags = 1;
	in.patient = "typed";
	in.patient_len = 5;
	assert_int_equal(take(&r, &in, why), VG_READING);
	json_is(&r, false,
		"{\"values\":{\"glu.random\":{\"value\":33.3,\"unit\":\"mmol/"
		"L\",\"comparator\":\">\"},"
		"\"hba1c\":{\"value\":6.5,\"unit\":\"%\"}},\"flags\":[\"high\"],"
		"\"notes\":{\"meal\":\"before \\\"it\\\"\"}}");
	json_is(&r, true,
		"{\"values\":{\"glu.random\":{\"value\":33.3,\"unit\":\"mmol/"
		"L\",\"comparator\":\">\","
		"\"received\":\"HI\",\"ws\":\"DE04.50.102.00\",\"loinc\":\"14743-9\",\"mdc\":"
		"\"160184\"},"
		"\"hba1c\":{\"value\":6.5,\"unit\":\"%\",\"received_unit\":\"mmol/mol\","
		"\"ws\":\"DE04.50.083.00\",\"loinc\":\"4548-4\",\"mdc\":\"160220\"}},\"flags\":["
		"\"high\"],"
		"\"notes\":{\"meal\":\"before \\\"it\\\"\"}}");
	r = (struct reading){.kind = "x"};
	json_is(&r, true, "{\"values\":{},\"flags\":[]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_converted),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_implausible),
		cmocka_unit_test(test_implausible_part),
		cmocka_unit_test(test_censored),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_golden_id),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_unit),
		cmocka_unit_test(test_json),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("reading", tests, load, unload);
}
