/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate decode DRIVER CHANNEL HEX [HEX...]    runs a driver on bytes, prints JSON
 * vitalgate decode --capture FILE                 the same for a capture, replies checked
 * vitalgate decode                                lists drivers and channels
 *
 * The driver runs in the daemon's own session code, so what is printed is what would be stored. A capture has
 * a clock of its own, which only its pauses move.
 */
#include "capfile.h"
#include "cli.h"
#include "driver.h"
#include "names.h"
#include "session.h"

#include <errno.h>
#include <sha2.h>

#define FLUSH_US (5 * CLOCK_SECOND_US) /* as the daemon does */
#define NEVER INT64_MAX
#define PROFILES_OWN "/etc/vitalgate/profiles"

struct tables {
	struct codes *codes;
	struct drivers *drivers;
};

struct decode {
	struct vg_session *session;
	struct json readings, events, studies;
	unsigned n_studies;
	uint32_t counts[VG_RESULTS];
	const struct capfile *capture; /* NULL: bytes from the command line */
	vg_ticket waiting[64];	       /* units without verdict, oldest first */
	unsigned n_waiting;
	struct vg_now now;
	int64_t timer_us, gap_us, flush_us; /* boot time at which they run out */
	struct capfile_sent sent;
};

static void put_reading(struct json *j, const struct reading *r)
{
	char time[20];
	json_object_begin(j, NULL);
	json_str(j, "kind", r->kind);
	json_str(j, "device_time", r->has_taken ? clock_civil_text(time, &r->taken) : NULL);
	if (r->user >= 0)
		json_int(j, "user", r->user);
	else
		json_none(j, "user");
	if (r->seq >= 0)
		json_int(j, "seq", r->seq);
	else
		json_none(j, "seq");
	reading_json_body(r, j, false);
	if (r->status == VG_CORRECTED)
		json_str(j, "status", "corrected");
	if (r->has_patient)
		json_bool(j, "patient", true);
	json_object_end(j);
}

static void put_study(struct decode *d, const struct bytes *study)
{
	SHA2_CTX c;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256Init(&c);
	SHA256Update(&c, study->at, study->len);
	SHA256Final(digest, &c);
	json_object_begin(&d->studies, NULL);
	json_int(&d->studies, "bytes", (int64_t)study->len);
	json_hex(&d->studies, "sha256", digest, sizeof(digest));
	json_object_end(&d->studies);
	d->n_studies++;
}

static void on_submit(void *arg, struct unit *u)
{
	struct decode *d = arg;
	for (const struct reading *r = u->readings; r; r = r->next)
		put_reading(&d->readings, r);
	for (const struct happening *e = u->events; e; e = e->next) {
		char time[20];
		json_object_begin(&d->events, NULL);
		json_str(&d->events, "type", e->type);
		if (e->has_civil)
			json_str(&d->events, "device_time", clock_civil_text(time, &e->civil));
		if (streq(e->type, "battery"))
			json_int(&d->events, "value", e->value);
		if (e->detail[0])
			json_str(&d->events, "detail", e->detail);
		json_object_end(&d->events);
	}
	if (u->study.len)
		put_study(d, &u->study);
	for (unsigned i = 0; i < VG_RESULTS; i++)
		d->counts[i] += u->counts[i];
	vg_ticket ticket = u->ticket;
	unit_free(u);
	if (ticket && d->n_waiting < ELEMENTS(d->waiting))
		d->waiting[d->n_waiting++] = ticket;
}

static void on_send(void *arg, unsigned channel, const void *bytes, size_t len)
{
	capfile_sent_add(&((struct decode *)arg)->sent, channel, bytes, len);
}

static void on_confirm(void *arg)
{
	(void)arg;
}

static int64_t in_ms(const struct decode *d, unsigned ms)
{
	return ms ? d->now.boot_us + ms * INT64_C(1000) : NEVER;
}

static void on_timer(void *arg, unsigned ms)
{
	struct decode *d = arg;
	d->timer_us = in_ms(d, ms);
}

static void on_gap(void *arg, unsigned ms)
{
	struct decode *d = arg;
	d->gap_us = in_ms(d, ms);
}

static const char *on_option(void *arg, const char *name)
{
	struct decode *d = arg;
	return d->capture ? capfile_option(d->capture, name) : NULL;
}

static const uint8_t *on_mark(void *arg, const char *key, size_t *ret_len)
{
	const struct capfile *c = ((struct decode *)arg)->capture;
	for (unsigned i = 0; c && i < c->n_marks; i++)
		if (streq(c->marks[i].key, key)) {
			*ret_len = c->marks[i].len;
			return c->marks[i].value;
		}
	return NULL;
}

static void on_done(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "vitalgate: the driver ended the session: %s\n", why);
}

/* The oldest unit that has none yet gets its verdict; false: there is none. */
static bool verdict(struct decode *d, int result)
{
	if (!d->n_waiting)
		return false;
	vg_ticket ticket = d->waiting[0];
	memmove(d->waiting, d->waiting + 1, --d->n_waiting * sizeof(d->waiting[0]));
	session_verdict(d->session, ticket, result, &d->now);
	return true;
}

/* What nobody decides is kept at once. */
static void keep_all(struct decode *d)
{
	while (!(d->capture && d->capture->by_hand) && verdict(d, 0))
		;
}

static void list_drivers(const struct tables *t, FILE *to)
{
	const struct vg_driver *d;
	for (size_t i = 0; (d = drivers_at(t->drivers, i)); i++) {
		fprintf(to, "%-10s %s / %s%s\n           channels:", d->name, d->title, d->title_zh,
			d->experimental ? " (experimental)" : "");
		if (!d->n_channels)
			fputs(" 0", to);
		for (size_t k = 0; k < d->n_channels; k++)
			fprintf(to, " %s", d->channels[k].name);
		fputc('\n', to);
	}
}

static void print(struct decode *d)
{
	struct json j = {0};
	json_array_end(&d->readings);
	json_array_end(&d->events);
	json_array_end(&d->studies);
	json_object_begin(&j, NULL);
	json_raw(&j, "readings", json_text(&d->readings));
	json_raw(&j, "events", json_text(&d->events));
	if (d->n_studies)
		json_raw(&j, "studies", json_text(&d->studies));
	json_object_begin(&j, "results");
	for (enum vg_result r = VG_READING; r < VG_RESULTS; r++)
		json_int(&j, session_result_name(r), d->counts[r]);
	json_object_end(&j);
	json_object_end(&j);
	puts(json_text(&j));
	json_free(&j);
}

static struct decode *open_session(const struct vg_driver *driver, const struct tables *t,
	const struct capfile *capture, struct session_ops *ops)
{
	struct decode *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	*ops = (struct session_ops){.send = on_send,
		.confirm = on_confirm,
		.timer = on_timer,
		.gap = on_gap,
		.option = on_option,
		.mark = on_mark,
		.done = on_done,
		.submit = on_submit,
		.arg = d};
	d->capture = capture;
	json_array_begin(&d->readings, NULL);
	json_array_begin(&d->events, NULL);
	json_array_begin(&d->studies, NULL);
	clock_now(&d->now);
	if (capture && clock_civil_utc(&capture->clock, &d->now.utc_us))
		d->now.civil = clock_civil(d->now.utc_us);
	d->timer_us = d->gap_us = NEVER;
	d->flush_us = d->now.boot_us + FLUSH_US;
	d->session = session_new(&(struct session_start){.driver = driver,
					 .codes = t->codes,
					 .number = 1,
					 .uid = "decode",
					 .excerpt = !capture || !capture->live,
					 .ops = ops},
		&d->now);
	return d;
}

static void close_session(struct decode *d)
{
	session_free(d->session);
	json_free(&d->readings);
	json_free(&d->events);
	json_free(&d->studies);
	free(d);
}

/* A stream goes in byte by byte: an instrument waits for its answer before it sends the next frame, so
 * the verdict on a frame comes before the byte behind it. */
static void feed(struct decode *d, const struct vg_driver *driver, const struct capfile_step *step)
{
	if (driver->bus == VG_BUS_FILES && !driver->frame(NULL, step->bytes, step->len).length)
		return; /* it would be left where it is */
	if (driver->bus != VG_BUS_STREAM)
		session_value(d->session, step->channel, step->bytes, step->len, step->indication,
			&d->now);
	for (size_t i = 0; driver->bus == VG_BUS_STREAM && i < step->len; i++) {
		session_stream(d->session, step->bytes + i, 1, &d->now);
		keep_all(d);
	}
	keep_all(d);
}

static void finish(struct decode *d)
{
	session_end(d->session, &d->now);
	print(d);
}

static int decode_bytes(const struct tables *t, int argc, char **argv)
{
	const struct vg_driver *driver = drivers_find(t->drivers, argv[0]);
	struct capfile_step step = {.channel = driver ? capfile_channel(driver, argv[1]) : -1};
	static uint8_t bytes[CAPFILE_BYTES_MAX];
	struct session_ops ops;
	if (!driver || step.channel < 0) {
		fprintf(stderr, "vitalgate: no driver \"%s\" with a channel \"%s\"; there are:\n",
			argv[0], argv[1]);
		list_drivers(t, stderr);
		return 2;
	}
	struct decode *d = open_session(driver, t, NULL, &ops);
	if (!d || !d->session)
		return 1;
	for (int i = 2; i < argc; i++) {
		ssize_t n = capfile_hex(argv[i], bytes, sizeof(bytes));
		if (n < 0) {
			fprintf(stderr, "vitalgate: argument %d is not hexadecimal bytes\n", i + 1);
			close_session(d);
			return 2;
		}
		step.bytes = bytes;
		step.len = (size_t)n;
		feed(d, driver, &step);
	}
	finish(d);
	close_session(d);
	return 0;
}

/* captures */

static int wrong(const struct capfile *c, const char *what)
{
	fprintf(stderr, "vitalgate: %s:%u: %s\n", c->path, c->line, what);
	return 1;
}

/* The driver must have sent exactly this, to this channel. */
static int check_sent(struct decode *d, const struct capfile_step *step)
{
	uint8_t got[32];
	char text[2 * sizeof(got) + 1];
	size_t have = MIN(d->sent.n, sizeof(got));
	if (capfile_sent_take(&d->sent, step) > 0)
		return 0;
	for (size_t i = 0; i < have; i++)
		got[i] = d->sent.at[i].byte;
	fprintf(stderr, "vitalgate: %s:%u: the driver answered \"%s\" instead\n", d->capture->path,
		d->capture->line, hex(text, got, have));
	return 1;
}

static void advance(struct decode *d, int64_t boot_us)
{
	d->now.utc_us += boot_us - d->now.boot_us;
	d->now.boot_us = boot_us;
	d->now.civil = clock_civil(d->now.utc_us);
}

/* Time passes; what runs out on the way does so in its order. */
static void pass(struct decode *d, unsigned ms)
{
	int64_t end_us = d->now.boot_us + ms * INT64_C(1000);
	for (;;) {
		int64_t next_us = MIN(MIN(d->gap_us, d->timer_us), d->flush_us);
		if (next_us > end_us)
			break;
		advance(d, next_us);
		if (next_us == d->gap_us) {
			d->gap_us = NEVER;
			session_gap(d->session, &d->now);
		} else if (next_us == d->timer_us) {
			d->timer_us = NEVER;
			session_expired(d->session, &d->now);
		} else {
			d->flush_us += FLUSH_US;
			session_flush(d->session, &d->now);
		}
		keep_all(d);
	}
	advance(d, end_us);
}

static int play_step(
	struct decode *d, const struct vg_driver *driver, const struct capfile_step *step)
{
	/* a reply that nobody expected is as wrong as one that is missing */
	if (step->word != CAPFILE_SENT && d->sent.n)
		return wrong(d->capture,
			"the driver had sent more than the capture expects before this line");
	switch (step->word) {
	case CAPFILE_HEARD:
		feed(d, driver, step);
		return 0;
	case CAPFILE_SENT:
		return check_sent(d, step);
	case CAPFILE_KEPT:
	case CAPFILE_REFUSED:
		verdict(d, step->word == CAPFILE_KEPT ? 0 : -ENOSPC);
		return 0;
	case CAPFILE_HUNG_UP:
		session_hung_up(d->session, &d->now);
		keep_all(d);
		return 0;
	case CAPFILE_DENIED:
		session_denied(d->session, (unsigned)step->channel, step->code, &d->now);
		keep_all(d);
		return 0;
	case CAPFILE_WAIT:
		pass(d, step->wait_ms);
	}
	return 0;
}

static int play(struct decode *d, struct capfile *c, const struct vg_driver *driver)
{
	struct capfile_step step;
	char error[CAPFILE_ERROR_MAX];
	int rc;
	while ((rc = capfile_next(c, &step, error)) > 0)
		if (play_step(d, driver, &step))
			return 1;
	if (rc < 0) {
		fprintf(stderr, "vitalgate: %s\n", error);
		return 1;
	}
	if (d->sent.n)
		return wrong(c, "the driver had sent more than the capture expects at its end");
	finish(d);
	return 0;
}

static int decode_capture(const struct tables *t, const char *path)
{
	char error[CAPFILE_ERROR_MAX];
	_cleanup_(capfile_freep) struct capfile *c = capfile_open(path, error);
	if (!c) {
		fprintf(stderr, "vitalgate: %s\n", error);
		return 1;
	}
	const struct vg_driver *driver = drivers_find(t->drivers, c->device);
	struct session_ops ops;
	if (!driver)
		return wrong(c, "no such driver");
	capfile_driver(c, driver);
	struct decode *d = open_session(driver, t, c, &ops);
	int rc = d && d->session ? play(d, c, driver) : 1;
	if (d)
		close_session(d);
	return rc;
}

static bool load_tables(const char *place, struct tables *ret, char *error, size_t size)
{
	ret->codes = codes_load(place, error, size);
	ret->drivers =
		ret->codes ? drivers_load(place, PROFILES_OWN, ret->codes, error, size) : NULL;
	if (ret->drivers)
		return true;
	codes_free(TAKE(ret->codes));
	return false;
}

static bool find_tables(const struct cli *cli, struct tables *ret)
{
	char error[512];
	const char *place;
	for (unsigned i = 0; (place = names_tables(cli, i)); i++)
		if (load_tables(place, ret, error, sizeof(error)))
			return true;
	fprintf(stderr, "vitalgate: %s; give --tables DIR\n", error);
	return false;
}

int decode_main(const struct cli *cli, int argc, char **argv)
{
	struct tables t;
	bool capture = argc && streq(argv[0], "--capture");
	if (argc && argc < (capture ? 2 : 3)) {
		fputs("usage: vitalgate decode DRIVER CHANNEL HEX [HEX...]\n"
		      "       vitalgate decode --capture FILE\n",
			stderr);
		return 2;
	}
	if (!find_tables(cli, &t))
		return 1;
	int rc = 0;
	if (!argc)
		list_drivers(&t, stdout);
	else
		rc = capture ? decode_capture(&t, argv[1]) : decode_bytes(&t, argc, argv);
	drivers_free(t.drivers);
	codes_free(t.codes);
	return rc;
}
