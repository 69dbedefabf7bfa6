"""Ten kinds of odd line, as they turn up in real access logs, made from a plain line.

Each takes the pieces of a plain line by column name (the last one ends with the newline) and gives the bytes
of exactly one line, with its newline and no other. It decides nothing about what a reader should make of it.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.people import Random

Pieces = dict[str, bytes]


def _line(pieces: Pieces) -> bytes:
    return b"".join(pieces.values())


def _with_url_path(pieces: Pieces, path: bytes) -> bytes:
    ends = (b"\n", b' HTTP/1.1" ', b" ")
    after = next(end for end in ends if pieces["tail"].endswith(end))
    return _line({**pieces, "verb": b"GET ", "scheme": b"http://", "tail": path + after})


def truncated(pieces: Pieces, random: Random) -> bytes:
    line = _line(pieces)
    return line[: random.integers(1, len(line) - 1)] + b"\n"


def garbage(pieces: Pieces, random: Random) -> bytes:
    return random.bytes(int(random.integers(20, 200))).replace(b"\n", b"\xff") + b"\n"


def quotes(pieces: Pieces, random: Random) -> bytes:
    return _with_url_path(pieces, b"/search?q=\"it's\"&r='a\\\"b'")


def long_url(pieces: Pieces, random: Random) -> bytes:
    return _with_url_path(pieces, b"/" + b"0123456789abcdef" * int(random.integers(513, 1024)))


def nul_and_bad_utf8(pieces: Pieces, random: Random) -> bytes:
    return _with_url_path(pieces, b"/caf\xc3\xa9/\x00\xff\xfe\xc3(/\xed\xa0\x80")


def spaces_in_url(pieces: Pieces, random: Random) -> bytes:
    return _with_url_path(pieces, b"/my files/report 2026 final.docx")


def bad_number(pieces: Pieces, random: Random) -> bytes:
    column = ("second", "elapsed", "down")[random.integers(0, 3)]
    column = column if column in pieces else "down"
    return _line({**pieces, column: b"12x4" + pieces[column].lstrip(b"0123456789 ")})


def empty(pieces: Pieces, random: Random) -> bytes:
    return b"\n"


def two_lines_run_together(pieces: Pieces, random: Random) -> bytes:
    line = _line(pieces)
    return line[:-1] + line


def crlf(pieces: Pieces, random: Random) -> bytes:
    return _line(pieces)[:-1] + b"\r\n"


KINDS: tuple[Callable[[Pieces, Random], bytes], ...] = (
    truncated,
    garbage,
    quotes,
    long_url,
    nul_and_bad_utf8,
    spaces_in_url,
    bad_number,
    empty,
    two_lines_run_together,
    crlf,
)
