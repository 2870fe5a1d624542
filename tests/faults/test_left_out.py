"""An archive that the store has and does not list is found by all who look for it, as far as anything tells of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import s3napback.catalogue.left_out
from s3napback.commands.list import Layout, show
from s3napback.config.loading import load_configuration
from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.left_out import left_out
from tests.servers import S3Server
from tests.site import Site, files

TOLD = "is there, and is left out when the store is listed"


@dataclass
class Nights:
    """A machine with three nights of a directory in the store, and rules for what the store answers."""

    site: Site
    proxy: FaultyS3
    keys: list[str]

    def restored(self, where: Path, *options: str) -> list[str]:
        """The names of the files that come back."""
        self.site.run("restore", str(self.site.source), "--to", str(where), *options, day=3)
        return sorted(Path(name).name for name in files(where))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, rclone: S3Server) -> Iterator[Nights]:
    with FaultyS3(rclone) as proxy:
        site = Site(tmp_path_factory.mktemp("left-out") / "site", proxy.server)
        site.configure_cycle("Diffs 6\nFulls 2")
        for night in range(3):
            (site.source / f"file{night}").write_text(f"{night}")
            site.run(day=night)
        yield Nights(site, proxy, sorted(site.archive_keys()))


@pytest.fixture
def nights(made: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    made.site.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield made
    made.proxy.clear()


COMPANY = {"alone": "", "with all that lies beside it": "[^<]*"}


@pytest.mark.parametrize("company", COMPANY.values(), ids=list(COMPANY))
@pytest.mark.parametrize("number", [0, 1])
def test_what_others_build_on_is_found_although_it_is_not_listed(
    nights: Nights, tmp_path: Path, number: int, company: str
) -> None:
    nights.proxy.add(left_out(re.escape(nights.keys[number]) + company))
    listed = nights.site.run("list", day=3).stdout
    assert listed.count("  yes\n") == 3
    assert "Checksums whose archive is gone" not in listed
    assert nights.restored(tmp_path / "out") == ["file0", "file1", "file2"]
    nights.site.run("verify", day=3)
    assert "is not in the store" not in nights.site.run("status", day=3, expect=None).stdout
    pruned = nights.site.run("prune", "--yes", day=400).stdout
    assert pruned.count("cannot be restored") == 0
    nights.proxy.clear()
    assert nights.site.archive_keys() == nights.keys


def test_the_newest_is_found_by_what_lies_beside_it(nights: Nights, tmp_path: Path) -> None:
    nights.proxy.add(left_out(re.escape(nights.keys[2])))
    assert nights.restored(tmp_path / "out") == ["file0", "file1", "file2"]


def test_of_the_newest_of_which_nothing_is_listed_the_word_of_the_run_tells_and_its_key_finds_it(
    nights: Nights, tmp_path: Path
) -> None:
    nights.proxy.add(left_out(re.escape(nights.keys[2]) + "[^<]*"))
    told = f"{nights.keys[2]} cannot be restored: the last run tells of it, and it is there and left out when"
    assert told in nights.site.run("list", day=3).stdout
    assert told in nights.site.run("verify", day=3, expect=1).stdout
    assert nights.restored(tmp_path / "old") == ["file0", "file1"]
    assert nights.restored(tmp_path / "new", "--keys", *nights.keys) == ["file0", "file1", "file2"]


def test_what_is_not_listed_and_cannot_be_looked_at_is_not_called_gone(nights: Nights) -> None:
    nights.proxy.add(left_out(re.escape(nights.keys[2])))
    nights.proxy.add(Fault("HeadObject", answer(403, "AccessDenied"), key=re.escape(nights.keys[2])))
    verified = nights.site.run("verify", day=3, expect=1).stdout
    assert f"{nights.keys[2]} cannot be restored: it cannot be looked at" in verified
    assert "is gone" not in verified


@pytest.mark.parametrize("lag", [timedelta(days=1), timedelta(0)])
def test_whoever_finds_it_is_told_unless_the_listing_may_just_be_late(
    nights: Nights, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, lag: timedelta
) -> None:
    monkeypatch.setattr(s3napback.catalogue.left_out, "LONGEST_LAG", lag)
    nights.proxy.add(left_out(re.escape(nights.keys[0])))
    assert show(load_configuration(nights.site.configuration), "", Layout.PLAIN, lambda *_lines: None) == 0
    told = [record.getMessage() for record in caplog.records if TOLD in record.getMessage()]
    place = f"s3://{nights.site.bucket}/{nights.keys[0]}"
    assert [line.partition(" ")[0] for line in told] == ([] if lag else [place])


def test_where_all_is_listed_nobody_asks_for_more(nights: Nights) -> None:
    nights.site.run("list", day=3)
    nights.proxy.seen.clear()
    nights.site.environment["XDG_CACHE_HOME"] += "-2"
    nights.site.run("list", day=3)
    assert nights.proxy.operations().count("HeadObject") == 2 * len(nights.keys)


def test_a_refusal_where_nothing_tells_of_an_archive_makes_none(nights: Nights) -> None:
    """A key that may not list without a prefix is answered so wherever there is nothing."""
    nights.proxy.add(left_out(re.escape(nights.keys[0]) + "[^<]*"))
    nights.proxy.add(Fault("HeadObject", answer(403, "AccessDenied"), key=re.escape(nights.keys[0])))
    listed = nights.site.run("list", day=3).stdout
    assert nights.keys[0] not in listed
    assert listed.count("no: ") == 2


def test_whoever_plants_archives_of_high_slots_has_few_keys_asked_for(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3napback.catalogue.left_out, "_MOST_KEYS", 50)
    metadata = {name: value for name, value in nights.site.metadata(nights.keys[1]).items() if "parent" not in name}
    client, planted = nights.proxy.server.client(), [f"planted-{number}-DIFF" for number in range(100, 103)]
    for key in planted:
        own = {"s3napback-parent": "nobody", "s3napback-slot": key.split("-")[1]}
        client.put_object(Bucket=nights.site.bucket, Key=key, Body=b"x", Metadata={**metadata, **own})
    try:
        nights.proxy.seen.clear()
        assert show(load_configuration(nights.site.configuration), "", Layout.PLAIN, lambda *_lines: None) == 0
        assert nights.proxy.operations().count("HeadObject") == 50 + len(planted) + 2 * len(nights.keys)
    finally:
        for key in planted:
            client.delete_object(Bucket=nights.site.bucket, Key=key)
