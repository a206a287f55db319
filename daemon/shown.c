/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shown.h"

#include "util.h"

void shown_clear(struct shown *h)
{
	if (h->n)
		*h = (struct shown){.n = 0};
}

static void shown_flag(struct shown *h, const char *name)
{
	unsigned i = 0;
	while (i < h->n_flags && !streq(h->flags[i], name))
		i++;
	if (i == SHOWN_FLAGS_MAX)
		return;
	h->flags[i] = name;
	h->n_flags = MAX(h->n_flags, i + 1);
}

static void beats_add(struct beats *b, const struct sample *x)
{
	int before = x->beat_before;
	for (unsigned i = 0; i < x->n_beats; before = x->beats[i++]) {
		int beat = x->beats[i], step = beat - before;
		if (!beat)
			continue;
		b->shortest = b->n ? MIN(b->shortest, beat) : beat;
		b->longest = b->n ? MAX(b->longest, beat) : beat;
		b->n++;
		if (!before)
			continue;
		b->squares += (uint64_t)(step * step);
		b->n_steps++;
	}
}

void shown_add(struct shown *h, const struct sample *x)
{
	h->least = h->n ? MIN(h->least, x->value) : x->value;
	h->most = h->n ? MAX(h->most, x->value) : x->value;
	h->values[x->value]++;
	h->n++;
	beats_add(&h->beats, x);
	for (size_t i = 0; i < x->n_flags; i++)
		shown_flag(h, x->flags[i]);
	if (x->pulse < 0)
		return;
	h->pulse_least = h->n_pulse ? MIN(h->pulse_least, x->pulse) : x->pulse;
	h->pulse_most = h->n_pulse ? MAX(h->pulse_most, x->pulse) : x->pulse;
	h->pulse[x->pulse]++;
	h->n_pulse++;
}

static int median(const uint32_t *counts, uint32_t n)
{
	int value = 0;
	for (uint64_t sum = counts[0]; sum <= (n - 1) / 2; sum += counts[value])
		value++;
	return value;
}

int shown_value(const struct shown *h)
{
	return median(h->values, h->n);
}

int shown_pulse(const struct shown *h)
{
	return median(h->pulse, h->n_pulse);
}

size_t shown_flags(const struct shown *h, const char **flags)
{
	memcpy(flags, h->flags, h->n_flags * sizeof(*flags));
	return h->n_flags;
}

static size_t counts_write(char *out, size_t size, const char *name, const uint32_t *counts)
{
	size_t len = (size_t)snprintf(out, size, "%s", name);
	for (int i = 0; i <= SHOWN_MOST; i++)
		if (counts[i])
			len += (size_t)snprintf(out + len, size - len, " %d:%u", i, counts[i]);
	return len;
}

size_t shown_write(const struct shown *h, const char *kind, char *out, size_t size)
{
	const struct beats *b = &h->beats;
	size_t len = counts_write(out, size, kind, h->values);
	if (h->n_pulse)
		len += counts_write(out + len, size - len, " pulse", h->pulse);
	if (b->n)
		len += (size_t)snprintf(out + len, size - len,
			" beats %u shortest %d longest %d steps %u squares %llu", b->n, b->shortest,
			b->longest, b->n_steps, (unsigned long long)b->squares);
	return len;
}

int beats_rmssd(const struct beats *b)
{
	uint64_t mean = b->squares / b->n_steps;
	int low = 0, high = BEAT_MOST;
	while (low < high) { /* the least one whose upper half is not below */
		int i = (low + high) / 2;
		if ((uint64_t)i * (uint64_t)i + (uint64_t)i >= mean)
			high = i;
		else
			low = i + 1;
	}
	return low;
}
