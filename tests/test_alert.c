/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every rule of config/alerts.yaml at its limit and one step beside it, against a copy of the limits that
 * is written down here on purpose: a changed limit must be seen by a person. HI and LO, several rules at
 * once, labels of doubt, what is asked again, and files with faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alert.h"

static struct codes *codes;
static struct alert_rules *rules;

static int load(void **state)
{
	(void)state;
	char error[400] = "";
	codes = codes_load("config", error, sizeof(error));
	rules = codes ? alert_rules_load("config/alerts.yaml", codes, error, sizeof(error)) : NULL;
	if (!rules)
		print_error("%s\n", error);
	return rules ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	alert_rules_free(rules);
	codes_free(codes);
	return 0;
}

static void add(struct reading *r, const char *kind, int64_t milli, char comparator)
{
	struct quantity *q = &r->quantities[r->n_quantities++];
	q->code = codes_find(codes, kind);
	assert_non_null(q->code);
	q->value = (struct value){milli, q->code->decimals};
	q->comparator = comparator;
}

static struct reading one(const char *kind, int64_t milli, char comparator)
{
	struct reading r = {.kind = "test"};
	add(&r, kind, milli, comparator);
	return r;
}

static void judged(
	const char *kind, int64_t milli, char comparator, enum severity severity, const char *rule)
{
	struct reading r = one(kind, milli, comparator);
	struct alert_verdict v = alert_judge(rules, &r);
	print_message("# %s %c %lld: %s\n", kind, comparator ? comparator : '=', (long long)milli,
		severity_name(v.severity));
	assert_string_equal(severity_name(v.severity), severity_name(severity));
	assert_int_equal(v.n, rule ? 1 : 0);
	if (rule) {
		assert_string_equal(v.rules[0]->id, rule);
		assert_int_equal(v.quantity[0], 0);
	}
}

/* From the safe side outwards: each limit fires its rule, one step before it the rule of the row above. */
struct ladder {
	const char *kind;
	int64_t step; /* smallest difference that is shown, thousandths */
	bool up;
	struct {
		int64_t limit;
		enum severity severity;
		const char *rule;
	} rungs[3];
};

#define GLUCOSE(kind)                                                           \
	{kind, 100, true,                                                       \
		{{13900, SEVERITY_WARNING, "glucose-warning-high"},             \
			{16700, SEVERITY_CRITICAL, "glucose-critical-high"}}},  \
	{                                                                       \
		kind, 100, false,                                               \
		{                                                               \
			{                                                       \
				3900, SEVERITY_CRITICAL, "glucose-critical-low" \
			}                                                       \
		}                                                               \
	}

static const struct ladder ladders[] = {
	{"bp.sbp", 1000, true,
		{{140000, SEVERITY_NOTICE, "sbp-notice-high"},
			{160000, SEVERITY_WARNING, "sbp-warning-high"},
			{180000, SEVERITY_CRITICAL, "sbp-critical-high"}}},
	{"bp.sbp", 1000, false, {{90000, SEVERITY_CRITICAL, "sbp-critical-low"}}},
	{"bp.dbp", 1000, true,
		{{90000, SEVERITY_NOTICE, "dbp-notice-high"},
			{100000, SEVERITY_WARNING, "dbp-warning-high"},
			{110000, SEVERITY_CRITICAL, "dbp-critical-high"}}},
	{"bp.pulse", 1000, true,
		{{111000, SEVERITY_WARNING, "pulse-warning-high"},
			{131000, SEVERITY_CRITICAL, "pulse-critical-high"}}},
	{"bp.pulse", 1000, false, {{40000, SEVERITY_CRITICAL, "pulse-critical-low"}}},
	{"ecg.hr", 1000, true,
		{{111000, SEVERITY_WARNING, "ecg-rate-warning-high"},
			{131000, SEVERITY_CRITICAL, "ecg-rate-critical-high"}}},
	{"ecg.hr", 1000, false, {{40000, SEVERITY_CRITICAL, "ecg-rate-critical-low"}}},
	GLUCOSE("glu.fasting"),
	GLUCOSE("glu.postprandial_2h"),
	GLUCOSE("glu.random"),
	GLUCOSE("glu.capillary_plasma"),
	GLUCOSE("glu.undetermined_plasma"),
	GLUCOSE("glu.isf"),
	{"spo2", 1000, false,
		{{93000, SEVERITY_WARNING, "spo2-warning-low"},
			{91000, SEVERITY_CRITICAL, "spo2-critical-low"}}},
	{"spo2.pulse", 1000, true, {{131000, SEVERITY_CRITICAL, "spo2-pulse-critical-high"}}},
	{"spo2.pulse", 1000, false, {{40000, SEVERITY_CRITICAL, "spo2-pulse-critical-low"}}},
	{"temp", 100, true, {{39100, SEVERITY_WARNING, "temp-warning-high"}}},
	{"temp", 100, false, {{35000, SEVERITY_CRITICAL, "temp-critical-low"}}},
};

/* The technical rules: the last value that is good, the first that is bad, and for how long. */
static const struct technical {
	const char *rule, *place, *kind;
	int64_t good, bad;
	unsigned for_s;
	int64_t good_again; /* the first on the way back */
	enum severity severity;
} technical[] = {
	{"fridge-warm", "fridge", "env.temp", 8000, 8100, 600, 7500, SEVERITY_CRITICAL},
	{"fridge-cold", "fridge", "env.temp", 2000, 1900, 600, 2500, SEVERITY_CRITICAL},
	{"fridge-door", "fridge", "env.door_open", 0, 1000, 600, 999, SEVERITY_WARNING},
	{"fridge-alarm", "fridge", "env.alarm", 0, 1000, 60, 999, SEVERITY_WARNING},
	{"fridge-silent", "fridge", "", 0, 0, 1800, 0, SEVERITY_WARNING},
	{"freezer-warm", "freezer", "env.temp", -15000, -14900, 600, -15500, SEVERITY_CRITICAL},
	{"freezer-door", "freezer", "env.door_open", 0, 1000, 600, 999, SEVERITY_WARNING},
	{"freezer-alarm", "freezer", "env.alarm", 0, 1000, 60, 999, SEVERITY_WARNING},
	{"freezer-silent", "freezer", "", 0, 0, 1800, 0, SEVERITY_WARNING},
	{"room-warm", "room", "env.temp", 30000, 30100, 600, 29500, SEVERITY_WARNING},
	{"room-cold", "room", "env.temp", 10000, 9900, 600, 10500, SEVERITY_WARNING},
	{"room-damp", "room", "env.humidity", 75000, 75100, 600, 73000, SEVERITY_WARNING},
	{"room-dry", "room", "env.humidity", 35000, 34900, 600, 37000, SEVERITY_WARNING},
	{"room-alarm", "room", "env.alarm", 0, 1000, 60, 999, SEVERITY_WARNING},
	{"room-silent", "room", "", 0, 0, 3600, 0, SEVERITY_WARNING},
	{"gas-low", "gas_supply", "env.gas_pressure", 320000, 319000, 60, 330000,
		SEVERITY_CRITICAL},
	{"gas-high", "gas_supply", "env.gas_pressure", 600000, 601000, 60, 590000,
		SEVERITY_CRITICAL},
	{"gas-alarm", "gas_supply", "env.alarm", 0, 1000, 60, 999, SEVERITY_CRITICAL},
	{"gas_supply-silent", "gas_supply", "", 0, 0, 1800, 0, SEVERITY_WARNING},
};

static bool breaks(const struct alert_rule *rule, int64_t milli)
{
	struct reading r = one(rule->kind, milli, 0);
	return alert_breaks(rule, &r.quantities[0]);
}

static bool good_again(const struct alert_rule *rule, int64_t milli)
{
	struct reading r = one(rule->kind, milli, 0);
	return alert_good_again(rule, &r.quantities[0]);
}

static void test_technical_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(technical); i++) {
		const struct technical *t = &technical[i];
		const struct alert_rule *rule = alert_rules_find(rules, t->rule);
		print_message("# %s\n", t->rule);
		assert_non_null(rule);
		assert_string_equal(rule->place, t->place);
		assert_string_equal(rule->kind, t->kind);
		assert_int_equal(rule->for_s, t->for_s);
		assert_int_equal(rule->severity, t->severity);
		assert_true(alert_place_known(rules, t->place));
		if (rule->op == ALERT_SILENT) {
			assert_string_equal(t->kind, "");
			continue;
		}
		int64_t back = t->good_again > t->bad ? -1 : 1; /* towards the limit */
		assert_false(breaks(rule, t->good));
		assert_true(breaks(rule, t->bad));
		assert_true(good_again(rule, t->good_again));
		assert_false(good_again(rule, t->good_again + back));
		assert_false(good_again(rule, t->bad));
	}
	assert_false(alert_place_known(rules, "cellar"));
	assert_false(alert_place_known(rules, "")); /* a device that watches nothing */
}

/* No rule of a place judges what is measured of a person, whatever the reading says. */
static void test_families_apart(void **state)
{
	(void)state;
	judged("env.temp", 50000, '>', SEVERITY_NONE, NULL);
	judged("env.gas_pressure", 0, 0, SEVERITY_NONE, NULL);
}

static void test_every_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < ELEMENTS(ladders); i++) {
		const struct ladder *l = &ladders[i];
		int64_t out = l->up ? l->step : -l->step;
		enum severity below = SEVERITY_NONE;
		const char *below_rule = NULL;
		for (size_t k = 0; k < ELEMENTS(l->rungs) && l->rungs[k].rule; k++) {
			int64_t limit = l->rungs[k].limit;
			judged(l->kind, limit - out, 0, below, below_rule);
			below = l->rungs[k].severity;
			below_rule = l->rungs[k].rule;
			judged(l->kind, limit, 0, below, below_rule);
			judged(l->kind, limit + out, 0, below, below_rule);
		}
		judged(l->kind, l->up ? INT64_MAX : INT64_MIN, 0, below, below_rule);
	}
}

/* No rule in the file that is not in the ladders above, and the other way round. */
static void test_no_other_rule(void **state)
{
	(void)state;
	_cleanup_(fclosep) FILE *f = fopen("config/alerts.yaml", "re");
	assert_non_null(f);
	char line[512];
	unsigned in_file = 0;
	while (fgets(line, sizeof(line), f)) {
		char id[40];
		if (sscanf(line, " - {id: %39[^,]", id) != 1)
			continue;
		bool known = false;
		for (size_t i = 0; i < ELEMENTS(ladders); i++)
			for (size_t k = 0; k < 3 && ladders[i].rungs[k].rule; k++)
				known |= streq(ladders[i].rungs[k].rule, id);
		for (size_t i = 0; i < ELEMENTS(technical); i++)
			known |= streq(technical[i].rule, id);
		print_message("# %s\n", id);
		assert_true(known);
		in_file++;
	}
	assert_int_equal(in_file, 22 + ELEMENTS(technical));
}

static void test_kinds_without_rule(void **state)
{
	(void)state;
	judged("weight", 300000, '>', SEVERITY_NONE, NULL);
	judged("bp.map", 250000, 0, SEVERITY_NONE, NULL);
	judged("hba1c", 20000, '>', SEVERITY_NONE, NULL);
	struct reading nothing = {0};
	assert_int_equal(alert_judge(rules, &nothing).severity, SEVERITY_NONE);
}

/* HI and LO say "beyond": the worst on their side, wherever the number stands. */
static void test_censored(void **state)
{
	(void)state;
	judged("glu.random", 33300, '>', SEVERITY_CRITICAL, "glucose-critical-high");
	judged("glu.random", 10000, '>', SEVERITY_CRITICAL, "glucose-critical-high");
	judged("glu.random", 600, '<', SEVERITY_CRITICAL, "glucose-critical-low");
	judged("glu.random", 10000, '<', SEVERITY_CRITICAL, "glucose-critical-low");
	judged("glu.fasting", 10000, 0, SEVERITY_NONE, NULL);
	judged("bp.sbp", 120000, '>', SEVERITY_CRITICAL, "sbp-critical-high");
	judged("bp.sbp", 120000, '<', SEVERITY_CRITICAL, "sbp-critical-low");
	judged("bp.dbp", 80000, '<', SEVERITY_NONE, NULL); /* no rule on that side */
	judged("spo2", 97000, '<', SEVERITY_CRITICAL, "spo2-critical-low");
	judged("spo2", 97000, '>', SEVERITY_NONE, NULL);
	judged("temp", 38000, '>', SEVERITY_WARNING, "temp-warning-high");
}

static void test_several(void **state)
{
	(void)state;
	struct reading r = one("bp.sbp", 185000, 0);
	add(&r, "bp.dbp", 95000, 0);
	add(&r, "bp.pulse", 135000, 0);
	struct alert_verdict v = alert_judge(rules, &r);
	assert_int_equal(v.severity, SEVERITY_CRITICAL);
	assert_int_equal(v.n, 2); /* those that reach the severity, in the order of the reading */
	assert_string_equal(v.rules[0]->id, "sbp-critical-high");
	assert_int_equal(v.quantity[0], 0);
	assert_string_equal(v.rules[1]->id, "pulse-critical-high");
	assert_int_equal(v.quantity[1], 2);

	r = one("bp.sbp", 145000, 0); /* the worse one comes last */
	add(&r, "bp.dbp", 112000, 0);
	v = alert_judge(rules, &r);
	assert_int_equal(v.severity, SEVERITY_CRITICAL);
	assert_int_equal(v.n, 1);
	assert_string_equal(v.rules[0]->id, "dbp-critical-high");
	assert_int_equal(v.quantity[0], 1);

	r = (struct reading){.kind = "lab"}; /* more than a verdict holds: not one byte too far */
	for (int i = 0; i < VG_QUANTITIES_MAX; i++)
		add(&r, "glu.random", 33300, '>');
	v = alert_judge(rules, &r);
	assert_int_equal(v.severity, SEVERITY_CRITICAL);
	assert_int_equal(v.n, ALERT_HITS_MAX);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(severity_name(SEVERITY_NONE), "none");
	assert_string_equal(severity_name(SEVERITY_NOTICE), "notice");
	assert_string_equal(severity_name(SEVERITY_WARNING), "warning");
	assert_string_equal(severity_name(SEVERITY_CRITICAL), "critical");
	assert_string_equal(severity_priority(SEVERITY_NOTICE), "PL");
	assert_string_equal(severity_priority(SEVERITY_WARNING), "PM");
	assert_string_equal(severity_priority(SEVERITY_CRITICAL), "PH");
	assert_string_equal(alert_rules_version(rules), "2026-11-3");
}

/* what is asked again */

static bool asked(const struct reading *r)
{
	struct alert_verdict v = alert_judge(rules, r);
	return alert_wants_repeat(rules, r, &v);
}

static void test_wants_repeat(void **state)
{
	(void)state;
	static const char *const doubts[] = {"low_perfusion", "artifact", "motion", "out_of_track"};
	assert_int_equal(alert_repeat_s(rules), 120);
	for (size_t i = 0; i < ELEMENTS(doubts); i++) {
		struct reading r = one("spo2", 91000, 0);
		assert_false(asked(&r));
		assert_null(alert_doubtful(rules, &r));
		r.flags[r.n_flags++] = "summary";
		r.flags[r.n_flags++] = doubts[i];
		assert_string_equal(alert_doubtful(rules, &r), doubts[i]);
		assert_true(asked(&r));
		r.quantities[0].value.milli = 92000; /* a warning is told at once */
		assert_false(asked(&r));
		r = one("bp.sbp", 190000, 0); /* and so is a cuff */
		r.flags[r.n_flags++] = doubts[i];
		assert_false(asked(&r));
		add(&r, "spo2", 85000, 0); /* with whatever else is critical beside it */
		assert_false(asked(&r));
	}
}

/* labels */

static void labelled(const struct reading *r, enum trust trust, bool conflict, const char *expected)
{
	struct when when = {0, 0, trust};
	struct alert_doubt d = alert_label(r, &when, conflict);
	char text[600] = "";
	assert_true(d.n <= ELEMENTS(d.labels));
	for (unsigned i = 0; i < d.n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, d.labels[i]);
	}
	assert_string_equal(text, expected);
}

static void test_labels(void **state)
{
	(void)state;
	struct reading r = one("glu.random", 33300, 0);
	labelled(&r, TRUST_CORRECTED, false, "unconfirmed");
	labelled(&r, TRUST_DEVICE, false, "unconfirmed");
	labelled(&r, TRUST_ARRIVAL, false, "unconfirmed time_of_arrival");
	labelled(&r, TRUST_UNKNOWN, false, "unconfirmed clock_unknown");
	labelled(&r, TRUST_CORRECTED, true, "unconfirmed conflict");
	r.quantities[0].comparator = '>';
	labelled(&r, TRUST_CORRECTED, false, "unconfirmed above_meter_range");
	r.quantities[0].comparator = '<';
	labelled(&r, TRUST_CORRECTED, false, "unconfirmed below_meter_range");
	add(&r, "spo2", 100000, '>'); /* both are said */
	labelled(&r, TRUST_CORRECTED, false, "unconfirmed above_meter_range below_meter_range");
	r.flags[r.n_flags++] = "irregular_pulse";
	r.flags[r.n_flags++] = "body_movement";
	labelled(&r, TRUST_UNKNOWN, true,
		"unconfirmed conflict clock_unknown above_meter_range below_meter_range "
		"irregular_pulse body_movement");
	while (r.n_flags < VG_FLAGS_MAX + 1) /* all that a reading can carry */
		r.flags[r.n_flags++] = "poor_signal";
	struct when when = {0, 0, TRUST_UNKNOWN};
	assert_int_equal(alert_label(&r, &when, true).n, 5 + VG_FLAGS_MAX + 1);
}

/* files with faults */

#define GOOD "{id: a, kind: temp, above: 39.0, severity: warning, zh: 热, en: hot, source: s}"
#define HEAD "version: \"1\"\nrules:\n"
#define WORDS "zh: 热, en: hot, source: s"
#define REST "severity: warning, " WORDS
#define PLACE "family: technical, place: room, "
#define RULE(text) HEAD "  - {id: b, kind: temp, " text ", " REST "}\n"
#define TECHNICAL(text) HEAD "  - {id: b, kind: env.temp, " PLACE text ", " REST "}\n"
#define REPEAT(text) HEAD "  - " GOOD "\nrepeat: " text "\n"

static struct alert_rules *load_text(const char *text, char *error, size_t size)
{
	char path[] = "/tmp/vitalgate-alerts-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct alert_rules *r = alert_rules_load(path, codes, error, size);
	unlink(path);
	/* file and line first: an editor jumps there */
	if (!r && strncmp(error, path, strlen(path)) == 0)
		memmove(error, error + strlen(path), strlen(error + strlen(path)) + 1);
	return r;
}

static void test_faults(void **state)
{
	(void)state;
	static const struct {
		const char *text, *line, *word;
	} cases[] = {
		{"", ": ", "name: value"},
		{"- a\n", ":1: ", "name: value"},
		{"rules:\n  - " GOOD "\n", ":1: ", "\"version\" is missing"},
		{"version: \"1\"\n", ":1: ", "\"rules\" is missing"},
		{"version: \"1\"\nrules: []\n", ":2: ", "at least one rule"},
		{"version: \"1\"\nrules: 3\n", ":2: ", "at least one rule"},
		{"version: \"1\"\nrulez:\n  - " GOOD "\n", ":3: ", "unknown key \"rulez\""},
		{HEAD "  - word\n", ":3: ", "name: value"},
		{HEAD "  - {id: [a]}\n", ":3: ", "id: expected a text"},
		{HEAD "  - " GOOD "\n  - {id: b, kind: temp, abov: 39.0, " REST "}\n",
			":4: ", "unknown key \"abov\""},
		{HEAD "  - {id: b, kind: temp, kind: temp, above: 39.0, " REST "}\n",
			":3: ", "\"kind\" is there twice"},
		{RULE("above: x39"), ":3: ", "above: expected a decimal number, found \"x39\""},
		{RULE("above: 39.0001"), ":3: ", "three decimals"},
		{RULE("above: 99999999999999999999"), ":3: ", "99999999999999999999"},
		{RULE("above: \"\""), ":3: ", "decimal number"},
		{RULE("above: 39, below: 35"), ":3: ", "one limit"},
		{HEAD "  - {id: b, kind: temp, " REST "}\n", ":3: ", "one limit"},
		{HEAD "  - {id: b, kind: temp, above: 39, severity: bad, " WORDS "}\n", ":3: ",
			"severity: expected one of notice, warning, critical, found \"bad\""},
		{HEAD "  - {id: b, kind: temp, above: 39, severity: none, " WORDS "}\n",
			":3: ", "found \"none\""},
		{HEAD "  - {id: b, kind: temp, above: 39, " WORDS "}\n",
			":3: ", "\"severity\" is missing"},
		{HEAD "  - {id: b, kind: temp, above: 39, severity: warning, zh: 热, en: hot}\n",
			":3: ", "\"source\" is missing"},
		{HEAD "  - {id: b, kind: temp, above: 39, severity: warning, en: hot, source: s}\n",
			":3: ", "\"zh\" is missing"},
		{HEAD "  - {id: b, above: 39, " REST "}\n", ":3: ", "codes.csv"},
		{HEAD "  - {id: b, kind: temperature, above: 39, " REST "}\n",
			":3: ", "rule \"b\", kind \"temperature\": expected a kind of codes.csv"},
		/* a pattern that matches nothing would be silent for ever */
		{HEAD "  - {id: b, kind: \"gluc.*\", above: 39, " REST "}\n", ":3: ", "codes.csv"},
		{HEAD "  - {id: b, kind: \"*.sbp\", above: 39, " REST "}\n", ":3: ", "codes.csv"},
		{HEAD "  - " GOOD "\n  - " GOOD "\n", ":4: ", "used once"},
		{HEAD "  - {id: 0123456789012345678901234567890123456789, kind: temp}\n",
			":3: ", "id: expected a text of 1 to 39 bytes"},
		{HEAD "  - {id: b\n", ":", ":"},
		{"version: \"1\"\n\trules:\n", ":2: ", ""},
		/* places and persons are kept apart */
		{RULE("place: room, above: 39"), ":3: ", "go together"},
		{RULE("family: technical, above: 39"), ":3: ", "go together"},
		{RULE("family: medical, above: 39"), ":3: ", "physiological, technical"},
		{RULE("above: 39, for_s: 60"), ":3: ", "are for technical rules"},
		{RULE("above: 39, margin: 1"), ":3: ", "are for technical rules"},
		{HEAD "  - {id: b, silent_s: 600, " REST "}\n", ":3: ", "are for technical rules"},
		{RULE(PLACE "above: 39"), ":3: ", "of a place (env.)"},
		{HEAD "  - {id: b, kind: env.temp, above: 39, " REST "}\n", ":3: ", "of a person"},
		{HEAD "  - {id: b, kind: \"*\", above: 39, " REST "}\n", ":3: ", "of a person"},
		{HEAD "  - {id: b, kind: \"env.*\", " PLACE "above: 39, " REST "}\n",
			":3: ", "expected one kind"},
		{TECHNICAL("above: 8, for_s: 0"), ":3: ", "for_s: expected a number from 1"},
		{TECHNICAL("above: 8, margin: -1"), ":3: ", "not negative"},
		{TECHNICAL("above: 8, margin: 0.0001"), ":3: ", "three decimals"},
		{TECHNICAL("silent_s: 600"), ":3: ", "has no kind"},
		{TECHNICAL("above: 8, silent_s: 600"), ":3: ", "one limit"},
		{HEAD "  - {id: b, " PLACE "silent_s: 59, " REST "}\n", ":3: ", "from 60"},
		{HEAD "  - {id: b, " PLACE "kind: env.temp, above: 8, severity: notice, " WORDS
		      "}\n",
			":3: ", "warning or critical"},
		/* repeats */
		{REPEAT("{flags: [a], kinds: [spo2]}"), ":4: ", "\"within_s\" is missing"},
		{REPEAT("{flags: [a], kinds: [spo2], within_s: 9}"), ":4: ", "from 10 to 3600"},
		{REPEAT("{flags: [], kinds: [spo2], within_s: 60}"), ":4: ", "flags: expected"},
		{REPEAT("{flags: a, kinds: [spo2], within_s: 60}"), ":4: ", "flags: expected"},
		{REPEAT("{flags: [[a]], kinds: [spo2], within_s: 60}"), ":4: ", "flags: expected"},
		{REPEAT("{flags: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], kinds: [spo2], within_s: 60}"),
			":4: ", "1 to 16"},
		{REPEAT("{flags: [a], kinds: [spo], within_s: 60}"), ":4: ", "found \"spo\""},
		{REPEAT("{flags: [a], kinds: [\"env*\"], within_s: 60}"), ":4: ", "of a person"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char error[400] = "";
		print_message("# %zu\n", i);
		struct alert_rules *r = load_text(cases[i].text, error, sizeof(error));
		print_message("# %s\n", error);
		assert_null(r);
		assert_int_equal(strncmp(error, cases[i].line, strlen(cases[i].line)), 0);
		assert_non_null(strstr(error, cases[i].word));
	}
	char error[400];
	assert_null(alert_rules_load("/nonexistent/alerts.yaml", codes, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/alerts.yaml"));
	assert_non_null(strstr(error, "paths.tables")); /* the next step */
}

static void test_good_files(void **state)
{
	(void)state;
	char error[400] = "";
	struct alert_rules *was = rules;
	rules = load_text(HEAD
		"  - {id: up, kind: temp, above: 39.5, severity: warning, zh: 热, en: hot, "
		"source: s}\n  - {id: down, kind: \"bp.*\", below: 60, severity: notice, zh: 低, "
		"en: low, source: s}\n  - {id: cold, kind: temp, at_most: -0.5, severity: "
		"critical, zh: 冷, en: cold, source: s}\n",
		error, sizeof(error));
	print_message("# %s\n", error);
	assert_non_null(rules);
	judged("temp", 39500, 0, SEVERITY_NONE, NULL); /* above and below are strict */
	judged("temp", 39501, 0, SEVERITY_WARNING, "up");
	judged("bp.pulse", 60000, 0, SEVERITY_NONE, NULL);
	judged("bp.pulse", 59999, 0, SEVERITY_NOTICE, "down");
	judged("bp.pulse", 70000, '<', SEVERITY_NOTICE, "down");
	judged("temp", -499, 0, SEVERITY_NONE, NULL);
	judged("temp", -500, 0, SEVERITY_CRITICAL, "cold");
	alert_rules_free(rules);
	rules = was;
}

static void test_too_many(void **state)
{
	(void)state;
	_cleanup_(freep) char *text = calloc(1, 32768);
	char error[400] = "";
	strcpy(text, HEAD);
	for (int i = 0; i < 129; i++)
		sprintf(text + strlen(text),
			"  - {id: r%d, kind: temp, above: 39, severity: notice, zh: 热, en: hot, "
			"source: s}\n",
			i);
	assert_null(load_text(text, error, sizeof(error)));
	assert_non_null(strstr(error, "at most 128 rules"));
	*strstr(text, "  - {id: r128") = 0;
	struct alert_rules *r = load_text(text, error, sizeof(error));
	assert_non_null(r);
	alert_rules_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_rule),
		cmocka_unit_test(test_technical_rules),
		cmocka_unit_test(test_families_apart),
		cmocka_unit_test(test_no_other_rule),
		cmocka_unit_test(test_kinds_without_rule),
		cmocka_unit_test(test_censored),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_wants_repeat),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_too_many),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("alert", tests, load, unload);
}
