"""What a listing has left out: archives on which others build that seem to be of no use without them.

Nothing is deleted on the word of a listing alone. One that lacks a FULL makes every DIFF on it look broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from s3napback.archives import slot_keys
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.catalogue.reading import PARALLEL_REQUESTS
from s3napback.catalogue.retention import Disposition, deletable
from s3napback.crews import Crew
from s3napback.errors import StoreError, StoreUnreachable
from s3napback.stores import Store

_MOST_SLOTS = 400
"""Below one archive; whoever plants one with a large number must not have a store asked for ever."""


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
    asked = {key: archive.base for archive in broken for key in _below(archive, prefix) if key not in present}
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        answers = pool.map(lambda key: _doubt(store, key), asked)
        doubts = {asked[key]: doubt for key, doubt in zip(asked, answers, strict=True) if doubt}
    return list(_kept(dispositions, doubts))


def _below(archive: CataloguedArchive, prefix: str) -> Iterable[str]:
    if archive.record is None:
        return
    kind = archive.record.owner.source.kind
    for slot in range(max(archive.slot - _MOST_SLOTS, 0), archive.slot):
        yield from slot_keys(prefix, kind, archive.base, slot)


def _doubt(store: Store, key: str) -> str:
    """Why nobody can be sure that there is nothing under a key; empty if there is nothing."""
    try:
        return f"{key}, of the same name, is there, and the store does not list it" if store.head(key) else ""
    except StoreUnreachable:
        raise
    except StoreError as error:
        return f"{key}, of the same name, may be there: {error}"


def _kept(dispositions: Iterable[Disposition], doubts: Mapping[str, str]) -> Iterator[Disposition]:
    for each in dispositions:
        doubt = doubts.get(each.archive.base, "")
        yield replace(each, kept=doubt) if doubt and not each.kept else each
