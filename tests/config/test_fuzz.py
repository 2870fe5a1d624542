"""Whatever a file holds, loading it gives a configuration or a ConfigurationError, and nothing else.

``pytest tests/config/test_fuzz.py --fuzz 40000`` is the long form.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3napback.config.loading import load_configuration
from s3napback.config.naming import all_blocks, all_directives
from s3napback.errors import ConfigurationError

_NAMES = [description.name for description in all_directives() if not description.name.startswith("Include")]
_TAGS = [description.name for description in all_blocks()]
_PLAUSIBLE = st.sampled_from(
    ["1", "0", "-1", "7", "/etc", "all", "a b", "On", "gzip", "none", "HanoiCycle", "file:///x", "10M", "02:00", "\0"]
)
_PIECES = st.one_of(
    st.sampled_from([*_NAMES, *(f"<{name}" for name in _TAGS), *(f"</{name}>" for name in _TAGS)]),
    st.sampled_from(
        [" ", "\n", "\r\n", "\\\n", "\\", "#", '"', "'", ">", "<", "/", "=", "<<", "\t", "%", "~", "\ufeff"]
    ),
    _PLAUSIBLE,
    st.text(max_size=5),
)
_BUCKET = "Bucket some-bucket\n"
"""What a file cannot do without: with it all the rest is looked at."""

_BEGINNINGS = st.sampled_from(["", _BUCKET, f"{_BUCKET}# "])


SECONDS = 10.0
"""No file of a few lines takes longer, however slow the machine is."""


def check(folder: Path, content: bytes) -> bool:
    """Whether it is a configuration."""
    path = folder / "fuzz.conf"
    path.write_bytes(content)
    began = time.monotonic()
    try:
        load_configuration(path)
        is_read = True
    except ConfigurationError as error:
        is_read = False
        assert error.problems
        assert all(problem.startswith(str(path)) and "\n" not in problem for problem in error.problems)
        assert not any("Apache-style" in problem for problem in error.problems)
    assert time.monotonic() - began < SECONDS
    return is_read


Fuzz = Callable[[st.SearchStrategy[bytes]], None]


@pytest.fixture
def fuzz(tmp_path: Path, request: pytest.FixtureRequest) -> Fuzz:
    """Check files of many contents, some of which are read, and that nothing but the file comes to be beside it."""

    def run(contents: st.SearchStrategy[bytes]) -> None:
        outcomes = set()

        @settings(
            max_examples=request.config.getoption("--fuzz"),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(contents)
        def check_one(content: bytes) -> None:
            outcomes.add(check(tmp_path, content))

        check_one()
        assert outcomes == {True, False}
        assert [path.name for path in tmp_path.iterdir()] == ["fuzz.conf"]

    return run


@pytest.mark.timeout(7200)
def test_any_mixture_of_pieces_is_read_or_cleanly_refused(fuzz: Fuzz) -> None:
    files = st.builds(str.__add__, _BEGINNINGS, st.lists(_PIECES, max_size=40).map("".join))
    fuzz(files.map(lambda text: text.encode(errors="surrogatepass")))


@pytest.mark.timeout(7200)
def test_any_bytes_are_read_or_cleanly_refused(fuzz: Fuzz) -> None:
    texts = st.text(max_size=60).map(str.encode)
    fuzz(st.builds(bytes.__add__, _BEGINNINGS.map(str.encode), st.one_of(st.binary(max_size=200), texts)))


_DEFAULTS = [f"{each.name} {each.default}" for each in all_directives() if each.default.isalnum()]
_LINES = st.one_of(
    st.sampled_from([*_DEFAULTS, "Directory /etc", "MySQL all", "Exclude x"]),
    st.builds(
        lambda name, values: " ".join([name, *values]),
        st.sampled_from(_NAMES),
        st.lists(st.one_of(st.text(max_size=6), _PLAUSIBLE), max_size=3),
    ),
)
_BLOCKS = st.tuples(
    st.sampled_from(_TAGS), st.one_of(st.text(max_size=4), _PLAUSIBLE), st.lists(_LINES, max_size=4)
).map(lambda block: "\n".join([f"<{block[0]} {block[1]}>", *block[2], f"</{block[0]}>"]))


@pytest.mark.timeout(7200)
def test_any_values_are_read_or_cleanly_refused(fuzz: Fuzz) -> None:
    parts = st.lists(st.one_of(_LINES, _BLOCKS), max_size=6)
    fuzz(parts.map(lambda each: "\n".join([_BUCKET, *each]).encode(errors="surrogatepass")))
