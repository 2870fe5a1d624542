"""``prune`` through the real command line."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from s3napback.archives import Transfer
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import SumNote, format_sum, sum_key
from s3napback.commands import prune as command
from s3napback.config.loading import load_configuration
from s3napback.rotation import day_number
from s3napback.run_lock import locked
from s3napback.stores import StoredObject
from s3napback.stores.directory import DirectoryStore
from tests.catalogues import archive, group
from tests.commands.filling import CYCLE, put
from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site
from tests.stores.sources import BytesSource

pytestmark = pytest.mark.long(25)

FIRST = day_number(FIRST_DAY)
LATER = 100
"""Days after the first: long after any rotation in these tests."""


def seed(site: Site, *archives: CataloguedArchive, prefix: str = "") -> None:
    """Store archives with their checksums."""
    for each in archives:
        assert each.record is not None
        put(site, prefix + each.key, each.record.to_metadata(), b"x" * 1000)
        note = SumNote.of(each.record, each.key, Transfer("ab" * 32, 1000, 1000, 1.0))
        put(site, sum_key(prefix + each.key), {}, format_sum(note))


def old_and_new(site: Site, *, prefix: str = "") -> list[str]:
    """A present group of three, an old one beyond the cycle, and orphans in between; the keys that can go."""
    source = f"Directory {site.source}"
    name = site.name()
    present = group(name, 0, FIRST + 90, 3, source=source)
    orphans = group(name, 3, FIRST + 60, 3, source=source)[1:]
    beyond = group(name, 6, FIRST + 50, 2, source=source)
    seed(site, *present, *orphans, *beyond, prefix=prefix)
    return [prefix + each.key for each in (*orphans[::-1], *beyond[::-1])]


def with_sums(keys: list[str]) -> set[str]:
    return {*keys, *(f"{key}.sha256" for key in keys)}


def test_it_shows_and_touches_nothing_and_deletes_with_yes(any_site: Site, tmp_path: Path) -> None:
    site = any_site
    site.configure_cycle(CYCLE, general='Prefix "a b"')
    going = old_and_new(site, prefix="a b/")
    put(site, "a b/notes.txt")
    before, state = site.contents(), sorted(site.diff_dir.rglob("*"))
    for options in (("prune",), ("-t", "prune", "--yes")):
        shown = site.run(*options, day=LATER)
        lines = shown.stdout.splitlines()
        assert [line.partition(" (")[0].removeprefix("would delete  ") for line in lines[:-1]] == going
        assert lines[-1] == f"{site.store().location}: 4 archives (4.0 kB) to be deleted; nothing is, without --yes"
        assert shown.stderr == ""
        assert site.contents() == before
        assert sorted(site.diff_dir.rglob("*")) == state

    done = site.run("prune", "--yes", day=LATER)
    lines = done.stdout.splitlines()
    assert [line.partition(" (")[0].removeprefix("deleted       ") for line in lines[:-1]] == going
    assert lines[-1] == f"{site.store().location}: deleted 4 archives (4.0 kB)"
    assert set(site.archive_keys(sums=True)) == set(before) - with_sums(going)
    again = site.run("prune", "--yes", day=LATER)
    assert again.stdout == f"{site.store().location}: nothing was to be deleted\n"


def test_each_line_says_what_it_is_and_why(site: Site) -> None:
    site.configure_cycle(CYCLE)
    old_and_new(site)
    shown = site.run("prune", day=LATER).stdout.splitlines()
    assert shown[0] == (
        f"would delete  {site.name()}-5-DIFF (Directory {site.source} of 2026-03-04, 1.0 kB): it cannot be restored: "
        f"it builds on {site.name()}-4-DIFF, which cannot be restored: its FULL was overwritten: {site.name()}-0-FULL "
        "is of 2026-04-01"
    )
    assert shown[2].endswith("1.0 kB): slot 7 is beyond the present cycle, which has 6")


def test_what_is_needless_and_stays_is_shown_with_the_reason(site: Site) -> None:
    site.configure_cycle(CYCLE)
    old_and_new(site)
    shown = site.run("prune", day=52).stdout
    reason = "but it is younger than the present rotation, which spans 6 days"
    assert re.search(rf"^stays +\S+-7-DIFF \(.*beyond.*; {reason}$", shown, re.MULTILINE)
    assert shown.endswith("nothing is to be deleted\n")


def test_real_nights_after_a_change_of_the_cycle_stay_restorable(any_site: Site, tmp_path: Path) -> None:
    site = any_site
    site.configure_cycle("Diffs 1\nFulls 3")
    for night in range(6):
        (site.source / f"night-{night}").write_text(str(night))
        site.run(day=night)
    site.configure_cycle("Fulls 2")
    for night in range(6, 9):
        site.run(day=night)
    copy = site.copy_source(tmp_path / "copy")
    done = site.run("prune", "--yes", day=9)
    assert "deleted" in done.stdout
    assert site.slots() == ["0-FULL", "1-FULL"]
    assert set(site.archive_keys(sums=True)) == with_sums(site.archive_keys())
    recovered = site.recover([f"{site.name()}-0-FULL"], tmp_path / "recovered")
    assert {path.name for path in recovered.iterdir()} == {path.name for path in copy.iterdir()}
    site.run(day=9)
    assert site.slots() == ["0-FULL", "1-FULL"]


def test_former_names_go_when_a_rotation_has_passed(site: Site) -> None:
    site.configure(f"<Cycle nightly>\nFulls 2\nDirectory {site.source}\n</Cycle>")
    site.run(day=0)
    site.configure(
        f"<Cycle nightly>\nFulls 2\nDirectory {site.source}\n</Cycle>\n"
        f"<Cycle weekly>\nFrequency 7\nDirectory {site.source}\n</Cycle>"
    )
    site.run(day=1)
    assert "it is younger than the present rotation, which spans 2 days" in site.run("prune", day=1).stdout
    done = site.run("prune", "--yes", day=2)
    assert f"it lies under a former name; its source is kept as 'nightly/{site.name()}' now" in done.stdout
    assert {key.removesuffix(site.name() + "-1-FULL") for key in site.archive_keys()} == {"nightly/"}


def test_names_without_a_block_go_with_unowned_only(any_site: Site) -> None:
    site = any_site
    site.configure_cycle(CYCLE)
    gone = group("srv/gone", 0, FIRST, 2, source="Directory /srv/gone", cycle="other")
    last = archive("srv/gone", 2, FIRST + 2, source="Directory /srv/gone", cycle="other")
    present = archive(site.name(), 0, FIRST + 90, source=f"Directory {site.source}")
    foreign = archive("srv/far", 0, FIRST, source="Directory /srv/gone", host="far-host")
    seed(site, present, *gone, last, foreign)
    put(site, "srv/old-0-FULL")
    before = site.contents()
    assert "nothing was" in site.run("prune", "--yes", day=LATER).stdout
    assert site.contents() == before
    done = site.run("prune", "--yes", "--unowned", day=LATER)
    assert "srv/gone-2-FULL" in done.stdout
    assert "it belongs to the newest restorable backup of its source" in done.stdout
    assert set(before) - set(site.archive_keys(sums=True)) == with_sums(["srv/gone-0-FULL", "srv/gone-1-DIFF"])


def begin_upload(server: S3Server, bucket: str, key: str) -> None:
    client = server.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)
    client.upload_part(Bucket=bucket, Key=key, UploadId=upload["UploadId"], PartNumber=1, Body=b"x" * 5_242_880)


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_our_unfinished_uploads_are_aborted_and_nobody_elses(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server: S3Server = request.getfixturevalue(kind)
    site = Site(tmp_path / "site", server)
    other = site.root / "other"
    other.mkdir()
    site.configure(f"<Cycle nightly>\n{CYCLE}\nDirectory {site.source} {other}\n</Cycle>")
    seed(site, archive(site.name(), 0, FIRST + 90, source=f"Directory {site.source}"))
    seed(site, archive(site.name(other), 1, FIRST + 90, source=f"Directory {other}", host="far-host"))
    ours = f"{site.name()}-5-DIFF"
    theirs = [f"{site.name()}-50-DIFF", f"{ours}ERENT", f"{site.name(other)}-0-FULL", "something/else"]
    for key in (ours, *theirs):
        begin_upload(server, site.bucket, key)
    tells_when = kind == "rclone"  # moto calls every upload one of 2010
    if tells_when:
        assert "nothing is to be deleted" in site.run("prune", day=LATER).stdout
    shown = site.run("prune", "--upload-age", "0", day=LATER).stdout
    assert shown.splitlines() == [
        f"would delete  1 unfinished upload to {ours}",
        f"s3://{site.bucket}: 1 unfinished upload to be deleted; nothing is, without --yes",
    ]
    assert sorted(server.unfinished_uploads(site.bucket)) == sorted([ours, *theirs])
    if tells_when:
        assert "nothing was to be deleted" in site.run("prune", "--yes", day=LATER).stdout
    assert sorted(server.unfinished_uploads(site.bucket)) == sorted([ours, *theirs])
    done = site.run("prune", "--yes", "--upload-age", "0", day=LATER).stdout
    assert f"s3://{site.bucket}: deleted 1 unfinished upload\n" in done
    assert sorted(server.unfinished_uploads(site.bucket)) == sorted(theirs)


def test_unfinished_files_of_a_directory_store_go(site: Site) -> None:
    site.configure_cycle(CYCLE)
    folder = site.vault / ".s3napback/objects" / f"{site.name()}-1-DIFF"
    folder.mkdir(parents=True)
    (folder / "incoming-0123").write_bytes(b"half of it")
    site.run("prune", "--yes", day=LATER)
    assert (folder / "incoming-0123").exists()
    week_ago = time.time() - 7 * 86_400
    os.utime(folder / "incoming-0123", (week_ago, week_ago))
    assert f"1 unfinished upload to {site.name()}-1-DIFF" in site.run("prune", day=LATER).stdout
    assert (folder / "incoming-0123").exists()
    site.run("prune", "--yes", day=LATER)
    assert not folder.exists()


def test_a_folder_is_looked_through_once_however_many_slots_there_are(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all keys that a run may once upload to, those are asked for of which something is there."""
    asked: list[str] = []
    count = DirectoryStore.discard_leftovers

    def counting(store: DirectoryStore, key: str, **options: Any) -> int:
        asked.append(key)
        return count(store, key, **options)

    site.configure_cycle("Diffs 5\nFulls 10000")
    key = f"{site.name()}-59999-DIFF"
    folder = site.vault / ".s3napback/objects" / key
    folder.mkdir(parents=True)
    (folder / "1.json").write_text("{}")
    monkeypatch.setattr(DirectoryStore, "discard_leftovers", counting)
    said: list[str] = []
    assert command.prune(load_configuration(site.configuration), FIRST_DAY, said.append, delete=True, upload_age=0) == 0
    assert said[0] == f"deleted       1 unfinished upload to {key}"
    assert not folder.exists()
    assert set(asked) == {key}


@pytest.mark.parametrize("body", ["", "<Cycle nightly>\nDiffs 2\n</Cycle>"])
def test_a_bare_configuration_deletes_nothing(body: str, any_site: Site) -> None:
    site = any_site
    site.configure(body)
    old_and_new(site)
    before = site.contents()
    failed = site.run("prune", "--yes", "--unowned", day=LATER, expect=2)
    assert failed.stdout == ""
    assert "names no sources" in failed.stderr
    assert site.contents() == before


def test_an_empty_configuration_deletes_nothing(site: Site) -> None:
    site.configure_cycle(CYCLE)
    old_and_new(site)
    before = site.contents()
    text = site.configuration.read_text()
    site.configuration.write_text("")
    assert "Bucket is missing" in site.run("prune", "--yes", "--unowned", day=LATER, expect=2).stderr
    assert site.contents() == before
    site.configuration.write_text(text)
    site.run("prune", "--yes", day=LATER)
    assert site.contents() != before


def test_under_another_host_name_nothing_is_ours(any_site: Site) -> None:
    site = any_site
    site.configure_cycle(CYCLE)
    old_and_new(site)
    before = site.contents()
    site.configuration.write_text(site.configuration.read_text().replace("test-host", "new-host"))
    assert "nothing was" in site.run("prune", "--yes", "--unowned", day=LATER).stdout
    assert site.contents() == before


def test_it_waits_for_no_run_that_is_at_work(site: Site) -> None:
    site.configure_cycle(CYCLE)
    old_and_new(site)
    before = site.contents()
    with locked(site.diff_dir, "a test"):
        failed = site.run("prune", "--yes", day=LATER, expect=4)
        assert "another run is at work" in failed.stderr
        assert site.contents() == before
        assert "to be deleted" in site.run("prune", day=LATER).stdout


class ReplacedBeforeTheSecondLook(DirectoryStore):
    """A store in which another run replaces an archive after the listing has been read."""

    def __init__(self, root: Path, key: str, metadata: Mapping[str, str]) -> None:
        super().__init__(root)
        self._key = key
        self._metadata = metadata
        self._looks = 0

    def head(self, key: str) -> StoredObject | None:
        self._looks += key == self._key
        if key == self._key and self._looks == 2:
            self.put(key, BytesSource(b"new"), self._metadata)
        return super().head(key)


def test_what_was_replaced_meanwhile_stays(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.configure_cycle(CYCLE)
    going = old_and_new(site)
    name = site.name()
    key = f"{name}-7-DIFF"
    new = archive(name, 7, FIRST + 50, parent="x", source=f"Directory {site.source}", identity="new").record
    assert new is not None
    store = ReplacedBeforeTheSecondLook(site.vault, key, new.to_metadata())
    monkeypatch.setattr(command, "configured_store", lambda *_, **_options: store)
    said: list[str] = []
    code = command.prune(
        load_configuration(site.configuration),
        FIRST_DAY.replace(month=12),
        said.append,
        delete=True,
    )
    assert code == 1
    assert f"{key} has been replaced since it was looked at, and stays" in caplog.text
    assert site.fetch(key) == b"new"
    assert f"{key}.sha256" in site.archive_keys(sums=True)
    assert [each for each in site.archive_keys() if each in going] == [f"{name}-6-FULL", key]
    assert said[-2].endswith("; but a later one of its name could not be deleted, and may build on it")
    assert said[-1].endswith("deleted 2 archives (2.0 kB)")


def test_a_delete_that_is_refused_is_reported_and_the_others_go(
    tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    plain = Site(tmp_path / "site", rclone)
    plain.configure_cycle(CYCLE)
    going = old_and_new(plain)
    proxy = faulty(rclone)
    proxy.add(Fault("DeleteObject", answer(403, "AccessDenied"), key=f"{plain.name()}-7-DIFF"))
    broken = Site(tmp_path / "site", proxy.server, plain.bucket)
    broken.configure_cycle(CYCLE)
    failed = broken.run("prune", "--yes", day=LATER, expect=1)
    assert f"deleting s3://{plain.bucket}/{plain.name()}-7-DIFF" in failed.stderr
    assert "deleted 2 archives" in failed.stdout
    assert [key for key in plain.archive_keys() if key in going] == [
        f"{plain.name()}-{end}" for end in ("6-FULL", "7-DIFF")
    ]
    # an archive that stays keeps what proves it whole
    assert {f"{plain.name()}-{end}.sha256" for end in ("6-FULL", "7-DIFF")} <= set(plain.archive_keys(sums=True))


def test_an_archive_is_said_to_be_deleted_though_what_lies_beside_it_cannot_be(
    tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(rclone)
    site = Site(tmp_path / "site", proxy.server, rclone.make_bucket())
    site.configure_cycle(CYCLE)
    going = old_and_new(site)
    for which in (".*", r".*\.sha256"):
        proxy.clear()
        proxy.add(Fault("DeleteObject", answer(403, "AccessDenied"), key=which))
        done = site.run("prune", "--yes", day=LATER, expect=1)
        assert done.stdout.endswith(": nothing was deleted\n") == (which == ".*")
    assert all(f"deleted       {key} " in done.stdout for key in going)
    assert all(f"deleting s3://{site.bucket}/{key}.sha256" in done.stderr for key in going)


class KeepingVersions(DirectoryStore):
    """A bucket with versions: deleting sets a marker."""

    def delete(self, key: str) -> bool:
        super().delete(key)
        return True


def test_a_bucket_that_keeps_versions_is_not_said_to_have_more_room(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.configure_cycle(CYCLE)
    old_and_new(site)
    said: list[str] = []
    configuration, day = load_configuration(site.configuration), FIRST_DAY.replace(month=12)
    monkeypatch.setattr(command, "configured_store", lambda *_, **_options: KeepingVersions(site.vault))
    command.prune(configuration, day, said.append, delete=True)
    assert "keeps them as older versions" in said[-1]
