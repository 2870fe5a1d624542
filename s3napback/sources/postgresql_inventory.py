"""What a database of PostgreSQL holds by its catalogues, and what a dump of it holds by its remarks. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from s3napback.config.postgresql_options import POSTGRESQL_RULES
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.sources.dump_signs import watched
from s3napback.sources.postgresql_answers import database_name, matches
from s3napback.sources.postgresql_rows import PostgreSQLRows
from s3napback.streams.transformations import Block

ROUTINES, TRIGGERS, POLICIES, RULES, LARGE_OBJECTS = "routines", "triggers", "policies", "rules", "large objects"

_RELATIONS = ("table", "view", "materialized view", "sequence", "foreign table")
_COUNTED = {
    **dict.fromkeys((b"FUNCTION", b"PROCEDURE", b"AGGREGATE"), ROUTINES),
    b"TRIGGER": TRIGGERS,
    b"POLICY": POLICIES,
    b"RULE": RULES,
}
_WITHOUT_SCHEMA = ("schema", "extension", "event trigger", "publication", "subscription", "server")
_NAMED = frozenset(kind.upper().encode() for kind in (*_RELATIONS, *_WITHOUT_SCHEMA))

_LINE_BREAKS = regex(r"[\n\r]")
_FOR_TABS = "\x01"  # in names
_LONGEST = 16384  # bytes of a line that is looked for; arguments of functions belong to their names
_SIGN = regex(
    rb"\n(?:"
    rb'-- Database "(?P<database>[^\n]{0,900})" dump\n'
    rb"|-- (?:Data for )?Name: (?P<name>[^\n]*); Type: (?P<type>[A-Z ]+); Schema: (?P<schema>[^\n]*); Owner: "
    rb"|SELECT pg_catalog\.lo_(?P<object>open)\('"
    rb")"
)
"""Lines of ``pg_backup_archiver.c``, ``pg_dumpall.c`` and ``pg_dump.c``."""

_QUESTIONS = """
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
    WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind,
    n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN c.relpersistence::text ELSE '' END AS more
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_(toast|temp_)' AND (
    n.nspname NOT IN ('pg_catalog', 'information_schema')
    OR (c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'f') AND c.relname !~ '^sql_')
) AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND (d.deptype = 'e' OR (c.relkind = 'S' AND d.deptype = 'i'))
)
UNION ALL
SELECT 'routines', n.nspname, '', '' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^(pg_|information_schema$)' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i')
)
UNION ALL
SELECT 'misplaced routine', n.nspname, p.proname, '' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname IN ('pg_catalog', 'information_schema') AND p.oid >= 16384 AND p.proname !~ '^_pg_' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
)
UNION ALL
SELECT x.what, n.nspname, c.relname, '' FROM (
    SELECT 'triggers', tgrelid FROM pg_trigger t WHERE NOT tgisinternal AND NOT EXISTS (
        SELECT FROM pg_depend d JOIN pg_trigger above ON above.oid = d.refobjid
        WHERE d.classid = 'pg_trigger'::regclass AND d.refclassid = d.classid AND d.objid = t.oid
        AND above.tgenabled = t.tgenabled
    )
    UNION ALL SELECT 'policies', polrelid FROM pg_policy
    UNION ALL SELECT 'rules', ev_class FROM pg_rewrite WHERE rulename <> '_RETURN'
) AS x (what, relation) JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|information_schema$)' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
)
UNION ALL
SELECT 'large objects', '', '', count(*)::text FROM pg_largeobject_metadata HAVING count(*) > 0
UNION ALL
SELECT x.what, '', x.name, '' FROM (
    SELECT 'schema', 'pg_namespace'::regclass, oid, nspname FROM pg_namespace
    UNION ALL SELECT 'extension', 'pg_extension'::regclass, oid, extname FROM pg_extension
    UNION ALL SELECT 'event trigger', 'pg_event_trigger'::regclass, oid, evtname FROM pg_event_trigger
    UNION ALL SELECT 'server', 'pg_foreign_server'::regclass, oid, srvname FROM pg_foreign_server
) AS x (what, catalogue, oid, name)
WHERE x.oid >= 16384 AND (x.what <> 'schema' OR x.name !~ '^(pg_|public$|information_schema$)') AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = x.catalogue AND d.objid = x.oid AND d.deptype = 'e'
)
UNION ALL
SELECT 'rows of an extension', n.nspname, c.relname, e.extname FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid
WHERE c.relkind = 'r' AND c.oid >= 16384 AND NOT c.oid = ANY (coalesce(e.extconfig, '{}'))
AND CASE WHEN d.deptype = 'e' THEN pg_relation_size(c.oid) > 0 END
UNION ALL
SELECT 'mapping', '', coalesce(m.usename, 'public'), s.srvname
FROM pg_user_mappings m JOIN pg_foreign_server s ON s.oid = m.srvid
WHERE m.umoptions IS NULL AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
AND NOT (m.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE'))
AND NOT (m.umuser <> 0 AND m.usename = current_user
    AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')))
UNION ALL
SELECT 'setting', '', name, '' FROM pg_settings
WHERE name IN ('zero_damaged_pages', 'ignore_checksum_failure') AND setting = 'on'
"""
"""All that a dump should hold, in the words of messages. 16384 is FirstNormalObjectId: what has a smaller number was
made with the server. Views of the standard may have been made anew, as notes of releases advise. pg_dump passes over
the server's own schemas, and over triggers that a partition has from the table above it unless they are switched on or
off otherwise; and of an extension's tables writes only the rows of those that it calls its configuration.
The size of a table is asked for last, since that waits for whoever has locked it.
The view ``pg_user_mappings`` hides options from others, and pg_dump then writes the mapping without any.
Settings are those of this session, which the dump's have in common with it."""

_FROM_10 = """
UNION ALL
SELECT 'publication', '', pubname, '' FROM pg_publication
UNION ALL
SELECT 'subscription', '', s.subname,
    CASE WHEN (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN '' ELSE 'hidden' END
FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()
"""


def questions(version: int) -> str:
    """One query for all that a dump of the database should hold: a kind, a schema, a name, and what is beside it.

    Args:
        version: ``server_version_num``.
    """
    return columns_of(_QUESTIONS + (_FROM_10 if version >= 100_000 else ""))


def columns_of(query: str) -> str:
    """A query for ``kind``, ``schema``, ``name`` and ``more``; tabs, which stand between these, become others."""
    names = (f"replace({column}::text, E'\\t', E'\\x01')" for column in ("kind", "schema", "name", "more"))
    return f"SELECT {', '.join(names)} FROM ({query}) AS found"  # noqa: S608


class Thing(NamedTuple):
    """One thing that a database has.

    Attributes:
        kind: as messages call it.
        schema: in which it is; empty for what is in none.
        name: its own, or that of the table to which it belongs.
        more: a table's persistence, the server of a user mapping, an extension; how many large objects there are.
    """

    kind: str
    schema: str
    name: str
    more: str


def read_things(text: str) -> list[Thing]:
    """What psql printed with ``--record-separator-zero``, columns between tabs.

    Raises:
        ValueError: it is no answer to the questions.
    """
    records = [record.split("\t") for record in text.split("\0") if record]
    if any(len(record) != len(Thing._fields) or not record[0].replace(" ", "").isalpha() for record in records):
        raise ValueError(f"psql printed {text[:40]!r}")
    return [Thing(*record) for record in records]


@dataclass(frozen=True)
class DatabaseContents:
    """What one database holds, and what of that a dump must hold by PostgreSQLOptions.

    Attributes:
        things: all.
        options: PostgreSQLOptions.
        database: how the things are told from those of others; empty where there is one only.
    """

    things: Sequence[Thing]
    options: Sequence[str]
    database: str = ""

    @property
    def is_empty(self) -> bool:
        """Nobody has put a relation into it that belongs to no extension."""
        return not any(thing.kind in _RELATIONS for thing in self.things)

    def names(self) -> frozenset[str]:
        """What the dump must hold, as messages call it."""
        found: set[str] = set()
        for thing in filter(self._has_plain_name, self._wanted()):
            if thing.kind in _RELATIONS or thing.kind in _WITHOUT_SCHEMA:
                found.add(thing_name(thing.kind, thing.schema, thing.name, self.database))
            if thing.more in ("p", "u") and thing.kind == "table" and self._has_wanted_rows(thing):
                found.add(thing_name(_ROWS, thing.schema, thing.name, self.database))
        return frozenset(found)

    def counts(self) -> Mapping[str, int]:
        """Of what else the dump must hold, how much there is."""
        kinds = (ROUTINES, TRIGGERS, POLICIES, RULES, LARGE_OBJECTS)
        found: Counter[str] = Counter()
        for thing in self._wanted():
            if thing.kind in kinds:
                # There may be millions of them, which are counted by the server.
                found[counted_thing(thing.kind, self.database)] += int(thing.more) if thing.kind == LARGE_OBJECTS else 1
        return found

    def hidden(self) -> list[str]:
        """What the user of the dump may not see, so that it would be missing, as messages call it."""
        found = {"mapping": "the options of the user mapping of {0.name} for the server {0.more}"}
        found["subscription"] = "the subscription {0.name}"
        return [
            counted_thing(found[thing.kind].format(thing), self.database)
            for thing in self._wanted()
            if thing.kind in found and thing.more
        ]

    def remarks(self) -> tuple[str, ...]:
        """What should be said, one line each."""
        found = []
        for thing in self._wanted():
            name = counted_thing(f"{thing.schema}.{thing.name}", self.database)
            if thing.kind == "rows of an extension":
                found.append(
                    f"the rows of the table {name} are not in the dump: it belongs to the extension {thing.more}, "
                    "which does not ask for them"
                )
            elif thing.kind == "misplaced routine":
                found.append(
                    f"the routine {name} is not in the dump, since that schema is the server's own: move it to another"
                )
            elif thing.kind == "setting":
                found.append(
                    f"the setting {thing.name} is on: rows on damaged pages would be missing from the dump, or be "
                    "others than they were, without a word. Switch it off (ALTER SYSTEM, DATABASE or ROLE ... RESET)"
                )
        return tuple(found)

    def _wanted(self) -> Iterator[Thing]:
        """What PostgreSQLOptions do not leave out; in doubt it counts as left out."""
        schemas = POSTGRESQL_RULES.values_of(self.options, "--exclude-schema", "-N")
        extensions = POSTGRESQL_RULES.values_of(self.options, "--exclude-extension")
        tables = POSTGRESQL_RULES.values_of(self.options, "--exclude-table", "-T")
        # Their children are known to the server.
        tables += ["*"] if POSTGRESQL_RULES.values_of(self.options, "--exclude-table-and-children") else []
        left_out = {kind for kind in ("publication", "subscription") if f"--no-{kind}s" in self.options}
        for thing in self.things:
            schema = thing.name if thing.kind == "schema" else thing.schema
            if thing.kind in left_out or (schema and any(matches(pattern, schema) for pattern in schemas)):
                continue
            if thing.kind == "extension" and any(matches(pattern, thing.name) for pattern in extensions):
                continue
            if thing.schema and thing.name and any(_is_of(pattern, thing) for pattern in tables):
                continue
            yield thing

    def _has_wanted_rows(self, thing: Thing) -> bool:
        patterns = POSTGRESQL_RULES.values_of(self.options, "--exclude-table-data")
        if thing.more == "u" and "--no-unlogged-table-data" in self.options:
            return False
        if POSTGRESQL_RULES.values_of(self.options, "--exclude-table-data-and-children"):
            return False
        return not any(_is_of(pattern, thing) for pattern in patterns)

    def _has_plain_name(self, thing: Thing) -> bool:
        """Whether the dump names it as the server does, in the same bytes."""
        text = thing.schema + thing.name
        is_recoded = bool(POSTGRESQL_RULES.values_of(self.options, "--encoding", "-E"))
        return text.isprintable() and not (is_recoded and not text.isascii())


_ROWS = "rows of the table"


def thing_name(kind: str, schema: str, name: str, database: str) -> str:
    """What messages call one thing that has a name."""
    article = "" if kind == _ROWS else "the "
    return counted_thing(f"{article}{kind} {schema}{'.' * bool(schema)}{name}", database)


def dumped_names(things: Sequence[Thing], database: str) -> set[str]:
    """What a dump calls things that have a name with a line break or a tab in it, or any other: ``sanitize_line``."""
    named = (*_RELATIONS, *_WITHOUT_SCHEMA)
    return {
        thing_name(each.kind, _as_dumped(each.schema), _as_dumped(each.name), database)
        for each in things
        if each.kind in named
    }


def _as_dumped(name: str) -> str:
    return _LINE_BREAKS.sub(" ", name).replace(_FOR_TABS, "\t")


class PostgreSQLInventory:
    """Follows a dump of one database, or of a whole server.

    Attributes:
        names: of databases, and of what is in them.
        counts: of what has no names here.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._database = ""
        self._rows = PostgreSQLRows()

    @property
    def rows(self) -> Mapping[tuple[str, ...], int]:
        """Of each table; see ``Counted``."""
        return self._rows.rows

    @property
    def uncounted(self) -> Set[tuple[str, ...]]:
        """Of these it is only known that they have some."""
        return self._rows.uncounted

    @property
    def without_rows(self) -> Set[tuple[str, ...]]:
        """Tables of which the dump has no row, though they were not left out."""
        return self._rows.bare | {table for table, count in self._rows.rows.items() if not count}

    @property
    def turns(self) -> Mapping[tuple[str, ...], tuple[float, float]]:
        """None: tables are locked when a dump begins."""
        return {}

    def passed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass it on."""
        return watched(self._rows.passed(blocks), _SIGN, _LONGEST, self._note)

    def _note(self, sign: re.Match[bytes]) -> None:
        if sign["database"] is not None:
            self._database = sign["database"].decode(errors="surrogateescape")
            self.names.add(database_name(self._database))
        elif sign["object"]:
            self.counts[counted_thing(LARGE_OBJECTS, self._database)] += 1
        elif kind := _COUNTED.get(sign["type"]):
            self.counts[counted_thing(kind, self._database)] += 1
        elif sign["type"] in _NAMED or sign["type"] == b"TABLE DATA":
            called = _ROWS if sign["type"] == b"TABLE DATA" else sign["type"].decode().lower()
            schema, name = (sign[group].decode(errors="surrogateescape") for group in ("schema", "name"))
            self.names.add(thing_name(called, "" if schema == "-" else schema, name, self._database))


def counted_thing(what: str, database: str) -> str:
    """What messages call a number of things, or a thing, of a database; it is empty where there is one only."""
    return f"{what} of {database_name(database)}" if database else what


def _is_of(pattern: str, thing: Thing) -> bool:
    """Whether a pattern for tables, ``NAME`` or ``SCHEMA.NAME``, matches a relation or what belongs to one."""
    *schemas, name = _parts(pattern)
    return matches(name, thing.name) and all(matches(schema, thing.schema) for schema in schemas[-1:])


def _parts(pattern: str) -> list[str]:
    """A pattern's parts, between dots that are not in quotes."""
    parts, quoted = [""], False
    for character in pattern:
        quoted ^= character == '"'
        if character == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
