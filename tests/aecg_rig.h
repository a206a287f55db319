/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For tests of the reader of HL7 aECG: a document in pieces, and what became of it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ecg/aecg.h"

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

static inline bool read_bytes(const char *text, size_t len)
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

static inline void read_text(const char *text)
{
	assert_true(read_bytes(text, strlen(text)));
	assert_string_equal(e->format, "aecg");
}

static inline void taken(const char *text)
{
	read_text(text);
	assert_null(e->rejected);
	assert_false(e->failed);
}

static inline bool warned(const char *text)
{
	for (unsigned i = 0; i < e->n_warnings; i++)
		if (streq(e->warnings[i], text))
			return true;
	return false;
}

static inline const struct ecg_lead *lead(const char *name)
{
	for (unsigned i = 0; i < e->n_leads; i++)
		if (streq(e->leads[i].name, name))
			return &e->leads[i];
	return NULL;
}

static inline void same_lead(const char *name, const char *want)
{
	char found[256] = "";
	const struct ecg_lead *l = lead(name);
	assert_non_null(l);
	for (uint32_t i = 0, n = 0; i < l->n; i++)
		n += (uint32_t)snprintf(
			found + n, sizeof(found) - n, i ? " %d" : "%d", l->samples[i]);
	assert_string_equal(found, want);
}

static inline void same_civil(const struct vg_civil *c, const char *want)
{
	char found[64];
	snprintf(found, sizeof(found), "%04u-%02u-%02u %02u:%02u:%02u", c->year, c->month, c->day,
		c->hour, c->minute, c->second);
	assert_string_equal(found, want);
}

static inline int setup(void **state)
{
	(void)state;
	ecg_text_init();
	e = malloc(sizeof(*e));
	if (e)
		ecg_init(e);
	return e ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	ecg_free(e);
	free(e);
	return 0;
}
