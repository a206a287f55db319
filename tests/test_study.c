/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A study from the unit that brought it to what is filed, forwarded and told of it; all of it or nothing. */
#include "study_rig.h"

/* Carts tell the time by a clock that nobody compared. */
#define CART "[\"cart_statement\",\"clock_uncompared\"]"

#include "filing.h"
#include "log.h"
#include "util.h"

#include <jansson.h>
#include <sha2.h>

#define COUNT(table) rig_int(&rig, "SELECT count(*) FROM " table)
#define KIB 1024

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK STUDY_CART);
	rig_residents(&rig);
	return 0;
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

/* arriving */

static void test_arrives(void **state)
{
	(void)state;
	_cleanup_(freep) uint8_t *bytes = study_bytes(1, 20000);
	struct unit *u = study_unit(&rig, bytes, 20000);
	char sha[SHA256_DIGEST_STRING_LENGTH], said[80];
	int64_t boot_us = u->boot_us;
	assert_int_equal(rig_file(&rig, u), 0);
	expect("SELECT revision||status||device||driver||test||stranger||bytes||tries FROM study",
		"0undecoded1bt_blp/100200000");
	assert_int_equal(rig_int(&rig, "SELECT arrived FROM study"), RIG_NOW);
	assert_int_equal(rig_int(&rig, "SELECT boot_us FROM study"), boot_us);
	assert_int_equal(COUNT("study WHERE body IS NULL AND format IS NULL AND length(boot_id)=16 "
			       "AND received IS NULL AND due IS NULL AND resident IS NULL"),
		1);
	rig_text(&rig, said, sizeof(said), "SELECT lower(hex(sha256)) FROM study");
	assert_string_equal(SHA256Data(bytes, 20000, sha), said);
	expect("SELECT group_concat(n||':'||length(bytes)) FROM study_piece",
		"0:8192,1:8192,2:3616");
	/* nothing is forwarded or told before it is decoded; that it should be is waited for */
	assert_int_equal(COUNT("outbox") + COUNT("event") + COUNT("alert"), 0);
	expect("SELECT group_concat(study||what) FROM study_wait", "1sent");
	/* a device that only ever brings studies is known by its identity all the same */
	expect("SELECT uid FROM device", "sn:1");
}

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		size_t len;
		int64_t pieces;
	} sizes[] = {{1, 1}, {8191, 1}, {8192, 1}, {8193, 2}, {16384, 2}, {VG_STUDY_MAX, 512}};
	int64_t before = 0;
	for (size_t i = 0; i < ELEMENTS(sizes); i++) {
		int64_t row = study_new(&rig, (unsigned)i + 7, sizes[i].len);
		_cleanup_(freep) uint8_t *bytes = study_bytes((unsigned)i + 7, sizes[i].len);
		struct study_original back = {0};
		int64_t pieces = COUNT("study_piece");
		assert_int_equal(pieces - before, sizes[i].pieces);
		before = pieces;
		assert_int_equal(study_take(rig.db, 9, 0, &back), 1);
		assert_int_equal(back.row, row);
		assert_int_equal(back.bytes.len, sizes[i].len);
		assert_memory_equal(back.bytes.at, bytes, sizes[i].len);
		free(back.bytes.at);
		assert_int_equal(study_says(&rig, row, STUDY_PLAIN), 0);
	}
	/* a unit without one brings none */
	assert_int_equal(rig_file(&rig, rig_unit(&rig)), 0);
	assert_int_equal(COUNT("study"), ELEMENTS(sizes));
}

static void arrives(const char *uid, const void *bytes, size_t len, bool test, bool stranger)
{
	struct unit *u = study_unit(&rig, bytes, len);
	text_copy(u->uid, sizeof(u->uid), uid, strlen(uid));
	u->test = test;
	u->stranger = stranger;
	assert_int_equal(rig_file(&rig, u), 0);
}

static void test_again(void **state)
{
	(void)state;
	arrives("sn:1", "one", 3, false, false);
	arrives("sn:1", "one", 3, false, false); /* as carts do that saw no acknowledgement */
	assert_int_equal(COUNT("study"), 1);
	assert_int_equal(COUNT("study_piece"), 1);
	arrives("sn:1", "two", 3, false, false);
	arrives("sn:2", "one", 3, false, false); /* of another cart it is another recording */
	assert_int_equal(COUNT("study"), 3);
	/* while it was tried out, and in earnest: two */
	arrives("sn:1", "one", 3, true, false);
	arrives("sn:1", "one", 3, true, false);
	expect("SELECT count(*)||sum(test) FROM study", "41");
	rig_script(&rig, "DELETE FROM study WHERE test");
	/* also when it was decoded in the meantime */
	assert_int_equal(study_says(&rig, 1, STUDY_PLAIN), 0);
	arrives("sn:1", "one", 3, false, false);
	expect("SELECT group_concat(revision||status) FROM study",
		"1unassigned,0undecoded,0undecoded");
	/* the id follows from device and content, in every database */
	rig_script(&rig, "CREATE TABLE seen AS SELECT uuid FROM study; DELETE FROM study;"
			 "DELETE FROM study_piece");
	arrives("sn:1", "one", 3, false, false);
	assert_int_equal(COUNT("study WHERE uuid IN (SELECT uuid FROM seen)"), 1);
}

static void test_marks(void **state)
{
	(void)state;
	arrives("sn:1", "test", 4, true, false);
	arrives("sn:9", "stranger", 8, false, true);
	expect("SELECT group_concat(test||stranger) FROM study", "10,01");
	rig_bind(&rig, 1);
	assert_int_equal(study_says(&rig, 1, STUDY_SAYS("\"measurements\":{\"hr\":30},")), 0);
	assert_int_equal(study_says(&rig, 2, STUDY_SAYS("\"measurements\":{\"hr\":75},")), 0);
	expect("SELECT group_concat(status||' '||evidence||' '||coalesce(resident,'-'),', ') FROM "
	       "study",
		"unassigned test -, unassigned device_identity_changed -");
	expect("SELECT group_concat(test||evidence||coalesce(resident,'-'),', ') FROM reading",
		"1test-, 0device_identity_changed-");
	assert_int_equal(COUNT("alert"), 0);
	/* a test is forwarded, so that somebody can see that the way works; no report is due */
	assert_int_equal(COUNT("outbox WHERE kind=4"), 2);
	expect("SELECT group_concat(study) FROM study_wait", "2");
}

/* for the decoder */

static void taken(int64_t row, unsigned tries)
{
	struct study_original got = {0};
	assert_int_equal(study_take(rig.db, 9, 0, &got), row ? 1 : 0);
	free(got.bytes.at);
	assert_int_equal(got.row, row);
	assert_int_equal(got.tries, tries);
}

static void test_order(void **state)
{
	(void)state;
	taken(0, 0);
	for (unsigned i = 1; i <= 3; i++)
		study_new(&rig, i, 100);
	taken(1, 1);
	taken(2, 1); /* what was tried waits for those that were not */
	taken(3, 1);
	taken(1, 2);
	study_new(&rig, 4, 100);
	taken(4, 1);
	assert_int_equal(study_says(&rig, 2, STUDY_PLAIN), 0);
	taken(3, 2);
	taken(4, 2);
	taken(1, 3);
	taken(3, 3);
	/* what was not even begun does not count */
	assert_int_equal(study_put_back(rig.db, 3), 0);
	taken(3, 3);
	taken(4, 3);
	expect("SELECT group_concat(tries) FROM study", "3,1,3,3");
	for (int i = 0; i < 5; i++)
		assert_int_equal(study_put_back(rig.db, 4), 0);
	expect("SELECT tries FROM study WHERE id=4", "0");
}

/* One device full of files that hang the decoder keeps no other one waiting. */
static void test_turns(void **state)
{
	(void)state;
	struct study_original got = {0};
	char uid[96];
	int64_t other = intake_device(rig.db, "box-1", "dropped_file", "/box", uid);
	for (unsigned i = 1; i <= 3; i++)
		study_new(&rig, i, 100);
	assert_int_equal(db_run(rig.db, "UPDATE study SET device=? WHERE id=3", "i", other), 1);
	assert_int_equal(study_take(rig.db, 9, 0, &got), 1);
	assert_int_equal(got.row, 1);
	free(got.bytes.at);
	assert_int_equal(study_take(rig.db, 1, got.device, &got), 1);
	assert_int_equal(got.row, 3); /* the other's turn */
	assert_int_equal(got.device, other);
	free(got.bytes.at);
	assert_int_equal(study_take(rig.db, 1, other, &got), 1);
	assert_int_equal(got.row, 2);
	free(got.bytes.at);
	assert_int_equal(study_take(rig.db, 1, 0, &got), 0); /* all were tried */
	assert_int_equal(study_take(rig.db, 2, 0, &got), 1);
	free(got.bytes.at);
}

/* Pieces that do not make the whole are no reason to stop the store, nor those behind it. */
static void test_not_whole(void **state)
{
	(void)state;
	static const char *const faults[] = {"DELETE FROM study_piece WHERE n=1",
		"UPDATE study_piece SET bytes=x'00' WHERE n=2",
		"UPDATE study_piece SET bytes=zeroblob(8193) WHERE n=2", "DELETE FROM study_piece",
		"UPDATE study SET bytes=19999", "UPDATE study SET bytes=0"};
	for (size_t i = 0; i < ELEMENTS(faults); i++) {
		int64_t row = study_new(&rig, 50 + (unsigned)i, 20000);
		struct study_original got = {0};
		rig_script(&rig, "BEGIN");
		rig_script(&rig, faults[i]);
		assert_int_equal(study_take(rig.db, 9, 0, &got), 1);
		assert_int_equal(got.row, row);
		assert_null(got.bytes.at);
		rig_script(&rig, "ROLLBACK");
		assert_int_equal(study_says(&rig, row, NULL), 0);
	}
}

/* decoded: who and when */

static void files(const char *text, const char *expected)
{
	static unsigned seed = 1000;
	study_filed(&rig, seed++, 10, text);
	expect("SELECT status||' '||coalesce(resident,'-')||' '||evidence||' '||grade||' '||in_contract FROM "
	       "study ORDER BY id DESC LIMIT 1",
		expected);
	/* the rate follows its study, word by word */
	expect("SELECT count(*) FROM reading r JOIN study s ON s.id=(SELECT max(id) FROM study) WHERE "
	       "r.id=(SELECT max(id) FROM reading) AND (r.status,r.resident IS "
	       "s.resident,r.evidence,r.grade,r.in_contract,r.taken,r.trust,r.uncertainty_us,r."
	       "device_time IS s.device_time)=(s.status,1,s.evidence,s.grade,s.in_contract,s.taken,"
	       "s.trust,s.uncertainty_us,1)",
		"1");
}

#define OF(id)                                        \
	"{\"format\":\"scp\",\"patient\":{\"id\":" id \
	"},\"measurements\":{\"hr\":75},\"acquired_at\":\"2026-11-18T19:00:00\"}"

static void test_who(void **state)
{
	(void)state;
	files(OF("\"R-0002\""), "final 2 message_token message 1");
	files(OF("\"R-0003\""), "final 3 message_token message 0");
	files(OF("\"R-0099\""), "unassigned - unknown_patient_id none 0");
	files(OF("\"\""), "unassigned - not_bound none 0");
	files(OF("7"), "unassigned - not_bound none 0");
	files(OF("null"), "unassigned - not_bound none 0");
	rig_bind(&rig, 1);
	files(OF("\"\""), "final 1 device_binding device 1");
	files(OF("\"R-0001\""), "final 1 message_token message 1");
	files(OF("\"R-0002\""), "unassigned - patient_id_contradicts_binding none 0");
	files(OF("\"R-0099\""), "unassigned - unknown_patient_id none 0");
	/* what is typed is a token only where the site says so */
	rig.config.devices[0].patient_id = PATIENT_IGNORE;
	files(OF("\"R-0002\""), "final 1 device_binding device 1");
	rig.config.n_devices = 0; /* the cart left the configuration in the meantime */
	files(OF("\"R-0002\""), "final 1 device_binding device 1");
	/* a cart knows no user slots: one that is bound by them says nothing */
	rig_script(&rig, "UPDATE binding SET user_slot=0");
	files(OF("\"R-0002\""), "unassigned - user_slot_missing none 0");
	rig_script(&rig, "UPDATE binding SET user_slot=NULL");
	rig_script(&rig, "UPDATE binding SET valid_to=1795000000000000-3600000000");
	files(OF("\"R-0002\""), "unassigned - not_bound none 0");
}

#define AT(time) \
	"{\"format\":\"scp\",\"patient\":{},\"measurements\":{\"hr\":75},\"acquired_at\":" time "}"

static void at(const char *text, const char *expected)
{
	static unsigned seed = 2000;
	study_filed(&rig, seed++, 10, text);
	/* the site is eight hours east; RIG_NOW is 19:06:40 there */
	expect("SELECT datetime(taken/1000000,'unixepoch')||' '||trust||' '||coalesce(device_time,'-') FROM study "
	       "ORDER BY id DESC LIMIT 1",
		expected);
}

static void test_when(void **state)
{
	(void)state;
	static const char *const absurd[] = {"null", "7", "\"\"", "\"today\"",
		"\"2026-02-30T10:00:00\"", "\"2026-11-18\"", "\"2026-11-18T19:00\"",
		"\"2026-11-18 19:00:00\"", "\"2026-11-18T24:00:00\"", "\"2026-11-18T19:60:00\"",
		"\"2026-11-18T19:00:00Z\"", "\"2026-11-18T19:00:00+8:00\"",
		"\"2026-11-18T19:00:00+15:00\"", "\"2026-11-18T19:00:00+08:60\"",
		"\"2026-11-18T19:00:00+0800\"", "\"2026-11-18T19:00:00+08:00 \"",
		"\"2026-11-18T19:00:00 08:00\"", "\"2026-11-18T19:00:00.5\"",
		"\"-026-11-18T19:00:00\"", "\"2026-11- 1T19:00:00\"", "\"2026--1-18T19:00:00\"",
		"\"1879-11-18T19:00:00\"", "\"0000-00-00T00:00:00\""};
	char text[256];
	at(AT("\"2026-11-18T19:00:00\""), "2026-11-18 11:00:00 device 2026-11-18T19:00:00");
	at(AT("\"2026-11-18T19:00:00+08:00\""), "2026-11-18 11:00:00 device 2026-11-18T19:00:00");
	at(AT("\"2026-11-18T11:00:01+00:00\""), "2026-11-18 11:00:01 device 2026-11-18T19:00:01");
	at(AT("\"2026-11-18T07:30:00-03:30\""), "2026-11-18 11:00:00 device 2026-11-18T19:00:00");
	at(AT("\"2026-11-19T01:00:00+14:00\""), "2026-11-18 11:00:00 device 2026-11-18T19:00:00");
	at(AT("\"2026-03-01T00:30:00+14:00\""), "2026-02-28 10:30:00 device 2026-02-28T18:30:00");
	for (size_t i = 0; i < ELEMENTS(absurd); i++) {
		snprintf(text, sizeof(text), AT("%s"), absurd[i]);
		at(text, "2026-11-18 11:06:40 arrival -");
	}
	at("{\"format\":\"scp\",\"measurements\":{\"hr\":75}}",
		"2026-11-18 11:06:40 arrival -"); /* no time */
	/* a cart that is years off, or ahead: what it said is kept */
	at(AT("\"2001-01-01T00:00:00\""), "2026-11-18 11:06:40 arrival 2001-01-01T00:00:00");
	at(AT("\"2027-11-18T19:00:00\""), "2026-11-18 11:06:40 arrival 2027-11-18T19:00:00");
	at(AT("\"1880-01-01T00:00:00+14:00\""), "2026-11-18 11:06:40 arrival 1879-12-31T18:05:43");
	assert_int_equal(COUNT("study WHERE revision=1"), 33);
}

static void test_gateway_clock_not_set(void **state)
{
	(void)state;
	study_new(&rig, 1, 10);
	rig_script(&rig, "UPDATE study SET arrived=5000000");
	assert_int_equal(study_says(&rig, 1, STUDY_PLAIN), 0);
	expect("SELECT trust FROM study", "unknown");
	assert_int_equal(rig_int(&rig, "SELECT uncertainty_us FROM study"), INT64_MAX);
}

/* decoded: what is kept of it */

#define PERSON                                                                                      \
	"\"patient\":{\"id\":\"MR-77001\",\"last_name\":\"TESTNAME\",\"first_name\":\"测试甲\"," \
	"\"sex\":\"F\",\"birth_date\":\"1950-03-04\",\"age\":{\"value\":76,\"unit\":\"a\"},"        \
	"\"height\":{\"value\":180,\"unit\":\"cm\"},\"weight\":{\"value\":85,\"unit\":\"kg\"}}"

static void test_nothing_of_the_person(void **state)
{
	(void)state;
	char text[1024];
	study_filed(&rig, 1, 10,
		"{\"format\":\"scp\",\"bytes\":10," PERSON ",\"name\":\"TESTNAME\",\"urgency\":1,"
		"\"acquired_at\":null,\"tz_source\":\"none\",\"device\":{\"model\":\"M\"},"
		"\"filters\":{},\"interval_us\":2777.778,\"uv_per_lsb\":3.75,\"leads\":[],"
		"\"measurements\":{\"hr\":75,\"axis\":{\"p\":-1}},\"interpretation\":{\"status\":"
		"\"original\",\"lines\":[\"x\"]},\"warnings\":[\"w\"]}");
	rig_text(&rig, text, sizeof(text), "SELECT body FROM study");
	assert_string_equal(text,
		"{\"format\":\"scp\",\"urgency\":1,\"acquired_at\":null,\"tz_source\":\"none\","
		"\"device\":{\"model\":\"M\"},\"filters\":{},\"interval_us\":2777.778,"
		"\"uv_per_lsb\":3.75,\"leads\":[],\"measurements\":{\"hr\":75,\"axis\":{\"p\":-1}},"
		"\"interpretation\":{\"status\":\"original\",\"lines\":[\"x\"]},\"warnings\":[\"w\"],"
		"\"patient\":{\"sex\":\"F\",\"age\":{\"value\":76,\"unit\":\"a\"}}}");
	/* not in the body, nor anywhere in the database; the original of this test has no name */
	static const char *const persons[] = {"MR-77001", "TESTNAME", "测试甲", "1950"};
	rig_script(&rig, "PRAGMA wal_checkpoint(TRUNCATE)");
	for (size_t i = 0; i < ELEMENTS(persons); i++) {
		char command[200];
		assert_null(strstr(text, persons[i]));
		snprintf(command, sizeof(command), "grep -q %s %s/vitalgate.db*", persons[i],
			rig.dir);
		assert_int_not_equal(system(command), 0);
	}
	/* what was typed can be recognised again, and not read */
	assert_int_equal(COUNT("study WHERE length(patient_hash)=32"), 1);
	study_filed(&rig, 2, 10, "{\"format\":\"scp\"," PERSON "}");
	study_filed(&rig, 3, 10, OF("\"MR-77002\""));
	study_filed(&rig, 4, 10, STUDY_PLAIN);
	assert_int_equal(
		rig_int(&rig, "SELECT count(DISTINCT patient_hash) FROM study WHERE patient_hash "
			      "IS NOT NULL"),
		2);
	assert_int_equal(COUNT("study WHERE patient_hash IS NULL"), 1);
}

/* the heart rate */

#define RATE(hr) STUDY_SAYS("\"measurements\":{\"hr\":" hr "},")

static void test_rate(void **state)
{
	(void)state;
	char note[64], id[64];
	rig_bind(&rig, 1);
	study_filed(&rig, 1, 10, RATE("135"));
	expect("SELECT kind||revision||status||driver||test||coalesce(user_slot,'-')||coalesce(seq,'-') FROM "
	       "reading",
		"ecg1finalbt_blp/10--");
	expect("SELECT json_extract(body,'$.values') FROM reading",
		"{\"ecg.hr\":{\"value\":135,\"unit\":\"/min\",\"ws\":\"DE04.10.206.00\",\"loinc\":"
		"\"8867-4\",\"mdc\":\"147842\"}}");
	rig_text(
		&rig, note, sizeof(note), "SELECT json_extract(body,'$.notes.study') FROM reading");
	rig_text(&rig, id, sizeof(id), "SELECT lower(hex(uuid)) FROM study");
	assert_string_equal(note, id); /* which study it is of */
	expect("SELECT kind||milli||resident FROM evidence", "ecg.hr1350001");
	expect("SELECT severity||role||recipient||coalesce(resident,'-')||"
	       "json_extract(body,'$.rules[0].id')||doubts FROM alert",
		"criticaldoctorD-00011ecg-rate-critical-high[\"clock_uncompared\"]");
	assert_int_equal(COUNT("alert a JOIN reading r ON a.reading=r.uuid"), 1);
	/* a warning, and what is no alert; nobody's goes to the site */
	rig_script(&rig, "DELETE FROM binding");
	study_filed(&rig, 2, 10, RATE("111"));
	study_filed(&rig, 3, 10, RATE("110"));
	study_filed(&rig, 4, 10, RATE("40"));
	expect("SELECT group_concat(severity||role||recipient,' ') FROM (SELECT * FROM alert ORDER "
	       "BY id)",
		"criticaldoctorD-0001 warningstaffS-0001 criticalstaffS-0001");
	assert_int_equal(COUNT("reading"), 4);
	assert_int_equal(COUNT("outbox WHERE kind=0"), 4);
	assert_int_equal(COUNT("outbox WHERE kind=1"), 3);
}

/* A number that no heart has is told, and is no reading; the rest of the study is as good as before. */
static void test_implausible_rate(void **state)
{
	(void)state;
	static const char *const rates[] = {RATE("19"), RATE("301"), RATE("0"), RATE("-70"),
		RATE("9223372036854775807"), RATE("-9223372036854775808")};
	for (size_t i = 0; i < ELEMENTS(rates); i++) {
		study_filed(&rig, (unsigned)i, 10, rates[i]);
		assert_int_equal(COUNT("event WHERE type='implausible'"), i + 1);
	}
	expect("SELECT detail FROM event", "ecg.hr out of range");
	assert_int_equal(COUNT("outbox WHERE kind=3"), ELEMENTS(rates));
	static const char *const none[] = {RATE("75.5"), RATE("\"75\""), RATE("null"), RATE("[75]"),
		STUDY_SAYS("\"measurements\":75,"), STUDY_SAYS("\"measurements\":{},"),
		STUDY_SAYS("")};
	for (size_t i = 0; i < ELEMENTS(none); i++)
		study_filed(&rig, 100 + (unsigned)i, 10, none[i]);
	assert_int_equal(COUNT("event"), ELEMENTS(rates));
	assert_int_equal(COUNT("reading"), 0);
	assert_int_equal(
		COUNT("study WHERE status='unassigned'"), ELEMENTS(rates) + ELEMENTS(none));
	assert_int_equal(COUNT("outbox WHERE kind=4"), ELEMENTS(rates) + ELEMENTS(none));
}

/* what the decoder cannot read */

static void test_rejected(void **state)
{
	(void)state;
	static const char *const whys[] = {
		"truncated", "record_crc", "structure", "section_crc", "doctype", "xml"};
	char text[300], detail[96];
	rig_bind(&rig, 1);
	for (size_t i = 0; i < ELEMENTS(whys); i++) {
		snprintf(text, sizeof(text),
			"{\"format\":\"scp\",\"bytes\":9,\"rejected\":\"%s\",\"detail\":\"section "
			"%zu\",\"warnings\":[]}",
			whys[i], i);
		study_filed(&rig, (unsigned)i, 9000, text);
		snprintf(text, sizeof(text), "scp: %s: section %zu", whys[i], i);
		rig_text(&rig, detail, sizeof(detail),
			"SELECT detail FROM event ORDER BY id DESC LIMIT 1");
		assert_string_equal(detail, text);
	}
	/* it is whose it is, and goes to the platform whole; no rate, no report is due */
	assert_int_equal(COUNT("study WHERE status='final' AND resident=1 AND format IS NULL"), 6);
	expect("SELECT json_extract(body,'$.rejected') FROM study", "truncated");
	expect("SELECT group_concat(kind||'x'||n) FROM (SELECT kind,count(*) AS n FROM outbox GROUP BY "
	       "kind)",
		"3x6,4x6,5x12");
	assert_int_equal(COUNT("event WHERE type='study_unreadable' AND device=1"), 6);
	assert_int_equal(COUNT("study_wait") + COUNT("reading") + COUNT("alert"), 0);
	/* without a detail */
	study_filed(&rig, 90, 10, "{\"format\":\"aecg\",\"rejected\":\"xml\"}");
	expect("SELECT detail FROM event ORDER BY id DESC LIMIT 1", "aecg: xml");
}

/* Words of any length: nothing grows, and the first ones are there. */
static void test_rejected_at_length(void **state)
{
	(void)state;
	char text[8000], word[2000];
	memset(word, 'w', sizeof(word));
	word[sizeof(word) - 1] = 0;
	snprintf(text, sizeof(text), "{\"format\":\"%s\",\"rejected\":\"%s\",\"detail\":\"%s\"}",
		word, word, word);
	study_filed(&rig, 1, 10, text);
	assert_int_equal(rig_int(&rig, "SELECT length(detail) FROM event"), 12 + 2 + 24 + 2 + 48);
}

static void unreadable(const char *text, size_t len, const char *why, const char *detail)
{
	static unsigned seed = 3000;
	int64_t row = study_new(&rig, seed++, 10);
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(study_decoded(&rig.gateway, rig.db, row, text, len, why), 0);
	rig_script(&rig, "COMMIT");
	char said[96];
	rig_text(&rig, said, sizeof(said), "SELECT detail FROM event ORDER BY id DESC LIMIT 1");
	assert_string_equal(said, detail);
	expect("SELECT status||json_extract(body,'$.format')||json_extract(body,'$.rejected') FROM "
	       "study ORDER BY id DESC LIMIT 1",
		"unassignedunknowndecoder");
}

static void test_no_answer(void **state)
{
	(void)state;
	static const char no_json[] = "unknown: decoder: its answer is no JSON";
	static const char *const texts[] = {"", "{", "{}", "[]", "7", "null", "\"scp\"",
		"{\"format\":7}", "{\"format\":null}", "{\"bytes\":7}", "{\"format\":\"scp\"} x",
		"{\"format\":\"scp\",\"format\":\"scp\"}",
		"{\"format\":\"scp\",\"patient\":{\"id\":\"R-0001\",\"id\":\"R-0002\"}}",
		"{\"format\":\"\xff\"}", "{\"format\":\"scp\",\"urgency\":\"\\u0000\"}",
		"{\"format\":\"scp\",\"interval_us\":1e999}"};
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		unreadable(texts[i], strlen(texts[i]), NULL, no_json);
	unreadable("{\"format\":\"scp\"}\0", 17, NULL, no_json); /* a NUL is no blank */
	unreadable(NULL, 0, "it was ended by signal 11",
		"unknown: decoder: it was ended by signal 11");
	unreadable(NULL, 0, NULL, no_json);
	size_t len = 64 * KIB,
	       room = len - strlen("{\"format\":\"scp\",\"detail\":\"\",\"patient\":{}}");
	_cleanup_(freep) char *huge = malloc(4 * len);
	assert_non_null(huge);
	for (int more = 1; more >= 0; more--) {
		memset(huge, ' ', 4 * len); /* which is not forwarded */
		int n = snprintf(huge, 4 * len, "{\"format\":\"scp\",\"detail\":\"%0*d\"",
			(int)room + more, 7);
		huge[n] = ' ';
		huge[2 * len] = '}';
		if (more)
			unreadable(huge, 2 * len + 1, NULL,
				"unknown: decoder: its answer is too long to be forwarded");
	}
	int64_t row = study_new(&rig, 1, 10);
	assert_int_equal(study_decoded(&rig.gateway, rig.db, row, huge, 2 * len + 1, NULL), 0);
	expect("SELECT format||length(body) FROM study ORDER BY id DESC LIMIT 1", "scp65536");
	/* what grows on its way: 1e9 is 1000000000.0 */
	char *p = huge + sprintf(huge, "{\"format\":\"scp\",\"leads\":[0");
	for (int i = 0; i < 12000; i++)
		p += sprintf(p, ",1e9");
	p += sprintf(p, "]}");
	assert_true(p - huge < (ptrdiff_t)len);
	unreadable(huge, (size_t)(p - huge), NULL,
		"unknown: decoder: its answer is too long to be forwarded");
	/* nested as deep as it will go */
	memset(huge, '[', len);
	memcpy(huge, "{\"format\":\"scp\",\"leads\":", 24);
	unreadable(huge, len, NULL, no_json);
	assert_int_equal(COUNT("study_wait"), COUNT("study")); /* who knows what they are */
}

/* Members of any type: a study is filed, and nothing is made of what is no such thing. */
static void test_wrong_types(void **state)
{
	(void)state;
	static const char *const values[] = {
		"7", "-1.5", "true", "null", "\"x\"", "[]", "[[]]", "{}", "[7,null,{\"text\":7}]"};
	static const char *const members[] = {"rejected", "detail", "patient", "acquired_at",
		"measurements", "interpretation", "warnings", "leads", "device", "filters",
		"urgency"};
	char text[300];
	unsigned seed = 4000, rejected = 0;
	for (size_t m = 0; m < ELEMENTS(members); m++)
		for (size_t v = 0; v < ELEMENTS(values); v++) {
			snprintf(text, sizeof(text), "{\"format\":\"scp\",\"%s\":%s}", members[m],
				values[v]);
			study_filed(&rig, seed++, 10, text);
			rejected += m == 0 && values[v][0] == '"';
		}
	static const char *const lines[] = {"lines", "statements", "status"};
	for (size_t m = 0; m < ELEMENTS(lines); m++)
		for (size_t v = 0; v < ELEMENTS(values); v++) {
			snprintf(text, sizeof(text),
				"{\"format\":\"scp\",\"interpretation\":{\"%s\":%s}}", lines[m],
				values[v]);
			study_filed(&rig, seed++, 10, text);
		}
	assert_int_equal(COUNT("study WHERE revision=1 AND status='unassigned'"), seed - 4000);
	assert_int_equal(COUNT("event"), rejected);
	assert_int_equal(COUNT("reading") + COUNT("alert"), 0);
}

/* statements */

#define LINES(lines) \
	STUDY_SAYS("\"interpretation\":{\"status\":\"original\",\"lines\":[" lines "]},")

static void test_statement(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	int64_t row =
		study_filed(&rig, 1, 10, LINES("\"Sinus rhythm\",\"Acute inferior infarct\""));
	expect("SELECT severity||' '||role||' '||recipient||' '||resident||' '||in_contract||' '||state FROM "
	       "alert",
		"critical doctor D-0001 1 1 active");
	expect("SELECT body FROM alert",
		"{\"rules\":[{\"id\":\"ecg-acute-infarction\",\"statement\":\"Acute inferior infarct\","
		"\"text_zh\":\"心电图机提示急性心肌梗死\",\"text_en\":\"the cart states an acute "
		"infarction\"}]}");
	expect("SELECT doubts FROM alert", CART);
	assert_int_equal(COUNT("alert a JOIN study s ON a.study=s.uuid WHERE a.reading IS NULL AND "
			       "a.raised=s.arrived"),
		1);
	assert_int_equal(COUNT("outbox WHERE kind=1"), 1);
	/* once, whatever happens: the same study says the same */
	rig_script(&rig, "UPDATE study SET status='undecoded', revision=0");
	assert_int_equal(study_says(&rig, row, LINES("\"Acute inferior infarct\"")), 0);
	assert_int_equal(COUNT("alert"), 1);
	/* nobody's goes to the site */
	rig_script(&rig, "DELETE FROM binding");
	study_filed(&rig, 2, 10, LINES("\"Acute inferior infarct\",\"Ventricular fibrillation\""));
	expect("SELECT group_concat(role||recipient) FROM (SELECT * FROM alert ORDER BY id)",
		"doctorD-0001,staffS-0001");
	assert_int_equal(COUNT("alert"), 2); /* one for a study, whatever it says */
	expect("SELECT json_extract(body,'$.rules[0].id')||' '||json_extract(body,'$.rules[1].id')||"
	       "json_array_length(body,'$.rules') FROM alert WHERE id=2",
		"ecg-acute-infarction ecg-ventricular-fibrillation2");
	/* each rule once, with what fired it first; from both lists */
	rig_script(&rig, "DELETE FROM alert");
	study_filed(&rig, 4, 10,
		STUDY_SAYS(
			"\"interpretation\":{\"lines\":[\"STEMI\",\"Acute infarct\",\"asystole\"],"
			"\"statements\":[{\"text\":\"Asystole!\"},{\"text\":\"hyper\"},{\"text\":"
			"\"kalemia VT\"}]},"));
	expect("SELECT group_concat(json_extract(value,'$.id')||'='||json_extract(value,'$.statement'),', ')||"
	       "severity FROM alert, json_each(body,'$.rules')",
		"ecg-acute-infarction=STEMI, ecg-asystole=asystole, "
		"ecg-ventricular-tachycardia=kalemia VTcritical");
	study_filed(&rig, 3, 10, LINES("\"Sinus rhythm\",\"no acute changes\""));
	assert_int_equal(COUNT("alert"), 1);
}

static void stated(const char *text, const char *rule, const char *doubts)
{
	static unsigned seed = 5000;
	char found[64];
	rig_script(&rig, "DELETE FROM alert");
	study_filed(&rig, seed++, 10, text);
	rig_text(&rig, found, sizeof(found),
		"SELECT coalesce(json_extract(body,'$.rules[0].id')||' '||doubts,'-') FROM alert");
	char wanted[160];
	snprintf(wanted, sizeof(wanted), "%s %s", rule ? rule : "", doubts);
	assert_string_equal(found, rule ? wanted : "(null)");
}

static void test_where_statements_stand(void **state)
{
	(void)state;
	stated(LINES("\"ACUTE\",\"INFERIOR INFARCT\""), "ecg-acute-infarction", CART);
	stated(LINES("\"急性下壁心\",\"肌梗死\""), "ecg-acute-infarction", CART);
	stated(LINES("\"ACUTE\",\"and\",\"INFARCT\""), NULL, "");
	stated(LINES("\"no acute\",\"infarct\""), NULL, "");
	stated(STUDY_SAYS("\"interpretation\":{\"lines\":[\"Acute infarct\"]},"),
		"ecg-acute-infarction", CART);
	stated(STUDY_SAYS("\"interpretation\":{\"status\":\"overread\",\"statements\":[{\"type\":"
			  "\"text\",\"text\":\"ASYSTOLE\"}]},"),
		"ecg-asystole", CART);
	stated(STUDY_SAYS(
		       "\"interpretation\":{\"status\":\"confirmed\",\"lines\":[\"x\"],"
		       "\"statements\":[{\"type\":\"coded\"},{\"type\":\"text\",\"text\":\"Acute\"},"
		       "{\"text\":\"infarct\"}]},"),
		"ecg-acute-infarction", "[\"confirmed_statement\",\"clock_uncompared\"]");
	/* the last of one list and the first of the other do not belong together */
	stated(STUDY_SAYS("\"interpretation\":{\"lines\":[\"Acute\"],\"statements\":[{\"text\":"
			  "\"infarct\"}]},"),
		NULL, "");
	/* a cart without a clock */
	stated("{\"format\":\"scp\",\"interpretation\":{\"lines\":[\"Asystole\"]}}", "ecg-asystole",
		"[\"cart_statement\",\"time_of_arrival\"]");
	/* what is rejected says nothing */
	stated("{\"format\":\"scp\",\"rejected\":\"structure\",\"interpretation\":{\"lines\":["
	       "\"Asystole\"]},\"measurements\":{\"hr\":30}}",
		NULL, "");
	assert_int_equal(COUNT("reading"), 0);
	/* two lines as long as they may be */
	char line[256], text[1024];
	memset(line, 'x', sizeof(line));
	memcpy(line + 255 - 6, " acute", 7);
	snprintf(text, sizeof(text), LINES("\"%s\",\"%.*sinfarct\""), line, 246, "          ");
	stated(text, "ecg-acute-infarction", CART);
}

static void test_no_alerts_wanted(void **state)
{
	(void)state;
	rig.config.alerts = false;
	study_filed(&rig, 1, 10, LINES("\"Asystole\""));
	assert_int_equal(COUNT("alert"), 0);
	arrives("sn:1", "a test", 6, true, false);
	rig.config.alerts = true;
	assert_int_equal(study_says(&rig, 2, LINES("\"Asystole\"")), 0);
	assert_int_equal(COUNT("alert"), 0);
}

/* on its way */

static void test_outbox(void **state)
{
	(void)state;
	char id[64], of[64];
	study_filed(&rig, 1, 20000, STUDY_PLAIN);
	expect("SELECT group_concat(kind||' '||object||' '||revision||' '||state||' '||next_try,', ') FROM "
	       "outbox WHERE kind>=4",
		"4 1 1 0 0, 5 1 1 0 0, 5 2 1 0 0, 5 3 1 0 0");
	rig_text(&rig, id, sizeof(id), "SELECT hex(uuid) FROM study");
	rig_text(&rig, of, sizeof(of),
		"SELECT group_concat(DISTINCT hex(uuid)) FROM outbox WHERE kind>=4");
	assert_string_equal(id, of);
	study_filed(&rig, 2, 5, STUDY_PLAIN);
	expect("SELECT group_concat(object) FROM outbox WHERE kind>=4", "1,1,2,3,2,4");
}

/* Who waits for a report: ECGs that could be read, and what may be one. */
static void test_wait(void **state)
{
	(void)state;
	static const struct {
		const char *says;
		bool waits;
	} formats[] = {{"\"scp\"", true}, {"\"aecg\"", true}, {"\"ecg90a\"", true},
		{"\"dicom\"", true}, {"\"pdf\"", true}, {"\"unknown\"", false}, {"\"\"", false},
		{"\"scp\",\"rejected\":\"structure\"", false},
		{"\"unknown\",\"rejected\":\"decoder\"", true}};
	char text[100];
	for (size_t i = 0; i < ELEMENTS(formats); i++) {
		snprintf(text, sizeof(text), "{\"format\":%s}", formats[i].says);
		study_new(&rig, (unsigned)i, 10);
		expect("SELECT what||(alert IS NULL) FROM study_wait", "sent1");
		assert_int_equal(
			study_says(&rig, rig_int(&rig, "SELECT max(id) FROM study"), text), 0);
		assert_int_equal(COUNT("study_wait"), formats[i].waits);
		assert_int_equal(
			COUNT("study_wait w JOIN study s ON s.id=w.study WHERE what='sent' AND "
			      "alert IS NULL"),
			formats[i].waits);
		rig_script(&rig, "DELETE FROM outbox");
		rig_script(&rig, "DELETE FROM study_wait");
	}
	study_filed(&rig, 90, 10, NULL);
	assert_int_equal(COUNT("study_wait"), 1);
	rig_script(&rig, "DELETE FROM study_wait");
	arrives("sn:1", "a test", 6, true, false);
	assert_int_equal(COUNT("study_wait"), 0);
}

/* Staff hear of a study that never gets through the decoder, and that it did. */
static void test_wait_before_the_decoder(void **state)
{
	(void)state;
	int64_t row = study_new(&rig, 1, 10);
	assert_int_equal(report_tell(&rig.gateway, rig.db, RIG_NOW, INT64_MAX), 0);
	expect("SELECT json_extract(body,'$.rules[0].id')||state FROM alert", "ecg-not-sentactive");
	expect("SELECT group_concat(kind) FROM outbox",
		"1"); /* of the study nothing is known yet */
	expect("SELECT revision||status FROM study", "0undecoded");
	assert_int_equal(study_says(&rig, row, "{\"format\":\"unknown\"}"), 0);
	expect("SELECT revision||state FROM alert", "2inactive");
	expect("SELECT group_concat(kind||revision,' ') FROM (SELECT * FROM outbox ORDER BY kind)",
		"12 41 51");
	assert_int_equal(COUNT("study_wait"), 0);
}

/* decoded anew */

static void assign(int64_t row, int64_t resident, int expected);

static void again(int64_t row, const char *text)
{
	assert_int_equal(study_again(&rig.gateway, rig.db, row), 0);
	expect("SELECT status||tries FROM study WHERE id=1", "undecoded0");
	assert_int_equal(study_says(&rig, row, text), 0);
}

static void test_decoded_again(void **state)
{
	(void)state;
	static const char before[] = STUDY_SAYS("\"measurements\":{\"hr\":135},\"interpretation\":{"
						"\"lines\":[\"Asystole\"]},");
	static const char after[] = STUDY_SAYS("\"measurements\":{\"hr\":38},\"interpretation\":{"
					       "\"lines\":[\"Asystole\"]},");
	rig_bind(&rig, 1);
	int64_t row = study_filed(&rig, 1, 20000, before);
	rig_script(&rig, "DELETE FROM outbox WHERE kind=5 AND object<3; UPDATE study SET tries=3");
	rig_script(&rig, "DELETE FROM binding"); /* the cart went on to another one */
	rig_bind(&rig, 2);
	again(row, before);
	expect("SELECT revision||status||resident||evidence FROM study", "2amended1device_binding");
	expect("SELECT group_concat(kind||revision,' ') FROM (SELECT * FROM outbox WHERE kind IN (0,1,4,5) "
	       "ORDER BY kind)",
		"01 11 11 42 51");
	again(row, after);
	expect("SELECT group_concat(revision||json_extract(body,'$.values.\"ecg.hr\".value'),' ') FROM "
	       "reading",
		"1135 238");
	expect("SELECT group_concat(resident||evidence,' ') FROM reading",
		"1device_binding 1device_binding"); /* as its study */
	expect("SELECT revision FROM study", "3");
	expect("SELECT group_concat(condition||state,' ') FROM (SELECT * FROM alert ORDER BY id)",
		"pulse-highlatched ecg-statementactive pulse-lowactive");
	expect("SELECT group_concat(what) FROM study_wait", "sent");
	/* whose it is was decided */
	assign(row, 2, 0);
	again(row, after);
	expect("SELECT revision||status||resident||evidence||grade FROM study",
		"5amended2assigned_by_personperson");
	assign(row, 0, 0);
	again(row, before);
	expect("SELECT revision||status||evidence||coalesce(resident,'-') FROM study",
		"7unassignedassigned_by_person-");
	assert_int_equal(COUNT("reading WHERE superseded=0 AND resident IS NULL"), 1);
	/* the centre has it: nothing is unsent */
	struct uuid id = study_id(&rig, row);
	assert_int_equal(report_received(&rig.gateway, rig.db, 0, &id), 0);
	again(row, before);
	expect("SELECT group_concat(what) FROM study_wait", "report");
}

/* What could not be read is one of somebody when it can; and the centre's word goes along. */
static void test_decoded_after_all(void **state)
{
	(void)state;
	int64_t row = study_filed(&rig, 1, 10, NULL);
	again(row, NULL);
	assert_int_equal(COUNT("event"), 1); /* it was told once */
	rig_script(&rig, "DELETE FROM study_wait");
	assert_int_equal(
		report_add(&rig.gateway, rig.db, row, REPORT_CRITICAL, "", "K 6.9", "c"), 0);
	expect("SELECT role||recipient FROM alert", "staffS-0001");
	again(row, OF("\"R-0001\""));
	expect("SELECT revision||status||resident||evidence FROM study", "4amended1message_token");
	expect("SELECT role||recipient FROM alert", "doctorD-0001");
	expect("SELECT revision||status FROM reading", "1final");
	assert_int_equal(COUNT("study_wait"), 0); /* the centre has it */
	/* what a person said of one that nobody could read */
	row = study_filed(&rig, 2, 10, NULL);
	assign(row, 2, 0);
	assert_int_equal(study_again(&rig.gateway, rig.db, row), 0);
	assert_int_equal(study_says(&rig, row, OF("\"R-0001\"")), 0);
	expect("SELECT s.resident||s.evidence||r.resident||r.evidence FROM study s, reading r WHERE s.id=2 AND "
	       "r.id=2",
		"2assigned_by_person2assigned_by_person");
	row = 1;
	/* what comes in between is told with what the decoder says */
	assert_int_equal(study_again(&rig.gateway, rig.db, row), 0);
	rig_script(&rig, "DELETE FROM outbox");
	assert_int_equal(report_add(&rig.gateway, rig.db, row, REPORT_FINAL, "x", "", "c"), 0);
	assert_int_equal(COUNT("outbox WHERE kind=4"), 0);
	assert_int_equal(study_says(&rig, row, OF("\"R-0001\"")), 0);
	expect("SELECT group_concat(kind||revision) FROM outbox", "45");
}

/* later */

static void assign(int64_t row, int64_t resident, int expected)
{
	struct uuid id = study_id(&rig, row);
	rig_script(&rig, "BEGIN IMMEDIATE");
	assert_int_equal(study_assign(&rig.gateway, rig.db, &id, resident), expected);
	rig_script(&rig, expected < 0 ? "ROLLBACK" : "COMMIT");
}

static void test_assign(void **state)
{
	(void)state;
	int64_t row = study_filed(&rig, 1, 10,
		STUDY_SAYS(
			"\"measurements\":{\"hr\":135},\"interpretation\":{\"lines\":[\"Asystole\"]},"));
	expect("SELECT group_concat(role) FROM alert", "staff,staff");
	assign(row, 1, 0);
	expect("SELECT revision||' '||status||' '||resident||' '||evidence||' '||grade||' '||in_contract FROM "
	       "study",
		"2 amended 1 assigned_by_person person 1");
	expect("SELECT revision||' '||status||' '||resident||' '||evidence FROM reading WHERE superseded=0",
		"2 amended 1 assigned_by_person");
	expect("SELECT group_concat(role||recipient||coalesce(resident,'-')||revision||state) FROM "
	       "(SELECT * FROM alert ORDER BY id)",
		"staffS-0001-2inactive,doctorD-000112active,doctorD-000111active");
	expect("SELECT group_concat(resident||kind) FROM evidence", "1ecg.hr");
	/* the study's row, not its pieces, goes again */
	expect("SELECT group_concat(kind||revision,' ') FROM (SELECT * FROM outbox WHERE kind IN (1,4,5) ORDER "
	       "BY kind,id)",
		"12 12 11 42 51");
	assign(row, 1, -EALREADY);
	assign(row, 2, 0);
	expect("SELECT group_concat(role||recipient) FROM alert WHERE state='active'",
		"doctorD-0002,doctorD-0002");
	expect("SELECT group_concat(resident||kind) FROM evidence", "2ecg.hr");
	assign(row, 3, 0); /* out of contract */
	expect("SELECT group_concat(role||in_contract||resident) FROM alert WHERE state='active'",
		"staff03,staff03");
	assign(row, 0, 0);
	expect("SELECT revision||' '||status||' '||coalesce(resident,'-')||' '||evidence||' '||grade FROM study",
		"5 unassigned - assigned_by_person none");
	expect("SELECT status||coalesce(resident,'-') FROM reading WHERE superseded=0",
		"unassigned-");
	assert_int_equal(COUNT("evidence"), 0);
	assign(row, 0, -EALREADY);
}

static void test_assign_others(void **state)
{
	(void)state;
	struct uuid none = {.bytes = {1}};
	assert_int_equal(study_assign(&rig.gateway, rig.db, &none, 1), -ENOENT);
	int64_t row = study_new(&rig, 1, 10);
	assign(row, 1, -ENOENT); /* not decoded yet: the decoder would decide again */
	assert_int_equal(study_says(&rig, row, STUDY_SAYS("")), 0);
	assign(row, 1, 0); /* without a rate */
	row = study_filed(&rig, 2, 10, NULL);
	assign(row, 1, 0); /* unreadable */
	/* the rate was assigned by itself before */
	row = study_filed(&rig, 3, 10, STUDY_PLAIN);
	struct uuid rate;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(rig.db, "SELECT uuid FROM reading", "");
		assert_int_equal(row_next(r), 1);
		assert_true(row_uuid(r, 0, &rate));
	}
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &rate, 2), 0);
	assign(row, 2, 0);
	expect("SELECT resident FROM study WHERE id=3", "2");
	arrives("sn:1", "a test", 6, true, false);
	assert_int_equal(study_says(&rig, 4, STUDY_PLAIN), 0);
	assign(4, 1, -EPERM);
	arrives("sn:1", "another", 7, true, false);
	assert_int_equal(study_says(&rig, 5, STUDY_SAYS("")), 0);
	assign(5, 1, -EPERM); /* without a rate, too */
}

/* The alert of a rate says which study to look at; the rate says so, too. */
static void test_rate_names_its_study(void **state)
{
	(void)state;
	study_filed(&rig, 1, 10, RATE("135"));
	assert_int_equal(
		COUNT("alert a JOIN study s ON s.uuid=a.study WHERE reading IS NOT NULL"), 1);
	struct uuid rate, of;
	{
		_cleanup_(row_endp) struct row *r =
			db_query(rig.db, "SELECT uuid FROM reading", "");
		assert_int_equal(row_next(r), 1);
		assert_true(row_uuid(r, 0, &rate));
	}
	struct uuid id = study_id(&rig, 1);
	assert_true(study_of_reading(rig.db, &rate, &of));
	assert_memory_equal(id.bytes, of.bytes, sizeof(of.bytes));
	assert_false(study_of_reading(rig.db, &id, &of));
	struct uuid cuff = rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	assert_false(study_of_reading(rig.db, &cuff, &of));
	assert_int_equal(COUNT("alert WHERE study IS NULL"), 1);
	rig_script(&rig, "UPDATE reading SET kind='laboratory' WHERE kind='ecg'");
	assert_false(study_of_reading(rig.db, &rate, &of)); /* a note like any other */
	rig_script(&rig, "UPDATE reading SET kind='ecg' WHERE kind='laboratory'");
	rig_script(&rig, "DELETE FROM study");
	assert_false(study_of_reading(rig.db, &rate, &of));
}

/* Alerts of critical values follow it, too. */
static void test_assign_critical(void **state)
{
	(void)state;
	int64_t row = study_filed(&rig, 1, 10, STUDY_SAYS(""));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			report_add(&rig.gateway, rig.db, row, REPORT_PRELIMINARY, "x", "", "c"), 0);
		assert_int_equal(
			report_add(&rig.gateway, rig.db, row, REPORT_CRITICAL, "", "K 6.9", "c"),
			0);
	}
	assign(row, 1, 0);
	expect("SELECT group_concat(role||recipient||resident) FROM alert",
		"doctorD-00011,doctorD-00011");
}

/* All of it, or nothing: whatever step fails. */
static void test_a_step_fails(void **state)
{
	(void)state;
	static const char *const steps[] = {"UPDATE ON study", "INSERT ON reading",
		"INSERT ON evidence", "INSERT ON alert WHEN new.reading IS NOT NULL",
		"INSERT ON alert WHEN new.reading IS NULL", "INSERT ON outbox WHEN new.kind=0",
		"INSERT ON outbox WHEN new.kind=1",
		"INSERT ON outbox WHEN new.kind=1 AND new.object=2",
		"INSERT ON outbox WHEN new.kind=4",
		"INSERT ON outbox WHEN new.kind=5 AND new.object=2"};
	static const char text[] = STUDY_SAYS(
		"\"measurements\":{\"hr\":135},\"interpretation\":{\"lines\":[\"Asystole\"]},");
	char trigger[200];
	rig_bind(&rig, 1);
	int64_t row = study_new(&rig, 1, 20000);
	for (size_t i = 0; i < ELEMENTS(steps); i++) {
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			steps[i]);
		rig_script(&rig, trigger);
		if (study_says(&rig, row, text) >= 0)
			fail_msg("%s", steps[i]);
		rig_script(&rig, "DROP TRIGGER fails");
		expect("SELECT status||revision||(body IS NULL)||tries FROM study", "undecoded010");
		assert_int_equal(COUNT("outbox") + COUNT("reading") + COUNT("evidence") +
					 COUNT("alert") + COUNT("event"),
			0);
		assert_int_equal(COUNT("study_wait"), 1);
	}
	rig_script(&rig,
		"CREATE TRIGGER fails BEFORE INSERT ON event BEGIN SELECT raise(ABORT,'x'); END");
	assert_true(study_says(&rig, row, NULL) < 0);
	rig_script(&rig, "DROP TRIGGER fails");
	/* and an arrival */
	static const char *const arriving[] = {
		"INSERT ON study", "INSERT ON study_piece WHEN new.n=1", "INSERT ON study_wait"};
	for (size_t i = 0; i < ELEMENTS(arriving); i++) {
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			arriving[i]);
		rig_script(&rig, trigger);
		_cleanup_(freep) uint8_t *bytes = study_bytes(2, 20000);
		assert_true(rig_file(&rig, study_unit(&rig, bytes, 20000)) < 0);
		rig_script(&rig, "DROP TRIGGER fails");
		assert_int_equal(COUNT("study") + COUNT("study_piece"), 4);
	}
	/* and a person's word */
	assert_int_equal(study_says(&rig, row, text), 0);
	static const char *const assigning[] = {"UPDATE OF resident ON study",
		"UPDATE OF revision ON study", "INSERT ON outbox WHEN new.kind=4",
		"UPDATE ON alert WHEN old.study IS NOT NULL", "INSERT ON reading"};
	for (size_t i = 0; i < ELEMENTS(assigning); i++) {
		struct uuid id = study_id(&rig, row);
		snprintf(trigger, sizeof(trigger),
			"CREATE TRIGGER fails BEFORE %s BEGIN SELECT raise(ABORT,'x'); END",
			assigning[i]);
		rig_script(&rig, trigger);
		rig_script(&rig, "BEGIN IMMEDIATE");
		if (study_assign(&rig.gateway, rig.db, &id, 2) >= 0)
			fail_msg("%s", assigning[i]);
		rig_script(&rig, "ROLLBACK; DROP TRIGGER fails");
	}
	assert_int_equal(
		study_decoded(&rig.gateway, rig.db, 999, text, strlen(text), NULL), -ENOENT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_arrives),
		T(test_sizes),
		T(test_again),
		T(test_marks),
		T(test_order),
		T(test_turns),
		T(test_not_whole),
		T(test_who),
		T(test_when),
		T(test_gateway_clock_not_set),
		T(test_nothing_of_the_person),
		T(test_rate),
		T(test_implausible_rate),
		T(test_rejected),
		T(test_rejected_at_length),
		T(test_no_answer),
		T(test_wrong_types),
		T(test_statement),
		T(test_where_statements_stand),
		T(test_no_alerts_wanted),
		T(test_outbox),
		T(test_decoded_again),
		T(test_decoded_after_all),
		T(test_wait),
		T(test_wait_before_the_decoder),
		T(test_assign),
		T(test_assign_others),
		T(test_rate_names_its_study),
		T(test_assign_critical),
		T(test_a_step_fails),
	};
	log_init("test", LOG_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
