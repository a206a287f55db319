/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lists of alerts, and what persons say of one: by either door, once, of what they saw. */
#include "door_rig.h"

#include "acknowledge.h"
#include "alerts.h"
#include "escalate.h"

static struct uuid id, reading;
static char name[33]; /* of the alert */

static int setup(void **state)
{
	(void)state;
	door_open(RIG_SINK);
	rig_residents(&rig);
	rig_bind(&rig, 1);
	door_author = "local:nurse/D-0001";
	return 0;
}

/* An alert by hand, of a condition that no rule knows, so that no reading has a say in it. */
static void raise_alert(const char *condition, const char *severity, const char *state)
{
	static int n;
	char identity[16];
	snprintf(identity, sizeof(identity), "r%d", n++);
	reading = rig_bp(&rig, (struct rig_bp){120, 78, 70, .identity = identity});
	id = uuid_of("alert", reading.bytes, sizeof(reading.bytes));
	hex(name, id.bytes, sizeof(id.bytes));
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO alert(uuid,revision,reading,shown,resident,severity,state,recipient,"
			"role,in_contract,body,doubts,raised,rules_version,condition,level,readings,joined) "
			"VALUES(?1,0,?2,?2,1,?3,?4,'','',1,'{\"rules\":[{\"id\":\"r-1\"}]}','[]',?5,'1',?6,"
			"3,1,1)",
			"bbttit", id.bytes, sizeof(id.bytes), reading.bytes, sizeof(reading.bytes),
			severity, state, clock_utc_us(), condition),
		1);
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO alert_reading(alert,reading,n,level,at,body,doubts) "
			"VALUES(?,?,1,3,5,'{}','[]')",
			"bb", id.bytes, sizeof(id.bytes), reading.bytes, sizeof(reading.bytes)),
		1);
	assert_int_equal(escalate_begin(&rig.gateway, rig.db, &id, 0), 0);
	assert_true(alerts_revise(&rig.gateway, rig.db, &id, PHASE_START, NULL, NULL) >= 0);
}

static void revise(enum alert_phase phase)
{
	assert_true(alerts_revise(&rig.gateway, rig.db, &id, phase, NULL, NULL) >= 0);
}

static void give_ack(const char *outcome)
{
	give_json("ack", json_pack("{s:s,s:s}", "alert", name, "outcome", outcome));
}

static void by_platform(const char *author)
{
	door_platform = "platform";
	door_author = author;
}

#define ALERT                                                                           \
	"SELECT state||' '||revision||' '||phase||' '||coalesce(ack_author,'-')||' '||" \
	"coalesce(ack_outcome,'-')||' '||(acked IS NOT NULL) FROM alert ORDER BY id DESC"
#define SAID                                                                                       \
	"SELECT coalesce(group_concat(revision||' '||ack_author||' '||ack_outcome,', '),'') FROM " \
	"alert_history WHERE ack_outcome IS NOT NULL"

static void test_outcomes(void **state)
{
	static const char *const outcomes[] = {"reached", "advised", "referred"};
	(void)state;
	for (size_t i = 0; i < ELEMENTS(outcomes); i++) {
		char expected[80];
		raise_alert("one", "critical", "active");
		give_ack(outcomes[i]);
		/* it stays active until it is over */
		assert_string_equal(text_in(done(), "state"), "active");
		assert_string_equal(text_in(done(), "by"), "local:nurse/D-0001");
		assert_int_equal(int_in(done(), "revision"), 2);
		snprintf(expected, sizeof(expected), "active 2 update local:nurse/D-0001 %s 1",
			outcomes[i]);
		expect(ALERT, expected);
		assert_int_equal(ROWS("escalation"), 0);
		assert_int_equal(
			rig_int(&rig, "SELECT revision FROM outbox WHERE kind=1 ORDER BY id DESC"),
			2);
		expect("SELECT action||' '||detail FROM audit ORDER BY id DESC",
			i == 0	 ? "ack reached"
			: i == 1 ? "ack advised"
				 : "ack referred");
	}
	expect(SAID,
		"2 local:nurse/D-0001 reached, 2 local:nurse/D-0001 advised, 2 local:nurse/D-0001 "
		"referred");
}

static void test_latched(void **state)
{
	(void)state;
	raise_alert("one", "critical", "latched");
	give_ack("reached");
	assert_string_equal(text_in(done(), "state"), "inactive");
	/* one that is over and that nobody saw: whoever saw it says so */
	raise_alert("one", "warning", "inactive");
	give_ack("advised");
	expect(ALERT, "inactive 2 update local:nurse/D-0001 advised 1");
	/* nobody's ends by nothing else; a technical one by itself only */
	raise_alert("one", "critical", "active");
	rig_script(&rig, "UPDATE alert SET resident=NULL");
	give_ack("reached");
	expect(ALERT, "inactive 2 update local:nurse/D-0001 reached 1");
	raise_alert("fridge-warm", "critical", "active");
	rig_script(&rig,
		"UPDATE alert SET resident=NULL, place='fridge'; INSERT INTO condition(device,rule,since,"
		"boot_id,due_boot,due,body,alert) SELECT 1,'fridge-warm',0,x'00',0,0,'{}',max(uuid) FROM "
		"alert WHERE condition='fridge-warm'");
	give_ack("reached");
	expect(ALERT, "active 2 update local:nurse/D-0001 reached 1");
	raise_alert("fridge-warm", "critical", "latched");
	rig_script(&rig, "UPDATE alert SET resident=NULL, place='fridge'");
	give_ack("reached");
	expect(ALERT, "inactive 2 update local:nurse/D-0001 reached 1");
}

static void test_not_reached(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	give_ack("not_reached");
	expect(ALERT, "active 2 update local:nurse/D-0001 not_reached 0");
	assert_int_equal(ROWS("escalation"), 1); /* it goes on */
	door_author = "local:nurse/D-0002";
	give_ack("not_reached");
	give_ack("reached");
	expect(ALERT, "active 4 update local:nurse/D-0002 reached 1");
	expect(SAID, "2 local:nurse/D-0001 not_reached, 3 local:nurse/D-0002 not_reached, 4 "
		     "local:nurse/D-0002 reached");
	assert_int_equal(ROWS("escalation"), 0);
	raise_alert("one", "critical", "latched");
	give_ack("not_reached");
	expect(ALERT, "latched 2 update local:nurse/D-0002 not_reached 0");
}

/* Two doors, and a line that was down: the first counts, and both are written down. */
static void test_already(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	give_ack("reached");
	done();
	give_ack("referred");
	refused("already_acknowledged");
	give_ack("nonsense"); /* said before anything about the outcome */
	refused("already_acknowledged");
	by_platform("platform:platform/D-0002");
	give_ack("referred");
	assert_true(json_is_true(json_object_get(done(), "already")));
	assert_string_equal(text_in(done(), "by"), "local:nurse/D-0001");
	assert_string_equal(text_in(done(), "outcome"), "reached");
	assert_string_equal(text_in(done(), "state"), "active");
	assert_true(strlen(text_in(done(), "at")) > 10);
	expect(ALERT, "active 2 update local:nurse/D-0001 reached 1");
	expect(SAID, "2 local:nurse/D-0001 reached");
	expect("SELECT group_concat(author||' '||detail,', ') FROM (SELECT * FROM audit ORDER BY id)",
		"local:nurse/D-0001 reached, platform:platform/D-0002 referred, after reached");
}

static void test_outdated(void **state)
{
	(void)state;
	raise_alert("one", "warning", "active");
	revise(PHASE_CONTINUE);
	revise(PHASE_ESCALATE); /* the third */
	revise(PHASE_UPDATE);
#define SEEN(n)          \
	give_json("ack", \
		json_pack("{s:s,s:s,s:i}", "alert", name, "outcome", "reached", "revision", n))
	SEEN(2);
	refused("outdated");
	SEEN(1);
	refused("outdated");
	expect(ALERT, "active 4 update - - 0");
	give_json("ack",
		json_pack("{s:s,s:s,s:s}", "alert", name, "outcome", "reached", "revision", "4"));
	refused("bad_value");
	SEEN(0);
	refused("bad_value");
	SEEN(-1);
	refused("bad_value");
	/* outdated is said before the outcome is looked at */
	give_json("ack", json_pack("{s:s,s:s,s:i}", "alert", name, "outcome", "x", "revision", 2));
	refused("outdated");
	SEEN(3);
	expect(ALERT, "active 5 update local:nurse/D-0001 reached 1");
	/* raised anew by the same reading */
	raise_alert("two", "critical", "active");
	revise(PHASE_END);
	revise(PHASE_START);
	SEEN(2);
	refused("outdated");
	SEEN(3);
	done();
	/* another critical value that the person has not seen; one that is critical no more is no reason */
	raise_alert("three", "critical", "active");
	revise(PHASE_CONTINUE);
	rig_script(&rig, "UPDATE alert SET level=2");
	revise(PHASE_CONTINUE);
	revise(PHASE_DEESCALATE);
	SEEN(1);
	refused("outdated");
	SEEN(2);
	done();
}

static void test_refused(void **state)
{
	static const char *const wrong[] = {"", "reach", "Reached", "reached ", "read_back"};
	(void)state;
	raise_alert("one", "critical", "active");
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		give_ack(wrong[i]);
		refused("bad_value");
	}
	give("ack", "{'alert':'00000000','outcome':'reached'}");
	refused("unknown_alert");
	give("ack", "{'alert':'0','outcome':'reached'}");
	refused("bad_id");
	give("ack", "{'outcome':'reached'}");
	refused("bad_id");
	expect(ALERT, "active 1 start - - 0");
	assert_int_equal(ROWS("audit"), 0);
	/* by its beginning */
	name[8] = 0;
	give_ack("reached");
	assert_int_equal(strlen(text_in(done(), "alert")), 32);
}

static void test_who(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	by_platform("platform:platform");
	give_ack("reached");
	refused("who_missing");
	by_platform("platform:platform/");
	give_ack("reached");
	refused("who_missing");
	by_platform("platform:platform/D-9999");
	give_ack("reached");
	refused("unknown_person");
	by_platform("platform:platform/D-0002"); /* a doctor, of whomever */
	give_ack("not_reached");
	done();
	by_platform("platform:platform/S-0001");
	give_ack("reached");
	expect(ALERT, "active 3 update platform:platform/S-0001 reached 1");
	/* by the local door the user is somebody */
	raise_alert("one", "critical", "active");
	door_platform = NULL;
	door_author = "local:nurse";
	give_ack("reached");
	expect(ALERT, "active 2 update local:nurse reached 1");
}

/* A critical value of the ECG centre: only who read it back has heard it. */
static void test_read_back(void **state)
{
	(void)state;
	raise_alert("ecg", "critical", "active");
	rig_script(&rig, "UPDATE alert SET study=x'c0ffee00c0ffee00c0ffee00c0ffee00', "
			 "body='{\"rules\":[{\"id\":\"ecg.critical\"}]}'");
	give_ack("reached");
	const json_t *error = refused("read_it_back");
	assert_non_null(strstr(text_in(error, "en"), "c0ffee00"));
	give_ack("artefact");
	refused("read_it_back");
	give_ack("not_reached");
	done();
	assert_int_equal(acknowledge_alert(&rig.gateway, rig.db, &id, "local:d", "read_back"), 1);
	expect(ALERT, "active 3 update local:d read_back 1");
	assert_int_equal(acknowledge_alert(&rig.gateway, rig.db, &id, "local:e", "read_back"), 0);
}

static void test_artefact(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	struct uuid first = id, shown = reading;
	raise_alert("three", "critical", "active"); /* of the same reading, too */
	assert_int_equal(
		db_run(rig.db,
			"INSERT INTO alert_reading(alert,reading,n,level,at,body,doubts) "
			"VALUES(?,?,2,3,6,'{}','[]')",
			"bb", id.bytes, sizeof(id.bytes), shown.bytes, sizeof(shown.bytes)),
		1);
	rig_script(&rig, "UPDATE alert SET readings=2, joined=2 WHERE id=2");
	hex(name, first.bytes, sizeof(first.bytes));
	give_ack("artefact");
	assert_string_equal(text_in(done(), "state"), "inactive");
	/* one revision; withdrawn, not acknowledged */
	expect("SELECT state||' '||revision||' '||phase||' '||labels||' '||ack_outcome||' '||(acked IS "
	       "NULL) FROM alert WHERE id=1",
		"inactive 2 end [\"withdrawn\",\"artefact\"] artefact 1");
	expect(SAID, "2 local:nurse/D-0001 artefact");
	expect("SELECT status||' '||json_extract(body,'$.notes.voided') FROM reading WHERE uuid=(SELECT "
	       "shown FROM alert WHERE id=1) AND superseded=0",
		"entered-in-error artefact");
	/* the other alert has one that is left, and stays as it was for whoever has to do with it */
	expect("SELECT state||' '||(acked IS NULL)||' '||readings FROM alert WHERE id=2",
		"active 1 1");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM escalation"), 1);
	give_ack("artefact");
	refused("already_so");
	/* what it shows is another's by now: not for us to void */
	hex(name, id.bytes, sizeof(id.bytes));
	rig_script(&rig,
		"UPDATE alert_reading SET reading=x'07' WHERE alert=(SELECT uuid FROM alert "
		"WHERE id=2)");
	give_ack("artefact");
	refused("already_so");
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM reading WHERE status='entered-in-error'"), 1);
	/* what is not a measurement */
	hex(name, id.bytes, sizeof(id.bytes));
	rig_script(&rig, "UPDATE alert SET place='fridge' WHERE id=2");
	give_ack("artefact");
	refused("already_so");
}

/* Over and never acknowledged. */
static void test_artefact_closed(void **state)
{
	(void)state;
	raise_alert("one", "warning", "inactive");
	give_ack("artefact");
	expect(ALERT, "inactive 2 end local:nurse/D-0001 artefact 0");
	expect("SELECT labels FROM alert", "[\"withdrawn\",\"artefact\"]");
	expect(SAID, "2 local:nurse/D-0001 artefact");
	raise_alert("one", "warning", "inactive");
	rig_script(&rig,
		"INSERT INTO alert_reading(alert,reading,n,level,at,body,doubts) SELECT uuid,x'01',2,2,1,"
		"'{}','[]' FROM alert WHERE id=2; UPDATE alert SET readings=2 WHERE id=2");
	give_ack("artefact");
	expect(ALERT, "inactive 2 update local:nurse/D-0001 artefact 0");
	expect("SELECT labels FROM alert WHERE id=2", "[]");
}

static void test_read(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	by_platform("platform:platform/D-0001");
	give_json("alert_read", json_pack("{s:s}", "alert", name));
	assert_string_equal(text_in(done(), "by"), "platform:platform/D-0001");
	by_platform("platform:platform/D-0002");
	give_json("alert_read", json_pack("{s:s}", "alert", name));
	assert_string_equal(text_in(done(), "by"), "platform:platform/D-0001"); /* the first */
	expect(ALERT, "active 1 start - - 0");
	assert_int_equal(ROWS("audit"), 1);
	assert_int_equal(ROWS("escalation"), 1); /* who looks has not acted */
	give("alert_read", "{'alert':'00000000'}");
	refused("unknown_alert");
}

/* lists */

/* "one queued, .." of the list. */
static void listed(const char *args, const char *expected)
{
	char text[400] = "";
	const json_t *a;
	size_t i, n = 0;
	give("alerts", args);
	json_array_foreach(json_object_get(done(), "alerts"), i, a)
	{
		_cleanup_(row_endp) struct row *r =
			db_query(rig.db, "SELECT condition FROM alert WHERE hex(uuid)=upper(?)",
				"t", text_in(a, "id"));
		assert_int_equal(row_next(r), 1);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s", i ? ", " : "",
			row_text(r, 0), text_in(a, "delivery"));
	}
	assert_string_equal(text, expected);
}

static void test_lists(void **state)
{
	(void)state;
	listed("{}", "");
	raise_alert("one", "critical", "active");
	raise_alert("two", "critical", "latched");
	raise_alert("three", "warning", "inactive");
	raise_alert("four", "critical", "active");
	rig_script(&rig,
		"UPDATE alert SET resident=2, raised=raised-86400000000 WHERE condition='two';"
		"UPDATE alert SET resident=NULL, deliver='morning' WHERE condition='four'");
	listed("{}", "four queued, two queued, one queued");
	listed("{'all':true}", "four queued, three queued, two queued, one queued");
	listed("{'limit':2}", "four queued, two queued");
	listed("{'all':true,'limit':1}", "four queued");
	listed("{'limit':0}", "four queued");
	listed("{'after':2}", "four queued");
	listed("{'resident':'R-0001'}", "one queued");
	listed("{'resident':'R-0001','all':true}", "three queued, one queued");
	listed("{'resident':'R-0002','all':true}", "two queued");
	listed("{'resident':'-'}", "four queued");
	listed("{'resident':'-','all':true}", "four queued");
	listed("{'morning':true}", "four queued");
	listed("{'morning':true,'resident':'R-0001'}", "");
	/* since: by when they were raised */
	char since[20];
	struct vg_civil c = clock_civil(clock_utc_us() - 3600 * CLOCK_SECOND_US);
	give_json("alerts", json_pack("{s:s}", "since", clock_civil_text(since, &c)));
	assert_int_equal(json_array_size(json_object_get(done(), "alerts")), 2);
	give("alerts", "{'since':'yesterday'}");
	refused("bad_value");
	give("alerts", "{'resident':'R-9999'}");
	refused("unknown_resident");
	/* what was acknowledged stays until it is over, and is cleared from the morning's list */
	hex(name, id.bytes, sizeof(id.bytes));
	rig_script(&rig, "UPDATE alert SET resident=1 WHERE condition='four'");
	give_ack("reached");
	listed("{'morning':true}", "");
	listed("{'resident':'R-0001'}", "four acknowledged, one queued");
}

static void test_delivery(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	listed("{}", "one queued");
	rig_script(&rig, "UPDATE alert SET sent=1");
	listed("{}", "one sent");
	rig_script(&rig, "UPDATE alert SET receipted=1");
	listed("{}", "one at_platform");
	give_json("alert_read", json_pack("{s:s}", "alert", name));
	listed("{}", "one read");
	const json_t *a = json_array_get(json_object_get(done(), "alerts"), 0);
	assert_string_equal(text_in(json_object_get(a, "read"), "by"), "local:nurse/D-0001");
	give_ack("not_reached");
	listed("{}", "one read");
	give_ack("reached");
	listed("{}", "one acknowledged");
}

static void test_history(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	give_ack("not_reached");
	give_ack("reached");
	give_json("alerts", json_pack("{s:s}", "history", name));
	const json_t *h = json_object_get(done(), "history");
	assert_string_equal(text_in(json_object_get(done(), "alert"), "id"), name);
	assert_string_equal(text_in(json_object_get(done(), "alert"), "delivery"), "acknowledged");
	assert_int_equal(json_array_size(h), 3);
	const json_t *e = json_array_get(h, 0);
	assert_string_equal(text_in(e, "phase"), "start");
	assert_string_equal(text_in(e, "severity"), "critical");
	assert_string_equal(text_in(e, "level"), "critical");
	assert_string_equal(text_in(e, "to"), "D-0001");
	assert_string_equal(text_in(e, "role"), "doctor");
	assert_string_equal(text_in(e, "deliver"), "now");
	assert_int_equal(int_in(e, "revision"), 1);
	assert_null(json_object_get(e, "ack"));
	assert_string_equal(
		text_in(json_object_get(json_array_get(h, 1), "ack"), "outcome"), "not_reached");
	assert_string_equal(
		text_in(json_object_get(json_array_get(h, 2), "ack"), "by"), "local:nurse/D-0001");
	/* told by a clock that was not set */
	rig_script(&rig, "UPDATE alert_history SET at=600000000 WHERE revision=2");
	give_json("alerts", json_pack("{s:s}", "history", name));
	h = json_object_get(done(), "history");
	assert_true(json_is_null(json_object_get(json_array_get(h, 1), "at")));
	assert_true(json_is_string(json_object_get(json_array_get(h, 2), "at")));
	give("alerts", "{'history':'00000000'}");
	refused("unknown_alert");
}

/* A transaction that fails leaves nothing of it. */
static void test_rolled_back(void **state)
{
	(void)state;
	raise_alert("one", "critical", "active");
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(acknowledge_alert(&rig.gateway, rig.db, &id, "local:d", "reached"), 1);
	rig_script(&rig, "ROLLBACK");
	expect(ALERT, "active 1 start - - 0");
	assert_int_equal(ROWS("escalation"), 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		T(test_outcomes),
		T(test_latched),
		T(test_not_reached),
		T(test_already),
		T(test_outdated),
		T(test_refused),
		T(test_who),
		T(test_read_back),
		T(test_artefact),
		T(test_artefact_closed),
		T(test_read),
		T(test_lists),
		T(test_delivery),
		T(test_history),
		T(test_rolled_back),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("alert_command", tests, NULL, NULL);
}
