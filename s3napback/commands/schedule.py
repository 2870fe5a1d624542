"""``schedule``: what a configuration is going to do. Reads the configuration and DiffDir, and asks no store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta

from s3napback.adopting import state_of
from s3napback.chains import SourceState
from s3napback.config.settings import Configuration, Job
from s3napback.deciding.facts import RunFacts
from s3napback.errors import StateError
from s3napback.foresight.calendar import foresee
from s3napback.foresight.document import json_document
from s3napback.foresight.early_deletion import early_deletions
from s3napback.foresight.plain import plain_text
from s3napback.kinds import kind_of
from s3napback.locks import LockTerms
from s3napback.rotation import day_number
from s3napback.state import StoreState, remembered_of_several
from s3napback.surroundings import diff_dir, host_name

logger = logging.getLogger("s3napback")


def show(
    configuration: Configuration, today: date, first: date, count: int, say: Callable[..., None], *, as_json: bool
) -> int:
    """Tell what a configuration is going to do, if every backup succeeds.

    Args:
        today: from which on nights are imagined, unless ``first`` comes earlier.
        first: the first day that is told of.
        count: how many days are told of.
        say: takes the result.

    Returns:
        The exit code.

    Raises:
        UnusableConfiguration: the store's credentials cannot be read.
    """
    nothing_to_do = configuration.nothing_to_do
    for warning in (*([nothing_to_do] if nothing_to_do else []), *early_deletions(configuration)):
        logger.warning("%s", warning)
    start = min(today, first)
    run = RunFacts(host_name(configuration), day_number(start), prefix=configuration.store.prefix)
    sources = list(_sources(configuration, _state(configuration), day_number(start)))
    foreseen = foresee(sources, run, day_number(first), count)
    store = configuration.store
    terms = None if store.folder else LockTerms(bool(store.object_lock), store.lock_days)
    if as_json:
        say(*json_document(str(configuration.path), first, count, foreseen, terms).split("\n"))
    else:
        say(*plain_text(first, first + timedelta(days=count - 1), foreseen, terms))
    return 0


def _state(configuration: Configuration) -> StoreState | None:
    """What is remembered; None where nothing can be."""
    folder = diff_dir(configuration)
    try:
        if not folder.is_dir():
            return None
    except OSError as error:
        logger.warning("%s: %s; foreseen as if there had been no backup yet", folder, error.strerror)
        return None
    return state_of(configuration)


def _sources(configuration: Configuration, state: StoreState | None, day: int) -> Iterator[tuple[Job, SourceState]]:
    """The configuration's sources, and of each what is remembered that a day can go on from."""
    for job in configuration.jobs:
        if state is None:
            yield job, _fresh(job)
        elif not kind_of(job.kind).stands_for_several(job.target):
            yield job, _continued(_load(state, job), job, day)
        else:
            # Whoever looked which sources these are might wait for a dead mount.
            for single, each in remembered_of_several(state, job) or [(job, _fresh(job))]:
                yield single, _continued(each, single, day)


def _load(state: StoreState, job: Job) -> SourceState:
    try:
        return state.load(job.name) or _fresh(job)
    except StateError as error:
        logger.warning("%s; foreseen as if there had been no backup yet", error)
        return _fresh(job)


def _fresh(job: Job) -> SourceState:
    return SourceState(job.name, job.source, job.cycle)


def _continued(state: SourceState, job: Job, day: int) -> SourceState:
    """What is remembered, unless it is of later days than the one on which all begins."""
    is_later = state.newest is not None and state.newest.day > day
    return _fresh(job) if is_later else replace(state, source=job.source, cycle=job.cycle)
