"""When memory is searched for garbage that refers to itself: not while something is loaded that stays.

What modules and descriptions of services consist of would be looked through again and again as it grows, which takes a
tenth of what a small command takes. None of it is garbage before the process ends.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def collect_from_now_on() -> None:
    """Begin to search, but never what there is already; ``start.py`` has put it off."""
    gc.freeze()
    gc.enable()


@contextmanager
def loading() -> Iterator[None]:
    """Do not search meanwhile, nor what was loaded later on. May be used by several threads."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
