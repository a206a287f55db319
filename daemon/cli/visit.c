/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Visits that persons open, answer and confirm; plans, and the lists and rates that come of them. */
#include "day.h"
#include "names.h"
#include "util.h"
#include "words.h"

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));
	return t ? t : "-";
}

static long long number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static int expected(const struct words *w, const char *takes)
{
	char en[200], zh[200];
	snprintf(en, sizeof(en), "expected: vitalgate visit %s", takes);
	snprintf(zh, sizeof(zh), "应为：vitalgate visit %s", takes);
	return words_expected(w, en, zh);
}

static bool known_form(const char *form)
{
	static const char *const forms[] = {"htn", "t2dm", "elderly", "copd"};
	for (size_t i = 0; i < ELEMENTS(forms); i++)
		if (streq(form, forms[i]))
			return true;
	return false;
}

static int expected_form(const struct words *w)
{
	return words_expected(w, "expected a form: htn, t2dm, elderly or copd",
		"随访表应为 htn（高血压）、t2dm（2型糖尿病）、elderly（老年人体检）或 copd（慢阻肺）");
}

static int expected_day(const struct words *w)
{
	return words_expected(w, "expected a day: 2026-11-21", "日期应为 2026-11-21 的格式");
}

/* visits */

static bool is_id(const char *word)
{
	size_t n = strlen(word);
	return n >= 4 && n <= 32 && strspn(word, "0123456789abcdefABCDEF") == n;
}

/* Which visit is meant: its id, or the resident whose only open one it is. NULL: it was said what is missing; free() it. */
static char *visit_named(const struct words *w, const char *word)
{
	if (is_id(word))
		return strdup(word);
	json_t *reply = client_ask(
		w->cli, "followup", json_pack("{s:s,s:s*}", "resident", word, "form", w->form));
	json_t *result = client_result(w->cli, reply);
	const json_t *visit;
	size_t i;
	unsigned n = 0;
	char *id = NULL, list[400] = "";
	json_array_foreach(json_object_get(result, "visits"), i, visit)
	{
		const char *state = text(visit, "state");
		if (!streq(state, "open") && !streq(state, "closed"))
			continue;
		size_t at = strlen(list);
		snprintf(list + at, sizeof(list) - at, " %.8s (%.60s %.10s)", text(visit, "id"),
			name_of(NAME_FORM, text(visit, "form"), w->cli->chinese),
			text(visit, "day"));
		free(id);
		id = strdup(text(visit, "id"));
		n++;
	}
	if (result && n != 1)
		fprintf(stderr,
			w->cli->chinese
				? "vitalgate: %s 有 %u 个未确认的随访，请给出编号：%s\n"
				: "vitalgate: %s has %u visits that are not confirmed; name one:%s\n",
			word, n, list);
	json_decref(reply);
	if (n == 1)
		return id;
	free(id);
	return NULL;
}

/* "1a2b3c4d Hypertension follow-up 2026-11-21 open": by its beginning it is named from now on. */
static void show_visit(const struct cli *cli, const json_t *result)
{
	printf("%.8s  %s  %s  %s\n", text(result, "visit"),
		name_of(NAME_FORM, text(result, "form"), cli->chinese), text(result, "day"),
		name_of(NAME_VISIT, text(result, "state"), cli->chinese));
}

/* The visit of word 1, for a command that takes it. */
static int ask_visit(const struct words *w, const char *command, json_t *args)
{
	char *id = visit_named(w, w->word[1]);
	if (!id) {
		json_decref(args);
		return 1;
	}
	words_put(args, "visit", id);
	free(id);
	return words_ask(w, command, args, show_visit);
}

/* "complication=1 adverse_reaction=1" from word `first` on; NULL: one is no pair. */
static json_t *pairs(const struct words *w, int first)
{
	json_t *all = json_object();
	char key[64];
	for (int i = first; i < w->n; i++) {
		const char *value = words_pair(w->word[i], key, sizeof(key));
		if (value && json_object_set_new(all, key, json_string(value)) == 0)
			continue;
		json_decref(all);
		return NULL;
	}
	return all;
}

static int visit_open(const struct words *w)
{
	if (w->n != 3)
		return expected(w, "open R htn|t2dm|elderly|copd [--way 1|2|3]");
	if (!known_form(w->word[2]))
		return expected_form(w);
	return words_ask(w, "visit_open",
		json_pack("{s:s,s:s,s:s*}", "resident", w->word[1], "form", w->word[2], "way",
			w->way),
		show_visit);
}

static int visit_close(const struct words *w)
{
	return w->n == 2 ? ask_visit(w, "visit_close", json_object())
			 : expected(w, "close VISIT|R");
}

static int visit_confirm(const struct words *w)
{
	return w->n == 2 ? ask_visit(w, "visit_confirm", json_object())
			 : expected(w, "confirm VISIT|R [--form F] --by D");
}

static int visit_set(const struct words *w)
{
	json_t *answers = w->n > 2 ? pairs(w, 2) : NULL;
	if (!answers)
		return expected(w, "set VISIT|R KEY=VALUE..., such as visit_way=1 complication=1");
	return ask_visit(w, "visit_set", json_pack("{s:o}", "answers", answers));
}

static int visit_correct(const struct words *w)
{
	json_t *answers = w->n > 2 && w->reason ? pairs(w, 2) : NULL;
	if (!answers)
		return expected(w, "correct VISIT KEY=VALUE... --reason TEXT");
	return ask_visit(w, "visit_correct",
		json_pack("{s:o,s:s}", "answers", answers, "reason", w->reason));
}

static int visit_void(const struct words *w)
{
	if (w->n < 3)
		return expected(w, "void VISIT REASON");
	_cleanup_(freep) char *reason = words_joined(w, 2);
	return ask_visit(w, "visit_void", json_pack("{s:s}", "reason", reason ? reason : ""));
}

static int visit_elsewhere(const struct words *w)
{
	static const char *const known[] = {
		"way", "class", "next_day", "referral", "institution", "referral_result", "by"};
	json_t *more = w->n > 3 ? pairs(w, 4) : NULL;
	const char *key;
	json_t *v;
	bool good = more != NULL;
	json_object_foreach(more, key, v)
	{
		bool found = false;
		for (size_t i = 0; i < ELEMENTS(known); i++)
			found |= streq(known[i], key);
		good &= found;
	}
	if (!good || !known_form(w->word[2]) || day_read(w->word[3]) == DAY_NONE) {
		json_decref(more);
		return expected(w,
			"elsewhere R FORM DAY [way= class= next_day= referral= institution= "
			"referral_result= by=]");
	}
	words_put(more, "resident", w->word[1]);
	words_put(more, "form", w->word[2]);
	words_put(more, "day", w->word[3]);
	return words_ask(w, "visit_elsewhere", more, show_visit);
}

static int run_visit(const struct words *w)
{
	static const struct {
		const char *name;
		int (*run)(const struct words *w);
	} all[] = {{"open", visit_open}, {"close", visit_close}, {"set", visit_set},
		{"confirm", visit_confirm}, {"correct", visit_correct}, {"void", visit_void},
		{"elsewhere", visit_elsewhere}};
	for (size_t i = 0; i < ELEMENTS(all); i++)
		if (streq(all[i].name, w->word[0]))
			return all[i].run(w);
	return words_expected(w, NULL, NULL);
}

/* plans and lists */

#define PAGE 500 /* items that are asked for at once */

static int run_plan(const struct words *w)
{
	if (!known_form(w->word[1]))
		return expected_form(w);
	if (day_read(w->word[2]) == DAY_NONE)
		return expected_day(w);
	return words_ask(w, "plan",
		json_pack("{s:s,s:s,s:s}", "resident", w->word[0], "form", w->word[1], "day",
			w->word[2]),
		NULL);
}

static const char *said(const struct cli *cli, const char *word)
{
	return name_of(NAME_LIST, word, cli->chinese);
}

static int list_place(const char *list)
{
	static const char *const lists[] = {
		"due", "referral_result", "no_contact", "twice", "recheck"};
	int i = 0;
	while (i < (int)ELEMENTS(lists) && !streq(lists[i], list))
		i++;
	return i;
}

static void show_due(const struct cli *cli, const json_t *result)
{
	const json_t *items = json_object_get(result, "items"), *item;
	const char *list = "";
	size_t i;
	if (!json_array_size(items))
		puts(cli->chinese ? "没有待办" : "nothing is due");
	json_array_foreach(items, i, item)
	{
		const char *level = json_string_value(json_object_get(item, "level"));
		const char *form = json_string_value(json_object_get(item, "form"));
		if (!streq(list, text(item, "list")))
			printf("%s\n", said(cli, text(item, "list")));
		list = text(item, "list");
		fputs("  ", stdout);
		show_cell(text(item, "resident"), 16);
		show_cell(name_of(NAME_BRIEF, form, cli->chinese), 15);
		fputs(text(item, "date"), stdout);
		if (level)
			printf(cli->chinese ? "  %s %lld 天" : "  %s, %lld days", said(cli, level),
				number(item, "days"));
		if (json_string_value(json_object_get(item, "reason")) &&
			!streq(text(item, "reason"), list))
			printf("  %s", said(cli, text(item, "reason")));
		if (!json_is_true(json_object_get(item, "in_contract")))
			printf("  %s", cli->chinese ? "未签约" : "no contract");
		putchar('\n');
	}
}

/* In the order of the lists, and of the residents in each: pages come resident by resident. */
static int compare(const void *a, const void *b)
{
	static const char *const keys[] = {"resident", "form"};
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = list_place(text(x, "list")) - list_place(text(y, "list"));
	for (size_t i = 0; i < ELEMENTS(keys) && !order; i++)
		order = strcmp(text(x, keys[i]), text(y, keys[i]));
	return order;
}

static void sort_items(json_t *items)
{
	size_t n = json_array_size(items);
	json_t **all = calloc(n + 1, sizeof(json_t *));
	for (size_t i = 0; all && i < n; i++)
		all[i] = json_incref(json_array_get(items, i));
	if (all) {
		qsort(all, n, sizeof(*all), compare);
		json_array_clear(items);
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, all[i]);
	}
	free(all);
}

/* All pages, as one. */
static int run_due(const struct words *w)
{
	if (w->n && day_read(w->word[0]) == DAY_NONE)
		return expected_day(w);
	json_t *items = json_array(), *reply = NULL, *result;
	char after[64] = "";
	do {
		json_decref(reply);
		reply = client_ask(w->cli, "due",
			json_pack("{s:s*,s:s*,s:i}", "day", w->n ? w->word[0] : NULL, "after",
				after[0] ? after : NULL, "limit", PAGE));
		result = client_result(w->cli, reply);
		const char *next = json_string_value(json_object_get(result, "next"));
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_array_extend(items, json_object_get(result, "items"));
	} while (result && after[0]);
	if (!result) { /* it was said why */
		json_decref(items);
		json_decref(reply);
		return 1;
	}
	sort_items(items);
	json_object_set_new(result, "items", items);
	json_object_del(result, "next");
	return words_show(w, reply, show_due);
}

static void show_kpi(const struct cli *cli, const json_t *result)
{
	static const char *const forms[] = {"htn", "t2dm", "copd", "elderly"};
	static const char *const counts[] = {"enrolled", "managed", "visits", "standard",
		"controlled", "in_contract", "age_unknown"};
	for (size_t i = 0; i < ELEMENTS(forms); i++) {
		const json_t *form = json_object_get(result, forms[i]);
		if (!form)
			continue;
		puts(name_of(NAME_BRIEF, forms[i], cli->chinese));
		for (size_t k = 0; k < ELEMENTS(counts); k++)
			if (json_object_get(form, counts[k]))
				printf("  %6lld  %s\n", number(form, counts[k]),
					name_of(NAME_RATE, counts[k], cli->chinese));
	}
}

static int run_kpi(const struct words *w)
{
	char day[16];
	const char *month = w->n ? w->word[0] : NULL;
	snprintf(day, sizeof(day), "%.10s-01", month ? month : "");
	if (month && (strlen(month) != 7 || day_read(day) == DAY_NONE))
		return words_expected(w, "expected a month: 2026-11", "月份应为 2026-11 的格式");
	return words_ask(w, "kpi", json_pack("{s:s*}", "month", month), show_kpi);
}

#define MORE_EN                                                                                    \
	"  open R htn|t2dm|elderly|copd [--way 1|2|3]\n"                                           \
	"  set VISIT|R KEY=VALUE... [--form F]   such as visit_way=1 complication=1\n"             \
	"  close VISIT|R [--form F]\n"                                                             \
	"  confirm VISIT|R [--form F] --by D     the resident's doctor, or a doctor of the team\n" \
	"  correct VISIT KEY=VALUE... --reason TEXT --by D\n"                                      \
	"  void VISIT REASON\n"                                                                    \
	"  elsewhere R FORM DAY [way= class= next_day= referral= institution= referral_result= by=]"
#define MORE_ZH                                                                                    \
	"  open 居民 htn|t2dm|elderly|copd [--way 1|2|3]   方式：1门诊 2家庭 3电话\n"   \
	"  set 编号|居民 项=值... [--form 表]      如 visit_way=1 complication=1\n"        \
	"  close 编号|居民 [--form 表]\n"                                                     \
	"  confirm 编号|居民 [--form 表] --by 医生  由责任医生或团队医生确认\n" \
	"  correct 编号 项=值... --reason 原因 --by 医生\n"                                \
	"  void 编号 原因\n"                                                                   \
	"  elsewhere 居民 表 日期 [way= class= next_day= referral= institution= referral_result= by=]"

const struct words_command visit_words[] = {
	{"visit", run_visit, 1, WORDS_MAX, WORDS_WAY | WORDS_FORM | WORDS_REASON | WORDS_BY,
		"open|set|close|confirm|correct|void|elsewhere ... [--by D]",
		"what a person opens, answers and confirms; visit --help\n" MORE_EN,
		"open|set|close|confirm|correct|void|elsewhere ... [--by 医生]",
		"随访的开始、填写、结束、确认、更正；visit --help\n" MORE_ZH},
	{"plan", run_plan, 3, 3, WORDS_BY, "R htn|t2dm|elderly|copd DAY", "when the next visit is",
		"居民 表 日期", "设定下次随访日期"},
	{"due", run_due, 0, 1, 0, "[DAY]", "who is to be seen, called or measured again", "[日期]",
		"待随访、待联系、待复测名单"},
	{"kpi", run_kpi, 0, 1, 0, "[YYYY-MM]", "the rates of a month, as counts", "[年-月]",
		"月度指标（仅计数）"},
	{0},
};
