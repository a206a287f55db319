/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands about one resident: what changes, what is told of it, and what is refused. */
#include "door_rig.h"

#include "roster.h"

#include <sys/stat.h>

static int setup(void **state)
{
	door_setup(state);
	give_json("import",
		json_pack("{s:s}", "csv",
			"token,birth_date,programmes,doctor,team,valid_from,valid_to\n"
			"R-0001,1958-03-14,hypertension,D-0001,T-0001,2026-01-01,2026-12-31\n"
			"R-0002,1963,t2dm,D-0001,T-0001,2026-01-01,2026-12-31\n"
			"R-0003,,,,,,\nR-0004,60-64@2026-11-01,,D-0009,,,\n"));
	done();
	return 0;
}

/* looking */

static void test_show(void **state)
{
	(void)state;
	give("team", "{'team':'T-0001','members':[{'member':'D-0001','role':'doctor'},{'member':"
		     "'N-0001','role':'nurse','hours':'mon-fri 08:00-17:00'}]}");
	assert_int_equal(int_in(done(), "members"), 2);
	give("resident", "{'resident':'R-0001'}");
	const json_t *r = done();
	assert_string_equal(text_in(r, "state"), "active");
	assert_string_equal(text_in(r, "owner"), "gw-0001");
	assert_string_equal(text_in(json_object_get(r, "contract"), "valid_to"), "2026-12-31");
	assert_int_equal(json_array_size(json_object_get(r, "age")), 2);
	const json_t *m = json_object_get(r, "members");
	assert_int_equal(json_array_size(m), 2);
	assert_string_equal(text_in(json_array_get(m, 1), "hours"), "mon-fri 08:00-17:00");
	assert_null(json_object_get(r, "label"));
	assert_string_equal(json_string_value(json_array_get(json_object_get(r, "programmes"), 0)),
		"hypertension");
	rig_script(&rig, "UPDATE resident SET valid_from=1,valid_to=2 WHERE id=1");
	give("resident", "{'resident':'R-0001'}");
	assert_true(json_is_false(json_object_get(done(), "in_contract")));
	rig_script(&rig, "UPDATE resident SET valid_to=9000000000000000 WHERE id=1");
	give("resident", "{'resident':'R-0001'}");
	assert_true(json_is_true(json_object_get(done(), "in_contract")));
	give("resident", "{'resident':'R-0003'}");
	assert_true(json_is_null(json_object_get(done(), "age")));
	assert_true(json_is_false(json_object_get(done(), "in_contract")));
	give("resident", "{'resident':'R-0099'}");
	refused("unknown_resident");
	give("resident", "{}");
	refused("unknown_resident");
}

/* states */

static void test_states(void **state)
{
	(void)state;
	static const struct {
		const char *command, *from, *result; /* a state, or a refusal */
	} all[] = {{"died", "active", "deceased"}, {"died", "moved", "deceased"},
		{"died", "unlisted", "deceased"}, {"died", "deceased", "already_so"},
		{"died", "withdrawn", "not_active"}, {"died", "merged", "not_active"},
		{"died", "erased", "not_active"}, {"moved", "active", "moved"},
		{"moved", "unlisted", "moved"}, {"moved", "moved", "already_so"},
		{"moved", "deceased", "not_active"}, {"withdraw", "active", "withdrawn"},
		{"withdraw", "deceased", "withdrawn"}, {"withdraw", "moved", "withdrawn"},
		{"withdraw", "unlisted", "withdrawn"}, {"withdraw", "withdrawn", "already_so"},
		{"withdraw", "merged", "not_active"}, {"withdraw", "erased", "not_active"},
		{"consent", "withdrawn", "active"}, {"consent", "active", "already_so"},
		{"consent", "erased", "not_active"}, {"consent", "deceased", "not_active"},
		{"returned", "deceased", "active"}, {"returned", "moved", "active"},
		{"returned", "withdrawn", "not_active"}, {"returned", "active", "already_so"}};
	char text[64];
	for (size_t i = 0; i < ELEMENTS(all); i++) {
		db_run(rig.db, "UPDATE resident SET state=?,merged_into=2 WHERE id=1", "t",
			all[i].from);
		int64_t events = ROWS("event"), audits = ROWS("audit");
		give(all[i].command, "{'resident':'R-0001'}");
		bool good = json_object_get(last, "result");
		const char *got = good ? text_in(done(), "state")
				       : text_in(json_object_get(last, "error"), "code");
		if (!streq(got, all[i].result))
			fail_msg("%s of %s: %s", all[i].command, all[i].from, got);
		rig_text(&rig, text, sizeof(text), "SELECT state FROM resident WHERE id=1");
		assert_string_equal(text, good ? all[i].result : all[i].from);
		assert_int_equal(ROWS("event"), events + good);
		assert_int_equal(ROWS("audit"), audits + good);
	}
	give("died", "{'resident':'R-0077'}");
	refused("unknown_resident");
}

static void test_state_is_told(void **state)
{
	(void)state;
	give("died", "{'resident':'R-0001','on':'2026-01-02'}");
	done();
	expect("SELECT type||' '||detail FROM event ORDER BY id DESC", "resident_deceased R-0001");
	expect("SELECT date(state_at/1000000+28800,'unixepoch') FROM resident WHERE id=1",
		"2026-01-02");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM outbox WHERE kind=3"), 1);
	expect("SELECT author||' '||action||' '||object||' '||detail FROM audit ORDER BY id DESC",
		"local:nurse/N-0001 died R-0001 2026-01-02");
	static const char *const bad[] = {"'2026-02-30'", "'yesterday'", "7", "'9000-01-01'", "''"};
	char text[80];
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		snprintf(text, sizeof(text), "{'resident':'R-0002','on':%s}", bad[i]);
		give("moved", text);
		refused("bad_argument");
	}
	expect("SELECT state FROM resident WHERE id=2", "active");
}

/* merging */

static void test_merge_refused(void **state)
{
	(void)state;
	static const struct {
		const char *from, *into, *code;
	} all[] = {{"R-0001", "R-0001", "bad_argument"}, {"R-0001", "R-0099", "unknown_resident"},
		{"R-0099", "R-0001", "unknown_resident"}, {"R-0001", "R-0003", "not_active"},
		{"R-0003", "R-0001", "not_active"}, {"R-0003", "R-0002", "already_so"},
		{"R-0001", "R-0004", "not_active"}, {"R-0004", "R-0001", "not_active"}};
	char text[100];
	give("merge", "{'resident':'R-0003','into':'R-0002'}");
	done();
	int64_t audits = ROWS("audit");
	for (int round = 0; round < 2; round++) {
		rig_script(&rig, round ? "UPDATE resident SET state='erased' WHERE id=4"
				       : "UPDATE resident SET state='withdrawn' WHERE id=4");
		for (size_t i = 0; i < ELEMENTS(all); i++) {
			snprintf(text, sizeof(text), "{'resident':'%s','into':'%s'}", all[i].from,
				all[i].into);
			give("merge", text);
			refused(all[i].code);
		}
	}
	assert_int_equal(ROWS("audit"), audits);
	give("merge", "{'resident':'R-0001'}");
	refused("unknown_resident");
}

/* Everything goes along; grades stay, and what a person decided stays a person's word. */
static void test_merge(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	struct uuid bound = rig_bp(&rig, (struct rig_bp){150, 90, 70, .identity = "1"});
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "2"});
	rig_script(&rig, "UPDATE binding SET valid_to=1");
	struct uuid typed = rig_bp(&rig, (struct rig_bp){140, 80, 70, .identity = "3"});
	rig_script(&rig, "UPDATE binding SET valid_to=NULL");
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &typed, 1), 0);
	rig_script(&rig,
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(x'01010101010101010101010101010101',1,'f','open','here',"
		"'2026-11-18',1,'a',0,'1'),(x'02020202020202020202020202020202',1,'f','confirmed',"
		"'here','2026-11-17',1,'a',0,'1');"
		"UPDATE visit SET body='{\"readings\":[\"'||(SELECT lower(hex(uuid)) FROM reading "
		"WHERE id=1)||'\"]}' WHERE id=2;"
		"INSERT INTO plan VALUES(1,'htn','2027-01-01','a',10),(2,'htn','2027-02-01','a',5),"
		"(1,'t2dm','2027-01-01','a',10),(2,'t2dm','2027-02-01','a',15);"
		"INSERT INTO booking(station,day,resident) VALUES('s','2026-11-18',1),('s',"
		"'2026-11-18',2),('s','2026-11-19',1);"
		"INSERT INTO card VALUES(x'aa',1,0,'a');"
		"INSERT INTO handover VALUES(9,-1,1,0,'a');"
		"INSERT INTO personal_limit VALUES(1,1,'bp.sbp','at_least',150000,'warning','a','r',0,1,0,NULL);"
		"INSERT INTO checkin(uuid,station,resident,purpose,source,author,from_us,activity_us,"
		"boot_id,from_boot,activity_boot,last_reading) VALUES(x'03','s',1,'exam','typed','a',0,"
		"0,x'00',0,0,0)");
	rig_script(
		&rig, "UPDATE reading SET evidence='checkin',grade='station',checkin=1 WHERE id=2");
	int64_t evidence = ROWS("evidence");
	give("merge", "{'resident':'R-0001','into':'R-0002'}");
	assert_int_equal(int_in(done(), "readings"), 3);
	expect("SELECT group_concat(resident||evidence||grade||status||revision,' ') FROM (SELECT * "
	       "FROM reading WHERE superseded=0 ORDER BY body)",
		"2assigned_by_personpersonamended3 2device_bindingdeviceamended2 2checkinstationamended2");
	expect("SELECT group_concat(coalesce(checkin,'-')) FROM (SELECT * FROM reading WHERE "
	       "superseded=0 ORDER BY body)",
		"-,-,1");
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM evidence WHERE resident=2"), evidence);
	assert_int_equal(ROWS("evidence"), evidence);
	expect("SELECT group_concat(resident||state||evidence_changed,' ') FROM visit",
		"2open0 2confirmed0");
	assert_true(rig_int(&rig, "SELECT revision FROM visit WHERE id=1") > 1);
	assert_int_equal(rig_int(&rig, "SELECT revision FROM visit WHERE id=2"), 1);
	expect("SELECT group_concat(resident||form||day,' ') FROM plan",
		"2htn2027-01-01 2t2dm2027-02-01");
	expect("SELECT group_concat(resident||day,' ') FROM booking", "22026-11-18 22026-11-19");
	expect("SELECT (SELECT resident FROM card)||(SELECT resident FROM handover)||(SELECT resident "
	       "FROM personal_limit)||(SELECT resident FROM checkin)||(SELECT resident FROM binding)",
		"22222");
	expect("SELECT resident||recipient FROM alert", "2D-0001");
	expect("SELECT type||' '||detail FROM event ORDER BY id DESC",
		"resident_merged R-0001 into R-0002");
	expect("SELECT state||merged_into FROM resident WHERE id=1", "merged2");
	give("resident", "{'resident':'R-0001'}");
	assert_string_equal(text_in(done(), "merged_into"), "R-0002");
	/* on it goes: chains are followed */
	give("merge", "{'resident':'R-0002','into':'R-0004'}");
	assert_int_equal(int_in(done(), "readings"), 3);
	assert_int_equal(roster_files_under(rig.db, 1), 4);
	assert_int_equal(
		rig_int(&rig, "SELECT count(*) FROM reading WHERE superseded=0 AND resident=4"), 3);
	(void)bound;
}

/* What was taken back stays so, without evidence. */
static void test_merge_void(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){150, 90, 70, .identity = "1"});
	rig_script(&rig, "UPDATE reading SET status='entered-in-error'; DELETE FROM evidence");
	give("merge", "{'resident':'R-0001','into':'R-0002'}");
	expect("SELECT status||resident FROM reading WHERE superseded=0", "entered-in-error2");
	assert_int_equal(ROWS("evidence"), 0);
}

static void test_merge_study(void **state)
{
	(void)state;
	rig_script(&rig,
		"INSERT INTO study(id,uuid,revision,status,device,driver,arrived,boot_id,boot_us,test,"
		"stranger,bytes,sha256,body,format,resident,evidence,grade,taken,checkin) VALUES(1,"
		"x'0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d',1,'final',1,'d/1',0,x'00',0,0,0,10,x'00','{}','scp',"
		"1,'checkin','station',1795000000000000,7)");
	give("merge", "{'resident':'R-0001','into':'R-0002'}");
	assert_int_equal(int_in(done(), "studies"), 1);
	expect("SELECT resident||evidence||grade||checkin||status||revision||in_contract FROM study",
		"2checkinstation7amended21");
}

/* erasing */

static void test_erase(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){150, 90, 70, .identity = "1"});
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "2"});
	rig_script(&rig, "UPDATE binding SET resident=2");
	struct uuid other = rig_bp(&rig, (struct rig_bp){141, 81, 70, .identity = "3"});
	/* was hers by mistake for a while */
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &other, 1), 0);
	assert_int_equal(intake_assign(&rig.gateway, rig.db, &other, 2), 0);
	rig_script(&rig,
		"UPDATE binding SET resident=1; "
		"INSERT INTO visit(uuid,resident,form,state,origin,day,revision,author,changed,"
		"rules_version) VALUES(x'01010101010101010101010101010101',1,'f','open','here',"
		"'2026-11-18',1,'a',0,'1'),(x'02020202020202020202020202020202',2,'f','open','here',"
		"'2026-11-18',1,'a',0,'1');"
		"INSERT INTO visit_window(visit,checkin) VALUES(1,1),(2,2);"
		"INSERT INTO visit_revision VALUES(1,1,'{}','a',0,NULL),(2,1,'{}','a',0,NULL);"
		"INSERT INTO plan VALUES(1,'htn','2027-01-01','a',10),(2,'htn','2027-01-01','a',10);"
		"INSERT INTO annotation SELECT uuid,'arm','left','a',0 FROM reading WHERE superseded=0;"
		"INSERT INTO card VALUES(x'aa',1,0,'a');"
		"INSERT INTO personal_limit VALUES(1,1,'bp.sbp','at_least',150000,'warning','a','r',0,1,0,NULL);"
		"INSERT INTO checkin(uuid,station,resident,purpose,source,author,from_us,activity_us,"
		"boot_id,from_boot,activity_boot,last_reading) VALUES(x'03','s',1,'exam','typed','a',0,"
		"0,x'00',0,0,0),(x'04','s',2,'exam','typed','a',0,0,x'00',0,0,0);"
		"INSERT INTO study(id,uuid,revision,status,device,driver,arrived,boot_id,boot_us,test,"
		"stranger,bytes,sha256,resident) VALUES(1,x'0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d',1,'final',"
		"1,'d/1',0,x'00',0,0,0,10,x'00',1);"
		"INSERT INTO study_piece(study,n,bytes) VALUES(1,0,x'01');"
		"INSERT INTO digest(uuid,kind,period,part,revision,body,at) VALUES(x'05','due','2026-11-18',"
		"1,1,'{\"day\":\"2026-11-18\",\"items\":[{\"resident\":\"R-0001\",\"days\":3},"
		"{\"resident\":\"R-0002\",\"days\":4}]}',0),(x'06','kpi','2026-11',1,1,'{}',0);"
		"INSERT INTO command VALUES('c1',0,'{\"resident\":\"R-0001\"}'),('c2',0,'{\"resident\":"
		"\"R-00010\"}')");
	give("label", "{'resident':'R-0001','label':'big one'}");
	done();
	give("erase", "{'resident':'R-0001'}");
	refused("reason_missing");
	give("erase", "{'resident':'R-0001','reason':'asked for'}");
	refused("alert_waits");
	rig_script(&rig, "UPDATE alert SET acked=1");
	/* one reading is with the platform, the other is not */
	rig_script(&rig, "DELETE FROM outbox WHERE uuid=(SELECT uuid FROM reading WHERE id=1)");
	give("merge", "{'resident':'R-0003','into':'R-0001'}");
	done();
	give("erase", "{'resident':'R-0001','reason':'asked for'}");
	const json_t *gone = json_object_get(done(), "deleted");
	const json_t *lost = json_object_get(done(), "not_delivered");
	assert_int_equal(int_in(gone, "readings"), 2);
	assert_int_equal(int_in(gone, "visits"), 1);
	assert_int_equal(int_in(gone, "studies"), 1);
	assert_int_equal(int_in(gone, "alerts"), 1);
	assert_int_equal(int_in(gone, "bindings"), 1);
	assert_int_equal(int_in(gone, "replies"), 1);
	assert_int_equal(int_in(lost, "readings"), 1);
	assert_int_equal(int_in(lost, "alerts"), 1);
	assert_int_equal(int_in(lost, "visits"), 1);
	/* of the other one nothing is gone */
	expect("SELECT (SELECT group_concat(coalesce(resident,'-')||superseded) FROM reading)||"
	       "(SELECT count(*) FROM evidence)||(SELECT group_concat(resident) FROM visit)||(SELECT "
	       "group_concat(visit) FROM visit_window)||(SELECT group_concat(visit) FROM "
	       "visit_revision)||(SELECT group_concat(resident) FROM plan)||(SELECT count(*) FROM "
	       "annotation)||(SELECT group_concat(coalesce(resident,'-')) FROM checkin)",
		"21,-1,2032222"
		"1-,2");
	expect("SELECT (SELECT count(*) FROM alert)||(SELECT count(*) FROM study)||(SELECT count(*) FROM "
	       "study_piece)||(SELECT count(*) FROM card)||(SELECT count(*) FROM binding)||(SELECT "
	       "count(*) FROM personal_limit)||(SELECT group_concat(id) FROM command)",
		"000000c2");
	assert_int_equal(int_in(gone, "lists"), 1);
	expect("SELECT group_concat(body) FROM digest",
		"{\"day\":\"2026-11-18\",\"items\":[{\"resident\":\"R-0002\",\"days\":4}]},{}");
	expect("SELECT group_concat(token||state||coalesce(birth_date,'-')||coalesce(doctor,'-')||"
	       "(label IS NULL),' ') FROM resident WHERE id IN (1,3)",
		"R-0001erased--1 R-0003erased--1");
	expect("SELECT type||' '||detail FROM event ORDER BY id DESC", "resident_erased R-0001");
	assert_int_equal(
		rig_int(&rig,
			"SELECT count(*) FROM outbox o WHERE kind<>3 AND NOT EXISTS (SELECT 1 FROM "
			"reading r WHERE r.uuid=o.uuid) AND NOT EXISTS (SELECT 1 FROM visit v WHERE "
			"v.uuid=o.uuid)"),
		0);
	give("erase", "{'resident':'R-0001','reason':'asked for'}");
	refused("already_so");
	give("resident", "{'resident':'R-0001'}");
	assert_string_equal(text_in(done(), "state"), "erased");
	assert_int_equal(roster_files_under(rig.db, 1), 0);
}

/* What the platform refused while it was R-0001's is R-0002's now: it waits to be tried again, and names the one no more. */
static void test_erase_written_down(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
	assert_int_equal(outbox_before_commit(rig.gateway.outbox, rig.db), 0);
	rig_script(&rig, "UPDATE outbox SET state=3; UPDATE alert SET resident=2, acked=1; UPDATE "
			 "reading SET resident=2; UPDATE evidence SET resident=2");
	assert_int_equal(ROWS("outbox WHERE instr(body,'R-0001')"), 1);
	give("erase", "{'resident':'R-0001','reason':'asked for'}");
	done();
	assert_int_equal(ROWS("outbox WHERE instr(body,'R-0001')"), 0);
	assert_int_equal(ROWS("outbox WHERE kind=1"), 1);
}

static void test_erase_waiting_repeat(void **state)
{
	(void)state;
	rig_bind(&rig, 1);
	rig_bp(&rig, (struct rig_bp){150, 90, 70, .identity = "1"});
	rig_script(&rig,
		"INSERT INTO pending_repeat SELECT uuid,'bp-high',1,'bp','bp.sbp','critical','{}','[]',0,"
		"x'00',0,0 FROM reading");
	give("erase", "{'resident':'R-0001','reason':'asked for'}");
	refused("alert_waits");
	give("erase", "{'resident':'R-0002','reason':'asked for'}");
	done();
	assert_int_equal(ROWS("reading"), 1);
}

/* A device's user slot moved it: the alert of the former one stays, in doubt, and does not go with who it is now. */
static void test_erase_anothers_alert(void **state)
{
	(void)state;
	rig_bind(&rig, 2);
	rig_bp(&rig, (struct rig_bp){190, 95, 70, .identity = "1"});
	rig_script(&rig, "UPDATE reading SET resident=1; UPDATE evidence SET resident=1");
	give("erase", "{'resident':'R-0001','reason':'asked for'}");
	refused("alert_waits");
	assert_int_equal(ROWS("alert"), 1);
	rig_script(&rig, "UPDATE alert SET acked=1");
	give("erase", "{'resident':'R-0001','reason':'asked for'}");
	done();
	assert_int_equal(ROWS("alert"), 0);
}

/* teams */

static void test_team(void **state)
{
	(void)state;
	static const char *const bad[] = {"{}", "{'team':'T 1','members':[]}",
		"{'team':'T-1','members':{}}", "{'team':'T-1','members':['D-1']}",
		"{'team':'T-1','members':[{'member':'D-1'}]}",
		"{'team':'T-1','members':[{'member':'D-1','role':'boss'}]}",
		"{'team':'T-1','members':[{'member':'Dr. Zhang','role':'doctor'}]}",
		"{'team':'T-1','members':[{'member':'13800000000','role':'doctor'}]}",
		"{'team':'T-1','members':[{'member':'D-1','role':'doctor','hours':'sometimes'}]}",
		"{'team':'T-1','members':[{'member':'D-1','role':'doctor'},{'member':'D-1','role':'nurse'}]}"};
	give("team",
		"{'team':'T-1','members':[{'member':'D-9','role':'specialist','hours':'always'}]}");
	done();
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		give("team", bad[i]);
		refused("bad_argument");
		expect("SELECT group_concat(team||member||role||hours) FROM team",
			"T-1D-9specialistalways");
	}
	int64_t audits = ROWS("audit");
	give("team", "{'team':'T-1'}");
	const json_t *m = json_array_get(json_object_get(done(), "members"), 0);
	assert_string_equal(text_in(m, "member"), "D-9");
	assert_string_equal(text_in(m, "role"), "specialist");
	assert_int_equal(ROWS("audit"), audits);
	give("team", "{'team':'T-1','members':[]}");
	done();
	assert_int_equal(ROWS("team"), 0);
}

/* labels */

static void test_label(void **state)
{
	(void)state;
	char path[100], text[600];
	give("label", "{'resident':'R-0001','label':'大张（东头）'}");
	assert_true(json_is_true(json_object_get(done(), "label")));
	give("resident", "{'resident':'R-0001'}");
	assert_string_equal(text_in(done(), "label"), "大张（东头）");
	/* never through the other door, and nowhere else */
	door_platform = "platform";
	give("resident", "{'resident':'R-0001'}");
	assert_null(json_object_get(done(), "label"));
	give("followup", "{'resident':'R-0001'}");
	assert_null(json_object_get(done(), "label"));
	give("label", "{'resident':'R-0001','label':'x'}");
	refused("local_only");
	door_platform = NULL;
	give("followup", "{'resident':'R-0001'}"); /* on paper, and at the desk */
	assert_string_equal(text_in(done(), "label"), "大张（东头）");
	rig_text(&rig, text, sizeof(text),
		"SELECT group_concat(coalesce(action,'')||coalesce(object,'')||coalesce(detail,'')) FROM "
		"audit");
	assert_string_equal(text, "importroster4 residents,labelR-0001");
	assert_int_equal(ROWS("outbox"), 0);
	static const char *const bad[] = {"'a\\nb'", "'13800000000 Zhang'", "'110101195803141234'",
		"'01234567890123456789012345678901234567890123456789012345678901234'"};
	for (size_t i = 0; i < ELEMENTS(bad); i++) {
		snprintf(text, sizeof(text), "{'resident':'R-0002','label':%s}", bad[i]);
		give("label", text);
		refused("bad_value");
	}
	/* a lost key loses labels, and nothing else */
	snprintf(path, sizeof(path), "%s/label.key", rig.dir);
	assert_int_equal(unlink(path), 0);
	give("resident", "{'resident':'R-0001'}");
	assert_true(json_is_null(json_object_get(done(), "label")));
	const json_t *why = json_object_get(done(), "label_unreadable");
	assert_non_null(strstr(text_in(why, "en"), "give the label again"));
	assert_true(has_chinese(text_in(why, "zh")));
	assert_string_equal(text_in(done(), "state"), "active");
	give("label", "{'resident':'R-0001','label':'B'}");
	give("resident", "{'resident':'R-0001'}");
	assert_string_equal(text_in(done(), "label"), "B");
	assert_int_equal(chmod(path, 0644), 0);
	give("label", "{'resident':'R-0001','label':'C'}");
	refused("label_key");
	give("resident", "{'resident':'R-0001'}");
	assert_true(json_is_null(json_object_get(done(), "label")));
	give("label", "{'resident':'R-0001','label':''}");
	assert_true(json_is_false(json_object_get(done(), "label")));
	assert_int_equal(rig_int(&rig, "SELECT count(*) FROM resident WHERE label IS NOT NULL"), 0);
	rig_script(&rig, "UPDATE resident SET state='erased' WHERE id=1");
	give("label", "{'resident':'R-0001','label':'D'}");
	refused("not_active");
}

/* Both tables are asked for every command. */
static void test_found(void **state)
{
	(void)state;
	for (const struct command_entry *e = resident_commands; e->name; e++)
		assert_ptr_equal(command_find(e->name), e);
	for (const struct command_entry *e = roster_commands; e->name; e++)
		assert_ptr_equal(command_find(e->name), e);
}

/* Whatever comes by whatever door, it is done or refused with a sentence for each of us. */
static void test_random(void **state)
{
	(void)state;
	static const char *const names[] = {"resident", "merge", "died", "moved", "returned",
		"withdraw", "consent", "erase", "team", "limit", "label", "import", "roster",
		"roster_release"};
	static const char *const keys[] = {"resident", "into", "on", "reason", "kind", "at_least",
		"at_most", "severity", "until", "end", "team", "members", "label", "csv", "mode",
		"version", "base", "n", "of", "residents", "removed"};
	static const char *const values[] = {"'R-0001'", "'R-0002'", "'R-0003'", "'-'", "''", "7",
		"2", "-1", "9223372036854775807", "1e300", "null", "true", "{}", "[]",
		"'2026-01-01'", "'2098-12-31'", "'bp.sbp'", "'critical'", "'full'", "'delta'",
		"'token\\nR-9\\n'", "['R-0001',7]",
		"[{'token':'R-0002','sex':['M']},{'member':'D-1','role':'doctor'}]",
		"'caf\\u00e9'"};
	char args[600];
	srandom(20261121);
	for (int i = 0; i < 4000; i++) {
		size_t n = 1, used = (size_t)random() % 6;
		args[0] = '{';
		for (size_t k = 0; k < used; k++)
			n += (size_t)snprintf(args + n, sizeof(args) - n, "%s'%s':%s", k ? "," : "",
				keys[(size_t)random() % ELEMENTS(keys)],
				values[(size_t)random() % ELEMENTS(values)]);
		snprintf(args + n, sizeof(args) - n, "}");
		door_platform = random() % 3 ? NULL : "platform";
		door_author = random() % 2 ? "local:nurse/D-0001" : "platform:platform";
		give(names[(size_t)random() % ELEMENTS(names)], args);
		if (!json_object_get(last, "result"))
			refused(text_in(json_object_get(last, "error"), "code"));
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, door_teardown)
	const struct CMUnitTest tests[] = {
		T(test_show),
		T(test_states),
		T(test_state_is_told),
		T(test_merge_refused),
		T(test_merge),
		T(test_merge_void),
		T(test_merge_study),
		T(test_erase),
		T(test_erase_written_down),
		T(test_erase_waiting_repeat),
		T(test_erase_anothers_alert),
		T(test_team),
		T(test_label),
		T(test_found),
		T(test_random),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
