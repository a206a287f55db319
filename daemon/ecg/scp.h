/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parts of the SCP-ECG reader (EN 1064, ISO 11073-91064). Everything in a record is
 * little-endian. scp.c checks the record and its sections, the others read one idea of it each.
 */
#pragma once

#include "ecg.h"

#include <vitalgate/buf.h>

#define SCP_HEADER 16	/* bytes of a section before its body */
#define SCP_SECTIONS 12 /* that are known, 0..11 */
#define SCP_LEADS_MAX 60

struct scp_section {
	bool named;	     /* a pointer has it */
	const uint8_t *body; /* NULL: not there, or dropped for its CRC */
	size_t len;	     /* of the body */
};

struct scp {
	struct ecg *e;
	struct scp_section sections[SCP_SECTIONS];
	unsigned language; /* of tag 14 */
};

/* Text in the charset of the record, warned of when that had to be guessed. */
void scp_text(struct scp *s, char *out, size_t size, const uint8_t *bytes, size_t len);

void scp_patient(struct scp *s);      /* section 1; first, for it has the charset */
void scp_rhythm(struct scp *s);	      /* 2 to 6 */
void scp_measurements(struct scp *s); /* 7 */
void scp_statements(struct scp *s);   /* 8 and 11 */

/* --- scp_signal.c: what sections 5 and 6 have in common */

/* A lead's code. */
struct scp_piece {
	const uint8_t *bytes;
	size_t len;
};

/* How the samples of a section are written, and where those of each lead are. */
struct scp_signal {
	uint16_t avm_nv, interval_us; /* of one LSB, of one sample */
	uint8_t difference;	      /* order of the differences, 0..2 */
	uint8_t bimodal;	      /* of section 6 */
	struct buf rest;	      /* behind these: the length of each lead, then their data */
	struct scp_piece pieces[SCP_LEADS_MAX];
};

enum scp_end {
	SCP_END_PLAIN, /* as many samples as wanted, or as there were */
	SCP_END_CODE,  /* at a code that is in no table */
	SCP_END_RANGE, /* at a sample beyond ECG_SAMPLE_LIMIT */
};

struct huffman;

/* What stands before the lengths; zeros when the section is too short. */
void scp_signal_head(struct scp_signal *ret, const struct scp_section *section);
/* Finds the pieces by their lengths; false when these exceed the section. `ret_spare`: bytes behind
 * the last. */
bool scp_signal_pieces(struct scp_signal *signal, unsigned n_leads, size_t *ret_spare);
/* Samples that a piece can hold, at most `wanted`. `h` NULL: they are int16. */
uint32_t scp_piece_room(const struct huffman *h, const struct scp_piece *piece, uint32_t wanted);
/* Writes at most `room` samples and returns how many. */
uint32_t scp_decode(const struct huffman *h, unsigned difference, const struct scp_piece *piece,
	int32_t *out, uint32_t room, enum scp_end *ret_end);

/* --- scp_beats.c: the reference beats, which were taken out of the rhythm */

struct scp_beats {
	struct scp_signal signal;
	uint16_t rhythm_avm_nv;
	uint32_t len;	   /* samples of a beat, at most */
	uint16_t fiducial; /* number of the sample, from 1, that lies on a QRS's */
	struct buf qrs;	   /* where they were */
	uint64_t added;	   /* samples so far */
};

/* Sections 4 and 5. False: they do not allow it. */
bool scp_beats_read(
	struct scp *s, const struct scp_signal *rhythm, unsigned n_leads, struct scp_beats *ret);
/* Puts the beat back into the samples of the lead that is the `i`th in section 3. False: it cannot
 * be done. */
bool scp_beats_add(struct scp *s, struct scp_beats *beats, const struct huffman *h, unsigned i,
	uint32_t start, struct ecg_lead *lead);

/* --- scp_huffman.c */

/* Tables of section 2; *ret is NULL when it says that samples are int16. -EBADMSG, -ENOMEM. */
int huffman_read(struct huffman **ret, const uint8_t *body, size_t len);
void huffman_free(struct huffman *h);
/* Values of the code in `bytes`; `ret_bad`: ended at a code that is in no table. */
uint32_t huffman_decode(const struct huffman *h, const uint8_t *bytes, size_t len, int32_t *out,
	uint32_t room, bool *ret_bad);
