"""Restores random archives until time is up: whatever they hold, nothing outside of WHERE may change.

``python -m tests.hostile.fuzzing SECONDS SEED FOLDER`` goes on after a failure, and writes each into the folder;
with ``SEED:CASE`` it tries that one only.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.runner import Ended
from tests.hostile.archives import END, put, zipped
from tests.hostile.grammar import Author, Chain
from tests.hostile.restoring import SHAPES, USERS, Restorer, harm_done, sandboxed_folder, surroundings
from tests.hostile.worker import SECONDS

_MOST_TRIES = 150  # to make a recipe shorter
_MOST_ALIKE = 5  # reports
_FEWEST = 20  # cases, however slow the machine is


@dataclass
class Workers:
    """One process for each user; in place of ``Runner``, for a world where thousands of restores shall be made."""

    folder: Path
    within: Sequence[str]
    environment: Mapping[str, str]
    _running: dict[int, subprocess.Popen[str]] = field(default_factory=dict)

    def run(
        self,
        arguments: Sequence[str],
        _environment: Mapping[str, str],
        *,
        fault: str = "",  # noqa: ARG002 - no worker has the second wall
        user: int = 0,
    ) -> Ended:
        """One restore; a worker that dies of it is an end with a signal."""
        worker = self._worker(user)
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps({"arguments": list(arguments)}) + "\n")
        worker.stdin.flush()
        select.select([worker.stdout], [], [], 2 * SECONDS)
        line = worker.stdout.readline()
        if not line:
            del self._running[user]
            worker.stdin.close()
            return Ended(worker.wait(), "", (self.folder / f"said-{user}").read_text(errors="replace"))
        answer = json.loads(line)
        return Ended(answer["code"], "", answer["stderr"])

    def _worker(self, user: int) -> subprocess.Popen[str]:
        if user not in self._running:
            said = self.folder / f"said-{user}"
            command = [*self.within, sys.executable, "-m", "tests.hostile.worker", str(said), str(user)]
            self._running[user] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment
            )
        return self._running[user]

    def end(self) -> None:
        for worker in self._running.values():
            worker.communicate()


@dataclass(frozen=True)
class Case:
    """A chain of archives, and how it is restored."""

    label: str
    who: str
    shape: str
    chain: Chain

    def __str__(self) -> str:
        lines = [f"# {self.label}: {self.shape}, by {self.who}"]
        for calls in self.chain:
            lines += ["archive(", *(f"    {each}," for each in calls), ")"]
        return "\n".join(lines)


@dataclass
class Fuzzer:
    """Makes cases and tries them."""

    restorer: Restorer
    seed: str

    def case(self, number: int) -> Case:
        random = Random(f"{self.seed}:{number}")
        who, shape = random.choice(list(USERS)), random.choice(list(SHAPES))
        author = Author(random, str(self.restorer.world(who).outside))
        return Case(f"{self.seed}:{number}", who, shape, author.chain())

    def harm(self, case: Case) -> list[str]:
        """What a case does that it must not."""
        world, shape = self.restorer.world(case.who), SHAPES[case.shape]
        world.prepare(in_place=shape.in_place)
        for slot, calls in enumerate(case.chain):
            put(world.vault, slot, zipped(b"".join(each.made() for each in calls) + END))
        world.give(world.vault)
        ended = self.restorer.restore(world, shape)
        harm = harm_done(world, shape, ended)
        return [*harm, ended.stderr] if harm else []

    def shortened(self, case: Case) -> Case:
        """The same harm with fewer members, as far as some tries go."""
        tries = 0
        for slot in range(len(case.chain)):
            for index in reversed(range(len(case.chain[slot]))):
                calls = case.chain[slot][:index] + case.chain[slot][index + 1 :]
                shorter = Case(case.label, case.who, case.shape, (*case.chain[:slot], calls, *case.chain[slot + 1 :]))
                tries += 1
                if tries < _MOST_TRIES and self.harm(shorter):
                    case = shorter
        return case

    def failures(self, seconds: float, counted: list[int]) -> Iterator[str]:
        """Try cases for so long; yields a report of each that does harm."""
        until = time.monotonic() + seconds
        alike: Counter[frozenset[str]] = Counter()
        while time.monotonic() < until or counted[0] < _FEWEST:
            case = self.case(counted[0])
            counted[0] += 1
            kind = frozenset(line.partition(":")[0].partition("/")[0] for line in self.harm(case)[:-1])
            alike[kind] += 1
            if kind and alike[kind] <= _MOST_ALIKE:
                short = self.shortened(case)
                harm = self.harm(short) or ["not again"]
                yield "\n".join([str(short), *(f"# {line}" for line in "\n".join(harm).splitlines())])


@contextmanager
def fuzzer(seed: str) -> Iterator[Fuzzer]:
    """A fuzzer with worlds and workers of its own."""
    with ExitStack() as stack:
        base = stack.enter_context(sandboxed_folder())
        (base / "runs").mkdir()
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
        workers = Workers(base / "runs", surroundings(base), environment)
        stack.callback(workers.end)
        yield Fuzzer(Restorer(base, workers, environment), seed)


def _main(seconds: float, seed: str, folder: Path) -> None:
    seed, _, number = seed.partition(":")
    counted = [0]
    with fuzzer(seed) as fuzz:
        if number:
            case = fuzz.case(int(number))
            print(case, *fuzz.harm(case), sep="\n")  # noqa: T201
            return
        for report in fuzz.failures(seconds, counted):
            label = report.split(":")[1]
            (folder / f"fuzz-{seed}-{label}.md").write_text(f"{report}\n")
            print(f"case {label} of {counted[0]}", flush=True)  # noqa: T201
    print(f"{counted[0]} cases of seed {seed}")  # noqa: T201


if __name__ == "__main__":
    _main(float(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
