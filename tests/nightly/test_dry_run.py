"""``-t`` tells what would be done, in lines that can be pasted, and touches nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from s3napback.streams.processes import Stage, too_long
from tests.gpg_keys import Key
from tests.servers import S3Server, free_port
from tests.site import Site


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder with times, modes and content."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }


def test_one_line_for_each_source_that_is_due(site: Site, key: Key) -> None:
    (site.source / "file").touch()
    site.configure(
        f"<Cycle c>\nDiffs 1\nDirectory {site.source}\n</Cycle>\n<Cycle weekly>\nFrequency 7\nDirectory /etc\n</Cycle>",
        general=key.directives,
    )
    done = site.run("-t", day=1)
    lines = done.stdout.splitlines()
    assert lines[0] == f"Directory {site.source} -> file://{site.vault}/{site.name()}-7-FULL"
    assert lines[1].strip().startswith("a FULL in the place of a DIFF: there is no earlier backup")
    assert "Directory /etc: not due until 2026-01-08" in lines
    site.run(day=1)
    assert f"Directory {site.source}: done already today" in site.run("-t", day=1).stdout.splitlines()


def test_nothing_is_touched(any_site: Site, key: Key) -> None:
    (any_site.source / "file").touch()
    any_site.configure_cycle("Diffs 3\nUseTempFile on", general=key.directives)
    any_site.run("-t", day=0)
    assert any_site.archive_keys(sums=True) == []
    any_site.run(day=0)
    before, objects = tree(any_site.root), any_site.contents()
    any_site.run("-t", day=1)
    any_site.run("-t", "-f", "--full", "--take-over", day=0)
    assert tree(any_site.root) == before
    assert any_site.contents() == objects


def pasted(site: Site, *options: str, day: int = 0) -> str:
    lines = site.run("-t", "-d", *options, day=day).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(("    (work=", "    tar ")))
    end = next(number for number, line in enumerate(lines) if "| wc -c" in line)
    return "\n".join(lines[start : end + 1])


def run_pasted(text: str, shell: str) -> int:
    """Bytes that were counted."""
    done = subprocess.run([shell, "-c", text], check=False, capture_output=True, text=True)
    # gpg says so in spite of --quiet.
    assert (done.returncode, done.stderr.replace("gpg: no gpg-agent running in this session\n", "")) == (0, "")
    return int(done.stdout)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("has_keyring", [True, False])
def test_the_commands_run_as_they_stand_when_pasted_and_leave_nothing_behind(
    site: Site, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, has_keyring: bool
) -> None:
    folder = site.root / "it's a folder; with $odd `name`"
    folder.mkdir()
    (folder / "file").write_text("content")
    (folder / "large").write_bytes(os.urandom(100_000))
    keyring = tmp_path / "a key's ring.pub"
    general = key.directives
    if has_keyring:
        keyring.write_bytes(key.home.export(key.fingerprint))
        keyring.chmod(0o600)
        general = f'GpgKeyring "{keyring}"\nGpgRecipient {key.fingerprint}'
    site.configure(f'<Cycle c>\nDiffs 3\nDirectory "{folder}"\nExclude *.o\n</Cycle>', general=general)
    # gpg's sockets need short paths
    scratch = Path(tempfile.mkdtemp(prefix="s3n-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(scratch))
    assert run_pasted(pasted(site), shell) > 100_000
    site.run(day=0)
    before, diffs = site.contents(), site.diff_dir_contents()
    (folder / "new").write_text("x")
    assert 100 < run_pasted(pasted(site, day=1), shell) < 10_000
    assert (site.contents(), site.diff_dir_contents()) == (before, diffs)
    scratch.rmdir()


def test_only_a_line_a_source_is_shown_by_default_with_what_deserves_one(site: Site, key: Key) -> None:
    (site.source / "file").write_bytes(os.urandom(50_000))
    site.configure_cycle("Diffs 1\nFulls 1", general=key.directives)
    (first,) = site.run("-t", day=0).stdout.splitlines()
    assert first == f"Directory {site.source} -> file://{site.vault}/{site.name()}-0-FULL"
    for day in range(2):
        site.run(day=day)
    where, size, replaced = site.run("-t", day=2).stdout.splitlines()
    assert where == first
    assert re.fullmatch(r"    about 5\d\.\d kB, as the last FULL", size)
    assert replaced == f"    replaces file://{site.vault}/{site.name()}-0-FULL, of 2026-01-01"


def test_a_source_that_does_not_exist_is_planned_and_would_fail(site: Site) -> None:
    site.configure("<Cycle c>\nDirectory /nonexistent/here\n</Cycle>")
    done = site.run("-t", expect=1)
    assert "    would fail: does not exist" in done.stdout.splitlines()
    assert done.stdout.startswith("Directory /nonexistent/here -> ")
    assert "/nonexistent/here: does not exist" in done.stderr


def test_a_directory_that_is_excluded_itself_would_fail(site: Site) -> None:
    (site.source / "file").touch()
    site.configure_cycle(f"Exclude {site.source.name}")
    done = site.run("-t", expect=1)
    assert f"    would fail: nothing of {site.source} would be archived: an Exclude" in done.stdout
    assert "would be archived: an Exclude" in site.run(expect=1).stderr
    assert not site.archive_keys()


@pytest.mark.parametrize(
    ("option", "tag"), [("--exclude-tag=.nobackup", ".nobackup"), ("--exclude-caches", "CACHEDIR.TAG")]
)
def test_a_tag_in_the_directory_itself_does_not_empty_the_backup(site: Site, option: str, tag: str) -> None:
    """Whoever may write there could do it, and the night would end well."""
    (site.source / "file").write_text("content")
    site.configure_cycle(f"Diffs 3\nTarOptions {option}")
    (site.source / "CACHEDIR.TAG").write_text("no signature")
    site.run(day=0)
    (site.source / tag).write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    would = site.run("-t", day=1, expect=1).stdout
    assert f"    would fail: nothing of {site.source} but {tag} would be archived" in would
    assert f"but {tag} would be archived: TarOptions" in site.run(day=1, expect=1).stderr
    (site.source / tag).write_text("none")
    (site.source / ".nobackup").unlink(missing_ok=True)
    site.run(day=1)
    assert len(site.archive_keys()) == 2


def test_what_backs_up_nothing_is_no_success(site: Site) -> None:
    (site.root / "conf.d").mkdir()
    site.configure("Include conf.d/*.conf")
    for options in (("-t",), ()):
        assert "it names no source, so nothing is backed up" in site.run(*options, expect=2).stderr


def test_a_store_that_cannot_be_reached_is_said(tmp_path: Path, rclone: S3Server) -> None:
    site = Site(tmp_path / "site", rclone.behind(f"http://127.0.0.1:{free_port()}"), "bucket")
    site.configure_cycle("Diffs 3")
    done = site.run("-t", expect=1)
    assert done.stdout.startswith(f"Directory {site.source} -> s3://bucket/{site.name()}-")
    assert "could not look into the store" in done.stderr


def test_its_exit_code_is_that_of_the_night(site: Site, key: Key) -> None:
    """0 if all would go well, 3 with --strict and something to look at, 1 if a source would get no archive."""
    (site.source / "file").touch()
    body = f"<Cycle c>\nDiffs 3\nDirectory {site.source}\n</Cycle>"
    site.configure(body, general=key.directives)
    for day in range(2):
        site.run("-t", "--strict", day=day)
        site.run("--strict", day=day)
    shutil.rmtree(site.diff_dir)
    site.diff_dir.mkdir(mode=0o700)
    site.configure(body.replace("Diffs 3", "Diffs 3\nFulls 1"), general=key.directives)
    for options in (("-t",), ()):
        site.run(*options, "--strict", day=2, expect=3)
    site.configuration.write_text(site.configuration.read_text().replace(key.directives, ""))
    for options in (("-t",), ()):
        assert "its archives were encrypted until now" in site.run(*options, day=3, expect=1).stderr
    before = site.contents()
    site.run("-t", "-f", day=3)
    assert site.contents() == before
    site.run("-f", day=3)
    site.run(day=4)


def test_a_default_diff_dir_is_not_created(site: Site) -> None:
    site.configure_cycle("Diffs 3")
    text = site.configuration.read_text().replace(f"DiffDir {site.diff_dir}\n", "")
    site.configuration.write_text(text)
    state_home = site.root / "home"
    site.environment["XDG_STATE_HOME"] = str(state_home)
    site.environment["HOME"] = str(state_home)
    existed = Path("/var/lib/s3napback").exists()
    site.run("-t")
    assert not state_home.exists()
    assert Path("/var/lib/s3napback").exists() == existed


def test_the_original_manuals_example_runs(site: Site) -> None:
    """With nothing but paths, bucket and key names changed."""
    example = Path(__file__).parent.parent / "config" / "original_example.conf"
    text = example.read_text()
    site.configuration.write_text(text)
    assert shutil.which("tar")
    general = [line for line in text.splitlines() if line.split()[:1] and line.split()[0] in REPLACED]
    for line in general:
        text = text.replace(line, REPLACED[line.split()[0]].format(site=site))
    site.configuration.write_text(text)
    (site.root / "key.txt").write_text("key=someone\nsecret=something\n")
    done = site.run("-t", day=0, expect=None)
    lines = done.stdout.splitlines()
    bucket = f"file://{site.vault}"
    assert f"Directory /etc -> {bucket}/daily-example/etc-0-FULL" in lines
    assert f"Directory /etc -> {bucket}/decaying-example/etc-0-FULL" in lines
    assert f"Directory / -> {bucket}/-14-FULL" in lines


REPLACED = {
    "DiffDir": "DiffDir {site.diff_dir}",
    "Bucket": "Bucket file://{site.vault}",
    "GpgRecipient": "",
    "S3Keyfile": "S3Keyfile {site.root}/key.txt",
}


def test_a_command_that_is_longer_than_the_system_takes_would_fail(site: Site) -> None:
    site.configure(f"<Command long>\nRun echo {'x' * 140_000}\n</Command>", general="Encryption Off")
    done = site.run("-t", day=0, expect=1)
    assert "would fail: cannot start echo: its command line, or one word of it, is longer" in done.stdout
    assert "cannot start echo: its command line, or one word of it, is longer" in site.run(day=0, expect=1).stderr


@pytest.mark.parametrize(("length", "count"), [(131_070, 1), (131_071, 1), (131_072, 1), (100_000, 30)])
def test_what_is_too_long_is_what_the_system_refuses(length: int, count: int) -> None:
    command = ("true", *["x" * length] * count)
    try:
        is_refused = subprocess.run(command, check=False).returncode < 0
    except OSError:
        is_refused = True
    assert bool(too_long(Stage(command))) == is_refused
