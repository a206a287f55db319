/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `due` and `kpi`: lists and rates for whoever asks, as they are now. A list comes in pages. */
#include "command.h"
#include "due_facts.h"
#include "gateway.h"
#include "kpi.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 500
#define RESIDENTS_MAX 512 /* looked at for one page: it may hold less than it could */

struct asking {
	struct command *c;
	int32_t day;
	int list; /* -1: all of them */
	int64_t room;
	unsigned looked_at;
	char after[64];
};

static int32_t today(void)
{
	int64_t now_us = clock_utc_us();
	return clock_plausible(now_us) ? day_of(now_us) : DAY_NONE;
}

static int refuse_clock(struct command *c)
{
	return command_refuse(c, "clock_not_set",
		"The gateway's clock is not set, so it does not know what day it is. Name the day, or "
		"set the clock.",
		"网关时钟未设置，无法确定日期。请指定日期或先校准时钟。");
}

static int read_day(struct asking *a)
{
	const json_t *day = json_object_get(a->c->args, "day");
	a->day = day ? day_read(json_string_value(day)) : today();
	if (a->day != DAY_NONE)
		return 0;
	return day ? command_refuse(a->c, "bad_value", "Expected a day such as 2026-11-21.",
			     "日期应类似 2026-11-21。")
		   : refuse_clock(a->c);
}

static int read_list(struct asking *a)
{
	const json_t *name = json_object_get(a->c->args, "list");
	for (a->list = name ? LISTS - 1 : -1; a->list >= 0; a->list--)
		if (streq(command_text(a->c, "list"), due_lists[a->list]))
			return 0;
	return name ? command_refuse(a->c, "bad_value",
			      "Expected the name of a list: due, referral_result, no_contact, twice "
			      "or recheck.",
			      "名单应为 due、referral_result、no_contact、twice 或 recheck。")
		    : 0;
}

/* A resident's items are never on two pages. */
static int put_resident(struct asking *a, const struct owned *who)
{
	const struct numbers *numbers = a->c->gateway->numbers;
	struct due_facts facts;
	struct due_item items[DUE_ITEMS_MAX];
	int rc = due_facts(a->c->db, numbers, who, a->day, &facts);
	unsigned n = rc < 0 ? 0 : due_judge(numbers, &facts, a->day, items);
	for (unsigned i = 0; i < n; i++)
		if (a->list < 0 || (int)items[i].list == a->list) {
			due_json(&items[i], who, a->day, a->c->result);
			a->room--;
		}
	memcpy(a->after, who->token, sizeof(a->after));
	a->looked_at++;
	return rc;
}

/* 1: there are more residents. */
static int put_page(struct asking *a)
{
	struct owned who[OWNED_PAGE];
	int n = 1, rc = 0;
	while (n > 0 && rc >= 0) {
		n = owned_next(a->c->db, a->c->gateway->config->gateway, a->after, who);
		for (int i = 0; i < n && rc >= 0; i++) {
			if (a->room <= 0 || a->looked_at >= RESIDENTS_MAX)
				return 1;
			rc = put_resident(a, &who[i]);
		}
	}
	return rc < 0 ? rc : n;
}

static int put_one(struct asking *a, const char *token)
{
	struct owned who;
	int rc = owned_one(a->c->db, a->c->gateway->config->gateway, token, &who);
	if (rc == 0 && !db_int(a->c->db, 0, "SELECT 1 FROM resident WHERE token=?", "t", token))
		return command_refuse(a->c, "unknown_resident",
			"There is no such resident. Import the roster, or look for the token in it.",
			"没有此居民。请先导入名册或核对编号。");
	return rc > 0 ? put_resident(a, &who) : rc;
}

static int query_due(struct command *c)
{
	struct asking a = {.c = c, .room = command_number(c, "limit", PAGE_DEFAULT)};
	const char *after = command_text(c, "after"), *token = command_text(c, "resident");
	char day[DAY_TEXT];
	int rc = read_day(&a);
	if (rc >= 0)
		rc = read_list(&a);
	if (rc < 0)
		return rc;
	a.room = a.room < 1 ? 1 : MIN(a.room, PAGE_MAX);
	text_copy(a.after, sizeof(a.after), after, strlen(after));
	json_str(c->result, "day", day_text(day, a.day));
	json_str(c->result, "rules", c->gateway->numbers->version);
	json_array_begin(c->result, "items");
	rc = token[0] ? put_one(&a, token) : put_page(&a);
	json_array_end(c->result);
	json_str(c->result, "next", rc > 0 ? a.after : NULL);
	return rc;
}

static int query_kpi(struct command *c)
{
	const json_t *given = json_object_get(c->args, "month");
	const char *gateway = c->gateway->config->gateway;
	char now[DAY_TEXT], after[64] = "";
	struct owned who[OWNED_PAGE];
	struct kpi k;
	int n = 1, rc = 0;
	if (today() == DAY_NONE)
		return refuse_clock(c);
	day_text(now, today());
	now[KPI_MONTH - 1] = 0;
	if (!kpi_begin(&k, c->gateway->numbers, given ? command_text(c, "month") : now, today()))
		return command_refuse(c, "bad_value",
			"Expected a month that has begun, such as 2026-11.",
			"月份应为已开始的月份，例如 2026-11。");
	while (n > 0 && rc >= 0) {
		n = owned_next(c->db, gateway, after, who);
		for (int i = 0; i < n && rc >= 0; i++)
			rc = kpi_add(&k, c->db, &who[i]);
		if (n > 0)
			memcpy(after, who[n - 1].token, sizeof(after));
	}
	kpi_json(&k, c->result);
	json_str(c->result, "rules", c->gateway->numbers->version);
	return n < 0 ? n : rc;
}

const struct command_entry lists_commands[] = {
	{"due", query_due, NULL},
	{"kpi", query_kpi, NULL},
	{0},
};
