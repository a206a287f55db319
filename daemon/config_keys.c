/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every key of vitalgate.yaml, once. The table drives reading, defaults, ranges, the refusal of what
 * is unknown and the documentation; tests/test_config.c compares it with config/vitalgate.yaml.
 */
#include "config_keys.h"

#include <assert.h>

#include "config.h"
#include "util.h"

static bool is_any(const char *text)
{
	(void)text;
	return true;
}

static bool is_word(const char *text)
{
	size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	return n && !text[n];
}

static bool is_word_or_none(const char *text)
{
	return !*text || is_word(text);
}

static bool is_some(const char *text)
{
	return *text;
}

static bool is_path(const char *text)
{
	return *text == '/' && text[1];
}

static bool is_path_or_none(const char *text)
{
	return !*text || is_path(text);
}

/* "" or a path, or a name that is nothing but a file name behind CONFIG_CREDENTIAL. */
static bool is_file_or_none(const char *text)
{
	size_t n = strlen(CONFIG_CREDENTIAL);
	if (strncmp(text, CONFIG_CREDENTIAL, n) != 0)
		return !*text || is_path(text);
	text += n;
	n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return n && !text[n];
}

static bool is_host(const char *text)
{
	size_t n =
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:_-");
	return n && !text[n];
}

static bool is_adapter(const char *text)
{
	size_t n = strncmp(text, "hci", 3) ? 0 : 3 + strspn(text + 3, "0123456789");
	return !*text || (n > 3 && !text[n]);
}

/* "07:00" */
static bool is_wall_time(const char *text)
{
	static const char highest[] = "29:59";
	size_t n = 0;
	while (text[n] && n < 5 &&
		(n == 2 ? text[n] == ':' : text[n] >= '0' && text[n] <= highest[n]))
		n++;
	return n == 5 && !text[n] && (text[0] < '2' || text[1] <= '3');
}

/* "21:00-07:00", which may go over midnight; "": never. */
static bool is_span_or_none(const char *text)
{
	char from[6] = "";
	if (!*text)
		return true;
	if (strlen(text) != 11 || text[5] != '-')
		return false;
	memcpy(from, text, 5);
	return is_wall_time(from) && is_wall_time(text + 6) && !streq(from, text + 6);
}

/* Tokens with semicolons between. */
static bool is_tokens(const char *text)
{
	char one[32];
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, ";");
		if (!text_copy(one, sizeof(one), p, n) || !is_word(one) || (p[n] && !p[n + 1]))
			return false;
		p += n + (p[n] == ';');
	}
	return true;
}

/* A file of the time zone database begins with "TZif" (RFC 8536, 3.1). */
static bool is_zone(const char *text)
{
	char path[128], magic[4];
	if (*text == '/' || strstr(text, "..") ||
		snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", text) >= (int)sizeof(path))
		return false;
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	return f && fread(magic, 1, sizeof(magic), f) == sizeof(magic) && !memcmp(magic, "TZif", 4);
}

static const struct text_rule any = {is_any, "a text"};
static const struct text_rule some = {is_some, "a text"};
static const struct text_rule word = {
	is_word, "letters, digits, '-' and '_' (it is part of topics)"};
static const struct text_rule token = {is_word_or_none, "a token of letters, digits, '-' and '_'"};
static const struct text_rule path = {is_path, "a path that begins with '/'"};
static const struct text_rule path_or_none = {
	is_path_or_none, "a path that begins with '/', or nothing"};
static const struct text_rule file = {
	is_file_or_none, "a path that begins with '/', or " CONFIG_CREDENTIAL "NAME"};
static const struct text_rule host = {is_host, "a host name or address"};
static const struct text_rule adapter = {is_adapter, "hci0, hci1 ... or nothing"};
static const struct text_rule wall_time = {
	is_wall_time, "a time of the day, \"00:00\" to \"23:59\""};
static const struct text_rule span_or_none = {
	is_span_or_none, "two times of the day such as \"21:00-07:00\", or nothing"};
static const struct text_rule tokens = {
	is_tokens, "tokens of letters, digits, '-' and '_' with semicolons between: S-0002;S-0003"};
static const struct text_rule zone = {
	is_zone, "a zone of /usr/share/zoneinfo, such as Asia/Shanghai"};

static const struct choice contract_starts[] = {
	{"next_january", CONTRACT_NEXT_JANUARY}, {"at_once", CONTRACT_AT_ONCE}, {0}};
static const struct choice languages[] = {{"zh", 0}, {"en", 1}, {0}};
static const struct choice transports[] = {{"ble", TRANSPORT_BLE}, {"serial", TRANSPORT_SERIAL},
	{"rfcomm", TRANSPORT_RFCOMM}, {"modbus", TRANSPORT_MODBUS}, {"spool", TRANSPORT_SPOOL},
	{"replay", TRANSPORT_REPLAY}, {0}};
static const struct choice receipts[] = {
	{"platform", RECEIPT_PLATFORM}, {"broker", RECEIPT_BROKER}, {0}};
static const struct choice parities[] = {{"none", 'N'}, {"even", 'E'}, {"odd", 'O'}, {0}};
static const struct choice patients[] = {{"ignore", PATIENT_IGNORE}, {"token", PATIENT_TOKEN},
	{"sample", PATIENT_SAMPLE}, {"typed", PATIENT_TYPED}, {0}};
static const struct choice purposes[] = {
	{"hut", 0}, {"follow-up", 0}, {"exam", 0}, {"home-bed", 0}, {0}};
static const struct choice speeds[] = {{"1200", 1200}, {"2400", 2400}, {"4800", 4800},
	{"9600", 9600}, {"19200", 19200}, {"38400", 38400}, {"57600", 57600}, {"115200", 115200},
	{"230400", 230400}, {0}};

#define AT(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define IN_CONFIG(field) AT(struct config, field)
#define IN_SINK(field) AT(struct config_sink, field)
#define IN_STATION(field) AT(struct config_station, field)
#define IN_DEVICE(field) AT(struct config_device, field)
#define TEXT(text_rule) .type = KEY_TEXT, .rule = &(text_rule)
#define NUMBER(from, to) .type = KEY_NUMBER, .low = (from), .high = (to)
#define ENUM(list) .type = KEY_ENUM, .choices = (list)
#define FIXED .fixed = true
#define ONLY(list) .transports = (list)
#define BLE (1u << TRANSPORT_BLE)
#define SERIAL (1u << TRANSPORT_SERIAL)
#define RFCOMM (1u << TRANSPORT_RFCOMM)
#define MODBUS (1u << TRANSPORT_MODBUS)

/* clang-format off */
const struct key config_keys[] = {
	{"version", NUMBER(1, 1),
	 .meaning = "version of this file's format"},
	{"org", TEXT(word), IN_CONFIG(org), FIXED,
	 .meaning = "organisation, first level of every topic"},
	{"site", TEXT(word), IN_CONFIG(site), FIXED,
	 .meaning = "site, second level of every topic"},
	{"gateway", TEXT(word), IN_CONFIG(gateway), FIXED,
	 .meaning = "this gateway, third level; one name per machine"},
	{"zone", TEXT(zone), .fallback = "Asia/Shanghai", IN_CONFIG(zone), FIXED,
	 .meaning = "time zone that the instruments' clocks show"},
	{"language", KEY_ONE_OF, .fallback = "zh", IN_CONFIG(language), .choices = languages,
	 .meaning = "language of texts for people"},
	{"site_contact", TEXT(token), .fallback = "", IN_CONFIG(site_contact),
	 .meaning = "staff token that gets alerts which have no doctor"},
	{"alerts", KEY_BOOL, .fallback = "true", IN_CONFIG(alerts),
	 .meaning = "false: only transfer and store, raise no alerts"},
	{"alerting", KEY_GROUP,
	 .meaning = "who is told of an alert, and when"},
	{"alerting.quiet", TEXT(span_or_none), .fallback = "22:00-07:00", IN_CONFIG(quiet),
	 .meaning = "warnings that are raised, or not answered, in these hours are told when they end, by the clock of the zone; critical ones at once; empty: never"},
	{"alerting.morning", TEXT(wall_time), .fallback = "08:00", IN_CONFIG(morning),
	 .meaning = "when critical readings that came too late to page are looked through"},
	{"alerting.institution", TEXT(token), .fallback = "", IN_CONFIG(institution),
	 .meaning = "token that is told last of all, by agreement with that institution; empty: none"},
	{"alerting.chain", TEXT(tokens), .fallback = "", IN_CONFIG(staff_chain),
	 .meaning = "staff tokens that are told one after the other behind a station's or the site's contact: S-0002;S-0003"},
	{"alerting.altitude_m", NUMBER(0, 6000), .fallback = "0", IN_CONFIG(altitude_m),
	 .meaning = "metres of the site above the sea, for limits of oxygen saturation"},
	{"alerting.hook", TEXT(path_or_none), .fallback = "", IN_CONFIG(hook),
	 .meaning = "program that is run for each alert that is told (siren, relay, SMS modem); empty: none"},
	{"alerting.hook_timeout_s", NUMBER(1, 60), .fallback = "10", IN_CONFIG(hook_timeout_s),
	 .meaning = "seconds after which that program is ended"},
	{"paths", KEY_GROUP,
	 .meaning = "directories"},
	{"paths.store", TEXT(path), .fallback = "/var/lib/vitalgate", IN_CONFIG(store), FIXED,
	 .meaning = "database and files of studies"},
	{"paths.runtime", TEXT(path), .fallback = "/run/vitalgate", IN_CONFIG(runtime), FIXED,
	 .meaning = "sockets"},
	{"paths.tables", TEXT(path), .fallback = "/usr/share/vitalgate", IN_CONFIG(tables),
	 .meaning = "code, unit, form and rule tables"},
	{"paths.profiles", TEXT(path), .fallback = "/etc/vitalgate/profiles", IN_CONFIG(profiles),
	 .meaning = "the site's own profiles of instruments; may be missing"},
	{"paths.label_key", TEXT(path_or_none), .fallback = "", IN_CONFIG(label_key),
	 .meaning = "file with the key of residents' labels; empty: label.key in the store"},
	{"contract_start", ENUM(contract_starts), .fallback = "next_january", IN_CONFIG(contract_start),
	 .meaning = "from when a contract holds of which only the day of signing is known"},
	{"retention_days", NUMBER(8, 3650), .fallback = "180", IN_CONFIG(retention_days),
	 .meaning = "how long delivered readings stay here"},
	{"commit_rows", NUMBER(1, 5000), .fallback = "256", IN_CONFIG(commit_rows), FIXED,
	 .meaning = "most readings that share one transaction"},
	{"lists", KEY_GROUP,
	 .meaning = "lists and rates for the platform, of the residents whom this gateway owns"},
	{"lists.due", KEY_BOOL, .fallback = "false", IN_CONFIG(lists_due),
	 .meaning = "true: every morning one message of who should be seen"},
	{"lists.kpi", KEY_BOOL, .fallback = "false", IN_CONFIG(lists_kpi),
	 .meaning = "true: on the first of a month one message of the rates of the month that ended"},
	{"lists.at", TEXT(wall_time), .fallback = "07:00", IN_CONFIG(lists_at),
	 .meaning = "when, by the clock of the zone above"},
	{"ecg", KEY_GROUP,
	 .meaning = "the centre that reports on electrocardiograms"},
	{"ecg.centre", TEXT(token), .fallback = "", IN_CONFIG(ecg_centre), FIXED,
	 .meaning = "name of the sink that is the ECG centre; empty: the first sink"},
	{"ecg.report_minutes", NUMBER(1, 1440), .fallback = "30", IN_CONFIG(ecg_report_minutes),
	 .meaning = "minutes of the centre's hours after which its report is due"},
	{"ecg.hours", TEXT(some), .fallback = "always", IN_CONFIG(ecg_hours),
	 .meaning = "always, or the centre's hours: mon-fri 08:00-12:00 14:00-17:30, sat 08:00-12:00"},
	{"ecg.not_sent_minutes", NUMBER(1, 1440), .fallback = "15", IN_CONFIG(ecg_not_sent_minutes),
	 .meaning = "minutes after which a study that the centre has not received is told as an alert"},

	{"sinks", KEY_LIST,
	 .meaning = "platforms that get the readings; at most 4"},
	{"sinks[].name", TEXT(word), IN_SINK(name), FIXED,
	 .meaning = "our name for the platform, unique"},
	{"sinks[].host", TEXT(host), IN_SINK(host), FIXED,
	 .meaning = "host name or address of the MQTT broker"},
	{"sinks[].port", NUMBER(0, 65535), .fallback = "0", IN_SINK(port), FIXED,
	 .meaning = "port; 0: 8883 with tls, 1883 without"},
	{"sinks[].client_id", TEXT(token), .fallback = "", IN_SINK(client_id), FIXED,
	 .meaning = "MQTT client id; empty: vg-<gateway>"},
	{"sinks[].user", TEXT(any), .fallback = "", IN_SINK(user), FIXED,
	 .meaning = "user name at the broker; empty: none"},
	{"sinks[].password_file", TEXT(file), .fallback = "", IN_SINK(password_file), FIXED,
	 .meaning = "file whose first line is the password"},
	{"sinks[].tls", KEY_GROUP, IN_SINK(tls), FIXED,
	 .meaning = "present: the connection is encrypted; absent: it is not"},
	{"sinks[].tls.ca", TEXT(file), .fallback = "", IN_SINK(ca_file), FIXED,
	 .meaning = "certificates of the authority; empty: the system's"},
	{"sinks[].tls.cert", TEXT(file), .fallback = "", IN_SINK(cert_file), FIXED,
	 .meaning = "our certificate; empty: none"},
	{"sinks[].tls.key", TEXT(file), .fallback = "", IN_SINK(key_file), FIXED,
	 .meaning = "key of our certificate"},
	{"sinks[].keepalive_s", NUMBER(5, 3600), .fallback = "30", IN_SINK(keepalive_s), FIXED,
	 .meaning = "seconds of silence after which the broker is asked"},
	{"sinks[].receipt", ENUM(receipts), .fallback = "platform", IN_SINK(receipt), FIXED,
	 .meaning = "whose word counts as arrived: the platform's message, or the broker's only"},
	{"sinks[].receipt_timeout_s", NUMBER(1, 86400), .fallback = "300",
	 IN_SINK(receipt_timeout_s), FIXED,
	 .meaning = "seconds without a receipt after which it is sent again"},
	{"sinks[].window", NUMBER(1, 1000), .fallback = "20", IN_SINK(window), FIXED,
	 .meaning = "messages on their way at once; the broker may lower it"},

	{"stations", KEY_LIST,
	 .meaning = "where residents are measured; at most 32; one that is not here needs no more than its name"},
	{"stations[].id", TEXT(some), IN_STATION(id),
	 .meaning = "as devices[].station names it, unique"},
	{"stations[].complete", TEXT(any), .fallback = "", IN_STATION(complete),
	 .meaning = "kinds of readings, with blanks between, after which a check-in is over; empty: none"},
	{"stations[].purpose", KEY_ONE_OF, .fallback = "hut", IN_STATION(purpose), .choices = purposes,
	 .meaning = "what a card or a barcode there means"},
	{"stations[].contact", TEXT(token), .fallback = "", IN_STATION(contact),
	 .meaning = "staff token that gets its alerts which have no doctor; empty: site_contact"},

	{"devices", KEY_LIST,
	 .meaning = "instruments; at most 256"},
	{"devices[].id", TEXT(word), IN_DEVICE(id),
	 .meaning = "our name for the instrument, unique"},
	{"devices[].driver", TEXT(word), IN_DEVICE(driver),
	 .meaning = "the driver that speaks its protocol"},
	{"devices[].transport", ENUM(transports), IN_DEVICE(transport),
	 .meaning = "how it is connected"},
	{"devices[].address", TEXT(some), IN_DEVICE(address),
	 .meaning = "ble, rfcomm: C0:11:22:33:44:55; serial: device file; modbus: device file or tcp:HOST:PORT; spool: directory; replay: capture"},
	{"devices[].random_address", KEY_BOOL, .fallback = "false", IN_DEVICE(random_address),
	 ONLY(BLE),
	 .meaning = "the address is a random static one"},
	{"devices[].adapter", TEXT(adapter), .fallback = "", IN_DEVICE(adapter), ONLY(BLE | RFCOMM),
	 .meaning = "Bluetooth adapter; empty: any"},
	{"devices[].pairing", KEY_BOOL, .fallback = "false", IN_DEVICE(pairing), ONLY(BLE | RFCOMM),
	 .meaning = "ask for an encrypted link; pair once at enrolment"},
	{"devices[].baud", ENUM(speeds), .fallback = "9600", IN_DEVICE(baud), ONLY(SERIAL | MODBUS),
	 .meaning = "speed of the line"},
	{"devices[].data_bits", NUMBER(7, 8), .fallback = "8", IN_DEVICE(data_bits), ONLY(SERIAL | MODBUS),
	 .meaning = "data bits of the line"},
	{"devices[].parity", ENUM(parities), .fallback = "none", IN_DEVICE(parity), ONLY(SERIAL | MODBUS),
	 .meaning = "parity of the line"},
	{"devices[].stop_bits", NUMBER(1, 2), .fallback = "1", IN_DEVICE(stop_bits), ONLY(SERIAL | MODBUS),
	 .meaning = "stop bits of the line"},
	{"devices[].dtr", KEY_BOOL, .fallback = "true", IN_DEVICE(dtr), ONLY(SERIAL),
	 .meaning = "raise DTR; some adapters feed on it"},
	{"devices[].rts", KEY_BOOL, .fallback = "true", IN_DEVICE(rts), ONLY(SERIAL),
	 .meaning = "raise RTS"},
	{"devices[].channel", NUMBER(0, 30), .fallback = "0", IN_DEVICE(channel), ONLY(RFCOMM),
	 .meaning = "RFCOMM channel; 0: ask the instrument"},
	{"devices[].slave", NUMBER(0, 255), .fallback = "1", IN_DEVICE(slave), ONLY(MODBUS),
	 .meaning = "Modbus address, 1 to 247; over TCP also 0 and 255"},
	{"devices[].poll_ms", NUMBER(1, 86400000), .fallback = "60000", IN_DEVICE(poll_ms), ONLY(MODBUS),
	 .meaning = "milliseconds from one round of questions to the next"},
	{"devices[].response_ms", NUMBER(20, 10000), .fallback = "1000", IN_DEVICE(response_ms), ONLY(MODBUS),
	 .meaning = "milliseconds until an answer must have begun"},
	{"devices[].gap_ms", NUMBER(2, 1000), .fallback = "20", IN_DEVICE(gap_ms), ONLY(MODBUS),
	 .meaning = "milliseconds of rest between two transactions of a line"},
	{"devices[].place", TEXT(token), .fallback = "", IN_DEVICE(place),
	 .meaning = "what it watches, as alert rules name it: fridge, freezer, room"},
	{"devices[].station", TEXT(any), .fallback = "", IN_DEVICE(station),
	 .meaning = "where it stands; who is checked in there is whom it measures"},
	{"devices[].patient_id", ENUM(patients), .fallback = "ignore", IN_DEVICE(patient_id),
	 .meaning = "its patient field: not trusted, a resident's token, a sample number, or a token that was typed"},
	{"devices[].expect_s", NUMBER(0, 31536000), .fallback = "0", IN_DEVICE(expect_s),
	 .meaning = "seconds in which it delivers something, as a rule; staff are told when it is silent for twice as long; 0: nobody"},
	{"devices[].test", KEY_BOOL, .fallback = "false", IN_DEVICE(test),
	 .meaning = "true: what it sends is marked as a test and never filed"},
	{"devices[].options", KEY_MAP,
	 .meaning = "options of the driver, name: value; at most 8"},
};
/* clang-format on */

const size_t config_n_keys = ELEMENTS(config_keys);
_Static_assert(ELEMENTS(config_keys) <= CONFIG_KEYS_MAX, "more keys than readers have room for");

static void key_store(const struct key *k, void *base, long value)
{
	char *to = (char *)base + k->offset;
	switch (k->size) {
	case 0:
		break;
	case sizeof(uint8_t):
		*(uint8_t *)to = (uint8_t)value;
		break;
	case sizeof(uint16_t):
		*(uint16_t *)(void *)to = (uint16_t)value;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)(void *)to = (uint32_t)value;
		break;
	default:
		assert(false);
	}
}

/* Decimal digits only: "010" is eight to one YAML reader and ten to another, so it is refused. */
static bool key_number(const struct key *k, const char *text, long *ret_value)
{
	size_t n = strspn(text, "0123456789");
	if (!n || text[n] || n > 9 || (*text == '0' && n > 1))
		return false;
	long value = strtol(text, NULL, 10);
	*ret_value = value;
	return value >= k->low && value <= k->high;
}

const char *carrier_name(enum carrier c)
{
	return transports[c].name;
}

bool key_set(const struct key *k, void *base, const char *text)
{
	const struct choice *choice = k->choices;
	size_t len = strlen(text);
	long number;
	while (choice && choice->name && !streq(choice->name, text))
		choice++;
	switch (k->type) {
	case KEY_TEXT:
		if (!k->rule->holds(text) || len >= k->size)
			return false;
		memcpy((char *)base + k->offset, text, len + 1);
		return true;
	case KEY_ONE_OF:
		if (!choice->name)
			return false;
		assert(len < k->size);
		memcpy((char *)base + k->offset, text, len + 1);
		return true;
	case KEY_ENUM:
		if (!choice->name)
			return false;
		key_store(k, base, choice->value);
		return true;
	case KEY_NUMBER:
		if (!key_number(k, text, &number))
			return false;
		key_store(k, base, number);
		return true;
	case KEY_BOOL:
		if (!streq(text, "true") && !streq(text, "false"))
			return false;
		*(bool *)((char *)base + k->offset) = streq(text, "true");
		return true;
	case KEY_GROUP:
	case KEY_LIST:
	case KEY_MAP:
		break;
	}
	return false;
}

static long key_load(const struct key *k, const void *base)
{
	const char *from = (const char *)base + k->offset;
	switch (k->size) {
	case sizeof(uint8_t):
		return *(const uint8_t *)from;
	case sizeof(uint16_t):
		return *(const uint16_t *)(const void *)from;
	default:
		return *(const uint32_t *)(const void *)from;
	}
}

const char *key_text(const struct key *k, const void *base, char *out, size_t size)
{
	const char *text = NULL;
	switch (k->type) {
	case KEY_TEXT:
	case KEY_ONE_OF:
		text = (const char *)base + k->offset;
		break;
	case KEY_ENUM:
		for (const struct choice *c = k->choices; c->name && !text; c++)
			text = c->value == key_load(k, base) ? c->name : NULL;
		break;
	case KEY_BOOL:
	case KEY_GROUP:
		text = *(const bool *)((const char *)base + k->offset) ? "true" : "false";
		break;
	case KEY_NUMBER:
		snprintf(out, size, "%ld", key_load(k, base));
		return out;
	case KEY_LIST:
	case KEY_MAP:
		break;
	}
	snprintf(out, size, "%s", text ? text : "");
	return out;
}

/* "ble, serial" with the given text between. */
static void key_choices(const struct key *k, const char *between, char *out, size_t size)
{
	size_t n = 0;
	out[0] = 0;
	for (const struct choice *c = k->choices; c->name && n < size; c++)
		n += (size_t)snprintf(
			out + n, size - n, "%s%s", c == k->choices ? "" : between, c->name);
}

void key_expects(const struct key *k, char *out, size_t size)
{
	char choices[128];
	switch (k->type) {
	case KEY_GROUP:
	case KEY_MAP:
		snprintf(out, size, "lines \"name: value\" below it");
		break;
	case KEY_LIST:
		snprintf(out, size, "a list: lines that begin with \"- \" below it, or []");
		break;
	case KEY_TEXT:
		snprintf(out, size, "%s, at most %zu bytes", k->rule->expects, k->size - 1);
		break;
	case KEY_NUMBER:
		if (k->low == k->high)
			snprintf(out, size, "%ld", k->low);
		else
			snprintf(out, size, "a number from %ld to %ld", k->low, k->high);
		break;
	case KEY_ENUM:
	case KEY_ONE_OF:
		key_choices(k, ", ", choices, sizeof(choices));
		snprintf(out, size, "one of %s", choices);
		break;
	case KEY_BOOL:
		snprintf(out, size, "true or false");
		break;
	}
}

static void key_type_name(const struct key *k, char *out, size_t size)
{
	static const char *const names[] = {
		[KEY_GROUP] = "group",
		[KEY_LIST] = "list",
		[KEY_MAP] = "names and values",
		[KEY_TEXT] = "text",
		[KEY_BOOL] = "true|false",
	};
	if (k->choices)
		key_choices(k, "|", out, size);
	else if (k->type == KEY_NUMBER)
		snprintf(out, size, "%ld..%ld", k->low, k->high);
	else
		snprintf(out, size, "%s", names[k->type]);
}

void config_document(void (*line)(const char *text, void *arg), void *arg)
{
	for (size_t i = 0; i < ELEMENTS(config_keys); i++) {
		const struct key *k = &config_keys[i];
		char type[128], text[512];
		key_type_name(k, type, sizeof(type));
		const char *fallback = k->fallback	  ? k->fallback
				       : key_has_value(k) ? "(required)"
							  : "";
		snprintf(text, sizeof(text), "%s\t%s\t%s\t%s", k->path, type, fallback, k->meaning);
		line(text, arg);
	}
}
