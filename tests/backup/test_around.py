"""Before and After of a block: After has its turn in every case, and neither is run for nothing."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest

from s3napback.backup import around, hooks
from s3napback.backup.tally import Tally
from s3napback.backup.unfinished import put_mark
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Job
from s3napback.deciding.facts import BackupOptions
from s3napback.errors import ConfigurationError, UnusableStore
from tests.site import FIRST_DAY, Site
from tests.waiting import becomes, is_running


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    (made.source / "file").write_text("content")
    return made


def script(site: Site, name: str, body: str) -> Path:
    """A program that notes that it was run, and when."""
    path = site.root / name
    path.write_text(f"#!/bin/sh\necho {name} >>{site.root}/order\n{body}\n")
    path.chmod(0o700)
    return path


def order(site: Site) -> list[str]:
    """Which programs were run so far."""
    path = site.root / "order"
    return path.read_text().split() if path.exists() else []


def block(site: Site, settings: str, *, kind: str = "", target: Path | str = "") -> str:
    return f"<{kind or 'Directory'} {target or site.source}>\n{settings}\n</{kind or 'Directory'}>"


def back_up(site: Site, body: str, *, day: int = 0, general: str = "", force: bool = False) -> Tally:
    site.configure(body, general=general)
    wanted = BackupOptions(force=force)
    return backup.run(load_configuration(site.configuration), FIRST_DAY + timedelta(days=day), wanted)


def marks(site: Site) -> list[Path]:
    return sorted(site.diff_dir.glob("after-*"))


def both(site: Site, before: str = "", after: str = "") -> str:
    return f"Before {script(site, 'before', before)}\nAfter {script(site, 'after', after)}"


def test_a_source_is_looked_at_between_them_so_that_before_may_make_it(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    snapshot = site.root / "snapshot"
    settings = both(site, f"cp -a {site.source} {snapshot}; echo made; echo oh >&2", f"rm -r {snapshot}")
    tally = back_up(site, block(site, settings, target=snapshot))
    assert (tally.done, tally.exit_code, tally.warnings) == (1, 0, 0)
    assert order(site) == ["before", "after"]
    assert not snapshot.exists()
    assert "snapshot: Before: made" in caplog.text
    assert "snapshot: Before: oh" in caplog.text
    assert marks(site) == []


def test_neither_is_run_where_nothing_is_to_be_done(site: Site) -> None:
    body = block(site, f"Frequency 7\n{both(site)}")
    assert back_up(site, body).done == 1
    assert back_up(site, body).skipped == 1
    assert back_up(site, body, day=3).skipped == 1
    assert order(site) == ["before", "after"]
    assert back_up(site, body, day=3, force=True).done == 1
    assert order(site) == ["before", "after"] * 2


def test_a_before_that_fails_fails_the_source_with_its_last_words_and_after_is_run(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    settings = both(site, "echo no room left >&2; exit 5", 'echo "$S3NAPBACK_OUTCOME" >>"$(dirname "$0")/order"')
    tally = back_up(site, block(site, settings))
    assert (tally.done, tally.failed, tally.exit_code) == (0, 1, 1)
    assert order(site) == ["before", "after", "failed"]
    assert f"Directory {site.source} FAILED: Before: before failed with exit status 5" in caplog.text
    assert "no room left" in caplog.text
    assert site.archive_keys() == []


def test_an_after_that_fails_is_an_error_and_the_archive_stays(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    tally = back_up(site, block(site, both(site, "", "echo busy; exit 32")))
    assert (tally.done, tally.failed, tally.exit_code) == (1, 0, 1)
    assert f"Directory {site.source}: After: after failed with exit status 32" in caplog.text
    assert len(site.archive_keys()) == 1
    # It has had its turn.
    assert marks(site) == []


def test_sources_of_a_block_that_begin_at_the_same_time_begin_it_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment cannot be had otherwise: each has seen that nothing is begun, and none has noted that it begins."""
    both_have_looked = Barrier(2)

    def look(_job: Job) -> str:
        with suppress(BrokenBarrierError):
            both_have_looked.wait(1)
        return ""

    site.configure(block(site, both(site)))
    configuration = load_configuration(site.configuration)
    monkeypatch.setattr(around, "hooks_problem", look)
    hooked = around.HookedBlock(configuration, "atlas", site.diff_dir, configuration.jobs[0])
    hooked.expect(2)
    with ThreadPoolExecutor(2) as threads:
        for begun in [threads.submit(hooked.begin) for _ in range(2)]:
            begun.result()
    hooked.leave("done")
    hooked.leave("done")
    assert order(site) == ["before", "after"]
    assert marks(site) == []


@pytest.mark.parametrize("which", ["Before", "After"])
def test_before_is_not_run_where_one_of_them_cannot_be(
    site: Site, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = script(site, "good", ""), script(site, "bad", "")
    bad.chmod(0o777)
    other = "After" if which == "Before" else "Before"
    for program, why in ((bad, f"{bad} is not used: "), ("nonesuch", "not found on PATH"), ("/no/such", "there is no")):
        caplog.clear()
        tally = back_up(site, block(site, f"{which} {program}\n{other} {good}"))
        assert tally.failed == 1
        assert f"{which}: " in caplog.text
        assert why in caplog.text
    assert order(site) == []


def test_one_that_takes_too_long_is_ended_with_all_that_it_has_started(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    settings = both(site, "sleep 61 & echo $! >>$(dirname $0)/order; wait") + "\nStallTimeout 1"
    assert back_up(site, block(site, settings)).failed == 1
    assert "before did not end within 1 second (StallTimeout), and was ended" in caplog.text
    first, child, last = order(site)
    assert (first, last) == ("before", "after")
    assert not is_running(int(child))


def test_a_service_that_it_starts_goes_on_and_holds_nothing_up(site: Site) -> None:
    began = time.monotonic()
    settings = both(site, "", "sleep 62 & echo $! >>$(dirname $0)/order")
    assert back_up(site, block(site, settings)).done == 1
    assert time.monotonic() - began < 40
    service = int(order(site)[2])
    try:
        assert is_running(service)
    finally:
        os.kill(service, signal.SIGKILL)


def test_both_get_no_shell_and_know_what_they_are_run_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SEKRIT")
    told = script(site, "told", 'printf "%s\\n" "$@"; pwd; umask; env; cat')
    told.write_text(told.read_text().replace("printf", f"exec >>{site.root}/$S3NAPBACK_WHEN; printf"))
    settings = f'Before {told} "two words" $HOME *\nAfter {told} | x'
    assert back_up(site, block(site, settings)).done == 1
    before, after = ((site.root / name).read_text().splitlines() for name in ("before", "after"))
    assert before[:5] == ["two words", "$HOME", "*", "/", "0077"]
    assert after[:2] == ["|", "x"]
    for lines in (before, after):
        assert {f"S3NAPBACK_SOURCE=Directory {site.source}", "S3NAPBACK_HOST=test-host"} <= set(lines)
        assert {f"S3NAPBACK_TARGET={site.source}", "S3NAPBACK_KIND=Directory", "LC_ALL=C"} <= set(lines)
        assert "SEKRIT" not in "".join(lines)
    assert "S3NAPBACK_OUTCOME=done" in after
    assert not any(line.startswith("S3NAPBACK_OUTCOME") for line in before)


SEVERAL = {"one after the other": "", "at a time": "Jobs 3"}


@pytest.mark.parametrize("general", SEVERAL.values(), ids=SEVERAL)
def test_a_folder_of_several_has_them_once_around_all_that_it_holds(site: Site, general: str) -> None:
    made = site.root / "repositories"
    create = "; ".join(f"svnadmin create {made}/{name}" for name in "abc")
    settings = both(site, f"mkdir {made}; {create}", f"rm -r {made}") + "\nFrequency 7\nDiffs 0"
    body = block(site, settings, kind="SubversionDir", target=made)
    assert back_up(site, body, general=general).done == 3
    assert order(site) == ["before", "after"]
    # The folder is not there; what is known of it is not due.
    assert back_up(site, body, general=general, day=3).exit_code == 0
    assert order(site) == ["before", "after"]
    assert back_up(site, body, general=general, day=7).done == 3
    assert order(site) == ["before", "after"] * 2


def test_a_folder_of_several_fails_with_its_before_and_after_is_run(site: Site) -> None:
    body = block(site, both(site, "exit 1"), kind="SubversionDir", target=site.root / "none")
    assert back_up(site, body).failed == 1
    assert order(site) == ["before", "after"]
    assert back_up(site, block(site, both(site), kind="SubversionDir", target=site.root / "none")).failed == 1
    assert order(site) == ["before", "after"] * 2


def test_several_blocks_at_a_time_have_their_own(site: Site) -> None:
    for name in ("a", "b", "c"):
        (site.source / name).mkdir()
        (site.source / name / "file").write_text("x")
    body = "\n".join(
        block(site, f"Before {script(site, f'b{name}', '')}\nAfter {script(site, f'a{name}', '')}",
              target=site.source / name)
        for name in ("a", "b", "c")
    )  # fmt: skip
    assert back_up(site, body, general="Jobs 3").done == 3
    assert sorted(order(site)) == ["aa", "ab", "ac", "ba", "bb", "bc"]
    for name in ("a", "b", "c"):
        assert order(site).index(f"b{name}") < order(site).index(f"a{name}")


def test_a_dry_run_shows_them_and_runs_neither(site: Site) -> None:
    site.configure(block(site, both(site), target=site.root / "made later"))
    site.configuration.write_text(
        site.configuration.read_text().replace(f"{site.root}/made later", f'"{site.root}/made later"', 1)
    )
    printed = site.run("-t").stdout
    assert f"Before: {site.root}/before\n    After: {site.root}/after\n" in printed
    assert "as it is now, without Before: does not exist" in printed
    assert "would fail" not in printed
    site.configure(block(site, both(site), kind="SubversionDir", target=site.root / "none"))
    assert "what it holds is seen only after Before" in site.run("-t").stdout
    site.configure(block(site, "After nonesuch"))
    assert "would fail: After: nonesuch was not found on PATH" in site.run("-t", expect=1).stdout
    assert order(site) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("Before /bin/true\n", "Before cannot stand at file level; it belongs in a block of a source's own"),
        ("<Directory /x>\nBefore\n</Directory>", "Before needs a value"),
        ("<Directory /x>\nAfter bin/x\n</Directory>", "After: write the program's name alone, or its whole path"),
    ],
)
def test_what_cannot_be_is_refused(site: Site, body: str, message: str) -> None:
    site.configure(body)
    with pytest.raises(ConfigurationError, match=message):
        load_configuration(site.configuration)


# --- Signals ---


@contextmanager
def running(site: Site) -> Iterator[subprocess.Popen[str]]:
    """A run, in a process of its own."""
    with subprocess.Popen(
        site.command(), stderr=subprocess.PIPE, env=site.full_environment(), text=True, cwd=site.root
    ) as process:
        try:
            yield process
        finally:
            process.kill()


STUCK = "touch $(dirname $0)/stuck; sleep 600"


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("where", ["in Before", "in the dump", "in After"])
def test_after_is_run_when_a_signal_ends_the_run(site: Site, where: str, jobs: int) -> None:
    before, dump, after = (STUCK if where == name else "" for name in ("in Before", "in the dump", "in After"))
    after = after.replace("600", "2") + '\necho "$S3NAPBACK_OUTCOME" >>$(dirname $0)/order'
    run = script(site, "dump", f"{dump}\necho x")
    site.configure(block(site, f"Run {run}\n{both(site, before, after)}", kind="Command", target="x"),
                   general=f"Jobs {jobs}")  # fmt: skip
    with running(site) as process:
        assert becomes((site.root / "stuck").exists)
        began = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=40)
        assert time.monotonic() - began < 15, said
    assert process.returncode == 143
    assert order(site)[0] == "before"
    assert order(site)[-2:] == (["after", "interrupted"] if where != "in After" else ["after", "done"])
    assert order(site).count("after") == 1
    assert marks(site) == []
    assert len(site.archive_keys()) == (where == "in After")


def test_an_after_that_hangs_when_a_signal_comes_is_ended_and_the_next_run_begins_with_it(site: Site) -> None:
    body = block(site, both(site, STUCK, 'test -e "$(dirname "$0")/go" || exec sleep 600'))
    site.configure(body)
    with running(site) as process:
        assert becomes((site.root / "stuck").exists)
        began = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=40)
        assert time.monotonic() - began < hooks.HURRIED_SECONDS + 5
    assert process.returncode == 143
    assert "the next run begins with it" in said
    assert len(marks(site)) == 1
    (site.root / "go").touch()
    script(site, "before", "")
    assert back_up(site, body).warnings == 1
    assert order(site)[-3:] == ["after", "before", "after"]


@pytest.mark.parametrize("next_night", ["due", "not due", "gone", "another After"])
def test_what_sigkill_has_left_is_undone_at_the_start_of_the_next_run(
    site: Site, next_night: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = script(site, "dump", f"echo $$ >$(dirname $0)/process\n{STUCK}\necho x")
    body = block(site, f"Run {run}\nFrequency 7\n{both(site)}", kind="Command", target="x")
    other = block(site, "")
    site.configure(f"{body}\n{other}")
    with running(site) as process:
        assert becomes((site.root / "stuck").exists)
        process.kill()
    os.killpg(int((site.root / "process").read_text()), signal.SIGKILL)
    assert order(site) == ["before", "dump"]
    (mark,) = marks(site)
    assert mark.stat().st_mode & 0o777 == 0o600
    printed = site.run("-t").stdout
    assert f"an earlier run was ended before After, with which this one would begin: {site.root}/after" in printed
    script(site, "dump", "echo x")
    wanted, day = ["after", "before", "dump", "after"], 0
    if next_night == "not due":
        wanted, day = ["after"], 1
    elif next_night == "gone":
        wanted, body = [], ""
    elif next_night == "another After":
        wanted = ["mended", "before", "dump", "mended"]
        body = body.replace(f"{site.root}/after", str(script(site, "mended", "")))
    tally = back_up(site, f"{body}\n{other}", day=day)
    assert order(site)[2:] == wanted
    assert (tally.warnings, tally.exit_code) == (1, 0)
    assert marks(site) == []
    lost = f"there is no such block any more: look what is left to be undone. It was: {site.root}/after"
    assert (lost in caplog.text) == (next_night == "gone")


def test_what_a_killed_run_has_left_and_cannot_be_undone_is_tried_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    body = block(site, both(site, "", "exit 1"))
    site.configure(body)
    (job,) = load_configuration(site.configuration).jobs
    put_mark(site.diff_dir, site.configuration, job)
    put_mark(site.diff_dir, site.root / "another.conf", job)
    tally = back_up(site, body)
    assert order(site) == ["after", "before", "after"]
    assert caplog.text.count("After: after failed with exit status 1") == 2
    assert tally.done == 1
    # That of another configuration is left to it.
    assert len(marks(site)) == 1


def test_a_mark_that_makes_no_sense_is_told_and_goes(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    body = block(site, both(site))
    site.configure(body)
    (job,) = load_configuration(site.configuration).jobs
    mark = put_mark(site.diff_dir, site.configuration, job)
    mark.path.write_bytes(b"")
    assert back_up(site, body).warnings == 1
    assert f"{mark.path}: an earlier run was ended before After" in caplog.text
    assert marks(site) == []


def test_what_is_left_is_undone_although_the_store_cannot_be_used(site: Site) -> None:
    body = block(site, both(site))
    site.configure(body)
    (job,) = load_configuration(site.configuration).jobs
    put_mark(site.diff_dir, site.configuration, job)
    site.vault.rename(site.root / "elsewhere")
    with pytest.raises(UnusableStore):
        back_up(site, body)
    assert order(site) == ["after"]
