/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A UUID of 128 bits as it is printed, in the byte order of the air: vg_channel, vg_model.
 * 46a970e0-0d5f-11e2-8b5e-0002a5d5c51b is VG_UUID128(0x46a970e0, 0x0d5f, 0x11e2, 0x8b5e, 0x0002a5d5c51b).
 */
#pragma once

#define VG_UUID_BYTE(x, i) (uint8_t)((UINT64_C(0) + (x)) >> 8 * (i))
#define VG_UUID128(a, b, c, d, e)                                                               \
	{                                                                                       \
		VG_UUID_BYTE(e, 0), VG_UUID_BYTE(e, 1), VG_UUID_BYTE(e, 2), VG_UUID_BYTE(e, 3), \
			VG_UUID_BYTE(e, 4), VG_UUID_BYTE(e, 5), VG_UUID_BYTE(d, 0),             \
			VG_UUID_BYTE(d, 1), VG_UUID_BYTE(c, 0), VG_UUID_BYTE(c, 1),             \
			VG_UUID_BYTE(b, 0), VG_UUID_BYTE(b, 1), VG_UUID_BYTE(a, 0),             \
			VG_UUID_BYTE(a, 1), VG_UUID_BYTE(a, 2), VG_UUID_BYTE(a, 3)              \
	}
