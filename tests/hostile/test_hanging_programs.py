"""Programs that hang and heed nothing, and a target that hangs in the kernel: a signal ends every command in time.

README promises half a minute. What hangs in a dead file system cannot be cleaned up, and costs the time for that.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.databases.repository import Repository
from tests.gpg_keys import Key
from tests.hostile.interrupting import LIMIT, interrupt
from tests.hostile.test_endpoint import HANGING, assert_orderly
from tests.site import Site
from tests.waiting import becomes, is_running

pytestmark = pytest.mark.long(60)


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A repository that was backed up once, and has a revision more since."""
    site = Site(tmp_path_factory.mktemp("site"))
    repository = Repository(site.root / "repository")
    repository.commit("one", ("mkdir", "trunk"))
    site.configure(f"<Subversion {repository.path}>\nDiffs 2\nFulls 2\n</Subversion>")
    site.run()
    repository.commit("two", ("mkdir", "tags"))
    return site


@contextmanager
def with_programs(site: Site) -> Iterator[Site]:
    """A site whose false programs are gone at the end."""
    try:
        yield site
    finally:
        site.environment.clear()
        shutil.rmtree(site.root / "bin", ignore_errors=True)


@pytest.fixture
def developed(archived: Site) -> Iterator[Site]:
    with with_programs(archived) as site:
        yield site


def hang(site: Site, program: str, pattern: str, note: str | Path) -> None:
    """A program hangs where its command line is of a pattern, and heeds no signal."""
    script = f'case "$*" in {pattern}) {HANGING.format(note=note)} ;; esac; exec REAL "$@"'
    site.fake_program(program, script)


@pytest.mark.parametrize(("program", "pattern"), [("svnadmin", "dump*"), ("svnlook", "*youngest*")])
def test_a_signal_ends_a_backup_of_a_repository_that_cannot_be_read(
    developed: Site, tmp_path: Path, program: str, pattern: str
) -> None:
    note = tmp_path / "hangs"
    hang(developed, program, pattern, note)
    before = sorted((developed.vault / "Subversion").rglob("*"))
    assert_orderly(interrupt(developed, "--today=2026-01-02", "-f", when=note.exists))
    assert sorted((developed.vault / "Subversion").rglob("*")) == before


@pytest.mark.parametrize(("program", "pattern"), [("svnadmin", "load*"), ("svnadmin", "create*"), ("svnlook", "*")])
def test_a_signal_ends_a_restore_of_a_repository_that_cannot_be_loaded(
    developed: Site, tmp_path: Path, program: str, pattern: str
) -> None:
    """What loads can leave its note only where the repository is."""
    target = tmp_path / "restored"
    hang(developed, program, pattern, "begun")
    ended = interrupt(
        developed,
        *("restore", f"Subversion{developed.root / 'repository'}", f"--to={target}"),
        when=lambda: bool([*tmp_path.glob("**/begun")]),
    )
    assert_orderly(ended)
    assert not target.exists()
    assert [*tmp_path.iterdir()] == []


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Site:
    """A site whose archive is encrypted, and large enough to be read in parts."""
    site = Site(tmp_path_factory.mktemp("site"))
    (site.source / "small").write_text("small\n")
    (site.source / "file").write_bytes(random.Random(9).randbytes(9 << 20))
    site.configure_cycle("Fulls 2", general=f"GpgHome {key.home.path}\nGpgRecipient {key.fingerprint}")
    site.run()
    return site


@pytest.fixture
def encrypted(vault: Site) -> Iterator[Site]:
    with with_programs(vault) as site:
        yield site


READING = {
    "restore": ("*--decrypt*", (), signal.SIGINT),
    "restore a PATH, by its session key": ("*--show-session-key*", ("small",), signal.SIGTERM),
    "restore a PATH, by its index": ("*--status-fd*--decrypt*", ("small",), signal.SIGHUP),
    "verify": ("*--decrypt*", (), signal.SIGTERM),
}


@pytest.mark.parametrize("name", READING)
def test_a_signal_ends_reading_what_gpg_does_not_decrypt(encrypted: Site, tmp_path: Path, name: str) -> None:
    pattern, paths, number = READING[name]
    note, target = tmp_path / "hangs", tmp_path / "restored"
    hang(encrypted, "gpg", pattern, note)
    command = name.partition(" ")[0]
    options = [*paths, f"--to={target}"] if command == "restore" else []
    ended = interrupt(encrypted, command, str(encrypted.source), *options, when=note.exists, number=number)
    assert_orderly(ended, number)
    assert not target.exists()


@contextmanager
def hanging(folder: Path) -> Iterator[Callable[[], None]]:
    """A file system of a process; gives what has it hang for whoever uses it from then on."""
    below = folder.with_name("below")
    for each in (folder, below):
        each.mkdir()
    with subprocess.Popen(["bindfs", "-f", "--no-allow-other", str(below), str(folder)]) as daemon:
        try:
            assert becomes(folder.is_mount, 10)
            yield lambda: daemon.send_signal(signal.SIGSTOP)
        finally:
            daemon.send_signal(signal.SIGCONT)
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            daemon.terminate()
            daemon.wait(10)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("bindfs"), reason="only root mounts it here")
@pytest.mark.parametrize("early", [True, False], ids=["before anything", "while tar extracts"])
def test_a_signal_ends_a_restore_to_a_file_system_that_hangs(encrypted: Site, tmp_path: Path, early: bool) -> None:
    place = tmp_path / "mounted"
    encrypted.fake_program(
        "tar", 'case "$*" in *--extract*) head -c 2000000 | REAL "$@"; sleep 600;; *) exec REAL "$@";; esac'
    )
    with hanging(place) as stop:
        if early:
            stop()
        has_begun = time.monotonic()

        def hangs() -> bool:
            """It has come to where nothing is to be had of its target any more."""
            if early:
                return time.monotonic() > has_begun + 2
            if not [*place.glob("**/file")]:
                return False
            stop()
            return True

        ended = interrupt(encrypted, "restore", str(encrypted.source), f"--to={place / 'where'}", when=hangs)
    assert ended.code == 143, ended.stderr
    assert ended.seconds < LIMIT
    # What hung within the kernel, killed already, is gone as soon as that answers.
    assert becomes(lambda: not any(map(is_running, ended.left)))
