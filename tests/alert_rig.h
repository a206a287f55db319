/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of local outputs share, on top of gateway_rig.h: a running store, the local door, and alerts that change as
 * rows do, without anything that judges. Put the cmocka headers first.
 */
#pragma once

#include "gateway_rig.h"

#include "control.h"
#include "notify.h"
#include "util.h"

#include <sys/socket.h>
#include <sys/un.h>

static struct rig rig;

static inline int64_t after_commit(void *arg, struct db *db, int64_t boot_us)
{
	struct rig *r = arg;
	notify_after_commit(r->gateway.notify, db);
	return outbox_after_commit(r->gateway.outbox, db, boot_us);
}

static inline void alert_rig_open(const char *yaml)
{
	struct store_hooks hooks = {after_commit, &rig, rig_before_commit};
	rig_open(&rig, yaml);
	assert_true(sd_event_new(&rig.gateway.loop) >= 0);
	assert_int_equal(store_new(rig.gateway.loop, rig.config.store, rig.config.commit_rows,
				 &hooks, &rig.gateway.store),
		0);
	assert_int_equal(store_run(rig.gateway.store), 0);
	assert_int_equal(control_new(&rig.gateway, &rig.gateway.control), 0);
	assert_int_equal(notify_new(&rig.gateway, &rig.gateway.notify), 0);
}

static inline void alert_rig_close(void)
{
	store_free(TAKE(rig.gateway.store));
	notify_free(TAKE(rig.gateway.notify));
	control_free(TAKE(rig.gateway.control));
	rig_close(&rig);
}

/* The process ends and begins: what was on its way is lost. */
static inline void alert_rig_again(void)
{
	notify_free(TAKE(rig.gateway.notify));
	assert_int_equal(notify_new(&rig.gateway, &rig.gateway.notify), 0);
}

static inline void turn(void)
{
	assert_true(sd_event_run(rig.gateway.loop, 20000) >= 0);
}

/* So long at least, and until nothing waits. */
static inline void turns(int64_t us)
{
	int64_t end = clock_boot_us() + us;
	int r;
	do
		assert_true((r = sd_event_run(rig.gateway.loop, 20000)) >= 0);
	while (r > 0 || clock_boot_us() < end);
}

/* in a transaction of the store */

struct scripted {
	struct job job;
	char sql[2048];
	bool done;
};

static inline int run_script(struct job *job, struct db *db)
{
	return db_script(db, ((struct scripted *)job)->sql);
}

static inline void script_done(struct job *job, int result)
{
	assert_int_equal(result, 0);
	((struct scripted *)job)->done = true;
}

__attribute__((format(printf, 1, 2))) static inline void commit(const char *sql, ...)
{
	struct scripted s = {.job = {.run = run_script, .done = script_done}};
	va_list ap;
	va_start(ap, sql);
	assert_true(vsnprintf(s.sql, sizeof(s.sql), sql, ap) < (int)sizeof(s.sql));
	va_end(ap);
	store_submit(rig.gateway.store, &s.job);
	rig_wait(&rig, &s.done);
}

#define HISTORY                                                                                  \
	"INSERT INTO alert_history(alert,revision,at,phase,state,severity,level,recipient,role," \
	"step,deliver,labels) SELECT uuid,revision,0,phase,state,severity,level,recipient,role," \
	"step,deliver,labels FROM alert WHERE id=%u;"

/* Alert `id`, whose uuid is that number. It pages. */
static inline void raise_alert(unsigned id, const char *severity)
{
	commit("INSERT INTO alert(id,uuid,reading,revision,severity,state,recipient,role,in_contract,body,"
	       "doubts,raised,rules_version,condition,level,phase,pages) VALUES(%u,x'%032x',zeroblob(16),1,'%s',"
	       "'active','D-0001','doctor',1,'{\"rules\":[]}','[]',%lld,'v','bp-high',3,'start',1);" HISTORY,
		id, id, severity, (long long)RIG_NOW, id);
}

/* Its next revision; `set`: "pages=pages+1, phase='update'" */
static inline void revise(unsigned id, const char *set)
{
	commit("UPDATE alert SET revision=revision+1, %s WHERE id=%u;" HISTORY, set, id, id);
}

/* the local door */

static inline int client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/control.sock", rig.dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* The next line into `line`; false: the connection has ended. */
static inline bool hear(int fd, char *line, size_t size)
{
	size_t n = 0;
	for (int64_t end = clock_boot_us() + 60 * CLOCK_SECOND_US; clock_boot_us() < end;) {
		assert_true(n < size);
		ssize_t got = recv(fd, line + n, 1, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return false;
		if (got < 0) {
			turn();
			continue;
		}
		if (line[n++] == '\n') {
			line[n - 1] = 0;
			return true;
		}
	}
	fail_msg("no answer");
	return false;
}
