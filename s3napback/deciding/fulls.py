"""Every reason for which a FULL is made in the place of a DIFF: the rules, their order, and their words.

A DIFF is made only where nothing speaks against it: a FULL too many costs space, a DIFF too many costs the backup.
State that was lost, or that makes no sense, has no reason of its own: nothing is remembered then, so that there is
nothing to build on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from s3napback.chains import Link, Links, Memory, abbreviated
from s3napback.deciding.facts import Footing, Revisions, Snapshot, SourceFacts
from s3napback.kinds import kind_of
from s3napback.records import dataclass
from s3napback.rotation import day_date


class Reason(Enum):
    """Why a FULL is made in the place of a DIFF, in people's words.

    Of several that hold the first one is told: what costs nothing to find out comes before what has to be looked at.
    """

    FULL_WANTED = "--full was given"
    NEVER_A_DIFF = "{kind} is always dumped whole"
    NOTHING_TO_BUILD_ON = "there is no earlier backup to build on"
    CYCLE_CHANGED = "the cycle changed (it was {before})"
    SETTINGS_CHANGED = "{settings} changed"
    OTHER_GROUP = "the last FULL is of {date}, in another group of the rotation"
    ANCESTOR_IN_SLOT = "slot {slot} holds an archive that the DIFF would build on"
    NOT_KEPT = "what a DIFF on the last archive needs was not kept"
    SNAPSHOT_MISSING = "the snapshot of the last backup is missing"
    SNAPSHOT_UNREADABLE = "the snapshot of the last backup cannot be read: {why}"
    SNAPSHOT_DAMAGED = "the snapshot of the last backup is damaged: {why}"
    SNAPSHOT_ALTERED = "the snapshot of the last backup is damaged: its checksum differs"
    SNAPSHOT_OF_THE_FUTURE = "the snapshot of the last backup bears a time in the future"
    INDEX_MISSING = "the index of the last backup is missing, or cannot be read"
    INDEX_ALTERED = "the index of the last backup is damaged: its checksum differs"
    REVISION_UNKNOWN = "state does not tell which revision was archived last"
    OTHER_REPOSITORY = "the repository's UUID is {uuid}, and was {before}: it is another repository"
    REVISIONS_GONE = "its youngest revision is {youngest}, and {archived} was archived: an older copy was put back"
    REVISION_ALTERED = "its revision {archived} is not the one that was archived: an older copy was put back"
    HISTORY_ALTERED = "it was made anew under its old UUID, and its revisions up to {archived} are others than before"
    LINK_GONE = "{key} of {date}, on which the DIFF would build, is no longer in the store"
    LINK_REPLACED = "{key} of {date}, on which the DIFF would build, was replaced by another archive"
    LINK_CUT = "{key} of {date}, on which the DIFF would build, is damaged: it has {size} bytes in place of {before}"


@dataclass(frozen=True)
class Why:
    """A reason, and what its words speak of."""

    reason: Reason
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.reason.value.format(**self.values)


def why_full(facts: SourceFacts) -> Why | None:
    """Why the archive of a DIFF's slot becomes a FULL; None if nothing speaks against a DIFF.

    Raises:
        NotLookedAt: it depends on what is not known yet.
    """
    base = facts.base
    if facts.run.options.full:
        return Why(Reason.FULL_WANTED)
    if not kind_of(facts.job.kind).has_diffs:
        return Why(Reason.NEVER_A_DIFF, {"kind": facts.job.kind})
    if not base:
        return Why(Reason.NOTHING_TO_BUILD_ON)
    return _why_not_in_slot(facts, base) or _why_not_on(facts, base[-1]) or _why_not_whole(facts, base)


def _why_not_in_slot(facts: SourceFacts, base: Links) -> Why | None:
    history, schedule = facts.state.history, facts.schedule
    if history.schedule != schedule.describe():
        return Why(Reason.CYCLE_CHANGED, {"before": history.schedule})
    if changed := changed_settings(history.content, facts.content):
        return Why(Reason.SETTINGS_CHANGED, {"settings": " and ".join(changed)})
    if schedule.group(base[0].day) != schedule.group(facts.run.day):
        return Why(Reason.OTHER_GROUP, {"date": day_date(base[0].day)})
    if any(link.key in facts.keys for link in base):
        return Why(Reason.ANCESTOR_IN_SLOT, {"slot": facts.slot})
    return None


def _why_not_on(facts: SourceFacts, parent: Link) -> Why | None:
    if parent.memory is None:
        return Why(Reason.NOT_KEPT)
    return why_not_from(facts.footed(), parent.memory, facts.now)


def why_not_from(footing: Footing, memory: Memory, now: float) -> Why | None:
    """Why no DIFF can be built on what the source has of its parent; None if nothing speaks against it.

    Args:
        footing: what was found.
        memory: what is remembered of the parent.
        now: seconds since 1970.
    """
    match footing:
        case Snapshot():
            return _why_not_from_snapshot(footing, memory, now)
        case Revisions():
            return _why_not_from_revisions(footing, memory.notes)
        case _:
            return None


def _why_not_from_snapshot(found: Snapshot, memory: Memory, now: float) -> Why | None:
    if not found.is_there:
        return Why(Reason.SNAPSHOT_MISSING)
    if found.unreadable:
        return Why(Reason.SNAPSHOT_UNREADABLE, {"why": found.unreadable})
    if found.damage:
        return Why(Reason.SNAPSHOT_DAMAGED, {"why": found.damage})
    if found.sha256 != memory.snapshot_sha256:
        return Why(Reason.SNAPSHOT_ALTERED)
    # tar would leave out all that changed until then.
    return Why(Reason.SNAPSHOT_OF_THE_FUTURE) if found.time > now else _why_not_from_index(found, memory)


def _why_not_from_index(found: Snapshot, memory: Memory) -> Why | None:
    # A chain that an earlier version began has none, and goes on without.
    if not memory.index or found.index_sha256 == memory.index_sha256:
        return None
    return Why(Reason.INDEX_ALTERED if found.index_sha256 else Reason.INDEX_MISSING)


REVISION_NOTES = frozenset({"uuid", "revision", "mark"})
"""What must be remembered of the last revision that was archived."""


def _why_not_from_revisions(found: Revisions, notes: Mapping[str, str]) -> Why | None:
    if not notes.keys() >= REVISION_NOTES or not notes["revision"].isdecimal():
        return Why(Reason.REVISION_UNKNOWN)
    archived = int(notes["revision"])
    if found.uuid != notes["uuid"]:
        return Why(Reason.OTHER_REPOSITORY, {"uuid": found.uuid, "before": notes["uuid"]})
    if found.youngest < archived:
        return Why(Reason.REVISIONS_GONE, {"youngest": found.youngest, "archived": archived})
    if found.mark != notes["mark"]:
        return Why(Reason.REVISION_ALTERED, {"archived": archived})
    return Why(Reason.HISTORY_ALTERED, {"archived": archived}) if found.is_other else None


def _why_not_whole(facts: SourceFacts, base: Links) -> Why | None:
    for link in base:
        held = facts.held(link.key)
        if held is None or held.id != link.id:
            reason = Reason.LINK_GONE if held is None else Reason.LINK_REPLACED
            return Why(reason, {"key": link.key, "date": day_date(link.day)})
        if not held.has_size_of(link):
            values = {"key": link.key, "date": day_date(link.day), "size": held.size, "before": link.size}
            return Why(Reason.LINK_CUT, values)
    return None


FILES_SETTING = "a file that TarOptions name"
"""The part of ``History.content`` that holds the digests of files. Chains of earlier versions lack it."""


def changed_settings(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Names of the settings that differ, in order.

    What the chain does not remember because it was made by a version that did not ask, is not held against it: a new
    version must not make FULLs of everything.
    """
    then, now = abbreviated(before), abbreviated(now)
    known_now = {name for name in now if name in then or name != FILES_SETTING}
    return sorted(name for name in {*then, *known_now} if then.get(name) != now.get(name))
