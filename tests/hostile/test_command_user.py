"""Programs that are run with another user's rights: they get nothing of root's, and can spoil nothing but their own."""

from __future__ import annotations

import gzip
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.private_server import short_folder
from tests.databases.sqlite_nights import night
from tests.site import Site

USER = pwd.getpwnam("nobody")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root takes the rights of others")


@pytest.fixture
def site() -> Iterator[Site]:
    with short_folder("root") as folder:
        yield Site(folder / "site")


def output(site: Site, run: str, user: str = "nobody") -> str:
    tally = night(site, f"<Command x>\nRun {run}\nRunAs {user}\nFulls 1\n</Command>", force=True)
    assert tally.done == 1
    return gzip.decompress(site.fetch("Command/x-0")).decode()


def test_every_right_of_roots_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/root/tmp")
    monkeypatch.chdir("/root")
    run = (
        "sh -c 'grep -E \"^(Uid|Gid|Groups|Cap(Prm|Eff|Amb)|Umask):\" /proc/self/status; pwd; env; ls -l /proc/self/fd'"
    )
    said = output(site, run)
    number, group = USER.pw_uid, USER.pw_gid
    assert f"Uid:\t{number}\t{number}\t{number}\t{number}\n" in said
    assert f"Gid:\t{group}\t{group}\t{group}\t{group}\n" in said
    assert f"Groups:\t{group} \n" in said
    assert said.count("\t0000000000000000\n") == 3
    assert "Umask:\t0077\n" in said
    assert "\n/\n" in said
    assert f"HOME={USER.pw_dir}\n" in said
    assert "USER=nobody\n" in said
    assert "TMPDIR=" not in said
    assert {line.split()[-3] for line in said.splitlines() if " -> " in line} == {"0", "1", "2", "3"}


def test_a_number_will_do_for_a_user_whom_the_machine_does_not_know(site: Site) -> None:
    assert output(site, "sh -c 'id -u; id -G; echo $HOME'", "12345") == f"12345\n{65534}\n/\n"


def test_what_only_root_may_read_stays_unread(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of root's")
    secret.chmod(0o600)
    body = f"<Command x>\nRun cat {secret}\nRunAs nobody\n</Command>"
    assert night(site, body).failed == 1
    assert site.contents() == {}


def test_a_program_of_the_users_own_may_be_run_as_that_user(site: Site) -> None:
    program = site.root.parent / "program"
    program.write_text("#!/bin/sh\nid -u\n")
    program.chmod(0o755)
    os.chown(program, 12345, 12345)
    assert output(site, str(program), "12345") == "12345\n"
    assert night(site, f"<Command x>\nRun {program}\n</Command>", force=True).failed == 1


def test_lines_without_end_or_number_take_no_memory_and_fill_no_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    script = "head -c 30000000 /dev/zero | tr '\\\\0' x >&2; yes | head -n 100000 >&2; printf '\\\\033[2J\\\\n' >&2"
    assert output(site, f'sh -c "{script}; echo end"') == "end\n"
    assert len(caplog.text) < 200_000
    assert "\033" not in "".join(record.getMessage() for record in caplog.records)
