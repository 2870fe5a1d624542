"""What the tests of the configuration share: writing one, and loading or refusing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3napback.config.loading import load_configuration
from s3napback.config.problems import Problems
from s3napback.config.settings import Configuration, Job
from s3napback.config.syntax import Entry, parse_text
from s3napback.errors import ConfigurationError

BUCKET = "Bucket example\n"


def load(folder: Path, text: str, *, start: str = BUCKET) -> Configuration:
    """The configuration that ``text`` means; ``start`` becomes line 1."""
    path = folder / "test.conf"
    path.write_bytes((start + text).encode())
    return load_configuration(path)


def problems_of(folder: Path, text: str, *, start: str = BUCKET) -> list[str]:
    """What is wrong with ``text``, without the name of the folder."""
    with pytest.raises(ConfigurationError) as raised:
        load(folder, text, start=start)
    assert raised.value.exit_code == 2
    return [problem.replace(f"{folder}/", "") for problem in raised.value.problems]


def problem_of(folder: Path, text: str, *, start: str = BUCKET) -> str:
    """The one thing that is wrong with ``text``."""
    found = problems_of(folder, text, start=start)
    assert len(found) == 1, found
    return found[0]


def all_warnings_of(folder: Path, text: str, *, start: str = BUCKET) -> list[str]:
    """What ``text`` makes doubtful, without the name of the folder."""
    return [warning.replace(f"{folder}/", "") for warning in load(folder, text, start=start).warnings]


def warnings_of(folder: Path, text: str, *, start: str = BUCKET) -> list[str]:
    """The same without the word on encryption, which most texts here leave out."""
    return [each for each in all_warnings_of(folder, text, start=start) if "archives are not encrypted:" not in each]


def only_job(configuration: Configuration) -> Job:
    assert len(configuration.jobs) == 1
    return configuration.jobs[0]


def in_block(line: str) -> str:
    return f"<Directory /etc>\n{line}\n</Directory>"


def parse(text: str) -> tuple[Entry, ...]:
    """The tree of a text that has nothing wrong in it."""
    problems = Problems()
    entries = parse_text(text, "f", problems)
    problems.raise_errors()
    return entries


def syntax_problems(text: str) -> list[str]:
    problems = Problems()
    parse_text(text, "f", problems)
    with pytest.raises(ConfigurationError) as raised:
        problems.raise_errors()
    return list(raised.value.problems)
