"""``find``: names that a pattern fits, in all backups of a source, or of all sources."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from heapq import merge
from itertools import groupby
from operator import attrgetter
from pathlib import PurePosixPath

from s3napback.browsing.interest import Interest, Pattern, read_pattern
from s3napback.browsing.lineages import Version, versions
from s3napback.browsing.nodes import MISSING, split
from s3napback.browsing.showing import json_line, json_of, json_of_path, line_of, text_of_name
from s3napback.catalogue.contents import CataloguedArchive, newest_first
from s3napback.catalogue.telling import require_answers
from s3napback.commands.looking import Looker, LookRequest, Output, OutputForm, path_within, require_directory, top_of
from s3napback.commands.recorded import Account, RecordedTree
from s3napback.config.settings import Configuration
from s3napback.errors import S3napbackError, UnusableConfiguration
from s3napback.formatting import any_form, printable, shell_word
from s3napback.kinds import DIRECTORY, SourceName
from s3napback.logs import log_lines
from s3napback.records import dataclass
from s3napback.recovery.choosing import NothingToRestore, NotYet
from s3napback.recovery.paths import NoSuchPath
from s3napback.rotation import day_date
from s3napback.stores import Store

logger = logging.getLogger("s3napback")


@dataclass(frozen=True)
class Found:
    """A path that fits.

    Attributes:
        source: in which it lies; one of them if those that hold it are told of together.
        path: absolute.
        versions: all that it was.
        archives: by the numbers of these, from 1.
    """

    source: SourceName
    path: bytes
    versions: Sequence[Version]
    archives: Sequence[CataloguedArchive]


def show(configuration: Configuration, request: LookRequest, pattern: str, today: date, output: Output) -> int:
    """Show what fits.

    Args:
        request: with a source or a path in one, or without for all directories.
        pattern: for names, or with a slash in it for absolute paths.
        today: completes ``--at``.
        output: takes the result.

    Returns:
        The exit code: that of a failure if nothing fits.

    Raises:
        S3napbackError: what failed.
    """
    looker = Looker(configuration, request, today)
    tidied = _tidied(pattern)
    wanted = read_pattern(tidied.encode("utf-8", "surrogateescape"))
    word, within = looker.located(request.source)
    words = [word] if word else _directories(looker, request.origin)
    if word and looker.holdings.has_any(pattern) and not looker.holdings.has_any(word):
        meant = f"find {shell_word(request.source)} {shell_word(pattern)}"
        raise NothingToRestore(f"there are no archives of {request.source}; PATTERN comes first, then SOURCE: {meant}")
    counter = _Counter()
    told = Account()
    with looker.looking():
        look = partial(_found, looker, at=request.at, within=within, pattern=wanted, told=told)
        found = _found_in(looker.holdings.store, words, look, told)
        _show(counter.counted(found), pattern, output)
    told.tell_lacking()
    if told.failed and not told.archives:
        return told.exit_code
    if not counter.count:
        gaps = looker.gaps(told.archives)
        below = f" in {printable(within)}" if within else ""
        raise NoSuchPath(f"nothing fits {pattern!r}{below}{_hint(tidied)}", *gaps)
    for line in looker.newest_gaps(told.archives):
        logger.warning("%s", line)
    return told.exit_code


def _tidied(pattern: str) -> str:
    """A pattern of paths as paths are told: ``/etc//ssh/`` is that of ``/etc/ssh``."""
    steps = "/".join(step for step in pattern.split("/") if step not in ("", "."))
    return f"/{steps}" if pattern.startswith("/") else steps if "/" in pattern else pattern


def _hint(pattern: str) -> str:
    """What to try where a pattern fits nothing: of one of nothing but letters, or that is no path from the root on."""
    if pattern_of_both := any_form(pattern):
        return f"; accented letters are one character or two: {pattern_of_both!r} fits both"
    if not set("*?[\\") & set(pattern):
        return f"; a pattern is for whole names: '*{pattern}*' fits parts of them"
    if "/" in pattern and not pattern.startswith(("/", "*")):
        return f"; with a slash in it, a pattern is for whole paths: '*/{pattern}' fits the ends of them"
    return ""


def _directories(looker: Looker, origin: str) -> list[str]:
    """The directories of this host, or of whatever ``--from`` names; if that is nothing, whoever's."""
    holdings = looker.holdings
    lost = holdings.lost_wholly()
    archives = [(each.base, each.record) for each in holdings.catalogue.archives if each.record]
    named = {str(record.owner.source) for base, record in archives if origin in (record.cycle, base)}
    everybodys = {str(record.owner.source) for _base, record in archives}
    words = sorted(named if origin else holdings.all_sources()) or sorted(everybodys)
    found = [word for word in words if SourceName.parse(word).kind == DIRECTORY.name]
    if not found:
        raise NothingToRestore(*(lost or ["there are no archives of directories in the store under this Prefix"]))
    for line in lost:
        logger.warning("%s", line)
    return found


def _found_in(
    store: Store, words: Sequence[str], found: Callable[[str], Iterator[Found]], told: Account
) -> Iterator[Found]:
    """What fits in several sources, in the order of paths where these lie within each other."""
    if len(words) == 1:
        yield from found(words[0])
        return
    for nested in _nested(words):
        yield from merge(
            *(_found_if_any(store, word, found, told) for word in nested), key=lambda each: split(each.path)
        )


def _nested(words: Sequence[str]) -> list[list[str]]:
    """Directories, those that lie in another one together with that."""
    together: dict[str, list[str]] = {}
    for target, word in sorted((SourceName.parse(word).target, word) for word in words):
        around = map(str, reversed(PurePosixPath(target).parents))
        together.setdefault(next(filter(together.__contains__, around), target), []).append(word)
    return [together[top] for top in sorted(together)]


def _found_if_any(store: Store, word: str, found: Callable[[str], Iterator[Found]], told: Account) -> Iterator[Found]:
    """What fits in one of several sources; that nothing can be looked for in it keeps none of the others from it."""
    try:
        yield from found(word)
    except UnusableConfiguration:
        raise
    except S3napbackError as error:
        require_answers(store, error)
        is_young = isinstance(error, NotYet)
        told.failed += not is_young
        log_lines(logger, logging.WARNING if is_young else logging.ERROR, error.under(word))


def _found(looker: Looker, word: str, at: str, within: str, pattern: Pattern, told: Account) -> Iterator[Found]:
    """What fits in one source; the archives of which each tells what that night was are added to ``told``.

    Args:
        within: nothing outside of this path; empty is all of the source.
    """
    source = looker.source(word)
    require_directory(source)
    wanted = Interest(path_within(source, within), pattern=pattern, top=top_of(source))
    if at:
        chain = looker.chain(word, at)
        told.archives.append(chain[-1])
        with looker.tree_of(source, chain, wanted) as tree:
            for node in tree.nodes():
                yield Found(source, wanted.absolute(node.path), [Version(node, [len(chain)])], chain)
        return
    lineages = looker.lineages(word)
    recorded = RecordedTree(looker.holdings.store, looker.inspector(source), lineages, wanted, looker.require_warm)
    with recorded as tree:
        told.add(recorded)
        for path, found in versions(tree.spans()):
            yield Found(source, wanted.absolute(path), found, recorded.numbered)


class _Counter:
    count = 0

    def counted(self, found: Iterator[Found]) -> Iterator[Found]:
        for each in found:
            self.count += 1
            yield each


def _show(found: Iterator[Found], pattern: str, output: Output) -> None:
    once = (_together(list(same)) for _path, same in groupby(found, attrgetter("path")))
    if output.form is OutputForm.JSON:
        output.lines(_json(found, pattern))
    elif output.form is OutputForm.NAMES:
        output.names(each.path for each in once if any(one.node.state != MISSING for one in each.versions))
    elif output.form is OutputForm.TERMINAL:
        output.lines(line for each in once for line in _for_people(each))
    else:
        output.lines(line for each in once for line in _plain(each))


def _together(found: Sequence[Found]) -> Found:
    """One path with what it was in each source that holds it, what it was first in front."""
    if len(found) == 1:
        return found[0]
    archives: list[CataloguedArchive] = []
    known: dict[tuple[object, ...], Version] = {}
    for each in found:
        for version in each.versions:
            same = known.setdefault((version.node.what, version.node.state), Version(version.node))
            same.numbers.extend(len(archives) + number for number in version.numbers)
        archives.extend(each.archives)

    def oldest(version: Version) -> tuple[object, ...]:
        return max(newest_first(archives[number - 1]) for number in version.numbers)

    return Found(found[0].source, found[0].path, sorted(known.values(), key=oldest, reverse=True), archives)


def _for_people(found: Found) -> Iterator[str]:
    yield text_of_name(found.path)
    for version in found.versions:
        yield f"  {line_of(version.node, b'', is_exact=False).rstrip()}  {days_of(version, found.archives)}"


def _plain(found: Found) -> Iterator[str]:
    for version in found.versions:
        shown = line_of(version.node, found.path, is_exact=True)
        yield f"{days_of(version, found.archives)}  {shown}"


def days_of(version: Version, archives: Sequence[CataloguedArchive]) -> str:
    """In which backups something was so: the first day, the last one, and how many there are."""
    those = {number: archives[number - 1] for number in version.numbers}
    days = [each.record.day for each in those.values() if each.record]
    count = len({each.key for each in those.values()})
    if not days:
        return f"({count})"
    first, last = f"{day_date(min(days))}", f"{day_date(max(days))}"
    return f"{first} ({count})" if first == last else f"{first} to {last} ({count})"


def _json(found: Iterator[Found], pattern: str) -> Iterator[str]:
    yield json_line({"pattern": pattern})[:-1] + ', "matches": ['
    before = " "
    for each in found:
        document: dict[str, object] = {"source": str(each.source), **json_of_path(each.path)}
        document["versions"] = [
            {**json_of(version.node, each.path), "archives": keys_of(version, each.archives)}
            for version in each.versions
        ]
        yield before + json_line(document)
        before = ","
    yield "]}"


def keys_of(version: Version, archives: Sequence[CataloguedArchive]) -> list[str]:
    """Keys of the archives in which something was so."""
    return list(dict.fromkeys(archives[number - 1].key for number in version.numbers))
