/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "spool_list.h"

#include "util.h"

#include <errno.h>
#include <strings.h>
#include <sys/stat.h>

#define GROWTH 64 /* names for which room is made at once */

bool spool_name_counts(const char *name)
{
	static const char *const unfinished[] = {
		".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".swp", "~"};
	size_t len = strlen(name);
	for (size_t i = 0; i < ELEMENTS(unfinished); i++) {
		size_t n = strlen(unfinished[i]);
		if (len >= n && !strcasecmp(name + len - n, unfinished[i]))
			return false;
	}
	return name[0] != '.';
}

/* Where `name` stands or belongs. */
static size_t place_of(const struct spool_list *l, const char *name)
{
	size_t low = 0, high = l->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(l->names[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct spool_name *spool_list_find(const struct spool_list *l, const char *name)
{
	size_t at = place_of(l, name);
	return at < l->n && streq(l->names[at]->name, name) ? l->names[at] : NULL;
}

static struct spool_name *add(struct spool_list *l, const char *name)
{
	size_t at = place_of(l, name), len = strlen(name);
	if (l->n % GROWTH == 0) {
		struct spool_name **names =
			reallocarray(l->names, l->n + GROWTH, sizeof(l->names[0]));
		if (!names)
			return NULL;
		l->names = names;
	}
	struct spool_name *x = calloc(1, sizeof(*x) + len + 1);
	if (!x)
		return NULL;
	memcpy(x->name, name, len + 1);
	memmove(l->names + at + 1, l->names + at, (l->n - at) * sizeof(l->names[0]));
	l->names[at] = x;
	l->n++;
	return x;
}

void spool_list_forget(struct spool_list *l, struct spool_name *x)
{
	size_t at = place_of(l, x->name);
	memmove(l->names + at, l->names + at + 1, (l->n - at - 1) * sizeof(l->names[0]));
	l->n--;
	free(x);
}

/* What only another file under this name can mend. */
static bool lasts(int error)
{
	return error == -ELOOP || error == -ENOTSUP || error == -EMLINK;
}

/* For a file that may be read, in the place of one that never will be: links must not keep files out. */
static bool make_room(struct spool_list *l, const struct spool_stamp *stamp)
{
	for (size_t i = 0; i < l->n && S_ISREG(stamp->type) && stamp->links == 1; i++)
		if (l->names[i]->standing == SPOOL_LEFT && lasts(l->names[i]->error)) {
			spool_list_forget(l, l->names[i]);
			return true;
		}
	return false;
}

int spool_list_see(struct spool_list *l, const char *name, const struct spool_stamp *stamp,
	enum spool_word word, uint64_t now_us)
{
	struct spool_name *x = spool_list_find(l, name);
	bool fresh = !x;
	if (!x && l->n == SPOOL_NAMES_MAX && !make_room(l, stamp))
		return -ENOBUFS;
	if (!x)
		x = add(l, name);
	if (!x)
		return -ENOMEM;
	bool settled = x->standing == SPOOL_LEFT || x->standing == SPOOL_KEPT;
	bool same = settled ? spool_same_file(&x->stamp, stamp) : spool_unchanged(&x->stamp, stamp);
	x->seen = true;
	if (fresh || !same) {
		/* One that grows has a writer again, whose close will be told, too. A time that is set
		 * behind the close is usual. */
		bool grew = x->stamp.size != stamp->size;
		x->word = grew && x->word == SPOOL_TOLD ? SPOOL_MADE : x->word;
		x->since_us = now_us;
		x->standing = SPOOL_WAITS;
		x->error = 0;
		x->said = settled = false;
	}
	x->stamp = *stamp;
	if (word != SPOOL_FOUND && !settled) {
		x->standing = SPOOL_WAITS;
		x->word = word;
		x->since_us = now_us;
	}
	return 0;
}

void spool_list_clear(struct spool_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
	free(l->names);
	*l = (struct spool_list){0};
}

void spool_list_scan_begins(struct spool_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->names[i]->seen = false;
}

void spool_list_scanned(struct spool_list *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct spool_name *x = l->names[i];
		if (!x->seen) {
			free(x);
			continue;
		}
		if (x->standing == SPOOL_LEFT && !lasts(x->error))
			x->standing = SPOOL_WAITS;
		l->names[kept++] = x;
	}
	l->n = kept;
}

struct spool_name *spool_list_next(const struct spool_list *l, const struct spool_pace *pace,
	uint64_t now_us, uint64_t *ret_until_us)
{
	struct spool_name *next = NULL;
	uint64_t until_us = UINT64_MAX;
	for (size_t i = 0; i < l->n; i++) {
		struct spool_name *x = l->names[i];
		if (x->standing == SPOOL_LEFT || x->standing == SPOOL_KEPT)
			continue;
		bool open = x->standing == SPOOL_PARTIAL || x->word == SPOOL_MADE;
		unsigned wait_ms = open			   ? pace->patience_ms
				   : x->word == SPOOL_TOLD ? pace->told_ms
							   : pace->found_ms;
		uint64_t due_us = x->since_us + wait_ms * UINT64_C(1000);
		if (due_us > now_us)
			until_us = MIN(until_us, due_us);
		else if (!next || x->stamp.mtime_ns < next->stamp.mtime_ns)
			next = x;
	}
	if (!next)
		*ret_until_us = until_us;
	return next;
}
