"""Where the word of a run lies in a store: one object for each host and configuration. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from s3napback.archives import join_prefix
from s3napback.records import dataclass
from s3napback.regexes import regex

FOLDER = "s3napback-status"
_KEY = regex(rf"(?:(?P<prefix>.+)/)?{FOLDER}/(?P<host>[^/]+)/(?P<configuration>[^/]+)\.json", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Whose word it is.

    Attributes:
        prefix: of all keys of the configuration; may be empty.
        host: HostName.
        configuration: the file's name without its ending.
    """

    prefix: str
    host: str
    configuration: str

    @property
    def key(self) -> str:
        """Where the word lies."""
        return join_prefix(self.prefix, f"{FOLDER}/{_encoded(self.host)}/{_encoded(self.configuration)}.json")

    def __str__(self) -> str:
        """As ``status --forget`` takes it."""
        return f"{self.host}/{self.configuration}"


def place_of(key: str) -> Place | None:
    """Whose word lies under a key; None if it is no word's."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    place = Place(found["prefix"] or "", *(unquote(found[part]) for part in ("host", "configuration")))
    return place if place.key == key else None


def is_word_key(key: str) -> bool:
    """Whether what lies under a key is the word of a run."""
    return place_of(key) is not None


def _encoded(name: str) -> str:
    """A name as one component of a key, whatever it holds; one of dots would mean a folder above."""
    quoted = quote(name, safe="", errors="surrogateescape")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")
