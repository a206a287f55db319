/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything that a gateway goes by and that people write: vitalgate.yaml, the code, form and rule tables, the
 * profiles. Read and checked as one: either all of it holds or none of it is taken. The devices that enrolment
 * keeps (enrolled.h) are part of it.
 */
#pragma once

#include "codes.h"
#include "config.h"
#include "driver.h"
#include "followup.h"
#include "numbers.h"
#include "rule.h"
#include "ws.h"

struct policy {
	unsigned users;	     /* loop; reload.h */
	struct policy *base; /* whose tables these are; NULL: its own */
	struct config config;
	struct codes *codes;
	struct alert_rules *rules;
	struct forms *forms;
	struct numbers *numbers;
	struct ws *ws;
	struct drivers *drivers;
};

/* NULL with `error`, one sentence that says file, line, key and what was expected; CONFIG_ERROR_MAX bytes
 * hold it. */
struct policy *policy_load(const char *path, char *error, size_t error_size);
/* The same from a copy that lastgood_save() made: its own tables and profiles stand for those that the file names.
 * Enrolled devices that do not fit into it are left out, said in the log. */
struct policy *policy_load_copy(const char *directory, char *error, size_t error_size);
/* The policy `p` with one device more, less or other: the one named `id` is what `d` says; NULL: it is gone. The
 * tables stay those of `p` (`base`), which the caller joins. NULL with `error`. */
struct policy *policy_change(struct policy *p, const char *id, const struct config_device *d,
	char *error, size_t error_size);
void policy_free(struct policy *p);
