/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Arithmetic with exact decimals, for drivers that scale what they read: exact as long as 18 digits hold it;
 * beyond, the finest digits are rounded away. And the decimal of a number in single precision (IEEE 754).
 */
#pragma once

#include <vitalgate/driver.h>

#define VG_DECIMAL_MAX INT64_C(999999999999999999) /* mantissa of what goes in and comes out */

static inline bool vg_decimal_fits(int64_t mantissa)
{
	return mantissa >= -VG_DECIMAL_MAX && mantissa <= VG_DECIMAL_MAX;
}

/* One digit less; half away from zero, like all rounding here. */
static inline void vg_shorten(struct vg_decimal *d)
{
	int64_t q = d->mantissa / 10, r = d->mantissa % 10;
	d->mantissa = q + (r >= 5) - (r <= -5);
	d->exponent++;
}

/* x / 10, and the digit that is left. By hand: a driver has no library to divide 128 bits. */
static inline unsigned vg_tenth(unsigned __int128 *x)
{
	unsigned __int128 q = 0;
	uint64_t rest = 0;
	for (int shift = 96; shift >= 0; shift -= 32) {
		rest = rest << 32 | (uint32_t)(*x >> shift);
		q = q << 32 | rest / 10;
		rest %= 10;
	}
	*x = q;
	return (unsigned)rest;
}

static inline struct vg_decimal vg_times(struct vg_decimal a, struct vg_decimal b)
{
	uint64_t x = (uint64_t)(a.mantissa < 0 ? -a.mantissa : a.mantissa);
	uint64_t y = (uint64_t)(b.mantissa < 0 ? -b.mantissa : b.mantissa);
	unsigned __int128 product = (unsigned __int128)x * y;
	int exponent = a.exponent + b.exponent;
	unsigned dropped = 0;
	for (; product + (dropped >= 5) > VG_DECIMAL_MAX; exponent++)
		dropped = vg_tenth(&product);
	int64_t mantissa = (int64_t)product + (dropped >= 5);
	return (struct vg_decimal){
		(a.mantissa < 0) != (b.mantissa < 0) ? -mantissa : mantissa, (int8_t)exponent};
}

static inline struct vg_decimal vg_plus(struct vg_decimal a, struct vg_decimal b)
{
	while (a.exponent != b.exponent) {
		struct vg_decimal *coarse = a.exponent > b.exponent ? &a : &b;
		struct vg_decimal *fine = coarse == &a ? &b : &a;
		if (coarse->mantissa > VG_DECIMAL_MAX / 10 ||
			coarse->mantissa < -VG_DECIMAL_MAX / 10) {
			vg_shorten(fine);
		} else {
			coarse->mantissa *= 10;
			coarse->exponent--;
		}
	}
	a.mantissa += b.mantissa;
	if (!vg_decimal_fits(a.mantissa))
		vg_shorten(&a);
	return a;
}

static inline struct vg_decimal vg_minus(struct vg_decimal a, struct vg_decimal b)
{
	b.mantissa = -b.mantissa;
	return vg_plus(a, b);
}

/* To so many digits behind the point; fewer stay as they are. */
static inline struct vg_decimal vg_rounded(struct vg_decimal d, unsigned decimals)
{
	int drop = -(int)decimals - d.exponent;
	int64_t unit = 1;
	if (drop <= 0)
		return d;
	for (int i = 0; i < drop && i < 18; i++)
		unit *= 10;
	int64_t q = d.mantissa / unit, r = d.mantissa % unit;
	q += (2 * r >= unit) - (2 * r <= -unit);
	return (struct vg_decimal){drop > 18 ? 0 : q, (int8_t) - (int)decimals};
}

/* 256 bits: the smallest single needs 10^54 times itself, the largest is below 2^128. */
struct vg_wide {
	uint32_t limb[8];
};

static inline void vg_wide_times(struct vg_wide *w, uint32_t by)
{
	uint64_t carry = 0;
	for (size_t i = 0; i < 8; i++) {
		carry += (uint64_t)w->limb[i] * by;
		w->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

static inline void vg_wide_double(struct vg_wide *w, unsigned bits)
{
	for (; bits >= 31; bits -= 31)
		vg_wide_times(w, UINT32_C(1) << 31);
	vg_wide_times(w, UINT32_C(1) << bits);
}

static inline void vg_wide_halve(struct vg_wide *w)
{
	for (size_t i = 0; i < 8; i++)
		w->limb[i] = w->limb[i] >> 1 | (i < 7 ? w->limb[i + 1] << 31 : 0);
}

/* Subtracts `b` when it is not larger. */
static inline bool vg_wide_take(struct vg_wide *a, const struct vg_wide *b)
{
	struct vg_wide r;
	uint64_t borrow = 0;
	for (size_t i = 0; i < 8; i++) {
		uint64_t d = (uint64_t)a->limb[i] - b->limb[i] - borrow;
		r.limb[i] = (uint32_t)d;
		borrow = d >> 63;
	}
	if (!borrow)
		*a = r;
	return !borrow;
}

struct vg_scaled_part {
	uint64_t floor;
	bool exact;
};

/* m x 2^e x 10^s, which is below 2^35. */
static inline struct vg_scaled_part vg_scaled(uint32_t m, int e, int s)
{
	struct vg_wide over = {{m}}, under = {{1}};
	struct vg_scaled_part r = {0, true};
	for (int i = 0; i < s; i++)
		vg_wide_times(&over, 10);
	for (int i = 0; i > s; i--)
		vg_wide_times(&under, 10);
	vg_wide_double(e > 0 ? &over : &under, (unsigned)(e > 0 ? e : -e));
	vg_wide_double(&under, 34);
	for (unsigned bit = 0; bit < 35; bit++) {
		r.floor = r.floor << 1 | vg_wide_take(&over, &under);
		vg_wide_halve(&under);
	}
	for (size_t i = 0; i < 8; i++)
		r.exact = r.exact && !over.limb[i];
	return r;
}

/* floor(log10(2^p)) */
static inline int vg_log_of(int p)
{
	int n = p * 30103;
	return n >= 0 ? n / 100000 : -((-n + 99999) / 100000);
}

/* The shortest decimal of a finite single. Among those of one length it is the nearest, of two the even one. What reads
 * back as the same single lies between `low` and `high`, half a unit away; these two belong to it when
 * the last bit is 0. Everything is written with ten digits before the point, and whole numbers are
 * compared. */
static inline struct vg_decimal vg_single(uint32_t bits)
{
	uint32_t fraction = bits & 0x7fffff, exponent = bits >> 23 & 0xff;
	uint32_t m = fraction | (exponent ? 0x800000 : 0), top = m;
	int e = (int)(exponent ? exponent : 1) - 150, p = e - 1;
	if (!m)
		return (struct vg_decimal){0, 0};
	for (; top; top >>= 1)
		p++;
	int s = 8 - vg_log_of(p);
	if (vg_scaled(4 * m, e - 2, s).floor < 1000000000)
		s++;
	struct vg_scaled_part x = vg_scaled(4 * m, e - 2, s), high = vg_scaled(4 * m + 2, e - 2, s),
			      low = vg_scaled(4 * m - (fraction || exponent < 2 ? 2 : 1), e - 2, s);
	bool even = !(m & 1);
	uint64_t unit = 1000000000;
	for (int left = 9; left >= 1; left--, unit /= 10) {
		uint64_t q = x.floor / unit, twice = x.floor % unit * 2;
		q += twice > unit || (twice == unit && (!x.exact || q & 1));
		uint64_t candidate = q * unit;
		if ((candidate > low.floor || (candidate == low.floor && low.exact && even)) &&
			(candidate < high.floor ||
				(candidate == high.floor && (!high.exact || even))))
			return (struct vg_decimal){
				bits >> 31 ? -(int64_t)q : (int64_t)q, (int8_t)(left - s)};
	}
	return (struct vg_decimal){0, 0}; /* not reached: nine digits tell every single */
}
