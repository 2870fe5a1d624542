"""A small machine to be backed up: a source tree, a configuration, a store, and the real command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from s3napback.catalogue.indexes import is_index_key
from s3napback.config.settings import StoreSettings
from s3napback.stores import Store
from s3napback.stores.opening import open_store
from s3napback.watch.keys import is_word_key
from s3napback.watch.proofs import is_proof_key
from tests.forked_command import FORKED
from tests.servers import S3Server

FIRST_DAY = date(2026, 1, 1)
"""Its day number, 20454, is a multiple of 7: daily cycles of 6 or 13 DIFFs begin a group on it."""

TIME_LIMIT = 120  # seconds for one command
START = (sys.executable, "-m", "s3napback")

WITHOUT_POWERS = ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search")
"""In front of a command of root's: permissions bind it as they do everybody else."""


@dataclass
class Site:
    """Folders below ``root`` and a configuration of them.

    Attributes:
        root: everything lies in it.
        server: an S3 server that the configuration uses; None is a directory store in ``root``.
        environment: added to that of every command.
    """

    root: Path
    server: S3Server | None = None
    bucket: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.vault, self.diff_dir, self.temp_dir, self.source):
            folder.mkdir(parents=True, exist_ok=True)
        if self.server is not None and not self.bucket:
            self.bucket = self.server.make_bucket()

    @property
    def vault(self) -> Path:
        return self.root / "vault"

    @property
    def diff_dir(self) -> Path:
        return self.root / "diffs"

    @property
    def temp_dir(self) -> Path:
        return self.root / "temp"

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def configuration(self) -> Path:
        return self.root / "site.conf"

    def name(self, path: Path | None = None) -> str:
        """The key base of a directory, the source by default."""
        return str(path or self.source).lstrip("/")

    def configure(self, body: str, *, general: str = "") -> None:
        """Write the configuration: store and folders, ``general`` directives, the blocks of ``body``."""
        if self.server is None:
            store = f"Bucket file://{self.vault}\n"
        else:
            key_file = self.root / "key.txt"
            key_file.write_text(self.server.key_file_text())
            key_file.chmod(0o600)
            store = f"Bucket {self.bucket}\nEndpoint {self.server.endpoint}\nS3Keyfile {key_file}\n"
        if "GpgRecipient" not in general and "Encryption" not in general:
            general = f"Encryption Off\n{general}"
        folders = f"DiffDir {self.diff_dir}\nTempDir {self.temp_dir}\nHostName test-host\n"
        self.configuration.write_text(f"{store}{folders}{general}\n{body}\n")

    def configure_cycle(self, settings: str, *, general: str = "") -> None:
        """One Cycle with the source directory in it."""
        self.configure(f"<Cycle nightly>\n{settings}\nDirectory {self.source}\n</Cycle>", general=general)

    def command(self, *options: str, day: date | int | None = FIRST_DAY) -> list[str]:
        """The argument list of a run."""
        if isinstance(day, int):
            day = FIRST_DAY + timedelta(days=day)
        today = [f"--today={day.isoformat()}"] if day is not None else []
        return [*START, "-c", str(self.configuration), *today, *options]

    def run(
        self,
        *options: str,
        day: date | int | None = FIRST_DAY,
        expect: int | None = 0,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line on a day (a date, or days after ``FIRST_DAY``) and check its exit code."""
        done = self._run(self.command(*options, day=day), self.full_environment(environment))
        assert expect is None or done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def _run(self, command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        if FORKED.suits(environment):
            return FORKED.run(command[len(START) :], environment, self.root, TIME_LIMIT)
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=TIME_LIMIT,
            env=environment,
            cwd=self.root,
            check=False,
        )

    def full_environment(self, environment: Mapping[str, str] | None = None) -> dict[str, str]:
        """This process's environment with the site's, without credentials that the machine may have."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**own, "AWS_EC2_METADATA_DISABLED": "true", **self.environment, **(environment or {})}

    def store(self) -> Store:
        """The store, opened by the code under test; for looking at keys and metadata."""
        if self.server is None:
            return open_store(StoreSettings(folder=self.vault))
        return open_store(self.server.settings(self.bucket), self.server.credentials)

    def archive_keys(self, *, sums: bool = False) -> list[str]:
        """Keys of the archives in the store, in order; with ``sums`` those of checksums and proofs as well."""
        keys = [found.key for found in self.store().list("") if not (is_word_key(found.key) or is_index_key(found.key))]
        return [key for key in keys if sums or not (key.endswith(".sha256") or is_proof_key(key))]

    def slots(self) -> list[str]:
        """What follows the source's name in the keys: ``0-FULL``, ``1-DIFF``."""
        base = f"{self.name()}-"
        return [key.removeprefix(base) for key in self.archive_keys() if key.startswith(base)]

    def fetch(self, key: str) -> bytes:
        """An archive's stored bytes, behind the back of the store's code."""
        if self.server is None:
            return (self.vault / key).read_bytes()
        return self.server.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def contents(self) -> dict[str, bytes]:
        """All objects of the store with their bytes."""
        return {key: self.fetch(key) for key in self.archive_keys(sums=True)}

    def metadata(self, key: str) -> Mapping[str, str]:
        """An object's metadata."""
        found = self.store().head(key)
        assert found is not None, f"{key} is not in the store"
        return found.metadata

    def diff_dir_contents(self) -> dict[str, bytes]:
        """DiffDir's files with their bytes; the lock and what tells DiffDirs apart, which every run opens, left out."""
        own = ("lock", "instance")
        files = (path for path in sorted(self.diff_dir.rglob("*")) if path.is_file() and path.name not in own)
        return {str(path.relative_to(self.diff_dir)): path.read_bytes() for path in files}

    def recover(self, keys: Sequence[str], target: Path, *, decrypt: Sequence[str] = (), unpack: str = "z") -> Path:
        """Extract a chain, oldest first, with plain tools only; return where the source's tree is then."""
        target.mkdir(parents=True)
        extract = ["tar", f"-x{unpack}", "--listed-incremental=/dev/null", "--numeric-owner", "-p", "-C", str(target)]
        for key in keys:
            data = self.fetch(key)
            if decrypt:
                data = subprocess.run(decrypt, input=data, capture_output=True, check=True).stdout
            subprocess.run([*extract, "--xattrs", "--acls"], input=data, capture_output=True, check=True)
        return target / self.name()

    def copy_source(self, target: Path) -> Path:
        """Keep the source's tree as it is now, for comparing."""
        subprocess.run(["cp", "-a", "--", str(self.source), str(target)], check=True)
        return target

    def fake_program(self, name: str, script: str) -> Path:
        """Put a shell script in front of a program for this site's commands; ``REAL`` in it is the real program."""
        folder = self.root / "bin"
        folder.mkdir(exist_ok=True)
        real = shutil.which(name) or f"/nonexistent/{name}"
        path = folder / name
        path.write_text("#!/bin/sh\n" + script.replace("REAL", real) + "\n")
        path.chmod(0o755)
        self.environment["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        return path


def site_of_one_file(root: Path) -> Site:
    """A site that is ready for a first backup, of one file."""
    site = Site(root)
    (site.source / "file").write_text("content")
    site.configure_cycle("")
    return site


def files(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by their relative paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
