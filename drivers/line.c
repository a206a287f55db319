/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Instruments that print one line of text per reading. What a line looks like and what it means says a
 * profile (line.h, config/profiles), so this file is the engine of many drivers and none by itself.
 *
 * Line: [STX] text, ended by CR, LF or ETX. CR, LF, ETX and NUL before a line are filler; an STX inside one begins
 * it anew, what stood before it is noise. Nothing is sent: such instruments wait for no answer.
 *
 * A line is what its pattern says, from the first to the last character: there is no checksum, so a line
 * that lost its head, its tail or its middle must not fit. What fits is a reading (or a moment of a running
 * measurement: a sample), what the profile lists as known is nothing, all else is malformed. Lines that are
 * cut off without a line end are given up after frame_gap_ms; until then the next line is joined to them and
 * both are lost: nobody knows where the second one began.
 *
 * A device time that cannot be is left out and counted as malformed; the reading stays. Identity of a reading
 * is its time and its values; without a time there is none. Its raw bytes are the scrubbed line.
 *
 * Source: the sheets named in the profiles.
 */
#include <string.h>
#include <vitalgate/line.h>
#include <vitalgate/pattern.h>

enum { STX = 0x02, ETX = 0x03 };

#define FRAME_GAP_MS \
	3000 /* a line takes a tenth of a second; Bluetooth may hold one up in its middle */
#define ERROR_MAX 31

/* framing */

static bool ends_line(uint8_t c)
{
	return c == '\r' || c == '\n' || c == ETX;
}

static struct vg_frame line_frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	struct vg_frame f = {.filler = true};
	while (f.skip < len && (ends_line(bytes[f.skip]) || !bytes[f.skip]))
		f.skip++;
	if (f.skip)
		return f;
	size_t begin = 0, end = 0, most = len < VG_LINE_MAX ? len : VG_LINE_MAX;
	for (; end < most && !ends_line(bytes[end]); end++)
		if (bytes[end] == STX)
			begin = end;
	if (end == most)
		return (struct vg_frame){.skip = most == VG_LINE_MAX};
	return (struct vg_frame){.skip = begin, .length = end + 1 - begin};
}

/* texts */

/* Of an array in the profile. */
#define TEXT(array) text_within(array, sizeof(array))
static struct vg_text text_within(const char *array, size_t size)
{
	const char *end = memchr(array, 0, size);
	return vg_text_of(array, end ? (size_t)(end - array) : size);
}

static bool fits_any(
	const char (*patterns)[VG_LINE_PATTERN_MAX + 1], struct vg_text line, char *how)
{
	for (size_t i = 0; i < VG_LINE_PATTERNS_MAX && patterns[i][0]; i++)
		if (vg_pattern_fits(patterns[i], line, how))
			return true;
	return false;
}

/* The text of a frame. Without blanks around it, which nobody counts unless places are columns. */
static struct vg_text text_of(const struct vg_line *p, const uint8_t *bytes, size_t len)
{
	size_t first = len && bytes[0] == STX;
	while (len > first && ends_line(bytes[len - 1]))
		len--;
	struct vg_text t = vg_text_of(bytes + first, len - first);
	return p->layout == VG_LINE_COLUMNS ? t : vg_text_trim(t);
}

static bool has_control(struct vg_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (((unsigned char)t.at[i] < 0x20 && t.at[i] != '\t') || t.at[i] == 0x7f)
			return true;
	return false;
}

/* VG_READING: a line to be read; VG_NOTHING: blank or known; VG_MALFORMED. */
static enum vg_result classify(
	const struct vg_line *p, const uint8_t *bytes, size_t len, struct vg_text line, char *how)
{
	if (!vg_text_trim(line).len)
		return VG_NOTHING;
	if (len > VG_LINE_MAX || has_control(line))
		return VG_MALFORMED;
	if ((!p->stx || bytes[0] == STX) && fits_any(p->match, line, how))
		return VG_READING;
	if (fits_any(p->ignore, line, how))
		return VG_NOTHING;
	memset(how, '*', VG_LINE_MAX);
	return VG_MALFORMED;
}

/* places */

/* The next piece; separator 0: between runs of blanks. False when nothing is left. */
static bool piece_next(char separator, struct vg_text *rest, struct vg_text *ret_piece)
{
	if (separator) {
		if (!vg_text_next(rest, separator, ret_piece))
			return false;
		*ret_piece = vg_text_trim(*ret_piece);
		return true;
	}
	*rest = vg_text_trim(*rest);
	size_t n = 0;
	while (n < rest->len && rest->at[n] != ' ' && rest->at[n] != '\t')
		n++;
	*ret_piece = vg_text_of(rest->at, n);
	*rest = vg_text_of(rest->at + n, rest->len - n);
	return n;
}

static bool pieces_fit(const struct vg_line *p, struct vg_text line)
{
	struct vg_text piece = {NULL, 0};
	unsigned n = 0;
	while (p->layout != VG_LINE_COLUMNS && piece_next(p->separator, &line, &piece))
		n++;
	return n >= p->pieces_min && (!p->pieces_max || n <= p->pieces_max);
}

static struct vg_text columns(const struct vg_line_field *f, struct vg_text line)
{
	size_t to = f->to ? f->to : line.len;
	if (line.len < to || line.len < f->from)
		return vg_text_of(NULL, 0);
	return vg_text_trim(vg_text_of(line.at + f->from - 1, to + 1 - f->from));
}

static struct vg_text pieces(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text line)
{
	struct vg_text piece = {NULL, 0}, found = {NULL, 0};
	unsigned n = 0;
	while (piece_next(p->separator, &line, &piece) && (++n <= f->to || !f->to)) {
		if (n == f->from)
			found = piece;
		else if (found.at)
			found.len = (size_t)(piece.at - found.at) + piece.len;
	}
	return n < f->to ? vg_text_of(NULL, 0) : found;
}

static bool has_key(const struct vg_line *p, const struct vg_line_field *f, struct vg_text piece)
{
	struct vg_text key = TEXT(f->key);
	return key.len && piece.len > key.len && piece.at[key.len] == p->assign &&
	       vg_text_equal(vg_text_of(piece.at, key.len), key);
}

/* The value of a key; `*ret_times`: how often it is there. */
static struct vg_text pair(const struct vg_line *p, const struct vg_line_field *f,
	struct vg_text line, unsigned *ret_times)
{
	struct vg_text piece = {NULL, 0}, found = {NULL, 0};
	size_t skip = TEXT(f->key).len + 1;
	*ret_times = 0;
	while (piece_next(p->separator, &line, &piece)) {
		if (!has_key(p, f, piece))
			continue;
		found = vg_text_trim(vg_text_of(piece.at + skip, piece.len - skip));
		++*ret_times;
	}
	return found;
}

/* The text of a field; `at` NULL: it is not there. False: the line has it twice, and is two lines. */
static bool field_find(const struct vg_line *p, const struct vg_line_field *f, struct vg_text line,
	struct vg_text *ret_text)
{
	unsigned times = 1;
	*ret_text = p->layout == VG_LINE_COLUMNS ? columns(f, line)
		    : f->key[0]			 ? pair(p, f, line, &times)
						 : pieces(p, f, line);
	return times < 2;
}

/* values */

/* What a line says. */
struct said {
	struct vg_quantity quantities[VG_LINE_FIELDS_MAX];
	char received[VG_LINE_FIELDS_MAX][24];
	uint8_t place[VG_LINE_FIELDS_MAX]; /* the field that a quantity is from */
	size_t n_quantities;
	bool no_first; /* the number that matters most is not there */
	uint16_t flags;
	bool timed, time_wrong;
	struct vg_civil taken;
	struct vg_text patient, error;
	bool bad;
};

static bool listed(const struct vg_line_field *f, struct vg_text t)
{
	for (size_t i = 0; i < f->n_listed; i++)
		if (vg_text_equal(t, TEXT(f->listed[i])))
			return true;
	return false;
}

/* Cuts a mark off the end of a number; false when there is none. */
static bool mark_cut(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text *t, uint16_t *flags)
{
	for (size_t i = 0; i < f->n_words; i++) {
		const struct vg_line_word *w = &p->words[f->word + i];
		struct vg_text mark = TEXT(w->text);
		if (!mark.len || mark.len > t->len ||
			!vg_text_equal(mark, vg_text_of(t->at + t->len - mark.len, mark.len)))
			continue;
		*t = vg_text_trim(vg_text_of(t->at, t->len - mark.len));
		*flags |= w->flags;
		return true;
	}
	return false;
}

static bool quantity_read(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text t, struct said *x)
{
	struct vg_quantity *q = &x->quantities[x->n_quantities];
	struct vg_decimal number;
	while (mark_cut(p, f, &t, &x->flags))
		;
	if (listed(f, t)) {
		x->no_first |= !x->n_quantities;
		return true;
	}
	if (!vg_text_decimal(t, &number) ||
		!vg_text_export(t, x->received[x->n_quantities], sizeof(x->received[0])) ||
		__builtin_mul_overflow(number.mantissa, f->scale.mantissa, &number.mantissa))
		return false;
	number.exponent = (int8_t)(number.exponent + f->scale.exponent);
	*q = (struct vg_quantity){.kind = f->kind,
		.value = number,
		.unit = f->unit,
		.received = x->received[x->n_quantities]};
	x->place[x->n_quantities++] = (uint8_t)(f - p->fields);
	return true;
}

static bool bits_read(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text t, struct said *x)
{
	uint32_t bits = 0;
	if (t.len > 8)
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (vg_hex_digit(t.at[i]) == 16)
			return false;
		bits = bits << 4 | vg_hex_digit(t.at[i]);
	}
	for (size_t i = 0; i < f->n_words; i++)
		if (bits & p->words[f->word + i].bit)
			x->flags |= p->words[f->word + i].flags;
	return t.len;
}

static const struct vg_line_word *word_find(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text t)
{
	for (size_t i = 0; i < f->n_words; i++)
		if (vg_text_equal(t, TEXT(p->words[f->word + i].text)))
			return &p->words[f->word + i];
	return NULL;
}

static bool flags_read(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text t, struct said *x)
{
	struct vg_text word;
	while (piece_next(0, &t, &word)) {
		const struct vg_line_word *w = word_find(p, f, word);
		if (!w && !f->other_known)
			return false;
		x->flags |= w ? w->flags : f->other;
	}
	return true;
}

/* lines */

/* False: this is nothing that the field can say. */
static bool field_read(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text t, struct said *x)
{
	switch (f->what) {
	case VG_LINE_QUANTITY:
		return quantity_read(p, f, t, x);
	case VG_LINE_TIME:
		x->timed = vg_format_time(f->format, t, &x->taken);
		x->time_wrong = !x->timed;
		return x->timed;
	case VG_LINE_FLAGS:
		return flags_read(p, f, t, x);
	case VG_LINE_BITS:
		return bits_read(p, f, t, x);
	case VG_LINE_ERROR:
		x->error = listed(f, t) ? vg_text_of(NULL, 0) : t;
		return !x->error.at || t.len;
	default:
		x->patient = t;
		return true;
	}
}

static void line_read(const struct vg_line *p, struct vg_text line, struct said *ret)
{
	struct said *x = ret;
	memset(x, 0, sizeof(*x));
	x->bad = !pieces_fit(p, line);
	for (size_t i = 0; i < p->n_fields; i++) {
		const struct vg_line_field *f = &p->fields[i];
		struct vg_text t;
		if (!field_find(p, f, line, &t))
			x->bad = true;
		else if (!t.at)
			x->bad |= !f->optional;
		else if (!field_read(p, f, t, x))
			x->bad |= f->what != VG_LINE_TIME;
	}
}

/* scrubbing */

/* Marks a field's key and what it is known to say, and unmarks who was measured. */
static void keep_field(
	const struct vg_line *p, const struct vg_line_field *f, struct vg_text line, bool *keep)
{
	struct said scratch = {0};
	struct vg_text t, word, rest = line;
	while (f->key[0] && piece_next(p->separator, &rest, &word))
		if (has_key(p, f, word))
			memset(keep + (word.at - line.at), true, TEXT(f->key).len);
	if (!field_find(p, f, line, &t) || !t.at)
		return;
	if (f->what == VG_LINE_FLAGS) {
		while (piece_next(0, &t, &word))
			if (word_find(p, f, word))
				memset(keep + (word.at - line.at), true, word.len);
	} else if (f->what == VG_LINE_PATIENT || field_read(p, f, t, &scratch)) {
		memset(keep + (t.at - line.at), f->what != VG_LINE_PATIENT, t.len);
	}
}

/* The character that stands for `c` where the pattern has `how`, and still fits. */
static char scrubbed(char c, char how)
{
	char folded = (char)(c | 0x20);
	if (!vg_is_digit(c) && !(folded >= 'a' && folded <= 'z') && (unsigned char)c < 0x80)
		return c;
	return how == '#' || how == '$' ? '0' : how == '?' || how == '*' ? 'x' : c;
}

/* What neither the profile says literally nor a field of it is known to say is overwritten so that the
 * same pattern fits. */
static void scrub(const struct vg_line *p, uint8_t *bytes, size_t len)
{
	char how[VG_LINE_MAX];
	bool keep[VG_LINE_MAX] = {false};
	struct vg_text line = text_of(p, bytes, len);
	memset(how, '*', sizeof(how));
	if (classify(p, bytes, len, line, how) == VG_READING)
		for (unsigned patient = 0; patient < 2; patient++)
			for (size_t i = 0; i < p->n_fields; i++)
				if ((p->fields[i].what == VG_LINE_PATIENT) == patient)
					keep_field(p, &p->fields[i], line, keep);
	size_t before = (size_t)((const uint8_t *)line.at - bytes);
	for (size_t i = 0; i < line.len; i++)
		if (i >= VG_LINE_MAX || !keep[i])
			bytes[before + i] =
				(uint8_t)scrubbed(line.at[i], i < VG_LINE_MAX ? how[i] : '*');
}

static void line_scrub(const struct vg_driver *self, unsigned channel, uint8_t *bytes, size_t len)
{
	(void)channel;
	scrub(self->profile, bytes, len);
}

/* what it tells */

static size_t flags_of(const struct vg_line *p, unsigned said, const char **flags)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n_flags; i++)
		if (said & 1u << i)
			flags[n++] = p->flags[i];
	return n;
}

static void failed(struct vg_session *s, const struct vg_line *p, const struct said *x)
{
	char detail[6 + ERROR_MAX + 1] = "error ";
	const char *flags[VG_FLAGS_MAX];
	struct vg_event e = {.type = VG_EVENT_FAILED_MEASUREMENT,
		.civil = x->timed ? &x->taken : NULL,
		.detail = "not measured"};
	if (x->error.len) {
		vg_text_export(x->error, detail + 6, sizeof(detail) - 6);
		e.detail = detail;
	} else if (flags_of(p, x->flags & p->without_value, flags)) {
		e.detail = flags[0];
	}
	vg_event(s, &e);
	vg_result(s, VG_NOTHING);
}

/* Time and values; 0 without a time. */
static size_t identity_write(const struct said *x, uint8_t *out)
{
	const struct vg_civil *t = &x->taken;
	const uint8_t time[] = {(uint8_t)(t->year >> 8), (uint8_t)t->year, t->month, t->day,
		t->hour, t->minute, t->second};
	size_t len = sizeof(time);
	memcpy(out, time, len);
	for (size_t i = 0; i < x->n_quantities; i++) {
		struct vg_decimal value = x->quantities[i].value;
		out[len++] = x->place[i];
		out[len++] = (uint8_t)value.exponent;
		for (unsigned shift = 64; shift; shift -= 8)
			out[len++] = (uint8_t)((uint64_t)value.mantissa >> (shift - 8));
	}
	return x->timed ? len : 0;
}

static void reading_heard(struct vg_session *s, const struct vg_line *p, const struct said *x,
	const uint8_t *bytes, size_t len)
{
	uint8_t raw[VG_LINE_MAX], identity[7 + VG_LINE_FIELDS_MAX * 10];
	const char *flags[VG_FLAGS_MAX];
	struct vg_note notes[VG_NOTES_MAX];
	if (x->error.len || !x->n_quantities || x->flags & p->without_value) {
		failed(s, p, x);
		return;
	}
	for (size_t i = 0; i < p->n_notes; i++)
		notes[i] = (struct vg_note){
			p->notes[i].key, p->notes[i].text, TEXT(p->notes[i].text).len};
	memcpy(raw, bytes, len);
	scrub(p, raw, len);
	struct vg_reading r = {
		.kind = p->kind,
		.taken = x->timed ? &x->taken : NULL,
		.live = p->live,
		.user = -1,
		.seq = -1,
		.quantities = x->quantities,
		.n_quantities = x->n_quantities,
		.flags = flags,
		.n_flags = flags_of(p, x->flags, flags),
		.notes = notes,
		.n_notes = p->n_notes,
		.patient = x->patient.at,
		.patient_len = x->patient.len,
		.identity = identity,
		.identity_len = identity_write(x, identity),
		.raw = raw,
		.raw_len = len,
	};
	vg_reading(s, &r);
	if (x->time_wrong)
		vg_result(s, VG_MALFORMED);
}

struct state {
	bool clock_looked_at;
};

static void sample_heard(struct vg_session *s, const struct vg_line *p, const struct said *x)
{
	struct state *st = vg_state(s);
	const char *flags[VG_FLAGS_MAX];
	bool shows = !x->no_first && !(x->flags & p->without_value);
	struct vg_sample sample = {
		.kind = p->kind,
		.quantities = x->quantities,
		.n_quantities = shows ? x->n_quantities : 0,
		.flags = flags,
		.n_flags = flags_of(p, x->flags, flags),
	};
	vg_sample(s, &sample);
	/* Lines come all the time: its clock is worth a word once. */
	if (x->timed && !st->clock_looked_at) {
		struct vg_event e = {.type = VG_EVENT_DEVICE_CLOCK, .civil = &x->taken};
		vg_event(s, &e);
	} else if (x->time_wrong && !st->clock_looked_at) {
		vg_result(s, VG_MALFORMED);
	}
	st->clock_looked_at |= x->timed || x->time_wrong;
}

static void line_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	const struct vg_line *p = vg_profile(s);
	char how[VG_LINE_MAX];
	struct vg_text line = text_of(p, bytes, len);
	struct said x;
	(void)channel;
	(void)now;
	enum vg_result class = classify(p, bytes, len, line, how);
	if (class == VG_READING) {
		line_read(p, line, &x);
		if (x.bad && !x.error.len)
			class = VG_MALFORMED;
	}
	if (class != VG_READING)
		vg_result(s, class);
	else if (p->samples)
		sample_heard(s, p, &x);
	else
		reading_heard(s, p, &x, bytes, len);
}

static const struct vg_option options[] = {VG_SAMPLE_OPTIONS};

const struct vg_driver vg_line = {
	.name = "line",
	.version = 1,
	.title = "Instrument that prints lines of text",
	.title_zh = "逐行打印文本的仪器",
	.bus = VG_BUS_STREAM,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.state_size = sizeof(struct state),
	.frame_max = VG_LINE_MAX,
	.frame_gap_ms = FRAME_GAP_MS,
	.heard = line_heard,
	.frame = line_frame,
	.scrub = line_scrub,
};
