"""A year of nights in which five directories change at random: what its nights take, and whether its days come back."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from tests.benchmarks.laboratory import Laboratory
from tests.benchmarks.measuring import Usage
from tests.site import FIRST_DAY, Site
from tests.sources.trees import Entry, RandomTree, describe_tree, tree_differences

NIGHTS = 360
"""All of them can be restored at its end: a rotation of thirteen times thirty."""

_CYCLE = "Diffs 29\nFulls 13"
_SOURCES = 5
_RESTORED_DAYS = 40
_TOLD_NIGHTS = (1, 10, 100)

Described = dict[str, Entry]


class Year:
    """Five directories, and what they were like on those days that will be restored.

    Which names are one file is not compared: a chain of DIFFs does not keep that where directories move.
    """

    def __init__(self, laboratory: Laboratory, nights: int = NIGHTS, seed: int = 1) -> None:
        self._laboratory = laboratory
        self._nights = nights
        self._random = random.Random(seed)
        folders = [laboratory.folder / f"year-{number}" for number in range(_SOURCES)]
        self._trees = [RandomTree(folder, seed + number, size=150) for number, folder in enumerate(folders)]
        self._site = _site_of(laboratory, folders)
        self._kept = frozenset(self._random.sample(range(nights), min(_RESTORED_DAYS, nights)))
        self._states: dict[tuple[int, Path], Described] = {}

    def pass_by(self) -> Iterator[str]:
        """Live through it; tells what some of its nights took, a line each."""
        for night in range(self._nights):
            for tree in self._trees:
                self._change(tree)
            usage = self._laboratory.back_up(self._site, day=night)
            if night + 1 in (*_TOLD_NIGHTS, self._nights):
                yield f"night {night + 1}: {_told(usage)}"
            if night in self._kept:
                for tree in self._trees:
                    self._states[night, tree.root] = describe_tree(tree.root, hard_links=False)

    def come_back(self) -> Iterator[str]:
        """Restore the days that were kept in mind; tells what differs, and at the end how much was compared."""
        paths = differing = 0
        for (night, source), expected in self._states.items():
            target = self._laboratory.fresh("year-restored")
            day = (FIRST_DAY + timedelta(days=night)).isoformat()
            options = (str(source), "--at", day, "--to", str(target))
            self._laboratory.back_up(self._site, "restore", *options, day=self._nights)
            found = describe_tree(target / source.relative_to("/"), hard_links=False)
            paths += len(expected)
            for line in tree_differences(expected, found):
                differing += 1
                yield f"{source} of {day}: {line}"
            shutil.rmtree(target)
        yield f"{len(self._states)} restores of {len(self._kept)} days, {paths} paths: {differing} differ"

    def _change(self, tree: RandomTree) -> None:
        tree.edit(self._random.choice((0, 3, 12)))
        tree.move_directories(self._random.choice((0, 0, 1, 3)))


def _site_of(laboratory: Laboratory, folders: list[Path]) -> Site:
    site = laboratory.site("year", folders[0], cycle=_CYCLE)
    text = site.configuration.read_text()
    listed = "\n".join(f"Directory {folder}" for folder in folders)
    site.configuration.write_text(text.replace(f"Directory {folders[0]}", listed))
    return site


def _told(usage: Usage) -> str:
    return f"{usage.processor:.2f} s of processor time, {usage.seconds:.2f} s, {usage.peak / 1e6:.0f} MB"


def run_year(laboratory: Laboratory, nights: int, say: Callable[[str], None]) -> None:
    """All of it.

    Raises:
        Failed: a command did.
    """
    year = Year(laboratory, nights)
    for line in year.pass_by():
        say(line)
    for line in year.come_back():
        say(line)
