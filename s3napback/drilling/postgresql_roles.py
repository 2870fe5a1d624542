"""The roles of a dump of all databases of PostgreSQL, by the first lines of it."""

from __future__ import annotations

import re
from collections import Counter

from s3napback.regexes import regex

_NAME = rb'(?:"(?:[^"\n]|"")+"|\w+)'
_SUPERUSER = regex(rb"^ALTER ROLE (?P<name>" + _NAME + rb") WITH SUPERUSER ", re.MULTILINE)
_MEMBERSHIP = regex(
    rb"^GRANT " + _NAME + rb" TO (?P<member>" + _NAME + rb")(?P<admin> WITH ADMIN OPTION)?[^\n]* "
    rb"GRANTED BY (?P<name>" + _NAME + rb");$",
    re.MULTILINE,
)
_USUAL = "postgres"


def first_superuser(head: bytes) -> str:
    """What the role is called that was there first, where a dump comes from, as far as that can be told.

    Since PostgreSQL 16 others may be named as having granted a membership only if they were given the right to
    (``check_role_grantor`` in its ``user.c``), and it is the first one who is named where any superuser did so.

    Args:
        head: how the dump begins, with its roles; of a single database there are none in it.
    """
    superusers = [found["name"] for found in _SUPERUSER.finditer(head)]
    granted = list(_MEMBERSHIP.finditer(head))
    entitled = {found["member"] for found in granted if found["admin"]}
    grantors = Counter(found["name"] for found in granted if found["name"] in superusers)
    own = [name for name, _count in grantors.most_common() if name not in entitled]
    others = [_USUAL.encode()] if not superusers or _USUAL.encode() in superusers else superusers
    return _unquoted((own or others)[0])


def _unquoted(name: bytes) -> str:
    plain = name[1:-1].replace(b'""', b'"') if name.startswith(b'"') else name
    return plain.decode(errors="surrogateescape")
