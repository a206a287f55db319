/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver.h"

#include "profile.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>

#define PROFILES_MAX 128

#define VG_DRIVER(name) extern const struct vg_driver name;
#include "../drivers/list.h"
#undef VG_DRIVER
const struct vg_driver *const vg_drivers[] = {
#define VG_DRIVER(name) &name,
#include "../drivers/list.h"
#undef VG_DRIVER
	NULL};
#define COMPILED_IN (ELEMENTS(vg_drivers) - 1)

struct drivers {
	size_t n;
	struct profile *profiles[PROFILES_MAX];
};

const struct vg_driver *drivers_at(const struct drivers *d, size_t i)
{
	if (i < COMPILED_IN)
		return vg_drivers[i];
	i -= COMPILED_IN;
	return d && i < d->n ? &d->profiles[i]->driver : NULL;
}

const struct vg_driver *drivers_find(const struct drivers *d, const char *name)
{
	const struct vg_driver *driver;
	for (size_t i = 0; (driver = drivers_at(d, i)); i++)
		if (streq(driver->name, name))
			return driver;
	return NULL;
}

static int read_file(struct drivers *d, const char *path, const struct codes *codes, char *error,
	size_t error_size)
{
	struct yamlmap y;
	if (d->n == PROFILES_MAX) {
		snprintf(error, error_size, "%s: at most %d profiles are read", path, PROFILES_MAX);
		return -E2BIG;
	}
	int rc = yamlmap_open(&y, path, error, error_size);
	if (rc < 0)
		return rc;
	struct profile *p = calloc(1, sizeof(*p));
	rc = p ? profile_read(&y, codes, p) : -ENOMEM;
	if (rc >= 0 && drivers_find(NULL, p->name))
		rc = yamlmap_fail(
			&y, NULL, "a driver of this name is compiled in; rename the file");
	yamlmap_close(&y);
	/* A later directory wins. */
	for (size_t i = 0; rc >= 0 && i < d->n; i++)
		if (streq(d->profiles[i]->name, p->name)) {
			profile_free(d->profiles[i]);
			free(d->profiles[i]);
			d->profiles[i] = p;
			return 0;
		}
	if (rc >= 0) {
		d->profiles[d->n++] = p;
	} else if (p) {
		profile_free(p);
		free(p);
	}
	return rc;
}

static int is_yaml(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return e->d_name[0] != '.' && n > 5 && streq(e->d_name + n - 5, ".yaml");
}

/* In the order of names, so that what is refused first is the same everywhere. */
static int read_directory(struct drivers *d, const char *directory, const struct codes *codes,
	char *error, size_t error_size)
{
	struct dirent **names = NULL;
	int n = scandir(directory, &names, is_yaml, alphasort), rc = 0;
	if (n < 0 && errno != ENOENT) {
		rc = -errno;
		snprintf(error, error_size, "%s: cannot be read: %s", directory, strerror(-rc));
	}
	for (int i = 0; i < n; i++) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
		if (rc >= 0)
			rc = read_file(d, path, codes, error, error_size);
		free(names[i]);
	}
	free(names);
	return rc;
}

struct drivers *drivers_load(const char *tables, const char *own, const struct codes *codes,
	char *error, size_t error_size)
{
	char shipped[320];
	struct drivers *d = calloc(1, sizeof(*d));
	if (!d) {
		snprintf(error, error_size, "%s", strerror(ENOMEM));
		return NULL;
	}
	snprintf(shipped, sizeof(shipped), "%s/profiles", tables);
	int rc = read_directory(d, shipped, codes, error, error_size);
	if (rc >= 0)
		rc = read_directory(d, own, codes, error, error_size);
	if (rc >= 0)
		return d;
	drivers_free(d);
	return NULL;
}

void drivers_free(struct drivers *d)
{
	for (size_t i = 0; d && i < d->n; i++) {
		profile_free(d->profiles[i]);
		free(d->profiles[i]);
	}
	free(d);
}
