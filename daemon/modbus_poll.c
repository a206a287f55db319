/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "modbus_poll.h"

#include "log.h"
#include "util.h"

static void tell(const struct modbus_poll *p, enum modbus_what what, const char *word,
	const uint8_t *record, size_t len)
{
	if (modbus_list_add(p->news, p->to, what, word, record, len) < 0)
		log_error(p->device->id, "a round is lost: out of memory");
}

void modbus_poll_state(struct modbus_poll *p, const char *state)
{
	if (!streq(p->state, state))
		tell(p, MODBUS_STATE, state, NULL, 0);
	p->state = state;
}

void modbus_poll_down(struct modbus_poll *p, const char *why)
{
	if (p->up)
		tell(p, MODBUS_DOWN, why, NULL, 0);
	p->up = false;
	p->said = 0;
	modbus_round_forget(&p->round);
}

/* rounds */

/* Once, until it is there. Of a link that cannot be opened the bus has said more. */
static void say_absent(struct modbus_poll *p, const char *absence)
{
	const char *on = p->device->address;
	bool line = on[0] == '/';
	unsigned slave = p->device->slave;
	if (p->said_absent || streq(absence, "absent"))
		return;
	p->said_absent = true;
	if (streq(absence, "error"))
		log_note(p->device->id, "answers of slave %u on %s are garbled: check %s", slave,
			on,
			line ? "baud, parity, wiring, and that each slave has a number of its own"
			     : "that it speaks Modbus TCP");
	else
		log_note(p->device->id, "slave %u on %s does not answer: check its power, %s",
			slave, on,
			line ? "the wires A and B, `slave`, `baud` and `parity`" : "and `slave`");
}

void modbus_poll_end(struct modbus_poll *p, const char *absence, uint64_t now_us)
{
	uint8_t record[VG_REGISTERS_RECORD_MAX];
	bool there = modbus_round_close(&p->round, now_us);
	if (there || p->up) {
		p->up = true;
		tell(p, MODBUS_ROUND, there ? "" : NULL, record,
			modbus_round_record(&p->round, record));
	}
	if (there) {
		p->said_absent = false;
		modbus_poll_state(p, "connected");
		return;
	}
	modbus_poll_state(p, absence);
	if (p->round.failed < MODBUS_OFFLINE_AFTER)
		return;
	modbus_poll_down(p, "no answer");
	say_absent(p, absence);
}

void modbus_poll_refused(struct modbus_poll *p, int block, int exception)
{
	static const char *const tables[] = {
		"", "coils", "discrete inputs", "holding registers", "input registers"};
	const struct vg_registers_block *b = &p->round.profile->blocks[block];
	if (p->said >> block & 1)
		return;
	p->said |= UINT32_C(1) << block;
	log_warn(p->device->id,
		"the slave refuses to read %u %s from %u (counted from 0) with exception %d: compare the "
		"profile %s with its register sheet, address_base first; not asked again until the slave "
		"was away",
		b->count, tables[b->function], b->address, exception, p->device->driver);
}
