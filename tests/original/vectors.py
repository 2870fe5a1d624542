"""What the original would have left in a bucket: its nights played with the real tar, cut as js3tream cuts.

The night of a directory is ``tar -g SNAPSHOT -C / -czp PATH``, its snapshot removed before a FULL. Chunks are full but
for the last one, be it empty.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from s3napback.stores import StoredObject

CHUNK_SIZE = 8192
FIRST_NIGHT = datetime(2009, 3, 1, 4, 0, 0, tzinfo=timezone.utc)
DUMP = b"-- MySQL dump\nCREATE TABLE t (i int);\n-- Dump completed\n"
OF_DATABASES = (
    *("MySQL/--all-databases-3", "MySQL/all-2", "MySQL/wiki-0", "MySQL//run/m.sock/wiki-1"),
    *("PostgreSQL/-4", "PostgreSQL/ledger-0"),
)


@dataclass
class Bucket:
    """Objects by key, each with the number of the upload that brought it.

    Attributes:
        step: time from one upload to the next.
        digits: of chunks' numbers.
    """

    step: timedelta = timedelta(seconds=1)
    digits: int = 20
    objects: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    uploads: int = 0

    def put(self, base: str, data: bytes, size: int = CHUNK_SIZE) -> None:
        """Upload an archive in the place of what is there."""
        self.uploads += 1
        for key in [key for key in self.objects if key.rpartition(":")[0] == base]:
            del self.objects[key]
        for number in range(len(data) // size + 1):
            chunk = data[number * size : (number + 1) * size]
            self.objects[f"{base}:{number:0{self.digits}d}"] = self.uploads, chunk

    def time_of(self, base: str) -> datetime:
        """When an archive was stored."""
        return max(self.time(order) for key, (order, _) in self.objects.items() if key.rpartition(":")[0] == base)

    def time(self, order: int) -> datetime:
        """When an upload was stored."""
        return FIRST_NIGHT + order * self.step

    def listing(self) -> list[StoredObject]:
        """As a store lists it."""
        return [
            StoredObject(key, len(data), self.time(order), version=f"v{order}")
            for key, (order, data) in sorted(self.objects.items())
        ]

    def renamed(self, change: Callable[[str], str]) -> Bucket:
        """The same with other keys."""
        return replace(self, objects={change(key): found for key, found in self.objects.items()})

    def copied_to(self, folder: Path) -> None:
        """As a copy of the bucket in a folder, where leading and doubled slashes are gone."""
        for key, (order, data) in self.objects.items():
            path = folder.joinpath(*filter(None, key.split("/")))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, times=(self.time(order).timestamp(),) * 2)


@dataclass
class Nights:
    """The nights of one directory.

    Attributes:
        path: what keys begin with, and what is given to tar if no shell expands it.
        snapshot: tar's.
        expanded: what a shell made of the path.
    """

    bucket: Bucket
    path: str
    snapshot: Path
    expanded: Sequence[str] = ()

    def run(self, slot: int, kind: str, through: Callable[[bytes], bytes] = bytes) -> None:
        """One of them."""
        if kind == "FULL":
            self.snapshot.unlink(missing_ok=True)
        command = ("tar", "-f", "-", "-g", str(self.snapshot), "-C", "/", "-czp", *(self.expanded or [self.path]))
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        self.bucket.put(f"{self.path}-{slot}-{kind}", through(done.stdout))
        # The kernel's times of files lag behind the clock by up to ten milliseconds.
        time.sleep(0.02)


def bucket_of_six_nights(folder: Path, source: Path) -> Bucket:
    """The nights n1 to n6, of which the last overwrites the first; dumps; and two archives that hold nothing.

    Args:
        folder: for tar's snapshot.
        source: an empty folder, to be filled.
    """
    bucket = Bucket()
    nights = Nights(bucket, str(source), folder / "snapshot")
    (source / "sub").mkdir()
    (source / "big").write_bytes(os.urandom(20_000))
    for name, text in (("f", "1"), ("sub/gone", "")):
        (source / name).write_text(text)
    nights.run(0, "FULL")
    (source / "f").write_text("2")
    (source / "sub/gone").unlink()
    nights.run(1, "DIFF")
    (source / "new").write_text("3")
    nights.run(2, "DIFF")
    nights.run(3, "FULL")
    (source / "f").write_text("5")
    (source / "new").unlink()
    nights.run(4, "DIFF")
    (source / "six").write_text("6")
    nights.run(0, "FULL")
    for base in OF_DATABASES:
        bucket.put(base, gzip.compress(DUMP))
    bucket.put("/exact-0-FULL", bytes(CHUNK_SIZE))
    bucket.put("/empty-0-FULL", b"")
    return bucket


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder with what it holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
