/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decoder_start.h"

#include "child.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>

#define NAME "vitalgate-ecg"

void decoder_find(char *out, size_t size)
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own));
	const char *slash = n > 0 ? memrchr(own, '/', (size_t)n) : NULL;
	if (slash && snprintf(out, size, "%.*s/" NAME, (int)(slash - own), own) < (int)size &&
		access(out, X_OK) == 0)
		return;
	snprintf(out, size, "%s", VITALGATE_LIBEXEC "/" NAME);
}

/* It limits itself to the same, which it may not raise: this holds whatever becomes of its own. Sanitizers map
 * terabytes. */
static void limit(pid_t pid)
{
#ifndef __SANITIZE_ADDRESS__
	static const struct rlimit memory = {DECODER_MEMORY_MAX, DECODER_MEMORY_MAX},
				   cpu = {DECODER_CPU_S, DECODER_CPU_S + 1};
	prlimit(pid, RLIMIT_AS, &memory, NULL); /* it has ended already: so be it */
	prlimit(pid, RLIMIT_CPU, &cpu, NULL);
#else
	(void)pid;
#endif
}

/* Nothing of ours reaches the child: no descriptor, no environment, no blocked signal. */
static int spawn(const struct decoder_start *s, int original_fd, int answer_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	char *const argv[] = {NAME, s->samples ? "--samples" : NULL, (char *)s->samples, NULL};
	char *const environment[] = {NULL};
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&files, original_fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, answer_fd, STDOUT_FILENO);
	if (s->quiet)
		posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int rc = posix_spawn(ret_pid, s->path, &files, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return -rc;
}

int decoder_start(const struct decoder_start *s, pid_t *ret_pid, int *ret_answer_fd)
{
	int answer[2];
	pid_t pid;
	_cleanup_(closep) int original = child_input("original", s->bytes, s->len);
	if (original < 0)
		return original;
	if (pipe2(answer, O_CLOEXEC) < 0)
		return -errno;
	int rc = spawn(s, original, answer[1], &pid);
	close(answer[1]);
	if (rc < 0) {
		close(answer[0]);
		return rc;
	}
	limit(pid);
	*ret_pid = pid;
	*ret_answer_fd = answer[0];
	return 0;
}
