"""Who gives credentials, for a message about one that does not: boto3 asks one after the other, and tells nobody."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import exceptions
from botocore.httpsession import ProxyConfiguration

from s3napback.stores.network import without_secrets

CREDENTIAL_ERRORS = (
    exceptions.ConfigNotFound,
    exceptions.CredentialRetrievalError,
    exceptions.InvalidConfigError,
    exceptions.LoginError,
    exceptions.MetadataRetrievalError,
    exceptions.NoAuthTokenError,
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
    exceptions.UnknownCredentialError,
)
"""What boto3 raises of them, apart from what a program, a file or a service has it raise."""

_OVERLOADED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_METADATA = "http://169.254.169.254"
_CONTAINERS = "http://169.254.170.2"


class NothingGiven(exceptions.NoCredentialsError):
    """A machine's metadata service has answered, and has no credentials for us."""

    fmt = "{reason}"


class Asked:
    """Notes who is asked for credentials, by botocore's name of it (``METHOD`` of its ``credentials``)."""

    def __init__(self) -> None:
        self._method = ""
        # The last of the machine's metadata service: status, path, body.
        self._answer: tuple[int, str, bytes] | None = None

    def watch(self, session: botocore.session.Session) -> None:
        """Have a session that has not looked for credentials yet tell whom it asks, and ask this machine directly.

        At the address of a metadata service a proxy finds that of its own machine, with another role, or nothing.
        """
        # botocore has no public way to be told.
        resolver: Any = session.get_component("credential_provider")
        for provider in resolver.providers:
            vars(provider)["load"] = partial(self._note, provider.METHOD, provider.load)
            if provider.METHOD == "iam-role":
                # It tells nobody what it was answered.
                connection = vars(vars(provider)["_role_fetcher"])["_session"]
                vars(connection).update(_proxy_config=ProxyConfiguration(), send=partial(self._heard, connection.send))

    def _note(self, method: str, load: Callable[[], Any]) -> Any:
        self._method = method
        return load()

    def _heard(self, send: Callable[[Any], Any], request: Any) -> Any:
        self._answer = None
        answer = send(request)
        self._answer = answer.status_code, urlsplit(request.url).path, answer.content
        return answer

    def nothing_given(self) -> Exception | None:
        """Why nobody had credentials, by the last answer of the machine's metadata service; None if it gave none."""
        if self._answer is None:
            return None
        status, path, body = self._answer
        told = f"it has answered {status} to {path}{_told_by(body)}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _OVERLOADED:
            return exceptions.MetadataRetrievalError(error_msg=told)
        if status == HTTPStatus.NOT_FOUND:
            told += ", as it does where the machine has no role"
        if status in _REFUSED:
            told += ", as it does where it is switched off, or too many hops away from a container"
        return NothingGiven(reason=told)

    def name(self, session: botocore.session.Session | None) -> str:
        """Who was asked last, as a user knows it; the arguments of a program may be secret, and are left out."""
        profile: dict[str, Any] = {}
        with suppress(Exception):
            profile = session.get_scoped_config() if session else {}
        return without_secrets(_NAMES.get(self._method, _unknown)(profile))

    def named(self, session: botocore.session.Session | None) -> str:
        """The same; empty if it is nobody in particular."""
        return self.name(session).rstrip(",") if self._method in _NAMES else ""


def _told_by(body: bytes) -> str:
    """What a metadata service says in words, if its answer is one of errors and not of credentials."""
    with suppress(ValueError):
        answer = json.loads(body)
        if isinstance(answer, dict) and not answer.keys() & {"AccessKeyId", "SecretAccessKey"}:
            words = [str(answer[name]) for name in ("Code", "Message") if answer.get(name)]
            return f" ({': '.join(words)})" if words else ""
    return ""


def explain_credentials(error: BaseException, giver: str) -> str:
    """One line: why there are none, in the words of what failed, and what to do about it.

    Args:
        error: what was raised.
        giver: who was asked for them; empty if nobody knows.
    """
    text = without_secrets(str(error)) or type(error).__name__
    if isinstance(error, exceptions.CredentialRetrievalError) and not str(error.kwargs.get("error_msg", "")).strip():
        text = "it has failed, and has not said why: run it by hand"
    if isinstance(error, exceptions.ProfileNotFound):
        name = error.kwargs["profile"]
        text = (
            f"AWS_PROFILE names a profile that ~/.aws does not have, {name}" if name else "AWS_PROFILE is set and empty"
        )
    if isinstance(error, EOFError):
        text = "whatever gives them asks for something, such as a code (mfa_serial), and nobody is there to answer"
    if isinstance(error, (AttributeError, LookupError, TypeError)):
        # botocore does not look what kind of value it is given.
        text = f"what gives them has given something that makes no sense: {text}"
    if "still expired" in text:
        text = f"{text.rstrip('.')}; or this machine's clock is ahead"
    if isinstance(error, (OSError, RuntimeError, ValueError)):
        text = f"{text} ({type(error).__name__})"
    asked = f"{giver}: " * bool(giver and giver not in text)
    advice = (
        "set S3Keyfile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials; or "
        "look at the program, the service or the role that gives them"
    )
    return f"no usable credentials: {asked}{text} ({advice})"


def _program(profile: dict[str, Any]) -> str:
    words = [""]
    with suppress(ValueError):
        words = shlex.split(str(profile.get("credential_process", ""))) or words
    return f"credential_process {words[0]}"


def _container(_profile: dict[str, Any]) -> str:
    path = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    return f"the service {_CONTAINERS + path if path else os.environ.get('AWS_CONTAINER_CREDENTIALS_FULL_URI')}"


def _machine(_profile: dict[str, Any]) -> str:
    return f"the machine's metadata service {os.environ.get('AWS_EC2_METADATA_SERVICE_ENDPOINT') or _METADATA}"


def _role(profile: dict[str, Any]) -> str:
    role = os.environ.get("AWS_ROLE_ARN") or profile.get("role_arn")
    chosen = os.environ.get("AWS_ENDPOINT_URL_STS") or os.environ.get("AWS_ENDPOINT_URL")
    return f"the security token service (STS{f' at {chosen}' if chosen else ''}), or what the role {role} builds upon,"


def _login(_profile: dict[str, Any]) -> str:
    return "the service of aws sso login"


def _environment(_profile: dict[str, Any]) -> str:
    return "the environment (AWS_ACCESS_KEY_ID, AWS_CREDENTIAL_EXPIRATION and their like)"


def _unknown(_profile: dict[str, Any]) -> str:
    return "what gives them"


_NAMES: dict[str, Callable[[dict[str, Any]], str]] = {
    "env": _environment,
    "custom-process": _program,
    "container-role": _container,
    "iam-role": _machine,
    "assume-role": _role,
    "assume-role-with-web-identity": _role,
    "sso": _login,
    "login": _login,
}
