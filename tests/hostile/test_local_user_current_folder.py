"""Another user decides nothing by what lies in a folder of his, when a backup is started there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site import TIME_LIMIT, Site, site_of_one_file

EVIL = "import os, pathlib\npathlib.Path({canary!r}).touch()\nos._exit(99)\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_of_one_file(tmp_path / "site")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Another user's folder, in which modules and programs lie under names that we use."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("click", "logging", "json", "boto3", "isal", "apacheconfig", "tempfile", "fcntl"):
        (folder / f"{name}.py").write_text(EVIL.format(canary=str(folder / "PWNED")))
    for name in ("tar", "gpg"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {folder}/PWNED\n")
        (folder / name).chmod(0o755)
    return folder


AS_SCRIPT = "import sys; sys.path[0] = '/nonexistent'\nfrom s3napback.__main__ import main\nmain()"
"""What a console script does: its own folder is first on the path of modules."""


@pytest.mark.parametrize("start", [["-m", "s3napback"], ["-I", "-m", "s3napback"], ["-c", AS_SCRIPT]])
def test_nothing_is_imported_or_run_from_the_current_folder(start: list[str], site: Site, elsewhere: Path) -> None:
    environment = site.full_environment({"PATH": f".:{os.environ['PATH']}:"})
    done = subprocess.run(
        [sys.executable, *start, *site.command()[3:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT,
        env=environment,
        cwd=elsewhere,
    )
    assert done.returncode == 0, done.stderr
    assert not (elsewhere / "PWNED").exists()
    assert len(site.archive_keys()) == 1


@pytest.mark.parametrize("modules", [":/nonexistent", ".", "/nonexistent:"])
def test_an_empty_element_of_pythonpath_is_not_the_current_folder(modules: str, site: Site, elsewhere: Path) -> None:
    """What Python itself imports before the first line of ours cannot be helped."""
    for name in ("logging", "json", "tempfile", "fcntl"):
        (elsewhere / f"{name}.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "s3napback", *site.command()[3:]],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT,
        env=site.full_environment({"PYTHONPATH": modules}),
        cwd=elsewhere,
    )
    assert done.returncode == 0, done.stderr
    assert not (elsewhere / "PWNED").exists()
