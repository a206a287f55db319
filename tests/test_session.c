/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's side of the contract, tried with two drivers that do what their bytes tell them: units and
 * tickets, confirmations, frames and noise. Memory that runs out: test_session_memory.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "card.h"
#include "session_drivers.h"

/* units and tickets */

static unsigned readings_of(const struct unit *u)
{
	unsigned n = 0;
	for (const struct reading *r = u->readings; r; r = r->next)
		n++;
	return n;
}

static void test_unit(void **state)
{
	(void)state;
	open_gatt("");
	assert_int_equal(told()->opened, 1);
	assert_int_equal(rig.n_units, 0); /* nothing said, nothing to store */
	hear("rprekl", false);
	assert_int_equal(rig.n_units, 1); /* one callback, one unit, one ticket */
	const struct unit *u = rig.units[0];
	assert_int_equal(readings_of(u), 3);
	assert_string_equal(u->events->type, "battery");
	assert_int_equal(u->events->value, 70);
	assert_null(u->events->next);
	assert_non_null(u->marks->next);
	assert_int_equal(u->counts[VG_READING], 3);
	assert_false(told()->odd_ticket);
	assert_int_equal(told()->last, u->ticket);
	assert_true(u->ticket > 0);
	assert_int_equal(u->session, 42);
	assert_string_equal(u->uid, "sn:1");
	assert_string_equal(u->driver, "gatt");
	assert_int_equal(u->driver_version, 7);
	assert_int_equal(u->arrived_us, rig.now.utc_us);
	assert_int_equal(u->boot_us, rig.now.boot_us);
	/* raw: the whole PDU, or the part that the driver names */
	assert_int_equal(u->readings->raw.len, 6);
	assert_memory_equal(u->readings->raw.at, "rprekl", 6);
	assert_int_equal(u->readings->next->raw.len, 4);
	assert_memory_equal(u->readings->next->raw.at, "part", 4);
	struct reading other = {.raw = u->readings->raw};
	reading_identify(&other, "sn:1", "gatt", (const uint8_t *)"id", 2);
	assert_memory_equal(&other.id, &u->readings->id, sizeof(other.id));
	hear("e", false);
	assert_int_equal(rig.n_units, 2);
}

static void test_every_callback(void **state)
{
	(void)state;
	open_gatt("e");
	assert_int_equal(rig.n_units, 1); /* opened() may emit */
	session_expired(rig.session, &rig.now);
	assert_int_equal(told()->expired, 1);
	assert_int_equal(rig.n_units, 2);
	told()->emit_when_kept = 'k'; /* and kept() */
	rig_verdict(&rig, 1, 0);
	assert_int_equal(rig.n_units, 3);
	assert_non_null(rig.units[2]->marks);
	assert_int_equal(told()->n_kept, 1);
	assert_int_equal(told()->kept[0], rig.units[1]->ticket);
	hear("!t", false);
	assert_memory_equal(rig.sent, "reply", 5);
	assert_int_equal(rig.sent_channel, 3);
	assert_int_equal(rig.timer_ms, 500);
}

static void test_counts(void **state)
{
	(void)state;
	open_gatt("");
	hear("n", false);
	hear("m", false);
	session_value(
		rig.session, -1, (const uint8_t *)"r", 1, false, &rig.now); /* nobody's handle */
	assert_int_equal(rig.n_units, 0);
	hear("rs", false); /* they travel with the next unit */
	assert_int_equal(rig.n_units, 1);
	static const uint32_t first[VG_RESULTS] = {1, 1, 1, 1, 1, 0};
	assert_memory_equal(rig.units[0]->counts, first, sizeof(first));
	session_flush(rig.session, &rig.now);
	assert_int_equal(rig.n_units, 1); /* none twice */
	hear("n", false);
	session_flush(rig.session, &rig.now);
	assert_int_equal(rig.n_units, 2);
	static const uint32_t second[VG_RESULTS] = {0, 1, 0, 0, 0, 0};
	assert_memory_equal(rig.units[1]->counts, second, sizeof(second));
	assert_null(rig.units[1]->readings);
	assert_int_equal(rig.units[1]->ticket, 0); /* no callback made it, none is told of it */
	rig_verdict(&rig, 1, 0);
	assert_int_equal(told()->n_kept, 0);
	hear("m", false);
	session_end(rig.session, &rig.now); /* and what is left goes when the session ends */
	assert_int_equal(rig.n_units, 3);
	assert_int_equal(rig.units[2]->counts[VG_MALFORMED], 1);
	session_free(TAKE(rig.session));
	assert_int_equal(rig.n_units, 3);
	rig_close(&rig);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const names[] = {
		"reading", "nothing", "malformed", "out_of_sequence", "unsupported", "implausible"};
	assert_int_equal(ELEMENTS(names), VG_RESULTS);
	for (enum vg_result r = 0; r < VG_RESULTS; r++)
		assert_string_equal(session_result_name(r), names[r]);
	assert_null(drivers_find(NULL, "no such driver"));
}

/* What cannot be kept as a reading is kept as what it is. */
static void test_not_a_reading(void **state)
{
	(void)state;
	open_gatt("");
	hear("uxj", false);
	const struct unit *u = rig.units[0];
	assert_int_equal(rig.n_units, 1);
	assert_null(u->readings);
	const struct happening *e = u->events;
	assert_string_equal(e->type, "unsupported");
	assert_non_null(strstr(e->detail, "no.such"));
	assert_memory_equal(e->raw.at, "uxj", 3);
	e = e->next;
	assert_string_equal(e->type, "implausible");
	assert_string_equal(e->detail, "bp.sbp out of range");
	e = e->next;
	assert_string_equal(e->type, "malformed");
	assert_string_equal(e->detail, "bad record");
	assert_memory_equal(e->raw.at, "raw!", 4);
	assert_null(e->next);
	static const uint32_t counts[VG_RESULTS] = {0, 0, 1, 0, 1, 1};
	assert_memory_equal(u->counts, counts, sizeof(counts));
	assert_false(told()->odd_ticket);
	rig_verdict(&rig, 0, 0); /* its ticket is kept all the same */
	assert_int_equal(told()->kept[0], u->ticket);
}

static void test_marks(void **state)
{
	(void)state;
	open_gatt("");
	hear("klK", false); /* said twice: the later one holds */
	unsigned high = 0, other = 0;
	for (const struct mark *m = rig.units[0]->marks; m; m = m->next) {
		high += streq(m->key, "high");
		other += streq(m->key, "other");
		if (streq(m->key, "high"))
			assert_true(m->len == 1 && m->value[0] == 2);
	}
	assert_int_equal(high, 1);
	assert_int_equal(other, 1);
	rig.mark_key = "high";
	rig.mark_len = 1;
	size_t len = 0;
	assert_ptr_equal(vg_marked(rig.session, "high", &len), rig.mark);
	assert_int_equal(len, 1);
	assert_null(vg_marked(rig.session, "low", &len));
}

/* A number of an identity card is in no unit, in no form. */
static void test_identity(void **state)
{
	(void)state;
	open_gatt("");
	rig_value(&rig, "i", 1, true);
	const struct happening *e = rig.units[0]->events;
	assert_string_equal(e->type, "identity_presented");
	/* nothing of the number goes further than this, without a key as well */
	uint8_t key[32] = {0}, hash[CARD_HASH];
	assert_true(e->has_card && card_hash(key, "110101199001011234", 18, hash));
	assert_memory_equal(e->card, hash, sizeof(hash));
	assert_string_equal(e->token, "");
	assert_string_equal(e->detail, "id_card");
	assert_int_equal(e->raw.len, 0);
	assert_null(e->next);
	assert_null(rig.units[0]->readings);
}

static void test_clock(void **state)
{
	(void)state;
	open_gatt("");
	hear("e", false);
	assert_false(rig.units[0]->offset_known);
	hear("c", false); /* shows 16:01:00 at 16:00:00 */
	assert_true(rig.units[1]->offset_known);
	assert_int_equal(rig.units[1]->offset_us, 60 * CLOCK_SECOND_US);
	hear("y", false); /* without a year: says nothing new */
	assert_int_equal(rig.units[2]->offset_us, 60 * CLOCK_SECOND_US);
	hear("r", false); /* holds for the session */
	assert_true(rig.units[3]->offset_known);
	hear("o", false); /* a message that waited is no proof of a slow clock */
	assert_false(rig.units[4]->offset_known);
	rig_close(&rig);
	open_gatt("");
	int64_t now_us = rig.now.utc_us;
	rig.now.utc_us = 100 * CLOCK_SECOND_US; /* 1970: nothing is early by it */
	hear("o", false);
	assert_false(rig.units[0]->offset_known);
	hear("c", false);
	assert_true(rig.units[1]->offset_known);
	assert_int_equal(rig.units[1]->offset_us, now_us - 40 * CLOCK_SECOND_US);
	rig.now.utc_us = now_us; /* it was set in the middle of the session */
	hear("r", false);
	assert_int_equal(rig.units[2]->offset_us, 60 * CLOCK_SECOND_US);
	rig.now.utc_us -= 3600 * CLOCK_SECOND_US;
	hear("r", false);
	assert_int_equal(rig.units[3]->offset_us, 3660 * CLOCK_SECOND_US);
}

static void open_with_clock(const char *policy)
{
	rig = rig_new(&gatt);
	rig.option_name = "clock";
	rig.option_value = policy;
	assert_non_null(rig_open(&rig));
}

/* Only who was asked to, only when it is off, only by a clock that is good; and it is written down. */
static void test_clock_set(void **state)
{
	(void)state;
	open_with_clock("keep");
	hear("aA", false);
	assert_int_equal(told()->clock_set, 0);
	rig_close(&rig);

	open_with_clock("set");
	hear("A", false); /* not read: nobody knows whether it is off */
	assert_int_equal(told()->clock_set, 0);
	hear("cA", false); /* a minute ahead */
	assert_int_equal(told()->clock_set, 1);
	assert_memory_equal(&told()->clock, &rig.now.civil, sizeof(rig.now.civil));
	const struct happening *e = rig.units[0]->events->next;
	assert_string_equal(e->type, "clock_set");
	assert_string_equal(e->detail, "before: off by 60 s");
	assert_int_equal(rig.units[0]->clock_set_us, rig.now.utc_us);
	rig.now.utc_us += 40 * CLOCK_SECOND_US; /* the same clock is 20 s ahead of this */
	hear("cA", false);
	assert_int_equal(told()->clock_set, 1);
	rig.now.utc_us -= 40 * CLOCK_SECOND_US;
	hear("c", false);
	hear("r", false); /* what it held was dated by the clock before */
	assert_int_equal(rig.units[3]->offset_us, 60 * CLOCK_SECOND_US);
	assert_int_equal(rig.units[3]->clock_set_us, rig.now.utc_us);
	rig_close(&rig);

	open_with_clock("set");
	hear("a", false); /* it cannot be read, and must be set whatever it shows */
	assert_int_equal(told()->clock_set, 1);
	assert_string_equal(rig.units[0]->events->detail, "before: unknown");
	rig_close(&rig);

	open_with_clock("set");
	rig.now.utc_us = 100 * CLOCK_SECOND_US; /* 1970 is nothing to set a clock to */
	hear("a", false);
	assert_int_equal(told()->clock_set, 0);
}

static void test_denied(void **state)
{
	(void)state;
	open_gatt("");
	session_denied(rig.session, 3, 0xfe, &rig.now);
	assert_int_equal(told()->denied_channel, 3);
	assert_int_equal(told()->denied, 0xfe);
	assert_string_equal(rig.units[0]->events->type, "failed_measurement");
	hear("d", false);
	session_denied(rig.session, 1, 1, &rig.now); /* it is over */
	assert_int_equal(told()->denied_channel, 3);
}

/* A link that the instrument ended means that it is through, if it told something and all of it is safe. */
static void test_hung_up(void **state)
{
	(void)state;
	open_gatt("");
	session_hung_up(rig.session, &rig.now);
	hear("r", false);
	session_hung_up(rig.session, &rig.now);
	hear("r", true);
	session_hung_up(rig.session, &rig.now); /* not confirmed yet */
	assert_int_equal(told()->hung_up, 0);
	rig_verdict(&rig, 0, 0);
	rig_verdict(&rig, 1, 0);
	session_hung_up(rig.session, &rig.now);
	assert_int_equal(told()->hung_up, 1);
	assert_string_equal(rig.units[2]->events->type, "drained");
	hear("d", false);
	session_hung_up(rig.session, &rig.now); /* we ended it */
	assert_int_equal(told()->hung_up, 1);
}

static void test_drained(void **state)
{
	(void)state;
	open_gatt("");
	hear("Z", false);
	assert_string_equal(rig.units[0]->events->type, "drained");
}

/* What nobody can vouch for says so, whatever the driver says beside. */
static void test_unauthenticated(void **state)
{
	(void)state;
	rig = rig_new(&open_air);
	assert_non_null(rig_open(&rig));
	hear("r", false);
	const struct reading *r = rig.units[0]->readings;
	assert_int_equal(r->n_flags, 1);
	assert_string_equal(r->flags[0], "unauthenticated");
	rig_close(&rig);
	open_gatt("");
	hear("r", false);
	assert_int_equal(rig.units[0]->readings->n_flags, 0);
}

/* Every unit has the next number, those that only carry counters too: a gap is seen. */
static void test_serials(void **state)
{
	(void)state;
	open_gatt("");
	hear("r", false);
	hear("m", false);
	session_flush(rig.session, &rig.now);
	hear("k", false);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(rig.units[i]->serial, i + 1);
	assert_int_equal(rig.units[1]->ticket, 0);
}

static void test_options(void **state)
{
	(void)state;
	rig = rig_new(&gatt);
	assert_non_null(rig_open(&rig));
	assert_string_equal(vg_option(rig.session, "start"), ""); /* the default */
	assert_null(vg_option(rig.session, "unknown"));
	rig.option_name = "start";
	rig.option_value = "n";
	assert_string_equal(vg_option(rig.session, "start"), "n");
}

static void test_study(void **state)
{
	(void)state;
	uint8_t kilobyte[1024] = {7};
	open_gatt("");
	struct vg_session *s = rig.session;
	assert_int_equal(vg_study_end(s, SIZE_MAX), 0); /* none begun */
	assert_int_equal(vg_study_append(s, kilobyte, 1), -EFBIG);
	vg_study_begin(s);
	assert_int_equal(vg_study_append(s, kilobyte, 1024), 0);
	assert_int_equal(vg_study_append(s, kilobyte, 1024), 0);
	vg_ticket ticket = vg_study_end(s, 2000); /* the rest was padding */
	assert_true(ticket > 0);
	assert_int_equal(vg_study_end(s, SIZE_MAX), 0);
	session_expired(s, &rig.now); /* the unit of this callback */
	assert_int_equal(rig.units[0]->ticket, ticket);
	assert_int_equal(rig.units[0]->study.len, 2000);
	assert_memory_equal(rig.units[0]->study.at, kilobyte, 1024);
	vg_study_begin(s);
	size_t total = 0;
	while (vg_study_append(s, kilobyte, 1024) == 0)
		total += 1024;
	assert_int_equal(total, VG_STUDY_MAX);
	vg_study_begin(s); /* begun again: the former is dropped */
	assert_int_equal(vg_study_append(s, kilobyte, 10), 0);
}

static void test_sample(void **state)
{
	(void)state;
	open_gatt("");
	hear("www", false);
	assert_int_equal(rig.n_units, 0);
	session_flush(rig.session, &rig.now); /* by themselves they are no readings */
	assert_int_equal(rig.units[0]->counts[VG_NOTHING], 1);
}

/* indications */

/* Confirmed only when kept, and in the order in which they came. */
static void test_confirm(void **state)
{
	(void)state;
	open_gatt("");
	for (int i = 0; i < 3; i++)
		hear("r", true);
	assert_string_equal(rig.units[0]->ack_mode, "held");
	assert_int_equal(rig.confirms, 0);
	rig_verdict(&rig, 1, 0);
	assert_int_equal(rig.confirms, 0); /* the first one is not safe yet */
	rig_verdict(&rig, 0, 0);
	assert_int_equal(rig.confirms, 2);
	rig_verdict(&rig, 0, 0); /* told twice: nothing more */
	assert_int_equal(rig.confirms, 2);
	rig_verdict(&rig, 2, 0);
	assert_int_equal(rig.confirms, 3);
	hear("r", false); /* a notification is owed nothing */
	rig_verdict(&rig, 3, 0);
	assert_int_equal(rig.confirms, 3);
	assert_int_equal(rig.dones, 0);
}

static void test_refused(void **state)
{
	(void)state;
	open_gatt("");
	hear("r", false);
	rig_verdict(&rig, 0, -ENOSPC);
	assert_int_equal(told()->n_refused, 1);
	assert_int_equal(told()->refused[0], rig.units[0]->ticket);
	assert_int_equal(told()->why, -ENOSPC);
	assert_null(rig.done); /* a notification cannot be asked for again */
	hear("r", true);
	hear("r", true);
	rig_verdict(&rig, 1, -ENOSPC);
	assert_string_equal(rig.done, "could not store"); /* the instrument will tell it again */
	rig_verdict(&rig, 2, 0);
	assert_int_equal(rig.confirms, 0);
	hear("r", true);
	assert_int_equal(rig.n_units, 3); /* it is over */
}

static void test_too_many_indications(void **state)
{
	(void)state;
	open_gatt("");
	for (int i = 0; i < SESSION_OWED_MAX; i++)
		hear("r", true);
	assert_null(rig.done);
	hear("r", true);
	assert_string_equal(rig.done, "more indications than may be unconfirmed");
	assert_int_equal(rig.confirms, 0);
}

/* An indication that decodes to nothing is kept as it came, under its own class, and confirmed then. */
static void test_poison(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *class;
		int channel;
	} cases[] = {{"", "nothing", 0}, {"?", "nothing", 0}, {"n", "nothing", 0},
		{"m", "malformed", 0}, {"s", "out_of_sequence", 0}, {"abc", "unsupported", -1}};
	open_gatt("");
	for (unsigned i = 0; i < ELEMENTS(cases); i++) {
		size_t len = strlen(cases[i].bytes);
		hear("m", false); /* what was counted before is no class of this one */
		session_value(rig.session, cases[i].channel, (const uint8_t *)cases[i].bytes, len,
			true, &rig.now);
		assert_int_equal(rig.n_units, i + 1);
		const struct happening *e = rig.units[i]->events;
		print_message("# \"%s\" %s\n", cases[i].bytes, e->type);
		assert_string_equal(e->type, cases[i].class);
		assert_int_equal(e->raw.len, len);
		assert_memory_equal(e->raw.at, cases[i].bytes, len);
		assert_null(e->next);
		assert_int_equal(rig.confirms, i);
		rig_verdict(&rig, i, 0);
		assert_int_equal(rig.confirms, i + 1);
	}
}

/* streams */

/* Notes the units of `bytes` given in the pieces that the cuts make. */
static void run_stream(const char *bytes, size_t len, uint32_t cuts, char *trace, size_t size)
{
	size_t from = 0;
	open_stream();
	for (size_t i = 1; i <= len; i++)
		if (i == len || (i <= 32 && cuts >> (i - 1) & 1)) {
			/* from a block of its exact size, so that a byte too far is seen */
			uint8_t *piece = malloc(i - from);
			memcpy(piece, bytes + from, i - from);
			rig_stream(&rig, piece, i - from);
			free(piece);
			from = i;
		}
	session_flush(rig.session, &rig.now);
	rig_trace(&rig, trace, size);
	rig_close(&rig);
}

static void test_splits(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *trace;
	} cases[] = {
		{"<1r", "[1: 1 0 0 0 0 0 reading 128000 3c3172]"},
		{"<1r<1e", "[1: 1 0 0 0 0 0 reading 128000 3c3172][2: 0 0 0 0 0 0 battery()]"},
		/* noise counts once for each run, fillers never */
		{"zz<1e", "[1: 0 0 1 0 0 0 battery()]"},
		{"\n\n<1e\n<1e", "[1: 0 0 0 0 0 0 battery()][2: 0 0 0 0 0 0 battery()]"},
		{"z\nz\n<1e", "[1: 0 0 1 0 0 0 battery()]"},
		{"z<1ez<1ezz",
			"[1: 0 0 1 0 0 0 battery()][2: 0 0 1 0 0 0 battery()][0: 0 0 1 0 0 0]"},
		/* a frame that never fits: its head is given up, what follows is found */
		{"<Zabcabcabcabcabcabcabcabcabcabcabcabc<1e", "[1: 0 0 1 0 0 0 battery()]"},
		{"<0<2ee", "[1: 0 0 0 0 0 0 battery() battery()]"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		size_t len = strlen(cases[i].bytes);
		char trace[1024];
		for (uint32_t k = 0; k < (len <= 12 ? 1u << (len - 1) : 200); k++) {
			uint32_t cuts = len <= 12 ? k
					: k == 0  ? 0
					: k == 1  ? UINT32_MAX
						  : k * 2654435761u;
			run_stream(cases[i].bytes, len, cuts, trace, sizeof(trace));
			assert_string_equal(trace, cases[i].trace);
		}
	}
}

static void test_gap(void **state)
{
	(void)state;
	open_stream();
	session_gap(rig.session, &rig.now); /* nothing held */
	rig_stream(&rig, "", 0);
	assert_int_equal(rig.gap_ms, 0);
	rig_stream(&rig, "<9ab<1e", 7);
	assert_int_equal(rig.n_units, 0);
	assert_int_equal(rig.gap_ms, 250); /* tell us when nothing more comes */
	session_gap(rig.session, &rig.now);
	assert_int_equal(rig.n_units, 1); /* the frame behind the one that was cut off is heard */
	assert_int_equal(rig.units[0]->counts[VG_MALFORMED], 1);
	assert_string_equal(rig.units[0]->events->type, "battery");
	assert_int_equal(rig.gap_ms, 0);
	rig_stream(&rig, "<9", 2); /* and a rest that stays unfinished is not kept for ever */
	session_gap(rig.session, &rig.now);
	session_flush(rig.session, &rig.now);
	assert_int_equal(rig.units[1]->counts[VG_MALFORMED], 1);
	rig_stream(&rig, "<1e", 3);
	assert_int_equal(rig.n_units, 3);
	assert_string_equal(
		rig.units[2]->ack_mode, "held"); /* the driver acknowledges from kept() */
}

static void test_done(void **state)
{
	(void)state;
	open_stream();
	rig_stream(&rig, "<2ed<1e<1e", 10);
	assert_string_equal(rig.done, "told to");
	assert_int_equal(rig.n_units, 1); /* what was said before the end is stored */
	rig_stream(&rig, "<1e", 3);
	session_gap(rig.session, &rig.now);
	session_expired(rig.session, &rig.now);
	rig_verdict(&rig, 0, 0);
	assert_int_equal(rig.n_units, 1);
	assert_int_equal(told()->n_kept, 0);
	assert_int_equal(told()->expired, 0);
	size_t sent = rig.n_sent;
	vg_send(rig.session, 0, "x", 1);
	assert_int_equal(rig.n_sent, sent);
	vg_done(rig.session, "again");
	assert_int_equal(rig.dones, 1);
}

/* Random bytes in random pieces: ends, stays in its memory (sanitizers), counts something. */
static void test_random(void **state)
{
	(void)state;
	static const char likely[] = "<<<0123nnmm!zz\n";
	uint64_t seed = 20261121;
	open_stream();
	for (int i = 0; i < 20000; i++) {
		char bytes[80];
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		size_t len = (seed >> 33) % sizeof(bytes);
		for (size_t k = 0; k < len; k++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			unsigned r = (unsigned)(seed >> 33);
			bytes[k] = r % 20 ? likely[r / 20 % (sizeof(likely) - 1)] : (char)(r / 20);
			if (strchr("rpuxefcoyijkKlZd", bytes[k])) /* no units here: only cutting */
				bytes[k] = '?';
		}
		rig_stream(&rig, bytes, len);
		rig.n_sent = 0;
		if (seed >> 62 == 0)
			session_gap(rig.session, &rig.now);
	}
	session_flush(rig.session, &rig.now);
	assert_true(rig.units[0]->counts[VG_MALFORMED] > 1000);
	assert_true(rig.units[0]->counts[VG_NOTHING] > 1000);
}

#define CASE(test) cmocka_unit_test_teardown(test, close_rig)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_unit),
		CASE(test_every_callback),
		CASE(test_counts),
		CASE(test_names),
		CASE(test_not_a_reading),
		CASE(test_marks),
		CASE(test_identity),
		CASE(test_clock),
		CASE(test_clock_set),
		CASE(test_denied),
		CASE(test_hung_up),
		CASE(test_drained),
		CASE(test_unauthenticated),
		CASE(test_serials),
		CASE(test_options),
		CASE(test_study),
		CASE(test_sample),
		CASE(test_confirm),
		CASE(test_refused),
		CASE(test_too_many_indications),
		CASE(test_poison),
		CASE(test_splits),
		CASE(test_gap),
		CASE(test_done),
		CASE(test_random),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("session", tests, load, unload);
}
