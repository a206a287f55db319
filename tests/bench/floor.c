/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bench's lower bound for the whole way: what SQLite and paho allow here to a program that does only
 * what must be done. One thread, beside paho's.
 *
 *   floor PORT DATABASE SCHEMA TOPIC LINK...
 *
 * LIS01 frames from the lines; one transaction for what is there, with the rows of the daemon (reading,
 * evidence, outbox; DATABASE is made with SCHEMA when it is empty); then the frames are acknowledged and
 * the readings published, packed as the daemon packs them; rows of the outbox go with a transaction after
 * their PUBACK. No identity, no units, no rules, no doubles, no retries: it believes what it reads.
 */
#include <MQTTAsync.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 20 /* the daemon's default */
#define PACK_ROWS 64
#define BATCH_BYTES (256 * 128) /* 256 results, the daemon's default */
#define WAITING_MAX 2048
#define LINES_MAX 16
#define LOOK_MS 5      /* for a line that is not there */
#define COMPANY_MS 250 /* what only deletes waits so long for company, as in the daemon */
#define BOOT "a900660245bb429e9d08eecd8c30e6fe"
#define TABLES "'codes:1 units:1 local_codes:1'"

/* Written as people read it: ' for ", and the line ends mean nothing. */
static char body_format[] = "{'values':{'glu.random':{'value':5.2,'unit':'mmol/L','received':'5.2',"
			    "'ws':'DE04.50.102.00','loinc':'14743-9','mdc':'160184'}},'flags':[],"
			    "'notes':{'specimen':'%.*s'}}";
static char reading_format[] =
	"{'id':'%016llx%016llx','revision':1,'seq':%lld,'status':'final','kind':'lab',"
	"'resident':'%.*s','identity':{'evidence':'message_token','grade':'message',"
	"'in_contract':false,'patient_id_typed':true},'test':false,'time':{"
	"'taken':'2026-11-21T19:36:43.489Z','trust':'corrected','uncertainty_s':1,"
	"'device':'%.*s','device_offset_s':-1.489,'arrived':'2026-11-21T19:36:43.489Z',"
	"'boot_id':'" BOOT "','boot_ms':%lld},'device':{'id':'lab-1','uid':'line:lab-1',"
	"'driver':'lis01/1'},%.*s,'tables':'codes:1 units:1 local_codes:1',"
	"'committed_boot_us':%lld}";

struct row {
	int64_t id; /* of the outbox */
	size_t len;
	char json[1200];
};

struct flight {
	unsigned n; /* 0: free */
	int64_t ids[PACK_ROWS];
};

struct line {
	const char *link;
	int fd;
	bool owes_ack;
	size_t len;
	char bytes[70000];
};

static MQTTAsync client;
static sem_t connected;
static int wake_fd;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct flight flights[WINDOW], *done[WINDOW]; /* done: guarded by the lock */
static unsigned n_done;
static const char *topic;

static struct line lines[LINES_MAX];
static unsigned n_lines;
static struct row waiting[WAITING_MAX]; /* a ring */
static unsigned head, tail;
static int64_t gone[WAITING_MAX + WINDOW * PACK_ROWS];
static unsigned n_gone;
static sqlite3 *db;
static bool begun; /* a transaction */
static sqlite3_stmt *put_reading, *put_evidence, *put_outbox, *drop_outbox;

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, db ? sqlite3_errmsg(db) : strerror(errno));
	exit(1);
}

static int64_t clock_ns(clockid_t which)
{
	struct timespec t;
	clock_gettime(which, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* the broker */

static void on_connected(void *arg, MQTTAsync_successData *data)
{
	(void)arg, (void)data;
	sem_post(&connected);
}

static void on_failed(void *arg, MQTTAsync_failureData *data)
{
	(void)arg, (void)data;
	die("broker");
}

static void on_puback(void *arg, MQTTAsync_successData *data)
{
	(void)data;
	pthread_mutex_lock(&lock);
	done[n_done++] = arg;
	pthread_mutex_unlock(&lock);
	eventfd_write(wake_fd, 1);
}

static void broker_connect(const char *port)
{
	char uri[64], id[32];
	snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", port);
	snprintf(id, sizeof(id), "floor-%d", getpid());
	MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
	options.cleansession = 1;
	options.maxInflight = WINDOW;
	options.onSuccess = on_connected;
	options.onFailure = on_failed;
	sem_init(&connected, 0, 0);
	if (MQTTAsync_create(&client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL) ||
		MQTTAsync_connect(client, &options))
		die("connect");
	sem_wait(&connected);
}

static void publish(const void *bytes, size_t len, struct flight *f)
{
	MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
	answer.onSuccess = on_puback;
	answer.onFailure = on_failed;
	answer.context = f;
	if (MQTTAsync_send(client, topic, (int)len, bytes, 1, 0, &answer))
		die("publish");
}

/* the store */

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *s;
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK)
		die(sql);
	return s;
}

static void run(const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		die(sql);
}

static void open_database(const char *path, const char *schema_path)
{
	static char schema[65536];
	FILE *f = fopen(schema_path, "r");
	if (!f || !fread(schema, 1, sizeof(schema) - 1, f))
		die(schema_path);
	fclose(f);
	if (sqlite3_open_v2(path, &db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		die(path);
	run("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
	    "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA cache_size=-2000");
	if (sqlite3_exec(db, "SELECT id FROM reading LIMIT 0", NULL, NULL, NULL) != SQLITE_OK) {
		run("BEGIN");
		run(schema); /* whole or not at all: the bench kills its floors */
		run("COMMIT");
	}
	put_reading = prepare(
		"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
		"in_contract,test,device_time,arrived,boot_id,boot_us,offset_us,taken,"
		"uncertainty_us,trust,body,patient_hash,content,raw,driver,tables_version,"
		"committed_boot_us) VALUES(?1,1,'final','lab',1,?2,'message_token','message',0,0,"
		"?3,?4,x'" BOOT "',?5,0,?4,1000000,'corrected',?6,?7,?1,?8,'lis01/1'," TABLES
		",?5)");
	put_evidence = prepare("INSERT INTO evidence VALUES(?1,'glu.random',?2,?3,5200,1,NULL,"
			       "'corrected'," TABLES ")");
	put_outbox = prepare("INSERT INTO outbox(sink,lane,kind,object,uuid,revision,state,"
			     "next_try) VALUES(0,1,0,?1,?2,1,0,0)");
	drop_outbox = prepare("DELETE FROM outbox WHERE id=?1");
}

static void step(sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE)
		die("step");
	sqlite3_reset(s);
}

struct text {
	const char *at;
	int len;
};

/* Field n of a record, counted from 1; the letter is field 1. */
static struct text field(const char *record, const char *end, int n)
{
	while (--n && (record = memchr(record, '|', (size_t)(end - record))))
		record++;
	if (!record)
		return (struct text){"", 0};
	const char *stop = memchr(record, '|', (size_t)(end - record)) ?: end;
	return (struct text){record, (int)(stop - record)};
}

static void begin(void)
{
	if (!begun)
		run("BEGIN IMMEDIATE");
	begun = true;
}

static void keep(struct text specimen, struct text patient, const char *record, const char *end)
{
	static unsigned long long uuid[2], hash[4];
	struct row *w = &waiting[head++ % WAITING_MAX];
	struct text taken = field(record, end, 13);
	begin();
	char body[320];
	int64_t utc_us = clock_ns(CLOCK_REALTIME) / 1000, boot_us = clock_ns(CLOCK_BOOTTIME) / 1000;
	uuid[0] = (unsigned long long)utc_us * 0x9e3779b97f4a7c15u;
	uuid[1] += uuid[0] ^ (uuid[0] >> 29);
	int n = snprintf(body, sizeof(body), body_format, specimen.len, specimen.at);
	sqlite3_bind_blob(put_reading, 1, uuid, sizeof(uuid), SQLITE_STATIC);
	sqlite3_bind_int(put_reading, 2, atoi(patient.at + 2));
	sqlite3_bind_text(put_reading, 3, taken.at, taken.len, SQLITE_STATIC);
	sqlite3_bind_int64(put_reading, 4, utc_us);
	sqlite3_bind_int64(put_reading, 5, boot_us);
	sqlite3_bind_text(put_reading, 6, body, n, SQLITE_STATIC);
	sqlite3_bind_blob(put_reading, 7, hash, sizeof(hash), SQLITE_STATIC);
	sqlite3_bind_blob(put_reading, 8, record, (int)(end - record), SQLITE_STATIC);
	step(put_reading);
	int64_t id = sqlite3_last_insert_rowid(db);
	sqlite3_bind_int(put_evidence, 1, atoi(patient.at + 2));
	sqlite3_bind_int64(put_evidence, 2, utc_us);
	sqlite3_bind_int64(put_evidence, 3, id);
	step(put_evidence);
	sqlite3_bind_int64(put_outbox, 1, id);
	sqlite3_bind_blob(put_outbox, 2, uuid, sizeof(uuid), SQLITE_STATIC);
	step(put_outbox);
	w->id = sqlite3_last_insert_rowid(db);
	w->len = (size_t)snprintf(w->json, sizeof(w->json), reading_format, uuid[0], uuid[1],
		(long long)w->id, patient.len, patient.at, taken.len, taken.at,
		(long long)boot_us / 1000, n - 2, body + 1, (long long)boot_us);
}

/* the lines */

static void open_line(struct line *l)
{
	struct termios raw;
	l->fd = open(l->link, O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (l->fd < 0)
		return;
	tcgetattr(l->fd, &raw);
	cfmakeraw(&raw);
	tcsetattr(l->fd, TCSANOW, &raw);
	tcflush(l->fd, TCIFLUSH);
	l->len = 0;
}

static void frame(const char *at, const char *end)
{
	struct text specimen = {"", 0}, patient = {"R-1", 3};
	for (const char *stop; at < end && (stop = memchr(at, '\r', (size_t)(end - at)));
		at = stop + 1)
		if (*at == 'P')
			patient = field(at, stop, 3);
		else if (*at == 'O')
			specimen = field(at, stop, 3);
		else if (*at == 'R')
			keep(specimen, patient, at, stop);
}

/* All whole frames that are held: their rows go into one transaction. */
static void cut(struct line *l)
{
	const char *at = l->bytes, *end = l->bytes + l->len, *stop;
	for (; at < end; at = stop + 1) {
		stop = at;
		if (*at == 5 && write(l->fd, "\x06", 1) < 0)
			die("ack");
		if (*at != 2)
			continue;
		const char *etx = memchr(at, 3, (size_t)(end - at));
		if (!etx || end - etx < 5)
			break;
		unsigned sum = 0;
		for (const char *c = at + 1; c <= etx; c++)
			sum += (unsigned char)*c;
		if ((sum & 0xff) != strtoul((char[]){etx[1], etx[2], 0}, NULL, 16))
			die("checksum");
		frame(at + 2, etx);
		l->owes_ack = true;
		stop = etx + 4;
	}
	l->len = (size_t)(end - at);
	memmove(l->bytes, at, l->len);
}

static size_t hear(struct line *l)
{
	ssize_t n = read(l->fd, l->bytes + l->len, sizeof(l->bytes) - l->len);
	if (n > 0)
		l->len += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		close(l->fd);
		l->fd = -1;
	}
	return n > 0 ? (size_t)n : 0;
}

/* the pipeline */

static void take_pubacks(void)
{
	eventfd_t n;
	eventfd_read(wake_fd, &n);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_done; i++) {
		memcpy(gone + n_gone, done[i]->ids, done[i]->n * sizeof(gone[0]));
		n_gone += done[i]->n;
		done[i]->n = 0;
	}
	n_done = 0;
	pthread_mutex_unlock(&lock);
}

static void publish_waiting(void)
{
	static char message[PACK_ROWS * sizeof(waiting[0].json)];
	for (unsigned i = 0; i < WINDOW && head != tail; i++) {
		struct flight *f = &flights[i];
		if (f->n)
			continue;
		size_t len =
			(size_t)sprintf(message, "{\"v\":1,\"gateway\":\"gw-0001\",\"readings\":[");
		while (f->n < PACK_ROWS && tail != head) {
			struct row *w = &waiting[tail++ % WAITING_MAX];
			f->ids[f->n++] = w->id;
			memcpy(message + len, w->json, w->len);
			len += w->len;
			message[len++] = ',';
		}
		memcpy(message + len - 1, "]}", 2);
		publish(message, len + 1, f);
	}
}

/* Commits what whole frames came, and only then acknowledges them. `idle`: deletes need not wait for
 * company any more. */
static void transaction(bool idle)
{
	for (unsigned i = 0; i < n_lines; i++)
		if (lines[i].fd >= 0)
			cut(&lines[i]);
	if (idle && n_gone)
		begin();
	for (unsigned i = 0; i < n_gone && begun; i++) {
		sqlite3_bind_int64(drop_outbox, 1, gone[i]);
		step(drop_outbox);
	}
	if (begun) {
		run("COMMIT");
		n_gone = 0;
	}
	begun = false;
	for (unsigned i = 0; i < n_lines; i++) {
		if (lines[i].owes_ack && write(lines[i].fd, "\x06", 1) < 0 && errno != EAGAIN)
			die("ack");
		lines[i].owes_ack = false;
	}
}

/* Reads what is there, without taking more than one batch; true when anything came. */
static bool hear_all(void)
{
	size_t bytes = 0, n;
	for (unsigned i = 0; i < n_lines; i++)
		while (lines[i].fd >= 0 && bytes < BATCH_BYTES && (n = hear(&lines[i])))
			bytes += n;
	return bytes > 0;
}

static void turn(void)
{
	struct pollfd fds[LINES_MAX + 1] = {{.fd = wake_fd, .events = POLLIN}};
	int patience = n_gone ? COMPANY_MS : -1;
	bool room = head - tail < WAITING_MAX / 4;
	for (unsigned i = 0; i < n_lines; i++) {
		if (lines[i].fd < 0)
			open_line(&lines[i]);
		if (lines[i].fd < 0)
			patience = LOOK_MS;
		fds[i + 1] = (struct pollfd){.fd = room ? lines[i].fd : -1, .events = POLLIN};
	}
	int ready = poll(fds, n_lines + 1, patience);
	if (fds[0].revents)
		take_pubacks();
	bool heard = room && ready > 0 && hear_all();
	if (heard || ready == 0)
		transaction(!heard);
	publish_waiting();
}

static void unquote(char *format)
{
	for (; *format; format++)
		if (*format == '\'')
			*format = '"';
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	unquote(body_format);
	unquote(reading_format);
	wake_fd = eventfd(0, EFD_NONBLOCK);
	broker_connect(argv[1]);
	open_database(argv[2], argv[3]);
	topic = argv[4];
	for (int i = 5; i < argc && n_lines < LINES_MAX; i++)
		lines[n_lines++] = (struct line){.link = argv[i], .fd = -1};
	for (;;)
		turn();
}
