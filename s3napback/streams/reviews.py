"""What a process says beside its output, read along line by line."""

from __future__ import annotations

from typing import Protocol


def is_warning(line: str) -> bool:
    """Whether a line calls itself one."""
    return "warning:" in line.lower()


class Review(Protocol):
    """Reads all that one run of a process says, and knows whether its output is good although it says it failed."""

    def read(self, line: bytes) -> None:
        """Take in a line without its line break. One of more than 64 KiB has lost its end."""
        ...

    def excuses(self, status: int) -> bool:
        """Whether an exit status, neither 0 nor one of a warning, leaves the output good, by all that was said."""
        ...

    @property
    def complaint(self) -> str:
        """Why it does not, as far as the lines tell; may be empty."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What was wrong with an output that is good all the same, one line each."""
        ...

    @property
    def asides(self) -> list[str] | None:
        """What is to be said where the process has ended well; None is all that it calls a warning itself."""
        ...
