/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What enrolment asks of the store thread. */
#pragma once

#include "enrol.h"
#include "gateway.h"

struct enrol_job {
	struct job job;
	struct gateway *gateway;
	void (*done)(struct enrol_job *j, int result); /* loop; `j` is freed behind it */
	void *arg;
	uint32_t serial;
	struct config_device device;
	struct enrol_whose whose;
	bool replaces;
	char author[64];
	const char *action; /* static, of an audit row */
	int64_t since; /* row of `reading` after which its readings count; the newest of them */
	/* answers */
	char error[256], zh[256];
	char *reading; /* as in `vitalgate readings`; NULL: none */
	bool drained;  /* it told everything in its memory */
};

/* NULL: out of memory. */
struct enrol_job *enrol_job(struct gateway *g, const char *author);
/* Its name may have been another instrument's: identity, marks and bindings of that one end. Answers `since`. */
void enrol_store_prepare(struct enrol_job *j);
/* Its readings behind `since`: the newest. */
void enrol_store_look(struct enrol_job *j);
/* Binds it from now on, and writes it down. */
void enrol_store_save(struct enrol_job *j);
/* A line of audit: `action`, and the device's id. */
void enrol_store_audit(struct enrol_job *j);

/* Store thread: what was known of the instrument named `id` is another one's, or nobody's, from now on. Readings
 * stay. 0 or -errno. */
int enrol_store_forget(struct db *db, const char *id);
int enrol_store_note(
	struct db *db, const char *author, const char *action, const char *id, const char *detail);
