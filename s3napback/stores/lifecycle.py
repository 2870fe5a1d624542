"""What lifecycle rules of a bucket do with the objects below a prefix. Pure.

Rules are dictionaries as botocore gives them. One for objects with a tag concerns none of ours, which have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from s3napback.records import dataclass
from s3napback.stores import COLD_CLASSES


@dataclass(frozen=True)
class Fate:
    """What a rule does to an object.

    Attributes:
        days: after which, counted from the day on which it was stored; 0 where the rule names a date.
        rule: its name.
        storage_class: into which the object is moved; empty where it is deleted.
    """

    days: int
    rule: str
    storage_class: str = ""


def named(rule: str) -> str:
    """How messages name a rule, whose name may be empty."""
    return rule or "without a name"


def deletion(rules: Sequence[Any], prefix: str) -> Fate | None:
    """The earliest deletion of what is stored, and not of what was replaced; None if there is none."""
    return _earliest(rules, prefix, _deletions)


def freezing(rules: Sequence[Any], prefix: str) -> Fate | None:
    """The earliest move of what is stored into a class that cannot be read at once; None if there is none."""
    return _earliest(rules, prefix, _freezings)


def least_noncurrent_days(rules: Sequence[Any], prefix: str) -> tuple[int | None, str]:
    """The least days of a rule for older versions that may concern keys below a prefix, and its name."""
    found = [
        (int(rule["NoncurrentVersionExpiration"].get("NoncurrentDays", 0)), str(rule.get("ID", "")))
        for rule in rules
        if rule.get("NoncurrentVersionExpiration") and _concerns(rule, prefix)
    ]
    return min(found, default=(None, ""))


def _earliest(rules: Sequence[Any], prefix: str, fates: Callable[[Any], Iterator[Fate]]) -> Fate | None:
    found = [fate for rule in rules if _concerns(rule, prefix) and not _has_tags(rule) for fate in fates(rule)]
    return min(found, key=lambda fate: fate.days, default=None)


def _deletions(rule: Any) -> Iterator[Fate]:
    end = rule.get("Expiration") or {}
    if "Days" in end or "Date" in end:
        yield Fate(int(end.get("Days", 0)), str(rule.get("ID", "")))


def _freezings(rule: Any) -> Iterator[Fate]:
    for move in rule.get("Transitions") or ():
        if move.get("StorageClass") in COLD_CLASSES:
            yield Fate(int(move.get("Days", 0)), str(rule.get("ID", "")), move["StorageClass"])


def _concerns(rule: Any, prefix: str) -> bool:
    chosen = rule.get("Filter") or {}
    own = rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or ""
    return rule.get("Status") == "Enabled" and bool(own.startswith(prefix) or prefix.startswith(own))


def _has_tags(rule: Any) -> bool:
    chosen = rule.get("Filter") or {}
    return bool(chosen.get("Tag") or chosen.get("And", {}).get("Tags"))
