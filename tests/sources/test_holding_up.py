"""A file system that does not answer is named, and nobody waits for it longer than StallTimeout."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.errors import PipelineError, SourceError
from s3napback.sources.holding_up import what_holds_up
from tests.hostile.mounts import never_answering
from tests.hostile.pausing import PausingNights
from tests.sources.chains import directory_source


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.sources.holding_up.PATIENCE", 0.5)


@pytest.mark.usefixtures("patience")
def test_what_hangs_below_a_source_is_named_once_stall_timeout_is_over(tree: Path, tmp_path: Path) -> None:
    place = tree / "src/dead mount"
    place.mkdir()
    nights = PausingNights(directory_source(tree), tmp_path / "work", stall_timeout=1)
    began = time.monotonic()
    with never_answering(place), pytest.raises(PipelineError, match="silent for 1 seconds") as failure:
        nights.back_up()
    assert time.monotonic() - began < 60
    named = f"  the file system at {place} (fuse) does not answer; Exclude it, or unmount it"
    assert named in failure.value.lines
    assert any(line.startswith(f"  what it has open is {tree}") for line in failure.value.lines)


def test_a_source_that_hangs_itself_fails_after_stall_timeout_and_is_not_touched(tmp_path: Path) -> None:
    place = tmp_path / "mount"
    place.mkdir()
    (tmp_path / "link").symlink_to("mount/below")
    with never_answering(place):
        for path in (place, place / "below", tmp_path / "link"):
            source = directory_source(path, JobSettings(stall_timeout=1))
            with pytest.raises(SourceError, match=r"has not answered for 1 seconds \(StallTimeout\)"):
                source.check(had_content=False, remembered={})


@pytest.mark.usefixtures("patience")
def test_nothing_is_blamed_that_answers(tree: Path) -> None:
    assert what_holds_up(str(tree), os.getpid()) == []


@pytest.mark.usefixtures("patience")
def test_what_a_process_reads_is_told(tree: Path) -> None:
    with (tree / "src/main.c").open("rb") as file, subprocess.Popen(["sleep", "60"], stdin=file) as process:
        lines = what_holds_up(str(tree), process.pid)
        process.kill()
    assert lines == [f"what it has open is {tree}/src/main.c"]
