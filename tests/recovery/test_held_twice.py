"""What a DIFF holds twice, as its first tar took it and as the second one added it, comes back once and right."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from s3napback.recovery import picking
from s3napback.recovery.opening import indexed
from s3napback.recovery.paths import NoSuchPath
from s3napback.recovery.single_file import TO_STANDARD_OUTPUT
from s3napback.sources import directory
from tests.recovery.helpers import restore_here
from tests.recovery.test_picking import back_up
from tests.site import Site

NAMES = ("a/inner", "n/one", "n/two")


def nights(root: Path, *, second_tar: str = "") -> Site:
    """A file with three names, two of them in a folder that gets another name between the nights.

    tar takes that folder as a new one, with these two names as one file; and as the third was not changed by that, all
    three are added.

    Args:
        second_tar: a shell's command before the second tar begins.
    """
    site = Site(root)
    for folder in ("a", "m"):
        (site.source / folder).mkdir()
    (site.source / "a" / "inner").write_text("content")
    for name in ("one", "two"):
        (site.source / "m" / name).hardlink_to(site.source / "a" / "inner")
    site.configure_cycle("Diffs 5\nCompression none")
    # tar's clock and the file system's are not one.
    time.sleep(0.03)
    back_up(site, 0)
    (site.source / "m").rename(site.source / "n")
    if second_tar:
        program = site.fake_program(
            "tar", f'case "$*" in *--files-from*--create*|*--create*--files-from*) {second_tar};; esac\nexec REAL "$@"'
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
            back_up(site, 1)
    else:
        back_up(site, 1)
    back_up(site, 2)
    return site


@pytest.fixture(autouse=True, params=["in parts", "whole"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "margin", lambda: 0)
    if request.param == "in parts":
        monkeypatch.setattr(indexed, "LEAST_SIZE", 1)
        monkeypatch.setattr(picking, "_WORTH_WHILE", 1000)


def test_each_name_of_a_file_in_a_folder_that_was_renamed_comes_back(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    site = nights(tmp_path / "site")
    for number, name in enumerate(NAMES):
        capfdbinary.readouterr()
        restore_here(site, str(site.source), TO_STANDARD_OUTPUT, paths=(name,))
        assert capfdbinary.readouterr().out == b"content"
        restore_here(site, str(site.source), tmp_path / f"{number}", paths=(name,))
        found = tmp_path / f"{number}" / site.name() / name
        assert (found.read_text(), found.stat().st_mtime_ns) == ("content", (site.source / name).stat().st_mtime_ns)


def test_a_file_that_was_changed_between_the_two_is_never_written_as_one_behind_the_other(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    site = nights(tmp_path / "site", second_tar=f"echo more >> {tmp_path}/site/source/a/inner")
    at = next(key for key in site.archive_keys() if key.endswith("DIFF"))
    capfdbinary.readouterr()
    with pytest.raises(NoSuchPath, match=r"holds it twice: .* restore it"):
        restore_here(site, str(site.source), TO_STANDARD_OUTPUT, paths=("n/one",), at=at)
    restore_here(site, str(site.source), tmp_path / "out", paths=("n/one",), at=at)
    assert (tmp_path / "out" / site.name() / "n" / "one").read_text() == "contentmore\n"


@pytest.mark.parametrize("second_tar", ["", "echo more >> {}/a/inner"], ids=["quiet", "changed"])
def test_the_comparison_of_a_later_night_goes_by_the_last_one(tmp_path: Path, second_tar: str) -> None:
    site = nights(tmp_path / "site", second_tar=second_tar.format(tmp_path / "site" / "source"))
    for key in (each for each in site.archive_keys() if each.endswith("DIFF")):
        done = site.run("verify", "--compare", str(site.source), "--at", key, day=None)
        assert f"0 differences from {key}" in done.stdout
