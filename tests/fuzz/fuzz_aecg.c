/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HL7 aECG. Input: a byte of how, then
 *   how % 4 == 0   the file itself
 *   how % 4 == 1   the digits of a lead
 *   else           edits (ecg_check.h) of a good file
 * What is well-formed by construction reaches the second pass far more often than bytes do.
 */
#include "ecg_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SET(interval)                                                                      \
	"<sequenceSet><sequence><code code=\"TIME_ABSOLUTE\"/><value><increment " interval \
	"/></value></sequence>"
#define LEAD(name, origin, scale, digits)                                                          \
	"<sequence><code code=\"MDC_ECG_LEAD_" name "\"/><value><origin " origin "/><scale " scale \
	"/><digits>" digits "</digits></value></sequence>"
#define PQ(code, quantity) \
	"<annotation><code code=\"MDC_ECG_" code "\"/><value " quantity "/></annotation>"

static const char head[] =
	"<?xml version=\"1.0\"?>\n<AnnotatedECG><effectiveTime><center value=\"20260131\"/></effectiveTime>"
	"<trialSubject><id extension=\"R-0001\"/><subjectDemographicPerson><name>TEST<given>A</given></name>"
	"<administrativeGenderCode code=\"F\"/><birthTime value=\"19500304\"/></subjectDemographicPerson>"
	"</trialSubject><relatedObservation><code code=\"21612-7\"/><value value=\"46\" unit=\"a\"/>"
	"</relatedObservation><series><code code=\"RHYTHM\"/><effectiveTime><low value=\"20260131080910.5+0800\"/>"
	"</effectiveTime><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>M1"
	"</manufacturerModelName></manufacturedSeriesDevice><manufacturerOrganization><name>Maker</name>"
	"</manufacturerOrganization></seriesAuthor><controlVariable><code code=\"MDC_ECG_CTL_VBL_ATTR_FILTER_"
	"LOW_PASS\"/><component><controlVariable><code code=\"MDC_ECG_CTL_VBL_ATTR_FILTER_CUTOFF_FREQ\"/>"
	"<value value=\"150\" unit=\"Hz\"/></controlVariable></component></controlVariable>" SET(
		"value=\"0.002\" unit=\"s\"");
static const char tail[] = LEAD("II", "value=\"5\" unit=\"uV\"", "value=\"2.5\" unit=\"uV\"",
	"1 2 3") "</sequenceSet>" SET("value=\"2\" unit=\"ms\"") LEAD("AVR",
	"value=\"0\" unit=\"mV\"", "value=\"1e-3\" unit=\"mV\"",
	"-8388607 +7\n1") "</sequenceSet><derivation><annotationSet><activityTime value=\"202601310810\"/>" PQ("HEART_RATE",
	"value=\"75\" unit=\"bpm\"") PQ("TIME_PD_PR",
	"value=\"0.15\" unit=\"s\"") PQ("ANGLE_P_FRONT",
	"value=\"-44.5\" unit=\"deg\"") "<annotation><code code=\"MDC_ECG_INTERPRETATION_"
					"STATEMENT\"/><value>Sinus \xe6\xb5\x8b &lt;</value></annotation></annotationSet></derivation></series>"
					"</AnnotatedECG>";
static const char lead_head[] =
	"<sequence><code code=\"MDC_ECG_LEAD_I\"/><value><scale value=\"2.5\" "
	"unit=\"uV\"/><digits>";
static const char lead_tail[] = "</digits></value></sequence>";

static const struct piece pieces[] = {PIECE("<series>"), PIECE("</series>"), PIECE("<derivation>"),
	PIECE("</derivation>"), PIECE("<a/>"), PIECE("<!-- -->"), PIECE("&#50;"), PIECE("&a;"),
	PIECE("<![CDATA[1]]>"), PIECE("<!DOCTYPE AnnotatedECG SYSTEM 'x'>"),
	PIECE("<!DOCTYPE AnnotatedECG [<!ENTITY a 'b'>]>"), PIECE(" encoding='GBK'?>"),
	PIECE(" encoding='UTF-16'?>"), PIECE("RHYTHM"), PIECE("TIME_RELATIVE"),
	PIECE("value=\"1e9\""), PIECE("value=\"-0.00000000000000000001\""), PIECE("unit=\"V\""),
	PIECE("99999999999999999999 "), PIECE("8388608 "), PIECE("-"), PIECE("."),
	PIECE("\xb2\xe2"), PIECE("\xe6\xb5\x8b"), PIECE("\x1a"), PIECE("20240229235959-1200"),
	PIECE("<value>"), PIECE("</value>"), PIECE("<sequence>"), PIECE("</sequence>"),
	PIECE("<sequenceSet>"), PIECE("</sequenceSet>"), PIECE("x:")};

static size_t put(uint8_t *file, size_t len, const void *bytes, size_t n)
{
	ECG_CHECK(len + n <= FILE_MAX);
	memcpy(file + len, bytes, n);
	return len + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t good[FILE_MAX], file[FILE_MAX];
	static const char digits[] = "0123456789+- \n-\t0.x";
	if (!size)
		return 0;
	unsigned how = data[0] % 4;
	if (how == 0) {
		check_file(aecg_read, data + 1, size - 1);
		return 0;
	}
	size_t len = put(good, 0, head, sizeof(head) - 1), most = 4096;
	len = put(good, len, lead_head, sizeof(lead_head) - 1);
	for (size_t i = 1; how == 1 && i < size && i < most; i++)
		len = put(good, len, &digits[data[i] % (sizeof(digits) - 1)], 1);
	len = put(good, len, lead_tail, sizeof(lead_tail) - 1);
	len = put(good, len, tail, sizeof(tail) - 1);
	if (how > 1)
		len = edited(file, good, len, data + 1, size - 1, pieces, ELEMENTS(pieces));
	check_file(aecg_read, how > 1 ? file : good, len);
	return 0;
}
