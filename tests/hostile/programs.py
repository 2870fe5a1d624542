"""Programs put in front of the real ones, which tell what they were given, or take their time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from tests.hostile.world import World


def in_front(world: World, name: str, script: str) -> dict[str, Any]:
    """A shell script in a program's place; ``REAL`` in it is the real one. Returns the variable that sets it so."""
    folder = world.base / "bin"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + script.replace("REAL", shutil.which(name) or name) + "\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def log(world: World) -> Path:
    """An empty file that whoever restores can write to."""
    path = world.base / "log"
    path.write_bytes(b"")
    world.give(path)
    return path
