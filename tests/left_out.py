"""A rule for ``faulty_s3``: listings that lack what is there."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.faulty_s3 import Answer, Fault, change_answer


def left_out(pattern: str) -> Fault:
    """Do not list the keys that a regular expression matches as a whole."""

    def change(reply: Answer) -> Answer:
        entry = rb"<Contents>(?:(?!<Contents>).)*<Key>" + pattern.encode() + rb"</Key>.*?</Contents>"
        return replace(reply, body=re.sub(entry, b"", reply.body, flags=re.DOTALL))

    return Fault("ListObjectsV2", change_answer(change))
