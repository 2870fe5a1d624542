"""How botocore is set up: timeouts, credentials, and silence about secrets.

What boto3 has besides, tables, transfers and threads, takes longer to load than a small request takes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, CredentialRetrievalError, NoCredentialsError, ProfileNotFound

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.crews import TookTooLong, within
from s3napback.ending import end_started_by
from s3napback.stores.s3_errors import (
    NO_EXPECTATIONS,
    CredentialsGivenUp,
    NoCredentialsYet,
    RenewalFailed,
    UnusableCredentials,
    UnusableSettings,
    is_passing,
    note_renewal,
)
from s3napback.stores.s3_givers import Asked
from s3napback.stores.s3_model import use_model
from s3napback.stores.s3_pages import Acquaintance
from s3napback.stores.s3_session import CarefulParsers, LimitedSession
from s3napback.stores.waiting import Patience, Waiting, never, patiently

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_Answer = TypeVar("_Answer")

_CHATTY = ("boto3", "botocore", "urllib3", "s3transfer")
_LEAST_CONNECTIONS = 36
"""Enough for every thread that asks for metadata when a whole store is read; further ones would be closed at once."""


_METADATA_SECONDS = 5  # for an answer of a machine's metadata service; botocore's own is 1, at one attempt
_METADATA_ATTEMPTS = 3

_CREDENTIALS_SECONDS = 30.0
"""For whatever gives credentials, a program, a service that drips, a file on a disk that is away: botocore has none.

Where there were none yet, that is all the time there is, for all attempts of all stores of a command."""


class _Beginning:
    """What is known of looks for credentials that none has found yet, in this process.

    Attributes:
        since: when the first of them began, by the monotonic clock; 0 before.
        failed: what came of the last one.
        given_up: what came of all, if nobody is to ask again.
    """

    def __init__(self) -> None:
        self.since = 0.0
        self.failed: Exception | None = None
        self.given_up: Exception | None = None

    def noted(self, reason: Exception, seconds: float) -> Exception:
        """Take in what came of a look that had so many seconds: where these were few, its silence says nothing."""
        is_cut = isinstance(reason, NoCredentialsYet) and seconds < _CREDENTIALS_SECONDS / 3
        self.failed = self.failed if is_cut and self.failed else reason
        return self.failed


_BEGINNING = _Beginning()


class _AsChecked:
    """What clients sign with: what the last look has found. botocore looks a second time, when it signs.

    There nothing limits how long whatever gives credentials may take, nor what it may raise.
    """

    frozen: Any = None

    def get_frozen_credentials(self) -> Any:
        """As botocore's credentials do."""
        return self.frozen


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
        self._signing = _AsChecked()
        self._prompt: S3Client | None = None
        self._slow: S3Client | None = None
        self._given_up = 0.0
        self._refused: botocore.session.Session | None = None
        self._expects = True
        self._being_asked: botocore.session.Session | None = self._session
        self._asked: Asked = others._asked if others else Asked()
        self._answered: set[tuple[str, str]] = others._answered if others else set()
        self._acquaintance: Acquaintance = others._acquaintance if others else Acquaintance()
        self._has_had_some = bool(credentials.key) or self._session is not None

    def prompt(self) -> S3Client:
        """The client for everything but completions. Credentials have been found, and renewed if they must be.

        Raises:
            UnusableSettings: a profile, the configuration of boto3 or the endpoint is wrong.
            UnusableCredentials, NoCredentialsError: there are no usable credentials now.
        """
        began = time.monotonic()
        with self._lock:
            session = self._checked_session(began)
            if self._prompt is None:
                self._prompt = self._made(session, self._waiting)
            return self._prompt

    def slow(self) -> S3Client:
        """The client for the request that puts an upload in place, and for the look at it afterwards."""
        began = time.monotonic()
        with self._lock:
            session = self._checked_session(began)
            if self._slow is None:
                self._slow = self._made(session, self._waiting.for_completion)
            return self._slow

    def ask(
        self,
        request: Callable[[S3Client], _Answer],
        doing: str,
        *,
        may_be_slow: bool = False,
        at_once: Callable[[BaseException], bool] = never,
    ) -> _Answer:
        """Make a request, as often as the policy says.

        Args:
            request: makes one attempt, with the client that it is given.
            may_be_slow: if it takes too long, it may take as long as a completion.
            doing: see ``patiently``, as ``at_once``.
        """
        seconds = self._waiting.outage_seconds
        clients: Iterator[Callable[[], S3Client]] = repeat(self.prompt)
        if may_be_slow:
            seconds = max(seconds, self._waiting.completion_seconds)
            # A client takes a while to make.
            clients = chain((self.prompt,), repeat(self.slow))
        return patiently(lambda: request(next(clients)()), doing, Patience(seconds), at_once=at_once)

    def _made(self, session: botocore.session.Session, waiting: Waiting) -> S3Client:
        made = _make_client(session, self._settings, waiting, self._answered)
        vars(vars(made)["_request_signer"])["_credentials"] = self._signing
        made.meta.events.register("before-sign.s3", self._drop_expectation)
        made.meta.events.register("after-call.s3", self._acquaintance.look)
        made.meta.events.register("after-call.s3", partial(self._learn, session))
        made.meta.events.register("before-call.s3.HeadBucket", _follow_no_further)
        return made

    def _drop_expectation(self, request: AWSRequest, **_others: object) -> None:
        if not self._expects:
            del request.headers["Expect"]

    def _learn(self, session: botocore.session.Session, parsed: dict[str, Any], **_others: object) -> None:
        """See what the next attempt has to do otherwise: every answer to every request comes by here."""
        if parsed.get("ResponseMetadata", {}).get("HTTPStatusCode") == NO_EXPECTATIONS:
            # Expect: 100-continue, with which botocore sends bodies.
            self._expects = False
        if "Error" not in parsed:
            return
        credentials = session.get_credentials()
        # A program may give others the next time, even if it does not say when these expire.
        can_renew = isinstance(credentials, RefreshableCredentials) or (
            credentials is not None and credentials.method == "custom-process"
        )
        if can_renew and note_renewal(parsed):
            self._refused = session

    def _checked_session(self, began: float) -> botocore.session.Session:
        """The session, after a look at what requests are signed with: here a failure can be told from a request's.

        Args:
            began: when this was asked for. Whoever has waited behind a look that was given up does not wait once more.
        """
        if not self._has_had_some:
            return self._first_session(began)
        try:
            return self._session_within(_CREDENTIALS_SECONDS, began)
        except UnusableCredentials as error:
            if isinstance(error.reason, (CredentialRetrievalError, ValueError)):
                raise RenewalFailed(error=error.reason, giver=error.giver) from error
            raise

    def _first_session(self, began: float) -> botocore.session.Session:
        """The same where there were no credentials yet: that they come late is rather a mistake than an outage."""
        beginning = _BEGINNING
        if beginning.given_up:
            raise CredentialsGivenUp(error=beginning.given_up)
        beginning.since = beginning.since or began
        left = max(0.1, beginning.since + _CREDENTIALS_SECONDS - time.monotonic())
        try:
            session = self._session_within(left, began)
        except UnusableCredentials as error:
            is_over = time.monotonic() - beginning.since >= _CREDENTIALS_SECONDS
            reason = beginning.noted(error.reason, left)
            if is_passing(error) and (is_over or isinstance(error.reason, NoCredentialsYet)):
                beginning.given_up = reason
                raise CredentialsGivenUp(error=reason, giver=error.giver) from error
            raise
        beginning.since = 0.0
        self._has_had_some = True
        return session

    def _session_within(self, seconds: float, began: float) -> botocore.session.Session:
        limit = min(seconds, self._settings.stall_timeout or seconds)
        kept = None if self._session is self._refused else self._session
        # What a service did not tell this time it may tell the next time: nothing is kept of a failure.
        self._session = None
        try:
            session, frozen = self._looked_up_in_time(kept, began, limit)
        except TookTooLong as error:
            self._given_up = time.monotonic()
            raise UnusableCredentials(error=self._not_yet(limit)) from error
        if frozen is None:
            reason = self._asked.nothing_given()
            raise self._unusable(reason) if reason else NoCredentialsError
        named = {"access key": frozen.access_key, "secret key": frozen.secret_key, "session token": frozen.token}
        for name, value in named.items():
            if not value and name != "session token":
                raise self._unusable(ValueError(f"the {name} is empty"))
            if value and not isinstance(value, str):
                raise self._unusable(ValueError(f"the {name} is no text"))
            if value and not (value.isascii() and value.isprintable() and " " not in value):
                raise self._unusable(ValueError(f"the {name} holds a line break, a blank or the like"))
        if session is not self._made_for:
            self._prompt = self._slow = None
        self._session = self._made_for = session
        self._signing.frozen = frozen
        return session

    def _unusable(self, error: Exception) -> UnusableCredentials:
        return UnusableCredentials(error=error, giver=self._asked.named(self._being_asked))

    def _not_yet(self, limit: float) -> NoCredentialsYet:
        return NoCredentialsYet(giver=self._asked.name(self._being_asked), seconds=round(limit))

    def _looked_up_in_time(
        self, kept: botocore.session.Session | None, began: float, limit: float
    ) -> tuple[botocore.session.Session, Any]:
        if began < self._given_up:
            raise TookTooLong
        threads: list[int] = []

        def look() -> tuple[botocore.session.Session, Any]:
            threads.append(threading.get_native_id())
            return self._looked_up(kept)

        try:
            return within(limit, look, "credentials")
        except TookTooLong:
            # A program that hangs would be joined by another one at the next request, and stay when we have gone.
            for thread in threads:
                end_started_by(thread)
            raise

    def _looked_up(self, kept: botocore.session.Session | None) -> tuple[botocore.session.Session, Any]:
        """A session, and what it signs with now; None if it has nothing. May hang."""
        session = kept or _make_session(self._given)
        self._being_asked = session
        try:
            if not (kept or self._given.key):
                self._asked.watch(session)
            found = session.get_credentials()
            return session, found and found.get_frozen_credentials()
        except Exception as error:
            # A program of the user's, a file, a server: there is nothing that could not be raised here.
            raise self._unusable(error) from error


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
    use_model(core)
    for name, least in (
        ("metadata_service_timeout", _METADATA_SECONDS),
        ("metadata_service_num_attempts", _METADATA_ATTEMPTS),
    ):
        try:
            core.set_config_variable(name, max(least, core.get_config_variable(name) or 0))
        except ValueError as error:
            told = ValueError(f"AWS_{name.upper()}, or {name} in ~/.aws, is no number: {error}")
            raise UnusableSettings(error=told) from error
    if given.key:
        core.set_credentials(given.key, given.secret, given.token or None)
    return core


def _make_client(
    session: botocore.session.Session, settings: StoreSettings, waiting: Waiting, answered: set[tuple[str, str]]
) -> S3Client:
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
    except OSError as error:
        # What OpenSSL is to write to, or to read.
        told = ValueError(f"TLS cannot be set up: {error}; look at SSLKEYLOGFILE and SSL_CERT_FILE")
        raise UnusableSettings(error=told) from error
    except (AttributeError, LookupError, TypeError) as error:
        # botocore does not look what kind of value a section such as “s3 =” has.
        what = "~/.aws, or a variable called AWS_…, holds what makes no sense"
        told = ValueError(f"{what}: {error} ({type(error).__name__})")
        raise UnusableSettings(error=told) from error
    if settings.requester_pays:
        made.meta.events.register("before-sign.s3", _offer_to_pay)
    # botocore has no public way to choose what it sends requests by, and what it reads answers with.
    endpoint = vars(made)["_endpoint"]
    endpoint.http_session = LimitedSession(endpoint.http_session, waiting.answer_seconds, answered)
    parsers = vars(endpoint)["_response_parser_factory"]
    endpoint._response_parser_factory = CarefulParsers(parsers)
    client: S3Client = made
    return client


def _offer_to_pay(request: AWSRequest, **_others: object) -> None:
    """Put the header on a request, of whatever operation; not each has a parameter for it."""
    request.headers["x-amz-request-payer"] = "requester"


def _follow_no_further(context: dict[str, Any], **_others: object) -> None:
    """Take a redirection's answer as it is where botocore asks for a bucket's region: it would ask again, for ever."""
    context.setdefault("s3_redirect", {})["redirected"] = True


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
