/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Record Access Control Point, 2A52: how an instrument is asked for what is in its memory. A
 * pure state machine in the driver's state. It never deletes.
 *
 *   request   op u8 | operator u8 | [filter u8 | number u16]      write
 *             op 1 report, 3 abort, 4 report how many
 *             operator 0 none, 1 all, 3 at least, 5 first, 6 last
 *   count     05 00 | number u16 (also seen: u8, u32)             indication
 *   response  06 00 | op of the request u8 | code u8              indication
 *             1 success, 6 no records found, 8 not completed, 2 3 4 5 9 not supported in some way
 *
 * A session: count what is numbered mark + 1 and above, have it reported, set the mark. "At least"
 * includes its number. Nothing there: the last record tells whether the instrument began anew: it
 * is another one than the mark's (a number that wrapped looks the same). Then all is read, and what
 * is known already is recognised by its identity. Who knows no operator or no count is asked for
 * all.
 *
 * The mark is the last record before which nothing is missing. It moves with each record that is
 * the next one, and to the newest when as many came as were counted. Fewer: it stays in front of
 * the hole, and what lies behind is asked for once more.
 *
 * Without a mark the first record is asked for alone, so that a report that breaks off got
 * somewhere. It is the mark if all others are numbered above it: its number + 1 and above must count
 * one less than all. Else all is read, and marked at the end: numbers wrapped, the newest came as
 * "first", one was made meanwhile, something is not known to the instrument. A report that breaks
 * off moves the mark no further than to the next number that is left out, and not at all when it
 * comes newest first.
 *
 * The next request is written when the unit of the answer before it was kept: until then its
 * indication is not confirmed, and meters refuse a request meanwhile ("procedure already in
 * progress", recalled from public firmware). Refused so, or silent for 30 s: abort, 2 s grace, 1 s
 * pause, once again.
 *
 * What a driver does:
 *   opened(), or later               vg_racp_begin(), not for an excerpt
 *   heard() of 2A52                  tells what it holds back; then vg_racp_heard(): gives the class
 *   heard() of a record              vg_racp_came(); when it was emitted, vg_racp_told()
 *   heard() of what belongs to one   vg_racp_alive()
 *   denied() of 2A52, kept()         vg_racp_denied(), vg_racp_kept()
 *   refused()                        vg_done(): the next session is told it again
 *   expired()                        vg_racp_expired(), while vg_racp_active()
 * The session's timer is the procedure's while vg_racp_active(). DRAINED is emitted here, once.
 *
 * Sources: Glucose, CGM and Pulse Oximeter Service as used by public collectors. The times are the
 * profile's (recalled): 30 s from the last sign of life; the ceiling is a project default.
 */
#pragma once

#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>

#define VG_RACP_TAG 8
#define VG_RACP_MARK (2 + VG_RACP_TAG) /* number u16, tag */

#define VG_RACP_BEGIN_MS 60000 /* the first request waits for pairing and subscriptions */
#define VG_RACP_SILENCE_MS 30000
#define VG_RACP_GRACE_MS 2000
#define VG_RACP_PAUSE_MS 1000
#define VG_RACP_CEILING_US INT64_C(60000000)
#define VG_RACP_RECORD_US INT64_C(50000) /* more for each record that was counted */

enum {
	VG_RACP_OP_REPORT = 1,
	VG_RACP_OP_ABORT = 3,
	VG_RACP_OP_COUNT,
	VG_RACP_OP_NUMBER,
	VG_RACP_OP_RESPONSE
};
enum { VG_RACP_ALL = 1, VG_RACP_SINCE = 3, VG_RACP_FIRST = 5, VG_RACP_LAST };
enum { VG_RACP_SUCCESS = 1, VG_RACP_NO_OP = 2, VG_RACP_NO_RECORDS = 6 };

/* Which record: its number, and what tells it from one of the same number after a reset (base time,
 * start of the session), padded with zeros. */
struct vg_racp_place {
	uint16_t seq;
	uint8_t tag[VG_RACP_TAG];
};

struct vg_racp_plan {
	unsigned channel; /* of 2A52 */
	/* Key of the durable mark; NULL: they have no numbers that last, all are read each time. */
	const char *mark;
	uint8_t filter; /* type of the number in requests: 1 */
	/* VG_RACP_TAG bytes that all records have now; a mark with another tag is of the past. NULL: each
	 * record has its own. */
	const uint8_t *tag;
};

enum vg_racp_state {
	VG_RACP_IDLE,
	VG_RACP_ASKED,	  /* `step` and `scope` say what for */
	VG_RACP_TURNING,  /* the answer is not kept yet; then `step` */
	VG_RACP_ABORTING, /* then a retry, or the end */
	VG_RACP_PAUSING,
	VG_RACP_OVER,
};

enum vg_racp_step { VG_RACP_COUNT, VG_RACP_REPORT, VG_RACP_PAUSE };

enum vg_racp_news {
	VG_RACP_NONE,
	VG_RACP_DRAINED, /* all was told; the timer is the driver's */
	VG_RACP_FAILED,	 /* over, not all was told: `why`; the timer is the driver's */
};

struct vg_racp {
	unsigned channel;
	const char *key;
	uint8_t filter;
	enum vg_racp_state state;
	enum vg_racp_step step;
	uint8_t scope;
	vg_ticket ticket; /* TURNING: of the answer */
	bool marked;	  /* `mark` holds: the last record before which nothing is missing */
	struct vg_racp_place mark; /* else, while vg_racp_probing(): what came as the first one */
	bool probed;		   /* the first record was asked for, in this session */
	uint32_t all;		   /* records that were counted before */
	/* of the report at hand */
	bool counted, same; /* `expected` holds; LAST: the record that came is the marked one */
	uint32_t expected, received;
	bool placed;	 /* these hold: */
	uint16_t origin; /* the first one that came */
	uint16_t oldest;
	struct vg_racp_place newest;
	bool retried, drained;
	int64_t began_us; /* boot time of the first answer; 0: none yet */
	uint32_t most;	  /* records that were counted, at most */
	const char *why;
};

static inline bool vg_racp_active(const struct vg_racp *r)
{
	return r->state != VG_RACP_IDLE && r->state != VG_RACP_OVER;
}

/* How far behind the first one that came, also when the number wrapped between them: no memory has
 * 32768 records. */
static inline int vg_racp_behind(const struct vg_racp *r, uint16_t seq)
{
	return (int16_t)(uint16_t)(seq - r->origin);
}

static inline bool vg_racp_same(const struct vg_racp_place *a, const struct vg_racp_place *b)
{
	return a->seq == b->seq && memcmp(a->tag, b->tag, VG_RACP_TAG) == 0;
}

/* Is the first record the lowest? Asked for, and not known yet. */
static inline bool vg_racp_probing(const struct vg_racp *r)
{
	return r->scope == VG_RACP_FIRST || (r->scope == VG_RACP_SINCE && !r->marked);
}

/* requests */

static inline void vg_racp_ask(struct vg_session *s, struct vg_racp *r)
{
	uint16_t from = (uint16_t)(r->mark.seq + 1);
	const uint8_t request[] = {r->step == VG_RACP_COUNT ? VG_RACP_OP_COUNT : VG_RACP_OP_REPORT,
		r->scope, r->filter, (uint8_t)from, (uint8_t)(from >> 8)};
	r->state = VG_RACP_ASKED;
	r->received = 0;
	r->placed = r->same = false;
	vg_send(s, r->channel, request, r->scope == VG_RACP_SINCE ? sizeof(request) : 2);
	vg_timer(s, VG_RACP_SILENCE_MS);
}

/* The next step, as soon as the answer at hand was kept. */
static inline void vg_racp_turn(
	struct vg_session *s, struct vg_racp *r, enum vg_racp_step step, uint8_t scope)
{
	if (step == VG_RACP_COUNT)
		r->counted = false;
	r->state = VG_RACP_TURNING;
	r->step = step;
	r->scope = scope;
	vg_timer(s, VG_RACP_SILENCE_MS);
}

/* From the beginning: behind the mark, where there is one. Number 0 after the last one is
 * everything. */
static inline uint8_t vg_racp_first_scope(const struct vg_racp *r)
{
	return r->marked && r->mark.seq != UINT16_MAX ? VG_RACP_SINCE : VG_RACP_ALL;
}

static inline void vg_racp_begin(
	struct vg_session *s, struct vg_racp *r, const struct vg_racp_plan *plan)
{
	size_t len = 0;
	const uint8_t *mark = plan->mark ? vg_marked(s, plan->mark, &len) : NULL;
	*r = (struct vg_racp){.channel = plan->channel,
		.key = plan->mark,
		.filter = plan->filter,
		.step = VG_RACP_COUNT};
	if (mark && len == VG_RACP_MARK &&
		(!plan->tag || memcmp(mark + 2, plan->tag, VG_RACP_TAG) == 0)) {
		r->marked = true;
		r->mark.seq = (uint16_t)(mark[0] | mark[1] << 8);
		memcpy(r->mark.tag, mark + 2, VG_RACP_TAG);
	}
	r->scope = vg_racp_first_scope(r);
	vg_racp_ask(s, r);
	vg_timer(s, VG_RACP_BEGIN_MS);
}

static inline void vg_racp_abort(struct vg_session *s, struct vg_racp *r)
{
	static const uint8_t request[] = {VG_RACP_OP_ABORT, 0};
	r->state = VG_RACP_ABORTING;
	vg_send(s, r->channel, request, sizeof(request));
	vg_timer(s, VG_RACP_GRACE_MS);
}

/* the end */

static inline enum vg_racp_news vg_racp_fail(
	struct vg_session *s, struct vg_racp *r, const char *why)
{
	r->state = VG_RACP_OVER;
	r->why = why;
	vg_timer(s, 0);
	return VG_RACP_FAILED;
}

static inline void vg_racp_mark(
	struct vg_session *s, struct vg_racp *r, const struct vg_racp_place *place)
{
	uint8_t value[VG_RACP_MARK] = {(uint8_t)place->seq, (uint8_t)(place->seq >> 8)};
	memcpy(value + 2, place->tag, VG_RACP_TAG);
	vg_mark(s, r->key, value, sizeof(value));
	r->mark = *place;
	r->marked = true;
}

static inline enum vg_racp_news vg_racp_finish(struct vg_session *s, struct vg_racp *r)
{
	bool reported = r->step == VG_RACP_REPORT && r->scope != VG_RACP_LAST && r->placed;
	if (r->key && reported && !(r->marked && vg_racp_same(&r->mark, &r->newest)))
		vg_racp_mark(s, r, &r->newest);
	r->state = VG_RACP_OVER;
	r->drained = true;
	vg_timer(s, 0);
	vg_event(s, &(struct vg_event){.type = VG_EVENT_DRAINED});
	return VG_RACP_DRAINED;
}

/* answers */

/* Nothing is numbered above the mark. Is the last record the marked one? */
static inline enum vg_racp_news vg_racp_last(
	struct vg_session *s, struct vg_racp *r, bool memory_empty)
{
	if (r->same || memory_empty)
		return vg_racp_finish(s, r);
	vg_mark(s, r->key, "", 0); /* it began anew: the mark is of the past */
	r->marked = false;
	vg_racp_turn(s, r, VG_RACP_COUNT, VG_RACP_ALL);
	return VG_RACP_NONE;
}

/* The first record told nothing of the others. */
static inline enum vg_racp_news vg_racp_probed(struct vg_session *s, struct vg_racp *r)
{
	r->counted = true;
	r->expected = r->all;
	vg_racp_turn(s, r, VG_RACP_REPORT, VG_RACP_ALL);
	return VG_RACP_NONE;
}

static inline enum vg_racp_news vg_racp_first(struct vg_session *s, struct vg_racp *r)
{
	if (!r->placed || r->received != 1)
		return vg_racp_probed(s, r);
	r->mark = r->newest;
	vg_racp_turn(s, r, VG_RACP_COUNT, VG_RACP_SINCE);
	return VG_RACP_NONE;
}

static inline enum vg_racp_news vg_racp_reported(struct vg_session *s, struct vg_racp *r, bool none)
{
	if (r->scope == VG_RACP_FIRST)
		return vg_racp_first(s, r);
	if (r->scope == VG_RACP_LAST)
		return vg_racp_last(s, r, none);
	if (r->counted && r->received < r->expected) {
		if (r->retried) {
			vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_ERROR,
					    .detail = "fewer records came than it counted"});
			return vg_racp_fail(s, r, "fewer records came than it counted");
		}
		r->retried = true;
		vg_racp_turn(s, r, VG_RACP_COUNT, vg_racp_first_scope(r));
		return VG_RACP_NONE;
	}
	if (r->scope == VG_RACP_SINCE && !r->received) {
		vg_racp_turn(s, r, VG_RACP_REPORT, VG_RACP_LAST);
		return VG_RACP_NONE;
	}
	return vg_racp_finish(s, r);
}

static inline enum vg_racp_news vg_racp_count(
	struct vg_session *s, struct vg_racp *r, uint32_t expected)
{
	r->counted = true;
	r->expected = expected > UINT16_MAX ? UINT16_MAX + 1 : expected;
	r->most = r->expected > r->most ? r->expected : r->most;
	if (vg_racp_probing(r)) {
		if (r->expected != r->all - 1)
			return vg_racp_probed(s, r);
		vg_racp_mark(s, r, &r->mark);
	}
	if (!expected)
		return vg_racp_reported(s, r, true);
	bool probe = r->key && !r->marked && !r->probed && expected > 1;
	r->probed |= probe;
	r->all = r->expected;
	vg_racp_turn(s, r, VG_RACP_REPORT, probe ? VG_RACP_FIRST : r->scope);
	return VG_RACP_NONE;
}

/* It does not know how to answer: something simpler, down to a bare "all". */
static inline enum vg_racp_news vg_racp_simpler(
	struct vg_session *s, struct vg_racp *r, uint8_t code)
{
	if (vg_racp_probing(r))
		return vg_racp_probed(s, r);
	if (r->step == VG_RACP_COUNT && (code == VG_RACP_NO_OP || r->scope == VG_RACP_ALL))
		vg_racp_turn(s, r, VG_RACP_REPORT, r->scope);
	else if (r->scope == VG_RACP_LAST)
		return vg_racp_last(s, r, false);
	else if (r->scope == VG_RACP_SINCE)
		vg_racp_turn(s, r, VG_RACP_COUNT, VG_RACP_ALL);
	else
		return vg_racp_fail(s, r, "it does not report its records");
	return VG_RACP_NONE;
}

static inline enum vg_racp_news vg_racp_answered(
	struct vg_session *s, struct vg_racp *r, uint8_t code)
{
	switch (code) {
	case VG_RACP_SUCCESS:
		if (r->step == VG_RACP_REPORT)
			return vg_racp_reported(s, r, false);
		if (vg_racp_probing(r))
			return vg_racp_probed(s, r);
		vg_racp_turn(s, r, VG_RACP_REPORT, r->scope); /* a count without a number */
		return VG_RACP_NONE;
	case VG_RACP_NO_RECORDS:
		return r->step == VG_RACP_COUNT ? vg_racp_count(s, r, 0)
						: vg_racp_reported(s, r, true);
	case 2:
	case 3:
	case 4:
	case 5:
	case 9:
		return vg_racp_simpler(s, r, code);
	}
	if (r->retried)
		return vg_racp_fail(s, r, "it could not report its records");
	r->retried = true;
	vg_racp_turn(s, r, VG_RACP_PAUSE, 0);
	return VG_RACP_NONE;
}

/* It stopped, or the grace is over. */
static inline enum vg_racp_news vg_racp_aborted(
	struct vg_session *s, struct vg_racp *r, bool answered)
{
	if (r->retried)
		return vg_racp_fail(s, r, "it does not finish reporting its records");
	r->retried = true;
	vg_racp_turn(s, r, VG_RACP_PAUSE, 0);
	if (!answered) {
		r->state = VG_RACP_PAUSING;
		vg_timer(s, VG_RACP_PAUSE_MS);
	}
	return VG_RACP_NONE;
}

static inline const char *vg_racp_text(uint8_t code)
{
	static const char *const texts[] = {"records: unknown answer", "records: success",
		"records: operation not supported", "records: invalid operator",
		"records: operator not supported", "records: invalid operand",
		"records: none found", "records: not aborted", "records: not completed",
		"records: operand not supported"};
	return texts[code < sizeof(texts) / sizeof(texts[0]) ? code : 0];
}

/* One value of 2A52, cut. */
struct vg_racp_answer {
	enum vg_result result; /* VG_NOTHING: good */
	bool number;	       /* `count` holds, else `op` and `code` */
	uint32_t count;
	uint8_t op, code;
};

static inline struct vg_racp_answer vg_racp_cut(const uint8_t *bytes, size_t len)
{
	struct buf b = buf_of(bytes, len);
	struct vg_racp_answer a = {.result = VG_NOTHING};
	uint8_t op = buf_u8(&b), none = buf_u8(&b);
	if (b.failed || (op != VG_RACP_OP_NUMBER && op != VG_RACP_OP_RESPONSE)) {
		a.result = b.failed ? VG_MALFORMED : VG_UNSUPPORTED;
		return a;
	}
	a.number = op == VG_RACP_OP_NUMBER;
	size_t left = buf_left(&b);
	bool fits = a.number ? left == 1 || left == 2 || left == 4 : left == 2;
	if (a.number) {
		a.count = left == 1 ? buf_u8(&b) : left == 2 ? buf_le16(&b) : buf_le32(&b);
	} else {
		a.op = buf_u8(&b);
		a.code = buf_u8(&b);
	}
	if (!fits || none)
		a.result = VG_MALFORMED;
	return a;
}

/* Is this the answer that is waited for? */
static inline bool vg_racp_awaited(const struct vg_racp *r, const struct vg_racp_answer *a)
{
	if (r->state == VG_RACP_ABORTING)
		return !a->number && a->op == VG_RACP_OP_ABORT;
	if (r->state != VG_RACP_ASKED)
		return false;
	if (a->number)
		return r->step == VG_RACP_COUNT;
	return a->op == (r->step == VG_RACP_COUNT ? VG_RACP_OP_COUNT : VG_RACP_OP_REPORT);
}

static inline enum vg_racp_news vg_racp_heard(struct vg_session *s, struct vg_racp *r,
	const uint8_t *bytes, size_t len, const struct vg_now *now)
{
	struct vg_racp_answer a = vg_racp_cut(bytes, len);
	bool awaited = a.result == VG_NOTHING && vg_racp_awaited(r, &a);
	/* what an abort overtook, and what no session asked for, is no disorder */
	bool harmless = r->state == VG_RACP_ABORTING || r->state == VG_RACP_IDLE;
	if (a.result == VG_NOTHING && !awaited && !harmless)
		a.result = VG_OUT_OF_SEQUENCE;
	vg_ticket ticket = vg_rejected(
		s, a.result, a.number ? "records: counted" : vg_racp_text(a.code), bytes, len);
	if (!awaited)
		return VG_RACP_NONE;
	r->ticket = ticket;
	r->began_us = r->began_us ? r->began_us : now->boot_us;
	if (r->state == VG_RACP_ABORTING)
		return vg_racp_aborted(s, r, true);
	return a.number ? vg_racp_count(s, r, a.count) : vg_racp_answered(s, r, a.code);
}

static inline void vg_racp_kept(struct vg_session *s, struct vg_racp *r, vg_ticket ticket)
{
	if (r->state != VG_RACP_TURNING || ticket != r->ticket)
		return;
	if (r->step != VG_RACP_PAUSE) {
		vg_racp_ask(s, r);
		return;
	}
	r->state = VG_RACP_PAUSING;
	vg_timer(s, VG_RACP_PAUSE_MS);
}

/* The instrument refused the request with an ATT error: 80, FE: "procedure already in progress". */
static inline enum vg_racp_news vg_racp_denied(
	struct vg_session *s, struct vg_racp *r, uint8_t code)
{
	if (r->state == VG_RACP_ABORTING)
		return vg_racp_aborted(s, r, false);
	if (r->state != VG_RACP_ASKED)
		return VG_RACP_NONE;
	if (code == 0x80 || code == 0xfe) {
		vg_racp_abort(s, r);
		return VG_RACP_NONE;
	}
	if (!vg_racp_probing(r))
		return vg_racp_fail(s, r, "it refuses to be asked for its records");
	vg_racp_probed(s, r);
	vg_racp_ask(s, r); /* there is no answer that is to be kept */
	return VG_RACP_NONE;
}

/* records */

/* A sign of life in a report: the procedure's time begins anew, up to the ceiling. */
static inline void vg_racp_alive(struct vg_session *s, struct vg_racp *r, const struct vg_now *now)
{
	if (r->state != VG_RACP_ASKED)
		return;
	r->began_us = r->began_us ? r->began_us : now->boot_us;
	int64_t end_us = r->began_us + VG_RACP_CEILING_US + r->most * VG_RACP_RECORD_US;
	int64_t left_ms = (end_us - now->boot_us) / 1000;
	if (left_ms > 0) {
		vg_timer(s, left_ms < VG_RACP_SILENCE_MS ? (unsigned)left_ms : VG_RACP_SILENCE_MS);
		return;
	}
	r->retried = true; /* nor has a second try the time */
	vg_racp_abort(s, r);
}

/* A record came, whatever is made of it. NULL: it has no number, or it is so broken that none can be
 * read. Numbers come in order, up or down: what lies between those that came is told twice, and does
 * not fill a hole. */
static inline void vg_racp_came(struct vg_session *s, struct vg_racp *r,
	const struct vg_racp_place *place, const struct vg_now *now)
{
	vg_racp_alive(s, r, now);
	if (r->state != VG_RACP_ASKED || r->step != VG_RACP_REPORT)
		return;
	if (r->scope == VG_RACP_LAST) {
		r->same = place && vg_racp_same(place, &r->mark);
		return;
	}
	if (!place) {
		r->received++;
		return;
	}
	if (r->scope == VG_RACP_SINCE && place->seq <= r->mark.seq)
		return;
	r->origin = r->placed ? r->origin : place->seq;
	int behind = vg_racp_behind(r, place->seq);
	bool later = !r->placed || behind > vg_racp_behind(r, r->newest.seq);
	bool earlier = !r->placed || behind < vg_racp_behind(r, r->oldest);
	r->received += later || earlier;
	if (later)
		r->newest = *place;
	if (earlier)
		r->oldest = place->seq;
	r->placed = true;
}

/* In the callback that emitted what was made of the record, or later in the session. The mark
 * follows when nothing is missing before it: it is the next one, or number 0 that came first, or the
 * first one ever of an empty memory. */
static inline void vg_racp_told(
	struct vg_session *s, struct vg_racp *r, const struct vg_racp_place *place)
{
	if (!r->key || r->state == VG_RACP_IDLE || (vg_racp_active(r) && r->scope == VG_RACP_LAST))
		return;
	bool zero = r->placed && r->received == 1 && r->newest.seq == 0 && place->seq == 0;
	bool follows = r->mark.seq != UINT16_MAX && place->seq == r->mark.seq + 1;
	if (r->marked ? follows : r->drained || zero)
		vg_racp_mark(s, r, place);
}

static inline enum vg_racp_news vg_racp_expired(struct vg_session *s, struct vg_racp *r)
{
	switch (r->state) {
	case VG_RACP_ASKED:
		vg_racp_abort(s, r);
		return VG_RACP_NONE;
	case VG_RACP_ABORTING:
		return vg_racp_aborted(s, r, false);
	case VG_RACP_PAUSING:
		r->step = VG_RACP_COUNT;
		r->counted = false;
		r->scope = vg_racp_first_scope(r);
		vg_racp_ask(s, r);
		return VG_RACP_NONE;
	case VG_RACP_TURNING:
		return vg_racp_fail(s, r, "its answer was not stored in time");
	case VG_RACP_IDLE:
	case VG_RACP_OVER:
		break;
	}
	return VG_RACP_NONE;
}
