"""What was loaded is not searched for garbage, and everything else is."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from s3napback.memory import loading
from tests.site import Site


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()
    assert gc.isenabled()


def test_nothing_is_searched_while_something_is_loaded_nor_what_was_loaded_later() -> None:
    gc.unfreeze()
    with loading():
        assert not gc.isenabled()
        loaded = [[number] for number in range(100)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(loaded)


def test_a_load_that_fails_leaves_it_as_it_was() -> None:
    with pytest.raises(ImportError), loading():
        raise ImportError("no such module")
    assert gc.isenabled()


@pytest.mark.parametrize("is_first_done_first", [True, False])
def test_two_threads_that_load_have_it_searched_again_when_both_are_done(is_first_done_first: bool) -> None:
    begun, done = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]

    def load(number: int) -> None:
        with loading():
            begun[number].set()
            done[number].wait(10)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(2)]
    for number, thread in enumerate(threads):
        thread.start()
        begun[number].wait(10)
    for number in (0, 1) if is_first_done_first else (1, 0):
        done[number].set()
        threads[number].join()
    assert gc.isenabled()


def test_a_command_searches_what_it_makes_and_not_its_modules(site: Site) -> None:
    site.configure_cycle("")
    program = (
        "import atexit, gc, sys\n"
        "from s3napback.__main__ import main\n"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000))\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, *site.command("schedule")[3:]]
    done = subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=True)
    assert done.stdout.endswith("True True\n")
