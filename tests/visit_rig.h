/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of visits share, on top of gateway_rig.h: check-ins and filed readings as rows, whoever made them.
 *
 *   int64_t c = stored_checkin(&rig, 1, "follow-up", from_us, to_us)       to_us 0: it is open
 *   stored_reading(&rig, (struct stored){.resident = 1, .taken_us = t, .checkin = c, .numbers = {{"bp.sbp", 150}}})
 */
#pragma once

#include "gateway_rig.h"

#include "day.h"
#include "util.h"

#define MINUTE (60 * CLOCK_SECOND_US)
#define DAY (1440 * MINUTE)

struct stored {
	int64_t resident, taken_us, checkin;
	int64_t arrived_us; /* 0: as it was taken */
	const char *trust, *grade, *status, *flags,
		*arm; /* NULL: corrected, station, final, none, none */
	bool test, superseded;
	struct {
		const char *kind;
		double value;
		const char *comparator;
	} numbers[5];
};

static inline int64_t stored_checkin(
	struct rig *r, int64_t resident, const char *purpose, int64_t from_us, int64_t to_us)
{
	struct uuid id = uuid_random();
	assert_int_equal(
		db_run(r->db,
			"INSERT INTO checkin(uuid,station,resident,purpose,source,author,from_us,"
			"to_us,activity_us,boot_id,from_boot,activity_boot,last_reading) VALUES(?,"
			"'desk-1',?,?,'typed','local:nurse/N-0001',?,?,?,x'00',0,0,0)",
			"bitipi", id.bytes, sizeof(id.bytes), resident, purpose, from_us,
			to_us ? &to_us : NULL, from_us),
		1);
	return db_last_id(r->db);
}

static inline void stored_numbers(struct rig *r, int64_t row, const struct stored *s)
{
	for (size_t i = 0; i < ELEMENTS(s->numbers) && s->numbers[i].kind; i++) {
		const struct code *code = codes_find(r->gateway.codes, s->numbers[i].kind);
		assert_non_null(code);
		assert_int_equal(
			db_run(r->db,
				"INSERT INTO evidence(resident,kind,taken,reading,milli,decimals,"
				"comparator,trust,tables_version) VALUES(?,?,?,?,?,?,?,?,'t')",
				"itiiiitt", s->resident, code->kind, s->taken_us, row,
				(int64_t)(s->numbers[i].value * 1000 + 0.5),
				(int64_t)code->decimals, s->numbers[i].comparator,
				s->trust ? s->trust : "corrected"),
			1);
	}
}

/* The id of the reading. */
static inline struct uuid stored_reading(struct rig *r, struct stored s)
{
	struct uuid id = uuid_random();
	char body[200];
	snprintf(body, sizeof(body), "{\"values\":{},\"flags\":[%s]%s%s%s}", s.flags ? s.flags : "",
		s.arm ? ",\"notes\":{\"arm\":\"" : "", s.arm ? s.arm : "", s.arm ? "\"}" : "");
	assert_int_equal(
		db_run(r->db,
			"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
			"in_contract,test,arrived,boot_id,boot_us,taken,uncertainty_us,trust,body,"
			"content,raw,driver,tables_version,committed_boot_us,superseded,checkin) "
			"VALUES(?,1,?,'bp',?,?,'checkin',?,0,?,?,x'00',0,?,0,?,?,x'00',"
			"x'00','d/1','t',0,?,?)",
			"btiitiiittip", id.bytes, sizeof(id.bytes), s.status ? s.status : "final",
			r->cuff, s.resident, s.grade ? s.grade : "station", (int64_t)s.test,
			s.arrived_us ? s.arrived_us : s.taken_us, s.taken_us,
			s.trust ? s.trust : "corrected", body, (int64_t)s.superseded,
			s.checkin ? &s.checkin : NULL),
		1);
	stored_numbers(r, db_last_id(r->db), &s);
	return id;
}

/* Local time of the rig's zone on a day of November 2026. */
static inline int64_t november(int day, int hour, int minute)
{
	return day_begin_us(day_from(2026, 11, day)) + (hour * 60 + minute) * MINUTE;
}
