"""Another user of the machine decides nothing: not by a file of his, nor by a folder in which he may write."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gpg_keys import GpgHome, gpg_home
from tests.site import TIME_LIMIT, Site, site_of_one_file

OTHER = 1234
IS_ROOT = os.geteuid() == 0

LOGGING = """
[loggers]
keys=root
[handlers]
keys=
[formatters]
keys=
[logger_root]
handlers=
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_of_one_file(tmp_path / "site")


@pytest.fixture(scope="module")
def keys() -> Iterator[GpgHome]:
    with gpg_home() as home:
        home.make_key("Backups <backups@example.org>")
        yield home


def make_writable(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o022)


def give_away(path: Path) -> None:
    os.chown(path, OTHER, OTHER)


SPOILS = [make_writable, give_away] if IS_ROOT else [make_writable]


def own_folder(site: Site) -> Path:
    folder = site.root / "decides"
    folder.mkdir(mode=0o755)
    return folder


@dataclass(frozen=True)
class Deciding:
    """What a run reads, below a folder of its own.

    Attributes:
        path: of it.
        options: with which a run reads it.
    """

    path: Path
    options: tuple[str, ...] = ()


def configuration(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "other.conf"
    path.write_text(site.configuration.read_text())
    return Deciding(path, ("-c", str(path)))


def linked_configuration(site: Site, keys: GpgHome) -> Deciding:
    found = configuration(site, keys)
    link = site.root / "link.conf"
    link.symlink_to(found.path)
    return Deciding(found.path, ("-c", str(link)))


def include(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "more.conf"
    path.write_text("Exclude *.o\n")
    site.configure_cycle("", general=f"Include {path}")
    return Deciding(path)


def matched_include(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "more.conf"
    path.write_text("Exclude *.o\n")
    site.configure_cycle("", general="IncludeOptional decides/*.conf")
    return Deciding(path)


def credentials(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "key.txt"
    path.write_text("key=a\nsecret=b\n")
    path.chmod(0o600)
    text = site.configuration.read_text().replace(f"file://{site.vault}", "bucket")
    site.configuration.write_text(f"{text}\nEndpoint http://127.0.0.1:9\nS3Keyfile {path}\n")
    return Deciding(path)


def keyring(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "backups.pub"
    path.write_bytes(keys.export())
    site.configure_cycle("", general=f"GpgKeyring {path}\nGpgRecipient backups@example.org")
    return Deciding(path)


def home_of_gpg(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "gnupg"
    path.mkdir(mode=0o700)
    # Copied, not imported: importing starts an agent, whose socket must not lie as deep as this.
    shutil.copy(keys.path / "pubring.kbx", path)
    (path / "gpg.conf").write_text("trust-model always\n")
    site.configure_cycle("", general=f"GpgHome {path}\nGpgRecipient backups@example.org")
    return Deciding(path)


def settings_of_gpg(site: Site, keys: GpgHome) -> Deciding:
    return Deciding(home_of_gpg(site, keys).path / "gpg.conf")


def home_that_gpg_chooses(site: Site, keys: GpgHome) -> Deciding:
    path = home_of_gpg(site, keys).path
    site.environment["GNUPGHOME"] = str(path)
    site.configure_cycle("", general="GpgRecipient backups@example.org")
    return Deciding(path)


def home(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "home"
    path.mkdir()
    site.environment["HOME"] = str(path)
    return Deciding(path)


def settings_of_aws(site: Site, keys: GpgHome) -> Deciding:
    path = home(site, keys).path / ".aws/config"
    path.parent.mkdir()
    path.write_text("[default]\ncredential_process = touch PWNED\n")
    return Deciding(path)


def logging_settings(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "mine.ini"
    path.write_text(LOGGING)
    return Deciding(path, ("--log-config", str(path)))


def found_logging_settings(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "logging.ini"
    path.write_text(LOGGING)
    own = path.with_name("own.conf")
    own.write_text(site.configuration.read_text())
    return Deciding(path, ("-c", str(own)))


def diff_dir(site: Site, keys: GpgHome) -> Deciding:
    own_folder(site)
    path = site.root / "decides/state"
    path.mkdir(mode=0o700)
    text = site.configuration.read_text().replace(str(site.diff_dir), str(path))
    site.configuration.write_text(text)
    return Deciding(path)


def temp_dir(site: Site, keys: GpgHome) -> Deciding:
    own_folder(site)
    path = site.root / "decides/temp"
    path.mkdir(mode=0o700)
    site.configuration.write_text(site.configuration.read_text().replace(str(site.temp_dir), str(path)))
    return Deciding(path)


def list_of_exclusions(site: Site, keys: GpgHome) -> Deciding:
    path = own_folder(site) / "exclude.txt"
    path.write_text("*.o\n")
    site.configure_cycle(f"TarOptions --exclude-from={path}")
    return Deciding(path)


EVERYTHING = [
    *(configuration, linked_configuration, include, matched_include, credentials, keyring, home_of_gpg),
    *(settings_of_gpg, home_that_gpg_chooses, home, settings_of_aws, logging_settings, found_logging_settings),
    *(diff_dir, temp_dir, list_of_exclusions),
]


def run(site: Site, deciding: Deciding, *options: str, expect: int) -> str:
    """Run with only the ``-c`` that is meant; what was said."""
    command = site.command(*deciding.options, *options)
    if "-c" in deciding.options:
        place = command.index("-c")
        del command[place : place + 2]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT,
        env=site.full_environment(),
        cwd=site.root,
    )
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("make", EVERYTHING)
def test_what_others_can_change_keeps_everything_from_starting(
    make: Callable[[Site, GpgHome], Deciding], spoil: Callable[[Path], None], site: Site, keys: GpgHome
) -> None:
    deciding = make(site, keys)
    # That of the credentials is a server that nobody answers for.
    good = int(make is credentials)
    run(site, deciding, "-t", expect=good)
    for each, options in ((deciding.path, ("-t",)), (deciding.path, ("-f",)), (deciding.path.parent, ("-t",))):
        before = each.stat()
        spoil(each)
        said = run(site, deciding, *options, expect=2)
        assert f"{each} " in said
        assert "run: chown " in said or "run: chmod " in said
        os.chown(each, before.st_uid, before.st_gid)
        each.chmod(before.st_mode)
    assert not site.archive_keys(sums=True)
    run(site, deciding, "-t", expect=good)


@pytest.mark.parametrize("command", [["list"], ["prune"], ["verify"]])
@pytest.mark.parametrize("make", [configuration, credentials, keyring, diff_dir, home, logging_settings])
def test_no_command_starts_with_what_others_can_change(
    make: Callable[[Site, GpgHome], Deciding], command: list[str], site: Site, keys: GpgHome
) -> None:
    deciding = make(site, keys)
    make_writable(deciding.path)
    said = run(site, deciding, *command, expect=2)
    assert f"chmod go-w {deciding.path}" in said


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_passphrase_that_others_can_change_is_not_used(spoil: Callable[[Path], None], site: Site) -> None:
    site.run()
    path = own_folder(site) / "passphrase"
    path.write_text("secret\n")
    path.chmod(0o600)
    commands = [["restore", str(site.source), "--to", str(site.root / "where"), "-t"], ["verify"]]
    for command in commands:
        site.run(*command, "--passphrase-file", str(path))
    spoil(path.parent)
    for command in commands:
        assert f"{path} is not used" in site.run(*command, "--passphrase-file", str(path), expect=2).stderr


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_home_of_gpg_that_others_can_change_decrypts_nothing(
    spoil: Callable[[Path], None], site: Site, keys: GpgHome
) -> None:
    """``agent-program`` is run as soon as gpg needs a secret key."""
    deciding = home_that_gpg_chooses(site, keys)
    site.run()
    program = site.root / "agent"
    program.write_text(f"#!/bin/sh\ntouch {site.root}/PWNED\n")
    program.chmod(0o755)
    (deciding.path / "gpg.conf").write_text(f"agent-program {program}\n")
    spoil(deciding.path / "gpg.conf")
    for command in (["restore", str(site.source), "--to", str(site.root / "where")], ["verify"]):
        assert "gpg.conf" in site.run(*command, expect=2).stderr
    assert not (site.root / "PWNED").exists()
    assert not (site.root / "where").exists()


def test_a_keyring_is_not_imported_where_others_can_swap_the_folder(site: Site, keys: GpgHome) -> None:
    """gpg would read the gpg.conf of whatever stands in the place of its private home."""
    keyring(site, keys)
    folder = own_folder(Site(site.root / "more"))
    site.environment["TMPDIR"] = str(folder)
    folder.chmod(0o1777)
    site.run("-t")
    folder.chmod(0o777)
    for option in ("-t", "-f"):
        assert f"{folder} can be written by others" in site.run(option, expect=2).stderr
    assert not list(folder.iterdir())


def test_what_includes_match_cannot_be_taken_away(site: Site) -> None:
    """Where others can write, they can also remove what an ``Include`` with wildcards would have found."""
    folder = own_folder(site)
    for name in ("IncludeOptional decides/none.conf", "Include decides/*.conf", "IncludeOptional decides/*/*.conf"):
        site.configure_cycle("", general=name)
        folder.chmod(0o755)
        site.run("-t")
        folder.chmod(0o777)
        assert f"{folder} can be written by others" in site.run("-t", expect=2).stderr


# --- bare names ---


@pytest.mark.parametrize(("argument", "file"), [("nightly", "nightly"), ("nightly", "nightly.conf"),
                                                ("nightly.conf", "nightly.conf")])  # fmt: skip
def test_a_bare_name_never_means_a_file_of_the_current_folder(argument: str, file: str, site: Site) -> None:
    (site.root / file).write_text(site.configuration.read_text())
    bare = Deciding(site.root / file, ("-c", argument))
    for options in (("-t",), ()):
        said = run(site, bare, *options, expect=2)
        assert "/etc/s3napback/nightly.conf: cannot be read" in said
        assert f"write -c ./{file}" in said
    assert not list(site.vault.rglob("*"))
    assert run(site, Deciding(site.root / file, ("-c", f"./{file}")), expect=0)


# --- the lock ---


@pytest.mark.parametrize("option", ["-t", "-f"])
def test_a_lock_that_is_another_file_is_neither_cut_off_nor_written_to(option: str, site: Site) -> None:
    victim = site.root / "victim"
    victim.write_text("precious")
    os.link(victim, site.diff_dir / "lock")
    said = site.run(option, expect=2).stderr
    assert f"rm {site.diff_dir}/lock" in said
    assert victim.read_text() == "precious"
    assert not site.archive_keys()


def test_state_that_somebody_planted_is_not_read(site: Site) -> None:
    """A folder that was made while DiffDir was open to all keeps its maker's state; a FIFO there would stop all."""
    site.run()
    (state,) = site.diff_dir.glob("*/*/state.json")
    state.unlink()
    os.mkfifo(state)
    make_writable(state.parent)
    assert f"{state.parent} can be written by others" in site.run("-f", expect=1).stderr
