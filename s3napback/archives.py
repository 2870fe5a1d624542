"""What an archive is called, what it says of itself, and whose it is. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import MAXYEAR, MINYEAR, datetime, timezone
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote, unquote

from s3napback.kinds import NO_SOURCE, SourceName, kind_of
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.rotation import ArchiveType, day_date

FORMAT, SEGMENTED = "1", "2"
"""What ``s3napback-format`` says. An archive in segments begins with a comment, and its zstd has several frames; both
are read by every plain tool, and not by the first version of s3napback."""
METADATA_PREFIX = "s3napback-"
SUM_SUFFIX = ".sha256"
"""What follows an archive's key in that of its checksum object."""
METADATA_LIMIT = 2048
"""Bytes of user metadata that S3 allows an object, names and values together (Amazon's user guide)."""

_SHARED = 4096
"""Owners, and lists of recipients, that are one object wherever they come: most archives say the same as others."""
_NOTHING_EXTRA: Mapping[str, str] = MappingProxyType({})
_TIME = regex(r"[0-9]{4}(?:-[0-9]{2}){2}T(?:[0-9]{2}:){2}[0-9]{2}Z")
_KEY_END = regex(r"-(?P<slot>0|[1-9][0-9]*)(?:-(?P<type>FULL|DIFF))?\Z")


def join_prefix(prefix: str, name: str) -> str:
    """A key or key base below the configured prefix, which may be empty."""
    return f"{prefix}/{name}" if prefix else name


def archive_key(prefix: str, kind: str, name: str, slot: int, archive_type: ArchiveType) -> str:
    """The key of one archive: ``[PREFIX/]NAME-SLOT-TYPE``, without the type for kinds that are always full.

    Raises:
        UnknownKind: there is no kind of this name.
    """
    end = f"{slot}-{archive_type.value}" if kind_of(kind).has_diffs else f"{slot}"
    return join_prefix(prefix, f"{name}-{end}")


def slot_keys(prefix: str, kind: str, name: str, slot: int) -> tuple[str, ...]:
    """Every key that an archive of this slot can have, one or two."""
    keys = (archive_key(prefix, kind, name, slot, archive_type) for archive_type in ArchiveType)
    return tuple(dict.fromkeys(keys))


def split_key(key: str) -> tuple[str, int, str] | None:
    """Key base, slot and type (empty where the key has none); None if it is no archive's key."""
    found = _KEY_END.search(key)
    if found is None:
        return None
    return key[: found.start()], int(found["slot"]), found["type"] or ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an archive is: nothing else may overwrite it.

    Attributes:
        host: HostName of the machine.
        source: what is in it, ``Directory /etc``.
    """

    host: str
    source: SourceName

    def __str__(self) -> str:
        if self.source == NO_SOURCE:
            return "something other than s3napback, or a store that forgot its metadata"
        return f"{self.source} of host {self.host}"


UNKNOWN_OWNER = Owner("", NO_SOURCE)
"""Owner of an object that does not say whose it is."""


@lru_cache(_SHARED)
def owner_named(host: str, source: str) -> Owner:
    """The one owner of a host's source: most archives in a store have few."""
    return Owner(host, SourceName.parse(source))


@lru_cache(_SHARED)
def _recipients(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """What an archive's metadata says.

    Attributes:
        id: unique to this archive; DIFFs name their parent by it.
        parent: id of the archive that a DIFF builds on; empty for a FULL.
        cycle: name of the Cycle, empty for a block of its own.
        started: when the backup began, UTC.
        day: the calendar day it counts for, as a day number.
        compression: ``gzip``, ``zstd`` or ``none``.
        recipients: fingerprints; none if the archive is not encrypted.
        extra: what a kind of source adds: names in lower case without a prefix, ``uuid`` and ``revisions``.
        format: ``FORMAT``, or ``SEGMENTED``.
        parent_slot: where that lay; None for a FULL, and for what the first version made.
    """

    id: str
    slot: int
    type: ArchiveType
    owner: Owner
    cycle: str
    started: datetime
    day: int
    parent: str = ""
    compression: str = "gzip"
    recipients: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=lambda: _NOTHING_EXTRA)
    format: str = FORMAT
    parent_slot: int | None = None

    def to_metadata(self) -> dict[str, str]:
        """User metadata of the object: lower-case names, percent-encoded ASCII values.

        Raises:
            ValueError: it is more than S3 allows, because of a very long source or very many recipients.
        """
        values = {
            "format": self.format,
            "id": self.id,
            "slot": str(self.slot),
            "type": self.type.value,
            "parent": self.parent,
            "parent-slot": "" if self.parent_slot is None else str(self.parent_slot),
            "source": str(self.owner.source),
            "cycle": self.cycle,
            "host": self.owner.host,
            "started": format_time(self.started),
            "day": str(self.day),
            "compression": self.compression,
            "recipients": ",".join(self.recipients),
            **self.extra,
        }
        metadata = {METADATA_PREFIX + name: quote(value, safe="/:,+@=") for name, value in values.items() if value}
        size = sum(len(name) + len(value) for name, value in metadata.items())
        if size > METADATA_LIMIT:
            raise ValueError(f"the archive's metadata would be {size} bytes, and stores take {METADATA_LIMIT}")
        return metadata

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> ArchiveRecord | None:
        """Read an object's metadata, its names in any case; None if they are not whole or not ours."""
        prefix_length = len(METADATA_PREFIX)
        values = {
            name.lower()[prefix_length:]: unquote(value)
            for name, value in metadata.items()
            if name.lower().startswith(METADATA_PREFIX)
        }
        if values.get("format") not in (FORMAT, SEGMENTED):
            return None
        try:
            record = cls(
                format=values.pop("format"),
                id=values.pop("id"),
                slot=int(values.pop("slot")),
                type=ArchiveType(values.pop("type")),
                owner=owner_named(values.pop("host"), values.pop("source")),
                cycle=values.pop("cycle", ""),
                started=parse_time(values.pop("started")),
                day=int(values.pop("day")),
                parent=values.pop("parent", ""),
                parent_slot=int(values.pop("parent-slot")) if "parent-slot" in values else None,
                compression=values.pop("compression"),
                recipients=_recipients(values.pop("recipients", "")),
                extra=values or _NOTHING_EXTRA,
            )
            # What cannot be a date would stop everybody who shows it.
            day_date(record.day)
        except (KeyError, ValueError, OverflowError):
            return None
        return record


def misnamed(key: str, record: ArchiveRecord) -> str:
    """What is wrong with an archive whose metadata name another slot or type than its key, as a clause; else empty."""
    parts = split_key(key)
    if parts is None or (parts[1] == record.slot and parts[2] in ("", record.type.value)):
        return ""
    said = f"{record.type.value} of slot {record.slot}"
    return f"by its metadata it is a {said}, and not by its key: one of both has been changed"


def metadata_digest(metadata: Mapping[str, str]) -> str:
    """SHA-256 of all that an object's metadata say of an archive, in hexadecimal, however a store spells their names.

    A signature holds it, so that a signed archive cannot pass for another one, nor for a newer one.
    """
    # Ours have neither; whoever folds one line into another's name or value must not come to the same text.
    folds, signs = str.maketrans({"\n": "\\n"}), str.maketrans({"=": "\\="})
    lines = [f"{name.lower().translate(signs)}={value}".translate(folds) + "\n" for name, value in metadata.items()]
    own = sorted(line for line in lines if line.startswith(METADATA_PREFIX))
    return hashlib.sha256("".join(own).encode()).hexdigest()


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second: ``2026-11-23T03:00:00Z``."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Read what ``format_time`` wrote.

    Raises:
        ValueError: it is something else.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time of ours")
    found = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=timezone.utc)
    if found.year in (MINYEAR, MAXYEAR):
        raise ValueError("it cannot be told in every time zone")
    return found


@dataclass(frozen=True)
class Unread:
    """What an archive lacks, or does not have whole, because it could not be read that night.

    Attributes:
        count: how many paths; not more than ``paths`` are known by name.
        paths: as in archives: normalised, relative to the root directory.
    """

    count: int = 0
    paths: Sequence[bytes] = ()

    def joined(self, paths: Collection[bytes], forgotten: int = 0) -> Unread:
        """These, and some others.

        Args:
            paths: of the others.
            forgotten: how many of them are not known by name.
        """
        others = {*paths}.difference(self.paths)
        return Unread(self.count + len(others) + forgotten, tuple(sorted({*self.paths, *others})))

    def covers(self, path: bytes) -> bool:
        """Whether a path is one of them, or lies below one."""
        return any(path == each or path.startswith(each + b"/") for each in self.paths)


NOTHING_UNREAD = Unread()
"""All of the source could be read."""


@dataclass(frozen=True)
class Counted:
    """What a dump of databases was found to hold while it passed.

    Attributes:
        rows: of each table whose rows are in it, by its name: schema or database before it, where there are several.
        structure: SHA-256, in hexadecimal, over the names of what is defined in it; empty if that is not known.
    """

    rows: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    structure: str = ""


NOTHING_COUNTED = Counted()
"""Of what is no dump of databases."""


@dataclass(frozen=True)
class Transfer:
    """What is known of an archive's bytes once it has arrived.

    Attributes:
        sha256: of the stored bytes, in hexadecimal.
        stored: bytes in the store.
        read: bytes that the dump command wrote, before compression.
        seconds: from start to arrival.
        warnings: one line each.
        unread: what could not be read of the source.
        counted: what was found in it.
    """

    sha256: str
    stored: int
    read: int
    seconds: float
    warnings: Sequence[str] = ()
    unread: Unread = NOTHING_UNREAD
    counted: Counted = NOTHING_COUNTED
