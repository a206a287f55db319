/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an aECG says beside the leads: person, times, measurements, filters, statements. */
#include "aecg_rig.h"

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

static void test_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *code, *unit;
		size_t at; /* of the number */
		int32_t least, most;
	} cases[] = {{"MDC_ECG_HEART_RATE", "bpm", offsetof(struct ecg, hr), 1, 499},
		{"MDC_ECG_HEART_RATE", "/min", offsetof(struct ecg, hr), 1, 499},
		{"MDC_ECG_HEART_RATE", "1/min", offsetof(struct ecg, hr), 1, 499},
		{"MDC_ECG_HEART_RATE", "{beats}/min", offsetof(struct ecg, hr), 1, 499},
		{"MDC_ECG_HEART_RATE", "{beat}/min", offsetof(struct ecg, hr), 1, 499},
		{"MDC_ECG_TIME_PD_RR", "ms", offsetof(struct ecg, rr), 1, 19998},
		{"MDC_ECG_TIME_PD_P", "ms", offsetof(struct ecg, p), 1, 2000},
		{"MDC_ECG_TIME_PD_PR", "ms", offsetof(struct ecg, pr), 1, 2000},
		{"MDC_ECG_TIME_PD_QRS", "ms", offsetof(struct ecg, qrs), 1, 2000},
		{"MDC_ECG_TIME_PD_QT", "ms", offsetof(struct ecg, qt), 1, 2000},
		{"MDC_ECG_TIME_PD_QTc", "ms", offsetof(struct ecg, qtc), 1, 2000},
		{"MDC_ECG_ANGLE_P_FRONT", "deg", offsetof(struct ecg, p_axis), -360, 360},
		{"MDC_ECG_ANGLE_QRS_FRONT", "deg", offsetof(struct ecg, qrs_axis), -360, 360},
		{"MDC_ECG_ANGLE_T_FRONT", "deg", offsetof(struct ecg, t_axis), -360, 360}};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		for (int k = 0; k < 4; k++) {
			char text[4096];
			int32_t value = k < 2 ? cases[i].least - k : cases[i].most + k - 2, found;
			snprintf(text, sizeof(text),
				DOC("<annotation><code code='%s'/><value value='%d' "
				    "unit='%s'/></annotation>"),
				cases[i].code, value, cases[i].unit);
			taken(text);
			memcpy(&found, (const char *)e + cases[i].at, sizeof(found));
			assert_int_equal(found, k % 2 ? ECG_ABSENT : value);
		}
}

static void test_device(void **state)
{
	(void)state;
	/* the device of the series and its maker, not those of an annotation, nor what else stands there */
	taken(DOC(SERIES(
		"<seriesAuthor><manufacturedSeriesDevice><x>no</x></manufacturedSeriesDevice>"
		"<manufacturerOrganization><x>no</x></manufacturerOrganization><x><name>no</name></x>"
		"</seriesAuthor><manufacturerOrganization><name>no</name></manufacturerOrganization>"
		"<serialNumber>no</serialNumber><softwareName>no</softwareName>"
		"<manufacturerModelName>no</manufacturerModelName><family>no</family><given>no</given>"
		"<name><family>no</family><given>no</given></name>"
		"<subjectDemographicPerson><name><x>no</x></name><family>no</family><given>no</given>"
		"<x><given>no</given></x></subjectDemographicPerson>")));
	assert_string_equal(e->manufacturer, "");
	assert_string_equal(e->model, "");
	assert_string_equal(e->serial, "");
	assert_string_equal(e->software, "");
	assert_string_equal(e->last_name, "");
	assert_string_equal(e->first_name, "");
	taken(DOC(SERIES(AUTHOR "<author><seriesAuthor><manufacturerOrganization><name>2</name>"
				"</manufacturerOrganization></seriesAuthor></author>")));
	assert_string_equal(e->manufacturer, "Maker");
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
	taken(ANNOTATED(
		"<activityTime value='20260131081000'/></annotationSet><annotationSet>" SAID("x")));
	assert_int_equal(e->interpreted.year, 0);
	taken(ANNOTATED("<activityTime value='202601310810'/>" SAID("x")));
	same_civil(&e->interpreted, "2026-01-31 08:10:00");
	taken(ANNOTATED("<activityTime value='20260131'/>" SAID("x")));
	assert_int_equal(e->interpreted.year, 0);
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
	assert_int_equal(e->birth.year, 0);
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
			 "<birthTime value='19600101'/><birthTime value='19610101'/>")));
	assert_string_equal(e->last_name, "A");
	assert_int_equal(e->sex, 'M');
	same_civil(&e->birth, "1960-01-01 00:00:00");
	static const char *const births[] = {
		"18491231", "22010101", "19500230", "195012", "1950", "195", "x"};
	for (size_t i = 0; i < ELEMENTS(births); i++) {
		char text[512];
		snprintf(text, sizeof(text), DOC(PERSON("<birthTime value='%s'/>")), births[i]);
		taken(text);
		assert_int_equal(e->birth.year, 0);
	}
	taken(DOC(PERSON("<birthTime value='18500101'/>")));
	assert_int_equal(e->birth.year, 1850);
	taken(DOC(PERSON("<birthTime/><birthTime value='22001231'/>")));
	same_civil(&e->birth, "2200-12-31 00:00:00");
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
		{"21612-7", "65535", "h", 65535}, {"21612-7", "65536", "a", ECG_ABSENT},
		{"21612-7", "x", "a", ECG_ABSENT}, {"1-1", "46", "a", ECG_ABSENT}};
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
		{DOC("<effectiveTime value='20260102030405'><center value='20270102030405'/></effectiveTime>"),
			"2026-01-02 03:04:05"},
		{DOC("<effectiveTime value='20270102030405'><low value='20260102030405'/></effectiveTime>"),
			"2026-01-02 03:04:05"},
		{DOC(SERIES(AT("<center value='20260102030405'/>"))
				 AT("<low value='20270102030405'/>")),
			"2026-01-02 03:04:05"},
		{DOC(SERIES(AT("<low value='19800101000000'/>"))), "1980-01-01 00:00:00"},
		{DOC(SERIES(AT("<low value='22010101000000'/>"))), NULL},
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measurements),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_person),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_acquired),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("aecg_data", tests, setup, teardown);
}
