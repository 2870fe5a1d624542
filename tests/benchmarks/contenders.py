"""What people would use instead of s3napback, and how each is run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.laboratory import Laboratory, folder_size
from tests.benchmarks.measuring import Failed, Run, Usage, measure


@dataclass(frozen=True)
class Contender:
    """Something that is measured.

    Attributes:
        name: as the table calls it.
        measure: does the task once, given the number of the round from 0; preparations are not counted.
        goal: the largest ratio that s3napback's figure may have to this one's; None is for comparison only.
    """

    name: str
    measure: Callable[[int], Usage]
    goal: float | None = None


def tar_command(tree: Path) -> list[str]:
    """Write a tree to standard output, as the original does."""
    return ["tar", "--create", "--file=-", "--directory=/", str(tree.relative_to("/"))]


def incremental_tar_command(laboratory: Laboratory, tree: Path) -> list[str]:
    """The same, with everything that a restore needs, and a snapshot for the next night."""
    snapshot = laboratory.fresh("snapshot") / "snapshot"
    keeping = ["--format=posix", "--acls", "--xattrs", f"--listed-incremental={snapshot}"]
    return [*tar_command(tree)[:-1], *keeping, str(tree.relative_to("/"))]


def original_to_file(laboratory: Laboratory, tree: Path) -> Callable[[int], Usage]:
    """The original's pipeline, writing a file."""
    return _to_file(laboratory, lambda: tar_command(tree), tree, [["gzip"], laboratory.encrypt_carelessly])


def hand_made_to_file(laboratory: Laboratory, tree: Path) -> Callable[[int], Usage]:
    """The best that can be written by hand of the same tools, writing a file."""
    return _to_file(laboratory, lambda: tar_command(tree), tree, _by_hand(laboratory))


def hand_made_incremental_to_file(laboratory: Laboratory, tree: Path) -> Callable[[int], Usage]:
    """The same with a tar that does what ours must do."""
    return _to_file(laboratory, lambda: incremental_tar_command(laboratory, tree), tree, _by_hand(laboratory))


def _by_hand(laboratory: Laboratory) -> list[list[str]]:
    return [[sys.executable, "-m", "isal.igzip", "-1"], laboratory.encrypt]


def _to_file(
    laboratory: Laboratory, dump: Callable[[], list[str]], tree: Path, filters: Sequence[Sequence[str]]
) -> Callable[[int], Usage]:
    def run(_round: int) -> Usage:
        target = laboratory.fresh("pipeline") / "archive"
        laboratory.warm_up(tree)
        usage = measure(Run([dump(), *filters], laboratory.folder, laboratory.environment, target=target))
        usage = replace(usage, stored=target.stat().st_size)
        target.unlink()
        return usage

    return run


def original_to_s3(laboratory: Laboratory, tree: Path) -> Callable[[int], Usage]:
    """The original's pipeline into ``aws s3 cp``, which does what js3tream did."""

    def run(_round: int) -> Usage:
        address = f"s3://{laboratory.server.make_bucket()}/archive"
        upload = ["aws", "--endpoint-url", laboratory.server.endpoint, "s3", "cp", "--quiet", "-", address]
        commands = [tar_command(tree), ["gzip"], laboratory.encrypt_carelessly, upload]
        laboratory.warm_up(tree)
        usage = measure(Run(commands, laboratory.folder, laboratory.environment))
        laboratory.empty_server()
        return usage

    return run


class Restic:
    """restic and one repository, encrypted as always with it."""

    def __init__(self, laboratory: Laboratory, tree: Path, *, s3: bool = False) -> None:
        self._laboratory = laboratory
        self._tree = tree
        self._s3 = s3
        self._repository = ""

    def begin(self) -> None:
        """Make an empty repository, and forget all former ones."""
        folder = self._laboratory.fresh("restic")
        self._repository = str(folder / "repository")
        if self._s3:
            self._repository = f"s3:{self._laboratory.server.endpoint}/{self._laboratory.server.make_bucket()}"
        self._run("init")

    def back_up(self) -> Usage:
        """Back up the tree."""
        return self._run("backup", str(self._tree))

    def prepare(self, step: Callable[[], object]) -> None:
        """Do what is not measured. Where it fails, as without restic, so does what follows; the others are measured."""
        with suppress(Failed):
            step()

    def full(self, _round: int) -> Usage:
        """Back up into an empty repository."""
        self.begin()
        self._laboratory.warm_up(self._tree)
        usage = self.back_up()
        if self._s3:
            self._laboratory.empty_server()
            return usage
        return replace(usage, stored=folder_size(Path(self._repository)))

    def another(self, _round: int) -> Usage:
        """Back up once more what may have changed."""
        self._laboratory.warm_up(self._tree)
        return self.back_up()

    def one_file(self, path: Path) -> Usage:
        """Restore one file of the newest state."""
        target = self._laboratory.fresh("restic-restored")
        return self._run("restore", "latest", "--target", str(target), "--include", str(path))

    def _run(self, *arguments: str) -> Usage:
        settings = {
            "RESTIC_PASSWORD": "password",
            "RESTIC_CACHE_DIR": str(self._laboratory.folder / "scratch" / "restic" / "cache"),
        }
        command = ["restic", "--quiet", "--repo", self._repository, *arguments]
        return measure(Run([command], self._laboratory.folder, {**self._laboratory.environment, **settings}))


class Borg:
    """borg and one repository in a folder, encrypted."""

    def __init__(self, laboratory: Laboratory, tree: Path) -> None:
        self._laboratory = laboratory
        self._tree = tree
        self._count = 0

    def begin(self) -> None:
        """Make an empty repository."""
        self._folder = self._laboratory.fresh("borg")
        self._run("init", "--encryption", "repokey", str(self._folder / "repository"))

    def back_up(self) -> Usage:
        """Back up the tree."""
        self._count += 1
        return self._run("create", f"{self._folder / 'repository'}::archive-{self._count}", str(self._tree))

    def full(self, _round: int) -> Usage:
        """Back up into an empty repository."""
        self.begin()
        self._laboratory.warm_up(self._tree)
        return replace(self.back_up(), stored=folder_size(self._folder / "repository"))

    def another(self, _round: int) -> Usage:
        """Back up once more what may have changed."""
        self._laboratory.warm_up(self._tree)
        return self.back_up()

    def _run(self, *arguments: str) -> Usage:
        settings = {"BORG_PASSPHRASE": "password", "BORG_BASE_DIR": str(self._folder / "base")}
        environment = {**self._laboratory.environment, **settings}
        return measure(Run([["borg", *arguments]], self._laboratory.folder, environment))


def duplicity_to_s3(laboratory: Laboratory, tree: Path) -> Callable[[int], Usage]:
    """duplicity, with the same key and the same server."""

    def run(_round: int) -> Usage:
        folder = laboratory.fresh("duplicity")
        command = [
            *("duplicity", "full", "--encrypt-key", laboratory.fingerprint),
            *("--gpg-options", f"--homedir {laboratory.home.path}"),
            *("--s3-endpoint-url", laboratory.server.endpoint, "--s3-region-name", "us-east-1"),
            *("--archive-dir", str(folder), "--tempdir", str(folder), "--no-print-statistics", "--verbosity", "error"),
            *(str(tree), f"boto3+s3://{laboratory.server.make_bucket()}/backup"),
        ]
        laboratory.warm_up(tree)
        usage = measure(Run([command], laboratory.folder, {**laboratory.environment, "PASSPHRASE": ""}))
        laboratory.empty_server()
        return usage

    return run


def restore_by_hand(laboratory: Laboratory, archive: Path) -> Callable[[int], Usage]:
    """The way that a README tells."""

    def run(turn: int) -> Usage:
        target = laboratory.fresh(f"by-hand-{turn}")
        laboratory.warm_up(archive)
        commands = [["cat", str(archive)], laboratory.decrypt, ["tar", "xz", "--directory", str(target)]]
        return measure(Run(commands, laboratory.folder, laboratory.environment))

    return run


def extract_by_hand(laboratory: Laboratory, archive: Path, path: Path) -> Callable[[int], Usage]:
    """The same of one path."""

    def run(turn: int) -> Usage:
        target = laboratory.fresh(f"path-by-hand-{turn}")
        extract = ["tar", "xz", "--directory", str(target), str(path.relative_to("/"))]
        commands = [["cat", str(archive)], laboratory.decrypt, extract]
        return measure(Run(commands, laboratory.folder, laboratory.environment))

    return run
