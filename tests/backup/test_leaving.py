"""Every run leaves its word, however it ends, and nothing takes that for an archive."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from s3napback.backup import leaving
from s3napback.backup.journal import Journal
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.errors import Interrupted, S3napbackError, StoreError, StoreUnreachable
from s3napback.run_lock import locked
from s3napback.stores.opening import open_store
from s3napback.watch.keys import Place
from s3napback.watch.word import Word, read
from tests.faulty_s3 import Fault, FaultyS3, answer, stall
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site
from tests.stores.sources import BytesSource
from tests.waiting import becomes

PLACE = Place("", "test-host", "site")
CYCLE = "Diffs 2\nFulls 2"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    (made.source / "file").write_text("content")
    made.configure_cycle(CYCLE)
    return made


@pytest.fixture
def behind(tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> tuple[Site, FaultyS3]:
    """The same site with a store that can be made to fail."""
    proxy = faulty(moto)
    made = Site(tmp_path, proxy.server, moto.make_bucket())
    (made.source / "file").write_text("content")
    made.configure_cycle(CYCLE)
    return made, proxy


def back_up(site: Site, day: int = 0) -> None:
    backup.run(load_configuration(site.configuration), FIRST_DAY + timedelta(days=day), BackupOptions())


def word_of(site: Site, place: Place = PLACE) -> Word:
    return read(b"".join(site.store().read(place.key)))


def test_a_good_night_is_told_with_what_lies_in_the_store(site: Site) -> None:
    back_up(site)
    back_up(site, 1)
    word = word_of(site)
    (source,) = word.sources
    assert (word.host, word.configuration, word.ran, word.exit, word.missed) == ("test-host", "site", True, 0, 0)
    assert len(word.instance) == 32
    assert not word.other_instance
    assert (source.name, source.source, source.cycle) == (site.name(), f"Directory {site.source}", "nightly")
    assert (source.outcome, source.error, source.last_good) == ("done", None, FIRST_DAY + timedelta(days=1))
    assert source.key == f"{site.name()}-1-DIFF"
    assert source.chain == (f"{site.name()}-0-FULL",)
    sizes = {found.key: found.size for found in site.store().list("")}
    assert source.size == sizes[source.key]
    assert source.chain_size == sizes[source.key] + sizes[source.chain[0]]
    assert (source.read or 0) > 0
    assert source.expected_by is not None
    local = source.expected_by.astimezone()
    assert (local.date(), local.hour) == (FIRST_DAY + timedelta(days=3), 0)
    assert source.critical_by == source.expected_by + timedelta(days=1)
    assert word.expected_by == source.expected_by


def test_a_clock_that_is_set_in_the_midst_of_a_run_makes_it_neither_longer_nor_negative() -> None:
    journal = Journal()
    for set_to in (timedelta(days=20000), timedelta(days=-1)):
        now = datetime.now(timezone.utc) + set_to
        assert timedelta() <= now - journal.began(now) < timedelta(minutes=5)


def test_grace_moves_the_deadlines_and_makes_no_full(site: Site) -> None:
    back_up(site)
    before = word_of(site).sources[0]
    site.configure_cycle(f"{CYCLE}\nGrace 14")
    back_up(site, 1)
    after = word_of(site).sources[0]
    assert after.key == f"{site.name()}-1-DIFF"
    assert before.expected_by is not None
    assert after.expected_by == before.expected_by + timedelta(days=15)


def test_what_failed_keeps_what_is_in_the_store_and_its_deadline(site: Site) -> None:
    back_up(site)
    good = word_of(site).sources[0]
    (site.source / "file").unlink()
    back_up(site, 1)
    failed = word_of(site)
    assert failed.exit == 1
    (source,) = failed.sources
    assert (source.outcome, source.error) == ("failed", "source")
    assert (source.key, source.size, source.last_good, source.seconds) == (good.key, good.size, FIRST_DAY, good.seconds)
    back_up(site, 2)
    assert word_of(site).sources[0].expected_by == good.expected_by


def test_a_source_that_never_succeeds_is_not_expected_anew_each_night(site: Site) -> None:
    site.configure(f"<Cycle nightly>\n{CYCLE}\nDirectory {site.root}/none\n</Cycle>")
    back_up(site)
    first = word_of(site).sources[0]
    assert (first.outcome, first.error, first.key, first.last_good) == ("failed", "source", None, None)
    back_up(site, 3)
    assert word_of(site).sources[0] == first


def test_what_was_skipped_keeps_its_figures_and_warnings(site: Site) -> None:
    site.configure_cycle("Frequency 2\nUnreadable warn")
    back_up(site)
    done = word_of(site).sources[0]
    back_up(site, 1)
    skipped = word_of(site).sources[0]
    assert (done.outcome, skipped.outcome) == ("done", "skipped")
    assert (skipped.key, skipped.seconds, skipped.read) == (done.key, done.seconds, done.read)
    assert skipped.expected_by == done.expected_by


def test_nothing_of_a_configuration_ran(site: Site) -> None:
    back_up(site)
    site.configure_cycle(CYCLE, general="GpgRecipient nobody@nowhere.example\nEncryption On")
    for night, missed in ((1, 1), (2, 2)):
        with pytest.raises(S3napbackError):
            back_up(site, night)
        word = word_of(site)
        assert (word.ran, word.exit, word.error, word.missed) == (False, 2, "key", missed)
        (source,) = word.sources
        assert (source.outcome, source.error, source.last_good) == ("failed", "key", FIRST_DAY)
    site.configure_cycle(CYCLE)
    back_up(site, 3)
    assert (word_of(site).ran, word_of(site).missed) == (True, 0)


def test_what_is_not_configured_any_more_is_told_for_seven_days(site: Site) -> None:
    other = site.root / "other"
    other.mkdir()
    (other / "file").touch()
    site.configure(f"<Cycle nightly>\n{CYCLE}\nDirectory {site.source} {other}\n</Cycle>")
    back_up(site)
    site.configure_cycle(CYCLE)
    for night in range(1, 9):
        back_up(site, night)
        told = [(each.name, each.last, each.since) for each in word_of(site).dropped]
        assert told == ([(site.name(other), FIRST_DAY, FIRST_DAY + timedelta(days=1))] if night < 8 else [])


def test_sources_behind_a_pattern_are_told_one_by_one_also_when_none_of_them_is_found(site: Site) -> None:
    databases = [site.source / name for name in ("one.db", "two.db")]
    for path in databases:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE words (word)")
    site.configure(f"<Cycle nightly>\nFulls 2\nSQLite {site.source}/*.db\n</Cycle>")

    def told() -> list[tuple[str, str, bool]]:
        sources = word_of(site).sources
        return [(Path(each.name).name, each.outcome, each.last_good == FIRST_DAY) for each in sources]

    back_up(site)
    assert told() == [("one.db", "done", True), ("two.db", "done", True)]
    aside = site.root / "aside"
    site.source.rename(aside)
    back_up(site, 1)
    assert told() == [("one.db", "failed", True), ("two.db", "failed", True)]
    aside.rename(site.source)
    databases[1].unlink()
    back_up(site, 2)
    assert told() == [("one.db", "done", False)]
    assert [(Path(each.name).name, each.last) for each in word_of(site).dropped] == [("two.db", FIRST_DAY)]


def test_a_clone_is_another_instance(site: Site) -> None:
    back_up(site)
    mine = word_of(site).instance
    (site.diff_dir / "instance").write_text("a clone has a DiffDir of its own")
    back_up(site, 1)
    assert word_of(site).instance != mine
    assert word_of(site).other_instance
    back_up(site, 2)
    assert not word_of(site).other_instance


def test_what_lies_under_the_key_is_not_believed_and_is_replaced(site: Site) -> None:
    for junk in (b"[" * 100_000, b'{"schema":99}', b"\xff" * 2_000_000):
        site.store().put(PLACE.key, BytesSource(junk), {})
        back_up(site)
        assert word_of(site).sources[0].outcome in ("done", "skipped")


def test_a_disk_that_is_not_mounted_does_not_seem_to_be_from_then_on(site: Site) -> None:
    """Not even if a source was not due, so that nothing is known to be wrong with the store."""
    weekly = f"<Directory {site.diff_dir}>\nFrequency 7\n</Directory>"
    site.configure(f"<Cycle nightly>\n{CYCLE}\nDirectory {site.source}\n{weekly}\n</Cycle>")
    back_up(site)
    site.vault.rename(site.root / "unmounted")
    site.vault.mkdir()
    for night in (1, 2):
        back_up(site, night)
        assert list(site.vault.rglob("*")) == []


def test_a_rehearsal_leaves_no_word(site: Site) -> None:
    backup.rehearse(load_configuration(site.configuration), FIRST_DAY, BackupOptions(), lambda _line: None)
    assert list(site.vault.rglob("*")) == []
    assert not (site.diff_dir / "instance").exists()


def test_whoever_cannot_have_the_lock_leaves_no_word(site: Site) -> None:
    with locked(site.diff_dir, "another run"), pytest.raises(S3napbackError, match="another run is at work"):
        back_up(site)
    assert list(site.vault.rglob("*")) == []


def test_no_other_command_takes_a_word_for_an_archive(site: Site) -> None:
    site.configure_cycle(CYCLE, general="Prefix p")
    site.run()
    place = Place("p", "test-host", "site")
    assert word_of(site, place).sources[0].key == f"{site.name()}-0-FULL"
    told = json.loads(site.run("list", "--json").stdout)
    assert [each["key"] for each in told["archives"]] == [f"p/{site.name()}-0-FULL"]
    assert told["others"]["count"] == 0
    assert "nothing was to be deleted" in site.run("prune", "--yes", "--unowned").stdout
    assert "s3napback-status" not in site.run("verify").stdout
    assert word_of(site, place).ran


def test_a_word_that_cannot_be_left_is_a_warning(behind: tuple[Site, FaultyS3]) -> None:
    site, proxy = behind
    proxy.add(Fault("PutObject", answer(403, "AccessDenied"), key=PLACE.key))
    done = site.run("--strict", expect=3)
    assert done.stderr.count(" WARNING ") == 1
    assert f"{PLACE.key}, could not be left for `status`" in done.stderr
    assert len(site.archive_keys()) == 1


def test_a_night_that_a_full_store_refuses_leaves_its_word(behind: tuple[Site, FaultyS3]) -> None:
    """The store answers, and has room for the word: who watches must not see the good night before."""
    site, proxy = behind
    site.run()
    proxy.add(Fault("PutObject", answer(403, "QuotaExceeded"), key=f"{site.name()}-.*"))
    site.run(day=1, expect=1)
    word = word_of(site)
    (source,) = word.sources
    assert (word.ran, word.exit, source.outcome, source.error) == (True, 1, "failed", "store")
    assert (source.key, source.last_good) == (f"{site.name()}-0-FULL", FIRST_DAY)


def test_a_word_that_a_full_store_refuses_as_well_is_a_warning(behind: tuple[Site, FaultyS3]) -> None:
    site, proxy = behind
    proxy.add(Fault("PutObject", answer(403, "QuotaExceeded")))
    done = site.run(expect=1)
    assert f"{PLACE.key}, could not be left for `status`" in done.stderr


def test_a_store_that_has_stopped_to_answer_is_not_asked_for_the_word(site: Site) -> None:
    (job,) = load_configuration(site.configuration).jobs
    journal = Journal()
    journal.answered = True
    journal.failed(job, StoreError("refused"))
    assert journal.has_reached_store()
    journal.failed(job, StoreUnreachable("no answer"))
    assert not journal.has_reached_store()


def test_storage_class_is_not_meant_for_a_word(tmp_path: Path, moto: S3Server) -> None:
    site = Site(tmp_path, moto, moto.make_bucket())
    (site.source / "file").write_text("content")
    site.configure_cycle(CYCLE, general="StorageClass DEEP_ARCHIVE")
    back_up(site)
    classes = {found.key: found.storage_class for found in site.store().list("")}
    assert (classes[PLACE.key], classes[f"{site.name()}-0-FULL"]) == ("STANDARD", "DEEP_ARCHIVE")


def test_a_run_that_a_signal_ends_leaves_its_word(tmp_path: Path, moto: S3Server) -> None:
    site = Site(tmp_path, moto, moto.make_bucket())
    (site.source / "file").write_text("content")
    begun = tmp_path / "begun"
    waits = f"<Command waits>\nRun sh -c 'touch {begun}; exec sleep 60'\n</Command>"
    told = f"OnFailure /usr/bin/touch {tmp_path}/told\nMetricsFile {tmp_path}/x.prom"
    site.configure(f"<Cycle nightly>\n{CYCLE}\nDirectory {site.source}\n{waits}\n</Cycle>", general=told)
    log = tmp_path / "log"
    with log.open("w") as file, subprocess.Popen(site.command(), env=site.full_environment(), stderr=file) as run:
        assert becomes(begun.exists, 30)
        assert "stored" in log.read_text()
        os.kill(run.pid, signal.SIGTERM)
        run.wait(30)
    assert run.returncode == 143
    word = word_of(site)
    assert (word.ran, word.exit) == (True, 143)
    assert (tmp_path / "told").exists()
    assert "s3napback_run_exit_code" in (tmp_path / "x.prom").read_text()
    assert [(each.outcome, each.error) for each in word.sources] == [("done", None), ("failed", None)]


def test_a_signal_leaves_a_word_no_more_time_than_there_is(
    tmp_path: Path, moto: S3Server, faulty: Callable[[S3Server], FaultyS3], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes the archive, and then nothing any more; there are five seconds until the end by force."""
    monkeypatch.setattr(leaving, "CLEANING_SECONDS", 5.0)
    proxy = faulty(moto)
    site = Site(tmp_path, proxy.server, moto.make_bucket())
    site.configure_cycle(CYCLE, general="OnFailure /bin/sleep 60")
    proxy.add(Fault("PutObject", stall(6), key=".*s3napback-status.*"))
    journal = Journal()
    clock = time.monotonic()
    with pytest.raises(Interrupted), leaving.leaving_word(load_configuration(site.configuration), FIRST_DAY, journal):
        journal.store, journal.answered = site.store(), True
        raise Interrupted(signal.SIGTERM)
    # Without a limit it would be eight seconds for the word, and then more.
    assert time.monotonic() - clock < 7.5
    assert journal.untold == 2


def test_a_store_that_does_not_answer_is_not_asked_again_for_the_word(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was due: the run has not needed the store, and does not wait for it now."""
    back_up(site)
    caplog.clear()
    site.configure("<Cycle nightly>\nFrequency 7\nDirectory /etc\n</Cycle>", general="Endpoint http://127.0.0.1:9")
    text = site.configuration.read_text().replace(f"file://{site.vault}", "nowhere")
    site.configuration.write_text(text)
    configuration, journal = load_configuration(site.configuration), Journal()
    with leaving.leaving_word(configuration, FIRST_DAY, journal):
        journal.store = open_store(configuration.store)
        journal.skipped(configuration.jobs[0])
    assert (journal.untold, caplog.text) == (0, "")
