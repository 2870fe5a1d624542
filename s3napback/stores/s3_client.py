"""How boto3 is set up: retries, timeouts, credentials, and silence about secrets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import boto3
from boto3.compat import filter_python_deprecation_warnings
from botocore.config import Config

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.stores.s3_session import LimitedSession

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CHATTY = ("boto3", "botocore", "urllib3", "s3transfer")
_LONGEST_PAUSE = 20  # seconds between two attempts (botocore's "standard" retries)
_MOST_ATTEMPTS = 10
_SLOWNESS = 10  # how many times as long as a silence a whole answer may take
_LEAST_CONNECTIONS = 36
"""Enough for every thread that asks for metadata when a whole store is read; further ones would be closed at once."""


@dataclass(frozen=True)
class Waiting:
    """How long a store is waited for.

    Attributes:
        attempts: at each request that finds the store overloaded, failing, or not there.
        connect_seconds: until a connection has been made.
        read_seconds: until an answer begins, or a connection goes on.
        outage_seconds: from the first request that got no answer to the last one that is made again.
    """

    attempts: int = _MOST_ATTEMPTS
    connect_seconds: int = 20
    read_seconds: int = 60
    outage_seconds: int = 90

    @property
    def answer_seconds(self) -> int:
        """Until an answer has come to its end, however slowly it drips: ten minutes unless StallTimeout is less."""
        return _SLOWNESS * self.read_seconds

    def within(self, stall_timeout: int) -> Waiting:
        """The same, in which nothing alone waits for longer than so many seconds; 0 changes nothing."""
        if not stall_timeout:
            return self
        pauses = accumulate(min(2**number, _LONGEST_PAUSE) for number in range(self.attempts - 1))
        return Waiting(
            attempts=1 + sum(pause <= stall_timeout for pause in pauses),
            connect_seconds=min(self.connect_seconds, stall_timeout),
            read_seconds=min(self.read_seconds, stall_timeout),
            outage_seconds=min(self.outage_seconds, stall_timeout),
        )


_IMPATIENT = Waiting(attempts=2, connect_seconds=5, read_seconds=10, outage_seconds=0)


def waiting(stall_timeout: int, *, patient: bool) -> Waiting:
    """How long to wait for a store.

    Args:
        stall_timeout: StallTimeout.
        patient: as a nightly run should, with ten attempts; otherwise two, with short timeouts.
    """
    return (Waiting() if patient else _IMPATIENT).within(stall_timeout)


def make_client(settings: StoreSettings, credentials: Credentials, *, patient: bool) -> S3Client:
    """Make the client of one store. Nothing goes over the network yet but a search for credentials.

    Args:
        patient: see ``waiting``.

    Raises:
        BotoCoreError: a profile or the configuration of boto3 is wrong.
        ValueError: the endpoint is not a URL.
    """
    filter_python_deprecation_warnings()
    _keep_secrets_out_of_logs()
    session = boto3.session.Session(
        aws_access_key_id=credentials.key or None,
        aws_secret_access_key=credentials.secret or None,
        aws_session_token=credentials.token or None,
    )
    region = settings.region or session.region_name
    if settings.endpoint:
        region = region or "us-east-1"
    client = session.client(
        "s3",
        region_name=region,
        endpoint_url=settings.endpoint or None,
        config=_client_config(settings, patient=patient),
    )
    # botocore has no public way to choose what it sends requests by.
    endpoint = vars(client)["_endpoint"]
    limit = waiting(settings.stall_timeout, patient=patient).answer_seconds
    endpoint.http_session = LimitedSession(endpoint.http_session, limit)
    return client


def _client_config(settings: StoreSettings, *, patient: bool) -> Config:
    """Checksums beyond the signature's are for Amazon's S3 only, where uploads compute them without copying a part."""
    limits = waiting(settings.stall_timeout, patient=patient)
    return Config(
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.read_seconds,
        max_pool_connections=max(settings.upload_threads + 4, _LEAST_CONNECTIONS),
        tcp_keepalive=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required" if settings.endpoint else "when_supported",
        s3={"addressing_style": "path"} if settings.endpoint else {"payload_signing_enabled": False},
    )


def _keep_secrets_out_of_logs() -> None:
    """Hold botocore's loggers at INFO: at DEBUG they print signatures, session tokens and whole requests."""
    for name in (*_CHATTY, *logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in _CHATTY:
            logger = logging.getLogger(name)
            if logger.getEffectiveLevel() < logging.INFO:
                logger.setLevel(logging.INFO)
