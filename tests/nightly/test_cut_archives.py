"""An archive of which the store has lost bytes, and not what it says of itself: nothing is built on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import S3Server
from tests.site import Site

CUTS: dict[str, Callable[[bytes], bytes]] = {"half": lambda data: data[: len(data) // 2], "empty": lambda _data: b""}


def cut(site: Site, key: str, how: Callable[[bytes], bytes]) -> None:
    """Put less in the place of an object, with its metadata."""
    assert site.server is not None
    client = site.server.client()
    metadata = client.head_object(Bucket=site.bucket, Key=key)["Metadata"]
    client.put_object(Bucket=site.bucket, Key=key, Body=how(site.fetch(key)), Metadata=metadata)


@pytest.fixture
def nights(tmp_path: Path, moto: S3Server) -> Site:
    """Two of them, a FULL and a DIFF."""
    site = Site(tmp_path / "site", moto)
    site.configure_cycle("Diffs 6")
    for night in range(2):
        (site.source / f"file{night}").write_text(f"{night}")
        site.run(day=night)
    return site


def restored(site: Site, day: int) -> set[str]:
    site.run("restore", str(site.source), "--to", str(site.root / "out"), day=day)
    return {path.name for path in (site.root / "out").rglob("file*")}


@pytest.mark.parametrize("how", CUTS.values(), ids=list(CUTS))
@pytest.mark.parametrize("position", [0, 1])
def test_the_next_archive_is_a_full_that_says_why(nights: Site, how: Callable[[bytes], bytes], position: int) -> None:
    key = sorted(nights.archive_keys())[position]
    cut(nights, key, how)
    (nights.source / "file2").write_text("2")
    assert f"{key} of 2026-01-0{position + 1}, on which the DIFF would build, is damaged" in nights.run(day=2).stderr
    assert nights.slots()[-1].endswith("-FULL")
    assert restored(nights, 2) == {"file0", "file1", "file2"}


def test_that_of_today_is_made_once_more(nights: Site) -> None:
    key = sorted(nights.archive_keys())[1]
    cut(nights, key, CUTS["half"])
    assert "1 done" in nights.run(day=1).stderr
    assert restored(nights, 1) == {"file0", "file1"}


def test_where_another_source_s_lies_in_its_place_the_day_before_does_not_pass_for_the_newest(nights: Site) -> None:
    assert nights.server is not None
    other = nights.root / "other"
    other.mkdir()
    nights.configure(f"<Cycle nightly>\nDiffs 6\nDirectory {nights.source}\nDirectory {other}\n</Cycle>")
    nights.run(day=1)
    key = sorted(key for key in nights.archive_keys() if key.startswith(nights.name()))[1]
    (others,) = [each for each in nights.archive_keys() if each.startswith(nights.name(other))]
    nights.server.client().copy_object(Bucket=nights.bucket, Key=key, CopySource=f"{nights.bucket}/{others}")
    told = f"{key} cannot be restored: an archive of Directory {other} of host test-host lies in its place"
    assert told in nights.run("verify", str(nights.source), day=1, expect=1).stdout
    restoring = nights.run("restore", str(nights.source), "--to", str(nights.root / "out"), day=1)
    assert told in restoring.stderr


def test_an_empty_one_is_not_said_to_be_restorable(nights: Site) -> None:
    key = sorted(nights.archive_keys())[1]
    cut(nights, key, CUTS["empty"])
    told = "it is empty, which no archive is"
    (line,) = [line for line in nights.run("list", day=1).stdout.splitlines() if key in line]
    assert line.endswith(f"no: {told}")
    restoring = nights.run("restore", str(nights.source), "--to", str(nights.root / "out"), day=1)
    assert f"{key} cannot be restored: {told}" in restoring.stderr
    assert f"{key} cannot be restored: {told}" in nights.run("verify", day=1, expect=1).stdout
