"""``list`` through the real command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from s3napback.listing import json_text, report
from tests.catalogues import archive, group
from tests.commands.filling import CYCLE, nights, put
from tests.servers import S3Server
from tests.site import Site, files


def bare(site: Site) -> Site:
    """Leave nothing in the configuration but what is needed to reach the store."""
    if not site.configuration.exists():
        site.configure("")
    lines = site.configuration.read_text().splitlines()
    kept = [line for line in lines if line.startswith(("Bucket", "Endpoint", "S3Keyfile", "Prefix"))]
    site.configuration.write_text("\n".join(kept) + "\n")
    return site


def document(site: Site, *arguments: str, **others: Any) -> dict[str, Any]:
    done = site.run("list", "--json", *arguments, **others)
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_days_stand_first_and_every_archive_follows(site: Site) -> None:
    site.configure_cycle(CYCLE, general='Prefix "a b"')
    nights(site, 8)
    done = site.run("list")
    assert done.stderr == ""
    days, archives = done.stdout.split("\n\n")
    assert re.split(" {2,}", days.splitlines()[1]) == [
        *(f"Directory {site.source}", "test-host", "5", "2026-01-04 to 2026-01-08")
    ]
    rows = [re.split(" {2,}", line) for line in archives.splitlines()]
    assert rows[0] == [
        *("SOURCE", "TYPE", "SLOT", "DAY", "BEGUN", "SIZE", "UNREAD"),
        *("HOST", "CYCLE", "BLOCK", "CHAIN", "KEY", "RESTORABLE"),
    ]
    fixed = (1, 2, 3, 6, 7, 8, 9, 10)
    assert [[row[column] for column in fixed] for row in rows[1:]] == [
        ["DIFF", "1", "2026-01-08", "-", "test-host", "nightly", "current", "0-1"],
        ["FULL", "0", "2026-01-07", "-", "test-host", "nightly", "current", "0"],
        ["DIFF", "5", "2026-01-06", "-", "test-host", "nightly", "current", "3-5"],
        ["DIFF", "4", "2026-01-05", "-", "test-host", "nightly", "current", "3-4"],
        ["FULL", "3", "2026-01-04", "-", "test-host", "nightly", "current", "3"],
        ["DIFF", "2", "2026-01-03", "-", "test-host", "nightly", "current", "-"],
    ]
    base = f"a b/{site.name()}"
    assert [row[11] for row in rows[1:3]] == [f"{base}-1-DIFF", f"{base}-0-FULL"]
    assert [row[12] for row in rows[1:]] == [
        *["yes"] * 5,
        f"no: what it builds on was overwritten: {base}-1-DIFF is of 2026-01-08",
    ]


def test_the_json_document_has_the_documented_fields_and_no_others(any_site: Site) -> None:
    site = any_site
    site.configure_cycle(CYCLE)
    nights(site, 2)
    put(site, f"old-5-FULL:{0:020d}")
    put(site, "lone-0-FULL.sha256")
    put(site, "unknown-0-FULL")
    found = document(site)
    newest, full, nameless = found["archives"]
    name = site.name()
    assert {key: found[key] for key in found if key != "archives"} == {
        "format": 1,
        "store": site.store().location,
        "prefix": "",
        "host": "test-host",
        "unprotected": [],
        "lost": [],
        "sources": [
            {
                "source": f"Directory {site.source}",
                "host": "test-host",
                "days": ["2026-01-01", "2026-01-02"],
                "newest": f"{name}-1-DIFF",
            }
        ],
        "original": found["original"],
        "lone_sums": ["lone-0-FULL.sha256"],
        "gone": [],
        "others": {"count": 1, "perl_chunks": 1},
    }
    (original,) = found["original"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", original.pop("stored"))
    assert original.pop("storage_class") in ("", "STANDARD")
    assert original == {
        "key": "old-5-FULL",
        "sources": ["Directory /old", "Subversion /old"],
        "slot": 5,
        "type": "FULL",
        "chunks": 1,
        "size": original["size"],
        "restorable": True,
        "problem": "",
        "chain": ["old-5-FULL"],
        "doubts": [],
    }
    metadata = site.metadata(f"{name}-1-DIFF")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", newest.pop("stored"))
    assert newest.pop("storage_class") in ("", "STANDARD")
    assert newest == {
        "key": f"{name}-1-DIFF",
        "name": name,
        "slot": 1,
        "type": "DIFF",
        "size": len(site.fetch(f"{name}-1-DIFF")),
        "drilled": None,
        "proven": None,
        "sampled": None,
        "checked": None,
        "verified": None,
        "unread": 0,
        "locked_until": None,
        "restorable": True,
        "problem": "",
        "chain": [f"{name}-0-FULL", f"{name}-1-DIFF"],
        "claim": "current",
        "source": f"Directory {site.source}",
        "host": "test-host",
        "cycle": "nightly",
        "day": "2026-01-02",
        "started": metadata["s3napback-started"],
        "id": metadata["s3napback-id"],
        "parent": site.metadata(f"{name}-0-FULL")["s3napback-id"],
        "compression": "gzip",
        "recipients": [],
    }
    assert (full["parent"], full["chain"]) == ("", [f"{name}-0-FULL"])
    assert (nameless["restorable"], nameless["problem"]) == (False, "it has no metadata")
    assert (nameless["claim"], nameless["chain"], nameless["source"], nameless["day"]) == ("unknown", [], None, None)
    for field in (*found, *full, *found["sources"][0], *found["others"]):
        assert f"``{field}``" in str(json_text.__doc__), field


def test_a_bare_machine_needs_no_more_than_a_bucket(any_site: Site, tmp_path: Path) -> None:
    site = any_site
    site.configure_cycle(CYCLE, general='Prefix "a b"')
    nights(site, 2)
    full = document(site)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    before = site.contents()
    found = document(bare(site), environment=environment)
    assert list(home.iterdir()) == []
    assert site.contents() == before
    assert {each.pop("claim") for each in found["archives"]} == {None}
    assert {each.pop("claim") for each in full["archives"]} == {"current"}
    assert (found["archives"], found["sources"]) == (full["archives"], full["sources"])


def test_one_source_can_be_asked_for(site: Site) -> None:
    site.configure(
        f"<Cycle nightly>\nDirectory {site.source}\n</Cycle>\n<Directory {site.temp_dir}>\n</Directory>\n"
        f"<Cycle other>\nDirectory {site.source}\n</Cycle>"
    )
    (site.temp_dir / "x").write_text("x")
    nights(site, 1)
    name = site.name()
    both = {f"nightly/{name}", f"other/{name}"}
    for word, names in {
        str(site.source): both,
        f"Directory {site.source}/": both,
        f"other/{name}": {f"other/{name}"},
        site.name(site.temp_dir): {site.name(site.temp_dir)},
    }.items():
        found = document(site, word)
        assert {each["name"] for each in found["archives"]} == names
        assert len(found["sources"]) == 1
    failed = site.run("list", f"{site.source}s", expect=1)
    assert failed.stdout == ""
    assert f"there are no archives of {site.source}s; near it are: Directory {site.source}" in failed.stderr


def test_what_no_block_owns_any_more_is_shown_as_such(site: Site) -> None:
    other = site.root / "other"
    other.mkdir()
    (other / "x").write_text("x")
    site.configure(f"<Cycle nightly>\nDirectory {site.source} {other}\n</Cycle>")
    nights(site, 1)
    site.configure(
        f"<Cycle nightly>\nDirectory {site.source}\n</Cycle>\n<Cycle new>\nDirectory {site.source}\n</Cycle>"
    )
    put(site, "copy/etc-0-FULL", dict(site.metadata(f"{site.name()}-2-FULL")))
    put(site, "etc-0-FULL", {**site.metadata(f"{site.name()}-2-FULL"), "s3napback-host": "other-host"})
    nights(site, 1, first=1)
    assert {each["name"]: each["claim"] for each in document(site)["archives"]} == {
        site.name(): "former name",
        site.name(other): "no block",
        f"nightly/{site.name()}": "current",
        f"new/{site.name()}": "current",
        "copy/etc": "another prefix, or a copy",
        "etc": "another host",
    }
    plain = site.run("list").stdout
    assert re.search(rf"  former name +2  +{site.name()}-2-FULL  +yes\n", plain)
    assert re.search(rf"  no block  +2  +{site.name(other)}-2-FULL  +yes\n", plain)


@pytest.mark.parametrize("key", ["{}-9-DIFF", "{}-1-FULL", "zzz/source-1-DIFF"])
def test_a_copy_under_another_key_costs_no_day(any_site: Site, tmp_path: Path, key: str) -> None:
    site = any_site
    site.configure_cycle("Diffs 6\nFulls 2")
    nights(site, 4)
    original = f"{site.name()}-1-DIFF"
    copy = key.format(site.name())
    put(site, copy, dict(site.metadata(original)), site.fetch(original))
    days = [each["day"] for each in document(site)["archives"] if each["restorable"] and each["key"] != copy]
    assert len(days) == 4
    site.run("restore", str(site.source), "--to", str(tmp_path / "out"))
    assert files(tmp_path / "out" / site.name()) == files(site.source)


def test_objects_that_are_not_ours_are_counted_and_no_error(any_site: Site) -> None:
    site = any_site
    site.configure_cycle(CYCLE)
    put(site, "notes.txt")
    put(site, "photos:0001")
    empty = site.run("list")
    assert f"There are no archives in {site.store().location}." in empty.stdout
    assert "are not s3napback's: 2." in empty.stdout
    put(site, f"etc-5-FULL:{0:020d}")
    put(site, f"etc-5-FULL:{1:020d}")
    empty = site.run("list")
    assert f"There are no archives of our own in {site.store().location}." in empty.stdout
    assert "are not s3napback's: 4, 2 of them chunks of the original tool's archives." in empty.stdout
    put(site, "etc-5-FULL")
    put(site, "etc-6-FULL.sha256")
    found = site.run("list")
    assert "no: it has no metadata" in found.stdout
    assert "Objects without metadata among these: 1." in found.stdout
    assert "Checksums whose archive is gone: 1." in found.stdout


def test_a_source_of_which_nothing_can_be_restored_says_so(site: Site) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 2)
    site.store().delete(f"{site.name()}-0-FULL")
    _alarm, days, _archives = site.run("list").stdout.split("\n\n", 2)
    assert re.split(" {2,}", days.splitlines()[1])[2:] == ["0", "none"]
    assert document(site)["sources"][0]["newest"] is None


def test_a_store_that_is_missing_is_exit_code_2(any_site: Site, tmp_path: Path) -> None:
    site = any_site
    site.configure_cycle(CYCLE)
    if site.server:
        there, missing = f"Bucket {site.bucket}\n", "Bucket there-is-no-such-bucket\n"
    else:
        there, missing = str(site.vault), str(tmp_path / "missing")
    site.configuration.write_text(site.configuration.read_text().replace(there, missing))
    failed = site.run("list", expect=2)
    assert failed.stdout == ""
    assert missing.removeprefix("Bucket ").strip() in failed.stderr


def test_an_empty_folder_without_a_mark_may_be_an_unmounted_disk(site: Site) -> None:
    site.configure_cycle(CYCLE)
    assert "Is the disk not mounted" in site.run("list").stderr
    nights(site, 1)
    assert site.run("list").stderr == ""


def without_privileges(command: list[str]) -> list[str]:
    """The command as somebody whom permissions stop, as they do not stop root."""
    if os.geteuid():
        return command
    return ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", *command]


def test_a_folder_that_can_only_be_read_is_enough(site: Site) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    site.vault.chmod(0o500)
    listed, pruned = (
        subprocess.run(
            without_privileges(site.command(command)),
            env=site.full_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        for command in ("list", "prune")
    )
    backed_up = subprocess.run(
        without_privileges(site.command(day=1)), env=site.full_environment(), capture_output=True, check=False
    )
    site.vault.chmod(0o700)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert f"{site.name()}-0-FULL" in listed.stdout
    assert (pruned.returncode, pruned.stderr) == (0, "")
    assert backed_up.returncode == 2


def test_each_configuration_is_listed_by_itself(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    bad = tmp_path / "bad.conf"
    bad.write_text("Bukcet x\n")
    command = [sys.executable, "-m", "s3napback", "-c", str(site.configuration), "-c", str(bad), "-c"]
    done = subprocess.run(
        [*command, str(site.configuration), "list", "--json"],
        env=site.full_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Bukcet" in done.stderr
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(done.stdout)
    second, _ = decoder.raw_decode(done.stdout[end:].lstrip())
    assert first == second
    assert first["archives"]


def test_a_thousand_archives_take_a_few_seconds(site: Site, rclone: S3Server) -> None:
    bucket = rclone.make_bucket()
    client = rclone.client()
    made = [
        each
        for number in range(20)
        for each in group(f"srv/{number}", 0, 0, 50, source=f"Directory /srv/{number}")
    ]  # fmt: skip

    def store(each: Any) -> None:
        client.put_object(Bucket=bucket, Key=each.key, Body=b"x", Metadata=each.record.to_metadata())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store, made))
    crowded = bare(Site(site.root, rclone, bucket))
    begin = time.monotonic()
    found = document(crowded)
    seconds = time.monotonic() - begin
    assert len(found["archives"]) == 1000
    assert all(each["restorable"] for each in found["archives"])
    assert [len(each["days"]) for each in found["sources"]] == [50] * 20
    assert seconds < 15, "1.8 seconds on two cores; the limit leaves room for a busy machine"


def test_an_archive_of_a_database_is_listed_with_its_slot(site: Site) -> None:
    record = archive("MySQL/all", 3, 20_454, source="MySQL all").record
    assert record is not None
    site.configure_cycle(CYCLE)
    put(site, "MySQL/all-3", record.to_metadata())
    (found,) = document(site, "MySQL/all")["archives"]
    assert (found["slot"], found["type"], found["claim"], found["day"]) == (3, "FULL", "no block", "2026-01-01")


@pytest.mark.parametrize(
    ("days", "ranges"),
    [
        ((), "none"),
        ((20_454,), "2026-01-01"),
        ((20_454, 20_455), "2026-01-01, 2026-01-02"),
        ((20_454, 20_455, 20_456, 20_458), "2026-01-01 to 2026-01-03, 2026-01-05"),
    ],
)
def test_days_are_shown_as_ranges(days: tuple[int, ...], ranges: str) -> None:
    record = archive("etc", 0, 1).record
    assert record is not None
    assert report.RestorableSource(record.owner, days).day_ranges == ranges
