"""Trees of the kinds that people have, through their nights: each night comes back to the last attribute."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from tests.recovery.helpers import leftovers, restore_here
from tests.site import FIRST_DAY, Site
from tests.sources.trees import Entry, describe_tree, tree_differences

Night = Callable[[Path, int], object]


def written(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def a_working_tree(top: Path, night: int) -> None:
    """Switched from commit to commit, as git does it: what changed is unlinked and made anew, empty folders go."""
    chooser = random.Random(night)
    wanted = {
        f"src/{chooser.choice('abc')}{number % 7}/{number}.c": f"{number} {chooser.randrange(3)}\n" * number
        for number in range(40)
        if chooser.random() < 0.7
    }
    # In every other commit a file has the name that is a folder's in the others, and so have links.
    odd = night % 2
    wanted |= {"docs": "one file"} if odd else {"docs/index": "a folder", "docs/deep/er/page": "p"}
    links = {"latest": "docs", "vendor": "src/a0"} if odd else {"latest/link": "../docs"}
    for path in sorted(top.rglob("*"), reverse=True):
        name = str(path.relative_to(top))
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif wanted.get(name) != path.read_text():
            path.unlink()
    for name, content in wanted.items():
        if not (top / name).exists():
            written(top / name, content)
            (top / name).chmod(0o755 if len(content) % 3 else 0o644)
    for name, target in links.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).symlink_to(target)


def modules_of_node(top: Path, night: int) -> None:
    """Updated as npm does it: a folder moves aside, and a new one takes its name; with links to programs."""
    chooser = random.Random(night)
    modules = top / "node_modules"
    programs = modules / ".bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("left", "right", "@scope/one", "@scope/two"):
        place = modules / name
        if place.exists():
            if chooser.random() < 0.5:
                continue
            place.rename(modules / ".aside")
            shutil.rmtree(modules / ".aside")
        for part in ("package.json", "lib/index.js", f"node_modules/inner/{night}.js"):
            written(place / part, f"{name} {part} {night}")
            # What comes out of a package is as old as the package.
            os.utime(place / part, (499162500, 499162500))
        program = programs / place.name
        program.unlink(missing_ok=True)
        program.symlink_to(f"../{name}/lib/index.js")
    written(modules / ".package-lock.json", str(night))


def a_root_of_debian(top: Path, night: int) -> None:
    """With what only a system has: set-ids, capabilities, devices, many owners, links that lead out of their folder."""
    if not night:
        for folder in ("usr/bin", "usr/share/doc", "dev", "var/lib/dpkg/info", "var/mail", "tmp", "root"):
            (top / folder).mkdir(parents=True)
        for link, target in (("bin", "usr/bin"), ("etc/localtime", "/usr/share/zoneinfo/UTC"), ("var/run", "/run")):
            (top / link).parent.mkdir(exist_ok=True)
            (top / link).symlink_to(target)
        for name, mode, numbers in (
            ("null", 0o20666, (1, 3)),
            ("loop0", 0o60660, (7, 0)),
            ("initctl", 0o10600, (0, 0)),
        ):
            os.mknod(top / "dev" / name, mode, os.makedev(*numbers))
        # tar writes these two characters in another way, where the name of an attribute has them.
        os.setxattr(top / "usr/share/doc", "user.50%3D=half", b"a=b%3D\n")
        os.setxattr(top / "root", "user.colour", b"green")
        os.setxattr(top / "root", "trusted.colour", b"green")
        (top / "tmp").chmod(0o1777)
        (top / "root").chmod(0o700)
        os.chown(top / "var/mail", 0, 8)
        (top / "var/mail").chmod(0o2775)
        (top / "var/log").mkdir()
        subprocess.run(["setfacl", "-m", "g:4:rx", "-d", "-m", "g:4:rx", top / "var/log"], check=True)
    elif night < 3:
        os.removexattr(top / "root", f"{'user' if night == 1 else 'trusted'}.colour")
    for program in ("su", "ping", "perl"):
        # As dpkg does it: beside, owned and permitted, and renamed.
        new = top / f"usr/bin/{program}.dpkg-new"
        written(new, f"{program} {night}" * 1000)
        os.chown(new, 0, 4 if program == "su" else 0)
        new.chmod(0o4754 if program == "su" else 0o755)
        if program == "ping":
            subprocess.run(["setcap", "cap_net_raw+ep", new], check=True)
        new.rename(top / f"usr/bin/{program}")
    (top / "usr/bin/perl5.36").unlink(missing_ok=True)
    (top / "usr/bin/perl5.36").hardlink_to(top / "usr/bin/perl")
    for number in range(night, night + 20):
        written(top / f"var/lib/dpkg/info/package{number}.list", "/.\n")
    (top / f"var/lib/dpkg/info/package{night}.list").unlink()
    os.truncate(top / "var/log/lastlog", 10_000_000) if night else (top / "var/log/lastlog").touch()
    shutil.copytree(top / "usr/bin", top / "usr/share/doc/x", dirs_exist_ok=True, symlinks=True)


@pytest.mark.parametrize(("live", "nights"), [(a_working_tree, 8), (modules_of_node, 6), (a_root_of_debian, 5)])
def test_every_night_of_a_known_kind_of_tree_comes_back(site: Site, tmp_path: Path, live: Night, nights: int) -> None:
    site.configure_cycle("Diffs 7\nCompression none")
    states: list[dict[str, Entry]] = []
    for night in range(nights):
        live(site.source, night)
        assert not backup.run(load_configuration(site.configuration), day_of(night), BackupOptions()).failed
        states.append(describe_tree(site.source))
    for night, state in enumerate(states):
        where = tmp_path / f"out-{night}"
        restore_here(site, str(site.source), where, at=day_of(night).isoformat())
        assert not tree_differences(state, describe_tree(where / site.name()))
        assert not leftovers(where)


def day_of(night: int) -> date:
    return FIRST_DAY + timedelta(days=night)
