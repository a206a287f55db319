/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What persons answer: held against the form when it is said, read again when the visit is proposed. */
#include "proposal_state.h"

#include <errno.h>

/* Digits and a point, no sign, with no more digits behind it than the kind shows, and within what can be true. */
static const char *read_number(const struct code *code, const char *p, int64_t *ret)
{
	const char *begin = p;
	int64_t n = 0, scale = 1000;
	unsigned behind = 0;
	for (; *p >= '0' && *p <= '9' && n < 1000000; p++)
		n = n * 10 + (*p - '0');
	if (p == begin)
		return NULL;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9' && behind < code->decimals; p++, behind++) {
			n = n * 10 + (*p - '0');
			scale /= 10;
		}
	if (p[-1] == '.')
		return NULL;
	*ret = n * scale;
	return code->min_milli <= code->max_milli &&
			       (*ret < code->min_milli || *ret > code->max_milli)
		       ? NULL
		       : p;
}

static int read_pressure(const struct codes *codes, struct filling *ret)
{
	const struct code *sbp = codes_find(codes, "bp.sbp"), *dbp = codes_find(codes, "bp.dbp");
	const char *p = sbp && dbp ? read_number(sbp, ret->text, &ret->milli[SYSTOLIC]) : NULL;
	if (!p || *p != '/' || !(p = read_number(dbp, p + 1, &ret->milli[DIASTOLIC])) || *p ||
		ret->milli[SYSTOLIC] <= ret->milli[DIASTOLIC])
		return -EINVAL;
	ret->code = sbp;
	ret->n_values = PRESSURES;
	ret->decimals = sbp->decimals;
	return 0;
}

/* "65.3", or with what is aimed at: "65.3/62". */
static int read_value(const struct codes *codes, const struct form_field *f, struct filling *ret)
{
	char kind[32];
	const char *kinds = f->fill == FILL_BMI ? "bmi" : f->kinds;
	const struct code *code =
		list_next(&kinds, kind, sizeof(kind)) ? codes_find(codes, kind) : NULL;
	const char *p = code ? read_number(code, ret->text, &ret->milli[0]) : NULL;
	int64_t target;
	if (p && *p == '/' && f->target)
		p = read_number(code, p + 1, &target);
	if (!p || *p)
		return -EINVAL;
	ret->code = code;
	ret->n_values = 1;
	return 0;
}

/* "2", "2 rash" where words may follow, "2 6" or "2,6" where several may hold. */
static int read_choice(const struct form_field *f, struct filling *ret)
{
	const char *p = ret->text;
	unsigned n = 0;
	int first = 0;
	while (*p >= '1' && *p <= '9' && (!p[1] || strchr(" ,;", p[1]))) {
		if (!(f->numbers & UINT32_C(1) << (*p - '0')) || (n && !f->several))
			return -EINVAL;
		if (!n++)
			first = *p - '0';
		p += 1 + strspn(p + 1, " ,;");
	}
	if (*p && (!f->worded || (*p >= '0' && *p <= '9'))) /* a number that is no choice */
		return -EINVAL;
	if (!n && !f->several)
		return -EINVAL;
	ret->choice = first;
	return 0;
}

static int read_text(const json_t *value, struct filling *ret)
{
	char number[32];
	const char *text = number;
	if (json_is_string(value))
		text = json_string_value(value);
	else if (json_is_integer(value))
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value)) /* 15 digits: what was written, not what is nearest to it */
		snprintf(number, sizeof(number), "%.15g", json_real_value(value));
	else
		return -EINVAL;
	size_t len = json_is_string(value) ? json_string_length(value) : strlen(text);
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
			return -EINVAL;
	if (len > PROPOSAL_ANSWER_MAX || strspn(text, " ") == len)
		return -EINVAL;
	text_copy(ret->text, sizeof(ret->text), text, len);
	return 0;
}

static bool is_date(const struct form_field *f)
{
	static const char end[] = "_date";
	size_t len = strlen(f->key);
	return len > strlen(end) && streq(f->key + len - strlen(end), end);
}

int answer_read(const struct codes *codes, const struct form_field *f, const json_t *value,
	struct filling *ret)
{
	*ret = (struct filling){
		.by = "person", .note = "", .filled = true, .day = DAY_NONE, .from = DAY_NONE};
	if (read_text(value, ret) < 0)
		return -EINVAL;
	if (is_date(f)) {
		ret->day = day_read(ret->text);
		return ret->day == DAY_NONE ? -EINVAL : 0;
	}
	switch (f->fill) {
	case FILL_BP:
	case FILL_BP_LEFT:
	case FILL_BP_RIGHT:
		return read_pressure(codes, ret);
	case FILL_LAST:
	case FILL_HEIGHT:
	case FILL_BMI:
	case FILL_HEART_RATE:
	case FILL_FASTING:
	case FILL_OTHER_GLUCOSE:
		return read_value(codes, f, ret);
	default:
		return f->numbers ? read_choice(f, ret) : 0;
	}
}

int proposal_answer_ok(const struct forms *forms, const struct codes *codes, const char *form,
	const char *key, const json_t *value)
{
	/* the platform knows the name by the token; who confirms signs */
	static const char *const never[] = {"name", "record_no", "doctor_signature"};
	const struct form_field *f = forms_find(forms, form, key);
	struct filling filling;
	for (size_t i = 0; f && i < ELEMENTS(never); i++)
		if (streq(key, never[i]))
			return -ENOENT;
	if (!f)
		return -ENOENT;
	return json_is_null(value) ? 0 : answer_read(codes, f, value, &filling);
}
