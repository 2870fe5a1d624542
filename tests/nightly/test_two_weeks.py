"""Two simulated weeks of nights: every expected key, and every archive opened with plain gpg and tar."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.gpg_keys import Key
from tests.site import Site

pytestmark = pytest.mark.long(35)

NIGHTS = 14
CONFIGURATION = """
<Cycle daily>
    Diffs 6
    Fulls 2
    Directory {source}
    Exclude {source}/cache
    Exclude *.o
</Cycle>
<Cycle decaying>
    CycleType HanoiCycle
    Discs 5
    Directory {source}
</Cycle>
<Cycle weekly>
    Frequency 7
    Diffs 3
    Fulls 2
    Directory "{other}"
</Cycle>
"""
# Slots by night from 2026-01-01 on, day number 20454: written out, not computed.
DAILY = ["0-FULL", *(f"{n}-DIFF" for n in range(1, 7)), "7-FULL", *(f"{n}-DIFF" for n in range(8, 14))]
DECAYING = [f"{slot}-FULL" for slot in (0, 3, 0, 1, 0, 2, 0, 1, 0, 4, 0, 1, 0, 2)]
WEEKLY = {0: "2-FULL", 7: "3-DIFF"}


def describe(root: Path) -> dict[str, tuple[object, ...]]:
    """Every path below ``root`` with type, mode, owner, times to the nanosecond, link target and content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        links = status.st_nlink if path.is_file() else 0
        facts = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, links, content)
        found[str(path.relative_to(root))] = facts
    return found


def begin_tree(root: Path) -> None:
    for folder in ("docs/deep/er", "bin", "cache", "empty"):
        (root / folder).mkdir(parents=True)
    (root / "docs/plan ä.txt").write_text("the plan\n")
    (root / "docs/deep/er/data").write_bytes(os.urandom(100_000))
    (root / "bin/tool").write_text("#!/bin/sh\n")
    (root / "bin/tool").chmod(0o4755)
    (root / "bin/alias").symlink_to("tool")
    os.link(root / "docs/deep/er/data", root / "bin/hard")
    (root / "cache/big").write_bytes(bytes(1000))
    (root / "docs/x.o").write_text("object")
    subprocess.run(["chown", "-R", "1234:4321", str(root / "docs")], check=os.geteuid() == 0, capture_output=True)


def change_tree(root: Path, night: int) -> None:
    """One night's changes: a new file, a changed one, a deletion, a rename, a mode, a swap of folders."""
    (root / f"docs/night-{night}").write_text(f"{night}\n" * night)
    with (root / "docs/plan ä.txt").open("a") as plan:
        plan.write(f"night {night}\n")
    (root / f"docs/night-{night - 2}").unlink(missing_ok=True)
    (root / "bin/tool").chmod(0o4755 if night % 2 else 0o700)
    (root / f"moving-{night - 1}").rename(root / f"moving-{night}") if night > 1 else (root / "moving-1").mkdir()
    (root / f"moving-{night}" / f"in-{night}").write_text("x")
    if night % 3 == 0:
        (root / "docs/deep").rename(root / "swap")
        (root / "moving-0").mkdir(exist_ok=True)
        (root / "moving-0").rename(root / "docs/deep")
        (root / "swap").rename(root / "moving-0")


def without_excluded(tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    return {
        name: facts
        for name, facts in tree.items()
        if not name.endswith(".o") and name != "cache" and not name.startswith("cache/")
    }


def as_replayed(tree: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    """What a chain of DIFFs keeps of a tree.

    The time of a folder from which something was left out, and how many names a file has where only one of them lies
    in a folder that moved: tar then archives that one as a file of its own.
    """
    return {name: (*facts[:4], facts[5]) for name, facts in tree.items() if name != "."}


def chain_until(slots: Sequence[str]) -> list[str]:
    """The slots of the newest chain: its FULL and all after it."""
    start = max(index for index, slot in enumerate(slots) if slot.endswith("FULL"))
    return list(slots[start:])


def test_each_night_fills_its_slots_and_every_day_can_be_recovered(any_site: Site, key: Key, tmp_path: Path) -> None:
    site = any_site
    other = site.root / "other folder"
    other.mkdir()
    (other / "one").write_text("1")
    site.configure(CONFIGURATION.format(source=site.source, other=other), general=f"{key.directives}\nPrefix a/b")
    begin_tree(site.source)
    expected: set[str] = set()
    name = site.name()
    for night in range(NIGHTS):
        if night:
            change_tree(site.source, night)
            (other / f"more-{night}").write_text("more")
        site.run(day=night)
        expected |= {f"a/b/daily/{name}-{DAILY[night]}", f"a/b/decaying/{name}-{DECAYING[night]}"}
        if night in WEEKLY:
            expected.add(f"a/b/{site.name(other)}-{WEEKLY[night]}")
        assert set(site.archive_keys()) == expected

        live = describe(site.source)
        chain = [f"a/b/daily/{name}-{slot}" for slot in chain_until(DAILY[: night + 1])]
        recovered = site.recover(chain, tmp_path / f"daily-{night}", decrypt=key.decrypt)
        assert as_replayed(describe(recovered)) == as_replayed(without_excluded(live))
        full = f"a/b/decaying/{name}-{DECAYING[night]}"
        recovered = site.recover([full], tmp_path / f"decaying-{night}", decrypt=key.decrypt)
        assert describe(recovered) == live
    weekly = [f"a/b/{site.name(other)}-{slot}" for slot in WEEKLY.values()]
    site.recover(weekly, tmp_path / "weekly", decrypt=key.decrypt)
    found = {path.name for path in (tmp_path / "weekly" / site.name(other)).iterdir()}
    assert found == {"one", *(f"more-{night}" for night in range(1, 8))}


def test_the_same_directory_in_two_cycles_keeps_two_independent_rotations(site: Site, tmp_path: Path) -> None:
    """In the original the two overwrote each other's snapshot, and the DIFFs of one missed what the other had seen."""
    site.configure(
        f"<Cycle odd>\nFrequency 2\nDiffs 3\nDirectory {site.source}\n</Cycle>\n"
        f"<Cycle daily>\nDiffs 3\nDirectory {site.source}\n</Cycle>"
    )
    for night in range(8):
        (site.source / f"night-{night}").write_text(str(night))
        site.run(day=night)
    name = site.name()
    odd = [key for key in site.archive_keys() if key.startswith(f"odd/{name}")]
    assert [key.removeprefix(f"odd/{name}-") for key in odd] == ["3-FULL", "4-FULL", "5-DIFF", "6-DIFF"]
    recovered = site.recover(odd[1:], tmp_path / "odd")
    del recovered
    found = {path.name for path in (tmp_path / "odd" / name).iterdir()}
    assert found == {f"night-{night}" for night in range(7)}
