"""Who gives credentials, for a message about one that does not: boto3 asks one after the other, and tells nobody."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import botocore.session

_METADATA = "http://169.254.169.254"
_CONTAINERS = "http://169.254.170.2"


class Asked:
    """Notes who is asked for credentials, by botocore's name of it (``METHOD`` of its ``credentials``)."""

    def __init__(self) -> None:
        self._method = ""

    def watch(self, session: botocore.session.Session) -> None:
        """Have a session that has not looked for credentials yet tell whom it asks."""
        # botocore has no public way to be told.
        resolver: Any = session.get_component("credential_provider")
        for provider in resolver.providers:
            vars(provider)["load"] = partial(self._note, provider.METHOD, provider.load)

    def _note(self, method: str, load: Callable[[], Any]) -> Any:
        self._method = method
        return load()

    def name(self, session: botocore.session.Session | None) -> str:
        """Who was asked last, as a user knows it; the arguments of a program may be secret, and are left out."""
        profile: dict[str, Any] = {}
        with suppress(Exception):
            profile = session.get_scoped_config() if session else {}
        return _NAMES.get(self._method, _unknown)(profile)


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


def _unknown(_profile: dict[str, Any]) -> str:
    return "what gives them"


_NAMES: dict[str, Callable[[dict[str, Any]], str]] = {
    "custom-process": _program,
    "container-role": _container,
    "iam-role": _machine,
    "assume-role": _role,
    "assume-role-with-web-identity": _role,
    "sso": _login,
    "login": _login,
}
