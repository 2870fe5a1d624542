"""Shell scripts of the project: what of them can be had without a machine to install."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.manual import CHECKOUT

SCRIPTS = ["tests/run.sh", "examples/quickstart.sh"]
LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt-get)"


def run_apt_get(script: str, folder: Path, apt_get: str) -> subprocess.CompletedProcess[str]:
    """Call the function of a script with a program in apt-get's place; waiting takes no time."""
    for name, content in (("apt-get", apt_get), ("sleep", "exit 0")):
        (folder / name).write_text(f"#!/bin/sh\n{content}\n")
        (folder / name).chmod(0o755)
    functions = re.findall(r"^(?:apt_get|complain)\(\) \{\n.*?^\}\n", (CHECKOUT / script).read_text(), re.M | re.S)
    assert len(functions) == 2
    return subprocess.run(
        ["sh", "-c", "set -eu\n" + "".join(functions) + "apt_get update\necho went on"],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_apt_has_locked_is_waited_for(script: str, tmp_path: Path) -> None:
    busy = f'echo "$*" >>calls; test "$(wc -l <calls)" -ge 3 || {{ echo "{LOCKED}" >&2; exit 100; }}; echo updated'
    done = run_apt_get(script, tmp_path, busy)
    assert (done.returncode, done.stdout) == (0, "updated\nwent on\n"), done.stderr
    assert (tmp_path / "calls").read_text() == "-o DPkg::Lock::Timeout=300 -q update\n" * 3


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_lock_that_stays_is_named_at_last(script: str, tmp_path: Path) -> None:
    done = run_apt_get(script, tmp_path, f'echo >>calls; echo "{LOCKED}" >&2; exit 100')
    assert done.returncode == 1
    assert LOCKED in done.stderr
    assert 30 <= len((tmp_path / "calls").read_text()) <= 100


@pytest.mark.parametrize("script", SCRIPTS)
def test_any_other_failure_of_apt_s_ends_the_script_at_once(script: str, tmp_path: Path) -> None:
    done = run_apt_get(script, tmp_path, 'echo >>calls; echo "E: no network" >&2; exit 100')
    assert done.returncode == 1
    assert "E: no network" in done.stderr
    assert "went on" not in done.stdout
    assert (tmp_path / "calls").read_text() == "\n"
