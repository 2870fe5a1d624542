"""The manual's three keys to a bucket, on a server that enforces what each of them may do.

moto does, in this process, by IAM's policies: of rights of Object Lock alone it knows nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
from moto import settings

from tests import manual
from tests.servers import S3Server

NIGHTLY = ("policy", "policy of locks")
RESTORER = ("policy of the restorer",)
ADMINISTRATOR = ("policy of the administrator",)


def key_to(server: S3Server, bucket: str, name: str, marks: Sequence[str]) -> S3Server:
    """The server as a user sees it who has the manual's policies for a bucket.

    Args:
        name: of the user, one that no other test makes.
        marks: of the policies in the manual.
    """
    iam: Any = boto3.session.Session("any", "any").client("iam", endpoint_url=server.endpoint, region_name="us-east-1")
    iam.create_user(UserName=name)
    for mark in marks:
        text = json.dumps(json.loads(manual.marked(mark))).replace("my-backups", bucket)
        iam.put_user_policy(UserName=name, PolicyName=mark.replace(" ", "-"), PolicyDocument=text)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return replace(server, access_key=made["AccessKeyId"], secret_key=made["SecretAccessKey"])


@contextmanager
def enforced() -> Iterator[None]:
    """While this lasts, moto looks at signatures and rights."""
    before = settings.INITIAL_NO_AUTH_ACTION_COUNT
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    try:
        yield
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = before
