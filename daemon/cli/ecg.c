/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate ecg: an ECG of a file or of the gateway as JSON and as the conventional sheet; what waits for its
 * report; what the ECG centre says of one.
 */
#include "ecg_parts.h"
#include "sheet.h"
#include "util.h"

#include <errno.h>
#include <getopt.h>
#include <sys/stat.h>

#define WORDS_MAX 3
#define SAMPLES_MAX 1000000 /* of one lead, as the decoder has them */

struct order {
	struct cli *cli;
	const char *words[WORDS_MAX];
	int n;
	const char *samples, *svg, *png, *text, *critical;
	long long seconds, limit;
	bool open, anonymous;
};

static int usage(const struct cli *cli, int status)
{
	fputs(cli->chinese
			? "用法：vitalgate ecg [选项] [文件|编号]\n"
			  "  文件（- 为标准输入）：解码为JSON；编号：网关中的检查；都不给：最近的检查\n"
			  "  --samples N|all                 附带每导联的采样点\n"
			  "  --svg 文件  --png 文件          绘制标准心电图纸（A4，25 mm/s，10 mm/mV）\n"
			  "  --anonymous                     不含患者身份信息\n"
			  "  --timeout 秒                    解码时限，默认 20\n"
			  "  --limit N                       最近多少次检查\n"
			  "vitalgate ecg --open              未发送、待报告、待最终报告、超时、需复查、损坏或未复述的检查\n"
			  "vitalgate ecg report 编号 状态 [--text 内容] [--critical 危急值] [--by 医生]\n"
			  "  状态：preliminary final amended poor_tracing critical\n"
			  "vitalgate ecg readback 编号 内容 --by 医生   复述危急值\n"
			  "vitalgate ecg decode 编号         重新解码\n"
			: "usage: vitalgate ecg [OPTIONS] [FILE|ID]\n"
			  "  FILE (-: standard input) decoded to JSON; ID: a study of the gateway; none: the latest\n"
			  "  --samples N|all                 with the samples of each lead\n"
			  "  --svg FILE  --png FILE          draw the sheet (A4, 25 mm/s, 10 mm/mV)\n"
			  "  --anonymous                     without what names the person\n"
			  "  --timeout SECONDS               for the decoder, 20 if not given\n"
			  "  --limit N                       how many of the latest\n"
			  "vitalgate ecg --open              not sent, waiting, preliminary, overdue, to repeat, damaged, to read back\n"
			  "vitalgate ecg report ID STATUS [--text T] [--critical T] [--by D]\n"
			  "  STATUS: preliminary final amended poor_tracing critical\n"
			  "vitalgate ecg readback ID TEXT --by D   repeat a critical value\n"
			  "vitalgate ecg decode ID           decode it anew\n",
		status ? stderr : stdout);
	return status;
}

/* as text */

/* JSON one level deeper. What a terminal could take for a command is escaped as JSON may. */
static void print_nested(const json_t *value, size_t flags)
{
	_cleanup_(freep) char *text =
		json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(12) | flags);
	for (const char *p = text ? text : "null"; *p; p++)
		if (*p == '\n')
			fputs("\n ", stdout);
		else if (*p == 0x7f)
			fputs("\\u007f", stdout);
		else if (*p == '\xc2' && (p[1] & 0xe0) == 0x80)
			printf("\\u%04x", (uint8_t) * ++p);
		else
			putchar(*p);
}

static void print_key(const char *key, const char *before)
{
	json_t *k = json_string(key);
	fputs(before, stdout);
	print_nested(k, 0);
	fputs(": ", stdout);
	json_decref(k);
}

/* Readable, each lead in one line and the leads last: there may be thousands of samples. */
static void print_ecg(const json_t *ecg)
{
	const char *key, *before = "{\n ";
	json_t *value;
	const json_t *leads = json_object_get(ecg, "leads"), *lead;
	size_t i;
	json_object_foreach((json_t *)ecg, key, value)
	{
		if (value == leads && json_is_array(leads))
			continue;
		print_key(key, before);
		print_nested(value, JSON_INDENT(1));
		before = ",\n ";
	}
	if (json_is_array(leads)) {
		print_key("leads", before);
		json_array_foreach(leads, i, lead)
		{
			fputs(i ? ",\n  " : "[\n  ", stdout);
			print_nested(lead, 0);
		}
		fputs(json_array_size(leads) ? "\n ]" : "[]", stdout);
		before = "";
	}
	puts(*before == '{' ? "{}" : "\n}");
}

/* one ECG */

/* What the drawing needed and nobody asked to see. */
static void keep_samples(json_t *ecg, const char *wanted)
{
	size_t i, n = !wanted ? 0 : streq(wanted, "all") ? SAMPLES_MAX : (size_t)atoll(wanted);
	json_t *lead;
	json_array_foreach(json_object_get(ecg, "leads"), i, lead)
	{
		json_t *samples = json_object_get(lead, "samples");
		while (json_array_size(samples) > n)
			json_array_remove(samples, json_array_size(samples) - 1);
		if (!wanted)
			json_object_del(lead, "samples");
	}
}

static void make_anonymous(json_t *ecg)
{
	static const char *const naming[] = {"id", "last_name", "first_name", "birth_date"};
	json_t *patient = json_object_get(ecg, "patient");
	for (size_t i = 0; i < ELEMENTS(naming); i++)
		json_object_del(patient, naming[i]);
	json_object_del(json_object_get(ecg, "study"), "resident");
	json_object_del(ecg, "resident");
}

static int draw(const struct order *o, const json_t *ecg, const char *sha256)
{
	const struct sheet sheet = {.ecg = ecg,
		.sha256 = sha256,
		.chinese = o->cli->chinese,
		.anonymous = o->anonymous};
	const char *rejected = json_string_value(json_object_get(ecg, "rejected"));
	int status = 0;
	if (rejected && (o->svg || o->png)) {
		fprintf(stderr, "vitalgate: %s: %s\n", rejected,
			o->cli->chinese ? "文件被拒绝，没有可绘制的内容"
					: "the file was rejected: there is nothing to draw");
		return 1;
	}
	if (o->svg && sheet_write(&sheet, SHEET_SVG, o->svg) < 0)
		status = 1;
	if (o->png && sheet_write(&sheet, SHEET_PNG, o->png) < 0)
		status = 1;
	return status;
}

/* Decodes, adds `study` (borrowed, or NULL), draws and prints. */
static int show_original(const struct order *o, const struct original *original, json_t *study)
{
	bool drawing = o->svg || o->png;
	json_t *ecg = decoder_ask(o->cli, original, drawing ? "all" : o->samples, o->seconds);
	if (!ecg)
		return 1;
	json_object_set_new(ecg, "file_sha256", json_string(original->sha256));
	if (study)
		json_object_set(ecg, "study", study);
	if (o->anonymous)
		make_anonymous(ecg);
	int status = draw(o, ecg, original->sha256);
	if (drawing)
		keep_samples(ecg, o->samples);
	print_ecg(ecg);
	json_decref(ecg);
	return status;
}

static int show_file(const struct order *o)
{
	struct original original;
	if (original_read(o->cli, o->words[0], &original) < 0)
		return 1;
	int status = show_original(o, &original, NULL);
	original_free(&original);
	return status;
}

/* Who and when, as the gateway knows it, beside what the decoder says. */
static json_t *study_part(const json_t *result)
{
	static const char *const members[] = {
		"id", "revision", "status", "resident", "time", "report"};
	json_t *part = json_object();
	for (size_t i = 0; i < ELEMENTS(members); i++) {
		json_t *m = json_object_get(result, members[i]);
		if (m)
			json_object_set(part, members[i], m);
	}
	return part;
}

static int show_study(const struct order *o)
{
	struct original original = {0};
	json_t *reply = client_ask(o->cli, "ecg", json_pack("{s:s}", "study", o->words[0]));
	json_t *result = client_result(o->cli, reply);
	int status = result ? 0 : 1;
	if (result && (o->samples || o->svg || o->png)) {
		json_t *study = study_part(result);
		const char *sha256 = json_string_value(
			json_object_get(json_object_get(result, "original"), "sha256"));
		status = original_fetch(o->cli, o->words[0], sha256, &original) < 0 ||
			 show_original(o, &original, study);
		json_decref(study);
		original_free(&original);
	} else if (result) {
		if (o->anonymous)
			make_anonymous(result);
		print_ecg(result);
	}
	json_decref(reply);
	return status;
}

/* commands */

static int answer(const struct order *o, const char *command, json_t *args,
	void (*show)(const struct cli *, const json_t *))
{
	if (!args) {
		fprintf(stderr, "vitalgate: %s\n",
			o->cli->chinese ? "文字不是UTF-8；请使用UTF-8终端"
					: "a text is not UTF-8; use a terminal that is");
		return 1;
	}
	json_t *reply = client_ask(o->cli, command, args);
	json_t *result = client_result(o->cli, reply);
	if (o->cli->json && reply)
		print_ecg(result ? result : reply);
	else if (result && show)
		show(o->cli, result);
	else if (result)
		puts(o->cli->chinese ? "完成" : "done");
	int status = result ? 0 : 1;
	json_decref(reply);
	return status;
}

static int give_report(const struct order *o)
{
	static const char *const statuses[] = {
		"preliminary", "final", "amended", "poor_tracing", "critical"};
	for (size_t i = 0; o->n == 3 && i < ELEMENTS(statuses); i++)
		if (streq(o->words[2], statuses[i]))
			return answer(o, "ecg_report",
				json_pack("{s:s,s:s,s:s*,s:s*}", "study", o->words[1], "status",
					o->words[2], "text", o->text, "critical", o->critical),
				NULL);
	return usage(o->cli, 2);
}

static int read_back(const struct order *o)
{
	if (o->n != 3 || !o->cli->by)
		return usage(o->cli, 2);
	return answer(o, "ecg_readback",
		json_pack("{s:s,s:s}", "study", o->words[1], "text", o->words[2]), NULL);
}

static int decode_anew(const struct order *o)
{
	if (o->n != 2)
		return usage(o->cli, 2);
	return answer(o, "ecg_decode", json_pack("{s:s}", "study", o->words[1]), NULL);
}

static bool is_file(const char *word)
{
	struct stat st;
	return streq(word, "-") || strpbrk(word, "/.") || stat(word, &st) == 0;
}

static bool is_id(const char *word)
{
	size_t n = strlen(word);
	return n >= 4 && n <= 32 && strspn(word, "0123456789abcdefABCDEF") == n;
}

static bool is_count(const char *text)
{
	size_t n = strlen(text);
	return n >= 1 && n <= 7 && strspn(text, "0123456789") == n && atoll(text) >= 1 &&
	       atoll(text) <= SAMPLES_MAX;
}

static int run(const struct order *o)
{
	if (o->n && streq(o->words[0], "report"))
		return give_report(o);
	if (o->n && streq(o->words[0], "readback"))
		return read_back(o);
	if (o->n && streq(o->words[0], "decode"))
		return decode_anew(o);
	if (o->text || o->critical || o->cli->by || o->n > 1 || (o->open && o->n))
		return usage(o->cli, 2);
	if (o->open)
		return answer(o, "ecg_open", json_object(), show_open_studies);
	if (!o->n)
		return answer(o, "ecg_list", json_pack("{s:I}", "limit", (json_int_t)o->limit),
			show_studies);
	if (is_file(o->words[0]))
		return show_file(o);
	if (is_id(o->words[0]))
		return show_study(o);
	fprintf(stderr, "vitalgate: %s: %s\n", o->words[0],
		o->cli->chinese ? "既不是文件，也不是检查编号（4 至 32 位十六进制）"
				: "is neither a file nor the id of a study (4 to 32 hex digits)");
	return 2;
}

/* 0; 1: asks for help; -1: wrong use. */
static int take_options(struct order *o, int argc, char **argv)
{
	static const struct option options[] = {{"samples", required_argument, NULL, 'n'},
		{"svg", required_argument, NULL, 'v'}, {"png", required_argument, NULL, 'p'},
		{"anonymous", no_argument, NULL, 'a'}, {"open", no_argument, NULL, 'o'},
		{"text", required_argument, NULL, 't'}, {"critical", required_argument, NULL, 'k'},
		{"by", required_argument, NULL, 'b'}, {"timeout", required_argument, NULL, 'w'},
		{"limit", required_argument, NULL, 'm'}, {"json", no_argument, NULL, 'j'},
		{"lang", required_argument, NULL, 'l'}, {"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'}, {"help", no_argument, NULL, 'h'}, {0}};
	int c;
	optind = 0; /* GNU: anew */
	while ((c = getopt_long(argc, argv, "jhc:", options, NULL)) >= 0)
		if (c == 'n' && (is_count(optarg) || streq(optarg, "all")))
			o->samples = optarg;
		else if (c == 'v')
			o->svg = optarg;
		else if (c == 'p')
			o->png = optarg;
		else if (c == 'a')
			o->anonymous = true;
		else if (c == 'o')
			o->open = true;
		else if (c == 't')
			o->text = optarg;
		else if (c == 'k')
			o->critical = optarg;
		else if (c == 'b')
			o->cli->by = optarg;
		else if (c == 'w' && is_count(optarg) && atoll(optarg) <= DECODE_S_MAX)
			o->seconds = atoll(optarg);
		else if (c == 'm' && is_count(optarg))
			o->limit = atoll(optarg);
		else if (c == 'j')
			o->cli->json = true;
		else if (c == 'l')
			o->cli->chinese = streq(optarg, "zh");
		else if (c == 'c')
			o->cli->config = optarg;
		else if (c == 's')
			o->cli->socket = optarg;
		else
			return c == 'h' ? 1 : -1;
	while (optind < argc && o->n < WORDS_MAX)
		o->words[o->n++] = argv[optind++];
	return optind < argc ? -1 : 0;
}

int ecg_main(struct cli *cli, int argc, char **argv)
{
	struct order o = {.cli = cli, .seconds = DECODE_S, .limit = 20};
	int rc = take_options(&o, argc, argv);
	return rc ? usage(cli, rc < 0 ? 2 : 0) : run(&o);
}
