"""Archives that somebody has copied under other keys: the original, at its own place, is as good as before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s3napback.catalogue.claims import Claims
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.retention import deletable, judge_archives
from s3napback.rotation import SimpleCycle
from tests.catalogues import HOST, archive, catalogue, group, job, stored


def copied(original: CataloguedArchive, key: str) -> CataloguedArchive:
    """The same archive under another key, stored long after it was made."""
    return replace(original, stored=stored(key, 930), base=key.rpartition("-")[0].rpartition("-")[0])


@pytest.mark.parametrize("key", ["etc-9-DIFF", "etc-1-FULL", "other/etc-1-DIFF", "zzz/etc-1-DIFF", "zzz/etc-7-FULL"])
def test_a_copy_takes_nothing_from_the_archives_that_build_on_the_original(key: str) -> None:
    chain = group("etc", 0, 10, 4)
    found = catalogue([*chain, copied(chain[1], key)])
    assert found.chain(chain[3]).archives == tuple(chain)


def test_copies_of_a_whole_chain_build_on_each_other() -> None:
    chain = group("etc", 0, 10, 3)
    copies = [copied(each, f"zzz/{each.key}") for each in chain]
    found = catalogue([*chain, *copies])
    assert found.chain(chain[2]).archives == tuple(chain)
    assert found.chain(copies[2]).archives == tuple(copies)
    # What is missing of one of both, the other one has.
    found = catalogue([chain[0], chain[2], *copies[:2]])
    assert found.chain(chain[2]).archives == (*copies[:2], chain[2])


@pytest.mark.parametrize(("number", "key"), [(2, "etc-9-DIFF"), (2, "zzz/etc-7-DIFF"), (4, "etc-3-FULL")])
def test_a_copy_makes_nothing_needless(number: int, key: str) -> None:
    """Neither does it break the chain that its original is in, nor fill the slot that its key names."""
    archives = [*group("etc", 0, 900, 4), archive("etc", 7, 907)]
    claims = Claims(HOST, (job("etc", SimpleCycle(diffs=6, fulls=2)),))
    found = catalogue([*archives, copied(archives[number], key)])
    assert deletable(judge_archives(found, claims, 995)) == []
