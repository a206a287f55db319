/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The site's own program: told of every page once it is committed, and of its end; once more after a crash, never lost. */
#include "alert_rig.h"

#include <sys/wait.h>

#define SECOND CLOCK_SECOND_US

static char program[128], ran[128];

/* One line for each run: its words, and what of the alert it reads. $dir is the rig's. */
static void script(const char *body)
{
	snprintf(program, sizeof(program), "%s/siren", rig.dir);
	snprintf(ran, sizeof(ran), "%s/ran", rig.dir);
	FILE *f = fopen(program, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\ndir=%s\n%s\n", rig.dir, body);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(program, 0700), 0);
	text_copy(rig.config.hook, sizeof(rig.config.hook), program, strlen(program));
	rig.config.hook_timeout_s = 30;
	notify_use(rig.gateway.notify, SECOND / 2);
	notify_follow(rig.gateway.notify);
}

#define WRITES "printf '%s,' \"$1\" \"$2\" \"${3#${3%??}}\" \"$4\" >>$dir/ran; "
#define SIREN WRITES "grep -o '\"revision\":[0-9]*' >>$dir/ran\n"

static int setup(void **state)
{
	(void)state;
	alert_rig_open(RIG_SINK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alert_rig_close();
	return 0;
}

static const char *lines(void)
{
	static char text[8192];
	FILE *f = fopen(ran, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	return text;
}

static unsigned count(const char *text)
{
	unsigned n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void at_least(unsigned n)
{
	for (int64_t end = clock_boot_us() + 60 * SECOND;
		count(lines()) < n && clock_boot_us() < end;)
		turn();
	assert_true(count(lines()) >= n);
}

/* So many lines were written, and what was told is written down. */
static void wait_for(unsigned n)
{
	at_least(n);
	turns(60000);
	assert_int_equal(count(lines()), n);
}

/* It is written down in the store. */
static void until(const char *sql, int64_t want)
{
	for (int64_t end = clock_boot_us() + 60 * SECOND;
		rig_int(&rig, sql) != want && clock_boot_us() < end;)
		turn();
	assert_int_equal(rig_int(&rig, sql), want);
}

static void expect(const char *text)
{
	wait_for(count(text));
	assert_string_equal(lines(), text);
}

static void test_pages_and_end(void **state)
{
	(void)state;
	script(SIREN);
	raise_alert(1, "critical");
	expect("critical,start,01,page,\"revision\":1\n");
	until("SELECT sounding FROM alert", 1);
	revise(1, "level=2, phase='continue'"); /* no page */
	turns(100000);
	revise(1, "pages=pages+1, step=1, phase='update'");
	expect("critical,start,01,page,\"revision\":1\ncritical,update,01,page,\"revision\":3\n");
	revise(1, "state='latched', phase='end'"); /* nobody has acknowledged it */
	turns(100000);
	revise(1, "state='inactive', phase='update', acked=1, ack_outcome='advised'");
	wait_for(3);
	assert_non_null(strstr(lines(), "\ncritical,update,01,over,\"revision\":5\n"));
	until("SELECT sounding FROM alert", 0);
	revise(1, "phase='update'");
	turns(100000);
	assert_int_equal(count(lines()), 3);
	assert_int_equal(rig_int(&rig, "SELECT hooked FROM alert"), 2);
}

/* Acknowledged while it lasts: it is quiet; and paged anew when it gets worse. */
static void test_acknowledged(void **state)
{
	(void)state;
	script(SIREN);
	raise_alert(1, "warning");
	wait_for(1);
	revise(1, "phase='update', acked=1, ack_outcome='reached'");
	wait_for(2);
	assert_non_null(strstr(lines(), "warning,update,01,over"));
	revise(1, "phase='escalate', severity='critical', acked=NULL, pages=pages+1");
	wait_for(3);
	assert_non_null(strstr(lines(), "critical,escalate,01,page"));
}

/* Critical ones first, then what is over, then the rest; each as it is by then. */
static void test_order(void **state)
{
	(void)state;
	script("[ -e $dir/go ] || { " WRITES
	       "echo >>$dir/ran; while [ ! -e $dir/go ]; do sleep 0.02; "
	       "done; exit 0; }\n" SIREN);
	raise_alert(1, "warning");
	wait_for(1);
	raise_alert(2, "warning");
	raise_alert(3, "critical");
	raise_alert(4, "warning");
	revise(2, "pages=pages+1, step=1, phase='update'");
	revise(1, "state='inactive', phase='end'");
	revise(4, "state='inactive', phase='end'"); /* over before anybody heard of it */
	raise_alert(5, "critical");
	char go[160];
	snprintf(go, sizeof(go), "%s/go", rig.dir);
	fclose(fopen(go, "we"));
	expect("warning,start,01,page,\ncritical,start,03,page,\"revision\":1\ncritical,start,05,page,"
	       "\"revision\":1\nwarning,end,01,over,\"revision\":2\nwarning,update,02,page,\"revision\":2"
	       "\n");
}

static void test_not_before(void **state)
{
	(void)state;
	char set[96];
	script(SIREN);
	raise_alert(1, "warning");
	wait_for(1);
	snprintf(set, sizeof(set), "pages=pages+1, deliver='after_quiet', not_before=%lld",
		(long long)(clock_utc_us() + 8 * SECOND));
	int64_t before = clock_boot_us();
	revise(1, set);
	turns(SECOND);
	assert_int_equal(count(lines()), 1);
	wait_for(2);
	assert_true(clock_boot_us() - before >= 7 * SECOND);
}

/* Our clock was set back since: what is told now is told now, and a morning is at most a day away. */
static void test_clock_set_back(void **state)
{
	(void)state;
	char set[96];
	int64_t now_us = clock_utc_us();
	script(SIREN);
	raise_alert(1, "critical");
	wait_for(1);
	snprintf(set, sizeof(set), "pages=pages+1, deliver='now', not_before=%lld",
		(long long)(now_us + RIG_HOUR));
	revise(1, set);
	wait_for(2);
	snprintf(set, sizeof(set), "pages=pages+1, deliver='morning', not_before=%lld",
		(long long)(now_us + 10 * 365 * 24 * RIG_HOUR));
	revise(1, set);
	wait_for(3);
	snprintf(set, sizeof(set), "pages=pages+1, deliver='morning', not_before=%lld",
		(long long)(now_us + 23 * RIG_HOUR));
	revise(1, set);
	turns(SECOND);
	assert_int_equal(count(lines()), 3);
}

/* The time is over, with what the program started; the next one is told all the same. */
static void test_time_out(void **state)
{
	(void)state;
	script("if [ $3 = 00000000000000000000000000000001 ]; then sleep 1000 & sleep 1000; fi\n" SIREN);
	rig.config.hook_timeout_s = 4;
	raise_alert(1, "warning");
	raise_alert(2, "warning");
	expect("warning,start,02,page,\"revision\":1\n");
	char detail[200];
	rig_text(&rig, detail, sizeof(detail), "SELECT detail FROM event WHERE type='hook_failed'");
	assert_string_equal(detail, "alert 00000000: it did not end in time and was killed");
	/* nobody tries a warning again before its next step; it may have begun: its end is told */
	until("SELECT hooked*10+sounding FROM alert WHERE id=1", 11);
	turns(SECOND);
	assert_int_equal(rig_int(&rig, "SELECT hooked FROM alert WHERE id=1"), 1);
	script(SIREN);
	revise(1, "pages=pages+1, step=1, phase='update'");
	wait_for(2);
	assert_non_null(strstr(lines(), "warning,update,01,page,\"revision\":2"));
}

static void test_critical_is_tried_again(void **state)
{
	(void)state;
	script(WRITES "echo >>$dir/ran; exit 7");
	int64_t before = clock_boot_us();
	raise_alert(1, "critical");
	at_least(1);
	assert_int_equal(rig_int(&rig, "SELECT hooked FROM alert"), 0);
	wait_for(4);
	assert_true(clock_boot_us() - before > 14 * SECOND / 10);
	turns(SECOND);
	assert_int_equal(count(lines()), 4); /* and no more */
	assert_int_equal(rig_int(&rig, "SELECT hooked FROM alert"), 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event WHERE type='hook_failed'"), 1);
	revise(1, "pages=pages+1, step=1, phase='update'"); /* the next step: all anew */
	wait_for(8);
	revise(1, "phase='update', acked=1, ack_outcome='advised'"); /* its end, too, four times */
	wait_for(12);
	turns(SECOND);
	assert_int_equal(count(lines()), 12);
	assert_int_equal(rig_int(&rig, "SELECT sounding FROM alert"), 0);
}

/* Somebody acknowledges it while it waits for its next try; many that fail are no more than the table holds. */
static void test_not_tried_again(void **state)
{
	(void)state;
	script(WRITES "echo >>$dir/ran; exit 7");
	notify_use(rig.gateway.notify, 4 * SECOND); /* time for what follows */
	raise_alert(1, "critical");
	wait_for(1);
	script(SIREN);
	revise(1, "phase='update', acked=1, ack_outcome='advised'");
	wait_for(2);
	assert_non_null(strstr(lines(), "critical,update,01,over"));
	turns(5 * SECOND);
	assert_int_equal(count(lines()), 2);
	script("exit 1");
	for (unsigned i = 2; i < 42; i++)
		raise_alert(i, "critical");
	for (int64_t end = clock_boot_us() + 60 * SECOND;
		rig_int(&rig, "SELECT count(*) FROM alert WHERE pages>hooked AND acked IS NULL") &&
		clock_boot_us() < end;)
		turn();
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM alert WHERE pages>hooked AND acked IS NULL"),
		0);
	/* a program that is broken is told of once in a minute */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event WHERE type='hook_failed'"), 1);
}

static void test_not_there(void **state)
{
	(void)state;
	script("exit 0");
	unlink(program);
	raise_alert(1, "warning");
	for (int64_t end = clock_boot_us() + 60 * SECOND;
		rig_int(&rig, "SELECT count(*) FROM event") < 1 && clock_boot_us() < end;)
		turn();
	char detail[200];
	rig_text(&rig, detail, sizeof(detail), "SELECT detail FROM event WHERE type='hook_failed'");
	assert_non_null(strstr(detail, "it cannot be run: No such file"));
}

/* Killed while the program runs, or before: whatever pages is told then, at least once. */
static void test_crash(void **state)
{
	(void)state;
	script("[ -e $dir/go ] || sleep 1000\n" SIREN);
	raise_alert(1, "critical");
	raise_alert(2, "warning");
	raise_alert(3, "warning");
	revise(3, "state='inactive', phase='end'");
	turns(200000);
	char go[160];
	snprintf(go, sizeof(go), "%s/go", rig.dir);
	fclose(fopen(go, "we"));
	alert_rig_again();
	expect("critical,start,01,page,\"revision\":1\nwarning,start,02,page,\"revision\":1\n");
	alert_rig_again();
	turns(200000);
	assert_int_equal(count(lines()), 2);
	revise(2, "state='inactive', phase='end'");
	wait_for(3);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody of ours is left */
}

/* Without a program nothing is written down; with one, what pages by then is told. */
static void test_configured_later(void **state)
{
	(void)state;
	raise_alert(1, "critical");
	turns(100000);
	assert_int_equal(rig_int(&rig, "SELECT hooked FROM alert"), 0);
	script(SIREN);
	wait_for(1);
	rig.config.alerts = false;
	raise_alert(2, "critical");
	turns(200000);
	assert_int_equal(count(lines()), 1);
}

static void test_plan(void **state)
{
	(void)state;
	static const char *const plans[] = {
		"EXPLAIN QUERY PLAN SELECT id,uuid,severity,phase,pages FROM alert WHERE state IN "
		"('active','latched') AND pages>hooked AND acked IS NULL AND (deliver='now' OR "
		"coalesce(not_before,0) NOT BETWEEN 5+1 AND 9) AND (severity='critical')=1 ORDER BY id",
		"EXPLAIN QUERY PLAN SELECT id,uuid,severity,phase FROM alert WHERE sounding=1 AND "
		"(state='inactive' OR acked IS NOT NULL) ORDER BY id",
		"EXPLAIN QUERY PLAN SELECT max(n) FROM alert_history",
		"EXPLAIN QUERY PLAN SELECT min(not_before) FROM alert WHERE state IN "
		"('active','latched') AND pages>hooked AND acked IS NULL AND deliver<>'now' AND "
		"not_before BETWEEN 5+1 AND 9"};
	static const char *const by[] = {"INDEX alert_open", "INDEX alert_sounding",
		"SEARCH alert_history", "INDEX alert_open"};
	for (size_t i = 0; i < ELEMENTS(plans); i++) {
		_cleanup_(row_endp) struct row *r = db_query(rig.db, plans[i], "");
		assert_int_equal(row_next(r), 1);
		if (!strstr(row_text(r, 3), by[i]))
			fail_msg("%s: %s", plans[i], row_text(r, 3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages_and_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_acknowledged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_set_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_critical_is_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configured_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plan, setup, teardown)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
