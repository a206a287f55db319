/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enrol_judge.h"

#include "util.h"

static const struct enrol_advice advice[ENROL_STATES] = {
	[ENROL_FINE] = {"fine", "all is well", "正常", "", ""},
	[ENROL_BOND_LOST_THERE] = {"bond_lost_there",
		"it has forgotten its pairing with this gateway (other phone, new batteries, reset)",
		"设备已忘记与本网关的配对（连接过其他手机、更换电池或复位）",
		"put it into pairing mode and enrol it again; --replace ID keeps its residents",
		"请将设备置于配对模式并重新登记；加 --replace 设备名 可保留绑定居民"},
	[ENROL_BOND_LOST_HERE] = {"bond_lost_here",
		"it wants a pairing, and this gateway has none for it",
		"设备要求配对，而本网关没有其配对密钥",
		"put it into pairing mode and enrol it; --replace ID keeps its residents",
		"请将设备置于配对模式并登记；加 --replace 设备名 可保留绑定居民"},
	[ENROL_RESET] = {"reset",
		"at its address is an instrument with another serial number; its readings stay unassigned",
		"该地址上的设备序列号已改变；其读数不归入任何居民",
		"if it was repaired or exchanged: vitalgate unenrol it and enrol it anew",
		"若设备已维修或更换：请 vitalgate unenrol 后重新登记"},
	[ENROL_CLONED] = {"cloned",
		"it and {} say the same serial number; the readings of both stay unassigned",
		"它与 {} 的序列号相同；两台设备的读数均不归入任何居民",
		"find out which one is genuine and vitalgate unenrol the other",
		"请确认哪台是真的，并对另一台执行 vitalgate unenrol"},
	[ENROL_KNOWN] = {"known", "this instrument is enrolled as {}", "该设备已登记为 {}",
		"to enrol it anew: vitalgate unenrol {}", "如需重新登记：vitalgate unenrol {}"},
	[ENROL_ADDRESS_CHANGED] = {"address_changed",
		"by its serial number it is {}, under another address",
		"按序列号它就是 {}，但地址已改变",
		"take it over, with its residents: enrol it again with --replace {}",
		"如需沿用并保留绑定居民：重新登记时加 --replace {}"},
	[ENROL_NOT_THE_SAME] = {"not_the_same",
		"it is another instrument than {}: the serial numbers differ, or it has none",
		"它与 {} 不是同一台设备：序列号不同或没有序列号",
		"enrol it under a name of its own; vitalgate unenrol {} if that one is gone",
		"请用新的名称登记；若 {} 已停用，请执行 vitalgate unenrol {}"},
	[ENROL_UNKNOWN_MODEL] = {"unknown_model", "no driver recognises it", "没有驱动能识别该设备",
		"say the driver with --driver (vitalgate decode lists them)",
		"请用 --driver 指定驱动（vitalgate decode 列出所有驱动）"},
	[ENROL_PAIRING_REFUSED] = {"pairing_refused", "the instrument refused the pairing",
		"设备拒绝配对",
		"put it into pairing mode again, delete old hosts on it, and type the digits that it "
		"shows now",
		"请再次置于配对模式，删除设备上的旧主机，并输入设备当前显示的数字"},
	[ENROL_PAIRING_FAILED] = {"pairing_failed", "the pairing did not come to its end",
		"配对未完成", "bring it nearer, put it into pairing mode, and try again",
		"请靠近网关，置于配对模式后重试"},
	[ENROL_TIME_OVER] = {"time_over", "the time of the enrolment is over", "登记时间已到",
		"begin again: vitalgate enrol", "请重新开始：vitalgate enrol"},
	[ENROL_GIVEN_UP] = {"given_up", "given up; nothing of it is left", "已取消，未留下任何内容",
		"begin again: vitalgate enrol", "请重新开始：vitalgate enrol"},
	[ENROL_REFUSED] = {"refused", "it cannot be taken into the configuration", "无法加入配置",
		"the sentence beside this says why", "原因见所附说明"},
	[ENROL_SAME_NAME] = {"same_name", "another one shows the same name", "有另一台同名设备",
		"bring the one that is meant nearer and switch the other off",
		"请将目标设备靠近网关，并关闭另一台"},
};

const struct enrol_advice *enrol_advice(enum enrol_state s)
{
	return &advice[s < ENROL_STATES ? s : ENROL_FINE];
}

/* Every "{}" becomes `other`. */
static void put_text(struct json *j, const char *key, const char *text, const char *other)
{
	char out[256];
	size_t n = 0;
	for (; *text && n + 1 < sizeof(out); text++) {
		if (strncmp(text, "{}", 2) != 0) {
			out[n++] = *text;
			continue;
		}
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s", other);
		n = MIN(n, sizeof(out) - 1);
		text++;
	}
	out[n] = 0;
	json_str(j, key, out);
}

void enrol_advice_json(struct json *j, const char *key, enum enrol_state s, const char *other)
{
	const struct enrol_advice *a = enrol_advice(s);
	json_object_begin(j, key);
	json_str(j, "state", a->name);
	put_text(j, "en", a->en, other);
	put_text(j, "zh", a->zh, other);
	put_text(j, "next_en", a->next_en, other);
	put_text(j, "next_zh", a->next_zh, other);
	if (*other)
		json_str(j, "other", other);
	json_object_end(j);
}

bool enrol_is_serial(const char *uid)
{
	return strncmp(uid, "sn:", 3) == 0 || strncmp(uid, "sysid:", 6) == 0;
}

/* Who it is as far as we know: what it said last, else what was recorded. */
static const char *who(const struct enrol_known *k)
{
	return *k->says ? k->says : k->uid;
}

/* Another device that says the same serial number; `n`: there is none. */
static size_t namesake(const struct enrol_known *all, size_t n, size_t i)
{
	size_t k = 0;
	while (k < n &&
		(k == i || !enrol_is_serial(who(&all[i])) || !streq(who(&all[k]), who(&all[i]))))
		k++;
	return k;
}

enum enrol_state enrol_judge(const struct enrol_known *all, size_t n, size_t i, size_t *ret_other)
{
	const struct enrol_known *k = &all[i];
	size_t other = namesake(all, n, i);
	*ret_other = i;
	if (other < n) {
		*ret_other = other;
		return ENROL_CLONED;
	}
	if (*k->uid && *k->says && !streq(k->uid, k->says))
		return ENROL_RESET;
	if (streq(k->link, "unpaired"))
		return k->bonded == 1 ? ENROL_BOND_LOST_THERE : ENROL_BOND_LOST_HERE;
	return ENROL_FINE;
}

enum enrol_state enrol_judge_new(
	const struct enrol_known *all, size_t n, size_t i, bool replaces, size_t *ret_other)
{
	const struct enrol_known *k = &all[i];
	size_t other = namesake(all, n, i);
	*ret_other = other < n ? other : i;
	if (other < n)
		return streq(all[other].link, "connected") ? ENROL_CLONED : ENROL_ADDRESS_CHANGED;
	if (replaces && !(enrol_is_serial(k->says) && streq(k->says, k->uid)))
		return ENROL_NOT_THE_SAME;
	return ENROL_FINE;
}

enum enrol_state enrol_judge_seen(const struct bluez_seen *const *seen, size_t n, size_t i)
{
	for (size_t k = 0; k < n && seen[i]->name[0]; k++)
		if (k != i && streq(seen[k]->name, seen[i]->name) &&
			!streq(seen[k]->address, seen[i]->address))
			return ENROL_SAME_NAME;
	return ENROL_FINE;
}
