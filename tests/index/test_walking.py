"""Folders are reached without following links, however deep they lie, with few descriptors."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from s3napback.index.walking import Walk


def own(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.usefixtures("tidied")
def test_every_folder_is_found_in_any_order_and_few_are_open(tmp_path: Path) -> None:
    deep = Path(*(["d"] * 120))
    (tmp_path / deep).mkdir(parents=True)
    for depth in (0, 10, 47, 48, 49, 60, 119):
        (tmp_path / Path(*(["d"] * depth)) / "side" / "inner").mkdir(parents=True)
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    wanted = {os.fsencode(path.relative_to(tmp_path)): path.stat() for path in folders}
    before = open_descriptors()
    with Walk(str(tmp_path), follows=False) as walk:
        for order in (
            sorted(wanted),
            sorted(wanted, reverse=True),
            random.Random(1).sample(sorted(wanted), len(wanted)),
        ):
            for path in order:
                assert own(walk.folder(path)) == (wanted[path].st_dev, wanted[path].st_ino)
                assert open_descriptors() - before < 60
        assert own(walk.folder(b"")) == (tmp_path.stat().st_dev, tmp_path.stat().st_ino)
    assert open_descriptors() == before


def test_links_are_gone_through_only_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "tree/real").mkdir(parents=True)
    (tmp_path / "elsewhere/inner").mkdir(parents=True)
    (tmp_path / "tree/link").symlink_to("../elsewhere")
    with Walk(str(tmp_path / "tree"), follows=False) as walk:
        for path in (b"link", b"link/inner", b"real/no"):
            with pytest.raises(OSError, match=r"irectory|symbolic"):
                walk.folder(path)
            assert own(walk.folder(b"real"))[1] == (tmp_path / "tree/real").stat().st_ino
    with Walk(str(tmp_path / "tree"), follows=True) as walk:
        assert own(walk.folder(b"link/inner"))[1] == (tmp_path / "elsewhere/inner").stat().st_ino
