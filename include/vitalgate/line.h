/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A profile of lines (config/profiles/NAME.yaml with `bus: line`) as the driver reads it: one flat block,
 * checked when it was made (daemon/profile_line.c). What each part means stands in drivers/README.md.
 * Upper and lower case of letters are the same everywhere.
 */
#pragma once

#include <vitalgate/driver.h>

#define VG_LINE_MAX 512		/* bytes of a line with STX and line end */
#define VG_LINE_PATTERNS_MAX 8	/* of each list */
#define VG_LINE_PATTERN_MAX 127 /* characters of one */
#define VG_LINE_FIELDS_MAX 16
#define VG_LINE_WORDS_MAX 48 /* words, bits and marks of all fields */
#define VG_LINE_WORD_MAX 11  /* characters of one */
#define VG_LINE_LISTED_MAX 4
#define VG_LINE_FLAG_MAX 23
#define VG_LINE_PIECES_MAX 99

enum vg_line_layout {
	VG_LINE_COLUMNS,   /* places are columns */
	VG_LINE_SEPARATED, /* places are pieces between separators */
	VG_LINE_PAIRS,	   /* pieces, and those with a key are found by it */
};

enum vg_line_what {
	VG_LINE_QUANTITY,
	VG_LINE_TIME,
	VG_LINE_FLAGS, /* words between blanks */
	VG_LINE_BITS,  /* a hexadecimal number */
	VG_LINE_ERROR,
	VG_LINE_PATIENT,
};

/* A word of FLAGS, a bit of BITS, or a text behind a number (`marks`). */
struct vg_line_word {
	char text[VG_LINE_WORD_MAX + 1]; /* "": a bit */
	uint32_t bit;
	uint16_t flags; /* bit i: struct vg_line's flags[i]; 0: it says nothing about the numbers */
};

struct vg_line_field {
	uint8_t what; /* enum vg_line_what */
	bool optional;
	char key[16];	   /* PAIRS; "": by its place */
	uint16_t from, to; /* counted from 1; to 0: all the rest */
	/* QUANTITY */
	char kind[32], unit[16];
	struct vg_decimal scale; /* 1, or what the number is multiplied with */
	/* QUANTITY: texts for "not measured". ERROR: texts for "no error". */
	char listed[VG_LINE_LISTED_MAX][VG_LINE_WORD_MAX + 1];
	uint8_t n_listed;
	char format[32];       /* TIME: as in pattern.h */
	uint8_t word, n_words; /* in words[] */
	bool other_known; /* FLAGS: words that are not listed mean `other`; else the line is bad */
	uint16_t other;
};

struct vg_line_note {
	char key[16], text[VG_TEXT_MAX + 1];
};

struct vg_line {
	char kind[16];	/* of the readings or samples */
	bool samples;	/* a line is a moment of a running measurement, and no reading */
	bool live;	/* a line comes as it is measured, never out of a memory */
	bool stx;	/* a line without STX before it has lost its head */
	uint8_t layout; /* enum vg_line_layout */
	char separator; /* 0: runs of blanks and tabs */
	char assign;	/* PAIRS: between key and value */
	uint16_t pieces_min, pieces_max; /* 0: any number */
	/* Patterns (pattern.h) for a whole line; the first empty one ends a list. */
	char match[VG_LINE_PATTERNS_MAX][VG_LINE_PATTERN_MAX + 1];
	char ignore[VG_LINE_PATTERNS_MAX][VG_LINE_PATTERN_MAX + 1];
	struct vg_line_field fields[VG_LINE_FIELDS_MAX];
	size_t n_fields;
	struct vg_line_word words[VG_LINE_WORDS_MAX];
	char flags[VG_FLAGS_MAX][VG_LINE_FLAG_MAX + 1];
	size_t n_flags;
	uint16_t without_value; /* with one of these flags the numbers of the line mean nothing */
	struct vg_line_note notes[VG_NOTES_MAX];
	size_t n_notes;
};

/* The table that profiles copy and give a name and a `profile` (struct vg_line). Its options are those of samples.
 */
extern const struct vg_driver vg_line;
