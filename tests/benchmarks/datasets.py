"""What is backed up: trees and files, made anew for one run of the benchmarks."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SYSTEM_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share", "/usr/include")
_FILES_A_FOLDER = 100
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        mixed: bytes of the system's own files.
        small_files: files of a few hundred bytes each.
        random: bytes that do not compress, in one file.
        part: bytes in a part where a slow store is measured.
        delay: seconds that this store adds to each request.
        long_delay: the same of a store that is slower than any source.
        streams: bytes of a short and of a long stream, for comparing memory.
        file_counts: files in a small and in a large tree, for comparing memory.
        sources: in the configuration whose dry run is timed, and of the night with many small ones.
        short_delay: seconds that a store takes for each request of that night.
        folders: with one file in each, where restoring them is timed.
        late_files: in the tree of which a late day is restored.
        days: of that chain.
        many: files of a megabyte, with a small one each.
        margin: seconds for which what was written is archived once more.
        nights: archives in which a name is looked for.
        patterns: that a configuration leaves out.
        source_counts: in two configurations, of which the second is ten times as large.
        archive_counts: in two stores, the same.
        version_counts: in two buckets, the same.
        version_nights: whose archives these are versions of.
        chain_sources: whose chains are long.
        chain_nights: links of these chains.
    """

    mixed: int = 1 << 30
    small_files: int = 200_000
    random: int = 1 << 30
    part: int = 5 << 20
    delay: float = 0.1
    long_delay: float = 1.0
    streams: tuple[int, int] = (1_000_000_000, 20_000_000_000)
    file_counts: tuple[int, int] = (1_000, 1_000_000)
    sources: int = 50
    short_delay: float = 0.05
    folders: int = 50_000
    late_files: int = 20_000
    days: int = 100
    many: int = 4_000
    margin: float = 125
    nights: int = 28
    patterns: int = 80_000
    source_counts: tuple[int, int] = (100, 1_000)
    archive_counts: tuple[int, int] = (1_000, 10_000)
    version_counts: tuple[int, int] = (1_000, 10_000)
    version_nights: int = 14
    chain_sources: int = 200
    chain_nights: int = 15


SMALL = Scale(
    mixed=4 << 20,
    small_files=300,
    random=12 << 20,
    delay=0.01,
    long_delay=0.02,
    streams=(10_000_000, 60_000_000),
    file_counts=(100, 1_000),
    sources=5,
    folders=40,
    late_files=100,
    days=3,
    many=12,
    margin=0,
    nights=3,
    patterns=100,
    source_counts=(1, 3),
    archive_counts=(10, 20),
    version_counts=(10, 20),
    version_nights=1,
    chain_sources=2,
    chain_nights=2,
)


def make_mixed_tree(folder: Path, size: int) -> Path:
    """Copy files of this system, ``size`` bytes in all, chosen by chance but always the same."""
    left = size
    for path in sorted(_system_files(), key=lambda path: hashlib.sha256(os.fsencode(path)).digest()):
        # Not of each of a hundred thousand, of which a small tree needs few.
        if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
            continue
        length = path.stat().st_size
        if length > left:
            continue
        target = folder / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        left -= length
        if left < size // 1000:
            break
    return folder


def _system_files() -> Iterator[Path]:
    """Whatever bears a name there, be it a file or not."""
    for top in _SYSTEM_FOLDERS:
        for folder, _folders, names in os.walk(top):
            for name in names:
                yield Path(folder, name)


def make_small_files(folder: Path, count: int) -> Path:
    """Make ``count`` files of a few hundred bytes of text."""
    for number, path in enumerate(_numbered(folder, count)):
        path.write_text(f"file {number}\n" + "some words that are always the same\n" * (number % 20))
    return folder


def make_many_files(folder: Path, count: int) -> Path:
    """Make files of a megabyte that do not compress, and beside each one of 20 kB."""
    generator = random.Random(5)
    for number in range(count):
        inner = folder / f"{number // 100:03}"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"large-{number:05}").write_bytes(generator.randbytes(1_000_000))
        (inner / f"small-{number:05}").write_bytes(generator.randbytes(20_000))
    return folder


def make_one_folder(folder: Path, count: int) -> Path:
    """Make files without content, all in one folder."""
    folder.mkdir(parents=True)
    for number in range(count):
        os.close(os.open(folder / f"file-{number:07}.txt", os.O_CREAT | os.O_WRONLY, 0o644))
    return folder


def change_small_files(folder: Path, count: int, share: float, turn: int) -> None:
    """Change a share of what ``make_small_files`` made, others in each turn."""
    step = int(1 / share)
    for number, path in enumerate(_numbered(folder, count)):
        if number % step == turn % step:
            path.write_text(f"file {number} as changed in turn {turn}\n" * 5)


def make_empty_files(folder: Path, count: int) -> Path:
    """Make ``count`` files without content."""
    for path in _numbered(folder, count):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    return folder


def make_many_folders(folder: Path, count: int) -> Path:
    """Make ``count`` folders, a thousand to each of those above them, with an empty file in each."""
    for number in range(count):
        inner = folder / f"{number // 1000:03}" / f"folder-{number:07}"
        inner.mkdir(parents=True)
        (inner / "file").touch()
    return folder


def _numbered(folder: Path, count: int) -> Iterator[Path]:
    """Paths of files, a hundred to a folder, whose folders exist."""
    for start in range(0, count, _FILES_A_FOLDER):
        inner = folder / f"{start // 10_000:03}" / f"folder-{start:07}"
        inner.mkdir(parents=True, exist_ok=True)
        for number in range(start, min(start + _FILES_A_FOLDER, count)):
            yield inner / f"file-{number:07}.txt"


def make_random_file(path: Path, size: int) -> Path:
    """Make a file that does not compress."""
    path.parent.mkdir(parents=True)
    generator = random.Random(1)
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(generator.randbytes(min(_BLOCK, size - start)))
    return path


def make_endless_tar(folder: Path, block: Path, size: int) -> Path:
    """Put a program ``tar`` into ``folder``: it writes ``block`` again and again, ``size`` bytes at least, and ends."""
    folder.mkdir(parents=True)
    program = folder / "tar"
    times = -(-size // block.stat().st_size)
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "tar (GNU tar) 1.34"; exit; fi\n'
        f"i=0; while [ $i -lt {times} ]; do cat {block}; i=$((i + 1)); done; head -c 1024 /dev/zero\n"
    )
    program.chmod(0o755)
    return folder
