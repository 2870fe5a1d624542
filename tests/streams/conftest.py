"""Fake programs, and the proof after every test that nothing outlives a pipeline."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.streams.processes import Stage
from tests.streams.helpers import Fake, children, open_descriptors
from tests.waiting import becomes


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Make a program of any name out of lines for the shell."""

    def make(name: str, script: str) -> Stage:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Stage((str(program),))

    return make


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test may leave a descriptor, a thread, a child or an unclosed object behind."""
    gc.collect()
    descriptors, threads, processes = open_descriptors(), threading.active_count(), children()
    yield
    gc.collect()
    # What other tests of this process left behind may go meanwhile, and nothing may be added.
    assert open_descriptors().items() <= descriptors.items()
    # A thread that was let go of may still be about to end.
    assert becomes(lambda: threading.active_count() <= threads)
    assert children() <= processes
