"""All that there was in the chains of a source, for ``find`` and ``history``.

A chain counts as far as it can be opened here: a key that was replaced, a damaged archive, or one that the store does
not give, hides nothing of others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import field
from itertools import takewhile

from s3napback.browsing.interest import Interest
from s3napback.browsing.lineages import Lineages
from s3napback.browsing.tree import Tree
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.telling import require_answers
from s3napback.errors import S3napbackError, StoreError
from s3napback.formatting import counted
from s3napback.logs import log_lines
from s3napback.records import dataclass
from s3napback.recovery.holdings import StoredCold, is_cold
from s3napback.recovery.inspecting import Inspector, resolved
from s3napback.recovery.opening.failures import Closed, Damaged
from s3napback.rotation import day_date
from s3napback.stores import Store

logger = logging.getLogger("s3napback")


@dataclass(frozen=True)
class Lacking:
    """The rest of a chain, of which nothing can be told.

    Attributes:
        archives: oldest first.
        error: why the first of them cannot be opened.
    """

    archives: Sequence[CataloguedArchive]
    error: S3napbackError

    @property
    def lines(self) -> tuple[str, ...]:
        """What is to be said of it."""
        days = [f"{day_date(each.record.day)}" for each in self.archives if each.record]
        when = f" of {days[0]}" if len(days) == 1 else f", {days[0]} to {days[-1]}" if days else ""
        return self.error.under(f"nothing is told of {counted(len(self.archives), 'backup')}{when}")


class RecordedTree:
    """A context manager, of a tree whose spans are to be asked for.

    Attributes:
        numbered: the archives that it was told of; the first has number 1.
        lacking: those that cannot be opened.
    """

    def __init__(
        self,
        store: Store,
        inspector: Inspector,
        lineages: Lineages,
        wanted: Interest,
        require_warm: Callable[[Sequence[CataloguedArchive]], None],
    ) -> None:
        """Tell of nothing yet.

        Args:
            store: where they lie.
            inspector: looks into the archives.
            lineages: the chains.
            wanted: what is of interest.
            require_warm: raises for archives that cannot be read at once, and says what to do.
        """
        self._require_warm = require_warm
        self._store = store
        self._inspector = inspector
        self._lineages = lineages
        self._wanted = wanted
        self._tree = Tree(wanted, is_recorded=True)
        self.numbered: list[CataloguedArchive] = []
        self.lacking: list[Lacking] = []

    def __enter__(self) -> Tree:
        self._tree.__enter__()
        try:
            self._replay()
            if self._tree.unresolved:
                self._tree.__exit__(None, None, None)
                self._tree = Tree(resolved(self._wanted, self._tree), is_recorded=True)
                self._tree.__enter__()
                self._replay()
        except BaseException:
            self._tree.__exit__(None, None, None)
            raise
        return self._tree

    def __exit__(self, *_error: object) -> None:
        self._tree.__exit__(None, None, None)

    def _replay(self) -> None:
        self.numbered, self.lacking = [], []
        cold: list[CataloguedArchive] = []
        for whole in self._lineages.chains:
            chain = tuple(takewhile(lambda each: not is_cold(each), whole))
            cold += whole[len(chain) :]
            if chain:
                self._replay_chain(chain)
        try:
            self._require_warm(cold)
        except StoredCold as error:
            self.lacking.append(Lacking(cold, error))

    def _replay_chain(self, chain: Sequence[CataloguedArchive]) -> None:
        before = len(self.numbered)
        try:
            self._inspector.replay(self._tree, chain, before + 1)
        except (Closed, Damaged, StoreError) as error:
            require_answers(self._store, error)
            told = self._tree.number - before
            self.lacking.append(Lacking(chain[told:], error))
            self.numbered += chain[:told]
        else:
            self.numbered += chain


@dataclass
class Account:
    """What was told of, and what could not be.

    Attributes:
        archives: of which each was told what that night was.
        lacking: the others.
        failed: sources of which nothing could be told.
    """

    archives: list[CataloguedArchive] = field(default_factory=list)
    lacking: list[Lacking] = field(default_factory=list)
    failed: int = 0

    def add(self, recorded: RecordedTree) -> None:
        """What a tree was told of."""
        self.archives += recorded.numbered
        self.lacking += recorded.lacking

    def tell_lacking(self) -> None:
        """Say what could not be told of.

        Raises:
            S3napbackError: that is all.
        """
        if self.lacking and not self.archives:
            raise self.lacking[0].error
        for each in self.lacking:
            log_lines(logger, logging.ERROR, each.lines)

    @property
    def exit_code(self) -> int:
        """Whether all was told of."""
        return int(bool(self.lacking or self.failed))
