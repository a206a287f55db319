/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program from spawn to exit, beside one that reads the same stdin and writes as many bytes.
 *
 *   ecg_spawn ROUNDS FILE PROGRAM
 *     in turns: `ecg_spawn answer N` and PROGRAM, stdin FILE, stdout a pipe that is read to its end; N is what PROGRAM
 *     says. Prints "floor_ns program_ns floor_cpu_us program_cpu_us" for each round.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct run {
	int64_t ns, cpu_us;
	size_t said;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t cpu_us(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * INT64_C(1000000) + u->ru_utime.tv_usec +
	       u->ru_stime.tv_usec;
}

static int answer(size_t n)
{
	static char bytes[65536];
	while (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0)
		;
	while (n) {
		ssize_t done = write(STDOUT_FILENO, bytes, n < sizeof(bytes) ? n : sizeof(bytes));
		if (done < 0)
			return 1;
		n -= (size_t)done;
	}
	return 0;
}

/* As the daemon starts it: no environment, nothing but three descriptors. */
static struct run run(int file, char *const *argv)
{
	static char said[65536];
	posix_spawn_file_actions_t files;
	struct run r = {0};
	struct rusage usage;
	char *const nothing[] = {NULL};
	int out[2], status;
	pid_t pid;
	ssize_t n;
	int64_t begin = now_ns();
	if (pipe2(out, O_CLOEXEC) < 0)
		die("pipe");
	lseek(file, 0, SEEK_SET);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, file, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
	if (posix_spawn(&pid, argv[0], &files, NULL, argv, nothing))
		die(argv[0]);
	posix_spawn_file_actions_destroy(&files);
	close(out[1]);
	while ((n = read(out[0], said, sizeof(said))) > 0)
		r.said += (size_t)n;
	if (wait4(pid, &status, 0, &usage) < 0 || status)
		die("it did not end with 0");
	r.ns = now_ns() - begin;
	r.cpu_us = cpu_us(&usage);
	close(out[0]);
	return r;
}

int main(int argc, char **argv)
{
	char length[24];
	if (argc == 3 && strcmp(argv[1], "answer") == 0)
		return answer(strtoul(argv[2], NULL, 10));
	if (argc != 4)
		return 2;
	int file = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (file < 0)
		die(argv[2]);
	char *const program[] = {argv[3], NULL};
	char *const floor[] = {"/proc/self/exe", "answer", length, NULL};
	snprintf(length, sizeof(length), "%zu", run(file, program).said);
	for (int round = 0; round < atoi(argv[1]); round++) {
		struct run first = run(file, round % 2 ? program : floor);
		struct run second = run(file, round % 2 ? floor : program);
		const struct run *f = round % 2 ? &second : &first,
				 *p = round % 2 ? &first : &second;
		printf("%lld %lld %lld %lld\n", (long long)f->ns, (long long)p->ns,
			(long long)f->cpu_us, (long long)p->cpu_us);
	}
	return 0;
}
