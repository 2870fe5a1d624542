"""What a command does not need it does not load: most of what a small one takes is to import modules."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from tests.site import Site

PROGRAM = """
import atexit, sys
from s3napback.__main__ import main
atexit.register(lambda: print(*sys.modules, file=open({file!r}, "w")))
main()
"""

LIBRARIES = ("botocore", "boto3", "dateutil", "rich", "sqlite3", "zstandard")
OF_ARCHIVES = ("cryptography", "isal")
OTHER_KINDS = tuple(f"s3napback.sources.{kind}" for kind in ("mysql", "postgresql", "sqlite", "subversion", "command"))
THE_WEB = ("http.client", "urllib.request", "email", "ssl")
MAKING = ("s3napback.backup", "s3napback.deciding.plans", "s3napback.sources.directory")
REBUILDING = ("s3napback.recovery.directory", "s3napback.recovery.original", "s3napback.recovery.subversion")
SHOWING = ("s3napback.page", "s3napback.listing", "s3napback.drilling", "s3napback.doctor", "s3napback.founding")


@dataclass(frozen=True)
class Without:
    """What a command must do without.

    Attributes:
        arguments: of the command; SOURCE and OUT stand for folders.
        modules: with all that lies below them.
        needed: for comparison, that it is looked for at the right place.
    """

    arguments: tuple[str, ...]
    modules: tuple[str, ...]
    needed: tuple[str, ...] = field(default=("s3napback.config.loading",))


COMMANDS = [
    Without(
        ("--version",),
        (
            *LIBRARIES,
            *OF_ARCHIVES,
            *THE_WEB,
            *MAKING,
            *SHOWING,
            "apacheconfig",
            "logging.handlers",
            "socket",
            "s3napback.config",
        ),
        ("s3napback.cli",),
    ),
    Without(
        ("schedule",),
        (*LIBRARIES, *OF_ARCHIVES, *THE_WEB, *SHOWING, "s3napback.recovery", "s3napback.stores.s3", "logging.handlers"),
    ),
    Without(
        ("status",),
        (*LIBRARIES, *OF_ARCHIVES, *THE_WEB, *MAKING, "s3napback.page", "s3napback.recovery", "s3napback.sources"),
    ),
    Without(
        ("list",),
        (*set(LIBRARIES) - {"rich"}, *OF_ARCHIVES, *THE_WEB, *MAKING, *REBUILDING, "s3napback.page"),
    ),
    Without(("-t",), (*LIBRARIES, *THE_WEB, *OTHER_KINDS, *REBUILDING, *SHOWING, "s3napback.backup.restorable")),
    Without(
        ("--full", "-f"),
        (*set(LIBRARIES) - {"sqlite3"}, *THE_WEB, *OTHER_KINDS, *REBUILDING, *SHOWING),
        ("s3napback.sources.directory",),
    ),
    Without(
        ("dump", "SOURCE", "file"),
        (*LIBRARIES[:2], "rich", *THE_WEB, *MAKING, *REBUILDING, *SHOWING, "s3napback.recovery.folder_dump"),
        ("s3napback.recovery.dumping",),
    ),
    Without(
        ("restore", "SOURCE", "file", "--to", "OUT"),
        (*LIBRARIES[:2], "rich", *THE_WEB, *MAKING, *REBUILDING[1:], *SHOWING, "s3napback.recovery.dumping"),
        ("s3napback.recovery.directory",),
    ),
]


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case.arguments[0])
def test_a_command_loads_nothing_that_it_can_do_without(site: Site, case: Without) -> None:
    (site.source / "file").write_text("x")
    site.configure_cycle("")
    site.run()
    places = {"SOURCE": str(site.source), "OUT": str(site.root / "out")}
    file = site.root / "modules"
    options = [places.get(each, each) for each in case.arguments]
    command = [sys.executable, "-c", PROGRAM.format(file=str(file)), *site.command(*options)[3:]]
    done = subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = file.read_text().split()
    assert set(case.needed) <= set(loaded)
    assert [name for name in loaded if any(f"{name}.".startswith(f"{each}.") for each in case.modules)] == []
