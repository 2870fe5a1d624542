"""Writing names into configurations."""

from __future__ import annotations

import re


def word(name: str) -> str:
    """A name as the configuration takes it."""
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
