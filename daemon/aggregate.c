/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "aggregate.h"

#include "clock.h"
#include "shown.h"
#include "util.h"

#define OUT_US (3 * CLOCK_SECOND_US)	  /* nothing shown for so long: the finger is out */
#define VALUES_US (3 * CLOCK_SECOND_US)	  /* of a finger that somebody wanted to measure */
#define LOW_US (10 * CLOCK_SECOND_US)	  /* clean values below the limit that are an episode */
#define DOUBT_US (30 * CLOCK_SECOND_US)	  /* values in doubt below the limit that are one */
#define END_US (10 * CLOCK_SECOND_US)	  /* back at the limit, or nothing shown: it is over */
#define CLOSING_US (30 * CLOCK_SECOND_US) /* least part of an interval worth a summary */
#define PATIENCE 3			  /* times steady_s */
#define FALL 4				  /* points of saturation */
#define SPO2_SPREAD 2
#define RATE_SPREAD 8
#define SPO2_MAX 100
#define STEPS_LEAST 20 /* differences between beats that make an rmssd */
#define RAW_MAX (SHOWN_TEXT_MAX + 100)

/* What is told of samples of one kind. The first quantity has its name. NULL: there is no such. */
struct metric {
	const char *kind, *unit;
	int most;  /* the largest value; SHOWN_MOST at most */
	bool rate; /* steady as a pulse is, and no low limit: falls and episodes are of others */
	const char *pulse, *least, *greatest, *low_s, *artifact;
	const char *beat, *shortest, *longest, *rmssd; /* times between beats */
	const char *gone;			       /* it ended too early */
};

static const struct metric metrics[] = {
	{.kind = "spo2",
		.unit = "%",
		.most = SPO2_MAX,
		.pulse = "spo2.pulse",
		.least = "spo2.min",
		.low_s = "spo2.low_s",
		.artifact = "spo2.artifact",
		.gone = "finger out before the values were steady"},
	{.kind = "hr",
		.unit = "/min",
		.most = SHOWN_MOST,
		.rate = true,
		.least = "hr.min",
		.greatest = "hr.max",
		.artifact = "hr.artifact",
		.beat = "hr.rr",
		.shortest = "hr.rr_min",
		.longest = "hr.rr_max",
		.rmssd = "hr.rmssd",
		.gone = "taken off before the values were steady"},
};

/* Clean values are judged by themselves, and all values together: a clean one counts for both. */
enum { CLEAN, ALL, QUALITIES };

struct spot {
	bool in;
	int64_t in_us;		   /* since when */
	int64_t run_us, wait_us;   /* since when: */
	struct shown run, waiting; /* clean and steady; everything since the last window */
};

struct fall {
	int64_t pending_us;
	struct shown pending; /* below[] of its quality, since it was last not */
	int64_t low_us;	      /* below `low`, of this episode or of what may become one */
	int lowest;
	int64_t recovered_us;
};

struct watch {
	int64_t start_us; /* of the interval */
	int64_t clean_us, low_us;
	struct shown clean, doubtful;
	struct fall falls[QUALITIES];
};

struct aggregate {
	struct vg_session *session;
	const struct metric *metric; /* of the first sample; NULL: there was none */
	bool continuous, closed;
	int low;
	int64_t interval_us, steady_us;
	int64_t at_us;	  /* told so far */
	int64_t shown_us; /* when a value was last shown */
	struct sample last;
	int64_t last_us;
	int below[QUALITIES]; /* what is less is told */
	union {
		struct spot spot;
		struct watch watch; /* when continuous */
	};
};

/* telling */

static struct vg_quantity quantity(const char *kind, int64_t value, const char *unit)
{
	return (struct vg_quantity){.kind = kind, .value = {.mantissa = value}, .unit = unit};
}

static int64_t seconds(int64_t us)
{
	return (us + CLOCK_SECOND_US / 2) / CLOCK_SECOND_US;
}

static size_t beats_tell(
	const struct metric *m, const struct beats *b, bool of_interval, struct vg_quantity *q)
{
	size_t n = 0;
	if (!b->n)
		return 0;
	q[n++] = quantity(m->shortest, b->shortest, "ms");
	q[n++] = quantity(m->longest, b->longest, "ms");
	if (of_interval && b->n_steps >= STEPS_LEAST)
		q[n++] = quantity(m->rmssd, beats_rmssd(b), "ms");
	return n;
}

/* Of the interval that ends, of this length. */
static size_t interval_tell(const struct aggregate *a, int64_t length_us, struct vg_quantity *q)
{
	const struct watch *w = &a->watch;
	const struct metric *m = a->metric;
	int64_t without = w->clean.n ? length_us - w->clean_us : length_us;
	size_t n = 0;
	if (w->clean.n && m->least)
		q[n++] = quantity(m->least, w->clean.least, m->unit);
	if (w->clean.n && m->greatest)
		q[n++] = quantity(m->greatest, w->clean.most, m->unit);
	if (w->clean.n && m->low_s)
		q[n++] = quantity(m->low_s, seconds(w->low_us), "s");
	q[n++] = quantity(m->artifact, (100 * without + length_us / 2) / length_us, "%");
	return n;
}

/* What it was made from. */
static size_t raw_write(const struct aggregate *a, const struct shown *h, int64_t length_us,
	char out[static RAW_MAX])
{
	size_t len = shown_write(h, a->metric->kind, out, RAW_MAX);
	if (length_us)
		len += (size_t)snprintf(out + len, RAW_MAX - len,
			" interval %lld clean %lld low %lld", (long long)length_us / 1000,
			(long long)a->watch.clean_us / 1000, (long long)a->watch.low_us / 1000);
	return len;
}

/* `length_us`: it is the summary of an interval of this length; 0: it is none. */
static void tell(struct aggregate *a, const struct shown *h, const char *const *flags,
	size_t n_flags, int64_t length_us)
{
	char raw[RAW_MAX];
	struct vg_quantity q[8];
	const struct metric *m = a->metric;
	size_t n = 0;
	q[n++] = quantity(m->kind, shown_value(h), m->unit);
	if (h->n_pulse)
		q[n++] = quantity(m->pulse, shown_pulse(h), "/min");
	if (length_us)
		n += interval_tell(a, length_us, q + n);
	n += beats_tell(m, &h->beats, length_us, q + n);
	vg_reading(a->session, &(struct vg_reading){.kind = m->kind,
				       .live = true,
				       .user = -1,
				       .seq = -1,
				       .quantities = q,
				       .n_quantities = n,
				       .flags = flags,
				       .n_flags = n_flags,
				       .raw = (const uint8_t *)raw,
				       .raw_len = raw_write(a, h, length_us, raw)});
}

/* What was told clean need not be told again in doubt; the other way round it must. A rate that falls is
 * no news. */
static void remember(struct aggregate *a, unsigned quality, int value)
{
	for (unsigned q = quality; q < QUALITIES; q++)
		a->below[q] = a->metric->rate ? 0 : MIN(a->below[q], value - FALL + 1);
}

/* spot */

static void spot_forget(struct aggregate *a)
{
	shown_clear(&a->spot.run);
	shown_clear(&a->spot.waiting);
	a->spot.in = false;
	a->below[CLEAN] = a->below[ALL] = a->metric->most + 1;
}

static void finger_out(struct aggregate *a)
{
	struct vg_event e = {.type = VG_EVENT_FAILED_MEASUREMENT, .detail = a->metric->gone};
	if (a->below[ALL] > a->metric->most && a->shown_us - a->spot.in_us >= VALUES_US)
		vg_event(a->session, &e);
	spot_forget(a);
}

static bool rate_steady(int least, int most)
{
	return most - least <= MAX(RATE_SPREAD, least / 10);
}

static bool spot_steady(const struct shown *h, const struct sample *x, bool rate)
{
	if (!h->n)
		return true;
	int least = MIN(h->least, x->value), most = MAX(h->most, x->value);
	if (rate ? !rate_steady(least, most) : most - least > SPO2_SPREAD)
		return false;
	return !h->n_pulse || x->pulse < 0 ||
	       rate_steady(MIN(h->pulse_least, x->pulse), MAX(h->pulse_most, x->pulse));
}

static void spot_window(struct aggregate *a)
{
	struct spot *p = &a->spot;
	int value = shown_value(&p->run);
	if (value < a->below[CLEAN]) {
		tell(a, &p->run, NULL, 0, 0);
		remember(a, CLEAN, value);
	}
	shown_clear(&p->run);
	shown_clear(&p->waiting);
}

static void spot_doubt(struct aggregate *a)
{
	struct spot *p = &a->spot;
	int value = shown_value(&p->waiting);
	const char *flags[VG_FLAGS_MAX];
	size_t n = shown_flags(&p->waiting, flags);
	if (!n)
		flags[n++] = "unsteady";
	if (value < a->below[ALL]) {
		tell(a, &p->waiting, flags, n, 0);
		remember(a, ALL, value);
	}
	shown_clear(&p->waiting);
}

static void spot_sample(struct aggregate *a, const struct sample *x)
{
	struct spot *p = &a->spot;
	if (!x->clean || !spot_steady(&p->run, x, a->metric->rate))
		shown_clear(&p->run);
	if (!x->shown)
		return;
	if (!p->in)
		p->in_us = a->at_us;
	p->in = true;
	if (!p->waiting.n)
		p->wait_us = a->at_us;
	shown_add(&p->waiting, x);
	if (x->clean) {
		if (!p->run.n)
			p->run_us = a->at_us;
		shown_add(&p->run, x);
		if (a->at_us - p->run_us >= a->steady_us)
			spot_window(a);
	}
	if (p->waiting.n && a->at_us - p->wait_us >= PATIENCE * a->steady_us)
		spot_doubt(a);
}

/* continuous: intervals */

static void summary(struct aggregate *a, int64_t length_us)
{
	struct watch *w = &a->watch;
	const struct shown *of = w->clean.n ? &w->clean : &w->doubtful;
	const char *flags[VG_FLAGS_MAX] = {"summary"};
	/* Numbers of clean samples are in no doubt, however many others there were: `artifact` says how many. */
	size_t n = 1 + (w->clean.n ? 0 : shown_flags(&w->doubtful, flags + 1));
	if (of->n)
		tell(a, of, flags, n, length_us);
	shown_clear(&w->clean);
	shown_clear(&w->doubtful);
	w->clean_us = w->low_us = 0;
}

/* continuous: episodes */

static bool episode(const struct aggregate *a)
{
	return a->below[ALL] < a->low;
}

static void fall_begin(struct fall *f)
{
	shown_clear(&f->pending);
	f->pending_us = f->low_us = f->recovered_us = 0;
	f->lowest = SPO2_MAX;
}

static void deshown_value(struct aggregate *a, unsigned quality)
{
	struct fall *falls = a->watch.falls;
	const struct shown *h = &falls[quality].pending;
	const char *flags[VG_FLAGS_MAX] = {"desaturation"};
	size_t n = 1 + shown_flags(h, flags + 1);
	int value = shown_value(h);
	tell(a, h, flags, n, 0);
	remember(a, quality, value);
	for (unsigned q = 0; q < QUALITIES; q++) {
		shown_clear(&falls[q].pending);
		falls[q].pending_us = 0;
	}
}

static void episode_over(struct aggregate *a, const char *how)
{
	bool clean = a->below[CLEAN] < a->low;
	const struct fall *f = &a->watch.falls[clean ? CLEAN : ALL];
	char detail[96];
	snprintf(detail, sizeof(detail), "%lld s below %d %%, lowest %d %%%s%s",
		(long long)seconds(f->low_us), a->low, f->lowest, clean ? "" : ", in doubt", how);
	if (episode(a))
		vg_event(
			a->session, &(struct vg_event){.type = VG_EVENT_EPISODE, .detail = detail});
	a->below[CLEAN] = a->below[ALL] = a->low;
	for (unsigned q = 0; q < QUALITIES; q++)
		fall_begin(&a->watch.falls[q]);
}

static void falls_judge(struct aggregate *a)
{
	const struct fall *falls = a->watch.falls;
	bool clean = a->below[CLEAN] < a->low;
	if (falls[CLEAN].pending_us >= LOW_US)
		deshown_value(a, CLEAN);
	else if (falls[ALL].pending_us >= DOUBT_US)
		deshown_value(a, ALL);
	else if (a->at_us - a->shown_us >= END_US)
		episode_over(a, ", then nothing was shown");
	else if (episode(a) && falls[clean ? CLEAN : ALL].recovered_us >= END_US)
		episode_over(a, "");
}

static void fall_sample(struct aggregate *a, unsigned quality, const struct sample *x)
{
	struct fall *f = &a->watch.falls[quality];
	if (x->value < a->below[quality]) {
		shown_add(&f->pending, x);
	} else {
		shown_clear(&f->pending);
		f->pending_us = 0;
	}
	if (x->value < a->low) {
		f->recovered_us = 0;
		f->lowest = MIN(f->lowest, x->value);
	} else if (!episode(a)) {
		f->low_us = 0;
		f->lowest = SPO2_MAX;
	}
}

/* continuous: samples and time */

/* What was shown last was shown for so long. */
static void lasts(struct aggregate *a, int64_t us)
{
	const struct sample *x = &a->last;
	struct watch *w = &a->watch;
	bool low = x->value < a->low;
	if (x->clean)
		w->clean_us += us;
	if (x->clean && low)
		w->low_us += us;
	for (unsigned q = x->clean ? CLEAN : ALL; q < QUALITIES; q++) {
		if (x->value < a->below[q])
			w->falls[q].pending_us += us;
		if (low)
			w->falls[q].low_us += us;
		else
			w->falls[q].recovered_us += us;
	}
}

static void continuous_advance(struct aggregate *a, int64_t now_us)
{
	struct watch *w = &a->watch;
	while (a->at_us < now_us) {
		int64_t end_us = w->start_us + a->interval_us, until_us = a->last_us + OUT_US;
		int64_t to_us = MIN(now_us, end_us);
		if (a->last.shown && a->at_us < until_us) {
			to_us = MIN(to_us, until_us);
			lasts(a, to_us - a->at_us);
		}
		a->at_us = to_us;
		if (to_us < end_us)
			continue;
		summary(a, a->interval_us);
		w->start_us = end_us;
	}
	falls_judge(a);
}

static void continuous_sample(struct aggregate *a, const struct sample *x)
{
	if (!x->shown)
		return;
	shown_add(x->clean ? &a->watch.clean : &a->watch.doubtful, x);
	for (unsigned q = x->clean ? CLEAN : ALL; q < QUALITIES; q++)
		fall_sample(a, q, x);
}

/* what comes in */

/* The nearest whole number, if it is one of 0..most; else -1. */
static int whole(struct vg_decimal d, int most)
{
	int64_t m = d.mantissa;
	int e = d.exponent;
	for (; e < -1; e++)
		m /= 10;
	if (e == -1)
		m = m > 0 ? (m / 5 + 1) / 2 : m;
	for (; e > 0 && m > 0 && m <= most; e--)
		m *= 10;
	return m < 0 || m > most ? -1 : (int)m;
}

static void quantity_read(struct sample *s, const struct metric *m, const struct vg_quantity *q)
{
	const char *kind = q->kind ? q->kind : "";
	if (streq(kind, m->kind))
		s->value = whole(q->value, m->most);
	else if (m->pulse && streq(kind, m->pulse))
		s->pulse = whole(q->value, SHOWN_MOST);
	else if (m->beat && streq(kind, m->beat)) {
		int beat = whole(q->value, BEAT_MOST);
		s->beats[s->n_beats++] = beat >= BEAT_LEAST ? beat : 0;
	}
}

static struct sample sample_read(const struct metric *m, const struct vg_sample *x)
{
	struct sample s = {.value = -1, .pulse = -1, .flags = x->flags, .n_flags = x->n_flags};
	for (size_t i = 0; i < x->n_quantities; i++)
		quantity_read(&s, m, &x->quantities[i]);
	s.shown = s.value >= 0;
	s.clean = s.shown && !s.n_flags;
	return s;
}

/* The last beat that `x` told, or that was told before it; 0: what comes next begins anew. */
static int beat_last(const struct sample *x)
{
	if (!x->clean)
		return 0;
	return x->n_beats ? x->beats[x->n_beats - 1] : x->beat_before;
}

static void advance(struct aggregate *a, int64_t now_us)
{
	now_us = MAX(now_us, a->at_us);
	if (!a->metric)
		return;
	if (a->continuous)
		continuous_advance(a, now_us);
	else if (a->spot.in && now_us - a->shown_us >= OUT_US)
		finger_out(a);
	a->at_us = now_us;
}

static int64_t setting(
	struct vg_session *s, const char *name, int64_t least, int64_t most, int64_t fallback)
{
	const char *text = vg_option(s, name);
	int64_t value = 0;
	size_t n = 0;
	for (; text && n < 6 && text[n] >= '0' && text[n] <= '9'; n++)
		value = value * 10 + text[n] - '0';
	return n && !text[n] && value >= least && value <= most ? value : fallback;
}

/* The first sample says what all are of. */
static void begin(struct aggregate *a, const char *kind, int64_t now_us)
{
	const struct metric *m = &metrics[streq(kind, metrics[1].kind)];
	a->metric = m;
	a->at_us = a->shown_us = now_us;
	a->below[CLEAN] = a->below[ALL] = m->most + 1;
	if (!a->continuous)
		return;
	a->low = m->rate ? 0 : (int)setting(a->session, "low", 1, SPO2_MAX, 90);
	a->below[CLEAN] = a->below[ALL] = a->low;
	a->watch.start_us = now_us;
	for (unsigned q = 0; q < QUALITIES; q++)
		fall_begin(&a->watch.falls[q]);
}

void aggregate_add(struct aggregate *a, const struct vg_sample *x, const struct vg_now *now)
{
	if (!a->metric)
		begin(a, x->kind, now->boot_us);
	struct sample s = sample_read(a->metric, x);
	advance(a, now->boot_us);
	if (a->at_us - a->last_us < OUT_US)
		s.beat_before = beat_last(&a->last);
	if (s.shown)
		a->shown_us = a->at_us;
	if (a->continuous)
		continuous_sample(a, &s);
	else
		spot_sample(a, &s);
	s.flags = NULL; /* borrowed */
	a->last = s;
	a->last_us = a->at_us;
}

void aggregate_tick(struct aggregate *a, const struct vg_now *now)
{
	if (!a->closed)
		advance(a, now->boot_us);
}

void aggregate_close(struct aggregate *a, const struct vg_now *now)
{
	aggregate_tick(a, now);
	if (a->metric && a->continuous) {
		if (a->at_us - a->watch.start_us >= CLOSING_US)
			summary(a, a->at_us - a->watch.start_us);
		episode_over(a, ", until the connection ended");
	} else if (a->metric && a->spot.in) {
		finger_out(a);
	}
	a->closed = true;
}

/* life */

struct aggregate *aggregate_new(struct vg_session *s)
{
	struct aggregate *a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	const char *mode = vg_option(s, "mode");
	a->session = s;
	a->continuous = mode && streq(mode, "continuous");
	a->interval_us = setting(s, "interval_s", 30, 3600, 300) * CLOCK_SECOND_US;
	a->steady_us = setting(s, "steady_s", 4, 60, 8) * CLOCK_SECOND_US;
	return a;
}

void aggregate_free(struct aggregate *a)
{
	free(a);
}
