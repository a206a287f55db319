/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hook.h"

#include "child.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct hook {
	sd_event *loop;
	pid_t pid; /* and its group; 0: none runs */
	int pid_fd;
	sd_event_source *ended, *late;
	bool timed_out;
	hook_done_t done;
	void *arg;
};

static void forget(struct hook *h)
{
	h->ended = sd_event_source_disable_unref(h->ended);
	h->late = sd_event_source_disable_unref(h->late);
	closep(&h->pid_fd);
	h->pid_fd = -1;
	h->pid = 0;
}

static int on_ended(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source, (void)fd, (void)revents;
	struct hook *h = arg;
	char why[64];
	int status = 0;
	siginfo_t info = {0};
	/* first the group, while the process that it is named after is still there to be waited for */
	if (waitid(P_PID, (id_t)h->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && !info.si_pid)
		return 0;
	kill(-h->pid, SIGKILL);
	waitpid(h->pid, &status, 0);
	if (h->timed_out)
		snprintf(why, sizeof(why), "it did not end in time and was killed");
	else if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "it was ended by signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "it ended with status %d", WEXITSTATUS(status));
	bool good = !h->timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	forget(h);
	h->done(h->arg, good ? NULL : why);
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source, (void)usec;
	struct hook *h = arg;
	h->timed_out = true;
	kill(-h->pid, SIGKILL);
	return 0;
}

static int spawn(const char *path, char *const argv[], int input, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char *const environment[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"LANG=C.UTF-8", NULL};
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	int rc = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	for (int fd = STDOUT_FILENO; !rc && fd <= STDERR_FILENO; fd++)
		rc = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_WRONLY, 0);
	if (!rc) /* without memory for this it would have the store's files */
		rc = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	if (!rc)
		rc = posix_spawn_file_actions_addchdir_np(&files, "/");
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes,
		POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	if (!rc)
		rc = posix_spawn(ret_pid, path, &files, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return -rc;
}

static int watch(struct hook *h, int64_t limit_us)
{
	h->pid_fd = (int)syscall(SYS_pidfd_open, h->pid, 0);
	if (h->pid_fd < 0)
		return -errno;
	int rc = sd_event_add_io(h->loop, &h->ended, h->pid_fd, EPOLLIN, on_ended, h);
	if (rc >= 0)
		rc = sd_event_add_time_relative(
			h->loop, &h->late, CLOCK_BOOTTIME, (uint64_t)limit_us, 0, on_late, h);
	return error_only(rc);
}

static void stop(struct hook *h)
{
	if (h->pid) {
		kill(-h->pid, SIGKILL);
		waitpid(h->pid, NULL, 0);
	}
	forget(h);
}

int hook_run(struct hook *h, const char *path, const char *const words[], const char *input,
	size_t len, int64_t limit_us, hook_done_t done, void *arg)
{
	char *argv[HOOK_WORDS_MAX + 2] = {(char *)path};
	if (h->pid)
		return -EBUSY;
	for (size_t i = 0; i < HOOK_WORDS_MAX && words[i]; i++)
		argv[i + 1] = (char *)words[i];
	_cleanup_(closep) int fd = child_input("alert", input, len);
	if (fd < 0)
		return fd;
	h->timed_out = false;
	h->done = done;
	h->arg = arg;
	int rc = spawn(path, argv, fd, &h->pid);
	if (rc < 0) {
		h->pid = 0;
		return rc;
	}
	rc = watch(h, limit_us);
	if (rc < 0)
		stop(h);
	return rc;
}

bool hook_runs(const struct hook *h)
{
	return h->pid != 0;
}

int hook_new(sd_event *loop, struct hook **ret)
{
	struct hook *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->loop = loop;
	h->pid_fd = -1;
	*ret = h;
	return 0;
}

void hook_free(struct hook *h)
{
	if (!h)
		return;
	stop(h);
	free(h);
}
