-- Store schema, version 6 (db.c has the steps from older ones; new columns stand last). Instants are microseconds since 1970 UTC unless a name says otherwise.
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
	setting TEXT,                   -- clinic, home, home_bed, care_home
	changed INTEGER NOT NULL,
	populations TEXT NOT NULL DEFAULT '', -- of the ten: elderly;pregnant;child_0_6 ...
	conditions TEXT NOT NULL DEFAULT '', -- pregnant;breastfeeding;on_oxygen;copd;treated_diabetes
	chain TEXT NOT NULL DEFAULT '', -- whom an alert goes to one after the other: D-0001;H-0001
	signed_on INTEGER,
	owner TEXT NOT NULL DEFAULT '', -- the gateway that makes this resident's lists and drafts; '': this one
	state TEXT NOT NULL DEFAULT 'active', -- deceased, moved, withdrawn, unlisted, merged, erased
	state_at INTEGER,
	merged_into INTEGER,
	label BLOB                      -- what a person may see on the console: encrypted (label.h)
);

CREATE TABLE team (
	team TEXT NOT NULL,
	member TEXT NOT NULL,           -- token
	role TEXT NOT NULL,             -- doctor, specialist, nurse, assistant, health_manager, village_doctor
	hours TEXT NOT NULL DEFAULT '', -- as centre_parse() takes them; '': always
	PRIMARY KEY (team, member)
) WITHOUT ROWID;
CREATE INDEX team_member ON team(member);

CREATE TABLE personal_limit (           -- of one resident, set by a doctor
	id INTEGER PRIMARY KEY,
	resident INTEGER NOT NULL,
	kind TEXT NOT NULL,
	side TEXT NOT NULL,             -- at_least, at_most
	milli INTEGER NOT NULL,
	severity TEXT NOT NULL,
	author TEXT NOT NULL,
	reason TEXT NOT NULL,
	valid_from INTEGER NOT NULL,
	valid_to INTEGER NOT NULL,
	pending INTEGER NOT NULL DEFAULT 0, -- 1: looser than the rules, and waits for a second doctor
	confirmed_by TEXT               -- that one; NULL: none was needed
);
CREATE INDEX personal_limit_resident ON personal_limit(resident);

CREATE TABLE roster_piece (             -- of a roster that is not complete yet
	version TEXT NOT NULL,
	n INTEGER NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (version, n)
) WITHOUT ROWID;

CREATE TABLE card (                     -- keyed hash of what a reader reads
	hash BLOB PRIMARY KEY,
	resident INTEGER NOT NULL,
	at INTEGER NOT NULL,
	author TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE booking (                  -- who is expected today
	station TEXT NOT NULL,
	day TEXT NOT NULL,              -- YYYY-MM-DD
	resident INTEGER NOT NULL,
	at TEXT NOT NULL DEFAULT '',    -- HH:MM
	purpose TEXT NOT NULL DEFAULT 'follow-up',
	PRIMARY KEY (station, day, resident)
) WITHOUT ROWID;

CREATE TABLE checkin (                  -- who is at a station; the rules: station.h
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,
	station TEXT NOT NULL,
	resident INTEGER,               -- NULL: it was undone
	purpose TEXT NOT NULL,          -- follow-up, exam, home-bed, hut
	source TEXT NOT NULL,           -- typed, card, barcode, booking, split
	author TEXT NOT NULL,
	from_us INTEGER NOT NULL,
	to_us INTEGER,                  -- NULL: open, until activity_us and the idle time
	activity_us INTEGER NOT NULL,
	boot_id BLOB NOT NULL,          -- of the three below: CLOCK_BOOTTIME
	from_boot INTEGER NOT NULL,
	to_boot INTEGER,
	activity_boot INTEGER NOT NULL,
	ended TEXT,                     -- checkout, next, idle, complete, split
	after INTEGER NOT NULL DEFAULT 0, -- health hut: reading.id up to which was measured before anybody was identified; 0: none
	last_reading INTEGER NOT NULL   -- reading.id that was the newest when it began
);
CREATE INDEX checkin_ended ON checkin(station, to_us);
CREATE INDEX checkin_boot ON checkin(station, boot_id, to_boot);

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
	live INTEGER NOT NULL DEFAULT 0, -- 1: told as it was measured
	named INTEGER,                  -- resident that the message names; 0: an unknown id, -1: an unproven one; NULL: names nobody
	checkin INTEGER,                -- that claimed it
	reasons TEXT,                   -- claims that contradict each other: JSON, with resident.id
	station TEXT,                   -- where the device stood; NULL: at none
	UNIQUE (uuid, revision)
);
CREATE INDEX reading_resident ON reading(resident, taken);
CREATE INDEX reading_unassigned ON reading(id)
	WHERE resident IS NULL AND superseded = 0 AND evidence <> 'place';

CREATE INDEX reading_checkin ON reading(checkin) WHERE checkin IS NOT NULL;
CREATE INDEX reading_unknown_time ON reading(id) WHERE trust = 'unknown' AND superseded = 0;

CREATE TABLE annotation (               -- what a person added to a reading; every later revision carries it
	reading BLOB NOT NULL,          -- reading.uuid
	key TEXT NOT NULL,              -- meal, arm, posture, sample, operator
	value TEXT NOT NULL,
	author TEXT NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (reading, key)
) WITHOUT ROWID;

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
CREATE INDEX evidence_resident ON evidence(resident, kind, taken, milli, trust, comparator, reading); -- covers history.c
CREATE INDEX evidence_reading ON evidence(reading);

CREATE TABLE visit (                    -- a follow-up visit that a person opened: a proposal until a person confirms it
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,
	resident INTEGER NOT NULL,
	form TEXT NOT NULL,
	state TEXT NOT NULL,            -- open, closed, confirmed, entered-in-error
	origin TEXT NOT NULL,           -- here, elsewhere
	day TEXT NOT NULL,              -- YYYY-MM-DD
	revision INTEGER NOT NULL,
	answers TEXT NOT NULL DEFAULT '{}', -- what persons said: JSON, key -> value
	author TEXT NOT NULL,           -- who opened it
	class INTEGER,                  -- of a confirmed one: these five
	next_day TEXT,
	referral TEXT,                  -- reasons: JSON
	referral_result TEXT,
	body TEXT,                      -- the form as it was confirmed: JSON as forwarded
	confirmed_by TEXT,
	confirmed_at INTEGER,
	reason TEXT,                    -- of a correction
	changed INTEGER NOT NULL,
	rules_version TEXT NOT NULL,
	evidence_changed INTEGER NOT NULL DEFAULT 0 -- 1: a reading of it is another one, or another's, since it was confirmed
);
CREATE INDEX visit_resident ON visit(resident, form, day);
CREATE INDEX visit_unconfirmed ON visit(resident) WHERE state IN ('open', 'closed');

CREATE TABLE visit_window (
	id INTEGER PRIMARY KEY,
	visit INTEGER NOT NULL,
	checkin INTEGER,                -- its window; NULL: the two below
	from_us INTEGER,
	to_us INTEGER                   -- NULL: open
);
CREATE INDEX visit_window_visit ON visit_window(visit);
CREATE INDEX visit_window_checkin ON visit_window(checkin) WHERE checkin IS NOT NULL;

CREATE TABLE visit_revision (           -- every confirmed form, as it was
	visit INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	body TEXT NOT NULL,
	author TEXT NOT NULL,
	at INTEGER NOT NULL,
	reason TEXT,
	PRIMARY KEY (visit, revision)
) WITHOUT ROWID;

CREATE TABLE plan (                     -- a next visit that a person set
	resident INTEGER NOT NULL,
	form TEXT NOT NULL,
	day TEXT NOT NULL,
	author TEXT NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (resident, form)
) WITHOUT ROWID;

CREATE TABLE digest (                   -- a morning's list, a month's rates
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,
	kind TEXT NOT NULL,             -- due, kpi
	period TEXT NOT NULL,           -- YYYY-MM-DD, YYYY-MM
	part INTEGER NOT NULL,          -- 1, 2 ... of a list that fits no single message
	revision INTEGER NOT NULL,
	body TEXT NOT NULL,             -- JSON as forwarded
	at INTEGER NOT NULL,
	UNIQUE (kind, period, part)
);

CREATE TABLE clock_span (               -- how our clock ran against CLOCK_BOOTTIME, until it was set; the rules: span.h
	id INTEGER PRIMARY KEY,         -- a later one is higher
	boot_id BLOB NOT NULL,
	from_boot INTEGER NOT NULL,
	to_boot INTEGER NOT NULL,       -- last seen so, or when the next one began
	shift_us INTEGER NOT NULL,      -- CLOCK_REALTIME minus CLOCK_BOOTTIME
	synced INTEGER NOT NULL,        -- 1: the kernel said that a time server disciplines it
	reading INTEGER NOT NULL,       -- the newest rows of these tables when it began
	study INTEGER NOT NULL,
	alert INTEGER NOT NULL,
	told INTEGER NOT NULL,          -- 0: nobody heard yet that the clock was set
	repaired INTEGER                -- shift_us by which what came in it was dated again
);

CREATE TABLE clock_repair (             -- what came while our clock was wrong is dated again: one row, until it is done
	boot_id BLOB PRIMARY KEY,
	shift_us INTEGER NOT NULL,      -- of the clock that is right, as was known at
	at_boot INTEGER NOT NULL,       -- CLOCK_BOOTTIME of that boot
	synced INTEGER NOT NULL,        -- 1: because a time server says so
	reading INTEGER NOT NULL,       -- rows that were looked at
	study INTEGER NOT NULL,
	alert INTEGER NOT NULL,
	readings INTEGER NOT NULL       -- that were dated again
) WITHOUT ROWID;

CREATE TABLE alert (
	id INTEGER PRIMARY KEY,
	uuid BLOB NOT NULL UNIQUE,
	revision INTEGER NOT NULL,
	reading BLOB,                   -- reading.uuid; NULL: a sensor is silent
	resident INTEGER,
	severity TEXT NOT NULL,         -- critical, warning
	state TEXT NOT NULL,            -- active, latched (over, and nobody acknowledged it), inactive
	recipient TEXT NOT NULL,
	role TEXT NOT NULL,             -- doctor, deputy, duty, chain, staff, institution
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
	study BLOB,                     -- study.uuid; NULL: of no study
	boot_id BLOB,                   -- of this CLOCK_BOOTTIME, at which it was raised
	raised_boot INTEGER,
	condition TEXT NOT NULL DEFAULT '', -- what it is about: bp-high; '': one of a study, or of an older version
	level INTEGER NOT NULL DEFAULT 0, -- enum severity of now; `severity` is the highest that was not acknowledged
	phase TEXT NOT NULL DEFAULT 'start', -- of this revision: start, continue, escalate, deescalate, update, end
	labels TEXT NOT NULL DEFAULT '[]', -- of the alert itself: JSON array; `doubts` are those of the shown reading
	shown BLOB,                     -- reading.uuid: the latest of the highest level; `body` and `doubts` are its
	critical_at INTEGER,            -- when that reading was taken by which it was first critical
	raised_revision INTEGER NOT NULL DEFAULT 1, -- at which its present severity was reached
	told_day INTEGER NOT NULL DEFAULT 0, -- local day (day.h) on which it was raised, raised higher or reopened
	deliver TEXT NOT NULL DEFAULT 'now', -- now, after_quiet, morning, list
	not_before INTEGER,             -- when it is delivered
	step INTEGER NOT NULL DEFAULT 0,
	station TEXT,                   -- where it was measured
	sent INTEGER,                   -- these two: the first revision on its way, and receipted by a platform
	receipted INTEGER,
	read_by TEXT,
	read_at INTEGER,
	ended_by BLOB,                  -- reading.uuid that ended it
	staff INTEGER NOT NULL DEFAULT 0, -- 1: it goes to staff, and not to the resident's doctor and chain
	joined INTEGER NOT NULL DEFAULT 0, -- readings that were ever in it, and
	readings INTEGER NOT NULL DEFAULT 0, -- that are
	pages INTEGER NOT NULL DEFAULT 0, -- how often somebody was told anew
	hooked INTEGER NOT NULL DEFAULT 0, -- `pages` of which the hook heard last (notify.h)
	sounding INTEGER NOT NULL DEFAULT 0 -- 1: the hook heard of a page, and not yet that it is over
);
CREATE INDEX alert_open ON alert(id) WHERE state IN ('active', 'latched');
CREATE INDEX alert_open_of ON alert(resident) WHERE state IN ('active', 'latched');
CREATE INDEX alert_resident ON alert(resident, condition, told_day);
CREATE INDEX alert_ended_by ON alert(ended_by) WHERE ended_by IS NOT NULL;
CREATE INDEX alert_recent ON alert(raised);
CREATE INDEX alert_sounding ON alert(id) WHERE sounding = 1;

CREATE TABLE alert_reading (            -- that fired in it
	alert BLOB NOT NULL,
	reading BLOB NOT NULL,          -- reading.uuid
	n INTEGER NOT NULL,             -- order in which they joined
	level INTEGER NOT NULL,
	at INTEGER NOT NULL,            -- taken; arrived, when that is not trusted
	body TEXT NOT NULL,             -- as alert.body
	doubts TEXT NOT NULL,
	PRIMARY KEY (alert, reading)
) WITHOUT ROWID;
CREATE INDEX alert_reading_reading ON alert_reading(reading);

CREATE TABLE alert_history (            -- every revision, as it was
	n INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of their making; followers count by it
	alert BLOB NOT NULL,
	revision INTEGER NOT NULL,
	at INTEGER NOT NULL,
	phase TEXT NOT NULL,
	state TEXT NOT NULL,
	severity TEXT NOT NULL,
	level INTEGER NOT NULL,
	recipient TEXT NOT NULL,
	role TEXT NOT NULL,
	step INTEGER NOT NULL,
	deliver TEXT NOT NULL,
	labels TEXT NOT NULL,           -- all that its message has: JSON array
	ack_author TEXT,                -- who acknowledged by this revision
	ack_outcome TEXT,
	UNIQUE (alert, revision)
);

CREATE TABLE escalation (               -- alerts that nobody acknowledged yet
	alert BLOB PRIMARY KEY,
	since INTEGER NOT NULL,
	boot_id BLOB NOT NULL,
	due_boot INTEGER NOT NULL,      -- as in pending_repeat
	due INTEGER NOT NULL,
	rests INTEGER NOT NULL DEFAULT 0 -- 1: the alert is over, and may be reopened today
) WITHOUT ROWID;
CREATE INDEX escalation_due ON escalation(rests, due_boot);

CREATE TABLE absence (
	member TEXT NOT NULL,           -- token
	from_us INTEGER NOT NULL,
	to_us INTEGER NOT NULL,
	deputy TEXT NOT NULL DEFAULT '',
	author TEXT NOT NULL,
	PRIMARY KEY (member, from_us)
) WITHOUT ROWID;

CREATE TABLE duty (                     -- who is there for a team outside its members' hours
	team TEXT NOT NULL,
	member TEXT NOT NULL,
	from_us INTEGER NOT NULL,
	to_us INTEGER NOT NULL,
	author TEXT NOT NULL,
	PRIMARY KEY (team, from_us, member)
) WITHOUT ROWID;

CREATE TABLE pending_repeat (           -- doubtful critical readings that wait for a clean one, in the order of asking
	reading BLOB NOT NULL,          -- reading.uuid
	condition TEXT NOT NULL,
	device INTEGER NOT NULL,
	kind TEXT NOT NULL,             -- of the reading
	kinds TEXT NOT NULL,            -- numbers that a clean one must carry: "spo2 spo2.pulse"
	severity TEXT NOT NULL,
	body TEXT NOT NULL,             -- as in alert
	doubts TEXT NOT NULL,
	since INTEGER NOT NULL,
	boot_id BLOB NOT NULL,
	due_boot INTEGER NOT NULL,      -- CLOCK_BOOTTIME of that boot at which staff are told
	due INTEGER NOT NULL,           -- the same by the gateway clock, for another boot
	PRIMARY KEY (reading, condition)
);

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
	due INTEGER,                    -- when its report is due
	station TEXT,                   -- these four as in reading
	named INTEGER,
	checkin INTEGER,
	reasons TEXT
);
CREATE INDEX study_undecoded ON study(tries, id) WHERE status = 'undecoded';
CREATE INDEX study_resident ON study(resident, taken);
CREATE INDEX study_rejected ON study(id) WHERE format IS NULL;
CREATE INDEX study_checkin ON study(checkin) WHERE checkin IS NOT NULL;

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
	reason TEXT,
	body TEXT                       -- the object as it goes, of kinds that are made of what changes; NULL: made anew
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
