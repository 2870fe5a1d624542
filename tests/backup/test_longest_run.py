"""LongestRun: what has not begun in time waits for the next night, is told, and comes first then."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from s3napback.backup import turns
from s3napback.backup.tally import Tally
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.watch.keys import Place
from s3napback.watch.states import State, judge_source
from s3napback.watch.word import Word, read
from tests.site import FIRST_DAY, Site

NAMES = ("a", "b", "c")


class Late:
    """The clock of the turns, as soon as so many of them have looked at it: hours late."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self._looks = after
        monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=self))

    def __call__(self) -> float:
        self._looks -= 1
        return time.monotonic() + (0 if self._looks >= 0 else 3 * 3600)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    for name in NAMES:
        (made.source / name).mkdir()
        (made.source / name / "file").write_text("x")
    return made


def back_up(site: Site, day: int, *, hours: int = 2, jobs: int = 1, order: str = "".join(NAMES)) -> Tally:
    body = "\n".join(f"Directory {site.source}/{name}" for name in order)
    site.configure(f"<Cycle nightly>\nDiffs 0\n{body}\n</Cycle>", general=f"LongestRun {hours}\nJobs {jobs}")
    return backup.run(load_configuration(site.configuration), FIRST_DAY + timedelta(days=day), BackupOptions())


def word(site: Site) -> Word:
    return read((site.vault / Place("", "test-host", "site").key).read_bytes())


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_has_not_begun_in_time_is_put_off_with_a_word(
    site: Site, jobs: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert back_up(site, 0).done == 3
    Late(monkeypatch, 2)
    tally = back_up(site, 1, jobs=jobs)
    assert (tally.done, tally.skipped, tally.failed, tally.warnings, tally.exit_code) == (2, 1, 0, 1, 0)
    late = "not begun, since the run has taken 2 hours (LongestRun); it waits for the next night"
    assert caplog.text.count(late) == 1
    found = {each.outcome: each for each in word(site).sources}
    put_off = found["skipped"]
    assert (put_off.error, put_off.key is not None, put_off.warnings) == ("time", True, 0)
    sizes = {each.key: each.size for each in word(site).sources if each.key and each.size}
    before = datetime(2026, 1, 2, 3, tzinfo=timezone.utc)
    assert judge_source(put_off, "", sizes, before).state is State.OK
    assert judge_source(put_off, "", sizes, before).reasons == ("put off by the last run (LongestRun)",)
    assert judge_source(put_off, "", sizes, before + timedelta(days=1)).state is State.WARNING


def test_what_is_not_due_or_done_is_not_put_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert back_up(site, 0).done == 3
    Late(monkeypatch, 0)
    assert back_up(site, 0).warnings == 0
    assert all(each.error is None for each in word(site).sources)


def test_what_was_put_off_begins_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert back_up(site, 0).done == 3
    put_off = []
    for day in range(1, 7):
        Late(monkeypatch, 2)
        assert back_up(site, day).done == 2
        put_off += [each.name[-1] for each in word(site).sources if each.error == "time"]
    # None twice running.
    assert put_off == ["c", "b"] * 3


def test_without_it_a_run_takes_as_long_as_it_takes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    Late(monkeypatch, 0)
    assert back_up(site, 0, hours=0).done == 3


def test_before_is_not_run_for_what_is_put_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"<SubversionDir {site.source}>\nBefore touch {site.root}/begun\n</SubversionDir>"
    site.configure(body, general="LongestRun 1")
    Late(monkeypatch, 0)
    tally = backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions())
    assert (tally.failed, tally.warnings) == (0, 1)
    assert not (site.root / "begun").exists()
