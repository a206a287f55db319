-- Store schema, version 4 (db.c has the steps from older ones; new columns stand last). Instants are microseconds since 1970 UTC unless a name says otherwise.
-- A reading is one row per (uuid, revision); the highest revision wins; nothing is overwritten.

CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE device (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	driver TEXT NOT NULL,
	address TEXT NOT NULL,
	uid TEXT,                       -- the device's own identity, fixed by the first unit it delivers
	last_seen INTEGER,
	ack_mode TEXT,                  -- held, unheld, none
	offset_us INTEGER,              -- its clock minus ours, when it last told
	offset_at INTEGER,
	battery INTEGER,
	n_reading INTEGER NOT NULL DEFAULT 0,
	n_nothing INTEGER NOT NULL DEFAULT 0,
	n_malformed INTEGER NOT NULL DEFAULT 0,
	n_out_of_sequence INTEGER NOT NULL DEFAULT 0,
	n_unsupported INTEGER NOT NULL DEFAULT 0,
	n_implausible INTEGER NOT NULL DEFAULT 0,
	session INTEGER NOT NULL DEFAULT 0, -- up to which unit all were kept: of which session,
	serial INTEGER NOT NULL DEFAULT 0,  -- and which of it
	drained INTEGER                 -- when it last had told everything in its memory
);

CREATE TABLE device_offset (            -- every measured clock offset, so that times can be repaired
	device INTEGER NOT NULL,
	at INTEGER NOT NULL,
	boot_id BLOB NOT NULL,
	boot_us INTEGER NOT NULL,
	offset_us INTEGER NOT NULL,
	until INTEGER NOT NULL DEFAULT 0 -- when it was last seen to be so
);
CREATE INDEX device_offset_device ON device_offset(device); -- by rowid: our clock may have been wrong

CREATE TABLE handover (                 -- waits until the device has told its memory
	device INTEGER NOT NULL,
	user_slot INTEGER NOT NULL,     -- -1: all of it
	resident INTEGER NOT NULL,      -- who gets it
	at INTEGER NOT NULL,
	author TEXT NOT NULL,
	PRIMARY KEY (device, user_slot)
) WITHOUT ROWID;

CREATE TABLE mark (                     -- durable driver state
	device INTEGER NOT NULL,
	key TEXT NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (device, key)
) WITHOUT ROWID;

CREATE TABLE resident (
	id INTEGER PRIMARY KEY,
	token TEXT NOT NULL UNIQUE,
	birth_date TEXT,                -- YYYY-MM-DD or YYYY
	sex TEXT,
	programmes TEXT NOT NULL,       -- hypertension;t2dm;copd;elderly
	doctor TEXT,
	team TEXT,
	valid_from INTEGER,             -- of the contract
	valid_to INTEGER,
	setting TEXT,
	changed INTEGER NOT NULL
);

CREATE TABLE binding (
	id INTEGER PRIMARY KEY,
	device INTEGER NOT NULL,
	resident INTEGER NOT NULL,
	user_slot INTEGER,              -- NULL: the device belongs to this resident alone
	valid_from INTEGER NOT NULL,
	valid_to INTEGER,
	author TEXT NOT NULL
);
CREATE INDEX binding_device ON binding(device, valid_from);

CREATE TABLE reading (
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL,
	revision INTEGER NOT NULL,
	status TEXT NOT NULL,           -- final, amended, entered-in-error, unassigned
	kind TEXT NOT NULL,
	device INTEGER NOT NULL,
	resident INTEGER,
	evidence TEXT NOT NULL,         -- why this resident, or why nobody; place: of no person at all
	grade TEXT NOT NULL,            -- none, device, slot, message, person
	in_contract INTEGER NOT NULL,
	test INTEGER NOT NULL,
	device_time TEXT,               -- civil, as it came
	arrived INTEGER NOT NULL,       -- gateway clock, right or wrong
	boot_id BLOB NOT NULL,
	boot_us INTEGER NOT NULL,       -- CLOCK_BOOTTIME of arrival
	offset_us INTEGER,
	taken INTEGER NOT NULL,         -- our best instant
	uncertainty_us INTEGER NOT NULL,
	trust TEXT NOT NULL,            -- corrected, live, device, arrival, unknown
	user_slot INTEGER,
	seq INTEGER,
	body TEXT NOT NULL,             -- values, flags, notes: JSON as forwarded
	patient_hash BLOB,              -- keyed hash of what was typed at the instrument
	content BLOB NOT NULL,          -- hash of raw bytes and typed patient
	conflicts_with BLOB,            -- same identity inside the device, other content
	raw BLOB NOT NULL,
	driver TEXT NOT NULL,           -- name/version of the decoding
	tables_version TEXT NOT NULL,
	committed_boot_us INTEGER NOT NULL,
	superseded INTEGER NOT NULL DEFAULT 0,
	place TEXT,                     -- what the device watched: "fridge"; NULL: a person, or no place is configured
	UNIQUE (uuid, revision)
);
CREATE INDEX reading_resident ON reading(resident, taken);
CREATE INDEX reading_unassigned ON reading(id)
	WHERE resident IS NULL AND superseded = 0 AND evidence <> 'place';

CREATE TABLE evidence (                 -- what a filed reading offers to the follow-up record
	resident INTEGER NOT NULL,
	kind TEXT NOT NULL,
	taken INTEGER NOT NULL,
	reading INTEGER NOT NULL,       -- reading.id
	milli INTEGER NOT NULL,
	decimals INTEGER NOT NULL,
	comparator TEXT,
	trust TEXT NOT NULL,
	tables_version TEXT NOT NULL
);
CREATE INDEX evidence_resident ON evidence(resident, kind, taken);
CREATE INDEX evidence_reading ON evidence(reading);

CREATE TABLE draft (                    -- follow-up draft: a proposal, only a person confirms it
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,
	resident INTEGER NOT NULL,
	form TEXT NOT NULL,
	revision INTEGER NOT NULL,
	changed INTEGER NOT NULL
);

CREATE TABLE alert (
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,
	revision INTEGER NOT NULL,
	reading BLOB,                   -- reading.uuid; NULL: a sensor is silent
	resident INTEGER,
	severity TEXT NOT NULL,         -- critical, warning
	state TEXT NOT NULL,            -- active, acknowledged, resolved: it ended by itself
	recipient TEXT NOT NULL,
	role TEXT NOT NULL,             -- doctor, site
	in_contract INTEGER NOT NULL,
	body TEXT NOT NULL,             -- rules and values: JSON as forwarded
	doubts TEXT NOT NULL,           -- what the reading leaves in doubt: JSON array
	raised INTEGER NOT NULL,
	ack_author TEXT,
	ack_outcome TEXT,
	acked INTEGER,
	rules_version TEXT NOT NULL,
	place TEXT,                     -- technical: of this place; NULL: physiological, as all below
	device INTEGER,
	since INTEGER,                  -- when its limit was broken first, or the sensor last heard
	ended INTEGER,                  -- when it was resolved
	study BLOB                      -- study.uuid; NULL: of no study
);
CREATE INDEX alert_open ON alert(id)
	WHERE state = 'active' OR (state = 'resolved' AND acked IS NULL);

CREATE TABLE pending_repeat (           -- doubtful critical readings that wait for a clean one
	reading BLOB PRIMARY KEY,       -- reading.uuid
	device INTEGER NOT NULL,
	kind TEXT NOT NULL,             -- of the reading
	kinds TEXT NOT NULL,            -- numbers that a clean one must carry: "spo2 spo2.pulse"
	severity TEXT NOT NULL,
	body TEXT NOT NULL,             -- as in alert
	doubts TEXT NOT NULL,
	since INTEGER NOT NULL,
	boot_id BLOB NOT NULL,
	due_boot INTEGER NOT NULL,      -- CLOCK_BOOTTIME of that boot at which staff are told
	due INTEGER NOT NULL            -- the same by the gateway clock, for another boot
) WITHOUT ROWID;

CREATE TABLE condition (                -- a technical rule that a device breaks, or is listened for
	device INTEGER NOT NULL,
	rule TEXT NOT NULL,
	since INTEGER NOT NULL,
	boot_id BLOB NOT NULL,
	due_boot INTEGER NOT NULL,      -- as above
	due INTEGER NOT NULL,
	body TEXT NOT NULL,             -- as in alert
	reading BLOB,                   -- the last one that broke the limit
	alert BLOB,                     -- alert.uuid, once it was told
	PRIMARY KEY (device, rule)
) WITHOUT ROWID;

CREATE TABLE study (                    -- an ECG as it was recorded, or another file
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,      -- of the device, the content, and whether it is a test
	revision INTEGER NOT NULL,      -- what is forwarded is this row as it is now
	status TEXT NOT NULL,           -- undecoded, final, amended, unassigned
	device INTEGER NOT NULL,
	driver TEXT NOT NULL,           -- name/version
	arrived INTEGER NOT NULL,       -- these three as in reading
	boot_id BLOB NOT NULL,
	boot_us INTEGER NOT NULL,
	test INTEGER NOT NULL,
	stranger INTEGER NOT NULL,      -- the device says it is another one than was enrolled
	bytes INTEGER NOT NULL,         -- of the original
	sha256 BLOB NOT NULL,
	tries INTEGER NOT NULL DEFAULT 0, -- of the decoder
	body TEXT,                      -- what the decoder said, without who the patient is: JSON as forwarded
	format TEXT,                    -- scp, aecg ... as the decoder said; NULL: not decoded, or rejected
	resident INTEGER,               -- from here to trust as in reading
	evidence TEXT NOT NULL DEFAULT '',
	grade TEXT NOT NULL DEFAULT 'none',
	in_contract INTEGER NOT NULL DEFAULT 0,
	device_time TEXT,
	taken INTEGER NOT NULL DEFAULT 0,
	uncertainty_us INTEGER NOT NULL DEFAULT 0,
	trust TEXT NOT NULL DEFAULT 'unknown',
	patient_hash BLOB,
	received INTEGER,               -- when the ECG centre had all of it
	due INTEGER                     -- when its report is due
);
CREATE INDEX study_undecoded ON study(tries, id) WHERE status = 'undecoded';
CREATE INDEX study_resident ON study(resident, taken);
CREATE INDEX study_rejected ON study(id) WHERE format IS NULL;

CREATE TABLE study_piece (              -- the original, in pieces that are forwarded one by one
	id INTEGER PRIMARY KEY,
	study INTEGER NOT NULL,
	n INTEGER NOT NULL,             -- 0, 1 ...
	bytes BLOB NOT NULL,
	UNIQUE (study, n)
);

CREATE TABLE report (                   -- what the ECG centre said of a study, each word of it
	id INTEGER PRIMARY KEY,
	study INTEGER NOT NULL,
	revision INTEGER NOT NULL,      -- 1, 2 ... of this study
	status TEXT NOT NULL,           -- preliminary, final, amended, poor_tracing, critical
	text TEXT,
	critical TEXT,                  -- what has to be read back
	author TEXT NOT NULL,
	at INTEGER NOT NULL,
	read_back_text TEXT,            -- in the words of whoever did
	read_back_by TEXT,
	read_back_at INTEGER,
	UNIQUE (study, revision)
);

CREATE TABLE study_wait (               -- what the centre owes us, or we owe the centre
	study INTEGER NOT NULL,
	what TEXT NOT NULL,             -- sent, report
	since INTEGER NOT NULL,
	boot_id BLOB NOT NULL,
	due_boot INTEGER NOT NULL,      -- as in pending_repeat
	due INTEGER NOT NULL,
	alert BLOB,                     -- alert.uuid, once staff were told
	PRIMARY KEY (study, what)
) WITHOUT ROWID;

CREATE UNIQUE INDEX draft_resident ON draft(resident, form);

CREATE TABLE event (                    -- what happened that is not a measurement
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,
	device INTEGER,
	type TEXT NOT NULL,
	at INTEGER NOT NULL,
	detail TEXT,
	raw BLOB
);

CREATE TABLE sink (                     -- which platform a number of outbox.sink means
	id INTEGER PRIMARY KEY,         -- place in the configuration; above 999: not configured now
	name TEXT NOT NULL UNIQUE
);

CREATE TABLE outbox (
	id INTEGER PRIMARY KEY AUTOINCREMENT, -- also the gateway's sequence number
	sink INTEGER NOT NULL,
	lane INTEGER NOT NULL,          -- one per kind, in the order in which they are served
	kind INTEGER NOT NULL,          -- enum object
	object INTEGER NOT NULL,        -- rowid in the table of that kind
	uuid BLOB NOT NULL,
	revision INTEGER NOT NULL,
	state INTEGER NOT NULL,         -- 0 pending, 1 sent, 3 rejected; receipted rows are gone
	next_try INTEGER NOT NULL,      -- CLOCK_REALTIME is wrong at times: CLOCK_BOOTTIME of this boot
	tries INTEGER NOT NULL DEFAULT 0,
	reason TEXT
);
CREATE INDEX outbox_due ON outbox(sink, state, lane, id);
CREATE INDEX outbox_retry ON outbox(sink, lane, next_try) WHERE next_try > 0;
CREATE INDEX outbox_object ON outbox(uuid, revision);

CREATE TABLE command (                  -- replies by id: a command that comes twice acts once
	id TEXT PRIMARY KEY,
	at INTEGER NOT NULL,
	reply TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
	id INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	author TEXT NOT NULL,
	action TEXT NOT NULL,
	object TEXT,
	detail TEXT
);
