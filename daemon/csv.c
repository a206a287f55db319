/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CSV reader (RFC 4180). A whole file is held in memory and cut up in place: a quoted field only
 * gets shorter, so no field is ever copied elsewhere and no field has a length limit of its own.
 */
#include "csv.h"

#include <errno.h>
#include <stdarg.h>

#include "util.h"

static int __attribute__((format(printf, 5, 6))) csv_fail(
	const struct csv *c, unsigned line, char *error, size_t error_size, const char *format, ...)
{
	int n = line ? snprintf(error, error_size, "%s:%u: ", c->name, line)
		     : snprintf(error, error_size, "%s: ", c->name);
	size_t used = MIN((size_t)MAX(n, 0), error_size);
	va_list args;
	va_start(args, format);
	vsnprintf(error + used, error_size - used, format, args);
	va_end(args);
	return -EBADMSG;
}

/* 1 = line end taken, 0 = something else is there. */
static int csv_line_end(struct csv *c)
{
	size_t left = (size_t)(c->end - c->next);
	size_t n = left && *c->next == '\n' ? 1 : left > 1 && !memcmp(c->next, "\r\n", 2) ? 2 : 0;
	c->next += n;
	c->next_line += n > 0;
	return n > 0;
}

static void csv_skip_line(struct csv *c)
{
	char *end = memchr(c->next, '\n', (size_t)(c->end - c->next));
	c->next = end ? end + 1 : c->end;
	c->next_line += end != NULL;
}

/* A comment; the first "# version: X" of the file is remembered. */
static void csv_comment(struct csv *c)
{
	static const char key[] = "# version:";
	const char *p = c->next;
	csv_skip_line(c);
	size_t len = (size_t)(c->next - p);
	if (c->version[0] || len < strlen(key) || memcmp(p, key, strlen(key)))
		return;
	p += strlen(key);
	len -= strlen(key);
	while (len && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	while (len && ((uint8_t)p[len - 1] <= ' ' || p[len - 1] == ',')) /* a spreadsheet pads */
		len--;
	text_copy(c->version, sizeof(c->version), p, len);
}

/* The field at `next` up to, without, what ends it; `ret_len` may be less than what was passed. The
 * sentence of what is wrong, or NULL. */
static const char *csv_quoted(struct csv *c, char **ret_field, size_t *ret_len)
{
	char *from = c->next + 1, *to = from;
	*ret_field = from;
	for (;; from++) {
		if (from == c->end) {
			c->next = from;
			return "a quote is opened and never closed";
		}
		if (*from == '"' && (from + 1 == c->end || from[1] != '"'))
			break;
		from += *from == '"';
		c->next_line += *from == '\n';
		*to++ = *from;
	}
	c->next = from + 1;
	*ret_len = (size_t)(to - *ret_field);
	if (c->next < c->end && !strchr(",\r\n", *c->next))
		return "text follows a closing quote; a quote inside a field is written twice";
	return NULL;
}

static const char *csv_field(struct csv *c, char **ret_field, size_t *ret_len)
{
	if (c->next < c->end && *c->next == '"')
		return csv_quoted(c, ret_field, ret_len);
	char *start = c->next;
	while (c->next < c->end && *c->next != ',' && *c->next != '\n') {
		if (*c->next == '"')
			return "a quote stands inside a field that does not begin with one";
		c->next++;
	}
	/* The CR of a line end is not part of the field. */
	if (c->next < c->end && *c->next == '\n' && c->next > start && c->next[-1] == '\r')
		c->next--;
	*ret_field = start;
	*ret_len = (size_t)(c->next - start);
	return NULL;
}

/* One line of fields. `ret_n` counts all of them, also those beyond CSV_COLUMNS_MAX. */
static const char *csv_fields(struct csv *c, char **fields, unsigned *ret_n)
{
	for (unsigned n = 0;; n++) {
		char *field;
		size_t len;
		const char *wrong = csv_field(c, &field, &len);
		if (wrong)
			return wrong;
		if (n < CSV_COLUMNS_MAX)
			fields[n] = field;
		/* Look at what ends the field before its NUL is written over it. */
		bool more = c->next < c->end && *c->next == ',';
		c->next += more;
		bool ended = more || c->next == c->end || csv_line_end(c);
		field[len] = 0;
		if (!ended)
			return "a carriage return stands inside a line";
		if (!more) {
			*ret_n = n + 1;
			return NULL;
		}
	}
}

/* Steps over empty lines and comments; false at the end. */
static bool csv_seek_row(struct csv *c)
{
	while (c->next < c->end) {
		if (csv_line_end(c))
			continue;
		if (*c->next != '#')
			return true;
		csv_comment(c);
	}
	return false;
}

/* Not UTF-8, or NUL: where, as a line number; 0 = all is well. */
static unsigned csv_bad_text(const struct csv *c)
{
	unsigned line = 1;
	for (const char *p = c->text; p < c->end;) {
		size_t n = *p ? utf8_length(p, (size_t)(c->end - p)) : 0;
		if (!n)
			return line;
		line += *p == '\n';
		p += n;
	}
	return 0;
}

static int csv_header(struct csv *c, char *error, size_t error_size)
{
	if (!csv_seek_row(c))
		return csv_fail(c, 0, error, error_size,
			"is empty: the first line must hold the names of the columns");
	unsigned line = c->next_line, n = 0;
	const char *wrong = csv_fields(c, c->columns, &n);
	if (wrong)
		return csv_fail(c, line, error, error_size, "%s", wrong);
	if (n > CSV_COLUMNS_MAX)
		return csv_fail(c, line, error, error_size,
			"has %u columns, and at most %d are read", n, CSV_COLUMNS_MAX);
	for (unsigned i = 0; i < n; i++) {
		if (!c->columns[i][0])
			return csv_fail(c, line, error, error_size, "column %u has no name", i + 1);
		for (unsigned k = 0; k < i; k++)
			if (streq(c->columns[i], c->columns[k]))
				return csv_fail(c, line, error, error_size,
					"column \"%.40s\" is there twice", c->columns[i]);
	}
	c->n_columns = n;
	return 0;
}

/* Checks and reads the header of c->text, which c owns from here on. */
static int csv_begin(struct csv *c, size_t len, char *error, size_t error_size)
{
	c->next = c->text;
	c->end = c->text + len;
	c->next_line = 1;
	unsigned bad = csv_bad_text(c);
	int r = 0;
	if (bad)
		r = csv_fail(c, bad, error, error_size,
			"is not UTF-8 text; save the table again as \"CSV UTF-8\"");
	if (len >= 3 && !memcmp(c->text, "\xef\xbb\xbf", 3))
		c->next += 3;
	if (r == 0)
		r = csv_header(c, error, error_size);
	if (r < 0)
		csv_close(c);
	return r;
}

static int csv_too_large(const struct csv *c, char *error, size_t error_size)
{
	csv_fail(c, 0, error, error_size, "is larger than %u MiB", CSV_FILE_MAX >> 20);
	return -EFBIG;
}

int csv_open_text(struct csv *c, const char *name, const char *text, size_t len, char *error,
	size_t error_size)
{
	*c = (struct csv){.name = name};
	if (len > CSV_FILE_MAX)
		return csv_too_large(c, error, error_size);
	c->text = malloc(len + 1);
	if (!c->text) {
		csv_fail(c, 0, error, error_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (len)
		memcpy(c->text, text, len);
	c->text[len] = 0;
	return csv_begin(c, len, error, error_size);
}

int csv_open_file(struct csv *c, const char *path, char *error, size_t error_size)
{
	*c = (struct csv){.name = path};
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	/* Pages that the file does not fill are never touched, and given back below. */
	_cleanup_(freep) char *text = f ? malloc(CSV_FILE_MAX + 2) : NULL;
	size_t len = text ? fread(text, 1, CSV_FILE_MAX + 1, f) : 0;
	if (!text || ferror(f)) {
		int r = errno ? -errno : -EIO;
		csv_fail(c, 0, error, error_size, "cannot be read: %s", strerror(-r));
		return r;
	}
	if (len > CSV_FILE_MAX)
		return csv_too_large(c, error, error_size);
	text[len] = 0;
	char *fitted = realloc(text, len + 1);
	c->text = fitted ? fitted : text;
	TAKE(text);
	return csv_begin(c, len, error, error_size);
}

void csv_close(struct csv *c)
{
	free(c->text);
	*c = (struct csv){0};
}

int csv_row(struct csv *c, char *error, size_t error_size)
{
	c->n_fields = 0;
	if (!csv_seek_row(c))
		return 0;
	c->line = c->next_line;
	unsigned n = 0;
	const char *wrong = csv_fields(c, c->fields, &n);
	if (wrong) {
		csv_skip_line(c);
		return csv_fail(c, c->line, error, error_size, "%s", wrong);
	}
	if (n > c->n_columns)
		return csv_fail(c, c->line, error, error_size,
			"has %u fields, and the table has %u columns; a field that holds a comma "
			"needs quotes",
			n, c->n_columns);
	c->n_fields = n;
	return 1;
}

const char *csv_get(const struct csv *c, const char *column)
{
	for (unsigned i = 0; i < c->n_columns; i++)
		if (streq(c->columns[i], column))
			return i < c->n_fields ? c->fields[i] : "";
	return NULL;
}
