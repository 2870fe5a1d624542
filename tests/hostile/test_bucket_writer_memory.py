"""However large something in the store says it is, a restore needs no more memory than for an honest one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator

import pytest

from s3napback.recovery import paths
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.paths import WantedPaths, first_reading
from tests.faults.runner import Ended
from tests.hostile.archives import END, GNU, hard_link, header, put, zipped
from tests.hostile.attacks import ORDINARY, START, W, full
from tests.hostile.restoring import SHAPES, USERS, Restorer, harm_done, surroundings
from tests.hostile.world import PART, SOURCE, World

MOST = 180_000  # KiB that a process of a restore may have in memory at once; an honest one needs 80,000
LIMIT = 3_000_000  # KiB of address space, so that a failure does not take the machine along
MEBIBYTES = 200
HUGE = 1 << 33
OURSELVES = next(iter(USERS))


def restore_and_measure(restores: Restorer, world: World, shape: str) -> tuple[Ended, int]:
    """Restore; returns the largest memory, in KiB, of any process, too."""
    arguments = ["-c", str(world.configuration), "restore", *SHAPES[shape].arguments(world.where)]
    limited = ["sh", "-c", f'ulimit -v {LIMIT}; exec "$@"', "sh"]
    command = [*surroundings(restores.base), *limited, sys.executable, "-m", "s3napback", *arguments]
    with tempfile.TemporaryFile("w+") as said, tempfile.NamedTemporaryFile("r") as memory:
        done = subprocess.run(
            [sys.executable, "-S", "-c", MEASURING, memory.name, *command],
            env={**restores.environment, "HOME": str(world.base / "home")},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            check=False,
        )
        said.seek(0)
        return Ended(done.returncode, "", said.read()), int(memory.read())


MEASURING = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
# A process begins with the largest memory of the one that starts it, so that is a small one.


def long(first: bytes, unit: bytes) -> Iterator[bytes]:
    """A compressed archive that goes on and on behind its first bytes."""
    compressor = zlib.compressobj(1, wbits=31)
    yield compressor.compress(START + first)
    piece = unit * (1_048_576 // len(unit))
    for _ in range(MEBIBYTES):
        yield compressor.compress(piece)
    yield compressor.compress(END) + compressor.flush()


HEADERS = {
    "an extended header": header("x", b"x", size=HUGE),
    "a header for all": header("x", b"g", size=HUGE),
    "a long name": header("x", b"L", size=HUGE, magic=GNU),
    "a long link": header("x", b"K", size=HUGE, magic=GNU),
    "an old list of entries": header(W, b"D", size=HUGE, magic=GNU, mode=0o755),
    "a sparse file's map": header("x", b"x", size=512)
    + (
        b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n27 GNU.sparse.realsize=99\n30 GNU.sparse.name=estate/wing/f\n"
    ).ljust(512, b"\n")
    + header(f"{W}/f", size=HUGE),
}
CASES = [*((name, bytes(64)) for name in HEADERS), ("a sparse file's map", b"1" * 64)]


@pytest.mark.parametrize(("name", "unit"), CASES, ids=[f"{name}, {unit[0]}" for name, unit in CASES])
def test_a_header_without_end_takes_no_memory(restores: Restorer, name: str, unit: bytes) -> None:
    world = restores.world(OURSELVES)
    world.prepare(in_place=False)
    put(world.vault, 0, b"".join(long(HEADERS[name], unit)))
    ended, memory = restore_and_measure(restores, world, "PATH")
    assert ended.code == 1, ended.stderr
    assert memory < MOST, ended.stderr
    assert not harm_done(world, SHAPES["PATH"], ended)


@pytest.mark.parametrize("size", [HUGE, 100_000])
def test_a_sum_without_end_takes_no_memory(restores: Restorer, size: int) -> None:
    world = restores.world(OURSELVES)
    world.prepare(in_place=False)
    put(world.vault, 0, zipped(ORDINARY))
    key = world.vault / "estate-0-FULL.sha256"
    key.write_bytes(b"0" * 64 + b"  estate-0-FULL\n")
    os.truncate(key, size)
    ended, memory = restore_and_measure(restores, world, "whole")
    assert ended.code in (0, 1), ended.stderr
    assert memory < MOST, ended.stderr
    assert not harm_done(world, SHAPES["whole"], ended)


def test_hard_links_without_end_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those to what was not asked for are remembered, for a second reading."""
    monkeypatch.setattr(paths, "_MOST_LEFT_OUT", 100_000)
    links = [hard_link(f"{W}/{number}", f"{SOURCE}/other") for number in range(1000)]

    def read(content: bytes) -> int:
        finding = first_reading(Gate(SOURCE), WantedPaths.of((PART,)))
        for _block in finding.transformation.transform(iter([memoryview(content)])):
            pass
        return len(finding.result().left_out)

    assert read(full(*links[:300])) == 300
    with pytest.raises(Damaged, match="restore the whole directory instead of PATHs"):
        read(full(*links))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_honest_restore_needs_half_of_that(restores: Restorer, shape: str) -> None:
    world = restores.world(OURSELVES)
    world.prepare(in_place=SHAPES[shape].in_place)
    put(world.vault, 0, zipped(ORDINARY))
    ended, memory = restore_and_measure(restores, world, shape)
    assert ended.code == 0, ended.stderr
    assert memory < MOST / 2
