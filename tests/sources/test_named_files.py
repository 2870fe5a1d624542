from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from s3napback.deciding.fulls import FILES_SETTING, changed_settings
from s3napback.errors import SourceError
from s3napback.sources.named_files import digests, named_files
from tests.site import Site

QUICK = 60  # seconds; far less than StallTimeout


def test_the_files_that_options_name_are_found_and_nothing_else() -> None:
    options = ("--exclude-from=/a=b", "--sparse", "--owner-map=/o", "--group-map=/g", "--exclude=/x", "--exclude-tag=t")
    assert named_files(options) == ("/a=b", "/o", "/g")
    assert digests(("--sparse",)) == {}


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(b"*.o\n" * 500_000)
    link = tmp_path / "link"
    link.symlink_to(file)
    for path in (file, link):
        assert digests((f"--exclude-from={path}",)) == {str(path): hashlib.sha256(file.read_bytes()).hexdigest()}


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "missing", "link to a device"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "list"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    with pytest.raises(SourceError, match=r"not a regular file|cannot be read"):
        digests((f"--exclude-from={'/dev/zero' if kind == 'device' else path}",))


def configure(site: Site, options: str) -> None:
    site.configure_cycle(f"Diffs 6\nFulls 2\nTarOptions {options}")


def test_a_diff_becomes_a_full_when_a_named_file_has_other_content(site: Site, tmp_path: Path) -> None:
    named = tmp_path / "list"
    named.write_text("*.o\n")
    (site.source / "a.o").write_text("x")
    (site.source / "a.c").write_text("x")
    configure(site, f"--exclude-from={named}")
    site.run(day=0)
    site.run(day=1)
    assert site.slots() == ["0-FULL", "1-DIFF"]
    # Without a FULL, tar would not take a.o, which is older than the last backup.
    named.write_text("")
    said = site.run(day=2).stderr
    assert "a FULL is made in the place of a DIFF: a file that TarOptions name changed" in said
    assert site.slots() == ["0-FULL", "1-DIFF", "2-FULL"]
    restored = site.recover([f"{site.name()}-2-FULL"], tmp_path / "restored")
    assert (restored / "a.o").read_text() == "x"
    site.run(day=3)
    assert site.slots()[-1] == "3-DIFF"


def test_a_chain_of_an_earlier_version_goes_on_and_remembers_from_then_on(site: Site, tmp_path: Path) -> None:
    named = tmp_path / "list"
    named.write_text("*.o\n")
    (site.source / "a.c").write_text("x")
    configure(site, f"--exclude-from={named}")
    site.run(day=0)
    (state,) = site.diff_dir.rglob("state.json")
    document = json.loads(state.read_text())
    del document["history"]["content"][FILES_SETTING]
    state.write_text(json.dumps(document))
    site.run(day=1)
    assert site.slots() == ["0-FULL", "1-DIFF"]
    named.write_text("*.c\n")
    site.run(day=2)
    assert site.slots() == ["0-FULL", "1-DIFF", "2-FULL"]


def test_without_named_files_nothing_is_remembered_that_was_not_before(site: Site) -> None:
    configure(site, "--sparse")
    (site.source / "a.c").write_text("x")
    site.run(day=0)
    (state,) = site.diff_dir.rglob("state.json")
    assert FILES_SETTING not in state.read_text()


def test_a_source_whose_named_file_is_a_pipe_fails_at_once_and_the_others_are_done(site: Site, tmp_path: Path) -> None:
    pipe = tmp_path / "list"
    os.mkfifo(pipe)
    (site.source / "a.c").write_text("x")
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("x")
    blocks = [f"<Directory {site.source}>\nTarOptions --exclude-from={pipe}", f"<Directory {other}>\nFulls 1"]
    site.configure("".join(f"{block}\n</Directory>\n" for block in blocks))
    begun = time.monotonic()
    assert f"TarOptions name {pipe}, which is not a regular file" in site.run(expect=1).stderr
    assert f"TarOptions name {pipe}, which is not a regular file" in site.run("-t", expect=1).stderr
    assert time.monotonic() - begun < QUICK
    assert site.archive_keys() == [f"{site.name(other)}-0-FULL"]


def test_only_the_digests_of_files_may_be_unknown_to_a_chain() -> None:
    assert changed_settings({}, {FILES_SETTING: {"/x": "1"}}) == []
    assert changed_settings({FILES_SETTING: {"/x": "1"}}, {FILES_SETTING: {"/x": "2"}}) == [FILES_SETTING]
    assert changed_settings({FILES_SETTING: {"/x": "1"}}, {}) == [FILES_SETTING]
    assert changed_settings({}, {"GpgSignKey": "1"}) == ["GpgSignKey"]
