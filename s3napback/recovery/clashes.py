"""Names that the target takes for one: ``Makefile`` and ``makefile`` on exFAT, NTFS, SMB and disks of a Mac.

tar would write one over the other and say nothing. So of such names only the first reaches it. Some drop what a name
ends with, too: ``report.`` is ``report`` on FAT. Pure.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field

from s3napback.records import dataclass
from s3napback.recovery.opening.failures import Damaged
from s3napback.streams.tar_headers import HARD_LINK, Member

_REMEMBERED_BYTES = 1 << 26
_ARCHIVED = b"YD"
"""Letters of a folder's entries that the archive holds (GNU tar's manual, "Dumpdir")."""


@dataclass(frozen=True)
class Folding:
    """What a target does not tell apart.

    Attributes:
        case: small and capital letters.
        forms: letters with accents, as one character and as two.
        ends: characters that it drops where a name ends with them, as FAT does with dots.
        only_text: it takes names that are not UTF-8, and gives others for them, as a mount of SeaweedFS does.
        lowers: it lists all names in small letters, as NTFS does that is mounted with ``ignore_case``.
    """

    case: bool = False
    forms: bool = False
    ends: str = ""
    only_text: bool = False
    lowers: bool = False

    def __bool__(self) -> bool:
        return self.case or self.forms or bool(self.ends) or self.only_text or self.lowers

    def __or__(self, other: Folding) -> Folding:
        only_text, lowers = self.only_text or other.only_text, self.lowers or other.lowers
        return Folding(self.case or other.case, self.forms or other.forms, self.ends + other.ends, only_text, lowers)

    @property
    def lists_others(self) -> bool:
        """Whether it lists what it has taken by names that are not those that it was given."""
        return bool(self.ends) or self.lowers

    def lists(self, name: str) -> bool:
        """Whether what it lists by this name was given to it by this one, and by none that it takes for the same."""
        return not self.lowers and (name.isascii() or not self.forms)

    def gives_another(self, name: str) -> bool:
        """Whether the target would list another name in the place of this one; a later archive would know that gone."""
        return self.only_text and not _is_text(name)

    def kept(self, name: str) -> str:
        """What the target keeps of a name."""
        return name.rstrip(self.ends) or name

    def key(self, name: str) -> str:
        """What is the same for names that the target takes for one."""
        name = self.kept(name)
        if name.isascii():
            return name.lower() if self.case else name
        name = unicodedata.normalize("NFC", name) if self.forms else name
        # Letter by letter, as file systems do it: of two letters that are one none becomes the other.
        return "".join(map(_lowered, name)) if self.case else name


TELLS_APART = Folding()
"""What most targets do."""

EITHER = Folding(case=True, forms=True, ends=". ")
"""What the least discerning ones do."""

WORDS = "the target takes its name for that of another"
NO_TEXT = "the target keeps no names that are not UTF-8"
SHORTENED = "the target drops what its name ends with"


def same_names(folding: Folding, names: Iterable[str]) -> Iterator[str]:
    """Those of a folder's names that a target takes for an earlier one of them, in the order of their letters."""
    if not folding:
        return
    claimed: set[str] = set()
    for name in sorted(names):
        key = folding.key(name)
        if key in claimed:
            yield name
        claimed.add(key)


def _is_text(name: str) -> bool:
    """Whether a name, as Python has it, is UTF-8."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _lowered(letter: str) -> str:
    upper = letter.upper()
    lower = (upper if len(upper) == 1 else letter).lower()
    return lower if len(lower) == 1 else letter


def _everything(_name: str) -> bool:
    return True


@dataclass
class Clashes:
    """The names of one archive, as they pass. Lives within the generator that passes it on.

    Attributes:
        folding: what the target does not tell apart.
        concerns: tells of a name whether it is wanted.
        lost: names that do not pass, or that another one is written over; of a folder only its own.
        orphaned: those among them that are hard links to others of them.
        shortened: names that do pass, and of which the target keeps less.
        lowered: one that does pass is listed in small letters, and has others.
    """

    folding: Folding
    concerns: Callable[[str], bool] = _everything
    lost: set[str] = field(default_factory=set)
    orphaned: set[str] = field(default_factory=set)
    shortened: set[str] = field(default_factory=set)
    lowered: bool = False
    _first: dict[bytes, bytes] = field(default_factory=dict)
    _room: int = _REMEMBERED_BYTES
    _has_lists: bool = False

    def passes(self, member: Member) -> bool:
        """Whether a member does; folders come before what lies in them."""
        if self.folding.gives_another(member.name) and not self._is_lost(member.name):
            self._lose(member.name)
        if member.dumpdir is not None:
            self._has_lists = True
            self._look_into(member)
        elif not self._has_lists and self.concerns(member.name):
            self._take_first(member.name)
        names = (member.name, member.link_target) if member.type == HARD_LINK else (member.name,)
        if not any(map(self._is_lost, names)):
            last = member.name.rpartition("/")[2]
            if self.folding.kept(last) != last:
                self._take_room(member.name)
                self.shortened.add(member.name)
            self.lowered = self.lowered or (self.folding.lowers and last.lower() != last)
            return True
        if member.type == HARD_LINK and not self._is_lost(member.name):
            self._lose(member.name)
            self.orphaned.add(member.name)
        return False

    def _look_into(self, folder: Member) -> None:
        """What the archive holds comes before what only older ones hold, which it is written over."""
        claimed: set[str] = set()
        below = f"{folder.name}/" if folder.name else ""
        entries = [entry for entry in (folder.dumpdir or b"").split(b"\0") if entry]
        for is_archived in (True, False):
            for entry in entries:
                name = below + entry[1:].decode("utf-8", "surrogateescape")
                if (entry[:1] in _ARCHIVED) is not is_archived or not self.concerns(name):
                    continue
                key = self.folding.key(name[len(below) :])
                if key in claimed:
                    self._lose(name)
                elif is_archived:
                    claimed.add(key)

    def _take_first(self, name: str) -> None:
        """Names are kept as 16 bytes each, since there may be millions."""
        exact = _short(name)
        if self._first.setdefault(_short(self.folding.key(name)), exact) != exact:
            self._lose(name)

    def _lose(self, name: str) -> None:
        self._take_room(name)
        self.lost.add(name)

    def _take_room(self, name: str) -> None:
        self._room -= len(name)
        if self._room < 0:
            raise Damaged("it holds more names than any disk has that such a target takes for one, or shortens")

    def _is_lost(self, name: str) -> bool:
        while self.lost and name:
            if name in self.lost:
                return True
            name = name.rpartition("/")[0]
        return False


def _short(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()
