/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How elements of WS/T 363 print a value: nothing is cut to make it fit, and what nobody confirmed refuses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"
#include "ws.h"

#define HEAD "# version: 5\nws_de,name,format,unit,confidence,source\n"

static struct ws *load_text(const char *text, char *error, size_t size)
{
	char path[] = "/tmp/vitalgate-ws-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct ws *w = ws_load(path, error, size);
	unlink(path);
	return w;
}

static struct ws *with_format(const char *format, char *error, size_t size)
{
	char text[400];
	snprintf(text, sizeof(text), "%sDE01.02.003.04,x,%s,,high,s\n", HEAD, format);
	return load_text(text, error, size);
}

static void test_ours(void **state)
{
	(void)state;
	char error[300] = "", out[WS_TEXT];
	struct ws *w = ws_load("config/ws_elements.csv", error, sizeof(error));
	assert_string_equal(error, "");
	assert_non_null(w);
	assert_true(ws_version(w)[0]);
	static const struct {
		const char *element;
		int64_t milli;
		unsigned decimals;
		bool fits;
		const char *text;
	} cases[] = {
		{"DE04.10.174.00", 151000, 0, true, "151"}, /* N2..3 */
		{"DE04.10.174.00", 99000, 0, true, "99"}, {"DE04.10.174.00", 10000, 0, true, "10"},
		{"DE04.10.174.00", 9000, 0, false, "9"}, {"DE04.10.174.00", 999000, 0, true, "999"},
		{"DE04.10.174.00", 1000000, 0, false, "1000"},
		{"DE04.10.174.00", 151500, 1, false, "151.5"}, /* no digit is dropped */
		{"DE04.10.174.00", 151000, 1, true, "151"},
		{"DE04.10.174.00", -51000, 0, false, "-51.000"},
		{"DE04.10.167.00", 165500, 1, true, "165.5"}, /* N4..5,1 */
		{"DE04.10.167.00", 165000, 1, true, "165.0"},
		{"DE04.10.167.00", 165000, 0, true, "165.0"}, /* its decimals, not the kind's */
		{"DE04.10.167.00", 9900, 1, false, "9.9"},
		{"DE04.10.167.00", 10000, 1, true, "10.0"},
		{"DE04.10.167.00", 165250, 2, false, "165.25"},
		{"DE04.10.167.00", 1000000, 1, false, "1000.0"},
		{"DE04.10.186.00", 36500, 1, true, "36.5"}, /* N4,1 */
		{"DE04.10.186.00", 9500, 1, false, "9.5"},
		{"DE04.10.186.00", 100000, 1, false, "100.0"},
		{"DE04.10.188.00", 65350, 2, true, "65.35"}, /* N3..6,2 */
		{"DE04.10.188.00", 300000, 2, true, "300.00"},
		{"DE04.10.188.00", 1000000, 2, false, "1000.00"},
		{"DE04.10.188.00", 3500, 2, true, "3.50"},
		{"DE04.50.083.00", 10500, 1, true, "10.5"}, /* "N..3,1?" refuses nothing */
		{"DE05.10.075.00", 9500, 1, true, "9.5"},
		{"DE04.50.149.00", 98000, 0, true, "98"}, /* and adds nothing */
		{"DE04.50.149.00", 98500, 0, true, "98.500"},
		{"DE04.50.125.00", 5200, 2, true, "5.20"}, /* not in the table */
		{"", 5000, 3, true, "5.000"}, {"", -500, 1, true, "-0.500"},
		{"DE04.10.237.00", 1000, 0, true, "1"}, /* T/F is no number */
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		print_message("# %s %lld\n", cases[i].element, (long long)cases[i].milli);
		assert_int_equal(
			ws_text(w, cases[i].element, cases[i].milli, cases[i].decimals, out),
			cases[i].fits);
		assert_string_equal(out, cases[i].text);
	}
	assert_true(ws_known(w, "DE04.10.174.00"));
	assert_false(ws_known(w, "DE04.50.125.00"));
	assert_false(ws_known(NULL, "DE04.10.174.00"));
	assert_true(ws_text(NULL, "DE04.10.174.00", 9000, 0, out));
	assert_string_equal(out, "9");
	ws_free(w);
	ws_free(NULL);
}

static void test_formats(void **state)
{
	(void)state;
	static const struct {
		const char *format;
		bool right;
	} cases[] = {{"", true}, {"N3", true}, {"N2..3", true}, {"N..3", true},
		{"\"N4..5,1\"", true}, {"\"N..4,1?\"", true}, {"T/F", true}, {"A..50", true},
		{"AN20", true}, {"AN..100?", true}, {"N", false}, {"A", false}, {"N..", false},
		{"N5..4", false}, {"N0", false}, {"\"N4,\"", false}, {"\"N4,4\"", false},
		{"\"N,1\"", false}, {"N3??", false}, {"N3x", false}, {"X3", false},
		{"\"A3,1\"", false}, {"T", false}, {"3", false}, {"N2...3", false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char error[300] = "";
		struct ws *w = with_format(cases[i].format, error, sizeof(error));
		print_message("# %s %s\n", cases[i].format, error);
		assert_int_equal(w != NULL, cases[i].right);
		if (!w)
			assert_non_null(strstr(error, ":3: expected an element"));
		ws_free(w);
	}
}

/* A length without a shortest: as short as it likes. Fixed: exactly so long. */
static void test_lengths(void **state)
{
	(void)state;
	char error[300], out[WS_TEXT];
	struct ws *w = with_format("N..3", error, sizeof(error));
	assert_true(ws_text(w, "DE01.02.003.04", 5000, 0, out));
	assert_true(ws_text(w, "DE01.02.003.04", 0, 0, out));
	assert_string_equal(out, "0");
	assert_false(ws_text(w, "DE01.02.003.04", 1000000, 0, out));
	ws_free(w);
	w = with_format("N3", error, sizeof(error));
	assert_false(ws_text(w, "DE01.02.003.04", 99000, 0, out));
	assert_true(ws_text(w, "DE01.02.003.04", 100000, 0, out));
	ws_free(w);
	w = with_format("\"N5,3\"", error, sizeof(error));
	assert_true(ws_text(w, "DE01.02.003.04", 1005, 3, out));
	assert_string_equal(out, "1.005");
	ws_free(w);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *line, *says;
	} bad[] = {
		{"DE01.02.003,x,N3,,high,s\n", ":3: "},
		{"DE01.02.003.0x,x,N3,,high,s\n", ":3: "},
		{"DF01.02.003.04,x,N3,,high,s\n", ":3: "},
		{"DE01.02.003.04,,N3,,high,s\n", ":3: "},
		{"DE01.02.003.04,x,N3,,high,\n", ":3: "},
		{"DE01.02.003.04,x,N3,,high,s\nDE01.02.003.04,x,N3,,high,s\n", ":4: "},
	};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		char error[300] = "", text[400];
		snprintf(text, sizeof(text), "%s%s", HEAD, bad[i].line);
		assert_null(load_text(text, error, sizeof(error)));
		assert_non_null(strstr(error, bad[i].says));
	}
	char error[300] = "";
	assert_null(ws_load("/nonexistent/ws.csv", error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/ws.csv"));
	_cleanup_(freep) char *many = calloc(1, 16384);
	strcpy(many, HEAD);
	for (int i = 0; i < 129; i++)
		sprintf(many + strlen(many), "DE01.02.%03d.04,x,N3,,high,s\n", i);
	assert_null(load_text(many, error, sizeof(error)));
	assert_non_null(strstr(error, ":131: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ws", tests, NULL, NULL);
}
