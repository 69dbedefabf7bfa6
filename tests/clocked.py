"""`python -m tests.clocked BASE MONOTONIC SPEED WORDS…`: pfsquid by another clock, which runs SPEED times as fast.

BASE is its time (seconds since 1970) at the moment MONOTONIC of the machine's steady clock, which all processes share:
so pfsquid and a `tests.graph` server see the same time, though days pass in minutes.
"""

from __future__ import annotations

import sys
import time

import pfsquid.cli


def main(base: float, since: float, speed: float, words: list[str]) -> None:
    """Run pfsquid's command line; leaves the process as it does."""
    time.time = lambda: base + (time.monotonic() - since) * speed
    pfsquid.cli.main(words)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
