/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose reading is it? Pure: evidence in, decision out. Nothing is ever guessed: what is ambiguous,
 * contradictory or unproven belongs to nobody and goes to the unassigned inbox with its reason.
 */
#pragma once

#include "clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For a while after a device changed hands, a record without a usable time may be the former holder's. */
#define RESIDENT_HANDOVER_DOUBT_US (7 * INT64_C(86400) * CLOCK_SECOND_US)

struct resident_binding {
	int64_t resident;
	bool has_slot; /* false: the device belongs to this resident alone */
	int slot;
	int64_t from_us, to_us; /* to: INT64_MAX while it lasts */
};

/* Who was checked in where the instrument stands, when it measured (station.h). */
struct resident_station {
	enum {
		STATION_NOBODY,	 /* nobody; or the instrument stands at no station */
		STATION_ONE,	 /* `residents[0]` and nobody else */
		STATION_BETWEEN, /* several, or one and nobody, can have been there */
		STATION_UNDONE,	 /* only somebody who was taken back */
		STATION_NO_TIME, /* nobody can say when it was measured */
	} state;
	int64_t checkin;      /* one: its row */
	bool after;	      /* one: who it was became known after the measuring (health hut) */
	int64_t residents[2]; /* one, between: some of them, else 0 */
	bool has_patient_resident; /* between: whom the message names is one of them */
};

struct resident_evidence {
	bool test;     /* marked test: never anybody's */
	bool stranger; /* the device is not the one that was enrolled */
	bool conflict; /* the device told something else under the same identity before */
	struct when when;
	int64_t arrived_us;
	int user; /* slot or person-id told by the device; -1 */
	const struct resident_binding *bindings;
	size_t n_bindings;
	bool has_patient; /* the message names a patient, and the site says that it is a token */
	int64_t patient_resident; /* that resident; 0: no such token */
	bool patient_unproven;	  /* it was typed, and may be a slip of the finger */
	struct resident_station station;
};

/* Who says whose it is, when they do not agree. */
struct resident_claim {
	const char *by; /* stable word: "message", "station", "binding" */
	int64_t resident;
};
#define RESIDENT_CLAIMS_MAX 4

struct resident_decision {
	int64_t resident;     /* 0: nobody */
	const char *evidence; /* stable word: "device_binding", "user_slot", "checkin",
				 "identified_after", "message_token", or why not */
	const char *grade; /* "none", "device", "slot", "station", "message" (and "person", from a
				 command) */
	int64_t checkin;   /* row of the check-in that claims it and is not contradicted; 0: none */
	struct resident_claim claims[RESIDENT_CLAIMS_MAX]; /* that contradict each other */
	unsigned n_claims;
};

struct resident_decision resident_decide(const struct resident_evidence *e);
