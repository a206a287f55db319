/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stored.h"

#include <jansson.h>

struct stored {
	json_t *root; /* the flags point into it */
	struct reading reading;
};

/* Whole thousandths were written, so that the nearest one is the one. */
static int64_t thousandths(double number)
{
	return (int64_t)(number * 1000 + (number < 0 ? -0.5 : 0.5));
}

static void take(struct reading *r, const struct codes *codes, const char *kind, const json_t *v)
{
	const struct code *code = codes_find(codes, kind);
	const char *comparator = json_string_value(json_object_get(v, "comparator"));
	double number = json_number_value(json_object_get(v, "value"));
	if (code && r->n_quantities < ELEMENTS(r->quantities))
		r->quantities[r->n_quantities++] = (struct quantity){.code = code,
			.value = {thousandths(number), code->decimals},
			.comparator = comparator ? comparator[0] : 0};
}

struct stored *stored_read(const struct codes *codes, const char *body)
{
	struct stored *s = calloc(1, sizeof(*s));
	const char *kind;
	json_t *v;
	size_t i;
	if (!s)
		return NULL;
	s->root = json_loads(body, JSON_DECODE_INT_AS_REAL, NULL);
	json_t *values = json_object_get(s->root, "values");
	if (!values) {
		stored_end(s);
		return NULL;
	}
	s->reading.user = -1;
	s->reading.seq = -1;
	json_object_foreach(values, kind, v) take(&s->reading, codes, kind, v);
	json_array_foreach(json_object_get(s->root, "flags"), i, v)
	{
		if (json_is_string(v) && s->reading.n_flags < ELEMENTS(s->reading.flags))
			s->reading.flags[s->reading.n_flags++] = json_string_value(v);
	}
	return s;
}

struct reading *stored_reading(struct stored *s)
{
	return &s->reading;
}

void stored_end(struct stored *s)
{
	if (s)
		json_decref(s->root);
	free(s);
}
