/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What people read of an alert, in both languages, by the rules of config/alerts.yaml. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alert_say.h"
#include "alert_text.h"
#include "clock.h"
#include "util.h"

#define NOON INT64_C(1795320000000000) /* 2026-11-22T04:00:00Z, noon in Shanghai */
#define MINUTE INT64_C(60000000)

static struct codes *codes;
static struct alert_rules *rules;

static int setup(void **state)
{
	char error[640];
	(void)state;
	clock_set_zone("Asia/Shanghai");
	codes = codes_load("config", error, sizeof(error));
	rules = codes ? alert_rules_load("config/alerts.yaml", codes, error, sizeof(error)) : NULL;
	if (!rules)
		fail_msg("%s", error);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alert_rules_free(rules);
	codes_free(codes);
	return 0;
}

static void says(const struct alert_facts *a, const char *en, const char *zh)
{
	_cleanup_(freep) char *in_english = alert_text(a, rules, codes, false);
	_cleanup_(freep) char *in_chinese = alert_text(a, rules, codes, true);
	assert_string_equal(in_english, en);
	assert_string_equal(in_chinese, zh);
}

#define SBP                                                                                                  \
	"{\"id\":\"sbp-critical-high\",\"kind\":\"bp.sbp\",\"value\":192,\"unit\":\"mm[Hg]\","               \
	"\"limit\":180,\"op\":\"at_least\",\"whose\":\"national\",\"text_zh\":\"收缩压达到危急值\"," \
	"\"text_en\":\"systolic pressure critically high\"}"

static const struct alert_facts pressure = {.body = "{\"rules\":[" SBP "]}",
	.labels = "[\"unconfirmed\",\"time_of_arrival\"]",
	.condition = "bp-high",
	.severity = "critical",
	.state = "active",
	.raised_us = NOON + MINUTE,
	.readings = 1,
	.first_us = NOON,
	.last_us = NOON,
	.role = "doctor",
	.deliver = "now"};

static void test_whole(void **state)
{
	(void)state;
	says(&pressure,
		"Critical: systolic pressure critically high. Systolic blood pressure 192 mmHg "
		"(limit: at least 180 mmHg, national rule). Since 2026-11-22 12:00. Note: one "
		"measurement, not confirmed yet; the time is that of its arrival. Evidence: 1 "
		"measurement. State: active; to doctor (step 1, at once). Next: measure again within "
		"5 minutes; when critical, call the resident now, refer as the national rule says "
		"and ask for the result within 2 weeks.",
		"危急：收缩压达到危急值。收缩压 192 mmHg（限值：≥180 mmHg，国家规范）。始于2026-11-22 "
		"12:00。注意：单次测量，尚未确认；时间按到达时间记录。依据：1次测量。状态：进行中；通知责任"
		"医生（第1步，立即）。下一步：5分钟内复测；危急值立即联系居民，按规范建议转诊，2周内随访转诊"
		"结果。");
}

static void test_several(void **state)
{
	(void)state;
	struct alert_facts a = pressure;
	a.body =
		"{\"rules\":[{\"id\":\"personal\",\"kind\":\"bp.sbp\",\"value\":152,\"unit\":\"mm["
		"Hg]\",\"limit\":150,\"whose\":\"personal\",\"text_zh\":\"甲\",\"text_en\":\"a\"},"
		"{\"id\":\"personal\",\"kind\":\"glu.random\",\"value\":2.5,\"comparator\":\"<\","
		"\"unit\":\"mmol/L\",\"limit\":3.9,\"whose\":\"site\",\"text_zh\":\"甲\",\"text_en\":"
		"\"a\"},{\"id\":\"x\",\"text_zh\":\"乙\",\"text_en\":\"b\"}]}";
	a.labels = "[]";
	a.severity = "warning";
	a.state = "inactive";
	a.ended_us = NOON + 9 * MINUTE;
	a.readings = 3;
	a.last_us = NOON + 5 * MINUTE;
	a.role = "chain";
	a.step = 2;
	a.deliver = "morning";
	a.not_before_us = NOON + 60 * MINUTE;
	a.ack_outcome = "referred";
	says(&a,
		"Warning: a; b. Systolic blood pressure 152 mmHg (limit: at least 150 mmHg, personal "
		"limit of the doctor); Glucose without known meal state <2.5 mmol/L (limit: at most "
		"3.9 mmol/L, rule of this site). Since 2026-11-22 12:00, until 2026-11-22 12:09. "
		"Evidence: 3 measurements, from 2026-11-22 12:00 to 2026-11-22 12:05. State: over; to "
		"next in the chain (step 3, on the list of the morning, from 2026-11-22 13:00); "
		"outcome: referred.",
		"警告：甲；乙。收缩压 152 mmHg（限值：≥150 mmHg，医生设定的个人限值）；随机血糖值 <2.5 "
		"mmol/L（限值：≤3.9 mmol/L，本站规则）。始于2026-11-22 12:00，止于2026-11-22 12:09。依据："
		"3次测量，2026-11-22 12:00至2026-11-22 12:05。状态：已结束；通知上级联系人（第3步，列入晨间"
		"清单，自2026-11-22 13:00）；处理结果：已转诊。");
	assert_string_equal(alert_text_resident(&a, rules, true), "");
}

static void test_technical(void **state)
{
	(void)state;
	struct alert_facts a = {
		.body = "{\"rules\":[{\"id\":\"fridge-warm\",\"kind\":\"env.temp\","
			"\"value\":9.1,\"unit\":\"Cel\",\"limit\":8,\"op\":\"above\","
			"\"text_zh\":\"疫苗冰箱温度过高\",\"text_en\":\"vaccine fridge too "
			"warm\"}]}",
		.labels = "[]",
		.condition = "fridge-warm",
		.severity = "critical",
		.state = "latched",
		.technical = true,
		.place = "fridge",
		.device = "fridge-1",
		.since_us = NOON - 10 * MINUTE,
		.raised_us = NOON,
		.role = "staff",
		.deliver = "now"};
	says(&a,
		"Critical: vaccine fridge too warm (vaccine fridge fridge-1). Ambient temperature 9.1 "
		"°C (limit: above 8 °C). Since 2026-11-22 11:50. State: over, nobody has acknowledged "
		"it; to staff (step 1, at once). Next: look why it was so, and acknowledge. When it "
		"comes again: check door, power and thermometer; move the vaccines to another fridge, "
		"use none of them before they are assessed, and report it.",
		"危急：疫苗冰箱温度过高（疫苗冰箱 fridge-1）。环境温度 9.1 ℃（限值：>8 ℃）。始于2026-11-22 "
		"11:50。状态：已解除，待确认；通知站点工作人员（第1步，立即）。下一步：请查明原因后确认。再次出现时"
		"：检查门、电源和温度计；将疫苗移至备用冷链，封存待评估并上报。");
	assert_string_equal(alert_text_resident(&a, rules, false), "");
	a.place = NULL;
	a.body = "{\"rules\":[]}";
	a.condition = "battery-low";
	a.severity = "warning";
	a.state = "active";
	says(&a,
		"Warning: battery low (fridge-1). Since 2026-11-22 11:50. State: active; to staff (step "
		"1, at once). Next: change or charge the battery.",
		"警告：电量低（fridge-1）。始于2026-11-22 11:50。状态：进行中；通知站点工作人员（第1步，立即）。下一"
		"步：更换电池或充电。");
	a.device = NULL; /* the gateway's own */
	says(&a,
		"Warning: battery low. Since 2026-11-22 11:50. State: active; to staff (step 1, at "
		"once). Next: change or charge the battery.",
		"警告：电量低。始于2026-11-22 11:50。状态：进行中；通知站点工作人员（第1步，立即）。下一步：更换电池"
		"或充电。");
}

/* The words of a cart, a condition without a rule's text, and a body that is none. */
static void test_poor(void **state)
{
	(void)state;
	struct alert_facts a = pressure;
	a.body =
		"{\"rules\":[{\"id\":\"ecg-asystole\",\"statement\":\"ASYSTOLE\",\"text_zh\":\"心电图"
		"机提示停搏\",\"text_en\":\"the cart states an arrest\"}]}";
	a.labels = "[\"cart_statement\"]";
	a.condition = "";
	a.readings = 0;
	a.first_us = 0;
	a.deliver = "list";
	says(&a,
		"Critical: the cart states an arrest. \"ASYSTOLE\". Since 2026-11-22 12:01. Note: words "
		"of the ECG cart, nobody's finding. State: active; on the list, nobody is called. Next: look at the "
		"patient and at the ECG now; refer at once with chest pain, fainting or short breath; "
		"ask the centre for an urgent report.",
		"危急：心电图机提示停搏。“ASYSTOLE”。始于2026-11-22 12:01。注意：心电图机自动提示，未经医生"
		"诊断。状态：进行中；列入清单，不呼叫。下一步：立即查看患者和心电图；有胸痛、晕厥、气促立即转诊"
		"；请诊断中心急诊判读。");
	a.condition = "glucose-low";
	a.body = "[";
	a.labels = NULL;
	a.raised_us = 0;
	a.role = NULL;
	a.deliver = NULL;
	says(&a,
		"Critical: low glucose. State: active. Next: 15 g of sugar now, measure again after "
		"15 minutes; review the medicine.",
		"危急：血糖低。状态：进行中。下一步：立即进食15克糖，15分钟后复测；用药者联系调整。");
	assert_string_not_equal(alert_text_resident(&a, rules, false), "");
	a.state = "latched"; /* it was good again: no sugar now */
	says(&a,
		"Critical: low glucose. State: over, nobody has acknowledged it. Next: ask how the "
		"resident is, and acknowledge. When it comes again: 15 g of sugar now, measure again "
		"after 15 minutes; review the medicine.",
		"危急：血糖低。状态：已解除，待确认。下一步：请询问居民情况后确认。再次出现时：立即进食15克糖，15"
		"分钟后复测；用药者联系调整。");
	assert_string_equal(alert_text_resident(&a, rules, false), "");
}

/* Each condition of the file that a person can mend has words for the resident, and none names anybody. */
static void test_resident(void **state)
{
	(void)state;
	const struct alert_rule *r;
	unsigned n = 0;
	for (unsigned i = 0; (r = alert_rules_at(rules, i)); i++) {
		struct alert_facts a = {.body = "{}", .condition = r->condition, .state = "active"};
		const char *en = alert_text_resident(&a, rules, false);
		const char *zh = alert_text_resident(&a, rules, true);
		assert_int_equal(en[0] != 0, zh[0] != 0);
		n += en[0] != 0;
		if (r->severity == SEVERITY_CRITICAL && !r->technical && !en[0])
			fail_msg("%s: nothing for the resident", r->id);
	}
	assert_true(n > 40);
	struct alert_facts a = pressure;
	assert_string_equal(alert_text_resident(&a, rules, false),
		"sit quietly for 5 minutes and measure again");
	a.body =
		"{\"rules\":[{\"id\":\"sbp-pregnant-critical\"}]}"; /* its own, not that of its condition */
	assert_string_equal(alert_text_resident(&a, rules, true), "请静坐后复测，并立即联系医生");
	assert_non_null(strstr(alert_text_repeat(false), "measure again"));
	assert_non_null(strstr(alert_text_repeat(true), "重新测量"));
}

/* All labels at once, and every advice: nothing is cut. */
static void test_long(void **state)
{
	(void)state;
	struct alert_facts a = pressure;
	static char labels[4096] = "[";
	const struct alert_word *w;
	for (size_t i = 0; (w = alert_word_at(SAY_LABEL, i)); i++) {
		strcat(labels, i ? ",\"" : "\"");
		strcat(labels, w->name);
		strcat(labels, "\"");
	}
	strcat(labels, "]");
	a.labels = labels;
	_cleanup_(freep) char *text = alert_text(&a, rules, codes, true);
	for (size_t i = 0; (w = alert_word_at(SAY_LABEL, i)); i++)
		assert_non_null(strstr(text, w->zh));
	assert_non_null(strstr(text, "2周内随访转诊结果。"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole),
		cmocka_unit_test(test_several), cmocka_unit_test(test_technical),
		cmocka_unit_test(test_poor), cmocka_unit_test(test_resident),
		cmocka_unit_test(test_long)};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
