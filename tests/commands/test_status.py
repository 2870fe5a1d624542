"""``status``: of one configuration, and of all that a store holds; for people, programs and monitoring."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from s3napback.commands import backup, status
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.errors import S3napbackError
from s3napback.watch.keys import Place
from s3napback.watch.word import SourceWord, Word, read, written
from tests.faulty_s3 import FaultyS3
from tests.servers import S3Server
from tests.site import Site
from tests.stores.sources import BytesSource

CYCLE = "Diffs 2\nFulls 2"
TODAY = date.today()
PLACE = Place("", "test-host", "site")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Backed up today."""
    made = Site(tmp_path)
    (made.source / "file").write_text("content")
    made.configure_cycle(CYCLE)
    back_up(made)
    return made


def back_up(site: Site, day: date = TODAY) -> None:
    backup.run(load_configuration(site.configuration), day, BackupOptions())


def bare(site: Site) -> Configuration:
    """The store alone."""
    return replace(load_configuration(site.configuration), jobs=())


def document(configuration: Configuration) -> Any:
    said: list[str] = []
    status.show(configuration, lambda *lines: said.extend(lines), as_json=True)
    return json.loads("\n".join(said))


def states(configuration: Configuration) -> list[tuple[str, str, str]]:
    told = document(configuration)
    return [(each["state"], each["host"], each.get("source", "")) for each in (*told["sources"], *told["runs"])]


def checked(site: Site) -> tuple[int, str]:
    said: list[str] = []
    code = status.check([site.configuration], said.append)
    (line,) = said
    return code, line


def change_word(site: Site, change: Callable[[Word], Word]) -> None:
    word = read(b"".join(site.store().read(PLACE.key)))
    site.store().put(PLACE.key, BytesSource(written(change(word))), {})


def source_of(word: Word) -> SourceWord:
    (source,) = word.sources
    return source


# --- what is shown ---


def test_a_good_night_is_all_well(site: Site) -> None:
    told = document(load_configuration(site.configuration))
    assert (told["format"], told["store"], told["state"], told["runs"]) == (1, site.store().location, "OK", [])
    (source,) = told["sources"]
    assert (source["host"], source["configuration"], source["source"]) == (
        "test-host",
        "site",
        f"Directory {site.source}",
    )
    assert (source["outcome"], source["last_good"], source["reasons"]) == ("done", TODAY.isoformat(), [])
    assert source["size"] > 0
    assert document(bare(site))["sources"] == [source]
    assert checked(site) == (0, "OK - 1 source, all well | ok=1 warning=0 critical=0 unknown=0")


def test_the_table_shows_what_is_bad_first_with_the_reason_and_the_trend(site: Site) -> None:
    back_up(site, TODAY + timedelta(days=1))
    change_word(site, lambda word: replace(word, sources=(replace(source_of(word), size_before=1, seconds=61.0),)))
    other = replace_source(site, "Directory /late", outcome="failed", error="tool")
    said: list[str] = []
    assert status.show(other, lambda *lines: said.extend(lines), as_json=False) == 0
    assert said[0] == "WARNING: 2 sources, 1 warning."
    assert " ".join(said[2].split()) == "STATE HOST/CONF SOURCE NEWEST AGE DUE BY LAST RUN SIZE TREND TOOK WHY"
    assert said[3].startswith("WARNING  test-host/site  Directory /late")
    assert said[3].endswith("the last run failed (tool)")
    assert "0:01:01" in said[4]
    assert "00%" in said[4]


@pytest.mark.parametrize("width", [1, 40, 80])
def test_on_a_terminal_that_is_too_narrow_for_the_table_each_source_has_lines_of_its_own(
    site: Site, width: int
) -> None:
    both = replace_source(site, "Directory /late", outcome="failed", error="tool")
    wide: list[str] = []
    said: list[str] = []
    status.show(both, lambda *lines: wide.extend(lines), as_json=False, width=1000)
    status.show(both, lambda *lines: said.extend(lines), as_json=False, width=width)
    assert wide[2].startswith("STATE ")
    assert said[0] == wide[0]
    assert said[2].startswith("WARNING")
    if width == 80:
        assert max(map(len, said)) <= width
        assert said[2] == "WARNING  test-host/site  Directory /late"
        assert said[3] == "         the last run failed (tool)"
        # It may be past midnight by now.
        assert said[4].startswith(f"         newest {TODAY}, age {(date.today() - TODAY).days} d, due by ")


def replace_source(site: Site, source: str, **fields: object) -> Configuration:
    """The configuration, whose word speaks of a source more."""
    change_word(
        site,
        lambda word: replace(
            word,
            sources=(*word.sources, replace(word.sources[0], name="x", source=source, **fields)),  # type: ignore[arg-type]
        ),
    )
    return load_configuration(site.configuration)


def test_an_archive_that_somebody_has_taken_away_is_critical(site: Site) -> None:
    site.store().delete(f"{site.name()}-{site.slots()[0]}")
    code, line = checked(site)
    assert code == 2
    assert line.startswith(
        f"CRITICAL - 1 source, 1 critical: test-host/site Directory {site.source}: its newest archive"
    )
    assert line.endswith("| ok=0 warning=0 critical=1 unknown=0")
    assert states(bare(site)) == [("CRITICAL", "test-host", f"Directory {site.source}")]


def test_an_old_word_is_late_and_then_critical(site: Site) -> None:
    back = datetime.now(timezone.utc) - timedelta(hours=2)
    change_word(site, lambda word: replace(word, sources=(replace(source_of(word), expected_by=back),)))
    assert checked(site)[0] == 1
    change_word(site, lambda word: replace(word, sources=(replace(source_of(word), critical_by=back),)))
    assert checked(site)[0] == 2


def test_what_no_run_has_spoken_of_is_told(site: Site) -> None:
    site.configure(f"<Cycle nightly>\n{CYCLE}\nDirectory {site.source} /etc\n</Cycle>")
    assert states(load_configuration(site.configuration)) == [
        ("WARNING", "test-host", "Directory /etc"),
        ("OK", "test-host", f"Directory {site.source}"),
    ]
    other = site.configuration.with_name("other.conf")
    site.configuration.rename(other)
    assert states(load_configuration(other)) == [("UNKNOWN", "test-host", "")]


@pytest.mark.parametrize("junk", [b"[" * 100_000, b'{"schema":2}', b"\x1b[31m", b" " * 2_000_000], ids=range(4))
def test_a_word_that_cannot_be_read_is_not_known(site: Site, junk: bytes) -> None:
    site.store().put(PLACE.key, BytesSource(junk), {})
    code, line = checked(site)
    assert code == 3
    assert line.startswith("UNKNOWN - 0 sources, 1 unknown: test-host/site: its word cannot be read: ")
    assert states(bare(site)) == [("UNKNOWN", "test-host", "")]


def test_a_hostile_word_cannot_drive_a_terminal_nor_forge_numbers(site: Site) -> None:
    evil = "Directory /a\x1b]0;x\x07|ok=99\nOK - all well"
    change_word(site, lambda word: replace(word, sources=(replace(source_of(word), source=evil, outcome="failed"),)))
    code, line = checked(site)
    assert code == 1
    assert line.isprintable()
    assert line.count("|") == 1
    shown = site.run("status", day=None).stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 4


# --- all that a store holds ---


def test_archives_of_a_host_without_a_word_are_not_known_until_it_is_forgotten(site: Site) -> None:
    old = Site(site.root / "old")
    old.vault.rmdir()
    old.configure_cycle(CYCLE, general="Prefix old/machine")
    text = old.configuration.read_text().replace(str(old.vault), str(site.vault)).replace("test-host", "gone")
    old.configuration.write_text(text)
    (old.source / "file").write_text("content")
    back_up(old)
    place = Place("old/machine", "gone", "site")
    assert [state for state, *_ in states(bare(site))] == ["OK", "OK"]
    site.store().delete(place.key)
    assert ("UNKNOWN", "gone", "") in states(bare(site))
    said: list[str] = []
    with pytest.raises(S3napbackError, match="there are: test-host/site"):
        status.forget(bare(site), "nobody/site", said.append, test=False)
    assert status.forget(bare(site), "gone/site", said.append, test=True) == 0
    assert ("UNKNOWN", "gone", "") in states(bare(site))
    assert status.forget(bare(site), "gone/site", said.append, test=False) == 0
    assert said == [
        "gone/site would be forgotten; its archives stay, and its next run is watched again",
        "gone/site is forgotten; its archives stay, and its next run is watched again",
    ]
    assert states(bare(site)) == [("OK", "test-host", f"Directory {site.source}")]
    back_up(old)
    assert [state for state, *_ in states(bare(site))] == ["OK", "OK"]


def test_what_is_left_under_a_name_that_was_given_up_is_no_alarm(site: Site) -> None:
    """Nor are files that only look like archives."""
    site.store().put("backup-2024", BytesSource(b"x"), {})
    key = f"{site.name()}-{site.slots()[0]}"
    site.store().put("former-0-FULL", BytesSource(b"x"), site.metadata(key))
    assert states(bare(site)) == [("OK", "test-host", f"Directory {site.source}")]


def test_a_store_that_cannot_be_reached_is_not_known(site: Site) -> None:
    site.vault.rename(site.root / "unmounted")
    code, line = checked(site)
    assert (code, line.partition(" - ")[0]) == (3, "UNKNOWN")
    assert site.run("status", "--check", day=None, expect=3).stdout == f"{line}\n"
    assert site.run("status", day=None, expect=2).stdout == ""


def test_a_configuration_that_is_wrong_is_not_known(site: Site) -> None:
    site.configuration.write_text("Nonsense")
    code, line = checked(site)
    assert code == 3
    assert "Nonsense" in line


def test_thirty_hosts_are_asked_for_by_few_requests_and_in_time(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(moto)
    site = Site(tmp_path, proxy.server, moto.make_bucket())
    site.configure("")
    now = datetime.now(timezone.utc)
    client = moto.client()
    for host in range(30):
        client.put_object(Bucket=site.bucket, Key=f"h{host}/s-0-FULL", Body=b"x")
        good = SourceWord("s", "Directory /s", "c", "done", key="s-0-FULL", size=1, last_good=TODAY)
        good = replace(good, expected_by=now + timedelta(days=1))
        sources = [replace(good, source=f"Directory /s{number}") for number in range(10)]
        word = Word("1", f"host{host}", "c", "a", now, now, 0, ran=True, exit=0, sources=tuple(sources))
        client.put_object(Bucket=site.bucket, Key=Place(f"h{host}", f"host{host}", "c").key, Body=written(word))
    configuration = load_configuration(site.configuration)
    clock = time.process_time()
    told = document(configuration)
    assert time.process_time() - clock < 3
    assert (told["state"], len(told["sources"])) == ("OK", 300)
    asked = proxy.operations()
    assert (asked.count("ListObjectsV2"), asked.count("GetObject"), len(asked)) == (1, 30, 31)


def test_a_source_of_two_cycles_is_told_with_its_cycle(site: Site) -> None:
    cycles = "\n".join(f"<Cycle {name}>\n{CYCLE}\nDirectory {site.source}\n</Cycle>" for name in ("daily", "weekly"))
    site.configure(f"{cycles}\nDirectory {site.root / 'diffs'}")
    back_up(site)
    shown = site.run("status", day=None).stdout
    source = f"Directory {site.source}"
    assert [shown.count(f"{source} (Cycle {name})  ") for name in ("daily", "weekly")] == [1, 1]
    assert f"Directory {site.root / 'diffs'}  " in shown
    store = site.store()
    for found in list(store.list(f"weekly/{site.name()}")):
        store.delete(found.key)
    assert f"{source} (Cycle weekly): " in site.run("status", "--check", day=None, expect=2).stdout
