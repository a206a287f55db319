/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state machine of enrolment (enrol.h) put to work: bluetoothd, devices, store and clock. Loop thread. */
#pragma once

#include "enrol.h"
#include "gateway.h"
#include "json.h"

struct enrolment;

/* Made when it is first needed; -errno. */
int enrolment_of(struct gateway *g, struct enrolment **ret);
void enrolment_free(struct enrolment *n);
struct enrol *enrolment_machine(struct enrolment *n);
/* Opens the window; audited. As enrol_open(). */
int enrolment_open(struct enrolment *n, const char *author, int64_t now_us);
/* The test reading as JSON; NULL: none yet. */
const char *enrolment_reading(const struct enrolment *n);

/* Those that advertise; each keeps its number as long as the window is open. */
struct enrolment_seen {
	unsigned number;
	const struct bluez_seen *seen;
	const struct vg_model *model; /* NULL: nobody recognises it */
	const struct vg_driver *driver;
	const char *known; /* its id when it is configured; else NULL */
	enum enrol_state state;
};
size_t enrolment_seen(struct enrolment *n, struct enrolment_seen *ret, size_t max);
/* The address behind a number of the list, or the address itself in capitals. False: neither. */
bool enrolment_address(const struct enrolment *n, const char *text, char *ret, size_t size);
/* One word about bluetoothd: bluez_state(). */
const char *enrolment_bluetooth(const struct enrolment *n);

/* Does the configured device `id` refuse our keys? */
bool enrolment_refused(struct gateway *g, const char *id);
/* Is it known who it is? It is since its first reading. */
bool enrolment_has_uid(struct gateway *g, const char *id);

/* "conditions":{"cuff-1":{"state","en","zh","next_en","next_zh"}}: what is wrong with the configured ones. */
void enrolment_conditions(struct gateway *g, struct json *j);
/* A bond that is not needed any more: bluetoothd drops it, as soon as there is one. */
void enrolment_forget(struct enrolment *n, const char *address);
