"""What botocore reads of services, a megabyte of JSON a client: once for a process and what is forked from it."""

from __future__ import annotations

import boto3
import botocore.session
from botocore.loaders import create_loader


def share_botocore_data(*, at_once: bool = False) -> None:
    """Have all clients take it from one place, which clients of one session do anyway.

    Args:
        at_once: read what S3's clients need now.
    """
    loader = create_loader()
    vars(botocore.session)["create_loader"] = lambda _path=None: loader
    if at_once:
        boto3.session.Session("key", "secret").client("s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:1")
