"""A target that takes no colons, asterisks and the like in names: that costs these names, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3napback.recovery.refusals import Incomplete
from tests.recovery.helpers import leftovers, restore_here
from tests.recovery.test_in_place import exfat_disk
from tests.site import Site

TAKEN = {"file", "folder/file", "folder/second"}
REFUSED = {"a:b", "file*", "folder/?", "folder/pipe|", "second:", "folder/pipe"}


def fill(source: Path) -> None:
    (source / "a:b/c").mkdir(parents=True)
    (source / "folder").mkdir()
    for name in ("file", "file*", "folder/file", "folder/?", "a:b/c/file", "a:b/labelled"):
        (source / name).write_text(name)
    for name in ("a:b/labelled", "file*"):
        os.setxattr(source / name, "user.colour", b"green")
    for pipe in ("pipe|", "pipe"):
        os.mkfifo(source / "folder" / pipe)
    (source / "second:").hardlink_to(source / "file")
    (source / "folder/second").hardlink_to(source / "file")


@pytest.mark.parametrize("place", ["prepared there", "prepared elsewhere", "merged twice"])
def test_forbidden_names_cost_only_themselves(site: Site, tmp_path: Path, place: str) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=0)
    (site.source / "folder/file").write_text("changed")
    site.run(day=1)
    (tmp_path / "disk").mkdir()
    with exfat_disk(tmp_path / "image", tmp_path / "disk"):
        where = tmp_path / "disk/where"
        is_merged = place == "merged twice"
        staging = tmp_path if place == "prepared elsewhere" else None
        for _ in range(1 + is_merged):
            with pytest.raises(Incomplete) as caught:
                restore_here(site, str(site.source), where, in_place=is_merged, agreed=True, staging=staging)
        top = where / site.name()
        found = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
        assert found == TAKEN
        assert (top / "folder/file").read_text() == "changed"
        assert (top / "file").read_text() == (top / "folder/second").read_text()
        assert not leftovers(where)
    lines = "\n".join(map(str, caught.value.args))
    assert [name for name in REFUSED if f"  {top}/{name}" not in lines] == []
