"""What an ordinary user backed up, he can restore: folders that he may not write to, chains of them, every night."""

from __future__ import annotations

import os
import random
import stat
import subprocess
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import pytest

from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.recovery.refusals import Incomplete
from tests.recovery.helpers import file_member, folder_member, leftovers, put_archive, restore_here, tar_of
from tests.recovery.ordinary import as_user, give, open_folder
from tests.recovery.simulation import below
from tests.site import FIRST_DAY, Site
from tests.sources.trees import RandomTree, describe_tree, tree_differences

NIGHTS = 6


def folders(top: Path) -> list[Path]:
    return [top, *(path for path in top.rglob("*") if path.is_dir() and not path.is_symlink())]


def read_only(top: Path, night: int) -> None:
    """Files that nobody may write to, as git's objects, and a folder, with what tar can set only where it may."""
    path = top / "labelled"
    path.mkdir(exist_ok=True)
    path.chmod(0o755)
    os.setxattr(path, "user.night", b"%d" % night)
    subprocess.run(["setfacl", "-d", "-m", "u::r-x", path], check=True)
    for name in ("labelled/file", "labelled/FILE", "labelled/open", "shared", "holes"):
        path = top / name
        path.unlink(missing_ok=True)
        path.write_text(f"{name} {night}")
        if name == "holes":
            os.truncate(path, 1_000_000)
        path.chmod(0o664)
        if name != "shared":
            os.setxattr(path, "user.colour", b"green")
        if name != "holes":
            subprocess.run(["setfacl", "-m", "u:7:r", path], check=True)
        path.chmod(0o664 if name == "labelled/open" else 0o444)
    (top / "labelled").chmod(0o555)


def live_through(site: Site, seed: int) -> None:
    """Back up a changing tree of read-only folders, restore every night of it, and one over the other."""
    chooser = random.Random(seed)
    tree = RandomTree(site.source, seed)
    states = []
    for night in range(NIGHTS):
        if night:
            for path in folders(site.source):
                path.chmod(0o755)
        tree.edit(10)
        tree.move_directories(chooser.choice((0, 2)))
        # What cannot be read costs only itself, and has the content of the last night on which it could.
        shut = site.source / "shut"
        if not night:
            shut.write_text("readable")
        shut.chmod(0o644 if not night else 0)
        for path in reversed(folders(site.source)):
            path.chmod(chooser.choice((0o555, 0o500, 0o755, 0o2550)))
        assert not backup.run(load_configuration(site.configuration), day_of(night), BackupOptions()).failed
        shut.chmod(0o644)
        states.append(describe_tree(site.source, hard_links=False))
    for night, state in enumerate(states):
        where = site.root / f"out-{night}"
        restore_here(site, str(site.source), where, at=day_of(night).isoformat())
        assert not tree_differences(state, describe_tree(where / site.name(), hard_links=False))
    for number, name in enumerate(chooser.sample(sorted(states[-1]), 3)):
        where = site.root / f"part-{number}"
        restore_here(site, str(site.source), where, at=day_of(NIGHTS - 1).isoformat(), paths=(str(site.source / name),))
        found = below(describe_tree(where / site.name(), hard_links=False), name)
        assert not tree_differences(below(states[-1], name), found)
    where = site.root / "merged"
    for _ in range(2):
        restore_here(site, str(site.source), where, in_place=True, agreed=True)
    assert not tree_differences(states[-1], describe_tree(where / site.name(), hard_links=False))
    assert not leftovers(where)


def day_of(night: int) -> date:
    return FIRST_DAY + timedelta(days=night)


def restore_read_only(site: Site) -> None:
    states = {}
    for night in (1, 2):
        read_only(site.source, night)
        assert not backup.run(load_configuration(site.configuration), day_of(night), BackupOptions()).failed
        states[night] = describe_tree(site.source)
    for night, state in states.items():
        # The second one comes into the place of the first.
        where, source = site.root / "restored", str(site.source)
        restore_here(site, source, where, at=day_of(night).isoformat(), in_place=True, agreed=True)
        assert not tree_differences(state, describe_tree(where / site.name()))
    where = site.root / "part"
    restore_here(site, str(site.source), where, paths=("labelled/file", "holes"))
    found = describe_tree(where / site.name())
    assert all(found[name] == states[2][name] for name in ("labelled/file", "holes"))


def test_what_nobody_may_write_to_comes_back_with_its_attributes() -> None:
    with open_folder() as base:
        site = Site(base / "site")
        site.configure_cycle("Diffs 6\nCompression none")
        (site.source / "file").touch()
        # This loads what the user may not be able to.
        assert not backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions(force=True)).failed
        restore_here(site, str(site.source), base / "loaded")
        give(site.root)
        as_user(lambda: restore_read_only(site))


def load_modules(base: Path, cycle: str) -> None:
    """Back up and restore once: what a user may not be able to load is loaded then."""
    site = Site(base / "warmed")
    site.configure_cycle(cycle)
    (site.source / "file").touch()
    assert not backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions()).failed
    restore_here(site, str(site.source), base / "loaded")


@pytest.mark.parametrize("seed", [1, 2])
def test_chains_of_read_only_folders_come_back_every_night(seed: int) -> None:
    with open_folder() as base:
        load_modules(base, "Diffs 6\nCompression none")
        site = Site(base / "site")
        site.configure_cycle("Diffs 6\nCompression none\nUnreadable warn")
        give(site.root)
        as_user(lambda: live_through(site, seed))


def merge_into_shut_folders(site: Site, mode: int) -> None:
    """Each folder is shut in turn; what is asked for lies in it, below it, above it, or beside it."""
    source = site.source
    (source / "a/b").mkdir(parents=True)
    for name in ("file", "a/file", "a/b/file"):
        (source / name).write_text("restored")
    assert not backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions()).failed
    for shut, asked in product(("", "a", "a/b"), ("", "a", "a/b", "a/b/file")):
        for name in ("file", "a/file", "a/b/file"):
            (source / name).write_text("live")
        every = {name: (source / name).stat() for name in ("", "a", "a/b")}
        for name in every:
            os.utime(source / name, (1, 1))
        (source / shut).chmod(mode)
        restore_here(site, str(source), Path("/"), paths=(asked,) if asked else (), in_place=True, agreed=True)
        is_merged = f"{shut}/".startswith(f"{asked}/" if asked else "")
        assert stat.S_IMODE((source / shut).stat().st_mode) == (0o755 if is_merged else mode)
        (source / shut).chmod(0o755)
        assert (source / "a/b/file").read_text() == "restored"
        above = [name for name in every if name != asked and f"{asked}/".startswith(f"{name}/" if name else "")]
        assert {(source / name).stat().st_mtime for name in above} <= {1.0}
        assert not leftovers(source)


@pytest.mark.parametrize("mode", [0o311, 0, 0o555])
def test_own_folders_that_are_shut_are_opened_for_as_long_as_it_takes(mode: int) -> None:
    with open_folder() as base:
        load_modules(base, "Diffs 6")
        site = Site(base / "site")
        site.configure_cycle("Diffs 6")
        give(site.root)
        as_user(lambda: merge_into_shut_folders(site, mode))


def restore_too_long(site: Site) -> None:
    with pytest.raises(Incomplete, match="1 path: not made"):
        restore_here(site, "/etc", site.root / "out")
    assert [path.name for path in (site.root / "out/etc").iterdir()] == ["a"]


def test_a_name_that_the_target_does_not_take_costs_no_more_where_its_file_may_not_be_written_to() -> None:
    """Nor does one that would have to lose a permission afterwards."""
    name = "n" * 256
    labelled = file_member(f"etc/{name}", mode=0o4444, pax_headers={"SCHILY.xattr.user.colour": "green"})
    with open_folder() as root:
        site = Site(root)
        site.configure("")
        content = tar_of(
            (folder_member("etc", ["Ya", f"Y{name}"]), b""), (file_member("etc/a"), b"a"), (labelled, b"b")
        )
        put_archive(site, 0, content)
        # All modules are loaded by that, some of which the user could not read.
        with pytest.raises(Incomplete):
            restore_here(site, "/etc", site.root / "first")
        give(site.root)
        as_user(lambda: restore_too_long(site))
