/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said of a stored alert: its sentences (alert_text.h), and what a display at a station shows. Store thread; reads only. */
#pragma once

#include "db.h"
#include "json.h"

struct gateway;

/* "text_zh", "text_en" and, when there is something for the resident, "resident_text":{"zh","en"} of the alert in this row,
 * into an open object. 0 or -errno. */
int alert_said(const struct gateway *g, struct db *db, int64_t row, struct json *j);
