"""Measure s3napback against what people would use instead: ``python tests/benchmarks/run.py --help``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    # At the end, so that an installed s3napback is the one that is measured.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    runpy.run_module("tests.benchmarks", run_name="__main__")
