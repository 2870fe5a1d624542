"""The proof of a directory: it is restored, and every name held against what the archives themselves say of it."""

from __future__ import annotations

import errno
import os
import random
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime
from pathlib import Path

from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import IS_FILE, IS_FOLDER, IS_SYMLINK, MISSING, OLDER, Node
from s3napback.drilling.reading import digest_of
from s3napback.drilling.scratch import scratch_in
from s3napback.drilling.task import Proven, Task
from s3napback.drilling.throwaway import NotTried
from s3napback.formatting import counted, human_bytes, readable
from s3napback.records import dataclass
from s3napback.recovery.folders import Cursor, cursor, exists, go_to, walk
from s3napback.recovery.inspecting import Inspector, ReplayedTree
from s3napback.recovery.members import ACCESS_LIST
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.passing import OPEN_FOLDER
from s3napback.recovery.refusals import Incomplete
from s3napback.recovery.registry import Wanted

_RESTORED = "restored"
_PERMISSIONS = 0o777
"""Those that a list of access rights has, too."""
_MOST_TOLD = 20
_NOUNS = {IS_FILE: "file", IS_FOLDER: "folder", IS_SYMLINK: "link", "p": "pipe", "c": "device", "b": "device"}
_TYPES = {IS_FILE: stat.S_ISREG, IS_FOLDER: stat.S_ISDIR, IS_SYMLINK: stat.S_ISLNK, "p": stat.S_ISFIFO}


def prove_directory(task: Task) -> Proven:
    """Restore a chain, or some files of it, and look at what came.

    Raises:
        Damaged: it is not what the archives say that it is.
        NotTried: the scratch folder cannot take all of it.
        S3napbackError: it cannot be read, or not be restored.
    """
    if task.is_original:
        return _read_through(task)
    top = task.source.target.strip("/").encode("utf-8", "surrogateescape")
    interest = Interest(top=task.source.target.encode("utf-8", "surrogateescape"))
    with ReplayedTree(Inspector(task.decoder, top), task.chain, interest) as tree:
        tree.note_unread_paths(task.note.unread.paths if task.note else ())
        chosen = _sampled(tree.nodes(), task.sample) if task.sample else None
        if chosen == []:
            return Proven("no file is in it")
        paths = () if chosen is None else tuple(os.fsdecode(interest.absolute(node.path)) for node in chosen)
        with scratch_in(task.scratch, 0 if paths else task.needed, keeps=task.keeps) as scratch:
            where = scratch.path / _RESTORED
            _restore(task, Wanted(task.source, where, paths, is_private=True), scratch.path.parent)
            look = _Look(task)
            with _standing_in(where) as place:
                look.at_all(tree.nodes() if chosen is None else chosen, place)
            if chosen is None:
                look.at_what_is_too_much(where)
    return look.proven()


def _read_through(task: Task) -> Proven:
    """Restore archives that tell of their members in no way that can be relied on, and read every file."""
    with scratch_in(task.scratch, task.needed, keeps=task.keeps) as scratch:
        where = scratch.path / _RESTORED
        _restore(task, Wanted(task.source, where, is_private=True), scratch.path.parent)
        look = _Look(task)
        look.at_what_is_there(where)
    return look.proven()


@contextmanager
def _standing_in(folder: Path) -> Iterator[Cursor]:
    """A cursor in a folder of the scratch folder, to which all below is open, whatever its own permissions are."""
    descriptor = os.open(folder, OPEN_FOLDER)
    try:
        with cursor(descriptor, is_own=True) as place:
            yield place
    finally:
        os.close(descriptor)


def _restore(task: Task, wanted: Wanted, scratch: Path) -> None:
    try:
        task.restore(wanted).run(task.decoder, task.chain)
    except Incomplete as error:
        raise NotTried(*error.under(f"{scratch} cannot take all of {task.source}")) from error


def _sampled(nodes: Iterable[Node], count: int) -> list[Node]:
    """Some files, each with the same chance (reservoir sampling)."""
    chance = random.SystemRandom()
    found: list[Node] = []
    seen = 0
    for node in nodes:
        if node.letter != IS_FILE or node.state == MISSING:
            continue
        seen += 1
        if len(found) < count:
            found.append(node)
        elif (place := chance.randrange(seen)) < count:
            found[place] = node
    return found


@dataclass
class _Look:
    """One look at what was restored.

    Attributes:
        task: what is proven.
    """

    task: Task
    _types: Counter[str] = field(default_factory=Counter)
    _bytes: int = 0
    _older: int = 0
    _missing: int = 0
    _problems: list[str] = field(default_factory=list)
    _bad: int = 0
    _live: Counter[str] = field(default_factory=Counter)

    def at_all(self, nodes: Iterable[Node], place: Cursor) -> None:
        """Look at each name that should be there; ``place`` stands in what was restored."""
        top = [name for name in self.task.source.target.split("/") if name]
        for node in nodes:
            parts = [*top, *(os.fsdecode(part) for part in node.path.split(b"/") if part)]
            name = parts.pop() if parts else "."
            try:
                is_there = go_to(place, parts) and exists(name, place.descriptor)
                if node.state == MISSING:
                    self._missing += 1
                    if is_there:
                        self._tell(node, "is there, and could not be read when it was backed up")
                    continue
                self._older += node.state == OLDER
                self._types[node.letter] += 1
                if is_there:
                    self._look_at(node, name, place.descriptor)
                else:
                    self._tell(node, os.strerror(errno.ENOENT))
            except OSError as error:
                self._tell(node, error.strerror or str(error))

    def _look_at(self, node: Node, name: str, folder: int) -> None:
        if not node.path and self.task.source.target == "/":
            # It comes as WHERE itself, which keeps its owner, and lets in nobody whom it kept out: see “publish”.
            return
        status = os.lstat(name, dir_fd=folder)
        if wrong := list(_differences(node, status, name, folder)):
            self._tell(node, wrong[0])
            return
        if node.letter != IS_FILE:
            return
        digest, size = digest_of(name, folder)
        self._bytes += size
        if size != node.size:
            self._tell(node, f"{size} bytes can be read of it, and it has {node.size}")
        elif self.task.against_live:
            self._hold_against_live(node, digest)

    def _hold_against_live(self, node: Node, digest: bytes) -> None:
        live = os.fsencode(self.task.source.target) + b"/" + node.path
        record = self.task.chain[-1].record
        try:
            status = os.lstat(live)
            if stat.S_ISREG(status.st_mode) and digest_of(live)[0] == digest:
                self._live["the same"] += 1
            elif not stat.S_ISREG(status.st_mode) or (record and _is_newer(status, record.started)):
                self._live["changed since"] += 1
            else:
                self._tell(node, "it has another content than now, and nothing was changed since the backup")
        except (FileNotFoundError, NotADirectoryError):
            self._live["gone since"] += 1
        except OSError:
            self._live["not readable now"] += 1

    def at_what_is_too_much(self, where: Path) -> None:
        """Look whether more is there than should be."""
        if self._bad:
            return
        above = [name for name in self.task.source.target.split("/") if name]
        # The root directory is ``where`` itself.
        found = 1 if not above else 0
        with _standing_in(where) as place:
            if go_to(place, above[:-1]):
                found += sum(len(step.others) + bool(step.left) for step in walk(place.descriptor))
        wanted = sum(self._types.values())
        if found != wanted:
            self._bad += 1
            self._problems.append(f"{counted(found, 'name')} are there, and there should be {wanted}")

    def at_what_is_there(self, where: Path) -> None:
        """Read all files, where nothing tells what there should be."""
        with _standing_in(where) as top:
            for step in walk(top.descriptor):
                self._types[IS_FOLDER] += bool(step.left)
                for name in step.others:
                    mode = os.lstat(name, dir_fd=step.place.descriptor).st_mode
                    self._types[next((letter for letter, fits in _TYPES.items() if fits(mode)), "b")] += 1
                    if stat.S_ISREG(mode):
                        self._bytes += digest_of(name, step.place.descriptor)[1]

    def _tell(self, node: Node, what: str) -> None:
        self._bad += 1
        if len(self._problems) < _MOST_TOLD:
            self._problems.append(f"{readable(node.path) or '.'}: {what}")

    def proven(self) -> Proven:
        """What was found.

        Raises:
            Damaged: something is not what it should be.
        """
        if self._bad:
            more = [f"and {self._bad - len(self._problems)} more"] if self._bad > len(self._problems) else []
            address = self.task.decoder.transport.address(self.task.chain[-1])
            title = f"{address} was restored, and {counted(self._bad, 'name')} not as it should be:"
            raise Damaged(title, *(f"  {line}" for line in (*self._problems, *more)))
        return Proven(", ".join(self._words()) or "nothing is in it", tuple(self._remarks()))

    def _words(self) -> Iterator[str]:
        nouns: Counter[str] = Counter()
        for letter, count in self._types.items():
            nouns[_NOUNS[letter]] += count
        for noun in dict.fromkeys(_NOUNS.values()):
            if nouns[noun]:
                size = f" of {human_bytes(self._bytes)}" if noun == "file" else ""
                yield f"{counted(nouns[noun], noun)}{size}"
        if self.task.against_live:
            for what in ("the same", "changed since", "gone since"):
                yield f"{self._live[what]} {what}"
            if unread := self._live["not readable now"]:
                yield f"{unread} not readable now"

    def _remarks(self) -> Iterator[str]:
        if self._older:
            yield f"{counted(self._older, 'path')} could not be read that night, and came from an older archive"
        if self._missing:
            yield f"{counted(self._missing, 'path')} could not be read that night, and did not come back"


def _is_newer(status: os.stat_result, started: datetime) -> bool:
    return max(status.st_mtime, status.st_ctime) >= started.timestamp()


def _differences(node: Node, status: os.stat_result, name: str, folder: int) -> Iterator[str]:
    """How what was restored differs from what an archive says."""
    mode, time = stat.S_IMODE(status.st_mode), divmod(status.st_mtime_ns, 10**9)
    if not _TYPES.get(node.letter, _is_device)(status.st_mode):
        yield f"it should be a {_NOUNS[node.letter]}"
    elif node.letter == IS_SYMLINK:
        if os.readlink(os.fsencode(name), dir_fd=folder) != node.more:
            yield "the link leads elsewhere"
    elif mode != node.mode and not ((mode ^ node.mode) <= _PERMISSIONS and _has_access_list(name, folder)):
        yield f"it has the permissions {mode:o}, and should have {node.mode:o}"
    elif not os.geteuid() and (status.st_uid, status.st_gid) != (node.owner, node.group):
        yield f"it belongs to {status.st_uid}:{status.st_gid}, and should to {node.owner}:{node.group}"
    elif node.letter == IS_FILE and status.st_size != node.size:
        yield f"it has {status.st_size} bytes, and should have {node.size}"
    elif node.letter != IS_FOLDER and time != (node.seconds, node.nanoseconds):
        yield "it bears another time than it should"


def _has_access_list(name: str, folder: int) -> bool:
    """Whether a list of access rights (ACL) tells the permissions: tar's ``--mode`` changes what headers say alone."""
    try:
        return os.fsdecode(ACCESS_LIST) in os.listxattr(f"/proc/self/fd/{folder}/{name}", follow_symlinks=False)
    except OSError:
        return False


def _is_device(mode: int) -> bool:
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
