"""One object that the store does not describe never keeps a command from the others, and deletes nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from s3napback.catalogue.reading import read_catalogue
from s3napback.errors import StoreUnreachable
from s3napback.stores.opening import open_store
from tests.faulty_s3 import Action, Answer, Fault, FaultyS3, answer, change_answer
from tests.left_out import left_out
from tests.servers import S3Server
from tests.site import WITHOUT_POWERS, Site

BAD = {
    "encrypted with another's key": answer(400, "InvalidRequest"),
    "of another account": answer(403, "AccessDenied"),
}
REFUSED = BAD["encrypted with another's key"]
LOST_BY_THE_STORE = answer(500, "InternalError")


@dataclass
class Two:
    """A machine with two sources, three nights of both in the store, and rules for what the store answers."""

    site: Site
    proxy: FaultyS3
    other: Path
    keys: list[str]
    """Of the other source's archives, the FULL first."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, rclone: S3Server) -> Iterator[Two]:
    with FaultyS3(rclone) as proxy:
        site = Site(tmp_path_factory.mktemp("bad") / "site", proxy.server)
        other = site.root / "other"
        other.mkdir()
        site.configure(f"<Cycle nightly>\nDiffs 6\nDirectory {site.source}\nDirectory {other}\n</Cycle>")
        keys: list[str] = []
        for night in range(3):
            (site.source / f"file{night}").write_text(f"{night}")
            (other / f"file{night}").write_text(f"{night}")
            site.run(day=night)
            keys += {key for key in site.archive_keys() if key.startswith(site.name(other))} - {*keys}
        assert [key[-4:] for key in keys] == ["FULL", "DIFF", "DIFF"]
        yield Two(site, proxy, other, keys)


@pytest.fixture
def two(nights: Two, tmp_path: Path) -> Iterator[Two]:
    # What an earlier test was told must not be remembered in place of what this one is told.
    nights.site.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    yield nights
    nights.proxy.clear()


@pytest.mark.parametrize("action", BAD.values(), ids=list(BAD))
def test_a_bad_object_is_listed_with_its_reason_beside_all_others(two: Two, action: Action) -> None:
    two.proxy.add(Fault("HeadObject", action, key=two.keys[2]))
    plain = two.site.run("list", day=5).stdout
    bad = [line for line in plain.splitlines() if "  no: " in line]
    assert len(bad) == 1
    assert two.keys[2] in bad[0]
    assert "  no: it cannot be looked at: looking at s3://" in bad[0]
    assert "HTTP 40" in bad[0]
    assert plain.count("  yes\n") == 5
    assert "Objects that cannot be looked at, or are damaged, among these: 1" in plain


def test_a_checksum_that_cannot_be_looked_at_keeps_nothing_from_being_listed(two: Two) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED, key=rf"{two.keys[1]}\.sha256"))
    done = two.site.run("list", day=5)
    assert done.stdout.count("  yes\n") == 6
    assert f"{two.keys[1]}.sha256" in done.stderr
    assert "whether it lacks what could not be read is not known" in done.stderr


def test_a_checksum_or_a_word_that_the_store_has_lost_is_no_store_that_is_away(two: Two) -> None:
    lost = LOST_BY_THE_STORE
    two.proxy.add(Fault("HeadObject", lost, key=rf"{two.keys[1]}\.sha256"))
    two.proxy.add(Fault("GetObject", lost, key=r"s3napback-status/.*"))
    done = two.site.run("list", day=5)
    assert done.stdout.count("  yes\n") == 6
    assert "whether it lacks what could not be read is not known" in done.stderr
    assert "its word cannot be read: " in two.site.run("status", day=5).stdout
    two.proxy.add(Fault("ListObjectsV2", lost))
    for command in ("list", "status"):
        two.site.run(command, day=5, expect=1)


def test_a_checksum_that_cannot_be_read_keeps_nothing_from_being_restored(two: Two, tmp_path: Path) -> None:
    two.proxy.add(Fault("GetObject", answer(403, "InvalidObjectState"), key=rf"{two.keys[1]}\.sha256"))
    done = two.site.run("restore", str(two.other), "--to", str(tmp_path / "out"), day=5)
    assert f"{two.keys[1]} is restored without a look at its checksum" in done.stderr
    assert {path.name for path in (tmp_path / "out").rglob("file*")} == {"file0", "file1", "file2"}


def test_its_own_source_is_restored_as_of_the_day_before_and_that_is_said(two: Two, tmp_path: Path) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED, key=two.keys[2]))
    done = two.site.run("restore", str(two.other), "--to", str(tmp_path / "out"), day=5)
    assert f"{two.keys[2]} cannot be restored: it cannot be looked at" in done.stderr
    assert {path.name for path in (tmp_path / "out").rglob("file*")} == {"file0", "file1"}
    for options in ((), ("--all",)):
        verified = two.site.run("verify", *options, day=5, expect=1)
        assert f"{two.keys[2]} cannot be restored: it cannot be looked at" in verified.stdout
        assert f"{two.keys[1]}: good" in verified.stdout


def test_the_other_source_is_verified_and_restored_also_by_its_keys(two: Two, tmp_path: Path) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED, key=f"{two.site.name(two.other)}-.*"))
    source = str(two.site.source)
    two.site.run("verify", source, day=5)
    keys = [key for key in two.site.archive_keys() if key not in two.keys]
    two.site.run("restore", source, "--to", str(tmp_path / "out"), "--keys", *keys, day=5)
    assert {path.name for path in (tmp_path / "out").rglob("file*")} == {"file0", "file1", "file2"}


def test_a_source_of_which_nothing_can_be_looked_at_is_told_by_itself(two: Two, tmp_path: Path) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED, key=f"{two.site.name(two.other)}-.*"))
    name = two.site.name(two.other)
    done = two.site.run("restore", name, "--to", str(tmp_path / "out"), day=5, expect=1)
    assert done.stderr.count("it cannot be looked at") == 3
    verified = two.site.run("verify", day=5, expect=1)
    assert verified.stdout.count("FAILED: it cannot be looked at") == 3
    night = two.site.run(day=5, expect=1)
    assert f"Directory {two.other} FAILED" in night.stderr
    assert "1 done, 0 skipped, 1 failed" in night.stderr


def test_of_what_is_lost_find_and_history_say_that_they_do_not_tell(two: Two) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED, key=two.keys[2]))
    for words in (("find", "file0"), ("find", "file0", str(two.other)), ("history", f"{two.other}/file0")):
        done = two.site.run(*words, day=5)
        assert done.stderr.count(f"{two.keys[2]} cannot be restored: it cannot be looked at") == 1
        assert "2026-01-02" in done.stdout


@pytest.mark.parametrize("nth", [0, 2])
def test_what_cannot_be_read_hides_nothing_else_from_find_and_history(two: Two, nth: int) -> None:
    two.proxy.add(Fault("GetObject", BAD["of another account"], key=re.escape(two.keys[nth])))
    found = two.site.run("find", "file0", day=5, expect=1)
    assert f"{two.site.source}/file0" in found.stdout
    assert (f"{two.other}/file0" in found.stdout) == bool(nth)
    assert f"nothing is told of {'1 backup' if nth else '3 backups'}" in found.stderr
    told = two.site.run("history", f"{two.other}/file0", day=5, expect=1)
    assert ("2026-01-01 to 2026-01-02" in told.stdout) == bool(nth)
    assert two.site.run("find", "file2", "--at", "2026-01-03", day=5, expect=1).stdout.count("file2") == 1


@pytest.fixture
def hasty(two: Two) -> Iterator[Two]:
    """The same, where nothing is waited for."""
    configured = two.site.configuration.read_text()
    two.site.configuration.write_text(f"StallTimeout 1\n{configured}")
    yield two
    two.site.configuration.write_text(configured)


def test_what_the_store_has_lost_hides_nothing_else_from_find(hasty: Two) -> None:
    """In all of the times, and at one of them."""
    hasty.proxy.add(Fault("GetObject", LOST_BY_THE_STORE, key=re.escape(hasty.keys[0])))
    for words in (("find", "file0"), ("find", "file0", "--at", "2026-01-03")):
        done = hasty.site.run(*words, day=5, expect=1)
        assert f"{hasty.site.source}/file0" in done.stdout
        assert f"{hasty.other}/file0" not in done.stdout
        assert hasty.keys[0] in done.stderr


def test_a_checksum_that_the_store_has_lost_keeps_no_small_archive_from_being_restored(
    hasty: Two, tmp_path: Path
) -> None:
    hasty.proxy.add(Fault("GetObject", LOST_BY_THE_STORE, key=rf"{hasty.keys[1]}\.sha256"))
    done = hasty.site.run("restore", str(hasty.other), "--to", str(tmp_path / "out"), day=5)
    assert f"{hasty.keys[1]} is restored without a look at its checksum" in done.stderr
    assert {path.name for path in (tmp_path / "out").rglob("file*")} == {"file0", "file1", "file2"}


def test_what_lies_in_cold_storage_hides_nothing_else_from_find_and_history(two: Two) -> None:
    def cold(reply: Answer) -> Answer:
        return replace(reply, headers={**reply.headers, "x-amz-storage-class": "GLACIER"})

    two.proxy.add(Fault("HeadObject", change_answer(cold), key=re.escape(two.keys[1])))
    found = two.site.run("find", "file0", day=5, expect=1)
    assert found.stdout.count("2026-01-01") == 2
    assert f"nothing is told of 2 backups, 2026-01-02 to 2026-01-03: {two.keys[1]} lies in cold storage" in found.stderr
    assert "restore-object --bucket" in found.stderr
    two.proxy.add(Fault("HeadObject", change_answer(cold)))
    assert "restore-object --bucket" in two.site.run("history", f"{two.other}/file0", day=5, expect=1).stderr


def test_of_a_path_in_what_cannot_be_looked_at_it_is_not_said_that_there_is_nothing(two: Two, tmp_path: Path) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED, key=f"{two.site.name(two.other)}-.*"))
    path = f"{two.other}/file0"
    why = f"unless {two.keys[0]} is one, or holds it: it cannot be looked at"
    for words in (("history", path), ("restore", path, "--to", str(tmp_path / "out"))):
        assert why in two.site.run(*words, day=5, expect=1).stderr
    assert f"{two.keys[0]} cannot be restored: it cannot be looked at" in two.site.run("find", "file0", day=5).stderr
    two.proxy.add(Fault("HeadObject", REFUSED))
    refused = two.site.run("find", "file0", day=5, expect=1).stderr
    assert all(f"{key} cannot be restored: it cannot be looked at" in refused for key in two.keys)


def test_an_object_that_the_store_has_lost_is_told_from_a_store_that_is_away(two: Two) -> None:
    two.proxy.add(Fault("HeadObject", answer(500, "InternalError"), key=two.keys[1]))
    store = open_store(two.proxy.server.settings(two.site.bucket), two.proxy.server.credentials, patient=False)
    flaws = {archive.key: archive.flaw for archive in read_catalogue(store, "").archives if archive.flaw}
    assert list(flaws) == [two.keys[1]]
    assert "HTTP 500" in flaws[two.keys[1]]
    two.proxy.add(Fault("ListObjectsV2", answer(500, "InternalError")))
    with pytest.raises(StoreUnreachable):
        read_catalogue(store, "")


LOST = {
    "not listed": lambda key: left_out(re.escape(key)),
    "listed, and not there": lambda key: Fault("HeadObject", answer(404, "NoSuchKey"), key=key),
}


@pytest.mark.parametrize("lost", LOST)
def test_nothing_that_builds_on_it_is_pruned_while_the_store_contradicts_itself(two: Two, lost: str) -> None:
    before = two.site.contents()
    two.proxy.add(LOST[lost](two.keys[0]))
    pruned = two.site.run("prune", "--yes", day=400, expect=None)
    # What is not listed is asked for, and so it has its place in the chain.
    kept = 0 if lost == "not listed" else 2
    assert pruned.stdout.count(f"; but {two.keys[0]}, of the same name, is ") == kept
    two.proxy.clear()
    assert two.site.contents() == before


def test_an_archive_that_is_listed_and_not_there_is_told_although_it_had_no_checksum(two: Two, tmp_path: Path) -> None:
    """A restore of the day before must not pass for one of the newest."""
    store = two.site.store()
    for suffix in (".sha256", ".index"):
        store.delete(two.keys[2] + suffix)
    two.proxy.add(LOST["listed, and not there"](two.keys[2]))
    done = two.site.run("restore", str(two.other), "--to", str(tmp_path / "out"), day=5)
    told = f"{two.keys[2]} cannot be restored: the store lists it, and has nothing there when it is asked for it"
    assert told in done.stderr
    assert told in two.site.run("verify", str(two.other), day=5, expect=1).stdout


def test_nothing_is_pruned_under_the_name_of_a_bad_object_and_all_that_is_due_elsewhere(two: Two) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED, key=two.keys[2]))
    two.site.configure(f"<Cycle nightly>\nFulls 2\nDirectory {two.site.source}\nDirectory {two.other}\n</Cycle>")
    two.site.run(day=400)
    before = two.site.archive_keys()
    pruned = two.site.run("prune", "--yes", day=400)
    assert f"{two.keys[2]}, of the same name, cannot be looked at" in pruned.stdout
    gone = set(before) - set(two.site.archive_keys())
    assert gone
    assert not gone & set(two.keys)


def test_prune_does_not_say_that_nothing_is_needless_where_it_cannot_look(two: Two) -> None:
    two.proxy.add(Fault("HeadObject", REFUSED))
    told = two.site.run("prune", "--yes", day=5).stderr
    assert "archives cannot be judged, so that nothing under the same names is deleted" in told
    assert "it cannot be looked at: " in told


def test_a_folder_that_cannot_be_listed_keeps_no_command_from_what_lies_elsewhere(site: Site, tmp_path: Path) -> None:
    other = site.root / "below" / "other"
    other.mkdir(parents=True)
    site.configure(f"<Cycle nightly>\nDirectory {site.source}\nDirectory {other}\n</Cycle>")
    site.run(day=0)
    closed_source = other.parent
    closed = site.vault / site.name(closed_source)
    lost = site.vault / "lost+found"
    lost.mkdir()

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [*(WITHOUT_POWERS if os.geteuid() == 0 else ()), *site.command(*options, day=1)]
        return subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)

    for folder in (closed, lost):
        if os.geteuid() == 0:
            os.chown(folder, 4321, 4321)
        folder.chmod(0o000)
    try:
        listed = run("list")
        line = rf"{re.escape(site.name(closed_source))}/ +no: it cannot be listed: Permission denied"
        assert re.search(line, listed.stdout), listed.stdout
        assert listed.stdout.count("  yes\n") == 1
        assert "lost+found" not in listed.stdout
        restored = run("restore", str(site.source), "--to", str(tmp_path / "out"))
        assert restored.returncode == 0, restored.stderr
        verified = run("verify")
        assert verified.returncode == 1
        assert f"{site.name()}-2-FULL: good" in verified.stdout
        assert f"Directory {other} (Cycle nightly): FAILED" in verified.stdout
        assert "nothing is to be deleted" in run("prune").stdout
        folder_key = f"{site.name(closed_source)}/"
        sought = run("ls", str(other))
        assert f"unless {folder_key} is one, or holds it: it cannot be listed: Permission denied" in sought.stderr
        assert f"-FULL may be in {folder_key}: it cannot be listed: Permission denied" in run("status").stdout
    finally:
        for folder in (closed, lost):
            folder.chmod(0o700)
