/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is wrong with an instrument's identity or bond, and what a person does about it: named states with a next
 * step, in Chinese and English. Pure. Nothing here trusts an advertised name or address.
 */
#pragma once

#include "bluez_scan.h"
#include "json.h"

enum enrol_state {
	ENROL_FINE,
	/* of instruments that are known */
	ENROL_BOND_LOST_THERE, /* it refuses our keys although bluetoothd has a bond */
	ENROL_BOND_LOST_HERE,  /* it wants keys, and bluetoothd has none for it */
	ENROL_RESET,	       /* at its address is one with another serial number, or none */
	ENROL_CLONED, /* two addresses say the same serial number: nothing of both is filed */
	/* of one that is being enrolled */
	ENROL_KNOWN,	       /* enrolled before */
	ENROL_ADDRESS_CHANGED, /* its serial number is known under another address */
	ENROL_NOT_THE_SAME,    /* it is to replace one that had another serial number */
	ENROL_UNKNOWN_MODEL,   /* no driver recognises it */
	ENROL_PAIRING_REFUSED, /* wrong passkey, not in pairing mode, or another host has it */
	ENROL_PAIRING_FAILED,  /* no answer, or bluetoothd went away */
	ENROL_TIME_OVER,
	ENROL_GIVEN_UP, /* by the operator */
	ENROL_REFUSED,	/* configuration or store do not take it; a sentence says why */
	/* of what advertises */
	ENROL_SAME_NAME, /* another one shows the same name */
	ENROL_STATES
};

struct enrol_advice {
	const char *name;			 /* stable: JSON */
	const char *en, *zh, *next_en, *next_zh; /* "{}" stands for the other instrument's id */
};
const struct enrol_advice *enrol_advice(enum enrol_state s);
/* "key":{"state","en","zh","next_en","next_zh"}, with "{}" replaced by `other` ("" = none). */
void enrol_advice_json(struct json *j, const char *key, enum enrol_state s, const char *other);

/* A device of the configuration. Texts are borrowed. */
struct enrol_known {
	const char *id, *address;
	const char *uid;  /* recorded with its first reading; "" = there was none yet */
	const char *says; /* what it said of itself when it was last connected; "" = never */
	const char *link; /* state of its transport */
	int bonded;	  /* bluez_bonded() */
};

/* Is this text ("sn:..", "sysid:..") an identity of its own, and not just its address? */
bool enrol_is_serial(const char *uid);
/* Known device `i` among all `n`. `ret_other`: the index of the other one, or `i`. */
enum enrol_state enrol_judge(const struct enrol_known *all, size_t n, size_t i, size_t *ret_other);
/* The device that is being enrolled, number `i` among all `n`, once it said who it is. `replaces`: it takes the
 * place of the one whose `uid` is recorded under its id. */
enum enrol_state enrol_judge_new(
	const struct enrol_known *all, size_t n, size_t i, bool replaces, size_t *ret_other);
/* What advertises as number `i` among `n`. */
enum enrol_state enrol_judge_seen(const struct bluez_seen *const *seen, size_t n, size_t i);
