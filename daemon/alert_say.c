/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "alert_say.h"

#include "util.h"

#define END                      \
	{                        \
		NULL, NULL, NULL \
	}

static const struct alert_word severities[] = {{"none", "no alert", "无警报"},
	{"notice", "notice", "提示"}, {"warning", "warning", "警告"},
	{"critical", "critical", "危急"}, END};

static const struct alert_word states[] = {{"active", "active", "进行中"},
	{"latched", "over, nobody has acknowledged it", "已解除，待确认"},
	{"inactive", "over", "已结束"}, END};

static const struct alert_word phases[] = {{"start", "raised", "发出"},
	{"continue", "goes on", "持续"}, {"escalate", "raised higher", "升级"},
	{"deescalate", "lowered", "降级"}, {"update", "updated", "更新"}, {"end", "ended", "结束"},
	END};

static const struct alert_word roles[] = {{"doctor", "doctor", "责任医生"},
	{"deputy", "deputy", "代班人员"}, {"duty", "on duty", "值班人员"},
	{"chain", "next in the chain", "上级联系人"}, {"staff", "staff", "站点工作人员"},
	{"institution", "institution", "上级机构"}, END};

static const struct alert_word outcomes[] = {{"reached", "reached", "已联系上"},
	{"advised", "advised", "已指导"}, {"referred", "referred", "已转诊"},
	{"not_reached", "not reached", "未联系上"}, {"artefact", "measured in error", "误测"},
	{"read_back", "read back", "已复述"}, END};

static const struct alert_word deliveries[] = {{"now", "at once", "立即"},
	{"after_quiet", "after the quiet hours", "安静时段后"},
	{"morning", "on the list of the morning", "列入晨间清单"},
	{"list", "on the list, nobody is called", "列入清单，不呼叫"}, END};

static const struct alert_word conditions[] = {{"bp-high", "high blood pressure", "血压高"},
	{"bp-low", "low blood pressure", "血压低"}, {"pulse-high", "fast pulse", "脉率快"},
	{"pulse-low", "slow pulse", "脉率慢"}, {"glucose-high", "high glucose", "血糖高"},
	{"glucose-low", "low glucose", "血糖低"},
	{"glucose-lows", "repeated low glucose", "反复低血糖"},
	{"spo2-low", "low oxygen saturation", "血氧低"},
	{"spo2-high", "high oxygen saturation", "血氧高"},
	{"spo2-time", "oxygen saturation low for long", "长时间低血氧"},
	{"temp-high", "fever", "体温高"}, {"temp-low", "low body temperature", "体温低"},
	{"surface-temp-high", "high surface temperature", "体表温度高"},
	{"surface-temp-low", "low surface temperature", "体表温度低"},
	{"resp-high", "fast breathing", "呼吸快"}, {"resp-low", "slow breathing", "呼吸慢"},
	{"fever-pulse", "fever and fast pulse", "发热伴心率快"},
	{"weight-gain", "weight gain", "体重骤增"},
	{"home-week", "pressure of a week at home", "家庭血压周均值"},
	{"overdue-htn", "follow-up of hypertension overdue", "高血压随访逾期"},
	{"overdue-t2dm", "follow-up of diabetes overdue", "糖尿病随访逾期"},
	{"overdue-copd", "follow-up of COPD overdue", "慢阻肺随访逾期"},
	{"overdue-elderly", "yearly check of the elderly overdue", "老年人体检逾期"},
	{"home-missing", "too few readings at home", "家庭测量不足"},
	{"device-silent", "device silent", "设备无数据"}, {"battery-low", "battery low", "电量低"},
	{"store-filling", "the gateway's disk fills up", "网关存储将满"},
	{"store-full", "the gateway's disk is full", "网关存储已满"},
	{"clock-untrusted", "the gateway's clock cannot be trusted", "网关时钟不可信"},
	{"ecg-not-sent", "ECG not at the centre", "心电图未送达"},
	{"ecg-overdue", "report of an ECG overdue", "心电报告逾期"}, END};

static const struct alert_word places[] = {{"fridge", "vaccine fridge", "疫苗冰箱"},
	{"freezer", "vaccine freezer", "疫苗冷冻柜"}, {"room", "drug storage room", "药房"},
	{"gas_supply", "gas supply", "供气"}, {"ecg", "ECG", "心电"},
	{"gateway", "gateway", "网关"}, END};

static const struct alert_word labels[] = {
	/* of the alert */
	{"unconfirmed", "one measurement, not confirmed yet", "单次测量，尚未确认"},
	{"confirmed", "confirmed by a second measurement", "已由复测确认"},
	{"late", "arrived late", "数据迟到"},
	{"overtaken", "there is a later measurement", "已有更晚的测量"},
	{"no_clean_repeat", "nobody repeated it with a clear signal", "未获得清晰的复测"},
	{"resolved_by_repeat", "a true value; the repeat was good again", "数值属实，复测已恢复"},
	{"downgraded", "better than it was", "已好转降级"},
	{"superseded", "a newer alert took its place", "已被新的警报取代"},
	{"withdrawn", "withdrawn", "已撤回"},
	{"wrong_person", "it was somebody else's measurement", "测量不属于此居民"},
	{"control_solution", "it was control solution", "实为质控液"},
	{"voided", "the measurement was declared void", "测量已作废"},
	{"artefact", "measured in error", "误测"},
	{"identity_changed", "the measurement is filed under somebody else now",
		"测量现归属他人，请核对"},
	{"corrected", "the instrument corrected it", "设备已更正数值"},
	{"nobody_answered", "nobody on the whole way has answered", "逐级通知后仍无人应答"},
	/* of whose and when it is */
	{"unassigned", "nobody knows whose it is", "归属未知"},
	{"out_of_contract", "the resident has no contract", "居民不在签约期"},
	{"clock_unknown", "when it was measured is unknown", "测量时间未知"},
	{"clock_uncompared", "by the instrument's clock, which was not compared",
		"时间取自设备时钟，未经核对"},
	{"time_of_arrival", "the time is that of its arrival", "时间按到达时间记录"},
	{"conflict", "it contradicts another record", "与另一记录矛盾"},
	{"above_meter_range", "above what the meter can show", "高于仪器量程"},
	{"below_meter_range", "below what the meter can show", "低于仪器量程"},
	{"cart_statement", "words of the ECG cart, nobody's finding",
		"心电图机自动提示，未经医生诊断"},
	{"centre_report", "told by the ECG centre", "心电诊断中心报告"},
	/* flags of the reading */
	{"unauthenticated", "the link proves no instrument", "链路无法证明设备身份"},
	{"implausible_part", "a part of it could not be true", "部分数值不合理，已舍去"},
	{"body_movement", "movement", "测量时身体移动"},
	{"cuff_too_loose", "loose cuff", "袖带过松"},
	{"improper_position", "wrong position", "测量姿势不当"},
	{"irregular_pulse", "irregular pulse", "脉搏不规则"},
	{"pulse_above_range", "pulse above the range", "脉率高于量程"},
	{"pulse_below_range", "pulse below the range", "脉率低于量程"},
	{"average", "mean of several", "多次测量平均值"},
	{"low_perfusion", "weak perfusion", "灌注弱"},
	{"low_signal_iq", "poor signal", "信号质量差"},
	{"artifact", "disturbed signal", "信号有伪差"}, {"motion", "movement", "测量时移动"},
	{"out_of_track", "pulse lost", "脉搏跟踪丢失"},
	{"questionable", "the instrument doubts it", "仪器提示可疑"},
	{"questionable_pulse", "doubtful pulse", "脉搏可疑"},
	{"sensor_displaced", "sensor displaced", "探头移位"},
	{"sensor_off", "no finger in the sensor", "探头脱落"},
	{"sensor_disconnected", "sensor disconnected", "探头未连接"},
	{"sensor_malfunction", "faulty sensor", "探头故障"},
	{"sensor_alarm", "the sensor signals an alarm", "探头报警"},
	{"unknown_sensor", "unknown sensor", "探头未识别"},
	{"interference", "interference", "信号受干扰"}, {"no_signal", "no signal", "无信号"},
	{"poor_signal", "poor signal", "信号差"},
	{"inadequate_signal", "inadequate signal", "信号不足"},
	{"signal_irregular", "irregular signal", "信号不规则"},
	{"not_pulsatile", "no pulsation", "无搏动"}, {"erratic", "erratic signal", "信号不稳"},
	{"low_confidence", "low confidence", "置信度低"},
	{"early_estimate", "early estimate", "早期估计值"}, {"searching", "searching", "搜索中"},
	{"ongoing", "measurement not ended", "测量未结束"},
	{"equipment_malfunction", "faulty instrument", "设备故障"},
	{"device_exception", "the instrument reports a fault", "设备异常"},
	{"from_storage", "from the instrument's memory", "来自设备内存"},
	{"demonstration", "demonstration", "演示数据"}, {"test_data", "test data", "测试数据"},
	{"calibration", "calibration", "校准中"}, {"unavailable", "not available", "不可用"},
	{"invalid", "invalid", "无效"},
	{"battery_low", "battery of the instrument low", "设备电量低"},
	{"minor_issues", "small problem of health", "轻微不适"},
	{"strip_too_cold", "strip too cold", "试纸温度过低"},
	{"strip_too_warm", "strip too warm", "试纸温度过高"},
	{"time_fault", "clock of the instrument faulty", "设备时钟故障"}, END};

static const struct alert_word ops[] = {{"at_least", "at least ", "≥"}, {"above", "above ", ">"},
	{"at_most", "at most ", "≤"}, {"below", "below ", "<"}, END};

static const struct alert_word whose[] = {{"national", "national rule", "国家规范"},
	{"site", "rule of this site", "本站规则"},
	{"personal", "personal limit of the doctor", "医生设定的个人限值"}, END};

static const struct alert_word units[] = {{"mm[Hg]", "mmHg", "mmHg"}, {"Cel", "°C", "℃"},
	{"/min", "/min", "次/分"}, {"1", "", ""}, {"s", "s", "秒"}, {"ms", "ms", "毫秒"},
	{"umol/L", "μmol/L", "μmol/L"}, {"kg/m2", "kg/m²", "kg/m²"}, {"Ohm", "Ω", "Ω"},
	{"kcal/d", "kcal/d", "千卡/天"}, END};

static const struct alert_word *const lists[SAY_LISTS] = {[SAY_SEVERITY] = severities,
	[SAY_STATE] = states,
	[SAY_PHASE] = phases,
	[SAY_ROLE] = roles,
	[SAY_OUTCOME] = outcomes,
	[SAY_DELIVERY] = deliveries,
	[SAY_CONDITION] = conditions,
	[SAY_PLACE] = places,
	[SAY_LABEL] = labels,
	[SAY_OP] = ops,
	[SAY_WHOSE] = whose,
	[SAY_UNIT] = units};

const struct alert_word *alert_word(enum say list, const char *name)
{
	for (const struct alert_word *w = lists[list]; w->name; w++)
		if (streq(w->name, name))
			return w;
	return NULL;
}

const struct alert_word *alert_word_at(enum say list, size_t index)
{
	const struct alert_word *w = lists[list];
	for (; index && w->name; index--)
		w++;
	return w->name ? w : NULL;
}

const char *alert_say(enum say list, const char *name, bool chinese)
{
	const struct alert_word *w = name ? alert_word(list, name) : NULL;
	return w ? (chinese ? w->zh : w->en) : name ? name : "";
}
