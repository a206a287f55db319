/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of lists and rates share, on top of gateway_rig.h: residents, visits and pressures by hand. */
#pragma once

#include "gateway_rig.h"

#include "day.h"
#include "util.h"

#define LISTS_BIRTH "1950-01-01"

static inline int64_t noon_us(const char *day)
{
	return day_begin_us(day_read(day)) + 12 * RIG_HOUR;
}

static inline int64_t a_resident(struct rig *r, const char *token, const char *programmes)
{
	assert_int_equal(
		db_run(r->db,
			"INSERT INTO resident(token,birth_date,programmes,changed) VALUES(?,?,?,0)",
			"ttt", token, LISTS_BIRTH, programmes),
		1);
	return db_last_id(r->db);
}

struct a_visit {
	int64_t resident;
	const char *form; /* of forms.csv */
	const char *day;
	int class; /* 0: none */
	const char *next_day, *referral, *referral_result;
	const char *state;    /* NULL: confirmed */
	int64_t confirmed_us; /* 0: at noon of its day */
};

static inline void a_visit(struct rig *r, struct a_visit v)
{
	struct uuid id = uuid_random();
	int64_t class = v.class, at = v.confirmed_us ? v.confirmed_us : noon_us(v.day);
	assert_int_equal(
		db_run(r->db,
			"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,class,"
			"next_day,referral,referral_result,confirmed_at,changed,rules_version) "
			"VALUES(?,?,?,?,'here',?,1,'D-0001',?,?,?,?,?,0,'1')",
			"bitttpttti", id.bytes, sizeof(id.bytes), v.resident, v.form,
			v.state ? v.state : "confirmed", v.day, class ? &class : NULL, v.next_day,
			v.referral, v.referral_result, at),
		1);
}

static inline void a_plan(
	struct rig *r, int64_t resident, const char *form, const char *day, int64_t at_us)
{
	assert_int_equal(
		db_run(r->db,
			"INSERT OR REPLACE INTO plan(resident,form,day,author,at) VALUES(?,?,?,'D-0001',?)",
			"itti", resident, form, day, at_us),
		1);
}

struct a_pressure {
	int64_t resident;
	const char *day;
	int systolic, diastolic;
	const char *trust; /* NULL: live */
	const char *flag;  /* NULL: none */
	const char *comparator;
	const char *status; /* NULL: final */
	bool superseded;    /* has no evidence any more, as one in error */
	int minute;	    /* behind noon */
};

static inline void a_pressure(struct rig *r, struct a_pressure p)
{
	struct uuid id = uuid_random();
	char body[200];
	const char *trust = p.trust ? p.trust : "live", *status = p.status ? p.status : "final";
	int64_t taken = noon_us(p.day) + p.minute * 60 * CLOCK_SECOND_US;
	snprintf(body, sizeof(body), "{\"values\":{},\"flags\":[%s%s%s],\"notes\":{}}",
		p.flag ? "\"" : "", p.flag ? p.flag : "", p.flag ? "\"" : "");
	assert_int_equal(
		db_run(r->db,
			"INSERT INTO reading(uuid,revision,status,kind,device,resident,evidence,grade,"
			"in_contract,test,arrived,boot_id,boot_us,taken,uncertainty_us,trust,body,content,"
			"raw,driver,tables_version,committed_boot_us,superseded) VALUES(?,1,?,"
			"'bp',1,?,'device_binding','device',0,0,0,x'00',0,?,0,?,?,x'00',x'00',"
			"'d/1','1',0,?)",
			"btiitti", id.bytes, sizeof(id.bytes), status, p.resident, taken, trust,
			body, (int64_t)p.superseded),
		1);
	int64_t row = db_last_id(r->db);
	if (p.superseded || streq(status, "entered-in-error"))
		return;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			db_run(r->db,
				"INSERT INTO evidence(resident,kind,taken,reading,milli,decimals,comparator,"
				"trust,tables_version) VALUES(?,?,?,?,?,0,?,?,'1')",
				"itiiitt", p.resident, i ? "bp.dbp" : "bp.sbp", taken, row,
				(int64_t)(i ? p.diastolic : p.systolic) * 1000, p.comparator,
				trust),
			1);
}

#define HTN "hypertension_followup_v3"
#define T2DM "t2dm_followup_v3"
#define COPD "copd_followup_2024plus"
#define ELDERLY "elderly_health_check_65plus"
