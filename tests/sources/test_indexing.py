"""DIFFs are exact: what times do not tell is taken all the same, and plain tar replays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.chains import directory_source
from tests.sources.indexed_chain import BLIND, IndexedChain
from tests.sources.quiet_edits import QuietTree
from tests.sources.trees import assert_same_tree

NIGHTS = 4


@pytest.mark.parametrize("seed", range(8))
def test_what_no_time_tells_of_is_in_the_next_diff(tmp_path: Path, seed: int) -> None:
    tree = QuietTree(tmp_path / "tree", seed)
    chain = IndexedChain(directory_source(tree.root, margin=BLIND), tmp_path / "work")
    for _night in range(NIGHTS):
        chain.back_up()
        assert chain.warnings == []
        assert_same_tree(tree.root, chain.replay(tmp_path / "out"), hard_links=False)
        assert chain.back_up() == []
        tree.edit(12)
