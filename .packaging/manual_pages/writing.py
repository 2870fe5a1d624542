"""From a checkout to a folder of man pages."""

from __future__ import annotations

import re
from pathlib import Path

from manual_pages.pages import PROGRAM, all_pages
from manual_pages.roff import written
from manual_pages.topics import read_topics
from s3napback import __version__

_VERSION = re.compile(r"^## (\d[\w.]*) \((\d{4}-\d\d-\d\d)\)$", re.MULTILINE)


def write_pages(checkout: Path, folder: Path) -> list[Path]:
    """Write every page below a folder.

    Returns:
        Their paths, as ``man1/s3napback.1``, relative to it.
    """
    day = day_of_the_version((checkout / ".github" / "CHANGELOG.md").read_text(encoding="utf-8"))
    made = []
    for page in all_pages(read_topics(checkout / PROGRAM / "manual")):
        path = folder / page.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(page, day, f"{PROGRAM} {__version__}"), encoding="utf-8")
        made.append(path.relative_to(folder))
    return made


def day_of_the_version(changes: str) -> str:
    """The date of this version, which its list of changes bears.

    Raises:
        ValueError: the newest version there is another one.
    """
    newest = _VERSION.search(changes)
    if newest is None or newest[1] != __version__:
        raise ValueError(f"the newest version in CHANGELOG.md is not {__version__}, as the package says")
    return newest[2]
