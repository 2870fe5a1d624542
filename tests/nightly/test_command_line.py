"""Options, exit codes, the lock, and what a run prints."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time

import pytest

from s3napback.catalogue.sums import sum_key
from tests.gpg_keys import Key
from tests.servers import program
from tests.site import Site
from tests.waiting import becomes


def run_plain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "s3napback", *arguments], capture_output=True, text=True, check=False, timeout=30
    )


def test_help_names_every_option_and_exit_code() -> None:
    text = run_plain("--help").stdout
    for word in ("-c", "-t", "-f", "-d", "--full", "--take-over", "--today", "--strict", "--log-config"):
        assert word in text
    for code in (0, 1, 2, 3, 4, 70, 130, 143):
        assert f" {code}" in text


def test_wrong_usage_is_exit_2() -> None:
    assert run_plain().returncode == 2
    assert run_plain("--nonsense").returncode == 2
    assert run_plain("-c", "x.conf", "--today", "yesterday").returncode == 2
    missing = run_plain("-c", "/nonexistent/x.conf")
    assert missing.returncode == 2
    assert "/nonexistent/x.conf" in missing.stderr


def test_names_of_configurations_as_arguments_get_the_line_that_is_meant() -> None:
    done = run_plain("nightly", "weekly")
    assert done.returncode == 2
    assert "No such command 'nightly'. Configurations are named with -c: s3napback -c nightly -c weekly" in done.stderr
    assert "s3napback -c ./a.conf -c nightly" in run_plain("-tc", "./a.conf", "nightly").stderr


def test_a_run_says_what_it_did_and_sums_up(site: Site) -> None:
    (site.source / "file").write_bytes(bytes(1_000_000))
    site.configure_cycle("")
    done = site.run()
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert f"Directory {site.source} -> file://{site.vault}/{site.archive_keys()[0]}: 1.0 MB read" in lines[-2]
    assert "1 done, 0 skipped, 0 failed; 1.0 MB read" in lines[-1]


def test_the_checksum_beside_the_archive_is_that_of_its_bytes(any_site: Site, key: Key) -> None:
    (any_site.source / "file").write_bytes(bytes(100_000))
    any_site.configure_cycle("", general=f"Prefix below/here\n{key.directives}")
    any_site.run()
    (archive,) = any_site.archive_keys()
    digest = hashlib.sha256(any_site.fetch(archive)).hexdigest()
    lines = any_site.fetch(sum_key(archive)).decode().splitlines()
    assert lines[0] == f"{digest}  {archive.removeprefix('below/here/')}"
    assert f"# id {any_site.metadata(archive)['s3napback-id']}" in lines
    assert f"# bytes stored {len(any_site.fetch(archive))}" in lines


def test_a_file_that_changes_while_it_is_read_is_a_warning(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("")
    growing = 'REAL "$@"; echo "tar: growing: file changed as we read it" >&2; exit 1'
    site.fake_program("tar", 'case "$1" in --version) exec REAL "$@";; esac\n' + growing)
    done = site.run("--strict", expect=3)
    assert "growing: file changed as we read it" in done.stderr
    assert len(site.archive_keys()) == 1
    assert "growing" in site.fetch(sum_key(site.archive_keys()[0])).decode()
    assert site.run(day=1).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts it here")
def test_a_file_system_without_attributes_is_no_trouble(site: Site) -> None:
    """As sshfs is, and FUSE in general: tar complained of each file every night, and ``--strict`` gave 3."""
    below = site.root / "below"
    (below / "folder").mkdir(parents=True)
    (below / "folder/file").touch()
    (below / "link").symlink_to("folder")
    site.configure_cycle("Diffs 3")
    subprocess.run(["bindfs", "--xattr-none", str(below), str(site.source)], check=True)
    try:
        for day in range(2):
            assert "Warning" not in site.run("--strict", day=day).stderr
    finally:
        subprocess.run(["umount", "--lazy", str(site.source)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts it here")
def test_a_diff_dir_that_cannot_hold_an_index_is_named(site: Site) -> None:
    """It was “gzip failed: PermissionError(1, …)”: rclone without a cache has no writing in the middle."""
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 3")
    below = site.root / "below"
    below.mkdir()
    mount = [program("rclone"), "mount", "--config=/dev/null", str(below), str(site.diff_dir), "--allow-other"]
    server = subprocess.Popen([*mount, "--allow-non-empty"])
    try:
        assert becomes(site.diff_dir.is_mount)
        done = site.run(expect=1)
        assert f"the index cannot be made in {site.diff_dir}/" in done.stderr
    finally:
        subprocess.run(["umount", "--lazy", str(site.diff_dir)], check=True)
        server.kill()
        server.wait()
    assert "1 done" in site.run(day=1).stderr


def test_a_second_run_exits_at_once_and_says_who_holds_the_lock(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("")
    fake = site.fake_program("tar", 'case "$1" in --version) exec REAL "$@";; esac\nsleep 30')
    first = subprocess.Popen(site.command(), env=site.full_environment(), stderr=subprocess.PIPE)
    lock = site.diff_dir / "lock"
    assert becomes(lambda: lock.exists() and bool(lock.read_text()), 30)
    began = time.monotonic()
    second = site.run(expect=4)
    assert time.monotonic() - began < 10
    assert f"process {first.pid}" in second.stderr
    first.kill()
    first.communicate()
    fake.unlink()
    site.run()


def test_debug_lines_show_the_commands(site: Site, key: Key) -> None:
    (site.source / "file").touch()
    site.configure_cycle("", general=key.directives)
    assert "DEBUG" not in site.run(day=0).stderr
    lines = [line for line in site.run("-d", day=1).stderr.splitlines() if " DEBUG " in line]
    assert any("tar --create" in line for line in lines)
    assert any(f"--recipient {key.fingerprint}" in line for line in lines)
    assert any("committed" in line for line in lines)


def test_logging_ini_beside_the_configuration_is_used(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle("")
    (site.root / "logging.ini").write_text(
        "[loggers]\nkeys=root,directory\n[handlers]\nkeys=file\n[formatters]\nkeys=plain\n"
        "[logger_root]\nlevel=ERROR\nhandlers=\n"
        "[logger_directory]\nlevel=INFO\nhandlers=file\nqualname=s3napback.directory\n"
        f"[handler_file]\nclass=FileHandler\nformatter=plain\nargs=({str(site.root / 'night.log')!r},)\n"
        "[formatter_plain]\nformat=%(name)s %(message)s\n"
    )
    done = site.run()
    assert done.stderr == ""
    line = (site.root / "night.log").read_text()
    assert line.startswith(f"s3napback.directory Directory {site.source} -> ")


def test_a_file_left_out_on_request_is_a_warning(site: Site) -> None:
    """``--ignore-failed-read`` makes tar end well although something is missing; somebody should still know."""
    (site.source / "file").touch()
    site.configure_cycle("TarOptions --ignore-failed-read")
    left_out = 'REAL "$@"; echo "tar: secret: Warning: Cannot open: Permission denied" >&2; exit 0'
    site.fake_program("tar", 'case "$1" in --version) exec REAL "$@";; esac\n' + left_out)
    assert "secret: Warning: Cannot open" in site.run("--strict", expect=3).stderr
