/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Profiles with `bus: registers`: keys, checks, and the cut into blocks that are read at once. The keys are
 * explained in drivers/README.md; what an item does with its bytes stands in drivers/registers.c.
 */
#include "profile.h"

#include "util.h"

#include <assert.h>
#include <errno.h>
#include <vitalgate/registers.h>

#define ABSENT INT8_MAX /* exponent of a decimal that the file does not give */
#define DECIMALS_MAX 9

extern const struct vg_driver vg_registers;

struct file {
	struct profile profile;
	char kind[16];
	uint32_t max_interval_s;
	uint8_t address_base;
	yaml_node_t *items;
};

/* An item as it stands in the file. */
struct line {
	struct vg_registers_item item;
	uint8_t function, length;
	uint32_t address;
	bool flag;
	yaml_node_t *at, *invalid, *words;
};

static const char *const types[] = {
	"bit", "int16", "uint16", "int32", "uint32", "float32", "bcd16", "string", NULL};
static const char *const orders[] = {"ABCD", "CDAB", "BADC", "DCBA", NULL};
static const char *const word_places[] = {"note", "flag", NULL};

/* clang-format off */
static const struct yamlmap_key file_keys[] = {
	PROFILE_HEAD_KEYS,
	{YAMLMAP_FIELD(file, kind), .type = YAMLMAP_TEXT, .required = true},
	{YAMLMAP_FIELD(file, address_base), .type = YAMLMAP_NUMBER, .low = 0, .high = 1},
	{YAMLMAP_FIELD(file, max_interval_s), .type = YAMLMAP_NUMBER, .low = 1, .high = 86400},
	{YAMLMAP_FIELD(file, items), .type = YAMLMAP_NODE, .required = true},
};

#define AT(field_) .offset = offsetof(struct line, field_), .size = sizeof(((struct line *)0)->field_)
static const struct yamlmap_key item_keys[] = {
	{.name = "name", AT(item.name), .type = YAMLMAP_TEXT, .required = true},
	{.name = "fc", AT(function), .type = YAMLMAP_NUMBER, .required = true, .low = 1, .high = 4},
	{.name = "addr", AT(address), .type = YAMLMAP_NUMBER, .required = true, .low = 0, .high = 65536},
	{.name = "type", AT(item.type), .type = YAMLMAP_CHOICE, .required = true, .choices = types},
	{YAMLMAP_FIELD(line, length), .type = YAMLMAP_NUMBER, .low = 1, .high = VG_REGISTERS_STRING_MAX},
	{.name = "order", AT(item.order), .type = YAMLMAP_CHOICE, .choices = orders},
	{.name = "mask", AT(item.mask), .type = YAMLMAP_NUMBER, .low = 1, .high = UINT32_MAX},
	{.name = "shift", AT(item.shift), .type = YAMLMAP_NUMBER, .low = 0, .high = 31},
	{.name = "invert", AT(item.invert), .type = YAMLMAP_BOOL},
	{YAMLMAP_FIELD(line, invalid), .type = YAMLMAP_NODE},
	{.name = "enum", AT(words), .type = YAMLMAP_NODE},
	{.name = "as", AT(flag), .type = YAMLMAP_CHOICE, .choices = word_places},
	{.name = "scale", AT(item.scale), .type = YAMLMAP_DECIMAL},
	{.name = "offset", AT(item.offset), .type = YAMLMAP_DECIMAL},
	{.name = "min", AT(item.min), .type = YAMLMAP_DECIMAL},
	{.name = "max", AT(item.max), .type = YAMLMAP_DECIMAL},
	{.name = "decimals", AT(item.decimals), .type = YAMLMAP_NUMBER, .low = 0, .high = DECIMALS_MAX},
	{.name = "deadband", AT(item.deadband), .type = YAMLMAP_DECIMAL},
	{.name = "code", AT(item.code), .type = YAMLMAP_TEXT},
	{.name = "unit", AT(item.unit), .type = YAMLMAP_TEXT},
	{.name = "max_unchanged_s", AT(item.max_unchanged_s), .type = YAMLMAP_NUMBER, .low = 1, .high = 31622400},
};
/* clang-format on */
_Static_assert(ELEMENTS(item_keys) <= 64, "yamlmap_read() remembers 64 keys");

struct reader {
	struct yamlmap *y;
	const struct codes *codes;
	struct vg_registers *to;
	struct line lines[VG_REGISTERS_ITEMS_MAX];
	unsigned n_words;
};

#define REFUSE(r, l, ...) yamlmap_fail((r)->y, (l)->at, __VA_ARGS__)

static bool given(struct vg_decimal d)
{
	return d.exponent != ABSENT;
}

static uint8_t registers_of(const struct line *l)
{
	switch ((enum vg_registers_type)l->item.type) {
	case VG_REGISTERS_INT32:
	case VG_REGISTERS_UINT32:
	case VG_REGISTERS_FLOAT32:
		return 2;
	case VG_REGISTERS_STRING:
		return l->length;
	default:
		return 1;
	}
}

/* a single item */

static bool good_name(const char *name)
{
	return !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")];
}

/* Keys that mean nothing for the item's type would be a misunderstanding. */
static int check_keys(struct reader *r, const struct line *l)
{
	const struct vg_registers_item *i = &l->item;
	bool bit = i->type == VG_REGISTERS_BIT, text = i->type == VG_REGISTERS_STRING;
	bool scaled = given(i->scale) || given(i->offset) || given(i->min) || given(i->max) ||
		      given(i->deadband) || i->decimals != UINT8_MAX;
	if (!good_name(i->name))
		return REFUSE(r, l, "name: expected small letters, digits and '_'");
	if (l->function <= 2 && !bit)
		return REFUSE(r, l, "fc: 1 and 2 read bits; this type is read with 3 or 4");
	if (text != (l->length > 0))
		return REFUSE(r, l, "length: a string needs its registers, nothing else has it");
	if ((bit || text) && (scaled || l->invalid || i->mask))
		return REFUSE(r, l,
			"scale, offset, min, max, decimals, deadband, invalid and mask are for "
			"numbers");
	if ((i->type == VG_REGISTERS_FLOAT32 || text) && (i->mask || i->shift))
		return REFUSE(r, l, "mask, shift: not for this type");
	if (i->shift >= (l->function <= 2 ? 1 : 16 * registers_of(l)))
		return REFUSE(r, l, "shift: there are not so many bits");
	if (i->invert && !bit)
		return REFUSE(r, l, "invert: only for a bit");
	if (text && (i->code[0] || l->words))
		return REFUSE(r, l, "code, enum: a string is a note and no number");
	if (l->flag && !l->words)
		return REFUSE(r, l, "as: there is no enum whose words could be flags");
	return 0;
}

static int check_address(struct reader *r, struct line *l, unsigned base)
{
	if (l->address < base)
		return REFUSE(r, l, "addr: with address_base: 1 the first address is 1");
	l->address -= base;
	if (l->address + registers_of(l) > 65536)
		return REFUSE(r, l, "addr: there are 65536 addresses");
	return 0;
}

static bool whole_number(const char *text, uint32_t *ret)
{
	int64_t mantissa;
	int8_t exponent;
	if (text && strncmp(text, "0x", 2) == 0 && text[2] &&
		!text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] && strlen(text) <= 10) {
		*ret = (uint32_t)strtoul(text, NULL, 16);
		return true;
	}
	if (!text || !yamlmap_decimal(text, &mantissa, &exponent) || exponent || mantissa < 0 ||
		mantissa > UINT32_MAX)
		return false;
	*ret = (uint32_t)mantissa;
	return true;
}

static int read_invalid(struct reader *r, struct line *l)
{
	struct vg_registers_item *i = &l->item;
	yaml_node_t *at;
	if (!l->invalid)
		return 0;
	while ((at = yamlmap_item(r->y, l->invalid, i->n_invalid))) {
		if (i->n_invalid == VG_REGISTERS_INVALID_MAX ||
			!whole_number(yamlmap_text(at), &i->invalid[i->n_invalid]))
			break;
		i->n_invalid++;
	}
	if (at || !i->n_invalid)
		return REFUSE(r, l,
			"invalid: expected a list of 1 to %d bare values, such as [0x7fff, 32768]",
			VG_REGISTERS_INVALID_MAX);
	return 0;
}

static int read_words(struct reader *r, struct line *l)
{
	struct vg_registers_item *i = &l->item;
	const char *name;
	yaml_node_t *at;
	if (!l->words)
		return 0;
	i->word = (uint8_t)r->n_words;
	for (; yamlmap_pair(r->y, l->words, i->n_words, &name, &at); i->n_words++) {
		if (r->n_words == VG_REGISTERS_WORDS_MAX)
			return REFUSE(r, l, "enum: at most %d words in a profile",
				VG_REGISTERS_WORDS_MAX);
		struct vg_registers_word *w = &r->to->words[r->n_words++];
		const char *text = yamlmap_text(at);
		if (!whole_number(name, &w->number) || !text || !text[0] || !good_name(text) ||
			!text_copy(w->text, sizeof(w->text), text, strlen(text)))
			return yamlmap_fail(r->y, at,
				"enum: expected NUMBER: WORD, the word of at most %zu small "
				"letters, digits and '_'",
				sizeof(w->text) - 1);
	}
	return i->n_words ? 0 : REFUSE(r, l, "enum: expected lines \"NUMBER: WORD\"");
}

/* Without limits of its own an item has those of its code: a number that cannot be true must not take the
 * others of the reading along. */
static int check_code(struct reader *r, struct line *l)
{
	struct vg_registers_item *i = &l->item;
	struct value v;
	if (!i->code[0])
		return 0;
	const struct code *code = codes_find(r->codes, i->code);
	if (!code)
		return REFUSE(r, l, "code: \"%s\" is not in codes.csv", i->code);
	if (i->type == VG_REGISTERS_BIT && !i->unit[0])
		text_copy(i->unit, sizeof(i->unit), code->ucum, strlen(code->ucum));
	if (!i->unit[0] ||
		codes_convert(r->codes, code, (struct vg_decimal){1, 0}, i->unit, &v) == -EINVAL)
		return REFUSE(r, l, "unit: expected %s or a unit that units.csv converts to it",
			code->ucum);
	if (i->type == VG_REGISTERS_BIT)
		return 0;
	if (streq(i->unit, code->ucum) && code->min_milli <= code->max_milli) {
		i->min = given(i->min) ? i->min : (struct vg_decimal){code->min_milli, -3};
		i->max = given(i->max) ? i->max : (struct vg_decimal){code->max_milli, -3};
	}
	if (!given(i->min) || !given(i->max))
		return REFUSE(r, l, "min, max: both are needed with this unit");
	if (codes_convert(r->codes, code, i->min, i->unit, &v) < 0 ||
		codes_convert(r->codes, code, i->max, i->unit, &v) < 0)
		return REFUSE(
			r, l, "min, max: outside the plausible range of %s in codes.csv", i->code);
	return 0;
}

static int read_item(struct reader *r, struct line *l, unsigned base)
{
	static const struct vg_decimal absent = {0, ABSENT}, zero = {0, 0}, one = {1, 0};
	struct vg_registers_item *i = &l->item;
	i->scale = i->offset = i->min = i->max = i->deadband = absent;
	i->decimals = UINT8_MAX;
	int rc = yamlmap_read(r->y, l->at, item_keys, ELEMENTS(item_keys), l);
	if (rc >= 0)
		rc = check_keys(r, l);
	if (rc >= 0)
		rc = check_address(r, l, base);
	if (rc >= 0)
		rc = read_invalid(r, l);
	if (rc >= 0)
		rc = read_words(r, l);
	if (rc >= 0)
		rc = check_code(r, l);
	if (rc < 0)
		return rc;
	i->scale = given(i->scale) ? i->scale : one;
	i->offset = given(i->offset) ? i->offset : zero;
	i->decimals = MIN(i->decimals, DECIMALS_MAX);
	i->has_min = given(i->min);
	i->has_max = given(i->max);
	i->has_deadband = given(i->deadband);
	i->has_mask = i->mask != 0;
	i->flag = l->flag;
	i->size = (uint8_t)(l->function <= 2 ? 1 : 2 * registers_of(l));
	snprintf(i->stuck, sizeof(i->stuck), "%s_stuck", i->name);
	return 0;
}

/* all items */

static int check_pairs(struct reader *r, unsigned n)
{
	const struct vg_registers_item *a = &r->lines[n].item;
	for (unsigned k = 0; k < n; k++) {
		const struct vg_registers_item *b = &r->lines[k].item;
		if (streq(a->name, b->name))
			return REFUSE(r, &r->lines[n], "name: \"%s\" is there twice", a->name);
		if (a->code[0] && streq(a->code, b->code) &&
			(a->type != VG_REGISTERS_BIT || b->type != VG_REGISTERS_BIT))
			return REFUSE(r, &r->lines[n],
				"code: only bits may share one, and are then one number; see item "
				"%s",
				b->name);
	}
	return 0;
}

/* What a reading may carry is limited, whatever the slave says. */
static int check_totals(struct reader *r, const struct file *f)
{
	unsigned numbers = 0, notes = 0, flags = 0;
	bool deadband = false;
	for (unsigned k = 0; k < r->to->n_items; k++) {
		const struct vg_registers_item *i = &r->lines[k].item;
		numbers += i->code[0] != 0;
		notes += !i->flag && (!i->code[0] || i->n_words);
		flags += i->flag + (i->max_unchanged_s > 0);
		deadband |= i->has_deadband;
	}
	if (!numbers || numbers > VG_QUANTITIES_MAX)
		return yamlmap_fail(
			r->y, f->items, "items: 1 to %d of them have a code", VG_QUANTITIES_MAX);
	if (notes > VG_NOTES_MAX || flags > VG_FLAGS_MAX)
		return yamlmap_fail(r->y, f->items,
			"items: at most %d can be notes, and %d flags, max_unchanged_s included",
			VG_NOTES_MAX, VG_FLAGS_MAX);
	if (deadband && !f->max_interval_s)
		return yamlmap_fail(r->y, f->items,
			"deadband: only with max_interval_s; else each round is a reading");
	return 0;
}

static bool goes_before(const struct line *a, const struct line *b)
{
	return a->function != b->function ? a->function < b->function : a->address < b->address;
}

/* A block has no hole: one address that the slave does not have would take the others with it. */
static void cut_blocks(struct reader *r)
{
	struct line *sorted[VG_REGISTERS_ITEMS_MAX];
	struct vg_registers_block *b = NULL;
	for (unsigned n = 0; n < r->to->n_items; n++) {
		unsigned k = n;
		for (; k && goes_before(&r->lines[n], sorted[k - 1]); k--)
			sorted[k] = sorted[k - 1];
		sorted[k] = &r->lines[n];
	}
	for (unsigned n = 0; n < r->to->n_items; n++) {
		struct line *l = sorted[n];
		unsigned width = l->function <= 2 ? 1 : 2;
		uint32_t end = l->address + registers_of(l);
		if (!b || b->function != l->function || l->address > b->address + b->count ||
			(end - b->address) * width > VG_REGISTERS_BYTES_MAX) {
			b = &r->to->blocks[r->to->n_blocks++];
			b->function = l->function;
			b->address = (uint16_t)l->address;
		}
		b->count = (uint16_t)MAX(b->count, end - b->address);
		l->item.block = (uint8_t)(b - r->to->blocks);
		l->item.at = (uint8_t)((l->address - b->address) * width);
	}
}

static int read_items(struct reader *r, const struct file *f)
{
	yaml_node_t *at;
	while ((at = yamlmap_item(r->y, f->items, r->to->n_items))) {
		if (r->to->n_items == VG_REGISTERS_ITEMS_MAX)
			return yamlmap_fail(r->y, at, "items: at most %d", VG_REGISTERS_ITEMS_MAX);
		struct line *l = &r->lines[r->to->n_items];
		l->at = at;
		int rc = read_item(r, l, f->address_base);
		if (rc >= 0)
			rc = check_pairs(r, r->to->n_items);
		if (rc < 0)
			return rc;
		r->to->n_items++;
	}
	int rc = check_totals(r, f);
	if (rc < 0)
		return rc;
	cut_blocks(r);
	for (unsigned n = 0; n < r->to->n_items; n++)
		r->to->items[n] = r->lines[n].item;
	return 0;
}

int profile_registers_read(
	struct yamlmap *y, yaml_node_t *root, const struct codes *codes, struct profile *p)
{
	struct file f = {.profile = *p};
	int rc = yamlmap_read(y, root, file_keys, ELEMENTS(file_keys), &f);
	if (rc < 0)
		return rc;
	_cleanup_(freep) struct reader *r = calloc(1, sizeof(*r));
	_cleanup_(freep) struct vg_registers *to = calloc(1, sizeof(*to));
	if (!r || !to)
		return -ENOMEM;
	*r = (struct reader){.y = y, .codes = codes, .to = to};
	text_copy(to->kind, sizeof(to->kind), f.kind, strlen(f.kind));
	to->max_interval_s = f.max_interval_s;
	rc = read_items(r, &f);
	if (rc < 0)
		return rc;
	*p = f.profile;
	p->body = TAKE(to);
	p->driver = vg_registers;
	return 0;
}
