/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Alerts: the lists of them, what is told of one, following them, and who is told. */
#include "alert_say.h"
#include "names.h"
#include "util.h"
#include "words.h"

#include <ctype.h>

#define AGAIN_US 1000000

static const char *say(const struct cli *cli, const char *en, const char *zh)
{
	return cli->chinese ? zh : en;
}

/* "vaccine fridge too warm: Ambient temperature 9.1 °C": why somebody was told, by the first rule that fired. */
static void why(const struct cli *cli, const json_t *alert)
{
	const json_t *rule = json_array_get(json_object_get(alert, "rules"), 0);
	char amount[96];
	fputs(json_array_size(json_object_get(alert, "rules"))
			? show_text(rule, cli->chinese ? "text_zh" : "text_en")
			: alert_say(SAY_CONDITION, show_text(alert, "condition"), cli->chinese),
		stdout);
	if (json_object_get(rule, "value")) {
		show_amount(cli, rule, amount, sizeof(amount));
		printf(say(cli, ": %s %s", "：%s %s"), name_kind(cli, show_text(rule, "kind")),
			amount);
	}
	if (json_object_get(rule, "statement")) /* the words of a cart, or of the ECG centre */
		printf(": \"%s\"", show_text(rule, "statement"));
}

static void labels(const struct cli *cli, const json_t *of)
{
	const json_t *label;
	size_t i;
	json_array_foreach(json_object_get(of, "labels"), i, label)
		printf("%s%s", i ? say(cli, "; ", "；") : " [",
			alert_say(SAY_LABEL, json_string_value(label), cli->chinese));
	if (json_array_size(json_object_get(of, "labels")))
		putchar(']');
}

/* What waits for a clean reading: nobody was told yet but whoever stands here. */
static void show_repeats(const struct cli *cli, const json_t *repeats)
{
	size_t i;
	const json_t *r;
	char when[32];
	json_array_foreach(repeats, i, r)
	{
		if (i == 0)
			puts(say(cli,
				"repeat these measurements; without a clean one staff are told:",
				"请复测以下读数；若无清晰读数将通知工作人员："));
		printf("%.8s  ", show_text(r, "reading"));
		show_cell(show_time(show_text(r, "due"), when, sizeof(when)), 15);
		show_cell(alert_say(SAY_SEVERITY, show_text(r, "severity"), cli->chinese), 9);
		show_cell(show_text(r, "resident"), 12);
		show_cell(show_text(r, "device"), 12);
		why(cli, r);
		labels(cli, r);
		putchar('\n');
	}
}

static int rank(const json_t *alert)
{
	const char *severity = show_text(alert, "severity");
	return streq(severity, "critical") ? 0 : streq(severity, "warning") ? 1 : 2;
}

/* By severity, then age. */
static int by_urgency(const void *a, const void *b)
{
	const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
	int d = rank(x) - rank(y);
	return d ? d : strcmp(show_text(x, "raised"), show_text(y, "raised"));
}

static void show_alert(const struct cli *cli, const json_t *a)
{
	const json_t *to = json_object_get(a, "to"), *ack = json_object_get(a, "acknowledged");
	const char *state = show_text(a, "state");
	char when[32], who[48], whom[64];
	const char *role = json_string_value(json_object_get(to, "role"));
	snprintf(whom, sizeof(whom), "%s %s", role ? alert_say(SAY_ROLE, role, cli->chinese) : "-",
		show_text(to, "token"));
	printf("%.8s  ", show_text(a, "id"));
	show_cell(show_time(show_text(a, "raised"), when, sizeof(when)), 15);
	show_cell(alert_say(SAY_SEVERITY, show_text(a, "severity"), cli->chinese), 9);
	show_cell(streq(state, "latched") ? say(cli, "over, open", "已解除待确认")
					  : alert_say(SAY_STATE, state, cli->chinese),
		13);
	show_cell(show_whose(cli, a, who, sizeof(who)), 12);
	show_cell(whom, 22);
	show_cell(name_of(NAME_DELIVERY, show_text(a, "delivery"), cli->chinese), 16);
	why(cli, a);
	if (json_object_get(a, "place"))
		printf(" (%s, %s %s)", show_text(a, "device"), say(cli, "since", "始于"),
			show_time(show_text(a, "since"), when, sizeof(when)));
	if (json_object_get(a, "ended"))
		printf(" %s %s", say(cli, "until", "止于"),
			show_time(show_text(a, "ended"), when, sizeof(when)));
	labels(cli, a);
	if (ack)
		printf(" %s %s", show_text(ack, "by"),
			alert_say(SAY_OUTCOME, show_text(ack, "outcome"), cli->chinese));
	putchar('\n');
}

static void show_alerts(const struct cli *cli, const json_t *result)
{
	const json_t *list = json_object_get(result, "alerts");
	size_t n = json_array_size(list);
	const json_t **sorted = calloc(n + 1, sizeof(*sorted));
	for (size_t i = 0; sorted && i < n; i++)
		sorted[i] = json_array_get(list, i);
	if (sorted && n)
		qsort(sorted, n, sizeof(*sorted), by_urgency);
	if (n) {
		show_cell(say(cli, "id", "编号"), 9);
		show_cell(say(cli, "raised", "发出时间"), 15);
		show_cell(say(cli, "severity", "级别"), 9);
		show_cell(say(cli, "state", "状态"), 13);
		show_cell(say(cli, "resident", "居民/场所"), 12);
		show_cell(say(cli, "to", "接收人"), 22);
		show_cell(say(cli, "delivery", "送达"), 16);
		puts(say(cli, "why", "原因"));
	} else if (!json_array_size(json_object_get(result, "repeats"))) {
		puts(say(cli, "no alert", "无警报"));
	}
	for (size_t i = 0; sorted && i < n; i++)
		show_alert(cli, sorted[i]);
	free(sorted);
	show_repeats(cli, json_object_get(result, "repeats"));
}

/* One alert: its sentence, and each of its revisions. */
static void show_history(const struct cli *cli, const json_t *result)
{
	const json_t *alert = json_object_get(result, "alert"), *h;
	char when[32], whom[64];
	size_t i;
	printf("%s  %s\n%s\n", show_text(alert, "id"),
		json_object_get(alert, "place") ? show_text(alert, "device")
						: show_text(alert, "resident"),
		show_text(alert, cli->chinese ? "text_zh" : "text_en"));
	json_array_foreach(json_object_get(result, "history"), i, h)
	{
		const json_t *ack = json_object_get(h, "ack");
		const char *role = json_string_value(json_object_get(h, "role"));
		const char *at = json_string_value(json_object_get(h, "at"));
		snprintf(whom, sizeof(whom), "%s %s",
			role ? alert_say(SAY_ROLE, role, cli->chinese) : "-", show_text(h, "to"));
		printf("%3lld  ", (long long)json_integer_value(json_object_get(h, "revision")));
		show_cell(at ? show_time(at, when, sizeof(when))
			     : say(cli, "time unknown", "时间不明"),
			15);
		show_cell(alert_say(SAY_PHASE, show_text(h, "phase"), cli->chinese), 12);
		show_cell(alert_say(SAY_SEVERITY, show_text(h, "severity"), cli->chinese), 9);
		show_cell(alert_say(SAY_SEVERITY, show_text(h, "level"), cli->chinese), 9);
		show_cell(whom, 22);
		fputs(alert_say(SAY_DELIVERY, show_text(h, "deliver"), cli->chinese), stdout);
		labels(cli, h);
		if (ack)
			printf(" %s %s", show_text(ack, "by"),
				alert_say(SAY_OUTCOME, show_text(ack, "outcome"), cli->chinese));
		putchar('\n');
	}
}

/* following */

static void show_line(const struct cli *cli, const json_t *told, void *arg)
{
	const json_t *n = json_object_get(told, "n"), *a = json_object_get(told, "alert");
	long long *last = arg;
	char when[32], who[48];
	if (json_is_integer(n))
		*last = json_integer_value(n);
	if (cli->json) {
		json_dumpf(told, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else if (json_is_object(a)) {
		printf("%s  %.8s  %s  %s\n", show_time(show_text(a, "raised"), when, sizeof(when)),
			show_text(a, "id"), show_whose(cli, a, who, sizeof(who)),
			show_text(a, cli->chinese ? "text_zh" : "text_en"));
	}
	fflush(stdout);
}

/* Until it is interrupted; a daemon that restarts is found again, and nothing is missed meanwhile. */
static int follow(const struct words *w)
{
	char *end;
	long long last = w->since ? strtoll(w->since, &end, 10) : -1;
	if (w->since && (*end || end == w->since || last < 0))
		return words_expected(w,
			"with --follow, --since takes the last \"n\" that was told",
			"--follow 时 --since 应为最后收到的序号 n");
	if (!client_follow(w->cli, last, show_line, &last))
		return 1;
	while (true) {
		w->cli->quiet = true;
		client_follow(w->cli, last, show_line, &last);
		usleep(AGAIN_US);
	}
}

/* for a display */

static void show_display(const struct cli *cli, const json_t *result)
{
	puts(show_text(result, cli->chinese ? "text_zh" : "text_en"));
}

static int run_alerts(const struct words *w)
{
	int ways = w->open + w->all + w->morning + w->follow + (w->history != NULL) +
		   (w->display != NULL);
	char *end = NULL;
	long long limit = w->limit ? strtoll(w->limit, &end, 10) : 50;
	if (ways > 1 || ((w->history || w->display || w->follow) && (w->resident || w->limit)) ||
		(end && (*end || limit < 1)))
		return words_expected(w, NULL, NULL);
	if (w->follow)
		return follow(w);
	if (w->display)
		return words_ask(
			w, "display", json_pack("{s:s}", "station", w->display), show_display);
	if (w->history)
		return words_ask(
			w, "alerts", json_pack("{s:s}", "history", w->history), show_history);
	json_t *args = json_pack("{s:I}", "limit", (json_int_t)limit);
	if (args && (w->all || w->morning))
		json_object_set_new(args, w->all ? "all" : "morning", json_true());
	words_put(args, "resident", w->resident);
	words_put(args, "since", w->since);
	return words_ask(w, "alerts", args, show_alerts);
}

/* what persons say of one */

static void show_acknowledged(const struct cli *cli, const json_t *result)
{
	printf(say(cli, "%.8s: %s; %s\n", "%.8s：%s；%s\n"), show_text(result, "alert"),
		alert_say(SAY_OUTCOME, show_text(result, "outcome"), cli->chinese),
		alert_say(SAY_STATE, show_text(result, "state"), cli->chinese));
}

static int run_ack(const struct words *w)
{
	json_t *args = json_pack("{s:s,s:s}", "alert", w->word[0], "outcome", w->word[1]);
	char *end;
	long long revision = w->revision ? strtoll(w->revision, &end, 10) : 0;
	if (w->revision && (*end || revision < 1)) {
		json_decref(args);
		return words_expected(w, NULL, NULL);
	}
	if (w->revision && args)
		json_object_set_new(args, "revision", json_integer(revision));
	return words_ask(w, "ack", args, show_acknowledged);
}

static int run_seen(const struct words *w)
{
	return words_ask(w, "alert_read", json_pack("{s:s}", "alert", w->word[0]), NULL);
}

/* who is there */

/* From, and to or --undo: what begins then is taken back. */
static int span(const struct words *w, const char *command, json_t *args, int at)
{
	int more = w->n - at;
	bool deputy = streq(command, "absence");
	if (w->undo ? more != 1 : more < 2 || more > 2 + deputy) {
		json_decref(args);
		return words_expected(w, NULL, NULL);
	}
	words_put(args, "from", w->word[at]);
	if (w->undo && args)
		json_object_set_new(args, "end", json_true());
	if (!w->undo)
		words_put(args, "to", w->word[at + 1]);
	if (more == 3)
		words_put(args, "deputy", w->word[at + 2]);
	return words_ask(w, command, args, NULL);
}

static int run_absence(const struct words *w)
{
	return span(w, "absence", json_pack("{s:s}", "member", w->word[0]), 1);
}

static int run_duty(const struct words *w)
{
	if (w->n < 3)
		return words_expected(w, NULL, NULL);
	return span(w, "duty", json_pack("{s:s,s:s}", "team", w->word[0], "member", w->word[1]), 2);
}

static void show_spans(const json_t *spans, const char *what, const char *other)
{
	char from[32], to[32];
	const json_t *s;
	size_t i;
	json_array_foreach(spans, i, s) printf("%s %s %s - %s %s\n", what, show_text(s, "member"),
		show_time(show_text(s, "from"), from, sizeof(from)),
		show_time(show_text(s, "to"), to, sizeof(to)), show_text(s, other));
}

static void show_rota(const struct cli *cli, const json_t *result)
{
	const json_t *step;
	size_t i;
	json_array_foreach(json_object_get(result, "steps"), i, step)
	{
		const json_t *to = json_object_get(step, "to");
		const char *role = json_string_value(json_object_get(to, "role"));
		printf("%zu  %s %s", i + 1,
			alert_say(SAY_ROLE, show_text(step, "role"), cli->chinese),
			show_text(step, "token"));
		if (!role)
			fputs(say(cli, ": nobody is there", "：无人在岗"), stdout);
		else if (!streq(show_text(to, "token"), show_text(step, "token")))
			printf(say(cli, ": %s %s", "：%s %s"),
				alert_say(SAY_ROLE, role, cli->chinese), show_text(to, "token"));
		putchar('\n');
	}
	show_spans(json_object_get(result, "absences"), say(cli, "absent", "请假"), "deputy");
	show_spans(json_object_get(result, "duties"), say(cli, "duty", "值班"), "team");
}

static int run_rota(const struct words *w)
{
	json_t *args = json_object();
	words_put(args, "resident", w->n ? w->word[0] : NULL);
	words_put(args, "at", w->at);
	return words_ask(w, "rota", args, show_rota);
}

const struct words_command alert_words[] = {
	{"alerts", run_alerts, 0, 0, WORDS_ALERTS,
		"[--open|--all|--morning|--history A|--follow|--display STATION]",
		"what somebody has to look at, the gravest first\n"
		"  --morning           what came too late to page, to be cleared every morning\n"
		"  --all               those that are over, too; --since 2026-11-21, --resident R, "
		"--limit N\n"
		"  --history A         one alert in words, and each of its revisions\n"
		"  --follow            what is open, then each change as it comes; --since N goes on "
		"behind n\n"
		"  --display STATION   the words for whoever was measured there now",
		"[--open|--all|--morning|--history 警报|--follow|--display 工位]",
		"待处理警报，最严重者在前\n"
		"  --morning           迟到的危急值，每天早晨必须处理\n"
		"  --all               包括已结束的；--since 2026-11-21，--resident 居民，--limit N\n"
		"  --history 警报      警报说明及其全部版本\n"
		"  --follow            先列未结束警报，再逐条显示变化；--since N 从序号 n 之后继续\n"
		"  --display 工位      供该工位显示屏给居民看的文字"},
	{"ack", run_ack, 2, 2, WORDS_BY | WORDS_REVISION, "ALERT OUTCOME [--by D] [--revision N]",
		"says what was done\n"
		"  reached        the resident was reached\n"
		"  advised        and was told what to do\n"
		"  referred       and was referred\n"
		"  not_reached    goes on: the next person is told\n"
		"  artefact       the measurement is void\n"
		"  --revision N   what was seen: refused when it is graver, or has another critical "
		"reading, by now",
		"警报 结果 [--by 医生] [--revision N]",
		"确认警报并注明处理结果\n"
		"  reached        已联系上居民\n"
		"  advised        已指导\n"
		"  referred       已转诊\n"
		"  not_reached    未联系上，继续逐级通知\n"
		"  artefact       误测，读数作废\n"
		"  --revision N   所见版本；若此后升级或有新的危急值则拒绝"},
	{"seen", run_seen, 1, 1, WORDS_BY, "ALERT [--by D]",
		"somebody looks at it: the others see that it is read", "警报 [--by 医生]",
		"标记为已读"},
	{"absence", run_absence, 2, 4, WORDS_BY | WORDS_UNDO,
		"MEMBER FROM TO [DEPUTY] | MEMBER FROM --undo",
		"who is away, and who is told meanwhile",
		"人员 开始 结束 [代班人] | 人员 开始 --undo", "请假及代班人"},
	{"duty", run_duty, 3, 4, WORDS_BY | WORDS_UNDO,
		"TEAM MEMBER FROM TO | TEAM MEMBER FROM --undo",
		"who is told for a team outside its hours",
		"团队 人员 开始 结束 | 团队 人员 开始 --undo", "非工作时间的团队值班人"},
	{"rota", run_rota, 0, 1, WORDS_AT, "[R] [--at T]",
		"who would be told now: of a resident, or of the site's staff",
		"[居民] [--at 时间]", "当前会通知谁：某居民，或站点"},
	{0},
};
