/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HL7 aECG: every place that is read, what is refused, and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ecg/aecg.h"
#include "ecg/stamp.h"

#define SAMPLE "../shared/samples/ecgtoolkit-Example.aecg.xml"

/* A document in pieces, so that each test changes the one that it is about. */
#define SUBJECT                                                                                  \
	"<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>"   \
	"<id root='1.2.3' extension=' R-0001 '/><subjectDemographicPerson><name>TEST</name>"     \
	"<administrativeGenderCode code='F'/><birthTime value='19500304'/>"                      \
	"</subjectDemographicPerson></trialSubject></subject></subjectAssignment></componentOf>" \
	"</timepointEvent></componentOf>"
#define TIME "<effectiveTime><low value='20260131080910.250+0800'/></effectiveTime>"
#define AUTHOR                                                                                     \
	"<author><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>M1"                \
	"</manufacturerModelName><softwareName>5.3</softwareName><serialNumber>S-7</serialNumber>" \
	"</manufacturedSeriesDevice><manufacturerOrganization><name>Maker</name>"                  \
	"</manufacturerOrganization></seriesAuthor></author>"
#define BASE                                                                           \
	"<component><sequence><code code='TIME_ABSOLUTE'/><value><head value='2026'/>" \
	"<increment value='0.002' unit='s'/></value></sequence></component>"
#define LEAD_OF(name, origin, scale, digits)                                                 \
	"<component><sequence><code code='" name "'/><value>" origin scale "<digits>" digits \
	"</digits></value></sequence></component>"
#define ORIGIN "<origin value='0' unit='uV'/>"
#define SCALE "<scale value='2.5' unit='uV'/>"
#define LEAD(name, digits) LEAD_OF("MDC_ECG_LEAD_" name, ORIGIN, SCALE, digits)
#define SET(sequences) "<component><sequenceSet>" sequences "</sequenceSet></component>"
#define SERIES(content) "<component><series><code code='RHYTHM'/>" content "</series></component>"
#define DOC(content) "<AnnotatedECG xmlns='urn:hl7-org:v3'>" content "</AnnotatedECG>"
#define LEADS(sequences) DOC(SERIES(TIME SET(BASE sequences)))
#define ANNOTATION(code, value) "<annotation><code code='" code "'/>" value "</annotation>"
#define ANNOTATED(content)                                                            \
	DOC(SERIES(TIME SET(BASE LEAD("I", "1")) "<subjectOf><annotationSet>" content \
						 "</annotationSet></subjectOf>"))

static struct ecg *e;

static bool read_bytes(const char *text, size_t len)
{
	ecg_free(e);
	ecg_init(e);
	uint8_t *exact = malloc(len + !len);
	memcpy(exact, text, len);
	bool mine = aecg_read(e, exact, len);
	if (mine && !e->rejected)
		ecg_derive(e);
	free(exact);
	return mine;
}

static void read_text(const char *text)
{
	assert_true(read_bytes(text, strlen(text)));
	assert_string_equal(e->format, "aecg");
}

static void taken(const char *text)
{
	read_text(text);
	assert_null(e->rejected);
	assert_false(e->failed);
}

static bool warned(const char *text)
{
	for (unsigned i = 0; i < e->n_warnings; i++)
		if (streq(e->warnings[i], text))
			return true;
	return false;
}

static const struct ecg_lead *lead(const char *name)
{
	for (unsigned i = 0; i < e->n_leads; i++)
		if (streq(e->leads[i].name, name))
			return &e->leads[i];
	return NULL;
}

static void same_lead(const char *name, const char *want)
{
	char found[256] = "";
	const struct ecg_lead *l = lead(name);
	assert_non_null(l);
	for (uint32_t i = 0, n = 0; i < l->n; i++)
		n += (uint32_t)snprintf(
			found + n, sizeof(found) - n, i ? " %d" : "%d", l->samples[i]);
	assert_string_equal(found, want);
}

static void same_civil(const struct vg_civil *c, const char *want)
{
	char found[64];
	snprintf(found, sizeof(found), "%04u-%02u-%02u %02u:%02u:%02u", c->year, c->month, c->day,
		c->hour, c->minute, c->second);
	assert_string_equal(found, want);
}

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
	assert_true(warned("bad_date"));
	taken(DOC(TIME));
	assert_true(warned("no_rhythm") && e->n_warnings == 1);
}

static void test_lead_names(void **state)
{
	(void)state;
	taken(LEADS(LEAD("AVR", "1") LEAD("aVL", "2") LEAD("AVF", "3") LEAD("AVRneg", "4") LEAD(
		"V3R", "5") LEAD_OF("MORTARA_ECG_LEAD_TEA", "", SCALE, "6") LEAD("X Y", "7")
			LEAD_OF("MDC_ECG_OTHER", "", SCALE, "8") LEAD("", "9")
				LEAD("ABCDEFGHIJKLMNOPQ", "10") LEAD("V3R", "11")));
	same_lead("aVR", "1");
	same_lead("aVL", "2");
	same_lead("aVF", "3");
	same_lead("-aVR", "4");
	same_lead("V3R", "5");
	same_lead("TEA", "6");
	same_lead("lead", "7");
	same_lead("ABCDEFGHIJKLMNO", "10");
	assert_int_equal(e->n_leads, 8);
	assert_true(warned("repeated_lead: V3R") && warned("repeated_lead: lead"));
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
		{"1 &#50; 3", "1 2 3", false}, {"1<a>2</a> 3", "1 3", false}};
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
		{ORIGIN, "", NULL, 0, "scale: V1"},
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

#define BASE_OF(code, value, unit)                                                    \
	"<component><sequence><code code='" code "'/><value><increment value='" value \
	"' unit='" unit "'/></value></sequence></component>"

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
	/* leads of another rate cannot stand beside the others; those of the same can */
	taken(DOC(SERIES(SET(BASE LEAD("I", "1")) SET(BASE_OF("TIME_ABSOLUTE", "1", "ms")
			LEAD("II", "1")) SET(LEAD("V1", "1")) SET(BASE LEAD("V2", "1")))));
	assert_int_equal(e->interval_ns, 2000000);
	assert_int_equal(e->n_leads, 2);
	assert_true(lead("I") && lead("V2"));
	assert_true(warned("interval: II") && warned("interval: V1"));
}

static void test_measurements(void **state)
{
	(void)state;
#define PQ(code, value, unit) ANNOTATION(code, "<value value='" value "' unit='" unit "'/>")
	taken(ANNOTATED(PQ("MDC_ECG_HEART_RATE", "75", "bpm") PQ("MDC_ECG_TIME_PD_RR", "0.8",
		"s") PQ("MDC_ECG_TIME_PD_P", "102", "ms") PQ("MDC_ECG_TIME_PD_PR", "148.5",
		"ms") PQ("MDC_ECG_TIME_PD_QRS", "120000", "us") PQ("MDC_ECG_TIME_PD_QT", "420",
		"ms") PQ("MDC_ECG_TIME_PD_QTc", "443", "ms") PQ("MDC_ECG_ANGLE_P_FRONT", "44",
		"deg") PQ("MDC_ECG_ANGLE_QRS_FRONT", "-61", "deg") PQ("MDC_ECG_ANGLE_T_FRONT",
		"-360.4", "deg") PQ("MDC_ECG_HEART_RATE", "99", "bpm")
			PQ("MDC_ECG_TIME_PD_QTc", "1", "ms")));
	assert_int_equal(e->hr, 75);
	assert_int_equal(e->rr, 800);
	assert_int_equal(e->p, 102);
	assert_int_equal(e->pr, 149);
	assert_int_equal(e->qrs, 120);
	assert_int_equal(e->qt, 420);
	assert_int_equal(e->qtc, 443);
	assert_null(e->qtc_formula);
	assert_int_equal(e->p_axis, 44);
	assert_int_equal(e->qrs_axis, -61);
	assert_int_equal(e->t_axis, -360);
	/* none of these; the next that is one counts */
	taken(ANNOTATED(PQ("MDC_ECG_HEART_RATE", "0", "bpm") PQ("MDC_ECG_HEART_RATE", "500", "bpm")
			PQ("MDC_ECG_HEART_RATE", "1", "Hz") PQ("MDC_ECG_HEART_RATE", "", "bpm")
				ANNOTATION("MDC_ECG_HEART_RATE", "<value value='70'/>") PQ(
					"MDC_ECG_HEART_RATE", "61", "/min") PQ("MDC_ECG_TIME_PD_PR",
					"2001", "ms") PQ("MDC_ECG_TIME_PD_RR", "19999", "ms")
					PQ("MDC_ECG_ANGLE_P_FRONT", "361", "deg")
						PQ("MDC_ECG_ANGLE_T_FRONT", "-361", "deg")
							PQ("MDC_ECG_TIME_PD_QTC", "400", "ms")));
	assert_int_equal(e->hr, 61);
	assert_int_equal(e->pr, ECG_ABSENT);
	assert_int_equal(e->rr, ECG_ABSENT);
	assert_int_equal(e->p_axis, ECG_ABSENT);
	assert_int_equal(e->t_axis, ECG_ABSENT);
	assert_int_equal(e->qtc, 400);
	/* a value belongs to the code beside it, not to one of an annotation inside or around */
	taken(ANNOTATED("<annotation><code code='MDC_ECG_TIME_PD_PR'/><component>" ANNOTATION(
		"MDC_ECG_TIME_PD_QT",
		"") "</component><value value='150' unit='ms'/></annotation>"
		    "<annotation><code code='MDC_ECG_TIME_PD_QRS'/><component><annotation>"
		    "<value value='90' unit='ms'/></annotation></component></annotation>"));
	assert_int_equal(e->pr, 150);
	assert_int_equal(e->qt, ECG_ABSENT);
	assert_int_equal(e->qrs, ECG_ABSENT);
	taken(ANNOTATED("<x><code code='MDC_ECG_TIME_PD_PR'/><value value='150' unit='ms'/></x>"));
	assert_int_equal(e->pr, ECG_ABSENT);
}

static void test_filters(void **state)
{
	(void)state;
#define FILTER(kind, frequency, value, unit)                                                \
	"<controlVariable><controlVariable><code code='MDC_ECG_CTL_VBL_ATTR_FILTER_" kind   \
	"'/><component><controlVariable><code code='MDC_ECG_CTL_VBL_ATTR_FILTER_" frequency \
	"'/><value value='" value "' unit='" unit "'/></controlVariable></component>"       \
	"</controlVariable></controlVariable>"
	taken(DOC(SERIES(FILTER("LOW_PASS", "CUTOFF_FREQ", "150", "Hz") FILTER("HIGH_PASS",
		"CUTOFF_FREQ", "0.05", "Hz") FILTER("NOTCH", "NOTCH_FREQ", "50", "Hz"))));
	assert_int_equal(e->low_pass_hz, 150);
	assert_int_equal(e->high_pass_mhz, 50);
	assert_int_equal(e->notch_hz, 50);
	taken(DOC(SERIES(FILTER("LOW_PASS", "CUTOFF_FREQ", "0", "Hz") FILTER("HIGH_PASS",
		"CUTOFF_FREQ", "0", "Hz") FILTER("NOTCH", "CUTOFF_FREQ", "50", "Hz"))));
	assert_int_equal(e->low_pass_hz, ECG_ABSENT);
	assert_int_equal(e->high_pass_mhz, 0);
	assert_int_equal(e->notch_hz, ECG_ABSENT);
	taken(DOC(SERIES(FILTER("LOW_PASS", "CUTOFF_FREQ", "100001", "Hz") FILTER(
		"HIGH_PASS", "CUTOFF_FREQ", "1", "kHz") FILTER("NOTCH", "NOTCH_FREQ", "-5",
		"Hz") "<controlVariable><code code="
		      "'MDC_ECG_CTL_VBL_ATTR_FILTER_CUTOFF_FREQ'/><value value='1' unit='Hz'/></controlVariable>")));
	assert_int_equal(e->low_pass_hz, ECG_ABSENT);
	assert_int_equal(e->high_pass_mhz, ECG_ABSENT);
	assert_int_equal(e->notch_hz, ECG_ABSENT);
}

static void test_statements(void **state)
{
	(void)state;
#define SAID(text) ANNOTATION("MDC_ECG_INTERPRETATION_STATEMENT", "<value>" text "</value>")
	taken(ANNOTATED("<activityTime value='20260131081000'/>" SAID("Sinus rhythm") SAID(" \n ")
			SAID("窦性\n心律 &lt;1&gt;") ANNOTATION("OTHER", "<value>no</value>")));
	assert_string_equal(e->status, "original");
	same_civil(&e->interpreted, "2026-01-31 08:10:00");
	assert_int_equal(e->n_lines, 2);
	assert_string_equal(e->lines[0].text, "Sinus rhythm");
	assert_string_equal(e->lines[1].text, "窦性 心律 <1>");
	assert_null(e->lines[0].type);
	/* the time of its own set; an impossible one is none */
	taken(ANNOTATED("<activityTime value='20260131081000'/></annotationSet><annotationSet>"
			"<activityTime value='20260231081000'/>" SAID("x")));
	assert_int_equal(e->interpreted.year, 0);
	assert_int_equal(e->n_lines, 1);
	/* a long one is cut at a whole character, wherever the buffer ends */
	for (unsigned shift = 0; shift < 3; shift++) {
		char text[8192],
			*p = text +
			     sprintf(text,
				     "<AnnotatedECG><annotation>"
				     "<code code='MDC_ECG_INTERPRETATION_STATEMENT'/><value>%.*s",
				     (int)shift, "xxx");
		for (unsigned i = 0; i < 1000; i++)
			p += sprintf(p, "测");
		strcpy(p, "</value></annotation></AnnotatedECG>");
		taken(text);
		assert_int_equal(strlen(e->lines[0].text), shift + (255 - shift) / 3 * 3);
		assert_memory_equal(e->lines[0].text + shift, "测测", 6);
	}
}

static void test_person(void **state)
{
	(void)state;
#define PERSON(content) "<subjectDemographicPerson>" content "</subjectDemographicPerson>"
	taken(DOC(PERSON("<id extension='P-1'/><name><family>测试</family><given>甲</given></name>"
			 "<administrativeGenderCode code='UN'/><birthTime value='1950'/>")));
	assert_string_equal(e->id, "P-1");
	assert_string_equal(e->last_name, "测试");
	assert_string_equal(e->first_name, "甲");
	assert_int_equal(e->sex, 0);
	same_civil(&e->birth, "1950-00-00 00:00:00");
	/* the subject's own id is better, wherever it stands; the first of equals counts */
	taken(DOC("<trialSubject>" PERSON(
		"<id extension='P-1'/>") "<id extension=''/><id extension='S-1'/>"
					 "<id extension='S-2'/></trialSubject><id extension='X'/>"));
	assert_string_equal(e->id, "S-1");
	taken(DOC("<id extension='X'/><performer><id extension='Y'/><name>Z</name></performer>"));
	assert_string_equal(e->id, "");
	assert_string_equal(e->last_name, "");
	taken(DOC(PERSON("<name>A</name><name>B</name><administrativeGenderCode code='M'/>"
			 "<administrativeGenderCode code='F'/><birthTime value='195002'/>"
			 "<birthTime value='19600101'/>")));
	assert_string_equal(e->last_name, "A");
	assert_int_equal(e->sex, 'M');
	same_civil(&e->birth, "1950-02-00 00:00:00");
	static const char *const births[] = {
		"18491231", "22010101", "19500230", "195013", "195", "x"};
	for (size_t i = 0; i < ELEMENTS(births); i++) {
		char text[512];
		snprintf(text, sizeof(text), DOC(PERSON("<birthTime value='%s'/>")), births[i]);
		taken(text);
		assert_int_equal(e->birth.year, 0);
	}
	taken(DOC(PERSON("<birthTime value='19500304102030'/>")));
	same_civil(&e->birth, "1950-03-04 00:00:00");
}

static void test_age(void **state)
{
	(void)state;
	static const struct {
		const char *code, *value, *unit;
		int32_t want;
	} cases[] = {{"21612-7", "46", "a", 46}, {"21612-7", "3", "mo", 3},
		{"21612-7", "0", "d", 0}, {"21612-7", "2", "wk", 2}, {"21612-7", "5", "h", 5},
		{"21612-7", "46", "y", ECG_ABSENT}, {"21612-7", "-1", "a", ECG_ABSENT},
		{"21612-7", "65536", "a", ECG_ABSENT}, {"21612-7", "x", "a", ECG_ABSENT},
		{"1-1", "46", "a", ECG_ABSENT}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char text[512];
		snprintf(text, sizeof(text),
			DOC("<relatedObservation><code code='%s'/><value value='%s' "
			    "unit='%s'/></relatedObservation>"),
			cases[i].code, cases[i].value, cases[i].unit);
		taken(text);
		assert_int_equal(e->age.value, cases[i].want);
		if (cases[i].want != ECG_ABSENT)
			assert_string_equal(e->age.unit, cases[i].unit);
	}
}

static void test_acquired(void **state)
{
	(void)state;
#define AT(content) "<effectiveTime>" content "</effectiveTime>"
	static const struct {
		const char *text, *want;
	} cases[] = {
		{DOC(AT("<low value='20260101000000'/>") SERIES(TIME)), "2026-01-31 08:09:10"},
		{DOC(AT("<low value='20260101000000'/>")), "2026-01-01 00:00:00"},
		{DOC("<effectiveTime value='20260102030405'/>"), "2026-01-02 03:04:05"},
		{DOC(AT("<center value='20260102030405'/>")), "2026-01-02 03:04:05"},
		{DOC(AT("<center value='20260102030405'/><low value='202601030506'/>")),
			"2026-01-03 05:06:00"},
		{DOC(AT("<low value='20260103050607'/><low value='20270103050607'/>")),
			"2026-01-03 05:06:07"},
		{DOC(SERIES(AT("<low value='20260230000000'/><center value='20260201000000'/>"))),
			"2026-02-01 00:00:00"},
		{DOC(SERIES(AT("<low value='19791231235959'/>"))), NULL},
		{DOC(SERIES(AT("<low value='20260101240000'/>"))), NULL},
		{DOC(SERIES(AT("<low value='20260101'/>"))), NULL},
		{DOC(SERIES(AT("<high value='20260101000000'/>"))), NULL},
		{DOC(SERIES(AT("<low/>"))), NULL},
		{DOC("<timepointEvent>" AT("<low value='20260101000000'/>") "</timepointEvent>"),
			NULL},
		{DOC("<low value='20260101000000'/><center value='20260101000000'/>"), NULL},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		taken(cases[i].text);
		assert_int_equal(warned("bad_date"), !cases[i].want);
		if (cases[i].want)
			same_civil(&e->acquired, cases[i].want);
		else
			assert_int_equal(e->acquired.year, 0);
	}
	taken(DOC(SERIES(AT("<low value='20260101000000-0330'/>"))));
	assert_int_equal(e->tz_min, -210);
}

static void test_stamps(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned digits;
		int32_t tz;
	} cases[] = {{"2026", 4, ECG_ABSENT}, {"202601", 6, ECG_ABSENT},
		{"20260131", 8, ECG_ABSENT}, {"2026013108", 10, ECG_ABSENT},
		{"202601310809", 12, ECG_ABSENT}, {"20260131080910", 14, ECG_ABSENT},
		{"20260131080910.1234+0000", 14, 0}, {"20260131+1400", 8, 840},
		{"20260131-1200", 8, -720}, {"20260131+1401", 8, ECG_ABSENT},
		{"20260131-1201", 8, ECG_ABSENT}, {"", 0, 0}, {"202", 0, 0}, {"20261", 0, 0},
		{"202601310809101", 0, 0}, {"2026013108091011", 0, 0}, {"20260131x", 0, 0},
		{"20260131+080", 0, 0}, {"20260131+08000", 0, 0}, {"20260131+0800x", 0, 0},
		{" 2026", 0, 0}, {"20260131 ", 0, 0}, {"2026-01-31", 0, 0}};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct vg_civil civil = {.year = 1};
		int32_t tz = 1;
		assert_int_equal(stamp_read(cases[i].text, &civil, &tz), cases[i].digits);
		assert_int_equal(civil.year, cases[i].digits ? 2026 : 1);
		assert_int_equal(tz, cases[i].digits ? cases[i].tz : 1);
	}
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
		{"+2.5e+1", 0, true, 25}, {"0", 12, true, 0}, {"1e-99", 0, true, 0},
		{"44", -2, true, 0}, {"50", -2, true, 1}, {"-149", -2, true, -1},
		{"1e18", 0, true, 1000000000000000000}, {"1e19", 0, false, 0},
		{"0e999", 0, true, 0}, {"1e1000", 0, false, 0},
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

/* Leads are cut at the limit of one, and no more of them are taken than there is room for. */
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

static int setup(void **state)
{
	(void)state;
	ecg_text_init();
	e = malloc(sizeof(*e));
	if (e)
		ecg_init(e);
	return e ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ecg_free(e);
	free(e);
	return 0;
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
		cmocka_unit_test(test_lead_names),
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_scale_and_origin),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_measurements),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_person),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_acquired),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_decimals),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_sample),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("aecg", tests, setup, teardown);
}
