/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "resident.h"

static struct resident_decision nobody(const char *why)
{
	return (struct resident_decision){0, why, "none"};
}

static bool holds(const struct resident_binding *b, int64_t at)
{
	return at >= b->from_us && at < b->to_us;
}

/* A record that only arrival dates may be older than the binding that holds now. */
static bool handover_doubt(const struct resident_evidence *e, const struct resident_binding *now)
{
	if (e->when.trust < TRUST_ARRIVAL ||
		e->arrived_us - now->from_us > RESIDENT_HANDOVER_DOUBT_US)
		return false;
	for (size_t i = 0; i < e->n_bindings; i++)
		if (e->bindings[i].resident != now->resident &&
			e->bindings[i].from_us < now->from_us &&
			(!now->has_slot || !e->bindings[i].has_slot ||
				e->bindings[i].slot == now->slot))
			return true;
	return false;
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
		const struct resident_binding **to = !b->has_slot ? &exclusive
			: b->slot == e->user			  ? &slot
								  : NULL;
		if (!to)
			continue;
		if (*to && (*to)->resident != b->resident)
			return nobody("bound_to_several");
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
		return nobody("time_unknown_after_handover");
	return (struct resident_decision){
		b->resident, slot ? "user_slot" : "device_binding", slot ? "slot" : "device"};
}

struct resident_decision resident_decide(const struct resident_evidence *e)
{
	if (e->test)
		return nobody("test");
	if (e->stranger)
		return nobody("device_identity_changed");
	if (e->conflict)
		return nobody("conflicting_content");
	struct resident_decision bound = by_binding(e);
	if (!e->has_patient)
		return bound;
	if (!e->patient_resident)
		return nobody("unknown_patient_id");
	if (bound.resident && bound.resident != e->patient_resident)
		return nobody("patient_id_contradicts_binding");
	return (struct resident_decision){e->patient_resident, "message_token", "message"};
}
