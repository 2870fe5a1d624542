"""A page of the report as a whole."""

from __future__ import annotations

from s3napback.page.document import pieces
from s3napback.page.facts import PageFacts


def page(facts: PageFacts) -> str:
    return "".join(pieces(facts))
