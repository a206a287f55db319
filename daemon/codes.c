/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loads the vocabulary and converts numbers. A conversion is (value + add) x multiply / divide; all
 * parts are fractions of integers, held small enough by the limits below that nothing overflows 128
 * bits: value + add 87 bits, x multiply 27, x decimals 10, x 2 for rounding 1: 125 bits.
 */
#include "codes.h"

#include <errno.h>
#include <stdarg.h>

#include "csv.h"
#include "util.h"

#define FACTOR_MAX 100000000 /* add's digits, and both sides of multiply / divide when reduced */
#define ADD_DECIMALS_MAX 5
#define NUMBER_DECIMALS_MAX 18

struct unit {
	char family[16];
	char unit[32]; /* folded */
	int64_t add;
	unsigned add_decimals;
	int64_t multiply, divide; /* reduced */
};

struct local {
	char driver[24];
	char local[VG_TEXT_MAX + 1]; /* folded */
	const struct code *code;
};

struct codes {
	struct code *codes;
	struct unit *units;
	struct local *locals;
	size_t n_codes, n_units, n_locals;
	char version[128];
};

static const char *codes_files[] = {"codes", "units", "local_codes"};

struct loader {
	struct codes *codes;
	struct csv csv;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 2, 3)))
codes_fail(struct loader *l, const char *format, ...)
{
	int n = snprintf(l->error, l->error_size, "%s:%u: ", l->csv.name, l->csv.line);
	size_t used = MIN((size_t)MAX(n, 0), l->error_size);
	va_list args;
	va_start(args, format);
	vsnprintf(l->error + used, l->error_size - used, format, args);
	va_end(args);
	return -EINVAL;
}

/* Lower case, without blanks; false when `out` is too small. */
static bool codes_fold(char *out, size_t size, const char *text)
{
	size_t n = 0;
	for (; *text; text++) {
		if (*text == ' ' || *text == '\t')
			continue;
		if (n + 1 >= size)
			return false;
		out[n++] = (char)(*text >= 'A' && *text <= 'Z' ? *text - 'A' + 'a' : *text);
	}
	out[n] = 0;
	return true;
}

static int64_t codes_ten(unsigned power)
{
	int64_t value = 1;
	while (power--)
		value *= 10;
	return value;
}

/* "-32", "7.50062": exact, at most 15 digits, trailing zeros of the mantissa moved to the exponent.
 */
static bool codes_decimal(const char *text, struct vg_decimal *ret_value)
{
	struct vg_decimal v = {0};
	bool minus = *text == '-', point = false, digit = false;
	for (text += minus; *text; text++) {
		if (*text == '.' && !point && digit) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9' || v.mantissa >= codes_ten(14) || v.exponent < -15)
			return false;
		digit = true;
		v.mantissa = v.mantissa * 10 + (*text - '0');
		v.exponent = (int8_t)(v.exponent - point);
	}
	if (!digit)
		return false;
	while (v.mantissa && v.mantissa % 10 == 0) {
		v.mantissa /= 10;
		v.exponent++;
	}
	if (!v.mantissa)
		v.exponent = 0;
	v.mantissa = minus ? -v.mantissa : v.mantissa;
	*ret_value = v;
	return true;
}

/* The field of this row; NULL, and the sentence written, when it is missing. */
static const char *codes_field(struct loader *l, const char *column, bool required)
{
	const char *text = csv_get(&l->csv, column);
	if (!text)
		codes_fail(l, "the table has no column \"%s\"", column);
	else if (required && !*text)
		codes_fail(l, "\"%s\" is empty", column);
	else
		return text;
	return NULL;
}

static int codes_text(struct loader *l, const char *column, char *out, size_t size, bool required)
{
	const char *text = codes_field(l, column, required);
	if (!text)
		return -EINVAL;
	if (!text_copy(out, size, text, strlen(text)))
		return codes_fail(l, "\"%s\" is longer than %zu bytes", column, size - 1);
	return 0;
}

/* A number in thousandths; 1 = the field is empty. */
static int codes_milli(struct loader *l, const char *column, int64_t *ret_milli)
{
	char text[24];
	struct vg_decimal v;
	int r = codes_text(l, column, text, sizeof(text), false);
	if (r < 0)
		return r;
	if (!text[0])
		return 1;
	if (!codes_decimal(text, &v) || v.exponent < -3 || v.mantissa > codes_ten(9) ||
		v.mantissa < -codes_ten(9) || v.exponent > 6)
		return codes_fail(l,
			"\"%s\" must be a number with at most 3 decimals, and is \"%s\"", column,
			text);
	*ret_milli = v.mantissa * codes_ten((unsigned)(v.exponent + 3));
	return 0;
}

static int codes_range(struct loader *l, struct code *code)
{
	int low = codes_milli(l, "min", &code->min_milli);
	int high = low < 0 ? low : codes_milli(l, "max", &code->max_milli);
	if (high < 0)
		return high;
	if (low != high)
		return codes_fail(l, "give both \"min\" and \"max\", or none");
	if (low == 1) {
		code->min_milli = 1;
		code->max_milli = 0;
	} else if (code->min_milli > code->max_milli) {
		return codes_fail(l, "\"min\" is above \"max\"");
	}
	return 0;
}

static int codes_read_code(struct loader *l, void *row)
{
	struct code *c = row;
	char decimals[8];
	const struct {
		const char *column;
		char *out;
		size_t size;
		bool required;
	} texts[] = {
		{"kind", c->kind, sizeof(c->kind), true},
		{"name_zh", c->name_zh, sizeof(c->name_zh), true},
		{"name_en", c->name_en, sizeof(c->name_en), true},
		{"ws_de", c->ws, sizeof(c->ws), false},
		{"mdc", c->mdc, sizeof(c->mdc), false},
		{"loinc", c->loinc, sizeof(c->loinc), false},
		{"ucum", c->ucum, sizeof(c->ucum), false},
		{"family", c->family, sizeof(c->family), false},
		{"decimals", decimals, sizeof(decimals), true},
	};
	for (size_t i = 0; i < ELEMENTS(texts); i++) {
		int r = codes_text(
			l, texts[i].column, texts[i].out, texts[i].size, texts[i].required);
		if (r < 0)
			return r;
	}
	if (!codes_field(l, "source", true))
		return -EINVAL;
	for (size_t i = 0; i < l->codes->n_codes; i++)
		if (streq(l->codes->codes[i].kind, c->kind))
			return codes_fail(l, "kind \"%s\" is there twice", c->kind);
	if (decimals[0] < '0' || decimals[0] > '3' || decimals[1])
		return codes_fail(l, "\"decimals\" must be 0, 1, 2 or 3, and is \"%s\"", decimals);
	c->decimals = (uint8_t)(decimals[0] - '0');
	if (!c->ucum[0] != !c->family[0])
		return codes_fail(l, "give both \"ucum\" and \"family\", or none");
	return codes_range(l, c);
}

/* An exact decimal of units.csv as mantissa and exponent; `fallback` when the field is empty. */
static int codes_factor(
	struct loader *l, const char *column, int fallback, struct vg_decimal *ret_factor)
{
	const char *text = codes_field(l, column, false);
	if (!text)
		return -EINVAL;
	struct vg_decimal f = {.mantissa = fallback};
	if (*text &&
		(!codes_decimal(text, &f) || f.mantissa > FACTOR_MAX || f.mantissa < -FACTOR_MAX))
		return codes_fail(l, "\"%s\" must be a number of at most 8 digits, and is \"%s\"",
			column, text);
	if (fallback && f.mantissa <= 0)
		return codes_fail(l, "\"%s\" must be above 0, and is \"%s\"", column, text);
	*ret_factor = f;
	return 0;
}

/* multiply / divide as a reduced fraction of integers. */
static int codes_fraction(struct loader *l, struct unit *u)
{
	struct vg_decimal multiply, divide;
	int r = codes_factor(l, "multiply", 1, &multiply);
	r = r < 0 ? r : codes_factor(l, "divide", 1, &divide);
	if (r < 0)
		return r;
	int power = multiply.exponent - divide.exponent;
	if (power < -9 || power > 9)
		return codes_fail(l, "\"multiply\" and \"divide\" lie too far apart");
	u->multiply = multiply.mantissa * codes_ten(power > 0 ? (unsigned)power : 0);
	u->divide = divide.mantissa * codes_ten(power < 0 ? (unsigned)-power : 0);
	int64_t a = u->multiply, b = u->divide;
	while (b) {
		int64_t rest = a % b;
		a = b;
		b = rest;
	}
	u->multiply /= a;
	u->divide /= a;
	if (u->multiply > FACTOR_MAX || u->divide > FACTOR_MAX)
		return codes_fail(l, "\"multiply\" / \"divide\" has too many digits");
	return 0;
}

static int codes_read_unit(struct loader *l, void *row)
{
	struct unit *u = row;
	struct vg_decimal add;
	int r = codes_text(l, "family", u->family, sizeof(u->family), true);
	const char *unit = r < 0 ? NULL : codes_field(l, "unit", true);
	if (!unit || !codes_field(l, "source", true))
		return -EINVAL;
	if (!codes_fold(u->unit, sizeof(u->unit), unit))
		return codes_fail(l, "\"unit\" is longer than %zu bytes", sizeof(u->unit) - 1);
	for (size_t i = 0; i < l->codes->n_units; i++)
		if (streq(l->codes->units[i].family, u->family) &&
			streq(l->codes->units[i].unit, u->unit))
			return codes_fail(l, "%s %s is there twice", u->family, unit);
	size_t i = 0;
	while (i < l->codes->n_codes && !streq(l->codes->codes[i].family, u->family))
		i++;
	if (i == l->codes->n_codes)
		return codes_fail(l, "no kind of codes.csv has the family \"%s\"", u->family);
	r = codes_factor(l, "add", 0, &add);
	if (r < 0)
		return r;
	if (add.exponent < -ADD_DECIMALS_MAX || add.exponent > 3)
		return codes_fail(l, "\"add\" has too many digits");
	u->add = add.mantissa * codes_ten(add.exponent > 0 ? (unsigned)add.exponent : 0);
	u->add_decimals = add.exponent < 0 ? (unsigned)-add.exponent : 0;
	if (u->add > FACTOR_MAX || u->add < -FACTOR_MAX)
		return codes_fail(l, "\"add\" has too many digits");
	return codes_fraction(l, u);
}

static int codes_read_local(struct loader *l, void *row)
{
	struct local *local = row;
	int r = codes_text(l, "driver", local->driver, sizeof(local->driver), true);
	const char *name = r < 0 ? NULL : codes_field(l, "local", true);
	const char *kind = name ? codes_field(l, "kind", true) : NULL;
	if (!kind || !codes_field(l, "source", true))
		return -EINVAL;
	if (!codes_fold(local->local, sizeof(local->local), name))
		return codes_fail(
			l, "\"local\" is longer than %zu bytes", sizeof(local->local) - 1);
	local->code = codes_find(l->codes, kind);
	if (!local->code)
		return codes_fail(l, "codes.csv has no kind \"%s\"", kind);
	if (codes_local(l->codes, local->driver, local->local))
		return codes_fail(l, "%s %s is there twice", local->driver, name);
	return 0;
}

/* Reads one table into an array of rows of `size` bytes; the count grows row by row, so that the
 * row readers can look at what is there. */
static int codes_read(struct loader *l, size_t size, int (*read_row)(struct loader *l, void *row),
	void *ret_rows, size_t *ret_n)
{
	int r;
	for (;;) {
		r = csv_row(&l->csv, l->error, l->error_size);
		if (r <= 0)
			break;
		if (*ret_n == CODES_ROWS_MAX)
			return codes_fail(l, "the table has more than %d rows", CODES_ROWS_MAX);
		char *rows = reallocarray(*(void **)ret_rows, *ret_n + 1, size);
		if (!rows)
			return codes_fail(l, "%s", strerror(ENOMEM));
		*(void **)ret_rows = rows;
		memset(rows + *ret_n * size, 0, size);
		r = read_row(l, rows + *ret_n * size);
		if (r < 0)
			return r;
		++*ret_n;
	}
	if (r == 0 && !*ret_n)
		return codes_fail(l, "the table has no rows");
	return r;
}

static int codes_compare(const void *a, const void *b)
{
	return strcmp(((const struct code *)a)->kind, ((const struct code *)b)->kind);
}

static int codes_load_table(struct loader *l, const char *dir, size_t table)
{
	struct codes *c = l->codes;
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s.csv", dir, codes_files[table]);
	int r = csv_open_file(&l->csv, path, l->error, l->error_size);
	if (r < 0)
		return r;
	size_t used = strlen(c->version);
	snprintf(c->version + used, sizeof(c->version) - used, "%s%s:%s", used ? " " : "",
		codes_files[table], l->csv.version[0] ? l->csv.version : "?");
	if (table == 0)
		r = codes_read(l, sizeof(*c->codes), codes_read_code, &c->codes, &c->n_codes);
	else if (table == 1)
		r = codes_read(l, sizeof(*c->units), codes_read_unit, &c->units, &c->n_units);
	else
		r = codes_read(l, sizeof(*c->locals), codes_read_local, &c->locals, &c->n_locals);
	if (r == 0 && table == 0) /* for codes_find() */
		qsort(c->codes, c->n_codes, sizeof(*c->codes), codes_compare);
	csv_close(&l->csv);
	return r;
}

struct codes *codes_load(const char *dir, char *error, size_t error_size)
{
	struct loader l = {
		.codes = calloc(1, sizeof(struct codes)),
		.error = error,
		.error_size = error_size,
	};
	if (!l.codes) {
		snprintf(error, error_size, "%s: %s", dir, strerror(ENOMEM));
		return NULL;
	}
	/* The order matters: units name families and local names name kinds of the first table. */
	for (size_t i = 0; i < ELEMENTS(codes_files); i++) {
		if (codes_load_table(&l, dir, i) < 0) {
			codes_free(l.codes);
			return NULL;
		}
	}
	return l.codes;
}

void codes_free(struct codes *c)
{
	if (!c)
		return;
	free(c->codes);
	free(c->units);
	free(c->locals);
	free(c);
}

const char *codes_version(const struct codes *c)
{
	return c->version;
}

const struct code *codes_at(const struct codes *c, size_t index)
{
	return index < c->n_codes ? &c->codes[index] : NULL;
}

const struct code *codes_find(const struct codes *c, const char *kind)
{
	size_t low = 0, high = c->n_codes;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(kind, c->codes[middle].kind);
		if (order == 0)
			return &c->codes[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct code *codes_local(const struct codes *c, const char *driver, const char *local)
{
	char folded[VG_TEXT_MAX + 1];
	if (!codes_fold(folded, sizeof(folded), local))
		return NULL;
	for (size_t i = 0; i < c->n_locals; i++)
		if (streq(c->locals[i].local, folded) && streq(c->locals[i].driver, driver))
			return c->locals[i].code;
	return NULL;
}

/* How a number in `unit` becomes one in the kind's canonical unit; false when nobody knows. */
static bool codes_unit(
	const struct codes *c, const struct code *code, const char *unit, struct unit *ret_unit)
{
	char folded[sizeof(ret_unit->unit)], canonical[sizeof(ret_unit->unit)];
	if (!codes_fold(folded, sizeof(folded), unit) ||
		!codes_fold(canonical, sizeof(canonical), code->ucum))
		return false;
	if (!folded[0] || streq(folded, canonical)) {
		*ret_unit = (struct unit){.multiply = 1, .divide = 1};
		return true;
	}
	for (size_t i = 0; i < c->n_units; i++) {
		if (streq(c->units[i].family, code->family) && streq(c->units[i].unit, folded)) {
			*ret_unit = c->units[i];
			return true;
		}
	}
	return false;
}

/* Brings the exponent into -NUMBER_DECIMALS_MAX..0 without changing the value. */
static bool codes_settle(struct vg_decimal *number)
{
	int64_t m = number->mantissa;
	int e = m ? number->exponent : 0;
	for (; e < 0 && m % 10 == 0; e++)
		m /= 10;
	for (; e > 0; e--) {
		if (m > INT64_MAX / 10 || m < INT64_MIN / 10)
			return false;
		m *= 10;
	}
	*number = (struct vg_decimal){.mantissa = m, .exponent = (int8_t)e};
	return e >= -NUMBER_DECIMALS_MAX;
}

int codes_convert(const struct codes *c, const struct code *code, struct vg_decimal number,
	const char *unit, struct value *ret_value)
{
	struct unit u;
	if (!codes_unit(c, code, unit ? unit : "", &u))
		return -EINVAL;
	if (!codes_settle(&number))
		return -EOVERFLOW;
	unsigned places = (unsigned)-number.exponent;
	__int128 over = (__int128)number.mantissa * codes_ten(u.add_decimals) +
			(__int128)u.add * codes_ten(places);
	over *= u.multiply * codes_ten(code->decimals);
	__int128 under = (__int128)codes_ten(places) * codes_ten(u.add_decimals) * u.divide;
	bool minus = over < 0;
	__int128 rounded = ((minus ? -over : over) * 2 + under) / (under * 2);
	int64_t step = codes_ten(3u - code->decimals);
	if (rounded > INT64_MAX / step)
		return -EOVERFLOW;
	int64_t milli = (int64_t)rounded * step;
	milli = minus ? -milli : milli;
	*ret_value = (struct value){.milli = milli, .decimals = code->decimals};
	bool ranged = code->min_milli <= code->max_milli;
	return ranged && (milli < code->min_milli || milli > code->max_milli) ? -ERANGE : 0;
}
