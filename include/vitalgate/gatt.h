/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the health services of Bluetooth share: the Date Time of 7 bytes, the clock of the instrument, its
 * battery, and the channel rows for both.
 *
 *   Date Time 2A08     year u16, month, day, hour, minute, second; local, no zone; year, month or day 0:
 *                      unknown. Some makers put the characteristic into the measurement's own service.
 *   Current Time 2A2B  Date Time | day of week u8 (1 Monday .. 7, 0 unknown) | 1/256 s u8 | reason u8
 *   Battery 2A19       percent u8; above 100: unknown
 *
 * Source: GATT Specification Supplement.
 */
#pragma once

#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>

#define VG_DATE_TIME 7
#define VG_CURRENT_TIME 10

/* Silence after which everything in a memory has been told: behind a record, and while nothing has come yet,
 * for a pairing may take 30 s first. */
#define VG_TOLD_MS 5000
#define VG_NOTHING_TOLD_MS 35000

/* Rows of a channel table; `service` has the 2A08. */
#define VG_CHANNEL_CURRENT_TIME                                                            \
	{                                                                                  \
		.uuid16 = 0x2a2b, .service16 = 0x1805, .use = VG_GATT_READ, .name = "2a2b" \
	}
#define VG_CHANNEL_DATE_TIME(service)                                                         \
	{                                                                                     \
		.uuid16 = 0x2a08, .service16 = (service), .use = VG_GATT_READ, .name = "2a08" \
	}
#define VG_CHANNEL_BATTERY                                                                 \
	{                                                                                  \
		.uuid16 = 0x2a19, .service16 = 0x180f, .use = VG_GATT_READ, .name = "2a19" \
	}

/* The next 7 bytes as civil time; all zero when they are not there. */
static inline struct vg_civil vg_date_time(struct buf *b)
{
	struct vg_civil t = {.year = buf_le16(b)};
	t.month = buf_u8(b);
	t.day = buf_u8(b);
	t.hour = buf_u8(b);
	t.minute = buf_u8(b);
	t.second = buf_u8(b);
	return t;
}

static inline bool vg_date_known(const struct vg_civil *t)
{
	return t->year && t->month && t->day;
}

static inline void vg_date_time_put(uint8_t out[static VG_DATE_TIME], const struct vg_civil *t)
{
	const uint8_t bytes[] = {(uint8_t)t->year, (uint8_t)(t->year >> 8), t->month, t->day,
		t->hour, t->minute, t->second};
	memcpy(out, bytes, sizeof(bytes));
}

/* Day of the week, Monday 1 .. Sunday 7 (Sakamoto's method). */
static inline uint8_t vg_weekday(const struct vg_civil *t)
{
	static const uint8_t shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
	unsigned m = t->month >= 1 && t->month <= 12 ? t->month : 1, y = t->year - (m < 3);
	unsigned sunday0 = (y + y / 4 - y / 100 + y / 400 + shift[m - 1] + t->day) % 7;
	return (uint8_t)(sunday0 ? sunday0 : 7);
}

static inline void vg_current_time_put(
	uint8_t out[static VG_CURRENT_TIME], const struct vg_civil *t)
{
	vg_date_time_put(out, t);
	out[7] = vg_weekday(t);
	out[8] = 0;
	out[9] = 1; /* reason: set by hand */
}

/* heard() of 2A2B and 2A08. False: too short, and said so. */
static inline bool vg_clock_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct buf b = buf_of(bytes, len);
	struct vg_civil civil = vg_date_time(&b);
	if (b.failed) {
		vg_result(s, VG_MALFORMED);
		return false;
	}
	vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_CLOCK, .civil = &civil});
	vg_result(s, VG_NOTHING);
	return true;
}

/* Sets the clock behind `channel`, if that may be (vg_clock_set()): 2A2B (`current`) or 2A08. */
static inline void vg_clock_send(
	struct vg_session *s, unsigned channel, bool current, unsigned tolerance_s)
{
	uint8_t bytes[VG_CURRENT_TIME];
	struct vg_civil now;
	if (!vg_clock_set(s, tolerance_s, &now))
		return;
	if (current)
		vg_current_time_put(bytes, &now);
	else
		vg_date_time_put(bytes, &now);
	vg_send(s, channel, bytes, current ? VG_CURRENT_TIME : VG_DATE_TIME);
}

/* denied() of a clock that was set. 80, "data field ignored": it took the clock, but not every field
 * (recalled). */
static inline void vg_clock_denied(struct vg_session *s, uint8_t code)
{
	if (code != 0x80)
		vg_event(s, &(struct vg_event){.type = VG_EVENT_DEVICE_ERROR,
				    .detail = "it refuses to have its clock set"});
}

/* heard() of 2A19. */
static inline void vg_battery_heard(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct buf b = buf_of(bytes, len);
	struct vg_event e = {.type = VG_EVENT_BATTERY, .value = buf_u8(&b)};
	if (b.failed) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	if (e.value <= 100)
		vg_event(s, &e);
	vg_result(s, VG_NOTHING);
}
