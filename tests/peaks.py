"""How much memory something takes at most while it is done, as Python counts it: the same on every machine."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable


def peak_of(action: Callable[[], object]) -> int:
    """Bytes that an action has allocated at once at most, its result included."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
