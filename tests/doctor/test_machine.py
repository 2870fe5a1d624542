"""The machine's part: each look finds what is wrong, and nothing where all is well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from s3napback.chains import History, Link, SourceState
from s3napback.config.settings import Configuration, EncryptionSettings, Job, JobSettings, Notices, StoreSettings
from s3napback.doctor.checks import Check, Outcome
from s3napback.doctor.machine import (
    check_configuration,
    check_folders,
    check_keys,
    check_room,
    check_schedule,
    check_starting,
    check_tools,
)
from s3napback.rotation import ArchiveType, SimpleCycle, day_date, day_number
from tests.catalogues import job
from tests.gpg_keys import GpgHome, gpg_home
from tests.manual import CHECKOUT

TODAY = date(2026, 1, 10)


@pytest.fixture(scope="module")
def home() -> Iterator[GpgHome]:
    with gpg_home() as made:
        made.make_key("Backups <backups@example.org>")
        yield made


def configuration(root: Path, **others: object) -> Configuration:
    for name in ("diffs", "temp"):
        (root / name).mkdir(exist_ok=True)
    made = Configuration(
        root / "x.conf", StoreSettings("b"), diff_dir=root / "diffs", temp_dir=root / "temp", jobs=(job(),)
    )
    return replace(made, **others)  # type: ignore[arg-type]


def outcomes(checks: Iterator[Check]) -> list[tuple[str, Outcome]]:
    return [(each.subject, each.outcome) for each in checks]


def test_what_the_configuration_warns_of_is_to_be_mended(tmp_path: Path) -> None:
    assert outcomes(check_configuration(configuration(tmp_path))) == [("sources", Outcome.GOOD)]
    found = outcomes(check_configuration(configuration(tmp_path, jobs=(), warnings=("x.conf:1: what",))))
    assert found == [("sources", Outcome.BAD), ("warning", Outcome.BAD)]


def test_keys_that_cannot_be_used_are_to_be_mended(tmp_path: Path, home: GpgHome) -> None:
    settings = EncryptionSettings(("backups@example.org",), home=home.path)
    good = list(check_keys(configuration(tmp_path, encryption=settings), TODAY))
    assert [each.outcome for each in good] == [Outcome.GOOD]
    lost = replace(settings, recipients=("nobody@example.org",))
    (found,) = check_keys(configuration(tmp_path, encryption=lost), TODAY)
    assert found.outcome is Outcome.BAD
    assert "nobody@example.org" in found.found


@pytest.mark.parametrize(("is_off", "outcome"), [(True, Outcome.GOOD), (False, Outcome.BAD)])
def test_plain_text_is_well_if_that_was_meant(tmp_path: Path, is_off: bool, outcome: Outcome) -> None:
    (found,) = check_keys(configuration(tmp_path, encryption=EncryptionSettings(is_off=is_off)), TODAY)
    assert found.outcome is outcome


def test_programs_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = replace(job("words", source="Command words"), settings=JobSettings(run=("no-such-program",)))
    jobs: list[Job] = [job(), job("db", source="PostgreSQL db"), words]
    assert outcomes(check_tools([job()])) == [("tar", Outcome.GOOD)]
    monkeypatch.setenv("PATH", str(tmp_path))
    found = outcomes(check_tools(jobs))
    assert found == [(name, Outcome.BAD) for name in ("tar", "pg_dump", "psql", "Command words")]


def test_programs_of_ones_own_that_are_missing_are_named() -> None:
    hooked = JobSettings(before=("/nowhere/mount", "x"), after=("sh",), drill=("no-such-judge",))
    found = outcomes(check_tools([replace(job(), settings=hooked)], Notices(on_success=("true",), on_failure=("/no",))))
    wrong = [subject for subject, outcome in found if outcome is Outcome.BAD]
    assert wrong == ["OnFailure", "Directory /etc, Before", "Directory /etc, Drill"]


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    assert outcomes(check_folders(configuration(tmp_path))) == [("DiffDir", Outcome.GOOD), ("TempDir", Outcome.GOOD)]
    (tmp_path / "diffs").chmod(0o777)
    assert outcomes(check_folders(configuration(tmp_path)))[0] == ("DiffDir", Outcome.BAD)
    missing = configuration(tmp_path, temp_dir=tmp_path / "none")
    assert outcomes(check_folders(missing))[1] == ("TempDir", Outcome.BAD)


def test_room_is_what_the_last_night_needed(tmp_path: Path) -> None:
    state = SourceState("etc", job().source, "nightly", expected_sizes={"FULL": 1 << 62})
    spooled = replace(job(), settings=JobSettings(use_temp_file=True))
    store = StoreSettings(folder=tmp_path)
    plain = outcomes(check_room(configuration(tmp_path), [state]))
    assert plain == [("DiffDir", Outcome.GOOD)]
    found = outcomes(check_room(configuration(tmp_path, jobs=(spooled,), store=store), [state]))
    assert found == [("DiffDir", Outcome.GOOD), ("TempDir", Outcome.BAD), ("the store", Outcome.BAD)]


@pytest.mark.parametrize(
    ("age", "outcome"),
    [
        (0, Outcome.GOOD),
        (2, Outcome.GOOD),
        (3, Outcome.BAD),
        (-1, Outcome.GOOD),
        (-2, Outcome.BAD),
        (None, Outcome.UNKNOWN),
    ],
)
def test_each_source_has_a_backup_as_new_as_its_cycle_says(tmp_path: Path, age: int | None, outcome: Outcome) -> None:
    state = SourceState("etc", job().source, "nightly")
    if age is not None:
        link = Link("id", "etc-0-FULL", 0, ArchiveType.FULL, day_number(TODAY) - age)
        state = replace(state, history=History((link,)))
    (found,) = check_schedule(configuration(tmp_path, jobs=(job(schedule=SimpleCycle()),)), [state], TODAY)
    assert found.outcome is outcome
    if age == 3:
        assert str(day_date(day_number(TODAY) - 3)) in found.found


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_that_starts_the_night_is_to_be_mended(tmp_path: Path) -> None:
    write(tmp_path / "etc/cron.d/other", "# s3napback is not here\n0 1 * * * root other\n")
    (found,) = check_starting(tmp_path)
    assert found.outcome is Outcome.BAD


def test_a_line_of_cron_starts_it(tmp_path: Path) -> None:
    write(tmp_path / "etc/cron.d/s3napback", "20 4 * * * root nice s3napback\n")
    (found,) = check_starting(tmp_path)
    assert (found.outcome, found.found) == (Outcome.GOOD, f"it is started by {tmp_path}/etc/cron.d/s3napback")


def test_a_timer_starts_it_once_it_is_enabled(tmp_path: Path) -> None:
    timer = tmp_path / "etc/systemd/system/s3napback.timer"
    write(timer, "[Unit]\nDescription=Nightly backup by s3napback\n")
    found = list(check_starting(tmp_path))
    assert [each.outcome for each in found] == [Outcome.BAD, Outcome.BAD]
    assert "systemctl enable --now s3napback.timer" in found[0].found
    wants = timer.parent / "timers.target.wants" / timer.name
    wants.parent.mkdir()
    wants.symlink_to(timer)
    assert [each.outcome for each in check_starting(tmp_path)] == [Outcome.GOOD]


def test_a_timer_of_an_ordinary_user_starts_it_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    timer = home / ".config/systemd/user/mine.timer"
    write(timer, "[Unit]\nDescription=s3napback, every night\n")
    found = list(check_starting(tmp_path, home=home))
    assert "systemctl --user enable --now mine.timer" in found[0].found
    wants = timer.parent / "timers.target.wants" / timer.name
    wants.parent.mkdir()
    wants.symlink_to(timer)
    assert [each.outcome for each in check_starting(tmp_path, home=home)] == [Outcome.GOOD]


def test_a_timer_that_a_package_brought_is_named_once_and_only_where_nothing_else_starts_it(tmp_path: Path) -> None:
    write(tmp_path / "usr/lib/systemd/system/s3napback.timer", "[Unit]\nDescription=Nightly backup by s3napback\n")
    (tmp_path / "lib").symlink_to("usr/lib")
    found = list(check_starting(tmp_path))
    assert [each.subject for each in found] == ["s3napback.timer", "nightly run"]
    write(tmp_path / "etc/cron.d/s3napback", "20 4 * * * root /usr/bin/s3napback\n")
    assert [each.outcome for each in check_starting(tmp_path)] == [Outcome.GOOD]


def test_the_timer_of_a_drill_starts_no_nightly_run_and_need_not_be_enabled(tmp_path: Path) -> None:
    units = tmp_path / "etc/systemd/system"
    for name in ("s3napback-drill.timer", "s3napback-drill.service"):
        write(units / name, (CHECKOUT / "examples" / name).read_text())
    for is_enabled in (False, True):
        if is_enabled:
            (units / "timers.target.wants").mkdir()
            (units / "timers.target.wants/s3napback-drill.timer").symlink_to("../s3napback-drill.timer")
        (found,) = check_starting(tmp_path)
        assert (found.outcome, found.subject) == (Outcome.BAD, "nightly run")


def test_what_may_not_be_read_leaves_it_open(tmp_path: Path) -> None:
    write(tmp_path / "etc/crontab", "x")

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    (found,) = check_starting(tmp_path, refused)
    assert found.outcome is Outcome.UNKNOWN
    assert "etc/crontab cannot be read" in found.found
