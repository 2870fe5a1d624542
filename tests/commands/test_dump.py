"""``dump`` writes one file as it was on a day, or says why it cannot."""

from __future__ import annotations

import io
import logging
import os
import shutil
import socket
import subprocess
import tarfile
from datetime import date
from pathlib import Path

import pytest

from s3napback.commands.restore import RestoreRequest, restore
from s3napback.config.loading import load_configuration
from s3napback.recovery import picking
from s3napback.recovery.opening import indexed
from s3napback.recovery.single_file import TO_STANDARD_OUTPUT
from tests.commands.test_index_objects import night
from tests.recovery.helpers import file_member, folder_member, put_archive, tar_of
from tests.site import Site

LONG = "content of some length " * 5000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A chain of three nights: what a file was on each, and of what kind."""
    site = Site(tmp_path_factory.mktemp("dump") / "site")
    folder = site.source / "deep"
    folder.mkdir()
    (folder / "changing").write_text("0")
    (folder / "staying").write_text(LONG)
    (folder / "going").write_text("going")
    (folder / "left out").write_text("secret")
    (folder / "linked").hardlink_to(folder / "staying")
    (folder / "link").symlink_to("staying")
    with (folder / "sparse").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
    os.mkfifo(folder / "pipe")
    site.configure_cycle('Diffs 6\nFulls 2\nExclude "left out"')
    for number in range(3):
        (folder / "changing").write_text(f"{number}")
        night(site, number)
        (folder / "going").unlink(missing_ok=True)
    return site


def dumped(site: Site, *words: str, expect: int = 0) -> tuple[bytes, str]:
    done = site.run("dump", str(site.source), *words, day=None, expect=expect)
    return done.stdout.encode(errors="surrogateescape"), done.stderr


FILES = [
    (("deep/changing",), b"2"),
    (("deep/changing", "--at", "2026-01-02"), b"1"),
    (("deep/changing", "--at", "2026-01-01"), b"0"),
    (("deep/staying",), LONG.encode()),
    (("deep/linked",), LONG.encode()),
    (("deep/sparse",), bytes(3_000_000) + b"end"),
    (("deep/going", "--at", "2026-01-01"), b"going"),
]


@pytest.mark.parametrize(("words", "content"), FILES, ids=[" ".join(words) for words, _ in FILES])
def test_a_file_comes_as_it_was(filled: Site, words: tuple[str, ...], content: bytes) -> None:
    assert dumped(filled, *words)[0] == content


@pytest.mark.parametrize(("words", "content"), FILES, ids=[" ".join(words) for words, _ in FILES])
def test_a_file_comes_in_parts_as_it_was(
    filled: Site,
    words: tuple[str, ...],
    content: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(indexed, "LEAST_SIZE", 1)
    monkeypatch.setattr(picking, "_WORTH_WHILE", 1000)
    caplog.set_level(logging.INFO)
    path, *rest = words
    request = RestoreRequest(str(filled.source), TO_STANDARD_OUTPUT, (path,), rest[-1] if rest else "")
    restore(load_configuration(filled.configuration), request, date(2027, 1, 1), print, lambda _: None)
    assert capfdbinary.readouterr().out == content
    assert "read whole" not in caplog.text


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("deep/link", "no file that has content"),
        ("deep/pipe", "no file that has content"),
        ("deep/going", "was not there on that day"),
        ("nowhere/at all", "was not there on that day"),
        ("deep/left out", "Exclude left it out"),
        ("/elsewhere", "does not lie in"),
    ],
)
def test_what_is_no_file_of_that_day_is_an_error_that_says_so(filled: Site, path: str, word: str) -> None:
    out, said = dumped(filled, path, expect=1)
    assert out == b""
    assert word in said


@pytest.mark.parametrize("day", ["2026-01-01", "2026-01-02"])
def test_a_socket_is_told_as_what_it_may_be(tmp_path: Path, day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """tar lists it as a file, and archives it never."""
    site = Site(tmp_path / "site")
    monkeypatch.chdir(site.source)  # its path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("listening")
    site.configure_cycle("Diffs 6")
    for number in range(2):
        night(site, number)
    assert "it is a socket" in dumped(site, "listening", "--at", day, expect=1)[1]
    words = ("restore", str(site.source), "listening", "--to", str(tmp_path / "out"), "--at", day)
    assert "or it is a socket" in site.run(*words, day=None, expect=1).stderr
    assert "listening" not in site.run("ls", str(site.source), "--at", day, day=None).stdout


def test_below_a_link_nothing_lies_and_that_is_said(site: Site, tmp_path: Path) -> None:
    (site.source / "folder").mkdir()
    (site.source / "folder/file").write_text("content")
    (site.source / "link").symlink_to("folder")
    site.configure_cycle("Diffs 6")
    night(site, 0)
    words = ("restore", str(site.source), "link/file", "--to", str(tmp_path / "out"))
    said = site.run(*words, day=None, expect=1).stderr
    assert f"{site.source}/link was there on that day, but is a link or a file, below which nothing lies" in said


def test_of_a_directory_nothing_else_goes_to_standard_output(filled: Site) -> None:
    for command in (["dump"], ["restore", "--to", "-"]):
        done = filled.run(*command, str(filled.source), day=None, expect=2)
        assert "name it as PATH (. is all of the directory), or restore --to a folder" in done.stderr
    done = filled.run("restore", str(filled.source), "deep/changing", "--to", "-", day=None)
    assert done.stdout == "2"
    assert filled.run("dump", f"{filled.source}/deep/changing", day=None).stdout == "2"
    assert "name it as PATH" in filled.run("dump", str(filled.source), day=None, expect=2).stderr
    assert (
        "a variable of the shell may not be set"
        in filled.run("dump", str(filled.source), "", day=None, expect=2).stderr
    )
    words = ("restore", str(filled.source), "deep/changing", "--to", "-", "--in-place", "--yes")
    assert "--in-place and --staging are for a directory" in filled.run(*words, day=None, expect=2).stderr


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a/f", "was not read that night, or a folder above it was not; an older day"),
        ("a/b/f", "was not read that night, or a folder above it was not; an older day"),
        ("a", "was not read that night, or a folder above it was not; an older day"),
        ("gone", "was not there on that day"),
        ("c/f", "was not there on that day"),
        ("c/b/f", "was not there on that day"),
        ("d/f", "was not there on that day, or a folder above it could not be read or is left out by Exclude; an"),
        ("d/b/f", "was not there on that day, or a folder above it could not be read or is left out by Exclude; an"),
    ],
)
def test_of_what_lies_in_a_folder_that_was_not_read_it_is_not_said_that_it_was_not_there(
    tmp_path: Path, path: str, said: str
) -> None:
    site = Site(tmp_path)
    site.configure("")
    empty = (folder_member("etc/c", []), b"")
    full = tar_of(
        (folder_member("etc", ["Da", "Dc", "Dd"]), b""),
        (folder_member("etc/a", ["Yf"]), b""),
        empty,
        (folder_member("etc/d", ["Yf"]), b""),
        (file_member("etc/a/f"), b"x"),
    )
    parent = put_archive(site, 0, full)
    put_archive(site, 1, tar_of((folder_member("etc", ["Da", "Dc", "Nd"]), b""), empty), parent="test-host-0")
    assert site.run("dump", "/etc", "a/f", "--at", parent, day=None).stdout == "x"
    assert f"/etc/{path} {said}" in site.run("dump", "/etc", path, day=None, expect=1).stderr


def test_of_a_folder_below_one_that_was_not_read_all_comes_that_a_restore_brings(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.configure("")
    full = tar_of(
        (folder_member("etc", ["Dd"]), b""),
        (folder_member("etc/d", ["Db", "Yf"]), b""),
        (folder_member("etc/d/b", ["Yg"]), b""),
        (file_member("etc/d/f"), b"x"),
        (file_member("etc/d/b/g"), b"y"),
    )
    put_archive(site, 0, full)
    shut = (folder_member("etc", ["Nd"]), b"")
    put_archive(site, 1, tar_of(shut), parent="test-host-0")
    put_archive(site, 2, tar_of(shut), parent="test-host-1")
    site.run("restore", "/etc", "d/b", "--to", str(tmp_path / "out"), day=None)
    assert (tmp_path / "out/etc/d/b/g").read_text() == "y"
    with tarfile.open(fileobj=io.BytesIO(site.run("dump", "/etc", "d/b", day=None).stdout.encode())) as tar:
        assert tar.getnames() == ["etc/d/b", "etc/d/b/g"]
    assert "or a folder above it could not be read" in site.run("dump", "/etc", "d/b/g", day=None, expect=1).stderr


def test_a_folder_of_a_linked_source_keeps_its_time_where_a_file_in_it_had_another_name(site: Site) -> None:
    """Such a source is ``…/.`` in archives, and tar sees by the letters of names when it leaves a folder."""
    site.source.rename(site.root / "real")
    site.source.symlink_to("real")
    (site.source / "d/inner").mkdir(parents=True)
    (site.source / "a").write_text("linked")
    (site.source / "d/x").hardlink_to(site.source / "a")
    (site.source / "d/y").hardlink_to(site.source / "a")
    (site.source / "d/inner/z").hardlink_to(site.source / "a")
    for folder in ("d/inner", "d"):
        os.utime(site.source / folder, (10**9, 10**9))
    site.configure_cycle("Diffs 6")
    night(site, 0)
    where = site.root / "out"
    where.mkdir()
    subprocess.run(["tar", "-xp", "-C", str(where)], input=dumped(site, "d")[0], check=True)
    found = where / site.name() / "d"
    assert [path.stat().st_mtime for path in (found, found / "inner")] == [10**9, 10**9]
    assert {(found / name).read_text() for name in ("x", "y", "inner/z")} == {"linked"}


def test_a_folder_comes_without_what_lies_beside_it(site: Site) -> None:
    """Neither when folders there have become other names of a file."""
    site.configure_cycle("Diffs 2")
    for name in ("a", "folder", "z"):
        (site.source / name).mkdir()
        (site.source / name / "inner").write_text(name)
    site.run()
    for name in ("a", "z"):
        shutil.rmtree(site.source / name)
    (site.source / "file").write_text("file")
    for name in ("a", "folder/other name", "z"):
        (site.source / name).hardlink_to(site.source / "file")
    site.run(day=1)
    dump, _ = dumped(site, "folder")
    with tarfile.open(fileobj=io.BytesIO(dump)) as tar:
        assert {member.name.removeprefix(f"{site.name()}/") for member in tar} == {
            "folder",
            "folder/inner",
            "folder/other name",
        }
