/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "resident.h"

static const char after_handover[] = "time_unknown_after_handover";

static struct resident_decision nobody(const char *why)
{
	return (struct resident_decision){.evidence = why, .grade = "none"};
}

static bool holds(const struct resident_binding *b, int64_t at)
{
	return at >= b->from_us && at < b->to_us;
}

/* A record that only arrival dates may be older than the binding that holds now: somebody else had the
 * device, or the slot, until a short while ago, or before it came to its holder a short while ago. */
static bool handover_doubt(const struct resident_evidence *e, const struct resident_binding *now)
{
	int64_t recent_us = e->arrived_us - RESIDENT_HANDOVER_DOUBT_US;
	if (e->when.trust < TRUST_ARRIVAL)
		return false;
	for (size_t i = 0; i < e->n_bindings; i++) {
		const struct resident_binding *b = &e->bindings[i];
		if (b->resident == now->resident ||
			(now->has_slot && b->has_slot && b->slot != now->slot))
			continue;
		if (now->from_us >= recent_us && b->from_us < now->from_us)
			return true;
		if (b->from_us <= e->when.taken_us && b->to_us > recent_us)
			return true;
	}
	return false;
}

/* A clock that nobody compared may be days off: a record that it dates before a hand-over proves nothing
 * about who wore the cuff. Only while the same resident holds at both instants is there no doubt. */
static bool unchecked_across_handover(
	const struct resident_evidence *e, const struct resident_binding *then)
{
	if (e->when.trust != TRUST_DEVICE)
		return false;
	for (size_t i = 0; i < e->n_bindings; i++) {
		const struct resident_binding *b = &e->bindings[i];
		if (b->resident == then->resident && b->has_slot == then->has_slot &&
			(!b->has_slot || b->slot == then->slot) && holds(b, e->arrived_us))
			return false;
	}
	return true;
}

static struct resident_decision by_binding(const struct resident_evidence *e)
{
	const struct resident_binding *exclusive = NULL, *slot = NULL;
	bool slots = false;
	for (size_t i = 0; i < e->n_bindings; i++) {
		const struct resident_binding *b = &e->bindings[i];
		if (!holds(b, e->when.taken_us))
			continue;
		slots |= b->has_slot;
		const struct resident_binding **to = !b->has_slot	  ? &exclusive
						     : b->slot == e->user ? &slot
									  : NULL;
		if (!to)
			continue;
		if (*to && (*to)->resident != b->resident)
			return nobody("bound_to_several");
		if (!*to || b->from_us > (*to)->from_us)
			*to = b;
	}
	if (exclusive && slots)
		return nobody("bound_alone_and_by_slot");
	if (!exclusive && !slot)
		return nobody(!slots	    ? "not_bound"
			      : e->user < 0 ? "user_slot_missing"
					    : "user_slot_not_bound");
	const struct resident_binding *b = slot ? slot : exclusive;
	if (handover_doubt(e, b))
		return nobody(after_handover);
	if (unchecked_across_handover(e, b))
		return nobody("clock_unchecked_across_handover");
	return (struct resident_decision){.resident = b->resident,
		.evidence = slot ? "user_slot" : "device_binding",
		.grade = slot ? "slot" : "device"};
}

/* The message names somebody who is none of those whose device, or slot of it, this was. */
static bool contradicted(const struct resident_evidence *e, const struct resident_decision *bound)
{
	if (bound->resident)
		return bound->resident != e->patient_resident;
	bool others = false;
	for (size_t i = 0; i < e->n_bindings; i++) {
		const struct resident_binding *b = &e->bindings[i];
		bool then = holds(b, e->when.taken_us);
		if (b->has_slot && b->slot != e->user)
			continue;
		bool before = bound->evidence == after_handover && b->from_us <= e->when.taken_us;
		if (b->resident == e->patient_resident && (then || before))
			return false;
		others |= then;
	}
	return others;
}

static void claims(struct resident_decision *d, const char *by, int64_t resident)
{
	if (resident && d->n_claims < RESIDENT_CLAIMS_MAX)
		d->claims[d->n_claims++] = (struct resident_claim){by, resident};
}

/* Nobody's, and everybody who says whose it is is named. */
static struct resident_decision contradiction(
	const struct resident_evidence *e, int64_t bound, const char *why)
{
	struct resident_decision d = nobody(why);
	if (e->has_patient)
		claims(&d, "message", e->patient_resident);
	for (size_t i = 0; i < 2; i++)
		claims(&d, "station", e->station.residents[i]);
	claims(&d, "binding", bound);
	return d;
}

/* Two of the three that name different residents; NULL: there are none such. */
static const char *differ(int64_t message, int64_t station, int64_t bound)
{
	bool mb = message && bound && message != bound;
	bool sm = station && message && station != message;
	bool sb = station && bound && station != bound;
	if (mb && !(sm && sb))
		return "patient_id_contradicts_binding";
	if (sm)
		return "checkin_contradicts_message";
	return sb ? "checkin_contradicts_binding" : NULL;
}

/* The strongest claim; all of them name the same resident. */
static struct resident_decision by_claims(
	const struct resident_evidence *e, int64_t station, const struct resident_decision *bound)
{
	static const char *const reasons[] = {
		[STATION_UNDONE] = "checkin_undone", [STATION_NO_TIME] = "time_unknown_at_station"};
	struct resident_decision d = *bound;
	if (e->has_patient)
		d = (struct resident_decision){.resident = e->patient_resident,
			.evidence = "message_token",
			.grade = "message"};
	else if (station)
		d = (struct resident_decision){.resident = station,
			.evidence = e->station.after ? "identified_after" : "checkin",
			.grade = "station"};
	if (station)
		d.checkin = e->station.checkin;
	if (!d.resident && e->station.state >= STATION_UNDONE)
		d = nobody(reasons[e->station.state]);
	return d;
}

struct resident_decision resident_decide(const struct resident_evidence *e)
{
	const struct resident_station *s = &e->station;
	if (e->test)
		return nobody("test");
	if (e->stranger)
		return nobody("device_identity_changed");
	if (e->conflict)
		return nobody("conflicting_content");
	if (e->has_patient && !e->patient_resident)
		return nobody("unknown_patient_id");
	if (e->has_patient && e->patient_unproven)
		return nobody("typed_id_unproven");
	struct resident_decision bound = by_binding(e);
	int64_t message = e->has_patient ? e->patient_resident : 0;
	int64_t station = s->state == STATION_ONE ? s->residents[0] : 0;
	const char *why = differ(message, station, bound.resident);
	/* one of those who share the device is no proof against it; somebody else is, unless the station says so, too */
	if (!why && message && !station && contradicted(e, &bound))
		why = "patient_id_contradicts_binding";
	if (!why && s->state == STATION_BETWEEN && !(message && s->has_patient_resident))
		why = "between_two_checkins";
	if (why)
		return contradiction(e, bound.resident, why);
	return by_claims(e, station, &bound);
}
