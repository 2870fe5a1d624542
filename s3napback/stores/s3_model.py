"""What botocore has to know of S3, and no more: most of what it takes to make a client is to read of the rest.

It would look through the folders of four hundred services whether S3 is among them, and make a method for every one of
S3's hundred operations. And it would read two megabytes into dictionaries that are slow to make, for no use any more.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.loaders import JSONFileLoader, Loader, create_loader

_SERVICE = "s3"

OPERATIONS = frozenset(
    {
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CreateMultipartUpload",
        "CreateSession",  # botocore itself asks for it, where a bucket is of Express One Zone
        "DeleteObject",
        "GetBucketLifecycleConfiguration",
        "GetBucketVersioning",
        "GetObject",
        "GetObjectLockConfiguration",
        "HeadBucket",  # botocore itself asks for it, where a bucket is said to be in another region
        "HeadObject",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjectsV2",
        "PutBucketLifecycleConfiguration",
        "PutBucketPolicy",
        "PutBucketVersioning",
        "PutObject",
        "PutObjectRetention",
        "UploadPart",
    }
)
"""What is asked of S3; a client has no methods for anything else."""


def use_model(session: botocore.session.Session) -> None:
    """Have a session's clients of S3 be made from what is needed of it. Those of other services are as ever."""
    # Read once for all sessions of the process: a night has one for each configuration.
    session.register_component("data_loader", _loader(session.get_config_variable("data_path") or ""))


@cache
def _loader(data_path: str) -> Loader:
    # botocore's own function knows what AWS_DATA_PATH may hold.
    return _ModelLoader(create_loader(data_path or None).search_paths)


class _PlainFiles(JSONFileLoader):
    """Reads them into dictionaries as they are, which keep their order by themselves."""

    def load_file(self, file_path: str) -> Any:
        """What a file holds, whose suffix is missing; None if there is none."""
        for path, opened in ((Path(f"{file_path}.json"), open), (Path(f"{file_path}.json.gz"), gzip.open)):
            if path.is_file():
                with opened(path, "rb") as file:
                    return json.load(file)
        return None


class _S3Alone(Loader):
    """Takes it that S3 is there: its absence is told when it is read."""

    def list_available_services(self, type_name: str) -> list[str]:
        del type_name
        return [_SERVICE]


class _ModelLoader(Loader):
    """botocore's loader, but for S3."""

    def __init__(self, folders: list[str]) -> None:
        options: dict[str, Any] = {"file_loader": _PlainFiles(), "include_default_search_paths": False}
        super().__init__(extra_search_paths=list(folders), **options)
        self._s3 = _S3Alone(extra_search_paths=list(folders), **options)

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """The description of a service: of S3 those operations that are asked for."""
        if service_name != _SERVICE:
            # Credentials may have to be fetched from another one.
            return super().load_service_model(service_name, type_name, api_version)
        model = self._s3.load_service_model(service_name, type_name, api_version)
        if "operations" not in model:
            return model
        operations = {name: described for name, described in model["operations"].items() if name in OPERATIONS}
        return {**model, "operations": operations}
