"""Who is to blame for a pipeline's failure: told as data, so that a message can say at what it failed."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from s3napback.errors import PipelineError
from s3napback.records import dataclass

_UNLOADED = 126
_CRASHES = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})


@dataclass(frozen=True)
class Culprit:
    """A part of a pipeline that failed.

    Attributes:
        element: the ``Stage``, ``Feed`` or ``Transformation`` that the pipeline was made with; compare by identity.
        lines: what there is to say of it.
        error: what a feed or a transformation raised.
        is_judged: a process that did its work well, and was found wrong by what it said (``Stage.judge``, ``excuse``).
        status: exit status of a process that ended; of one that was killed, minus the number of the signal.
    """

    element: object
    lines: Sequence[str]
    error: BaseException | None = None
    is_judged: bool = False
    status: int | None = None

    @property
    def has_worked(self) -> bool:
        """It is not known as a process that was killed, or could not even be loaded (126 and 127, as of a shell)."""
        return self.status is None or 0 <= self.status < _UNLOADED

    @property
    def has_crashed(self) -> bool:
        """A process that was ended by a fault of its own, and not by somebody."""
        return self.status is not None and -self.status in _CRASHES


class ElementsFailed(PipelineError):
    """Parts of a pipeline failed.

    Attributes:
        culprits: at least one, the most causal first.
    """

    def __init__(self, *culprits: Culprit) -> None:
        super().__init__(*(line for culprit in culprits for line in culprit.lines))
        self.culprits = culprits
