"""What a person may have meant with a path is found among what folders held, without a look at each name."""

from __future__ import annotations

import random

from s3napback.recovery.paths import WantedPaths

NAMES = ["a", "Ab", "ab", "ABBA", "Ä", "ä", "Σ", "σ", "x.a", "aB c"]


def test_no_folder_is_passed_over_in_which_a_name_resembles_a_wanted_one() -> None:
    chance = random.Random(1)
    skipped = 0
    for _ in range(3000):
        wanted = WantedPaths.of((f"top/{chance.choice(NAMES)}/{chance.choice(NAMES)}",))
        folder = chance.choice(["top", "top/a", "other", "top/x"])
        held = chance.sample(NAMES, chance.randrange(4))
        listed = "".join(f"{chance.choice('YND')}{name}\0" for name in held).encode() + b"\0"
        if wanted.may_resemble_one_in(folder, listed):
            continue
        skipped += 1
        assert not any(wanted.resemble(f"{folder}/{name}") for name in held)
    assert skipped > 500
