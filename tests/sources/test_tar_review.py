"""When an archive is good although tar failed, and what is said then."""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.archives import Unread
from s3napback.mounts import Mount
from s3napback.sources.blame import Blame
from s3napback.sources.tar_review import TarReview

CLOSING = b"tar: Exiting with failure status due to previous errors"


MOUNTS = (
    Mount("/", "ext4"),
    Mount("/home/u/fuse", "fuse.sshfs", frozenset({"user_id=77"})),
    Mount("/home/nfs", "nfs4"),
    Mount("/home/proc", "proc"),
)


def reviewed(*lines: str, member: str = "home", most: int = 1000, almighty: bool = True) -> TarReview:
    blame = Blame(posixpath.normpath(member).encode(), f"/{posixpath.normpath(member)}", almighty, lambda: MOUNTS)
    review = TarReview(blame, most=most)
    for line in lines:
        review.read(line.encode())
    review.read(CLOSING)
    return review


DENIED = "tar: home/u/{}: Cannot open: Permission denied"
FAILED = "tar: home/u/{}: Read error at byte 0, while reading 512 bytes: Input/output error"


def test_what_cannot_be_read_below_the_source_is_excused() -> None:
    review = reviewed(DENIED.format("x"))
    assert review.excuses(2)
    assert review.left_out == {b"home/u/x"}
    assert review.warnings == ["/home/u/x could not be read and is not in this archive: Permission denied"]


@pytest.mark.parametrize("status", [-9, 3, 64, 127, 141])
def test_no_other_status_is(status: int) -> None:
    assert not reviewed(DENIED.format("x")).excuses(status)


def test_a_failure_without_a_reason_is_not() -> None:
    assert not reviewed().excuses(2)


@pytest.mark.parametrize(
    "line",
    [
        "tar: home: Cannot open: Permission denied",
        "tar: home/: Cannot stat: No such file or directory",
        "tar: homestead/x: Cannot open: Permission denied",
        "tar: home/../etc: Cannot open: Permission denied",
        "tar: /var/lib/s3napback/working.snapshot: Cannot open: Permission denied",
        "tar: -: Cannot write: No space left on device",
        "what is this",
    ],
)
def test_anything_else_is_serious_and_stands_in_the_message(line: str) -> None:
    review = reviewed(DENIED.format("x"), line, DENIED.format("y"))
    assert not review.excuses(2)
    assert review.complaint == line


def test_a_time_of_reading_that_cannot_be_set_back_spoils_nothing() -> None:
    review = reviewed(*(f"tar: {path}: Cannot utime: X" for path in ("home/", "home/a", "home/b")))
    assert review.excuses(2)
    assert not review.left_out
    (warning,) = review.warnings
    assert warning == (
        "3 paths kept the time of this backup as that of the last reading, which could not be set back: X. "
        "The first is /home"
    )
    assert not reviewed("tar: home/a: Cannot utime: X", "tar: -: Cannot write: X").excuses(2)


@pytest.mark.parametrize(
    ("member", "line"), [(".", "tar: ./home/x: Cannot open: X"), ("l/.", "tar: l/./x: Cannot open: X")]
)
def test_below_the_root_directory_and_below_a_link(member: str, line: str) -> None:
    assert reviewed(line, member=member).excuses(2)


@pytest.mark.parametrize(("member", "line"), [(".", "tar: ./: Cannot open: X"), ("l/.", "tar: l/.: Cannot open: X")])
def test_the_root_directory_itself_and_a_link_itself(member: str, line: str) -> None:
    assert not reviewed(line, member=member).excuses(2)


def test_only_so_many() -> None:
    lines = [FAILED.format(number) for number in range(3)]
    assert reviewed(*lines, most=3).excuses(2)
    review = reviewed(*lines, most=2)
    assert not review.excuses(2)
    first = "The first is /home/u/0: Input/output error"
    assert review.complaint == f"3 paths could not be read, and Unreadable is “warn 2”. {first}"
    advice = "; with “warn” there, all the rest is backed up"
    assert reviewed(*lines, most=0).complaint.endswith(f"and Unreadable is “fail”{advice}. {first}")


@pytest.mark.parametrize(
    "reason",
    [
        "File name too long",
        "No such file or directory",
        "Not a directory",
        "Resource temporarily unavailable",
        "Required key not available",
        "Stale file handle",
    ],
)
def test_what_any_user_can_make_any_number_of_does_not_count(reason: str) -> None:
    lines = [f"tar: home/u/{number}: Cannot open: {reason}" for number in range(50)]
    assert reviewed(*lines, most=0).excuses(2)


@pytest.mark.parametrize(
    ("path", "reason", "almighty"),
    [
        ("u/fuse", "Permission denied", False),
        ("u/fuse/below", "Input/output error", True),
        ("u/fuse", "Transport endpoint is not connected", True),
        ("proc/1/mem", "Input/output error", True),
        ("u/file", "Permission denied", True),  # of a mount that is gone again; nothing else denies this to root
    ],
)
def test_what_a_users_file_system_answers_does_not_count_either(path: str, reason: str, almighty: bool) -> None:
    assert reviewed(f"tar: home/{path}: Cannot stat: {reason}", most=0, almighty=almighty).excuses(2)


@pytest.mark.parametrize(
    ("path", "reason", "almighty"),
    [
        ("u/file", "Input/output error", True),
        ("u/file", "Permission denied", False),
        ("u/fuse2", "Permission denied", False),
        ("nfs/file", "Permission denied", True),
        ("nfs", "Stale file handle", True),
        ("u/file", "Cannot allocate memory", True),
    ],
)
def test_all_else_counts(path: str, reason: str, almighty: bool) -> None:
    assert not reviewed(f"tar: home/{path}: Cannot open: {reason}", most=0, almighty=almighty).excuses(2)


def test_below_a_link_it_counts_where_the_link_leads_to() -> None:
    blame = Blame(b"l", "/home/u/fuse", is_almighty=False, look=lambda: MOUNTS)
    assert blame.is_a_users(b"l/x", b"Input/output error")
    assert not Blame(b"l", "/home/u", is_almighty=False, look=lambda: MOUNTS).is_a_users(b"l/x", b"Input/output error")
    assert Blame(b".", "/", is_almighty=False, look=lambda: MOUNTS).is_a_users(b"home/u/fuse/x", b"Input/output error")


def test_a_path_is_counted_once() -> None:
    twice = ["tar: home/u: Cannot stat: Input/output error", "tar: home/u/: Cannot open: Input/output error"]
    assert reviewed(*twice, most=1).excuses(2)


def test_what_the_archive_lacks_is_told_apart_from_what_was_gone() -> None:
    gone = "tar: home/gone: Cannot stat: No such file or directory"
    review = reviewed(DENIED.format("b"), FAILED.format("a"), gone, "tar: home/c: File removed before we read it")
    assert review.unread == Unread(2, (b"home/u/a", b"home/u/b"))
    assert review.left_out == {b"home/u/a", b"home/u/b", b"home/gone", b"home/c"}


def test_the_first_fifty_are_named_and_the_others_counted() -> None:
    review = reviewed(*(DENIED.format(f"{number:03}") for number in reversed(range(60))))
    assert len(review.warnings) == 51
    assert review.warnings[0].startswith("/home/u/000 ")
    assert review.warnings[49].startswith("/home/u/049 ")
    assert review.warnings[50] == "10 other paths could not be read either"


def test_memory_is_bounded_and_what_is_not_remembered_makes_the_snapshot_worthless() -> None:
    long = "d/" * 2000
    review = reviewed(*(DENIED.format(f"{long}{number}") for number in range(5000)), most=10_000)
    assert review.excuses(2)
    assert sum(map(len, review.left_out)) < 1 << 25
    assert not review.is_complete


def test_what_is_too_long_to_be_opened_ever_needs_no_remembering() -> None:
    long = "d/" * 2000
    review = reviewed(*(f"tar: home/{long}{number}: Cannot open: File name too long" for number in range(5000)))
    assert review.is_complete


def test_other_remarks_stay() -> None:
    review = reviewed(DENIED.format("x"), "tar: home/log: file changed as we read it")
    assert review.warnings[1:] == ["tar: home/log: file changed as we read it"]


def test_access_rights_and_attributes_that_could_not_be_read_are_told_once_for_each_reason() -> None:
    lines = [f"tar: home/d/{number}: Warning: Cannot file_has_acl_at: File name too long" for number in range(60)]
    review = reviewed(*lines, "tar: home/x: Warning: Cannot flistxattr: Input/output error")
    assert review.warnings == [
        f"{count} came without access rights (ACL) or extended attributes, which could not be read: {reason}"
        for count, reason in (
            ("60 paths", "File name too long. The first is /home/d/0"),
            ("1 path", "Input/output error. The first is /home/x"),
        )
    ]


@pytest.mark.parametrize("name", ["file", "link", "file/gone", "pipe", "empty"])
def test_what_became_shorter_or_has_no_more_bytes_is_no_failure(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    line = f"tar: home/{name}: File shrank by {{}} bytes; padding with zeros"
    blame = Blame(b"home", str(tmp_path), is_almighty=True)
    # As if they were untouched: of these, what lacks decides.
    untouched = replace(blame, since_ns=blame.since_ns + 10**10)
    for used, lacking, count in ((blame, 5, 0), (untouched, 0, 0), (untouched, 5, name in {"file", "link"})):
        review = TarReview(used, most=0)
        review.read(line.format(lacking).encode())
        assert review.unread.count == count
        assert ("1 path could not be read" in review.excess) == bool(count)
        assert len(review.warnings) == 1


def test_where_there_are_no_attributes_none_is_missing() -> None:
    """FUSE without them, as sshfs: tar complains of each file, every night."""
    review = reviewed(
        "tar: home/d: Warning: Cannot flistxattr: Operation not supported",
        "tar: link: Warning: Cannot llistxattrat: Operation not supported",
    )
    assert review.warnings == review.asides == []
    lost = reviewed("tar: file: Warning: Cannot fgetxattr: Operation not supported")
    assert [line.split(":")[1] for line in lost.asides or ()] == [" Operation not supported. The first is called file"]


def test_of_an_archive_that_is_whole_only_warnings_are_told() -> None:
    review = reviewed(
        "tar: home/socket: socket ignored",
        "tar: home/x: Warning: Cannot frobnicate: Input/output error",
        *(f"tar: home/{number}: Warning: Cannot flistxattr: Operation not permitted" for number in range(3)),
        "tar: home/secret: Warning: Cannot open: Permission denied",
    )
    [bare, other, left_out] = review.asides or []
    assert left_out == "tar: home/secret: Warning: Cannot open: Permission denied"
    assert bare.startswith("3 paths came without access rights (ACL) or extended attributes")
    assert other == "tar: home/x: Warning: Cannot frobnicate: Input/output error"


def test_sentences() -> None:
    review = reviewed(
        "tar: home/a: Read error at byte 0, while reading 10 bytes: Input/output error",
        "tar: home/b: Cannot open: File name too long",
        "tar: home/c: Cannot open: Not a directory",
        "tar: home/d: Cannot stat: Permission denied",
        f"tar: home/{'e' * 5000}: Cannot open: Permission denied",
    )
    cut, long, flipped, mounted, shortened = review.warnings
    assert "zeros stand for what could not be read: Input/output error" in cut
    assert "a path of that length" in long
    assert "vanished or was replaced" in flipped
    assert "even to root" in mounted
    assert "Exclude" in mounted
    assert len(shortened) < 700
    assert shortened.endswith("e could not be read and is not in this archive: Permission denied")
    assert "even to root" not in reviewed("tar: home/d: Cannot stat: Permission denied", almighty=False).warnings[0]
