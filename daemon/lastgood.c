/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lastgood.h"

#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#define FILE_MAX (4u << 20)
#define PATH_SIZE 512

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The whole of a file; NULL with errno. */
static char *slurp(const char *path, size_t *ret_len)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	_cleanup_(freep) char *text = f ? malloc(FILE_MAX) : NULL;
	if (!text)
		return NULL;
	*ret_len = fread(text, 1, FILE_MAX, f);
	if (*ret_len == FILE_MAX)
		errno = EFBIG;
	if (ferror(f) || *ret_len == FILE_MAX)
		return NULL;
	return TAKE(text);
}

static bool same_file(const char *a, const char *b)
{
	size_t la = 0, lb = 0;
	_cleanup_(freep) char *x = slurp(a, &la);
	_cleanup_(freep) char *y = slurp(b, &lb);
	return x && y && la == lb && memcmp(x, y, la) == 0;
}

int lastgood_copy(const char *from, const char *to)
{
	size_t len = 0;
	_cleanup_(freep) char *text = slurp(from, &len);
	if (!text)
		return -errno;
	_cleanup_(closep) int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int sync_directory(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static bool is_table(const char *name)
{
	const char *dot = strrchr(name, '.');
	return name[0] != '.' && dot && (streq(dot, ".yaml") || streq(dot, ".csv"));
}

/* What is done with each table of `from` and its counterpart in `to`. */
typedef int visit(const char *from, const char *to);

static int each_table(const char *from, const char *to, visit *call)
{
	DIR *d = opendir(from);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	int rc = 0;
	for (const struct dirent *e; rc >= 0 && (e = readdir(d));) {
		char a[PATH_SIZE], b[PATH_SIZE];
		if (!is_table(e->d_name))
			continue;
		snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
		rc = call(a, b);
	}
	closedir(d);
	return rc;
}

static int must_be_same(const char *from, const char *to)
{
	return same_file(from, to) ? 0 : -ESTALE;
}

/* Directories of tables and where their copies are. */
struct pair {
	char from[PATH_SIZE], to[PATH_SIZE];
};
#define PAIRS 3

static void pair_up(
	struct pair *pairs, const char *directory, const char *tables, const char *profiles)
{
	snprintf(pairs[0].from, PATH_SIZE, "%s", tables);
	snprintf(pairs[0].to, PATH_SIZE, "%s/tables", directory);
	snprintf(pairs[1].from, PATH_SIZE, "%s/profiles", tables);
	snprintf(pairs[1].to, PATH_SIZE, "%s/tables/profiles", directory);
	snprintf(pairs[2].from, PATH_SIZE, "%s", profiles);
	snprintf(pairs[2].to, PATH_SIZE, "%s/profiles", directory);
}

/* Each has what the other has, and the same in it. */
static bool up_to_date(const char *directory, const char *config, const struct pair *pairs)
{
	char file[PATH_SIZE];
	snprintf(file, sizeof(file), "%s/vitalgate.yaml", directory);
	bool same = same_file(config, file);
	for (size_t i = 0; same && i < PAIRS; i++)
		same = each_table(pairs[i].from, pairs[i].to, must_be_same) == 0 &&
		       each_table(pairs[i].to, pairs[i].from, must_be_same) == 0;
	return same;
}

static int copy_all(const char *directory, const char *config, const struct pair *pairs)
{
	char file[PATH_SIZE + 16];
	snprintf(file, sizeof(file), "%s/vitalgate.yaml", directory);
	int rc = mkdir(directory, 0750) < 0 ? -errno : lastgood_copy(config, file);
	for (size_t i = 0; rc >= 0 && i < PAIRS; i++) {
		rc = mkdir(pairs[i].to, 0750) < 0 ? -errno : 0;
		if (rc >= 0)
			rc = each_table(pairs[i].from, pairs[i].to, lastgood_copy);
		if (rc >= 0)
			rc = sync_directory(pairs[i].to);
	}
	return rc < 0 ? rc : sync_directory(directory);
}

int lastgood_save(
	const char *directory, const char *config, const char *tables, const char *profiles)
{
	char fresh[PATH_SIZE];
	struct pair pairs[PAIRS];
	pair_up(pairs, directory, tables, profiles);
	if (up_to_date(directory, config, pairs))
		return 0;
	snprintf(fresh, sizeof(fresh), "%s.new", directory);
	remove_tree(fresh);
	pair_up(pairs, fresh, tables, profiles);
	int rc = copy_all(fresh, config, pairs);
	/* Exchanged in one step: there is always a whole copy. */
	if (rc >= 0 && renameat2(AT_FDCWD, fresh, AT_FDCWD, directory, RENAME_EXCHANGE) < 0)
		rc = errno == ENOENT && rename(fresh, directory) == 0 ? 0 : -errno;
	remove_tree(fresh);
	return rc;
}
