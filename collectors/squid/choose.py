"""Which parser a log is read with: by the format that was named, or by a look at the log's first lines."""

from __future__ import annotations

from collectors.squid import detect
from collectors.squid.access_log import compile_parser
from collectors.squid.follow import SourceError
from collectors.squid.logformat import FORMATS, format_of

AUTO = "auto"
_RECORD = 8192  # what Squid cuts a record at


class FormatError(SourceError):
    """A log that is not in the format it was said to be in. instead: the shipped format that it is in, or ''."""

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason, wrong_use=True, lasting=True)
        self.instead = instead


def detected(sample: bytes, name: str) -> str:
    """The format of a log's first bytes. Raises FormatError."""
    try:
        return detect.detect(sample[: detect.SAMPLE])
    except ValueError as exc:
        raise FormatError(f"{name}: {exc}") from exc


def check_format(first: bytes, wanted: str, name: str) -> None:
    """Do a new log's first bytes look like the format that was named? Raises FormatError.

    The beginning of a first line, of which the end is still to come, does if it does not look like something else.
    """
    sample = first[: detect.SAMPLE]
    if not sample.strip() or (detect.fits(sample, wanted) if wanted in FORMATS else _reads(sample, wanted)):
        return
    instead = detect.looks_like(sample, but=wanted)
    if instead:
        raise FormatError(f'{name} is in Squid\'s "{instead}" format, not in "{wanted}"', instead)
    other = detect.describe_other(sample)
    if other:
        raise FormatError(f'{name} is {other}, not an access log in Squid\'s "{wanted}" format')
    if b"\n" not in first and len(first) < _RECORD:
        return
    raise FormatError(f'no line at the beginning of {name} reads as Squid\'s "{wanted}" format')


def _reads(sample: bytes, logformat: str) -> bool:
    """Does a line of the sample read by a logformat?"""
    parser = compile_parser(format_of(logformat))
    return any(not isinstance(parser.read_line(line), str) for line in sample.split(b"\n")[:200] if line.strip())
