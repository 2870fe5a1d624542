"""Directories and the real tar: what is archived, what is left out, what survives, what is refused."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3napback.chains import Memory
from s3napback.config.settings import JobSettings
from s3napback.deciding.fulls import why_not_from
from s3napback.errors import PipelineError, SourceError
from s3napback.rotation import ArchiveType, HanoiCycle, SimpleCycle
from s3napback.sources import WORKING
from s3napback.sources.directory import DirectorySource, member_name, tar_command
from s3napback.sources.snapshot import file_sha256
from s3napback.streams.pipeline import Pipeline
from tests.sources.chains import FILES, NightlyChain, archive, directory_source, member_names, replay
from tests.sources.trees import RandomTree, assert_same_tree, describe_tree
from tests.streams.helpers import read_all


def test_everything_is_archived_under_the_path_without_its_first_slash(tree: Path, tmp_path: Path) -> None:
    names = member_names(archive(directory_source(tree), tmp_path / "out"))
    base = str(tree)[1:]
    assert names[0] == base
    assert {f"{base}/{name}" for name in FILES} <= {*names}
    assert all(name == base or name.startswith(f"{base}/") for name in names)


def test_the_root_directory_is_a_dot_and_others_lose_their_slash() -> None:
    assert member_name("/", followed=False) == "."
    assert member_name("/etc", followed=False) == "etc"
    assert member_name("/usr/-x", followed=False) == "usr/-x"
    assert member_name("/bin", followed=True) == "bin/."


@pytest.mark.parametrize("name", ["-rf", "--help", "--", "@file", "a\\nb", "back\\slash", "ä b", "*", "'\""])
def test_a_directory_of_any_name_is_archived(tmp_path: Path, name: str) -> None:
    odd = tmp_path / name
    odd.mkdir()
    (odd / name).write_text("x")
    archive(directory_source(odd), tmp_path / "out")
    replay([tmp_path / "out/0.tar"], tmp_path / "target")
    assert_same_tree(odd, tmp_path / "target" / str(odd)[1:])


def test_a_name_that_begins_like_an_option_is_none_where_it_comes_first() -> None:
    command = tar_command("tar", "/--checkpoint-action=exec=sh", JobSettings(), snapshot=None)
    assert command[-2:] == ("--", "--checkpoint-action=exec=sh")


def test_a_symbolic_link_is_followed_and_that_is_said(tree: Path, linked: Path, tmp_path: Path) -> None:
    source = directory_source(linked)
    assert source.check(had_content=False, remembered={}) == [
        f"Directory {linked} is a symbolic link; its content is taken from {tree}"
    ]
    archive(source, tmp_path / "out")
    replay([tmp_path / "out/0.tar"], tmp_path / "target")
    assert_same_tree(tree, tmp_path / "target" / str(linked)[1:])


def test_a_chain_through_a_symbolic_link_notes_changes_and_deletions(tree: Path, linked: Path, tmp_path: Path) -> None:
    chain = NightlyChain(directory_source(linked), tmp_path / "out")
    chain.backup()
    time.sleep(0.02)
    (tree / "src/main.c").write_text("changed")
    (tree / "src/main.o").unlink()
    diff = chain.backup()
    assert [name for name in member_names(diff) if name.endswith((".c", ".o"))] == [f"{str(linked)[1:]}/./src/main.c"]
    assert_same_tree(tree, chain.replay(tmp_path / "target"))


@pytest.fixture
def mounted(tree: Path) -> Iterator[Path]:
    """Another file system within the tree, or a plain folder for users who may not mount one."""
    place = tree / "src" / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=False, capture_output=True)
    try:
        (place / "main.c").write_text("on another file system")
        yield place
    finally:
        if place.is_mount():
            subprocess.run(["umount", str(place)], check=True)


def test_other_file_systems_belong_to_the_source_unless_told_otherwise(
    tree: Path, mounted: Path, tmp_path: Path
) -> None:
    inside = f"{str(mounted)[1:]}/main.c"
    assert inside in member_names(archive(directory_source(tree), tmp_path / "all"))
    one = archive(directory_source(tree, JobSettings(one_file_system=True)), tmp_path / "one")
    assert (inside in member_names(one)) == (not mounted.is_mount())
    assert f"{str(tree)[1:]}/src/main.c" in member_names(one)
    command = tar_command("tar", str(tree), JobSettings(one_file_system=True), snapshot=None)
    assert "--one-file-system" in command
    assert "--one-file-system" not in tar_command("tar", str(tree), JobSettings(), snapshot=None)


def test_tar_options_are_passed_on(tree: Path, tmp_path: Path) -> None:
    settings = JobSettings(tar_options=("--owner=somebody:77", "--exclude=*.c"))
    made = archive(directory_source(tree, settings), tmp_path / "out")
    listing = subprocess.run(["tar", "-tvf", str(made)], check=True, capture_output=True, text=True).stdout
    assert all(" somebody/" in line for line in listing.splitlines())
    assert "main.c" not in listing
    assert "main.o" in listing


def test_options_from_the_environment_do_not_shape_the_archive(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as cron:
        cron.setenv("TAR_OPTIONS", "--exclude=*.c")
        made = archive(directory_source(tree), tmp_path / "out")
    assert f"{str(tree)[1:]}/src/main.c" in member_names(made)


def make_nanoseconds(root: Path) -> None:
    (root / "file").write_text("x")
    os.utime(root / "file", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root, ns=(1, 987_654_321_987_654_321))


def make_modes_and_owners(root: Path) -> None:
    # Only root can back up a file that nobody may read.
    for mode in (0o4755, 0o2755, 0o1644, 0o777, *([0o000] if os.geteuid() == 0 else [])):
        path = root / f"mode {mode:o}"
        path.write_text("x")
        if os.geteuid() == 0:
            os.chown(path, 12_345, 3_000_000_000)
        path.chmod(mode)


def make_links(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a/one").write_text("one file, three names")
    (root / "three").hardlink_to(root / "a/one")
    (root / "two").hardlink_to(root / "a/one")
    (root / "dangling").symlink_to("/nowhere/" + "far" * 50)
    (root / "symbolic").symlink_to("a")


def make_special_files(root: Path) -> None:
    os.mkfifo(root / "fifo", 0o640)
    if os.geteuid() == 0:
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))


def make_attributes(root: Path) -> None:
    for path in (root / "file", root / "folder"):
        path.mkdir() if path.name == "folder" else path.write_text("x")
        subprocess.run(["setfacl", "-m", "u:daemon:rw,g:bin:x", str(path)], check=True)
        subprocess.run(["setfattr", "-n", "user.comment", "-v", "a note", str(path)], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:daemon:rx", str(root / "folder")], check=True)
    names = {name for entry in describe_tree(root).values() for name, _ in entry.attributes}
    assert names == {"system.posix_acl_access", "system.posix_acl_default", "user.comment"}


def make_long_names(root: Path) -> None:
    folder = root
    for _ in range(3):
        folder /= "n" * 250
        folder.mkdir()
        (folder / ("m" * 255)).write_text("x")


@pytest.mark.parametrize(
    "make",
    [make_nanoseconds, make_modes_and_owners, make_links, make_special_files, make_attributes, make_long_names],
)
def test_survives(make: Callable[[Path], None], tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    make(root)
    chain = NightlyChain(directory_source(root), tmp_path / "out")
    chain.backup()
    assert_same_tree(root, chain.replay(tmp_path / "target"))


def test_times_of_reading_do_not_shape_an_archive_and_those_of_writing_are_exact(tree: Path, tmp_path: Path) -> None:
    with tarfile.open(archive(directory_source(tree), tmp_path / "out")) as made:
        headers = [member.pax_headers for member in made]
    assert [each for each in headers if "atime" in each or "ctime" in each] == []
    assert any("." in each.get("mtime", "") for each in headers)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_file_with_holes_survives_with_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    monkeypatch.setattr("s3napback.sources.directory.tells_holes", lambda *_, **__: trusted)
    root = tmp_path / "tree"
    root.mkdir()
    with (root / "sparse").open("wb") as file:
        for position in (0, 700_001, 5_000_000):
            file.seek(position)
            file.write(b"island")
        file.truncate(6_000_000)
    for name, options in (("plain", ()), ("sparse", ("--sparse",))):
        chain = NightlyChain(directory_source(root, JobSettings(tar_options=options)), tmp_path / name)
        made = chain.backup()
        assert (made.stat().st_size < 1_000_000) == (trusted or bool(options))
        assert_same_tree(root, chain.replay(tmp_path / "target"))


def test_a_socket_is_passed_over(tree: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
        names = member_names(archive(directory_source(tree), tmp_path / "out"))
    assert {f"{str(tree)[1:]}/{name}" for name in FILES} < {*names}
    assert f"{str(tree)[1:]}/socket" not in names


@pytest.mark.parametrize("seed", range(3))
def test_random_trees_with_random_changes_survive_as_a_chain(tmp_path: Path, seed: int) -> None:
    root = tmp_path / "tree"
    tree = RandomTree(root, seed)
    chain = NightlyChain(directory_source(root), tmp_path / "out")
    chain.backup()
    assert_same_tree(root, chain.replay(tmp_path / "target"))
    for _ in range(3):
        tree.edit(20)
        chain.backup()
        assert_same_tree(root, chain.replay(tmp_path / "target"), hard_links=False)


def test_a_diff_holds_what_changed_and_no_more(tree: Path, tmp_path: Path) -> None:
    chain = NightlyChain(directory_source(tree), tmp_path / "out")
    chain.backup()
    time.sleep(0.02)
    (tree / "src/main.c").write_text("changed")
    (tree / "new").write_text("new")
    files = [name for name in member_names(chain.backup()) if (Path("/") / name).is_file()]
    assert sorted(files) == [f"{str(tree)[1:]}/new", f"{str(tree)[1:]}/src/main.c"]


def test_cycles_without_diffs_need_no_snapshot(tree: Path, tmp_path: Path) -> None:
    for schedule in (SimpleCycle(diffs=0), HanoiCycle()):
        source = directory_source(tree, schedule=schedule)
        dump = source.dump(ArchiveType.FULL, None, tmp_path)
        assert dump.snapshot is None
        assert not [part for part in dump.stage.command if "incremental" in part]
        assert list(tmp_path.glob("*.snapshot")) == []


def kept_snapshot(source: DirectorySource, folder: Path) -> Memory:
    NightlyChain(source, folder).backup()
    with (folder / "kept.snapshot").open("rb") as stream:
        return Memory("kept.snapshot", file_sha256(stream))


def test_tar_works_on_a_copy_of_the_snapshot_that_only_its_owner_can_read(tree: Path, tmp_path: Path) -> None:
    source = directory_source(tree)
    memory = kept_snapshot(source, tmp_path / "out")
    before = (tmp_path / "out/kept.snapshot").read_bytes()
    umask = os.umask(0)
    try:
        dump = source.dump(ArchiveType.DIFF, memory, tmp_path / "out")
    finally:
        os.umask(umask)
    assert dump.snapshot == tmp_path / "out" / WORKING
    subprocess.run(dump.stage.command, check=True, stdout=subprocess.DEVNULL)
    assert stat.S_IMODE(dump.snapshot.stat().st_mode) == 0o600
    assert (tmp_path / "out/kept.snapshot").read_bytes() == before
    assert why_not_from(source.footing(memory, tmp_path / "out"), memory, time.time()) is None


def test_a_full_begins_with_an_empty_snapshot_whatever_was_kept(tree: Path, tmp_path: Path) -> None:
    source = directory_source(tree)
    memory = kept_snapshot(source, tmp_path / "out")
    dump = source.dump(ArchiveType.FULL, memory, tmp_path / "out")
    assert dump.snapshot is not None
    assert dump.snapshot.read_bytes() == b""


def test_what_speaks_against_a_diff_is_told(tree: Path, tmp_path: Path) -> None:
    source = directory_source(tree)
    memory = kept_snapshot(source, tmp_path / "out")
    for folder, now, words in (("out", time.time() - 100, "future"), ("elsewhere", time.time(), "missing")):
        assert words in str(why_not_from(source.footing(memory, tmp_path / folder), memory, now))
    (tmp_path / "out/kept.snapshot").write_bytes(b"GNU tar-1.34-2\n")
    assert "damaged" in str(why_not_from(source.footing(memory, tmp_path / "out"), memory, time.time()))


@pytest.mark.parametrize("remains", [None, b"GNU tar-1.34-2\n0"])
def test_a_snapshot_that_cannot_be_copied_fails_the_source(tree: Path, tmp_path: Path, remains: bytes | None) -> None:
    if remains is not None:
        (tmp_path / "kept.snapshot").write_bytes(remains)
    with pytest.raises(SourceError, match="cannot be copied"):
        directory_source(tree).dump(ArchiveType.DIFF, Memory("kept.snapshot"), tmp_path)


def test_planning_starts_the_same_command_and_makes_nothing(tree: Path, tmp_path: Path) -> None:
    source = directory_source(tree)
    folder = tmp_path / "not made"
    stage = source.plan(ArchiveType.DIFF, folder)
    assert not folder.exists()
    folder.mkdir()
    made = source.dump(ArchiveType.FULL, None, folder).stage
    assert (made.command, made.environment) == (stage.command, stage.environment)


def test_what_shapes_the_content_is_told(tree: Path, linked: Path) -> None:
    settings = JobSettings(exclude=("*.o",), tar_options=("--sparse",), one_file_system=True)
    plain, link = directory_source(tree, settings).content(), directory_source(linked, settings).content()
    assert plain["Exclude"] == ["*.o"]
    assert plain["TarOptions"] == ["--sparse"]
    assert plain["OneFileSystem"] is True
    assert plain != link
    assert {**plain, **link} == link


def assert_refused(source: DirectorySource, words: str, *, had_content: bool = False) -> None:
    with pytest.raises(SourceError, match=words):
        source.check(had_content=had_content, remembered={})


def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert_refused(directory_source(tmp_path / "missing"), "does not exist")
    (tmp_path / "dangling").symlink_to("missing")
    assert_refused(directory_source(tmp_path / "dangling"), "does not exist")


def test_a_file_is_refused(tree: Path) -> None:
    assert_refused(directory_source(tree / "src/main.c"), "not a directory")
    assert_refused(directory_source(tree / "src/main.c/below"), "not a directory")


def test_a_directory_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A link to itself: what root may not read either."""
    (tmp_path / "loop").symlink_to("loop")
    assert_refused(directory_source(tmp_path / "loop"), "cannot be read: Too many levels of symbolic links")


def test_a_directory_that_held_files_and_is_empty_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    source = directory_source(empty)
    assert source.check(had_content=False, remembered={}) == []
    assert not source.has_content()
    assert_refused(source, "is empty.*mounted.*-f", had_content=True)
    (empty / ".hidden").write_text("")
    assert source.check(had_content=True, remembered={}) == []
    assert source.has_content()


def warnings_of_dump(source: DirectorySource, folder: Path) -> list[str]:
    with Pipeline([source.plan(ArchiveType.FULL, folder)]) as pipeline:
        buffer = memoryview(bytearray(1 << 16))
        while pipeline.readinto(buffer):
            pass
        return pipeline.warnings


def test_a_directory_that_vanished_since_it_was_looked_at_fails(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="missing"):
        warnings_of_dump(directory_source(tmp_path / "missing"), tmp_path)


def test_a_file_that_changes_while_it_is_read_is_a_warning(tmp_path: Path) -> None:
    """A file that grows for as long as tar reads: a checkpoint's action appends to it."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "file").write_bytes(bytes(3_000_000))
    append = f"exec=echo more >>'{root}/file'"
    options = ("--checkpoint=8", f"--checkpoint-action={append}")
    warnings = warnings_of_dump(directory_source(root, JobSettings(tar_options=options)), tmp_path)
    assert any("file changed as we read it" in line for line in warnings)


@pytest.mark.parametrize("size", [0, 1, 5_000, 9_000, 20_000, 300_000])
def test_a_tar_that_reads_does_not_end_before_the_stream_does(tmp_path: Path, size: int) -> None:
    """It ends after the record with the end mark; anything left of the stream then would meet a closed pipe."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(bytes([1]) * size)
    dump = directory_source(tree).dump(ArchiveType.FULL, None, tmp_path)
    assert dump.guard is not None
    with Pipeline([dump.stage, dump.guard]) as pipeline:
        stream = read_all(pipeline)
    with subprocess.Popen(["tar", "--list"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        reader.stdin.write(stream[:-1])
        reader.stdin.flush()
        time.sleep(0.2)
        assert reader.poll() is None
        reader.stdin.write(stream[-1:])
        reader.stdin.close()
        assert reader.wait() == 0
