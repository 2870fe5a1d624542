"""``init``: a first configuration, with the folders and the files that it needs, and what starts it every night."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from pathlib import Path

from s3napback.config.loading import SYSTEM_FOLDER, examine, load_configuration
from s3napback.config.settings import Configuration, StoreSettings
from s3napback.encryption.keys import KeyRing, require_home, require_own_home
from s3napback.encryption.making import discard_key, gpg_home_setting, make_key
from s3napback.encryption.options import chosen_home
from s3napback.ending import deferred_signals
from s3napback.environment import Family, child_environment
from s3napback.errors import ChangeableByOthers, S3napbackError, UnusableConfiguration, UnusableKey
from s3napback.formatting import readable, shell_command
from s3napback.founding.answers import Answers, configuration_text, difference, key_file_text
from s3napback.founding.making import Making
from s3napback.founding.questions import Encrypting, Machine, Storing, Terminal, Wishes
from s3napback.founding.questions import diff_dir as asked_diff_dir
from s3napback.founding.questions import directories as asked_directories
from s3napback.founding.questions import encrypting as asked_encrypting
from s3napback.founding.questions import starting as asked_starting
from s3napback.founding.questions import storing as asked_storing
from s3napback.founding.starting import Nightly, cron_line, cron_text, unit_name, units
from s3napback.ownership import require_own
from s3napback.records import dataclass
from s3napback.run_lock import require_own_diff_dir
from s3napback.surroundings import configured_store, diff_dir, home_folder, require_own_settings

logger = logging.getLogger("s3napback")

_SECONDS = 60.0
_YET_TO_COME = "0" * 40
"""Stands for the fingerprint of a key that has not been made."""


@dataclass(frozen=True)
class Founding:
    """All that is going to be made.

    Attributes:
        path: of the configuration.
        start: what starts it.
        root: of the file system in which systemd and cron are.
    """

    path: Path
    answers: Answers
    storing: Storing
    encrypting: Encrypting
    start: str
    root: Path = field(default_factory=lambda: Path("/"))

    def nightly(self) -> Nightly:
        """What is to be started."""
        answers = self.answers
        own = [answers.diff_dir] if answers.diff_dir != "/var/lib/s3napback" else []
        store = [answers.folder] if answers.folder else []
        # gpg notes there what it has found out about its keys, and shows none where it cannot.
        home = chosen_home(None, os.environ).absolute()
        keys = [str(home)] if answers.recipient and home != Path("/root/.gnupg") else []
        return Nightly(_program(), str(self.path), str(home_folder()), [*store, *own, *keys], store)

    def starters(self) -> dict[Path, str]:
        """Files of cron or systemd, and what they hold; none where a person has to do it."""
        name = unit_name(self.path.stem)
        if self.start == "systemd":
            folder = self.root / "etc/systemd/system"
            return {folder / file: text for file, text in units(self.nightly(), name).items()}
        if self.start == "cron" and os.geteuid() == 0:
            # cron passes over files whose names hold a dot.
            return {self.root / "etc/cron.d" / name.replace(".", "_"): cron_text(self.nightly())}
        return {}


def default_path() -> Path:
    """Where a configuration is made that has no name."""
    if os.geteuid() == 0:
        return SYSTEM_FOLDER / "s3napback.conf"
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else home_folder() / ".config") / "s3napback" / "s3napback.conf"


def own_one() -> str:
    """How an ordinary user names what ``init`` has made for him, as a clause; empty if it is not there."""
    try:
        path = default_path()
    except UnusableConfiguration:
        return ""
    return f", as {shell_command(['-c', str(path)])}, which is there" if os.path.isfile(path) else ""  # noqa: PTH113


def found(
    path: Path,
    wishes: Wishes,
    terminal: Terminal | None,
    say: Callable[..., None],
    *,
    test: bool,
    root: Path = Path("/"),
) -> int:
    """Make a configuration, and what it needs.

    Args:
        path: of the configuration, which is not there.
        wishes: what is not to be asked.
        terminal: where a person can be asked; None if there is nobody.
        say: takes the result.
        test: tell what would be written, and write nothing.

    Returns:
        The exit code: 1 if all is written, and something of it does not work yet.

    Raises:
        UnusableConfiguration: there is a configuration already, or what was said cannot be; nothing was made.
    """
    path = path.absolute()
    _require_free(path)
    # HOME goes into what starts it every night.
    require_own_settings(os.environ)
    plan = _planned(path, wishes, terminal, root)
    for each in (*plan.starters(), *([Path(plan.storing.key_file)] if plan.storing.credentials else [])):
        _require_free(each)
    if test:
        say(*_described(plan))
        return 0
    # All or nothing: a signal waits for the little that is done here.
    with deferred_signals(), Making() as making:
        plan = _make(plan, making)
    say("", *(f"made {each}" for each in making.made))
    works = _enable(plan)
    works = _try_store(plan) and works
    say(*_next_steps(plan))
    return 0 if works else 1


def _require_free(path: Path) -> None:
    if os.path.lexists(path):
        other = "NAME" if os.geteuid() == 0 else f"{default_path().parent}/NAME.conf"
        raise UnusableConfiguration(
            f"{path} exists already; nothing was changed. Look at it, or name another configuration: "
            f"s3napback -c {other} init"
        )
    try:
        require_own(path)
    except OSError as error:
        raise UnusableConfiguration(f"{path} cannot be looked at: {error.strerror}") from error


def _planned(path: Path, wishes: Wishes, terminal: Terminal | None, root: Path) -> Founding:
    """Ask for everything, and hold it against the configuration's own rules."""
    machine = _machine(path, root)
    storing = asked_storing(wishes, machine, terminal)
    folders = asked_directories(wishes, machine, terminal)
    encrypting = asked_encrypting(wishes, machine, terminal)
    _require_usable_home(encrypting)
    start = asked_starting(wishes, machine, terminal)
    if start not in machine.starts:
        raise UnusableConfiguration(f"--start {start} is not for here; there is: {', '.join(machine.starts)}")
    state = asked_diff_dir(wishes, diff_dir(Configuration(path, StoreSettings())))
    require_own_diff_dir(Path(state))
    user = f"Backups of {socket.gethostname()} (s3napback)"
    key = _ring().find(encrypting.recipient) if encrypting.recipient else None
    answers = Answers(
        directories=folders,
        diff_dir=state,
        folder=storing.folder,
        bucket=storing.bucket,
        endpoint=storing.endpoint,
        region=storing.region,
        key_file=storing.key_file,
        recipient=_YET_TO_COME if encrypting.is_new else key.fingerprint if key else "",
        user=user if encrypting.is_new else key.user if key else "",
        gpg_home=gpg_home_setting() if key or encrypting.is_new else "",
    )
    return Founding(path, answers, storing, encrypting, start, root)


def _machine(path: Path, root: Path) -> Machine:
    is_root = os.geteuid() == 0
    usual = [Path(each) for each in ("/etc", "/home", "/root")] if is_root else [home_folder()]
    starts = [
        *(["systemd"] if is_root and (root / "etc/systemd/system").is_dir() and _has_systemd() else []),
        *(["cron"] if not is_root or (root / "etc/cron.d").is_dir() else []),
        "none",
    ]
    keys: list[tuple[str, str]] = []
    try:
        require_home(None, os.environ)
        keys = [(key.fingerprint, key.user) for key in _ring().usable()]
    except (UnusableKey, ChangeableByOthers) as error:
        logger.debug("no key to choose: %s", error)
    key_file = path.with_name("key.txt" if path.stem == "s3napback" else f"{path.stem}.key.txt")
    return Machine([str(each) for each in usual if each.is_dir()], keys, starts, str(key_file))


def _require_usable_home(encrypting: Encrypting) -> None:
    """Refuse a gpg home that others can change, before gpg is run in it: its agent starts what its settings name."""
    if encrypting.is_new:
        require_own_home(None, os.environ)
    elif encrypting.recipient:
        require_home(None, os.environ)


def _has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def _ring() -> KeyRing:
    return KeyRing(None)


def _require_meant(path: Path, answers: Answers) -> None:
    """Refuse what would be read as something else than was answered.

    Raises:
        ConfigurationError: it cannot be read.
        UnusableConfiguration: it would be.
    """
    configuration = examine(path, configuration_text(answers)).configuration
    if what := difference(answers, configuration):
        raise UnusableConfiguration(f"a bug in s3napback: the {what} would not be read as answered; nothing was made")


def _make(plan: Founding, making: Making) -> Founding:
    """Make everything; the configuration last, so that whatever starts then has all that it names."""
    answers = plan.answers
    if plan.encrypting.is_new:
        fingerprint = make_key(answers.user, plan.encrypting.passphrase)
        making.undo_by(lambda: discard_key(fingerprint))
        plan = replace(plan, answers=replace(answers, recipient=fingerprint))
    for folder in (plan.path.parent, Path(answers.diff_dir), *([Path(answers.folder)] if answers.folder else [])):
        making.folder(folder)
    if plan.storing.credentials:
        credentials = plan.storing.credentials
        making.file(Path(plan.storing.key_file), key_file_text(credentials.key, credentials.secret))
    # What a configuration names must be there.
    _require_meant(plan.path, plan.answers)
    for path, text in plan.starters().items():
        making.file(path, text, 0o644)
    making.file(plan.path, configuration_text(plan.answers))
    return plan


def _described(plan: Founding) -> Iterator[str]:
    """What would be made, for who only wants to see it."""
    files = {**plan.starters(), plan.path: configuration_text(plan.answers)}
    if plan.storing.credentials:
        yield f"would write {plan.storing.key_file}, with the credentials"
    if plan.encrypting.is_new:
        yield f"would make a gpg key, {plan.answers.user}"
    for path, text in files.items():
        yield f"would write {path}:"
        yield from (f"    {line}".rstrip() for line in text.rstrip("\n").split("\n"))


def _enable(plan: Founding) -> bool:
    """Have systemd know of the timer; whether it does."""
    if plan.start != "systemd":
        return True
    timer = f"{unit_name(plan.path.stem)}.timer"
    for command in (["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", timer]):
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=child_environment(os.environ, Family.PLAIN),
                timeout=_SECONDS,
                check=False,
            )
            why = "" if done.returncode == 0 else readable(done.stderr.strip())
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
        if why:
            logger.error("%s failed: %s; all is written, run it yourself", shell_command(command), why)
            return False
    return True


def _try_store(plan: Founding) -> bool:
    """Whether the store can be used; what keeps it from that is for a person to mend."""
    try:
        configured_store(load_configuration(plan.path), patient=False).check()
    except S3napbackError as error:
        logger.error("all is written, but the store cannot be used yet: %s", error)
        return False
    return True


def _next_steps(plan: Founding) -> Iterator[str]:
    answers, chosen = plan.answers, [] if plan.path == SYSTEM_FOLDER / "s3napback.conf" else ["-c", str(plan.path)]
    if plan.encrypting.is_new:
        yield ""
        yield "The key's secret part lies on this machine. Whoever steals the machine reads"
        yield "the backups with it, and whoever loses the machine reads none without it."
        yield "Keep copies in two other places:"
        yield "    gpg --armor --output /media/usb/backups.secret \\"
        yield f"        --export-secret-keys {answers.recipient}"
        yield "When a restore with such a copy has gone well elsewhere, delete it here"
        yield "(backups go on without it):"
        yield f"    gpg --delete-secret-keys {answers.recipient}"
    elif not answers.recipient:
        yield ""
        yield "Archives are not encrypted: whoever can read the store reads them."
    if _is_on_one_disk(answers):
        yield ""
        yield f"{answers.folder} lies on the same disk as {answers.directories[0]}, and is lost together with it."
    if plan.start == "cron" and not plan.starters():
        yield ""
        yield "To run it every night, add this line with crontab -e:"
        yield f"    {cron_line(plan.nightly(), user='')}"
    yield ""
    yield "What to do next:"
    for words, what in (
        (["-t"], "what the next night would do"),
        ([], "the first night, now"),
        (["doctor"], "whether all is in place"),
        (["list"], "what can be restored"),
        (["restore", answers.directories[0], "--to", str(home_folder() / "recovered")], "the proof of it all"),
    ):
        yield f"    {shell_command(['s3napback', *chosen, *words]):<43}  # {what}"


def _is_on_one_disk(answers: Answers) -> bool:
    try:
        return bool(answers.folder) and Path(answers.folder).stat().st_dev == Path(answers.directories[0]).stat().st_dev
    except OSError:
        return False


def _program() -> Sequence[str]:
    """How this s3napback is started by others."""
    name = Path(sys.argv[0]).name
    found = shutil.which(sys.argv[0]) if name == "s3napback" else None
    return [str(Path(found).absolute())] if found else [sys.executable, "-I", "-m", "s3napback"]
