"""``ls``: what a directory held on a day, as a restore of that day would bring it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import IS_FOLDER, MISSING, Node
from s3napback.browsing.showing import json_line, json_of, line_of
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.commands.looking import (
    Looker,
    LookRequest,
    Output,
    OutputForm,
    Say,
    no_such_path,
    path_within,
    top_of,
)
from s3napback.config.settings import Configuration
from s3napback.formatting import human_bytes
from s3napback.kinds import DIRECTORY, SourceName
from s3napback.records import dataclass
from s3napback.recovery.paths import NoSuchPath
from s3napback.rotation import day_date


@dataclass(frozen=True)
class ListedFolder:
    """What is to be listed.

    Attributes:
        source: it.
        chain: to the day.
        path: relative to the source.
        is_deep: all below it.
    """

    source: SourceName
    chain: tuple[CataloguedArchive, ...]
    path: bytes
    is_deep: bool


def show(
    configuration: Configuration, request: LookRequest, listing: tuple[str, bool], today: date, output: Output
) -> int:
    """List a folder.

    Args:
        listing: the path, absolute or relative to the source, empty for all of it; and whether all below it is meant.
        today: completes ``--at``.
        output: takes the result.

    Returns:
        The exit code.

    Raises:
        S3napbackError: what failed.
    """
    path, is_deep = listing
    looker = Looker(configuration, request, today)
    word, within = looker.located(request.source)
    if within and path:
        raise NoSuchPath.within(request.source, word)
    path = within or path
    source = looker.source(word)
    if source.kind != DIRECTORY.name:
        _tell_of_dumps(looker, word, source, path, output.say)
        return 0
    wanted = ListedFolder(source, looker.chain(word, request.at), path_within(source, path), is_deep)
    with looker.looking():
        _list(looker, wanted, output)
    return 0


def _list(looker: Looker, listing: ListedFolder, output: Output) -> None:
    source, chain, path = listing.source, listing.chain, listing.path
    wanted = Interest(path, is_deep=listing.is_deep, top=top_of(source))
    with looker.tree_of(source, chain, wanted) as tree:
        tree.note_unread_paths(looker.tell_unread(chain[-1], wanted.absolute(path).strip(b"/")).paths)
        found = tree.node(path)
        if found is None:
            raise no_such_path(looker, source, chain, path)
        nodes: Iterator[Node] = iter([found])
        if found.letter == IS_FOLDER:
            nodes = (node for node in tree.nodes() if node.path != path)
        if output.form is OutputForm.JSON:
            output.lines(_json(listing, nodes, wanted))
        elif output.form is OutputForm.NAMES:
            output.names(_shown(node, path) for node in nodes if node.state != MISSING)
        else:
            output.lines(line_of(node, _shown(node, path), is_exact=output.form.is_exact) for node in nodes)


def _shown(node: Node, path: bytes) -> bytes:
    """A name as it is shown: relative to the folder that is listed."""
    return node.path[len(path) + 1 if path else 0 :] if node.path != path else node.name


def _json(listing: ListedFolder, nodes: Iterable[Node], wanted: Interest) -> Iterator[str]:
    newest = listing.chain[-1]
    head = {
        "source": str(listing.source),
        "archive": newest.key,
        "day": f"{day_date(newest.record.day)}" if newest.record else None,
    }
    yield json_line(head)[:-1] + ', "entries": ['
    before = " "
    for node in nodes:
        yield before + json_line(json_of(node, wanted.absolute(node.path)))
        before = ","
    yield "]}"


def _tell_of_dumps(looker: Looker, word: str, source: SourceName, path: str, say: Say) -> None:
    """Of what is dumped as a whole, there is to say which dumps there are."""
    if path:
        raise NoSuchPath(f"{source} is dumped as a whole, and there are no paths in it")
    say(f"{source} is dumped as a whole: each archive is one dump, and restore brings it back.")
    for archive in looker.archives(word):
        day = f"{day_date(archive.record.day)}" if archive.record else "-"
        say(f"{day}  {human_bytes(archive.stored.size):>8}  {archive.key}")
