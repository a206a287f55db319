/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who and when from a DICOM file (PS3.5, PS3.10), little endian, with or without value representations. The
 * waveform is not read.
 *
 * Elements stand in ascending order. Sequences are stepped over: those without a length are walked through
 * with a count of how deep.
 */
#include "ecg.h"

#include "stamp.h"

#define PREAMBLE 128
#define NO_LENGTH UINT32_MAX
#define WAVEFORM 0x54000100u /* waveform sequence */

enum {
	SYNTAX = 0x00020010,
	CHARACTER_SET = 0x00080005,
	STUDY_DATE = 0x00080020,
	ACQUIRED = 0x0008002a,
	STUDY_TIME = 0x00080030,
	MODALITY = 0x00080060,
	MANUFACTURER = 0x00080070,
	OFFSET = 0x00080201,
	MODEL = 0x00081090,
	NAME = 0x00100010,
	ID = 0x00100020,
	BIRTH = 0x00100030,
	SEX = 0x00100040,
	SERIAL = 0x00181000,
};

struct dicom {
	struct ecg *e;
	const uint8_t *at, *end;
	bool explicit; /* value representations are written */
	bool beyond;   /* the syntax is none that is read here */
	unsigned depth;
	unsigned language; /* SCP's code of the character set */
	char date[32], time[32], acquired[32], offset[16];
};

struct element {
	uint32_t tag, length;
	bool unknown; /* VR UN */
};

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16;
}

/* Tag, VR and length; false: the file ends in the middle of them. */
static bool head(struct dicom *d, struct element *ret)
{
	static const char wide[] = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"; /* 32-bit length */
	size_t left = (size_t)(d->end - d->at);
	const uint8_t *p = d->at;
	if (left < 8)
		return false;
	*ret = (struct element){.tag = (uint32_t)u16(p) << 16 | u16(p + 2), .length = u32(p + 4)};
	d->at += 8;
	bool vr = (d->explicit || ret->tag >> 16 == 2) && ret->tag >> 16 != 0xfffe;
	if (!vr)
		return true;
	const char code[3] = {(char)p[4], (char)p[5]};
	ret->unknown = streq(code, "UN");
	ret->length = u16(p + 6);
	if (strlen(code) < 2 || !strstr(wide, code))
		return true;
	if (left < 12)
		return false;
	ret->length = u32(p + 8);
	d->at += 4;
	return true;
}

/* A value without the blanks and NULs that make its length even. */
static void copy(char *out, size_t size, const uint8_t *value, size_t len)
{
	while (len && (value[len - 1] == ' ' || value[len - 1] == 0))
		len--;
	text_copy(out, size, (const char *)value, len);
}

static void take_text(
	struct dicom *d, char out[static ECG_TEXT_MAX], const uint8_t *value, size_t len)
{
	if (!ecg_text(out, ECG_TEXT_MAX, value, len, d->language))
		ecg_warn(d->e, "charset_guessed", NULL);
}

/* Family^Given^..., up to three spellings with = between them: the first that there is. */
static void take_name(struct dicom *d, const uint8_t *value, size_t len)
{
	char text[ECG_TEXT_MAX];
	take_text(d, text, value, len);
	char *name = text + strspn(text, "=");
	name[strcspn(name, "=")] = 0;
	char *given = strchr(name, '^');
	if (given) {
		*given++ = 0;
		given[strcspn(given, "^")] = 0;
		text_copy(d->e->first_name, ECG_TEXT_MAX, given, strlen(given));
	}
	text_copy(d->e->last_name, ECG_TEXT_MAX, name, strlen(name));
}

static void take_syntax(struct dicom *d, const char *uid)
{
	d->explicit = !streq(uid, "1.2.840.10008.1.2");
	d->beyond = streq(uid, "1.2.840.10008.1.2.2") ||  /* big endian */
		    streq(uid, "1.2.840.10008.1.2.1.99"); /* deflated */
}

static unsigned language_of(const char *character_set)
{
	static const struct {
		const char *name;
		uint16_t language;
	} known[] = {{"ISO_IR 100", 0x01}, {"ISO_IR 101", 0x03}, {"ISO_IR 144", 0x13},
		{"ISO_IR 192", CHARSET_UTF8}, {"GB18030", 0x27}, {"GBK", 0x27}};
	for (size_t i = 0; i < ELEMENTS(known); i++)
		if (streq(known[i].name, character_set))
			return known[i].language;
	return CHARSET_GUESS;
}

static void take_birth(struct ecg *e, const char *text)
{
	struct vg_civil civil;
	int32_t tz_min;
	if (stamp_read(text, &civil, &tz_min) == STAMP_DAY && ecg_date_exists(&civil, 1850, 2200))
		e->birth = civil;
}

static void take_modality(struct ecg *e, const char *text)
{
	if (*text && !streq(text, "ECG"))
		ecg_warn(e, "modality",
			strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(text) ? text : NULL);
}

static void take(struct dicom *d, uint32_t tag, const uint8_t *value, size_t len)
{
	struct ecg *e = d->e;
	char text[64];
	copy(text, sizeof(text), value, len);
	switch (tag) {
	case SYNTAX:
		take_syntax(d, text);
		break;
	case CHARACTER_SET:
		d->language = language_of(text);
		break;
	case STUDY_DATE:
		copy(d->date, sizeof(d->date), value, len);
		break;
	case STUDY_TIME:
		copy(d->time, sizeof(d->time), value, len);
		break;
	case ACQUIRED:
		copy(d->acquired, sizeof(d->acquired), value, len);
		break;
	case OFFSET:
		copy(d->offset, sizeof(d->offset), value, len);
		break;
	case MODALITY:
		take_modality(e, text);
		break;
	case MANUFACTURER:
		take_text(d, e->manufacturer, value, len);
		break;
	case MODEL:
		take_text(d, e->model, value, len);
		break;
	case SERIAL:
		take_text(d, e->serial, value, len);
		break;
	case NAME:
		take_name(d, value, len);
		break;
	case ID:
		take_text(d, e->id, value, len);
		break;
	case BIRTH:
		take_birth(e, text);
		break;
	case SEX:
		e->sex = streq(text, "M") || streq(text, "F") ? text[0] : 0;
		break;
	default:
		break;
	}
}

/* One element. False: the end, or what comes is not read. */
static bool step(struct dicom *d)
{
	struct element element = {0};
	if (d->at == d->end)
		return false;
	bool whole = head(d, &element);
	if (whole && !d->depth && (element.tag >= WAVEFORM || (d->beyond && element.tag >> 16 > 2)))
		return false;
	bool delimiter = element.tag == 0xfffee00d || element.tag == 0xfffee0dd;
	bool open = element.length == NO_LENGTH;
	if (!whole || (open && element.unknown) ||
		(!open && element.length > (size_t)(d->end - d->at))) {
		ecg_warn(d->e, "dicom_cut", NULL);
		return false;
	}
	if (delimiter)
		d->depth--;
	else if (open)
		d->depth++;
	else if (!d->depth)
		take(d, element.tag, d->at, element.length);
	d->at += open ? 0 : element.length;
	return true;
}

static void acquired(struct dicom *d)
{
	struct ecg *e = d->e;
	char study[64], with_offset[32];
	struct vg_civil civil;
	int32_t tz_min, of_file;
	snprintf(study, sizeof(study), "%s%s", d->date, d->time);
	snprintf(with_offset, sizeof(with_offset), "2000%s", d->offset);
	bool said = stamp_read(with_offset, &civil, &of_file) == 4;
	if (stamp_read(d->acquired, &civil, &tz_min) < STAMP_MINUTE &&
		stamp_read(study, &civil, &tz_min) < STAMP_MINUTE)
		civil = (struct vg_civil){0};
	if (!ecg_date_exists(&civil, 1980, 2200) || !ecg_time_exists(&civil)) {
		ecg_warn(e, "bad_date", NULL);
		return;
	}
	e->acquired = civil;
	e->tz_min = tz_min == ECG_ABSENT && said ? of_file : tz_min;
}

bool dicom_read(struct ecg *e, const uint8_t *bytes, size_t len)
{
	if (len < PREAMBLE + 4 || memcmp(bytes + PREAMBLE, "DICM", 4) != 0)
		return false;
	struct dicom d = {.e = e, .at = bytes + PREAMBLE + 4, .end = bytes + len, .explicit = true};
	e->format = "dicom";
	while (step(&d))
		;
	if (d.beyond)
		ecg_warn(e, "dicom_syntax", NULL);
	acquired(&d);
	ecg_warn(e, "waveform_unsupported", "dicom");
	return true;
}
