/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One slave's rounds, without any I/O: which block is asked next, what a failure means, what the round
 * brought, and when the next one begins. Pure: times are handed in, microseconds of one steady clock.
 *
 *   - A block that fails is asked once more, after all others; not in the round after one in which it failed.
 *   - Who did not answer in time is left alone for as long again: a late answer must not be taken for that to
 *     the next question, and the neighbours on the line go first.
 *   - A slave that answers nothing is given up after two questions, later after one.
 *   - An exception that says "not so" (1, 2, 3) is a mistake in the profile: that block is not asked again until
 *     the slave was away.
 *   - Rounds begin on a grid, so they neither drift nor run after each other when one took long. From the
 *     third failed one on, a slave is asked at growing intervals, up to a minute.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vitalgate/registers.h>

#define MODBUS_OFFLINE_AFTER 3 /* failed rounds in a row */

struct modbus_round {
	const struct vg_registers *profile; /* borrowed */
	uint64_t period_us, response_us, grid_us;
	uint64_t due_us; /* when to go on: with a new round, or with this one */
	bool running;
	unsigned failed; /* rounds in a row without any answer */
	unsigned silent; /* questions of this round without one */
	/* One bit for each block. */
	uint32_t left;	   /* to be asked */
	uint32_t again;	   /* a second time */
	uint32_t answered; /* with data */
	uint32_t weak;	   /* had no data in the round before */
	uint32_t wrong;	   /* not so, says the slave */
	bool spoke;	   /* it answered something */
	uint8_t why[VG_REGISTERS_BLOCKS_MAX];
	uint8_t *data; /* of all blocks, one after the other; owned */
};

/* The `turn`-th slave of all: their rounds are spread over the period, the first ones over a second at most, so that
 * slaves of one line do not all want it at once. MODBUS_TOGETHER: rounds of one period begin together, so that
 * what they bring shares wake-ups and commits. -ENOMEM. */
#define MODBUS_TOGETHER UINT32_MAX
int modbus_round_init(struct modbus_round *r, const struct vg_registers *profile,
	uint64_t period_us, uint64_t response_us, unsigned turn, uint64_t now_us);
void modbus_round_free(struct modbus_round *r);

/* The block to ask now, when it is due; begins a round if none is running. Never -1 while one runs. */
int modbus_round_next(struct modbus_round *r, uint64_t now_us);
/* Where the data of a block go: vg_registers_bytes() bytes, to be written before answered(). */
uint8_t *modbus_round_place(struct modbus_round *r, int block);
void modbus_round_answered(struct modbus_round *r, int block);
void modbus_round_failed(struct modbus_round *r, int block, uint8_t why, uint64_t now_us);
/* There is no way to the slave: the round, begun if it was not, has failed. */
void modbus_round_give_up(struct modbus_round *r, uint8_t why, uint64_t now_us);

static inline bool modbus_round_over(const struct modbus_round *r)
{
	return r->running && !r->left;
}

/* Of a round that is over: its poll record (VG_REGISTERS_RECORD_MAX bytes are enough); the length. */
size_t modbus_round_record(const struct modbus_round *r, uint8_t *out);
/* It is over: sets the time of the next. True: the slave is there, it said something. */
bool modbus_round_close(struct modbus_round *r, uint64_t now_us);
/* The slave was away, and may be another one when it is back. */
void modbus_round_forget(struct modbus_round *r);
