/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies as text for people, in Chinese or English. */
#include "alert_say.h"
#include "cli.h"
#include "names.h"
#include "util.h"

#include <time.h>
#include <wchar.h>

#define LINE 4096	  /* of values, or of flags */
#define RESULT_COLUMNS 15 /* "out of sequence" */

const char *show_text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));
	return t ? t : "-";
}

void show_who(const struct cli *cli, const json_t *of)
{
	const char *resident = json_string_value(json_object_get(of, "resident"));
	const char *label = json_string_value(json_object_get(of, "label"));
	fputs(resident ? resident : cli->chinese ? "无人" : "nobody", stdout);
	if (resident && label)
		printf(cli->chinese ? "（%s）" : " (%s)", label);
}

static const char *say(const struct cli *cli, const char *en, const char *zh)
{
	return cli->chinese ? zh : en;
}

/* A member of a reply by its name; "-" when it has none. */
static const char *word(const struct cli *cli, enum name list, const json_t *o, const char *key)
{
	return name_of(list, show_text(o, key), cli->chinese);
}

void show_cell(const char *t, int width)
{
	mbstate_t state = {0};
	int used = 0;
	for (const char *p = t; *p;) {
		wchar_t c;
		size_t n = mbrtowc(&c, p, strlen(p), &state);
		if (n == 0 || n > 4)
			break;
		int w = wcwidth(c);
		used += w > 0 ? w : 0;
		p += n;
	}
	fputs(t, stdout);
	for (; used < width; used++)
		putchar(' ');
	putchar(' ');
}

const char *show_time(const char *utc, char *out, size_t size)
{
	struct tm tm = {0};
	if (!strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm))
		return utc;
	time_t t = timegm(&tm);
	localtime_r(&t, &tm);
	strftime(out, size, "%m-%d %H:%M:%S", &tm);
	return out;
}

void show_number(const json_t *v, char *out, size_t size)
{
	const char *comparator = json_string_value(json_object_get(v, "comparator"));
	const json_t *n = json_object_get(v, "value");
	if (json_is_integer(n))
		snprintf(out, size, "%s%lld", comparator ? comparator : "",
			(long long)json_integer_value(n));
	else
		snprintf(out, size, "%s%.4g", comparator ? comparator : "", json_number_value(n));
}

void show_amount(const struct cli *cli, const json_t *v, char *out, size_t size)
{
	char n[40];
	const char *unit = name_unit(cli, json_string_value(json_object_get(v, "unit")));
	show_number(v, n, sizeof(n));
	snprintf(out, size, "%s%s%s", n, *unit && !streq(unit, "%") ? " " : "", unit);
}

/* "190/115 mmHg  88 /min  Body temperature 36.6 °C": the values of a reading in one line. A pressure and its pulse are known
 * by their looks. */
static void values_line(const struct cli *cli, const json_t *values, char *out, size_t size)
{
	const char *kind;
	json_t *v;
	char n[64], amount[96];
	size_t at = 0;
	json_t *sys = json_object_get(values, "bp.sbp"), *dia = json_object_get(values, "bp.dbp");
	bool pressure = sys && dia;
	out[0] = 0;
	json_object_foreach((json_t *)values, kind, v)
	{
		if (pressure && (streq(kind, "bp.dbp") || streq(kind, "bp.map")))
			continue;
		show_amount(cli, pressure && v == sys ? dia : v, amount, sizeof(amount));
		show_number(v, n, sizeof(n));
		bool known = pressure && (v == sys || streq(kind, "bp.pulse"));
		at += (size_t)snprintf(out + at, size - at, "%s%s%s%s%s%s", at ? "  " : "",
			known ? "" : name_kind(cli, kind), known ? "" : " ",
			pressure && v == sys ? n : "", pressure && v == sys ? "/" : "", amount);
		at = MIN(at, size - 1);
	}
}

const char *show_whose(const struct cli *cli, const json_t *o, char *out, size_t size)
{
	const char *place = json_string_value(json_object_get(o, "place"));
	if (!place)
		return show_text(o, "resident");
	snprintf(out, size, "[%s]", alert_say(SAY_PLACE, place, cli->chinese));
	return out;
}

static void flags_line(const struct cli *cli, const json_t *list, char *out, size_t size)
{
	size_t i, at = 0;
	const json_t *v;
	out[0] = 0;
	json_array_foreach(list, i, v)
	{
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? say(cli, ", ", "、") : "",
			alert_say(SAY_LABEL, json_string_value(v), cli->chinese));
		at = MIN(at, size - 1);
	}
}

void show_readings(const struct cli *cli, const json_t *result, bool head)
{
	size_t i;
	const json_t *r;
	char line[LINE], flags[LINE], when[32], who[48];
	if (head) {
		show_cell(say(cli, "id", "编号"), 9);
		show_cell(say(cli, "taken", "测量时间"), 15);
		show_cell(say(cli, "trust", "时间可信度"), 16);
		show_cell(say(cli, "resident", "居民/场所"), 12);
		show_cell(say(cli, "device", "设备"), 12);
		show_cell(say(cli, "values", "数值"), 34);
		puts(say(cli, "evidence, flags", "归属依据、标记"));
	}
	json_array_foreach(json_object_get(result, "readings"), i, r)
	{
		const json_t *time = json_object_get(r, "time"),
			     *identity = json_object_get(r, "identity");
		values_line(cli, json_object_get(r, "values"), line, sizeof(line));
		flags_line(cli, json_object_get(r, "flags"), flags, sizeof(flags));
		printf("%.8s  ", show_text(r, "id"));
		show_cell(show_time(show_text(time, "taken"), when, sizeof(when)), 15);
		show_cell(word(cli, NAME_TRUST, time, "trust"), 16);
		show_cell(show_whose(cli, r, who, sizeof(who)), 12);
		show_cell(show_text(json_object_get(r, "device"), "id"), 12);
		show_cell(line, 34);
		printf("%s%s%s\n", word(cli, NAME_EVIDENCE, identity, "evidence"),
			flags[0] ? say(cli, "; ", "；") : "", flags);
	}
}

/* What is wrong with an instrument, and what a person does about it. */
static void show_conditions(const struct cli *cli, const json_t *conditions)
{
	const char *id;
	json_t *c;
	json_object_foreach((json_t *)conditions, id, c)
		printf(say(cli, "%s: %s\n  %s\n", "%s：%s\n  %s\n"), id,
			show_text(c, cli->chinese ? "zh" : "en"),
			show_text(c, cli->chinese ? "next_zh" : "next_en"));
}

void show_devices(const struct cli *cli, const json_t *result)
{
	static const char *const results[] = {
		"reading", "nothing", "malformed", "out_of_sequence", "unsupported", "implausible"};
	const json_t *live = json_object_get(result, "live");
	size_t i;
	const json_t *d;
	char when[32];
	show_cell(say(cli, "device", "设备"), 12);
	show_cell(say(cli, "driver", "驱动"), 15);
	show_cell(say(cli, "state", "状态"), 16);
	show_cell(say(cli, "last seen", "最近数据"), 15);
	show_cell(say(cli, "ack", "确认方式"), 10);
	show_cell(say(cli, "bound to", "绑定居民"), 16);
	for (size_t k = 0; k < ELEMENTS(results); k++)
		show_cell(name_of(NAME_EVENT, results[k], cli->chinese), RESULT_COLUMNS);
	putchar('\n');
	json_array_foreach(json_object_get(result, "devices"), i, d)
	{
		const json_t *state = json_object_get(live, show_text(d, "id"));
		const json_t *n = json_object_get(d, "results");
		show_cell(show_text(d, "id"), 12);
		show_cell(show_text(d, "driver"), 15);
		show_cell(state ? word(cli, NAME_DEVICE, state, "state")
				: say(cli, "not configured", "未配置"),
			16);
		show_cell(show_time(show_text(d, "last_seen"), when, sizeof(when)), 15);
		show_cell(word(cli, NAME_ACK, d, "ack_mode"), 10);
		show_cell(show_text(d, "bound_to"), 16);
		for (size_t k = 0; k < ELEMENTS(results); k++)
			printf("%-*lld ", RESULT_COLUMNS,
				(long long)json_integer_value(json_object_get(n, results[k])));
		putchar('\n');
		if (json_object_get(d, "handover_to"))
			printf(say(cli,
				       "  goes to %s as soon as it has told its memory: let it connect\n",
				       "  内存读完后转交 %s：请让设备连接网关\n"),
				show_text(d, "handover_to"));
	}
	show_conditions(cli, json_object_get(result, "conditions"));
}

void show_status(const struct cli *cli, const json_t *result)
{
	const json_t *counts = json_object_get(result, "counts");
	const json_t *store = json_object_get(result, "store"), *sink;
	const char *name;
	static const struct {
		const char *key, *en, *zh;
	} rows[] = {{"reading_rows", "readings stored (rows)", "已存读数（行）"},
		{"unassigned", "unassigned readings", "未归属读数"},
		{"alerts_active", "active alerts", "未确认警报"},
		{"repeats_pending", "measurements to repeat", "待复测读数"},
		{"residents", "residents", "居民"},
		{"outbox_pending", "waiting for the platform", "待发送"},
		{"outbox_sent", "sent, not yet receipted", "已发送待回执"},
		{"outbox_rejected", "refused by the platform", "被平台拒收"}};
	printf("%s/%s/%s  %s\n", show_text(result, "org"), show_text(result, "site"),
		show_text(result, "gateway"), show_text(result, "now"));
	if (!json_is_true(json_object_get(result, "clock_plausible")))
		puts(say(cli,
			"CLOCK NOT SET: readings are delivered labelled; set the time or reach NTP",
			"网关时钟未设置：数据会带标记上传；请校时或连接NTP"));
	show_cell(say(cli, "store", "存储"), 28);
	puts(word(cli, NAME_SINK, store, "state"));
	json_object_foreach(json_object_get(result, "uplink"), name, sink)
	{
		show_cell(name, 28);
		printf("%s %s\n", word(cli, NAME_SINK, sink, "state"),
			json_object_get(sink, "reason") ? show_text(sink, "reason") : "");
	}
	const json_t *bluetooth = json_object_get(result, "bluetooth");
	if (bluetooth) {
		show_cell(say(cli, "Bluetooth", "蓝牙"), 28);
		printf("%s %s\n", word(cli, NAME_DEVICE, bluetooth, "state"),
			json_object_get(bluetooth, "next") ? show_text(bluetooth, "next") : "");
	}
	for (size_t i = 0; i < ELEMENTS(rows); i++) {
		show_cell(say(cli, rows[i].en, rows[i].zh), 28);
		printf("%lld\n",
			(long long)json_integer_value(json_object_get(counts, rows[i].key)));
	}
	size_t i;
	const json_t *r;
	json_array_foreach(json_object_get(result, "rejected"), i, r)
		printf("  %.8s %s r%lld: %s (%s `vitalgate resend %.8s`)\n", show_text(r, "id"),
			word(cli, NAME_OBJECT, r, "object"),
			(long long)json_integer_value(json_object_get(r, "revision")),
			show_text(r, "reason"), say(cli, "after mending it:", "修正后执行"),
			show_text(r, "id"));
}

void show_events(const struct cli *cli, const json_t *result)
{
	size_t i;
	const json_t *e;
	char when[32];
	json_array_foreach(json_object_get(result, "events"), i, e)
	{
		show_cell(show_time(show_text(e, "at"), when, sizeof(when)), 15);
		show_cell(show_text(e, "device"), 12);
		show_cell(word(cli, NAME_EVENT, e, "type"), 28);
		puts(show_text(e, "detail"));
	}
}

/* An instant in UTC is shown as everywhere; the clock of a cart as the cart says it. */
static const char *study_time(const json_t *study, char *out, size_t size)
{
	const json_t *time = json_object_get(study, "time");
	const char *when =
		json_is_object(time) ? show_text(time, "taken") : show_text(study, "acquired");
	if (strchr(when, 'Z'))
		return show_time(when, out, size);
	snprintf(out, size, "%s", strlen(when) >= 19 ? when + 5 : when);
	if (strlen(out) >= 14 && out[5] == 'T') {
		out[5] = ' ';
		out[14] = 0;
	}
	return out;
}

static void study_rows(const struct cli *cli, const json_t *studies, bool open)
{
	size_t i;
	const json_t *s;
	char when[32];
	json_array_foreach(studies, i, s)
	{
		const json_t *device = json_object_get(s, "device");
		printf("%.8s  ", show_text(s, "id"));
		show_cell(study_time(s, when, sizeof(when)), 15);
		show_cell(show_text(s, "resident"), 12);
		show_cell(json_is_object(device) ? show_text(device, "id") : show_text(s, "device"),
			12);
		if (open) {
			show_cell(show_time(show_text(s, "since"), when, sizeof(when)), 15);
			show_cell(show_time(show_text(s, "due"), when, sizeof(when)), 15);
			puts(word(cli, NAME_STUDY, s, "state"));
		} else {
			const json_t *report = json_object_get(s, "report");
			show_cell(word(cli, NAME_STUDY_STATUS, s, "status"), 12);
			puts(word(cli, NAME_STUDY, report, "state"));
		}
	}
}

static void study_head(const struct cli *cli)
{
	show_cell(say(cli, "id", "编号"), 9);
	show_cell(say(cli, "recorded", "采集时间"), 15);
	show_cell(say(cli, "resident", "居民"), 12);
	show_cell(say(cli, "device", "设备"), 12);
}

void show_studies(const struct cli *cli, const json_t *result)
{
	const json_t *studies = json_object_get(result, "studies");
	if (!json_array_size(studies)) {
		puts(say(cli, "no ECG was recorded yet", "尚无心电检查"));
		return;
	}
	study_head(cli);
	show_cell(say(cli, "status", "状态"), 12);
	puts(say(cli, "report", "报告"));
	study_rows(cli, studies, false);
}

void show_open_studies(const struct cli *cli, const json_t *result)
{
	const json_t *studies = json_object_get(result, "studies");
	if (!json_array_size(studies)) {
		puts(say(cli, "nothing is open: every ECG was sent and reported",
			"没有待处理的心电检查：均已发送并收到报告"));
		return;
	}
	study_head(cli);
	show_cell(say(cli, "since", "开始于"), 15);
	show_cell(say(cli, "due", "截止"), 15);
	puts(say(cli, "state", "状态"));
	study_rows(cli, studies, true);
}
