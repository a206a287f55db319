/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HL7 v3 annotated ECG (aECG, "FDA XML"), after the HL7 aECG Implementation Guide of 2005-03-21 and files in
 * the wild. Two passes: the first finds out whether it is one, whether it is whole and which series to take,
 * so that nothing half read is ever taken. Entities are never declared, so nothing expands.
 *
 * It is one when the first tag is AnnotatedECG, whatever its prefix, and the XML can be read until
 * there. An internal subset is refused before: then it is one when the DOCTYPE has that name.
 */
#include "aecg.h"

#include <expat.h>

#define LANGUAGE_GB 0x27 /* SCP's code */
#define MANTISSA_FULL INT64_C(100000000000000000)

static const struct {
	const char *name;
	enum aecg_element element;
} names[] = {
	{"AnnotatedECG", EL_ROOT},
	{"activityTime", EL_ACTIVITY_TIME},
	{"administrativeGenderCode", EL_GENDER},
	{"annotation", EL_ANNOTATION},
	{"annotationSet", EL_ANNOTATION_SET},
	{"birthTime", EL_BIRTH},
	{"center", EL_CENTER},
	{"code", EL_CODE},
	{"controlVariable", EL_CONTROL},
	{"derivation", EL_DERIVATION},
	{"digits", EL_DIGITS},
	{"effectiveTime", EL_EFFECTIVE_TIME},
	{"family", EL_FAMILY},
	{"given", EL_GIVEN},
	{"id", EL_ID},
	{"increment", EL_INCREMENT},
	{"low", EL_LOW},
	{"manufacturedSeriesDevice", EL_DEVICE},
	{"manufacturerModelName", EL_MODEL},
	{"manufacturerOrganization", EL_ORGANIZATION},
	{"name", EL_NAME},
	{"origin", EL_ORIGIN},
	{"relatedObservation", EL_OBSERVATION},
	{"scale", EL_SCALE},
	{"sequence", EL_SEQUENCE},
	{"sequenceSet", EL_SEQUENCE_SET},
	{"serialNumber", EL_SERIAL},
	{"series", EL_SERIES},
	{"seriesAuthor", EL_SERIES_AUTHOR},
	{"softwareName", EL_SOFTWARE},
	{"subjectDemographicPerson", EL_PERSON},
	{"trialSubject", EL_TRIAL_SUBJECT},
	{"value", EL_VALUE},
};

/* Whatever prefix the document has chosen for HL7's namespace. */
static const char *local_name(const char *name)
{
	const char *colon = strchr(name, ':');
	return colon ? colon + 1 : name;
}

static enum aecg_element element_of(const char *name)
{
	const char *local = local_name(name);
	for (size_t i = 0; i < ELEMENTS(names); i++)
		if (streq(names[i].name, local))
			return names[i].element;
	return EL_OTHER;
}

const char *aecg_attribute(const char **attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (streq(attributes[0], name))
			return attributes[1];
	return NULL;
}

static const char *sign_of(const char *p, bool *ret_negative)
{
	*ret_negative = *p == '-';
	return p + (*p == '-' || *p == '+');
}

/* The digits of a number without its sign; returns where they end, NULL when there are none or too many. */
static const char *mantissa_of(const char *p, struct aecg_number *ret)
{
	bool point = false, any = false;
	*ret = (struct aecg_number){0};
	for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
		if (*p == '.') {
			point = true;
			continue;
		}
		any = true;
		if (ret->mantissa < MANTISSA_FULL) {
			ret->mantissa = ret->mantissa * 10 + (*p - '0');
			ret->exponent -= point;
		} else if (!point) {
			return NULL;
		} else {
			ret->cut = ret->cut || *p != '0';
		}
	}
	return any ? p : NULL;
}

bool aecg_number(const char *text, struct aecg_number *ret)
{
	bool negative, down;
	int exponent = 0;
	const char *p = mantissa_of(sign_of(text, &negative), ret);
	if (p && (*p == 'e' || *p == 'E')) {
		p = sign_of(p + 1, &down);
		const char *first = p;
		for (; *p >= '0' && *p <= '9' && p - first < 3; p++)
			exponent = exponent * 10 + (*p - '0');
		ret->exponent += down ? -exponent : exponent;
		p = p == first ? NULL : p;
	}
	if (negative)
		ret->mantissa = -ret->mantissa;
	return p && !*p;
}

bool aecg_decimal(const char *text, int shift, int64_t *ret_value)
{
	struct aecg_number number;
	if (!aecg_number(text, &number))
		return false;
	int64_t value = llabs(number.mantissa);
	int places = number.exponent + shift;
	for (; places > 0 && value; places--) {
		if (value > INT64_MAX / 10)
			return false;
		value *= 10;
	}
	for (; places < -1 && value; places++) /* all but the last: truncation does not change */
		value /= 10;		       /* which side of a half it is on */
	value = places < 0 ? (value + 5) / 10 : value;
	*ret_value = number.mantissa < 0 ? -value : value;
	return true;
}

/* --- first pass */

struct look {
	XML_Parser parser;
	unsigned depth, series_depth, n_series, wanted;
	bool root, rhythm, doctype, deep;
};

static void look_doctype(
	void *data, const char *name, const char *system, const char *public, int internal_subset)
{
	struct look *l = data;
	(void)system;
	(void)public;
	if (!internal_subset)
		return;
	l->doctype = element_of(name) == EL_ROOT;
	XML_StopParser(l->parser, XML_FALSE);
}

static void look_start(void *data, const char *name, const char **attributes)
{
	struct look *l = data;
	enum aecg_element element = element_of(name);
	if (l->depth++ == 0)
		l->root = element == EL_ROOT;
	l->deep = l->depth > AECG_DEPTH_MAX;
	if (!l->root || l->deep) {
		XML_StopParser(l->parser, XML_FALSE);
		return;
	}
	if (element == EL_SERIES) {
		l->n_series++;
		l->series_depth = l->depth;
	}
	const char *code = element == EL_CODE && l->n_series && l->depth == l->series_depth + 1
				   ? aecg_attribute(attributes, "code")
				   : NULL;
	if (code && streq(code, "RHYTHM") && !l->rhythm) {
		l->rhythm = true;
		l->wanted = l->n_series;
	}
}

static void look_end(void *data, const char *name)
{
	struct look *l = data;
	(void)name;
	l->depth--;
}

/* --- second pass */

static void on_start(void *data, const char *name, const char **attributes)
{
	struct aecg *a = data;
	enum aecg_element element = element_of(name);
	a->frames[++a->depth] = (struct aecg_frame){.element = (uint8_t)element};
	a->text_len = 0;
	if (element == EL_SERIES && ++a->n_series != a->wanted && !a->skipped)
		a->skipped = a->depth;
	if (a->skipped)
		return;
	if (element == EL_DERIVATION && !a->derived)
		a->derived = a->depth;
	aecg_data_start(a, attributes);
	if (!a->derived)
		aecg_wave_start(a, attributes);
}

static void on_text(void *data, const char *bytes, int len)
{
	struct aecg *a = data;
	if (a->skipped)
		return;
	if (aecg_above(a, 0) == EL_DIGITS && !a->derived) {
		aecg_wave_text(a, bytes, (size_t)len);
		return;
	}
	size_t n = MIN((size_t)len, sizeof(a->text) - a->text_len);
	memcpy(a->text + a->text_len, bytes, n);
	a->text_len += n;
}

static void on_end(void *data, const char *name)
{
	struct aecg *a = data;
	(void)name;
	if (!a->skipped) {
		aecg_data_end(a);
		if (!a->derived)
			aecg_wave_end(a);
	}
	a->text_len = 0;
	if (a->skipped == a->depth)
		a->skipped = 0;
	if (a->derived == a->depth)
		a->derived = 0;
	a->depth--;
}

/* --- the parser */

/* Two bytes of GBK as a code point; -1: there is none. */
static int gb_character(void *data, const char *bytes)
{
	char utf8[8];
	(void)data;
	if (!ecg_text(utf8, sizeof(utf8), (const uint8_t *)bytes, 2, LANGUAGE_GB))
		return -1;
	const uint8_t *p = (const uint8_t *)utf8;
	switch (strlen(utf8)) {
	case 2:
		return (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
	case 3:
		return (p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	default:
		return -1;
	}
}

/* expat knows UTF-8, UTF-16, ISO-8859-1 and ASCII. */
static int gb_encoding(void *data, const char *name, XML_Encoding *encoding)
{
	(void)data;
	if (strcasecmp(name, "gb2312") != 0 && strcasecmp(name, "gbk") != 0 &&
		strcasecmp(name, "gb18030") != 0)
		return XML_STATUS_ERROR;
	for (int i = 0; i < 256; i++)
		encoding->map[i] = i < 0x80 ? i : -2;
	encoding->convert = gb_character;
	return XML_STATUS_OK;
}

DEFINE_CLEANUP(XML_Parser, XML_ParserFree)

static XML_Parser parser_new(void *data, XML_StartElementHandler starts, XML_EndElementHandler ends)
{
	XML_Parser parser = XML_ParserCreate(NULL);
	if (!parser)
		return NULL;
	XML_SetUserData(parser, data);
	XML_SetElementHandler(parser, starts, ends);
	XML_SetUnknownEncodingHandler(parser, gb_encoding, NULL);
	return parser;
}

static bool parse(XML_Parser parser, const uint8_t *bytes, size_t len)
{
	return XML_Parse(parser, (const char *)bytes, (int)len, XML_TRUE) == XML_STATUS_OK;
}

/* Why the first pass did not come to the end. */
static void reject(struct ecg *e, const struct look *l)
{
	enum XML_Error error = XML_GetErrorCode(l->parser);
	char detail[sizeof(e->detail)];
	snprintf(detail, sizeof(detail), "line %lu: %s", XML_GetCurrentLineNumber(l->parser),
		l->deep ? "nested too deeply" : XML_ErrorString(error));
	if (l->doctype)
		ecg_reject(e, "doctype", NULL);
	else
		ecg_reject(e, "xml", detail);
}

static void take(struct ecg *e, const uint8_t *bytes, size_t len, unsigned wanted)
{
	_cleanup_(freep) struct aecg *a = calloc(1, sizeof(*a));
	_cleanup_(XML_ParserFreep) XML_Parser parser = a ? parser_new(a, on_start, on_end) : NULL;
	if (!parser) {
		e->failed = true;
		return;
	}
	a->e = e;
	a->wanted = wanted;
	XML_SetCharacterDataHandler(parser, on_text);
	if (!parse(parser, bytes, len)) /* it was well-formed: only memory is left */
		e->failed = true;
	if (!e->n_leads && !a->left_out)
		ecg_warn(e, "no_rhythm", NULL);
	aecg_wave_free(&a->wave);
}

bool aecg_read(struct ecg *e, const uint8_t *bytes, size_t len)
{
	struct look l = {.wanted = 1};
	while (len && bytes[len - 1] == 0x1a) /* XMODEM fills its last block */
		len--;
	_cleanup_(XML_ParserFreep) XML_Parser parser = parser_new(&l, look_start, look_end);
	l.parser = parser;
	if (!parser) {
		e->failed = true;
		return true;
	}
	XML_SetStartDoctypeDeclHandler(parser, look_doctype);
	bool whole = parse(parser, bytes, len);
	if (!whole && XML_GetErrorCode(parser) == XML_ERROR_NO_MEMORY) {
		e->failed = true;
		return true;
	}
	if (!l.root && !l.doctype)
		return false;
	e->format = "aecg";
	if (!whole) {
		reject(e, &l);
		return true;
	}
	take(e, bytes, len, l.wanted);
	if (!e->acquired.year)
		ecg_warn(e, "bad_date", NULL);
	return true;
}
