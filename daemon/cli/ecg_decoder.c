/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs the sandboxed decoder vitalgate-ecg: the original on its standard input, JSON from its standard output.
 * What it reads is hostile, so it may crash, hang or never end its answer: time and length have limits.
 */
#include "decoder_start.h"
#include "ecg_parts.h"
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define NAME "vitalgate-ecg"
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

struct answer {
	char *text; /* owned */
	size_t len, size;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void failed(const struct cli *cli, const char *en, const char *zh, int number)
{
	fprintf(stderr, "vitalgate: " NAME ": ");
	fprintf(stderr, cli->chinese ? zh : en, number);
	fputc('\n', stderr);
}

static bool has_room(struct answer *a)
{
	if (a->len < a->size)
		return true;
	size_t size = a->size ? a->size * 2 : 64 * 1024;
	char *text = realloc(a->text, size);
	if (!text)
		return false;
	a->text = text;
	a->size = size;
	return true;
}

/* Until it closes its output. -ETIME, -EMSGSIZE: longer than it may; -errno. */
static int listen_to(int from, int64_t deadline_ms, struct answer *a)
{
	while (true) {
		struct pollfd p = {.fd = from, .events = POLLIN};
		int64_t left_ms = deadline_ms - now_ms();
		if (left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0)
			return -ETIME;
		if (a->len > ANSWER_MAX)
			return -EMSGSIZE;
		if (!has_room(a))
			return -ENOMEM;
		ssize_t n = read(from, a->text + a->len, a->size - a->len);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		a->len += n > 0 ? (size_t)n : 0;
	}
}

/* Its exit status; it is ended when it does not end by itself. */
static int reap(pid_t pid, int64_t deadline_ms, int *ret_status)
{
	while (true) {
		pid_t done = waitpid(pid, ret_status, WNOHANG);
		if (done == pid)
			return 0;
		if (now_ms() >= deadline_ms)
			break;
		usleep(2000);
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return -ETIME;
}

static json_t *parse(const struct cli *cli, const struct answer *a)
{
	json_error_t e;
	json_t *o = a->len ? json_loadb(a->text, a->len, 0, &e) : NULL;
	if (json_is_object(o))
		return o;
	json_decref(o);
	failed(cli, "its answer is no JSON object; is it of the same version?",
		"其输出不是JSON对象；版本是否一致？", 0);
	return NULL;
}

json_t *decoder_ask(
	const struct cli *cli, const struct original *o, const char *samples, long long seconds)
{
	_cleanup_(closep) int from = -1;
	struct answer a = {0};
	pid_t pid;
	char path[PATH_MAX];
	decoder_find(path, sizeof(path));
	int status = 0,
	    rc = decoder_start(
		    &(struct decoder_start){path, o->bytes, o->len, samples, false}, &pid, &from);
	if (rc < 0) {
		const char *next = rc == -ENOENT || rc == -EACCES
					   ? cli->chinese ? "；请检查安装" : "; is it installed?"
					   : "";
		fprintf(stderr, "vitalgate: " NAME ": %s%s\n", strerror(-rc), next);
		return NULL;
	}
	int64_t deadline_ms = now_ms() + seconds * 1000;
	rc = listen_to(from, deadline_ms, &a);
	int ended = reap(pid, rc < 0 ? 0 : deadline_ms, &status);
	json_t *found = NULL;
	if (rc == -ETIME || (rc == 0 && ended < 0))
		failed(cli, "no answer within %d s; a longer time: --timeout SECONDS",
			"%d 秒内没有结果；可用 --timeout 延长", (int)seconds);
	else if (rc == -EMSGSIZE)
		failed(cli, "its answer is longer than %d MiB; ask for fewer samples",
			"其输出超过 %d MiB；请减少采样点数", (int)(ANSWER_MAX >> 20));
	else if (rc < 0)
		failed(cli, "its answer could not be read (errno %d)", "无法读取其输出（errno %d）",
			-rc);
	else if (WIFSIGNALED(status))
		failed(cli, "it crashed on this file (signal %d); keep the file and report it",
			"处理该文件时崩溃（信号 %d）；请保留文件并报告", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		failed(cli, "it failed on this file (status %d); keep the file and report it",
			"处理该文件失败（状态 %d）；请保留文件并报告", WEXITSTATUS(status));
	else
		found = parse(cli, &a);
	free(a.text);
	return found;
}
