/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What libmodbus 3.1.6 does not do, or does wrong for us, and is done here:
 *   - modbus_connect() does not lock a line, turns an unknown speed into 9600, and waits for a TCP peer:
 *     the descriptor is opened here and given to it. So modbus_close() is never called: of a line
 *     that it did not open it would restore a format that it never saw.
 *   - modbus_read_*() wait for an answer: question and answer are two calls here, and whose answer it is
 *     is checked here. Over TCP such questions all have the transaction number 0, so a connection
 *     is given up with the first answer that did not come in time.
 *   - with a byte timeout an answer may take for ever, byte by byte: without one, the response timeout is
 *     that of the whole.
 *   - modbus_flush() of a TCP peer that talks faster than we read does not end: only lines are flushed.
 *   - it puts descriptors into an fd_set, whatever their number.
 */
#include "modbus_link.h"

#include "log.h"
#include "tty.h"
#include "util.h"

#include <errno.h>
#include <modbus/modbus.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define STALL_MS 200	/* between the bytes of an answer: USB adapters hand them over in lumps */
#define TCP_STALL_MS 50 /* an answer is one segment */
#define BITS_A_BYTE 11	/* on a line, start, parity and stop included */

/* A name is looked up by a thread of its own, which may need longer than anybody waits. */
struct lookup {
	pthread_mutex_t lock;
	bool done, orphan;
	int wake_fd, rc;
	struct sockaddr_storage address;
	socklen_t len;
	char host[128], port[8];
};

struct modbus_link {
	struct config_device config;
	bool line, connecting, echoes;
	int fd, wake_fd;
	modbus_t *ctx;
	dev_t rdev;
	char host[128], port[8];
	struct lookup *lookup; /* NULL: none is under way */
};

/* a name */

static void lookup_free(struct lookup *k)
{
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static int resolve(const char *host, const char *port, int flags, struct sockaddr_storage *ret,
	socklen_t *ret_len)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	if (getaddrinfo(host, port, &hints, &found) != 0 || !found)
		return -EHOSTUNREACH;
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static void *look_up(void *arg)
{
	struct lookup *k = arg;
	struct sockaddr_storage address = {0};
	socklen_t len = 0;
	int rc = resolve(k->host, k->port, 0, &address, &len);
	pthread_mutex_lock(&k->lock);
	bool orphan = k->orphan;
	k->done = true;
	k->rc = rc;
	k->address = address;
	k->len = len;
	if (!orphan && write(k->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		log_error("modbus", "eventfd: %s", strerror(errno));
	pthread_mutex_unlock(&k->lock);
	if (orphan)
		lookup_free(k);
	return NULL;
}

static int lookup_begin(struct modbus_link *l)
{
	pthread_attr_t detached;
	pthread_t thread;
	struct lookup *k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	pthread_mutex_init(&k->lock, NULL);
	k->wake_fd = l->wake_fd;
	text_copy(k->host, sizeof(k->host), l->host, strlen(l->host));
	text_copy(k->port, sizeof(k->port), l->port, strlen(l->port));
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	int rc = -pthread_create(&thread, &detached, look_up, k);
	pthread_attr_destroy(&detached);
	if (rc < 0) {
		lookup_free(k);
		return rc;
	}
	l->lookup = k;
	return -EINPROGRESS;
}

static void lookup_leave(struct modbus_link *l)
{
	struct lookup *k = TAKE(l->lookup);
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	bool done = k->done;
	k->orphan = true;
	pthread_mutex_unlock(&k->lock);
	if (done)
		lookup_free(k);
}

/* 0 and the address; -EINPROGRESS; -errno. */
static int find_peer(struct modbus_link *l, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	if (!l->lookup)
		return resolve(l->host, l->port, AI_NUMERICHOST, ret, ret_len) == 0
			       ? 0
			       : lookup_begin(l);
	pthread_mutex_lock(&l->lookup->lock);
	int rc = l->lookup->done ? l->lookup->rc : -EINPROGRESS;
	*ret = l->lookup->address;
	*ret_len = l->lookup->len;
	pthread_mutex_unlock(&l->lookup->lock);
	if (rc != -EINPROGRESS)
		lookup_leave(l);
	return rc;
}

/* opening */

static int open_line(struct modbus_link *l)
{
	int rc = tty_open(&l->config, &l->rdev, &l->fd);
	if (rc < 0)
		return rc;
	if (rc > 0)
		log_info(l->config.id,
			"%s took only the speed, not data bits, parity and stop bits",
			l->config.address);
	return 0;
}

static int connect_peer(struct modbus_link *l)
{
	struct sockaddr_storage address;
	socklen_t len;
	int one = 1, rc = find_peer(l, &address, &len);
	if (rc < 0)
		return rc;
	l->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(l->fd, (struct sockaddr *)&address, len) < 0)
		return -errno;
	return 0;
}

/* The socket is writable, or somebody only thinks so. */
static int connected(const struct modbus_link *l)
{
	int error = 0;
	socklen_t len = sizeof(error);
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return error ? -error : -errno;
	if (getpeername(l->fd, (struct sockaddr *)&peer, &peer_len) == 0)
		return 0;
	return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

int modbus_link_open(struct modbus_link *l)
{
	int rc = l->connecting ? connected(l) : l->line ? open_line(l) : connect_peer(l);
	if (rc >= 0 && l->fd >= FD_SETSIZE)
		rc = -EMFILE;
	l->connecting = rc == -EINPROGRESS && l->fd >= 0;
	if (rc == -EINPROGRESS)
		return rc;
	if (rc >= 0 && modbus_set_socket(l->ctx, l->fd) < 0)
		rc = -errno;
	if (rc < 0)
		modbus_link_close(l);
	return rc < 0 ? rc : 0;
}

void modbus_link_close(struct modbus_link *l)
{
	if (l->fd >= 0 && l->line)
		tty_close(l->fd, false);
	else if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->connecting = false;
}

bool modbus_link_stands(const struct modbus_link *l)
{
	struct stat st;
	return stat(l->config.address, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == l->rdev;
}

/* question and answer */

int modbus_link_ask(struct modbus_link *l, uint8_t unit, const struct vg_registers_block *b)
{
	const uint8_t question[] = {unit, b->function, (uint8_t)(b->address >> 8),
		(uint8_t)b->address, (uint8_t)(b->count >> 8), (uint8_t)b->count};
	if (l->line) {
		modbus_flush(l->ctx);
		modbus_set_slave(l->ctx, unit);
	}
	return modbus_send_raw_request(l->ctx, question, sizeof(question)) < 0 ? -errno : 0;
}

static void limit_answer(struct modbus_link *l, unsigned bytes)
{
	unsigned ms = TCP_STALL_MS;
	if (l->line)
		ms = MIN(STALL_MS, (unsigned)l->config.response_ms) +
		     bytes * BITS_A_BYTE * 1000 / l->config.baud;
	modbus_set_response_timeout(l->ctx, ms / 1000, ms % 1000 * 1000);
}

static int failure(int error)
{
	bool came = error == ETIMEDOUT || error == EMBBADCRC || error == EMBBADDATA ||
		    error == EMBMDATA || error == EMBBADSLAVE;
	return came ? -VG_REGISTERS_GARBLED : -VG_REGISTERS_CONNECTION;
}

/* The head of an answer over TCP: transaction, protocol 0, length, unit. */
static bool head_fits(const uint8_t *head, int n, uint8_t unit)
{
	return !head[0] && !head[1] && !head[2] && !head[3] && (head[4] << 8 | head[5]) == n - 6 &&
	       head[6] == unit;
}

static int take_data(const struct vg_registers_block *b, const uint8_t *from, uint8_t *data)
{
	size_t n = vg_registers_bytes(b);
	for (size_t i = 0; i < n && b->function <= 2; i++)
		data[i] = from[i / 8] >> i % 8 & 1;
	if (b->function > 2)
		memcpy(data, from, n);
	return (int)n;
}

int modbus_link_hear(
	struct modbus_link *l, uint8_t unit, const struct vg_registers_block *b, uint8_t *data)
{
	uint8_t answer[MODBUS_MAX_ADU_LENGTH] = {0};
	unsigned bytes = b->function <= 2 ? (b->count + 7u) / 8 : 2u * b->count;
	int head = modbus_get_header_length(l->ctx), tail = l->line ? 2 : 0;
	limit_answer(l, bytes + 5);
	int n = modbus_receive_confirmation(l->ctx, answer);
	const uint8_t *body = answer + head;
	l->echoes = l->line && n < 0 && answer[0] == unit && body[0] == b->function &&
		    body[1] == b->address >> 8 && body[2] == (b->address & 0xff) &&
		    body[3] == b->count >> 8;
	if (n < 0)
		return failure(errno);
	if (n == 0)
		return 0;
	if (l->line ? answer[0] != unit : !head_fits(answer, n, unit))
		return -VG_REGISTERS_GARBLED;
	if (body[0] == (b->function | 0x80) && body[1] && body[1] < 0x80)
		return -body[1];
	if (body[0] != b->function || body[1] != bytes || n != head + 2 + (int)bytes + tail)
		return -VG_REGISTERS_GARBLED;
	return take_data(b, body + 2, data);
}

bool modbus_link_echoes(const struct modbus_link *l)
{
	return l->echoes;
}

bool modbus_link_drain(struct modbus_link *l)
{
	int waiting = 0;
	if (ioctl(l->fd, FIONREAD, &waiting) < 0)
		waiting = 0;
	modbus_flush(l->ctx);
	return waiting > 0;
}

/* life */

bool modbus_link_is_line(const struct modbus_link *l)
{
	return l->line;
}

int modbus_link_fd(const struct modbus_link *l)
{
	return l->fd;
}

/* "tcp:HOST:PORT"; an IPv6 address stands in brackets. */
static void take_address(struct modbus_link *l)
{
	const char *host = l->config.address + 4, *colon = strrchr(host, ':');
	size_t n = (size_t)(colon - host);
	bool brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
	text_copy(l->host, sizeof(l->host), host + brackets, n - 2 * brackets);
	text_copy(l->port, sizeof(l->port), colon + 1, strlen(colon + 1));
}

int modbus_link_new(const struct config_device *d, int wake_fd, struct modbus_link **ret)
{
	struct modbus_link *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->config = *d;
	l->config.dtr = l->config.rts = true; /* some converters feed on them */
	l->line = d->address[0] == '/';
	l->fd = -1;
	l->wake_fd = wake_fd;
	if (!l->line)
		take_address(l);
	l->ctx = l->line ? modbus_new_rtu(
				   d->address, (int)d->baud, d->parity, d->data_bits, d->stop_bits)
			 : modbus_new_tcp(NULL, MODBUS_TCP_DEFAULT_PORT);
	if (!l->ctx || modbus_set_byte_timeout(l->ctx, 0, 0) < 0) {
		int rc = errno ? -errno : -ENOMEM;
		modbus_link_free(l);
		return rc;
	}
	*ret = l;
	return 0;
}

void modbus_link_free(struct modbus_link *l)
{
	if (!l)
		return;
	lookup_leave(l);
	modbus_link_close(l);
	if (l->ctx)
		modbus_free(l->ctx);
	free(l);
}
