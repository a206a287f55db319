/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection to one broker, over paho's MQTTAsync, which only mqtt.c knows. paho runs its own threads;
 * what they report waits in a queue until the caller, one thread, takes it with mqtt_next(). Connecting
 * again, and when, is the caller's business: each attempt is a fresh paho client.
 */
#pragma once

#include "../config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQTT_REASON_MAX 160

struct mqtt;

enum mqtt_event_type {
	MQTT_UP,       /* connected and subscribed */
	MQTT_DOWN,     /* the attempt failed or the connection is lost: call mqtt_drop() */
	MQTT_SENT,     /* tag: the broker acknowledged */
	MQTT_REFUSED,  /* tag: the broker refused this one message */
	MQTT_MESSAGE,  /* from the platform; topic without the base */
	MQTT_SAID_BYE, /* what mqtt_say_bye() began is done */
};

struct mqtt_event {
	enum mqtt_event_type type;
	uint32_t tag;
	const char *
		topic; /* not ended by a NUL; like payload, valid until the next call of mqtt_next() */
	size_t topic_len;
	const uint8_t *payload;
	size_t len;
	bool taken_over;  /* DOWN: the broker says that another client came with our id */
	bool unexplained; /* DOWN: an MQTT 3.1.1 broker closed the connection; it cannot say why */
	bool try_at_once; /* DOWN: only the protocol version was refused, the next attempt uses another */
	char reason[MQTT_REASON_MAX];
};

/* Borrows both. 0, -ENOMEM or the -errno of eventfd(). */
int mqtt_new(const struct config *c, const struct config_sink *s, struct mqtt **ret);

/* Readable when mqtt_next() may have something. May be written (8 bytes) by anyone, signal handlers too. */
int mqtt_wake_fd(const struct mqtt *m);

/* Starts an attempt; MQTT_UP or MQTT_DOWN follows. -errno with `reason` when it cannot even start. */
int mqtt_connect(struct mqtt *m, char *reason, size_t reason_size);

/* False when there is nothing to report. */
bool mqtt_next(struct mqtt *m, struct mqtt_event *ret);

/* How many publishes may be given now: the window less what is in flight; 0 unless up. */
unsigned mqtt_room(const struct mqtt *m);

/*
 * Needs mqtt_room(). 0: SENT or REFUSED follows unless the connection goes first. -EINVAL: this message
 * can never be sent, `reason` says why. -ENOTCONN: the connection is broken, treat it as MQTT_DOWN.
 */
int mqtt_publish(struct mqtt *m, uint32_t tag, bool retain, const char *topic, size_t topic_len,
	const void *payload, size_t len, char *reason, size_t reason_size);

/* Nobody waits any more for what is in flight: no event will tell of it. */
void mqtt_forget(struct mqtt *m);

/* Milliseconds without any acknowledgement while something is in flight; -1 when nothing is. */
int64_t mqtt_silence_ms(const struct mqtt *m, int64_t now_ms);

/* Sends the retained "offline" state and disconnects; MQTT_SAID_BYE or MQTT_DOWN follows. */
int mqtt_say_bye(struct mqtt *m);

/*
 * Closes the connection and forgets what it held. paho stops its threads here, which takes up to 1.1 s;
 * never to be called while an attempt runs: a name look-up would hold us, for half a minute perhaps.
 */
void mqtt_drop(struct mqtt *m);

/* "MQTT 5, window 20": what the connection agreed on. */
void mqtt_describe(const struct mqtt *m, char *ret, size_t size);
