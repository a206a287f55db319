/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names that were seen in a spool directory, and whose turn it is: the oldest of those that have not changed for
 * long enough. Pure.
 */
#pragma once

#include "spool_file.h"

#define SPOOL_NAMES_MAX 10000

/* Milliseconds. */
struct spool_pace {
	unsigned told_ms;     /* without a change since its writer closed it, a file is whole */
	unsigned found_ms;    /* the same for one that was only found */
	unsigned patience_ms; /* so long an incomplete file, or one held open, waits for the rest */
	unsigned scan_ms;     /* from one look at the whole directory to the next */
	unsigned rest_ms;     /* after a refusal */
};

/* What the kernel says of a file. */
enum spool_word {
	SPOOL_FOUND, /* nothing */
	SPOOL_TOLD,  /* its writer closed it, or it came by a rename */
	SPOOL_MADE,  /* somebody made it, and may have it open */
};

enum spool_standing {
	SPOOL_WAITS,   /* until it does not change any more, then it is read */
	SPOOL_PARTIAL, /* it was read and is not complete */
	SPOOL_LEFT,    /* it could not be read, see `error` */
	SPOOL_KEPT,    /* it is stored, but could not be moved away, see `error` */
};

struct spool_name {
	struct spool_stamp stamp;
	uint64_t since_us; /* its last change that we know of, by CLOCK_BOOTTIME */
	enum spool_standing standing;
	int error; /* -errno of the last attempt */
	enum spool_word word;
	bool said; /* `error` stands in the log */
	bool seen; /* in the scan at hand */
	char name[];
};

/* Sorted by name. All zero: empty. */
struct spool_list {
	struct spool_name **names;
	size_t n;
};

/* A name that is finished: not hidden, and not what programs call a file that they still write. */
bool spool_name_counts(const char *name);

/* A file as it is now. -ENOBUFS: there are SPOOL_NAMES_MAX; -ENOMEM. */
int spool_list_see(struct spool_list *l, const char *name, const struct spool_stamp *stamp,
	enum spool_word word, uint64_t now_us);
struct spool_name *spool_list_find(const struct spool_list *l, const char *name);
void spool_list_forget(struct spool_list *l, struct spool_name *x);
void spool_list_clear(struct spool_list *l);

/* Before and after all names of the directory were seen: who is not among them is forgotten. What could not be read
 * for a reason that may pass (rights, the medium) is to be tried again. */
void spool_list_scan_begins(struct spool_list *l);
void spool_list_scanned(struct spool_list *l);

/* Whose turn it is, or NULL and when it may be somebody's (UINT64_MAX: not before something happens). */
struct spool_name *spool_list_next(const struct spool_list *l, const struct spool_pace *pace,
	uint64_t now_us, uint64_t *ret_until_us);
