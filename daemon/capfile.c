/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capfile.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

#define FILE_MAX (16 * 1024 * 1024)
#define WAIT_MAX_MS (24 * 3600 * 1000)
#define UNKNOWN_CHANNEL "-"

static int wrong(const struct capfile *c, char *error, const char *what)
{
	snprintf(error, CAPFILE_ERROR_MAX, "%s:%u: %s", c->path, c->line, what);
	return -EINVAL;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'	    ? c - '0'
	       : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
					    : -1;
}

ssize_t capfile_hex(const char *text, uint8_t *out, size_t size)
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

int capfile_channel(const struct vg_driver *driver, const char *name)
{
	if (!driver->n_channels)
		return streq(name, "0") ? 0 : -EINVAL;
	for (size_t i = 0; i < driver->n_channels; i++)
		if (strcasecmp(driver->channels[i].name, name) == 0)
			return (int)i;
	return -EINVAL;
}

const char *capfile_option(const struct capfile *c, const char *name)
{
	for (unsigned i = 0; i < c->n_options; i++)
		if (streq(c->options[i].name, name))
			return c->options[i].value;
	return NULL;
}

/* The next line that is no comment and not empty, split into its first word and the rest. */
static char *next_line(struct capfile *c, char **ret_rest)
{
	while (c->next && *c->next) {
		char *line = c->next, *end = strchr(line, '\n');
		c->next = end ? end + 1 : NULL;
		c->line++;
		if (end)
			*end = 0;
		line += strspn(line, " \t\r");
		if (!*line || *line == '#')
			continue;
		size_t len = strlen(line);
		while (len && strchr(" \t\r", line[len - 1]))
			line[--len] = 0;
		size_t word = strcspn(line, " \t");
		*ret_rest = line + word + strspn(line + word, " \t");
		line[word] = 0;
		return line;
	}
	return NULL;
}

/* the head */

static int head_option(struct capfile *c, char *rest, char *error)
{
	struct capfile_option *o = &c->options[c->n_options];
	size_t n = strcspn(rest, " \t");
	const char *value = rest + n + strspn(rest + n, " \t");
	if (c->n_options == CAPFILE_OPTIONS_MAX)
		return wrong(c, error, "too many options");
	if (!*value || !text_copy(o->name, sizeof(o->name), rest, n) ||
		!text_copy(o->value, sizeof(o->value), value, strlen(value)))
		return wrong(c, error, "expected `option NAME VALUE`");
	c->n_options++;
	return 0;
}

static int head_mark(struct capfile *c, char *rest, char *error)
{
	struct capfile_mark *m = &c->marks[c->n_marks];
	size_t n = strcspn(rest, " \t");
	if (c->n_marks == CAPFILE_MARKS_MAX)
		return wrong(c, error, "too many marks");
	ssize_t len = capfile_hex(rest + n, m->value, sizeof(m->value));
	if (len < 0 || !n || !text_copy(m->key, sizeof(m->key), rest, n))
		return wrong(c, error, "expected `mark KEY HEX`");
	m->len = (size_t)len;
	c->n_marks++;
	return 0;
}

static int head_clock(struct capfile *c, const char *rest, char *error)
{
	struct vg_civil *t = &c->clock;
	int end = 0;
	if (sscanf(rest, "%4hu-%2hhu-%2hhuT%2hhu:%2hhu:%2hhu%n", &t->year, &t->month, &t->day,
		    &t->hour, &t->minute, &t->second, &end) != 6 ||
		rest[end])
		return wrong(c, error, "expected `clock YYYY-MM-DDThh:mm:ss`");
	return 0;
}

/* Lines before `device` say how the session is to be opened. */
static int head(struct capfile *c, char *error)
{
	char *word, *rest;
	int rc = 0;
	c->clock = (struct vg_civil){2026, 11, 21, 8, 0, 0};
	while (rc == 0 && (word = next_line(c, &rest))) {
		if (streq(word, "option"))
			rc = head_option(c, rest, error);
		else if (streq(word, "mark"))
			rc = head_mark(c, rest, error);
		else if (streq(word, "clock"))
			rc = head_clock(c, rest, error);
		else if (streq(word, "live"))
			c->live = true;
		else if (streq(word, "device"))
			return text_copy(c->device, sizeof(c->device), rest, strlen(rest))
				       ? 0
				       : wrong(c, error, "no such driver");
		else
			rc = wrong(c, error, "expected `device` first");
	}
	return rc < 0 ? rc : wrong(c, error, "expected `device`");
}

/* A capture that gives a verdict anywhere gives all of them. */
static bool gives_verdicts(const char *text)
{
	static const char *const words[] = {"kept", "refused", "open"};
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\r\n");
		for (size_t i = 0; i < ELEMENTS(words); i++)
			if (strncmp(line, words[i], strlen(words[i])) == 0)
				return true;
	}
	return false;
}

static int slurp(struct capfile *c, char *error)
{
	_cleanup_(fclosep) FILE *f = fopen(c->path, "re");
	size_t size = 0, n = 0;
	do {
		size = size ? 2 * size : 4096;
		char *more = f && size <= FILE_MAX ? realloc(c->text, size) : NULL;
		if (!more) {
			snprintf(error, CAPFILE_ERROR_MAX, "%s: %s", c->path,
				size > FILE_MAX ? "too long for a capture" : strerror(errno));
			return -EINVAL;
		}
		c->text = more;
		n += fread(c->text + n, 1, size - 1 - n, f);
	} while (n == size - 1);
	c->text[n] = 0;
	c->next = c->text;
	if (!ferror(f))
		return 0;
	snprintf(error, CAPFILE_ERROR_MAX, "%s: cannot be read", c->path);
	return -EINVAL;
}

struct capfile *capfile_open(const char *path, char *error)
{
	struct capfile *c = calloc(1, sizeof(*c));
	if (!c) {
		snprintf(error, CAPFILE_ERROR_MAX, "%s: out of memory", path);
		return NULL;
	}
	c->path = path;
	int rc = slurp(c, error);
	c->by_hand = rc == 0 && gives_verdicts(c->text);
	if (rc == 0)
		rc = head(c, error);
	if (rc == 0)
		return c;
	capfile_free(c);
	return NULL;
}

void capfile_free(struct capfile *c)
{
	if (c)
		free(c->text);
	free(c);
}

void capfile_driver(struct capfile *c, const struct vg_driver *driver)
{
	c->driver = driver;
}

/* the steps */

static int bytes(struct capfile *c, const char *word, const char *rest, struct capfile_step *ret,
	char *error)
{
	ssize_t n = capfile_hex(rest, c->bytes, sizeof(c->bytes));
	if (n < 0)
		return wrong(c, error, "expected hexadecimal bytes");
	*ret = (struct capfile_step){.word = *word == '<' ? CAPFILE_HEARD : CAPFILE_SENT,
		.channel = c->channel,
		.indication = streq(word, "<!"),
		.bytes = c->bytes,
		.len = (size_t)n};
	return 1;
}

static int wait_line(struct capfile *c, const char *rest, struct capfile_step *ret, char *error)
{
	char *end = NULL;
	unsigned long ms = isdigit((unsigned char)*rest) ? strtoul(rest, &end, 10) : 0;
	if (!end || *end || ms >= WAIT_MAX_MS)
		return wrong(c, error, "expected `wait MILLISECONDS`, less than a day");
	*ret = (struct capfile_step){.word = CAPFILE_WAIT, .wait_ms = (unsigned)ms};
	return 1;
}

static int denied(struct capfile *c, const char *rest, struct capfile_step *ret, char *error)
{
	*ret = (struct capfile_step){.word = CAPFILE_DENIED, .channel = c->channel};
	return c->channel >= 0 && capfile_hex(rest, &ret->code, 1) == 1
		       ? 1
		       : wrong(c, error, "expected `denied HH`, the ATT error code");
}

int capfile_next(struct capfile *c, struct capfile_step *ret, char *error)
{
	char *word, *rest;
	while ((word = next_line(c, &rest))) {
		if (streq(word, "<") || streq(word, "<!") || streq(word, ">"))
			return bytes(c, word, rest, ret, error);
		if (streq(word, "wait"))
			return wait_line(c, rest, ret, error);
		if (streq(word, "hung_up")) {
			*ret = (struct capfile_step){.word = CAPFILE_HUNG_UP};
			return 1;
		}
		if (streq(word, "denied"))
			return denied(c, rest, ret, error);
		if (streq(word, "channel")) {
			bool nobodys = streq(rest, UNKNOWN_CHANNEL);
			c->channel = nobodys ? -1 : capfile_channel(c->driver, rest);
			if (c->channel < 0 && !nobodys)
				return wrong(c, error, "no such channel");
			continue;
		}
		if (streq(word, "open"))
			continue;
		*ret = (struct capfile_step){
			.word = streq(word, "kept") ? CAPFILE_KEPT : CAPFILE_REFUSED};
		return streq(word, "kept") || streq(word, "refused")
			       ? 1
			       : wrong(c, error, "unknown word");
	}
	return 0;
}

/* what the driver sent */

bool capfile_sent_add(struct capfile_sent *q, unsigned channel, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	if (len > CAPFILE_SENT_MAX - q->n)
		return false;
	for (size_t i = 0; i < len; i++, q->n++) {
		q->at[q->n].byte = p[i];
		q->at[q->n].channel = (uint8_t)channel;
	}
	return true;
}

int capfile_sent_take(struct capfile_sent *q, const struct capfile_step *step)
{
	for (size_t i = 0; i < MIN(q->n, step->len); i++)
		if (q->at[i].byte != step->bytes[i] || q->at[i].channel != step->channel)
			return -1;
	if (q->n < step->len)
		return 0;
	q->n -= step->len;
	memmove(q->at, q->at + step->len, q->n * sizeof(q->at[0]));
	return 1;
}
