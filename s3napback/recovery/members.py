"""Which members of an archive reach tar: those of the source that was asked for, and of these what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from s3napback.recovery.opening.failures import Damaged
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
from s3napback.streams.transformations import Block

SET_ID = 0o6000
"""Permissions by which a program has its owner's rights, or its group's (``chmod(2)``)."""

CAPABILITY = b"security.capability"
"""The attribute by which a program has capabilities of its own (``capabilities(7)``)."""


def lies_in(name: str, top: str) -> bool:
    """Whether a name is ``top`` or lies below it; everything lies in the root directory, which is empty."""
    return not top or name == top or name.startswith(f"{top}/")


def gives_power(member: Member) -> bool:
    """Whether a member is a device, or a program that runs with other rights than those of whoever starts it."""
    if member.type in (CHARACTER_DEVICE, BLOCK_DEVICE):
        return True
    return member.type == REGULAR and (bool(member.permissions & SET_ID) or member.has_attribute(CAPABILITY))


@dataclass
class Gate:
    """What every archive of a directory passes before tar: members that do not belong to the source end it.

    Attributes:
        top: the source's name in archives.
        gave_power: a member was passed on that gives power, be it there at the end or not.
        is_empty: the archive that passes has had no member yet.
    """

    top: str
    gave_power: bool = False
    is_empty: bool = True

    def whole(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass an archive on as it is.

        Raises:
            Damaged: it is none of this source.
        """
        return self._as_damage(watched(blocks, self._look))

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
                self._note(member)
            return wanted

        return self._as_damage(selected(blocks, judge, Member.whole_headers if with_entries else without_entries))

    def _look(self, member: Member) -> None:
        self._refuse_foreign(member)
        self._note(member)

    def _note(self, member: Member) -> None:
        self.gave_power = self.gave_power or gives_power(member)

    def _as_damage(self, blocks: Iterator[Block]) -> Iterator[Block]:
        self.is_empty = True
        try:
            yield from blocks
        except MalformedArchive as error:
            raise Damaged(str(error)) from error
        if self.is_empty:
            raise Damaged("it holds nothing at all")

    def _refuse_foreign(self, member: Member) -> None:
        self.is_empty = False
        for name in (member.name, member.link_target) if member.type == HARD_LINK else (member.name,):
            if not lies_in(name, self.top):
                raise Damaged(
                    f"it holds /{name}, which does not lie in /{self.top}: it is no archive of that directory"
                )
