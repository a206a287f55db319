/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "annotation.h"

#include "util.h"

static const struct {
	const char *key, *words;
	const char *values[7];
} keys[ANNOTATIONS_MAX] = {
	{"meal", "fasting, postprandial_2h, random", {"fasting", "postprandial_2h", "random"}},
	{"arm", "left, right", {"left", "right"}},
	{"posture", "sitting, lying, standing", {"sitting", "lying", "standing"}},
	{"sample", "capillary, venous", {"capillary", "venous"}},
	{"operator", "nurse, doctor, village_doctor, volunteer, family, self",
		{"nurse", "doctor", "village_doctor", "volunteer", "family", "self"}},
};

/* What people say, and the word for it; the first of a word and a language is how it is shown. */
static const char *const said[][2] = {{"2h", "postprandial_2h"}, {"空腹", "fasting"},
	{"餐后2小时", "postprandial_2h"}, {"餐后两小时", "postprandial_2h"}, {"随机", "random"},
	{"左臂", "left"}, {"左", "left"}, {"右臂", "right"}, {"右", "right"}, {"坐位", "sitting"},
	{"坐", "sitting"}, {"卧位", "lying"}, {"卧", "lying"}, {"立位", "standing"},
	{"站", "standing"}, {"指尖", "capillary"}, {"末梢", "capillary"}, {"静脉", "venous"},
	{"护士", "nurse"}, {"医生", "doctor"}, {"村医", "village_doctor"}, {"志愿者", "volunteer"},
	{"家属", "family"}, {"本人", "self"}};

const char *annotation_key(unsigned index, const char **ret_words)
{
	if (index >= ELEMENTS(keys))
		return NULL;
	*ret_words = keys[index].words;
	return keys[index].key;
}

bool annotation_find(const char *key, const char *value, struct annotation *ret)
{
	for (size_t i = 0; i < ELEMENTS(keys); i++)
		for (size_t k = 0; streq(keys[i].key, key) && keys[i].values[k]; k++)
			if (streq(keys[i].values[k], value)) {
				*ret = (struct annotation){keys[i].key, keys[i].values[k]};
				return true;
			}
	return false;
}

bool annotation_of_word(const char *word, struct annotation *ret)
{
	for (size_t i = 0; i < ELEMENTS(said); i++)
		if (streq(said[i][0], word))
			word = said[i][1];
	for (size_t i = 0; i < ELEMENTS(keys); i++)
		if (annotation_find(keys[i].key, word, ret))
			return true;
	return false;
}

const char *annotation_say(const char *value, bool chinese)
{
	for (size_t i = 0; i < ELEMENTS(said); i++)
		if (streq(said[i][1], value) && ((unsigned char)said[i][0][0] >= 0x80) == chinese)
			return said[i][0];
	return NULL;
}
