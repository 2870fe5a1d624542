"""Which members of an archive reach tar: those of the source that was asked for, and of these what is wanted."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import field

from s3napback.records import dataclass
from s3napback.recovery.clashes import TELLS_APART, Clashes, Folding
from s3napback.recovery.groundwork import Groundwork
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.times import ANY_TIMES, Times, modified
from s3napback.regexes import regex
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import BLOCK_DEVICE, CHARACTER_DEVICE, HARD_LINK, REGULAR, SYMBOLIC_LINK, Member
from s3napback.streams.tar_ordinary import Passing
from s3napback.streams.tar_rewriting import without_entries
from s3napback.streams.tar_stream import selected, watched
from s3napback.streams.transformations import Block

SET_ID = 0o6000
"""Permissions by which a program has its owner's rights, or its group's (``chmod(2)``)."""

SPECIAL = 0o7000
"""The same, and the sticky bit: a system can drop these where it sets all other permissions, and say nothing."""

CAPABILITY = b"security.capability"
"""The attribute by which a program has capabilities of its own (``capabilities(7)``)."""

ACCESS_LIST, DEFAULT_LIST = b"system.posix_acl_access", b"system.posix_acl_default"
"""The attributes that hold lists of access rights (``acl(5)``)."""

_LISTS = ((b"SCHILY.acl.access", ACCESS_LIST), (b"SCHILY.acl.default", DEFAULT_LIST))
_EXTENDED_LIST = regex(rb"(?:^|[\s,])(?:mask|m|(?:user|u|group|g):[^:])")
"""What tells more than permissions do."""

_NFS_LIST = b"system.nfs4_acl"
"""A list of access rights that each file on a mount of NFSv4 has, and nothing elsewhere (``nfs4_acl(5)``)."""
_NFS_WHOLE = struct.Struct(">I")
_NFS_ENTRY = struct.Struct(">4I")  # type, flags, rights, length of a name
_NFS_OF_MODES = frozenset((b"OWNER@", b"GROUP@", b"EVERYONE@"))
_NFS_DENY, _NFS_IS_GROUP, _NFS_WRITING = 1, 0x40, 0x6

OF_SECURITY_SYSTEMS = (
    b"security.selinux",
    b"security.SMACK64",
    b"security.apparmor",
    b"security.ima",
    b"security.evm",
)
"""Labels of these are the live system's own business."""

_REMEMBERED_BYTES = 1 << 25


def lies_in(name: str, top: str) -> bool:
    """Whether a name is ``top`` or lies below it; everything lies in the root directory, which is empty."""
    return not top or name == top or name.startswith(f"{top}/")


def gives_power(member: Member) -> bool:
    """Whether a member is a device, or a program that runs with other rights than those of whoever starts it."""
    if member.type in (CHARACTER_DEVICE, BLOCK_DEVICE):
        return True
    return member.type == REGULAR and (bool(member.permissions & SET_ID) or member.has_attribute(CAPABILITY))


def attributes_of(member: Member) -> tuple[bytes, ...]:
    """Names of the attributes that a member has once it is restored, lists of access rights among them."""
    # Most members have none of these, and there may be millions.
    if not member.has_attributes:
        return ()
    found = [
        name
        for name, value in member.attributes.items()
        if not (name.startswith((*OF_SECURITY_SYSTEMS, b"system.posix_acl")) or _tells_modes_alone(name, value))
    ]
    for keyword, name in _LISTS:
        if _EXTENDED_LIST.search(member.records.get(keyword, b"")):
            found.append(name)
    return tuple(found)


def _tells_modes_alone(name: bytes, value: bytes) -> bool:
    """Whether an attribute is a list of NFSv4's that tells no more than permissions do, so that nobody misses it."""
    if name != _NFS_LIST:
        return False
    try:
        (count,), place = _NFS_WHOLE.unpack_from(value), _NFS_WHOLE.size
        for _ in range(count):
            kind, flags, rights, length = _NFS_ENTRY.unpack_from(value, place)
            place += _NFS_ENTRY.size
            if kind > _NFS_DENY or flags & ~_NFS_IS_GROUP or rights & _NFS_WRITING not in (0, _NFS_WRITING):
                return False
            if value[place : place + length] not in _NFS_OF_MODES:
                return False
            place += length + -length % 4
    except struct.error:
        return False
    return True


def _everything(_: object) -> bool:
    return True


@dataclass
class Passed:
    """What was noticed of the members that were passed on. Of those that others follow, too.

    Attributes:
        gave_power: one was of a kind that gives power, be it there at the end or not.
        attributes: names, with what attributes each has.
        unnoticed: so many others have attributes as well.
        foreign: name of one that belongs to somebody else than all will belong to; empty if none does.
        set_ids: names of those among them that run with their owner's rights.
        also_set_ids: names of hard links to files that run with their owner's rights, whosoever these are.
        special: names of files and folders, and which of ``SPECIAL`` each has.
        settled: of the names that were asked for, those that it brings anew or knows gone.
        clashing: names that were not passed on, since the target takes them for others that were.
        orphaned: those among them that are hard links to others of them.
        shortened: names of those of which the target keeps less.
        lowered: one is listed in small letters, and has others.
        unbrought: names that only older archives hold, which made no such folder; each with the highest folder's.
        rounded: the time of one was between two that the target keeps.
        untimely: names of those whose time is earlier, or later, than the target has any.
        has_links: one was a symbolic link.
        has_names: one was another name of a file.
    """

    gave_power: bool = False
    attributes: list[tuple[str, tuple[bytes, ...]]] = field(default_factory=list)
    unnoticed: int = 0
    foreign: str = ""
    set_ids: list[str] = field(default_factory=list)
    also_set_ids: list[str] = field(default_factory=list)
    special: list[tuple[str, int]] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    clashing: set[str] = field(default_factory=set)
    orphaned: set[str] = field(default_factory=set)
    shortened: set[str] = field(default_factory=set)
    lowered: bool = False
    unbrought: list[tuple[str, str]] = field(default_factory=list)
    rounded: bool = False
    untimely: list[str] = field(default_factory=list)
    has_links: bool = False
    has_names: bool = False


@dataclass(frozen=True)
class Bystanders:
    """Ordinary files of which all is decided by where they lie, so that they pass without being looked at one by one.

    Attributes:
        chosen: they are wanted, all of them; otherwise none is.
        among: tells of a folder whether its files are some of these, but for the ones that are ``noticed``.
        noticed: last parts of names, in small letters. If there are any, names that are not ASCII are noticed as well.
    """

    chosen: bool
    among: Callable[[str], bool] = _everything
    noticed: frozenset[str] = frozenset()


_ANY = Bystanders(chosen=True)


@dataclass(frozen=True)
class Gate:
    """What every archive of a directory passes before tar: members that do not belong to the source end it.

    Both ways through it are generators that return what was noticed of the members.

    Attributes:
        top: the source's name in archives.
        user: whom everything belongs to at the target, whatever archives say; None if it takes what they say.
        group: the same of groups.
        lacking: names of which it shall be noticed whether this archive brings them anew, or knows them gone.
        unmade: those among them of which nothing is there.
        folding: what the target does not tell apart of names.
        times: of modification, that the target keeps.
        groundwork: takes from tar what it does not do well; None where nothing is extracted.
    """

    top: str
    user: int | None = None
    group: int | None = None
    lacking: frozenset[str] = frozenset()
    unmade: frozenset[str] = frozenset()
    folding: Folding = TELLS_APART
    times: Times = ANY_TIMES
    groundwork: Groundwork | None = None

    def whole(self, blocks: Iterator[memoryview]) -> Generator[Block, None, Passed]:
        """Pass an archive on as it is.

        Raises:
            Damaged: it is none of this source.
        """
        if self.folding or self.groundwork:
            return (yield from self.chosen(blocks, _everything, passes=None if self.folding else _ANY))
        passage = _Passage(self)

        def look(member: Member) -> None:
            passage.refuse_foreign(member)
            passage.note(member)

        yield from passage.guarded(watched(blocks, look, passage.passing(_ANY)))
        return passage.ended()

    def chosen(
        self,
        blocks: Iterator[memoryview],
        chooses: Callable[[Member], bool],
        *,
        concerns: Callable[[str], bool] = _everything,
        passes: Bystanders | None = None,
        with_entries: bool = True,
    ) -> Generator[Block, None, Passed]:
        """Pass those members on that ``chooses`` wants; it is asked once for each, in order.

        Args:
            concerns: tells of a name whether it may be wanted.
            passes: ordinary files for which ``chooses`` need not be asked.
            with_entries: otherwise folders lose the record of what they held.

        Raises:
            Damaged: it is none of this source.
        """
        passage = _Passage(self)
        clashes = Clashes(self.folding, concerns) if self.folding else None
        groundwork = self.groundwork

        def lets_in(member: Member) -> bool:
            passage.refuse_foreign(member)
            is_wanted = chooses(member) and (clashes is None or clashes.passes(member))
            if is_wanted:
                passage.note(member)
            return is_wanted and (groundwork is None or groundwork.leaves(member))

        headers = Member.whole_headers if with_entries else without_entries
        with ExitStack() as stack:
            if groundwork is not None:
                groundwork.lost = clashes.lost if clashes is not None else frozenset()
                headers = groundwork.headers
                stack.callback(groundwork.leave)
            passing = None if passes is None else passage.passing(passes)
            yield from passage.guarded(selected(blocks, lets_in, headers, passing))
        if clashes is not None:
            passage.found.clashing |= clashes.lost
            passage.found.orphaned |= clashes.orphaned
            passage.found.shortened |= clashes.shortened
            passage.found.lowered = clashes.lowered
        return passage.ended()


@dataclass
class _Passage:
    """The passage of one archive. Lives within the generator that passes it on.

    Attributes:
        found: what was noticed.
        is_empty: it has had no member yet.
    """

    gate: Gate
    found: Passed = field(default_factory=Passed)
    is_empty: bool = True
    _room: int = _REMEMBERED_BYTES
    _held: set[str] = field(default_factory=set)
    _new: dict[str, str] = field(default_factory=dict)
    _is_incremental: bool = False
    _below: str = ""
    _keeps_times: bool = True

    def __post_init__(self) -> None:
        self._below = f"{self.gate.top}/" if self.gate.top else ""
        self._keeps_times = self.gate.times.are_usual

    def guarded(self, blocks: Iterator[Block]) -> Iterator[Block]:
        try:
            yield from blocks
        except MalformedArchive as error:
            raise Damaged(str(error)) from error
        if self.is_empty:
            raise Damaged("it holds nothing at all")

    def note(self, member: Member) -> None:
        found, gate = self.found, self.gate
        found.gave_power = found.gave_power or gives_power(member)
        found.has_links = found.has_links or member.type == SYMBOLIC_LINK
        found.has_names = found.has_names or member.type == HARD_LINK
        if names := attributes_of(member):
            self._note_attributes(member.name, names)
        if member.permissions & SPECIAL and (member.is_directory or member.type == REGULAR):
            self._note_special(member)
        if member.permissions & SET_ID and member.type == HARD_LINK and self._has_room(member.name):
            found.also_set_ids.append(member.name)
        is_foreign = gate.user is not None and member.owner != gate.user
        if is_foreign or (gate.group is not None and member.group != gate.group):
            found.foreign = found.foreign or member.name
            if member.type == REGULAR and member.permissions & SET_ID:
                found.set_ids.append(self._remembered(member.name))
        if not self._keeps_times:
            self._note_time(member)
        if self.gate.lacking:
            self._note_presence(member)

    def _note_time(self, member: Member) -> None:
        time, times = modified(member), self.gate.times
        if time is None or member.type == HARD_LINK:
            return
        if times.has(time):
            self.found.rounded = self.found.rounded or not times.is_step(time)
        elif self._has_room(member.name):
            self.found.untimely.append(member.name)

    def _note_attributes(self, name: str, names: tuple[bytes, ...]) -> None:
        size = len(name) + sum(map(len, names))
        if self._room < size:
            self.found.unnoticed += 1
            return
        self._room -= size
        self.found.attributes.append((name, names))

    def _note_special(self, member: Member) -> None:
        if self._has_room(member.name):
            self.found.special.append((member.name, member.permissions & SPECIAL))

    def _has_room(self, name: str) -> bool:
        """Whether a name can be remembered that is only told of; it takes the room."""
        if self._room < len(name):
            return False
        self._room -= len(name)
        return True

    def _remembered(self, name: str) -> str:
        self._room -= len(name)
        if self._room < 0:
            raise Damaged("it holds more setuid programs of other users than any machine has")
        return name

    def _note_presence(self, member: Member) -> None:
        if member.name in self.gate.lacking:
            self.found.settled.add(member.name)
        if member.dumpdir is not None:
            self._is_incremental = True
            for entry in member.entries:
                name = f"{member.name}/{entry}" if member.name else entry
                if name in self.gate.lacking:
                    self._held.add(name)
            self._note_unbrought(member)

    def _note_unbrought(self, folder: Member) -> None:
        name = folder.name
        if not (highest := self._new.get(name.rpartition("/")[0], name if name in self.gate.unmade else "")):
            return
        self._new[name] = highest
        for entry in (folder.dumpdir or b"").split(b"\0"):
            below = f"{name}/{entry[1:].decode('utf-8', 'surrogateescape')}"
            if entry[:1] == b"N" and not self._has_room(below):
                raise Damaged("it holds more names than any disk has that such a target takes for one, or shortens")
            self.found.unbrought += [(below, highest)] if entry[:1] == b"N" else []

    def passing(self, bystanders: Bystanders) -> Passing | None:
        """How the follower of the archive shall know these files; None if each must be looked at."""
        gate, chosen = self.gate, bystanders.chosen
        if chosen and (gate.lacking or gate.user is not None or gate.group is not None or not self._keeps_times):
            return None
        groundwork = gate.groundwork if chosen else None

        def enters(folder: bytes) -> bool:
            name = folder.decode("utf-8", "surrogateescape")
            if not lies_in(name, gate.top) or not bystanders.among(name):
                return False
            self.is_empty = False
            if groundwork is not None:
                groundwork.note_files(name)
            return True

        noticed = frozenset(name.encode("utf-8", "surrogateescape") for name in bystanders.noticed)
        return Passing(enters, noticed, keeps=chosen)

    def ended(self) -> Passed:
        """What was noticed, after the last member."""
        if self._is_incremental:
            self.found.settled |= {name for name in self.gate.lacking - self._held if name != self.gate.top}
        return self.found

    def refuse_foreign(self, member: Member) -> None:
        self.is_empty = False
        top = self.gate.top
        if member.header.type != HARD_LINK and member.name.startswith(self._below):
            return
        for name in (member.name, member.link_target) if member.type == HARD_LINK else (member.name,):
            if not lies_in(name, top):
                raise Damaged(f"it holds /{name}, which does not lie in /{top}: it is no archive of that directory")
