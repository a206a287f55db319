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
	unsigned users; /* loop; reload.h */
	struct config config;
	struct codes *codes;
	struct alert_rules *rules;
	struct forms *forms;
	struct drivers *drivers;
};

/* NULL with `error`, one sentence that says file, line, key and what was expected; CONFIG_ERROR_MAX bytes
 * hold it. */
struct policy *policy_load(const char *path, char *error, size_t error_size);
/* The same from a copy that lastgood_save() made: its own tables and profiles stand for those that the file names. */
struct policy *policy_load_copy(const char *directory, char *error, size_t error_size);
void policy_free(struct policy *p);
