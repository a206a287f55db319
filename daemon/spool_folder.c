/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "spool_folder.h"

#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define AGAIN_US 1000000 /* after it went, it may be there again at once: somebody made it anew */
#define DONE "done"
#define REFUSED "refused"
#define LOG_BURST 6 /* lines of one cause a minute */

void spool_folder_init(
	struct spool_folder *f, const char *id, const char *path, const struct spool_pace *pace)
{
	*f = (struct spool_folder){.pace = *pace, .absence = "", .why = "", .dir = -1, .watch = -1};
	text_copy(f->id, sizeof(f->id), id, strlen(id));
	text_copy(f->path, sizeof(f->path), path, strlen(path));
}

/* there or not */

void spool_folder_shut(struct spool_folder *f)
{
	closep(&f->dir);
	f->dir = -1;
}

static const char *word_for(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
	case ENOMEDIUM:
		return "absent";
	case EACCES:
	case EPERM:
		return "denied";
	}
	return "error";
}

static void stay_out(struct spool_folder *f, int error, uint64_t now_us)
{
	const char *word = word_for(error);
	const char *next = streq(word, "absent") ? "make it, plug the medium in, or check `address`"
			   : streq(word, "denied") ? "let this program read and write it"
			   : error == ENOTDIR	   ? "`address` must name a directory"
			   : error == ELOOP
				   ? "`address` must not go through a link: write the real path"
				   : "look at the kernel's log";
	unsigned held_back;
	uint64_t wait_us = f->pace.scan_ms * UINT64_C(1000);
	if (!streq(word, f->absence) && log_allowed(&f->said_absence, LOG_BURST, &held_back))
		log_note(f->id, "waiting for %s: %s: %s", f->path, strerrordesc_np(error), next);
	f->look_us = now_us + (f->absence[0] ? wait_us : MIN(AGAIN_US, wait_us));
	f->absence = word;
}

void spool_folder_end(struct spool_folder *f)
{
	spool_folder_shut(f);
	closep(&f->watch);
	f->watch = -1;
	spool_list_clear(&f->list);
	f->inside = f->crowded = false;
}

/* It cannot be used any more. */
static void leave(struct spool_folder *f, int error, uint64_t now_us)
{
	spool_folder_end(f);
	f->why = error == ENOENT ? "the directory is gone" : strerrordesc_np(error);
	stay_out(f, error, now_us);
}

/* One step down, never through a link. -errno. */
static int step(int dir, const char *name, bool last)
{
	struct stat st;
	int fd = openat(
		dir, name, (last ? O_RDONLY : O_PATH) | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd;
	if (r == -ENOTDIR && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISLNK(st.st_mode))
		return -ELOOP;
	return r;
}

/* Whoever may drop files could put a link to our store in the place of the directory: no link is followed. (openat2()
 * would say it in one call, and is not there in some containers.) */
static int open_dir(const struct spool_folder *f, struct stat *ret)
{
	char path[PATH_MAX], *save = NULL;
	text_copy(path, sizeof(path), f->path, strlen(f->path));
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *name = fd < 0 ? NULL : strtok_r(path, "/", &save);
	while (name) {
		char *after = strtok_r(NULL, "/", &save);
		int next = step(fd, name, !after);
		close(fd);
		if (next < 0)
			return next;
		fd = next;
		name = after;
	}
	if (fd < 0 || fstat(fd, ret) == 0)
		return fd < 0 ? -errno : fd;
	int r = -errno;
	close(fd);
	return r;
}

/* Without it we still look around: shares of other machines tell nothing anyway. */
static void watch(struct spool_folder *f)
{
	f->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int r = f->watch < 0 ? -errno : 0;
	if (r == 0 && inotify_add_watch(f->watch, f->path,
			      IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF |
				      IN_MOVE_SELF | IN_ONLYDIR) < 0)
		r = -errno;
	if (r == 0)
		return;
	closep(&f->watch);
	f->watch = -1;
	if (!f->said_watch)
		log_warn(f->id,
			"%s tells nothing (%s): it is looked at every %u s; raise "
			"fs.inotify.max_user_instances or max_user_watches",
			f->path, strerrordesc_np(-r), f->pace.scan_ms / 1000);
	f->said_watch = true;
}

static void enter(struct spool_folder *f, uint64_t now_us)
{
	struct stat st;
	int fd = open_dir(f, &st);
	if (fd < 0) {
		stay_out(f, -fd, now_us);
		return;
	}
	f->dir = fd;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->inside = true;
	f->look_us = now_us;
	watch(f);
}

int spool_folder_open(struct spool_folder *f, uint64_t now_us)
{
	struct stat st;
	if (!f->inside)
		return -ENOTCONN;
	if (f->dir >= 0)
		return 0;
	int fd = open_dir(f, &st);
	if (fd < 0) {
		leave(f, -fd, now_us);
		return fd;
	}
	f->dir = fd;
	if (st.st_dev == f->dev && st.st_ino == f->ino)
		return 0;
	leave(f, ENOENT, now_us); /* another one has its path now */
	return -ENOENT;
}

/* what is in it */

/* -EACCES: nothing in the directory may be looked at. */
static int see(struct spool_folder *f, const char *name, enum spool_word word, uint64_t now_us)
{
	struct spool_stamp stamp = {0}; /* of what the medium does not give: to be told of */
	int r = spool_name_counts(name) ? spool_look(f->dir, name, &stamp) : -ENOENT;
	if (r == -EACCES)
		return r;
	if (r == -ENOENT || S_ISDIR(stamp.type))
		return 0;
	/* A link or a pipe has no writer who will close it. */
	if (word == SPOOL_MADE && (!S_ISREG(stamp.type) || stamp.links > 1))
		word = SPOOL_FOUND;
	if (spool_list_see(&f->list, name, &stamp, word, now_us) < 0)
		f->crowded = true;
	return 0;
}

static void hear(struct spool_folder *f, uint64_t now_us)
{
	_Alignas(struct inotify_event) char
		buffer[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	ssize_t n;
	while (f->watch >= 0 && (n = read(f->watch, buffer, sizeof(buffer))) > 0) {
		const struct inotify_event *e;
		for (char *p = buffer; f->inside && p < buffer + n; p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)(const void *)p;
			if (e->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)) {
				leave(f, ENOENT, now_us);
				return;
			}
			if (e->mask & IN_Q_OVERFLOW)
				f->look_us = now_us;
			else if (e->len && !(e->mask & IN_ISDIR) &&
				 spool_folder_open(f, now_us) == 0 &&
				 see(f, e->name, e->mask & IN_CREATE ? SPOOL_MADE : SPOOL_TOLD,
					 now_us) < 0)
				leave(f, EACCES, now_us);
		}
	}
}

/* What could not be moved away is tried again, until one says that it still cannot be. */
static void move_kept(struct spool_folder *f, uint64_t now_us)
{
	for (size_t i = 0; i < f->list.n;) {
		struct spool_name *x = f->list.names[i];
		size_t before = f->list.n;
		char name[NAME_MAX + 1];
		if (x->standing != SPOOL_KEPT) {
			i++;
			continue;
		}
		text_copy(name, sizeof(name), x->name, strlen(x->name));
		const struct spool_stamp stamp = x->stamp;
		spool_folder_done(f, name, &stamp, now_us);
		if (f->list.n == before)
			return;
	}
}

static void look_around(struct spool_folder *f, uint64_t now_us)
{
	f->look_us = now_us + f->pace.scan_ms * UINT64_C(1000);
	if (spool_folder_open(f, now_us) < 0)
		return;
	int fd = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	f->crowded = false;
	spool_list_scan_begins(&f->list);
	const struct dirent *entry = NULL;
	errno = d ? 0 : errno;
	int error = 0;
	while (d && !error && (entry = readdir(d))) {
		error = -see(f, entry->d_name, SPOOL_FOUND, now_us);
		errno = 0;
	}
	error = error ? error : errno;
	if (d)
		closedir(d);
	else
		closep(&fd);
	if (error) {
		leave(f, error, now_us);
		return;
	}
	f->absence = "";
	spool_list_scanned(&f->list);
	move_kept(f, now_us);
	if (f->crowded && !f->said_crowded)
		log_warn(f->id, "%s has more than %u files: the others wait until some are done",
			f->path, SPOOL_NAMES_MAX);
	f->said_crowded = f->crowded;
}

void spool_folder_turn(struct spool_folder *f, uint64_t now_us)
{
	if (!f->inside && now_us >= f->look_us)
		enter(f, now_us);
	if (f->inside)
		hear(f, now_us);
	if (f->inside && now_us >= f->look_us)
		look_around(f, now_us);
}

/* what becomes of a file */

static void log_about(struct spool_folder *f, struct log_limit *limit, const char *name,
	const struct spool_stamp *stamp, const char *what, const char *next)
{
	char text[160];
	unsigned held_back;
	if (!log_allowed(limit, LOG_BURST, &held_back))
		return;
	if (held_back)
		log_warn(f->id, "%s: %u more like the following", f->path, held_back);
	log_warn(f->id, "%s: %s %s: %s", f->path, spool_describe(name, stamp, text, sizeof(text)),
		what, next);
}

static const char *help_for(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
		return "let the group of this program read it";
	case EMLINK:
		return "it has another name elsewhere (hard link): put a copy there instead";
	case ELOOP:
		return "links are not followed: put the file itself there";
	case ENOTSUP:
		return "it is no file: take it away";
	case EIO:
		return "the medium fails: put it there once more from another one";
	}
	return "look at the kernel's log";
}

static void leave_there(struct spool_folder *f, struct spool_name *x, int error)
{
	char what[96];
	snprintf(what, sizeof(what), "is left there (%s)", strerrordesc_np(-error));
	if (!x->said || x->error != error)
		log_about(f, &f->said_left, x->name, &x->stamp, what, help_for(error));
	x->standing = SPOOL_LEFT;
	x->error = error;
	x->said = true;
}

/* No study can be in it: it must not stand in the way of others. */
static void refuse(struct spool_folder *f, struct spool_name *x, int error, uint64_t now_us)
{
	int r = spool_move(f->dir, x->name, &x->stamp, REFUSED);
	if (r == -EAGAIN || r == -ENOENT) {
		spool_folder_failed(f, x, r, now_us);
		return;
	}
	if (r < 0) {
		leave_there(f, x, r);
		return;
	}
	log_about(f, &f->said_moved, x->name, &x->stamp,
		error == -EFBIG ? "is longer than 4 MiB and was moved to " REFUSED "/"
				: "stayed empty and was moved to " REFUSED "/",
		error == -EFBIG ? "one recording is smaller; export it alone"
				: "send it again, and look whether its medium is full");
	spool_list_forget(&f->list, x);
}

void spool_folder_failed(struct spool_folder *f, struct spool_name *x, int error, uint64_t now_us)
{
	struct spool_stamp stamp;
	if (error == -EAGAIN)
		error = spool_look(f->dir, x->name, &stamp);
	if (error == -ENOENT) {
		spool_list_forget(&f->list, x);
	} else if (error == 0) {
		spool_list_see(&f->list, x->name, &stamp, SPOOL_FOUND, now_us);
		x->standing = SPOOL_WAITS;
		x->since_us = now_us;
	} else if (error == -EFBIG || error == -ENODATA) {
		refuse(f, x, error, now_us);
	} else {
		leave_there(f, x, error);
	}
}

void spool_folder_done(
	struct spool_folder *f, const char *name, const struct spool_stamp *stamp, uint64_t now_us)
{
	char what[96];
	int r = spool_move(f->dir, name, stamp, DONE);
	struct spool_name *x = spool_list_find(&f->list, name);
	if (r >= 0 && f->crowded && f->list.n < SPOOL_NAMES_MAX / 2)
		f->look_us = now_us;
	if (!x)
		return;
	if (r >= 0) {
		spool_list_forget(&f->list, x);
		return;
	}
	if (r == -EAGAIN || r == -ENOENT) {
		spool_folder_failed(f, x, r, now_us);
		return;
	}
	snprintf(what, sizeof(what), "is stored, but cannot be moved to " DONE "/ (%s)",
		strerrordesc_np(-r));
	if (!x->said)
		log_about(f, &f->said_kept, name, stamp, what,
			r == -EROFS ? "the medium is read-only, or this program may not write here "
				      "(ReadWritePaths= of its unit)"
				    : "let this program write there");
	x->standing = SPOOL_KEPT;
	x->error = r;
	x->said = true;
}

const char *spool_folder_state(const struct spool_folder *f)
{
	const char *state = "connected";
	for (size_t i = 0; i < f->list.n; i++) {
		if (f->list.names[i]->standing == SPOOL_KEPT)
			return "error";
		if (f->list.names[i]->error)
			state = "unreadable";
	}
	return state;
}
