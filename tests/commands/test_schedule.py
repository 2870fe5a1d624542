"""``schedule``: what it says is what the nights then do, and it needs no store to say it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from s3napback.commands import backup, schedule
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from tests.site import FIRST_DAY, Site

CYCLES = """
<Cycle groups>
    Diffs 2
    Fulls 2
    Offset 1
    Directory {source}
</Cycle>
<Cycle discs>
    CycleType HanoiCycle
    Discs 3
    Frequency 2
    <Command words>
        Run echo words
    </Command>
</Cycle>
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    (made.source / "file").write_text("content")
    made.configure(CYCLES.format(source=made.source))
    return made


def document(site: Site, today: int, first: int, count: int) -> Any:
    said: list[str] = []
    configuration = load_configuration(site.configuration)
    days = FIRST_DAY + timedelta(days=today), FIRST_DAY + timedelta(days=first)
    assert schedule.show(configuration, *days, count, lambda *lines: said.extend(lines), as_json=True) == 0
    return json.loads("\n".join(said))


def back_up(site: Site, day: int) -> None:
    backup.run(load_configuration(site.configuration), FIRST_DAY + timedelta(days=day), BackupOptions())


def foreseen_keys(told: Any, site: Site) -> dict[str, set[str]]:
    """By day the keys that are foreseen."""
    names = {f"Directory {site.source}": (site.name(), True), "Command words": ("Command/words", False)}
    found: dict[str, set[str]] = {}
    for each in told["schedules"]:
        for source in set(each["sources"]) & names.keys():
            name, has_type = names[source]
            for night in each["nights"]:
                key = f"{name}-{night['slot']}-{night['type']}" if has_type else f"{name}-{night['slot']}"
                found.setdefault(night["day"], set()).add(key)
    return found


def test_every_real_night_writes_what_was_foreseen_at_first_and_on_the_night_before(site: Site) -> None:
    at_first = foreseen_keys(document(site, 0, 0, 8), site)
    for night in range(8):
        day = (FIRST_DAY + timedelta(days=night)).isoformat()
        now = foreseen_keys(document(site, night, night, 8 - night), site)
        assert now == {each: keys for each, keys in at_first.items() if each >= day}
        before = {found.key: found.metadata["s3napback-id"] for found in heads(site)}
        back_up(site, night)
        made = {found.key for found in heads(site) if before.get(found.key) != found.metadata["s3napback-id"]}
        assert made == at_first.get(day, set())
    # What is done needs not be done again.
    assert set(foreseen_keys(document(site, 7, 7, 2), site)) == {(FIRST_DAY + timedelta(days=8)).isoformat()}


def heads(site: Site) -> list[Any]:
    store = site.store()
    return [store.head(key) for key in site.archive_keys()]


def test_a_day_before_the_newest_archive_begins_anew(site: Site) -> None:
    back_up(site, 3)
    told = document(site, 3, 0, 2)
    nights = told["schedules"][0]["nights"]
    assert [(night["day"], night["restorable"]) for night in nights] == [
        ("2026-01-01", ["2026-01-01"]),
        ("2026-01-02", ["2026-01-01", "2026-01-02"]),
    ]


def test_sources_behind_a_pattern_are_told_one_by_one_as_soon_as_they_are_known(site: Site) -> None:
    for name in ("one.db", "two.db"):
        with closing(sqlite3.connect(site.source / name)) as database, database:
            database.execute("CREATE TABLE words (word)")
    site.configure(f"<Cycle nightly>\nFulls 2\nSQLite {site.source}/*.db\n</Cycle>")
    (before,) = document(site, 0, 0, 1)["schedules"]
    assert before["sources"] == [f"SQLite {site.source}/*.db"]
    back_up(site, 0)
    (after,) = document(site, 0, 0, 2)["schedules"]
    assert sorted(after["sources"]) == [f"SQLite {site.source}/{name}" for name in ("one.db", "two.db")]
    assert [night["restorable"] for night in after["nights"]] == [["2026-01-01", "2026-01-02"]]


def test_state_that_cannot_be_read_is_a_warning(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    back_up(site, 0)
    (state,) = site.diff_dir.glob("*/*source*/state.json")
    state.write_text("{")
    assert document(site, 1, 1, 1)["schedules"][0]["nights"][0]["type"] == "FULL"
    assert "as if there had been no backup yet" in caplog.text


def test_that_nothing_is_backed_up_is_told(site: Site) -> None:
    site.configure("")
    assert "it names no source, so nothing is backed up" in site.run("schedule").stderr


def test_the_command_line_asks_no_store_and_shows_a_calendar(tmp_path: Path) -> None:
    path = tmp_path / "far.conf"
    path.write_text("Bucket nowhere\nEndpoint http://127.0.0.1:9\nEncryption Off\nHostName h\nDirectory /etc\n")
    site = Site(tmp_path / "site")
    path.replace(site.configuration)
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    done = site.run("schedule", "--days", "2", "--from", "2026-02-01", environment=environment)
    assert done.stdout.splitlines()[0].startswith("From 2026-02-01 to 2026-02-02")
    assert "Sun 2026-02-01" in done.stdout
    told = json.loads(site.run("schedule", "--json", environment=environment).stdout)
    assert (told["from"], told["days"], len(told["schedules"][0]["nights"])) == ("2026-01-01", 35, 35)
    assert "there are days from 1970-01-01 to 9999-12-31" in site.run("schedule", "--from=9999-12-01", expect=2).stderr
