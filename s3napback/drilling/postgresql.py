"""A throwaway server of PostgreSQL, not older than the one that a dump was made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field
from pathlib import Path

from s3napback.drilling.dumps import Loaded
from s3napback.drilling.postgresql_roles import first_superuser
from s3napback.drilling.postgresql_words import PostgreSQLWords
from s3napback.drilling.scratch import Scratch
from s3napback.drilling.throwaway import NotTried, Server, TrialTools, find_server, running
from s3napback.errors import PipelineError
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.sources.dump_command import Inventory, Table
from s3napback.sources.postgresql import connection_string
from s3napback.sources.postgresql_answers import database_name, definition_at
from s3napback.sources.postgresql_files import quoted
from s3napback.sources.postgresql_inventory import (
    POLICIES,
    RULES,
    DatabaseContents,
    PostgreSQLInventory,
    columns_of,
    counted_thing,
    dumped_names,
    questions,
    read_things,
)
from s3napback.streams.receiving import Receiver, ReceiverFailed

_VERSION = regex(rb"\n-- Dumped from database version (?P<major>\d+)[^\n]*\n")
_PROGRAM = regex(rb"\n-- Dumped by pg_dump version (?P<major>\d+)[^\n]*\n")
_USER = "s3napback_drill"
"""The name of the superuser that loads, which no dump makes: what it makes of others may keep these from connecting."""

_SERVER_SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    # What lies in /dev/shm else is outside of the scratch folder.
    "dynamic_shared_memory_type=mmap",
    "max_prepared_transactions=0",
)
_ASKING = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password", "--set=ON_ERROR_STOP=1")
_WHILE_LOADING = "-c default_transaction_read_only=off -c role=none -c array_nulls=on"
"""What may be set otherwise for a database by the dump itself, and would keep it from being loaded, or change it."""

_ROWS = """SELECT format('SELECT count(*) FROM ONLY %I.%I', n.nspname, c.relname), n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'
AND n.nspname !~ '^(pg_|information_schema$)' AND n.nspname || c.relname !~ '[[:cntrl:]]' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 2, 3"""

_MORE = """SELECT 'sequence' AS kind, n.nspname AS schema, c.relname AS name, '' AS more
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'
UNION ALL SELECT 'schema', '', nspname, '' FROM pg_namespace WHERE nspname = 'public'
UNION ALL SELECT 'rules', '', '', '' FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n
ON n.oid = c.relnamespace WHERE n.nspname !~ '^(pg_|information_schema$)'"""
"""What a dump defines although nobody asks for it: sequences of identity columns, the schema ``public`` where somebody
has made it anew, and views as rules."""

_ENCODING = regex(rb"^SET client_encoding = '(\w+)';$", re.MULTILINE)
_TABLESPACES = regex(rb'^CREATE TABLESPACE (?P<name>"(?:[^"\n]|"")+"|\w+) ', re.MULTILINE)


@dataclass(frozen=True)
class PostgreSQLTrial:
    """See ``Trial``.

    Attributes:
        scratch: where.
        database: that the dump is of; empty for those of all.
    """

    scratch: Scratch
    database: str
    _words: PostgreSQLWords = field(default_factory=PostgreSQLWords)
    _programs: list[Path] = field(default_factory=list)
    _servers: list[Server] = field(default_factory=list)
    _remarks: list[str] = field(default_factory=list)
    _encodings: list[str] = field(default_factory=list)

    def knows(self, head: bytes) -> bool:
        """See ``Trial``."""
        return _PROGRAM.search(head) is not None

    def inventory(self) -> Inventory:
        """See ``Trial``."""
        return PostgreSQLInventory()

    @property
    def _tools(self) -> TrialTools:
        # What the server says is held against the bytes of the dump.
        encoding = {"PGCLIENTENCODING": self._encodings[0]} if self._encodings else {}
        return TrialTools(self.scratch, {"PGHOST": str(self.scratch.path), "PGUSER": _USER, **encoding})

    def _program(self, name: str) -> str:
        return find_server((name,), "install postgresql", self._programs)

    @contextmanager
    def serve(self, head: bytes) -> Iterator[Receiver]:
        """See ``Trial``."""
        self._choose(head)
        data = self.scratch.path / "data"
        self.scratch.socket(".s.PGSQL.5432")
        first = self._words.first = first_superuser(head)
        setup = (self._program("initdb"), f"--pgdata={data}", f"--username={first}", "--auth=trust", "--no-sync")
        try:
            self._tools.answer(*setup, "--encoding=UTF8", "--locale=C.UTF-8")
        except PipelineError as error:
            raise NotTried(*error.under("a server for the proof cannot be set up")) from error
        settings = [word for setting in _SERVER_SETTINGS for word in ("-c", setting)]
        command = (self._program("postgres"), "-D", str(data), "-k", str(self.scratch.path), *settings)
        as_first = (*self._psql("postgres"), f"--username={first}")
        ping = (*as_first, "--command=SELECT 1")
        with ExitStack() as stack:
            self._servers.append(stack.enter_context(running(self._tools, command, ping)))
            try:
                self._tools.answer(*as_first, f"--command=CREATE ROLE {_USER} LOGIN SUPERUSER")
                self._prepare(head)
            except PipelineError as error:
                raise NotTried(*error.under("a server for the proof cannot be set up")) from error
            load = ("--no-psqlrc", "--quiet", "--no-password", "--set=VERBOSITY=verbose", "--echo-errors")
            where = f"--dbname={connection_string(self.database or 'postgres', _WHILE_LOADING)}"
            stage = self._tools.stage(self._program("psql"), *load, "--output=/dev/null", where, review=self._words)
            yield stack.enter_context(Receiver(stage))

    def _prepare(self, head: bytes) -> None:
        """Make what a dump takes for granted."""
        if self.database:
            # Of all databases each may have another.
            self._encodings[:] = [name.decode() for name in _ENCODING.findall(head)[:1]]
            self._create(head)
            return
        made = (found["name"].decode(errors="surrogateescape") for found in _TABLESPACES.finditer(head))
        text = "".join(f"CREATE TABLESPACE {name} LOCATION '';\n" for name in made)
        # Below the data folder, since that of the dump is anywhere. Servers before 15 may not be able to.
        self._tools.answer(*self._psql("postgres", stop=False), text=f"SET allow_in_place_tablespaces = on;\n{text}")

    def _choose(self, head: bytes) -> None:
        """Find the programs of the oldest version that can take the dump, or else of the newest."""
        made_by = _VERSION.search(head)
        wanted = int(made_by["major"]) if made_by else 0
        written_by = _PROGRAM.search(head)
        # A newer program writes what older servers do not know, but little of it.
        best = max(wanted, int(written_by["major"])) if written_by else wanted
        found = {
            int(folder.parent.name): folder
            for folder in Path("/usr/lib/postgresql").glob("*/bin")
            if folder.parent.name.isdecimal() and (folder / "postgres").exists()
        }
        if not found:
            # Elsewhere than in Debian there is one version, and its programs lie where others do.
            return
        enough = sorted(version for version in found if version >= wanted)
        if not enough:
            raise NotTried(
                f"the dump is of a server of version {wanted}, and the newest here is {max(found)}: install "
                f"postgresql-{wanted}"
            )
        own = [version for version in enough if version >= best]
        self._programs[:] = [found[(own or enough[-1:])[0] if wanted else max(found)]]

    def _create(self, head: bytes) -> None:
        """Make the database as the dump's first lines tell, or, where that is not to be had here, with none of it."""
        own = definition_at(head.decode(errors="surrogateescape"))
        name = quoted(self.database)
        try:
            if own:
                self._tools.answer(*self._psql("postgres", stop=False), text=own)
            self._tools.answer(*self._psql(self.database), "--command=SELECT 1")
        except PipelineError:
            self._remarks.append("was loaded without its own settings (encoding, locale), which are not to be had here")
            plain = f"CREATE DATABASE {name} TEMPLATE template0;\n"
            self._tools.answer(*self._psql("postgres"), text=plain)

    def _psql(self, database: str, *, stop: bool = True) -> tuple[str, ...]:
        options = _ASKING if stop else (*_ASKING[:-1], "--set=ON_ERROR_STOP=0")
        return (self._program("psql"), *options, f"--dbname={connection_string(database)}")

    def _ask(self, database: str, query: str) -> str:
        separators = ("--field-separator=\t", "--record-separator-zero")
        return self._tools.answer(*self._psql(database), *separators, f"--command={query}")

    def obstacle(self, failure: ReceiverFailed | None) -> Sequence[str]:
        """See ``Trial``."""
        self._words.settle()
        found = self._servers[-1].obstacle(self._words, "psql") if self._servers else ()
        return found or (failure.lines if failure and failure.was_killed else ())

    def flaws(self) -> Sequence[str]:
        """See ``Trial``."""
        return self._words.flaws

    def loaded(self, inventory: Inventory) -> Loaded:
        """See ``Trial``."""
        names: set[str] = set()
        counts: dict[str, int] = {}
        rows: dict[Table, int] = {}
        databases = self._databases()
        for database in databases:
            of = "" if self.database else database
            version = int(self._ask(database, "SHOW server_version_num").strip("\0"))
            things = read_things(self._ask(database, questions(version)))
            contents = DatabaseContents(things, (), of)
            more = read_things(self._ask(database, columns_of(_MORE)))
            names |= contents.names() | dumped_names(things, of) | dumped_names(more, of)
            counts.update(contents.counts())
            counts[counted_thing(RULES, of)] = sum(thing.kind == RULES for thing in more)
            rows.update(self._rows(database, (of,) if of else ()))
        names |= {database_name(each) for each in databases}
        flaws = [f"psql said: {each}" for each in self._words.flaws]
        needs = [f"the folder of the tablespace {each}" for each in self._words.folders]
        if self.database:
            needs += self._words.lacks
            counts[POLICIES] = counts.get(POLICIES, 0) + self._words.policies
        else:
            flaws += [f"{each} is not in it" for each in self._words.lacks]
        # Rows are counted, and what is not named there is not looked for.
        plain = {each for each in inventory.names if each.startswith("rows of the table ")}
        return Loaded(frozenset(names | plain), counts, rows, flaws, needs, self._remarks)

    def _databases(self) -> Sequence[str]:
        if self.database:
            return [self.database]
        found = self._ask("postgres", "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")
        return [name for name in found.split("\0") if name]

    def _rows(self, database: str, above: Table) -> dict[Table, int]:
        found = [record.split("\t") for record in self._ask(database, _ROWS).split("\0") if record]
        text = "".join(f"{query};\n" for query, _schema, _name in found)
        numbers = self._tools.answer(*self._psql(database), text=text).split() if found else []
        return {
            (*above, schema, name): int(number) for (_query, schema, name), number in zip(found, numbers, strict=True)
        }
