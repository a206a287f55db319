/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands as the store thread runs them, and answers in the shapes that models and cases share. */
#include "scenario.h"

#include "day.h"
#include "visit_facts.h"

#include <errno.h>
#include <sys/resource.h>

/* commands */

/* Decimals as text: a reader of numbers would make 7 of 7.0. */
static char *quote_decimals(const char *text)
{
	char *out = malloc(strlen(text) * 2 + 1), *to = out;
	bool in_text = false;
	while (out && *text) {
		size_t n = in_text ? 0 : strspn(text, "-0123456789.eE+");
		bool decimal = n && strchr("-0123456789", *text) && memchr(text, '.', n);
		if (in_text && *text == '\\')
			*to++ = *text++;
		else if (*text == '"')
			in_text = !in_text;
		n = MAX(n, (size_t)1);
		if (decimal)
			*to++ = '"';
		memcpy(to, text, n);
		to += n;
		text += n;
		if (decimal)
			*to++ = '"';
	}
	if (out)
		*to = 0;
	return out;
}

json_t *run_command(struct site *s, const char *name, const json_t *args, const char *by,
	const char *door, char code[static 32])
{
	const struct command_entry *e = name ? command_find(name) : NULL;
	char author[80];
	_cleanup_(json_free) struct json j = {0};
	json_t *empty = json_object();
	if (!e)
		refuse("%s is no command", name ? name : "null");
	bool nobody = streq(by, "platform"); /* its door, and nobody's name */
	bool platform = nobody || (door && streq(door, "platform"));
	if (platform)
		snprintf(author, sizeof(author), "platform:platform%s%s", nobody ? "" : "/",
			nobody ? "" : by);
	else
		snprintf(author, sizeof(author), "local:scenario/%s", by);
	struct command c = {.gateway = &s->gateway,
		.db = s->db,
		.args = args ? args : empty,
		.author = author,
		.live = "{}",
		.result = &j,
		.platform = platform ? "platform" : NULL};
	site_begin(s);
	json_object_begin(&j, NULL);
	int rc = e->run(&c);
	json_object_end(&j);
	site_end(s, rc >= 0);
	json_decref(empty);
	json_free(&c.more);
	if (rc == -EPROTO) {
		memcpy(code, c.code, 32);
		return NULL;
	}
	if (rc < 0)
		refuse("%s: %s", name, strerror(-rc));
	json_error_t error;
	_cleanup_(freep) char *text = quote_decimals(json_text(&j));
	json_t *result = json_loads(text, 0, &error);
	if (!result)
		refuse("%s answers no JSON: %s", name, error.text);
	return result;
}

static json_t *query(struct site *s, const char *name, json_t *args)
{
	char code[32];
	json_t *result = run_command(s, name, args, "S-0001", NULL, code);
	json_decref(args);
	if (!result)
		refuse("%s was refused: %s", name, code);
	return result;
}

static void put_answer(const char *what, json_t *answer)
{
	json_t *line = json_pack("{s:s,s:o}", "ask", what, "answer", answer);
	json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(line);
}

/* filing */

static const char *key_of(const struct site *s, const void *id, size_t len)
{
	char text[33];
	return json_string_value(json_object_get(s->keys, hex(text, id, MIN(len, (size_t)16))));
}

/* A reading that conflicts with another has that one's key with a mark. */
static void put_key(const struct site *s, struct row *r, char *to, size_t size)
{
	size_t len;
	const void *id = row_blob(r, 0, &len);
	const char *key = key_of(s, id, len);
	const void *other = key ? NULL : row_blob(r, 7, &len);
	const char *of = other ? key_of(s, other, len) : NULL;
	snprintf(to, size, "%s%s", key ? key : of ? of : "?", key ? "" : "!");
}

/* Written as it is read: there may be very many. */
static void answer_filing(struct site *s, const json_t *keys)
{
	char key[80], time[20];
	_cleanup_(json_free) struct json j = {0};
	const json_t *k;
	size_t i;
	_cleanup_(row_endp) struct row *r = db_query(s->db,
		"SELECT uuid,status,token,evidence,reading.kind,taken,trust,conflicts_with FROM "
		"reading LEFT JOIN resident ON resident.id=reading.resident WHERE superseded=0 "
		"ORDER BY reading.id",
		"");
	json_object_begin(&j, NULL);
	json_str(&j, "ask", "filing");
	json_object_begin(&j, "answer");
	while (row_next(r) > 0) {
		bool wanted = !keys;
		put_key(s, r, key, sizeof(key));
		json_array_foreach(keys, i, k) wanted |= streq(key, json_string_value(k));
		if (!wanted)
			continue;
		struct vg_civil taken = clock_civil(row_int(r, 5));
		json_object_begin(&j, key);
		json_str(&j, "status", row_text(r, 1));
		json_str(&j, "resident", row_text(r, 2));
		json_str(&j, "evidence", row_text(r, 3));
		json_str(&j, "kind", row_text(r, 4));
		json_str(&j, "taken", clock_civil_text(time, &taken));
		json_str(&j, "trust", row_text(r, 6));
		json_object_end(&j);
	}
	json_object_end(&j);
	json_object_end(&j);
	puts(json_text(&j));
}

/* a visit */

static const char *short_form(const char *form)
{
	static const char *const forms[][2] = {{"hypertension_followup_v3", "htn"},
		{"t2dm_followup_v3", "t2dm"}, {"elderly_health_check_65plus", "elderly"},
		{"copd_followup_2024plus", "copd"}};
	for (size_t i = 0; form && i < ELEMENTS(forms); i++)
		if (streq(form, forms[i][0]))
			return forms[i][1];
	return form ? form : "?";
}

/* Whatever it was written as, as text. */
static json_t *as_text(const json_t *value)
{
	char text[32];
	if (!json_is_integer(value))
		return json_copy((json_t *)value);
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	return json_string(text);
}

static json_t *keys_for(const struct site *s, const json_t *ids)
{
	json_t *keys = json_array();
	const json_t *id, *key;
	size_t i;
	json_array_foreach(ids, i, id)
	{
		key = json_object_get(s->keys, json_string_value(id));
		json_array_append(keys, key ? (json_t *)key : (json_t *)id);
	}
	return keys;
}

static json_t *items_of(const struct site *s, const json_t *items)
{
	json_t *list = json_array();
	const json_t *item;
	size_t i;
	json_array_foreach(items, i, item)
	{
		const json_t *key = json_object_get(
			s->keys, json_string_value(json_object_get(item, "reading")));
		json_array_append_new(
			list, json_pack("{s:O,s:o,s:O,s:O?}", "kind", json_object_get(item, "kind"),
				      "value", as_text(json_object_get(item, "value")), "day",
				      json_object_get(item, "day"), "reading", key));
	}
	return list;
}

static json_t *field_of(const struct site *s, const json_t *field)
{
	static const char *const kept[] = {"note", "by", "from", "origin"};
	json_t *f = json_object();
	const json_t *systolic = json_object_get(field, "systolic");
	const json_t *readings = json_object_get(field, "readings");
	const json_t *items = json_object_get(field, "items");
	if (systolic)
		json_object_set_new(f, "value",
			json_sprintf("%lld/%lld", (long long)json_integer_value(systolic),
				(long long)json_integer_value(
					json_object_get(field, "diastolic"))));
	else if (json_object_get(field, "value"))
		json_object_set_new(f, "value", as_text(json_object_get(field, "value")));
	for (size_t i = 0; i < ELEMENTS(kept); i++)
		if (json_object_get(field, kept[i]))
			json_object_set(f, kept[i], json_object_get(field, kept[i]));
	if (json_array_size(readings))
		json_object_set_new(f, "readings", keys_for(s, readings));
	if (items)
		json_object_set_new(f, "items", items_of(s, items));
	return f;
}

/* Evidence that stands beside some field. */
static json_t *evidence_of(const json_t *fields, const char *name)
{
	const json_t *field, *found = NULL;
	size_t i;
	json_array_foreach(fields, i, field) if (!found) found =
		json_object_get(json_object_get(field, "evidence"), name);
	return found ? json_deep_copy(found) : json_null();
}

static json_t *visit_answer(const struct site *s, const json_t *visit)
{
	static const char *const same[] = {"resident", "state", "day"};
	static const char *const decided[][2] = {{"at_goal", "at_goal"}, {"class", "class"},
		{"class_why", "class_why"}, {"next_visit_date", "next"}, {"measures", "measures"},
		{"referrals", "referrals"}};
	const json_t *proposed = json_object_get(visit, "proposed");
	const json_t *fields = json_object_get(visit, "fields"), *field, *way;
	json_t *a = json_object(), *filled = json_object();
	size_t i;
	for (i = 0; i < ELEMENTS(same); i++)
		json_object_set(a, same[i], json_object_get(visit, same[i]));
	json_object_set_new(a, "form",
		json_string(short_form(json_string_value(json_object_get(visit, "form")))));
	way = json_object_get(visit, "way");
	json_object_set_new(a, "way", way ? as_text(way) : json_null());
	json_array_foreach(fields, i, field) if (json_is_true(json_object_get(field, "filled")))
		json_object_set_new(filled, json_string_value(json_object_get(field, "key")),
			field_of(s, field));
	json_object_set_new(a, "fields", filled);
	for (i = 0; i < ELEMENTS(decided); i++) {
		const json_t *value = json_object_get(proposed, decided[i][0]);
		json_object_set_new(a, decided[i][1], value ? json_deep_copy(value) : json_null());
	}
	json_object_set_new(a, "home_week", evidence_of(fields, "home_week"));
	json_t *hypo = evidence_of(fields, "hypo");
	json_object_del(hypo, "unit");
	json_object_set_new(a, "hypo", hypo);
	return a;
}

static void answer_visit(struct site *s, const json_t *line)
{
	json_t *result =
		query(s, "followup", json_pack("{s:O}", "visit", json_object_get(line, "visit")));
	const json_t *visit = json_array_get(json_object_get(result, "visits"), 0);
	put_answer("visit", visit ? visit_answer(s, visit) : json_null());
	json_decref(result);
}

/* lists and rates */

static int by_text(const json_t *a, const json_t *b, const char *key)
{
	const char *x = json_string_value(json_object_get(a, key));
	const char *y = json_string_value(json_object_get(b, key));
	return strcmp(x ? x : "", y ? y : "");
}

static int by_list(const void *a, const void *b)
{
	static const char *const keys[] = {"list", "resident", "form"};
	int order = 0;
	for (size_t i = 0; i < ELEMENTS(keys) && !order; i++)
		order = by_text(*(const json_t *const *)a, *(const json_t *const *)b, keys[i]);
	return order;
}

static json_t *sorted(json_t *items)
{
	size_t n = json_array_size(items), i;
	json_t **all = calloc(n + 1, sizeof(*all)), *to = json_array();
	for (i = 0; all && i < n; i++)
		all[i] = json_array_get(items, i);
	if (all)
		qsort(all, n, sizeof(*all), by_list);
	for (i = 0; all && i < n; i++)
		json_array_append(to, all[i]);
	free(all);
	json_decref(items);
	return to;
}

static void answer_due(struct site *s, const json_t *line)
{
	json_t *items = json_array(), *after = json_string("");
	while (after) {
		json_t *page = query(s, "due",
			json_pack("{s:O,s:i,s:o}", "day", json_object_get(line, "day"), "limit",
				500, "after", after));
		json_array_extend(items, json_object_get(page, "items"));
		after = json_object_get(page, "next");
		after = json_is_string(after) ? json_copy(after) : NULL;
		json_decref(page);
	}
	put_answer("due", json_pack("{s:o}", "items", sorted(items)));
}

static void answer_kpi(struct site *s, const json_t *line)
{
	static const char *const forms[] = {"htn", "t2dm", "copd", "elderly"};
	json_t *a = json_object();
	json_t *result =
		query(s, "kpi", json_pack("{s:O}", "month", json_object_get(line, "month")));
	for (size_t i = 0; i < ELEMENTS(forms); i++)
		json_object_set(a, forms[i], json_object_get(result, forms[i]));
	json_decref(result);
	put_answer("kpi", a);
}

/* residents */

static void answer_resident(struct site *s, const json_t *line)
{
	const char *token = json_string_value(json_object_get(line, "resident"));
	int64_t now = clock_utc_us();
	_cleanup_(row_endp) struct row *r = db_query(s->db,
		"SELECT r.state,m.token,r.birth_date,r.valid_from IS NOT NULL AND r.valid_from<=?1 "
		"AND (r.valid_to IS NULL OR r.valid_to>?1) FROM resident r LEFT JOIN resident m ON "
		"m.id=r.merged_into WHERE r.token=?2",
		"it", now, token);
	if (row_next(r) <= 0) {
		put_answer("resident", json_null());
		return;
	}
	struct age age = age_on(row_text(r, 2), day_of(now));
	json_t *a = json_pack("{s:s,s:b,s:o}", "state", row_text(r, 0), "in_contract",
		(int)row_int(r, 3), "age",
		age.known ? json_pack("[i,i]", age.lo, age.hi) : json_null());
	if (!row_null(r, 1))
		json_object_set_new(a, "merged_into", json_string(row_text(r, 1)));
	put_answer("resident", a);
}

static void answer_week(struct site *s, const json_t *line)
{
	const char *day = json_string_value(json_object_get(line, "day"));
	struct home_week w;
	char from[DAY_TEXT], to[DAY_TEXT];
	int64_t id = db_int(s->db, 0, "SELECT id FROM resident WHERE token=?", "t",
		json_string_value(json_object_get(line, "resident")));
	if (visit_home_week(&s->gateway, s->db, id, day_read(day), clock_utc_us(), &w) < 0)
		refuse("%s", db_error(s->db));
	if (!w.valid) {
		put_answer("home_week", json_null());
		return;
	}
	put_answer("home_week",
		json_pack("{s:s,s:s,s:i,s:i,s:I,s:I,s:s}", "from", day_text(from, w.from), "to",
			day_text(to, w.to), "n", (int)w.n, "days", (int)w.days, "systolic",
			(json_int_t)(w.systolic / 1000), "diastolic",
			(json_int_t)(w.diastolic / 1000), "verdict", w.verdict));
}

/* The highest that this program's memory was; what getrusage() says is also that of whoever started it. */
static int peak_kib(void)
{
	char line[128];
	int kib = 0;
	_cleanup_(fclosep) FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmHWM: %d", &kib);
	return kib;
}

/* What this program has used up so far: tests/bench/filing.py. */
static void answer_cost(struct site *s, const json_t *line)
{
	struct rusage u;
	(void)s;
	(void)line;
	getrusage(RUSAGE_SELF, &u);
	put_answer("cost",
		json_pack("{s:I,s:I,s:i}", "user_us",
			(json_int_t)u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec, "kernel_us",
			(json_int_t)u.ru_stime.tv_sec * 1000000 + u.ru_stime.tv_usec, "peak_kib",
			peak_kib()));
}

void answer(struct site *s, const json_t *line)
{
	const char *what = json_string_value(json_object_get(line, "ask"));
	static const struct {
		const char *what;
		void (*answer)(struct site *s, const json_t *line);
	} all[] = {{"visit", answer_visit}, {"due", answer_due}, {"kpi", answer_kpi},
		{"resident", answer_resident}, {"home_week", answer_week}, {"cost", answer_cost},
		{"alerts", answer_alerts}};
	if (what && streq(what, "filing")) {
		answer_filing(s, json_object_get(line, "keys"));
		return;
	}
	for (size_t i = 0; what && i < ELEMENTS(all); i++)
		if (streq(what, all[i].what)) {
			all[i].answer(s, line);
			return;
		}
	refuse("%s is no question", what ? what : "null");
}
