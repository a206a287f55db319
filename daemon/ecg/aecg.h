/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the reader of HL7 aECG: where in the document it is, and what that place means. */
#pragma once

#include "ecg.h"

#define AECG_DEPTH_MAX 64    /* the deepest known file has 27 */
#define AECG_TEXT_BYTES 1024 /* of the text of one element; what follows is cut off */

enum aecg_element {
	EL_OTHER,
	EL_ACTIVITY_TIME,
	EL_ANNOTATION,
	EL_ANNOTATION_SET,
	EL_BIRTH,
	EL_CENTER,
	EL_CODE,
	EL_CONTROL,
	EL_DERIVATION,
	EL_DEVICE,
	EL_DIGITS,
	EL_EFFECTIVE_TIME,
	EL_FAMILY,
	EL_GENDER,
	EL_GIVEN,
	EL_ID,
	EL_INCREMENT,
	EL_LOW,
	EL_MODEL,
	EL_NAME,
	EL_OBSERVATION,
	EL_ORGANIZATION,
	EL_ORIGIN,
	EL_PERSON,
	EL_ROOT,
	EL_SCALE,
	EL_SEQUENCE,
	EL_SEQUENCE_SET,
	EL_SERIAL,
	EL_SERIES,
	EL_SERIES_AUTHOR,
	EL_SOFTWARE,
	EL_TRIAL_SUBJECT,
	EL_VALUE,
};

/* One open element, and what its <code> child says (aecg_data.c). */
struct aecg_frame {
	uint8_t element, code;
};

/* A decimal number as it is written: mantissa * 10^exponent. */
struct aecg_number {
	int64_t mantissa;
	int exponent;
	bool cut; /* it had more digits than the mantissa has */
};

/* The leads, while they come (aecg_wave.c). */
struct aecg_wave {
	bool timed;	     /* this sequence is the time base */
	char lead[16];	     /* name of the lead that this sequence is; "" none */
	int64_t interval_ns; /* of this set of sequences, 0 unknown */
	int64_t scale_pv;
	struct aecg_number scale, origin; /* in picovolts */
	bool origin_known;
	int32_t *samples;
	uint32_t n, room;
	int64_t value; /* of the number that is being read */
	bool negative, digit, sign, ended;
};

struct aecg {
	struct ecg *e;
	unsigned depth;
	struct aecg_frame frames[AECG_DEPTH_MAX + 1]; /* [0]: outside of the root */
	unsigned wanted, n_series;		      /* number of the series that is taken */
	unsigned skipped;			      /* depth of one that is not; 0 none */
	unsigned derived;			      /* depth of a <derivation>; 0 none */
	char text[AECG_TEXT_BYTES];
	size_t text_len;
	unsigned time_rank, id_rank; /* how good what is known is */
	struct vg_civil activity;    /* of the annotation set */
	bool left_out;		     /* a lead, and the reason was told */
	struct aecg_wave wave;
};

/* The element `up` levels above the innermost open one. */
static inline enum aecg_element aecg_above(const struct aecg *a, unsigned up)
{
	return a->depth >= up ? a->frames[a->depth - up].element : EL_OTHER;
}

/* The value of an attribute, or NULL. */
const char *aecg_attribute(const char **attributes, const char *name);
/* False: no number, or too large. */
bool aecg_number(const char *text, struct aecg_number *ret);
/* Times 10^shift, rounded half away from zero. */
bool aecg_decimal(const char *text, int shift, int64_t *ret_value);

/* Patient, device, times, filters, measurements, statements. The element is the innermost. */
void aecg_data_start(struct aecg *a, const char **attributes);
void aecg_data_end(struct aecg *a); /* a->text is its text */

void aecg_wave_start(struct aecg *a, const char **attributes);
void aecg_wave_text(struct aecg *a, const char *text, size_t len); /* inside <digits> */
void aecg_wave_end(struct aecg *a);
void aecg_wave_free(struct aecg_wave *w);
