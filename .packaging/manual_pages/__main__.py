"""Writes the man pages below a folder: ``python .packaging/manual_pages FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGING = Path(__file__).resolve().parent.parent


def main(folder: Path) -> None:
    """Write every page below a folder, as ``man1/s3napback.1``."""
    sys.path[:1] = [str(PACKAGING), str(PACKAGING.parent)]
    from manual_pages.writing import write_pages  # noqa: PLC0415 - found there, and nowhere before

    write_pages(PACKAGING.parent, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
