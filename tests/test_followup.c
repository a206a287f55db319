/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of forms: which rule fills which field, what a person may choose, and what a table may not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "followup.h"
#include "util.h"

#define HTN "hypertension_followup_v3"
#define DM "t2dm_followup_v3"

static struct codes *codes;
static struct forms *forms;

static int load(void **state)
{
	(void)state;
	char error[400] = "";
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
	char error[400] = "";
	struct forms *f = load_text(HEAD REST "f,8,a,a,a,n,,after 2 weeks or 3x,,,s\n"
					      "f,9,b,b,b,n,,第3次 1好; 2坏,,,s\n",
		error, sizeof(error));
	assert_non_null(f);
	assert_int_equal(forms_find(f, "f", "a")->numbers, 0);
	assert_int_equal(forms_find(f, "f", "b")->numbers, 2);
	forms_free(f);
	assert_true(forms_find(forms, HTN, "weight")->target);
	assert_false(forms_find(forms, HTN, "bp")->target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_too_many_fields),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_choices),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("followup", tests, load, unload);
}
