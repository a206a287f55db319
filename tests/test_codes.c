/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The vocabulary: conversions with hand-computed expectations, names of tests, tables with faults.
 * Runs from the root of the repository: it reads config/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "codes.h"
#include "util.h"

static struct codes *codes;

static uint64_t seed = 20261121;

static uint64_t draw(void) /* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int load(void **state)
{
	(void)state;
	char error[400];
	codes = codes_load("config", error, sizeof(error));
	if (!codes)
		print_error("%s\n", error);
	return codes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	codes_free(codes);
	return 0;
}

static void test_find(void **state)
{
	(void)state;
	const struct code *c = codes_find(codes, "bp.sbp");
	assert_non_null(c);
	assert_string_equal(c->ws, "DE04.10.174.00");
	assert_string_equal(c->mdc, "150021");
	assert_string_equal(c->loinc, "8480-6");
	assert_string_equal(c->ucum, "mm[Hg]");
	assert_string_equal(c->family, "pressure");
	assert_string_equal(c->name_zh, "收缩压");
	assert_int_equal(c->decimals, 0);
	assert_int_equal(c->min_milli, 40000);
	assert_int_equal(c->max_milli, 300000);
	c = codes_find(codes, "glu.fasting");
	assert_int_equal(c->min_milli, 600);
	assert_int_equal(c->max_milli, 33300);
	c = codes_find(codes, "glu.meal_context");
	assert_true(c->min_milli > c->max_milli);
	assert_null(codes_find(codes, ""));
	assert_null(codes_find(codes, "bp.SBP"));
	assert_null(codes_find(codes, "zz"));
	assert_string_equal(codes_version(codes), "codes:1 units:1 local_codes:1");
}

static void test_local(void **state)
{
	(void)state;
	static const struct {
		const char *local, *kind;
	} cases[] = {
		{"GLU", "glu.random"},
		{"Glucose", "glu.random"},
		{"gluc", "glu.random"},
		{"HbA1c", "hba1c"},
		{"hba1C ", "hba1c"},
		{"A1C", "hba1c"},
		{"CHOL", "lipid.tc"},
		{"TC", "lipid.tc"},
		{"TG", "lipid.tg"},
		{"Trig", "lipid.tg"},
		{"HDL", "lipid.hdl"},
		{"HDL - C", "lipid.hdl"},
		{"LDL-C", "lipid.ldl"},
		{"CREA", "creatinine"},
		{"血糖", "glu.random"},
		{"GL", NULL},
		{"", NULL},
		{"413", NULL},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct code *c = codes_local(codes, "lis01", cases[i].local);
		assert_string_equal(c ? c->kind : "-", cases[i].kind ? cases[i].kind : "-");
	}
	assert_null(codes_local(codes, "other", "GLU"));
	char longest[300];
	memset(longest, 'G', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_null(codes_local(codes, "lis01", longest));
}

struct conversion {
	const char *kind;
	struct vg_decimal number;
	const char *unit;
	int result;
	int64_t milli;
};

static void check(const struct conversion *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct value v = {.milli = -1, .decimals = 99};
		const struct conversion *k = &cases[i];
		const struct code *code = codes_find(codes, k->kind);
		int r = codes_convert(codes, code, k->number, k->unit, &v);
		if (r != k->result || v.milli != k->milli)
			fail_msg("%s %lde%d %s: %d, %ld; expected %d, %ld", k->kind,
				(long)k->number.mantissa, k->number.exponent,
				k->unit ? k->unit : "NULL", r, (long)v.milli, k->result,
				(long)k->milli);
		assert_int_equal(v.decimals, r == 0 || r == -ERANGE ? code->decimals : 99);
	}
}

static void test_convert(void **state)
{
	(void)state;
	static const struct conversion cases[] = {
		/* GATT blood pressure in kPa: a public decoder's test frame 16.0/10.7 kPa reads
		 * 120/80 mmHg there; 16.0 x 7.50062 = 120.00992, 10.7 x 7.50062 = 80.256634 */
		{"bp.sbp", {160, -1}, "kPa", 0, 120000},
		{"bp.dbp", {107, -1}, "kPa", 0, 80000},
		{"bp.sbp", {16, 0}, "MDC_DIM_KILO_PASCAL", 0, 120000},
		{"bp.sbp", {20, 0}, "千帕", 0, 150000},	 /* 150.0124 */
		{"bp.dbp", {1193, -2}, "kPa", 0, 89000}, /* 89.4824 */
		{"bp.dbp", {12, 0}, "kPa", 0, 90000},
		{"bp.sbp", {138, 0}, "毫米汞柱", 0, 138000},
		{"bp.sbp", {138, 0}, "mmHg", 0, 138000},
		{"bp.sbp", {1389, -1}, "mm[Hg]", 0, 139000},
		{"bp.sbp", {1385, -1}, "", 0, 139000}, /* half away from zero */
		{"bp.sbp", {138499, -3}, NULL, 0, 138000},
		{"bp.pulse", {72, 0}, "bpm", 0, 72000},
		/* an Accu-Chek Guide shows 6.2 mmol/L for 111 mg/dL: 111 / 18.016 = 6.1612 */
		{"glu.random", {111, 0}, "mg/dL", 0, 6200},
		{"glu.random", {111, 0}, "MG/DL", 0, 6200},
		{"glu.random", {111, 0}, " mg / dl ", 0, 6200},
		{"glu.random", {138, -5}, "kg/L", 0, 7700}, /* 138 mg/dL / 18.016 = 7.6599 */
		{"glu.random", {76, -4}, "mol/L", 0, 7600},
		{"glu.random", {8, -3}, "mol/L", 0, 8000}, /* capture: 0.008 mol/L */
		{"glu.random", {111, -2}, "g/L", 0, 6200},
		/* 563 / 18.016 = 31.25 exactly: a factor with any number of digits fails here */
		{"glu.random", {563, 0}, "mg/dL", 0, 31300},
		{"glu.random", {61, -1}, "mmol/L", 0, 6100},
		{"glu.random", {650, -2}, "mmol/L", 0, 6500},
		{"glu.random", {645, -2}, "mmol/L", 0, 6500},
		{"glu.random", {6449999999999999, -15}, "mmol/L", 0, 6400},
		/* 42 mmol/mol is the 6.0 % of the NGSP: 42 / 10.929 + 2.15 = 5.993 */
		{"hba1c", {42, 0}, "mmol/mol", 0, 6000},
		{"hba1c", {53, 0}, "mmol/mol", 0, 7000}, /* 6.9995 */
		{"hba1c", {59, -1}, "%", 0, 5900},	 /* Afinion 2 capture */
		{"temp", {986, -1}, "degF", 0, 37000},
		{"temp", {1004, -1}, "°F", 0, 38000},
		{"temp", {9941, -2}, "[degF]", 0, 37500}, /* 37.45 exactly, up */
		{"temp", {3665, -2}, "Cel", 0, 36700},
		{"temp", {366, -1}, "℃", 0, 36600},
		{"weight", {13170, -2}, "lb", 0, 59740}, /* 131.7 x 0.45359237 = 59.7381 */
		{"weight", {120, 0}, "斤", 0, 60000},
		{"weight", {1301, -1}, "jin", 0, 65050},
		{"weight", {13001, -2}, "市斤", 0, 65010}, /* 65.005 exactly, up */
		{"weight", {13000999, -5}, "jin", 0, 65000},
		{"weight", {65, 0}, "公斤", 0, 65000},
		{"weight", {65250, 0}, "g", 0, 65250},
		{"height", {17, -1}, "m", 0, 170000},
		{"height", {17045, -4}, "米", 0, 170500}, /* 170.45 exactly, up */
		{"height", {17044999, -7}, "m", 0, 170400},
		{"height", {67, 0}, "in", 0, 170200}, /* 170.18 */
		{"waist", {88, 0}, "厘米", 0, 88000},
		{"waist", {345, -1}, "[in_i]", 0, 87600}, /* 87.63 */
		/* 200 / 38.67 = 5.1720; 150 / 88.57 = 1.6936; 1.0 x 88.42 */
		{"lipid.tc", {200, 0}, "mg/dL", 0, 5170},
		{"lipid.tg", {150, 0}, "mg/dL", 0, 1690},
		{"lipid.hdl", {50, 0}, "mg/dL", 0, 1290},
		{"lipid.ldl", {100, 0}, "mg/dL", 0, 2590}, /* 2.5860 */
		{"lipid.tg", {100, 0}, "mg/dL", 0, 1130},  /* 1.1291, and not cholesterol's 2.59 */
		{"creatinine", {1, 0}, "mg/dL", 0, 88000},
		{"creatinine", {88, 0}, "µmol/L", 0, 88000},
		{"creatinine", {88, -3}, "mmol/L", 0, 88000},
		{"spo2", {975, -1}, "%", 0, 98000},
	};
	check(cases, ELEMENTS(cases));
}

static void test_limits(void **state)
{
	(void)state;
	static const struct conversion cases[] = {
		/* plausible range, inclusive, after rounding */
		{"bp.sbp", {40, 0}, "mmHg", 0, 40000},
		{"bp.sbp", {395, -1}, "mmHg", 0, 40000},
		{"bp.sbp", {394, -1}, "mmHg", -ERANGE, 39000},
		{"bp.sbp", {3004, -1}, "mmHg", 0, 300000},
		{"bp.sbp", {301, 0}, "mmHg", -ERANGE, 301000},
		{"bp.sbp", {121, 0}, "kPa", -ERANGE, 908000},
		{"glu.random", {30, 0}, "kg/L", -ERANGE,
			166518700}, /* 3000000 / 18.016 = 166518.65 */
		{"glu.random", {-1, -1}, "mmol/L", -ERANGE, -100},
		{"temp", {-4, 1}, "degF", -ERANGE, -40000},
		{"spo2", {127, 0}, "%", -ERANGE, 127000},
		{"bp.panel", {-5, 0}, "mmHg", 0, -5000}, /* no range given */
		/* units of another family, or of nobody */
		{"bp.sbp", {120, 0}, "mg/dL", -EINVAL, -1},
		{"glu.random", {6, 0}, "mmHg", -EINVAL, -1},
		{"glu.random", {6, 0}, "mmol", -EINVAL, -1},
		{"lipid.tc", {6, 0}, "mmol/mol", -EINVAL, -1},
		{"glu.meal_context", {3, 0}, "", 0, 3000},
		{"glu.meal_context", {3, 0}, "%", -EINVAL, -1},
		{"bp.sbp", {1, 0}, "a unit with a name that is much longer than any unit", -EINVAL,
			-1},
		/* the ends of what a decimal can say */
		{"bp.sbp", {0, 127}, "mmHg", -ERANGE, 0},
		{"bp.sbp", {0, -128}, "kPa", -ERANGE, 0},
		{"bp.sbp", {1, 19}, "mmHg", -EOVERFLOW, -1},
		{"bp.sbp", {1, 127}, "mmHg", -EOVERFLOW, -1},
		{"bp.sbp", {1, 18}, "mmHg", -EOVERFLOW, -1},
		{"bp.sbp", {1, 15}, "mmHg", -ERANGE, 1000000000000000000},
		{"bp.sbp", {1, -128}, "mmHg", -EOVERFLOW, -1},
		{"bp.sbp", {1, -19}, "mmHg", -EOVERFLOW, -1},
		{"bp.sbp", {1, -18}, "kPa", -ERANGE, 0},
		{"bp.sbp", {INT64_MAX, -18}, "mmHg", -ERANGE, 9000},
		{"bp.sbp", {INT64_MIN, -18}, "mmHg", -ERANGE, -9000},
		{"bp.sbp", {INT64_MAX, 0}, "kPa", -EOVERFLOW, -1},
		{"bp.sbp", {INT64_MIN, 0}, "mmHg", -EOVERFLOW, -1},
		{"hba1c", {INT64_MIN, 0}, "mmol/mol", -EOVERFLOW, -1},
		{"glu.random", {INT64_MIN, -18}, "kg/L", -ERANGE, -51195400},
		{"bp.sbp", {1200000000000000000, -16}, "mmHg", 0, 120000},
		{"bp.sbp", {12, 1}, "mmHg", 0, 120000},
	};
	check(cases, ELEMENTS(cases));
}

/* What is random must not break the arithmetic (sanitizers); the sign and the rule are checked by
 * tests/test_tables.py with fractions. */
static void test_random_numbers(void **state)
{
	(void)state;
	static const char *const kinds[] = {"bp.sbp", "glu.random", "hba1c", "temp", "weight"};
	static const char *const units[] = {"kPa", "kg/L", "mmol/mol", "degF", "lb"};
	for (int i = 0; i < 200000; i++) {
		size_t k = draw() % ELEMENTS(kinds);
		struct vg_decimal d = {.mantissa = (int64_t)draw() >> draw() % 64,
			.exponent = (int8_t)(draw() % 2 ? draw() : draw() % 24 - 20)};
		struct value v = {.decimals = 99};
		const struct code *code = codes_find(codes, kinds[k]);
		int r = codes_convert(codes, code, d, units[k], &v);
		assert_true(r == 0 || r == -ERANGE || r == -EOVERFLOW);
		if (r == 0)
			assert_in_range(v.milli, code->min_milli, code->max_milli);
	}
}

/* Tables of a test, in a directory of their own. */
static const char codes_head[] =
	"kind,name_zh,name_en,ws_de,mdc,loinc,ucum,decimals,min,max,family,"
	"confidence,source\n";
static const char units_head[] = "family,unit,add,multiply,divide,source\n";
static const char local_head[] = "driver,local,kind,source\n";

static char *write_tables(char *dir, const char *first, const char *second, const char *third)
{
	static const char *const names[] = {"codes", "units", "local_codes"};
	const char *texts[] = {first, second, third};
	strcpy(dir, "/tmp/test_codes.XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%s.csv", dir, names[i]);
		_cleanup_(fclosep) FILE *f = texts[i] ? fopen(path, "w") : NULL;
		if (f)
			fputs(texts[i], f);
	}
	return dir;
}

static void remove_tables(const char *dir)
{
	static const char *const names[] = {"codes", "units", "local_codes"};
	for (size_t i = 0; i < ELEMENTS(names); i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%s.csv", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

/* Loads rows below the right heads; `expected` is the end of the sentence, NULL: all is well. */
static void check_tables(
	const char *first, const char *second, const char *third, const char *expected)
{
	char dir[32], a[4096], b[4096], c[4096], error[400] = "";
	snprintf(a, sizeof(a), "%s%s", codes_head, first);
	snprintf(b, sizeof(b), "%s%s", units_head, second);
	snprintf(c, sizeof(c), "%s%s", local_head, third);
	write_tables(dir, a, b, c);
	struct codes *made = codes_load(dir, error, sizeof(error));
	remove_tables(dir);
	codes_free(made);
	if (!expected) {
		assert_string_equal(error, "");
		assert_non_null(made);
		return;
	}
	assert_null(made);
	assert_true(strlen(error) > strlen(dir));
	assert_string_equal(error + strlen(dir) + 1, expected);
}

#define GOOD "x,名,name,,,,mmol/L,1,0,10,f,high,s\n"
#define UNIT "f,u,,,2,s\n"
#define LOCAL "d,l,x,s\n"

static void test_faults(void **state)
{
	(void)state;
	check_tables(GOOD, UNIT, LOCAL, NULL);
	check_tables(GOOD GOOD, UNIT, LOCAL, "codes.csv:3: kind \"x\" is there twice");
	check_tables("", UNIT, LOCAL, "codes.csv:0: the table has no rows");
	check_tables("x,,n,,,,,1,,,,h,s\n", UNIT, LOCAL, "codes.csv:2: \"name_zh\" is empty");
	check_tables("x,n,n,,,,,1,,,,h,\n", UNIT, LOCAL, "codes.csv:2: \"source\" is empty");
	check_tables("x,n,n,,,,,4,,,,h,s\n", UNIT, LOCAL,
		"codes.csv:2: \"decimals\" must be 0, 1, 2 or 3, and is \"4\"");
	check_tables("x,n,n,,,,u,1,1,,f,h,s\n", UNIT, LOCAL,
		"codes.csv:2: give both \"min\" and \"max\", or none");
	check_tables(
		"x,n,n,,,,u,1,2,1,f,h,s\n", UNIT, LOCAL, "codes.csv:2: \"min\" is above \"max\"");
	check_tables("x,n,n,,,,u,1,1.0005,2,f,h,s\n", UNIT, LOCAL,
		"codes.csv:2: \"min\" must be a number with at most 3 decimals, and is \"1.0005\"");
	check_tables("x,n,n,,,,u,1,1e3,2,f,h,s\n", UNIT, LOCAL,
		"codes.csv:2: \"min\" must be a number with at most 3 decimals, and is \"1e3\"");
	check_tables("x,n,n,,,,u,1,,,,h,s\n", UNIT, LOCAL,
		"codes.csv:2: give both \"ucum\" and \"family\", or none");
	check_tables("a.kind.that.is.longer.than.32.bytes,n,n,,,,u,1,,,f,h,s\n", UNIT, LOCAL,
		"codes.csv:2: \"kind\" is longer than 31 bytes");
	check_tables(GOOD, "g,u,,,2,s\n", LOCAL,
		"units.csv:2: no kind of codes.csv has the family \"g\"");
	check_tables(GOOD, UNIT "f,U ,,,3,s\n", LOCAL, "units.csv:3: f U  is there twice");
	check_tables(GOOD, "f,u,,0,,s\n", LOCAL,
		"units.csv:2: \"multiply\" must be above 0, and is \"0\"");
	check_tables(GOOD, "f,u,,,-1,s\n", LOCAL,
		"units.csv:2: \"divide\" must be above 0, and is \"-1\"");
	check_tables(GOOD, "f,u,x,,,s\n", LOCAL,
		"units.csv:2: \"add\" must be a number of at most 8 digits, and is \"x\"");
	check_tables(GOOD, "f,u,0.000001,,,s\n", LOCAL, "units.csv:2: \"add\" has too many digits");
	check_tables(GOOD, "f,u,,1234567890,,s\n", LOCAL,
		"units.csv:2: \"multiply\" must be a number of at most 8 digits, and is "
		"\"1234567890\"");
	check_tables(GOOD, "f,u,,99999999,0.3,s\n", LOCAL,
		"units.csv:2: \"multiply\" / \"divide\" has too many digits");
	check_tables(GOOD, "f,u,,10000000,0.0000001,s\n", LOCAL,
		"units.csv:2: \"multiply\" and \"divide\" lie too far apart");
	check_tables(GOOD, UNIT, "d,l,y,s\n", "local_codes.csv:2: codes.csv has no kind \"y\"");
	check_tables(GOOD, UNIT, LOCAL "d,L,x,s\n", "local_codes.csv:3: d L is there twice");
	check_tables(GOOD, UNIT, "d,l,x\n", "local_codes.csv:2: \"source\" is empty");
	check_tables(
		GOOD, UNIT, "d,\"l\n", "local_codes.csv:2: a quote is opened and never closed");
}

static void test_missing(void **state)
{
	(void)state;
	char dir[32], error[400] = "";
	write_tables(dir, "kind,name_zh\nx,n\n", NULL, NULL);
	assert_null(codes_load(dir, error, sizeof(error)));
	assert_string_equal(
		error + strlen(dir) + 1, "codes.csv:2: the table has no column \"name_en\"");
	remove_tables(dir);
	assert_null(codes_load(dir, error, sizeof(error)));
	assert_string_equal(
		error + strlen(dir) + 1, "codes.csv: cannot be read: No such file or directory");
	codes_free(NULL);
}

static void test_random_tables(void **state)
{
	(void)state;
	static const char likely[] = "x,f,u,l,d,1,2,0.5,-,.\n\n,,,,,,,\"9";
	for (int i = 0; i < 1000; i++) {
		char dir[32], error[400], a[300], b[300], c[300], *rows[] = {a, b, c};
		const char *heads[] = {codes_head, units_head, local_head};
		const char *good[] = {GOOD, UNIT, LOCAL};
		for (size_t k = 0; k < 3; k++) {
			size_t n = (size_t)snprintf(rows[k], 300, "%s%s", heads[k], good[k]);
			size_t end = n + draw() % 60;
			while (n < end)
				rows[k][n++] = likely[draw() % (sizeof(likely) - 1)];
			rows[k][n] = 0;
			if (draw() % 4 == 0)
				rows[k][draw() % n] = (char)(draw() | 1);
		}
		write_tables(dir, a, b, c);
		codes_free(codes_load(dir, error, sizeof(error)));
		remove_tables(dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_convert),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_random_numbers),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_random_tables),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("codes", tests, load, unload);
}
