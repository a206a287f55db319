/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proposal.h"

#include <errno.h>

void proposal_make(const struct proposal_input *in, struct proposal *ret, struct json *j)
{
	(void)in;
	(void)j;
	*ret = (struct proposal){.at_goal = -1,
		.goal_why = "no_value",
		.class_why = "no_value",
		.next_day = DAY_NONE};
}

int proposal_answer_ok(const struct forms *forms, const struct codes *codes, const char *form,
	const char *key, const json_t *value)
{
	(void)forms;
	(void)codes;
	(void)form;
	(void)key;
	return value ? 0 : -EINVAL;
}
