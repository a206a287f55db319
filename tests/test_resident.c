/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose reading is it: each answer by example, then a small world tried out completely. In it, an oracle
 * that works with sets of residents says who could be meant at all; the decision must never name anybody
 * whom the evidence does not prove, nor anybody while two are possible, and must not shy away from what
 * is clear.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resident.h"
#include "util.h"

#define DAY (INT64_C(86400) * CLOCK_SECOND_US)
#define ARRIVED (100 * DAY)
#define FOREVER INT64_MAX

enum { ANNA = 1, BO = 2 };

static struct resident_evidence evidence(const struct resident_binding *b, size_t n)
{
	return (struct resident_evidence){.when = {ARRIVED, CLOCK_SECOND_US, TRUST_CORRECTED},
		.arrived_us = ARRIVED,
		.user = -1,
		.bindings = b,
		.n_bindings = n};
}

static void is(
	const struct resident_evidence *e, int64_t resident, const char *why, const char *grade)
{
	struct resident_decision d = resident_decide(e);
	assert_string_equal(d.evidence, why);
	assert_string_equal(d.grade, grade);
	assert_int_equal(d.resident, resident);
}

static void test_alone(void **state)
{
	(void)state;
	const struct resident_binding b = {ANNA, false, 0, 10 * DAY, 120 * DAY};
	struct resident_evidence e = evidence(&b, 1);
	is(&e, ANNA, "device_binding", "device");
	e.user = 2; /* who has the device alone has all of its slots */
	is(&e, ANNA, "device_binding", "device");
	e.when.taken_us = 10 * DAY; /* from: inclusive */
	is(&e, ANNA, "device_binding", "device");
	e.when.taken_us = 10 * DAY - 1;
	is(&e, 0, "not_bound", "none");
	e.when.taken_us = 120 * DAY - 1;
	is(&e, ANNA, "device_binding", "device");
	e.when.taken_us = 120 * DAY; /* to: exclusive */
	is(&e, 0, "not_bound", "none");
	e = evidence(NULL, 0);
	is(&e, 0, "not_bound", "none");
}

static void test_slots(void **state)
{
	(void)state;
	const struct resident_binding b[] = {{ANNA, true, 1, 0, FOREVER}, {BO, true, 2, 0, FOREVER},
		{BO, true, 2, 50 * DAY, FOREVER}};
	struct resident_evidence e = evidence(b, ELEMENTS(b));
	is(&e, 0, "user_slot_missing", "none");
	e.user = 1;
	is(&e, ANNA, "user_slot", "slot");
	e.user = 2; /* bound twice to the same person is no doubt */
	is(&e, BO, "user_slot", "slot");
	e.user = 3;
	is(&e, 0, "user_slot_not_bound", "none");
	e.user = 255;
	is(&e, 0, "user_slot_not_bound", "none");
}

static void test_ambiguous(void **state)
{
	(void)state;
	const struct resident_binding two[] = {
		{ANNA, false, 0, 0, FOREVER}, {BO, false, 0, 0, FOREVER}};
	struct resident_evidence e = evidence(two, 2);
	is(&e, 0, "bound_to_several", "none");
	const struct resident_binding slot[] = {
		{ANNA, true, 1, 0, FOREVER}, {BO, true, 1, 0, FOREVER}};
	e = evidence(slot, 2);
	e.user = 1;
	is(&e, 0, "bound_to_several", "none");
	const struct resident_binding mixed[] = {
		{ANNA, false, 0, 0, FOREVER}, {BO, true, 1, 0, FOREVER}};
	e = evidence(mixed, 2);
	for (e.user = -1; e.user < 3; e.user++)
		is(&e, 0, "bound_alone_and_by_slot", "none");
}

static void test_handover(void **state)
{
	(void)state;
	const struct resident_binding b[] = {
		{ANNA, false, 0, 0, 95 * DAY}, {BO, false, 0, 95 * DAY, FOREVER}};
	struct resident_evidence e = evidence(b, 2);
	is(&e, BO, "device_binding", "device");
	e.when.taken_us = 95 * DAY - 1; /* told late, but dated */
	is(&e, ANNA, "device_binding", "device");
	e.when = (struct when){ARRIVED, 400 * DAY, TRUST_ARRIVAL}; /* from whose days? */
	is(&e, 0, "time_unknown_after_handover", "none");
	e.when.taken_us = e.arrived_us = 95 * DAY + RESIDENT_HANDOVER_DOUBT_US;
	is(&e, 0, "time_unknown_after_handover", "none");
	e.when.taken_us = ++e.arrived_us; /* what was in its memory has come by now */
	is(&e, BO, "device_binding", "device");
	/* the binding that holds is old, but somebody else had the device as well until yesterday */
	const struct resident_binding both[] = {
		{ANNA, false, 0, 0, ARRIVED - DAY}, {BO, false, 0, 0, FOREVER}};
	e = evidence(both, 2);
	is(&e, BO, "device_binding", "device");
	e.when.trust = TRUST_ARRIVAL;
	is(&e, 0, "time_unknown_after_handover", "none");
	/* the first holder has no predecessor; the next binding of the same person is no handover */
	e = evidence(b + 1, 1);
	e.when.trust = TRUST_ARRIVAL;
	is(&e, BO, "device_binding", "device");
	const struct resident_binding same[] = {
		{BO, false, 0, 0, 95 * DAY}, {BO, false, 0, 95 * DAY, FOREVER}};
	e = evidence(same, 2);
	e.when.trust = TRUST_ARRIVAL;
	is(&e, BO, "device_binding", "device");
	/* slots: only the same slot, or the whole device, changed hands */
	struct resident_binding slots[] = {
		{ANNA, true, 1, 0, 95 * DAY}, {BO, true, 2, 95 * DAY, FOREVER}};
	e = evidence(slots, 2);
	e.when.trust = TRUST_ARRIVAL;
	e.user = 2;
	is(&e, BO, "user_slot", "slot");
	slots[0].slot = 2;
	is(&e, 0, "time_unknown_after_handover", "none");
	slots[0] = b[0];
	is(&e, 0, "time_unknown_after_handover", "none");
}

static void test_gateway_in_1970(void **state)
{
	(void)state;
	const struct resident_binding b = {ANNA, false, 0, 10 * DAY, FOREVER};
	struct resident_evidence e = evidence(&b, 1);
	e.when = (struct when){100 * CLOCK_SECOND_US, INT64_MAX, TRUST_UNKNOWN};
	e.arrived_us = 100 * CLOCK_SECOND_US;
	is(&e, 0, "not_bound", "none");
}

static void test_token(void **state)
{
	(void)state;
	const struct resident_binding b = {ANNA, false, 0, 10 * DAY, FOREVER};
	struct resident_evidence e = evidence(NULL, 0);
	e.has_patient = true;
	is(&e, 0, "unknown_patient_id", "none");
	e.patient_resident = BO;
	is(&e, BO, "message_token", "message");
	e = evidence(&b, 1);
	e.has_patient = true; /* a stranger's name on Anna's device is not Anna's reading */
	is(&e, 0, "unknown_patient_id", "none");
	e.patient_resident = ANNA;
	is(&e, ANNA, "message_token", "message");
	e.patient_resident = BO;
	is(&e, 0, "patient_id_contradicts_binding", "none");

	/* the device alone cannot tell, the message can; but not somebody else altogether */
	const struct resident_binding two[] = {
		{ANNA, false, 0, 0, FOREVER}, {BO, false, 0, 0, FOREVER}};
	e = evidence(two, 2);
	e.has_patient = true;
	e.patient_resident = BO;
	is(&e, BO, "message_token", "message");
	e.patient_resident = 3;
	is(&e, 0, "patient_id_contradicts_binding", "none");
	const struct resident_binding late[] = {
		{ANNA, false, 0, 0, 95 * DAY}, {BO, false, 0, 95 * DAY, FOREVER}};
	e = evidence(late, 2); /* undated, from the days of the former holder */
	e.when.trust = TRUST_ARRIVAL;
	e.has_patient = true;
	e.patient_resident = ANNA;
	is(&e, ANNA, "message_token", "message");
	e.patient_resident = 3;
	is(&e, 0, "patient_id_contradicts_binding", "none");
}

static void test_excluded(void **state)
{
	(void)state;
	const struct resident_binding b = {ANNA, false, 0, 0, FOREVER};
	struct resident_evidence e = evidence(&b, 1);
	e.has_patient = true;
	e.patient_resident = ANNA;
	is(&e, ANNA, "message_token", "message");
	e.conflict = true;
	is(&e, 0, "conflicting_content", "none");
	e.stranger = true;
	is(&e, 0, "device_identity_changed", "none");
	e.test = true;
	is(&e, 0, "test", "none");
}

/* three claims */

static struct resident_evidence claims(int64_t message, int64_t station, int64_t binding)
{
	static struct resident_binding b;
	b = (struct resident_binding){binding, false, 0, 0, FOREVER};
	struct resident_evidence e = evidence(&b, binding != 0);
	e.has_patient = message != 0;
	e.patient_resident = message;
	if (station)
		e.station = (struct resident_station){
			.state = STATION_ONE, .checkin = 77, .residents = {station}};
	return e;
}

/* Message, station, binding: each nobody, Anna, Bo or Cy. */
static void test_three_claims(void **state)
{
	(void)state;
	unsigned agree = 0, differ = 0;
	for (int64_t m = 0; m < 4; m++)
		for (int64_t s = 0; s < 4; s++)
			for (int64_t b = 0; b < 4; b++) {
				struct resident_evidence e = claims(m, s, b);
				struct resident_decision d = resident_decide(&e);
				unsigned who =
					(m ? 1u << m : 0) | (s ? 1u << s : 0) | (b ? 1u << b : 0);
				assert_int_equal(d.checkin, s && !(who & (who - 1)) ? 77 : 0);
				if (who & (who - 1)) {
					bool mb = m && b && m != b, sm = s && m && s != m;
					const char *why = mb && !(sm && s != b && b)
								  ? "patient_id_contradicts_binding"
							  : sm ? "checkin_contradicts_message"
							       : "checkin_contradicts_binding";
					is(&e, 0, why, "none");
					assert_int_equal(d.n_claims, !!m + !!s + !!b);
					differ++;
					continue;
				}
				assert_int_equal(d.n_claims, 0);
				if (m)
					is(&e, m, "message_token", "message");
				else if (s)
					is(&e, s, "checkin", "station");
				else if (b)
					is(&e, b, "device_binding", "device");
				else
					is(&e, 0, "not_bound", "none");
				agree++;
			}
	assert_int_equal(agree, 1 + 3 * 7);
	assert_int_equal(differ, 64 - 22);
}

/* The three that differ, one by one, and who says what. */
static void test_contradictions(void **state)
{
	(void)state;
	struct resident_evidence e = claims(ANNA, BO, 3);
	struct resident_decision d = resident_decide(&e);
	assert_string_equal(d.evidence, "checkin_contradicts_message");
	assert_int_equal(d.n_claims, 3);
	assert_string_equal(d.claims[0].by, "message");
	assert_int_equal(d.claims[0].resident, ANNA);
	assert_string_equal(d.claims[1].by, "station");
	assert_int_equal(d.claims[1].resident, BO);
	assert_string_equal(d.claims[2].by, "binding");
	assert_int_equal(d.claims[2].resident, 3);
	e = claims(ANNA, BO, ANNA);
	is(&e, 0, "checkin_contradicts_message", "none");
	e = claims(ANNA, ANNA, BO);
	is(&e, 0, "patient_id_contradicts_binding", "none");
	e = claims(ANNA, BO, BO);
	is(&e, 0, "patient_id_contradicts_binding", "none");
	e = claims(0, ANNA, BO);
	is(&e, 0, "checkin_contradicts_binding", "none");
}

/* What has no resident, beside what has. */
static void test_reasons(void **state)
{
	(void)state;
	static const struct {
		int state;
		const char *why;
	} against[] = {
		{STATION_UNDONE, "checkin_undone"}, {STATION_NO_TIME, "time_unknown_at_station"}};
	for (size_t i = 0; i < ELEMENTS(against); i++) {
		struct resident_evidence e = claims(0, 0, 0);
		e.station.state = against[i].state;
		is(&e, 0, against[i].why, "none");
		e = claims(ANNA, 0, 0);
		e.station.state = against[i].state;
		is(&e, ANNA, "message_token", "message");
		e = claims(0, 0, BO);
		e.station.state = against[i].state;
		is(&e, BO, "device_binding", "device");
		e = claims(ANNA, 0, BO);
		e.station.state = against[i].state;
		is(&e, 0, "patient_id_contradicts_binding", "none");
	}
	/* a binding that cannot tell is no proof against a check-in */
	const struct resident_binding two[] = {
		{ANNA, false, 0, 0, FOREVER}, {BO, false, 0, 0, FOREVER}};
	struct resident_evidence e = claims(0, 3, 0);
	e.bindings = two;
	e.n_bindings = 2;
	is(&e, 3, "checkin", "station");
	e.has_patient = true; /* nor against a message that the check-in confirms */
	e.patient_resident = 3;
	is(&e, 3, "message_token", "message");
	e.station.state = STATION_NOBODY;
	is(&e, 0, "patient_id_contradicts_binding", "none");
	/* after the measuring */
	e = claims(0, ANNA, 0);
	e.station.after = true;
	is(&e, ANNA, "identified_after", "station");
	e = claims(ANNA, ANNA, 0);
	e.station.after = true;
	is(&e, ANNA, "message_token", "message");
}

static void test_between(void **state)
{
	(void)state;
	struct resident_evidence e = claims(0, 0, 0);
	e.station = (struct resident_station){.state = STATION_BETWEEN, .residents = {ANNA, BO}};
	is(&e, 0, "between_two_checkins", "none");
	struct resident_decision d = resident_decide(&e);
	assert_int_equal(d.n_claims, 2);
	assert_int_equal(d.checkin, 0);
	struct resident_station between = e.station;
	e = claims(0, 0, ANNA); /* a device proves less than it takes */
	e.station = between;
	is(&e, 0, "between_two_checkins", "none");
	e = claims(ANNA, 0, 0);
	e.station = between;
	is(&e, 0, "between_two_checkins", "none");
	e.station.has_patient_resident = true;
	is(&e, ANNA, "message_token", "message");
	e = claims(ANNA, 0, BO);
	e.station = between;
	e.station.has_patient_resident = true;
	is(&e, 0, "patient_id_contradicts_binding", "none");
}

static void test_typed(void **state)
{
	(void)state;
	struct resident_evidence e = claims(-1, 0, 0);
	e.patient_unproven = true;
	is(&e, 0, "typed_id_unproven", "none");
	e = claims(-1, ANNA, BO); /* before all else: somebody typed something wrong */
	e.patient_unproven = true;
	is(&e, 0, "typed_id_unproven", "none");
	e = claims(0, ANNA, BO);
	e.has_patient = true;
	is(&e, 0, "unknown_patient_id", "none");
	e.conflict = true;
	is(&e, 0, "conflicting_content", "none");
	assert_int_equal(resident_decide(&e).checkin, 0);
}

/* the small world */

#define BIT(resident) (1u << (resident))
#define ALL_FORMS 18

/* Two residents, alone or in slot 1 or 2, before day 95, since day 95, or always. */
static struct resident_binding form(unsigned i)
{
	static const int64_t spans[3][2] = {
		{10 * DAY, 95 * DAY}, {95 * DAY, FOREVER}, {10 * DAY, FOREVER}};
	unsigned slot = i / 2 % 3;
	return (struct resident_binding){
		i % 2 ? BO : ANNA, slot > 0, (int)slot, spans[i / 6][0], spans[i / 6][1]};
}

struct possible {
	unsigned proven; /* by a binding that holds and fits what the device said */
	unsigned rivals; /* others who could be meant for the same reason */
};

/* Sets of residents, with none of the order, the early returns and the words of the code under test. */
static struct possible oracle(const struct resident_evidence *e)
{
	struct possible p = {0};
	unsigned alone = 0, of_slot = 0, any_slot = 0, former = 0;
	int64_t since = INT64_MIN;
	for (size_t i = 0; i < e->n_bindings; i++) {
		const struct resident_binding *b = &e->bindings[i];
		bool over = b->to_us <= e->when.taken_us, begun = b->from_us <= e->when.taken_us;
		if (over || !begun)
			continue;
		alone |= b->has_slot ? 0 : BIT(b->resident);
		any_slot |= b->has_slot ? BIT(b->resident) : 0;
		of_slot |= b->has_slot && b->slot == e->user ? BIT(b->resident) : 0;
		if (!b->has_slot || b->slot == e->user)
			since = MAX(since, b->from_us);
	}
	p.proven = alone | of_slot;
	p.rivals = alone ? any_slot : 0;
	/* dated by nothing but its arrival: whoever had the device, or the slot, within the week, or
	 * before it changed hands within the week */
	bool undated = e->when.trust == TRUST_ARRIVAL || e->when.trust == TRUST_UNKNOWN;
	for (size_t i = 0; undated && i < e->n_bindings; i++) {
		const struct resident_binding *b = &e->bindings[i];
		bool same_hands = !b->has_slot || alone || b->slot == e->user;
		bool within = b->from_us <= e->arrived_us && b->to_us > e->arrived_us - 7 * DAY;
		if (same_hands &&
			(within || (b->from_us < since && e->arrived_us - since <= 7 * DAY)))
			former |= BIT(b->resident);
	}
	p.rivals |= former;
	/* dated by a clock that nobody compared: proof only while the same hands hold it on arrival */
	unsigned alone_now = 0, slot_now = 0;
	for (size_t i = 0; i < e->n_bindings; i++) {
		const struct resident_binding *b = &e->bindings[i];
		if (b->from_us > e->arrived_us || b->to_us <= e->arrived_us)
			continue;
		alone_now |= b->has_slot ? 0 : BIT(b->resident);
		slot_now |= b->has_slot && b->slot == e->user ? BIT(b->resident) : 0;
	}
	if (e->when.trust == TRUST_DEVICE && ((alone & ~alone_now) || (of_slot & ~slot_now)))
		p.rivals |= BIT(ANNA) | BIT(BO);
	return p;
}

static bool one_bit(unsigned set)
{
	return set && !(set & (set - 1));
}

static unsigned long checked, named;

static void check(const struct resident_evidence *e)
{
	struct resident_decision d = resident_decide(e);
	struct possible p = oracle(e);
	unsigned me = BIT(d.resident);
	bool excluded = e->test || e->stranger || e->conflict;
	bool slots_and_alone = false; /* the same person alone and by slot: refused as a mistake */
	for (size_t i = 0; i < e->n_bindings; i++)
		for (size_t k = 0; k < e->n_bindings; k++)
			slots_and_alone |= e->bindings[i].has_slot && !e->bindings[k].has_slot;
	checked++;
	assert_true((d.resident == 0) == streq(d.grade, "none"));
	assert_true(d.resident >= 0 && d.resident <= BO);
	if (d.resident) {
		named++;
		assert_false(excluded);
		if (streq(d.grade, "message")) {
			assert_true(e->has_patient && e->patient_resident == d.resident);
			/* the device, if it proves anybody, is no proof against it */
			assert_true(!p.proven || ((p.proven | p.rivals) & me));
			assert_false(
				one_bit(p.proven) && !(p.rivals & ~p.proven) && p.proven != me);
		} else {
			assert_false(e->has_patient);
			assert_true(p.proven == me);	    /* proof at that instant */
			assert_true((p.rivals & ~me) == 0); /* nobody else is possible */
		}
		return;
	}
	/* and what is clear is not refused */
	bool clear = one_bit(p.proven) && !(p.rivals & ~p.proven) && !slots_and_alone;
	if (excluded)
		return;
	if (!e->has_patient)
		assert_false(clear);
	else
		assert_true(!e->patient_resident ||
			    (p.proven && !(p.proven & BIT(e->patient_resident))));
}

static void try_evidence(const struct resident_binding *b, size_t n)
{
	static const int64_t taken[] = {9 * DAY, 10 * DAY, 50 * DAY, 95 * DAY - 1, 95 * DAY,
		98 * DAY, 102 * DAY, 103 * DAY};
	for (size_t t = 0; t < ELEMENTS(taken); t++)
		for (enum trust trust = TRUST_CORRECTED; trust <= TRUST_UNKNOWN; trust++)
			for (int user = -1; user <= 3; user++)
				for (int patient = -1; patient <= BO; patient++)
					for (int out = 0; out < 4; out++) {
						struct resident_evidence e = {.test = out == 1,
							.stranger = out == 2,
							.conflict = out == 3,
							.when = {taken[t], DAY, trust},
							.arrived_us = trust >= TRUST_ARRIVAL
									      ? taken[t]
									      : 103 * DAY,
							.user = user,
							.bindings = b,
							.n_bindings = n,
							.has_patient = patient >= 0,
							.patient_resident = MAX(patient, 0)};
						check(&e);
					}
}

static void test_small_world(void **state)
{
	(void)state;
	struct resident_binding b[3] = {0};
	checked = named = 0;
	try_evidence(b, 0);
	for (unsigned i = 0; i < ALL_FORMS; i++) {
		b[0] = form(i);
		try_evidence(b, 1);
		for (unsigned k = 0; k < ALL_FORMS; k++) { /* in both orders */
			b[1] = form(k);
			try_evidence(b, 2);
			for (unsigned m = k; m < ALL_FORMS; m++) {
				b[2] = form(m);
				try_evidence(b, 3);
			}
		}
	}
	print_message("# %lu situations, %lu with a name\n", checked, named);
	assert_true(checked > 1000000 && named > checked / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_ambiguous),
		cmocka_unit_test(test_handover),
		cmocka_unit_test(test_gateway_in_1970),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_excluded),
		cmocka_unit_test(test_three_claims),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_typed),
		cmocka_unit_test(test_small_world),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("resident", tests, NULL, NULL);
}
