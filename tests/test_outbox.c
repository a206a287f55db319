/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The outbox: what goes when, what a receipt ends, and that nothing is lost, goes round or blocks. */
#include "gateway_rig.h"

#include "acknowledge.h"
#include "payload.h"
#include "util.h"
#include "visit.h"

#include <jansson.h>

#define TIMEOUT_US (10 * CLOCK_SECOND_US) /* of RIG_SINK */

static struct rig rig;
static int64_t now; /* what outbox_after_commit() is told */

static int setup(void **state)
{
	(void)state;
	rig_open(&rig, RIG_SINK);
	rig_residents(&rig);
	now = clock_boot_us();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

#define COUNT(where) rig_int(&rig, "SELECT count(*) FROM outbox WHERE " where)

static int64_t serve(void)
{
	return rig_serve(&rig, now);
}

static void settle(void)
{
	int rc;
	while ((rc = outbox_settle(rig.gateway.outbox, rig.db, 0)) > 0)
		;
	assert_int_equal(rc, 0);
}

static void up(void)
{
	outbox_up(rig.gateway.outbox, rig.db, 0);
}

static void reading(int sys)
{
	rig_bp(&rig, (struct rig_bp){sys, 80, 70, .identity = NULL});
}

/* The same in a transaction that is begun. */
static void take(int sys)
{
	struct unit *u = rig_unit(&rig);
	rig_add(&rig, u, &(struct rig_bp){sys, 80, 70, .identity = NULL});
	assert_int_equal(intake_unit(&rig.gateway, rig.db, u), 0);
	unit_free(u);
}

static void readings(unsigned n)
{
	rig_script(&rig, "BEGIN");
	for (unsigned i = 0; i < n; i++)
		take(120);
	rig_script(&rig, "COMMIT");
}

/* R-0001 is visited: what is filed changes what the visit says. */
static void open_visit(void)
{
	int64_t visit;
	assert_int_equal(visit_open(&rig.gateway, rig.db, 1, "hypertension_followup_v3", "S-0001",
				 "", &visit),
		0);
}

static void sent(uint32_t tag)
{
	assert_true(outbox_landed(rig.gateway.outbox, 0, tag));
	assert_int_equal(outbox_settle(rig.gateway.outbox, rig.db, 0), 0);
}

static void all_sent(void)
{
	for (unsigned i = 0; i < rig.n_posted; i++)
		sent(rig.posted[i]->tag);
}

static const char *topic(unsigned i)
{
	return i < rig.n_posted ? rig.posted[i]->topic : "nothing";
}

/* The "id" and "revision" of every object of a message; number of objects. */
static size_t objects(const struct publish *p, json_t **ret_root)
{
	json_error_t e;
	json_t *root = json_loadb(p->payload, p->len, JSON_REJECT_DUPLICATES, &e);
	const char *key;
	json_t *value;
	size_t n = 0;
	if (!root)
		fail_msg("%s", e.text);
	json_object_foreach(root, key, value) n += json_array_size(value);
	if (ret_root)
		*ret_root = root;
	else
		json_decref(root);
	return n;
}

static int receipts(const char *text)
{
	return outbox_receipts(&rig.gateway, rig.db, 0, text, strlen(text));
}

/* A receipt for every object of a message. */
static void receipt(const struct publish *p, const char *result)
{
	json_t *root, *value, *item, *list = json_array();
	const char *key;
	size_t i;
	objects(p, &root);
	json_object_foreach(root, key, value) json_array_foreach(value, i, item)
		json_array_append_new(list,
			json_pack("{s:O,s:O,s:s}", "id", json_object_get(item, "id"), "revision",
				json_object_get(item, "revision"), "result", result));
	json_t *message = json_pack("{s:o}", "receipts", list);
	char *text = json_dumps(message, 0);
	assert_int_equal(receipts(text), 0);
	free(text);
	json_decref(message);
	json_decref(root);
}

/* how far an alert has come */

#define CAME "SELECT (sent IS NOT NULL)||' '||(receipted IS NOT NULL) FROM alert"

static void came(const char *expected)
{
	char text[20];
	rig_text(&rig, text, sizeof(text), CAME);
	assert_string_equal(text, expected);
}

/* Its revision `n` by hand, in the place of the one before. */
static void an_alert(int n, int raised_revision)
{
	struct uuid id = uuid_of("alert", "a", 1);
	assert_true(
		db_run(rig.db,
			"INSERT INTO alert(id,uuid,revision,severity,state,recipient,role,in_contract,"
			"body,doubts,raised,rules_version,raised_revision) VALUES(1,?1,?2,'critical',"
			"'active','D-0001','doctor',1,'{}','[]',5,'1',?3) ON CONFLICT(uuid) DO UPDATE SET "
			"revision=?2, raised_revision=?3",
			"bii", id.bytes, sizeof(id.bytes), (int64_t)n,
			(int64_t)raised_revision) == 1);
	assert_true(outbox_supersede(rig.db, &id, n) >= 0);
	assert_int_equal(outbox_add(rig.gateway.outbox, rig.db, OBJECT_ALERT, 1, &id, n), 0);
}

static void receipt_of(int revision)
{
	char text[200], id[33];
	struct uuid u = uuid_of("alert", "a", 1);
	snprintf(text, sizeof(text),
		"{\"receipts\":[{\"id\":\"%s\",\"revision\":%d,\"result\":\"accepted\"}]}",
		hex(id, u.bytes, sizeof(u.bytes)), revision);
	assert_int_equal(receipts(text), 0);
}

static void test_came(void **state)
{
	(void)state;
	up();
	an_alert(1, 1);
	serve();
	came("0 0"); /* given to the uplink is not sent */
	all_sent();
	came("1 0");
	int64_t when = rig_int(&rig, "SELECT sent FROM alert");
	receipt_of(1);
	came("1 1");
	assert_int_equal(rig_int(&rig, "SELECT sent FROM alert"), when);
	assert_int_equal(COUNT("1"), 0);
	/* of a later revision nothing new is said */
	rig_script(&rig, "UPDATE alert SET sent=7, receipted=8");
	an_alert(2, 1);
	rig_forget(&rig);
	serve();
	all_sent();
	receipt_of(2);
	assert_int_equal(rig_int(&rig, "SELECT sent*100+receipted FROM alert"), 708);
}

/* It rose while the first revision was on its way: that one is of no use. */
static void test_came_too_early(void **state)
{
	(void)state;
	up();
	an_alert(1, 1);
	an_alert(2, 1);
	serve();
	rig_script(&rig, "UPDATE alert SET raised_revision=3");
	all_sent();
	came("0 0");
	receipt_of(2);
	came("0 0");
	an_alert(3, 3);
	rig_forget(&rig);
	serve();
	receipt_of(3); /* the receipt may be quicker than the broker's word */
	came("1 1");
	/* a reading's receipt is of no alert, whatever its id */
	rig_script(&rig, "UPDATE alert SET sent=NULL, receipted=NULL");
	rig_script(&rig,
		"INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try) SELECT "
		"0,1,0,1,uuid,3,1,0 FROM alert");
	receipt_of(3);
	came("0 0");
}

/* lanes */

static void name(const char *first, const char *second)
{
	static struct config c;
	c = (struct config){.n_sinks = (first != NULL) + (second != NULL)};
	if (first)
		text_copy(c.sinks[0].name, sizeof(c.sinks[0].name), first, strlen(first));
	if (second)
		text_copy(c.sinks[1].name, sizeof(c.sinks[1].name), second, strlen(second));
	assert_int_equal(outbox_name_sinks(rig.db, &c), 0);
}

/* What was made for one platform never goes to another because somebody sorted the configuration. */
static void test_sinks_by_name(void **state)
{
	(void)state;
	name("county", "city");
	name("county", "city");
	reading(120);				      /* for sink 0 */
	rig_script(&rig, "UPDATE outbox SET sink=1"); /* say: for the city */
	name("city", "county");
	assert_int_equal(COUNT("sink=0"), 1);
	name("county", NULL); /* the city is gone: its row waits for it */
	assert_int_equal(COUNT("sink IN (0,1,2,3)"), 0);
	assert_int_equal(COUNT("1"), 1);
	name("harbour", "county");
	assert_int_equal(COUNT("sink IN (0,1,2,3)"), 0);
	name("county", "city");
	assert_int_equal(COUNT("sink=1"), 1);
}

/* The platform may answer before the PUBACK is written down: what it said stands. */
static void test_receipt_before_settling(void **state)
{
	(void)state;
	struct outbox *o = rig.gateway.outbox;
	readings(1);
	outbox_up(o, rig.db, 0);
	outbox_after_commit(o, rig.db, clock_boot_us());
	assert_int_equal(rig.n_posted, 1);
	assert_true(outbox_landed(o, 0, rig.posted[0]->tag));
	receipt(rig.posted[0], "retry");
	int64_t asked = rig_int(&rig, "SELECT next_try FROM outbox");
	assert_true(asked > clock_boot_us() + 20 * CLOCK_SECOND_US);
	assert_int_equal(outbox_settle(o, rig.db, 0), 0);
	assert_int_equal(rig_int(&rig, "SELECT next_try FROM outbox"), asked);
}

static void test_nothing_while_down(void **state)
{
	(void)state;
	reading(190);
	assert_true(serve() == INT64_MAX);
	assert_int_equal(rig.n_posted, 0);
	assert_int_equal(COUNT("state=0"), 2);
}

static void test_lanes(void **state)
{
	(void)state;
	reading(120); /* waits */
	reading(190); /* waits, and its alert */
	up();
	reading(121); /* live */
	serve();
	assert_int_equal(rig.n_posted, 3);
	assert_string_equal(topic(0), "up/alert");
	assert_string_equal(topic(1), "up/reading");
	assert_string_equal(topic(2), "up/reading");
	assert_int_equal(objects(rig.posted[1], NULL), 1); /* live before backlog */
	assert_int_equal(objects(rig.posted[2], NULL), 2);
	assert_non_null(strstr(rig.posted[1]->payload, "\"value\":121"));
	serve(); /* what is on its way is not handed over again */
	assert_int_equal(rig.n_posted, 3);
	assert_int_equal(COUNT("state=0"), 4); /* handed over is not sent */
}

static void test_packing(void **state)
{
	(void)state;
	readings(200);
	up();
	serve();
	assert_int_equal(rig.n_posted, 4); /* window 8 less 4 slots for alerts */
	size_t n = 0;
	for (unsigned i = 0; i < 4; i++) {
		assert_true(rig.posted[i]->len <= OUTBOX_PACK_BYTES + 16384);
		assert_true(objects(rig.posted[i], NULL) <= OUTBOX_PACK_ROWS);
		n += objects(rig.posted[i], NULL);
	}
	assert_int_equal(n, 200);
}

/* A message has one topic: rows of another kind end it. */
static void test_one_kind_in_a_message(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	open_visit();
	reading(120);
	reading(121);
	up();
	serve();
	assert_int_equal(rig.n_posted, 2); /* what the visit said first was superseded */
	assert_string_equal(topic(0), "up/reading");
	assert_string_equal(topic(1), "up/followup");
	assert_int_equal(objects(rig.posted[0], NULL) + objects(rig.posted[1], NULL), 3);
	assert_int_equal(COUNT("kind=2"), 1);
}

static void test_reserved_slots(void **state)
{
	(void)state;
	readings(1000);
	up();
	serve();
	assert_int_equal(rig.n_posted, 4);
	for (int i = 0; i < 6; i++)
		reading(190);
	serve();
	/* one message of alerts takes what the readings may not take */
	assert_int_equal(rig.n_posted, 5);
	assert_string_equal(topic(4), "up/alert");
	assert_int_equal(objects(rig.posted[4], NULL), 6);
	for (int i = 0; i < 10; i++) {
		reading(190);
		serve();
	}
	assert_int_equal(rig.n_posted, 8); /* and no more than the window */
	sent(rig.posted[0]->tag);
	serve();
	assert_int_equal(rig.n_posted, 9); /* the next free slot is an alert's, too */
	assert_string_equal(topic(8), "up/alert");
	assert_int_equal(objects(rig.posted[8], NULL), 7);
}

static void test_small_window(void **state)
{
	(void)state;
	rig_close(&rig);
	rig_open(&rig,
		"sinks:\n - {name: a, host: g, window: 1}\n - {name: b, host: h, window: 1000}\n");
	readings(100);
	outbox_up(rig.gateway.outbox, rig.db, 0);
	outbox_up(rig.gateway.outbox, rig.db, 1);
	serve();
	unsigned n[2] = {0};
	for (unsigned i = 0; i < rig.n_posted; i++)
		n[rig.posted[i]->sink]++;
	assert_int_equal(n[0], 1); /* one must always remain for readings */
	assert_int_equal(n[1], 2);
	assert_int_equal(COUNT("1"), 200); /* each sink has rows of its own */
}

/* However large the window: what waited fills a slow line with a few messages only. */
static void test_backlog_slots(void **state)
{
	(void)state;
	rig_close(&rig);
	rig_open(&rig, "sinks:\n - {name: a, host: g, window: 100}\n");
	readings(1000);
	up();
	serve();
	assert_int_equal(rig.n_posted, 4);
	readings(5); /* these are live, and go beside them */
	serve();
	assert_int_equal(rig.n_posted, 5);
	assert_int_equal(objects(rig.posted[4], NULL), 5);
	for (unsigned i = 0; i < rig.n_posted; i++)
		sent(rig.posted[i]->tag);
	serve();
	assert_int_equal(rig.n_posted, 9);
}

/* sent and receipted */

static void test_receipt(void **state)
{
	(void)state;
	reading(120);
	up();
	serve();
	all_sent();
	assert_int_equal(COUNT("state=1"), 1); /* PUBACK is no receipt */
	receipt(rig.posted[0], "accepted");
	assert_int_equal(COUNT("1"), 0);
	receipt(rig.posted[0], "accepted"); /* again: harmless */
	sent(rig.posted[0]->tag);
	serve();
	assert_int_equal(rig.n_posted, 1);
}

static void test_receipt_before_puback(void **state)
{
	(void)state;
	reading(120);
	up();
	serve();
	receipt(rig.posted[0], "accepted");
	all_sent();
	assert_int_equal(COUNT("1"), 0);
}

static void test_broker_is_enough(void **state)
{
	(void)state;
	rig_close(&rig);
	rig_open(&rig, "sinks:\n - {name: a, host: h, receipt: broker}\n");
	reading(190);
	up();
	serve();
	all_sent();
	assert_int_equal(COUNT("1"), 0);
}

static void test_rejected(void **state)
{
	(void)state;
	char text[256];
	readings(3);
	up();
	serve();
	all_sent();
	receipt(rig.posted[0], "rejected");
	assert_int_equal(COUNT("state=3 AND next_try=0"), 3);
	rig_text(&rig, text, sizeof(text), "SELECT reason FROM outbox");
	assert_string_equal(text, "no reason given");
	/* it blocks nothing and does not come back by itself */
	reading(121);
	serve();
	assert_int_equal(rig.n_posted, 2);
	rig_forget(&rig);
	assert_true(outbox_recover(rig.db) >= 0);
	up();
	now += 1000 * TIMEOUT_US;
	serve();
	assert_int_equal(rig.n_posted, 1);
	assert_int_equal(objects(rig.posted[0], NULL), 1);
	/* late PUBACK or "retry" does not bring it back either */
	assert_int_equal(COUNT("state=3"), 3);
}

static void test_asked_again(void **state)
{
	(void)state;
	reading(120);
	up();
	serve();
	receipt(rig.posted[0], "retry");
	all_sent();
	now = clock_boot_us() + TIMEOUT_US - 5 * CLOCK_SECOND_US;
	serve();
	assert_int_equal(rig.n_posted, 1);
	receipt(rig.posted[0], "retry"); /* half a minute from now */
	now = clock_boot_us() + 25 * CLOCK_SECOND_US;
	serve();
	assert_int_equal(rig.n_posted, 1);
	now = clock_boot_us() + 31 * CLOCK_SECOND_US;
	serve();
	assert_int_equal(rig.n_posted, 2);
}

static void test_receipt_does_not_come(void **state)
{
	(void)state;
	reading(120);
	up();
	serve();
	sent(rig.posted[0]->tag);
	int64_t wait = TIMEOUT_US;
	for (unsigned i = 1; i <= 9; i++) { /* doubled each time, 64 times at most */
		now = clock_boot_us() + wait - 5 * CLOCK_SECOND_US;
		serve();
		assert_int_equal(rig.n_posted, i);
		now = clock_boot_us() + wait + CLOCK_SECOND_US;
		serve();
		assert_int_equal(rig.n_posted, i + 1);
		sent(rig.posted[i]->tag);
		wait = MIN(2 * wait, 64 * TIMEOUT_US);
	}
	assert_string_equal(rig.posted[0]->payload, rig.posted[9]->payload);
	assert_int_equal(COUNT("state=1 AND tries=10"), 1);
	receipt(rig.posted[9], "accepted");
	assert_int_equal(COUNT("1"), 0);
}

/* An alert is sent again although readings that wait for receipts take up all of their slots. */
static void test_alert_again(void **state)
{
	(void)state;
	reading(190);
	up();
	serve();
	all_sent();
	readings(1000);
	serve();
	unsigned before = rig.n_posted;
	now = clock_boot_us() + 2 * TIMEOUT_US;
	serve();
	assert_true(rig.n_posted > before);
	assert_string_equal(topic(before), "up/alert");
}

/* What it is made of changes between two tries, and no revision says so: it goes again as it went. */
static void test_goes_again_as_it_went(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	open_visit();
	reading(190);
	assert_int_equal(outbox_before_commit(rig.gateway.outbox, rig.db), 0);
	up();
	serve();
	all_sent();
	rig_script(&rig,
		"UPDATE alert_reading SET at=at-86400000000; UPDATE alert SET since=1, body='{}'; "
		"UPDATE visit SET day='2001-01-01'; DELETE FROM evidence");
	unsigned before = rig.n_posted, again = 0;
	now = clock_boot_us() + 2 * TIMEOUT_US;
	serve();
	for (unsigned i = before; i < rig.n_posted; i++)
		for (unsigned k = 0; k < before; k++)
			if (streq(topic(i), topic(k)) && !streq(topic(i), "up/event")) {
				assert_string_equal(rig.posted[i]->payload, rig.posted[k]->payload);
				again++;
			}
	assert_int_equal(again, 3); /* alert, reading, visit */
}

/* What an undone job or transaction had added gives its numbers to the next one. */
static void test_written_down_after_undoing(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_script(&rig, "BEGIN");
	take(120);
	take(190);
	rig_script(&rig, "ROLLBACK");
	rig_script(&rig, "BEGIN");
	take(190);
	assert_int_equal(outbox_before_commit(rig.gateway.outbox, rig.db), 0);
	rig_script(&rig, "COMMIT");
	assert_int_equal(COUNT("kind=1"), 1);
	assert_int_equal(COUNT("kind=1 AND body IS NULL"), 0);
}

/* links that come and go */

static void test_down_gives_again(void **state)
{
	(void)state;
	readings(10);
	up();
	serve();
	assert_int_equal(rig.n_posted, 1);
	uint32_t old = rig.posted[0]->tag;
	outbox_down(rig.gateway.outbox, 0);
	serve();
	assert_int_equal(rig.n_posted, 1);
	up();
	serve();
	assert_int_equal(rig.n_posted, 2);
	assert_int_equal(objects(rig.posted[1], NULL), 10);
	sent(old); /* a PUBACK of the old connection means nothing now */
	assert_int_equal(COUNT("state=0"), 10);
	sent(rig.posted[1]->tag);
	assert_int_equal(COUNT("state=1"), 10);
}

/* PUBACKs free slots at once and are written down together: until then a row is neither lost nor given
 * twice, and a lost connection makes it go again. */
static void test_landed_and_settled(void **state)
{
	(void)state;
	struct outbox *o = rig.gateway.outbox;
	readings(10);
	up();
	serve();
	assert_true(outbox_landed(o, 0, rig.posted[0]->tag));
	serve();
	assert_int_equal(rig.n_posted, 1);
	assert_int_equal(COUNT("state=0"), 10);
	outbox_down(o, 0);
	up();
	serve();
	assert_int_equal(rig.n_posted, 2);
	assert_int_equal(outbox_settle(o, rig.db, 0), 0); /* what landed before is forgotten */
	assert_int_equal(COUNT("state=0"), 10);
	assert_true(outbox_landed(o, 0, rig.posted[1]->tag));
	assert_true(outbox_landed(o, 0, rig.posted[1]->tag));
	assert_int_equal(outbox_settle(o, rig.db, 0), 0);
	assert_int_equal(COUNT("state=1 AND tries=1"), 10);
	assert_int_equal(outbox_settle(o, rig.db, 0), 0);
	assert_int_equal(COUNT("state=1 AND tries=1"), 10);
	/* the store refused to write it down: the caller begins again, everything that is not sent goes */
	readings(5);
	serve();
	assert_true(outbox_landed(o, 0, rig.posted[2]->tag));
	rig_script(&rig, "BEGIN");
	assert_int_equal(outbox_settle(o, rig.db, 0), 0);
	rig_script(&rig, "ROLLBACK");
	up();
	serve();
	assert_int_equal(rig.n_posted, 4);
	assert_int_equal(objects(rig.posted[3], NULL), 5);
}

/* A repeat whose PUBACK came, and was not written down yet, is not due again: each commit until then would send
 * it once more, and the platform would drown in it. */
static void test_a_landed_repeat_waits(void **state)
{
	(void)state;
	readings(10);
	up();
	serve();
	sent(rig.posted[0]->tag);
	now += 400 * CLOCK_SECOND_US; /* no receipt came */
	serve();
	assert_int_equal(rig.n_posted, 2);
	assert_true(outbox_landed(rig.gateway.outbox, 0, rig.posted[1]->tag));
	for (int i = 0; i < 50; i++) {
		now += CLOCK_SECOND_US;
		serve();
	}
	assert_int_equal(rig.n_posted, 2);
	assert_int_equal(outbox_settle(rig.gateway.outbox, rig.db, 0), 0);
	assert_int_equal(COUNT("state=1 AND tries=2"), 10);
}

/* A broker that is much quicker than the disk: what has landed is bounded, and said so. */
static void test_landed_is_bounded(void **state)
{
	(void)state;
	unsigned at = 0;
	bool room = true;
	up();
	for (int i = 0; i < 400 && room; i++) {
		readings(250);
		serve();
		for (; at < rig.n_posted && room; at++)
			room = outbox_landed(rig.gateway.outbox, 0, rig.posted[at]->tag);
	}
	assert_false(room);
	settle();
	assert_true(outbox_landed(rig.gateway.outbox, 0, rig.posted[at - 1]->tag));
	settle();
	for (; at < rig.n_posted; at++)
		sent(rig.posted[at]->tag);
	assert_int_equal(COUNT("state=0"), 0);
}

/* Nobody waits for a store that has thousands of PUBACKs to write down, or many messages to make. */
static void test_portions(void **state)
{
	(void)state;
	readings(3000);
	up();
	int64_t most = 0;
	for (unsigned n = 0; n < 47; n++, now += 3000) { /* 64 each */
		if (n)
			outbox_after_commit(rig.gateway.outbox, rig.db, now - 1);
		assert_int_equal(rig.n_posted, n);
		int64_t due = outbox_after_commit(rig.gateway.outbox, rig.db, now);
		assert_int_equal(rig.n_posted, n + 1);
		assert_int_equal(due == now + 3000, n < 46);
		assert_true(outbox_landed(rig.gateway.outbox, 0, rig.posted[n]->tag));
	}
	assert_int_equal(COUNT("state=0"), 3000);
	for (int64_t left = 3000, now_left; left; left = now_left) {
		int rc = outbox_settle(rig.gateway.outbox, rig.db, 0);
		now_left = COUNT("state=0");
		most = MAX(most, left - now_left);
		assert_int_equal(rc, now_left > 0);
		assert_true(left > now_left);
	}
	assert_true(most < 1000);
}

/* Between two messages of what waited. */
static void test_alert_between(void **state)
{
	(void)state;
	readings(200);
	up();
	outbox_after_commit(rig.gateway.outbox, rig.db, now);
	assert_int_equal(rig.n_posted, 1);
	rig_bp(&rig, (struct rig_bp){.sys = 200, .dia = 120});
	outbox_after_commit(rig.gateway.outbox, rig.db, now);
	assert_string_equal(rig.posted[1]->topic, "up/alert");
	assert_string_equal(rig.posted[2]->topic, "up/reading");
	assert_int_equal(objects(rig.posted[2], NULL), 1); /* which is live */
}

/* Whatever order answers come in, all slots are free in the end. */
static void test_no_slot_is_lost(void **state)
{
	(void)state;
	srandom(20261121);
	up();
	for (int round = 0; round < 300; round++) {
		if (round % 3 == 0)
			readings(1 + (unsigned)random() % 80);
		if (random() % 4 == 0)
			reading(190);
		now = clock_boot_us() + random() % (4 * TIMEOUT_US);
		serve();
		for (unsigned i = rig.n_posted > 20 ? rig.n_posted - 20 : 0; i < rig.n_posted;
			i++) {
			uint32_t tag = rig.posted[i]->tag;
			switch (random() % 12) {
			case 0:
			case 1:
				receipt(rig.posted[i], "accepted");
				break;
			case 2:
				receipt(rig.posted[i], "retry");
				break;
			case 3:
				assert_int_equal(
					outbox_failed(rig.gateway.outbox, rig.db, 0, tag, "no"), 0);
				break;
			case 4:
				if (random() % 10 == 0)
					up();
				break;
			case 5:
				sent((uint32_t)random());
				break;
			default:
				sent(tag);
				sent(tag);
			}
		}
		if (rig.n_posted > RIG_POSTED_MAX - 200)
			break;
	}
	/* in the end everything gets its receipt */
	for (int round = 0; round < 400 && COUNT("state<>3") > 0; round++) {
		unsigned from = rig.n_posted;
		all_sent();
		now = clock_boot_us() + 1000 * TIMEOUT_US;
		serve();
		for (unsigned i = from; i < rig.n_posted; i++) {
			sent(rig.posted[i]->tag);
			receipt(rig.posted[i], "accepted");
		}
	}
	assert_int_equal(COUNT("state<>3"), 0);
	/* and the whole window is there: four messages of readings, eight in all with alerts */
	all_sent();
	rig_forget(&rig);
	readings(600);
	serve();
	for (int i = 0; i < 20; i++) {
		reading(190);
		serve();
	}
	assert_int_equal(rig.n_posted, 8);
}

static void test_refused_by_the_broker(void **state)
{
	(void)state;
	readings(2);
	up();
	serve();
	for (unsigned i = 0; i < 40 && COUNT("state<>3") > 0; i++) {
		unsigned n = rig.n_posted;
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(outbox_failed(rig.gateway.outbox, rig.db, 0,
						 rig.posted[k]->tag, "packet too large"),
				0);
		now = clock_boot_us() + CLOCK_SECOND_US;
		serve(); /* at once: nothing */
		assert_int_equal(rig.n_posted, n);
		now = clock_boot_us() + 300 * CLOCK_SECOND_US;
		serve();
	}
	/* a person's business now, with the broker's reason, and the slots are free */
	assert_int_equal(COUNT("state=3 AND reason='packet too large' AND next_try=0"), 2);
	rig_forget(&rig);
	readings(600);
	serve();
	assert_int_equal(rig.n_posted, 4);
}

static void test_recover(void **state)
{
	(void)state;
	readings(3);
	up();
	serve();
	all_sent();
	reading(190);
	receipt(rig.posted[0], "retry");
	serve();
	for (unsigned i = 1; i < rig.n_posted; i++)
		assert_int_equal(
			outbox_failed(rig.gateway.outbox, rig.db, 0, rig.posted[i]->tag, "no"), 0);
	assert_int_equal(COUNT("next_try>0"), 5);
	assert_int_equal(COUNT("next_try>0 AND state=0"), 2);
	rig_forget(&rig);
	/* the process ends and begins anew, perhaps after a boot: CLOCK_BOOTTIME is another one */
	outbox_free(rig.gateway.outbox);
	assert_true(outbox_recover(rig.db) >= 0);
	rig.gateway.outbox = outbox_new(&rig.gateway, rig_post, &rig);
	assert_int_equal(COUNT("state=0 AND next_try=0"), 5);
	up();
	now = 1;
	serve();
	assert_string_equal(topic(0), "up/alert");
	assert_string_equal(topic(1), "up/reading");
	assert_int_equal(objects(rig.posted[1], NULL), 4);
}

/* objects that change */

/* The only alert that there is: its second revision. */
static void acknowledge(void)
{
	struct uuid id;
	_cleanup_(row_endp) struct row *r = db_query(rig.db, "SELECT uuid FROM alert", "");
	assert_int_equal(row_next(r), 1);
	assert_true(row_uuid(r, 0, &id));
	assert_int_equal(acknowledge_alert(&rig.gateway, rig.db, &id, "local:nurse", "reached"), 1);
}

/* An alert is told as it is now. When it was acknowledged before its first message got a receipt, the
 * platform can only speak of the new revision: nothing of the old one may go round for ever. */
static void test_alert_of_two_revisions(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){190, 80, 70, .identity = "1"});
	up();
	serve();
	all_sent();
	acknowledge();
	assert_int_equal(COUNT("kind=1"), 1);
	assert_int_equal(COUNT("kind=1 AND revision=2"), 1);
	receipt(rig.posted[0], "accepted"); /* of revision 1: late, and harmless */
	assert_int_equal(COUNT("kind=1 AND revision=2"), 1);
	unsigned from = rig.n_posted;
	serve();
	for (unsigned i = from; i < rig.n_posted; i++) {
		sent(rig.posted[i]->tag);
		receipt(rig.posted[i], "accepted");
	}
	assert_int_equal(COUNT("kind=1"), 0);
}

/* A refused old revision that a person sends again carries the newest state, and its receipt ends it. */
static void test_old_revision_again(void **state)
{
	(void)state;
	rig_bp(&rig, (struct rig_bp){190, 80, 70, .identity = "1"});
	up();
	serve();
	all_sent();
	receipt(rig.posted[0], "rejected");
	acknowledge();
	assert_int_equal(COUNT("kind=1"), 2); /* what was refused stays visible */
	rig_script(&rig, "UPDATE outbox SET state=0, next_try=1, tries=0 WHERE kind=1 AND state=3");
	outbox_look_again(rig.gateway.outbox);
	outbox_look_again(rig.gateway.outbox);
	unsigned from = rig.n_posted;
	serve();
	for (unsigned i = from; i < rig.n_posted; i++) {
		sent(rig.posted[i]->tag);
		receipt(rig.posted[i], "accepted");
	}
	assert_int_equal(COUNT("kind=1"), 0);
	/* of readings, every revision is an object of its own */
	assert_true(COUNT("kind=0") > 0 || rig_int(&rig, "SELECT count(*) FROM reading") == 2);
}

static void test_visit_supersedes(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	open_visit();
	for (int i = 0; i < 5; i++)
		reading(120 + i);
	assert_int_equal(COUNT("kind=2"), 1);
	assert_int_equal(COUNT("kind=2 AND revision=6"), 1);
	assert_int_equal(COUNT("kind=0"), 5);
}

/* A row whose object is gone, between two that are there: visible, and no wall. */
static void test_object_is_missing(void **state)
{
	(void)state;
	readings(3);
	reading(190);
	reading(191);
	rig_script(&rig, "DELETE FROM reading WHERE id=2");
	rig_script(&rig, "DELETE FROM alert WHERE id=1");
	up();
	serve();
	assert_int_equal(rig.n_posted, 2);
	assert_string_equal(topic(0), "up/alert");
	assert_int_equal(objects(rig.posted[0], NULL), 1);
	assert_int_equal(objects(rig.posted[1], NULL), 4);
	assert_int_equal(COUNT("state=3 AND reason LIKE '%not in the store%'"), 2);
	all_sent();
	receipt(rig.posted[0], "accepted");
	receipt(rig.posted[1], "accepted");
	assert_int_equal(COUNT("1"), 2);
	/* a whole portion of missing objects is passed, too */
	readings(200);
	rig_script(&rig, "DELETE FROM reading WHERE id<180");
	reading(120);
	rig_forget(&rig);
	serve();
	size_t n = 0;
	for (unsigned i = 0; i < rig.n_posted; i++)
		n += objects(rig.posted[i], NULL);
	assert_int_equal(n, rig_int(&rig, "SELECT count(*) FROM reading WHERE id>=180"));
}

/* hostile receipts */

static void test_wrong_receipts(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "{", "null", "[]", "7", "\"x\"", "{}",
		"{\"receipts\":7}", "{\"receipts\":{}}", "{\"receipts\":[7,null,[],{},\"x\"]}",
		"{\"receipts\":[{\"id\":7,\"revision\":1,\"result\":\"accepted\"}]}",
		"{\"receipts\":[{\"id\":\"zz\",\"revision\":1,\"result\":\"accepted\"}]}",
		"{\"receipts\":[{\"id\":\"00000000000000000000000000000000\",\"revision\":\"1\","
		"\"result\":\"accepted\"}]}",
		"{\"receipts\":[{\"id\":\"00000000000000000000000000000000\",\"revision\":0,"
		"\"result\":\"accepted\"}]}",
		"{\"receipts\":[{\"id\":\"00000000000000000000000000000000\",\"revision\":1.0,"
		"\"result\":\"accepted\"}]}",
		"{\"receipts\":[{\"id\":\"00000000000000000000000000000000\",\"revision\":1,"
		"\"result\":\"perhaps\"}]}",
		"{\"receipts\":[{\"id\":\"00000000000000000000000000000000\",\"revision\":1}]}",
		"{\"receipts\":[],\"receipts\":[]}",
		"{\"receipts\":[{\"id\":\"\\u0000\",\"revision\":1,\"result\":\"accepted\"}]}",
		"{\"receipts\":[{\"id\":\"00000000000000000000000000000000\","
		"\"revision\":99999999999999999999,\"result\":\"accepted\"}]}"};
	reading(190);
	up();
	serve();
	all_sent();
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		assert_int_equal(receipts(texts[i]), 0);
	assert_int_equal(COUNT("state=1"), 2);
	assert_int_equal(receipts("{\"receipts\":[{\"id\":\"ffffffffffffffffffffffffffffffff\","
				  "\"revision\":1,\"result\":\"accepted\"}]}"),
		0); /* unknown: harmless */
}

static void test_random_receipts(void **state)
{
	(void)state;
	static const char alphabet[] = "{}[]\":,0123456789abcdefrcptsionul\\ \n\xff";
	char text[512];
	reading(190);
	up();
	serve();
	all_sent();
	srandom(20261121);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)random() % sizeof(text);
		for (size_t k = 0; k < n; k++)
			text[k] = alphabet[(size_t)random() % (sizeof(alphabet) - 1)];
		assert_int_equal(outbox_receipts(&rig.gateway, rig.db, 0, text, n), 0);
	}
	assert_int_equal(COUNT("state=1"), 2);
}

static void test_deep_and_long_receipts(void **state)
{
	(void)state;
	const size_t deep = 200000;
	char *text = test_malloc(12 + 2 * deep);
	size_t n = (size_t)sprintf(text, "{\"receipts\":");
	memset(text + n, '[', deep);
	assert_int_equal(outbox_receipts(&rig.gateway, rig.db, 0, text, n + deep), 0);
	test_free(text);

	reading(120);
	up();
	serve();
	all_sent();
	json_t *list = json_array();
	for (int i = 0; i < 100000; i++)
		json_array_append_new(
			list, json_pack("{s:s,s:i,s:s}", "id", "0123456789abcdef0123456789abcdef",
				      "revision", i + 1, "result", i % 2 ? "accepted" : "retry"));
	json_t *message = json_pack("{s:o}", "receipts", list);
	char *dump = json_dumps(message, 0);
	int64_t began = clock_boot_us();
	rig_script(&rig, "BEGIN");
	assert_int_equal(receipts(dump), 0);
	rig_script(&rig, "COMMIT");
	print_message("# 100000 receipts: %d ms\n", (int)((clock_boot_us() - began) / 1000));
	assert_int_equal(COUNT("state=1"), 1);
	free(dump);
	json_decref(message);
}

static void test_long_reason(void **state)
{
	(void)state;
	char id[64], reason[4001], text[5000];
	reading(120);
	up();
	serve();
	all_sent();
	rig_text(&rig, id, sizeof(id), "SELECT lower(hex(uuid)) FROM outbox");
	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = 0;
	snprintf(text, sizeof(text),
		"{\"receipts\":[{\"id\":\"%s\",\"revision\":1,\"result\":\"rejected\",\"reason\":\"%s\"}]}",
		id, reason);
	assert_int_equal(receipts(text), 0);
	assert_int_equal(rig_int(&rig, "SELECT length(reason) FROM outbox WHERE state=3"), 200);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_came, setup, teardown),
		cmocka_unit_test_setup_teardown(test_came_too_early, setup, teardown),
		T(test_nothing_while_down),
		T(test_sinks_by_name),
		T(test_receipt_before_settling),
		T(test_lanes),
		T(test_packing),
		T(test_one_kind_in_a_message),
		T(test_reserved_slots),
		T(test_small_window),
		T(test_backlog_slots),
		T(test_receipt),
		T(test_receipt_before_puback),
		T(test_broker_is_enough),
		T(test_rejected),
		T(test_asked_again),
		T(test_receipt_does_not_come),
		T(test_alert_again),
		T(test_goes_again_as_it_went),
		T(test_written_down_after_undoing),
		T(test_down_gives_again),
		T(test_landed_and_settled),
		T(test_a_landed_repeat_waits),
		T(test_landed_is_bounded),
		T(test_portions),
		T(test_alert_between),
		T(test_no_slot_is_lost),
		T(test_refused_by_the_broker),
		T(test_recover),
		T(test_alert_of_two_revisions),
		T(test_old_revision_again),
		T(test_visit_supersedes),
		T(test_object_is_missing),
		T(test_wrong_receipts),
		T(test_random_receipts),
		T(test_deep_and_long_receipts),
		T(test_long_reason),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
