"""Root without its powers over permissions, as in many containers, restores what is everybody's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.site import Site

OWNER = "cap_fowner"
OVERRIDE, READ = "cap_dac_override", "cap_dac_override,cap_dac_read_search"
FACTS = r"%P %y %m %U %G %T@ %s %l\n"


def deprived(site: Site, drop: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as root without some of its capabilities."""
    command = ["capsh", f"--drop={drop}", "--", "-c", 'exec "$@"', "x", *site.command(*words, day=None)]
    return subprocess.run(
        command, env=site.full_environment(), cwd=site.root, capture_output=True, text=True, check=False, timeout=60
    )


def facts_of(tree: Path) -> list[str]:
    found = subprocess.run(["find", tree, "-printf", FACTS], capture_output=True, text=True, check=True)
    contents = sorted((str(path), path.read_bytes()) for path in tree.rglob("*") if path.is_file())
    return sorted(found.stdout.splitlines()) + [repr((path[len(str(tree)) :], content)) for path, content in contents]


def shut(*folders: Path) -> None:
    for folder in folders:
        folder.chmod(0o555)


def changing_tree(site: Site, owner: int) -> None:
    """Two nights of folders that nobody may write to, or look into, and that belong to somebody."""
    top = site.source / "read-only"
    inner, closed = top / "inner", site.source / "closed"
    for folder in (inner, closed):
        folder.mkdir(parents=True)
        (folder / "file").write_text("first")
    for name in ("goes", "stays"):
        (top / name).write_text(name)
    for path in site.source.rglob("*"):
        os.chown(path, owner, owner)
    (closed / "file").chmod(0)
    closed.chmod(0)
    shut(inner, top)
    site.configure_cycle("Diffs 3")
    site.run()
    (top / "goes").unlink()
    (inner / "file").write_text("second")
    (top / "comes").write_text("comes")
    (closed / "another").write_text("another")
    site.run(day=1)


@pytest.mark.parametrize("owner", [0, 1000])
@pytest.mark.parametrize("drop", [OVERRIDE, READ])
def test_a_chain_of_folders_that_nobody_may_write_to_comes_back(tmp_path: Path, drop: str, owner: int) -> None:
    site = Site(tmp_path / "site")
    changing_tree(site, owner)
    target = tmp_path / "target"
    done = deprived(site, drop, "restore", str(site.source), "--to", str(target))
    assert done.returncode == 0, done.stderr
    assert facts_of(target / site.source.relative_to("/")) == facts_of(site.source)
    assert [path.name for path in target.iterdir()] == [site.source.parts[1]]


@pytest.mark.parametrize("drop", [OVERRIDE, READ])
def test_such_folders_are_replaced_where_they_lie(tmp_path: Path, drop: str) -> None:
    site = Site(tmp_path / "site")
    changing_tree(site, 0)
    target = tmp_path / "target"
    restored = target / site.source.relative_to("/")
    words = ["restore", str(site.source), "--to", str(target)]
    site.run(*words, day=None)
    (restored / "read-only/stays").write_text("spoilt")
    (restored / "closed/file").unlink()
    done = deprived(site, drop, *words, "--in-place", "--yes")
    assert done.returncode == 0, done.stderr
    assert facts_of(restored) == facts_of(site.source)
    assert [path.name for path in target.iterdir()] == [site.source.parts[1]]


def test_what_such_a_root_cannot_give_away_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    changing_tree(site, 1000)
    target = tmp_path / "target"
    done = deprived(site, f"{READ},cap_chown,cap_fowner", "restore", str(site.source), "--to", str(target))
    assert done.returncode == 1
    assert "owner and group not set (Operation not permitted)" in done.stderr
    restored = target / site.source.relative_to("/")
    assert (restored / "read-only/inner/file").read_text() == "second"
    assert (restored / "closed/another").read_text() == "another"
    assert [path.name for path in target.iterdir()] == [site.source.parts[1]]


def test_permissions_that_the_system_drops_without_a_word_are_told(tmp_path: Path) -> None:
    """Without CAP_FSETID the kernel takes setgid from what belongs to a group in which one is not, and says nothing."""
    site = Site(tmp_path / "site")
    for name, mode in (("shared", 0o2770), ("sticky", 0o1777), ("lost", 0o2770)):
        (site.source / name).mkdir()
        os.chown(site.source / name, 0, 4321)
        (site.source / name).chmod(mode)
    site.configure_cycle("Diffs 3")
    site.run()
    (site.source / "lost").chmod(0o700)
    (site.source / "shared/new").touch()
    site.run(day=1)
    done = deprived(site, "cap_fsetid", "restore", str(site.source), "--to", str(tmp_path / "out"))
    assert done.returncode == 1
    restored = Path(f"{tmp_path}/out{site.source}")
    assert [(restored / name).stat().st_mode & 0o7777 for name in ("shared", "sticky", "lost")] == [
        0o770,
        0o1777,
        0o700,
    ]
    told = done.stderr.partition("the target did not take everything:")[2]
    assert "1 path: permissions not set (setuid, setgid or the sticky bit is dropped there)" in told
    assert told.rstrip().endswith(f"{restored}/shared")
    strict = ("restore", str(site.source), "--strict-metadata", "--to", str(tmp_path / "strict"))
    assert deprived(site, "cap_fsetid", *strict).returncode == 1
    assert not Path(f"{tmp_path}/strict{site.source}").exists()


def shared_tree(site: Site) -> None:
    """Two nights of folders of others, one of them sticky, out of which something goes."""
    theirs, sticky, shut = (site.source / name for name in ("theirs", "sticky", "shut"))
    for folder in (theirs / "inner", sticky, shut):
        folder.mkdir(parents=True)
        (folder / "goes").write_text("goes")
        (folder / "stays").write_text("first")
    (theirs / "link").symlink_to("inner")
    (shut / "stays").chmod(0o600)
    shut.chmod(0o700)
    for number, path in enumerate([theirs, sticky, shut, *site.source.rglob("*/**/*")]):
        os.chown(path, 1000 + number, 1000, follow_symlinks=False)
    sticky.chmod(0o1777)
    site.configure_cycle("Diffs 3")
    site.run()
    for folder in (theirs / "inner", sticky, shut):
        (folder / "goes").unlink()
        (folder / "stays").write_text("second")
    (theirs / "link").unlink()
    (theirs / "link").symlink_to("nowhere")
    os.chown(theirs / "link", 1234, 1000, follow_symlinks=False)
    site.run(day=1)


def owned_contents(tree: Path) -> dict[str, tuple[int, int, str]]:
    return {
        str(path.relative_to(tree)): (path.lstat().st_uid, path.lstat().st_gid, content_of(path))
        for path in tree.rglob("*")
    }


def content_of(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_text() if path.is_file() else ""


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("drop", [OWNER, f"{OVERRIDE},{OWNER}", f"{READ},{OWNER}"])
def test_who_can_only_give_files_away_gets_all_with_their_owners(tmp_path: Path, drop: str, elsewhere: bool) -> None:
    """Of what he has given to others such a root can neither set the permissions nor remove anything."""
    site = Site(tmp_path / "site")
    shared_tree(site)
    target = tmp_path / "target"
    with TemporaryDirectory(dir="/dev/shm") as other:
        words = ["--staging", other] if elsewhere else []
        done = deprived(site, drop, "restore", str(site.source), "--to", str(target), *words)
        assert not [*Path(other).iterdir()]
    assert done.returncode == 1
    assert "permissions not set (Operation not permitted)" in done.stderr
    assert "not made" not in done.stderr
    assert owned_contents(target / site.source.relative_to("/")) == owned_contents(site.source)
    assert [path.name for path in target.iterdir()] == [site.source.parts[1]]


def test_of_a_file_that_each_archive_has_anew_it_is_told_that_its_permissions_are_not_set(
    site: Site, tmp_path: Path
) -> None:
    """They are set at the end, for it could not be given its attributes otherwise. By then it is another user's."""
    file = site.source / "file"
    file.write_text("content")
    os.setxattr(file, "user.a", b"1")
    os.chown(file, 1000, 1000)
    file.chmod(0o400)
    site.configure_cycle("Diffs 3")
    for day in range(2):
        site.run(day=day)
    target = tmp_path / "target"
    done = deprived(site, f"{OWNER},{OVERRIDE}", "restore", str(site.source), "--to", str(target))
    restored = target / file.relative_to("/")
    assert restored.stat().st_mode & 0o777 == 0o600
    assert done.returncode == 1
    assert f"1 path: permissions not set (Operation not permitted)\n{restored}" in _told(done)


def _told(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join(line.rpartition("s3napback: ")[2].strip() for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("prefix", "missing"),
    [
        ("capsh --drop=cap_setfcap", ["capabilities not set (only a root with all its powers can set them)"]),
        ("capsh --drop=cap_sys_admin", ["extended attributes not set (only a root with all its powers can set them)"]),
        (
            "unshare --user --map-root-user",
            [
                "extended attributes not set (only a root with all its powers can set them)",
                "list of access rights (ACL) not set (the target does not take it, or it names users whom this user",
            ],
        ),
    ],
)
def test_what_root_itself_may_not_set_is_not_blamed_on_the_target(
    site: Site, tmp_path: Path, prefix: str, missing: Sequence[str]
) -> None:
    file = site.source / "file"
    file.touch()
    subprocess.run(["setcap", "cap_net_raw+ep", file], check=True)
    subprocess.run(["setfacl", "-m", "u:7:r", file], check=True)
    os.setxattr(file, "trusted.t", b"1")
    site.configure_cycle("Diffs 3")
    site.run()
    words = [*prefix.split(), *(("--", "-c", 'exec "$@"', "x") if "capsh" in prefix else ())]
    command = [*words, *site.command("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)]
    done = subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = [line.removeprefix("1 path: ") for line in _told(done).splitlines() if line.startswith("1 path: ")]
    assert [line[: len(start)] for line, start in zip(told, missing, strict=True)] == missing
