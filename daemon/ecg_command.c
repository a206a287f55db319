/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands about studies: look at them, fetch the original, say what the ECG centre said. */
#include "command.h"
#include "gateway.h"
#include "payload.h"
#include "report.h"
#include "studies.h"
#include "study.h"

#include <errno.h>

#define LIST_MAX 200
#define PIECES_AT_ONCE 8 /* 64 KiB: in base64, too, a platform's reply (link.h) */

/* The study that the command names. */
static int study_named(struct command *c, int64_t *ret_row, struct uuid *ret_id)
{
	int rc = command_find_id(
		c, "study", "SELECT uuid FROM study WHERE uuid BETWEEN ? AND ? LIMIT 2", ret_id);
	if (rc < 0)
		return rc;
	*ret_row = study_row(c->db, ret_id);
	return 0;
}

int command_refuse_undecoded(struct command *c)
{
	return command_refuse(c, "not_decoded",
		"This study was received a moment ago and is still being decoded: ask again.",
		"该检查刚收到，正在解码，请稍后再试。");
}

/* looking */

static int query_ecg(struct command *c)
{
	struct uuid id;
	int64_t row;
	int rc = study_named(c, &row, &id);
	if (rc < 0)
		return rc;
	struct json study = {0};
	rc = payload_object(c->gateway, c->db, OBJECT_STUDY, row, -1, &study);
	const char *text = rc < 0 ? NULL : json_text(&study);
	if (text)
		json_members(c->result, text);
	json_free(&study);
	return rc < 0 ? rc : text ? 0 : -ENOMEM;
}

static int query_list(struct command *c)
{
	int64_t limit = MIN(MAX(command_number(c, "limit", 20), INT64_C(1)), (int64_t)LIST_MAX);
	int rc;
	_cleanup_(row_endp) struct row *r =
		db_query(c->db, "SELECT id FROM study ORDER BY id DESC LIMIT ?", "i", limit);
	json_array_begin(c->result, "studies");
	while ((rc = row_next(r)) > 0) {
		int done = payload_object(
			c->gateway, c->db, OBJECT_STUDY, row_int(r, 0), -1, c->result);
		if (done < 0)
			return done;
	}
	json_array_end(c->result);
	return rc;
}

static void open_json(
	struct command *c, struct row *r, const char *state, int64_t since, int64_t due)
{
	size_t len;
	const void *id = row_blob(r, 1, &len);
	json_object_begin(c->result, NULL);
	json_hex(c->result, "id", id, len);
	json_str(c->result, "resident", row_text(r, 2));
	json_str(c->result, "device", row_text(r, 3));
	json_time(c->result, "acquired", row_int(r, 4));
	json_str(c->result, "state", state);
	json_time(c->result, "since", since);
	if (due)
		json_time(c->result, "due", due);
	json_object_end(c->result);
}

/* Whatever somebody still has to do, or to wait for. */
static int query_open(struct command *c)
{
	int rc;
	unsigned n = 0;
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT s.id,s.uuid,token,device.name,taken FROM study s LEFT JOIN resident ON "
		"resident.id=s.resident LEFT JOIN device ON device.id=s.device WHERE s.id IN (SELECT "
		"study FROM study_wait UNION SELECT study FROM report WHERE status IN "
		"('poor_tracing','preliminary') OR (status='critical' AND read_back_at IS NULL) UNION "
		"SELECT id FROM study WHERE format IS NULL AND status<>'undecoded') ORDER BY s.id",
		"");
	json_array_begin(c->result, "studies");
	while ((rc = row_next(r)) > 0 && n < LIST_MAX) {
		int64_t since, due;
		const char *state = report_open(c->db, row_int(r, 0), &since, &due);
		if (state)
			open_json(c, r, state, since, due);
		n += state != NULL; /* poor tracings that were recorded again are many in a year */
	}
	json_array_end(c->result);
	return MIN(rc, 0);
}

/* Some of the original, from a piece's beginning on. */
static int query_original(struct command *c)
{
	struct uuid id;
	int64_t row, from = command_number(c, "from", 0);
	int rc = study_named(c, &row, &id);
	if (rc < 0)
		return rc;
	int64_t total = db_int(c->db, 0, "SELECT bytes FROM study WHERE id=?", "i", row);
	if (from < 0 || from % STUDY_PIECE_BYTES || from > total)
		return command_refuse(c, "bad_from",
			"Expected the value of \"next\" of the answer before, or 0.",
			"from 应为上次返回的 next，或 0。");
	_cleanup_(freep) uint8_t *bytes = malloc(PIECES_AT_ONCE * STUDY_PIECE_BYTES);
	size_t n = 0, len;
	if (!bytes)
		return -ENOMEM;
	_cleanup_(row_endp) struct row *r = db_query(c->db,
		"SELECT bytes FROM study_piece WHERE study=? AND n>=? ORDER BY n LIMIT ?", "iii",
		row, from / STUDY_PIECE_BYTES, (int64_t)PIECES_AT_ONCE);
	while ((rc = row_next(r)) > 0) {
		const void *piece = row_blob(r, 0, &len);
		memcpy(bytes + n, piece, MIN(len, (size_t)STUDY_PIECE_BYTES));
		n += MIN(len, (size_t)STUDY_PIECE_BYTES);
	}
	json_base64(c->result, "data", bytes, n);
	json_int(c->result, "bytes", total);
	json_int(c->result, "next", from + (int64_t)n);
	return rc;
}

/* the centre's word */

static int refuse_status(struct command *c)
{
	return command_refuse(c, "bad_status",
		"Say the status: preliminary, final, amended, poor_tracing or critical.",
		"请注明状态：preliminary 初步 / final 最终 / amended 修改 / poor_tracing 图形不合格 / "
		"critical 危急值。");
}

/* What report_add() says, in words. */
static int refuse_word(struct command *c, int why)
{
	static const struct {
		int why;
		const char *code, *en, *zh;
	} words[] = {
		{-ENODATA, "no_text", "Say in \"text\" what was found: this report has none.",
			"请在 text 中填写报告内容：该报告无内容。"},
		{-EMSGSIZE, "too_long",
			"Shorten it: a report has at most 2000 bytes, what is to be read back 200.",
			"请缩短：报告最多2000字节，需复述的内容最多200字节（汉字每字3字节）。"},
		{-EALREADY, "already_final",
			"There is a final report already: send what changed as \"amended\".",
			"该检查已有最终报告；如有变更请以 amended 发送。"},
		{-EDQUOT, "too_many",
			"There are 20 reports of this study already: telephone the site instead.",
			"该检查已有20次报告，请直接电话联系站点。"},
	};
	for (size_t i = 0; i < ELEMENTS(words); i++)
		if (why == words[i].why)
			return command_refuse(c, words[i].code, words[i].en, words[i].zh);
	return why;
}

static int act_report(struct command *c)
{
	struct uuid id;
	char text[33];
	int64_t row;
	enum report_status status = report_status_of(command_text(c, "status"));
	const char *critical = command_text(c, "critical");
	if (status == REPORTS)
		return refuse_status(c);
	if ((status == REPORT_CRITICAL) != (critical[0] != 0))
		return command_refuse(c, "bad_critical",
			"A critical value, and nothing else, needs \"critical\": the words that are to "
			"be read back.",
			"危急值（且仅危急值）必须填写 critical：需要复述的内容。");
	int rc = study_named(c, &row, &id);
	if (rc < 0)
		return rc;
	if (!db_int(c->db, 0, "SELECT revision FROM study WHERE id=?", "i", row))
		return command_refuse_undecoded(c);
	rc = report_add(
		c->gateway, c->db, row, status, command_text(c, "text"), critical, c->author);
	if (rc < 0)
		return refuse_word(c, rc);
	rc = command_audit(
		c, "ecg_report", hex(text, id.bytes, sizeof(id.bytes)), report_status_name(status));
	json_hex(c->result, "study", id.bytes, sizeof(id.bytes));
	json_str(c->result, "status", report_status_name(status));
	return rc;
}

static int act_readback(struct command *c)
{
	struct uuid id;
	char text[33];
	int64_t row;
	int rc = study_named(c, &row, &id);
	if (rc >= 0)
		rc = report_read_back(c->gateway, c->db, row, command_text(c, "text"), c->author);
	if (rc == -ENOENT)
		return command_refuse(c, "nothing_to_read_back",
			"No critical value of this study waits to be read back.",
			"该检查没有待复述的危急值。");
	if (rc == -EBADMSG)
		return command_refuse(c, "other_words",
			"These are other words than the centre's. Read the alert again and repeat it "
			"word by word.",
			"复述内容与心电中心报告不一致，请重新阅读警报并逐字复述。");
	if (rc >= 0)
		rc = command_audit(c, "ecg_readback", hex(text, id.bytes, sizeof(id.bytes)), NULL);
	json_hex(c->result, "study", id.bytes, sizeof(id.bytes));
	return rc;
}

/* A decoder that was broken, or knows more now, looks at it again. */
static int act_decode(struct command *c)
{
	struct uuid id;
	char text[33];
	int64_t row;
	int rc = study_named(c, &row, &id);
	if (rc >= 0)
		rc = study_again(c->gateway, c->db, row);
	if (rc >= 0)
		rc = command_audit(c, "ecg_decode", hex(text, id.bytes, sizeof(id.bytes)), NULL);
	json_hex(c->result, "study", id.bytes, sizeof(id.bytes));
	return rc;
}

static void decode_then(struct gateway *g, const json_t *args, const char *author)
{
	(void)args, (void)author;
	studies_wake(g->studies);
}

const struct command_entry ecg_commands[] = {
	{"ecg", query_ecg, NULL},
	{"ecg_list", query_list, NULL},
	{"ecg_open", query_open, NULL},
	{"ecg_original", query_original, NULL},
	{"ecg_report", act_report, NULL},
	{"ecg_readback", act_readback, NULL},
	{"ecg_decode", act_decode, decode_then},
	{0},
};
