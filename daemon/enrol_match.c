/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enrol_match.h"

#include "util.h"

/* 0000xxxx-0000-1000-8000-00805F9B34FB, little-endian: Core Specification, Vol 3, Part B, 2.5.1. */
static const uint8_t base[12] = {
	0xfb, 0x34, 0x9b, 0x5f, 0x80, 0x00, 0x00, 0x80, 0x00, 0x10, 0x00, 0x00};

uint16_t enrol_service16(const uint8_t *uuid)
{
	bool standard = memcmp(uuid, base, sizeof(base)) == 0 && !uuid[14] && !uuid[15];
	if (!standard)
		return 0;
	return (uint16_t)(uuid[12] | uuid[13] << 8);
}

static bool has_service(const struct bluez_seen *s, const struct vg_model *m)
{
	for (unsigned i = 0; i < s->n_services; i++)
		if (m->service16 ? enrol_service16(s->services[i]) == m->service16
				 : memcmp(s->services[i], m->service128, 16) == 0)
			return true;
	return false;
}

/* 0: it does not fit; else how much it says. */
static unsigned fits(const struct vg_model *m, const struct bluez_seen *s)
{
	static const uint8_t none[16];
	bool service = m->service16 || memcmp(m->service128, none, sizeof(none)) != 0;
	bool name = m->name && *m->name;
	if ((name && strncmp(s->name, m->name, strlen(m->name)) != 0) ||
		(m->company && s->company != m->company) || (service && !has_service(s, m)))
		return 0;
	return name ? 3 : m->company ? 2 : service ? 1 : 0;
}

static const struct vg_model *best_of(
	const struct vg_driver *d, const struct bluez_seen *s, unsigned *best)
{
	const struct vg_model *found = NULL;
	for (size_t i = 0; i < d->n_models; i++) {
		unsigned n = fits(&d->models[i], s);
		if (n > *best) {
			*best = n;
			found = &d->models[i];
		}
	}
	return found;
}

const struct vg_model *enrol_match_driver(const struct vg_driver *d, const struct bluez_seen *s)
{
	unsigned best = 0;
	return best_of(d, s, &best);
}

const struct vg_model *enrol_match(
	const struct drivers *all, const struct bluez_seen *s, const struct vg_driver **ret_driver)
{
	const struct vg_model *found = NULL;
	const struct vg_driver *d;
	unsigned best = 0;
	for (size_t i = 0; (d = drivers_at(all, i)); i++) {
		const struct vg_model *m = best_of(d, s, &best);
		if (m) {
			found = m;
			*ret_driver = d;
		}
	}
	return found;
}

bool enrol_match_options(const struct vg_model *m, struct config_device *d)
{
	d->n_options = 0;
	for (const char *p = m && m->options ? m->options : ""; *p;) {
		size_t len = strcspn(p, " "), name = strcspn(p, "=");
		if (name < len && d->n_options < CONFIG_OPTIONS_MAX) {
			struct config_option *o = &d->options[d->n_options++];
			if (!text_copy(o->name, sizeof(o->name), p, name) ||
				!text_copy(
					o->value, sizeof(o->value), p + name + 1, len - name - 1))
				return false;
		} else if (len) {
			return false;
		}
		p += len + (p[len] == ' ');
	}
	return true;
}
