"""A store that hangs, drips or never ends: a signal ends every command in time, StallTimeout what nobody watches."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faulty_s3 import Action, Answer, Fault, FaultyS3, stall
from tests.hostile.answers import drip, endless_answer
from tests.hostile.interrupting import LIMIT, Ended, interrupt
from tests.servers import S3Server
from tests.site import Site

DRIP = drip(5)
SILENCE = stall(3600)
ORDERLY = 15.0
"""Seconds that an end takes at most which is not by force."""

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


@pytest.fixture(scope="module")
def proxy(rclone: S3Server) -> Iterator[FaultyS3]:
    with FaultyS3(rclone) as running:
        yield running


@pytest.fixture(scope="module")
def backed_up(proxy: FaultyS3, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose archive is of more than two parts and ranges."""
    site = Site(tmp_path_factory.mktemp("site"), proxy.server)
    (site.source / "file").write_bytes(random.Random(7).randbytes(11 << 20))
    configure(site)
    site.run()
    return site


@pytest.fixture
def site(backed_up: Site, proxy: FaultyS3) -> Iterator[Site]:
    configure(backed_up)
    backed_up.environment.clear()
    yield backed_up
    proxy.clear()


def configure(site: Site, general: str = "") -> None:
    site.configure_cycle("Fulls 2", general=f"ChunkSize 5242880\nUploadThreads 2\n{general}")


def hits(proxy: FaultyS3, operation: str, action: Action, nth: int | None = None) -> Callable[[], bool]:
    """Have a fault from now on, and tell when a request has met it."""
    fault = Fault(operation, action, nth=nth)
    proxy.add(fault)
    return lambda: fault.count >= (nth or 1)


def assert_orderly(ended: Ended, number: signal.Signals = signal.SIGTERM) -> None:
    assert ended.code == CODES[number], ended.stderr
    assert f"interrupted by {number.name}" in ended.stderr
    assert ended.seconds < ORDERLY
    assert ended.left == []


LOOKS = [
    ("list", "ListObjectsV2", DRIP, signal.SIGINT),
    ("list", "HeadObject", SILENCE, signal.SIGTERM),
    ("verify", "GetObject", DRIP, signal.SIGTERM),
    ("verify --keyless", "GetObject", SILENCE, signal.SIGHUP),
    ("prune", "ListObjectsV2", SILENCE, signal.SIGTERM),
]


@pytest.mark.parametrize(("command", "operation", "action", "number"), LOOKS, ids=lambda each: str(each)[:16])
def test_a_signal_ends_what_only_reads(
    site: Site, proxy: FaultyS3, command: str, operation: str, action: Action, number: signal.Signals
) -> None:
    ended = interrupt(site, *command.split(), when=hits(proxy, operation, action), number=number)
    assert_orderly(ended, number)


@pytest.mark.parametrize(
    ("nth", "action"), [(1, DRIP), (3, SILENCE)], ids=["the first bytes drip", "a range is silent"]
)
def test_a_signal_ends_a_restore_and_nothing_of_it_stays(site: Site, proxy: FaultyS3, action: Action, nth: int) -> None:
    target = site.root / "restored"
    when = hits(proxy, "GetObject", action, nth)
    assert_orderly(interrupt(site, "restore", str(site.source), f"--to={target}", when=when))
    assert not target.exists()


UPLOADS = [
    ("ListObjectsV2", SILENCE),
    ("CreateMultipartUpload", SILENCE),
    ("UploadPart", SILENCE),
    ("UploadPart", DRIP),
    ("CompleteMultipartUpload", SILENCE),
]


@pytest.mark.parametrize(("operation", "action"), UPLOADS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_signal_ends_a_backup_and_its_upload_is_aborted(
    site: Site, proxy: FaultyS3, operation: str, action: Action
) -> None:
    before = site.contents()
    assert_orderly(interrupt(site, "--full", "-f", when=hits(proxy, operation, action)))
    proxy.clear()
    assert site.server is not None
    assert site.contents() == before
    if operation != "CreateMultipartUpload":
        assert site.server.unfinished_uploads(site.bucket) == []


def test_a_signal_ends_a_backup_whose_abort_hangs_too(site: Site, proxy: FaultyS3) -> None:
    proxy.add(Fault("AbortMultipartUpload", SILENCE))
    ended = interrupt(site, "--full", "-f", when=hits(proxy, "UploadPart", SILENCE))
    assert ended.code == 143
    assert ended.seconds < LIMIT
    assert "the next run tries again" in ended.stderr


@pytest.mark.parametrize("program", ["tar", "gpg"])
def test_a_signal_ends_children_that_do_not_want_to(site: Site, backup_home: Path, program: str) -> None:
    note = site.root / f"{program}.hangs"
    note.unlink(missing_ok=True)
    looks_up = program == "gpg"
    condition = '*"--list-keys"*' if looks_up else '*"--create"*'
    hang = f'trap "" TERM INT HUP; touch {note}; while :; do sleep 1; done'
    site.fake_program(program, f'case "$*" in {condition}) {hang};; esac; exec REAL "$@"')
    if looks_up:
        configure(site, f"GpgRecipient backup@example.org\nGpgHome {backup_home}")
    assert_orderly(interrupt(site, "--full", "-f", when=note.exists))


HANGING = 'trap "" TERM INT HUP; touch {note}; while :; do sleep 1; done'


@pytest.mark.parametrize(("command", "action"), [("restore", "--extract"), ("verify --compare", "--compare")])
def test_a_signal_ends_reading_whose_children_do_not_want_to(vault: Site, command: str, action: str) -> None:
    """What extracts can leave its note only where it extracts to."""
    target = vault.root / "restored"
    note = "begun" if command == "restore" else str(vault.root / "hangs")
    vault.fake_program("tar", f'case "$*" in *{action}*) {HANGING.format(note=note)} ;; esac; exec REAL "$@"')
    options = [str(vault.source), f"--to={target}"] if command == "restore" else []
    notes = vault.root / "hangs", target
    ended = interrupt(
        vault, *command.split(), *options, when=lambda: notes[0].exists() or bool([*notes[1].glob("*/tree/begun")])
    )
    assert_orderly(ended)
    assert not target.exists()


@pytest.fixture
def backup_home(site: Site) -> Iterator[Path]:
    """A home that looks used; what gpg does with it does not matter."""
    home = site.root / "gpg-home"
    home.mkdir(mode=0o700)
    (home / "pubring.kbx").touch()
    yield home
    shutil.rmtree(home)


@contextmanager
def silent_server(*, drips: bool = False) -> Iterator[int]:
    """A server that takes connections and says nothing, or a byte every two seconds."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(20)
        taken: list[socket.socket] = []
        ended = threading.Event()

        def drip_bytes(connection: socket.socket) -> None:
            while not ended.wait(1):
                connection.sendall(b"2")

        def take() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                taken.append(connection)
                if drips:
                    threading.Thread(target=drip_bytes, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                connection.close()


HANDLERS = {
    "SMTP": "class=logging.handlers.SMTPHandler\nargs=(('127.0.0.1', {port}), 'a@example.org', ['b@example.org'], 's')",
    "HTTP": "class=logging.handlers.HTTPHandler\nargs=('127.0.0.1:{port}', '/log')",
}


@pytest.mark.parametrize(("kind", "console"), [("SMTP", True), ("HTTP", False)])
def test_a_log_handler_that_hangs_does_not_stand_between_a_signal_and_the_end(
    site: Site, proxy: FaultyS3, kind: str, console: bool
) -> None:
    with silent_server(drips=kind == "SMTP") as port:
        settings = site.root / "logging.ini"
        names = "far,near" if console else "far"
        near = "[handler_near]\nclass=StreamHandler\nargs=(sys.stderr,)\nformatter=plain\n" if console else ""
        settings.write_text(
            f"[loggers]\nkeys=root\n[handlers]\nkeys={names}\n[formatters]\nkeys=plain\n"
            f"[formatter_plain]\nformat=%(message)s\n[logger_root]\nlevel=ERROR\nhandlers={names}\n"
            f"[handler_far]\n{HANDLERS[kind].format(port=port)}\n{near}"
        )
        ended = interrupt(site, f"--log-config={settings}", "list", when=hits(proxy, "ListObjectsV2", SILENCE))
    settings.unlink()
    assert_orderly(ended)
    assert ended.stderr.count("interrupted by SIGTERM") == 1


@pytest.fixture
def vault(tmp_path: Path) -> Site:
    """A directory store, in which reading may hang."""
    site = Site(tmp_path)
    (site.source / "file").write_bytes(random.Random(8).randbytes(3 << 20))
    site.configure_cycle("Fulls 2", general="StallTimeout 2")
    site.run()
    folder = tmp_path / "hanging"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("hanging_mount.py"), folder / "sitecustomize.py")
    site.environment |= {"PYTHONPATH": str(folder), "HANGING_NOTE": str(tmp_path / "hangs")}
    return site


@pytest.mark.parametrize(
    ("command", "position"), [("restore", 0), ("restore", 1 << 20), ("verify", 1 << 20), ("verify --keyless", 1 << 20)]
)
def test_stall_timeout_ends_reading_from_a_mount_that_hangs(vault: Site, command: str, position: int) -> None:
    vault.environment["HANGING_AT"] = str(position)
    target = vault.root / "restored"
    options = [*command.split(), str(vault.source), *([f"--to={target}"] if command == "restore" else [])]
    began = time.monotonic()
    done = vault.run(*options, expect=1)
    assert time.monotonic() - began < ORDERLY
    said = done.stdout + done.stderr
    assert f"file://{vault.vault}/{vault.name()}-0-FULL" in said
    assert "silent for 2 seconds (StallTimeout)" in said
    assert not target.exists()


def test_a_signal_ends_a_restore_from_a_mount_that_hangs(vault: Site) -> None:
    vault.environment["HANGING_AT"] = str(1 << 20)
    vault.configure_cycle("Fulls 2", general="StallTimeout 0")
    target = vault.root / "restored"
    when = (vault.root / "hangs").exists
    assert_orderly(interrupt(vault, "restore", str(vault.source), f"--to={target}", when=when))
    assert not target.exists()


@pytest.mark.parametrize(
    ("nth", "action"),
    [(1, SILENCE), (2, SILENCE), (2, drip(0.5))],
    ids=["the first bytes are silent", "a range is silent", "a range drips"],
)
def test_stall_timeout_ends_a_restore_from_a_bucket(site: Site, proxy: FaultyS3, action: Action, nth: int) -> None:
    configure(site, "StallTimeout 2")
    proxy.add(Fault("GetObject", action, nth=range(nth, 1000)))
    target = site.root / "restored"
    began = time.monotonic()
    done = site.run("restore", str(site.source), f"--to={target}", expect=1)
    assert time.monotonic() - began < ORDERLY
    assert f"s3://{site.bucket}/{site.name()}-0-FULL" in done.stderr
    assert "silent for 2 seconds (StallTimeout)" in done.stderr
    assert not target.exists()


def test_an_answer_without_end_ends_a_command_and_not_the_memory(site: Site, proxy: FaultyS3) -> None:
    proxy.add(Fault("ListObjectsV2", endless_answer(b" " * 4096, begin=b"<ListBucketResult>")))
    assert "the answer has more than" in site.run("list", expect=2).stderr


@pytest.mark.parametrize(
    ("operation", "status"), [("ListObjectsV2", 307), ("GetObject", 302), ("GetObject", 308), ("HeadObject", 301)]
)
def test_a_redirect_leads_nowhere(site: Site, proxy: FaultyS3, operation: str, status: int) -> None:
    """It would bring credentials, and what is asked for, to whoever the endpoint names."""
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.listen()
        elsewhere.setblocking(False)
        address = "http://{}:{}/".format(*elsewhere.getsockname())
        headers = {"Location": address, "x-amz-bucket-region": "eu-west-1"}
        body = f"<Error><Code>TemporaryRedirect</Code><Endpoint>{address}</Endpoint></Error>".encode()
        was_met = hits(proxy, operation, lambda _request, _forward: Answer(status, headers, body))
        configure(site, "StallTimeout 2")
        target = site.root / "restored"
        site.run("restore", str(site.source), f"--to={target}", expect=None)
        assert was_met()
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    shutil.rmtree(target, ignore_errors=True)


BOMB = (
    b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a '%s'>%s]><ListBucketResult><Name>&j;</Name></ListBucketResult>"
    % (
        b"bomb" * 100,
        b"".join(b"<!ENTITY %c '%s'>" % (letter, b"&%c;" % (letter - 1) * 20) for letter in range(ord("b"), ord("k"))),
    )
)


def test_an_answer_that_unfolds_itself_takes_no_memory(site: Site, proxy: FaultyS3) -> None:
    proxy.add(Fault("ListObjectsV2", lambda _request, _forward: Answer(200, {}, BOMB)))
    limited = ["prlimit", "--as=2000000000", *site.command("list")]
    done = subprocess.run(
        limited, env=site.full_environment(), capture_output=True, text=True, check=False, timeout=LIMIT * 4
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "MemoryError" not in done.stderr


def test_a_checksum_object_without_measure_does_not_block_a_restore(site: Site) -> None:
    """It is looked at where nothing else tells whether the archive is whole: without encryption."""
    assert site.server is not None
    key = f"{site.name()}-0-FULL.sha256"
    good = site.fetch(key)
    client = site.server.client()
    target = site.root / "restored"
    try:
        client.put_object(Bucket=site.bucket, Key=key, Body=good + b"#" * 65_536)
        assert "longer than checksums are" in site.run("restore", str(site.source), f"--to={target}").stderr
        assert "there is no checksum" in site.run("verify", "--keyless", expect=1).stdout
    finally:
        client.put_object(Bucket=site.bucket, Key=key, Body=good)
        shutil.rmtree(target, ignore_errors=True)


def test_a_checksum_object_that_cannot_be_read_does_not_block_a_restore(site: Site, proxy: FaultyS3) -> None:
    proxy.add(Fault("GetObject", lambda _request, _forward: None, key=r".*\.sha256"))
    configure(site, "StallTimeout 2")
    target = site.root / "restored"
    assert "without a look at its checksum" in site.run("restore", str(site.source), f"--to={target}").stderr
    shutil.rmtree(target)
