"""A ping carries the last lines of the log where somebody has asked for it, and never a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3napback.backup.last_lines import LONGEST_BODY, body_of, secrets_of
from s3napback.config.settings import Configuration, Notices, StoreSettings
from tests.backup.listening import Listener
from tests.site import Site

SECRET = "correct-horse-battery"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    (made.source / "file").write_text("content")
    return made


def back_up(site: Site, listener: Listener, general: str, body: str = "", *, expect: int = 0) -> None:
    general = f"PingUrl http://127.0.0.1:{listener.server_port}/ping-id-of-ours\n{general}"
    site.configure(body or f"<Cycle nightly>\nDirectory {site.source}\n</Cycle>", general=general)
    environment = {"MYSQL_PWD": SECRET[::-1], "PWD": str(site.root)}
    site.run(expect=expect, environment={**os.environ, **environment})


@pytest.mark.parametrize("setting", ["", "PingLog Off"])
def test_a_ping_carries_nothing_unless_it_was_said(site: Site, listener: Listener, setting: str) -> None:
    back_up(site, listener, setting)
    assert listener.taken == [("GET", "/ping-id-of-ours/start", b""), ("GET", "/ping-id-of-ours", b"")]


def test_the_ping_at_the_end_carries_what_came_of_it_and_the_last_lines(site: Site, listener: Listener) -> None:
    back_up(site, listener, "PingLog On")
    start, (method, path, body) = listener.taken
    assert start == ("GET", "/ping-id-of-ours/start", b"")
    assert (method, path) == ("POST", "/ping-id-of-ours")
    first, *lines = body.decode().splitlines()
    assert first == "exit code 0: 1 done, 0 skipped, 0 failed"
    assert any(f"INFO directory: Directory {site.source}" in line for line in lines), lines


def test_a_run_that_has_failed_says_why_and_one_that_cannot_begin_does_as_well(site: Site, listener: Listener) -> None:
    back_up(site, listener, "PingLog On", "<Cycle nightly>\nDirectory /nowhere/at/all\n</Cycle>", expect=1)
    body = listener.taken[-1][2].decode()
    assert body.startswith("exit code 1: 0 done, 0 skipped, 1 failed\nfailed: Directory /nowhere/at/all\n")
    assert "ERROR directory: Directory /nowhere/at/all" in body
    back_up(site, listener, "PingLog On\nGpgRecipient nobody@nowhere.example", expect=2)
    assert listener.taken[-1][1].endswith("/fail")
    first, *_, last = listener.taken[-1][2].decode().splitlines()
    assert first.startswith("exit code 2: ")
    assert "gpg" in last


def test_no_secret_is_in_it_though_a_program_tells_its_own(site: Site, listener: Listener) -> None:
    """What the configuration, its key file and the environment have of secrets, and the address of the ping itself."""
    url = "ping-id-of-ours"
    said = f'echo "{SECRET} {SECRET[::-1]} {url} $TOKEN" >&2; exit 1'
    program = site.root / "talks"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(0o700)
    body = f'<Command talks>\nFulls 3\nRun {program}\nEnvironment "TOKEN=in the open"\n</Command>'
    body += f"\n<Command other>\nFulls 3\nRun true\nEnvironment X={SECRET}\n</Command>"
    back_up(site, listener, "PingLog On", body, expect=1)
    carried = listener.taken[-1][2].decode()
    assert "… … … …" in carried
    for secret in (SECRET, SECRET[::-1], url, "in the open"):
        assert secret not in carried


def test_of_many_lines_the_newest_count_and_what_came_of_it_is_always_there() -> None:
    lines = [f"line {number} \udcff" + "x" * 100 for number in range(1000)]
    body = body_of(["exit code 0"], lines, ["line 99"])
    assert len(body) <= LONGEST_BODY
    first, *shown = body.decode().splitlines()
    assert first == "exit code 0"
    assert shown[-1].startswith("…9 \\udcff")
    assert shown[0].startswith("line 9")
    assert body_of(["f" * 20_000], ["x"], []) == b"f" * LONGEST_BODY


@pytest.mark.parametrize(
    ("said", "carried"),
    [
        ("proxy http://me:pass-word@proxy.example:3128/ refused", "proxy http://…@proxy.example:3128/ refused"),
        ("of two lines: second-half", "of two lines: …"),
        ("id ping-id-of-ours", "id …"),
        ("me@example.org: http://example.org/a:b@c", "me@example.org: http://example.org/a:b@c"),
    ],
)
def test_a_secret_is_found_in_whatever_form_it_is_told(said: str, carried: str) -> None:
    notices = Notices(ping_url="https://hc.example/ping-id-of-ours/")
    configuration = Configuration(Path("/x.conf"), StoreSettings(), notices=notices)
    secrets = secrets_of(configuration, {"DEPLOY_TOKEN": "first-half\nsecond-half"})
    assert body_of([said], [], secrets).decode() == f"{carried}\n"
