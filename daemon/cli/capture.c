/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate capture DEVICE [--seconds N] [--output FILE]: what passes on a device from now on, without what
 * names a person, as a capture. The daemon writes it down; it is fetched piece by piece. Ctrl-C ends it early.
 */
#include "cli.h"
#include "util.h"

#include <signal.h>

#define FETCH_MS 300

/* Why it is over, in the daemon's word and for people. */
static const struct ending {
	const char *why, *en, *zh;
} endings[] = {{"session", "the instrument ended the session", "仪器已结束会话"},
	{"time", "the time is over", "时间已到"},
	{"space", "it is full (4 MiB)", "已达上限（4 MiB）"},
	{"memory", "the daemon is out of memory", "守护进程内存不足"},
	{"stopped", "stopped", "已停止"}};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

static const struct ending *ending_of(const json_t *result)
{
	const char *why = json_string_value(json_object_get(result, "why"));
	for (size_t i = 0; why && i < ELEMENTS(endings); i++)
		if (streq(why, endings[i].why))
			return &endings[i];
	return NULL;
}

/* Sends one order and writes the lines that are there. 1: there may be more; 0: it is over, *ret_ending says
 * why; -1: it failed, and that was said. */
static int order(const struct cli *cli, json_t *args, FILE *to, json_int_t *from,
	const struct ending **ret_ending)
{
	json_t *reply = client_ask(cli, "capture", args);
	json_t *result = client_result(cli, reply);
	const json_t *text = json_object_get(result, "text");
	size_t len = json_string_length(text);
	int rc = result ? 1 : -1;
	if (len && fwrite(json_string_value(text), len, 1, to) != 1) {
		perror("vitalgate");
		rc = -1;
	}
	*ret_ending = ending_of(result);
	if (rc > 0 && !len && *ret_ending)
		rc = 0;
	*from = json_integer_value(json_object_get(result, "next"));
	json_decref(reply);
	return rc;
}

int capture_main(const struct cli *cli, const char *device, long long seconds, FILE *to)
{
	const struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	const struct ending *ending;
	json_int_t from = 0;
	int rc = order(cli,
		json_pack("{s:s,s:s,s:I}", "device", device, "order", "start", "seconds",
			(json_int_t)seconds),
		to, &from, &ending);
	if (rc < 0)
		return 1;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	fprintf(stderr,
		cli->chinese ? "vitalgate: 正在记录 %s，最长 %lld 秒，按 Ctrl-C 结束\n"
			     : "vitalgate: capturing %s for %lld s at most; Ctrl-C ends it\n",
		device, seconds);
	while (rc > 0) {
		if (!interrupted)
			usleep(FETCH_MS * 1000);
		rc = order(cli,
			json_pack("{s:s,s:s,s:I}", "device", device, "order",
				interrupted ? "stop" : "fetch", "from", from),
			to, &from, &ending);
	}
	if (rc == 0)
		fprintf(stderr, "vitalgate: %s\n", cli->chinese ? ending->zh : ending->en);
	if (rc == 0 && !from)
		fprintf(stderr, "vitalgate: %s\n",
			cli->chinese ? "仪器没有发送任何数据"
				     : "the instrument said nothing: nothing was captured");
	return rc < 0 || !from || fflush(to) ? 1 : 0;
}
