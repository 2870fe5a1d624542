"""From a configuration to the part of DiffDir that is its store's, and whose that is which an earlier version left."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from s3napback.archives import ArchiveRecord
from s3napback.chains import Link
from s3napback.config.settings import Configuration
from s3napback.errors import StateError, StoreError
from s3napback.state import StoreState
from s3napback.stores import Store
from s3napback.stores.choosing import former_identity_of, identity_of
from s3napback.surroundings import diff_dir, store_settings

_WITNESSES = 8
"""Archives that are looked for: of these one at least is there, unless state is another store's."""


def state_of(configuration: Configuration) -> StoreState:
    """What is remembered of the store that a configuration names, without asking it."""
    settings = store_settings(configuration)
    former = former_identity_of(settings)
    return StoreState(diff_dir(configuration), identity_of(settings), settings.prefix, former)


def find_owner(state: StoreState, store: Store) -> None:
    """Look whether what an earlier version left is the store's: it is, if an archive is there of which it tells.

    Nothing is changed. Where the store gives no definite answer, it stays in question.
    """
    if not state.place.is_in_question:
        return
    newest = heapq.nlargest(_WITNESSES, (each.newest for each in state.all() if each.newest), key=lambda link: link.day)
    try:
        state.place.decide(is_ours=_is_witness_there(newest, store))
    except StoreError:
        return


def _is_witness_there(links: Sequence[Link], store: Store) -> bool:
    for link in links:
        found = store.head(link.key)
        record = None if found is None else ArchiveRecord.from_metadata(found.metadata)
        if record is not None and record.id == link.id:
            return True
    return False


def settle(state: StoreState) -> None:
    """Put what was decided into effect, before anything is written.

    Raises:
        StateError: it cannot be done.
    """
    try:
        state.place.settle()
    except OSError as error:
        raise StateError(f"cannot use {state.place.folder}: {error.strerror}") from error
