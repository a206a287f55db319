/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Studies on their way: one piece at a time, everything else passes by, and what a receipt says of the whole. */
#include "study_rig.h"

#include "log.h"
#include "payload.h"
#include "util.h"

#include <fcntl.h>
#include <jansson.h>

#define COUNT(where) rig_int(&rig, "SELECT count(*) FROM outbox WHERE " where)
#define TIMEOUT_US (10 * CLOCK_SECOND_US) /* of RIG_SINK */
#define TWO_SINKS                                                                                         \
	"sinks:\n - {name: heart, host: g, receipt: platform, receipt_timeout_s: 10}\n - {name: county, " \
	"host: h, receipt: broker}\n"
#define BROKER "sinks:\n - {name: a, host: h, receipt: broker}\n"

static struct rig rig;
static int64_t now;	/* what outbox_after_commit() is told */
static unsigned looked; /* messages that were looked at */

static int open_with(const char *yaml)
{
	rig_open(&rig, yaml);
	now = clock_boot_us();
	looked = 0;
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

static int setup_broker(void **state)
{
	(void)state;
	return open_with(BROKER);
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

static void serve(void)
{
	rig_serve(&rig, now);
}

static void up(unsigned sink)
{
	outbox_up(rig.gateway.outbox, rig.db, sink);
	serve();
}

static void landed(unsigned message)
{
	const struct publish *p = rig.posted[message];
	assert_true(outbox_landed(rig.gateway.outbox, p->sink, p->tag));
	assert_int_equal(outbox_settle(rig.gateway.outbox, rig.db, p->sink), 0);
	serve();
}

/* A study of so many pieces. */
static int64_t study(unsigned seed, unsigned pieces)
{
	return study_filed(
		&rig, seed, (pieces - 1) * (size_t)STUDY_PIECE_BYTES + 100, STUDY_SAYS(""));
}

static const char *word(const struct publish *p, char *out, size_t size)
{
	json_error_t e;
	json_t *root = json_loadb(p->payload, p->len, JSON_REJECT_DUPLICATES, &e);
	assert_non_null(root);
	const json_t *list = json_object_get(root, "chunks");
	list = list ? list : json_object_get(root, "studies");
	size_t n = 0;
	out[0] = 0;
	if (list) {
		const json_t *item;
		size_t i;
		json_array_foreach(list, i, item)
		{
			bool piece = json_object_get(item, "n") != NULL;
			n += (size_t)snprintf(out + n, size - n, "%s%c%lld", i ? "+" : "",
				piece ? 'p' : 's',
				json_integer_value(
					json_object_get(item, piece ? "n" : "revision")));
		}
	} else {
		snprintf(out, size, "%s", p->topic + 3);
	}
	json_decref(root);
	return out;
}

/* What was handed over since the last time: "s1 p0": the study's revision 1, its piece 0. */
static void went(const char *expected)
{
	char all[4096] = "", one[256];
	for (; looked < rig.n_posted; looked++) {
		if (all[0])
			strcat(all, " ");
		strcat(all, word(rig.posted[looked], one, sizeof(one)));
	}
	assert_string_equal(all, expected);
}

static void receipt_of(int64_t row, unsigned sink, int revision, const char *result)
{
	struct uuid id = study_id(&rig, row);
	char text[512], as_hex[33];
	snprintf(text, sizeof(text),
		"{\"receipts\":[{\"id\":\"%s\",\"revision\":%d,\"result\":%s}]}",
		hex(as_hex, id.bytes, 16), revision, result);
	assert_int_equal(outbox_receipts(&rig.gateway, rig.db, sink, text, strlen(text)), 0);
	serve();
}

#define ACCEPTED "\"accepted\""

/* Accepted, and the log says so, or nothing. */
static void warned_of(int64_t row, int revision, const char *expected)
{
	char path[128], text[512] = "";
	snprintf(path, sizeof(path), "%s/log", rig.dir);
	fflush(stderr);
	int saved = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(saved >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
	log_init("test", LOG_WARN);
	receipt_of(row, 0, revision, ACCEPTED);
	log_init("test", (enum log_level)0);
	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
	close(saved);
	close(fd);
	if (expected)
		assert_non_null(strstr(text, expected));
	else
		assert_string_equal(text, "");
}

static void expect(const char *sql, const char *expected)
{
	study_expect(&rig, sql, expected);
}

/* All pieces up to the end; the PUBACK of each brings the next. */
static void land_all(void)
{
	for (unsigned i = 0; i < rig.n_posted; i++)
		landed(i);
}

static void test_one_at_a_time(void **state)
{
	(void)state;
	study(1, 3);
	study(2, 2);
	up(0);
	went("s1 s1 p0"); /* what is known of them first, one by one */
	serve();
	serve();
	went("");
	landed(0);
	landed(1);
	went("");
	landed(2);
	went("p1");
	landed(3);
	went("p2");
	landed(4);
	went("p0");
	landed(5);
	went("p1");
	landed(6);
	went("");
	/* the broker has each; they stay until the platform says that it has the whole */
	assert_int_equal(COUNT("kind=5 AND state=1 AND next_try=0"), 5);
	assert_int_equal(COUNT("kind=4 AND state=1 AND next_try>0"), 2);
}

/* While one piece is on a slow line, everything else passes by. */
static void test_others_pass_by(void **state)
{
	(void)state;
	study(1, 20);
	up(0);
	went("s1 p0");
	rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	serve();
	went("alert reading");
	landed(0);
	study(2, 1);
	serve();
	went("s1");
	landed(1);
	went("p0"); /* of the new study: what came since the broker was reached goes first */
}

/* The window of a sink may be small: a piece takes one slot, and leaves the alerts' alone. */
static void test_small_window(void **state)
{
	(void)state;
	rig_close(&rig);
	open_with("sinks:\n - {name: a, host: g, window: 1}\n");
	study(1, 3);
	up(0);
	went("s1");
	rig_bp(&rig, (struct rig_bp){190, 115, 70, .identity = "1"});
	serve();
	went("alert");
	landed(0);
	landed(1);
	went("reading");
	landed(2);
	went("p0");
}

static void test_not_sent_again(void **state)
{
	(void)state;
	int64_t row = study(1, 4);
	up(0);
	landed(1);
	landed(2);
	went("s1 p0 p1 p2"); /* two have arrived, one is on its way */
	landed(0);
	/* the line breaks */
	outbox_down(rig.gateway.outbox, 0);
	up(0);
	went("p2");
	landed(4);
	went("p3");
	/* the process ends */
	assert_true(outbox_recover(rig.db) >= 0);
	outbox_down(rig.gateway.outbox, 0);
	up(0);
	went("s1 p3");
	land_all();
	went("");
	assert_true(outbox_recover(rig.db) >= 0);
	up(0);
	went("s1");
	/* the study's row is sent again until its receipt comes; the pieces are not */
	landed(rig.n_posted - 1);
	for (int i = 0; i < 4; i++) {
		now = clock_boot_us() + (TIMEOUT_US << (i + 2));
		serve();
		went("s1");
		landed(rig.n_posted - 1);
	}
	receipt_of(row, 0, 1, ACCEPTED);
	assert_int_equal(COUNT("kind=5"), 0);
}

static void test_accepted(void **state)
{
	(void)state;
	int64_t row = study(1, 3), other = study(2, 2);
	up(0);
	land_all();
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study WHERE received IS NULL"), 2);
	receipt_of(row, 0, 1, ACCEPTED);
	expect("SELECT group_concat(kind||revision||object,' ') FROM (SELECT * FROM outbox ORDER BY id)",
		"412 514 515 421");
	expect("SELECT group_concat(study||what,' ') FROM study_wait", "1report 2sent");
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM study WHERE received>0 AND due>received"), 1);
	/* the platform hears of the clock; its receipt for that starts nothing again */
	int64_t received = rig_int(&rig, "SELECT received FROM study");
	receipt_of(row, 0, 1, ACCEPTED);
	receipt_of(row, 0, 2, ACCEPTED);
	receipt_of(row, 0, 2, ACCEPTED);
	expect("SELECT group_concat(kind||revision) FROM outbox WHERE object=1 AND kind=4",
		"(null)");
	assert_int_equal(rig_int(&rig, "SELECT received FROM study"), received);
	receipt_of(other, 0, 1, ACCEPTED);
	assert_int_equal(COUNT("kind=5"), 0);
}

/* Who has the same recording from elsewhere may say so at once: nothing more of it is sent. */
static void test_accepted_before_the_pieces(void **state)
{
	(void)state;
	int64_t row = study(1, 10);
	up(0);
	went("s1 p0");
	warned_of(row, 1, "9 of its chunks were never sent"); /* one flies */
	assert_int_equal(COUNT("kind=5"), 0);
	went("s2"); /* that it was received */
	landed(1);  /* a late PUBACK of a piece that is not wanted any more */
	went("");
	assert_int_equal(COUNT("1"), 1);
	warned_of(row, 2, NULL); /* once */
	row = study(2, 2);
	serve();
	land_all();
	warned_of(row, 1, NULL); /* it was given all of this one */
}

static void test_a_later_revision(void **state)
{
	(void)state;
	int64_t row = study(1, 3);
	up(0);
	landed(1);
	went("s1 p0 p1");
	/* a person assigns it in the meantime: its row is another one, its pieces stay */
	rig_residents(&rig);
	struct uuid id = study_id(&rig, row);
	assert_int_equal(study_assign(&rig.gateway, rig.db, &id, 1), 0);
	serve();
	went("s2");
	landed(0);
	landed(2);
	went("p2");
	expect("SELECT group_concat(kind||revision||state,' ') FROM (SELECT * FROM outbox ORDER BY id)",
		"511 511 510 420");
	/* an accepted revision accepts those before it, and one before it says nothing of the next */
	receipt_of(row, 0, 1, ACCEPTED);
	expect("SELECT group_concat(kind||revision,' ') FROM outbox", "42");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study_wait WHERE what='sent'"), 1);
	receipt_of(row, 0, 2, ACCEPTED);
	expect("SELECT group_concat(kind||revision,' ') FROM outbox",
		"43"); /* that it was received */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study_wait WHERE what='report'"), 1);
}

static void test_missing(void **state)
{
	(void)state;
	int64_t row = study(1, 5), other = study(2, 5);
	up(0);
	land_all();
	went("s1 s1 p0 p1 p2 p3 p4 p0 p1 p2 p3 p4");
	receipt_of(row, 0, 1, "\"retry\",\"missing\":[3,1,3]");
	went("p1"); /* at once; in whatever order */
	landed(rig.n_posted - 1);
	went("p3");
	landed(rig.n_posted - 1);
	went("");
	assert_int_equal(COUNT("kind=5 AND state=1 AND next_try=0"), 10);
	/* the row follows, so that the platform can say what it has now */
	int64_t at = rig_int(&rig, "SELECT next_try FROM outbox WHERE kind=4 AND object=1");
	assert_in_range(at - clock_boot_us(), 25 * CLOCK_SECOND_US, 31 * CLOCK_SECOND_US);
	now = at + 1;
	serve();
	serve();
	went("s1 s1");
	now = clock_boot_us();
	landed(rig.n_posted - 1);
	landed(rig.n_posted - 2);
	/* numbers that are none */
	receipt_of(other, 0, 1,
		"\"retry\",\"missing\":[-1,5,9223372036854775807,\"3\",null,2.0,[1],{},4.5]");
	went("");
	receipt_of(other, 0, 1, "\"retry\",\"missing\":[]");
	went("");
	assert_int_equal(COUNT("kind=5 AND next_try>0"), 0);
	receipt_of(other, 0, 1, "\"retry\",\"missing\":[0,1,2,3,4]");
	land_all();
	receipt_of(other, 0, 1, ACCEPTED);
	receipt_of(row, 0, 1, ACCEPTED);
	assert_int_equal(COUNT("kind=5"), 0);
}

/* A platform that counts while they come asks for what is on its way: nothing goes twice for that. */
static void test_missing_while_they_come(void **state)
{
	(void)state;
	int64_t row = study(1, 4);
	up(0);
	went("s1 p0");
	receipt_of(row, 0, 1, "\"retry\",\"missing\":[0,1,2,3]");
	went("");
	for (int i = 0; i < 8 && rig.n_posted < 20; i++)
		land_all();
	char all[128] = "", one[16];
	unsigned times[4] = {0};
	for (unsigned i = 0; i < rig.n_posted; i++) {
		word(rig.posted[i], one, sizeof(one));
		if (one[0] == 'p')
			times[one[1] - '0']++;
		strcat(strcat(all, one), " ");
	}
	for (int i = 0; i < 4; i++)
		if (times[i] != 1)
			fail_msg("%s", all);
	assert_int_equal(COUNT("kind=5 AND state=1 AND next_try=0"), 4);
}

/* Without "missing": all of it again, after half a minute. */
static void test_retry(void **state)
{
	(void)state;
	int64_t row = study(1, 3);
	up(0);
	land_all();
	went("s1 p0 p1 p2");
	receipt_of(row, 0, 1, "\"retry\"");
	went("");
	now = clock_boot_us() + 25 * CLOCK_SECOND_US;
	serve();
	went("");
	now = clock_boot_us() + 31 * CLOCK_SECOND_US;
	serve();
	went("s1 p0");
	land_all();
	went("s1 p1 p2"); /* and the row, by its timer */
	assert_int_equal(COUNT("kind=5 AND state=1 AND next_try=0"), 3);
}

/* The platform asks for all of it while a piece is on its way: what it asked for stands. */
static void test_retry_before_puback(void **state)
{
	(void)state;
	int64_t row = study(1, 2);
	up(0);
	receipt_of(row, 0, 1, "\"retry\"");
	landed(1);
	went("s1 p0");
	assert_int_equal(COUNT("kind=5 AND state=1 AND next_try>0"), 2);
	now = clock_boot_us() + 31 * CLOCK_SECOND_US;
	landed(0);
	went("s1 p0");
}

static void test_rejected(void **state)
{
	(void)state;
	int64_t row = study(1, 4);
	up(0);
	landed(1);
	went("s1 p0 p1");
	receipt_of(row, 0, 1, "\"rejected\",\"reason\":\"no such site\"");
	landed(2);
	went(""); /* nothing more of it */
	assert_int_equal(COUNT("state=3 AND next_try=0 AND reason='no such site'"), 5);
	receipt_of(row, 0, 1, "\"retry\",\"missing\":[1]");
	receipt_of(row, 0, 1, "\"retry\"");
	now += 100 * TIMEOUT_US;
	serve();
	went("");
	assert_int_equal(COUNT("state=3"), 5);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study_wait WHERE what='sent'"), 1);
	/* what comes later of it is told, and accepting that accepts it all */
	assert_int_equal(report_add(&rig.gateway, rig.db, row, REPORT_FINAL, "x", "", "c"), 0);
	serve();
	went("s2");
	receipt_of(row, 0, 2, ACCEPTED);
	assert_int_equal(COUNT("state=3"), 0);
}

/* The broker refuses a piece: it comes again later, then it is somebody's work, and nothing waits behind it. */
static void test_piece_fails(void **state)
{
	(void)state;
	int64_t row = study(1, 3);
	up(0);
	went("s1 p0");
	for (int i = 0; i < 20 && !COUNT("state=3"); i++) {
		char one[64];
		unsigned piece = rig.n_posted;
		while (piece-- && !streq(word(rig.posted[piece], one, sizeof(one)), "p0"))
			;
		assert_int_equal(outbox_failed(rig.gateway.outbox, rig.db, 0,
					 rig.posted[piece]->tag, "too large"),
			0);
		for (unsigned k = 0, n = rig.n_posted; k < n; k++)
			if (word(rig.posted[k], one, sizeof(one))[1] != '0')
				landed(k);
		now = clock_boot_us() + 1000 * CLOCK_SECOND_US;
		serve();
	}
	assert_int_equal(COUNT("kind=5 AND state=3 AND reason='too large'"), 1);
	assert_int_equal(COUNT("kind=5 AND state=1"), 2);
	receipt_of(row, 0, 1, "\"retry\",\"missing\":[0]");
	assert_int_equal(COUNT("kind=5 AND state=3"), 1);
}

/* The broker is enough: the last of them starts the clock, and each is forgotten as it lands. */
static void test_broker_is_enough(void **state)
{
	(void)state;
	study(1, 3);
	study(2, 1);
	up(0);
	landed(0);
	landed(1);
	landed(2);
	went("s1 s1 p0 p1");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study WHERE received IS NOT NULL"), 0);
	assert_int_equal(COUNT("kind=4"), 0);
	landed(3);
	went("p2");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study WHERE received IS NOT NULL"), 0);
	landed(4);
	went("s2 p0"); /* that it was received */
	expect("SELECT group_concat(study||what,' ') FROM study_wait", "1report 2sent");
	land_all();
	land_all();
	expect("SELECT group_concat(study||what,' ') FROM study_wait", "1report 2report");
	assert_int_equal(COUNT("1"), 0);
	assert_int_equal(rig_int(&rig, "SELECT max(revision) FROM study"), 2);
	/* whatever lands last */
	int64_t row = study(3, 1);
	serve();
	went("s2 s1 p0");
	landed(rig.n_posted - 1);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study WHERE received IS NULL"), 1);
	landed(rig.n_posted - 2);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study WHERE received IS NULL"), 0);
	assert_int_equal(row, 3);
}

static void test_two_sinks(void **state)
{
	(void)state;
	int64_t row = study(1, 2);
	assert_int_equal(COUNT("kind=5"), 4);
	up(0);
	up(1);
	went("s1 p0 s1 p0"); /* one piece for each of them */
	landed(2);
	landed(3);
	went("p1");
	landed(4);
	assert_int_equal(COUNT("sink=1"), 0); /* that one is content; it is not the centre */
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study WHERE received IS NOT NULL"), 0);
	receipt_of(row, 1, 1, ACCEPTED);
	assert_int_equal(COUNT("sink=0"), 3);
	receipt_of(row, 1, 1, "\"retry\",\"missing\":[0,1]");
	went("");
	landed(0);
	landed(1);
	went("p1");
	landed(5);
	receipt_of(row, 0, 1, "\"retry\",\"missing\":[1]");
	went("p1");
	landed(6);
	receipt_of(row, 0, 1, ACCEPTED);
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM study WHERE received IS NOT NULL"), 1);
	went("s2 s2");
	assert_int_equal(COUNT("kind=5"), 0);
}

/* A study whose pieces went, for whatever reason, and a piece of no study: told as gone, and nothing stops. */
static void test_gone(void **state)
{
	(void)state;
	study(1, 3);
	study(2, 2);
	rig_script(&rig, "DELETE FROM study_piece WHERE n=1");
	up(0);
	for (int i = 0; i < 6; i++)
		land_all();
	went("s1 s1 p0 p2 p0");
	assert_int_equal(
		COUNT("kind=5 AND state=3 AND reason='its object is not in the store'"), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_one_at_a_time),
		T(test_others_pass_by),
		T(test_small_window),
		T(test_not_sent_again),
		T(test_accepted),
		T(test_accepted_before_the_pieces),
		T(test_a_later_revision),
		T(test_missing),
		T(test_missing_while_they_come),
		T(test_retry),
		T(test_retry_before_puback),
		T(test_rejected),
		T(test_piece_fails),
		cmocka_unit_test_setup_teardown(test_broker_is_enough, setup_broker, teardown),
		cmocka_unit_test_setup_teardown(test_two_sinks, setup_two, teardown),
		T(test_gone),
	};
	log_init("test", (enum log_level)0);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
