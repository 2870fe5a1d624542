"""What is said of a restore when something of it could not be read that night."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from s3napback.archives import NOTHING_UNREAD, Unread
from s3napback.catalogue.sums import SumNote, format_sum, sum_key, sum_metadata
from s3napback.recovery.unread import said_of, unread_in
from s3napback.stores.directory import DirectoryStore
from tests.catalogues import archive
from tests.commands.test_index_objects import night
from tests.site import WITHOUT_POWERS, Site
from tests.sources.trees import assert_same_tree
from tests.stores.sources import BytesSource
from tests.waiting import becomes

ARCHIVE = archive("etc", 0, 10)
UNREAD = Unread(2, (b"etc/a", b"etc/b\nc"))


def noted(store: DirectoryStore, unread: Unread, *, of: str, told: int | None = None) -> None:
    note = SumNote("ab" * 32, "etc-0-FULL", of, unread=unread)
    metadata = sum_metadata(SumNote("", "", of, unread=Unread(told))) if told is not None else sum_metadata(note)
    store.put(sum_key(ARCHIVE.key), BytesSource(format_sum(note)), metadata)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


def test_it_is_read_from_the_checksum_of_that_archive(store: DirectoryStore) -> None:
    assert ARCHIVE.record is not None
    assert unread_in(store, ARCHIVE) == NOTHING_UNREAD
    noted(store, UNREAD, of=ARCHIVE.record.id)
    assert unread_in(store, ARCHIVE) == UNREAD
    noted(store, UNREAD, of="another")
    assert unread_in(store, ARCHIVE) == NOTHING_UNREAD
    note = SumNote("ab" * 32, "etc-0-FULL", "another", unread=UNREAD)
    metadata = sum_metadata(SumNote("", "", ARCHIVE.record.id, unread=UNREAD))
    store.put(sum_key(ARCHIVE.key), BytesSource(format_sum(note)), metadata)
    assert unread_in(store, ARCHIVE) == Unread(2)
    noted(store, UNREAD, of=ARCHIVE.record.id, told=7)
    assert unread_in(store, ARCHIVE) == Unread(7, UNREAD.paths)


def test_what_is_wanted_is_named_and_what_is_not_known_by_name_is_counted() -> None:
    def about(unread: Unread, *names: bytes) -> list[str]:
        return [line.partition(" could not")[0] for line in said_of(unread, ARCHIVE, names)]

    assert about(UNREAD) == about(UNREAD, b"etc") == about(UNREAD, b".") == ["/etc/a", "/etc/b\\nc"]
    assert about(UNREAD, b"etc/a/below") == about(UNREAD, b"etc/a") == ["/etc/a"]
    assert about(UNREAD, b"etc/ab") == []
    more = Unread(9, UNREAD.paths)
    assert about(more)[-1] == "7 other paths"
    assert about(more, b"etc/x") == ["7 other paths, which may lie in what is restored"]
    many = Unread(8, tuple(b"etc/%d" % number for number in range(8)))
    assert about(many, b"etc")[5:] == ["3 other paths"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("bindfs"), reason="only root mounts it here")
@pytest.mark.parametrize("is_excluded", [False, True])
def test_a_folder_that_could_not_be_looked_at_comes_back_as_it_was_before(tmp_path: Path, *, is_excluded: bool) -> None:
    site = Site(tmp_path / "site")
    place = site.source / "place"
    (place / "deep").mkdir(parents=True)
    (site.source / "beside").touch()
    (place / "deep/file").write_text("content")
    site.configure_cycle(f"Diffs 3\nUnreadable warn\nExclude {place if is_excluded else 'nothing'}")
    night(site, 0)
    (tmp_path / "other").mkdir()
    with subprocess.Popen(["bindfs", "-f", "-o", "nonempty", str(tmp_path / "other"), str(place)]) as daemon:
        try:
            assert becomes(place.is_mount, 10)
            daemon.kill()
            daemon.wait(10)
            # The kernel answers for a moment by what it was told.
            assert becomes(lambda: not os.access(place, os.F_OK), 10)
            night(site, 1)
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
    assert (f"{place} could not be read when" in done.stderr) is not is_excluded
    listed = site.run("ls", str(site.source), day=None).stdout
    assert ("place" in listed) is not is_excluded
    if is_excluded:
        time = site.source.stat().st_mtime_ns
        shutil.rmtree(place)
        os.utime(site.source, ns=(time, time))
    assert_same_tree(Path(f"{tmp_path}/out{site.source}"), site.source)


def closed_folder(site: Site, mode: int) -> Path:
    """One of another user's in the source, with a file in it."""
    closed = site.source / "closed"
    closed.mkdir()
    (closed / "file").write_text("content")
    os.chown(closed, 12_345, -1)
    closed.chmod(mode)
    return closed


def night_without_powers(site: Site, day: int) -> subprocess.CompletedProcess[str]:
    """One in which root may read no more than others may."""
    command = [*WITHOUT_POWERS, *site.command(day=day)]
    return subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be without its powers")
def test_what_neither_tar_can_read_is_said_once(site: Site) -> None:
    """In a folder that can be listed and not entered: the second tar, which takes what the first left, fails too."""
    closed = closed_folder(site, 0o444)
    site.configure_cycle("Diffs 3\nUnreadable warn")
    for day in range(2):
        done = night_without_powers(site, day)
        assert done.stderr.count(f"{closed}/file could not be read and is not in this archive: Permission denied") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be without its powers")
def test_a_comparison_and_a_dump_tell_of_a_folder_that_could_not_be_read(site: Site) -> None:
    closed = closed_folder(site, 0)
    site.configure_cycle("Diffs 3\nUnreadable warn")
    night_without_powers(site, 0)
    told = site.run("verify", "--compare", str(site.source), day=None).stdout
    assert "0 differences" in told
    assert "; 1 path could not be read that night" in told
    assert "it could not be read that night" in site.run("dump", str(closed), day=None, expect=1).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be without its powers")
def test_what_was_gone_before_it_could_not_be_read_is_not_compared_with_what_it_was_long_ago(site: Site) -> None:
    file = site.source / "folder/file"
    file.parent.mkdir()
    file.write_text("content")
    (site.source / "beside").touch()
    site.configure_cycle("Diffs 6\nUnreadable warn")
    night_without_powers(site, 0)
    shutil.rmtree(file.parent)
    night_without_powers(site, 1)
    file.parent.mkdir()
    file.write_text("another content")
    os.chown(file, 12_345, -1)
    file.chmod(0)
    night_without_powers(site, 2)
    told = site.run("verify", "--compare", str(site.source), day=None).stdout
    assert "0 differences" in told
    assert "; 1 path could not be read that night" in told
    site.run("restore", str(site.source), "--to", str(site.root / "out"), day=None)
    assert not (site.root / f"out{file}").exists()


def test_what_vanished_before_it_was_read_and_comes_back_from_an_older_archive_is_told(site: Site) -> None:
    for name in ("moved", "folder/deleted", "stays"):
        (site.source / name).parent.mkdir(exist_ok=True)
        (site.source / name).write_text("old")
    site.configure_cycle("Diffs 6")
    site.run(day=0)
    (site.source / "moved").write_text("newer")
    for name in ("folder/deleted", "new and deleted"):
        (site.source / name).write_text("newer")
    (site.source / "large").write_bytes(os.urandom(1 << 20))
    once = site.root / "once"
    once.write_text(
        f"cd {site.source}; rm -f folder/deleted 'new and deleted'; mv moved elsewhere; rm {once}\n", encoding="ascii"
    )
    # When it has looked at all names, and has written the first of its output.
    action = f'--checkpoint=1 --checkpoint-action="exec=test ! -e {once} || sh {once}"'
    site.fake_program("tar", f'case "$*" in *--create*source*) exec REAL {action} "$@" ;; esac\nexec REAL "$@"')
    assert "new and deleted: File removed before we read it" in site.run(day=1).stderr
    site.environment.pop("PATH")
    done = site.run("restore", str(site.source), "--to", str(site.root / "out"), day=None)
    told = [line for line in done.stderr.splitlines() if "could not be read when" in line]
    assert [line.partition(" could not")[0].rpartition("/source/")[2] for line in told] == ["folder/deleted", "moved"]
    assert (site.root / f"out{site.source}/moved").read_text() == "old"
    site.run(day=2)
    done = site.run("restore", str(site.source), "--to", str(site.root / "next"), day=None)
    assert "could not be read" not in done.stderr
    assert_same_tree(site.source, Path(f"{site.root}/next{site.source}"))
