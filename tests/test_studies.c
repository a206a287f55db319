/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Originals through a decoder and back, with a running store: all of them, in turn, whatever one of them does to it. */
#include "study_rig.h"

#include "fake_decoder.h"
#include "log.h"
#include "studies.h"

#include <fcntl.h>

/* A decoder that answers each original by its first byte, and writes that byte down. */
#define FAKE                                                                                                           \
	"b=$(dd bs=1 count=1 2>/dev/null | od -An -tu1 | tr -d ' '); echo $b >>%1$s/seen; "                            \
	"case $b in 6) kill -SEGV $$;; 7) exit 9;; 8) echo nonsense; exit 0;; 9) exec sleep 100;; 4) kill -KILL $$;; " \
	"5) echo >%1$s/begun; while [ ! -e %1$s/go ]; do sleep 0.02; done;; esac; "                                    \
	"printf '{\"format\":\"scp\",\"urgency\":%%d}' $b"

static struct rig rig;
static struct studies *studies;
static char path[128], seen[128], begun[128], go[128];
static int64_t again_us, limit_us;

static void fake(const char *script)
{
	char text[1024];
	snprintf(text, sizeof(text), script, rig.dir);
	fake_decoder(rig.dir, path, text);
}

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK STUDY_CART);
	rig_run_store(&rig);
	fake(FAKE);
	again_us = 60 * CLOCK_SECOND_US; /* not in this test */
	limit_us = 4 * CLOCK_SECOND_US;
	snprintf(seen, sizeof(seen), "%s/seen", rig.dir);
	snprintf(begun, sizeof(begun), "%s/begun", rig.dir);
	snprintf(go, sizeof(go), "%s/go", rig.dir);
	return 0;
}

/* As the daemon ends: the store first. */
static void stop(void)
{
	store_free(TAKE(rig.gateway.store));
	studies_free(TAKE(studies));
	rig.gateway.studies = NULL;
}

static int teardown(void **state)
{
	(void)state;
	stop();
	no_child_left();
	rig_close(&rig);
	return 0;
}

static void start(void)
{
	assert_int_equal(studies_new(&rig.gateway, &studies), 0);
	studies_use(studies, path, limit_us, again_us);
	rig.gateway.studies = studies;
}

/* Another process on the same database. */
static void start_again(void)
{
	struct store_hooks hooks = {rig_after_commit, &rig, rig_before_commit};
	assert_int_equal(store_new(rig.gateway.loop, rig.config.store, rig.config.commit_rows,
				 &hooks, &rig.gateway.store),
		0);
	assert_int_equal(store_run(rig.gateway.store), 0);
	start();
}

static void turn(unsigned ms)
{
	int64_t end = clock_boot_us() + ms * INT64_C(1000);
	while (clock_boot_us() < end)
		assert_true(sd_event_run(rig.gateway.loop, 5000) >= 0);
}

/* Runs the loop until `sql` (a literal) says `n`, at most a minute. */
#define UNTIL(sql, n)                                                           \
	do {                                                                    \
		int64_t end_ = clock_boot_us() + 60 * CLOCK_SECOND_US;          \
		while (rig_int(&rig, sql) != (n) && clock_boot_us() < end_)     \
			assert_true(sd_event_run(rig.gateway.loop, 5000) >= 0); \
		assert_int_equal(rig_int(&rig, sql), n);                        \
	} while (0)
#define DECODED "SELECT count(*) FROM study WHERE revision=1"

/* An original whose first byte is `what`, from outside of the running store. */
static void brings(uint8_t what)
{
	static uint32_t number;
	uint8_t bytes[16] = {what};
	number++;
	memcpy(bytes + 4, &number, sizeof(number));
	assert_int_equal(rig_file(&rig, study_unit(&rig, bytes, sizeof(bytes))), 0);
}

static void expect(const char *sql, const char *expected)
{
	study_expect(&rig, sql, expected);
}

/* In which order the decoder saw them. */
static void saw(const char *expected)
{
	char text[512] = "";
	FILE *f = fopen(seen, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	for (char *p = text; *p; p++)
		*p = *p == '\n' ? ' ' : *p;
	assert_string_equal(text, expected);
}

static void until_there(const char *file)
{
	int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US;
	while (access(file, F_OK) < 0 && clock_boot_us() < end)
		assert_true(sd_event_run(rig.gateway.loop, 5000) >= 0);
	assert_int_equal(access(file, F_OK), 0);
}

static void let_go(void)
{
	FILE *f = fopen(go, "we");
	assert_non_null(f);
	fclose(f);
}

/* What an earlier process left behind is decoded at start, one after the other. */
static void test_at_start(void **state)
{
	(void)state;
	for (uint8_t i = 10; i < 15; i++)
		brings(i);
	start();
	UNTIL(DECODED, 5);
	saw("10 11 12 13 14 ");
	expect("SELECT group_concat(json_extract(body,'$.urgency')||tries) FROM study",
		"101,111,121,131,141");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=4"), 5);
	turn(100);
	saw("10 11 12 13 14 ");
}

static void test_wake(void **state)
{
	(void)state;
	start();
	turn(50);
	brings(20);
	turn(100);
	saw(""); /* nobody looks without being told */
	studies_wake(studies);
	UNTIL(DECODED, 1);
	brings(21);
	studies_wake(studies);
	UNTIL(DECODED, 2);
	saw("20 21 ");
	studies_wake(NULL); /* before there is anybody */
}

/* One that comes while another is decoded is not forgotten, however often it is told. */
static void test_wake_while_busy(void **state)
{
	(void)state;
	start();
	brings(5); /* waits for the word */
	for (int i = 0; i < 5; i++)
		studies_wake(studies);
	until_there(begun);
	brings(30);
	for (int i = 0; i < 5; i++)
		studies_wake(studies);
	brings(31);
	studies_wake(studies);
	turn(50);
	assert_int_equal(rig_int(&rig, DECODED), 0);
	let_go();
	UNTIL(DECODED, 3);
	saw("5 30 31 ");
}

/* A unit that is committed between the empty look and its answer. */
static void test_wake_beside_an_empty_look(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++) {
		if (!studies)
			start();
		studies_wake(studies);
		if (i % 2)
			usleep(500);
		brings(40);
		studies_wake(studies);
		int64_t wanted = i + 1, end = clock_boot_us() + 60 * CLOCK_SECOND_US;
		while (rig_int(&rig, DECODED) != wanted && clock_boot_us() < end)
			assert_true(sd_event_run(rig.gateway.loop, 5000) >= 0);
		assert_int_equal(rig_int(&rig, DECODED), wanted);
	}
}

/* A file that crashes, confuses or hangs the decoder stops nobody behind it; what was no fault of it is tried again. */
static void test_bad_files(void **state)
{
	(void)state;
	static const uint8_t files[] = {6, 7, 8, 9, 4, 10};
	for (size_t i = 0; i < ELEMENTS(files); i++)
		brings(files[i]);
	again_us = 4 * CLOCK_SECOND_US;
	limit_us = 2 * CLOCK_SECOND_US;
	start();
	UNTIL(DECODED,
		4); /* what hangs, or is killed, lets the others pass, and is tried again after a rest */
	expect("SELECT group_concat(status||tries,' ') FROM study WHERE id>3",
		"undecoded1 undecoded1 unassigned1");
	for (int i = 0; i < 10; i++) {
		studies_wake(studies);
		turn(50);
	}
	expect("SELECT group_concat(tries) FROM study WHERE id IN (4,5)", "1,1");
	UNTIL(DECODED, 6);
	expect("SELECT group_concat(detail,'; ') FROM (SELECT * FROM event ORDER BY id)",
		"unknown: decoder: it was ended by signal 11; unknown: decoder: it ended with status 9; "
		"unknown: decoder: its answer is no JSON; unknown: decoder: it did not come to an end; "
		"unknown: decoder: it was ended by signal 9");
	expect("SELECT group_concat(coalesce(json_extract(body,'$.rejected'),'good')||tries) FROM study",
		"decoder1,decoder1,decoder1,decoder3,decoder3,good1");
	saw("6 7 8 9 4 10 9 4 9 4 ");
}

/* What was given up is decoded when somebody says so. */
static void test_again(void **state)
{
	(void)state;
	brings(6);
	start();
	UNTIL(DECODED, 1);
	fake("printf '{\"format\":\"scp\"}'");
	studies_wake(studies);
	turn(50);
	expect("SELECT json_extract(body,'$.rejected') FROM study", "decoder");
	assert_int_equal(study_again(&rig.gateway, rig.db, 1), 0);
	studies_wake(studies);
	UNTIL("SELECT revision FROM study", 2);
	expect("SELECT format||tries FROM study", "scp1");
}

/* Whatever an answer holds: it is as long as it is. */
static void test_zero_in_an_answer(void **state)
{
	(void)state;
	fake("printf '{\"format\":\"scp\"}\\000{}'");
	brings(10);
	start();
	UNTIL(DECODED, 1);
	expect("SELECT detail FROM event", "unknown: decoder: its answer is no JSON");
}

/* Each process that died of it was a try; then it goes without a decoder. */
static void test_given_up(void **state)
{
	(void)state;
	brings(10);
	brings(11);
	rig_script(&rig, "UPDATE study SET tries=3 WHERE id=1");
	rig_script(&rig, "UPDATE study SET tries=2 WHERE id=2");
	start();
	UNTIL(DECODED, 2);
	saw("11 ");
	expect("SELECT group_concat(tries||coalesce(json_extract(body,'$.rejected'),'good')) FROM study",
		"4decoder,3good");
	expect("SELECT detail FROM event", "unknown: decoder: given up after 3 tries");
	assert_int_equal(STUDY_TRIES_MAX, 3);
}

/* Half of it is not the original: it is told, and forwarded as it is. */
static void test_not_whole(void **state)
{
	(void)state;
	study_new(&rig, 77, 20000);
	brings(10);
	rig_script(&rig, "DELETE FROM study_piece WHERE n=1");
	start();
	UNTIL(DECODED, 2);
	saw("10 ");
	expect("SELECT detail FROM event", "unknown: decoder: the store has not all of it");
}

static int stderr_before = -1;

static void hear(void)
{
	char log[128];
	snprintf(log, sizeof(log), "%s/log", rig.dir);
	fflush(stderr);
	stderr_before = dup(STDERR_FILENO);
	int fd = open(log, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(stderr_before >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
	log_init("test", LOG_ERROR);
}

static unsigned lines_said(void)
{
	char text[4096] = "";
	unsigned n = 0;
	fflush(stderr);
	log_init("test", (enum log_level)0);
	assert_true(pread(STDERR_FILENO, text, sizeof(text) - 1, 0) >= 0);
	assert_true(dup2(stderr_before, STDERR_FILENO) >= 0);
	close(stderr_before);
	for (char *p = text; (p = strstr(p, "cannot start the decoder")); p++)
		n++;
	return n;
}

/* A decoder that is not there (an upgrade is on its way) is no fault of the files: they wait for it. */
static void test_no_decoder(void **state)
{
	(void)state;
	brings(10);
	unlink(path);
	hear();
	start();
	for (int i = 0; i < 6; i++) {
		UNTIL("SELECT tries FROM study", 0);
		turn(30);
		studies_wake(studies);
		turn(30);
	}
	expect("SELECT status||tries FROM study", "undecoded0");
	assert_int_equal(lines_said(), 1); /* of what is the same over and over */
	brings(11);
	fake(FAKE);
	studies_wake(studies);
	UNTIL(DECODED, 2);
	saw("10 11 ");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM event"), 0);
}

/* It looks again by itself, after a while. */
static void test_looks_again(void **state)
{
	(void)state;
	again_us = CLOCK_SECOND_US;
	brings(10);
	unlink(path);
	int64_t begun_us = clock_boot_us();
	start();
	turn(200);
	fake(FAKE);
	UNTIL(DECODED, 1);
	assert_true(clock_boot_us() - begun_us >= again_us);
	/* so it does when the store refuses */
	brings(11);
	rig_script(&rig,
		"CREATE TRIGGER full BEFORE UPDATE OF body ON study BEGIN SELECT raise(ABORT,'x'); "
		"END");
	studies_wake(studies);
	UNTIL("SELECT max(tries) FROM study", 2);
	rig_script(&rig, "DROP TRIGGER full");
	UNTIL(DECODED, 2);
	/* or cannot tell what there is */
	rig_script(&rig,
		"CREATE TRIGGER full BEFORE UPDATE OF tries ON study BEGIN SELECT raise(ABORT,'x'); "
		"END");
	brings(12);
	studies_wake(studies);
	turn(200);
	rig_script(&rig, "DROP TRIGGER full");
	UNTIL(DECODED, 3);
}

/* A store that refuses what was decoded (a full disk) is asked again; the others are not held up. */
static void test_not_filed(void **state)
{
	(void)state;
	brings(10);
	brings(11);
	rig_script(&rig,
		"CREATE TRIGGER full BEFORE UPDATE OF body ON study WHEN old.id=1 BEGIN SELECT "
		"raise(ABORT,'x'); END");
	start();
	UNTIL("SELECT max(tries) FROM study", 1);
	turn(100);
	studies_wake(studies);
	UNTIL(DECODED, 1);
	expect("SELECT group_concat(status) FROM study", "undecoded,unassigned");
	turn(100);
	rig_script(&rig, "DROP TRIGGER full");
	studies_wake(studies);
	UNTIL(DECODED, 2);
}

/* The daemon stops at any moment: nothing is lost but the try, and nothing is left behind. */
static void test_stops_while_decoding(void **state)
{
	(void)state;
	brings(5);
	brings(10);
	start();
	until_there(begun);
	stop();
	no_child_left();
	expect("SELECT group_concat(status||tries) FROM study", "undecoded1,undecoded0");
	let_go();
	start_again();
	UNTIL(DECODED, 2);
	saw("5 10 5 ");
}

static void test_stops_anywhere(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		brings(10);
		if (rig.gateway.store)
			start();
		else
			start_again();
		if (i % 4)
			turn(i % 20);
		stop();
		no_child_left();
		if (i % 10 == 9) /* tries are not the matter here */
			rig_script(&rig, "UPDATE study SET tries=0 WHERE status='undecoded'");
	}
	rig_script(&rig, "UPDATE study SET tries=0 WHERE status='undecoded'");
	start_again();
	UNTIL(DECODED, 40);
	studies_free(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_at_start),
		T(test_wake),
		T(test_wake_while_busy),
		T(test_wake_beside_an_empty_look),
		T(test_bad_files),
		T(test_again),
		T(test_zero_in_an_answer),
		T(test_given_up),
		T(test_not_whole),
		T(test_no_decoder),
		T(test_looks_again),
		T(test_not_filed),
		T(test_stops_while_decoding),
		T(test_stops_anywhere),
	};
	log_init("test", (enum log_level)0);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
