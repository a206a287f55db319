/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nonin pulse oximeters with a serial line (OEM III, Xpod, WristOx2 3150 and kin): data formats 2
 * and 7. 9600 baud 8N1, 75 frames of 5 bytes a second; 25 frames are a packet, which has each
 * number once.
 *
 *   format 2   01 | status | pleth | data | sum
 *   format 7   status | pleth, high | pleth, low | data | sum
 *   sum        of the four bytes before it, modulo 256
 *   status     7 always 1, 6 sensor disconnected, 5 artifact, 4 out of track, 3 sensor alarm,
 *              2-1 perfusion: 10 red (low), 11 yellow (marginal), 01 green (good), 00 no beat at
 *              this moment, 0 sync: the first frame of a packet, and no other
 *   data       of frame 1, 2: HR; 3: SpO2; 4: firmware; 6, 7: timer (format 7); 8: status 2
 *              (format 7: bit 5 SmartPoint, 0 low battery); 9: SpO2-D; 10: SpO2 fast; 11: SpO2
 *              beat to beat; 14, 15: E-HR; 16: E-SpO2; 17: E-SpO2-D; 20, 21: HR-D; 22, 23: E-HR-D
 *   HR         9 bits: (first & 3) << 7 | (second & 7f); 511: missing. SpO2: 0..100; 127: missing
 *   choose     02 70 02 02 format 03; the answer is 06 or 15
 *
 * The device says its numbers three times a second; a packet is a sample and no reading. E-..-D are
 * the averages of eight beats for a display, and what a person would write down. A packet is one
 * frame to the daemon: 25 right sums and one sync bit in its place cannot be met by chance, in
 * neither format.
 *
 * Status bits of any frame hold for its packet. Perfusion, and artifact with some units, is said
 * only while a beat passes, and of a slow pulse most packets have none: what the last beat said
 * holds until the next. Red (low or no signal) puts the value in doubt; it keeps no value back, as
 * the daemon tells doubtful values, too, with their flags. Yellow (low or marginal) does not: the
 * device still counts it as a signal, and a person with cold hands, whose beats are never green,
 * would have no clean value at all. SmartPoint is not used: format 2 lacks it.
 *
 * Sources: layout and a packet of format 2 of a public driver and its tests (in captures
 * packet_public); format 7 and the display values of public readers of recordings. Two public
 * decoders get pulse rates above 127 wrong. Not confirmed: the choice of a format and its answers
 * (from one public driver; hence option `request` is `none`); low battery in format 7 (one public
 * reader calls the bit reserved); that artifact is said only during a beat (one public reader). No
 * bytes of a device were seen here.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>

#define FRAMES 25
#define FRAME_LEN 5
#define PACKET_LEN (FRAMES * FRAME_LEN)
#define GAP_MS 1000 /* a packet takes a third of a second */

enum { ACK = 0x06, NAK = 0x15 };
enum { SYNC = 0x01, PERFUSION = 0x06, ARTIFACT = 0x20, ALWAYS = 0x80 };
enum { PERFUSION_LOW = 0x04 };
enum { HR_MISSING = 511, SPO2_MISSING = 127, SPO2_MAX = 100 };

struct nonin {
	bool low_perfusion, artifact; /* what the last beat said */
	bool battery_told;
};

/* Whose data byte this is, as the sheet above counts. */
enum { STATUS_2 = 8, E_SPO2_D = 17, E_HR_D = 22 };

struct packet {
	uint8_t data[FRAMES + 1]; /* from 1 */
	uint8_t status;		  /* bits of any frame */
	bool beat, beat_low, beat_artifact;
	bool format_7;
};

static struct packet packet_read(const uint8_t *bytes, size_t len)
{
	struct packet p = {.format_7 = bytes[0] != 1};
	struct buf b = buf_of(bytes, len);
	for (unsigned i = 1; i <= FRAMES; i++) {
		uint8_t first = buf_u8(&b), second = buf_u8(&b);
		uint8_t status = p.format_7 ? first : second;
		buf_u8(&b);
		p.data[i] = buf_u8(&b);
		buf_u8(&b);
		p.status |= status;
		p.beat |= status & (PERFUSION | ARTIFACT);
		p.beat_low |= (status & PERFUSION) == PERFUSION_LOW;
		p.beat_artifact |= status & ARTIFACT;
	}
	return p;
}

/* A packet between two beats says nothing of them. */
static void beat_heard(struct nonin *st, const struct packet *p)
{
	if (!p->beat)
		return;
	st->low_perfusion = p->beat_low;
	st->artifact = p->beat_artifact;
}

static size_t flags_of(const struct nonin *st, const struct packet *p, const char **flags)
{
	static const struct {
		uint8_t bit;
		const char *flag;
	} known[] = {{0x40, "sensor_off"}, {0x10, "out_of_track"}, {0x08, "sensor_alarm"}};
	size_t n = 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (p->status & known[i].bit)
			flags[n++] = known[i].flag;
	if (st->artifact)
		flags[n++] = "artifact";
	if (st->low_perfusion)
		flags[n++] = "low_perfusion";
	return n;
}

static size_t quantities_of(
	struct vg_session *s, const struct packet *p, struct vg_quantity *quantities)
{
	unsigned spo2 = p->data[E_SPO2_D];
	unsigned pulse = (p->data[E_HR_D] & 3u) << 7 | (p->data[E_HR_D + 1] & 0x7fu);
	size_t n = 0;
	if (spo2 <= SPO2_MAX)
		quantities[n++] = (struct vg_quantity){
			.kind = "spo2", .value = {.mantissa = spo2}, .unit = "%"};
	else if (spo2 != SPO2_MISSING)
		vg_result(s, VG_IMPLAUSIBLE);
	if (pulse != HR_MISSING)
		quantities[n++] = (struct vg_quantity){
			.kind = "spo2.pulse", .value = {.mantissa = pulse}, .unit = "/min"};
	return n;
}

/* Once a session: a bit that says the same three times a second. */
static void battery_heard(struct vg_session *s, struct nonin *st, const struct packet *p)
{
	struct vg_event e = {.type = VG_EVENT_DEVICE_ERROR, .detail = "low battery"};
	if (p->format_7 && p->data[STATUS_2] & 1 && !st->battery_told)
		st->battery_told = vg_event(s, &e) != 0;
}

static void nonin_opened(struct vg_session *s, bool excerpt)
{
	const char *format = vg_option(s, "request");
	uint8_t command[] = {0x02, 0x70, 0x02, 0x02, (uint8_t)(format[0] - '0'), 0x03};
	if (!excerpt && (format[0] == '2' || format[0] == '7'))
		vg_send(s, 0, command, sizeof(command));
}

static void nonin_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct nonin *st = vg_state(s);
	(void)channel;
	(void)now;
	struct packet p = packet_read(bytes, len);
	struct vg_quantity quantities[2];
	const char *flags[5];
	struct vg_sample x = {.kind = "spo2", .quantities = quantities, .flags = flags};
	x.n_quantities = quantities_of(s, &p, quantities);
	beat_heard(st, &p);
	if (!x.n_quantities) /* no finger, no beat: the next one begins anew */
		st->low_perfusion = st->artifact = false;
	x.n_flags = flags_of(st, &p, flags);
	vg_sample(s, &x);
	battery_heard(s, st, &p);
}

/* Do these bytes, as far as they are there, look like frame `i` (from 0) of a packet? */
static bool frame_fits(const uint8_t *bytes, size_t len, unsigned i, bool format_7)
{
	size_t at = format_7 ? 0 : 1;
	if (!format_7 && bytes[0] != 1)
		return false;
	if (len > at && (bytes[at] & (ALWAYS | SYNC)) != (i ? ALWAYS : ALWAYS | SYNC))
		return false;
	return len < FRAME_LEN || bytes[4] == (uint8_t)(bytes[0] + bytes[1] + bytes[2] + bytes[3]);
}

/* No byte that is there says otherwise. The first byte tells the format: 01 is no status. */
static bool packet_fits(const uint8_t *bytes, size_t len)
{
	bool format_7 = bytes[0] != 1;
	for (unsigned i = 0; i < FRAMES && i * FRAME_LEN < len; i++)
		if (!frame_fits(bytes + i * FRAME_LEN, len - i * FRAME_LEN, i, format_7))
			return false;
	return true;
}

/* An answer to the choice of a format comes between two packets, and is no noise. */
static struct vg_frame nonin_frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	struct vg_frame f = {.filler = true};
	for (; f.skip < len && !packet_fits(bytes + f.skip, len - f.skip); f.skip++)
		f.filler &= bytes[f.skip] == ACK || bytes[f.skip] == NAK;
	if (len - f.skip >= PACKET_LEN)
		f.length = PACKET_LEN;
	return f;
}

static const struct vg_option options[] = {
	{"request", "none", (const char *const[]){"none", "2", "7", NULL},
		"data format that the oximeter is asked for at opening; not confirmed on a device"},
	VG_SAMPLE_OPTIONS,
};

const struct vg_driver nonin = {
	.name = "nonin",
	.version = 1,
	.title = "Pulse oximeter, Nonin data formats 2 and 7",
	.title_zh = "血氧仪(Nonin 格式2/7)",
	.experimental = true,
	.bus = VG_BUS_STREAM,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.state_size = sizeof(struct nonin),
	.frame_max = 2 * PACKET_LEN,
	.frame_gap_ms = GAP_MS,
	.opened = nonin_opened,
	.heard = nonin_heard,
	.frame = nonin_frame,
};
