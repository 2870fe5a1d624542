"""Another user cannot lead root's log into a file of root's: not where a group may write, nor where everybody may."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.errors import ChangeableByOthers
from s3napback.logs import configure_logging
from s3napback.ownership import open_log
from tests.site import Site

OTHER = 1234
APPENDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND
EMPTIED = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
SETTINGS = """
[loggers]
keys=root
[handlers]
keys=file
[formatters]
keys=
[logger_root]
level=INFO
handlers=file
[handler_file]
class={}
args={}
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led to what others may not write to")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("precious\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir()
    return folder


def lets_a_group_write(folder: Path) -> None:
    """As ``/var/log`` is on Ubuntu."""
    os.chown(folder, 0, OTHER)
    folder.chmod(0o775)


def is_like_tmp(folder: Path) -> None:
    folder.chmod(0o1777)


def is_anothers(folder: Path) -> None:
    os.chown(folder, OTHER, OTHER)


OPENED_TO_OTHERS = [lets_a_group_write, is_like_tmp, is_anothers]


def lay_link(log: Path, victim: Path) -> None:
    log.symlink_to(victim)


def lay_links_chain(log: Path, victim: Path) -> None:
    log.symlink_to("other")
    log.with_name("other").symlink_to(victim)


def lay_link_to_nothing(log: Path, victim: Path) -> None:
    log.symlink_to(victim.with_name("new"))


def lay_hard_link(log: Path, victim: Path) -> None:
    log.hardlink_to(victim)


def lay_pipe(log: Path, victim: Path) -> None:
    os.mkfifo(log)


def lay_own_file(log: Path, victim: Path) -> None:
    log.touch()
    os.chown(log, OTHER, OTHER)


@pytest.mark.parametrize("flags", [APPENDED, EMPTIED], ids=["appended to", "emptied"])
@pytest.mark.parametrize("lay", [lay_link, lay_links_chain, lay_link_to_nothing, lay_hard_link, lay_pipe, lay_own_file])
@pytest.mark.parametrize("share", OPENED_TO_OTHERS)
def test_what_others_can_have_put_there_is_not_written_to(
    share: Callable[[Path], None], lay: Callable[[Path, Path], None], flags: int, folder: Path, victim: Path
) -> None:
    share(folder)
    lay(folder / "x.log", victim)
    with pytest.raises((ChangeableByOthers, OSError)):
        os.close(open_log(folder / "x.log", flags))
    assert victim.read_text() == "precious\n"
    assert not victim.with_name("new").exists()


@pytest.mark.parametrize("share", OPENED_TO_OTHERS)
def test_a_link_on_the_way_is_not_followed(share: Callable[[Path], None], folder: Path, victim: Path) -> None:
    share(folder)
    (folder / "way").symlink_to(victim.parent)
    with pytest.raises(ChangeableByOthers):
        open_log(folder / "way/victim", APPENDED)
    with pytest.raises(ChangeableByOthers):
        open_log(folder / "way/new", APPENDED)
    assert not victim.with_name("new").exists()


def test_a_folder_in_which_all_may_exchange_everything_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(ChangeableByOthers, match=f"chmod go-w {folder}"):
        open_log(folder / "x.log", APPENDED)


@pytest.mark.parametrize("share", [lambda _folder: None, lets_a_group_write, is_like_tmp])
def test_a_log_where_logs_usually_are_is_made_and_written_on(share: Callable[[Path], None], folder: Path) -> None:
    share(folder)
    for number in range(2):
        descriptor = open_log(folder / "x.log", APPENDED)
        assert os.get_blocking(descriptor)
        os.write(descriptor, b"%d" % number)
        os.close(descriptor)
    assert (folder / "x.log").read_text() == "01"
    os.close(open_log(folder / "x.log", EMPTIED))
    assert (folder / "x.log").read_text() == ""


def test_links_of_the_administrators_own_and_standard_streams_lead_on(folder: Path, victim: Path) -> None:
    (folder / "way").symlink_to("../real")
    (folder.parent / "real").mkdir()
    (folder / "x.log").symlink_to("way/y.log")
    (folder.parent / "real/y.log").touch()
    for path in (folder / "x.log", folder / "way/z.log", Path("/dev/null")):
        os.close(open_log(path, EMPTIED))
    assert (folder.parent / "real/z.log").exists()
    with pytest.raises(IsADirectoryError):
        open_log(folder, APPENDED)
    script = (
        "import os, pathlib, s3napback.ownership as o; os.write(o.open_log(pathlib.Path('/dev/stderr'), 0), b'said')"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    said = subprocess.run([sys.executable, "-c", script], env=environment, stderr=subprocess.PIPE, check=True)
    assert said.stderr == b"said"


HANDLERS = {
    "FileHandler": "('{}', 'w')",
    "handlers.WatchedFileHandler": "('{}',)",
    "handlers.RotatingFileHandler": "('{}', 'a', 1, 3)",
    "handlers.TimedRotatingFileHandler": "('{}',)",
}


@pytest.mark.parametrize("handler", HANDLERS)
def test_no_command_begins_with_a_log_that_leads_elsewhere(
    handler: str, site: Site, folder: Path, victim: Path
) -> None:
    lets_a_group_write(folder)
    lay_link(folder / "x.log", victim)
    settings = site.root / "logging.ini"
    settings.write_text(SETTINGS.format(handler, HANDLERS[handler].format(folder / "x.log")))
    for command in ([], ["list"]):
        said = site.run(f"--log-config={settings}", *command, expect=2).stderr
        assert f"{folder}/x.log is a symbolic link where others may write" in said
    assert victim.read_text() == "precious\n"
    assert not list(site.vault.rglob("*"))


def test_nor_is_a_log_that_is_exchanged_meanwhile(
    folder: Path, victim: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its handler is switched off, and the run goes on."""
    lets_a_group_write(folder)
    settings = tmp_path / "logging.ini"
    settings.write_text(SETTINGS.format("handlers.WatchedFileHandler", f"('{folder}/x.log',)"))
    try:
        configure_logging(settings, [], debug=False)
        logging.getLogger("s3napback").info("first")
        (folder / "x.log").unlink()
        lay_link(folder / "x.log", victim)
        logging.getLogger("s3napback").info("second")
    finally:
        configure_logging(None, [], debug=False)
    assert victim.read_text() == "precious\n"
    assert "the log handler file cannot write: ChangeableByOthers" in capfd.readouterr().err
