/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of one alert: each transition of tests/sim/ALERTS.md, section 4, and their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "episode.h"
#include "util.h"

#define SECOND CLOCK_SECOND_US
#define T0 INT64_C(1795000000000000)

#define NONE SEVERITY_NONE
#define NOTICE SEVERITY_NOTICE
#define WARNING SEVERITY_WARNING
#define CRITICAL SEVERITY_CRITICAL

static const struct episode_limits limits = {
	.least = SEVERITY_WARNING, .resolves_us = 1800 * SECOND};

static const char *const verdicts[] = {
	"nothing", "joins", "changes", "raises", "replaces", "reopens"};

/* "changes escalate: active 3 of 3 [unconfirmed] pages joins" */
static void say(char *out, size_t size, const struct episode_change *c, const struct episode *e)
{
	int n = snprintf(out, size, "%s", verdicts[c->verdict]);
	if (c->verdict == EPISODE_NOTHING)
		return;
	if (c->verdict != EPISODE_JOINS)
		n += snprintf(out + n, size - (size_t)n, " %s: %s %d of %d%s [",
			alert_phases[c->phase], alert_states[e->state], e->level, e->severity,
			e->acknowledged ? " acknowledged" : "");
	for (unsigned i = 0, k = 0; c->verdict != EPISODE_JOINS && i < ALERT_LABELS; i++)
		if (e->labels & 1U << i)
			n += snprintf(
				out + n, size - (size_t)n, "%s%s", k++ ? " " : "", alert_labels[i]);
	snprintf(out + n, size - (size_t)n, "%s%s%s%s", c->verdict == EPISODE_JOINS ? "" : "]",
		c->pages ? " pages" : "", c->joins ? " joins" : "", c->ends ? " ends" : "");
}

/* States that an alert can be in. */
#define OPEN(l, s, ...)                                                                    \
	{                                                                                  \
		.state = ALERT_ACTIVE, .level = l, .severity = s,                          \
		.critical_at_us = (s) == CRITICAL ? T0 : 0, .shown_at_us = T0, __VA_ARGS__ \
	}
#define LATCHED(...)                                                                               \
	{                                                                                          \
		.state = ALERT_LATCHED, .level = NONE, .severity = CRITICAL, .critical_at_us = T0, \
		.shown_at_us = T0, __VA_ARGS__                                                     \
	}
#define ACKED .acknowledged = true
#define SILENT_AT(s) .at_us = T0 + (s)*SECOND /* it does not speak for the resident */
#define AT(s) SILENT_AT(s), .speaks = true

/* Expected results, written before the code. */
static const struct {
	const char *what;
	struct episode open;
	struct episode_reading reading;
	const char *expected;
} takes[] = {
	/* joining and rising */
	{"a warning again", OPEN(WARNING, WARNING), {WARNING, WARNING, AT(60)}, "joins joins"},
	{"a warning after it was lowered to a level between", OPEN(NOTICE, WARNING),
		{WARNING, WARNING, AT(60)}, "changes continue: active 2 of 2 [] joins"},
	{"its level rises: it is lowered no more",
		OPEN(WARNING, CRITICAL, ACKED, .labels = LABEL_DOWNGRADED | LABEL_UNCONFIRMED),
		{WARNING, WARNING, AT(60)}, "joins joins"},
	{"critical after a warning", OPEN(WARNING, WARNING), {CRITICAL, CRITICAL, AT(60)},
		"changes escalate: active 3 of 3 [unconfirmed] pages joins"},
	{"critical after a warning that was acknowledged",
		OPEN(WARNING, WARNING, ACKED, .labels = LABEL_NOBODY_ANSWERED),
		{CRITICAL, CRITICAL, AT(60)},
		"changes escalate: active 3 of 3 [unconfirmed] pages joins"},
	{"critical by the slot of a shared cuff is critical", OPEN(WARNING, WARNING),
		{CRITICAL, CRITICAL, SILENT_AT(1)},
		"changes escalate: active 3 of 3 [unconfirmed] pages joins"},
	{"critical again at once", OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED),
		{CRITICAL, CRITICAL, AT(59)},
		"changes continue: active 3 of 3 [unconfirmed] joins"},
	{"critical again a minute later is confirmed",
		OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED), {CRITICAL, CRITICAL, AT(60)},
		"changes continue: active 3 of 3 [confirmed] joins"},
	{"but a doubtful one confirms nothing",
		OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED),
		{CRITICAL, CRITICAL, AT(90), .doubtful = true},
		"changes continue: active 3 of 3 [unconfirmed] joins"},
	{"its critical readings are gone: the next is the first",
		{.state = ALERT_LATCHED,
			.severity = CRITICAL,
			.labels = LABEL_UNCONFIRMED | LABEL_CORRECTED},
		{CRITICAL, CRITICAL, AT(90)},
		"changes continue: active 3 of 3 [unconfirmed] joins"},
	{"critical after it was lowered",
		OPEN(WARNING, CRITICAL, .labels = LABEL_UNCONFIRMED | LABEL_DOWNGRADED),
		{CRITICAL, CRITICAL, AT(90)}, "changes continue: active 3 of 3 [confirmed] joins"},
	{"critical after it was over",
		LATCHED(.labels = LABEL_CONFIRMED | LABEL_RESOLVED_BY_REPEAT),
		{CRITICAL, CRITICAL, AT(900)}, "changes continue: active 3 of 3 [confirmed] joins"},
	{"critical after somebody acknowledged is new",
		OPEN(CRITICAL, CRITICAL, ACKED, .labels = LABEL_CONFIRMED),
		{CRITICAL, CRITICAL, AT(60)},
		"replaces start: active 3 of 3 [unconfirmed] pages joins"},
	{"however low it is by now", OPEN(WARNING, CRITICAL, ACKED), {CRITICAL, CRITICAL, AT(60)},
		"replaces start: active 3 of 3 [unconfirmed] pages joins"},
	/* overtaken */
	{"a warning that was overtaken", OPEN(WARNING, WARNING),
		{WARNING, WARNING, AT(-60), .overtaken = true}, "nothing"},
	{"a good value that was overtaken ends nothing", OPEN(CRITICAL, CRITICAL),
		{NONE, NONE, AT(-60), .overtaken = true}, "nothing"},
	{"a critical one that was overtaken joins what waits",
		OPEN(WARNING, CRITICAL, .labels = LABEL_UNCONFIRMED | LABEL_DOWNGRADED),
		{CRITICAL, CRITICAL, AT(-600), .overtaken = true},
		"changes continue: active 2 of 3 [unconfirmed downgraded] joins"},
	{"and confirms nothing", LATCHED(.labels = LABEL_UNCONFIRMED),
		{CRITICAL, CRITICAL, AT(600), .overtaken = true},
		"changes continue: latched 0 of 3 [unconfirmed] joins"},
	{"beside a warning it is one of its own", OPEN(WARNING, WARNING),
		{CRITICAL, CRITICAL, AT(-60), .overtaken = true},
		"raises start: latched 0 of 3 [unconfirmed] pages joins"},
	{"likewise beside one that was acknowledged", OPEN(CRITICAL, CRITICAL, ACKED),
		{CRITICAL, CRITICAL, AT(-60), .overtaken = true},
		"raises start: latched 0 of 3 [unconfirmed] pages joins"},
	/* lowering */
	{"critical, then a warning", OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED),
		{WARNING, WARNING, AT(60)},
		"changes deescalate: active 2 of 3 [unconfirmed downgraded] joins"},
	{"inside its limit and not by the margin", OPEN(CRITICAL, CRITICAL),
		{WARNING, CRITICAL, AT(60)}, "joins joins"},
	{"inside all limits and not by the margin of the lower", OPEN(CRITICAL, CRITICAL),
		{NONE, WARNING, AT(60)}, "changes deescalate: active 2 of 3 [downgraded]"},
	{"still held", OPEN(WARNING, WARNING), {NONE, WARNING, AT(60)}, "nothing"},
	{"a notice joins, and is below the least", OPEN(WARNING, WARNING), {NOTICE, NOTICE, AT(60)},
		"changes end: inactive 0 of 2 [] joins ends"},
	{"over", OPEN(WARNING, WARNING), {NONE, NONE, AT(60)},
		"changes end: inactive 0 of 2 [] ends"},
	{"a critical one is over, resolved by the repeat",
		OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED), {NONE, NONE, AT(1800)},
		"changes end: latched 0 of 3 [unconfirmed resolved_by_repeat] ends"},
	{"or later", OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED | LABEL_DOWNGRADED),
		{NONE, NONE, AT(1801)}, "changes end: latched 0 of 3 [unconfirmed] ends"},
	{"one that was acknowledged is over",
		OPEN(CRITICAL, CRITICAL, ACKED, .labels = LABEL_CONFIRMED), {NONE, NONE, AT(60)},
		"changes end: inactive 0 of 3 acknowledged [confirmed resolved_by_repeat] ends"},
	{"a warning is resolved by no repeat", OPEN(WARNING, WARNING), {NONE, NONE, AT(5)},
		"changes end: inactive 0 of 2 [] ends"},
	{"latched, and good again", LATCHED(), {NONE, NONE, AT(60)}, "nothing"},
	{"latched, and below the least", LATCHED(), {NOTICE, NOTICE, AT(60)}, "joins joins"},
	{"latched, and a warning", LATCHED(.labels = LABEL_UNCONFIRMED | LABEL_RESOLVED_BY_REPEAT),
		{WARNING, WARNING, AT(60)}, "changes continue: active 2 of 3 [unconfirmed] joins"},
	{"lowered, and a warning again", OPEN(WARNING, CRITICAL, .labels = LABEL_DOWNGRADED),
		{WARNING, WARNING, AT(60)}, "joins joins"},
	{"acknowledged, lowered to a notice, and a warning again",
		OPEN(NOTICE, CRITICAL, ACKED, .labels = LABEL_DOWNGRADED),
		{WARNING, WARNING, AT(60)},
		"changes continue: active 2 of 3 acknowledged [] joins"},
	/* who may not lower */
	{"who does not speak for the resident ends nothing that is critical",
		OPEN(CRITICAL, CRITICAL), {NONE, NONE, SILENT_AT(60)}, "nothing"},
	{"nor lowers it, nor joins", OPEN(CRITICAL, CRITICAL), {WARNING, WARNING, SILENT_AT(60)},
		"nothing"},
	{"but what was acknowledged", OPEN(CRITICAL, CRITICAL, ACKED), {NONE, NONE, SILENT_AT(60)},
		"changes end: inactive 0 of 3 acknowledged [resolved_by_repeat] ends"},
	{"and warnings", OPEN(WARNING, WARNING), {NONE, NONE, SILENT_AT(60)},
		"changes end: inactive 0 of 2 [] ends"},
	{"doubt ends nothing", OPEN(WARNING, WARNING), {NONE, NONE, AT(60), .doubtful = true},
		"nothing"},
	{"nor joins", OPEN(WARNING, WARNING), {WARNING, WARNING, AT(60), .doubtful = true},
		"nothing"},
	{"nor lowers", OPEN(CRITICAL, CRITICAL), {WARNING, WARNING, AT(60), .doubtful = true},
		"nothing"},
	{"nor raises a warning higher", OPEN(NOTICE, NOTICE),
		{WARNING, WARNING, AT(60), .doubtful = true}, "nothing"},
	{"but what is critical and waits for nothing", OPEN(WARNING, WARNING),
		{CRITICAL, CRITICAL, AT(60), .doubtful = true},
		"changes escalate: active 3 of 3 [unconfirmed] pages joins"},
};

static void test_take(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(takes); i++) {
		char text[200];
		struct episode next = {0};
		struct episode_change c =
			episode_take(&takes[i].open, NULL, &takes[i].reading, &limits, &next);
		say(text, sizeof(text), &c, &next);
		if (!streq(text, takes[i].expected))
			fail_msg("%s: %s, expected %s", takes[i].what, text, takes[i].expected);
	}
}

static const struct {
	const char *what;
	enum severity least;
	bool today;
	struct episode_reading reading;
	const char *expected;
} fresh[] = {
	{"nothing", WARNING, false, {NONE, NONE, AT(0)}, "nothing"},
	{"below the least", WARNING, false, {NOTICE, NOTICE, AT(0)}, "nothing"},
	{"a notice that is wanted", NOTICE, false, {NOTICE, NOTICE, AT(0)},
		"raises start: active 1 of 1 [] pages joins"},
	{"a warning", WARNING, false, {WARNING, WARNING, AT(0)},
		"raises start: active 2 of 2 [] pages joins"},
	{"critical", WARNING, false, {CRITICAL, CRITICAL, AT(0)},
		"raises start: active 3 of 3 [unconfirmed] pages joins"},
	{"critical of a shared cuff", WARNING, false, {CRITICAL, CRITICAL, SILENT_AT(0)},
		"raises start: active 3 of 3 [unconfirmed] pages joins"},
	{"a doubtful warning", WARNING, false, {WARNING, WARNING, AT(0), .doubtful = true},
		"nothing"},
	{"critical, in doubt, that waits no more", WARNING, false,
		{CRITICAL, CRITICAL, AT(0), .doubtful = true},
		"raises start: active 3 of 3 [unconfirmed] pages joins"},
	{"an overtaken warning", WARNING, false, {WARNING, WARNING, AT(0), .overtaken = true},
		"nothing"},
	{"overtaken, and critical", WARNING, false, {CRITICAL, CRITICAL, AT(0), .overtaken = true},
		"raises start: latched 0 of 3 [unconfirmed] pages joins"},
	{"told today already", WARNING, true, {WARNING, WARNING, AT(600)},
		"reopens continue: active 2 of 3 acknowledged [confirmed] joins"},
	{"told today, and critical again", WARNING, true, {CRITICAL, CRITICAL, AT(600)},
		"raises start: active 3 of 3 [unconfirmed] pages joins"},
	{"told today, and overtaken", WARNING, true, {WARNING, WARNING, AT(600), .overtaken = true},
		"nothing"},
	{"told today, and in doubt", WARNING, true, {WARNING, WARNING, AT(600), .doubtful = true},
		"nothing"},
	{"told today, and below the least", WARNING, true, {NOTICE, NOTICE, AT(600)}, "nothing"},
};

static void test_none_is_open(void **state)
{
	(void)state;
	const struct episode today = {.state = ALERT_INACTIVE,
		.severity = CRITICAL,
		.acknowledged = true,
		.labels = LABEL_CONFIRMED | LABEL_RESOLVED_BY_REPEAT,
		.critical_at_us = T0,
		.shown_at_us = T0};
	for (size_t i = 0; i < ELEMENTS(fresh); i++) {
		char text[200];
		struct episode next = {0};
		struct episode_limits l = limits;
		l.least = fresh[i].least;
		struct episode_change c = episode_take(
			NULL, fresh[i].today ? &today : NULL, &fresh[i].reading, &l, &next);
		say(text, sizeof(text), &c, &next);
		if (!streq(text, fresh[i].expected))
			fail_msg("%s: %s, expected %s", fresh[i].what, text, fresh[i].expected);
	}
}

/* What confirms, and what a repeat resolves, is measured from these. */
static void test_instants(void **state)
{
	(void)state;
	struct episode e, next;
	const struct episode_reading first = {CRITICAL, CRITICAL, AT(10)},
				     warn = {WARNING, WARNING, AT(5)};
	episode_take(NULL, NULL, &first, &limits, &e);
	assert_true(e.critical_at_us == T0 + 10 * SECOND && e.shown_at_us == T0 + 10 * SECOND);
	episode_take(NULL, NULL, &warn, &limits, &e);
	assert_true(e.critical_at_us == 0);
	episode_take(&e, NULL, &first, &limits, &next);
	assert_true(next.critical_at_us == T0 + 10 * SECOND);
	/* none of them is left */
	e = (struct episode){.state = ALERT_LATCHED, .severity = CRITICAL};
	episode_take(&e, NULL, &first, &limits, &next);
	assert_true(next.critical_at_us == T0 + 10 * SECOND);
	e = (struct episode){.state = ALERT_ACTIVE, .level = CRITICAL, .severity = CRITICAL};
	const struct episode_reading good = {NONE, NONE, AT(20)};
	struct episode_change c = episode_take(&e, NULL, &good, &limits, &next);
	assert_true(c.ends && !(next.labels & LABEL_RESOLVED_BY_REPEAT));
}

static const struct {
	const char *what;
	struct episode now;
	enum severity left;
	unsigned reason;
	const char *expected;
} leaves[] = {
	{"none is left", OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED), NONE, LABEL_VOIDED,
		"changes end: inactive 0 of 3 [unconfirmed withdrawn voided]"},
	{"none is left of what was latched",
		LATCHED(.labels = LABEL_CONFIRMED | LABEL_RESOLVED_BY_REPEAT), NONE,
		LABEL_WRONG_PERSON,
		"changes end: inactive 0 of 3 [confirmed resolved_by_repeat withdrawn wrong_person]"},
	{"none is left of what was acknowledged", OPEN(WARNING, WARNING, ACKED), NONE,
		LABEL_ARTEFACT, "changes end: inactive 0 of 2 acknowledged [withdrawn artefact]"},
	{"corrected: over, and somebody has to know",
		OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED), NONE, LABEL_CORRECTED,
		"changes end: latched 0 of 3 [unconfirmed corrected]"},
	{"corrected, and acknowledged", OPEN(CRITICAL, CRITICAL, ACKED), NONE, LABEL_CORRECTED,
		"changes end: inactive 0 of 3 acknowledged [corrected]"},
	{"a warning is corrected", OPEN(WARNING, WARNING), NONE, LABEL_CORRECTED,
		"changes end: inactive 0 of 2 [corrected]"},
	{"the only critical one", OPEN(CRITICAL, CRITICAL, .labels = LABEL_CONFIRMED), WARNING,
		LABEL_VOIDED, "changes deescalate: active 2 of 2 []"},
	{"the only critical one of what was acknowledged",
		OPEN(CRITICAL, CRITICAL, ACKED, .labels = LABEL_CONFIRMED), WARNING, LABEL_VOIDED,
		"changes update: active 3 of 3 acknowledged [confirmed]"},
	{"one of two", OPEN(CRITICAL, CRITICAL, .labels = LABEL_CONFIRMED), CRITICAL, LABEL_VOIDED,
		"changes update: active 3 of 3 [confirmed]"},
	{"its level is lower anyway",
		OPEN(WARNING, CRITICAL, .labels = LABEL_DOWNGRADED | LABEL_UNCONFIRMED), WARNING,
		LABEL_WRONG_PERSON, "changes deescalate: active 2 of 2 [downgraded]"},
	{"what is left is below the least", OPEN(WARNING, WARNING), NOTICE, LABEL_VOIDED,
		"changes end: inactive 0 of 1 []"},
	{"what was latched was never critical", LATCHED(.labels = LABEL_CONFIRMED), WARNING,
		LABEL_VOIDED, "changes end: inactive 0 of 2 []"},
	{"what was latched was critical", LATCHED(.labels = LABEL_UNCONFIRMED), CRITICAL,
		LABEL_VOIDED, "changes update: latched 0 of 3 [unconfirmed]"},
	{"a closed one", {.state = ALERT_INACTIVE, .severity = CRITICAL, ACKED}, WARNING,
		LABEL_ARTEFACT, "changes update: inactive 0 of 3 acknowledged []"},
	{"a closed one, of which none is left", {.state = ALERT_INACTIVE, .severity = CRITICAL},
		NONE, LABEL_ARTEFACT, "changes end: inactive 0 of 3 [withdrawn artefact]"},
};

static void test_leave(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(leaves); i++) {
		char text[200];
		struct episode next;
		struct episode_change c = episode_leave(
			&leaves[i].now, leaves[i].left, leaves[i].reason, SEVERITY_WARNING, &next);
		say(text, sizeof(text), &c, &next);
		if (!streq(text, leaves[i].expected))
			fail_msg("%s: %s, expected %s", leaves[i].what, text, leaves[i].expected);
	}
}

static void test_others(void **state)
{
	(void)state;
	char text[200];
	struct episode next;
	const struct episode acked = OPEN(CRITICAL, CRITICAL, ACKED, .labels = LABEL_DOWNGRADED);
	struct episode_change c = episode_supersede(&acked, &next);
	say(text, sizeof(text), &c, &next);
	assert_string_equal(text, "changes end: inactive 0 of 3 acknowledged [superseded]");
	const struct episode latched =
		LATCHED(.labels = LABEL_UNCONFIRMED | LABEL_RESOLVED_BY_REPEAT);
	c = episode_resume(&latched, &next);
	say(text, sizeof(text), &c, &next);
	assert_string_equal(text, "changes continue: active 3 of 3 [unconfirmed]");
	const struct episode open = OPEN(CRITICAL, CRITICAL, .labels = LABEL_UNCONFIRMED);
	c = episode_over(&open, &next);
	say(text, sizeof(text), &c, &next);
	assert_string_equal(text, "changes end: latched 0 of 3 [unconfirmed]");
}

/* Whatever comes after whatever, it stays one that can be: who is critical and told nobody is never forgotten. */
static void test_any_order(void **state)
{
	(void)state;
	struct episode e = {.state = ALERT_INACTIVE};
	bool some = false;
	srandom(4711);
	for (int i = 0; i < 200000; i++) {
		enum severity fires = (enum severity)(random() % 4);
		struct episode next = e;
		const struct episode_reading r = {fires,
			MAX(fires, e.level > fires && random() % 2 ? e.level : NONE),
			SILENT_AT(i * 30), .overtaken = random() % 8 == 0,
			.doubtful = random() % 8 == 0, .speaks = random() % 8 != 0};
		bool open = some && e.state != ALERT_INACTIVE;
		struct episode_change c = episode_take(open ? &e : NULL, NULL, &r, &limits, &next);
		if (open && random() % 16 == 0)
			c = episode_leave(&e, (enum severity)(random() % 4),
				random() % 2 ? LABEL_VOIDED : LABEL_CORRECTED, SEVERITY_WARNING,
				&next);
		if (c.verdict == EPISODE_NOTHING)
			continue;
		assert_true(next.level <= next.severity);
		assert_true((next.state == ALERT_ACTIVE) == (next.level > NONE));
		assert_true(next.state != ALERT_LATCHED ||
			    (next.severity == CRITICAL && !next.acknowledged));
		assert_true((next.severity == CRITICAL) ==
			    ((next.labels & (LABEL_CONFIRMED | LABEL_UNCONFIRMED)) != 0));
		bool waited = open && e.severity == CRITICAL && !e.acknowledged;
		assert_true(!waited || next.state != ALERT_INACTIVE || next.severity < CRITICAL ||
			    (next.labels & LABEL_WITHDRAWN));
		assert_true(fires < CRITICAL || !c.joins || c.phase != PHASE_END);
		some = true;
		e = next;
		if (random() % 8 == 0 && e.state != ALERT_INACTIVE) { /* somebody acknowledges it */
			e.acknowledged = true;
			e.state = e.state == ALERT_LATCHED ? ALERT_INACTIVE : e.state;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_none_is_open),
		cmocka_unit_test(test_instants),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_any_order),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
