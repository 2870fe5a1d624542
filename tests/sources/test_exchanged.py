"""What is unmounted below a source, or exchanged there, while tar reads it, is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.mounts import Mount, current_mounts
from s3napback.sources.exchanged import exchanged
from tests.hostile.mounts import served
from tests.site import Site
from tests.sources.trees import assert_same_tree

by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One with a disk mounted in its source, which is gone at the end."""
    site = Site(tmp_path / "site")
    disk = site.source / "disk"
    disk.mkdir()
    (site.source / "letter").write_text("dear")
    _mount(disk)
    (disk / "photo").write_text("picture")
    site.configure_cycle("Diffs 6")
    yield site
    subprocess.run(["umount", "--lazy", str(disk)], check=False, capture_output=True)


def _mount(place: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)


def meanwhile(site: Site, command: str) -> None:
    """Have a command run when tar is started to make an archive, before it has looked at anything."""
    site.fake_program("tar", f'case "$*" in *--create*source*) {command} ;; esac\nexec REAL "$@"')


@by_root
@pytest.mark.parametrize("earlier", [0, 1])
def test_what_is_unmounted_while_tar_is_at_work_is_a_warning(site: Site, earlier: int) -> None:
    for day in range(earlier):
        site.run(day=day)
    disk = site.source / "disk"
    meanwhile(site, f"umount {disk}")
    log = site.run("--strict", day=earlier, expect=3).stderr
    assert f"{disk} was a mounted file system (tmpfs) when this backup began, and is none now" in log
    site.environment.pop("PATH")
    _mount(disk)
    (disk / "photo").write_text("picture")
    assert "when this backup began" not in site.run(day=earlier + 1).stderr
    site.run("restore", str(site.source), "--to", str(site.root / "out"), day=None)
    assert_same_tree(site.source, site.root / "out" / site.name())


@by_root
def test_what_is_mounted_while_tar_is_at_work_is_missed_by_the_next_run(site: Site) -> None:
    disk = site.source / "disk"
    subprocess.run(["umount", str(disk)], check=True)
    meanwhile(site, f"mount -t tmpfs none {disk}; touch {disk}/photo")
    site.run(day=0)
    subprocess.run(["umount", str(disk)], check=True)
    site.environment.pop("PATH")
    log = site.run("--strict", day=1, expect=3).stderr
    assert f"{disk} was a mounted file system (tmpfs) when it was backed up last, and is none now" in log


@by_root
def test_what_is_exchanged_while_tar_is_at_work_is_a_warning(site: Site) -> None:
    disk = site.source / "disk"
    # The former one stays, as its device would be the new one's otherwise.
    other = site.root / "other"
    other.mkdir()
    meanwhile(site, f"mount --bind {disk} {other}; umount {disk}; mount -t tmpfs none {disk}")
    try:
        log = site.run().stderr
    finally:
        subprocess.run(["umount", str(other)], check=True)
    assert f"{disk} was a mounted file system (tmpfs) when this backup began, and is another now" in log


@by_root
@pytest.mark.parametrize("diffs", [0, 6])
def test_what_is_away_while_tar_looks_and_back_at_the_end_is_a_warning(site: Site, diffs: int) -> None:
    site.configure_cycle(f"Diffs {diffs}")
    disk, other = site.source / "disk", site.root / "other"
    other.mkdir()
    # It is kept elsewhere meanwhile, so that it comes back with all that it holds.
    subprocess.run(["mount", "--bind", str(disk), str(other)], check=True)
    script = f'umount {disk}; REAL "$@"; status=$?; sleep 0.3; mount --bind {other} {disk}; exit $status'
    site.fake_program("tar", f'case "$*" in *--create*source*) {script} ;; esac\nexec REAL "$@"')
    try:
        log = site.run("--strict", expect=3).stderr
        site.environment.pop("PATH")
        assert f"{disk}, a mounted file system (tmpfs), was away for a while during this backup" in log
        assert "WARNING" not in site.run("--strict", day=1).stderr
        site.run("restore", str(site.source), "--to", str(site.root / "out"), day=None)
        assert_same_tree(site.source, site.root / "out" / site.name())
    finally:
        subprocess.run(["umount", str(other)], check=True)


@by_root
@pytest.mark.parametrize("setting", ["OneFileSystem On", "OneFileSystem Off"])
def test_a_source_whose_own_disk_is_away_while_tar_looks_and_back_at_the_end_fails(site: Site, setting: str) -> None:
    disk, other = site.source / "disk", site.root / "other"
    other.mkdir()
    site.configure(f"<Cycle nightly>\nDiffs 6\n{setting}\nDirectory {disk}\n</Cycle>")
    site.run(day=0)
    subprocess.run(["mount", "--bind", str(disk), str(other)], check=True)
    script = f'umount {disk}; REAL "$@"; status=$?; sleep 0.3; mount --bind {other} {disk}; exit $status'
    site.fake_program("tar", f'case "$*" in *--create*disk*) {script} ;; esac\nexec REAL "$@"')
    try:
        log = site.run(day=1, expect=1).stderr
        assert f"the file system on which {disk} lies was unmounted for a while, or exchanged, while tar read it" in log
        assert len(site.archive_keys()) == 1
        site.environment.pop("PATH")
        assert "WARNING" not in site.run("--strict", day=1).stderr
    finally:
        subprocess.run(["umount", str(other)], check=True)


@by_root
@pytest.mark.parametrize("setting", ["Exclude {}/disk", "Exclude disk", "OneFileSystem On"])
def test_what_is_not_backed_up_anyway_may_be_unmounted(site: Site, setting: str) -> None:
    site.configure_cycle(f"Diffs 6\n{setting.format(site.source)}")
    meanwhile(site, f"umount {site.source}/disk")
    assert "WARNING" not in site.run().stderr


def test_a_watch_ends_with_what_it_watches(site: Site) -> None:
    """And with a run that fails in the midst of it."""
    site.fake_program("tar", 'case "$*" in *--create*source*) exit 2 ;; esac\nexec REAL "$@"')
    assert "tar failed" in site.run(expect=1).stderr


@by_root
@pytest.mark.skipif(not shutil.which("bindfs"), reason="it stands for a file system whose program can die")
def test_one_whose_program_dies_meanwhile_is_a_warning(site: Site, tmp_path: Path) -> None:
    below, place = tmp_path / "below", site.source / "served"
    below.mkdir()
    (below / "file").write_text("content")
    place.mkdir()
    with served(below, place) as server:
        kind = next(mount.type for mount in current_mounts() if mount.point == str(place))
        meanwhile(site, f"kill {server.pid}; while mountpoint -q {place}; do sleep 0.1; done")
        log = site.run().stderr
        subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)
    assert f"{place} was a mounted file system ({kind}) when this backup began, and is none now" in log


def test_what_is_mounted_and_unmounted_by_itself_does_not_count() -> None:
    mounts = [Mount("/", "ext4"), Mount("/srv/net", "autofs"), Mount("/srv/net", "nfs4"), Mount("/srv/disk", "xfs")]
    gone = exchanged("/srv", mounts, mounts[:2])
    assert [(mount.point, other) for mount, other in gone] == [("/srv/disk", None)]
    assert exchanged("/srv", mounts, []) == []
