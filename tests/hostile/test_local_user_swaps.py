"""A user who exchanges folders for links while root backs them up: nothing from elsewhere gets into the archive."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest

from tests.hostile.pausing import HOLDING_UP, PausingNights, assert_restorable, names
from tests.site import Site
from tests.sources.chains import directory_source, replay

_OLD = 1_500_000_000  # long before any backup
_USER = 4711


def give_to(user: int, *paths: Path) -> None:
    for path in paths:
        os.lchown(path, user, user)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A tree like ``home``, in which ``user`` belongs to a user; and a secret of root's beside it."""
    root = tmp_path / "home"
    for name in ("a/large", "other/file", "user/mid/docs/secret", "user/mid/docs/own", "user/private/own"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
        (root / name).parent.chmod(0o755)
    (root / "a/large").write_bytes(random.Random(1).randbytes(HOLDING_UP))
    (tmp_path / "etc/docs").mkdir(parents=True)
    (tmp_path / "etc/docs/secret").write_text("root's own")
    (tmp_path / "etc/docs/secret").chmod(0o600)
    give_to(_USER, root / "user", *(root / "user").rglob("*"))
    for path in (*root.rglob("*"), tmp_path / "etc/docs/secret"):
        os.utime(path, (_OLD, _OLD))
    return root


def swap_for_link(folder: Path, target: Path) -> None:
    folder.rename(folder.with_name("aside"))
    folder.symlink_to(target)


def swap_back(folder: Path) -> None:
    folder.unlink()
    folder.with_name("aside").rename(folder)


def test_a_secret_behind_a_link_does_not_reach_the_archive(shared: Path, tmp_path: Path) -> None:
    """The folder becomes a link while tar reads another file, and what the user may not read is read as his own."""
    nights = PausingNights(directory_source(shared), tmp_path / "work")
    middle = shared / "user/mid"
    nights.back_up(meanwhile=lambda: swap_for_link(middle, tmp_path / "etc"))
    assert b"root's own" not in nights.archives[0].read_bytes()
    warning = next(line for line in nights.warnings if f"{middle}/docs/secret" in line)
    assert "was kept out of this archive: what tar read there is not what lies there" in warning
    assert {"other/file", "user/private/own", "a/large"} <= {*names(nights.archives[0], shared)}
    # The chain goes on, and what was kept out is in the next one.
    swap_back(middle)
    nights.back_up()
    assert nights.warnings == []
    assert_restorable(nights, shared, tmp_path)


def test_not_even_if_a_file_of_the_same_owner_lies_in_the_folder(shared: Path, tmp_path: Path) -> None:
    """A user can give any name to a file that root left behind in the user's own folder."""
    give_to(0, shared / "user/mid/docs/secret")
    (shared / "user/mid/docs/secret").chmod(0o600)
    nights = PausingNights(directory_source(shared), tmp_path / "work")
    middle = shared / "user/mid"
    nights.back_up(meanwhile=lambda: swap_for_link(middle, tmp_path / "etc"))
    assert b"root's own" not in nights.archives[0].read_bytes()


def test_nor_from_a_folder_of_roots_that_lies_in_a_users(shared: Path, tmp_path: Path) -> None:
    give_to(
        0, shared / "user/mid", shared / "user/mid/docs", shared / "user/mid/docs/secret", shared / "user/mid/docs/own"
    )
    nights = PausingNights(directory_source(shared), tmp_path / "work")
    middle = shared / "user/mid"
    nights.back_up(meanwhile=lambda: swap_for_link(middle, tmp_path / "etc"))
    assert b"root's own" not in nights.archives[0].read_bytes()
    assert any(f"{middle}/docs/secret was kept out" in line for line in nights.warnings)


def test_nor_another_users_file(shared: Path, tmp_path: Path) -> None:
    give_to(_USER + 1, tmp_path / "etc", tmp_path / "etc/docs", tmp_path / "etc/docs/secret")
    nights = PausingNights(directory_source(shared), tmp_path / "work")
    nights.back_up(meanwhile=lambda: swap_for_link(shared / "user/mid", tmp_path / "etc"))
    assert b"root's own" not in nights.archives[0].read_bytes()


def test_files_of_several_owners_are_archived_where_nobody_exchanges_anything(shared: Path, tmp_path: Path) -> None:
    """Files of root's and of others in a user's folders, in folders for groups, and in those for everybody."""
    (shared / "group").mkdir()
    (shared / "group").chmod(0o775)
    (shared / "all").mkdir()
    (shared / "all").chmod(0o1777)
    for folder in ("user/mid/docs", "user/private", "group", "all"):
        for owner in (0, _USER, _USER + 1, 3_000_000_000):
            start = shared / folder / f"{owner}-{'n' * 100}"
            paths = [start.with_name(f"{start.name}-{kind}") for kind in ("file", "link", "pipe")]
            paths[0].write_text("x")
            paths[1].symlink_to("x")
            os.mkfifo(paths[2])
            give_to(owner, *paths)
        os.link(shared / "other/file", shared / folder / "link")
        with (shared / folder / "sparse").open("wb") as file:
            file.truncate(1_000_000)
        os.utime(shared / folder / "sparse", (-5, -5))
    (shared / "user/mid/docs/own").chmod(0o4755)
    nights = PausingNights(directory_source(shared), tmp_path / "work")
    nights.back_up()
    assert nights.warnings == []
    (shared / "group/link").write_text("changed")
    nights.back_up()
    assert nights.warnings == []
    assert_restorable(nights, shared, tmp_path)


def test_a_file_of_roots_that_is_written_meanwhile_stays(shared: Path, tmp_path: Path) -> None:
    log = shared / "user/mid/docs/own"
    give_to(0, log)
    nights = PausingNights(directory_source(shared), tmp_path / "work")

    def write() -> None:
        with log.open("a") as file:
            file.write("more")

    nights.back_up(meanwhile=write)
    assert "user/mid/docs/own" in names(nights.archives[0], shared)
    assert nights.warnings == []


@pytest.mark.parametrize("to_folder", [True, False])
def test_a_chain_in_which_something_changed_its_kind_meanwhile_can_be_restored(
    shared: Path, tmp_path: Path, to_folder: bool
) -> None:
    nights = PausingNights(directory_source(shared), tmp_path / "work")
    nights.back_up()
    changing = shared / ("user/mid/docs/own" if to_folder else "user/mid/docs")
    aside = shared / "user/aside"
    for path in (shared / "a/large", shared / "user/mid/docs/own"):
        path.touch()

    def change() -> None:
        changing.rename(aside)
        changing.mkdir() if to_folder else changing.symlink_to("elsewhere")

    nights.back_up(meanwhile=change)
    assert nights.warnings
    replay(nights.archives, tmp_path / "out")
    nights.back_up()
    assert_restorable(nights, shared, tmp_path)


def test_a_folder_that_is_a_link_by_the_time_it_is_archived_itself(shared: Path, tmp_path: Path) -> None:
    """Long lists of other folders hold tar up while it is still writing directories."""
    nights = PausingNights(directory_source(shared), tmp_path / "work")
    nights.back_up()
    for folder in ("a", "b"):
        (shared / folder).mkdir(exist_ok=True)
        for number in range(8000):
            (shared / folder / f"{number:04}{'n' * 240}").touch()
    middle = shared / "user/mid"
    nights.back_up(meanwhile=lambda: swap_for_link(middle, tmp_path / "etc"))
    assert any(f"{middle} was kept out of this archive" in line for line in nights.warnings)
    replay(nights.archives, tmp_path / "out")
    swap_back(middle)
    nights.back_up()
    assert_restorable(nights, shared, tmp_path)


def test_a_user_who_races_for_a_secret_all_night(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6\nCompression none")
    (tmp_path / "etc/docs").mkdir(parents=True)
    for number in range(20):
        (tmp_path / f"etc/docs/{number}").write_text("root's own")
        for name in "abcdef":
            folder = site.source / f"user/{name}/docs"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}").write_bytes(os.urandom(30_000))
    give_to(_USER, site.source / "user", *(site.source / "user").rglob("*"))
    stop = threading.Event()

    def race() -> None:
        while not stop.is_set():
            for name in "abcdef":
                swap_for_link(site.source / f"user/{name}", tmp_path / "etc")
                swap_back(site.source / f"user/{name}")

    user = threading.Thread(target=race)
    user.start()
    try:
        for day in range(4):
            site.run("--full", day=day)
    finally:
        stop.set()
        user.join()
    assert all(b"root's own" not in site.fetch(key) for key in site.archive_keys())
    site.run(day=4)
    site.recover(site.archive_keys(), site.root / "out", unpack="")
