/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "policy.h"

#include "config_check.h"
#include "enrolled.h"
#include "log.h"
#include "util.h"

#include <errno.h>

/* What carries what a driver hears. A capture carries anything. */
static bool carrier_fits(enum carrier c, enum vg_bus bus)
{
	static const unsigned fit[] = {[VG_BUS_GATT] = 1 << TRANSPORT_BLE,
		[VG_BUS_ADVERT] = 1 << TRANSPORT_BLE,
		[VG_BUS_STREAM] = 1 << TRANSPORT_SERIAL | 1 << TRANSPORT_RFCOMM,
		[VG_BUS_REGISTERS] = 1 << TRANSPORT_MODBUS,
		[VG_BUS_FILES] = 1 << TRANSPORT_SPOOL};
	return c == TRANSPORT_REPLAY || fit[bus] & 1u << c;
}

static const char *carriers_of(enum vg_bus bus)
{
	static const char *const names[] = {[VG_BUS_GATT] = "ble",
		[VG_BUS_ADVERT] = "ble",
		[VG_BUS_STREAM] = "serial or rfcomm",
		[VG_BUS_REGISTERS] = "modbus",
		[VG_BUS_FILES] = "spool"};
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
	snprintf(path, sizeof(path), "%s/followup.csv", c->tables);
	p->numbers = numbers_load(path, error, size);
	if (!p->numbers)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/ws_elements.csv", c->tables);
	p->ws = ws_load(path, error, size);
	if (!p->ws)
		return -EINVAL;
	p->drivers = drivers_load(c->tables, c->profiles, p->codes, error, size);
	return p->drivers ? 0 : -EINVAL;
}

static int check_devices(struct policy *p, const char *path, char *error, size_t size)
{
	char enrolled[ENROLLED_PATH_MAX];
	int rc = 0;
	enrolled_path(&p->config, enrolled, sizeof(enrolled));
	unsigned kept = 0;
	for (unsigned i = 0; rc >= 0 && i < p->config.n_devices; i++) {
		const struct config_device d = p->config.devices[i];
		rc = check_device(d.enrolled ? enrolled : path, &d,
			drivers_find(p->drivers, d.driver), p->rules, error, size);
		if (rc < 0 &&
			d.enrolled) { /* nobody wrote it by hand: one that does not fit any more
					     * must not silence the others */
			log_error("config",
				"%s; IT IS NOT IN USE: vitalgate unenrol %s, and enrol it anew",
				error, d.id);
			rc = 0;
			continue;
		}
		p->config.devices[kept++] = d;
	}
	if (rc >= 0)
		p->config.n_devices = kept;
	return rc;
}

/* `copy`: a directory that stands for those of tables and profiles; NULL: as the file says. */
static struct policy *load(
	const char *path, const char *copy, bool enrolled, char *error, size_t size)
{
	struct policy *p = calloc(1, sizeof(*p));
	if (!p) {
		snprintf(error, size, "%s: %s", path, strerror(ENOMEM));
		return NULL;
	}
	int rc = config_load(path, &p->config, error, size);
	if (rc == -EACCES)
		rc = -EPERM; /* the file itself */
	if (rc >= 0 && copy) {
		snprintf(p->config.tables, sizeof(p->config.tables), "%s/tables", copy);
		snprintf(p->config.profiles, sizeof(p->config.profiles), "%s/profiles", copy);
	}
	if (rc >= 0 && enrolled)
		rc = enrolled_load(&p->config, error, size);
	if (rc == -EACCES) { /* somebody checks a file who may not look into the store */
		log_warn("config", "%s; enrolled instruments are not looked at", error);
		rc = 0;
	}
	if (rc >= 0)
		rc = load_tables(p, error, size);
	if (rc >= 0)
		rc = check_devices(p, path, error, size);
	if (rc >= 0)
		return p;
	policy_free(p);
	return NULL;
}

struct policy *policy_load(const char *path, char *error, size_t size)
{
	return load(path, NULL, true, error, size);
}

struct policy *policy_load_copy(const char *directory, char *error, size_t size)
{
	char path[320];
	snprintf(path, sizeof(path), "%s/vitalgate.yaml", directory);
	struct policy *p = load(path, directory, true, error, size);
	if (p)
		return p;
	char why[CONFIG_ERROR_MAX];
	snprintf(why, sizeof(why), "%s", error);
	p = load(path, directory, false, error, size);
	if (p)
		log_error("config", "%s; ENROLLED INSTRUMENTS ARE NOT IN USE", why);
	return p;
}

/* The devices of `c` without the one named `id`, and with room for one more. */
static struct config_device *copy_without(const struct config *c, const char *id, unsigned *ret_n)
{
	struct config_device *devices = calloc(c->n_devices + 1, sizeof(*devices));
	*ret_n = 0;
	for (unsigned i = 0; devices && i < c->n_devices; i++)
		if (!streq(c->devices[i].id, id))
			devices[(*ret_n)++] = c->devices[i];
	return devices;
}

static int add_device(
	struct policy *p, const char *id, const struct config_device *d, char *error, size_t size)
{
	struct config *c = &p->config;
	struct config_device added = *d;
	struct config_fault fault;
	if (c->n_devices == CONFIG_DEVICES_MAX) {
		snprintf(
			error, size, "%s: at most %u devices are possible", id, CONFIG_DEVICES_MAX);
		return -E2BIG;
	}
	if (!config_check_device(c, &added, &fault)) {
		snprintf(error, size, "%s: %s", id, fault.text);
		return -EINVAL;
	}
	c->devices[c->n_devices++] = added;
	return check_device(
		"enrol", &added, drivers_find(p->drivers, added.driver), p->rules, error, size);
}

struct policy *policy_change(struct policy *from, const char *id, const struct config_device *d,
	char *error, size_t size)
{
	struct policy *p = calloc(1, sizeof(*p));
	if (p) {
		*p = *from;
		p->users = 0;
		p->base = from->base ? from->base : from;
		p->config.devices = copy_without(&from->config, id, &p->config.n_devices);
	}
	if (!p || !p->config.devices) {
		free(p);
		snprintf(error, size, "%s", strerror(ENOMEM));
		return NULL;
	}
	if (!d || add_device(p, id, d, error, size) >= 0)
		return p;
	policy_free(p);
	return NULL;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	if (!p->base) {
		drivers_free(p->drivers);
		forms_free(p->forms);
		numbers_free(p->numbers);
		ws_free(p->ws);
		alert_rules_free(p->rules);
		codes_free(p->codes);
	}
	config_free(&p->config);
	free(p);
}
