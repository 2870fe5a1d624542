"""Which archive a DIFF may build on, and every rule by which a DIFF becomes a FULL. Pure.

A chain is a FULL and the DIFFs after it, oldest first. A DIFF is made only where nothing speaks against it: a FULL too
many costs space, a DIFF too many costs the backup.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, day_date


@dataclass(frozen=True)
class Memory:
    """What a source needs to remember of an archive in order to build a DIFF on it.

    Attributes:
        snapshot: name of the file beside the state that holds GNU tar's snapshot; empty if there is none.
        snapshot_sha256: of that file, in hexadecimal.
        notes: what other kinds of source remember, such as a revision.
        index: name of the file beside it that tells what the archives hold; empty if there is none, as in chains that
            an earlier version began.
        index_sha256: of that file, in hexadecimal.
    """

    snapshot: str = ""
    snapshot_sha256: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    index: str = ""
    index_sha256: str = ""


@dataclass(frozen=True)
class Link:
    """One archive of a chain.

    Attributes:
        id: its identity in the store.
        key: where it lies.
        day: the day it counts for, as a day number.
        size: bytes in the store.
        memory: what a DIFF on it needs; None for archives too old to be built on.
    """

    id: str
    key: str
    slot: int
    type: ArchiveType
    day: int
    size: int = 0
    memory: Memory | None = None


Chain = tuple[Link, ...]


@dataclass(frozen=True)
class Decision:
    """Whether a FULL or a DIFF is made.

    Attributes:
        base: for a DIFF the chain it builds on, whose last link is its parent; empty for a FULL.
        reason: why a FULL is made in the place of a DIFF; empty if nothing was changed.
    """

    type: ArchiveType
    base: Chain = ()
    reason: str = ""


@dataclass(frozen=True)
class History:
    """What is remembered of a source, as far as it matters to the next archive.

    Attributes:
        chain: to the newest archive.
        schedule: the schedule's description when the chain was made.
        content: what shaped the chain's content then: settings by name.
    """

    chain: Chain = ()
    schedule: str = ""
    content: Mapping[str, object] = field(default_factory=dict)


def base_for_slot(chain: Chain, slot: int, period_is_newest: bool) -> Chain:
    """The part of the chain that stays when ``slot`` is filled.

    Filling the newest archive's own slot once more replaces that archive, so the new one builds on its parent and
    nothing that changed in between is lost.
    """
    if chain and chain[-1].slot == slot and period_is_newest:
        return chain[:-1]
    return chain


def decide(
    schedule: Schedule,
    day: int,
    history: History,
    *,
    content: Mapping[str, object],
    keys: Collection[str],
    full_wanted: bool = False,
) -> Decision:
    """Decide by everything that is known without looking at the store or the snapshot.

    Args:
        schedule: the cycle as configured now.
        day: today, as a day number.
        history: what state remembers.
        content: what shapes the content now.
        keys: both keys of the slot to be filled.
        full_wanted: ``--full`` was given.
    """
    if schedule.type(day) is ArchiveType.FULL or isinstance(schedule, HanoiCycle):
        return Decision(ArchiveType.FULL)
    chain = history.chain
    newest_is_now = bool(chain) and schedule.period(chain[-1].day) == schedule.period(day)
    base = base_for_slot(chain, schedule.slot(day), newest_is_now)
    reason = ""
    if full_wanted:
        reason = "--full was given"
    elif not base:
        reason = "there is no earlier backup to build on"
    elif history.schedule != schedule.describe():
        reason = f"the cycle changed (it was {history.schedule})"
    elif changed := changed_settings(history.content, content):
        reason = f"{' and '.join(changed)} changed"
    elif schedule.group(base[0].day) != schedule.group(day):
        reason = f"the last FULL is of {day_date(base[0].day)}, in another group of the rotation"
    elif any(link.key in keys for link in base):
        reason = f"slot {schedule.slot(day)} holds an archive that the DIFF would build on"
    return Decision(ArchiveType.FULL, (), reason) if reason else Decision(ArchiveType.DIFF, base)


FILES_SETTING = "a file that TarOptions name"
"""The part of ``History.content`` that holds the digests of files. Chains of earlier versions lack it."""


def changed_settings(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Names of the settings that differ, in order.

    What the chain does not remember because it was made by a version that did not ask, is not held against it: a new
    version must not make FULLs of everything.
    """
    known_now = {name for name in now if name in before or name != FILES_SETTING}
    return sorted(name for name in {*before, *known_now} if before.get(name) != now.get(name))
