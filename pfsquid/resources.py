"""Where the files that come with pfsquid are: beside the package in a checkout, inside of it when installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def configs() -> Path:
    """The folder `configs`."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def templates() -> Path:
    """The folder `templates`."""
    inside = _PACKAGE / "templates"
    return inside if inside.is_dir() else _PACKAGE.parent / "templates"
