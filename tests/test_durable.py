"""What is told to be on disk was flushed, in the right order; power cuts cannot be had here, so system calls count."""

from __future__ import annotations

import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from s3napback.durable import create_private, put_in_place, sync_file, sync_folder, write_private


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was flushed and renamed, in order."""
    found: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        found.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def recording_replace(path: Path, target: Path) -> Path:
        found.append(f"rename {path.name} {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_replace)
    return found


def test_a_new_file_is_its_owners_alone_and_flushed(tmp_path: Path, steps: list[str]) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "new", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert steps == ["fsync new"]


def test_neither_a_file_nor_a_link_is_written_to(tmp_path: Path) -> None:
    victim, link, dangling = tmp_path / "victim", tmp_path / "link", tmp_path / "dangling"
    victim.write_text("content")
    link.symlink_to(victim)
    dangling.symlink_to(tmp_path / "nothing")
    for path in (victim, link, dangling):
        with pytest.raises(FileExistsError):
            write_private(path, b"lost")
        with pytest.raises(FileExistsError):
            create_private(path)
    assert victim.read_text() == "content"
    assert sorted(tmp_path.iterdir()) == [dangling, link, victim]


def test_a_system_that_takes_bytes_in_pieces_gets_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    write_private(tmp_path / "new", b"more than three")
    assert (tmp_path / "new").read_bytes() == b"more than three"


def test_a_file_without_room_for_its_end_is_no_whole_one_and_does_not_stay(tmp_path: Path, steps: list[str]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_private(tmp_path / "new", b"more than four")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert steps == []
    assert not (tmp_path / "new").exists()


def test_what_is_put_in_place_refers_to_what_is_on_disk_and_stays(tmp_path: Path, steps: list[str]) -> None:
    beside, final = tmp_path / "beside", tmp_path / "final"
    beside.mkdir()
    final.mkdir()
    write_private(beside / "new", b"new")
    (final / "place").write_text("old")
    put_in_place(beside / "new", final / "place", before=beside, after=[final, beside])
    assert (final / "place").read_text() == "new"
    assert steps == ["fsync new", "fsync beside", "rename new place", "fsync final", "fsync beside"]


def test_flushing_leaves_nothing_open_and_fails_aloud(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("file")
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    sync_file(tmp_path / "file")
    sync_folder(tmp_path)
    assert steps == ["fsync file", f"fsync {tmp_path.name}"]
    for path in (tmp_path / "link", tmp_path / "nothing"):
        with pytest.raises(OSError, match=path.name):
            sync_file(path)
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208
