"""In a user namespace owners look like nobody's whom it does not know, and so they are archived: a run says so.

So do they where a mount gives owners other numbers, and has none for them.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from s3napback import mounts
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from tests.site import FIRST_DAY, Site

TOLD = "some of it belongs to users or groups whom this user namespace does not know"
LISTS = "some of it has access lists (ACL) that name users or groups whom this user namespace does not know"
WITHIN = ("unshare", "--user", "--map-root-user")


def night(site: Site, *prefix: str, day: int) -> str:
    """What a run says that ends well."""
    command = [*prefix, *site.command(day=day)]
    done = subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(("user", "group"), [(5, 0), (0, 6)], ids=["user", "group"])
@pytest.mark.parametrize("schedule", ["Diffs 3", "Diffs 0"], ids=["with DIFFs", "FULLs alone"])
def test_an_owner_whom_a_user_namespace_does_not_know_is_told(site: Site, user: int, group: int, schedule: str) -> None:
    site.configure_cycle(schedule)
    for name in ("known", "file"):
        (site.source / name).write_text(name)
    os.chown(site.source / "file", user, group)
    assert night(site, *WITHIN, day=0).count(TOLD) == 1


@pytest.mark.parametrize(
    ("entry", "schedule"), [("user:5:rwx", "Diffs 3"), ("default:user:5:rx", "Diffs 3"), ("group:6:r", "Diffs 0")]
)
def test_an_access_list_that_names_somebody_unknown_is_told(site: Site, entry: str, schedule: str) -> None:
    """It is archived with names that no restore can set."""
    site.configure_cycle(schedule)
    (site.source / "file").write_text("content")
    listed = site.source if "default" in entry else site.source / "file"
    subprocess.run(["setfacl", "-m", entry, str(listed)], check=True)
    said = night(site, *WITHIN, day=0)
    assert said.count(LISTS) == 1
    assert TOLD not in said


def test_nobody_is_told_of_where_all_owners_are_known(site: Site) -> None:
    """Neither a file of ``nobody`` itself, nor one in a namespace that shows whose it is."""
    site.configure_cycle("Diffs 3")
    (site.source / "file").write_text("content")
    subprocess.run(["setfacl", "-m", "user:0:rwx,group:0:r", str(site.source / "file")], check=True)
    said = night(site, *WITHIN, day=0)
    assert TOLD not in said
    assert LISTS not in said
    os.chown(site.source / "file", 65534, 65534)
    assert TOLD not in night(site, day=1)


@pytest.mark.parametrize("schedule", ["Diffs 3", "Diffs 0"], ids=["with DIFFs", "FULLs alone"])
@pytest.mark.parametrize(("options", "is_told"), [("rw,idmapped", True), ("rw", False)])
def test_an_owner_whom_an_idmapped_mount_does_not_know_is_told(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    schedule: str,
    options: str,
    *,
    is_told: bool,
) -> None:
    """Only the kernel's list says that it is one; what is below it looks like nobody's to everybody."""
    site.configure_cycle(schedule)
    inner = site.source / "mounted"
    inner.mkdir()
    (inner / "file").write_text("content")
    os.chown(inner / "file", 65534, 0)
    monkeypatch.setattr(mounts, "MOUNTS", listed := Path(site.root / "mounts"))
    listed.write_text(f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:1 /x {inner} {options} - ext4 /dev/a rw\n")
    assert not backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions()).failed
    assert (TOLD in caplog.text) == is_told
