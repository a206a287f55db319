/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Analysers that send results by CLSI LIS01-A2 (ASTM E1381) with LIS02-A2 (ASTM E1394) records. We are the
 * receiver; orders and queries are not answered.
 *
 * Line: ENQ begins, ACK. Frames `STX number text ETX|ETB c c [CR][LF]`: number '0'..'7' from 1; c c is the sum
 * from number to ETX/ETB, modulo 256, in hex. ETB: the record goes on in the next frame. EOT ends.
 *   idle       ENQ -> ACK; a frame is ignored; everything else too
 *   receiving  next number: taken, ACK; same number again: our ACK was lost, ACK; other number or bad sum: NAK;
 *              ENQ: it restarted, ACK; EOT or 30 s of silence: idle, a half record is dropped
 *   waiting    a frame brought results that are not on disk yet: the ACK comes from kept(), NAK from refused();
 *              the sender must be silent, only ENQ and EOT mean something (they end the wait)
 * Measured on twelve public captures and tolerated: a whole message in one frame (up to 64 KiB here), CR, LF,
 * CR LF or nothing behind the sum, sums in lower case, records inside a frame split by CR or LF. ENQ, EOT and
 * STX inside a frame are noise of the line and not control: an ENQ answered there would be taken for the ACK
 * of that frame. A frame that was cut off is given up after frame_gap_ms.
 *
 * Records, fields counted from 1:
 *   H  delimiters, 5 sender, 12 processing id (T, D, Q: test, never filed), 14 message time
 *   P  3 and 4 patient ids
 *   O  3 and 4 specimen, 7 ordered, 8 collected, 12 action (Q: quality control), 16 sample type
 *   R  3 test `^^^code`, 4 value, 5 unit, 7 flags, 9 status, 12 started, 13 completed
 *   L  3 N or F: normal end
 * Names, birth dates and the rest of P are never looked at. Identity of a result: O 3, O 4, R 3 and its time to
 * the minute; R 2 and H 14 change when a message is sent again. Without such a time there is none.
 *
 * In a capture stays what is read here and is nobody's: R 3, 4 when it is no text, 5, 7, 9, 12, 13; O 7, 8,
 * 12, 16; H 12, 14; L 3; numbers of records, all delimiters. A record that began in another frame is unknown
 * and loses everything, as does a frame with a bad sum: a result that is cut by ETB is lost in a capture.
 *
 * Sources: the standards as used by public receivers; captures of Afinion 2, DCA Vantage, cobas c111 and
 * others in a public test suite. Not confirmed: escape sequences (kept as they came), the meaning of flags
 * outside the standard's list (kept as device_flag_other; Contour marks control solution with C).
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/text.h>

enum { STX = 0x02, ETX = 0x03, EOT = 0x04, ENQ = 0x05, ACK = 0x06, NAK = 0x15, ETB = 0x17 };

#define SILENCE_MS 30000
#define FRAME_GAP_MS 5000 /* well below the 15 s that a sender waits for an answer */
#define CARRY_MAX 8192	  /* a record that goes on over several frames */
#define NO_NUMBER 8

struct attribute {
	uint8_t len;
	bool cut;
	char bytes[VG_TEXT_MAX];
};

/* What is known after the frames acknowledged so far. A frame works on a copy of it, which becomes
 * true together with its ACK: a frame that is refused and sent again finds everything as before. */
struct progress {
	char field, repeat, component;
	bool open; /* records came, and no L record yet */
	bool has_clock;
	struct vg_civil clock;	/* H 14; cleared once it was told */
	const char *not_person; /* why the results are not a person's; NULL: they are */
	bool quality_control;	/* of the order at hand */
	struct attribute patient, specimen, specimen2, sample;
	struct vg_civil ordered;
	unsigned ordered_digits; /* as vg_text_civil() */
	bool skipping;		 /* in a record longer than CARRY_MAX */
	size_t carry_len;
	char carry[CARRY_MAX];
};

struct lis01 {
	bool excerpt, receiving, waiting;
	uint8_t expected, last; /* frame numbers */
	uint32_t last_hash, hash;
	vg_ticket ticket; /* of the frame that is waited for */
	struct progress done, work;
};

/* What one callback has said so far. */
struct run {
	struct vg_session *s;
	struct progress *p;
	bool emitted, classed;
	bool lost; /* the daemon could not take something: this frame must come again */
	vg_ticket ticket;
};

static void class(struct run *r, enum vg_result result)
{
	vg_result(r->s, result);
	r->classed = true;
}

static void emitted(struct run *r, vg_ticket ticket)
{
	r->ticket = ticket;
	r->emitted = true;
	r->lost |= ticket == 0;
}

static void event(struct run *r, enum vg_event_type type, const char *detail)
{
	struct vg_event e = {.type = type, .detail = detail};
	emitted(r, vg_event(r->s, &e));
}

/* A record that may be somebody's result but is not a number that we know: kept for people to read. */
static void rejected(struct run *r, struct vg_text record, const char *why)
{
	emitted(r, vg_rejected(r->s, VG_UNSUPPORTED, why, record.at, record.len));
	r->classed = true;
}

static struct attribute attribute_of(struct vg_text t)
{
	struct attribute a = {.cut = t.len > sizeof(a.bytes)};
	a.len = (uint8_t)(a.cut ? sizeof(a.bytes) : t.len);
	if (a.len)
		memcpy(a.bytes, t.at, a.len);
	return a;
}

static void order_clear(struct progress *p)
{
	p->quality_control = false;
	p->ordered_digits = 0;
	p->specimen.len = p->specimen2.len = p->sample.len = 0;
	p->specimen.cut = p->specimen2.cut = false;
}

static struct vg_text field(const struct progress *p, struct vg_text record, unsigned n)
{
	return vg_text_field(record, p->field, n);
}

static void header_record(struct progress *p, struct vg_text record)
{
	p->field = record.at[1];
	p->repeat = record.at[2];
	p->component = record.at[3];
	order_clear(p);
	p->patient.len = 0;
	p->has_clock = vg_text_civil(field(p, record, 14), &p->clock) >= 12;
	struct vg_text mode = field(p, record, 12);
	p->not_person = vg_text_is(mode, "T")	? "test message"
			: vg_text_is(mode, "D") ? "debugging message"
			: vg_text_is(mode, "Q") ? "quality control message"
						: NULL;
}

static void patient_record(struct progress *p, struct vg_text record)
{
	struct vg_text key = vg_text_field(field(p, record, 3), p->component, 1);
	if (!key.len)
		key = vg_text_field(field(p, record, 4), p->component, 1);
	p->patient = attribute_of(key);
	order_clear(p);
}

static void order_record(struct progress *p, struct vg_text record)
{
	order_clear(p);
	p->specimen = attribute_of(field(p, record, 3));
	p->specimen2 = attribute_of(field(p, record, 4));
	p->sample = attribute_of(field(p, record, 16));
	p->quality_control = vg_text_is(field(p, record, 12), "Q");
	p->ordered_digits = vg_text_civil(field(p, record, 8), &p->ordered);
	if (!p->ordered_digits)
		p->ordered_digits = vg_text_civil(field(p, record, 7), &p->ordered);
}

static void end_record(struct run *r, struct vg_text record)
{
	struct vg_text code = field(r->p, record, 3);
	r->p->open = false;
	if (code.len && !vg_text_is(code, "N") && !vg_text_is(code, "F"))
		event(r, VG_EVENT_DEVICE_ERROR, "the instrument ended its message abnormally");
}

struct result {
	struct vg_quantity quantity;
	char code[VG_TEXT_MAX + 1], unit[32], received[24];
	const char *flags[8];
	size_t n_flags;
	struct vg_civil taken;
	unsigned taken_digits;
};

/* Component 4 of `^^^code`, else the last one that is not empty. */
static struct vg_text code_of(const struct progress *p, struct vg_text test)
{
	struct vg_text code = vg_text_field(test, p->component, 4), piece;
	if (code.len)
		return code;
	while (vg_text_next(&test, p->component, &piece))
		if (vg_text_trim(piece).len)
			code = vg_text_trim(piece);
	return code;
}

static void flag_add(struct result *res, const char *flag)
{
	for (size_t i = 0; i < res->n_flags; i++)
		if (res->flags[i] == flag)
			return;
	if (res->n_flags < sizeof(res->flags) / sizeof(res->flags[0]))
		res->flags[res->n_flags++] = flag;
}

/* R 7: letters between repeat delimiters; '<' and '>' say that the true value is off the scale. */
static void flags_read(const struct progress *p, struct vg_text flags, struct result *res)
{
	static const char *const known[][2] = {{"HH", "device_flag_hh"}, {"LL", "device_flag_ll"},
		{"H", "device_flag_h"}, {"L", "device_flag_l"}, {"A", "device_flag_a"}};
	static const char other[] = "device_flag_other";
	struct vg_text piece;
	while (vg_text_next(&flags, p->repeat, &piece)) {
		piece = vg_text_trim(piece);
		if (vg_text_is(piece, "<") || vg_text_is(piece, ">"))
			res->quantity.comparator = piece.at[0];
		if (!piece.len || memchr("<>Nn", piece.at[0], 4))
			continue;
		const char *flag = other;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (vg_text_is(piece, known[i][0]))
				flag = known[i][1];
		flag_add(res, flag);
	}
}

/* HI or LO without a number: the option has the limit, for the tests that it is the limit of. */
static bool limit_read(
	struct vg_session *s, struct vg_text code, char comparator, struct result *res)
{
	struct vg_text tests = vg_text_ended(vg_option(s, "limit_tests")), test;
	struct vg_text limit = vg_text_ended(vg_option(s, comparator == '>' ? "hi" : "lo"));
	while (vg_text_next(&tests, ' ', &test)) {
		if (!vg_text_equal(code, test))
			continue;
		struct vg_text number = vg_text_field(limit, ' ', 1);
		vg_text_export(vg_text_field(limit, ' ', 2), res->unit, sizeof(res->unit));
		res->quantity.comparator = comparator;
		return vg_text_decimal(number, &res->quantity.value);
	}
	return false;
}

static bool only_dashes(struct vg_text t)
{
	while (t.len && memchr("-.* ", t.at[t.len - 1], 4))
		t.len--;
	return !t.len;
}

/* R 4 into the quantity; false: it is not a number, and that was said. Expects R 7 read before. */
static bool value_read(
	struct run *r, struct vg_text record, struct vg_text code, struct result *res)
{
	struct vg_quantity *q = &res->quantity;
	struct vg_text value = field(r->p, record, 4);
	bool high = vg_text_is(value, "HI") || vg_text_is(value, "HIGH");
	bool low = vg_text_is(value, "LO") || vg_text_is(value, "LOW");
	vg_text_export(value, res->received, sizeof(res->received));
	if (high || low || (only_dashes(value) && q->comparator)) {
		if (limit_read(r->s, code, high ? '>' : low ? '<' : q->comparator, res))
			return true;
		rejected(r, record, "off the instrument's scale, no number; set options hi and lo");
		return false;
	}
	if (only_dashes(value)) {
		event(r, VG_EVENT_FAILED_MEASUREMENT, "not measured");
		class(r, VG_NOTHING);
		return false;
	}
	if (value.at[0] == '<' || value.at[0] == '>') {
		size_t sign = value.len > 1 && value.at[1] == '=' ? 2 : 1;
		q->comparator = value.at[0];
		value = vg_text_trim(vg_text_of(value.at + sign, value.len - sign));
	}
	if (vg_text_decimal(value, &q->value))
		return true;
	rejected(r, record, "the result is a text");
	return false;
}

static void time_read(const struct progress *p, struct vg_text record, struct result *res)
{
	res->taken_digits = vg_text_civil(field(p, record, 13), &res->taken);
	if (!res->taken_digits)
		res->taken_digits = vg_text_civil(field(p, record, 12), &res->taken);
	if (!res->taken_digits && p->ordered_digits) {
		res->taken_digits = p->ordered_digits;
		res->taken = p->ordered;
	}
	if (res->taken_digits == 8)
		flag_add(res, "date_only");
}

/* Returns the length; 0: nothing identifies this result. Line ends cannot occur inside a field. */
static size_t identity_write(const struct progress *p, struct vg_text test,
	const struct result *res, uint8_t *out, size_t size)
{
	const struct attribute *a = &p->specimen, *b = &p->specimen2;
	const struct vg_civil *t = &res->taken;
	const uint8_t time[] = {(uint8_t)(t->year >> 8), (uint8_t)t->year, t->month, t->day,
		t->hour, t->minute, t->second};
	size_t len = 0;
	if (res->taken_digits < 12 || a->cut || b->cut ||
		a->len + 1u + b->len + 1u + test.len + 1u + sizeof(time) > size)
		return 0;
	const struct vg_text parts[] = {
		vg_text_of(a->bytes, a->len), vg_text_of(b->bytes, b->len), test};
	for (unsigned i = 0; i < 3; i++) {
		if (parts[i].len)
			memcpy(out + len, parts[i].at, parts[i].len);
		len += parts[i].len;
		out[len++] = '\n';
	}
	memcpy(out + len, time, sizeof(time));
	return len + sizeof(time);
}

static void result_emit(struct run *r, struct vg_text record, const struct result *res)
{
	const struct progress *p = r->p;
	const struct attribute *specimen = p->specimen.len ? &p->specimen : &p->specimen2;
	struct vg_note notes[2];
	size_t n_notes = 0;
	if (specimen->len)
		notes[n_notes++] = (struct vg_note){"specimen", specimen->bytes, specimen->len};
	if (p->sample.len)
		notes[n_notes++] = (struct vg_note){"sample_type", p->sample.bytes, p->sample.len};
	uint8_t identity[VG_IDENTITY_MAX];
	struct vg_reading reading = {
		.kind = "lab",
		.taken = res->taken_digits ? &res->taken : NULL,
		.user = -1,
		.seq = -1,
		.status = vg_text_is(field(p, record, 9), "C") ? VG_CORRECTED : VG_FINAL,
		.quantities = &res->quantity,
		.n_quantities = 1,
		.flags = res->flags,
		.n_flags = res->n_flags,
		.notes = notes,
		.n_notes = n_notes,
		.patient = p->patient.len ? p->patient.bytes : NULL,
		.patient_len = p->patient.len,
		.identity = identity,
		.identity_len =
			identity_write(p, field(p, record, 3), res, identity, sizeof(identity)),
		.raw = (const uint8_t *)record.at,
		.raw_len = record.len,
	};
	emitted(r, vg_reading(r->s, &reading));
	r->classed = true;
}

static void result_record(struct run *r, struct vg_text record)
{
	struct progress *p = r->p;
	struct vg_text code = code_of(p, field(p, record, 3)), status = field(p, record, 9);
	if (p->has_clock) {
		struct vg_event e = {.type = VG_EVENT_DEVICE_CLOCK, .civil = &p->clock, .value = 1};
		emitted(r, vg_event(r->s, &e));
	}
	p->has_clock = false;
	if (p->not_person || p->quality_control) {
		event(r, VG_EVENT_CONTROL_SOLUTION,
			p->not_person ? p->not_person : "quality control");
		class(r, VG_NOTHING);
		return;
	}
	if (vg_text_is(status, "X")) {
		event(r, VG_EVENT_FAILED_MEASUREMENT, "the instrument cannot give this result");
		class(r, VG_NOTHING);
		return;
	}
	struct result res = {.n_flags = 0};
	if (!code.len || !vg_text_export(code, res.code, sizeof(res.code))) {
		rejected(r, record, "no test code");
		return;
	}
	vg_text_export(
		vg_text_field(field(p, record, 5), p->component, 1), res.unit, sizeof(res.unit));
	flags_read(p, field(p, record, 7), &res);
	if (!value_read(r, record, code, &res))
		return;
	if (vg_text_is(status, "P") || vg_text_is(status, "I") || vg_text_is(status, "S"))
		flag_add(&res, "preliminary");
	time_read(p, record, &res);
	res.quantity.local = res.code;
	res.quantity.unit = res.unit;
	res.quantity.received = res.received;
	result_emit(r, record, &res);
}

/* Is this a record at all? A letter alone, or a letter and the delimiter that H told, or H. */
static bool record_plausible(const struct progress *p, struct vg_text record)
{
	if (record.at[0] != 'H')
		return record.len == 1 || record.at[1] == p->field;
	unsigned delimiter = record.len >= 4 ? (unsigned char)record.at[1] : 0;
	unsigned letter = delimiter | 0x20;
	return delimiter > ' ' && delimiter < 0x7f && !(letter >= 'a' && letter <= 'z') &&
	       !(delimiter >= '0' && delimiter <= '9');
}

static void record_heard(struct run *r, struct vg_text record)
{
	struct progress *p = r->p;
	if (!record_plausible(p, record)) {
		class(r, VG_MALFORMED);
		return;
	}
	p->open = true;
	switch (record.at[0]) {
	case 'H':
		header_record(p, record);
		break;
	case 'P':
		patient_record(p, record);
		break;
	case 'O':
		order_record(p, record);
		break;
	case 'R':
		result_record(r, record);
		break;
	case 'L':
		end_record(r, record);
		break;
	case 'C': /* comment */
	case 'M': /* of the manufacturer */
	case 'S': /* scientific */
		break;
	default: /* Q, a query, and what the standard does not know */
		class(r, VG_UNSUPPORTED);
	}
}

static void carry_add(struct progress *p, struct vg_text piece)
{
	if (p->skipping || piece.len > CARRY_MAX - p->carry_len) {
		p->skipping = true;
		p->carry_len = 0;
		return;
	}
	if (piece.len)
		memcpy(p->carry + p->carry_len, piece.at, piece.len);
	p->carry_len += piece.len;
}

static void record_end(struct run *r, struct vg_text piece)
{
	struct progress *p = r->p;
	if (p->carry_len || p->skipping) {
		carry_add(p, piece);
		piece = vg_text_of(p->carry, p->carry_len);
	}
	if (p->skipping)
		class(r, VG_MALFORMED);
	else if (piece.len)
		record_heard(r, piece);
	p->skipping = false;
	p->carry_len = 0;
}

/* Text of a frame: whole records are heard, what is left waits for the next frame. */
static void text_heard(struct run *r, struct vg_text text, bool last)
{
	size_t begin = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] != '\r' && text.at[i] != '\n')
			continue;
		record_end(r, vg_text_of(text.at + begin, i - begin));
		begin = i + 1;
	}
	struct vg_text rest = vg_text_of(text.at + begin, text.len - begin);
	if (last)
		record_end(r, rest);
	else
		carry_add(r->p, rest);
}

static void answer(struct vg_session *s, uint8_t control)
{
	vg_send(s, 0, &control, 1);
	vg_timer(s, SILENCE_MS);
}

static void begin(struct lis01 *st)
{
	st->receiving = true;
	st->waiting = false;
	st->expected = 1;
	st->last = NO_NUMBER;
	memset(&st->done, 0, sizeof(st->done));
	st->done.field = '|';
	st->done.repeat = '\\';
	st->done.component = '^';
}

static void idle(struct vg_session *s, struct lis01 *st)
{
	st->receiving = st->waiting = false;
	vg_timer(s, 0);
}

/* The frame is safe: what it said becomes what we know. */
static void accept(struct vg_session *s, struct lis01 *st)
{
	st->waiting = false;
	st->done = st->work;
	st->last = st->expected;
	st->last_hash = st->hash;
	st->expected = (uint8_t)((st->expected + 1) % 8);
	answer(s, ACK);
}

static bool digit_of(uint8_t c, unsigned *ret_digit)
{
	if (c >= '0' && c <= '9')
		*ret_digit = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		*ret_digit = (c | 0x20) - 'a' + 10;
	else
		return false;
	return true;
}

/* Where ETX or ETB stands behind the STX at bytes[0]; 0: nowhere. memchr, because frame() asks anew
 * for every few bytes that come. */
static size_t text_end(const uint8_t *bytes, size_t len)
{
	const uint8_t *etx = memchr(bytes, ETX, len);
	const uint8_t *etb = memchr(bytes, ETB, etx ? (size_t)(etx - bytes) : len);
	const uint8_t *end = etb ? etb : etx;
	return end ? (size_t)(end - bytes) : 0;
}

static bool frame_good(const uint8_t *bytes, size_t len, size_t end)
{
	unsigned high, low, sum = 0;
	for (size_t i = 1; i <= end; i++)
		sum += bytes[i];
	return end >= 2 && len >= end + 3 && digit_of(bytes[end + 1], &high) &&
	       digit_of(bytes[end + 2], &low) && (sum & 0xff) == (high << 4 | low) &&
	       bytes[1] >= '0' && bytes[1] <= '7';
}

/* FNV-1a. A frame with the last number and another content is not a repeat: an ACK would lose it. */
static uint32_t frame_hash(const uint8_t *bytes, size_t len)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

static void frame_heard(struct vg_session *s, struct lis01 *st, const uint8_t *bytes, size_t len)
{
	size_t end = text_end(bytes, len);
	bool good = frame_good(bytes, len, end);
	uint8_t number = good ? bytes[1] - '0' : NO_NUMBER;
	if (!st->receiving && st->excerpt && good) {
		begin(st);
		st->expected = number;
	}
	if (!st->receiving || st->waiting) {
		vg_result(s, VG_OUT_OF_SEQUENCE);
		return;
	}
	uint32_t hash = frame_hash(bytes, end);
	bool again = number == st->last && hash == st->last_hash;
	if (!good || (number != st->expected && !again)) {
		vg_result(s, good ? VG_OUT_OF_SEQUENCE : VG_MALFORMED);
		answer(s, NAK);
		return;
	}
	if (again) {
		vg_result(s, VG_NOTHING);
		answer(s, ACK);
		return;
	}
	st->hash = hash;
	st->work = st->done;
	struct run r = {.s = s, .p = &st->work};
	text_heard(&r, vg_text_of(bytes + 2, end - 2), bytes[end] == ETX);
	if (!r.classed)
		vg_result(s, VG_NOTHING);
	st->waiting = r.emitted && !r.lost;
	st->ticket = r.ticket;
	if (st->waiting)
		vg_timer(s, 0);
	else if (r.lost)
		answer(s, NAK);
	else
		accept(s, st);
}

static void lis01_opened(struct vg_session *s, bool excerpt)
{
	struct lis01 *st = vg_state(s);
	st->excerpt = excerpt;
}

static void lis01_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct lis01 *st = vg_state(s);
	(void)channel;
	(void)now;
	if (*bytes == STX) {
		frame_heard(s, st, bytes, len);
		return;
	}
	bool half = st->receiving && (st->done.carry_len || st->done.skipping);
	if (*bytes == ENQ) {
		struct run r = {.s = s};
		if (st->receiving && (st->waiting || half || st->done.open))
			event(&r, VG_EVENT_INSTRUMENT_RESTART, NULL);
		vg_result(s, VG_NOTHING);
		begin(st);
		answer(s, ACK);
		return;
	}
	vg_result(s, half ? VG_MALFORMED : VG_NOTHING);
	idle(s, st);
}

static void lis01_expired(struct vg_session *s, const struct vg_now *now)
{
	(void)now;
	idle(s, vg_state(s));
}

static void lis01_kept(struct vg_session *s, vg_ticket ticket)
{
	struct lis01 *st = vg_state(s);
	if (st->waiting && ticket == st->ticket)
		accept(s, st);
}

static void lis01_refused(struct vg_session *s, vg_ticket ticket, int why)
{
	struct lis01 *st = vg_state(s);
	(void)why;
	if (!st->waiting || ticket != st->ticket)
		return;
	st->waiting = false;
	answer(s, NAK);
}

/* Length of the frame that begins with the STX at bytes[0]; 0: not all of it is there. */
static size_t frame_length(const uint8_t *bytes, size_t len)
{
	size_t end = text_end(bytes, len);
	if (!end)
		return 0;
	size_t at = end + 1;
	unsigned digit;
	while (at < len && at < end + 3 && digit_of(bytes[at], &digit))
		at++;
	if (at == len && at < end + 3)
		return 0;
	if (at < len && bytes[at] == '\r')
		at++;
	if (at < len && bytes[at] == '\n')
		at++;
	return at;
}

/* Line ends alone before a frame are the end of the one before, come late. */
static struct vg_frame lis01_frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	struct vg_frame f = {.filler = true};
	size_t at = 0;
	for (; at < len && bytes[at] != STX && bytes[at] != ENQ && bytes[at] != EOT; at++)
		f.filler &= bytes[at] == '\r' || bytes[at] == '\n';
	f.skip = at;
	if (at < len)
		f.length = bytes[at] == STX ? frame_length(bytes + at, len - at) : 1;
	if (at < len && !f.length && len >= VG_FRAME_MAX)
		f = (struct vg_frame){.skip = at + 1};
	return f;
}

/* what may leave in a capture */

#define SCRUBBED 'x'

static bool punctuation(uint8_t c)
{
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
	       !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Control characters and the usual delimiters stay. */
static void scrub_bytes(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] >= ' ' && bytes[i] != 0x7f && !memchr("|\\^&", bytes[i], 4))
			bytes[i] = SCRUBBED;
}

static bool record_number(struct vg_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (t.at[i] < '0' || t.at[i] > '9')
			return false;
	return t.len <= 3; /* not a year of birth */
}

static bool value_harmless(struct vg_text t)
{
	static const char *const words[] = {"HI", "HIGH", "LO", "LOW"};
	struct vg_decimal number;
	if (t.len && (t.at[0] == '<' || t.at[0] == '>')) {
		size_t sign = t.len > 1 && t.at[1] == '=' ? 2 : 1;
		t = vg_text_trim(vg_text_of(t.at + sign, t.len - sign));
	}
	bool known = only_dashes(t) || vg_text_decimal(t, &number);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		known |= vg_text_is(t, words[i]);
	return known;
}

/* A time of our days. Numbers of identity cards never begin with 19 or 20. */
static bool time_harmless(struct vg_text t)
{
	struct vg_civil time;
	for (size_t i = 0; i < t.len; i++)
		if (!memchr("0123456789+-.", t.at[i], 13))
			return false;
	return vg_text_civil(t, &time) && time.year >= 1990 && time.year < 2100;
}

static bool delimiters_only(struct vg_text t)
{
	for (size_t i = 0; i < t.len; i++)
		if (!punctuation((uint8_t)t.at[i]))
			return false;
	return true;
}

/* Field `n` of a record: is it read by us, and nobody's? Anything else may be a name. */
static bool field_harmless(uint8_t letter, unsigned n, struct vg_text t)
{
	static const struct {
		uint8_t letter, field, longest;
		bool (*harmless)(struct vg_text t);
	} known[] = {{'H', 2, 4, delimiters_only}, {'H', 12, 1, NULL}, {'H', 14, 24, time_harmless},
		{'O', 7, 24, time_harmless}, {'O', 8, 24, time_harmless}, {'O', 12, 1, NULL},
		{'O', 16, 32, NULL}, {'R', 3, 64, NULL}, {'R', 4, 10, value_harmless},
		{'R', 5, 20, NULL}, {'R', 7, 8, NULL}, {'R', 9, 1, NULL},
		{'R', 12, 24, time_harmless}, {'R', 13, 24, time_harmless}, {'L', 3, 1, NULL}};
	t = vg_text_trim(t);
	if (n == 2 && letter != 'H')
		return record_number(t);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].letter == letter && known[i].field == n)
			return t.len <= known[i].longest &&
			       (!known[i].harmless || known[i].harmless(t));
	return false;
}

/* Is this surely the beginning of a record? The first text of a frame may be the rest of one. */
static bool record_begins(const uint8_t *record, size_t len, bool first)
{
	struct vg_text r = vg_text_of(record, len);
	bool parted = len == 1 || (punctuation(record[1]) && !memchr("-._,'/+:", record[1], 8));
	if (!memchr("HPORLCMSQ", record[0], 9) || !parted)
		return false;
	if (!first || len == 1)
		return true;
	if (record[0] == 'H')
		return len >= 4 && punctuation(record[2]) && punctuation(record[3]);
	struct vg_text number = vg_text_field(r, r.at[1], 2), test = vg_text_field(r, r.at[1], 3);
	return number.len && record_number(number) &&
	       (record[0] != 'R' || (test.len && test.at[0] == '^'));
}

static void scrub_record(uint8_t *record, size_t len, bool first)
{
	if (!len || !record_begins(record, len, first)) {
		scrub_bytes(record, len);
		return;
	}
	size_t begin = 1;
	unsigned n = 1;
	for (size_t i = 1; i <= len; i++) {
		if (i < len && record[i] != record[1])
			continue;
		if (n > 1 && !field_harmless(record[0], n, vg_text_of(record + begin, i - begin)))
			scrub_bytes(record + begin, i - begin);
		begin = i + 1;
		n++;
	}
}

static void sum_write(uint8_t *digits, unsigned sum)
{
	static const char upper[] = "0123456789ABCDEF", lower[] = "0123456789abcdef";
	const char *set = digits[0] >= 'a' || digits[1] >= 'a' ? lower : upper;
	digits[0] = (uint8_t)set[sum >> 4 & 15];
	digits[1] = (uint8_t)set[sum & 15];
}

static void scrub_records(uint8_t *text, size_t len)
{
	size_t begin = 0;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && text[i] != '\r' && text[i] != '\n')
			continue;
		if (i > begin)
			scrub_record(text + begin, i - begin, begin == 0);
		begin = i + 1;
	}
}

/* In a good frame every field is where it should be; it stays a good one. Of a bad one nothing is sure, and it
 * stays bad: its number is gone. */
static void lis01_scrub(const struct vg_driver *self, unsigned channel, uint8_t *bytes, size_t len)
{
	(void)self;
	(void)channel;
	size_t end = len && bytes[0] == STX ? text_end(bytes, len) : 0;
	if (!frame_good(bytes, len, end)) {
		scrub_bytes(bytes, end ? end : len);
		return;
	}
	unsigned sum = 0;
	scrub_records(bytes + 2, end - 2);
	for (size_t i = 1; i <= end; i++)
		sum += bytes[i];
	sum_write(bytes + end + 1, sum);
}

static const struct vg_option options[] = {
	{.name = "hi",
		.fallback = "33.3 mmol/L",
		.help = "what HI without a number lies above, for limit_tests"},
	{.name = "lo",
		.fallback = "0.6 mmol/L",
		.help = "what LO without a number lies below, for limit_tests"},
	{.name = "limit_tests",
		.fallback = "GLU GLUC GLUC3 GLUCOSE BG GLU-F FBG FPG 血糖 葡萄糖",
		.help = "test codes of the instrument that hi and lo belong to"},
};

const struct vg_driver lis01 = {
	.name = "lis01",
	.version = 1,
	.title = "Analyser, LIS01-A2 (ASTM E1381)",
	.title_zh = "检验仪器(LIS01-A2/ASTM)",
	.bus = VG_BUS_STREAM,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.state_size = sizeof(struct lis01),
	.frame_max = VG_FRAME_MAX,
	.frame_gap_ms = FRAME_GAP_MS,
	.opened = lis01_opened,
	.heard = lis01_heard,
	.expired = lis01_expired,
	.kept = lis01_kept,
	.refused = lis01_refused,
	.frame = lis01_frame,
	.scrub = lis01_scrub,
};
