/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "yamlmap.h"

#include "fault.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <vitalgate/driver.h>

int yamlmap_open(struct yamlmap *y, const char *path, char *error, size_t error_size)
{
	*y = (struct yamlmap){.path = path, .error = error, .error_size = error_size};
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	yaml_parser_t parser;
	if (!f || !yaml_parser_initialize(&parser)) {
		int rc = f ? -ENOMEM : -errno;
		snprintf(error, error_size, FAULT("%s: cannot be read: %s", "%s: 无法读取：%s"),
			path, strerror(-rc));
		return rc;
	}
	yaml_parser_set_input_file(&parser, f);
	int rc = 0;
	if (!yaml_parser_load(&parser, &y->doc)) {
		snprintf(error, error_size,
			FAULT("%s:%zu: this is not YAML: %s", "%s:%zu: 不是正确的 YAML：%s"), path,
			parser.problem_mark.line + 1,
			parser.problem ? parser.problem : "unreadable");
		rc = -EINVAL;
	}
	yaml_parser_delete(&parser);
	return rc;
}

void yamlmap_close(struct yamlmap *y)
{
	yaml_document_delete(&y->doc);
}

int yamlmap_fail(struct yamlmap *y, const yaml_node_t *at, const char *format, ...)
{
	char where[16] = "";
	if (at)
		snprintf(where, sizeof(where), ":%zu", at->start_mark.line + 1);
	int n = snprintf(y->error, y->error_size, "%s%s: ", y->path, where);
	size_t used = MIN((size_t)MAX(n, 0), y->error_size);
	va_list args;
	va_start(args, format);
	vsnprintf(y->error + used, y->error_size - used, format, args);
	va_end(args);
	return -EINVAL;
}

yaml_node_t *yamlmap_root(struct yamlmap *y)
{
	return yaml_document_get_root_node(&y->doc);
}

yaml_node_t *yamlmap_item(struct yamlmap *y, const yaml_node_t *n, size_t i)
{
	if (!n || n->type != YAML_SEQUENCE_NODE)
		return NULL;
	yaml_node_item_t *at = n->data.sequence.items.start + i;
	return at < n->data.sequence.items.top ? yaml_document_get_node(&y->doc, *at) : NULL;
}

bool yamlmap_pair(struct yamlmap *y, const yaml_node_t *n, size_t i, const char **ret_name,
	yaml_node_t **ret_value)
{
	if (!n || n->type != YAML_MAPPING_NODE ||
		i >= (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start))
		return false;
	yaml_node_pair_t *pair = n->data.mapping.pairs.start + i;
	const char *name = yamlmap_text(yaml_document_get_node(&y->doc, pair->key));
	*ret_name = name ? name : "";
	*ret_value = yaml_document_get_node(&y->doc, pair->value);
	return true;
}

const char *yamlmap_text(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

bool yamlmap_decimal(const char *text, int64_t *ret_mantissa, int8_t *ret_exponent)
{
	bool negative = *text == '-', point = false;
	int64_t mantissa = 0;
	int8_t exponent = 0;
	unsigned digits = 0;
	for (text += negative; *text; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9' || ++digits > 15)
			return false;
		mantissa = mantissa * 10 + (*text - '0');
		exponent = (int8_t)(exponent - point);
	}
	*ret_mantissa = negative ? -mantissa : mantissa;
	*ret_exponent = exponent;
	return digits > 0;
}

static void store(void *to, size_t size, int64_t value)
{
	switch (size) {
	case sizeof(int8_t):
		*(int8_t *)to = (int8_t)value;
		break;
	case sizeof(int16_t):
		*(int16_t *)to = (int16_t)value;
		break;
	case sizeof(int32_t):
		*(int32_t *)to = (int32_t)value;
		break;
	default:
		*(int64_t *)to = value;
	}
}

static bool number(const struct yamlmap_key *k, const char *text, int64_t *ret)
{
	char *end;
	bool hex = strncmp(text, "0x", 2) == 0;
	size_t first = text[0] == '-' ? 1 : 0;
	if (!hex && text[first] == '0' && text[first + 1]) /* 010 is eight to some, ten to others */
		return false;
	errno = 0;
	long long value = strtoll(text, &end, hex ? 16 : 10);
	*ret = value;
	return !errno && end != text && !*end && text[0] != ' ' && text[0] != '+' &&
	       value >= k->low && value <= k->high;
}

static int unexpected(struct yamlmap *y, const struct yamlmap_key *k, const yaml_node_t *at)
{
	char expected[160];
	size_t n = 0;
	switch (k->type) {
	case YAMLMAP_NUMBER:
		snprintf(expected, sizeof(expected),
			FAULT("a number from %lld to %lld", "%lld 至 %lld 的数"), (long long)k->low,
			(long long)k->high);
		break;
	case YAMLMAP_DECIMAL:
		snprintf(expected, sizeof(expected), FAULT("a decimal number", "小数"));
		break;
	case YAMLMAP_BOOL:
		snprintf(expected, sizeof(expected), FAULT("true or false", "true 或 false"));
		break;
	case YAMLMAP_CHOICE:
		for (size_t i = 0; k->choices[i] && n < sizeof(expected); i++)
			n += (size_t)snprintf(expected + n, sizeof(expected) - n, "%s%s",
				i ? ", " : FAULT("one of ", "以下之一："), k->choices[i]);
		break;
	default:
		snprintf(expected, sizeof(expected),
			FAULT("a text of 1 to %zu bytes", "1 至 %zu 字节的文字"), k->size - 1);
	}
	const char *text = yamlmap_text(at);
	return yamlmap_fail(y, at,
		FAULT("%s: expected %s, found %s%.60s%s", "%s：应为 %s，实为 %s%.60s%s"), k->name,
		expected, text ? "\"" : "", text ? text : FAULT("more below", "下级内容"),
		text ? "\"" : "");
}

static int value(struct yamlmap *y, const struct yamlmap_key *k, yaml_node_t *at, void *base)
{
	void *to = (char *)base + k->offset;
	const char *text = yamlmap_text(at);
	int64_t n = 0;
	if (k->type == YAMLMAP_IGNORE)
		return 0;
	if (k->type == YAMLMAP_NODE) {
		*(yaml_node_t **)to = at;
		return 0;
	}
	bool good = false;
	if (text && k->type == YAMLMAP_TEXT) {
		good = *text && text_copy(to, k->size, text, strlen(text));
	} else if (text && k->type == YAMLMAP_DECIMAL) {
		struct vg_decimal *d = to;
		good = yamlmap_decimal(text, &d->mantissa, &d->exponent);
	} else if (text && k->type == YAMLMAP_BOOL) {
		*(bool *)to = streq(text, "true");
		good = streq(text, "true") || streq(text, "false");
	} else if (text && k->type == YAMLMAP_NUMBER) {
		good = number(k, text, &n);
		if (good)
			store(to, k->size, n);
	} else if (text) {
		while (k->choices[n] && !streq(k->choices[n], text))
			n++;
		good = k->choices[n];
		if (good)
			store(to, k->size, n);
	}
	return good ? 0 : unexpected(y, k, at);
}

static int unknown(struct yamlmap *y, const struct yamlmap_key *keys, size_t n_keys,
	const yaml_node_t *at, const char *name)
{
	char known[400] = "";
	size_t n = 0;
	for (size_t i = 0; i < n_keys && n < sizeof(known); i++)
		n += (size_t)snprintf(
			known + n, sizeof(known) - n, "%s%s", i ? ", " : "", keys[i].name);
	return yamlmap_fail(y, at,
		FAULT("unknown key \"%.40s\"; known here: %s", "未知的项“%.40s”；此处可用：%s"),
		name, known);
}

int yamlmap_read(struct yamlmap *y, yaml_node_t *n, const struct yamlmap_key *keys, size_t n_keys,
	void *base)
{
	uint64_t seen = 0;
	const char *name;
	yaml_node_t *at;
	if (!n || n->type != YAML_MAPPING_NODE)
		return yamlmap_fail(
			y, n, FAULT("expected lines \"name: value\"", "应为“名称: 值”的行"));
	for (size_t i = 0; yamlmap_pair(y, n, i, &name, &at); i++) {
		size_t k = 0;
		while (k < n_keys && !streq(keys[k].name, name))
			k++;
		if (k == n_keys)
			return unknown(y, keys, n_keys, at, name);
		if (seen & UINT64_C(1) << k)
			return yamlmap_fail(
				y, at, FAULT("the key \"%s\" is there twice", "项“%s”重复"), name);
		seen |= UINT64_C(1) << k;
		int rc = value(y, &keys[k], at, base);
		if (rc < 0)
			return rc;
	}
	for (size_t k = 0; k < n_keys; k++)
		if (keys[k].required && !(seen & UINT64_C(1) << k))
			return yamlmap_fail(y, n,
				FAULT("the required key \"%s\" is missing", "缺少必需的项“%s”"),
				keys[k].name);
	return 0;
}
