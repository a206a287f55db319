/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "policy.h"

#include "util.h"

#include <errno.h>

/* What carries what a driver hears. A capture carries anything. */
static bool carrier_fits(enum carrier c, enum vg_bus bus)
{
	static const unsigned fit[] = {[VG_BUS_GATT] = 1 << TRANSPORT_BLE,
		[VG_BUS_ADVERT] = 1 << TRANSPORT_BLE,
		[VG_BUS_STREAM] = 1 << TRANSPORT_SERIAL | 1 << TRANSPORT_RFCOMM,
		[VG_BUS_REGISTERS] = 1 << TRANSPORT_MODBUS};
	return c == TRANSPORT_REPLAY || fit[bus] & 1u << c;
}

static const char *carriers_of(enum vg_bus bus)
{
	static const char *const names[] = {[VG_BUS_GATT] = "ble",
		[VG_BUS_ADVERT] = "ble",
		[VG_BUS_STREAM] = "serial or rfcomm",
		[VG_BUS_REGISTERS] = "modbus"};
	return names[bus];
}

static bool option_fits(const struct vg_option *known, const struct config_option *o)
{
	if (!streq(known->name, o->name))
		return false;
	for (const char *const *c = known->choices; c && *c; c++)
		if (streq(*c, o->value))
			return true;
	return !known->choices;
}

static bool option_known(const struct vg_driver *driver, const struct config_option *o)
{
	for (size_t i = 0; i < driver->n_options; i++)
		if (option_fits(&driver->options[i], o))
			return true;
	return false;
}

/* A device against the driver that it names. */
static int check_device(const char *path, const struct config_device *c,
	const struct vg_driver *driver, const struct alert_rules *rules, char *error, size_t size)
{
	if (!driver) {
		snprintf(error, size,
			"%s:%u: device \"%s\": driver \"%s\" does not exist; `vitalgate decode` "
			"lists them",
			path, c->line, c->id, c->driver);
		return -EINVAL;
	}
	if (!carrier_fits(c->transport, driver->bus)) {
		snprintf(error, size, "%s:%u: device \"%s\": driver \"%s\" needs transport %s",
			path, c->line, c->id, c->driver, carriers_of(driver->bus));
		return -EINVAL;
	}
	if (c->place[0] && !alert_place_known(rules, c->place)) {
		snprintf(error, size,
			"%s:%u: device \"%s\": place \"%s\" has no rule in alerts.yaml", path,
			c->line, c->id, c->place);
		return -EINVAL;
	}
	for (unsigned i = 0; i < c->n_options; i++)
		if (!option_known(driver, &c->options[i])) {
			snprintf(error, size,
				"%s:%u: device \"%s\": driver \"%s\" has no option %s: %s", path,
				c->line, c->id, c->driver, c->options[i].name, c->options[i].value);
			return -EINVAL;
		}
	return 0;
}

static int load_tables(struct policy *p, char *error, size_t size)
{
	const struct config *c = &p->config;
	char path[320];
	p->codes = codes_load(c->tables, error, size);
	if (!p->codes)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/alerts.yaml", c->tables);
	p->rules = alert_rules_load(path, p->codes, error, size);
	if (!p->rules)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/forms.csv", c->tables);
	p->forms = forms_load(path, p->codes, error, size);
	if (!p->forms)
		return -EINVAL;
	p->drivers = drivers_load(c->tables, c->profiles, p->codes, error, size);
	return p->drivers ? 0 : -EINVAL;
}

/* `copy`: a directory that stands for those of tables and profiles; NULL: as the file says. */
static struct policy *load(const char *path, const char *copy, char *error, size_t size)
{
	struct policy *p = calloc(1, sizeof(*p));
	if (!p) {
		snprintf(error, size, "%s: %s", path, strerror(ENOMEM));
		return NULL;
	}
	int rc = config_load(path, &p->config, error, size);
	if (rc >= 0 && copy) {
		snprintf(p->config.tables, sizeof(p->config.tables), "%s/tables", copy);
		snprintf(p->config.profiles, sizeof(p->config.profiles), "%s/profiles", copy);
	}
	if (rc >= 0)
		rc = load_tables(p, error, size);
	for (unsigned i = 0; rc >= 0 && i < p->config.n_devices; i++) {
		const struct config_device *d = &p->config.devices[i];
		rc = check_device(
			path, d, drivers_find(p->drivers, d->driver), p->rules, error, size);
	}
	if (rc >= 0)
		return p;
	policy_free(p);
	return NULL;
}

struct policy *policy_load(const char *path, char *error, size_t size)
{
	return load(path, NULL, error, size);
}

struct policy *policy_load_copy(const char *directory, char *error, size_t size)
{
	char path[320];
	snprintf(path, sizeof(path), "%s/vitalgate.yaml", directory);
	return load(path, directory, error, size);
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	drivers_free(p->drivers);
	forms_free(p->forms);
	alert_rules_free(p->rules);
	codes_free(p->codes);
	config_free(&p->config);
	free(p);
}
