"""Whoever has the folder that a dump is restored to, or that a restore is prepared in, leads root nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.archives import file, folder, put, zipped
from tests.hostile.attacks import ORDINARY, W, diff
from tests.hostile.programs import in_front
from tests.hostile.restoring import SHAPES, Restorer
from tests.hostile.test_bucket_writer_targets import at_work
from tests.hostile.world import USER, picture
from tests.site import Site

CONTENT = b"line of a dump\n" * 300_000

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led to what others may not write to")


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with an archive that becomes a single file."""
    site = Site(tmp_path_factory.mktemp("dumped"))
    (site.root / "content").write_bytes(CONTENT)
    site.configure(f"<Command dump>\nRun cat {site.root}/content\nFulls 2\n</Command>\n")
    site.run()
    return site


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that others can reach; not below pytest's, which only root enters."""
    with tempfile.TemporaryDirectory(prefix="h-") as name:
        Path(name).chmod(0o755)
        (Path(name) / "victim").write_text("precious\n")
        (Path(name) / "where").mkdir()
        yield Path(name)


def is_his(where: Path) -> None:
    os.chown(where, USER, USER)


def is_like_tmp(where: Path) -> None:
    where.chmod(0o1777)


def restored(site: Site, where: Path) -> subprocess.CompletedProcess[str]:
    return site.run("restore", "Command/dump", f"--to={where}", day=None, expect=None)


@pytest.mark.parametrize("share", [is_his, is_like_tmp])
@pytest.mark.parametrize("leads_to", ["victim", "new"])
def test_a_link_in_the_place_of_the_file_is_not_followed(
    dumped: Site, shared: Path, share: Callable[[Path], None], leads_to: str
) -> None:
    share(shared / "where")
    (shared / "where/dump").symlink_to(shared / leads_to)
    os.chown(shared / "where/dump", USER, USER, follow_symlinks=False)
    done = restored(dumped, shared / "where/dump")
    assert done.returncode == 2
    assert "exists: name a file that does not" in done.stderr
    assert (shared / "victim").read_text() == "precious\n"
    assert not (shared / "new").exists()


RACES = {
    "the unfinished file becomes a link": """
        for each in where/.s3napback-*; do
            test -L "$each" || mv "$each" "where/aside-$count" && ln -s "$PWD/victim" "$each"
        done""",
    "the file is there before": 'ln -s "$PWD/victim" where/dump && rm -f where/dump',
    "the folder becomes a link": 'mv where "aside-$count" && ln -s etc where && sleep 0.01; rm where; mv aside-* where',
}


@pytest.mark.parametrize("race", RACES)
def test_whoever_has_the_folder_cannot_have_another_file_written(dumped: Site, shared: Path, race: str) -> None:
    """And nobody but root reads of it before it is there, nor after."""
    for path in (shared, shared / "where"):
        os.chown(path, USER, USER)
    (shared / "etc").mkdir()
    script = f"cd {shared} || exit; count=0; while :; do count=$((count + 1)); {RACES[race]}; done"
    with at_work(USER, script):
        done = restored(dumped, shared / "where/dump")
    assert done.returncode in (0, 1, 2), done.stderr
    assert (shared / "victim").read_text() == "precious\n"
    assert [*(shared / "etc").iterdir()] == []
    if done.returncode == 0:
        (made,) = shared.rglob("dump")
        assert made.read_bytes() == CONTENT
        assert made.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("shape", ["whole", "PATH in place"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whoever_has_the_folder_for_staging_sends_root_nowhere(restores: Restorer, shape: str, moment: str) -> None:
    world = restores.world("root")
    world.prepare(in_place=SHAPES[shape].in_place)
    for slot, content in enumerate((ORDINARY, diff(file(f"{W}/precious"), folder(f"{W}/folder", [])))):
        put(world.vault, slot, zipped(content))
    theirs = world.base / "theirs"
    theirs.mkdir()
    os.chown(theirs, USER, USER)
    first, last = ("sleep 0.3", ":") if moment == "before" else (":", "sleep 0.3")
    slow = f'case "$*" in *--version*) exec REAL "$@" ;; esac\n{first}\nREAL "$@"\ncode=$?\n{last}\nexit $code'
    swap = f"""
        cd {theirs} || exit
        while :; do
            for each in .s3napback-*; do
                test -d "$each" && mv "$each" ".aside-$each" && mkdir "$each" || continue
                for name in tree links root estate 1; do ln -s "{world.outside}" "$each/$name"; done
                exit
            done
        done"""
    try:
        with at_work(USER, swap):
            ended = restores.restore(
                world, SHAPES[shape], f"--staging={theirs}", walls=1, **in_front(world, "tar", slow)
            )
        assert picture(world.outside) == world.before["outside"], ended.stderr
        assert picture(world.beside) == world.before["beside"], ended.stderr
        assert ended.code in (0, 1, 2), ended.stderr
        # Where it came to its end it is whole, and what lies in the folder was of no use to anybody.
        if ended.code == 0:
            assert (world.where / W / "good").read_bytes() == b"good\n"
            assert "is left, and cannot be removed: it was moved or replaced by somebody" in ended.stderr
    finally:
        shutil.rmtree(theirs)
