/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ble_turns.h"

#include "log.h"
#include "util.h"

#include <errno.h>
#include <time.h>

#define KEPT_MS 3000 /* the kernel keeps a link that we let go for 2 s */
#define LIMIT_MS (10 * 60 * 1000)
#define LIMITS 8 /* adapters that showed that they have fewer links */

struct limit {
	char adapter[8];
	unsigned links;
	int64_t until_ms; /* then it is tried again: the links may have been somebody else's */
};

struct ble_turns {
	sd_event_source *timer; /* end of a slice */
	struct ble_turn *first; /* by age of the state */
	int64_t let_go_ms;	/* when a link of ours ended last */
	struct limit limits[LIMITS];
	unsigned n_limits;
	unsigned slice_ms;
	bool busy; /* a callback is under way: it ends with another look */
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static unsigned count(const struct ble_turns *t, const char *adapter, int state)
{
	unsigned n = 0;
	for (const struct ble_turn *i = t->first; i; i = i->next)
		n += (int)i->state == state && streq(i->adapter, adapter);
	return n;
}

static struct limit *limit_of(const struct ble_turns *t, const char *adapter)
{
	for (unsigned i = 0; i < t->n_limits; i++)
		if (streq(t->limits[i].adapter, adapter))
			return (struct limit *)&t->limits[i];
	return NULL;
}

static unsigned links_max(const struct ble_turns *t, const char *adapter)
{
	const struct limit *l = limit_of(t, adapter);
	return l && now_ms() < l->until_ms ? l->links : BLE_LINKS_MAX;
}

static bool links_taken(const struct ble_turns *t, const char *adapter)
{
	return count(t, adapter, TURN_LINK) >= links_max(t, adapter);
}

static void take_out(struct ble_turns *t, struct ble_turn *turn)
{
	for (struct ble_turn **p = &t->first; *p; p = &(*p)->next)
		if (*p == turn) {
			*p = turn->next;
			return;
		}
}

/* To the end of the line, in a new state. */
static void put(struct ble_turns *t, struct ble_turn *turn, int state)
{
	if (turn->state != TURN_NONE)
		take_out(t, turn);
	turn->state = state;
	turn->since_ms = now_ms();
	turn->next = NULL;
	struct ble_turn **p = &t->first;
	while (*p)
		p = &(*p)->next;
	if (state != TURN_NONE)
		*p = turn;
}

/* The next in line that may go, or NULL. */
static struct ble_turn *next_to_go(const struct ble_turns *t)
{
	for (struct ble_turn *i = t->first; i; i = i->next)
		if (i->state == TURN_IN_LINE && !links_taken(t, i->adapter) &&
			count(t, i->adapter, TURN_WAITING) < BLE_WAITING_MAX)
			return i;
	return NULL;
}

/* The one of an adapter that is in this state for longest, or NULL. */
static struct ble_turn *oldest(const struct ble_turns *t, const char *adapter, int state)
{
	for (struct ble_turn *i = t->first; i; i = i->next)
		if ((int)i->state == state && streq(i->adapter, adapter))
			return i;
	return NULL;
}

/* When this one, which stands in line, may ask the one who waits for longest to give way; INT64_MAX: never. Both
 * had a slice then. */
static int64_t due_ms(const struct ble_turns *t, const struct ble_turn *in_line)
{
	const struct ble_turn *waits = oldest(t, in_line->adapter, TURN_WAITING);
	const struct limit *l = limit_of(t, in_line->adapter);
	if (links_taken(t, in_line->adapter))
		return l ? l->until_ms : INT64_MAX;
	if (!waits)
		return INT64_MAX;
	return MAX(waits->since_ms, in_line->since_ms) + t->slice_ms;
}

static void arm(struct ble_turns *t)
{
	int64_t due = INT64_MAX;
	for (const struct ble_turn *i = t->first; i; i = i->next)
		if (i->state == TURN_IN_LINE)
			due = MIN(due, due_ms(t, i));
	int r = due == INT64_MAX ? 0 : sd_event_source_set_time(t->timer, (uint64_t)due * 1000);
	if (r >= 0)
		r = sd_event_source_set_enabled(
			t->timer, due == INT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
	if (r < 0)
		log_error("bluetooth", "timer: %s", strerror(-r));
}

/* Whoever may go goes. From inside go() and yield() they ask, end and link again: hence the loop. */
static void look(struct ble_turns *t)
{
	if (t->busy)
		return;
	t->busy = true;
	struct ble_turn *turn;
	while ((turn = next_to_go(t))) {
		put(t, turn, TURN_WAITING);
		turn->go(turn->arg);
	}
	t->busy = false;
	arm(t);
}

static int on_slice(sd_event_source *source, uint64_t when, void *arg)
{
	(void)source, (void)when;
	struct ble_turns *t = arg;
	int64_t now = now_ms();
	t->busy = true;
	for (struct ble_turn *i = t->first; i;) {
		if (i->state != TURN_IN_LINE || due_ms(t, i) > now) {
			i = i->next;
			continue;
		}
		struct ble_turn *gives_way = oldest(t, i->adapter, TURN_WAITING);
		put(t, i, TURN_WAITING);
		put(t, gives_way, TURN_NONE);
		gives_way->yield(gives_way->arg);
		i->go(i->arg);
		i = t->first;
	}
	t->busy = false;
	look(t);
	return 0;
}

int ble_turns_new(sd_event *loop, unsigned slice_ms, struct ble_turns **ret)
{
	struct ble_turns *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->slice_ms = slice_ms;
	t->let_go_ms = -KEPT_MS;
	/* so that the slices of an adapter end together */
	int r = sd_event_add_time(
		loop, &t->timer, CLOCK_BOOTTIME, 0, slice_ms * UINT64_C(1000) / 20, on_slice, t);
	if (r >= 0)
		r = sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
	if (r < 0) {
		ble_turns_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void ble_turns_free(struct ble_turns *t)
{
	if (t)
		sd_event_source_disable_unref(t->timer);
	free(t);
}

void ble_turns_ask(struct ble_turns *t, struct ble_turn *turn)
{
	put(t, turn, TURN_IN_LINE);
	look(t);
}

void ble_turns_linked(struct ble_turns *t, struct ble_turn *turn)
{
	put(t, turn, TURN_LINK);
	turn->linked_ms = turn->since_ms;
	look(t);
}

void ble_turns_full(struct ble_turns *t, struct ble_turn *turn)
{
	unsigned up = count(t, turn->adapter, TURN_LINK);
	struct limit *l = limit_of(t, turn->adapter);
	if (!up || up >= links_max(t, turn->adapter) || now_ms() - t->let_go_ms < KEPT_MS)
		return; /* somebody else has its links, we know, or one is not free yet */
	if (!l && t->n_limits < LIMITS) {
		l = &t->limits[t->n_limits++];
		memcpy(l->adapter, turn->adapter, sizeof(l->adapter));
	}
	if (!l)
		return;
	l->links = up;
	l->until_ms = now_ms() + LIMIT_MS;
	log_note("bluetooth", "adapter %s holds no more than %u links: the others take turns",
		*turn->adapter ? turn->adapter : "(any)", up);
}

void ble_turns_end(struct ble_turns *t, struct ble_turn *turn)
{
	if (turn->state == TURN_NONE)
		return;
	if (turn->state == TURN_LINK)
		t->let_go_ms = now_ms();
	put(t, turn, TURN_NONE);
	look(t);
}

void ble_turns_each(
	const struct ble_turns *t, void (*each)(void *arg, const struct ble_turn *turn), void *arg)
{
	for (const struct ble_turn *i = t->first; i; i = i->next)
		each(arg, i);
}

bool ble_turns_crowded(const struct ble_turns *t, const struct ble_turn *turn)
{
	return turn->state == TURN_IN_LINE && links_taken(t, turn->adapter);
}
