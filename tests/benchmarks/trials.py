"""What a case of the benchmarks consists of, and a first backup, which many begin with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tests.benchmarks.contenders import Contender
from tests.benchmarks.laboratory import Laboratory
from tests.benchmarks.measuring import Usage


def _nothing(_round: int) -> None:
    """No preparation."""


@dataclass(frozen=True)
class Trial:
    """One case, ready to be measured.

    Attributes:
        ours: s3napback.
        others: the contenders.
        quantity: what is compared; ``stored`` are bytes stored, or fetched.
        limit: what our own figure may be at most, in seconds or bytes; None is without.
        before_round: brings about what has changed since the round before.
    """

    ours: Contender
    others: Sequence[Contender] = ()
    quantity: Literal["seconds", "processor", "peak", "stored"] = "seconds"
    limit: float | None = None
    before_round: Callable[[int], None] = _nothing


@dataclass(frozen=True)
class Case:
    """One kind of work.

    Attributes:
        name: for ``--case``.
        title: for the table.
        prepare: makes what the trial needs.
        rounds: how many of it for each round of the others: more where a ratio lies close to its goal.
    """

    name: str
    title: str
    prepare: Callable[[Laboratory], Trial]
    rounds: int = 1


def full(
    laboratory: Laboratory, tree: Path, *, general: str = "", s3: bool = False, former: bool = False
) -> Callable[[int], Usage]:
    """A first backup into an empty store, by this version or the former one."""

    def run(_round: int) -> Usage:
        site = laboratory.site("ours", tree, general=general, server=laboratory.server if s3 else None)
        laboratory.warm_up(tree)
        usage = laboratory.back_up(site, former=former)
        stored = sum(found.size for found in site.store().list("") if found.key.endswith("-FULL"))
        shutil.rmtree(site.root)
        if s3:
            laboratory.empty_server()
        return replace(usage, stored=stored)

    return run
