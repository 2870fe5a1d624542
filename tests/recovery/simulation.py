"""Weeks of backups in one process, of a directory that changes at random, and what it was like after each."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from unittest.mock import patch

from s3napback.archives import ArchiveRecord
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.reading import read_catalogue
from s3napback.commands import backup, restore
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.sources import directory
from tests.site import FIRST_DAY, Site
from tests.sources.indexed_chain import BLIND
from tests.sources.quiet_edits import QuietTree
from tests.sources.trees import Entry, RandomTree, describe_tree

Description = dict[str, Entry]


@dataclass
class Weeks:
    """A machine on which time passes.

    Attributes:
        general: directives that stand above the Cycle.
        is_quiet: no time ever tells that something changed.
        states: of each archive, by its id, what the directory was like.
    """

    site: Site
    seed: int
    general: str = ""
    is_quiet: bool = False
    states: dict[str, Description] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._tree = (QuietTree if self.is_quiet else RandomTree)(self.site.source, self.seed)
        self._settings = {"Diffs": 3, "Fulls": 3, "Frequency": 1}
        self._excluded = ""
        self._compression = self._random.choice(("gzip", "zstd", "none"))
        self._store = self.site.store()

    def pass_by(self, nights: int) -> None:
        """Live through some nights: edits, failures, a changed configuration, a run by hand."""
        for night in range(nights):
            self._tree.edit(10)
            self._tree.move_directories(self._random.choice((0, 1, 3)))
            if night and self._random.random() < 0.15:
                self._change_settings()
            day = FIRST_DAY + timedelta(days=night)
            self._back_up(day, fails=self._random.random() < 0.15)
            if self._random.random() < 0.15:
                self._tree.edit(5)
                self._back_up(day, force=True)

    def restorable(self) -> dict[str, ArchiveRecord]:
        """By key, what the archives that can be restored say of themselves, the oldest first: at least two."""
        catalogue = self._catalogue()
        found = {each.key: each.record for each in catalogue.archives if each.record and catalogue.chain(each).archives}
        assert len(found) > 1, "nothing is shown by restoring them all"
        return dict(sorted(found.items(), key=lambda item: (item[1].day, item[1].started)))

    def restore(self, where: Path, *, at: str = "", paths: Sequence[str] = ()) -> Path:
        """Restore the directory, or paths of it; returns where its tree is then."""
        request = restore.RestoreRequest(str(self.site.source), where, tuple(paths), at)
        restore.restore(load_configuration(self.site.configuration), request, date(2027, 1, 1), print, lambda _: None)
        return where / self.site.name()

    def _change_settings(self) -> None:
        self._settings = {
            "Diffs": self._random.choice((0, 1, 2, 5)),
            "Fulls": self._random.choice((2, 3)),
            "Frequency": self._random.choice((1, 1, 2)),
        }
        self._excluded = self._random.choice(("", "name-1*", "two words"))

    def _back_up(self, day: date, *, force: bool = False, fails: bool = False) -> None:
        directives = [f"{name} {value}" for name, value in self._settings.items()]
        directives += [f"Compression {self._compression}"]
        directives += [f'Exclude "{self._excluded}"'] if self._excluded else []
        self.site.configure_cycle("\n".join(directives), general=self.general)
        configuration = load_configuration(self.site.configuration)
        blindness = patch.object(directory, "margin", lambda: BLIND) if self.is_quiet else nullcontext()
        with self._failing_tar() if fails else nullcontext(), blindness:
            tally = backup.run(configuration, day, BackupOptions(force=force))
        assert tally.failed == (fails and not tally.skipped)
        for archive in self._catalogue().archives:
            if archive.record and archive.record.id not in self.states:
                self.states[archive.record.id] = self._described()

    @contextmanager
    def _failing_tar(self) -> Iterator[None]:
        """tar fails after a part of the archive; the snapshot that it has written by then must not count."""
        self.site.fake_program(
            "tar", 'case "$*" in *--create*) REAL "$@" | head -c 3000; exit 2;; esac\nexec REAL "$@"'
        )
        before, os.environ["PATH"] = os.environ["PATH"], self.site.environment["PATH"]
        try:
            yield
        finally:
            os.environ["PATH"] = before

    def _catalogue(self) -> Catalogue:
        return read_catalogue(self._store, "")

    def _described(self) -> Description:
        """The directory without what is excluded; which names are one file is not kept where directories move."""
        entries = describe_tree(self.site.source, hard_links=False)
        return {name: entry for name, entry in entries.items() if not self._is_excluded(name)}

    def _is_excluded(self, name: str) -> bool:
        return any(fnmatchcase(part, self._excluded) for part in name.split("/"))


def below(state: Description, name: str) -> Description:
    """The part of a description that is of one path and what lies below it."""
    return {each: entry for each, entry in state.items() if each == name or each.startswith(f"{name}/")}
