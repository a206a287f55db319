/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The follow-up draft: the form's fields in its order, filled only with what facts prove. Reads the draft
 * back as JSON, as the platform does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>

#include "csv.h"
#include "followup.h"
#include "util.h"

#define HTN "hypertension_followup_v3"
#define DM "t2dm_followup_v3"
#define NONE ((struct followup_resident){"R-0001", 1980})

static struct codes *codes;
static struct forms *forms;

static int load(void **state)
{
	(void)state;
	char error[400] = "";
	clock_set_zone("Asia/Shanghai");
	codes = codes_load("config", error, sizeof(error));
	forms = codes ? forms_load("config/forms.csv", codes, error, sizeof(error)) : NULL;
	if (!forms)
		print_error("%s\n", error);
	return forms ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	forms_free(forms);
	codes_free(codes);
	return 0;
}

static int64_t at(unsigned y, unsigned mo, unsigned d, unsigned h)
{
	struct vg_civil c = {(uint16_t)y, (uint8_t)mo, (uint8_t)d, (uint8_t)h, 30, 0};
	int64_t us = 0;
	assert_true(clock_civil_utc(&c, &us));
	return us;
}

static struct followup_fact fact(
	const char *kind, int64_t milli, int64_t taken_us, const char *reading)
{
	struct followup_fact f = {.milli = milli, .taken_us = taken_us, .trust = "corrected"};
	const struct code *code = codes_find(codes, kind);
	assert_non_null(code);
	f.decimals = code->decimals;
	text_copy(f.kind, sizeof(f.kind), kind, strlen(kind));
	text_copy(f.reading, sizeof(f.reading), reading, strlen(reading));
	return f;
}

static json_t *draft(
	const char *form, struct followup_resident who, const struct followup_fact *facts, size_t n)
{
	struct json j = {0};
	json_object_begin(&j, NULL);
	followup_draft(forms, form, &who, facts, n, &j);
	json_object_end(&j);
	json_error_t e;
	json_t *d = json_loads(json_text(&j), JSON_REJECT_DUPLICATES, &e);
	if (!d)
		print_error("%s\n%s\n", e.text, json_text(&j));
	assert_non_null(d);
	json_free(&j);
	assert_string_equal(json_string_value(json_object_get(d, "form")), form);
	assert_string_equal(
		json_string_value(json_object_get(d, "forms_version")), forms_version(forms));
	return d;
}

static const json_t *field(const json_t *d, const char *key)
{
	size_t i;
	const json_t *f, *found = NULL;
	json_array_foreach(json_object_get(d, "fields"), i, f)
	{
		if (streq(json_string_value(json_object_get(f, "key")), key)) {
			assert_null(found);
			found = f;
		}
	}
	assert_non_null(found);
	return found;
}

static bool filled(const json_t *d, const char *key)
{
	return json_is_true(json_object_get(field(d, key), "filled"));
}

static const char *text(const json_t *d, const char *key, const char *member)
{
	const char *t = json_string_value(json_object_get(field(d, key), member));
	return t ? t : "-";
}

static double number(const json_t *d, const char *key, const char *member)
{
	return json_number_value(json_object_get(field(d, key), member));
}

static unsigned count_filled(const json_t *d)
{
	size_t i;
	const json_t *f;
	unsigned n = 0;
	json_array_foreach(json_object_get(d, "fields"), i, f) n +=
		json_is_true(json_object_get(f, "filled"));
	return n;
}

/* the form */

static void test_order(void **state)
{
	(void)state;
	static const char *const names[] = {HTN, DM};
	for (size_t k = 0; k < ELEMENTS(names); k++) {
		struct csv csv;
		char error[400];
		size_t i = 0;
		json_t *d = draft(names[k], NONE, NULL, 0);
		const json_t *fields = json_object_get(d, "fields");
		assert_int_equal(csv_open_file(&csv, "config/forms.csv", error, sizeof(error)), 0);
		while (csv_row(&csv, error, sizeof(error)) > 0) {
			if (!streq(csv_get(&csv, "form"), names[k]))
				continue;
			const json_t *f = json_array_get(fields, i++);
			assert_non_null(f);
			assert_int_equal(atoi(csv_get(&csv, "order")), i);
			assert_string_equal(
				json_string_value(json_object_get(f, "key")), csv_get(&csv, "key"));
			assert_string_equal(json_string_value(json_object_get(f, "zh")),
				csv_get(&csv, "label_zh"));
			assert_string_equal(json_string_value(json_object_get(f, "en")),
				csv_get(&csv, "label_en"));
			assert_int_equal(json_is_true(json_object_get(f, "device_fillable")),
				streq(csv_get(&csv, "device_fillable"), "y"));
		}
		csv_close(&csv);
		assert_int_equal(i, json_array_size(fields));
		assert_true(i > 20);
		json_decref(d);
	}
}

static void test_programmes(void **state)
{
	(void)state;
	assert_string_equal(followup_form("hypertension"), HTN);
	assert_string_equal(followup_form("t2dm"), DM);
	assert_null(followup_form("elderly"));
	assert_null(followup_form(""));
	json_t *d = draft("no_such_form", NONE, NULL, 0);
	assert_int_equal(json_array_size(json_object_get(d, "fields")), 0);
	json_decref(d);
}

static void test_kinds(void **state)
{
	(void)state;
	unsigned n = 0;
	bool pressure = false, control = false;
	for (const char *k; (k = forms_kind(forms, n)); n++) {
		assert_non_null(codes_find(codes, k));
		pressure |= streq(k, "bp.sbp");
		control |= streq(k, "glu.control") || streq(k, "glu.isf");
		for (unsigned i = 0; i < n; i++)
			assert_string_not_equal(forms_kind(forms, i), k);
	}
	assert_true(n > 10 && pressure && !control);
	assert_null(forms_kind(forms, n));
	assert_null(forms_kind(forms, 1000000));
}

static void test_nothing_without_facts(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		json_t *d = draft(i ? DM : HTN, NONE, NULL, 0);
		assert_int_equal(count_filled(d), 0);
		json_decref(d);
	}
}

/* Every kind at once: what only a person can answer stays open. */
static void test_only_fillable(void **state)
{
	(void)state;
	struct followup_fact facts[64];
	size_t n = 0;
	for (const char *k; (k = forms_kind(forms, (unsigned)n)); n++)
		facts[n] = fact(k, 5000, at(2026, 11, 20, 8), "aa");
	for (int i = 0; i < 2; i++) {
		json_t *d = draft(i ? DM : HTN, NONE, facts, n);
		size_t k;
		const json_t *f;
		json_array_foreach(json_object_get(d, "fields"), k, f)
		{
			bool may = json_is_true(json_object_get(f, "device_fillable"));
			print_message("# %s\n", json_string_value(json_object_get(f, "key")));
			assert_int_equal(json_is_true(json_object_get(f, "filled")), may);
			if (may)
				continue;
			assert_null(json_object_get(f, "value"));
			assert_null(json_object_get(f, "reading"));
		}
		for (const char *const *open = (const char *const[]){"symptoms", "visit_way",
			     "classification", "medication", "referral", "doctor_signature", NULL};
			*open; open++)
			assert_false(filled(d, *open));
		json_decref(d);
	}
}

/* A low value is no answer to "how often does the resident feel low". */
static void test_hypoglycaemia(void **state)
{
	(void)state;
	const struct followup_fact f[] = {fact("glu.random", 3100, at(2026, 11, 20, 8), "aa"),
		fact("glu.fasting", 3200, at(2026, 11, 20, 7), "bb")};
	json_t *d = draft(DM, NONE, f, 2);
	assert_false(filled(d, "hypoglycaemia"));
	assert_null(json_object_get(field(d, "hypoglycaemia"), "value"));
	assert_true(filled(d, "fasting_glucose"));
	json_decref(d);
}

/* values */

static void test_pressure(void **state)
{
	(void)state;
	struct followup_fact f[] = {fact("bp.sbp", 138000, at(2026, 11, 20, 8), "aa"),
		fact("bp.dbp", 86000, at(2026, 11, 20, 8), "aa")};
	json_t *d = draft(HTN, NONE, f, 2);
	assert_true(filled(d, "bp"));
	assert_int_equal(number(d, "bp", "systolic"), 138);
	assert_int_equal(number(d, "bp", "diastolic"), 86);
	assert_string_equal(text(d, "bp", "reading"), "aa");
	assert_string_equal(text(d, "bp", "unit"), "mm[Hg]");
	assert_string_equal(text(d, "bp", "trust"), "corrected");
	assert_string_equal(text(d, "bp", "taken"), "2026-11-20T00:30:00.000Z");
	assert_string_equal(text(d, "bp", "ws"), "DE04.10.174.00 DE04.10.176.00");
	json_decref(d);

	strcpy(f[1].reading, "bb"); /* never of two measurements */
	d = draft(HTN, NONE, f, 2);
	assert_false(filled(d, "bp"));
	assert_null(json_object_get(field(d, "bp"), "systolic"));
	assert_false(filled(d, "next_visit_date")); /* and nothing that follows from them */
	json_decref(d);
	d = draft(HTN, NONE, f, 1);
	assert_false(filled(d, "bp"));
	json_decref(d);

	strcpy(f[1].reading, "aa"); /* "> 300" is no number for a form */
	f[0].comparator = '>';
	d = draft(HTN, NONE, f, 2);
	assert_false(filled(d, "bp"));
	json_decref(d);
}

static void test_bmi(void **state)
{
	(void)state;
	static const struct {
		int64_t weight, height;
		double bmi;
	} cases[] = {
		{70000, 170000, 24.2}, /* 24.221 */
		{72250, 170000, 25.0}, /* 25.000 */
		{63000, 158000, 25.2}, /* 25.236 */
		{65000, 200000, 16.3}, /* 16.25: half away from zero */
		{64990, 200000, 16.2}, /* 16.2475 */
		{1000, 30000, 11.1},
		{300000, 250000, 48.0},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct followup_fact f[] = {
			fact("weight", cases[i].weight, at(2026, 11, 20, 8), "aa"),
			fact("height", cases[i].height, at(2026, 3, 2, 8), "bb")};
		json_t *d = draft(i % 2 ? HTN : DM, NONE, f, 2);
		assert_true(filled(d, "bmi"));
		assert_true(fabs(number(d, "bmi", "value") - cases[i].bmi) < 0.0001);
		assert_true(json_is_true(json_object_get(field(d, "bmi"), "derived")));
		assert_string_equal(text(d, "bmi", "reading"), "aa");
		json_decref(d);
	}
}

/* A weight is no body mass index, a height is none, and neither is what lies beyond a scale. */
static void test_no_bmi(void **state)
{
	(void)state;
	struct followup_fact f[] = {fact("weight", 70000, at(2026, 11, 20, 8), "aa"),
		fact("height", 170000, at(2026, 3, 2, 8), "bb"),
		fact("bmi", 24500, at(2026, 1, 1, 8), "cc")};
	json_t *d = draft(HTN, NONE, f, 1);
	assert_false(filled(d, "bmi"));
	assert_true(filled(d, "weight"));
	json_decref(d);
	d = draft(HTN, NONE, f + 1, 1);
	assert_false(filled(d, "bmi"));
	json_decref(d);
	f[0].comparator = '>';
	d = draft(HTN, NONE, f, 2);
	assert_false(filled(d, "bmi"));
	assert_string_equal(text(d, "weight", "comparator"), ">");
	json_decref(d);
	f[0].comparator = 0;
	f[1].milli = 0;
	d = draft(HTN, NONE, f, 2);
	assert_false(filled(d, "bmi"));
	json_decref(d);
	d = draft(HTN, NONE, f + 2, 1); /* the scale's own */
	assert_true(filled(d, "bmi"));
	assert_true(fabs(number(d, "bmi", "value") - 24.5) < 0.0001);
	assert_null(json_object_get(field(d, "bmi"), "derived"));
	json_decref(d);
}

/* The newest of the kinds that may fill a field; at the same instant the one that stands first. */
static void test_newest(void **state)
{
	(void)state;
	struct followup_fact f[] = {fact("spo2.pulse", 70000, at(2026, 11, 20, 9), "aa"),
		fact("bp.pulse", 80000, at(2026, 11, 20, 8), "bb")};
	json_t *d = draft(HTN, NONE, f, 2);
	assert_string_equal(text(d, "heart_rate", "kind"), "spo2.pulse");
	assert_int_equal(number(d, "heart_rate", "value"), 70);
	json_decref(d);
	f[0].taken_us = f[1].taken_us;
	d = draft(HTN, NONE, f, 2);
	assert_string_equal(text(d, "heart_rate", "kind"), "bp.pulse");
	json_decref(d);
	f[1] = fact("glu.random", 33300, at(2026, 11, 20, 8), "cc");
	f[1].comparator = '>';
	d = draft(DM, NONE, f, 2);
	assert_string_equal(text(d, "other_glucose", "comparator"), ">");
	assert_false(filled(d, "fasting_glucose")); /* nobody said that it was fasting */
	json_decref(d);
}

/* dates */

static void test_visit_date(void **state)
{
	(void)state;
	const struct followup_fact f[] = {fact("bp.sbp", 138000, at(2026, 11, 20, 0), "aa"),
		fact("bp.dbp", 86000, at(2026, 11, 20, 0), "aa"),
		fact("weight", 70000, at(2026, 11, 18, 8), "bb"),
		fact("temp", 36500, at(2026, 11, 21, 8), "cc")}; /* not a kind of the form */
	json_t *d = draft(HTN, NONE, f, 4);
	assert_string_equal(
		text(d, "visit_date", "value"), "2026-11-20"); /* local: 16:30 UTC before */
	json_decref(d);
}

static const char *next_visit(
	const char *form, int birth_year, int64_t systolic, int64_t diastolic, int64_t taken_us)
{
	static char out[16];
	const struct followup_fact f[] = {
		fact(streq(form, DM) ? "glu.fasting" : "bp.sbp", systolic, taken_us, "aa"),
		fact("bp.dbp", diastolic, taken_us, "aa")};
	json_t *d = draft(form, (struct followup_resident){"R-0001", birth_year}, f, 2);
	strcpy(out, text(d, "next_visit_date", "value"));
	json_decref(d);
	return out;
}

static void test_next_visit(void **state)
{
	(void)state;
	static const struct {
		unsigned y, m, d;
		const char *quarter, *fortnight;
	} cases[] = {
		{2026, 11, 20, "2027-02-20", "2026-12-04"},
		{2026, 8, 31, "2026-11-30", "2026-09-14"},
		{2026, 11, 30, "2027-02-28", "2026-12-14"},
		{2027, 11, 29, "2028-02-29", "2027-12-13"}, /* leap */
		{2027, 11, 30, "2028-02-29", "2027-12-14"},
		{2026, 1, 31, "2026-04-30", "2026-02-14"},
		{2026, 12, 31, "2027-03-31", "2027-01-14"},
		{2026, 9, 30, "2026-12-30", "2026-10-14"},
		{2026, 10, 1, "2027-01-01", "2026-10-15"},
		{2028, 2, 29, "2028-05-29", "2028-03-14"},
		{2026, 10, 20, "2027-01-20", "2026-11-03"}, /* over a change of the clocks */
		{2026, 3, 20, "2026-06-20", "2026-04-03"},
	};
	static const char *const zones[] = {
		"Asia/Shanghai", "Europe/Berlin", "<-03>3<-02>,M11.1.0/0,M2.3.0/0", "UTC"};
	for (size_t z = 0; z < ELEMENTS(zones); z++) {
		clock_set_zone(zones[z]);
		for (size_t i = 0; i < ELEMENTS(cases); i++)
			for (unsigned h = 0; h < 24; h += 23) {
				int64_t t = at(cases[i].y, cases[i].m, cases[i].d, h);
				assert_string_equal(
					next_visit(HTN, 1980, 139000, 89000, t), cases[i].quarter);
				assert_string_equal(next_visit(HTN, 1980, 140000, 89000, t),
					cases[i].fortnight);
			}
	}
	clock_set_zone("Asia/Shanghai");
}

#define QUARTER "2027-02-20"
#define FORTNIGHT "2026-12-04"

static void test_goal(void **state)
{
	(void)state;
	int64_t t = at(2026, 11, 20, 8);
	assert_string_equal(next_visit(HTN, 1980, 139000, 89000, t), QUARTER);
	assert_string_equal(next_visit(HTN, 1980, 140000, 80000, t), FORTNIGHT);
	assert_string_equal(next_visit(HTN, 1980, 120000, 90000, t), FORTNIGHT);
	/* from 65 years on: 150, and still 90 */
	assert_string_equal(next_visit(HTN, 1961, 149000, 89000, t), QUARTER);
	assert_string_equal(next_visit(HTN, 1961, 150000, 89000, t), FORTNIGHT);
	assert_string_equal(next_visit(HTN, 1961, 140000, 90000, t), FORTNIGHT);
	assert_string_equal(next_visit(HTN, 1962, 140000, 80000, t), FORTNIGHT);
	assert_string_equal(next_visit(HTN, 0, 140000, 80000, t), FORTNIGHT); /* age unknown */
	/* fasting glucose: under 7.0; a low one is to be looked after soon */
	assert_string_equal(next_visit(DM, 1980, 6900, 80000, t), QUARTER);
	assert_string_equal(next_visit(DM, 1980, 7000, 80000, t), FORTNIGHT);
	assert_string_equal(next_visit(DM, 1980, 4000, 80000, t), QUARTER);
	assert_string_equal(next_visit(DM, 1980, 3900, 80000, t), FORTNIGHT);

	struct followup_fact f = fact("glu.fasting", 6000, t, "aa");
	f.comparator = '<';
	json_t *d = draft(DM, NONE, &f, 1);
	assert_string_equal(text(d, "next_visit_date", "value"), FORTNIGHT);
	json_decref(d);
	f = fact("glu.random", 6000, t, "aa"); /* not fasting: says nothing about the goal */
	d = draft(DM, NONE, &f, 1);
	assert_false(filled(d, "next_visit_date"));
	assert_true(filled(d, "visit_date"));
	json_decref(d);
}

/* files */

#define HEAD                                                                                    \
	"# version: 7\nform,order,key,label_zh,label_en,device_fillable,fill,rule,ws_de,kinds," \
	"source\n"
/* What every form has. */
#define REST                                                                               \
	"f,1,visit_date,a,a,y,visit_date,,,,s\nf,2,visit_way,a,a,n,,1门诊 2家庭,,,s\n" \
	"f,3,classification,a,a,n,class,,,,s\nf,4,complication,a,a,n,,1无 2有,,,s\n"     \
	"f,5,referral,a,a,n,referral,,,,s\nf,6,referral_result,a,a,n,,,,,s\n"              \
	"f,7,next_visit_date,a,a,y,next_visit,,,,s\n"

static struct forms *load_text(const char *t, char *error, size_t size)
{
	char path[] = "/tmp/vitalgate-forms-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, t, strlen(t)), strlen(t));
	close(fd);
	struct forms *f = forms_load(path, codes, error, size);
	unlink(path);
	return f;
}

static void test_files(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"f,8,weight,体重,Weight,y,last,,,weigth,s\n", ":10: expected kinds of codes.csv"},
		{"f,8,weight,体重,Weight,y,last,,,weight,s\n,2,x,体重,Weight,y,last,,,weight,s\n",
			":11: expected form, key and both labels"},
		{"f,8,,体重,Weight,y,last,,,weight,s\n", ":10: expected form, key"},
		{"f,8,weight,,Weight,y,last,,,weight,s\n", ":10: expected form, key"},
		{"f,8,weight,体重,,y,last,,,weight,s\n", ":10: expected form, key"},
		{"f,8,weight,体重,Weight,y,last,,,weight,s,too,many\n", ":10: "},
		{"f,8,visit_way,体重,Weight,n,,,,,s\n", ":10: expected each key once"},
		{"g,1,x,体重,Weight,n,,,,,s\nf,8,y,体重,Weight,n,,,,,s\n",
			":11: expected the fields of a form side by side"},
		{"f,8,weight,体重,Weight,y,lasst,,,weight,s\n", "a fill that is a rule of ours"},
		/* who may fill it, and from what */
		{"f,8,weight,体重,Weight,n,last,,,weight,s\n", "device_fillable"},
		{"f,8,weight,体重,Weight,y,,,,weight,s\n", "device_fillable"},
		{"f,8,weight,体重,Weight,y,class,,,,s\n", "device_fillable"},
		{"f,8,weight,体重,Weight,y,last,,,,s\n", "kinds exactly"},
		{"f,8,weight,体重,Weight,n,,,,weight,s\n", "kinds exactly"},
		{"f,8,bp,b,b,y,bp,,,bp.dbp bp.sbp,s\n", "kinds bp.sbp bp.dbp"},
		{"f,8,bp,b,b,y,bp_left,,,bp.sbp,s\n", "kinds bp.sbp bp.dbp"},
		{"f,8,ecg,b,b,y,last,,,ecg.result,s\n", "kinds that are numbers"},
		{"g,1,visit_date,a,a,y,visit_date,,,,s\n", "a form has no key visit_way"},
	};
	char text[4096];
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		char error[400] = "";
		snprintf(text, sizeof(text), "%s%s%s", HEAD, REST, bad[i].text);
		assert_null(load_text(text, error, sizeof(error)));
		print_message("# %s\n", error);
		assert_non_null(strstr(error, bad[i].says));
	}
	char error[400] = "";
	assert_null(forms_load("/nonexistent/forms.csv", codes, error, sizeof(error)));
	assert_non_null(strstr(error, "/nonexistent/forms.csv"));
	struct forms *f = load_text(HEAD REST "f,8,weight,体重,Weight,y,last,,,weight,s\n"
					      "f,9,x,其他,Other,y,aux,,,ecg.result,s\n",
		error, sizeof(error));
	assert_non_null(f);
	assert_string_equal(forms_version(f), "7");
	assert_string_equal(forms_kind(f, 0), "weight");
	assert_string_equal(forms_kind(f, 1), "ecg.result");
	assert_null(forms_kind(f, 2));
	forms_free(f);
}

static void test_too_many_fields(void **state)
{
	(void)state;
	_cleanup_(freep) char *t = calloc(1, 65536);
	char error[400] = "";
	strcpy(t, HEAD REST);
	for (int i = 0; i < 249; i++)
		sprintf(t + strlen(t), "f,%d,k%d,体重,Weight,y,last,,,weight,s\n", i + 8, i);
	struct forms *f = load_text(t, error, sizeof(error));
	assert_non_null(f);
	forms_free(f);
	strcat(t, "f,1,k,体重,Weight,y,last,,,weight,s\n");
	assert_null(load_text(t, error, sizeof(error)));
	assert_non_null(strstr(error, ":259: expected fewer fields"));
}

/* The table that we ship: its rules by name, side by side and in order. */
static void test_fields(void **state)
{
	(void)state;
	static const char *const names[] = {
		HTN, DM, "elderly_health_check_65plus", "copd_followup_2024plus"};
	unsigned used = 0;
	for (size_t k = 0; k < ELEMENTS(names); k++) {
		const struct form_field *f;
		unsigned n = 0;
		for (; (f = forms_field(forms, names[k], n)); n++) {
			assert_string_equal(f->form, names[k]);
			assert_ptr_equal(forms_find(forms, names[k], f->key), f);
			used |= 1u << f->fill;
		}
		assert_true(n > 24);
		assert_null(forms_field(forms, names[k], n + 1));
	}
	assert_int_equal(used, (1u << FILLS) - 1);
	assert_null(forms_field(forms, "no_such_form", 0));
	assert_null(forms_find(forms, HTN, "no_such_key"));
	assert_null(forms_find(forms, HTN, "temp")); /* of another form */
	assert_string_equal(fill_name(FILL_OTHER_GLUCOSE), "other_glucose");
	assert_string_equal(fill_name(FILL_PERSON), "");
	assert_string_equal(fill_name(FILLS), "");
}

static void test_choices(void **state)
{
	(void)state;
	static const struct {
		const char *form, *key;
		uint32_t numbers;
		bool several, worded;
		const char *choices;
	} cases[] = {
		{HTN, "visit_way", 0xe, false, false, "1门诊 2家庭 3电话"},
		{HTN, "symptoms", 0x3fe, true, true,
			"1无症状 2头痛头晕 3恶心呕吐 4眼花耳鸣 5呼吸困难 6心悸胸闷 7鼻衄出血不止 "
			"8四肢发麻 9下肢水肿 + 其他"},
		{DM, "symptoms", 0x3fe, true, true, NULL},
		{HTN, "classification", 0x1e, false, false, NULL},
		{HTN, "next_measures", 0x1e, false, false, NULL},
		{HTN, "adverse_reaction", 0x6, false, true, "1无 2有 + drug and reaction"},
		{DM, "complication", 0x6, false, true, NULL},
		{DM, "hypoglycaemia", 0xe, false, false, NULL},
		{DM, "adjustment_compliance", 0xe, true, false, NULL},
		{DM, "foot_pulse", 0xe, false, false, NULL},
		{HTN, "salt", 0, false, false, ""},
		{HTN, "bp", 0, false, false, ""},
		{HTN, "referral", 0, false, false, ""},
		{"copd_followup_2024plus", "level", 0xe, false, false, NULL},
		{"copd_followup_2024plus", "symptoms", 0x1fe, true, true, NULL},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		const struct form_field *f = forms_find(forms, cases[i].form, cases[i].key);
		assert_non_null(f);
		print_message("# %s: %s\n", f->key, f->choices);
		assert_int_equal(f->numbers, cases[i].numbers);
		assert_int_equal(f->several, cases[i].several);
		if (f->numbers)
			assert_int_equal(f->worded, cases[i].worded);
		if (cases[i].choices)
			assert_string_equal(f->choices, cases[i].choices);
	}
	assert_true(forms_find(forms, HTN, "weight")->target);
	assert_false(forms_find(forms, HTN, "bp")->target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_programmes),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_nothing_without_facts),
		cmocka_unit_test(test_only_fillable),
		cmocka_unit_test(test_hypoglycaemia),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_bmi),
		cmocka_unit_test(test_no_bmi),
		cmocka_unit_test(test_newest),
		cmocka_unit_test(test_visit_date),
		cmocka_unit_test(test_next_visit),
		cmocka_unit_test(test_goal),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_too_many_fields),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_choices),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("followup", tests, load, unload);
}
