"""The manual's snapshots: a real one of Btrfs where the machine has it, and the script for LVM."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.ownership import require_own
from tests import manual
from tests.site import FIRST_DAY, Site

MAKES = ["a copy"]
"""Ways to make a snapshot below a source."""
if os.geteuid() == 0 and "btrfs" in Path("/proc/filesystems").read_text() and shutil.which("mkfs.btrfs"):
    MAKES.append("Btrfs")


@pytest.fixture(params=MAKES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def block(kind: str, site: Site) -> Iterator[str]:
    """A block with Before and After in a configuration of the site."""
    text = manual.marked("before and after")
    begin, end = text.index("    <Directory /home/.snapshot>"), text.index("    # ZFS")
    home = site.root / "home"
    home.mkdir()
    adapted = text[begin:end].replace("/home", str(home))
    if kind == "Btrfs":
        image, disk = site.root / "image", site.root / "disk"
        with image.open("wb") as file:
            file.truncate(200_000_000)
        disk.mkdir()
        subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
        subprocess.run(["btrfs", "-q", "subvolume", "create", str(disk / "home")], check=True)
        subprocess.run(["mount", "--bind", str(disk / "home"), str(home)], check=True)
        try:
            yield adapted
        finally:
            subprocess.run(["umount", str(home), str(disk)], check=True)
    else:
        copy = adapted.replace("btrfs subvolume snapshot -r", "cp -a -T").replace("btrfs subvolume delete", "rm -r")
        place = site.root / "copies"
        place.mkdir()
        yield copy.replace(f"{home}/.snapshot", f"{place}/.snapshot")


def test_a_chain_is_made_of_snapshots_and_comes_back(
    site: Site, kind: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else what has just been made is taken twice.
    monkeypatch.setattr("s3napback.sources.directory.margin", lambda: 0)
    home = site.root / "home"
    (home / "large").write_bytes(os.urandom(300_000))
    (home / "mail").write_text("one")
    site.configure(f"<Cycle two-weeks>\nDiffs 6\nFulls 2\n{block}\n</Cycle>")
    configuration = load_configuration(site.configuration)
    (job,) = configuration.jobs
    assert backup.run(configuration, FIRST_DAY, BackupOptions()).done == 1
    (home / "mail").write_text("one, two")
    assert backup.run(configuration, FIRST_DAY + timedelta(days=1), BackupOptions()).done == 1
    assert not Path(job.target).exists()
    sizes = {key[-4:]: len(site.fetch(key)) for key in site.archive_keys()}
    # What did not change is not taken again, although the snapshot is another file system each night.
    assert set(sizes) == {"FULL", "DIFF"}
    assert (sizes["FULL"] > 300_000) and (sizes["DIFF"] < 300_000 or kind == "a copy")
    site.run("restore", job.target, "--to", str(tmp_path / "back"), day=None)
    back = tmp_path / "back" / job.target.lstrip("/")
    assert (back / "mail").read_text() == "one, two"
    assert (back / "large").read_bytes() == (home / "large").read_bytes()


FAKE = """#!/bin/sh
echo "$(basename $0) $*" >>ROOT/calls
case $(basename $0) in
lvcreate) touch ROOT/volume ;;
lvs) test -e ROOT/volume ;;
lvremove) rm ROOT/volume ;;
mount) touch ROOT/mounted ;;
umount) rm ROOT/mounted ;;
mountpoint) test -e ROOT/mounted ;;
esac
"""


def test_the_script_for_lvm_undoes_what_it_makes_and_can_be_run_twice(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("lvcreate", "lvs", "lvremove", "mount", "umount", "mountpoint"):
        (programs / name).write_text(FAKE.replace("ROOT", str(tmp_path)))
        (programs / name).chmod(0o700)
    script = tmp_path / "www-snapshot"
    script.write_text(manual.marked("lvm").replace("/mnt/www", str(tmp_path / "www")))
    script.chmod(0o700)
    require_own(script)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    for word in ("make", "remove", "remove"):
        subprocess.run([script, word], check=True, env=environment)
        assert (tmp_path / "volume").exists() == (tmp_path / "mounted").exists() == (word == "make")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls if not call.startswith(("lvs", "mountpoint"))] == [
        *("lvcreate", "mount", "umount", "lvremove"),
    ]
    # Without root nothing is made: nobody takes the place of what was meant.
    (programs / "lvcreate").write_text("#!/bin/sh\nexit 5\n")
    assert subprocess.run([script, "make"], check=False, env=environment).returncode == 5
    assert not (tmp_path / "mounted").exists()


def test_the_other_examples_load_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "test.conf"
    path.write_text(f"Bucket my-backups\nEncryption Off\n{manual.marked('before and after')}")
    configuration = load_configuration(path)
    assert configuration.warnings == ()
    for job in configuration.jobs:
        assert job.settings.before
        assert job.settings.after
