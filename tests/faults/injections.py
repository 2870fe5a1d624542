"""Ways to bring a fault upon a run from outside: programs before the real ones, small disks, a faulty S3 server."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from tests.databases.sqlite_writer import held
from tests.faults.machine import Machine
from tests.faulty_s3 import Action, Answer, Fault, Forward, Request

Injection = Callable[[Machine], AbstractContextManager[None]]
"""Brings a fault about; at the end of the context it is gone."""

ARCHIVE = r".*(?<!\.sha256)(?<!\.index)"
"""Keys of archives, not of what lies beside them."""
SUM = r".*\.sha256"
INDEX = r".*\.index"


@contextmanager
def nothing(_machine: Machine) -> Iterator[None]:
    """The fault is brought about in another way."""
    yield


def dumping(script: str) -> Injection:
    """The subject's dump program is this script; ``REAL`` in it is the program, ``MIDDLE`` a part of its output."""

    def inject(machine: Machine) -> AbstractContextManager[None]:
        program = machine.subject.program
        # What is asked first must work: the version, settings, how a database itself is defined.
        first = 'case "$*" in *--version | *--print-defaults* | *--schema-only*) exec REAL "$@";; esac\n'
        return machine.fake(program, first + script.replace("MIDDLE", str(machine.subject.middle)))

    return inject


def before(program: str, script: str) -> Injection:
    """Another program of the machine is this script."""
    return lambda machine: machine.fake(program, script)


def encrypting(script: str) -> Injection:
    """gpg is this script when an archive is encrypted; the probe before it works."""

    def inject(machine: Machine) -> AbstractContextManager[None]:
        probed = machine.site.root / "probed"
        probed.unlink(missing_ok=True)
        faulty = f'case "$*" in *--encrypt) [ -e {probed} ] && {{ {script}; }}; : > {probed};; esac\nexec REAL "$@"'
        return machine.fake("gpg", faulty.replace("MIDDLE", "20000"))

    return inject


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of so many bytes at a folder, with what the folder holds."""
    kept = folder.with_name(f"{folder.name}-below")
    subprocess.run(["cp", "-a", str(folder), str(kept)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(folder)], check=True)
        yield
        subprocess.run(["rm", "-rf", str(kept)], check=True)
        subprocess.run(["cp", "-a", str(folder), str(kept)], check=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        # The disk has grown: what was on it is there.
        subprocess.run(["rm", "-rf", str(folder)], check=True)
        kept.rename(folder)


@contextmanager
def away(machine: Machine) -> Iterator[None]:
    """The source is not where it was."""
    path = _path_of(machine)
    elsewhere = path.rename(path.with_name("elsewhere"))
    try:
        yield
    finally:
        elsewhere.rename(path)


@contextmanager
def damaged(machine: Machine) -> Iterator[None]:
    """The source has lost a piece in its middle."""
    path = _path_of(machine)
    kept = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(len(kept) // 2)
        file.write(os.urandom(20_000))
    try:
        yield
    finally:
        path.write_bytes(kept)


@contextmanager
def locked(machine: Machine) -> Iterator[None]:
    """A program keeps the source's database locked."""
    statements = ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "INSERT INTO goods VALUES (-1, '')", "ROLLBACK")
    with held(_path_of(machine), *statements):
        yield


@contextmanager
def losing_the_copier(machine: Machine) -> Iterator[None]:
    """The process that copies is killed, and not by us."""
    ended = threading.Event()

    def kill() -> None:
        # A thread and no script, as no program's name stands for it.
        while not ended.is_set():
            children = machine.running.children() if machine.running else []
            # Before the copying begins, gpg tries the keys out.
            found = [pid for pid in children if _name_of(pid) != "gpg"]
            # The other one takes its room away.
            if len(found) > 1:
                with suppress(ProcessLookupError):
                    os.kill(min(found), signal.SIGKILL)
                return
            time.sleep(0.001)

    thread = threading.Thread(target=kill)
    with locked(machine):
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _name_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _path_of(machine: Machine) -> Path:
    return Path(machine.subject.label.partition(" ")[2])


def full_temp_dir(machine: Machine) -> AbstractContextManager[None]:
    """TempDir has less room than an archive takes."""
    return small_disk(machine.site.temp_dir, "1m")


def full_vault(machine: Machine) -> AbstractContextManager[None]:
    """The directory store has room for what it holds, and for a part of the next archive."""
    used = sum(path.stat().st_size // 4096 * 4 + 8 for path in machine.site.vault.rglob("*"))
    return small_disk(machine.site.vault, f"{used + 2000}k")


def _fill(disk: Path) -> str:
    return f"cat /dev/zero > {disk / 'filler'}; "


@contextmanager
def full_diff_dir(machine: Machine) -> Iterator[None]:
    """DiffDir is full from the beginning."""
    with small_disk(machine.site.diff_dir, "1m"):
        filler = machine.site.diff_dir / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        try:
            yield
        finally:
            filler.unlink()


@contextmanager
def diff_dir_that_fills(machine: Machine) -> Iterator[None]:
    """DiffDir is full from the moment at which the dump has ended."""
    filler = machine.site.diff_dir / "filler"
    script = f'REAL "$@"; s=$?; cat /dev/zero > {filler} 2>/dev/null; exit $s'
    with small_disk(machine.site.diff_dir, "1m"), dumping(script)(machine):
        try:
            yield
        finally:
            filler.unlink()


def answering(*faults: tuple[str, Action] | tuple[str, Action, int | range], key: str = ARCHIVE) -> Injection:
    """The S3 server treats requests of these operations, or only those of these numbers, in another way."""

    @contextmanager
    def inject(machine: Machine) -> Iterator[None]:
        assert machine.bucket is not None
        proxy = machine.bucket.proxy
        for operation, action, *numbers in faults:
            proxy.add(Fault(operation, action, nth=numbers[0] if numbers else None, key=key))
        try:
            yield
        finally:
            proxy.away = False
            proxy.clear()

    return inject


def answering_once_it_lands(operation: str, action: Action) -> Injection:
    """The S3 server treats requests of this operation in another way as soon as an archive has all been sent."""

    @contextmanager
    def inject(machine: Machine) -> Iterator[None]:
        assert machine.bucket is not None
        proxy = machine.bucket.proxy

        def land(request: Request, forward: Forward) -> Answer:
            proxy.add(Fault(operation, action, key=ARCHIVE))
            return forward(request)

        proxy.add(Fault("PutObject|CompleteMultipartUpload", land, key=ARCHIVE))
        try:
            yield
        finally:
            proxy.clear()

    return inject


def losing_the_network(operation: str, seconds: float) -> Injection:
    """From the first request of an operation on the network is away, and back after so many seconds."""

    @contextmanager
    def inject(machine: Machine) -> Iterator[None]:
        assert machine.bucket is not None
        proxy = machine.bucket.proxy

        back = threading.Timer(seconds, lambda: vars(proxy).update(away=False))

        def go_away(_request: Request, _forward: Forward) -> None:
            proxy.away = True
            back.start()

        with answering((operation, go_away, 1))(machine):
            yield
        back.cancel()

    return inject


def killing(operation: str, *, after: bool, key: str = ARCHIVE) -> Injection:
    """The run is killed when it makes a request, before or after the server has done what it is asked for."""

    def inject(machine: Machine) -> AbstractContextManager[None]:
        def act(request: Request, forward: Forward) -> None:
            if after:
                forward(request)
            assert machine.running is not None
            machine.running.kill()

        return answering((operation, act, 1), key=key)(machine)

    return inject


def shortening(machine: Machine) -> AbstractContextManager[None]:
    """The server reports success for an object of which it keeps only a part."""
    assert machine.bucket is not None
    bucket = machine.bucket
    assert bucket.server.folder is not None
    root = bucket.server.folder / bucket.name

    def act(request: Request, forward: Forward) -> Answer:
        reply = forward(request)
        path = root / request.key
        os.truncate(path, path.stat().st_size - 1000)
        return reply

    return answering(("CompleteMultipartUpload|PutObject", act))(machine)


def shortening_the_temporary_file(machine: Machine) -> AbstractContextManager[None]:
    """The unnamed file in TempDir loses its end while it is uploaded."""

    def act(request: Request, forward: Forward) -> Answer:
        assert machine.running is not None
        for entry in Path(f"/proc/{machine.running.pid}/fd").iterdir():
            if str(machine.site.temp_dir) in str(entry.readlink()):
                os.truncate(entry, 1000)
        return forward(request)

    return answering(("CreateMultipartUpload", act))(machine)


def wrong_tag(request: Request, forward: Forward) -> Answer:
    """The server answers with an ETag that is not that of what it got."""
    reply = forward(request)
    wrong = {name: value for name, value in reply.headers.items() if name.lower() != "etag"}
    return Answer(reply.status, {**wrong, "ETag": f'"{"0" * 32}"'}, reply.body)


def error_in_success(request: Request, forward: Forward) -> Answer:
    """The server begins its answer with 200, and finds out then that it cannot do what it was asked for."""
    text = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>told to fail</Message></Error>'
    return Answer(200, {"Content-Type": "application/xml"}, text)


def slowly(seconds: float) -> Action:
    """The server takes its time."""

    def act(request: Request, forward: Forward) -> Answer:
        time.sleep(seconds)
        return forward(request)

    return act
