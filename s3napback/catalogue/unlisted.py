"""What is not told on the word of a listing alone: that an archive is not needed, and that the newest one is gone.

A listing that lacks a FULL makes every DIFF on it look broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.left_out import keys_below
from s3napback.catalogue.losses import Loss, outdone
from s3napback.catalogue.reading import PARALLEL_REQUESTS
from s3napback.catalogue.retention import Disposition, deletable
from s3napback.catalogue.telling import require_answers
from s3napback.crews import Crew
from s3napback.errors import StoreError
from s3napback.stores import Store
from s3napback.watch.word import Word


def without_doubtful(
    store: Store, prefix: str, catalogue: Catalogue, dispositions: Sequence[Disposition]
) -> list[Disposition]:
    """The same, of which everything stays under a name under which the store has an archive that it does not list.

    Asked for is each lower slot of whatever is to go because its chain is broken, as far as the listing shows nothing
    there: what it builds on can lie nowhere else.

    Raises:
        StoreUnreachable: the store has stopped to answer.
    """
    broken = [each.archive for each in deletable(dispositions) if catalogue.chain(each.archive).problem]
    present = {archive.key for archive in catalogue.archives}
    asked = {key: archive.base for archive in broken for _, key in keys_below(archive, prefix) if key not in present}
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        answers = pool.map(lambda key: _doubt(store, key), asked)
        doubts = {asked[key]: doubt for key, doubt in zip(asked, answers, strict=True) if doubt}
    return list(_kept(dispositions, doubts))


def _doubt(store: Store, key: str) -> str:
    """Why nobody can be sure that there is nothing under a key; empty if there is nothing."""
    try:
        return f"{key}, of the same name, is there, and the store does not list it" if store.head(key) else ""
    except StoreError as error:
        require_answers(store, error)
        return f"{key}, of the same name, may be there: {error}"


def _kept(dispositions: Iterable[Disposition], doubts: Mapping[str, str]) -> Iterator[Disposition]:
    for each in dispositions:
        doubt = doubts.get(each.archive.base, "")
        yield replace(each, kept=doubt) if doubt and not each.kept else each


def lost_by_word(store: Store, catalogue: Catalogue, word: Word, prefix: str) -> list[Loss]:
    """The same as ``losses.outdone``, but for what it says of archives that are there and not listed."""
    return [_asked_for(store, catalogue, loss) for loss in outdone(catalogue, word, prefix)]


def _asked_for(store: Store, catalogue: Catalogue, loss: Loss) -> Loss:
    is_known = loss.key in catalogue.vanished or any(loss.key == each.key for each in catalogue.archives)
    if is_known or not store.is_distant:
        return loss
    try:
        found = store.head(loss.key)
    except StoreError as error:
        return replace(loss, problem=f"the last run tells of it, and it cannot be looked at: {error}")
    if found is None:
        return loss
    return replace(
        loss,
        problem="the last run tells of it, and it is there and left out when the store is listed: restore finds it if "
        "--keys names it, behind all that it builds on",
    )
