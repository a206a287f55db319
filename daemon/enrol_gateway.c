/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enrol_gateway.h"

#include "bluez.h"
#include "device.h"
#include "devices.h"
#include "enrol_store.h"
#include "log.h"
#include "radio.h"
#include "reload.h"

#include <ctype.h>
#include <errno.h>

#define TICK_US 250000
#define QUIET_US (10 * CLOCK_SECOND_US) /* then nothing more will come out of its memory */
#define FORGET_MAX 8

struct enrolment {
	struct gateway *gateway;
	struct enrol machine;
	sd_event_source *timer;
	/* the list */
	unsigned n_numbers;
	char numbers[BLUEZ_SEEN_MAX][18]; /* addresses, by number - 1 */
	char pairs[18];			  /* the one that was paired last */
	/* the trial */
	int64_t since;
	bool looks;	    /* a job looks for a reading */
	bool drained;	    /* it told everything in its memory */
	char *reading;	    /* the newest; NULL: none */
	int64_t reading_us; /* CLOCK_BOOTTIME */
	/* bonds to be dropped, the first one now */
	unsigned n_forget;
	char forget[FORGET_MAX][18];
	bool forgets;
	struct log_limit said;
};

/* bluetoothd */

static void op_scan(void *arg, bool on)
{
	struct enrolment *n = arg;
	int rc = 0;
	if (on)
		rc = bluez_scan_begin(n->gateway->bluez, "", BLUEZ_SCAN_ALL_THE_TIME, NULL, n);
	else
		bluez_scan_end(n->gateway->bluez, n);
	if (rc < 0)
		log_error("enrol", "cannot look around: %s", strerror(-rc));
}

static const struct bluez_seen *op_find(void *arg, const char *address)
{
	return bluez_scan_find(((struct enrolment *)arg)->gateway->bluez, address);
}

static const struct vg_model *op_recognise(
	void *arg, const struct bluez_seen *s, struct config_device *d)
{
	const struct drivers *all = ((struct enrolment *)arg)->gateway->policy->drivers;
	const struct vg_driver *driver = d->driver[0] ? drivers_find(all, d->driver) : NULL;
	const struct vg_model *m =
		driver ? enrol_match_driver(driver, s) : enrol_match(all, s, &driver);
	if (driver)
		text_copy(d->driver, sizeof(d->driver), driver->name, strlen(driver->name));
	if (!enrol_match_options(m, d))
		log_error("enrol", "driver %s: options of its model \"%s\" cannot be read",
			driver->name, m->title);
	return m;
}

static int op_bonded(void *arg, const char *address)
{
	return bluez_bonded(((struct enrolment *)arg)->gateway->bluez, address);
}

static void on_ask(void *arg, enum bluez_pair_ask ask, uint32_t passkey)
{
	struct enrolment *n = arg;
	if (ask == BLUEZ_PAIR_TYPE_PIN) /* only classic instruments want one */
		bluez_pair_cancel(n->gateway->bluez);
	else
		enrol_asked(&n->machine, ask, passkey);
}

static void on_paired(void *arg, int result, const char *why)
{
	struct enrolment *n = arg;
	log_info("enrol", "%s: pairing: %s%s%s", n->machine.device.id,
		result < 0 ? strerror(-result) : "done", why && *why ? ": " : "", why ? why : "");
	const struct enrol *e = &n->machine;
	const struct bluez_seen *known = bluez_pair_device(n->gateway->bluez);
	/* given up, and too late: it is paired */
	if (result == 0 && !(e->phase == ENROL_PAIRING && streq(e->device.address, n->pairs)))
		enrolment_forget(n, known ? known->address : n->pairs);
	else
		enrol_paired(&n->machine, result, known, clock_boot_us());
}

static void keep_bond(struct enrolment *n, const char *address)
{
	unsigned kept = n->forgets;
	for (unsigned i = kept; i < n->n_forget; i++)
		if (!streq(n->forget[i], address))
			memmove(n->forget[kept++], n->forget[i], sizeof(n->forget[i]));
	n->n_forget = kept;
}

static int op_pair(void *arg, const char *address)
{
	struct enrolment *n = arg;
	const struct bluez_pair_events events = {on_ask, on_paired, n};
	keep_bond(n, address);
	text_copy(n->pairs, sizeof(n->pairs), address, strlen(address));
	return bluez_pair_begin(n->gateway->bluez, address, &events);
}

static int op_passkey(void *arg, uint32_t passkey)
{
	return bluez_pair_passkey(((struct enrolment *)arg)->gateway->bluez, passkey);
}

static int op_confirm(void *arg, bool same)
{
	return bluez_pair_confirm(((struct enrolment *)arg)->gateway->bluez, same);
}

static void op_pair_cancel(void *arg)
{
	bluez_pair_cancel(((struct enrolment *)arg)->gateway->bluez);
}

static void arm(struct enrolment *n)
{
	if (sd_event_source_set_time_relative(n->timer, TICK_US) < 0 ||
		sd_event_source_set_enabled(n->timer, SD_EVENT_ONESHOT) < 0)
		log_error("enrol", "no timer");
}

static void on_forgotten(void *arg, int result)
{
	struct enrolment *n = arg;
	n->forgets = false;
	if (result == -ENOTCONN) /* once it is back */
		return;
	if (result < 0 && result != -ENOENT) {
		unsigned held_back;
		if (log_allowed(&n->said, 1, &held_back))
			log_warn("enrol", "%s: its bond is not removed yet: %s", n->forget[0],
				strerror(-result));
		return;
	}
	log_note("enrol", "%s: %s", n->forget[0],
		result < 0 ? "bluetoothd knows of no bond" : "its bond is removed");
	n->n_forget--;
	memmove(n->forget[0], n->forget[1], n->n_forget * sizeof(n->forget[0]));
}

static void forget_next(struct enrolment *n)
{
	if (!n->n_forget || n->forgets)
		return;
	n->forgets = true;
	int rc = bluez_forget(n->gateway->bluez, n->forget[0], on_forgotten, n);
	if (rc < 0)
		on_forgotten(n, rc);
}

void enrolment_forget(struct enrolment *n, const char *address)
{
	if (n->n_forget == FORGET_MAX) {
		log_warn("enrol", "%s: its bond stays: remove it with bluetoothctl", address);
		return;
	}
	text_copy(n->forget[n->n_forget++], sizeof(n->forget[0]), address, strlen(address));
	forget_next(n);
	arm(n);
}

static void op_forget(void *arg, const char *address)
{
	enrolment_forget(arg, address);
}

/* devices and store */

/* The device that is being enrolled; NULL: the files took its name or address for something else. */
static const struct config_device *trial_of(const struct gateway *g)
{
	const struct config *c = g->config;
	for (unsigned i = 0; i < c->n_devices; i++)
		if (c->devices[i].trial)
			return &c->devices[i];
	return NULL;
}

static int op_run(
	void *arg, const char *id, const struct config_device *d, char *error, size_t size)
{
	struct enrolment *n = arg;
	char why[CONFIG_ERROR_MAX] = "";
	if (n->machine.runs && !trial_of(n->gateway)) /* not ours to change any more */
		return -EEXIST;
	int rc = reload_device(n->gateway, id, d, n->machine.author, why, sizeof(why));
	if (rc < 0)
		log_error("enrol", "%s", why);
	text_copy(error, size, why, strlen(why));
	return rc;
}

static void prepared(struct enrol_job *j, int result)
{
	struct enrolment *n = j->arg;
	n->since = j->since;
	enrol_prepared(&n->machine, j->serial, result, clock_boot_us());
}

static int op_prepare(void *arg, uint32_t serial, const struct config_device *d, bool replaces)
{
	struct enrolment *n = arg;
	struct enrol_job *j = enrol_job(n->gateway, n->machine.author);
	free(TAKE(n->reading));
	n->drained = false;
	if (!j)
		return -ENOMEM;
	j->done = prepared;
	j->arg = n;
	j->serial = serial;
	j->device = *d;
	j->replaces = replaces;
	enrol_store_prepare(j);
	return 0;
}

static void saved(struct enrol_job *j, int result)
{
	struct enrolment *n = j->arg;
	const char *error = j->error[0] || result >= 0 ? j->error : strerror(-result);
	if (result >= 0)
		log_note("enrol", "%s: %s (%s) is enrolled, by %s", j->device.id, j->device.driver,
			j->device.address, j->author);
	enrol_saved(&n->machine, j->serial, result, error, j->zh, clock_boot_us());
}

static int op_save(void *arg, uint32_t serial, const struct config_device *d,
	const struct enrol_whose *w, bool replaces)
{
	struct enrolment *n = arg;
	struct enrol_job *j =
		trial_of(n->gateway) ? enrol_job(n->gateway, n->machine.author) : NULL;
	if (!j)
		return -ENOMEM;
	j->done = saved;
	j->arg = n;
	j->serial = serial;
	j->device = *d;
	j->whose = *w;
	j->replaces = replaces;
	enrol_store_save(j);
	return 0;
}

static void audit(struct enrolment *n, const char *action, const char *author)
{
	struct enrol_job *j = enrol_job(n->gateway, author);
	if (!j)
		return;
	j->action = action;
	enrol_store_audit(j);
}

static void looked(struct enrol_job *j, int result)
{
	struct enrolment *n = j->arg;
	n->looks = false;
	if (result < 0 || j->serial != n->machine.serial)
		return;
	n->drained = j->drained;
	if (!j->reading)
		return;
	free(n->reading);
	n->reading = TAKE(j->reading);
	n->reading_us = clock_boot_us();
	n->since = j->since;
}

static void look_for_reading(struct enrolment *n)
{
	struct enrol_job *j = n->looks ? NULL : enrol_job(n->gateway, n->machine.author);
	if (!j)
		return;
	j->done = looked;
	j->arg = n;
	j->serial = n->machine.serial;
	j->device = n->machine.device;
	j->since = n->since;
	j->replaces = n->machine.wish.replaces;
	n->looks = true;
	enrol_store_look(j);
}

/* facts */

/* The BLE devices; returns how many, and which one of them is `id`. */
static size_t known(struct gateway *g, struct enrol_known *all, const char *id, size_t *ret_at)
{
	struct device_facts f;
	size_t count = 0;
	for (unsigned i = 0; devices_facts(g->devices, i, &f); i++) {
		const struct config_device *c = f.config;
		if (c->transport != TRANSPORT_BLE)
			continue;
		if (id && streq(c->id, id))
			*ret_at = count;
		all[count++] = (struct enrol_known){.id = c->id,
			.address = c->address,
			.uid = f.uid,
			.says = f.says,
			.link = f.state,
			.bonded = g->bluez ? bluez_bonded(g->bluez, c->address) : -ENOTCONN};
	}
	return count;
}

static struct enrol_facts facts_of_trial(
	struct enrolment *n, struct enrol_known *all, const struct enrol *e)
{
	size_t at = SIZE_MAX, other;
	size_t count = known(n->gateway, all, e->device.id, &at);
	struct enrol_facts f = {.link = "", .says = "", .other = ""};
	f.gone = e->runs && !trial_of(n->gateway);
	if (at >= count || !e->runs || f.gone)
		return f;
	f.link = all[at].link;
	f.says = all[at].says;
	/* what it still has is from before it is anybody's: it comes as a test, too. One that replaces itself
	 * stays its residents', and its serial number is the proof: nothing of it is a test */
	f.reading = n->reading && (n->drained || !streq(f.link, "connected") ||
					  clock_boot_us() - n->reading_us >= QUIET_US);
	if (!f.says[0])
		return f;
	f.verdict = enrol_judge_new(all, count, at, e->wish.replaces, &other);
	f.other = f.verdict != ENROL_FINE ? all[other].id : "";
	return f;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source, (void)usec;
	struct enrolment *n = arg;
	struct enrol *e = &n->machine;
	struct enrol_known *all = calloc(CONFIG_DEVICES_MAX, sizeof(*all));
	bool was_open = e->phase != ENROL_CLOSED;
	if (all) {
		struct enrol_facts f = facts_of_trial(n, all, e);
		enrol_tick(e, &f, clock_boot_us());
	}
	free(all);
	if (e->phase == ENROL_TRIAL)
		look_for_reading(n);
	forget_next(n);
	if (was_open && e->phase == ENROL_CLOSED)
		log_note("enrol",
			"the window of %s is closed: nobody asked any more, or its time was over",
			e->author);
	if (e->phase != ENROL_CLOSED || n->n_forget)
		arm(n);
	return 0;
}

/* life */

static const struct enrol_ops ops = {.scan = op_scan,
	.find = op_find,
	.recognise = op_recognise,
	.bonded = op_bonded,
	.pair = op_pair,
	.passkey = op_passkey,
	.confirm = op_confirm,
	.pair_cancel = op_pair_cancel,
	.forget = op_forget,
	.run = op_run,
	.prepare = op_prepare,
	.save = op_save};

int enrolment_of(struct gateway *g, struct enrolment **ret)
{
	int rc = radio_need(g);
	struct enrolment *n = g->enrolment;
	if (rc >= 0 && !n) {
		n = calloc(1, sizeof(*n));
		if (!n)
			return -ENOMEM;
		n->gateway = g;
		n->machine = (struct enrol){.ops = &ops, .arg = n};
		rc = sd_event_add_time_relative(
			g->loop, &n->timer, CLOCK_BOOTTIME, 0, TICK_US / 10, on_tick, n);
		if (rc < 0)
			free(n);
		else
			g->enrolment = n;
	}
	if (rc >= 0)
		*ret = n;
	return rc;
}

void enrolment_free(struct enrolment *n)
{
	if (!n)
		return;
	sd_event_source_disable_unref(n->timer);
	free(n->reading);
	free(n);
}

struct enrol *enrolment_machine(struct enrolment *n)
{
	return &n->machine;
}

int enrolment_open(struct enrolment *n, const char *author, int64_t now_us)
{
	int rc = enrol_open(&n->machine, author, now_us);
	if (rc < 0)
		return rc;
	log_note("enrol", "%s opens the window", author);
	audit(n, "enrol_window", author);
	free(TAKE(n->reading));
	arm(n);
	return 0;
}

const char *enrolment_reading(const struct enrolment *n)
{
	return n->reading;
}

/* the list */

static unsigned number_of(struct enrolment *n, const char *address)
{
	for (unsigned i = 0; i < n->n_numbers; i++)
		if (streq(n->numbers[i], address))
			return i + 1;
	if (n->n_numbers == BLUEZ_SEEN_MAX)
		return 0;
	text_copy(n->numbers[n->n_numbers++], sizeof(n->numbers[0]), address, strlen(address));
	return n->n_numbers;
}

static const char *known_as(const struct gateway *g, const char *address)
{
	const struct config *c = g->config;
	for (unsigned i = 0; i < c->n_devices; i++)
		if (c->devices[i].transport == TRANSPORT_BLE &&
			streq(c->devices[i].address, address))
			return c->devices[i].id;
	return NULL;
}

size_t enrolment_seen(struct enrolment *n, struct enrolment_seen *ret, size_t max)
{
	const struct bluez_seen *seen[BLUEZ_SEEN_MAX];
	size_t count = bluez_scan_list(n->gateway->bluez, seen, MIN(max, ELEMENTS(seen)));
	for (size_t i = 0; i < count; i++) {
		struct enrolment_seen *s = &ret[i];
		*s = (struct enrolment_seen){.number = number_of(n, seen[i]->address),
			.seen = seen[i],
			.known = known_as(n->gateway, seen[i]->address),
			.state = enrol_judge_seen(seen, count, i)};
		s->model = enrol_match(n->gateway->policy->drivers, seen[i], &s->driver);
	}
	return count;
}

bool enrolment_address(const struct enrolment *n, const char *text, char *ret, size_t size)
{
	static const char form[] = "xx:xx:xx:xx:xx:xx";
	size_t digits = strspn(text, "0123456789");
	if (digits && digits < 4 && !text[digits]) {
		unsigned i = (unsigned)atoi(text);
		return i && i <= n->n_numbers &&
		       text_copy(ret, size, n->numbers[i - 1], strlen(n->numbers[i - 1]));
	}
	if (strlen(text) != strlen(form) || size < sizeof(form))
		return false;
	for (size_t i = 0; i < sizeof(form); i++) {
		if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
			return false;
		ret[i] = (char)toupper((unsigned char)text[i]);
	}
	return true;
}

const char *enrolment_bluetooth(const struct enrolment *n)
{
	return bluez_state(n->gateway->bluez, "");
}

bool enrolment_refused(struct gateway *g, const char *id)
{
	struct device_facts f;
	for (unsigned i = 0; devices_facts(g->devices, i, &f); i++)
		if (streq(f.config->id, id))
			return streq(f.state, "unpaired");
	return false;
}

bool enrolment_has_uid(struct gateway *g, const char *id)
{
	struct device_facts f;
	for (unsigned i = 0; devices_facts(g->devices, i, &f); i++)
		if (streq(f.config->id, id))
			return *f.uid;
	return false;
}

void enrolment_conditions(struct gateway *g, struct json *j)
{
	struct enrol_known *all = calloc(CONFIG_DEVICES_MAX, sizeof(*all));
	size_t other, count = all ? known(g, all, NULL, &other) : 0;
	json_object_begin(j, "conditions");
	for (size_t i = 0; i < count; i++) {
		enum enrol_state s = enrol_judge(all, count, i, &other);
		if (s != ENROL_FINE)
			enrol_advice_json(j, all[i].id, s, other != i ? all[other].id : "");
	}
	json_object_end(j);
	free(all);
}
