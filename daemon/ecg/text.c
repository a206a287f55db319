/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text of instruments as UTF-8. The charset that a file names is tried first; carts that name ASCII
 * send Latin-1, GB 2312 or UTF-8 all the same, so what is not ASCII is then judged by its bytes.
 */
#include <errno.h>
#include <iconv.h>

#include "ecg.h"

/* EN 1064, language support code of tag 14. The Japanese codes (0f, 17, 1f) stand for several sets
 * at once and are not read. GB18030 contains GB 2312. */
static struct converter {
	unsigned language;
	const char *charset;
	iconv_t cd; /* NULL: not opened or not there */
} converters[] = {
	{0x01, "ISO-8859-1", NULL},
	{0x03, "ISO-8859-2", NULL},
	{0x0b, "ISO-8859-4", NULL},
	{0x13, "ISO-8859-5", NULL},
	{0x1b, "ISO-8859-6", NULL},
	{0x23, "ISO-8859-7", NULL},
	{0x2b, "ISO-8859-8", NULL},
	{0x33, "ISO-8859-11", NULL},
	{0x3b, "ISO-8859-15", NULL},
	{0x07, "UTF-16LE", NULL},
	{0x27, "GB18030", NULL},
	{0x2f, "EUC-KR", NULL},
};
enum { LATIN_1 = 0x01, ISO_10646 = 0x07, GB_2312 = 0x27 };

/* What is converted at most: longer than what is kept, so that blanks at its ends can go. */
#define RAW_MAX (4 * ECG_TEXT_MAX)

void ecg_text_init(void)
{
	for (size_t i = 0; i < ELEMENTS(converters); i++) {
		struct converter *c = &converters[i];
		if (!c->cd)
			c->cd = iconv_open("UTF-8", c->charset);
		if (c->cd == (iconv_t)-1)
			c->cd = NULL;
	}
}

/* All of the text, or as much as there is room for; false when the charset does not have it. */
static bool convert(unsigned language, char *out, const uint8_t *bytes, size_t len)
{
	iconv_t cd = NULL;
	for (size_t i = 0; i < ELEMENTS(converters); i++)
		if (converters[i].language == language)
			cd = converters[i].cd;
	if (!cd)
		return false;
	char *from = (char *)bytes, *to = out;
	size_t from_left = len, to_left = RAW_MAX - 1;
	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &from, &from_left, &to, &to_left) == (size_t)-1 && errno != E2BIG)
		return false;
	*to = 0;
	return true;
}

static bool is_ascii(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] >= 0x80)
			return false;
	return true;
}

static bool is_utf8(const uint8_t *bytes, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = utf8_length((const char *)bytes + at, len - at);
		if (!n)
			return false;
	}
	return true;
}

/* Two bytes, both above 7f, for each character: a single one between ASCII is a Latin letter. */
static bool is_in_pairs(const uint8_t *bytes, size_t len)
{
	size_t run = 0;
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] < 0x80 && run % 2)
			return false;
		run = bytes[i] < 0x80 ? 0 : run + 1;
	}
	return run % 2 == 0;
}

static void guess(char *out, const uint8_t *bytes, size_t len)
{
	if (is_utf8(bytes, len))
		text_copy(out, RAW_MAX, (const char *)bytes, len);
	else if (!is_in_pairs(bytes, len) || !convert(GB_2312, out, bytes, len))
		if (!convert(LATIN_1, out, bytes, len))
			*out = 0;
}

/*
 * Whoever declares ISO 10646 may send UTF-8 or UTF-16, and 测试 in UTF-16 is UTF-8 as well. A text is
 * UTF-16 when, without the NULs at its end, it has a NUL inside or is no UTF-8; or when there are
 * two NULs at its end and it is not ASCII. It goes up to a 16-bit NUL; a single NUL behind its last
 * character is none of it. Returns the length of that, 0 when the text is UTF-8.
 */
static size_t utf16_length(const uint8_t *bytes, size_t len)
{
	size_t text = len, end = 0;
	while (text && !bytes[text - 1])
		text--;
	bool ended = len - text == 2 && text % 2 == 0 && !is_ascii(bytes, text);
	if (!memchr(bytes, 0, text) && is_utf8(bytes, text) && !ended)
		return 0;
	if (len % 2 && !bytes[len - 1])
		len--;
	while (end + 2 <= len && (bytes[end] || bytes[end + 1]))
		end += 2;
	return end + 1 == len ? len : end; /* half a unit is for the converter to refuse */
}

/* Each control character (C0, DEL and C1, which UTF-8 has as c2 80..9f) becomes one blank. Returns
 * the end. */
static char *blank_controls(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		uint8_t c = (uint8_t)*from;
		bool c1 = c == 0xc2 && (uint8_t)from[1] < 0xa0;
		*to++ = c < 0x20 || c == 0x7f || c1 ? ' ' : *from;
		from += c1;
	}
	*to = 0;
	return to;
}

/* Into the text that is shown: without control characters, bounded. */
static void tidy(char *out, size_t size, char *raw)
{
	const char *end = blank_controls(raw);
	while (*raw == ' ')
		raw++;
	size_t len = 0, n;
	while (raw + len < end && (n = utf8_length(raw + len, end - raw - len)) && len + n < size)
		len += n;
	while (len && raw[len - 1] == ' ')
		len--;
	text_copy(out, size, raw, len);
}

bool ecg_text(char *out, size_t size, const uint8_t *bytes, size_t len, unsigned language)
{
	char raw[RAW_MAX];
	bool sure = true, ucs = language == ISO_10646;
	size_t wide = ucs ? utf16_length(bytes, len) : 0;
	len = strnlen((const char *)bytes, len);
	if (wide)
		sure = convert(ISO_10646, raw, bytes, wide);
	else if (is_ascii(bytes, len) || ((ucs || language == CHARSET_UTF8) && is_utf8(bytes, len)))
		text_copy(raw, sizeof(raw), (const char *)bytes, len);
	else
		sure = convert(language, raw, bytes, len);
	if (!sure)
		guess(raw, bytes, len);
	tidy(out, size, raw);
	return sure;
}
