"""What a logformat's codes mean to pfsquid: which columns of `proxy` a code can fill, and what its values look like.

The order in COLUMNS is the order in which codes are asked for a column; the first that has a value fills it. All that
fills no column goes to `extra`. Source: the section `logformat` of Squid's manual, and what Squid 5.7 was seen to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from collectors.squid import clock, values
from collectors.squid.logformat import KNOWN, Token

# Names in capital letters are the ones that external_acl_type has, which Squid takes in a logformat too.
COLUMNS: dict[str, tuple[str, ...]] = {
    "client_ip": (">a", "SRC"),
    "client_port": (">p", "SRCPORT"),
    "client_mac": (">eui", "SRCEUI48", "SRCEUI64"),
    # Authenticated, then any name (Squid falls back from one to the next), external ACL, certificate, ident.
    "user_name": ("ul", "LOGIN", "un", "ue", "EXT_USER", "us", "ui", "IDENT"),
    "action": ("Ss",),
    "status": (">Hs", "Hs"),
    "method": ("rm", ">rm", "METHOD", "<rm"),
    "url": ("ru", ">ru", "URI", "<ru"),
    "bytes_down": ("<st",),
    "bytes_up": (">st",),
    "hierarchy": ("Sh",),
    "peer": ("<a", "<A"),
    "content_type": ("mt",),
    "user_agent": ("{user-agent}>h", "{user-agent}>ha"),
    "referrer": ("{referer}>h", "{referer}>ha"),
    "sni": (">sni",),
    "elapsed_ms": ("tr",),
    # Helpers of other columns, none of their own.
    "seconds": ("ts",),
    "fraction": ("tu",),
    "clock": ("tl", "tg"),
    "started": ("tS",),
    "both_ways": ("st",),
    # Of a URL that is not logged as a whole.
    "scheme": (">rs", "PROTO", "<rs"),
    "host": (">rd", "DST", "<rd"),
    "port": (">rP", "PORT", "<rP"),
    "path": (">rp", "PATH", "rp", "<rp"),
}
OF_URL = ("scheme", "host", "port", "path")
USER_CODES = COLUMNS["user_name"]
URL_CODES = COLUMNS["url"]
# What lets somebody in is not copied: a ticket, a password.
SECRET = frozenset({"credentials", "{authorization}>h", "{authorization}>ha", "{proxy-authorization}>h",
                    "{proxy-authorization}>ha"})  # fmt: skip
# Regular expressions of values. OPEN stands after each quantifier whose greed is not decided yet (see lines).
OPEN = b"\x00"
_TYPED = {
    "seconds": rb"\d{10}",
    "fraction": rb"\d{1,6}" + OPEN,
    "started": rb"\d{10}(?:\.\d{1,6})?" + OPEN,
    "elapsed_ms": rb"-?\d{1,12}" + OPEN,
    "client_port": rb"(?:\d{1,5}%b|-)" % OPEN,
    "port": rb"(?:\d{1,5}%b|-)" % OPEN,
    "status": rb"(?:\d{3}|0|-)",
    "bytes_down": rb"-?\d{1,18}" + OPEN,
    "bytes_up": rb"-?\d{1,18}" + OPEN,
    "both_ways": rb"-?\d{1,18}" + OPEN,
    "action": rb"[A-Z][A-Z0-9_]*" + OPEN,
    "hierarchy": rb"[A-Z][A-Z0-9_]*" + OPEN,
}
INTEGERS = frozenset({"elapsed_ms", "client_port", "port", "status", "bytes_down", "bytes_up", "both_ways"})
# Codes whose text Squid writes as it is, spaces too, where the format asks for no quoting (seen with 5.7).
_SPACED = frozenset({*USER_CODES, *URL_CODES, ">cert_subject", ">cert_issuer", "<cert_subject", "<cert_issuer",
                     "err_detail", "note", "et", "ea", "EXT_LOG", "EXT_TAG", "TAG"})  # fmt: skip
_TEXTUAL = frozenset({">h", "<h", ">ha", ">rp", "<rp", "rp", "PATH", "<last_h", "all_trs", "sum_trs", "tl", "tg"})
# Codes that Squid escapes without any quoting asked for, but for the percent sign (rfc1738_escape_unescaped).
_PASSED = frozenset({">h", "<h", ">ha", "rm", ">rm", "<rm", ">ru", "<ru", "URI", ">rs", "<rs", ">rd", "<rd", ">rp",
                     "<rp", "rp", "PATH", "METHOD", "et", "ea", "EXT_LOG", "EXT_TAG", "TAG", "note", "<last_h",
                     "proxy_protocol::>h", "icap::>h", "icap::<h"})  # fmt: skip
_IDENT = ("ui", "IDENT")  # by RFC 1413 such a name could hold a space; none is known that does
_ROLES = {code: column for column, codes in COLUMNS.items() for code in codes}


def name_of(token: Token) -> str:
    """The token's name in COLUMNS: headers with their name in small letters, all else without argument."""
    if token.code in (">h", ">ha"):
        return f"{{{token.argument.lower()}}}{token.code}"
    return token.code if not token.argument or token.code in ("tl", "tg") else token.key


def column_of(token: Token) -> str:
    """The column (or helper of one) that the token can fill; '' where there is none."""
    column = _ROLES.get(name_of(token), "")
    if column == "clock" and clock.clock(token.argument, token.code == "tg") is None:
        return ""
    # With a maximum these are numbers with a fraction: `%.3tr` writes 307.000.
    return "" if column == "elapsed_ms" and token.maximum is not None else column


def passed_through(token: Token) -> bool:
    """Does Squid escape unsafe characters in it, but no percent sign, because no quoting was asked for?"""
    return not token.style and token.code in _PASSED


def form(token: Token) -> bytes:
    """A regular expression for the token's value, OPEN after its quantifiers; without groups that are counted."""
    column = column_of(token)
    if token.code in ("tl", "tg"):
        return clock.pattern(token.argument, token.code == "tg").encode("utf-8", "surrogateescape")
    if column in _TYPED:
        return _TYPED[column]
    style = token.style
    if token.code in KNOWN - _SPACED - _TEXTUAL:
        kind = {'"': rb'[^\s"]', "/": rb'[^\s"]', "[": rb"[^\s\[\]]"}.get(style, rb"\S")
        if column == "client_ip":  # no bare number: then the fields are those of another format
            return rb"(?!\d+(?:[^\w.:%-]|\Z))[\w.:%-]+" + OPEN
        return kind + (b"*" if column == "peer" else b"+") + OPEN
    if token.code in _IDENT:
        return rb"[^\s\[\]]+" + OPEN
    if style == "/":
        return rb'(?:"(?:[^"\\]|\\.)*%b"|(?!")[^ ]+%b)' % (OPEN, OPEN)
    if style == '"':
        return rb'(?:[^"\\]|\\.)*' + OPEN + (rb"\\?" + OPEN if token.maximum else b"")
    if style == "[":
        return rb"[^\[\]]*" + OPEN
    if style == "'":
        return rb".*" + OPEN
    if style == "#" or passed_through(token):
        return rb"\S+" + OPEN
    return rb"\S(?:.*%b\S)?%b" % (OPEN, OPEN)


def escapes(token: Token) -> str:
    """The characters that begin an escape in the token's value; a value without them is the text itself."""
    if token.style == "'" or not (token.style or passed_through(token)):
        return ""
    return {'"': "\\", "/": "\\", "[": "%\\"}.get(token.style, "%")


def decoder(token: Token) -> Callable[[bytes], str]:
    """What makes text of the token's bytes in the log: quoting undone, and a cut at its maximum mended.

    A cut escape or character at the end is left out: what stands before it is right.
    """
    style, is_url = token.style, column_of(token) in ("url", "path")
    undo: Callable[[bytes], bytes]
    if style == "#":
        undo = values.percent_undone
    elif style == "[":
        undo = values.bracket_undone if column_of(token) == "user_name" else values.mime_undone
    elif style in ('"', "/"):
        undo = values.backslash_undone if style == '"' else values.shell_undone
    elif passed_through(token) and not is_url and column_of(token) != "referrer":
        undo = values.unsafe_undone
    else:
        undo = bytes
    text = values.url_text if is_url else values.text_of
    if token.code in (">h", ">ha") and not token.argument:
        text = values.headers_without_secrets
    if token.maximum is None:
        return lambda raw: text(undo(raw))
    return partial(_cut, undo, text, token.maximum, style)


def _cut(undo: Callable[[bytes], bytes], text: Callable[[bytes], str], maximum: int, style: str, raw: bytes) -> str:
    if len(raw) < maximum:
        return text(undo(raw))
    return text(values.without_half_a_character(undo(values.without_half_an_escape(raw, style))))
