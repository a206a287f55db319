/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One rule of config/alerts.yaml, as it is written: which keys its type takes. For rule_load.c. */
#pragma once

#include "rule_set.h"
#include "yamlmap.h"

/* notice, warning, critical, NULL */
extern const char *const rule_severities[];

/* 1; 0: it is right, and switched off; -EINVAL with the sentence of yamlmap_fail(). */
int rule_read(
	struct yamlmap *y, yaml_node_t *node, const struct codes *codes, struct alert_rule *ret);
