/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text of instruments: the charset that is declared, the one that is guessed, what is tidied. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "ecg/ecg.h"

static const char *text(const char *bytes, size_t len, unsigned language);

#define TEXT(bytes, language) text(bytes, sizeof(bytes) - 1, language)

static int setup(void **state)
{
	(void)state;
	/* without converters */
	assert_string_equal(TEXT("TEST", 0x01), "TEST");
	assert_string_equal(TEXT("测试", 0), "?测试");
	assert_string_equal(TEXT("F\xf6r", 0x01), "?");
	ecg_text_init();
	ecg_text_init(); /* twice does no harm */
	return 0;
}

/* From an exact copy; a "?" in front: it was guessed. */
static const char *text(const char *bytes, size_t len, unsigned language)
{
	static char out[1 + ECG_TEXT_MAX];
	uint8_t *exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, bytes, len);
	out[0] = '?';
	bool sure = ecg_text(out + 1, ECG_TEXT_MAX, exact, len, language);
	free(exact);
	return out + sure;
}

static void ascii_is_itself_in_every_charset(void **state)
{
	(void)state;
	for (unsigned language = 0; language < 256; language++) {
		assert_string_equal(TEXT("TEST ~!\"", language), "TEST ~!\"");
		assert_string_equal(TEXT("", language), "");
	}
}

/* The same four bytes. */
static void the_declared_charset_is_taken(void **state)
{
	(void)state;
	static const struct {
		unsigned language;
		const char *text;
	} cases[] = {{0x01, "²âÊÔ"}, {0x03, "˛âĘÔ"}, {0x0b, "˛âĘÔ"}, {0x13, "ВтЪд"}, {0x23, "²βΚΤ"},
		{0x33, "ฒโสิ"}, {0x3b, "²âÊÔ"}, {0x27, "测试"}, {0x2f, "꿎桿"}};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		assert_string_equal(TEXT("\xb2\xe2\xca\xd4", cases[i].language), cases[i].text);
	assert_string_equal(TEXT("\xc7\xe4", 0x1b), "ال");
	assert_string_equal(TEXT("\xe0\xe1", 0x2b), "אב");
	assert_string_equal(TEXT("\xa4", 0x3b), "€");
	assert_string_equal(TEXT("\x82\x35\xf4\x33", 0x27), "ꎘ"); /* four bytes: not in GB 2312 */
}

static void unicode_is_utf_8_or_16(void **state)
{
	(void)state;
	assert_string_equal(TEXT("测试", 0x07), "测试");
	assert_string_equal(TEXT("测试\0", 0x07), "测试");
	assert_string_equal(TEXT("\x4b\x6d\xd5\x8b\0\0", 0x07), "测试");
	assert_string_equal(TEXT("T\0E\0S\0T\0", 0x07), "TEST");
	assert_string_equal(TEXT("T\0E\0S\0T\0\0\0X\0", 0x07), "TEST");
	assert_string_equal(TEXT("T\0E\0S\0T\0\0", 0x07), "TEST");
	assert_string_equal(TEXT("T\0\x4b\x6d", 0x07), "T测");
	assert_string_equal(TEXT("\x00\x4e\x4b\x6d", 0x07), "一测");
	assert_string_equal(TEXT("TEST\0", 0x07), "TEST");
	assert_string_equal(TEXT("TEST\0\0", 0x07), "TEST");
	assert_string_equal(TEXT("TEST1\0", 0x07), "TEST1");
	assert_string_equal(TEXT("T\0", 0x07), "T");
	/* the last character's upper half is no end */
	assert_string_equal(TEXT("\xd5\x8b\x8c\x9a\x31\0", 0x07), "试验1");
	assert_string_equal(TEXT("\xd5\x8b\x8c\x9a\x31\0\0\0", 0x07), "试验1");
	assert_string_equal(TEXT("测试\0\0\0\0", 0x07), "测试"); /* a field that was filled up */
	assert_string_equal(TEXT("T\0\x00\xd8", 0x07), "?T");
	assert_string_equal(TEXT("\x3d\xd8\x00\xde", 0x07), "😀");
	assert_string_equal(TEXT("\xd5\x8b\xff\x6d", 0x07), "试淿"); /* UTF-8 it is not */
	assert_string_equal(TEXT("\x4b\xd8", 0x07), "?KØ");	     /* half of a pair */
	assert_string_equal(TEXT("T\0E\0", 0x01), "T");
}

static void what_is_not_declared_is_guessed(void **state)
{
	(void)state;
	static const unsigned undeclared[] = {0x00, 0x0f, 0x17, 0x1f, 0x02, 0x70, 0xff};
	for (size_t i = 0; i < ELEMENTS(undeclared); i++) {
		unsigned language = undeclared[i];
		assert_string_equal(TEXT("测试甲", language), "?测试甲");
		assert_string_equal(TEXT("\xb2\xe2\xca\xd4\xbc\xd7", language), "?测试甲");
		assert_string_equal(TEXT("TEST \xb2\xe2 \xca\xd4", language), "?TEST 测 试");
		assert_string_equal(TEXT("F\xf6rmaksflimmer", language), "?Förmaksflimmer");
		assert_string_equal(TEXT("Sm\xe5l\xe4nning", language), "?Smålänning");
		assert_string_equal(
			TEXT("\xff\xff", language), "?ÿÿ"); /* pairs, but not GB 18030 */
		assert_string_equal(TEXT("\xb2\xe2\xca", language), "?²âÊ");
		assert_string_equal(TEXT("\xb2\xe2 \xca", language), "?²â Ê");
	}
}

/* The charset is declared, and the bytes are another's. */
static void a_wrong_declaration_is_a_guess(void **state)
{
	(void)state;
	assert_string_equal(
		TEXT("F\xf6rmaksflimmer", 0x27), "F鰎maksflimmer"); /* f6 72 is GB 18030 */
	assert_string_equal(TEXT("r\xf6 r", 0x27), "?rö r");
	assert_string_equal(TEXT("\xb2\xe2\xff", 0x27), "?²âÿ");
	assert_string_equal(TEXT("\xb2\xe2\xca", 0x27), "?²âÊ");
	assert_string_equal(TEXT("A\x80", 0x27), "?A");
	assert_string_equal(TEXT("\xb0\xa1 \xb0", 0x2f), "?°¡ °");
}

static void it_is_tidied(void **state)
{
	(void)state;
	assert_string_equal(TEXT("  TEST  ", 0), "TEST");
	assert_string_equal(TEXT("\t\r\nTE\x1b\x01ST\x7f", 0), "TE  ST");
	assert_string_equal(TEXT("TEST\0XX", 0), "TEST");
	assert_string_equal(TEXT("\0XX", 0), "");
	assert_string_equal(TEXT("   ", 0), "");
	assert_string_equal(TEXT("A\x85"
				 "B",
				    0x01),
		"A B"); /* C1 */
	assert_string_equal(TEXT("\xc2\x80\xc2\x9f"
				 "A\xc2\x9f\x1b\xc2\xa0",
				    CHARSET_UTF8),
		"A  \xc2\xa0");
	assert_string_equal(TEXT("A\xa0"
				 "B",
				    0x01),
		"A\xc2\xa0"
		"B");
	assert_string_equal(TEXT("\xc2\x9b 1", 0), "?1");
}

/* At 255 bytes, behind a whole character. */
static void it_is_cut(void **state)
{
	(void)state;
	char many[3000];
	memset(many, 'x', sizeof(many));
	assert_int_equal(strlen(text(many, 255, 0)), 255);
	assert_int_equal(strlen(text(many, 256, 0)), 255);
	assert_int_equal(strlen(text(many, sizeof(many), 0)), 255);
	for (unsigned at = 0; at < 3; at++) {
		memset(many, 'x', at);
		for (size_t i = at; i + 3 <= sizeof(many); i += 3)
			memcpy(many + i, "测", 3);
		size_t len = sizeof(many) - (sizeof(many) - at) % 3;
		const char *out = text(many, len, 0x07);
		assert_int_equal(strlen(out), at + (255 - at) / 3 * 3);
		for (size_t i = 0, n; out[i]; i += n)
			assert_true((n = utf8_length(out + i, strlen(out + i))));
	}
	for (size_t i = 0; i + 2 <= sizeof(many); i += 2)
		memcpy(many + i, "\xb2\xe2", 2);
	assert_int_equal(strlen(text(many, sizeof(many), 0x27)), 255);
	memset(many, ' ', 500);
	assert_int_equal(strlen(text(many, sizeof(many), 0x27)), 255); /* blanks do not count */
	char small[4];
	assert_true(ecg_text(small, sizeof(small), (const uint8_t *)"测试", 6, 0x07));
	assert_string_equal(small, "测");
}

/* Every pair of bytes in every charset gives UTF-8 without control characters. */
static void whatever_comes_it_is_utf_8(void **state)
{
	(void)state;
	static const unsigned languages[] = {
		0, 1, 3, 0x0b, 0x13, 0x1b, 0x23, 0x2b, 0x33, 0x3b, 7, 0x27, 0x2f};
	for (size_t k = 0; k < ELEMENTS(languages); k++)
		for (unsigned v = 0; v < 65536; v++) {
			char bytes[] = {'x', (char)v, (char)(v >> 8), 'y'}, out[16];
			ecg_text(out, sizeof(out), (uint8_t *)bytes, 4, languages[k]);
			for (size_t i = 0, n; out[i]; i += n) {
				n = utf8_length(out + i, strlen(out + i));
				uint8_t c = (uint8_t)out[i], next = (uint8_t)out[i + 1];
				if (!n || c < 0x20 || c == 0x7f || (c == 0xc2 && next < 0xa0))
					fail_msg("%04x in %02x", v, languages[k]);
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ascii_is_itself_in_every_charset),
		cmocka_unit_test(the_declared_charset_is_taken),
		cmocka_unit_test(unicode_is_utf_8_or_16),
		cmocka_unit_test(what_is_not_declared_is_guessed),
		cmocka_unit_test(a_wrong_declaration_is_a_guess),
		cmocka_unit_test(it_is_tidied),
		cmocka_unit_test(it_is_cut),
		cmocka_unit_test(whatever_comes_it_is_utf_8),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
