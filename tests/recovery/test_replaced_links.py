"""Symbolic links that became something else in a later archive of their chain come back as that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.recovery.helpers import restore_here
from tests.site import Site


def file_of(size: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(b"x" * size)


REPLACEMENTS: dict[str, Callable[[Path], object]] = {
    # what a restore itself may put in a link's place for a while is a small file
    **{f"a file of {size} bytes": file_of(size) for size in range(130)},
    "another link": lambda path: path.symlink_to("elsewhere"),
    "a folder": lambda path: (path / "below").mkdir(parents=True),
}


def shape(folder: Path) -> dict[str, str | bytes | None]:
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("nights", [1, 2], ids=["by the last archive", "by one in the middle"])
def test_a_link_that_was_replaced_does_not_come_back(site: Site, tmp_path: Path, nights: int) -> None:
    site.configure_cycle("Diffs 6")
    for name in REPLACEMENTS:
        (site.source / name).symlink_to("target")
    (site.source / "stays").symlink_to("target")
    site.run(day=0)
    for name, replace in REPLACEMENTS.items():
        (site.source / name).unlink()
        replace(site.source / name)
    for night in range(nights):
        (site.source / f"night {night}").touch()
        site.run(day=1 + night)
    restore_here(site, str(site.source), tmp_path / "out")
    assert shape(tmp_path / "out" / site.name()) == shape(site.source)
    assert (tmp_path / "out" / site.name() / "stays").readlink() == Path("target")
