"""What has to be known of a source before it is decided what its backup of today is. Values only.

What costs something to find out is looked at only where the decision depends on it. So facts may be incomplete: who
asks for one that is not there gets ``NotLookedAt``, which says what is to be looked at. The facts of a day to come are
imagined, and complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum
from functools import cached_property

from s3napback.archives import UNKNOWN_OWNER, ArchiveRecord, Owner, slot_keys
from s3napback.chains import Link, Links, SourceState, Stored, base_for_slot
from s3napback.config.settings import Job
from s3napback.errors import SourceError
from s3napback.kinds import SourceName
from s3napback.records import dataclass
from s3napback.rotation import Schedule


class Alarm(str):
    """A line that deserves a look: it counts as a warning."""

    __slots__ = ()


@dataclass(frozen=True)
class BackupOptions:
    """What the command line asks for beyond the schedule.

    Attributes:
        force: ``-f``: also what is not due, done already, or suspicious.
        full: ``--full``: FULLs in the place of DIFFs.
        take_over: ``--take-over``: replace slots that belong to another owner.
        strict: ``--strict``: what was done with warnings is no success.
    """

    force: bool = False
    full: bool = False
    take_over: bool = False
    strict: bool = False


@dataclass(frozen=True)
class RunFacts:
    """What is the same for every source of one run.

    Attributes:
        host: HostName.
        day: the calendar day, as a day number.
        location: how the store is shown to people.
        prefix: of all keys; may be empty.
        recipients: fingerprints of the keys that archives are encrypted to.
        signer: fingerprint of the key that signs them; empty if none does.
        is_plain_on_purpose: it was said that archives are not to be encrypted.
        options: those of the command line.
    """

    host: str
    day: int
    location: str = ""
    prefix: str = ""
    recipients: tuple[str, ...] = ()
    signer: str = ""
    is_plain_on_purpose: bool = False
    options: BackupOptions = BackupOptions()


@dataclass(frozen=True)
class Held:
    """What an object under an archive's key says of itself.

    Attributes:
        owner: ``UNKNOWN_OWNER`` if it does not say; it has no more to say then.
        id: the archive's.
        parent: id of the archive that it builds on; empty for a FULL.
        day: that it counts for, as a day number.
        is_encrypted: it is.
        size: bytes in the store; None where nobody has looked because it is as it was.
    """

    owner: Owner = UNKNOWN_OWNER
    id: str = ""
    parent: str = ""
    day: int = 0
    is_encrypted: bool = False
    size: int | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, str], size: int | None = None) -> Held:
        """Read an object's metadata."""
        record = ArchiveRecord.from_metadata(metadata)
        if record is None:
            return cls()
        return cls(record.owner, record.id, record.parent, record.day, bool(record.recipients), size)

    def has_size_of(self, link: Link) -> bool:
        """Whether it has as many bytes as when it had arrived, as far as either is known."""
        return self.size is None or not link.size or self.size == link.size

    @classmethod
    def remembered(cls, stored: Stored) -> Held:
        """What is known of an archive that state remembers."""
        owner = Owner(stored.host, SourceName.parse(stored.source))
        return cls(owner, stored.id, stored.parent, stored.day, stored.is_encrypted)


@dataclass(frozen=True)
class Inspection:
    """What was found where the source is.

    Attributes:
        content: the settings that shape what an archive of it holds, by name, as JSON can keep them.
        notes: what should be said, one line each; an ``Alarm`` of the source's is a warning.
        problem: why it cannot be backed up, if it cannot.
    """

    content: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: SourceError | None = None


@dataclass(frozen=True)
class Snapshot:
    """tar's snapshot of the parent, as it was found.

    Attributes:
        is_there: there is a file of its name.
        unreadable: the system's words where it could not be read.
        damage: why it is no whole snapshot, as a clause.
        sha256: of all of it, in hexadecimal.
        time: when the backup that left it began, in seconds since 1970.
        index_sha256: of the index beside it; empty if there is none that can be read.
    """

    is_there: bool = True
    unreadable: str = ""
    damage: str = ""
    sha256: str = ""
    time: int = 0
    index_sha256: str = ""


@dataclass(frozen=True)
class Revisions:
    """A repository, as it was found.

    Attributes:
        youngest: its youngest revision.
        uuid: its UUID; empty where state does not tell enough to compare it with.
        mark: what tells the parent's last revision from others of that number; empty if it is not there.
        is_other: it was made anew, and holds something else in the revisions that were archived.
    """

    youngest: int
    uuid: str = ""
    mark: str = ""
    is_other: bool = False


@dataclass(frozen=True)
class Untold:
    """Nothing that could speak against a DIFF: there is nothing to look at, or it is reported elsewhere."""


Footing = Snapshot | Revisions | Untold
"""What is there, beside the source, of that on which a DIFF would build."""


class Look(Enum):
    """What can be looked at, in the order in which a decision asks for it."""

    MARK = "the mark of earlier backups in the store"
    KEY = "the object under"
    SUM = "the checksum beside"
    SOURCE = "the source itself"
    FOOTING = "what a DIFF would build on"
    LAST = "whether there still is"


class Whereabouts(Enum):
    """What has become of the archive that was made last: it may be there, or not, or another one is, of others."""

    THERE = "there"
    GONE = "gone"
    REPLACED = "replaced"


class NotLookedAt(Exception):
    """A decision depends on a fact that is not there yet.

    Attributes:
        look: what is to be looked at.
        key: under or beside which.
    """

    def __init__(self, look: Look, key: str = "") -> None:
        super().__init__(f"{look.value} {key}".rstrip())
        self.look = look
        self.key = key


@dataclass(frozen=True)
class SourceFacts:
    """All that is known of one source. What was not looked at yet is None, or not among the keys.

    Attributes:
        state: what is remembered of it; a fresh one if nothing is.
        now: seconds since 1970.
        notes: what should be said of the state, one line each.
        cut_off: ids of the archives that runs were at when they were killed, so that they are not in the state.
        has_lost_mark: the store does not bear the mark that earlier backups left there.
        objects: what lies under keys; None where nothing does.
        noted_ids: beside keys the id of the archive that the checksum speaks of; None where there is none to be read.
        inspection: what was found where the source is.
        footing: what is there of that on which a DIFF would build, besides the archives.
        last_is: what has become of the archive made last.
    """

    run: RunFacts
    job: Job
    state: SourceState
    now: float
    notes: tuple[str, ...] = ()
    cut_off: frozenset[str] = frozenset()
    has_lost_mark: bool | None = None
    objects: Mapping[str, Held | None] = field(default_factory=dict)
    noted_ids: Mapping[str, str | None] = field(default_factory=dict)
    inspection: Inspection | None = None
    footing: Footing | None = None
    last_is: Whereabouts | None = None

    @property
    def schedule(self) -> Schedule:
        """The cycle as it is configured now."""
        return self.job.schedule

    @property
    def own(self) -> Owner:
        """Whose the archives of this source are."""
        return Owner(self.run.host, self.job.source)

    @cached_property
    def slot(self) -> int:
        """The slot to be filled."""
        return self.schedule.slot(self.run.day)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every key that an archive in that slot can have."""
        return slot_keys(self.run.prefix, self.job.kind, self.job.name, self.slot)

    @property
    def base(self) -> Links:
        """What a DIFF in that slot would build on; empty if there is nothing."""
        chain = self.state.history.chain
        newest_is_now = bool(chain) and self.schedule.period(chain[-1].day) == self.schedule.period(self.run.day)
        return base_for_slot(chain, self.slot, newest_is_now)

    @property
    def content(self) -> dict[str, object]:
        """What shapes the archive's content: the source's own settings, and for whom it is encrypted.

        Every archive of a chain is signed by the same key, or none is, so that the chain can be trusted as a whole.
        """
        signer = {"GpgSignKey": self.run.signer} if self.run.signer else {}
        return {**self.inspected().content, "GpgRecipient": list(self.run.recipients), **signer}

    def mark_is_lost(self) -> bool:
        """Whether the store does not bear the mark that earlier backups left there. This and what follows may raise.

        Raises:
            NotLookedAt: nobody knows yet.
        """
        if self.has_lost_mark is None:
            raise NotLookedAt(Look.MARK)
        return self.has_lost_mark

    def held(self, key: str) -> Held | None:
        """What lies under a key; None if nothing does."""
        if key not in self.objects:
            raise NotLookedAt(Look.KEY, key)
        return self.objects[key]

    def noted_id(self, key: str) -> str | None:
        """Id of the archive that the checksum beside a key speaks of; None if there is none to be read."""
        if key not in self.noted_ids:
            raise NotLookedAt(Look.SUM, key)
        return self.noted_ids[key]

    def inspected(self) -> Inspection:
        """What was found where the source is."""
        if self.inspection is None:
            raise NotLookedAt(Look.SOURCE)
        return self.inspection

    def footed(self) -> Footing:
        """What is there of that on which a DIFF would build, besides the archives."""
        if self.footing is None:
            raise NotLookedAt(Look.FOOTING)
        return self.footing

    def whereabouts(self, last: Link) -> Whereabouts:
        """What has become of the archive made last."""
        if last.key in self.keys:  # as always in a cycle of a single slot
            return Whereabouts.GONE if self.held(last.key) is None else Whereabouts.THERE
        if self.last_is is None:
            raise NotLookedAt(Look.LAST, last.key)
        return self.last_is

    def with_imagined_store(self) -> SourceFacts:
        """The same, where the store holds the chain as it is remembered, and nothing else in the slot."""
        chain = {link.key: Held(self.own, link.id, day=link.day) for link in self.state.history.chain}
        return replace(
            self, has_lost_mark=False, last_is=Whereabouts.THERE, objects={**dict.fromkeys(self.keys), **chain}
        )
