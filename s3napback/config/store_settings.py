"""Where archives go, and for whom they are encrypted, from the settings at file level."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from s3napback.config.names import normalised_prefix
from s3napback.config.problems import Problems
from s3napback.config.scopes import Scope
from s3napback.config.settings import STALL_TIMEOUT, EncryptionSettings, StoreSettings
from s3napback.formatting import shown
from s3napback.targets import InvalidNameError, normalised_path

LEAST_PART = 5 * 1024 * 1024
_DEFAULT_PART = 25_000_000
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_STORAGE_CLASS = re.compile(r"[A-Z][A-Z0-9_]*")
_S3_ONLY = (
    "Endpoint",
    "Region",
    "S3Keyfile",
    "StorageClass",
    "ServerSideEncryption",
    "SseKmsKeyId",
    "UploadThreads",
)


class _InvalidSettingError(ValueError):
    """A setting is wrong; the message says what it should be."""


def store_settings(scope: Scope, problems: Problems) -> StoreSettings:
    """The store's settings; what is wrong with them is reported."""
    bucket, folder = _bucket(scope, problems)
    if folder is not None:
        _warn_of_unused(scope, problems)
    encryption = scope.text("serversideencryption")
    if scope.find("ssekmskeyid") and not encryption.startswith("aws:kms"):
        problems.error(scope.at("ssekmskeyid"), "SseKmsKeyId needs ServerSideEncryption aws:kms or aws:kms:dsse")
    _match(scope, "region", _REGION, "Region is a name such as eu-central-1", problems)
    _match(scope, "storageclass", _STORAGE_CLASS, "StorageClass is a name in capitals such as STANDARD_IA", problems)
    return StoreSettings(
        bucket=bucket,
        folder=folder,
        endpoint=_endpoint(scope, problems),
        region=scope.text("region"),
        prefix=_prefix(scope, problems),
        storage_class=scope.text("storageclass"),
        server_side_encryption=encryption,
        sse_kms_key_id=scope.text("ssekmskeyid"),
        key_file=scope.path("s3keyfile"),
        chunk_size=_chunk_size(scope, problems),
        upload_threads=scope.integer("uploadthreads", 4),
        stall_timeout=scope.integer("stalltimeout", STALL_TIMEOUT),
    )


def encryption_settings(scope: Scope, problems: Problems) -> EncryptionSettings:
    """For whom archives are encrypted; what is wrong is reported."""
    recipients = tuple(dict.fromkeys(scope.words("gpgrecipient")))
    for recipient in recipients:
        if recipient.startswith("-") or not recipient.isprintable():
            problems.error(
                scope.at("gpgrecipient"), f"GpgRecipient “{shown(recipient)}” is no address, id or fingerprint"
            )
    _check_sign_key(scope, problems)
    for name in ("GpgKeyring", "GpgHome"):
        if scope.find(name.lower()) and not scope.find("gpgrecipient"):
            message = f"{name} without a GpgRecipient has no effect: archives are not encrypted"
            problems.warning(scope.at(name.lower()), message)
    return EncryptionSettings(recipients, scope.path("gpgkeyring"), scope.path("gpghome"), scope.text("gpgsignkey"))


def _check_sign_key(scope: Scope, problems: Problems) -> None:
    name = scope.text("gpgsignkey")
    if not name:
        return
    position = scope.at("gpgsignkey")
    if name.startswith("-") or not name.isprintable():
        problems.error(position, f"GpgSignKey “{shown(name)}” is no address, id or fingerprint")
    if not scope.find("gpgrecipient"):
        problems.error(position, "GpgSignKey needs a GpgRecipient: only archives that are encrypted are signed")
    if scope.find("gpgkeyring"):
        problems.error(position, "GpgSignKey does not go with GpgKeyring, which holds no secret keys; set GpgHome")


def _bucket(scope: Scope, problems: Problems) -> tuple[str, Path | None]:
    value = scope.text("bucket")
    if not value:
        if "bucket" not in scope.own:
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
        problems.error(scope.at("bucket"), f"{subject}: {error}")
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
    value = scope.text("endpoint")
    if not value:
        return ""
    message = ""
    try:
        url = urlsplit(value)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        if "@" in url.netloc:
            message = "Endpoint holds a user or password; credentials go into S3Keyfile"
        elif url.query or url.fragment or any(character.isspace() for character in value):
            good = False
    except ValueError:
        good = False
    if message or not good:
        message = message or "Endpoint is not a URL such as https://s3.example.org:9000"
        problems.error(scope.at("endpoint"), message)
    return value.rstrip("/")


def _prefix(scope: Scope, problems: Problems) -> str:
    try:
        return normalised_prefix(scope.text("prefix"))
    except InvalidNameError as error:
        problems.error(scope.at("prefix"), f"Prefix: {error}")
        return ""


def _chunk_size(scope: Scope, problems: Problems) -> int:
    size = scope.integer("chunksize", _DEFAULT_PART)
    if size < LEAST_PART:
        message = f"ChunkSize {size} is raised to {LEAST_PART} bytes, the least that S3 takes as a part"
        problems.warning(scope.at("chunksize"), message)
        return LEAST_PART
    return size


def _match(scope: Scope, name: str, pattern: re.Pattern[str], message: str, problems: Problems) -> None:
    if scope.find(name) and not pattern.fullmatch(scope.text(name)):
        problems.error(scope.at(name), message)


def _warn_of_unused(scope: Scope, problems: Problems) -> None:
    for name in _S3_ONLY:
        if scope.find(name.lower()):
            problems.warning(scope.at(name.lower()), f"{name} has no effect on a directory store")
