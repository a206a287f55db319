/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A profile is a driver as a file: config/profiles/NAME.yaml describes an instrument whose protocol needs
 * no code, and becomes the driver NAME. `bus: line` is one line of text per reading (profile_line.c, decoded by
 * drivers/line.c), `bus: registers` is Modbus (profile_registers.c, drivers/registers.c). A file is
 * checked whole when it is read.
 */
#pragma once

#include "codes.h"
#include "yamlmap.h"

#include <vitalgate/driver.h>

struct profile {
	struct vg_driver driver;
	char name[24], title[64], title_zh[64];
	char source[128]; /* where the facts come from */
	uint16_t version;
	bool experimental;
	void *body; /* driver.profile; one block of memory */
};

/* 0, or -errno with y->error set. `ret` is zeroed before. */
int profile_read(struct yamlmap *y, const struct codes *codes, struct profile *ret);
void profile_free(struct profile *p);

/* The part of a kind: reads `root` whole, by a table that begins with PROFILE_HEAD_KEYS and whose base is a struct
 * that begins with a struct profile; makes body, and fills driver but for name, titles, version,
 * experimental and profile. */
int profile_line_read(
	struct yamlmap *y, yaml_node_t *root, const struct codes *codes, struct profile *p);
int profile_registers_read(
	struct yamlmap *y, yaml_node_t *root, const struct codes *codes, struct profile *p);

/* clang-format off */
#define PROFILE_HEAD_KEYS                                                                         \
	{YAMLMAP_FIELD(profile, version), .type = YAMLMAP_NUMBER, .required = true, .low = 1, .high = 9999}, \
	{.name = "bus", .type = YAMLMAP_IGNORE},                                                  \
	{YAMLMAP_FIELD(profile, title), .type = YAMLMAP_TEXT, .required = true},                  \
	{YAMLMAP_FIELD(profile, title_zh), .type = YAMLMAP_TEXT, .required = true},               \
	{YAMLMAP_FIELD(profile, source), .type = YAMLMAP_TEXT, .required = true},                 \
	{YAMLMAP_FIELD(profile, experimental), .type = YAMLMAP_BOOL}
/* clang-format on */
