/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store.h"

#include "clock.h"
#include "log.h"
#include "util.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define PATIENCE_US 20000 /* how long patient jobs wait for company */
/* Given back to a full disk: room for the log, which is at most so long, to move into the database. */
#define BALLAST_BYTES (16 * 1024 * 1024)
#define ROOM_BYTES (4 * 1024 * 1024) /* with less than this free, a full disk stays full */

struct jobs {
	struct job *first, **last;
	unsigned count;
};

struct store {
	pthread_t thread;
	bool started;
	struct db *db;
	char dir[256];
	unsigned commit_rows;
	struct store_hooks hooks;
	int done_fd;
	sd_event_source *done_source;
	bool quarantined;
	struct log_limit failed_log;
	bool spent; /* the ballast was given back */
	bool full;  /* the thread's: the disk was full, the database must not grow */

	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t wake;
	struct jobs todo, behind, finished;
	bool stop, poked;
	struct store_status status;
};

static void jobs_init(struct jobs *j)
{
	*j = (struct jobs){.last = &j->first};
}

static void jobs_add(struct jobs *j, struct job *job)
{
	job->next = NULL;
	*j->last = job;
	j->last = &job->next;
	j->count++;
}

static struct job *jobs_take(struct jobs *j)
{
	struct job *job = j->first;
	if (job) {
		j->first = job->next;
		if (!j->first)
			j->last = &j->first;
		j->count--;
	}
	return job;
}

static void jobs_move(struct jobs *to, struct jobs *from)
{
	struct job *job;
	while ((job = jobs_take(from)))
		jobs_add(to, job);
}

/* the ballast */

static void ballast_path(const struct store *s, char *path, size_t size)
{
	snprintf(path, size, "%s/ballast", s->dir);
}

static bool ballast_make(const struct store *s)
{
	char path[300];
	ballast_path(s, path, sizeof(path));
	struct stat st;
	if (stat(path, &st) == 0 && st.st_size == BALLAST_BYTES)
		return true;
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && posix_fallocate(fd, 0, BALLAST_BYTES) == 0)
		return true;
	unlink(path);
	return false;
}

/* The disk is full. New readings are refused from now on, but what deletes must go on working: the log
 * moves into the database once more, for which there is the ballast, and then neither of them grows. */
static void tighten(struct store *s)
{
	char path[300];
	ballast_path(s, path, sizeof(path));
	s->spent |= unlink(path) == 0;
	db_checkpoint(s->db, true);
	db_freeze(s->db, true);
	if (!s->full)
		log_error("store",
			"disk full: nothing new is stored until there is room on the disk of %s",
			s->dir);
	s->full = true;
}

/* Bytes that are free on our disk, 0 when nobody knows. */
static uint64_t room(const struct store *s)
{
	struct statvfs v;
	return statvfs(s->dir, &v) < 0 ? 0 : (uint64_t)v.f_bavail * v.f_frsize;
}

static void ballast_keep(const struct store *s)
{
	if (!s->full && room(s) >= BALLAST_BYTES + ROOM_BYTES)
		ballast_make(s);
}

/* What the ballast left behind is for deleting and is no room to live on. Who never had one (a small disk)
 * goes on with little. */
static void loosen(struct store *s)
{
	if (room(s) < ROOM_BYTES + (s->spent ? BALLAST_BYTES : 0))
		return;
	db_freeze(s->db, false);
	s->full = s->spent = false;
	ballast_keep(s);
	log_note("store", "there is room on the disk again");
}

/* the thread */

static int run_one(struct store *s, struct job *job)
{
	if (!job->run)
		return 0;
	if (job->reads_only)
		return job->run(job, s->db);
	int rc = db_part_begin(s->db);
	if (rc < 0)
		return rc;
	job->result = job->run(job, s->db);
	rc = db_part_end(s->db, job->result);
	return rc < 0 ? rc : job->result;
}

static int run_batch(struct store *s, struct jobs *batch)
{
	bool writes = false;
	for (struct job *j = batch->first; j; j = j->next)
		writes |= j->run && !j->reads_only;
	int rc = writes ? db_run(s->db, "BEGIN IMMEDIATE", "") : 0;
	for (struct job *j = batch->first; j && rc >= 0; j = j->next) {
		j->result = run_one(s, j);
		if (j->result < 0 && db_lost(j->result) && !j->reads_only)
			rc = j->result;
	}
	if (writes && rc >= 0 && s->hooks.before_commit)
		rc = s->hooks.before_commit(s->hooks.arg, s->db);
	if (writes && rc >= 0)
		rc = db_run(s->db, "COMMIT", "");
	if (rc >= 0)
		return 0;
	unsigned held_back;
	if (log_allowed(&s->failed_log, 5, &held_back))
		log_error("store", "transaction failed: %s (%s)", strerror(-rc), db_error(s->db));
	db_script(s->db, "ROLLBACK");
	for (struct job *j = batch->first; j; j = j->next)
		j->result = rc;
	if (rc == -ENOSPC)
		tighten(s);
	return rc;
}

static void beat(struct store *s, bool busy)
{
	s->status.beat_boot_us = clock_boot_us();
	s->status.busy_since_boot_us = busy ? s->status.beat_boot_us : 0;
}

/* Condition variables know CLOCK_MONOTONIC, our instants are CLOCK_BOOTTIME: wait for the difference. */
static void wait_for(struct store *s, int64_t us)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	us = MAX(us, 0) + t.tv_nsec / 1000;
	t.tv_sec += us / 1000000;
	t.tv_nsec = us % 1000000 * 1000;
	pthread_cond_clockwait(&s->wake, &s->lock, CLOCK_MONOTONIC, &t);
}

/* How long a job may wait for company. */
static int64_t patience(const struct job *j)
{
	return j->patient ? PATIENCE_US : j->wait_us;
}

/* Waits, with the lock held, until there is a batch to run or the outbox is due. */
static void wait_for_work(struct store *s, int64_t due_us)
{
	while (!s->stop && !s->poked && !s->todo.first && !s->behind.first) {
		beat(s, false);
		int64_t now = clock_boot_us();
		if (now >= due_us)
			return;
		wait_for(s, MIN(due_us - now, 5000000));
	}
	if (s->stop || s->poked || s->behind.first)
		return;
	int64_t begun = clock_boot_us();
	for (;;) {
		int64_t until =
			s->todo.count >= s->commit_rows || s->stop || s->poked ? 0 : INT64_MAX;
		for (struct job *j = s->todo.first; j && until; j = j->next)
			until = MIN(until, patience(j) ? begun + patience(j) : 0);
		int64_t now = clock_boot_us();
		if (now >= until)
			return;
		wait_for(s, until - now);
	}
}

/* Only a transaction that wrote something proves that a failing disk is well again. */
static void hand_back(struct store *s, struct jobs *batch, int rc, bool wrote)
{
	pthread_mutex_lock(&s->lock);
	s->status.commits += rc >= 0 && wrote;
	s->status.jobs += batch->count;
	if (rc < 0 || wrote)
		s->status.failing = rc < 0 ? rc : s->full ? -ENOSPC : 0;
	jobs_move(&s->finished, batch);
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->done_fd, 1);
}

/* On a full disk what only deletes (receipts, old rows: the patient) must not fall with what adds. */
static bool goes_along(const struct store *s, const struct jobs *batch)
{
	return !s->full || !batch->first || batch->first->patient == s->todo.first->patient;
}

/* With the lock held. */
static void take_batch(struct store *s, struct jobs *batch)
{
	const struct job *last = s->behind.first;
	if (last && (!s->todo.first || clock_boot_us() - last->queued_us > PATIENCE_US)) {
		jobs_add(batch, jobs_take(&s->behind));
		return;
	}
	while (s->todo.first && batch->count < s->commit_rows && goes_along(s, batch))
		jobs_add(batch, jobs_take(&s->todo));
}

static void *thread_main(void *arg)
{
	struct store *s = arg;
	int64_t due_us = 0;
	pthread_setname_np(pthread_self(), "store");
	for (;;) {
		struct jobs batch;
		jobs_init(&batch);
		pthread_mutex_lock(&s->lock);
		wait_for_work(s, due_us);
		take_batch(s, &batch);
		bool stop = s->stop && !batch.first;
		s->poked = false;
		s->status.queued = s->todo.count + s->behind.count;
		beat(s, true);
		pthread_mutex_unlock(&s->lock);
		if (stop)
			return NULL;
		if (batch.first) {
			int64_t before = db_changed(s->db);
			if (s->full)
				loosen(s);
			int rc = run_batch(s, &batch);
			hand_back(s, &batch, rc, db_changed(s->db) != before);
		}
		due_us = s->hooks.after_commit
				 ? s->hooks.after_commit(s->hooks.arg, s->db, clock_boot_us())
				 : INT64_MAX;
		if (db_checkpoint(s->db, false))
			ballast_keep(s);
	}
}

/* the loop's side */

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)revents;
	struct store *s = arg;
	eventfd_t n;
	eventfd_read(fd, &n);
	struct jobs done;
	jobs_init(&done);
	pthread_mutex_lock(&s->lock);
	jobs_move(&done, &s->finished);
	pthread_mutex_unlock(&s->lock);
	struct job *job;
	while ((job = jobs_take(&done)))
		job->done(job, job->result);
	return 0;
}

int store_nothing(struct job *job, struct db *db)
{
	(void)job;
	(void)db;
	return 0;
}

void store_submit(struct store *s, struct job *job)
{
	assert(job->done);
	pthread_mutex_lock(&s->lock);
	struct jobs *to = job->behind ? &s->behind : &s->todo;
	bool first = !to->first;
	job->queued_us = clock_boot_us();
	jobs_add(to, job);
	s->status.queued = s->todo.count + s->behind.count;
	/* Who may wait as long as those before it need not wake anybody. */
	if (first || !job->wait_us || s->todo.count >= s->commit_rows)
		pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

void store_post(struct store *s, struct job *job)
{
	pthread_mutex_lock(&s->lock);
	jobs_add(&s->finished, job);
	pthread_mutex_unlock(&s->lock);
	eventfd_write(s->done_fd, 1);
}

void store_poke(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->poked = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

void store_status(struct store *s, struct store_status *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->status;
	pthread_mutex_unlock(&s->lock);
}

struct db *store_db(struct store *s)
{
	return s->db;
}

bool store_was_quarantined(const struct store *s)
{
	return s->quarantined;
}

/* A damaged database is set aside whole, for people to look at, and a new one begun: a gateway that
 * refuses to start would silence a village. */
static int open_or_quarantine(struct store *s)
{
	int rc = db_open(s->dir, &s->db);
	if (rc != -EUCLEAN)
		return rc;
	static const char *const parts[] = {"", "-wal", "-shm"};
	int64_t stamp = clock_utc_us() / 1000000;
	for (size_t i = 0; i < ELEMENTS(parts); i++) {
		char from[320], to[360];
		snprintf(from, sizeof(from), "%s/vitalgate.db%s", s->dir, parts[i]);
		snprintf(
			to, sizeof(to), "%s/damaged-%lld.db%s", s->dir, (long long)stamp, parts[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	s->quarantined = true;
	log_error("store",
		"the database is damaged: set aside as damaged-%lld.db, a new one begun; "
		"keep the file for recovery",
		(long long)stamp);
	return db_open(s->dir, &s->db);
}

static int start(struct store *s, sd_event *loop)
{
	s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->done_fd < 0)
		return -errno;
	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	int rc = open_or_quarantine(s);
	if (rc < 0)
		return rc;
	ballast_make(s);
	rc = sd_event_add_io(loop, &s->done_source, s->done_fd, EPOLLIN, on_done, s);
	if (rc < 0)
		return rc;
	sd_event_source_set_priority(s->done_source, SD_EVENT_PRIORITY_NORMAL - 10);
	return 0;
}

int store_new(sd_event *loop, const char *dir, unsigned commit_rows,
	const struct store_hooks *hooks, struct store **ret)
{
	struct store *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->commit_rows = commit_rows;
	s->hooks = *hooks;
	s->done_fd = -1;
	text_copy(s->dir, sizeof(s->dir), dir, strlen(dir));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	jobs_init(&s->todo);
	jobs_init(&s->behind);
	jobs_init(&s->finished);
	beat(s, false);
	int rc = start(s, loop);
	if (rc < 0) {
		store_free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

int store_run(struct store *s)
{
	int rc = pthread_create(&s->thread, NULL, thread_main, s);
	s->started = rc == 0;
	return -rc;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		struct job *job;
		while ((job = jobs_take(&s->finished)))
			job->done(job, job->result);
		while ((job = jobs_take(&s->todo)) || (job = jobs_take(&s->behind)))
			job->done(job, -ECANCELED);
	}
	db_close(s->db);
	sd_event_source_disable_unref(s->done_source);
	if (s->done_fd >= 0)
		close(s->done_fd);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
