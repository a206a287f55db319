/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config_check.h"

#include "centre.h"
#include "person.h"
#include "util.h"

#include <ctype.h>
#include <stdarg.h>

static bool __attribute__((format(printf, 3, 4)))
fault(struct config_fault *f, const char *key, const char *format, ...)
{
	f->key = key;
	va_list args;
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	return false;
}

/* "tcp:HOST:PORT" */
static bool is_tcp(const char *p)
{
	const char *colon = strrchr(p, ':');
	if (strncmp(p, "tcp:", 4) || colon <= p + 4)
		return false;
	size_t n = strspn(colon + 1, "0123456789");
	long port = n && n <= 5 && !colon[1 + n] ? strtol(colon + 1, NULL, 10) : 0;
	return port >= 1 && port <= 65535;
}

/* Without empty parts, "." and a slash at the end; false when it is the root or climbs. */
static bool tidy(char *path)
{
	char to[256];
	size_t at = 0, n;
	for (const char *p = path; *(p += strspn(p, "/")); p += n) {
		n = strcspn(p, "/");
		if (n == 2 && !strncmp(p, "..", n))
			return false;
		if (n != 1 || *p != '.')
			at += (size_t)snprintf(to + at, sizeof(to) - at, "/%.*s", (int)n, p);
	}
	if (at)
		memcpy(path, to, at + 1);
	return at;
}

/* What follows in `path` when it is `outer` or lies in it; else NULL. */
static const char *behind(const char *outer, const char *path)
{
	size_t n = strlen(outer);
	return !strncmp(path, outer, n) && (!path[n] || path[n] == '/') ? path + n : NULL;
}

/* Brings the address into one form; false when it is none for this transport. */
static bool take_address(struct config_device *d)
{
	static const char form[] = "xx:xx:xx:xx:xx:xx";
	char *p = d->address;
	bool path = p[0] == '/' && p[1];
	if (d->transport == TRANSPORT_SERIAL || d->transport == TRANSPORT_REPLAY)
		return path;
	if (d->transport == TRANSPORT_SPOOL)
		return path && tidy(p);
	if (d->transport == TRANSPORT_MODBUS)
		return path || is_tcp(p);
	if (!strncmp(p, "unix:/", 6))
		return strlen(p + 5) < 108; /* sun_path, unix(7) */
	if (strlen(p) != strlen(form))
		return false;
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == ':' ? p[i] != ':' : !isxdigit((unsigned char)p[i]))
			return false;
		p[i] = (char)toupper((unsigned char)p[i]);
	}
	return true;
}

static bool on_line(const struct config_device *d)
{
	return d->transport == TRANSPORT_SERIAL ||
	       (d->transport == TRANSPORT_MODBUS && d->address[0] == '/');
}

/* `d` takes from where `o` sets files aside. */
static bool takes_from(const struct config_device *d, const struct config_device *o)
{
	const char *rest = behind(o->address, d->address);
	return d->transport == TRANSPORT_SPOOL && o->transport == TRANSPORT_SPOOL && rest &&
	       (behind("/done", rest) || behind("/refused", rest));
}

/* " in line 12", or where else `o` stands when that is not where `d` stands. */
static const char *place_of(
	const struct config_device *d, const struct config_device *o, char *out, size_t size)
{
	if (o->trial)
		return " that is being enrolled";
	snprintf(out, size, " in line %u%s", o->line,
		o->enrolled == d->enrolled ? ""
		: o->enrolled		   ? " of enrolled.yaml"
					   : " of vitalgate.yaml");
	return out;
}

/* `d` against `o`, which stands before it. */
static bool check_pair(
	const struct config_device *d, const struct config_device *o, struct config_fault *f)
{
	char where[48];
	if (streq(o->id, d->id))
		return fault(f, "devices[].id", "the id \"%s\" is taken by the device%s", d->id,
			place_of(d, o, where, sizeof(where)));
	bool one_line = on_line(d) && on_line(o);
	if (takes_from(d, o) || takes_from(o, d))
		return fault(f, "devices[].address",
			"%s is where files of device \"%s\"%s are put aside, or the reverse: they "
			"would be taken twice",
			d->address, o->id, place_of(d, o, where, sizeof(where)));
	if (!streq(o->address, d->address) || (o->transport != d->transport && !one_line))
		return true;
	if (o->transport != TRANSPORT_MODBUS || d->transport != TRANSPORT_MODBUS)
		return fault(f, "devices[].address", "the address %s is taken by device \"%s\"%s",
			d->address, o->id, place_of(d, o, where, sizeof(where)));
	if (o->slave == d->slave)
		return fault(f, "devices[].slave",
			"slave %u of %s is taken by device \"%s\" in line %u", d->slave, d->address,
			o->id, o->line);
	if (one_line && (o->baud != d->baud || o->parity != d->parity ||
				o->data_bits != d->data_bits || o->stop_bits != d->stop_bits))
		return fault(f, NULL,
			"it shares its line with device \"%s\" in line %u: baud, data_bits, "
			"parity and stop_bits must be the same",
			o->id, o->line);
	return true;
}

bool config_check_device(const struct config *c, struct config_device *d, struct config_fault *f)
{
	static const char *const addresses[] = {
		[TRANSPORT_BLE] = "six hex pairs such as C0:11:22:33:44:55 as address",
		[TRANSPORT_SERIAL] = "a device file such as /dev/ttyUSB0 as address",
		[TRANSPORT_RFCOMM] = "six hex pairs such as 00:11:22:33:44:55 as address",
		[TRANSPORT_MODBUS] =
			"a device file such as /dev/ttyUSB0 or tcp:HOST:PORT as address",
		[TRANSPORT_SPOOL] = "the path of a directory as address",
		[TRANSPORT_REPLAY] = "the path of a capture as address"};
	if (streq(d->id, PERSON_DEVICE))
		return fault(f, "devices[].id",
			"the id \"%s\" stands for what people type: expected another", d->id);
	if (!take_address(d))
		return fault(f, "devices[].address", "expected %s, found \"%.60s\"",
			addresses[d->transport], d->address);
	/* Core Specification, Vol 6, Part B, 1.3.2.1: both top bits of a static address are set. */
	if (d->random_address && d->address[2] == ':' && !strchr("CDEF", d->address[0]))
		return fault(f, "devices[].address",
			"a random static address begins with C, D, E or F; others change, so pair "
			"and use the identity address");
	if (on_line(d) && d->transport == TRANSPORT_MODBUS && (d->slave < 1 || d->slave > 247))
		return fault(f, "devices[].slave", "on a serial line a slave is 1 to 247, found %u",
			d->slave);
	if (d->transport == TRANSPORT_REPLAY && !d->test)
		return fault(f, NULL,
			"a capture tells of another time and place: transport replay needs \"test: "
			"true\"");
	for (unsigned i = 0; i < c->n_devices; i++)
		if (!check_pair(d, &c->devices[i], f))
			return false;
	return true;
}

bool config_check_sink(const struct config *c, struct config_sink *s, struct config_fault *f)
{
	if (!s->port)
		s->port = s->tls ? 8883 : 1883;
	if (!s->cert_file[0] != !s->key_file[0])
		return fault(f, "sinks[].tls",
			"tls.cert and tls.key belong together; one of them is missing");
	if (s->password_file[0] && !s->user[0])
		return fault(f, "sinks[].password_file",
			"a password needs a user (MQTT 3.1.1, 3.1.2.9)");
	for (unsigned i = 0; i < c->n_sinks; i++) {
		const struct config_sink *o = &c->sinks[i];
		if (streq(o->name, s->name))
			return fault(f, "sinks[].name",
				"the name \"%s\" is taken by the sink in line %u", s->name,
				o->line);
		if (streq(o->host, s->host) && o->port == s->port &&
			streq(o->client_id, s->client_id))
			return fault(f, NULL,
				"sink \"%s\" in line %u has the same host, port and client_id: the "
				"broker would throw out one for the other; give a client_id",
				o->name, o->line);
	}
	return true;
}

/* A kind that nothing measures would never be complete. */
static bool kinds_good(const char *text, char *ret_wrong, size_t size)
{
	static const char *const known[] = {"bp", "glucose", "spo2", "weight", "height",
		"temperature", "hr", "ecg", "lab", "lipids", "hba1c"};
	for (const char *p = text; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		bool good = false;
		for (size_t i = 0; i < ELEMENTS(known); i++)
			good |= strlen(known[i]) == n && memcmp(known[i], p, n) == 0;
		if (n && !good) {
			text_copy(ret_wrong, size, p, n);
			return false;
		}
		p += n;
	}
	return true;
}

bool config_check_station(
	const struct config *c, const struct config_station *s, struct config_fault *f)
{
	char wrong[32];
	for (unsigned i = 0; i < c->n_stations; i++)
		if (streq(c->stations[i].id, s->id))
			return fault(f, "stations[].id",
				"the id \"%s\" is taken by the station in line %u", s->id,
				c->stations[i].line);
	if (!kinds_good(s->complete, wrong, sizeof(wrong)))
		return fault(f, "stations[].complete",
			"expected some of bp, glucose, spo2, weight, height, "
			"temperature, hr, ecg, lab, lipids, hba1c, found \"%s\"",
			wrong);
	return true;
}

bool config_check_spools(const struct config *c, struct config_fault *f)
{
	const char *const own[] = {c->store, c->runtime};
	for (unsigned i = 0; i < c->n_devices; i++) {
		const struct config_device *d = &c->devices[i];
		for (size_t k = 0; k < ELEMENTS(own) && d->transport == TRANSPORT_SPOOL; k++) {
			char path[256];
			text_copy(path, sizeof(path), own[k], strlen(own[k]));
			if (tidy(path) && behind(path, d->address))
				return fault(f, NULL,
					"device \"%s\" in line %u would take away what the gateway keeps "
					"in %s: give it a directory of its own",
					d->id, d->line, path);
		}
	}
	return true;
}

bool config_check_ecg(const struct config *c, struct config_fault *f)
{
	struct centre_hours hours;
	char error[CENTRE_ERROR_MAX], known[CONFIG_SINKS_MAX * (sizeof(c->sinks[0].name) + 2)] = "";
	if (!centre_parse(c->ecg_hours, &hours, error, sizeof(error)))
		return fault(f, "ecg.hours", "ecg.hours: %s", error);
	size_t n = 0;
	bool there = !c->ecg_centre[0];
	for (unsigned i = 0; i < c->n_sinks; i++) {
		there |= streq(c->sinks[i].name, c->ecg_centre);
		n += (size_t)snprintf(
			known + n, sizeof(known) - n, "%s%s", i ? ", " : "", c->sinks[i].name);
	}
	if (there)
		return true;
	return fault(f, "ecg.centre", "ecg.centre: expected the name of a sink%s%s, found \"%s\"",
		n ? ": one of " : ", and there is none", known, c->ecg_centre);
}

const char *config_hint(const struct config *c, bool chinese)
{
	if (!c->alerts)
		return NULL;
	if (c->site_contact[0])
		return !c->hook[0] || access(c->hook, X_OK) == 0 ? NULL
		       : chinese
			       ? "alerting.hook 所指程序不存在或不可执行，现场不会发声；请核对路径和权限（0755）"
			       : "alerting.hook: there is no such program, or it may not be executed: "
				 "nothing sounds on the spot; look at its path and mode (0755)";
	return chinese ? "未设置 site_contact：若站点也无 contact，未识别居民的读数、无签约医生的居民和网关自身的警报"
			 "无人接收；"
			 "请填写负责人员的编号，如 S-0001"
		       : "site_contact is empty: alerts of readings of nobody, of residents without a "
			 "doctor and of the gateway itself have nobody to go to, unless their station "
			 "has a contact; set it to the token of whoever looks after them, such as "
			 "S-0001";
}

/* by name */

const struct config_device *config_device_named(const struct config *c, const char *id)
{
	for (unsigned i = 0; i < c->n_devices; i++)
		if (streq(c->devices[i].id, id))
			return &c->devices[i];
	return NULL;
}

const struct config_station *config_station_named(const struct config *c, const char *id)
{
	for (unsigned i = 0; i < c->n_stations; i++)
		if (streq(c->stations[i].id, id))
			return &c->stations[i];
	return NULL;
}

const char *config_option(const struct config_device *d, const char *name)
{
	for (unsigned i = 0; i < d->n_options; i++)
		if (streq(d->options[i].name, name))
			return d->options[i].value;
	return NULL;
}
