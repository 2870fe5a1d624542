from __future__ import annotations

import re
import shlex

import pytest

from s3napback.config.directives import (
    DirectiveDescription,
    Place,
    Type,
    all_blocks,
    all_directives,
    find_block,
    find_directive,
    similar_name,
)
from s3napback.config.values import InvalidValueError, convert
from s3napback.kinds import KINDS

OF_THE_MANUAL = shlex.split("""DiffDir TempDir Bucket GpgRecipient GpgKeyring S3KeyFile ChunkSize CycleType Frequency
Phase Diffs Fulls Discs ArchiveOldestDisc Directory MySQL PostgreSQL Subversion SubversionDir UseTempFile Exclude""")


@pytest.mark.parametrize("name", OF_THE_MANUAL)
def test_every_directive_of_the_original_is_known_in_any_case(name: str) -> None:
    found = find_directive(name)
    assert found is not None
    assert found == find_directive(name.upper())


@pytest.mark.parametrize("directive", all_directives(), ids=lambda directive: directive.name)
def test_every_directive_is_described(directive: DirectiveDescription) -> None:
    assert re.fullmatch(r"[A-Z0-9].*\.", directive.help) or directive.help.startswith("gpg")
    assert directive.places
    assert directive.takes
    assert bool(directive.default) != (directive.type in (Type.SOURCE, Type.FILES))
    assert set(directive.kinds) <= set(KINDS)


@pytest.mark.parametrize(
    "directive",
    [directive for directive in all_directives() if directive.type is Type.INTEGER],
    ids=lambda each: each.name,
)
def test_bounds_of_numbers_hold(directive: DirectiveDescription) -> None:
    assert convert(directive, (str(directive.minimum),)) == directive.minimum
    assert convert(directive, (str(directive.maximum),)) == directive.maximum
    for number in (directive.minimum - 1, directive.maximum + 1):
        with pytest.raises(InvalidValueError):
            convert(directive, (str(number),))


def test_every_kind_of_source_is_a_directive_in_cycles_and_a_block() -> None:
    for kind in KINDS:
        directive, block = find_directive(kind), find_block(kind.lower())
        assert directive is not None
        assert directive.places == {Place.CYCLE}
        assert block is not None
        assert block.places == {Place.FILE, Place.CYCLE}
    assert {block.name for block in all_blocks()} == {"Cycle", *KINDS}


def test_a_misspelt_name_is_recognised_and_a_strange_one_is_not() -> None:
    assert similar_name("excludes") == "Exclude"
    assert similar_name("GPGRecepient") == "GpgRecipient"
    assert similar_name("xyzzy") == ""
