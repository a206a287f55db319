/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Above the grid: whose it is, what was measured and stated, what is wrong with it. Each text has its box. */
#include "sheet_parts.h"
#include "util.h"

#define TOP 9.5
#define SIZE 2.7
#define LEADING 4.2
/* left: person, time, device; middle: measurements; right: what was stated */
#define LEFT GRID_X
#define LEFT_WIDTH 92.0
#define MIDDLE 104.0
#define MIDDLE_WIDTH 56.0
#define RIGHT 164.0
#define RIGHT_WIDTH (GRID_X + GRID_WIDTH - RIGHT)
#define STATED_TOP 7.5
#define STATED_LINES 12 /* of the right column */
#define STATED_SIZE 2.6
#define STATED_LEADING 3.7
#define BOX_Y 36.4
#define BOX_HEIGHT 8.8
#define WARNINGS_Y 48.4

#define BLACK 0x000000
#define GREY 0x555555
#define RED 0xc00000

static void left(struct canvas *c, const struct sheet *sheet)
{
	char line[640];
	double y = TOP;
	sheet_patient(c, sheet->ecg, sheet->anonymous, line, sizeof(line));
	canvas_text(c, LEFT, y, LEFT_WIDTH, 4.2, true, line);
	sheet_body(c, sheet->ecg, sheet->anonymous, line, sizeof(line));
	canvas_text(c, LEFT, y += 6, LEFT_WIDTH, SIZE, false, line);
	sheet_time(c, sheet->ecg, line, sizeof(line));
	canvas_text(c, LEFT, y += LEADING, LEFT_WIDTH, SIZE, false, line);
	sheet_device(sheet->ecg, line, sizeof(line));
	canvas_text(c, LEFT, y += LEADING, LEFT_WIDTH, SIZE, false, line);
	sheet_filters(c, sheet->ecg, line, sizeof(line));
	double used = canvas_text(
		c, LEFT, y += LEADING, LEFT_WIDTH, SIZE, false, sheet_say(c, "filters ", "滤波 "));
	canvas_text(c, LEFT + used, y, LEFT_WIDTH - used, SIZE, false, line);
}

static void number(const json_t *o, const char *key, char *out, size_t size)
{
	double v;
	if (sheet_number(o, key, -1e6, 1e6, &v))
		snprintf(out, size, "%g", v);
	else
		snprintf(out, size, "-");
}

static void measurement(struct canvas *c, double y, const char *label, const char *value)
{
	canvas_colour(c, GREY);
	canvas_text(c, MIDDLE, y, 18, SIZE, false, label);
	canvas_colour(c, BLACK);
	canvas_text(c, MIDDLE + 19, y, MIDDLE_WIDTH - 19, SIZE, true, value);
}

static void middle(struct canvas *c, const json_t *ecg)
{
	static const struct {
		const char *key, *en, *zh, *unit;
	} rows[] = {{"hr", "HR", "心率", "/min"}, {"rr", "RR", "RR", "ms"}, {"p", "P", "P", "ms"},
		{"pr", "PR", "PR", "ms"}, {"qrs", "QRS", "QRS", "ms"}};
	const json_t *m = json_object_get(ecg, "measurements"), *axis = json_object_get(m, "axis");
	char value[128], a[3][24];
	double y = TOP;
	for (size_t i = 0; i < ELEMENTS(rows); i++, y += LEADING) {
		number(m, rows[i].key, a[0], sizeof(a[0]));
		snprintf(value, sizeof(value), "%s%s%s", a[0], streq(a[0], "-") ? "" : " ",
			streq(a[0], "-") ? "" : rows[i].unit);
		measurement(c, y, sheet_say(c, rows[i].en, rows[i].zh), value);
	}
	const char *formula = sheet_string(m, "qtc_formula");
	bool known = formula && (streq(formula, "bazett") || streq(formula, "hodges"));
	number(m, "qt", a[0], sizeof(a[0]));
	number(m, "qtc", a[1], sizeof(a[1]));
	snprintf(value, sizeof(value), "%s / %s ms%s%s%s", a[0], a[1], known ? " (" : "",
		!known			   ? ""
		: streq(formula, "bazett") ? "Bazett"
					   : "Hodges",
		known ? ")" : "");
	measurement(c, y, "QT / QTc", value);
	number(axis, "p", a[0], sizeof(a[0]));
	number(axis, "qrs", a[1], sizeof(a[1]));
	number(axis, "t", a[2], sizeof(a[2]));
	snprintf(value, sizeof(value), "%s / %s / %s °", a[0], a[1], a[2]);
	measurement(c, y + LEADING, sheet_say(c, "axes P/QRS/T", "电轴 P/QRS/T"), value);
}

/* what was stated: by the centre, then by the cart */

struct stated {
	struct canvas *c;
	unsigned line;	 /* of the right column, the next */
	unsigned hidden; /* statements for which there was no room */
};

static void state(struct stated *s, bool bold, const char *text)
{
	double y = STATED_TOP + s->line * STATED_LEADING;
	unsigned left_over = STATED_LINES - s->line;
	if (!left_over) {
		s->hidden++;
		return;
	}
	if (bold) {
		canvas_text(s->c, RIGHT, y, RIGHT_WIDTH, STATED_SIZE, true, text);
		s->line++;
	} else {
		s->line += canvas_paragraph(
			s->c, RIGHT, y, RIGHT_WIDTH, STATED_SIZE, STATED_LEADING, left_over, text);
	}
}

static void revision(struct stated *s, const json_t *report)
{
	static const char *const names[][3] = {{"preliminary", "preliminary", "初步"},
		{"final", "final", "正式"}, {"amended", "amended", "修订"},
		{"poor_tracing", "poor tracing, record again", "图形不佳，请重新采集"},
		{"critical", "critical", "危急值"}};
	const char *status = sheet_string(report, "status"), *by = sheet_string(report, "by"),
		   *text = sheet_string(report, "text"),
		   *critical = sheet_string(report, "critical");
	char title[160];
	if (!status)
		return;
	for (size_t i = 0; i < ELEMENTS(names); i++)
		if (streq(status, names[i][0])) {
			status = names[i][s->c->chinese ? 2 : 1];
			break;
		}
	snprintf(title, sizeof(title), "%s: %.64s%s%.64s",
		sheet_say(s->c, "Report of the ECG centre", "心电诊断中心报告"), status,
		by ? ", " : "", by ? by : "");
	state(s, true, title);
	if (critical) {
		canvas_colour(s->c, RED);
		state(s, true, critical);
		canvas_colour(s->c, BLACK);
	}
	if (text)
		state(s, false, text);
}

/* The latest critical value stands before the latest report: what was told by telephone is not undone by it. */
static void reported(struct stated *s, const json_t *report)
{
	const json_t *latest[2] = {NULL}, *r;
	size_t i;
	json_array_foreach(json_object_get(report, "revisions"), i, r)
	{
		const char *status = sheet_string(r, "status");
		latest[!status || !streq(status, "critical")] = r;
	}
	for (i = 0; i < ELEMENTS(latest); i++)
		revision(s, latest[i]);
}

static void cart_title(const struct canvas *c, const json_t *interpretation, char *out, size_t size)
{
	const char *status = sheet_string(interpretation, "status"),
		   *at = sheet_string(interpretation, "at");
	const char *text = sheet_say(c, "Statement of the cart, not confirmed by a physician",
		"心电图机自动分析，未经医生确认");
	if (status && streq(status, "confirmed"))
		text = sheet_say(c, "Confirmed by a physician, as the file says",
			"已由医生确认（据文件所载）");
	else if (status && streq(status, "overread"))
		text = sheet_say(
			c, "Over-read by a physician, not confirmed", "医生已审阅，未确认");
	snprintf(out, size, "%s%s%.40s", text, at ? "  " : "", at ? at : "");
	char *t = at ? strrchr(out, 'T') : NULL;
	if (t && t > out && t[1] >= '0' && t[1] <= '9')
		*t = ' ';
}

static void right(struct canvas *c, const json_t *ecg)
{
	const json_t *in = json_object_get(ecg, "interpretation"), *line;
	struct stated s = {.c = c};
	char text[256];
	size_t i;
	reported(&s, json_object_get(json_object_get(ecg, "study"), "report"));
	if (!json_is_object(in)) {
		canvas_colour(c, GREY);
		state(&s, false,
			sheet_say(c, "The file states no interpretation.", "文件中没有分析结论。"));
		canvas_colour(c, BLACK);
		return;
	}
	cart_title(c, in, text, sizeof(text));
	state(&s, true, text);
	json_array_foreach(json_object_get(in, "lines"), i, line)
	{
		const char *t = json_string_value(line);
		if (t && *t)
			state(&s, false, t);
	}
	json_array_foreach(json_object_get(in, "statements"), i, line)
	{
		const char *t = sheet_string(line, "text");
		if (t)
			state(&s, false, t);
	}
	if (s.hidden) {
		snprintf(text, sizeof(text),
			sheet_say(c, "… and %u more that have no room", "……另有 %u 条，此处未列出"),
			s.hidden);
		canvas_text(c, RIGHT, STATED_TOP + STATED_LINES * STATED_LEADING, RIGHT_WIDTH,
			STATED_SIZE, true, text);
	}
}

/* The box: why this sheet is no basis of a diagnosis. */

static bool has_flag(const json_t *ecg, const char *flag)
{
	size_t i;
	const json_t *lead;
	json_array_foreach(json_object_get(ecg, "leads"), i,
		lead) if (json_is_true(json_object_get(lead, flag))) return true;
	return false;
}

static void box(struct canvas *c, const json_t *ecg)
{
	const struct {
		bool holds;
		const char *en, *zh;
	} reasons[] = {
		{has_flag(ecg, "derived"), "* computed from I and II", "* 由 I、II 导联计算得出"},
		{has_flag(ecg, "truncated"), "leads cut off", "导联数据被截断"},
		{sheet_unsupported(ecg), "waveform not supported", "波形不受支持"}};
	const double x = LEFT, y = BOX_Y, width = MIDDLE + MIDDLE_WIDTH - LEFT;
	char why[256] = "";
	for (size_t i = 0; i < ELEMENTS(reasons); i++) {
		size_t at = strlen(why);
		if (reasons[i].holds)
			snprintf(why + at, sizeof(why) - at, "%s%s",
				at ? sheet_say(c, "; ", "；") : "",
				sheet_say(c, reasons[i].en, reasons[i].zh));
	}
	if (!why[0])
		return;
	canvas_colour(c, RED);
	cairo_rectangle(c->cr, x, y, width, BOX_HEIGHT);
	cairo_set_line_width(c->cr, 0.6);
	cairo_stroke(c->cr);
	double used = canvas_text(
		c, x + 2.5, y + 6, width - 5, 4.6, true, "NOT FOR DIAGNOSIS / 不可用于诊断");
	canvas_paragraph(c, x + used + 6, y + 3.7, width - used - 8, 2.5, 3.4, 2, why);
	canvas_colour(c, BLACK);
}

static void warnings(struct canvas *c, const json_t *ecg)
{
	char line[1024] = "", text[320];
	size_t i, at = 0;
	const json_t *w;
	json_array_foreach(json_object_get(ecg, "warnings"), i, w)
	{
		const char *t = json_string_value(w);
		if (!t || at + 1 >= sizeof(line))
			continue;
		sheet_warning(c, t, text, sizeof(text));
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s",
			at ? sheet_say(c, "; ", "；") : sheet_say(c, "Warnings: ", "警告："), text);
	}
	canvas_colour(c, RED);
	canvas_paragraph(c, LEFT, WARNINGS_Y, MIDDLE + MIDDLE_WIDTH - LEFT, 2.4, 3, 2, line);
	canvas_colour(c, BLACK);
}

void sheet_head(struct canvas *c, const struct sheet *sheet)
{
	canvas_colour(c, BLACK);
	left(c, sheet);
	middle(c, sheet->ecg);
	right(c, sheet->ecg);
	box(c, sheet->ecg);
	warnings(c, sheet->ecg);
}
