/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What paho's threads tell ours. Its callbacks run under its mutex, on its threads: all they do is to append
 * a note to a bounded queue and to write to an eventfd. Our lock is never held while calling paho.
 *
 * The notes_*_answer() functions put the callbacks into paho's option structures, in the form that the
 * MQTT version wants (paho refuses the other one).
 */
#pragma once

#include <MQTTAsync.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct notes;

enum note_type {
	NOTE_CONNACK,
	NOTE_FAILED, /* the attempt; code: CONNACK's, or paho's when negative */
	NOTE_SUBSCRIBED,
	NOTE_NOT_SUBSCRIBED, /* code */
	NOTE_SENT,	     /* ticket */
	NOTE_UNSENT,	     /* ticket, code: the broker's, or paho's when negative */
	NOTE_MESSAGE,	     /* topic, message: ours until notes_done() */
	NOTE_TOLD_TO_GO,     /* MQTT 5 DISCONNECT; code */
	NOTE_LOST,
	NOTE_BYE, /* the answer to our own disconnect */
};

/* One publish in flight; paho carries its address. */
struct ticket {
	struct notes *notes;
	uint32_t tag;
	bool wanted; /* somebody waits for the answer */
};

struct note {
	enum note_type type;
	int code;
	struct ticket *ticket;
	char *topic;
	size_t topic_len;
	MQTTAsync_message *message;
};

/* What the broker's CONNACK allows. */
struct grant {
	unsigned receive_max;
	unsigned packet_max;
	bool retain, qos1;
};

/* Why an attempt failed, as far as the libraries say. */
struct failure {
	char paho[64];
	char tls[96]; /* OpenSSL's first complaint */
};

/* For `tickets` publishes in flight. 0, -ENOMEM, -errno of eventfd(). */
int notes_new(unsigned tickets, struct notes **ret);
void notes_free(struct notes *n);

int notes_fd(const struct notes *n);
/* False when there is none. A message belongs to the caller, who gives it back with notes_done(). */
bool notes_take(struct notes *n, struct note *ret);
void notes_done(struct notes *n, struct note *note);
/* Messages that were not taken: too long, too many, stored ones; since the start. */
uint64_t notes_drops(struct notes *n);
struct grant notes_grant(struct notes *n);
/* Of the attempt that just failed; forgets it. */
struct failure notes_failure(struct notes *n);

void notes_listen(struct notes *n, MQTTAsync client);
void notes_connect_answer(struct notes *n, bool v3, MQTTAsync_connectOptions *o);
void notes_tls_answer(struct notes *n, MQTTAsync_SSLOptions *o);
void notes_subscribe_answer(struct notes *n, bool v3, MQTTAsync_responseOptions *o);
void notes_publish_answer(struct ticket *t, bool v3, MQTTAsync_responseOptions *o);
void notes_bye_answer(struct notes *n, bool v3, MQTTAsync_disconnectOptions *o);
