/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture.h"

#include "util.h"

#include <stdarg.h>

#define PAUSE_MS 10 /* shorter pauses are not written; they add up */
/* Timers of the daemon come up to 0.1 s late; the pause of a replay must not end before them. */
#define LATE_MS 150
#define LINE_MAX_BYTES 256 /* of a line without bytes */
#define END_BYTES 16	   /* always free, for the end */
#define PIECE_BYTES 262144 /* of the text in one answer */
#define FORGOTTEN_US (20 * CLOCK_SECOND_US)

struct capture {
	const struct vg_driver *driver;
	unsigned n_options;
	struct config_option options[CONFIG_OPTIONS_MAX];
	int64_t until_us, asked_us; /* boot time */
	int64_t at_us;		    /* pauses are written up to here */
	const char *why;	    /* it is over */
	bool begun;		    /* the head is written */
	bool heard;		    /* and something that the instrument said: it may be shown */
	bool verdicts;		    /* some were given */
	const char *channel;	    /* said last */
	size_t noise;	  /* bytes in the last line, which is one of noise and still open */
	vg_ticket before; /* units up to this one come from what was not recorded */
	char *text;
	size_t len, size;
};

/* lines */

static void finish(struct capture *c, const char *why)
{
	if (c->why)
		return;
	c->why = why;
	if (c->noise)
		c->text[c->len++] = '\n';
	/* whoever reads it must not give verdicts by itself */
	if (c->begun && !c->verdicts && c->len)
		c->len += (size_t)sprintf(c->text + c->len, "open\n");
	c->noise = 0;
}

static bool room(struct capture *c, size_t len)
{
	size_t need = c->len + len + END_BYTES;
	if (c->why)
		return false;
	if (need > CAPTURE_BYTES_MAX) {
		finish(c, "space");
		return false;
	}
	if (need <= c->size)
		return true;
	size_t size = MAX(need, MAX(2 * c->size, (size_t)4096));
	char *more = realloc(c->text, size);
	if (!more) {
		finish(c, "memory");
		return false;
	}
	c->text = more;
	c->size = size;
	return true;
}

static void put(struct capture *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct capture *c, const char *format, ...)
{
	va_list args;
	if (!room(c, LINE_MAX_BYTES))
		return;
	va_start(args, format);
	c->len += (size_t)vsnprintf(c->text + c->len, LINE_MAX_BYTES, format, args);
	va_end(args);
}

static void put_hex(
	struct capture *c, const char *before, const uint8_t *bytes, size_t len, const char *behind)
{
	if (!room(c, strlen(before) + 2 * len + strlen(behind) + 1))
		return;
	c->len += (size_t)sprintf(c->text + c->len, "%s", before);
	hex(c->text + c->len, bytes, len);
	c->len += 2 * len;
	c->len += (size_t)sprintf(c->text + c->len, "%s", behind);
}

/* `marks`: only of a session from its beginning. */
static void put_head(struct capture *c, bool live, const struct mark *marks, size_t n_marks,
	const struct vg_now *now)
{
	char clock[20];
	clock_civil_text(clock, &now->civil);
	put(c, "# captured by vitalgate " VITALGATE_VERSION " from %s/%u, %.10s; %s\n",
		c->driver->name, c->driver->version, clock,
		c->driver->scrub ? "scrubbed" : "its protocol names nobody");
	if (!live)
		put(c, "# begins in the middle of a session\n");
	put(c, "clock %s\n", clock);
	for (unsigned i = 0; i < c->n_options; i++)
		put(c, "option %s %s\n", c->options[i].name, c->options[i].value);
	for (size_t i = 0; i < n_marks && marks[i].key[0]; i++) {
		put(c, "mark %s ", marks[i].key);
		put_hex(c, "", marks[i].value, marks[i].len, "\n");
	}
	if (live)
		put(c, "live\n");
	put(c, "device %s\n", c->driver->name);
	c->begun = true;
	c->at_us = now->boot_us;
}

/* The time since what was written last, `least_ms` at least and `more_ms` longer. */
static void put_pause(
	struct capture *c, const struct vg_now *now, unsigned least_ms, unsigned more_ms)
{
	int64_t passed_us = MAX(now->boot_us - c->at_us, INT64_C(0));
	unsigned ms = (unsigned)((passed_us + 999) / 1000);
	if (ms < PAUSE_MS && !least_ms && !more_ms)
		return;
	c->at_us += ms * INT64_C(1000);
	put(c, "wait %u\n", MAX(ms, least_ms) + more_ms);
}

static void put_channel(struct capture *c, int channel)
{
	if (!c->driver->n_channels)
		return;
	bool known = channel >= 0 && (size_t)channel < c->driver->n_channels;
	const char *name = known ? c->driver->channels[channel].name : "-";
	if (!c->channel || !streq(c->channel, name))
		put(c, "channel %s\n", name);
	c->channel = name;
}

/* what may name a person */

/* Nobody knows what stands where: control characters stay, they may be structure. */
static void scrub_unknown(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] >= 0x20 && bytes[i] != 0x7f)
			bytes[i] = 'x';
}

static void put_scrubbed(
	struct capture *c, const char *before, const struct session_trace *t, const char *behind)
{
	const struct vg_driver *d = c->driver;
	_cleanup_(freep) uint8_t *copy = malloc(t->len + 1);
	if (!copy) {
		finish(c, "memory");
		return;
	}
	if (t->len)
		memcpy(copy, t->bytes, t->len);
	if (d->scrub && (t->what == TRACE_NOISE || t->channel < 0))
		scrub_unknown(copy, t->len);
	else if (d->scrub)
		d->scrub(d, (unsigned)t->channel, copy, t->len);
	put_hex(c, before, copy, t->len, behind);
	c->heard = true;
}

/* A run of noise is one line, however it is cut up. The pause before it is written behind it: when noise came
 * does not matter, and what is given up after a silence was there before the silence. */
static void put_noise(struct capture *c, const struct session_trace *t)
{
	bool goes_on = c->noise && c->noise + t->len <= VG_FRAME_MAX;
	if (c->noise && !goes_on)
		put(c, "\n");
	put_scrubbed(c, goes_on ? "" : "< ", t, "");
	c->noise = t->len + (goes_on ? c->noise : 0);
}

static void put_heard(struct capture *c, const struct session_trace *t)
{
	put_channel(c, t->channel);
	put_scrubbed(c, t->what == TRACE_INDICATED ? "<! " : "< ", t, "\n");
}

/* the session */

static bool late(struct capture *c, const struct vg_now *now)
{
	if (now->boot_us >= c->until_us)
		finish(c, "time");
	return c->why;
}

static void put_step(struct capture *c, const struct session_trace *t)
{
	switch (t->what) {
	case TRACE_HEARD:
	case TRACE_INDICATED:
		put_heard(c, t);
		break;
	case TRACE_SENT:
		put_channel(c, t->channel);
		put_hex(c, "> ", t->bytes, t->len, "\n");
		break;
	case TRACE_KEPT:
	case TRACE_REFUSED:
		put(c, t->what == TRACE_KEPT ? "kept\n" : "refused\n");
		c->verdicts = true;
		break;
	case TRACE_HUNG_UP:
		put(c, "hung_up\n");
		break;
	case TRACE_DENIED:
		put_channel(c, t->channel);
		put_hex(c, "denied ", t->bytes, t->len, "\n");
		break;
	case TRACE_NOISE:
	case TRACE_GAP:
	case TRACE_EXPIRED:
		break;
	}
}

void capture_trace(struct capture *c, const struct session_trace *t)
{
	bool heard = t->what == TRACE_HEARD || t->what == TRACE_INDICATED;
	bool verdict = t->what == TRACE_KEPT || t->what == TRACE_REFUSED;
	if (late(c, t->now) || (!c->begun && !heard))
		return;
	if (!c->begun) {
		put_head(c, false, NULL, 0, t->now);
		c->before = t->ticket;
	}
	if (verdict && t->ticket <= c->before)
		return;
	if (t->what == TRACE_NOISE) {
		put_noise(c, t);
		return;
	}
	if (c->noise)
		put(c, "\n");
	c->noise = 0;
	put_pause(c, t->now, t->what == TRACE_GAP ? c->driver->frame_gap_ms : 0,
		t->what == TRACE_GAP || t->what == TRACE_EXPIRED ? LATE_MS : 0);
	put_step(c, t);
}

void capture_session_begins(
	struct capture *c, const struct mark *marks, size_t n_marks, const struct vg_now *now)
{
	if (!late(c, now))
		put_head(c, true, marks, n_marks, now);
}

void capture_session_ends(struct capture *c, const struct vg_now *now)
{
	if (late(c, now))
		return;
	if (c->heard) {
		if (c->noise)
			put(c, "\n");
		c->noise = 0;
		put_pause(c, now, 0, 0); /* so long it lasted: what is summed up needs to know */
		finish(c, "session");
		return;
	}
	c->begun = false; /* the next one may say more */
	c->channel = NULL;
	c->len = 0;
}

/* life */

struct capture *capture_new(const struct vg_driver *driver, const struct config_device *device,
	unsigned seconds, const struct vg_now *now)
{
	struct capture *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->driver = driver;
	c->n_options = device->n_options;
	memcpy(c->options, device->options, sizeof(c->options));
	c->until_us = now->boot_us + seconds * CLOCK_SECOND_US;
	c->asked_us = now->boot_us;
	return c;
}

void capture_free(struct capture *c)
{
	if (c)
		free(c->text);
	free(c);
}

void capture_stop(struct capture *c, const struct vg_now *now)
{
	(void)late(c, now);
	finish(c, "stopped");
}

const char *capture_state(struct capture *c, const struct vg_now *now)
{
	return late(c, now) ? "over" : c->heard ? "recording" : "waiting";
}

const char *capture_why(const struct capture *c)
{
	return c->why ? c->why : "";
}

const char *capture_text(
	struct capture *c, size_t from, size_t *ret_len, size_t *ret_next, const struct vg_now *now)
{
	(void)late(c, now);
	c->asked_us = now->boot_us;
	*ret_len = 0;
	*ret_next = from;
	const char *last = c->heard && c->len ? memrchr(c->text, '\n', c->len) : NULL;
	size_t whole = last ? (size_t)(last - c->text) + 1 : 0;
	if (from >= whole)
		return "";
	size_t n = MIN(whole - from, (size_t)PIECE_BYTES);
	const char *end = memrchr(c->text + from, '\n', n);
	if (!end)
		end = memchr(c->text + from, '\n', whole - from);
	*ret_len = (size_t)(end - (c->text + from)) + 1;
	*ret_next = from + *ret_len;
	return c->text + from;
}

bool capture_forgotten(const struct capture *c, const struct vg_now *now)
{
	return now->boot_us - c->asked_us > FORGOTTEN_US;
}
