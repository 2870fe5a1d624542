"""What boto3's own settings say of the server: the environment, and the profile in the user's files."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from s3napback.crews import TookTooLong, within
from s3napback.stores.choosing import AwsSettings

_FILES = {"AWS_CONFIG_FILE": "~/.aws/config", "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials"}
_LARGEST = 1 << 20  # bytes of such a file that are looked at

_SECONDS = 10.0
"""For files on a disk that may be away."""

_OF_INTEREST = (b"endpoint_url", b"region")


def read_aws_settings(environment: Mapping[str, str], *, has_key_file: bool) -> AwsSettings:
    """Look at them as boto3 does. What it could not use is told by whoever asks the store.

    Args:
        environment: that of this process, in which boto3 looks by itself.
        has_key_file: S3Keyfile has the credentials, so that a profile that is not there does not matter.
    """
    try:
        return within(_SECONDS, lambda: _read(environment, has_key_file=has_key_file), "settings")
    except TookTooLong:
        return AwsSettings(environment)


def _read(environment: Mapping[str, str], *, has_key_file: bool) -> AwsSettings:
    paths = _paths(environment)
    # What a pipe gives, as of a shell's <(…), it gives once: that is left to whoever looks for credentials.
    if any(map(_gives_once, paths)) or not any(map(_may_matter, paths)):
        # It takes longer to load botocore than a shell should have to wait for a proposal.
        return AwsSettings(environment)
    from botocore.exceptions import BotoCoreError, ProfileNotFound  # noqa: PLC0415 - as above
    from botocore.session import Session  # noqa: PLC0415 - as above

    session = Session()
    try:
        profile = session.get_scoped_config()
    except ProfileNotFound:
        profile = session.full_config["profiles"].get("default", {}) if has_key_file else {}
    except BotoCoreError:
        return AwsSettings(environment)
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    return AwsSettings(environment, profile, services)


def _paths(environment: Mapping[str, str]) -> list[Path]:
    named = (environment.get(name, usual) for name, usual in _FILES.items())
    return [Path(os.path.expandvars(os.path.expanduser(each))) for each in named]  # noqa: PTH111 - as botocore does


def _gives_once(path: Path) -> bool:
    with suppress(OSError):
        mode = path.stat().st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    return False


def _may_matter(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        text = file.read(_LARGEST)
        return len(text) == _LARGEST or any(word in text for word in _OF_INTEREST)
    return False
