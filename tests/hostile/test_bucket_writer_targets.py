"""WHERE itself: closed to others while and after something is restored, and whoever else owns it gains nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.runner import Ended
from tests.hostile.archives import file, folder, hard_link, node, put, zipped
from tests.hostile.attacks import ORDINARY, W, diff, full
from tests.hostile.programs import in_front, log
from tests.hostile.restoring import SHAPES, USERS, Restorer, harm_done, surroundings
from tests.hostile.world import PART, SOURCE, USER, World, fill, picture

STRANGER = 4321
POWERS = {"suid": file(f"{W}/suid", mode=0o4755), "sgid": file(f"{W}/sgid", mode=0o2755)}
DEVICES = {"memory": node(f"{W}/memory", b"3", (1, 1), mode=0o666), "disk": node(f"{W}/disk", b"4", (8, 0), mode=0o666)}
SECONDS = 30  # that a racing process may live, at most


def fill_store(world: World, *archives: bytes) -> None:
    for slot, content in enumerate(archives):
        put(world.vault, slot, zipped(content))
    world.give(world.vault)


@contextmanager
def at_work(user: int, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A shell script that runs as another user meanwhile."""
    who = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    command = ["timeout", str(SECONDS), "sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who) as running:  # type: ignore[call-overload]
        try:
            yield running
        finally:
            running.terminate()
            running.wait(SECONDS)


@pytest.mark.parametrize("who", USERS)
@pytest.mark.parametrize("shape", ["whole", "PATH"])
def test_a_new_where_is_closed_from_the_beginning_and_stays_so(restores: Restorer, shape: str, who: str) -> None:
    """Otherwise everybody could run a setuid program out of an archive, or open a device."""
    world = restores.world(who)
    world.prepare(in_place=False)
    dangers = {**POWERS, **({} if world.user or os.geteuid() else DEVICES)}
    fill_store(world, full(*dangers.values()), diff(file(f"{W}/later")))
    seen = log(world)
    watch = f'for each in "{world.where}" "{world.where}"/.s3napback-*; do stat -c "%a %n" "$each" >>"{seen}"; done'
    front = in_front(world, "tar", f'case "$*" in *--version*) ;; *) {watch} ;; esac\nexec REAL "$@"')
    ended = restores.restore(world, SHAPES[shape], walls=1, **front)
    assert ended.code == 0, ended.stderr
    lines = seen.read_text().splitlines()
    assert len(lines) >= 4
    assert [line for line in lines if not line.startswith("700 ")] == []
    assert world.where.stat().st_mode & 0o7777 == 0o700
    assert not harm_done(world, SHAPES[shape], ended)
    for name in dangers:
        assert f"{PART}/{name}" in ended.stderr + ended.stdout


def hidden_powers() -> dict[str, tuple[str, list[bytes]]]:
    """Ways to bring in a setuid program under a name that no regular file of that kind has in the archives."""
    payload = file(payload_name(), mode=0o4755)
    decoys = [file(f"{W}/decoys/{number}", b"", mode=0o4755) for number in range(10_001)]
    gone = folder(SOURCE, ["Dwing"]) + folder(W, ["Ngood", "Yhidden"])
    return {
        "a second name": ("whole", [full(file(f"{W}/first", mode=0o4755), hard_link(f"{W}/hidden", f"{W}/first"))]),
        "a second name of what is not asked for": ("PATH", [full(payload, hard_link(f"{W}/hidden", payload_name()))]),
        "a second name in a later archive": (
            "whole",
            [
                full(file(f"{W}/first", mode=0o4755)),
                diff(
                    hard_link(f"{W}/hidden", f"{W}/first"), folder(SOURCE, ["Dwing"]), folder(W, ["Ngood", "Nhidden"])
                ),
            ],
        ),
        "behind ten thousand others that go": (
            "whole",
            [full(folder(f"{W}/decoys"), *decoys), diff(gone, file(f"{W}/hidden", mode=0o4755))],
        ),
    }


def payload_name() -> str:
    return f"{SOURCE}/other/payload"


@pytest.mark.parametrize("way", hidden_powers())
def test_no_program_with_its_owners_rights_comes_unnamed(restores: Restorer, way: str) -> None:
    world = restores.world(next(iter(USERS)))
    world.prepare(in_place=False)
    shape, chain = hidden_powers()[way]
    fill_store(world, *chain)
    ended = restores.restore(world, SHAPES[shape])
    assert ended.code == 0, ended.stderr
    assert (world.where / W / "hidden").stat().st_mode & 0o4000
    assert f"{PART}/hidden" in ended.stderr


@pytest.mark.parametrize("who", USERS)
def test_what_holds_no_dangers_is_not_warned_of(restores: Restorer, who: str) -> None:
    world = restores.world(who)
    world.prepare(in_place=False)
    fill_store(world, ORDINARY)
    ended = restores.restore(world, SHAPES["whole"])
    assert ended.code == 0
    assert f"{PART}/" not in ended.stderr
    # Of an ordinary user it is said that owners are not to be had.
    warnings = [line for line in ended.stderr.splitlines() if "WARNING" in line and "owners and groups" not in line]
    assert not warnings


@pytest.mark.parametrize("who", USERS)
@pytest.mark.parametrize("shape", ["whole", "in place"])
def test_folders_closed_to_their_owner_have_the_permissions_of_that_day(
    restores: Restorer, who: str, shape: str
) -> None:
    world = restores.world(who)
    world.prepare(in_place=shape == "in place")
    opened, closed = {"a": (0o555, 0o755), "b": (0o000, 0o700)}, {"c": (0o755, 0o500), "d": (0o555, 0o555)}
    later = {**opened, **closed}
    lists = folder(SOURCE, ["Dwing"]), folder(W, [*(f"D{name}" for name in later), "Ngood", "Yprogram"])
    first = [each for name, (mode, _) in later.items() for each in _folder_with_file(f"{W}/{name}", mode)]
    last = [folder(f"{W}/{name}", ["Nfile"], mode=mode) for name, (_, mode) in later.items()]
    powers = file(f"{W}/program", mode=0o4755)
    fill_store(world, full(*lists, *first, powers), diff(*lists, *last), diff(*lists, *last))
    ended = restores.restore(world, SHAPES[shape])
    assert ended.code == 0, ended.stderr
    assert {name: (world.where / W / name).stat().st_mode & 0o7777 for name in later} == {
        name: mode for name, (_, mode) in later.items()
    }


def _folder_with_file(name: str, mode: int) -> list[bytes]:
    return [folder(name, ["Yfile"], mode=mode), file(f"{name}/file")]


@pytest.mark.parametrize("who", USERS)
def test_a_path_in_a_folder_that_its_owner_may_not_enter(restores: Restorer, who: str) -> None:
    world = restores.world(who)
    world.prepare(in_place=False)
    fill_store(
        world, full(folder(SOURCE, mode=0o300), folder(W, mode=0o000), file(f"{W}/f"), file(f"{W}/s", mode=0o4755))
    )
    ended = restores.restore(world, SHAPES["PATH"])
    assert ended.code == 0, ended.stderr
    assert f"{PART}/s (setuid" in ended.stderr
    assert (world.where / SOURCE).stat().st_mode & 0o7777 == 0o300
    assert (world.where / W).stat().st_mode & 0o7777 == 0o000


def test_staging_is_closed_in_a_tree_that_is_open(restores: Restorer) -> None:
    who = next(iter(USERS))
    world = restores.world(who)
    world.prepare(in_place=True)
    fill_store(world, full(*POWERS.values()))
    seen = log(world)
    watch = f'stat -c "%a %n" "{world.where}"/.s3napback-* >>"{seen}"'
    front = in_front(world, "tar", f'case "$*" in *--version*) ;; *) {watch} ;; esac\nexec REAL "$@"')
    ended = restores.restore(world, SHAPES["in place"], walls=1, **front)
    assert ended.code == 0, ended.stderr
    assert {line.split()[0] for line in seen.read_text().splitlines()} == {"700"}


if os.geteuid() == 0:

    def test_a_stranger_never_gets_to_see_anything_of_it(restores: Restorer) -> None:
        world = restores.world("root")
        world.prepare(in_place=False)
        fill_store(world, full(*POWERS.values(), *(file(f"{W}/f{number}") for number in range(2000))))
        found = world.base / "log"
        found.write_bytes(b"")
        found.chmod(0o666)
        look = f'while :; do for each in "{world.where}"/*; do test -e "$each" && echo "$each" >>"{found}"; done; done'
        with at_work(STRANGER, look):
            ended = restores.restore(world, SHAPES["whole"])
        assert ended.code == 0, ended.stderr
        assert found.read_text() == ""

    def restore_slowly(restores: Restorer, world: World, shape: str, moment: str, walls: int) -> Ended:
        """Leave the racing process some time before or after tar is at work."""
        first, last = ("sleep 0.3", ":") if moment == "before" else (":", "sleep 0.3")
        script = f'case "$*" in *--version*) exec REAL "$@" ;; esac\n{first}\nREAL "$@"\ncode=$?\n{last}\nexit $code'
        return restores.restore(world, SHAPES[shape], walls=walls, **in_front(world, "tar", script))

    def swapping(world: World, target: Path, aside: Path) -> str:
        """Swap the staging folder for one in which ``tree``, and whatever may be used there, is a link out."""
        return f"""
            while :; do
                for each in "{world.where}"/.s3napback-*; do
                    test -d "$each" || continue
                    mv "{target}" "{aside}" 2>/dev/null || mv "$each" "{aside}" || continue
                    mkdir -p "$each" || continue
                    for name in tree links root {SOURCE} 1; do ln -s "{world.outside}" "$each/$name"; done
                    exit
                done
            done"""

    @pytest.mark.parametrize("walls", [1, 0], ids=["one wall", "two walls"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("whose", ["WHERE", "the folder above"])
    def test_whoever_owns_where_cannot_send_root_elsewhere(
        restores: Restorer, whose: str, shape: str, moment: str, walls: int
    ) -> None:
        """Its owner swaps the staging folder, or all of WHERE, for links while tar extracts, or just after."""
        world = restores.world("root")
        world.prepare(in_place=True)
        if not SHAPES[shape].in_place:
            subprocess.run(["find", str(world.where), "-mindepth", "1", "-delete"], check=True)
        os.chown(world.where if whose == "WHERE" else world.target, USER, USER)
        fill_store(world, ORDINARY, diff(file(f"{W}/precious"), folder(f"{W}/folder", []), file("precious")))
        target = world.where / "none" if whose == "WHERE" else world.where
        try:
            with at_work(USER, swapping(world, target, target.with_name(".aside"))):
                time.sleep(0.05)
                ended = restore_slowly(restores, world, shape, moment, walls)
            assert picture(world.outside) == world.before["outside"], ended.stderr
            assert ended.code in (0, 1, 2), ended.stderr
        finally:
            os.chown(world.target, 0, 0)
            subprocess.run(["rm", "-rf", str(world.where), str(world.target / ".aside")], check=True)

    @pytest.mark.parametrize("slow", ["cp", "tar"])
    def test_a_file_system_mounted_below_a_users_folder_leads_nowhere(restores: Restorer, slow: str) -> None:
        """``--in-place`` cannot rename across file systems; what lies between is its owner's to swap."""
        world = restores.world("root")
        world.prepare(in_place=True)
        fill_store(world, full(file(f"{W}/precious"), folder(f"{W}/folder"), file(f"{W}/folder/deep"), file(f"{W}/x")))
        wing = world.where / W
        wing.parent.chmod(0o755)
        settings = f"mode=755,uid={USER},gid={USER}"
        swap = f"""
            count=1
            while :; do
                for each in {wing}/.s3napback-* {wing}/folder {wing}/inner; do
                    test -d "$each" && ! test -L "$each" || continue
                    mv "$each" "$each-$count" && ln -s {world.outside} "$each"
                    count=$((count + 1))
                done
            done"""
        variables = in_front(world, slow, 'sleep 0.2\nREAL "$@"\ncode=$?\nsleep 0.2\nexit $code')
        arguments = ["-c", str(world.configuration), "restore", *SHAPES["in place"].arguments(world.where)]
        racer = f"timeout {SECONDS} setpriv --reuid={USER} --regid={USER} --clear-groups sh -c '{swap}'"
        script = f"""
            mount -t tmpfs -o {settings} none {wing} || exit 99
            {racer} 2>/dev/null & racer=$!
            "$@"; code=$?
            kill $racer; wait $racer
            exit $code"""
        command = [*surroundings(restores.base), "unshare", "--mount", "sh", "-c", script, "sh"]
        ended = subprocess.run(
            [*command, sys.executable, "-m", "s3napback", *arguments],
            env={**restores.environment, "HOME": str(world.base / "home"), **variables},
            capture_output=True,
            text=True,
            timeout=SECONDS * 2,
            check=False,
        )
        assert ended.returncode in (0, 1), ended.stderr
        assert picture(world.outside) == world.before["outside"], ended.stderr
        assert not list(world.where.rglob(".s3napback-*"))

    def test_the_world_notices_what_an_attack_does(restores: Restorer, tmp_path: Path) -> None:
        """A witness that sees nothing proves nothing."""
        top = tmp_path / "top"
        fill(top)
        for harm in (
            lambda: (top / "precious").write_text("precious is precious\n"),
            lambda: (top / "precious").chmod((top / "precious").stat().st_mode),
            lambda: os.utime(top / "precious", ns=(1, (top / "precious").stat().st_mtime_ns)),
            lambda: os.chown(top / "link", 0, 0, follow_symlinks=False),
            lambda: os.link(top / "precious", tmp_path / "second"),
            lambda: os.setxattr(top / "folder/deep", "user.x", b"x"),
            lambda: (top / "folder/deep/file").rename(top / "folder/deep/other"),
            (top / "empty").rmdir,
        ):
            before = picture(top)
            time.sleep(0.01)
            harm()
            assert picture(top) != before
