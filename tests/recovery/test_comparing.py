"""A directory's state against the live tree: every difference once, no other, and nothing that was left out."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from s3napback.commands import backup
from s3napback.commands.verify import VerifyRequest, verify
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.recovery import comparing
from s3napback.recovery.known_names import KnownNames
from s3napback.sources import directory
from tests.site import FIRST_DAY, Site


def compared(site: Site) -> dict[str, str]:
    """What is told of each path in the source; the number of differences under an empty name."""
    lines: list[str] = []
    request = VerifyRequest(str(site.source), against_live=True)
    verify(load_configuration(site.configuration), request, date(2027, 1, 1), lines.append)
    *others, last = lines
    told = [line.removeprefix(f"{site.source}/").rpartition(": ") for line in others]
    assert len({name for name, _, _ in told}) == len(told)
    return {"": last.partition(": ")[2].split()[0], **{name: text for name, _, text in told}}


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


def fill(source: Path) -> None:
    (source / "folder").mkdir()
    for name in ("file", "folder/file", "other", "program"):
        (source / name).write_text(name)
    (source / "link").symlink_to("file")
    (source / "hard").hardlink_to(source / "other")
    (source / "one").write_text("same")
    run("cp", "-a", source / "one", source / "twin")
    os.mkfifo(source / "pipe")
    os.mknod(source / "device", 0o60600, os.makedev(7, 9))
    with (source / "sparse").open("wb") as file:
        file.seek(5_000_000)
        file.write(b"end")
    run("setcap", "cap_net_raw+ep", source / "program")
    run("setfacl", "-m", "u:daemon:r", "-m", "g:77:rw", source / "file")
    run("setfacl", "-d", "-m", "u:7:r", source / "folder")
    os.setxattr(source / "file", "user.colour", b"green")
    os.setxattr(source / "folder", "user.50%3D=half", b"a=b%3D\n")
    os.utime(source / "other", ns=(0, -600_000_000_500_000_000))


def rewritten(path: Path) -> None:
    """Other content of the same size and time."""
    status = path.stat()
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replaced(path: Path, make: Callable[[Path], object]) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    make(path)


def replaced_by_link(path: Path, moved: Path) -> None:
    path.rename(moved)
    path.symlink_to(moved.name)


CHANGES: dict[str, tuple[Callable[[Path], object], dict[str, str]]] = {
    "nothing": (lambda _: None, {}),
    "content": (lambda source: rewritten(source / "folder/file"), {"folder/file": "Contents differ"}),
    "size": (lambda source: os.truncate(source / "sparse", 9), {"sparse": "9 bytes, were 5000003, another modif"}),
    "time": (lambda source: os.utime(source / "program", (1, 1)), {"program": "another modification time"}),
    "permissions": (lambda source: (source / "folder").chmod(0o701), {"folder": "permissions 701, were 755"}),
    "owner": (lambda source: os.lchown(source / "link", 5, 6), {"link": "owner 5:6, was 0:0"}),
    "target": (
        lambda source: replaced(source / "link", lambda path: path.symlink_to("x")),
        {"link": "leads elsewhere"},
    ),
    "device": (
        lambda source: replaced(source / "device", lambda path: os.mknod(path, 0o60600, os.makedev(7, 10))),
        {"device": "another device"},
    ),
    "links": (
        lambda source: replaced(source / "hard", lambda path: run("cp", "-a", source / "other", path)),
        {"other": "is no longer the same file"},
    ),
    "one file of two": (
        lambda source: replaced(source / "twin", lambda path: path.hardlink_to(source / "one")),
        {"twin": "is one file with another name now, and was a file by itself"},
    ),
    "capabilities": (lambda source: run("setcap", "-r", source / "program"), {"program": "other capabilities"}),
    "new capabilities": (
        lambda source: run("setcap", "cap_net_raw+ep", source / "folder/file"),
        {"folder/file": "other capabilities"},
    ),
    "attributes": (
        lambda source: os.setxattr(source / "file", "user.colour", b"red"),
        {"file": "another attribute user.colour"},
    ),
    "access rights": (
        lambda source: run("setfacl", "-x", "u:daemon", source / "file"),
        {"file": "other access rights"},
    ),
    "default access rights": (
        lambda source: run("setfacl", "-k", source / "folder"),
        {"folder": "other default access"},
    ),
    "a file in the place of a folder": (
        lambda source: replaced(source / "folder", Path.touch),
        {"folder": "is a file now, and was a folder", "folder/file": "missing"},
    ),
    "a link in the place of a folder": (
        lambda source: replaced_by_link(source / "folder", source / "moved"),
        {"folder": "is a symbolic link now", "folder/file": "missing", "moved": "new since then"},
    ),
    "a folder in the place of a file": (
        lambda source: replaced(source / "file", Path.mkdir),
        {"file": "is a folder now, and was a file"},
    ),
    "a pipe in the place of a file": (
        lambda source: replaced(source / "file", os.mkfifo),
        {"file": "is something else now, and was a file"},
    ),
    "deleted": (lambda source: (source / "pipe").unlink(), {"pipe": "missing"}),
    "names that look like tar's words": (
        lambda source: (source / "x: Contents differ\ntar: y").touch(),
        {"x: Contents differ\\ntar: y": "new since then"},
    ),
}


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("site"))
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=0)
    # Nothing of this is in the newest archive but the folders.
    (site.source / "night").touch()
    site.run(day=1)
    return site


@pytest.mark.parametrize("what", CHANGES)
def test_each_kind_of_difference_is_told_once_with_its_path(backed_up: Site, what: str) -> None:
    source, kept = backed_up.source, backed_up.root / "kept"
    run("cp", "-a", source, kept)
    change, expected = CHANGES[what]
    try:
        change(source)
        # Which of two names is the other one's is up to the file system's order.
        told = {name.replace("hard", "other"): text for name, text in compared(backed_up).items()}
        new = [name for name, text in expected.items() if text.startswith("new")]
        assert told.pop("") == str(len(expected) - len(new))
        assert sorted(told) == sorted(expected)
        assert not [name for name, text in expected.items() if not told[name].startswith(text)]
    finally:
        shutil.rmtree(source)
        kept.rename(source)


def test_what_changed_its_kind_between_nights_is_no_difference(site: Site) -> None:
    site.configure_cycle("Diffs 6")
    for name in (
        "link to folder",
        "folder to link",
        "folder to file",
        "file to folder",
        "link to file",
        "file to pipe",
        "file to socket",
    ):
        path = site.source / name
        kind = name.split()[0]
        path.symlink_to("x") if kind == "link" else path.mkdir() if kind == "folder" else path.touch()
        if kind == "folder":
            (path / "below").touch()
    site.run(day=0)
    for path in [*site.source.iterdir()]:
        kind = path.name.split()[-1]
        make = {"folder": Path.mkdir, "link": lambda each: each.symlink_to("y"), "file": Path.touch, "pipe": os.mkfifo}
        make["socket"] = lambda each: os.mknod(each, 0o140600)
        replaced(path, make[kind])
    site.run(day=1)
    assert compared(site) == {"": "0"}
    with patch.object(directory, "margin", lambda: 0):
        assert not backup.run(
            load_configuration(site.configuration), FIRST_DAY + timedelta(days=2), BackupOptions()
        ).failed
    assert compared(site) == {"": "0"}
    (site.source / "file to folder").rmdir()
    assert compared(site) == {"": "1", "file to folder": "missing"}


def test_what_was_left_out_is_not_new(site: Site) -> None:
    source = site.source
    site.configure_cycle(f'Diffs 6\nExclude *.cache "{source}/proc/*"\nOneFileSystem On\nTarOptions --exclude-caches')
    for name in ("x.cache", "proc", "mounted", "cache"):
        (source / name).mkdir()
        (source / name / "1").touch()
    (source / "cache/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    run("mount", "-t", "tmpfs", "tmpfs", source / "mounted")
    try:
        for night in range(2):
            (source / "mounted" / str(night)).touch()
            (source / "file").write_text(str(night))
            site.run(day=night)
        for name in ("x.cache", "proc", "mounted", "cache"):
            (source / name / "new").touch()
        assert compared(site) == {"": "0"}
    finally:
        run("umount", source / "mounted")


def test_a_name_of_a_file_whose_first_name_is_of_another_by_now_is_compared_by_itself(site: Site) -> None:
    """Here since the first name's folder went out of the source with it, which no time of the file tells."""
    site.configure_cycle("Diffs 6")
    source = site.source
    (source / "a").mkdir()
    (source / "a/file").write_text("first")
    (source / "z").mkdir()
    (source / "z/name").hardlink_to(source / "a/file")
    (other := site.root / "other").mkdir()
    (other / "file").write_text("another")
    site.run(day=0)
    (source / "a").rename(site.root / "gone")
    other.rename(source / "a")
    with patch.object(directory, "margin", lambda: 0):
        assert not backup.run(
            load_configuration(site.configuration), FIRST_DAY + timedelta(days=1), BackupOptions()
        ).failed
    assert compared(site) == {"": "0"}
    (source / "z/name").write_text("other")
    assert compared(site) == {"": "1", "z/name": "another modification time"}
    replaced(source / "z/name", Path.mkdir)
    assert compared(site) == {"": "1", "z/name": "is a folder now, and was a file"}


def test_a_second_sight_of_access_lists_is_neither_archived_nor_compared(site: Site) -> None:
    """XFS shows lists in attributes as well, which would be ordinary ones on any other file system."""
    site.configure_cycle("Diffs 6")
    (site.source / "file").write_text("text")
    os.setxattr(site.source / "file", "trusted.SGI_ACL_FILE", b"list")
    os.setxattr(site.source / "file", "trusted.other", b"value")
    site.run(day=0)
    content = gzip.decompress(site.fetch(site.archive_keys()[0]))
    assert b"trusted.other" in content and b"SGI_ACL" not in content
    assert compared(site) == {"": "0"}


def test_names_of_a_file_of_which_some_lie_in_a_moved_folder_are_no_difference(site: Site) -> None:
    """The DIFF has the moved name as a file, then another name as a file, then the moved one as a link to that."""
    source = site.source
    site.configure_cycle("Diffs 6")
    for folder in ("a", "z", "same"):
        (source / folder).mkdir()
    for name in ("file", "other", "third", "same/one", "same/two"):
        (source / name).write_text(name[-3:])
        os.utime(source / name, ns=(0, 0))
    for folder, name in (("a", "file"), ("z", "other"), ("a", "third"), ("z", "third")):
        (source / folder / name).hardlink_to(source / name)
    site.run(day=0)
    for folder in ("a", "z"):
        (source / folder).rename(source / f"{folder} moved")
    (source / "same").rename(source / "was same")
    with patch.object(directory, "margin", lambda: 0):
        assert not backup.run(
            load_configuration(site.configuration), FIRST_DAY + timedelta(days=1), BackupOptions()
        ).failed
    assert compared(site) == {"": "0"}
    run("cp", "-a", source / "z moved/other", source / "z moved/copy")
    replaced(source / "z moved/other", (source / "z moved/copy").rename)
    replaced(source / "was same/two", lambda path: path.hardlink_to(source / "was same/one"))
    told = compared(site)
    assert told.pop("") == "2"
    assert sorted(text.partition("/")[0].partition(",")[0] for text in told.values()) == [
        "is no longer the same file as ",
        "is one file with another name now",
    ]


def test_of_what_an_archive_holds_twice_the_last_counts_however_much_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_MOST_LINES", 1)
    with KnownNames(None) as names:
        result = comparing._Result()
        for name in ("told", "hidden", "hidden too"):
            result.note(name, ["other times"])
            names.note_difference(name)
        for name in ("hidden", "hidden", "same", "told"):
            result.take_back(name, names)
        assert (result.count, len(result.lines), names.differences()) == (1, 0, 1)
