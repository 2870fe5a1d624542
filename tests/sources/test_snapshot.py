"""tar's snapshot files: read, copied with the cure, and refused when damaged."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.chains import Memory
from s3napback.deciding.fulls import Reason, why_not_from
from s3napback.sources.snapshot import DamagedSnapshot, copy_cured, file_sha256, look_at_snapshot, snapshot_time
from tests.sources.trees import RandomTree

NOW = 2_000_000_000
DIRECTORIES = 40_000  # in the large snapshot
HEADER = b"GNU tar-1.34-2\n1700000000\x00123456789\x00"


def record(name: bytes, *entries: bytes, device: bytes = b"64768") -> bytes:
    start = b"\0".join((b"0", b"1700000000", b"987654321", device, b"4711", name, b""))
    return start + b"".join(entry + b"\0" for entry in entries) + b"\0\0"


def without_devices(data: bytes) -> bytes:
    """What the cure should make of a snapshot, told independently: by splitting at the fields, all of it in memory."""
    header, rest = data[: data.index(b"\n") + 1], data[data.index(b"\n") + 1 :]
    fields = rest.split(b"\0")
    assert fields.pop() == b""
    out, position = fields[:2], 2
    while position < len(fields):
        record_start = fields[position : position + 6]
        record_start[3] = b"0"
        out += record_start
        position += 6
        while fields[position]:
            out.append(fields[position])
            position += 1
        assert fields[position : position + 2] == [b"", b""]
        out += [b"", b""]
        position += 2
    return header + b"".join(field + b"\0" for field in out)


def cured(data: bytes) -> bytes:
    target = io.BytesIO()
    copy_cured(io.BytesIO(data), target)
    return target.getvalue()


@pytest.fixture(scope="module")
def real_snapshot(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Left by the tar of this machine, of a tree with odd names."""
    folder = tmp_path_factory.mktemp("real")
    RandomTree(folder / "tree", seed=5, size=60)
    command = ["tar", "--create", "--file=/dev/null", f"--listed-incremental={folder / 's'}", "-C", str(folder), "tree"]
    subprocess.run(command, check=True)
    return (folder / "s").read_bytes()


def test_the_time_is_that_at_which_tar_began(tmp_path: Path) -> None:
    before = int(time.time())
    subprocess.run(["tar", "-cf", "/dev/null", f"-g{tmp_path / 's'}", "-C", str(tmp_path), "."], check=True)
    with (tmp_path / "s").open("rb") as stream:
        assert before <= snapshot_time(stream) <= time.time()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER[:20],
        HEADER[:-1],
        b"\0" * 100,
        b"1700000000\n64768 1 ./x\n",  # format 0, of tar before 1.15
        HEADER.replace(b"-2\n", b"-1\n"),
        HEADER.replace(b"170", b"x70"),
        # the same bytes in every process, which pytest may name the test after
        random.Random(5).randbytes(5000),
    ],
)
def test_what_does_not_begin_like_a_snapshot_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedSnapshot):
        snapshot_time(io.BytesIO(data))
    with pytest.raises(DamagedSnapshot):
        cured(data)


def test_the_cure_changes_the_device_numbers_of_a_real_snapshot_and_nothing_else(real_snapshot: bytes) -> None:
    assert real_snapshot.count(b"\0\0\0") > 5
    assert cured(real_snapshot) == without_devices(real_snapshot) != real_snapshot


def test_a_cured_snapshot_is_cured_to_itself(real_snapshot: bytes) -> None:
    assert cured(cured(real_snapshot)) == cured(real_snapshot)


def test_tar_takes_a_cured_snapshot_and_finds_nothing_changed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    RandomTree(tree, seed=6)
    options = ["--no-check-device", "-C", str(tmp_path), "tree"]
    subprocess.run(["tar", "-cf", "/dev/null", f"-g{tmp_path / 's'}", *options], check=True)
    (tmp_path / "t").write_bytes(cured((tmp_path / "s").read_bytes()))
    subprocess.run(["tar", "-cf", str(tmp_path / "diff.tar"), f"-g{tmp_path / 't'}", *options], check=True)
    listing = subprocess.run(["tar", "-tf", str(tmp_path / "diff.tar")], check=True, capture_output=True).stdout
    assert [name for name in listing.splitlines() if not name.endswith(b"/")] == []


RECORDS = (
    record(b"./empty"),
    record(b"./a", b"Yfile", b"D64768", b"N0"),
    record(b"./64768\n", b"Y\n1700000000", device=b"0"),
    record(b"\xff\xfe", b"Y0", b"Y1", device=b"18446744073709551615"),
    record(b"0", b"Yx"),
)
TRICKY = HEADER + b"".join(RECORDS)


class TricklingStream(io.BytesIO):
    """Gives the header, and then never more than a few bytes at once."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self._piece = piece

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, self._piece if self.tell() else len(HEADER)))


def cured_in_pieces(data: bytes, piece: int) -> bytes:
    target = io.BytesIO()
    copy_cured(TricklingStream(data, piece), target)
    return target.getvalue()


def test_blocks_may_end_anywhere() -> None:
    for piece in range(1, len(TRICKY)):
        assert cured_in_pieces(TRICKY, piece) == without_devices(TRICKY)


def test_a_header_without_records_is_a_whole_snapshot() -> None:
    assert cured(HEADER) == HEADER


def test_copying_tells_the_checksum_of_what_was_read() -> None:
    digest = copy_cured(io.BytesIO(TRICKY), io.BytesIO())
    assert digest == hashlib.sha256(TRICKY).hexdigest() == file_sha256(io.BytesIO(TRICKY))


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_snapshot_cut_short_anywhere_but_between_records_is_damaged(piece: int) -> None:
    """Where it ends between records, the checksum tells."""
    ends = {len(HEADER) + len(b"".join(RECORDS[:count])) for count in range(len(RECORDS) + 1)}
    for length in range(len(HEADER), len(TRICKY)):
        if length in ends:
            cured_in_pieces(TRICKY[:length], piece)
        else:
            with pytest.raises(DamagedSnapshot):
                cured_in_pieces(TRICKY[:length], piece)


@pytest.mark.parametrize("length", range(len(HEADER)))
def test_a_snapshot_cut_short_within_its_header_is_damaged(length: int) -> None:
    with pytest.raises(DamagedSnapshot):
        cured(TRICKY[:length])


def test_random_bytes_behind_a_good_header_are_damaged() -> None:
    chance = random.Random(3)
    for size in (1, 10, 1000, 300_000):
        with pytest.raises(DamagedSnapshot):
            cured(HEADER + chance.randbytes(size))


def test_a_record_without_an_end_is_given_up_before_it_fills_the_memory() -> None:
    stream = SyntheticSnapshot(iter([HEADER, *[b"9" * 1000] * 10_000]))
    with pytest.raises(DamagedSnapshot):
        copy_cured(stream, Counter())  # type: ignore[arg-type]
    assert stream.bytes_read < 3_000_000


class SyntheticSnapshot:
    """A stream of pieces that are made only when they are read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.bytes_read = 0

    def read(self, size: int) -> bytes:
        data = [self._rest]
        length = len(self._rest)
        while length < size and (piece := next(self._pieces, b"")):
            data.append(piece)
            length += len(piece)
        joined = b"".join(data)
        self._rest = joined[size:]
        self.bytes_read += len(joined[:size])
        return joined[:size]


class Counter:
    def __init__(self) -> None:
        self.bytes_written = 0

    def write(self, data: bytes) -> None:
        self.bytes_written += len(data)


def many_directories() -> Iterator[bytes]:
    """100 MB: thousands of directories, and one with very many files."""
    entries = [b"Yfile-%d.txt" % number for number in range(100)]
    directories = b"".join(record(b"srv/directory-%d" % number, *entries) for number in range(DIRECTORIES // 40))
    start, end = record(b"srv/huge", b"Yx").split(b"Yx\0")
    names = b"".join(b"Yname of a file %d\0" % number for number in range(50_000))
    yield HEADER
    yield from [directories] * 40
    yield start
    yield from [names] * 50
    yield end


def test_a_snapshot_of_a_hundred_megabytes_is_copied_quickly_and_in_little_memory() -> None:
    source, target = SyntheticSnapshot(many_directories()), Counter()
    tracemalloc.start()
    started = time.monotonic()
    try:
        copy_cured(source, target)  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 30  # seconds; mostly tracemalloc's
    assert peak < 16_000_000  # bytes, most of them the test's own
    assert source.bytes_read > 100_000_000
    assert target.bytes_written == source.bytes_read - (DIRECTORIES + 1) * len("6476")


@pytest.fixture
def kept(tmp_path: Path, real_snapshot: bytes) -> Path:
    path = tmp_path / "kept"
    path.write_bytes(real_snapshot)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def reason_against(path: Path, digest: str, now: float = NOW) -> Reason | None:
    """Why no DIFF can be built on a snapshot that had that digest."""
    why = why_not_from(look_at_snapshot(path), Memory(path.name, digest), now)
    return why.reason if why else None


def test_nothing_speaks_against_a_whole_snapshot(kept: Path) -> None:
    assert reason_against(kept, sha256(kept)) is None


def test_a_snapshot_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    assert reason_against(tmp_path / "gone", "") is Reason.SNAPSHOT_MISSING


def test_a_snapshot_with_another_checksum_is_a_problem(kept: Path) -> None:
    digest = sha256(kept)
    data = bytearray(kept.read_bytes())
    data[-4] ^= 1
    kept.write_bytes(data)
    assert reason_against(kept, digest) is Reason.SNAPSHOT_ALTERED


def test_a_snapshot_that_is_no_snapshot_is_a_problem(kept: Path) -> None:
    kept.write_bytes(b"something else")
    assert reason_against(kept, sha256(kept)) is Reason.SNAPSHOT_DAMAGED


def test_a_snapshot_that_could_not_be_cured_is_a_problem_before_a_diff_is_begun(kept: Path) -> None:
    """Were it found only then, the source would fail every night; so a FULL is made."""
    kept.write_bytes(HEADER + b"records of a format yet to come")
    assert reason_against(kept, sha256(kept)) is Reason.SNAPSHOT_DAMAGED


def test_a_snapshot_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    assert reason_against(tmp_path, "") is Reason.SNAPSHOT_UNREADABLE
    assert look_at_snapshot(tmp_path).unreadable == "Is a directory"


def test_a_snapshot_of_the_future_is_a_problem(kept: Path) -> None:
    """tar would leave out all that changed until then."""
    with kept.open("rb") as stream:
        moment = snapshot_time(stream)
    assert reason_against(kept, sha256(kept), moment) is None
    assert reason_against(kept, sha256(kept), moment - 1) is Reason.SNAPSHOT_OF_THE_FUTURE


@pytest.mark.parametrize(("margin", "seconds"), [(0, 1000), (120, 880), (-(10**11), 10**11 + 1000), (5000, 0)])
def test_the_time_of_the_copy_is_set_back_by_a_margin_and_nothing_else_is(margin: int, seconds: int) -> None:
    rest = b"\x00123456789\0" + b"0\0001\0002\0000\0005\0a\0Yb\0\0\0"
    target = io.BytesIO()
    copy_cured(io.BytesIO(b"GNU tar-1.34-2\n1000" + rest), target, margin=margin)
    assert target.getvalue() == b"GNU tar-1.34-2\n%d" % seconds + rest
