-- What the scripts of versions/ make of an empty database, so that a first start need not load Alembic.
-- tests/contract/test_sqlite.py keeps it equal to them and says how to write it anew.

CREATE TABLE accounts (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	profile TEXT,
	segments_per_s FLOAT,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;

CREATE TABLE credentials (
	token TEXT NOT NULL,
	account_id TEXT NOT NULL,
	secret_sha256 TEXT NOT NULL,
	label TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	revoked_ms BIGINT,
	PRIMARY KEY (token),
	FOREIGN KEY(account_id) REFERENCES accounts (id)
)
 WITHOUT ROWID

;

CREATE TABLE applications (
	id TEXT NOT NULL,
	account_id TEXT NOT NULL,
	name TEXT NOT NULL,
	callback_url TEXT,
	callback_username TEXT,
	callback_password TEXT,
	callback_auth TEXT NOT NULL,
	events TEXT,
	signing_secret TEXT,
	opt_out INTEGER NOT NULL,
	help_text TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	smart_encoding INTEGER NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(account_id) REFERENCES accounts (id)
)
 WITHOUT ROWID

;

CREATE TABLE numbers (
	number TEXT NOT NULL,
	kind TEXT NOT NULL,
	account_id TEXT NOT NULL,
	application_id TEXT NOT NULL,
	segments_per_s FLOAT,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (number),
	FOREIGN KEY(account_id) REFERENCES accounts (id),
	FOREIGN KEY(application_id) REFERENCES applications (id)
)
 WITHOUT ROWID

;

CREATE TABLE carriers (
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	in_doubt TEXT NOT NULL,
	receipt_timeout_s INTEGER,
	paused INTEGER NOT NULL,
	settings TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;

CREATE TABLE routes (
	id TEXT NOT NULL,
	carrier_id TEXT NOT NULL,
	prefix TEXT NOT NULL,
	kind TEXT NOT NULL,
	priority INTEGER NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(carrier_id) REFERENCES carriers (id)
)
 WITHOUT ROWID

;

CREATE TABLE opt_outs (
	number TEXT NOT NULL,
	handset TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (number, handset)
)
 WITHOUT ROWID

;

CREATE TABLE messages (
	id TEXT NOT NULL,
	account_id TEXT NOT NULL,
	application_id TEXT NOT NULL,
	direction TEXT NOT NULL,
	kind TEXT NOT NULL,
	owner TEXT NOT NULL,
	source TEXT NOT NULL,
	destinations TEXT NOT NULL,
	text TEXT NOT NULL,
	media TEXT,
	tag TEXT,
	priority TEXT,
	expiration TEXT,
	valid_until_ms BIGINT NOT NULL,
	segment_count INTEGER NOT NULL,
	encoding TEXT NOT NULL,
	profile TEXT NOT NULL,
	received_ms BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT messages_direction CHECK (direction in ('out', 'in')),
	CONSTRAINT messages_kind CHECK (kind in ('sms', 'mms'))
)
 WITHOUT ROWID

;

CREATE TABLE deliveries (
	message_id TEXT NOT NULL,
	recipient INTEGER NOT NULL,
	"to" TEXT NOT NULL,
	state TEXT NOT NULL,
	carrier_id TEXT,
	lane TEXT,
	error_code INTEGER,
	description TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	segments_total INTEGER NOT NULL,
	segments_delivered INTEGER NOT NULL,
	submitted_ms BIGINT,
	receipt_due_ms BIGINT,
	final_ms BIGINT,
	PRIMARY KEY (message_id, recipient),
	CONSTRAINT deliveries_state CHECK (state in ('QUEUED', 'SENT', 'IN_DOUBT', 'DELIVERED', 'FAILED', 'UNDELIVERED', 'RECEIVED', 'ACCEPTED'))
)
 WITHOUT ROWID

;

CREATE INDEX deliveries_awaiting_receipt ON deliveries (receipt_due_ms) WHERE receipt_due_ms IS NOT NULL;

CREATE TABLE exchanges (
	message_id TEXT NOT NULL,
	recipient INTEGER NOT NULL,
	at_ms BIGINT NOT NULL,
	what TEXT NOT NULL,
	carrier_id TEXT,
	error_code INTEGER,
	description TEXT NOT NULL,
	PRIMARY KEY (message_id, recipient, at_ms, what)
)
 WITHOUT ROWID

;

CREATE TABLE idempotency (
	account_id TEXT NOT NULL,
	"key" TEXT NOT NULL,
	request_sha256 TEXT NOT NULL,
	message_id TEXT NOT NULL,
	expires_ms BIGINT NOT NULL,
	PRIMARY KEY (account_id, "key")
)
 WITHOUT ROWID

;

CREATE TABLE outbox (
	lane TEXT NOT NULL,
	due_ms BIGINT NOT NULL,
	message_id TEXT NOT NULL,
	recipient INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	valid_until_ms BIGINT NOT NULL,
	claimed_ms BIGINT,
	PRIMARY KEY (message_id, recipient)
)
 WITHOUT ROWID

;

CREATE INDEX outbox_due ON outbox (lane, due_ms, message_id, recipient);

CREATE TABLE events (
	id TEXT NOT NULL,
	message_id TEXT NOT NULL,
	recipient INTEGER NOT NULL,
	type TEXT NOT NULL,
	"to" TEXT NOT NULL,
	error_code INTEGER,
	description TEXT NOT NULL,
	time_ms BIGINT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;

CREATE TABLE callbacks (
	application_id TEXT NOT NULL,
	due_ms BIGINT NOT NULL,
	event_id TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	first_ms BIGINT NOT NULL,
	PRIMARY KEY (event_id)
)
 WITHOUT ROWID

;

CREATE INDEX callbacks_due ON callbacks (application_id, due_ms, event_id);

CREATE TABLE attempts (
	event_id TEXT NOT NULL,
	started_ms BIGINT NOT NULL,
	duration_ms INTEGER NOT NULL,
	status INTEGER,
	error TEXT,
	answer TEXT NOT NULL,
	PRIMARY KEY (event_id, started_ms)
)
 WITHOUT ROWID

;

CREATE TABLE handset_messages (
	network_id TEXT NOT NULL,
	handset TEXT NOT NULL,
	peer TEXT NOT NULL,
	direction TEXT NOT NULL,
	text TEXT NOT NULL,
	media TEXT NOT NULL,
	participants TEXT NOT NULL,
	reference TEXT NOT NULL,
	fate TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	PRIMARY KEY (network_id)
)
 WITHOUT ROWID

;

CREATE INDEX deliveries_in_doubt ON deliveries (carrier_id, "to") WHERE state = 'IN_DOUBT';

CREATE TABLE segments (
	message_id TEXT NOT NULL,
	recipient INTEGER NOT NULL,
	number INTEGER NOT NULL,
	carrier_id TEXT NOT NULL,
	carrier_message_id TEXT NOT NULL,
	state TEXT NOT NULL,
	receipt_error TEXT,
	responded_ms BIGINT NOT NULL,
	receipt_ms BIGINT,
	match_key TEXT NOT NULL,
	PRIMARY KEY (message_id, recipient, number, carrier_message_id)
)
 WITHOUT ROWID

;

CREATE INDEX segments_by_match_key ON segments (match_key, carrier_id);

CREATE TABLE parked_receipts (
	carrier_id TEXT NOT NULL,
	carrier_message_id TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	state TEXT NOT NULL,
	error_code INTEGER,
	error TEXT NOT NULL,
	reference TEXT,
	handset TEXT NOT NULL,
	sender TEXT NOT NULL,
	user_reference INTEGER,
	text TEXT NOT NULL,
	octets TEXT NOT NULL,
	conversion TEXT NOT NULL,
	match_key TEXT,
	PRIMARY KEY (carrier_id, carrier_message_id, at_ms, state)
)
 WITHOUT ROWID

;

CREATE INDEX parked_receipts_by_match_key ON parked_receipts (match_key, carrier_id) WHERE match_key IS NOT NULL;

CREATE INDEX parked_receipts_by_reference ON parked_receipts (reference) WHERE reference IS NOT NULL;

CREATE INDEX parked_receipts_by_age ON parked_receipts (at_ms);

CREATE INDEX parked_receipts_by_handset ON parked_receipts (handset, carrier_id);

CREATE TABLE pdus (
	message_id TEXT NOT NULL,
	recipient INTEGER NOT NULL,
	at_ms BIGINT NOT NULL,
	place INTEGER NOT NULL,
	lane TEXT NOT NULL,
	direction TEXT NOT NULL,
	octets TEXT NOT NULL,
	PRIMARY KEY (message_id, recipient, at_ms, place),
	CONSTRAINT pdus_direction CHECK (direction in ('out', 'in'))
)
 WITHOUT ROWID

;

CREATE TABLE parts (
	carrier_id TEXT NOT NULL,
	source TEXT NOT NULL,
	destination TEXT NOT NULL,
	reference INTEGER NOT NULL,
	width INTEGER NOT NULL,
	total INTEGER NOT NULL,
	number INTEGER NOT NULL,
	encoding TEXT NOT NULL,
	octets TEXT NOT NULL,
	single_shift INTEGER NOT NULL,
	received_ms BIGINT NOT NULL,
	carrier_message_id TEXT NOT NULL,
	PRIMARY KEY (carrier_id, source, destination, reference, width, total, number)
)
 WITHOUT ROWID

;

CREATE INDEX parts_by_age ON parts (received_ms);

CREATE TABLE contents (
	sha256 TEXT NOT NULL,
	object_key TEXT NOT NULL,
	size BIGINT NOT NULL,
	stored_ms BIGINT NOT NULL,
	PRIMARY KEY (sha256)
)
 WITHOUT ROWID

;

CREATE INDEX contents_by_age ON contents (stored_ms);

CREATE INDEX contents_by_object ON contents (object_key);

CREATE TABLE media (
	account_id TEXT NOT NULL,
	name TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	content_type TEXT NOT NULL,
	cache_control TEXT,
	size BIGINT NOT NULL,
	created_ms BIGINT NOT NULL,
	expires_ms BIGINT,
	PRIMARY KEY (account_id, name)
)
 WITHOUT ROWID

;

CREATE INDEX media_by_content ON media (sha256);

CREATE INDEX media_by_expiry ON media (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE message_media (
	message_id TEXT NOT NULL,
	place INTEGER NOT NULL,
	sha256 TEXT NOT NULL,
	content_type TEXT NOT NULL,
	name TEXT NOT NULL,
	size BIGINT NOT NULL,
	PRIMARY KEY (message_id, place)
)
 WITHOUT ROWID

;

CREATE INDEX message_media_by_content ON message_media (sha256);

CREATE TABLE owed_mails (
	id TEXT NOT NULL,
	carrier_id TEXT NOT NULL,
	mailbox TEXT NOT NULL,
	mail TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;

CREATE INDEX owed_mails_by_carrier ON owed_mails (carrier_id, created_ms);

CREATE TABLE users (
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	password_hash TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	PRIMARY KEY (name)
)
 WITHOUT ROWID

;

CREATE TABLE audit (
	id TEXT NOT NULL,
	at_ms BIGINT NOT NULL,
	who TEXT NOT NULL,
	action TEXT NOT NULL,
	target TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;

CREATE TABLE nodes (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	url TEXT NOT NULL,
	roles TEXT NOT NULL,
	version TEXT NOT NULL,
	started_ms BIGINT NOT NULL,
	seen_ms BIGINT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;

CREATE TABLE leases (
	lane TEXT NOT NULL,
	node TEXT,
	epoch BIGINT NOT NULL,
	until_ms BIGINT NOT NULL,
	since_ms BIGINT NOT NULL,
	PRIMARY KEY (lane)
)
 WITHOUT ROWID

;

CREATE TABLE versions (
	what TEXT NOT NULL,
	number BIGINT NOT NULL,
	PRIMARY KEY (what)
)
 WITHOUT ROWID

;

CREATE TABLE writers (
	slot TEXT NOT NULL,
	batch BIGINT NOT NULL,
	at_ms BIGINT NOT NULL,
	PRIMARY KEY (slot)
)
 WITHOUT ROWID

;

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

INSERT INTO alembic_version (version_num) VALUES ('0006');
