"""Which server a bucket's name is looked up at, where the configuration leaves that open: from facts to an identity.

The order is boto3's ("Service-specific endpoints" in the AWS SDKs and Tools Reference Guide). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from s3napback.config.settings import Chosen, StoreSettings
from s3napback.records import dataclass

_AMAZONS = ("amazonaws.com", "amazonaws.com.cn", "amazonaws.eu")
"""Whatever lies below these domains is another way to the same buckets, such as a VPC's own."""

_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
}
"""Parts of Amazon in which a bucket's name may be another's, by how the names of their regions begin."""


@dataclass(frozen=True)
class AwsSettings:
    """What boto3 would look at.

    Attributes:
        environment: variables.
        profile: settings of the profile that is in use.
        services: the sections that belong to that profile, one for each service.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)


def chosen_server(found: AwsSettings) -> Chosen:
    """What they choose, where the configuration names neither Endpoint nor Region."""
    said = found.environment, found.profile
    region = str(said[0].get("AWS_DEFAULT_REGION", said[1].get("region", "")))
    ignored = said[0].get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", said[1].get("ignore_configured_endpoint_urls", ""))
    if str(ignored).lower() == "true":
        return Chosen(region=region)
    own = found.services.get("s3")
    endpoint = (
        said[0].get("AWS_ENDPOINT_URL_S3")
        or said[0].get("AWS_ENDPOINT_URL")
        or (own.get("endpoint_url") if isinstance(own, Mapping) else "")
        or said[1].get("endpoint_url")
    )
    return Chosen(_without_password(str(endpoint or "")), region)


def _without_password(url: str) -> str:
    """The same without user and password: it becomes the name of a folder, and is printed."""
    scheme, separator, rest = url.partition("//")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}" if separator else url


def identity_of(settings: StoreSettings) -> str:
    """What tells the store that ``settings`` name from every other one: the server and the bucket, or the folder.

    What ``settings.chosen`` says has the same effect as Endpoint, so that one may take the place of the other.
    """
    if settings.folder is not None:
        return f"file://{settings.folder}"
    return f"{_server(settings)}/{settings.bucket}"


def former_identity_of(settings: StoreSettings) -> str:
    """What earlier versions took for the identity, if that was another one; empty if not.

    They did not ask which server is chosen, so that it may be that of several stores.
    """
    if settings.folder is not None or settings.endpoint:
        return ""
    former = f"s3:/{settings.bucket}"
    return "" if former == identity_of(settings) else former


def _server(settings: StoreSettings) -> str:
    if settings.endpoint:
        return settings.endpoint.rstrip("/")
    endpoint = settings.chosen.endpoint.rstrip("/")
    if endpoint and not _is_amazons(endpoint):
        return endpoint
    region = settings.region or settings.chosen.region
    return "s3:" + next((name for begin, name in _PARTITIONS.items() if region.startswith(begin)), "")


def _is_amazons(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return any(f".{host}".endswith(f".{domain}") for domain in _AMAZONS)
