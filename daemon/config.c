/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads vitalgate.yaml by the table of keys (config_keys.c). The file is taken as a stream of libyaml
 * events and never as a tree: nesting is as deep as the table and no deeper, and the first event that
 * does not fit ends the reading with its line.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <yaml.h>

#include "config_check.h"
#include "config_keys.h"
#include "util.h"

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	unsigned line;	    /* of the current event */
	const char *name, *text;
	size_t len;
	struct config *config;
	bool adds;			/* a file of devices that are added to `config` */
	char path[128];			/* "devices[0].baud": for messages */
	unsigned seen[CONFIG_KEYS_MAX]; /* line of each key of this element; 0 = not there */
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 3, 4)))
config_fail(struct reader *r, unsigned line, const char *format, ...)
{
	char where[16] = "";
	if (line)
		snprintf(where, sizeof(where), ":%u", line);
	int n = snprintf(r->error, r->error_size, "%s%s: %s%s", r->name, where, r->path,
		r->path[0] ? ": " : "");
	size_t used = MIN((size_t)MAX(n, 0), r->error_size);
	va_list args;
	va_start(args, format);
	vsnprintf(r->error + used, r->error_size - used, format, args);
	va_end(args);
	return -EINVAL;
}

/* Appends a name or an index to the path; returns the length to cut it back to. */
static size_t __attribute__((format(printf, 2, 3)))
config_enter(struct reader *r, const char *format, ...)
{
	size_t before = strlen(r->path);
	va_list args;
	va_start(args, format);
	vsnprintf(r->path + before, sizeof(r->path) - before, format, args);
	va_end(args);
	return before;
}

/* Is line `line` (from 1) indented with a tab? */
static bool config_has_tab(const struct reader *r, unsigned line)
{
	const char *p = r->text, *end = r->text + r->len;
	while (line > 1 && p < end)
		line -= *p++ == '\n';
	while (p < end && *p == ' ')
		p++;
	return p < end && *p == '\t';
}

static int config_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	unsigned line = (unsigned)p->problem_mark.line + 1;
	r->path[0] = 0;
	if (p->error == YAML_MEMORY_ERROR) {
		config_fail(r, 0, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (p->error == YAML_READER_ERROR) { /* knows a position in bytes only */
		line = 1;
		for (size_t i = 0; i < p->problem_offset && i < r->len; i++)
			line += r->text[i] == '\n';
	}
	return config_fail(r, line, "this is not YAML: %s%s%s%s", p->context ? p->context : "",
		p->context ? ", " : "", p->problem ? p->problem : "unknown error",
		config_has_tab(r, line) ? "; indent with blanks, not with tabs" : "");
}

/* What is not plain text below plain names is refused: it has no use here and hides things. */
static int config_check_event(struct reader *r)
{
	const yaml_event_t *e = &r->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;
	if (e->type == YAML_ALIAS_EVENT)
		return config_fail(r, r->line,
			"aliases (*%.40s) are not read; write the value here",
			(const char *)e->data.alias.anchor);
	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
		for (size_t i = 0; i < e->data.scalar.length; i++)
			if (iscntrl(e->data.scalar.value[i]))
				return config_fail(r, r->line,
					"the value holds a line break or a control character");
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (anchor)
		return config_fail(r, r->line, "anchors (&%.40s) are not read; write values out",
			(const char *)anchor);
	if (tag)
		return config_fail(r, r->line, "tags (%.40s) are not read", (const char *)tag);
	return 0;
}

static int config_next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event))
		return config_syntax(r);
	r->line = (unsigned)r->event.start_mark.line + 1;
	return config_check_event(r);
}

static const char *config_scalar(const struct reader *r)
{
	return r->event.type == YAML_SCALAR_EVENT ? (const char *)r->event.data.scalar.value : NULL;
}

/* "name:" with nothing behind it. */
static bool config_is_nothing(const struct reader *r)
{
	const char *text = config_scalar(r);
	return text && !*text && r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* The current event is not what `key` takes. */
static int config_unexpected(struct reader *r, const struct key *key)
{
	char expects[192];
	const char *text = config_scalar(r);
	key_expects(key, expects, sizeof(expects));
	if (config_is_nothing(r))
		return config_fail(r, r->line, "expected %s, found nothing", expects);
	if (text)
		return config_fail(r, r->line, "expected %s, found \"%.60s%s\"", expects, text,
			strlen(text) > 60 ? "..." : "");
	return config_fail(r, r->line, "expected %s, found %s", expects,
		r->event.type == YAML_MAPPING_START_EVENT ? "names with values" : "a list");
}

/* The name of `k` when it stands directly below `group` ("" = top, "devices[]"), else NULL. */
static const char *config_child(const struct key *k, const char *group)
{
	size_t n = strlen(group);
	if (strncmp(k->path, group, n) || (n && k->path[n] != '.'))
		return NULL;
	const char *name = k->path + n + (n > 0);
	return strpbrk(name, ".[") ? NULL : name;
}

static const struct key *config_find(const char *group, const char *name)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const char *child = config_child(&config_keys[i], group);
		if (child && streq(child, name))
			return &config_keys[i];
	}
	return NULL;
}

static unsigned config_seen(const struct reader *r, const char *path)
{
	for (size_t i = 0; i < config_n_keys; i++)
		if (streq(config_keys[i].path, path))
			return r->seen[i];
	return 0;
}

/* Letters to add, drop or change (Levenshtein); names longer than any key are far away. */
static unsigned config_distance(const char *a, const char *b)
{
	unsigned row[32];
	size_t n = strlen(b);
	if (n >= ELEMENTS(row) || strlen(a) >= ELEMENTS(row))
		return UINT32_MAX;
	for (size_t i = 0; i <= n; i++)
		row[i] = (unsigned)i;
	for (; *a; a++) {
		unsigned corner = row[0]++;
		for (size_t i = 1; i <= n; i++) {
			unsigned change = corner + (*a != b[i - 1]);
			corner = row[i];
			row[i] = MIN(change, MIN(row[i], row[i - 1]) + 1);
		}
	}
	return row[n];
}

static int config_unknown(struct reader *r, const char *group, const char *name)
{
	const char *near = NULL;
	unsigned best = 3;
	char known[400] = "";
	size_t n = 0;
	for (size_t i = 0; i < config_n_keys; i++) {
		const char *child = config_child(&config_keys[i], group);
		if (!child)
			continue;
		unsigned distance = config_distance(name, child);
		if (distance < best) {
			best = distance;
			near = child;
		}
		if (n < sizeof(known))
			n += (size_t)snprintf(
				known + n, sizeof(known) - n, "%s%s", n ? ", " : "", child);
	}
	if (near)
		return config_fail(
			r, r->line, "unknown key \"%.40s\"; did you mean \"%s\"?", name, near);
	return config_fail(r, r->line, "unknown key \"%.40s\"; known here: %s", name, known);
}

static int config_mapping(struct reader *r, const char *group, void *base);

/* Driver options: any names. The current event is MAPPING_START. */
static int config_options(struct reader *r, struct config_device *d)
{
	for (;;) {
		int e = config_next(r);
		if (e < 0 || r->event.type == YAML_MAPPING_END_EVENT)
			return e;
		const char *name = config_scalar(r);
		struct config_option *o = &d->options[d->n_options];
		if (!name || !*name ||
			strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) ||
			strlen(name) >= sizeof(o->name))
			return config_fail(r, r->line,
				"the name of an option has at most %zu small letters, digits and "
				"'_'",
				sizeof(o->name) - 1);
		if (config_option(d, name))
			return config_fail(r, r->line, "option \"%s\" is there twice", name);
		if (d->n_options == CONFIG_OPTIONS_MAX)
			return config_fail(r, r->line, "at most %d options", CONFIG_OPTIONS_MAX);
		text_copy(o->name, sizeof(o->name), name, strlen(name));
		size_t before = config_enter(r, ".%s", o->name);
		e = config_next(r);
		if (e < 0)
			return e;
		const char *value = config_scalar(r);
		if (!value || !text_copy(o->value, sizeof(o->value), value, strlen(value)))
			return config_fail(r, r->line, "expected a text of at most %zu bytes",
				sizeof(o->value) - 1);
		d->n_options++;
		r->path[before] = 0;
	}
}

/* Defaults for what was not there below `prefix` ("", "devices[]."); refuses what is required. */
static int config_finish(struct reader *r, const char *prefix, void *base, unsigned line)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct key *k = &config_keys[i];
		size_t n = strlen(prefix);
		bool inside = n ? !strncmp(k->path, prefix, n) : !strchr(k->path, '[');
		if (!inside || r->seen[i] || !key_has_value(k))
			continue;
		if (!k->fallback)
			return config_fail(
				r, line, "the required key \"%s\" is missing", k->path + n);
		if (!key_set(k, base, k->fallback)) {
			char expects[192];
			key_expects(k, expects, sizeof(expects));
			return config_fail(r, line,
				"\"%s\": expected %s, and its default \"%s\" is not", k->path + n,
				expects, k->fallback);
		}
	}
	return 0;
}

/* What an element says as a whole; `fault` names the key whose line is to be told. */
static int config_refuse(struct reader *r, unsigned line, const struct config_fault *fault)
{
	unsigned at = fault->key ? config_seen(r, fault->key) : 0;
	return config_fail(r, at ? at : line, "%s", fault->text);
}

/* A key that the transport of this device knows nothing of. */
static int config_check_carrier(struct reader *r, const struct config_device *d)
{
	for (size_t i = 0; i < config_n_keys; i++)
		if (r->seen[i] && config_keys[i].transports &&
			!(config_keys[i].transports & 1u << d->transport))
			return config_fail(r, r->seen[i], "\"%s\" has no meaning for transport %s",
				strchr(config_keys[i].path, '.') + 1, carrier_name(d->transport));
	return 0;
}

/* One element of a list. The current event is MAPPING_START. */
static int config_element(struct reader *r, const char *group, void *base)
{
	unsigned line = r->line;
	char prefix[16];
	snprintf(prefix, sizeof(prefix), "%s.", group);
	for (size_t i = 0; i < config_n_keys; i++)
		if (!strncmp(config_keys[i].path, prefix, strlen(prefix)))
			r->seen[i] = 0;
	int e = config_mapping(r, group, base);
	return e < 0 ? e : config_finish(r, prefix, base, line);
}

static int config_add_sink(struct reader *r)
{
	struct config *c = r->config;
	struct config_sink *sink = &c->sinks[c->n_sinks];
	sink->line = r->line;
	int e = config_element(r, "sinks[]", sink);
	struct config_fault fault;
	if (e == 0 && !config_check_sink(c, sink, &fault))
		e = config_refuse(r, sink->line, &fault);
	c->n_sinks += e == 0;
	return e;
}

static int config_add_station(struct reader *r)
{
	struct config *c = r->config;
	struct config_station *s = &c->stations[c->n_stations];
	s->line = r->line;
	int e = config_element(r, "stations[]", s);
	struct config_fault fault;
	if (e == 0 && !config_check_station(c, s, &fault))
		e = config_refuse(r, s->line, &fault);
	c->n_stations += e == 0;
	return e;
}

static int config_add_device(struct reader *r)
{
	struct config *c = r->config;
	struct config_device *devices;
	devices = realloc(c->devices, (c->n_devices + 1) * sizeof(*devices));
	if (!devices)
		return config_fail(r, r->line, "%s", strerror(ENOMEM));
	c->devices = devices;
	struct config_device *d = &devices[c->n_devices];
	*d = (struct config_device){.line = r->line, .enrolled = r->adds};
	int e = config_element(r, "devices[]", d);
	e = e < 0 ? e : config_check_carrier(r, d);
	struct config_fault fault;
	if (e == 0 && !config_check_device(c, d, &fault))
		e = config_refuse(r, d->line, &fault);
	c->n_devices += e == 0;
	return e;
}

static int config_list(struct reader *r, const struct key *key)
{
	struct config *c = r->config;
	const struct {
		const char *name;
		const unsigned *n;
		unsigned max;
		int (*add)(struct reader *r);
	} lists[] = {{"sinks", &c->n_sinks, CONFIG_SINKS_MAX, config_add_sink},
		{"stations", &c->n_stations, CONFIG_STATIONS_MAX, config_add_station},
		{"devices", &c->n_devices, CONFIG_DEVICES_MAX, config_add_device}},
	  *list = lists;
	while (!streq(list->name, key->path))
		list++;
	for (unsigned i = 0;; i++) {
		int e = config_next(r);
		if (e < 0 || r->event.type == YAML_SEQUENCE_END_EVENT)
			return e;
		if (*list->n == list->max)
			return config_fail(r, r->line, "at most %u are possible", list->max);
		size_t before = config_enter(r, "[%u]", i);
		if (r->event.type != YAML_MAPPING_START_EVENT)
			return config_fail(r, r->line,
				"expected \"name: value\" behind the \"-\", found something else");
		e = list->add(r);
		if (e < 0)
			return e;
		r->path[before] = 0;
	}
}

/* The current event is the first of the value. */
static int config_value(struct reader *r, const struct key *key, void *base)
{
	const char *text = config_scalar(r);
	if (key_has_value(key))
		return text && key_set(key, base, text) ? 0 : config_unexpected(r, key);
	if (key->type == KEY_GROUP && key->size)
		*(bool *)((char *)base + key->offset) = true;
	/* All lines below the name may be comments. */
	if (config_is_nothing(r))
		return 0;
	if (r->event.type !=
		(key->type == KEY_LIST ? YAML_SEQUENCE_START_EVENT : YAML_MAPPING_START_EVENT))
		return config_unexpected(r, key);
	if (key->type == KEY_LIST)
		return config_list(r, key);
	if (key->type == KEY_MAP)
		return config_options(r, base);
	return config_mapping(r, key->path, base);
}

/* Names and values up to the end of this mapping. The current event is MAPPING_START. */
static int config_mapping(struct reader *r, const char *group, void *base)
{
	for (;;) {
		int e = config_next(r);
		if (e < 0 || r->event.type == YAML_MAPPING_END_EVENT)
			return e;
		const char *name = config_scalar(r);
		if (!name)
			return config_fail(
				r, r->line, "expected the name of a key, found more below");
		const struct key *key = config_find(group, name);
		if (!key)
			return config_unknown(r, group, name);
		unsigned *seen = &r->seen[key - config_keys];
		if (*seen)
			return config_fail(r, r->line,
				"the key \"%s\" is there twice, first in line %u", name, *seen);
		*seen = r->line;
		size_t before = config_enter(r, "%s%s", r->path[0] ? "." : "", name);
		e = config_next(r);
		e = e < 0 ? e : config_value(r, key, base);
		if (e < 0)
			return e;
		r->path[before] = 0;
	}
}

static int config_only_devices(struct reader *r)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const char *name = config_keys[i].path;
		if (r->seen[i] && strncmp(name, "devices", 7) && !streq(name, "version"))
			return config_fail(r, r->seen[i],
				"\"%s\" has no place in this file: only version and devices", name);
	}
	return 0;
}

static int config_root(struct reader *r)
{
	int e = config_next(r); /* STREAM_START */
	e = e < 0 ? e : config_next(r);
	if (e == 0 && r->event.type == YAML_DOCUMENT_START_EVENT)
		e = config_next(r);
	if (e < 0)
		return e;
	if (r->event.type == YAML_STREAM_END_EVENT || config_is_nothing(r))
		return config_fail(r, 0,
			"the file is empty; begin with \"version: 1\", org, site and gateway");
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return config_fail(r, r->line, "expected \"name: value\", found something else");
	unsigned line = r->line;
	e = config_mapping(r, "", r->config);
	e = e < 0 ? e : r->adds ? config_only_devices(r) : config_finish(r, "", r->config, line);
	struct config_fault fault;
	if (e == 0 && !r->adds &&
		(!config_check_spools(r->config, &fault) || !config_check_ecg(r->config, &fault)))
		return config_refuse(r, line, &fault);
	e = e < 0 ? e : config_next(r); /* DOCUMENT_END */
	e = e < 0 ? e : config_next(r);
	if (e == 0 && r->event.type != YAML_STREAM_END_EVENT)
		return config_fail(
			r, r->line, "a second document begins; one file is one configuration");
	return e;
}

/* `r` with `config`, which it changes, also when it fails. */
static int config_read(struct reader *r)
{
	if (r->len > CONFIG_FILE_MAX) {
		config_fail(r, 0, "the file is larger than %u KiB", CONFIG_FILE_MAX >> 10);
		return -EFBIG;
	}
	if (!r->config || !yaml_parser_initialize(&r->parser)) {
		config_fail(r, 0, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	/* libyaml counts a byte-order mark as a column: the second key would stand to the left. */
	size_t mark = r->len >= 3 && !memcmp(r->text, "\xef\xbb\xbf", 3) ? 3 : 0;
	yaml_parser_set_input_string(
		&r->parser, (const unsigned char *)r->text + mark, r->len - mark);
	int e = config_root(r);
	yaml_event_delete(&r->event);
	yaml_parser_delete(&r->parser);
	return e;
}

int config_parse(const char *name, const char *text, size_t len, struct config *ret, char *error,
	size_t error_size)
{
	_cleanup_(freep) struct config *config = calloc(1, sizeof(*config));
	struct reader r = {.name = name,
		.text = text,
		.len = len,
		.config = config,
		.error = error,
		.error_size = error_size};
	int e = config_read(&r);
	if (e == 0)
		*ret = *config;
	else if (config)
		config_free(config);
	return e;
}

void config_free(struct config *c)
{
	free(c->devices);
	c->devices = NULL;
	c->n_devices = 0;
}

/* The text of a file, CONFIG_FILE_MAX + 1 bytes at most; NULL with *ret_error. */
static char *config_slurp(
	const char *path, size_t *ret_len, int *ret_error, char *error, size_t error_size)
{
	errno = 0;
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	_cleanup_(freep) char *text = f ? malloc(CONFIG_FILE_MAX + 1) : NULL;
	*ret_len = text ? fread(text, 1, CONFIG_FILE_MAX + 1, f) : 0;
	if (text && !ferror(f))
		return TAKE(text);
	*ret_error = errno ? -errno : -EIO;
	snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(-*ret_error));
	return NULL;
}

int config_load(const char *path, struct config *ret, char *error, size_t error_size)
{
	size_t len;
	int e = 0;
	_cleanup_(freep) char *text = config_slurp(path, &len, &e, error, error_size);
	return text ? config_parse(path, text, len, ret, error, error_size) : e;
}

int config_add(const char *path, struct config *c, char *error, size_t error_size)
{
	size_t len;
	int e = 0;
	_cleanup_(freep) char *text = config_slurp(path, &len, &e, error, error_size);
	if (!text)
		return e;
	_cleanup_(freep) struct config *both = calloc(1, sizeof(*both));
	struct config_device *devices = calloc(c->n_devices + 1, sizeof(*devices));
	struct reader r = {.name = path,
		.text = text,
		.len = len,
		.config = devices ? both : NULL,
		.adds = true,
		.error = error,
		.error_size = error_size};
	if (both && devices) {
		*both = *c;
		both->devices = devices;
		if (c->n_devices)
			memcpy(devices, c->devices, c->n_devices * sizeof(*devices));
	}
	e = config_read(&r);
	if (e < 0) {
		free(both ? both->devices : devices);
		return e;
	}
	free(c->devices);
	*c = *both;
	return 0;
}
