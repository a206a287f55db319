/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the sheet share. Lengths are millimetres on paper, x to the right, y downwards. */
#pragma once

#include "sheet.h"

#include <cairo/cairo.h>
#include <stdint.h>
#include <stdio.h>

#define PAGE_WIDTH 297.0
#define PAGE_HEIGHT 210.0
/* The grid: 56 x 29 big squares; its left 25 mm hold names and calibration pulses. */
#define GRID_X 8.5
#define GRID_Y 53.0
#define GRID_WIDTH 280.0
#define GRID_HEIGHT 145.0
#define MM_PER_S 25.0
#define MM_PER_MV 10.0

#define CANVAS_FONTS 7

struct canvas {
	cairo_t *cr;
	bool chinese;
	double column;				   /* width of what may be drawn as one column */
	cairo_font_face_t *fonts[CANVAS_FONTS][2]; /* normal, bold */
	FILE *words;				   /* every text that was drawn, one in a line */
};

/* text: sheet_type.c */

void canvas_open(struct canvas *c, cairo_t *cr, bool chinese, double column, FILE *words);
void canvas_close(struct canvas *c);
/* One line that begins at x on the base line y, cut with an ellipsis where `width` ends. `size` is that of the
 * em square. Returns the width it took. */
double canvas_text(struct canvas *c, double x, double y, double width, double size, bool bold,
	const char *text);
/* As many lines as it needs, at most `lines`, `leading` apart; the last is cut. Returns how many. */
unsigned canvas_paragraph(struct canvas *c, double x, double y, double width, double size,
	double leading, unsigned lines, const char *text);
void canvas_colour(struct canvas *c, uint32_t rgb);

/* words: sheet_words.c */

const char *sheet_say(const struct canvas *c, const char *en, const char *zh);
/* A member that is text and not empty, else NULL. */
const char *sheet_string(const json_t *o, const char *key);
/* A member that is a number within the limits. */
bool sheet_number(const json_t *o, const char *key, double low, double high, double *ret);
/* "0.05-150 Hz, notch 50 Hz"; "-" when the file names none. */
void sheet_filters(const struct canvas *c, const json_t *ecg, char *out, size_t size);
/* A warning of the decoder ("code" or "code: detail") in words. */
void sheet_warning(const struct canvas *c, const char *warning, char *out, size_t size);
bool sheet_unsupported(const json_t *ecg);
/* "SCP-ECG" for "scp". */
const char *sheet_format_name(const json_t *ecg);
void sheet_patient(
	const struct canvas *c, const json_t *ecg, bool anonymous, char *out, size_t size);
void sheet_body(const struct canvas *c, const json_t *ecg, bool anonymous, char *out, size_t size);
void sheet_time(const struct canvas *c, const json_t *ecg, char *out, size_t size);
void sheet_device(const json_t *ecg, char *out, size_t size);

/* above the grid: sheet_head.c */

void sheet_head(struct canvas *c, const struct sheet *sheet);

/* everything: sheet.c */

void sheet_page(struct canvas *c, const struct sheet *sheet);

/* one lead: sheet_wave.c */

struct wave {
	const json_t *samples;
	double interval_s; /* 0: unknown */
	double mm_per_lsb; /* 0: unknown */
};

/* Where a piece of it stands. */
struct strip {
	double x, baseline;
	double top, bottom; /* nothing is drawn beyond them, and it is marked */
	double from_s, to_s;
};

/* False: there is nothing to draw in this piece. */
bool wave_draw(struct canvas *c, const struct wave *w, const struct strip *s);
