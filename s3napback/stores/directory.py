"""Archives in a folder: an external disk, a network share, or a test.

Data lies at the key's path below the root. All else lies below ``ROOT/.s3napback``: a marker, and for every key a
folder ``objects/KEY`` with the metadata and, for a while, the data that is coming in. A metadata file holds the length
and modification time of the data it belongs to. The new one is on disk before the new data takes the key's path, the
old one goes afterwards, so at every instant exactly one matches the data, whatever happens in between.
"""

from __future__ import annotations

import errno
import math
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from s3napback.durable import create_private, put_in_place, sync_folder, write_private
from s3napback.errors import StoreError
from s3napback.records import dataclass
from s3napback.stores import ByteSource, StoredObject, moment_within
from s3napback.stores.folders import (
    OwnNames,
    Presence,
    decode_name,
    in_folder,
    key_components,
    make_folders,
    names_in,
    opened_file,
    plain_files,
    regular_file_status,
    remove_empty_folders,
    require_room_for_file,
    require_usable,
    told,
)
from s3napback.stores.notes import parsed, read_metadata, write_metadata
from s3napback.stores.streaming import write_stream

_PRIVATE = ".s3napback"
_NOT_OURS = {f"{_PRIVATE}/", "lost+found/"}
"""Folders of the root. The second is the file system's, and only root can look into it."""
_INCOMING = "incoming-"
_BLOCK = 1024 * 1024
_LONGEST_KEY = 1024  # bytes; what lies deeper is none of ours, and may have a path that cannot be opened
_MARKER_TEXT = (
    "This folder is a store of s3napback's archives. Do not remove this file: it shows that the disk is here.\n"
)


@dataclass(frozen=True)
class _Places:
    """Where the files of one key lie.

    Attributes:
        data: the object's bytes.
        private: the folder of its metadata.
    """

    data: Path
    private: Path


class DirectoryStore:
    """The directory store; ``root`` is an absolute path and is never created."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / _PRIVATE / "objects"
        self._marker = root / _PRIVATE / "store"
        self._presence = Presence(root, self._marker)
        self._own_names = OwnNames(root)

    @property
    def location(self) -> str:
        """``file:///FOLDER``."""
        return f"file://{self._root}"

    @property
    def identity(self) -> str:
        """The folder."""
        return self.location

    @property
    def is_distant(self) -> bool:
        """False; and metadata lies in files of its own, which can be lost while the data stays as it is."""
        return False

    def check(self, *, for_writing: bool = True) -> None:
        """Look whether the folder exists and may be read, and written to."""
        require_usable(self._root, for_writing=for_writing)
        with self._failing(f"looking at {self.location}/{_PRIVATE}"):
            self._presence.require()

    def is_recognised(self) -> bool:
        """Whether the marker is there that the first archive leaves behind."""
        with self._failing(f"looking at {self.location}/{_PRIVATE}"):
            return self._marker.is_file()

    def head(self, key: str) -> StoredObject | None:
        """Describe one object. Data that no metadata file matches, copied in by hand perhaps, has none."""
        places = self._places(key)
        with self._failing(f"looking at {self.location}/{key}"):
            self._presence.require()
            while True:
                with opened_file(self._root, places.data) as opened:
                    if opened is None:
                        return None
                    metadata = self._matching_metadata(places, opened[1])
                    # without metadata, another process may have replaced the object between the two looks
                    again = metadata is None and regular_file_status(self._root, places.data)
                    if metadata is not None or (again and again.st_ino == opened[1].st_ino):
                        flaw = "" if metadata is not None else self._flaw(places, opened[1])
                        return _describe(key, opened[1], metadata or {}, flaw)

    def put(
        self,
        key: str,
        source: ByteSource,
        metadata: Mapping[str, str],
        *,
        expected_size: int | None = None,
        is_helper: bool = False,
        lock_until: datetime | None = None,
    ) -> StoredObject:
        """Write beside, have it on disk, and rename into place; what a folder cannot do changes nothing."""
        del expected_size, lock_until
        places = self._places(key)
        with self._failing(f"writing {self.location}/{key}"), ExitStack() as undo:
            self._presence.require()
            undo.callback(self.discard_leftovers, key)
            self._mark()
            in_folder(self._presence, places.data.parent, partial(require_room_for_file, places.data))
            status = self._receive(places, source, metadata)
            # What lies beside an archive is named after it.
            if not is_helper:
                self._own_names.require(places.data)
        found = self.head(key)
        if found is None or found.size != status.st_size or found.metadata != metadata:
            raise StoreError(f"{self.location}/{key} is not what has just been written: does someone else write there?")
        return found

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """Yield blocks of 1 MiB at most, all of the object that was there at the beginning, even if it is replaced."""
        doing = f"reading {self.location}/{key}"
        with ExitStack() as opened:
            with self._failing(doing):
                self._presence.require()
                file = opened.enter_context(opened_file(self._root, self._places(key).data))
                if file is None:
                    raise StoreError(f"{doing} failed: there is no such object")
                descriptor, status = file
            if version and _version(status) != version:
                raise StoreError(f"{doing} failed: it has been replaced by another object meanwhile")
            stop = status.st_size if end is None else end
            position = start
            while position < stop:
                with self._failing(doing):
                    block = os.pread(descriptor, min(_BLOCK, stop - position), position)
                if not block:
                    raise StoreError(f"{doing} failed: it ends before byte {position + 1}")
                position += len(block)
                yield block

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Walk the folders in the order of the keys' UTF-8 bytes; links are passed over.

        What cannot be looked at has the reason as its flaw: an object, or a folder, whose key ends in a slash.
        """
        with self._failing(f"listing {self.location}/{prefix}"):
            self._presence.require()
            yield from self._walk(prefix)
            # Of a disk that was unmounted in between, what came later seemed to be gone.
            self._presence.require()

    def gone(self, prefix: str) -> Iterator[str]:
        """Walk the folders of the metadata, in any order."""
        with self._failing(f"listing {self.location}/{prefix}"):
            self._presence.require()
            for folder, _folders, files in os.walk(self._objects):
                key = decode_name(os.path.relpath(folder, self._objects))
                if not key.startswith(prefix) or not any(name.endswith(".json") for name in files):
                    continue
                if self._is_gone(key):
                    yield key

    def _is_gone(self, key: str) -> bool:
        """Whether there is no object; where nobody can look, it may be there."""
        try:
            return regular_file_status(self._root, self._places(key).data) is None
        except OSError:
            return False

    def unfinished(self, prefix: str) -> Iterator[str]:
        """Walk the folders of the metadata, in any order; also of what is left of a key whose data are gone."""
        with self._failing(f"listing {self.location}/{prefix}"):
            for folder, _folders, files in os.walk(self._objects):
                key = decode_name(os.path.relpath(folder, self._objects))
                if files and key.startswith(prefix) and self.discard_leftovers(key, count_only=True):
                    yield key

    def delete(self, key: str) -> bool:
        """Remove the data, then its metadata, then the folders that are empty now; False: there are no versions."""
        places = self._places(key)
        with self._failing(f"deleting {self.location}/{key}"):
            self._presence.require()
            if regular_file_status(self._root, places.data) is not None:
                places.data.unlink(missing_ok=True)
            self._tidy(places)
        return False

    def discard_leftovers(self, key: str, *, count_only: bool = False, least_age: float = 0) -> int:
        """Remove unfinished data, and metadata that belongs to no data."""
        places = self._places(key)
        with suppress(OSError, StoreError):
            if count_only:
                return len(self._leftovers(places, least_age))
            return self._tidy(places, least_age)
        return 0

    def _places(self, key: str) -> _Places:
        components = key_components(key)
        if components[0].casefold() == _PRIVATE:
            raise StoreError(f"the key {key!r} is not allowed: {_PRIVATE} is the store's own folder")
        return _Places(self._root.joinpath(*components), self._objects.joinpath(*components))

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        """Turn the operating system's errors into ours; what is not about files passes through."""
        try:
            yield
        except OSError as error:
            if error.errno == errno.EDQUOT:
                raise StoreError(f"{doing} failed: a quota is used up in {self._root}") from error
            if error.errno == errno.ENOSPC:
                raise StoreError(f"{doing} failed: no space left in {self._root}") from error
            # What was there a moment ago may be gone with its disk.
            if error.errno == errno.ENOENT:
                with suppress(OSError):
                    self._presence.require()
            raise StoreError(f"{doing} failed: {told(error, self._root)}") from error

    def _mark(self) -> None:
        make_folders(self._root, self._marker.parent)
        with suppress(FileExistsError):
            write_private(self._marker, _MARKER_TEXT.encode())
            sync_folder(self._marker.parent)

    def _receive(self, places: _Places, source: ByteSource, metadata: Mapping[str, str]) -> os.stat_result:
        """Bring data and metadata onto the disk, and the data to its place; returns what the data's file is like."""
        incoming = places.private / f"{_INCOMING}{secrets.token_hex(8)}"
        descriptor = in_folder(self._presence, places.private, partial(create_private, incoming))
        try:
            write_stream(source, descriptor)
            status = _stamp(descriptor, self._stamps_in_use(places))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        write_metadata(places.private, status, metadata)
        concerned = [places.data.parent, places.private]
        placing = partial(put_in_place, incoming, places.data, before=places.private, after=concerned)
        in_folder(self._presence, places.data.parent, placing)
        return status

    def _tidy(self, places: _Places, least_age: float = 0) -> int:
        """Remove all that does not belong to the data in place, and folders without content; returns how many files."""
        leftovers = self._leftovers(places, least_age)
        for path in leftovers:
            path.unlink(missing_ok=True)
        remove_empty_folders(places.private, self._root / _PRIVATE)
        remove_empty_folders(places.data.parent, self._root)
        return len(leftovers)

    def _leftovers(self, places: _Places, least_age: float) -> Sequence[Path]:
        """Files of unfinished uploads, and metadata that does not belong to the data in place."""
        status = regular_file_status(self._root, places.data)
        latest = time.time() - least_age if least_age else math.inf
        return [
            path
            for path in plain_files(self._root, places.private)
            if (
                path.name.startswith(_INCOMING)
                or (path.suffix == ".json" and (status is None or read_metadata(path, status) is None))
            )
            and path.lstat().st_mtime <= latest
        ]

    def _matching_metadata(self, places: _Places, status: os.stat_result) -> dict[str, str] | None:
        for path in plain_files(self._root, places.private):
            metadata = read_metadata(path, status)
            if metadata is not None:
                return metadata
        return None

    def _flaw(self, places: _Places, status: os.stat_result) -> str:
        """Why no metadata fits the data, where there is metadata of that key."""
        noted = [content for path in plain_files(self._root, places.private) if (content := parsed(path)) is not None]
        if not noted:
            return ""
        sizes = {content["size"] for content in noted}
        if status.st_size in sizes:
            return "it is damaged: it was copied without its time, which cp -a keeps, or changed after it was written"
        was = " or ".join(f"{size:,}" for size in sorted(sizes))
        now = f"it has {status.st_size:,} bytes, and {was} were stored"
        return f"it is damaged: it was changed after it was written: {now}"

    def _stamps_in_use(self, places: _Places) -> set[tuple[int, int]]:
        """Length and modification time of the data in place, and all that metadata of this key claims to belong to."""
        in_use = set()
        with suppress(FileNotFoundError):
            status = places.data.lstat()
            in_use.add((status.st_size, status.st_mtime_ns))
        for path in plain_files(self._root, places.private):
            content = parsed(path)
            if content is not None:
                in_use.add((content["size"], content["mtime_ns"]))
        return in_use

    def _walk(self, prefix: str) -> Iterator[StoredObject]:
        # One level for each folder that we are in: a store may hold folders in folders, thousands deep.
        levels = [(str(self._root), "", iter(self._names(str(self._root), "", prefix)))]
        while levels:
            folder, folder_key, names = levels[-1]
            for name in names:
                key = folder_key + _text_of(name)
                path = f"{folder}/{os.fsdecode(name.rstrip(b'/'))}"
                try:
                    if key.endswith("/"):
                        levels.append((path, key, iter(self._names(path, key, prefix))))
                        break
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode):
                        yield _describe(key, status, {})
                except FileNotFoundError:
                    continue
                except OSError as error:
                    yield _unseen(key, error)
            else:
                levels.pop()

    def _names(self, folder: str, folder_key: str, prefix: str) -> Sequence[bytes]:
        """The names of what may be, or lead to, objects below ``prefix``, in order; those of folders end in a slash."""
        if folder == str(self._root):
            with self._failing(f"listing {self.location}/{prefix}"):
                names = names_in(folder)
        else:
            names = names_in(folder)
        return sorted(name for name in names if _may_lead(folder_key + _text_of(name), prefix))


def _may_lead(key: str, prefix: str) -> bool:
    if key in _NOT_OURS or len(_bytes_of(key)) > _LONGEST_KEY:
        return False
    return key.startswith(prefix) or (key.endswith("/") and prefix.startswith(key))


def _text_of(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _bytes_of(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _stamp(descriptor: int, in_use: set[tuple[int, int]]) -> os.stat_result:
    """Give new data a modification time that tells it from every other of its length.

    Whole, even seconds, so that nothing changes when the file is copied to, or lies on, a file system that keeps no
    finer ones; what counts is what the file system says it has kept.
    """
    seconds = int(time.time()) // 2 * 2
    while True:
        os.utime(descriptor, (seconds, seconds))
        status = os.fstat(descriptor)
        if (status.st_size, status.st_mtime_ns) not in in_use:
            return status
        seconds += 2


def _describe(key: str, status: os.stat_result, metadata: Mapping[str, str], flaw: str = "") -> StoredObject:
    modified = moment_within(status.st_mtime)
    is_changed = bool(flaw)
    return StoredObject(key, status.st_size, modified, metadata, _version(status), flaw=flaw, is_changed=is_changed)


def _unseen(key: str, error: OSError) -> StoredObject:
    what = "it cannot be listed" if key.endswith("/") else "it cannot be looked at"
    return StoredObject(key, 0, datetime.fromtimestamp(0, timezone.utc), flaw=f"{what}: {error.strerror or error}")


def _version(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
