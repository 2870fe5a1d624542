"""What people write after Exclude, and what of it cannot mean what it seems to: other programs have other patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from s3napback.config.problems import Problems
from s3napback.config.settings import Job, Position
from s3napback.formatting import shown
from s3napback.kinds import kind_of

_SLASHES = re.compile(r"//+")
_WILDCARD = re.compile(r"[*?\[\\]")
_ELSEWHERE: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"~"), "~ is not expanded; write the path in full"),
    (re.compile(r"(?:.*/)?\$(?:\w+|\{\w+\})(?:/|$)"), "variables are not expanded; write the path in full"),
    (re.compile(r"\.\.?/"), "names have no such beginning; write the whole path from the slash on, or leave it out"),
    (re.compile(r".*\{[^{}]*,[^{}]*\}"), "braces are not expanded; write each pattern by itself"),
    (re.compile(r"!"), "there are no exceptions from what is left out"),
    (re.compile(r"[+-]$"), "signs have no meaning; write the patterns alone"),
    (re.compile(r"(?:re|rx|sh|fm|pp|pf|glob|regex|regexp|path):"), "patterns have no such beginning"),
    (re.compile(r"\^|.*[^\\]\$$"), "this is no regular expression: * is any text, ? any character"),
    (
        re.compile(r"""(?P<quote>["']).*(?P=quote)$""", re.DOTALL),
        "the inner quotes are part of the pattern, since no shell takes them away; leave them out",
    ),
    (re.compile(r".+[,;]$"), "patterns are separated by blanks alone"),
)


def plain_pattern(pattern: str) -> str:
    """A pattern without doubled slashes and without one at its end, with which tar would find nothing."""
    return _SLASHES.sub("/", pattern).rstrip("/")


def check_pattern(pattern: str, position: Position, problems: Problems) -> bool:
    """Whether a pattern is one; one that leaves out everything, or looks like another program's, is reported."""
    if not plain_pattern(pattern):
        problems.error(position, f"Exclude {shown(pattern)} would leave out everything")
        return False
    for looks, advice in _ELSEWHERE:
        if looks.match(pattern):
            problems.warning(position, f"Exclude {shown(pattern)}: {advice}")
            return False
    return True


def check_reach(patterns: Iterable[tuple[str, Position]], jobs: Sequence[Job], problems: Problems) -> None:
    """Warn of patterns with a leading slash that can match nothing in any source."""
    trees = [job.target.rstrip("/") for job in jobs if kind_of(job.kind).holds_tree]
    if not trees:
        return
    for pattern, position in patterns:
        if pattern.startswith("/") and not any(_reaches(plain_pattern(pattern), tree) for tree in trees):
            problems.warning(
                position,
                f"Exclude {shown(pattern)} lies in no Directory of this configuration: a leading slash is the root "
                "directory; without it a pattern matches at any depth",
            )


def _reaches(pattern: str, tree: str) -> bool:
    found = _WILDCARD.search(pattern)
    literal = pattern[: found.start()] if found else pattern
    if literal.startswith(f"{tree}/") or literal == tree:
        return True
    # What a wildcard stands for may hold slashes; without one the pattern must be the tree or lie above it.
    return tree.startswith(literal) if found else f"{tree}/".startswith(f"{literal}/")
