/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitalgated: starts the rooms, feeds the watchdog, stops them in order. */
#include "command.h"
#include "control.h"
#include "devices.h"
#include "digest.h"
#include "enrol_gateway.h"
#include "forward.h"
#include "gateway.h"
#include "intake.h"
#include "log.h"
#include "notify.h"
#include "radio.h"
#include "reload.h"
#include "retention.h"
#include "span.h"
#include "studies.h"
#include "timekeeper.h"
#include "watch.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#define STORE_HANGS_US (60 * CLOCK_SECOND_US) /* one transaction longer than this is no life */
#define BEAT_US (10 * CLOCK_SECOND_US)	      /* without a watchdog nobody listens */
#define RETENTION_US (3600 * CLOCK_SECOND_US)
#define RETENTION_LOOK_US (30 * CLOCK_SECOND_US)

/* As the command line says. */
static struct {
	const char *config, *lastgood;
} files = {.config = "/etc/vitalgate/vitalgate.yaml"};

/* Where the store will be says the configuration, which may be the broken part. */
static const char *last_good_place(const char *given)
{
	static char place[256];
	const char *state = getenv("STATE_DIRECTORY");
	snprintf(place, sizeof(place), "%s/last-good", state ? state : "/var/lib/vitalgate");
	return given ? given : place;
}

/* Values that are made once per database. */
static int load_meta(struct gateway *g)
{
	struct db *db = store_db(g->store);
	uint8_t fresh[40];
	if (getrandom(fresh, sizeof(fresh), 0) != sizeof(fresh))
		return -EIO;
	char epoch[17];
	hex(epoch, fresh, 8);
	int rc = db_run(db, "INSERT OR IGNORE INTO meta(key,value) VALUES('epoch',?)", "t", epoch);
	if (rc >= 0)
		rc = db_run(db, "INSERT OR IGNORE INTO meta(key,value) VALUES('site_key',?)", "b",
			fresh + 8, (size_t)32);
	if (rc < 0)
		return rc;
	_cleanup_(row_endp) struct row *r = db_query(db,
		"SELECT (SELECT value FROM meta WHERE key='epoch'),(SELECT value FROM meta WHERE "
		"key='site_key')",
		"");
	if (row_next(r) <= 0)
		return -EIO;
	size_t len;
	const void *key = row_blob(r, 1, &len);
	text_copy(g->epoch, sizeof(g->epoch), row_text(r, 0), strlen(row_text(r, 0)));
	memcpy(g->site_key, key, MIN(len, sizeof(g->site_key)));
	return 0;
}

static int before_commit(void *arg, struct db *db)
{
	struct gateway *g = arg;
	return outbox_before_commit(g->outbox, db);
}

static int64_t after_commit(void *arg, struct db *db, int64_t boot_us)
{
	struct gateway *g = arg;
	notify_after_commit(g->notify, db);
	return outbox_after_commit(g->outbox, db, boot_us);
}

static int start_store(struct gateway *g)
{
	struct store_hooks hooks = {after_commit, g, before_commit};
	int rc = store_new(g->loop, g->config->store, g->config->commit_rows, &hooks, &g->store);
	if (rc == -ENOTSUP)
		log_error("store",
			"%s was written by a newer vitalgate; install that version, or "
			"set paths.store to another directory",
			g->config->store);
	else if (rc < 0)
		log_error("store", "%s: %s; the directory must exist and be writable",
			g->config->store, strerror(-rc));
	if (rc < 0)
		return rc;
	rc = load_meta(g);
	if (rc >= 0)
		rc = outbox_name_sinks(store_db(g->store), g->config);
	if (rc >= 0)
		rc = outbox_recover(store_db(g->store));
	g->outbox = rc >= 0 ? outbox_new(g, forward_post, g) : NULL;
	if (rc >= 0 && store_was_quarantined(g->store))
		rc = intake_event(g, store_db(g->store), 0, "database_quarantined",
			"the database was damaged and set aside; a new one was begun", NULL,
			clock_utc_us(), true);
	return rc < 0 ? rc : g->outbox ? 0 : -ENOMEM;
}

/* Fed only while loop and store are alive: a hung store is as good as a dead daemon. */
static int on_beat(sd_event_source *source, uint64_t usec, void *arg)
{
	struct gateway *g = arg;
	struct store_status s;
	uint64_t every = BEAT_US;
	store_status(g->store, &s);
	bool alive =
		!s.busy_since_boot_us || clock_boot_us() - s.busy_since_boot_us < STORE_HANGS_US;
	if (alive)
		sd_notify(0, "WATCHDOG=1");
	else
		log_error("store", "no progress for a minute: the watchdog is not fed any more");
	sd_watchdog_enabled(0, &every);
	sd_event_source_set_time(source, usec + MIN(every / 2, (uint64_t)(5 * CLOCK_SECOND_US)));
	return 0;
}

struct cleaning {
	struct job job;
	unsigned days;
};

static int run_cleaning(struct job *job, struct db *db)
{
	struct instant now = {clock_utc_us(), clock_boot_us()};
	int rc = retention_run(db, &now, ((struct cleaning *)job)->days);
	if (rc > 0)
		log_info("store", "%d readings left after their time", rc);
	return rc < 0 ? rc : 0;
}

static void cleaning_done(struct job *job, int result)
{
	(void)result; /* the next one tries again */
	free(job);
}

/* Old rows leave once an hour; on a full disk at once, and younger ones, too. */
static int on_retention(sd_event_source *source, uint64_t usec, void *arg)
{
	struct gateway *g = arg;
	struct store_status s;
	int64_t now = clock_boot_us();
	store_status(g->store, &s);
	bool full = s.failing == -ENOSPC;
	sd_event_source_set_time(source, usec + RETENTION_LOOK_US);
	if (!full && g->cleaned_boot_us && now - g->cleaned_boot_us < RETENTION_US)
		return 0;
	struct cleaning *c = calloc(1, sizeof(*c));
	if (!c)
		return 0;
	g->cleaned_boot_us = now;
	c->job.run = run_cleaning;
	c->job.done = cleaning_done;
	c->job.patient = true;
	c->days = full ? RETENTION_FULL_DISK_DAYS : g->config->retention_days;
	store_submit(g->store, &c->job);
	return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *arg)
{
	(void)si;
	(void)arg;
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *arg)
{
	(void)source;
	(void)si;
	sd_notify(0, "RELOADING=1");
	reload_again(arg, files.config, files.lastgood);
	sd_notify(0, "READY=1");
	return 0;
}

static int start_loop(struct gateway *g)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int rc = sd_event_default(&g->loop);
	if (rc >= 0)
		rc = sd_event_add_signal(g->loop, NULL, SIGTERM, on_signal, NULL);
	if (rc >= 0)
		rc = sd_event_add_signal(g->loop, NULL, SIGINT, on_signal, NULL);
	if (rc >= 0)
		rc = sd_event_add_signal(g->loop, NULL, SIGHUP, on_reload, g);
	return rc;
}

/* A timer that the loop itself keeps. */
static int add_timer(struct gateway *g, uint64_t first_us, sd_event_time_handler_t call)
{
	sd_event_source *source = NULL;
	int rc = sd_event_add_time_relative(
		g->loop, &source, CLOCK_BOOTTIME, first_us, CLOCK_SECOND_US / 10, call, g);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(source, SD_EVENT_ON);
	if (rc >= 0)
		rc = sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
	return rc;
}

static int start_rooms(struct gateway *g)
{
	if (mkdir(g->config->runtime, 0750) < 0 && errno != EEXIST) {
		log_error("main", "%s: %s", g->config->runtime, strerror(errno));
		return -errno;
	}
	int rc = devices_new(g, &g->devices);
	if (rc >= 0)
		rc = forward_new(g, &g->forward);
	if (rc >= 0)
		rc = control_new(g, &g->control);
	if (rc == -EADDRINUSE)
		log_error("main", "another vitalgated runs with %s; stop it first",
			g->config->runtime);
	if (rc >= 0)
		rc = store_run(g->store);
	if (rc >= 0)
		rc = timekeeper_new(g, &g->timekeeper);
	if (rc >= 0)
		rc = watch_new(g, &g->watch);
	if (rc >= 0)
		rc = notify_new(g, &g->notify);
	if (rc >= 0)
		rc = digest_new(g, &g->digest);
	if (rc >= 0)
		rc = studies_new(g, &g->studies);
	if (rc >= 0)
		rc = devices_start(g->devices);
	if (rc >= 0)
		rc = add_timer(g, 0, on_beat);
	if (rc >= 0)
		rc = add_timer(g, RETENTION_LOOK_US, on_retention);
	return rc;
}

/* Instruments first, so that nothing new comes; then the store, so that what came is committed; its last
 * answers still find the rooms they are for. */
static void stop(struct gateway *g)
{
	sd_notify(0, "STOPPING=1");
	devices_stop(g->devices);
	store_free(TAKE(g->store));
	timekeeper_free(TAKE(g->timekeeper));
	watch_free(TAKE(g->watch));
	notify_free(TAKE(g->notify));
	digest_free(TAKE(g->digest));
	studies_free(TAKE(g->studies));
	forward_free(TAKE(g->forward));
	control_free(TAKE(g->control));
	enrolment_free(g->enrolment);
	devices_free(g->devices);
	radio_free(g);
	outbox_free(g->outbox);
	sd_event_unref(g->loop);
}

static int usage(int status)
{
	fputs("usage: vitalgated --config FILE [--last-good DIR] [--verbose]\n"
	      "Runs the gateway in the foreground. `vitalgate --help` looks after it.\n",
		status ? stderr : stdout);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"last-good", required_argument, NULL, 'g'}, {"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'}, {0}};
	static struct gateway g;
	enum log_level level = LOG_INFO;
	const char *given = NULL;
	int c;
	while ((c = getopt_long(argc, argv, "c:g:vh", options, NULL)) >= 0)
		switch (c) {
		case 'c':
			files.config = optarg;
			break;
		case 'g':
			given = optarg;
			break;
		case 'v':
			level = LOG_DETAIL;
			break;
		default:
			return usage(c == 'h' ? 0 : 2);
		}
	log_init("vitalgated", level);
	clock_boot_id(); /* read once, before there are threads */
	umask(0077);
	files.lastgood = last_good_place(given);
	if (reload_first(&g, files.config, files.lastgood) < 0)
		return 2;
	clock_set_zone(g.config->zone);
	g.started_boot_us = clock_boot_us();
	int rc = start_loop(&g);
	if (rc >= 0)
		rc = start_store(&g);
	if (rc >= 0)
		rc = start_rooms(&g);
	if (rc >= 0) {
		reload_settle(&g, files.config, files.lastgood);
		sd_notify(0, "READY=1");
		log_note("main", "%s/%s/%s ready: %u devices, %u sinks", g.config->org,
			g.config->site, g.config->gateway, g.config->n_devices, g.config->n_sinks);
		rc = sd_event_loop(g.loop);
	} else {
		log_error("main", "not started: %s", strerror(-rc));
	}
	stop(&g);
	policy_leave(&g, g.policy);
	return rc < 0 ? 1 : 0;
}
