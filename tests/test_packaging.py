"""What is handed out is whole: a wheel and a source distribution, built, installed, and tried."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from s3napback import __version__
from s3napback.cli import command_line
from tests.lowest_versions import lowest_versions
from tests.manual import CHECKOUT

SHARED = "share/doc/s3napback"
FILES = ("pyproject.toml", "README.md", "LICENSE", "logging.ini", ".gitignore", ".pre-commit-config.yaml")
FOLDERS = ("s3napback", "tests", "examples", ".ci", ".github", ".packaging")
PAGES = re.compile(r"share/man/man([157])/s3napback(-[a-z]+|\.conf)?\.\1")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with both, made of a copy of the checkout, which they leave as it was."""
    folder = tmp_path_factory.mktemp("built")
    copy = folder / "checkout"
    copy.mkdir()
    for name in FILES:
        shutil.copy(CHECKOUT / name, copy)
    for name in FOLDERS:
        shutil.copytree(CHECKOUT / name, copy / name)
    before = sorted(copy.rglob("*"))
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=copy, check=True)
    assert sorted(copy.rglob("*")) == before
    yield folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    """The source distribution."""
    (found,) = built.glob("*.tar.gz")
    (built / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", found, "-C", built / "unpacked"], check=True)
    (folder,) = (built / "unpacked").iterdir()
    return folder


def files(*folders: str) -> set[str]:
    """Those of the checkout that somebody has written."""
    found = (path for folder in folders for path in (CHECKOUT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(CHECKOUT)) for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_its_types_and_what_the_readme_tells_to_install(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    data = {name for name in names if ".data/data/" in name}
    assert names - data == files("s3napback")
    assert "s3napback/py.typed" in names
    shared = {name.partition(".data/data/")[2] for name in data}
    pages = {name for name in shared if PAGES.fullmatch(name)}
    assert {
        "share/man/man1/s3napback.1",
        "share/man/man1/s3napback-restore.1",
        "share/man/man5/s3napback.conf.5",
    } <= pages
    assert shared - pages == {f"{SHARED}/{name}" for name in {*files("examples"), "logging.ini"}}


def test_the_source_distribution_holds_all_that_a_checkout_does(unpacked: Path) -> None:
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert found - {"PKG-INFO"} == {*FILES, *files(*FOLDERS)}


def test_the_quick_start_is_a_script_for_any_shell() -> None:
    subprocess.run(["sh", "-n", str(CHECKOUT / "examples" / "quickstart.sh")], check=True)


LONGEST_OUTPUT = 60
"""Lines of the quick start."""


def quick_start(script: Path, folder: Path, **environment: str) -> str:
    """Rehearse with a few files; what it said. It has left nothing behind."""
    files_of_mine, temporary = folder / "some files", folder / "tmp"
    (files_of_mine / "below").mkdir(parents=True)
    (files_of_mine / "below" / "file").write_text("content")
    (files_of_mine / "link").symlink_to("below/file")
    temporary.mkdir()
    done = subprocess.run(
        ["sh", str(script), str(files_of_mine)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **environment, "TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert re.search(r"-0-FULL\b", done.stdout)
    assert re.search(r"-1-DIFF\b", done.stdout)
    assert "files are the same." in done.stdout
    # As much as somebody wants to read.
    assert len((done.stdout + done.stderr).splitlines()) <= LONGEST_OUTPUT, f"{done.stdout}\n{done.stderr}"
    for shown in ("s3napback list", "s3napback status", "s3napback -q restore", "s3napback drill", "s3napback init"):
        assert shown in done.stdout
    assert "\n    I shall be edited.\n\n" in done.stdout
    assert list(temporary.iterdir()) == []
    return done.stdout


def test_the_quick_start_installs_the_source_distribution_and_leaves_nothing_behind(
    unpacked: Path, tmp_path: Path
) -> None:
    before = sorted(unpacked.rglob("*"))
    said = quick_start(unpacked / "examples" / "quickstart.sh", tmp_path)
    assert "Installing s3napback into a virtual environment" in said
    assert sorted(unpacked.rglob("*")) == before


def test_the_quick_start_that_came_with_the_wheel_tries_what_is_installed(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "an environment"
    # what s3napback needs is taken from the environment of the tests
    venv.create(environment, with_pip=False)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            environment / "bin" / "python",
            "install",
            "--quiet",
            "--no-deps",
            wheel,
        ],
        check=True,
    )
    script = environment / SHARED / "examples" / "quickstart.sh"
    said = quick_start(script, tmp_path, PYTHONPATH=os.pathsep.join(path for path in sys.path if "packages" in path))
    assert f"Trying {environment}/bin/s3napback" in said
    assert (environment / SHARED / "logging.ini").read_text() == (CHECKOUT / "logging.ini").read_text()


def test_every_requirement_has_a_lower_bound_and_nothing_else(wheel: Path) -> None:
    """Upper bounds keep fixes away from whoever installs it; without a lower one nobody knows what works."""
    constraints = list(lowest_versions(wheel))
    assert {"boto3", "click", "pytest"} <= {line.partition("==")[0] for line in constraints}
    assert not any("extra" in line for line in constraints)


def test_one_version_stands_in_the_package_its_wheel_the_command_and_on_top_of_the_changes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert f"\nVersion: {__version__}\n" in archive.read(metadata).decode()
    changes = (CHECKOUT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d[\w.]*) \(\d{4}-\d\d-\d\d\)$", changes, re.MULTILINE)
    assert versions[0] == __version__
    said = CliRunner().invoke(command_line, ["--version"])
    assert (said.exit_code, said.output) == (0, f"s3napback {__version__}\n")


def test_typed_users_see_the_types() -> None:
    assert (CHECKOUT / "s3napback" / "py.typed").read_bytes() == b""
