"""What the kernel says of this process's powers, against what it lets it do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from s3napback.capabilities import DAC_OVERRIDE, DAC_READ_SEARCH, effective_capabilities, is_bound_by_modes

SAY = """
import sys
from pathlib import Path
from s3napback.capabilities import effective_capabilities, is_bound_by_modes
closed = Path(sys.argv[1])
def may(action):
    try:
        action()
    except PermissionError:
        return False
    return True
print(is_bound_by_modes(), effective_capabilities(), may(closed.read_bytes), may(lambda: closed.write_bytes(b"")))
"""


def test_root_has_all() -> None:
    assert not is_bound_by_modes()
    assert effective_capabilities() & DAC_OVERRIDE
    assert effective_capabilities() & DAC_READ_SEARCH


@pytest.mark.parametrize(
    ("options", "reads", "writes"),
    [
        (["--drop=cap_mknod"], True, True),
        (["--drop=cap_dac_override"], True, False),
        (["--drop=cap_dac_override,cap_dac_read_search"], False, False),
    ],
    ids=["root", "root that reads", "root without powers"],
)
def test_they_are_what_the_kernel_goes_by(tmp_path: Path, options: list[str], reads: bool, writes: bool) -> None:
    closed = tmp_path / "closed"
    closed.touch(mode=0)
    tmp_path.chmod(0o755)
    command = ["capsh", *options, "--", "-c", 'exec "$@"', "x", sys.executable, "-c", SAY, str(closed)]
    bound, found, *may = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert may == [str(reads), str(writes)]
    assert bound == str(not writes)
    assert bool(int(found) & DAC_OVERRIDE) == writes
    assert bool(int(found) & (DAC_OVERRIDE | DAC_READ_SEARCH)) == reads
