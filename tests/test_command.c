/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands, by both doors: what they do, what they refuse and how they say it, and who did it. */
#include "command_rig.h"

#include <signal.h>
#include <sys/resource.h>

/* the doors */

static void test_malformed(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "{", "null", "7", "[]", "{}", "{\"cmd\":7}",
		"{\"cmd\":\"status\",\"cmd\":\"status\"}", "{\"cmd\":\"status\"} x", "\xff\xfe",
		"{\"cmd\":null,\"args\":{}}"};
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		ask_raw(texts[i], strlen(texts[i]));
		refused("malformed");
	}
	char deep[60000];
	memset(deep, '[', sizeof(deep));
	ask_raw(deep, sizeof(deep));
	refused("malformed");
	ask("fly", "{}");
	refused("unknown_command");
	/* arguments of a wrong kind are no arguments */
	ask("readings", "[]");
	result();
	ask("readings", "{'limit':'many','after':{},'resident':7}");
	result();
	assert_int_equal(COUNT("audit"), 0);
}

static void test_every_query(void **state)
{
	(void)state;
	static const char *const queries[] = {
		"status", "devices", "readings", "unassigned", "alerts", "events"};
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ELEMENTS(queries); i++) {
			ask(queries[i], "{}");
			assert_true(json_object_size(result()) > 0);
			ask(queries[i], "{'limit':1,'after':0,'all':true}");
			result();
		}
		/* the second time with something of each */
		rig_residents(&rig);
		rig_bind(&rig, 2);
		rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
		rig_script(&rig, "DELETE FROM binding");
		rig_bp(&rig, (struct rig_bp){191, 95, 70, .identity = "2"});
		intake_event(
			&rig.gateway, rig.db, rig.cuff, "device_error", "E1", NULL, RIG_NOW, true);
		rig_script(&rig, "UPDATE outbox SET state=3, reason='no such resident' WHERE id=1");
		rig_bind(&rig, 1);
		if (round)
			break;
		ask("readings", "{'resident':'R-0002'}");
		assert_int_equal(json_array_size(json_object_get(result(), "readings")), 1);
		ask("followup", "{'resident':'R-0002'}");
		assert_int_equal(json_array_size(json_object_get(result(), "forms")), 2);
		ask("status", "{}");
		const json_t *rejected = json_array_get(json_object_get(result(), "rejected"), 0);
		assert_string_equal(text_of(rejected, "reason"), "no such resident");
		assert_string_equal(text_of(rejected, "sink"), "platform");
		assert_string_equal(text_of(rejected, "object"), "reading");
		ask("devices", "{}");
		const json_t *device = json_array_get(json_object_get(result(), "devices"), 0);
		assert_string_equal(text_of(device, "bound_to"), "R-0001");
		ask("unassigned", "{}");
		assert_int_equal(json_integer_value(json_object_get(result(), "total")), 1);
		rig_script(&rig, "DELETE FROM resident");
	}
	ask("followup", "{}");
	refused("unknown_resident");
	ask("readings", "{'resident':'R-0099'}");
	refused("unknown_resident");
}

static void test_pages(void **state)
{
	(void)state;
	rig_script(&rig, "BEGIN");
	for (int i = 0; i < 600; i++) {
		struct unit *u = rig_unit(&rig);
		rig_add(&rig, u, &(struct rig_bp){120, 80, 70, .identity = NULL});
		assert_int_equal(intake_unit(&rig.gateway, rig.db, u), 0);
		unit_free(u);
	}
	rig_script(&rig, "COMMIT");
	ask("readings", "{}");
	assert_int_equal(json_array_size(json_object_get(result(), "readings")), 50);
	ask("readings", "{'limit':100000}");
	assert_int_equal(json_array_size(json_object_get(result(), "readings")), 500);
	ask("readings", "{'limit':-5}");
	assert_int_equal(json_array_size(json_object_get(result(), "readings")), 1);
	ask("readings", "{'after':590,'limit':500}");
	const json_t *list = json_object_get(result(), "readings");
	assert_int_equal(json_array_size(list), 10);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "seq")), 591);
}

/* A command of the platform that comes twice acts once: its first reply holds. */
static void test_platform_twice(void **state)
{
	(void)state;
	static const char bind[] =
		"{\"v\":1,\"id\":\"p-1\",\"cmd\":\"bind\",\"by\":\"D-0001\",\"args\":"
		"{\"device\":\"cuff-1\",\"resident\":\"R-0001\"}}";
	static const char nameless[] = "{\"v\":1,\"cmd\":\"bind\",\"args\":{\"device\":\"cuff-1\","
				       "\"resident\":\"R-0002\"}}";
	rig_residents(&rig);
	for (int i = 0; i < 3; i++) {
		command_from_platform(&rig.gateway, 0, bind, strlen(bind));
		command_from_platform(&rig.gateway, 0, nameless, strlen(nameless));
	}
	ask("status", "{}"); /* behind them all */
	assert_int_equal(COUNT("binding"), 1);
	assert_int_equal(COUNT("command"), 1);
	expect_text("SELECT author||action||object||detail FROM audit",
		"platform:platform/D-0001bindcuff-1R-0001");
	assert_int_equal(COUNT("audit"), 1);
}

/* What was not committed was not done, and says so under the command's own id. */
static void test_not_stored(void **state)
{
	(void)state;
	struct rlimit was, none = {0, RLIM_INFINITY};
	rig_residents(&rig);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_IGN);
	fflush(NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	ask("bind", "{'device':'cuff-1','resident':'R-0001'}");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	refused("not_stored");
	assert_string_equal(text_of(last, "id"), "c-1");
	assert_int_equal(COUNT("binding"), 0);
	assert_int_equal(COUNT("audit"), 0);
	ask("bind", "{'device':'cuff-1','resident':'R-0001'}");
	result();
}

/* alerts */

static void test_ack(void **state)
{
	(void)state;
	char id[40], args[128];
	rig_residents(&rig);
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
	rig_text(&rig, id, sizeof(id), "SELECT lower(hex(uuid)) FROM alert");
	ask("ack", "{'alert':'00','outcome':'reached'}");
	refused("bad_id");
	ask("ack", "{'alert':'wxyz','outcome':'reached'}");
	refused("bad_id");
	ask("ack", "{'outcome':'reached'}");
	refused("bad_id");
	snprintf(args, sizeof(args), "{'alert':'%.3s%c','outcome':'reached'}", id,
		id[3] == '0' ? '1' : '0');
	ask("ack", args);
	refused("unknown_alert");
	/* nobody was reached: still in danger */
	snprintf(args, sizeof(args), "{'alert':'%.8s','outcome':'not_reached'}", id);
	ask("ack", args);
	assert_string_equal(text_of(result(), "state"), "active");
	assert_string_equal(text_of(result(), "outcome"), "not_reached");
	expect_text("SELECT state||revision||ack_outcome FROM alert", "active2not_reached");
	snprintf(args, sizeof(args), "{'alert':'%s','outcome':'advised'}", id);
	ask("ack", args);
	assert_string_equal(text_of(result(), "alert"), id);
	expect_text("SELECT state||revision||ack_author FROM alert", "inactive3local:nurse");
	expect_text("SELECT group_concat(author||action||detail) FROM audit",
		"local:nurseacknot_reached,local:nurseackadvised");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=1"), 1);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM outbox WHERE kind=1 AND lane=0"), 3);
	ask("ack", args);
	refused("already_acknowledged");
	assert_int_equal(COUNT("audit"), 2);
	ask("alerts", "{}");
	assert_int_equal(json_array_size(json_object_get(result(), "alerts")), 0);
	ask("alerts", "{'all':true}");
	assert_int_equal(json_array_size(json_object_get(result(), "alerts")), 1);
}

static void test_ambiguous_id(void **state)
{
	(void)state;
	rig_residents(&rig);
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
	rig_bp(&rig, (struct rig_bp){191, 95, 70, .identity = "2"});
	rig_script(&rig,
		"UPDATE reading SET uuid=CAST(x'abcd0000000000000000000000000000' AS BLOB) WHERE id=1");
	rig_script(&rig,
		"UPDATE reading SET uuid=CAST(x'abcd0000000000000000000000000001' AS BLOB) WHERE id=2");
	ask("assign", "{'reading':'abcd','resident':'R-0001'}");
	refused("ambiguous_id");
	ask("assign", "{'reading':'abcd0000000000000000000000000001','resident':'R-0001'}");
	result();
	expect_text("SELECT hex(uuid) FROM reading WHERE revision=2",
		"ABCD0000000000000000000000000001");
}

/* residents */

static void test_assign(void **state)
{
	(void)state;
	char id[40], args[128];
	rig_residents(&rig);
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
	rig_text(&rig, id, sizeof(id), "SELECT lower(hex(uuid)) FROM reading");
	snprintf(args, sizeof(args), "{'reading':'%s','resident':'R-0077'}", id);
	ask("assign", args);
	refused("unknown_resident");
	ask("assign", "{'reading':'ffffffffffff','resident':'R-0001'}");
	refused("unknown_id");
	snprintf(args, sizeof(args), "{'reading':'%s','resident':'R-0001'}", id);
	rig_script(&rig, "UPDATE resident SET state='withdrawn' WHERE token='R-0001'");
	ask("assign", args);
	refused("not_active");
	rig_script(&rig, "UPDATE resident SET state='active' WHERE token='R-0001'");
	ask("assign", args);
	assert_string_equal(text_of(result(), "resident"), "R-0001");
	ask("assign", args);
	refused("already_so");
	snprintf(args, sizeof(args), "{'reading':'%s','resident':'-'}", id);
	ask("assign", args);
	assert_true(json_is_null(json_object_get(result(), "resident")));
	expect_text("SELECT group_concat(author||action||detail) FROM audit",
		"local:nurseassignR-0001,local:nurseassign-");
	rig_script(&rig, "UPDATE reading SET test=1");
	snprintf(args, sizeof(args), "{'reading':'%s','resident':'R-0002'}", id);
	ask("assign", args);
	refused("test_reading");
	rig_script(&rig, "UPDATE reading SET test=0, evidence='place'");
	ask("assign", args);
	refused("place_reading");
}

static void test_bind(void **state)
{
	(void)state;
	rig_residents(&rig);
	ask("bind", "{'device':'cuff-9','resident':'R-0001'}");
	refused("unknown_device");
	ask("bind", "{'device':'cuff-1','resident':'R-0099'}");
	refused("unknown_resident");
	ask("bind", "{'device':'cuff-1','resident':'R-0001','from':'2026-11-01'}");
	result();
	ask("bind", "{'device':'cuff-1','resident':'R-0002','from':'2026-11-10T08:00:00'}");
	result();
	expect_text(
		"SELECT group_concat(resident||coalesce(user_slot,'-')||(valid_to IS NULL),' ') FROM binding",
		"1-0 2-1");
	assert_int_equal(
		rig_int(&rig,
			"SELECT count(*) FROM binding a JOIN binding b ON a.valid_to=b.valid_from"),
		1);
	/* slots stand beside each other; the whole device ends them all */
	ask("bind", "{'device':'cuff-1','resident':'R-0001','slot':1,'from':'2026-11-11T08:00'}");
	result();
	ask("bind", "{'device':'cuff-1','resident':'R-0002','slot':2,'from':'2026-11-11T08:00'}");
	result();
	expect_text(
		"SELECT group_concat(resident||coalesce(user_slot,'-')) FROM binding WHERE valid_to IS NULL",
		"11,22");
	ask("bind", "{'device':'cuff-1','resident':'-','from':'2026-11-12'}");
	result();
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM binding WHERE valid_to IS NULL"), 0);
	assert_int_equal(COUNT("audit"), 5);
}

static void test_handover(void **state)
{
	(void)state;
	rig_residents(&rig);
	ask("handover", "{'device':'cuff-9','resident':'R-0001'}");
	refused("unknown_device");
	ask("handover", "{'device':'cuff-1','resident':'R-0099'}");
	refused("unknown_resident");
	ask("handover", "{'device':'cuff-1','resident':'R-0001','slot':'1'}");
	refused("bad_slot");
	ask("handover", "{'device':'cuff-1','resident':'R-0001'}"); /* it never told of a memory */
	assert_string_equal(json_string_value(json_object_get(result(), "state")), "done");
	rig_script(&rig, "UPDATE device SET drained=1");
	ask("handover", "{'device':'cuff-1','resident':'R-0002'}");
	assert_string_equal(
		json_string_value(json_object_get(result(), "state")), "waits_for_memory");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM binding WHERE valid_to IS NULL"), 0);
	ask("devices", "{}");
	const json_t *d = json_array_get(json_object_get(result(), "devices"), 0);
	assert_string_equal(json_string_value(json_object_get(d, "handover_to")), "R-0002");
	expect_text("SELECT group_concat(action||' '||object||' '||detail) FROM audit",
		"handover cuff-1 R-0001,handover cuff-1 R-0002");
}

/* A time or slot that is only half understood would file a stranger's readings (P3). */
static void test_bind_half_understood(void **state)
{
	(void)state;
	static const char *const times[] = {"'yesterday'", "'2026-13-01'", "'2026-02-30'",
		"'2026-11-21 08:00'", "'2026-11-21T08:00:00Z'", "'2026-11-21T'", "'2026-11-21T08'",
		"'2026-11-21T25:00:00'", "'2026'", "1795000000", "true", "{}"};
	static const char *const slots[] = {"'1'", "-1", "1.0", "256", "true", "[]", "99999999999"};
	char args[200];
	rig_residents(&rig);
	for (size_t i = 0; i < ELEMENTS(times); i++) {
		snprintf(args, sizeof(args), "{'device':'cuff-1','resident':'R-0001','from':%s}",
			times[i]);
		ask("bind", args);
		refused("bad_time");
	}
	for (size_t i = 0; i < ELEMENTS(slots); i++) {
		snprintf(args, sizeof(args), "{'device':'cuff-1','resident':'R-0001','slot':%s}",
			slots[i]);
		ask("bind", args);
		refused("bad_slot");
	}
	ask("bind",
		"{'device':'cuff-1','resident':'R-0001','from':'2026-11-10','to':'2026-11-10'}");
	refused("bad_time");
	assert_int_equal(COUNT("binding"), 0);
	assert_int_equal(COUNT("audit"), 0);
}

/* the roster */

static void import_text(const char *csv)
{
	json_t *order = json_pack(
		"{s:i,s:s,s:s,s:{s:s}}", "v", 1, "id", "c-1", "cmd", "import", "args", "csv", csv);
	char *text = json_dumps(order, 0);
	ask_raw(text, strlen(text));
	free(text);
	json_decref(order);
}

static void test_import(void **state)
{
	(void)state;
	import_text("token,birth_date,sex,programmes,doctor,team,valid_from,valid_to,setting\n"
		    "R-0001,1958-03-14,M,hypertension,D-0001,T-1,2026-01-01,2026-12-31,home_bed\n"
		    "R-0002,1963,F,hypertension;t2dm,D-0001,,,,\n");
	assert_int_equal(json_integer_value(json_object_get(result(), "residents")), 2);
	expect_text("SELECT group_concat(token||programmes||(valid_to IS NULL),' ') FROM resident",
		"R-0001hypertension0 R-0002hypertension;t2dm1");
	/* the contract's last day counts whole: until midnight in Shanghai */
	assert_true(rig_int(&rig, "SELECT valid_to FROM resident WHERE token='R-0001'") ==
		    INT64_C(1798732800000000));
	expect_text("SELECT setting FROM resident WHERE token='R-0001'", "home_bed");
	/* again, changed: the same residents */
	import_text("token,programmes,doctor\nR-0001,copd,D-0002\n");
	result();
	expect_text("SELECT group_concat(id||programmes||doctor,' ') FROM resident",
		"1copdD-0002 2hypertension;t2dmD-0001");
	expect_text("SELECT group_concat(action||object||detail) FROM audit",
		"importroster2 residents,importroster1 residents");
}

static void test_import_all_or_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *row, *says;
	} wrong[] = {{"R 3,", "token"}, {",hypertension", "token"},
		{"110101195803141234,", "ID or phone"}, {"13800000000,", "ID or phone"},
		{"R-3,gout", "programmes"}, {"R-3,copd,Dr. Zhang", "doctor"},
		{"R-3,copd,,1958-02-30", "birth_date"}, {"R-3,copd,,19", "birth_date"},
		{"R-3,copd,,,male", "sex"}, {"R-3,copd,,,,tomorrow", "valid_from"},
		{"R-3,a,b,c,d,e,f,g,h", "line 3"}, {"\"R-3,", "line 3"},
		{"R-000000000000000000000000000000003,", "token"}};
	char text[512];
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		snprintf(text, sizeof(text),
			"token,programmes,doctor,birth_date,sex,valid_from\nR-0001,copd,D-0001\n%s\n"
			"R-0004,copd\n",
			wrong[i].row);
		import_text(text);
		refused("bad_lines");
		const char *en = text_of(json_object_get(last, "error"), "en");
		if (!strstr(en, wrong[i].says) || !strstr(en, "line 3") || !strstr(en, "1 of "))
			fail_msg("%s: %s", wrong[i].row, en);
	}
	import_text("token,programmes\nx y,\nR-1,\nR-2,gout\nz z,\n");
	assert_non_null(strstr(text_of(json_object_get(last, "error"), "en"), "3 of 4 lines"));
	import_text("token,name\nR-0001,Zhang\n");
	refused("unknown_column");
	import_text("programmes\ncopd\n");
	refused("no_token");
	import_text("");
	assert_true(json_is_false(json_object_get(last, "ok")));
	ask("import", "{}");
	refused("csv_missing");
	ask("import", "{'csv':7}");
	refused("csv_missing");
	assert_int_equal(COUNT("resident"), 0);
	assert_int_equal(COUNT("audit"), 0);
}

static void test_large_import(void **state)
{
	(void)state;
	const unsigned n = 10000;
	char *csv = test_malloc(n * 80 + 100);
	size_t len = (size_t)sprintf(csv, "token,birth_date,sex,programmes,doctor\n");
	for (unsigned i = 0; i < n; i++)
		len += (size_t)sprintf(
			csv + len, "R-%05u,1958-03-14,M,hypertension;t2dm,D-0001\n", i);
	int64_t began = clock_boot_us();
	import_text(csv);
	result();
	print_message("# %u residents: %d ms\n", n, (int)((clock_boot_us() - began) / 1000));
	assert_int_equal(COUNT("resident"), n);
	test_free(csv);
}

/* what the platform refused */

static void test_resend(void **state)
{
	(void)state;
	char id[40], args[128];
	rig_residents(&rig);
	rig_bp(&rig, (struct rig_bp){120, 95, 70, .identity = "1"});
	rig_text(&rig, id, sizeof(id), "SELECT lower(hex(uuid)) FROM reading");
	snprintf(args, sizeof(args), "{'id':'%s'}", id);
	ask("resend", args);
	refused("unknown_id"); /* nothing was refused */
	rig_script(&rig, "UPDATE outbox SET state=3, reason='no', tries=9");
	ask("resend", args);
	assert_string_equal(text_of(result(), "id"), id);
	expect_text("SELECT state||tries||coalesce(reason,'-')||(next_try>0) FROM outbox", "00-1");
	expect_text("SELECT author||action||(length(object)=32) FROM audit", "local:nurseresend1");
}

/* Whatever comes, the reply is JSON with "ok", and a refused command left nothing behind. */
static void test_random_commands(void **state)
{
	(void)state;
	static const char *const names[] = {"ack", "assign", "bind", "import", "resend", "status",
		"devices", "readings", "unassigned", "alerts", "events", "followup"};
	static const char *const keys[] = {"alert", "outcome", "reading", "resident", "device",
		"slot", "from", "to", "csv", "id", "limit", "after", "all"};
	static const char *const values[] = {"'R-0001'", "'-'", "''", "7", "-1",
		"9223372036854775807", "1e300", "null", "true", "{}", "[]", "'cuff-1'", "'advised'",
		"'00000000'", "'2026-01-01'", "'token\\nR-9\\n'", "'\\ud83d\\ude00'"};
	char args[512];
	rig_residents(&rig);
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
	srandom(20261121);
	for (int i = 0; i < 1500; i++) {
		size_t n = 1, used = (size_t)random() % 4;
		args[0] = '{';
		for (size_t k = 0; k < used; k++)
			n += (size_t)snprintf(args + n, sizeof(args) - n, "%s'%s':%s", k ? "," : "",
				keys[(k * 4 + (size_t)random() % 4) % ELEMENTS(keys)],
				values[(size_t)random() % ELEMENTS(values)]);
		snprintf(args + n, sizeof(args) - n, "}");
		int64_t before = COUNT("audit");
		ask(names[(size_t)random() % ELEMENTS(names)], args);
		if (json_is_true(json_object_get(last, "ok")))
			result();
		else
			assert_int_equal(COUNT("audit"), before);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, command_setup, command_teardown)
	const struct CMUnitTest tests[] = {
		T(test_malformed),
		T(test_every_query),
		T(test_pages),
		T(test_platform_twice),
		T(test_not_stored),
		T(test_ack),
		T(test_ambiguous_id),
		T(test_assign),
		T(test_bind),
		T(test_handover),
		T(test_bind_half_understood),
		T(test_import),
		T(test_import_all_or_nothing),
		T(test_large_import),
		T(test_resend),
		T(test_random_commands),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
