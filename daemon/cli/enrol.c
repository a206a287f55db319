/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate enrol: shows who advertises, and takes one of them through pairing, a test reading and "whose?".
 * Questions are answered by options, else by lines of the standard input, so people and scripts do the same. The
 * daemon does the work (daemon/enrol.h); it gives up by itself when this program is gone.
 */
#include "cli.h"
#include "names.h"
#include "util.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>

#define LOOK_MS 400
#define LOOKS_ALONE_MS 10000 /* of a list that nobody can answer to */
#define RESIDENTS_MAX 8

struct enrolling {
	struct cli *cli;
	/* as the command line says; NULL, 0: ask */
	const char *device, *id, *driver, *replace, *passkey, *station;
	struct {
		const char *resident;
		long long slot; /* -1: none */
	} of[RESIDENTS_MAX];
	unsigned n_of;
	long long seconds;
	bool yes, no_reading, everything;
	/* as it goes */
	json_int_t window;
	bool begun, answered, tty, end_of_input;
	char line[128]; /* of the standard input */
	size_t line_len;
	char *shown; /* what was printed last */
	char phase[16], note[32], asked[80], error[256];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));
	return t ? t : "";
}

static const char *say(const struct enrolling *e, const char *en, const char *zh)
{
	return e->cli->chinese ? zh : en;
}

static const char *in_language(
	const struct enrolling *e, const json_t *o, const char *en, const char *zh)
{
	return text(o, e->cli->chinese ? zh : en);
}

/* The daemon's answer to an order; NULL: it was said why not. Owned by the caller. */
static json_t *order(const struct enrolling *e, const char *name, json_t *args)
{
	args = args ? args : json_object();
	json_object_set_new(args, "order", json_string(name));
	json_object_set_new(args, "window", json_integer(e->window));
	json_t *reply = client_ask(e->cli, "enrol", args);
	json_t *result = client_result(e->cli, reply);
	json_incref(result);
	json_decref(reply);
	return result;
}

/* lines of the standard input */

/* Waits for `ms` at most; true when e->line is a whole line. */
static bool read_line(struct enrolling *e, int ms)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char c;
	if (e->end_of_input) {
		usleep((useconds_t)ms * 1000);
		return false;
	}
	while (poll(&p, 1, ms) > 0) {
		if (read(STDIN_FILENO, &c, 1) != 1) {
			e->end_of_input = true;
			return false;
		}
		ms = 0;
		if (c == '\n') {
			e->line[e->line_len] = 0;
			e->line_len = 0;
			return true;
		}
		if (e->line_len + 1 < sizeof(e->line) && c != '\r')
			e->line[e->line_len++] = c;
	}
	return false;
}

/* what is shown */

static void show_seen(const struct enrolling *e, const json_t *s)
{
	const json_t *model = json_object_get(s, "model"), *signal = json_object_get(s, "signal");
	char where[24] = "?";
	if (json_is_integer(signal))
		snprintf(where, sizeof(where), "%lld dBm", (long long)json_integer_value(signal));
	printf("%3lld  %s  %8s  %s%s%s",
		(long long)json_integer_value(json_object_get(s, "number")), text(s, "address"),
		where, text(s, "name"), *text(s, "name") && json_is_object(model) ? " · " : "",
		in_language(e, model, "en", "zh"));
	if (json_is_true(json_object_get(model, "experimental")))
		printf(" (%s)", say(e, "experimental", "试验性"));
	if (*text(s, "known"))
		printf(" [%s %s]", say(e, "enrolled as", "已登记为"), text(s, "known"));
	else if (json_is_true(json_object_get(s, "paired")))
		printf(" [%s]", say(e, "paired", "已配对"));
	putchar('\n');
	if (json_is_object(model) && !*text(s, "known"))
		printf("       %s\n", in_language(e, model, "press_en", "press_zh"));
	const json_t *note = json_object_get(s, "note");
	if (note)
		printf("       %s: %s\n", in_language(e, note, "en", "zh"),
			in_language(e, note, "next_en", "next_zh"));
}

/* Those that a driver recognises, or all. */
static void show_list(const struct enrolling *e, const json_t *state)
{
	size_t i, strangers = 0, shown = 0;
	const json_t *s;
	json_array_foreach(json_object_get(state, "list"), i, s)
	{
		bool known = json_is_object(json_object_get(s, "model"));
		strangers += !known;
		if (!known && !e->everything)
			continue;
		if (!shown++)
			puts(say(e, " No  address            signal    name · model",
				"序号 地址               信号      名称 · 型号"));
		show_seen(e, s);
	}
	if (!shown)
		puts(say(e, "No instrument advertises now: switch it on, or take a measurement.",
			"当前没有设备在广播：请打开设备或测量一次。"));
	if (strangers && !e->everything)
		printf(say(e, "(%zu others that no driver recognises: --all shows them)\n",
			       "（另有 %zu 个无法识别的设备：--all 可显示）\n"),
			strangers);
	if (!streq(text(state, "bluetooth"), "ready"))
		printf("%s: %s\n", say(e, "Bluetooth", "蓝牙"),
			name_of(NAME_DEVICE, text(state, "bluetooth"), e->cli->chinese));
	if (e->tty)
		printf("%s\n",
			say(e, "Number (and a name: 2 cuff-2) and Enter enrols one, Ctrl-C ends.",
				"输入序号（可加名称，如 2 cuff-2）并回车开始登记，Ctrl-C 结束。"));
}

static void refresh_list(struct enrolling *e, const json_t *state)
{
	json_t *now = json_pack("{s:O?,s:O?}", "list", json_object_get(state, "list"), "bluetooth",
		json_object_get(state, "bluetooth"));
	char *is = json_dumps(now, JSON_COMPACT);
	if (is && (!e->shown || !streq(is, e->shown))) {
		if (e->tty)
			fputs("\033[H\033[2J", stdout);
		show_list(e, state);
		fflush(stdout);
		free(TAKE(e->shown));
		e->shown = TAKE(is);
	}
	free(is);
	json_decref(now);
}

static void show_phase(struct enrolling *e, const json_t *state)
{
	static const struct {
		const char *phase, *en, *zh;
	} steps[] = {{"seeking", "waits until it advertises", "等待设备广播"},
		{"pairing", "pairs", "正在配对"},
		{"trial",
			"waits for it to connect and to send a reading: take a measurement now; it is a "
			"test and is filed under nobody",
			"等待设备连接并发送读数：请现在测量一次；该读数仅作测试，不归入任何居民"},
		{"saving", "is being written down", "正在保存"}};
	const json_t *device = json_object_get(state, "device"),
		     *note = json_object_get(state, "note");
	const json_t *model = json_object_get(device, "model");
	if (note && !streq(text(note, "state"), e->note))
		printf("%s: %s: %s\n", text(device, "id"), in_language(e, note, "en", "zh"),
			in_language(e, note, "next_en", "next_zh"));
	snprintf(e->note, sizeof(e->note), "%s", text(note, "state"));
	if (streq(text(state, "phase"), e->phase))
		return;
	snprintf(e->phase, sizeof(e->phase), "%s", text(state, "phase"));
	for (size_t i = 0; i < ELEMENTS(steps); i++)
		if (streq(steps[i].phase, e->phase))
			printf("%s %s\n", text(device, "id"), say(e, steps[i].en, steps[i].zh));
	if (streq(e->phase, "seeking") && json_is_object(model))
		printf("  %s\n", in_language(e, model, "press_en", "press_zh"));
	fflush(stdout);
}

/* In people's words, or as a line of JSON whenever something changed. */
static void show(struct enrolling *e, const json_t *state)
{
	if (!e->cli->json) {
		if (!e->begun)
			refresh_list(e, state);
		else
			show_phase(e, state);
		return;
	}
	json_t *now = json_deep_copy(state);
	json_object_del(now, "seconds_left");
	char *is = json_dumps(now, JSON_COMPACT);
	json_decref(now);
	if (is && (!e->shown || !streq(is, e->shown))) {
		puts(is);
		fflush(stdout);
		free(TAKE(e->shown));
		e->shown = TAKE(is);
	}
	free(is);
}

/* questions */

static void question(struct enrolling *e, const char *what, const char *en, const char *zh)
{
	if (streq(e->asked, what))
		return;
	snprintf(e->asked, sizeof(e->asked), "%s", what);
	if (!e->cli->json)
		printf("%s ", say(e, en, zh));
	fflush(stdout);
}

static json_t *answer_pairing(struct enrolling *e, const json_t *ask, bool has_line)
{
	const char *kind = text(ask, "kind");
	char what[80], en[200], zh[200];
	snprintf(what, sizeof(what), "%s %s", kind, text(ask, "passkey"));
	if (streq(kind, "type_passkey")) {
		if (e->passkey)
			return json_pack("{s:s}", "passkey", TAKE(e->passkey));
		question(e, what, "The six digits that it shows:", "请输入设备显示的六位数字：");
		return has_line ? json_pack("{s:s}", "passkey", e->line) : NULL;
	}
	if (streq(kind, "show_passkey")) {
		snprintf(en, sizeof(en), "Type %s on the instrument.\n", text(ask, "passkey"));
		snprintf(zh, sizeof(zh), "请在设备上输入 %s。\n", text(ask, "passkey"));
		question(e, what, en, zh);
		return NULL;
	}
	if (e->yes)
		return json_pack("{s:b}", "same", 1);
	snprintf(en, sizeof(en), "Does the instrument show %s? (yes/no)", text(ask, "passkey"));
	snprintf(zh, sizeof(zh), "设备显示的是 %s 吗？（yes/no）", text(ask, "passkey"));
	question(e, what, en, zh);
	return has_line ? json_pack("{s:b}", "same",
				  streq(e->line, "yes") || streq(e->line, "y") ||
					  streq(e->line, "是"))
			: NULL;
}

/* "R-0001", "R-0001 1 R-0002 2", "station desk", "" */
static json_t *whose_of_line(char *line)
{
	json_t *args = json_object(), *list = json_array();
	char *save = NULL, *word = strtok_r(line, " ", &save);
	if (word && streq(word, "station"))
		json_object_set_new(args, "station", json_string(save));
	else
		for (; word; word = strtok_r(NULL, " ", &save)) {
			size_t n = json_array_size(list);
			json_t *last = n ? json_array_get(list, n - 1) : NULL;
			bool digits = strspn(word, "0123456789") == strlen(word);
			if (last && digits && !json_object_get(last, "slot"))
				json_object_set_new(last, "slot", json_integer(atoll(word)));
			else
				json_array_append_new(list, json_pack("{s:s}", "resident", word));
		}
	json_object_set_new(args, "residents", list);
	return args;
}

static json_t *whose_of_options(const struct enrolling *e)
{
	json_t *args = json_object(), *list = json_array();
	for (unsigned i = 0; i < e->n_of; i++) {
		json_t *r = json_pack("{s:s}", "resident", e->of[i].resident);
		if (e->of[i].slot >= 0)
			json_object_set_new(r, "slot", json_integer(e->of[i].slot));
		json_array_append_new(list, r);
	}
	json_object_set_new(args, "residents", list);
	if (e->station)
		json_object_set_new(args, "station", json_string(e->station));
	return args;
}

static void show_trial(const struct enrolling *e, const json_t *state)
{
	json_t *reading = json_object_get(state, "reading");
	if (e->cli->json || !reading)
		return;
	json_t *list = json_pack("{s:[O]}", "readings", reading);
	puts(say(e, "The test reading:", "测试读数："));
	show_readings(e->cli, list, true);
	json_decref(list);
}

static json_t *answer_whose(struct enrolling *e, const json_t *state, bool has_line)
{
	if ((e->n_of || e->station || e->yes) && !e->answered) {
		show_trial(e, state);
		e->answered = true;
		return whose_of_options(e);
	}
	if (!streq(e->asked, "whose"))
		show_trial(e, state);
	question(e, "whose",
		"Whose is it? A resident (R-0001), residents with their user slots (R-0001 1 R-0002 2), "
		"`station NAME`, or nothing for nobody yet:",
		"设备归谁？居民（R-0001）、居民及用户位（R-0001 1 R-0002 2）、station 站点名，或直接回车暂不归属：");
	return has_line ? whose_of_line(e->line) : NULL;
}

/* the course */

static json_t *begin_with(struct enrolling *e, const char *device)
{
	json_t *args = json_pack("{s:s,s:s*,s:s*,s:s*,s:b}", "device", device, "id", e->id,
		"driver", e->driver, "replace", e->replace, "no_reading", e->no_reading);
	json_t *state = order(e, "begin", args);
	e->begun = state; /* a slip: asked again */
	if (state)
		free(TAKE(e->shown));
	return state;
}

/* It is over: how. */
static int tell_end(const struct enrolling *e, const json_t *state)
{
	const json_t *last = json_object_get(state, "last"),
		     *result = json_object_get(last, "result");
	const char *error = in_language(e, state, "error", "error_zh");
	bool good = streq(text(result, "state"), "fine");
	if (e->cli->json)
		return !good;
	if (good)
		printf("%s %s\n", text(last, "id"),
			say(e, "is enrolled; from now on its readings count",
				"登记完成；此后的读数正式生效"));
	else
		fprintf(stderr, "vitalgate: %s: %s%s%s\n  %s\n", text(last, "id"),
			in_language(e, result, "en", "zh"), *error ? ": " : "", error,
			in_language(e, result, "next_en", "next_zh"));
	return !good;
}

/* What a person, an option or a script says to this state; NULL: nothing, as yet. */
static json_t *next_order(struct enrolling *e, const json_t *state, bool has_line)
{
	const char *phase = text(state, "phase");
	const char *error = in_language(e, state, "error", "error_zh");
	const json_t *ask = json_object_get(state, "ask");
	json_t *args = NULL;
	if (!e->begun && has_line && e->line[0]) {
		char *name = strchr(e->line, ' '); /* "2 cuff-2" */
		if (name)
			*name++ = 0;
		e->id = name && *name ? name : e->id;
		return begin_with(e, e->line);
	}
	if (ask && (args = answer_pairing(e, ask, has_line)))
		return order(e, "answer", args);
	if (!ask && !streq(phase, "whose"))
		e->asked[0] = 0;
	if (!streq(phase, "whose"))
		return NULL;
	if (*error && !streq(error, e->error)) {
		fprintf(stderr, "vitalgate: %s\n", error);
		e->asked[0] = 0;
	}
	snprintf(e->error, sizeof(e->error), "%s", error);
	args = answer_whose(e, state, has_line);
	return args ? order(e, "finish", args) : NULL;
}

static bool needs_answer(const struct enrolling *e, const json_t *state)
{
	const char *kind = text(json_object_get(state, "ask"), "kind");
	return streq(text(state, "phase"), "whose") || (*kind && !streq(kind, "show_passkey")) ||
	       (!e->begun && e->tty);
}

/* Is it over? Then *ret_status. */
static bool is_over(struct enrolling *e, const json_t *state, int64_t waited_ms, int *ret_status)
{
	const char *phase = text(state, "phase");
	if (e->begun && (streq(phase, "looking") || streq(phase, "closed"))) {
		*ret_status = tell_end(e, state);
		return true;
	}
	if (e->begun || (!streq(phase, "closed") && (e->tty || waited_ms < e->seconds * 1000)))
		return false;
	*ret_status = 0;
	return true;
}

/* The next state, after what there is to say to this one; NULL: it cannot go on, and that was said. */
static json_t *next_state(struct enrolling *e, const json_t *state, bool *has_line)
{
	json_t *next = next_order(e, state, *has_line);
	*has_line = false;
	if (next)
		return next;
	if (e->end_of_input && needs_answer(e, state)) {
		fprintf(stderr, "vitalgate: %s\n",
			say(e, "nobody answers: given up", "无人应答：已取消"));
		return NULL;
	}
	*has_line = read_line(e, LOOK_MS);
	return interrupted ? NULL : order(e, "look", NULL);
}

static int run(struct enrolling *e)
{
	int status = 1;
	bool has_line = false;
	json_t *state = e->device ? begin_with(e, e->device) : order(e, "look", NULL);
	for (int64_t waited_ms = 0; state && !interrupted; waited_ms += LOOK_MS) {
		show(e, state);
		if (is_over(e, state, waited_ms, &status))
			break;
		json_t *next = next_state(e, state, &has_line);
		json_decref(state);
		state = next;
	}
	if (interrupted)
		fprintf(stderr, "\nvitalgate: %s\n",
			say(e, "given up; nothing of it is left", "已取消，未留下任何内容"));
	json_decref(state);
	return interrupted ? 1 : status;
}

/* Ends the window, whatever became of it. While it is being saved that takes a moment. */
static void close_window(struct enrolling *e)
{
	e->cli->quiet = true;
	for (int i = 0; i < 20; i++) {
		json_t *reply = client_ask(e->cli, "enrol",
			json_pack("{s:s,s:I}", "order", "close", "window", e->window));
		bool saving = streq(text(json_object_get(reply, "error"), "code"), "saving");
		json_decref(reply);
		if (!saving)
			return;
		usleep(LOOK_MS * 1000);
	}
}

static int usage(const struct cli *cli, int status)
{
	fputs(cli->chinese
			? "用法：vitalgate enrol [选项] [地址|序号]\n"
			  "  不带参数：显示正在广播的设备及操作方法；输入序号开始登记\n"
			  "  --id 名称  --driver 驱动  --replace 名称   新设备的名称、驱动；或接替的设备\n"
			  "  --passkey 数字  --yes           配对码；比对数字一律确认、归属不再询问\n"
			  "  --resident 居民 [--slot N] ...  归属（可重复）；--station 站点\n"
			  "  --no-reading                    不等待测试读数\n"
			  "  --all  --seconds N              显示所有设备；非终端时显示多少秒\n"
			: "usage: vitalgate enrol [OPTIONS] [ADDRESS|NUMBER]\n"
			  "  without one: shows who advertises and what to press; its number enrols it\n"
			  "  --id NAME  --driver D  --replace NAME   its name and driver; or whom it replaces\n"
			  "  --passkey DIGITS  --yes           for the pairing; agree to a comparison, ask nothing\n"
			  "  --resident R [--slot N] ...       whose it is, also several; --station NAME\n"
			  "  --no-reading                      do not wait for a test reading\n"
			  "  --all  --seconds N                show strangers, too; how long, without a terminal\n",
		status ? stderr : stdout);
	return status;
}

/* 0; 1: asks for help; -1: wrong use. */
static int take_options(struct enrolling *e, int argc, char **argv)
{
	static const struct option options[] = {{"id", required_argument, NULL, 'i'},
		{"driver", required_argument, NULL, 'd'}, {"replace", required_argument, NULL, 'x'},
		{"passkey", required_argument, NULL, 'p'}, {"yes", no_argument, NULL, 'y'},
		{"resident", required_argument, NULL, 'r'}, {"slot", required_argument, NULL, 'S'},
		{"station", required_argument, NULL, 'w'}, {"no-reading", no_argument, NULL, 'N'},
		{"all", no_argument, NULL, 'a'}, {"seconds", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'}, {"lang", required_argument, NULL, 'l'},
		{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
	int c;
	optind = 0; /* GNU: anew */
	while ((c = getopt_long(argc, argv, "yajhr:c:", options, NULL)) >= 0)
		if (c == 'i')
			e->id = optarg;
		else if (c == 'd')
			e->driver = optarg;
		else if (c == 'x')
			e->replace = optarg;
		else if (c == 'p')
			e->passkey = optarg;
		else if (c == 'y')
			e->yes = true;
		else if (c == 'r' && e->n_of < RESIDENTS_MAX)
			e->of[e->n_of++].resident = optarg;
		else if (c == 'S' && e->n_of)
			e->of[e->n_of - 1].slot = atoll(optarg);
		else if (c == 'w')
			e->station = optarg;
		else if (c == 'N')
			e->no_reading = true;
		else if (c == 'a')
			e->everything = true;
		else if (c == 's')
			e->seconds = atoll(optarg);
		else if (c == 'j')
			e->cli->json = true;
		else if (c == 'l')
			e->cli->chinese = streq(optarg, "zh");
		else if (c == 'c')
			e->cli->config = optarg;
		else
			return c == 'h' ? 1 : -1;
	if (optind < argc)
		e->device = argv[optind++];
	return optind < argc ? -1 : 0;
}

int enrol_main(struct cli *cli, int argc, char **argv)
{
	const struct sigaction stop = {.sa_handler = on_signal};
	struct enrolling e = {.cli = cli, .seconds = LOOKS_ALONE_MS / 1000};
	for (unsigned i = 0; i < RESIDENTS_MAX; i++)
		e.of[i].slot = -1;
	int rc = take_options(&e, argc, argv);
	if (rc)
		return usage(cli, rc < 0 ? 2 : 0);
	e.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !cli->json;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	json_t *opened = order(&e, "open", NULL);
	if (!opened)
		return 1;
	e.window = json_integer_value(json_object_get(opened, "window"));
	json_decref(opened);
	int status = run(&e);
	close_window(&e);
	free(e.shown);
	return status;
}
