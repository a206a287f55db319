/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decoder.h"

#include "decoder_start.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct decoder {
	sd_event *loop;
	char path[256];
	int64_t limit_us;
	pid_t pid; /* 0: none runs */
	int pid_fd, answer_fd;
	sd_event_source *ended, *readable, *late;
	char *answer; /* DECODER_ANSWER_MAX + 1 bytes */
	size_t len;
	bool too_long, timed_out;
	decoder_done_t done;
	void *arg;
};

/* the end of a run */

static void forget(struct decoder *d)
{
	d->ended = sd_event_source_disable_unref(d->ended);
	d->readable = sd_event_source_disable_unref(d->readable);
	d->late = sd_event_source_disable_unref(d->late);
	closep(&d->pid_fd);
	closep(&d->answer_fd);
	d->pid_fd = d->answer_fd = -1;
	d->pid = 0;
}

static void drain(struct decoder *d)
{
	ssize_t n;
	while ((n = read(d->answer_fd, d->answer + d->len, DECODER_ANSWER_MAX + 1 - d->len)) > 0) {
		d->len += (size_t)n;
		if (d->len <= DECODER_ANSWER_MAX)
			continue;
		d->too_long = true;
		kill(d->pid, SIGKILL);
		break;
	}
	if (n == 0 || d->too_long)
		d->readable = sd_event_source_disable_unref(d->readable);
}

static const char *judge(const struct decoder *d, int status, char *why, size_t size)
{
	if (d->timed_out)
		return "it did not come to an end";
	if (d->too_long)
		return "its answer was too long";
	if (WIFSIGNALED(status))
		snprintf(why, size, "it was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		snprintf(why, size, "it ended with status %d", WEXITSTATUS(status));
	else if (!d->len)
		return "it said nothing";
	else
		return NULL;
	return why;
}

static int on_ended(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source, (void)fd, (void)revents;
	struct decoder *d = arg;
	char space[64];
	int status = 0;
	if (d->readable)
		drain(d);
	if (waitpid(d->pid, &status, WNOHANG) == 0)
		return 0;
	const char *why = judge(d, status, space, sizeof(space));
	/* a busy or a full machine: neither is the file's fault */
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	bool passing = why && (d->timed_out || (killed && !d->too_long));
	forget(d);
	_cleanup_(freep) char *answer = TAKE(d->answer);
	answer[MIN(d->len, (size_t)DECODER_ANSWER_MAX)] = 0;
	d->done(d->arg, why ? NULL : answer, d->len, why, passing);
	return 0;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source, (void)fd, (void)revents;
	drain(arg);
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source, (void)usec;
	struct decoder *d = arg;
	d->timed_out = true;
	kill(d->pid, SIGKILL);
	return 0;
}

/* the beginning */

static int watch(struct decoder *d)
{
	d->pid_fd = (int)syscall(SYS_pidfd_open, d->pid, 0);
	if (d->pid_fd < 0)
		return -errno;
	int rc = sd_event_add_io(d->loop, &d->ended, d->pid_fd, EPOLLIN, on_ended, d);
	if (rc >= 0)
		rc = sd_event_add_io(d->loop, &d->readable, d->answer_fd, EPOLLIN, on_readable, d);
	if (rc >= 0)
		rc = sd_event_add_time_relative(
			d->loop, &d->late, CLOCK_BOOTTIME, (uint64_t)d->limit_us, 0, on_late, d);
	return rc;
}

static void stop(struct decoder *d)
{
	if (d->pid) {
		kill(d->pid, SIGKILL);
		waitpid(d->pid, NULL, 0);
	}
	forget(d);
	free(TAKE(d->answer));
}

int decoder_run(struct decoder *d, const uint8_t *bytes, size_t len, decoder_done_t done, void *arg)
{
	if (d->pid)
		return -EBUSY;
	d->answer = malloc(DECODER_ANSWER_MAX + 1);
	if (!d->answer)
		return -ENOMEM;
	d->done = done;
	d->arg = arg;
	d->len = 0;
	d->too_long = d->timed_out = false;
	int rc = decoder_start(
		&(struct decoder_start){d->path, bytes, len, NULL, true}, &d->pid, &d->answer_fd);
	if (rc >= 0) {
		fcntl(d->answer_fd, F_SETFL, O_NONBLOCK);
		rc = watch(d);
	}
	if (rc < 0)
		stop(d);
	return error_only(rc);
}

/* life */

void decoder_use(struct decoder *d, const char *path, int64_t limit_us)
{
	text_copy(d->path, sizeof(d->path), path, strlen(path));
	d->limit_us = limit_us ? limit_us : DECODER_TIME_US;
}

int decoder_new(sd_event *loop, struct decoder **ret)
{
	struct decoder *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->loop = loop;
	d->pid_fd = d->answer_fd = -1;
	d->limit_us = DECODER_TIME_US;
	decoder_find(d->path, sizeof(d->path));
	*ret = d;
	return 0;
}

void decoder_free(struct decoder *d)
{
	if (!d)
		return;
	stop(d);
	free(d);
}
