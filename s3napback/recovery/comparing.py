"""The newest state of a directory, as its chain holds it, against the live tree.

Nothing is extracted. From the newest archive to the oldest, the members that are the last of their name and still part
of the state, which the folders' entries in the newest archive tell, are held against what lies there (``live.py``); of
regular files that seem unchanged tar compares the content.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import field

from s3napback.capabilities import NO_PROC, has_proc
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import UnusableTool
from s3napback.formatting import readable
from s3napback.records import dataclass
from s3napback.recovery.archived_facts import ArchivedFacts
from s3napback.recovery.following import cursor_at
from s3napback.recovery.known_names import KnownNames
from s3napback.recovery.live import Live
from s3napback.recovery.members import Gate
from s3napback.recovery.new_names import new_names
from s3napback.recovery.opening.decoder import Decoder
from s3napback.regexes import regex
from s3napback.scarcity import require_means
from s3napback.sources.tar_messages import Meaning, understood, unquoted
from s3napback.streams.findings import Finding
from s3napback.streams.processes import Stage
from s3napback.streams.tar_headers import REGULAR, Member, plain_name
from s3napback.streams.transformations import Block

_DIFFERS = 1
"""tar's exit status for "some files differ" (tar's manual, "Synopsis")."""

_DIFFERS_WORD = " differs"
_FACTS = {"has_mode": "Mode", "has_owner": "Uid", "has_group": "Gid"}
"""How tar calls facts that an archive may not have from the file (``compare.c`` of GNU tar)."""

_CHOICE = "the comparison of members"
_MOST_LINES = 10_000
_GATHERED = 1 << 16  # bytes
_LINE = regex(rb"(?P<name>(?:[^:\\]|\\.)+): (?P<text>[^:\\]+)(?:: [^:\\]+)?", re.DOTALL)


def compare_stage(tar: str, words: Words, facts: ArchivedFacts) -> Stage:
    """The process that compares the content of an archive's members on its standard input with the live tree."""
    following = ("--dereference",) if facts.follows else ()
    command = (tar, "--compare", "--file=-", "--numeric-owner", "--quoting-style=escape", "--directory=/")
    return Stage(
        (*command, *following, "--warning=no-unknown-keyword"), warning_codes=frozenset({_DIFFERS}), review=words
    )


@dataclass
class Words:
    """What tar says of content. Fulfils ``Review``.

    Attributes:
        lines: of its standard output and its messages, each with the name that it is about; the first of them.
        untold: how many there were besides.
        silenced: of these facts that they differ says nothing here.
    """

    lines: list[tuple[bytes, str]] = field(default_factory=list)
    untold: int = 0
    complaint: str = ""
    warnings: list[str] = field(default_factory=list)
    silenced: frozenset[str] = frozenset()
    asides: None = None
    _rest: bytes = b""

    def feed(self, block: Block) -> None:
        """Take in standard output."""
        *lines, self._rest = (self._rest + bytes(block)).split(b"\n")
        for line in lines:
            found = _LINE.fullmatch(line)
            if found:
                self._add(unquoted(found["name"]), readable(found["text"]))

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        said = understood(line)
        if said.meaning in (Meaning.LEFT_OUT, Meaning.CUT, Meaning.REMOVED):
            self._add(said.path, f"cannot be read ({said.reason.decode(errors='replace')})")
        elif said.meaning is Meaning.SERIOUS:
            self.complaint = self.complaint or readable(line)

    def _add(self, name: bytes, text: str) -> None:
        if text.removesuffix(_DIFFERS_WORD) in self.silenced:
            return
        if len(self.lines) < _MOST_LINES:
            self.lines.append((name, text))
        else:
            self.untold += 1

    def excuses(self, status: int) -> bool:
        """See ``Review``."""
        return status == 2 and bool(self.lines) and not self.complaint


@dataclass
class _Result:
    """What one reading of an archive found.

    Attributes:
        lines: differences, each with the name that it is about; the first of them.
        count: of members that differ.
    """

    lines: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def note(self, name: str, words: Sequence[str]) -> None:
        text = ", ".join(words)
        if (more := self.lines.get(name)) is not None:
            self.lines[name] = more if text in more else f"{text}, {more}"
            return
        self.count += 1
        if len(self.lines) < _MOST_LINES:
            self.lines[name] = text

    def take_back(self, name: str, names: KnownNames) -> None:
        """Forget what was noted of a name if the archive has it once more: the last one counts."""
        is_hidden = name not in self.lines and self.count > len(self.lines) and names.differs(name)
        if is_hidden or self.lines.pop(name, None) is not None:
            self.count -= 1
            names.take_back(name)


def _reading(gate: Gate, directory: int, names: KnownNames, facts: ArchivedFacts, place: int) -> Finding[_Result]:
    """The reading of one archive: the newest one, of place 0, which tells the state, and then the older ones."""

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, _Result]:
        result = _Result()
        with cursor_at(directory, follows=facts.follows) as standing:
            live = Live(standing, gate.top, facts, names)

            def takes(member: Member) -> bool:
                name = member.name
                if not place:
                    # Folders come before their content, which then is no longer wanted.
                    names.note_met(name, is_folder=member.is_directory)
                    names.list_folder(name, member.entries)
                    names.list_folders(name, member.folders)
                    if member.dumpdir is not None:
                        names.keep_list(name, member.dumpdir)
                elif member.is_directory:
                    # The newest one may call unchanged what was never archived.
                    names.list_folders(name, member.folders)
                    if member.dumpdir is not None:
                        names.give_up_unlisted(name, member.dumpdir)
                    return False
                elif not names.is_wanted(name, place):
                    return False
                # Whether two names are still one file cannot be asked where the other one is gone, or is of another.
                has_target = bool(member.link_target) and names.was_met_at(member.link_target, place)
                result.take_back(name, names)
                if words := live.differences(member, has_target=has_target):
                    result.note(member.name, words)
                    names.note_difference(name)
                    return False
                return member.type == REGULAR

            yield from _gathered(gate.chosen(blocks, takes, with_entries=False))
            for name, text in live.joined():
                result.note(name, [text])
                names.note_difference(name)
        return result

    return Finding(_CHOICE, read)


def _gathered(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same stream in few pieces: of small files each would be a header, and cost a change between processes."""
    gathered = bytearray()
    for block in blocks:
        is_small = len(block) < _GATHERED // 2
        if is_small:
            gathered += block
        if gathered and (not is_small or len(gathered) >= _GATHERED):
            yield bytes(gathered)
            gathered.clear()
        if not is_small:
            yield block
    yield bytes(gathered)


def compare(
    decoder: Decoder,
    chain: Sequence[CataloguedArchive],
    directory: str,
    tar: str,
    facts: ArchivedFacts,
    say: Callable[[str], None],
) -> int:
    """Compare, and tell what differs.

    Args:
        chain: oldest first.
        directory: the source's path.
        facts: what of a file the archives hold.
        say: takes a line for each file or folder that differs.

    Returns:
        How many files and folders differ, or are missing. What is new is told and not counted; what Exclude left out
        is among a folder's entries, and so is passed over.

    Raises:
        PipelineError: an archive could not be decoded.
        UnusableTool: files cannot be looked at here.
    """
    if not has_proc():
        raise UnusableTool(f"{directory} cannot be compared: {NO_PROC}")
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        require_means(error)
        say(f"{readable(os.fsencode(directory))}: cannot be looked at ({error.strerror})")
        return 1
    try:
        with KnownNames(decoder.temp_dir) as names:
            return _Comparison(decoder, Gate(directory.strip("/")), top, tar, facts, say, names).run(chain, directory)
    finally:
        os.close(top)


@dataclass
class _Comparison:
    decoder: Decoder
    gate: Gate
    directory: int
    tar: str
    facts: ArchivedFacts
    say: Callable[[str], None]
    names: KnownNames
    _untold: int = 0

    def run(self, chain: Sequence[CataloguedArchive], directory: str) -> int:
        for place, archive in enumerate(reversed(chain)):
            self._read(archive, _reading(self.gate, self.directory, self.names, self.facts, place))
        for path in new_names(self.directory, directory, self.names, self.facts):
            self.say(f"{readable(os.fsencode(path))}: new since then")
        return self.names.differences() + self._untold

    def _read(self, archive: CataloguedArchive, finding: Finding[_Result]) -> None:
        silenced = (word for name, word in _FACTS.items() if not getattr(self.facts, name))
        words = Words(silenced=frozenset(silenced))
        stages = finding.transformation, compare_stage(self.tar, words, self.facts)
        self.decoder.run(archive, *stages, write=words.feed, use="compared")
        self._tell(finding.result(), words)

    def _tell(self, result: _Result, words: Words) -> None:
        told = dict(result.lines)
        of_content = {path.decode("utf-8", "surrogateescape").rstrip("/"): text for path, text in words.lines}
        for path, text in of_content.items():
            name = plain_name(path)
            self.names.note_difference(name)
            told[name] = f"{told[name]}, {text}" if name in told else text
        for name, text in sorted(told.items()):
            self.say(f"/{readable(name.encode('utf-8', 'surrogateescape'))}: {text}")
        self._untold += words.untold
        if (hidden := result.count - len(result.lines) + words.untold) > 0:
            self.say(f"{hidden} more differ")
