/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CSV reader: RFC 4180, what spreadsheets write, and bytes that nobody should have written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "csv.h"
#include "util.h"

static uint64_t seed = 20261121;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* All rows as one text: fields in [], then the number of the line; an error as "! sentence". */
static char *dump(const char *text, size_t len)
{
	char *out = NULL, error[300] = "";
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);
	struct csv c;
	assert_non_null(f);
	if (csv_open_text(&c, "t.csv", text, len, error, sizeof(error)) < 0) {
		fprintf(f, "! %s\n", error);
		fclose(f);
		return out;
	}
	for (int r; (r = csv_row(&c, error, sizeof(error))) != 0;) {
		if (r < 0) {
			assert_int_equal(r, -EBADMSG);
			fprintf(f, "! %s\n", error);
			continue;
		}
		for (unsigned i = 0; i < c.n_columns; i++)
			fprintf(f, "[%s]", csv_get(&c, c.columns[i]));
		fprintf(f, " %u\n", c.line);
	}
	csv_close(&c);
	fclose(f);
	return out;
}

static void check(const char *text, const char *expected)
{
	_cleanup_(freep) char *found = dump(text, strlen(text));
	assert_string_equal(found, expected);
}

static void test_rows(void **state)
{
	(void)state;
	check("a,b\n1,2\n", "[1][2] 2\n");
	check("a,b\r\n1,2\r\n3,4", "[1][2] 2\n[3][4] 3\n");
	check("\xef\xbb\xbf"
	      "a,b\n1,2\n",
		"[1][2] 2\n");
	check("a,b\n1\n,2\n,\n", "[1][] 2\n[][2] 3\n[][] 4\n");
	check("a,b\n\n  \n1,2\n\r\n", "[  ][] 3\n[1][2] 4\n");
	check("a\n收缩压\n", "[收缩压] 2\n");
	check("a,b\n 1 ,\t2\n", "[ 1 ][\t2] 2\n"); /* RFC 4180, 2.4: blanks are part of a field */
	check("a\n", "");
	check("a", "");
}

static void test_quotes(void **state)
{
	(void)state;
	check("a,b\n\"1\",\"2\"\n", "[1][2] 2\n");
	check("\"a\",b\n\"x,y\",z\n", "[x,y][z] 2\n");
	check("a,b\n\"say \"\"hi\"\"\",\"\"\n", "[say \"hi\"][] 2\n");
	check("a,b\n\"\"\"\",\"\"\"\"\"\"\n", "[\"][\"\"] 2\n");
	check("a,b\n\"two\nlines\",2\n3,4\n", "[two\nlines][2] 2\n[3][4] 4\n");
	check("a,b\r\n\"two\r\nlines\",2\r\n3,4\r\n", "[two\r\nlines][2] 2\n[3][4] 4\n");
	check("a,b\n1,\"2\"", "[1][2] 2\n");
	check("a,b\n\"#1\",2\n", "[#1][2] 2\n");
}

static void test_broken_quotes(void **state)
{
	(void)state;
	check("a,b\n1,\"2\n3,4\n", "! t.csv:2: a quote is opened and never closed\n");
	check("a,b\n1,\"\n", "! t.csv:2: a quote is opened and never closed\n");
	check("a,b\n1,\"", "! t.csv:2: a quote is opened and never closed\n");
	check("a,b\n\"1\"x,2\n3,4\n",
		"! t.csv:2: text follows a closing quote; a quote inside a field is written twice\n"
		"[3][4] 3\n");
	check("a,b\n1\"x,2\n3,4\n", "! t.csv:2: a quote stands inside a field that does not begin "
				    "with one\n[3][4] 3\n");
	check("a,b\n\"1\"\r,2\n3,4\n",
		"! t.csv:2: a carriage return stands inside a line\n[3][4] 3\n");
	check("\"a,b\n1,2\n", "! t.csv:1: a quote is opened and never closed\n");
}

static void test_comments(void **state)
{
	(void)state;
	check("# one\n#two\na,b\n# three\n1,2\n#", "[1][2] 5\n");
	struct csv c;
	char error[200];
	static const char text[] = "# about\r\n# version:  2026.1 \r\n# version: 9\r\na\r\n1\r\n";
	assert_int_equal(0, csv_open_text(&c, "t", text, strlen(text), error, sizeof(error)));
	assert_string_equal(c.version, "2026.1");
	csv_close(&c);
	static const char padded[] = "# version: 3,,,\na,b,c,d\n"; /* as a spreadsheet saves it */
	assert_int_equal(0, csv_open_text(&c, "t", padded, strlen(padded), error, sizeof(error)));
	assert_string_equal(c.version, "3");
	csv_close(&c);
	static const char none[] = "a\n";
	assert_int_equal(0, csv_open_text(&c, "t", none, strlen(none), error, sizeof(error)));
	assert_string_equal(c.version, "");
	assert_null(csv_get(&c, "b"));
	csv_close(&c);
	csv_close(&c);
}

static void test_header(void **state)
{
	(void)state;
	check("", "! t.csv: is empty: the first line must hold the names of the columns\n");
	check("# only\n\n",
		"! t.csv: is empty: the first line must hold the names of the columns\n");
	check("a,,c\n", "! t.csv:1: column 2 has no name\n");
	check("#\na,b,a\n", "! t.csv:2: column \"a\" is there twice\n");
	check("a,b\n1,2,3\n4,5\n", "! t.csv:2: has 3 fields, and the table has 2 columns; a field "
				   "that holds a comma needs "
				   "quotes\n[4][5] 3\n");
	char wide[4 * (CSV_COLUMNS_MAX + 1) + 1] = "";
	for (int i = 0; i <= CSV_COLUMNS_MAX; i++)
		snprintf(wide + strlen(wide), sizeof(wide) - strlen(wide), "%sc%02d", i ? "," : "",
			i);
	check(wide, "! t.csv:1: has 41 columns, and at most 40 are read\n");
	char row[100001];
	memset(row, ',', sizeof(row) - 1);
	memcpy(row, "a\n", 2);
	row[sizeof(row) - 1] = 0;
	check(row, "! t.csv:2: has 99999 fields, and the table has 1 columns; a field that holds a "
		   "comma "
		   "needs quotes\n");
}

static void test_encoding(void **state)
{
	(void)state;
	/* GB 18030 of 收缩压, as a spreadsheet on a Chinese desktop saves it */
	check("a,b\n1,2\n\xca\xd5\xcb\xf5\xd1\xb9,2\n",
		"! t.csv:3: is not UTF-8 text; save the table again as \"CSV UTF-8\"\n");
	_cleanup_(freep) char *found = dump("a\n1\0\n", 5);
	assert_string_equal(
		found, "! t.csv:2: is not UTF-8 text; save the table again as \"CSV UTF-8\"\n");
}

static void test_huge(void **state)
{
	(void)state;
	size_t len = 3 << 20;
	_cleanup_(freep) char *text = malloc(len);
	struct csv c;
	char error[200];
	memset(text, 'x', len);
	memcpy(text, "a\n\"", 3);
	text[len - 1] = '"';
	assert_int_equal(0, csv_open_text(&c, "t", text, len, error, sizeof(error)));
	assert_int_equal(1, csv_row(&c, error, sizeof(error)));
	assert_int_equal(len - 4, strlen(csv_get(&c, "a")));
	assert_int_equal(0, csv_row(&c, error, sizeof(error)));
	csv_close(&c);
	_cleanup_(freep) char *more = calloc(1, CSV_FILE_MAX + 1);
	assert_int_equal(
		-EFBIG, csv_open_text(&c, "t", more, CSV_FILE_MAX + 1, error, sizeof(error)));
	assert_string_equal(error, "t: is larger than 16 MiB");
	csv_close(&c);
}

static void test_file(void **state)
{
	(void)state;
	struct csv c;
	char error[200], path[] = "/tmp/test_csv.XXXXXX";
	assert_int_equal(-ENOENT, csv_open_file(&c, "/nonexistent.csv", error, sizeof(error)));
	assert_string_equal(error, "/nonexistent.csv: cannot be read: No such file or directory");
	csv_close(&c);
	assert_int_equal(-EISDIR, csv_open_file(&c, "/tmp", error, sizeof(error)));
	int fd = mkstemp(path);
	assert_int_equal(8, write(fd, "a,b\n1,2\n", 8));
	close(fd);
	assert_int_equal(0, csv_open_file(&c, path, error, sizeof(error)));
	assert_int_equal(1, csv_row(&c, error, sizeof(error)));
	assert_string_equal(csv_get(&c, "b"), "2");
	csv_close(&c);
	unlink(path);
}

/* Fields written by the rules come back as they were. */
static void test_round_trip(void **state)
{
	(void)state;
	static const char letters[] = "ab,\"\r\n# ";
	for (int i = 0; i < 20000; i++) {
		char text[400] = "a,b,c\n", error[200];
		char fields[3][16];
		size_t n = strlen(text);
		for (int k = 0; k < 3; k++) {
			text[n++] = '"';
			size_t len = draw() % 12, at = 0;
			for (size_t m = 0; m < len; m++) {
				char c = letters[draw() % (sizeof(letters) - 1)];
				fields[k][at++] = c;
				text[n++] = c;
				if (c == '"')
					text[n++] = c;
			}
			fields[k][at] = 0;
			text[n++] = '"';
			text[n++] = k < 2 ? ',' : '\n';
		}
		struct csv c;
		assert_int_equal(0, csv_open_text(&c, "t", text, n, error, sizeof(error)));
		assert_int_equal(1, csv_row(&c, error, sizeof(error)));
		assert_int_equal(3, c.n_fields);
		for (int k = 0; k < 3; k++)
			assert_string_equal(c.fields[k], fields[k]);
		assert_int_equal(0, csv_row(&c, error, sizeof(error)));
		csv_close(&c);
	}
}

/* Random bytes: ends, stays in its memory (sanitizers), never gives more fields than columns. */
static void test_random_bytes(void **state)
{
	(void)state;
	static const char likely[] = "ab,,,,\"\"\r\n\n#";
	for (int i = 0; i < 50000; i++) {
		char text[64], error[200];
		size_t len = draw() % sizeof(text), rows = 0;
		for (size_t k = 0; k < len; k++)
			text[k] =
				draw() % 50 ? likely[draw() % (sizeof(likely) - 1)] : (char)draw();
		/* From a block of its exact size, so that a byte too far is seen. */
		_cleanup_(freep) char *exact = malloc(len + 1);
		memcpy(exact, text, len);
		struct csv c;
		if (csv_open_text(&c, "t", exact, len, error, sizeof(error)) < 0)
			continue;
		for (int r; (r = csv_row(&c, error, sizeof(error))) != 0; rows++)
			assert_true(r < 0 || (c.n_fields >= 1 && c.n_fields <= c.n_columns));
		assert_true(rows <= len);
		csv_close(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_broken_quotes),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_encoding),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_random_bytes),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
