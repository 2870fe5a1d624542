"""Why there was no answer: what lies below the exceptions of botocore and urllib3, and which of it is a mistake.

A network that is away comes back. A certificate that is not trusted, or a proxy whose name nobody knows, does not.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.request import getproxies

import urllib3.exceptions
from botocore.exceptions import (
    ConnectionError,  # noqa: A004 (botocore's own name for it)
    InvalidProxiesConfigError,
    ProxyConnectionError,
)

from s3napback.regexes import regex

_SECRET = regex(r"(AWS4-HMAC-SHA256|Signature=|X-Amz-Signature=|Security-Token).*", re.IGNORECASE | re.DOTALL)
_USER = regex(r"(?<=://)[^\s/\"'`]*@")
_BROKEN_OFF = ("UNEXPECTED_EOF_WHILE_READING", "EOF occurred", "SHUTDOWN", "timed out")
_NO_CERTIFICATES = ("NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM lib")
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
_PROXY = "HTTPS_PROXY or HTTP_PROXY; NO_PROXY names hosts that need none"
_OUT_OF_TIME = frozenset({9, 10})
"""OpenSSL's numbers of a certificate that is not yet valid, and of one that is no longer."""
_OF_ANOTHER_HOST = frozenset({62, 64})
"""The same of one that names another host, or another address."""
_PASSING_TUNNELS = frozenset({408, 429, 500, 502, 503, 504})
"""What a proxy answers while the store is away."""


class WorkedBefore(ConnectionError):
    """What would be a mistake at first, ``error``, where the same server has answered already in this run.

    Its certificate is being renewed, one of several machines behind its name has an old one, the proxy's name is not
    told at the moment, or a proxy shows a page of its own: nobody has changed a setting, and it may work again soon.
    """

    fmt = "{error}"


def without_secrets(text: str) -> str:
    """A message of a library on one line, without a request's signature or an address's password, should it hold one.

    A password that cuts a proxy's address off is told as a port that is none.
    """
    for user in _proxy_users():
        text = text.replace(user, "…")
    return " ".join(_SECRET.sub("…", _USER.sub("…@", text)).split())


def mistake(error: BaseException) -> str:
    """What somebody has to correct before there can be an answer; empty if the network may be to blame."""
    found = list(_causes(error))
    if isinstance(error, ProxyConnectionError):
        return _proxy_mistake(error, found)
    unusable = (
        *(urllib3.exceptions.ProxySchemeUnknown, urllib3.exceptions.ProxySchemeUnsupported),
        *(urllib3.exceptions.LocationParseError, InvalidProxiesConfigError),
    )
    if any(isinstance(each, unusable) or _is_of_an_address(each) for each in found):
        encode = "; in a proxy's user and password write signs percent-encoded, %23 for #" * bool(_proxy_users())
        return f"{without_secrets(str(found[-1]))}: correct {_PROXY}, or Endpoint{encode}"
    if any(isinstance(each, ValueError) and "Invalid header" in str(each) for each in found):
        # Keys and tokens have been looked at before.
        return "a request cannot be sent: Region, AWS_DEFAULT_REGION or another setting of boto3 holds a line break"
    if any(isinstance(each, (ssl.SSLError, urllib3.exceptions.SSLError)) for each in found):
        return _tls_mistake(found)
    return ""


def _is_of_an_address(error: BaseException) -> bool:
    """Whatever urllib3 does not know, botocore calls unhandled: it has read an address then, and not the network."""
    return isinstance(error, UnicodeError) or (isinstance(error, ValueError) and "URL" in str(error))


def _proxy_users() -> list[str]:
    """User and password of each proxy, as far as where a sign that has no place there (``#``, ``/``) cuts them off."""
    named = (address.rpartition("://")[2].rpartition("@")[0] for address in getproxies().values())
    return [found for each in named if ":" in (found := re.split("[#/?]", each)[0])]


def proxy_advice(error: BaseException) -> str:
    """What to look at if it is a proxy that cannot be reached; empty otherwise."""
    if not isinstance(error, ProxyConnectionError):
        return ""
    answered = answer_to_tunnel(error)
    if answered:
        return f"it answers {answered}: the proxy is there, and does not reach the store; look at what it logs"
    return f"is it running? Otherwise correct {_PROXY}"


def network_reason(error: BaseException) -> str:
    """What the operating system said, in brackets; empty if it said nothing."""
    for each in _causes(error):
        if isinstance(each, socket.gaierror):
            return f"(the name of the host is not known: {each.strerror})"
        if isinstance(each, OSError) and each.strerror:
            return f"({each.strerror})"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and all that lies below it, wherever libraries put that."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        kwargs = getattr(each, "kwargs", None)
        waiting += [kwargs.get("error")] if isinstance(kwargs, dict) else []
        waiting += [getattr(each, "reason", None), getattr(each, "original_error", None), *each.args]
        waiting += [each.__cause__, each.__context__]


def _proxy_mistake(error: BaseException, found: list[BaseException]) -> str:
    text = " ".join(str(each) for each in found)
    refused = answer_to_tunnel(error)
    if refused:
        is_passing = int(refused[:3]) in _PASSING_TUNNELS
        return "" if is_passing else f"{error} answers {refused}: correct {_PROXY}"
    if any(isinstance(each, socket.gaierror) for each in found):
        return f"{error} (the name of the proxy is not known): correct {_PROXY}"
    if any(word in text for word in _NOT_TLS):
        return f"{error} does not speak TLS: write http:// in HTTPS_PROXY or HTTP_PROXY, or correct the port there"
    if untrusted := next((each for each in found if isinstance(each, ssl.SSLCertVerificationError)), None):
        return (
            f"{error} has a certificate that is not trusted: {untrusted.verify_message}; name the file of its "
            "authority's certificate in SSL_CERT_FILE, or add that to this machine's"
        )
    return ""


def answer_to_tunnel(error: BaseException) -> str:
    """What a proxy has answered that was to connect us with the store: ``503 Service Unavailable``; empty if nothing.

    It was reached, so that it is not the proxy which is away.
    """
    if not isinstance(error, ProxyConnectionError):
        return ""
    found = re.search(r"Tunnel connection failed: (\d\d\d[^'\")]*)", " ".join(map(str, _causes(error))))
    return found[1].strip() if found else ""


def bundle_setting() -> str:
    """What names the file of certificates, of all that can and as far as is known: boto3 looks in this order."""
    return "AWS_CA_BUNDLE" if "AWS_CA_BUNDLE" in os.environ else "REQUESTS_CA_BUNDLE, or a profile in ~/.aws,"


def _tls_mistake(found: list[BaseException]) -> str:
    text = " ".join(str(each) for each in found)
    missing = [each for each in found if isinstance(each, FileNotFoundError | PermissionError | IsADirectoryError)]
    untrusted = [each for each in found if isinstance(each, ssl.SSLCertVerificationError)]
    another_host = [each for each in found if isinstance(each, ValueError) and "doesn't match" in str(each)]
    verdict = f"no secure connection is possible: {without_secrets(str(found[-1]))}"
    if untrusted:
        verdict = _distrust(untrusted[0])
    elif another_host:
        verdict = _other_host(str(another_host[-1]))
    elif missing:
        verdict = f"the certificates that {bundle_setting()} names cannot be read: {missing[0].strerror}"
    elif any(word in text for word in _NO_CERTIFICATES):
        verdict = f"the file that {bundle_setting()} names holds no certificates in PEM form"
    elif any(word in text for word in _NOT_TLS):
        verdict = "the server does not speak TLS at this port: write http:// in Endpoint, or correct its port"
    elif any(word in text for word in _BROKEN_OFF) or any(isinstance(each, ConnectionError) for each in found):
        verdict = ""
    return verdict


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    reason = error.verify_message or str(error)
    if error.verify_code in _OUT_OF_TIME:
        return f"the server's certificate is out of its time: {reason}; renew it there, or set this machine's clock"
    if error.verify_code in _OF_ANOTHER_HOST:
        return _other_host(reason)
    return (
        f"the server's certificate is not trusted: {reason}; if an authority of your own has signed it, name the file "
        "of that one's certificate in AWS_CA_BUNDLE"
    )


def _other_host(reason: str) -> str:
    return (
        f"the server's certificate is another host's: {without_secrets(reason)}; correct Endpoint, or give the server "
        "a certificate with this name"
    )
