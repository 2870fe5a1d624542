"""What one user of a machine can do against the backup of the others: it costs that user's files, and is said."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from s3napback.errors import PipelineError
from tests.descriptors import descriptors_left
from tests.hostile.mounts import mounted_by_a_user
from tests.hostile.pausing import HOLDING_UP, PausingNights, assert_restorable, names
from tests.site import Site
from tests.sources.chains import directory_source
from tests.sources.trees import assert_same_tree

_OLD = 1_500_000_000  # long before any backup


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A tree of two users; the file in ``a`` holds tar up, since it is read before what follows in the alphabet."""
    root = tmp_path / "home"
    for name in ("a/large", "other/file", "user/docs/doc", "user/top"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "a/large").write_bytes(random.Random(1).randbytes(HOLDING_UP))
    for path in root.rglob("*"):
        os.utime(path, (_OLD, _OLD))
    return root


@pytest.fixture
def nights(home: Path, tmp_path: Path) -> PausingNights:
    return PausingNights(directory_source(home), tmp_path / "work")


def vanish(folder: Path) -> Callable[[], object]:
    return lambda: folder.rename(folder.with_name("elsewhere"))


def become_a_file(folder: Path) -> Callable[[], object]:
    def replace() -> None:
        vanish(folder)()
        folder.write_text("a file now")

    return replace


def become_a_link_to_itself(folder: Path) -> Callable[[], object]:
    def replace() -> None:
        vanish(folder)()
        folder.symlink_to(folder.name)

    return replace


@pytest.mark.parametrize("flip", [vanish, become_a_file, become_a_link_to_itself])
def test_a_folder_that_is_flipped_while_tar_reads_costs_that_folder_and_the_next_diff_takes_it(
    nights: PausingNights, home: Path, tmp_path: Path, flip: Callable[[Path], Callable[[], object]]
) -> None:
    docs = home / "user/docs"
    nights.back_up(meanwhile=flip(docs))
    assert len(nights.warnings) == 1
    assert f"{docs}".lstrip("/") in nights.warnings[0]
    assert "other/file" in names(nights.archives[0], home)
    # It comes back as old as it was, with all its files.
    docs.unlink(missing_ok=True)
    docs.with_name("elsewhere").rename(docs)
    nights.back_up()
    assert "user/docs/doc" in names(nights.archives[1], home)
    assert nights.warnings == []
    assert_restorable(nights, home, tmp_path)


def test_a_file_in_a_folder_that_was_moved_away_and_back_is_in_the_next_diff(
    nights: PausingNights, home: Path, tmp_path: Path
) -> None:
    nights.back_up(meanwhile=vanish(home / "user"))
    (home / "elsewhere").rename(home / "user")
    nights.back_up()
    assert_restorable(nights, home, tmp_path)


def test_only_what_was_left_out_is_taken_again(nights: PausingNights, home: Path) -> None:
    nights.back_up(meanwhile=vanish(home / "user/docs"))
    (home / "user/elsewhere").rename(home / "user/docs")
    taken = names(nights.back_up(), home)
    assert "user/docs/doc" in taken
    assert not {"a/large", "other/file", "user/top"} & set(taken)


@pytest.fixture
def user_site(site: Site) -> Site:
    """A machine on which modes of files mean something, as they do to an ordinary user."""
    for name in ("docs/secret", "docs/open", "closed/inner"):
        (site.source / name).parent.mkdir(exist_ok=True)
        (site.source / name).write_text(name)
        os.utime(site.source / name, (_OLD, _OLD))
    return site


def run_as_user(site: Site, day: int, *, expect: int = 0) -> str:
    """A run without root's privileges, by the owner of all files; returns what it logged."""
    powerless = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"] if not os.geteuid() else []
    command = [*powerless, *site.command(day=day)]
    environment = site.full_environment()
    done = subprocess.run(command, cwd=site.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stderr
    return done.stderr


def restored(site: Site, where: str, *paths: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return site.run("restore", str(site.source), *paths, "--to", str(site.root / where), day=None, expect=expect)


def assert_restore_says_so(site: Site) -> None:
    """Of a FULL without ``docs/secret`` and ``closed``: for everything, for what lies below, and for nothing else."""
    whole = restored(site, "whole").stderr
    for path in ("docs/secret", "closed"):
        assert f"WARNING s3napback: {site.source}/{path} could not be read when {site.name()}-14-FULL of" in whole
    assert "docs/secret" in restored(site, "above", "docs").stderr
    assert "WARNING" not in restored(site, "other", "docs/open").stderr
    for path in ("docs/secret", "closed/inner"):
        refused = restored(site, "none", path, expect=1).stderr
        assert f"{path} could not be read that night, and no older archive of its chain holds it" in refused


def test_an_older_content_that_is_restored_is_said_to_be_older(user_site: Site) -> None:
    site = user_site
    site.configure_cycle("Diffs 6\nUnreadable warn")
    run_as_user(site, 0)
    (site.source / "docs/secret").write_text("changed")
    (site.source / "docs/secret").chmod(0)
    run_as_user(site, 1)
    (key,) = (key for key in site.archive_keys() if key.endswith("DIFF"))
    log = restored(site, "out", "docs/secret").stderr
    assert f"secret could not be read when {key} of 2026-01-02 was made: what comes back of it is from an older" in log
    assert (site.root / "out" / site.name() / "docs/secret").read_text() == "docs/secret"
    site.store().delete(f"{key}.sha256")
    assert "WARNING" not in restored(site, "without", "docs/secret").stderr


def test_what_an_ordinary_user_may_not_read_is_named_and_taken_once_it_can_be_read(user_site: Site) -> None:
    site = user_site
    site.configure_cycle("Diffs 6\nUnreadable warn")
    (site.source / "docs/secret").chmod(0)
    (site.source / "closed").chmod(0)
    log = run_as_user(site, 0)
    for path in ("docs/secret", "closed"):
        assert f"{site.source}/{path} could not be read and is not in this archive: Permission denied" in log
    beside = site.fetch(f"{site.archive_keys()[0]}.sha256").decode()
    assert "# warning " in beside
    assert beside.endswith(f"# unread 2\n# unread path {site.source}/closed\n# unread path {site.source}/docs/secret\n")
    assert [each["unread"] for each in json.loads(site.run("list", "--json", day=None).stdout)["archives"]] == [2]
    assert_restore_says_so(site)
    (site.source / "docs/secret").chmod(0o600)
    (site.source / "closed").chmod(0o700)
    assert "WARNING" not in run_as_user(site, 1)
    assert "WARNING" not in restored(site, "after", "docs/secret").stderr
    assert [key[-4:] for key in site.archive_keys()] == ["FULL", "DIFF"]
    assert_same_tree(site.source, site.recover(site.archive_keys(), site.root / "out"))


def test_what_cannot_be_read_fails_the_source_unless_it_may_and_so_do_more_than_may(user_site: Site) -> None:
    site = user_site
    (site.source / "docs/secret").chmod(0)
    (site.source / "closed").chmod(0)
    for setting, shown in (("", "fail"), ("Unreadable fail", "fail"), ("Unreadable warn 1", "warn 1")):
        site.configure_cycle(f"Diffs 6\n{setting}")
        assert f"2 paths could not be read, and Unreadable is “{shown}”" in run_as_user(site, 0, expect=1)
        assert site.archive_keys() == []
    site.configure_cycle("Diffs 0\nUnreadable warn 2")
    run_as_user(site, 0)
    assert "# unread 2\n" in site.fetch(f"{site.archive_keys()[0]}.sha256").decode()


def test_a_file_that_its_owner_holds_by_a_lease_costs_itself(site: Site) -> None:
    """tar opens without waiting, which the kernel refuses then; Samba takes such leases, and so can any user."""
    site.configure_cycle("Diffs 6")
    for name in ("held", "other"):
        (site.source / name).write_text(name)
    with (site.source / "held").open("r+b") as held:
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        before = signal.signal(signal.SIGIO, signal.SIG_IGN)
        try:
            log = site.run(day=0).stderr
        finally:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            signal.signal(signal.SIGIO, before)
    assert f"{site.source}/held could not be read and is not in this archive: Resource temporarily unavailable" in log
    site.run(day=1)
    assert_same_tree(site.source, site.recover(site.archive_keys(), site.root / "out"))


def test_a_source_that_cannot_be_read_itself_fails(user_site: Site) -> None:
    user_site.configure_cycle("Diffs 6")
    user_site.source.chmod(0o300)
    assert "cannot be read" in run_as_user(user_site, 0, expect=1)


@pytest.mark.parametrize("is_back", [False, True])
def test_a_source_that_is_moved_away_or_replaced_meanwhile_fails(
    nights: PausingNights, home: Path, is_back: bool
) -> None:
    def move() -> None:
        home.rename(home.with_name("gone"))
        if is_back:
            home.mkdir()

    with pytest.raises(PipelineError, match="home was replaced, moved or unmounted while tar read it"):
        nights.back_up(meanwhile=move)


def test_a_file_system_that_a_user_has_mounted_costs_no_more_than_itself(site: Site) -> None:
    site.configure_cycle("Diffs 6")
    place = site.source / "user/mount"
    place.mkdir(parents=True)
    (site.source / "other").write_text("other")
    with mounted_by_a_user(place):
        log = site.run(day=0).stderr
        site.configure_cycle(f"Diffs 6\nExclude {place}")
        assert "WARNING" not in site.run("--force", day=0).stderr
    assert f"{place} is not in this archive: Permission denied, even to root." in log
    assert "Exclude silences this" in log


@pytest.fixture
def deep(home: Path) -> Iterator[Path]:
    """A folder of a user, for trees that Python cannot delete."""
    yield home / "user"
    subprocess.run(["rm", "-rf", str(home / "user")], check=True)


def nest(folder: Path, depth: int, name: str) -> None:
    """Directories within directories, deeper than a path can say."""
    script = f"import os\nfor _ in range({depth}):\n os.mkdir({name!r})\n os.chdir({name!r})\nopen('leaf', 'w')"
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)


@pytest.mark.parametrize(("depth", "name"), [(1000, "d"), (5000, "d"), (1500, "n" * 255), (40, "\a" * 255)])
def test_no_depth_of_folders_costs_the_others(
    nights: PausingNights, home: Path, deep: Path, depth: int, name: str
) -> None:
    nest(deep, depth, name)
    nights.back_up()
    nights.back_up()
    too_deep = depth * (len(name.encode()) + 1) > 4096
    assert bool(nights.warnings) == too_deep
    assert all("a path of that length cannot be opened" in line and len(line) < 700 for line in nights.warnings[:50])
    assert "other/file" in names(nights.archives[0], home)
    # What is known of the tree does not grow with what nobody can open.
    assert (nights.folder / "kept.snapshot").stat().st_size < 12_000_000


def test_few_descriptors_are_enough_for_deep_folders(nights: PausingNights, deep: Path) -> None:
    nest(deep, 800, "d")
    with descriptors_left(150):
        nights.back_up()
    assert nights.warnings == []


def test_a_file_that_is_nothing_but_a_hole_of_terabytes_takes_no_time(site: Site) -> None:
    site.configure_cycle("Diffs 6")
    huge = site.source / "huge"
    with huge.open("wb") as file:
        file.write(b"beginning")
        file.truncate(3 << 40)
        file.seek(2 << 40)
        file.write(b"middle")
    begun = time.monotonic()
    site.run(day=0)
    assert time.monotonic() - begun < 30
    out = site.recover(site.archive_keys(), site.root / "out") / "huge"
    assert out.stat().st_size == 3 << 40
    with out.open("rb") as file:
        assert file.read(9) == b"beginning"
        file.seek(2 << 40)
        assert file.read(7) == b"middle\0"


class Restless:
    """A user who renames own folders without a pause; used as a context."""

    def __init__(self, folder: Path, choice: random.Random) -> None:
        self._folder = folder
        self._choice = choice
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            first, second = self._choice.sample([Path(path) for path, _, _ in os.walk(self._folder)][1:], 2)
            with suppress(OSError):
                self._choice.choice((self._move, self._swap, self._flip))(first, second)

    def _move(self, first: Path, second: Path) -> None:
        first.rename(second / f"in-{self._choice.randrange(9)}")

    def _swap(self, first: Path, second: Path) -> None:
        aside = first.rename(self._folder / "aside")
        second.rename(first)
        aside.rename(second)

    def _flip(self, first: Path, _second: Path) -> None:
        aside = first.rename(self._folder / "aside")
        first.symlink_to("/etc")
        first.unlink()
        aside.rename(first)


@pytest.mark.parametrize("seed", range(3))
def test_a_user_who_never_stops_renaming_folders_costs_nobody_a_night(site: Site, seed: int, tmp_path: Path) -> None:
    """A real race; whatever it hits, each night ends well and can be restored, and a quiet one has everything."""
    site.configure_cycle("Diffs 6")
    for number in range(40):
        for name in "abc":
            folder = site.source / f"user/{number}/{name}"
            folder.mkdir(parents=True)
            (folder / "file").write_text(name)
    (site.source / "zzz").write_text("other")
    with Restless(site.source / "user", random.Random(seed)):
        for day in range(4):
            site.run(day=day)
    site.run(day=4)
    for number, key in enumerate(site.archive_keys()):
        site.run("restore", str(site.source), "--to", str(tmp_path / str(number)), "--at", key, day=None)
        assert (tmp_path / str(number) / str(site.source)[1:] / "zzz").read_text() == "other"
    assert_same_tree(site.source, site.recover(site.archive_keys(), site.root / "out"))


def test_names_cannot_make_a_failure_look_like_an_unreadable_file(user_site: Site) -> None:
    """tar's own failure stays one, whatever stands in the names that it mentions."""
    site = user_site
    site.configure_cycle("Diffs 6\nUnreadable warn")
    for name in ("x: Cannot open: Permission denied", "y\ntar: z: Cannot stat: Permission denied", "-: Cannot open: x"):
        (site.source / name).write_text("")
        (site.source / name).chmod(0)
    log = run_as_user(site, 0)
    assert log.count("could not be read and is not in this archive: Permission denied") == 3
    words = "tar: -: Cannot write: No space left on device"
    site.fake_program("tar", f'test "$1" = --create || exec REAL "$@"; REAL "$@"; echo "{words}" >&2; exit 2')
    assert words in run_as_user(site, 1, expect=1)
