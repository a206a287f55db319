/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plays a capture (drivers/README.md) in place of an instrument, once and in its own time: `wait` lines pass,
 * what the driver sends is compared with the `>` lines, and behind an indication `kept` waits for its
 * confirmation. Differences are counted, the first one is told; the play goes on. `refused` cannot be
 * played: nobody can make the store refuse.
 *
 * A capture that cannot be read is told once; it does not keep the other instruments from starting.
 */
#include "capfile.h"
#include "clock.h"
#include "log.h"
#include "transport.h"
#include "util.h"

#include <errno.h>

#define ANSWER_US (10 * CLOCK_SECOND_US) /* so long an answer or a confirmation is waited for */
#define ACCURACY_US 1000

struct replay {
	struct transport base;
	const struct config_device *device;
	struct capfile *capture;
	sd_event_source *turn;
	const char *state;
	bool up;
	bool waiting; /* for what the step at hand needs */
	int64_t deadline_us;
	struct capfile_step step;
	unsigned indications, confirmed, kept;
	unsigned differences;
	char why[64];		  /* it ended */
	struct capfile_sent sent; /* by the driver, not yet compared */
};

static void turn_in(struct replay *r, int64_t us)
{
	int rc = sd_event_source_set_time_relative(r->turn, (uint64_t)MAX(us, INT64_C(0)));
	if (rc >= 0)
		rc = sd_event_source_set_enabled(r->turn, SD_EVENT_ONESHOT);
	if (rc < 0)
		log_error(r->device->id, "timer: %s", strerror(-rc));
}

static void end(struct replay *r, const char *state, const char *why)
{
	r->state = state;
	sd_event_source_set_enabled(r->turn, SD_EVENT_OFF);
	if (!r->up)
		return;
	r->up = false;
	r->base.events.down(r->base.events.arg, why);
}

static void differs(struct replay *r, const char *what)
{
	if (!r->differences++)
		log_warn(r->device->id, "%s:%u: %s; further differences are only counted",
			r->device->address, r->capture->line, what);
}

/* the steps: true when they are done, false while something must come first */

static bool deliver(struct replay *r)
{
	const struct transport_events *e = &r->base.events;
	const struct capfile_step *s = &r->step;
	if (r->sent.n)
		differs(r, "the driver had sent more than the capture expects before this line");
	r->sent.n = 0;
	r->indications += s->indication;
	if (r->capture->driver->bus == VG_BUS_STREAM)
		e->stream(e->arg, s->bytes, s->len);
	else
		e->value(e->arg, s->channel, s->bytes, s->len, s->indication);
	return true;
}

static bool compare(struct replay *r, bool late)
{
	int same = capfile_sent_take(&r->sent, &r->step);
	if (same == 0 && !late)
		return false;
	if (same <= 0) {
		differs(r,
			same ? "the driver sent something else" : "the driver did not send this");
		r->sent.n = 0;
	}
	return true;
}

/* Units without an indication have their verdicts as well, but nobody tells a transport. */
static bool settle(struct replay *r, bool late)
{
	unsigned needed = MIN(r->kept + 1, r->indications);
	if (r->confirmed < needed && !late)
		return false;
	if (r->confirmed < needed)
		differs(r, "the indication was not confirmed");
	r->kept++;
	return true;
}

static bool play(struct replay *r, bool late)
{
	switch (r->step.word) {
	case CAPFILE_HEARD:
		return deliver(r);
	case CAPFILE_SENT:
		return compare(r, late);
	case CAPFILE_KEPT:
		return settle(r, late);
	case CAPFILE_HUNG_UP:
		r->base.events.hung_up(r->base.events.arg);
		break;
	case CAPFILE_DENIED:
		r->base.events.denied(r->base.events.arg, (unsigned)r->step.channel, r->step.code);
		break;
	case CAPFILE_REFUSED:
	case CAPFILE_WAIT:
		break;
	}
	return true;
}

static void played(struct replay *r)
{
	if (r->sent.n)
		differs(r, "the driver had sent more than the capture expects at its end");
	snprintf(r->why, sizeof(r->why), "played to its end, %u differences", r->differences);
	log_info(r->device->id, "%s: %s", r->device->address, r->why);
	end(r, "done", r->why);
}

/* Takes the next step; false: there is none, or it is wrong. */
static bool take_step(struct replay *r)
{
	char error[CAPFILE_ERROR_MAX];
	int rc = capfile_next(r->capture, &r->step, error);
	r->deadline_us = clock_boot_us() + ANSWER_US;
	if (rc > 0)
		return true;
	if (rc == 0) {
		played(r);
		return false;
	}
	log_error(r->device->id, "%s", error);
	end(r, "error", "the capture is wrong");
	return false;
}

/* One step a turn: the other instruments want theirs, too. */
static int on_turn(sd_event_source *source, uint64_t usec, void *arg)
{
	struct replay *r = arg;
	(void)source, (void)usec;
	if (!r->up) {
		char uid[TRANSPORT_UID_MAX + 1];
		snprintf(uid, sizeof(uid), "replay:%s", r->device->id);
		r->up = true;
		turn_in(r, 0);
		r->base.events.up(r->base.events.arg, uid);
		return 0;
	}
	if (!r->waiting && !take_step(r))
		return 0;
	int64_t left_us = r->deadline_us - clock_boot_us();
	r->waiting = !play(r, left_us <= 0);
	if (!r->up) /* it was closed from inside */
		return 0;
	bool pause = r->step.word == CAPFILE_WAIT;
	turn_in(r, r->waiting ? left_us : pause ? r->step.wait_ms * INT64_C(1000) : 0);
	return 0;
}

/* the owner's calls */

static int replay_send(struct transport *t, unsigned channel, const void *bytes, size_t len)
{
	struct replay *r = (struct replay *)t;
	if (!r->up)
		return -ENOTCONN;
	if (!capfile_sent_add(&r->sent, channel, bytes, len))
		return -ENOBUFS;
	if (r->waiting)
		turn_in(r, 0);
	return 0;
}

static void replay_confirm(struct transport *t)
{
	struct replay *r = (struct replay *)t;
	r->confirmed++;
	if (r->up && r->waiting)
		turn_in(r, 0);
}

static void replay_close(struct transport *t, const char *why)
{
	struct replay *r = (struct replay *)t;
	if (r->up)
		end(r, "done", why);
}

static void replay_free(struct transport *t)
{
	struct replay *r = (struct replay *)t;
	sd_event_source_disable_unref(r->turn);
	capfile_free(r->capture);
	free(r);
}

static const char *replay_state(const struct transport *t)
{
	return ((const struct replay *)t)->state;
}

static const struct transport_ops replay_ops = {.send = replay_send,
	.confirm = replay_confirm,
	.close = replay_close,
	.free = replay_free,
	.state = replay_state};

/* Its options are those of this configuration; it was recorded with its own. */
static void compare_options(const struct replay *r)
{
	const struct capfile *c = r->capture;
	for (unsigned i = 0; i < c->n_options; i++) {
		const struct capfile_option *o = &c->options[i];
		const char *ours = config_option(r->device, o->name);
		if (!ours || !streq(ours, o->value))
			log_warn(r->device->id, "%s was recorded with option %s: %s",
				r->device->address, o->name, o->value);
	}
}

static const char *open_capture(struct replay *r, const struct vg_driver *driver)
{
	char error[CAPFILE_ERROR_MAX];
	r->capture = capfile_open(r->device->address, error);
	if (!r->capture) {
		log_error(r->device->id, "%s", error);
		return "error";
	}
	if (!streq(r->capture->device, driver->name)) {
		log_error(r->device->id, "%s is of driver %s", r->device->address,
			r->capture->device);
		return "error";
	}
	capfile_driver(r->capture, driver);
	compare_options(r);
	return "playing";
}

int replay_new(sd_event *loop, const struct config_device *device, const struct vg_driver *driver,
	const struct transport_events *events, struct transport **ret)
{
	struct replay *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->base.ops = &replay_ops;
	r->base.events = *events;
	r->device = device;
	r->state = open_capture(r, driver);
	int rc = sd_event_add_time_relative(
		loop, &r->turn, CLOCK_BOOTTIME, 0, ACCURACY_US, on_turn, r);
	if (rc >= 0 && streq(r->state, "error"))
		rc = sd_event_source_set_enabled(r->turn, SD_EVENT_OFF);
	if (rc < 0) {
		replay_free(&r->base);
		return rc;
	}
	*ret = &r->base;
	return 0;
}
