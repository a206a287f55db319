/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The form of a visit as text: in the form's order, each field with who says so. What an instrument proposes, what was
 * confirmed and what a person answered are told apart by words, because colours are lost on paper.
 */
#include "annotation.h"
#include "names.h"
#include "util.h"
#include "words.h"

#include <time.h>

#define LABEL_COLUMNS 46
#define VALUE_COLUMNS 18

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));
	return t ? t : "";
}

static const char *say(const struct cli *cli, const char *en, const char *zh)
{
	return cli->chinese ? zh : en;
}

static const char *said(const struct cli *cli, enum name list, const char *word)
{
	return name_of(list, word, cli->chinese);
}

/* fields */

static void number(const json_t *v, char *out, size_t size)
{
	if (json_is_string(v))
		snprintf(out, size, "%s", json_string_value(v));
	else if (json_is_number(v))
		snprintf(out, size, "%.10g", json_number_value(v));
	else
		out[0] = 0;
}

/* As the proposal writes it; "text" is what stands on the form. */
static void value_of(const struct cli *cli, const json_t *field, char *out, size_t size)
{
	char systolic[24], diastolic[24], value[96];
	const char *comparator = text(field, "comparator"),
		   *unit = name_unit(cli, text(field, "unit"));
	number(json_object_get(field, "systolic"), systolic, sizeof(systolic));
	number(json_object_get(field, "diastolic"), diastolic, sizeof(diastolic));
	number(json_object_get(field, "value"), value, sizeof(value));
	if (text(field, "text")[0])
		snprintf(value, sizeof(value), "%s", text(field, "text"));
	else if (systolic[0] && diastolic[0])
		snprintf(value, sizeof(value), "%.20s/%.20s", systolic, diastolic);
	snprintf(out, size, "%s%s%s%s", strstr(value, comparator) == value ? "" : comparator, value,
		*unit && *value ? " " : "", *value ? unit : "");
}

/* Who says so. A confirmed form is a person's as a whole; what that person typed stays told apart. */
static const char *mark(const struct cli *cli, const json_t *field, bool confirmed)
{
	if (streq(text(field, "by"), "person"))
		return say(cli, "[answered]", "〔本人填写〕");
	if (confirmed)
		return say(cli, "[confirmed]", "〔已确认〕");
	return say(cli, "[proposed]", "〔建议〕");
}

/* "1 无": the form's own words for a number that somebody chose. They are Chinese, as the form is. */
static void choice_of(const struct cli *cli, const json_t *field, char *value, size_t size)
{
	const char *choices = text(field, "choices");
	size_t n = strlen(value);
	for (const char *p = choices; cli->chinese && n == 1 && *p;
		p += strcspn(p, " ") + (strchr(p, ' ') != NULL))
		if (*p == *value && (uint8_t)p[1] >= 0x80) {
			snprintf(value + 1, size - 1, " %.*s", (int)strcspn(p + 1, " "), p + 1);
			return;
		}
}

/* what a field rests on, and what stands beside it */

static void show_readings_of(const struct cli *cli, const json_t *of)
{
	size_t i;
	const json_t *id;
	json_array_foreach(json_object_get(of, "readings"), i, id)
	{
		const char *t = json_string_value(id);
		printf("%s%.8s", i ? " " : say(cli, "  from ", "  依据 "), t ? t : "");
	}
}

static const char *arm_of(const struct cli *cli, const char *arm)
{
	const char *said = annotation_say(arm, cli->chinese);
	if (streq(arm, "not_annotated"))
		return say(cli, "arm not said", "未注明");
	return said ? said : arm;
}

/* Both arms, when both were measured: only one of them stands on the form. */
static void show_arms(const struct cli *cli, const json_t *arms)
{
	size_t i;
	const json_t *arm;
	char value[64];
	json_array_foreach(arms, i, arm)
	{
		value_of(cli, arm, value, sizeof(value));
		if (json_array_size(arms) > 1)
			printf("  %s %s", arm_of(cli, text(arm, "arm")), value);
	}
}

static void show_week(const struct cli *cli, const json_t *week)
{
	char value[64];
	value_of(cli, week, value, sizeof(value));
	if (*value)
		printf(say(cli, "  at home %s..%s: %s, %s", "  家庭血压 %s 至 %s：%s，%s"),
			text(week, "from"), text(week, "to"), value,
			said(cli, NAME_VERDICT, text(week, "verdict")));
}

static void show_hypo(const struct cli *cli, const json_t *hypo)
{
	char lowest[32], episodes[32];
	number(json_object_get(hypo, "episodes"), episodes, sizeof(episodes));
	number(json_object_get(hypo, "lowest"), lowest, sizeof(lowest));
	if (*episodes)
		printf(say(cli, "  low %s times since %s, lowest %s",
			       "  %s 次低血糖（自 %s），最低 %s"),
			episodes, text(hypo, "since"), lowest);
}

static void show_beyond(const struct cli *cli, const json_t *beyond)
{
	size_t i;
	const json_t *v;
	char value[64];
	json_array_foreach(beyond, i, v)
	{
		value_of(cli, v, value, sizeof(value));
		printf("  %s", value);
	}
}

/* What the rules say where a person said something else, or has still to say it. */
static void show_other(const struct cli *cli, const json_t *field, const json_t *proposed)
{
	char value[160] = "";
	enum name words = streq(text(field, "key"), "classification")  ? NAME_CLASS
			  : streq(text(field, "key"), "next_measures") ? NAME_MEASURE
								       : NAME_REFERRAL;
	if (json_is_object(proposed))
		value_of(cli, proposed, value, sizeof(value));
	else if (!json_is_array(proposed))
		number(proposed, value, sizeof(value));
	if (value[0])
		printf("  %s %s", say(cli, "[proposed]", "〔建议〕"), said(cli, words, value));
}

static void show_evidence(const struct cli *cli, const json_t *field, bool proposes)
{
	const json_t *evidence = json_object_get(field, "evidence");
	if (text(field, "note")[0])
		printf("  %s", said(cli, NAME_FILL, text(field, "note")));
	if (text(field, "from")[0])
		printf(say(cli, "  of %s", "  测于 %s"), text(field, "from"));
	if (text(field, "origin")[0])
		printf("  %s", name_kind(cli, text(field, "origin")));
	show_readings_of(cli, field);
	show_arms(cli, json_object_get(evidence, "arms"));
	show_week(cli, json_object_get(evidence, "home_week"));
	show_hypo(cli, json_object_get(evidence, "hypo"));
	show_beyond(cli, json_object_get(evidence, "beyond_range"));
	if (proposes)
		show_other(cli, field, json_object_get(evidence, "proposed"));
}

/* As the daemon says it, when it does. */
static const char *kind_of(const struct cli *cli, const json_t *of, const char *kind)
{
	return cli->chinese && text(of, "zh")[0] ? text(of, "zh") : name_kind(cli, kind);
}

/* Results of a field that takes several, each with its day. */
static void show_items(const struct cli *cli, const json_t *items)
{
	size_t i;
	const json_t *item;
	char value[64];
	json_array_foreach(items, i, item)
	{
		value_of(cli, item, value, sizeof(value));
		fputs("    ", stdout);
		show_cell(kind_of(cli, item, text(item, "kind")), LABEL_COLUMNS - 2);
		show_cell(value, VALUE_COLUMNS);
		printf("%s  %.8s\n", text(item, "day"), text(item, "reading"));
	}
}

/* Class and measures are confirmed as they were proposed, unless somebody answered them. */
static bool decided(const struct cli *cli, const json_t *field, char *value, size_t size)
{
	const json_t *proposed = json_object_get(json_object_get(field, "evidence"), "proposed");
	enum name words = streq(text(field, "key"), "classification") ? NAME_CLASS : NAME_MEASURE;
	char n[24];
	if (!json_is_integer(proposed))
		return false;
	number(proposed, n, sizeof(n));
	snprintf(value, size, "%s", said(cli, words, n));
	return true;
}

static void show_field(const struct cli *cli, const json_t *field, bool confirmed)
{
	char value[160];
	const char *label = text(field, cli->chinese ? "zh" : "en");
	bool filled = json_is_true(json_object_get(field, "filled"));
	fputs("  ", stdout);
	show_cell(*label ? label : text(field, "key"), LABEL_COLUMNS);
	value_of(cli, field, value, sizeof(value));
	choice_of(cli, field, value, sizeof(value));
	if (confirmed && !filled)
		filled = decided(cli, field, value, sizeof(value));
	if (filled && value[0])
		show_cell(value, VALUE_COLUMNS);
	fputs(filled ? mark(cli, field, confirmed) : "____", stdout);
	/* once it is confirmed, what might have been said instead is history */
	show_evidence(cli, field, !confirmed);
	putchar('\n');
	show_items(cli, json_object_get(field, "items"));
}

static void line(const struct cli *cli, const char *en, const char *zh, const char *value)
{
	fputs("  ", stdout);
	show_cell(say(cli, en, zh), LABEL_COLUMNS);
	puts(*value ? value : "____");
}

/* What follows from the values, and why it does or does not. */
static void show_proposed(const struct cli *cli, const json_t *p, bool confirmed)
{
	char class[24], measure[24], goal[160], list[400] = "";
	const json_t *at_goal = json_object_get(p, "at_goal"), *reason;
	size_t i;
	if (!json_is_object(p))
		return;
	puts(confirmed ? say(cli, "  -- as confirmed --", "  —— 确认结果 ——")
		       : say(cli, "  -- proposed, not confirmed --", "  —— 建议，未确认 ——"));
	number(json_object_get(p, "class"), class, sizeof(class));
	number(json_object_get(p, "measures"), measure, sizeof(measure));
	const char *yes = json_is_true(at_goal)	   ? "yes"
			  : json_is_false(at_goal) ? "no"
						   : json_string_value(at_goal);
	const char *why = said(cli, NAME_WHY, text(p, "class_why"));
	snprintf(goal, sizeof(goal), "%s",
		!yes		    ? ""
		: streq(yes, "yes") ? say(cli, "yes", "达标")
		: streq(yes, "no")  ? say(cli, "no", "未达标")
				    : say(cli, "not known", "无法判定"));
	const char *unknown = said(cli, NAME_WHY, text(p, "goal_why"));
	if (yes && *unknown)
		snprintf(goal + strlen(goal), sizeof(goal) - strlen(goal),
			say(cli, " (%s)", "（%s）"), unknown);
	json_array_foreach(json_object_get(p, "referrals"), i, reason)
	{
		const char *r = json_string_value(
			json_is_object(reason) ? json_object_get(reason, "reason") : reason);
		size_t at = strlen(list);
		snprintf(list + at, sizeof(list) - at, "%s%s", i ? say(cli, ", ", "、") : "",
			r ? said(cli, NAME_REFERRAL, r) : "");
	}
	line(cli, "At goal", "是否达标", goal);
	char classified[256];
	snprintf(classified, sizeof(classified), *why ? say(cli, "%s (%s)", "%s（%s）") : "%s",
		*class ? said(cli, NAME_CLASS, class) : "____", why);
	line(cli, "Class of this visit", "此次随访分类", classified);
	line(cli, "Referral", "转诊", list);
	line(cli, "Next measure", "下一步管理措施", said(cli, NAME_MEASURE, measure));
	line(cli, "Next visit", "下次随访日期", text(p, "next_visit_date"));
}

static void show_visit(const struct cli *cli, const json_t *result, const json_t *visit)
{
	bool confirmed = streq(text(visit, "state"), "confirmed");
	const json_t *field;
	size_t i;
	char way[24];
	number(json_object_get(visit, "way"), way, sizeof(way));
	show_who(cli, result);
	printf("  %s  %s  %s  [%s%s] %.8s\n", said(cli, NAME_FORM, text(visit, "form")),
		text(visit, "day"), said(cli, NAME_WAY, way),
		said(cli, NAME_VISIT, text(visit, "state")),
		streq(text(visit, "origin"), "elsewhere") ? say(cli, ", elsewhere", "，外机构")
							  : "",
		text(visit, "id"));
	json_array_foreach(json_object_get(visit, "fields"), i, field)
		show_field(cli, field, confirmed);
	show_proposed(cli, json_object_get(visit, "proposed"), confirmed);
}

/* Nobody opened a visit of this form: what is known stands here, and fills nothing. */
static void show_blank(const struct cli *cli, const json_t *form)
{
	const char *kind;
	json_t *v;
	char value[64];
	printf("%s  %s\n", said(cli, NAME_FORM, text(form, "form")),
		say(cli, "no visit is open; the latest known values, which fill nothing:",
			"未开始随访；以下为最近已知值，不填入表格："));
	json_object_foreach(json_object_get(form, "latest"), kind, v)
	{
		value_of(cli, v, value, sizeof(value));
		fputs("    ", stdout);
		show_cell(kind_of(cli, v, kind), LABEL_COLUMNS - 2);
		show_cell(value, VALUE_COLUMNS);
		puts(text(v, "day"));
	}
}

static void show_followup(const struct cli *cli, const json_t *result)
{
	size_t i;
	const json_t *of;
	puts(say(cli,
		"[proposed] from instruments; [answered] by a person; [confirmed] by the doctor; ____ open",
		"〔建议〕由设备建议；〔本人填写〕由人员填写；〔已确认〕由医生确认；____ 待填写"));
	json_array_foreach(json_object_get(result, "visits"), i, of) show_visit(cli, result, of);
	json_array_foreach(json_object_get(result, "forms"), i, of) show_blank(cli, of);
}

static int run_followup(const struct words *w)
{
	static const char *const known[] = {"htn", "t2dm", "elderly", "copd"};
	bool good = !w->form;
	for (size_t i = 0; i < ELEMENTS(known); i++)
		good |= w->form && streq(w->form, known[i]);
	if (!good)
		return words_expected(w, "expected a form: htn, t2dm, elderly or copd",
			"随访表应为 htn（高血压）、t2dm（2型糖尿病）、elderly（老年人体检）或 copd（慢阻肺）");
	return words_ask(w, "followup",
		json_pack("{s:s,s:s*}", "resident", w->word[0], "form", w->form), show_followup);
}

const struct words_command followup_words[] = {
	{"followup", run_followup, 1, 1, WORDS_FORM | WORDS_TEXT,
		"R [--form htn|t2dm|elderly|copd] [--json|--text]", "the form as it stands",
		"居民 [--form htn|t2dm|elderly|copd] [--json|--text]", "随访表现状"},
	{0},
};
