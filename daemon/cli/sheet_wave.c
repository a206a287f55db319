/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A piece of one lead as a line on paper: every sample, or, where many fall on one column of the picture, their
 * least and greatest. The piece stands on its median, so an offset does not push it off the page; its scale is
 * never changed. What leaves its band is cut off there and marked with an arrowhead.
 */
#include "sheet_parts.h"
#include "util.h"

#include <math.h>

#define LINE_WIDTH 0.25
#define DENSE 4			  /* samples in one column from which on only extremes are drawn */
#define SAMPLE_LIMIT 2147483648.0 /* no cart has more than 24 bits */
#define PIECE_SAMPLES_MAX 4000000
#define MARK 1.6 /* size of an arrowhead */

struct pen {
	cairo_t *cr;
	double top, bottom;
	double x, y; /* where it came from */
	bool has, down;
	/* stretch beyond the edge that has no mark yet: above, below */
	struct {
		bool open;
		double from, to;
	} out[2];
};

/* An arrowhead that points over the edge, in the middle of the stretch. */
static void mark(struct pen *p, int below)
{
	double x = (p->out[below].from + p->out[below].to) / 2, edge = below ? p->bottom : p->top,
	       foot = below ? edge - MARK : edge + MARK;
	if (!p->out[below].open)
		return;
	p->out[below].open = false;
	cairo_stroke(p->cr);
	cairo_move_to(p->cr, x, edge);
	cairo_line_to(p->cr, x - MARK / 2, foot);
	cairo_line_to(p->cr, x + MARK / 2, foot);
	cairo_close_path(p->cr);
	cairo_fill(p->cr);
	p->down = false;
}

static void beyond(struct pen *p, int below, double from, double to)
{
	if (p->out[below].open && from - p->out[below].to > 2 * MARK)
		mark(p, below);
	if (!p->out[below].open)
		p->out[below].from = from;
	p->out[below].open = true;
	p->out[below].to = to;
}

/* A straight line from where the pen is, as much of it as lies in the band. */
static void segment(struct pen *p, double x, double y)
{
	double dx = x - p->x, dy = y - p->y, from = 0, to = 1;
	double low = MIN(p->y, y), high = MAX(p->y, y);
	if (low < p->top)
		beyond(p, 0, p->x, x);
	if (high > p->bottom)
		beyond(p, 1, p->x, x);
	if (high < p->top || low > p->bottom) {
		p->down = false;
		return;
	}
	if (low < p->top) {
		double at = (p->top - p->y) / dy;
		*(dy > 0 ? &from : &to) = at;
	}
	if (high > p->bottom) {
		double at = (p->bottom - p->y) / dy;
		*(dy > 0 ? &to : &from) = at;
	}
	if (!p->down || from > 0)
		cairo_move_to(p->cr, p->x + dx * from, p->y + dy * from);
	cairo_line_to(p->cr, p->x + dx * to, p->y + dy * to);
	p->down = to >= 1;
}

static void lift(struct pen *p)
{
	p->has = p->down = false;
}

static void draw_to(struct pen *p, double x, double y)
{
	if (!p->has) { /* a dot, when nothing follows */
		p->x = x;
		p->y = y;
	}
	segment(p, x, y);
	p->has = true;
	p->x = x;
	p->y = y;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The samples [first, first + n) as numbers; what is none, or impossible, is NAN. Returns how many are. */
static size_t take(const json_t *samples, size_t first, size_t n, double *out)
{
	size_t good = 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(samples, first + i);
		double v = json_number_value(s);
		bool usable = json_is_number(s) && fabs(v) <= SAMPLE_LIMIT;
		out[i] = usable ? v : (double)NAN;
		good += usable;
	}
	return good;
}

static double median(const double *values, size_t n, size_t good, double *scratch)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (!isnan(values[i]))
			scratch[k++] = values[i];
	qsort(scratch, good, sizeof(*scratch), ascending);
	return scratch[good / 2];
}

/* The samples [i, *end) that fall on one column, drawn as its first, least, greatest and last. */
static void draw_column(struct pen *p, const double *y, size_t i, size_t end, double x, double step)
{
	size_t least = i, greatest = i;
	for (size_t k = i; k < end; k++) {
		least = y[k] < y[least] ? k : least;
		greatest = y[k] > y[greatest] ? k : greatest;
	}
	const size_t order[] = {i, MIN(least, greatest), MAX(least, greatest), end - 1};
	for (size_t k = 0; k < ELEMENTS(order); k++)
		if (k == 0 || order[k] != order[k - 1])
			draw_to(p, x + (double)order[k] * step, y[order[k]]);
}

static void draw_line(
	struct pen *p, const double *y, size_t n, double x, double step, double column)
{
	size_t each = step * DENSE < column ? (size_t)(column / step) : 1;
	for (size_t i = 0; i < n;) {
		size_t end = i + 1;
		if (isnan(y[i])) {
			lift(p);
			i++;
			continue;
		}
		while (end < n && end - i < each && !isnan(y[end]))
			end++;
		draw_column(p, y, i, end, x, step);
		i = end;
	}
}

bool wave_draw(struct canvas *c, const struct wave *w, const struct strip *s)
{
	if (!(w->interval_s > 0) || !(w->mm_per_lsb > 0))
		return false;
	double first = ceil(s->from_s / w->interval_s - 1e-6),
	       end = floor(s->to_s / w->interval_s + 1e-6) + 1,
	       there = (double)json_array_size(w->samples);
	end = MIN(end, there);
	if (!(end > first) || end - first > PIECE_SAMPLES_MAX)
		return false;
	size_t n = (size_t)(end - first);
	_cleanup_(freep) double *y = malloc(2 * n * sizeof(*y));
	size_t good = y ? take(w->samples, (size_t)first, n, y) : 0;
	if (!good)
		return false;
	double middle = median(y, n, good, y + n);
	for (size_t i = 0; i < n; i++)
		y[i] = s->baseline - (y[i] - middle) * w->mm_per_lsb;
	struct pen p = {.cr = c->cr, .top = s->top, .bottom = s->bottom};
	cairo_set_line_width(c->cr, LINE_WIDTH);
	draw_line(&p, y, n, s->x + (first * w->interval_s - s->from_s) * MM_PER_S,
		w->interval_s * MM_PER_S, c->column);
	cairo_stroke(c->cr);
	mark(&p, 0);
	mark(&p, 1);
	return true;
}
