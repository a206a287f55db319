/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vitalgate.yaml: static policy of one gateway. One table of keys (config_keys.c) validates it,
 * documents it and is compared with config/vitalgate.yaml by a test. A file is taken whole or not at
 * all; unknown keys are refused. Residents, bindings and limits are not here: they live in the store.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_DEVICES_MAX 256
#define CONFIG_SINKS_MAX 4
#define CONFIG_STATIONS_MAX 32
#define CONFIG_OPTIONS_MAX 8

enum carrier {
	TRANSPORT_BLE,
	TRANSPORT_SERIAL,
	TRANSPORT_RFCOMM,
	TRANSPORT_MODBUS,
	TRANSPORT_SPOOL,
	TRANSPORT_REPLAY,
	CARRIERS
};
const char *carrier_name(enum carrier c);

/* What the patient field of this device's messages means at this site. */
enum patient_field {
	PATIENT_IGNORE, /* never trusted: the default */
	PATIENT_TOKEN,	/* a resident's token */
	PATIENT_SAMPLE, /* a sample number: shown to whoever assigns, identifies nobody */
	PATIENT_TYPED, /* a token that somebody typed: taken when its check character or today's list proves it */
};

struct config_option {
	char name[24];
	char value[64];
};

struct config_device {
	char id[32]; /* our name for it: topics, logs, commands */
	char driver[24];
	enum carrier transport;
	/* ble, rfcomm: "C0:11:22:33:44:55" in capitals or "unix:/path" (simulated); serial: a device
	 * path; modbus: a device path or "tcp:HOST:PORT"; replay: the path of a capture */
	char address[128];
	bool random_address;  /* ble: the address is a random static one */
	char adapter[8];      /* ble, rfcomm: "hci0", "" = any */
	bool pairing;	      /* ble, rfcomm: ask the kernel for an encrypted link */
	uint8_t channel;      /* rfcomm: 1..30; 0: ask the device (SDP) */
	uint8_t slave;	      /* modbus: 1..247; over TCP also 0 and 255 (no gateway behind) */
	uint32_t poll_ms;     /* modbus: from the beginning of one round to the next */
	uint16_t response_ms; /* modbus: how long an answer may take to begin */
	uint16_t gap_ms;      /* modbus, serial: rest of the line between transactions */
	uint32_t baud;
	uint8_t data_bits, stop_bits;
	char parity; /* 'N', 'E', 'O' */
	bool dtr, rts;
	char station[32]; /* where it stands; "" = none */
	char place[24];	  /* what it watches, as alert rules name it: "fridge"; "" = nothing */
	enum patient_field patient_id;
	uint32_t expect_s; /* at least so often something is expected of it; 0: nothing is */
	bool test;	   /* everything from it is marked test and never filed */
	bool enrolled;	   /* no key: it stands in the file that enrolment writes (enrolled.h) */
	bool trial;	   /* no key: it is being enrolled, and stands in no file */
	unsigned n_options;
	struct config_option options[CONFIG_OPTIONS_MAX]; /* of the driver */
	unsigned line;					  /* in the file, for messages */
};

/* From when a contract holds that has a day of signing and no other. */
enum contract_start { CONTRACT_NEXT_JANUARY, CONTRACT_AT_ONCE };

enum receipt { RECEIPT_PLATFORM, RECEIPT_BROKER };

/* A file of a sink may also be "credential:NAME": the file NAME that systemd hands to the uplink and to
 * nobody else (daemon/uplink/credential.h). */
#define CONFIG_CREDENTIAL "credential:"

struct config_sink {
	char name[32];
	char host[128];
	uint16_t port;	    /* never 0: without a configured port 8883 with TLS, else 1883 */
	char client_id[64]; /* "" = vg-<gateway> */
	char user[64];
	char password_file[256]; /* first line; "" = none */
	bool tls;
	char ca_file[256], cert_file[256], key_file[256];
	uint16_t keepalive_s;
	enum receipt receipt;
	uint32_t receipt_timeout_s; /* without a receipt the row is sent again */
	uint16_t window;	    /* publishes in flight */
	unsigned line;
};

/* Where residents are measured, one after the other. */
struct config_station {
	char id[32];	   /* as devices[].station names it */
	char complete[96]; /* kinds of readings that end a check-in: "weight spo2"; "" = none */
	char purpose[12];  /* of a check-in by card or barcode */
	char contact[32];  /* staff token that gets what has no doctor; "" = site_contact */
	unsigned line;
};

struct config {
	char org[32], site[32], gateway[32]; /* topic levels: [A-Za-z0-9_-] */
	char zone[48];			     /* "Asia/Shanghai": what device clocks show */
	char language[4];		     /* "zh" or "en": people-facing texts */
	char site_contact[32];		     /* staff token that gets what has no doctor */
	bool alerts;			     /* false: only transfer and store */
	char quiet[12];			     /* "22:00-07:00": no warning is told; "" = never */
	char morning[6];		     /* "08:00": what came too late to page is told */
	char institution[32];		     /* token that is told last; "" = none */
	char staff_chain[256];		     /* tokens behind the contact: "S-0002;S-0003" */
	uint16_t altitude_m;		     /* of the site */
	char hook[256];			     /* program that is run for an alert; "" = none */
	uint16_t hook_timeout_s;
	char store[256];	 /* directory of the database */
	char runtime[256];	 /* directory of the sockets */
	char tables[256];	 /* directory of the code and rule tables */
	char profiles[256];	 /* directory of the site's own profiles */
	uint16_t retention_days; /* how long what was delivered stays here */
	uint16_t commit_rows;	 /* rows of one transaction */
	enum contract_start contract_start;
	char label_key[256]; /* file; "" = label.key in the store */
	bool lists_due,
		lists_kpi;   /* tell the platform: a list every morning, the rates of a month */
	char lists_at[6];    /* "07:00" */
	char ecg_centre[32]; /* sink that is the ECG centre; "" = the first one */
	char ecg_hours[160]; /* its hours, as centre_parse() takes them (centre.h) */
	uint16_t ecg_report_minutes;   /* of its hours, after which its report is due */
	uint16_t ecg_not_sent_minutes; /* until it must have received a study */
	unsigned n_sinks;
	struct config_sink sinks[CONFIG_SINKS_MAX];
	unsigned n_stations;
	struct config_station stations[CONFIG_STATIONS_MAX];
	unsigned n_devices;
	struct config_device *devices; /* owned */
};

/*
 * Reads and checks a file. 0, or -errno with `error`, one sentence that names file, line, key, what
 * was expected and what was found: "vitalgate.yaml:12: devices[0].baud: expected one of 1200, 2400 ...
 * 230400, found "96000"". CONFIG_ERROR_MAX bytes hold every sentence. `ret` is written only on
 * success, and is then to be given to config_free().
 */
#define CONFIG_ERROR_MAX 640
#define CONFIG_FILE_MAX (1u << 20)
int config_load(const char *path, struct config *ret, char *error, size_t error_size);
int config_parse(const char *name, const char *text, size_t len, struct config *ret, char *error,
	size_t error_size);
void config_free(struct config *c);
/* A file that holds nothing but `version` and `devices`: they are added to those of `c`, checked like them and
 * against them, and marked `enrolled`. Or `c` stays as it was. A missing file is -ENOENT. */
int config_add(const char *path, struct config *c, char *error, size_t error_size);

/* One line per key: "devices[].data_bits\t7..8\t8\tdata bits of the line" (key, type, default,
 * meaning). A required key has the default "(required)". */
void config_document(void (*line)(const char *text, void *arg), void *arg);

/* What is allowed and hardly meant, and what to do about it; NULL: nothing. */
const char *config_hint(const struct config *c, bool chinese);

/* NULL: no such device. */
const struct config_device *config_device_named(const struct config *c, const char *id);

/* NULL: it is not listed. */
const struct config_station *config_station_named(const struct config *c, const char *id);

/* Value of the driver option `name` of this device, or NULL. */
const char *config_option(const struct config_device *d, const char *name);
