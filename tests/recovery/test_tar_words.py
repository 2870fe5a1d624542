"""What tar's lines mean while it extracts. Those that are had for the asking come from real tar in the other tests."""

from __future__ import annotations

import pytest

from s3napback.recovery import tar_words
from s3napback.recovery.tar_words import TAR_FAILURE, ExtractionMeaning, ExtractionReview, understood


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (b"tar: etc/a: Cannot mknod: Operation not permitted", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Cannot change ownership to uid 5, gid 5: Invalid argument", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Cannot change mode to rwsr-xr-t: Operation not permitted", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Cannot create symlink to '/x: y': Operation not permitted", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Cannot hard link to 'etc/b': Operation not supported", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Cannot utime: Operation not permitted", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Cannot open: No such file or directory", ExtractionMeaning.BELOW),
        (b"tar: etc/a: Wrote only 512 of 10240 bytes", ExtractionMeaning.CUT),
        (b"tar: etc/a: implausibly old time stamp 1969-12-31 23:59:59", ExtractionMeaning.NOISE),
        (b"tar: Exiting with failure status due to previous errors", ExtractionMeaning.NOISE),
        (b"tar: etc/a\\:b: Cannot open: No such file or directory", ExtractionMeaning.REFUSED),
        (b"tar: etc/a*: Cannot mkdir: No such file or directory", ExtractionMeaning.REFUSED),
        (b"tar: etc/a?: Cannot create symlink to 'x': No such file or directory", ExtractionMeaning.REFUSED),
        (b"tar: etc/a|: Cannot hard link to 'etc/b': No such file or directory", ExtractionMeaning.REFUSED),
        (b"tar: etc/b: Cannot hard link to 'etc/a|': No such file or directory", ExtractionMeaning.BELOW),
        (b"tar: etc/a*/b: Cannot open", ExtractionMeaning.BELOW),
        (b"tar: etc/a*: Cannot open", ExtractionMeaning.REFUSED),
        (b"tar: etc\\:/a: Cannot open: No such file or directory", ExtractionMeaning.BELOW),
        (b"tar: etc/pipe: Cannot mkfifo: Input/output error", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Cannot mkdir: Input/output error", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Cannot open: Input/output error", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Cannot open: No space left on device", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Cannot open: Read-only file system", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Cannot open: File exists", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Cannot rmdir: Operation not permitted", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Cannot stat: Permission denied", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Cannot stat: File name too long", ExtractionMeaning.REFUSED),
        (b"tar: etc/a: Not purging directory: unable to stat", ExtractionMeaning.NOISE),
        (b"tar: Unexpected EOF in archive", ExtractionMeaning.SERIOUS),
        (b"tar: Skipping to next header", ExtractionMeaning.SERIOUS),
        (b"tar: Error is not recoverable: exiting now", ExtractionMeaning.SERIOUS),
        (b"tar: etc/a: Directory renamed before its status could be extracted", ExtractionMeaning.SERIOUS),
        (b"Segmentation fault", ExtractionMeaning.SERIOUS),
        (b"", ExtractionMeaning.SERIOUS),
    ],
)
def test_meanings(line: bytes, meaning: ExtractionMeaning) -> None:
    assert understood(line).meaning is meaning


REFUSED = b"tar: etc/a: Cannot mkdir: File name too long"


@pytest.mark.parametrize(
    ("lines", "is_excused"),
    [
        ([], False),
        ([REFUSED], True),
        ([REFUSED, b"tar: etc/a/b: Cannot open: No such file or directory"], True),
        ([REFUSED, b"tar: etc/ab: Cannot open: No such file or directory"], False),
        ([REFUSED, b"tar: etc/a/b: Cannot open"], True),
        ([REFUSED, b"tar: etc/b: Cannot open"], False),
        ([REFUSED, b"tar: etc/b: Cannot hard link to 'etc/a/c': No such file or directory"], True),
        ([REFUSED, b"tar: etc/b: Cannot hard link to 'etc/c': No such file or directory"], False),
        ([REFUSED, b"tar: Unexpected EOF in archive"], False),
        ([REFUSED, b"tar: " + b"x" * 70_000 + b": Cannot mkdir: File name too long"], False),
        ([b"tar: -: Cannot open: Permission denied"], False),
        ([b"tar: etcetera/a: Cannot open: Permission denied"], False),
    ],
)
def test_what_is_excused(lines: list[bytes], is_excused: bool) -> None:
    review = ExtractionReview("etc")
    for line in lines:
        review.read(line)
    assert review.excuses(TAR_FAILURE) is is_excused
    assert not review.excuses(1)
    assert not review.excuses(139)


def test_refusals_without_end_take_no_memory_and_are_no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_words, "_MOST_MEMORY", 10_000)
    review = ExtractionReview("etc")
    for number in range(10):
        review.read(b"tar: etc/%d: Cannot mkdir: File name too long" % number)
        for inner in range(10):
            review.read(b"tar: etc/%d/%d: Cannot open: No such file or directory" % (number, inner))
    assert review.excuses(TAR_FAILURE)
    for number in range(100):
        review.read(b"tar: etc/other%d: Cannot mkdir: File name too long" % number)
    assert not review.excuses(TAR_FAILURE)
    assert len(review.remarks) <= 20
