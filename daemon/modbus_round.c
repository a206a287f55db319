/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "modbus_round.h"

#include "util.h"

#include <errno.h>

#define SECOND_US UINT64_C(1000000)
#define BACK_OFF_MAX_US (60 * SECOND_US)

static uint32_t all_blocks(const struct modbus_round *r)
{
	return (uint32_t)((UINT64_C(1) << r->profile->n_blocks) - 1);
}

/* The multiples of the golden ratio, without their whole parts, are spread evenly however many there are. */
static uint64_t share(uint64_t of_us, unsigned turn)
{
	return of_us * (turn * UINT32_C(2654435769) >> 16) >> 16;
}

int modbus_round_init(struct modbus_round *r, const struct vg_registers *profile,
	uint64_t period_us, uint64_t response_us, unsigned turn, uint64_t now_us)
{
	size_t bytes = 0;
	for (unsigned i = 0; i < profile->n_blocks; i++)
		bytes += vg_registers_bytes(&profile->blocks[i]);
	*r = (struct modbus_round){
		.profile = profile, .period_us = period_us, .response_us = response_us};
	bool together = turn == MODBUS_TOGETHER;
	r->due_us = now_us + (together ? 0 : share(MIN(period_us, SECOND_US), turn));
	r->grid_us = together ? now_us - now_us % period_us + period_us
			      : now_us + share(period_us, turn);
	if (r->grid_us < r->due_us + period_us / 2)
		r->grid_us += period_us;
	r->data = malloc(bytes + 1);
	return r->data ? 0 : -ENOMEM;
}

void modbus_round_free(struct modbus_round *r)
{
	free(TAKE(r->data));
}

/* The first point of the grid that lies ahead. A round that is begun a little early is that of its point. */
static void step_grid(struct modbus_round *r, uint64_t now_us)
{
	if (r->grid_us <= now_us)
		r->grid_us += ((now_us - r->grid_us) / r->period_us + 1) * r->period_us;
}

static void begin(struct modbus_round *r, uint64_t now_us)
{
	if (r->due_us == r->grid_us)
		r->grid_us += r->period_us;
	step_grid(r, now_us);
	r->running = true;
	r->spoke = false;
	r->silent = 0;
	r->answered = r->again = 0;
	r->left = all_blocks(r) & ~r->wrong;
}

int modbus_round_next(struct modbus_round *r, uint64_t now_us)
{
	if (!r->running)
		begin(r, now_us);
	uint32_t from = r->left & ~r->again & ~r->weak;
	if (!from)
		from = r->left & ~r->again;
	if (!from)
		from = r->left;
	/* A slave that is silent is not asked for the same block again and again: another may be answered. */
	unsigned first = r->failed % r->profile->n_blocks;
	uint32_t later = from >> first << first;
	return __builtin_ctz(later ? later : from);
}

uint8_t *modbus_round_place(struct modbus_round *r, int block)
{
	uint8_t *at = r->data;
	for (int i = 0; i < block; i++)
		at += vg_registers_bytes(&r->profile->blocks[i]);
	return at;
}

void modbus_round_answered(struct modbus_round *r, int block)
{
	r->left &= ~(UINT32_C(1) << block);
	r->answered |= UINT32_C(1) << block;
	r->spoke = true;
}

static bool is_silence(uint8_t why)
{
	return why == VG_REGISTERS_TIMEOUT || why == VG_REGISTERS_CONNECTION || why == 10 ||
	       why == 11; /* so say gateways */
}

void modbus_round_failed(struct modbus_round *r, int block, uint8_t why, uint64_t now_us)
{
	uint32_t bit = UINT32_C(1) << block;
	r->why[block] = why;
	r->due_us = now_us + (why == VG_REGISTERS_TIMEOUT ? r->response_us : 0);
	if (why >= 1 && why <= 3)
		r->wrong |= bit;
	if ((r->again | r->weak | r->wrong) & bit)
		r->left &= ~bit;
	r->again |= bit;
	r->spoke |= !is_silence(why) && why != VG_REGISTERS_GARBLED;
	if (!is_silence(why) || r->spoke)
		return;
	r->silent++;
	if (r->silent == 2 || r->failed)
		modbus_round_give_up(r, why, now_us);
}

void modbus_round_give_up(struct modbus_round *r, uint8_t why, uint64_t now_us)
{
	if (!r->running)
		begin(r, now_us);
	for (unsigned i = 0; i < r->profile->n_blocks; i++)
		if (r->left >> i & 1)
			r->why[i] = why;
	r->left = 0;
}

size_t modbus_round_record(const struct modbus_round *r, uint8_t *out)
{
	const uint8_t *from = r->data;
	size_t n = 0;
	for (unsigned i = 0; i < r->profile->n_blocks; i++) {
		size_t bytes = vg_registers_bytes(&r->profile->blocks[i]);
		if (r->answered >> i & 1) {
			out[n++] = (uint8_t)bytes;
			memcpy(out + n, from, bytes);
			n += bytes;
		} else {
			out[n++] = 0;
			out[n++] = r->why[i];
		}
		from += bytes;
	}
	return n;
}

bool modbus_round_close(struct modbus_round *r, uint64_t now_us)
{
	bool all_wrong = r->wrong == all_blocks(r);
	r->running = false;
	r->weak = all_blocks(r) & ~r->answered & ~r->wrong;
	r->failed = r->spoke ? 0 : r->failed + 1;
	uint64_t rest_us = all_wrong ? BACK_OFF_MAX_US : 0;
	if (r->failed >= MODBUS_OFFLINE_AFTER)
		rest_us = MIN(r->period_us << MIN(r->failed - MODBUS_OFFLINE_AFTER + 1, 16u),
			BACK_OFF_MAX_US);
	if (all_wrong)
		r->wrong = 0;
	step_grid(r, now_us);
	r->due_us = rest_us > r->period_us ? now_us + rest_us : r->grid_us;
	return r->spoke;
}

void modbus_round_forget(struct modbus_round *r)
{
	r->wrong = r->weak = 0;
}
