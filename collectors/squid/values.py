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
_MIME = re.compile(rb"\\([\\rn])")
_ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t"}
# Controls, space, `"#<>[\]^{|}~'` and the backquote, all above 126; not the percent sign.
_UNSAFE = re.compile(rb"%(?:[01][0-9A-F]|2[0237]|3[CE]|5[BCDE]|60|7[B-F]|[89A-F][0-9A-F])")
_SECRET_HEADER = re.compile(r"^((?:proxy-)?authorization):[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_HALF_ESCAPE = re.compile(rb"%[0-9A-Fa-f]?\Z")


class Url(NamedTuple):
    """The parts of a logged URL; all None where it is none (`error:invalid-request`, `*`)."""

    scheme: str | None
    host: str | None
    port: int | None
    path: str | None


NO_URL = Url(None, None, None, None)


def percent_undone(raw: bytes) -> bytes:
    """Undo `%XX` (the quoting `#`)."""
    return unquote_to_bytes(raw)


def bracket_undone(raw: bytes) -> bytes:
    r"""Undo the quoting `[` of logformat in a user name: `%XX`, and `\\` for a backslash (QuoteMimeBlob).

    A single backslash, as others write it, stays: `LAB\rick` is a person and holds no end of line.
    """
    return unquote_to_bytes(raw.replace(rb"\\", b"\\"))


def mime_undone(raw: bytes) -> bytes:
    r"""Undo the quoting `[` of logformat: as in a user name, and `\r`, `\n` for ends of lines."""
    return unquote_to_bytes(_MIME.sub(lambda match: _ESCAPES.get(match[1], match[1]), raw))


def backslash_undone(raw: bytes) -> bytes:
    r"""Undo the quoting `"` of logformat: `\"`, `\\`, `\r`, `\n`, `\t`. Any other backslash stands for itself."""
    return _BACKSLASH.sub(lambda match: _ESCAPES.get(match[1], match[1]), raw)


def shell_undone(raw: bytes) -> bytes:
    r"""Undo the quoting `/` of logformat: as `"`, in quotes only where there is a space."""
    return backslash_undone(raw[1:-1] if raw[:1] == b'"' else raw)


def unsafe_undone(raw: bytes) -> bytes:
    """Undo what Squid escapes where no quoting is asked for: unsafe characters, in capitals (rfc1738_escape_unescaped).

    Other escapes (`%41`, `%25`, `%2f`) were in the text before, since Squid would have written none there.
    """
    return _UNSAFE.sub(lambda match: unquote_to_bytes(match[0]), raw)


def without_half_an_escape(raw: bytes, style: str) -> bytes:
    """A text that was cut, without the beginning of an escape at its end."""
    if style in ('"', "/", "[") and (len(raw) - len(raw.rstrip(b"\\"))) % 2:
        raw = raw[:-1]
    return _HALF_ESCAPE.sub(b"", raw) if style in ("#", "[", "") else raw


def without_half_a_character(raw: bytes) -> bytes:
    """A text that was cut, without the beginning of a character of UTF-8 at its end."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        return raw[: exc.start] if exc.reason == "unexpected end of data" else raw
    return raw


def percent_decoded(raw: bytes) -> str:
    """Undo Squid's `%XX`; what is not UTF-8 then is read as Latin-1, so that no byte is lost."""
    return text_of(percent_undone(raw))


def text_of(raw: bytes) -> str:
    """Bytes as text: UTF-8, else Latin-1 (the only two that Squid's sources let through unescaped)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def headers_without_secrets(raw: bytes) -> str:
    """All headers of a request as text, but for what lets somebody in."""
    return _SECRET_HEADER.sub(r"\1: (left out)", text_of(raw))


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
        host = host_of(authority["v6"] or authority["host"])
        return Url(None, host, int(authority["port"]), None) if host else NO_URL
    parts = _URL.fullmatch(url)
    authority = parts and _AUTHORITY.fullmatch(parts["authority"])
    if not parts or not authority:
        return NO_URL
    scheme = parts["scheme"].lower()
    host = host_of(authority["v6"] or authority["host"])
    if not host:
        return NO_URL
    port = int(authority["port"]) if authority["port"] else DEFAULT_PORTS.get(scheme)
    path = parts["path"]
    return Url(scheme, host, port, path if path.startswith("/") else "/" + path)


def host_of(text: str) -> str | None:
    """A host as the table has it: small letters, punycode, no final dot; None for what is none."""
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
