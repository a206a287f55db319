/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of alerts: what is read is what was written; which reading is shown; and what is asked of them goes by an index. */
#include "alerts_rig.h"

#include "alerts_rows.h"
#include "day.h"

static const struct uuid id = {{7}};

static struct alert_row row_of(void)
{
	struct alert_row row;
	assert_int_equal(alert_row_load(rig.db, &id, &row), 1);
	return row;
}

static struct uuid reading_id(uint8_t n)
{
	return (struct uuid){{0x52, n}};
}

/* The readings 1 to 9 were filed in this order. */
static void some_readings(void)
{
	for (uint8_t n = 1; n <= 9; n++) {
		struct uuid r = reading_id(n);
		assert_int_equal(
			db_run(rig.db,
				"INSERT INTO reading(uuid,revision,status,kind,device,evidence,grade,"
				"in_contract,test,arrived,boot_id,boot_us,taken,uncertainty_us,trust,"
				"body,content,raw,driver,tables_version,committed_boot_us) "
				"VALUES(?,1,'final','bp',1,'x','none',1,0,0,x'00',0,0,0,'live','{}',"
				"x'00',x'00','d','t',0)",
				"b", r.bytes, sizeof(r.bytes)),
			1);
	}
}

static struct alert_reading entry(uint8_t n, enum severity level, int64_t at_us)
{
	static char bodies[10][16];
	snprintf(bodies[n], sizeof(bodies[n]), "{\"n\":%d}", n);
	return (struct alert_reading){reading_id(n), level, at_us, bodies[n], "[\"late\"]"};
}

static struct alert_row raise_one(uint8_t n, struct episode e)
{
	struct alert_row row = {.id = id, .resident = 1, .condition = "bp-high", .episode = e};
	struct alert_reading r = entry(n, e.severity, 100);
	assert_int_equal(
		alert_row_raise(&rig.gateway, rig.db, &row, &r, (struct instant){RIG_NOW, 5}), 0);
	return row;
}

#define SHOWN "SELECT json_extract(body,'$.n') FROM alert"

static void join(struct alert_row *row, uint8_t n, enum severity level, int64_t at_us)
{
	struct alert_reading r = entry(n, level, at_us);
	assert_int_equal(alert_row_join(rig.db, row, &r), 0);
}

static void test_read_as_written(void **state)
{
	(void)state;
	struct alert_row none;
	assert_int_equal(alert_row_load(rig.db, &id, &none), 0);
	struct alert_row row = raise_one(1, (struct episode){.state = ALERT_ACTIVE,
						    .level = SEVERITY_CRITICAL,
						    .severity = SEVERITY_CRITICAL,
						    .labels = LABEL_UNCONFIRMED,
						    .critical_at_us = 100});
	struct alert_row read = row_of();
	assert_string_equal(read.condition, "bp-high");
	assert_string_equal(read.deliver, "now");
	assert_int_equal(read.resident, 1);
	assert_int_equal(read.shown_level, SEVERITY_CRITICAL);
	assert_true(read.has_shown && read.shown.bytes[1] == 1);
	assert_int_equal(read.episode.shown_at_us, 100);
	/* each label, each state */
	for (unsigned i = 0; i < ALERT_LABELS; i++) {
		row.episode = (struct episode){.state = (enum alert_state)(i % 3),
			.level = (enum severity)(i % 4),
			.severity = (enum severity)(i % 4),
			.labels = 1U << i,
			.critical_at_us = i};
		assert_int_equal(alert_row_write(rig.db, &row, &(struct alert_turn){0}), 0);
		read = row_of();
		assert_int_equal(read.episode.labels, 1U << i);
		assert_int_equal(read.episode.state, i % 3);
		assert_int_equal(read.episode.level, i % 4);
		assert_int_equal(read.episode.severity, i % 4);
		assert_int_equal(read.episode.critical_at_us, i);
		assert_false(read.episode.acknowledged);
	}
	row.episode.labels = (1U << ALERT_LABELS) - 1;
	assert_int_equal(alert_row_write(rig.db, &row, &(struct alert_turn){0}), 0);
	assert_int_equal(row_of().episode.labels, (1U << ALERT_LABELS) - 1);
	rig_script(&rig, "UPDATE alert SET acked=1, ack_outcome='reached'");
	assert_true(row_of().episode.acknowledged);
}

static void test_turns(void **state)
{
	(void)state;
	struct alert_row row = raise_one(1, (struct episode){.state = ALERT_ACTIVE,
						    .level = SEVERITY_WARNING,
						    .severity = SEVERITY_WARNING});
	struct uuid by = reading_id(4);
	int64_t at_us = 55;
	rig_script(&rig,
		"UPDATE alert SET acked=1, ack_author='x', ack_outcome='reached', told_day=3");
#define WRITE(...)                                                                                     \
	assert_int_equal(alert_row_write(rig.db, &row, &(struct alert_turn){__VA_ARGS__}), 0);         \
	expect_text(                                                                                   \
		"SELECT coalesce(acked,'-')||coalesce(ack_author,'-')||coalesce("                      \
		"ack_outcome,'-')||' '||told_day||' '||raised_revision||' '||"                         \
		"coalesce(ended,'-')||iif(ended_by IS NULL,'-',hex(substr(ended_by,2,1))) FROM alert", \
		expected)
	const char *expected = "1xreached 3 1 --";
	WRITE(0);
	row.episode.state = ALERT_LATCHED;
	expected = "1xreached 3 1 5504";
	WRITE(.ended_us = &at_us, .ended_by = &by);
	WRITE(0); /* nothing new: it ended then, by that */
	row.episode.state = ALERT_INACTIVE;
	at_us = 66;
	expected = "1xreached 3 1 66-";
	WRITE(.ended_us = &at_us);
	row.episode.state = ALERT_ACTIVE;
	expected = "--- 9 2 --";
	WRITE(.anew = true, .day = 9);
#undef WRITE
}

static void test_shown(void **state)
{
	(void)state;
	some_readings();
	struct alert_row row = raise_one(5, (struct episode){.state = ALERT_ACTIVE,
						    .level = SEVERITY_WARNING,
						    .severity = SEVERITY_WARNING});
	expect_text(SHOWN, "5");
	join(&row, 2, SEVERITY_WARNING, 99); /* earlier */
	expect_text(SHOWN, "5");
	join(&row, 3, SEVERITY_WARNING, 100); /* at once, and filed before */
	expect_text(SHOWN, "5");
	join(&row, 6, SEVERITY_WARNING, 100); /* at once, and filed behind */
	expect_text(SHOWN, "6");
	join(&row, 7, SEVERITY_NOTICE, 500); /* lower */
	expect_text(SHOWN, "6");
	join(&row, 1, SEVERITY_CRITICAL, 10); /* higher */
	expect_text(SHOWN, "1");
	join(&row, 8, SEVERITY_CRITICAL, 9);
	expect_text(SHOWN, "1");
	expect_text("SELECT joined||' '||readings||' '||(SELECT group_concat(n) FROM alert_reading "
		    "ORDER BY n) FROM alert",
		"7 7 6,2,3,1,4,5,7");
	/* they leave, the highest first; the first critical one that is left counts */
	enum severity left;
	static const struct {
		uint8_t n;
		enum severity left;
		int64_t critical_at_us;
		const char *shown;
	} steps[] = {{1, SEVERITY_CRITICAL, 9, "8"}, {8, SEVERITY_WARNING, 0, "6"},
		{6, SEVERITY_WARNING, 0, "5"}, {5, SEVERITY_WARNING, 0, "3"},
		{2, SEVERITY_WARNING, 0, "3"}, {3, SEVERITY_NOTICE, 0, "7"},
		{7, SEVERITY_NONE, 0, "7"}, {4, SEVERITY_NONE, 0, "7"}};
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		struct uuid r = reading_id(steps[i].n);
		assert_int_equal(alert_row_leave(rig.db, &row, &r, &left), 0);
		assert_int_equal(left, steps[i].left);
		assert_int_equal(row.episode.critical_at_us, steps[i].critical_at_us);
		expect_text(SHOWN, steps[i].shown);
	}
	expect_text("SELECT joined||' '||readings FROM alert", "7 0");
	/* numbers are not given twice */
	join(&row, 9, SEVERITY_WARNING, 1);
	expect_text("SELECT n FROM alert_reading", "8");
}

static void test_today(void **state)
{
	(void)state;
	struct alert_row row, found;
	int32_t today = day_of(RIG_NOW);
	row = raise_one(1, (struct episode){.state = ALERT_INACTIVE, .severity = SEVERITY_WARNING});
#define TODAY(resident, condition, severity, day) \
	alert_row_today(rig.db, resident, condition, severity, day, &found)
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_WARNING, today), 1);
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_NOTICE, today), 1);
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_CRITICAL, today), 0);
	assert_int_equal(TODAY(2, "bp-high", SEVERITY_WARNING, today), 0);
	assert_int_equal(TODAY(1, "bp-low", SEVERITY_WARNING, today), 0);
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_WARNING, today + 1), 0);
	/* the latest of those that are as grave */
	rig_script(&rig,
		"INSERT INTO alert(uuid,revision,resident,condition,severity,state,recipient,"
		"role,in_contract,body,doubts,raised,rules_version,told_day,readings) SELECT "
		"x'08000000000000000000000000000000',1,1,condition,'notice',state,'','',1,'{}',"
		"'[]',0,'',told_day,1 FROM alert");
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_NOTICE, today), 1);
	assert_int_equal(found.id.bytes[0], 8);
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_WARNING, today), 1);
	assert_int_equal(found.id.bytes[0], 7);
	/* not one that was withdrawn, nor one that has no reading */
	row.episode.labels = LABEL_WITHDRAWN | LABEL_VOIDED;
	assert_int_equal(alert_row_write(rig.db, &row, &(struct alert_turn){0}), 0);
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_WARNING, today), 0);
	row.episode.labels = 0;
	assert_int_equal(alert_row_write(rig.db, &row, &(struct alert_turn){0}), 0);
	rig_script(
		&rig, "UPDATE alert SET readings=0 WHERE uuid=x'07000000000000000000000000000000'");
	assert_int_equal(TODAY(1, "bp-high", SEVERITY_WARNING, today), 0);
#undef TODAY
}

/* Raised again by the same reading: of the former one nothing stays but its revisions. */
static void test_anew(void **state)
{
	(void)state;
	const struct episode e = {
		.state = ALERT_ACTIVE, .level = SEVERITY_WARNING, .severity = SEVERITY_WARNING};
	struct alert_row row = raise_one(1, e);
	join(&row, 2, SEVERITY_WARNING, 200);
	rig_script(&rig, "UPDATE alert SET acked=1, ack_author='x', ack_outcome='reached', "
			 "state='inactive', ended=5, ended_by=x'01', revision=4, phase='end'");
	raise_one(1, e);
	expect_text("SELECT revision||raised_revision||phase||state||readings||joined||(ended IS "
		    "NULL)||(ended_by IS NULL)||(acked IS NULL)||(ack_author IS NULL) FROM alert",
		"55startactive111111");
	expect_text("SELECT group_concat(hex(substr(reading,2,1))) FROM alert_reading", "01");
	expect_text(SHOWN, "1");
}

/* What is asked with each reading goes neither through the alerts nor through their readings. */
static void test_plans(void **state)
{
	(void)state;
#define PLAN(sql, expected)                                                         \
	do {                                                                        \
		_cleanup_(row_endp) struct row *r =                                 \
			db_query(rig.db, "EXPLAIN QUERY PLAN " sql, "");            \
		char text[400] = "";                                                \
		while (row_next(r) > 0) {                                           \
			size_t n = strlen(text);                                    \
			snprintf(text + n, sizeof(text) - n, "%s%s", n ? "; " : "", \
				row_text(r, 3));                                    \
		}                                                                   \
		assert_string_equal(text, expected);                                \
	} while (0)
	PLAN("SELECT uuid,condition FROM alert WHERE resident=1 AND state IN ('active','latched') "
	     "ORDER BY id",
		"SEARCH alert USING INDEX alert_open_of (resident=?)");
	PLAN("SELECT uuid FROM alert WHERE resident=1 AND condition='c' AND told_day=5 AND readings>0 "
	     "ORDER BY id DESC",
		"SEARCH alert USING INDEX alert_resident (resident=? AND condition=? AND told_day=?)");
	PLAN("SELECT 1 FROM alert_reading r CROSS JOIN alert a ON a.uuid=r.alert WHERE r.reading=x'01' AND "
	     "a.condition='c' AND a.resident IS 1 LIMIT 1",
		"SEARCH r USING COVERING INDEX alert_reading_reading (reading=?); SEARCH a USING INDEX "
		"sqlite_autoindex_alert_1 (uuid=?)");
	PLAN("SELECT uuid FROM alert WHERE ended_by=x'01' AND state='latched' AND (0=0 OR "
	     "(coalesce(resident,0)=0)=(0=1)) ORDER BY id",
		"SEARCH alert USING INDEX alert_ended_by (ended_by=?)");
	PLAN("SELECT condition FROM pending_repeat WHERE reading=x'01'",
		"SEARCH pending_repeat USING COVERING INDEX sqlite_autoindex_pending_repeat_1 "
		"(reading=?)");
	PLAN("UPDATE alert_reading SET at=1 WHERE reading=x'01'",
		"SEARCH alert_reading USING COVERING INDEX alert_reading_reading (reading=?)");
	PLAN("SELECT id,uuid FROM alert WHERE resident=1 AND state IN ('active','latched') AND id>5 "
	     "ORDER BY id LIMIT 1",
		"SEARCH alert USING INDEX alert_open_of (resident=? AND rowid>?)");
#undef PLAN
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_read_as_written),
		T(test_turns),
		T(test_shown),
		T(test_today),
		T(test_anew),
		T(test_plans),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
