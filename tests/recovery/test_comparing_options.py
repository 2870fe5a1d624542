"""A directory's state against the live tree under TarOptions: what they leave out of archives is no difference."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from s3napback.recovery.archived_facts import ArchivedFacts, archived_facts
from s3napback.recovery.folders import go_to
from s3napback.recovery.following import FollowingCursor, cursor_at
from tests.descriptors import descriptors_left
from tests.recovery.test_comparing import compared, run
from tests.site import Site

CHANGES = {
    "file": "permissions 600, were 640, 7 bytes, were 4, another modification time, other access rights (ACL)",
    "folder/owned": "owner 7:8, was 5:6, another attribute user.b",
    "other": "another attribute user.a",
}
"""What is told of ``change`` where an archive holds all of a file."""

OPTIONS: dict[str, dict[str, str]] = {
    "--sparse --hard-dereference --numeric-owner": {
        **CHANGES,
        "hard": "permissions 600, were 640, 7 bytes, were 4, another modification time, other access rights (ACL)",
    },
    "--owner=nobody": {**CHANGES, "folder/owned": "owner 7:8, was 65534:6, another attribute user.b"},
    "--owner=nobody --group=daemon": {**CHANGES, "folder/owned": "another attribute user.b"},
    "--mode=u=rwX,go=rX": {**CHANGES, "file": "7 bytes, were 4, another modification time, other access rights (ACL)"},
    "--no-acls": {**CHANGES, "file": "permissions 600, were 640, 7 bytes, were 4, another modification time"},
    "--no-xattrs": {"file": CHANGES["file"], "folder/owned": "owner 7:8, was 5:6"},
    "--xattrs-exclude=user.[b-z]*": {**CHANGES, "folder/owned": "owner 7:8, was 5:6"},
    "--xattrs-include=user.b": {name: CHANGES[name] for name in ("file", "folder/owned")},
    "--exclude-tag=tag --exclude-tag-all=all": CHANGES,
}


def fill(source: Path) -> None:
    for name in ("folder", "tagged", "left out"):
        (source / name).mkdir()
    for name in ("file", "other", "program", "folder/owned", "tagged/tag", "tagged/1", "left out/all", "left out/1"):
        (source / name).write_text("text")
    (source / "link").symlink_to("nowhere")
    (source / "hard").hardlink_to(source / "file")
    (source / "file").chmod(0o640)
    os.chown(source / "folder/owned", 5, 6)
    os.setxattr(source / "folder/owned", "user.b", b"1")
    os.setxattr(source / "other", "user.a", b"1")
    run("setcap", "cap_net_raw+ep", source / "program")
    run("setfacl", "-m", "u:daemon:r", source / "program")


def change(source: Path) -> None:
    with (source / "file").open("a") as file:
        file.write("new")
    (source / "file").chmod(0o600)
    run("setfacl", "-m", "u:daemon:-", source / "file")
    (source / "file").chmod(0o600)
    os.chown(source / "folder/owned", 7, 8)
    os.setxattr(source / "folder/owned", "user.b", b"2")
    os.setxattr(source / "other", "user.a", b"2")


@pytest.mark.parametrize("options", OPTIONS)
def test_what_an_option_leaves_out_is_no_difference_and_all_else_is(site: Site, options: str) -> None:
    site.configure_cycle(f"Diffs 6\nTarOptions {options}")
    fill(site.source)
    site.run(day=0)
    assert compared(site) == {"": "0"}
    (site.source / "night").touch()
    site.run(day=1)
    assert compared(site) == {"": "0"}
    change(site.source)
    # Which of two names is the other one's is up to the file system's order.
    hard = "hard" if "--hard-dereference" in options else "file"
    told = {name.replace("hard", hard): text for name, text in compared(site).items()}
    expected = OPTIONS[options]
    assert told == {"": str(len(expected)), **expected}
    site.run(day=2)
    assert compared(site) == {"": "0"}


def test_where_tar_follows_links_the_comparison_does(site: Site) -> None:
    source, outside = site.source, site.root / "outside"
    site.configure_cycle("Diffs 6\nTarOptions --dereference")
    (source / "folder").mkdir()
    (outside / "below").mkdir(parents=True)
    for path in (source / "folder/file", source / "file", outside / "below/file", site.root / "file"):
        path.write_text(path.name)
    links: dict[str, str | Path] = {
        "same": "file",
        "inner": "folder",
        "outer": outside,
        "one": site.root / "file",
        "broken": "nowhere",
    }
    for name, target in links.items():
        (source / name).symlink_to(target)
    os.setxattr(site.root / "file", "user.a", b"1")
    site.run(day=0)
    assert compared(site) == {"": "0"}
    (source / "night").touch()
    site.run(day=1)
    assert compared(site) == {"": "0"}

    os.setxattr(site.root / "file", "user.a", b"2")
    (outside / "below/file").write_text("longer")
    (outside / "new").touch()
    (source / "inner").unlink()
    assert compared(site) == {
        "": "4",
        "inner": "missing",
        "inner/file": "missing",
        "one": "another attribute user.a",
        "outer/below/file": "6 bytes, were 4, another modification time",
        "outer/new": "new since then",
    }
    site.run(day=2)
    assert compared(site) == {"": "0"}


def test_a_link_that_leads_nowhere_is_not_what_its_name_was_before_it_was_gone(site: Site) -> None:
    """A night in between tells that it was gone; the last one, which has nothing of it, lists it like what it has."""
    source = site.source
    site.configure_cycle("Diffs 6\nTarOptions --dereference")
    for name in ("file", "folder/file", "kept", "other/deep/file", "replaced/file"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("text")
    site.run(day=0)
    (source / "file").unlink()
    for name in ("folder", "other", "replaced"):
        shutil.rmtree(source / name)
    (source / "replaced").touch()
    site.run(day=1)
    assert compared(site) == {"": "0"}
    (source / "replaced").unlink()
    for name in ("file", "folder/file", "other/deep/file", "replaced/file"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).symlink_to("nowhere")
    site.run(day=2)
    assert compared(site) == {"": "0"}
    (source / "kept").unlink()
    assert compared(site) == {"": "1", "kept": "missing"}


@pytest.mark.parametrize("general", ["", "Prefix atlas"])
def test_a_source_that_is_configured_twice_is_compared_as_its_own_block_has_it(site: Site, general: str) -> None:
    blocks = [
        f"<Cycle {name}>\nDiffs 1\nTarOptions {text}\nDirectory {site.source}\n</Cycle>"
        for name, text in (("a", "--sparse"), ("b", "--mode=a=rwX"))
    ]
    site.configure("\n".join(blocks), general=general)
    (site.source / "file").touch(0o600)
    site.run()
    for name in ("a", "b"):
        done = site.run("verify", str(site.source), "--compare", "--from", name, day=None)
        assert f"{site.source}: 0 differences from " in done.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", ArchivedFacts()),
        ("-Sh", ArchivedFacts(follows=True)),
        ("--owner-map=/x --group-map=/y", ArchivedFacts(has_owner=False, has_group=False)),
        ("--no-acls --acls", ArchivedFacts()),
        ("--no-xattrs --xattrs-include=user.*", ArchivedFacts(included=("user.*",))),
        ("--xattrs --no-xattrs", ArchivedFacts(has_attributes=False)),
        ("--exclude-tag=x", ArchivedFacts(tags=frozenset(("CACHEDIR.TAG", "x")))),
    ],
)
def test_of_contradicting_options_the_last_one_counts(options: str, expected: ArchivedFacts) -> None:
    assert archived_facts(options.split()) == expected


def test_a_cursor_that_follows_links_comes_back_by_the_way_it_went(tmp_path: Path) -> None:
    depth = 200
    (tmp_path / "real/at").mkdir(parents=True)
    names: list[str] = []
    folder = tmp_path
    for number in range(depth):
        # Each folder lies beside the link that leads to it, further down.
        (folder / f"d{number}").mkdir()
        (folder / "l").symlink_to(f"d{number}")
        folder, names = folder / f"d{number}", [*names, "l"]
    (folder / "l").symlink_to(tmp_path / "real/at")
    top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with descriptors_left(100), cursor_at(top, follows=True) as place:
            assert isinstance(place, FollowingCursor)
            assert go_to(place, [*names, "l"])
            assert os.fstat(place.descriptor).st_ino == (tmp_path / "real/at").stat().st_ino
            assert go_to(place, ["l", f"d{1}"])
            assert place.depth == 2
            assert not go_to(place, ["l", "absent"])
        with cursor_at(top, follows=False) as place:
            assert not go_to(place, ["l"])
    finally:
        os.close(top)
