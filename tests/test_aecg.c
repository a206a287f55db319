/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HL7 aECG as a whole: which files are it, what is refused, which series is taken. */
#include "aecg_rig.h"

#define SAMPLE "../shared/samples/ecgtoolkit-Example.aecg.xml"

static void test_whole(void **state)
{
	(void)state;
	taken("<?xml version='1.0' encoding='utf-8'?>\n<!-- x -->" DOC(SUBJECT SERIES(
		TIME AUTHOR SET(BASE LEAD("I", " 1 -2\n3") LEAD("II", "3 4 5")))) "\n");
	assert_string_equal(e->id, "R-0001");
	assert_string_equal(e->last_name, "TEST");
	assert_string_equal(e->first_name, "");
	assert_int_equal(e->sex, 'F');
	same_civil(&e->birth, "1950-03-04 00:00:00");
	same_civil(&e->acquired, "2026-01-31 08:09:10");
	assert_int_equal(e->tz_min, 480);
	assert_string_equal(e->manufacturer, "Maker");
	assert_string_equal(e->model, "M1");
	assert_string_equal(e->software, "5.3");
	assert_string_equal(e->serial, "S-7");
	assert_int_equal(e->interval_ns, 2000000);
	assert_int_equal(e->pv_per_lsb, 2500000);
	assert_int_equal(e->n_leads, 6);
	same_lead("I", "1 -2 3");
	same_lead("III", "2 6 2");
	assert_true(lead("aVR")->derived && !lead("II")->derived && !lead("I")->truncated);
	assert_int_equal(e->n_warnings, 0);
	assert_null(e->status);
	assert_int_equal(e->hr, ECG_ABSENT);
}

static void test_other_files(void **state)
{
	(void)state;
	static const char *const others[] = {"", "x", "<a/>", "<a><AnnotatedECG/></a>", "\x1a",
		"<?xml version='1.0'?>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
		"<!-- AnnotatedECG -->", "AnnotatedECG", "\0\0\0\0", "<Annotated", "SCPECG"};
	struct ecg *before = malloc(sizeof(*before));
	ecg_init(before);
	for (size_t i = 0; i < ELEMENTS(others); i++) {
		assert_false(read_bytes(others[i], strlen(others[i])));
		assert_memory_equal(e, before, sizeof(*e));
	}
	free(before);
}

static void rejected(const char *text, const char *code, const char *detail)
{
	read_text(text);
	assert_string_equal(e->rejected, code);
	assert_string_equal(e->detail, detail);
	assert_int_equal(e->n_leads, 0);
	assert_string_equal(e->id, "");
}

static void test_refused(void **state)
{
	(void)state;
	rejected("<!DOCTYPE AnnotatedECG [<!ENTITY a 'b'>]><AnnotatedECG>&a;</AnnotatedECG>",
		"doctype", "");
	rejected("<!DOCTYPE hl7:AnnotatedECG []>" DOC(""), "doctype", "");
	taken("<!DOCTYPE AnnotatedECG SYSTEM 'file:///etc/passwd'>" LEADS(LEAD("I", "1")));
	same_lead("I", "1");
	rejected(DOC(SUBJECT "\n<a>"), "xml", "line 2: mismatched tag");
	rejected(DOC(SUBJECT) "<a/>", "xml", "line 1: junk after document element");
	rejected("<AnnotatedECG>" SUBJECT, "xml", "line 1: no element found");
	rejected(DOC("&amp;&lol;"), "xml", "line 1: undefined entity");
	rejected(DOC(SUBJECT "\xff"), "xml", "line 1: not well-formed (invalid token)");
	taken(DOC("&#65;&amp;"));
}

static void nested(unsigned depth)
{
	char text[2048] = "<AnnotatedECG>";
	for (unsigned i = 1; i < depth; i++)
		strcat(text, "<series>");
	for (unsigned i = 1; i < depth; i++)
		strcat(text, "</series>");
	read_text(strcat(text, "</AnnotatedECG>"));
}

static void test_depth(void **state)
{
	(void)state;
	nested(AECG_DEPTH_MAX);
	assert_null(e->rejected);
	nested(AECG_DEPTH_MAX + 1);
	assert_string_equal(e->rejected, "xml");
	assert_string_equal(e->detail, "line 1: nested too deeply");
}

static void test_encodings(void **state)
{
	(void)state;
#define NAMED(encoding, name)                                         \
	"<?xml version='1.0' encoding='" encoding "'?><AnnotatedECG>" \
	"<subjectDemographicPerson><name>" name "</name>"             \
	"</subjectDemographicPerson></AnnotatedECG>"
	taken(NAMED("UTF-8", "\xe6\xb5\x8b\xe8\xaf\x95"));
	assert_string_equal(e->last_name, "测试");
	static const char *const gb[] = {NAMED("GB2312", "\xb2\xe2\xca\xd4\xbc\xd7"),
		NAMED("gbk", "\xb2\xe2\xca\xd4\xbc\xd7"),
		NAMED("GB18030", "\xb2\xe2\xca\xd4\xbc\xd7")};
	for (size_t i = 0; i < ELEMENTS(gb); i++) {
		taken(gb[i]);
		assert_string_equal(e->last_name, "测试甲");
	}
	taken(NAMED("GBK", "\xa8\xa6x")); /* two bytes of UTF-8 */
	assert_string_equal(e->last_name, "éx");
	taken(NAMED("ISO-8859-1", "\xe9"));
	assert_string_equal(e->last_name, "é");
	rejected(NAMED("GBK", "\xb2 "), "xml", "line 1: not well-formed (invalid token)");
	rejected(NAMED("GBK", "\xff\xff"), "xml", "line 1: not well-formed (invalid token)");
	rejected(NAMED("GBK", "\x80"), "xml", "line 1: not well-formed (invalid token)");
	assert_false(read_bytes(NAMED("KOI8-R", "x"), strlen(NAMED("KOI8-R", "x"))));
	static const char wide[] = "\xff\xfe<\0A\0n\0n\0o\0t\0a\0t\0e\0d\0E\0C\0G\0/\0>\0\x0a";
	assert_true(read_bytes(wide, sizeof(wide)));
	assert_null(e->rejected);
	taken("\xef\xbb\xbf" DOC(""));
	taken(DOC("") "\x1a\x1a\x1a"); /* the end of an XMODEM block */
	taken("<h:AnnotatedECG xmlns:h='urn:hl7-org:v3'><h:subjectDemographicPerson><h:name>T</h:name>"
	      "</h:subjectDemographicPerson></h:AnnotatedECG>");
	assert_string_equal(e->last_name, "T");
	/* what is written between elements is nobody's */
	taken(DOC(
		"<subjectDemographicPerson>x<name>A<b>c</b> <!-- d --></name>y</subjectDemographicPerson>"));
	assert_string_equal(e->last_name, "");
	taken(DOC(
		"<subjectDemographicPerson>x<name>A<!-- d -->B</name>y</subjectDemographicPerson>"));
	assert_string_equal(e->last_name, "AB");
}

static void test_series(void **state)
{
	(void)state;
#define OTHER_SERIES(code, lead) \
	"<component><series>" code SET(BASE LEAD(lead, "1")) "</series></component>"
	taken(DOC(OTHER_SERIES("", "V1") OTHER_SERIES("<code code='REPRESENTATIVE_BEAT'/>", "V2")));
	assert_int_equal(e->n_leads, 1);
	same_lead("V1", "1");
	taken(DOC(OTHER_SERIES("<code code='REPRESENTATIVE_BEAT'/>", "V1") OTHER_SERIES(
		"<code code='RHYTHM'/>", "V2") OTHER_SERIES("<code code='RHYTHM'/>", "V3")));
	assert_int_equal(e->n_leads, 1);
	same_lead("V2", "1");
	/* a <code> deeper inside says nothing about the series */
	taken(DOC(OTHER_SERIES("", "V1")
			OTHER_SERIES("<author><code code='RHYTHM'/></author>", "V2")));
	same_lead("V1", "1");
	/* derived beats are not the rhythm, but their measurements count */
	taken(DOC(SERIES("<derivation><derivedSeries>" SET(BASE LEAD("V1", "9")) ANNOTATION(
		"MDC_ECG_TIME_PD_PR",
		"<value value='150' unit='ms'/>") "</derivedSeries></derivation>" SET(BASE
			LEAD("V2", "1")))));
	assert_int_equal(e->n_leads, 1);
	same_lead("V2", "1");
	assert_int_equal(e->pr, 150);
	taken(DOC(""));
	assert_int_equal(e->n_leads, 0);
	assert_true(warned("bad_date") && warned("no_rhythm"));
	taken(DOC(TIME));
	assert_true(warned("no_rhythm") && e->n_warnings == 1);
}

static void test_decimals(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int shift;
		bool good;
		int64_t want;
	} cases[] = {{"1", 0, true, 1}, {"-1.5", 0, true, -2},
		{"1.49999999999999999999", 0, true, 1}, {"0.5", 0, true, 1}, {".5", 1, true, 5},
		{"5.", 1, true, 50}, {"1e3", 0, true, 1000}, {"1E-3", 3, true, 1},
		{"1e10", 0, true, 10000000000}, {"1e-09", 9, true, 1}, {"+2.5e+1", 0, true, 25},
		{"0", 12, true, 0}, {"1e-99", 0, true, 0}, {"44", -2, true, 0}, {"50", -2, true, 1},
		{"-149", -2, true, -1}, {"1e18", 0, true, 1000000000000000000},
		{"1e19", 0, false, 0}, {"0e999", 0, true, 0}, {"1e1000", 0, false, 0},
		{"1000000000000000000000", 0, false, 0}, {"", 0, false, 0}, {"-", 0, false, 0},
		{".", 0, false, 0}, {"1.2.3", 0, false, 0}, {"e3", 0, false, 0},
		{"1e", 0, false, 0}, {"1e+", 0, false, 0}, {" 1", 0, false, 0}, {"1 ", 0, false, 0},
		{"0x1", 0, false, 0}, {"nan", 0, false, 0},
		{"0.00000000000000000000000000000000001", 3, true, 0}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		int64_t value = 0;
		assert_int_equal(
			aecg_decimal(cases[i].text, cases[i].shift, &value), cases[i].good);
		assert_int_equal(value, cases[i].want);
	}
}

static void test_sample(void **state)
{
	(void)state;
	_cleanup_(fclosep) FILE *f = fopen(SAMPLE, "r");
	if (!f) {
		print_message("skipped: no shared data\n");
		skip();
	}
	char *text = malloc(ECG_BYTES_MAX);
	size_t len = fread(text, 1, ECG_BYTES_MAX, f);
	assert_true(read_bytes(text, len));
	free(text);
	assert_null(e->rejected);
	assert_int_equal(e->n_warnings, 0);
	assert_string_equal(e->id, "SBJ-123");
	same_civil(&e->acquired, "2002-11-22 09:10:00");
	same_civil(&e->birth, "1953-05-08 00:00:00");
	assert_string_equal(e->manufacturer, "Mortara Instrument, Inc.");
	assert_int_equal(e->age.value, 46);
	assert_int_equal(e->low_pass_hz, 150);
	assert_int_equal(e->notch_hz, 60);
	assert_int_equal(e->n_leads, 12);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(e->leads[i].n, 5000);
	assert_int_equal(e->pr, 148);
	assert_int_equal(e->qt, 420);
	assert_int_equal(e->qrs_axis, -61);
	static const int32_t first[] = {-2, -2, -2, -2, -3, -4, -3, -5, -5, -4, -6, -9, -9, -8};
	assert_memory_equal(lead("I")->samples, first, sizeof(first));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_series),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_sample),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("aecg", tests, setup, teardown);
}
