"""Patterns of SQLite databases: what they stand for, under which names, and what the other commands make of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from s3napback.catalogue.claims import keeps, possible_names, sources_of
from s3napback.commands import prune
from s3napback.config.loading import load_configuration
from s3napback.kinds import KINDS, SourceName
from s3napback.sources.registry import expand_job
from s3napback.targets import InvalidNameError, matches_pattern
from tests.catalogues import job
from tests.databases.sqlite_nights import night, restored, verified
from tests.databases.sqlite_writer import make, numbers
from tests.site import FIRST_DAY, Site

SQLITE = KINDS["SQLite"]


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    for name in ("a", "b", ".hidden"):
        (tmp_path / "srv" / name).mkdir(parents=True)
        make(tmp_path / "srv" / name / "data.db", rows=1)
    return tmp_path / "srv"


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/srv/*/data.db", "/srv/a/data.db", True),
        ("/srv/*/data.db", "/srv/a/b/data.db", False),
        ("/srv/*/data.db", "/srv/.a/data.db", False),
        ("/srv/.*/data.db", "/srv/.a/data.db", True),
        ("/srv/[ab]/*.db", "/srv/b/x.db", True),
        ("/srv/[?].db", "/srv/?.db", True),
        ("/srv/[?].db", "/srv/x.db", False),
        ("/srv/x.DB", "/srv/x.db", False),
    ],
)
def test_wildcards_match_within_a_component(pattern: str, path: str, expected: bool) -> None:
    assert matches_pattern(pattern, path) is expected


@pytest.mark.parametrize("text", ["/", "/srv/", "/srv/**/x.db", "srv/x.db", ""])
def test_what_is_no_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError):
        SQLITE.grammar.normalised(text)


def test_each_file_is_a_source_of_its_own_and_new_ones_are_taken(site: Site, srv: Path, tmp_path: Path) -> None:
    body = f"<SQLite {srv}/*/*.db*>\nFulls 2\n</SQLite>"
    assert night(site, body, 0).done == 2
    make(srv / "b" / "more.db", rows=3)
    (srv / "b" / "more.db-journal").touch()
    tally = night(site, body, 1)
    assert (tally.done, tally.failed) == (3, 0)
    start = f"SQLite{srv}"
    assert site.archive_keys() == [
        f"{start}/a/data.db-0",
        f"{start}/a/data.db-1",
        f"{start}/b/data.db-0",
        f"{start}/b/data.db-1",
        f"{start}/b/more.db-1",
    ]
    assert numbers(restored(site, f"{srv}/b/more.db", tmp_path / "copy")) == [0, 1, 2]
    assert verified(site, f"SQLite {srv}/a/data.db")[0] == 0
    lines: list[str] = []
    assert prune.prune(load_configuration(site.configuration), FIRST_DAY, lines.append, delete=True, unowned=True) == 0
    assert len(site.archive_keys()) == 5


def test_one_that_matches_nothing_fails_unless_it_is_meant(
    site: Site, srv: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = f"<SQLite {srv}/*/none.db>\nFrequency 7\n</SQLite>"
    assert night(site, body, 0).failed == 1
    assert f"SQLite {srv}/*/none.db FAILED: matches no file. Is a disk not mounted?" in caplog.text
    assert night(site, body, 0, force=True).failed == 0
    assert night(site, body, 1).failed == 0


def test_a_missed_night_of_what_it_stands_for_is_made_up(site: Site, srv: Path) -> None:
    body = f"<SQLite {srv}/*/data.db>\nFrequency 7\n</SQLite>"
    assert night(site, body, 0).done == 2
    (srv / "a" / "data.db").rename(srv / "a" / "elsewhere")
    (srv / "b" / "data.db").rename(srv / "b" / "elsewhere")
    assert night(site, body, 7 + 1).failed == 1


def test_what_has_an_entry_of_its_own_is_left_to_that_and_the_first_of_two_patterns_wins(
    site: Site, srv: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pattern = f"{srv}/*/data.db"
    body = f"SQLite {pattern} {srv}/a/*.db {srv}/b/data.db"
    assert night(site, f"<Cycle one>\n{body}\n</Cycle>").done == 2
    assert f"SQLite {srv}/b/data.db has an entry of its own at {site.configuration}:" in caplog.text
    assert f"SQLite {srv}/a/data.db is matched by SQLite {pattern} at {site.configuration}:" in caplog.text
    both = "".join(f"<Cycle {name}>\nSQLite {pattern}\n</Cycle>\n" for name in ("two", "three"))
    assert night(site, both, 1).done == 4
    assert {key.partition("/")[0] for key in site.archive_keys()} == {"SQLite", "two", "three"}


def test_names_that_cannot_be_sources_are_passed_over_aloud(
    site: Site, srv: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (b"\xff.db", b"line\nbreak.db"):
        (srv / os.fsdecode(name)).write_bytes(b"x")
    tally = night(site, f"<SQLite {srv}/*.db>\n</SQLite>")
    assert (tally.done, tally.failed, tally.warnings) == (0, 0, 2)
    assert caplog.text.count("is passed over and NOT backed up") == 2
    assert "\\xff.db" in caplog.text


def test_a_folder_that_cannot_be_looked_into_is_named(srv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    wanted = job(f"SQLite{srv}/*/*.db", source=f"SQLite {srv}/*/*.db")
    expansion = expand_job(wanted, (wanted,))
    assert [each.target for each in expansion.jobs] == [f"{srv}/a/data.db"]
    assert expansion.remarks == [
        (
            logging.WARNING,
            f"{srv}/b cannot be looked into, and what may match there is NOT backed up: Permission denied",
        )
    ]


def test_a_configuration_knows_what_its_patterns_keep() -> None:
    plain = job("SQLite/srv/*/x.db", source="SQLite /srv/*/x.db")
    qualified = job("nightly/SQLite/srv/*/x.db", source="SQLite /srv/*/x.db")
    inner = SourceName("SQLite", "/srv/a/x.db")
    assert sources_of(plain, "SQLite/srv/a/x.db") == {inner} == sources_of(qualified, "nightly/SQLite/srv/a/x.db")
    assert sources_of(plain, "SQLite/srv/a/y.db") == set() == sources_of(plain, "nightly/SQLite/srv/a/x.db")
    assert sources_of(plain, "srv/a/x.db") == set()
    assert keeps(plain, inner)
    assert not keeps(plain, SourceName("Directory", "/srv/a/x.db"))
    assert possible_names(inner, "nightly") == {"SQLite/srv/a/x.db", "nightly/SQLite/srv/a/x.db"}
