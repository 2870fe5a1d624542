"""A PATH takes what it needs of its archives, told by the line at the end; nothing is made smaller here for a test."""

from __future__ import annotations

import filecmp
import logging
import random
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from s3napback.recovery import picking
from tests.gpg_keys import Key
from tests.recovery.test_picking import WAYS, WHOLE, back_up, restored
from tests.site import Site

CHANCE = random.Random(4)
LARGE, SMALL = CHANCE.randbytes(20_000_000), [CHANCE.randbytes(100_000) for _ in range(15)]
ALL = len(LARGE) + sum(map(len, SMALL)) + 100_000
PART = 5_000_000
"""Bytes: a segment, a head and an index."""
_FACTORS = {"B": 1, "kB": 1000, "MB": 1_000_000}


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def fetched(caplog: pytest.LogCaptureFixture) -> float:
    """Bytes, as the last restore tells."""
    return bytes_in(caplog.text)


def bytes_in(text: str) -> float:
    number, unit = re.findall(r"([0-9.]+) (\w+) fetched", text)[-1]
    return float(number) * _FACTORS[unit]


def three_nights(root: Path, settings: str = "Compression none", general: str = "") -> Site:
    """Each archive holds a large file and some small ones, since all of them are written before each."""
    site = Site(root)
    for folder in "as":
        (site.source / folder).mkdir()
    site.configure_cycle(f"Diffs 6\nFulls 2\n{settings}", general=general)
    for night in range(3):
        for number, content in enumerate(SMALL):
            (site.source / "s" / f"{number}").write_bytes(content)
        (site.source / "a" / "large").write_bytes(bytes([night]) + LARGE)
        back_up(site, night)
    return site


def test_of_what_changes_each_night_the_newest_archive_alone_is_read(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    site = three_nights(tmp_path)
    said.clear()
    assert restored(site, tmp_path / "out", "a/large").read_bytes() == b"\2" + LARGE
    assert said.text.count(WHOLE) == said.text.count("nearly all of it is needed") == 1
    # The newest whole, and of the others what tells how they are written.
    assert fetched(said) < ALL + 2 * PART
    said.clear()
    folder = restored(site, tmp_path / "then", "a", at="2026-01-02")
    assert (folder / "large").read_bytes() == b"\1" + LARGE
    assert said.text.count(WHOLE) == 1


@pytest.mark.parametrize("settings", WAYS)
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_one_small_file_takes_a_part_of_each_archive(
    tmp_path: Path, key: Key, said: pytest.LogCaptureFixture, settings: str, is_encrypted: bool
) -> None:
    site = three_nights(tmp_path, settings, key.directives if is_encrypted else "")
    said.clear()
    assert restored(site, tmp_path / "out", "s/14").read_bytes() == SMALL[14]
    assert WHOLE not in said.text
    # Folders lie in the first part of each, and what is wanted in one or two of the newest.
    assert 0 < fetched(said) < 5 * PART


@pytest.mark.parametrize(("worth", "is_whole"), [(picking._WORTH_A_MEMBER, False), (10_000_000, True)])
def test_a_folder_of_many_files_is_fetched_in_parts_if_the_archive_is_large_in_proportion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture, worth: int, is_whole: bool
) -> None:
    monkeypatch.setattr(picking, "MOST_MEMBERS", 5)
    monkeypatch.setattr(picking, "_WORTH_A_MEMBER", worth)
    site = three_nights(tmp_path)
    said.clear()
    folder = restored(site, tmp_path / "out", "s")
    assert [(folder / f"{number}").read_bytes() for number in range(len(SMALL))] == SMALL
    assert ("more than 5 members of it are needed" in said.text) == is_whole
    assert (fetched(said) > 3 * len(LARGE)) == is_whole


def test_what_must_be_signed_is_fetched_once(tmp_path: Path, key: Key, said: pytest.LogCaptureFixture) -> None:
    site = three_nights(tmp_path, general=f"{key.directives}\nGpgSignKey {key.fingerprint}")
    said.clear()
    assert restored(site, tmp_path / "out", "a/large", signed=True).read_bytes() == b"\2" + LARGE
    assert WHOLE not in said.text
    assert len(LARGE) < fetched(said) < ALL + 3 * PART


def test_a_rehearsal_tells_how_much_is_fetched(tmp_path: Path, key: Key) -> None:
    site = three_nights(tmp_path, general=f"{key.directives}\nGpgSignKey {key.fingerprint}")
    where = ["restore", str(site.source), "--to", str(tmp_path / "out")]
    signed, paths = ["--require-signature"], [str(site.source / "s/14")]

    def told(*options: str) -> tuple[int, str]:
        line = site.run(*where, *options, "-t", day=None).stdout.splitlines()[-1]
        return int(re.findall(r"\((\d+) bytes\)", line)[0]), line.split(" bytes) ")[1]

    size, words = told()
    assert words == "would be fetched, in this order"
    assert told(*signed) == (2 * size, f"{words}, each archive twice, first for its signature")
    _, words = told(*paths)
    assert words == "would be fetched; but wherever an index counts, only the parts in which the PATHs lie"
    assert bytes_in(site.run(*where, *signed, day=None).stderr) == pytest.approx(2 * size, rel=0.01)


def test_a_folder_that_is_dumped_is_fetched_once(tmp_path: Path) -> None:
    site = three_nights(tmp_path)
    content = tmp_path / "dumped"
    with content.open("wb") as output:
        command = site.command("dump", str(site.source), "a", day=3)
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=True)
    with tarfile.open(content) as archive:
        large = archive.extractfile(f"{site.name()}/a/large")
        assert large is not None
        assert large.read() == b"\2" + LARGE
    assert done.stderr.count(WHOLE) == 1
    assert bytes_in(done.stderr) < ALL + 5 * PART


@pytest.mark.parametrize("folders", ["abcde", "ae"])
@pytest.mark.parametrize("command", ["restore", "dump"])
def test_what_another_name_leads_to_is_fetched_once(tmp_path: Path, command: str, folders: str) -> None:
    site = Site(tmp_path)
    for number, name in enumerate(folders):
        (site.source / name).mkdir()
        (site.source / name / "file").write_bytes(bytes([number]) + LARGE)
    (site.source / "e" / "name").hardlink_to(site.source / "a" / "file")
    (site.source / "a" / "name").hardlink_to(site.source / "e" / "file")
    site.configure_cycle("Compression none")
    back_up(site, 0)
    with tarfile.open(site.vault / site.archive_keys()[0]) as archive:
        link = next(Path("/") / member.name for member in archive if member.islnk())
    if command == "restore":
        said = site.run("restore", str(site.source), str(link.parent), "--to", str(tmp_path / "out"), day=1).stderr
        for path in link.parent.iterdir():
            assert filecmp.cmp(tmp_path / "out" / path.relative_to("/"), path, shallow=False)
    else:
        with (tmp_path / "dumped").open("wb") as output:
            run = site.command("dump", str(site.source), str(link), day=1)
            said = subprocess.run(run, stdout=output, stderr=subprocess.PIPE, text=True, check=True).stderr
        assert filecmp.cmp(tmp_path / "dumped", link, shallow=False)
    assert WHOLE not in said
    count = 2 if command == "restore" else 1
    # The segment in which folders lie is read again, and each file ends in one that another begins in.
    assert count * len(LARGE) < bytes_in(said) < count * len(LARGE) + 4 * PART
