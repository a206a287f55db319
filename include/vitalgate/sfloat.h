/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IEEE 11073-20601 SFLOAT (16 bit) and FLOAT (32 bit): mantissa x 10^exponent, both two's complement.
 * The special words are compared whole, before sign extension: 0x07FF is "no value", never 2047.
 * Source: IEEE 11073-20601 annex F as carried by the GATT Specification Supplement; facts in public
 * decoders and captured values.
 */
#pragma once

#include <vitalgate/driver.h>

enum vg_number {
	VG_NUMBER,	    /* *ret_value holds */
	VG_NUMBER_NONE,	    /* NaN, NRes, reserved: not measured */
	VG_NUMBER_POSITIVE, /* +INF: above what the device can say */
	VG_NUMBER_NEGATIVE, /* -INF */
};

static inline enum vg_number vg_sfloat(uint16_t word, struct vg_decimal *ret_value)
{
	switch (word) {
	case 0x07ff: /* NaN */
	case 0x0800: /* NRes */
	case 0x0801: /* reserved */
		return VG_NUMBER_NONE;
	case 0x07fe:
		return VG_NUMBER_POSITIVE;
	case 0x0802:
		return VG_NUMBER_NEGATIVE;
	}
	int mantissa = word & 0x0fff;
	int exponent = word >> 12;
	ret_value->mantissa = mantissa >= 0x0800 ? mantissa - 0x1000 : mantissa;
	ret_value->exponent = (int8_t)(exponent >= 8 ? exponent - 16 : exponent);
	return VG_NUMBER;
}

static inline enum vg_number vg_float(uint32_t word, struct vg_decimal *ret_value)
{
	switch (word) {
	case 0x007fffff: /* NaN */
	case 0x00800000: /* NRes */
	case 0x00800001: /* reserved */
		return VG_NUMBER_NONE;
	case 0x007ffffe:
		return VG_NUMBER_POSITIVE;
	case 0x00800002:
		return VG_NUMBER_NEGATIVE;
	}
	int64_t mantissa = word & 0x00ffffff;
	ret_value->mantissa = mantissa >= 0x00800000 ? mantissa - 0x01000000 : mantissa;
	ret_value->exponent = (int8_t)(word >> 24);
	return VG_NUMBER;
}
