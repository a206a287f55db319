/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A spool directory: whether it is there, what is in it, and what became of each file. It is held open only while
 * there is something to do, so that a stick can be unmounted at any other time. All calls may wait for the medium.
 */
#pragma once

#include "config.h"
#include "log.h"
#include "spool_list.h"

struct spool_folder {
	char id[32], path[128]; /* as configured */
	struct spool_pace pace;
	bool inside;	     /* it is there */
	const char *absence; /* else: the word for state(); "" once all of it was seen */
	const char *why;     /* and why it was left; both static */
	int dir;	     /* -1: shut */
	int watch;	     /* an inotify; -1: none, it is only looked at from time to time */
	dev_t dev;
	ino_t ino;
	struct spool_list list;
	uint64_t look_us; /* when it is looked at again, or for */
	bool crowded;	  /* more names than the list holds */
	bool said_crowded, said_watch;
	struct log_limit said_absence, said_left, said_moved, said_kept;
};

void spool_folder_init(
	struct spool_folder *f, const char *id, const char *path, const struct spool_pace *pace);
/* Finds it, or hears what came and looks around when it is time. `inside` says whether it is there then. */
void spool_folder_turn(struct spool_folder *f, uint64_t now_us);
void spool_folder_end(struct spool_folder *f);

/* Makes sure that `dir` is open and what it was; else it is left. -errno. */
int spool_folder_open(struct spool_folder *f, uint64_t now_us);
void spool_folder_shut(struct spool_folder *f);

/* `x` could not be read, because of `error` of spool_read(), or -ENODATA: it stays empty. `x` may be gone then. */
void spool_folder_failed(struct spool_folder *f, struct spool_name *x, int error, uint64_t now_us);
/* This file, as it was when it was read, is stored: it goes to done/. */
void spool_folder_done(
	struct spool_folder *f, const char *name, const struct spool_stamp *stamp, uint64_t now_us);
/* "connected", "unreadable", "error": something cannot be moved away. */
const char *spool_folder_state(const struct spool_folder *f);
