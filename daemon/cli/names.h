/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's words in the languages of people. The words of alerts are daemon/alert_say.h's, the kinds of numbers those
 * of config/codes.csv; everything else that a reply may carry stands here, once. What has no name is shown as it is.
 * tests/test_names_cli.py looks that none is missing.
 */
#pragma once

#include "cli.h"

enum name {
	NAME_EVIDENCE, /* why this resident, or why nobody */
	NAME_TRUST,    /* how far a time can be trusted */
	NAME_PURPOSE,  /* of a check-in */
	NAME_NOTE,     /* what is noted beside a reading, and the keys of these notes */
	NAME_EVENT,
	NAME_DEVICE, /* how it stands with an instrument, and with Bluetooth */
	NAME_ACK,    /* how an instrument is told that its reading is kept */
	NAME_SINK,   /* how it stands with a platform, and with the store */
	NAME_OBJECT, /* what is sent to it */
	NAME_STUDY_STATUS,
	NAME_STUDY, /* how it stands between an ECG and the centre: what a person does about it */
	NAME_DELIVERY, /* how far an alert has come */
	NAME_MEMBER,   /* keys of what is said of a resident */
	NAME_RESIDENT, /* states */
	NAME_LIMIT,    /* states of a personal limit */
	NAME_SEX,
	NAME_TRAIT, /* programmes, populations, conditions, settings */
	NAME_STAFF, /* what a member of a team is, and when */
	NAME_FORM,
	NAME_BRIEF, /* forms as commands name them: "htn" */
	NAME_VISIT, /* states */
	NAME_WAY,   /* how a visit is held */
	NAME_LIST,  /* lists of what is due, their reasons and levels */
	NAME_RATE,  /* counts of a month */
	NAME_FILL,  /* why a field is as it is */
	NAME_WHY,   /* why there is no class, or no answer whether the goal is reached */
	NAME_REFERRAL,
	NAME_CLASS,
	NAME_MEASURE, /* what to do next */
	NAME_VERDICT, /* on a week at home */
	NAMES
};

/* `word` NULL: "". */
const char *name_of(enum name list, const char *word, bool chinese);
/* "Systolic blood pressure", 收缩压. */
const char *name_kind(const struct cli *cli, const char *kind);
/* "mmHg", 次/分: for "mm[Hg]", "/min". */
const char *name_unit(const struct cli *cli, const char *unit);
struct code;
/* NULL: the tables do not have it, or cannot be read. */
const struct code *name_code(const struct cli *cli, const char *kind);

/* Where the tables of codes may be, the best place first; NULL behind the last. */
const char *names_tables(const struct cli *cli, unsigned index);
