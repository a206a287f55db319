/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the wanted characteristics are: verify cached handles, or find services (only when a want
 * names one), characteristics and their client characteristic configuration descriptors (CCC).
 *
 * Source of formats: Bluetooth Core Specification, Vol 3, Part G, 4.4 to 4.7; Part F, 3.4.3, 3.4.4.
 */
#include "att_state.h"

#include <string.h>

#include "util.h"

enum { PRIMARY_SERVICE = 0x2800, SECONDARY_SERVICE, INCLUDE, CHARACTERISTIC, CCC = 0x2902 };

struct att_uuid att_uuid16(uint16_t uuid)
{
	return (struct att_uuid){{0xfb, 0x34, 0x9b, 0x5f, 0x80, 0, 0, 0x80, 0, 0x10, 0, 0,
		(uint8_t)uuid, (uint8_t)(uuid >> 8), 0, 0}};
}

bool att_uuid_equal(const struct att_uuid *a, const struct att_uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool uuid_is(const struct att_uuid *uuid, uint16_t uuid16)
{
	const struct att_uuid other = att_uuid16(uuid16);
	return att_uuid_equal(uuid, &other);
}

/* `len` 2 or 16. */
static struct att_uuid uuid_read(struct buf *b, size_t len)
{
	struct att_uuid uuid = {0};
	if (len == 2)
		return att_uuid16(buf_le16(b));
	const uint8_t *bytes = buf_bytes(b, sizeof(uuid.bytes));
	if (bytes)
		memcpy(uuid.bytes, bytes, sizeof(uuid.bytes));
	return uuid;
}

static void discover(struct att *a)
{
	static const struct att_uuid any;
	bool filtered = false;
	for (size_t i = 0; i < a->n_wants; i++)
		filtered |= !att_uuid_equal(&a->wants[i].service, &any);
	*a->cache = (struct att_cache){0};
	att_enter(a, filtered ? SERVICES : CHARACTERISTICS, 1);
}

/* An Error Response to a request for a range of handles: is it the end of the range? */
static bool range_over(struct att *a, uint8_t code)
{
	if (code != NOT_FOUND && code != INVALID_HANDLE) {
		att_shut(a, -1, "the device refuses discovery");
		return false;
	}
	return true;
}

/* Takes the handles that discovery came to; false, and all over, when the peer goes backwards. */
static bool advance(struct att *a, uint16_t handle, uint16_t last)
{
	if (handle < a->start || last < handle) {
		att_shut(a, -1, "discovery does not advance");
		return false;
	}
	a->start = (uint16_t)(last + 1);
	return true;
}

/* Are the cached handles worth a verification? They may come from a file. */
static bool cache_usable(const struct att *a)
{
	size_t n = 0;
	for (size_t i = 0; i < a->n_wants; i++) {
		const struct att_handles *h = &a->cache->handles[i];
		if (!h->value && a->wants[i].use & VG_GATT_REQUIRED)
			return false;
		if (h->value && (!h->declaration || h->declaration >= h->value))
			return false;
		if (h->ccc && h->ccc <= h->value)
			return false;
		n += h->value != 0;
	}
	return a->cache->valid && n;
}

void att_find(struct att *a)
{
	if (cache_usable(a))
		att_enter(a, VERIFYING, 0);
	else
		discover(a);
}

struct declaration {
	uint16_t handle, value;
	uint8_t properties;
	struct att_uuid uuid;
};

/* One entry of a Read By Type Response for 0x2803; `len` is 7 or 21. */
static struct declaration declaration_read(struct buf *b, size_t len)
{
	struct declaration d = {.handle = buf_le16(b)};
	d.properties = buf_u8(b);
	d.value = buf_le16(b);
	d.uuid = uuid_read(b, len - 5);
	return d;
}

/* Length of one entry; 0 when it is none of `a`, `b`, or not even one entry is there. */
static size_t entry_length(struct buf *list, size_t a, size_t b)
{
	size_t len = buf_u8(list);
	return (len == a || len == b) && buf_left(list) >= len ? len : 0;
}

static void ask_by_type(
	struct att *a, uint8_t request, uint16_t start, uint16_t end, uint16_t type, int64_t now_ms)
{
	const uint8_t pdu[] = {
		request, low(start), high(start), low(end), high(end), low(type), high(type)};
	att_ask(a, pdu, sizeof(pdu), now_ms);
}

static bool verify_ask(struct att *a, int64_t now_ms)
{
	const struct att_handles *h = a->cache->handles;
	while (a->at < a->n_wants && !h[a->at].value)
		a->at++;
	if (a->at == a->n_wants)
		att_enter(a, READING, 0);
	else
		ask_by_type(a, READ_BY_TYPE_REQ, h[a->at].declaration, h[a->at].declaration,
			CHARACTERISTIC, now_ms);
	return true;
}

static void verify_answered(struct att *a, struct buf *b)
{
	const struct att_handles *h = &a->cache->handles[a->at];
	size_t len = entry_length(b, 7, 21);
	const struct declaration d = len ? declaration_read(b, len) : (struct declaration){0};
	if (d.handle == h->declaration && d.value == h->value && d.properties == h->properties &&
		att_uuid_equal(&d.uuid, &a->wants[a->at].uuid))
		a->at++;
	else
		discover(a);
}

static void verify_refused(struct att *a, uint8_t code)
{
	(void)code;
	discover(a);
}

static bool services_ask(struct att *a, int64_t now_ms)
{
	if (a->start)
		ask_by_type(a, READ_BY_GROUP_REQ, a->start, 0xffff, PRIMARY_SERVICE, now_ms);
	else
		att_enter(a, CHARACTERISTICS, 1);
	return true;
}

static void services_answered(struct att *a, struct buf *b)
{
	size_t len = entry_length(b, 6, 20);
	if (!len) {
		att_shut(a, -1, "malformed list of services");
		return;
	}
	/* What is left of a list behind its last whole entry is asked for again. */
	while (a->start && buf_left(b) >= len) {
		struct service s = {.start = buf_le16(b)};
		s.end = buf_le16(b);
		s.uuid = uuid_read(b, len - 4);
		if (!advance(a, s.start, s.end))
			return;
		bool wanted = false;
		for (size_t i = 0; i < a->n_wants; i++)
			wanted |= att_uuid_equal(&a->wants[i].service, &s.uuid);
		if (wanted && a->n_services < ATT_SERVICES_MAX)
			a->services[a->n_services++] = s;
	}
	a->ignored += buf_left(b) != 0;
}

static void list_refused(struct att *a, uint8_t code)
{
	if (range_over(a, code))
		a->start = 0;
}

static bool in_wanted_service(const struct att *a, const struct att_want *want, uint16_t handle)
{
	static const struct att_uuid any;
	if (att_uuid_equal(&want->service, &any))
		return true;
	for (size_t i = 0; i < a->n_services; i++) {
		const struct service *s = &a->services[i];
		if (att_uuid_equal(&s->uuid, &want->service) && s->start <= handle &&
			handle <= s->end)
			return true;
	}
	return false;
}

/* A declaration ends the characteristic before it; the first one that fits a want is taken. */
static void declaration_found(struct att *a, const struct declaration *d)
{
	for (size_t i = 0; i < a->n_wants; i++) {
		struct att_handles *h = &a->cache->handles[i];
		if (h->value && !h->end)
			h->end = MAX((uint16_t)(d->handle - 1), h->value);
		if (h->value || d->value <= d->handle ||
			!att_uuid_equal(&d->uuid, &a->wants[i].uuid) ||
			!in_wanted_service(a, &a->wants[i], d->handle))
			continue;
		h->declaration = d->handle;
		h->value = d->value;
		h->properties = d->properties;
	}
}

static bool characteristics_ask(struct att *a, int64_t now_ms)
{
	if (a->start) {
		ask_by_type(a, READ_BY_TYPE_REQ, a->start, 0xffff, CHARACTERISTIC, now_ms);
		return true;
	}
	for (size_t i = 0; i < a->n_wants; i++) {
		struct att_handles *h = &a->cache->handles[i];
		if (!h->value && a->wants[i].use & VG_GATT_REQUIRED) {
			att_shut(a, (int)i,
				"the device lacks a characteristic that its driver needs");
			return false;
		}
		if (h->value && !h->end)
			h->end = 0xffff;
	}
	att_enter(a, DESCRIPTORS, 0);
	return true;
}

static void characteristics_answered(struct att *a, struct buf *b)
{
	size_t len = entry_length(b, 7, 21);
	if (!len) {
		att_shut(a, -1, "malformed list of characteristics");
		return;
	}
	while (a->start && buf_left(b) >= len) {
		const struct declaration d = declaration_read(b, len);
		if (!advance(a, d.handle, d.handle))
			return;
		declaration_found(a, &d);
	}
	a->ignored += buf_left(b) != 0;
}

static void descriptors_next(struct att *a)
{
	a->at++;
	a->start = 0;
}

/* The cursor stands at 0 before a characteristic's first request. */
static bool descriptors_ask(struct att *a, int64_t now_ms)
{
	for (; a->at < a->n_wants; descriptors_next(a)) {
		const struct att_handles *h = &a->cache->handles[a->at];
		if (!(a->wants[a->at].use & VG_GATT_SUBSCRIBE) || !h->value || h->value == h->end)
			continue;
		if (!a->start)
			a->start = (uint16_t)(h->value + 1);
		const uint8_t pdu[] = {FIND_INFORMATION_REQ, low(a->start), high(a->start),
			low(h->end), high(h->end)};
		att_ask(a, pdu, sizeof(pdu), now_ms);
		return true;
	}
	a->cache->valid = true;
	att_enter(a, READING, 0);
	return true;
}

static void descriptors_answered(struct att *a, struct buf *b)
{
	struct att_handles *h = &a->cache->handles[a->at];
	uint8_t format = buf_u8(b);
	size_t uuid_len = format == 1 ? 2 : 16;
	if ((format != 1 && format != 2) || buf_left(b) < 2 + uuid_len) {
		att_shut(a, -1, "malformed list of descriptors");
		return;
	}
	while (buf_left(b) >= 2 + uuid_len) {
		uint16_t handle = buf_le16(b);
		const struct att_uuid uuid = uuid_read(b, uuid_len);
		if (!advance(a, handle, handle))
			return;
		if (uuid_is(&uuid, CCC) && handle <= h->end)
			h->ccc = handle;
		/* The end of the last characteristic of a service is only known by what follows. */
		bool over = handle >= h->end || uuid_is(&uuid, PRIMARY_SERVICE) ||
			    uuid_is(&uuid, SECONDARY_SERVICE) || uuid_is(&uuid, CHARACTERISTIC);
		if (h->ccc || over) {
			descriptors_next(a);
			return;
		}
	}
	a->ignored += buf_left(b) != 0;
}

static void descriptors_refused(struct att *a, uint8_t code)
{
	if (range_over(a, code))
		descriptors_next(a);
}

const struct att_rules att_verifying = {verify_ask, verify_answered, verify_refused};
const struct att_rules att_services = {services_ask, services_answered, list_refused};
const struct att_rules att_characteristics = {
	characteristics_ask, characteristics_answered, list_refused};
const struct att_rules att_descriptors = {
	descriptors_ask, descriptors_answered, descriptors_refused};
