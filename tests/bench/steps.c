/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bench's smallest lower bounds: one durable write, one acknowledged publish.
 *
 *   steps PORT DIR RATE SECONDS PHASE
 *     RATE times a second: append 4 KiB to a file in DIR and fdatasync, then publish 600 bytes with QoS 1
 *     through MQTTAsync and wait for the PUBACK. Prints "disk_ns puback_ns" for each. PHASE as in
 *     analysers.c.
 */
#include <MQTTAsync.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static sem_t answered;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void on_success(void *arg, MQTTAsync_successData *data)
{
	(void)arg, (void)data;
	sem_post(&answered);
}

static void on_failure(void *arg, MQTTAsync_failureData *data)
{
	(void)arg, (void)data;
	die("broker");
}

static MQTTAsync broker_connect(const char *port)
{
	char uri[64];
	MQTTAsync client;
	snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", port);
	MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
	options.cleansession = 1;
	options.onSuccess = on_success;
	options.onFailure = on_failure;
	sem_init(&answered, 0, 0);
	if (MQTTAsync_create(&client, uri, "bench-steps", MQTTCLIENT_PERSISTENCE_NONE, NULL) ||
		MQTTAsync_connect(client, &options))
		die("connect");
	sem_wait(&answered);
	return client;
}

static void publish(MQTTAsync client, const void *bytes, size_t len)
{
	MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
	answer.onSuccess = on_success;
	answer.onFailure = on_failure;
	if (MQTTAsync_send(client, "bench/steps", (int)len, bytes, 1, 0, &answer))
		die("publish");
	sem_wait(&answered);
}

static void append(int fd)
{
	static const char block[4096];
	if (write(fd, block, sizeof(block)) != sizeof(block) || fdatasync(fd) < 0)
		die("append");
}

int main(int argc, char **argv)
{
	char path[512], message[600];
	if (argc != 6)
		return 2;
	MQTTAsync client = broker_connect(argv[1]);
	snprintf(path, sizeof(path), "%s/steps.append", argv[2]);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0)
		die(path);
	memset(message, ' ', sizeof(message));
	int64_t period = (int64_t)(1e9 / atof(argv[3]));
	int64_t phase = (int64_t)(atof(argv[5]) * (double)period);
	int64_t end = now_ns() + (int64_t)(atof(argv[4]) * 1e9);
	for (;;) {
		int64_t at = (now_ns() - phase + period) / period * period + phase;
		if (at > end)
			return 0;
		struct timespec t = {.tv_sec = at / SECOND_NS, .tv_nsec = at % SECOND_NS};
		clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL);
		int64_t begin = now_ns();
		append(fd);
		int64_t synced = now_ns();
		publish(client, message, sizeof(message));
		printf("%lld %lld\n", (long long)(synced - begin), (long long)(now_ns() - synced));
	}
}
