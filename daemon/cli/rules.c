/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vitalgate rules test`: how many alerts a rule file would have made, beside the rules that are in force. */
#include "alert_say.h"
#include "cli.h"
#include "fault.h"
#include "policy.h"
#include "rehearse.h"

#include <getopt.h>

/* What came of one rule file. */
struct outcome {
	json_t *kinds;	  /* "bp-high critical" -> {"condition","severity","alerts","handled"} */
	json_t *left_out; /* rules that were not replayed: {"rule","why"} */
	long long plans_lost;
	const char *version;
	unsigned readings;
	long long alerts, handled, repeats, residents;
	int64_t first_us, last_us;
};

struct order {
	struct cli *cli;
	const char *file, *table; /* table NULL: the store */
	struct policy *policy;
};

static int usage(const struct cli *cli, int status)
{
	fputs(cli->chinese
			? "用法：vitalgate rules test 规则文件 [--history|表.csv]\n"
			  "  用另一规则文件重放读数，并与现行规则对比：会发出多少警报、多少需要人工处理\n"
			  "  按日判定的规则也重放：家庭周均值、家庭测量不足、随访逾期；未能重放的规则会列出\n"
			  "  --history   本机存储的读数和随访（默认）；只读，不影响运行\n"
			  "  表.csv      列 taken（本地时间），可选 resident arrived flags birth_date programmes\n"
			  "              populations conditions setting，其余为数值：sbp dbp pulse glucose spo2 …\n"
			  "              setting 为 home 者，其血压算作家庭测量；表中没有随访\n"
			: "usage: vitalgate rules test FILE [--history|TABLE.csv]\n"
			  "  replays readings by another rule file, beside the rules in force: how many alerts there\n"
			  "  would have been, and how many a person would have handled; also rules of a day (mean of\n"
			  "  a home week, too few home readings, overdue visits). It says which were not replayed\n"
			  "  --history   readings and visits of this gateway's store (the default); only read\n"
			  "  TABLE.csv   columns taken (local time); resident arrived flags birth_date programmes\n"
			  "              populations conditions setting, if known; and numbers: sbp dbp pulse\n"
			  "              glucose fasting, or any kind of the code table (spo2, temp, weight ..).\n"
			  "              With setting home, pressures count as measured at home; it has no visits\n",
		status ? stderr : stdout);
	return status;
}

static int count(struct rehearsal *h, struct outcome *o)
{
	int rc;
	char key[80];
	_cleanup_(row_endp) struct row *r = db_query(h->db,
		"SELECT condition,severity,count(*),sum((SELECT count(*) FROM alert_history h WHERE "
		"h.alert=a.uuid AND h.ack_outcome IS NOT NULL)) FROM alert a GROUP BY 1,2 ORDER BY "
		"severity='critical' DESC,condition",
		"");
	while ((rc = row_next(r)) > 0) {
		snprintf(key, sizeof(key), "%s %s", row_text(r, 0), row_text(r, 1));
		o->alerts += row_int(r, 2);
		o->handled += row_int(r, 3);
		json_object_set_new(o->kinds, key,
			json_pack("{s:s,s:s,s:I,s:I}", "condition", row_text(r, 0), "severity",
				row_text(r, 1), "alerts", (json_int_t)row_int(r, 2), "handled",
				(json_int_t)row_int(r, 3)));
	}
	o->repeats =
		db_int(h->db, 0, "SELECT count(*) FROM event WHERE type='repeat_requested'", "");
	o->residents = db_int(h->db, 0, "SELECT count(DISTINCT resident) FROM reading", "");
	return rc;
}

/* Why a rule that would make alerts cannot be replayed; NULL: it was. */
static const char *why_not(const struct rehearsal *h, const struct alert_rule *rule)
{
	if (rule->technical)
		return "technical";
	if (rule->type == RULE_OVERDUE)
		return h->visits ? NULL : "no_visits";
	return (rule->type == RULE_MEAN || rule->type == RULE_MISSING) && !h->home ? "not_at_home"
										   : NULL;
}

static void leave_out(const struct rehearsal *h, struct outcome *o)
{
	const struct alert_rules *rules = h->gateway.rules;
	const struct alert_rule *rule;
	for (unsigned i = 0; (rule = alert_rules_at(rules, i)); i++) {
		bool told = rule->severity >= alert_times(rules)->least;
		const char *why = told ? why_not(h, rule) : NULL;
		if (why)
			json_array_append_new(
				o->left_out, json_pack("{s:s,s:s}", "rule", rule->id, "why", why));
		if (told && rule->type == RULE_OVERDUE)
			o->plans_lost = h->plans_lost;
	}
}

static bool rehearse(const struct order *o, struct alert_rules *rules, struct outcome *ret)
{
	static struct rehearsal h;
	*ret = (struct outcome){.kinds = json_object(),
		.left_out = json_array(),
		.version = alert_rules_version(rules)};
	int rc = rehearse_open(&h, o->policy, rules);
	if (rc >= 0)
		rc = o->table ? rehearse_table(&h, o->table)
			      : rehearse_history(&h, o->policy->config.store);
	if (rc >= 0)
		rc = count(&h, ret);
	if (rc >= 0)
		leave_out(&h, ret);
	if (rc < 0)
		fprintf(stderr, "vitalgate: %s\n", h.error[0] ? h.error : strerror(-rc));
	ret->readings = h.readings;
	ret->first_us = h.first_us;
	ret->last_us = h.last_us;
	rehearse_close(&h);
	return rc >= 0;
}

/* what is printed */

static double per_100(const struct outcome *o, long long n)
{
	return o->readings ? 100.0 * (double)n / o->readings : 0;
}

static long long number(const struct outcome *o, const char *key, const char *member)
{
	return json_integer_value(json_object_get(json_object_get(o->kinds, key), member));
}

static void line(const struct cli *cli, const json_t *kind, const char *key,
	const struct outcome *file, const struct outcome *now)
{
	show_cell(alert_say(SAY_CONDITION, json_string_value(json_object_get(kind, "condition")),
			  cli->chinese),
		32);
	show_cell(alert_say(SAY_SEVERITY, json_string_value(json_object_get(kind, "severity")),
			  cli->chinese),
		10);
	printf("%9lld %9lld %9lld %9lld\n", number(file, key, "alerts"),
		number(file, key, "handled"), number(now, key, "alerts"),
		number(now, key, "handled"));
}

/* Those of one reason; of things, which nobody expects here, only how many. */
static void print_left_out(const struct cli *cli, const struct outcome *o, const char *whose)
{
	static const struct {
		const char *why, *en, *zh;
	} reasons[] = {{"no_visits", "a table has no visits; take --history",
			       "表中没有随访，请用 --history"},
		{"not_at_home", "nobody in the table has the setting home",
			"表中没有 setting 为 home 的居民"},
		{"technical", "technical ones, of devices and places", "设备和场所的技术规则"}};
	for (size_t i = 0; i < ELEMENTS(reasons); i++) {
		unsigned n = 0;
		size_t k;
		json_t *one;
		bool technical = streq(reasons[i].why, "technical");
		json_array_foreach(o->left_out, k, one)
		{
			if (!streq(json_string_value(json_object_get(one, "why")), reasons[i].why))
				continue;
			if (!n++)
				printf(cli->chinese ? "未重放（%s）：" : "not replayed (%s):",
					whose);
			if (!technical)
				printf("%s%s", cli->chinese && n == 1 ? "" : " ",
					json_string_value(json_object_get(one, "rule")));
		}
		if (technical && n)
			printf("%s%u", cli->chinese ? "" : " ", n);
		if (n)
			printf(cli->chinese ? "（%s）\n" : " (%s)\n",
				cli->chinese ? reasons[i].zh : reasons[i].en);
	}
	if (o->plans_lost)
		printf(cli->chinese
				? "随访逾期（%s）：至多 %lld 个随访计划已被后来的计划取代，无从得知，逾期数可能有出入\n"
				: "overdue (%s): up to %lld plans were replaced by later ones and are not "
				  "known, so that some counts may differ\n",
			whose, o->plans_lost);
}

static void print(const struct cli *cli, const struct outcome *file, const struct outcome *now)
{
	const char *key;
	json_t *kind;
	char from[12], to[12];
	struct vg_civil a = clock_civil(file->first_us), b = clock_civil(file->last_us);
	snprintf(from, sizeof(from), "%04u-%02u-%02u", a.year % 10000, a.month % 100, a.day % 100);
	snprintf(to, sizeof(to), "%04u-%02u-%02u", b.year % 10000, b.month % 100, b.day % 100);
	printf(cli->chinese ? "%u 个读数，%lld 位居民，%s 至 %s\n"
			    : "%u readings of %lld residents, %s to %s\n",
		file->readings, file->residents, from, to);
	show_cell("", 43);
	printf("%19s %19s\n", cli->chinese ? "此文件" : "this file",
		cli->chinese ? "现行规则" : "in force");
	show_cell(cli->chinese ? "警报" : "alert", 32);
	show_cell(cli->chinese ? "级别" : "severity", 10);
	fputs(cli->chinese ? "     警报      人工      警报      人工\n"
			   : "   alerts   handled    alerts   handled\n",
		stdout);
	json_object_foreach(file->kinds, key, kind) line(cli, kind, key, file, now);
	json_object_foreach(now->kinds, key, kind)
	{
		if (!json_object_get(file->kinds, key))
			line(cli, kind, key, file, now);
	}
	show_cell(cli->chinese ? "合计" : "all", 43);
	printf("%9lld %9lld %9lld %9lld\n", file->alerts, file->handled, now->alerts, now->handled);
	show_cell(cli->chinese ? "每100次测量" : "per 100 measurements", 43);
	printf("%9.2f %9.2f %9.2f %9.2f\n", per_100(file, file->alerts),
		per_100(file, file->handled), per_100(now, now->alerts),
		per_100(now, now->handled));
	show_cell(cli->chinese ? "请求复测" : "repeats asked for", 43);
	printf("%9lld %9s %9lld\n", file->repeats, "", now->repeats);
	print_left_out(cli, file, cli->chinese ? "此文件" : "this file");
	print_left_out(cli, now, cli->chinese ? "现行规则" : "in force");
}

static json_t *as_json(const struct outcome *o)
{
	json_t *kinds = json_array();
	const char *key;
	json_t *kind;
	json_object_foreach(o->kinds, key, kind) json_array_append(kinds, kind);
	return json_pack("{s:s,s:I,s:I,s:I,s:f,s:f,s:o,s:O,s:I}", "rules_version", o->version,
		"alerts", (json_int_t)o->alerts, "handled", (json_int_t)o->handled, "repeats",
		(json_int_t)o->repeats, "alerts_per_100", per_100(o, o->alerts), "handled_per_100",
		per_100(o, o->handled), "kinds", kinds, "not_replayed", o->left_out,
		"plans_replaced", (json_int_t)o->plans_lost);
}

static void print_json(const struct outcome *file, const struct outcome *now)
{
	json_t *all = json_pack("{s:i,s:I,s:o,s:o}", "readings", (int)file->readings, "residents",
		(json_int_t)file->residents, "file", as_json(file), "present", as_json(now));
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(all);
}

/* doing it */

static void outcome_end(struct outcome *o)
{
	json_decref(o->kinds);
	json_decref(o->left_out);
}

static int test(struct order *o)
{
	char error[CONFIG_ERROR_MAX];
	struct outcome file, now = {0};
	fault_chinese = o->cli->chinese;
	o->policy = policy_load(o->cli->config, error, sizeof(error));
	struct alert_rules *rules =
		o->policy ? alert_rules_load(o->file, o->policy->codes, error, sizeof(error))
			  : NULL;
	if (!rules) {
		fprintf(stderr, "%s\n", error);
		policy_free(o->policy);
		return 1;
	}
	bool good = rehearse(o, rules, &file);
	if (good) {
		good = rehearse(o, o->policy->rules, &now);
		if (good && o->cli->json)
			print_json(&file, &now);
		else if (good)
			print(o->cli, &file, &now);
	}
	outcome_end(&now);
	outcome_end(&file);
	alert_rules_free(rules);
	policy_free(o->policy);
	return good ? 0 : 1;
}

int rules_main(struct cli *cli, int argc, char **argv)
{
	static const struct option options[] = {{"history", no_argument, NULL, 'H'},
		{"json", no_argument, NULL, 'j'}, {"lang", required_argument, NULL, 'l'},
		{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct order o = {.cli = cli};
	bool history = false;
	int c;
	optind = 0; /* GNU: anew */
	while ((c = getopt_long(argc, argv, "jhc:", options, NULL)) >= 0)
		if (c == 'H')
			history = true;
		else if (c == 'j')
			cli->json = true;
		else if (c == 'l')
			cli->chinese = streq(optarg, "zh");
		else if (c == 'c')
			cli->config = optarg;
		else
			return usage(cli, c == 'h' ? 0 : 2);
	int n = argc - optind;
	if (n < 2 || n > 3 || (n == 3 && history) || !streq(argv[optind], "test"))
		return usage(cli, 2);
	o.file = argv[optind + 1];
	o.table = n == 3 ? argv[optind + 2] : NULL;
	return test(&o);
}
