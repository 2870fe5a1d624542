"""Where measuring takes place: a temporary folder with data sets, a gpg key and an S3 server, made when first used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.benchmarks import datasets
from tests.benchmarks.datasets import Scale
from tests.benchmarks.measuring import Failed, Run, Usage, measure
from tests.gpg_keys import GpgHome, gpg_home
from tests.seaweedfs import seaweedfs_server
from tests.servers import S3Server, rclone_server
from tests.site import Site


@dataclass
class Laboratory:
    """Folders below ``folder``, and what runs there.

    Attributes:
        folder: everything lies in it.
        scale: how large data sets are.
        home: of gpg, with one key.
        fingerprint: of that key.
        closing: ends what was started, when the laboratory is left.
        former: a checkout of an earlier version; None if there is none to compare with.
        planted: sites whose stores hold so many archives.
    """

    folder: Path
    scale: Scale
    home: GpgHome
    fingerprint: str
    closing: ExitStack = field(default_factory=ExitStack)
    former: Path | None = None
    planted: dict[int, Site] = field(default_factory=dict)

    @cached_property
    def server(self) -> S3Server:
        """``rclone serve s3``."""
        return self.closing.enter_context(rclone_server(self.folder / "server"))

    @cached_property
    def versions_server(self) -> S3Server:
        """SeaweedFS, which keeps versions."""
        return self.closing.enter_context(seaweedfs_server(self.folder / "versions-server"))

    @cached_property
    def mixed_tree(self) -> Path:
        return datasets.make_mixed_tree(self.folder / "mixed", self.scale.mixed)

    @cached_property
    def small_files(self) -> Path:
        return datasets.make_small_files(self.folder / "small-files", self.scale.small_files)

    @cached_property
    def random_file(self) -> Path:
        """The folder with one large file that does not compress."""
        return datasets.make_random_file(self.folder / "random" / "file", self.scale.random).parent

    @cached_property
    def environment(self) -> dict[str, str]:
        """What every program gets: nothing of the user's own settings, credentials for the server."""
        # The system's packages come first: a program of the same name may lie anywhere on PATH.
        folders = ["/usr/bin", "/bin", os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)]
        return {
            "PATH": os.pathsep.join(folders),
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self.folder),
            **self.server.environment(),
        }

    @property
    def encrypt(self) -> list[str]:
        """gpg's command as people write it who know that their data is compressed already."""
        return [*self._gpg, "-z", "0", "--encrypt", "--recipient", self.fingerprint]

    @property
    def encrypt_carelessly(self) -> list[str]:
        """gpg's command as the original writes it."""
        return [*self._gpg, "--encrypt", "--recipient", self.fingerprint]

    @property
    def decrypt(self) -> list[str]:
        return [*self._gpg, "--decrypt"]

    @property
    def _gpg(self) -> list[str]:
        return ["gpg", "--homedir", str(self.home.path), "--batch", "--quiet"]

    def fresh(self, name: str) -> Path:
        """An empty folder; what was in it is gone."""
        path = self.folder / "scratch" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def site(
        self, name: str, source: Path, *, general: str = "", cycle: str = "Diffs 6", server: S3Server | None = None
    ) -> Site:
        """A configuration with one directory in it, encrypted, and an empty store: a folder, or a bucket."""
        site = Site(self.fresh(name), server, "bucket" if server and server is not self.server else "")
        directives = f"GpgHome {self.home.path}\nGpgRecipient {self.fingerprint}\n{general}"
        site.configure(f"<Cycle nightly>\n{cycle}\nDirectory {source}\n</Cycle>", general=directives)
        return site

    @cached_property
    def many_files(self) -> Path:
        """Files that do not compress, and between them small ones."""
        return datasets.make_many_files(self.folder / "many-files", self.scale.many)

    def settle(self, since: float) -> None:
        """Wait until what was written up to a moment is old enough not to be archived twice."""
        time.sleep(max(0.0, since + self.scale.margin - time.time()))

    def back_up(
        self, site: Site, *options: str, day: int | None = 0, path: Path | None = None, former: bool = False
    ) -> Usage:
        """Run s3napback.

        Args:
            day: counted from the first; None is today.
            path: a folder whose programs come first.
            former: run the former version.

        Raises:
            Failed: there is none, or it failed.
        """
        environment = self.environment
        if former:
            if self.former is None:
                raise Failed("no --former was given")
            environment = {**environment, "PYTHONPATH": str(self.former)}
        if path is not None:
            environment = {**environment, "PATH": f"{path}{os.pathsep}{environment['PATH']}"}
        return measure(Run([site.command(*options, day=day)], self.folder, environment))

    def warm_up(self, tree: Path) -> None:
        """Bring a tree into the page cache, and what earlier runs wrote onto the disk."""
        command = ["tar", "--create", "--file=-", "--directory=/", str(tree.relative_to("/"))]
        archive = subprocess.Popen(command, stdout=subprocess.PIPE)
        # Given /dev/null, tar would not read any file.
        subprocess.run(["cat"], stdin=archive.stdout, stdout=subprocess.DEVNULL, check=True)
        if archive.wait():
            raise RuntimeError(f"{tree} cannot be read")
        os.sync()

    def empty_server(self) -> None:
        """Remove all buckets with their content."""
        if self.server.folder is None:
            raise TypeError("only rclone's server is emptied")
        for bucket in self.server.folder.iterdir():
            shutil.rmtree(bucket)


@contextmanager
def open_laboratory(scale: Scale, parent: Path | None = None, former: Path | None = None) -> Iterator[Laboratory]:
    """A laboratory in a temporary folder, below ``parent`` if that is given; nothing is left of it in the end.

    Args:
        former: a checkout of an earlier version.
    """
    with ExitStack() as closing:
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="s3napback-benchmarks-", dir=parent))
        home = closing.enter_context(gpg_home())
        fingerprint = home.make_key("Benchmark <benchmark@example.org>")
        yield Laboratory(Path(folder), scale, home, fingerprint, closing, former)


def folder_size(folder: Path) -> int:
    """Bytes of all files in a folder and below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
