"""Two machines of the same HostName and Prefix, each with a DiffDir of its own: neither of them goes unwarned."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.servers import S3Server
from tests.site import Site

LATER = "knows nothing of. If it was another machine, the files of this one are not in it"
REPLACED = "which is replaced, was stored today by a run that this DiffDir knows nothing of"


class Twins:
    """Two machines; which of them is at work tells the file that is called like it."""

    def __init__(self, folder: Path, server: S3Server | None) -> None:
        self.site = Site(folder / "site", server)
        self._folders = {name: folder / f"diffs-{name}" for name in "AB"}
        for path in self._folders.values():
            path.mkdir()

    def night(self, name: str, number: int, *options: str) -> subprocess.CompletedProcess[str]:
        """One machine's run."""
        for file in self.site.source.iterdir():
            file.unlink()
        (self.site.source / f"{name}{number}").write_text(name)
        self.site.configure_cycle("Diffs 3\nFulls 3")
        text = self.site.configuration.read_text()
        self.site.configuration.write_text(text.replace(str(self.site.diff_dir), str(self._folders[name])))
        return self.site.run("--strict", *options, day=number, expect=None)

    def lose(self, name: str) -> None:
        """A machine's DiffDir is gone."""
        subprocess.run(["rm", "-r", str(self._folders[name])], check=True)
        self._folders[name].mkdir()


@pytest.fixture(params=[False, True], ids=["folder", "moto"])
def twins(request: pytest.FixtureRequest, tmp_path: Path, moto: S3Server) -> Twins:
    return Twins(tmp_path, moto if request.param else None)


def test_nights_that_alternate_are_told_by_each_from_its_second_one_on(twins: Twins) -> None:
    assert [twins.night(name, number).returncode for number, name in enumerate("AB", 2)] == [0, 0]
    for number, name in enumerate("ABAB", 4):
        done = twins.night(name, number)
        assert done.returncode == 3
        assert f"its backup of 2026-01-0{number} was made by a run that this DiffDir, whose last one" in done.stderr
        assert f"whose last one was of 2026-01-0{number - 1}, {LATER}" in done.stderr
        assert "1 done" in done.stderr
    assert twins.night("B", 8).returncode == 0
    for number, name in enumerate("ABABABB", 2):
        out = twins.site.root / f"out{number}"
        day = f"2026-01-0{number + 1}"
        twins.site.run("restore", str(twins.site.source), "--to", str(out), "--at", day, day=8)
        assert [file.name for file in out.rglob("*") if file.is_file()] == [f"{name}{number}"]


def test_the_whole_archive_of_another_run_of_today_is_not_replaced_unsaid(twins: Twins) -> None:
    for number, name in enumerate("AB", 2):
        assert twins.night(name, number).returncode == 0
    twins.night("A", 4)
    done = twins.night("B", 4)
    assert done.returncode == 3
    assert REPLACED in done.stderr
    assert REPLACED not in twins.night("B", 4, "-f").stderr
    assert twins.night("B", 5).returncode == 0


def test_a_diffdir_that_is_lost_is_nothing_to_warn_of(twins: Twins) -> None:
    for number in range(2):
        assert twins.night("A", number).returncode == 0
    twins.lose("A")
    for number in range(2, 6):
        assert twins.night("A", number).returncode == 0
