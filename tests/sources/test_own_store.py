"""A directory store within a source is left out of it, whatever either of them is called, and nothing else is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.errors import SourceError
from s3napback.rotation import ArchiveType
from s3napback.sources.own_store import store_within
from tests.site import Site
from tests.sources.chains import directory_source

Mounting = Callable[..., Path]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A source ``home`` with a store in it."""
    for name in ("home/vault/etc-0-FULL", "home/vault[1]/other", "home/doc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def bind() -> Iterator[Mounting]:
    """Mounts a folder at another place, which is made."""
    with ExitStack() as stack:

        def mount(folder: Path, place: Path, *options: str) -> Path:
            place.mkdir(exist_ok=True)
            subprocess.run(["mount", *(options or ("--bind",)), str(folder), str(place)], check=True)
            stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
            return place

        yield mount


def archived(source: Path, store: Path) -> list[str]:
    """What tar takes of a source whose store is there, below the source, in order."""
    made = directory_source(source, JobSettings(store=store)).plan(ArchiveType.FULL, source.parent / "work")
    (source.parent / "work").mkdir(exist_ok=True)
    stream = subprocess.run(made.command, check=True, capture_output=True).stdout
    (source.parent / "work/working.snapshot").unlink()
    listed = subprocess.run(["tar", "t"], input=stream, check=True, capture_output=True).stdout.decode().splitlines()
    start = str(source).lstrip("/")
    return sorted(os.path.normpath(name)[len(start) + 1 :] for name in listed if not name.endswith("/"))


def linked_source(world: Path, _bind: Mounting) -> tuple[Path, Path]:
    (world / "link").symlink_to("home")
    return world / "link", world / "home/vault"


def linked_folder_above_the_source(world: Path, _bind: Mounting) -> tuple[Path, Path]:
    (world / "above").symlink_to(".")
    return world / "above/home", world / "home/vault"


def linked_store(world: Path, _bind: Mounting) -> tuple[Path, Path]:
    (world / "link").symlink_to("home/vault")
    return world / "home", world / "link"


def source_mounted_twice(world: Path, bind: Mounting) -> tuple[Path, Path]:
    return bind(world / "home", world / "second"), world / "home/vault"


def store_mounted_twice(world: Path, bind: Mounting) -> tuple[Path, Path]:
    return world / "home", bind(world / "home/vault", world / "second")


def both_mounted_on_another_file_system(world: Path, bind: Mounting) -> tuple[Path, Path]:
    disk = bind(world / "none", world / "disk", "-t", "tmpfs")
    subprocess.run(["cp", "-a", f"{world}/home", str(disk)], check=True)
    return bind(disk / "home", world / "first"), bind(disk / "home/vault", world / "second")


WAYS = [
    linked_source,
    linked_folder_above_the_source,
    linked_store,
    source_mounted_twice,
    store_mounted_twice,
    both_mounted_on_another_file_system,
]


@pytest.mark.parametrize("way", WAYS)
def test_the_store_is_left_out_under_another_name(
    world: Path, bind: Mounting, way: Callable[[Path, Mounting], tuple[Path, Path]]
) -> None:
    source, store = way(world, bind)
    assert archived(source, store) == ["doc", "vault[1]/other"]


def test_a_folder_above_the_store_that_is_mounted_within_the_source_is_seen(world: Path, bind: Mounting) -> None:
    (world / "source").mkdir()
    bind(world / "home", world / "source/there")
    bind(world / "home/vault", world / "source/again")
    assert archived(world / "source", world / "home/vault") == ["there/doc", "there/vault[1]/other"]


def test_a_part_of_the_store_that_is_mounted_within_the_source_is_left_out(world: Path, bind: Mounting) -> None:
    (world / "source").mkdir()
    (world / "home/vault/host").mkdir()
    (world / "home/vault/host/etc-0-FULL").write_text("x")
    bind(world / "home/vault/host", world / "source/host")
    (world / "source/doc").write_text("x")
    assert archived(world / "source", world / "home/vault") == ["doc"]


def test_what_hides_the_store_is_archived(world: Path, bind: Mounting) -> None:
    store = bind(world / "home/vault", world / "second")
    bind(world / "none", world / "home/vault", "-t", "tmpfs")
    (world / "home/vault/kept").write_text("x")
    assert "vault/kept" in archived(world / "home", store)


def test_without_a_list_of_mounts_the_folders_above_tell(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.sources.own_store.current_mounts", list)
    (world / "link").symlink_to("home/vault")
    assert store_within(str(world / "home"), str(world / "link")) == [f"{world}/home/vault"]
    assert store_within("/", str(world / "link")) == [f"{world}/home/vault"]


def test_the_nightly_run_knows_its_store(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.root / "link").symlink_to(".")
    (site.root / "doc").write_text("x")
    site.configure(f"<Cycle nightly>\nDirectory {site.root}/link\n</Cycle>")
    site.run(day=0)
    site.run("--full", day=1)
    (key,) = [key for key in site.archive_keys() if key.endswith("link-3-FULL")]
    listed = subprocess.run(["tar", "tz"], input=site.fetch(key), check=True, capture_output=True).stdout.decode()
    assert "/link/./doc\n" in listed
    assert "/vault/" not in listed


def test_a_store_elsewhere_or_missing_changes_nothing(world: Path) -> None:
    assert store_within(str(world / "home/vault[1]"), str(world / "home/vault")) == []
    assert store_within(str(world / "home"), str(world / "missing")) == []
    assert store_within(str(world / "missing"), str(world / "home/vault")) == []


@pytest.mark.parametrize("below", ["", "/deep"])
def test_a_source_in_the_store_is_refused_under_another_name(world: Path, bind: Mounting, below: str) -> None:
    (world / "home/vault/deep").mkdir()
    place = bind(world / f"home/vault{below}", world / "second")
    source = directory_source(place, JobSettings(store=world / "home/vault"))
    with pytest.raises(SourceError, match=r"lies in the store .*; give the store another folder"):
        source.check(had_content=False, remembered={})


def test_a_store_that_names_tell_is_excluded_once(world: Path) -> None:
    settings = JobSettings(exclude=("*.o", f"{world}/home/vault"), store=world / "home/vault")
    assert directory_source(world / "home", settings).content()["Exclude"] == list(settings.exclude)
