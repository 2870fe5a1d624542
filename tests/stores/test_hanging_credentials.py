"""What gives credentials and never comes to an end is given up: botocore would wait for ever, and our lock with it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.crews import Crew, result_of
from s3napback.errors import UnusableStore
from s3napback.stores import s3_client
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_errors import NoCredentialsYet
from s3napback.stores.waiting import IMPATIENT, PATIENT
from tests.servers import S3Server, free_port
from tests.stores.test_s3 import clean_environment

ROLE = """
role_arn = arn:aws:iam::123456789012:role/x
source_profile = default
aws_access_key_id = a
aws_secret_access_key = b
"""
GIVERS = {
    "program": "credential_process /bin/sleep",
    "role": "what the role arn:aws:iam::123456789012:role/x builds upon,",
    "machine": "the machine's metadata service http://127.0.0.1:",
    "container": "the service http://127.0.0.1:",
}
CONFIGURATIONS = {"program": "credential_process = /bin/sleep 15", "role": ROLE, "machine": "", "container": ""}


@contextmanager
def dripping() -> Iterator[str]:
    """The URL of a service that gives one byte each tenth of a second, so that no limit of a silence is reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.1)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("source", CONFIGURATIONS)
def test_whatever_gives_credentials_and_hangs_is_given_up(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: S3Server
) -> None:
    monkeypatch.setattr("s3napback.stores.s3_client._CREDENTIALS_SECONDS", 1.0)
    clean_environment(monkeypatch, moto)
    config = tmp_path / "config"
    config.write_text(f"[default]\n{CONFIGURATIONS[source]}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with dripping() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        if source == "machine":
            monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        if source == "container":
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        store = S3Store(StoreSettings(bucket="some-bucket", endpoint=moto.endpoint), Credentials(), waiting=IMPATIENT)
        began = time.monotonic()
        # All that have waited behind one another are given up together.
        with Crew(24, "asking") as crew:
            for asked in [crew.submit(store.check) for _ in range(24)]:
                with pytest.raises(UnusableStore, match="has not answered within 1 seconds") as caught:
                    result_of(asked)
        assert GIVERS[source] in str(caught.value)
        assert "sleep 15" not in str(caught.value), "arguments may be secret"
        assert time.monotonic() - began < 15


def give_by_program(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Have a shell script be what gives credentials; returns where it lies."""
    helper, config = folder / "helper", folder / "config"
    helper.write_text(f"#!/bin/sh\n{script}")
    helper.chmod(0o700)
    config.write_text(f"[default]\ncredential_process = {helper}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return helper


def test_a_program_that_hangs_is_asked_once_by_all_stores_of_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: S3Server
) -> None:
    monkeypatch.setattr("s3napback.stores.s3_client._CREDENTIALS_SECONDS", 1.0)
    clean_environment(monkeypatch, moto)
    asked = tmp_path / "asked"
    helper = give_by_program(tmp_path, monkeypatch, f"echo x >>{asked}\nexec sleep 600\n")
    for patience in (PATIENT, IMPATIENT, PATIENT):
        with pytest.raises(UnusableStore, match=f"credential_process {helper} has not answered"):
            S3Store(moto.settings("some-bucket"), Credentials(), waiting=patience).check()
    assert asked.read_text() == "x\n"


def test_a_service_that_never_answers_is_asked_for_no_longer_than_a_program_is(
    monkeypatch: pytest.MonkeyPatch, moto: S3Server
) -> None:
    monkeypatch.setattr("s3napback.stores.s3_client._CREDENTIALS_SECONDS", 1.0)
    clean_environment(monkeypatch, moto)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        began = time.monotonic()
        with pytest.raises(UnusableStore, match=r"no usable credentials: the service http://127\.0\.0\.1:"):
            S3Store(moto.settings("some-bucket"), Credentials(), waiting=PATIENT).check()
        assert time.monotonic() - began < 15


def test_a_service_that_fails_at_first_is_asked_until_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, moto: S3Server
) -> None:
    monkeypatch.setattr("s3napback.stores.s3_client._CREDENTIALS_SECONDS", 3.0)
    clean_environment(monkeypatch, moto)
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0.01)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{free_port()}/x")
    for patience in (PATIENT, IMPATIENT):
        began = time.monotonic()
        with pytest.raises(UnusableStore, match=r"no usable credentials: .*(refused|Could not connect)"):
            S3Store(moto.settings("some-bucket"), Credentials(), waiting=patience).check()
        assert time.monotonic() - began < 15


def test_a_program_that_was_given_up_is_ended_with_what_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: S3Server
) -> None:
    monkeypatch.setattr("s3napback.stores.s3_client._CREDENTIALS_SECONDS", 1.0)
    clean_environment(monkeypatch, moto)
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    give_by_program(tmp_path, monkeypatch, f"exec 3>{held}\necho x >&3\nsleep 600\n")
    with pytest.raises(UnusableStore, match="has not answered"):
        S3Store(moto.settings("some-bucket"), Credentials(), waiting=IMPATIENT).check()
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as stream:
        # It ends when nobody holds its other end any more.
        assert set(stream.read()) == set(b"x\n")


@pytest.mark.parametrize(("seconds", "is_told"), [(0.2, False), (20.0, True)])
def test_a_look_that_had_no_time_left_does_not_speak_for_those_before_it(seconds: float, is_told: bool) -> None:
    """“Has not answered within 0 seconds” was said of a service that had refused a dozen times."""
    refused, silent = OSError("refused"), NoCredentialsYet(giver="the service", seconds=seconds)
    beginning = s3_client._Beginning()
    beginning.noted(refused, 30.0)
    beginning.noted(silent, seconds)
    assert beginning.failed is (silent if is_told else refused)
    alone = s3_client._Beginning()
    alone.noted(silent, seconds)
    assert alone.failed is silent
