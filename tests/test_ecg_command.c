/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands about studies: each answer and each refusal, in two languages, and who did it. */
#include "command_rig.h"
#include "study_rig.h"

#include "link.h"
#include "log.h"
#include "payload.h"

#define CRITICAL "{'study':'%s','status':'critical','critical':'K 6.9'}"

static char id[33]; /* of the study */
static int64_t row;

static int setup(void **state)
{
	command_setup(state);
	rig_residents(&rig);
	row = study_filed(&rig, 1, 20000, STUDY_SAYS("\"measurements\":{\"hr\":75},"));
	struct uuid u = study_id(&rig, row);
	hex(id, u.bytes, sizeof(u.bytes));
	return 0;
}

/* `args` with %s for the study */
static void ask_of(const char *cmd, const char *args)
{
	char text[512];
	snprintf(text, sizeof(text), args, id);
	ask(cmd, text);
}

static size_t count(const char *list)
{
	return json_array_size(json_object_get(result(), list));
}

static const json_t *first(const char *list)
{
	return json_array_get(json_object_get(result(), list), 0);
}

/* looking */

static void test_ecg(void **state)
{
	(void)state;
	ask_of("ecg", "{'study':'%s'}");
	assert_string_equal(text_of(result(), "id"), id);
	assert_string_equal(text_of(result(), "status"), "unassigned");
	assert_null(json_object_get(result(), "seq"));
	assert_string_equal(text_of(json_object_get(result(), "ecg"), "format"), "scp");
	assert_string_equal(text_of(json_object_get(result(), "report"), "state"), "unsent");
	assert_int_equal(json_object_size(result()), 11);
	char part[32];
	snprintf(part, sizeof(part), "{'study':'%.6s'}", id);
	ask("ecg", part);
	assert_string_equal(text_of(result(), "id"), id);
	/* one that is not decoded yet */
	study_new(&rig, 2, 10);
	struct uuid u = study_id(&rig, 2);
	hex(id, u.bytes, sizeof(u.bytes));
	ask_of("ecg", "{'study':'%s'}");
	assert_string_equal(text_of(result(), "status"), "undecoded");
	assert_true(json_is_null(json_object_get(result(), "ecg")));
	assert_int_equal(COUNT("audit"), 0);
}

/* What a copy of a study needs. */
#define REST                                                                                         \
	"revision,status,device,driver,arrived,boot_id,boot_us,test,stranger,bytes,sha256,evidence," \
	"grade,in_contract,taken,trust"
#define COLUMNS "uuid," REST

static void test_no_such_study(void **state)
{
	(void)state;
	static const char *const commands[] = {"ecg", "ecg_original", "ecg_readback", "ecg_decode"};
	static const struct {
		const char *args, *code;
	} wrong[] = {{"{}", "bad_id"}, {"{'study':'abc'}", "bad_id"}, {"{'study':7}", "bad_id"},
		{"{'study':'xyzw'}", "bad_id"}, {"{'study':'000000'}", "unknown_id"},
		{"{'reading':'0000'}", "bad_id"}};
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		for (size_t k = 0; k < ELEMENTS(commands); k++) {
			ask(commands[k], wrong[i].args);
			refused(wrong[i].code);
		}
		char args[100];
		snprintf(args, sizeof(args), "{'status':'final',%s", wrong[i].args + 1);
		if (wrong[i].args[1] == '}')
			strcpy(args, "{'status':'final'}");
		ask("ecg_report", args);
		refused(wrong[i].code);
	}
	rig_script(&rig,
		"INSERT INTO study(" COLUMNS
		") SELECT CAST(substr(uuid,1,4)||x'000000000000000000000000' AS BLOB)," REST
		" FROM study");
	char part[32];
	snprintf(part, sizeof(part), "{'study':'%.6s'}", id);
	ask("ecg", part);
	refused("ambiguous_id");
	assert_int_equal(COUNT("audit") + COUNT("report"), 0);
}

static void test_list(void **state)
{
	(void)state;
	for (unsigned i = 2; i <= 30; i++)
		study_new(&rig, i, 10);
	ask("ecg_list", "{}");
	assert_int_equal(count("studies"), 20);
	assert_string_equal(text_of(first("studies"), "status"), "undecoded"); /* latest first */
	ask("ecg_list", "{'limit':1000}");
	assert_int_equal(count("studies"), 30);
	const json_t *last_one = json_array_get(json_object_get(result(), "studies"), 29);
	assert_string_equal(text_of(last_one, "id"), id);
	ask("ecg_list", "{'limit':-3}");
	assert_int_equal(count("studies"), 1);
	ask("ecg_list", "{'limit':'all'}");
	assert_int_equal(count("studies"), 20);
	rig_script(&rig, "DELETE FROM study");
	ask("ecg_list", "{}");
	assert_int_equal(count("studies"), 0);
	ask("ecg_open", "{}");
	assert_int_equal(count("studies"), 0);
}

static void test_open(void **state)
{
	(void)state;
	ask("ecg_open", "{}");
	assert_int_equal(count("studies"), 1);
	assert_string_equal(text_of(first("studies"), "id"), id);
	assert_string_equal(text_of(first("studies"), "state"), "not_sent");
	assert_string_equal(text_of(first("studies"), "device"), "cuff-1");
	assert_true(json_is_null(json_object_get(first("studies"), "resident")));
	assert_non_null(json_object_get(first("studies"), "due"));
	assert_non_null(json_object_get(first("studies"), "since"));
	assert_string_equal(text_of(first("studies"), "acquired"), "2026-11-18T11:00:00.000Z");
	ask_of("assign", "{'reading':'%s','resident':'R-0001'}");
	result();
	ask_of("ecg_report", CRITICAL);
	ask("ecg_open", "{}");
	assert_string_equal(text_of(first("studies"), "state"), "critical_unread");
	assert_string_equal(text_of(first("studies"), "resident"), "R-0001");
	assert_null(json_object_get(first("studies"), "due"));
	ask_of("ecg_readback", "{'study':'%s','text':'k 6.9'}");
	rig_script(&rig, "DELETE FROM study_wait");
	ask("ecg_open", "{}");
	assert_int_equal(count("studies"), 0);
	ask_of("ecg_report", "{'study':'%s','status':'poor_tracing'}");
	ask("ecg_open", "{}");
	assert_string_equal(text_of(first("studies"), "state"), "repeat");
	ask_of("ecg_report", "{'study':'%s','status':'preliminary','text':'x'}");
	int64_t damaged =
		study_filed(&rig, 2, 10, "{\"format\":\"scp\",\"rejected\":\"structure\"}");
	assert_int_equal(damaged, row + 1);
	ask("ecg_open", "{}");
	assert_int_equal(count("studies"), 2);
	assert_string_equal(text_of(first("studies"), "state"), "preliminary");
	assert_string_equal(
		text_of(json_array_get(json_object_get(result(), "studies"), 1), "state"),
		"unreadable");
}

/* What was recorded again long ago does not push out what waits today. */
static void test_open_among_many(void **state)
{
	(void)state;
	rig_script(&rig,
		"WITH RECURSIVE n(x) AS (SELECT 2 UNION ALL SELECT x+1 FROM n WHERE x<500) INSERT "
		"INTO study(id," COLUMNS ") SELECT x,randomblob(16)," REST " FROM study,n");
	rig_script(&rig,
		"INSERT INTO report(study,revision,status,author,at) SELECT id,1,'poor_tracing','c',5 "
		"FROM study WHERE id<499");
	rig_script(&rig,
		"INSERT INTO report(study,revision,status,author,at,critical) VALUES(500,1,'critical',"
		"'c',5,'VT')");
	rig_script(&rig, "DELETE FROM study_wait");
	ask("ecg_open", "{}");
	assert_int_equal(count("studies"), 1);
	assert_string_equal(text_of(first("studies"), "state"), "critical_unread");
	/* and the list has an end */
	rig_script(&rig, "INSERT INTO study_wait(study,what,since,boot_id,due_boot,due) SELECT "
			 "id,'sent',1,x'00',1,1 FROM study");
	ask("ecg_open", "{}");
	assert_int_equal(count("studies"), 200);
}

static size_t fetch(int64_t from, uint8_t *out, int64_t *ret_next)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char args[100];
	snprintf(args, sizeof(args), "{'study':'%s','from':%lld}", id, (long long)from);
	ask("ecg_original", args);
	const char *text = text_of(result(), "data");
	size_t n = 0;
	uint32_t bits = 0;
	for (size_t i = 0; text[i] && text[i] != '='; i++) {
		bits = bits << 6 | (uint32_t)(strchr(letters, text[i]) - letters);
		if (i % 4)
			out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	*ret_next = json_integer_value(json_object_get(result(), "next"));
	return n;
}

static void test_original(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 8192, 8 * 8192, 8 * 8192 + 1, VG_STUDY_MAX};
	for (size_t i = 0; i < ELEMENTS(sizes); i++) {
		size_t len = sizes[i], at = 0;
		uint8_t *wanted = study_bytes(50 + (unsigned)i, len), *got = malloc(len + 4);
		assert_non_null(got);
		row = study_new(&rig, 50 + (unsigned)i, len);
		struct uuid u = study_id(&rig, row);
		hex(id, u.bytes, sizeof(u.bytes));
		unsigned rounds = 0;
		for (int64_t next; at < len; rounds++) {
			size_t n = fetch((int64_t)at, got + at, &next);
			assert_int_equal(next, at + n);
			assert_int_equal(
				json_integer_value(json_object_get(result(), "bytes")), len);
			assert_true(n > 0 && n <= 8 * 8192);
			at += n;
		}
		assert_int_equal(rounds, (len + 8 * 8192 - 1) / (8 * 8192));
		assert_memory_equal(got, wanted, len);
		free(got);
		free(wanted);
	}
	ask_of("ecg_original", "{'study':'%s'}"); /* from its beginning */
	assert_int_equal(json_integer_value(json_object_get(result(), "next")), 8 * 8192);
	size_t most = json_dumpb(last, NULL, 0, 0);
	assert_in_range(most, 8 * 8192, LINK_PACKET_MAX - 4096);
	static const char *const wrong[] = {"-8192", "1", "8191", "4202496"};
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		char args[100];
		snprintf(args, sizeof(args), "{'study':'%s','from':%s}", id, wrong[i]);
		ask("ecg_original", args);
		refused("bad_from");
	}
	ask_of("ecg_original", "{'study':'%s','from':4194304}"); /* the end is no mistake */
	assert_string_equal(text_of(result(), "data"), "");
	assert_int_equal(json_integer_value(json_object_get(result(), "next")), 4194304);
}

/* the centre's word */

static void test_report(void **state)
{
	(void)state;
	static const char *const statuses[] = {"preliminary", "final", "amended", "poor_tracing"};
	char args[200], done[100];
	for (size_t i = 0; i < ELEMENTS(statuses); i++) {
		snprintf(args, sizeof(args), "{'study':'%s','status':'%s','text':'窦性心律'}", id,
			statuses[i]);
		ask("ecg_report", args);
		assert_string_equal(text_of(result(), "study"), id);
		assert_string_equal(text_of(result(), "status"), statuses[i]);
		snprintf(done, sizeof(done), "%zu%s窦性心律local:nurse", i + 1, statuses[i]);
		expect_text(
			"SELECT revision||status||text||author FROM report ORDER BY id DESC", done);
	}
	ask_of("ecg_report", CRITICAL);
	assert_string_equal(text_of(result(), "status"), "critical");
	expect_text("SELECT critical||(text IS NULL) FROM report ORDER BY id DESC", "K 6.91");
	assert_int_equal(COUNT("audit WHERE action='ecg_report' AND author='local:nurse'"), 5);
	snprintf(done, sizeof(done), "%s critical", id);
	expect_text("SELECT object||' '||detail FROM audit ORDER BY id DESC", done);
	assert_int_equal(COUNT("alert"), 1);
}

static void test_report_refused(void **state)
{
	(void)state;
	static const struct {
		const char *args, *code;
	} wrong[] = {{"{'study':'%s'}", "bad_status"},
		{"{'study':'%s','status':'done'}", "bad_status"},
		{"{'study':'%s','status':7}", "bad_status"},
		{"{'study':'%s','status':''}", "bad_status"},
		{"{'study':'%s','status':'critical'}", "bad_critical"},
		{"{'study':'%s','status':'critical','critical':''}", "bad_critical"},
		{"{'study':'%s','status':'critical','critical':7}", "bad_critical"},
		{"{'study':'%s','status':'final','critical':'VT'}", "bad_critical"},
		{"{'study':'%s','status':'preliminary'}", "no_text"},
		{"{'study':'%s','status':'final','text':7}", "no_text"},
		{"{'study':'%s','status':'amended','text':' '}", "no_text"}};
	for (size_t i = 0; i < ELEMENTS(wrong); i++) {
		ask_of("ecg_report", wrong[i].args);
		refused(wrong[i].code);
	}
	study_new(&rig, 2, 10);
	struct uuid u = study_id(&rig, 2);
	hex(id, u.bytes, sizeof(u.bytes));
	ask_of("ecg_report", "{'study':'%s','status':'final'}");
	refused("not_decoded");
	ask_of("assign", "{'reading':'%s','resident':'R-0001'}");
	refused("not_decoded");
	ask_of("ecg_readback", "{'study':'%s','text':'x'}");
	refused("nothing_to_read_back");
	assert_int_equal(COUNT("report") + COUNT("audit") + COUNT("alert"), 0);
}

/* All of a study goes in one message: a report is no book. */
static void test_report_length(void **state)
{
	(void)state;
	static const struct {
		const char *format;
		int most;
	} texts[] = {
		{"{\"cmd\":\"ecg_report\",\"id\":\"c-1\",\"args\":{\"study\":\"%s\",\"status\":\"final\",\"text\":"
		 "\"%.*s\"}}",
			2000},
		{"{\"cmd\":\"ecg_report\",\"id\":\"c-1\",\"args\":{\"study\":\"%s\",\"status\":\"critical\",\"critical\":"
		 "\"%.*s\"}}",
			200}};
	char words[9000], text[10000];
	memset(words, 'w', sizeof(words));
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		for (int more = 0; more < 2; more++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			int n = snprintf(text, sizeof(text), texts[i].format, id,
				texts[i].most + more, words);
#pragma GCC diagnostic pop
			ask_raw(text, (size_t)n);
			if (more)
				refused("too_long");
			else
				result();
		}
	assert_int_equal(COUNT("report"), 2);
}

/* As long as it can be, with all that the centre may say of it: one packet. */
static void test_longest_study(void **state)
{
	(void)state;
	size_t body = 64 * 1024,
	       room = body - strlen("{\"format\":\"scp\",\"detail\":\"\",\"patient\":{}}");
	char *text = malloc(body + 64), words[REPORT_TEXT_MAX + 1], critical[REPORT_WORDS_MAX + 1];
	char author[64], padded[2 * REPORT_WORDS_MAX + 1];
	assert_non_null(text);
	snprintf(text, body + 64, "{\"format\":\"scp\",\"detail\":\"%0*d\"}", (int)room, 7);
	row = study_filed(&rig, 1, VG_STUDY_MAX, text);
	free(text);
	assert_int_equal(rig_int(&rig, "SELECT max(length(body)) FROM study"), body);
	memset(words, 'w', sizeof(words));
	memset(critical, 'c', sizeof(critical));
	memset(padded, ' ', sizeof(padded));
	memset(author, 'a', sizeof(author));
	words[REPORT_TEXT_MAX] = critical[REPORT_WORDS_MAX] = author[63] = 0;
	memcpy(padded, critical, REPORT_WORDS_MAX);
	padded[2 * REPORT_WORDS_MAX] = 0;
	for (int i = 0; i < REPORT_REVISIONS_MAX; i++) {
		assert_int_equal(report_add(&rig.gateway, rig.db, row, REPORT_CRITICAL, words,
					 critical, author),
			0);
		assert_int_equal(report_read_back(&rig.gateway, rig.db, row, padded, author), 0);
	}
	struct json j = {0};
	payload_open(&rig.gateway, OBJECT_STUDY, &j);
	assert_int_equal(payload_object(&rig.gateway, rig.db, OBJECT_STUDY, row, INT64_MAX, &j), 1);
	payload_close(&j);
	assert_true(j.len > body + (size_t)REPORT_REVISIONS_MAX * REPORT_TEXT_MAX);
	assert_true(j.len < LINK_PACKET_MAX - sizeof(struct link_head) - LINK_TOPIC_MAX);
	json_free(&j);
}

static void test_report_refused_later(void **state)
{
	(void)state;
	ask_of("ecg_report", "{'study':'%s','status':'final','text':'x'}");
	result();
	ask_of("ecg_report", "{'study':'%s','status':'preliminary','text':'x'}");
	refused("already_final");
	for (int i = 1; i < 20; i++) {
		ask_of("ecg_report", "{'study':'%s','status':'amended','text':'x'}");
		result();
	}
	ask_of("ecg_report", "{'study':'%s','status':'amended','text':'x'}");
	refused("too_many");
	assert_int_equal(COUNT("report"), 20);
	assert_int_equal(COUNT("audit"), 20);
}

static void test_readback(void **state)
{
	(void)state;
	ask_of("ecg_readback", "{'study':'%s','text':'VT'}");
	refused("nothing_to_read_back");
	ask_of("ecg_report", CRITICAL);
	ask_of("ecg_readback", "{'study':'%s','text':'K 5.9'}");
	refused("other_words");
	ask_of("ecg_readback", "{'study':'%s'}");
	refused("other_words");
	ask_of("ecg_readback", "{'study':'%s','text':7}");
	refused("other_words");
	assert_int_equal(COUNT("audit WHERE action='ecg_readback'"), 0);
	ask_of("ecg_readback", "{'study':'%s','text':' k:6.9 '}");
	assert_string_equal(text_of(result(), "study"), id);
	expect_text("SELECT read_back_by FROM report", "local:nurse");
	expect_text(
		"SELECT object||author||coalesce(detail,'-') FROM audit WHERE action='ecg_readback'",
		strcat(strcpy((char[64]){0}, id), "local:nurse-"));
	ask_of("ecg_readback", "{'study':'%s','text':'K 6.9'}");
	refused("nothing_to_read_back");
	expect_text(
		"SELECT state||ack_author||ack_outcome FROM alert", "inactivelocal:nurseread_back");
}

/* Nobody has heard a critical value who did not repeat it. */
static void test_ack_critical(void **state)
{
	(void)state;
	static const char *const outcomes[] = {"reached", "advised", "referred", "artefact"};
	char alert[40], args[120];
	ask_of("ecg_report", CRITICAL);
	rig_text(&rig, alert, sizeof(alert), "SELECT lower(hex(uuid)) FROM alert");
	for (size_t i = 0; i < ELEMENTS(outcomes); i++) {
		snprintf(args, sizeof(args), "{'alert':'%s','outcome':'%s'}", alert, outcomes[i]);
		ask("ack", args);
		refused("read_it_back");
		const char *en = text_of(json_object_get(last, "error"), "en");
		assert_non_null(strstr(en, "vitalgate ecg readback "));
		char begins[9] = "";
		memcpy(begins, id, 8);
		assert_non_null(strstr(en, begins));
	}
	assert_int_equal(COUNT("alert WHERE state='active' AND acked IS NULL AND revision=1"), 1);
	snprintf(args, sizeof(args), "{'alert':'%s','outcome':'not_reached'}", alert);
	ask("ack", args);
	assert_string_equal(text_of(result(), "state"), "active");
	ask_of("ecg_readback", "{'study':'%s','text':'K 6.9'}");
	result();
	expect_text("SELECT state||revision||ack_outcome FROM alert", "inactive3read_back");
	snprintf(args, sizeof(args), "{'alert':'%s','outcome':'reached'}", alert);
	ask("ack", args);
	refused("already_acknowledged");
	/* the cart's own words are no such value */
	study_filed(&rig, 9, 10, STUDY_SAYS("\"interpretation\":{\"lines\":[\"Asystole\"]},"));
	rig_text(&rig, alert, sizeof(alert), "SELECT lower(hex(uuid)) FROM alert ORDER BY id DESC");
	snprintf(args, sizeof(args), "{'alert':'%s','outcome':'reached'}", alert);
	ask("ack", args);
	assert_string_equal(text_of(result(), "state"), "inactive");
}

static void test_decode(void **state)
{
	(void)state;
	rig_script(&rig, "UPDATE study SET tries=3");
	ask_of("ecg_decode", "{'study':'%s'}");
	assert_string_equal(text_of(result(), "study"), id);
	expect_text("SELECT status||tries||revision FROM study", "undecoded01");
	expect_text("SELECT action||author||object FROM audit",
		strcat(strcpy((char[80]){0}, "ecg_decodelocal:nurse"), id));
}

/* The platform's door: the same commands, once for each id, by whom it says. */
static void test_platform(void **state)
{
	(void)state;
	char text[300];
	int n = snprintf(text, sizeof(text),
		"{\"id\":\"p-1\",\"cmd\":\"ecg_report\",\"by\":\"D-0009\",\"args\":{\"study\":\"%s\",\"status\":"
		"\"final\",\"text\":\"x\"}}",
		id);
	for (int i = 0; i < 3; i++)
		command_from_platform(&rig.gateway, 0, text, (size_t)n);
	ask("status", "{}"); /* behind them all */
	assert_int_equal(COUNT("report"), 1);
	expect_text("SELECT author FROM report", "platform:platform/D-0009");
}

/* lists that were there before studies were */

static void test_assign(void **state)
{
	(void)state;
	ask("unassigned", "{}");
	assert_int_equal(count("studies"), 1);
	assert_int_equal(count("readings"), 1); /* its rate */
	ask_of("assign", "{'reading':'%s','resident':'R-0002'}");
	assert_string_equal(text_of(result(), "reading"), id);
	assert_string_equal(text_of(result(), "resident"), "R-0002");
	ask("unassigned", "{}");
	assert_int_equal(count("studies") + count("readings"), 0);
	ask_of("assign", "{'reading':'%s','resident':'R-0002'}");
	refused("already_so");
	ask_of("assign", "{'reading':'%s','resident':'-'}");
	result();
	ask("unassigned", "{}");
	assert_int_equal(count("studies") + count("readings"), 2);
	expect_text("SELECT group_concat(action||detail) FROM audit", "assignR-0002,assign-");
	rig_script(&rig, "UPDATE study SET test=1");
	ask_of("assign", "{'reading':'%s','resident':'R-0001'}");
	refused("test_reading");
	ask("unassigned", "{}");
	assert_int_equal(count("studies"), 0);
}

/* Whoever says whose the heart rate is says whose the ECG is. */
static void test_assign_rate(void **state)
{
	(void)state;
	char rate[40], args[120];
	rig_text(&rig, rate, sizeof(rate), "SELECT lower(hex(uuid)) FROM reading");
	snprintf(args, sizeof(args), "{'reading':'%s','resident':'R-0002'}", rate);
	ask("assign", args);
	assert_string_equal(text_of(result(), "reading"), rate);
	expect_text(
		"SELECT s.resident||r.resident||r.revision FROM study s, reading r WHERE superseded=0",
		"222");
	ask("assign", args);
	refused("already_so");
	/* it has gone; what was measured is here */
	rig_script(&rig, "DELETE FROM study");
	snprintf(args, sizeof(args), "{'reading':'%s','resident':'R-0001'}", rate);
	ask("assign", args);
	result();
	expect_text("SELECT resident FROM reading WHERE superseded=0", "1");
}

static void test_refused_by_the_platform(void **state)
{
	(void)state;
	ask("status", "{}");
	assert_int_equal(count("rejected"), 0);
	/* its pieces go with it */
	rig_script(&rig, "UPDATE outbox SET state=3, reason='no' WHERE kind>=4");
	ask("status", "{}");
	assert_int_equal(count("rejected"), 1);
	assert_string_equal(text_of(first("rejected"), "object"), "study");
	assert_string_equal(text_of(first("rejected"), "id"), id);
	/* pieces alone are named once, so that somebody can send them again */
	rig_script(&rig, "UPDATE outbox SET state=0 WHERE kind=4");
	ask("status", "{}");
	assert_int_equal(count("rejected"), 1);
	assert_string_equal(text_of(first("rejected"), "object"), "piece");
	assert_string_equal(text_of(first("rejected"), "id"), id);
	ask_of("resend", "{'id':'%s'}");
	result();
	assert_int_equal(COUNT("outbox WHERE state=3"), 0);
	assert_int_equal(COUNT("outbox WHERE kind=5 AND state=0 AND next_try=1"), 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, command_teardown)
	const struct CMUnitTest tests[] = {
		T(test_ecg),
		T(test_no_such_study),
		T(test_list),
		T(test_open),
		T(test_open_among_many),
		T(test_original),
		T(test_report),
		T(test_report_refused),
		T(test_report_length),
		T(test_longest_study),
		T(test_report_refused_later),
		T(test_readback),
		T(test_ack_critical),
		T(test_decode),
		T(test_platform),
		T(test_assign),
		T(test_assign_rate),
		T(test_refused_by_the_platform),
	};
	log_init("test", (enum log_level)0);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
