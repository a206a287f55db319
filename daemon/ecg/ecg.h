/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One recording of an ECG as a reader understood it, and the readers. Everything here runs in the
 * sandboxed program vitalgate-ecg (main.c): no files, no network, no clock. What goes in is
 * hostile, what comes out is the JSON of ecg_json().
 *
 * A reader never guesses: what it cannot know is absent, what it cannot decode is named in
 * `warnings`, and a file that contradicts itself is rejected with its reason. The original is kept
 * by the daemon either way.
 */
#pragma once

#include "../json.h"
#include "../util.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vitalgate/driver.h>

#define ECG_BYTES_MAX (4 * 1024 * 1024)	 /* longest original */
#define ECG_LEADS_MAX 64		 /* stored and derived */
#define ECG_LEAD_SAMPLES_MAX 1000000	 /* of one lead */
#define ECG_SAMPLES_MAX 4000000		 /* of all leads */
#define ECG_SAMPLE_LIMIT ((1 << 23) - 1) /* greatest magnitude of a sample, in LSB */
#define ECG_LINES_MAX 512		 /* two sections of 255 */
#define ECG_WARNINGS_MAX 32
#define ECG_TEXT_MAX 256     /* bytes of a short text with its NUL: an id, a name, a model */
#define ECG_ABSENT INT32_MIN /* of an optional number */

struct ecg_lead {
	char name[16];	    /* "I", "aVR", "V1", "lead-101" */
	bool derived;	    /* computed from I and II */
	bool truncated;	    /* fewer samples than the file declares */
	uint32_t n;	    /* samples there are, at most the room it was added with */
	int32_t *samples;   /* LSB; owned; NULL when n is 0 */
	int64_t pv_per_lsb; /* picovolts; 0: unknown */
};

/* A text of the interpretation. `type` is NULL: a line of the report; "coded", "text", "logic"
 * (static), "" when it is not known: a statement. */
struct ecg_line {
	const char *type;
	char *text; /* UTF-8, owned */
};

struct ecg_amount {
	int32_t value;	  /* ECG_ABSENT: none */
	const char *unit; /* UCUM, static */
};

struct ecg {
	const char *format;   /* static: "scp", "aecg", "ecg90a", "dicom", "pdf", "unknown" */
	const char *rejected; /* static code, why this file is not taken; NULL: it is */
	char detail[160];     /* of `rejected`, English */
	size_t bytes;	      /* length of the original */

	char id[ECG_TEXT_MAX], last_name[ECG_TEXT_MAX],
		first_name[ECG_TEXT_MAX]; /* UTF-8; "" absent */
	char sex;			  /* 'M', 'F', 0 */
	struct vg_civil birth;		  /* year 0: unknown */
	struct ecg_amount age, height, weight;
	int32_t urgency; /* SCP tag 24, ECG_ABSENT */

	struct vg_civil acquired; /* year 0: unknown */
	int32_t tz_min;		  /* minutes east of UTC, as the file says; ECG_ABSENT */

	char manufacturer[ECG_TEXT_MAX], model[ECG_TEXT_MAX], serial[ECG_TEXT_MAX],
		software[ECG_TEXT_MAX];
	int32_t mains_hz; /* 50, 60, ECG_ABSENT */

	int32_t high_pass_mhz; /* millihertz; ECG_ABSENT */
	int32_t low_pass_hz, notch_hz;
	bool artifact_filter, baseline_filter;

	int64_t interval_ns; /* from sample to sample; 0: unknown */
	int64_t pv_per_lsb;  /* of the leads, where they do not say other; 0: unknown */
	uint32_t room;	     /* samples that the leads have room for */
	unsigned n_leads;
	struct ecg_lead leads[ECG_LEADS_MAX];

	/* ms, /min and degrees; ECG_ABSENT: not computed */
	int32_t hr, rr, pr, p, qrs, qt, qtc, p_axis, qrs_axis, t_axis;
	const char *qtc_formula; /* static: "bazett", "hodges"; NULL */

	const char
		*status; /* static: "original", "confirmed", "overread"; NULL: no interpretation */
	struct vg_civil interpreted;
	unsigned n_lines;
	struct ecg_line lines[ECG_LINES_MAX];

	unsigned n_warnings;
	char warnings[ECG_WARNINGS_MAX][96]; /* "code" or "code: detail", English */
	bool failed;			     /* memory ran out */
};

/* An ecg in which everything is absent. `e` is large: not on the stack. */
void ecg_init(struct ecg *e);
void ecg_free(struct ecg *e); /* what it owns, not itself */

/* Each returns at once when it knows better than `format`: false, and `e` is untouched, when the
 * bytes are of another format. True: `e` is filled, perhaps rejected. */
bool scp_read(struct ecg *e, const uint8_t *bytes, size_t len);
bool aecg_read(struct ecg *e, const uint8_t *bytes, size_t len);
bool ecg90a_read(struct ecg *e, const uint8_t *bytes, size_t len);
bool dicom_read(struct ecg *e, const uint8_t *bytes, size_t len); /* metadata only */
bool pdf_read(struct ecg *e, const uint8_t *bytes, size_t len);	  /* that it is one */
/* All of the above in this order, else format "unknown". */
void ecg_read(struct ecg *e, const uint8_t *bytes, size_t len);

/* For readers. `code` is stable, `detail` may be NULL. The same warning twice is one; the first
 * rejection stays. */
void ecg_warn(struct ecg *e, const char *code, const char *detail);
void ecg_reject(struct ecg *e, const char *code, const char *detail);
/* A lead with room for `n` samples and none in it yet, of the recording's pv_per_lsb. NULL: memory,
 * or too many leads or samples (warned of). */
struct ecg_lead *ecg_add_lead(struct ecg *e, const char *name, uint32_t n);
/* Takes a copy of `text` (UTF-8). */
void ecg_add_line(struct ecg *e, const char *type, const char *text);
/* All leads away: what was decoded cannot be right. */
void ecg_drop_leads(struct ecg *e);
/* III, aVR, aVL, aVF from I and II, where they are missing. ecg_read() does it. */
void ecg_derive(struct ecg *e);

/* Text that does not name its charset; of a format that has UTF-8 and no other. */
enum { CHARSET_GUESS = 0, CHARSET_UTF8 = 0x100 };
/* Opens the converters, which read files: before the sandbox is closed. */
void ecg_text_init(void);
/*
 * Text up to its first NUL as UTF-8: each control character became a blank, blanks at both ends are
 * removed, cut at a whole character. `language` is SCP's language byte or one of the above. False:
 * the charset was guessed; pure ASCII needs no guess.
 */
bool ecg_text(char *out, size_t size, const uint8_t *bytes, size_t len, unsigned language);

/* The date exists and lies in these years; month and day are not 0. */
bool ecg_date_exists(const struct vg_civil *c, unsigned first_year, unsigned last_year);
bool ecg_time_exists(const struct vg_civil *c);

/* As JSON, one object; `samples`: at most so many of each lead. */
void ecg_json(const struct ecg *e, uint32_t samples, struct json *j);
