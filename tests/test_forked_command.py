"""What is forked for a test runs as what is started by itself does."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forked_command import FORKED, ForkedCommand
from tests.site import Site


@pytest.fixture
def forked() -> Iterator[ForkedCommand]:
    made = ForkedCommand()
    yield made
    made.stop()


@pytest.mark.parametrize("options", [("--version",), ("list",), ("--nothing-like-that",), ("-t",)])
def test_it_says_and_answers_the_same(site: Site, options: tuple[str, ...]) -> None:
    site.configure_cycle("Diffs 6")
    environment = site.full_environment()
    command = site.command(*options)
    started = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=site.root, check=False)
    done = FORKED.run(command[3:], environment, site.root, 60)
    assert (done.returncode, done.stdout) == (started.returncode, started.stdout)
    assert without_times(done.stderr) == without_times(started.stderr)


def without_times(log: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d", "", log)


def test_what_python_heeds_once_and_other_threads_are_not_for_it(forked: ForkedCommand, site: Site) -> None:
    environment = site.full_environment()
    assert forked.suits({**environment, "HOME": "/nowhere"})
    for name in ("PYTHONUTF8", "LC_ALL", "LANG", "LD_PRELOAD"):
        assert not forked.suits({**environment, name: "0"})
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(forked.suits(environment)))
    thread.start()
    thread.join()
    assert answers == [False]


def test_a_command_that_takes_too_long_leaves_nothing_to_the_next(forked: ForkedCommand, site: Site) -> None:
    """Its answer would be taken for the next one's."""
    site.fake_program("tar", "exec sleep 5")
    site.configure_cycle("Diffs 6")
    arguments = site.command()[3:]
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run(arguments, site.full_environment(), site.root, 0.5)
    for _ in range(2):
        assert forked.run(["--version"], site.full_environment(), Path("/"), 60).stdout.startswith("s3napback ")
