/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "notes.h"

#include "../link.h"
#include "../util.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#define MESSAGES_MAX 16384	     /* from the platform, not yet taken by the core */
#define MESSAGES_BYTES (8192 * 1024) /* all of them together */
#define SPARE 16		     /* what concerns the connection itself */

struct notes {
	int fd;
	pthread_mutex_t lock; /* all below */
	struct note *ring;
	unsigned size, head, count;
	unsigned messages;
	size_t message_bytes;
	uint64_t drops;
	struct grant grant;
	struct failure failure;
};

/* From here to arrived(): on paho's threads. The ring holds one note for every ticket and message; what would not fit is paho repeating itself. */
static void tell(struct notes *n, struct note note)
{
	pthread_mutex_lock(&n->lock);
	bool fits = n->count < n->size;
	if (fits) {
		n->ring[(n->head + n->count) % n->size] = note;
		n->count++;
	}
	bool first = n->count == 1;
	pthread_mutex_unlock(&n->lock);
	if (!fits || !first)
		return;
	uint64_t one = 1;
	(void)!write(n->fd, &one, sizeof(one));
}

static unsigned property(MQTTProperties *all, enum MQTTPropertyCodes code, unsigned otherwise)
{
	if (!MQTTProperties_hasProperty(all, code))
		return otherwise;
	return (unsigned)MQTTProperties_getNumericValue(all, code);
}

static void connected(struct notes *n, MQTTProperties *p)
{
	struct grant g = {
		.receive_max = property(p, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, 65535),
		.packet_max = property(p, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, UINT32_MAX),
		.retain = property(p, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1),
		.qos1 = property(p, MQTTPROPERTY_CODE_MAXIMUM_QOS, 1),
	};
	pthread_mutex_lock(&n->lock);
	n->grant = g;
	pthread_mutex_unlock(&n->lock);
	tell(n, (struct note){.type = NOTE_CONNACK});
}

static void connected5(void *context, MQTTAsync_successData5 *data)
{
	connected(context, &data->properties);
}

static void connected3(void *context, MQTTAsync_successData *data)
{
	(void)data;
	connected(context, &(MQTTProperties)MQTTProperties_initializer);
}

static void failed(struct notes *n, int code, const char *text)
{
	pthread_mutex_lock(&n->lock);
	snprintf(n->failure.paho, sizeof(n->failure.paho), "%s", text ? text : "");
	pthread_mutex_unlock(&n->lock);
	tell(n, (struct note){.type = NOTE_FAILED, .code = code});
}

/* Of an MQTT 5 failure paho fills in one of the two, a CONNACK's code in the wrong one. */
static int code5(const MQTTAsync_failureData5 *data)
{
	return data->code ? data->code : (int)data->reasonCode;
}

static void failed5(void *context, MQTTAsync_failureData5 *data)
{
	failed(context, code5(data), data->message);
}

static void failed3(void *context, MQTTAsync_failureData *data)
{
	failed(context, data->code, data->message);
}

/* "<thread>:error:<code>:<library>:<function>:<reason>:<file> ...": only the reason means something to people. */
static void copy_reason(char *ret, size_t size, const char *text)
{
	const char *p = strstr(text, "error:");
	for (unsigned i = 0; p && i < 4; i++) {
		p = strchr(p, ':');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		p = text;
	text_copy(ret, size, p, strcspn(p, ":\n"));
}

static int tls_complaint(const char *text, size_t len, void *context)
{
	struct notes *n = context;
	pthread_mutex_lock(&n->lock);
	if (!n->failure.tls[0])
		copy_reason(n->failure.tls, sizeof(n->failure.tls), text);
	pthread_mutex_unlock(&n->lock);
	return (int)len;
}

static void subscribed5(void *context, MQTTAsync_successData5 *data)
{
	(void)data;
	tell(context, (struct note){.type = NOTE_SUBSCRIBED});
}

static void subscribed3(void *context, MQTTAsync_successData *data)
{
	(void)data;
	tell(context, (struct note){.type = NOTE_SUBSCRIBED});
}

static void not_subscribed5(void *context, MQTTAsync_failureData5 *data)
{
	tell(context, (struct note){.type = NOTE_NOT_SUBSCRIBED, .code = code5(data)});
}

static void not_subscribed3(void *context, MQTTAsync_failureData *data)
{
	tell(context, (struct note){.type = NOTE_NOT_SUBSCRIBED, .code = data->code});
}

static void sent5(void *context, MQTTAsync_successData5 *data)
{
	(void)data;
	struct ticket *t = context;
	tell(t->notes, (struct note){.type = NOTE_SENT, .ticket = t});
}

static void sent3(void *context, MQTTAsync_successData *data)
{
	(void)data;
	struct ticket *t = context;
	tell(t->notes, (struct note){.type = NOTE_SENT, .ticket = t});
}

static void unsent5(void *context, MQTTAsync_failureData5 *data)
{
	struct ticket *t = context;
	tell(t->notes, (struct note){.type = NOTE_UNSENT, .ticket = t, .code = code5(data)});
}

static void unsent3(void *context, MQTTAsync_failureData *data)
{
	struct ticket *t = context;
	tell(t->notes, (struct note){.type = NOTE_UNSENT, .ticket = t, .code = data->code});
}

static void bye5(void *context, MQTTAsync_successData5 *data)
{
	(void)data;
	tell(context, (struct note){.type = NOTE_BYE});
}

static void bye3(void *context, MQTTAsync_successData *data)
{
	(void)data;
	tell(context, (struct note){.type = NOTE_BYE});
}

static void lost(void *context, char *cause)
{
	(void)cause; /* always NULL in this version */
	tell(context, (struct note){.type = NOTE_LOST});
}

static void told_to_go(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
	(void)properties;
	tell(context, (struct note){.type = NOTE_TOLD_TO_GO, .code = (int)code});
}

/*
 * Always takes the message: after a "no" paho queues whatever comes, without limit, and to wait here
 * would be to wait with its mutex held. Past our limits it is dropped; the platform repeats. A stored
 * (retained) one would be obeyed at every reconnection, so it does not count as a message to us.
 */
static int arrived(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
	struct notes *n = context;
	size_t len = (size_t)message->payloadlen;
	pthread_mutex_lock(&n->lock);
	bool good = !message->retained && len <= LINK_PACKET_MAX && n->messages < MESSAGES_MAX &&
		    n->message_bytes + len <= MESSAGES_BYTES;
	if (good) {
		n->messages++;
		n->message_bytes += len;
	} else {
		n->drops++;
	}
	pthread_mutex_unlock(&n->lock);
	if (good) {
		tell(n, (struct note){.type = NOTE_MESSAGE,
				.topic = topic,
				.topic_len = topic_len > 0 ? (size_t)topic_len : strlen(topic),
				.message = message});
		return 1;
	}
	MQTTAsync_freeMessage(&message);
	MQTTAsync_free(topic);
	return 1;
}

bool notes_take(struct notes *n, struct note *ret)
{
	pthread_mutex_lock(&n->lock);
	bool any = n->count > 0;
	if (any) {
		*ret = n->ring[n->head];
		n->head = (n->head + 1) % n->size;
		n->count--;
	}
	pthread_mutex_unlock(&n->lock);
	return any;
}

void notes_done(struct notes *n, struct note *note)
{
	if (!note->message)
		return;
	pthread_mutex_lock(&n->lock);
	n->messages--;
	n->message_bytes -= (size_t)note->message->payloadlen;
	pthread_mutex_unlock(&n->lock);
	MQTTAsync_freeMessage(&note->message);
	MQTTAsync_free(note->topic);
	*note = (struct note){0};
}

uint64_t notes_drops(struct notes *n)
{
	pthread_mutex_lock(&n->lock);
	uint64_t drops = n->drops;
	pthread_mutex_unlock(&n->lock);
	return drops;
}

struct grant notes_grant(struct notes *n)
{
	pthread_mutex_lock(&n->lock);
	struct grant g = n->grant;
	pthread_mutex_unlock(&n->lock);
	return g;
}

struct failure notes_failure(struct notes *n)
{
	pthread_mutex_lock(&n->lock);
	struct failure f = n->failure;
	n->failure = (struct failure){0};
	pthread_mutex_unlock(&n->lock);
	return f;
}

int notes_fd(const struct notes *n)
{
	return n->fd;
}

void notes_listen(struct notes *n, MQTTAsync client)
{
	MQTTAsync_setCallbacks(client, n, lost, arrived, NULL);
	MQTTAsync_setDisconnected(client, n, told_to_go);
}

void notes_connect_answer(struct notes *n, bool v3, MQTTAsync_connectOptions *o)
{
	o->context = n;
	o->onSuccess = v3 ? connected3 : NULL;
	o->onFailure = v3 ? failed3 : NULL;
	o->onSuccess5 = v3 ? NULL : connected5;
	o->onFailure5 = v3 ? NULL : failed5;
}

void notes_tls_answer(struct notes *n, MQTTAsync_SSLOptions *o)
{
	o->ssl_error_cb = tls_complaint;
	o->ssl_error_context = n;
}

void notes_subscribe_answer(struct notes *n, bool v3, MQTTAsync_responseOptions *o)
{
	o->context = n;
	o->onSuccess = v3 ? subscribed3 : NULL;
	o->onFailure = v3 ? not_subscribed3 : NULL;
	o->onSuccess5 = v3 ? NULL : subscribed5;
	o->onFailure5 = v3 ? NULL : not_subscribed5;
}

void notes_publish_answer(struct ticket *t, bool v3, MQTTAsync_responseOptions *o)
{
	o->context = t;
	o->onSuccess = v3 ? sent3 : NULL;
	o->onFailure = v3 ? unsent3 : NULL;
	o->onSuccess5 = v3 ? NULL : sent5;
	o->onFailure5 = v3 ? NULL : unsent5;
}

void notes_bye_answer(struct notes *n, bool v3, MQTTAsync_disconnectOptions *o)
{
	o->context = n;
	o->onSuccess = v3 ? bye3 : NULL;
	o->onSuccess5 = v3 ? NULL : bye5;
}

void notes_free(struct notes *n)
{
	if (!n)
		return;
	closep(&n->fd);
	free(n->ring);
	free(n);
}
DEFINE_CLEANUP(struct notes *, notes_free)

int notes_new(unsigned tickets, struct notes **ret)
{
	_cleanup_(notes_freep) struct notes *n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->fd = -1;
	n->size = tickets + MESSAGES_MAX + SPARE;
	n->ring = calloc(n->size, sizeof(*n->ring));
	if (!n->ring)
		return -ENOMEM;
	pthread_mutex_init(&n->lock, NULL);
	n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->fd < 0)
		return -errno;
	*ret = TAKE(n);
	return 0;
}
