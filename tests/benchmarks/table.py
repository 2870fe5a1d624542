"""Running trials in rounds, and the table of what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from tests.benchmarks.contenders import Contender
from tests.benchmarks.measuring import Failed, Usage
from tests.benchmarks.trials import Case, Trial

HEADINGS = ("case", "measured", "result", "against", "its result", "ratio", "goal", "")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        ratio: our figure divided by the other one's, or our own where the goal is absolute; empty if there is none.
        verdict: whether the goal is reached; empty if there is none.
    """

    case: str
    measured: str
    result: str
    against: str = ""
    other_result: str = ""
    ratio: str = ""
    goal: str = ""
    verdict: Literal["reached", "MISSED", ""] = ""

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.case, self.measured, self.result, self.against, self.other_result, self.ratio, self.goal, self.verdict
        )  # fmt: skip


def rows_of(case: Case, trial: Trial, rounds: int, say: Callable[[str], None]) -> list[Row]:
    """Measure everybody in turn, round by round, and compare the medians.

    A contender that fails is said to, and left out from then on; we must not fail.
    """
    usages: dict[str, list[Usage]] = {}
    failures: dict[str, str] = {}
    for turn in range(rounds * case.rounds):
        trial.before_round(turn)
        for contender in (trial.ours, *trial.others):
            if contender.name in failures:
                continue
            try:
                usage = contender.measure(turn)
            except Failed as error:
                if contender is trial.ours:
                    raise
                failures[contender.name] = str(error)
                say(f"{case.name}: {contender.name}: {error}")
                continue
            usages.setdefault(contender.name, []).append(usage)
            say(
                f"{case.name}, round {turn + 1}: {contender.name}: {usage.seconds:.2f} s, "
                f"{usage.processor:.2f} s of processor, {usage.peak / 1e6:.0f} MB"
            )
    own_row = _own_row(case, trial, usages[trial.ours.name])
    others = [_other_row(case, trial, contender, usages, failures) for contender in trial.others]
    return [*own_row, *others]


def _own_row(case: Case, trial: Trial, usages: Sequence[Usage]) -> list[Row]:
    """Our figure against an absolute goal, if there is one."""
    if trial.limit is None:
        return []
    unit = _unit(trial)
    figure = median(_figures(trial, usages))
    result = _shown(trial, usages)
    verdict: Literal["reached", "MISSED"] = "reached" if figure <= trial.limit else "MISSED"
    return [Row(case.title, trial.ours.name, result, goal=f"≤ {unit(trial.limit)}", verdict=verdict)]


def _other_row(
    case: Case, trial: Trial, contender: Contender, usages: dict[str, list[Usage]], failures: dict[str, str]
) -> Row:
    ours = usages[trial.ours.name]
    result = _shown(trial, ours)
    goal = "" if contender.goal is None else f"≤ {contender.goal:g}"
    if contender.name in failures:
        failure = f"not measured: {failures[contender.name]}"
        return Row(case.title, trial.ours.name, result, contender.name, failure, goal=goal)
    theirs = usages[contender.name]
    ratio = median(_figures(trial, ours)) / median(_figures(trial, theirs))
    verdict: Literal["reached", "MISSED", ""] = ""
    if contender.goal is not None:
        verdict = "reached" if ratio <= contender.goal else "MISSED"
    other = _shown(trial, theirs)
    return Row(case.title, trial.ours.name, result, contender.name, other, f"{ratio:.3f}", goal, verdict)


def _figures(trial: Trial, usages: Sequence[Usage]) -> list[float]:
    return [float(getattr(usage, trial.quantity)) for usage in usages]


def _shown(trial: Trial, usages: Sequence[Usage]) -> str:
    """The median, the spread where there are several rounds, and what was stored."""
    unit = _unit(trial)
    figures = _figures(trial, usages)
    text = unit(median(figures))
    if len(figures) > 1:
        text += f" ({unit(min(figures)).split()[0]}–{unit(max(figures)).split()[0]})"
    if (stored := usages[-1].stored) and trial.quantity != "stored":
        text += f", {_shown_bytes(stored)} stored"
    return text


def _unit(trial: Trial) -> Callable[[float], str]:
    return _shown_seconds if trial.quantity in {"seconds", "processor"} else _shown_bytes


def _shown_seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _shown_bytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count:.1f} bytes"


def markdown(rows: Sequence[Row], remarks: Sequence[str]) -> str:
    """The table as Markdown, with lines of text above it."""
    lines = [*(f"{remark}\n" for remark in remarks), _markdown_line(HEADINGS), _markdown_line(["---"] * len(HEADINGS))]
    return "\n".join([*lines, *(_markdown_line(row.cells) for row in rows)]) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def plain(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    table = [HEADINGS, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
    )
