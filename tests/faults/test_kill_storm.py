"""Runs killed at random moments, one after the other: everything that could be restored before still can be.

``pytest tests/faults/test_kill_storm.py --storm 200 --storm-seed 7 -s`` is the long form; it prints what it met.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.injections import answering
from tests.faults.machine import Machine, Observed
from tests.faults.runner import Ended
from tests.faulty_s3 import Answer, Forward, Request

pytestmark = pytest.mark.long(50)

MOST_STEPS = 100
"""More steps than a run takes at files of the store and of DiffDir; most of them are around completion and commit."""


def states(observed: Observed) -> list[bytes]:
    """What is committed."""
    return [data for path, data in sorted(observed.diff_dir.items()) if path.endswith("state.json")]


class Storm:
    """Kills the runs of one machine."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine = machine
        self.random = random.Random(seed)
        self.night = machine.reset(full=True)
        self.met: Counter[str] = Counter()
        machine.configure()
        machine.subject.change(self.night)
        began = time.monotonic()
        machine.succeed(self.night)
        self.seconds = time.monotonic() - began
        self.steps = MOST_STEPS
        self.kills = 0

    def strike(self) -> None:
        """Kill one run, look, and let the next one work."""
        machine = self.machine
        self.night += 1
        machine.subject.change(self.night, large=self.random.choice((0, 0, 1)))
        before = machine.observe()
        ended = self.random.choice(self._ways())()
        assert ended.code in (0, -signal.SIGKILL), ended.stderr
        machine.check_no_children()
        self._check(before, ended)
        self.night += 1
        machine.check_made_up(self.night)

    def _ways(self) -> list[Callable[[], Ended]]:
        return [self._after_a_while, self._at_a_step] + ([self._at_completion] if self.machine.bucket else [])

    def _after_a_while(self) -> Ended:
        running = self.machine.start(self.night)
        running.has_ended(self.random.uniform(0, self.seconds))
        running.kill()
        return running.wait()

    def _at_a_step(self) -> Ended:
        step = self.random.randint(1, self.steps)
        ended = self.machine.run(self.night, fault=f"step:{step}")
        if ended.code == 0:
            self.steps = step
        return ended

    def _at_completion(self) -> Ended:
        pause = self.random.uniform(0, 0.05)

        def act(request: Request, forward: Forward) -> Answer:
            assert self.machine.running is not None
            threading.Timer(pause, self.machine.running.kill).start()
            return forward(request)

        with answering(("CompleteMultipartUpload|PutObject", act, 1))(self.machine):
            return self.machine.run(self.night)

    def _check(self, before: Observed, ended: Ended) -> None:
        """Nothing but the slot of this night may differ, and what is new in it is whole."""
        machine = self.machine
        now = machine.observe()
        changed = [key for key in {*before.objects, *now.objects} if before.objects.get(key) != now.objects.get(key)]
        assert len({machine.slot_of(key) for key in changed}) <= 1, changed
        landed = any(not key.endswith((".sha256", ".index")) for key in changed)
        if landed:
            machine.check_newest()
        self.kills += ended.code != 0
        if ended.code == 0:
            self.met["had ended by itself"] += 1
        elif not landed:
            self.met["killed before the archive landed"] += 1
        elif states(now) == states(before):
            self.met["killed between landing and commit"] += 1
        else:
            self.met["killed at the commit or after it"] += 1

    def check_all(self) -> None:
        """Every archive in the store decrypts, decompresses and lists without an error."""
        for key in self.machine.records():
            subprocess.run(["tar", "-tz"], input=self.machine.decrypted(key), stdout=subprocess.DEVNULL, check=True)


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("where", ["Directory", "S3"])
def test_whenever_a_run_is_killed_nothing_is_lost(
    where: str, machine_at: Callable[[str], Machine], request: pytest.FixtureRequest
) -> None:
    storm = Storm(machine_at(where), request.config.getoption("--storm-seed"))
    while storm.kills < request.config.getoption("--storm"):
        storm.strike()
    storm.check_all()
    sys.stdout.write(f"{where}: {dict(storm.met)}\n")
    assert storm.met["killed before the archive landed"]
