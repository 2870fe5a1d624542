"""``history``: what became of one path over all backups of its source."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import date

from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import MISSING, Node
from s3napback.browsing.showing import columns, json_line, json_of, json_of_path, line_of, text_of_name
from s3napback.catalogue.contents import CataloguedArchive, newest_first
from s3napback.commands.looking import Looker, LookRequest, Output, OutputForm, path_within, require_directory, top_of
from s3napback.commands.recorded import Account, RecordedTree
from s3napback.config.settings import Configuration
from s3napback.formatting import forms_text
from s3napback.records import dataclass
from s3napback.recovery.paths import NoSuchPath
from s3napback.rotation import day_date

logger = logging.getLogger("s3napback")

_GONE = "not there"


@dataclass
class Period:
    """Some backups, one after the other, in which a path was the same.

    Attributes:
        node: what it was; None if it was not there.
        archives: oldest first.
    """

    node: Node | None
    archives: list[CataloguedArchive] = field(default_factory=list)


def show(configuration: Configuration, request: LookRequest, path: str, today: date, output: Output) -> int:
    """Show what became of a path.

    Args:
        request: without a source, if the path is absolute.
        path: absolute, or relative to the source.
        today: nothing depends on it.
        output: takes the result.

    Returns:
        The exit code.

    Raises:
        S3napbackError: what failed.
    """
    if not request.source and not path.startswith("/"):
        raise NoSuchPath(f"{path} is not absolute: write it from the root directory on, or name its SOURCE in front")
    looker = Looker(configuration, request, today, path)
    word, within = looker.located(request.source or path)
    if within and request.source and not path.startswith("/"):
        raise NoSuchPath.within(request.source, word)
    source = looker.source(word)
    require_directory(source)
    name = path_within(source, path)
    lineages = looker.lineages(word)
    wanted = Interest(name, is_alone=True, top=top_of(source))
    known: dict[str, Node] = {}
    told = Account()
    recorded = RecordedTree(looker.holdings.store, looker.inspector(source), lineages, wanted, looker.require_warm)
    with looker.looking(), recorded as tree:
        told.add(recorded)
        for node, first, last in tree.spans():
            known |= {told.archives[number - 1].key: node for number in range(first, last + 1)}
    told.tell_lacking()
    archives = sorted({each.key: each for each in told.archives}.values(), key=newest_first, reverse=True)
    if not known:
        shown, forms = text_of_name(wanted.absolute(name)), forms_text(name.decode("utf-8", "surrogateescape"))
        raise NoSuchPath(
            f"{shown} is in none of the {len(archives)} backups of {source}; find looks for names in all{forms}",
            *looker.gaps(archives),
        )
    periods = list(_periods(archives, known))
    if output.form is OutputForm.JSON:
        output.lines(_json(str(source), wanted.absolute(name), periods))
    else:
        output.lines(_lines(periods, is_exact=output.form.is_exact))
    return told.exit_code


def _periods(archives: Sequence[CataloguedArchive], known: dict[str, Node]) -> Iterator[Period]:
    """The backups in which a path was the same together, oldest first, without those before it came to be."""
    period: Period | None = None
    for archive in archives:
        node = known.get(archive.key)
        if period is not None and _is_same(period.node, node):
            period.archives.append(archive)
            continue
        if period is not None:
            yield period
        if period is not None or node is not None:
            period = Period(node, [archive])
    if period is not None:
        yield period


def _is_same(old: Node | None, new: Node | None) -> bool:
    if old is None or new is None:
        return old is new
    return old[2:] == new[2:]


def _lines(periods: Sequence[Period], *, is_exact: bool) -> Iterator[str]:
    days = [_days(period) for period in periods]
    width = max(map(len, days), default=0)
    for period, day in zip(periods, days, strict=True):
        what = _GONE
        if period.node is not None and period.node.state == MISSING:
            what = columns(period.node, is_exact=is_exact)
        elif period.node is not None:
            what = line_of(period.node, b"", is_exact=is_exact)
        yield f"{day:<{width}}  {what}  {_keys(period)}"


def _days(period: Period) -> str:
    days = [f"{day_date(each.record.day)}" if each.record else "-" for each in period.archives]
    return days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"


def _keys(period: Period) -> str:
    more = f" and {len(period.archives) - 1} more" if len(period.archives) > 1 else ""
    return text_of_name(period.archives[0].key.encode("utf-8", "surrogateescape")) + more


def _json(source: str, path: bytes, periods: Sequence[Period]) -> Iterator[str]:
    yield json_line({"source": source, **json_of_path(path)})[:-1] + ', "history": ['
    before = " "
    for period in periods:
        what: dict[str, object] = {"there": False}
        if period.node is not None:
            what = {"there": period.node.state != MISSING, **json_of(period.node, path)}
        archives = [
            {"archive": each.key, "day": f"{day_date(each.record.day)}" if each.record else None}
            for each in period.archives
        ]
        yield before + json_line({**what, "archives": archives})
        before = ","
    yield "]}"
