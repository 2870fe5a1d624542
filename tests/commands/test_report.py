"""``report``: one page of real stores, and how it is written."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from datetime import date
from pathlib import Path

import pytest

from tests.commands.test_list import without_privileges
from tests.recovery.helpers import nights, put_archive
from tests.site import Site

CYCLE = "Diffs 2\nFulls 2\nGrace 3650"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    return tmp_path / "web" / "page.html"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def made(site: Site, page: Path, *options: str, expect: int = 0, day: int = 3) -> str:
    site.run("report", "--html", str(page), *options, day=day, expect=expect)
    return page.read_text(encoding="utf-8")


def test_the_page_tells_what_is_there_and_nobody_else_may_read_it(any_site: Site, page: Path) -> None:
    site = any_site
    site.configure_cycle(CYCLE)
    nights(site, 4)
    before = site.contents()
    document = made(site, page)
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert "Nothing: all is well." in document
    assert "Restorable: 4 days: 2026-01-01 to 2026-01-04." in document
    assert 'aria-label="Jan 2026: FULL 1, 4; DIFF 2–3"' in document
    # How long each took is known by what lies beside it.
    assert "Duration of 4 archives, 2026-01-01 to 2026-01-04" in document
    assert f"Directory {site.source}" in document
    assert names(page.parent) == ["page.html"]
    assert site.contents() == before
    site.run("verify", day=None)
    assert re.search(r"<dt>Verified</dt><dd>today</dd>", made(site, page, day=(date.today() - date(2026, 1, 1)).days))


def test_what_is_lost_is_on_top(site: Site, page: Path) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 3)
    site.store().delete(f"{site.name()}-1-DIFF")
    document = made(site, page)
    assert "CRITICAL: backups, 2026-01-04" in document
    assert "which its newest archive builds on, is not in the store" in document.partition("All sources</h2>")[0]
    assert 'aria-label="Jan 2026: FULL 1; cannot be restored 3; no backup 2, 4"' in document


def test_without_sources_every_host_is_shown_and_with_them_this_one(site: Site, page: Path) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    put_archive(site, 0, b"x", source="Directory /other", name="other", host="elsewhere")
    assert "elsewhere" not in made(site, page)
    site.configure("")
    document = made(site, page)
    assert "test-host/site" in document
    assert "Directory /other" in document
    assert "elsewhere" in document
    assert "it has archives, and has left no word" in document


def test_what_cannot_be_looked_at_is_told_on_the_page_and_by_the_exit_code(site: Site, page: Path) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    other = site.root / "other.conf"
    other.write_text("Bucket file:///nowhere/at/all\nEncryption Off\n")
    document = made(site, page, "-c", str(other), expect=2)
    assert "It could not be looked at: " in document
    assert "/nowhere/at/all" in document
    assert f"Directory {site.source}" in document


def test_the_page_goes_to_standard_output_and_a_rehearsal_writes_nothing(site: Site, page: Path) -> None:
    site.configure_cycle(CYCLE)
    nights(site, 1)
    assert site.run("report", "--html", "-").stdout.startswith("<!DOCTYPE html>\n<html")
    assert site.run("-t", "report", "--html", str(page)).stdout.startswith(f"would write {page}, ")
    assert not page.exists()
    assert "Missing option '--html'" in site.run("report", expect=2).stderr


def test_who_could_read_the_page_before_can_read_the_next_one(site: Site, page: Path) -> None:
    site.configure_cycle(CYCLE)
    page.write_text("")
    page.chmod(0o666)
    os.chown(page, -1, 1234 if os.geteuid() == 0 else -1)
    made(site, page)
    assert stat.S_IMODE(page.stat().st_mode) == 0o644
    assert page.stat().st_gid == (1234 if os.geteuid() == 0 else page.parent.stat().st_gid)
    if os.geteuid() == 0:
        # Somebody has put it there before us.
        os.chown(page, 65534, 65534)
        made(site, page)
        assert (page.stat().st_uid, stat.S_IMODE(page.stat().st_mode)) == (0, 0o600)


def test_nothing_but_a_file_is_replaced_and_the_old_page_outlives_a_failure(site: Site, page: Path) -> None:
    site.configure_cycle(CYCLE)
    (page.parent / "link").symlink_to("page.html")
    os.mkfifo(page.parent / "fifo")
    for name, why in (
        ("link", "is no file"),
        ("fifo", "is no file"),
        (".", "is no file"),
        ("a/b", "there is no folder"),
    ):
        failed = site.run("report", "--html", str(page.parent / name), expect=1)
        assert why in failed.stderr
    page.write_text("old")
    page.parent.chmod(0o500)
    command = without_privileges(site.command("report", "--html", str(page)))
    done = subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)
    page.parent.chmod(0o700)
    assert done.returncode == 1
    assert f"the page cannot be written to {page}: Permission denied" in done.stderr
    assert page.read_text() == "old"
    assert names(page.parent) == ["fifo", "link", "page.html"]
