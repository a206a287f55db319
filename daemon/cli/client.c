/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local door from outside: one JSON line there, one back. */
#include "cli.h"
#include "config.h"
#include "util.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool socket_path(const struct cli *cli, char *out, size_t size)
{
	static struct config config;
	char error[CONFIG_ERROR_MAX];
	if (cli->socket)
		return snprintf(out, size, "%s", cli->socket) < (int)size;
	if (config_load(cli->config, &config, error, sizeof(error)) < 0) {
		/* the gateway runs on with its last good one */
		fprintf(stderr, "vitalgate: %s\n", error);
		return snprintf(out, size, "/run/vitalgate/control.sock") < (int)size;
	}
	/* times are typed in the gateway's zone, and are shown in it, unless the caller has another one */
	setenv("TZ", config.zone, 0);
	bool fits = snprintf(out, size, "%s/control.sock", config.runtime) < (int)size;
	config_free(&config);
	return fits;
}

static int connect_daemon(const struct cli *cli)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	if (!socket_path(cli, a.sun_path, sizeof(a.sun_path)))
		return -EINVAL;
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		if (cli->quiet)
			return -errno;
		fprintf(stderr, "vitalgate: %s: %s\n%s\n", a.sun_path, strerror(errno),
			cli->chinese
				? "守护进程未运行？请执行 systemctl status vitalgated 查看。"
				: "Is the daemon running? Look at `systemctl status vitalgated`.");
		return -errno;
	}
	int taken = fd;
	fd = -1;
	return taken;
}

static bool send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

json_t *client_ask(const struct cli *cli, const char *command, json_t *args)
{
	json_t *order = json_pack("{s:i,s:s,s:o}", "v", 1, "cmd", command, "args", args);
	if (order && cli->by) /* who acts stands beside the command, as in those of the platform */
		json_object_set_new(order, "by", json_string(cli->by));
	_cleanup_(freep) char *text = order ? json_dumps(order, JSON_COMPACT) : NULL;
	json_decref(order);
	_cleanup_(closep) int fd = text ? connect_daemon(cli) : -1;
	if (fd < 0)
		return NULL;
	json_error_t e;
	json_t *reply = NULL;
	if (send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1))
		reply = json_loadfd(fd, JSON_DISABLE_EOF_CHECK, &e);
	if (!reply && !cli->quiet)
		fprintf(stderr, "vitalgate: the daemon went away before it answered; ask again\n");
	return reply;
}

bool client_follow(const struct cli *cli, long long since,
	void (*line)(const struct cli *, const json_t *, void *arg), void *arg)
{
	char order[96], args[40] = "{}";
	if (since >= 0)
		snprintf(args, sizeof(args), "{\"since\":%lld}", since);
	int n = snprintf(order, sizeof(order), "{\"v\":1,\"cmd\":\"follow\",\"args\":%s}\n", args);
	int fd = connect_daemon(cli);
	if (fd < 0)
		return false;
	_cleanup_(fclosep) FILE *from = fdopen(fd, "r");
	if (!from || !send_all(fd, order, (size_t)n)) {
		if (!from)
			close(fd);
		return false;
	}
	_cleanup_(freep) char *text = NULL;
	size_t size = 0;
	bool first = true;
	while (getline(&text, &size, from) > 0) {
		json_t *told = json_loads(text, 0, NULL);
		if (first && !client_result(cli, told)) {
			json_decref(told);
			return false;
		}
		if (!first && told)
			line(cli, told, arg);
		first = false;
		json_decref(told);
	}
	return !first;
}

/* Of a roster: each that is named. */
static void wrong_lines(const struct cli *cli, const json_t *lines)
{
	size_t i;
	const json_t *l;
	json_array_foreach(lines, i, l)
	{
		const char *column = json_string_value(json_object_get(l, "column"));
		const char *text =
			json_string_value(json_object_get(l, cli->chinese ? "zh" : "en"));
		fprintf(stderr, cli->chinese ? "  第%lld行 %s%s%s\n" : "  line %lld: %s%s%s\n",
			(long long)json_integer_value(json_object_get(l, "line")),
			column ? column : "", column && *column ? ": " : "", text ? text : "");
	}
}

json_t *client_result(const struct cli *cli, json_t *reply)
{
	if (!reply)
		return NULL;
	if (json_is_true(json_object_get(reply, "ok")))
		return json_object_get(reply, "result");
	const json_t *error = json_object_get(reply, "error");
	const char *text = json_string_value(json_object_get(error, cli->chinese ? "zh" : "en"));
	fprintf(stderr, "vitalgate: %s\n", text ? text : "refused without a reason");
	wrong_lines(cli, json_object_get(error, "lines"));
	return NULL;
}

int client_show(
	const struct cli *cli, json_t *reply, void (*show)(const struct cli *, const json_t *))
{
	json_t *result = client_result(cli, reply);
	int status = result ? 0 : 1;
	if (cli->json && reply) {
		json_dumpf(
			result ? result : reply, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else if (result && show) {
		show(cli, result);
	} else if (result) {
		puts(cli->chinese ? "完成" : "done");
	}
	json_decref(reply);
	return status;
}
