/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Modbus transports against the simulated slaves of tests/sim/modbus.py, which run as a process of their own,
 * take orders and keep counts. Included after cmocka.h in exactly one file of a test program.
 */
#pragma once

#include "codes.h"
#include "driver.h"
#include "log.h"
#include "transport.h"
#include "util.h"
#include "waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <vitalgate/registers.h>

#define SITE_SLAVES_MAX 200

/* One device and what its owner was told. */
struct slave {
	struct site *site;
	struct config_device config;
	struct vg_driver driver;
	struct vg_registers profile;
	struct transport *t;
	unsigned up, down, rounds, good; /* good: rounds in which every block has data */
	char uid[TRANSPORT_UID_MAX + 1], why[80];
	uint8_t last[VG_REGISTERS_RECORD_MAX];
	size_t last_len;
	long last_ms, gap_ms; /* gap: longest between two rounds */
	bool close_on_value;
	void (*check)(const struct slave *v); /* of each round */
};

struct site {
	char dir[64];
	pid_t sim;
	int control, log, stderr_was, port;
	sd_event *loop;
	unsigned n, wakeups;
	struct slave slaves[SITE_SLAVES_MAX];
};

static const char *site_path(const struct site *s, const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", s->dir, name);
	return p;
}

/* what a transport tells */

static void on_up(void *arg, const char *uid)
{
	struct slave *v = arg;
	assert_int_equal(v->up, v->down);
	v->up++;
	text_copy(v->uid, sizeof(v->uid), uid, strlen(uid));
}

static void on_stream(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg, (void)bytes, (void)len;
	fail_msg("registers are no stream");
}

/* Cuts the record as registers.h has it; NULL or the data of block `n`, `*why` of one without. */
static const uint8_t *block_of(
	const struct slave *v, const uint8_t *bytes, size_t len, unsigned n, uint8_t *ret_why)
{
	size_t at = 0;
	const uint8_t *found = NULL;
	for (unsigned i = 0; i < v->profile.n_blocks; i++) {
		assert_true(at < len);
		uint8_t size = bytes[at++];
		assert_true(at + (size ? size : 1) <= len);
		if (size)
			assert_int_equal(size, vg_registers_bytes(&v->profile.blocks[i]));
		if (i == n)
			found = size ? bytes + at : NULL;
		if (i == n && !size)
			*ret_why = bytes[at];
		at += size ? size : 1;
	}
	assert_int_equal(at, len);
	return found;
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	struct slave *v = arg;
	uint8_t why;
	assert_int_equal(v->up, v->down + 1);
	assert_int_equal(channel, 0);
	assert_false(indication);
	assert_true(len <= sizeof(v->last));
	bool good = true;
	for (unsigned i = 0; i < v->profile.n_blocks; i++)
		good &= block_of(v, bytes, len, i, &why) != NULL;
	v->good += good;
	v->rounds++;
	memcpy(v->last, bytes, len);
	v->last_len = len;
	long now = now_ms();
	if (v->last_ms && now - v->last_ms > v->gap_ms)
		v->gap_ms = now - v->last_ms;
	v->last_ms = now;
	if (v->check)
		v->check(v);
	if (v->close_on_value)
		v->t->ops->close(v->t, "heard enough");
}

static void on_down(void *arg, const char *why)
{
	struct slave *v = arg;
	v->down++;
	assert_int_equal(v->up, v->down);
	text_copy(v->why, sizeof(v->why), why, strlen(why));
}

/* time */

static void turn(struct site *s)
{
	int r = sd_event_run(s->loop, 5000);
	assert_true(r >= 0);
	s->wakeups += r > 0;
}

static inline void let_pass(struct site *s, int ms)
{
	for (long end_ms = now_ms() + ms; now_ms() < end_ms;)
		turn(s);
}

/* the simulator */

static json_t *ledger(const struct site *s, const char *event, unsigned *ret_n)
{
	FILE *f = fopen(site_path(s, "ledger"), "re");
	char line[65536];
	json_t *last = NULL;
	*ret_n = 0;
	while (f && fgets(line, sizeof(line), f)) {
		json_t *j = json_loads(line, 0, NULL);
		if (!j || !streq(json_string_value(json_object_get(j, "event")), event)) {
			json_decref(j);
			continue;
		}
		json_decref(last);
		last = j;
		++*ret_n;
	}
	if (f)
		fclose(f);
	return last;
}

static void order(struct site *s, const char *text)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", site_path(s, "control"));
	assert_int_equal(
		sendto(s->control, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to)),
		strlen(text));
}

/* Orders are carried out in turn, so when the counters are there, all before is done. To be given back. */
static json_t *counts(struct site *s)
{
	unsigned before, after;
	json_t *last = ledger(s, "counts", &before);
	order(s, "counts reset");
	do {
		json_decref(last);
		turn(s);
		last = ledger(s, "counts", &after);
	} while (after == before);
	return last;
}

static inline void orders_done(struct site *s)
{
	json_decref(counts(s));
}

static inline double count_of(json_t *counts_, unsigned slave, const char *name)
{
	char number[8];
	snprintf(number, sizeof(number), "%u", slave);
	json_t *slaves = json_object_get(json_object_get(counts_, "record"), "slaves");
	json_t *value = json_object_get(json_object_get(slaves, number), name);
	return json_is_number(value) ? json_number_value(value) : -1;
}

static void sim_start(struct site *s, const char *const *more)
{
	const char *argv[40] = {"python3", "-B", "tests/sim/modbus.py", "--ledger",
		site_path(s, "ledger"), "--control", site_path(s, "control")};
	unsigned n = 7;
	while (*more)
		argv[n++] = *more++;
	s->sim = fork();
	assert_true(s->sim >= 0);
	if (s->sim == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	long end_ms = now_ms() + WAIT_LIMIT_MS;
	unsigned found = 0;
	while (!found && now_ms() < end_ms) {
		json_t *j = ledger(s, "listening", &found);
		json_decref(found ? NULL : j);
		if (found) {
			json_t *record = json_object_get(j, "record");
			s->port = (int)json_integer_value(json_object_get(record, "port"));
			json_decref(j);
		}
		json_t *c = ledger(s, "connected", found ? &(unsigned){0} : &found);
		json_decref(c);
		usleep(10000);
	}
	assert_true(found && access(site_path(s, "control"), F_OK) == 0);
}

/* devices */

/* A profile of blocks: "4:0+2 2:0+1" is two input registers from 0, and a discrete input. */
static void set_blocks(struct slave *v, const char *text)
{
	unsigned function, address, n;
	int used;
	for (; sscanf(text, " %u:%u+%u%n", &function, &address, &n, &used) == 3; text += used)
		v->profile.blocks[v->profile.n_blocks++] = (struct vg_registers_block){
			(uint8_t)function, (uint16_t)address, (uint16_t)n};
	assert_true(v->profile.n_blocks);
}

#define IN_TIME_MS 5000 /* a simulator on a busy machine has answered by then */

static struct slave *slave_add(
	struct site *s, const char *address, unsigned number, const char *blocks)
{
	struct slave *v = &s->slaves[s->n++];
	*v = (struct slave){.site = s,
		.config = {.transport = TRANSPORT_MODBUS,
			.driver = "fridge",
			.slave = (uint8_t)number,
			.poll_ms = 100,
			.response_ms = 200,
			.gap_ms = 5,
			.baud = 115200,
			.data_bits = 8,
			.stop_bits = 1,
			.parity = 'N'},
		.driver = {.name = "fridge", .bus = VG_BUS_REGISTERS}};
	snprintf(v->config.id, sizeof(v->config.id), "slave-%u", number);
	snprintf(v->config.address, sizeof(v->config.address), "%s", address);
	v->driver.profile = &v->profile;
	set_blocks(v, blocks);
	return v;
}

static struct slave *slave_start(struct slave *v)
{
	const struct transport_events events = {on_up, on_stream, on_value, on_down, NULL, NULL, v};
	assert_int_equal(modbus_new(v->site->loop, &v->config, &v->driver, &events, &v->t), 0);
	return v;
}

static inline const char *state_of(const struct slave *v)
{
	return v->t->ops->state(v->t);
}

static inline const char *tcp_address(const struct site *s, int more)
{
	static char text[32];
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", s->port + more);
	return text;
}

/* A fridge: three blocks of a kind, and a door. Every block is what it has, or was not answered: never that of
 * another question. */
#define FRIDGE "4:0+2 4:2+2 4:4+2 2:0+1"

static inline void record_is_true(const struct slave *v)
{
	static const char *const blocks[] = {"002d01c2", "40900000", "42340000", "00"};
	char text[16];
	uint8_t why = 0;
	for (unsigned i = 0; i < v->profile.n_blocks; i++) {
		const uint8_t *data = block_of(v, v->last, v->last_len, i, &why);
		if (data)
			assert_string_equal(hex(text, data, strlen(blocks[i]) / 2), blocks[i]);
	}
}

static inline struct slave *true_fridge(struct slave *v)
{
	v->check = record_is_true;
	return v;
}

static int site_setup(void **state)
{
	struct site *s = calloc(1, sizeof(*s));
	snprintf(s->dir, sizeof(s->dir), "/tmp/vg-modbus-XXXXXX");
	if (!mkdtemp(s->dir) || sd_event_new(&s->loop) < 0)
		return -1;
	s->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	s->log = open(site_path(s, "log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	s->stderr_was = dup(STDERR_FILENO);
	dup2(s->log, STDERR_FILENO);
	*state = s;
	return 0;
}

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void slaves_end(struct site *s)
{
	for (unsigned i = 0; i < s->n; i++)
		transport_free(TAKE(s->slaves[i].t));
	s->n = 0;
}

static int site_teardown(void **state)
{
	struct site *s = *state;
	slaves_end(s);
	if (s->sim > 0) {
		kill(s->sim, SIGTERM);
		waitpid(s->sim, NULL, 0);
	}
	dup2(s->stderr_was, STDERR_FILENO);
	close(s->stderr_was);
	close(s->log);
	close(s->control);
	sd_event_unref(s->loop);
	nftw(s->dir, remove_file, 8, FTW_DEPTH | FTW_PHYS);
	free(s);
	return 0;
}
