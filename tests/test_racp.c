/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The record access session (racp.h), played by a glucose meter whose every move is scripted. The
 * driver is bt_glucose and the session the daemon's own, so verdicts, marks and tickets are real.
 *
 * A script is words:
 *   >HEX     exactly this was written since the last such word; `>` alone: nothing was
 *   <HEX     the meter indicates this on 2A52
 *   rN rN.T  it notifies record N, measured T minutes after eight (0: what a reset changes)
 *   bad      it notifies a record that cannot be read
 *   xHH      it refuses what was written, with this ATT error
 *   tMS      the timer is set to MS; it runs out
 *   +MS      time passes, and nothing happens
 *   hold     from now on units wait for their verdict; else each is kept at once
 *   keep1    the oldest unit that waits is kept
 *   keep     all are, and nothing waits any longer; `refuse`: the same, refused
 *   mN mN.T  the mark is this record; `m-`: there is none, or it was taken back
 *   drained  was told, once in the session
 *   listen   the procedure is over, the link is not
 *   done     the session was ended
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "codes.h"
#include "session_rig.h"

#include <errno.h>
#include <vitalgate/racp.h>

extern const struct vg_driver bt_glucose;

#define QUIET_MS 120000

struct script {
	const char *name;
	const char *mark; /* of an earlier session, as `mN.T`; NULL: none */
	const char *order;
	const char *words;
};

struct play {
	struct rig rig;
	unsigned verdicts; /* units before it have theirs */
	bool hold;
	unsigned drained, seen; /* units before `seen` were looked at */
	uint8_t mark[64];
	size_t mark_len;
	const struct script *script;
	const char *at; /* the word at hand */
};

#define EXPECT(p, condition)                                                                      \
	do {                                                                                      \
		if (!(condition))                                                                 \
			fail_msg("%s: at \"%.24s\": %s", (p)->script->name, (p)->at, #condition); \
	} while (0)

static int channel_of(const char *name)
{
	for (size_t i = 0; i < bt_glucose.n_channels; i++)
		if (streq(bt_glucose.channels[i].name, name))
			return (int)i;
	fail_msg("no channel %s", name);
	return -1;
}

/* The hexadecimal digits up to the end of the word. */
static size_t bytes_of(const char *text, uint8_t out[static 16])
{
	char digits[33] = "";
	size_t n = strcspn(text, " ");
	assert_true(n < sizeof(digits));
	memcpy(digits, text, n);
	assert_true(unhex(out, n / 2, digits));
	return n / 2;
}

/* Units that were submitted: their events and marks count, and they are kept as they come. */
static void look(struct play *p)
{
	for (; p->seen < p->rig.n_units; p->seen++) {
		const struct unit *u = p->rig.units[p->seen];
		for (const struct happening *e = u->events; e; e = e->next)
			p->drained += streq(e->type, "drained");
		for (const struct mark *m = u->marks; m; m = m->next) {
			p->mark_len = m->len;
			memcpy(p->mark, m->value, m->len);
		}
	}
}

static void verdicts(struct play *p, int result)
{
	look(p);
	while (p->verdicts < p->rig.n_units) {
		rig_verdict(&p->rig, p->verdicts++, result);
		look(p);
	}
}

static void settle(struct play *p)
{
	if (!p->hold)
		verdicts(p, 0);
	look(p);
}

static void place_read(const char *text, unsigned *ret_seq, unsigned *ret_minute)
{
	*ret_minute = 0;
	assert_true(sscanf(text, "%u.%u", ret_seq, ret_minute) >= 1);
}

static void record(struct play *p, const char *text)
{
	unsigned seq, minute;
	place_read(text, &seq, &minute);
	/* no offset; 90 mg/dL, capillary plasma, finger */
	const uint8_t pdu[] = {0x02, (uint8_t)seq, (uint8_t)(seq >> 8), 0xea, 0x07, 11, 20, 8,
		(uint8_t)minute, 0, 0x5a, 0xb0, 0x12};
	session_value(p->rig.session, channel_of("2a18"), pdu, sizeof(pdu), false, &p->rig.now);
	settle(p);
}

static void indicated(struct play *p, const char *text)
{
	uint8_t pdu[16];
	size_t n = bytes_of(text, pdu);
	session_value(p->rig.session, channel_of("2a52"), pdu, n, true, &p->rig.now);
	settle(p);
}

static void written(struct play *p, const char *text)
{
	uint8_t want[16];
	size_t n = bytes_of(text, want);
	EXPECT(p, p->rig.n_sent == n && memcmp(p->rig.sent, want, n) == 0);
	p->rig.n_sent = 0;
}

static void passes(struct play *p, unsigned ms)
{
	p->rig.now.boot_us += ms * INT64_C(1000);
	p->rig.now.utc_us += ms * INT64_C(1000);
}

static void runs_out(struct play *p, const char *text)
{
	unsigned ms = (unsigned)atoi(text);
	EXPECT(p, p->rig.timer_ms == ms);
	passes(p, ms);
	p->rig.timer_ms = 0;
	session_expired(p->rig.session, &p->rig.now);
	settle(p);
}

static size_t mark_make(const char *text, uint8_t out[static VG_RACP_MARK])
{
	unsigned seq, minute;
	place_read(text, &seq, &minute);
	const uint8_t mark[VG_RACP_MARK] = {
		(uint8_t)seq, (uint8_t)(seq >> 8), 0xea, 0x07, 11, 20, 8, (uint8_t)minute, 0, 0};
	memcpy(out, mark, sizeof(mark));
	return sizeof(mark);
}

static void marked(struct play *p, const char *text)
{
	uint8_t want[VG_RACP_MARK];
	if (*text == '-') {
		EXPECT(p, p->mark_len == 0);
		return;
	}
	size_t n = mark_make(text, want);
	EXPECT(p, p->mark_len == n && memcmp(p->mark, want, n) == 0);
}

static void word(struct play *p, const char *w)
{
	static const uint8_t broken[] = {0x02, 9, 0, 0xea, 0x07};
	if (strncmp(w, "bad", 3) == 0) {
		session_value(p->rig.session, channel_of("2a18"), broken, sizeof(broken), false,
			&p->rig.now);
		settle(p);
	} else if (strncmp(w, "hold", 4) == 0) {
		p->hold = true;
	} else if (strncmp(w, "keep1", 5) == 0) {
		rig_verdict(&p->rig, p->verdicts++, 0);
		look(p);
	} else if (strncmp(w, "keep", 4) == 0 || strncmp(w, "refuse", 6) == 0) {
		p->hold = false;
		verdicts(p, *w == 'k' ? 0 : -ENOSPC);
	} else if (strncmp(w, "drained", 7) == 0) {
		EXPECT(p, p->drained == 1);
	} else if (strncmp(w, "listen", 6) == 0) {
		EXPECT(p, !p->rig.done && p->rig.timer_ms == QUIET_MS);
	} else if (strncmp(w, "done", 4) == 0) {
		EXPECT(p, p->rig.done);
	} else if (*w == '>') {
		written(p, w + 1);
	} else if (*w == '<') {
		indicated(p, w + 1);
	} else if (*w == 'r') {
		record(p, w + 1);
	} else if (*w == 't') {
		runs_out(p, w + 1);
	} else if (*w == '+') {
		passes(p, (unsigned)atoi(w + 1));
	} else if (*w == 'm') {
		marked(p, w + 1);
	} else if (*w == 'x') {
		session_denied(p->rig.session, (unsigned)channel_of("2a52"),
			(uint8_t)strtoul(w + 1, NULL, 16), &p->rig.now);
		settle(p);
	} else {
		fail_msg("%s: \"%.20s\" is no word", p->script->name, w);
	}
}

static void play(void **state)
{
	struct play *p = test_calloc(1, sizeof(*p));
	p->script = *state;
	p->rig = rig_new(&bt_glucose);
	if (p->script->mark) {
		p->rig.mark_key = "records";
		p->rig.mark_len = mark_make(p->script->mark + 1, p->rig.mark);
		memcpy(p->mark, p->rig.mark, p->rig.mark_len);
		p->mark_len = p->rig.mark_len;
	}
	if (p->script->order) {
		p->rig.option_name = "order";
		p->rig.option_value = p->script->order;
	}
	assert_non_null(rig_open(&p->rig));
	unsigned earlier = p->drained;
	for (p->at = p->script->words; *p->at;) {
		word(p, p->at);
		EXPECT(p, p->drained <= 1 && p->drained >= earlier);
		p->at += strcspn(p->at, " ");
		p->at += strspn(p->at, " ");
	}
	EXPECT(p, p->rig.n_sent == 0); /* what was written was expected */
	rig_close(&p->rig);
	test_free(p);
}

/* four records, 1 is the first one and the lowest */
#define NEW_1 ">0401 <05000400 >0105 r1 m- <06000101 m- >0403010200 <05000300 m1 "

/* count 3 above the mark */
#define SINCE_7 ">0403010700 <05000300 >0103010700 "

static struct script scripts[] = {
	{"a new meter: count, the first, then what is above it", NULL, NULL,
		NEW_1 "m1 >0103010200 r2 m2 r3 m3 r4 m4 <06000101 m4 drained > listen"},
	{"number 0 needs no proof that it is the lowest", NULL, NULL,
		">0401 <05000300 >0105 r0 m0 <06000101 >0403010100 <05000200 >0103010100 r1 m1 r2 "
		"m2 <06000101 m2 drained"},
	{"the only record is the first and the last", NULL, NULL,
		">0401 <05000100 >0101 r41 m- <06000101 m41 drained"},
	{"a first report that is not completed goes on behind what came", NULL, NULL,
		NEW_1 ">0103010200 r2 r3 m3 <06000108 > t1000 >0403010400 <05000100 >0103010400 r4 "
		      "<06000101 m4 drained"},
	{"a first report that never ends goes on behind what came", NULL, NULL,
		NEW_1 ">0103010200 r2 t30000 >0300 <06000301 t1000 >0403010300 <05000200 "
		      ">0103010300 r3 r4 <06000101 m4 drained"},
	{"a hole behind the first record: the mark stays on it", NULL, NULL,
		NEW_1
		">0103010200 r3 r4 m1 <06000101 m1 >0403010200 <05000300 >0103010200 r2 m2 r3 "
		"m3 r4 m4 <06000101 m4 drained"},
	{"newest first: the mark stays on the first until the end", NULL, NULL,
		NEW_1 ">0103010200 r4 r3 m1 r2 m2 <06000101 m4 drained"},
	{"a first record that is not the lowest is no mark: all is read", NULL, NULL,
		">0401 <05000300 >0105 r42 <06000101 m- >0403012b00 <05000100 m- >0101 r41 r42 r43 "
		"m- <06000101 m43 drained"},
	{"the newest as the first one is no mark: all is read", NULL, NULL,
		">0401 <05000300 >0105 r43 <06000101 >0403012c00 <06000406 m- >0101 r43 r42 r41 m- "
		"<06000101 m43 drained"},
	{"numbers that wrapped have no lowest: all is read", NULL, NULL,
		">0401 <05000300 >0105 r65535 <06000101 >0403010000 <05000300 m- >0101 r65535 r0 r1 "
		"m- <06000101 m1 drained"},
	{"a record that was made between the counts spoils the proof: all is read", NULL, NULL,
		">0401 <05000300 >0105 r1 <06000101 r4 m- >0403010200 <05000300 m- >0101 r1 r2 r3 "
		"r4 m- <06000101 m4 drained"},
	{"two records as the first one: all is read", NULL, NULL,
		">0401 <05000300 >0105 r1 r2 <06000101 m- >0101 r1 r2 r3 <06000101 m3 drained"},
	{"a first record that cannot be read: all is read", NULL, NULL,
		">0401 <05000300 >0105 bad <06000101 m- >0101 bad r2 r3 m- <06000101 m3 drained"},
	{"no first record in spite of the count: all is read", NULL, NULL,
		">0401 <05000200 >0105 <06000106 >0101 r1 r2 <06000101 m2 drained"},
	{"all that is read instead is held against the count", NULL, NULL,
		">0401 <05000300 >0105 <06000104 >0101 r1 r2 <06000101 m- >0401 <05000300 >0101 r1 "
		"r2 <06000101 m- > listen"},
	{"operator \"first\" not supported: all is read", NULL, NULL,
		">0401 <05000200 >0105 <06000104 >0101 r1 r2 m- <06000101 m2 drained"},
	{"operator \"at least\" not supported: all is read", NULL, NULL,
		">0401 <05000200 >0105 r1 <06000101 >0403010200 <06000404 m- >0101 r1 r2 m- "
		"<06000101 m2 drained"},
	{"a first one counted without a number: all is read", NULL, NULL,
		">0401 <05000200 >0105 r1 <06000101 >0403010200 <06000401 m- >0101 r1 r2 <06000101 "
		"m2 drained"},
	{"\"at least\" is counted by nobody: all is read", NULL, NULL,
		">0401 <05000200 >0105 r1 <06000101 >0403010200 <06000402 m- >0101 r1 r2 <06000101 "
		"m2 drained"},
	{"the first record refused as a request: all is read", NULL, NULL,
		">0401 <05000200 >0105 x13 >0101 r1 r2 <06000101 m2 drained"},
	{"silence when asked for the first record: the second try reads all", NULL, NULL,
		">0401 <05000200 >0105 t30000 >0300 <06000301 t1000 >0401 <05000200 >0101 r1 r2 "
		"<06000101 m2 drained"},
	{"the first record is no mark before its proof is kept", NULL, NULL,
		">0401 <05000200 >0105 r1 <06000101 >0403010200 hold <05000100 > keep m1 "
		">0103010200"},
	{"from mark + 1, inclusive", "m6", NULL,
		SINCE_7 "r7 m7 r8 m8 r9 m9 <06000101 m9 drained listen"},
	{"deleted records are no hole when the count is right", "m6", NULL,
		SINCE_7 "r10 m6 r12 m6 r13 m6 <06000101 m13 drained"},
	{"newest first is marked at the end", "m6", NULL,
		SINCE_7 "r9 m6 r8 m6 r7 <06000101 m9 drained"},
	{"an empty memory is success", NULL, NULL, ">0401 <06000406 m- drained listen"},
	{"a count of 0 is success", NULL, NULL, ">0401 <05000000 m- drained listen"},
	{"no records found at the report is success", NULL, NULL,
		">0401 <06000402 >0101 <06000106 > drained"},
	{"nothing new: the last record is the marked one", "m6.5", NULL,
		">0403010700 <06000406 >0106 r6.5 <06000101 m6.5 drained > listen"},
	{"nothing new and a last record of another time: a reset, all is read", "m6.5", NULL,
		">0403010700 <06000406 >0106 r6.9 <06000101 m- >0401 <05000200 >0105 r5.9 "
		"<06000101 >0403010600 <05000100 m5.9 >0103010600 r6.9 m6.9 <06000101 drained"},
	{"nothing new and a lower last record: a reset, all is read", "m6", NULL,
		">0403010700 <05000000 >0106 r2 m6 <06000101 m- >0401 <05000300 >0105 r0 m0 "
		"<06000101 >0403010100 <05000200 >0103010100 r1 r2 m2 <06000101 m2 drained"},
	{"a reset and a first record that proves nothing: the mark stays taken back", "m6", NULL,
		">0403010700 <05000000 >0106 r2 <06000101 m- >0401 <05000300 >0105 r2 <06000101 "
		">0403010300 <06000406 >0101 r2 r1 m- <06000108 m- t1000 >0401"},
	{"nothing new and nothing last: the memory was emptied", "m6", NULL,
		">0403010700 <06000406 >0106 <06000106 m6 drained > listen"},
	{"a meter that does not know its last record is read whole", "m6", NULL,
		">0403010700 <06000406 >0106 <06000104 m- >0401 <05000100 >0101 r6 <06000101 m6 "
		"drained"},
	{"numbers that wrapped: all is read, and the newest is the low one", "m65533", NULL,
		">040301feff <06000406 >0106 r1 <06000101 >0401 <05000400 >0105 r65534 <06000101 "
		">040301ffff <05000100 m- >0101 r65534 r65535 r0 r1 <06000101 m1 drained"},
	{"a mark of FFFF asks for all: 0 follows it", "m65535", NULL,
		">0401 <05000200 >0101 r65535 r0 <06000101 m0 drained"},
	{"a hole: the mark stays before it, asked once more from there", "m6", NULL,
		SINCE_7
		"r7 r9 m7 <06000101 m7 >0403010800 <05000200 >0103010800 r8 m8 r9 <06000101 "
		"m9 drained"},
	{"a hole that stays: the mark stays before it, and not drained", "m6", NULL,
		SINCE_7
		"r7 r9 <06000101 >0403010800 <05000200 >0103010800 r9 <06000101 m7 > listen"},
	{"nor does a last record that contradicts the count move the mark", "m6", NULL,
		">0403010700 <06000406 >0106 r7 m6 <06000101 m- >0401"},
	{"a record from before the mark fills no hole", "m6", NULL,
		SINCE_7 "r3 r8 r9 <06000101 m6 >0403010700"},
	{"a record told twice fills no hole", "m6", NULL,
		SINCE_7 "r7 r9 r9 <06000101 m7 >0403010800"},
	{"nor in numbers that go all the way round", "m6", NULL,
		">0403010700 <05000400 >0103010700 r9 r30000 r60000 r9 <06000101 m6 >0403010700"},
	{"nor does one that was marked already", "m6", NULL,
		SINCE_7 "r7 r9 r7 <06000101 m7 >0403010800"},
	{"a hole in a first read of all: nothing is marked, all once more", NULL, NULL,
		">0401 <05000300 >0105 <06000104 >0101 r41 r43 <06000101 m- >0401 <05000300 >0101 "
		"r41 r42 r43 <06000101 m43 drained"},
	{"number 0 that was missed is not passed by 1", NULL, NULL,
		">0401 <05000200 >0105 r1 m- <06000101 >0403010200 <06000406 m- >0101 r1 m- "
		"<06000101 m- >0401"},
	{"behind a hole that was filled, what came before carries the mark", "m6", NULL,
		SINCE_7
		"r7 r9 <06000108 m7 t1000 >0403010800 <05000300 >0103010800 r8 m8 r9 m9 r10 "
		"m10"},
	{"a record that cannot be read is counted, and does not block", "m6", NULL,
		SINCE_7 "r7 bad r9 m7 <06000101 m9 drained"},
	{"no count: reported all the same", "m6", NULL,
		">0403010700 <06000402 >0103010700 r7 r8 <06000101 m8 drained"},
	{"no operator: all is counted and read", "m6", NULL,
		">0403010700 <06000404 >0401 <05000200 >0101 r6 m6 r7 m7 <06000101 m7 drained"},
	{"no operator in reports only: all is counted and read", "m6", NULL,
		SINCE_7 "<06000104 >0401 <05000100 >0101 r7 <06000101 m7 drained"},
	{"neither operator nor count: a bare all", "m6", NULL,
		">0403010700 <06000403 >0401 <06000405 >0101 r6 r7 <06000101 m7 drained"},
	{"operand not supported", "m6", NULL, ">0403010700 <06000409 >0401"},
	{"not even all: given up, not drained", NULL, NULL,
		">0401 <06000402 >0101 <06000102 m- > listen"},
	{"not completed: a pause, once more", "m6", NULL,
		SINCE_7 "r7 <06000108 > t1000 >0403010800 <05000200 >0103010800 r8 r9 <06000101 m9 "
			"drained"},
	{"not completed twice: given up, the mark is where it got", "m6", NULL,
		SINCE_7
		"r7 <06000108 t1000 >0403010800 <05000200 >0103010800 r8 <06000108 m8 > listen"},
	{"an unknown code is a failure", "m6", NULL, ">0403010700 <0600040a > t1000 >0403010700"},
	{"silence: abort, grace, pause, once more, then given up", "m6", NULL,
		">0403010700 t60000 >0300 t2000 > t1000 >0403010700 t30000 >0300 t2000 m6 > listen"},
	{"silence in a report: 30 s after the last record", "m6", NULL,
		SINCE_7 "r7 +29000 r8 t30000 >0300 <06000301 > t1000 >0403010900 <05000100 "
			">0103010900 r9 <06000101 m9 drained"},
	{"what an abort overtakes still counts", "m6", NULL,
		SINCE_7 "r7 t30000 >0300 r8 m8 <06000101 > <06000301 t1000 >0403010900"},
	{"procedure already in progress: abort, pause, once more", NULL, NULL,
		">0401 x80 >0300 <06000301 > t1000 >0401 <05000000 drained"},
	{"procedure already in progress, as FE, twice", NULL, NULL,
		">0401 xfe >0300 t2000 t1000 >0401 xfe >0300 <06000301 > listen"},
	{"an abort that is refused is over at once", NULL, NULL,
		">0401 x80 >0300 x80 > t1000 >0401"},
	{"a request refused for good", NULL, NULL, ">0401 x05 > listen"},
	{"no request before the answer before it is kept", "m6", NULL,
		"hold >0403010700 <05000100 > keep >0103010700 hold r7 <06000101 > keep drained m7"},
	{"what was kept before it says nothing of the answer", "m6", NULL,
		"hold >0403010700 <05000100 > keep >0103010700 hold r7 <06000108 > keep1 > t30000 > listen"},
	{"never kept: given up", NULL, NULL, ">0401 hold <05000100 > t30000 > listen"},
	{"refused by the disk: the session ends", "m6", NULL, SINCE_7 "hold r7 refuse done"},
	{"an endless report: aborted at the ceiling, for good", NULL, NULL,
		">0401 <05000100 >0101 r0 +25000 r1 +25000 r2 +9000 r3 +2000 r4 >0300 t2000 m4 > "
		"listen"},
	{"the timer is no longer than what the ceiling leaves", NULL, NULL,
		">0401 <05001400 >0105 r0 <06000101 >0403010100 <05001300 >0103010100 r1 +29000 r2 "
		"+29000 r3 t3000 >0300 <06000301 > t1000 >0403010400"},
	{"a live record after the memory was told moves the mark", "m6", NULL,
		SINCE_7 "r7 r8 r9 <06000101 drained r10 m10 r12 m10 listen t120000 done"},
	{"a live record of an empty memory begins the marks", NULL, NULL,
		">0401 <06000406 drained r0 m0 r1 m1"},
	{"an answer that nobody asked for changes nothing", "m6", NULL,
		">0403010700 <06000101 > <05 > <0500030201 > <06010101 > <0101 > <05000300 >0103010700 "
		"<05000300 > r7 r8 r9 <06000101 m9 drained <06000101 >"},
	{"counts of one and of four bytes", NULL, NULL,
		">0401 <050001 >0101 r0 <06000101 m0 drained"},
	{"a count of four bytes", "m6", NULL,
		">0403010700 <050002000000 >0103010700 r7 r8 <06000101 m8 drained"},
	{"reverse: all is read, nothing is marked", NULL, "reverse",
		">0401 <05000300 >0101 r1 r2 r3 <06000101 m- drained > listen"},
	{"reverse: a mark means nothing", "m6", "reverse", ">0401 <06000406 drained"},
};

/* what a record is known by */

static struct uuid id_of(const char *order, const uint8_t *pdu, size_t len)
{
	struct rig r = rig_new(&bt_glucose);
	r.option_name = "order";
	r.option_value = order;
	assert_non_null(rig_open(&r));
	session_value(r.session, channel_of("2a18"), pdu, len, false, &r.now);
	assert_int_equal(r.n_units, 1);
	assert_non_null(r.units[0]->readings);
	struct uuid id = r.units[0]->readings->id;
	rig_close(&r);
	return id;
}

/* What the daemon compares when record `number` is told again, with its context. */
static struct uuid content_of(const char *order, uint8_t number)
{
	const uint8_t pdu[] = {0x12, number, 0, 0xea, 0x07, 11, 20, 8, 0, 0, 0x5a, 0xb0, 0x12};
	const uint8_t context[] = {0x02, number, 0, 1};
	struct rig r = rig_new(&bt_glucose);
	r.option_name = "order";
	r.option_value = order;
	assert_non_null(rig_open(&r));
	session_value(r.session, channel_of("2a18"), pdu, sizeof(pdu), false, &r.now);
	session_value(r.session, channel_of("2a34"), context, sizeof(context), false, &r.now);
	const struct unit *u = r.units[r.n_units - 1];
	assert_non_null(u->readings);
	assert_int_equal(u->readings->raw.len, sizeof(pdu) + sizeof(context));
	struct uuid content = u->readings->content;
	rig_close(&r);
	return content;
}

/* Is the record the same when byte `at` of it is another one? */
static bool same_when(const char *order, size_t at)
{
	uint8_t pdu[] = {0x03, 7, 0, 0xea, 0x07, 11, 20, 8, 0, 0, 5, 0, 0x5a, 0xb0, 0x12};
	struct uuid before = id_of(order, pdu, sizeof(pdu));
	pdu[at]++;
	struct uuid after = id_of(order, pdu, sizeof(pdu));
	return memcmp(&before, &after, sizeof(before)) == 0;
}

static void identity_is_number_and_base_time(void **state)
{
	(void)state;
	assert_false(same_when("forward", 1)); /* number */
	assert_false(same_when("forward", 9)); /* second of the base time */
	assert_true(same_when("forward", 10)); /* offset: the clock was set meanwhile */
	assert_true(same_when("forward", 12)); /* concentration: told otherwise, a conflict */
}

static void identity_in_reverse_is_without_the_number(void **state)
{
	(void)state;
	assert_true(same_when("reverse", 1));
	assert_false(same_when("reverse", 9));
	assert_true(same_when("reverse", 10));
	assert_false(same_when("reverse", 12));
	assert_false(same_when("reverse", 14)); /* type */
}

static void content_in_reverse_is_without_the_number(void **state)
{
	(void)state;
	struct uuid one = content_of("reverse", 1), two = content_of("reverse", 2);
	assert_memory_equal(&one, &two, sizeof(one));
	one = content_of("forward", 1);
	two = content_of("forward", 2);
	assert_memory_not_equal(&one, &two, sizeof(one));
}

static void without_a_date_nothing_is_merged(void **state)
{
	(void)state;
	const uint8_t pdu[] = {0x02, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0x5a, 0xb0, 0x12};
	struct uuid a = id_of("forward", pdu, sizeof(pdu)), b = id_of("forward", pdu, sizeof(pdu));
	assert_memory_not_equal(&a, &b, sizeof(a));
}

static int tables_load(void **state)
{
	(void)state;
	char error[256];
	rig_codes = codes_load("config", error, sizeof(error));
	return rig_codes ? 0 : -1;
}

static int tables_free(void **state)
{
	(void)state;
	codes_free(rig_codes);
	return 0;
}

int main(void)
{
	struct CMUnitTest tests[ELEMENTS(scripts) + 4] = {
		cmocka_unit_test(identity_is_number_and_base_time),
		cmocka_unit_test(identity_in_reverse_is_without_the_number),
		cmocka_unit_test(content_in_reverse_is_without_the_number),
		cmocka_unit_test(without_a_date_nothing_is_merged),
	};
	for (size_t i = 0; i < ELEMENTS(scripts); i++)
		tests[i + 4] = (struct CMUnitTest){
			.name = scripts[i].name, .test_func = play, .initial_state = &scripts[i]};
	return cmocka_run_group_tests(tests, tables_load, tables_free);
}
