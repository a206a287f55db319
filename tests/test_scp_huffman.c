/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Huffman code of SCP-ECG: the default table, tables of a file, switching, ends; and random
 * tables and bits against a decoder that looks at every entry after every bit.
 */
#include "scp_rig.h"

#include "ecg/scp.h"

#include <errno.h>

/* --- the slow decoder */

struct slow_code {
	unsigned prefix, total, mode;
	int base;
	uint32_t word; /* first bit in bit 0 */
};

struct slow_table {
	unsigned n;
	struct slow_code codes[1024];
};

static unsigned bit_at(const uint8_t *bytes, size_t at)
{
	return bytes[at / 8] >> (7 - at % 8) & 1;
}

static bool begins(const struct slow_code *c, const uint8_t *bytes, size_t at, size_t bits)
{
	for (size_t i = 0; i < bits; i++)
		if ((c->word >> i & 1) != bit_at(bytes, at + i))
			return false;
	return true;
}

/* The shortest that matches; NULL: none, `ret_cut` when one may be cut off by the end. */
static const struct slow_code *slow_find(
	const struct slow_table *t, const uint8_t *bytes, size_t at, size_t end, bool *ret_cut)
{
	const struct slow_code *found = NULL;
	*ret_cut = false;
	for (unsigned i = 0; i < t->n; i++) {
		const struct slow_code *c = &t->codes[i];
		if (c->prefix > end - at)
			*ret_cut |= begins(c, bytes, at, end - at);
		else if ((!found || c->prefix < found->prefix) && begins(c, bytes, at, c->prefix))
			found = c;
	}
	return found;
}

static uint32_t slow_decode(const struct slow_table *tables, const uint8_t *bytes, size_t len,
	int32_t *out, uint32_t room, bool *ret_bad)
{
	const struct slow_table *t = tables;
	uint32_t n = 0;
	*ret_bad = false;
	for (size_t at = 0; n < room && at < len * 8;) {
		bool cut;
		const struct slow_code *c = slow_find(t, bytes, at, len * 8, &cut);
		*ret_bad = !c && !cut;
		if (!c || c->total > len * 8 - at)
			return n;
		at += c->prefix;
		if (c->mode == 0) {
			t = &tables[c->base - 1];
			continue;
		}
		unsigned extra = c->total - c->prefix;
		int64_t value = extra && bit_at(bytes, at) ? -1 : 0;
		for (unsigned i = 0; i < extra; i++)
			value = (int64_t)((uint64_t)value << 1 | bit_at(bytes, at++));
		out[n++] = (int32_t)(c->base + value);
	}
	return n;
}

/* --- section 2 */

static void put_tables(struct out *o, const struct slow_table *tables, unsigned n)
{
	put(o, "2", n);
	for (unsigned i = 0; i < n; i++) {
		put(o, "2", tables[i].n);
		for (unsigned k = 0; k < tables[i].n; k++) {
			const struct slow_code *c = &tables[i].codes[k];
			put(o, "11124", c->prefix, c->total, c->mode, c->base, c->word);
		}
	}
}

static struct huffman *read_tables(const struct slow_table *tables, unsigned n)
{
	struct out o = {0};
	struct huffman *h;
	put_tables(&o, tables, n);
	assert_int_equal(huffman_read(&h, o.bytes, o.len), 0);
	assert_non_null(h);
	out_clear(&o);
	return h;
}

/* From bits on the wire: "1101". */
static struct slow_code code(const char *bits, unsigned extra, unsigned mode, int base)
{
	struct slow_code c = {.prefix = (unsigned)strlen(bits), .mode = mode, .base = base};
	c.total = c.prefix + extra;
	for (unsigned i = 0; i < c.prefix; i++)
		c.word |= (uint32_t)(bits[i] == '1') << i;
	return c;
}

/* What comes out of these bits: "1 -2 3", and " bad" when it ended at no code. */
static const char *decoded(const struct huffman *h, const char *bits, uint32_t room)
{
	static char text[4096];
	struct out o = {0};
	int32_t *out = calloc(MAX(room, 1U), sizeof(*out));
	bool bad;
	size_t at = 0;
	put_bits(&o, bits);
	uint8_t *exact = malloc(MAX(o.len, (size_t)1));
	assert_true(out && exact);
	if (o.len)
		memcpy(exact, o.bytes, o.len);
	uint32_t n = huffman_decode(h, exact, o.len, out, room, &bad);
	text[0] = 0;
	for (uint32_t i = 0; i < n; i++)
		at += snprintf(text + at, sizeof(text) - at, "%s%d", i ? " " : "", out[i]);
	if (bad)
		snprintf(text + at, sizeof(text) - at, " bad");
	free(exact);
	free(out);
	out_clear(&o);
	return text;
}

static struct huffman *default_table(void)
{
	struct huffman *h;
	assert_int_equal(huffman_read(&h, (uint8_t[]){0x1f, 0x4e}, 2), 0);
	assert_non_null(h);
	return h;
}

static void the_default_table(void **state)
{
	(void)state;
	struct huffman *h = default_table();
	assert_string_equal(decoded(h, "100 101 1100 1101 0 0", 6), "1 -1 2 -2 0 0");
	assert_string_equal(decoded(h, "1111111100 1111111101", 2), "8 -8");
	assert_string_equal(decoded(h, "1111111110 01111111 1111111110 10000000", 2), "127 -128");
	assert_string_equal(decoded(h, "1111111111 0111111111111111", 1), "32767");
	assert_string_equal(decoded(h, "1111111111 1000000000000000", 1), "-32768");
	for (int32_t v = -32768; v <= 32767; v++) {
		struct out o = {0};
		int32_t got[2] = {0};
		bool bad;
		put_value(&o, v);
		put_value(&o, -1);
		assert_int_equal(huffman_decode(h, o.bytes, o.len, got, 2, &bad), 2);
		assert_true(got[0] == v && got[1] == -1 && !bad);
		out_clear(&o);
	}
	huffman_free(h);
}

static void it_ends_with_the_bytes_or_the_room(void **state)
{
	(void)state;
	struct huffman *h = default_table();
	assert_string_equal(decoded(h, "", 9), "");
	assert_string_equal(decoded(h, "00000000", 9), "0 0 0 0 0 0 0 0");
	assert_string_equal(decoded(h, "00000000", 3), "0 0 0");
	assert_string_equal(decoded(h, "00000000", 0), "");
	/* not whole: a prefix without its sign, one without its extra bits, one that only begins */
	assert_string_equal(decoded(h, "0 0 0 0 0 0 1 0", 9), "0 0 0 0 0 0");
	assert_string_equal(decoded(h, "1111111110 000000", 9), "");
	assert_string_equal(decoded(h, "1111111110 00000101 111111", 9), "5");
	assert_string_equal(decoded(h, "11111111", 9), "");
	assert_string_equal(decoded(h, "11111111 11111111 11111111", 9), "");
	huffman_free(h);
}

static void tables_of_a_file(void **state)
{
	(void)state;
	static struct slow_table t = {.n = 5};
	t.codes[0] = code("0", 0, 1, 0);
	t.codes[1] = code("10", 0, 1, -300);
	t.codes[2] = code("110", 4, 1, 1000);		/* base and a signed number */
	t.codes[3] = code("1110000000000000", 0, 1, 7); /* longer than the look-up table */
	t.codes[4] = code("11111111111111111111111111111111", 24, 1, 0);
	struct huffman *h = read_tables(&t, 1);
	assert_string_equal(decoded(h, "10 0 110 0111 110 1000 10", 5), "-300 0 1007 992 -300");
	assert_string_equal(decoded(h, "1110000000000000 10 1110000000000000", 3), "7 -300 7");
	assert_string_equal(decoded(h,
				    "11111111111111111111111111111111 011111111111111111111111"
				    "11111111111111111111111111111111 100000000000000000000000",
				    2),
		"8388607 -8388608");
	assert_string_equal(decoded(h, "10 1110000000000001", 9), "-300 bad");
	assert_string_equal(decoded(h, "10 10 1110", 9), "-300 -300"); /* cut off */
	assert_string_equal(decoded(h, "10 10 1111", 9), "-300 -300");
	assert_string_equal(decoded(h, "11111111 11111110", 9), " bad");
	assert_string_equal(decoded(h, "11111111 11111111 11111111 11111110", 9), " bad");
	huffman_free(h);
}

static void the_shortest_code_wins(void **state)
{
	(void)state;
	static struct slow_table t = {.n = 4};
	t.codes[0] = code("10110", 0, 1, 5);
	t.codes[1] = code("1", 0, 1, 1);
	t.codes[2] = code("01000000000000000001", 0, 1, 20);
	t.codes[3] = code("0100000000000", 0, 1, 13);
	struct huffman *h = read_tables(&t, 1);
	assert_string_equal(decoded(h, "1 1 0100000000000 1", 4), "1 1 13 1");
	assert_string_equal(decoded(h, "0100000000000 000", 4), "13 bad");
	huffman_free(h);
}

static void a_switch_takes_only_its_prefix(void **state)
{
	(void)state;
	static struct slow_table t[3];
	t[0] = (struct slow_table){.n = 2};
	t[0].codes[0] = code("0", 0, 1, 100);
	t[0].codes[1] = code("1", 0, 0, 3);
	t[1] = (struct slow_table){.n = 1};
	t[1].codes[0] = code("1", 0, 0, 1);
	t[2] = (struct slow_table){.n = 3};
	t[2].codes[0] = code("0", 4, 1, 0);
	t[2].codes[1] = code("10", 0, 0, 2);
	t[2].codes[2] = code("11", 0, 0, 3); /* to itself */
	struct huffman *h = read_tables(t, 3);
	assert_string_equal(decoded(h, "0 1 0 0101 10 1 0", 3), "100 5 100");
	assert_string_equal(decoded(h, "1 11 11 11 0 1111", 9), "-1");
	assert_string_equal(decoded(h, "1 10 0 0000", 9), " bad"); /* table 2 has only 1 */
	assert_string_equal(decoded(h, "0 0 0 0 0 1 10", 9), "100 100 100 100 100");
	huffman_free(h);
}

static void a_table_may_be_empty(void **state)
{
	(void)state;
	static struct slow_table t[2];
	t[0] = (struct slow_table){.n = 2};
	t[0].codes[0] = code("0", 0, 1, 100);
	t[0].codes[1] = code("1", 0, 0, 2);
	struct huffman *h = read_tables(t, 2);
	assert_string_equal(decoded(h, "0 1 0 0 0", 9), "100 bad");
	assert_string_equal(decoded(h, "0 0 0 0 0 0 0 1", 9), "100 100 100 100 100 100 100");
	huffman_free(h);
	h = read_tables(&t[1], 1);
	assert_string_equal(decoded(h, "0", 9), " bad");
	assert_string_equal(decoded(h, "", 9), "");
	huffman_free(h);
}

static void no_table_is_int16(void **state)
{
	(void)state;
	struct huffman *h = (void *)1;
	assert_int_equal(huffman_read(&h, (uint8_t[]){0, 0}, 2), 0);
	assert_null(h);
	struct out o = {0};
	put(&o, "22", 1, 1); /* one code: no compression */
	put(&o, "11124", 16, 16, 1, 0, 0);
	h = (void *)1;
	assert_int_equal(huffman_read(&h, o.bytes, o.len), 0);
	assert_null(h);
	out_clear(&o);
}

/* Section 2 of one code in each of `n_tables` tables, the first as told. */
static int verdict(
	unsigned n_tables, unsigned prefix, unsigned total, unsigned mode, int base, uint32_t word)
{
	struct out o = {0};
	struct huffman *h = NULL;
	put(&o, "2", n_tables);
	for (unsigned i = 0; i < n_tables; i++) {
		put(&o, "2", 2);
		put(&o, "11124", 1, 1, 1, 0, 0);
		if (i == 0)
			put(&o, "11124", prefix, total, mode, base, word);
		else
			put(&o, "11124", 1, 1, 1, 0, 1);
	}
	int r = huffman_read(&h, o.bytes, o.len);
	assert_true((r == 0) == (h != NULL));
	huffman_free(h);
	out_clear(&o);
	return r;
}

static void bad_tables_are_refused(void **state)
{
	(void)state;
	static const struct {
		unsigned n, prefix, total, mode;
		int base;
		uint32_t word;
		int result;
	} cases[] = {
		{2, 2, 2, 1, 0, 1, 0},
		{1, 0, 2, 1, 0, 0, -EBADMSG},
		{1, 33, 33, 1, 0, 1, -EBADMSG},
		{1, 32, 56, 1, 0, 0xffffffff, 0},
		{1, 32, 57, 1, 0, 0xffffffff, -EBADMSG}, /* 25 extra bits */
		{1, 2, 26, 1, 0, 1, 0},
		{1, 2, 27, 1, 0, 1, -EBADMSG},
		{1, 3, 2, 1, 0, 1, -EBADMSG},
		{1, 2, 2, 2, 0, 1, -EBADMSG},
		{2, 2, 2, 0, 2, 1, 0},
		{2, 2, 2, 0, 3, 1, -EBADMSG},
		{2, 2, 2, 0, 0, 1, -EBADMSG},
		{2, 2, 2, 0, -1, 1, -EBADMSG},
		{2, 2, 3, 0, 2, 1, -EBADMSG},
		{1, 2, 2, 1, 0, 5, -EBADMSG}, /* a bit above the prefix */
		{1, 31, 31, 1, 0, 0x80000001, -EBADMSG},
		{1, 1, 1, 1, 9, 0, -EBADMSG}, /* twice */
		{1, 1, 5, 1, 9, 0, -EBADMSG},
		{1, 2, 2, 1, 9, 0, 0}, /* only its beginning: the shorter one wins */
		{64, 2, 2, 1, 0, 1, 0},
		{65, 2, 2, 1, 0, 1, -EBADMSG},
		{19998, 2, 2, 1, 0, 1, -EBADMSG},
	};
	for (size_t i = 0; i < ELEMENTS(cases); i++)
		assert_int_equal(verdict(cases[i].n, cases[i].prefix, cases[i].total, cases[i].mode,
					 cases[i].base, cases[i].word),
			cases[i].result);
}

static void short_and_long_tables_are_refused(void **state)
{
	(void)state;
	static struct slow_table t = {.n = 3};
	struct huffman *h = NULL;
	struct out o = {0};
	for (unsigned i = 0; i < 3; i++)
		t.codes[i] = (struct slow_code){2, 2, 1, 0, i};
	put_tables(&o, &t, 1);
	for (size_t len = 0; len <= o.len; len++) {
		uint8_t *exact = malloc(len + 1);
		assert_non_null(exact);
		memcpy(exact, o.bytes, len);
		assert_int_equal(huffman_read(&h, exact, len), len == o.len ? 0 : -EBADMSG);
		free(exact);
	}
	huffman_free(h);
	out_clear(&o);
	for (unsigned n = 1023; n <= 1025; n++) {
		put(&o, "22", 1, n);
		for (unsigned i = 0; i < n; i++)
			put(&o, "11124", 11, 11, 1, i, i);
		assert_int_equal(huffman_read(&h, o.bytes, o.len), n <= 1024 ? 0 : -EBADMSG);
		if (n <= 1024)
			huffman_free(h);
		out_clear(&o);
	}
}

/* --- against the slow decoder */

static uint64_t random_state = 88172645463325252;

static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % below;
}

static bool known(const struct slow_table *t, const struct slow_code *c)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->codes[i].prefix == c->prefix && t->codes[i].word == c->word)
			return true;
	return false;
}

static void random_table(struct slow_table *t, unsigned n_tables)
{
	unsigned wanted = 2 + draw(draw(4) ? 12 : 200), longest = draw(3) ? 12 : 32;
	t->n = 0;
	for (unsigned i = 0; i < wanted; i++) {
		struct slow_code c = {.prefix = 1 + draw(longest), .mode = draw(8) > 0};
		c.word = draw(UINT32_MAX) & (UINT32_MAX >> (32 - c.prefix));
		if (draw(2)) /* many that begin with ones, as a real table */
			c.word |= (UINT32_MAX >> (32 - c.prefix)) >> draw(c.prefix);
		c.total = c.prefix + (c.mode && !draw(3) ? draw(25) : 0);
		c.base = c.mode ? (int)draw(65536) - 32768 : (int)(1 + draw(n_tables));
		if (!known(t, &c))
			t->codes[t->n++] = c;
	}
}

static void random_tables_and_bits(void **state)
{
	(void)state;
	static struct slow_table tables[4];
	static int32_t fast[1000], slow[1000];
	unsigned bads = 0, full = 0, long_runs = 0;
	for (unsigned round = 0; round < 4000; round++) {
		unsigned n = 1 + draw(4);
		for (unsigned i = 0; i < n; i++)
			random_table(&tables[i], n);
		if (tables[0].n < 2 && n == 1)
			continue;
		struct huffman *h = read_tables(tables, n);
		for (unsigned k = 0; k < 8; k++) {
			size_t len = draw(draw(2) ? 12 : 100);
			uint32_t room = draw(3) ? 1000 : draw(20);
			uint8_t *bytes = malloc(len + 1);
			assert_non_null(bytes);
			for (size_t i = 0; i < len; i++)
				bytes[i] = (uint8_t)(draw(256) | draw(256) * draw(2));
			bool bad, slow_bad;
			uint8_t *exact = malloc(len ? len : 1);
			assert_non_null(exact);
			memcpy(exact, bytes, len);
			uint32_t a = huffman_decode(h, exact, len, fast, room, &bad);
			uint32_t b = slow_decode(tables, bytes, len, slow, room, &slow_bad);
			assert_int_equal(a, b);
			assert_int_equal(bad, slow_bad);
			assert_memory_equal(fast, slow, a * sizeof(*fast));
			bads += bad;
			full += a == room;
			long_runs += a > 20;
			free(bytes);
			free(exact);
		}
		huffman_free(h);
	}
	assert_true(bads > 1000 && full > 100 && long_runs > 100); /* all ends were seen */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_table),
		cmocka_unit_test(it_ends_with_the_bytes_or_the_room),
		cmocka_unit_test(tables_of_a_file),
		cmocka_unit_test(the_shortest_code_wins),
		cmocka_unit_test(a_switch_takes_only_its_prefix),
		cmocka_unit_test(a_table_may_be_empty),
		cmocka_unit_test(no_table_is_int16),
		cmocka_unit_test(bad_tables_are_refused),
		cmocka_unit_test(short_and_long_tables_are_refused),
		cmocka_unit_test(random_tables_and_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
