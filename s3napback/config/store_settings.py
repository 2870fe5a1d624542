"""Where archives go, and for whom they are encrypted, from the settings at file level."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from s3napback.config.bandwidth import UNLIMITED, Bandwidth, InvalidBandwidthError, parse_bandwidth
from s3napback.config.descriptions import Text
from s3napback.config.directives import Directives
from s3napback.config.names import normalised_prefix
from s3napback.config.problems import Problems
from s3napback.config.scopes import Scope
from s3napback.config.settings import EncryptionSettings, StoreSettings
from s3napback.formatting import shown
from s3napback.regexes import regex
from s3napback.targets import InvalidNameError, normalised_path

LEAST_PART = 5 * 1024 * 1024
_HOST = regex(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?")
"""What botocore takes for a host's name, in small letters."""
_BUCKET = regex(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = regex(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_STORAGE_CLASS = regex(r"[A-Z][A-Z0-9_]*")
_STORAGE_CLASSES = (Directives.STORAGE_CLASS, Directives.FULL_STORAGE_CLASS, Directives.DIFF_STORAGE_CLASS)
_S3_ONLY = (
    Directives.ENDPOINT,
    Directives.REGION,
    Directives.S3_KEYFILE,
    *_STORAGE_CLASSES,
    Directives.SERVER_SIDE_ENCRYPTION,
    Directives.SSE_KMS_KEY_ID,
    Directives.REQUESTER_PAYS,
    Directives.UPLOAD_THREADS,
)


class _InvalidSettingError(ValueError):
    """A setting is wrong; the message says what it should be."""


def store_settings(scope: Scope, problems: Problems) -> StoreSettings:
    """The store's settings; what is wrong with them is reported."""
    bucket, folder = _bucket(scope, problems)
    if folder is not None:
        _warn_of_unused(scope, problems)
    _check_locks(scope, folder, problems)
    encryption = scope.text(Directives.SERVER_SIDE_ENCRYPTION)
    if scope.find(Directives.SSE_KMS_KEY_ID) and not encryption.startswith("aws:kms"):
        problems.error(
            scope.at(Directives.SSE_KMS_KEY_ID), "SseKmsKeyId needs ServerSideEncryption aws:kms or aws:kms:dsse"
        )
    _match(scope, Directives.REGION, _REGION, "Region is a name such as eu-central-1", problems)
    for directive in _STORAGE_CLASSES:
        message = f"{directive.name} is a name in capitals such as STANDARD_IA"
        _match(scope, directive, _STORAGE_CLASS, message, problems)
    return StoreSettings(
        bucket=bucket,
        folder=folder,
        endpoint=_endpoint(scope, problems),
        region=scope.text(Directives.REGION),
        prefix=_prefix(scope, problems),
        storage_class=scope.text(Directives.STORAGE_CLASS),
        full_storage_class=scope.text(Directives.FULL_STORAGE_CLASS),
        diff_storage_class=scope.text(Directives.DIFF_STORAGE_CLASS),
        server_side_encryption=encryption,
        sse_kms_key_id=scope.text(Directives.SSE_KMS_KEY_ID),
        key_file=scope.path(Directives.S3_KEYFILE),
        chunk_size=_chunk_size(scope, problems),
        upload_threads=scope.integer(Directives.UPLOAD_THREADS),
        stall_timeout=scope.integer(Directives.STALL_TIMEOUT),
        requester_pays=scope.switch(Directives.REQUESTER_PAYS),
        object_lock=scope.text(Directives.OBJECT_LOCK),
        lock_days=scope.integer(Directives.LOCK_DAYS),
        bandwidth=_bandwidth(scope, problems),
    )


def encryption_settings(scope: Scope, problems: Problems) -> EncryptionSettings:
    """For whom archives are encrypted; what is wrong is reported."""
    recipients = tuple(dict.fromkeys(scope.words(Directives.GPG_RECIPIENT)))
    for recipient in recipients:
        if recipient.startswith("-") or not recipient.isprintable():
            problems.error(
                scope.at(Directives.GPG_RECIPIENT),
                f"GpgRecipient “{shown(recipient)}” is no address, id or fingerprint",
            )
    _check_purpose(scope, problems)
    _check_sign_key(scope, problems)
    for directive in (Directives.GPG_KEYRING, Directives.GPG_HOME):
        if scope.find(directive) and not scope.find(Directives.GPG_RECIPIENT):
            message = f"{directive.name} without a GpgRecipient has no effect: archives are not encrypted"
            problems.warning(scope.at(directive), message)
    return EncryptionSettings(
        recipients=recipients,
        keyring=scope.path(Directives.GPG_KEYRING),
        home=scope.path(Directives.GPG_HOME),
        sign_key=scope.text(Directives.GPG_SIGN_KEY),
        is_off=scope.text(Directives.ENCRYPTION) == "Off",
    )


def _check_locks(scope: Scope, folder: Path | None, problems: Problems) -> None:
    """A protection that is wanted and cannot be had is no matter of a warning."""
    if scope.find(Directives.OBJECT_LOCK) and folder is not None:
        problems.error(
            scope.at(Directives.OBJECT_LOCK), "ObjectLock needs a bucket: in a directory store nothing can be locked"
        )
    if scope.find(Directives.LOCK_DAYS) and not scope.find(Directives.OBJECT_LOCK):
        problems.warning(scope.at(Directives.LOCK_DAYS), "LockDays without ObjectLock has no effect: nothing is locked")


def _check_purpose(scope: Scope, problems: Problems) -> None:
    """Encryption is on, or off on purpose: two lines that got lost must not make archives that anybody can read."""
    said = scope.text(Directives.ENCRYPTION)
    has_recipient = scope.find(Directives.GPG_RECIPIENT) is not None
    position = scope.at(Directives.ENCRYPTION)
    if said == "Off" and has_recipient:
        problems.error(position, "Encryption is Off, and there is a GpgRecipient: take out one of them")
    elif said == "On" and not has_recipient:
        problems.error(position, "Encryption is On, and there is no GpgRecipient to encrypt for")
    elif not said and not has_recipient:
        problems.warning(
            position,
            "archives are not encrypted: whoever can read the store reads them. Name a GpgRecipient, or write "
            "“Encryption Off” if that is meant",
        )


def _check_sign_key(scope: Scope, problems: Problems) -> None:
    name = scope.text(Directives.GPG_SIGN_KEY)
    if not name:
        return
    position = scope.at(Directives.GPG_SIGN_KEY)
    if name.startswith("-") or not name.isprintable():
        problems.error(position, f"GpgSignKey “{shown(name)}” is no address, id or fingerprint")
    if not scope.find(Directives.GPG_RECIPIENT):
        problems.error(position, "GpgSignKey needs a GpgRecipient: only archives that are encrypted are signed")
    if scope.find(Directives.GPG_KEYRING):
        problems.error(position, "GpgSignKey does not go with GpgKeyring, which holds no secret keys; set GpgHome")


def _bandwidth(scope: Scope, problems: Problems) -> Bandwidth:
    words = scope.words(Directives.BANDWIDTH_LIMIT)
    try:
        return parse_bandwidth(" ".join(words)) if words else UNLIMITED
    except InvalidBandwidthError as error:
        problems.error(scope.at(Directives.BANDWIDTH_LIMIT), f"BandwidthLimit: {shown(str(error), 200)}")
        return UNLIMITED


def _bucket(scope: Scope, problems: Problems) -> tuple[str, Path | None]:
    value = scope.text(Directives.BUCKET)
    if not value:
        if Directives.BUCKET.name not in scope.own:
            message = "Bucket is missing; write “Bucket NAME” for S3 or “Bucket file:///FOLDER” for a directory store"
            problems.error(scope.position, message)
        return "", None
    try:
        if value.lower().startswith("file:"):
            return "", _folder(value)
        return _bucket_name(value), None
    except (_InvalidSettingError, InvalidNameError) as error:
        # A URL may hold a password before its @.
        subject = "Bucket" if "@" in value else f"Bucket {shown(value)}"
        problems.error(scope.at(Directives.BUCKET), f"{subject}: {error}")
        return "", None


def _folder(url: str) -> Path:
    path = url[len("file:") :]
    if not path.startswith("///") or path.startswith("////"):
        raise _InvalidSettingError("a directory store is written file:///FOLDER, with three slashes")
    try:
        folder = Path(normalised_path(unquote(path[2:], errors="strict")))
    except UnicodeDecodeError as error:
        raise _InvalidSettingError(
            "what follows a percent sign is not UTF-8; write a percent sign itself as %25"
        ) from error
    if folder == Path("/"):
        raise _InvalidSettingError("the root directory cannot be a store")
    return folder


def _bucket_name(value: str) -> str:
    name = value
    if value.lower().startswith("s3://"):
        name = value[len("s3://") :].removesuffix("/")
    elif "://" in value:
        raise _InvalidSettingError("write the bucket's name alone; an S3 server's address goes into Endpoint")
    elif value.startswith("/"):
        raise _InvalidSettingError(f"a directory store is written file://{value}")
    if "/" in name:
        raise _InvalidSettingError("a bucket's name has no slash; what stands before every key goes into Prefix")
    if not _BUCKET.fullmatch(name):
        raise _InvalidSettingError("a bucket's name consists of letters, digits, dots and dashes")
    return name


def _endpoint(scope: Scope, problems: Problems) -> str:
    value = scope.text(Directives.ENDPOINT)
    if not value:
        return ""
    message = ""
    try:
        url = urlsplit(value)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        if "@" in url.netloc:
            message = "Endpoint holds a user or password; credentials go into S3Keyfile"
        elif good and ":" not in (host := url.hostname or "") and not _HOST.fullmatch(host):
            message = "Endpoint: a host's name consists of letters of a to z, digits, dots and dashes"
        elif url.query or url.fragment or any(character.isspace() for character in value):
            good = False
    except ValueError:
        good = False
    if message or not good:
        message = message or "Endpoint is not a URL such as https://s3.example.org:9000"
        problems.error(scope.at(Directives.ENDPOINT), message)
    return value.rstrip("/")


def _prefix(scope: Scope, problems: Problems) -> str:
    try:
        return normalised_prefix(scope.text(Directives.PREFIX))
    except InvalidNameError as error:
        problems.error(scope.at(Directives.PREFIX), f"Prefix: {error}")
        return ""


def _chunk_size(scope: Scope, problems: Problems) -> int:
    size = scope.integer(Directives.CHUNK_SIZE)
    if size < LEAST_PART:
        message = f"ChunkSize {size} is raised to {LEAST_PART} bytes, the least that S3 takes as a part"
        problems.warning(scope.at(Directives.CHUNK_SIZE), message)
        return LEAST_PART
    return size


def _match(scope: Scope, directive: Text, pattern: re.Pattern[str], message: str, problems: Problems) -> None:
    if scope.find(directive) and not pattern.fullmatch(scope.text(directive)):
        problems.error(scope.at(directive), message)


def _warn_of_unused(scope: Scope, problems: Problems) -> None:
    for directive in _S3_ONLY:
        if scope.find(directive):
            problems.warning(scope.at(directive), f"{directive.name} has no effect on a directory store")
