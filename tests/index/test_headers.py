"""Numbers, times and paths of headers, in every form in which tar writes them."""

from __future__ import annotations

import pytest

from s3napback.index.headers import Headers, UnknownForm, group_length, moment, number, path_below


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1700000000.123456789", (1_700_000_000, 123_456_789)),
        (b"1700000000.5", (1_700_000_000, 500_000_000)),
        (b"1700000000", (1_700_000_000, 0)),
        (b"-1", (-1, 0)),
        (b"-0.000000001", (-1, 999_999_999)),
        (b"-2.25", (-3, 750_000_000)),
        (b"15000000000.999999999", (15_000_000_000, 999_999_999)),
    ],
)
def test_times(text: bytes, expected: tuple[int, int]) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"00000000644\0", 0o644),
        (b"\0" * 8, 0),
        (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", 2 << 32),
        (b"\xff" * 12, -1),
    ],
)
def test_numbers(field: bytes, expected: int) -> None:
    assert number(field) == expected


def test_what_is_no_number_is_of_no_known_form() -> None:
    with pytest.raises(UnknownForm):
        number(b"x0000000000\0")


@pytest.mark.parametrize(
    ("path", "top", "expected"),
    [
        (b"./", b".", b""),
        (b"./etc/", b".", b"etc"),
        (b".", b".", b""),
        (b"etc/", b"etc", b""),
        (b"etc/a/b", b"etc", b"a/b"),
        (b"srv/link/./a/", b"srv/link", b"a"),
        (b"srv/link/./", b"srv/link", b""),
    ],
)
def test_paths_are_relative_to_the_source(path: bytes, top: bytes, expected: bytes) -> None:
    assert path_below(path, top) == expected


def test_headers_that_nobody_knows_are_not_guessed() -> None:
    described = b"\0" * 124 + b"00000000010\0" + b"\0" * 20 + b"x" + b"\0" * 355
    broken = described + b"10 a=b" + b"\0" * 506 + b"\0" * 512
    assert group_length(broken, 0) == len(broken)
    with pytest.raises(UnknownForm):
        Headers(broken)
    with pytest.raises(UnknownForm):
        Headers(described + b"\0" * 512 + described + b"\0" * 1024)
