/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Huffman code of SCP-ECG. Section 2 names the default table or brings up to 64 of its own:
 *
 *   u16 tables (19999: default; 0: none) | each: u16 codes | each 9 bytes:
 *   u8 prefix bits | u8 all bits | u8 mode | i16 base | u32 code word, its first bit in bit 0
 *
 * Mode 1: the value is base + the signed number in the bits behind the prefix. Mode 0: go on with table `base`.
 *
 * A prefix stands for an interval of all 32-bit words that begin with it. Ordered and without those that lie in a
 * shorter one, they are disjoint: a code is found with one look at a table of its first bits or, when it is longer,
 * by bisection. So a hostile table costs ten steps for a code and not a walk through 1024.
 */
#include <errno.h>

#include "scp.h"

#define TABLE_DEFAULT 19999
#define TABLES_MAX 64
#define CODES_MAX 1024
#define EXTRA_MAX 24
#define LOOK_BITS 10

struct code {
	uint32_t start; /* prefix, its first bit in bit 31 */
	int16_t base;
	uint8_t prefix, extra; /* bits */
	uint8_t next;	       /* table to go on with, from 1; 0: a value */
};

struct table {
	struct code look[1 << LOOK_BITS]; /* by the first bits; prefix 0: a longer one, or none */
	struct code *codes;		  /* by start, disjoint */
	unsigned n, longest;		  /* bits of the longest, with its extra ones */
};

struct huffman {
	unsigned n;
	struct table *tables[TABLES_MAX];
};

static void table_free(struct table *t)
{
	if (t)
		free(t->codes);
	free(t);
}
DEFINE_CLEANUP(struct table *, table_free)

void huffman_free(struct huffman *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < h->n; i++)
		table_free(h->tables[i]);
	free(h);
}
DEFINE_CLEANUP(struct huffman *, huffman_free)

static int by_start(const void *a, const void *b)
{
	const struct code *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->prefix - y->prefix;
}

/* The first word behind those that begin with the prefix; 64 bits, for it may be 2^32. */
static uint64_t code_end(const struct code *c)
{
	return (uint64_t)c->start + (UINT64_C(1) << (32 - c->prefix));
}

/* Orders the codes, takes out those that never match because a shorter one does, fills the look-up table. */
static bool table_finish(struct table *t)
{
	unsigned kept = 0;
	qsort(t->codes, t->n, sizeof(*t->codes), by_start);
	for (unsigned i = 1; i < t->n; i++)
		if (by_start(&t->codes[i - 1], &t->codes[i]) == 0)
			return false;
	for (unsigned i = 0; i < t->n; i++)
		if (!kept || t->codes[i].start >= code_end(&t->codes[kept - 1]))
			t->codes[kept++] = t->codes[i];
	t->n = kept;
	for (unsigned i = 0; i < t->n; i++) {
		const struct code *c = &t->codes[i];
		t->longest = MAX(t->longest, (unsigned)c->prefix + c->extra);
		if (c->prefix > LOOK_BITS)
			continue;
		unsigned first = c->start >> (32 - LOOK_BITS);
		for (unsigned k = 0; k < 1U << (LOOK_BITS - c->prefix); k++)
			t->look[first + k] = *c;
	}
	return true;
}

static struct table *table_new(unsigned n)
{
	struct table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->n = n;
	t->codes = calloc(MAX(n, 1U), sizeof(*t->codes));
	if (t->codes)
		return t;
	free(t);
	return NULL;
}

static uint32_t reversed(uint32_t word)
{
	uint32_t out = 0;
	for (unsigned bit = 0; bit < 32; bit++)
		out |= (word >> bit & 1) << (31 - bit);
	return out;
}

/* One entry of a file's table; false when it cannot be. */
static bool read_code(struct code *c, struct buf *b, unsigned n_tables)
{
	unsigned prefix = buf_u8(b), total = buf_u8(b), mode = buf_u8(b);
	int16_t base = (int16_t)buf_le16(b);
	uint32_t word = buf_le32(b);
	if (b->failed || prefix < 1 || prefix > 32 || total < prefix ||
		total - prefix > EXTRA_MAX || mode > 1 || (prefix < 32 && word >> prefix))
		return false;
	if (mode == 0 && (total != prefix || base < 1 || (unsigned)base > n_tables))
		return false;
	*c = (struct code){.start = reversed(word),
		.base = base,
		.prefix = (uint8_t)prefix,
		.extra = (uint8_t)(total - prefix),
		.next = (uint8_t)(mode ? 0 : base)};
	return true;
}

static int read_table(struct table **ret, struct buf *b, unsigned n_tables)
{
	unsigned n = buf_le16(b);
	if (b->failed || n > CODES_MAX)
		return -EBADMSG;
	_cleanup_(table_freep) struct table *t = table_new(n);
	if (!t)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		if (!read_code(&t->codes[i], b, n_tables))
			return -EBADMSG;
	if (!table_finish(t))
		return -EBADMSG;
	*ret = TAKE(t);
	return 0;
}

/*
 * 0: zero. v ones, a zero and a sign, which is 1 for minus: 1..8. Nine ones and a zero: 8 bits follow; ten ones:
 * 16 bits.
 */
static struct table *default_table(void)
{
	struct table *t = table_new(19);
	if (!t)
		return NULL;
	struct code *c = t->codes;
	*c++ = (struct code){.start = 0, .prefix = 1};
	for (unsigned v = 1; v <= 8; v++) {
		uint32_t ones = ~(UINT32_MAX >> v);
		uint8_t prefix = (uint8_t)(v + 2);
		*c++ = (struct code){.start = ones, .base = (int16_t)v, .prefix = prefix};
		*c++ = (struct code){.start = ones | UINT32_C(1) << (32 - prefix),
			.base = (int16_t)-v,
			.prefix = prefix};
	}
	*c++ = (struct code){.start = ~(UINT32_MAX >> 9), .prefix = 10, .extra = 8};
	*c++ = (struct code){.start = ~(UINT32_MAX >> 10), .prefix = 10, .extra = 16};
	table_finish(t);
	return t;
}

int huffman_read(struct huffman **ret, const uint8_t *body, size_t len)
{
	struct buf b = buf_of(body, len);
	unsigned n = buf_le16(&b);
	*ret = NULL;
	if (b.failed)
		return -EBADMSG;
	if (n == 0)
		return 0;
	if (n > TABLES_MAX && n != TABLE_DEFAULT)
		return -EBADMSG;
	struct buf ahead = b;
	if (n == 1 && buf_le16(&ahead) == 1) /* one code: nothing to tell apart */
		return 0;
	_cleanup_(huffman_freep) struct huffman *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	if (n == TABLE_DEFAULT) {
		h->tables[h->n++] = default_table();
		if (!h->tables[0])
			return -ENOMEM;
	}
	while (n != TABLE_DEFAULT && h->n < n) {
		int r = read_table(&h->tables[h->n], &b, n);
		if (r < 0)
			return r;
		h->n++;
	}
	*ret = TAKE(h);
	return 0;
}

/* The bits ahead: the first is bit 63 of `word`, behind the last are zeros. */
struct bits {
	const uint8_t *at, *end;
	uint64_t word;
	unsigned n; /* in `word`; all that are left when fewer than 56 */
};

static inline uint64_t be64(const uint8_t *p)
{
	return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
	       (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
	       (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

static inline void bits_fill(struct bits *b)
{
	if (b->end - b->at >= 8) {
		b->word |= be64(b->at) >> b->n;
		b->at += (63 - b->n) >> 3;
		b->n |= 56;
		return;
	}
	for (; b->n <= 56 && b->at < b->end; b->n += 8)
		b->word |= (uint64_t)*b->at++ << (56 - b->n);
}

/* The code that the bits begin with, by bisection. NULL: none; `ret_cut` when it may be one that is cut off. */
static const struct code *find_code(const struct table *t, const struct bits *b, bool *ret_cut)
{
	uint32_t word = (uint32_t)(b->word >> 32);
	unsigned low = 0, high = t->n; /* the first code behind `word` */
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (t->codes[middle].start <= word)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && word < code_end(&t->codes[low - 1]))
		return &t->codes[low - 1];
	uint64_t end = (uint64_t)word + (b->n < 32 ? UINT64_C(1) << (32 - b->n) : 1);
	*ret_cut = low < t->n && t->codes[low].start < end;
	return NULL;
}

uint32_t huffman_decode(const struct huffman *h, const uint8_t *bytes, size_t len, int32_t *out,
	uint32_t room, bool *ret_bad)
{
	const struct table *t = h->tables[0];
	struct bits b = {.at = bytes, .end = bytes + len};
	uint32_t n = 0;
	*ret_bad = false;
	while (n < room) {
		if (b.n < t->longest || b.n == 0)
			bits_fill(&b);
		if (b.n == 0)
			break;
		const struct code *c = &t->look[b.word >> (64 - LOOK_BITS)];
		if (!c->prefix) {
			bool cut = false;
			bits_fill(&b); /* fewer than 32 now: no more follow */
			c = find_code(t, &b, &cut);
			if (!c) {
				*ret_bad = !cut;
				break;
			}
		}
		if ((unsigned)c->prefix + c->extra > b.n)
			break;
		b.word <<= c->prefix;
		b.n -= c->prefix;
		if (c->next) {
			t = h->tables[c->next - 1];
			continue;
		}
		int32_t value = c->base;
		if (c->extra) {
			value += (int32_t)((int64_t)b.word >> (64 - c->extra));
			b.word <<= c->extra;
			b.n -= c->extra;
		}
		out[n++] = value;
	}
	return n;
}
