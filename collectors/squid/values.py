"""Single values of the access log: escapes undone, a URL taken apart. Pure functions, used per distinct value.

Never guesses: what does not have the form gives None and is left to the caller.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443, "gopher": 70, "wais": 210}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+._-]*)://(?P<authority>[^/?#\\]*)(?P<path>.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:.*@)?(?:\[(?P<v6>[0-9A-Fa-f:.%a-zA-Z]+)\]|(?P<host>[^:\[\]@]*))(?::(?P<port>\d{0,5}))?")
_BACKSLASH = re.compile(rb"\\([\"\\rnt])")
_ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t"}


class Url(NamedTuple):
    """The parts of a logged URL; all None where it is none (`error:invalid-request`, `*`)."""

    scheme: str | None
    host: str | None
    port: int | None
    path: str | None


NO_URL = Url(None, None, None, None)


def percent_decoded(raw: bytes) -> str:
    """Undo Squid's `%XX`; what is not UTF-8 then is read as Latin-1, so that no byte is lost."""
    return text_of(unquote_to_bytes(raw))


def bracket_decoded(raw: bytes) -> str:
    r"""Undo the quoting `[` of logformat: `%XX`, and `\\` for a backslash (QuoteMimeBlob in src/format/Quoting.cc).

    A single backslash, as others write it, stays: `LAB\rick` is a person and holds no end of line.
    """
    return percent_decoded(raw.replace(rb"\\", b"\\"))


def backslash_decoded(raw: bytes) -> str:
    r"""Undo the quoting `"` of logformat: `\"`, `\\`, `\r`, `\n`, `\t`.

    Any other backslash stands for itself: the built-in combined format writes a user agent as it came.
    """
    return text_of(_BACKSLASH.sub(lambda match: _ESCAPES.get(match[1], match[1]), raw))


def text_of(raw: bytes) -> str:
    """Bytes as text: UTF-8, else Latin-1 (the only two that Squid's sources let through unescaped)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def url_text(raw: bytes) -> str:
    """A logged URL as text; bytes that are not UTF-8 as `%XX`, as RFC 3986 §2.5 has them."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)


def split_url(method: str, url: str) -> Url:
    """The parts of `%ru`. For CONNECT that is `host:port` (RFC 9110 §9.3.6): scheme and path are None.

    Hosts come in lower case, without brackets and final dot, internationalised names as punycode (RFC 5891).
    A port that is not written is the scheme's default; an empty path is `/` (RFC 9110 §4.2.3).
    """
    if method == "CONNECT":
        authority = _AUTHORITY.fullmatch(url)
        if authority is None or not authority["port"]:
            return NO_URL
        host = _host(authority["v6"] or authority["host"])
        return Url(None, host, int(authority["port"]), None) if host else NO_URL
    parts = _URL.fullmatch(url)
    authority = parts and _AUTHORITY.fullmatch(parts["authority"])
    if not parts or not authority:
        return NO_URL
    scheme = parts["scheme"].lower()
    host = _host(authority["v6"] or authority["host"])
    if not host:
        return NO_URL
    port = int(authority["port"]) if authority["port"] else DEFAULT_PORTS.get(scheme)
    path = parts["path"]
    return Url(scheme, host, port, path if path.startswith("/") else "/" + path)


def _host(text: str) -> str | None:
    name = text
    if "%" in name and ":" not in name:
        name = percent_decoded(name.encode("utf-8"))
    name = name.rstrip(".").lower()
    if not name or any(char.isspace() for char in name):
        return None
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name
