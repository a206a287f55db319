/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reading.h"

#include <errno.h>
#include <sha2.h>
#include <sys/random.h>

#define ID_VERSION "vg1" /* of the rule that makes ids; never change it for existing readings */

struct unit *unit_new(void)
{
	struct unit *u = calloc(1, sizeof(*u));
	if (u) {
		u->last_reading = &u->readings;
		u->last_event = &u->events;
	}
	return u;
}

void unit_free(struct unit *u)
{
	if (!u)
		return;
	for (struct reading *r = u->readings, *next; r; r = next) {
		next = r->next;
		free(r->raw.at);
		free(r);
	}
	for (struct happening *e = u->events, *next; e; e = next) {
		next = e->next;
		free(e->raw.at);
		free(e);
	}
	for (struct mark *m = u->marks, *next; m; m = next) {
		next = m->next;
		free(m);
	}
	free(u->study.at);
	free(u);
}

struct reading *unit_add_reading(struct unit *u)
{
	struct reading *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	*u->last_reading = r;
	u->last_reading = &r->next;
	return r;
}

struct happening *unit_add_event(struct unit *u, const char *type)
{
	struct happening *e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	text_copy(e->type, sizeof(e->type), type, strlen(type));
	*u->last_event = e;
	u->last_event = &e->next;
	return e;
}

bool bytes_copy(struct bytes *dst, const uint8_t *src, size_t len)
{
	dst->at = malloc(len ? len : 1);
	if (!dst->at)
		return false;
	if (len)
		memcpy(dst->at, src, len);
	dst->len = len;
	return true;
}

struct uuid uuid_of(const char *what, const void *bytes, size_t len)
{
	SHA2_CTX c;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256Init(&c);
	SHA256Update(&c, (const uint8_t *)what, strlen(what) + 1);
	if (len)
		SHA256Update(&c, bytes, len);
	SHA256Final(digest, &c);
	struct uuid id;
	memcpy(id.bytes, digest, sizeof(id.bytes));
	return id;
}

struct uuid uuid_random(void)
{
	struct uuid id;
	if (getrandom(id.bytes, sizeof(id.bytes), 0) != sizeof(id.bytes)) {
		int64_t now[2] = {clock_boot_us(), clock_utc_us()};
		id = uuid_of("no entropy", now, sizeof(now));
	}
	return id;
}

void reading_identify(
	struct reading *r, const char *uid, const char *driver, const uint8_t *identity, size_t len)
{
	uint8_t text[sizeof(ID_VERSION) + 160 + VG_IDENTITY_MAX];
	SHA2_CTX c;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	if (len) {
		size_t n = (size_t)snprintf((char *)text, 160, "%s|%s", uid, driver) + 1;
		n = MIN(n, (size_t)160);
		memcpy(text + n, identity, MIN(len, (size_t)VG_IDENTITY_MAX));
		r->id = uuid_of(ID_VERSION, text, n + MIN(len, (size_t)VG_IDENTITY_MAX));
	} else {
		r->id = uuid_random();
	}
	SHA256Init(&c);
	SHA256Update(&c, r->raw.at, r->raw.len);
	SHA256Update(&c, (const uint8_t *)r->patient, strlen(r->patient) + 1);
	SHA256Final(digest, &c);
	memcpy(r->content.bytes, digest, sizeof(r->content.bytes));
}

static bool all_digits(const char *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t[i] < '0' || t[i] > '9')
			return false;
	return true;
}

/* An identity card number (GB 11643, check character ISO 7064 MOD 11-2) or a mobile phone number. */
static bool looks_personal(const char *t)
{
	static const uint8_t weight[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
	unsigned sum = 0;
	size_t n = strlen(t);
	if (n == 11)
		return all_digits(t, 11) && t[0] == '1' && t[1] >= '3';
	if (n != 18 || !all_digits(t, 17))
		return false;
	for (size_t i = 0; i < 17; i++)
		sum += (unsigned)(t[i] - '0') * weight[i];
	return t[17] == "10X98765432"[sum % 11] || (t[17] == 'x' && sum % 11 == 2);
}

void reading_mask(char *text)
{
	if (!looks_personal(text))
		return;
	size_t n = strlen(text);
	memset(text, '*', n - 3);
}

static enum vg_result take_quantity(struct reading *out, const struct vg_quantity *q,
	const char *driver, const struct codes *codes, char *why)
{
	const struct code *code = q->kind ? codes_find(codes, q->kind)
					  : codes_local(codes, driver, q->local ? q->local : "");
	if (!code) {
		snprintf(why, 96, "unknown test \"%.40s\"; add it to local_codes.csv",
			q->kind	   ? q->kind
			: q->local ? q->local
				   : "");
		return VG_UNSUPPORTED;
	}
	for (unsigned i = 0; i < out->n_quantities; i++)
		if (out->quantities[i].code == code) {
			snprintf(why, 96, "%.30s twice in one reading", code->kind);
			return VG_MALFORMED;
		}
	struct quantity *to = &out->quantities[out->n_quantities];
	const char *unit = q->unit ? q->unit : "";
	int rc = codes_convert(codes, code, q->value, unit, &to->value);
	if (rc == -EINVAL) {
		snprintf(why, 96, "unknown unit \"%.20s\" for %.30s; add it to units.csv", unit,
			code->kind);
		return VG_UNSUPPORTED;
	}
	bool beyond = q->comparator == '<' || q->comparator == '>';
	if (rc < 0 && !(rc == -ERANGE && beyond)) {
		snprintf(why, 96, "%.30s out of range", code->kind);
		return VG_IMPLAUSIBLE;
	}
	to->code = code;
	to->comparator = beyond ? q->comparator : 0;
	text_copy(to->received_unit, sizeof(to->received_unit), unit, strlen(unit));
	const char *received = q->received ? q->received : "";
	text_copy(to->received, sizeof(to->received), received, strlen(received));
	out->n_quantities++;
	return VG_READING;
}

/* What a reading is about is its first quantity. When only a later one cannot be true, it is left out and
 * the rest is kept, flagged: 190 mmHg with a nonsensical pulse must still reach somebody. */
enum vg_result reading_take(struct reading *out, const struct vg_reading *in, const char *driver,
	const struct codes *codes, char *why)
{
	if (in->n_quantities > VG_QUANTITIES_MAX || in->n_flags > VG_FLAGS_MAX ||
		in->n_notes > VG_NOTES_MAX || in->identity_len > VG_IDENTITY_MAX ||
		!in->n_quantities) {
		snprintf(why, 96, "more in one reading than the contract allows");
		return VG_MALFORMED;
	}
	out->kind = in->kind;
	out->user = in->user;
	out->seq = in->seq;
	out->status = in->status;
	out->has_taken = in->taken != NULL;
	out->live = in->live;
	if (in->taken)
		out->taken = *in->taken;
	bool dropped = false;
	for (size_t i = 0; i < in->n_quantities; i++) {
		enum vg_result result = take_quantity(out, &in->quantities[i], driver, codes, why);
		if (result != VG_READING && i == 0)
			return result;
		dropped |= result != VG_READING;
	}
	for (size_t i = 0; i < in->n_flags; i++)
		out->flags[out->n_flags++] = in->flags[i];
	if (dropped)
		out->flags[out->n_flags++] = "implausible_part";
	for (size_t i = 0; i < in->n_notes; i++) {
		struct note *n = &out->notes[out->n_notes++];
		n->key = in->notes[i].key;
		text_copy(n->text, sizeof(n->text), in->notes[i].text, in->notes[i].len);
		reading_mask(n->text);
	}
	out->has_patient = in->patient_len > 0;
	text_copy(out->patient, sizeof(out->patient), in->patient, in->patient_len);
	return VG_READING;
}

static void text_member(struct json *j, const char *key, const char *text)
{
	if (text[0])
		json_str(j, key, text);
}

void reading_json_body(const struct reading *r, struct json *j, bool full)
{
	json_object_begin(j, "values");
	for (unsigned i = 0; i < r->n_quantities; i++) {
		const struct quantity *q = &r->quantities[i];
		json_object_begin(j, q->code->kind);
		json_milli(j, "value", q->value.milli, q->value.decimals);
		json_str(j, "unit", q->code->ucum);
		if (q->comparator)
			json_string_n(j, "comparator", &q->comparator, 1);
		if (full) {
			text_member(j, "received", q->received);
			if (!streq(q->received_unit, q->code->ucum))
				text_member(j, "received_unit", q->received_unit);
			text_member(j, "ws", q->code->ws);
			text_member(j, "loinc", q->code->loinc);
			text_member(j, "mdc", q->code->mdc);
		}
		json_object_end(j);
	}
	json_object_end(j);
	json_array_begin(j, "flags");
	for (unsigned i = 0; i < r->n_flags; i++)
		json_str(j, NULL, r->flags[i]);
	json_array_end(j);
	if (!r->n_notes)
		return;
	json_object_begin(j, "notes");
	for (unsigned i = 0; i < r->n_notes; i++)
		json_str(j, r->notes[i].key, r->notes[i].text);
	json_object_end(j);
}
