/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The contract between drivers and daemon, version 1.
 *
 * A driver is a constant table and callbacks: an event comes in, calls go out. It allocates nothing,
 * never blocks, and knows no clock but the `now` it is handed. It sees the headers of this directory and
 * mem*; a test holds it to that.
 *
 * Everything that a driver emits while one callback runs (readings, events, marks) is ONE unit of work.
 * The daemon commits the unit as a whole and then calls kept(), or calls refused() and nothing of it was
 * stored. Only after kept() may an instrument be told that its data is safe:
 *   - a GATT indication is confirmed by the daemon itself once its unit is kept;
 *   - on a byte stream the driver sends its own acknowledgement from kept().
 * An indication for which the driver emits nothing is still stored, raw, with its result class, and
 * confirmed the same way: one poison record must not block a meter for ever. Frames of a stream are only
 * counted, because they may carry names: there the driver names the bytes worth keeping.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VG_CONTRACT 1

/* Limits that a driver may rely on; the daemon refuses more with -E2BIG and counts `malformed`. */
#define VG_QUANTITIES_MAX 16 /* quantities in one reading */
#define VG_FLAGS_MAX 16	     /* flags in one reading */
#define VG_NOTES_MAX 8	     /* text attributes in one reading */
#define VG_TEXT_MAX 63	     /* bytes of one text attribute, without NUL; longer is cut */
#define VG_IDENTITY_MAX 256  /* identity bytes of one reading */
#define VG_FRAME_MAX 66000 /* longest frame of a byte stream: a 64 KiB message in one LIS01 frame */
#define VG_PDU_MAX 512	   /* longest GATT value (Core Specification, Vol 3, Part F, 3.2.9) */
#define VG_STUDY_MAX (4 * 1024 * 1024) /* longest study or file */

/* Civil time as a device shows it: local, no zone. 0 = unknown for year, month and day. */
struct vg_civil {
	uint16_t year;
	uint8_t month, day, hour, minute, second;
};

/* An exact decimal: mantissa x 10^exponent, so 1389e-1 stays 138.9 and its precision stays known. */
struct vg_decimal {
	int64_t mantissa;
	int8_t exponent;
};

/* When the bytes of this callback arrived. */
struct vg_now {
	int64_t utc_us;	       /* CLOCK_REALTIME, may be wrong: 1970 on a gateway without RTC */
	int64_t boot_us;       /* CLOCK_BOOTTIME, only for waiting and for differences */
	struct vg_civil civil; /* utc_us in the zone of the site */
};

/* What became of one PDU, frame or record. The names are stable: counters, JSON, logs, `devices`. */
enum vg_result {
	VG_READING, /* reading: at least one measurement */
	VG_NOTHING, /* nothing: understood, carries no measurement (cuff error, header, keep-alive) */
	VG_MALFORMED,	    /* malformed: too short, bad checksum, impossible structure */
	VG_OUT_OF_SEQUENCE, /* out_of_sequence: well-formed, but not now */
	VG_UNSUPPORTED, /* unsupported: well-formed, and not known to this driver or its tables */
	VG_IMPLAUSIBLE, /* implausible: well-formed, and cannot be true of a person */
	VG_RESULTS
};

/* One number of a reading, as received. Not measured = do not add it. */
struct vg_quantity {
	/* The kind of config/codes.csv, such as "bp.sbp". NULL when only the instrument's own test code is
	 * known: then `local` is looked up in config/local_codes.csv under the driver's name. */
	const char *kind;
	const char *local;
	struct vg_decimal value;
	char comparator;  /* 0 or '=': exact; '<' LO, '>' HI: the true value lies beyond `value` */
	const char *unit; /* as received, e.g. "kPa", "mg/dL"; the daemon converts */
	const char *received; /* the number as received when it was text; else NULL */
};

/* A text attribute: meal, sample, arm, specimen, operator ... Never a name, phone or address. */
struct vg_note {
	const char *key; /* static */
	const char *text;
	size_t len;
};

enum vg_status {
	VG_FINAL,
	VG_CORRECTED, /* the instrument itself says that this replaces an earlier result */
};

/* One measurement. All pointers are borrowed for the duration of the call, except `kind`, flags and note
 * keys, which must be static. */
struct vg_reading {
	const char *kind; /* "bp", "glucose", "lab", "spo2", "weight", "temperature" ... */
	const struct vg_civil *taken; /* device time as it came; NULL when the device sent none */
	/* It was measured as it came, and the protocol says so: it is no memory that is handed over. May stand beside a
	 * device time: that is then believed only when the device's clock was compared and says the same; else the
	 * reading is dated by its arrival. */
	bool live;
	int user;    /* user slot or person-id; -1 unknown */
	int64_t seq; /* sequence number or record index; -1 none */
	enum vg_status status;
	const struct vg_quantity *quantities;
	size_t n_quantities;
	const char *const *flags;
	size_t n_flags;
	const struct vg_note *notes;
	size_t n_notes;
	/* Who the message says was measured, as typed at the instrument. The daemon interprets it by the
	 * device's configuration and never stores it in clear unless it is a resident's token. */
	const char *patient;
	size_t patient_len;
	/* What identifies this measurement inside the device: sequence number + base time, record index,
	 * values + device time. Never an offset, an arrival time, a resident or a gateway. Length 0 = the
	 * device has nothing of the kind: the reading gets an arrival nonce and is never merged. */
	const uint8_t *identity;
	size_t identity_len;
	const uint8_t
		*raw; /* the bytes that carry this measurement; NULL = the whole PDU or frame */
	size_t raw_len;
};

enum vg_event_type {
	VG_EVENT_FAILED_MEASUREMENT, /* the cuff or meter itself says that it could not measure */
	VG_EVENT_DEVICE_CLOCK, /* `civil`: what the device's clock shows now; with `value` 1 the
				      * time of a message, which may have waited before it came */
	VG_EVENT_BATTERY,      /* `value`: percent, 0..100 */
	VG_EVENT_DEVICE_ERROR, /* `detail`: the device's own code */
	VG_EVENT_MEMORY_FULL,
	VG_EVENT_INSTRUMENT_RESTART, /* it began again in the middle of a message */
	VG_EVENT_CONTROL_SOLUTION,   /* a quality-control measurement: never a person's */
	VG_EVENT_EPISODE,	     /* a stretch of low values is over; `detail` sums it up */
	VG_EVENT_DRAINED, /* what it had in its memory has been told: what comes now is new */
	VG_EVENTS
};

struct vg_event {
	enum vg_event_type type;
	const struct vg_civil *civil;
	int64_t value;
	const char
		*detail; /* short static or borrowed text, English, no person's data; may be NULL */
};

enum vg_identity_type {
	VG_IDENTITY_TOKEN,   /* a resident's token on a card or barcode */
	VG_IDENTITY_ID_CARD, /* number of an identity card: hashed at once, never stored */
	VG_IDENTITY_CARD,    /* serial number of a contactless card: hashed at once */
};

/* One session with one connected instrument; opaque to drivers. */
struct vg_session;
typedef uint32_t vg_ticket;

/* calls: from a driver's callback only */

/* Write to the instrument. GATT: a write request to the characteristic of `channel`. Queued by the
 * daemon, over GATT until all subscriptions are on; a lost link ends the session. */
void vg_send(struct vg_session *s, unsigned channel, const void *bytes, size_t len);

/* (Re)arm the session's one timer: expired() is called after `ms`. 0 disarms. */
void vg_timer(struct vg_session *s, unsigned ms);

/* End the session. `why` is static English for the log. */
void vg_done(struct vg_session *s, const char *why);

/* Class of the PDU, frame or record at hand, when it is not a reading. vg_reading() counts by itself. */
void vg_result(struct vg_session *s, enum vg_result result);

/* A record that is no reading, counted as `result` and worth keeping: `raw` are its own bytes, no more,
 * `why` short English without a person's data. Returns a ticket like those below. */
vg_ticket vg_rejected(
	struct vg_session *s, enum vg_result result, const char *why, const void *raw, size_t len);

/* Add to the unit of this callback. They return the unit's ticket: the same for all calls within one
 * callback. The daemon counts the reading, checks plausibility and units, and may turn it into an
 * `implausible` or `unsupported` event; the ticket is kept or refused all the same. 0: it could not be
 * taken (memory), and what it carried must not be acknowledged. */
vg_ticket vg_reading(struct vg_session *s, const struct vg_reading *r);
vg_ticket vg_event(struct vg_session *s, const struct vg_event *e);
vg_ticket vg_identity(struct vg_session *s, enum vg_identity_type type, const void *id, size_t len);

/* A study: a file as it was recorded, built up piece by piece and committed whole with the unit of
 * vg_study_end(), which keeps its first `len` bytes (padding of the transfer is not part of it). One at a
 * time; begun again, the former is dropped. What is in it the daemon finds out. append returns 0 or -EFBIG,
 * -ENOMEM; end returns 0 when none was begun. */
void vg_study_begin(struct vg_session *s);
int vg_study_append(struct vg_session *s, const void *bytes, size_t len);
vg_ticket vg_study_end(struct vg_session *s, size_t len);

/* What an instrument that measures all the time shows at this moment. Samples are not stored one by one:
 * the daemon makes readings out of them, as the device's VG_SAMPLE_OPTIONS say. */
struct vg_sample {
	const char *kind; /* of the readings: "spo2" */
	/* What it shows now, the number that matters most first; none: it shows nothing. */
	const struct vg_quantity *quantities;
	size_t n_quantities; /* <= VG_SAMPLE_QUANTITIES_MAX */
	/* Why what it shows is in doubt, in words for a person ("low_perfusion", "artifact"), or why it
	 * shows nothing ("sensor_off"). None: clean. Static. */
	const char *const *flags;
	size_t n_flags;
};
#define VG_SAMPLE_QUANTITIES_MAX 4
void vg_sample(struct vg_session *s, const struct vg_sample *x);

/* Rows for the option table of a driver that calls vg_sample(). */
#define VG_SAMPLE_OPTIONS                                                                      \
	{"mode", "spot", (const char *const[]){"spot", "continuous", NULL},                    \
		"one reading when the values are steady, or a summary at intervals"},          \
		{"interval_s", "300", NULL, "continuous: seconds of one summary, 30 to 3600"}, \
		{"low", "90", NULL,                                                            \
			"continuous: below this it counts as low, and an episode "             \
			"begins"},                                                             \
	{                                                                                      \
		"steady_s", "8", NULL,                                                         \
			"spot: seconds without a doubt that make a reading, 4 to 60"           \
	}

/* Durable driver state, committed in the same transaction as what this callback emitted before it and
 * handed to opened() next time (RACP high-water mark). `key` is static, at most 15 bytes; value <= 64.
 * A unit with a mark is kept only if every unit of this session before it was kept: a mark never stands
 * above a record that a full disk refused. */
vg_ticket vg_mark(struct vg_session *s, const char *key, const void *value, size_t len);

/* May the instrument's clock be set now, and to what? Yes, if the option `clock` (VG_CLOCK_OPTION) allows
 * it, our own clock is good, and the one of the instrument, as it was told in this session by
 * VG_EVENT_DEVICE_CLOCK, is off by more than `tolerance_s`; 0: whatever it shows, even if it cannot be
 * read. A yes is audited with the unit of this callback, so write `ret_now` at once. Records that were
 * dated before are corrected by the offset from before. */
bool vg_clock_set(struct vg_session *s, unsigned tolerance_s, struct vg_civil *ret_now);

/* Row for the option table of a driver that calls vg_clock_set(). */
#define VG_CLOCK_OPTION                                                      \
	{                                                                    \
		"clock", "keep", (const char *const[]){"keep", "set", NULL}, \
			"set: its clock is set when it is clearly off"       \
	}

/* The session's driver state: state_size bytes, zeroed before opened(). */
void *vg_state(struct vg_session *s);

/* A configured option of this driver as text, or its default. */
const char *vg_option(struct vg_session *s, const char *name);

/* A mark of an earlier session; NULL when there is none. */
const uint8_t *vg_marked(struct vg_session *s, const char *key, size_t *ret_len);

/* the table */

enum vg_bus {
	VG_BUS_GATT,	  /* channels are characteristics */
	VG_BUS_STREAM,	  /* one channel, 0; frame() cuts the bytes */
	VG_BUS_REGISTERS, /* one channel, 0: what one round of Modbus polling brought (registers.h) */
	VG_BUS_ADVERT,	  /* never connected: channels are what it advertises, unauthenticated */
	VG_BUS_FILES, /* one channel, 0: each value is a whole file that was dropped into a directory;
			   * it is moved away once its unit is kept */
};

enum {
	VG_GATT_READ = 1, /* read once after connecting: heard() before anything is subscribed */
	VG_GATT_SUBSCRIBE =
		2,	   /* enable indications, else notifications, in the order of the table */
	VG_GATT_WRITE = 4, /* the driver writes here */
	VG_GATT_REQUIRED = 8, /* without it the session cannot work */
	VG_GATT_FIRST =
		16, /* with WRITE: what opened() and the reads send here goes out before anything
			       is subscribed (clocks, consent) */
};

struct vg_channel {
	uint16_t uuid16;     /* 0: uuid128 holds. Advertisements: service data of this service */
	uint8_t uuid128[16]; /* little-endian */
	uint16_t company;    /* advertisements without uuid16: manufacturer data of this company */
	uint16_t service16;  /* 0: any service */
	uint8_t use;
	const char *name; /* "2a35": the channel's name in captures and in `decode` */
};

struct vg_option {
	const char *name;
	const char *fallback;
	const char *const *choices; /* NULL-terminated; NULL: any text */
	const char *help;
};

/* What enrolment knows an instrument by, from what it advertises: all that is given here must be there. Of
 * two that fit, the one with a name wins, then the one with a company, then the first. */
struct vg_model {
	const char *title, *title_zh; /* "A&D UA-651BLE" */
	const char *name;	      /* beginning of the advertised name */
	uint16_t service16;	      /* advertised service; 0: service128 holds */
	uint8_t service128[16];	      /* little-endian; all zero: none */
	uint16_t company;	      /* of its manufacturer data; 0: any */
	const char *press, *press_zh; /* what a person does so that it can be found and paired */
	bool pairing;		      /* it tells nothing without a bond */
	const char *options;	      /* of the driver, to begin with: "clock=set quirk=beurer" */
};

/* Result of frame(): how the bytes at the head of the stream are to be cut. */
struct vg_frame {
	size_t skip; /* noise before the frame, counted `malformed` once until the next frame */
	bool filler; /* what is skipped is no noise (a line end that came late) and is not counted */
	size_t length; /* bytes of the frame after the noise; 0: wait for more */
};

struct vg_driver {
	const char *name; /* stable: configuration, captures, rows */
	uint16_t version; /* of the decoding; stored with every reading */
	const char *title, *title_zh;
	bool experimental; /* no bytes of a real device were seen */
	/* It cannot be paired, so whoever is near can pretend to be it: the daemon gives every reading the flag
	 * "unauthenticated". Advertisements are always so. */
	bool unauthenticated;
	enum vg_bus bus;
	const struct vg_channel *channels; /* GATT */
	size_t n_channels;
	const struct vg_option *options;
	size_t n_options;
	const struct vg_model *models; /* GATT, advertisements: what enrolment finds; may be none */
	size_t n_models;
	size_t state_size;
	size_t frame_max; /* stream: most bytes held; <= VG_FRAME_MAX */
	/* Stream: when the bytes held have not grown for so long, an unfinished frame will not be finished:
	 * its first byte is skipped as noise and frame() is asked again, until nothing unfinished is left.
	 * So an ENQ behind a frame that was cut off is heard. 0: never. */
	unsigned frame_gap_ms;
	/* GATT: rest between the last read and the first write, which the firmware of some instruments needs. */
	unsigned settle_ms;
	/* What a profile of config/profiles says, when that made this driver (line.h, registers.h). */
	const void *profile;

	/* `excerpt`: the bytes come from a file or a command line and may lack their beginning. */
	void (*opened)(struct vg_session *s, bool excerpt);
	void (*heard)(struct vg_session *s, unsigned channel, const uint8_t *bytes, size_t len,
		const struct vg_now *now);
	void (*expired)(struct vg_session *s, const struct vg_now *now);
	/* GATT: the instrument refused what was sent to `channel`, with this ATT error code. May be NULL. */
	void (*denied)(
		struct vg_session *s, unsigned channel, uint8_t code, const struct vg_now *now);
	/* GATT: the instrument ended the link by itself, when all its indications, at least one, were
	 * confirmed. May be NULL. */
	void (*hung_up)(struct vg_session *s, const struct vg_now *now);
	void (*kept)(struct vg_session *s, vg_ticket ticket);
	void (*refused)(struct vg_session *s, vg_ticket ticket, int why);
	/* Pure: cut the next frame off `bytes`, at least one, in view of the driver's state. Called again at
	 * once while it skips or cuts something and bytes are left, else when more has come. Files: length 0
	 * says that the file is not complete, and its writer may come back. */
	struct vg_frame (*frame)(const void *state, const uint8_t *bytes, size_t len);
	/* Pure: overwrite in `bytes`, one PDU or frame, whatever may say who somebody is; same length, and
	 * still a good frame. Keep what the driver reads and is nobody's, and nothing else; what is scrubbed already
	 * stays as it is. For captures. NULL: this protocol never carries such a thing. */
	void (*scrub)(const struct vg_driver *self, unsigned channel, uint8_t *bytes, size_t len);
};

/* What the profile says that made this session's driver. */
const void *vg_profile(struct vg_session *s);

extern const struct vg_driver *const vg_drivers[]; /* NULL-terminated, made from drivers/list.h */
