/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "spool_file.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <strings.h>
#include <sys/stat.h>
#include <vitalgate/driver.h>

#define COPIES_MAX 1000000 /* of one name in done/ */
#define FOLDER_MODE 0770

bool spool_unchanged(const struct spool_stamp *a, const struct spool_stamp *b)
{
	return a->size == b->size && a->mtime_ns == b->mtime_ns && a->type == b->type &&
	       a->links == b->links;
}

bool spool_same_file(const struct spool_stamp *a, const struct spool_stamp *b)
{
	return spool_unchanged(a, b) && a->ino == b->ino && a->ctime_ns == b->ctime_ns;
}

static int64_t ns(struct timespec t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static struct spool_stamp stamp_of(const struct stat *st)
{
	return (struct spool_stamp){.type = st->st_mode & S_IFMT,
		.links = st->st_nlink,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime_ns = ns(st->st_mtim),
		.ctime_ns = ns(st->st_ctim)};
}

int spool_look(int dir, const char *name, struct spool_stamp *ret)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret = stamp_of(&st);
	return 0;
}

/* reading */

/* The open file is still the one that `stamp` says. */
static int check(int fd, const struct spool_stamp *stamp)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	struct spool_stamp now = stamp_of(&st);
	return spool_same_file(&now, stamp) ? 0 : -EAGAIN;
}

/* `size` bytes and not one more. */
static int read_whole(int fd, uint8_t *to, size_t size)
{
	uint8_t more;
	for (size_t n = 0; n <= size;) {
		ssize_t r = n < size ? read(fd, to + n, size - n) : read(fd, &more, 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return n == size ? 0 : -EAGAIN;
		n += (size_t)r;
	}
	return -EAGAIN;
}

int spool_read(
	int dir, const char *name, const struct spool_stamp *stamp, uint8_t **ret, size_t *ret_len)
{
	struct spool_stamp now;
	int r = spool_look(dir, name, &now);
	if (r < 0)
		return r;
	if (!spool_unchanged(&now, stamp))
		return -EAGAIN;
	if (!S_ISREG(now.type))
		return S_ISLNK(now.type) ? -ELOOP : -ENOTSUP;
	if (now.links > 1)
		return -EMLINK;
	if (now.size > VG_STUDY_MAX)
		return -EFBIG;
	/* Something else may be there by now: it is neither followed nor waited for. */
	_cleanup_(closep) int fd =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t size = (size_t)now.size;
	_cleanup_(freep) uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return -ENOMEM;
	r = check(fd, &now);
	r = r < 0 ? r : read_whole(fd, bytes, size);
	r = r < 0 ? r : check(fd, &now);
	if (r < 0)
		return r;
	*ret = TAKE(bytes);
	*ret_len = size;
	return 0;
}

/* moving */

static int folder_open(int dir, const char *folder)
{
	bool made = mkdirat(dir, folder, FOLDER_MODE) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	int fd = openat(dir, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Our mask keeps the group out. Some media know no modes: all the same. */
	if (made && fchmod(fd, FOLDER_MODE) < 0)
		errno = 0;
	return fd;
}

/* NAME.n, cut where a character begins when that would be too long. */
static void name_copy(char *out, size_t size, const char *name, unsigned n)
{
	char suffix[16] = "";
	if (n)
		snprintf(suffix, sizeof(suffix), ".%u", n);
	size_t len = MIN(strlen(name), size - 1 - strlen(suffix));
	while (name[len] && len && (name[len] & 0xc0) == 0x80)
		len--;
	snprintf(out, size, "%.*s%s", (int)len, name, suffix);
}

static int rename_new(int from, const char *name, int to, const char *as)
{
	struct stat st;
	if (renameat2(from, name, to, as, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot do it (NFS): nobody else writes there. */
	if (fstatat(to, as, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(from, name, to, as) < 0 ? -errno : 0;
}

static int rename_free(int from, const char *name, int to, char *as, size_t size, const char *wish)
{
	int r = -EEXIST;
	for (unsigned n = 0; r == -EEXIST && n < COPIES_MAX; n++) {
		name_copy(as, size, wish, n);
		r = rename_new(from, name, to, as);
	}
	return r;
}

int spool_move(int dir, const char *name, const struct spool_stamp *stamp, const char *folder)
{
	char as[NAME_MAX + 1], back[NAME_MAX + 1];
	struct spool_stamp now;
	int r = spool_look(dir, name, &now);
	if (r < 0)
		return r;
	if (!spool_same_file(&now, stamp))
		return -EAGAIN;
	_cleanup_(closep) int to = folder_open(dir, folder);
	if (to < 0)
		return to;
	r = rename_free(dir, name, to, as, sizeof(as), name);
	if (r < 0)
		return r;
	/* Another one took its name in this very moment: that one nobody has read. */
	if (spool_look(to, as, &now) == 0 && !spool_unchanged(&now, stamp)) {
		r = rename_free(to, as, dir, back, sizeof(back), name);
		return r < 0 ? r : -EAGAIN;
	}
	return 0;
}

/* naming */

/* An extension that is not on this list may be part of somebody's name. */
static const char *kind(const char *name)
{
	static const char *const known[] = {"scp", "ecg", "xml", "hl7", "aecg", "dcm", "dicom",
		"pdf", "dat", "bin", "zip", "txt", "csv", "log", "jpg", "png", "bmp", "doc", "exe",
		"lnk", "ini", "db", "url"};
	const char *dot = strrchr(name, '.');
	for (size_t i = 0; dot && i < ELEMENTS(known); i++)
		if (!strcasecmp(dot + 1, known[i]))
			return known[i];
	return NULL;
}

const char *spool_describe(
	const char *name, const struct spool_stamp *stamp, char *out, size_t size)
{
	const char *extension = kind(name);
	snprintf(out, size, "a file %s%s of %lld bytes (inode %llu)",
		extension ? "." : "of another kind", extension ? extension : "",
		(long long)stamp->size, (unsigned long long)stamp->ino);
	return out;
}
