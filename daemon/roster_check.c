/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "roster_check.h"

#include "day.h"
#include "gateway.h"
#include "traits.h"
#include "util.h"

#define CHAIN_MAX 8 /* persons that an alert goes to one after the other */

static const char *const sexes[] = {"M", "F", NULL};

static const struct {
	const char *name;
	enum { IS_TOKEN, IS_TOKENS, IS_BIRTH, IS_DAY, IS_WORD, IS_WORDS } what;
	const char *const *words;
} fields[ROSTER_FIELDS] = {
	[ROSTER_TOKEN] = {"token", IS_TOKEN, NULL},
	[ROSTER_BIRTH_DATE] = {"birth_date", IS_BIRTH, NULL},
	[ROSTER_SEX] = {"sex", IS_WORD, sexes},
	[ROSTER_PROGRAMMES] = {"programmes", IS_WORDS, trait_programmes},
	[ROSTER_POPULATIONS] = {"populations", IS_WORDS, trait_populations},
	[ROSTER_CONDITIONS] = {"conditions", IS_WORDS, trait_conditions},
	[ROSTER_SETTING] = {"setting", IS_WORD, trait_settings},
	[ROSTER_DOCTOR] = {"doctor", IS_TOKEN, NULL},
	[ROSTER_TEAM] = {"team", IS_TOKEN, NULL},
	[ROSTER_CHAIN] = {"chain", IS_TOKENS, NULL},
	[ROSTER_SIGNED_ON] = {"signed_on", IS_DAY, NULL},
	[ROSTER_VALID_FROM] = {"valid_from", IS_DAY, NULL},
	[ROSTER_VALID_TO] = {"valid_to", IS_DAY, NULL},
	[ROSTER_OWNER] = {"owner", IS_TOKEN, NULL},
};

const char *roster_field_name(enum roster_field f)
{
	return fields[f].name;
}

enum roster_field roster_field_named(const char *name)
{
	enum roster_field f = 0;
	while (f < ROSTER_FIELDS && !streq(fields[f].name, name))
		f++;
	return f;
}

/* persons and tokens */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool roster_token_good(const char *text)
{
	size_t n = strlen(text);
	for (const char *p = text; *p; p++)
		if (!is_letter(*p) && !is_digit(*p) && *p != '-' && *p != '_')
			return false;
	return n >= 1 && n <= ROSTER_TOKEN_MAX;
}

static int two(const char *digits)
{
	return (digits[0] - '0') * 10 + digits[1] - '0';
}

/* A number of 18 with the day of birth from the seventh digit, the old one of 15, a mobile phone's of 11. */
static bool number_of_person(const char *digits, size_t n)
{
	const char *month = digits + (n == 18 ? 10 : 8);
	if (n == 11)
		return digits[0] == '1' && digits[1] >= '3';
	if (n != 18 && n != 15)
		return false;
	return two(month) >= 1 && two(month) <= 12 && two(month + 2) >= 1 && two(month + 2) <= 31;
}

/* What follows the letters that a token may begin with. Digits alone, so many of them, are never taken for a token. */
bool roster_names_person(const char *text)
{
	char digits[ROSTER_TOKEN_MAX + 1];
	size_t n = 0;
	const char *p = text;
	while (is_letter(*p) || *p == '-' || *p == '_')
		p++;
	bool bare = p == text;
	for (; *p; p++) {
		if (*p == '-' || *p == '_')
			continue;
		bool check = (*p == 'X' || *p == 'x') && !p[1];
		if ((!is_digit(*p) && !check) || n >= ROSTER_TOKEN_MAX)
			return false;
		digits[n++] = *p;
	}
	return bare ? n >= 11 : number_of_person(digits, n);
}

static void expected_words(
	const char *const *words, bool several, char en[static 160], char zh[static 160])
{
	char list[128] = "";
	for (size_t n = 0; *words && n < sizeof(list); words++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ";" : "", *words);
	snprintf(en, 160, "expected %s %s", several ? "some of" : "one of", list);
	snprintf(zh, 160, "应为%s：%s", several ? "以下各项中的若干" : "以下之一", list);
}

static bool among(const char *const *words, const char *text, size_t len)
{
	for (; *words; words++)
		if (strlen(*words) == len && memcmp(*words, text, len) == 0)
			return true;
	return false;
}

static bool token_fits(const char *text, size_t len)
{
	char one[ROSTER_TOKEN_MAX + 1];
	return len <= ROSTER_TOKEN_MAX && text_copy(one, sizeof(one), text, len) &&
	       roster_token_good(one);
}

/* A list in its one form: each word once, nothing behind the last. False: a word is not known, or there are too many. */
static bool take_list(
	const char *const *words, const char *text, char out[static ROSTER_LIST_BYTES])
{
	size_t used = 0;
	unsigned n = 0;
	out[0] = 0;
	while (*text) {
		size_t len = strcspn(text, ";");
		if (words ? !among(words, text, len) : !token_fits(text, len))
			return false;
		bool again = false;
		for (const char *p = out; *p; p += strcspn(p, ";") + (p[strcspn(p, ";")] == ';'))
			again |= strcspn(p, ";") == len && memcmp(p, text, len) == 0;
		if (!again) {
			if (++n > 10 || (!words && n > CHAIN_MAX))
				return false;
			used += (size_t)snprintf(out + used, ROSTER_LIST_BYTES - used, "%s%.*s",
				used ? ";" : "", (int)len, text);
		}
		text += len + (text[len] == ';');
	}
	return true;
}

static void check_token(struct roster *r, unsigned line, enum roster_field f, const char *text)
{
	const char *name = fields[f].name;
	if ((text[0] || f == ROSTER_TOKEN) && !roster_token_good(text))
		roster_fault(r, line, name, "expected 1 to 31 letters, digits, - or _",
			"应为1到31个字母、数字、- 或 _");
	else if (roster_names_person(text))
		roster_fault(r, line, name,
			"looks like an ID or phone number; use a pseudonymous token",
			"疑似身份证号或电话号码，请使用化名编号");
}

static void check_birth(struct roster *r, unsigned line, const char *text)
{
	if (!text[0])
		return;
	int32_t day = day_read(text);
	if (!age_read(text))
		roster_fault(r, line, "birth_date",
			"expected YYYY-MM-DD, YYYY, or an age and its day such as 60-64@2026-11-01",
			"应为 YYYY-MM-DD、YYYY，或注明日期的年龄段，如 60-64@2026-11-01");
	else if (day != DAY_NONE && clock_plausible(r->now_us) && day > day_of(r->now_us))
		roster_fault(r, line, "birth_date", "this day has not come yet", "该日期尚未到来");
}

static void check_field(
	struct roster *r, unsigned line, enum roster_field f, struct roster_checked *c)
{
	char en[160], zh[160];
	const char *text = c->text[f];
	bool several = fields[f].what == IS_WORDS;
	switch (fields[f].what) {
	case IS_TOKEN:
		check_token(r, line, f, text);
		break;
	case IS_TOKENS:
		if (!take_list(NULL, text, c->lists[f]))
			roster_fault(r, line, fields[f].name,
				"expected at most 8 staff tokens with semicolons: D-0001;H-0001",
				"应为以分号分隔的至多8个人员编号：D-0001;H-0001");
		c->text[f] = c->lists[f];
		break;
	case IS_BIRTH:
		check_birth(r, line, text);
		break;
	case IS_DAY:
		if (text[0] && day_read(text) == DAY_NONE)
			roster_fault(
				r, line, fields[f].name, "expected YYYY-MM-DD", "应为 YYYY-MM-DD");
		break;
	case IS_WORD:
	case IS_WORDS:
		if (several ? take_list(fields[f].words, text, c->lists[f])
			    : !text[0] || among(fields[f].words, text, strlen(text))) {
			c->text[f] = several ? c->lists[f] : text;
			break;
		}
		expected_words(fields[f].words, several, en, zh);
		roster_fault(r, line, fields[f].name, en, zh);
		break;
	}
}

/* The last day of a year from `day` on; who signed on 29 February does so again on 1 March. */
static int32_t year_end(int32_t day)
{
	int y, m, d;
	day_split(day, &y, &m, &d);
	int32_t next = day_from(y + 1, m, d);
	return (next == DAY_NONE ? day_from(y + 1, 3, 1) : next) - 1;
}

/* The contract. With the day of signing only, it holds from the next 1 January, or at once: as the site says. */
static void check_contract(struct roster *r, unsigned line, struct roster_checked *c)
{
	int y, m, d;
	int32_t day[3];
	for (unsigned i = 0; i < 3; i++)
		day[i] = day_read(c->text[ROSTER_SIGNED_ON + i]);
	if (day[0] != DAY_NONE && day[1] == DAY_NONE) {
		bool at_once = r->gateway->config->contract_start == CONTRACT_AT_ONCE;
		day_split(day[0], &y, &m, &d);
		day[1] = at_once ? day[0] : day_from(MIN(y, 9998) + 1, 1, 1);
		if (day[2] == DAY_NONE)
			day[2] = year_end(day[1]);
	}
	if (day[1] == DAY_NONE && day[2] != DAY_NONE)
		roster_fault(r, line, "valid_to",
			"a contract that ends needs valid_from or signed_on",
			"有终止日的合同须注明 valid_from 或 signed_on");
	else if (day[2] != DAY_NONE && day[2] < day[1])
		roster_fault(r, line, "valid_to", "the contract ends before it begins",
			"合同终止日早于起始日");
	for (unsigned i = 0; i < 3; i++) {
		c->has[i] = day[i] != DAY_NONE;
		c->days[i] = c->has[i] ? day_begin_us(day[i] + (i == 2)) : 0;
	}
}

bool roster_check(struct roster *r, unsigned line, const struct roster_record *record,
	struct roster_checked *c)
{
	unsigned before = r->n_faults;
	for (enum roster_field f = 0; f < ROSTER_FIELDS; f++) {
		c->text[f] = record->text[f];
		check_field(r, line, f, c);
	}
	if (streq(c->text[ROSTER_OWNER], r->gateway->config->gateway))
		c->text[ROSTER_OWNER] = "";
	if (r->n_faults == before)
		check_contract(r, line, c);
	return r->n_faults == before;
}
