/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a session hands to intake: everything that one callback of a driver emitted, as one unit of work.
 * A unit is built on the loop, travels to the store thread, and comes back with its verdict.
 */
#pragma once

#include "clock.h"
#include "codes.h"
#include "json.h"
#include "store.h"
#include "util.h"

#include <stdbool.h>
#include <stdint.h>
#include <vitalgate/driver.h>

struct resident_decision; /* resident.h */

struct uuid {
	uint8_t bytes[16];
};

/* False: the column holds no id. */
static inline bool row_uuid(struct row *r, int column, struct uuid *ret)
{
	size_t len;
	const void *bytes = row_blob(r, column, &len);
	if (len != sizeof(ret->bytes))
		return false;
	memcpy(ret->bytes, bytes, len);
	return true;
}

struct quantity {
	const struct code *code;
	struct value value;
	char comparator; /* 0, '<', '>' */
	char received[24], received_unit[16];
};

struct note {
	const char *key;
	char text[VG_TEXT_MAX + 1];
};

struct bytes {
	uint8_t *at;
	size_t len;
};

/* The kind of readings that are of a place and never of a person. */
#define READING_ENVIRONMENT "environment"

struct reading {
	struct reading *next;
	struct uuid id;
	struct uuid content; /* hash of raw bytes and typed patient */
	const char *kind;
	bool has_taken, live;
	struct vg_civil taken;
	int user;
	int64_t seq;
	enum vg_status status;
	unsigned n_quantities, n_flags, n_notes;
	struct quantity quantities[VG_QUANTITIES_MAX];
	const char *flags[VG_FLAGS_MAX + 2]; /* the driver's and two of ours */
	struct note notes[VG_NOTES_MAX + 5]; /* the driver's and those of persons (person.h) */
	bool has_patient;
	char patient[VG_TEXT_MAX + 1]; /* as typed; never leaves memory */
	struct bytes raw;
	bool has_study; /* it was measured in one */
	struct uuid study;
	const struct resident_decision
		*of;	       /* whose that is, and so this; NULL: by its own evidence */
	const struct when *at; /* when it was, as a person says; NULL: by its own evidence */
};

struct happening {
	struct happening *next;
	char type[32];
	bool has_civil;
	struct vg_civil civil;
	int64_t value;
	char detail[96];
	struct bytes raw;
	bool has_card; /* identity_presented: the hash of a card (card.h), else a token: */
	uint8_t card[32];
	char token[32];
};

struct mark {
	struct mark *next;
	char key[16];
	uint8_t value[64];
	size_t len;
};

struct device; /* device.h */

struct unit {
	struct job job;
	struct device *device; /* loop only */
	uint64_t session;      /* generation: an answer for an older session is dropped */
	vg_ticket ticket;
	uint32_t serial; /* 1, 2 ... of the units of a session, those without a ticket too */
	int64_t device_row;
	char uid[96];
	const char *driver; /* static */
	uint16_t driver_version;
	const char *ack_mode; /* static: "held", "unheld", "none" */
	enum {
		PATIENT_FIELD_IGNORE,
		PATIENT_FIELD_TOKEN,
		PATIENT_FIELD_SAMPLE,
		PATIENT_FIELD_TYPED
	} patient_field;
	const char *
		place; /* what the device watches; borrowed from its configuration; NULL, "": nothing */
	const char *station; /* where it stands; likewise */
	bool stranger;	     /* the device says it is another one than was enrolled */
	bool test;
	int64_t arrived_us, boot_us;
	struct {
		const uint8_t *id; /* NULL: it arrived in this boot, at boot_us */
		int64_t us;
	} other_boot;	/* in which it arrived */
	int64_t set_us; /* by so much was our clock set ahead before the store took it */
	bool offset_known;
	int64_t offset_us;			     /* device clock minus ours */
	struct clock_epoch epochs[CLOCK_EPOCHS_MAX]; /* store thread */
	unsigned n_epochs;
	int64_t clock_set_us; /* when the device's clock was set in this session; 0: it was not */
	uint32_t counts[VG_RESULTS];
	struct reading *readings, **last_reading;
	struct happening *events, **last_event;
	struct mark *marks;
	struct bytes study; /* a file as it was recorded; len 0: none */
};

struct unit *unit_new(void);
void unit_free(struct unit *u);
/* NULL when memory is short. */
struct reading *unit_add_reading(struct unit *u);
struct happening *unit_add_event(struct unit *u, const char *type);
bool bytes_copy(struct bytes *dst, const uint8_t *src, size_t len);

/*
 * Fills `out` from what a driver says: canonical units, rounding, plausibility. VG_READING: it is good;
 * VG_UNSUPPORTED: unknown test or unit; VG_IMPLAUSIBLE: outside the range of the code table;
 * VG_MALFORMED: more than the contract allows. `why` (96 bytes) then says what, in English.
 */
enum vg_result reading_take(struct reading *out, const struct vg_reading *in, const char *driver,
	const struct codes *codes, char *why);

/* People type ID card and phone numbers into fields for specimens: all but their last three characters
 * are starred. */
void reading_mask(char *text);

/* id = hash(version, uid, driver, identity bytes); random when there are none. */
void reading_identify(struct reading *r, const char *uid, const char *driver,
	const uint8_t *identity, size_t len);
struct uuid uuid_of(const char *what, const void *bytes, size_t len);
struct uuid uuid_random(void);

/* "values":{..},"flags":[..],"notes":{..} into an open object; `full`: with what was received and the
 * WS/T, LOINC and MDC codes of each value. */
void reading_json_body(const struct reading *r, struct json *j, bool full);
