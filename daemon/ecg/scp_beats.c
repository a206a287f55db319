/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sections 4 and 5 of SCP-ECG. A cart may take its reference beat out of the rhythm around each
 * QRS; here it is put back: rhythm[s] += beat[fiducial - FC + s] for s = SB..SE, counted from 1.
 *
 *   section 4: u16 ms | u16 fiducial sample | u16 n | n x (u16 type | u32 SB | u32 FC | u32 SE)
 *
 * Only a QRS of type 0 had it taken out. They do not overlap; the limit on additions is for files
 * that say they do.
 */
#include "scp.h"

#define QRS_BYTES 14
#define ADDED_MAX (4 * ECG_SAMPLES_MAX)

bool scp_beats_read(
	struct scp *s, const struct scp_signal *rhythm, unsigned n_leads, struct scp_beats *ret)
{
	const struct scp_section *places = &s->sections[4], *beats = &s->sections[5];
	size_t spare;
	if (!places->body || !beats->body)
		return false;
	struct buf b = buf_of(places->body, places->len);
	*ret = (struct scp_beats){.rhythm_avm_nv = rhythm->avm_nv};
	uint32_t beat_ms = buf_le16(&b);
	ret->fiducial = buf_le16(&b);
	size_t bytes = QRS_BYTES * (size_t)buf_le16(&b);
	const uint8_t *qrs = buf_bytes(&b, bytes);
	if (!qrs || !ret->fiducial)
		return false;
	ret->qrs = buf_of(qrs, bytes);
	scp_signal_head(&ret->signal, beats);
	if (!scp_signal_pieces(&ret->signal, n_leads, &spare) || ret->signal.difference > 2 ||
		ret->signal.interval_us != rhythm->interval_us || !ret->signal.avm_nv ||
		!rhythm->avm_nv)
		return false;
	if (rhythm->interval_us)
		ret->len = beat_ms * 1000 / rhythm->interval_us;
	return true;
}

/* From LSB of the beat to LSB of the rhythm, halves away from zero. What no sample can be is
 * bounded, so that a sum stays within 32 bits and beyond the limit. */
static void scale(int32_t *beat, uint32_t n, int64_t from_nv, int64_t to_nv)
{
	const int64_t most = 4 * (int64_t)ECG_SAMPLE_LIMIT;
	for (uint32_t i = 0; i < n && from_nv != to_nv; i++) {
		int64_t value = beat[i] * from_nv * 2;
		value = (value + (value < 0 ? -to_nv : to_nv)) / (2 * to_nv);
		beat[i] = (int32_t)MAX(MIN(value, most), -most);
	}
}

/* One QRS: where the beat, the place it was taken from and the lead all have samples. */
static bool add(struct scp_beats *beats, struct buf *qrs, const int32_t *beat, uint32_t n,
	int64_t start, struct ecg_lead *lead, bool *ret_range)
{
	uint16_t type = buf_le16(qrs);
	int64_t first = buf_le32(qrs), fiducial = buf_le32(qrs), last = buf_le32(qrs);
	int64_t shift = beats->fiducial - fiducial; /* number in the beat - number in the rhythm */
	first = MAX(MAX(first, start), 1 - shift);
	last = MIN(MIN(last, start + lead->n - 1), n - shift);
	if (type != 0 || first > last)
		return true;
	beats->added += (uint64_t)(last - first + 1);
	if (beats->added > ADDED_MAX)
		return false;
	for (int64_t at = first; at <= last; at++) {
		int32_t *x = &lead->samples[at - start];
		*x += beat[at + shift - 1];
		if (abs(*x) > ECG_SAMPLE_LIMIT) {
			lead->n = (uint32_t)(at - start);
			*ret_range = true;
			break;
		}
	}
	return true;
}

bool scp_beats_add(struct scp *s, struct scp_beats *beats, const struct huffman *h, unsigned i,
	uint32_t start, struct ecg_lead *lead)
{
	const struct scp_piece *piece = &beats->signal.pieces[i];
	uint32_t room = scp_piece_room(h, piece, beats->len);
	_cleanup_(freep) int32_t *beat = calloc(MAX(room, 1U), sizeof(*beat));
	enum scp_end end;
	bool range = false;
	if (!beat) {
		s->e->failed = true;
		return false;
	}
	uint32_t n = scp_decode(h, beats->signal.difference, piece, beat, room, &end);
	if (end != SCP_END_PLAIN)
		return false;
	scale(beat, n, beats->signal.avm_nv, beats->rhythm_avm_nv);
	struct buf qrs = beats->qrs;
	while (buf_left(&qrs))
		if (!add(beats, &qrs, beat, n, MAX(start, 1U), lead, &range))
			return false;
	if (range)
		ecg_warn(s->e, "sample_range", lead->name);
	return true;
}
