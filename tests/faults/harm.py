"""What must hold after a fault of the matrix has befallen a run."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

from tests.faults.cells import Cell, Outcome
from tests.faults.machine import Machine, Observed
from tests.faults.runner import Ended

EXIT_CODES = {
    Outcome.FAILS: 1,
    Outcome.SURVIVES: 0,
    Outcome.LANDED: 1,
    Outcome.SPOILED: 1,
    Outcome.KILLED: -signal.SIGKILL,
}


UNANSWERED = frozenset(
    {"begin upload", "upload part", "upload in one", "complete", "look after", "abort", "state commit"}
)
"""Stages in which all of an archive may have been sent, so that a run notes it if it does not learn what came of it."""


def assert_harmless(cell: Cell, machine: Machine) -> None:
    """Bring the fault upon a run: nothing is lost, no bad archive passes for a good one, and the next night works."""
    night = machine.reset(full=cell.full)
    machine.configure(settings=cell.settings, general=cell.general)
    machine.subject.change(night, large=cell.large)
    before = machine.observe()

    with cell.injection(machine):
        ended = machine.run(night, fault=cell.fault_name)

    assert ended.code == EXIT_CODES[cell.outcome], ended.stderr
    CHECKS[cell.outcome](machine, before)
    if cell.remembered:
        check_remembered(machine, night)
    check_message(cell, machine, ended)
    if cell.stage not in UNANSWERED and cell.outcome is not Outcome.KILLED:
        machine.check_no_note()
    machine.check_nothing_left(uploads=not (cell.leaves_upload or cell.outcome is Outcome.KILLED))
    machine.configure()
    if cell.outcome is Outcome.LANDED and cell.full:
        # Run once more in the same night, it does not take what lies in the slot for done.
        machine.succeed(night)
        machine.check_newest()
        machine.check_diff_dir_is_tidy()
    machine.check_made_up(night + 1)


def check_message(cell: Cell, machine: Machine, ended: Ended) -> None:
    """The message names the source, the stage and the cause."""
    if EXIT_CODES[cell.outcome] == 1:
        assert f"{machine.subject.label} FAILED" in ended.stderr, ended.stderr
        for word in cell.words:
            assert word in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "bug" not in ended.stderr


def check_unchanged(machine: Machine, before: Observed) -> None:
    """The store is byte for byte what it was, and so is DiffDir, but for the note of an upload."""
    now = machine.observe()
    assert now.objects == before.objects
    assert now.diff_dir == before.diff_dir


def check_only_the_slot_changed(machine: Machine, before: Observed, *, state_too: bool = True) -> None:
    """DiffDir is as it was, and so is every object but those of one slot."""
    now = machine.observe()
    assert not state_too or now.diff_dir == before.diff_dir
    differing = {
        machine.slot_of(key)
        for key in {*now.objects, *before.objects}
        if now.objects.get(key) != before.objects.get(key)
    }
    assert len(differing) == 1, differing


def check_landed(machine: Machine, before: Observed) -> None:
    """What has arrived is whole."""
    check_only_the_slot_changed(machine, before)
    machine.check_newest()


def check_survived(machine: Machine, before: Observed) -> None:
    """The new archive is there, and good."""
    assert machine.observe().objects != before.objects
    machine.check_newest()
    machine.check_diff_dir_is_tidy()


def check_killed(machine: Machine, before: Observed) -> None:
    """What state knew is still there, and where the slot changed the new archive is whole."""
    machine.check_no_children()
    now = machine.observe()
    if now.objects == before.objects:
        for path, data in before.diff_dir.items():
            assert now.diff_dir.get(path) == data, path
    else:
        check_only_the_slot_changed(machine, before, state_too=False)
        machine.check_newest()


def check_remembered(machine: Machine, night: int) -> None:
    """The archive of this night has arrived, and is the last one that DiffDir names."""
    newest = machine.records()[machine.newest()]
    assert newest.day == machine.day(night)
    (state,) = machine.site.diff_dir.glob("*/*/state.json")
    assert json.loads(state.read_text())["history"]["chain"][-1]["id"] == newest.id


CHECKS: dict[Outcome, Callable[[Machine, Observed], None]] = {
    Outcome.FAILS: check_unchanged,
    Outcome.SURVIVES: check_survived,
    Outcome.LANDED: check_landed,
    Outcome.SPOILED: check_only_the_slot_changed,
    Outcome.KILLED: check_killed,
}
