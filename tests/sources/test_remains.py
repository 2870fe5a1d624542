"""A source whose disk is not mounted, or another one, is not taken for one of which all was deleted."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from s3napback.mounts import Mount
from s3napback.sources import remains
from s3napback.sources.remains import DirectoryHoldings, absent_mounts, holdings_of, suspicion
from tests.hostile.mounts import mounted_by_a_user
from tests.site import Site
from tests.sources.automounter import automounted
from tests.sources.trees import assert_same_tree

MakeMount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[MakeMount]:
    """Mounts a file system, or an image, on a folder, which is made."""
    with ExitStack() as stack:

        def make(place: Path, *arguments: str) -> None:
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", *(arguments or ("-t", "tmpfs", "none")), str(place)], check=True)
            stack.callback(subprocess.run, ["umount", str(place)], check=False, capture_output=True)

        yield make


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site")
    made.configure_cycle("Diffs 6")
    return made


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def unmount(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True)


def test_a_fresh_file_system_is_not_taken_for_a_deletion(site: Site, mount: MakeMount) -> None:
    # Two: a mount namespace that another process makes meanwhile keeps the first one's device, and what it has read.
    images = [site.root / "image", site.root / "fresh"]
    for image in images:
        image.touch()
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image), "8M"], check=True)
    mount(site.source, "-o", "loop", str(images[0]))
    fill(site.source, "photos/1", "letters/1")
    site.run(day=0)
    unmount(site.source)
    mount(site.source, "-o", "loop", str(images[1]))
    (site.source / "photos").mkdir()
    log = site.run(day=1, expect=1).stderr
    assert "holds no files, but held some when it was backed up last (letters, photos). Is a disk not mounted" in log
    assert len(site.archive_keys()) == 1
    site.run("-f", day=1)
    assert len(site.archive_keys()) == 2
    unmount(site.source)


def test_an_absent_mount_point_with_a_stray_file_is_not_taken_for_a_deletion(site: Site, mount: MakeMount) -> None:
    mount(site.source)
    fill(site.source, "photos/1", "letters/1")
    site.run(day=0)
    unmount(site.source)
    fill(site.source, "stray")
    log = site.run(day=1, expect=1).stderr
    assert "holds nothing of what it held when it was backed up last (letters, photos)" in log
    assert "would fail" in site.run("-t", day=1, expect=None).stdout


def test_a_mount_within_a_source_that_is_absent_tonight_is_a_warning_once(site: Site, mount: MakeMount) -> None:
    fill(site.source, "doc")
    mount(site.source / "disk")
    fill(site.source / "disk", "photo")
    assert "WARNING" not in site.run(day=0).stderr
    assert "WARNING" not in site.run(day=1).stderr
    unmount(site.source / "disk")
    fill(site.source / "disk", "stray")
    assert "was a mounted file system (tmpfs)" in site.run("-t", day=2, expect=None).stdout
    log = site.run("--strict", day=2, expect=3).stderr
    assert f"WARNING directory: {site.source}/disk was a mounted file system (tmpfs) when it was backed up last" in log
    assert "WARNING" not in site.run(day=3).stderr


def test_what_an_automounter_has_unmounted_meanwhile_is_not_missed(site: Site, mount: MakeMount) -> None:
    place, other = site.source / "place", site.root / "other"
    fill(place.parent, "doc")
    place.mkdir()
    mount(other)
    fill(other, "photo")
    with automounted(place, other):
        site.run(day=0)
        assert (place / "photo").exists()
        unmount(place)
        (other / "new").write_text("x")
        assert "WARNING" not in site.run("--strict", day=1).stderr
        unmount(place)
        restored = site.recover(site.archive_keys(), site.root / "out")
        assert sorted(path.name for path in (restored / "place").iterdir()) == ["new", "photo"]
    log = site.run("--strict", day=2, expect=3).stderr
    assert f"{place} was a mounted file system (autofs) when it was backed up last, and is none now" in log


def test_of_what_an_automounter_does_not_list_nothing_is_in_the_archive(tmp_path: Path) -> None:
    """It lists those of its folders that are mounted, and if it browses the others."""
    (tmp_path / "net/listed").mkdir(parents=True)
    (tmp_path / "direct").mkdir()
    kinds = {"net": "indirect", "direct": "direct"}
    mounts = [Mount("/", "ext4")] + [
        Mount(str(tmp_path / name), "autofs", frozenset({kind})) for name, kind in kinds.items()
    ]
    nfs = dict.fromkeys(("net/listed", "net/other", "direct", "beside"), "nfs")
    before = DirectoryHoldings(mounts={**dict.fromkeys(kinds, "autofs"), **nfs})
    with patch.object(remains, "current_mounts", lambda: mounts):
        now = holdings_of(str(tmp_path), one_file_system=False)
    told = [line.partition(" was")[0] for line in absent_mounts("/srv", before, now)]
    assert told == ["/srv/beside", "/srv/net/other"]
    assert absent_mounts("/srv", now, now) == []
    (tmp_path / "net/listed").rmdir()
    with patch.object(remains, "current_mounts", lambda: mounts):
        later = holdings_of(str(tmp_path), one_file_system=False)
    assert [line.partition(" was")[0] for line in absent_mounts("/srv", now, later)] == ["/srv/net/listed"]


def test_a_mount_that_is_excluded_may_be_absent(site: Site, mount: MakeMount) -> None:
    site.configure_cycle(f"Diffs 6\nExclude {site.source}/disk")
    fill(site.source, "doc")
    mount(site.source / "disk")
    site.run(day=0)
    unmount(site.source / "disk")
    assert "WARNING" not in site.run("--strict", day=1).stderr


def test_files_that_were_moved_to_a_new_disk_in_the_source_are_not_taken_for_deleted(
    site: Site, mount: MakeMount
) -> None:
    place = site.source / "place"
    fill(place, "file")
    site.run(day=0)
    (place / "file").unlink()
    mount(place)
    fill(place, "file")
    assert "WARNING" not in site.run(day=1).stderr
    assert [key[-4:] for key in site.archive_keys()] == ["FULL", "DIFF"]
    assert_same_tree(site.source, site.recover(site.archive_keys(), site.root / "out"))


def test_what_a_user_mounts_the_kernel_makes_or_does_not_belong_to_the_source_is_not_missed(
    tmp_path: Path, mount: MakeMount
) -> None:
    for name in ("user", "proc", "disk"):
        (tmp_path / name).mkdir()
    mount(tmp_path / "proc", "-t", "proc", "proc")
    mount(tmp_path / "disk")
    fill(tmp_path / "disk", "file")
    with mounted_by_a_user(tmp_path / "user"):
        found = holdings_of(str(tmp_path), one_file_system=False)
        assert holdings_of(str(tmp_path), one_file_system=True).mounts == {}
    assert found.mounts == {"disk": "tmpfs"}
    # What is mounted is not entered.
    assert (found.files, found.are_all, list(found.names)) == (0, True, ["disk", "proc", "user"])


def test_a_source_that_was_no_mount_point_and_lost_its_files_is_suspicious_and_one_that_never_had_any_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "lost+found").mkdir()
    fill(tmp_path / "lost+found", "#1")
    empty = holdings_of(str(tmp_path), one_file_system=False)
    assert (empty.files, empty.are_all, empty.names) == (0, True, [])
    fill(tmp_path, "a/b/c")
    full = holdings_of(str(tmp_path), one_file_system=False)
    assert full.files == 1
    assert "holds no files" in suspicion(full, empty)
    assert suspicion(empty, empty) == suspicion(empty, full) == suspicion(full, full) == ""


HERE, THERE = (2, 7), (3, 7)


@pytest.mark.parametrize(
    ("before", "now", "is_suspicious"),
    [
        (
            DirectoryHoldings(["2026-01-01.sql"], 1, place=HERE),
            DirectoryHoldings(["2026-01-02.sql"], 1, place=HERE),
            False,
        ),
        (DirectoryHoldings(["a"], 4, place=HERE), DirectoryHoldings(["b"], 2, place=HERE), False),
        (DirectoryHoldings(["a"], 4, place=HERE), DirectoryHoldings(["b"], 2, place=THERE), True),
        (DirectoryHoldings(["a"], 4, place=HERE), DirectoryHoldings(["b"], 3, place=THERE), False),
        (DirectoryHoldings(["a"], 4, place=HERE), DirectoryHoldings(["a", "b"], 2, place=THERE), False),
        (
            DirectoryHoldings(["a"], 4, place=HERE, mounts={".": "xfs"}),
            DirectoryHoldings(["b"], 2, place=HERE, mounts={}),
            True,
        ),
        (DirectoryHoldings(["a"], 1000, False, HERE), DirectoryHoldings(["README_TO_DECRYPT"], 1, place=HERE), True),
        (DirectoryHoldings(["a"], 1000, False, HERE), DirectoryHoldings(["b"], 0, False, HERE), False),
        (DirectoryHoldings(["a"], 4, place=HERE), DirectoryHoldings(["a"], 0, place=THERE, mounts={".": "xfs"}), True),
    ],
)
def test_what_is_suspicious(before: DirectoryHoldings, now: DirectoryHoldings, is_suspicious: bool) -> None:
    assert bool(suspicion(before, now)) == is_suspicious


def test_it_is_remembered_as_text_and_what_another_version_wrote_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "a\udcff", "b")
    found = holdings_of(str(tmp_path), one_file_system=False)
    again = DirectoryHoldings.from_notes(found.to_notes())
    assert again is not None
    assert (again.names, again.files, again.mounts) == (found.names, found.files, found.mounts)
    assert suspicion(again, found) == ""
    assert DirectoryHoldings.from_notes({}) is None
    assert DirectoryHoldings.from_notes({"held": "[]"}) is None
    assert DirectoryHoldings.from_notes({"held": '{"else": 1}'}) is None


def test_looking_ends_after_a_thousand_files(tmp_path: Path) -> None:
    for number in range(1100):
        (tmp_path / f"{number:04}").touch()
    found = holdings_of(str(tmp_path), one_file_system=False)
    assert (found.files, found.are_all, len(found.names)) == (1000, False, 50)


def test_of_many_absent_mounts_some_are_named_and_the_others_counted() -> None:
    before = DirectoryHoldings(mounts={f"disk{number}": "ext4" for number in range(8)} | {".": "xfs"})
    lines = absent_mounts("/srv", before, DirectoryHoldings(mounts={}))
    assert lines[0].startswith("/srv was a mounted file system (xfs)")
    assert lines[-1] == "4 other file systems below /srv are not mounted either"


def test_where_the_kernel_tells_no_mounts_nothing_is_said_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "current_mounts", list)
    untold = holdings_of(str(tmp_path), one_file_system=False)
    assert absent_mounts("/srv", untold, DirectoryHoldings(mounts={})) == []
    assert absent_mounts("/srv", DirectoryHoldings(mounts={".": "xfs"}), untold) == []
