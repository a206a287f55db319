/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Profiles of lines: YAML into struct vg_line. What each key means stands in drivers/README.md. */
#include "profile.h"

#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <vitalgate/line.h>
#include <vitalgate/pattern.h>

#define FLAG_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

static const char *const modes[] = {"reading", "samples", NULL};
static const char *const layouts[] = {"columns", "separated", "pairs", NULL};
static const char *const kinds[] = {
	"bp", "glucose", "spo2", "weight", "temperature", "lab", "environment", NULL};
static const char *const whats[] = {"quantity", "time", "flags", "bits", "error", "patient", NULL};

/* What one file says, on its way into the profile. */
struct line_file {
	struct profile profile; /* first: PROFILE_HEAD_KEYS */
	int8_t mode, kind, layout;
	char separator[2], assign[2], pieces[8];
	bool stx, live;
	yaml_node_t *match, *ignore, *fields, *without_value, *notes;
};

struct field_file {
	char at[16];
	bool optional;
	char kind[32], unit[16], format[32], other[VG_LINE_FLAG_MAX + 1];
	struct vg_decimal scale;
	yaml_node_t *listed, *words;
};

struct reader {
	struct yamlmap *y;
	const struct codes *codes;
	struct vg_line *line;
	unsigned seen[ELEMENTS(whats)]; /* fields of each kind */
};

/* small things */

/* "5", "5-7", "5-" (to = 0). */
static bool range_of(const char *text, long most, uint16_t *ret_from, uint16_t *ret_to)
{
	char *end;
	long from = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : 0, to = from;
	if (from < 1 || from > most)
		return false;
	if (*end == '-' && !end[1])
		to = 0;
	else if (*end == '-')
		to = isdigit((unsigned char)end[1]) ? strtol(end + 1, &end, 10) : -1;
	if ((to && (*end || to < from)) || to > most)
		return false;
	*ret_from = (uint16_t)from;
	*ret_to = (uint16_t)to;
	return true;
}

/* A list of texts into `size` bytes each; an absent list has none. */
static int texts_read(struct reader *r, const char *name, const yaml_node_t *list, char *out,
	size_t size, size_t most, size_t *ret_n)
{
	yaml_node_t *at;
	size_t n = 0;
	if (list && list->type != YAML_SEQUENCE_NODE)
		return yamlmap_fail(
			r->y, list, "%s: expected a list of texts, such as [\"---\"]", name);
	for (; (at = yamlmap_item(r->y, list, n)); n++) {
		const char *text = yamlmap_text(at);
		if (n == most)
			return yamlmap_fail(r->y, at, "%s: at most %zu", name, most);
		if (!text || !text_copy(out + n * size, size, text, strlen(text)))
			return yamlmap_fail(r->y, at,
				"%s: expected a text of at most %zu characters", name, size - 1);
	}
	*ret_n = n;
	return 0;
}

/* "" is no flag; a new one is added to the profile's. */
static int flag_read(
	struct reader *r, const yaml_node_t *at, const char *name, const char *flag, uint16_t *ret)
{
	struct vg_line *l = r->line;
	size_t i = 0, n = flag ? strlen(flag) : 0;
	*ret = 0;
	if (!flag || strspn(flag, FLAG_CHARACTERS) != n || n > VG_LINE_FLAG_MAX)
		return yamlmap_fail(r->y, at,
			"%s: expected a flag of small letters, digits and '_', at most %d, or "
			"\"\" for "
			"none",
			name, VG_LINE_FLAG_MAX);
	if (!n)
		return 0;
	while (i < l->n_flags && !streq(l->flags[i], flag))
		i++;
	if (i == VG_FLAGS_MAX)
		return yamlmap_fail(
			r->y, at, "%s: at most %d flags in one profile", name, VG_FLAGS_MAX);
	if (i == l->n_flags)
		text_copy(l->flags[l->n_flags++], sizeof(l->flags[0]), flag, n);
	*ret = (uint16_t)(1u << i);
	return 0;
}

/* words */

/* A hexadecimal number with exactly one bit. */
static bool bit_of(const char *text, uint32_t *ret)
{
	char *end;
	if (strncmp(text, "0x", 2) != 0 || vg_hex_digit(text[2]) == 16 || strlen(text) > 10)
		return false;
	unsigned long value = strtoul(text + 2, &end, 16);
	*ret = (uint32_t)value;
	return !*end && value && !(value & (value - 1));
}

static int word_read(struct reader *r, struct vg_line_field *f, const char *name, const char *text,
	const yaml_node_t *at)
{
	struct vg_line_word *words = r->line->words + f->word, *w = words + f->n_words;
	if (f->word + f->n_words == VG_LINE_WORDS_MAX)
		return yamlmap_fail(r->y, at, "%s: at most %d words, bits and marks in one profile",
			name, VG_LINE_WORDS_MAX);
	if (f->what == VG_LINE_BITS && !bit_of(text, &w->bit))
		return yamlmap_fail(
			r->y, at, "bits: expected one bit such as 0x004, found \"%.40s\"", text);
	if (f->what != VG_LINE_BITS &&
		(!*text || strchr(text, ' ') ||
			!text_copy(w->text, sizeof(w->text), text, strlen(text))))
		return yamlmap_fail(r->y, at,
			"%s: expected a word of 1 to %d characters without blanks, found "
			"\"%.40s\"",
			name, VG_LINE_WORD_MAX, text);
	for (size_t i = 0; i < f->n_words; i++)
		if (words[i].bit == w->bit && strcasecmp(words[i].text, w->text) == 0)
			return yamlmap_fail(r->y, at, "%s: \"%s\" is there twice", name, text);
	f->n_words++;
	return flag_read(r, at, name, yamlmap_text(at), &w->flags);
}

/* A mapping of words, bits or marks to flags; it may be absent. */
static int words_read(
	struct reader *r, struct vg_line_field *f, const char *name, const yaml_node_t *map)
{
	const struct vg_line_field *before = f > r->line->fields ? f - 1 : NULL;
	const char *text;
	yaml_node_t *at;
	f->word = before ? (uint8_t)(before->word + before->n_words) : 0;
	if (map && map->type != YAML_MAPPING_NODE)
		return yamlmap_fail(
			r->y, map, "%s: expected a mapping to flags, such as {X: flag}", name);
	for (size_t i = 0; yamlmap_pair(r->y, map, i, &text, &at); i++) {
		int rc = word_read(r, f, name, text, at);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* fields */

/* clang-format off */
#define FIELD_KEYS                                                                                \
	{YAMLMAP_FIELD(field_file, at), .type = YAMLMAP_TEXT, .required = true},                  \
	{.name = "is", .type = YAMLMAP_IGNORE},                                                   \
	{YAMLMAP_FIELD(field_file, optional), .type = YAMLMAP_BOOL}
/* clang-format on */
#define FIELD_NODE(name_, field_) \
	.name = name_, .type = YAMLMAP_NODE, .offset = offsetof(struct field_file, field_)

static const struct yamlmap_key quantity_keys[] = {
	FIELD_KEYS,
	{YAMLMAP_FIELD(field_file, kind), .type = YAMLMAP_TEXT, .required = true},
	{YAMLMAP_FIELD(field_file, unit), .type = YAMLMAP_TEXT, .required = true},
	{YAMLMAP_FIELD(field_file, scale), .type = YAMLMAP_DECIMAL},
	{FIELD_NODE("missing", listed)},
	{FIELD_NODE("marks", words)},
};
static const struct yamlmap_key time_keys[] = {
	FIELD_KEYS, {YAMLMAP_FIELD(field_file, format), .type = YAMLMAP_TEXT, .required = true}};
static const struct yamlmap_key flags_keys[] = {FIELD_KEYS, {FIELD_NODE("words", words)},
	{YAMLMAP_FIELD(field_file, other), .type = YAMLMAP_TEXT}};
static const struct yamlmap_key bits_keys[] = {FIELD_KEYS, {FIELD_NODE("bits", words)}};
static const struct yamlmap_key error_keys[] = {FIELD_KEYS, {FIELD_NODE("good", listed)}};
static const struct yamlmap_key patient_keys[] = {FIELD_KEYS};

static const struct {
	const struct yamlmap_key *keys;
	size_t n;
	const char *listed, *words;
	unsigned most; /* in one profile */
	bool readings_only;
} fields_of[] = {
	[VG_LINE_QUANTITY] = {quantity_keys, ELEMENTS(quantity_keys), "missing", "marks",
		VG_LINE_FIELDS_MAX, false},
	[VG_LINE_TIME] = {time_keys, ELEMENTS(time_keys), NULL, NULL, 1, false},
	[VG_LINE_FLAGS] = {flags_keys, ELEMENTS(flags_keys), NULL, "words", VG_LINE_FIELDS_MAX,
		false},
	[VG_LINE_BITS] = {bits_keys, ELEMENTS(bits_keys), NULL, "bits", VG_LINE_FIELDS_MAX, false},
	[VG_LINE_ERROR] = {error_keys, ELEMENTS(error_keys), "good", NULL, 1, true},
	[VG_LINE_PATIENT] = {patient_keys, ELEMENTS(patient_keys), NULL, NULL, 1, true},
};

static int what_read(struct reader *r, yaml_node_t *node, uint8_t *ret)
{
	const char *name;
	yaml_node_t *at;
	for (size_t i = 0; yamlmap_pair(r->y, node, i, &name, &at); i++)
		for (uint8_t w = 0; whats[w] && streq(name, "is"); w++)
			if (yamlmap_text(at) && streq(yamlmap_text(at), whats[w])) {
				*ret = w;
				return 0;
			}
	return yamlmap_fail(
		r->y, node, "is: expected one of quantity, time, flags, bits, error, patient");
}

static int place_read(
	struct reader *r, const yaml_node_t *node, const char *at, struct vg_line_field *f)
{
	const struct vg_line *l = r->line;
	bool columns = l->layout == VG_LINE_COLUMNS;
	bool key = l->layout == VG_LINE_PAIRS && !isdigit((unsigned char)*at);
	const char forbidden[] = {' ', '\t', l->assign, l->separator ? l->separator : ' ', 0};
	if (key ? strpbrk(at, forbidden) || !text_copy(f->key, sizeof(f->key), at, strlen(at))
		: !range_of(at, columns ? VG_LINE_MAX : VG_LINE_PIECES_MAX, &f->from, &f->to))
		return yamlmap_fail(r->y, node, "at: expected %s, found \"%s\"",
			columns ? "columns such as 5-7, 5 or 5-, counted from 1"
			: l->layout == VG_LINE_PAIRS
				? "a key, or pieces such as 5-7, 5 or 5-, counted from 1"
				: "pieces such as 5-7, 5 or 5-, counted from 1",
			at);
	for (const struct vg_line_field *o = l->fields; o < f; o++) {
		bool same = key ? strcasecmp(o->key, f->key) == 0
				: !o->key[0] && (!o->to || f->from <= o->to) &&
					    (!f->to || o->from <= f->to);
		if (same)
			return yamlmap_fail(r->y, node,
				"at: \"%s\" is (partly) the place of a field above", at);
	}
	return 0;
}

static int quantity_check(struct reader *r, const yaml_node_t *node, struct vg_line_field *f)
{
	const struct code *code = codes_find(r->codes, f->kind);
	struct value value;
	if (!code)
		return yamlmap_fail(r->y, node, "kind: \"%s\" is not in codes.csv", f->kind);
	if (codes_convert(r->codes, code, (struct vg_decimal){1, 0}, f->unit, &value) == -EINVAL)
		return yamlmap_fail(r->y, node,
			"unit: codes.csv and units.csv have no unit \"%s\" for %s", f->unit,
			f->kind);
	if (f->scale.mantissa <= 0)
		return yamlmap_fail(r->y, node, "scale: expected a number above 0");
	for (const struct vg_line_field *o = r->line->fields; o < f; o++)
		if (o->what == VG_LINE_QUANTITY && streq(o->kind, f->kind))
			return yamlmap_fail(r->y, node, "kind: %s is there twice", f->kind);
	return 0;
}

/* Year, month, day, hour and minute once each, in lengths that exist. */
static int format_check(struct reader *r, const yaml_node_t *node, const char *format)
{
	static const char *const lengths[] = {
		[0] = "24", [1] = "23", [2] = "2", [3] = "2", [4] = "2", [5] = "2"};
	unsigned times[ELEMENTS(lengths)] = {0};
	bool good = true;
	for (size_t n; *format; format += n) {
		int part = vg_format_part(format, &n);
		good &= part < 0 || (n < 5 && strchr(lengths[part], (char)('0' + n)));
		if (part >= 0)
			times[part]++;
	}
	for (size_t i = 0; i < ELEMENTS(lengths); i++)
		good &= times[i] == 1 || (!times[i] && i == 5);
	return good ? 0
		    : yamlmap_fail(r->y, node,
			      "format: expected YYYY or YY, MM or MMM, DD, hh and mm once each, and "
			      "ss once or not");
}

static int field_check(struct reader *r, const yaml_node_t *node, struct vg_line_field *f,
	const struct field_file *file)
{
	int rc = place_read(r, node, file->at, f);
	if (rc >= 0 && f->what == VG_LINE_QUANTITY)
		rc = quantity_check(r, node, f);
	if (rc >= 0 && f->what == VG_LINE_TIME)
		rc = format_check(r, node, f->format);
	if (rc >= 0 && file->other[0])
		rc = flag_read(r, node, "other", file->other, &f->other);
	f->other_known = file->other[0];
	if (rc >= 0 && fields_of[f->what].readings_only && r->line->samples)
		rc = yamlmap_fail(r->y, node, "is: %s is for `mode: reading`", whats[f->what]);
	if (rc >= 0 && ++r->seen[f->what] > fields_of[f->what].most)
		rc = yamlmap_fail(r->y, node, "is: at most one field may be %s", whats[f->what]);
	return rc;
}

static int field_read(struct reader *r, yaml_node_t *node)
{
	struct vg_line *l = r->line;
	struct field_file file = {.scale = {.mantissa = 1}};
	if (l->n_fields == VG_LINE_FIELDS_MAX)
		return yamlmap_fail(r->y, node, "fields: at most %d", VG_LINE_FIELDS_MAX);
	struct vg_line_field *f = &l->fields[l->n_fields];
	size_t n = 0;
	int rc = what_read(r, node, &f->what);
	if (rc >= 0)
		rc = yamlmap_read(r->y, node, fields_of[f->what].keys, fields_of[f->what].n, &file);
	if (rc >= 0)
		rc = words_read(r, f, fields_of[f->what].words, file.words);
	if (rc >= 0)
		rc = texts_read(r, fields_of[f->what].listed, file.listed, f->listed[0],
			sizeof(f->listed[0]), VG_LINE_LISTED_MAX, &n);
	f->n_listed = (uint8_t)n;
	f->optional = file.optional;
	f->scale = file.scale;
	memcpy(f->kind, file.kind, sizeof(f->kind));
	memcpy(f->unit, file.unit, sizeof(f->unit));
	memcpy(f->format, file.format, sizeof(f->format));
	if (rc >= 0)
		rc = field_check(r, node, f, &file);
	l->n_fields += rc >= 0;
	return rc;
}

static int fields_read(struct reader *r, const yaml_node_t *list)
{
	yaml_node_t *at;
	if (list->type != YAML_SEQUENCE_NODE)
		return yamlmap_fail(r->y, list, "fields: expected a list");
	for (size_t i = 0; (at = yamlmap_item(r->y, list, i)); i++) {
		int rc = field_read(r, at);
		if (rc < 0)
			return rc;
	}
	unsigned n = r->seen[VG_LINE_QUANTITY];
	if (!n || (r->line->samples && n > VG_SAMPLE_QUANTITIES_MAX))
		return yamlmap_fail(r->y, list,
			"fields: expected at least one that is a quantity, and of samples at most "
			"%d",
			VG_SAMPLE_QUANTITIES_MAX);
	return 0;
}

/* the rest */

static int without_value_read(struct reader *r, const yaml_node_t *list)
{
	struct vg_line *l = r->line;
	char flags[VG_FLAGS_MAX][VG_LINE_FLAG_MAX + 1];
	size_t n = 0;
	int rc = texts_read(r, "without_value", list, flags[0], sizeof(flags[0]), VG_FLAGS_MAX, &n);
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		size_t k = 0;
		while (k < l->n_flags && !streq(l->flags[k], flags[i]))
			k++;
		if (k == l->n_flags)
			return yamlmap_fail(r->y, yamlmap_item(r->y, list, i),
				"without_value: no field gives the flag \"%s\"", flags[i]);
		l->without_value |= (uint16_t)(1u << k);
	}
	return rc;
}

static int notes_read(struct reader *r, const yaml_node_t *map)
{
	struct vg_line *l = r->line;
	const char *name;
	yaml_node_t *at;
	if (map && (map->type != YAML_MAPPING_NODE || l->samples))
		return yamlmap_fail(
			r->y, map, "notes: expected lines \"name: text\", and `mode: reading`");
	for (size_t i = 0; yamlmap_pair(r->y, map, i, &name, &at); i++) {
		const char *text = yamlmap_text(at);
		struct vg_line_note *note = &l->notes[i];
		if (i == VG_NOTES_MAX)
			return yamlmap_fail(r->y, at, "notes: at most %d", VG_NOTES_MAX);
		if (!*name || strspn(name, FLAG_CHARACTERS) != strlen(name) || !text || !*text ||
			!text_copy(note->key, sizeof(note->key), name, strlen(name)) ||
			!text_copy(note->text, sizeof(note->text), text, strlen(text)))
			return yamlmap_fail(r->y, at,
				"notes: expected a name of small letters, digits and '_', and a "
				"text of 1 to %d bytes",
				VG_TEXT_MAX);
		l->n_notes++;
	}
	return 0;
}

/* What separates, before anything that is told by it. */
static int layout_read(struct reader *r, const yaml_node_t *root, const struct line_file *file)
{
	struct vg_line *l = r->line;
	bool columns = l->layout == VG_LINE_COLUMNS, pairs = l->layout == VG_LINE_PAIRS;
	l->separator = file->separator[0];
	l->assign = pairs && !file->assign[0] ? '=' : file->assign[0];
	l->stx = file->stx;
	if ((columns && (l->separator || file->pieces[0])) || (!pairs && l->assign))
		return yamlmap_fail(r->y, root,
			"separator, pieces: not with `layout: columns`; assign: only with "
			"`layout: pairs`");
	if ((l->separator && !ispunct((unsigned char)l->separator)) ||
		(l->assign && !ispunct((unsigned char)l->assign)) ||
		(l->assign && l->assign == l->separator))
		return yamlmap_fail(r->y, root,
			"separator, assign: expected two different characters that are no letters, "
			"digits or blanks; without a separator it is blanks");
	if (file->pieces[0] &&
		!range_of(file->pieces, VG_LINE_PIECES_MAX, &l->pieces_min, &l->pieces_max))
		return yamlmap_fail(r->y, root, "pieces: expected a number such as 5, 5-7 or 5-");
	return 0;
}

static int patterns_read(struct reader *r, const char *name, const yaml_node_t *list,
	char (*patterns)[VG_LINE_PATTERN_MAX + 1])
{
	size_t n = 0;
	int rc = texts_read(
		r, name, list, patterns[0], sizeof(patterns[0]), VG_LINE_PATTERNS_MAX, &n);
	for (size_t i = 0; rc >= 0 && i < n; i++)
		if (!patterns[i][0])
			return yamlmap_fail(
				r->y, yamlmap_item(r->y, list, i), "%s: a pattern is empty", name);
	return rc >= 0 && list && !n ? yamlmap_fail(r->y, list, "%s: expected patterns", name) : rc;
}

static int body_read(struct reader *r, const yaml_node_t *root, const struct line_file *file)
{
	struct vg_line *l = r->line;
	l->samples = streq(modes[file->mode], "samples");
	l->live = file->live;
	if (l->live && l->samples)
		return yamlmap_fail(
			r->y, root, "live: only with `mode: reading`; samples are live");
	l->layout = (uint8_t)file->layout;
	text_copy(l->kind, sizeof(l->kind), kinds[file->kind], strlen(kinds[file->kind]));
	int rc = layout_read(r, root, file);
	if (rc >= 0)
		rc = patterns_read(r, "match", file->match, l->match);
	if (rc >= 0)
		rc = patterns_read(r, "ignore", file->ignore, l->ignore);
	if (rc >= 0)
		rc = fields_read(r, file->fields);
	if (rc >= 0)
		rc = without_value_read(r, file->without_value);
	return rc >= 0 ? notes_read(r, file->notes) : rc;
}

#define FILE_NODE(field_) YAMLMAP_FIELD(line_file, field_), .type = YAMLMAP_NODE
#define FILE_CHOICE(field_, choices_)                                               \
	YAMLMAP_FIELD(line_file, field_), .type = YAMLMAP_CHOICE, .required = true, \
					  .choices = choices_

static const struct yamlmap_key file_keys[] = {
	PROFILE_HEAD_KEYS,
	{FILE_CHOICE(mode, modes)},
	{FILE_CHOICE(kind, kinds)},
	{FILE_CHOICE(layout, layouts)},
	{YAMLMAP_FIELD(line_file, separator), .type = YAMLMAP_TEXT},
	{YAMLMAP_FIELD(line_file, assign), .type = YAMLMAP_TEXT},
	{YAMLMAP_FIELD(line_file, pieces), .type = YAMLMAP_TEXT},
	{YAMLMAP_FIELD(line_file, stx), .type = YAMLMAP_BOOL},
	{YAMLMAP_FIELD(line_file, live), .type = YAMLMAP_BOOL},
	{FILE_NODE(match), .required = true},
	{FILE_NODE(ignore)},
	{FILE_NODE(fields), .required = true},
	{FILE_NODE(without_value)},
	{FILE_NODE(notes)},
};

int profile_line_read(
	struct yamlmap *y, yaml_node_t *root, const struct codes *codes, struct profile *p)
{
	struct line_file file = {.profile = *p};
	struct reader r = {.y = y, .codes = codes, .line = calloc(1, sizeof(*r.line))};
	if (!r.line)
		return yamlmap_fail(y, NULL, "%s", strerror(ENOMEM));
	int rc = yamlmap_read(y, root, file_keys, ELEMENTS(file_keys), &file);
	*p = file.profile;
	p->body = r.line;
	p->driver = vg_line;
	if (rc >= 0)
		rc = body_read(&r, root, &file);
	if (!r.line->samples) {
		p->driver.options = NULL;
		p->driver.n_options = 0;
	}
	return rc;
}
