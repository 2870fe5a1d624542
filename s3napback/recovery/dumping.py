"""One file of a directory to standard output, as it was: from the newest archive of the chain that holds it.

Of a folder it becomes a tar.

Nothing is extracted to disk. What comes out is true only if the command ends well, as with every stream.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from enum import Enum

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import PipelineError, StoreError
from s3napback.formatting import forms_text
from s3napback.logs import log_lines
from s3napback.records import dataclass
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.decoder import Decoder, Portion
from s3napback.recovery.paths import NoSuchPath, WantedPaths, members_of_paths
from s3napback.recovery.picking import in_parts
from s3napback.recovery.single_file import write_to_standard_output
from s3napback.streams.dumpdirs import entries_of
from s3napback.streams.findings import Finding
from s3napback.streams.processes import Stage
from s3napback.streams.tar_headers import HARD_LINK, REGULAR, Member
from s3napback.streams.transformations import Block

logger = logging.getLogger("s3napback")


class _Fate(Enum):
    """What one archive tells of a file."""

    GIVEN = "given"
    LINKED = "linked"
    """It is another name of a file in the same archive."""
    OLDER = "older"
    """An older archive holds it."""
    UNREAD = "unread"
    SHUT = "shut"
    """It or a folder above it is listed as a folder, and is not there."""
    BELOW_OLDER = "below"
    """A folder above it is listed as what an older archive holds, as one is that cannot even be looked at."""
    FOLDER = "folder"
    TWICE = "twice"
    """It is there twice, and not as the same."""
    OTHER = "other"
    """It is no file that has content."""
    GONE = "gone"


@dataclass
class _Search:
    """The search for one file in one archive. Lives within the generator that reads it.

    Attributes:
        name: of what is searched for.
        gives: the file is wanted; otherwise only whether it is a folder.
        fate: what was found so far.
        target: of a hard link, the name of which it is another one.
        given: the member that passes.
    """

    name: str
    gives: bool = True
    fate: _Fate = _Fate.GONE
    target: str = ""
    given: Member | None = None
    _awaited: str = ""

    def ended(self) -> None:
        """The archive has come to its end."""
        if self.fate is _Fate.GONE and self._awaited:
            self.fate = _Fate.SHUT

    def takes(self, member: Member) -> bool:
        if member.is_directory:
            self._look_at_folder(member)
            return False
        if member.name != self.name or not self.gives:
            return False
        if self.given is not None:
            # Of a file with several names a DIFF can hold one twice: as its first tar took it, and as it was added.
            self.fate = self.fate if _are_same(self.given, member) else _Fate.TWICE
            return False
        if member.type == HARD_LINK:
            self.fate, self.target = _Fate.LINKED, member.link_target
            return False
        self.fate = _Fate.GIVEN if member.type == REGULAR else _Fate.OTHER
        self.given = member if self.fate is _Fate.GIVEN else None
        return self.fate is _Fate.GIVEN

    def _look_at_folder(self, member: Member) -> None:
        if member.name == self.name:
            self.fate = _Fate.FOLDER
        self._look_for_the_next(member)
        if member.name != posixpath.dirname(self.name) or member.dumpdir is None:
            return
        letters = _letters(member.dumpdir, posixpath.basename(self.name))
        if b"N" in letters:
            self.fate = _Fate.OLDER
        elif b"Y" in letters:
            # If it is in this archive, that is found out later: folders come first.
            self.fate = _Fate.UNREAD

    def _look_for_the_next(self, member: Member) -> None:
        """Await the next folder on the way: one that is listed and does not come was not read that night."""
        if member.name == self._awaited:
            self._awaited = ""
        start = f"{member.name}/" if member.name else ""
        if member.dumpdir is not None and self.name != member.name and self.name.startswith(start):
            name = self.name[len(start) :].partition("/")[0]
            letters = _letters(member.dumpdir, name)
            self._awaited = start + name if b"D" in letters else ""
            if b"N" in letters and start + name != self.name:
                self.fate = _Fate.BELOW_OLDER


def _letters(dumpdir: bytes, name: str) -> set[bytes]:
    """Under which a list has a name."""
    wanted = name.encode("utf-8", "surrogateescape")
    return {entry[:1] for entry in entries_of(dumpdir) if entry[1:] == wanted}


def _are_same(first: Member, second: Member) -> bool:
    """Whether two members of one name are one file at one moment; a hard link's header tells no size."""
    if second.type not in (REGULAR, HARD_LINK) or (second.type == REGULAR and second.size != first.size):
        return False
    return _written_time(first) == _written_time(second)


def _written_time(member: Member) -> tuple[bytes | None, bytes]:
    """A member's time as one and the same tar writes it."""
    return member.records.get(b"mtime"), bytes(member.header.block[136:148])


@dataclass(frozen=True)
class FileDump:
    """What is wanted.

    Attributes:
        directory: the source's path.
        path: of the file or folder, absolute or relative to the directory.
        tar: name of GNU tar's program.
    """

    directory: str
    path: str
    tar: str

    def check(self) -> None:
        """Look whether it can be begun.

        Raises:
            NoSuchPath: the path does not lie in the source.
        """
        members_of_paths(self.directory, (self.path,))

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Write the file, or the folder as tar.

        Raises:
            NoSuchPath: it was not there on that day, could not be read, or is no file that has content.
            S3napbackError: what failed. Standard output may have got a part by then.
        """
        (name,) = members_of_paths(self.directory, (self.path,))
        # If it is a folder, that is all that is looked for here.
        in_part = in_parts(decoder, chain, WantedPaths.of((name,)).alone())
        fate = self._fate(in_part, decoder, chain, name)
        if fate is _Fate.FOLDER:
            # A file, which is what most want, is had without what knows trees.
            from s3napback.recovery.folder_dump import FolderDump  # noqa: PLC0415

            FolderDump(self.directory.strip("/"), name).run(decoder, chain)
        elif fate is not _Fate.GIVEN:
            raise NoSuchPath(_refusal(name, fate))

    def _fate(self, in_part: Decoder, whole: Decoder, chain: Sequence[CataloguedArchive], name: str) -> _Fate:
        """Write the file, unless it is something else."""
        fate = _Fate.OLDER
        for archive in reversed(chain):
            # Below a folder that was not read nobody knows of a file; a folder comes as a restore brings it.
            search = _Search(name, gives=fate is not _Fate.BELOW_OLDER)
            found = self._given(in_part, whole, archive, search)
            if search.gives or found is _Fate.FOLDER:
                fate = found
            if found not in (_Fate.OLDER, _Fate.BELOW_OLDER):
                break
        return fate

    def _given(self, in_part: Decoder, whole: Decoder, archive: CataloguedArchive, wanted: _Search) -> _Fate:
        written = _Written()
        try:
            return self._searched(in_part, archive, wanted, written)
        except (PipelineError, StoreError) as error:
            if archive.key not in in_part.parts or written.size:
                raise
            logger.info("the archive is read whole, because reading it in parts failed:")
            log_lines(logger, logging.INFO, error.lines)
            return self._searched(whole, archive, wanted, written)

    def _searched(self, decoder: Decoder, archive: CataloguedArchive, wanted: _Search, written: _Written) -> _Fate:
        search = self._read(replace(decoder, part=Portion.FIRST), archive, wanted, written)
        if search.fate is _Fate.LINKED:
            search = self._read(replace(decoder, part=Portion.LINKED), archive, _Search(search.target), written)
        return search.fate

    def _read(self, decoder: Decoder, archive: CataloguedArchive, wanted: _Search, written: _Written) -> _Search:
        gate = Gate(self.directory.strip("/"))

        def look(blocks: Iterator[memoryview]) -> Generator[Block, None, _Search]:
            search = replace(wanted)
            yield from gate.chosen(blocks, search.takes)
            search.ended()
            return search

        finding = Finding("the search for the file", look)
        stage = Stage((self.tar, "--extract", "--to-stdout", "--file=-"))
        decoder.run(archive, finding.transformation, stage, write=written.write, use="read")
        return finding.result()


@dataclass
class _Written:
    """What has gone to standard output.

    Attributes:
        size: in bytes.
    """

    size: int = 0

    def write(self, block: Block) -> None:
        self.size += len(block)
        write_to_standard_output(block)


_ELSEWHERE = "an older day may have it (--at), unless it is a socket"

_REFUSALS = {
    _Fate.OTHER: "is no file that has content: restore it to look at it",
    _Fate.TWICE: "was changed while it was backed up, and the archive holds it twice: what was written here may not be "
    "the last state; restore it",
    _Fate.SHUT: f"was not read that night, or a folder above it was not; {_ELSEWHERE}",
    _Fate.UNREAD: f"could not be read that night; {_ELSEWHERE}",
    _Fate.OLDER: "was there on that day, but Exclude left it out of the archives, it could not be read that night, or "
    "it is a socket, which none holds",
    _Fate.BELOW_OLDER: "was not there on that day, or a folder above it could not be read or is left out by Exclude; "
    "an older day may have it (--at)",
}


def _refusal(name: str, fate: _Fate) -> str:
    absent = f"was not there on that day{forms_text(name)}"
    return f"/{name} {_REFUSALS.get(fate, absent)}"
