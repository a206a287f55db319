/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is at a station, and what persons do to readings. */
#include "annotation.h"
#include "names.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <time.h>

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));
	return t ? t : "-";
}

/* stations */

static void show_purpose(const struct cli *cli, const json_t *of)
{
	printf(cli->chinese ? "（%s）" : " (%s)",
		name_of(NAME_PURPOSE, text(of, "purpose"), cli->chinese));
}

/* "desk-1: R-0001 (follow-up) visit hypertension 1a2b3c4d" */
static void show_checkin(const struct cli *cli, const json_t *result)
{
	const char *form, *resident = json_string_value(json_object_get(result, "resident"));
	json_t *visit;
	printf("%s: ", text(result, "station"));
	show_who(cli, result);
	if (resident && json_object_get(result, "purpose"))
		show_purpose(cli, result);
	json_object_foreach(json_object_get(result, "visits"), form, visit)
	{
		const char *id = json_string_value(visit);
		printf(" %s %s %.8s", cli->chinese ? "随访" : "visit",
			name_of(NAME_BRIEF, form, cli->chinese), id ? id : "");
	}
	putchar('\n');
}

/* What a reader typed: the number of a card stays out of the list of processes and of the shell's history. */
static int checkin_by_reader(const struct words *w, json_t *args)
{
	char *line = words_line(w, "Hold it to the reader, or type it and press Enter.",
		"请刷卡或扫码，也可手工输入后按回车。");
	if (line)
		words_put(args, w->card ? "card" : "resident", line);
	free(line);
	return line ? 0 : -1;
}

static int run_checkin(const struct words *w)
{
	json_t *args = json_pack("{s:s}", "station", w->word[0]);
	bool alone = w->purpose || w->way || w->card || w->barcode || w->instead || w->n > 1;
	if (w->undo ? alone : w->n < 2 && !w->card && !w->barcode) {
		json_decref(args);
		return words_expected(w, NULL, NULL);
	}
	if (w->n > 1)
		words_put(args, "resident", w->word[1]);
	else if (!w->undo && checkin_by_reader(w, args) < 0) {
		json_decref(args);
		return 1;
	}
	words_put(args, "source", w->card ? "card" : w->barcode ? "barcode" : NULL);
	words_put(args, "purpose", w->purpose);
	words_put(args, "way", w->way);
	if (w->instead)
		json_object_set_new(args, "instead", json_true());
	if (w->undo)
		json_object_set_new(args, "undo", json_true());
	return words_ask(w, "checkin", args, show_checkin);
}

static int run_checkout(const struct words *w)
{
	return words_ask(w, "checkout", json_pack("{s:s}", "station", w->word[0]), NULL);
}

static void show_stations(const struct cli *cli, const json_t *result)
{
	size_t i, k;
	const json_t *s, *b;
	json_array_foreach(json_object_get(result, "stations"), i, s)
	{
		const char *resident = json_string_value(json_object_get(s, "resident"));
		printf("%s: ", text(s, "id"));
		show_who(cli, s);
		if (resident)
			show_purpose(cli, s);
		if (json_array_size(json_object_get(s, "measured")))
			printf(cli->chinese ? "，已测 %zu 次" : ", %zu readings",
				json_array_size(json_object_get(s, "measured")));
		json_array_foreach(json_object_get(s, "devices"), k, b) printf(
			"%s %s", k ? "" : ";", json_string_value(b) ? json_string_value(b) : "");
		putchar('\n');
		json_array_foreach(json_object_get(s, "booked"), k, b)
		{
			const char *at = json_string_value(json_object_get(b, "at"));
			const char *here = !json_is_true(json_object_get(b, "was_here")) ? ""
					   : cli->chinese ? "  已登记"
							  : "  was here";
			printf("  %-5s ", at ? at : "");
			show_who(cli, b);
			printf(" %s%s\n", name_of(NAME_PURPOSE, text(b, "purpose"), cli->chinese),
				here);
		}
	}
}

static int run_stations(const struct words *w)
{
	return words_ask(w, "stations", json_object(), show_stations);
}

/* what persons do to readings */

static void show_note(const struct cli *cli, const char *key, const char *value)
{
	const char *said = value ? annotation_say(value, cli->chinese) : NULL;
	printf("  %s=%s", name_of(NAME_NOTE, key, cli->chinese),
		said ? said
		     : name_of(streq(key, "operator") ? NAME_STAFF : NAME_NOTE, value,
			       cli->chinese));
}

static void show_one(const struct cli *cli, const json_t *result)
{
	const char *kind;
	char amount[96];
	json_t *v;
	printf("%.8s  %s", text(result, "reading"), text(result, "resident"));
	json_object_foreach(json_object_get(result, "values"), kind, v)
	{
		show_amount(cli, v, amount, sizeof(amount));
		printf("  %s %s", name_kind(cli, kind), amount);
	}
	json_object_foreach(json_object_get(result, "notes"), kind, v)
		show_note(cli, kind, json_string_value(v));
	printf("  %s\n", cli->chinese ? "完成" : "done");
}

static int run_split(const struct words *w)
{
	return words_ask(w, "split",
		json_pack("{s:s,s:s}", "reading", w->word[0], "resident", w->word[1]), NULL);
}

static int run_void(const struct words *w)
{
	_cleanup_(freep) char *reason = words_joined(w, 1);
	return words_ask(w, "void",
		json_pack("{s:s,s:s}", "reading", w->word[0], "reason", reason ? reason : ""),
		show_one);
}

/* "fasting", "arm=left", "空腹"; false: it was said what was expected. */
static bool take_annotation(const struct words *w, const char *word, json_t *args)
{
	struct annotation a;
	char key[32], en[400], zh[400];
	const char *words, *value = words_pair(word, key, sizeof(key));
	if (value ? annotation_find(key, value, &a) : annotation_of_word(word, &a)) {
		words_put(args, a.key, a.value);
		return true;
	}
	size_t at = 0;
	en[0] = 0;
	for (unsigned i = 0; annotation_key(i, &words); i++)
		at += (size_t)snprintf(
			en + at, sizeof(en) - at, "\n  %s: %s", annotation_key(i, &words), words);
	snprintf(zh, sizeof(zh), "“%.60s”：应为以下之一：%.300s", word, en);
	char expected[400];
	snprintf(expected, sizeof(expected), "\"%.60s\": expected one of%.300s", word, en);
	words_expected(w, expected, zh);
	return false;
}

static int run_annotate(const struct words *w)
{
	json_t *args = json_pack("{s:s}", "reading", w->word[0]);
	for (int i = 1; args && i < w->n; i++)
		if (!take_annotation(w, w->word[i], args)) {
			json_decref(args);
			return 2;
		}
	return words_ask(w, "annotate", args, show_one);
}

/* "130jin": the number, and behind it the unit, if there is one. */
static void put_value(json_t *values, json_t *units, const char *kind, const char *given)
{
	size_t n = strspn(given, "<>-0123456789.");
	const char *unit = given + n + strspn(given + n, " ");
	json_object_set_new(values, kind, json_stringn(given, n ? n : strlen(given)));
	if (n && *unit)
		words_put(units, kind, unit);
}

/* "150/90" or "150/90/72", as people say it. */
static void put_pressure(json_t *values, json_t *units, const char *given)
{
	static const char *const kinds[] = {"bp.sbp", "bp.dbp", "bp.pulse"};
	char part[32];
	for (size_t i = 0; i < ELEMENTS(kinds) && *given; i++) {
		size_t n = i + 1 < ELEMENTS(kinds) ? strcspn(given, "/") : strlen(given);
		text_copy(part, sizeof(part), given, n);
		put_value(values, units, kinds[i], part);
		given += n + (given[n] == '/');
	}
}

static int run_enter(const struct words *w)
{
	json_t *args = json_pack("{s:s}", "resident", w->word[0]);
	json_t *values = json_object(), *units = json_object();
	char key[32];
	const char *words;
	bool good = args != NULL;
	for (int i = 1; good && i < w->n; i++) {
		const char *value = words_pair(w->word[i], key, sizeof(key));
		bool note = !value;
		for (unsigned k = 0; value && annotation_key(k, &words); k++)
			note |= streq(annotation_key(k, &words), key);
		if (note)
			good = take_annotation(w, w->word[i], args);
		else if (streq(key, "bp"))
			put_pressure(values, units, value);
		else
			put_value(values, units, key, value);
	}
	if (args) {
		json_object_set(args, "values", values);
		if (json_object_size(units))
			json_object_set(args, "units", units);
		words_put(args, "taken", w->at);
	}
	json_decref(values);
	json_decref(units);
	if (good)
		return words_ask(w, "enter", args, show_one);
	json_decref(args);
	return args ? 2 : words_ask(w, "enter", NULL, NULL);
}

const struct words_command reading_words[] = {
	{"checkin", run_checkin, 1, 2,
		WORDS_PURPOSE | WORDS_WAY | WORDS_SOURCE | WORDS_INSTEAD | WORDS_UNDO | WORDS_BY,
		"STATION R [--purpose follow-up|exam|hut|home-bed] [--way 1] [--card|--barcode] "
		"[--instead|--undo]",
		"who is measured there now",
		"工位 居民 [--purpose follow-up|exam|hut|home-bed] [--way 1] "
		"[--card|--barcode] [--instead|--undo]",
		"登记正在该工位测量的居民"},
	{"checkout", run_checkout, 1, 1, WORDS_BY, "STATION", "nobody is measured there any more",
		"工位", "结束该工位的登记"},
	{"stations", run_stations, 0, 0, 0, "", "who is at each station, and who is booked", "",
		"各工位当前居民及今日预约"},
	{"split", run_split, 2, 2, WORDS_BY, "READING R",
		"from this reading on somebody else was measured", "读数 居民",
		"从该读数起实为另一居民"},
	{"void", run_void, 2, WORDS_MAX, WORDS_BY, "READING REASON", "it was measured in error",
		"读数 原因", "作废误测的读数"},
	{"annotate", run_annotate, 2, 6, WORDS_BY,
		"READING fasting|2h|random|left|right|sitting|venous|nurse...",
		"what no instrument knows of it",
		"读数 空腹|餐后2小时|随机|左|右|坐位|静脉|护士...", "补充设备不知道的信息"},
	{"enter", run_enter, 2, 40, WORDS_AT | WORDS_BY,
		"R bp=150/90 weight=130jin waist=88cm... [--at T]", "a value that was read off",
		"居民 bp=150/90 weight=130jin waist=88cm... [--at 时间]", "录入手工测得的数值"},
	{0},
};
