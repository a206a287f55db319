/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Leads of an aECG: names, digits, scale, interval, limits. */
#include "aecg_rig.h"

#define BASE_OF(code, value, unit)                                                    \
	"<component><sequence><code code='" code "'/><value><increment value='" value \
	"' unit='" unit "'/></value></sequence></component>"

static void test_lead_names(void **state)
{
	(void)state;
	taken(LEADS(LEAD("AVR", "1") LEAD("aVL", "2") LEAD("AVF", "3") LEAD("AVRneg", "4")
			LEAD("V3R", "5") LEAD_OF("MORTARA_ECG_LEAD_TEA", "", SCALE, "6")
				LEAD("X Y", "7") LEAD_OF("MDC_ECG_OTHER", "", SCALE, "8")
					LEAD("", "9") LEAD("ABCDEFGHIJKLMNOPQ", "10")
						LEAD("V3R", "11") LEAD("AVR", "12")));
	same_lead("aVR", "1");
	same_lead("aVL", "2");
	same_lead("aVF", "3");
	same_lead("-aVR", "4");
	same_lead("V3R", "5");
	same_lead("TEA", "6");
	same_lead("lead", "7");
	same_lead("ABCDEFGHIJKLMNO", "10");
	assert_int_equal(e->n_leads, 8);
	assert_true(warned("lead_twice: aVR") && warned("lead_twice: V3R") &&
		    warned("lead_twice: lead"));
}

static void test_digits(void **state)
{
	(void)state;
	static const struct {
		const char *digits, *want;
		bool truncated;
	} cases[] = {{"", "", false}, {" \t\r\n", "", false}, {"1", "1", false},
		{"+1 -0 007", "1 0 7", false}, {"1 2.5 3", "1", true}, {"1 x", "1", true},
		{"1 2x 3", "1", true}, {"1 - 2", "1", true}, {"1 -", "1", true},
		{"1 --2", "1", true}, {"1 2-3", "1", true}, {"1,2", "", true},
		{"1 <!-- c --> 2", "1 2", false}, {"1<!-- c -->2", "12", false},
		{"8388607 -8388607", "8388607 -8388607", false}, {"1 8388608", "1", true},
		{"-8388608", "", true}, {"99999999999999999999 1", "", true},
		{"1 &#50; 3", "1 2 3", false}, {"1<a>2</a> 3", "1 3", false},
		{"1 2</digits><digits>3", "3", false}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char text[4096];
		snprintf(text, sizeof(text), LEADS(LEAD("V1", "%s")), cases[i].digits);
		taken(text);
		same_lead("V1", cases[i].want);
		assert_int_equal(lead("V1")->truncated, cases[i].truncated);
	}
	taken(LEADS(LEAD("V1", "1 8388608")));
	assert_true(warned("sample_range: V1"));
	/* what one lead ends with does not reach the next */
	taken(LEADS(LEAD("V1", "1 -") LEAD("V2", "2 3x") LEAD("V3", "4")));
	same_lead("V2", "2");
	same_lead("V3", "4");
	assert_false(lead("V3")->truncated);
}

static void test_scale_and_origin(void **state)
{
	(void)state;
	static const struct {
		const char *origin, *scale, *want;
		int64_t pv;
		const char *warning;
	} cases[] = {
		{"", SCALE, "1 2", 2500000, NULL},
		{ORIGIN, "<scale value='0.005' unit='mV'/>", "1 2", 5000000, NULL},
		{ORIGIN, "<scale value='1e3' unit='nV'/>", "1 2", 1000000, NULL},
		{ORIGIN, "<scale value='5E-6' unit='V'/>", "1 2", 5000000, NULL},
		{"<origin value='-5' unit='uV'/>", SCALE, "-1 0", 2500000, NULL},
		{"<origin value='0.01' unit='mV'/>", SCALE, "5 6", 2500000, NULL},
		{"<origin value='1' unit='uV'/>", SCALE, "1 2", 2500000, "origin: V1"},
		{"<origin value='1' unit='kg'/>", SCALE, "1 2", 2500000, "origin: V1"},
		{"<origin value='x' unit='uV'/>", SCALE, "1 2", 2500000, "origin: V1"},
		{"<origin value='100' unit='V'/>", SCALE, "1 2", 2500000, "origin: V1"},
		{"<origin value='20' unit='V'/>", SCALE, "8000001 8000002", 2500000, NULL},
		/* of what is written, not of what is left of it when it is rounded */
		{"<origin value='-2128.90625' unit='uV'/>", "<scale value='4.8828125' unit='uV'/>",
			"-435 -434", 4882813, NULL},
		{"<origin value='4882813' unit='uV'/>", "<scale value='4.8828125' unit='uV'/>",
			"1 2", 4882813, "origin: V1"},
		{"<origin value='1e-2' unit='mV'/>", "<scale value='2500000e-3' unit='nV'/>", "5 6",
			2500000, NULL},
		{"<origin value='1e300' unit='V'/>", SCALE, "1 2", 2500000, "origin: V1"},
		{"<origin value='1e-300' unit='V'/>", SCALE, "1 2", 2500000, "origin: V1"},
		{"<origin value='5.00000000000000000000' unit='uV'/>", SCALE, "3 4", 2500000, NULL},
		{"<origin value='5.00000000000000000001' unit='uV'/>", SCALE, "1 2", 2500000,
			"origin: V1"},
		{"<origin value='20971517.5' unit='uV'/>", SCALE, "", 2500000, "sample_range: V1"},
		{"<origin value='20971520' unit='uV'/>", SCALE, "1 2", 2500000, "origin: V1"},
		{ORIGIN, "<scale value='1' unit='V'/>", "1 2", 1000000000000, NULL},
		{ORIGIN, "<scale value='0.000001' unit='uV'/>", "1 2", 1, NULL},
		{ORIGIN, "", NULL, 0, "scale: V1"},
		{ORIGIN, SCALE "<scale value='1' unit='kg'/>", NULL, 0, "scale: V1"},
		{ORIGIN, "<x>" SCALE "</x>", NULL, 0, "scale: V1"},
		{ORIGIN, "<scale value='0' unit='uV'/>", NULL, 0, "scale: V1"},
		{ORIGIN, "<scale value='-1' unit='uV'/>", NULL, 0, "scale: V1"},
		{ORIGIN, "<scale value='2' unit='V'/>", NULL, 0, "scale: V1"},
		{ORIGIN, "<scale value='1' unit='mmHg'/>", NULL, 0, "scale: V1"},
		{ORIGIN, "<scale value='1'/>", NULL, 0, "scale: V1"},
		{ORIGIN, "<scale unit='uV'/>", NULL, 0, "scale: V1"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char text[4096];
		snprintf(text, sizeof(text), LEADS(LEAD_OF("MDC_ECG_LEAD_V1", "%s", "%s", "1 2")),
			cases[i].origin, cases[i].scale);
		taken(text);
		if (cases[i].want)
			same_lead("V1", cases[i].want);
		else
			assert_int_equal(e->n_leads, 0);
		assert_int_equal(e->pv_per_lsb, cases[i].pv);
		assert_int_equal(e->n_warnings, cases[i].warning ? 1 : 0);
		if (cases[i].warning)
			assert_string_equal(e->warnings[0], cases[i].warning);
	}
	/* the limit holds for the sum; the scale of the first lead is the recording's */
	taken(LEADS(LEAD_OF("MDC_ECG_LEAD_V1", "<origin value='25' unit='uV'/>", SCALE, "1 8388600")
			LEAD_OF("MDC_ECG_LEAD_V2", "", "<scale value='5' unit='uV'/>", "1")));
	same_lead("V1", "11");
	assert_true(lead("V1")->truncated && warned("sample_range: V1"));
	assert_int_equal(e->pv_per_lsb, 2500000);
	assert_int_equal(lead("V1")->pv_per_lsb, 2500000);
	assert_int_equal(lead("V2")->pv_per_lsb, 5000000);
}

static void test_interval(void **state)
{
	(void)state;
	static const struct {
		const char *base;
		int64_t ns;
	} cases[] = {{BASE_OF("TIME_ABSOLUTE", "2", "ms"), 2000000},
		{BASE_OF("TIME_RELATIVE", "1667", "us"), 1667000},
		{BASE_OF("TIME_RELATIVE", "1.25E-3", "s"), 1250000},
		{BASE_OF("TIME_RELATIVE", "0.0027777777", "s"), 2777778},
		{BASE_OF("TIME_RELATIVE", "1", "s"), 1000000000},
		{BASE_OF("TIME_RELATIVE", "2", "s"), 0}, {BASE_OF("TIME_RELATIVE", "0", "s"), 0},
		{BASE_OF("TIME_RELATIVE", "-1", "ms"), 0},
		{BASE_OF("TIME_RELATIVE", "0.1", "us"), 0},
		{BASE_OF("TIME_RELATIVE", "1", "min"), 0}, {BASE_OF("TIME_RELATIVE", "x", "s"), 0},
		{BASE_OF("OTHER", "2", "ms"), 0}, {"", 0}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char text[4096];
		snprintf(text, sizeof(text), DOC(SERIES(TIME SET("%s" LEAD("I", "1")))),
			cases[i].base);
		taken(text);
		assert_int_equal(e->interval_ns, cases[i].ns);
		same_lead("I", "1");
		assert_int_equal(warned("interval"), i > 4 && i < 11);
	}
	/* without leads a set of sequences says nothing */
	taken(DOC(SERIES(TIME SET(BASE) SET(BASE_OF("TIME_ABSOLUTE", "1", "ms") LEAD("I", "1")))));
	assert_int_equal(e->interval_ns, 1000000);
	assert_int_equal(e->n_warnings, 0);
	taken(DOC(SERIES(TIME SET(BASE_OF("TIME_ABSOLUTE", "1", "us") LEAD("I", "1")))));
	assert_int_equal(e->interval_ns, 1000);
	/* leads of another rate cannot stand beside the others; those of the same can */
	taken(DOC(SERIES(SET(BASE LEAD("I", "1")) SET(BASE_OF("TIME_ABSOLUTE", "1", "ms") LEAD(
		"II", "1")) SET(LEAD("V1", "1")) SET(BASE LEAD("V2", "1")) SET(LEAD("V3", "1")))));
	assert_int_equal(e->interval_ns, 2000000);
	assert_int_equal(e->n_leads, 2);
	assert_true(lead("I") && lead("V2"));
	assert_true(warned("interval: II") && warned("interval: V1") && warned("interval: V3"));
}

/* Leads are cut at the limit of one, and no more of them are taken than there is room for. */
/* What one sequence says is not said of the next. */
static void test_sequences(void **state)
{
	(void)state;
#define SEQUENCE(content) "<component><sequence>" content "</sequence></component>"
#define CODE(name) "<code code='" name "'/>"
	taken(LEADS(LEAD_OF("MDC_ECG_LEAD_V1", "<origin value='5' unit='uV'/>", SCALE, "1")
			SEQUENCE("<value>" SCALE "<digits>2</digits></value>") SEQUENCE(CODE(
				"MDC_ECG_LEAD_V2") "<value>" SCALE "<digits>3</digits></value>")
				SEQUENCE(CODE("MDC_ECG_LEAD_V3") "<value>" SCALE "</value>") SEQUENCE(
					CODE("MDC_ECG_LEAD_V4") "<value><digits>4</digits></value>")
					LEAD("V5", "5")));
	same_lead("V1", "3");
	same_lead("V2", "3");
	same_lead("V3", "");
	same_lead("V5", "5");
	assert_int_equal(e->n_leads, 4);
	assert_true(warned("scale: V4") && e->n_warnings == 1);
	/* and nothing that stands elsewhere */
	taken(LEADS(SEQUENCE("<value><increment value='1' unit='ms'/></value>") SEQUENCE(
		CODE("MDC_ECG_LEAD_V1") "<x><value>" SCALE "</value></x>"
					"<value><digits>1</digits></value>")
			SEQUENCE(CODE("MDC_ECG_LEAD_V2") SCALE "<value><digits>1</digits></value>")
				SEQUENCE("<x>" CODE("MDC_ECG_LEAD_V3") "</x><value>" SCALE
								       "<digits>1</digits></value>")
					LEAD("V4", "1")));
	assert_int_equal(e->n_leads, 1);
	same_lead("V4", "1");
	assert_int_equal(e->interval_ns, 2000000);
	assert_true(warned("scale: V1") && warned("scale: V2") && e->n_warnings == 2);
}

static void test_limits(void **state)
{
	(void)state;
	size_t size = 2 * ECG_LEAD_SAMPLES_MAX + 4096;
	char *text = malloc(size), *p = text;
	p += sprintf(p, "<AnnotatedECG><series><sequence><code code='MDC_ECG_LEAD_I'/><value>" SCALE
			"<digits>");
	for (unsigned i = 0; i <= ECG_LEAD_SAMPLES_MAX; i++)
		p += sprintf(p, "7 ");
	strcpy(p, "</digits></value></sequence></series></AnnotatedECG>");
	taken(text);
	assert_int_equal(lead("I")->n, ECG_LEAD_SAMPLES_MAX);
	assert_int_equal(lead("I")->samples[ECG_LEAD_SAMPLES_MAX - 1], 7);
	assert_true(lead("I")->truncated && warned("too_many_samples: I"));
	p = text + sprintf(text, "<AnnotatedECG><series>");
	for (unsigned i = 0; i <= ECG_LEADS_MAX; i++)
		p += sprintf(p,
			"<sequence><code code='MDC_ECG_LEAD_%u'/><value>" SCALE
			"<digits>1</digits></value></sequence>",
			i);
	strcpy(p, "</series></AnnotatedECG>");
	taken(text);
	assert_int_equal(e->n_leads, ECG_LEADS_MAX);
	assert_true(warned("too_many_leads"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lead_names),
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_scale_and_origin),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_limits),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("aecg_wave", tests, setup, teardown);
}
