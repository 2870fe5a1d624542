"""A kind of source that there is not, made of one row and one class, through everything that is done with a source.

The steps of "A new kind of source" in ``.github/CONTRIBUTING.md`` are those of the fixture ``ledgers``.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from s3napback import archives
from s3napback.archives import ArchiveRecord
from s3napback.backup.tally import Tally
from s3napback.chains import Memory
from s3napback.commands import backup, prune, restore, verify
from s3napback.commands import list as listing
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Configuration, Job
from s3napback.deciding.facts import BackupOptions, Footing, Untold
from s3napback.errors import ConfigurationError, SourceError, UnknownKind
from s3napback.kinds import KINDS, Kind, SourceName
from s3napback.logs import logger_for
from s3napback.recovery.databases import dump_check, dump_ends
from s3napback.recovery.registry import RECOVERIES, Consumer, Recovery, Restore, UnclearRequest, Wanted, refuse_paths
from s3napback.recovery.single_file import FileRestore
from s3napback.rotation import ArchiveType
from s3napback.sources import Dump
from s3napback.sources.registry import MAKERS, Maker
from s3napback.streams.processes import Stage
from s3napback.targets import PathGrammar
from tests.recovery.helpers import overwrite
from tests.site import FIRST_DAY, Site

LEDGER = Kind(
    name="Ledger",
    grammar=PathGrammar(),
    help="Ledgers to copy, as absolute paths.",
    block_help="One ledger with settings of its own.",
    topic="ledger",
    key_folder="Ledger",
    marks=((b"-- Ledger dump", b"\n-- Ledger closed"),),
)


@dataclass(frozen=True)
class Ledger:
    """One file, which is copied whole every time."""

    job: Job

    def check(self, *, had_content: bool, remembered: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002
        if not self.has_content():
            raise SourceError(f"{self.job.source} does not exist")
        return []

    def has_content(self) -> bool:
        return Path(self.job.target).is_file()

    def content(self) -> Mapping[str, object]:
        return {}

    def footing(self, memory: Memory, folder: Path) -> Footing:  # noqa: ARG002
        return Untold()

    def dump(self, archive_type: ArchiveType, memory: Memory | None, folder: Path) -> Dump:  # noqa: ARG002
        return Dump(self.plan(archive_type, folder))

    def plan(self, archive_type: ArchiveType, folder: Path, memory: Memory | None = None) -> Stage:  # noqa: ARG002
        return Stage(("cat", "--", self.job.target))

    def flaw(self, head: bytes, tail: bytes) -> str:
        ((beginning, end),) = LEDGER.marks
        return "" if head.startswith(beginning) and end in tail else f"{self.job.source} is cut off"

    @staticmethod
    def restore(wanted: Wanted) -> Restore:
        refuse_paths(wanted)
        return FileRestore(wanted.where, (dump_check(dump_ends(LEDGER.name)),))

    @staticmethod
    def judge(_record: ArchiveRecord, _parent: ArchiveRecord | None) -> Sequence[Consumer]:
        return (dump_check(dump_ends(LEDGER.name)),)


@pytest.fixture
def ledgers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, LEDGER.name, LEDGER)
    monkeypatch.setitem(MAKERS, LEDGER.name, Maker(lambda job, _tar: Ledger(job)))
    monkeypatch.setitem(RECOVERIES, LEDGER.name, Recovery(Ledger.restore, Ledger.judge))


@dataclass(frozen=True)
class Books:
    """Two ledgers: one in a Cycle with DIFFs, of which a ledger knows nothing, and one in a block of its own."""

    site: Site

    @property
    def daily(self) -> Path:
        return self.site.source / "daily.ledger"

    @property
    def yearly(self) -> Path:
        return self.site.source / "of the year"

    def name(self, path: Path) -> str:
        return f"Ledger{path}"

    def configure(self, *, fulls: int = 3, general: str = "") -> Configuration:
        self.site.configure(
            f"<Cycle nightly>\nDiffs 2\nFulls {fulls}\nledger {self.daily}\n</Cycle>\n"
            f'<LEDGER "{self.yearly}">\nFulls 2\n</Ledger>',
            general=general,
        )
        return load_configuration(self.site.configuration)

    def content(self, path: Path, night: int) -> bytes:
        return b"-- Ledger dump\n%s, night %d\n-- Ledger closed\n" % (path.name.encode(), night)

    def write(self, night: int) -> None:
        for path in (self.daily, self.yearly):
            path.write_bytes(self.content(path, night))

    def back_up(self, night: int) -> Tally:
        return backup.run(self.configure(), _day(night), BackupOptions())

    def nights(self, count: int) -> None:
        for night in range(count):
            self.write(night)
            assert self.back_up(night).done == 2


@pytest.fixture
def books(site: Site) -> Books:
    return Books(site)


def _day(night: int) -> date:
    return FIRST_DAY + timedelta(days=night)


def listed(configuration: Configuration, word: str = "", layout: listing.Layout = listing.Layout.PLAIN) -> str:
    lines: list[str] = []
    assert listing.show(configuration, word, layout, lambda *given: lines.extend(given)) == 0
    return "\n".join(lines)


def verified(configuration: Configuration, request: verify.VerifyRequest, *, expect: int = 0) -> list[str]:
    lines: list[str] = []
    assert verify.verify(configuration, request, _day(9), lines.append) == expect
    return lines


def restore_ledger(configuration: Configuration, word: str, where: Path, **others: object) -> bytes:
    request = restore.RestoreRequest(word, where, **others)  # type: ignore[arg-type]
    assert restore.restore(configuration, request, _day(9), print, lambda _question: None) == 0
    return where.read_bytes()


def test_its_directive_and_its_block_are_understood_in_any_case(ledgers: None, books: Books) -> None:
    configuration = books.configure()
    assert [(str(job.source), job.name, job.schedule.describe()) for job in configuration.jobs] == [
        (f"Ledger {books.daily}", books.name(books.daily), "SimpleCycle Frequency 1 Phase 0 Diffs 0 Fulls 3"),
        (f"Ledger {books.yearly}", books.name(books.yearly), "SimpleCycle Frequency 1 Phase 0 Diffs 0 Fulls 2"),
    ]
    assert any("is always full, so Diffs do not count" in warning for warning in configuration.warnings)


def test_what_is_wrong_with_it_is_said_as_of_any_other_kind(ledgers: None, books: Books) -> None:
    books.site.configure(
        "<Cycle a>\nLedger relative\nledgre /x\n</Cycle>\n<Ledger /y>\nExclude x\n<Ledger /z>\n</Ledger>\n</Ledger>"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(books.site.configuration)
    said = "\n".join(caught.value.problems)
    assert "Ledger “relative”: the path must be absolute" in said
    assert "unknown directive ledgre; did you mean Ledger?" in said
    assert "<Ledger /z> cannot stand in a source's block" in said


def test_a_dry_run_shows_its_commands_and_touches_nothing(ledgers: None, books: Books) -> None:
    books.write(0)
    configuration, before = books.configure(), books.site.contents()
    lines: list[str] = []
    assert backup.rehearse(configuration, _day(0), BackupOptions(), lines.append, shows_commands=True).exit_code == 0
    assert lines[0] == f"Ledger {books.daily} -> file://{books.site.vault}/Ledger{books.daily}-0"
    assert lines[1].startswith(f"    cat -- {books.daily} \\")
    assert books.site.contents() == before == {}
    assert books.site.diff_dir_contents() == {}


def test_a_rotation_fills_slots_of_fulls_whose_keys_have_no_type(
    ledgers: None, books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    books.nights(5)
    assert books.site.archive_keys() == [
        *(f"Ledger{books.daily}-{slot}" for slot in range(3)),
        *(f"Ledger{books.yearly}-{slot}" for slot in range(2)),
    ]
    # The first day is in slot 0 of both cycles: 20454 is a multiple of 2 and of 3.
    daily = {slot: gzip.decompress(books.site.fetch(f"Ledger{books.daily}-{slot}")) for slot in range(3)}
    assert daily == {slot: books.content(books.daily, night) for slot, night in {0: 3, 1: 4, 2: 2}.items()}
    assert books.site.metadata(f"Ledger{books.daily}-0")["s3napback-source"] == f"Ledger%20{books.daily}"
    assert f"# source Ledger {books.daily}\n" in books.site.fetch(f"Ledger{books.daily}-0.sha256").decode()
    states = [json.loads(text) for name, text in books.site.diff_dir_contents().items() if name.endswith("state.json")]
    assert sorted(state["source"] for state in states) == [f"Ledger {books.daily}", f"Ledger {books.yearly}"]
    assert {record.name for record in caplog.records if " -> " in record.getMessage()} == {"s3napback.ledger"}
    assert not [record for record in caplog.records if "in the place of a DIFF" in record.getMessage()]
    assert books.back_up(4).skipped == 2


def test_one_that_fails_keeps_no_other_from_being_backed_up(ledgers: None, books: Books) -> None:
    books.write(0)
    books.daily.write_bytes(b"-- Ledger dump\nhalf of")
    tally = books.back_up(0)
    assert (tally.done, tally.failed, tally.exit_code) == (1, 1, 1)
    books.daily.unlink()
    assert books.back_up(1).failed == 1
    assert books.site.archive_keys() == [f"Ledger{books.yearly}-{slot}" for slot in range(2)]


def test_it_is_listed_under_every_word_that_means_it(ledgers: None, books: Books) -> None:
    books.nights(2)
    configuration = books.configure()
    document = json.loads(listed(configuration, layout=listing.Layout.JSON))
    assert [(each["source"], each["days"]) for each in document["sources"]] == [
        (f"Ledger {path}", ["2026-01-01", "2026-01-02"]) for path in (books.daily, books.yearly)
    ]
    assert {(each["type"], each["restorable"], each["claim"]) for each in document["archives"]} == {
        ("FULL", True, "current")
    }
    whole = listed(configuration)
    assert f"Ledger {books.daily}" in whole
    assert f"Ledger {books.yearly}" in whole
    for word in (f"{books.daily}", f"Ledger {books.daily}", f"ledger/{books.daily}", f"Ledger{books.daily}"):
        assert f"Ledger{books.daily}-1" in listed(configuration, word)
        assert f"{books.yearly}" not in listed(configuration, word)


def test_it_is_verified_by_its_own_check(ledgers: None, books: Books) -> None:
    books.nights(2)
    configuration = books.configure()
    assert [line.partition(",")[0] for line in verified(configuration, verify.VerifyRequest(every=True))] == [
        f"Ledger{path}-{slot}: good" for path in (books.daily, books.yearly) for slot in range(2)
    ]
    assert verified(configuration, verify.VerifyRequest(against_live=True)) == []
    (line,) = verified(configuration, verify.VerifyRequest(f"{books.daily}", against_live=True), expect=1)
    assert "only a directory can be compared" in line
    # Without its checksum nothing but the ledger's own end tells.
    overwrite(books.site, f"Ledger{books.daily}-1", gzip.compress(b"-- Ledger dump\nhalf of", mtime=0))
    books.site.store().delete(f"Ledger{books.daily}-1.sha256")
    lines = verified(configuration, verify.VerifyRequest(f"{books.daily}"), expect=1)
    assert lines[0].startswith(f"Ledger{books.daily}-1: FAILED")
    assert "the remark that ends a dump is missing" in "\n".join(lines)


def test_it_is_restored_as_of_a_day_and_to_what_its_class_says(ledgers: None, books: Books, tmp_path: Path) -> None:
    books.nights(3)
    configuration = books.configure()
    newest = restore_ledger(configuration, f"{books.daily}", tmp_path / "newest")
    assert newest == books.content(books.daily, 2)
    older = restore_ledger(configuration, f"ledger{books.daily}", tmp_path / "older", at="2026-01-02")
    assert older == books.content(books.daily, 1)
    with pytest.raises(UnclearRequest, match=f"Ledger {books.daily} is none"):
        restore_ledger(configuration, f"{books.daily}", tmp_path / "no", paths=("x",))
    # as if copied by a tool that loses metadata: the word tells the kind
    key = f"Ledger{books.daily}-0"
    (books.site.vault / "copy-0").write_bytes(books.site.fetch(key))
    by_hand = restore_ledger(configuration, f"ledger {books.daily}", tmp_path / "by hand", keys=("copy-0",))
    assert by_hand == books.content(books.daily, 0)


def test_what_its_rotation_no_longer_needs_is_pruned(ledgers: None, books: Books) -> None:
    books.nights(4)
    configuration = books.configure(fulls=2)
    lines: list[str] = []
    assert prune.prune(configuration, _day(9), lines.append, delete=False) == 0
    assert lines[0].startswith(f"would delete  Ledger{books.daily}-2 (Ledger {books.daily} of 2026-01-03")
    assert prune.prune(configuration, _day(9), lines.append, delete=True) == 0
    assert books.site.archive_keys(sums=True) == [
        f"Ledger{path}-{slot}{end}"
        for path in (books.daily, books.yearly)
        for slot in range(2)
        for end in ("", ".sha256")
    ]


def test_where_it_is_not_known_its_archives_are_shown_and_left_alone(
    books: Books, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(KINDS, LEDGER.name, LEDGER)
        patch.setitem(MAKERS, LEDGER.name, Maker(lambda job, _tar: Ledger(job)))
        books.nights(3)
    archives.owner_named.cache_clear()  # a program that does not know the kind never did
    with pytest.raises(ConfigurationError, match="unknown directive ledger"):
        books.configure()
    (books.site.source / "file").write_text("content")
    books.site.configure(f"<Directory {books.site.source}>\n</Directory>")
    configuration, before = load_configuration(books.site.configuration), books.site.contents()
    assert f"Ledger {books.daily}" in listed(configuration, f"Ledger {books.daily}")
    lines: list[str] = []
    assert prune.prune(configuration, _day(400), lines.append, delete=True, unowned=True) == 0
    assert books.site.contents() == before
    with pytest.raises(UnknownKind, match="no kind of source that this version of s3napback knows"):
        restore_ledger(configuration, f"Ledger {books.daily}", tmp_path / "no")
    found = verified(configuration, verify.VerifyRequest(f"Ledger {books.daily}"), expect=1)
    assert "no kind of source" in found[0]
    with pytest.raises(UnknownKind):
        logger_for(LEDGER.name)
    assert SourceName.parse(f"Ledger {books.daily}").kind == ""
