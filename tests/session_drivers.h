/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two drivers that do what their bytes tell them, one for each bus, and one open session with one of them.
 * Included after cmocka.h in exactly one file of a test program.
 */
#pragma once

#include "session_rig.h"

struct told {
	vg_ticket kept[16], refused[16];
	unsigned n_kept, n_refused, expired, opened;
	int why;
	vg_ticket last;	 /* that an emission returned */
	bool odd_ticket; /* two emissions of one callback had different ones */
	char emit_when_kept;
	unsigned clock_set;
	struct vg_civil clock;
	unsigned denied_channel;
	uint8_t denied;
	unsigned hung_up;
};

static void put(struct told *t, vg_ticket ticket, bool first)
{
	t->odd_ticket |= !first && ticket && ticket != t->last;
	t->last = ticket;
}

static vg_ticket say(struct vg_session *s, char what)
{
	static const struct vg_civil clock = {2026, 11, 21, 16, 1, 0},
				     past = {2026, 11, 21, 15, 0, 0},
				     useless = {0, 11, 21, 16, 1, 0};
	struct vg_quantity q = {
		.kind = "bp.sbp", .value = {what == 'x' ? 999 : 128, 0}, .unit = "mmHg"};
	struct vg_reading r = {.kind = "bp",
		.user = -1,
		.seq = -1,
		.quantities = &q,
		.n_quantities = 1,
		.identity = (const uint8_t *)"id"};
	r.identity_len = 2;
	q.kind = what == 'u' ? "no.such" : q.kind;
	r.raw = what == 'p' ? (const uint8_t *)"part" : NULL;
	r.raw_len = what == 'p' ? 4 : 0;
	switch (what) {
	case 'r': /* a reading, whole; of a part; unsupported; implausible */
	case 'p':
	case 'u':
	case 'x':
		return vg_reading(s, &r);
	case 'e':
		return vg_event(s, &(struct vg_event){.type = VG_EVENT_BATTERY, .value = 70});
	case 'f':
		return vg_event(s,
			&(struct vg_event){.type = VG_EVENT_FAILED_MEASUREMENT, .detail = "cuff"});
	case 'c': /* clocks: now; a message of an hour ago; without a year */
		return vg_event(
			s, &(struct vg_event){.type = VG_EVENT_DEVICE_CLOCK, .civil = &clock});
	case 'o':
		return vg_event(
			s, &(struct vg_event){
				   .type = VG_EVENT_DEVICE_CLOCK, .civil = &past, .value = 1});
	case 'y':
		return vg_event(
			s, &(struct vg_event){.type = VG_EVENT_DEVICE_CLOCK, .civil = &useless});
	case 'i':
		return vg_identity(s, VG_IDENTITY_ID_CARD, "110101199001011234", 18);
	case 'j':
		return vg_rejected(s, VG_MALFORMED, "bad record", "raw!", 4);
	case 'k':
	case 'K':
		return vg_mark(s, "high", what == 'k' ? "\1" : "\2", 1);
	case 'l':
		return vg_mark(s, "other", "\3\4", 2);
	case 'Z':
		return vg_event(s, &(struct vg_event){.type = VG_EVENT_DRAINED});
	default:
		return 0;
	}
}

static void obey(struct vg_session *s, const uint8_t *bytes, size_t len)
{
	struct told *t = vg_state(s);
	bool first = true;
	for (size_t i = 0; i < len; i++) {
		char what = (char)bytes[i];
		if (strchr("rpuxefcoyijkKlZ", what) && what) {
			put(t, say(s, what), first);
			first = false;
		} else if (what == 'n' || what == 'm' || what == 's') {
			vg_result(s, what == 'n'   ? VG_NOTHING
				     : what == 'm' ? VG_MALFORMED
						   : VG_OUT_OF_SEQUENCE);
		} else if (what == 'd') {
			vg_done(s, "told to");
		} else if (what == 't') {
			vg_timer(s, 500);
		} else if (what == '!') {
			vg_send(s, 3, "reply", 5);
		} else if (what == 'w') {
			vg_sample(s, &(struct vg_sample){.kind = "spo2"});
		} else if (what == 'a' || what == 'A') { /* at any rate, or when 30 s off */
			t->clock_set += vg_clock_set(s, what == 'a' ? 0 : 30, &t->clock);
		}
	}
}

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	(void)channel, (void)now;
	obey(s, bytes, len);
}

static void opened(struct vg_session *s, bool excerpt)
{
	struct told *t = vg_state(s);
	t->opened += excerpt ? 100 : 1;
	const char *start = vg_option(s, "start");
	obey(s, (const uint8_t *)start, strlen(start));
}

static void expired(struct vg_session *s, const struct vg_now *now)
{
	struct told *t = vg_state(s);
	(void)now;
	t->expired++;
	obey(s, (const uint8_t *)"e", 1);
}

static void kept(struct vg_session *s, vg_ticket ticket)
{
	struct told *t = vg_state(s);
	t->kept[t->n_kept++ % 16] = ticket;
	if (t->emit_when_kept)
		obey(s, (const uint8_t *)&t->emit_when_kept, 1);
	t->emit_when_kept = 0;
}

static void refused(struct vg_session *s, vg_ticket ticket, int why)
{
	struct told *t = vg_state(s);
	t->refused[t->n_refused++ % 16] = ticket;
	t->why = why;
}

static void denied(struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now)
{
	struct told *t = vg_state(s);
	(void)now;
	t->denied_channel = channel;
	t->denied = code;
	obey(s, (const uint8_t *)"f", 1);
}

static void hung_up(struct vg_session *s, const struct vg_now *now)
{
	(void)now;
	((struct told *)vg_state(s))->hung_up++;
	obey(s, (const uint8_t *)"Z", 1);
}

/* '<', a digit n, n bytes; line ends are filler, everything else is noise. */
static struct vg_frame frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	size_t at = 0;
	if (bytes[0] == '\n')
		return (struct vg_frame){.skip = 1, .filler = true};
	while (at < len && bytes[at] != '<' && bytes[at] != '\n')
		at++;
	if (at)
		return (struct vg_frame){.skip = at};
	size_t whole = len > 1 ? 2 + (size_t)(bytes[1] >= '0' ? bytes[1] - '0' : 0) : 0;
	return (struct vg_frame){.length = whole && len >= whole ? whole : 0};
}

#define CALLBACKS                                                                         \
	.version = 7, .opened = opened, .heard = heard, .expired = expired, .kept = kept, \
	.refused = refused, .denied = denied, .hung_up = hung_up,                         \
	.state_size = sizeof(struct told), .options = options, .n_options = ELEMENTS(options)

static const struct vg_option options[] = {
	{"start", "", NULL, "what opened() does"}, VG_CLOCK_OPTION};
static const struct vg_channel channels[] = {{.uuid16 = 1, .name = "0001"}};
static const struct vg_driver gatt = {
	.name = "gatt", .bus = VG_BUS_GATT, .channels = channels, .n_channels = 1, CALLBACKS};
static const struct vg_driver open_air = {.name = "open_air",
	.bus = VG_BUS_GATT,
	.channels = channels,
	.n_channels = 1,
	.unauthenticated = true,
	CALLBACKS};
static const struct vg_driver stream = {.name = "stream",
	.bus = VG_BUS_STREAM,
	.frame_max = 32,
	.frame_gap_ms = 250,
	.frame = frame,
	CALLBACKS};

static struct rig rig;

static inline struct told *told(void)
{
	return vg_state(rig.session);
}

static inline void open_gatt(const char *start)
{
	rig = rig_new(&gatt);
	rig.option_name = "start";
	rig.option_value = start;
	assert_non_null(rig_open(&rig));
}

static inline void open_stream(void)
{
	rig = rig_new(&stream);
	assert_non_null(rig_open(&rig));
}

static void hear(const char *what, bool indication)
{
	rig_value(&rig, what, strlen(what), indication);
}

static int load(void **state)
{
	(void)state;
	char error[400];
	clock_set_zone("Asia/Shanghai");
	rig_codes = codes_load("config", error, sizeof(error));
	return rig_codes ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	codes_free(rig_codes);
	return 0;
}

static inline int close_rig(void **state)
{
	(void)state;
	if (rig.session)
		rig_close(&rig);
	return 0;
}
