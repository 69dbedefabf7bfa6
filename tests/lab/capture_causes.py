"""Makes the captures of Kerberos faults anew.

    PFSQUID_LAB_STATE=/tmp/captures python -m tests.lab.capture_causes tests/captured/kerberos [CASE…]

For each case a lab of its own comes up, the fault is injected for real, and what Squid, helper, client, directory and
tools say is written to OUT/<case>/. `expected.yaml` beside them is written by a person and stays. Tokens are replaced.
A lab that is up in that folder already is left alone, with an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.lab import (
    capture_domain,
    capture_proxy,
    capture_tools,
    lab,
)
from tests.lab.capture_bench import CASES, Bench, shortened, without_tokens
from tests.lab.errors import LabError
from tests.lab.fixture import Lab
from tests.lab.layout import state_folder

PARTS = (capture_proxy, capture_domain, capture_tools)


def quiet(text: str) -> None:
    """Nothing of the lab's own progress."""


def main(out: Path, wanted: list[str]) -> int:
    """Capture these cases, or all."""
    unknown = set(wanted) - set(CASES)
    if unknown:
        raise LabError(f"there is no case {', '.join(sorted(unknown))}; cases are {', '.join(CASES)}")
    state = state_folder()
    if lab.is_up(state):
        raise LabError(f"a lab is up in {state}; take it down, or choose another folder for PFSQUID_LAB_STATE")
    failed = []
    for name in wanted or CASES:
        try:
            lab.up(state, quiet)
            texts = CASES[name](Bench(Lab(state)))
        except LabError as error:
            failed.append(name)
            print(f"{name}: {error}", file=sys.stderr)
            continue
        finally:
            lab.down(state)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).write_text(shortened(without_tokens(text)))
        print(f"{name}: {', '.join(texts)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
