/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "followup.h"

#include "csv.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>

const struct form_names form_names[FORMS] = {
	{"hypertension", "hypertension_followup_v3", "htn"},
	{"t2dm", "t2dm_followup_v3", "t2dm"},
	{"copd", "copd_followup_2024plus", "copd"},
	{"elderly", "elderly_health_check_65plus", "elderly"},
};

#define FIELDS_MAX 256
#define KINDS_MAX 32

struct forms {
	char version[32];
	unsigned n, n_kinds;
	struct form_field fields[FIELDS_MAX];
	const char *kinds[KINDS_MAX]; /* point into the code table */
};

static const char *const fill_names[FILLS] = {[FILL_PERSON] = "",
	[FILL_VISIT_DATE] = "visit_date",
	[FILL_BP] = "bp",
	[FILL_BP_LEFT] = "bp_left",
	[FILL_BP_RIGHT] = "bp_right",
	[FILL_LAST] = "last",
	[FILL_HEIGHT] = "height",
	[FILL_BMI] = "bmi",
	[FILL_HEART_RATE] = "heart_rate",
	[FILL_FASTING] = "fasting",
	[FILL_OTHER_GLUCOSE] = "other_glucose",
	[FILL_AUX] = "aux",
	[FILL_NEXT_VISIT] = "next_visit",
	[FILL_CLASS] = "class",
	[FILL_REFERRAL] = "referral",
	[FILL_MEASURES] = "measures"};

const char *fill_name(enum fill f)
{
	return f < FILLS ? fill_names[f] : "";
}

static const char *column(const struct csv *csv, const char *name)
{
	const char *text = csv_get(csv, name);
	return text ? text : "";
}

static const char *add_kinds(struct forms *f, const struct codes *codes, const char *text)
{
	char copy[96], *save = NULL;
	text_copy(copy, sizeof(copy), text, strlen(text));
	for (char *k = strtok_r(copy, " ", &save); k; k = strtok_r(NULL, " ", &save)) {
		const struct code *code = codes_find(codes, k);
		bool known = false;
		for (unsigned i = 0; code && i < f->n_kinds; i++)
			known |= f->kinds[i] == code->kind;
		if (!code)
			return "kinds of codes.csv";
		if (!known && f->n_kinds == KINDS_MAX)
			return "fewer kinds";
		if (!known)
			f->kinds[f->n_kinds++] = code->kind;
	}
	return NULL;
}

/* "several of 1无症状 2头痛头晕 + 其他; remark": a number is one when its word follows at once. */
static void read_choices(struct form_field *to, const char *rule)
{
	static const char several[] = "several of ";
	to->several = strncmp(rule, several, strlen(several)) == 0;
	if (to->several)
		rule += strlen(several);
	size_t len = strcspn(rule, ";+");
	to->worded = rule[len] == '+';
	for (size_t i = 0; i + 1 < len; i++)
		if ((!i || rule[i - 1] == ' ') && rule[i] >= '1' && rule[i] <= '9' &&
			(uint8_t)rule[i + 1] >= 0x80)
			to->numbers |= UINT32_C(1) << (rule[i] - '0');
	if (to->numbers)
		text_copy(to->choices, sizeof(to->choices), rule, strcspn(rule, ";"));
}

/* What a rule needs in its line: kinds of a number that is counted, or none; and who may fill the field. */
static const char *check_fill(const struct form_field *to, const struct codes *codes)
{
	static const unsigned none = 1u << FILL_PERSON | 1u << FILL_VISIT_DATE |
				     1u << FILL_NEXT_VISIT | 1u << FILL_CLASS |
				     1u << FILL_REFERRAL | 1u << FILL_MEASURES;
	static const unsigned pair = 1u << FILL_BP | 1u << FILL_BP_LEFT | 1u << FILL_BP_RIGHT;
	static const unsigned open =
		1u << FILL_PERSON | 1u << FILL_CLASS | 1u << FILL_REFERRAL | 1u << FILL_MEASURES;
	char copy[96], *save = NULL;
	if (to->fillable != !(open & 1u << to->fill))
		return "device_fillable y where a rule fills, n where only a person does";
	if (!to->kinds[0] != !!(none & 1u << to->fill))
		return "kinds exactly where the rule looks at readings";
	if (pair & 1u << to->fill && !streq(to->kinds, "bp.sbp bp.dbp"))
		return "kinds bp.sbp bp.dbp";
	text_copy(copy, sizeof(copy), to->kinds, strlen(to->kinds));
	for (char *k = strtok_r(copy, " ", &save); k; k = strtok_r(NULL, " ", &save))
		if (to->fill != FILL_AUX && !codes_find(codes, k)->ucum[0])
			return "kinds that are numbers";
	return NULL;
}

/* NULL, or what was expected. */
static const char *add_field(struct forms *f, const struct codes *codes, const struct csv *csv)
{
	struct form_field *to = &f->fields[f->n];
	struct {
		const char *name;
		char *to;
		size_t size;
	} texts[] = {{"form", to->form, sizeof(to->form)}, {"key", to->key, sizeof(to->key)},
		{"ws_de", to->ws, sizeof(to->ws)}, {"label_zh", to->zh, sizeof(to->zh)},
		{"label_en", to->en, sizeof(to->en)}, {"kinds", to->kinds, sizeof(to->kinds)}};
	if (f->n == FIELDS_MAX)
		return "fewer fields";
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		if (!text_copy(texts[i].to, texts[i].size, column(csv, texts[i].name),
			    strlen(column(csv, texts[i].name))))
			return "shorter texts";
	if (!to->form[0] || !to->key[0] || !to->zh[0] || !to->en[0])
		return "form, key and both labels";
	if (forms_find(f, to->form, to->key))
		return "each key once";
	if (f->n && !streq(f->fields[f->n - 1].form, to->form) && forms_field(f, to->form, 0))
		return "the fields of a form side by side";
	to->fillable = streq(column(csv, "device_fillable"), "y");
	to->target = strstr(to->en, "(now / target)");
	while (!streq(fill_names[to->fill], column(csv, "fill")))
		if (++to->fill == FILLS)
			return "a fill that is a rule of ours";
	read_choices(to, column(csv, "rule"));
	const char *fault = add_kinds(f, codes, to->kinds);
	f->n++;
	return fault ? fault : check_fill(to, codes);
}

/* What persons may say of any visit. */
static const char *missing_key(const struct forms *f)
{
	static const char *const keys[] = {"visit_date", "visit_way", "classification",
		"complication", "referral", "referral_result", "next_visit_date"};
	for (unsigned i = 0; i < f->n; i++)
		for (size_t k = 0; k < ELEMENTS(keys); k++)
			if (!forms_find(f, f->fields[i].form, keys[k]))
				return keys[k];
	return NULL;
}

static int take_all(
	struct forms *f, const struct codes *codes, struct csv *csv, char *error, size_t error_size)
{
	int rc;
	const char *fault;
	while ((rc = csv_row(csv, error, error_size)) > 0)
		if ((fault = add_field(f, codes, csv))) {
			snprintf(error, error_size, "%s:%u: expected %s", csv->name, csv->line,
				fault);
			return -EINVAL;
		}
	if (rc == 0 && (fault = missing_key(f))) {
		snprintf(error, error_size, "%s: a form has no key %s", csv->name, fault);
		return -EINVAL;
	}
	return rc;
}

struct forms *forms_load(
	const char *path, const struct codes *codes, char *error, size_t error_size)
{
	struct csv csv;
	struct forms *f = calloc(1, sizeof(*f));
	if (!f || csv_open_file(&csv, path, error, error_size) < 0) {
		free(f);
		return NULL;
	}
	text_copy(f->version, sizeof(f->version), csv.version, strlen(csv.version));
	int rc = take_all(f, codes, &csv, error, error_size);
	csv_close(&csv);
	if (rc < 0) {
		free(f);
		return NULL;
	}
	return f;
}

void forms_free(struct forms *f)
{
	free(f);
}

const char *forms_version(const struct forms *f)
{
	return f->version;
}

const char *forms_kind(const struct forms *f, unsigned index)
{
	return index < f->n_kinds ? f->kinds[index] : NULL;
}

const struct form_field *forms_field(const struct forms *f, const char *form, unsigned index)
{
	unsigned i = 0;
	while (i < f->n && !streq(f->fields[i].form, form))
		i++;
	return index < f->n - i && streq(f->fields[i + index].form, form) ? &f->fields[i + index]
									  : NULL;
}

const struct form_field *forms_find(const struct forms *f, const char *form, const char *key)
{
	for (unsigned i = 0; i < f->n; i++)
		if (streq(f->fields[i].form, form) && streq(f->fields[i].key, key))
			return &f->fields[i];
	return NULL;
}
