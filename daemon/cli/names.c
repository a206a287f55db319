/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "names.h"

#include "alert_say.h"
#include "codes.h"
#include "config.h"
#include "util.h"

#define END                      \
	{                        \
		NULL, NULL, NULL \
	}

static const struct alert_word evidence[] = {{"device_binding", "bound device", "设备绑定"},
	{"user_slot", "user slot of the device", "设备用户位"}, {"checkin", "check-in", "工位登记"},
	{"identified_after", "identified after", "测量后登记"},
	{"message_token", "named by the instrument", "仪器报告的编号"},
	{"assigned_by_person", "assigned by a person", "人工指定"},
	{"entered_by_person", "entered by a person", "人工录入"}, {"place", "of a place", "场所"},
	{"test", "test device", "测试设备"},
	{"device_identity_changed", "another instrument at its address", "设备已换成另一台"},
	{"conflicting_content", "contradicts another record", "与另一记录矛盾"},
	{"unknown_patient_id", "id not on the roster", "编号不在名册中"},
	{"typed_id_unproven", "typed id, not proven", "手输编号，未经核实"},
	{"bound_to_several", "bound to several", "绑定了多人"},
	{"bound_alone_and_by_slot", "bound alone and by slot", "单独绑定与用户位绑定并存"},
	{"not_bound", "not bound", "设备未绑定"},
	{"user_slot_missing", "no user slot given", "缺少用户位"},
	{"user_slot_not_bound", "user slot not bound", "用户位未绑定"},
	{"time_unknown_after_handover", "time unknown after a hand-over", "转交后测量时间不明"},
	{"clock_unchecked_across_handover", "clock unchecked across a hand-over",
		"转交前后时钟未核对"},
	{"checkin_undone", "check-in undone", "登记已撤销"},
	{"time_unknown_at_station", "time unknown at a station", "工位测量时间不明"},
	{"patient_id_contradicts_binding", "id contradicts the binding", "编号与设备绑定不符"},
	{"checkin_contradicts_message", "check-in contradicts the id", "登记与编号不符"},
	{"checkin_contradicts_binding", "check-in contradicts the binding", "登记与设备绑定不符"},
	{"between_two_checkins", "between two check-ins", "在两次登记之间"},
	{"consent_withdrawn", "consent withdrawn", "已撤回同意"}, END};

static const struct alert_word trusts[] = {{"corrected", "clock corrected", "设备时钟，已校正"},
	{"live", "received live", "实时接收"}, {"device", "device's clock", "设备时钟"},
	{"arrival", "time of arrival", "到达时间"}, {"unknown", "not trustworthy", "时间不可信"},
	END};

static const struct alert_word purposes[] = {{"follow-up", "follow-up", "随访"},
	{"exam", "exam", "体检"}, {"home-bed", "home bed", "家庭病床"}, {"hut", "hut", "健康小屋"},
	END};

/* Words that a person adds are daemon/annotation.h's. */
static const struct alert_word notes[] = {{"meal", "meal", "进餐"}, {"arm", "arm", "手臂"},
	{"posture", "posture", "体位"}, {"sample", "sample", "样本"},
	{"operator", "operator", "操作者"}, {"food", "food", "食物"},
	{"tester", "tester", "测量者"}, {"health", "health", "身体状况"},
	{"exercise", "exercise", "运动"}, {"medication", "medication", "用药"},
	{"specimen", "specimen", "标本"}, {"sample_type", "sample type", "样本类型"},
	{"site", "site", "测量部位"}, {"zone", "zone", "时区"}, {"breakfast", "breakfast", "早餐"},
	{"lunch", "lunch", "午餐"}, {"dinner", "dinner", "晚餐"}, {"snack", "snack", "零食"},
	{"drink", "drink", "饮料"}, {"supper", "supper", "夜宵"}, {"brunch", "brunch", "早午餐"},
	{"before_meal", "before the meal", "餐前"}, {"after_meal", "after the meal", "餐后"},
	{"casual", "casual", "随机"}, {"bedtime", "bedtime", "睡前"},
	{"professional", "professional", "医务人员"}, {"laboratory", "laboratory", "实验室"},
	{"minor_issues", "minor issues", "轻微不适"}, {"major_issues", "major issues", "明显不适"},
	{"menses", "menses", "月经期"}, {"stress", "stress", "应激"},
	{"no_issues", "no issues", "无不适"}, {"yes", "yes", "是"},
	{"insulin_rapid", "rapid insulin", "速效胰岛素"},
	{"insulin_short", "short-acting insulin", "短效胰岛素"},
	{"insulin_intermediate", "intermediate insulin", "中效胰岛素"},
	{"insulin_long", "long-acting insulin", "长效胰岛素"},
	{"insulin_premixed", "premixed insulin", "预混胰岛素"}, END};

static const struct alert_word events[] = {{"reading", "reading", "读数"},
	{"nothing", "nothing", "无内容"}, {"malformed", "malformed", "格式错误"},
	{"out_of_sequence", "out of sequence", "顺序错误"},
	{"unsupported", "unsupported", "不支持"}, {"implausible", "implausible", "数值不合理"},
	{"failed_measurement", "failed measurement", "测量失败"},
	{"device_clock", "clock of the device", "设备时钟"}, {"battery", "battery", "设备电量"},
	{"device_error", "device error", "设备报错"},
	{"memory_full", "memory full", "设备内存已满"},
	{"instrument_restart", "instrument restarted", "设备重新启动"},
	{"control_solution", "control solution", "质控液"}, {"episode", "episode", "发作事件"},
	{"drained", "memory told", "设备内存已读完"}, {"clock_set", "clock set", "已校正设备时钟"},
	{"clock_epoch", "clock changed", "设备时钟曾改动"},
	{"identity_presented", "identity presented", "出示身份"},
	{"unknown_card", "unknown card", "未知卡片"},
	{"device_enrolled", "device enrolled", "设备已登记"},
	{"device_unenrolled", "device unenrolled", "设备已移除"},
	{"handed_over", "handed over", "设备已转交"},
	{"database_quarantined", "database set aside", "数据库损坏已隔离"},
	{"bluetooth_trouble", "Bluetooth trouble", "蓝牙故障"},
	{"config_refused", "configuration refused", "配置被拒绝"},
	{"config_mended", "configuration mended", "配置已恢复正确"},
	{"clock_stepped", "gateway clock stepped", "网关时钟跳变"},
	{"clock_repaired", "times repaired", "时间已修复"},
	{"repeat_requested", "repeat requested", "请求复测"},
	{"repeat_done", "repeat done", "复测完成"}, {"hook_failed", "hook failed", "通知程序失败"},
	{"study_unreadable", "ECG unreadable", "心电图无法读取"},
	{"confirmed_visit_changed", "evidence of a visit changed", "已确认随访的依据有变"},
	{"resident_deceased", "resident deceased", "居民死亡"},
	{"resident_moved", "resident moved", "居民迁出"},
	{"resident_withdrawn", "consent withdrawn", "居民撤回同意"},
	{"resident_consented", "consent given again", "居民重新同意"},
	{"resident_returned", "resident returned", "居民恢复管理"},
	{"resident_merged", "residents merged", "居民已合并"},
	{"resident_erased", "resident erased", "居民数据已删除"}, END};

static const struct alert_word devices[] = {{"connected", "connected", "已连接"},
	{"waiting", "waiting", "等待设备"}, {"absent", "absent", "未找到设备"},
	{"busy", "busy", "被占用"}, {"denied", "denied", "无权限"}, {"error", "error", "错误"},
	{"unpaired", "unpaired", "未配对"}, {"setting-up", "setting up", "正在建立"},
	{"crowded", "crowded", "排队等待"}, {"silent", "silent", "无应答"},
	{"unreadable", "unreadable", "文件不可读"}, {"not-a-line", "not a line", "不是串口"},
	{"stopped", "stopped", "已停止"}, {"playing", "playing", "正在重放"},
	{"done", "done", "已完成"}, {"ready", "ready", "就绪"},
	{"adapter-off", "adapter off", "蓝牙适配器关闭"},
	{"adapter-absent", "adapter absent", "没有蓝牙适配器"},
	{"adapter-failing", "adapter failing", "蓝牙适配器故障"},
	{"no-bluetooth", "no Bluetooth", "系统不支持蓝牙"},
	{"no-bus", "no system bus", "系统总线不可用"},
	{"no-bluetoothd", "bluetoothd not running", "蓝牙服务未运行"},
	{"bluetoothd-hung", "bluetoothd hangs", "蓝牙服务无响应"}, END};

static const struct alert_word acks[] = {
	{"held", "held", "存后确认"}, {"none", "none", "不确认"}, END};

static const struct alert_word sinks[] = {{"connected", "connected", "已连接"},
	{"no_broker", "no broker", "无法连接平台"}, {"no_process", "no process", "上传程序未运行"},
	{"ok", "ok", "正常"}, END};

static const struct alert_word objects[] = {{"reading", "reading", "读数"},
	{"alert", "alert", "警报"}, {"followup", "follow-up", "随访表"}, {"event", "event", "事件"},
	{"study", "ECG", "心电检查"}, {"piece", "piece of an ECG", "心电数据分片"},
	{"due", "list of what is due", "待办名单"}, {"kpi", "rates", "月度指标"}, END};

static const struct alert_word study_statuses[] = {{"undecoded", "not decoded", "未解码"},
	{"unassigned", "unassigned", "未归属"}, {"final", "final", "有效"},
	{"amended", "filed", "已归属"}, {"entered-in-error", "void", "已作废"}, END};

static const struct alert_word studies[] = {{"not_sent", "not sent yet", "尚未发送"},
	{"waiting", "waits for its report", "等待报告"},
	{"overdue", "report overdue: call the centre", "报告超时：请联系诊断中心"},
	{"repeat", "poor tracing: record again", "图形不佳：请重新采集"},
	{"unreadable", "damaged file: send it again from the cart",
		"文件损坏：请从心电图机重新发送"},
	{"preliminary", "preliminary: the final report is to come", "初步报告：等待最终报告"},
	{"critical_unread", "critical value: read it back", "危急值：请复述确认"},
	{"unsent", "not received by the centre", "中心尚未收到"},
	{"received", "received by the centre", "中心已收到"}, {"reported", "reported", "已报告"},
	END};

static const struct alert_word deliveries[] = {{"queued", "not sent yet", "未发送"},
	{"sent", "sent", "已发送"}, {"at_platform", "at the platform", "平台已收"},
	{"read", "read", "已读"}, {"acknowledged", "acknowledged", "已确认"}, END};

static const struct alert_word members[] = {{"resident", "resident", "居民"},
	{"label", "label", "标签"}, {"label_unreadable", "label unreadable", "标签不可读"},
	{"state", "state", "状态"}, {"state_on", "since", "自"},
	{"merged_into", "merged into", "已并入"}, {"into", "into", "并入"},
	{"birth_date", "born", "出生日期"}, {"age", "age", "年龄"}, {"sex", "sex", "性别"},
	{"programmes", "programmes", "管理项目"}, {"populations", "populations", "重点人群"},
	{"conditions", "conditions", "特殊情况"}, {"setting", "setting", "服务场所"},
	{"doctor", "doctor", "责任医生"}, {"team", "team", "团队"},
	{"chain", "escalation", "逐级通知"}, {"contract", "contract", "签约"},
	{"signed_on", "signed", "签约日"}, {"valid_from", "from", "生效"},
	{"valid_to", "to", "到期"}, {"in_contract", "in contract now", "当前签约有效"},
	{"owner", "owning gateway", "管理网关"}, {"members", "team members", "团队成员"},
	{"member", "member", "人员"}, {"role", "role", "岗位"}, {"hours", "hours", "工作时间"},
	{"limits", "personal limits", "个人限值"}, {"kind", "of", "项目"},
	{"at_least", "at least", "≥"}, {"at_most", "at most", "≤"},
	{"severity", "severity", "级别"}, {"by", "by", "设定人"}, {"reason", "reason", "原因"},
	{"from", "from", "自"}, {"until", "until", "至"},
	{"confirmed_by", "confirmed by", "复核人"}, {"station", "station", "工位"},
	{"day", "day", "日期"}, {"residents", "residents", "居民数"},
	{"readings", "readings", "读数"}, {"studies", "studies", "心电检查"},
	{"visits", "visits", "随访"}, {"deleted", "deleted", "已删除"}, {"kept", "kept", "保留"},
	{"audit", "audit", "操作记录"}, {"not_delivered", "not delivered", "未送达平台"},
	{"annotations", "annotations", "补充信息"}, {"alerts", "alerts", "警报"},
	{"reading_revisions", "revisions of readings", "读数版本"},
	{"reports", "reports", "心电报告"}, {"visit_revisions", "revisions of visits", "随访版本"},
	{"plans", "plans", "随访计划"}, {"bindings", "bindings", "设备绑定"},
	{"cards", "cards", "卡片"}, {"bookings", "bookings", "预约"},
	{"checkins", "check-ins", "登记"}, {"lists", "lists", "名单"},
	{"replies", "replies", "命令答复"}, END};

static const struct alert_word residents[] = {{"active", "active", "在管"},
	{"deceased", "deceased", "已死亡"}, {"moved", "moved away", "已迁出"},
	{"withdrawn", "consent withdrawn", "已撤回同意"},
	{"unlisted", "no longer on the roster", "已不在名册"}, {"merged", "merged", "已合并"},
	{"erased", "erased", "已删除"}, END};

static const struct alert_word limits[] = {{"pending", "pending", "待复核"},
	{"confirmed", "confirmed", "已复核"}, {"ended", "ended", "已终止"}, END};

static const struct alert_word sexes[] = {{"M", "male", "男"}, {"F", "female", "女"}, END};

static const struct alert_word traits[] = {{"hypertension", "hypertension", "高血压"},
	{"t2dm", "type 2 diabetes", "2型糖尿病"}, {"copd", "COPD", "慢阻肺"},
	{"elderly", "elderly", "老年人"}, {"pregnant", "pregnant", "孕产妇"},
	{"child_0_6", "child of 0 to 6 years", "0–6岁儿童"}, {"disabled", "disabled", "残疾人"},
	{"poverty", "poverty", "低收入人口"}, {"special_family", "special family", "计生特殊家庭"},
	{"diabetes", "diabetes", "糖尿病"}, {"tuberculosis", "tuberculosis", "肺结核"},
	{"mental", "severe mental disorder", "严重精神障碍"},
	{"breastfeeding", "breastfeeding", "哺乳期"}, {"on_oxygen", "on oxygen", "吸氧"},
	{"treated_diabetes", "treated diabetes", "糖尿病用药中"},
	{"heart_failure", "heart failure", "心力衰竭"}, {"clinic", "clinic", "门诊"},
	{"home", "home", "家庭"}, {"home_bed", "home bed", "家庭病床"},
	{"care_home", "care home", "养老机构"}, END};

static const struct alert_word staff[] = {{"doctor", "doctor", "医生"},
	{"specialist", "specialist", "专科医生"}, {"nurse", "nurse", "护士"},
	{"assistant", "assistant", "助理"}, {"health_manager", "health manager", "健康管理师"},
	{"village_doctor", "village doctor", "村医"}, {"always", "always", "全天"}, END};

static const struct alert_word forms[] = {
	{"hypertension_followup_v3", "Hypertension follow-up", "高血压患者随访服务记录表"},
	{"t2dm_followup_v3", "Type 2 diabetes follow-up", "2型糖尿病患者随访服务记录表"},
	{"elderly_health_check_65plus", "Yearly check of the elderly", "老年人健康体检表"},
	{"copd_followup_2024plus", "COPD follow-up", "慢阻肺病患者随访服务记录表"}, END};

static const struct alert_word briefs[] = {{"htn", "hypertension", "高血压"},
	{"t2dm", "type 2 diabetes", "2型糖尿病"}, {"copd", "COPD", "慢阻肺"},
	{"elderly", "elderly", "老年人"}, END};

static const struct alert_word visits[] = {{"open", "open", "进行中"},
	{"closed", "closed, not confirmed", "已结束，未确认"}, {"confirmed", "confirmed", "已确认"},
	{"entered-in-error", "VOID", "已作废"}, END};

static const struct alert_word ways[] = {{"1", "in the clinic", "门诊"}, {"2", "at home", "家庭"},
	{"3", "by phone", "电话"}, {"", "how it is held: ____", "随访方式：____"}, END};

static const struct alert_word lists_due[] = {{"due", "due", "应随访"},
	{"referral_result", "referral result", "转诊结果"},
	{"no_contact", "no contact", "长期无联系"},
	{"twice", "not controlled twice", "连续两次未控制"},
	{"recheck", "re-check pressure", "血压复测"}, {"planned", "planned", "计划随访"},
	{"refollowup", "re-follow-up", "两周内复访"}, {"open", "open", "进行中"},
	{"likely", "likely hypertension", "疑似高血压"}, {"not_controlled_twice", "", ""},
	{"ahead", "ahead", "未到期"}, {"yellow", "overdue", "超期"},
	{"red", "long overdue", "严重超期"}, END};

static const struct alert_word rates[] = {{"enrolled", "enrolled", "在管登记"},
	{"managed", "managed", "已管理"}, {"visits", "visits", "随访次数"},
	{"standard", "managed to standard", "规范管理"},
	{"controlled", "controlled at the last visit", "末次控制达标"},
	{"in_contract", "managed and in contract", "已管理且签约"},
	{"age_unknown", "of unknown age", "年龄不详"}, END};

static const struct alert_word fills[] = {{"single", "one measurement only", "仅测量一次"},
	{"third_needed", "measure a third time: the two differ too much",
		"两次相差过大，请测第三次"},
	{"beyond_range", "beyond the meter's range", "超出仪器量程"},
	{"derived", "computed", "计算值"}, {"from", "of an earlier day", "既往测量"},
	{"implausible", "cannot be true", "数值不合理"},
	{"does_not_fit", "does not fit the form", "不符合表格格式"}, END};

static const struct alert_word whys[] = {
	{"answer_first", "answer complication and adverse reaction first",
		"请先填写并发症和药物不良反应"},
	{"answers_missing", "complication or adverse reaction not answered",
		"并发症或药物不良反应未填写"},
	{"age_unknown", "the age is not known well enough", "年龄不详，无法判定"},
	{"no_value", "no value of this visit", "本次无测量值"}, END};

static const struct alert_word referrals[] = {
	{"bp_urgent", "pressure urgently high", "血压危急升高"},
	{"pregnant_bp", "pressure high in pregnancy or breastfeeding", "妊娠或哺乳期血压升高"},
	{"glucose_high", "glucose urgently high", "血糖危急升高"},
	{"glucose_low", "glucose low", "低血糖"},
	{"pregnant_glucose", "glucose high in pregnancy or breastfeeding", "妊娠或哺乳期血糖升高"},
	{"temperature", "fever", "发热"}, {"heart_rate", "heart rate high", "心率过快"},
	{"complication", "new or worse complication", "出现新的或加重的并发症"},
	{"adverse_twice", "adverse reaction twice", "连续两次药物不良反应"},
	{"not_controlled_twice", "not controlled twice", "连续两次控制不满意"}, END};

static const struct alert_word classes[] = {{"1", "1 controlled", "1 控制满意"},
	{"2", "2 not controlled", "2 控制不满意"}, {"3", "3 adverse reaction", "3 不良反应"},
	{"4", "4 complication", "4 并发症"}, END};

static const struct alert_word measures[] = {{"1", "1 follow up as usual", "1 常规随访"},
	{"2", "2 follow up again in two weeks", "2 两周内复访"},
	{"3", "3 refer, follow up in two weeks", "3 建议转诊，两周内随访"},
	{"4", "4 refer at once", "4 紧急转诊"}, END};

static const struct alert_word verdicts[] = {{"high", "high", "偏高"}, {"normal", "normal", "正常"},
	{"between", "between", "临界"}, END};

static const struct alert_word *const lists[NAMES] = {[NAME_EVIDENCE] = evidence,
	[NAME_TRUST] = trusts,
	[NAME_PURPOSE] = purposes,
	[NAME_NOTE] = notes,
	[NAME_EVENT] = events,
	[NAME_DEVICE] = devices,
	[NAME_ACK] = acks,
	[NAME_SINK] = sinks,
	[NAME_OBJECT] = objects,
	[NAME_STUDY_STATUS] = study_statuses,
	[NAME_STUDY] = studies,
	[NAME_DELIVERY] = deliveries,
	[NAME_MEMBER] = members,
	[NAME_RESIDENT] = residents,
	[NAME_LIMIT] = limits,
	[NAME_SEX] = sexes,
	[NAME_TRAIT] = traits,
	[NAME_STAFF] = staff,
	[NAME_FORM] = forms,
	[NAME_BRIEF] = briefs,
	[NAME_VISIT] = visits,
	[NAME_WAY] = ways,
	[NAME_LIST] = lists_due,
	[NAME_RATE] = rates,
	[NAME_FILL] = fills,
	[NAME_WHY] = whys,
	[NAME_REFERRAL] = referrals,
	[NAME_CLASS] = classes,
	[NAME_MEASURE] = measures,
	[NAME_VERDICT] = verdicts};

const char *name_of(enum name list, const char *word, bool chinese)
{
	for (const struct alert_word *w = lists[list]; word && w->name; w++)
		if (streq(w->name, word))
			return chinese ? w->zh : w->en;
	return word ? word : "";
}

/* kinds of numbers */

/* Beside the program: in the tree where it was built. */
static const char *beside(void)
{
	static char place[512];
	ssize_t n = readlink("/proc/self/exe", place, sizeof(place) - 16);
	place[MAX(n, 0)] = 0;
	char *slash = strrchr(place, '/');
	if (slash)
		strcpy(slash, "/../config");
	return place;
}

/* Those that the gateway uses; NULL: whoever asks may not read its configuration, or it is wrong. */
static const char *of_gateway(const struct cli *cli)
{
	static struct config config;
	static bool looked;
	char error[CONFIG_ERROR_MAX];
	if (!looked && config_load(cli->config, &config, error, sizeof(error)) < 0)
		config.tables[0] = 0;
	looked = true;
	return config.tables;
}

const char *names_tables(const struct cli *cli, unsigned index)
{
	const char *const places[] = {
		getenv("VITALGATE_TABLES"), of_gateway(cli), VITALGATE_TABLES, beside()};
	if (cli->tables)
		return index ? NULL : cli->tables;
	for (size_t i = 0; i < ELEMENTS(places); i++)
		if (places[i] && *places[i] && !index--)
			return places[i];
	return NULL;
}

const struct code *name_code(const struct cli *cli, const char *kind)
{
	static struct codes *codes; /* until the program ends */
	static bool looked;
	const char *place;
	char error[512];
	for (unsigned i = 0; !looked && !codes && (place = names_tables(cli, i)); i++)
		codes = codes_load(place, error, sizeof(error));
	looked = true;
	return codes ? codes_find(codes, kind) : NULL;
}

const char *name_kind(const struct cli *cli, const char *kind)
{
	const struct code *code = name_code(cli, kind);
	return !code ? kind : cli->chinese ? code->name_zh : code->name_en;
}

const char *name_unit(const struct cli *cli, const char *unit)
{
	return alert_say(SAY_UNIT, unit, cli->chinese);
}
