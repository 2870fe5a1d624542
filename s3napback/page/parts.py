"""What the parts of a page have in common: how states, days and what verify found are shown. Pure."""

from __future__ import annotations

from datetime import date

from s3napback.page.markup import Html, tag, together
from s3napback.watch.proofs import Known, ReadBack, Seen
from s3napback.watch.states import State

_SHAPES = {
    State.OK: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM6.9 11.3 3.8 8.2l1.2-1.2 1.9 1.9 4.2-4.2 1.2 1.2z",
    State.WARNING: "M8 1 .6 14.5h14.8zM7.1 6h1.8v4.3H7.1zm0 5.4h1.8v1.8H7.1z",
    State.CRITICAL: "M5 1h6l4 4v6l-4 4H5l-4-4V5zM5.6 4.4 4.4 5.6 6.8 8l-2.4 2.4 1.2 1.2L8 9.2l2.4 2.4 "
    "1.2-1.2L9.2 8l2.4-2.4-1.2-1.2L8 6.8z",
    State.UNKNOWN: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM7.2 11h1.7v1.7H7.2zM5.3 6.3C5.4 4.4 6.6 3.5 8.1 3.5"
    "c1.6 0 2.7.9 2.7 2.3 0 1.9-2 2-2 3.9H7.3c0-2.4 1.8-2.6 1.8-3.8 0-.6-.4-1-1.1-1s-1.1.5-1.2 1.4z",
}


def sprite() -> Html:
    """The signs of states, which badges refer to."""
    symbols = [
        tag("symbol", tag("path", d=shape, fill_rule="evenodd"), id=f"i-{state.name.lower()}", viewBox="0 0 16 16")
        for state, shape in _SHAPES.items()
    ]
    return tag("svg", *symbols, width="0", height="0", style="position:absolute", aria_hidden="true")


def badge(state: State) -> Html:
    """A state as a sign and a word."""
    name = state.name.lower()
    icon = tag("svg", tag("use", href=f"#i-{name}"), aria_hidden="true")
    return tag("span", icon, state.name, class_=f"badge s-{name}")


def days_ago(day: date, today: date) -> str:
    """``today``, ``yesterday``, ``3 days ago``; a day that is to come is told as it is."""
    days = (today - day).days
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago" if days > 0 else f"{day}")


def verified(known: Known, today: date) -> Html:
    """When verify last read it, and what that was."""
    words = {ReadBack.VERIFIED: "", ReadBack.INTACT: " (sums)", ReadBack.DAMAGED: ": damaged"}
    return _found(known.verified, today, words[known.verified.mark] if known.verified else "")


def proven(known: Known, today: date) -> Html:
    """When a drill last read it, and whether it failed."""
    words = {ReadBack.PROVEN: "", ReadBack.SAMPLED: " (a sample)", ReadBack.DISPROVEN: ": failed"}
    return _found(known.drill, today, words[known.drill.mark] if known.drill else "")


def _found(seen: Seen | None, today: date, words: str) -> Html:
    if seen is None:
        return tag("span", "never", class_="soft")
    shown = together(days_ago(seen.moment.astimezone().date(), today), words)
    return shown if seen.is_good else tag("strong", shown, class_="s-critical")
