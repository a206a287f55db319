/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Alerts of what is no reading; and what is common to all: they move with whom they are of. */
#include "alerts_rig.h"

#include "escalate.h"
#include "merge.h"

static const struct uuid study = {{0xe, 0xc, 0x9}}, one = {{1}}, other = {{2}};

static struct raising raising(const struct filing *to, enum severity severity)
{
	return (struct raising){.id = one,
		.condition = "ecg-statement",
		.to = to,
		.study = &study,
		.severity = severity,
		.body = "{\"rules\":[{\"id\":\"x\"}]}",
		.doubts = "[\"cart_statement\"]",
		.raised_us = RIG_NOW,
		.raised_boot_us = 7};
}

static void test_raise(void **state)
{
	(void)state;
	const struct filing hers = {.who.resident = 2, .in_contract = true};
	struct raising a = raising(&hers, SEVERITY_CRITICAL);
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	expect("ecg-statement R-0002: start active 3/3 doctor cart_statement");
	expect_text("SELECT recipient||revision||(study=x'0e0c0900000000000000000000000000')||"
		    "hex(reading)||hex(shown)||readings||"
		    "(raised=1795000000000000)||raised_boot||coalesce(since,'-') FROM alert",
		"D-000211017-");
	assert_int_equal(COUNT("escalation"), 1);
	assert_int_equal(COUNT("outbox WHERE kind=1"), 1);
	/* once, whoever says it */
	a.severity = SEVERITY_WARNING;
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 0);
	assert_int_equal(COUNT("alert_history"), 1);
	/* a notice is on a list, and nobody waits for anybody */
	a = raising(&hers, SEVERITY_NOTICE);
	a.id = other;
	a.study = NULL;
	a.doubts = "[]";
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	expect_text("SELECT deliver||labels FROM alert ORDER BY id DESC", "list[]");
	assert_int_equal(COUNT("escalation"), 1);
}

/* Whose it is stands among its labels; of a place, a device or the gateway it is not asked. */
static void test_whose(void **state)
{
	(void)state;
	const struct filing nobody = {0}, former = {.who.resident = 1};
	struct raising a = raising(&nobody, SEVERITY_WARNING);
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	a.id = other;
	a.to = &former;
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	a.to = NULL;
	a.study = NULL;
	a.doubts = "[]";
	a.condition = "clock-untrusted";
	a.id.bytes[0] = 3;
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	a.place = "ecg";
	a.study = &study;
	a.id.bytes[0] = 4;
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	expect("ecg-statement -: start active 2/2 staff unassigned cart_statement\n"
	       "ecg-statement R-0001: start active 2/2 staff out_of_contract cart_statement\n"
	       "clock-untrusted -: start active 2/2 staff\n"
	       "clock-untrusted -: start active 2/2 staff");
}

static void test_over(void **state)
{
	(void)state;
	struct raising a = raising(NULL, SEVERITY_CRITICAL);
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	a.id = other;
	a.severity = SEVERITY_WARNING;
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	for (int i = 0; i < 2; i++) { /* it is over once */
		assert_int_equal(alerts_over(&rig.gateway, rig.db, &one, RIG_NOW + 5), 0);
		assert_int_equal(alerts_over(&rig.gateway, rig.db, &other, RIG_NOW + 6), 0);
	}
	expect_text(
		"SELECT group_concat(state||level||phase||revision||(ended-1795000000000000),' ') "
		"FROM alert",
		"latched0end25 inactive0end26");
	/* a warning may come again today, and rests until then */
	expect_text(
		"SELECT group_concat(hex(substr(alert,1,1))||rests) FROM (SELECT * FROM escalation "
		"ORDER BY alert)",
		"010,021");
	const struct uuid unknown = {{9}};
	assert_int_equal(alerts_over(&rig.gateway, rig.db, &unknown, 1), 0);
	assert_int_equal(alerts_move(&rig.gateway, rig.db, &unknown, &(struct filing){0}), 0);
}

/* Whoever it concerns now has not heard of it; unless somebody did something about it. */
static void test_move(void **state)
{
	(void)state;
	const struct filing nobody = {0}, hers = {.who.resident = 2, .in_contract = true};
	struct raising a = raising(&nobody, SEVERITY_CRITICAL);
	assert_int_equal(alerts_raise(&rig.gateway, rig.db, &a), 1);
	assert_int_equal(alerts_move(&rig.gateway, rig.db, &one, &hers), 0);
	expect("ecg-statement R-0002: start active 3/3 staff unassigned cart_statement; "
	       "update active 3/3 doctor cart_statement");
	acknowledge("ecg-statement");
	const struct filing his = {.who.resident = 1, .in_contract = true};
	assert_int_equal(alerts_move(&rig.gateway, rig.db, &one, &his), 0);
	expect_text("SELECT resident||recipient||phase||revision||state FROM alert",
		"1D-0002update4inactive");
	assert_int_equal(COUNT("escalation"), 0);
}

static void test_retime(void **state)
{
	(void)state;
	struct uuid a = deliver(0, 185, 95), b = deliver(60, 186, 95);
	rig_script(&rig, "UPDATE reading SET taken=77 WHERE id=1");
	assert_int_equal(alerts_retime(rig.db, &a), 0);
	expect_text("SELECT group_concat(at) FROM (SELECT * FROM alert_reading ORDER BY n)",
		"77,1795000060000000");
	/* that by which it was first critical: another one confirms it 60 s later */
	expect_text("SELECT critical_at FROM alert", "77");
	rig_script(&rig, "UPDATE reading SET taken=99 WHERE id=2");
	assert_int_equal(alerts_retime(rig.db, &b), 0);
	expect_text("SELECT critical_at FROM alert", "77");
}

static void test_merge(void **state)
{
	(void)state;
	deliver(0, 185, 95);
	rig_script(&rig, "UPDATE binding SET resident=2");
	deliver(60, 186, 95);
	rig_script(&rig, "UPDATE binding SET resident=1");
	deliver(120, 165, 95);
	/* is nothing of his, and would be of hers: nothing is judged */
	rig_script(&rig,
		"INSERT INTO personal_limit(resident,kind,side,milli,severity,author,reason,"
		"valid_from,valid_to) VALUES(2,'bp.dbp','at_most',60000,'warning','D-0002','x',0,"
		"1900000000000000)");
	deliver(130, 165, 55);
	struct merged m;
	assert_int_equal(merge_residents(&rig.gateway, rig.db, 1, 2, &m), 0);
	expect("bp-high R-0002: start active 3/3 doctor unconfirmed; deescalate active 2/3 doctor "
	       "unconfirmed downgraded; update active 2/3 doctor unconfirmed downgraded\nbp-high "
	       "R-0002: start active 3/3 doctor unconfirmed");
	expect_text("SELECT group_concat(recipient) FROM (SELECT * FROM alert ORDER BY id)",
		"D-0001,D-0002");
	assert_int_equal(COUNT("alert_reading"), 4);
	/* both stay open until each is over; the one that was raised last is it */
	rig_script(&rig, "UPDATE binding SET resident=2");
	deliver(180, 120, 80);
	expect_text("SELECT group_concat(state) FROM (SELECT * FROM alert ORDER BY id)",
		"active,latched");
	deliver(240, 120, 80);
	expect_text("SELECT group_concat(state) FROM (SELECT * FROM alert ORDER BY id)",
		"latched,latched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_raise),
		T(test_whose),
		T(test_over),
		T(test_move),
		T(test_retime),
		T(test_merge),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
