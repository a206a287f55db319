/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text on the sheet. cairo's own text calls take one font for a whole line and draw boxes for what it lacks, so
 * each character is looked up by itself: in the system's sans-serif, then in the fonts that have Chinese. There
 * is no shaping: each character stands by itself, left to right.
 */
#include "sheet_parts.h"
#include "util.h"

#define LINE_CHARACTERS_MAX 600

/* One that is not installed is answered with the default one, which does no harm. */
static const char *const families[CANVAS_FONTS] = {"sans-serif", "Noto Sans CJK SC",
	"Source Han Sans SC", "Droid Sans Fallback", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
	"AR PL UMing CN"};

struct character {
	uint32_t code;
	unsigned font;
	unsigned long glyph;
	double advance;
	const char *end; /* of it in the text */
};

struct line {
	unsigned n;
	struct character at[LINE_CHARACTERS_MAX];
};

void canvas_open(struct canvas *c, cairo_t *cr, bool chinese, double column, FILE *words)
{
	*c = (struct canvas){.cr = cr, .chinese = chinese, .column = column, .words = words};
	for (unsigned i = 0; i < CANVAS_FONTS; i++)
		for (int bold = 0; bold < 2; bold++)
			c->fonts[i][bold] =
				cairo_toy_font_face_create(families[i], CAIRO_FONT_SLANT_NORMAL,
					bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
}

void canvas_close(struct canvas *c)
{
	for (unsigned i = 0; i < CANVAS_FONTS; i++)
		for (int bold = 0; bold < 2; bold++)
			cairo_font_face_destroy(c->fonts[i][bold]);
}

void canvas_colour(struct canvas *c, uint32_t rgb)
{
	cairo_set_source_rgb(
		c->cr, (rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0);
}

static uint32_t code_of(const char *p, size_t n)
{
	uint32_t code = n == 1 ? (uint8_t)p[0] : (uint8_t)p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		code = code << 6 | ((uint8_t)p[i] & 0x3f);
	return code;
}

/* Controls, marks that turn the direction or take no room, and what is no character: not drawn. */
static bool is_drawable(uint32_t code)
{
	return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && code != 0xad && code != 0xfeff &&
	       !(code >= 0x200b && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) &&
	       !(code >= 0x2060 && code <= 0x206f) && !(code >= 0xfdd0 && code <= 0xfdef) &&
	       (code & 0xfffe) != 0xfffe;
}

static cairo_scaled_font_t *font_of(const struct canvas *c, unsigned font, bool bold, double size)
{
	cairo_matrix_t em, page;
	cairo_matrix_init_scale(&em, size, size);
	cairo_get_matrix(c->cr, &page);
	cairo_font_options_t *options = cairo_font_options_create();
	cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
	cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
	cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
	cairo_scaled_font_t *f =
		cairo_scaled_font_create(c->fonts[font][bold], &em, &page, options);
	cairo_font_options_destroy(options);
	return f;
}

/* The first font that has it; a box of the first one when none has. */
static void look_up(
	cairo_scaled_font_t *const *fonts, const char *text, int n, struct character *ch)
{
	for (unsigned i = 0; i <= CANVAS_FONTS; i++) {
		ch->font = i % CANVAS_FONTS;
		cairo_glyph_t *glyphs = NULL;
		int found = 0;
		if (cairo_scaled_font_text_to_glyphs(fonts[ch->font], 0, 0, text, n, &glyphs,
			    &found, NULL, NULL, NULL) != CAIRO_STATUS_SUCCESS)
			found = 0;
		ch->glyph = found > 0 ? glyphs[0].index : 0;
		cairo_text_extents_t extents = {0};
		if (found > 0)
			cairo_scaled_font_glyph_extents(fonts[ch->font], glyphs, 1, &extents);
		ch->advance = extents.x_advance;
		cairo_glyph_free(glyphs);
		if (ch->glyph)
			return;
	}
}

/* The characters of a text; what is no UTF-8 ends it. */
static void typeset(
	const struct canvas *c, const char *text, bool bold, double size, struct line *line)
{
	cairo_scaled_font_t *fonts[CANVAS_FONTS];
	for (unsigned i = 0; i < CANVAS_FONTS; i++)
		fonts[i] = font_of(c, i, bold, size);
	size_t left = strlen(text);
	line->n = 0;
	while (left && line->n < LINE_CHARACTERS_MAX) {
		size_t n = utf8_length(text, left);
		if (!n)
			break;
		struct character *ch = &line->at[line->n++];
		ch->code = code_of(text, n);
		bool drawable = is_drawable(ch->code);
		if (!drawable)
			ch->code = ' ';
		look_up(fonts, drawable ? text : " ", drawable ? (int)n : 1, ch);
		text += n;
		left -= n;
		ch->end = text;
	}
	for (unsigned i = 0; i < CANVAS_FONTS; i++)
		cairo_scaled_font_destroy(fonts[i]);
}

/* How many of its characters stand within the width. */
static unsigned fitting(const struct line *line, double width)
{
	double x = 0;
	for (unsigned i = 0; i < line->n; i++) {
		x += line->at[i].advance;
		if (x > width)
			return i;
	}
	return line->n;
}

static void tell(struct canvas *c, uint32_t code)
{
	if (code < 0x80)
		fputc((int)code, c->words);
	else if (code < 0x800)
		fprintf(c->words, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 63)));
	else if (code < 0x10000)
		fprintf(c->words, "%c%c%c", (int)(0xe0 | code >> 12),
			(int)(0x80 | (code >> 6 & 63)), (int)(0x80 | (code & 63)));
	else
		fprintf(c->words, "%c%c%c%c", (int)(0xf0 | code >> 18),
			(int)(0x80 | (code >> 12 & 63)), (int)(0x80 | (code >> 6 & 63)),
			(int)(0x80 | (code & 63)));
}

static double show(struct canvas *c, const struct line *line, unsigned n, double x, double y,
	double size, bool bold)
{
	cairo_glyph_t run[LINE_CHARACTERS_MAX];
	double began = x;
	for (unsigned i = 0; i < n;) {
		unsigned font = line->at[i].font;
		int len = 0;
		for (; i < n && line->at[i].font == font; i++) {
			if (line->at[i].code != ' ')
				run[len++] = (cairo_glyph_t){line->at[i].glyph, x, y};
			x += line->at[i].advance;
			tell(c, line->at[i].code);
		}
		cairo_scaled_font_t *f = font_of(c, font, bold, size);
		cairo_set_scaled_font(c->cr, f);
		cairo_show_glyphs(c->cr, run, len);
		cairo_scaled_font_destroy(f);
	}
	return x - began;
}

double canvas_text(struct canvas *c, double x, double y, double width, double size, bool bold,
	const char *text)
{
	struct line line, ellipsis;
	typeset(c, text, bold, size, &line);
	unsigned n = fitting(&line, width);
	bool cut = n < line.n;
	if (cut) {
		typeset(c, "…", bold, size, &ellipsis);
		n = fitting(&line, width - ellipsis.at[0].advance);
	}
	double used = show(c, &line, n, x, y, size, bold);
	if (cut && used + ellipsis.at[0].advance <= width)
		used += show(c, &ellipsis, 1, x + used, y, size, bold);
	if (line.n)
		fputc('\n', c->words);
	return used;
}

/* Where a line of `n` characters may end: behind a blank, or beside a Chinese character. */
static unsigned break_at(const struct line *line, unsigned n)
{
	for (unsigned i = n; i > 0; i--)
		if (line->at[i - 1].code == ' ' || line->at[i - 1].code >= 0x2e80 ||
			line->at[i].code >= 0x2e80)
			return i;
	return n ? n : 1;
}

unsigned canvas_paragraph(struct canvas *c, double x, double y, double width, double size,
	double leading, unsigned lines, const char *text)
{
	struct line line;
	for (unsigned done = 0; done < lines; done++, y += leading) {
		typeset(c, text, false, size, &line);
		unsigned n = fitting(&line, width);
		if (n == line.n || done + 1 == lines) {
			canvas_text(c, x, y, width, size, false, text);
			return done + 1;
		}
		n = break_at(&line, n);
		show(c, &line, n, x, y, size, false);
		fputc('\n', c->words);
		text = line.at[n - 1].end;
	}
	return lines;
}
