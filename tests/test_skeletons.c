/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The contract on paper: drivers of tests/skeletons go through their exchanges in the daemon's own session
 * code. Then the streams among them, cut at every byte; and the table of every real driver.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "session_rig.h"
#include "skeletons/skeletons.h"

static int load(void **state)
{
	(void)state;
	char error[400];
	rig_codes = codes_load("config", error, sizeof(error));
	return rig_codes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	codes_free(rig_codes);
	return 0;
}

static size_t bytes_of(const char *text, uint8_t *out, size_t size)
{
	size_t len = strlen(text) / 2;
	assert_true(len <= size && unhex(out, len, text));
	return len;
}

static void step(struct rig *r, const struct skeleton_step *s, size_t *checked)
{
	uint8_t bytes[512];
	size_t len = bytes_of(s->hex, bytes, sizeof(bytes));
	switch (s->what) {
	case SKELETON_HEARD:
		assert_int_equal(*checked, r->n_sent); /* nothing unexpected was sent before */
		if (r->driver->bus == VG_BUS_GATT)
			session_value(r->session, (int)s->channel, bytes, len, false, &r->now);
		else
			rig_stream(r, bytes, len);
		break;
	case SKELETON_SENT:
		assert_int_equal(r->n_sent - *checked, len);
		assert_memory_equal(r->sent + *checked, bytes, len);
		assert_int_equal(r->sent_channel, s->channel);
		*checked = r->n_sent;
		break;
	case SKELETON_KEPT:
		assert_true(r->settled < r->n_units);
		rig_verdict(r, r->settled++, 0);
		break;
	case SKELETON_EXPIRED:
		assert_true(r->timer_ms > 0);
		r->timer_ms = 0;
		session_expired(r->session, &r->now);
		break;
	case SKELETON_END:
		break;
	}
}

static void count(const struct rig *r, struct skeleton_exchange *found)
{
	for (unsigned i = 0; i < r->n_units; i++) {
		for (const struct reading *x = r->units[i]->readings; x; x = x->next)
			found->readings++;
		for (const struct mark *m = r->units[i]->marks; m; m = m->next)
			found->marks++;
		for (const struct happening *e = r->units[i]->events; e; e = e->next) {
			bool identity = streq(e->type, "identity_presented");
			found->identities += identity;
			found->events += !identity;
		}
		found->studies += r->units[i]->study.len > 0;
		found->study_bytes += r->units[i]->study.len;
	}
}

static void run(unsigned index)
{
	const struct skeleton_exchange *x = &skeleton_exchanges[index];
	struct skeleton_exchange found = {0};
	struct rig r = rig_new(skeletons[index]);
	size_t checked = 0;
	r.mark_key = x->mark_key;
	r.mark_len = x->mark_key ? bytes_of(x->mark_hex, r.mark, sizeof(r.mark)) : 0;
	assert_non_null(rig_open(&r));
	for (const struct skeleton_step *s = x->steps; s->what != SKELETON_END; s++) {
		print_message("# %s step %zu\n", r.driver->name, (size_t)(s - x->steps));
		step(&r, s, &checked);
	}
	assert_int_equal(checked, r.n_sent);
	count(&r, &found);
	assert_int_equal(found.readings, x->readings);
	assert_int_equal(found.events, x->events);
	assert_int_equal(found.identities, x->identities);
	assert_int_equal(found.marks, x->marks);
	assert_int_equal(found.studies, x->studies);
	assert_int_equal(found.study_bytes, x->study_bytes);
	rig_close(&r);
}

#define SKELETON(index, which)                                                   \
	static void test_##which(void **state)                                   \
	{                                                                        \
		(void)state;                                                     \
		assert_string_equal(skeletons[index]->name, "skeleton_" #which); \
		run(index);                                                      \
	}
SKELETON(0, glucose)
SKELETON(1, pmstore)
SKELETON(2, spo2)
SKELETON(3, idcard)

static void test_all_of_them(void **state)
{
	(void)state;
	assert_null(skeletons[4]);
}

/* cut at every byte */

/* What the steps say that the instrument sends, one after the other. */
static size_t whole_stream(unsigned index, uint8_t *out, size_t size)
{
	size_t n = 0;
	for (const struct skeleton_step *s = skeleton_exchanges[index].steps;
		s->what != SKELETON_END; s++)
		if (s->what == SKELETON_HEARD)
			n += bytes_of(s->hex, out + n, size - n);
	return n;
}

/* `piece` 0: at `at` only; else into pieces of that size. */
static void run_cut(unsigned index, const uint8_t *bytes, size_t len, size_t at, size_t piece,
	char *trace, size_t size)
{
	struct rig r = rig_new(skeletons[index]);
	assert_non_null(rig_open(&r));
	for (size_t i = 0, n; i < len; i += n) {
		n = piece ? MIN(piece, len - i) : i < at ? at : len - i;
		rig_stream(&r, bytes + i, n);
	}
	session_flush(r.session, &r.now);
	rig_trace(&r, trace, size - 32);
	snprintf(trace + strlen(trace), 32, " %zu sent", r.n_sent);
	rig_close(&r);
}

static void test_cuts(void **state)
{
	(void)state;
	for (unsigned k = 0; skeletons[k]; k++) {
		uint8_t bytes[1024];
		char whole[8192], cut[8192];
		if (skeletons[k]->bus != VG_BUS_STREAM)
			continue;
		size_t len = whole_stream(k, bytes, sizeof(bytes));
		run_cut(k, bytes, len, len, 0, whole, sizeof(whole));
		assert_true(len > 10 && strlen(whole) > 10);
		for (size_t i = 1; i < len; i++) {
			run_cut(k, bytes, len, i, 0, cut, sizeof(cut));
			assert_string_equal(cut, whole);
		}
		for (size_t piece = 1; piece < 20; piece++) {
			run_cut(k, bytes, len, 0, piece, cut, sizeof(cut));
			assert_string_equal(cut, whole);
		}
	}
}

/* the real ones */

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; vg_drivers[i]; i++) {
		const struct vg_driver *d = vg_drivers[i];
		print_message("# %s\n", d->name);
		assert_ptr_equal(drivers_find(NULL, d->name), d); /* and no name twice */
		assert_true(d->name[0] && d->title && d->title_zh && d->version && d->heard);
		if (d->bus == VG_BUS_STREAM) {
			assert_non_null(d->frame);
			assert_in_range(d->frame_max, 1, VG_FRAME_MAX);
			assert_int_equal(d->n_channels, 0);
		}
		for (size_t k = 0; k < d->n_channels; k++) {
			assert_non_null(d->channels[k].name);
			assert_true(d->channels[k].use != 0);
			for (size_t m = 0; m < k; m++)
				assert_string_not_equal(d->channels[m].name, d->channels[k].name);
		}
		assert_true(d->bus == VG_BUS_STREAM || d->n_channels > 0);
		for (size_t k = 0; k < d->n_options; k++) {
			const struct vg_option *o = &d->options[k];
			bool fits = !o->choices;
			assert_true(o->name && o->fallback && o->help);
			for (size_t m = 0; o->choices && o->choices[m]; m++)
				fits |= streq(o->choices[m], o->fallback);
			assert_true(fits);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glucose),
		cmocka_unit_test(test_pmstore),
		cmocka_unit_test(test_spo2),
		cmocka_unit_test(test_idcard),
		cmocka_unit_test(test_all_of_them),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_tables),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("skeletons", tests, load, unload);
}
