/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of studies share, on top of gateway_rig.h: originals from a cart, which is the rig's "cuff-1", and what
 * a decoder says of them. No byte of an original is a person's.
 */
#pragma once

#include "gateway_rig.h"

#include "report.h"
#include "study.h"

#define STUDY_CART                                                                                        \
	"devices:\n - {id: cuff-1, driver: bt_blp, transport: ble, address: \"unix:/cuff\", patient_id: " \
	"token}\n"
/* What a decoder says of a recording without anything noteworthy; the members of a test stand in the middle. */
#define STUDY_SAYS(more)                                                                                \
	"{\"format\":\"scp\",\"bytes\":10,\"patient\":{},\"acquired_at\":\"2026-11-18T19:00:00\"," more \
	"\"warnings\":[]}"
#define STUDY_PLAIN STUDY_SAYS("\"measurements\":{\"hr\":75},")

static inline struct unit *study_unit(struct rig *r, const void *bytes, size_t len)
{
	struct unit *u = rig_unit(r);
	assert_true(bytes_copy(&u->study, bytes, len));
	return u;
}

/* `len` bytes that differ with `seed`. */
static inline uint8_t *study_bytes(unsigned seed, size_t len)
{
	uint8_t *bytes = malloc(len + 4);
	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((i * 2654435761u + i / 251 + seed * 40503u) >> 7);
	memcpy(bytes, &seed, MIN(len, sizeof(seed)));
	return bytes;
}

/* An original that arrived; its row. */
static inline int64_t study_new(struct rig *r, unsigned seed, size_t len)
{
	_cleanup_(freep) uint8_t *bytes = study_bytes(seed, len);
	assert_int_equal(rig_file(r, study_unit(r, bytes, len)), 0);
	return rig_int(r, "SELECT max(id) FROM study");
}

/* As the store does it: all or nothing. */
static inline int study_says(struct rig *r, int64_t row, const char *text)
{
	rig_script(r, "BEGIN IMMEDIATE");
	int rc = study_decoded(&r->gateway, r->db, row, text, text ? strlen(text) : 0,
		text ? NULL : "it was ended by signal 11");
	rig_script(r, rc < 0 ? "ROLLBACK" : "COMMIT");
	return rc;
}

/* An original of `len` bytes that arrived and was decoded; its row. */
static inline int64_t study_filed(struct rig *r, unsigned seed, size_t len, const char *text)
{
	int64_t row = study_new(r, seed, len);
	assert_int_equal(study_says(r, row, text), 0);
	return row;
}

static inline struct uuid study_id(struct rig *r, int64_t row)
{
	struct uuid id = {0};
	_cleanup_(row_endp) struct row *q =
		db_query(r->db, "SELECT uuid FROM study WHERE id=?", "i", row);
	assert_int_equal(row_next(q), 1);
	assert_true(row_uuid(q, 0, &id));
	return id;
}

static inline void study_expect(struct rig *r, const char *sql, const char *expected)
{
	char text[1024];
	rig_text(r, text, sizeof(text), sql);
	assert_string_equal(text, expected);
}
