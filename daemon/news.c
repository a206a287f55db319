/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "news.h"

#include "clock.h"
#include "gateway.h"
#include "intake.h"
#include "log.h"

struct news {
	struct job job;
	struct gateway *gateway;
	const char *type;
	char detail[CONFIG_ERROR_MAX];
};

static int run_news(struct job *job, struct db *db)
{
	struct news *n = (struct news *)job;
	return intake_event(n->gateway, db, 0, n->type, n->detail, NULL, clock_utc_us(), true);
}

static void news_done(struct job *job, int result)
{
	if (result < 0)
		log_error(((struct news *)job)->type, "event not stored: %s", strerror(-result));
	free(job);
}

void news_tell(struct gateway *g, const char *type, const char *detail)
{
	struct news *n = calloc(1, sizeof(*n));
	if (!n) {
		log_error(type, "%s", detail);
		return;
	}
	n->job = (struct job){.run = run_news, .done = news_done};
	n->gateway = g;
	n->type = type;
	snprintf(n->detail, sizeof(n->detail), "%s", detail);
	store_submit(g->store, &n->job);
}
