/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the sheet says, in Chinese or English, from the members of the JSON. No drawing. */
#include "names.h"
#include "sheet_parts.h"
#include "util.h"

#include <stdarg.h>
#include <time.h>

#define UNSUPPORTED "waveform_unsupported"

struct word {
	const char *code, *en, *zh;
};

const char *sheet_say(const struct canvas *c, const char *en, const char *zh)
{
	return c->chinese ? zh : en;
}

const char *sheet_string(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));
	return t && *t ? t : NULL;
}

bool sheet_number(const json_t *o, const char *key, double low, double high, double *ret)
{
	const json_t *n = json_object_get(o, key);
	double v = json_number_value(n);
	if (!json_is_number(n) || !(v >= low && v <= high))
		return false;
	*ret = v;
	return true;
}

/* The word for a code, else the code. */
static const char *word_of(
	const struct canvas *c, const struct word *words, size_t n, const char *code)
{
	for (size_t i = 0; i < n; i++)
		if (streq(words[i].code, code))
			return sheet_say(c, words[i].en, words[i].zh);
	return code;
}

/* Appends; `between` stands before it when there is something already. */
__attribute__((format(printf, 4, 5))) static void add(
	char *out, size_t size, const char *between, const char *format, ...)
{
	va_list list;
	size_t at = strlen(out);
	if (at)
		at += (size_t)snprintf(out + at, size - at, "%s", between);
	if (at + 1 >= size)
		return;
	va_start(list, format);
	vsnprintf(out + at, size - at, format, list);
	va_end(list);
}

void sheet_filters(const struct canvas *c, const json_t *ecg, char *out, size_t size)
{
	const json_t *f = json_object_get(ecg, "filters");
	double high, low, notch;
	bool has_high = sheet_number(f, "high_pass_hz", 0, 1e6, &high),
	     has_low = sheet_number(f, "low_pass_hz", 0, 1e6, &low);
	out[0] = 0;
	if (has_high && has_low)
		add(out, size, "", "%g–%g Hz", high, low);
	else if (has_high)
		add(out, size, "", sheet_say(c, "from %g Hz", "≥%g Hz"), high);
	else if (has_low)
		add(out, size, "", sheet_say(c, "up to %g Hz", "≤%g Hz"), low);
	if (sheet_number(f, "notch_hz", 0, 1e6, &notch))
		add(out, size, ", ", sheet_say(c, "notch %g Hz", "工频 %g Hz"), notch);
	if (json_is_true(json_object_get(f, "artifact")))
		add(out, size, ", ", "%s", sheet_say(c, "artefact filter", "肌电/伪差滤波"));
	if (json_is_true(json_object_get(f, "baseline")))
		add(out, size, ", ", "%s", sheet_say(c, "baseline filter", "基线滤波"));
	if (!out[0])
		add(out, size, "", "-");
}

void sheet_warning(const struct canvas *c, const char *warning, char *out, size_t size)
{
	static const struct word words[] = {
		{"section_crc", "damaged section left out", "损坏的数据段已忽略"},
		{"section1_cut", "the patient data end early", "患者数据不完整"},
		{"bad_date", "no valid time of recording", "采集时间无效"},
		{"charset_guessed", "character set guessed", "字符集为推测"},
		{UNSUPPORTED, "waveform not supported", "波形不受支持"},
		{"no_rhythm", "the file has no waveform", "文件中无波形"},
		{"huffman_code", "lead cut off at damaged data", "导联因数据损坏被截断"},
		{"sample_range", "lead cut off at an impossible sample", "导联因异常采样值被截断"},
		{"no_lead_lengths", "lead lengths were not in the file", "文件未给出导联长度"},
		{"section8_cut", "the interpretation ends early", "结论不完整"},
		{"status", "unknown status of the interpretation", "结论状态未知"},
		{"origin", "offset of a lead left out", "导联零点偏移已忽略"}};
	char code[64];
	size_t n = strcspn(warning, ":");
	text_copy(code, sizeof(code), warning, n);
	const char *detail = warning + n + (warning[n] == ':');
	detail += strspn(detail, " ");
	snprintf(out, size, "%s%s%.200s%s", word_of(c, words, ELEMENTS(words), code),
		*detail ? " (" : "", detail, *detail ? ")" : "");
}

bool sheet_unsupported(const json_t *ecg)
{
	size_t i;
	const json_t *w;
	json_array_foreach(json_object_get(ecg, "warnings"), i, w)
	{
		const char *text = json_string_value(w);
		if (text && strncmp(text, UNSUPPORTED, strlen(UNSUPPORTED)) == 0)
			return true;
	}
	return false;
}

const char *sheet_format_name(const json_t *ecg)
{
	static const char *const names[][2] = {{"scp", "SCP-ECG"}, {"aecg", "HL7 aECG"},
		{"ecg90a", "Contec ECG90A"}, {"dicom", "DICOM"}, {"pdf", "PDF"}};
	const char *code = sheet_string(ecg, "format");
	for (size_t i = 0; code && i < ELEMENTS(names); i++)
		if (streq(code, names[i][0]))
			return names[i][1];
	return code ? code : "-";
}

void sheet_patient(
	const struct canvas *c, const json_t *ecg, bool anonymous, char *out, size_t size)
{
	const json_t *p = json_object_get(ecg, "patient");
	const char *token = sheet_string(json_object_get(ecg, "study"), "resident"),
		   *id = sheet_string(p, "id"), *last = sheet_string(p, "last_name"),
		   *first = sheet_string(p, "first_name");
	out[0] = 0;
	if (anonymous) {
		add(out, size, "", "%s", sheet_say(c, "(anonymous)", "（匿名）"));
		return;
	}
	if (token) {
		add(out, size, "", "%.100s", token);
		return;
	}
	if (id)
		add(out, size, "", "%.100s", id);
	if (last)
		add(out, size, "  ", "%.200s", last);
	if (first)
		add(out, size, last ? " " : "  ", "%.200s", first);
	if (!out[0])
		add(out, size, "", "%s", sheet_say(c, "(no patient id)", "（无患者标识）"));
}

static void add_amount(
	const struct canvas *c, const json_t *patient, const char *key, char *out, size_t size)
{
	static const struct word units[] = {{"a", " years", "岁"}, {"mo", " months", "个月"},
		{"wk", " weeks", "周"}, {"d", " days", "天"}, {"h", " hours", "小时"},
		{"cm", " cm", " cm"}, {"mm", " mm", " mm"}, {"[in_i]", " in", " 英寸"},
		{"kg", " kg", " kg"}, {"g", " g", " g"}, {"[lb_av]", " lb", " 磅"},
		{"[oz_av]", " oz", " 盎司"}};
	const json_t *amount = json_object_get(patient, key);
	const char *unit = sheet_string(amount, "unit");
	double v;
	if (unit && sheet_number(amount, "value", 0, 1e6, &v))
		add(out, size, "  ", "%g%.16s", v, word_of(c, units, ELEMENTS(units), unit));
}

/* Sex, age, height and weight; the date of birth only where the name stands. */
void sheet_body(const struct canvas *c, const json_t *ecg, bool anonymous, char *out, size_t size)
{
	const json_t *p = json_object_get(ecg, "patient");
	const char *sex = sheet_string(p, "sex"), *birth = sheet_string(p, "birth_date");
	static const struct word sexes[] = {{"M", "male", "男"}, {"F", "female", "女"}};
	out[0] = 0;
	add(out, size, "", "%.16s",
		sex ? word_of(c, sexes, ELEMENTS(sexes), sex) : sheet_say(c, "sex -", "性别 -"));
	if (json_object_get(p, "age"))
		add_amount(c, p, "age", out, size);
	else
		add(out, size, "  ", "%s", sheet_say(c, "age -", "年龄 -"));
	add_amount(c, p, "height", out, size);
	add_amount(c, p, "weight", out, size);
	if (birth && !anonymous && !sheet_string(json_object_get(ecg, "study"), "resident"))
		add(out, size, "  ", sheet_say(c, "born %.32s", "出生 %.32s"), birth);
}

/* "2026-01-31T08:09:10+08:00" to be read by people. */
static void civil(const char *text, char *out, size_t size)
{
	snprintf(out, size, "%.40s", text);
	if (strlen(out) > 10 && out[10] == 'T')
		out[10] = ' ';
	if (strlen(out) == 25)
		snprintf(out, size, "%.10s %.8s %.6s", text, text + 11, text + 19);
}

/* An instant in UTC in the zone of the caller. */
static void local(const char *utc, char *out, size_t size)
{
	struct tm tm = {0};
	const char *end = strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end || !strchr(end, 'Z')) {
		civil(utc, out, size);
		return;
	}
	time_t t = timegm(&tm);
	if (!localtime_r(&t, &tm) || !strftime(out, size, "%Y-%m-%d %H:%M:%S %z", &tm))
		civil(utc, out, size);
}

/* When it was recorded, and who says so: the gateway, which knows how far to trust it, else the file. */
void sheet_time(const struct canvas *c, const json_t *ecg, char *out, size_t size)
{
	const json_t *t = json_object_get(json_object_get(ecg, "study"), "time");
	const char *taken = sheet_string(t, "taken"), *trust = sheet_string(t, "trust"),
		   *own = sheet_string(ecg, "acquired_at"), *zone = sheet_string(ecg, "tz_source");
	char when[48];
	out[0] = 0;
	if (taken) {
		local(taken, when, sizeof(when));
		add(out, size, "", "%s (%.40s)", when,
			trust ? name_of(NAME_TRUST, trust, c->chinese) : "-");
		return;
	}
	if (!own) {
		add(out, size, "", "%s", sheet_say(c, "time of recording -", "采集时间 -"));
		return;
	}
	civil(own, when, sizeof(when));
	add(out, size, "", "%s (%s)", when,
		zone && streq(zone, "file")
			? sheet_say(c, "the device's clock", "设备时钟")
			: sheet_say(c, "the device's clock, zone unknown", "设备时钟，时区未知"));
}

void sheet_device(const json_t *ecg, char *out, size_t size)
{
	const json_t *d = json_object_get(ecg, "device");
	static const char *const keys[] = {"manufacturer", "model", "serial", "software"};
	out[0] = 0;
	for (size_t i = 0; i < ELEMENTS(keys); i++) {
		const char *text = sheet_string(d, keys[i]);
		if (text)
			add(out, size, "  ", "%s%.100s", i == 2 ? "SN " : "", text);
	}
	if (!out[0])
		add(out, size, "", "-");
}
