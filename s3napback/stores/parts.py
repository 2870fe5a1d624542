"""How an upload is cut into parts: sizes and limits, in bytes. Pure.

The numbers are those of "Amazon S3 multipart upload limits" in Amazon's manual, which other stores share.
"""

from __future__ import annotations

from s3napback.records import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class PartLimits:
    """What a store allows, and from which part on parts grow.

    Attributes:
        smallest: bytes in a part that is not the last.
        largest: bytes in any part.
        most: parts in one upload.
        comfortable: parts of one size before they begin to grow; the size of an upload is chosen to stay within them.
        step: parts between one doubling and the next.
        rounding: sizes chosen here are multiples of this.
    """

    smallest: int = 5 * MEBIBYTE
    largest: int = 5 * 1024 * MEBIBYTE
    most: int = 10_000
    comfortable: int = 5_000
    step: int = 1_000
    rounding: int = MEBIBYTE


@dataclass(frozen=True)
class PartPlan:
    """The size of every part of one upload.

    Attributes:
        first_size: bytes in each of the first parts.
        limits: of the store.
    """

    first_size: int
    limits: PartLimits = PartLimits()

    def size(self, number: int) -> int:
        """Bytes that part ``number`` (from 1) holds, unless the data ends in it."""
        beyond = number - self.limits.comfortable
        doublings = -(-beyond // self.limits.step) if beyond > 0 else 0
        return min(self.first_size << doublings, self.limits.largest)

    def grows_at(self, number: int) -> bool:
        """Whether part ``number`` is larger than the one before it."""
        return number > 1 and self.size(number) > self.size(number - 1)


def plan_parts(chunk_size: int, expected_size: int | None, limits: PartLimits) -> PartPlan:
    """Choose one part size: ``chunk_size``, or larger where ``expected_size`` would need uncomfortably many parts."""
    needed = -(-(expected_size or 0) // limits.comfortable)
    if needed > chunk_size:
        chunk_size = -(-needed // limits.rounding) * limits.rounding
    return PartPlan(min(max(chunk_size, limits.smallest), limits.largest), limits)


def buffer_budget(chunk_size: int, threads: int, part_size: int) -> int:
    """Bytes of parts that may be in memory at once: one part a thread and one being filled, or two grown ones."""
    return max((threads + 1) * chunk_size, 2 * part_size)
