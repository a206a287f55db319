/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CRC-8 with polynomial 07, first value 0, nothing reflected: the check byte of Masimo and Viatom frames. */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint8_t vg_crc8(const uint8_t *bytes, size_t len)
{
	uint8_t crc = 0;
	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = (uint8_t)(crc & 0x80 ? crc << 1 ^ 0x07 : crc << 1);
	}
	return crc;
}
