"""``diff``: what is not the same in a directory between two backups."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from s3napback.browsing.differing import ADDED, CHANGED, OTHER_TYPE, REMOVED, Difference, differences
from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import IS_FOLDER
from s3napback.browsing.showing import json_line, json_of, json_of_path, size_text, text_of_name
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.commands.looking import Looker, LookRequest, Output, OutputForm, require_directory, top_of
from s3napback.config.settings import Configuration
from s3napback.formatting import counted
from s3napback.recovery.choosing import NothingToRestore
from s3napback.rotation import day_date

logger = logging.getLogger("s3napback")

_WORDS = {ADDED: "added", REMOVED: "removed", CHANGED: "changed", OTHER_TYPE: "of another type"}


def show(
    configuration: Configuration, request: LookRequest, moments: Sequence[str], today: date, output: Output
) -> int:
    """Show what differs.

    Args:
        request: without ``at``.
        moments: two, in the form of ``--at``; of one the other is the newest; of none the newest and the newest of an
            earlier day.
        today: completes them.
        output: takes the result.

    Returns:
        The exit code.

    Raises:
        S3napbackError: what failed.
    """
    looker = Looker(configuration, request, today, others=moments)
    word, path = looker.located(request.source)
    if path:
        raise NothingToRestore(f"{request.source} is no source, but lies in {word}: name that")
    source = looker.source(word)
    require_directory(source)
    old, new = _chains(looker, word, moments)
    wanted = Interest(top=top_of(source))
    logger.info("from %s to %s", _described(old[-1]), _described(new[-1]))
    with looker.looking(), looker.tree_of(source, old, wanted) as before, looker.tree_of(source, new, wanted) as after:
        for newest in (old[-1], new[-1]):
            looker.tell_unread(newest, b"")
        found: Counter[str] = Counter()
        differing = _counted(differences(before.nodes(), after.nodes()), found)
        if output.form is OutputForm.JSON:
            head = {"source": str(source), "from": old[-1].key, "to": new[-1].key}
            output.lines(_json(head, differing, wanted))
        elif output.form is OutputForm.NAMES:
            output.names(f"{each.letter} ".encode() + wanted.absolute(each.path) for each in differing)
        else:
            output.lines(_line(each, wanted, is_exact=output.form.is_exact) for each in differing)
    said = ", ".join(f"{found[letter]} {word}" for letter, word in _WORDS.items() if found[letter])
    logger.info(
        "%s: %s",
        counted(sum(found.values()), "difference"),
        said or "names, types, sizes, times, owners and permissions are the same",
    )
    return 0


def _chains(
    looker: Looker, word: str, moments: Sequence[str]
) -> tuple[tuple[CataloguedArchive, ...], tuple[CataloguedArchive, ...]]:
    if moments:
        first, *others = moments
        return looker.chain(word, first), looker.chain(word, others[0] if others else "")
    new = looker.chain(word, "")
    chains = (looker.holdings.catalogue.chain(archive).archives for archive in looker.archives(word))
    before = [chain for chain in chains if chain and chain[-1].key != new[-1].key]
    if not before:
        raise NothingToRestore(f"there is one backup of {word} only, {new[-1].key}, and nothing to compare it with")
    # A source of two Cycles is backed up twice in one night.
    return next((chain for chain in before if _day(chain[-1]) < _day(new[-1])), before[0]), new


def _day(archive: CataloguedArchive) -> int:
    return archive.record.day if archive.record else 0


def _described(archive: CataloguedArchive) -> str:
    return f"{archive.key}{f' of {day_date(archive.record.day)}' if archive.record else ''}"


def _counted(found: Iterable[Difference], counts: Counter[str]) -> Iterator[Difference]:
    for each in found:
        counts[each.letter] += 1
        yield each


def _line(found: Difference, wanted: Interest, *, is_exact: bool) -> str:
    node = found.new or found.old
    slash = "/" if node is not None and node.letter == IS_FOLDER and found.path else ""
    more = ""
    if not is_exact and found.letter == CHANGED and found.old and found.new and found.old.size != found.new.size:
        sizes = (size_text(each, is_exact=False) for each in (found.old, found.new))
        more = f"  ({' -> '.join(sizes)})"
    return f"{found.letter}  {text_of_name(wanted.absolute(found.path))}{slash}{more}"


def _json(head: dict[str, str], found: Iterable[Difference], wanted: Interest) -> Iterator[str]:
    yield json_line(head)[:-1] + ', "differences": ['
    before = " "
    for each in found:
        path = wanted.absolute(each.path)
        document: dict[str, object] = {"change": _WORDS[each.letter], **json_of_path(path)}
        document |= {name: json_of(node, path) for name, node in (("old", each.old), ("new", each.new)) if node}
        yield before + json_line(document)
        before = ","
    yield "]}"
