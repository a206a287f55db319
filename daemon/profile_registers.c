/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile.h"

int profile_registers_read(
	struct yamlmap *y, yaml_node_t *root, const struct codes *codes, struct profile *p)
{
	(void)codes, (void)p;
	return yamlmap_fail(y, root, "not yet");
}
