"""The benchmarks run, and print their table; how long anything takes is not judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.cases import CASES

pytestmark = [pytest.mark.long(80), pytest.mark.timeout(600)]

PROGRAM = Path(__file__).with_name("run.py")


def test_a_small_run_measures_what_is_asked_for_and_prints_the_table(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Every ninth case; with ``--every-case`` all of them."""
    report = tmp_path / "table.md"
    chosen = CASES if pytestconfig.getoption("--every-case") else CASES[1::9]

    done = subprocess.run(
        [
            *(sys.executable, str(PROGRAM), "--small", "--markdown", str(report)),
            *(f"--case={case.name}" for case in chosen),
            *("--folder", str(tmp_path), "--former", str(PROGRAM.parents[2])),
        ],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for case in chosen:
        assert case.title in done.stdout
        assert f"| {case.title} |" in report.read_text()
    assert "hand-made pipeline (isal)" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [report.name]
