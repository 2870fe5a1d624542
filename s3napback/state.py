"""What DiffDir holds: for each name the chain to its newest archive, and the snapshots a DIFF needs.

Layout: ``DIFFDIR/STORE/NAME/state.json`` with the snapshots and indexes beside it. ``STORE`` and ``NAME`` are readable
abbreviations made unique by a hash (``places.py``), so that configurations can share one DiffDir. A commit writes both
under the archive's id, flushes them, and then replaces ``state.json`` in one step; whatever that file does not mention
is rubbish of an interrupted run.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

from s3napback.chains import BegunUpload, History, Link, Memory, SourceState, Stored
from s3napback.config.settings import Job
from s3napback.durable import put_in_place, sync_file, write_private
from s3napback.errors import ChangeableByOthers, DamagedState, StateError
from s3napback.kinds import SourceName, kind_of
from s3napback.locks import Ledger, ledger_document, read_ledger
from s3napback.ownership import read_own_file, require_own
from s3napback.places import StatePlace, folder_name
from s3napback.rotation import ArchiveType

STATE_FORMAT = 1
_STATE = "state.json"
_NEW_STATE = "state.json.new"
_UPLOADING = "uploading"
_MOST_UPLOADS = 100  # that are noted of one name
_LOCKS = "locks.json"
OWED = ".owed"  # ends the names of files that stay beside state until what they speak of is done
_INSTANCE = "instance"
_LONGEST_INSTANCE = 1_000


class StoreState:
    """The part of DiffDir that belongs to one store and prefix. Creates nothing before a commit needs it."""

    def __init__(self, diff_dir: Path, store_identity: str, prefix: str, former: str = "") -> None:
        self.place = StatePlace(diff_dir, store_identity, prefix, former)
        self._folders = threading.Lock()

    @property
    def _root(self) -> Path:
        return self.place.folder

    def folder(self, name: str) -> Path:
        """Where the state of a name lies, whether it exists or not."""
        return self._root / folder_name(name or "root", name)

    def knows_store(self) -> bool:
        """Whether anything was ever committed for this store."""
        return any(state.newest for state in self.all())

    def all(self) -> Iterator[SourceState]:
        """Every name's state that can be read; none where DiffDir is not for us to look into."""
        with suppress(PermissionError):
            yield from self._in(sorted(self._root.glob(f"*/{_STATE}")))

    def _in(self, files: Iterable[Path]) -> Iterator[SourceState]:
        for file in files:
            try:
                yield _read_state(file)
            except StateError:
                continue

    def load(self, name: str) -> SourceState | None:
        """The state of a name; None if there is none.

        Raises:
            DamagedState: it is there and makes no sense.
            StateError: it cannot be read.
        """
        try:
            return _read_state(self.folder(name) / _STATE)
        except FileNotFoundError:
            return None

    def former_names(self, source: SourceName, cycle: str, name: str) -> list[str]:
        """Other names under which the same source was kept in the same Cycle, before this was first asked."""
        return [each for each in self._kept_before.get((source, cycle), ()) if each != name]

    @cached_property
    def _kept_before(self) -> Mapping[tuple[SourceName, str], Sequence[str]]:
        """Names by source and Cycle: a first night asks for each of its sources, and all state is read only once."""
        names: dict[tuple[SourceName, str], list[str]] = {}
        for state in self.all():
            if state.newest:
                names.setdefault((state.source, state.cycle), []).append(state.name)
        return names

    @contextmanager
    def workplace(self, name: str) -> Iterator[Path]:
        """The folder of a name, private and free of leftovers before and after, but for an upload's note.

        Raises:
            StateError: it cannot be made, or is not private.
        """
        folder = self.folder(name)
        try:
            with self._folders:
                for each in (self._root, folder):
                    _make_private(each)
            self._discard_rubbish(folder, {_UPLOADING})
        except OSError as error:
            raise StateError(f"cannot use {folder}: {error.strerror}") from error
        try:
            yield folder
        finally:
            # What cannot be removed now, the next workplace removes; it must not hide how the work ended.
            with suppress(OSError, StateError):
                self._discard_rubbish(folder, {_UPLOADING})
                # Another source may begin at this moment.
                with self._folders:
                    for each in (folder, self._root):
                        if not any(each.iterdir()):
                            each.rmdir()

    def commit(
        self,
        state: SourceState,
        working: Path | None = None,
        index: Path | None = None,
        owed: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        """Make ``state`` the state of its name, in one step that a crash cannot divide.

        Args:
            state: the new state; its newest link's memory names the snapshot if there is one.
            working: the snapshot to be kept under that name.
            index: the index to be kept under the name that this memory has for it.
            owed: files that the new state is never without, by their names, which end with ``OWED``.

        Raises:
            StateError: it could not be written; the former state then still holds.
        """
        folder = self.folder(state.name)
        try:
            for each in (self._root, folder):
                _make_private(each)
            self.place.note()
            newest = state.newest
            if newest is not None and newest.memory is not None:
                memory = newest.memory
                for file, name in ((working, memory.snapshot), (index, memory.index)):
                    if file is not None and name:
                        sync_file(file)
                        file.replace(folder / name)
            for name, content in owed.items():
                write_private(folder / name, content)
            new = folder / _NEW_STATE
            new.unlink(missing_ok=True)  # of a run that was interrupted
            write_private(new, json.dumps(_to_json(state), indent=1, sort_keys=True).encode())
            # Their names must not come later than the state that speaks of them.
            put_in_place(new, folder / _STATE, before=folder, after=[folder])
            self._discard_rubbish(folder)
        except OSError as error:
            for name in owed:
                with suppress(OSError):
                    (folder / name).unlink(missing_ok=True)
            raise StateError(f"cannot write the state in {folder}: {error.strerror}") from error

    def note_upload(self, name: str, key: str, identity: str) -> None:
        """Note an archive, within a name's workplace, before its first byte; the commit, or who undoes it, forgets it.

        Raises:
            StateError: it cannot be written.
        """
        try:
            self._keep_noted(name, [*self.noted_uploads(name), BegunUpload(key, identity)][-_MOST_UPLOADS:])
        except OSError as error:
            raise StateError(f"cannot write {self.folder(name) / _UPLOADING}: {error.strerror}") from error

    def forget_upload(self, name: str, identity: str) -> None:
        """Forget an archive that was noted: it has not arrived. What earlier runs have noted stays."""
        self._keep_noted(name, [each for each in self.noted_uploads(name) if each.id != identity])

    def noted_uploads(self, name: str) -> Sequence[BegunUpload]:
        """The archives since the last commit of which runs of this name did not learn whether they arrived."""
        with suppress(OSError, ChangeableByOthers):
            note = read_own_file(self.folder(name) / _UPLOADING)[0].decode("utf-8", "surrogateescape")
            words = note.split("\0")
            return [BegunUpload(*each) for each in zip_longest(words[::2], words[1::2], fillvalue="")]
        return ()

    def _keep_noted(self, name: str, uploads: Sequence[BegunUpload]) -> None:
        path = self.folder(name) / _UPLOADING
        new = path.with_name(f"{_UPLOADING}.new")
        new.unlink(missing_ok=True)  # of a run that was interrupted
        if not uploads:
            path.unlink(missing_ok=True)
            return
        text = "\0".join(f"{each.key}\0{each.id}" for each in uploads)
        write_private(new, text.encode("utf-8", "surrogateescape"))
        new.replace(path)

    def locks(self, name: str) -> Ledger:
        """What is remembered of the locks of a name's archives; nothing if that is lost or damaged.

        Raises:
            StateError: it cannot be read.
        """
        path = self.folder(name) / _LOCKS
        try:
            return read_ledger(read_own_file(path)[0])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StateError(f"cannot read {path}: {error.strerror}") from error
        except ChangeableByOthers as error:
            raise StateError(str(error)) from error

    def remember_locks(self, name: str, ledger: Ledger) -> None:
        """Remember the locks of a name's archives, in one step; of a name without state nothing is.

        Raises:
            StateError: it cannot be written.
        """
        folder = self.folder(name)
        new = folder / f"{_LOCKS}.new"
        try:
            if not folder.is_dir():
                return
            new.unlink(missing_ok=True)  # of a run that was interrupted
            write_private(new, ledger_document(ledger))
            put_in_place(new, folder / _LOCKS, before=folder, after=[folder])
        except OSError as error:
            raise StateError(f"cannot write {folder / _LOCKS}: {error.strerror}") from error

    def _discard_rubbish(self, folder: Path, kept: Collection[str] = ()) -> None:
        try:
            state = _read_state(folder / _STATE)
        except FileNotFoundError:
            wanted = set()
        except DamagedState:
            wanted = {_STATE, _LOCKS}
        else:
            memories = [link.memory for link in state.history.chain if link.memory]
            wanted = {_STATE, _LOCKS, *(memory.snapshot for memory in memories), *(memory.index for memory in memories)}
        for file in folder.iterdir():
            if file.name not in wanted and file.name not in kept and file.suffix != OWED:
                file.unlink(missing_ok=True)


def instance_of(diff_dir: Path, configuration: Path) -> str:
    """What tells this DiffDir, in the hands of one configuration, from every other: random, made when it is missing.

    Returns:
        Hexadecimal digits; none if it can neither be read nor made.
    """
    path = diff_dir / _INSTANCE
    try:
        with suppress(FileExistsError):
            write_private(path, f"{uuid.uuid4().hex}\n".encode())
        secret = read_own_file(path, _LONGEST_INSTANCE)[0]
    except (OSError, ChangeableByOthers):
        return ""
    return hashlib.sha256(secret + os.fsencode(configuration.absolute())).hexdigest()[:32]


def remembered_of_several(state: StoreState, job: Job) -> list[tuple[Job, SourceState]]:
    """The sources that a job which stands for several is known to stand for, and what is remembered of each."""
    found = [each for each in state.all() if each.cycle == job.cycle and _stands_for(job, each)]
    known = sorted(found, key=lambda each: each.name)
    return [
        (replace(job, kind=each.source.kind or job.kind, target=each.source.target, name=each.name), each)
        for each in known
    ]


def _stands_for(job: Job, state: SourceState) -> bool:
    kind = kind_of(job.kind)
    if not kind.folder_of:
        return kind.covers(job.target, state.source.target) and state.source.kind == kind.name
    return state.name.startswith(f"{job.name}/") if job.name else True


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink():
        raise StateError(f"{folder} is not a folder of its own; remove it, somebody may have planted it")
    try:
        require_own(folder)
    except ChangeableByOthers as error:
        raise StateError(str(error)) from error


def _to_json(state: SourceState) -> dict[str, Any]:
    document = {**asdict(state), "source": str(state.source)}
    for link in document["history"]["chain"]:
        link["type"] = link["type"].value
    return {"format": STATE_FORMAT, **document}


def _read_state(file: Path) -> SourceState:
    """Read one state file.

    Raises:
        FileNotFoundError: it is not there.
        DamagedState: it makes no sense.
        StateError: it cannot be read.
    """
    try:
        document = json.loads(read_own_file(file)[0])
        if document.pop("format") != STATE_FORMAT:
            raise DamagedState(f"{file} was written by another version of s3napback")
        history = document.pop("history")
        chain = tuple(_read_link(link) for link in history.pop("chain"))
        document["source"] = SourceName.parse(document["source"])
        document["taken_over"] = tuple(document["taken_over"])
        # Earlier versions did not keep it.
        document["stored"] = {key: Stored(**each) for key, each in document.get("stored", {}).items()}
        return SourceState(history=History(chain=chain, **history), **document)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(file) from None
    except OSError as error:
        raise StateError(f"cannot read {file}: {error.strerror}") from error
    except ChangeableByOthers as error:
        raise StateError(str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedState(f"{file} is damaged ({error})") from error


def _read_link(document: dict[str, Any]) -> Link:
    memory = document.pop("memory")
    return Link(type=ArchiveType(document.pop("type")), memory=None if memory is None else Memory(**memory), **document)
