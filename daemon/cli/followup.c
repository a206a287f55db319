/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The form of a visit as text: in the form's order, each field with who says so. What an instrument proposes, what was
 * confirmed and what a person answered are told apart by words, because colours are lost on paper.
 */
#include "util.h"
#include "words.h"

#include <time.h>
#include <wchar.h>

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

/* Columns on a terminal: a Chinese character takes two. */
static void cell(const char *t, int width)
{
	mbstate_t state = {0};
	int used = 0;
	for (const char *p = t; *p;) {
		wchar_t c;
		size_t n = mbrtowc(&c, p, strlen(p), &state);
		if (n == 0 || n > 4)
			break;
		int w = wcwidth(c);
		used += w > 0 ? w : 0;
		p += n;
	}
	fputs(t, stdout);
	for (; used < width; used++)
		putchar(' ');
	putchar(' ');
}

/* words */

struct word {
	const char *word, *en, *zh;
};

static const char *said(const struct cli *cli, const struct word *words, const char *word)
{
	for (const struct word *w = words; w->word; w++)
		if (streq(w->word, word))
			return say(cli, w->en, w->zh);
	return word;
}

static const struct word forms[] = {
	{"hypertension_followup_v3", "Hypertension follow-up", "高血压患者随访服务记录表"},
	{"t2dm_followup_v3", "Type 2 diabetes follow-up", "2型糖尿病患者随访服务记录表"},
	{"elderly_health_check_65plus", "Yearly check of the elderly", "老年人健康体检表"},
	{"copd_followup_2024plus", "COPD follow-up", "慢阻肺病患者随访服务记录表"}, {0}};

static const struct word states[] = {{"open", "open", "进行中"},
	{"closed", "closed, not confirmed", "已结束，未确认"}, {"confirmed", "confirmed", "已确认"},
	{"entered-in-error", "VOID", "已作废"}, {0}};

static const struct word notes[] = {{"single", "one measurement only", "仅测量一次"},
	{"third_needed", "measure a third time: the two differ too much",
		"两次相差过大，请测第三次"},
	{"beyond_range", "beyond the meter's range", "超出仪器量程"},
	{"derived", "computed", "计算值"}, {"from", "of an earlier day", "既往测量"}, {0}};

static const struct word whys[] = {
	{"answer_first", "answer complication and adverse reaction first",
		"请先填写并发症和药物不良反应"},
	{"answers_missing", "complication or adverse reaction not answered",
		"并发症或药物不良反应未填写"},
	{"age_unknown", "the age is not known well enough", "年龄不详，无法判定"},
	{"no_value", "no value of this visit", "本次无测量值"}, {0}};

static const struct word reasons[] = {{"bp_urgent", "pressure urgently high", "血压危急升高"},
	{"pregnant_bp", "pressure high in pregnancy or breastfeeding", "妊娠或哺乳期血压升高"},
	{"glucose_high", "glucose urgently high", "血糖危急升高"},
	{"glucose_low", "glucose low", "低血糖"},
	{"pregnant_glucose", "glucose high in pregnancy or breastfeeding", "妊娠或哺乳期血糖升高"},
	{"temperature", "fever", "发热"}, {"heart_rate", "heart rate high", "心率过快"},
	{"complication", "new or worse complication", "出现新的或加重的并发症"},
	{"adverse_twice", "adverse reaction twice", "连续两次药物不良反应"},
	{"not_controlled_twice", "not controlled twice", "连续两次控制不满意"}, {0}};

static const struct word classes[] = {{"1", "1 controlled", "1 控制满意"},
	{"2", "2 not controlled", "2 控制不满意"}, {"3", "3 adverse reaction", "3 不良反应"},
	{"4", "4 complication", "4 并发症"}, {0}};

static const struct word measures[] = {{"1", "1 follow up as usual", "1 常规随访"},
	{"2", "2 follow up again in two weeks", "2 两周内复访"},
	{"3", "3 refer, follow up in two weeks", "3 建议转诊，两周内随访"},
	{"4", "4 refer at once", "4 紧急转诊"}, {0}};

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
static void value_of(const json_t *field, char *out, size_t size)
{
	char systolic[24], diastolic[24], value[96];
	const char *comparator = text(field, "comparator"), *unit = text(field, "unit");
	number(json_object_get(field, "systolic"), systolic, sizeof(systolic));
	number(json_object_get(field, "diastolic"), diastolic, sizeof(diastolic));
	number(json_object_get(field, "value"), value, sizeof(value));
	if (text(field, "text")[0])
		snprintf(value, sizeof(value), "%s", text(field, "text"));
	else if (systolic[0] && diastolic[0])
		snprintf(value, sizeof(value), "%.20s/%.20s", systolic, diastolic);
	if (streq(unit, "mm[Hg]"))
		unit = "mmHg";
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

static void more_members(const json_t *evidence)
{
	const char *key;
	json_t *v;
	char value[64];
	json_object_foreach((json_t *)evidence, key, v)
	{
		number(v, value, sizeof(value));
		if (value[0])
			printf(" %s=%s", key, value);
	}
}

/* What it rests on: readings, a rule, an earlier day. */
static void show_evidence(const struct cli *cli, const json_t *field)
{
	static const char *const shown[] = {"note", "from", "origin", "rule"};
	size_t i;
	const json_t *id, *evidence = json_object_get(field, "evidence");
	for (size_t k = 0; k < ELEMENTS(shown); k++)
		if (text(field, shown[k])[0])
			printf(" %s", said(cli, notes, text(field, shown[k])));
	json_array_foreach(json_object_get(field, "readings"), i, id)
	{
		const char *t = json_string_value(id);
		printf("%s%.8s", i ? " " : say(cli, " from ", " 依据 "), t ? t : "");
	}
	if (json_is_object(evidence))
		more_members(evidence);
	else if (json_is_string(evidence))
		printf(" %s", json_string_value(evidence));
}

static void show_field(const struct cli *cli, const json_t *field, bool confirmed)
{
	char value[160];
	const char *label = text(field, cli->chinese ? "zh" : "en");
	fputs("  ", stdout);
	cell(*label ? label : text(field, "key"), LABEL_COLUMNS);
	value_of(field, value, sizeof(value));
	if (json_is_true(json_object_get(field, "filled")) && value[0]) {
		cell(value, VALUE_COLUMNS);
		fputs(mark(cli, field, confirmed), stdout);
	} else {
		fputs("____", stdout);
	}
	show_evidence(cli, field);
	putchar('\n');
}

static void line(const struct cli *cli, const char *en, const char *zh, const char *value)
{
	fputs("  ", stdout);
	cell(say(cli, en, zh), LABEL_COLUMNS);
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
	const char *why = said(cli, whys, text(p, "class_why"));
	snprintf(goal, sizeof(goal), "%s",
		!yes		    ? ""
		: streq(yes, "yes") ? say(cli, "yes", "达标")
		: streq(yes, "no")  ? say(cli, "no", "未达标")
				    : say(cli, "not known", "无法判定"));
	json_array_foreach(json_object_get(p, "referrals"), i, reason)
	{
		const char *r = json_string_value(
			json_is_object(reason) ? json_object_get(reason, "reason") : reason);
		size_t at = strlen(list);
		snprintf(list + at, sizeof(list) - at, "%s%s", i ? say(cli, ", ", "、") : "",
			r ? said(cli, reasons, r) : "");
	}
	line(cli, "At goal", "是否达标", goal);
	char classified[256];
	snprintf(classified, sizeof(classified), *why ? say(cli, "%s (%s)", "%s（%s）") : "%s",
		*class ? said(cli, classes, class) : "____", why);
	line(cli, "Class of this visit", "此次随访分类", classified);
	line(cli, "Referral", "转诊", list);
	line(cli, "Next measure", "下一步管理措施", said(cli, measures, measure));
	line(cli, "Next visit", "下次随访日期", text(p, "next_visit_date"));
}

static void show_form(const struct cli *cli, const json_t *result, const json_t *form, bool visit)
{
	const char *state = text(form, "state");
	bool confirmed = streq(state, "confirmed");
	const json_t *field;
	size_t i;
	char way[24];
	number(json_object_get(form, "way"), way, sizeof(way));
	printf("%s  %s", text(result, "resident"), said(cli, forms, text(form, "form")));
	if (visit)
		printf("  %s  %s  [%s] %.8s", text(form, "day"),
			*way ? streq(way, "1")	  ? say(cli, "in the clinic", "门诊")
				: streq(way, "2") ? say(cli, "at home", "家庭")
						  : say(cli, "by phone", "电话")
			     : say(cli, "how it is held: ____", "随访方式：____"),
			said(cli, states, state), text(form, "id"));
	else
		printf("  %s", say(cli, "no visit is open: these are the latest known values",
				       "未开始随访：以下为最近已知值"));
	putchar('\n');
	json_array_foreach(json_object_get(form, "fields"), i, field)
	{
		const json_t *latest = json_object_get(field, "latest");
		if (visit || !json_is_object(latest)) {
			show_field(cli, field, confirmed);
			continue;
		}
		char value[160];
		fputs("  ", stdout);
		cell(text(field, cli->chinese ? "zh" : "en"), LABEL_COLUMNS);
		fputs("____  ", stdout);
		value_of(latest, value, sizeof(value));
		printf(say(cli, "(latest %s, %s)\n", "（最近：%s，%s）\n"), value,
			text(latest, "day")[0] ? text(latest, "day") : text(latest, "taken"));
	}
	if (visit)
		show_proposed(cli, json_object_get(form, "proposed"), confirmed);
}

static void show_followup(const struct cli *cli, const json_t *result)
{
	size_t i;
	const json_t *form;
	puts(say(cli,
		"[proposed] from instruments; [answered] by a person; [confirmed] by the doctor; ____ open",
		"〔建议〕由设备建议；〔本人填写〕由人员填写；〔已确认〕由医生确认；____ 待填写"));
	json_array_foreach(json_object_get(result, "visits"), i, form)
		show_form(cli, result, form, true);
	json_array_foreach(json_object_get(result, "forms"), i, form)
		show_form(cli, result, form, false);
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

const struct words_command followup_commands[] = {
	{"followup", run_followup, 1, 1, WORDS_FORM | WORDS_TEXT,
		"R [--form htn|t2dm|elderly|copd] [--json|--text]", "the form as it stands",
		"居民 [--form htn|t2dm|elderly|copd] [--json|--text]", "随访表现状"},
	{0},
};
