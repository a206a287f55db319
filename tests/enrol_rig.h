/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state machine of enrolment over a bluetoothd, devices and a store that only take notes: r says what they do
 * and keeps what was asked of them.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "enrol.h"
#include "util.h"

#define ADDRESS "C0:00:00:00:00:01"
#define SECOND INT64_C(1000000)

static struct {
	struct enrol e;
	int64_t now;
	bool scans, advertises, needs_pairing, unknown, pairs;
	int bonded; /* as bluez_bonded() */
	int pair_result, run_result;
	unsigned n_pairs, n_cancelled;
	const char *address; /* that it advertises; NULL: ADDRESS */
	const struct bluez_seen *paired_as;
	uint32_t passkey;
	bool same;
	struct config_device running; /* id "": nothing runs */
	struct config_device saved;
	struct enrol_whose whose;
	char forgotten[64];
	struct enrol_facts facts;
} r;

static inline void op_scan(void *arg, bool on)
{
	(void)arg;
	assert_true(on != r.scans);
	r.scans = on;
}

static inline const struct bluez_seen *op_find(void *arg, const char *address)
{
	static struct bluez_seen seen;
	(void)arg;
	seen = (struct bluez_seen){.random = true, .adapter = "hci0"};
	strcpy(seen.address, r.address ? r.address : ADDRESS);
	return r.advertises && r.scans && streq(address, seen.address) ? &seen : NULL;
}

static inline const struct vg_model *op_recognise(
	void *arg, const struct bluez_seen *s, struct config_device *d)
{
	static const struct vg_model paired = {.title = "x", .pairing = true},
				     open = {.title = "y"};
	(void)arg, (void)s;
	if (r.unknown)
		return NULL;
	strcpy(d->driver, "bt_blp");
	return r.needs_pairing ? &paired : &open;
}

static inline int op_bonded(void *arg, const char *address)
{
	(void)arg, (void)address;
	return r.bonded;
}

static inline int op_pair(void *arg, const char *address)
{
	(void)arg;
	assert_string_equal(address, r.address ? r.address : ADDRESS);
	assert_false(r.scans);		      /* discovery would delay it */
	assert_int_equal(r.running.id[0], 0); /* our own link would be in its way */
	r.n_pairs++;
	r.pairs = r.pair_result >= 0;
	return r.pair_result;
}

static inline int op_passkey(void *arg, uint32_t passkey)
{
	(void)arg;
	r.passkey = passkey;
	return 0;
}

static inline int op_confirm(void *arg, bool same)
{
	(void)arg;
	r.same = same;
	return 0;
}

static inline void op_pair_cancel(void *arg)
{
	(void)arg;
	r.n_cancelled++;
	r.pairs = false;
}

static inline void op_forget(void *arg, const char *address)
{
	(void)arg;
	size_t n = strlen(r.forgotten);
	snprintf(r.forgotten + n, sizeof(r.forgotten) - n, "%s ", address);
	r.bonded = 0;
}

static inline int op_run(
	void *arg, const char *id, const struct config_device *d, char *error, size_t size)
{
	(void)arg;
	if (r.run_result < 0) {
		snprintf(error, size, "it does not fit");
		return r.run_result;
	}
	r.running = d ? *d : (struct config_device){0};
	assert_true(!d || streq(d->id, id));
	return 0;
}

static inline int op_prepare(
	void *arg, uint32_t serial, const struct config_device *d, bool replaces)
{
	(void)arg, (void)serial, (void)replaces;
	assert_true(d->trial);
	return 0;
}

static inline int op_save(void *arg, uint32_t serial, const struct config_device *d,
	const struct enrol_whose *w, bool replaces)
{
	(void)arg, (void)serial, (void)replaces;
	r.saved = *d;
	r.whose = *w;
	return 0;
}

static const struct enrol_ops ops = {op_scan, op_find, op_recognise, op_bonded, op_pair, op_passkey,
	op_confirm, op_pair_cancel, op_forget, op_run, op_prepare, op_save};

static inline int setup(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	r.e = (struct enrol){.ops = &ops, .arg = &r.e};
	r.now = 1000 * SECOND;
	r.advertises = true;
	r.facts = (struct enrol_facts){.link = "", .says = "", .other = ""};
	return 0;
}

static inline void tick(void)
{
	r.now += SECOND / 4;
	enrol_asked_for(&r.e, r.now);
	enrol_tick(&r.e, &r.facts, r.now);
}

static inline void expect(enum enrol_phase p)
{
	assert_string_equal(enrol_phase_name(r.e.phase), enrol_phase_name(p));
	assert_true(r.scans == (p == ENROL_LOOKING || p == ENROL_SEEKING));
}

static inline void wait_for(enum enrol_phase p)
{
	for (int i = 0; i < 40 && r.e.phase != p; i++)
		tick();
	expect(p);
}

static inline void begin(const struct config_device *before)
{
	struct enrol_wish w = {.id = "cuff-2", .replaces = before};
	strcpy(w.address, r.address ? r.address : ADDRESS);
	assert_int_equal(enrol_open(&r.e, "local:nurse", r.now), 0);
	assert_int_equal(enrol_begin(&r.e, &w, before, r.now), 0);
}

static inline void prepare(void)
{
	wait_for(ENROL_PREPARING);
	enrol_prepared(&r.e, r.e.serial, 0, r.now);
}

/* bluetoothd is through with it. */
static inline void paired(int result)
{
	r.pairs = false;
	enrol_paired(&r.e, result, r.paired_as, r.now);
}

/* As far as the question whose it is. */
static inline void to_whose(void)
{
	begin(NULL);
	prepare();
	expect(ENROL_TRIAL);
	assert_true(r.running.test);
	r.facts = (struct enrol_facts){.link = "connected", .says = "sn:1", .other = ""};
	tick();
	expect(ENROL_TRIAL); /* a reading is wanted, too */
	r.facts.reading = true;
	wait_for(ENROL_WHOSE);
}

static inline void expect_nothing_left(void)
{
	assert_int_equal(r.running.id[0], 0);
	assert_false(r.pairs);
	assert_int_equal(r.saved.id[0], 0);
}
