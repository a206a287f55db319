/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that a gateway goes by and that people write: vitalgate.yaml, the code, form and rule tables, the
 * profiles. Read and checked as one: either all of it holds or none of it is taken.
 */
#pragma once

#include "alert.h"
#include "codes.h"
#include "config.h"
#include "driver.h"
#include "followup.h"

struct policy {
	struct config config;
	struct codes *codes;
	struct alert_rules *rules;
	struct forms *forms;
	struct drivers *drivers;
};

/* NULL with `error`, one sentence that
 * says file, line, key and what was expected; CONFIG_ERROR_MAX bytes hold it. */
struct policy *policy_load(const char *path, char *error, size_t error_size);
void policy_free(struct policy *p);
