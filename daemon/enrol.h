/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enrolment of one BLE instrument: what happens from the moment when an operator opens the window until the
 * instrument is somebody's. A state machine; what it wants done it asks of its `ops` (enrol_gateway.c), and `now`
 * is a parameter.
 *
 *   CLOSED -> LOOKING -> SEEKING -> PREPARING -> PAIRING -> TRIAL -> WHOSE -> SAVING -> LOOKING (`last` says how)
 *
 * During the trial the instrument is a device like any other, but marked as a test and written down nowhere:
 * whatever ends the process or the window ends it, too. Only WHOSE, answered by a person, makes it one that stays.
 */
#pragma once

#include "bluez_pair.h"
#include "enrol_judge.h"
#include "enrol_match.h"

#define ENROL_WINDOW_US (300 * INT64_C(1000000)) /* each step begins it anew */
#define ENROL_LEASE_US \
	(15 * INT64_C(1000000)) /* a companion that does not ask for so long is gone */
#define ENROL_RETRY_US (2 * INT64_C(1000000))
#define ENROL_TRIES_MAX 3
#define ENROL_RESIDENTS_MAX 8

enum enrol_phase {
	ENROL_CLOSED,
	ENROL_LOOKING,	 /* shows who advertises */
	ENROL_SEEKING,	 /* waits until the wished one advertises */
	ENROL_PREPARING, /* the store forgets who had its name before */
	ENROL_PAIRING,
	ENROL_TRIAL, /* waits for connection, identity, and a first reading, as a test */
	ENROL_WHOSE, /* a person says whose it is */
	ENROL_SAVING,
	ENROL_PHASES
};

struct enrol_wish {
	char address[18];
	char id[32];	 /* of the device to be; with `replaces` of the one that is there */
	char driver[24]; /* "" = as recognised */
	bool replaces;	 /* it takes the place of `id`, whose residents it keeps */
	bool no_reading;
	bool refused; /* it refuses the keys that are here: they are of no use */
};

struct enrol_whose {
	char station[32]; /* "" = none */
	unsigned n;	  /* none: nobody's yet */
	struct {
		char resident[32];
		int slot; /* -1: the device is this resident's alone */
	} of[ENROL_RESIDENTS_MAX];
};

/* What is so with the device on trial. */
struct enrol_facts {
	const char *link, *says; /* as in struct enrol_known; "" = not running yet */
	bool reading; /* one came and was committed, and what its memory held is told, too */
	bool gone;    /* the files took its name or address for something else */
	enum enrol_state verdict;
	const char *other; /* id that the verdict names; "" */
};

struct enrol_ops {
	void (*scan)(void *arg, bool on);
	const struct bluez_seen *(*find)(void *arg, const char *address);
	/* The model that `d` is by what it advertises; fills driver and options. NULL: unknown. */
	const struct vg_model *(*recognise)(
		void *arg, const struct bluez_seen *s, struct config_device *d);
	int (*bonded)(void *arg, const char *address); /* bluez_bonded() */
	int (*pair)(void *arg, const char *address); /* answered by enrol_asked(), enrol_paired() */
	int (*passkey)(void *arg, uint32_t passkey);
	int (*confirm)(void *arg, bool same);
	void (*pair_cancel)(void *arg);
	void (*forget)(void *arg, const char *address); /* the bond, sooner or later */
	/* The device named `id` runs as `d` says; NULL: not at all. -errno with `error`. */
	int (*run)(
		void *arg, const char *id, const struct config_device *d, char *error, size_t size);
	/* Answered by enrol_prepared(), enrol_saved() with `serial`, never from inside. -ENOMEM. */
	int (*prepare)(void *arg, uint32_t serial, const struct config_device *d, bool replaces);
	int (*save)(void *arg, uint32_t serial, const struct config_device *d,
		const struct enrol_whose *w, bool replaces);
};

struct enrol {
	const struct enrol_ops *ops;
	void *arg;
	enum enrol_phase phase;
	uint32_t window; /* number of the open window; 0 = none was opened yet */
	char author[64];
	int64_t until_us, asked_us; /* end of the window; when the companion last asked */
	/* the instrument in hand */
	struct enrol_wish wish;
	struct config_device before, device, final; /* what it replaces; on trial; as it stays */
	const struct vg_model *model;		    /* NULL: unknown */
	uint32_t serial;			    /* of what was asked of the store last */
	bool prepared, must_pair, made_bond;
	bool runs;    /* the device of the trial */
	bool changed; /* the configuration is another one than before */
	unsigned refusals, failures, bonds_lost;
	int64_t retry_us;
	bool asks; /* the pairing waits for a person: */
	enum bluez_pair_ask ask;
	uint32_t passkey;
	enum enrol_state note;		/* what went wrong on the way */
	char error[256], error_zh[256]; /* what was refused last; "" */
	/* the one before */
	char last_id[32], last_other[32];
	enum enrol_state last;
};

const char *enrol_phase_name(enum enrol_phase p);
/* Is an instrument in hand? */
static inline bool enrol_busy(const struct enrol *e)
{
	return e->phase > ENROL_LOOKING;
}

/* -EBUSY: there is one open. */
int enrol_open(struct enrol *e, const char *author, int64_t now_us);
/* The companion is still there. */
void enrol_asked_for(struct enrol *e, int64_t now_us);
/* `before`: the device that is replaced, else NULL. -EPERM: no window; -EBUSY: one is in hand. */
int enrol_begin(struct enrol *e, const struct enrol_wish *w, const struct config_device *before,
	int64_t now_us);
/* Answers to what the pairing asks. -ENOENT: it asks for nothing of the kind. */
int enrol_passkey(struct enrol *e, uint32_t passkey, int64_t now_us);
int enrol_confirm(struct enrol *e, bool same, int64_t now_us);
/* -EPERM: that is not the question now. */
int enrol_finish(struct enrol *e, const struct enrol_whose *w, int64_t now_us);
/* Gives up what is in hand: nothing of it is left. -EBUSY: it is being saved. */
int enrol_give_up(struct enrol *e, enum enrol_state why);
/* The same, and the window is closed. */
int enrol_close(struct enrol *e, enum enrol_state why);

void enrol_tick(struct enrol *e, const struct enrol_facts *f, int64_t now_us);
void enrol_prepared(struct enrol *e, uint32_t serial, int result, int64_t now_us);
void enrol_asked(struct enrol *e, enum bluez_pair_ask ask, uint32_t passkey);
/* `known`: as bluetoothd has it now that it is paired, or NULL; one with a private address has told another. */
void enrol_paired(struct enrol *e, int result, const struct bluez_seen *known, int64_t now_us);
/* `error`, `error_zh`: a sentence when `result` < 0. */
void enrol_saved(struct enrol *e, uint32_t serial, int result, const char *error,
	const char *error_zh, int64_t now_us);
