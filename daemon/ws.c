/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ws.h"

#include "csv.h"
#include "util.h"

#include <errno.h>

#define ELEMENTS_MAX 128

struct element {
	char id[24];
	bool number; /* and somebody has confirmed how it is printed */
	unsigned shortest, longest, decimals;
};

struct ws {
	char version[32];
	unsigned n;
	struct element elements[ELEMENTS_MAX];
};

/* "DE04.10.174.00" */
static bool id_fits(const char *id)
{
	static const char shape[] = "DE00.00.000.00";
	if (strlen(id) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == '0' ? id[i] < '0' || id[i] > '9' : id[i] != shape[i])
			return false;
	return true;
}

static const char *digits(const char *p, unsigned *ret)
{
	unsigned n = 0;
	const char *end = p;
	for (; *end >= '0' && *end <= '9' && n < 10000; end++)
		n = n * 10 + (unsigned)(*end - '0');
	if (end > p)
		*ret = n;
	return end;
}

/* "N4..5,1", "N..3", "N4,1", "A..50", "AN..100?" */
static bool format_read(const char *text, struct element *ret)
{
	const char *p = text;
	bool number = *p == 'N';
	if (!*p || streq(p, "T/F"))
		return true;
	if (!number && *p++ != 'A')
		return false;
	if (*p == 'N')
		p++;
	const char *first = p;
	p = digits(p, &ret->shortest);
	ret->longest = ret->shortest;
	bool given = p > first;
	if (strncmp(p, "..", 2) == 0) {
		first = p += 2;
		p = digits(p, &ret->longest);
		given = p > first;
	}
	if (number && *p == ',') {
		first = ++p;
		p = digits(p, &ret->decimals);
		given &= p > first;
	}
	ret->number = number && !*p;
	return given && ret->longest >= MAX(ret->shortest, 1) && ret->decimals <= 3 &&
	       (!*p || streq(p, "?"));
}

static int take(struct ws *w, const struct csv *csv)
{
	const char *id = csv_get(csv, "ws_de"), *name = csv_get(csv, "name");
	const char *format = csv_get(csv, "format"), *source = csv_get(csv, "source");
	struct element e = {0};
	if (!id || !name || !name[0] || !format || !source || !source[0] || !id_fits(id) ||
		ws_known(w, id) || !format_read(format, &e))
		return -EINVAL;
	if (w->n == ELEMENTS_MAX)
		return -E2BIG;
	text_copy(e.id, sizeof(e.id), id, strlen(id));
	w->elements[w->n++] = e;
	return 0;
}

struct ws *ws_load(const char *path, char *error, size_t error_size)
{
	struct csv csv;
	struct ws *w = calloc(1, sizeof(*w));
	if (!w || csv_open_file(&csv, path, error, error_size) < 0) {
		free(w);
		return NULL;
	}
	text_copy(w->version, sizeof(w->version), csv.version, strlen(csv.version));
	int rc;
	while ((rc = csv_row(&csv, error, error_size)) > 0)
		if ((rc = take(w, &csv)) < 0) {
			snprintf(error, error_size,
				"%s:%u: expected an element like DE04.10.174.00, once, a name, a "
				"format like N2..3 or N4..5,1, and its source; %u elements at most",
				path, csv.line, ELEMENTS_MAX);
			break;
		}
	csv_close(&csv);
	if (rc < 0) {
		free(w);
		return NULL;
	}
	return w;
}

void ws_free(struct ws *w)
{
	free(w);
}

const char *ws_version(const struct ws *w)
{
	return w->version;
}

static const struct element *find(const struct ws *w, const char *id)
{
	for (unsigned i = 0; w && i < w->n; i++)
		if (streq(w->elements[i].id, id))
			return &w->elements[i];
	return NULL;
}

bool ws_known(const struct ws *w, const char *element)
{
	return find(w, element);
}

/* Exactly: what has more digits behind the point than `decimals` is not printed. */
static bool print(int64_t milli, unsigned decimals, char out[static WS_TEXT])
{
	static const int64_t steps[] = {1000, 100, 10, 1};
	int64_t part = milli % 1000 / steps[decimals];
	if (milli < 0 || milli % steps[decimals])
		return false;
	if (decimals)
		snprintf(out, WS_TEXT, "%lld.%0*lld", (long long)(milli / 1000), (int)decimals,
			(long long)part);
	else
		snprintf(out, WS_TEXT, "%lld", (long long)(milli / 1000));
	return true;
}

bool ws_text(const struct ws *w, const char *element, int64_t milli, unsigned decimals,
	char out[static WS_TEXT])
{
	const struct element *e = find(w, element);
	if (e && e->number && print(milli, e->decimals, out)) {
		size_t n = strlen(out);
		if (n >= e->shortest && n <= e->longest)
			return true;
	}
	if (!print(milli, decimals, out))
		snprintf(out, WS_TEXT, "%s%lld.%03lld", milli < 0 ? "-" : "", llabs(milli / 1000),
			llabs(milli % 1000));
	return !e || !e->number;
}
