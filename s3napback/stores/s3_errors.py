"""What botocore's failures mean for an administrator, and for whoever decides whether to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectionError,  # noqa: A004 (botocore's own name for it)
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    InvalidConfigError,
    MetadataRetrievalError,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError

from s3napback.errors import StoreError, StoreUnreachable
from s3napback.ini_files import ini_flaw
from s3napback.stores.network import (
    WorkedBefore,
    answer_to_tunnel,
    bundle_setting,
    mistake,
    network_reason,
    proxy_advice,
    without_secrets,
)
from s3napback.stores.s3_givers import CREDENTIAL_ERRORS, explain_credentials


class SlowAnswer(BotoCoreError):
    """An answer began, or not, and did not come to its end. botocore's own limits begin anew with every byte."""

    fmt = "no whole answer from {url} within {seconds:g} seconds"


class OverlongAnswer(BotoCoreError):
    """An answer would fill the memory."""

    fmt = "the answer has more than {size} bytes: check Endpoint, and proxies on the way to it"


class SenselessAnswer(ResponseParserError):
    """An answer is well-formed, and something in it cannot be what it should be."""

    def __init__(self, reason: Exception) -> None:
        """Name what botocore stumbled over."""
        super().__init__(f"the answer makes no sense: {reason}; check Endpoint, and proxies on the way to it")


class UnusableSettings(BotoCoreError):
    """boto3 cannot begin with what it is told, by us or by its own configuration; ``error`` says why."""

    fmt = "{error}"

    @property
    def reason(self) -> Exception:
        """What boto3 said."""
        reason: Exception = self.kwargs["error"]
        return reason


class UnusableCredentials(UnusableSettings):
    """Whatever gives credentials has failed, with ``error``; ``giver`` is what did, if that is known."""

    @property
    def giver(self) -> str:
        """As a user knows it; empty if nobody knows."""
        return str(self.kwargs.get("giver", ""))


class NoCredentialsYet(BotoCoreError):
    """Whatever gives credentials has not come back."""

    fmt = "{giver} has not answered within {seconds:g} seconds; run it by hand, or see what it waits for"


class RenewalFailed(UnusableCredentials):
    """What has given credentials in this run gives none now, with ``error``: it may again in a while."""


class CredentialsGivenUp(UnusableCredentials):
    """There were none yet, and nobody asks for them again: ``error`` says what came of it."""


FAILURES = (BotoCoreError, ClientError, ResponseParserError, UnicodeEncodeError)
"""All that a call of a client may raise for reasons outside this program."""

NO_ANSWER = (HTTPClientError, ConnectionError, IncompleteReadError)
"""The subset in which the network failed, not the store: worth waiting for it to come back."""

# "Error responses" in Amazon's manual: an overload, or bytes that arrived as others than were sent.
_PASSING = frozenset(
    {
        *("InternalError", "RequestLimitExceeded", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling"),
        *("ThrottlingException", "TooManyRequests", "OperationAborted", "BadDigest", "IncompleteBody"),
        *("XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "ConditionalRequestConflict"),
        # what botocore repeats of itself, whatever the status: its ``retries/standard.py``
        *("RequestTimeoutException", "PriorRequestNotComplete", "ThrottledException", "RequestThrottledException"),
        *("TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException"),
        *("BandwidthLimitExceeded", "LimitExceededException", "RequestThrottled", "EC2ThrottledException"),
        # of the service that gives credentials, where whoever vouches for us does not answer it
        "IDPCommunicationError",
    }
)
_SKEWED = "RequestTimeTooSkewed"
"""Until the clock is set, as it is soon after a machine has slept."""
_RENEWED = "s3napback-renewed"
_PAGE = "s3napback-page"
_EXPIRED = frozenset(
    {
        *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken", "InvalidTokenId"),
        *("TokenRefreshRequired",),
    }
)
_TOLD_IN_WORDS = frozenset(
    {
        *("AbortMultipartUpload", "CompleteMultipartUpload", "CreateMultipartUpload", "DeleteObject", "GetObject"),
        *("ListObjectsV2", "ListObjectVersions", "PutObject", "PutObjectRetention", "UploadPart"),
    }
)
"""Operations to which no S3 server answers "not found" without words. An answer to a HEAD never has any."""
_NOT_IMPLEMENTED = frozenset({501, 505})
NO_EXPECTATIONS = 417
_PASSING_STATUS = frozenset({408, NO_EXPECTATIONS, 425, 429, 499})
"""RFC 8470's "too early", and what proxies answer for a client that they take to have gone, besides the well-known.
Requests come without "Expect" after the first one that a proxy has refused for it (``s3_client``)."""
_REMOTE_PROVIDERS = ("iam-role", "container-role", "assume-role-with-web-identity", "sso", "assume-role")
"""botocore's names of what asks a server for credentials: one that does not answer may do so later."""

_RIGHTS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject, and s3:PutObjectRetention with ObjectLock",
    "DeleteObject": "s3:DeleteObject",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetObject": "s3:GetObject, and s3:GetObjectVersion with --as-of",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "HeadObject": "s3:GetObject and s3:ListBucket, and s3:GetObjectVersion with --as-of",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject, and s3:PutObjectRetention with ObjectLock",
    "PutObjectRetention": "s3:PutObjectRetention",
    "UploadPart": "s3:PutObject",
}

_RENEW = "renew them where they come from: S3Keyfile, AWS_SESSION_TOKEN, ~/.aws, or a service"
_FULL = "the store is full, or a quota is used up: make room there, or have the quota raised"
_ADVICE = {
    "NoSuchBucket": "there is no such bucket: create it, or correct Bucket, Endpoint or Region",
    "InvalidBucketName": "the bucket's name is not allowed: correct Bucket",
    "InvalidAccessKeyId": "the access key is unknown: correct key= in S3Keyfile, or the credentials in use",
    "SignatureDoesNotMatch": (
        "the secret key is wrong: correct secret= in S3Keyfile, or the credentials in use; if it is right, a proxy on "
        "the way changes requests: their Host, their path, or a HEAD into a GET, as caches do"
    ),
    "AuthorizationHeaderMalformed": "the request was signed for another region: set Region to the bucket's",
    "PermanentRedirect": "the bucket is elsewhere: set Region, or Endpoint, to the bucket's",
    "TemporaryRedirect": "the bucket is elsewhere, or was just made: set Region, or Endpoint, to the bucket's, or wait",
    "ExpiredToken": f"the temporary credentials have expired: {_RENEW}",
    "ExpiredTokenException": f"the temporary credentials have expired: {_RENEW}",
    "TokenRefreshRequired": f"the temporary credentials have expired: {_RENEW}",
    "InvalidToken": f"the session token is not valid: {_RENEW}",
    "InvalidTokenId": f"the session token is not valid: {_RENEW}",
    _SKEWED: "this machine's clock differs too much from the store's: set it",
    "InvalidObjectState": "the object lies in a cold storage class: have the store restore it first",
    "EntityTooLarge": "the store refuses parts or objects of this size: set a smaller ChunkSize; or a quota is used up",
    **dict.fromkeys(("QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"), _FULL),
    "NoSuchUpload": "another machine of the same HostName and Prefix has ended it, or prune, or a rule of the bucket",
}


_ADVICE_ON_STATUS = {
    407: "the proxy wants a user and a password: correct HTTPS_PROXY or HTTP_PROXY",
    413: "a proxy on the way takes no requests of this size: have it take more than ChunkSize, or set a smaller one",
    507: _FULL,
    NO_EXPECTATIONS: "a proxy on the way refuses requests with “Expect: 100-continue”: have it pass them on",
}
_NO_S3 = (
    "the answer is not that of an S3 server: check Endpoint, and proxies on the way to it; http or https, host and port"
)
_FIXED: dict[type[BaseException], str] = {
    ResponseParserError: _NO_S3,
    UnicodeEncodeError: "the name is not valid UTF-8, which S3 demands",
}


def status_of(error: BaseException) -> int:
    """The HTTP status of a store's answer; 0 where there was none."""
    if not isinstance(error, ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(error: BaseException) -> str:
    """The store's error code; empty where there was none."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_passing(error: BaseException) -> bool:
    """Whether the failure says nothing definite: no answer, an overloaded store, a server's own error."""
    if isinstance(error, CredentialsGivenUp):
        return False
    if isinstance(error, RenewalFailed):
        return True
    if isinstance(error, UnusableCredentials):
        # A page in place of an answer is that of a proxy behind which the service is not there now.
        return isinstance(error.reason, (NoCredentialsYet, ResponseParserError)) or is_passing(error.reason)
    if isinstance(error, (CredentialRetrievalError, MetadataRetrievalError)):
        return error.kwargs.get("provider", _REMOTE_PROVIDERS[0]) in _REMOTE_PROVIDERS
    if isinstance(error, (*NO_ANSWER, SlowAnswer)):
        return isinstance(error, WorkedBefore) or not mistake(error)
    return isinstance(error, ClientError) and _is_passing_answer(error, status_of(error), code_of(error))


def _is_passing_answer(error: ClientError, status: int, code: str) -> bool:
    return (
        (status >= 500 and status not in _NOT_IMPLEMENTED)
        or status in _PASSING_STATUS
        # A service behind the store may be named in front: KMS.ThrottlingException.
        or code.rpartition(".")[2] in _PASSING
        or code == _SKEWED
        or _is_of_a_proxy(error)
        or bool({_RENEWED, _PAGE} & error.response.get("Error", {}).keys())
    )


def _is_of_a_proxy(error: ClientError) -> bool:
    """Whether it is a "not found" of a proxy behind which there is no store now, or of quite another server."""
    return _is_wordless(error) and error.operation_name in _TOLD_IN_WORDS


def _is_wordless(error: ClientError) -> bool:
    """Whether it is a "not found" without a word of why: a store's own answers have a code of words, but to a HEAD."""
    return status_of(error) == 404 and has_no_words(error)


def has_no_words(error: BaseException) -> bool:
    """Whether nothing is told but a status, or not even that."""
    return code_of(error) in {"", str(status_of(error))}


def is_absence(error: BaseException) -> bool:
    """Whether a store says that what was asked for is not there."""
    return status_of(error) == 404 and not is_passing(error)


def is_foreign(error: ClientError) -> bool:
    """Whether an answer has nothing by which it could be told to be a store's; those of some stores do not have it."""
    return not is_marked(error.response)


def is_marked(answer: Mapping[str, Any]) -> bool:
    """Whether an answer, as botocore has read it, has something by which it is a store's."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return any(name.lower().startswith("x-amz") for name in headers)


def note_page(operation: str, parsed: Any) -> None:
    """Have a refusal count as passing if it is no store's, where there is one that has answered before.

    Args:
        operation: what was asked for.
        parsed: botocore's reading of an answer, which becomes the error.
    """
    error = ClientError(parsed, operation)
    if _is_of_no_store(error) and has_no_words(error) and status_of(error) not in _ADVICE_ON_STATUS:
        parsed["Error"][_PAGE] = True


def _is_of_no_store(error: ClientError) -> bool:
    is_page = has_no_words(error) and is_foreign(error) and 400 <= status_of(error) < 500
    is_mute = error.operation_name != "HeadObject" and (is_page or _is_wordless(error))
    return 300 <= status_of(error) < 400 or is_mute


def note_renewal(parsed: dict[str, Any]) -> bool:
    """Have a refusal count as passing if it is one of credentials, which can be had anew; whether it is one.

    Args:
        parsed: botocore's reading of an answer, which becomes the error.
    """
    is_expired = parsed.get("Error", {}).get("Code") in _EXPIRED
    if is_expired:
        parsed["Error"][_RENEWED] = True
    return is_expired


def is_mistake_at_first(error: BaseException) -> bool:
    """Whether a failure that may pass in the midst of a run is rather a mistake where a run has not yet begun."""
    if not isinstance(error, ClientError):
        return is_absent_proxy(error) or isinstance(error, UnusableCredentials)
    return code_of(error) == _SKEWED or _RENEWED in error.response.get("Error", {}) or _is_of_a_proxy(error)


def is_absent_proxy(error: BaseException) -> bool:
    """Whether no proxy is where one should be, which is rather a mistake: it is nearly always there.

    One that answers is no such; the store behind it may be away.
    """
    return isinstance(error, ProxyConnectionError) and not answer_to_tunnel(error)


def explain(error: BaseException) -> str:
    """One line: HTTP status, code and message of the store, or why there was no answer, and what to do about it."""
    if isinstance(error, WorkedBefore):
        error = error.kwargs["error"]
    reason = error.reason if isinstance(error, UnusableSettings) else error
    if isinstance(reason, ConfigParseError) or type(error) is UnusableSettings:
        return _explain_settings(reason)
    if isinstance(reason, CREDENTIAL_ERRORS) or reason is not error:
        return explain_credentials(reason, getattr(error, "giver", ""))
    if isinstance(error, ClientError):
        return _explain_answer(error)
    if isinstance(error, NO_ANSWER):
        told = " ".join(filter(None, (without_secrets(str(error)), network_reason(error))))
        return mistake(error) or ": ".join(filter(None, (told, proxy_advice(error))))
    return _FIXED.get(type(error), "") or without_secrets(str(error))


def _explain_settings(reason: BaseException) -> str:
    if isinstance(reason, ConfigParseError):
        # What is wrong botocore knows, and does not say.
        known: Mapping[str, Any] = vars(reason)["kwargs"]
        return f"{known['path']} cannot be read: {ini_flaw(known['error'])}"
    # botocore has one exception for settings of all sorts.
    if not isinstance(reason, InvalidConfigError):
        return explain(reason)
    if "CA bundle" in str(reason):
        return f"{bundle_setting()} is set and empty: name the file of an authority's certificate, or unset it"
    return f"{without_secrets(str(reason))} (correct it in ~/.aws, or in a variable called AWS_…)"


def _explain_answer(error: ClientError) -> str:
    details: dict[str, Any] = dict(error.response.get("Error", {}))
    code, message = (str(details.get(name) or "") for name in ("Code", "Message"))
    parts = ["HTTP", str(status_of(error)), *([] if code == str(status_of(error)) else [code]), message]
    answer = without_secrets(" ".join(filter(None, parts)))
    advice = _advice(error)
    return f"{answer} ({advice})" if advice else answer


def translate(error: BaseException, doing: str) -> StoreError:
    """Turn one of ``FAILURES`` into ours; ``doing`` names operation and object: ``reading s3://bucket/key``."""
    kind = StoreUnreachable if is_passing(error) else StoreError
    return kind(f"{doing} failed: {explain(error)}")


def required(answer: Any, name: str, doing: str) -> Any:
    """One field of a store's answer that every S3 server has to give.

    Raises:
        StoreError: it is not there.
    """
    value = answer.get(name)
    if value is None:
        raise StoreError(
            f"{doing} failed: the store's answer lacks {name}; check Endpoint, and proxies on the way to it"
        )
    return value


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise ``StoreError`` or ``StoreUnreachable`` in place of ``FAILURES``."""
    try:
        yield
    except FAILURES as error:
        raise translate(error, doing) from error


def _advice(error: ClientError) -> str:
    known = _ADVICE.get(code_of(error)) or _ADVICE_ON_STATUS.get(status_of(error))
    if not known and _is_of_no_store(error):
        known = _NO_S3
    if known:
        return known
    if status_of(error) in _NOT_IMPLEMENTED and error.operation_name == "ListObjectVersions":
        return "this server keeps no versions"
    if "object lock" in str(error).lower():
        return (
            "the bucket's Object Lock refuses this: look at its default retention, and at the rights of the key; with "
            "ObjectLock it needs s3:PutObjectRetention"
        )
    if status_of(error) in {401, 403}:
        rights = _RIGHTS.get(error.operation_name, f"to {error.operation_name}")
        return f"the credentials lack rights: {rights}, and those of the key if the bucket is encrypted by KMS"
    return ""
