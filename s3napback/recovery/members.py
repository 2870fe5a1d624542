"""Which members of an archive reach tar: those of the source that was asked for, and of these what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
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


@dataclass(frozen=True)
class Gate:
    """What every archive of a directory passes before tar: members that do not belong to the source end it.

    Both ways through it are generators that return whether a member was passed on that gives power, be it there at the
    end or not.

    Attributes:
        top: the source's name in archives.
    """

    top: str

    def whole(self, blocks: Iterator[memoryview]) -> Generator[Block, None, bool]:
        """Pass an archive on as it is.

        Raises:
            Damaged: it is none of this source.
        """
        passage = _Passage(self.top)

        def look(member: Member) -> None:
            passage.refuse_foreign(member)
            passage.note(member)

        yield from passage.guarded(watched(blocks, look))
        return passage.gave_power

    def chosen(
        self, blocks: Iterator[memoryview], chooses: Callable[[Member], bool], *, with_entries: bool = True
    ) -> Generator[Block, None, bool]:
        """Pass those members on that ``chooses`` wants; it is asked once for each, in order.

        Args:
            with_entries: otherwise folders lose the record of what they held.

        Raises:
            Damaged: it is none of this source.
        """
        passage = _Passage(self.top)

        def lets_in(member: Member) -> bool:
            passage.refuse_foreign(member)
            is_wanted = chooses(member)
            if is_wanted:
                passage.note(member)
            return is_wanted

        headers = Member.whole_headers if with_entries else without_entries
        yield from passage.guarded(selected(blocks, lets_in, headers))
        return passage.gave_power


@dataclass
class _Passage:
    """The passage of one archive. Lives within the generator that passes it on.

    Attributes:
        gave_power: a member was passed on that gives power.
        is_empty: it has had no member yet.
    """

    top: str
    gave_power: bool = False
    is_empty: bool = True

    def guarded(self, blocks: Iterator[Block]) -> Iterator[Block]:
        try:
            yield from blocks
        except MalformedArchive as error:
            raise Damaged(str(error)) from error
        if self.is_empty:
            raise Damaged("it holds nothing at all")

    def note(self, member: Member) -> None:
        self.gave_power = self.gave_power or gives_power(member)

    def refuse_foreign(self, member: Member) -> None:
        self.is_empty = False
        for name in (member.name, member.link_target) if member.type == HARD_LINK else (member.name,):
            if not lies_in(name, self.top):
                raise Damaged(
                    f"it holds /{name}, which does not lie in /{self.top}: it is no archive of that directory"
                )
