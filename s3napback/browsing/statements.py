"""The statements by which a tree is kept in SQLite: what is there, and what there was."""

from __future__ import annotations

FIELDS = "letter, mode, owner, grp, size, seconds, nanoseconds, more"
SCHEMA = (
    (
        "CREATE TABLE node (folder BLOB NOT NULL, name BLOB NOT NULL, letter TEXT, mode INTEGER, owner, grp, "
        "size INTEGER, seconds INTEGER, nanoseconds INTEGER, more BLOB, state INTEGER, since INTEGER, "
        "lined INTEGER, origin INTEGER, link BLOB, PRIMARY KEY (folder, name)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE line (folder BLOB, name BLOB, letter TEXT, mode INTEGER, owner, grp, size INTEGER, "
        "seconds INTEGER, nanoseconds INTEGER, more BLOB, state INTEGER, since INTEGER, lined INTEGER, "
        "origin INTEGER, path BLOB)"
    ),
    (
        "CREATE TABLE span (folder BLOB, name BLOB, letter TEXT, mode INTEGER, owner, grp, size INTEGER, "
        "seconds INTEGER, nanoseconds INTEGER, more BLOB, state INTEGER, first INTEGER, last INTEGER)"
    ),
    "CREATE TABLE present (number INTEGER)",
    "INSERT INTO present VALUES (0)",
)
IF_THERE = f"""
ON CONFLICT (folder, name) DO UPDATE SET
since = CASE WHEN ({FIELDS}, state & 3) IS
(excluded.letter, excluded.mode, excluded.owner, excluded.grp, excluded.size, excluded.seconds, excluded.nanoseconds,
excluded.more, excluded.state) THEN since ELSE excluded.since END,
({FIELDS}, state, lined, origin, link) =
(excluded.letter, excluded.mode, excluded.owner, excluded.grp, excluded.size, excluded.seconds, excluded.nanoseconds,
excluded.more, excluded.state, excluded.lined, excluded.origin, excluded.link)
"""
PLACES = "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT = f"INSERT INTO node {PLACES} {IF_THERE}"
LINE = f"INSERT INTO line {PLACES}"
PUT_LINES = (
    f"INSERT INTO node SELECT folder, name, {FIELDS}, state, since, lined, origin, NULL FROM line WHERE true {IF_THERE}"
)
DOUBT = """
UPDATE node SET state = state | 4 WHERE name <> x'' AND lined < ? AND folder IN (SELECT path FROM line WHERE NOT EXISTS
(SELECT 1 FROM node AS old WHERE (old.folder, old.name, old.letter, old.lined) = (line.folder, line.name, 'd', ?)))
"""
KEEP = (
    f"INSERT INTO span SELECT OLD.folder, OLD.name, {', '.join('OLD.' + each for each in FIELDS.split(', '))}, "
    "OLD.state & 3, OLD.since, (SELECT number FROM present) - 1"
)  # fmt: skip
RECORDING = (
    f"CREATE TRIGGER gone AFTER DELETE ON node WHEN OLD.since < (SELECT number FROM present) BEGIN {KEEP}; END",
    f"CREATE TRIGGER changed AFTER UPDATE ON node WHEN OLD.since < NEW.since BEGIN {KEEP}; END",
)
MISSING_OR = "INSERT INTO node (folder, name, letter, state, since, lined) VALUES (?, ?, '?', 2, ?, ?) ON CONFLICT DO "
OUTPUT = f"folder, name, {FIELDS}, state & 3"
