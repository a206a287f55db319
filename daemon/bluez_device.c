/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Devices as bluetoothd shows them (org.bluez.Device1, BlueZ doc/device-api.txt): who they are, and
 * what they advertise.
 *
 * Anybody within reach may advertise under any number of addresses, so what is remembered has a
 * limit, and of devices that are not remembered only so many messages a second are read. bluetoothd
 * tells everything of a device once and changes after that: a device that was passed over is asked
 * for (GetAll), one at a time.
 */
#include "bluez_bus.h"
#include "bluez_pair.h"
#include "bluez_scan.h"
#include "util.h"

#include <errno.h>

#define DEVICE_ADVERTS_MAX 8		  /* of one message */
#define DEVICE_STALE_US INT64_C(30000000) /* bluetoothd forgets strangers then (TemporaryTimeout) */
#define DEVICE_LISTED_US INT64_C(60000000)
#define DEVICE_STRANGERS_A_SECOND 200
#define DEVICE_RSSI_UNKNOWN 127

struct dev {
	struct bluez_seen seen; /* first: bluez_device_path() */
	uint64_t key;		/* of its path; 0 = free */
	bool tells_bonded; /* bluetoothd has the property Bonded, which is more exact than Paired */
};

struct bluez_devices {
	struct bluez *bluez;
	struct dev all[BLUEZ_SEEN_MAX];
	sd_bus_slot *asking; /* GetAll of ... */
	uint64_t asked;	     /* ... this key */
	uint64_t second_us;
	unsigned strangers; /* read in this second */
};

/* What one message told. */
struct reading {
	struct dev *dev;
	bool rssi;
	size_t n;
	struct {
		uint16_t uuid16, company;
		size_t len;
		uint8_t bytes[BLUEZ_DATA_MAX];
	} adverts[DEVICE_ADVERTS_MAX];
};

/* "/org/bluez/hci0/dev_C0_11_22_33_44_55" as a number; 0: it is not the path of a device. */
static uint64_t key_of(const char *path)
{
	unsigned hci, a[6];
	char rest;
	if (sscanf(path, "/org/bluez/hci%3u/dev_%2x_%2x_%2x_%2x_%2x_%2x%c", &hci, &a[0], &a[1],
		    &a[2], &a[3], &a[4], &a[5], &rest) != 7)
		return 0;
	uint64_t key = hci + 1;
	for (size_t i = 0; i < ELEMENTS(a); i++)
		key = key << 8 | a[i];
	return key;
}

static unsigned hci_of(uint64_t key)
{
	return (unsigned)(key >> 48) - 1;
}

static void write_address(uint64_t key, char separator, char ret[18])
{
	for (unsigned i = 0; i < 6; i++) {
		snprintf(ret + 3 * i, 3, "%02X", (unsigned)(key >> (40 - 8 * i) & 0xff));
		ret[3 * i + 2] = i < 5 ? separator : 0;
	}
}

static void write_path(uint64_t key, char ret[BLUEZ_PATH_MAX])
{
	char address[18];
	write_address(key, '_', address);
	snprintf(ret, BLUEZ_PATH_MAX, "/org/bluez/hci%u/dev_%s", hci_of(key), address);
}

void bluez_device_path(const struct bluez_seen *s, char ret[BLUEZ_PATH_MAX])
{
	write_path(((const struct dev *)s)->key, ret);
}

static struct dev *dev_find(struct bluez_devices *s, uint64_t key)
{
	for (size_t i = 0; i < BLUEZ_SEEN_MAX; i++)
		if (s->all[i].key == key)
			return &s->all[i];
	return NULL;
}

static struct dev dev_blank(uint64_t key)
{
	struct dev d = {.key = key, .seen = {.rssi = DEVICE_RSSI_UNKNOWN}};
	write_address(key, ':', d.seen.address);
	snprintf(d.seen.adapter, sizeof(d.seen.adapter), "hci%u", hci_of(key));
	return d;
}

static int strength(const struct bluez_seen *s)
{
	return s->rssi == DEVICE_RSSI_UNKNOWN ? INT16_MIN : s->rssi;
}

static bool stays(const struct dev *d)
{
	return d->seen.paired || d->seen.connected;
}

/* Whose place a new one takes: a free one, that of who was not heard for longest, or was heard
 * weakest. */
static struct dev *place_for(struct bluez_devices *s, const struct dev *fresh)
{
	struct dev *oldest = NULL, *weakest = NULL;
	for (struct dev *d = s->all; d < s->all + BLUEZ_SEEN_MAX; d++) {
		if (!d->key)
			return d;
		if (stays(d))
			continue;
		if (!oldest || d->seen.seen_boot_us < oldest->seen.seen_boot_us)
			oldest = d;
		if (!weakest || strength(&d->seen) < strength(&weakest->seen))
			weakest = d;
	}
	int64_t now_us = (int64_t)bluez_now_us(s->bluez);
	if (oldest && now_us - oldest->seen.seen_boot_us > DEVICE_STALE_US)
		return oldest;
	bool better =
		weakest && (stays(fresh) || strength(&fresh->seen) > strength(&weakest->seen));
	return better ? weakest : NULL;
}

/* --- reading Device1 */

/* Text that is safe on a terminal: UTF-8, cut at a character, control characters replaced. */
static void copy_name(char *dst, size_t size, const char *src)
{
	size_t n = 0, len = strlen(src);
	while (len) {
		size_t c = utf8_length(src, len);
		bool plain = c && ((uint8_t)*src >= 0x20 && *src != 0x7f) &&
			     !((uint8_t)src[0] == 0xc2 && (uint8_t)src[1] < 0xa0);
		size_t taken = plain ? c : 1;
		if (n + taken >= size)
			break;
		if (plain)
			memcpy(dst + n, src, c);
		else
			dst[n] = '?';
		n += taken;
		src += c ? c : 1;
		len -= c ? c : 1;
	}
	dst[n] = 0;
}

/* "00001810-0000-1000-8000-00805f9b34fb", little-endian. */
static bool read_uuid(const char *text, uint8_t ret[16])
{
	char digits[33];
	size_t n = 0;
	for (const char *p = text; *p; p++)
		if (*p != '-' && n < 32)
			digits[n++] = *p >= 'A' && *p <= 'F' ? (char)(*p + 32) : *p;
	digits[n] = 0;
	uint8_t big[16];
	if (strlen(text) != 36 || n != 32 || !unhex(big, sizeof(big), digits))
		return false;
	for (size_t i = 0; i < sizeof(big); i++)
		ret[i] = big[15 - i];
	return true;
}

/* 0: it is none of the Bluetooth SIG's short ones. */
static uint16_t short_uuid(const uint8_t uuid[16])
{
	static const uint8_t base[12] = {
		0xfb, 0x34, 0x9b, 0x5f, 0x80, 0x00, 0x00, 0x80, 0x00, 0x10, 0x00, 0x00};
	if (memcmp(uuid, base, sizeof(base)) != 0 || uuid[14] || uuid[15])
		return 0;
	return (uint16_t)(uuid[12] | uuid[13] << 8);
}

static int read_uuids(sd_bus_message *m, struct bluez_seen *s)
{
	const char *text = NULL;
	int r = sd_bus_message_enter_container(m, 'v', "as");
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "s");
	s->n_services = 0;
	while (r >= 0 && (r = sd_bus_message_read(m, "s", &text)) > 0)
		if (s->n_services < BLUEZ_SERVICES_MAX &&
			read_uuid(text, s->services[s->n_services]))
			s->n_services++;
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_bytes(sd_bus_message *m, struct reading *to, uint16_t uuid16, uint16_t company)
{
	const void *bytes = NULL;
	size_t len = 0;
	int r = sd_bus_message_enter_container(m, 'v', "ay");
	if (r >= 0)
		r = sd_bus_message_read_array(m, 'y', &bytes, &len);
	if (r < 0)
		return r;
	if ((uuid16 || company) && len <= BLUEZ_DATA_MAX && to->n < DEVICE_ADVERTS_MAX) {
		to->adverts[to->n].uuid16 = uuid16;
		to->adverts[to->n].company = company;
		to->adverts[to->n].len = len;
		if (len)
			memcpy(to->adverts[to->n].bytes, bytes, len);
		to->n++;
	}
	return sd_bus_message_exit_container(m);
}

/* a{qv} by company, or a{sv} by service */
static int read_data(sd_bus_message *m, struct reading *to, bool manufacturer)
{
	int r = sd_bus_message_enter_container(m, 'v', manufacturer ? "a{qv}" : "a{sv}");
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', manufacturer ? "{qv}" : "{sv}");
	while (r >= 0 &&
		(r = sd_bus_message_enter_container(m, 'e', manufacturer ? "qv" : "sv")) > 0) {
		const char *text = NULL;
		uint8_t uuid[16];
		uint16_t company = 0, uuid16 = 0;
		if (manufacturer) {
			r = sd_bus_message_read(m, "q", &company);
			to->dev->seen.company = company;
		} else {
			r = sd_bus_message_read(m, "s", &text);
			uuid16 = r >= 0 && read_uuid(text, uuid) ? short_uuid(uuid) : 0;
		}
		if (r >= 0)
			r = read_bytes(m, to, uuid16, company);
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_flag(sd_bus_message *m, bool *ret)
{
	int yes = 0;
	int r = sd_bus_message_read(m, "v", "b", &yes);
	if (r >= 0)
		*ret = yes;
	return r;
}

static int read_words(sd_bus_message *m, const char *name, struct bluez_seen *s)
{
	const char *text = NULL;
	int r = sd_bus_message_read(m, "v", "s", &text);
	if (r < 0)
		return r;
	if (streq(name, "Name"))
		copy_name(s->name, sizeof(s->name), text);
	else if (streq(name, "AddressType"))
		s->random = streq(text, "random");
	else if (strlen(text) ==
		 sizeof(s->address) - 1) /* not that of the path: an identity address */
		text_copy(s->address, sizeof(s->address), text, strlen(text));
	return 0;
}

static int read_property(void *arg, const char *name, sd_bus_message *m)
{
	struct reading *to = arg;
	struct bluez_seen *s = &to->dev->seen;
	if (streq(name, "RSSI")) {
		to->rssi = true;
		return sd_bus_message_read(m, "v", "n", &s->rssi);
	}
	if (streq(name, "ManufacturerData") || streq(name, "ServiceData"))
		return read_data(m, to, *name == 'M');
	if (streq(name, "Name") || streq(name, "Address") || streq(name, "AddressType"))
		return read_words(m, name, s);
	if (streq(name, "UUIDs"))
		return read_uuids(m, s);
	if (streq(name, "Connected"))
		return read_flag(m, &s->connected);
	if (streq(name, "Bonded"))
		to->dev->tells_bonded = true;
	if (streq(name, "Bonded") || (streq(name, "Paired") && !to->dev->tells_bonded))
		return read_flag(m, &s->paired);
	return sd_bus_message_skip(m, "v");
}

static void tell_heard(struct bluez *b, const struct reading *told)
{
	for (size_t i = 0; i < told->n; i++) {
		struct bluez_advert a = {&told->dev->seen, told->adverts[i].uuid16,
			told->adverts[i].company, told->adverts[i].bytes, told->adverts[i].len};
		bluez_scan_heard(b, &a);
	}
}

/* Strangers have a share of every second: -EBUSY when it is used up. */
static int spend(struct bluez_devices *s)
{
	uint64_t now_us = bluez_now_us(s->bluez);
	if (now_us - s->second_us >= 1000000) {
		s->second_us = now_us;
		s->strangers = 0;
	}
	return s->strangers++ < DEVICE_STRANGERS_A_SECOND ? 0 : -EBUSY;
}

static int on_all(sd_bus_message *m, void *arg, sd_bus_error *ret_error)
{
	(void)ret_error;
	struct bluez_devices *s = arg;
	char path[BLUEZ_PATH_MAX];
	s->asking = sd_bus_slot_unref(s->asking);
	write_path(s->asked, path);
	if (!sd_bus_message_is_method_error(m, NULL))
		bluez_device_read(s->bluez, path, m, BLUEZ_TOLD_ALL);
	return 0;
}

static void ask_all(struct bluez_devices *s, uint64_t key)
{
	struct bluez *b = s->bluez;
	char path[BLUEZ_PATH_MAX];
	if (s->asking)
		return;
	write_path(key, path);
	s->asked = key;
	sd_bus_call_method_async(b->bus, &s->asking, b->owner, path, BLUEZ_PROPERTIES, "GetAll",
		on_all, s, "s", BLUEZ_DEVICE);
}

/* A device that has no place: it gets one when all is known of it, and it may have one. */
static struct dev *settle_in(struct bluez_devices *s, struct dev *fresh, bool complete)
{
	struct dev *place = place_for(s, fresh);
	if (place && complete) {
		*place = *fresh;
		return place;
	}
	if (place)
		ask_all(s, fresh->key);
	return fresh;
}

int bluez_device_read(struct bluez *b, const char *path, sd_bus_message *m, enum bluez_told how)
{
	struct bluez_devices *s = b->devices;
	uint64_t key = key_of(path);
	struct dev *known = key ? dev_find(s, key) : NULL;
	if (!key || (!known && how != BLUEZ_TOLD_ALL && spend(s) < 0))
		return sd_bus_message_skip(m, "a{sv}");
	struct dev fresh = dev_blank(key);
	struct reading told = {.dev = known ? known : &fresh};
	int r = bluez_read_dict(m, read_property, &told);
	if (told.rssi || told.n)
		told.dev->seen.seen_boot_us = (int64_t)bluez_now_us(b);
	if (!known && r >= 0)
		told.dev = settle_in(s, &fresh, how != BLUEZ_TOLD_CHANGE);
	tell_heard(b, &told);
	return r;
}

void bluez_device_gone(struct bluez *b, const char *path)
{
	uint64_t key = key_of(path);
	struct dev *d = key ? dev_find(b->devices, key) : NULL;
	if (d)
		*d = (struct dev){0};
}

void bluez_devices_forget(struct bluez *b)
{
	struct bluez_devices *s = b->devices;
	if (!s)
		return;
	s->asking = sd_bus_slot_unref(s->asking);
	memset(s->all, 0, sizeof(s->all));
}

int bluez_devices_new(struct bluez *b)
{
	b->devices = calloc(1, sizeof(*b->devices));
	if (!b->devices)
		return -ENOMEM;
	b->devices->bluez = b;
	return 0;
}

void bluez_devices_free(struct bluez *b)
{
	if (b->devices)
		sd_bus_slot_unref(b->devices->asking);
	free(TAKE(b->devices));
}

/* Strangers that bluetoothd still shows are there; those with a bond it shows always. */
static bool is_heard(const struct dev *d, int64_t now_us)
{
	return d->key && d->seen.seen_boot_us &&
	       (!d->seen.paired || now_us - d->seen.seen_boot_us < DEVICE_LISTED_US);
}

static int by_strength(const void *a, const void *b)
{
	const struct bluez_seen *x = *(const struct bluez_seen *const *)a,
				*y = *(const struct bluez_seen *const *)b;
	return strength(x) != strength(y) ? strength(y) - strength(x)
					  : strcmp(x->address, y->address);
}

size_t bluez_scan_list(const struct bluez *b, const struct bluez_seen **ret, size_t max)
{
	const struct bluez_seen *all[BLUEZ_SEEN_MAX];
	int64_t now_us = (int64_t)bluez_now_us(b);
	size_t n = 0;
	for (size_t i = 0; i < BLUEZ_SEEN_MAX; i++)
		if (is_heard(&b->devices->all[i], now_us))
			all[n++] = &b->devices->all[i].seen;
	qsort(all, n, sizeof(all[0]), by_strength);
	n = MIN(n, max);
	memcpy(ret, all, n * sizeof(all[0]));
	return n;
}

const struct bluez_seen *bluez_scan_find(const struct bluez *b, const char *address)
{
	const struct bluez_seen *found = NULL;
	for (size_t i = 0; i < BLUEZ_SEEN_MAX; i++) {
		const struct dev *d = &b->devices->all[i];
		if (d->key && streq(d->seen.address, address) &&
			(!found || d->seen.seen_boot_us > found->seen_boot_us))
			found = &d->seen;
	}
	return found;
}

const struct bluez_seen *bluez_device_at(const struct bluez *b, const char *path)
{
	uint64_t key = key_of(path);
	const struct dev *d = key ? dev_find(b->devices, key) : NULL;
	return d ? &d->seen : NULL;
}

size_t bluez_device_paths(
	const struct bluez *b, const char *address, char ret[BLUEZ_ADAPTERS_MAX][BLUEZ_PATH_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < BLUEZ_SEEN_MAX && n < BLUEZ_ADAPTERS_MAX; i++) {
		const struct dev *d = &b->devices->all[i];
		if (d->key && streq(d->seen.address, address))
			write_path(d->key, ret[n++]);
	}
	return n;
}

int bluez_bonded(const struct bluez *b, const char *address)
{
	int known = *b->owner ? -ENOENT : -ENOTCONN;
	for (size_t i = 0; i < BLUEZ_SEEN_MAX; i++) {
		const struct dev *d = &b->devices->all[i];
		if (!d->key || !streq(d->seen.address, address))
			continue;
		if (d->seen.paired)
			return 1;
		known = 0;
	}
	return known;
}
