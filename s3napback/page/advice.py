"""What to do about what is wrong, in a sentence or two. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from s3napback.formatting import shell_word
from s3napback.page.markup import Html, tag, together
from s3napback.records import dataclass
from s3napback.watch.overview import Standing
from s3napback.watch.states import Cause

_OF_FAILURES: Mapping[str, str] = {
    "source": "what is backed up could not be read, or has gone",
    "tool": "a program that makes the backup failed, such as tar, gpg, or what dumps a database",
    "store": "the store did not take the archive, or did not answer",
    "owner": "the archive that would be replaced belongs to another host or source",
    "clock": "the clock of that machine is wrong, or was",
    "key": "a key cannot be used: of gpg, or of the store",
    "bug": "that is a bug in s3napback: a run with -d prints what to report",
}


@dataclass(frozen=True)
class _About:
    """What a sentence speaks of."""

    standing: Standing

    @property
    def host(self) -> Html:
        return tag("bdi", self.standing.place.host)

    def command(self, *words: str) -> Html:
        """A command line, to be copied, of which no line ends within a word."""
        all_words = ("s3napback", f"-c {shell_word(self.standing.place.configuration)}", *words)
        parts = [tag("span", word, class_="word") for word in all_words]
        return tag("code", Html(" ".join(parts)))

    @property
    def source(self) -> str:
        return shell_word(self.standing.source)


def advice(standing: Standing) -> list[Html]:
    """What to do about each thing that is wrong with something, each piece of advice once."""
    about = _About(standing)
    return list(dict.fromkeys(_OF_CAUSES[cause](about) for cause in standing.verdict.causes))


def _late(about: _About) -> Html:
    run = about.command()
    return together("See whether ", about.host, " is on, and whether cron or its timer ran. By hand: ", run, " there.")


def _failed(about: _About) -> Html:
    error = about.standing.said.error if about.standing.said else None
    why = f": {_OF_FAILURES[error]}" if error and error in _OF_FAILURES else ""
    doctor = about.command("doctor")
    return together("Read the log of ", about.host, f"{why}. ", doctor, " there looks at what a run needs.")


def _lost(about: _About) -> Html:
    left, full = about.command("list", "--versions"), about.command("-f", "--full")
    return together("Somebody has deleted or changed it: ", left, " shows what is left. Make a new FULL: ", full, ".")


def _damaged(about: _About) -> Html:
    full = about.command("-f", "--full")
    return together("Make a new FULL: ", full, ", and have it verified. Then look at the disk or store that it lay on.")


def _disproven(about: _About) -> Html:
    return together(about.command("drill", about.source), " tells what is wrong with it. Make a new FULL: ",
                    about.command("-f", "--full"), ".")  # fmt: skip


def _silent(about: _About) -> Html:
    if about.standing.place.configuration == "-":
        return together("See whether s3napback still runs on ", about.host, ". If it is gone on purpose, its archives "
                        "can go, too.")  # fmt: skip
    return together("Let it run once on ", about.host, ": ", about.command(), ".")


def _nothing_begun(about: _About) -> Html:
    doctor = about.command("doctor")
    return together(doctor, " on ", about.host, " says what is missing: a key, the store, a line of the configuration.")


def _dropped(about: _About) -> Html:
    forget = about.command("prune", "--unowned")
    return together("If that is meant, nothing is to be done; it is told for a week. ", forget, " shows what is left.")


def _said(words: str) -> Callable[[_About], Html]:
    return lambda _: together(words)


_OF_CAUSES: Mapping[Cause, Callable[[_About], Html]] = {
    Cause.LATE: _late,
    Cause.FAILED: _failed,
    Cause.LOST: _lost,
    Cause.DAMAGED: _damaged,
    Cause.DISPROVEN: _disproven,
    Cause.SILENT: _silent,
    Cause.NOTHING_BEGUN: _nothing_begun,
    Cause.CLONE: _said("Give each machine a HostName of its own. One whose DiffDir was made anew says this once."),
    Cause.DROPPED: _dropped,
    Cause.UNREAD: _said("Its next run writes a new one. If that is of a newer version, update this machine as well."),
    Cause.FIRST: lambda about: together("Its first run makes it; ", about.command("-t"), " tells when that is due."),
    Cause.PUT_OFF: _said("The next run begins with it. If that happens often, LongestRun is too short."),
    Cause.WARNED: lambda about: together("The log of ", about.host, " has them, and so has the archive's KEY.sha256."),
    Cause.CLOCK: lambda about: together("Set the clock of ", about.host, ", of the store, or of where this was made."),
    Cause.LOCKS: lambda about: together("Let ", about.host, " run before that day: a run makes locks longer."),
}
