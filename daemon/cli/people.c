/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Residents as the roster has them: who is expected today, whose card it is, and what happened to somebody. */
#include "alert_say.h"
#include "codes.h"
#include "csv.h"
#include "day.h"
#include "names.h"
#include "util.h"
#include "words.h"

/* A word of the daemon's, of which a member of this name is one; what is none is shown as it is. */
static const char *word_of(const struct cli *cli, const char *key, const char *word)
{
	static const struct {
		const char *key;
		enum name list;
	} words[] = {{"state", NAME_RESIDENT}, {"state", NAME_LIMIT}, {"sex", NAME_SEX},
		{"programmes", NAME_TRAIT}, {"populations", NAME_TRAIT}, {"conditions", NAME_TRAIT},
		{"setting", NAME_TRAIT}, {"role", NAME_STAFF}, {"hours", NAME_STAFF}};
	const char *said = word;
	if (streq(key, "kind"))
		return name_kind(cli, word);
	if (streq(key, "severity"))
		return alert_say(SAY_SEVERITY, word, cli->chinese);
	for (size_t i = 0; i < ELEMENTS(words) && said == word; i++)
		if (streq(words[i].key, key))
			said = name_of(words[i].list, word, cli->chinese);
	return said;
}

static void show_value(const struct cli *cli, const char *key, const json_t *v)
{
	size_t i;
	const char *name;
	json_t *part;
	bool any = false;
	if (json_is_string(v))
		fputs(word_of(cli, key, json_string_value(v)), stdout);
	else if (json_is_boolean(v))
		fputs(cli->chinese	  ? json_is_true(v) ? "是" : "否"
			: json_is_true(v) ? "yes"
					  : "no",
			stdout);
	else if (json_is_number(v))
		printf("%.10g", json_number_value(v));
	else if (streq(key, "age") && json_equal(json_array_get(v, 0), json_array_get(v, 1)))
		show_value(cli, "", json_array_get(v, 0));
	else if (json_is_array(v))
		json_array_foreach((json_t *)v, i, part)
		{
			fputs(!i ? "" : streq(key, "age") ? "-" : "; ", stdout);
			show_value(cli, key, part);
		}
	else if (json_object_get(v, "zh")) /* a sentence */
		fputs(show_text(v, cli->chinese ? "zh" : "en"), stdout);
	else
		json_object_foreach((json_t *)v, name, part)
		{
			if (json_is_null(part))
				continue;
			printf("%s%s ", any ? "  " : "", name_of(NAME_MEMBER, name, cli->chinese));
			show_value(cli, name, part);
			any = true;
		}
}

/* A reply, member by member; what is empty says nothing. */
static void show_members(const struct cli *cli, const json_t *result)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)result, key, v)
	{
		const char *t = json_string_value(v);
		bool empty = json_is_null(v) || (t && !*t) ||
			     ((json_is_array(v) || json_is_object(v)) && !json_array_size(v) &&
				     !json_object_size(v));
		if (empty)
			continue;
		printf("%s: ", name_of(NAME_MEMBER, key, cli->chinese));
		show_value(cli, key, v);
		putchar('\n');
	}
}

/* today's list */

/* "R-0001", "R-0001@08:30". */
static json_t *booked_word(const char *word)
{
	const char *at = strchr(word, '@');
	return json_pack("{s:s%,s:s*}", "resident", word, at ? (size_t)(at - word) : strlen(word),
		"at", at ? at + 1 : NULL);
}

/* The rows of a table with a column "resident" (or "token", as the roster calls it), and perhaps "at" and "purpose". */
static json_t *booked_file(const char *path)
{
	struct csv csv;
	char error[300];
	int rc = csv_open_file(&csv, path, error, sizeof(error));
	if (rc < 0) {
		fprintf(stderr, "vitalgate: %s\n", error);
		return NULL;
	}
	json_t *list = json_array();
	while ((rc = csv_row(&csv, error, sizeof(error))) > 0) {
		const char *who = csv_get(&csv, "resident");
		const char *at = csv_get(&csv, "at"), *purpose = csv_get(&csv, "purpose");
		who = who ? who : csv_get(&csv, "token");
		if (!who || !*who)
			break;
		json_array_append_new(list,
			json_pack("{s:s,s:s*,s:s*}", "resident", who, "at", at && *at ? at : NULL,
				"purpose", purpose && *purpose ? purpose : NULL));
	}
	if (rc > 0)
		snprintf(error, sizeof(error), "%s:%u: expected a resident in column \"resident\"",
			path, csv.line);
	csv_close(&csv);
	if (rc == 0)
		return list;
	fprintf(stderr, "vitalgate: %s\n", error);
	json_decref(list);
	return NULL;
}

static int run_book(const struct words *w)
{
	bool file = w->n == 2 && strlen(w->word[1]) > 4 && strstr(w->word[1], ".csv");
	json_t *list = file ? booked_file(w->word[1]) : json_array();
	if (!list)
		return 1;
	if (w->day && day_read(w->day) == DAY_NONE) {
		json_decref(list);
		return words_expected(
			w, "expected a day: 2026-11-21", "日期应为 2026-11-21 的格式");
	}
	for (int i = 1; i < w->n && !file; i++)
		json_array_append_new(list, booked_word(w->word[i]));
	return words_ask(w, "book",
		json_pack(
			"{s:s,s:s*,s:o}", "station", w->word[0], "day", w->day, "residents", list),
		show_members);
}

/* cards */

/* The number is read from standard input: a command line is seen by everybody. */
static int run_card(const struct words *w)
{
	char *line =
		words_line(w, "Hold the card to the reader, or type its number and press Enter.",
			"请刷卡，或手工输入卡号后按回车。");
	if (!line)
		return 1;
	json_t *args = json_pack("{s:s,s:s}", "resident", w->word[0], "card", line);
	free(line);
	return words_ask(w, "card", args, NULL);
}

/* what happened to somebody */

static int run_merge(const struct words *w)
{
	return words_ask(w, "merge",
		json_pack("{s:s,s:s}", "resident", w->word[0], "into", w->word[1]), NULL);
}

/* died, moved, withdraw ...: of whom, and since when. */
static int run_left(const struct words *w)
{
	if (w->n == 2 && day_read(w->word[1]) == DAY_NONE)
		return words_expected(
			w, "expected a day: 2026-11-21", "日期应为 2026-11-21 的格式");
	json_t *args = json_pack("{s:s}", "resident", w->word[0]);
	if (args && w->n == 2)
		words_put(args, "on", w->word[1]);
	return words_ask(w, w->command->name, args, NULL);
}

static int run_erase(const struct words *w)
{
	_cleanup_(freep) char *reason = words_joined(w, 1);
	return words_ask(w, "erase",
		json_pack("{s:s,s:s}", "resident", w->word[0], "reason", reason ? reason : ""),
		show_members);
}

/* "D-0001=doctor", "N-0001=nurse,08:00-17:00". */
static json_t *member_of(const char *word)
{
	char member[64];
	const char *role = words_pair(word, member, sizeof(member));
	const char *hours = role ? strchr(role, ',') : NULL;
	if (!role || !*role)
		return NULL;
	return json_pack("{s:s,s:s%,s:s*}", "member", member, "role", role,
		hours ? (size_t)(hours - role) : strlen(role), "hours", hours ? hours + 1 : NULL);
}

static int run_team(const struct words *w)
{
	json_t *args = json_pack("{s:s}", "team", w->word[0]), *members = json_array();
	bool good = true;
	for (int i = 1; i < w->n; i++) {
		json_t *member = member_of(w->word[i]);
		good &= member != NULL;
		json_array_append_new(members, member);
	}
	if (args && w->n > 1)
		json_object_set(args, "members", members);
	json_decref(members);
	if (good)
		return words_ask(w, "team", args, show_members);
	json_decref(args);
	return words_expected(w,
		"expected members such as D-0001=doctor, or N-0001=nurse,08:00-17:00",
		"成员格式应为 D-0001=doctor 或 N-0001=nurse,08:00-17:00");
}

/* "age: [60,64]": a goal that depends on it may stay open. */
static void show_resident(const struct cli *cli, const json_t *result)
{
	const json_t *age = json_object_get(result, "age");
	show_members(cli, result);
	if (json_array_size(age) == 2 &&
		!json_equal(json_array_get(age, 0), json_array_get(age, 1)))
		puts(cli->chinese ? "年龄仅知范围：随访目标可能无法判定"
				  : "the age is known as a range only: a goal may stay open");
}

static int run_resident(const struct words *w)
{
	return words_ask(w, "resident", json_pack("{s:s}", "resident", w->word[0]), show_resident);
}

/* "bp.sbp at_least 150 warning", perhaps with "pending"; "bp.sbp at_least ended". */
static void show_limit_words(const struct cli *cli, const char *text)
{
	char kind[32], side[16], value[32], word[2][16] = {"", ""};
	if (sscanf(text, "%31s %15s %31s %15s %15s", kind, side, value, word[0], word[1]) < 3) {
		puts(text);
		return;
	}
	const struct code *code = name_code(cli, kind);
	const char *unit = name_unit(cli, code ? code->ucum : "");
	bool number = strspn(value, "-0123456789.") == strlen(value);
	printf("%s %s%s%s", name_kind(cli, kind), alert_say(SAY_OP, side, cli->chinese),
		cli->chinese && !number ? " " : "",
		number ? value : name_of(NAME_LIMIT, value, cli->chinese));
	if (number && *unit)
		printf("%s%s", streq(unit, "%") ? "" : " ", unit);
	for (size_t i = 0; i < ELEMENTS(word) && *word[i]; i++)
		printf(" %s", alert_word(SAY_SEVERITY, word[i])
				      ? alert_say(SAY_SEVERITY, word[i], cli->chinese)
				      : name_of(NAME_LIMIT, word[i], cli->chinese));
	putchar('\n');
}

static void show_limit(const struct cli *cli, const json_t *result)
{
	const json_t *next = json_object_get(result, cli->chinese ? "next_zh" : "next_en");
	printf("%s  ", show_text(result, "resident"));
	show_limit_words(cli, show_text(result, "limit"));
	if (next) /* it waits for another doctor */
		puts(json_string_value(next));
}

/* "bp.sbp at_least 150 warning --day 2026-12-31 --reason TEXT"; "bp.sbp at_least end"; a second doctor's
 * "bp.sbp at_least 190 confirm". */
static int run_limit(const struct words *w)
{
	const char *side = w->word[2], *value = w->word[3];
	bool end = streq(value, "end"), confirm = w->n == 5 && streq(w->word[4], "confirm");
	if ((!streq(side, "at_least") && !streq(side, "at_most")) || (!end && w->n != 5))
		return words_expected(w, NULL, NULL);
	json_t *args = json_pack("{s:s,s:s,s:s}", "resident", w->word[0], "kind", w->word[1], side,
		end ? "0" : value);
	if (args && end)
		json_object_set_new(args, "end", json_true());
	if (args && confirm)
		json_object_set_new(args, "confirm", json_true());
	if (args && !end && !confirm) {
		words_put(args, "severity", w->word[4]);
		words_put(args, "until", w->day);
		words_put(args, "reason", w->reason);
	}
	return words_ask(w, "limit", args, show_limit);
}

/* It may be a name, and a command line is seen by everybody. */
static int run_label(const struct words *w)
{
	bool off = w->n == 2 && streq(w->word[1], "-");
	if (w->n == 2 && !off)
		return words_expected(w, NULL, NULL);
	_cleanup_(freep) char *line =
		off ? strdup("")
		    : words_line(w, "Type what the console shall show and press Enter.",
			      "请输入控制台上显示的标签后按回车。");
	if (!line)
		return 1;
	return words_ask(
		w, "label", json_pack("{s:s,s:s}", "resident", w->word[0], "label", line), NULL);
}

static int run_release(const struct words *w)
{
	return words_ask(w, "roster_release", json_object(), NULL);
}

const struct words_command people_words[] = {
	{"resident", run_resident, 1, 1, 0, "R", "what the roster says", "居民", "名册内容"},
	{"book", run_book, 2, WORDS_MAX, WORDS_DAY | WORDS_BY,
		"STATION FILE.csv|R[@08:30]... [--day D]",
		"who is expected today; replaces the list",
		"工位 文件.csv|居民[@08:30]... [--day 日期]", "今日预约名单（整体替换）"},
	{"card", run_card, 1, 1, WORDS_BY, "R|-",
		"whose card it is; its number comes from the reader", "居民",
		"登记居民卡，卡号由读卡器输入"},
	{"team", run_team, 1, 60, WORDS_BY, "TEAM [MEMBER=ROLE[,HOURS]...]",
		"a team and its roles: shows them, or replaces them", "团队 [成员=角色[,时间]...]",
		"团队成员及角色（查看或整体替换）"},
	{"merge", run_merge, 2, 2, WORDS_BY, "R INTO", "two records of one resident", "居民 并入",
		"合并同一居民的两份档案"},
	{"died", run_left, 1, 2, WORDS_BY, "R [DAY]", "the resident died", "居民 [日期]",
		"居民死亡"},
	{"moved", run_left, 1, 2, WORDS_BY, "R [DAY]", "the resident moved away", "居民 [日期]",
		"居民迁出"},
	{"withdraw", run_left, 1, 2, WORDS_BY, "R [DAY]",
		"consent was withdrawn: nothing is filed any more", "居民 [日期]",
		"撤回同意：不再归档"},
	{"consent", run_left, 1, 2, WORDS_BY, "R [DAY]", "consent was given again", "居民 [日期]",
		"重新同意"},
	{"returned", run_left, 1, 2, WORDS_BY, "R [DAY]",
		"the resident came back, or was never gone or dead", "居民 [日期]",
		"居民迁回，或误登记迁出、死亡"},
	{"limit", run_limit, 4, 5, WORDS_BY | WORDS_DAY | WORDS_REASON,
		"R KIND at_least|at_most VALUE|end critical|warning|confirm --day UNTIL --reason TEXT --by "
		"D",
		"a doctor's own limit for this resident; a looser one is confirmed by a second doctor\n"
		"  vitalgate limit R-0001 bp.sbp at_least 150 warning --day 2026-12-31 --reason "
		"\"kidneys\" --by D-0001",
		"居民 项目 at_least|at_most 数值|end critical|warning|confirm --day 截止日 --reason 原因 "
		"--by 医生",
		"医生设定的个人限值；放宽须由第二位医生确认\n"
		"  vitalgate limit R-0001 bp.sbp at_least 150 warning --day 2026-12-31 --reason "
		"\"肾病\" --by D-0001"},
	{"label", run_label, 1, 2, WORDS_BY, "R [-]",
		"what this console shows beside the token; read from standard input (-: take it away)",
		"居民 [-]", "本机显示的标签，从标准输入读取（-：删除）"},
	{"roster-release", run_release, 0, 0, WORDS_BY, "",
		"the platform no longer keeps the roster: tables can be imported again", "",
		"收回名册：平台不再管理，可重新导入"},
	{"erase", run_erase, 2, WORDS_MAX, WORDS_BY, "R REASON",
		"erases what is stored of a resident, with a report", "居民 原因",
		"删除居民全部数据并给出报告"},
	{0},
};
