"""Debian's package, as far as it can be seen without building it; ``sh tests/run.sh --deb`` builds and installs it."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from s3napback import __version__
from tests.manual import CHECKOUT

PACKAGING = CHECKOUT / ".packaging"
SCRIPTS = sorted([PACKAGING / "deb.sh", *(CHECKOUT / "tests").glob("deb*.sh"), *(PACKAGING / "debian").glob("p*")])
UNITS = "usr/lib/systemd/system"
SETTINGS = "etc/s3napback/logging.ini"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What some of the script's functions put into the package."""
    folder = tmp_path_factory.mktemp("package")
    functions = (PACKAGING / "deb.sh").read_text(encoding="utf-8").removesuffix('main "$@"\n')
    values = {"root": folder, "version": __version__, "architecture": "amd64", "maintainer": "N. N. <n@example.org>"}
    given = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
    calls = "install_units\ninstall_settings\nwrite_control\nnewest_day >day\n".replace(">day", f">{folder}/day")
    subprocess.run(["sh", "-c", f"{functions}\n{given}{calls}"], cwd=CHECKOUT, check=True, timeout=60)
    return folder


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_its_scripts_are_scripts_for_any_shell(script: Path) -> None:
    assert len(SCRIPTS) == 6
    subprocess.run(["sh", "-n", script], check=True)


def test_it_says_what_it_is_and_what_it_needs(root: Path) -> None:
    control = (root / "DEBIAN/control").read_text()
    assert "@" not in control.replace("n@example.org", "")
    fields = dict(re.findall(r"^([A-Z][\w-]+): (.+)$", control, re.MULTILINE))
    assert (fields["Package"], fields["Version"]) == ("s3napback", __version__)
    assert fields["Depends"].startswith("python3 (>= 3.11), python3 (<< 3.14), ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\n", (root / "day").read_text())


def test_its_units_start_its_program_and_speak_of_no_copying(root: Path) -> None:
    names = {path.name for path in (root / UNITS).iterdir()}
    assert names == {path.name for kind in ("service", "timer") for path in (CHECKOUT / "examples").glob(f"*.{kind}")}
    for path in (root / UNITS).iterdir():
        text = path.read_text()
        assert text.startswith("[Unit]\n")
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(text)
        if path.suffix == ".service":
            assert parser["Service"]["ExecStart"].split()[0] == "/usr/bin/s3napback"


def test_no_user_s_run_ends_for_want_of_the_right_to_write_to_its_log(root: Path) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root / SETTINGS)
    assert parser["handlers"]["keys"] == parser["logger_root"]["handlers"] == "console"
    # what an administrator adds is there
    assert {"handler_file", "handler_mail", "formatter_letter"} <= set(parser.sections())
    assert "To use this one" not in (root / SETTINGS).read_text()


def test_the_administrator_s_folder_is_closed_and_only_the_settings_of_the_log_are_the_package_s(root: Path) -> None:
    assert [path.name for path in (root / "etc/s3napback").iterdir()] == ["logging.ini"]
    assert (root / "DEBIAN/conffiles").read_text() == f"/{SETTINGS}\n"
    assert SETTINGS not in (root / "DEBIAN/md5sums").read_text()
    for folder in ("etc/s3napback", "var/lib/s3napback"):
        assert (root / folder).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("argument", ["remove", "purge", "upgrade", "abort-install"])
def test_nothing_of_the_administrator_s_is_removed(argument: str, tmp_path: Path) -> None:
    """Neither script has a command that removes files; folders go only where they are empty."""
    text = "".join((PACKAGING / "debian" / name).read_text() for name in ("prerm", "postrm"))
    assert not re.search(r"\brm\b", text)
    script = (PACKAGING / "debian" / "postrm").read_text()
    for folder in ("etc", "var/lib", "var/log"):
        script = script.replace(f"/{folder}/s3napback", f"{tmp_path}/{folder}/s3napback")
        (tmp_path / folder / "s3napback").mkdir(parents=True)
    (tmp_path / "etc/s3napback/key.txt").touch()
    script = script.replace("/run/systemd/system", str(tmp_path / "no systemd").replace(" ", "-"))
    done = subprocess.run(
        ["sh", "-c", script, "postrm", argument], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    is_purged = argument == "purge"
    assert (tmp_path / "etc/s3napback/key.txt").exists()
    assert (tmp_path / "var/lib/s3napback").exists() is not is_purged
    assert done.stderr == (f"s3napback: {tmp_path}/etc/s3napback is not empty, and stays\n" if is_purged else "")
