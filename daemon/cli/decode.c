/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate decode DRIVER CHANNEL HEX [HEX...]    runs a driver on bytes, prints JSON
 * vitalgate decode --capture FILE                 the same for a capture, replies checked
 * vitalgate decode                                lists drivers and channels
 *
 * The driver runs in the daemon's own session code, so what is printed is what would be stored.
 */
#include "cli.h"
#include "driver.h"
#include "session.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define LINE_MAX_BYTES (2 * VG_FRAME_MAX + 16)
#define REPLIES_MAX 65536
#define PROFILES_OWN "/etc/vitalgate/profiles"

struct tables {
	struct codes *codes;
	struct drivers *drivers;
};

struct decode {
	struct vg_session *session;
	struct json readings, events;
	uint32_t counts[VG_RESULTS];
	bool by_hand;	       /* the capture gives every verdict itself */
	vg_ticket waiting[64]; /* units without verdict, oldest first */
	unsigned n_waiting;
	unsigned timer_ms, gap_ms;
	const char *option_name, *option_value;
	uint8_t replies[REPLIES_MAX];
	size_t n_replies, checked;
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
	for (unsigned i = 0; i < VG_RESULTS; i++)
		d->counts[i] += u->counts[i];
	vg_ticket ticket = u->ticket;
	unit_free(u);
	if (d->n_waiting < ELEMENTS(d->waiting))
		d->waiting[d->n_waiting++] = ticket;
}

static void on_send(void *arg, unsigned channel, const void *bytes, size_t len)
{
	struct decode *d = arg;
	(void)channel;
	if (d->n_replies + len <= sizeof(d->replies)) {
		memcpy(d->replies + d->n_replies, bytes, len);
		d->n_replies += len;
	}
}

static void on_confirm(void *arg)
{
	(void)arg;
}

static void on_timer(void *arg, unsigned ms)
{
	((struct decode *)arg)->timer_ms = ms;
}

static void on_gap(void *arg, unsigned ms)
{
	((struct decode *)arg)->gap_ms = ms;
}

static const char *on_option(void *arg, const char *name)
{
	struct decode *d = arg;
	return d->option_name && streq(d->option_name, name) ? d->option_value : NULL;
}

static void on_done(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "vitalgate: the driver ended the session: %s\n", why);
}

static void verdicts(struct decode *d, int result)
{
	struct vg_now now;
	clock_now(&now);
	unsigned n = d->n_waiting;
	d->n_waiting = 0;
	for (unsigned i = 0; i < n; i++)
		session_verdict(d->session, d->waiting[i], result, &now);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'	    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

/* Hex digits with blanks, colons or dashes between bytes; bytes or -EINVAL. */
static ssize_t parse_hex(const char *text, uint8_t *out, size_t size)
{
	size_t n = 0;
	int high = -1;
	for (; *text; text++) {
		int v = hex_digit(*text);
		if (v < 0 && strchr(" \t\r\n:-", *text))
			continue;
		if (v < 0 || n >= size)
			return -EINVAL;
		if (high >= 0)
			out[n++] = (uint8_t)(high << 4 | v);
		high = high >= 0 ? -1 : v;
	}
	return high >= 0 ? -EINVAL : (ssize_t)n;
}

static int channel_of(const struct vg_driver *driver, const char *name)
{
	if (driver->bus != VG_BUS_GATT)
		return streq(name, "0") ? 0 : -EINVAL;
	for (size_t i = 0; i < driver->n_channels; i++)
		if (strcasecmp(driver->channels[i].name, name) == 0)
			return (int)i;
	return -EINVAL;
}

static void list_drivers(const struct tables *t, FILE *to)
{
	const struct vg_driver *d;
	for (size_t i = 0; (d = drivers_at(t->drivers, i)); i++) {
		fprintf(to, "%-10s %s / %s%s\n           channels:", d->name, d->title, d->title_zh,
			d->experimental ? " (experimental)" : "");
		if (d->bus != VG_BUS_GATT)
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
	json_object_begin(&j, NULL);
	json_raw(&j, "readings", json_text(&d->readings));
	json_raw(&j, "events", json_text(&d->events));
	json_object_begin(&j, "results");
	for (enum vg_result r = VG_READING; r < VG_RESULTS; r++)
		json_int(&j, session_result_name(r), d->counts[r]);
	json_object_end(&j);
	json_object_end(&j);
	puts(json_text(&j));
	json_free(&j);
}

struct how {
	const struct vg_driver *driver;
	const struct codes *codes;
	bool live; /* the bytes are a session from its beginning, not an excerpt */
	bool by_hand;
	char option_name[24], option_value[64];
};

static struct decode *open_session(const struct how *how, struct session_ops *ops)
{
	struct decode *d = calloc(1, sizeof(*d));
	struct vg_now now;
	if (!d)
		return NULL;
	*ops = (struct session_ops){.send = on_send,
		.confirm = on_confirm,
		.timer = on_timer,
		.gap = on_gap,
		.option = on_option,
		.done = on_done,
		.submit = on_submit,
		.arg = d};
	d->by_hand = how->by_hand;
	if (how->option_name[0]) {
		d->option_name = how->option_name;
		d->option_value = how->option_value;
	}
	json_array_begin(&d->readings, NULL);
	json_array_begin(&d->events, NULL);
	clock_now(&now);
	d->session = session_new(&(struct session_start){.driver = how->driver,
					 .codes = how->codes,
					 .number = 1,
					 .uid = "decode",
					 .excerpt = !how->live,
					 .ops = ops},
		&now);
	return d;
}

static void close_session(struct decode *d)
{
	session_free(d->session);
	json_free(&d->readings);
	json_free(&d->events);
	free(d);
}

/* A stream goes in byte by byte: an instrument waits for its answer before it sends the next frame, so
 * the verdict on a frame comes before the byte behind it. */
static void feed(struct decode *d, const struct vg_driver *driver, int channel,
	const uint8_t *bytes, size_t len)
{
	struct vg_now now;
	clock_now(&now);
	if (driver->bus != VG_BUS_STREAM)
		session_value(d->session, channel, bytes, len, false, &now);
	for (size_t i = 0; driver->bus == VG_BUS_STREAM && i < len; i++) {
		session_stream(d->session, bytes + i, 1, &now);
		if (!d->by_hand)
			verdicts(d, 0);
	}
	if (!d->by_hand)
		verdicts(d, 0);
}

static void finish(struct decode *d)
{
	struct vg_now now;
	clock_now(&now);
	session_flush(d->session, &now);
	print(d);
}

static int decode_bytes(const struct tables *t, int argc, char **argv)
{
	const struct vg_driver *driver = drivers_find(t->drivers, argv[0]);
	struct how how = {.driver = driver, .codes = t->codes};
	int channel = driver ? channel_of(driver, argv[1]) : -1;
	static uint8_t bytes[VG_FRAME_MAX * 2];
	struct session_ops ops;
	if (!driver || channel < 0) {
		fprintf(stderr, "vitalgate: no driver \"%s\" with a channel \"%s\"; there are:\n",
			argv[0], argv[1]);
		list_drivers(t, stderr);
		return 2;
	}
	struct decode *d = open_session(&how, &ops);
	if (!d || !d->session)
		return 1;
	for (int i = 2; i < argc; i++) {
		ssize_t n = parse_hex(argv[i], bytes, sizeof(bytes));
		if (n < 0) {
			fprintf(stderr, "vitalgate: argument %d is not hexadecimal bytes\n", i + 1);
			close_session(d);
			return 2;
		}
		feed(d, driver, channel, bytes, (size_t)n);
	}
	finish(d);
	close_session(d);
	return 0;
}

/* captures */

struct capture {
	const struct tables *tables;
	const char *path;
	unsigned line;
	struct how how;
	int channel;
	struct session_ops ops;
	struct decode *d;
	uint8_t bytes[VG_FRAME_MAX * 2];
};

static int capture_wrong(const struct capture *c, const char *what)
{
	fprintf(stderr, "vitalgate: %s:%u: %s\n", c->path, c->line, what);
	return 1;
}

static int capture_reply(struct capture *c, size_t n)
{
	struct decode *d = c->d;
	if (d->n_replies - d->checked < n || memcmp(d->replies + d->checked, c->bytes, n) != 0) {
		char got[65];
		size_t have = MIN(d->n_replies - d->checked, (size_t)32);
		fprintf(stderr, "vitalgate: %s:%u: the driver answered \"%s\" instead\n", c->path,
			c->line, hex(got, d->replies + d->checked, have));
		return 1;
	}
	d->checked += n;
	return 0;
}

/* A reply that nobody expected is as wrong as one that is missing. */
static int replies_over(struct capture *c)
{
	if (!c->d || c->d->checked == c->d->n_replies)
		return 0;
	return capture_wrong(
		c, "the driver had sent more than the capture expects before this line");
}

static int capture_bytes(struct capture *c, char direction, const char *text)
{
	ssize_t n = parse_hex(text, c->bytes, sizeof(c->bytes));
	if (n < 0 || !c->d)
		return capture_wrong(c, "expected `device` first, and hexadecimal bytes");
	if (direction == '>')
		return capture_reply(c, (size_t)n);
	if (replies_over(c))
		return 1;
	feed(c->d, c->how.driver, c->channel, c->bytes, (size_t)n);
	return 0;
}

static int capture_wait(struct capture *c, unsigned ms)
{
	struct vg_now now;
	clock_now(&now);
	if (c->d->gap_ms && ms >= c->d->gap_ms)
		session_gap(c->d->session, &now);
	if (c->d->timer_ms && ms >= c->d->timer_ms)
		session_expired(c->d->session, &now);
	if (!c->d->by_hand)
		verdicts(c->d, 0);
	return 0;
}

/* Lines before `device`: how the session is to be opened. */
static int capture_head(struct capture *c, const char *line, const char *word, const char *rest)
{
	if (streq(word, "live")) {
		c->how.live = true;
		return 0;
	}
	if (streq(word, "option"))
		return sscanf(line, "option %23s %63[^\n]", c->how.option_name,
			       c->how.option_value) == 2
			       ? 0
			       : capture_wrong(c, "expected `option NAME VALUE`");
	if (!streq(word, "device"))
		return capture_wrong(c, "expected `device` first");
	c->how.driver = drivers_find(c->tables->drivers, rest);
	c->d = c->how.driver ? open_session(&c->how, &c->ops) : NULL;
	return c->d ? 0 : capture_wrong(c, "no such driver");
}

static int capture_line(struct capture *c, char *line)
{
	char word[32] = "", rest[32] = "";
	if ((line[0] == '<' || line[0] == '>') && line[1] == ' ')
		return capture_bytes(c, line[0], line + 2);
	if (sscanf(line, "%31s %31s", word, rest) < 1 || word[0] == '#')
		return 0;
	if (!c->d)
		return capture_head(c, line, word, rest);
	if (replies_over(c))
		return 1;
	if (streq(word, "channel")) {
		c->channel = channel_of(c->how.driver, rest);
		return c->channel >= 0 ? 0 : capture_wrong(c, "no such channel");
	}
	if (streq(word, "kept") || streq(word, "refused")) {
		verdicts(c->d, streq(word, "kept") ? 0 : -ENOSPC);
		return 0;
	}
	if (streq(word, "wait"))
		return capture_wait(c, (unsigned)atoi(rest));
	return capture_wrong(c, "unknown word");
}

/* A capture that says `kept` or `refused` anywhere decides every verdict itself. */
static bool decides_itself(FILE *f, char *line, size_t size)
{
	bool found = false;
	while (fgets(line, (int)size, f))
		found |= strncmp(line, "kept", 4) == 0 || strncmp(line, "refused", 7) == 0;
	rewind(f);
	return found;
}

static int decode_capture(const struct tables *t, const char *path)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	_cleanup_(freep) char *line = malloc(LINE_MAX_BYTES);
	_cleanup_(freep) struct capture *c = calloc(1, sizeof(*c));
	if (!f || !line || !c) {
		fprintf(stderr, "vitalgate: %s: %s\n", path, strerror(errno));
		return 1;
	}
	*c = (struct capture){.tables = t,
		.path = path,
		.how = {.codes = t->codes, .by_hand = decides_itself(f, line, LINE_MAX_BYTES)}};
	int rc = 0;
	while (rc == 0 && fgets(line, LINE_MAX_BYTES, f)) {
		c->line++;
		rc = capture_line(c, line);
	}
	if (rc == 0)
		rc = replies_over(c);
	if (c->d) {
		if (rc == 0)
			finish(c->d);
		close_session(c->d);
	}
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
	char beside[512], error[512];
	ssize_t n = readlink("/proc/self/exe", beside, sizeof(beside) - 16);
	beside[MAX(n, 0)] = 0;
	char *slash = strrchr(beside, '/');
	if (slash)
		strcpy(slash, "/../config");
	const char *given = cli->tables;
	const char *places[] = {given, getenv("VITALGATE_TABLES"), VITALGATE_TABLES, beside};
	for (size_t i = 0; i < (given ? 1 : ELEMENTS(places)); i++)
		if (places[i] && load_tables(places[i], ret, error, sizeof(error)))
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
