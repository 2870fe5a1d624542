"""A log that fails or hangs is switched off, and what is mailed is one letter a run."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.gpg_keys import Key
from tests.mail_host import MailHost
from tests.servers import free_port
from tests.site import Site
from tests.waiting import becomes

INI = """[loggers]
keys=root
[handlers]
keys=far,near
[formatters]
keys=plain
[formatter_plain]
format=%(levelname)s %(message)s
[logger_root]
level=INFO
handlers=far,near
[handler_near]
class=FileHandler
args=('{log}',)
formatter=plain
[handler_far]
class={far}
level=ERROR
"""


def configure(site: Site, far: str) -> tuple[str, Path]:
    log = site.root / "log"
    settings = site.root / "logging.ini"
    settings.write_text(INI.format(log=log, far=far))
    site.configure(f"<Cycle c>\nDirectory /nonexistent/a\nDirectory /nonexistent/b\nDirectory {site.source}\n</Cycle>")
    return f"--log-config={settings}", log


def smtp(port: int) -> str:
    return f"logging.handlers.SMTPHandler\nargs=(('127.0.0.1', {port}), 'a@example.org', ['b@example.org'], 'trouble')"


def test_a_run_with_several_errors_is_one_letter_whose_subject_says_what_came_of_it(
    site: Site, mail_host: MailHost
) -> None:
    option, _ = configure(site, smtp(mail_host.listener.getsockname()[1]))
    site.run(option, expect=1)
    (letter,) = mail_host.letters
    assert letter["Subject"] == f"trouble; {os.uname().nodename}; site: 1 done, 0 skipped, 2 failed"
    text = letter.get_content()
    assert "ERROR directory: Directory /nonexistent/a FAILED" in text
    assert "ERROR directory: Directory /nonexistent/b FAILED" in text


def test_a_run_that_could_not_begin_is_a_letter_too(site: Site, mail_host: MailHost) -> None:
    option, _ = configure(site, smtp(mail_host.listener.getsockname()[1]))
    site.configuration.write_text("Bucket\n")
    site.run(option, expect=2)
    (letter,) = mail_host.letters
    assert letter["Subject"].endswith("; site: not begun")


def test_the_subject_says_that_a_signal_has_ended_the_run(site: Site, mail_host: MailHost) -> None:
    option, log = configure(site, smtp(mail_host.listener.getsockname()[1]))
    site.configure(
        f"<Cycle c>\nDirectory /nonexistent/a\n<Directory {site.source}>\nBefore sleep 60\n</Directory>\n</Cycle>"
    )
    running = subprocess.Popen(site.command(option), env=site.full_environment(), stderr=subprocess.DEVNULL)
    assert becomes(lambda: log.exists() and "FAILED" in log.read_text(), 60)
    running.terminate()
    assert running.wait(30) == 128 + signal.SIGTERM
    (letter,) = mail_host.letters
    assert letter["Subject"] == f"trouble; {os.uname().nodename}; site: interrupted by SIGTERM"


def test_a_run_without_errors_sends_nothing(site: Site, mail_host: MailHost) -> None:
    option, _ = configure(site, smtp(mail_host.listener.getsockname()[1]))
    site.configure_cycle("")
    site.run(option)
    assert mail_host.letters == []


MEMORY = """[loggers]
keys=root
[handlers]
keys=memory,mail
[formatters]
keys=
[logger_root]
level=ERROR
handlers=memory
[handler_memory]
class=logging.handlers.MemoryHandler
target=mail
args=(100, CRITICAL)
[handler_mail]
class={mail}
"""


def test_what_another_handler_has_held_back_for_the_mail_is_sent_too(site: Site, mail_host: MailHost) -> None:
    option, _ = configure(site, "NullHandler\nargs=()")
    (site.root / "logging.ini").write_text(MEMORY.format(mail=smtp(mail_host.listener.getsockname()[1])))
    site.run(option, expect=1)
    (letter,) = mail_host.letters
    assert letter.get_content().count("FAILED") == 2


FAILING = "s3napback_test_handlers.{name}\nargs=()"
HANDLERS = """
import logging, time
class Slow(logging.Handler):
    def emit(self, record):
        time.sleep(3600)
class Broken(logging.Handler):
    def emit(self, record):
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            self.handleError(record)
class Well(logging.Handler):
    def emit(self, record):
        pass
class SlowToClose(logging.Handler):
    def emit(self, record):
        pass
    def close(self):
        time.sleep(3600)
"""
HURRY = """
import s3napback.log_guards
s3napback.log_guards.LONGEST_SECONDS = 1.0
"""


@pytest.mark.parametrize(
    ("name", "words"), [("Slow", "has not come back within 1 seconds"), ("Broken", "No space left on device")]
)
def test_a_handler_that_fails_or_hangs_is_switched_off_and_the_other_log_tells_it(
    site: Site, name: str, words: str
) -> None:
    option, log = configure(site, FAILING.format(name=name))
    began = time.monotonic()
    done = run_here(site, option)
    assert done.returncode == 1
    assert time.monotonic() - began < 15
    told = f"the log handler far {'cannot write: OSError: [Errno 28] ' * (name == 'Broken')}{words}"
    assert log.read_text().count(f"WARNING {told}; the run goes on without it") == 1
    assert done.stderr.count(told) == 1, "no console in this logging.ini"
    assert log.read_text().count("FAILED") == 2


@contextmanager
def full_queue() -> Iterator[int]:
    """The port of a host that takes no further connection, and does not say so."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("hangs", [True, False])
def test_a_host_of_syslog_that_is_away_keeps_no_run_from_beginning(site: Site, hangs: bool) -> None:
    with full_queue() if hangs else nullcontext(free_port()) as port:
        option, log = configure(site, f"handlers.SysLogHandler\nargs=(('127.0.0.1', {port}), 1, {socket.SOCK_STREAM})")
        done = run_here(site, option)
    assert done.returncode == 1
    reason = "timed out" if hangs else "Connection refused"
    assert f"{reason}; the run goes on without it" in log.read_text()
    assert log.read_text().count("FAILED") == 2


@pytest.mark.parametrize("strict", [True, False])
def test_a_host_that_takes_no_record_is_told_where_python_is_silent(site: Site, strict: bool) -> None:
    option, log = configure(site, f"handlers.SocketHandler\nargs=('127.0.0.1', {free_port()})")
    settings = site.root / "logging.ini"
    settings.write_text(settings.read_text().replace("level=ERROR", "level=INFO"))
    site.configure(f"<Cycle c>\nDirectory {site.source}\n</Cycle>")
    site.run(option, *["--strict"] * strict, expect=3 if strict else 0)
    told = "the log handler far cannot write: its host does not take a connection, or has closed it"
    assert log.read_text().count(told) == 1


class _Refusing(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_error(401)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_a_host_that_refuses_records_by_http_is_told_where_python_is_silent(site: Site) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Refusing) as host:
        threading.Thread(target=host.handle_request).start()
        far = f"logging.handlers.HTTPHandler\nargs=('127.0.0.1:{host.server_port}', '/', 'POST')"
        option, log = configure(site, far)
        site.run(option, expect=1)
    assert log.read_text().count("the log handler far cannot write: its host answers 401 Unauthorized") == 1


def test_a_log_that_cannot_be_closed_does_not_keep_the_run_from_ending(site: Site) -> None:
    option, log = configure(site, FAILING.format(name="SlowToClose"))
    done = run_here(site, option)
    assert done.returncode == 1
    assert "a log could not be closed" in done.stderr
    assert log.read_text().count("FAILED") == 2


@pytest.mark.parametrize("name", ["Slow", "Broken", "SlowToClose", "Well"])
@pytest.mark.parametrize("strict", [True, False])
def test_a_log_that_lacks_something_is_no_success_where_warnings_are_none(site: Site, name: str, strict: bool) -> None:
    option, _ = configure(site, FAILING.format(name=name))
    settings = site.root / "logging.ini"
    settings.write_text(settings.read_text().replace("level=ERROR", "level=INFO"))
    site.configure_cycle("")
    done = run_here(site, option, *(["--strict"] if strict else []))
    assert done.returncode == (3 if strict and name != "Well" else 0), done.stderr


def test_a_terminal_that_takes_nothing_is_told_by_the_exit_code(site: Site) -> None:
    site.configure_cycle("")
    with Path("/dev/full").open("w") as full:
        command, environment = site.command("--strict"), site.full_environment()
        assert subprocess.run(command, stderr=full, env=environment, timeout=60, check=False).returncode == 3


def run_here(site: Site, *options: str) -> subprocess.CompletedProcess[str]:
    folder = site.root / "modules"
    folder.mkdir()
    (folder / "s3napback_test_handlers.py").write_text(HANDLERS)
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{HURRY}\nfrom s3napback.cli import main\nmain()"
    command = [sys.executable, "-c", program, *site.command(*options)[3:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=site.full_environment())


def test_the_journal_gets_priorities_and_no_time_of_ours(site: Site) -> None:
    site.configure(f"<Cycle c>\nDirectory /nonexistent/a\nDirectory {site.source}\n</Cycle>")
    stream = site.root / "journal"
    with stream.open("w") as file:
        status = os.fstat(file.fileno())
        environment = site.full_environment({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        subprocess.run(site.command(), stderr=file, stdout=subprocess.DEVNULL, env=environment, check=False, timeout=60)
    lines = stream.read_text().splitlines()
    assert any(line.startswith("<3>ERROR directory: Directory /nonexistent/a FAILED") for line in lines)
    assert lines[-1].startswith("<6>INFO s3napback: ")


def test_a_quiet_run_says_nothing_unless_something_is_wrong(site: Site) -> None:
    site.configure_cycle("")
    done = site.run("--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    site.configure(f"<Cycle c>\nDirectory /nonexistent/a\nDirectory {site.source}\n</Cycle>")
    (line,) = site.run("-q", expect=1).stderr.splitlines()
    assert "ERROR directory: Directory /nonexistent/a FAILED" in line


def test_a_healthy_encrypted_machine_is_done_without_warnings(site: Site, key: Key) -> None:
    site.configure_cycle("", general=key.directives)
    assert site.run("--strict", "--quiet").stderr == ""


def test_a_file_that_asks_for_the_programs_end_is_refused(site: Site) -> None:
    option, _ = configure(site, "StreamHandler\nargs=(sys.exit(0),)")
    assert "logging cannot be set up from this file: SystemExit" in site.run(option, expect=2).stderr


@pytest.mark.parametrize(
    ("failing", "error", "said"),
    [
        ("emit", "RuntimeError('queue is closed')", "cannot write: RuntimeError: queue is closed"),
        ("emit", "SystemExit(0)", "cannot write: SystemExit: 0"),
        ("emit", "KeyboardInterrupt", "cannot write: KeyboardInterrupt"),
        ("emit", "BaseException('cut off')", "cannot write: BaseException: cut off"),
        ("close", "KeyboardInterrupt", "closed (far: KeyboardInterrupt)"),
        ("close", "RuntimeError('queue is closed')", "closed (far: RuntimeError: queue is closed)"),
        ("close", "SystemExit(0)", "closed (far: SystemExit: 0)"),
        # Of a disk that says so as late as that.
        ("close", "OSError(122, 'quota is used up')", "closed (far: OSError: [Errno 122] quota is used up)"),
        ("flush", "OSError(122, 'quota is used up')", "closed (far: OSError: [Errno 122] quota is used up)"),
    ],
)
def test_a_handler_that_fails_in_a_way_of_its_own_is_asked_once_and_said(
    site: Site, failing: str, error: str, said: str
) -> None:
    """``RuntimeError`` is also what Python raises where no thread can begin; a log is then written without one."""
    (site.root / "odd.py").write_text(
        "import logging, os\n"
        "class Odd(logging.Handler):\n"
        "    def emit(self, record): pass\n"
        f"    def {failing}(self, *_):\n"
        f"        with open('{site.root}/calls', 'a') as calls: calls.write('once\\n')\n"
        f"        raise {error}\n"
    )
    option, log = configure(site, "odd.Odd\nargs=()")
    done = site.run(option, expect=1, environment={"PYTHONPATH": str(site.root)})
    assert (site.root / "calls").read_text() == "once\n"
    assert said in done.stderr
    assert "2 failed" in log.read_text()


@pytest.mark.parametrize("error", ["RuntimeError('no colours')", "KeyboardInterrupt", "SystemExit(0)"])
def test_a_terminal_written_to_in_a_way_of_its_own_is_a_log_like_any_other(site: Site, error: str) -> None:
    (site.root / "odd.py").write_text(
        f"import logging\nclass Odd(logging.StreamHandler):\n    def emit(self, record): raise {error}\n"
    )
    option, log = configure(site, "odd.Odd\nargs=(sys.stderr,)")
    done = site.run(option, expect=1, environment={"PYTHONPATH": str(site.root)})
    assert "the log handler far cannot write: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert "2 failed" in log.read_text()
