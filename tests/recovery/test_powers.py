"""What gives powers is named by the path at which it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3napback.recovery.powers import Powers
from s3napback.recovery.refusals import Refusals


@pytest.mark.parametrize(("where", "named"), [("/", "/bin/su"), ("/srv/a\tb", "/srv/a\\tb/bin/su")])
def test_a_path_is_as_it_is_written_elsewhere(caplog: pytest.LogCaptureFixture, where: str, named: str) -> None:
    powers = Powers()
    powers.note("bin/su", "setuid")
    powers.tell(Path(where), Refusals())
    assert f": {named} (setuid)" in caplog.text
