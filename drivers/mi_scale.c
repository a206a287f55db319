/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Xiaomi scales that advertise what they weigh: Mi Smart Scale (service data of 0x181D) and Mi Body
 * Composition Scale and Scale 2 (service data of 0x181B). They are never connected, and whoever is near can
 * advertise the same: every reading has the flag "unauthenticated". Little-endian.
 *
 *   181d, 10 bytes   status u8 | weight u16 | date time 7
 *     status         b0 lb, b4 jin, b5 stable, b6 a thing and no person, b7 stepped off
 *   181b, 13 bytes   mode u8 | status u8 | date time 7 | impedance u16 ohm | weight u16
 *     mode           b0 lb, b2 a thing and no person; b4 jin (recalled)
 *     status         b1 impedance measured, b5 stable, b7 stepped off
 *   weight           0.005 kg, 0.01 lb, 0.01 jin (jin: of one public program, not tested)
 *
 * The same packet comes many times, before and after the person has stepped off, and a scale may show its
 * last value again hours later. A weight is told once, when it is stable. The impedance follows some
 * seconds after it: then the same reading is told again, corrected, with both. What was told last is a
 * mark, so a restart tells nothing twice; date and weight are the identity. The date is when the scale
 * measured, by its own clock: with the first packet of a weighing it is told as the time of a message that
 * may have waited, so a clock that runs ahead corrects the reading and one that is slow is left alone.
 *
 * Who stands on it is not known. Not done: S400 and others that encrypt (MiBeacon, 0xFE95); the history,
 * which needs a connection and can be erased by it; body fat, which an app computes from impedance, age
 * and height.
 *
 * Sources: public decoders, their tests and two captures of their users (v180..v202 of the captures).
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>
#include <vitalgate/gatt.h>

#define LEN_181D 10
#define LEN_181B 13
#define PAUSE_US 3000000 /* nobody is weighed twice in it, and a flood of packets fills no disk */

enum { UNIT_LB = 0x01, UNIT_JIN = 0x10 };
enum { THING_181D = 0x40, THING_181B = 0x04 };
enum { IMPEDANCE = 0x02, STABLE = 0x20 };

enum { SERVICE_181D, SERVICE_181B };

static const struct vg_channel channels[] = {
	[SERVICE_181D] = {.uuid16 = 0x181d, .use = VG_GATT_READ, .name = "181d"},
	[SERVICE_181B] = {.uuid16 = 0x181b, .use = VG_GATT_READ, .name = "181b"},
};

/* What was told last. As it stands it is the mark. */
struct told {
	uint8_t identity[11]; /* date time, service, unit, weight */
	uint8_t impedance;    /* 1: and the impedance with it */
};

struct mi_scale {
	struct told told, before; /* the one before it, should it be refused */
	int64_t told_us;	  /* boot time; 0: not in this session */
};

struct packet {
	uint8_t unit, status; /* UNIT_, STABLE and IMPEDANCE */
	bool thing;
	uint16_t weight, impedance;
	uint8_t time[VG_DATE_TIME];
};

static bool packet_cut(unsigned channel, const uint8_t *bytes, size_t len, struct packet *ret_p)
{
	bool body = channel == SERVICE_181B;
	struct buf b = buf_of(bytes, len);
	struct packet p = {.unit = buf_u8(&b)};
	p.thing = p.unit & (body ? THING_181B : THING_181D);
	p.status = body ? buf_u8(&b) : p.unit & STABLE;
	p.unit &= UNIT_LB | UNIT_JIN;
	if (!body)
		p.weight = buf_le16(&b);
	const uint8_t *time = buf_bytes(&b, VG_DATE_TIME);
	if (body) {
		p.impedance = buf_le16(&b);
		p.weight = buf_le16(&b);
	}
	if (b.failed || len != (body ? LEN_181B : LEN_181D))
		return false;
	memcpy(p.time, time, VG_DATE_TIME);
	*ret_p = p;
	return true;
}

static struct told told_of(unsigned channel, const struct packet *p)
{
	struct told t = {.impedance = p->status & IMPEDANCE && p->impedance};
	const uint8_t rest[] = {
		(uint8_t)channel, p->unit, (uint8_t)p->weight, (uint8_t)(p->weight >> 8)};
	memcpy(t.identity, p->time, VG_DATE_TIME);
	memcpy(t.identity + VG_DATE_TIME, rest, sizeof(rest));
	return t;
}

static void tell(struct vg_session *s, const struct packet *p, const struct told *t, bool again)
{
	struct buf b = buf_of(p->time, VG_DATE_TIME);
	struct vg_civil taken = vg_date_time(&b);
	struct vg_quantity quantities[2] = {
		{.kind = "weight",
			.value = {p->unit ? p->weight : p->weight * 5, p->unit ? -2 : -3},
			.unit = p->unit & UNIT_LB    ? "lb"
				: p->unit & UNIT_JIN ? "jin"
						     : "kg"},
		{.kind = "body.impedance", .value = {p->impedance, 0}, .unit = "Ohm"},
	};
	if (!again)
		vg_event(s, &(struct vg_event){
				    .type = VG_EVENT_DEVICE_CLOCK, .civil = &taken, .value = 1});
	vg_reading(s, &(struct vg_reading){.kind = "weight",
			      .taken = &taken,
			      .user = -1,
			      .seq = -1,
			      .status = again ? VG_CORRECTED : VG_FINAL,
			      .quantities = quantities,
			      .n_quantities = t->impedance ? 2 : 1,
			      .identity = t->identity,
			      .identity_len = vg_date_known(&taken) ? sizeof(t->identity) : 0});
	vg_mark(s, "told", t, sizeof(*t));
}

static void mi_scale_opened(struct vg_session *s, bool excerpt)
{
	struct mi_scale *st = vg_state(s);
	size_t len = 0;
	const uint8_t *mark = vg_marked(s, "told", &len);
	(void)excerpt;
	if (mark && len == sizeof(st->told))
		memcpy(&st->told, mark, len);
}

static void mi_scale_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct mi_scale *st = vg_state(s);
	struct packet p;
	if (!packet_cut(channel, bytes, len, &p)) {
		vg_result(s, VG_MALFORMED);
		return;
	}
	struct told t = told_of(channel, &p);
	bool again = memcmp(t.identity, st->told.identity, sizeof(t.identity)) == 0;
	if (p.thing || !(p.status & STABLE) || (again && t.impedance <= st->told.impedance)) {
		vg_result(s, VG_NOTHING);
		return;
	}
	if (!again && st->told_us && now->boot_us - st->told_us < PAUSE_US) {
		vg_result(s, VG_NOTHING);
		return;
	}
	st->before = st->told;
	st->told = t;
	st->told_us = now->boot_us;
	tell(s, &p, &t, again);
}

/* It will be advertised again, and told again. */
static void mi_scale_refused(struct vg_session *s, vg_ticket ticket, int why)
{
	struct mi_scale *st = vg_state(s);
	(void)ticket, (void)why;
	st->told = st->before;
	st->told_us = 0;
	vg_done(s, "could not store");
}

static const struct vg_model models[] = {
	{.title = "Mi Smart Scale",
		.title_zh = "小米体重秤",
		.name = "MI",
		.service16 = 0x181d,
		.press = "step on it; nothing is paired, and anybody near could pretend to be it",
		.press_zh = "踩上秤即可;无需配对,但附近的人可以冒充"},
	{.title = "Mi Body Composition Scale",
		.title_zh = "小米体脂秤",
		.name = "MIBCS",
		.service16 = 0x181b,
		.press =
			"step on it barefoot; nothing is paired, and anybody near could pretend to be it",
		.press_zh = "赤脚踩上秤即可;无需配对,但附近的人可以冒充"},
	{.title = "Mi Body Composition Scale 2",
		.title_zh = "小米体脂秤2",
		.name = "MIBFS",
		.service16 = 0x181b,
		.press =
			"step on it barefoot; nothing is paired, and anybody near could pretend to be it",
		.press_zh = "赤脚踩上秤即可;无需配对,但附近的人可以冒充"},
};

const struct vg_driver mi_scale = {
	.name = "mi_scale",
	.version = 1,
	.title = "Mi scales, as they advertise",
	.title_zh = "小米体重秤/体脂秤(广播)",
	.bus = VG_BUS_ADVERT,
	.channels = channels,
	.n_channels = sizeof(channels) / sizeof(channels[0]),
	.models = models,
	.n_models = sizeof(models) / sizeof(models[0]),
	.state_size = sizeof(struct mi_scale),
	.opened = mi_scale_opened,
	.heard = mi_scale_heard,
	.refused = mi_scale_refused,
};
