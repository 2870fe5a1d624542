"""What starts a configuration every night: units of systemd, or a line of cron. Pure, but for two files beside this."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files

from s3napback.records import dataclass

_EXEC = "ExecStart=/usr/local/bin/s3napback"
_WRITABLE = "#ReadWritePaths=/srv/vault"
_MOUNTS = "#RequiresMountsFor=/srv/vault"
_HOME = "Environment=HOME=/root"


@dataclass(frozen=True)
class Nightly:
    """What is to be started.

    Attributes:
        program: how s3napback is started: the first word is an absolute path.
        configuration: its absolute path.
        home: HOME of the user who runs it.
        writable: absolute paths of folders that it writes to.
        mounts: absolute paths of folders that must be mounted.
    """

    program: Sequence[str]
    configuration: str
    home: str
    writable: Sequence[str] = ()
    mounts: Sequence[str] = ()

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        return [*self.program, "-c", self.configuration]


def unit_name(stem: str) -> str:
    """The name of the units of a configuration, without their ends; systemd takes few characters (systemd.unit(5))."""
    return "s3napback" if stem == "s3napback" else "s3napback-" + re.sub(r"[^A-Za-z0-9_.-]", "_", stem)


def units(nightly: Nightly, name: str) -> Mapping[str, str]:
    """A service and its timer, by file name: those of the examples, with this machine's paths."""
    service, timer = (files(__package__).joinpath(f"s3napback.{kind}").read_text("utf-8") for kind in _KINDS)
    mounts = " ".join(_unit_word(each) for each in nightly.mounts)
    writable = " ".join(_unit_word(each) for each in nightly.writable)
    for old, new in (
        (_EXEC, "ExecStart=" + " ".join(_unit_word(word, in_command=True) for word in nightly.command)),
        (_HOME, f"Environment={_unit_word(f'HOME={nightly.home}')}"),
        (_WRITABLE, f"ReadWritePaths={writable}" if writable else _WRITABLE),
        (_MOUNTS, f"RequiresMountsFor={mounts}" if mounts else _MOUNTS),
    ):
        service = _replaced_line(service, old, new)
    return {f"{name}.service": _body(service), f"{name}.timer": _body(timer)}


_KINDS = ("service", "timer")


def _body(text: str) -> str:
    """Without the comments at its beginning, which tell how to install it."""
    return "# Written by s3napback init.\n\n" + text[text.index("[Unit]") :]


def _replaced_line(text: str, old: str, new: str) -> str:
    lines = text.split("\n")
    lines[lines.index(old)] = new
    return "\n".join(lines)


def _unit_word(word: str, *, in_command: bool = False) -> str:
    """A word as systemd reads it: percent signs begin specifiers, and in commands dollar signs variables."""
    text = word.replace("%", "%%")
    if in_command:
        text = text.replace("$", "$$")
    if re.fullmatch(r"[^\s\"'\\;#]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def cron_line(nightly: Nightly, user: str = "root") -> str:
    """A line of cron, which takes a percent sign without a backslash for the end of the line (crontab(5)).

    Args:
        user: whom it names, as lines of the system's do; empty for those of ``crontab -e``.
    """
    command = shlex.join(nightly.command).replace("%", "\\%")
    return " ".join(filter(None, ["20 4 * * *", user, command]))


def cron_text(nightly: Nightly) -> str:
    """A file for ``/etc/cron.d``. What goes wrong is mailed, if the machine can mail."""
    settings = f"HOME={nightly.home}\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nMAILTO=root"
    return f"# Written by s3napback init.\n\nSHELL=/bin/sh\n{settings}\n\n{cron_line(nightly)}\n"
