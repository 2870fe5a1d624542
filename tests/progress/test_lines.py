"""What is drawn fits the terminal, and tells the most important where there is little room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.progress.lines import Glimpse, foot_lines, work_line
from s3napback.progress.summary import summary_lines
from s3napback.progress.widths import fitted, width_of
from s3napback.standing import Finished

HOME = Glimpse("Directory /hom", "FULL", (("read", 2_500_000), ("stored", 1_200_000)), 35_200_000.0, 0.43, 60.0)


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (14, ""),
        (39, "FULL 43%"),
        (60, "FULL 1.2 MB stored 35.2 MB/s 43%"),
        (100, "FULL 2.5 MB read 1.2 MB stored 35.2 MB/s 43% 0:01:20 left"),
    ],
)
def test_the_wider_the_terminal_the_more_is_told(width: int, words: str) -> None:
    line = work_line(HOME, width)
    assert len(line) == width
    assert line.startswith("Direct")
    assert line[14:].split() == words.split()


def test_how_long_it_is_going_to_take_is_told_as_soon_as_it_can_be() -> None:
    assert "left" not in work_line(Glimpse("x", "FULL", part=0.5, seconds=1), 100)
    assert "for 1 s" in work_line(Glimpse("x", "FULL", part=0.5, seconds=1), 100)
    assert "10 s left" in work_line(Glimpse("x", "FULL", part=0.5, seconds=10), 100)
    assert "for 1:00:00" in work_line(Glimpse("x", "FULL", seconds=3600), 100)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.integers(14, 210),
    st.one_of(st.none(), st.floats(0, 1)),
    st.integers(0, 10**15),
)
def test_a_line_is_as_wide_as_it_shall_be_whatever_the_name(name: str, width: int, part: float, count: int) -> None:
    seen = Glimpse(name, "FULL", (("read", count), ("stored", count)), float(count), part, 1e6)
    line = work_line(seen, width)
    assert width_of(line) == width
    assert line.isprintable()


def test_wide_and_combining_characters_are_counted_as_terminals_do() -> None:
    assert width_of("日本語") == 6
    assert width_of("e\u0301") == 1
    assert fitted("日本語の写真", 7) == "日…写真"
    assert fitted("abc", 5) == "abc  "
    assert fitted("abcdefgh", 5) == "ab…gh"


def test_what_has_no_room_below_the_other_is_counted() -> None:
    many = [Glimpse(f"Directory /{number}") for number in range(64)]
    lines = foot_lines(many, "3 of 64 sources", 79, 24)
    assert len(lines) == 22
    assert lines[-2].strip() == "and 44 more"
    assert lines[-1].strip() == "3 of 64 sources"
    assert len(foot_lines(many, "", 79, 4)) == 2
    assert foot_lines([], "", 79, 24) == []


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert "\x1b" not in "".join(foot_lines([Glimpse("Directory /\x1b[2J")], "\x1b[31m", 79, 24))
    assert "\x1b" not in "".join(summary_lines([Finished("Directory /\x1b[2J", "FULL")], 0, 79))


FINISHED = [
    Finished("Directory /etc", "FULL", 2_500_000, 1_200_000, 2.0),
    Finished("Directory /srv/a/very/long/path/to/somewhere/else", "DIFF", 10, 7, 61.0),
    Finished("MySQL wiki", "FAILED"),
]


def test_a_run_ends_with_a_table() -> None:
    lines = summary_lines(FINISHED, 35, 120)
    assert [line.split() for line in lines] == [
        ["Source", "What", "Read", "Stored", "Time", "Rate"],
        ["Directory", "/etc", "FULL", "2.5", "MB", "1.2", "MB", "2.0", "s", "1.2", "MB/s"],
        [
            "Directory",
            "/srv/a/very/long/path/to/somewhere/else",
            "DIFF",
            "10",
            "bytes",
            "7",
            "bytes",
            "0:01:01",
            "0",
            "bytes/s",
        ],
        ["MySQL", "wiki", "FAILED"],
        ["3", "sources", "2.5", "MB", "1.2", "MB"],
        ["35", "requests"],
    ]
    assert summary_lines([], 35, 120) == []


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_the_table_fits_and_tells_sources_apart(width: int) -> None:
    lines = summary_lines(FINISHED, 0, width)
    assert all(width_of(line) <= width for line in lines)
    assert len({line[:14] for line in lines}) == len(lines)
    assert "What" in lines[0]
    assert ("Rate" in lines[0]) == (width >= 80)
