/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session of the receiver with a clock that nobody waits for. Included after cmocka.h in exactly one file. */
#pragma once

#include "sender.h"
#include "session_rig.h"

enum { EOT = 4 };

#define NEVER SENDER_NEVER

static const struct vg_driver *driver(void)
{
	return drivers_find(NULL, "xmodem");
}

static struct rig rig;
static int64_t timer_us, gap_us;

static void on_timer(void *arg, unsigned ms)
{
	(void)arg;
	timer_us = ms ? rig.now.boot_us + ms * INT64_C(1000) : NEVER;
}

static void on_gap(void *arg, unsigned ms)
{
	(void)arg;
	gap_us = ms ? rig.now.boot_us + ms * INT64_C(1000) : NEVER;
}

static void open_rig(const char *check, bool excerpt)
{
	rig = rig_new(driver());
	rig.option_name = "check";
	rig.option_value = check;
	gap_us = NEVER;
	rig_open(&rig);
	on_timer(NULL, rig.timer_ms);
	rig.ops.timer = on_timer;
	rig.ops.gap = on_gap;
	if (!excerpt)
		return;
	session_free(rig.session);
	rig.n_sent = 0;
	timer_us = NEVER;
	rig.session = session_new(&(struct session_start){.driver = driver(),
					  .codes = rig_codes,
					  .number = 42,
					  .uid = "sn:1",
					  .excerpt = true,
					  .ops = &rig.ops},
		&rig.now);
}

static void stream(const uint8_t *bytes, size_t len)
{
	rig_stream(&rig, bytes, len);
}

/* Time goes on to the next thing that runs out, at most to `end_us`. False: nothing did. */
static bool run_out(int64_t end_us)
{
	int64_t next_us = MIN(timer_us, gap_us);
	bool out = next_us <= end_us;
	int64_t to_us = MAX(MIN(next_us, end_us), rig.now.boot_us);
	rig.now.utc_us += to_us - rig.now.boot_us;
	rig.now.boot_us = to_us;
	if (!out)
		return false;
	if (gap_us <= timer_us) {
		gap_us = NEVER;
		session_gap(rig.session, &rig.now);
	} else {
		timer_us = NEVER;
		session_expired(rig.session, &rig.now);
	}
	return true;
}

static void pass(unsigned ms)
{
	int64_t end_us = rig.now.boot_us + ms * INT64_C(1000);
	while (run_out(end_us))
		;
}

static void verdict(unsigned unit, int result)
{
	rig_verdict(&rig, unit, result);
}

/* What was sent since the last time is exactly this. */
static void check_sent(const void *bytes, size_t len)
{
	char found[65], wanted[65];
	hex(found, rig.sent, MIN(rig.n_sent, (size_t)32));
	hex(wanted, bytes, MIN(len, (size_t)32));
	assert_string_equal(found, wanted);
	assert_int_equal(rig.n_sent, len);
	rig.n_sent = 0;
}
#define SENT(text) check_sent(text, sizeof(text) - 1)

static void send_block(unsigned number, const char *text, bool by_sum)
{
	uint8_t out[1029], data[128];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)text[i % strlen(text)];
	stream(out, sender_block(out, (uint8_t)number, data, sizeof(data), false, by_sum));
}

static void send_byte(uint8_t byte)
{
	stream(&byte, 1);
}

/* EOT, NAK, EOT: what follows hangs on the verdict. */
static void end_file(void)
{
	send_byte(EOT);
	pass(300);
	SENT("\x15");
	send_byte(EOT);
	pass(300);
	SENT("");
}

static const char *last_event(void)
{
	const struct unit *u = rig.n_units ? rig.units[rig.n_units - 1] : NULL;
	return u && u->events ? u->events->detail : "";
}
