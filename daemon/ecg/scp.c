/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A record of SCP-ECG and its sections:
 *
 *   record   u16 crc | u32 length | section 0 | sections
 *   section  u16 crc | u16 id | u32 length | u8 version | u8 protocol version | 6 reserved | body
 *   section 0's body: pointers, u16 id | u32 length | u32 index (from 1, in the record)
 *
 * Each crc (CRC-CCITT, first value ffff) is over what follows it; lengths include the heads.
 */
#include "scp.h"

#define RECORD_HEADER 6
#define POINTER 10
#define POINTERS_MAX 1024 /* of a file without the letters SCPECG */
#define CRC_STEP 8

static uint16_t crc_table[CRC_STEP][256]; /* [k][b]: b followed by k zero bytes */

static void crc_prepare(void)
{
	if (crc_table[0][1])
		return;
	for (unsigned b = 0; b < 256; b++) {
		unsigned crc = b << 8;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
		crc_table[0][b] = (uint16_t)crc;
	}
	for (unsigned k = 1; k < CRC_STEP; k++)
		for (unsigned b = 0; b < 256; b++) {
			unsigned crc = crc_table[k - 1][b];
			crc_table[k][b] = (uint16_t)(crc << 8 ^ crc_table[0][crc >> 8 & 0xff]);
		}
}

static uint16_t crc_of(const uint8_t *bytes, size_t len)
{
	unsigned crc = 0xffff;
	for (; len >= CRC_STEP; bytes += CRC_STEP, len -= CRC_STEP) {
		unsigned next =
			crc_table[7][bytes[0] ^ crc >> 8] ^ crc_table[6][bytes[1] ^ (crc & 0xff)];
		for (unsigned k = 2; k < CRC_STEP; k++)
			next ^= crc_table[CRC_STEP - 1 - k][bytes[k]];
		crc = next;
	}
	for (; len; bytes++, len--)
		crc = (crc << 8 & 0xffff) ^ crc_table[0][*bytes ^ crc >> 8];
	return (uint16_t)crc;
}

struct header {
	uint16_t crc, id;
	uint32_t length;
};

/* Of a section that lies wholly in the record. */
static struct header header_at(const uint8_t *section)
{
	struct buf b = buf_of(section, SCP_HEADER);
	struct header h = {.crc = buf_le16(&b)};
	h.id = buf_le16(&b);
	h.length = buf_le32(&b);
	return h;
}

static bool section_intact(const uint8_t *section, const struct header *h)
{
	return crc_of(section + 2, h->length - 2) == h->crc;
}

static bool is_scp(const uint8_t *bytes, size_t len)
{
	if (len < RECORD_HEADER + SCP_HEADER + POINTER)
		return false;
	struct header h = header_at(bytes + RECORD_HEADER);
	if (h.id != 0)
		return false;
	if (memcmp(bytes + RECORD_HEADER + 10, "SCPECG", 6) == 0)
		return true;
	struct buf b = buf_of(bytes + RECORD_HEADER + SCP_HEADER, POINTER);
	return h.length >= SCP_HEADER + POINTER &&
	       h.length <= SCP_HEADER + POINTER * POINTERS_MAX && buf_le16(&b) == 0 &&
	       buf_le32(&b) == h.length && buf_le32(&b) == RECORD_HEADER + 1;
}

static void reject(struct scp *s, const char *what, unsigned id)
{
	char detail[64];
	snprintf(detail, sizeof(detail), "section %u%s", id, what);
	ecg_reject(s->e, "structure", detail);
}

/* One pointer of section 0; false when it contradicts what it points at. */
static bool take_pointer(struct scp *s, struct buf *pointers, const uint8_t *record, size_t len)
{
	uint16_t id = buf_le16(pointers);
	uint32_t length = buf_le32(pointers), index = buf_le32(pointers);
	if (length == 0)
		return true;
	if (length < SCP_HEADER || index < 1 || (uint64_t)index - 1 + length > len) {
		reject(s, ": pointer", id);
		return false;
	}
	if (id >= SCP_SECTIONS)
		return true;
	const uint8_t *section = record + index - 1;
	struct header h = header_at(section);
	if (h.id != id || h.length != length) {
		reject(s, ": header is not the pointer's", id);
		return false;
	}
	if (s->sections[id].named) {
		reject(s, " twice", id);
		return false;
	}
	s->sections[id] = (struct scp_section){
		.named = true, .body = section + SCP_HEADER, .len = length - SCP_HEADER};
	return true;
}

static bool take_sections(struct scp *s, const uint8_t *record, size_t len)
{
	const uint8_t *section = record + RECORD_HEADER;
	struct header h = header_at(section);
	size_t body = h.length - SCP_HEADER;
	if (h.length < SCP_HEADER + POINTER || body % POINTER || h.length > len - RECORD_HEADER) {
		reject(s, ": length", 0);
		return false;
	}
	if (!section_intact(section, &h)) {
		reject(s, ": crc", 0);
		return false;
	}
	struct buf pointers = buf_of(section + SCP_HEADER, body);
	while (buf_left(&pointers))
		if (!take_pointer(s, &pointers, record, len))
			return false;
	if (!s->sections[1].named)
		reject(s, " is missing", 1);
	return s->sections[1].named;
}

/* A section that would make the recording another one is checked or the record rejected; another is
 * dropped. */
static bool check_sections(struct scp *s)
{
	static const uint8_t vital[] = {1, 3, 6}, other[] = {2, 4, 5, 7, 8, 11};
	char text[16];
	for (size_t i = 0; i < ELEMENTS(vital) + ELEMENTS(other); i++) {
		bool is_vital = i < ELEMENTS(vital);
		unsigned id = is_vital ? vital[i] : other[i - ELEMENTS(vital)];
		struct scp_section *section = &s->sections[id];
		if (!section->body)
			continue;
		const uint8_t *at = section->body - SCP_HEADER;
		struct header h = header_at(at);
		if (section_intact(at, &h))
			continue;
		snprintf(text, sizeof(text), is_vital ? "section %u" : "%u", id);
		if (is_vital) {
			ecg_reject(s->e, "section_crc", text);
			return false;
		}
		ecg_warn(s->e, "section_crc", text);
		section->body = NULL;
	}
	return true;
}

void scp_text(struct scp *s, char *out, size_t size, const uint8_t *bytes, size_t len)
{
	if (!ecg_text(out, size, bytes, len, s->language))
		ecg_warn(s->e, "charset_guessed", NULL);
}

bool scp_read(struct ecg *e, const uint8_t *bytes, size_t len)
{
	if (!is_scp(bytes, len))
		return false;
	struct scp s = {.e = e};
	struct buf b = buf_of(bytes, len);
	uint16_t crc = buf_le16(&b);
	size_t record = buf_le32(&b);
	e->format = "scp";
	crc_prepare();
	if (record > len || record < RECORD_HEADER + SCP_HEADER + POINTER) {
		ecg_reject(e, "truncated", NULL);
		return true;
	}
	if (crc_of(bytes + 2, record - 2) != crc) {
		ecg_reject(e, "record_crc", NULL);
		return true;
	}
	if (!take_sections(&s, bytes, record) || !check_sections(&s))
		return true;
	scp_patient(&s);
	scp_rhythm(&s);
	scp_measurements(&s);
	scp_statements(&s);
	return true;
}
