/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Huffman code of SCP-ECG. Section 2 names the default table or brings up to 64 of its own:
 *
 *   u16 tables (19999: default; 0: none) | each: u16 codes | each 9 bytes:
 *   u8 prefix bits | u8 all bits | u8 mode | i16 base | u32 code word, its first bit in bit 0
 *
 * Mode 1: the value is base + the signed number in the bits behind the prefix. Mode 0: go on with
 * table `base`.
 *
 * A prefix stands for an interval of all 32-bit words that begin with it. Ordered and without those
 * that lie in a shorter one, they are disjoint: a code is found with one look at a table of its
 * first bits or, when it is longer, by bisection. So a hostile table costs ten steps for a code and
 * not a walk through 1024.
 */
#include <errno.h>

#include "scp.h"

#define TABLE_DEFAULT 19999
#define TABLES_MAX 64
#define CODES_MAX 1024
#define EXTRA_MAX 24
#define LOOK_BITS 10

struct code {
	int32_t base;
	uint8_t prefix, extra; /* bits; prefix 0: no code */
	uint8_t next;	       /* table to go on with, from 1; 0: a value */
};

struct entry {
	uint32_t start; /* prefix, its first bit in bit 31 */
	struct code code;
};

struct table {
	struct code look[1 << LOOK_BITS]; /* by the first bits; not those that are longer */
	struct entry *entries;		  /* by start, disjoint */
	unsigned n;
};

struct huffman {
	unsigned n, longest; /* bits of the longest code of all tables, with its extra ones */
	struct table *tables[TABLES_MAX];
};

static void table_free(struct table *t)
{
	if (t)
		free(t->entries);
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

static struct table *table_new(unsigned n)
{
	struct table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->n = n;
	t->entries = calloc(MAX(n, 1U), sizeof(*t->entries));
	if (t->entries)
		return t;
	free(t);
	return NULL;
}

static int by_start(const struct entry *x, const struct entry *y)
{
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->code.prefix - y->code.prefix;
}

/* Shell's sort. glibc's qsort() asks the system how much memory it has, which the sandbox does not
 * allow. */
static void sort(struct entry *e, unsigned n)
{
	unsigned gap = 1;
	while (gap < n / 3)
		gap = 3 * gap + 1;
	for (; gap; gap /= 3)
		for (unsigned i = gap; i < n; i++) {
			struct entry one = e[i];
			unsigned at = i;
			for (; at >= gap && by_start(&e[at - gap], &one) > 0; at -= gap)
				e[at] = e[at - gap];
			e[at] = one;
		}
}

/* The first word behind those that begin with the prefix; 64 bits, for it may be 2^32. */
static uint64_t entry_end(const struct entry *e)
{
	return (uint64_t)e->start + (UINT64_C(1) << (32 - e->code.prefix));
}

/* Orders the codes, takes out those that never match because a shorter one does, fills the look-up
 * table. False: two are the same. */
static bool table_finish(struct table *t)
{
	struct entry *e = t->entries;
	unsigned kept = 0;
	sort(e, t->n);
	for (unsigned i = 1; i < t->n; i++)
		if (by_start(&e[i - 1], &e[i]) == 0)
			return false;
	for (unsigned i = 0; i < t->n; i++)
		if (!kept || e[i].start >= entry_end(&e[kept - 1]))
			e[kept++] = e[i];
	t->n = kept;
	for (unsigned i = 0; i < t->n; i++) {
		unsigned prefix = e[i].code.prefix, first = e[i].start >> (32 - LOOK_BITS);
		for (unsigned k = 0; prefix <= LOOK_BITS && k < 1U << (LOOK_BITS - prefix); k++)
			t->look[first + k] = e[i].code;
	}
	return true;
}

static int add_table(struct huffman *h, struct table *t)
{
	if (!table_finish(t))
		return -EBADMSG;
	for (unsigned i = 0; i < t->n; i++) {
		const struct code *c = &t->entries[i].code;
		h->longest = MAX(h->longest, (unsigned)c->prefix + c->extra);
	}
	h->tables[h->n++] = t;
	return 0;
}

static uint32_t reversed(uint32_t word)
{
	uint32_t out = 0;
	for (unsigned bit = 0; bit < 32; bit++)
		out |= (word >> bit & 1) << (31 - bit);
	return out;
}

/* One entry of a file's table; false when it cannot be. */
static bool read_entry(struct entry *e, struct buf *b, unsigned n_tables)
{
	unsigned prefix = buf_u8(b), total = buf_u8(b), mode = buf_u8(b);
	int16_t base = (int16_t)buf_le16(b);
	uint32_t word = buf_le32(b);
	if (b->failed || prefix < 1 || prefix > 32 || total < prefix ||
		total - prefix > EXTRA_MAX || mode > 1 || (prefix < 32 && word >> prefix))
		return false;
	if (mode == 0 && (total != prefix || base < 1 || (unsigned)base > n_tables))
		return false;
	e->start = reversed(word);
	e->code = (struct code){.base = base,
		.prefix = (uint8_t)prefix,
		.extra = (uint8_t)(total - prefix),
		.next = (uint8_t)(mode ? 0 : base)};
	return true;
}

static int read_table(struct huffman *h, struct buf *b, unsigned n_tables)
{
	unsigned n = buf_le16(b);
	if (b->failed || n > CODES_MAX)
		return -EBADMSG;
	_cleanup_(table_freep) struct table *t = table_new(n);
	if (!t)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		if (!read_entry(&t->entries[i], b, n_tables))
			return -EBADMSG;
	int r = add_table(h, t);
	if (r == 0)
		t = NULL;
	return r;
}

/*
 * 0: zero. v ones, a zero and a sign, which is 1 for minus: 1..8. Nine ones and a zero: 8 bits
 * follow; ten ones: 16 bits.
 */
static int default_table(struct huffman *h)
{
	struct table *t = table_new(19);
	if (!t)
		return -ENOMEM;
	struct entry *e = t->entries;
	*e++ = (struct entry){0, {.prefix = 1}};
	for (int v = 1; v <= 8; v++) {
		uint8_t prefix = (uint8_t)(v + 2);
		uint32_t plus = ~(UINT32_MAX >> v), minus = plus | UINT32_C(1) << (32 - prefix);
		*e++ = (struct entry){plus, {.base = v, .prefix = prefix}};
		*e++ = (struct entry){minus, {.base = -v, .prefix = prefix}};
	}
	*e++ = (struct entry){~(UINT32_MAX >> 9), {.prefix = 10, .extra = 8}};
	*e++ = (struct entry){~(UINT32_MAX >> 10), {.prefix = 10, .extra = 16}};
	return add_table(h, t);
}

int huffman_read(struct huffman **ret, const uint8_t *body, size_t len)
{
	struct buf b = buf_of(body, len);
	unsigned n = buf_le16(&b);
	int r = 0;
	*ret = NULL;
	if (b.failed || (n > TABLES_MAX && n != TABLE_DEFAULT))
		return -EBADMSG;
	struct buf ahead = b;
	if (n == 0 || (n == 1 && buf_le16(&ahead) == 1)) /* one code: nothing to tell apart */
		return 0;
	_cleanup_(huffman_freep) struct huffman *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	if (n == TABLE_DEFAULT)
		r = default_table(h);
	while (n != TABLE_DEFAULT && h->n < n && r == 0)
		r = read_table(h, &b, n);
	if (r == 0)
		*ret = TAKE(h);
	return r;
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

/* The code that `b` begins with, by bisection. NULL: none; `ret_cut`: it may be cut off. */
static const struct code *find_code(const struct table *t, struct bits b, bool *ret_cut)
{
	bits_fill(&b); /* fewer than 32 now: no more follow */
	uint32_t word = (uint32_t)(b.word >> 32);
	unsigned low = 0, high = t->n; /* the first entry behind `word` */
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (t->entries[middle].start <= word)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && word < entry_end(&t->entries[low - 1]))
		return &t->entries[low - 1].code;
	uint64_t end = (uint64_t)word + (b.n < 32 ? UINT64_C(1) << (32 - b.n) : 1);
	*ret_cut = low < t->n && t->entries[low].start < end;
	return NULL;
}

/* Whole codes that are ahead after bits_fill(). */
static unsigned codes_ahead(const struct huffman *h)
{
	return h->longest ? 56 / h->longest : 1;
}

uint32_t huffman_decode(const struct huffman *h, const uint8_t *bytes, size_t len, int32_t *out,
	uint32_t room, bool *ret_bad)
{
	const struct table *t = h->tables[0];
	const unsigned ahead = codes_ahead(h);
	struct bits b = {.at = bytes, .end = bytes + len}; /* by value: it stays in registers */
	uint32_t n = 0;
	*ret_bad = false;
	while (n < room) {
		bits_fill(&b);
		if (b.n == 0)
			return n;
		for (unsigned i = 0; i < ahead && n < room && b.n; i++) {
			struct code c = t->look[b.word >> (64 - LOOK_BITS)];
			if (!c.prefix) {
				bool cut = false;
				const struct code *longer = find_code(t, b, &cut);
				if (!longer) {
					*ret_bad = !cut;
					return n;
				}
				c = *longer;
			}
			unsigned bits = (unsigned)c.prefix + c.extra;
			if (bits > b.n)
				return n;
			/* No branch on whether there are extra bits: it is a coin's toss. */
			int64_t behind = (int64_t)(b.word << c.prefix) >> (-c.extra & 63);
			b.word <<= bits;
			b.n -= bits;
			if (c.next)
				t = h->tables[c.next - 1];
			else
				out[n++] = c.base + (int32_t)(c.extra ? behind : 0);
		}
	}
	return n;
}
