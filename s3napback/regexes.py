"""Regular expressions that are compiled when they are first asked.

A command begins with more than a hundred of them, each of which takes a tenth of a millisecond and more to compile, and
asks a fifth.
"""

from __future__ import annotations

import re
from typing import AnyStr, cast


class _Regex:
    """Is not compiled yet; what it has been asked for once stands in it like anything else."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> object:
        found: object = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, found)
        return found


def regex(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What ``re.compile`` makes of it, later. What is wrong with the text is raised by the first use.

    The functions of ``re`` do not take it: its methods are to be called.
    """
    return cast("re.Pattern[AnyStr]", _Regex(text, flags))
