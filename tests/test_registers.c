/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Profiles of registers and what is decoded by them: the keys and their refusals, the cut into blocks, the
 * meaning of bytes against the model of tests/sim/register_model.py, and what a driver tells over many rounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codes.h"
#include "fuzz/vg_mock.h"
#include "profile.h"
#include "util.h"

#include <errno.h>
#include <jansson.h>
#include <vitalgate/decimal.h>
#include <vitalgate/registers.h>

#define MODEL_CASES 6000
#define SINGLES 300000
#define HEAD \
	"version: 1\nbus: registers\ntitle: Test\ntitle_zh: 测试\nsource: none\nkind: environment\n"

static struct codes *codes;
static char folder[] = "/tmp/vg-registers-XXXXXX";

static int setup(void **state)
{
	(void)state;
	char error[400];
	codes = codes_load("config", error, sizeof(error));
	return codes && mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	codes_free(codes);
	char path[64];
	snprintf(path, sizeof(path), "%s/p.yaml", folder);
	unlink(path);
	rmdir(folder);
	return 0;
}

/* a profile from text */

static int profile_load(const char *text, struct profile *p, char error[400])
{
	char path[64];
	struct yamlmap y;
	snprintf(path, sizeof(path), "%s/p.yaml", folder);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	*p = (struct profile){0};
	int rc = yamlmap_open(&y, path, error, 400);
	if (rc < 0)
		return rc;
	rc = profile_read(&y, codes, p);
	yamlmap_close(&y);
	return rc;
}

static const struct vg_registers *profile_of(const char *text, struct profile *p)
{
	char error[400] = "";
	if (profile_load(text, p, error) < 0)
		fail_msg("%s", error);
	return p->body;
}

/* a session, and what it said as one line */

struct rig {
	struct profile profile;
	struct vg_session s;
	char said[2048];
};

static struct rig *rig_of(struct vg_session *s)
{
	return (struct rig *)((char *)s - offsetof(struct rig, s));
}

static void say(struct rig *r, const char *format, ...)
{
	size_t n = strlen(r->said);
	va_list args;
	va_start(args, format);
	vsnprintf(r->said + n, sizeof(r->said) - n, format, args);
	va_end(args);
}

static void note_reading(struct vg_session *s, const struct vg_reading *x)
{
	struct rig *r = rig_of(s);
	say(r, "%s[", x->kind);
	for (size_t i = 0; i < x->n_quantities; i++)
		say(r, "%s%s %lldE%d %s", i ? ", " : "", x->quantities[i].kind,
			(long long)x->quantities[i].value.mantissa, x->quantities[i].value.exponent,
			x->quantities[i].unit);
	for (size_t i = 0; i < x->n_flags; i++)
		say(r, " !%s", x->flags[i]);
	for (size_t i = 0; i < x->n_notes; i++)
		say(r, " %s=%.*s", x->notes[i].key, (int)x->notes[i].len, x->notes[i].text);
	say(r, "]");
	assert_int_equal(x->identity_len, 0);
}

static void note_event(struct vg_session *s, const struct vg_event *e)
{
	assert_int_equal(e->type, VG_EVENT_DEVICE_ERROR);
	say(rig_of(s), "(%s)", e->detail);
}

static void rig_open(struct rig *r, const char *text)
{
	*r = (struct rig){0};
	profile_of(text, &r->profile);
	r->s.profile = r->profile.body;
	r->s.on_reading = note_reading;
	r->s.on_event = note_event;
	mock_open(&r->s, &r->profile.driver);
}

static void rig_close(struct rig *r)
{
	mock_close(&r->s);
	profile_free(&r->profile);
}

/* One round, a second after the last. */
static const char *hear(struct rig *r, const char *hexed)
{
	uint8_t bytes[1024];
	size_t len = strlen(hexed) / 2;
	assert_true(len <= sizeof(bytes) && unhex(bytes, len, hexed));
	r->said[0] = 0;
	r->s.now.boot_us += 1000000;
	mock_heard(&r->s, 0, bytes, len);
	assert_int_equal(r->s.classed, 1);
	assert_int_equal(r->s.sends, 0);
	return r->said;
}

/* singles */

static void every_single_has_its_shortest_decimal(void **state)
{
	(void)state;
	uint64_t dice = 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < SINGLES; i++) {
		dice ^= dice << 13;
		dice ^= dice >> 7;
		dice ^= dice << 17;
		uint32_t bits = (uint32_t)(dice >> 32);
		if (i % 3 == 0) /* of the size of what is measured */
			bits = (bits & 0x807fffff) | (120 + i / 3 % 30) << 23;
		if (i % 7 == 0) /* where the distance to the neighbours changes */
			bits &= 0xff800003;
		if ((bits >> 23 & 0xff) == 0xff)
			continue;
		float value;
		memcpy(&value, &bits, sizeof(value));
		char wanted[32], found[48];
		for (int digits = 1; digits <= 9; digits++) {
			snprintf(wanted, sizeof(wanted), "%.*e", digits - 1, (double)value);
			if (strtof(wanted, NULL) == value)
				break;
		}
		struct vg_decimal d = vg_single(bits);
		snprintf(found, sizeof(found), "%llde%d", (long long)d.mantissa, d.exponent);
		if (strtod(found, NULL) != strtod(wanted, NULL) || (value == 0 && d.mantissa))
			fail_msg("%08x: %s, expected %s", bits, found, wanted);
	}
}

static void arithmetic_is_exact_and_loses_only_the_finest_digits(void **state)
{
	(void)state;
	struct vg_decimal r = vg_plus((struct vg_decimal){1, 0}, (struct vg_decimal){-25, -2});
	assert_int_equal(r.mantissa, 75);
	assert_int_equal(r.exponent, -2);
	r = vg_times(
		(struct vg_decimal){999999999999999, 0}, (struct vg_decimal){999999999999999, -15});
	assert_int_equal(r.exponent, -3); /* 999999999999998.000000000000001 has too many */
	assert_int_equal(r.mantissa, INT64_C(999999999999998000));
	r = vg_times((struct vg_decimal){-999999999999999999, 0}, (struct vg_decimal){55, 0});
	assert_int_equal(r.exponent, 2);
	assert_int_equal(r.mantissa, -INT64_C(549999999999999999)); /* 54999999999999999945 */
	r = vg_plus((struct vg_decimal){3, 38}, (struct vg_decimal){5, -1});
	assert_true(vg_minus(r, (struct vg_decimal){3, 38}).mantissa == 0);
	assert_int_equal(vg_rounded((struct vg_decimal){25, -1}, 0).mantissa, 3);
	assert_int_equal(vg_rounded((struct vg_decimal){-25, -1}, 0).mantissa, -3);
	assert_int_equal(vg_rounded((struct vg_decimal){24999, -4}, 0).mantissa, 2);
	assert_int_equal(vg_rounded((struct vg_decimal){999999999999999999, -40}, 9).mantissa, 0);
}

/* against the model */

/* "a: 0, b: x" -> "12.50" is "12.5". */
static void without_zeros(char *text)
{
	if (!strchr(text, '.'))
		return;
	size_t n = strlen(text);
	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	text[n] = 0;
	if (streq(text, "-0"))
		strcpy(text, "0");
}

/* Half away from zero, on text. */
static void round_text(char *text, unsigned decimals)
{
	char *point = strchr(text, '.');
	if (!point || strlen(point + 1) <= decimals)
		return;
	bool up = point[1 + decimals] >= '5';
	point[1 + decimals] = 0;
	char *at = point + decimals;
	for (; up && at >= text && *at != '-'; at--) {
		if (*at == '.')
			continue;
		up = *at == '9';
		*at = *at == '9' ? '0' : (char)(*at + 1);
	}
	if (up) {
		size_t minus = *text == '-';
		memmove(text + minus + 1, text + minus, strlen(text + minus) + 1);
		text[minus] = '1';
	}
	without_zeros(text);
	if (text[strlen(text) - 1] == '.')
		text[strlen(text) - 1] = 0;
	if (streq(text, "-0"))
		strcpy(text, "0");
}

/* The item of a case as a line of a profile, beside one with a code. */
static void write_item(char *out, size_t size, json_t *item, size_t bytes)
{
	const char *type = json_string_value(json_object_get(item, "type"));
	size_t n = (size_t)snprintf(out, size,
		HEAD "items:\n - {name: t, fc: 3, addr: 900, type: int16, unit: Cel, code: "
		     "env.temp}\n - {name: x, fc: %d, addr: 0, type: %s",
		bytes == 1 ? 2 : 4, type);
	const char *key;
	json_t *value;
	if (streq(type, "string"))
		n += (size_t)snprintf(out + n, size - n, ", length: %zu", bytes / 2);
	json_object_foreach(item, key, value)
	{
		if (streq(key, "type"))
			continue;
		n += (size_t)snprintf(out + n, size - n, ", %s: ", key);
		if (streq(key, "invalid")) {
			n += (size_t)snprintf(out + n, size - n, "[");
			for (size_t i = 0; i < json_array_size(value); i++)
				n += (size_t)snprintf(out + n, size - n, "%s0x%s", i ? ", " : "",
					json_string_value(json_array_get(value, i)));
			n += (size_t)snprintf(out + n, size - n, "]");
		} else {
			char *text = json_dumps(value, JSON_ENCODE_ANY);
			n += (size_t)snprintf(out + n, size - n, "%s", text);
			free(text);
		}
	}
	snprintf(out + n, size - n, "}\n");
}

/* What the driver should say of a case, as a note or an event. */
static void wanted_of(char *out, size_t size, json_t *item, json_t *expect)
{
	char number[128] = "";
	const char *what = json_string_value(json_array_get(expect, 0));
	const char *text = json_string_value(json_array_get(expect, 1));
	json_t *decimals = json_object_get(item, "decimals");
	if (text)
		text_copy(number, sizeof(number), text, strlen(text));
	if (streq(what, "value") || streq(what, "out_of_range"))
		round_text(number, decimals ? (unsigned)json_integer_value(decimals) : 9);
	if (streq(what, "invalid"))
		snprintf(out, size, "(x: invalid)");
	else if (streq(what, "out_of_range"))
		snprintf(out, size, "(x: out of range: %s)", number);
	else
		snprintf(out, size, "%s", number);
}

static void compare(json_t *one)
{
	char text[2048], wanted[256], record[160], found[256] = "";
	const char *bytes = json_string_value(json_object_get(one, "hex"));
	json_t *item = json_object_get(one, "item");
	struct rig r;
	write_item(text, sizeof(text), item, strlen(bytes) / 2);
	wanted_of(wanted, sizeof(wanted), item, json_object_get(one, "expect"));
	rig_open(&r, text);
	bool last = r.profile.body && ((struct vg_registers *)r.profile.body)->items[1].block == 1;
	snprintf(record, sizeof(record), "%s%02zx%s%s", last ? "020001" : "", strlen(bytes) / 2,
		bytes, last ? "" : "020001");
	hear(&r, record);
	char *note = strstr(r.said, " x=");
	if (r.said[0] == '(') {
		text_copy(found, sizeof(found), r.said, (size_t)(strchr(r.said, ')') + 1 - r.said));
		char *colon = strstr(found, "range: ");
		if (colon) {
			found[strlen(found) - 1] = 0;
			without_zeros(colon);
			strcat(found, ")");
		}
	} else if (note) {
		text_copy(found, sizeof(found), note + 3, strlen(note + 3) - 1);
		if (streq(json_string_value(json_array_get(json_object_get(one, "expect"), 0)),
			    "value"))
			without_zeros(found);
	}
	if (!streq(found, wanted))
		fail_msg("%s\n%s\nfound \"%s\", expected \"%s\"", text, bytes, found, wanted);
	rig_close(&r);
}

/* The model can scale a bit, and has limits of more than 15 digits; a profile is refused for that. */
static bool is_beyond_a_profile(json_t *item)
{
	static const char *const keys[] = {"scale", "offset", "min", "max", "decimals"};
	bool bit = streq(json_string_value(json_object_get(item, "type")), "bit"), beyond = false;
	for (size_t i = 0; i < ELEMENTS(keys); i++) {
		json_t *value = json_object_get(item, keys[i]);
		const char *text = json_string_value(value);
		beyond |= (value && bit) || (text && strlen(text) > 15);
	}
	return beyond;
}

static void bytes_mean_what_the_model_says(void **state)
{
	(void)state;
	char command[96];
	snprintf(command, sizeof(command),
		"python3 -B tests/sim/register_model.py --random %d --seed 11", MODEL_CASES);
	FILE *f = popen(command, "re");
	char line[4096];
	unsigned n = 0;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		json_t *one = json_loads(line, 0, NULL);
		assert_non_null(one);
		if (!is_beyond_a_profile(json_object_get(one, "item"))) {
			compare(one);
			n++;
		}
		json_decref(one);
	}
	assert_int_equal(pclose(f), 0);
	assert_true(n > MODEL_CASES * 8 / 10);
}

/* profiles */

#define T "name: t, unit: Cel, code: env.temp"

static void items_are_cut_into_blocks_without_holes(void **state)
{
	(void)state;
	static const struct vg_registers_block wanted[] = {
		{1, 7, 1}, {2, 0, 3}, {3, 0, 2}, {4, 0, 3}, {4, 4, 2}};
	struct profile p;
	const struct vg_registers *r = profile_of(HEAD
		"items:\n"
		" - {" T ", fc: 4, addr: 4, type: float32}\n"
		" - {name: a, fc: 4, addr: 2, type: int16}\n"
		" - {name: b, fc: 4, addr: 0, type: uint32}\n"
		" - {name: b2, fc: 4, addr: 1, type: uint16}\n"
		" - {name: b3, fc: 4, addr: 0, type: uint16}\n"
		" - {name: c, fc: 3, addr: 0, type: uint32, mask: 0xff}\n"
		" - {name: c2, fc: 3, addr: 0, type: uint16, mask: 0xff00, shift: 8}\n"
		" - {name: d, fc: 3, addr: 0, type: bit, shift: 15, enum: {1: on}, as: flag}\n"
		" - {name: e, fc: 2, addr: 1, type: bit}\n"
		" - {name: f, fc: 2, addr: 0, type: bit}\n"
		" - {name: g, fc: 2, addr: 2, type: bit, enum: {1: on}, as: flag}\n"
		" - {name: h, fc: 1, addr: 7, type: bit, enum: {1: on}, as: flag}\n",
		&p);
	assert_int_equal(r->n_blocks, ELEMENTS(wanted));
	for (size_t i = 0; i < ELEMENTS(wanted); i++) {
		assert_int_equal(r->blocks[i].function, wanted[i].function);
		assert_int_equal(r->blocks[i].address, wanted[i].address);
		assert_int_equal(r->blocks[i].count, wanted[i].count);
	}
	assert_int_equal(r->items[1].at, 4);
	assert_int_equal(r->items[3].at, 2);
	assert_int_equal(r->items[10].at, 2);
	profile_free(&p);
}

static void a_block_is_never_longer_than_an_answer(void **state)
{
	(void)state;
	char text[8192] = HEAD "address_base: 1\nitems:\n - {" T ", fc: 4, addr: 1, type: int16}\n";
	struct profile p;
	size_t n = strlen(text);
	for (unsigned i = 0; i < 5; i++) /* 31 registers each, one behind the other */
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			" - {name: s%u, fc: 4, addr: %u, type: string, length: 31}\n", i,
			2 + 31 * i);
	const struct vg_registers *r = profile_of(text, &p);
	assert_int_equal(r->n_blocks, 2);
	assert_int_equal(r->blocks[0].address, 0);
	assert_int_equal(r->blocks[0].count, 125);
	assert_int_equal(r->blocks[1].address, 125);
	assert_int_equal(r->blocks[1].count, 31);
	profile_free(&p);
}

static void what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *items, *error;
	} cases[] = {
		{"[]", "items: 1 to 16"},
		{"\n - {name: a, fc: 3, addr: 0, type: int16}", "items: 1 to 16"},
		{"\n - {" T ", fc: 5, addr: 0, type: int16}", "fc: expected a number from 1 to 4"},
		{"\n - {" T ", fc: 2, addr: 0, type: int16}", "fc: 1 and 2 read bits"},
		{"\n - {" T ", fc: 3, addr: 65535, type: int32}", "65536 addresses"},
		{"\n - {" T ", fc: 3, addr: 0, type: int8}", "type: expected one of bit"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, colour: red}",
			"unknown key \"colour\""},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, length: 2}", "length: a string"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, invert: true}", "invert: only"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, shift: 16}", "shift: there are not"},
		{"\n - {" T ", fc: 3, addr: 0, type: float32, mask: 1}", "mask, shift: not"},
		{"\n - {" T ", fc: 2, addr: 0, type: bit, scale: 2}", "are for numbers"},
		{"\n - {" T ", fc: 3, addr: 0, type: string, length: 2}", "code, enum: a string"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, as: flag}", "as: there is no enum"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, invalid: 7}",
			"invalid: expected a list"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, invalid: [-1]}",
			"invalid: expected a list"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, invalid: [0x123456789]}",
			"invalid: expected a list"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, enum: {1: Aus}}", "NUMBER: WORD"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, enum: {x: aus}}", "NUMBER: WORD"},
		{"\n - {name: T, unit: Cel, code: env.temp, fc: 3, addr: 0, type: int16}",
			"name: expected small letters"},
		{"\n - {name: t, unit: Cel, code: env.heat, fc: 3, addr: 0, type: int16}",
			"code: \"env.heat\" is not in codes.csv"},
		{"\n - {name: t, unit: bar, code: env.temp, fc: 3, addr: 0, type: int16}",
			"unit: expected Cel"},
		{"\n - {name: t, code: env.temp, fc: 3, addr: 0, type: int16}",
			"unit: expected Cel"},
		{"\n - {name: t, unit: degF, code: env.temp, fc: 3, addr: 0, type: int16}",
			"min, max: both are needed"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, max: 200}", "min, max: outside"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16}\n - {" T
		 ", fc: 3, addr: 1, type: int16}",
			"\"t\" is there twice"},
		{"\n - {" T
		 ", fc: 3, addr: 0, type: int16}\n - {name: u, unit: Cel, code: env.temp, "
		 "fc: 3, addr: 1, type: int16}",
			"code: only bits may share one"},
		{"\n - {" T ", fc: 3, addr: 0, type: int16, deadband: 0.5}",
			"only with max_interval_s"},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		char text[1024], error[400] = "";
		struct profile p;
		snprintf(text, sizeof(text), HEAD "items: %s\n", cases[i].items);
		assert_int_equal(profile_load(text, &p, error), -EINVAL);
		if (!strstr(error, cases[i].error))
			fail_msg("%s\nsaid: %s", cases[i].items, error);
		assert_null(p.body);
	}
}

static void an_address_is_counted_as_the_sheet_counts(void **state)
{
	(void)state;
	struct profile p;
	char error[400] = "";
	const struct vg_registers *r = profile_of(
		HEAD "address_base: 1\nitems: [{" T ", fc: 4, addr: 65536, type: int16}]", &p);
	assert_int_equal(r->blocks[0].address, 65535);
	profile_free(&p);
	assert_int_equal(profile_load(HEAD "address_base: 1\nitems: [{" T ", fc: 4, addr: 0, type: "
					   "int16}]",
				 &p, error),
		-EINVAL);
	assert_non_null(strstr(error, "the first address is 1"));
}

/* rounds */

static const char fridge[] = HEAD
	"items:\n - {" T
	", fc: 4, addr: 0, type: int16, scale: 0.1, decimals: 1, invalid: [0x7fff], "
	"min: -45, max: 85, max_unchanged_s: 3}\n - {name: rh, unit: \"%\", code: env.humidity, fc: 4, "
	"addr: 1, type: uint16, scale: 0.1}\n - {name: door, fc: 2, addr: 0, type: bit, code: "
	"env.door_open}\n";

static void one_round_is_one_reading(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, fridge);
	assert_string_equal(hear(&r, "0101"
				     "04002d01c2"),
		"environment[env.temp 45E-1 Cel, env.humidity 450E-1 %, env.door_open 1E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "04ffd301c3"),
		"environment[env.temp -45E-1 Cel, env.humidity 451E-1 %, env.door_open 0E0 1]");
	rig_close(&r);
}

static void what_is_no_record_is_malformed(void **state)
{
	(void)state;
	static const char *const records[] = {"", "00", "0101", "010104002d01", "010104002d01c200",
		"010103002d01", "0082040000000100",
		"020101"
		"04002d01c2"};
	struct rig r;
	rig_open(&r, fridge);
	for (size_t i = 0; i < ELEMENTS(records); i++)
		assert_string_equal(hear(&r, records[i]), "");
	assert_int_equal(r.s.results[VG_MALFORMED], ELEMENTS(records));
	rig_close(&r);
}

static void a_bad_value_is_left_out_and_told_once(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, fridge);
	hear(&r, "0100"
		 "04002d01c2");
	assert_string_equal(hear(&r, "0100"
				     "047fff01c2"),
		"(t: invalid)environment[env.humidity 450E-1 %, env.door_open 0E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "047fff01c2"),
		"environment[env.humidity 450E-1 %, env.door_open 0E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "04035301c2"),
		"(t: out of range: 85.1)environment[env.humidity 450E-1 %, env.door_open 0E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "04035201c2"),
		"(t: good again)environment[env.temp 850E-1 Cel, env.humidity 450E-1 %, "
		"env.door_open 0E0 1]");
	/* The range of its code guards what has none of its own: it would take the others along. */
	assert_string_equal(hear(&r, "0100"
				     "04002dffff"),
		"(rh: out of range: 6553.5)environment[env.temp 45E-1 Cel, env.door_open 0E0 1]");
	rig_close(&r);
}

static void a_lost_answer_is_told_when_it_is_the_third(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, fridge);
	assert_string_equal(hear(&r, "0100"
				     "0080"),
		"environment[env.door_open 0E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "0081"),
		"environment[env.door_open 0E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "0080"),
		"(t, rh: no answer)environment[env.door_open 0E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "0080"),
		"environment[env.door_open 0E0 1]");
	assert_string_equal(hear(&r, "0080"
				     "0080"),
		"");
	assert_int_equal(r.s.results[VG_NOTHING], 1);
	assert_string_equal(hear(&r, "0100"
				     "04002d01c2"),
		"(t, rh: good again)environment[env.temp 45E-1 Cel, env.humidity 450E-1 %, "
		"env.door_open 0E0 1]");
	/* What the slave itself says is no accident. */
	assert_string_equal(hear(&r, "0002"
				     "04002e01c2"),
		"(door: the slave has no such address)environment[env.temp 46E-1 Cel, env.humidity "
		"450E-1 %]");
	rig_close(&r);
}

static void a_probe_that_stands_still_is_flagged_and_told_once(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, fridge);
	for (int i = 0; i < 3; i++)
		assert_null(strstr(hear(&r, "0100"
					    "04002d01c2"),
			"stuck"));
	assert_string_equal(hear(&r, "0100"
				     "04002d01c2"),
		"(t: stuck, seconds without a change: 3)environment[env.temp 45E-1 Cel, env.humidity "
		"450E-1 %, env.door_open 0E0 1 !t_stuck]");
	assert_string_equal(hear(&r, "0100"
				     "04002d01c2"),
		"environment[env.temp 45E-1 Cel, env.humidity 450E-1 %, env.door_open 0E0 1 !t_stuck]");
	assert_string_equal(hear(&r, "0100"
				     "04002e01c2"),
		"(t: changes again)environment[env.temp 46E-1 Cel, env.humidity 450E-1 %, "
		"env.door_open 0E0 1]");
	for (int i = 0; i < 6; i++) /* invalid is no standing still */
		assert_null(strstr(hear(&r, "0100"
					    "047fff01c2"),
			"stuck"));
	for (int i = 0; i < 3; i++)
		assert_null(strstr(hear(&r, "0100"
					    "04002e01c2"),
			"stuck"));
	rig_close(&r);
}

static void with_a_deadband_only_changes_are_readings(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, HEAD "max_interval_s: 4\nitems:\n - {" T
			  ", fc: 4, addr: 0, type: int16, scale: 0.1, deadband: 0.2, invalid: "
			  "[0x7fff]}\n - {name: door, fc: 2, addr: 0, type: bit, code: "
			  "env.door_open}\n");
	assert_string_not_equal(hear(&r, "0100"
					 "02002d"),
		"");
	assert_string_equal(hear(&r, "0100"
				     "02002f"),
		"");
	assert_string_equal(hear(&r, "0100"
				     "020030"),
		"environment[env.temp 48E-1 Cel, env.door_open 0E0 1]");
	assert_string_not_equal(hear(&r, "0101"
					 "020030"),
		"");
	assert_string_equal(hear(&r, "0101"
				     "020030"),
		"");
	assert_string_equal(hear(&r, "0101"
				     "02002e"),
		"");
	assert_string_equal(hear(&r, "0101"
				     "027fff"),
		"(t: invalid)environment[env.door_open 1E0 1]");
	for (int i = 0; i < 3; i++)
		assert_string_equal(hear(&r, "0101"
					     "027fff"),
			"");
	assert_string_equal(hear(&r, "0101"
				     "027fff"),
		"environment[env.door_open 1E0 1]");
	rig_close(&r);
}

static void a_reading_that_was_not_taken_is_made_again(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, HEAD "max_interval_s: 100\nitems: [{" T ", fc: 4, addr: 0, type: int16}]\n");
	r.s.starve = 1;
	assert_string_not_equal(hear(&r, "02002d"), "");
	assert_string_not_equal(hear(&r, "02002d"), "");
	assert_string_equal(hear(&r, "02002d"), "");
	rig_close(&r);
}

static void alarm_contacts_are_one_alarm_and_their_names_flags(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, HEAD
		"items:\n"
		" - {name: a, fc: 1, addr: 0, type: bit, code: env.alarm, enum: {1: low}, as: flag}\n"
		" - {name: b, fc: 1, addr: 4, type: bit, code: env.alarm, enum: {1: high}, as: flag}\n"
		" - {name: c, fc: 2, addr: 0, type: bit, invert: true, code: env.power}\n");
	assert_string_equal(hear(&r, "0100"
				     "0100"
				     "0100"),
		"environment[env.alarm 0E0 1, env.power 1E0 1]");
	assert_string_equal(hear(&r, "0100"
				     "0101"
				     "0101"),
		"environment[env.alarm 1E0 1, env.power 0E0 1 !high]");
	assert_string_equal(hear(&r, "0101"
				     "0101"
				     "0100"),
		"environment[env.alarm 1E0 1, env.power 1E0 1 !low !high]");
	/* One contact unknown: the other may still say that there is an alarm, never that there is none. */
	assert_string_equal(hear(&r, "0080"
				     "0101"
				     "0100"),
		"environment[env.alarm 1E0 1, env.power 1E0 1 !high]");
	assert_string_equal(hear(&r, "0080"
				     "0100"
				     "0100"),
		"environment[env.power 1E0 1]");
	assert_string_equal(hear(&r, "0101"
				     "0080"
				     "0100"),
		"environment[env.alarm 1E0 1, env.power 1E0 1 !low]");
	rig_close(&r);
}

static void words_and_texts_are_notes(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, HEAD
		"items:\n - {" T ", fc: 3, addr: 0, type: int16, enum: {32766: broken}}\n"
		" - {name: mode, fc: 3, addr: 1, type: uint16, mask: 0x70, shift: 4, enum: {1: supply}}\n"
		" - {name: volts, fc: 3, addr: 2, type: float32, order: CDAB, unit: V, decimals: 1}\n"
		" - {name: model, fc: 3, addr: 4, type: string, length: 3, order: BADC}\n");
	assert_string_equal(hear(&r, "0e"
				     "0019"
				     "0010"
				     "b3334365"
				     "4153"
				     "202d"
				     "0000"),
		"environment[env.temp 25E0 Cel mode=supply volts=229.7 V model=SA-]");
	/* A word instead of a number is no number. */
	assert_string_equal(hear(&r, "0e"
				     "7ffe"
				     "0020"
				     "b3334365"
				     "2020"
				     "0000"
				     "4100"),
		"");
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_single_has_its_shortest_decimal),
		cmocka_unit_test(arithmetic_is_exact_and_loses_only_the_finest_digits),
		cmocka_unit_test(bytes_mean_what_the_model_says),
		cmocka_unit_test(items_are_cut_into_blocks_without_holes),
		cmocka_unit_test(a_block_is_never_longer_than_an_answer),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(an_address_is_counted_as_the_sheet_counts),
		cmocka_unit_test(one_round_is_one_reading),
		cmocka_unit_test(what_is_no_record_is_malformed),
		cmocka_unit_test(a_bad_value_is_left_out_and_told_once),
		cmocka_unit_test(a_lost_answer_is_told_when_it_is_the_third),
		cmocka_unit_test(a_probe_that_stands_still_is_flagged_and_told_once),
		cmocka_unit_test(with_a_deadband_only_changes_are_readings),
		cmocka_unit_test(a_reading_that_was_not_taken_is_made_again),
		cmocka_unit_test(alarm_contacts_are_one_alarm_and_their_names_flags),
		cmocka_unit_test(words_and_texts_are_notes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
