"""Who may read every file of this machine: root, unless it has lost that power, or is root of a namespace alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import s3napback

_ASKING = "from s3napback.sources.blame import reads_everything; print(reads_everything())"
_AS_NOBODY = f"import os; {_ASKING}; os.setgroups([]); os.setgid(65534); os.setuid(65534)"


@pytest.mark.parametrize(
    ("prefix", "answer"),
    [
        ("", "True"),
        ("setpriv --inh-caps=-all --bounding-set=-all", "False"),
        ("setpriv --inh-caps=-all --bounding-set=-dac_override,-dac_read_search", "False"),
        ("setpriv --inh-caps=-all --bounding-set=-dac_override", "True"),
        ("unshare --user --map-root-user", "False"),
    ],
)
def test_root_reads_everything_unless_it_has_lost_that_power(prefix: str, answer: str) -> None:
    assert asked(_ASKING, *prefix.split()) == answer


def test_an_ordinary_user_does_not_read_everything() -> None:
    # All is loaded before: Python itself may lie where that user may not go.
    assert asked(f"{_AS_NOBODY}; {_ASKING}").split() == ["True", "False"]


def asked(script: str, *prefix: str) -> str:
    command = [*prefix, sys.executable, "-c", script]
    folder = Path(s3napback.__file__).parent.parent
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
