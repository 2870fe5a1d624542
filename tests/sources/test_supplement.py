"""Between the two tars of a DIFF nothing foreign gets in, and what goes away meanwhile costs nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3napback.chains import Memory
from s3napback.config.settings import JobSettings
from s3napback.errors import PipelineError
from s3napback.index.parent import ParentIndex
from s3napback.index.records import ASKED
from s3napback.rotation import ArchiveType
from s3napback.sources.directory import DirectorySource
from tests.sources.chains import directory_source
from tests.sources.indexed_chain import BLIND, IndexedChain
from tests.sources.quiet_edits import quietly
from tests.sources.trees import assert_same_tree


class Interrupted:
    """A chain whose second tar is another program: a shell script that does something around the real one."""

    def __init__(self, tmp_path: Path, settings: JobSettings = JobSettings(unreadable=2)) -> None:  # noqa: B008
        self.root = tmp_path / "tree"
        self.secret = tmp_path / "secret"
        for name in ("d/a", "d/b", "e/a"):
            quietly(self.root / name, "first")
        quietly(self.secret / "a", "root's alone").chmod(0o600)
        self._program = tmp_path / "tar"
        source = DirectorySource(directory_source(self.root, settings).job, str(self._program), margin=BLIND)
        self.chain = IndexedChain(source, tmp_path / "work")
        self.does('exec tar "$@"')
        self.chain.back_up()
        for name in ("d/a", "e/a"):
            quietly(self.root / name, "changed")

    def does(self, script: str, *, first: str = 'exec tar "$@"') -> None:
        """What the second tar does, and what the first; ``$@`` are the arguments."""
        text = f'#!/bin/sh\ncd {self.root}\ncase "$*" in *--files-from*) {script};; *) {first};; esac\n'
        self._program.write_text(text)
        self._program.chmod(0o755)

    def back_up(self) -> list[str]:
        """The next archive, and what is in it."""
        try:
            return sorted(self.chain.back_up())
        finally:
            self.does('exec tar "$@"')

    def assert_secret(self) -> None:
        """Nothing of the secret is in any archive."""
        assert not [made for made in self.chain.archives if b"root's alone" in made.read_bytes()]

    def assert_healed(self, *names: str) -> None:
        """The next archive holds these and then all is as it is."""
        assert self.back_up() == sorted(names)
        assert self.chain.warnings == []
        assert_same_tree(self.root, self.chain.replay(self.root.parent / "out"))


@pytest.fixture
def night(tmp_path: Path) -> Interrupted:
    return Interrupted(tmp_path)


def test_a_folder_that_was_exchanged_for_a_link_brings_nothing_in(night: Interrupted) -> None:
    night.does(f'mv d aside; ln -s {night.secret} d; exec tar "$@"')
    assert night.back_up() == ["e/a"]
    assert [line for line in night.chain.warnings if "/d/a was kept out" in line]
    night.assert_secret()
    (night.root / "d").unlink()
    (night.root / "aside").rename(night.root / "d")
    night.assert_healed("d/a")


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_nor_where_the_folder_is_back_when_one_looks(night: Interrupted, mode: int) -> None:
    (night.secret / "a").chmod(mode)
    night.does(
        f'mv d aside; ln -s {night.secret} d; tar "$@" >{night.secret}/made; rm d; mv aside d; cat {night.secret}/made'
    )
    assert night.back_up() == ["e/a"]
    assert [line for line in night.chain.warnings if "/d/a was kept out" in line]
    night.assert_secret()
    night.assert_healed("d/a")


@pytest.mark.parametrize(
    "change", ["rm d/a; ln -s /etc/passwd d/a", "chown 1234 d/a", "chmod 4755 d/a", "rm d/a; mkfifo d/a"]
)
def test_what_became_something_else_is_kept_out(night: Interrupted, change: str) -> None:
    night.does(f'tar "$@" >{night.secret}/made; {change}; cat {night.secret}/made')
    assert night.back_up() == ["e/a"]
    night.assert_healed("d/a")


def test_what_is_written_to_meanwhile_passes(night: Interrupted) -> None:
    night.does(f'tar "$@" >{night.secret}/made; echo more >>d/a; cat {night.secret}/made')
    assert night.back_up() == ["d/a", "e/a"]
    night.assert_healed("d/a")


@pytest.mark.parametrize("change", ["rm d/a", "rm -r d", "rm -r d; touch d", "rm d/a; mkdir d/a"])
def test_what_vanishes_is_a_warning_and_the_rest_is_taken(night: Interrupted, change: str) -> None:
    night.does(f'{change}; exec tar "$@"')
    assert "e/a" in night.back_up()
    if not (night.root / "d/a").is_dir():
        assert [line for line in night.chain.warnings if "/d/a is not in this archive" in line]
    night.back_up()
    assert_same_tree(night.root, night.chain.replay(night.root.parent / "out"))


def test_what_tar_was_not_asked_for_fails_the_source(night: Interrupted) -> None:
    night.does('exec tar --create --file=- --format=posix --directory=/ -- "${PWD#/}/d/b" "${PWD#/}/e/a"')
    with pytest.raises(PipelineError, match="not asked for"):
        night.back_up()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('exec tar "$@" | head -c 2048', "lost its end"),
        ('tar "$@"; exit 3', "exit status 3"),
        ("kill -9 $$", "SIGKILL"),
        ("echo rubbish", "not a whole tar archive|lost its end"),
        (":", "produced nothing"),
    ],
)
def test_a_second_tar_that_fails_fails_the_source(night: Interrupted, script: str, message: str) -> None:
    night.does(script)
    with pytest.raises(PipelineError, match=message):
        night.back_up()


@pytest.mark.parametrize(("most", "fails"), [(1, True), (2, False)])
def test_what_either_tar_cannot_read_counts_for_unreadable(night: Interrupted, most: int, fails: bool) -> None:
    settings = JobSettings(unreadable=most)
    job = directory_source(night.root, settings).job
    night.chain.source = DirectorySource(job, night.chain.source.tar, margin=BLIND)
    # Broken disks are rare; so the messages alone are played, and the files left out.
    night.does(
        'echo "tar: ${PWD#/}/d/a: Cannot open: Input/output error" >&2; tar --exclude=d/a "$@"; exit 2',
        first='echo "tar: ${PWD#/}/d/b: Cannot open: Input/output error" >&2; tar "$@"; exit 2',
    )
    if fails:
        with pytest.raises(PipelineError, match="2 paths could not be read, and Unreadable is"):
            night.back_up()
        return
    assert night.back_up() == ["e/a"]
    night.assert_healed("d/a", "d/b")


def test_what_is_left_out_for_a_pattern_is_asked_for_once(tmp_path: Path) -> None:
    night = Interrupted(tmp_path, JobSettings(exclude=("*.o",)))
    (night.root / "new.o").mkdir()
    night.back_up()
    (night.root / "new.o").rmdir()
    quietly(night.root / "new.o", "excluded")
    quietly(night.root / "first.o", "excluded")
    assert night.back_up() == []
    night.does("exit 9")
    assert night.back_up() == []


def test_a_new_name_that_vanished_is_taken_when_it_is_there_again(night: Interrupted) -> None:
    quietly(night.root / "d/new/inner", "inner")
    night.back_up()
    (night.root / "d/new/inner").unlink()
    (night.root / "d/new").rmdir()
    quietly(night.root / "d/new", "a file by now, and old")
    night.does('rm d/new; exec tar "$@"')
    assert night.back_up() == []
    with ParentIndex(night.chain.folder / "kept.index") as index:
        assert index.part(b"d", b"new")[0].look_up(b"new") == (ASKED, None)
    quietly(night.root / "d/new", "a file by now, and old")
    night.assert_healed("d/new")


def test_what_was_archived_once_is_never_taken_for_excluded(night: Interrupted) -> None:
    night.does('exec tar --exclude=d/a "$@"')
    assert night.back_up() == ["e/a"]
    night.assert_healed("d/a")


def test_a_chain_that_was_begun_without_an_index_goes_on_without(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    quietly(root / "file", "first")
    source = directory_source(root)
    IndexedChain(source, tmp_path / "work").back_up()
    dump = source.dump(ArchiveType.DIFF, Memory("kept.snapshot"), tmp_path / "work")
    assert dump.index is None


def test_an_archive_without_an_index_ends_with_the_record_in_which_a_tar_that_reads_ends(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    quietly(root / "file", "first")
    chain = IndexedChain(directory_source(root), tmp_path / "work")
    chain.back_up()
    (tmp_path / "work/kept.index").unlink()
    (root / "file").write_text("second")
    assert chain.back_up() == ["file"]
    assert chain.archives[-1].stat().st_size == 10_240


def test_the_files_of_state_are_for_their_owner_alone(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    quietly(root / "file", "first")
    umask = os.umask(0)
    try:
        IndexedChain(directory_source(root), tmp_path / "work").back_up()
    finally:
        os.umask(umask)
    assert (tmp_path / "work/kept.index").stat().st_mode & 0o7777 == 0o600
