"""The table of all directives and blocks: what each is called, takes, defaults to, and where it may stand.

Validation is driven by it, and the manual and ``--help`` are tested against it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import Enum

from s3napback.config.settings import MAX_UNREADABLE, STALL_TIMEOUT
from s3napback.kinds import DIRECTORY, KINDS, MYSQL, POSTGRESQL, Kind, kind_called


class Place(Enum):
    """Where a directive may be written."""

    FILE = "at file level"
    CYCLE = "in a <Cycle>"
    SOURCE = "in a source's block"


class Type(Enum):
    """What a directive takes."""

    TEXT = "text"
    PATH = "absolute path"
    INTEGER = "whole number"
    SWITCH = "On or Off"
    CHOICE = "one of"
    WORDS = "words"
    SOURCE = "source"
    FILES = "files"


@dataclass(frozen=True)
class DirectiveDescription:
    """One directive.

    Attributes:
        name: as the manual writes it; any case is understood.
        type: what it takes.
        default: what holds when it is left out, for people.
        places: where it may stand.
        help: one line.
        cycle: the CycleType it belongs to; empty for both.
        kinds: the kinds of source it has an effect on; empty for all.
        minimum: least number, or fewest characters.
        maximum: greatest number.
        choices: of a CHOICE, as messages show them.
        adds_up: repeating it adds values.
    """

    name: str
    type: Type
    default: str
    places: frozenset[Place]
    help: str
    cycle: str = ""
    kinds: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str, ...] = ()
    adds_up: bool = False

    @property
    def takes(self) -> str:
        """What it takes, for people: ``whole number, 1–64``, ``gzip, zstd or none``."""
        if self.type is Type.INTEGER:
            return f"whole number, {self.minimum:,}–{self.maximum:,}"
        if self.type is Type.CHOICE:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        return str(self.type.value)


@dataclass(frozen=True)
class BlockDescription:
    """One kind of block.

    Attributes:
        name: as the manual writes it; any case is understood.
        value: what its tag's one value is.
        places: where it may stand.
        help: one line.
    """

    name: str
    value: str
    places: frozenset[Place]
    help: str


_GLOBAL = frozenset({Place.FILE})
_IN_CYCLE = frozenset({Place.CYCLE})
_ANYWHERE = frozenset(Place)
_SIMPLE = "SimpleCycle"
_HANOI = "HanoiCycle"
_EVER = 36_500
_MOST_SLOTS = 10_000
_LONGEST_STALL = 30 * 86_400
_OF_DIRECTORIES = (DIRECTORY.name,)


_SETTINGS = (
    DirectiveDescription(
        "Bucket",
        Type.TEXT,
        "required",
        _GLOBAL,
        "Where archives go: the name of an S3 bucket, or file:///FOLDER for a directory store.",
    ),
    DirectiveDescription("Prefix", Type.TEXT, "none", _GLOBAL, "Put before every key, followed by a slash."),
    DirectiveDescription("Endpoint", Type.TEXT, "Amazon's", _GLOBAL, "URL of another S3 server."),
    DirectiveDescription("Region", Type.TEXT, "the account's", _GLOBAL, "The bucket's region."),
    DirectiveDescription(
        "S3Keyfile",
        Type.PATH,
        "boto3's own search for credentials",
        _GLOBAL,
        "File with the lines key=…, secret=… and, if there is one, token=….",
    ),
    DirectiveDescription("StorageClass", Type.TEXT, "the bucket's", _GLOBAL, "S3 storage class of new archives."),
    DirectiveDescription(
        "ServerSideEncryption",
        Type.CHOICE,
        "the bucket's",
        _GLOBAL,
        "Encryption at rest by the S3 server, besides gpg's.",
        choices=("AES256", "aws:kms", "aws:kms:dsse"),
    ),
    DirectiveDescription(
        "SseKmsKeyId", Type.TEXT, "the account's", _GLOBAL, "Key for ServerSideEncryption aws:kms or aws:kms:dsse."
    ),
    DirectiveDescription(
        "ChunkSize",
        Type.INTEGER,
        "25000000",
        _GLOBAL,
        "Size in bytes of the parts in which an archive is uploaded; at least 5 MiB are used.",
        minimum=1,
        maximum=5 * 1024**3,
    ),
    DirectiveDescription(
        "UploadThreads",
        Type.INTEGER,
        "4",
        _GLOBAL,
        "Parts uploaded at the same time; memory is (UploadThreads + 1) × ChunkSize.",
        minimum=1,
        maximum=64,
    ),
    DirectiveDescription(
        "GpgRecipient",
        Type.WORDS,
        "none: no encryption",
        _GLOBAL,
        "Whom archives are encrypted for: fingerprint, address or whole user id; may be repeated.",
        adds_up=True,
    ),
    DirectiveDescription(
        "GpgKeyring", Type.PATH, "gpg's own", _GLOBAL, "File of public keys that holds the recipients' keys."
    ),
    DirectiveDescription(
        "GpgSignKey",
        Type.TEXT,
        "none: no signatures",
        _GLOBAL,
        "Key to sign archives with, for --require-signature; best its fingerprint.",
    ),
    DirectiveDescription("GpgHome", Type.PATH, "gpg's own", _GLOBAL, "gpg's home folder."),
    DirectiveDescription(
        "DiffDir",
        Type.PATH,
        "/var/lib/s3napback, or the user's state folder",
        _GLOBAL,
        "Folder for what DIFFs need: tar's snapshots and the chains; must exist if it is given.",
    ),
    DirectiveDescription(
        "TempDir", Type.PATH, "the system's", _GLOBAL, "Folder for the files of UseTempFile; must exist if it is given."
    ),
    DirectiveDescription(
        "HostName", Type.TEXT, "the machine's name", _GLOBAL, "The name under which archives in the store are owned."
    ),
    DirectiveDescription(
        "CycleType",
        Type.CHOICE,
        _SIMPLE,
        _ANYWHERE,
        "SimpleCycle keeps backups at fixed intervals, HanoiCycle on a decaying schedule.",
        choices=(_SIMPLE, _HANOI),
    ),
    DirectiveDescription(
        "Frequency",
        Type.INTEGER,
        "1",
        _ANYWHERE,
        "Days from one backup to the next.",
        minimum=1,
        maximum=_EVER,
    ),
    DirectiveDescription(
        "Phase",
        Type.INTEGER,
        "0",
        _ANYWHERE,
        "Shifts the days on which backups fall; less than Frequency.",
        cycle=_SIMPLE,
        maximum=_EVER,
    ),
    DirectiveDescription(
        "Diffs",
        Type.INTEGER,
        "0",
        _ANYWHERE,
        "Incremental backups after each full one; databases have none.",
        cycle=_SIMPLE,
        maximum=_MOST_SLOTS,
    ),
    DirectiveDescription(
        "Fulls",
        Type.INTEGER,
        "4",
        _ANYWHERE,
        "Full backups kept, each with its Diffs.",
        cycle=_SIMPLE,
        minimum=1,
        maximum=_MOST_SLOTS,
    ),
    DirectiveDescription(
        "Discs",
        Type.INTEGER,
        "5",
        _ANYWHERE,
        "Full backups kept, their ages being powers of two.",
        cycle=_HANOI,
        minimum=1,
        maximum=30,
    ),
    DirectiveDescription(
        "ArchiveOldestDisc",
        Type.SWITCH,
        "Off",
        _ANYWHERE,
        "Keep every backup of the oldest disc for good.",
        cycle=_HANOI,
    ),
    DirectiveDescription(
        "Exclude",
        Type.WORDS,
        "nothing",
        _ANYWHERE,
        "Patterns of what to leave out; anchored with a leading slash, else matched at any depth; adds up inwards.",
        kinds=_OF_DIRECTORIES,
        adds_up=True,
    ),
    DirectiveDescription(
        "OneFileSystem",
        Type.SWITCH,
        "Off",
        _ANYWHERE,
        "Stay on the file system on which the directory lies.",
        kinds=_OF_DIRECTORIES,
    ),
    DirectiveDescription(
        "MaxUnreadable",
        Type.INTEGER,
        str(MAX_UNREADABLE),
        _ANYWHERE,
        "Files and folders that may be unreadable; with more of them the source fails.",
        kinds=_OF_DIRECTORIES,
        maximum=1_000_000,
    ),
    DirectiveDescription(
        "TarOptions",
        Type.WORDS,
        "none",
        _ANYWHERE,
        "More options for tar, values attached with “=”.",
        kinds=_OF_DIRECTORIES,
        adds_up=True,
    ),
    DirectiveDescription(
        "MySQLOptions", Type.WORDS, "none", _ANYWHERE, "More options for mysqldump.", kinds=(MYSQL.name,), adds_up=True
    ),
    DirectiveDescription(
        "PostgreSQLOptions",
        Type.WORDS,
        "none",
        _ANYWHERE,
        "More options for pg_dump and pg_dumpall.",
        kinds=(POSTGRESQL.name,),
        adds_up=True,
    ),
    DirectiveDescription(
        "UseTempFile",
        Type.SWITCH,
        "Off",
        _ANYWHERE,
        "Finish the dump, encrypted, in a temporary file before the upload begins.",
    ),
    DirectiveDescription(
        "StallTimeout",
        Type.INTEGER,
        str(STALL_TIMEOUT),
        _ANYWHERE,
        "Seconds without any progress after which a source fails; the store's, and those of restore and verify, are "
        "those at file level; 0 is for ever.",
        maximum=_LONGEST_STALL,
    ),
    DirectiveDescription(
        "Compression", Type.CHOICE, "gzip", _ANYWHERE, "How archives are compressed.", choices=("gzip", "zstd", "none")
    ),
    DirectiveDescription(
        "CompressionLevel",
        Type.INTEGER,
        "a fast one",
        _ANYWHERE,
        "1–9 for gzip, 1–19 for zstd.",
        minimum=1,
        maximum=19,
    ),
)

_INCLUDES = (
    DirectiveDescription(
        "Include",
        Type.FILES,
        "",
        _ANYWHERE,
        "Reads other files at this place; names are relative to this file's folder, and wildcards may match nothing.",
        adds_up=True,
    ),
    DirectiveDescription(
        "IncludeOptional", Type.FILES, "", _ANYWHERE, "Like Include, for files that may be absent.", adds_up=True
    ),
)

_AROUND_SOURCES = frozenset({Place.FILE, Place.CYCLE})
_CYCLE = BlockDescription("Cycle", "a unique name", _GLOBAL, "Settings, and the sources that they hold for.")


def _directive_of(kind: Kind) -> DirectiveDescription:
    return DirectiveDescription(kind.name, Type.SOURCE, "", _IN_CYCLE, kind.help, adds_up=True)


def _block_of(kind: Kind) -> BlockDescription:
    return BlockDescription(kind.name, kind.grammar.what, _AROUND_SOURCES, kind.block_help)


def all_directives() -> tuple[DirectiveDescription, ...]:
    """The table of directives; those of sources follow from their kinds."""
    return (*_SETTINGS, *map(_directive_of, KINDS.values()), *_INCLUDES)


def all_blocks() -> tuple[BlockDescription, ...]:
    """The table of blocks; those of sources follow from their kinds."""
    return (_CYCLE, *map(_block_of, KINDS.values()))


_WITHOUT_KINDS = {description.name.lower(): description for description in (*_SETTINGS, *_INCLUDES)}


def find_directive(name: str) -> DirectiveDescription | None:
    """The directive called ``name``, in any case."""
    kind = kind_called(name)
    return _directive_of(kind) if kind else _WITHOUT_KINDS.get(name.lower())


def find_block(name: str) -> BlockDescription | None:
    """The block called ``name``, in any case."""
    kind = kind_called(name)
    if kind is None:
        return _CYCLE if name.lower() == _CYCLE.name.lower() else None
    return _block_of(kind)


def similar_name(name: str) -> str:
    """The directive or block whose name looks most like ``name``; empty if none does."""
    names = [*(directive.name for directive in all_directives()), *(block.name for block in all_blocks())]
    known = {each.lower(): each for each in names}
    alike = difflib.get_close_matches(name.lower(), known, 1, 0.6)
    return known[alike[0]] if alike else ""
