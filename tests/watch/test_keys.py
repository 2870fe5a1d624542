"""A word lies where nothing else does, whatever host and configuration are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.archives import split_key
from s3napback.catalogue.sums import is_sum_key
from s3napback.original.contents import is_original_chunk
from s3napback.watch.keys import Place, is_word_key, place_of

NAMES = st.text(min_size=1, max_size=20) | st.sampled_from(["../x", "..", ".", "a/b", "%2F", "x.sha256", "etc-0-FULL"])


@given(st.just("") | NAMES.filter(lambda each: not each.startswith("/")), NAMES, NAMES)
def test_every_host_and_configuration_has_a_key_of_its_own(prefix: str, host: str, configuration: str) -> None:
    place = Place(prefix, host, configuration)
    assert place_of(place.key) == place
    inner = place.key.removeprefix(f"{prefix}/" if prefix else "").split("/")
    assert len(inner) == 3
    assert not {"", ".", ".."} & set(inner)
    assert place.key.isascii() or not prefix.isascii()
    assert split_key(place.key) is None
    assert not is_sum_key(place.key)
    assert not is_original_chunk(place.key, prefix)


def test_the_key_is_the_one_that_is_promised() -> None:
    assert Place("", "atlas", "nightly").key == "s3napback-status/atlas/nightly.json"
    assert Place("p/q", "../x", "a b").key == "p/q/s3napback-status/..%2Fx/a%20b.json"
    assert Place("", "..", ".").key == "s3napback-status/%2E%2E/%2E.json"


@pytest.mark.parametrize(
    "key",
    [
        "s3napback-status/atlas/nightly.json-0-FULL",
        "s3napback-status/atlas/nightly.json.sha256",
        "s3napback-status/nightly.json",
        "s3napback-status/a/b/nightly.json",
        "xs3napback-status/atlas/nightly.json",
        "s3napback-status/at las/nightly.json",
        "s3napback-status/atlas/.json",
        "etc-0-FULL",
    ],
)
def test_what_lies_elsewhere_is_no_word(key: str) -> None:
    assert not is_word_key(key)
