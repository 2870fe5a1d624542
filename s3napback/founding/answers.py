"""From answers to the text of a configuration, and of a file of credentials. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from s3napback.config.lines import quoted
from s3napback.config.settings import Configuration
from s3napback.formatting import printable
from s3napback.kinds import DIRECTORY
from s3napback.records import dataclass


@dataclass(frozen=True)
class Answers:
    """What a new configuration says.

    Attributes:
        directories: absolute paths of what is backed up, normalised.
        diff_dir: absolute.
        folder: of a directory store, absolute and normalised; empty for a bucket.
        bucket: its name; empty for a directory store.
        endpoint: URL of another S3 server than Amazon's; may be empty.
        region: of the bucket; may be empty.
        key_file: S3Keyfile, absolute; empty leaves credentials to boto3.
        recipient: fingerprint of the key that archives are encrypted for; empty is plain text.
        user: whose key that is, for a comment.
        gpg_home: GpgHome; empty is gpg's own choice.
    """

    directories: tuple[str, ...]
    diff_dir: str
    folder: str = ""
    bucket: str = ""
    endpoint: str = ""
    region: str = ""
    key_file: str = ""
    recipient: str = ""
    user: str = ""
    gpg_home: str = ""


def configuration_text(answers: Answers) -> str:
    """The whole file, with comments that tell what can be changed."""
    return "\n".join(
        [
            "# Written by s3napback init. What else can be said is in the manual",
            "# (s3napback help configuration) and in examples/s3napback.conf.",
            "# After a change: s3napback -t shows what would be done, s3napback doctor",
            "# whether all is in place.",
            "",
            *_store(answers),
            "",
            *_encryption(answers),
            "",
            "# What must be remembered from one night to the next.",
            f"DiffDir {quoted(answers.diff_dir)}",
            "",
            "# Who is told how a night went; see the manual.",
            "#PingUrl https://hc-ping.com/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
            "#OnFailure /usr/local/sbin/page-somebody",
            "",
            *_cycle(answers),
            "",
        ]
    )


def _store(answers: Answers) -> Iterator[str]:
    if answers.folder:
        yield "# Where archives go: a folder, best on another disk."
        yield "# An S3 bucket is written as: Bucket NAME"
        # What follows a percent sign is decoded, as in any URL.
        yield f"Bucket {quoted('file://' + answers.folder.replace('%', '%25'))}"
        return
    yield "# Where archives go: an S3 bucket. Prefix lets several machines share one."
    yield f"Bucket {quoted(answers.bucket)}"
    yield "#Prefix atlas"
    if answers.endpoint:
        yield f"Endpoint {quoted(answers.endpoint)}"
    if answers.region:
        yield f"Region {quoted(answers.region)}"
    if answers.key_file:
        yield f"S3Keyfile {quoted(answers.key_file)}"
    else:
        yield "# Credentials are found as boto3 finds them: its environment variables,"
        yield "# ~/.aws, the machine's role."
        yield "#S3Keyfile /etc/s3napback/key.txt"


def _encryption(answers: Answers) -> Iterator[str]:
    if not answers.recipient:
        yield "# Archives are plain text: whoever can read the store reads them."
        yield "# To encrypt, put a GpgRecipient in the place of this line."
        yield "Encryption Off"
        return
    yield "# Whom archives are encrypted for. Nobody can read them without the secret"
    yield "# key: keep it elsewhere, too."
    if answers.user:
        yield f"# {printable(answers.user)}"
    yield f"GpgRecipient {quoted(answers.recipient)}"
    if answers.gpg_home:
        yield f"GpgHome {quoted(answers.gpg_home)}"


def _cycle(answers: Answers) -> Iterator[str]:
    yield "# Each week a full backup, on the days between what has changed."
    yield "# One can go back 22 to 28 days."
    yield "<Cycle four-weeks>"
    yield "    Diffs 6"
    yield "    Fulls 4"
    yield ""
    for directory in answers.directories:
        yield f"    {DIRECTORY.name} {quoted(directory)}"
    if "/" in answers.directories:
        yield "    # Leaves out what is mounted: /proc, /sys, /dev, and other disks, too."
        yield "    OneFileSystem On"
    yield "    #Exclude /home/*/.cache"
    yield ""
    yield "    # Databases in use are dumped, not copied."
    yield "    #MySQL all"
    yield "    #PostgreSQL all"
    yield "    #SQLite /var/lib/grafana/grafana.db"
    yield "</Cycle>"


def difference(answers: Answers, configuration: Configuration) -> str:
    """The first answer that a configuration does not say as it was given; empty if it says them all."""
    store, encryption = configuration.store, configuration.encryption
    pairs = {
        "folders": (answers.directories, tuple(job.target for job in configuration.jobs)),
        "DiffDir": (Path(answers.diff_dir), configuration.diff_dir),
        "store": (_path(answers.folder), store.folder),
        "bucket": (answers.bucket, store.bucket),
        "endpoint": (answers.endpoint, store.endpoint),
        "region": (answers.region, store.region),
        "S3Keyfile": (_path(answers.key_file), store.key_file),
        "key": (tuple(filter(None, [answers.recipient])), encryption.recipients),
        "GpgHome": (_path(answers.gpg_home), encryption.home),
        "encryption": (not answers.recipient, encryption.is_off),
    }
    return next((name for name, (meant, said) in pairs.items() if meant != said), "")


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def key_file_text(key: str, secret: str) -> str:
    """S3Keyfile. Values that would be read otherwise stand in quotes, of which the outermost are taken off."""
    return f"key={_value(key)}\nsecret={_value(secret)}\n"


def _value(text: str) -> str:
    is_plain = text == text.strip() and not (len(text) > 1 and text[0] == text[-1] and text[0] in "\"'")
    return text if is_plain else f'"{text}"'
