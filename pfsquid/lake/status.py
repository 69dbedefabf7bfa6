"""The states of the sources of a running service, each in a file beside the lake. For `status`.

The files are an observation and nothing that anybody resumes from: they may be old, or not be there.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from pfsquid.lake.aside import put_aside
from pfsquid.lake.state import State

_FOLDER = ".status"


def write(lake: Path, state: State) -> None:
    """Put a source's state where `read` finds it; a lake without room for it is no error."""
    put_aside(lake / _FOLDER / f"{state.name}.json", state.as_dict())


def read(lake: Path) -> dict[str, State]:
    """The states that were written last, by name; broken files are left out."""
    found = {}
    known = {field.name for field in fields(State)}
    for path in sorted((lake / _FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, TypeError, AttributeError):
            given = json.loads(path.read_text("utf-8"))
            state = State(**{name: value for name, value in given.items() if name in known})
            found[state.name] = state
    return found


def forget(lake: Path, names: set[str]) -> None:
    """Remove all but the states of these sources: those no longer configured, and what killed processes left."""
    for path in (lake / _FOLDER).glob("*"):
        if path.suffix != ".json" or path.stem not in names:
            with suppress(OSError):
                path.unlink()
