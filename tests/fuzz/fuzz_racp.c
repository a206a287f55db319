/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The record access session (racp.h) with a hostile meter, beside a model of what must hold whatever
 * it says:
 *   - one procedure at a time: nothing is written before the last request was answered and that
 *     answer kept, or it was refused, or aborted and the grace is over; sixteen requests at most
 *   - only report, abort and count are ever written; "at least" asks from behind the mark, or counts
 *     from behind the first record, which is asked for without a mark only, and once
 *   - a mark is a record that was told, and so was everything before it: it is the next after the
 *     mark before, or number 0 that came first, or the first one when all but it were counted above
 *     it, or as many different ones came as were counted
 *   - drained at most once, never after a failure, and never with fewer than were counted
 *   - while it is active the timer runs, and it ends in bounded time
 *
 * Input: a byte of circumstances, 10 bytes of mark, then steps, by byte & 15:
 *   0-5  a record: number below 16 (bit 4: u16), time u8; bit 5: told only with the next answer
 *   6-9  an answer that fits what is asked, by the next byte: success, none, a count, a code;
 *        without bit 4 it is kept at once
 *   10   length byte, bytes: any answer
 *   11   kept     12   the timer runs out     13   what was written is refused with a code
 *   14   time passes: byte, in seconds        15   a record that cannot be read
 */
#include "vg_mock.h"

#include <vitalgate/racp.h>

#define REQUESTS_MAX 16

enum { ACCESS, RECORD };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* the smallest driver */

struct toy {
	struct vg_racp racp;
	enum vg_racp_news news;
	struct vg_racp_place held[16];
	unsigned n_held;
	bool later, unnumbered;
};

/* the model */

static struct model {
	bool asked;    /* a request is open */
	bool answered; /* it was answered; the ticket of the answer is: */
	bool aborting; /* an abort is open */
	vg_ticket ticket;
	uint8_t op, operator;
	uint16_t from; /* what it asks for begins here */
	unsigned requests;
	bool marked;
	uint16_t mark;
	bool came[65536];	   /* in the report at hand */
	bool told[65536];	   /* in the session */
	unsigned n_came, n_unread; /* different ones in the report; without a number */
	bool zero_first;	   /* number 0 came before all others of the report */
	bool counted;
	uint32_t expected;
	bool probed;	/* the first record was asked for */
	bool probing;	/* and the next mark may be it, */
	bool proving;	/* as soon as what is above it was counted */
	uint16_t first; /* it, if nothing else came */
	uint32_t all;	/* that were counted before it was asked for */
	bool closing;	/* the answer at hand ends a report */
	unsigned drained;
} m;

static void tell_held(struct vg_session *s, struct toy *t)
{
	for (unsigned i = 0; i < t->n_held; i++) {
		m.told[t->held[i].seq] = true;
		vg_event(s, &(struct vg_event){.type = VG_EVENT_CONTROL_SOLUTION});
		vg_racp_told(s, &t->racp, &t->held[i]);
	}
	t->n_held = 0;
}

static void toy_opened(struct vg_session *s, bool excerpt)
{
	struct toy *t = vg_state(s);
	uint8_t tag[VG_RACP_TAG] = {1};
	if (!excerpt)
		vg_racp_begin(s, &t->racp,
			&(struct vg_racp_plan){.channel = ACCESS,
				.mark = s->clock_may_be_set ? NULL : "m",
				.filter = 1,
				.tag = s->mark[0].key[0] == '*' ? tag : NULL});
}

static void news(struct toy *t, enum vg_racp_news what)
{
	MOCK_CHECK(what == VG_RACP_NONE || t->news == VG_RACP_NONE); /* it ends once */
	MOCK_CHECK((what == VG_RACP_NONE) == vg_racp_active(&t->racp) || t->news != VG_RACP_NONE ||
		   t->racp.state == VG_RACP_IDLE);
	if (what != VG_RACP_NONE)
		t->news = what;
}

static void toy_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct toy *t = vg_state(s);
	struct vg_racp_place place = {.tag = {1}};
	if (channel == ACCESS) {
		tell_held(s, t);
		news(t, vg_racp_heard(s, &t->racp, bytes, len, now));
		return;
	}
	vg_result(s, VG_NOTHING);
	if (len < 3) {
		vg_racp_came(s, &t->racp, NULL, now);
		return;
	}
	place.seq = (uint16_t)(bytes[0] | bytes[1] << 8);
	place.tag[1] = bytes[2];
	vg_racp_came(s, &t->racp, &place, now);
	t->held[t->n_held++] = place;
	if (!t->later || t->n_held == sizeof(t->held) / sizeof(t->held[0]))
		tell_held(s, t);
}

static void toy_expired(struct vg_session *s, const struct vg_now *now)
{
	struct toy *t = vg_state(s);
	(void)now;
	tell_held(s, t);
	if (vg_racp_active(&t->racp))
		news(t, vg_racp_expired(s, &t->racp));
}

static void toy_denied(
	struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	struct toy *t = vg_state(s);
	(void)channel, (void)now;
	tell_held(s, t);
	news(t, vg_racp_denied(s, &t->racp, code));
}

static void toy_kept(struct vg_session *s, vg_ticket ticket)
{
	vg_racp_kept(s, &((struct toy *)vg_state(s))->racp, ticket);
}

static const struct vg_channel channels[] = {
	[ACCESS] = {.uuid16 = 0x2a52, .use = VG_GATT_SUBSCRIBE | VG_GATT_WRITE, .name = "2a52"},
	[RECORD] = {.uuid16 = 0x2a18, .use = VG_GATT_SUBSCRIBE, .name = "2a18"},
};

static const struct vg_driver toy = {.name = "toy",
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = 2,
	.state_size = sizeof(struct toy),
	.opened = toy_opened,
	.heard = toy_heard,
	.expired = toy_expired,
	.denied = toy_denied,
	.kept = toy_kept};

/* what is held against the model */

/* What is asked for, and which count holds for it. */
static void on_operator(const uint8_t *bytes)
{
	bool report = bytes[0] == VG_RACP_OP_REPORT;
	bool behind = bytes[1] == VG_RACP_SINCE && !m.marked;
	m.from = bytes[1] == VG_RACP_SINCE ? (uint16_t)(bytes[3] | bytes[4] << 8) : 0;
	m.proving = false;
	if (bytes[1] == VG_RACP_FIRST) {
		MOCK_CHECK(report && !m.marked && !m.probed && m.counted);
		m.probed = m.probing = true;
		m.all = m.expected;
	} else if (behind) {
		MOCK_CHECK(!report && m.probing && bytes[2] == 1);
		MOCK_CHECK(m.operator== VG_RACP_FIRST);
		MOCK_CHECK(m.n_came == 1 && !m.n_unread);
		MOCK_CHECK(m.from == (uint16_t)(m.first + 1));
		m.proving = true;
	} else if (bytes[1] == VG_RACP_SINCE) {
		MOCK_CHECK(bytes[2] == 1 && m.from == m.mark + 1);
	} else {
		MOCK_CHECK(bytes[1] == VG_RACP_ALL || bytes[1] == VG_RACP_LAST);
	}
	bool instead = report && bytes[1] == VG_RACP_ALL && m.probing;
	m.expected = instead ? m.all : m.expected;
	m.counted = report && (m.counted || instead);
	m.probing = m.probing && (bytes[1] == VG_RACP_FIRST || behind);
}

static void on_send(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len)
{
	MOCK_CHECK(s->sends == 1 && channel == ACCESS && len >= 2 && ++m.requests <= REQUESTS_MAX);
	if (bytes[0] == 3) {
		MOCK_CHECK(len == 2 && !bytes[1] && m.asked && !m.aborting);
		m.aborting = true;
		return;
	}
	MOCK_CHECK(bytes[0] == 1 || bytes[0] == 4);
	MOCK_CHECK(!m.asked && !m.aborting);
	MOCK_CHECK(len == (bytes[1] == VG_RACP_SINCE ? 5 : 2));
	on_operator(bytes);
	m.asked = true;
	m.answered = false;
	m.op = bytes[0];
	m.operator= bytes[1];
	memset(m.came, 0, sizeof(m.came));
	m.n_came = m.n_unread = 0;
	m.zero_first = false;
}

static bool complete(void)
{
	return !m.counted || m.n_came + m.n_unread >= m.expected;
}

static void on_mark(struct vg_session *s, const char *key, const uint8_t *value, size_t len)
{
	(void)s;
	MOCK_CHECK(strcmp(key, "m") == 0 && (len == VG_RACP_MARK || !len));
	if (!len) { /* taken back: only when the last record was not the marked one */
		MOCK_CHECK(m.closing && m.operator== VG_RACP_LAST);
		m.marked = false;
		return;
	}
	uint16_t seq = (uint16_t)(value[0] | value[1] << 8);
	bool first = !m.marked && seq == 0 && m.zero_first;
	bool lowest =
		m.closing && m.proving && seq == m.first && m.counted && m.expected == m.all - 1;
	bool report = m.op == VG_RACP_OP_REPORT &&
		      (m.operator== VG_RACP_ALL || m.operator== VG_RACP_SINCE);
	MOCK_CHECK(m.told[seq]);
	MOCK_CHECK((m.marked && seq == m.mark + 1) || first || lowest || m.drained ||
		   (m.closing && report && complete()));
	m.marked = true;
	m.mark = seq;
}

static void on_event(struct vg_session *s, const struct vg_event *e)
{
	(void)s;
	if (e->type != VG_EVENT_DRAINED)
		return;
	MOCK_CHECK(!m.drained++ && m.closing && (m.operator== VG_RACP_LAST || complete()));
}

/* the meter */

struct input {
	const uint8_t *at, *end;
};

static uint8_t take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static void check_alive(struct vg_session *s)
{
	const struct toy *t = s->state;
	MOCK_CHECK(!vg_racp_active(&t->racp) || (s->timer_ms && s->timer_ms <= VG_RACP_BEGIN_MS));
	MOCK_CHECK(s->sends <= 1 && s->marks <= 18);
}

static void answer(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	const struct toy *t = s->state;
	struct vg_racp_answer a = vg_racp_cut(bytes, len);
	bool active = vg_racp_active(&t->racp);
	bool mine = a.result == VG_NOTHING && m.asked && !m.answered && !m.aborting &&
		    (a.number ? m.op == VG_RACP_OP_COUNT : a.op == m.op);
	bool abort = a.result == VG_NOTHING && m.aborting && !a.number && a.op == VG_RACP_OP_ABORT;
	m.closing = mine && active;
	if (mine && a.number) {
		m.counted = true;
		m.expected = a.count > 65536 ? 65536 : a.count;
	} else if (mine && m.op == VG_RACP_OP_COUNT && a.code == VG_RACP_NO_RECORDS) {
		m.counted = true;
		m.expected = 0;
	}
	mock_heard(s, ACCESS, bytes, len);
	m.closing = false;
	if (mine || abort) {
		m.answered = true;
		m.ticket = s->tickets;
	}
	check_alive(s);
}

static void fitting_answer(struct vg_session *s, struct input *in)
{
	uint8_t how = take(in), op = m.aborting ? VG_RACP_OP_ABORT : m.op;
	const uint8_t codes[] = {1, 1, 6, 8, 2, 3, 4, 9};
	uint8_t count[] = {VG_RACP_OP_NUMBER, 0, (uint8_t)(how >> 5), 0};
	uint8_t response[] = {VG_RACP_OP_RESPONSE, 0, op, codes[how >> 3 & 7]};
	if (op == VG_RACP_OP_COUNT && (how & 7) < 5)
		answer(s, count, sizeof(count));
	else
		answer(s, response, sizeof(response));
}

static bool reporting(void)
{
	return m.asked && !m.answered && !m.aborting && m.op == VG_RACP_OP_REPORT;
}

static void record(struct vg_session *s, struct input *in, uint8_t how)
{
	struct toy *t = s->state;
	uint8_t pdu[3] = {take(in)};
	if (how & 16)
		pdu[1] = take(in);
	else
		pdu[0] &= 15;
	pdu[2] = take(in);
	uint16_t seq = (uint16_t)(pdu[0] | pdu[1] << 8);
	if (reporting() && seq >= m.from) {
		m.zero_first |= !seq && !m.n_came && !m.n_unread;
		m.n_came += !m.came[seq];
		m.came[seq] = true;
		m.first = seq;
	}
	t->later = how & 32;
	mock_heard(s, RECORD, pdu, sizeof(pdu));
	check_alive(s);
}

static void kept(struct vg_session *s)
{
	if (m.answered && m.ticket > 1)
		mock_kept(s, m.ticket - 1); /* says nothing of the answer */
	if (m.answered) {		    /* from now on it may be asked again */
		m.asked = m.answered = m.aborting = false;
		mock_kept(s, m.ticket);
	} else {
		mock_kept(s, s->tickets);
	}
	check_alive(s);
}

static void time_out(struct vg_session *s)
{
	const struct toy *t = s->state;
	if (t->racp.state == VG_RACP_ABORTING) /* the grace is over */
		m.asked = m.answered = m.aborting = false;
	mock_expire(s);
	check_alive(s);
}

static void refuse(struct vg_session *s, uint8_t code)
{
	const struct toy *t = s->state;
	if (!m.asked || m.answered)
		return;
	if (t->racp.state == VG_RACP_ABORTING || (code != 0x80 && code != 0xfe))
		m.asked = m.aborting = false;
	mock_denied(s, ACCESS, code);
	check_alive(s);
}

static void any_answer(struct vg_session *s, struct input *in)
{
	uint8_t bytes[8];
	size_t len = take(in) & 7;
	for (size_t i = 0; i < len; i++)
		bytes[i] = take(in);
	answer(s, bytes, len);
}

static void step(struct vg_session *s, struct input *in)
{
	uint8_t how = take(in);
	switch (how & 15) {
	case 6:
	case 7:
	case 8:
	case 9:
		fitting_answer(s, in);
		if (!(how & 16))
			kept(s);
		break;
	case 10:
		any_answer(s, in);
		break;
	case 11:
		kept(s);
		break;
	case 12:
		time_out(s);
		break;
	case 13:
		refuse(s, how & 16 ? 0x80 : take(in));
		break;
	case 14:
		s->now.boot_us += take(in) * INT64_C(1000000);
		break;
	case 15:
		m.n_unread += reporting();
		mock_heard(s, RECORD, NULL, 0);
		check_alive(s);
		break;
	default:
		record(s, in, how);
	}
}

/* The meter falls silent: it must come to an end by itself. */
static void run_down(struct vg_session *s)
{
	const struct toy *t = s->state;
	for (unsigned i = 0; i < 16 && vg_racp_active(&t->racp); i++)
		time_out(s);
	MOCK_CHECK(!vg_racp_active(&t->racp) && t->news != VG_RACP_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct vg_session *s = calloc(1, sizeof(*s));
	MOCK_CHECK(s);
	memset(&m, 0, sizeof(m));
	uint8_t how = take(&in);
	struct mock_mark *mark = &s->mark[0];
	for (mark->len = 0; mark->len < VG_RACP_MARK; mark->len++)
		mark->value[mark->len] = take(&in);
	mark->key[0] = how & 1 ? 'm' : how & 2 ? '*' : 0;
	s->clock_may_be_set = how & 4; /* here: records without numbers that last */
	if (how & 8)
		mark->value[1] = 0, mark->value[0] &= 15;
	mark->value[2] = how & 16 ? 1 : mark->value[2];
	s->on_send = on_send;
	s->on_mark = on_mark;
	s->on_event = on_event;
	uint8_t tag[VG_RACP_TAG] = {1};
	m.marked = mark->key[0] && !s->clock_may_be_set &&
		   (mark->key[0] == 'm' || memcmp(mark->value + 2, tag, VG_RACP_TAG) == 0);
	m.mark = (uint16_t)(mark->value[0] | mark->value[1] << 8);
	mock_open(s, &toy);
	while (in.at < in.end)
		step(s, &in);
	run_down(s);
	mock_close(s);
	free(s);
	return 0;
}
