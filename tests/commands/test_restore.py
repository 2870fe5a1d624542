"""``restore`` of directories through the real command line."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.gpg_keys import Key
from tests.recovery.helpers import file_member, leftovers, nights, put_archive, tar_of
from tests.site import Site
from tests.sources.trees import RandomTree, assert_same_tree
from tests.waiting import becomes

GROUPS = "Diffs 6\nFulls 2"
"""The first day fills slot 0 with a FULL."""


def bare(site: Site, general: str = "") -> None:
    """Leave nothing of the machine but the address of the store."""
    lines = site.configuration.read_text().splitlines()
    kept = [line for line in lines if line.startswith(("Bucket", "Endpoint", "S3Keyfile", "Prefix"))]
    site.configuration.write_text("\n".join([*kept, general]) + "\n")
    shutil.rmtree(site.diff_dir)


def test_a_bare_machine_gets_the_tree_of_any_day_back(any_site: Site, key: Key, tmp_path: Path) -> None:
    site = any_site
    site.configure_cycle(GROUPS, general=f"{key.directives}\nPrefix some/where")
    tree = RandomTree(site.source, 7)
    for night in range(3):
        tree.edit(10)
        tree.move_directories(1)
        site.copy_source(tmp_path / f"as-of-{night}")
        site.run(day=night)
    bare(site, f"GpgHome {key.home.path}")
    for night in range(3):
        where = tmp_path / f"restored-{night}"
        site.run("restore", str(site.source), "--to", str(where), "--at", f"2026-01-0{night + 1}", day=None)
        assert_same_tree(tmp_path / f"as-of-{night}", where / site.name(), hard_links=False)
        assert not leftovers(where)
    assert not site.diff_dir.exists()


def test_a_copy_of_the_whole_configuration_will_do_before_anything_is_made_for_it(site: Site, tmp_path: Path) -> None:
    database = tmp_path / "wiki.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE pages (text)")
    site.configure_cycle(f"SQLite {database}")
    site.run()
    for folder in (site.diff_dir, site.temp_dir, site.source):
        shutil.rmtree(folder, ignore_errors=True)
    database.unlink()
    site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
    site.run("restore", f"SQLite{database}", "--to", str(database), day=None)
    assert database.read_bytes().startswith(b"SQLite format 3")
    for command in (["list"], ["verify"]):
        site.run(*command, day=None)
    assert f"mkdir -m 700 -p {site.diff_dir}" in site.run("-t", expect=2).stderr


def test_at_takes_a_date_a_time_or_a_key(site: Site, tmp_path: Path) -> None:
    site.configure("")
    for slot in (0, 2, 5):
        put_archive(site, slot, tar_of((file_member("etc/day"), str(slot).encode())))

    def day_at(at: str, name: str) -> str:
        site.run("restore", "/etc", "--to", str(tmp_path / name), "--at", at, day=None)
        return (tmp_path / name / "etc/day").read_text()

    assert day_at("2026-01-03", "that day") == "2"
    assert day_at("2026-01-05", "the newest before it") == "2"
    assert day_at("2026-01-05T00:00", "another notation") == "2"
    assert day_at("2026-01-03 02:59 UTC", "a moment before") == "0"
    assert day_at("2026-01-03T03:00:00Z", "that very moment") == "2"
    assert day_at("etc-0-FULL", "a key") == "0"
    missing = site.run("restore", "/etc", "--to", str(tmp_path / "x"), "--at", "2025-12-31", day=None, expect=1)
    assert "the oldest is of 2026-01-01" in missing.stderr
    for nonsense in ("etc-1-FULL", "yesterday-ish", "2026-01-03 03:00 XYZ"):
        refused = site.run("restore", "/etc", "--to", str(tmp_path / "x"), "--at", nonsense, day=None, expect=2)
        assert "neither an archive's key nor a moment" in refused.stderr
    assert not (tmp_path / "x").exists()


def test_an_archive_whose_chain_is_broken_is_passed_over_and_named(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 3)
    site.store().delete(f"{site.name()}-1-DIFF")
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
    assert f"{site.name()}-2-DIFF of 2026-01-03 cannot be restored" in done.stderr
    assert (tmp_path / "out" / site.name() / "changing").read_text() == "night 0\n"
    refused = site.run(
        "restore", str(site.source), "--to", str(tmp_path / "x"), "--at", f"{site.name()}-2-DIFF", day=None, expect=1
    )
    assert "cannot be restored" in refused.stderr


def test_from_narrows_to_a_cycle_or_a_name(site: Site, tmp_path: Path) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((file_member("etc/x"), b"daily")), name="daily/etc", cycle="daily")
    put_archive(site, 1, tar_of((file_member("etc/x"), b"weekly")), name="weekly/etc", cycle="weekly")
    for number, (origin, expected) in enumerate({"": "weekly", "daily": "daily", "weekly/etc": "weekly"}.items()):
        where = tmp_path / str(number)
        site.run("restore", "/etc", "--to", str(where), *(["--from", origin] if origin else []), day=None)
        assert (where / "etc/x").read_text() == expected


def test_archives_of_other_hosts_are_taken_only_where_it_is_clear_which_are_meant(site: Site, tmp_path: Path) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((file_member("etc/x"), b"one")), host="one", name="a/etc", cycle="a")
    text = site.configuration.read_text()
    where = str(tmp_path / "out")
    refused = site.run("restore", "/etc", "--to", where, day=None, expect=1)
    assert "there are only archives of host one, and this host is test-host" in refused.stderr
    site.configuration.write_text(text.replace("HostName test-host", ""))
    done = site.run("restore", "/etc", "--to", where, day=None)
    assert "these are archives of host one" in done.stderr
    put_archive(site, 1, tar_of((file_member("etc/x"), b"two")), host="two", name="b/etc", cycle="b")
    refused = site.run("restore", "/etc", "--to", str(tmp_path / "x"), day=None, expect=1)
    assert "hosts one, two" in refused.stderr
    site.run("restore", "/etc", "--to", str(tmp_path / "from"), "--from", "a", day=None)
    assert (tmp_path / "from/etc/x").read_text() == "one"
    site.configuration.write_text(text.replace("test-host", "two"))
    site.run("restore", "/etc", "--to", str(tmp_path / "two"), day=None)
    assert (tmp_path / "two/etc/x").read_text() == "two"


def test_where_must_be_new_or_empty_but_for_a_new_disks_lost_and_found(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    occupied, disk, file = tmp_path / "occupied", tmp_path / "disk", tmp_path / "file"
    (occupied / "some").mkdir(parents=True)
    (disk / "lost+found").mkdir(parents=True)
    file.write_text("")
    for target in (occupied, file):
        for options in ([], ["-t"]):
            refused = site.run("restore", str(site.source), "--to", str(target), *options, day=None, expect=2)
            assert str(target) in refused.stderr
    assert [path.name for path in occupied.iterdir()] == ["some"]
    site.run("restore", str(site.source), "--to", str(disk), day=None)
    assert sorted(path.name for path in disk.iterdir()) == sorted(["lost+found", site.name().split("/")[0]])


def test_in_place_merges_deletes_nothing_and_asks_first(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    (site.source / "folder").mkdir()
    (site.source / "folder").chmod(0o750)
    nights(site, 2)
    live = tmp_path / "live"
    inner = live / site.name()
    (inner / "folder").mkdir(parents=True)
    (inner / "folder/kept").write_text("kept")
    (inner / "changing").write_text("live")
    above = inner.parent.stat()
    options = ("restore", str(site.source), "--to", str(live), "--in-place")
    refused = site.run(*options, day=None, expect=1)
    assert "--yes" in refused.stderr
    assert (inner / "changing").read_text() == "live"
    site.run(*options, "--yes", day=None)
    assert (inner / "changing").read_text() == "night 0\nnight 1\n"
    assert (inner / "folder/kept").read_text() == "kept"
    assert (inner / "folder").stat().st_mode & 0o7777 == 0o750
    assert (inner.parent.stat().st_mode, inner.parent.stat().st_mtime_ns) == (above.st_mode, above.st_mtime_ns)
    assert (inner / "night-1").stat().st_mtime_ns == (site.source / "night-1").stat().st_mtime_ns
    assert not leftovers(live)


@pytest.mark.parametrize(("answer", "expected"), [(b"n\n", "live"), (b"y\n", "night 0\n")])
def test_in_place_obeys_the_answer_given_on_a_terminal(
    site: Site, tmp_path: Path, answer: bytes, expected: str
) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    inner = tmp_path / "live" / site.name()
    inner.mkdir(parents=True)
    (inner / "changing").write_text("live")
    command = site.command("restore", str(site.source), "--to", str(tmp_path / "live"), "--in-place", day=None)
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, env=site.full_environment()) as process:
            os.write(ours, answer)
            _, said = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"Merge Directory" in said
    assert process.returncode == (0 if expected != "live" else 1)
    assert (inner / "changing").read_text() == expected


def test_in_place_follows_no_link_and_changes_no_kind_of_file(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    (site.source / "folder").mkdir()
    (site.source / "folder/secret").write_text("restored")
    nights(site, 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    inner = tmp_path / "live" / site.name()
    inner.mkdir(parents=True)
    (inner / "folder").symlink_to(elsewhere)
    refused = site.run(
        "restore", str(site.source), "--to", str(tmp_path / "live"), "--in-place", "--yes", day=None, expect=1
    )
    assert str(inner / "folder") in refused.stderr
    assert not list(elsewhere.iterdir())
    assert [path.name for path in inner.iterdir()] == ["folder"]
    (inner / "folder").unlink()
    (inner / "changing").mkdir()
    site.run("restore", str(site.source), "--to", str(tmp_path / "live"), "--in-place", "--yes", day=None, expect=1)
    assert [path.name for path in inner.iterdir()] == ["changing"]


def test_a_path_that_was_not_there_is_an_error_that_names_near_ones(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(f"{GROUPS}\nExclude left-out")
    (site.source / "left-out").mkdir()
    (site.source / "left-out/inner").write_text("x")
    (site.source / "nginx").mkdir()
    (site.source / "nginx/nginx.conf").write_text("x")
    nights(site, 1)
    (site.source / "gone").write_text("x")
    nights(site, 1, first=1)
    (site.source / "gone").unlink()
    nights(site, 1, first=2)
    where = tmp_path / "out"
    for path, near in (("nginx/ngnix.conf", "nginx/nginx.conf"), ("nginx.conf", "nginx/nginx.conf"), ("gone", "")):
        refused = site.run("restore", str(site.source), str(site.source / path), "--to", str(where), day=None, expect=1)
        assert f"{site.source / path} was not there on that day" in refused.stderr
        assert str(site.source / near) in refused.stderr
        assert not where.exists()
    excluded = "was there on that day, but Exclude left it out"
    below = (
        "was there on that day, but is a link or a file, below which nothing lies, or Exclude left it out: ls shows it"
    )
    for path, said in (("left-out", excluded), ("left-out/inner", below)):
        refused = site.run("restore", str(site.source), path, "--to", str(where), day=None, expect=1)
        assert f"{site.source}/left-out {said}" in refused.stderr
    site.run("restore", str(site.source), "gone", "--to", str(where), "--at", "2026-01-02", day=None)
    assert (where / site.name() / "gone").exists()
    outside = site.run("restore", str(site.source), "/etc", "--to", str(tmp_path / "x"), day=None, expect=1)
    assert "/etc does not lie in" in outside.stderr


def test_a_path_that_is_another_name_of_a_file_elsewhere_comes_back_alone(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    (site.source / "a").mkdir()
    (site.source / "b").mkdir()
    (site.source / "a/original").write_text("the content")
    (site.source / "b/name").hardlink_to(site.source / "a/original")
    (site.source / "b/another").hardlink_to(site.source / "a/original")
    nights(site, 2)
    before = (site.source / "b").stat()
    site.run("restore", str(site.source), str(site.source / "b"), "--to", str(tmp_path / "out"), day=None)
    restored = tmp_path / "out" / site.name()
    assert sorted(path.name for path in restored.iterdir()) == ["b"]
    assert (restored / "b/name").read_text() == "the content"
    assert (restored / "b/name").stat().st_ino == (restored / "b/another").stat().st_ino
    assert (restored / "b").stat().st_mtime_ns == before.st_mtime_ns


def test_a_directory_that_is_a_link_comes_back_under_the_links_name(site: Site, tmp_path: Path) -> None:
    (site.source / "real/folder").mkdir(parents=True)
    (site.source / "real/folder/file").write_text("x")
    link = site.root / "link"
    link.symlink_to(site.source / "real")
    site.configure(f"<Cycle c>\nDiffs 6\nDirectory {link}\n</Cycle>")
    site.run(day=0)
    (link / "folder/more").write_text("y")
    site.run(day=1)
    site.run("restore", str(link), "--to", str(tmp_path / "all"), day=None)
    assert_same_tree(site.source / "real", tmp_path / "all" / site.name(link))
    site.run("restore", str(link), str(link / "folder/more"), "--to", str(tmp_path / "one"), day=None)
    assert [path.name for path in (tmp_path / "one" / site.name(link) / "folder").iterdir()] == ["more"]


def test_the_test_option_says_what_would_be_fetched_and_touches_nothing(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 2)
    name = site.name()
    for options in (["-t", "restore", str(site.source)], ["restore", str(site.source), "-t"]):
        done = site.run(*options, "--to", str(tmp_path / "out"), day=None)
        lines = done.stdout.splitlines()
        sizes = [len(site.fetch(f"{name}-{end}")) for end in ("0-FULL", "1-DIFF")]
        assert lines[0].startswith(f"1. file://{site.vault}/{name}-0-FULL, of 2026-01-01: ")
        assert f"({sizes[0]} bytes)" in lines[0]
        assert lines[1].startswith(f"2. file://{site.vault}/{name}-1-DIFF, of 2026-01-02: ")
        assert f"({sum(sizes)} bytes)" in lines[2]
        assert not (tmp_path / "out").exists()


def test_a_word_that_fits_two_sources_and_a_configuration_too_many_are_refused(site: Site, tmp_path: Path) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((file_member("etc/x"), b"x")))
    put_archive(site, 1, b"SVN", source="Subversion /etc")
    where = str(tmp_path / "out")
    refused = site.run("restore", "/etc", "--to", where, day=None, expect=1)
    assert "'Directory /etc' or 'Subversion /etc'" in refused.stderr
    site.run("restore", "Directory /etc", "--to", where, day=None)
    assert "give -c once" in site.run(f"-c{site.configuration}", "restore", "/etc", "--to", where, expect=2).stderr
    assert "of a directory one file" in site.run("restore", "Directory /etc", "--to", "-", day=None, expect=2).stderr


@pytest.mark.parametrize("words", [("/etc", "", "--to", "here"), ("/etc", "--to", ""), ("", "--to", "here")])
def test_an_empty_word_does_not_stand_for_the_current_folder_or_the_whole_source(
    site: Site, words: Sequence[str]
) -> None:
    site.configure("")
    assert "may not be set" in site.run("restore", *words, day=None, expect=2).stderr


def test_an_interrupted_restore_removes_what_it_had_staged(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    site.fake_program("tar", 'case "$*" in *--extract*) REAL "$@"; touch reached; exec sleep 60;; esac\nREAL "$@"')
    where = tmp_path / "out"
    command = site.command("restore", str(site.source), "--to", str(where), day=None)
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=site.full_environment()) as process:
        # tar can leave a mark nowhere but where it extracts
        assert becomes(lambda: bool(list(where.glob(".s3napback-restore-*/tree/reached"))), 30)
        assert leftovers(where)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 143
    assert not where.exists()


AS_NOBODY = """
import contextlib, os, sys
import ctypes, encodings.idna, isal.isal_zlib, s3napback.cli
# Another user may not be allowed to read this Python's modules, so all are loaded by a dry run before.
arguments = list(sys.argv)
sys.argv += ["-t"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):
    s3napback.cli.main()
sys.argv = arguments
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
s3napback.cli.main()
"""


def test_an_ordinary_user_gets_folders_that_may_not_be_written_to_and_failures_remove_them(site: Site) -> None:
    """As the source's first folder, and within it with a link, which is put aside between archives."""
    outer = file_member("top", type=b"5", mode=0o555)
    inner = file_member("top/inner", type=b"5", mode=0o500)
    link = file_member("top/inner/link", type=b"2", linkname="/nowhere")
    with tempfile.TemporaryDirectory() as folder:
        own = Site(Path(folder) / "site")
        own.configure("")
        full = put_archive(own, 0, tar_of((outer, b""), (inner, b""), (link, b"")), source="Directory /top", name="top")
        put_archive(own, 1, tar_of((outer, b"")), source="Directory /top", name="top", parent="test-host-0")
        put_archive(own, 2, b"nonsense", source="Directory /top", name="top", parent="test-host-0")
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        restored = Path(folder) / "restored"
        restored.mkdir()
        if os.geteuid() == 0:
            os.chown(restored, 65534, 65534)
        for end, expected in (("1-DIFF", 0), ("2-DIFF", 1)):
            where = restored / end
            command = [sys.executable, "-c", AS_NOBODY, "-c", str(own.configuration), "restore", "/top"]
            done = subprocess.run(
                [*command, "--to", str(where), "--at", f"top-{end}"],
                capture_output=True,
                text=True,
                env={**own.full_environment(), "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"},
                check=False,
            )
            assert done.returncode == expected, done.stderr
            assert where.exists() == (expected == 0)
        assert full == "top-0-FULL"
        top = restored / "1-DIFF/top"
        assert [top.stat().st_mode & 0o777, (top / "inner").stat().st_mode & 0o777] == [0o555, 0o500]
        assert (top / "inner/link").is_symlink()
        assert not leftovers(Path(folder))


def test_what_would_come_below_its_place_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "kept").mkdir()
    (site.source / "kept/file").write_text("x")
    site.configure_cycle("")
    site.run()
    words = ("restore", str(site.source), "--in-place", "--yes", "--to")
    for where, paths in [(site.source, ()), (tmp_path, ()), (site.source / "kept", ("kept/file",))]:
        said = site.run(*words, str(where), *paths, day=None, expect=2).stderr
        assert "not into its place; for that, write --to / --in-place" in said
    other = site.source / "other"
    site.run(*words, str(other), day=None)
    assert (other / str(site.source / "kept/file").lstrip("/")).read_text() == "x"
