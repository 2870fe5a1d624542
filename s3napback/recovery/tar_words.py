"""What one line means that GNU tar says while it extracts, and what may be excused of it. Pure.

See ``sources/tar_messages.py`` for the form of the lines; the texts are those of ``src/extract.c`` and
``lib/paxerror.c`` of 1.34 and 1.35. Warnings on extended attributes bear names as they are, with their line breaks, so
tar is told to be silent on these, and ``attributes.py`` looks for itself.

What a target cannot take costs just that; an archive that is damaged, a disk that fails and want of room cost the
whole restore. So what is not known here is serious.
"""

from __future__ import annotations

import posixpath
import re
from enum import Enum

from s3napback.formatting import printable, shortened
from s3napback.records import dataclass
from s3napback.recovery.members import lies_in
from s3napback.recovery.refusals import REMEMBERED_BYTES, Aspect, Refusals
from s3napback.regexes import regex
from s3napback.sources.tar_messages import LINE, REASON, unquoted

TAR_FAILURE = 2
"""tar's exit status for "something failed", were it a single file (tar's manual, "Synopsis")."""

_LONGEST = 1 << 16
"""Bytes; a line that long has lost its end."""

_MOST_REMARKS = 20

_MOST_MEMORY = 1 << 28
"""Bytes, about, of paths that are not there; far more than any honest archive has that a target does not take."""

_EACH = 256


class ExtractionMeaning(Enum):
    """What a line is about."""

    REFUSED = "the target did not take something"
    BELOW = "something is not there, which is no wonder below what the target did not take"
    CUT = "a file was written in part only, for want of room or because it is too large for the target"
    NOISE = "nothing that anybody has to know"
    SERIOUS = "anything else"


@dataclass(frozen=True)
class ExtractionLine:
    """A line that was understood.

    Attributes:
        path: what it is about, as in the archive; empty if it is about nothing.
        aspect: what could not be done.
        reason: the C library's text, in English.
        owner: user and group that could not be set.
        link: the other name of the file, as in the archive, that a hard link could not be made to.
    """

    meaning: ExtractionMeaning
    path: bytes = b""
    aspect: Aspect = Aspect.ENTRY
    reason: bytes = b""
    owner: tuple[int, int] = (0, 0)
    link: bytes = b""


_REFUSALS = frozenset(
    {
        *(b"Operation not permitted", b"Permission denied", b"Invalid argument", b"File name too long"),
        *(b"Operation not supported", b"Function not implemented", b"Too many links", b"No such device or address"),
        *(b"Invalid or incomplete multibyte or wide character", b"Value too large for defined data type"),
        *(b"Inappropriate ioctl for device", b"File too large", b"No such device", b"Numerical result out of range"),
    }
)
"""Reasons that lie in what the target is, or in who we are there, and not in the archive or the state of a disk.

"Numerical result out of range" is what CryFS says of hard links, pipes and devices.
"""

_ABSENT = frozenset({b"No such file or directory", b"Not a directory"})

_TEXTS = tuple(
    (aspect, regex(text + REASON, re.DOTALL))
    for aspect, text in (
        (Aspect.ENTRY, rb"Cannot (?:mkdir|mknod|mkfifo|open)"),
        (Aspect.ENTRY, rb"Cannot create symlink to '.*'"),
        (Aspect.LINK, rb"Cannot hard link to '(?P<link>.*)'"),
        (Aspect.CONTENT, rb"Cannot (?:write|close)"),
        (Aspect.OWNER, rb"Cannot change ownership to uid (?P<uid>\d+), gid (?P<gid>\d+)"),
        (Aspect.MODE, rb"Cannot change mode to [-rwxsStT]+"),
        (Aspect.TIMES, rb"Cannot utime"),
        (Aspect.STATE, rb"Cannot (?:stat|fstat)"),
    )
)
_UNFIT = regex(rb"Cannot (?:mknod|mkfifo): (?P<reason>Input/output error)")
"""What exfat-fuse answers where there are no such files at all."""

_ILLEGAL = regex(
    rb"Cannot (?:open|mkdir|mknod|mkfifo|create symlink to '.*'|hard link to '.*'): "
    rb"(?P<reason>No such file or directory)|Cannot open",
    re.DOTALL,
)
_FORBIDDEN = regex(rb"[\x01-\x1f\"*:<>?|\\]")
"""What a name on exFAT, NTFS and SMB must not hold; of these exfat-fuse and cifs say that they are not there."""

_UNTOLD = regex(rb"Cannot open")
"""With attributes to set, tar makes a file by another call, and has forgotten why that failed: nothing was there."""

FIRST_REFUSED = "its content stands in the archive under the other name, which was not made either"

_CUT = regex(rb"Wrote only \d+ of \d+ bytes?")
_TOO_LONG = regex(rb"Cannot stat: (?P<reason>File name too long)")
_NOISE = regex(
    rb"implausibly old time stamp .*|time stamp .* is .* s in the future"
    # A line on why comes before it.
    rb"|Not purging directory: unable to stat",
    re.DOTALL,
)
_END = regex(rb"[^:]*tar: Exiting with failure status due to previous errors")


def understood(line: bytes) -> ExtractionLine:
    """What a line says.

    Args:
        line: whole, without the line break.
    """
    if _END.fullmatch(line):
        return ExtractionLine(ExtractionMeaning.NOISE)
    found = LINE.fullmatch(line)
    if found is None:
        return ExtractionLine(ExtractionMeaning.SERIOUS)
    path, words = posixpath.normpath(unquoted(found["name"])), found["text"]
    if _NOISE.fullmatch(words):
        return ExtractionLine(ExtractionMeaning.NOISE, path)
    if _CUT.fullmatch(words):
        return ExtractionLine(ExtractionMeaning.CUT, path, Aspect.CONTENT, b"File too large")
    unfit = _UNFIT.fullmatch(words) or _TOO_LONG.fullmatch(words)
    unfit = unfit or (_FORBIDDEN.search(posixpath.basename(path)) and _ILLEGAL.fullmatch(words))
    if unfit:
        reason = unfit["reason"] or b"No such file or directory"
        return ExtractionLine(ExtractionMeaning.REFUSED, path, Aspect.ENTRY, reason)
    matches = ((aspect, pattern.fullmatch(words)) for aspect, pattern in _TEXTS)
    is_untold = _UNTOLD.fullmatch(words) is not None
    return next(
        (_judged(path, aspect, text) for aspect, text in matches if text),
        ExtractionLine(ExtractionMeaning.BELOW if is_untold else ExtractionMeaning.SERIOUS, path),
    )


def _judged(path: bytes, aspect: Aspect, text: re.Match[bytes]) -> ExtractionLine:
    words = text.groupdict()
    reason = text["reason"]
    link = posixpath.normpath(unquoted(words["link"])) if "link" in words else b""
    if reason in _ABSENT:
        return ExtractionLine(ExtractionMeaning.BELOW, path, aspect, reason, link=link)
    if reason not in _REFUSALS or aspect is Aspect.STATE:
        return ExtractionLine(ExtractionMeaning.SERIOUS, path, aspect, reason)
    return ExtractionLine(
        ExtractionMeaning.REFUSED, path, aspect, reason, (int(words.get("uid", 0)), int(words.get("gid", 0))), link
    )


class ExtractionReview:
    """Reads what one run of tar says. Fulfils ``Review``.

    Attributes:
        refusals: what the target did not take.
        owners: whom files should belong to that could not be given to them, for reasons of ``owner_reason``.
        links: of hard links that could not be made, the other names of their files.
        cut: paths of files that were written in part only.
        unmade: paths of what could not be made; tar may have left an empty file there.
        remarks: the first lines that are not known here, in words for people.
    """

    asides: None = None

    def __init__(self, top: str, refused: frozenset[bytes] = frozenset()) -> None:
        """Begin.

        Args:
            top: the source's name in archives.
            refused: paths that the target did not take of archives before.
        """
        self.refusals = Refusals()
        self.owners: dict[bytes, tuple[int, int]] = {}
        self.owner_reason = ""
        self.links: dict[bytes, bytes] = {}
        self.cut: set[bytes] = set()
        self.unmade: set[bytes] = set()
        self.remarks: list[str] = []
        self._top = top
        self._refused = {*refused}
        self._room = REMEMBERED_BYTES
        self._memory = _MOST_MEMORY
        self._has_refused = False
        self._serious = ""

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        said = understood(line) if len(line) < _LONGEST else ExtractionLine(ExtractionMeaning.SERIOUS)
        if said.meaning is ExtractionMeaning.NOISE:
            return
        path = b"" if said.path == b"." else said.path
        is_ours = lies_in(path.decode("utf-8", "surrogateescape"), self._top)
        is_below = said.meaning is ExtractionMeaning.BELOW and self._is_below_refused(path)
        # What a hard link leads to was refused: then it is, too.
        is_refused = said.meaning is ExtractionMeaning.BELOW and not is_below and self._is_below_refused(said.link)
        is_excused = is_below or is_refused or said.meaning in (ExtractionMeaning.REFUSED, ExtractionMeaning.CUT)
        if not is_ours or not is_excused:
            self._remark(line)
            return
        self._has_refused = True
        if is_below:
            # It is part of the folder that was refused, of which people know already.
            return
        if said.aspect in (Aspect.ENTRY, Aspect.CONTENT, Aspect.LINK):
            self._memory -= _EACH + len(path) + len(said.link)
            if self._memory < 0:
                self._remark(b"the target does not take so much of this archive that it cannot be remembered")
                return
        if said.aspect in (Aspect.ENTRY, Aspect.CONTENT):
            self._refused.add(path)
            (self.cut if said.aspect is Aspect.CONTENT else self.unmade).add(path)
        if said.aspect is Aspect.LINK:
            self.links[path] = said.link
        if said.aspect is Aspect.OWNER:
            self._note_owner(path, said)
        else:
            is_left = said.aspect is Aspect.LINK and self._is_below_refused(said.link)
            self.refusals.note(path, said.aspect, FIRST_REFUSED if is_left else said.reason.decode())

    def _note_owner(self, path: bytes, said: ExtractionLine) -> None:
        self._room -= len(path)
        self.owner_reason = self.owner_reason or said.reason.decode()
        if self._room >= 0:
            self.owners[path] = said.owner
        else:
            self.refusals.note(path, said.aspect, said.reason.decode())

    def _remark(self, line: bytes) -> None:
        words = shortened(printable(line.decode(errors="replace")))
        self._serious = self._serious or words
        if len(self.remarks) < _MOST_REMARKS:
            self.remarks.append(words)

    def _is_below_refused(self, path: bytes) -> bool:
        while path:
            if path in self._refused:
                return True
            path = path.rpartition(b"/")[0]
        return False

    def excuses(self, status: int) -> bool:
        """See ``Review``."""
        return status == TAR_FAILURE and self._has_refused and not self._serious

    @property
    def refused(self) -> frozenset[bytes]:
        """Paths that the target did not take, of this archive and those before."""
        return frozenset(self._refused)

    @property
    def complaint(self) -> str:
        """See ``Review``."""
        return self._serious

    @property
    def warnings(self) -> list[str]:
        """See ``Review``."""
        return self.remarks
