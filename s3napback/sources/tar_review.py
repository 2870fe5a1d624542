"""Whether an archive is good although GNU tar could not read all of it, and what it lacks.

What any user can bring about never counts against it: one user's files never cost the others'.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection
from dataclasses import replace

from s3napback.archives import Unread
from s3napback.config.directives import Directives
from s3napback.formatting import counted, printable, shortened
from s3napback.sources.blame import STALE, TOO_LONG, VANISHED, Blame
from s3napback.sources.tar_messages import Meaning, Said, understood
from s3napback.streams.reviews import is_warning

TAR_FAILURE = 2
"""tar's exit status for "something failed", were it a single file (tar's manual, "Synopsis")."""

_SHOWN = 50
_REMEMBERED_BYTES = 1 << 24
_DENIED = b"Permission denied"
_NOT_SUPPORTED = b"Operation not supported"
_TOLD_AT_ONCE = {
    Meaning.BARE: (
        "{} came without access rights (ACL) or extended attributes, which could not be read: {}. The first is {}"
    ),
    Meaning.TOUCHED: (
        "{} kept the time of this backup as that of the last reading, which could not be set back: {}. The first is {}"
    ),
}
"""What may be said of very many paths, in which nothing of their content is missing."""


class TarReview:
    """Reads what one run of tar says, as it says it, in bounded memory. Fulfils ``Review``.

    Attributes:
        is_complete: all paths that were left out are remembered; if not, nothing that tar's snapshot says of the tree
            can be relied on.
    """

    def __init__(self, blame: Blame, *, most: int) -> None:
        """Begin.

        Args:
            blame: knows what tar was told to archive, and whose doing it is that something cannot be read.
            most: Unreadable.
        """
        self.is_complete = True
        self._top = blame.member
        self._most = most
        self._blame = blame
        self._left_out: dict[bytes, Said] = {}
        self._removed: set[bytes] = set()
        self._room = _REMEMBERED_BYTES
        self._not_remembered = 0
        self._counted = 0
        self._first = ""
        self._serious = ""
        self._remarks: list[str] = []
        self._more_remarks = 0
        self._told: dict[tuple[Meaning, bytes], tuple[bytes, int]] = {}
        self._noted: deque[str] = deque(maxlen=_SHOWN)

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        said = self._looked_at(understood(line))
        if said.meaning not in _TOLD_AT_ONCE and is_warning(line.decode(errors="replace")):
            self._noted.append(_readable(line))
        if said.meaning in (Meaning.REMARK, Meaning.REMOVED):
            self._remark(line, said)
        elif said.meaning in _TOLD_AT_ONCE:
            if said.call.endswith((b"listxattr", b"listxattrat")) and said.reason == _NOT_SUPPORTED:
                # Where a file system knows of no attributes, as many of FUSE do, nothing has any.
                return
            first, count = self._told.get((said.meaning, said.reason), (said.path, 0))
            self._told[said.meaning, said.reason] = first, count + 1
        elif said.meaning is Meaning.SERIOUS or not self._is_below(said.path):
            self._serious = self._serious or _readable(line)
        elif said.path not in self._left_out:
            self._leave_out(said)

    def _looked_at(self, said: Said) -> Said:
        if said.meaning is not Meaning.SHRANK:
            return said
        reason = self._blame.reason_of_end(said.path, said.lacking)
        if not reason:
            return replace(said, meaning=Meaning.REMARK)
        cut = replace(said, meaning=Meaning.CUT, reason=reason)
        self._noted.append(self._sentence(cut))
        return cut

    def _remark(self, line: bytes, said: Said) -> None:
        if said.meaning is Meaning.REMOVED and self._has_room(said.path):
            self._removed.add(said.path)
        if said.path and len(self._remarks) < _SHOWN:
            is_link = said.meaning is Meaning.REMOVED and self._blame.leads_nowhere(said.path)
            self._remarks.append(_about_link(said.path) if is_link else _readable(line))
        else:
            self._more_remarks += bool(said.path)

    def _is_below(self, path: bytes) -> bool:
        if self._top == b".":
            return path != b"." and not path.startswith(b"/")
        return path.startswith(self._top + b"/")

    def _leave_out(self, said: Said) -> None:
        if not self._blame.is_a_users(said.path, said.reason):
            self._counted += 1
            self._first = self._first or f"{_absolute(said.path)}: {said.reason.decode(errors='replace')}"
        if self._has_room(said.path):
            self._left_out[said.path] = said
        else:
            self._not_remembered += 1
            # What is too long to be opened is not readable tomorrow either, unless it gets another path.
            self.is_complete = self.is_complete and said.reason == TOO_LONG

    def _has_room(self, path: bytes) -> bool:
        self._room -= len(path)
        return self._room >= 0

    def excuses(self, status: int) -> bool:
        """See ``Review``."""
        is_touched = any(meaning is Meaning.TOUCHED for meaning, _reason in self._told)
        is_known = bool(self._left_out or self._not_remembered or is_touched) and not self._serious
        return status == TAR_FAILURE and is_known and self._counted <= self._most

    @property
    def counted(self) -> int:
        """Paths that could not be read, as MaxUnreadable counts them, so far."""
        return self._counted

    @property
    def complaint(self) -> str:
        """See ``Review``."""
        return self._serious or self.excess

    @property
    def excess(self) -> str:
        """That more could not be read than may be, which tar itself may not have noticed; empty if not."""
        if self._counted > self._most:
            advice = "" if self._most else "; with “warn” there, all the rest is backed up"
            return (
                f"{counted(self._counted, 'path')} could not be read, and Unreadable is "
                f"“{Directives.UNREADABLE.shown(self._most)}”{advice}. The first is {self._first}"
            )
        return ""

    @property
    def unread(self) -> Unread:
        """What the archive lacks, or does not have whole, of what was there, and is not read because of that."""
        there = [path for path, said in self._left_out.items() if said.reason not in VANISHED]
        return Unread(len(there) + self._not_remembered, tuple(sorted(there)))

    @property
    def left_out(self) -> Collection[bytes]:
        """Paths, as in the archive, that it lacks or does not have whole although they were listed."""
        return {*self._left_out, *self._removed}

    @property
    def warnings(self) -> list[str]:
        """See ``Review``."""
        paths = sorted(self._left_out)
        lines = [self._sentence(self._left_out[path]) for path in paths[:_SHOWN]]
        if more := len(paths) - len(lines) + self._not_remembered:
            lines.append(f"{counted(more, 'other path')} could not be read either")
        lines += self._sentences_of_many()
        if self._more_remarks:
            return [*lines, *self._remarks, f"tar made {counted(self._more_remarks, 'other remark')}"]
        return [*lines, *self._remarks]

    @property
    def asides(self) -> list[str] | None:
        """See ``Review``."""
        return [*self._sentences_of_many(), *self._noted]

    def _sentences_of_many(self) -> list[str]:
        return [
            _TOLD_AT_ONCE[meaning].format(counted(count, "path"), reason.decode(errors="replace"), self._shown(first))
            for (meaning, reason), (first, count) in self._told.items()
        ]

    def _shown(self, path: bytes) -> str:
        """A path, or the mere name of a file that tar gives there."""
        return _absolute(path) if path == self._top or self._is_below(path) else f"called {_name(path)}"

    def _sentence(self, said: Said) -> str:
        path = _absolute(said.path)
        reason = said.reason.decode(errors="replace")
        if said.meaning is Meaning.CUT:
            return f"{path} is not whole in this archive, zeros stand for what could not be read: {reason}"
        if said.reason == TOO_LONG:
            return f"{path} and what is below it are not in this archive: a path of that length cannot be opened"
        if said.reason in VANISHED and self._blame.leads_nowhere(said.path):
            return _about_link(said.path)
        if said.reason in VANISHED or said.reason == STALE:
            return f"{path} is not in this archive: it vanished or was replaced while tar was looking at it"
        if self._blame.is_almighty and (said.call, said.reason) == (b"stat", _DENIED):
            return (
                f"{path} is not in this archive: {reason}, even to root. Probably a user has mounted a file system "
                "there; Exclude silences this"
            )
        return f"{path} could not be read and is not in this archive: {reason}"


def _about_link(path: bytes) -> str:
    return f"{_absolute(path)} is a symbolic link that leads nowhere: with --dereference nothing of it can be archived"


def _absolute(path: bytes) -> str:
    return "/" + _name(path)


def _name(path: bytes) -> str:
    return shortened(printable(os.fsdecode(path)))


def _readable(line: bytes) -> str:
    return shortened(printable(line.decode(errors="replace")))
