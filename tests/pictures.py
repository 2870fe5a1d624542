"""The pictures of the manual, made anew by ``python -m tests.pictures``: the page in a browser, and terminals.

They show facts that never were, so that they change only when what is shown does.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.text import Text

from s3napback.commands import schedule
from s3napback.config.loading import load_configuration
from s3napback.listing.standing_text import table
from s3napback.page.facts import PageFacts
from tests.page.browser import browser
from tests.page.documents import page
from tests.page.samples import DAY, NOW, STYLE, TODAY, past, said, view

FOLDER = Path(__file__).parents[1] / "s3napback" / "manual" / "pictures"
MOST_BYTES = 150_000
"""Of all of them."""

_WIDTH, _HEIGHT, _SCALE = 1_000, 1_150, 0.8
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def facts() -> PageFacts:
    """Two hosts, of which one is late and one has lost a DIFF."""
    home = past("home", "Directory /home", count=44, gaps=[12, 13], broken=[5, 4, 3])
    late = past("MySQL/all", "MySQL all", "borea", count=30, gaps=range(2), size=640_000_000, group=1)
    overdue = said(late, last_good=TODAY - 2 * DAY, expected_by=NOW - DAY, critical_by=NOW + DAY)
    atlas = view("atlas", [(home, said(home, outcome="failed", error="tool"))])
    borea = view("borea", [(late, overdue)])
    both = replace(atlas, standings=[*borea.standings, *atlas.standings], pasts=[*borea.pasts, *atlas.pasts])
    return PageFacts(NOW, TODAY, [both], STYLE)


def terminal(command: str, lines: Sequence[str]) -> str:
    """A picture of a terminal that a command was typed in; its fonts are those of whoever looks."""
    width = max(map(len, (command, *lines))) + 3
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}\n", style="bold"))
    for line in lines:
        console.print(Text(line), style="red" if line.startswith("CRITICAL") else "")
    drawn = console.export_svg(title="", unique_id="terminal")
    return _FONT.sub("", drawn).replace("Fira Code", "DejaVu Sans Mono")


def of_status() -> str:
    """What ``status`` shows of the same facts."""
    found = [each for store in facts().stores for each in store.standings]
    return terminal("s3napback -c ./bucket.conf status", table(found, TODAY))


def of_schedule(folder: Path) -> str:
    """What ``schedule`` shows of a fortnight."""
    path = folder / "nightly.conf"
    path.write_text(
        f"Bucket file:///srv/vault\nEncryption Off\nDiffDir {folder}\n"
        "<Cycle four-weeks>\nDiffs 6\nFulls 4\nDirectory /etc\n</Cycle>\n"
    )
    lines: list[str] = []
    day = date(2026, 11, 26)
    schedule.show(load_configuration(path), day, day, 12, lambda *more: lines.extend(more), as_json=False)
    return terminal("s3napback -c nightly schedule --days 12", lines)


def of_page(folder: Path) -> bytes:
    """The page as a browser shows it."""
    path = folder / "page.html"
    path.write_text(page(facts()), encoding="utf-8")
    with browser() as window:
        window.size(_WIDTH, _HEIGHT)
        window.medium("light")
        window.open(path)
        return window.picture(_WIDTH, _HEIGHT, _SCALE)


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="s3napback-pictures-") as folder:
        (FOLDER / "status.svg").write_text(of_status(), encoding="utf-8")
        (FOLDER / "schedule.svg").write_text(of_schedule(Path(folder)), encoding="utf-8")
        (FOLDER / "report.png").write_bytes(of_page(Path(folder)))


if __name__ == "__main__":
    main()
