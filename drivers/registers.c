/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Modbus registers by profile: decodes the poll record of <vitalgate/registers.h>. One round is one reading
 * with all items: those with a code are its numbers, words of an enum are flags or notes, the rest is notes.
 *
 * An item goes through these steps, in this order:
 *   bytes in the order ABCD | `invalid` compares them, bare | mask, shift (then unsigned) | BCD digits, float
 *   | enum | number x scale + offset | min..max, both ends belong to it | rounding to `decimals`
 *
 * bit      a coil or discrete input, or bit `shift` of a register; `invert` after that. Bits that share a code
 *          are one number: 1 when any of them is 1, 0 when all are known to be 0, else left out
 * float32  the shortest decimal that reads back as the same single; NaN and the infinities are invalid
 * bcd16    four digits; a digit above 9 is invalid
 * string   ends before the first NUL, without blanks at its end; a byte that is no printable ASCII is invalid
 *
 * What is invalid, out of range or not answered is left out and told once when that begins and once when it
 * is over. A lost answer is normal on RS-485: it is told when it is the third in a row while the slave answers
 * something else, an exception of the slave at once. Whose bytes stand still for `max_unchanged_s` is a dead probe behind a live converter: its
 * number stays, with a flag, and that is told as well.
 *
 * Modbus registers carry no clock and no number of a measurement: no identity, so nothing is ever merged. Written to a
 * slave is nothing. Sources: Modbus application protocol V1.1b3 (order of bytes in a register); the order of
 * registers, scales and sentinels is each device's own, and the profile's to say.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/decimal.h>
#include <vitalgate/driver.h>
#include <vitalgate/registers.h>
#include <vitalgate/text.h>

#define LOST_IN_A_ROW 3
#define DETAIL_MAX 96

/* What an item says in this round. */
enum meaning { MISSING, VALUE, WORD, TEXT, INVALID, OUT_OF_RANGE };

struct finding {
	enum meaning meaning;
	uint32_t raw; /* in the order ABCD; of a text a hash of it */
	struct vg_decimal value;
	const char *word;
	struct vg_text text;
};

struct item_state {
	uint8_t fault; /* enum meaning: INVALID, OUT_OF_RANGE, or 0: none that was told */
	bool seen, stuck;
	uint32_t raw;
	int64_t changed_us;
	struct finding shown; /* in the last reading; of a text only `raw` still holds */
};

struct state {
	uint8_t lost[VG_REGISTERS_BLOCKS_MAX]; /* rounds in a row */
	bool told[VG_REGISTERS_BLOCKS_MAX];
	bool any_shown;
	int64_t shown_us;
	struct item_state items[VG_REGISTERS_ITEMS_MAX];
};

/* text */

struct line {
	char text[DETAIL_MAX];
	size_t len;
};

static void put_bytes(struct line *l, const char *at, size_t n)
{
	size_t room = sizeof(l->text) - 1 - l->len;
	n = n < room ? n : room;
	memcpy(l->text + l->len, at, n);
	l->len += n;
	l->text[l->len] = 0;
}

static void put(struct line *l, const char *z)
{
	struct vg_text t = vg_text_ended(z);
	put_bytes(l, t.at, t.len);
}

/* Plain digits; what is beyond the point keeps its zeros. */
static void put_number(struct line *l, struct vg_decimal d)
{
	char digits[20];
	size_t n = sizeof(digits);
	uint64_t rest = d.mantissa < 0 ? -(uint64_t)d.mantissa : (uint64_t)d.mantissa;
	for (; rest; rest /= 10)
		digits[--n] = (char)('0' + rest % 10);
	const char *at = digits + n;
	int length = (int)(sizeof(digits) - n), decimals = d.exponent < 0 ? -d.exponent : 0;
	if (d.mantissa < 0)
		put(l, "-");
	if (length <= decimals)
		put(l, "0");
	for (int i = length > decimals ? length : decimals; i > 0; i--) {
		if (i == decimals)
			put(l, ".");
		put_bytes(l, i > length ? "0" : at + length - i, 1);
	}
	for (int i = 0; i < d.exponent && length; i++)
		put(l, "0");
}

static void tell(struct vg_session *s, const struct line *detail)
{
	vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_ERROR, .detail = detail->text});
}

/* what bytes mean */

/* In the order ABCD. */
static uint32_t bare(const struct vg_registers_item *item, const uint8_t *p)
{
	bool swap_bytes = item->order == VG_REGISTERS_BADC || item->order == VG_REGISTERS_DCBA;
	bool swap_words = item->order == VG_REGISTERS_CDAB || item->order == VG_REGISTERS_DCBA;
	uint32_t word[2] = {0, 0};
	if (item->size == 1)
		return p[0];
	for (size_t i = 0; i < item->size / 2u; i++)
		word[i] = swap_bytes ? (uint32_t)p[2 * i + 1] << 8 | p[2 * i]
				     : (uint32_t)p[2 * i] << 8 | p[2 * i + 1];
	if (item->size == 2)
		return word[0];
	return swap_words ? word[1] << 16 | word[0] : word[0] << 16 | word[1];
}

static bool digits_of(uint32_t bcd, int64_t *ret)
{
	int64_t value = 0;
	for (int shift = 28; shift >= 0; shift -= 4) {
		if ((bcd >> shift & 15) > 9)
			return false;
		value = value * 10 + (bcd >> shift & 15);
	}
	*ret = value;
	return true;
}

/* The number in `raw`, before enum and scale; false when it is none. */
static bool number_of(
	const struct vg_registers_item *item, uint32_t raw, struct vg_decimal *ret_number)
{
	uint32_t part = (item->has_mask ? raw & item->mask : raw) >> item->shift;
	int64_t whole = part;
	if (item->type == VG_REGISTERS_FLOAT32) {
		*ret_number = vg_single(raw);
		return (raw >> 23 & 0xff) != 0xff;
	}
	bool bare_number = !item->has_mask && !item->shift;
	if (item->type == VG_REGISTERS_BIT)
		whole = (part & 1) ^ item->invert;
	else if (item->type == VG_REGISTERS_INT16 && bare_number)
		whole = (int16_t)raw;
	else if (item->type == VG_REGISTERS_INT32 && bare_number)
		whole = (int32_t)raw;
	else if (item->type == VG_REGISTERS_BCD16 && !digits_of(part, &whole))
		return false;
	*ret_number = (struct vg_decimal){whole, 0};
	return true;
}

static const char *word_of(const struct vg_registers *p, const struct vg_registers_item *item,
	struct vg_decimal number)
{
	const struct vg_registers_word *w = p->words + item->word;
	for (unsigned i = 0; i < item->n_words; i++)
		if (!number.exponent && number.mantissa == w[i].number)
			return w[i].text;
	return NULL;
}

/* Bytes within the registers may be swapped, the registers stay. */
static void find_text(const struct vg_registers_item *item, const uint8_t *p, struct finding *f,
	char out[2 * VG_REGISTERS_STRING_MAX])
{
	size_t n = 0, flip = item->order == VG_REGISTERS_BADC || item->order == VG_REGISTERS_DCBA;
	f->raw = 2166136261; /* FNV-1a */
	f->meaning = TEXT;
	for (; n < item->size && p[n ^ flip]; n++) {
		out[n] = (char)p[n ^ flip];
		f->raw = (f->raw ^ p[n ^ flip]) * 16777619;
		if (out[n] < 0x20 || out[n] > 0x7e)
			f->meaning = INVALID;
	}
	while (n && out[n - 1] == ' ')
		n--;
	f->text = vg_text_of(out, n);
}

static void find_number(
	const struct vg_registers *p, const struct vg_registers_item *item, struct finding *f)
{
	struct vg_decimal number;
	f->meaning = INVALID;
	for (unsigned i = 0; i < item->n_invalid; i++)
		if (f->raw == item->invalid[i])
			return;
	if (!number_of(item, f->raw, &number))
		return;
	f->word = word_of(p, item, number);
	f->value = vg_plus(vg_times(number, item->scale), item->offset);
	if (f->word && (item->type != VG_REGISTERS_BIT || !item->code[0]))
		f->meaning = WORD;
	else if ((item->has_min && vg_minus(f->value, item->min).mantissa < 0) ||
		 (item->has_max && vg_minus(f->value, item->max).mantissa > 0))
		f->meaning = OUT_OF_RANGE;
	else
		f->meaning = VALUE;
	f->value = vg_rounded(f->value, item->decimals);
}

/* the record */

struct round {
	struct vg_session *session;
	const struct vg_registers *profile;
	struct state *state;
	const struct vg_now *now;
	const uint8_t *data[VG_REGISTERS_BLOCKS_MAX]; /* NULL: */
	uint8_t why[VG_REGISTERS_BLOCKS_MAX];
	struct finding found[VG_REGISTERS_ITEMS_MAX];
	char texts[VG_NOTES_MAX][2 * VG_REGISTERS_STRING_MAX];
	struct vg_quantity quantities[VG_QUANTITIES_MAX];
	const char *flags[VG_FLAGS_MAX];
	struct vg_note notes[VG_NOTES_MAX];
	struct line lines[VG_NOTES_MAX];
	size_t n_quantities, n_flags, n_notes;
};

static bool cut(struct round *r, const uint8_t *bytes, size_t len)
{
	struct buf b = buf_of(bytes, len);
	for (unsigned i = 0; i < r->profile->n_blocks; i++) {
		size_t n = buf_u8(&b);
		if (n && n != vg_registers_bytes(&r->profile->blocks[i]))
			return false;
		r->data[i] = n ? buf_bytes(&b, n) : NULL;
		r->why[i] = n ? 0 : buf_u8(&b);
	}
	return !b.failed && !buf_left(&b);
}

static const char *why_text(uint8_t why)
{
	switch (why) {
	case 1:
		return "the slave does not know the function";
	case 2:
		return "the slave has no such address";
	case 3:
		return "the slave refuses the count";
	case 4:
		return "the slave says that it failed";
	case 5:
	case 6:
		return "the slave is busy";
	case 10:
	case 11:
		return "no answer behind the gateway";
	case VG_REGISTERS_TIMEOUT:
		return "no answer";
	case VG_REGISTERS_GARBLED:
		return "garbled answers";
	case VG_REGISTERS_CONNECTION:
		return "connection lost";
	}
	return "the slave refuses";
}

/* "temp, rh: no answer" */
static void tell_block(struct round *r, unsigned block, const char *what)
{
	struct line l = {.len = 0};
	for (unsigned i = 0; i < r->profile->n_items; i++) {
		if (r->profile->items[i].block != block)
			continue;
		put(&l, l.len ? ", " : "");
		put(&l, r->profile->items[i].name);
	}
	if (l.len > sizeof(l.text) - 48)
		l.len = sizeof(l.text) - 48;
	put(&l, ": ");
	put(&l, what);
	tell(r->session, &l);
}

/* A slave that answers nothing at all is the link's affair: its session ends, and a new one knows of no loss that
 * it could call mended. Told is what is missing while the rest is there, or what the slave refuses. */
static void watch_block(struct round *r, unsigned i, bool answers)
{
	struct state *s = r->state;
	if (r->data[i]) {
		if (s->told[i])
			tell_block(r, i, "good again");
		s->told[i] = false;
		s->lost[i] = 0;
		return;
	}
	if (s->lost[i] < UINT8_MAX)
		s->lost[i]++;
	bool refused = r->why[i] && r->why[i] <= 4;
	if (s->told[i] || !(refused || (answers && s->lost[i] >= LOST_IN_A_ROW)))
		return;
	s->told[i] = true;
	tell_block(r, i, why_text(r->why[i]));
}

static void tell_item(struct round *r, unsigned i, const char *what, const struct vg_decimal *value)
{
	struct line l = {.len = 0};
	put(&l, r->profile->items[i].name);
	put(&l, ": ");
	put(&l, what);
	if (value)
		put_number(&l, *value);
	tell(r->session, &l);
}

static void watch_fault(struct round *r, unsigned i)
{
	struct item_state *s = &r->state->items[i];
	const struct finding *f = &r->found[i];
	bool bad = f->meaning == INVALID || f->meaning == OUT_OF_RANGE;
	if (f->meaning == MISSING)
		return; /* told of its block */
	if (bad && f->meaning != s->fault)
		tell_item(r, i, f->meaning == INVALID ? "invalid" : "out of range: ",
			f->meaning == INVALID ? NULL : &f->value);
	if (!bad && s->fault)
		tell_item(r, i, "good again", NULL);
	s->fault = bad ? (uint8_t)f->meaning : 0;
}

/* A value that is invalid stands still, too: that was told. */
static void watch_change(struct round *r, unsigned i)
{
	const struct vg_registers_item *item = &r->profile->items[i];
	struct item_state *s = &r->state->items[i];
	const struct finding *f = &r->found[i];
	if (f->meaning == MISSING || !item->max_unchanged_s)
		return;
	bool usable = f->meaning != INVALID && f->meaning != OUT_OF_RANGE;
	if (!s->seen || s->raw != f->raw || !usable) {
		if (s->stuck)
			tell_item(r, i, "changes again", NULL);
		s->seen = true;
		s->stuck = false;
		s->raw = f->raw;
		s->changed_us = r->now->boot_us;
	} else if (!s->stuck &&
		   (r->now->boot_us - s->changed_us) / 1000000 >= (int64_t)item->max_unchanged_s) {
		struct vg_decimal seconds = {item->max_unchanged_s, 0};
		s->stuck = true;
		tell_item(r, i, "stuck, seconds without a change: ", &seconds);
	}
}

static void find_items(struct round *r)
{
	size_t n_texts = 0;
	for (unsigned i = 0; i < r->profile->n_items; i++) {
		const struct vg_registers_item *item = &r->profile->items[i];
		struct finding *f = &r->found[i];
		const uint8_t *data = r->data[item->block];
		*f = (struct finding){.meaning = MISSING};
		if (data && item->type == VG_REGISTERS_STRING) {
			find_text(item, data + item->at, f, r->texts[n_texts++]);
		} else if (data) {
			f->raw = bare(item, data + item->at);
			find_number(r->profile, item, f);
		}
		watch_fault(r, i);
		watch_change(r, i);
		if (f->meaning == INVALID || f->meaning == OUT_OF_RANGE)
			f->meaning = MISSING;
	}
}

/* the reading */

static bool moved(const struct round *r, unsigned i)
{
	const struct vg_registers_item *item = &r->profile->items[i];
	const struct finding *f = &r->found[i], *shown = &r->state->items[i].shown;
	if (f->meaning != shown->meaning || f->word != shown->word)
		return true;
	if (f->meaning != VALUE)
		return f->meaning != MISSING && f->raw != shown->raw;
	struct vg_decimal by = vg_minus(f->value, shown->value);
	by.mantissa = by.mantissa < 0 ? -by.mantissa : by.mantissa;
	return vg_minus(by, item->has_deadband ? item->deadband : (struct vg_decimal){0, 0})
		       .mantissa > 0;
}

/* A reading that shows a probe as dead or alive again is news as well. */
static bool is_due(const struct round *r, bool stuck_before[VG_REGISTERS_ITEMS_MAX])
{
	const struct state *s = r->state;
	if (!r->profile->max_interval_s || !s->any_shown ||
		(r->now->boot_us - s->shown_us) / 1000000 >= (int64_t)r->profile->max_interval_s)
		return true;
	for (unsigned i = 0; i < r->profile->n_items; i++)
		if (moved(r, i) || stuck_before[i] != s->items[i].stuck)
			return true;
	return false;
}

static void add_flag(struct round *r, const char *flag)
{
	for (size_t i = 0; i < r->n_flags; i++)
		if (vg_text_is(vg_text_ended(r->flags[i]), flag))
			return;
	if (r->n_flags < VG_FLAGS_MAX)
		r->flags[r->n_flags++] = flag;
}

static void add_note(struct round *r, unsigned i, const struct finding *f)
{
	const struct vg_registers_item *item = &r->profile->items[i];
	if (r->n_notes == VG_NOTES_MAX)
		return;
	struct line *l = &r->lines[r->n_notes];
	l->len = 0;
	if (f->meaning == WORD)
		put(l, f->word);
	else if (f->meaning == TEXT)
		put_bytes(l, f->text.at, f->text.len);
	else
		put_number(l, f->value);
	if (f->meaning == VALUE && item->unit[0]) {
		put(l, " ");
		put(l, item->unit);
	}
	if (l->len)
		r->notes[r->n_notes++] =
			(struct vg_note){.key = item->name, .text = l->text, .len = l->len};
}

static bool same_code(const struct vg_registers_item *a, const struct vg_registers_item *b)
{
	return memcmp(a->code, b->code, sizeof(a->code)) == 0;
}

/* All bits that share the code of bit `i`, when it is the first of them. */
static bool any_bit(const struct round *r, unsigned i, struct vg_decimal *ret_value)
{
	const struct vg_registers_item *items = r->profile->items;
	bool known = true, any = false;
	for (unsigned k = 0; k < r->profile->n_items; k++) {
		if (!same_code(&items[k], &items[i]))
			continue;
		if (k < i)
			return false;
		known &= r->found[k].meaning == VALUE;
		any |= r->found[k].meaning == VALUE && r->found[k].value.mantissa;
	}
	*ret_value = (struct vg_decimal){any, 0};
	return any || known;
}

static void add_item(struct round *r, unsigned i)
{
	const struct vg_registers_item *item = &r->profile->items[i];
	const struct finding *f = &r->found[i];
	struct vg_decimal value = f->value;
	bool number = f->meaning == VALUE;
	if (item->type == VG_REGISTERS_BIT && item->code[0])
		number = any_bit(r, i, &value);
	if (item->code[0] && number && r->n_quantities < VG_QUANTITIES_MAX)
		r->quantities[r->n_quantities++] = (struct vg_quantity){
			.kind = item->code, .value = value, .unit = item->unit};
	if (f->meaning == MISSING)
		return;
	if (f->word && item->flag)
		add_flag(r, f->word);
	else if (f->word || (!item->code[0] && !item->flag))
		add_note(r, i, f);
	if (r->state->items[i].stuck)
		add_flag(r, item->stuck);
}

static void show(struct round *r)
{
	for (unsigned i = 0; i < r->profile->n_items; i++)
		add_item(r, i);
	if (!r->n_quantities) {
		vg_result(r->session, VG_NOTHING);
		return;
	}
	struct vg_reading reading = {.kind = r->profile->kind,
		.live = true,
		.user = -1,
		.seq = -1,
		.quantities = r->quantities,
		.n_quantities = r->n_quantities,
		.flags = r->flags,
		.n_flags = r->n_flags,
		.notes = r->notes,
		.n_notes = r->n_notes};
	if (!vg_reading(r->session, &reading))
		return;
	r->state->any_shown = true;
	r->state->shown_us = r->now->boot_us;
	for (unsigned i = 0; i < r->profile->n_items; i++)
		r->state->items[i].shown = r->found[i];
}

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct round r = {.session = s, .profile = vg_profile(s), .state = vg_state(s), .now = now};
	bool stuck_before[VG_REGISTERS_ITEMS_MAX];
	(void)channel;
	if (!cut(&r, bytes, len)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	bool answers = false;
	for (unsigned i = 0; i < r.profile->n_blocks; i++)
		answers |= r.data[i] != NULL;
	for (unsigned i = 0; i < r.profile->n_blocks; i++)
		watch_block(&r, i, answers);
	for (unsigned i = 0; i < r.profile->n_items; i++)
		stuck_before[i] = r.state->items[i].stuck;
	find_items(&r);
	if (is_due(&r, stuck_before))
		show(&r);
	else
		vg_result(s, VG_NOTHING);
}

/* What all profiles of registers share; name, titles, version and profile are theirs. */
const struct vg_driver vg_registers = {
	.bus = VG_BUS_REGISTERS,
	.state_size = sizeof(struct state),
	.heard = heard,
};
