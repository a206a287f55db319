/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile.h"

#include "util.h"

enum bus { BUS_LINE, BUS_REGISTERS };
static const char *const buses[] = {"line", "registers", NULL};

/* The file's name without directory and ".yaml": what configuration calls the driver. */
static bool take_name(const char *path, struct profile *p)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return n && streq(name + n, ".yaml") && text_copy(p->name, sizeof(p->name), name, n);
}

static int read_bus(struct yamlmap *y, yaml_node_t *root, enum bus *ret)
{
	const char *name;
	yaml_node_t *at;
	for (size_t i = 0; yamlmap_pair(y, root, i, &name, &at); i++)
		for (size_t b = 0; buses[b] && streq(name, "bus"); b++)
			if (yamlmap_text(at) && streq(yamlmap_text(at), buses[b])) {
				*ret = b;
				return 0;
			}
	return yamlmap_fail(y, root, "bus: expected one of line, registers");
}

int profile_read(struct yamlmap *y, const struct codes *codes, struct profile *p)
{
	yaml_node_t *root = yamlmap_root(y);
	enum bus bus = BUS_LINE;
	if (!take_name(y->path, p))
		return yamlmap_fail(y, NULL,
			"the name of a profile's file is at most %zu small letters, digits and "
			"'_', then .yaml",
			sizeof(p->name) - 1);
	int rc = read_bus(y, root, &bus);
	if (rc >= 0)
		rc = bus == BUS_LINE ? profile_line_read(y, root, codes, p)
				     : profile_registers_read(y, root, codes, p);
	if (rc < 0)
		return rc;
	p->driver.name = p->name;
	p->driver.version = p->version;
	p->driver.title = p->title;
	p->driver.title_zh = p->title_zh;
	p->driver.experimental = p->experimental;
	p->driver.profile = p->body;
	return 0;
}

void profile_free(struct profile *p)
{
	free(p->body);
}
