/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A reader of identity cards, polled by the timer: find, select, read. Only the number leaves, for
 * vg_identity(). */
#include "skeletons.h"

#include <string.h>

#define TEXT 14	      /* head 5, length 2, status 3, two lengths 4 */
#define NUMBER_AT 122 /* in the text part, UTF-16: after name, sex, nation, birth, address */
#define DIGITS 18

struct card {
	uint8_t step;
};

static const uint8_t commands[3][2] = {{0x20, 1}, {0x20, 2}, {0x30, 1}};

static void ask(struct vg_session *s, uint8_t step)
{
	const uint8_t *c = commands[step];
	const uint8_t bytes[] = {
		0xaa, 0xaa, 0xaa, 0x96, 0x69, 0, 3, c[0], c[1], (uint8_t)(3 ^ c[0] ^ c[1])};
	((struct card *)vg_state(s))->step = step;
	vg_send(s, 0, bytes, sizeof(bytes));
	vg_timer(s, 3000);
}

static void expired(struct vg_session *s, const struct vg_now *now)
{
	(void)now;
	ask(s, 0);
}

static void opened(struct vg_session *s, bool excerpt)
{
	(void)excerpt;
	vg_timer(s, 300);
}

static struct vg_frame frame(const void *state, const uint8_t *bytes, size_t len)
{
	(void)state;
	static const uint8_t head[] = {0xaa, 0xaa, 0xaa, 0x96, 0x69};
	size_t have = len < sizeof(head) ? len : sizeof(head);
	if (memcmp(bytes, head, have) != 0)
		return (struct vg_frame){.skip = 1};
	size_t whole = len >= 7 ? 7u + (size_t)(bytes[5] << 8 | bytes[6]) : 0;
	return (struct vg_frame){.length = len >= whole ? whole : 0};
}

static void heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct card *card = vg_state(s);
	(void)channel, (void)now;
	char number[DIGITS];
	bool good = len > 9 && (bytes[9] == 0x9f || bytes[9] == 0x90);
	vg_timer(s, 300); /* the pause that the reader wants, and the next card */
	vg_result(s, VG_NOTHING);
	if (good && card->step < 2)
		ask(s, card->step + 1);
	if (!good || card->step != 2 || len < TEXT + NUMBER_AT + 2 * DIGITS)
		return;
	for (size_t i = 0; i < DIGITS; i++)
		number[i] = (char)bytes[TEXT + NUMBER_AT + 2 * i];
	vg_identity(s, VG_IDENTITY_ID_CARD, number, sizeof(number));
}

const struct vg_driver skeleton_idcard = {.name = "skeleton_idcard",
	.bus = VG_BUS_STREAM,
	.state_size = sizeof(struct card),
	.frame_max = 2048,
	.opened = opened,
	.heard = heard,
	.expired = expired,
	.frame = frame};
