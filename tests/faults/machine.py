"""A machine with a week of backups behind it, to which tests come back, and what must hold after a fault."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from s3napback.archives import ArchiveRecord
from s3napback.rotation import day_number
from s3napback.watch.keys import is_word_key
from tests.faults.runner import Ended, Runner, Running
from tests.faults.subjects import Subject
from tests.faulty_s3 import FaultyS3
from tests.gpg_keys import Key
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site

PATIENCE = 10.0  # seconds that children of a killed run may take to notice
NOTE = "/uploading"
"""How the path in DiffDir ends of what notes an archive that is on its way, or of which nobody knows."""


@dataclass(frozen=True)
class Observed:
    """What a fault must not change.

    Attributes:
        objects: of the store: SHA-256 and metadata by key.
        diff_dir: the files' bytes by path, but for the note of an upload.
    """

    objects: Mapping[str, tuple[str, Mapping[str, str]]]
    diff_dir: Mapping[str, bytes]


@dataclass
class Bucket:
    """An rclone server's bucket, seen from behind, with a faulty proxy before it."""

    server: S3Server
    proxy: FaultyS3
    name: str
    known_metadata: dict[tuple[str, int, int], dict[str, str]] = field(default_factory=dict)

    def objects(self) -> dict[str, bytes]:
        """All objects, as they lie on the disk; beside them rclone keeps the parts of unfinished uploads."""
        assert self.server.folder is not None
        # While it replaces an object it has neither the old file nor the new one.
        self.proxy.wait_until_idle()
        root = self.server.folder / self.name
        files = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".rclone_temp_")]
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    def metadata(self, key: str) -> dict[str, str]:
        """An object's metadata, which changes only with the object."""
        assert self.server.folder is not None
        status = (self.server.folder / self.name / key).stat()
        known = (key, status.st_ino, status.st_mtime_ns)
        if known not in self.known_metadata:
            answer = self.server.client().head_object(Bucket=self.name, Key=key)
            self.known_metadata[known] = dict(answer["Metadata"])
        return self.known_metadata[known]

    def restore(self, wanted: Mapping[str, tuple[bytes, Mapping[str, str]]]) -> None:
        """Make it hold exactly this."""
        client = self.server.client()
        there = self.objects()
        for key in there.keys() - wanted.keys():
            client.delete_object(Bucket=self.name, Key=key)
        for key, (data, metadata) in wanted.items():
            if there.get(key) != data or self.metadata(key) != metadata:
                client.put_object(Bucket=self.name, Key=key, Body=data, Metadata=dict(metadata))


class Machine:
    """See the module; made once for many tests, each of which begins with ``reset``.

    Attributes:
        site: its folders and configuration.
        subject: what is backed up.
        bucket: None with a directory store.
        running: the run under way, or the last one.
    """

    def __init__(self, site: Site, subject: Subject, key: Key, runner: Runner, bucket: Bucket | None = None) -> None:
        self.site = site
        self.subject = subject
        self.bucket = bucket
        self.running: Running | None = None
        self._key = key
        self._runner = runner
        self._kept: list[Path] = []
        self._kept_objects: list[dict[str, tuple[bytes, Mapping[str, str]]]] = []
        self._tests = 0
        self._bin = site.root / "bin"
        self._programs = site.root / "programs"
        self._bin.mkdir()
        self._make_baselines()

    def _make_baselines(self) -> None:
        """Two: one after which a FULL is due, and one after which a DIFF is, if there are DIFFs."""
        self.configure()
        slots = 6 if "Diffs" in self.subject.settings else 2
        for self.first_night in range(slots + 1):
            if self.first_night == slots:
                self._keep()
            self.subject.change(self.first_night)
            self.succeed(self.first_night)
        self._keep()
        self.check_newest()
        self.first_night = slots

    def configure(self, *, settings: str = "", general: str = "") -> None:
        """Write the configuration, with more settings in the Cycle or at file level."""
        body = f"<Cycle nightly>\n{self.subject.settings}\n{settings}\n{self.subject.directive}\n</Cycle>"
        self.site.configure(body, general=f"{self._key.directives}\nChunkSize 5242880\n{general}")

    def reset(self, *, full: bool) -> int:
        """Go back to a baseline; returns the night that follows it, a FULL's or a DIFF's."""
        which = 0 if full else 1
        shutil.rmtree(self.site.diff_dir)
        shutil.copytree(self._kept[which] / "diffs", self.site.diff_dir)
        if self.bucket is None:
            shutil.rmtree(self.site.vault)
            shutil.copytree(self._kept[which] / "vault", self.site.vault)
        else:
            self.bucket.restore(self._kept_objects[which])
        return self.first_night + which

    def _keep(self) -> None:
        folder = self.site.root / f"kept-{len(self._kept)}"
        self._kept.append(folder)
        shutil.copytree(self.site.diff_dir, folder / "diffs")
        shutil.copytree(self.site.vault, folder / "vault")
        if self.bucket is not None:
            bucket = self.bucket
            self._kept_objects.append({key: (data, bucket.metadata(key)) for key, data in bucket.objects().items()})

    def environment(self) -> dict[str, str]:
        """Of a run; faults of programs come first on its PATH, then the subject's own programs."""
        path = os.pathsep.join([str(self._bin), str(self._programs), os.environ["PATH"]])
        return {**self.site.full_environment(), "PATH": path}

    def start(self, night: int, *options: str, fault: str = "") -> Running:
        """Begin a run."""
        arguments = self.site.command(*options, day=night)[3:]
        self.running = self._runner.start(arguments, self.environment(), fault=fault)
        return self.running

    def run(self, night: int, *options: str, fault: str = "") -> Ended:
        """Run to the end."""
        return self.start(night, *options, fault=fault).wait()

    def succeed(self, night: int) -> Ended:
        """Run, and insist on exit code 0."""
        ended = self.run(night)
        assert ended.code == 0, ended.stderr
        return ended

    @contextmanager
    def fake(self, program: str, script: str) -> Iterator[None]:
        """Put a shell script in front of a program; ``REAL`` in it is the program."""
        search = os.pathsep.join([str(self._programs), os.environ["PATH"]])
        path = self._bin / program
        real = shutil.which(program, path=search)
        assert real is not None, program
        path.write_text("#!/bin/sh\n" + script.replace("REAL", real) + "\n")
        path.chmod(0o755)
        try:
            yield
        finally:
            path.unlink()

    def objects(self) -> dict[str, bytes]:
        """All objects of the store, but for the words that runs leave, which failed ones do as well."""
        objects = self.site.contents() if self.bucket is None else self.bucket.objects()
        return {key: data for key, data in objects.items() if not is_word_key(key)}

    def metadata(self, key: str) -> Mapping[str, str]:
        """An object's metadata."""
        return self.site.metadata(key) if self.bucket is None else self.bucket.metadata(key)

    def observe(self) -> Observed:
        """Store and DiffDir as they are."""
        objects = {
            key: (hashlib.sha256(data).hexdigest(), self.metadata(key)) for key, data in sorted(self.objects().items())
        }
        found = self.site.diff_dir_contents()
        return Observed(objects, {path: data for path, data in found.items() if not path.endswith(NOTE)})

    def records(self) -> dict[str, ArchiveRecord]:
        """What the archives say of themselves, by key."""
        keys = [key for key in self.objects() if not key.endswith((".sha256", ".index"))]
        found = {key: ArchiveRecord.from_metadata(self.metadata(key)) for key in keys}
        return {key: record for key, record in found.items() if record is not None}

    def chain_to(self, key: str) -> list[str]:
        """The keys of an archive's chain, oldest first, by what the archives say of their parents."""
        records = self.records()
        by_id = {record.id: key for key, record in records.items()}
        chain = [key]
        while records[chain[0]].parent:
            assert records[chain[0]].parent in by_id, f"the parent of {chain[0]} is not in the store"
            chain.insert(0, by_id[records[chain[0]].parent])
        return chain

    def decrypted(self, key: str) -> bytes:
        """An archive's content, by plain gpg."""
        data = self.objects()[key]
        return subprocess.run(self._key.decrypt, input=data, stdout=subprocess.PIPE, check=True).stdout

    def newest(self) -> str:
        """The key of the archive with the latest day."""
        records = self.records()
        return max(records, key=lambda key: records[key].day)

    def day(self, night: int) -> int:
        """A night's day number."""
        return day_number(FIRST_DAY) + night

    def check_newest(self) -> None:
        """The newest archive's chain restores to the source as it is, by plain tools."""
        self._tests += 1
        folder = self.site.root / f"restored-{self._tests}"
        try:
            self.subject.assert_restored([self.decrypted(key) for key in self.chain_to(self.newest())], folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check_made_up(self, night: int) -> None:
        """The next run succeeds, its chain restores byte for byte, and nothing is left of the night before."""
        self.subject.change(night)
        self.succeed(night)
        assert self.records()[self.newest()].day == self.day(night)
        self.check_newest()
        self.check_nothing_left()
        self.check_diff_dir_is_tidy()

    def check_nothing_left(self, *, uploads: bool = True) -> None:
        """No temporary file, no unfinished upload if that is asked for, no process of the last run."""
        assert list(self.site.temp_dir.iterdir()) == []
        if uploads:
            assert [path for path in self.site.vault.rglob("incoming-*") if path.is_file()] == []
        if uploads and self.bucket is not None:
            assert self.bucket.server.unfinished_uploads(self.bucket.name) == []
        self.check_no_children()

    def check_no_children(self) -> None:
        """No process of the last run is there, or stays for long."""
        assert self.running is not None
        deadline = time.monotonic() + PATIENCE
        while children := self.running.children():
            assert time.monotonic() < deadline, children
            time.sleep(0.05)

    def check_no_note(self) -> None:
        """DiffDir notes no archive of which nobody knows whether it has arrived."""
        assert not [path for path in self.site.diff_dir_contents() if path.endswith(NOTE)]

    def check_diff_dir_is_tidy(self) -> None:
        """DiffDir holds nothing but states, and the snapshots and indexes that they name."""
        for state in self.site.diff_dir.glob("*/*/state.json"):
            links = json.loads(state.read_text())["history"]["chain"]
            memories = [link["memory"] for link in links if link["memory"]]
            wanted = {memory[what] for memory in memories for what in ("snapshot", "index")} - {""}
            assert {path.name for path in state.parent.iterdir()} == wanted | {"state.json"}

    def slot_of(self, key: str) -> str:
        """A key without its type and without what follows it."""
        return key.removesuffix(".sha256").removesuffix(".index").removesuffix("-FULL").removesuffix("-DIFF")
