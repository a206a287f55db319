/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000)
#define NEVER 1000

const char *const model_flags[MODEL_FLAGS] = {"artifact", "low_perfusion", "out_of_track"};

/* lines */

static void put(struct lines *t, const char *text)
{
	size_t n = strlen(text);
	if (t->len + n + 1 > sizeof(t->text))
		abort();
	memcpy(t->text + t->len, text, n + 1);
	t->len += n;
}

static void put_time(struct lines *t, int64_t at_us)
{
	char text[32];
	snprintf(text, sizeof(text), "%lld.%03lld ", (long long)(at_us / SECOND),
		(long long)(at_us % SECOND / 1000));
	put(t, text);
}

static void put_number(struct lines *t, const char *name, int value)
{
	char text[32];
	snprintf(text, sizeof(text), "%s%d", name, value);
	if (value >= 0)
		put(t, text);
}

void lines_reading(struct lines *t, const struct line *l)
{
	put_time(t, l->at_us);
	put_number(t, "", l->spo2);
	put_number(t, "/", l->pulse);
	for (unsigned i = 0; i < l->n_flags; i++) {
		put(t, i ? "," : " ");
		put(t, l->flags[i]);
	}
	put_number(t, " min=", l->least);
	put_number(t, " low=", l->low_s);
	put_number(t, " artifact=", l->artifact);
	put(t, "\n");
}

void lines_event(struct lines *t, int64_t at_us, const char *type, const char *detail)
{
	put_time(t, at_us);
	put(t, type);
	put(t, ": ");
	put(t, detail);
	put(t, "\n");
}

/* the list */

struct model {
	const struct settings *set;
	const struct entry *list;
	size_t k; /* the entry at hand; those before it are known */
	struct lines *out;
	/* spot */
	size_t finger, window, waiting; /* nothing before them counts */
	/* continuous */
	int64_t start_us; /* of the interval */
	size_t ended;	  /* entry at which the last episode ended */
	size_t opened;	  /* entry at which the one at hand was told first */
	size_t told;	  /* entry at which something of it was told last */
	/* both: clean values, all values */
	int below[2];
};

static bool shown(const struct entry *e)
{
	return !e->tick && e->spo2 >= 0;
}

static bool clean(const struct entry *e)
{
	return shown(e) && !e->flags;
}

/* One of those that count for clean values (0) or for all values (1). */
static bool counts(const struct entry *e, int quality)
{
	return quality ? shown(e) : clean(e);
}

static int ascending(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int middle(int *values, size_t n)
{
	if (!n)
		return -1;
	qsort(values, n, sizeof(*values), ascending);
	return values[(n - 1) / 2];
}

/* The entries from..to-1 that `chosen` picks, into one line. */
static size_t sum_up(const struct model *m, size_t from, size_t to,
	bool (*chosen)(const struct model *, const struct entry *), struct line *l)
{
	int *spo2 = calloc(to - from + 1, sizeof(int)), *pulse = calloc(to - from + 1, sizeof(int));
	size_t n = 0, n_pulse = 0;
	*l = (struct line){.at_us = m->list[m->k].at_us, .least = -1, .low_s = -1, .artifact = -1};
	for (size_t i = from; i < to; i++) {
		const struct entry *e = &m->list[i];
		if (!chosen(m, e))
			continue;
		spo2[n++] = e->spo2;
		if (e->pulse >= 0)
			pulse[n_pulse++] = e->pulse;
	}
	l->spo2 = middle(spo2, n);
	l->pulse = middle(pulse, n_pulse);
	free(spo2);
	free(pulse);
	return n;
}

static bool chosen_shown(const struct model *m, const struct entry *e)
{
	(void)m;
	return shown(e);
}

static bool chosen_clean(const struct model *m, const struct entry *e)
{
	(void)m;
	return clean(e);
}

static bool chosen_doubtful(const struct model *m, const struct entry *e)
{
	(void)m;
	return shown(e) && e->flags;
}

/* Flags of more than `share` of the chosen samples, in the order in which they were first seen. */
static void name_flags(const struct model *m, size_t from, size_t to,
	bool (*chosen)(const struct model *, const struct entry *), struct line *l)
{
	bool seen[MODEL_FLAGS] = {false};
	int order[MODEL_FLAGS], n = 0;
	for (size_t i = from; i < to; i++)
		for (int f = 0; f < MODEL_FLAGS && chosen(m, &m->list[i]); f++)
			if (m->list[i].flags & 1u << f && !seen[f]) {
				seen[f] = true;
				order[n++] = f;
			}
	for (int i = 0; i < n; i++)
		l->flags[l->n_flags++] = model_flags[order[i]];
}

/* spot */

static bool spread_fits(const struct model *m, size_t from, size_t to)
{
	int least = NEVER, most = 0, slow = NEVER, fast = 0;
	for (size_t i = from; i <= to; i++) {
		const struct entry *e = &m->list[i];
		if (e->tick)
			continue;
		least = e->spo2 < least ? e->spo2 : least;
		most = e->spo2 > most ? e->spo2 : most;
		if (e->pulse >= 0) {
			slow = e->pulse < slow ? e->pulse : slow;
			fast = e->pulse > fast ? e->pulse : fast;
		}
	}
	return most - least <= 2 && (fast - slow <= 8 || fast - slow <= slow / 10);
}

/* First entry of the steady run that ends at the entry at hand. */
static size_t run_begin(const struct model *m)
{
	size_t begin = m->window;
	for (size_t i = m->window; i <= m->k; i++) {
		if (m->list[i].tick && begin == i)
			begin = i + 1;
		if (m->list[i].tick)
			continue;
		if (!clean(&m->list[i]))
			begin = i + 1;
		else if (!spread_fits(m, begin, i))
			begin = i;
	}
	return begin;
}

static void told(struct model *m, int quality, int value)
{
	for (int q = quality; q < 2; q++)
		m->below[q] = value - 3 < m->below[q] ? value - 3 : m->below[q];
}

static void spot_out(struct model *m)
{
	int64_t first = -1, last = -1;
	for (size_t i = m->finger; i < m->k; i++) {
		if (!shown(&m->list[i]))
			continue;
		last = m->list[i].at_us;
		first = first < 0 ? last : first;
	}
	if (m->below[1] == NEVER && first >= 0 && last - first >= 3 * SECOND)
		lines_event(m->out, m->list[m->k].at_us, "failed_measurement",
			"finger out before the values were steady");
	m->below[0] = m->below[1] = NEVER;
	m->finger = m->window = m->waiting = m->k;
}

static void spot_entry(struct model *m)
{
	const struct entry *e = &m->list[m->k];
	int64_t last = -1;
	struct line l;
	for (size_t i = m->finger; i < m->k; i++)
		last = shown(&m->list[i]) ? m->list[i].at_us : last;
	if (last >= 0 && e->at_us - last >= 3 * SECOND)
		spot_out(m);
	if (!shown(e))
		return;
	size_t begin = run_begin(m);
	if (clean(e) && e->at_us - m->list[begin].at_us >= m->set->steady_us) {
		sum_up(m, begin, m->k + 1, chosen_clean, &l);
		if (l.spo2 < m->below[0]) {
			lines_reading(m->out, &l);
			told(m, 0, l.spo2);
		}
		m->window = m->waiting = m->k + 1;
	}
	for (size_t i = m->waiting; i <= m->k; i++) {
		if (!shown(&m->list[i]))
			continue;
		if (e->at_us - m->list[i].at_us < 3 * m->set->steady_us)
			return;
		sum_up(m, i, m->k + 1, chosen_shown, &l);
		name_flags(m, i, m->k + 1, chosen_shown, &l);
		if (!l.n_flags)
			l.flags[l.n_flags++] = "unsteady";
		if (l.spo2 < m->below[1]) {
			lines_reading(m->out, &l);
			told(m, 1, l.spo2);
		}
		m->waiting = m->k + 1;
		return;
	}
}

/* continuous */

/* How long within from_us..to_us sample `i` was what was shown, as known at the entry at hand. */
static int64_t duration(const struct model *m, size_t i, int64_t from_us, int64_t to_us)
{
	int64_t begin = m->list[i].at_us, end = begin + 3 * SECOND;
	for (size_t j = i + 1; j <= m->k; j++)
		if (!m->list[j].tick) {
			end = m->list[j].at_us < end ? m->list[j].at_us : end;
			break;
		}
	begin = begin > from_us ? begin : from_us;
	end = end < to_us ? end : to_us;
	return end > begin ? end - begin : 0;
}

/* `last`: what came at its very end belongs to it, too, as there is no next one. */
static void summary(struct model *m, int64_t end_us, bool last)
{
	size_t from = 0, to;
	int64_t clean_us = 0, low_us = 0, length_us = end_us - m->start_us;
	struct line l;
	while (from < m->k && m->list[from].at_us < m->start_us)
		from++;
	for (to = from; to < m->k && m->list[to].at_us < end_us + last;)
		to++;
	for (size_t i = 0; i < to; i++) {
		int64_t us = duration(m, i, m->start_us, end_us);
		clean_us += clean(&m->list[i]) ? us : 0;
		low_us += clean(&m->list[i]) && m->list[i].spo2 < m->set->low ? us : 0;
	}
	size_t n = sum_up(m, from, to, chosen_clean, &l);
	if (!n && !sum_up(m, from, to, chosen_doubtful, &l))
		return;
	l.flags[l.n_flags++] = "summary";
	if (!n)
		name_flags(m, from, to, chosen_doubtful, &l);
	l.artifact = n ? (int)((200 * (length_us - clean_us) + length_us) / (2 * length_us)) : 100;
	l.low_s = n ? (int)((low_us + SECOND / 2) / SECOND) : -1;
	for (size_t i = from; n && i < to; i++)
		if (clean(&m->list[i]) && (l.least < 0 || m->list[i].spo2 < l.least))
			l.least = m->list[i].spo2;
	lines_reading(m->out, &l);
}

/* The entry behind the last one from..to-1 whose value is of this quality and least..most-1. */
static size_t behind(
	const struct model *m, int quality, size_t from, size_t to, int least, int most)
{
	size_t begin = from;
	for (size_t i = from; i < to; i++)
		if (counts(&m->list[i], quality) && m->list[i].spo2 >= least &&
			m->list[i].spo2 < most)
			begin = i + 1;
	return begin;
}

/* Time since entry `begin` in which values of this quality and least..most-1 were shown. */
static int64_t time_of(const struct model *m, int quality, size_t begin, int least, int most)
{
	int64_t us = 0;
	for (size_t i = 0; i < m->k; i++) {
		const struct entry *e = &m->list[i];
		if (counts(e, quality) && e->spo2 >= least && e->spo2 < most)
			us += duration(m, i, m->list[begin].at_us, m->list[m->k].at_us);
	}
	return us;
}

static void episode_end(struct model *m, const char *how)
{
	int q = m->below[0] < m->set->low ? 0 : 1, lowest = 100;
	char detail[96];
	if (m->below[1] < m->set->low) {
		size_t begin = behind(m, q, m->ended, m->opened, m->set->low, NEVER);
		for (size_t i = begin; i < m->k; i++)
			if (counts(&m->list[i], q) && m->list[i].spo2 < lowest)
				lowest = m->list[i].spo2;
		int64_t us = time_of(m, q, begin, 0, m->set->low);
		snprintf(detail, sizeof(detail), "%lld s below %d %%, lowest %d %%%s%s",
			(long long)((us + SECOND / 2) / SECOND), m->set->low, lowest,
			q ? ", in doubt" : "", how);
		lines_event(m->out, m->list[m->k].at_us, "episode", detail);
	}
	m->below[0] = m->below[1] = m->set->low;
	m->told = m->ended = m->k;
}

/* Values of this quality were below what was told for so long. */
static bool fell(struct model *m, int q, int64_t us)
{
	size_t begin = behind(m, q, m->told, m->k, m->below[q], NEVER);
	struct line l;
	if (time_of(m, q, begin, 0, m->below[q]) < us)
		return false;
	if (m->below[1] == m->set->low)
		m->opened = m->k;
	sum_up(m, begin, m->k, q ? chosen_shown : chosen_clean, &l);
	l.flags[l.n_flags++] = "desaturation";
	name_flags(m, begin, m->k, q ? chosen_shown : chosen_clean, &l);
	lines_reading(m->out, &l);
	told(m, q, l.spo2);
	m->told = m->k;
	return true;
}

static void watch_entry(struct model *m)
{
	int64_t now_us = m->list[m->k].at_us, last_us = m->list[0].at_us;
	for (; now_us - m->start_us >= m->set->interval_us; m->start_us += m->set->interval_us)
		summary(m, m->start_us + m->set->interval_us, false);
	for (size_t i = 0; i < m->k; i++)
		last_us = shown(&m->list[i]) ? m->list[i].at_us : last_us;
	if (fell(m, 0, 10 * SECOND) || fell(m, 1, 30 * SECOND))
		return;
	if (now_us - last_us >= 10 * SECOND) {
		episode_end(m, ", then nothing was shown");
		return;
	}
	int q = m->below[0] < m->set->low ? 0 : 1;
	size_t back = behind(m, q, m->ended, m->k, 0, m->set->low);
	if (m->below[1] < m->set->low && time_of(m, q, back, m->set->low, NEVER) >= 10 * SECOND)
		episode_end(m, "");
}

/* all of it */

static void the_end(struct model *m)
{
	int64_t now_us = m->list[m->k].at_us;
	if (!m->set->continuous) {
		spot_out(m);
		return;
	}
	if (now_us - m->start_us >= 30 * SECOND)
		summary(m, now_us, true);
	episode_end(m, ", until the connection ended");
}

void model_run(const struct settings *s, const struct entry *entries, size_t n, bool closed,
	struct lines *out)
{
	struct entry *list = calloc(n + 1, sizeof(*list));
	struct model m = {.set = s, .list = list, .out = out, .start_us = entries[0].at_us};
	memcpy(list, entries, n * sizeof(*list));
	list[n] = (struct entry){.at_us = list[n - 1].at_us, .tick = true};
	m.below[0] = m.below[1] = s->continuous ? s->low : NEVER;
	for (m.k = 0; m.k < n + closed; m.k++)
		if (s->continuous)
			watch_entry(&m);
		else
			spot_entry(&m);
	m.k = n;
	if (closed)
		the_end(&m);
	free(list);
}
