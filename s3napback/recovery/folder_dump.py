"""A folder of a directory as one tar to standard output: what a restore of it would bring, member by member as stored.

Each member comes from that archive of the chain which holds it as it was on the day, byte for byte. GNU tar gives a
folder its time as soon as it extracts something elsewhere (its manual, ``--delay-directory-restore``). So in front of
what lies in a folder the folder comes once more, wherever that has to be.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import joined, lies_within, relative, split
from s3napback.browsing.tree import Tree
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import PipelineError, StoreError
from s3napback.logs import log_lines
from s3napback.records import dataclass
from s3napback.recovery.inspecting import Inspector
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.paths import WantedPaths
from s3napback.recovery.picking import in_parts
from s3napback.recovery.single_file import write_to_standard_output
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import DUMPDIR, EXTENDED, GLOBAL, HARD_LINK, Header, Member, read_header
from s3napback.streams.tar_rewriting import extended_header, with_record
from s3napback.streams.tar_stream import TarFollower, end_behind
from s3napback.streams.transformations import Block

logger = logging.getLogger("s3napback")

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
        with Tree(Interest(path)) as tree:
            Inspector(decoder, top).replay(tree, chain)
            tree.prepare_for_dump()
            output = _Output(tree, path)
            in_part = in_parts(decoder, chain, WantedPaths.of((self.name,))) if path else decoder
            for number in range(len(chain), 0, -1):
                choice = _Chooser(tree, top, path, number)
                _give(in_part, decoder, chain[number - 1], choice, output)
            output.write(end_behind(output.size))


class _Output:
    """Standard output, and where in the tree the tar is that reads it.

    Attributes:
        size: bytes that went there.
    """

    def __init__(self, tree: Tree, top: bytes) -> None:
        """Begin.

        Args:
            tree: keeps headers of folders.
            top: path of the folder that is dumped.
        """
        self.size = 0
        self._tree = tree
        self._top = top
        self._current: bytes | None = None

    def write(self, block: Block) -> None:
        """Write what is no header."""
        self.size += len(block)
        write_to_standard_output(block)

    def begin_member(self, path: bytes, headers: bytes, *, is_folder: bool) -> None:
        """Write headers, in front of them those of folders that tar has left."""
        folder = split(path)[0]
        if path != self._top and folder != self._current:
            self._enter(folder)
        self.write(headers)
        if is_folder:
            self._tree.keep_header(path, headers)
            self._current = path

    def _enter(self, folder: bytes) -> None:
        current, missing, place = self._current, [], folder
        while current is None or not lies_within(current, place):
            missing.append(place)
            if place == self._top:
                break
            place = split(place)[0]
        for each in reversed(missing):
            self.write(self._tree.header(each))
        self._current = folder


def _give(in_part: Decoder, whole: Decoder, archive: CataloguedArchive, choice: _Chooser, output: _Output) -> None:
    """Write what one archive holds of the folder."""
    before = output.size
    try:
        _pass(in_part, archive, choice, output)
    except (PipelineError, StoreError) as error:
        if archive.key not in in_part.parts or output.size != before:
            raise
        logger.info("the archive is read whole, because reading it in parts failed:")
        log_lines(logger, logging.INFO, error.lines)
        _pass(whole, archive, choice, output)


def _pass(decoder: Decoder, archive: CataloguedArchive, choice: _Chooser, output: _Output) -> None:
    follower = TarFollower()
    passes = False

    def take(block: Block) -> None:
        nonlocal passes
        try:
            for part in follower.feed(memoryview(block)):
                if isinstance(part, Member):
                    chosen = choice.headers(part)
                    passes = chosen is not None
                    if chosen is not None:
                        output.begin_member(*chosen, is_folder=part.is_directory)
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

    def headers(self, member: Member) -> tuple[bytes, bytes] | None:
        """The path of a member and its headers, as they shall be; None if it does not belong there.

        Raises:
            Damaged: it does not lie in the source.
        """
        path = self._within(member.path)
        if not self._is_given(path):
            # Its content may still be what another name leads to.
            first = None if member.is_directory else self.tree.links_to(path, self.number)
            if first is None or member.type == HARD_LINK:
                return None
            return first, _renamed(member, _name_keyword(member), self._spelled(first, member.path))
        if member.is_directory:
            return path, _of_folder(member)
        headers = self._linked(member, path) if member.type == HARD_LINK else b"".join(_own(member.raw))
        return (path, headers) if headers else None

    def _linked(self, member: Member, path: bytes) -> bytes:
        """Headers of a hard link; none if it has become what it led to."""
        target = self._within(member.link)
        if self._is_given(target):
            return b"".join(_own(member.raw))
        first = self.tree.links_to(target, self.number)
        if first is None or first == path:
            return b""
        return _renamed(member, b"linkpath", self._spelled(first, member.link))

    def _spelled(self, path: bytes, like: bytes) -> bytes:
        """A path as the archive would name it, of which another name is known.

        The root directory is ``.`` there, and a source that is a link has ``/.`` behind it. Whether a member lies in
        the folder before it tar sees by the letters.
        """
        known = self._within(like)
        beginning = like.removesuffix(known) if known else b""
        return beginning + path if beginning != like else joined(self.top, path)

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
    rest = b" %s=%s\n" % (keyword, value)
    # The length counts its own digits as well.
    length = len(rest) + len(b"%d" % (len(rest) + 1))
    return b"%d%s" % (len(rest) + len(b"%d" % length), rest)
