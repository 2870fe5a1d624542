"""Two machines, or configurations, under the same names: what one has stored the other does not replace unsaid."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from s3napback.backup import slots
from s3napback.backup.tally import Tally
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site
from tests.waiting import becomes

BLOCK = "<Cycle nightly>\nFulls 3\n<Command words>\nRun {}\n</Command>\n</Cycle>"
UNKNOWN = (
    "by a run that this DiffDir knows nothing of. If it was another machine, the files of this one are in no backup"
)


class Machines:
    """Two with one store; the dump of the first takes until the second one has made its own."""

    def __init__(self, folder: Path, server: S3Server | None, host: str) -> None:
        self.first = Site(folder / "first", server)
        self.second = Site(folder / "second")
        self._ready, self._goes_on = folder / "ready", folder / "goes-on"
        self.first.configure(BLOCK.format("/bin/echo second"))
        text = self.first.configuration.read_text().replace("test-host", host)
        own = text.replace(f"DiffDir {self.first.diff_dir}", f"DiffDir {self.second.diff_dir}")
        self.second.configuration.write_text(own)
        waiting = f": > {self._ready}; until [ -e {self._goes_on} ]; do sleep 0.05; done"
        self.first.configure(BLOCK.format(f'/bin/sh -c "{waiting}; echo first"'))

    def night(self, number: int) -> Tally:
        """What came of the first one's run; that of the second has succeeded in the midst of it."""
        for path in (self._ready, self._goes_on):
            path.unlink(missing_ok=True)
        thread = threading.Thread(target=self._second, args=(number,))
        thread.start()
        configuration = load_configuration(self.first.configuration)
        tally = backup.run(configuration, FIRST_DAY + timedelta(days=number), BackupOptions())
        thread.join()
        return tally

    def _second(self, number: int) -> None:
        try:
            assert becomes(self._ready.exists, 60)
            self.second.run(day=number)
        finally:
            self._goes_on.touch()


@pytest.mark.parametrize("is_distant", [False, True])
@pytest.mark.parametrize(
    ("host", "reason"), [("other", "belongs to Command words of host other"), ("test-host", f"meanwhile {UNKNOWN}")]
)
def test_what_comes_into_the_slot_while_a_long_dump_is_made_is_not_replaced(
    tmp_path: Path,
    moto: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    host: str,
    reason: str,
    *,
    is_distant: bool,
) -> None:
    """When the first one began, nothing was there."""
    monkeypatch.setattr(slots, "FRESH_SECONDS", 0.0)
    machines = Machines(tmp_path, moto if is_distant else None, host)
    assert machines.night(0).failed == 1
    assert reason in caplog.text
    assert machines.first.metadata("Command/words-0")["s3napback-host"] == host
    assert "1 skipped" in machines.second.run(day=0).stderr


def test_what_was_replaced_within_a_minute_is_told_the_next_night(tmp_path: Path, moto: S3Server) -> None:
    """Both were done, and which of them was the last is chance; here it is the first one."""
    machines = Machines(tmp_path, moto, "test-host")
    assert machines.night(0).done == 1
    told = machines.second.run("--strict", day=1, expect=3).stderr
    assert f"Command words: the last backup, Command/words-0 of 2026-01-01, was replaced {UNKNOWN}" in told
    machines.second.run("--strict", day=2)


def test_a_source_that_two_configurations_have_under_one_name_is_told(tmp_path: Path) -> None:
    """Of a Cycle that was renamed it is told once; where both go on, whenever the other one has been at work."""
    site = Site(tmp_path)
    told = {}
    for night, cycle in enumerate(["daily", "daily", "weekly", "weekly", "daily"]):
        site.configure(f"<Cycle {cycle}>\nDiffs 1\nFulls 3\nDirectory {site.source}\n</Cycle>")
        told[night] = site.run("--strict", day=night, expect=None).stderr
    assert [night for night, text in told.items() if "both fill the same slots" in text] == [2, 4]
    assert "the Cycle daily made its archives until now, and the Cycle weekly does from now on" in told[2]
