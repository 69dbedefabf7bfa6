"""What a running service knows of its sources, in a file beside the lake, and what the lake itself knows. For `status`.

The file is an observation and nothing that anybody resumes from: it may be old, or not be there.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from pfsquid.lake.catalog import Lake
from pfsquid.lake.live import State

_FOLDER = ".status"


def write(lake: Lake, state: State) -> None:
    """Put a source's state where `read` finds it; a lake without room for it is no error."""
    folder = lake.folder / _FOLDER
    path = folder / f"{state.name}.json"
    new = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        new.write_text(json.dumps(state.as_dict()), "utf-8")
        new.rename(path)


def read(folder: Path) -> dict[str, State]:
    """The states that were written last, by name; broken files are left out."""
    found = {}
    for path in sorted((folder / _FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            known = {field.name for field in fields(State)}
            given = json.loads(path.read_text("utf-8"))
            state = State(**{name: value for name, value in given.items() if name in known})
            found[state.name] = state
    return found


def forget(folder: Path, names: set[str]) -> None:
    """Remove the states of sources that are no longer configured."""
    for path in (folder / _FOLDER).glob("*.json"):
        if path.stem not in names:
            with suppress(OSError):
                path.unlink()
