/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measurements (section 7 of SCP-ECG) and what the cart or a physician wrote (8 and 11). */
#include "scp.h"

/* Milliseconds of a boundary that was not found: recalled from EN 1064 and seen in files. */
static bool is_known(uint16_t ms)
{
	return ms != 29999 && ms != 29998 && ms != 19999 && ms != 0xffff;
}

static int32_t within(int32_t value, int32_t least, int32_t most)
{
	return value >= least && value <= most ? value : ECG_ABSENT;
}

static int32_t duration(uint16_t on, uint16_t off)
{
	return is_known(on) && is_known(off) ? within(off - on, 1, 2000) : ECG_ABSENT;
}

/* Block 0, the beat that stands for all: P on, P off, QRS on, QRS off, T off, P, QRS, T axis. */
static void read_block(struct ecg *e, struct buf b)
{
	uint16_t at[5];
	int32_t *const axes[] = {&e->p_axis, &e->qrs_axis, &e->t_axis};
	for (size_t i = 0; i < ELEMENTS(at); i++) {
		at[i] = buf_le16(&b);
		if (b.failed)
			at[i] = 0xffff;
	}
	e->p = duration(at[0], at[1]);
	e->pr = duration(at[0], at[2]);
	e->qrs = duration(at[2], at[3]);
	e->qt = duration(at[2], at[4]);
	for (size_t i = 0; i < ELEMENTS(axes); i++) {
		int16_t degrees = (int16_t)buf_le16(&b);
		if (!b.failed)
			*axes[i] = within(degrees, -360, 360);
	}
}

/*
 * u8 blocks | u8 spikes | u16 mean RR ms | u16 mean PP ms | blocks x 16 | spikes x 4 | spikes x 6 |
 * u16 n | n x u8 | u16 ventricular rate | u16 atrial rate | u16 QTc ms | u8 formula | ... It may
 * end before any of these.
 */
void scp_measurements(struct scp *s)
{
	struct ecg *e = s->e;
	const struct scp_section *section = &s->sections[7];
	if (!section->body)
		return;
	struct buf b = buf_of(section->body, section->len);
	unsigned blocks = buf_u8(&b), spikes = buf_u8(&b);
	uint16_t rr = buf_le16(&b); /* 0 when the section ends before: as if it were absent */
	e->rr = within(rr, 1, 19998);
	buf_le16(&b);
	if (blocks && !b.failed)
		read_block(e, b);
	buf_bytes(&b, 16 * (size_t)blocks + 10 * (size_t)spikes);
	buf_bytes(&b, buf_le16(&b));
	e->hr = within(buf_le16(&b), 1, 499);
	buf_le16(&b);
	e->qtc = within(buf_le16(&b), 1, 2000);
	uint8_t formula = buf_u8(&b);
	if (e->qtc != ECG_ABSENT)
		e->qtc_formula = formula == 1 ? "bazett" : formula == 2 ? "hodges" : NULL;
	if (e->hr == ECG_ABSENT && rr >= 120 && rr <= 6000)
		e->hr = (60000 + rr / 2) / rr;
}

static const char *status_of(struct ecg *e, uint8_t status)
{
	static const char *const names[] = {"original", "confirmed", "overread"};
	if (status >= ELEMENTS(names)) {
		ecg_warn(e, "status", NULL);
		status = 0;
	}
	return names[status];
}

static const char *statement_type(uint8_t type)
{
	static const char *const names[] = {"", "coded", "text", "logic"};
	return names[type < ELEMENTS(names) ? type : 0];
}

/* u8 status | u16 y u8 m u8 d u8 h u8 m u8 s | u8 n | n x (u8 number | u16 length | text). In
 * section 11 the text has its type before it. */
static void read_statements(struct scp *s, unsigned id, const char *cut)
{
	struct ecg *e = s->e;
	const struct scp_section *section = &s->sections[id];
	char text[ECG_TEXT_MAX];
	if (!section->body)
		return;
	struct buf b = buf_of(section->body, section->len);
	uint8_t status = buf_u8(&b);
	struct vg_civil at = {.year = buf_le16(&b)};
	at.month = buf_u8(&b);
	at.day = buf_u8(&b);
	at.hour = buf_u8(&b);
	at.minute = buf_u8(&b);
	at.second = buf_u8(&b);
	unsigned n = buf_u8(&b);
	if (b.failed) {
		ecg_warn(e, cut, NULL);
		return;
	}
	if (!e->status) {
		e->status = status_of(e, status);
		if (ecg_date_exists(&at, 1980, 2200) && ecg_time_exists(&at))
			e->interpreted = at;
	}
	for (unsigned i = 0; i < n; i++) {
		buf_u8(&b);
		size_t len = buf_le16(&b);
		const uint8_t *bytes = buf_bytes(&b, len);
		if (!bytes) {
			ecg_warn(e, cut, NULL);
			return;
		}
		struct buf line = buf_of(bytes, len);
		const char *type = id == 11 ? statement_type(buf_u8(&line)) : NULL;
		scp_text(s, text, sizeof(text), line.at, buf_left(&line));
		ecg_add_line(e, type, text);
	}
}

void scp_statements(struct scp *s)
{
	read_statements(s, 8, "section8_cut");
	read_statements(s, 11, "section11_cut");
}
