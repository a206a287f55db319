/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs the sandboxed program vitalgate-ecg on an original: bytes on its stdin, JSON from its stdout. It may
 * crash, hang or eat memory: the answer is then why there is none. One run at a time. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define DECODER_ANSWER_MAX (256 * 1024)	       /* longer is no answer */
#define DECODER_TIME_US (INT64_C(5) * 1000000) /* a good file takes a hundredth of it */

struct decoder;

/* `text` is NULL when there is no answer; then `why` is short English, and `passing` says that another try may do better:
 * it ran out of time or was killed. Texts are borrowed. */
typedef void (*decoder_done_t)(
	void *arg, const char *text, size_t len, const char *why, bool passing);

int decoder_new(sd_event *loop, struct decoder **ret);
/* Ends a run that is on its way; nobody is told. */
void decoder_free(struct decoder *d);
/* For tests: another program than the one beside our own, else the installed one; another time limit (0: ours). */
void decoder_use(struct decoder *d, const char *path, int64_t limit_us);
/* 0: `done` follows, once; -EBUSY; -errno: it could not be started (-ENOENT: it is not installed). */
int decoder_run(
	struct decoder *d, const uint8_t *bytes, size_t len, decoder_done_t done, void *arg);
