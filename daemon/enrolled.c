/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enrolled.h"

#include "config_keys.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static const char head[] =
	"# Instruments that were enrolled (`vitalgate enrol`). Written by vitalgated: change it with\n"
	"# `vitalgate enrol` and `vitalgate unenrol` only.\n"
	"version: 1\n"
	"devices:\n";

void enrolled_path(const struct config *c, char *out, size_t size)
{
	snprintf(out, size, "%s/enrolled.yaml", c->store);
}

int enrolled_load(struct config *c, char *error, size_t size)
{
	char path[ENROLLED_PATH_MAX];
	enrolled_path(c, path, sizeof(path));
	int rc = config_add(path, c, error, size);
	return rc == -ENOENT ? 0 : rc;
}

/* A value as YAML takes it for a text whatever it looks like. */
static void put_value(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

/* One line: what differs from the default. */
static void put_device(FILE *f, const struct config_device *d)
{
	static const char prefix[] = "devices[].";
	const char *before = "  - {";
	char text[256];
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct key *k = &config_keys[i];
		if (strncmp(k->path, prefix, strlen(prefix)) || !key_has_value(k) ||
			(k->transports && !(k->transports & 1u << d->transport)))
			continue;
		key_text(k, d, text, sizeof(text));
		if (k->fallback && streq(text, k->fallback))
			continue;
		fprintf(f, "%s%s: ", before, k->path + strlen(prefix));
		put_value(f, text);
		before = ", ";
	}
	if (d->n_options)
		fputs(", options: {", f);
	for (unsigned i = 0; i < d->n_options; i++) {
		fprintf(f, "%s%s: ", i ? ", " : "", d->options[i].name);
		put_value(f, d->options[i].value);
	}
	fputs(d->n_options ? "}}\n" : "}\n", f);
}

static int write_file(const char *path, const struct config_device *devices, unsigned n)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "we");
	if (!f)
		return -errno;
	fputs(head, f);
	for (unsigned i = 0; i < n; i++)
		put_device(f, &devices[i]);
	errno = 0;
	if (ferror(f) || fflush(f) || fchmod(fileno(f), 0640) < 0 || fsync(fileno(f)) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

static int replace(const char *from, const char *to, const char *directory)
{
	if (rename(from, to) < 0)
		return -errno;
	_cleanup_(closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int enrolled_change(const struct config *c, const char *id, const struct config_device *d,
	char *error, size_t size)
{
	char path[ENROLLED_PATH_MAX], fresh[ENROLLED_PATH_MAX + 8];
	struct config is = {0};
	memcpy(is.store, c->store, sizeof(is.store));
	int rc = enrolled_load(&is, error, size);
	if (rc < 0)
		return rc;
	enrolled_path(c, path, sizeof(path));
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	struct config_device *all = calloc(is.n_devices + 1, sizeof(*all));
	unsigned n = 0;
	for (unsigned i = 0; all && i < is.n_devices; i++)
		if (!streq(is.devices[i].id, id))
			all[n++] = is.devices[i];
	if (all && d)
		all[n++] = *d;
	rc = all ? write_file(fresh, all, n) : -ENOMEM;
	struct config back = {0}; /* as the next start will read it */
	if (rc >= 0 && (rc = config_add(fresh, &back, error, size)) < 0) {
		unlink(fresh);
		free(all);
		config_free(&is);
		return rc;
	}
	config_free(&back);
	if (rc >= 0)
		rc = replace(fresh, path, c->store);
	if (rc < 0)
		snprintf(error, size, "%s: cannot be written: %s", path, strerror(-rc));
	free(all);
	config_free(&is);
	return rc;
}
