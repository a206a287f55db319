/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A spool transport on a real directory, and an owner that answers as it is told. */
#pragma once

#include "spool.h"
#include "util.h"
#include "waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <time.h>

#define HEARD_MAX 64
/* Long enough for a busy machine to do something within half of it. */
#define TOLD_MS 150
#define FOUND_MS 450
#define SCAN_MS 240
#define PATIENCE_MS 1200
#define REST_MS 450

enum answer { CONFIRM, REFUSE, NOTHING };

struct rig {
	char top[64], dir[96], other[96];
	int fd; /* of the directory as it was made, O_PATH */
	struct config_device device;
	struct vg_driver driver;
	struct spool_pace pace;
	sd_event *loop;
	struct transport *t;
	enum answer answer;
	bool patient; /* never asks for more than there is */
	unsigned up, down, n, turns;
	char uid[TRANSPORT_UID_MAX + 1], why[80];
	char *heard[HEARD_MAX]; /* the first files, as text */
	size_t len;		/* of the last one */
	int log, stderr_was;
};

static bool frames_all;

/* A file is complete when it ends with a full stop. */
static struct vg_frame rig_frame(const void *driver_state, const uint8_t *bytes, size_t len)
{
	if (driver_state || !len)
		abort(); /* in the thread no test can fail */
	return (struct vg_frame){.length = frames_all || bytes[len - 1] == '.' ? len : 0};
}

static void on_up(void *arg, const char *uid)
{
	struct rig *g = arg;
	assert_int_equal(g->up++, g->down);
	text_copy(g->uid, sizeof(g->uid), uid, strlen(uid));
}

static void on_value(void *arg, int channel, const uint8_t *bytes, size_t len, bool indication)
{
	struct rig *g = arg;
	assert_int_equal(channel, 0);
	assert_true(indication);
	assert_true(g->up > g->down);
	if (g->n < HEARD_MAX)
		g->heard[g->n] = strndup((const char *)bytes, len);
	g->n++;
	g->len = len;
	if (g->answer == CONFIRM)
		g->t->ops->confirm(g->t);
	else if (g->answer == REFUSE)
		g->t->ops->close(g->t, "could not store");
}

static void on_down(void *arg, const char *why)
{
	struct rig *g = arg;
	assert_int_equal(g->up, ++g->down);
	text_copy(g->why, sizeof(g->why), why, strlen(why));
}

/* Of all threads. */
static inline long cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void turn(struct rig *g)
{
	int r = sd_event_run(g->loop, 2000);
	assert_true(r >= 0);
	g->turns += r > 0;
}

static void let_pass(struct rig *g, int ms)
{
	for (long end_ms = now_ms() + ms; now_ms() < end_ms;)
		turn(g);
}

/* The thread has the rights of user `uid`. */
static void start_as(struct rig *g, unsigned uid)
{
	const struct transport_events events = {on_up, NULL, on_value, on_down, NULL, NULL, g};
	frames_all = g->patient;
	setfsuid(uid);
	int r = spool_new_paced(g->loop, &g->device, &g->driver, &events, &g->pace, &g->t);
	setfsuid(0);
	assert_int_equal(r, 0);
}

static void start(struct rig *g)
{
	start_as(g, geteuid());
}

static const char *state_of(const struct rig *g)
{
	return g->t->ops->state(g->t);
}

/* The directory anew. */
static void make(struct rig *g)
{
	if (g->fd > 0)
		close(g->fd);
	assert_int_equal(mkdir(g->dir, 0700), 0);
	g->fd = open(g->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(g->fd >= 0);
}

static int setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));
	snprintf(g->top, sizeof(g->top), "/tmp/vg-spool-XXXXXX");
	if (!mkdtemp(g->top) || sd_event_new(&g->loop) < 0)
		return -1;
	chmod(g->top, 0755);
	snprintf(g->dir, sizeof(g->dir), "%s/in", g->top);
	snprintf(g->other, sizeof(g->other), "%s/other", g->top);
	make(g);
	g->device = (struct config_device){.id = "ecg-1", .transport = TRANSPORT_SPOOL};
	snprintf(g->device.address, sizeof(g->device.address), "%s", g->dir);
	g->driver = (struct vg_driver){.name = "test", .bus = VG_BUS_FILES, .frame = rig_frame};
	g->pace = (struct spool_pace){.told_ms = TOLD_MS,
		.found_ms = FOUND_MS,
		.patience_ms = PATIENCE_MS,
		.scan_ms = SCAN_MS,
		.rest_ms = REST_MS};
	char name[80];
	snprintf(name, sizeof(name), "%s/log", g->top);
	g->log = open(name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	g->stderr_was = dup(STDERR_FILENO);
	dup2(g->log, STDERR_FILENO);
	*state = g;
	return 0;
}

static int rm(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st, (void)flag, (void)at;
	return remove(path);
}

static void rm_rf(const char *path)
{
	nftw(path, rm, 8, FTW_DEPTH | FTW_PHYS);
}

static int teardown(void **state)
{
	struct rig *g = *state;
	dup2(g->stderr_was, STDERR_FILENO);
	close(g->stderr_was);
	transport_free(g->t);
	bool named = log_lines(g->log, ".scp/") || log_lines(g->log, "TEST") ||
		     log_lines(g->log, "Wang");
	sd_event_unref(g->loop);
	for (unsigned i = 0; i < HEARD_MAX; i++)
		free(g->heard[i]);
	close(g->log);
	close(g->fd);
	rm_rf(g->top);
	free(g);
	return named ? -1 : 0;
}

/* what is done to files */

static inline void touch(const struct rig *g, const char *name, time_t mtime)
{
	const struct timespec times[] = {{mtime, 0}, {mtime, 0}};
	assert_int_equal(utimensat(g->fd, name, times, 0), 0);
}

static void write_at(const struct rig *g, const char *name, int flags, const char *text)
{
	int fd = openat(g->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* `mtime` 0: now. */
static inline void put(const struct rig *g, const char *name, const char *text, time_t mtime)
{
	write_at(g, name, O_TRUNC, text);
	if (mtime)
		touch(g, name, mtime);
}

/* To `size` bytes, keeping its time. */
static inline void stretch(const struct rig *g, const char *name, off_t size)
{
	struct stat st;
	_cleanup_(closep) int fd = openat(g->fd, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(futimens(fd, (struct timespec[]){st.st_mtim, st.st_mtim}), 0);
}

static inline void append(const struct rig *g, const char *name, const char *text)
{
	write_at(g, name, O_APPEND, text);
}

static inline void move(const struct rig *g, const char *from, const char *to)
{
	assert_int_equal(renameat(g->fd, from, g->fd, to), 0);
}

static inline bool is_there(const struct rig *g, const char *name)
{
	struct stat st;
	return fstatat(g->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline unsigned mode_of(const struct rig *g, const char *name)
{
	struct stat st;
	assert_int_equal(fstatat(g->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static inline bool holds(const struct rig *g, const char *name, const char *text)
{
	char found[80] = "";
	_cleanup_(closep) int fd = openat(g->fd, name, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, found, sizeof(found) - 1) >= 0 && streq(found, text);
}

/* By this process. */
static inline unsigned times_open(const char *path)
{
	unsigned n = 0;
	for (int fd = 0; fd < 256; fd++) {
		char link[32], target[256] = "";
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) > 0)
			n += streq(target, path);
	}
	return n;
}
