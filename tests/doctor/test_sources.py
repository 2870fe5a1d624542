"""The sources' part: what is not there is said before a night fails for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.chains import SourceState
from s3napback.config.settings import Configuration, Job, JobSettings, StoreSettings
from s3napback.doctor import sources
from s3napback.doctor.checks import Check, Outcome
from s3napback.doctor.sources import check_sources
from tests.catalogues import job


def of(kind: str, target: Path | str, **settings: object) -> Job:
    made = job(str(target), source=f"{kind} {target}")
    return replace(made, settings=replace(made.settings, **settings))  # type: ignore[arg-type]


def looked(*jobs: Job, states: tuple[SourceState, ...] = ()) -> list[Check]:
    return list(check_sources(Configuration(Path("x.conf"), StoreSettings("b"), jobs=jobs), states))


def test_what_is_not_there_is_told_and_programs_and_servers_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    jobs = [
        of("Directory", tmp_path / "there"),
        *(of(kind, tmp_path / "none") for kind in ("Directory", "SQLite", "Subversion", "SubversionDir")),
        of("SQLite", tmp_path / "*.db"),
        of("MySQL", "shop"),
        replace(job("words", source="Command words"), settings=JobSettings(run=("no-such-program",))),
    ]
    *wrong, good = looked(*jobs)
    assert [(each.subject, each.outcome) for each in wrong] == [(str(each.source), Outcome.BAD) for each in jobs[1:6]]
    assert all("does not exist" in each.found for each in wrong[:4])
    assert (good.outcome, good.found) == (Outcome.GOOD, "1 source of files can be looked at")


def test_what_has_become_empty_is_told_and_what_a_hook_brings_about_is_not_known(tmp_path: Path) -> None:
    empty = of("Directory", tmp_path)
    assert [each.outcome for each in looked(empty)] == [Outcome.GOOD]
    state = SourceState(empty.name, empty.source, "nightly", had_content=True)
    (found,) = looked(empty, states=(state,))
    assert (found.outcome, "Is a disk not mounted?" in found.found) == (Outcome.BAD, True)
    (found,) = looked(of("Directory", tmp_path / "none", before=("mount", "x")))
    assert (found.outcome, found.found) == (Outcome.UNKNOWN, "as it is now, without Before: does not exist")


def test_a_file_system_that_hangs_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_may_hang", lambda: True)
    monkeypatch.setattr(
        sources, "silent_among", lambda paths, _timeout: [path for path in paths if path.startswith("/hang")]
    )
    found = looked(of("Directory", "/hang/a"), of("Directory", tmp_path), of("Directory", "/hang/b"))
    assert [each.outcome for each in found] == [Outcome.BAD, Outcome.BAD, Outcome.GOOD]
    assert "it hangs" in found[0].found
