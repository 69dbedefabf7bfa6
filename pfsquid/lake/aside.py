"""Small files of JSON beside the tables: observations, never state. Written whole or not at all; only written here."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def put_aside(path: Path, told: Any) -> bool:
    """Write `told` as JSON in the place of what stood there, in a folder that is made if need be; did it come about?

    A lake without room for it is no error.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        new.write_text(json.dumps(told), "utf-8")
        new.replace(path)
        return True
    return False
