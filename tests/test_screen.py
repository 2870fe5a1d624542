"""What is drawn at the foot of a terminal, and what is written above it."""

from __future__ import annotations

import os
import threading
import time

import pytest

from s3napback import screen
from s3napback.screen import Foot, above, erasing, held


def test_what_is_written_meanwhile_stands_above() -> None:
    ours, theirs = os.pipe()
    with Foot(theirs) as foot:
        foot.draw(["one", "two"])
        assert erasing()
        with above():
            os.write(theirs, b"log\n")
        foot.draw(["three"])
    os.close(theirs)
    with os.fdopen(ours, "rb") as reader:
        text = reader.read()
    assert text == (b"\r\x1b[J\x1b[?7lone\r\ntwo\x1b[?7h\x1b[1A\r\r\x1b[Jlog\n\r\x1b[J\x1b[?7lthree\x1b[?7h\r\r\x1b[J")
    assert not erasing()


def test_whoever_holds_the_terminal_for_ever_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "_PATIENCE", 0.2)
    is_held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with held():
            is_held.set()
            let_go.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    ours, theirs = os.pipe()
    began = time.monotonic()
    with Foot(theirs) as foot:
        foot.draw(["one"])
        with above():
            pass
    assert time.monotonic() - began < 30
    let_go.set()
    thread.join()
    os.close(theirs)
    with os.fdopen(ours, "rb") as reader:
        assert reader.read() == b""
