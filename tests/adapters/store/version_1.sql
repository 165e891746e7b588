PRAGMA application_id = 1515211854;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE calibrations (
    id TEXT PRIMARY KEY,
    taken_at TEXT NOT NULL,     -- ISO 8601, UTC
    finished INTEGER NOT NULL,  -- 0 or 1
    writer TEXT NOT NULL,       -- machine:process that measures it, or measured it last
    written_at REAL NOT NULL,   -- seconds since 1970, of its last change
    origin TEXT NOT NULL,       -- empty: measured by whom the store belongs to
    subject TEXT NOT NULL,      -- JSON: what was calibrated
    fingerprint TEXT NOT NULL   -- JSON: on what
) WITHOUT ROWID;
INSERT INTO "calibrations" VALUES('aaaaaaaa','2026-11-01T08:30:00.123456+00:00',1,'',1.79598340119593167301e+09,'','{"kind": "model", "subject": "gpt2-124m", "family": "decoder", "stand_in": "", "target": {"key": "depth=12 batch=8", "role": "step", "depth": 12, "batch": 8, "features": {"products": 2500000000000.0}, "predicted_bytes": 3000000000.0}, "parameters": 124000000.0, "flop_per_sample": 750000000000.0}','{"device": "AMD EPYC", "kind": "cpu", "driver": "", "threads": 1, "backend": "torch", "versions": {"keras": "3.15.1", "torch": "2.13.0"}, "precision": "fp32", "compiled": false}');
INSERT INTO "calibrations" VALUES('bbbbbbbb','2026-11-01T08:30:00.123456+00:00',0,'',1.79598340119614291194e+09,'imported from a.json on 2026-11-02','{"kind": "sweep", "subject": "all", "family": "decoder", "stand_in": "", "target": null, "parameters": null, "flop_per_sample": null}','{"device": "AMD EPYC", "kind": "cpu", "driver": "", "threads": 1, "backend": "torch", "versions": {"keras": "3.15.1", "torch": "2.13.0"}, "precision": "fp32", "compiled": false}');
INSERT INTO "calibrations" VALUES('cccccccc','2026-11-01T08:30:00.123456+00:00',1,'',1.79598340119624805448e+09,'','{"kind": "model", "subject": "gpt2-124m", "family": "decoder", "stand_in": "", "target": {"key": "depth=12 batch=8", "role": "step", "depth": 12, "batch": 8, "features": {"products": 2500000000000.0}, "predicted_bytes": 3000000000.0}, "parameters": 124000000.0, "flop_per_sample": 750000000000.0}','{"device": "AMD EPYC", "kind": "cpu", "driver": "", "threads": 1, "backend": "torch", "versions": {"keras": "3.15.1", "torch": "2.13.0"}, "precision": "fp32", "compiled": false}');
CREATE TABLE notes (
    number INTEGER PRIMARY KEY,
    calibration TEXT NOT NULL REFERENCES calibrations (id) ON DELETE CASCADE,
    text TEXT NOT NULL
);
INSERT INTO "notes" VALUES(1,'aaaaaaaa','busy: 3 others');
INSERT INTO "notes" VALUES(2,'aaaaaaaa','é');
CREATE TABLE points (
    number INTEGER PRIMARY KEY, -- in the order they were added
    calibration TEXT NOT NULL REFERENCES calibrations (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    point TEXT NOT NULL,        -- JSON
    setup_s REAL, peak_bytes REAL, program_bytes REAL,
    failure TEXT NOT NULL,
    UNIQUE (calibration, key)
);
INSERT INTO "points" VALUES(1,'aaaaaaaa','depth=2 batch=8','{"key": "depth=2 batch=8", "role": "step", "depth": 2, "batch": 8, "features": {"products": 400000000000.0}, "predicted_bytes": null}',4.2,2000000000.0,1000000000.0,'');
INSERT INTO "points" VALUES(2,'aaaaaaaa','depth=4 batch=8','{"key": "depth=4 batch=8", "role": "step", "depth": 4, "batch": 8, "features": {}, "predicted_bytes": null}',NULL,NULL,NULL,'building a:b raised ValueError: x');
INSERT INTO "points" VALUES(3,'cccccccc','depth=2 batch=8','{"key": "depth=2 batch=8", "role": "step", "depth": 2, "batch": 8, "features": {}, "predicted_bytes": null}',NULL,NULL,NULL,'');
CREATE TABLE samples (
    number INTEGER PRIMARY KEY,
    point INTEGER NOT NULL REFERENCES points (number) ON DELETE CASCADE,
    round INTEGER NOT NULL,
    wall_s REAL NOT NULL, cpu_s REAL NOT NULL, clock_hz REAL
);
INSERT INTO "samples" VALUES(1,1,0,0.3,0.29,NULL);
INSERT INTO "samples" VALUES(2,1,1,0.3,0.29,1410000000.0);
INSERT INTO "samples" VALUES(3,3,0,0.3,0.29,NULL);
CREATE INDEX samples_of_point ON samples (point);
CREATE INDEX notes_of_calibration ON notes (calibration);
COMMIT;
