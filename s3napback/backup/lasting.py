"""Keys that were good when the run began, and are not any more when an archive is encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from s3napback.encryption.gpg import Encryption
from s3napback.environment import Family
from s3napback.errors import PipelineError
from s3napback.streams.culprits import ElementsFailed
from s3napback.streams.processes import Stage


@contextmanager
def telling_of_keys(encryption: Encryption | None) -> Iterator[None]:
    """Where gpg fails, say what has become of its keys: its own words name neither a reason nor what to do.

    Raises:
        PipelineError: gpg failed, and a key is gone, revoked, expired or another one, or wants a passphrase by now.
    """
    try:
        yield
    except ElementsFailed as error:
        first = error.culprits[0].element
        is_of_gpg = isinstance(first, Stage) and first.family is Family.GPG
        if encryption and is_of_gpg and (changes := encryption.look_again()):
            raise PipelineError(*error.lines, *changes) from error
        raise
