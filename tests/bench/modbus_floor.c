/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bench's lower bound for Modbus over TCP: one thread, beside paho's, that asks all devices and publishes what
 * each answers. It stores nothing, checks nothing and repeats nothing.
 *
 *   modbus_floor BROKER_PORT TOPIC PERIOD_MS FIRST_PORT DEVICES VALUES
 *     PERIOD_MS  all devices are asked at once each time it is over: the least CPU, not the least latency; 0:
 *                each as soon as it has answered
 *     VALUES     of a device: the stamp in the input registers 0 and 1, and 1 to 6 more in those that follow, as
 *                tests/sim/modbus.py has them ("stamp")
 *     Devices are at FIRST_PORT and the ports that follow.
 */
#include <MQTTAsync.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define WINDOW 100 /* messages on their way; more make nothing faster */
#define REGISTERS_MAX 8
#define DEVICES_MAX 1024

struct device {
	int fd;
	size_t have;
	unsigned char answer[9 + 2 * REGISTERS_MAX];
};

static MQTTAsync client;
static sem_t connected, window;
static const char *topic;
static struct device devices[DEVICES_MAX];
static size_t n_devices;
static unsigned char n_registers;

static void die(const char *what)
{
	fprintf(stderr, "modbus_floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* the broker */

static void on_connected(void *arg, MQTTAsync_successData *data)
{
	(void)arg, (void)data;
	sem_post(&connected);
}

static void on_failed(void *arg, MQTTAsync_failureData *data)
{
	(void)arg, (void)data;
	die("broker");
}

static void on_puback(void *arg, MQTTAsync_successData *data)
{
	(void)arg, (void)data;
	sem_post(&window);
}

static void broker_connect(const char *port)
{
	char uri[64];
	snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%s", port);
	MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
	options.cleansession = 1;
	options.maxInflight = WINDOW;
	options.onSuccess = on_connected;
	options.onFailure = on_failed;
	sem_init(&connected, 0, 0);
	sem_init(&window, 0, WINDOW);
	if (MQTTAsync_create(&client, uri, "modbus-floor", MQTTCLIENT_PERSISTENCE_NONE, NULL) ||
		MQTTAsync_connect(client, &options))
		die("connect");
	sem_wait(&connected);
}

static void publish(size_t number, const unsigned char *registers)
{
	char message[256];
	unsigned word[REGISTERS_MAX];
	for (unsigned i = 0; i < n_registers; i++)
		word[i] = (unsigned)registers[2 * i] << 8 | registers[2 * i + 1];
	int len = sprintf(
		message, "{\"device\":\"m-%zu\",\"stamp\":%u", number, word[0] << 16 | word[1]);
	for (unsigned i = 2; i < n_registers; i++)
		len += sprintf(message + len, ",\"v%u\":%u", i, word[i]);
	message[len++] = '}';
	MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
	answer.onSuccess = on_puback;
	answer.onFailure = on_failed;
	sem_wait(&window);
	if (MQTTAsync_send(client, topic, len, message, 1, 0, &answer))
		die("publish");
}

/* the devices */

static void device_connect(struct device *d, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	d->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (d->fd < 0 || connect(d->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("device");
	setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

/* transaction 1, protocol 0, 6 bytes: unit 1, function 4, address 0, count */
static void ask(const struct device *d)
{
	const unsigned char question[] = {0, 1, 0, 0, 0, 6, 1, 4, 0, 0, 0, n_registers};
	if (write(d->fd, question, sizeof(question)) != sizeof(question))
		die("question");
}

/* True when the answer is whole. */
static int hear(struct device *d)
{
	size_t whole = 9 + 2u * n_registers;
	ssize_t n = read(d->fd, d->answer + d->have, whole - d->have);
	if (n <= 0)
		die("answer");
	d->have += (size_t)n;
	if (d->have < whole)
		return 0;
	if (d->answer[7] != 4 || d->answer[8] != 2 * n_registers)
		die("answer");
	d->have = 0;
	return 1;
}

static int timer_new(unsigned period_ms)
{
	struct timespec period = {period_ms / 1000, period_ms % 1000 * 1000000L};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	if (fd < 0 || timerfd_settime(fd, 0, &(struct itimerspec){period, period}, NULL) < 0)
		die("timer");
	return fd;
}

static int devices_begin(unsigned first_port, int timer)
{
	struct epoll_event watch = {.events = EPOLLIN, .data.u64 = n_devices};
	int epoll = epoll_create1(0);
	if (epoll < 0 || (timer >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &watch) < 0))
		die("epoll");
	for (size_t i = 0; i < n_devices; i++) {
		device_connect(&devices[i], (uint16_t)(first_port + i));
		watch.data.u64 = i;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, devices[i].fd, &watch) < 0)
			die("epoll");
		ask(&devices[i]);
	}
	return epoll;
}

static void tick(int timer)
{
	uint64_t ticks;
	if (read(timer, &ticks, sizeof(ticks)) < 0)
		die("timer");
	for (size_t i = 0; i < n_devices; i++)
		ask(&devices[i]);
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	if (argc != 7 || atoi(argv[5]) > DEVICES_MAX || atoi(argv[6]) >= REGISTERS_MAX)
		return 2;
	unsigned period_ms = (unsigned)atoi(argv[3]);
	topic = argv[2];
	n_devices = (size_t)atoi(argv[5]);
	n_registers = (unsigned char)(atoi(argv[6]) + 1);
	broker_connect(argv[1]);
	int timer = period_ms ? timer_new(period_ms) : -1;
	int epoll = devices_begin((unsigned)atoi(argv[4]), timer);
	for (;;) {
		int ready = epoll_wait(epoll, events, sizeof(events) / sizeof(events[0]), -1);
		for (int k = 0; k < ready; k++) {
			size_t at = events[k].data.u64;
			if (at == n_devices) {
				tick(timer);
			} else if (hear(&devices[at])) {
				publish(at, devices[at].answer + 9);
				if (!period_ms)
					ask(&devices[at]);
			}
		}
	}
}
