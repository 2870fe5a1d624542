"""The newest state of a directory, as its chain holds it, against the live tree.

Nothing is extracted. From the newest archive to the oldest, the members that are the last of their name and still part
of the state, which the folders' entries in the newest archive tell, are held against what lies there (``live.py``); of
regular files that seem unchanged tar compares the content.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.formatting import readable
from s3napback.recovery.folders import Cursor, cursor, names_in, walk
from s3napback.recovery.live import Live
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.decoder import Decoder
from s3napback.sources.tar_messages import Meaning, understood, unquoted
from s3napback.streams.findings import Finding, Found
from s3napback.streams.processes import Stage
from s3napback.streams.tar_headers import REGULAR, Member
from s3napback.streams.transformations import Block

_DIFFERS = 1
"""tar's exit status for "some files differ" (tar's manual, "Synopsis")."""

_CACHE_TAG = "CACHEDIR.TAG"
"""The one file that ``--exclude-caches`` keeps of a cache."""

_CHOICE = "the comparison of members"
_MOST_LINES = 10_000
_LINE = re.compile(rb"(?P<name>(?:[^:\\]|\\.)+): (?P<text>[^:\\]+)(?:: [^:\\]+)?", re.DOTALL)


def compare_stage(tar: str, words: Words) -> Stage:
    """The process that compares the content of an archive's members on its standard input with the live tree."""
    command = (tar, "--compare", "--file=-", "--numeric-owner", "--quoting-style=escape", "--directory=/")
    return Stage((*command, "--warning=no-unknown-keyword"), warning_codes=frozenset({_DIFFERS}), review=words)


@dataclass
class Words:
    """What tar says of content. Fulfils ``Review``.

    Attributes:
        lines: of its standard output and its messages, each with the name that it is about.
    """

    lines: list[tuple[bytes, str]] = field(default_factory=list)
    complaint: str = ""
    warnings: list[str] = field(default_factory=list)
    _rest: bytes = b""

    def feed(self, block: Block) -> None:
        """Take in standard output."""
        *lines, self._rest = (self._rest + bytes(block)).split(b"\n")
        for line in lines:
            found = _LINE.fullmatch(line)
            if found and len(self.lines) < _MOST_LINES:
                self.lines.append((unquoted(found["name"]), readable(found["text"])))

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        said = understood(line)
        if said.meaning in (Meaning.LEFT_OUT, Meaning.CUT, Meaning.REMOVED):
            if len(self.lines) < _MOST_LINES:
                self.lines.append((said.path, f"cannot be read ({said.reason.decode(errors='replace')})"))
        elif said.meaning is Meaning.SERIOUS:
            self.complaint = self.complaint or readable(line)

    def excuses(self, status: int) -> bool:
        """See ``Review``."""
        return status == 2 and bool(self.lines) and not self.complaint


@dataclass
class _State:
    """The state of a directory. Names are kept as 16 bytes each, since there may be millions.

    While the newest archive is read it lives in that reading; then it belongs to the comparison.

    Attributes:
        known: all names of the state.
        folders: those of them that are folders in the archive.
        wanted: those of them whose last content was not met yet.
    """

    known: set[bytes] = field(default_factory=set)
    folders: set[bytes] = field(default_factory=set)
    wanted: set[bytes] = field(default_factory=set)

    def note(self, member: Member) -> None:
        """Take in a member of the newest archive."""
        name = _short(member.name)
        self.known.add(name)
        # What was met already, earlier in this archive, is no longer wanted; folders come before their content.
        self.wanted.discard(name)
        if member.is_directory:
            self.folders.add(name)
        for entry in member.entries:
            inner = _short(f"{member.name}/{entry}" if member.name else entry)
            self.known.add(inner)
            self.wanted.add(inner)


@dataclass
class _Result:
    """What one reading of an archive found.

    Attributes:
        lines: differences, each with the name that it is about; the first of them.
        differing: all names that differ.
        met: names that the archive has, of those that were wanted.
        state: of the newest archive.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    differing: set[bytes] = field(default_factory=set)
    met: set[bytes] = field(default_factory=set)
    state: _State = field(default_factory=_State)

    def note(self, member: Member, words: Sequence[str]) -> None:
        self.differing.add(_short(member.name))
        if len(self.lines) < _MOST_LINES:
            self.lines.append((member.name, ", ".join(words)))


def _reading(gate: Gate, directory: int, known: _State | None) -> Finding[_Result]:
    """The reading of one archive: of the newest, which finds the state, without one; of an older one with it."""

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, _Result]:
        result = _Result()
        state = known or result.state
        with cursor(directory) as place:
            live = Live(place, gate.top)

            def takes(member: Member) -> bool:
                name = _short(member.name)
                if known is None:
                    state.note(member)
                elif member.is_directory or name not in state.wanted or name in result.met:
                    return False
                result.met.add(name)
                # Whether two names are still one file cannot be asked where the other name is gone.
                if member.link_target and _short(member.link_target) not in state.known:
                    return False
                if words := live.differences(member):
                    result.note(member, words)
                    return False
                return member.type == REGULAR

            yield from gate.chosen(blocks, takes, with_entries=False)
        return result

    return Finding(_CHOICE, read)


def _short(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def compare(
    decoder: Decoder, chain: Sequence[CataloguedArchive], directory: str, tar: str, say: Callable[[str], None]
) -> int:
    """Compare, and tell what differs.

    Args:
        chain: oldest first.
        directory: the source's path.
        say: takes a line for each file or folder that differs.

    Returns:
        How many files and folders differ, or are missing. What is new is told and not counted; what Exclude left out
        is among a folder's entries, and so is passed over.

    Raises:
        PipelineError: an archive could not be decoded.
    """
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        say(f"{readable(os.fsencode(directory))}: cannot be looked at ({error.strerror})")
        return 1
    try:
        return _Comparison(decoder, Gate(directory.strip("/")), top, tar, say).run(chain, directory)
    finally:
        os.close(top)


@dataclass
class _Comparison:
    decoder: Decoder
    gate: Gate
    directory: int
    tar: str
    say: Callable[[str], None]
    _differing: set[bytes] = field(default_factory=set)

    def run(self, chain: Sequence[CataloguedArchive], directory: str) -> int:
        *older, newest = chain
        state = self._read(newest, _reading(self.gate, self.directory, None)).state
        for archive in reversed(older):
            state.wanted -= self._read(archive, _reading(self.gate, self.directory, state)).met
        for path in _unknown(self.directory, directory, state):
            self.say(f"{readable(os.fsencode(path))}: new since then")
        return len(self._differing)

    def _read(self, archive: CataloguedArchive, finding: Finding[Found]) -> Found:
        words = Words()
        stages = finding.transformation, compare_stage(self.tar, words)
        self.decoder.run(archive, *stages, write=words.feed, use="compared")
        result = finding.result()
        if isinstance(result, _Result):
            self._tell(result, words)
        return result

    def _tell(self, result: _Result, words: Words) -> None:
        of_content = {path.decode("utf-8", "surrogateescape"): text for path, text in words.lines}
        lines = [*result.lines, *((name.rstrip("/"), text) for name, text in of_content.items())]
        self._differing |= result.differing | {_short(name.rstrip("/")) for name in of_content}
        for name, text in sorted(lines):
            self.say(f"/{readable(name.removeprefix('./').encode('utf-8', 'surrogateescape'))}: {text}")
        if (hidden := len(result.differing) - len(result.lines)) > 0:
            self.say(f"{hidden} more differ")


def _unknown(top: int, directory: str, state: _State) -> Iterator[str]:
    """What the live tree holds and the state does not; of a folder that is new only itself.

    What lies in a folder that was left out is not new, and neither is what lies among others that all were left out, as
    in ``/proc``, in a folder of which only the tag of a cache was archived, or on a disk of which nothing was.
    """

    def path(place: Cursor, name: str) -> str:
        return "/".join((directory.rstrip("/"), *place.names, name))

    def short(place: Cursor, name: str) -> bytes:
        return _short(os.fsencode(path(place, name).lstrip("/")).decode("utf-8", "surrogateescape"))

    def was_folder(place: Cursor, name: str) -> bool:
        return short(place, name) in state.folders

    for step in walk(top, is_own=False, enters=was_folder, refused=lambda _name, _error: None):
        if step.left:
            continue
        names = {name: short(step.place, name) for name in names_in(step.place.descriptor)}
        known = {name: each for name, each in names.items() if each in state.known}
        if known and all(each in state.wanted for each in known.values()):
            continue
        if known.keys() == {_CACHE_TAG} or (not known and step.place.depth and _is_mounted(step.place.descriptor)):
            continue
        yield from (path(step.place, name) for name, each in names.items() if each not in state.known)


def _is_mounted(folder: int) -> bool:
    return os.fstat(folder).st_dev != os.stat("..", dir_fd=folder).st_dev
