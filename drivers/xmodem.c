/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ECG carts, or anything else, that send files by XMODEM (checksum, CRC, 1K) or YMODEM. We are the receiver
 * and ask for a file all the time. What is in it the daemon finds out.
 *
 * Block: SOH (128 data bytes) or STX (1024), number, 255 - number, data, check: CRC high and low byte (polynomial
 * 1021, initial 0) or the sum of the data modulo 256. The first number is 1, 255 is followed by 0.
 *   asking     'C' (CRC) every 3 s, every tenth time and after three damaged blocks NAK (sum or CRC, what the sender
 *              knows); by option `check` only one of them
 *   receiving  next number: taken, ACK; same block again: our ACK was lost, or the sender had read two requests:
 *              ACK when nothing follows, so that it does not count twice; block 0 or 1 out of order: a new
 *              transfer, the former is dropped; another number: CAN CAN CAN, dropped
 *   damaged    (check, complement, anything that is no block): all is ignored until the line was quiet for 1 s,
 *              then NAK, or 'C' when no data has come yet. Ten in a row: CAN CAN CAN, dropped
 *   silence    10 s: NAK; the third time: CAN CAN CAN, dropped. A block that stops in the middle for 1 s is damaged
 *   EOT        counts only when nothing follows (it may be a damaged SOH): NAK. The second one ends the file, or
 *              silence, or the beginning of another file, for senders that say it once or took a late answer for
 *              ours; not when the file says that more must come
 *   storing    ACK from kept(), CAN CAN CAN from refused(); the sender must wait and is not listened to
 *   CAN CAN    of the sender, where a block may begin: dropped
 * A long transfer that was under way when the last session ended is broken off first, CAN CAN CAN: its block 257 has
 * the number of the first one of a new file.
 * What is dropped is told as an event. EOT again after the last ACK: ACK. EOT with nothing before it: CAN CAN CAN.
 *
 * YMODEM: block 0 is `name NUL size-in-decimal ...`, answered ACK 'C'. The size cuts the padding; a file with fewer
 * bytes has not ended. The name may name a person and is not looked at. Behind each file comes the next block 0,
 * an empty name ends the batch. A size of 0 is an unknown one.
 * XMODEM pads the last block: an SCP-ECG record (its length is a u32 at 2, "SCPECG" at 16) is cut where it says,
 * when nothing but 1A or 00 stands behind it in the last block, other files lose the 1A at the end of it.
 *
 * In a capture data bytes are 'x', but for 1A at the end of a block, the size in block 0, and the length and the mark
 * of an SCP-ECG record in block 1.
 *
 * Sources: Forsberg, XMODEM/YMODEM Protocol Reference (1988); Debian's lrzsz (sx, sb) as the sender. Not
 * confirmed: any cart. What carts say before and behind a transfer is passed over as noise.
 */
#include <string.h>
#include <vitalgate/buf.h>
#include <vitalgate/driver.h>

enum { SOH = 0x01, STX = 0x02, EOT = 0x04, ACK = 0x06, NAK = 0x15, CAN = 0x18, PAD = 0x1a };

#define ASK_MS 3000
#define BLOCK_MS 10000 /* a sender waits 10 s or longer for an answer */
#define QUIET_MS 1000
#define AGAIN_MS 3000	 /* a block of 1024 takes 1.1 s at 9600 Bd, the slowest line */
#define EOT_QUIET_MS 300 /* RFCOMM and USB bring what was sent in one go in pieces */
#define EOT_ALONE_MS 5000
#define ASKED_FOR_SUM 10 /* every so many requests */
#define FAILURES_MAX 10
#define FAILURES_ASKED 3 /* some begin at whatever they hear, and know sums only */
#define SILENCES_MAX 3
#define MARKED_AT 255 /* behind it its numbers begin again */

#define SHORT 128
#define LONG 1024
#define HEAD 3
#define BLOCK_MAX (HEAD + LONG + 2)
#define SCP_LENGTH 2 /* where it stands */
#define SCP_MARK 16
#define SCP_HEAD 22

enum { BY_CRC = 1, BY_SUM = 2 };

enum phase {
	WAIT,	   /* a block or EOT may come */
	PURGE,	   /* what comes is ignored until the line is quiet */
	AGAIN,	   /* the last block came again, its ACK waits */
	EOT_SEEN,  /* is the line quiet behind it? */
	EOT_ASKED, /* NAK was said */
	EOT_AGAIN, /* is the line quiet behind the second one? */
	MARKING,   /* the mark that says how long it is must be durable before more comes */
	STORING,
};

struct xmodem {
	enum phase phase;
	bool excerpt;
	bool open;	    /* a block of a transfer was taken */
	bool ymodem;	    /* the transfer at hand or the last one */
	bool ended;	    /* the last transfer ended with an ACK */
	bool eot;	    /* came behind the last block, perhaps */
	bool next;	    /* the next transfer had begun before this one could be stored */
	bool told;	    /* that nothing but damaged blocks comes */
	bool marked;	    /* the mark says that the transfer is a long one */
	uint8_t may, takes; /* checks, by option and now */
	uint8_t expected;
	uint32_t last_hash; /* of the data of the last block */
	unsigned asked, failures, silences;
	size_t announced; /* 0: unknown */
	size_t total;	  /* bytes of data taken */
	size_t padding;	  /* 1A at the end of the last block */
	size_t zeros;	  /* or 00 there */
	size_t junk;	  /* damaged bytes since the last block */
	uint8_t head[SCP_HEAD];
	vg_ticket ticket; /* storing */
};

/* blocks */

static uint16_t crc_of(const uint8_t *data, size_t len)
{
	unsigned crc = 0;
	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned)data[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
		crc &= 0xffff;
	}
	return (uint16_t)crc;
}

static uint8_t sum_of(const uint8_t *data, size_t len)
{
	unsigned sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += data[i];
	return (uint8_t)sum;
}

/* FNV-1a. A block with the last number and other data is not the same block. */
static uint32_t hash_of(const uint8_t *data, size_t len)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ data[i]) * 16777619u;
	return hash;
}

static bool head_good(const uint8_t *bytes)
{
	return (bytes[0] == SOH || bytes[0] == STX) && (bytes[1] ^ bytes[2]) == 0xff;
}

static size_t data_length(const uint8_t *bytes)
{
	return bytes[0] == STX ? LONG : SHORT;
}

/* Whole blocks with a good head, by the length of their check. */
static bool is_block(const uint8_t *bytes, size_t len)
{
	if (len < HEAD + SHORT + 1 || !head_good(bytes))
		return false;
	size_t check = len - HEAD - data_length(bytes);
	return check == 1 || check == 2;
}

static bool check_good(const uint8_t *bytes, size_t len)
{
	size_t n = data_length(bytes);
	const uint8_t *data = bytes + HEAD, *check = data + n;
	if (len == HEAD + n + 1)
		return sum_of(data, n) == *check;
	return crc_of(data, n) == (check[0] << 8 | check[1]);
}

/* Not the next block and not the last one: if it is a good one, somebody begins anew, in a way of his own. */
static bool begins_anew(const struct xmodem *st, uint8_t number)
{
	return number <= 1 && number != st->expected && number != (uint8_t)(st->expected - 1);
}

/* Length of the block that begins at bytes[0]; 0: not all of it is there. When both checks may come, the one that is
 * right says which. */
static size_t block_length(const struct xmodem *st, const uint8_t *bytes, size_t len)
{
	size_t by_sum = HEAD + data_length(bytes) + 1, by_crc = by_sum + 1;
	unsigned takes = st->open && begins_anew(st, bytes[1]) ? st->may : st->takes;
	if (takes == BY_SUM)
		return len >= by_sum ? by_sum : 0;
	if (takes == BY_CRC)
		return len >= by_crc ? by_crc : 0;
	if (len >= by_crc && check_good(bytes, by_crc))
		return by_crc;
	if (len >= by_sum && check_good(bytes, by_sum))
		return by_sum;
	return len >= by_crc ? by_crc : 0;
}

static bool only(uint8_t c, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != c)
			return false;
	return true;
}

/* What is neither block nor EOT nor CAN CAN is one frame up to its end: behind it nothing is sure until the line is
 * quiet. EOT is the last byte or no EOT. */
static struct vg_frame xmodem_frame(const void *state, const uint8_t *bytes, size_t len)
{
	const struct xmodem *st = state;
	bool behind_eot = st->phase == EOT_SEEN || st->phase == EOT_AGAIN;
	struct vg_frame all = {.length = len}, more = {.length = 0};
	if (st->phase == PURGE || st->phase >= MARKING || behind_eot)
		return all;
	if (bytes[0] == CAN && len == 1)
		return more;
	if (bytes[0] == CAN && bytes[1] == CAN)
		return (struct vg_frame){.length = 2};
	if (bytes[0] != SOH && bytes[0] != STX)
		return all;
	if (len < HEAD)
		return more;
	return head_good(bytes) ? (struct vg_frame){.length = block_length(st, bytes, len)} : all;
}

/* answers */

static void say(struct vg_session *s, uint8_t control)
{
	vg_send(s, 0, &control, 1);
}

/* For the next block: NAK, or how it shall be checked when no data came yet. */
static void ask(struct vg_session *s, struct xmodem *st)
{
	uint8_t request = 'C';
	if (st->total || st->may == BY_SUM) {
		request = NAK;
	} else if (st->open) {
		request = st->takes == BY_SUM ? NAK : 'C';
	} else if (st->may & BY_SUM) {
		bool again = st->failures && st->failures < FAILURES_ASKED;
		bool sum = again ? st->takes != BY_CRC
				 : st->failures || ++st->asked % ASKED_FOR_SUM == 0;
		request = sum ? NAK : 'C';
		/* a sender that heard 'C' before keeps to CRC */
		st->takes = sum ? st->may : BY_CRC;
	}
	st->phase = WAIT;
	say(s, request);
	vg_timer(s, st->total ? BLOCK_MS : ASK_MS);
}

/* Durable: whether a transfer is under way whose block numbers begin again. The next session hears of one that a power
 * cut left behind. */
static vg_ticket mark_long(struct vg_session *s, struct xmodem *st, bool is)
{
	uint8_t value = is;
	st->marked = is;
	return vg_mark(s, "long", &value, sizeof(value));
}

/* Nothing of a transfer is left. The sender has some rest before it is asked for the next one. */
static void idle(struct vg_session *s, struct xmodem *st)
{
	if (st->total)
		vg_study_begin(s); /* drops the one that was begun */
	st->phase = WAIT;
	if (st->marked)
		mark_long(s, st, false);
	st->open = false;
	st->asked = st->takes == BY_SUM ? ASKED_FOR_SUM - 1 : 0;
	st->next = false;
	st->failures = 0;
	st->announced = st->total = st->padding = st->zeros = 0;
	memset(st->head, 0, sizeof(st->head));
	vg_timer(s, ASK_MS);
}

static void cancel(struct vg_session *s, struct xmodem *st)
{
	static const uint8_t cancels[] = {CAN, CAN, CAN};
	vg_send(s, 0, cancels, sizeof(cancels));
	idle(s, st);
}

static void tell(struct vg_session *s, struct xmodem *st, const char *why)
{
	struct vg_event e = {.type = VG_EVENT_DEVICE_ERROR, .detail = why};
	if (st->open || !st->told)
		vg_event(s, &e);
	st->told |= !st->open;
}

static void give_up(struct vg_session *s, struct xmodem *st, const char *why)
{
	tell(s, st, why);
	cancel(s, st);
}

static void failed(struct vg_session *s, struct xmodem *st, const char *why)
{
	if (++st->failures >= FAILURES_MAX)
		give_up(s, st, why);
	else
		ask(s, st);
}

static void purge(struct vg_session *s, struct xmodem *st, size_t len)
{
	st->junk += st->eot ? 0 : len;
	st->phase = PURGE;
	vg_timer(s, QUIET_MS);
}

/* A block was taken. Behind block 0 of YMODEM the data must be asked for. */
static void acknowledge(struct vg_session *s, struct xmodem *st)
{
	st->phase = WAIT;
	say(s, ACK);
	vg_timer(s, BLOCK_MS);
	if (!st->total)
		ask(s, st);
}

/* The transfer is over, and the sender is told so, unless it would take that for the answer to a block. */
static void conclude(struct vg_session *s, struct xmodem *st)
{
	bool next = st->next;
	st->ended = !next;
	if (!next)
		say(s, ACK);
	idle(s, st);
	if (st->ymodem || next)
		ask(s, st);
}

/* the file */

/* Length of the SCP-ECG record that the file begins with; 0: it is none. */
static size_t record_length(const uint8_t *head)
{
	struct buf b = buf_of(head + SCP_LENGTH, 4);
	size_t len = buf_le32(&b);
	bool scp = memcmp(head + SCP_MARK, "SCPECG", SCP_HEAD - SCP_MARK) == 0;
	return scp && len >= SCP_HEAD ? len : 0;
}

/* Why this is not all of the file; NULL: it may be. `sure`: the sender insists. */
static const char *incomplete(const struct xmodem *st, bool sure)
{
	if (st->announced > st->total)
		return "transfer given up: the file is shorter than announced";
	if (st->junk >= SHORT / 2) /* it took something else for our answer to a damaged block */
		return "transfer given up: a block is missing";
	if (!sure && record_length(st->head) > st->total)
		return "transfer given up: it ends before the file does";
	return NULL;
}

static size_t study_length(const struct xmodem *st)
{
	size_t record = record_length(st->head);
	if (st->announced && st->total - st->announced < LONG)
		return st->announced;
	/* bytes behind the record that are no padding are part of the file, whatever they mean */
	size_t filler = st->padding > st->zeros ? st->padding : st->zeros;
	if (record && record <= st->total && st->total - record <= filler)
		return record;
	return st->total - st->padding;
}

/* The sender said that it is done. Nothing that is open was no file, or one that was dropped. */
static void finish(struct vg_session *s, struct xmodem *st, bool sure)
{
	const char *why = st->open ? incomplete(st, sure) : NULL;
	if (why) {
		failed(s, st, why);
		return;
	}
	if (!st->open) {
		cancel(s, st);
		return;
	}
	size_t len = study_length(st);
	if (!len) {
		conclude(s, st);
		return;
	}
	st->ticket = vg_study_end(s, len);
	st->phase = STORING;
	vg_timer(s, 0);
	if (!st->ticket)
		cancel(s, st);
}

/* `name NUL size`; more may follow. */
static size_t announced_size(const uint8_t *data, size_t len)
{
	const uint8_t *end = memchr(data, 0, len);
	size_t size = 0, at = end ? (size_t)(end - data) + 1 : len;
	for (; at < len && data[at] >= '0' && data[at] <= '9'; at++)
		size = size > VG_STUDY_MAX ? size : size * 10 + (data[at] - '0');
	return size;
}

static void begin(struct xmodem *st, size_t by)
{
	st->open = true;
	st->takes = by == 1 ? BY_SUM : BY_CRC;
	st->ymodem = st->ended = st->told = false;
}

static void taken(struct xmodem *st, uint8_t number, const uint8_t *data, size_t len)
{
	st->expected = (uint8_t)(number + 1);
	st->last_hash = hash_of(data, len);
	st->failures = 0;
	st->junk = 0;
	st->eot = false;
}

/* Block 0 of YMODEM. */
static void file_begins(
	struct vg_session *s, struct xmodem *st, const uint8_t *data, size_t len, size_t by)
{
	if (!data[0]) { /* no further file */
		st->ymodem = false;
		conclude(s, st);
		return;
	}
	begin(st, by);
	st->ymodem = true;
	st->announced = announced_size(data, len);
	taken(st, 0, data, len);
	if (st->announced > VG_STUDY_MAX)
		give_up(s, st, "transfer given up: file too long");
	else
		acknowledge(s, st);
}

static size_t trailing(uint8_t c, const uint8_t *data, size_t len)
{
	size_t n = 0;
	while (n < len && data[len - 1 - n] == c)
		n++;
	return n;
}

static void data_heard(
	struct vg_session *s, struct xmodem *st, uint8_t number, const uint8_t *data, size_t len)
{
	if (!st->total) {
		vg_study_begin(s);
		memcpy(st->head, data, sizeof(st->head));
	}
	st->total += len;
	if (vg_study_append(s, data, len) < 0) {
		give_up(s, st,
			st->total > VG_STUDY_MAX ? "transfer given up: file too long"
						 : "transfer given up: out of memory");
		return;
	}
	st->padding = trailing(PAD, data, len);
	st->zeros = trailing(0, data, len);
	taken(st, number, data, len);
	if (number != MARKED_AT || st->marked) {
		acknowledge(s, st);
		return;
	}
	st->ticket = mark_long(s, st, true);
	st->phase = MARKING;
	vg_timer(s, 0);
	if (!st->ticket)
		cancel(s, st);
}

/* Out of order: is it the beginning of a new transfer? */
static void stranger_heard(
	struct vg_session *s, struct xmodem *st, uint8_t number, const uint8_t *bytes, size_t len)
{
	size_t n = data_length(bytes), by = len - HEAD - n;
	bool first = number <= 1 || (st->excerpt && !st->open);
	vg_result(s, first ? VG_NOTHING : VG_OUT_OF_SEQUENCE);
	if (!first) {
		give_up(s, st, "transfer given up: a block is missing");
		return;
	}
	if (st->open && st->eot && !incomplete(st, false)) {
		st->next = true; /* it comes again when it is asked for */
		finish(s, st, false);
		return;
	}
	if (st->open && (st->eot || (number == 0 && !bytes[HEAD]))) {
		give_up(s, st, "transfer given up: it ends before the file does");
		return;
	}
	if (st->open) {
		struct vg_event e = {.type = VG_EVENT_INSTRUMENT_RESTART};
		vg_event(s, &e);
		idle(s, st);
	}
	st->excerpt = false;
	if (number == 0) {
		file_begins(s, st, bytes + HEAD, n, by);
		return;
	}
	begin(st, by);
	data_heard(s, st, number, bytes + HEAD, n);
}

static void block_heard(struct vg_session *s, struct xmodem *st, const uint8_t *bytes, size_t len)
{
	const uint8_t *data = bytes + HEAD;
	size_t n = data_length(bytes);
	uint8_t number = bytes[1];
	if (!check_good(bytes, len)) {
		vg_result(s, VG_MALFORMED);
		purge(s, st, len);
		return;
	}
	st->phase = WAIT;
	if (st->open && number == (uint8_t)(st->expected - 1) &&
		hash_of(data, n) == st->last_hash) {
		vg_result(s, VG_NOTHING);
		st->junk = 0;
		st->phase = AGAIN;
		vg_timer(s, AGAIN_MS);
	} else if (st->open && number == st->expected) {
		vg_result(s, VG_NOTHING);
		data_heard(s, st, number, data, n);
	} else {
		stranger_heard(s, st, number, bytes, len);
	}
}

/* the session */

static void xmodem_opened(struct vg_session *s, bool excerpt)
{
	struct xmodem *st = vg_state(s);
	const char *check = vg_option(s, "check");
	st->may = *check == 'c' ? BY_CRC : *check == 's' ? BY_SUM : BY_CRC | BY_SUM;
	st->takes = st->may;
	st->excerpt = excerpt;
	size_t len;
	const uint8_t *left = vg_marked(s, "long", &len);
	st->marked = left && len && *left;
	if (st->marked)
		cancel(s, st);
	else if (!excerpt)
		ask(s, st);
}

static void xmodem_heard(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
	const struct vg_now *now)
{
	struct xmodem *st = vg_state(s);
	bool behind_eot = st->phase == EOT_SEEN || st->phase == EOT_AGAIN;
	(void)channel;
	(void)now;
	if (st->phase >= MARKING)
		return;
	st->silences = 0;
	st->eot |= st->phase != PURGE && bytes[0] == EOT;
	if (st->phase == PURGE) {
		purge(s, st, len);
	} else if (only(EOT, bytes, len)) {
		st->phase = st->phase >= EOT_ASKED ? EOT_AGAIN : EOT_SEEN;
		vg_timer(s, EOT_QUIET_MS);
	} else if (!behind_eot && is_block(bytes, len)) {
		block_heard(s, st, bytes, len);
	} else if (!behind_eot && len == 2 && only(CAN, bytes, len)) {
		vg_result(s, VG_NOTHING);
		if (st->open)
			tell(s, st, "transfer given up: the sender cancelled it");
		idle(s, st);
	} else {
		vg_result(s, VG_MALFORMED);
		purge(s, st, len);
	}
}

/* 10 s, or 3 s before the first data. The next block of a file could be taken for the first of another one
 * that somebody has begun in the meantime, when they have the same number: then better none. */
static void silent(struct vg_session *s, struct xmodem *st)
{
	bool ambiguous = st->takes == BY_SUM && st->total && st->expected <= 1;
	st->silences++;
	if (!st->open)
		st->failures = 0;
	if (st->open && (ambiguous || st->silences >= SILENCES_MAX * (st->total ? 1 : 3)))
		give_up(s, st, "transfer given up: the sender fell silent");
	else
		ask(s, st);
}

static void eot_over(struct vg_session *s, struct xmodem *st)
{
	vg_result(s, VG_NOTHING);
	if (st->phase == EOT_AGAIN) {
		finish(s, st, true);
	} else if (!st->open && st->ended) { /* our ACK was lost */
		conclude(s, st);
	} else {
		ask(s, st);
		st->phase = EOT_ASKED;
		vg_timer(s, EOT_ALONE_MS);
	}
}

static void xmodem_expired(struct vg_session *s, const struct vg_now *now)
{
	struct xmodem *st = vg_state(s);
	(void)now;
	switch (st->phase) {
	case WAIT:
		silent(s, st);
		break;
	case PURGE:
		failed(s, st, "transfer given up: every block was damaged");
		break;
	case AGAIN:
		acknowledge(s, st);
		break;
	case EOT_SEEN:
	case EOT_AGAIN:
		eot_over(s, st);
		break;
	case EOT_ASKED:
		if (st->open)
			finish(s, st, false);
		else
			ask(s, st);
		break;
	case MARKING:
	case STORING:
		break;
	}
}

static void xmodem_kept(struct vg_session *s, vg_ticket ticket)
{
	struct xmodem *st = vg_state(s);
	if (st->phase == MARKING && ticket == st->ticket)
		acknowledge(s, st);
	else if (st->phase == STORING && ticket == st->ticket)
		conclude(s, st);
}

static void xmodem_refused(struct vg_session *s, vg_ticket ticket, int why)
{
	struct xmodem *st = vg_state(s);
	(void)why;
	if (st->phase >= MARKING && ticket == st->ticket)
		cancel(s, st);
}

/* what may leave in a capture */

#define SCRUBBED 'x'

/* Is this surely a block 0 of YMODEM? `name NUL size ...`, numbers behind it, then only NUL. A block 0 of XMODEM is
 * the 256th of a file. Returns where the size begins; 0: it is none. */
static size_t size_at(const uint8_t *data, size_t len)
{
	const uint8_t *end = memchr(data, 0, len);
	size_t at = end ? (size_t)(end - data) + 1 : len, begin = at;
	for (size_t i = 0; i + 1 < begin; i++)
		if (data[i] < ' ')
			return 0;
	while (at < len && ((data[at] >= '0' && data[at] <= '9') || data[at] == ' '))
		at++;
	return begin > 1 && begin < len && only(0, data + at, len - at) ? begin : 0;
}

/* Block 0 of YMODEM, whose size begins at `size`. */
static void scrub_header(uint8_t *data, size_t len, size_t size)
{
	memset(data, SCRUBBED, size - 1);
	while (size < len && data[size] >= '0' && data[size] <= '9')
		size++;
	memset(data + size, 0, len - size);
}

static void scrub_data(uint8_t number, uint8_t *data, size_t len)
{
	size_t size = number == 0 ? size_at(data, len) : 0;
	uint8_t head[SCP_HEAD];
	memcpy(head, data, sizeof(head));
	if (number == 0 && !data[0]) { /* the end of a batch */
		memset(data, 0, len);
		return;
	}
	if (size) {
		scrub_header(data, len, size);
		return;
	}
	while (len && data[len - 1] == PAD)
		len--;
	memset(data, SCRUBBED, len);
	if (number != 1 || !record_length(head))
		return;
	memcpy(data + SCP_LENGTH, head + SCP_LENGTH, 4);
	memcpy(data + SCP_MARK, head + SCP_MARK, SCP_HEAD - SCP_MARK);
}

/* A good block stays good, a bad one bad. */
static void scrub_block(uint8_t *bytes, size_t len)
{
	size_t n = data_length(bytes);
	uint8_t *data = bytes + HEAD, *check = data + n;
	bool good = check_good(bytes, len);
	scrub_data(bytes[1], data, n);
	unsigned sum = sum_of(data, n), crc = crc_of(data, n), spoil = good ? 0 : 0xff;
	check[0] = (uint8_t)((len == HEAD + n + 1 ? sum : crc >> 8) ^ spoil);
	if (len == HEAD + n + 2)
		check[1] = (uint8_t)(crc ^ spoil);
}

static void xmodem_scrub(const struct vg_driver *self, unsigned channel, uint8_t *bytes, size_t len)
{
	(void)self;
	(void)channel;
	size_t kept = bytes[0] == EOT; /* it may have been one, late as it was */
	if (is_block(bytes, len))
		scrub_block(bytes, len);
	else if (!only(EOT, bytes, len) && !only(CAN, bytes, len))
		memset(bytes + kept, SCRUBBED, len - kept);
}

static const struct vg_option options[] = {
	{.name = "check",
		.fallback = "auto",
		.choices = (const char *const[]){"auto", "crc", "sum", NULL},
		.help = "how the sender is asked to protect its blocks; auto: both in turn"},
};

const struct vg_driver xmodem = {
	.name = "xmodem",
	.version = 1,
	.title = "Files by XMODEM or YMODEM (ECG carts)",
	.title_zh = "XMODEM/YMODEM文件(心电图机)",
	.experimental = true,
	.bus = VG_BUS_STREAM,
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.state_size = sizeof(struct xmodem),
	.frame_max = BLOCK_MAX,
	.frame_gap_ms = QUIET_MS,
	.opened = xmodem_opened,
	.heard = xmodem_heard,
	.expired = xmodem_expired,
	.kept = xmodem_kept,
	.refused = xmodem_refused,
	.frame = xmodem_frame,
	.scrub = xmodem_scrub,
};
