/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ECG centre owes us and says: the clocks, the alerts of what did not come, each of its words, reading back. */
#include "study_rig.h"

#include "centre.h"
#include "log.h"
#include "util.h"
#include "watch.h"

#include <jansson.h>

#define COUNT(table) rig_int(&rig, "SELECT count(*) FROM " table)
#define MINUTE (60 * CLOCK_SECOND_US)
#define TWO_SINKS                                                                                    \
	"sinks:\n - {name: county, host: h, receipt: platform}\n - {name: heart, host: g, receipt: " \
	"platform}\necg: {centre: heart}\n"

static struct rig rig;
static int64_t row; /* the study */

static int open_with(const char *yaml)
{
	rig_open(&rig, yaml);
	rig_residents(&rig);
	rig_bind(&rig, 1);
	row = study_filed(&rig, 1, 10, STUDY_SAYS(""));
	rig_script(&rig, "DELETE FROM outbox");
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return open_with(RIG_SINK);
}

static int setup_two(void **state)
{
	(void)state;
	return open_with(TWO_SINKS);
}

static int setup_none(void **state)
{
	(void)state;
	return open_with("");
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void expect(const char *sql, const char *expected)
{
	study_expect(&rig, sql, expected);
}

static void received(unsigned sink)
{
	struct uuid id = study_id(&rig, row);
	assert_int_equal(report_received(&rig.gateway, rig.db, sink, &id), 0);
}

static void says(enum report_status status, const char *text, const char *critical)
{
	assert_int_equal(
		report_add(&rig.gateway, rig.db, row, status, text, critical, "D-0009"), 0);
}

/* Looks for what is due so many minutes from now; when the next is due, in minutes from now, -1: never. */
static int64_t look(int64_t minutes)
{
	int64_t next = 0, boot_us = clock_boot_us();
	assert_int_equal(watch_look(&rig.gateway, rig.db, clock_utc_us() + minutes * MINUTE,
				 boot_us + minutes * MINUTE, &next),
		0);
	return next == INT64_MAX ? -1 : (next - boot_us + MINUTE / 2) / MINUTE;
}

/* report_open(), with what it says of time in minutes from now. */
static void is_open(const char *word, int64_t since_min, int64_t due_min)
{
	int64_t since = 0, due = 0, now = clock_utc_us();
	const char *said = report_open(rig.db, row, &since, &due);
	assert_string_equal(said ? said : "nothing", word);
	if (!said)
		return;
	assert_in_range(since - now - since_min * MINUTE + MINUTE, 0, 2 * MINUTE);
	if (due_min)
		assert_in_range(due - now - due_min * MINUTE + MINUTE, 0, 2 * MINUTE);
	else
		assert_int_equal(due, 0);
}

/* "report" of its payload, as text, each instant as "T". */
static void told(const char *expected)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	assert_int_equal(report_json(rig.db, row, &j), 0);
	json_object_end(&j);
	_cleanup_(freep) char *text = json_take(&j);
	json_error_t e;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &e);
	assert_non_null(root);
	json_decref(root);
	for (char *p = text; (p = strstr(p, "\"20")); p += 3)
		if (p[5] == '-' && p[25] == '"')
			memmove(p + 1, "T", 1), memmove(p + 2, p + 25, strlen(p + 25) + 1);
	char wanted[4096];
	snprintf(wanted, sizeof(wanted), "{\"report\":%s}", expected);
	for (char *p = wanted; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	assert_string_equal(text, wanted);
}

/* the way to the centre */

static void test_expect(void **state)
{
	(void)state;
	expect("SELECT what||study||(alert IS NULL)||length(boot_id) FROM study_wait", "sent1116");
	assert_int_equal(rig_int(&rig, "SELECT due-since FROM study_wait"), 15 * MINUTE);
	int64_t due_boot = rig_int(&rig, "SELECT due_boot FROM study_wait");
	assert_in_range(due_boot - clock_boot_us(), 14 * MINUTE, 15 * MINUTE);
	assert_int_equal(report_expect(&rig.gateway, rig.db, row), 0); /* again: it waits already */
	assert_int_equal(rig_int(&rig, "SELECT due_boot FROM study_wait"), due_boot);
	rig.config.ecg_not_sent_minutes = 1;
	int64_t other = study_filed(&rig, 2, 10, STUDY_SAYS(""));
	assert_int_equal(other, row + 1);
	assert_int_equal(
		rig_int(&rig, "SELECT due-since FROM study_wait ORDER BY study DESC"), MINUTE);
	told("{'state':'unsent','revisions':[]}");
	is_open("not_sent", 0, 15);
}

static void test_received(void **state)
{
	(void)state;
	received(0);
	expect("SELECT what FROM study_wait", "report");
	assert_int_equal(rig_int(&rig, "SELECT due-received FROM study"), 30 * MINUTE);
	assert_int_equal(
		rig_int(&rig, "SELECT w.due-s.due+w.since-s.received FROM study_wait w, study s"),
		0);
	expect("SELECT revision FROM study", "2");
	expect("SELECT group_concat(kind||revision) FROM outbox", "42");
	told("{'state':'waiting','received':'T','due':'T','revisions':[]}");
	is_open("waiting", 0, 30);
	/* only the first receipt starts the clock */
	int64_t at = rig_int(&rig, "SELECT received FROM study");
	usleep(2000);
	received(0);
	assert_int_equal(rig_int(&rig, "SELECT received FROM study"), at);
	expect("SELECT revision FROM study", "2");
	assert_int_equal(COUNT("outbox"), 1);
	/* of a study that is not here */
	struct uuid none = {.bytes = {9}};
	assert_int_equal(report_received(&rig.gateway, rig.db, 0, &none), 0);
}

static void test_only_the_centre(void **state)
{
	(void)state;
	received(0); /* the county has it, too */
	assert_int_equal(COUNT("study WHERE received IS NULL"), 1);
	expect("SELECT what FROM study_wait", "sent");
	received(1);
	expect("SELECT what FROM study_wait", "report");
	assert_int_equal(COUNT("outbox WHERE kind=4"), 2); /* both are told */
}

static void test_no_sink(void **state)
{
	(void)state;
	assert_int_equal(COUNT("study_wait"), 0);
	is_open("nothing", 0, 0);
	told("{'state':'unsent','revisions':[]}");
}

/* What nobody reports on is received, and that is all. */
static void test_received_without_a_report(void **state)
{
	(void)state;
	row = study_filed(&rig, 2, 10, "{\"format\":\"unknown\"}");
	received(0);
	assert_int_equal(COUNT("study_wait WHERE study=2"), 0);
	told("{'state':'received','received':'T','revisions':[]}");
	is_open("nothing", 0, 0);
}

static void test_due_by_hours(void **state)
{
	(void)state;
	static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	int64_t now = clock_utc_us(), due;
	struct vg_civil t = clock_civil(now + 2 * 24 * RIG_HOUR);
	t.hour = t.minute = t.second = 0;
	assert_true(clock_civil_utc(&t, &due));
	unsigned day = (unsigned)(((due + 8 * RIG_HOUR) / (24 * RIG_HOUR) + 3) % 7);
	snprintf(rig.config.ecg_hours, sizeof(rig.config.ecg_hours), "%s 08:00-12:00", days[day]);
	rig.config.ecg_report_minutes = 45;
	received(0);
	assert_int_equal(rig_int(&rig, "SELECT due FROM study"), due + 8 * RIG_HOUR + 45 * MINUTE);
	is_open("waiting", 0, (due + 8 * RIG_HOUR + 45 * MINUTE - now) / MINUTE);
	assert_int_equal(COUNT("alert"), 0);
	look(60); /* it is night there */
	assert_int_equal(COUNT("alert"), 0);
	look((due + 8 * RIG_HOUR - now) / MINUTE + 47);
	assert_int_equal(COUNT("alert"), 1);
}

/* Hours that nobody understands (a check keeps them out of the file) do not stop the clock. */
static void test_due_without_hours(void **state)
{
	(void)state;
	strcpy(rig.config.ecg_hours, "whenever");
	received(0);
	assert_int_equal(rig_int(&rig, "SELECT due-received FROM study"), 30 * MINUTE);
}

/* telling */

#define ALERT                                                                                                                \
	"SELECT json_extract(body,'$.rules[0].id')||' '||severity||' '||state||' '||revision||' '||role||' '||"              \
	"recipient||' '||place||' '||coalesce(resident,'-')||' '||(SELECT name FROM device d WHERE d.id=alert.device) FROM " \
	"alert ORDER BY id DESC LIMIT 1"

static void test_not_sent(void **state)
{
	(void)state;
	assert_int_equal(look(14), 15);
	assert_int_equal(COUNT("alert"), 0);
	int64_t due = rig_int(&rig, "SELECT due_boot FROM study_wait");
	rig_script(&rig, "BEGIN");
	assert_int_equal(report_tell(&rig.gateway, rig.db, clock_utc_us(), due - 1), 0);
	assert_int_equal(COUNT("alert"), 0);
	assert_int_equal(report_tell(&rig.gateway, rig.db, clock_utc_us(), due), 0);
	assert_int_equal(COUNT("alert"), 1);
	rig_script(&rig, "ROLLBACK");
	assert_int_equal(look(15), 240); /* then the next person is told */
	expect(ALERT, "ecg-not-sent warning active 1 staff S-0001 ecg - cuff-1");
	expect("SELECT json_extract(body,'$.rules[0].text_zh') FROM alert", "心电图未送达诊断中心");
	assert_int_equal(COUNT("alert a JOIN study s ON s.uuid=a.study WHERE reading IS NULL AND "
			       "a.since>0 AND doubts='[]'"),
		1);
	assert_int_equal(COUNT("study_wait w JOIN alert a ON a.uuid=w.alert"), 1);
	expect("SELECT group_concat(kind||revision,' ') FROM outbox", "11 42");
	look(16); /* once */
	look(200);
	assert_int_equal(COUNT("alert"), 1);
	told("{'state':'unsent','revisions':[]}");
	is_open("not_sent", 0, 15);
	/* it arrives in the end: over by itself, and the report's time begins now */
	received(0);
	expect(ALERT, "ecg-not-sent warning inactive 2 staff S-0001 ecg - cuff-1");
	assert_int_equal(COUNT("alert WHERE ended IS NOT NULL"), 1);
	is_open("waiting", 0, 30);
	look(29);
	assert_int_equal(COUNT("alert"), 1);
}

/* The site wants no such alert: nothing is raised, and nobody looks for it without end. */
static void test_rule_is_off(void **state)
{
	(void)state;
	const struct alert_rule *rule = alert_rules_find(rig.gateway.rules, "ecg-not-sent");
	assert_non_null(rule);
	((struct alert_rule *)rule)->type = RULE_LIMIT;
	assert_int_equal(look(15), -1);
	assert_int_equal(COUNT("alert"), 0);
	is_open("not_sent", 0, 15);
	received(0);
	is_open("waiting", 0, 30);
}

static void test_overdue(void **state)
{
	(void)state;
	received(0);
	assert_int_equal(look(20), 30);
	look(30);
	expect(ALERT, "ecg-overdue warning active 1 staff S-0001 ecg - cuff-1");
	look(31);
	assert_int_equal(COUNT("alert"), 1);
	told("{'state':'overdue','received':'T','due':'T','revisions':[]}");
	is_open("overdue", 0, 30);
	says(REPORT_FINAL, "normal", "");
	expect(ALERT, "ecg-overdue warning inactive 2 staff S-0001 ecg - cuff-1");
	assert_int_equal(COUNT("study_wait"), 0);
	is_open("nothing", 0, 0);
	look(2000);
	assert_int_equal(COUNT("alert"), 1);
}

static void test_in_time(void **state)
{
	(void)state;
	received(0);
	says(REPORT_FINAL, "normal", "");
	assert_int_equal(look(2000), -1);
	assert_int_equal(COUNT("alert"), 0);
}

/* The report came before the receipt: nobody waits for it any more. */
static void test_report_before_receipt(void **state)
{
	(void)state;
	look(15);
	expect("SELECT state FROM alert", "active"); /* not sent */
	says(REPORT_FINAL, "normal", "");
	assert_int_equal(COUNT("study_wait"), 0); /* obviously it was */
	expect("SELECT state FROM alert", "inactive");
	received(0);
	assert_int_equal(COUNT("study_wait"), 0);
	assert_int_equal(COUNT("study WHERE due IS NULL AND received IS NOT NULL"), 1);
	/* a call about a critical value is no report */
	row = study_filed(&rig, 2, 10, STUDY_SAYS(""));
	says(REPORT_CRITICAL, "", "K 6.9");
	expect("SELECT group_concat(what) FROM study_wait", "report");
	assert_int_equal(
		rig_int(&rig, "SELECT w.due-s.due FROM study_wait w JOIN study s ON s.id=w.study"),
		0);
	int64_t due = rig_int(&rig, "SELECT due FROM study WHERE id=2");
	assert_in_range(due - clock_utc_us(), 29 * MINUTE, 30 * MINUTE);
	usleep(2000);
	received(0); /* its time began with the call */
	expect("SELECT group_concat(what) FROM study_wait", "report");
	assert_int_equal(rig_int(&rig, "SELECT due FROM study WHERE id=2"), due);
}

static void test_many_are_due(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 69; i++)
		study_filed(&rig, 100 + i, 10, STUDY_SAYS(""));
	int64_t next = look(15);
	assert_int_equal(COUNT("alert"), 64);
	assert_true(next <= 15);	 /* the rest is due, at once */
	assert_int_equal(look(15), 240); /* then the next person is told */
	assert_int_equal(COUNT("alert"), 70);
}

static void test_alerts_unwanted(void **state)
{
	(void)state;
	rig.config.alerts = false;
	look(100);
	assert_int_equal(COUNT("alert"), 0);
	assert_int_equal(COUNT("study_wait WHERE alert IS NULL"), 1);
	says(REPORT_CRITICAL, "", "K 6.9");
	assert_int_equal(COUNT("alert"), 0);
	is_open("critical_unread", 0, 0);
}

/* Time goes on while the gateway is off; what waited in another boot is told in this one. */
static void test_another_boot(void **state)
{
	(void)state;
	int64_t now = clock_utc_us(), boot_us = clock_boot_us();
	rig_script(&rig, "UPDATE study_wait SET boot_id=x'00', due_boot=9000000000000000");
	look(1000);
	assert_int_equal(COUNT("alert"), 0); /* of a clock that nobody knows any more */
	assert_int_equal(
		watch_begin(&rig.gateway, rig.db, now + 5 * MINUTE, boot_us + MINUTE, true), 0);
	assert_int_equal(look(10), 11); /* ten minutes were left */
	assert_int_equal(COUNT("alert"), 0);
	look(12);
	assert_int_equal(COUNT("alert"), 1);
	rig_script(&rig, "UPDATE study_wait SET boot_id=x'00'"); /* and once is enough */
	assert_int_equal(watch_begin(&rig.gateway, rig.db, now + 60 * MINUTE, boot_us, true), 0);
	look(2000);
	assert_int_equal(COUNT("alert"), 1);
	/* a clock that went back, or is not set: told at once */
	rig_script(&rig, "DELETE FROM alert; DELETE FROM alert_history; DELETE FROM escalation");
	rig_script(&rig, "UPDATE study_wait SET boot_id=x'00', alert=NULL");
	assert_int_equal(watch_begin(&rig.gateway, rig.db, 5 * MINUTE, boot_us, true), 0);
	look(0);
	assert_int_equal(COUNT("alert"), 1);
}

/* the centre's words */

static void test_statuses(void **state)
{
	(void)state;
	static const char *const names[] = {
		"preliminary", "final", "amended", "poor_tracing", "critical"};
	for (enum report_status s = 0; s < REPORTS; s++) {
		assert_string_equal(report_status_name(s), names[s]);
		assert_int_equal(report_status_of(names[s]), s);
	}
	assert_int_equal(report_status_of(""), REPORTS);
	assert_int_equal(report_status_of("Final"), REPORTS);
	assert_int_equal(report_status_of("finals"), REPORTS);
}

static void test_revisions(void **state)
{
	(void)state;
	received(0);
	says(REPORT_PRELIMINARY, "sinus rhythm", "");
	assert_int_equal(COUNT("study_wait"), 0);
	told("{'state':'reported','received':'T','due':'T','revisions':[{'revision':1,'status':"
	     "'preliminary','text':'sinus rhythm','by':'D-0009','at':'T'}]}");
	is_open("preliminary", 0, 0);
	says(REPORT_FINAL, "normal", "");
	is_open("nothing", 0, 0);
	says(REPORT_AMENDED, "窦性心律", "");
	told("{'state':'reported','received':'T','due':'T','revisions':[{'revision':1,'status':"
	     "'preliminary','text':'sinus rhythm','by':'D-0009','at':'T'},{'revision':2,'status':"
	     "'final','text':'normal','by':'D-0009','at':'T'},{'revision':3,'status':'amended','text':'窦性心律','by':"
	     "'D-0009','at':'T'}]}");
	expect("SELECT revision FROM study", "5"); /* received, and three words */
	expect("SELECT group_concat(kind||revision) FROM outbox", "45");
	/* another study counts for itself */
	row = study_filed(&rig, 2, 10, STUDY_SAYS(""));
	says(REPORT_FINAL, "x", "");
	expect("SELECT group_concat(study||revision,' ') FROM report", "11 12 13 21");
	assert_int_equal(COUNT("alert"), 0);
}

static void refused(enum report_status status, const char *text, const char *critical, int why)
{
	assert_int_equal(
		report_add(&rig.gateway, rig.db, row, status, text, critical, "D-0009"), why);
}

static void test_not_taken(void **state)
{
	(void)state;
	static const char *const nothing[] = {"", " ", "\n\t \r\n"};
	char text[REPORT_TEXT_MAX + 2], words[REPORT_WORDS_MAX + 2];
	for (enum report_status s = REPORT_PRELIMINARY; s <= REPORT_AMENDED; s++)
		for (size_t i = 0; i < ELEMENTS(nothing); i++)
			refused(s, nothing[i], "", -ENODATA);
	memset(text, 'x', sizeof(text));
	memset(words, 'x', sizeof(words));
	text[REPORT_TEXT_MAX + 1] = words[REPORT_WORDS_MAX + 1] = 0;
	refused(REPORT_FINAL, text, "", -EMSGSIZE);
	refused(REPORT_CRITICAL, text, "VT", -EMSGSIZE);
	refused(REPORT_CRITICAL, "", words, -EMSGSIZE);
	text[REPORT_TEXT_MAX] = words[REPORT_WORDS_MAX] = 0;
	text[5] = '"'; /* two bytes in a message */
	refused(REPORT_FINAL, text, "", -EMSGSIZE);
	text[5] = 'x';
	assert_int_equal(COUNT("report") + COUNT("alert") + COUNT("outbox"), 0);
	says(REPORT_CRITICAL, text, words);
	says(REPORT_PRELIMINARY, text, "");
	says(REPORT_PRELIMINARY, "second thoughts", "");
	says(REPORT_FINAL, "x", "");
	refused(REPORT_PRELIMINARY, "x", "", -EALREADY);
	says(REPORT_AMENDED, "x", "");
	says(REPORT_POOR_TRACING, "", "");
	refused(REPORT_PRELIMINARY, "x", "", -EALREADY);
	for (int i = 6; i < REPORT_REVISIONS_MAX; i++)
		says(REPORT_AMENDED, "x", "");
	refused(REPORT_AMENDED, "x", "", -EDQUOT);
	assert_int_equal(COUNT("report"), REPORT_REVISIONS_MAX);
	row = study_filed(&rig, 2, 10, STUDY_SAYS("")); /* another one has its own */
	says(REPORT_PRELIMINARY, "x", "");
}

static void test_poor_tracing(void **state)
{
	(void)state;
	received(0);
	says(REPORT_POOR_TRACING, "lead V3 off", "");
	assert_int_equal(COUNT("study_wait"), 0);
	told("{'state':'repeat','received':'T','due':'T','revisions':[{'revision':1,'status':"
	     "'poor_tracing','text':'lead V3 off','by':'D-0009','at':'T'}]}");
	is_open("repeat", 0, 0);
	/* one of somebody else, or one from before, is no repeat; nor is it its own, whatever our clock did */
	int64_t later = clock_utc_us() + MINUTE;
	assert_int_equal(db_run(rig.db, "UPDATE study SET arrived=? WHERE id=1", "i", later), 1);
	is_open("repeat", 0, 0);
	rig_script(&rig, "DELETE FROM binding");
	rig_bind(&rig, 2);
	study_filed(&rig, 2, 10, STUDY_SAYS(""));
	assert_int_equal(db_run(rig.db, "UPDATE study SET arrived=? WHERE id=2", "i", later), 1);
	is_open("repeat", 0, 0);
	rig_script(&rig, "UPDATE study SET resident=1, arrived=1 WHERE id=2");
	is_open("repeat", 0, 0);
	assert_int_equal(db_run(rig.db, "UPDATE study SET arrived=? WHERE id=2", "i", later), 1);
	is_open("nothing", 0, 0);
	/* nobody's: by the same cart */
	rig_script(&rig, "UPDATE study SET resident=NULL WHERE id=1");
	is_open("nothing", 0, 0);
	rig_script(&rig, "UPDATE study SET device=77 WHERE id=2");
	is_open("repeat", 0, 0);
	/* the centre could read it after all */
	says(REPORT_FINAL, "x", "");
	is_open("nothing", 0, 0);
	says(REPORT_POOR_TRACING, "", "");
	is_open("repeat", 0, 0);
}

#define DAMAGED "{\"format\":\"scp\",\"rejected\":\"structure\"}"

/* A damaged file is there to be sent again, until something comes of the same cart. */
static void test_unreadable(void **state)
{
	(void)state;
	int64_t day_min = (RIG_NOW - clock_utc_us()) / MINUTE; /* when the rig's units arrive */
	row = study_filed(&rig, 2, 10, DAMAGED);
	is_open("unreadable", day_min, 0);
	/* one of another cart is no answer, the next of this one is, damaged or not */
	int64_t other = study_new(&rig, 3, 10);
	assert_int_equal(db_run(rig.db, "UPDATE study SET device=77 WHERE id=?", "i", other), 1);
	is_open("unreadable", day_min, 0);
	other = study_filed(&rig, 4, 10, DAMAGED);
	is_open("nothing", 0, 0);
	row = other;
	is_open("unreadable", day_min, 0);
	rig_script(&rig, "UPDATE study SET test=1");
	is_open("nothing", 0, 0);
	rig_script(&rig, "UPDATE study SET test=0");
	/* the centre could read it after all */
	says(REPORT_PRELIMINARY, "x", "");
	is_open("preliminary", 0, 0);
	says(REPORT_POOR_TRACING, "", "");
	is_open("repeat", 0, 0);
	says(REPORT_FINAL, "x", "");
	is_open("nothing", 0, 0);
	/* nothing is known to be wrong with these */
	row = study_new(&rig, 5, 10);
	is_open("not_sent", 0, 15);
	row = study_filed(&rig, 6, 10, "{\"format\":\"unknown\"}");
	is_open("nothing", 0, 0);
	row = study_filed(&rig, 7, 10, NULL);
	is_open("not_sent", 0, 15);
	received(0);
	is_open("waiting", 0, 30);
	rig_script(&rig, "DELETE FROM study_wait");
	is_open("nothing", 0, 0);
}

/* critical values */

static void reads_back(const char *words, int expected)
{
	assert_int_equal(
		report_read_back(&rig.gateway, rig.db, row, words, "local:nurse"), expected);
}

#define ACKNOWLEDGED \
	"SELECT state||' '||revision||' '||coalesce(ack_author||' '||ack_outcome,'-') FROM alert"

static void test_critical(void **state)
{
	(void)state;
	received(0);
	reads_back("ventricular tachycardia", -ENOENT);
	says(REPORT_CRITICAL, "please call", "Ventricular tachycardia");
	expect("SELECT severity||' '||state||' '||role||' '||recipient||' '||resident||' '||in_contract||' '||doubts||"
	       "' '||(place IS NULL) FROM alert",
		"critical active doctor D-0001 1 1 [\"centre_report\"] 1");
	expect("SELECT body FROM alert",
		"{\"rules\":[{\"id\":\"ecg.critical\",\"statement\":\"Ventricular "
		"tachycardia\",\"text_zh\":\"心电中心报告危急值，请复述确认\",\"text_en\":\"the ECG centre "
		"reports a critical value: read it back\"}]}");
	expect("SELECT group_concat(kind||revision,' ') FROM (SELECT * FROM outbox ORDER BY id)",
		"11 43");
	/* it is a call: the report itself is still due */
	expect("SELECT what FROM study_wait", "report");
	is_open("critical_unread", 0, 0);
	told("{'state':'waiting','received':'T','due':'T','revisions':[{'revision':1,'status':"
	     "'critical','text':'please call','by':'D-0009','at':'T','critical':'Ventricular "
	     "tachycardia','readback':null}],'critical':{'text':'Ventricular tachycardia','by':"
	     "'D-0009','at':'T','readback':null}}");
	reads_back("ventricular fibrillation", -EBADMSG);
	reads_back("", -EBADMSG);
	reads_back("Ventricular tachycardia x", -EBADMSG);
	reads_back("Ventricular", -EBADMSG);
	expect("SELECT revision FROM study", "3");
	expect(ACKNOWLEDGED, "active 1 -");
	reads_back(" VENTRICULAR   tachycardia. ", 0);
	expect(ACKNOWLEDGED, "inactive 2 local:nurse read_back");
	expect("SELECT group_concat(kind||revision,' ') FROM (SELECT * FROM outbox ORDER BY id)",
		"12 44");
	expect("SELECT revision FROM study", "4");
	expect("SELECT read_back_by||(read_back_at>0) FROM report", "local:nurse1");
	is_open("waiting", 0, 30);
	reads_back("Ventricular tachycardia", -ENOENT); /* once */
	told("{'state':'waiting','received':'T','due':'T','revisions':[{'revision':1,'status':"
	     "'critical','text':'please call','by':'D-0009','at':'T','critical':'Ventricular "
	     "tachycardia','readback':{'text':' VENTRICULAR   tachycardia. ','by':'local:nurse','at':"
	     "'T'}}],'critical':{'text':'Ventricular tachycardia','by':'D-0009','at':'T','readback':{"
	     "'text':' VENTRICULAR   tachycardia. ','by':'local:nurse','at':'T'}}}");
}

/* Two of them: each is an alert, and each has to be read back, in whatever order. */
static void test_two_critical(void **state)
{
	(void)state;
	says(REPORT_CRITICAL, "", "K 6.9");
	says(REPORT_CRITICAL, "", "VT");
	assert_int_equal(COUNT("alert"), 2);
	reads_back("K 6.8", -EBADMSG);
	reads_back("K 6.9", 0);
	expect("SELECT group_concat(state||' '||json_extract(body,'$.rules[0].statement')) FROM alert",
		"inactive K 6.9,active VT"); /* the one that was read back, and not the other */
	is_open("critical_unread", 0, 0);
	told("{'state':'waiting','due':'T','revisions':[{'revision':1,'status':'critical','by':'D-"
	     "0009','at':'T','critical':'K 6.9','readback':{'text':'K 6.9','by':'local:nurse','at'"
	     ":'T'}},{'revision':2,'status':'critical','by':'D-0009','at':'T','critical':'VT','rea"
	     "dback':null}],'critical':{'text':'VT','by':'D-0009','at':'T','readback':null}}");
	reads_back("K 6.9", -EBADMSG);
	reads_back("vt", 0);
	is_open("waiting", 0, 30);
	says(REPORT_CRITICAL, "", "VT"); /* the same again is a new one */
	assert_int_equal(COUNT("alert"), 3);
	says(REPORT_CRITICAL, "", "asystole");
	reads_back("asystole", 0);
	told("{'state':'waiting','due':'T','revisions':[{'revision':1,'status':'critical','by':'D-"
	     "0009','at':'T','critical':'K 6.9','readback':{'text':'K 6.9','by':'local:nurse','at'"
	     ":'T'}},{'revision':2,'status':'critical','by':'D-0009','at':'T','critical':'VT','rea"
	     "dback':{'text':'vt','by':'local:nurse','at':'T'}},{'revision':3,'status':'critical',"
	     "'by':'D-0009','at':'T','critical':'VT','readback':null},{'revision':4,'status':'crit"
	     "ical','by':'D-0009','at':'T','critical':'asystole','readback':{'text':'asystole','by"
	     "':'local:nurse','at':'T'}}],'critical':{'text':'VT','by':'D-0009','at':'T','readback"
	     "':null}}");
	reads_back("V F", -EBADMSG);
	char padded[2 * REPORT_WORDS_MAX + 2];
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, "VT", 2);
	padded[2 * REPORT_WORDS_MAX + 1] = 0;
	reads_back(padded, -EBADMSG);
	padded[2 * REPORT_WORDS_MAX] = 0;
	reads_back(padded, 0);
}

/* Of nobody: to the site. */
static void test_critical_of_nobody(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE study SET resident=NULL");
	says(REPORT_CRITICAL, "", "VT");
	expect("SELECT role||recipient||coalesce(resident,'-') FROM alert", "staffS-0001-");
}

static void test_words(void **state)
{
	(void)state;
	static const struct {
		const char *critical, *words;
		bool same;
	} pairs[] = {
		{"K+ 6.5 mmol/l", "k+ 6.5 MMOL/L!", true},
		{"K+ 6.5 mmol/l", "k+6,5 mmol / l", true},
		{"K 6.5", "K 65", false},
		{"K 65", "K 6 5", false},
		{"HR 30, pause 4 s", "hr 30 pause 4s", true},
		{"HR 30", "HR 300", false},
		{"HR < 30", "HR > 30", false},
		{"HR < 30", "HR 30", false},
		{"VT, 12 beats", "VT 12-beats", true},
		{"V1-V4", "v1 v4", true},
		{"急性下壁心肌梗死，请立即转诊！", "急性下壁心肌梗死 请立即转诊", true},
		{"急性下壁心肌梗死", "急性前壁心肌梗死", false},
		{"心率30次/分，停搏4.2秒。", "心率 30 次/分 停搏 4.2 秒", true},
		{"停搏4.2秒", "停搏42秒", false},
		{"停搏4。2秒", "停搏4.2秒", true},
		{"“室速”（持续）", "室速 持续", true},
		{"a", "", false},
		{"a", "ab", false},
		{"a", "a\xe3\x80", false}, /* half a character is none of ours */
		{"1 2", "1-2", true},
		{"12 ", "12", true},
	};
	for (size_t i = 0; i < ELEMENTS(pairs); i++) {
		says(REPORT_CRITICAL, "", pairs[i].critical);
		int rc = report_read_back(&rig.gateway, rig.db, row, pairs[i].words, "n");
		if (rc != (pairs[i].same ? 0 : -EBADMSG))
			fail_msg("\"%s\" and \"%s\": %d", pairs[i].critical, pairs[i].words, rc);
		rig_script(&rig, "DELETE FROM report; DELETE FROM alert; DELETE FROM "
				 "alert_history; DELETE FROM escalation");
	}
}

/* All or nothing. */
static void test_a_step_fails(void **state)
{
	(void)state;
	static const char *const steps[] = {"INSERT ON report", "INSERT ON alert",
		"UPDATE ON study", "INSERT ON outbox WHEN new.kind=1",
		"INSERT ON outbox WHEN new.kind=4"};
	char trigger[160];
	struct uuid id = study_id(&rig, row);
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			steps[i]);
		rig_script(&rig, trigger);
		if (report_add(&rig.gateway, rig.db, row, REPORT_CRITICAL, "", "VT", "c") >= 0)
			fail_msg("%s", steps[i]);
		rig_script(&rig,
			"DROP TRIGGER fails; DELETE FROM report; DELETE FROM alert; DELETE FROM "
			"alert_history; DELETE FROM escalation; DELETE FROM "
			"outbox");
	}
	says(REPORT_CRITICAL, "", "VT");
	rig_script(&rig,
		"CREATE TRIGGER fails BEFORE UPDATE ON report BEGIN SELECT raise(ABORT,'x'); END");
	assert_true(report_read_back(&rig.gateway, rig.db, row, "VT", "n") < 0);
	rig_script(&rig, "DROP TRIGGER fails");
	rig_script(&rig,
		"CREATE TRIGGER fails BEFORE UPDATE ON alert BEGIN SELECT raise(ABORT,'x'); END");
	rig_script(&rig, "BEGIN");
	assert_true(report_read_back(&rig.gateway, rig.db, row, "VT", "n") < 0);
	rig_script(&rig, "ROLLBACK; DROP TRIGGER fails");
	static const char *const receiving[] = {"UPDATE OF received ON study",
		"DELETE ON study_wait", "INSERT ON study_wait", "INSERT ON outbox",
		"UPDATE ON alert", "UPDATE OF due ON study"};
	row = study_filed(&rig, 2, 10, STUDY_SAYS(""));
	id = study_id(&rig, row);
	look(20);
	for (size_t i = 0; i < ELEMENTS(receiving); i++) {
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			receiving[i]);
		rig_script(&rig, trigger);
		rig_script(&rig, "BEGIN");
		if (report_received(&rig.gateway, rig.db, 0, &id) >= 0)
			fail_msg("%s", receiving[i]);
		rig_script(&rig, "ROLLBACK; DROP TRIGGER fails");
	}
	static const char *const telling[] = {
		"INSERT ON alert", "UPDATE ON study_wait", "UPDATE ON study"};
	received(0);
	for (size_t i = 0; i < ELEMENTS(telling); i++) {
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			telling[i]);
		rig_script(&rig, trigger);
		rig_script(&rig, "BEGIN");
		int64_t alerts = rig_int(&rig, "SELECT count(*) FROM alert");
		if (report_tell(&rig.gateway, rig.db, clock_utc_us(), INT64_MAX) != 1)
			fail_msg("%s", telling[i]);
		assert_int_equal(rig_int(&rig, "SELECT count(*) FROM alert"),
			alerts); /* whole, or not at all */
		rig_script(&rig, "ROLLBACK; DROP TRIGGER fails");
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_expect),
		T(test_received),
		cmocka_unit_test_setup_teardown(test_only_the_centre, setup_two, teardown),
		cmocka_unit_test_setup_teardown(test_no_sink, setup_none, teardown),
		T(test_received_without_a_report),
		T(test_due_by_hours),
		T(test_due_without_hours),
		T(test_not_sent),
		T(test_rule_is_off),
		T(test_overdue),
		T(test_in_time),
		T(test_report_before_receipt),
		T(test_many_are_due),
		T(test_alerts_unwanted),
		T(test_another_boot),
		T(test_statuses),
		T(test_revisions),
		T(test_not_taken),
		T(test_poor_tracing),
		T(test_unreadable),
		T(test_critical),
		T(test_two_critical),
		T(test_critical_of_nobody),
		T(test_words),
		T(test_a_step_fails),
	};
	log_init("test", LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
