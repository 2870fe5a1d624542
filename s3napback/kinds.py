"""The kinds of source: one row for each, from which everything else that differs between them follows.

What a row cannot say, because it is done and not told, stands in two registries: how a source is dumped in
``sources.registry``, how it is restored and checked in ``recovery.registry``.
"""

from __future__ import annotations

import posixpath

from s3napback.errors import UnknownKind
from s3napback.records import dataclass
from s3napback.targets import (
    DatabaseGrammar,
    Grammar,
    NameGrammar,
    PathGrammar,
    PatternGrammar,
    has_wildcard,
    matches_pattern,
)


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    Attributes:
        name: that of its directive and its block; metadata, state and messages call it so, too.
        grammar: how its targets are written.
        help: its directive in one line.
        block_help: its block in one line.
        topic: its logger's name below ``s3napback``.
        has_diffs: it can be dumped as a DIFF, and its keys end in a type. Others are always full.
        key_folder: the first component of its keys; none where it is empty.
        holds_tree: it archives all files below its target, and with them a store that lies there.
        folder_of: the name of the kind of which its target is a folder: it stands for every source directly below.
        has_patterns: its targets can have wildcards: such a one stands for every file that it matches.
        needs_block: none can do without settings of its own, so that it has a block, and no directive.
        marks: how dumps of it can begin, and what then ends a whole one; none where they cannot be known by that.
    """

    name: str
    grammar: Grammar
    help: str
    block_help: str
    topic: str
    has_diffs: bool = False
    key_folder: str = ""
    holds_tree: bool = False
    folder_of: str = ""
    has_patterns: bool = False
    needs_block: bool = False
    marks: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def is_path(self) -> bool:
        """Whether its target is a path."""
        return self.grammar.is_path

    def key_base(self, target: str) -> str:
        """The name of a source before it is qualified.

        Args:
            target: as ``grammar.normalised`` returns it.
        """
        inner = self.grammar.in_key(target)
        return f"{self.key_folder}/{inner}" if self.key_folder else inner

    def stands_for_several(self, target: str) -> bool:
        """Whether what a configuration calls so is a folder, or a pattern, of any number of sources."""
        return bool(self.folder_of) or (self.has_patterns and has_wildcard(target))

    def kinds_within(self, target: str) -> tuple[str, ...]:
        """What kinds the archives can bear of what such a target stands for; none where it stands for itself alone."""
        if not self.stands_for_several(target):
            return ()
        return (self.name, self.folder_of) if self.folder_of else (self.name,)

    def covers(self, target: str, inner: str) -> bool:
        """Whether a target that stands for several stands for the source of this target, too."""
        return posixpath.dirname(inner) == target if self.folder_of else matches_pattern(target, inner)

    def name_within(self, name: str, target: str, inner: str) -> str:
        """What a source is called that such a target stands for.

        Args:
            name: of what stands for it, perhaps qualified by a Cycle.
            target: of what stands for it.
            inner: the source's own target.
        """
        return name.removesuffix(self.key_base(target)) + self.key_base(inner)


DIRECTORY = Kind(
    name="Directory",
    grammar=PathGrammar(),
    help="Directories to back up, as absolute paths.",
    block_help="One directory with settings of its own.",
    topic="directory",
    has_diffs=True,
    holds_tree=True,
)

MYSQL = Kind(
    name="MySQL",
    grammar=DatabaseGrammar(":", names_socket=True),
    help="Databases to dump: DATABASE, SOCKET:DATABASE, or “all” for all of them in one dump.",
    block_help="One MySQL dump with settings of its own.",
    topic="mysql",
    key_folder="MySQL",
    marks=((b"-- MySQL dump", b"\n-- Dump completed"), (b"-- MariaDB dump", b"\n-- Dump completed")),
)

POSTGRESQL = Kind(
    name="PostgreSQL",
    grammar=DatabaseGrammar("@"),
    help="Databases to dump: DATABASE, USER@DATABASE, or “all” for all of them in one dump.",
    block_help="One PostgreSQL dump with settings of its own.",
    topic="postgresql",
    key_folder="PostgreSQL",
    marks=(
        (b"-- PostgreSQL database dump", b"-- PostgreSQL database dump complete"),
        (b"-- PostgreSQL database cluster dump", b"-- PostgreSQL database cluster dump complete"),
    ),
)

SUBVERSION = Kind(
    name="Subversion",
    grammar=PathGrammar(),
    help="Repositories to dump, as absolute paths.",
    block_help="One repository with settings of its own.",
    topic="subversion",
    has_diffs=True,
    # Every record of a dump ends in an empty line; one that was cut off hardly ever does.
    marks=((b"SVN-fs-dump-format-version:", b"\n\n"),),
)

SUBVERSION_DIR = Kind(
    name="SubversionDir",
    grammar=PathGrammar(),
    help="Folders of which every repository directly below is dumped.",
    block_help="One folder of repositories with settings of its own.",
    topic="subversion",
    has_diffs=True,
    folder_of=SUBVERSION.name,
)

SQLITE = Kind(
    name="SQLite",
    grammar=PatternGrammar(),
    help="Databases to copy while they are in use, as absolute paths of their files; wildcards are understood.",
    block_help="One SQLite database, or every one that a pattern matches, with settings of its own.",
    topic="sqlite",
    key_folder="SQLite",
    has_patterns=True,
)

COMMAND = Kind(
    name="Command",
    grammar=NameGrammar(),
    help="",
    block_help="The output of a program, kept under this name.",
    topic="command",
    key_folder="Command",
    needs_block=True,
)

_ALL = (DIRECTORY, MYSQL, POSTGRESQL, SUBVERSION, SUBVERSION_DIR, SQLITE, COMMAND)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""All of them by name, in the order of the manual. It is looked into whenever a kind is asked for, and never copied."""


def kind_of(name: str) -> Kind:
    """The kind of that very name.

    Raises:
        UnknownKind: there is none.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise UnknownKind(f"{name!r} is no kind of source that this version of s3napback knows") from None


def kind_called(word: str) -> Kind | None:
    """The kind that a person calls so, in any case; None if there is none."""
    return next((kind for kind in KINDS.values() if kind.name.lower() == word.lower()), None)


@dataclass(frozen=True, slots=True)
class SourceName:
    """What people, metadata and state call a source: ``Directory /etc``.

    Attributes:
        kind: name of a kind; empty for what another version, or another program, has written.
        target: what of that kind; of an unknown one the whole text.
    """

    kind: str
    target: str

    def __str__(self) -> str:
        return f"{self.kind} {self.target}" if self.kind else self.target

    @classmethod
    def parse(cls, text: str) -> SourceName:
        """Read what ``str`` wrote. Any text can be read, and ``str`` gives it back as it was."""
        kind, _, target = text.partition(" ")
        return cls(kind, target) if kind in KINDS and target else cls("", text)


NO_SOURCE = SourceName("", "")
"""What calls itself nothing at all."""
