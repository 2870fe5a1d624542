"""Who may read every file of this machine: root, unless it has lost that power, or is root of a namespace alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import s3napback

_ASKING = "from s3napback.sources.blame import reads_everything; print(reads_everything())"


@pytest.mark.parametrize(
    ("prefix", "answer"),
    [
        ("", "True"),
        ("setpriv --inh-caps=-all --bounding-set=-all", "False"),
        ("setpriv --inh-caps=-all --bounding-set=-dac_override,-dac_read_search", "False"),
        ("setpriv --inh-caps=-all --bounding-set=-dac_override", "True"),
        ("setpriv --reuid=65534 --regid=65534 --clear-groups", "False"),
        ("unshare --user --map-root-user", "False"),
    ],
)
def test_root_reads_everything_unless_it_has_lost_that_power(prefix: str, answer: str) -> None:
    command = [*prefix.split(), sys.executable, "-c", _ASKING]
    folder = Path(s3napback.__file__).parent.parent
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == answer
