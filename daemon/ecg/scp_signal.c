/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sections 5 and 6 of SCP-ECG begin alike:
 *   u16 nV of one LSB | u16 us of one sample | u8 order of differences | u8 bimodal |
 *   each lead: u16 bytes | data
 */
#include "scp.h"

void scp_signal_head(struct scp_signal *ret, const struct scp_section *section)
{
	struct buf b = buf_of(section->body, section->len);
	*ret = (struct scp_signal){.avm_nv = buf_le16(&b)};
	ret->interval_us = buf_le16(&b);
	ret->difference = buf_u8(&b);
	ret->bimodal = buf_u8(&b);
	ret->rest = b;
}

bool scp_signal_pieces(struct scp_signal *signal, unsigned n_leads, size_t *ret_spare)
{
	struct buf lengths = signal->rest, data = signal->rest;
	buf_bytes(&data, 2 * (size_t)n_leads);
	for (unsigned i = 0; i < n_leads; i++) {
		size_t len = buf_le16(&lengths);
		signal->pieces[i] = (struct scp_piece){buf_bytes(&data, len), len};
	}
	*ret_spare = buf_left(&data);
	return !data.failed;
}

uint32_t scp_piece_room(const struct huffman *h, const struct scp_piece *piece, uint32_t wanted)
{
	size_t most = h ? piece->len * 8 : piece->len / 2; /* a code has at least one bit */
	return (uint32_t)MIN(most, (size_t)wanted);
}

static uint32_t decode_int16(const struct scp_piece *piece, int32_t *out, uint32_t room)
{
	struct buf b = buf_of(piece->bytes, piece->len);
	uint32_t n = 0;
	for (; n < room && buf_left(&b) >= 2; n++)
		out[n] = (int16_t)buf_le16(&b);
	return n;
}

/*
 * Samples from differences, in place, up to the first that is out of range. The first `order` stand
 * as they are. A difference is below 2^24 and a sample that was let through below 2^23: no sum
 * leaves 32 bits.
 */
static uint32_t integrate(int32_t *x, uint32_t n, unsigned order)
{
	const int32_t keep_last = order ? -1 : 0, keep_slope = order == 2 ? -1 : 0;
	int32_t last = 0, slope = 0;
	for (uint32_t i = 0; i < n; i++) {
		slope = i < order ? x[i] - last : (slope & keep_slope) + x[i];
		last = (last & keep_last) + slope;
		if (last > ECG_SAMPLE_LIMIT || last < -ECG_SAMPLE_LIMIT)
			return i;
		x[i] = last;
	}
	return n;
}

uint32_t scp_decode(const struct huffman *h, unsigned difference, const struct scp_piece *piece,
	int32_t *out, uint32_t room, enum scp_end *ret_end)
{
	bool bad = false;
	uint32_t n = h ? huffman_decode(h, piece->bytes, piece->len, out, room, &bad)
		       : decode_int16(piece, out, room);
	uint32_t in_range = integrate(out, n, difference);
	*ret_end = in_range < n ? SCP_END_RANGE : bad ? SCP_END_CODE : SCP_END_PLAIN;
	return in_range;
}
