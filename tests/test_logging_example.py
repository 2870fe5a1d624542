"""The ``logging.ini`` at the top level, with a real mail server and real files."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from s3napback.kinds import KINDS
from tests.logging_scripts import log_lines, run
from tests.mail_host import MailHost

EXAMPLE = Path(__file__).parent.parent / "logging.ini"


def adapted_example(folder: Path, port: int, changes: dict[str, str] | None = None) -> Path:
    """The example with log folder, mail host and the given texts replaced."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new in {"('localhost', 25)": f"('127.0.0.1', {port})", "/var/log/s3napback": str(folder)}.items():
        assert old in text
        text = text.replace(old, new)
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "logging.ini"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_sends_one_mail_for_one_error(mail_host: MailHost, tmp_path: Path) -> None:
    path = adapted_example(tmp_path, mail_host.listener.getsockname()[1])
    lines = log_lines(
        r"""
start(sys.argv[1])
logger_for("Directory").info("/etc begun")
logger_for("Directory").warning("/etc/motd changed")
logger_for("Directory").error("/srv/%s: it does not exist", "grün\n.\nDATA")
logger_for("MySQL").debug("unseen")
""",
        path,
    )
    stamp = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
    assert [stamp.sub("", line) for line in lines] == [
        "INFO directory: /etc begun",
        "WARNING directory: /etc/motd changed",
        r"ERROR directory: /srv/grün\n.\nDATA: it does not exist",
    ]
    assert (tmp_path / "s3napback.log").read_text(encoding="utf-8").splitlines() == lines
    (letter,) = mail_host.letters
    assert letter["To"] == "root@localhost"
    assert letter["Subject"] == f"s3napback on {os.uname().nodename}: a backup failed"
    assert r"/srv/grün\n.\nDATA: it does not exist" in letter.get_content()
    assert "begun" not in letter.get_content()


def test_the_example_sends_one_mail_for_an_error_of_several_lines(mail_host: MailHost, tmp_path: Path) -> None:
    path = adapted_example(tmp_path, mail_host.listener.getsockname()[1])
    lines = log_lines(
        r"""
from s3napback.logs import log_lines
start(sys.argv[1])
log_lines(logger_for("Directory"), logging.ERROR, ("it failed:", "  first\n", "  second"))
""",
        path,
    )
    assert len(lines) == 3
    (letter,) = mail_host.letters
    assert "\nit failed:\n  first\\n\n  second\n" in letter.get_content().replace("\r", "")


def test_the_example_begins_a_new_file_when_one_is_full(mail_host: MailHost, tmp_path: Path) -> None:
    path = adapted_example(tmp_path, mail_host.listener.getsockname()[1], {"10000000, 8": "1000, 2"})
    log_lines("start(sys.argv[1]); [logger_for('MySQL').info('line %d', number) for number in range(100)]", path)
    files = sorted(tmp_path.glob("s3napback.log*"))
    assert [file.name for file in files] == ["s3napback.log", "s3napback.log.1", "s3napback.log.2"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert files[0].read_text().endswith("mysql: line 99\n")


def test_the_example_shows_debug_lines_when_asked(mail_host: MailHost, tmp_path: Path) -> None:
    path = adapted_example(tmp_path, mail_host.listener.getsockname()[1])
    lines = log_lines("start(sys.argv[1], debug=True); logger_for('PostgreSQL').debug('seen')", path)
    assert [line.split(" ", 2)[2] for line in lines] == ["DEBUG postgresql: seen"]
    assert "DEBUG postgresql: seen" in (tmp_path / "s3napback.log").read_text()


def test_the_example_has_a_logger_for_each_kind_of_source() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    (line,) = log_lines("print(*[logger_for(kind).name for kind in sys.argv[1:]], file=sys.stderr)", *KINDS)
    assert all(f"qualname={name}\n" in text for name in line.split())
    assert set(re.findall(r"qualname=s3napback\.(\w+)\n", text)) == {kind.topic for kind in KINDS.values()}


def test_a_mail_host_that_is_down_stops_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    result = run(
        "start(sys.argv[1]); [logger_for('MySQL').error('x') for _ in range(2)]; print('on')",
        adapted_example(tmp_path, port),
    )
    assert (result.returncode, result.stdout) == (0, "on\n")
    assert result.stderr.count("the log handler mail could not hand its mail to ") == 1
    assert result.stderr.count("ERROR mysql: x\n") == 2
