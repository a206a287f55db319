/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enrol.h"

#include "util.h"

#include <errno.h>

const char *enrol_phase_name(enum enrol_phase p)
{
	static const char *const names[ENROL_PHASES] = {
		"closed", "looking", "seeking", "preparing", "pairing", "trial", "whose", "saving"};
	return names[p];
}

/* Discovery delays pairing and connects: it runs only while somebody is looked for. */
static void enter(struct enrol *e, enum enrol_phase p)
{
	bool scanned = e->phase == ENROL_LOOKING || e->phase == ENROL_SEEKING;
	bool scans = p == ENROL_LOOKING || p == ENROL_SEEKING;
	e->phase = p;
	e->asks = false;
	if (scans != scanned)
		e->ops->scan(e->arg, scans);
}

static void extend(struct enrol *e, int64_t now_us)
{
	e->until_us = now_us + ENROL_WINDOW_US;
	e->asked_us = now_us;
}

static void refuse(struct enrol *e, const char *error, const char *error_zh)
{
	text_copy(e->error, sizeof(e->error), error, strlen(error));
	text_copy(e->error_zh, sizeof(e->error_zh), error_zh, strlen(error_zh));
}

int enrol_open(struct enrol *e, const char *author, int64_t now_us)
{
	if (e->phase != ENROL_CLOSED)
		return -EBUSY;
	e->window++;
	text_copy(e->author, sizeof(e->author), author, strlen(author));
	extend(e, now_us);
	e->last = ENROL_FINE;
	e->last_id[0] = e->last_other[0] = 0;
	refuse(e, "", "");
	enter(e, ENROL_LOOKING);
	return 0;
}

void enrol_asked_for(struct enrol *e, int64_t now_us)
{
	e->asked_us = now_us;
}

/* the beginning */

int enrol_begin(struct enrol *e, const struct enrol_wish *w, const struct config_device *before,
	int64_t now_us)
{
	if (e->phase != ENROL_LOOKING)
		return e->phase == ENROL_CLOSED ? -EPERM : -EBUSY;
	e->wish = *w;
	e->device = (struct config_device){0};
	e->before = before ? *before : (struct config_device){0};
	e->model = NULL;
	e->prepared = e->must_pair = e->made_bond = e->runs = e->changed = false;
	e->refusals = e->failures = e->bonds_lost = 0;
	e->retry_us = 0;
	e->note = e->last = ENROL_FINE;
	e->last_id[0] = e->last_other[0] = 0;
	refuse(e, "", "");
	extend(e, now_us);
	enter(e, ENROL_SEEKING);
	return 0;
}

/* The end of what is in hand, as it was before. */
static void undo(struct enrol *e)
{
	char error[256];
	if (e->phase == ENROL_PAIRING)
		e->ops->pair_cancel(e->arg);
	if (e->changed)
		e->ops->run(e->arg, e->device.id, e->wish.replaces ? &e->before : NULL, error,
			sizeof(error));
	e->runs = e->changed = false;
	if (e->made_bond)
		e->ops->forget(e->arg, e->device.address);
	e->made_bond = false;
}

static void tell_last(struct enrol *e, enum enrol_state s, const char *other)
{
	e->last = s;
	memcpy(e->last_id, e->wish.id, sizeof(e->last_id));
	text_copy(e->last_other, sizeof(e->last_other), other, strlen(other));
}

static void fail(struct enrol *e, enum enrol_state s, const char *other)
{
	undo(e);
	tell_last(e, s, other);
	enter(e, ENROL_LOOKING);
}

int enrol_give_up(struct enrol *e, enum enrol_state why)
{
	if (e->phase == ENROL_SAVING)
		return -EBUSY;
	if (enrol_busy(e))
		fail(e, why, "");
	return 0;
}

int enrol_close(struct enrol *e, enum enrol_state why)
{
	int rc = enrol_give_up(e, why);
	if (rc >= 0)
		enter(e, ENROL_CLOSED);
	return rc;
}

/* pairing */

static void seek_again(struct enrol *e, enum enrol_state note, int64_t now_us)
{
	e->note = note;
	e->retry_us = now_us + ENROL_RETRY_US;
	enter(e, ENROL_SEEKING);
}

static void start_trial(struct enrol *e, int64_t now_us)
{
	enter(e, ENROL_TRIAL);
	extend(e, now_us);
	e->device.pairing = e->must_pair;
	int rc = e->ops->run(e->arg, e->device.id, &e->device, e->error, sizeof(e->error));
	e->runs = rc >= 0;
	e->changed |= e->runs;
	if (rc < 0)
		fail(e, ENROL_REFUSED, "");
}

/* Our own link to it would be in the way: to that of the trial, or of the one that it replaces. */
static void let_go(struct enrol *e)
{
	char error[256];
	if (e->runs || (e->wish.replaces && !e->changed))
		e->ops->run(e->arg, e->device.id, NULL, error, sizeof(error));
	e->changed |= e->wish.replaces;
	e->runs = false;
}

static void pair(struct enrol *e, int64_t now_us)
{
	let_go(e);
	enter(e, ENROL_PAIRING);
	int rc = e->ops->pair(e->arg, e->device.address);
	if (rc < 0)
		seek_again(e, ENROL_PAIRING_FAILED, now_us);
}

/* The keys that are here are none of its own. */
static void drop_bond(struct enrol *e, int64_t now_us)
{
	bool bonded = e->ops->bonded(e->arg, e->device.address) == 1;
	if (bonded)
		e->ops->forget(e->arg, e->device.address);
	e->must_pair = true;
	seek_again(e, bonded ? ENROL_BOND_LOST_THERE : ENROL_BOND_LOST_HERE, now_us);
}

/* It advertises, and the store is ready for it. */
static void go_on(struct enrol *e, int64_t now_us)
{
	if (e->wish.refused) {
		e->wish.refused = false;
		drop_bond(e, now_us);
		return;
	}
	if (e->must_pair && e->ops->bonded(e->arg, e->device.address) != 1)
		pair(e, now_us);
	else
		start_trial(e, now_us);
}

void enrol_asked(struct enrol *e, enum bluez_pair_ask ask, uint32_t passkey)
{
	e->asks = e->phase == ENROL_PAIRING;
	e->ask = ask;
	e->passkey = passkey;
}

int enrol_passkey(struct enrol *e, uint32_t passkey, int64_t now_us)
{
	if (!e->asks || e->ask != BLUEZ_PAIR_TYPE_PASSKEY)
		return -ENOENT;
	e->asks = false;
	extend(e, now_us);
	return e->ops->passkey(e->arg, passkey);
}

int enrol_confirm(struct enrol *e, bool same, int64_t now_us)
{
	if (!e->asks || e->ask != BLUEZ_PAIR_COMPARE)
		return -ENOENT;
	e->asks = false;
	extend(e, now_us);
	return e->ops->confirm(e->arg, same);
}

static void take_address(struct config_device *d, const struct bluez_seen *s)
{
	memcpy(d->address, s->address, sizeof(s->address));
	d->random_address = s->random;
}

void enrol_paired(struct enrol *e, int result, const struct bluez_seen *known, int64_t now_us)
{
	if (e->phase != ENROL_PAIRING)
		return;
	/* bluetoothd went away, or does not know it yet: nothing was tried */
	if (result < 0 && e->ops->bonded(e->arg, e->device.address) < 0) {
		seek_again(e, ENROL_PAIRING_FAILED, now_us);
		return;
	}
	switch (result) {
	case 0:
		e->made_bond = true;
		if (known)
			take_address(&e->device, known);
		start_trial(e, now_us);
		return;
	case -EALREADY:
		start_trial(e, now_us);
		return;
	case -EACCES:
		if (++e->refusals < ENROL_TRIES_MAX)
			seek_again(e, ENROL_PAIRING_REFUSED, now_us);
		else
			fail(e, ENROL_PAIRING_REFUSED, "");
		return;
	default:
		if (++e->failures < ENROL_TRIES_MAX)
			seek_again(e, ENROL_PAIRING_FAILED, now_us);
		else
			fail(e, ENROL_PAIRING_FAILED, "");
	}
}

/* It wants keys: it is paired now, or anew when the keys that are here are none of its own any more. */
static void wants_keys(struct enrol *e, int64_t now_us)
{
	if (++e->bonds_lost == ENROL_TRIES_MAX) {
		fail(e, ENROL_BOND_LOST_THERE, "");
		return;
	}
	let_go(e);
	drop_bond(e, now_us);
}

static const char taken[] = "vitalgate.yaml names its id or address now";

/* the steps */

static void seek(struct enrol *e, int64_t now_us)
{
	const struct bluez_seen *s =
		now_us < e->retry_us ? NULL : e->ops->find(e->arg, e->wish.address);
	if (!s)
		return;
	if (e->prepared) {
		go_on(e, now_us);
		return;
	}
	struct config_device *d = &e->device;
	*d = (struct config_device){
		.transport = TRANSPORT_BLE, .test = !e->wish.replaces, .trial = true};
	memcpy(d->id, e->wish.id, sizeof(d->id));
	memcpy(d->driver, e->wish.driver, sizeof(d->driver));
	take_address(d, s);
	e->model = e->ops->recognise(e->arg, s, d);
	if (!d->driver[0]) {
		fail(e, ENROL_UNKNOWN_MODEL, "");
		return;
	}
	/* A private address changes within minutes: only who is bonded can be found again. */
	bool private = s->random && !strchr("CDEF", s->address[0]);
	e->must_pair = private || (e->model && e->model->pairing);
	if (e->must_pair) /* a bond is of one adapter */
		memcpy(d->adapter, s->adapter, sizeof(d->adapter));
	enter(e, ENROL_PREPARING);
	if (e->ops->prepare(e->arg, ++e->serial, d, e->wish.replaces) < 0)
		enrol_prepared(e, e->serial, -ENOMEM, now_us);
}

void enrol_prepared(struct enrol *e, uint32_t serial, int result, int64_t now_us)
{
	if (e->phase != ENROL_PREPARING || serial != e->serial)
		return;
	if (result < 0) {
		refuse(e, strerror(-result), "存储失败");
		fail(e, ENROL_REFUSED, "");
		return;
	}
	e->prepared = true;
	go_on(e, now_us);
}

static void try_it(struct enrol *e, const struct enrol_facts *f, int64_t now_us)
{
	if (streq(f->link, "unpaired")) {
		wants_keys(e, now_us);
		return;
	}
	if (f->says[0] && f->verdict != ENROL_FINE) {
		fail(e, f->verdict, f->other);
		return;
	}
	if (!f->says[0] || (!f->reading && !e->wish.no_reading && !e->wish.replaces))
		return;
	enter(e, ENROL_WHOSE);
	extend(e, now_us);
}

void enrol_tick(struct enrol *e, const struct enrol_facts *f, int64_t now_us)
{
	if (e->phase == ENROL_CLOSED || e->phase == ENROL_SAVING)
		return;
	if (now_us >= e->until_us || now_us - e->asked_us >= ENROL_LEASE_US) {
		enrol_close(e, ENROL_TIME_OVER);
		return;
	}
	if (f->gone) {
		refuse(e, taken, "vitalgate.yaml 已使用其名称或地址");
		fail(e, ENROL_REFUSED, "");
	} else if (e->phase == ENROL_SEEKING)
		seek(e, now_us);
	else if (e->phase == ENROL_TRIAL)
		try_it(e, f, now_us);
	else if (e->phase == ENROL_WHOSE && f->says[0] && f->verdict != ENROL_FINE)
		fail(e, f->verdict, f->other);
}

/* the end */

int enrol_finish(struct enrol *e, const struct enrol_whose *w, int64_t now_us)
{
	if (e->phase != ENROL_WHOSE)
		return -EPERM;
	struct config_device *d = &e->final;
	*d = e->device;
	d->trial = d->test = false;
	d->enrolled = true;
	if (e->wish.replaces) /* what takes over stands where the other one stood */
		memcpy(d->station, e->before.station, sizeof(d->station));
	if (w->station[0])
		memcpy(d->station, w->station, sizeof(d->station));
	refuse(e, "", "");
	extend(e, now_us);
	enter(e, ENROL_SAVING);
	int rc = e->ops->save(e->arg, ++e->serial, d, w, e->wish.replaces);
	if (rc < 0)
		enter(e, ENROL_WHOSE);
	return rc;
}

void enrol_saved(struct enrol *e, uint32_t serial, int result, const char *error,
	const char *error_zh, int64_t now_us)
{
	if (e->phase != ENROL_SAVING || serial != e->serial)
		return;
	extend(e, now_us);
	if (result < 0) { /* asked again */
		refuse(e, error, error_zh);
		enter(e, ENROL_WHOSE);
		return;
	}
	result = e->ops->run(e->arg, e->final.id, &e->final, e->error, sizeof(e->error));
	if (e->wish.replaces && !streq(e->before.address, e->final.address))
		e->ops->forget(e->arg, e->before.address);
	e->runs = e->changed = e->made_bond = false;
	tell_last(e, result < 0 ? ENROL_REFUSED : ENROL_FINE, "");
	enter(e, ENROL_LOOKING);
}
