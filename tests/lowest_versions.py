"""The lowest versions that a wheel says it works with, as constraints for pip: ``lowest_versions.py WHEEL``."""

from __future__ import annotations

import email
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

_LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?\s*>=\s*(?P<version>[\w.]+)\s*(?:;\s*(?P<marker>.+))?")
_EXTRA = re.compile(r"""(?:\s*and\s*)?\(?extra\s*==\s*(['"])[^'"]*\1\)?""")


def lowest_versions(wheel: Path) -> Iterator[str]:
    """One line for each requirement; those on other versions of Python keep their marker.

    Raises:
        ValueError: a requirement has no lower bound, or more than that.
    """
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    for requirement in metadata.get_all("Requires-Dist", []):
        match = _LOWER_BOUND.fullmatch(requirement)
        if match is None:
            raise ValueError(f"this requirement is not of the form NAME>=VERSION: {requirement}")
        marker = _EXTRA.sub("", match["marker"] or "").strip()
        yield f"{match['name']}=={match['version']}" + (f"; {marker}" if marker else "")


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lowest_versions(Path(sys.argv[1])))
