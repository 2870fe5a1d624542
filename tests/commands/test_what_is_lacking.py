"""What a command leaves out is said, and what is not there is not passed over: success is success."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.filling import nights
from tests.servers import S3Server
from tests.site import Site

GROUPS = "Diffs 6\nFulls 2"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("first")
    return site


def other_configuration(site: Site) -> Site:
    """Of a cloned machine: the same HostName and source, and a Prefix of its own."""
    clone = Site(site.root / "clone", site.server, site.bucket)
    clone.diff_dir.mkdir(exist_ok=True)
    clone.configuration.write_text(
        site.configuration.read_text()
        .replace(str(site.diff_dir), str(clone.diff_dir))
        .replace("HostName", "Prefix b\nHostName")
    )
    return clone


def verified(site: Site) -> list[str]:
    """The archives that ``verify`` finds nothing amiss with."""
    return [line.partition(": good")[0] for line in site.run("verify", day=None).stdout.splitlines()]


def test_a_command_takes_what_its_own_prefix_claims_and_says_what_else_there_is(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    clone = other_configuration(site)
    nights(site, 1)
    (site.source / "file").write_text("the clone's")
    nights(clone, 2)
    log = site.run("restore", str(site.source), "--to", str(tmp_path / "own"), day=None).stderr
    assert (tmp_path / "own" / site.name() / "file").read_text() == "first"
    assert f"other names, b/{site.name()}: of another Prefix, or copies; they are passed over" in log
    assert log.count("they are passed over") == 1
    checked = site.run("verify", day=None)
    assert [line.partition(":")[0] for line in checked.stdout.splitlines()] == [f"{site.name()}-0-FULL"]
    assert "2 archives passed over: of another Prefix, or copies" in checked.stderr
    listed = json.loads(site.run("list", "--json", day=None).stdout)
    assert [source["days"] for source in listed["sources"]] == [["2026-01-01"]]
    assert len(listed["archives"]) == 3
    named = ["--from", f"b/{site.name()}"]
    site.run("restore", str(site.source), "--to", str(tmp_path / "other"), *named, day=None)
    assert (tmp_path / "other" / site.name() / "file").read_text() == "the clone's"
    site.store().delete(f"{site.name()}-0-FULL")
    refused = site.run("restore", str(site.source), "--to", str(tmp_path / "none"), day=None, expect=1)
    assert "set that Prefix, or name one with --from" in refused.stderr
    assert not (tmp_path / "none").exists()


def test_a_configured_source_without_a_backup_is_the_first_thing_to_be_seen(site: Site) -> None:
    never = site.root / "never"
    site.configure(f"<Cycle nightly>\n{GROUPS}\nDirectory {site.source} {never}\n</Cycle>")
    site.run(day=0, expect=1)
    first, *_ = site.run("list", day=None).stdout.splitlines()
    assert first.startswith(f"NOTHING of Directory {never} (Cycle nightly) can be restored: it is configured")
    found = json.loads(site.run("list", "--json", day=None).stdout)
    assert found["unprotected"] == [
        {"source": f"Directory {never}", "cycle": "nightly", "name": str(never).lstrip("/")}
    ]
    for options in ([], ["--keyless"], ["--all"], ["--compare"]):
        checked = site.run("verify", *options, day=None, expect=1)
        assert checked.stdout.startswith(f"Directory {never} (Cycle nightly): FAILED: it is configured, and there is")
    assert site.run("verify", str(never), day=None, expect=1).stdout.count("FAILED") == 1
    assert "NOTHING of" in site.run("list", str(never), day=None).stdout
    assert "NOTHING" not in site.run("list", str(site.source), day=None).stdout
    site.run("verify", str(site.source), day=None)
    site.run("list", "/nope", day=None, expect=1)
    never.mkdir()
    site.run(day=1)
    assert "NOTHING" not in site.run("list", day=None).stdout
    site.run("verify", day=None)


def test_a_source_whose_only_archives_are_broken_is_one_without_a_backup(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 2)
    site.store().delete(f"{site.name()}-0-FULL")
    assert "NOTHING of" in site.run("list", day=None).stdout
    assert "FAILED: it is configured" in site.run("verify", day=None, expect=1).stdout


def test_another_machine_without_a_hostname_looks_at_the_only_hosts_archives(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace("HostName test-host\n", ""))
    assert "NOTHING" not in site.run("list", day=None).stdout
    site.run("verify", day=None)
    site.configuration.write_text(text.replace("HostName test-host\n", "HostName another\n"))
    assert "NOTHING" in site.run("list", day=None).stdout
    site.run("verify", day=None, expect=1)


def test_of_a_machine_that_was_renamed_the_archives_of_its_old_name_are_told_of(site: Site, tmp_path: Path) -> None:
    """What was asked for is there, under the former HostName: that there is none as old was all that was said."""
    site.configure_cycle("Diffs 6")
    nights(site, 1)
    text = site.configuration.read_text()
    site.configuration.write_text(text.replace("HostName test-host", "HostName renamed"))
    site.run(day=1)
    words = ("restore", str(site.source), "--to", str(tmp_path / "out"), "--at", "2026-01-01")
    refused = site.run(*words, day=None, expect=1).stderr
    assert "there is no archive as old as 2026-01-01" in refused
    assert "there are archives of other hosts, test-host; they are passed over: to take one's, set HostName" in refused
    site.configuration.write_text(text)
    site.run(*words, day=None)


def test_a_path_within_a_source_is_found_in_it(site: Site, tmp_path: Path) -> None:
    (site.source / "folder").mkdir()
    (site.source / "folder/one").write_text("1")
    (site.source / "folder/two").write_text("2")
    inner = site.source / "folder"
    site.configure_cycle(GROUPS)
    nights(site, 1)
    done = site.run("restore", f"{inner}/one", "--to", str(tmp_path / "one"), day=None)
    assert f"{inner}/one lies in Directory {site.source}: restoring that of it" in done.stderr
    assert sorted(path.name for path in (tmp_path / "one").rglob("*") if path.is_file()) == ["one"]
    site.run("restore", f"{inner}//", "--to", str(tmp_path / "both"), f"{site.source}/file", day=None)
    assert sorted(path.name for path in (tmp_path / "both").rglob("*") if path.is_file()) == ["file", "one", "two"]
    # There is a file of this name in the source, but not in the folder.
    refused = (
        ("restore", str(inner), "file", "--to", str(tmp_path / "none")),
        ("dump", str(inner), "one"),
        ("ls", str(inner), "one"),
        ("history", str(inner), "one"),
    )
    assert site.run("history", str(inner), f"{inner}/one", day=None).stdout.startswith("2026-01-01  -rw")
    for words in refused:
        relative = site.run(*words, day=None, expect=1)
        assert f"{inner} is no source, but lies in Directory {site.source}: name that, and the path" in relative.stderr
    absent = site.run("restore", f"{inner}/three", "--to", str(tmp_path / "none"), day=None, expect=1)
    assert "three" in absent.stderr
    assert "no archives of /elsewhere" in site.run(
        "restore", "/elsewhere", "--to", str(tmp_path / "no"), day=None, expect=1
    ).stderr  # fmt: skip


def cut(archive: Path, _metadata: Path) -> None:
    os.truncate(archive, 100)


def touch_later(archive: Path, _metadata: Path) -> None:
    """As a copy does that keeps no times."""
    os.utime(archive, (1, 1))


def remove(archive: Path, _metadata: Path) -> None:
    archive.unlink()


def remove_with_what_lies_beside(archive: Path, _metadata: Path) -> None:
    archive.unlink()
    for beside in ("sha256", "index"):
        archive.with_name(f"{archive.name}.{beside}").unlink()


def lose_metadata(archive: Path, metadata: Path) -> None:
    """Also out of the checksum, as an earlier version wrote it."""
    shutil.rmtree(metadata)
    checksum = archive.with_name(f"{archive.name}.sha256")
    lines = checksum.read_bytes().splitlines(keepends=True)
    checksum.write_bytes(b"".join(line for line in lines if not line.startswith(b"# s3napback-")))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "it is damaged: it was changed after it was written: it has 100 bytes, and"),
        (touch_later, "it is damaged: it was copied without its time, which cp -a keeps, or changed after it"),
        (remove, "it is gone; its checksum is still there"),
        (remove_with_what_lies_beside, "it is gone; what the store noted of it is still there"),
        (lose_metadata, "it has no metadata"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--all"], ["--keyless"], ["--keyless", "--all"]])
def test_an_archive_that_is_damaged_beyond_recognition_is_a_failure_of_every_check(
    site: Site, tmp_path: Path, spoil: Callable[[Path, Path], None], words: str, options: list[str]
) -> None:
    site.configure_cycle(GROUPS)
    for day in range(3):
        (site.source / "file").write_text(str(day))
        site.run(day=day)
    key = f"{site.name()}-2-DIFF"
    assert site.run("verify", *options, day=None).stdout.count("good") >= 1
    spoil(site.vault / key, site.vault / ".s3napback/objects" / key)
    for source in ([], [str(site.source)]):
        checked = site.run("verify", *source, *options, day=None, expect=1)
        assert f"{key} cannot be restored: {words}" in checked.stdout
        assert f"{site.name()}-1-DIFF: good" in checked.stdout
    restored = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
    assert f"{key} cannot be restored: {words}" in restored.stderr
    assert (tmp_path / "out" / site.name() / "file").read_text() == "1"
    assert key in site.run("list", day=None).stdout


@pytest.mark.parametrize("spoil", [cut, remove])
def test_two_days_that_are_compared_tell_of_a_damaged_archive_once(
    site: Site, spoil: Callable[[Path, Path], None]
) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 3)
    key = f"{site.name()}-2-DIFF"
    spoil(site.vault / key, site.vault / ".s3napback/objects" / key)
    compared = site.run("diff", str(site.source), "2026-01-01", "2026-01-02", day=None)
    assert compared.stderr.count(f"{key} cannot be restored: it is ") == 1


@pytest.mark.parametrize("spoil", [cut, remove, lose_metadata])
def test_the_only_archive_of_a_source_does_not_drop_out_either(site: Site, spoil: Callable[[Path, Path], None]) -> None:
    site.configure_cycle(GROUPS)
    site.run(day=0)
    key = f"{site.name()}-0-FULL"
    spoil(site.vault / key, site.vault / ".s3napback/objects" / key)
    text = site.configuration.read_text()
    site.configuration.write_text("".join(line for line in text.splitlines(True) if line.startswith("Bucket")))
    assert f"{key}: FAILED: it " in site.run("verify", day=None, expect=1).stdout


def test_a_slot_that_was_filled_under_its_other_key_misses_nothing(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 2)
    (site.vault / f"{site.name()}-0-DIFF.sha256").write_text("left behind")
    assert verified(site) == [f"{site.name()}-0-FULL", f"{site.name()}-1-DIFF"]


def test_what_nothing_tells_to_be_ours_fails_no_check(site: Site) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    (site.vault / "photo-12").write_text("somebody's")
    assert verified(site) == [f"{site.name()}-0-FULL"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["list"], 0),
        (["prune"], 0),
        (["prune", "--yes"], 0),
        (["prune", "--original"], 0),
        (["report", "--html", "{root}/page.html"], 0),
        (["status"], 0),
        (["status", "--check"], 3),
        (["ls", "{source}"], 1),
        (["find", "file"], 1),
        (["restore", "{source}", "--to", "{root}/out"], 1),
        (["verify", "--keyless"], 1),
        (["drill"], 1),
        (["report", "--html", "{root}/page.html"], 0),
        (["prune"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_folder_without_archives_and_without_a_mark_may_be_an_unmounted_disk(
    site: Site, words: list[str], code: int
) -> None:
    site.configure_cycle(GROUPS)
    (site.vault / "left in the mount point").touch()
    done = site.run(*(word.format(root=site.root, source=site.source) for word in words), day=None, expect=code)
    assert done.stderr.count("does not hold the mark that backups leave there. Is the disk not mounted") == 1
    (site.vault / ".s3napback").mkdir()
    (site.vault / ".s3napback/store").touch()
    done = site.run(*(word.format(root=site.root, source=site.source) for word in words), day=None, expect=code)
    assert "mark" not in done.stderr


@pytest.mark.parametrize("prefix", ["", "b"])
def test_the_key_of_a_copy_under_another_name_names_it(site: Site, moto: S3Server, tmp_path: Path, prefix: str) -> None:
    """Whoever keeps a year's last backup copies its chain; ``list`` shows both as restorable."""
    site = Site(site.root, moto)
    site.configure_cycle(GROUPS, general=f"Prefix {prefix}" if prefix else "")
    below = f"{prefix}/" if prefix else ""
    nights(site, 2)
    (site.source / "file").write_text("later")
    for end in ("0-FULL", "1-DIFF"):
        source = f"{site.bucket}/{below}{site.name()}-{end}"
        moto.client().copy_object(Bucket=site.bucket, Key=f"{below}kept/year-{end}", CopySource=source)
    site.run(day=9)
    for number, name in enumerate(["kept/year-1-DIFF", f"{below}kept/year-0-FULL"]):
        target = tmp_path / f"{number}"
        log = site.run("restore", str(site.source), "--to", str(target), "--at", name, day=None).stderr
        assert "kept/year-" in log
        assert "passed over" not in log
        assert (target / site.name() / "file").read_text() == "first"
    for words in (["ls", "-R"], ["verify"], ["diff", "kept/year-0-FULL"]):
        at = [] if words[0] == "diff" else ["--at", "kept/year-1-DIFF"]
        done = site.run(words[0], *words[2:], str(site.source), *words[1:], *at, day=None)
        assert "kept/year" in done.stdout + done.stderr
