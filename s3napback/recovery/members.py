"""Which members of an archive reach tar: those of the source that was asked for, and of these what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from s3napback.recovery.decoding import Damaged
from s3napback.streams.compression import Block
from s3napback.streams.tar_headers import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    HARD_LINK,
    REGULAR,
    MalformedArchive,
    Member,
    without_entries,
)
from s3napback.streams.tar_stream import selected, watched

_SET_ID = 0o6000
_CAPABILITY = b"security.capability"
_MOST_NOTED = 10_000


def lies_in(name: str, top: str) -> bool:
    """Whether a name is ``top`` or lies below it; everything lies in the root directory, which is empty."""
    return not top or name == top or name.startswith(f"{top}/")


@dataclass
class Powers:
    """What of the restored could give powers to whoever reaches it: programs of other owners' rights, and devices.

    Attributes:
        names: by name in archives what each is, as far as there is room.
    """

    names: dict[str, str] = field(default_factory=dict)

    def note(self, member: Member) -> None:
        """Look at a member that is extracted; a later one of the same name counts."""
        power = _power(member)
        if power and len(self.names) < _MOST_NOTED:
            self.names[member.name] = power
        elif self.names:
            self.names.pop(member.name, None)


def _power(member: Member) -> str:
    if member.type in (CHARACTER_DEVICE, BLOCK_DEVICE):
        return "device"
    if member.type != REGULAR:
        return ""
    if member.permissions & _SET_ID:
        return "setuid or setgid"
    return "capabilities" if member.has_attribute(_CAPABILITY) else ""


@dataclass(frozen=True)
class Gate:
    """What every archive of a directory passes before tar: members that do not belong to the source end it.

    Attributes:
        top: the source's name in archives.
        powers: takes what is remarkable.
    """

    top: str
    powers: Powers = field(default_factory=Powers)

    def whole(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass an archive on as it is.

        Raises:
            Damaged: it is none of this source.
        """
        return _as_damage(watched(blocks, self._look))

    def chosen(
        self, blocks: Iterator[memoryview], chooses: Callable[[Member], bool], *, with_entries: bool = True
    ) -> Iterator[Block]:
        """Pass those members on that ``chooses`` wants; it is asked once for each, in order.

        Args:
            with_entries: otherwise folders lose the record of what they held.

        Raises:
            Damaged: it is none of this source.
        """

        def judge(member: Member) -> bool:
            self._refuse_foreign(member)
            wanted = chooses(member)
            if wanted:
                self.powers.note(member)
            return wanted

        return _as_damage(selected(blocks, judge, Member.whole_headers if with_entries else without_entries))

    def _look(self, member: Member) -> None:
        self._refuse_foreign(member)
        self.powers.note(member)

    def _refuse_foreign(self, member: Member) -> None:
        for name in (member.name, member.link_target) if member.type == HARD_LINK else (member.name,):
            if not lies_in(name, self.top):
                raise Damaged(
                    f"it holds /{name}, which does not lie in /{self.top}: it is no archive of that directory"
                )


def _as_damage(blocks: Iterator[Block]) -> Iterator[Block]:
    try:
        yield from blocks
    except MalformedArchive as error:
        raise Damaged(str(error)) from error
