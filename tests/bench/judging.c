/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What it costs to judge one reading: who it is of, that person's limits, the rules, and what was measured before where a rule
 * asks for it; all from a store of many residents, as alerts.c does it.
 *
 *   judging DIR RULES RESIDENTS DAYS READINGS ROUNDS
 *     DIR: empty; the store is made there, with two pressures a day of each resident and DAYS of them, glucose of
 *     every third, limits of every tenth. Prints "floor_us judging_us asked rules" for each round: one look at the row of
 *     a resident; all of it; the share of readings that asked for a history; how many rules there are.
 *
 * Of 100 readings 80 are pressures (systolic 138, sd 15; diastolic 84, sd 9; pulse 73, sd 10: hypertensives at home, treated
 * and not), 12 glucose (7.5, sd 2.4), 5 oximeters (96, sd 2), 3 weights and temperatures.
 */
#include "codes.h"
#include "day.h"
#include "db.h"
#include "judge.h"
#include "limit.h"
#include "numbers.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define NOW_US INT64_C(1795000000000000)
#define DAY_US (86400 * CLOCK_SECOND_US)

struct bench {
	struct codes *codes;
	struct alert_rules *rules;
	struct numbers *numbers;
	struct db *db;
	long residents, days, readings;
	uint64_t dice;
	unsigned n_rules, asked;
	struct history history;
	struct history_db of;
};

static void die(const char *what)
{
	fprintf(stderr, "judging: %s\n", what);
	exit(1);
}

static uint64_t draw(struct bench *b)
{
	b->dice ^= b->dice << 13; /* xorshift64 */
	b->dice ^= b->dice >> 7;
	b->dice ^= b->dice << 17;
	return b->dice;
}

static int64_t below(struct bench *b, int64_t n)
{
	return (int64_t)(draw(b) % (uint64_t)n);
}

static double uniform(struct bench *b)
{
	return ((double)(draw(b) >> 11) + 0.5) / 9007199254740992.0;
}

/* In thousandths, rounded to `step`. */
static int64_t about(struct bench *b, double mean, double sd, int64_t step)
{
	double x = mean + sd * sqrt(-2 * log(uniform(b))) * cos(6.283185307179586 * uniform(b));
	return (int64_t)llround(x * 1000 / (double)step) * step;
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Readings are filed in transactions of many. */
static void script(struct bench *b, const char *sql)
{
	if (db_script(b->db, sql) < 0)
		die(db_error(b->db));
}

/* the store */

static void put(struct bench *b, int64_t resident, const char *kind, int64_t taken_us, int64_t row,
	int64_t milli)
{
	if (db_run(b->db,
		    "INSERT INTO evidence(resident,kind,taken,reading,milli,decimals,trust,"
		    "tables_version) VALUES(?,?,?,?,?,0,'corrected','t')",
		    "itiii", resident, kind, taken_us, row, milli) < 0)
		die(db_error(b->db));
}

static void fill_resident(struct bench *b, int64_t i)
{
	static const char *const settings[] = {"home", "home", "home", "clinic", "home_bed"};
	char token[16], birth[12];
	int64_t at_us = NOW_US;
	snprintf(token, sizeof(token), "R-%05lld", (long long)i);
	snprintf(birth, sizeof(birth), "%lld-05-01", (long long)(1936 + below(b, 60)));
	if (db_run(b->db,
		    "INSERT INTO resident(id,token,birth_date,programmes,doctor,setting,changed,"
		    "populations,conditions) VALUES(?,?,?,?,'D-0001',?,0,'elderly',?)",
		    "ittttt", i, token, birth, i % 3 ? "hypertension" : "hypertension;t2dm",
		    settings[below(b, 5)], i % 9 ? "" : "treated_diabetes") < 0)
		die(db_error(b->db));
	if (i % 10 == 0 &&
		db_run(b->db,
			"INSERT INTO personal_limit(resident,kind,side,milli,severity,author,reason,"
			"valid_from,valid_to) VALUES(?,'bp.sbp','at_least',170000,'warning','D-0001',"
			"'r',0,?)",
			"ii", i, NOW_US + DAY_US) < 0)
		die(db_error(b->db));
	for (long n = 0; n < 2 * b->days; n++) {
		int64_t row = i * 1000 + n;
		at_us -= DAY_US / 2 + below(b, DAY_US / 10) - DAY_US / 20;
		put(b, i, "bp.sbp", at_us, row, about(b, 138, 15, 1000));
		put(b, i, "bp.dbp", at_us, row, about(b, 84, 9, 1000));
		put(b, i, "bp.pulse", at_us, row, about(b, 73, 10, 1000));
		if (i % 3 == 0 && n % 2)
			put(b, i, "glu.fasting", at_us + 1, row + 500, about(b, 7.5, 2.4, 100));
	}
}

static void fill(struct bench *b)
{
	script(b, "BEGIN IMMEDIATE");
	for (int64_t i = 1; i <= b->residents; i++)
		fill_resident(b, i);
	script(b, "COMMIT");
}

/* readings */

static void add(struct bench *b, struct reading *r, const char *kind, int64_t milli)
{
	const struct code *code = codes_find(b->codes, kind);
	if (!code)
		die(kind);
	r->quantities[r->n_quantities++] =
		(struct quantity){.code = code, .value = {milli, code->decimals}};
}

static struct reading *readings_make(struct bench *b)
{
	struct reading *all = calloc((size_t)b->readings, sizeof(*all));
	if (!all)
		die("no memory");
	for (long i = 0; i < b->readings; i++) {
		struct reading *r = &all[i];
		int64_t what = below(b, 100);
		if (what < 80) {
			add(b, r, "bp.sbp", about(b, 138, 15, 1000));
			add(b, r, "bp.dbp", about(b, 84, 9, 1000));
			add(b, r, "bp.pulse", about(b, 73, 10, 1000));
		} else if (what < 92) {
			add(b, r, "glu.fasting", about(b, 7.5, 2.4, 100));
		} else if (what < 97) {
			add(b, r, "spo2", about(b, 96, 2, 1000));
			add(b, r, "spo2.pulse", about(b, 73, 10, 1000));
		} else if (what < 99) {
			add(b, r, "weight", about(b, 65, 10, 10));
		} else {
			add(b, r, "temp", about(b, 36.6, 0.5, 100));
		}
	}
	return all;
}

/* measuring */

static int values(void *arg, const char *pattern, int64_t from_us, int64_t to_us,
	struct history_value *out, size_t max, size_t *ret_n)
{
	struct bench *b = arg;
	b->asked++;
	return b->history.values(b->history.arg, pattern, from_us, to_us, out, max, ret_n);
}

static void one(struct bench *b, const struct reading *r, int64_t resident)
{
	static struct limits limits;
	static struct judgement ret;
	struct person person;
	const struct history asked = {.values = values, .arg = b};
	b->of = (struct history_db){b->db, b->codes, resident, 0};
	b->history = history_of(&b->of);
	if (person_load(b->db, resident, day_of(NOW_US), &person) < 0 ||
		limit_load(b->db, b->rules, resident, NOW_US, true, &limits) < 0 ||
		judge(&(struct judge_input){.rules = b->rules,
			      .reading = r,
			      .person = &person,
			      .at_us = NOW_US,
			      .numbers = b->numbers,
			      .history = &asked,
			      .personal = limits.rules,
			      .n_personal = limits.n},
			&ret) < 0)
		die(db_error(b->db));
}

static double floor_us(struct bench *b)
{
	double begin = now_us();
	int64_t sum = 0;
	script(b, "BEGIN IMMEDIATE");
	for (long i = 0; i < b->readings; i++)
		sum += db_int(b->db, 0, "SELECT length(programmes) FROM resident WHERE id=?", "i",
			i * 7919 % b->residents + 1);
	script(b, "COMMIT");
	return sum ? (now_us() - begin) / (double)b->readings : 0;
}

static double judging_us(struct bench *b, const struct reading *all)
{
	double begin = now_us();
	unsigned before, asked = 0;
	script(b, "BEGIN IMMEDIATE");
	for (long i = 0; i < b->readings; i++) {
		before = b->asked;
		one(b, &all[i], i * 7919 % b->residents + 1);
		asked += b->asked > before;
	}
	script(b, "COMMIT");
	b->asked = asked;
	return (now_us() - begin) / (double)b->readings;
}

int main(int argc, char **argv)
{
	char error[400];
	struct bench b = {.dice = 88172645463325252ULL};
	if (argc != 7)
		die("DIR RULES RESIDENTS DAYS READINGS ROUNDS");
	b.residents = atol(argv[3]);
	b.days = atol(argv[4]);
	b.readings = atol(argv[5]);
	b.codes = codes_load("config", error, sizeof(error));
	b.rules = b.codes ? alert_rules_load(argv[2], b.codes, error, sizeof(error)) : NULL;
	b.numbers = b.rules ? numbers_load("config/followup.csv", error, sizeof(error)) : NULL;
	if (!b.numbers)
		die(error);
	clock_set_zone("Asia/Shanghai");
	if (db_open(argv[1], &b.db) < 0)
		die("no store");
	fill(&b);
	while (alert_rules_at(b.rules, b.n_rules))
		b.n_rules++;
	struct reading *all = readings_make(&b);
	judging_us(&b, all); /* what is read for the first time is another matter */
	for (long i = atol(argv[6]); i > 0; i--) {
		double floor = floor_us(&b);
		double judging = judging_us(&b, all);
		printf("%.3f %.3f %.4f %u\n", floor, judging, (double)b.asked / (double)b.readings,
			b.n_rules);
	}
	free(all);
	db_close(b.db);
	return 0;
}
