"""A newest archive that is gone or another one, with all that lay beside it: the day before does not pass for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.databases.repository import Repository
from tests.servers import S3Server
from tests.site import Site

FULLS = "Fulls 3"


@pytest.fixture
def nights(tmp_path: Path, moto: S3Server) -> Site:
    """Two of them, each a FULL."""
    site = Site(tmp_path / "site", moto)
    site.configure_cycle(FULLS, general="Prefix atlas")
    for night in range(2):
        back_up(site, night)
    return site


def back_up(site: Site, night: int) -> None:
    (site.source / f"file{night}").write_text(f"{night}")
    site.run(day=night)


def put_in_place(site: Site, key: str, of: str, **changes: str) -> None:
    """Copy an object over another one, with its metadata and these ``changes`` of them."""
    assert site.server is not None
    client = site.server.client()
    metadata = {**client.head_object(Bucket=site.bucket, Key=of)["Metadata"], **changes}
    body = client.get_object(Bucket=site.bucket, Key=of)["Body"].read()
    client.put_object(Bucket=site.bucket, Key=key, Body=body, Metadata=metadata)


def remove(site: Site, key: str) -> None:
    """Remove an archive with all that lies beside it."""
    store = site.store()
    for found in list(store.list(key)):
        store.delete(found.key)


def told(site: Site, key: str, where: str, day: str = "2026-01-02") -> str:
    return f"{key} cannot be restored: the last run tells of it as the backup of {day}, and {where}"


@pytest.mark.parametrize("how", ["removed", "replaced by an older one", "replaced by another host's"])
def test_verify_fails_and_restore_says_so(nights: Site, how: str) -> None:
    older, newest = sorted(nights.archive_keys())
    where = "it is gone" if how == "removed" else "another archive lies in its place"
    if how == "removed":
        remove(nights, newest)
    elif "older" in how:
        put_in_place(nights, newest, older)
    else:
        put_in_place(nights, newest, newest, **{"s3napback-host": "thief"})
    for options in ((), ("--all",), ("--all", "--keyless"), (str(nights.source),)):
        assert told(nights, newest, where) in nights.run("verify", *options, day=1, expect=1).stdout
    out = nights.root / "out"
    done = nights.run("restore", str(nights.source), "--to", str(out), day=1)
    assert told(nights, newest, where) in done.stderr
    assert {path.name for path in out.rglob("file*")} == {"file0"}


def test_another_hosts_full_in_the_slot_of_a_diff_lies_in_its_place(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.configure_cycle("Diffs 1\nFulls 3")
    back_up(site, 0)
    back_up(site, 1)
    (diff,) = (key for key in site.archive_keys() if key.endswith("-DIFF"))
    mine = site.configuration.read_text()
    site.configuration.write_text(mine.replace("HostName test-host", "HostName another"))
    site.run("--take-over", "-f", "--full", day=1)
    site.configuration.write_text(mine)
    assert told(site, diff, "another archive lies in its place") in site.run("list", day=1).stdout


def test_list_says_so_first_and_of_what_is_asked_for_alone(nights: Site) -> None:
    newest = sorted(nights.archive_keys())[-1]
    remove(nights, newest)
    said = f"{told(nights, newest, 'it is gone')}."
    for words in ((), (str(nights.source),)):
        assert nights.run("list", *words, day=1).stdout.startswith(said)
        (lost,) = json.loads(nights.run("list", "--json", *words, day=1).stdout)["lost"]
        assert (lost["key"], lost["name"]) == (newest, f"{nights.name()}")
        assert said == f"{newest} cannot be restored: {lost['problem']}."
    other = nights.root / "other"
    other.mkdir()
    (other / "file").write_text("content")
    nights.configure(f"<Cycle nightly>\n{FULLS}\nDirectory {other}\n</Cycle>", general="Prefix atlas")
    nights.run(day=1)
    assert "tells of it" not in nights.run("list", str(other), day=1).stdout


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("started", "2020-01-02T03:04:05Z", "the last run tells of it as the newest, and by their metadata"),
        ("source", "garbage", "lies in its place"),
        ("type", "DIFF", "by its metadata it is a DIFF of slot 1, and not by its key"),
        ("slot", "2", "by its metadata it is a FULL of slot 2, and not by its key"),
    ],
)
def test_one_whose_metadata_were_changed_does_not_drop_out_unsaid(
    nights: Site, field: str, value: str, why: str
) -> None:
    newest = sorted(nights.archive_keys())[-1]
    put_in_place(nights, newest, newest, **{f"s3napback-{field}": value})
    for options in ((), ("--keyless",)):
        assert why in nights.run("verify", *options, day=1, expect=1).stdout
    done = nights.run("restore", str(nights.source), "--to", str(nights.root / "out"), day=1)
    assert f"{newest} cannot be restored: " in done.stderr.replace(" of 2026-01-02", "")
    assert why in done.stderr


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "0" * 32), ("day", "20400"), ("cycle", "another"), ("format", "1"), ("started", "2999-01-02T03:04:05Z")],
)
def test_metadata_that_are_not_those_that_it_was_stored_with_are_not_called_good(
    nights: Site, field: str, value: str
) -> None:
    newest = sorted(nights.archive_keys())[-1]
    older = sorted(nights.archive_keys())[0]
    put_in_place(nights, newest, newest, **{f"s3napback-{field}": value})
    done = nights.run("verify", "--all", day=1, expect=1)
    assert f"{newest}: FAILED: its metadata have been changed since it was stored" in done.stdout
    assert f"{older}: good" in done.stdout


def test_a_night_with_a_clock_that_was_ahead_is_not_the_newest_for_years(nights: Site) -> None:
    wrong, newest = sorted(nights.archive_keys())
    put_in_place(nights, wrong, wrong, **{"s3napback-started": "2999-01-02T03:04:05Z"})
    out = nights.root / "out"
    done = nights.run("restore", str(nights.source), "--to", str(out), day=1)
    assert f"{wrong} says that it was begun at 2999-01-02 " in done.stderr
    assert {path.name for path in out.rglob("file*")} == {"file0", "file1"}
    assert f"{newest}: good" in nights.run("verify", day=1).stdout
    named = nights.root / "named"
    nights.run("restore", str(nights.source), "--to", str(named), "--at", wrong, day=1)
    assert {path.name for path in named.rglob("file*")} == {"file0"}


def test_beside_an_archive_of_an_earlier_version_nothing_tells_of_its_metadata(nights: Site) -> None:
    assert nights.server is not None
    for key in nights.archive_keys():
        lines = nights.fetch(f"{key}.sha256").splitlines(keepends=True)
        kept = b"".join(line for line in lines if not line.startswith(b"# metadata "))
        assert len(kept) < len(b"".join(lines))
        nights.server.client().put_object(Bucket=nights.bucket, Key=f"{key}.sha256", Body=kept)
    nights.run("verify", "--all", day=1)


def test_of_a_run_that_has_left_no_word_the_one_before_is_not_believed_for_ever(nights: Site) -> None:
    store = nights.store()
    (word,) = [found.key for found in store.list("") if "s3napback-status" in found.key]
    kept = nights.fetch(word)
    for night in range(2, 6):
        back_up(nights, night)
    assert nights.server is not None
    nights.server.client().put_object(Bucket=nights.bucket, Key=word, Body=kept)
    assert "cannot be restored" not in nights.run("verify", "--all", day=5).stdout
    store.delete(word)
    remove(nights, sorted(nights.archive_keys())[-1])
    assert "cannot be restored" not in nights.run("verify", "--all", day=5).stdout


def test_whoever_has_no_configuration_of_the_source_is_told_too(nights: Site) -> None:
    newest = sorted(nights.archive_keys())[-1]
    remove(nights, newest)
    nights.configure("", general="Prefix atlas\nHostName another")
    assert "tells of it" not in nights.run("verify", day=1, expect=1).stderr
    nights.configure("", general="Prefix atlas")
    assert told(nights, newest, "it is gone") in nights.run("verify", day=1, expect=1).stdout


def test_what_has_not_changed_for_days_is_not_missed(tmp_path: Path, moto: S3Server) -> None:
    """A source of which nothing is archived on a day without changes is backed up as of that day all the same."""
    site = Site(tmp_path / "site", moto)
    repository = Repository(tmp_path / "repository")
    site.configure(f"<Cycle nightly>\nDiffs 2\nSubversion {repository.path}\n</Cycle>")
    for night in range(3):
        site.run(day=night)
    assert len(site.archive_keys()) == 1
    site.run("verify", day=3)
