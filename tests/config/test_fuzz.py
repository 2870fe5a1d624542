"""Whatever a file holds, loading it gives a configuration or a ConfigurationError, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3napback.config.directives import BLOCKS, DIRECTIVES
from s3napback.config.loading import load_configuration
from s3napback.errors import ConfigurationError

_NAMES = [description.name for description in DIRECTIVES if not description.name.startswith("Include")]
_TAGS = [description.name for description in BLOCKS]
_PIECES = st.one_of(
    st.sampled_from([*_NAMES, *(f"<{name}" for name in _TAGS), *(f"</{name}>" for name in _TAGS)]),
    st.sampled_from(
        [" ", "\n", "\r\n", "\\\n", "\\", "#", '"', "'", ">", "<", "/", "=", "<<", "\t", "%", "~", "\ufeff"]
    ),
    st.sampled_from(
        ["1", "0", "-1", "/etc", "all", "a b", "On", "gzip", "HanoiCycle", "Bucket x\n", "file:///x", "\0"]
    ),
    st.text(max_size=5),
)


def check(folder: Path, content: bytes) -> None:
    path = folder / "fuzz.conf"
    path.write_bytes(content)
    try:
        load_configuration(path)
    except ConfigurationError as error:
        assert error.problems
        assert all(problem.startswith(str(path)) and "\n" not in problem for problem in error.problems)
        assert not any("Apache-style" in problem for problem in error.problems)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces=st.lists(_PIECES, max_size=40))
def test_any_mixture_of_pieces_is_read_or_cleanly_refused(folder: Path, pieces: list[str]) -> None:
    check(folder, "".join(pieces).encode(errors="surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_cleanly_refused(folder: Path, content: bytes) -> None:
    check(folder, content)


_LINES = st.tuples(st.sampled_from(_NAMES), st.lists(st.text(max_size=6), max_size=3)).map(
    lambda line: " ".join([line[0], *line[1]])
)
_BLOCKS = st.tuples(st.sampled_from(_TAGS), st.text(max_size=4), st.lists(_LINES, max_size=4)).map(
    lambda block: "\n".join([f"<{block[0]} {block[1]}>", *block[2], f"</{block[0]}>"])
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.one_of(_LINES, _BLOCKS), max_size=6))
def test_any_values_are_read_or_cleanly_refused(folder: Path, parts: list[str]) -> None:
    check(folder, "\n".join(["Bucket x", *parts]).encode(errors="surrogatepass"))
