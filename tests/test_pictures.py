"""The manual's pictures are small, are shown, need nothing from elsewhere, and show what the commands show."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from tests.manual import TOPICS
from tests.pictures import FOLDER, MOST_BYTES, of_schedule, of_status


def shown(picture: str) -> str:
    """What stands in a picture of a terminal."""
    return unescape("".join(re.findall(r"<text[^>]*>(.*?)</text>", picture, re.DOTALL))).replace("\xa0", " ")


def test_all_pictures_together_are_small_and_each_is_shown() -> None:
    found = sorted(FOLDER.iterdir())
    assert sum(path.stat().st_size for path in found) < MOST_BYTES
    told = "".join(path.read_text(encoding="utf-8") for path in TOPICS.glob("*.md"))
    assert [path.name for path in found if not re.search(rf"!\[[^\]]+\]\(pictures/{path.name}\)", told)] == []


def test_terminals_are_as_they_were_drawn(tmp_path: Path) -> None:
    for name, drawn in (("status", of_status()), ("schedule", of_schedule(tmp_path))):
        picture = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
        assert shown(picture) == shown(drawn), "draw it anew: python -m tests.pictures"
        assert "$ s3napback" in shown(picture)
        assert "url(http" not in picture
