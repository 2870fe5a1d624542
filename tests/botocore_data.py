"""What botocore reads of services, a megabyte of JSON a client: once for a process and what is forked from it."""

from __future__ import annotations

import botocore.session
from botocore.loaders import create_loader

from s3napback.stores.s3_model import use_model


def share_botocore_data(*, at_once: bool = False) -> None:
    """Have all clients take it from one place, which clients of one session do anyway.

    Args:
        at_once: read what S3's clients need now.
    """
    loader = create_loader()
    vars(botocore.session)["create_loader"] = lambda _path=None: loader
    if at_once:
        for session in (botocore.session.Session(), botocore.session.Session()):
            session.create_client("s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:1")
            use_model(session)
