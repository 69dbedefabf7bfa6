"""What went wrong, for people: what failed and why, the next command to type, and the exit status."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit statuses of `pfsquid`, the same for every command."""

    DONE = 0  # done, or all is well
    FAILED = 1  # could not do it, or could not find out
    WRONG_USE = 2  # wrong usage or configuration
    FOUND = 3  # worked, and found something
    ROLLED_BACK = 4  # applied, then rolled back
    INTERRUPTED = 130


class PfsquidError(Exception):
    """An error that a person can act on.

    message: what failed and why, one or more lines. next: commands or steps to take, the likeliest first.
    """

    def __init__(self, message: str, *next: str, exit_code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.next = next
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message  # what is added on an error's way up belongs to it


class WrongUse(PfsquidError):  # noqa: N818 - reads as what it is
    """Wrong usage or configuration: exit status 2."""

    def __init__(self, message: str, *next: str) -> None:
        super().__init__(message, *next, exit_code=ExitCode.WRONG_USE)
