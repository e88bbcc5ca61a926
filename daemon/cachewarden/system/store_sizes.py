"""The recorded sizes, in SQL: one row per place and day."""

SIZES = """
CREATE TABLE sizes (
    place TEXT NOT NULL, day INTEGER NOT NULL, at INTEGER NOT NULL, held INTEGER NOT NULL, inodes INTEGER NOT NULL,
    freed INTEGER NOT NULL, freed_inodes INTEGER NOT NULL, PRIMARY KEY (place, day)
) STRICT, WITHOUT ROWID;
"""
"""Made where it is missing: older programs do not mind it."""
TABLE_OF_SIZES = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'sizes'"
READ_SIZES = (
    "SELECT place, day, at, held, inodes, freed, freed_inodes FROM sizes WHERE day >= ? ORDER BY place, day LIMIT ?"
)
MOST_READ = 500_000
INSERT_SIZE = (
    "INSERT OR REPLACE INTO sizes (place, day, at, held, inodes, freed, freed_inodes) VALUES (?,?,?,?,?,?,?)"
)
KEPT_DAYS = 120
"""Points of each place. They are counted: a clock that was wrong for a while must not cost them all."""
FORGOTTEN_AFTER = 180
"""Days without a point after which a place is forgotten."""
DELETE_OLDER_SIZES = """
DELETE FROM sizes WHERE (place, day) IN (
    SELECT place, day FROM (
        SELECT place, day, row_number() OVER (PARTITION BY place ORDER BY day DESC) AS age FROM sizes
    ) WHERE age > ?
)
"""
DELETE_ABSENT_SIZES = "DELETE FROM sizes WHERE place IN (SELECT place FROM sizes GROUP BY place HAVING max(day) < ?)"
