-- The store of one input at schema 1, every table filled. Never edited: files like it are out there.
BEGIN TRANSACTION;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "about" VALUES('input','thrive');
INSERT INTO "about" VALUES('lead reconciler','["host-a/boot/7/one", 1790000100.0]');
INSERT INTO "about" VALUES('start_from','1789913600.0');
CREATE TABLE checkpoints (
        oid TEXT PRIMARY KEY,
        url TEXT,
        object_time REAL NOT NULL,
        bucket TEXT NOT NULL,
        key TEXT NOT NULL,
        etag TEXT NOT NULL,
        version_id TEXT NOT NULL,
        size INTEGER,
        state TEXT NOT NULL,
        "offset" INTEGER NOT NULL,
        events INTEGER NOT NULL,
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        first_failed REAL NOT NULL,
        not_before REAL NOT NULL,
        epoch INTEGER NOT NULL,
        owner TEXT NOT NULL,
        updated REAL NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "checkpoints" VALUES('bad',NULL,1789996400.0,'thrive-audit-logs','k/bad','e-bad','',100,'quarantined',0,0,'truncated_gzip',0,0.0,0.0,1,'host-a/boot/7/one',1790000000.0);
INSERT INTO "checkpoints" VALUES('done',NULL,1789996400.0,'thrive-audit-logs','k/done','e-done','',100,'done',0,12,'',0,0.0,0.0,1,'host-a/boot/7/one',1790000000.0);
INSERT INTO "checkpoints" VALUES('gone',NULL,1789996400.0,'thrive-audit-logs','k/gone','e-gone','',100,'gone',0,0,'no such key',0,0.0,0.0,1,'host-a/boot/7/one',1790000000.0);
INSERT INTO "checkpoints" VALUES('half',NULL,1789996400.0,'thrive-audit-logs','k/half','e-half','',100,'open',500,0,'',0,0.0,0.0,1,'host-a/boot/7/one',1790000000.0);
INSERT INTO "checkpoints" VALUES('waits',NULL,1789996400.0,'thrive-audit-logs','k/waits','e-waits','',100,'open',0,0,'forbidden',3,1789999100.0,1790000060.0,1,'',1790000000.0);
CREATE TABLE owners (owner TEXT PRIMARY KEY, alive_until REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "owners" VALUES('host-a/boot/7/one',1790000060.0);
CREATE TABLE quarantine (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        url TEXT NOT NULL,
        created REAL NOT NULL,
        oid TEXT NOT NULL,
        ordinal INTEGER,
        "row" TEXT,
        size INTEGER NOT NULL,
        body BLOB NOT NULL
    );
INSERT INTO "quarantine" VALUES('q-object','object','truncated_gzip','it ends early','s3://thrive-audit-logs/k/bad',1789999995.0,'bad',NULL,'{"oid": "bad", "url": "s3://thrive-audit-logs/k/bad", "object_time": 1789996400.0, "bucket": "thrive-audit-logs", "key": "k/bad", "etag": "e-bad", "version_id": "", "size": 100, "state": "open", "offset": 0, "events": 0, "reason": "", "attempts": 0, "first_failed": 0.0, "not_before": 0.0, "epoch": 1, "owner": "host-a/boot/7/one", "updated": 1790000000.0}',525,X'');
INSERT INTO "quarantine" VALUES('q-event','event','hec_invalid_format','HEC cannot read it','s3://thrive-audit-logs/k/half',1789999996.0,'half',7,NULL,535,X'00FF726177');
INSERT INTO "quarantine" VALUES('q-body','body','unknown_body','nobody knows it','sqs://thrive-audit-queue/m9',1789999997.0,'',NULL,NULL,532,X'636166C3A9');
CREATE TABLE receipts (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "receipts" VALUES('r1','{"output": "hec", "spans": [["half", 500, 900]], "sent_at": 1789999998.0, "endpoint": "https://splunk.example.com:8088", "channel": "11111111-2222-4333-8444-555555555555", "ack_id": 42, "cookies": {"cookie": "c"}}');
CREATE TABLE receipts_of (
        oid TEXT NOT NULL,
        id TEXT NOT NULL,
        "end" INTEGER NOT NULL,
        PRIMARY KEY (oid, id)
    ) WITHOUT ROWID;
INSERT INTO "receipts_of" VALUES('half','r1',900);
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE spool (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL UNIQUE,
        receipt_handle TEXT NOT NULL,
        receive_count INTEGER NOT NULL,
        sent_at REAL,
        group_id TEXT,
        body TEXT NOT NULL
    );
INSERT INTO "spool" VALUES(1,'m1','handle',2,1789999970.0,'g','{"a": 1}');
CREATE INDEX open_checkpoints ON checkpoints (not_before) WHERE state = 'open';
CREATE INDEX quarantine_by_age ON quarantine (created, id, size);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('spool',1);
COMMIT;
