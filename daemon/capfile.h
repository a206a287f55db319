/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads captures (.cap): what an instrument said, what it was answered, and when. `vitalgate decode` and the
 * replay transport read them here; capture.c writes them. The format: drivers/README.md.
 */
#pragma once

#include "util.h"

#include <sys/types.h>
#include <vitalgate/driver.h>

#define CAPFILE_BYTES_MAX (2 * VG_FRAME_MAX) /* of one line */
#define CAPFILE_SENT_MAX 65536
#define CAPFILE_ERROR_MAX 320
#define CAPFILE_OPTIONS_MAX 16
#define CAPFILE_MARKS_MAX 4

enum capfile_word {
	CAPFILE_HEARD,
	CAPFILE_SENT,
	CAPFILE_KEPT,
	CAPFILE_REFUSED,
	CAPFILE_WAIT,
	CAPFILE_DENIED,
	CAPFILE_HUNG_UP
};

/* One line behind the head. */
struct capfile_step {
	enum capfile_word word;
	int channel; /* heard, sent: index into the driver's table; -1: a handle that nobody asked for */
	bool indication; /* heard: it wants to be confirmed */
	const uint8_t *bytes;
	size_t len;
	unsigned wait_ms;
	uint8_t code; /* denied: ATT error of what was sent to `channel` */
};

struct capfile_option {
	char name[24], value[64];
};

struct capfile_mark {
	char key[16];
	uint8_t value[64];
	size_t len;
};

struct capfile {
	/* the head */
	char device[24];       /* name of the driver */
	struct vg_civil clock; /* what the site's clocks showed at the beginning */
	bool live;	       /* from the session's beginning, no excerpt */
	bool by_hand;	       /* it gives every verdict itself */
	unsigned n_options;
	struct capfile_option options[CAPFILE_OPTIONS_MAX];
	unsigned n_marks;
	struct capfile_mark marks[CAPFILE_MARKS_MAX]; /* of earlier sessions */
	unsigned line;				      /* the one read last, from 1 */
	/* the reader's own */
	const char *path;
	const struct vg_driver *driver;
	int channel;
	char *text, *next;
	uint8_t bytes[CAPFILE_BYTES_MAX];
};

/* Reads the file and its head, up to `device`. NULL with `error` (CAPFILE_ERROR_MAX bytes): one sentence with
 * file and line. `path` is borrowed. */
struct capfile *capfile_open(const char *path, char *error);
void capfile_free(struct capfile *c);
DEFINE_CLEANUP(struct capfile *, capfile_free)
/* The driver that `device` names, before the first step; borrowed. */
void capfile_driver(struct capfile *c, const struct vg_driver *driver);
/* 1 with the next step, valid until the one after it; 0 behind the last; -EINVAL with `error`. */
int capfile_next(struct capfile *c, struct capfile_step *ret, char *error);
const char *capfile_option(const struct capfile *c, const char *name); /* NULL: not there */

/* What a driver sent and no step has asked for yet. */
struct capfile_sent {
	size_t n;
	struct {
		uint8_t byte, channel;
	} at[CAPFILE_SENT_MAX];
};

bool capfile_sent_add(
	struct capfile_sent *q, unsigned channel, const void *bytes, size_t len); /* false: full */
/* Takes the bytes of a step (sent) off its front: 1; 0: fewer are there; -1: there is something else. */
int capfile_sent_take(struct capfile_sent *q, const struct capfile_step *step);

/* Hex digits, with blanks, colons or dashes between bytes. Number of bytes, or -EINVAL. */
ssize_t capfile_hex(const char *text, uint8_t *out, size_t size);
/* "2a35": a channel of the driver by name; "0" where there is only one. -EINVAL: there is none. */
int capfile_channel(const struct vg_driver *driver, const char *name);
