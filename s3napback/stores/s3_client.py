"""How botocore is set up: timeouts, credentials, and silence about secrets.

What boto3 has besides, tables, transfers and threads, takes longer to load than a small request takes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError, ProfileNotFound

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.stores.s3_errors import UnusableCredentials, UnusableSettings
from s3napback.stores.s3_session import LimitedSession
from s3napback.stores.waiting import Waiting

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CHATTY = ("boto3", "botocore", "urllib3", "s3transfer")
_LEAST_CONNECTIONS = 36
"""Enough for every thread that asks for metadata when a whole store is read; further ones would be closed at once."""


_METADATA_SECONDS = 5  # for an answer of a machine's metadata service; botocore's own is 1, at one attempt
_METADATA_ATTEMPTS = 3


class Clients:
    """The clients of one store, which share credentials. Methods may be called from several threads."""

    def __init__(
        self, settings: StoreSettings, credentials: Credentials, waiting: Waiting, others: Clients | None = None
    ) -> None:
        """Make none yet.

        Args:
            settings: which server.
            credentials: from S3Keyfile; empty ones leave the search to boto3.
            waiting: the limits of single requests.
            others: of the same store, with other limits: what these have learnt takes a tenth of a second to learn.
        """
        self._settings = settings
        self._given = credentials
        self._waiting = waiting
        self._lock = threading.Lock()
        self._session: botocore.session.Session | None = others._session if others else None
        self._made_for: botocore.session.Session | None = None
        self._prompt: S3Client | None = None
        self._slow: S3Client | None = None

    def prompt(self) -> S3Client:
        """The client for everything but completions. Credentials have been found, and renewed if they must be.

        Raises:
            UnusableSettings: a profile, the configuration of boto3 or the endpoint is wrong.
            UnusableCredentials, NoCredentialsError: there are no usable credentials now.
        """
        with self._lock:
            session = self._checked_session()
            if self._prompt is None:
                self._prompt = _make_client(session, self._settings, self._waiting)
            return self._prompt

    def slow(self) -> S3Client:
        """The client for the request that puts an upload in place."""
        with self._lock:
            session = self._checked_session()
            if self._slow is None:
                self._slow = _make_client(session, self._settings, self._waiting.for_completion)
            return self._slow

    def _checked_session(self) -> botocore.session.Session:
        """The session, after a look at what requests are signed with: here a failure can be told from a request's."""
        session = self._session or _make_session(self._given)
        # What a service did not tell this time it may tell the next time: nothing is kept of a failure.
        self._session = None
        try:
            found = session.get_credentials()
            frozen = found and found.get_frozen_credentials()
        except Exception as error:
            # A program of the user's, a file, a server: there is nothing that could not be raised here.
            raise UnusableCredentials(error=error) from error
        if frozen is None:
            raise NoCredentialsError
        named = {"access key": frozen.access_key, "secret key": frozen.secret_key, "session token": frozen.token}
        for name, value in named.items():
            if value and not (value.isascii() and value.isprintable() and " " not in value):
                raise UnusableCredentials(error=ValueError(f"the {name} holds a line break, a blank or the like"))
        if session is not self._made_for:
            self._prompt = self._slow = None
        self._session = self._made_for = session
        return session


def chosen_endpoint(environment: Mapping[str, str]) -> str:
    """The server that the environment chooses where no Endpoint is set (boto3's "Service-specific endpoints")."""
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ""
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""


def _make_session(given: Credentials) -> botocore.session.Session:
    _keep_secrets_out_of_logs()
    core = botocore.session.Session()
    try:
        core.get_scoped_config()
    except ProfileNotFound as error:
        if not given.key:
            raise UnusableSettings(error=error) from error
        # Whoever has a key file needs no profile, and cron may have got AWS_PROFILE from somewhere else.
        core = botocore.session.Session(session_vars={"profile": (None, [], None, None)})
    except BotoCoreError as error:
        raise UnusableSettings(error=error) from error
    for name, least in (
        ("metadata_service_timeout", _METADATA_SECONDS),
        ("metadata_service_num_attempts", _METADATA_ATTEMPTS),
    ):
        core.set_config_variable(name, max(least, core.get_config_variable(name) or 0))
    if given.key:
        core.set_credentials(given.key, given.secret, given.token or None)
    return core


def _make_client(session: botocore.session.Session, settings: StoreSettings, waiting: Waiting) -> S3Client:
    region = settings.region or session.get_config_variable("region")
    if settings.endpoint:
        region = region or "us-east-1"
    try:
        made: Any = session.create_client(
            "s3",
            region_name=region,
            endpoint_url=settings.endpoint or None,
            config=_client_config(settings, waiting),
        )
    except (BotoCoreError, ValueError) as error:
        raise UnusableSettings(error=error) from error
    # botocore has no public way to choose what it sends requests by.
    endpoint = vars(made)["_endpoint"]
    endpoint.http_session = LimitedSession(endpoint.http_session, waiting.answer_seconds)
    client: S3Client = made
    return client


def _client_config(settings: StoreSettings, waiting: Waiting) -> Config:
    """Repeating is ours (``waiting``), and so are checksums (``integrity``), computed without copying a part."""
    return Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=waiting.connect_seconds,
        read_timeout=waiting.read_seconds,
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
