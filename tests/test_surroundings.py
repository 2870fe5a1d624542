"""What is said where the machine lacks something that runs need."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from s3napback.errors import UnusableConfiguration
from s3napback.surroundings import home_folder
from tests.recovery.helpers import file_member, put_archive, tar_of
from tests.site import Site


@pytest.mark.parametrize("home", ["/dev/null", "/dev/null/below"])
def test_a_home_that_is_no_folder_is_one_in_which_there_is_nothing(site: Site, home: str) -> None:
    """As users of services have."""
    (site.source / "file").write_text("x")
    site.configure_cycle("Fulls 1")
    site.run(environment={"HOME": home})
    assert site.slots() == ["0-FULL"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make somebody else's file")
def test_a_home_that_is_somebody_else_s_file_could_become_a_folder_and_is_refused(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Fulls 1")
    planted = tmp_path / "planted"
    planted.touch()
    os.chown(planted, 4711, 4711)
    for home in (planted, planted / "below"):
        assert f"{planted} belongs to" in site.run(environment={"HOME": str(home)}, expect=2).stderr


if os.geteuid() == 0:
    _READ_ONLY = (
        'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,bind,ro / || exit; '
        "for each in /tmp /var/tmp /usr/tmp; do mountpoint -q $each && mount -o remount,bind,ro $each; done"
    )

    def ended(site: Site, mounts: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command line where the file systems are mounted otherwise."""
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", f'{mounts}; exec "$@"', str(site.root), *site.command(*options)],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )

    def test_a_restore_without_proc_says_that_it_is_missing(site: Site, tmp_path: Path) -> None:
        site.configure("")
        put_archive(site, 0, tar_of((file_member("etc/x"), b"x")))
        done = ended(site, "umount --lazy /proc", "restore", "/etc", "--to", str(tmp_path / "out"))
        assert done.returncode == 1
        assert "cannot start tar: /proc is missing" in done.stderr

    def test_a_comparison_without_proc_says_that_it_is_missing(site: Site) -> None:
        """Everything was said to differ, since nothing could be looked at."""
        site.configure_cycle("Fulls 1")
        (site.source / "file").write_text("x")
        site.run()
        done = ended(site, "umount --lazy /proc", "verify", "--compare")
        assert done.returncode == 1
        assert f"{site.source} cannot be compared: /proc is missing; mount it" in done.stdout

    def test_a_machine_without_a_folder_for_temporary_files_is_told_what_to_set(site: Site) -> None:
        site.configure_cycle("Fulls 1")
        text = site.configuration.read_text()
        site.configuration.write_text("".join(line for line in text.splitlines(True) if "TempDir" not in line))
        done = ended(site, _READ_ONLY)
        assert done.returncode == 2, done.stderr
        assert "set TempDir, or TMPDIR" in done.stderr

    def test_a_store_on_a_read_only_file_system_is_told_from_one_without_rights(site: Site) -> None:
        site.configure_cycle("Fulls 1")
        there = f'"{site.vault}"'
        done = ended(
            site, f"mount --make-rprivate / && mount --bind {there} {there} && mount -o remount,bind,ro {there}"
        )
        assert done.returncode == 2
        assert f"the folder {site.vault} (Bucket file://…) is read-only here" in done.stderr
        assert f"write ReadWritePaths={site.vault} below [Service]" in done.stderr


def test_where_nothing_tells_of_a_home_folder_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs for a user whom it does not know; a relative one would lie anywhere."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert home_folder() == Path("/home/ann")
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(UnusableConfiguration, match="set HOME to its absolute path, or DiffDir"):
        home_folder()
    monkeypatch.delenv("HOME")

    def nobody(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(UnusableConfiguration, match="set HOME to its absolute path, or DiffDir"):
        home_folder()
