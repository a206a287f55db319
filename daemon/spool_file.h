/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One file of a spool directory: looked at, read whole, moved away. Whoever may write into the directory is not
 * trusted with anything else: links are never followed, only plain files with one name are opened, nothing is
 * overwritten. All calls may wait for the medium. `dir` is open on the directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a file is known again by. */
struct spool_stamp {
	mode_t type; /* S_IFREG ... */
	nlink_t links;
	ino_t ino;
	off_t size;
	int64_t mtime_ns;
	int64_t ctime_ns; /* no writer can set it */
};

/* Size, time, kind and number of links are the same. The inode says nothing on media that make up their numbers. */
bool spool_unchanged(const struct spool_stamp *a, const struct spool_stamp *b);
/* ... and the inode, and when it was changed in any way. */
bool spool_same_file(const struct spool_stamp *a, const struct spool_stamp *b);

int spool_look(int dir, const char *name, struct spool_stamp *ret);

/* The whole file, to be freed. -EAGAIN: it is not, or does not stay, as `stamp` says; -EFBIG: longer than VG_STUDY_MAX;
 * -ELOOP, -ENOTSUP: a link, or something else that is no file; -EMLINK: it has several names; -ENOENT, -EACCES, -EIO ...;
 * `ret` is not NULL when the file is empty. */
int spool_read(
	int dir, const char *name, const struct spool_stamp *stamp, uint8_t **ret, size_t *ret_len);

/* Into the directory `folder` below, which is made when it is missing; as NAME, or NAME.1, NAME.2 ... when that is
 * taken. -EAGAIN: it is another file than `stamp` says, and stays. */
int spool_move(int dir, const char *name, const struct spool_stamp *stamp, const char *folder);

/* A name may say who was recorded, and so does its hash to whoever tries all names: "a file .scp of 1234 bytes (inode
 * 42)", which `find -inum` finds. Returns `out`. */
const char *spool_describe(
	const char *name, const struct spool_stamp *stamp, char *out, size_t size);
