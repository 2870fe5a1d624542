"""Archives made to write outside of the folder they are restored to."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from s3napback.errors import S3napbackError
from tests.recovery.helpers import file_member, folder_member, leftovers, put_archive, restore_here, tar_of
from tests.site import Site

Member = tuple[tarfile.TarInfo, bytes]


def link(name: str, target: Path | str) -> Member:
    return file_member(name, type=b"2", linkname=str(target)), b""


def hard_link(name: str, target: Path | str) -> Member:
    return file_member(name, type=b"1", linkname=str(target)), b""


def evil(name: str) -> Member:
    return file_member(name), b"evil"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    (folder / "folder").mkdir(parents=True)
    (folder / "precious").write_text("precious")
    (folder / "folder/file").write_text("precious")
    return folder


@pytest.fixture
def tries(tmp_path: Path) -> Path:
    folder = tmp_path / "tries"
    folder.mkdir()
    return folder


def attempt(site: Site, folder: Path, *archives: bytes) -> None:
    """Restore a chain of such archives somewhere in a folder; whether that fails or not does not matter here."""
    where = folder / str(len(list(folder.iterdir())))
    site.configure("")
    for slot, content in enumerate(archives):
        put_archive(site, slot, content, parent=f"test-host-{slot - 1}" if slot else "")
    try:
        restore_here(site, "/etc", where)
    except S3napbackError:
        assert not where.exists()
    assert not leftovers(where.parent)


def assert_untouched(outside: Path) -> None:
    assert sorted(path.name for path in outside.iterdir()) == ["folder", "precious"]
    assert (outside / "precious").read_text() == "precious"
    assert (outside / "precious").stat().st_nlink == 1
    assert [path.name for path in (outside / "folder").iterdir()] == ["file"]


def test_names_that_lead_out(site: Site, tries: Path, outside: Path) -> None:
    for name in (f"{outside}/new", f"etc/../../../../../..{outside}/new", "../../../../outside/new"):
        attempt(site, tries, tar_of(evil(name)))
        assert_untouched(outside)


def test_links_that_lead_out_within_one_archive(site: Site, tries: Path, outside: Path) -> None:
    for target in (outside, "../" * 12 + str(outside)):
        attempt(site, tries, tar_of(link("etc/x", target), evil("etc/x/new"), evil("etc/x/precious")))
        attempt(
            site,
            tries,
            tar_of(link("etc/y", target), link("etc/x", "y"), evil("etc/x/new"), evil("etc/x/folder/new")),
        )
        attempt(site, tries, tar_of(link("etc/x", f"{target}/precious"), evil("etc/x")))
        attempt(site, tries, tar_of(hard_link("etc/x", f"{target}/precious"), evil("etc/x")))
        assert_untouched(outside)


def test_links_of_one_archive_do_not_lead_the_next_one_out(site: Site, tries: Path, outside: Path) -> None:
    full = tar_of(link("etc/x", outside), link("etc/deep/y", "../x"))
    for member in (
        evil("etc/x/new"),
        evil("etc/x/precious"),
        evil("etc/deep/y/folder/new"),
        (folder_member("etc/x", []), b""),
        (folder_member("etc/x/folder", ["Dsub"]), b""),
        hard_link("etc/mine", "etc/x/precious"),
        (folder_member("etc", ["Rx/precious", "Tstolen"]), b""),
        (folder_member("etc", ["Dx", "Rx/folder", "Tstolen"]), b""),
    ):
        attempt(site, tries, full, tar_of(member), tar_of(evil("etc/last")))
        assert_untouched(outside)


def test_a_link_is_published_as_a_link_and_not_followed(site: Site, tmp_path: Path, outside: Path) -> None:
    """As the first folder of the source, where publishing has to rename it."""
    site.configure("")
    put_archive(site, 0, tar_of(link("etc", outside)))
    restore_here(site, "/etc", tmp_path / "out")
    assert (tmp_path / "out/etc").readlink() == outside
    assert_untouched(outside)


def test_links_keep_their_owners_and_times_through_a_chain(site: Site, tmp_path: Path) -> None:
    site.configure("")
    made = file_member("etc/link", type=b"2", linkname="target", mtime=1_000_000_000, uid=1234, gid=4321)
    kept = file_member("etc", type=b"5", mode=0o755, mtime=1_100_000_000)
    gone = file_member("etc/gone", type=b"2", linkname="target")
    replaced = file_member("etc/replaced", type=b"2", linkname="target")
    entries = folder_member("etc", ["Nlink", "Yreplaced"])
    entries.mtime = 1_100_000_000
    put_archive(site, 0, tar_of((kept, b""), (made, b""), (gone, b""), (replaced, b"")))
    put_archive(site, 1, tar_of((entries, b""), evil("etc/replaced")), parent="test-host-0")
    restore_here(site, "/etc", tmp_path / "out")
    found = (tmp_path / "out/etc/link").lstat()
    assert (found.st_mtime, found.st_uid, found.st_gid) == (1_000_000_000, 1234, 4321)
    assert (tmp_path / "out/etc/link").readlink() == Path("target")
    assert sorted(path.name for path in (tmp_path / "out/etc").iterdir()) == ["link", "replaced"]
    assert (tmp_path / "out/etc/replaced").read_text() == "evil"
    assert (tmp_path / "out/etc").stat().st_mtime == 1_100_000_000
