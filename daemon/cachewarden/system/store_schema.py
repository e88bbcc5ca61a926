"""What the state file holds, in SQL."""

SCHEMA = """
CREATE TABLE cycles (
    id TEXT PRIMARY KEY, trigger TEXT NOT NULL, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL,
    freed INTEGER NOT NULL, actions INTEGER NOT NULL, failures INTEGER NOT NULL, shortfall INTEGER NOT NULL
) STRICT;
CREATE INDEX cycles_by_time ON cycles (started_at);
CREATE TABLE removals (
    cycle TEXT NOT NULL, at INTEGER NOT NULL, policy TEXT NOT NULL, ecosystem TEXT NOT NULL, owner TEXT NOT NULL,
    cache TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL, name TEXT, version TEXT,
    freed INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX removals_by_cycle ON removals (cycle);
CREATE INDEX removals_by_path ON removals (path);
CREATE INDEX removals_by_name ON removals (name);
CREATE TABLE policies (name TEXT PRIMARY KEY, looked_at INTEGER, fruitless TEXT) STRICT;
CREATE TABLE sightings (
    cache TEXT NOT NULL, path TEXT NOT NULL, first_seen INTEGER NOT NULL, last_used INTEGER NOT NULL,
    PRIMARY KEY (cache, path)
) STRICT, WITHOUT ROWID;
"""

MOVES = """
CREATE TABLE moves (
    cycle TEXT NOT NULL, at INTEGER NOT NULL, policy TEXT NOT NULL, ecosystem TEXT NOT NULL, owner TEXT NOT NULL,
    source TEXT NOT NULL, destination TEXT NOT NULL, phase TEXT NOT NULL, copied INTEGER NOT NULL,
    freed INTEGER NOT NULL, text TEXT NOT NULL
) STRICT;
"""
"""Made where it is missing: older programs do not mind it."""
_RETURN_COLUMNS = (
    ("removals", "back_at", "INTEGER"),
    ("removals", "back_fetched", "INTEGER"),
    ("removals", "back_built", "INTEGER"),
    ("removals", "back_same", "INTEGER"),
)
"""Table, name and type. All of them are NULL while nothing came back."""
ADDED_COLUMNS = (
    ("removals", "regain", "TEXT"),
    ("sightings", "signal", "TEXT"),
    ("sightings", "uses", "INTEGER NOT NULL DEFAULT 0"),
    *_RETURN_COLUMNS,
)
"""Table, name and type of columns that the first states did not have."""
INSERT_REMOVAL = (
    "INSERT INTO removals (cycle, at, policy, ecosystem, owner, cache, path, kind, name, version, freed, reason,"
    " regain) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
INSERT_SIGHTING = (
    "INSERT OR REPLACE INTO sightings (cache, path, first_seen, last_used, signal, uses) VALUES (?,?,?,?,?,?)"
)
REMOVALS_OF = (
    "SELECT cycle, at, policy, ecosystem, owner, cache || '/' || path, name, version, freed, reason, kind, {regain}"
    " FROM removals WHERE name = ?1 OR path = ?1 OR cache || '/' || path = ?1 ORDER BY at DESC LIMIT ?2"
)
TABLE_OF_MOVES = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'moves'"

DELETE_OLDER_MOVES = """
DELETE FROM moves WHERE rowid IN (
    SELECT rowid FROM (
        SELECT rowid, row_number() OVER (ORDER BY rowid DESC) AS of_all,
        row_number() OVER (PARTITION BY owner ORDER BY rowid DESC) AS of_one FROM moves
    ) WHERE of_all > ? OR of_one > ?
)
"""
DELETE_OLDER_HALF = """
DELETE FROM removals WHERE rowid < (SELECT (min(rowid) + max(rowid)) / 2 FROM removals)
AND (SELECT sum(length(cache) + length(path) + length(reason) + ifnull(length(name), 0) + ifnull(length(version), 0))
    FROM removals) > ?
"""
