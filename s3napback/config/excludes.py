"""What people write after Exclude, and what of it cannot mean what it seems to: other programs have other patterns."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence

from s3napback.config.problems import Problems
from s3napback.config.settings import Job, Position
from s3napback.formatting import shown
from s3napback.kinds import kind_of
from s3napback.regexes import regex

_SLASHES = regex(r"//+")
_WILDCARD = regex(r"[*?\[\\]")
_ELSEWHERE: Sequence[tuple[re.Pattern[str], str]] = (
    (regex(r"~"), "~ is not expanded; write the path in full"),
    (regex(r"(?:.*/)?\$(?:\w+|\{\w+\})(?:/|$)"), "variables are not expanded; write the path in full"),
    (regex(r"\.\.?/"), "names have no such beginning; write the whole path from the slash on, or leave it out"),
    (regex(r".*\{[^{}]*,[^{}]*\}"), "braces are not expanded; write each pattern by itself"),
    (regex(r"!"), "there are no exceptions from what is left out"),
    (regex(r"[+-]$"), "signs have no meaning; write the patterns alone"),
    (regex(r"(?:re|rx|sh|fm|pp|pf|glob|regex|regexp|path):"), "patterns have no such beginning"),
    (regex(r"\^|.*[^\\]\$$"), "this is no regular expression: * is any text, ? any character"),
    (
        regex(r"""(?P<quote>["']).*(?P=quote)$""", re.DOTALL),
        "the inner quotes are part of the pattern, since no shell takes them away; leave them out",
    ),
    (regex(r".+[,;]$"), "patterns are separated by blanks alone"),
)

# Of a long list nearly no pattern is one of these.
_ANY_ELSEWHERE = regex("|".join(f"(?:{looks.pattern})" for looks, _ in _ELSEWHERE), re.DOTALL)


def plain_pattern(pattern: str) -> str:
    """A pattern without doubled slashes and without one at its end, with which tar would find nothing."""
    return (_SLASHES.sub("/", pattern) if "//" in pattern else pattern).rstrip("/")


def check_pattern(pattern: str, position: Position, problems: Problems) -> bool:
    """Whether a pattern is one; one that leaves out everything, or looks like another program's, is reported."""
    if not plain_pattern(pattern):
        problems.error(position, f"Exclude {shown(pattern)} would leave out everything")
        return False
    if not _ANY_ELSEWHERE.match(pattern):
        return True
    for looks, advice in _ELSEWHERE:
        if looks.match(pattern):
            problems.warning(
                position, f"Exclude {shown(pattern)}: {advice}", of_a_list="patterns look like another program's"
            )
            return False
    return True


def check_reach(patterns: Iterable[tuple[str, Position]], jobs: Sequence[Job], problems: Problems) -> None:
    """Warn of patterns with a leading slash that can match nothing in any source."""
    trees = sorted({job.target.rstrip("/") for job in jobs if kind_of(job.kind).holds_tree})
    if not trees:
        return
    around = {f"{tree}/" for tree in trees}
    for pattern, position in patterns:
        if pattern.startswith("/") and not _reaches(plain_pattern(pattern), trees, around):
            problems.warning(
                position,
                f"Exclude {shown(pattern)} lies in no Directory of this configuration: a leading slash is the root "
                "directory; without it a pattern matches at any depth",
                of_a_list="patterns lie in no Directory",
            )


def _reaches(pattern: str, trees: Sequence[str], around: Collection[str]) -> bool:
    """Whether a pattern can match anything in one of many trees.

    Args:
        pattern: with a leading slash.
        trees: in order, without a slash at the end.
        around: the same with one.
    """
    found = _WILDCARD.search(pattern)
    literal = pattern[: found.start()] if found else pattern
    if any(literal[: slash.end()] in around for slash in re.finditer("/", literal)):
        return True
    # What a wildcard stands for may hold slashes; without one the pattern must be the tree or lie above it.
    place = bisect_left(trees, literal)
    if found or (place < len(trees) and trees[place] == literal):
        return place < len(trees) and trees[place].startswith(literal)
    place = bisect_left(trees, f"{literal}/")
    return place < len(trees) and trees[place].startswith(f"{literal}/")
