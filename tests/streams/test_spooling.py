"""Measuring a stream and keeping it in an unnamed file."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s3napback.errors import PipelineError
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.spooling import Measured, spool
from tests.streams.helpers import ENDLESS, GZIP, Fake, open_descriptors, read_all


def test_what_passes_is_measured_and_the_buffer_filled() -> None:
    expected = b"".join(b"%d\n" % number for number in range(1, 1_000_001))
    with Pipeline([Stage(("seq", "1000000"))]) as pipeline:
        measured = Measured(pipeline)
        buffer = memoryview(bytearray(3_000_000))
        counts = [measured.readinto(buffer) for _ in range(4)]
    assert counts == [3_000_000, 3_000_000, len(expected) - 6_000_000, 0]
    assert measured.size == len(expected)
    assert measured.sha256 == hashlib.sha256(expected).hexdigest()


def test_a_failure_passes_through_the_measuring(fake: Fake) -> None:
    with Pipeline([fake("tar", "seq 9; exit 2")]) as pipeline:
        with pytest.raises(PipelineError, match="tar failed"):
            Measured(pipeline).readinto(memoryview(bytearray(1000)))


def test_a_spooled_stream_is_read_again_from_a_file_without_a_name(tmp_path: Path) -> None:
    with Pipeline([Stage(("seq", "300000")), GZIP]) as pipeline:
        with spool(pipeline, tmp_path) as spooled:
            assert list(tmp_path.iterdir()) == []
            links = [name for name, target in open_descriptors().items() if target.startswith(str(tmp_path))]
            assert [os.fstat(int(name)).st_mode & 0o777 for name in links] == [0o600]
            measured = Measured(spooled)
            output = read_all(measured)
    assert subprocess.run(["gzip", "-d"], input=output, capture_output=True, check=True).stdout.endswith(b"\n300000\n")
    assert spooled.size == measured.size == len(output)


def test_a_failed_stream_is_not_spooled(fake: Fake, tmp_path: Path) -> None:
    with Pipeline([fake("dump", "seq 9; exit 2")]) as pipeline:
        with pytest.raises(PipelineError, match="dump failed"):
            with spool(pipeline, tmp_path):
                pytest.fail("there is nothing to read")


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with Pipeline([ENDLESS]) as pipeline:
        with pytest.raises(PipelineError, match=f"{missing}: No such file or directory; set TempDir"):
            with spool(pipeline, missing):
                pass


def test_a_full_disk_is_told_with_the_name_of_the_folder(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from s3napback.errors import PipelineError
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.spooling import spool
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
try:
    with Pipeline([Stage(("cat", "/dev/zero"))]) as pipeline, spool(pipeline, Path({str(tmp_path)!r})):
        pass
except PipelineError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"cannot write a temporary file in {tmp_path}: File too large; make room")


def test_a_spooled_file_that_loses_its_end_is_told(tmp_path: Path) -> None:
    with Pipeline([Stage(("seq", "300000"))]) as pipeline:
        with spool(pipeline, tmp_path) as spooled:
            (name,) = [name for name, target in open_descriptors().items() if target.startswith(str(tmp_path))]
            os.truncate(int(name), 1000)
            with pytest.raises(PipelineError, match="has lost its end"):
                read_all(Measured(spooled))
