/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The page: grid, rows of leads, foot. Twelve leads stand in 3 rows of 4 columns that follow each other in time,
 * with a rhythm strip below; any other set has a row for each lead.
 */
#include "sheet_parts.h"
#include "util.h"

#include <math.h>

#define LEADS_MAX 64
#define ROWS_MAX 12
#define PAGE_S 10.0
#define COLUMN_S 2.5
#define START_X (GRID_X + 25) /* of the first sample */
#define PULSE_X (GRID_X + 15)
#define PULSE_WIDTH (0.2 * MM_PER_S)
#define FOOT_Y (GRID_Y + GRID_HEIGHT + 4.5)
#define FOOT_SIZE 2.7
#define NAME_SIZE 3.4
#define LONG_NAME 5 /* bytes, beyond which it is drawn smaller */
#define LONG_NAME_SIZE 2.4
/* Some of the twelve may be missing; with fewer than these, a row for each is better. */
#define STANDARD_ENOUGH 8

#define BLACK 0x000000

static const char *const standard[] = {
	"I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6"};

struct lead {
	const char *name;
	struct wave wave;
	double seconds;
	bool derived, truncated;
	bool shown;
};

/* A place for a lead; without one it stays empty under its name. */
struct place {
	const char *name;
	struct lead *lead;
};

struct page {
	struct canvas *c;
	const struct sheet *sheet;
	double interval_s, seconds;
	unsigned n_leads, n_left_out; /* left out: more than a page can ever have */
	struct lead leads[LEADS_MAX];
	bool twelve;
	struct place columns[12]; /* of the layout of twelve, row by row */
	unsigned n_rows;	  /* with the three of columns */
	struct place rows[ROWS_MAX];
};

/* what there is */

static void add_lead(struct page *p, const json_t *o, double uv_per_lsb)
{
	struct lead *l = &p->leads[p->n_leads];
	const json_t *samples = json_object_get(o, "samples");
	const char *name = sheet_string(o, "name");
	if (json_object_get(o, "uv_per_lsb") &&
		!sheet_number(o, "uv_per_lsb", 1e-6, 1e6, &uv_per_lsb))
		uv_per_lsb = 0;
	*l = (struct lead){.name = name ? name : "?",
		.wave = {.samples = samples,
			.interval_s = p->interval_s,
			.mm_per_lsb = uv_per_lsb / 1000 * MM_PER_MV},
		.seconds = (double)json_array_size(samples) * p->interval_s,
		.derived = json_is_true(json_object_get(o, "derived")),
		.truncated = json_is_true(json_object_get(o, "truncated"))};
	p->seconds = MAX(p->seconds, l->seconds);
	p->n_leads++;
}

static void take_leads(struct page *p)
{
	const json_t *ecg = p->sheet->ecg, *o;
	double interval_us = 0, uv_per_lsb = 0;
	size_t i;
	sheet_number(ecg, "interval_us", 1, 1e6, &interval_us);
	sheet_number(ecg, "uv_per_lsb", 1e-6, 1e6, &uv_per_lsb);
	p->interval_s = interval_us / 1e6;
	json_array_foreach(json_object_get(ecg, "leads"), i, o)
	{
		if (p->n_leads < LEADS_MAX)
			add_lead(p, o, uv_per_lsb);
		else
			p->n_left_out++;
	}
}

static struct lead *find(struct page *p, const char *name)
{
	for (unsigned i = 0; i < p->n_leads; i++)
		if (streq(p->leads[i].name, name))
			return &p->leads[i];
	return NULL;
}

/* where it goes */

static bool has_column(const struct page *p, const struct lead *l)
{
	for (size_t i = 0; p->twelve && i < ELEMENTS(p->columns); i++)
		if (p->columns[i].lead == l)
			return true;
	return false;
}

static void lay_out(struct page *p)
{
	unsigned there = 0;
	for (size_t i = 0; i < ELEMENTS(standard); i++) {
		p->columns[i] = (struct place){standard[i], find(p, standard[i])};
		there += p->columns[i].lead != NULL;
	}
	p->twelve = there >= STANDARD_ENOUGH;
	if (p->twelve) {
		const char *rhythm = !find(p, "II") && find(p, "V1") ? "V1" : "II";
		p->rows[3] = (struct place){rhythm, find(p, rhythm)};
		p->n_rows = 4;
	}
	for (unsigned i = 0; i < p->n_leads && p->n_rows < ROWS_MAX; i++)
		if (!has_column(p, &p->leads[i]))
			p->rows[p->n_rows++] = (struct place){p->leads[i].name, &p->leads[i]};
}

/* Base line of a row: on lines of the grid, with room above the first and below the last. */
static double base_line(const struct page *p, unsigned row, double *ret_pitch)
{
	const double above = p->n_rows > 9 ? 15 : 20, below = 9;
	double step = p->n_rows <= 5 ? 5 : 1;
	double pitch = GRID_HEIGHT / p->n_rows;
	if (p->n_rows > 1)
		pitch = MIN(pitch, (GRID_HEIGHT - above - below) / (p->n_rows - 1));
	pitch = floor(pitch / step) * step;
	double rest = GRID_HEIGHT - pitch * (p->n_rows - 1);
	*ret_pitch = pitch;
	return GRID_Y + floor(rest * 0.625 / step) * step + pitch * row;
}

/* how it looks */

static void lines(struct canvas *c, double step, uint32_t rgb, double width)
{
	cairo_t *cr = c->cr;
	canvas_colour(c, rgb);
	cairo_set_line_width(cr, width);
	cairo_set_line_cap(cr, CAIRO_LINE_CAP_BUTT);
	for (double x = 0; x <= GRID_WIDTH; x += step) {
		cairo_move_to(cr, GRID_X + x, GRID_Y);
		cairo_line_to(cr, GRID_X + x, GRID_Y + GRID_HEIGHT);
	}
	for (double y = 0; y <= GRID_HEIGHT; y += step) {
		cairo_move_to(cr, GRID_X, GRID_Y + y);
		cairo_line_to(cr, GRID_X + GRID_WIDTH, GRID_Y + y);
	}
	cairo_stroke(cr);
}

static void pulse(struct page *p, double y)
{
	cairo_t *cr = p->c->cr;
	canvas_colour(p->c, BLACK);
	cairo_set_line_width(cr, 0.25);
	cairo_move_to(cr, PULSE_X - 2.5, y);
	cairo_line_to(cr, PULSE_X, y);
	cairo_line_to(cr, PULSE_X, y - MM_PER_MV);
	cairo_line_to(cr, PULSE_X + PULSE_WIDTH, y - MM_PER_MV);
	cairo_line_to(cr, PULSE_X + PULSE_WIDTH, y);
	cairo_line_to(cr, PULSE_X + PULSE_WIDTH + 2.5, y);
	cairo_stroke(cr);
}

/* Where one column ends and the next begins: two ticks, away from the wave. */
static void separator(struct page *p, double x, double y, double pitch)
{
	cairo_t *cr = p->c->cr;
	double far = MIN(10, pitch / 2 - 0.5);
	cairo_set_line_width(cr, 0.3);
	cairo_move_to(cr, x, y - far);
	cairo_line_to(cr, x, y - far + 3);
	cairo_move_to(cr, x, y + far - 3);
	cairo_line_to(cr, x, y + far);
	cairo_stroke(cr);
}

static bool draw_lead(struct page *p, const struct place *at, const struct strip *s)
{
	if (!at->lead || !wave_draw(p->c, &at->lead->wave, s))
		return false;
	at->lead->shown = true;
	return true;
}

static void rows_of_twelve(struct page *p)
{
	double pitch;
	for (unsigned i = 0; i < ELEMENTS(p->columns); i++) {
		unsigned column = i % 4;
		double y = base_line(p, i / 4, &pitch), x = START_X + column * COLUMN_S * MM_PER_S;
		const struct lead *l = p->columns[i].lead;
		struct strip s = {.x = x,
			.baseline = y,
			.from_s = column * COLUMN_S,
			.to_s = (column + 1) * COLUMN_S,
			.top = MAX(GRID_Y, y - 0.95 * pitch),
			.bottom = MIN(GRID_Y + GRID_HEIGHT, y + 0.95 * pitch)};
		if (column == 0)
			pulse(p, y);
		else
			separator(p, x, y, pitch);
		bool drawn = draw_lead(p, &p->columns[i], &s);
		char name[96];
		snprintf(name, sizeof(name), "%s%s%s%s", standard[i], l && l->derived ? "*" : "",
			l && l->truncated ? sheet_say(p->c, " (cut off)", " (截断)") : "",
			drawn ? "" : " -");
		canvas_text(p->c, x + 1, y - MIN(11.5, pitch / 2), COLUMN_S * MM_PER_S - 2,
			NAME_SIZE, true, name);
	}
}

static void row_of_ten_seconds(struct page *p, unsigned row)
{
	double pitch, y = base_line(p, row, &pitch), reach = MAX(0.95 * pitch, 20);
	const struct place *at = &p->rows[row];
	struct strip s = {.x = START_X,
		.baseline = y,
		.from_s = 0,
		.to_s = PAGE_S,
		.top = MAX(GRID_Y, y - reach),
		.bottom = MIN(GRID_Y + GRID_HEIGHT, y + reach)};
	pulse(p, y);
	bool drawn = draw_lead(p, at, &s);
	char name[64];
	const double width = PULSE_X - GRID_X - 1;
	snprintf(name, sizeof(name), "%.24s%s", at->name, at->lead && at->lead->derived ? "*" : "");
	canvas_text(p->c, GRID_X + 0.6, y - 1.4, width,
		strlen(name) > LONG_NAME ? LONG_NAME_SIZE : NAME_SIZE, true, name);
	if (at->lead && at->lead->truncated)
		canvas_text(p->c, GRID_X + 0.6, y + 2.6, width, 2.1, true,
			sheet_say(p->c, "(cut off)", "(截断)"));
	if (!drawn)
		canvas_text(p->c, START_X + 1, y, 10, NAME_SIZE, true, "-");
}

static void append(char *out, size_t size, const char *between, const char *text)
{
	size_t at = strlen(out);
	snprintf(out + at, size - at, "%s%s", at ? between : "", text);
}

/* What is recorded and not on the page, and why. */
static void left_out(struct page *p, char *out, size_t size)
{
	char names[512] = "", text[700];
	bool no_scale = false;
	for (unsigned i = 0; i < p->n_leads; i++)
		if (!p->leads[i].shown && strlen(names) < sizeof(names) - 32) {
			char name[32];
			snprintf(name, sizeof(name), "%.24s", p->leads[i].name);
			append(names, sizeof(names), " ", name);
			no_scale |= !(p->leads[i].wave.mm_per_lsb > 0);
		}
	if (p->n_left_out)
		append(names, sizeof(names), " ", "…");
	if (!names[0])
		return;
	snprintf(text, sizeof(text), "%s%s", sheet_say(p->c, "not drawn: ", "未绘制："), names);
	append(out, size, "   ", text);
	if (!(p->interval_s > 0))
		append(out, size, "   ",
			sheet_say(p->c, "sampling interval unknown", "采样间隔未知"));
	if (no_scale)
		append(out, size, "   ",
			sheet_say(p->c, "amplitude scale unknown", "幅值比例未知"));
}

/* How it was drawn, and out of what. */
static void scales(struct page *p)
{
	char line[1024] = "", text[256];
	const json_t *ecg = p->sheet->ecg;
	const char *study = sheet_string(json_object_get(ecg, "study"), "id");
	append(line, sizeof(line), "", "25 mm/s  10 mm/mV");
	sheet_filters(p->c, ecg, text, sizeof(text));
	append(line, sizeof(line), "   ", sheet_say(p->c, "filters", "滤波"));
	append(line, sizeof(line), " ", text);
	append(line, sizeof(line), "   ", sheet_format_name(ecg));
	if (p->interval_s > 0)
		snprintf(text, sizeof(text), "%.6g µs (%.6g Hz)", p->interval_s * 1e6,
			1 / p->interval_s);
	else
		snprintf(text, sizeof(text), "- µs");
	append(line, sizeof(line), "   ", text);
	if (p->sheet->sha256) {
		snprintf(text, sizeof(text), "SHA-256 %.12s", p->sheet->sha256);
		append(line, sizeof(line), "   ", text);
	}
	if (study) {
		snprintf(text, sizeof(text), "%s %.8s", sheet_say(p->c, "study", "检查"), study);
		append(line, sizeof(line), "   ", text);
	}
	append(line, sizeof(line), "   ", "vitalgate " VITALGATE_VERSION);
	canvas_text(p->c, GRID_X, FOOT_Y, GRID_WIDTH, FOOT_SIZE, false, line);
}

/* How much of the record stands on the page. */
static void extent(struct page *p)
{
	char line[1024] = "", text[256];
	if (p->seconds > PAGE_S + 0.05) {
		snprintf(text, sizeof(text),
			sheet_say(p->c, "first %g s of %.6g s", "前 %g 秒，共 %.6g 秒"), PAGE_S,
			p->seconds);
		append(line, sizeof(line), "   ", text);
	} else if (p->seconds > 0 && p->seconds < PAGE_S - 0.05) {
		snprintf(text, sizeof(text),
			sheet_say(p->c, "the record ends after %.3g s", "记录仅 %.3g 秒"),
			p->seconds);
		append(line, sizeof(line), "   ", text);
	}
	left_out(p, line, sizeof(line));
	canvas_text(p->c, GRID_X, FOOT_Y + 4, GRID_WIDTH, FOOT_SIZE, true, line);
}

void sheet_page(struct canvas *c, const struct sheet *sheet)
{
	struct page page = {.c = c, .sheet = sheet}, *p = &page;
	cairo_set_source_rgb(c->cr, 1, 1, 1);
	cairo_paint(c->cr);
	lines(c, 1, 0xfadcdc, 0.1);
	lines(c, 5, 0xf0aaaa, 0.18);
	sheet_head(c, sheet);
	cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_ROUND);
	cairo_set_line_join(c->cr, CAIRO_LINE_JOIN_ROUND);
	take_leads(p);
	lay_out(p);
	if (p->twelve)
		rows_of_twelve(p);
	for (unsigned row = p->twelve ? 3 : 0; row < p->n_rows; row++)
		row_of_ten_seconds(p, row);
	if (!p->n_leads)
		canvas_text(c, START_X, GRID_Y + 60, GRID_WIDTH - 40, 6, true,
			sheet_say(c, "no waveform", "没有波形"));
	canvas_colour(c, BLACK);
	scales(p);
	extent(p);
}
