"""Members of archives held against what lies in the live tree: kind, owner, permissions, times, links, attributes.

What regular files hold is not looked at here. No link is followed below the source, unless tar followed them, too.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache

from s3napback.recovery.archived_facts import ArchivedFacts
from s3napback.recovery.folders import NOTHING_THERE, Cursor, file_names, go_to_parent
from s3napback.recovery.known_names import KnownNames
from s3napback.recovery.members import ACCESS_LIST, DEFAULT_LIST, OF_SECURITY_SYSTEMS
from s3napback.recovery.times import modified, octal
from s3napback.regexes import regex
from s3napback.scarcity import require_means
from s3napback.streams.tar_headers import BLOCK_DEVICE, CHARACTER_DEVICE, PIPE, REGULAR, SYMBOLIC_LINK, Member

MISSING = "missing"

_KINDS: dict[bytes, Callable[[int], bool]] = {
    REGULAR: stat.S_ISREG,
    SYMBOLIC_LINK: stat.S_ISLNK,
    CHARACTER_DEVICE: stat.S_ISCHR,
    BLOCK_DEVICE: stat.S_ISBLK,
    PIPE: stat.S_ISFIFO,
}
_NAMES = ((stat.S_ISREG, "a file"), (stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a symbolic link"))
_IN_WORDS = {REGULAR: "a file", SYMBOLIC_LINK: "a symbolic link", PIPE: "a pipe"}

_USUAL_OWNER = regex(rb"([0-7]{7})\0([0-7]{7})\0([0-7]{7})\0")
_USUAL_RECORDS = frozenset((b"path", b"mtime"))
_TAGS = {1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
"""Kinds of entries in a list of access rights (``<linux/posix_acl_xattr.h>``)."""

_LISTS = ((b"SCHILY.acl.access", ACCESS_LIST), (b"SCHILY.acl.default", DEFAULT_LIST))

_JOINED = "is one file with another name now, and was a file by itself"

_MOST_HELD = 10_000
"""Names that are held until the archive has ended; of more it is told at once."""
Access = frozenset[tuple[str, str, int]]


class Live:
    """The live tree of a source."""

    def __init__(self, place: Cursor, top: str, facts: ArchivedFacts, names: KnownNames) -> None:
        """Begin.

        Args:
            place: stands in the source.
            top: the source's name in archives.
            facts: what of a file archives hold.
            names: tell of a file, by its device and number, whether it was met by another name.
        """
        self._place = place
        self._top = top
        self._facts = facts
        self._names = names
        self._joined: dict[tuple[int, int], list[str]] = {}
        self._held = 0
        self._folder: str | None = None

    def differences(self, member: Member, *, has_target: bool = True) -> list[str]:
        """In what the live tree differs from a member, in words; a regular file's content is not compared.

        Args:
            has_target: what a hard link leads to is, under that name, part of the same state.
        """
        try:
            last = self._at(member.name)
            found = None if last is None else self._status(last)
            if last is None or found is None:
                return [MISSING]
            if member.link_target:
                return self._link_differences(member, found) if has_target else self._alone_differences(member, found)
            joined = [_JOINED] if self._is_joined(member, found) else []
            if self._facts.has_all_of_files and _is_as_usual(member, found):
                return [*joined, *self._deep_differences(member, last)]
            words = _kind_differences(member, found)
            facts = _fact_differences(member, found, self._facts)
            return words or [*joined, *facts, *self._deep_differences(member, last)]
        except OSError as error:
            require_means(error)
            return [f"cannot be looked at ({error.strerror})"]

    def joined(self) -> Iterator[tuple[str, str]]:
        """Once an archive has ended: what were files by themselves and are one with another name now, in words."""
        for names in self._joined.values():
            for name in names:
                yield name, _JOINED

    def _at(self, name: str) -> str | None:
        """Go to the folder that a member lies in; returns its name there, or None if there is no such folder."""
        folder, slash, last = name.rpartition("/")
        if slash and folder == self._folder:
            # Members of one folder come one after the other.
            return file_names(last)[0]
        self._folder = None
        relative = name[len(self._top) :].lstrip("/") if self._top else name
        found = go_to_parent(self._place, relative)
        if found is not None:
            self._folder = folder if slash and relative else None
        return found

    def _status(self, last: str) -> os.stat_result | None:
        try:
            return os.stat(last, dir_fd=self._place.descriptor, follow_symlinks=self._facts.follows)
        except OSError as error:
            if error.errno in NOTHING_THERE:
                return None
            raise

    def _link_differences(self, member: Member, found: os.stat_result) -> list[str]:
        last = self._at(member.link_target)
        other = None if last is None else self._status(last)
        is_same = other is not None and (other.st_dev, other.st_ino) == (found.st_dev, found.st_ino)
        if is_same and self._joined:
            self._separate(member.name, (found.st_dev, found.st_ino))
        return [] if is_same else [f"is no longer the same file as /{member.link_target}"]

    def _is_joined(self, member: Member, found: os.stat_result) -> bool:
        """Whether what was a file by itself is another name of one that is met under its own."""
        if found.st_nlink < 2 or member.type != REGULAR or not stat.S_ISREG(found.st_mode):
            return False
        if not self._facts.has_names or self._facts.follows:
            return False
        file = found.st_dev, found.st_ino
        if not self._names.is_anothers(*file, member.name):
            return False
        if self._held >= _MOST_HELD:
            return True
        self._held += 1
        held = self._joined.setdefault(file, [])
        if member.name not in held:
            held.append(member.name)
        return False

    def _separate(self, name: str, file: tuple[int, int]) -> None:
        """A name comes again in the same archive, as a link: it was a file by itself only until another name was added.

        So a DIFF has it that holds one name of a file anew, as of a folder that was moved, and then adds the others.
        """
        held = self._joined.get(file, [])
        if name in held:
            held.remove(name)
        elif held and self._names.forget_first(*file, name):
            self._names.is_anothers(*file, held.pop(0))

    def _alone_differences(self, member: Member, found: os.stat_result) -> list[str]:
        """Of a hard link whose header has the same times and owners as what it led to, which is there no more."""
        if stat.S_ISDIR(found.st_mode):
            return ["is a folder now, and was a file"]
        changed = ["another modification time"] if modified(member) != found.st_mtime_ns else []
        is_file = stat.S_ISREG(found.st_mode)
        return [*_fact_differences(member, found, self._facts), *changed] if is_file else changed

    def _deep_differences(self, member: Member, last: str) -> Iterator[str]:
        path = f"/proc/self/fd/{self._place.descriptor}/{last}"
        is_link = member.type == SYMBOLIC_LINK
        if is_link and os.fsencode(os.readlink(last, dir_fd=self._place.descriptor)) != member.link:
            yield "leads elsewhere"
        listed = _listed(path, self._facts)
        if not listed and not any(keyword.startswith(b"SCHILY.") for keyword in member.records):
            return
        yield from _attribute_differences(member, path, listed, self._facts)
        for keyword, name in _LISTS:
            text = member.records.get(keyword, b"")
            is_there = self._facts.has_access_lists and os.fsdecode(name) in listed
            if not text and not is_there:
                continue
            if _access_in_archive(text) != _live_access(path, name, self._facts):
                kind = "access rights" if name == ACCESS_LIST else "default access rights"
                yield f"other {kind} (ACL)"


def _is_as_usual(member: Member, found: os.stat_result) -> bool:
    """Whether it is a regular file that nothing can be told of: of nearly all of a million that is known at once."""
    if member.type != REGULAR or not member.records.keys() <= _USUAL_RECORDS:
        return False
    return (
        _owned(member.header.block[100:124]) == (found.st_mode, found.st_uid, found.st_gid)
        and member.size == found.st_size
        and modified(member) == found.st_mtime_ns
    )


@lru_cache(maxsize=1_000)
def _owned(field: bytes) -> tuple[int, int, int] | None:
    """Mode, owner and group of a regular file as a header has them; None where they are written in an unusual way."""
    found = _USUAL_OWNER.fullmatch(field)
    if found is None:
        return None
    mode, owner, group = (int(digits, 8) for digits in found.groups())
    return stat.S_IFREG | (mode & 0o7777), owner, group


def _kind_differences(member: Member, found: os.stat_result) -> list[str]:
    is_kind = stat.S_ISDIR if member.is_directory else _KINDS.get(member.type, stat.S_ISREG)
    if is_kind(found.st_mode):
        return []
    was = "a folder" if member.is_directory else _IN_WORDS.get(member.type, "a device")
    now = next((name for is_it, name in _NAMES if is_it(found.st_mode)), "something else")
    return [f"is {now} now, and was {was}"]


def _fact_differences(member: Member, found: os.stat_result, facts: ArchivedFacts) -> Iterator[str]:
    is_owned = not facts.has_owner or member.owner == found.st_uid
    if not is_owned or (facts.has_group and member.group != found.st_gid):
        yield f"owner {found.st_uid}:{found.st_gid}, was {member.owner}:{member.group}"
    if member.type == SYMBOLIC_LINK:
        return
    if facts.has_mode and member.permissions != stat.S_IMODE(found.st_mode):
        yield f"permissions {stat.S_IMODE(found.st_mode):o}, were {member.permissions:o}"
    if member.type in (CHARACTER_DEVICE, BLOCK_DEVICE):
        if (octal(member, 329, 337), octal(member, 337, 345)) != (os.major(found.st_rdev), os.minor(found.st_rdev)):
            yield "another device"
    elif member.type == REGULAR:
        if (size := _size(member)) != found.st_size:
            yield f"{found.st_size} bytes, were {size}"
        if modified(member) != found.st_mtime_ns:
            yield "another modification time"


def _size(member: Member) -> int:
    """Bytes of the file, which of a sparse one are more than the archive has."""
    real = member.records.get(b"GNU.sparse.realsize") or member.records.get(b"GNU.sparse.size")
    return int(real) if real else member.size


def _listed(path: str, facts: ArchivedFacts) -> Sequence[str]:
    """Names of a file's attributes, lists of access rights among them; none where none are supported."""
    try:
        return os.listxattr(path, follow_symlinks=facts.follows)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.EACCES):
            raise
        return ()


def _attribute_differences(member: Member, path: str, listed: Sequence[str], facts: ArchivedFacts) -> Iterator[str]:
    if not listed and not member.attributes:
        return
    hidden = (*OF_SECURITY_SYSTEMS, b"system.", *((b"trusted.",) if os.geteuid() else ()))
    archived = {name: value for name, value in member.attributes.items() if not name.startswith(hidden)}
    live: dict[bytes, bytes] = {}
    for text in listed:
        name = os.fsencode(text)
        if not name.startswith(hidden) and (name in archived or facts.has_attribute(text)):
            with suppress(OSError):
                live[name] = os.getxattr(path, text, follow_symlinks=facts.follows)
    for name in sorted({*archived, *live}):
        if archived.get(name) != live.get(name):
            yield "other capabilities" if name == b"security.capability" else f"another attribute {os.fsdecode(name)}"


def _access_in_archive(text: bytes) -> Access:
    """A list of access rights as tar writes it; empty if it tells no more than permissions do."""
    found = set()
    for entry in re.split(rb"[,\n]", text):
        parts = entry.partition(b"#")[0].strip().split(b":")
        if len(parts) == 3:
            kind = {b"u": "user", b"g": "group", b"m": "mask", b"o": "other"}.get(parts[0][:1], "")
            rights = sum(bit for letter, bit in ((b"r", 4), (b"w", 2), (b"x", 1)) if letter in parts[2])
            found.add((kind, _number(kind, parts[1].decode(errors="replace")), rights))
    return frozenset(found) if len(found) > 3 or any(kind == "mask" for kind, _, _ in found) else frozenset()


def _number(kind: str, name: str) -> str:
    """The number of a user or a group; what is none here stays as it is."""
    with suppress(KeyError):
        if name and not name.isdigit():
            return str(pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid)
    return name


def _live_access(path: str, attribute: bytes, facts: ArchivedFacts) -> Access:
    try:
        value = os.getxattr(path, attribute, follow_symlinks=facts.follows)
    except OSError:
        return frozenset()
    found = set()
    for tag, rights, number in struct.iter_unpack("<HHI", value[4:]):
        found.add((_TAGS.get(tag, "?"), str(number) if tag in (2, 8) else "", rights))
    return frozenset(found) if len(found) > 3 or any(kind == "mask" for kind, _, _ in found) else frozenset()
