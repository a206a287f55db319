/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Readers that send what they read as text: barcode scanners, and readers of contactless cards, on a serial line or as
 * a serial device on USB. What they read says who stands at the station (vg_identity()).
 *
 * Line: text, ended by CR, LF or ETX, or by nothing: then 100 ms of silence end it. An STX before it and blanks
 * around it are no part of it. Of other control characters, of bytes above 7e and of more than 64 of them we
 * make nothing: malformed. Nothing is sent.
 *
 * Option `reads`: `card`, the number of a card or of an identity card, of which a hash is made at once; or `token`, the
 * token of a resident as a barcode. A reader that reads both stands twice in the site, or reads cards.
 *
 * In a capture all characters of the text are an x: nothing of it may stay.
 *
 * Source: factory settings of common USB-COM scanners and 125 kHz and 13.56 MHz readers (ASCII, CR LF as suffix). Not
 * confirmed: readers that send their number in binary (Wiegand, BCC); those are malformed here.
 */
#include <string.h>
#include <vitalgate/driver.h>

enum { STX = 0x02, ETX = 0x03 };

#define SILENCE_MS 100
#define TEXT_MAX 64

struct scanner {
	uint8_t n;
	bool bad; /* too long, or no text */
	char text[TEXT_MAX];
};

static bool ends(uint8_t c)
{
	return c == '\r' || c == '\n' || c == ETX;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* As much as there is: a piece of a text is kept until its end comes. */
static struct vg_frame scanner_frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	size_t n = 0;
	while (n < len && !ends(bytes[n]))
		n++;
	return (struct vg_frame){.length = n < len ? n + 1 : n};
}

static void whole(struct vg_session *s, struct scanner *st)
{
	const char *reads = vg_option(s, "reads");
	const char *text = st->text;
	size_t n = st->n;
	bool bad = st->bad;
	while (n && is_blank(*text)) {
		text++;
		n--;
	}
	while (n && is_blank(text[n - 1]))
		n--;
	if (bad)
		vg_result(s, VG_MALFORMED);
	else if (n) {
		vg_result(s, VG_NOTHING); /* no measurement */
		vg_identity(s, reads && reads[0] == 't' ? VG_IDENTITY_TOKEN : VG_IDENTITY_CARD,
			text, n);
	}
	*st = (struct scanner){0};
}

static void scanner_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct scanner *st = vg_state(s);
	(void)channel;
	(void)now;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = bytes[i];
		if (ends(c)) {
			whole(s, st);
			continue;
		}
		if (c == STX && !st->n)
			continue;
		st->bad |= st->n == TEXT_MAX || (c < 0x20 && c != '\t') || c > 0x7e;
		if (!st->bad)
			st->text[st->n++] = (char)c;
	}
	vg_timer(s, st->n || st->bad ? SILENCE_MS : 0);
}

static void scanner_expired(struct vg_session *s, const struct vg_now *now)
{
	(void)now;
	whole(s, vg_state(s));
}

static void scanner_scrub(
	const struct vg_driver *self, unsigned channel, uint8_t *bytes, size_t len)
{
	(void)self;
	(void)channel;
	for (size_t i = 0; i < len; i++)
		if (bytes[i] > 0x20 && bytes[i] < 0x7f)
			bytes[i] = 'x';
}

static const char *const reads[] = {"card", "token", NULL};

static const struct vg_option options[] = {
	{"reads", "card", reads, "card: numbers of cards; token: tokens of residents"},
};

const struct vg_driver scanner = {
	.name = "scanner",
	.version = 1,
	.title = "Barcode or card reader at a station",
	.title_zh = "站点扫码枪/读卡器",
	.experimental = true,
	.bus = VG_BUS_STREAM,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.state_size = sizeof(struct scanner),
	.frame_max = 128,
	.heard = scanner_heard,
	.expired = scanner_expired,
	.frame = scanner_frame,
	.scrub = scanner_scrub,
};
