"""Logging, as a process of its own does it: with a real mail server, real files and a full device."""

from __future__ import annotations

import codecs
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.logging_scripts import log_lines, run
from tests.site import Site

MINIMAL = """
[loggers]
keys=root
[handlers]
keys=only
[formatters]
keys=
[logger_root]
level=INFO
handlers=only
[handler_only]
class={handler}
args={arguments}
"""


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    """A logging.ini that writes messages alone to ``only.log`` beside it."""
    path = tmp_path / "logging.ini"
    path.write_text(MINIMAL.format(handler="FileHandler", arguments=f"({str(tmp_path / 'only.log')!r},)"))
    return path


# Without a file


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_what_cron_mails_of_a_failed_night_begins_with_what_failed(site: Site, quiet: tuple[str, ...]) -> None:
    (site.source / "file").write_text("x")
    sources = f"Directory {site.source}\nDirectory {site.root}/absent\nDirectory {site.temp_dir}"
    # Of this there is a warning before anything begins.
    site.configure(f"<Cycle nightly>\n{sources}\nExclude {site.root}/x/\n</Cycle>")
    done = subprocess.run(
        site.command(*quiet), env=site.full_environment(), capture_output=True, text=True, check=False
    )
    first, *others = done.stderr.splitlines()
    assert "absent FAILED" in first
    assert [line.split()[2] for line in others] == (["WARNING"] if quiet else ["WARNING", "INFO", "INFO", "INFO"])


def test_a_file_gets_every_line_when_it_is_said_and_a_pipe_all_of_them_at_the_end(site: Site) -> None:
    (site.source / "file").write_text("x")
    site.configure_cycle("")
    in_file = site.run(day=0).stderr
    done = subprocess.run(site.command(day=1), env=site.full_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert [line[20:60] for line in done.stderr.splitlines()] == [line[20:60] for line in in_file.splitlines()]


def test_without_a_file_lines_have_time_level_and_kind_and_go_to_standard_error() -> None:
    lines = log_lines("""
start()
logger_for("Directory").warning("%s changed", "/etc/motd")
logger_for("SubversionDir").info("two repositories")
logging.getLogger("s3napback").info("3 done")
logger_for("MySQL").debug("unseen")
logging.getLogger("another.library").info("unseen")
""")
    stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
    assert all(stamp.match(line) for line in lines)
    assert [stamp.sub("", line) for line in lines] == [
        "WARNING directory: /etc/motd changed",
        "INFO subversion: two repositories",
        "INFO s3napback: 3 done",
    ]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Directory", "s3napback.directory"),
        ("MySQL", "s3napback.mysql"),
        ("PostgreSQL", "s3napback.postgresql"),
        ("Subversion", "s3napback.subversion"),
        ("SubversionDir", "s3napback.subversion"),
    ],
)
def test_each_kind_of_source_has_its_logger(kind: str, name: str) -> None:
    assert log_lines("print(logger_for(sys.argv[1]).name, file=sys.stderr)", kind) == [name]


def test_debug_shows_our_debug_lines_but_never_those_of_the_libraries() -> None:
    lines = log_lines("""
names = ("botocore", "botocore.auth", "boto3.resources", "urllib3.connectionpool", "s3transfer")
for name in names:
    logging.getLogger(name).setLevel(logging.DEBUG)
start(debug=True)
logger_for("PostgreSQL").debug("seen")
for name in (*names, "botocore.endpoint"):
    logging.getLogger(name).info("Authorization: secret")
logging.getLogger("botocore.endpoint").warning("retrying")
""")
    assert [line.split(" ", 2)[2] for line in lines] == [
        "DEBUG postgresql: seen",
        "WARNING botocore.endpoint: retrying",
    ]


def test_setting_up_again_does_not_double_the_lines(minimal: Path) -> None:
    lines = log_lines("start(); start(sys.argv[1]); start(); logger_for('MySQL').info('once')", minimal)
    assert len(lines) == 1
    assert (minimal.parent / "only.log").read_text() == ""


# One line each


def test_control_characters_in_names_cannot_break_or_disguise_a_line() -> None:
    lines = log_lines(r"""
start()
log = logger_for("Directory")
log.warning("%s", "new\nline \x1b[2J \x85 \u2028 \u202e \udcff grün")
log.warning("in the format\r itself")
""")
    assert [line.partition("directory: ")[2] for line in lines] == [
        r"new\nline \x1b[2J \x85 \u2028 \u202e \xff grün",
        r"in the format\r itself",
    ]


def test_a_logging_ini_cannot_undo_that(minimal: Path) -> None:
    result = run(r"start(sys.argv[1]); logger_for('MySQL').info('%s', 'new\nline \udcff')", minimal)
    assert (result.returncode, result.stderr) == (0, "")
    assert (minimal.parent / "only.log").read_text() == "new\\nline \\xff\n"


def test_lines_kept_back_in_memory_are_made_harmless_too(tmp_path: Path) -> None:
    path = tmp_path / "logging.ini"
    log = tmp_path / "only.log"
    memory = MINIMAL.format(handler="handlers.MemoryHandler", arguments="(10, 40)\ntarget=kept")
    path.write_text(
        memory.replace("keys=only", "keys=kept,only") + f"[handler_kept]\nclass=FileHandler\nargs=({str(log)!r},)\n"
    )
    result = run(r"start(sys.argv[1]); logger_for('MySQL').info('new\nline')", path)
    assert result.returncode == 0, result.stderr
    assert log.read_text() == "new\\nline\n"


def test_each_line_of_an_error_is_a_line_of_the_log(minimal: Path) -> None:
    script = r"""
from s3napback.logs import log_lines
start(*sys.argv[1:])
log_lines(logger_for("Directory"), logging.ERROR, ("it failed:", "  a\nb \x1b \u2028c", "  d"))
log_lines(logger_for("Directory"), logging.ERROR, ("alone",))
"""
    lines = log_lines(script)
    assert [line.partition(" ERROR directory: ")[2] for line in lines] == [
        "it failed:",
        r"  a\nb \x1b \u2028c",
        "  d",
        "alone",
    ]
    run(script, minimal)
    assert (minimal.parent / "only.log").read_text().split("\n") == [
        "it failed:",
        *(r"  a\nb \x1b \u2028c", "  d", "alone", ""),
    ]


def test_the_text_of_an_exception_begins_no_line() -> None:
    lines = log_lines(r"""
start(debug=True)
try:
    raise ValueError("odd\n2001-01-01 00:00:00 INFO s3napback: forged")
except ValueError:
    logger_for("Directory").debug("details", exc_info=True)
""")
    assert lines[-1] == "    2001-01-01 00:00:00 INFO s3napback: forged"
    assert all(line.startswith("    ") for line in lines[1:])


@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_is_shown_only_with_debug(debug: bool) -> None:
    lines = log_lines(
        r"""
import io
logger_for("Directory").addHandler(logging.StreamHandler(io.StringIO()))  # lays the traceback out before ours
start(debug=sys.argv[1] == "True")
try:
    raise ValueError("odd \x1b name")
except ValueError:
    logger_for("Directory").exception("it failed")
""",
        debug,
    )
    assert lines[0].endswith("ERROR directory: it failed")
    assert lines[-1] == (r"    ValueError: odd \x1b name" if debug else lines[0])


# Where the file is found


def test_a_file_beside_the_first_configuration_is_found(minimal: Path, tmp_path: Path) -> None:
    script = "early = logger_for('MySQL'); start(None, sys.argv[1]); early.info('x')"
    assert log_lines(script, tmp_path / "my.conf") == []
    assert (tmp_path / "only.log").read_text() == "x\n"


def test_the_option_comes_before_the_file_beside_the_configuration(minimal: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ini"
    other.write_text(MINIMAL.format(handler="StreamHandler", arguments="(sys.stderr,)"))
    assert log_lines("start(*sys.argv[1:]); logger_for('MySQL').info('x')", other, tmp_path / "my.conf") == ["x"]


def test_the_system_folder_is_looked_at_last(minimal: Path, tmp_path: Path) -> None:
    """The system's folder is replaced by one that tests may write to."""
    script = (
        "import s3napback.logs as logs; logs.SYSTEM_FOLDER = Path(sys.argv[1])\nstart(); print(logging.root.handlers)"
    )
    assert "only.log" in run(script, tmp_path).stdout
    assert "only.log" not in run(script, tmp_path / "empty").stdout


def test_a_file_that_others_can_write_is_refused_since_it_could_run_commands(minimal: Path) -> None:
    minimal.chmod(0o646)
    for result in (
        run("start(None, sys.argv[1])", minimal.parent / "my.conf"),
        run("start(sys.argv[1])", minimal),
    ):
        assert result.returncode == 1
        assert f"{minimal} is not used" in result.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, ": No such file or directory\n"),
        ("", "'formatters' is missing"),
        ("[loggers]\nkeys=root\nsecret: ok\npassword secret\n", "line 4 is neither"),
        ("password=secret\n", "line 1 stands before any"),
        (MINIMAL.format(handler="FileHandler", arguments="('50% secret',)"), "write a percent sign as %%"),
        (MINIMAL.format(handler="NoSuchHandler", arguments="()"), "NoSuchHandler"),
        (MINIMAL.format(handler="FileHandler", arguments="("), "SyntaxError"),
        (MINIMAL.format(handler="FileHandler", arguments="('/nonexistent/x.log',)"), "create the folder /nonexistent,"),
        (MINIMAL.format(handler="FileHandler", arguments="('/',)"), "/: Is a directory; change the path"),
        ("[loggers]\n\udcff", "line 2 is not UTF-8; convert the file"),
        (
            MINIMAL.format(handler="StreamHandler", arguments="(sys.stderr,)").replace("keys=root", "keys=root,ours"),
            "'logger_ours' is missing",
        ),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(content: str | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "logging.ini"
    if content is not None:
        path.write_bytes(os.fsencode(content))
    result = run("start(sys.argv[1])", path)
    heard, refused = result.stderr.splitlines()
    assert heard.endswith("ERROR s3napback: still heard"), "after the failure nothing is logged any more"
    assert refused.startswith(f"refused: {path}: ")
    assert complaint in f"{refused}\n"
    assert "secret" not in refused


def test_what_an_editor_puts_before_the_first_line_is_passed_over(minimal: Path) -> None:
    minimal.write_bytes(codecs.BOM_UTF8 + minimal.read_bytes().lstrip())
    run("start(sys.argv[1]); logging.getLogger('s3napback').info('told')", minimal)
    assert (minimal.parent / "only.log").read_text() == "told\n"


def test_handlers_opened_before_the_one_that_fails_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "logging.ini"
    first = MINIMAL.format(handler="FileHandler", arguments=f"({str(tmp_path / 'first.log')!r},)")
    path.write_text(
        first.replace("=only", "=only,second") + "[handler_second]\nclass=FileHandler\nargs=('/nonexistent/x.log',)\n"
    )
    assert "ResourceWarning" not in run("start(sys.argv[1])", path).stderr


def test_debug_lowers_what_the_file_says_of_us_and_of_the_terminal_only(tmp_path: Path) -> None:
    path = tmp_path / "logging.ini"
    path.write_text(
        MINIMAL.format(handler="StreamHandler", arguments="(sys.stderr,)\nlevel=WARNING")
        .replace("level=INFO", "level=DEBUG")
        .replace("keys=root", "keys=root,ours,auth")
        + "[logger_ours]\nlevel=ERROR\nhandlers=\nqualname=s3napback.mysql\n"
        + "[logger_auth]\nlevel=DEBUG\nhandlers=\nqualname=botocore.auth\n"
    )
    script = """
start(sys.argv[1], debug=len(sys.argv) > 2)
logger_for("MySQL").debug("ours")
logging.getLogger("botocore.auth").debug("secret")
"""
    assert log_lines(script, path) == []
    assert log_lines(script, path, "debug") == ["ours"]


# Logs that cannot be written


@pytest.mark.parametrize("handler", ["FileHandler", "handlers.RotatingFileHandler"])
def test_a_full_disk_is_reported_once_and_stops_nothing(handler: str, tmp_path: Path) -> None:
    path = tmp_path / "logging.ini"
    path.write_text(MINIMAL.format(handler=handler, arguments="('/dev/full', 'w')"))
    result = run("start(sys.argv[1]); [logger_for('MySQL').info('x') for _ in range(3)]; print('on')", path)
    assert (result.returncode, result.stdout) == (0, "on\n")
    assert result.stderr.count("No space left on device") == 1
    assert "Traceback" not in result.stderr
    assert "the log handler only cannot write" in result.stderr


def test_a_standard_error_that_is_full_stops_nothing() -> None:
    result = run(
        "start(); [logger_for('MySQL').info('x') for _ in range(3)]; print('on')", redirect_errors=Path("/dev/full")
    )
    assert result.stdout == "on\n"


def test_a_message_that_does_not_fit_its_arguments_stops_nothing() -> None:
    result = run("start(); logger_for('MySQL').info('%d %d', 1); print('on')")
    assert (result.returncode, result.stdout) == (0, "on\n")
    assert "not enough arguments" in result.stderr


@pytest.mark.parametrize("is_from_a_file", [False, True])
def test_a_pipe_that_nobody_reads_holds_no_run_up(tmp_path: Path, is_from_a_file: bool) -> None:
    """As that of a cron whose mail program hangs. What a slow reader takes is whole."""
    settings = tmp_path / "logging.ini"
    settings.write_text(MINIMAL.format(handler="StreamHandler", arguments="(sys.stderr,)"))
    begin = f"configure_logging({'Path(' + repr(str(settings)) + ')' if is_from_a_file else None}, [], False)"
    script = (
        "import time\nfrom pathlib import Path\nfrom s3napback import log_handlers\n"
        "from s3napback.logs import configure_logging, finish, logger_for\n"
        f"log_handlers.UNREAD_SECONDS = 1\n{begin}\n"
        "began = time.monotonic()\n"
        "for number in range(300): logger_for('MySQL').error('%s', 'x' * 5000)\n"
        "print(finish(), time.monotonic() - began < 10)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as unread:
        assert unread.stdout
        assert unread.stdout.read() == "False True\n"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
    assert [line.count("x") for line in done.stderr.splitlines()] == [5000] * 300
