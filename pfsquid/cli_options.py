"""Options that several commands share, and what `--debug` said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pfsquid.views import Format

_WANTED = {"debug": False}


def _note_debug(value: bool) -> bool:
    _WANTED["debug"] = value
    return value


def debug_wanted() -> bool:
    """Was `--debug` given? `main` asks, which shows the errors of all commands."""
    return _WANTED["debug"]


ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file.", show_default=False)]
LakeOption = Annotated[  # a text, since a path would make s3:/ of s3://
    str | None, typer.Option("--lake", help="Folder of the lake, or s3://BUCKET/PREFIX.", show_default=False)
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the result.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
DebugOption = Annotated[
    bool, typer.Option("--debug", help="Show a traceback where something fails.", callback=_note_debug)
]
