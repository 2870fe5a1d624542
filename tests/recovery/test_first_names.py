"""Files with several names that are copied to places from which no name leads to another."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

from tests.recovery.helpers import file_member, leftovers, put_archive, restore_here, tar_of
from tests.site import Site

FOLDERS = ("one", "two", "three")


def test_names_stay_together_in_each_of_several_mounts_of_one_device(site: Site, tmp_path: Path) -> None:
    site.configure("")
    members = []
    for folder in FOLDERS:
        members += [
            (file_member(f"etc/{folder}/a"), folder.encode()),
            (file_member(f"etc/{folder}/b", type=b"1", linkname=f"etc/{folder}/a"), b""),
        ]
    put_archive(site, 0, tar_of(*members))
    live = tmp_path / "live"
    with ExitStack() as stack:
        for folder in FOLDERS:
            path = live / "etc" / folder
            path.mkdir(parents=True)
            subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
            stack.callback(subprocess.run, ["umount", str(path)], check=True)
        restore_here(site, "/etc", live, in_place=True, agreed=True)
        for folder in FOLDERS:
            names = [live / "etc" / folder / name for name in "ab"]
            assert [name.read_text() for name in names] == [folder] * 2
            assert names[0].samefile(names[1])
    assert not leftovers(live)
