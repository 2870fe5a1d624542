"""The newest state of a directory, as its chain holds it, against the live tree.

Nothing is extracted: tar compares, from the newest archive to the oldest, the members that are the last of their name
and still part of the state, which the folders' entries in the newest archive tell.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence, Set
from dataclasses import dataclass, field

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.formatting import readable
from s3napback.recovery.folders import Cursor, walk
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.decoder import Decoder
from s3napback.streams.findings import Finding, Found
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.tar_headers import Member
from s3napback.streams.transformations import Block

_DIFFERS = 1
"""tar's exit status for "some files differ" (tar's manual, "Synopsis")."""

_CHOICE = "the choice of members"


def compare_stage(tar: str) -> Stage:
    """The process that compares an archive on its standard input with the live tree."""
    command = (tar, "--compare", "--file=-", "--numeric-owner", "--warning=no-unknown-keyword", "--directory=/")
    return Stage(command, warning_codes=frozenset({_DIFFERS}))


@dataclass
class _State:
    """The state of a directory. Names are kept as 16 bytes each, since there may be millions.

    While the newest archive is read it lives in that reading; then it belongs to the comparison.

    Attributes:
        known: all names of the state.
        wanted: those of them whose last content was not met yet.
    """

    known: set[bytes] = field(default_factory=set)
    wanted: set[bytes] = field(default_factory=set)

    def takes(self, member: Member) -> bool:
        """Whether a member of the newest archive is to be compared."""
        self.known.add(_short(member.name))
        for entry in member.entries:
            name = _short(f"{member.name}/{entry}" if member.name else entry)
            self.known.add(name)
            # What was met already, earlier in this archive, is no longer wanted; folders come before their content.
            self.wanted.add(name)
        if not member.is_directory:
            self.wanted.discard(_short(member.name))
        return _is_comparable(member, self.known)


def _is_comparable(member: Member, known: Set[bytes]) -> bool:
    # Whether two names are still one file cannot be asked where the other name is gone.
    return member.is_directory or not member.link_target or _short(member.link_target) in known


def _newest(gate: Gate) -> Finding[_State]:
    """The reading of the newest archive: it finds the state."""

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, _State]:
        state = _State()
        # tar would call a folder different for every new or excluded file in it.
        yield from gate.chosen(blocks, state.takes, with_entries=False)
        return state

    return Finding(_CHOICE, read)


def _older(gate: Gate, state: _State) -> Finding[set[bytes]]:
    """The reading of an archive before it: it finds which of the wanted names it has, and changes nothing."""

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, set[bytes]]:
        met: set[bytes] = set()

        def takes(member: Member) -> bool:
            name = _short(member.name)
            if member.is_directory or name not in state.wanted or name in met:
                return False
            met.add(name)
            return _is_comparable(member, state.known)

        yield from gate.chosen(blocks, takes, with_entries=False)
        return met

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
        say: takes a line for each difference.

    Returns:
        How many files and folders differ, or are missing. What is new is told and not counted; what Exclude left out
        is among a folder's entries, and so is passed over.

    Raises:
        PipelineError: an archive could not be decoded.
    """
    gate = Gate(directory.strip("/"))
    differences = _Lines(say)

    def read(archive: CataloguedArchive, finding: Finding[Found]) -> Found:
        stages = finding.transformation, compare_stage(tar)
        decoder.run(archive, *stages, write=differences.feed, finish=differences.feed_warnings, use="compared")
        return finding.result()

    *older, newest = chain
    state = read(newest, _newest(gate))
    for archive in reversed(older):
        met = read(archive, _older(gate, state))
        state.wanted -= met
    for path in _unknown(directory, state):
        say(f"{readable(os.fsencode(path))}: new since then")
    return differences.count


@dataclass
class _Lines:
    """tar's output, line by line."""

    say: Callable[[str], None]
    count: int = 0
    _rest: bytes = b""

    def feed(self, block: Block) -> None:
        *lines, self._rest = (self._rest + bytes(block)).split(b"\n")
        for line in lines:
            self._tell(readable(line))

    def feed_warnings(self, pipeline: Pipeline) -> None:
        for line in pipeline.warnings:
            self._tell(line.removeprefix("tar: "))

    def _tell(self, line: str) -> None:
        self.count += 1
        self.say(f"/{line.removeprefix('./')}")


def _unknown(directory: str, state: _State) -> Iterator[str]:
    """What the live tree holds and the state does not; of a folder that is new only itself."""
    found: list[str] = []

    def is_known(place: Cursor, name: str) -> bool:
        path = "/".join((directory.rstrip("/"), *place.names, name))
        known = _short(os.fsencode(path.lstrip("/")).decode("utf-8", "surrogateescape")) in state.known
        if not known:
            found.append(path)
        return known

    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        # tar has said so already.
        return
    try:
        for step in walk(top, is_own=False, enters=is_known, refused=lambda _name, _error: None):
            for name in sorted(step.others):
                is_known(step.place, name)
            yield from found
            found.clear()
    finally:
        os.close(top)
