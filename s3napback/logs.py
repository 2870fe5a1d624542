"""Logging: where its settings are found, and what holds whatever they say.

Whoever writes a ``logging.ini`` decides where lines go and how they look. Three things are not theirs to lose: a log
entry begins where we begin one, whatever characters a file's name holds; no credentials pass through the log; and a log
that cannot be written does not stop a backup.
"""

from __future__ import annotations

import atexit
import copy
import errno
import logging
import textwrap
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from s3napback import ending
from s3napback.crews import NoThread, TookTooLong, within
from s3napback.errors import ChangeableByOthers, UnusableConfiguration
from s3napback.formatting import printable
from s3napback.ini_files import ini_flaw
from s3napback.kinds import kind_of
from s3napback.letters import Letter, send_letters
from s3napback.log_guards import Guard, described, pass_signal_on
from s3napback.log_handlers import (
    LAST_WORDS_SECONDS,
    LINES,
    LONGEST_SECONDS,
    ConsoleHandler,
    FailureReport,
    PatientOutput,
    are_whole,
    is_console,
    is_journal,
    is_of_python,
    is_pipe,
    name_of,
    note_loss,
    nothing,
    open_safely_from_now,
    opened_safely,
)
from s3napback.ownership import read_own_file

SYSTEM_FOLDER = Path("/etc/s3napback")
FILE_NAME = "logging.ini"

CONSOLE_FORMAT = "%(asctime)s %(levelname)s %(topic)s: %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"

_PACKAGE = "s3napback"
# Below WARNING these write requests with their signatures, or what passes between them and gpg.
_TALKATIVE_LIBRARIES = ("boto3", "botocore", "s3transfer", "urllib3")

_finished: list[bool] = []
"""A process ends once."""


def logger_for(kind: str) -> logging.Logger:
    """The logger of a kind of source.

    Raises:
        UnknownKind: there is no kind of this name.
    """
    return logging.getLogger(f"{_PACKAGE}.{kind_of(kind).topic}")


def log_lines(logger: logging.Logger, level: int, lines: Sequence[str]) -> None:
    """Log a message of several lines, such as an error's, as one entry: a log shows each line as it shows others.

    A mail is one letter with all of them, and not one for each.

    Args:
        level: of ``logging``.
        lines: those after the first are better indented.
    """
    logger.log(level, "%s", "\n".join(lines), extra={LINES: tuple(lines)})


def configure_logging(
    log_config: Path | None,
    configuration_paths: Sequence[Path],
    debug: bool,
    *,
    quiet: bool = False,
    begins_with_failure: bool = False,
) -> None:
    """Set logging up for this process, once per run.

    The settings are those of ``log_config``, else of ``logging.ini`` beside the first configuration file, else of
    ``/etc/s3napback/logging.ini``, in the format of Python's ``logging.config.fileConfig``. Without any, lines from
    INFO upwards go to standard error.

    Args:
        log_config: ``--log-config``.
        configuration_paths: files, not bare names, in the order of the command line.
        debug: show s3napback's DEBUG lines and tracebacks.
        quiet: show the terminal nothing below WARNING; what goes elsewhere stays as it is.
        begins_with_failure: where standard error is a pipe, as cron's is, and no file says otherwise, let the first
            error stand in front of all lines: it begins the mail then.

    Raises:
        UnusableConfiguration: the file cannot be read, others can change it, it is wrong, or it names a log that cannot
            be opened. Lines go to standard error then.
    """
    _remove_own_handlers()
    _log_to_console(debug, begins_with_failure=begins_with_failure and not debug and is_pipe())
    path = log_config or _find_log_config(configuration_paths)
    if path is not None:
        _load(path, debug)
    _silence_libraries()
    if quiet:
        _quieten()
    if debug:
        _lower_levels()


def _find_log_config(configuration_paths: Sequence[Path]) -> Path | None:
    folders = [*(path.parent for path in configuration_paths[:1]), SYSTEM_FOLDER]
    for candidate in (folder / FILE_NAME for folder in folders):
        with suppress(OSError):
            if candidate.is_file():
                return candidate
    return None


def _remove_own_handlers() -> None:
    for logger, handler in _all_handlers():
        if isinstance(handler.formatter, _OneLineFormatter):
            logger.removeHandler(handler)
            handler.close()


def _log_to_console(debug: bool, *, begins_with_failure: bool = False) -> None:
    handler = ConsoleHandler(begins_with_failure=begins_with_failure)
    layout = CONSOLE_FORMAT.removeprefix("%(asctime)s ") if is_journal() else CONSOLE_FORMAT
    handler.setFormatter(logging.Formatter(layout, DATE_FORMAT))
    _safeguard(handler, debug)
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.WARNING)
    logging.getLogger(_PACKAGE).setLevel(logging.INFO)


def _load(path: Path, debug: bool) -> None:
    # Python's own lines to standard error are what most runs have, and need none of these.
    import configparser  # noqa: PLC0415
    import logging.config  # noqa: PLC0415

    try:
        parser = configparser.ConfigParser()
        # ``fileConfig`` evaluates expressions, so the file must not be another user's work.
        parser.read_string(_text(path))
        with opened_safely():
            logging.config.fileConfig(parser, disable_existing_loggers=False)
    except (Exception, SystemExit) as error:
        logging.shutdown()  # closes the handlers that were opened before the one that failed
        _safeguard_all(debug)
        _remove_own_handlers()
        _log_to_console(debug)
        if isinstance(error, ChangeableByOthers):
            raise
        reason = _explain_file(error) if isinstance(error, OSError) else _explain(error)
        raise UnusableConfiguration(f"{path}: logging cannot be set up from this file: {reason}") from error
    _safeguard_all(debug)


def _text(path: Path) -> str:
    try:
        return read_own_file(path)[0].decode("utf-8-sig")
    except OSError as error:
        error.filename = None  # of its path only one step; it would pass for a log that cannot be opened
        raise


def _explain_file(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is None:
        return reason
    folder = Path(error.filename).parent
    advice = "change the path, or choose another --log-config"
    if isinstance(error, FileNotFoundError):
        advice = f"create the folder {folder}, {advice}"
    elif error.errno == errno.ENXIO:
        advice = f"have somebody read from this FIFO, {advice}"
    return f"{error.filename}: {reason}; {advice}"


def _explain(error: Exception | SystemExit) -> str:
    if isinstance(error, KeyError):
        return f"section or entry {error} is missing"
    return ini_flaw(error) or f"{type(error).__name__}: {' '.join(str(error).split())}"


def _silence_libraries() -> None:
    for name in [*_TALKATIVE_LIBRARIES, *logging.root.manager.loggerDict]:
        logger = logging.getLogger(name)
        if name.partition(".")[0] in _TALKATIVE_LIBRARIES and logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)


def _lower_levels() -> None:
    """Let DEBUG lines through the package's loggers and to the terminal; what is mailed stays as it was."""
    logging.getLogger(_PACKAGE).setLevel(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(f"{_PACKAGE}."):
            logging.getLogger(name).setLevel(logging.NOTSET)
    for _, handler in _all_handlers():
        if is_console(handler):
            handler.setLevel(logging.NOTSET)


def _quieten() -> None:
    for _, handler in _all_handlers():
        if is_console(handler):
            handler.setLevel(max(handler.level, logging.WARNING))


def _all_handlers() -> list[tuple[logging.Logger, logging.Handler]]:
    loggers = [logging.root, *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    return [(logger, handler) for logger in loggers for handler in logger.handlers]


def _safeguard_all(debug: bool) -> None:
    """Those that a file has brought, and those that stand behind them."""
    import logging.handlers  # noqa: PLC0415 - reading the file has imported it

    for handler in _made_by_file():
        guard = _safeguard(handler, debug)
        if guard is not None and isinstance(handler, logging.handlers.SMTPHandler):
            Letter(handler, guard)


def _made_by_file() -> list[logging.Handler]:
    """The handlers of all loggers, each before those that stand behind it; one of several loggers is there as often."""
    found: list[logging.Handler] = []
    for _, handler in _all_handlers():
        behind: logging.Handler | None = handler
        while behind is not None:
            found.append(behind)
            behind = getattr(behind, "target", None) if is_of_python(behind, "MemoryHandler") else None
    return found


def _safeguard(handler: logging.Handler, debug: bool) -> Guard | None:
    """What keeps a handler from holding a run up; None if it writes to the terminal as usual, or has one already."""
    if isinstance(handler.formatter, _OneLineFormatter):
        return None
    handler.setFormatter(_OneLineFormatter(handler.formatter or logging.Formatter(), debug))
    open_safely_from_now(handler)
    is_usual = type(handler).emit is logging.StreamHandler.emit
    if not is_console(handler) or not (is_usual or isinstance(handler, ConsoleHandler)):
        return Guard(handler)
    vars(handler)["handleError"] = FailureReport(handler)
    if is_usual:
        vars(handler)["emit"] = PatientOutput(handler).emit
    return None


def finish() -> bool:
    """Let handlers send and write what they have held back, at the end of a run; none keeps the process from ending.

    Returns:
        Whether all logs have taken what they were given, in the whole run.
    """
    # Otherwise done once more, without a limit, when the interpreter ends.
    atexit.unregister(logging.shutdown)
    if not _finished:
        _finished.append(True)
        try:
            within(2 * LONGEST_SECONDS, _close_all, "log")
        except NoThread:
            _close_all()
        except TookTooLong:
            _note_not_closed("")
        except BaseException as error:  # noqa: BLE001 - a handler that no logger has can be of any class, too
            pass_signal_on(error)
            _note_not_closed(f" ({described(error)})")
    return are_whole()


def _close_all() -> None:
    """Close all handlers, and send what they have held back, also for each other; may hang."""
    try:
        for handler in _made_by_file():
            if not is_console(handler):
                _close(handler)
        logging.shutdown()
    finally:
        send_letters()


def _close(handler: logging.Handler) -> None:
    """Close one. ``logging.shutdown`` is silent on what a disk says at that, and closes no other one after others."""
    failure: BaseException | None = None
    for step in (handler.flush, handler.close) if getattr(handler, "flushOnClose", True) else (handler.close,):
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - a handler of a logging.ini can be of any class
            pass_signal_on(error)
            failure = failure or error
    vars(handler).update(flush=nothing, close=nothing)
    if failure is not None:
        _note_not_closed(f" ({name_of(handler)}: {described(failure)})")


def _note_not_closed(why: str) -> None:
    note_loss("log")
    ending.say_at_once(f"s3napback: a log could not be closed{why}, and may lack its last lines")


def say_last(message: str) -> None:
    """Log an error as the last line of a run that a signal has ended: to the terminal before it goes anywhere else."""
    logger = logging.getLogger(_PACKAGE)
    handlers = [*logger.handlers, *(logging.root.handlers if logger.propagate else ())]
    if not any(map(is_console, handlers)):
        ending.say_at_once(message)
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message, (), None)
    for handler in sorted(handlers, key=is_console, reverse=True):
        if handler.level <= record.levelno and logger.isEnabledFor(record.levelno):
            handler.handle(record)
    # What handlers have held back until now goes out; ``finish`` tells of those that fail at it.
    try:
        within(LAST_WORDS_SECONDS, _close_all, "log")
    except BaseException as error:  # noqa: BLE001 - as there
        pass_signal_on(error)


class _OneLineFormatter(logging.Formatter):
    """Lets another formatter lay out records, of whose data nothing can begin a line or drive a terminal.

    Each line of ``log_lines`` is laid out by itself, unless the layout has several lines already, as that of a letter.
    Offers ``%(topic)s`` to formats: the logger's name without ``s3napback.``.
    """

    def __init__(self, inner: logging.Formatter, debug: bool) -> None:
        super().__init__()
        self._inner = inner
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        lines = [printable(line) for line in getattr(record, LINES, None) or (record.getMessage(),)]
        entries = [self._laid_out(record, line) for line in lines]
        if len(entries) > 1 and any("\n" in entry for entry in entries):
            return self._laid_out(record, "\n".join(lines))
        return "\n".join(entries)

    def _laid_out(self, record: logging.LogRecord, message: str) -> str:
        clean = copy.copy(record)
        clean.msg = message
        clean.args = ()
        clean.topic = record.name.removeprefix(f"{_PACKAGE}.")
        clean.exc_text = None
        if not self._debug:
            clean.exc_info = None
            clean.stack_info = None
        elif clean.exc_info and clean.exc_info[0]:
            # Indented, because the text of an exception can hold line ends of somebody else's.
            clean.exc_text = textwrap.indent("".join(traceback.format_exception(*clean.exc_info)).rstrip("\n"), "    ")
        return "\n".join(map(printable, self._inner.format(clean).split("\n")))
