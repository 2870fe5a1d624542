"""An ordinary user makes backups of his own; what is his decides over nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import TIME_LIMIT, Site, site_of_one_file

OTHER = 1234
IS_ROOT = os.geteuid() == 0

AS_USER = """
import contextlib, io, os, sys
import encodings.idna, isal.isal_zlib, sqlite3, s3napback.cli
user, *arguments = sys.argv[1:]
# Another user may not be allowed to read this Python's modules, so all are loaded by a run and a list before.
for command in (["-f"], ["list"]):
    sys.argv = ["s3napback", "-c", os.environ["LOADING"], "--today=2026-01-01", *command]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")):
        s3napback.cli.main()
os.setgroups([])
os.setresgid(int(user), int(user), int(user))
os.setresuid(int(user), int(user), int(user))
os.environ["HOME"] = os.environ["HIS_HOME"]
os.chdir("/")
sys.argv = ["s3napback", *arguments]
s3napback.cli.main()
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_of_one_file(tmp_path / "site")


if IS_ROOT:

    @pytest.fixture
    def his() -> Iterator[Site]:
        """An ordinary user's home with his configuration in it; not below pytest's folders, which only root enters."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            site = Site(Path(folder) / "his")
            (site.source / "file").write_text("content")
            site.configure_cycle("Diffs 1")
            for path in [site.root, *site.root.rglob("*")]:
                os.chown(path, OTHER, OTHER)
            yield site

    def run_as(
        user: int, his: Site, loading: Site, *options: str, home: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "LOADING": str(loading.configuration),
            "HIS_HOME": str(home or his.root),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            [sys.executable, "-c", AS_USER, str(user), *his.command(*options)[3:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=TIME_LIMIT,
            env=his.full_environment(environment),
        )

    def test_an_ordinary_user_backs_up_with_files_of_his_own(his: Site, site: Site) -> None:
        for options in ((), ("-f",), ("list",)):
            done = run_as(OTHER, his, site, *options)
            assert done.returncode == 0, done.stderr
        assert len(his.archive_keys()) == 1

    def test_a_home_that_may_not_be_entered_is_no_obstacle(his: Site, site: Site, tmp_path: Path) -> None:
        """As with ``setpriv`` or in a service, where HOME is still root's."""
        home = tmp_path / "closed"
        home.mkdir(mode=0o700)
        text = his.configuration.read_text()
        his.configuration.write_text(text.replace(f"DiffDir {his.diff_dir}\n", ""))
        done = run_as(OTHER, his, site, "-t", home=home)
        assert done.returncode == 2, done.stderr
        assert "Permission denied" in done.stderr
        his.configuration.write_text(text)
        done = run_as(OTHER, his, site, home=home)
        assert done.returncode == 0, done.stderr

    @pytest.fixture
    def closed(tmp_path: Path) -> str:
        """What lies in a folder that he may not enter."""
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o700)
        return str(folder / "sub" / "x")

    def test_what_he_may_not_look_at_is_said_to_be_that(his: Site, site: Site, closed: str) -> None:
        his.configure(f"Directory {closed}\nSubversion {closed}y\n<Command c>\nRun echo x\n</Command>")
        done = run_as(OTHER, his, site)
        assert f"Directory {closed} FAILED: cannot be read: Permission denied" in done.stderr
        assert f"Subversion {closed}y FAILED: cannot be looked at: Permission denied" in done.stderr
        assert done.returncode == 1
        assert run_as(OTHER, his, site, "-t").returncode == 1
        done = run_as(OTHER, his, site, "drill", "--scratch", closed)
        assert f"{closed} cannot be looked at: Permission denied" in done.stderr
        done = run_as(OTHER, his, site, "restore", "Command/c", "--to", closed)
        assert (done.returncode, "Permission denied" in done.stderr) == (2, True), done.stderr

    def test_neither_root_nor_a_third_user_takes_an_ordinary_users_configuration(his: Site, site: Site) -> None:
        assert f"chown root {his.root}" in his.run(expect=2).stderr
        his.root.chmod(0o755)
        done = run_as(OTHER + 1, his, site)
        assert done.returncode == 2
        assert f"{his.root} belongs to another user" in done.stderr
        assert not list(his.vault.rglob("*"))

    def test_an_ordinary_user_takes_a_configuration_of_roots(his: Site, site: Site) -> None:
        for path in (his.configuration, his.root):
            os.chown(path, 0, 0)
        his.root.chmod(0o755)
        done = run_as(OTHER, his, site)
        assert done.returncode == 0, done.stderr
