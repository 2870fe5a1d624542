"""A folder of a directory as one tar to standard output: what a restore of it would bring, member by member as stored.

Each member comes from that archive of the chain which holds it as it was on the day, byte for byte. Folders come in
front, so that what lies in them has a place, and once more behind all else: only then does every tar leave them their
times (its manual, ``--delay-directory-restore``).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import joined, lies_within, relative
from s3napback.browsing.tree import Tree
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import PipelineError, StoreError
from s3napback.logs import log_lines
from s3napback.recovery.inspecting import Inspector
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.paths import WantedPaths
from s3napback.recovery.picking import in_parts
from s3napback.recovery.single_file import write_to_standard_output
from s3napback.streams.tar_headers import (
    BLOCK_SIZE,
    DUMPDIR,
    EXTENDED,
    GLOBAL,
    HARD_LINK,
    Header,
    MalformedArchive,
    Member,
    extended_header,
    read_header,
    with_record,
)
from s3napback.streams.tar_stream import END_MARK, TarFollower
from s3napback.streams.transformations import Block

logger = logging.getLogger("s3napback")

_PIECE = 1 << 18
_RECORD_SIZE = 20 * BLOCK_SIZE
_NAMES = (b"GNU.sparse.name", b"path")


@dataclass(frozen=True)
class FolderDump:
    """What is wanted.

    Attributes:
        top: the source as archives name it, without slashes at its ends.
        name: of the folder in archives.
    """

    top: str
    name: str

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Write it.

        Raises:
            S3napbackError: what failed. Standard output may have got a part by then.
        """
        top = self.top.encode("utf-8", "surrogateescape")
        path = relative(self.name.encode("utf-8", "surrogateescape"), top) or b""
        with Tree(Interest(path)) as tree, tempfile.TemporaryFile(dir=decoder.temp_dir) as folders:
            Inspector(decoder, top).replay(tree, chain)
            tree.index_links()
            output = _Output()
            in_part = in_parts(decoder, chain, WantedPaths.of((self.name,))) if path else decoder
            for number in range(len(chain), 0, -1):
                choice = _Chooser(tree, top, path, number)
                _give(in_part, decoder, chain[number - 1], choice, output, folders)
            folders.seek(0)
            while piece := folders.read(_PIECE):
                output.write(piece)
            output.write(END_MARK + bytes(-(output.size + len(END_MARK)) % _RECORD_SIZE))


class _Output:
    """Standard output.

    Attributes:
        size: bytes that went there.
    """

    size = 0

    def write(self, block: Block) -> None:
        self.size += len(block)
        write_to_standard_output(block)


def _give(
    in_part: Decoder,
    whole: Decoder,
    archive: CataloguedArchive,
    choice: _Chooser,
    output: _Output,
    folders: IO[bytes],
) -> None:
    """Write what one archive holds of the folder."""
    before, place = output.size, folders.tell()
    try:
        _pass(in_part, archive, choice, output, folders)
    except (PipelineError, StoreError) as error:
        if archive.key not in in_part.parts or output.size != before:
            raise
        logger.info("the archive is read whole, because reading it in parts failed:")
        log_lines(logger, logging.INFO, error.lines)
        folders.seek(place)
        folders.truncate()
        _pass(whole, archive, choice, output, folders)


def _pass(decoder: Decoder, archive: CataloguedArchive, choice: _Chooser, output: _Output, folders: IO[bytes]) -> None:
    follower = TarFollower()
    passes = False

    def take(block: Block) -> None:
        nonlocal passes
        try:
            for part in follower.feed(memoryview(block)):
                if isinstance(part, Member):
                    headers = choice.headers(part)
                    passes = headers is not None
                    if headers is not None:
                        output.write(headers)
                        if part.is_directory:
                            folders.write(headers)
                elif passes:
                    output.write(part)
        except MalformedArchive as error:
            raise Damaged(str(error)) from error

    decoder.run(archive, write=take, use="read")
    try:
        follower.finish()
    except MalformedArchive as error:
        raise Damaged(str(error)) from error


@dataclass(frozen=True)
class _Chooser:
    """Chooses from one archive.

    Attributes:
        tree: what was there on the day.
        top: the source as archives name it.
        path: of the folder, relative to the source.
        number: of the archive in its chain.
    """

    tree: Tree
    top: bytes
    path: bytes
    number: int

    def headers(self, member: Member) -> bytes | None:
        """A member's headers as they shall be; None if it does not belong there.

        Raises:
            Damaged: it does not lie in the source.
        """
        path = self._within(member.path)
        is_given = self._is_given(path)
        if member.is_directory:
            return _of_folder(member) if is_given else None
        if member.type == HARD_LINK:
            return self._linked(member, path) if is_given else None
        if is_given:
            return b"".join(_own(member.raw))
        # Its content may still be what another name leads to.
        first = self.tree.links_to(path, self.number)
        return None if first is None else _renamed(member, _name_keyword(member), joined(self.top, first))

    def _linked(self, member: Member, path: bytes) -> bytes | None:
        target = self._within(member.link)
        if self._is_given(target):
            return b"".join(_own(member.raw))
        first = self.tree.links_to(target, self.number)
        if first is None or first == path:
            return None
        return _renamed(member, b"linkpath", joined(self.top, first))

    def _is_given(self, path: bytes) -> bool:
        """Whether this archive holds what was there under a path on the day."""
        if not lies_within(path, self.path):
            return False
        origin = self.tree.origin(path)
        return origin is not None and origin[0] == self.number

    def _within(self, name: bytes) -> bytes:
        found = relative(name, self.top)
        if found is None:
            raise Damaged(
                f"it holds {name!r:.200}, which does not lie in the source: it is no archive of that directory"
            )
        return found


def _own(raw: Sequence[bytes]) -> Sequence[bytes]:
    """A member's headers without those that are for all members: they hold what is nobody else's concern."""
    return raw[2:] if raw[0][156:157] == GLOBAL else raw


def _of_folder(member: Member) -> bytes:
    """A folder's headers, without the list of what it held: a tar that reads it would delete by that."""
    *before, block = _own(member.raw)
    if len(before) != 2 or member.dumpdir is None:
        return b"".join((*before, block))
    content, position, kept = before[1][: _size_of(before[0])], 0, []
    while position < len(content):
        end = position + int(content[position : content.index(b" ", position)])
        record = content[position:end]
        if not record.partition(b" ")[2].startswith(DUMPDIR + b"="):
            kept.append(record)
        position = end
    return extended_header(Header(before[0], EXTENDED, 0), b"".join(kept)) + block if kept else block


def _name_keyword(member: Member) -> bytes:
    return next((each for each in _NAMES if each in member.records), b"path")


def _renamed(member: Member, keyword: bytes, value: bytes) -> bytes:
    """A member's headers with another name, or another target."""
    *before, block = _own(member.raw)
    if member.long_name is not None or member.long_link is not None or len(before) not in (0, 2):
        raise Damaged("it holds a link in a form that s3napback never writes")
    if not before:
        like = b"./PaxHeaders/link".ljust(100, b"\0") + block[100:156] + EXTENDED + bytes(100) + block[257:]
        return extended_header(Header(like, EXTENDED, 0), _record(keyword, value)) + block
    content = before[1][: _size_of(before[0])]
    content = with_record(content, keyword, value) if keyword in member.records else content + _record(keyword, value)
    return extended_header(Header(before[0], EXTENDED, 0), content) + block


def _size_of(block: bytes) -> int:
    return read_header(block).size


def _record(keyword: bytes, value: bytes) -> bytes:
    return with_record(b"%d %s=\n" % (len(keyword) + 4, keyword), keyword, value)
