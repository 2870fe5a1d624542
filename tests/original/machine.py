"""A machine that has a bucket of the original tool, and restores from it with ours."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from click.testing import CliRunner, Result

from s3napback.cli import command_line
from tests.original.vectors import Bucket, contents
from tests.servers import S3Server

NIGHT = timedelta(days=1)


class Machine:
    """A configuration of the store that holds an old bucket, and what was backed up into it."""

    def __init__(self, folder: Path, bucket: Bucket, server: S3Server | None = None, general: str = "") -> None:
        self.folder = folder
        self.bucket = bucket
        self.vault = folder / "vault"
        self.configuration = folder / "site.conf"
        self.vault.mkdir()
        if server is None:
            bucket.copied_to(self.vault)
            text = f"Bucket file://{self.vault}\n"
        else:
            name = server.make_bucket()
            for key, (_, data) in bucket.objects.items():
                server.client().put_object(Bucket=name, Key=key, Body=data)
            key_file = folder / "key.txt"
            key_file.write_text(server.key_file_text())
            key_file.chmod(0o600)
            text = f"Bucket {name}\nEndpoint {server.endpoint}\nS3Keyfile {key_file}\n"
        self.configuration.write_text(f"{text}HostName test-host\n{general}")

    def run(self, *words: str, expect: int = 0) -> Result:
        result = CliRunner().invoke(command_line, ["-c", str(self.configuration), *words])
        assert result.exit_code == expect, result.output
        return result

    def restored(self, source: Path | str, *options: str) -> dict[str, bytes]:
        """The files of a directory, restored into a new folder."""
        where = self.folder / f"out-{len(list(self.folder.glob('out-*')))}"
        self.run("restore", str(source), "--to", str(where), *options)
        return dict(contents(where / str(source).strip("/")))
