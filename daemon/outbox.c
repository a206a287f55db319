/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "outbox.h"

#include "alert_sent.h"
#include "gateway.h"
#include "log.h"
#include "outbox_body.h"
#include "payload.h"
#include "report.h"

#include <assert.h>
#include <errno.h>

#define WINDOW_MAX 256
#define LANDED_MAX (WINDOW_MAX * OUTBOX_PACK_ROWS)
#define SETTLE_ROWS 256 /* written down at once: an alert that comes just then waits for them */
#define BACKLOG_US 3000 /* from one message of what waited to the next: others work, too */
#define BACKLOG_SLOTS 4 /* of the window, for these: on a slow line an alert is behind them */
#define FAILED_US (2 * CLOCK_SECOND_US) /* doubled with every try */
#define FAILED_MAX 8			/* then it is called rejected */

/* A lane carries one kind of object, or such that go alone, in the order in which lanes are served. Stored in outbox.lane. */
enum lane {
	LANE_ALERT,
	LANE_READING,
	LANE_FOLLOWUP,
	LANE_EVENT,
	LANE_STUDY,
	LANE_PIECE,
	LANE_DIGEST,
	LANES
};

/* In the order of enum object. */
static const enum lane lane_of[OBJECTS] = {LANE_READING, LANE_ALERT, LANE_FOLLOWUP, LANE_EVENT,
	LANE_STUDY, LANE_PIECE, LANE_DIGEST, LANE_DIGEST};

/* A publish on its way: given to the uplink, no PUBACK yet. Memory only: after a crash it goes again. */
struct flight {
	uint32_t tag; /* 0: free */
	enum object kind;
	int64_t handed_us;
	unsigned n;
	int64_t rows[OUTBOX_PACK_ROWS];
};

struct sink {
	bool up;
	int64_t live_from;	/* rows above it came since the broker was reached */
	int64_t live[LANES];	/* last row handed over of those */
	int64_t backlog[LANES]; /* and of those that waited */
	unsigned flying;
	unsigned window;
	int64_t next_scan_us, next_backlog_us;
	struct flight flights[WINDOW_MAX];
	struct landed { /* a row with a PUBACK that is not yet written down */
		int64_t row, handed_us;
		enum object kind;
	} landed[LANDED_MAX];
	unsigned n_landed;
};

struct outbox {
	struct gateway *gateway;
	void (*post)(void *arg, struct publish *p);
	void *arg;
	uint32_t last_tag;
	int64_t unwritten; /* the first row of the transaction that has to be written down; 0: none */
	struct sink sinks[CONFIG_SINKS_MAX];
};

struct due {
	int64_t id, object;
	enum object kind;
};

struct outbox *outbox_new(struct gateway *g, void (*post)(void *arg, struct publish *p), void *arg)
{
	struct outbox *o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->gateway = g;
	o->post = post;
	o->arg = arg;
	for (unsigned i = 0; i < g->config->n_sinks; i++)
		o->sinks[i].window =
			MIN(MAX(g->config->sinks[i].window, OUTBOX_ALERT_SLOTS + 1), WINDOW_MAX);
	return o;
}

void outbox_free(struct outbox *o)
{
	free(o);
}

void publish_free(struct publish *p)
{
	free(p->payload);
	free(p);
}

int outbox_add(struct outbox *o, struct db *db, enum object kind, int64_t object,
	const struct uuid *uuid, int revision)
{
	for (unsigned i = 0; i < o->gateway->config->n_sinks; i++) {
		int rc = db_run(db,
			"INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,next_try) "
			"VALUES(?,?,?,?,?,?,0,0)",
			"iiiibi", (int64_t)i, (int64_t)lane_of[kind], (int64_t)kind, object,
			uuid->bytes, sizeof(uuid->bytes), (int64_t)revision);
		if (rc < 0)
			return rc;
		int64_t row = db_last_id(db);
		/* what was undone before has taken no numbers: this one may be lower */
		if (outbox_body_kept(kind) && (!o->unwritten || row < o->unwritten))
			o->unwritten = row;
	}
	return 0;
}

int outbox_before_commit(struct outbox *o, struct db *db)
{
	int64_t from = o->unwritten;
	o->unwritten = 0;
	return from ? outbox_bodies_write(o->gateway, db, from) : 0;
}

int outbox_supersede(struct db *db, const struct uuid *uuid, int revision)
{
	return db_run(db, "DELETE FROM outbox WHERE uuid=? AND revision<? AND state<>3 AND kind<>?",
		"bii", uuid->bytes, sizeof(uuid->bytes), (int64_t)revision, (int64_t)OBJECT_PIECE);
}

int outbox_recover(struct db *db)
{
	return db_run(db,
		"UPDATE outbox SET state=0, next_try=0 WHERE state<>3 AND (next_try>0 OR (state=1 "
		"AND kind<>?))",
		"i", (int64_t)OBJECT_PIECE);
}

/* handing over */

/* Large ones: a piece or a list, so that an alert waits for no more; a study with its reports. */
static bool goes_alone(enum object kind)
{
	return kind >= OBJECT_STUDY;
}

static struct flight *flight_free(struct sink *s)
{
	for (unsigned i = 0; i < s->window; i++)
		if (!s->flights[i].tag)
			return &s->flights[i];
	return NULL;
}

/* Handed over, and what became of it is not written down yet. */
static bool flying(const struct sink *s, int64_t row)
{
	for (unsigned i = 0; i < s->n_landed; i++)
		if (s->landed[i].row == row)
			return true;
	for (unsigned i = 0; i < s->window; i++)
		for (unsigned k = 0; s->flights[i].tag && k < s->flights[i].n; k++)
			if (s->flights[i].rows[k] == row)
				return true;
	return false;
}

bool outbox_flying(const struct outbox *o, unsigned sink, int64_t row)
{
	return flying(&o->sinks[sink], row);
}

/* Due rows of one lane between two rows, the first excluded. */
static unsigned select_lane(
	struct db *db, unsigned sink, enum lane lane, int64_t after, int64_t upto, struct due *due)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,kind,object FROM outbox WHERE sink=? AND state=0 AND lane=? AND id>? "
		"AND id<=? AND next_try=0 ORDER BY id LIMIT 64",
		"iiii", (int64_t)sink, (int64_t)lane, after, upto);
	unsigned n = 0;
	while (n < OUTBOX_PACK_ROWS && row_next(r) > 0)
		due[n++] = (struct due){row_int(r, 0), row_int(r, 2), (enum object)row_int(r, 1)};
	return n;
}

/* A row that cannot be told must not hold up those behind it. */
static void pass_over(struct db *db, int64_t row, int why)
{
	if (why < 0) /* unreadable now: it comes again with the next connection to the broker */
		log_error("outbox", "row %lld cannot be read: %s", (long long)row, strerror(-why));
	else
		db_run(db, "UPDATE outbox SET state=3, next_try=0, reason=? WHERE id=?", "ti",
			"its object is not in the store", row);
}

/* One message of as many rows as fit; returns how many rows are dealt with. */
static unsigned hand_over(struct outbox *o, struct db *db, unsigned sink, int64_t boot_us,
	const struct due *due, unsigned n)
{
	struct sink *s = &o->sinks[sink];
	struct flight *f = flight_free(s);
	struct publish *p = f ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return 0;
	struct json j = {0};
	unsigned taken = 0;
	f->n = 0;
	f->kind = due[0].kind;
	payload_open(o->gateway, due[0].kind, &j);
	while (taken < n && (!f->n || (j.len < OUTBOX_PACK_BYTES && !goes_alone(f->kind)))) {
		const struct due *d = &due[taken++];
		int rc = outbox_body(o->gateway, db, d->id, d->kind, d->object, &j);
		if (rc > 0)
			f->rows[f->n++] = d->id;
		else
			pass_over(db, d->id, rc);
	}
	payload_close(&j);
	p->len = j.len;
	p->payload = json_take(&j);
	if (!f->n || !p->payload) {
		taken = p->payload ? taken : 0;
		publish_free(p);
		return taken;
	}
	if (++o->last_tag == 0)
		o->last_tag = 1;
	f->tag = p->tag = o->last_tag;
	f->handed_us = boot_us;
	s->flying++;
	p->sink = sink;
	p->topic = payload_topic(due[0].kind);
	o->post(o->arg, p);
	return taken;
}

/* May one more message of this lane be on its way? `slots`: of the window, for all but alerts. */
static bool has_room(const struct sink *s, enum lane lane, unsigned slots)
{
	if (s->flying >=
		(lane == LANE_ALERT ? s->window : MIN(slots, s->window - OUTBOX_ALERT_SLOTS)))
		return false;
	for (unsigned i = 0; lane == LANE_PIECE && i < s->window; i++)
		if (s->flights[i].tag && s->flights[i].kind == OBJECT_PIECE)
			return false;
	return true;
}

/* Hands over what lies between the cursor and `upto`, as long as the window has room; of what waited (`backlog`) one
 * message. True: there may be more of it. */
static bool serve_lane(struct outbox *o, struct db *db, unsigned sink, int64_t boot_us,
	enum lane lane, int64_t *cursor, int64_t upto, bool backlog)
{
	struct sink *s = &o->sinks[sink];
	struct due due[OUTBOX_PACK_ROWS];
	while (has_room(s, lane, backlog ? BACKLOG_SLOTS : WINDOW_MAX)) {
		unsigned n = select_lane(db, sink, lane, *cursor, upto, due);
		unsigned taken = n ? hand_over(o, db, sink, boot_us, due, n) : 0;
		if (!taken)
			return false;
		*cursor = due[taken - 1].id;
		if (n < OUTBOX_PACK_ROWS && taken == n)
			return false; /* that was all of it */
		if (backlog)
			return true;
	}
	return false;
}

/* One message of what waited, now and then. True: there is more. */
static bool serve_backlog(struct outbox *o, struct db *db, unsigned sink, int64_t boot_us)
{
	struct sink *s = &o->sinks[sink];
	if (boot_us < s->next_backlog_us)
		return true;
	bool more = false;
	for (enum lane l = LANE_READING; l < LANES && !more; l++)
		more = serve_lane(o, db, sink, boot_us, l, &s->backlog[l], s->live_from, true);
	s->next_backlog_us = more ? boot_us + BACKLOG_US : 0;
	return more;
}

static unsigned select_again(struct db *db, unsigned sink, const struct sink *s, enum lane lane,
	int64_t boot_us, struct due *due)
{
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT id,kind,object,tries FROM outbox WHERE sink=? AND lane=? AND next_try>0 "
		"AND next_try<=? AND state<=1 ORDER BY next_try LIMIT 64",
		"iii", (int64_t)sink, (int64_t)lane, boot_us);
	unsigned n = 0;
	while (n < OUTBOX_PACK_ROWS && row_next(r) > 0) {
		struct due d = {row_int(r, 0), row_int(r, 2), (enum object)row_int(r, 1)};
		/* perhaps its company was the trouble */
		bool alone = row_int(r, 3) > 1 || goes_alone(d.kind);
		if (flying(s, d.id))
			continue;
		if (n && alone)
			break;
		due[n++] = d;
		if (alone)
			break;
	}
	return n;
}

/* When the next row is due again; INT64_MAX: none waits for anything. */
static int64_t next_retry(struct db *db, unsigned sink)
{
	int64_t next = INT64_MAX;
	for (enum lane lane = LANE_ALERT; lane < LANES; lane++)
		next = MIN(next, db_int(db, INT64_MAX,
					 "SELECT min(next_try) FROM outbox WHERE sink=? AND "
					 "lane=? AND next_try>0",
					 "ii", (int64_t)sink, (int64_t)lane));
	return next;
}

/* Rows whose receipt did not come in time, or that the platform asked for again. */
static void retry(struct outbox *o, struct db *db, unsigned sink, int64_t boot_us)
{
	struct sink *s = &o->sinks[sink];
	struct due due[OUTBOX_PACK_ROWS];
	bool any = false;
	for (enum lane lane = LANE_ALERT; lane < LANES; lane++) {
		unsigned n = has_room(s, lane, WINDOW_MAX)
				     ? select_again(db, sink, s, lane, boot_us, due)
				     : 0;
		any |= n && hand_over(o, db, sink, boot_us, due, n);
	}
	/* what is due and cannot go now is looked at again when a slot is free, or in a second */
	int64_t next = next_retry(db, sink);
	s->next_scan_us = any || next == INT64_MAX ? next : MAX(next, boot_us + CLOCK_SECOND_US);
}

int64_t outbox_after_commit(void *outbox, struct db *db, int64_t boot_us)
{
	struct outbox *o = outbox;
	int64_t due = INT64_MAX;
	db_run(db, "BEGIN", ""); /* one look, not one for each question */
	for (unsigned i = 0; i < o->gateway->config->n_sinks; i++) {
		struct sink *s = &o->sinks[i];
		if (!s->up)
			continue;
		serve_lane(
			o, db, i, boot_us, LANE_ALERT, &s->backlog[LANE_ALERT], INT64_MAX, false);
		for (enum lane lane = LANE_READING; lane < LANES; lane++)
			serve_lane(o, db, i, boot_us, lane, &s->live[lane], INT64_MAX, false);
		if (serve_backlog(o, db, i, boot_us))
			due = MIN(due, s->next_backlog_us);
		if (boot_us >= s->next_scan_us)
			retry(o, db, i, boot_us);
		due = MIN(due, MAX(s->next_scan_us, boot_us + 50000));
	}
	if (db_run(db, "COMMIT", "") <
		0) /* what cannot be sent was marked so, and the disk is full */
		db_script(db, "ROLLBACK");
	return due;
}

void outbox_look_again(struct outbox *o)
{
	for (unsigned i = 0; i < CONFIG_SINKS_MAX; i++)
		o->sinks[i].next_scan_us = 0;
}

/* answers */

void outbox_up(struct outbox *o, struct db *db, unsigned sink)
{
	struct sink *s = &o->sinks[sink];
	outbox_down(o, sink);
	s->up = true;
	s->live_from = db_int(db, 0, "SELECT max(id) FROM outbox", "");
	for (enum lane lane = LANE_ALERT; lane < LANES; lane++)
		s->live[lane] = s->live_from;
}

void outbox_down(struct outbox *o, unsigned sink)
{
	struct sink *s = &o->sinks[sink];
	s->up = false;
	s->flying = 0;
	s->n_landed = 0; /* not written down: it goes again */
	s->next_scan_us = 0;
	memset(s->live, 0, sizeof(s->live));
	memset(s->backlog, 0, sizeof(s->backlog));
	for (unsigned i = 0; i < s->window; i++)
		s->flights[i].tag = 0;
}

static struct flight *flight_of(struct sink *s, uint32_t tag)
{
	for (unsigned i = 0; tag && i < s->window; i++)
		if (s->flights[i].tag == tag)
			return &s->flights[i];
	return NULL;
}

bool outbox_landed(struct outbox *o, unsigned sink, uint32_t tag)
{
	struct sink *s = &o->sinks[sink];
	struct flight *f = flight_of(s, tag);
	if (!f)
		return true;
	if (s->n_landed + f->n > LANDED_MAX)
		return false;
	for (unsigned i = 0; i < f->n; i++)
		s->landed[s->n_landed++] = (struct landed){f->rows[i], f->handed_us, f->kind};
	if (f->kind == OBJECT_PIECE)
		s->next_scan_us = 0; /* now the next one may go that was asked for */
	f->tag = 0;
	s->flying--;
	return true;
}

/* The broker's word is all that this sink wants. */
static int settle_for_good(struct outbox *o, struct db *db, unsigned sink, const struct landed *l)
{
	struct uuid id;
	bool study = l->kind == OBJECT_STUDY || l->kind == OBJECT_PIECE;
	if (study) {
		_cleanup_(row_endp) struct row *r =
			db_query(db, "SELECT uuid FROM outbox WHERE id=?", "i", l->row);
		study = row_next(r) > 0 && row_uuid(r, 0, &id);
	}
	int rc = db_run(db, "DELETE FROM outbox WHERE id=?", "i", l->row);
	if (rc >= 0 && study &&
		!db_int(db, 0, "SELECT 1 FROM outbox WHERE uuid=? AND sink=?", "bi", id.bytes,
			sizeof(id.bytes), (int64_t)sink))
		rc = report_received(o->gateway, db, sink, &id);
	return rc;
}

static int settle_until_receipt(struct db *db, const struct landed *l, int64_t now, int64_t timeout)
{
	if (l->kind == OBJECT_PIECE)
		return db_run(db,
			"UPDATE outbox SET state=1, tries=0, next_try=0 WHERE id=? AND state<>3 "
			"AND next_try<=?",
			"ii", l->row, l->handed_us);
	/* a receipt may have been quicker: "retry" has set a time of its own */
	return db_run(db,
		"UPDATE outbox SET state=1, tries=tries+1, next_try=?+(?<<min(tries,6)) WHERE "
		"id=? AND state<>3 AND next_try<=?",
		"iiii", now, timeout, l->row, l->handed_us);
}

int outbox_settle(struct outbox *o, struct db *db, unsigned sink)
{
	struct sink *s = &o->sinks[sink];
	const struct config_sink *c = &o->gateway->config->sinks[sink];
	int64_t timeout = (int64_t)c->receipt_timeout_s * CLOCK_SECOND_US, now = clock_boot_us();
	/* the more there are, the more go: there is an end of what can be kept */
	unsigned n = MIN(s->n_landed, MAX(SETTLE_ROWS, s->n_landed / 4));
	int rc = 0;
	for (unsigned i = 0; i < n && rc >= 0; i++) {
		const struct landed *l = &s->landed[i];
		rc = l->kind == OBJECT_ALERT ? alert_sent(db, l->row) : 0;
		if (rc >= 0)
			rc = c->receipt == RECEIPT_BROKER
				     ? settle_for_good(o, db, sink, l)
				     : settle_until_receipt(db, l, now, timeout);
	}
	if (n && c->receipt == RECEIPT_PLATFORM)
		s->next_scan_us = MIN(s->next_scan_us, now + timeout);
	/* when it was not committed, the caller begins again with outbox_up() */
	s->n_landed -= n;
	memmove(s->landed, s->landed + n, s->n_landed * sizeof(*s->landed));
	return rc < 0 ? rc : s->n_landed > 0;
}

/* The broker or the library would not take it: again later, alone, and in the end a person's business.
 * Without the pause a message that is too long for the broker would go round for ever. */
int outbox_failed(struct outbox *o, struct db *db, unsigned sink, uint32_t tag, const char *reason)
{
	struct sink *s = &o->sinks[sink];
	struct flight *f = flight_of(s, tag);
	if (!f)
		return 0;
	int rc = 0;
	for (unsigned i = 0; i < f->n && rc >= 0; i++)
		rc = db_run(db,
			"UPDATE outbox SET tries=tries+1, reason=?3, next_try=CASE WHEN tries>=?4 "
			"THEN 0 ELSE ?1+(?2<<min(tries,6)) END, state=CASE WHEN tries>=?4 THEN 3 "
			"ELSE state END WHERE id=?5 AND state<>3",
			"iitii", clock_boot_us(), (int64_t)FAILED_US, reason, (int64_t)FAILED_MAX,
			f->rows[i]);
	f->tag = 0;
	s->flying--;
	s->next_scan_us = 0;
	return MIN(rc, 0);
}
