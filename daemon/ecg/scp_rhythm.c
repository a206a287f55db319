/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rhythm of SCP-ECG: leads (section 3) and their samples (section 6), coded as section 2 says.
 * Where one of these cannot be right there are no samples at all: half of an ECG is not shown.
 *
 *   section 3: u8 leads | u8 flags | each u32 first | u32 last sample, from 1 | u8 id
 */
#include <errno.h>

#include "scp.h"

#define SUBTRACTED 1 /* of the flags: reference beats were taken out */

/* A lead of section 3. */
struct place {
	uint32_t start;	   /* number of its first sample: 1; some write 0 */
	uint32_t expected; /* samples it says it has */
	uint8_t id;
};

struct rhythm {
	struct place places[SCP_LEADS_MAX];
	unsigned n;
	uint8_t flags;
	struct scp_signal signal;
	struct huffman *huffman; /* NULL: samples are int16 */
	struct scp_beats beats;	 /* with SUBTRACTED */
};

/* The reasons, as in the warning. */
static const char section_2[] = "section 2", section_3[] = "section 3", section_4[] = "section 4";

/* ISO 11073-10102: those that ECGs at rest have. */
static void lead_name(uint8_t id, char out[static 16])
{
	static const char *const names[] = {[1] = "I",
		"II",
		"V1",
		"V2",
		"V3",
		"V4",
		"V5",
		"V6",
		"V7",
		"V2R",
		"V3R",
		"V4R",
		"V5R",
		"V6R",
		"V7R",
		"X",
		"Y",
		"Z",
		[61] = "III",
		"aVR",
		"aVL",
		"aVF",
		"-aVR",
		"V8",
		"V9",
		"V8R",
		"V9R"};
	if (id < ELEMENTS(names) && names[id])
		text_copy(out, 16, names[id], strlen(names[id]));
	else
		snprintf(out, 16, "lead-%u", id);
}

static const char *read_places(struct scp *s, struct rhythm *r)
{
	const struct scp_section *section = &s->sections[3];
	if (!section->named)
		return "no section 3";
	struct buf b = buf_of(section->body, section->len);
	uint64_t all = 0;
	r->n = buf_u8(&b);
	r->flags = buf_u8(&b);
	if (r->n == 0 || r->n > SCP_LEADS_MAX)
		return section_3;
	for (unsigned i = 0; i < r->n; i++) {
		uint32_t start = buf_le32(&b), end = buf_le32(&b);
		r->places[i] = (struct place){.start = start, .id = buf_u8(&b)};
		if (b.failed || end < start)
			return section_3;
		uint64_t expected = (uint64_t)end - start + 1;
		all += expected;
		if (expected > ECG_LEAD_SAMPLES_MAX || all > ECG_SAMPLES_MAX)
			return "too long";
		r->places[i].expected = (uint32_t)expected;
	}
	return NULL;
}

static const char *read_tables(struct scp *s, struct rhythm *r)
{
	const struct scp_section *section = &s->sections[2];
	if (!section->named)
		return NULL;
	if (!section->body)
		return section_2;
	int error = huffman_read(&r->huffman, section->body, section->len);
	if (error == -ENOMEM)
		s->e->failed = true;
	return error < 0 ? section_2 : NULL;
}

/* Corpuls carts leave the lengths out: then there is exactly room for all samples, and what would
 * be the lengths does not fit. */
static bool pieces_without_lengths(struct rhythm *r)
{
	size_t all = 0;
	struct buf data = r->signal.rest;
	for (unsigned i = 0; i < r->n; i++)
		all += 2 * (size_t)r->places[i].expected;
	if (r->huffman || r->signal.difference || all != buf_left(&data))
		return false;
	for (unsigned i = 0; i < r->n; i++) {
		size_t len = 2 * (size_t)r->places[i].expected;
		r->signal.pieces[i] = (struct scp_piece){buf_bytes(&data, len), len};
	}
	return true;
}

static bool find_pieces(struct scp *s, struct rhythm *r)
{
	size_t spare;
	bool fits = scp_signal_pieces(&r->signal, r->n, &spare);
	if (fits && !spare)
		return true;
	if (!pieces_without_lengths(r))
		return fits;
	ecg_warn(s->e, "no_lead_lengths", NULL);
	return true;
}

/* Everything that must be right before a sample is decoded. */
static const char *prepare(struct scp *s, struct rhythm *r)
{
	const char *why = read_places(s, r);
	if (why)
		return why;
	if (r->signal.bimodal)
		return "bimodal";
	if (r->signal.difference > 2)
		return "difference";
	why = read_tables(s, r);
	if (why)
		return why;
	if (r->flags & SUBTRACTED && !scp_beats_read(s, &r->signal, r->n, &r->beats))
		return section_4;
	if (!find_pieces(s, r))
		return "lead lengths";
	return r->signal.interval_us && r->signal.avm_nv ? NULL : "interval";
}

static const char *decode_lead(struct scp *s, struct rhythm *r, unsigned i)
{
	const struct place *place = &r->places[i];
	const struct scp_piece *piece = &r->signal.pieces[i];
	char name[16];
	enum scp_end end;
	lead_name(place->id, name);
	for (unsigned k = 0; k < i; k++)
		if (r->places[k].id == place->id)
			ecg_warn(s->e, "lead_twice", name);
	uint32_t room = scp_piece_room(r->huffman, piece, place->expected);
	struct ecg_lead *lead = ecg_add_lead(s->e, name, room);
	if (!lead)
		return "memory";
	lead->n = scp_decode(r->huffman, r->signal.difference, piece, lead->samples, room, &end);
	if (end == SCP_END_CODE)
		ecg_warn(s->e, "huffman_code", name);
	if (end == SCP_END_RANGE)
		ecg_warn(s->e, "sample_range", name);
	if (r->flags & SUBTRACTED &&
		!scp_beats_add(s, &r->beats, r->huffman, i, place->start, lead))
		return section_4;
	lead->truncated = lead->n < place->expected - (place->start == 0);
	return NULL;
}

void scp_rhythm(struct scp *s)
{
	struct rhythm r = {0};
	struct ecg *e = s->e;
	if (!s->sections[6].named) {
		ecg_warn(e, "no_rhythm", NULL);
		return;
	}
	scp_signal_head(&r.signal, &s->sections[6]);
	e->interval_ns = r.signal.interval_us * INT64_C(1000);
	e->pv_per_lsb = r.signal.avm_nv * INT64_C(1000);
	const unsigned n_warnings = e->n_warnings;
	const char *why = prepare(s, &r);
	for (unsigned i = 0; i < r.n && !why; i++)
		why = decode_lead(s, &r, i);
	if (why) {
		ecg_drop_leads(e);
		e->n_warnings = n_warnings; /* what is said of leads goes with them */
		ecg_warn(e, "waveform_unsupported", why);
	}
	huffman_free(r.huffman);
}
