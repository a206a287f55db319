/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our thread's half of paho; its threads' half is notes.c. Rules that Debian's 1.3.12 taught us:
 * - a fresh client for every connection: a reused one may send what it still held from the last, and
 *   keeps the smallest Receive Maximum it ever met;
 * - never more publishes in flight than the broker's Receive Maximum: beyond it paho sleeps up to a second
 *   between messages;
 * - when a connection goes, paho first reports each message in flight as failed (code < 0), then the
 *   connection as lost. Only a reason code >= 0x80 is the broker's own refusal;
 * - no persistence, no automatic reconnection, nothing buffered: whoever gave us a message keeps it.
 */
#include "mqtt.h"

#include "../clock.h"
#include "../link.h"
#include "../log.h"
#include "../util.h"
#include "notes.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

#define CONNECT_TIMEOUT_S 20	 /* TCP, TLS and CONNACK together */
#define PACKET_MAX (1024 * 1024) /* told to an MQTT 5 broker: what is larger stays there */
#define TOPIC_MAX 256
#define FULL_TOPIC_MAX (TOPIC_MAX + LINK_TOPIC_MAX)
#define STATE_MAX 256
#define REFUSED_VERSION_3 1 /* CONNACK of 3.1.1: unacceptable protocol version */
#define BROKER_REFUSAL 0x80 /* MQTT 5 reason codes from here on are failures */
#define CONTENT_TYPE "application/json"
#define PUBLISH_OVERHEAD 32 /* fixed header, packet id, properties */

enum stage { STAGE_IDLE, STAGE_CONNECTING, STAGE_SUBSCRIBING, STAGE_UP, STAGE_LEAVING };

/* Our own two publishes have tickets of their own, before those of the window. */
enum { TICKET_ONLINE, TICKET_OFFLINE, TICKET_FIRST };

struct mqtt {
	const struct config *config;
	const struct config_sink *sink;
	char base[TOPIC_MAX]; /* "vg/v1/<org>/<site>/<gateway>/" */
	char state_topic[TOPIC_MAX + 8];
	MQTTAsync client;
	MQTTProperties publish_properties;
	enum stage stage;
	bool v3;      /* MQTT 3.1.1, because this broker would not have 5 */
	bool guessed; /* it did not say so, it only hung up */
	struct grant grant;
	struct ticket *tickets;
	struct ticket **free_tickets;
	unsigned n_tickets, n_free, in_flight, limit;
	int64_t progress_us; /* last acknowledgement, or when the first message went out */
	struct notes *notes;
	struct note current; /* its message is lent to the caller */
	uint64_t drops, drops_told;
	struct log_limit drop_log;
};

static bool down(struct mqtt_event *e, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The next note, which stays in m->current until the one after it is taken. */
static bool take(struct mqtt *m)
{
	notes_done(m->notes, &m->current);
	unsigned held_back;
	uint64_t drops = m->drops + notes_drops(m->notes);
	if (drops > m->drops_told && log_allowed(&m->drop_log, 3, &held_back)) {
		log_warn("mqtt",
			"dropped %llu messages from the platform (stored, too long, too many)",
			(unsigned long long)(drops - m->drops_told));
		m->drops_told = drops;
	}
	return notes_take(m->notes, &m->current);
}

static bool down(struct mqtt_event *e, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	e->type = MQTT_DOWN;
	vsnprintf(e->reason, sizeof(e->reason), format, args);
	va_end(args);
	return true;
}

static bool lost(const struct mqtt *m, struct mqtt_event *e)
{
	e->unexplained = m->v3;
	return down(e, "connection lost");
}

static const char *code_text(const struct mqtt *m, int code)
{
	static const char *const connack3[] = {NULL, "protocol version refused",
		"client id refused", "server unavailable", "bad user name or password",
		"not authorised"};
	if (code < 0)
		return MQTTAsync_strerror(code);
	const char *text = NULL;
	if (code >= BROKER_REFUSAL && !m->v3)
		text = MQTTReasonCode_toString((enum MQTTReasonCodes)code);
	else if (code > 0 && (size_t)code < ELEMENTS(connack3))
		text = connack3[code];
	return text ? text : "refused";
}

static bool is_state(const struct mqtt *m, const struct ticket *t)
{
	return t < m->tickets + TICKET_FIRST;
}

static void went_out(struct mqtt *m)
{
	if (m->in_flight++ == 0)
		m->progress_us = clock_boot_us();
}

static void came_back(struct mqtt *m)
{
	m->in_flight--;
	m->progress_us = clock_boot_us();
}

static void ticket_done(struct mqtt *m, struct ticket *t)
{
	came_back(m);
	if (!is_state(m, t))
		m->free_tickets[m->n_free++] = t;
}

/* Hands one message to paho; returns its code. */
static int send_message(struct mqtt *m, struct ticket *t, const char *topic, bool retain,
	const void *payload, size_t len)
{
	MQTTAsync_message message = MQTTAsync_message_initializer;
	message.payload = (void *)payload;
	message.payloadlen = (int)len;
	message.qos = 1;
	message.retained = retain && m->grant.retain;
	MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
	notes_publish_answer(t, m->v3, &answer);
	message.properties = m->publish_properties; /* copied by paho */
	int rc = MQTTAsync_sendMessage(m->client, topic, &message, &answer);
	if (rc == MQTTASYNC_SUCCESS)
		went_out(m);
	return rc;
}

static size_t state_text(const struct mqtt *m, bool online, char *ret, size_t size)
{
	char since[80] = "";
	int64_t now_us = clock_utc_us();
	time_t now_s = (time_t)(now_us / CLOCK_SECOND_US);
	struct tm utc;
	if (gmtime_r(&now_s, &utc))
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &utc);
	/* The broker sends the will at a moment we cannot know: it carries no time. */
	int n = online ? snprintf(ret, size,
				 "{\"v\":1,\"gateway\":\"%s\",\"online\":true,\"since\":\"%s\","
				 "\"clock\":\"%s\"}",
				 m->config->gateway, since,
				 clock_plausible(now_us) ? "set" : "unknown")
		       : snprintf(ret, size, "{\"v\":1,\"gateway\":\"%s\",\"online\":false}",
				 m->config->gateway);
	return (size_t)n;
}

static int send_state(struct mqtt *m, bool online)
{
	char text[STATE_MAX];
	size_t len = state_text(m, online, text, sizeof(text));
	struct ticket *t = &m->tickets[online ? TICKET_ONLINE : TICKET_OFFLINE];
	return send_message(m, t, m->state_topic, true, text, len);
}

static bool begin_session(struct mqtt *m, struct mqtt_event *e)
{
	m->grant = notes_grant(m->notes);
	if (!m->grant.qos1)
		return down(e, "the broker takes only QoS 0, which nobody acknowledges");
	m->limit = MIN(m->n_tickets - TICKET_FIRST, MAX(m->grant.receive_max, 1U));
	m->stage = STAGE_SUBSCRIBING;
	char filter[FULL_TOPIC_MAX];
	snprintf(filter, sizeof(filter), "%sdown/#", m->base);
	MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
	notes_subscribe_answer(m->notes, m->v3, &answer);
	/* Nothing stored: it would come, and be obeyed, at every reconnection. */
	answer.subscribeOptions.retainHandling = 2;
	int rc = MQTTAsync_subscribe(m->client, filter, 1, &answer);
	if (rc == MQTTASYNC_SUCCESS) {
		went_out(m);
		rc = send_state(m, true);
	}
	return rc != MQTTASYNC_SUCCESS ? down(e, "connection lost: %s", code_text(m, rc)) : false;
}

/* Chooses the version of the next attempt and says what went wrong in this one. */
static bool attempt_failed(struct mqtt *m, int code, struct mqtt_event *e)
{
	struct failure f = notes_failure(m->notes);
	bool refused =
		code == REFUSED_VERSION_3 || code == MQTTREASONCODE_UNSUPPORTED_PROTOCOL_VERSION;
	/* Some brokers just hang up on a version that they do not know. */
	bool hung_up = code < 0 && !f.tls[0] &&
		       (strstr(f.paho, "completion") || strstr(f.paho, "socket error"));
	if (code > 0)
		down(e, "%s: %s (%d)", m->v3 ? "MQTT 3.1.1" : "MQTT 5", code_text(m, code), code);
	else if (f.tls[0])
		down(e, "TLS: %s", f.tls);
	else if (hung_up)
		down(e, "the broker closed the connection without an answer%s",
			m->sink->tls ? " (does it know our certificate?)" : "");
	else
		down(e, "cannot connect to %s:%u%s", m->sink->host, m->sink->port,
			m->sink->tls ? " (not there, or its certificate is for another name)" : "");
	if (refused || hung_up) {
		m->v3 = !m->v3;
		m->guessed = hung_up;
		e->try_at_once = m->v3;
	}
	return true;
}

static bool message_arrived(struct mqtt *m, struct mqtt_event *e)
{
	const struct note *n = &m->current;
	size_t base = strlen(m->base);
	size_t room = LINK_PACKET_MAX - sizeof(struct link_head);
	if (n->topic_len <= base || memcmp(n->topic, m->base, base) != 0 ||
		n->topic_len - base > LINK_TOPIC_MAX ||
		n->topic_len - base + (size_t)n->message->payloadlen > room) {
		m->drops++;
		return false;
	}
	e->type = MQTT_MESSAGE;
	e->topic = n->topic + base;
	e->topic_len = n->topic_len - base;
	e->payload = n->message->payload;
	e->len = (size_t)n->message->payloadlen;
	return true;
}

static bool publish_done(struct mqtt *m, const struct note *n, struct mqtt_event *e)
{
	struct ticket *t = n->ticket;
	if (n->type == NOTE_UNSENT && n->code < BROKER_REFUSAL)
		return lost(m, e);
	ticket_done(m, t);
	if (n->type == NOTE_UNSENT)
		snprintf(e->reason, sizeof(e->reason), "%s (%d)", code_text(m, n->code), n->code);
	if (!is_state(m, t)) {
		e->type = n->type == NOTE_SENT ? MQTT_SENT : MQTT_REFUSED;
		e->tag = t->tag;
		return t->wanted;
	}
	if (n->type == NOTE_UNSENT)
		log_warn("mqtt", "the broker refuses the gateway's state topic: %s", e->reason);
	if (t != &m->tickets[TICKET_OFFLINE])
		return false;
	MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
	options.struct_version = m->v3 ? 0 : 1;
	notes_bye_answer(m->notes, m->v3, &options);
	int rc = MQTTAsync_disconnect(m->client, &options);
	return rc != MQTTASYNC_SUCCESS ? down(e, "%s", code_text(m, rc)) : false;
}

bool mqtt_next(struct mqtt *m, struct mqtt_event *ret)
{
	bool report = false;
	while (!report && take(m)) {
		const struct note *n = &m->current;
		*ret = (struct mqtt_event){0};
		switch (n->type) {
		case NOTE_CONNACK:
			report = begin_session(m, ret);
			break;
		case NOTE_FAILED:
			report = attempt_failed(m, n->code, ret);
			break;
		case NOTE_SUBSCRIBED:
			came_back(m);
			m->stage = STAGE_UP;
			ret->type = MQTT_UP;
			report = true;
			break;
		case NOTE_NOT_SUBSCRIBED:
			report = down(ret, "the broker refuses the subscription: %s (%d)",
				code_text(m, n->code), n->code);
			break;
		case NOTE_SENT:
		case NOTE_UNSENT:
			report = publish_done(m, n, ret);
			break;
		case NOTE_MESSAGE:
			report = message_arrived(m, ret);
			break;
		case NOTE_TOLD_TO_GO:
			report = down(
				ret, "the broker says: %s (%d)", code_text(m, n->code), n->code);
			ret->taken_over = n->code == MQTTREASONCODE_SESSION_TAKEN_OVER;
			break;
		case NOTE_LOST:
			report = lost(m, ret);
			break;
		case NOTE_BYE:
			ret->type = MQTT_SAID_BYE;
			report = true;
			break;
		}
	}
	return report;
}

/* 0, or -errno with the reason. `secret`: whoever else can read it must not. */
static int check_file(const char *path, bool secret, char *reason, size_t size)
{
	struct stat st;
	int r = path[0] && (stat(path, &st) < 0 || access(path, R_OK) < 0) ? -errno : 0;
	if (r < 0) {
		snprintf(reason, size, "%s: %s", path, strerror(-r));
		return r;
	}
	if (!path[0] || !secret || !(st.st_mode & (S_IROTH | S_IWOTH)))
		return 0;
	snprintf(reason, size, "%s: everybody can read this secret, chmod it", path);
	return -EACCES;
}

static int read_password(const char *path, char *ret, size_t size)
{
	_cleanup_(fclosep) FILE *f = path[0] ? fopen(path, "re") : NULL;
	ret[0] = 0;
	if (!path[0])
		return 0;
	if (!f)
		return -errno;
	if (!fgets(ret, (int)size, f) && ferror(f))
		return -EIO;
	ret[strcspn(ret, "\r\n")] = 0;
	return 0;
}

static int check_files(const struct config_sink *s, char *reason, size_t size)
{
	int r = check_file(s->password_file, true, reason, size);
	if (r < 0 || !s->tls)
		return r;
	r = check_file(s->ca_file, false, reason, size);
	if (r >= 0)
		r = check_file(s->cert_file, false, reason, size);
	return r < 0 ? r : check_file(s->key_file, true, reason, size);
}

static int create_client(struct mqtt *m)
{
	const struct config_sink *s = m->sink;
	char uri[256], id[sizeof(s->client_id)];
	bool ip6 = strchr(s->host, ':') != NULL;
	snprintf(uri, sizeof(uri), "%s://%s%s%s:%u", s->tls ? "ssl" : "tcp", ip6 ? "[" : "",
		s->host, ip6 ? "]" : "", s->port);
	if (s->client_id[0])
		snprintf(id, sizeof(id), "%s", s->client_id);
	else
		snprintf(id, sizeof(id), "vg-%s", m->config->gateway);
	MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
	options.MQTTVersion = m->v3 ? MQTTVERSION_3_1_1 : MQTTVERSION_5;
	options.maxBufferedMessages = (int)m->n_tickets + 1; /* counted while connected, too */
	int rc = MQTTAsync_createWithOptions(
		&m->client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
	if (rc != MQTTASYNC_SUCCESS) {
		m->client = NULL;
		return rc;
	}
	notes_listen(m->notes, m->client);
	if (!m->v3)
		MQTTProperties_add(&m->publish_properties,
			&(MQTTProperty){.identifier = MQTTPROPERTY_CODE_CONTENT_TYPE,
				.value.data = {sizeof(CONTENT_TYPE) - 1, (char *)CONTENT_TYPE}});
	return 0;
}

/* CA, certificate and host name are checked; security level 2 leaves nothing older than TLS 1.2. */
static void fill_tls(struct mqtt *m, MQTTAsync_SSLOptions *tls)
{
	const struct config_sink *s = m->sink;
	tls->trustStore = s->ca_file[0] ? s->ca_file : NULL;
	tls->keyStore = s->cert_file[0] ? s->cert_file : NULL;
	tls->privateKey = s->key_file[0] ? s->key_file : NULL;
	tls->enabledCipherSuites = "DEFAULT@SECLEVEL=2";
	tls->enableServerCertAuth = 1;
	tls->verify = 1;
	notes_tls_answer(m->notes, tls);
}

static int start_attempt(struct mqtt *m, const char *password)
{
	char will_text[STATE_MAX];
	MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
	will.topicName = m->state_topic;
	will.payload.len = (int)state_text(m, false, will_text, sizeof(will_text));
	will.payload.data = will_text;
	will.retained = 1;
	will.qos = 1;
	MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
	fill_tls(m, &tls);
	MQTTAsync_connectOptions options5 = MQTTAsync_connectOptions_initializer5;
	MQTTAsync_connectOptions options3 = MQTTAsync_connectOptions_initializer;
	MQTTAsync_connectOptions *o = m->v3 ? &options3 : &options5;
	MQTTProperties properties = MQTTProperties_initializer;
	notes_connect_answer(m->notes, m->v3, o);
	o->will = &will;
	o->ssl = m->sink->tls ? &tls : NULL;
	o->keepAliveInterval = m->sink->keepalive_s;
	o->connectTimeout = CONNECT_TIMEOUT_S;
	o->maxInflight = (int)m->n_tickets;
	o->username = m->sink->user[0] ? m->sink->user : NULL;
	o->password = password[0] ? password : NULL;
	if (m->v3) {
		o->MQTTVersion = MQTTVERSION_3_1_1;
		o->cleansession = 1;
	} else {
		MQTTProperties_add(&properties,
			&(MQTTProperty){.identifier = MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE,
				.value.integer4 = PACKET_MAX});
		o->connectProperties = &properties;
	}
	int rc = MQTTAsync_connect(m->client, o); /* copies everything */
	MQTTProperties_free(&properties);
	return rc;
}

int mqtt_connect(struct mqtt *m, char *reason, size_t reason_size)
{
	char password[256];
	int r = check_files(m->sink, reason, reason_size);
	if (r < 0)
		return r;
	r = read_password(m->sink->password_file, password, sizeof(password));
	if (r < 0) {
		snprintf(reason, reason_size, "%s: %s", m->sink->password_file, strerror(-r));
		return r;
	}
	notes_failure(m->notes);
	int rc = create_client(m);
	if (rc == MQTTASYNC_SUCCESS)
		rc = start_attempt(m, password);
	explicit_bzero(password, sizeof(password));
	if (rc == MQTTASYNC_SUCCESS) {
		m->stage = STAGE_CONNECTING;
		return 0;
	}
	snprintf(reason, reason_size, "cannot start: %s", code_text(m, rc));
	mqtt_drop(m);
	return -EINVAL;
}

unsigned mqtt_room(const struct mqtt *m)
{
	if (m->stage != STAGE_UP || m->in_flight >= m->limit)
		return 0;
	return MIN(m->limit - m->in_flight, m->n_free);
}

/* Wild cards and control characters would make the broker hang up, again and again. */
static bool topic_good(const char *topic, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (topic[i] <= ' ' || topic[i] > '~' || topic[i] == '+' || topic[i] == '#')
			return false;
	return len > 0 && len <= LINK_TOPIC_MAX;
}

int mqtt_publish(struct mqtt *m, uint32_t tag, bool retain, const char *topic, size_t topic_len,
	const void *payload, size_t len, char *reason, size_t reason_size)
{
	if (!topic_good(topic, topic_len)) {
		snprintf(reason, reason_size, "bad topic");
		return -EINVAL;
	}
	char full[FULL_TOPIC_MAX];
	int n = snprintf(full, sizeof(full), "%s%.*s", m->base, (int)topic_len, topic);
	if ((size_t)n + len + PUBLISH_OVERHEAD > m->grant.packet_max) {
		snprintf(reason, reason_size, "longer than the broker's limit of %u bytes",
			m->grant.packet_max);
		return -EINVAL;
	}
	if (m->n_free == 0)
		return -ENOTCONN;
	struct ticket *t = m->free_tickets[m->n_free - 1];
	int rc = send_message(m, t, full, retain, payload, len);
	if (rc != MQTTASYNC_SUCCESS) {
		snprintf(reason, reason_size, "connection lost: %s", code_text(m, rc));
		return -ENOTCONN;
	}
	m->n_free--;
	t->tag = tag;
	t->wanted = true;
	return 0;
}

void mqtt_forget(struct mqtt *m)
{
	for (unsigned i = TICKET_FIRST; i < m->n_tickets; i++)
		m->tickets[i].wanted = false;
}

int64_t mqtt_silence_ms(const struct mqtt *m, int64_t now_ms)
{
	return m->in_flight ? now_ms - m->progress_us / 1000 : -1;
}

int mqtt_say_bye(struct mqtt *m)
{
	if (m->stage != STAGE_UP)
		return -ENOTCONN;
	m->stage = STAGE_LEAVING;
	return send_state(m, false) == MQTTASYNC_SUCCESS ? 0 : -ENOTCONN;
}

void mqtt_drop(struct mqtt *m)
{
	if (m->client)
		MQTTAsync_destroy(&m->client);
	MQTTProperties_free(&m->publish_properties);
	m->publish_properties = (MQTTProperties)MQTTProperties_initializer;
	while (take(m))
		;
	if (m->guessed && m->stage >= STAGE_SUBSCRIBING)
		m->v3 = m->guessed = false; /* perhaps the broker was only starting */
	m->stage = STAGE_IDLE;
	m->in_flight = m->n_free = 0;
	for (unsigned i = TICKET_FIRST; i < m->n_tickets; i++)
		m->free_tickets[m->n_free++] = &m->tickets[i];
}

void mqtt_describe(const struct mqtt *m, char *ret, size_t size)
{
	snprintf(ret, size, "%s%s, window %u", m->v3 ? "MQTT 3.1.1" : "MQTT 5",
		m->sink->tls ? " over TLS" : "", m->limit);
}

int mqtt_wake_fd(const struct mqtt *m)
{
	return notes_fd(m->notes);
}

static void mqtt_free(struct mqtt *m)
{
	notes_free(m->notes);
	free(m->tickets);
	free(m->free_tickets);
	free(m);
}
DEFINE_CLEANUP(struct mqtt *, mqtt_free)

int mqtt_new(const struct config *c, const struct config_sink *s, struct mqtt **ret)
{
	_cleanup_(mqtt_freep) struct mqtt *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->config = c;
	m->sink = s;
	m->n_tickets = TICKET_FIRST + s->window;
	m->tickets = calloc(m->n_tickets, sizeof(*m->tickets));
	m->free_tickets = calloc(m->n_tickets, sizeof(*m->free_tickets));
	if (!m->tickets || !m->free_tickets)
		return -ENOMEM;
	int r = notes_new(m->n_tickets, &m->notes);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < m->n_tickets; i++)
		m->tickets[i].notes = m->notes;
	snprintf(m->base, sizeof(m->base), "vg/v1/%s/%s/%s/", c->org, c->site, c->gateway);
	snprintf(m->state_topic, sizeof(m->state_topic), "%sstate", m->base);
	mqtt_drop(m);
	*ret = TAKE(m);
	return 0;
}
