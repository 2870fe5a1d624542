"""Archives that have lost what would tell of them, or are gone: none drops out of what is listed or verified. Pure.

Whatever an archive consists of (the object, its checksum, its index, the store's own notes of it), each of these alone
tells that there was one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

from s3napback.archives import join_prefix, split_key
from s3napback.catalogue.claims import Claims, acting_host, is_stray, unprotected
from s3napback.catalogue.contents import Catalogue, CataloguedArchive, started
from s3napback.catalogue.indexes import index_key, indexed_key
from s3napback.catalogue.selection import means
from s3napback.catalogue.sums import sum_key, summed_key
from s3napback.config.settings import Configuration, Job
from s3napback.records import dataclass
from s3napback.rotation import day_date
from s3napback.watch.word import Word

_CONTRADICTED = (
    "the store lists it, and has nothing there when it is asked for it. Unless it has just been deleted, the store has "
    "lost it: whoever runs the store should know"
)


@dataclass(frozen=True)
class Loss:
    """One archive that cannot be restored by its metadata.

    Attributes:
        key: its key, with the prefix.
        base: the key without prefix, slot and type.
        problem: what is wrong, as a clause.
    """

    key: str
    base: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key} cannot be restored: {self.problem}"


def unprotected_sources(catalogue: Catalogue, configuration: Configuration, host: str, word: str = "") -> list[Job]:
    """The configured sources of which no archive can be restored.

    Args:
        catalogue: all there is.
        configuration: without sources in it there are none.
        host: HostName, or the machine's own name.
        word: only those that it means; see ``selection.matches``.
    """
    acting = acting_host(catalogue, host, is_configured=bool(configuration.host_name))
    lacking = unprotected(catalogue, Claims(acting, configuration.jobs))
    return [job for job in lacking if not word or means(word, job)]


def losses(catalogue: Catalogue, names: Collection[str], prefix: str) -> list[Loss]:
    """What was an archive of this Prefix, in the order of keys.

    An object without metadata that nothing else speaks for may be anybody's, and is left out.

    Args:
        names: key bases that the configuration claims.
        prefix: of the configuration.
    """
    in_use = {*names, *(each.base for each in catalogue.archives if each.record and not is_stray(each))}
    known = {*names, *(each.base for each in catalogue.archives if each.record and each.record.owner.source.kind)}
    found = [
        Loss(each.key, each.base, catalogue.chain(each).problem)
        for each in catalogue.archives
        if each.record is None and (each.flaw or _has_company(catalogue, each.key) or each.base in in_use)
    ]
    found += [
        Loss(each.key, each.base, f"an archive of {each.record.owner} lies in its place")
        for each in catalogue.archives
        if each.record and _is_out_of_place(each, in_use, known) and _has_company(catalogue, each.key)
    ]
    return sorted([*found, *_gone(catalogue, prefix)], key=lambda loss: loss.key)


def outdone(catalogue: Catalogue, word: Word, prefix: str) -> list[Loss]:
    """Newest archives that are not there though a run has left them, where what is there now is of an earlier day.

    Such were deleted with all that lay beside them, or changed for an older one, or for another machine's. Others are
    there, and do not pass for the newest, because their metadata say that an older one was begun later.

    Args:
        word: what the run has said of itself.
        prefix: of the configuration.
    """
    mine = {each.key: each for each in catalogue.archives if each.record and each.record.owner.host == word.host}
    filled = {(each.base, each.slot) for each in catalogue.archives}
    newest: dict[str, date] = {}
    latest: dict[str, CataloguedArchive] = {}
    for each in mine.values():
        if each.record:
            newest[each.base] = max(day_date(each.record.day), newest.get(each.base, date.min))
            # What was begun after that run, it could not know.
            if each.record.started <= word.ended:
                latest[each.base] = max(each, latest.get(each.base, each), key=started)
    found = []
    for said in word.sources:
        if said.key is None or said.last_good is None:
            continue
        key = join_prefix(prefix, said.key)
        is_there = key in catalogue.passed_over or (key in mine and mine[key].stored.size == said.size)
        if not is_there and newest.get(said.name, said.last_good) < said.last_good:
            parts = split_key(said.key)
            where = "and another archive lies in its place" if parts and parts[:2] in filled else "and it is gone"
            found.append(Loss(key, said.name, f"the last run tells of it as the backup of {said.last_good}, {where}"))
        elif is_there and key in mine and _passes_for_older(mine[key], latest.get(said.name)):
            why = (
                f"the last run tells of it as the newest, and by their metadata {latest[said.name].key} was begun later"
            )
            found.append(Loss(key, said.name, why))
    return found


def _passes_for_older(newest: CataloguedArchive, latest: CataloguedArchive | None) -> bool:
    """Whether the newest archive is of no earlier day than the one begun last, and was begun before that all the same.

    Where the days are in that order, too, the clock was set back, or DiffDir is an older one.
    """
    if latest is None or latest.record is None or newest.record is None:
        return False
    return started(newest) < started(latest) and newest.record.day >= latest.record.day


def _gone(catalogue: Catalogue, prefix: str) -> Iterator[Loss]:
    over = (split_key(key.removeprefix(join_prefix(prefix, ""))) for key in catalogue.passed_over)
    filled = {*((each.base, each.slot) for each in catalogue.archives), *(parts[:2] for parts in over if parts)}
    noted = {
        **dict.fromkeys(map(indexed_key, catalogue.indexes), "its index"),
        **dict.fromkeys(catalogue.gone, "what the store noted of it"),
        **dict.fromkeys(map(summed_key, catalogue.sums), "its checksum"),
    }
    for key in catalogue.vanished:
        yield Loss(key, catalogue.vanished[key], _CONTRADICTED)
    present = {*catalogue.passed_over, *catalogue.vanished, *(each.key for each in catalogue.archives)}
    for key, rest in noted.items():
        parts = split_key(key.removeprefix(join_prefix(prefix, "")))
        # Where another archive has filled the slot under its other key, no more than the deletion was left undone.
        if parts is not None and key not in present and parts[:2] not in filled:
            yield Loss(
                key, parts[0], f"it is gone; {rest} is still there. If it was deleted on purpose, prune tidies up"
            )


def _is_out_of_place(archive: CataloguedArchive, in_use: Collection[str], known: Collection[str]) -> bool:
    """Whether an archive lies under a name of others: one of an unknown kind may have any, but for ``known`` ones."""
    if archive.record and not archive.record.owner.source.kind:
        return archive.base in known
    return archive.base in in_use and is_stray(archive)


def _has_company(catalogue: Catalogue, key: str) -> bool:
    return sum_key(key) in catalogue.sums or index_key(key) in catalogue.indexes
