"""``verify`` through the real command line: whole chains, sums without a key, and the live tree."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from s3napback.commands.verify import VerifyRequest, verify
from s3napback.config.loading import load_configuration
from tests.databases.repository import Repository
from tests.faulty_s3 import FaultyS3
from tests.gpg_keys import Key, gpg_home
from tests.recovery.helpers import file_member, nights, overwrite, put_archive, tar_of
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site
from tests.sources.trees import RandomTree

GROUPS = "Diffs 2\nFulls 2"
"""Six slots; the first day fills slot 0."""


def verdicts(site: Site, *options: str, expect: int = 0) -> dict[str, str]:
    """The first word on each archive, by its end: ``{"0-FULL": "good"}``."""
    lines = site.run("verify", *options, day=None, expect=expect).stdout.splitlines()
    name = f"{site.name()}-"
    return {
        line.partition(": ")[0].removeprefix(name): line.partition(": ")[2].split(",")[0].split(":")[0]
        for line in lines
        if line.startswith(name)
    }


def test_the_newest_chain_is_decoded_and_each_archive_reported(any_site: Site, key: Key) -> None:
    site = any_site
    site.configure_cycle(GROUPS, general=key.directives)
    nights(site, 5)
    assert verdicts(site) == {"3-FULL": "good", "4-DIFF": "good"}
    assert verdicts(site, str(site.source), "--at", "2026-01-02") == {"0-FULL": "good", "1-DIFF": "good"}
    assert len(verdicts(site, "--all")) == 5
    assert site.run("verify", "--all", day=None).stdout.count("good") == 5


def test_a_damaged_archive_is_reported_and_the_others_are_looked_at(site: Site, key: Key) -> None:
    site.configure_cycle(GROUPS, general=key.directives)
    nights(site, 3)
    damaged = f"{site.name()}-1-DIFF"
    data = site.fetch(damaged)
    overwrite(site, damaged, data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    for options in ([], ["--keyless"]):
        assert verdicts(site, *options, expect=1) == {"0-FULL": "good", "1-DIFF": "FAILED", "2-DIFF": "good"}


def test_keyless_needs_no_key_and_notices_missing_and_foreign_sums(site: Site, key: Key) -> None:
    site.configure_cycle(GROUPS, general=key.directives)
    nights(site, 3)
    with gpg_home() as other:
        site.configure("", general=f"GpgHome {other.path}")
        assert set(verdicts(site, expect=1).values()) == {"FAILED"}
        assert set(verdicts(site, "--keyless").values()) == {"good"}
        site.store().delete(f"{site.name()}-0-FULL.sha256")
        path = site.vault / f"{site.name()}-1-DIFF.sha256"
        path.write_text(path.read_text().replace("# id ", "# id 0"))
        assert verdicts(site, "--keyless", expect=1) == {"0-FULL": "FAILED", "1-DIFF": "FAILED", "2-DIFF": "good"}


def test_what_stands_beside_an_archive_is_asked_for_once(
    tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(rclone)
    site = Site(tmp_path, proxy.server, rclone.make_bucket())
    site.configure_cycle(GROUPS)
    nights(site, 2)
    for options in ((), ("--keyless",)):
        proxy.seen.clear()
        assert set(verdicts(site, *options).values()) == {"good"}
        asked = [request.path.partition("?")[0] for request in proxy.seen if request.operation == "GetObject"]
        sums = [path for path in asked if path.endswith(".sha256")]
        assert len(sums) == len(set(sums)) == 2


def test_a_broken_chain_is_a_failure_where_the_newest_archive_is_concerned(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 3)
    site.store().delete(f"{site.name()}-1-DIFF")
    done = site.run("verify", day=None, expect=1)
    assert f"{site.name()}-2-DIFF of 2026-01-03 cannot be restored" in done.stdout
    assert f"{site.name()}-0-FULL: good" in done.stdout
    done = site.run("verify", "--all", day=None, expect=1)
    assert f"{site.name()}-1-DIFF cannot be restored: it is gone; its checksum is still there" in done.stdout
    assert f"{site.name()}-2-DIFF: cannot be restored" in done.stdout
    site.store().delete(f"{site.name()}-1-DIFF.sha256")
    done = site.run("verify", "--all", day=None, expect=1)
    assert f"{site.name()}-1-DIFF cannot be restored: it is gone; its index is still there" in done.stdout
    site.store().delete(f"{site.name()}-1-DIFF.index")
    assert f"{site.name()}-2-DIFF: cannot be restored" in site.run("verify", "--all", day=None, expect=1).stdout


def test_what_the_rotation_has_outlived_is_told_and_is_no_failure(site: Site) -> None:
    site.configure_cycle("Fulls 1\nDiffs 2")
    nights(site, 4)
    done = site.run("verify", "--all", day=None)
    assert f"{site.name()}-1-DIFF: cannot be restored: what it builds on was overwritten" in done.stdout
    assert f"{site.name()}-0-FULL: good" in done.stdout


@pytest.mark.parametrize("options", [("--all",), ("--all", "--keyless")])
def test_what_is_lost_behind_the_present_group_is_a_failure(
    site: Site, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Which FULL the rotation has passed, and which one somebody has deleted, dates alone do not tell."""
    site.configure_cycle("Diffs 2\nFulls 3")
    nights(site, 5)
    name = site.name()
    assert [key.removeprefix(name) for key in site.archive_keys()] == [
        "-0-FULL",
        "-1-DIFF",
        "-6-FULL",
        "-7-DIFF",
        "-8-DIFF",
    ]
    site.run("verify", *options, day=None)
    for end in ("", ".sha256", ".index", ".intact"):
        site.store().delete(f"{name}-6-FULL{end}")
    lost = "cannot be restored: the archive it builds on, in slot 6, is no longer in the store"
    assert f"{name}-7-DIFF: {lost}" in site.run("verify", *options, day=None, expect=1).stdout
    refused = site.run("restore", str(site.source), "--to", str(tmp_path), "--at", "2026-01-02", day=None, expect=1)
    assert lost in refused.stderr
    # Once the rotation has come there, nothing of it is missed any more.
    for day in range(5, 10):
        site.run(day=day)
    assert "no longer" not in site.run("verify", *options, day=None).stdout


@pytest.mark.parametrize("options", [(), ("--all",), ("--all", "--keyless")])
def test_an_archive_whose_parent_nobody_knows_is_a_failure(site: Site, options: tuple[str, ...]) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 3)
    key = f"{site.name()}-2-DIFF"
    for about in (site.vault / ".s3napback" / "objects" / key).glob("*.json"):
        about.write_text(about.read_text().replace(site.metadata(key)["s3napback-parent"], "0" * 32))
    done = site.run("verify", *options, day=None, expect=1)
    assert re.search(rf"^{re.escape(key)}\S* (of \S+ )?cannot be restored", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("source", "name", "content", "word"),
    [
        ("Directory /etc", "etc", b"x" * 5000 + bytes(1024), "tar"),
        ("Directory /etc", "etc", tar_of((file_member("etc/x"), b"x" * 9000))[:9728], "end mark"),
        ("MySQL shop", "MySQL/shop", b"-- MariaDB dump 10.19\nCREATE TABLE", "did not dump everything"),
        ("PostgreSQL shop", "PostgreSQL/shop", b"--\n-- PostgreSQL database dump\n--\n", "did not dump everything"),
        ("Subversion /svn", "svn", b"SVN-fs-dump-format-version: 3\n\nUUID: x\n\nRevision-number: 0\nConte", "early"),
        ("Subversion /svn", "svn", b"no dump at all\n\n", "early"),
    ],
)
def test_content_that_is_not_whole_fails_though_every_mark_around_it_is_right(
    site: Site, source: str, name: str, content: bytes, word: str
) -> None:
    site.configure("")
    archive = put_archive(site, 0, content, source=source, name=name)
    done = site.run("verify", day=None, expect=1)
    assert f"{archive}: FAILED" in done.stdout
    assert word in done.stdout


def test_what_does_not_begin_like_a_dump_is_none(site: Site) -> None:
    site.configure("")
    put_archive(site, 0, b"CREATE TABLE x (y int);\n", source="MySQL shop", name="MySQL/shop")
    assert "it does not begin like a dump" in site.run("verify", day=None, expect=1).stdout


def test_revisions_must_continue_those_of_the_archive_before(site: Site, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    site.configure(f"<Subversion {repository.path}>\n{GROUPS}\n</Subversion>")
    for night in range(3):
        repository.commit(f"night {night}", ("mkdir", f"night-{night}"))
        site.run(day=night)
    name = site.name(repository.path)
    assert site.run("verify", day=None).stdout.count("good") == 3
    # The dump of the last night in the place of the one before, and no sum that tells: a load would renumber it.
    overwrite(site, f"{name}-1-DIFF", site.fetch(f"{name}-2-DIFF"))
    site.store().delete(f"{name}-1-DIFF.sha256")
    done = site.run("verify", day=None, expect=1)
    assert f"{name}-1-DIFF: FAILED" in done.stdout
    assert "which is not what its metadata say" in done.stdout
    # and from another repository
    other = Repository(tmp_path / "other")
    other.commit("one", ("mkdir", "one"))
    overwrite(site, f"{name}-0-FULL", gzip.compress(other.dump()))
    assert f"{name}-0-FULL: FAILED" in site.run("verify", day=None, expect=1).stdout


def test_compare_finds_nothing_right_after_a_backup_and_names_what_changed_since(site: Site, key: Key) -> None:
    site.configure_cycle(f'{GROUPS}\nExclude "left out"', general=key.directives)
    tree = RandomTree(site.source, 5)
    for night in range(3):
        tree.edit(10)
        tree.move_directories(2)
        (site.source / "to be changed").write_text(f"night {night}")
        (site.source / "to be deleted").write_text("x")
        (site.source / "left out").write_text("x")
        site.run(day=night)
    done = site.run("verify", str(site.source), "--compare", day=None)
    assert f"Directory {site.source}: 0 differences from {site.name()}-2-DIFF" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    (site.source / "new one").write_text("x")
    done = site.run("verify", str(site.source), "--compare", day=None)
    assert f"{site.source}/new one: new since then" in done.stdout
    assert f"Directory {site.source}: 0 differences" in done.stdout
    (site.source / "to be changed").write_text("after")
    (site.source / "to be deleted").unlink()
    done = site.run("verify", "--compare", day=None, expect=1)
    assert f"{site.source}/to be changed: 5 bytes, were 7, another modification time" in done.stdout
    assert f"{site.source}/to be deleted: missing" in done.stdout
    assert f"Directory {site.source}: 2 differences from" in done.stdout
    assert f"{site.source}/new one: new since then" in done.stdout
    assert "2 differences found" in done.stderr


def test_what_could_not_be_compared_is_no_difference(site: Site) -> None:
    (site.source / "file").write_text("content")
    site.configure_cycle(GROUPS)
    site.run()
    overwrite(site, f"{site.name()}-0-FULL", b"no archive")
    done = site.run("verify", "--compare", day=None, expect=1)
    assert f"{site.name()}-0-FULL: FAILED" in done.stdout
    assert "1 problem found" in done.stderr


@pytest.mark.parametrize("keyless", [False, True])
@pytest.mark.parametrize("kind", ["Diffs 0\nFulls 2", "Diffs 1\nFulls 1"])
def test_what_a_backup_replaces_meanwhile_is_no_failure_and_damage_is_one(site: Site, kind: str, keyless: bool) -> None:
    """A backup that takes its time, and a verify that is begun by cron beside it."""
    site.configure_cycle(kind)
    for day in range(2):
        (site.source / "file").write_text(f"{day}")
        site.run(day=day)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            site.run("--full", day=3)

    today = FIRST_DAY + timedelta(days=3)
    request = VerifyRequest(every=True, keyless=keyless)
    assert verify(load_configuration(site.configuration), request, today, say) == 0
    first, second = lines
    assert ": good, " in first
    assert second.endswith(": not judged, since a backup has filled its slot anew meanwhile")
    overwrite(site, site.archive_keys()[0], b"damaged")
    assert "FAILED" in site.run("verify", "--all", day=None, expect=1).stdout


def test_a_checksum_that_a_backup_writes_meanwhile_counts(site: Site) -> None:
    """A backup whose archive had arrived when verify listed the store, and whose checksum had not."""
    site.configure_cycle(GROUPS)
    nights(site, 2)
    path, aside = site.vault / f"{site.name()}-1-DIFF.sha256", site.root / "aside"
    path.rename(aside)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            aside.rename(path)

    today = FIRST_DAY + timedelta(days=1)
    assert verify(load_configuration(site.configuration), VerifyRequest(keyless=True), today, say) == 0
    assert [line.split(", ")[0].removeprefix(site.name()) for line in lines] == ["-0-FULL: good", "-1-DIFF: good"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--compare", "--all"), "--compare goes neither with --all nor with --keyless"),
        (("--compare", "--keyless"), "--compare goes neither with --all nor with --keyless"),
        (("--all", "--at", "2026-01-01"), "--at names one state, so it does not go with --all"),
    ],
)
def test_options_that_do_not_go_together_are_refused(site: Site, options: tuple[str, ...], reason: str) -> None:
    site.configure("")
    assert f"Error: {reason}" in site.run("verify", *options, day=None, expect=2).stderr


def test_a_store_that_holds_nothing_is_not_good(site: Site) -> None:
    site.configure("")
    done = site.run("verify", day=None, expect=1)
    assert done.stdout == ""
    assert f"there are no archives in file://{site.vault} that could be verified" in done.stderr


@pytest.mark.parametrize("command", ["verify", "drill"])
def test_where_all_is_of_another_host_it_is_said_whose(site: Site, command: str) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    site.configure("")
    site.configuration.write_text(site.configuration.read_text().replace("test-host", "successor"))
    said = site.run(command, day=None, expect=1).stderr
    assert "to take one's, set HostName to its name: test-host" in said


@pytest.mark.parametrize("command", ["verify", "drill"])
def test_a_source_that_is_younger_than_the_day_asked_for_is_told_and_is_no_failure(site: Site, command: str) -> None:
    younger = site.root / "younger"
    younger.mkdir()
    (younger / "file").write_text("content")
    site.configure_cycle(GROUPS)
    nights(site, 2)
    site.configure(f"<Cycle nightly>\n{GROUPS}\nDirectory {site.source}\nDirectory {younger}\n</Cycle>")
    nights(site, 2, first=2)
    shown = site.run(command, "--at=2026-01-02", day=None).stdout
    assert f"Directory {younger}: there is no archive as old as 2026-01-02; the oldest is of 2026-01-03: not " in shown
    assert f"{site.source}" in shown or f"{site.name()}-1-DIFF: good" in shown
    for options in (["--at=2025-12-01"], [str(younger), "--at=2026-01-02"]):
        failed = site.run(command, *options, day=None, expect=1)
        assert "there is no archive as old as" in failed.stdout + failed.stderr
