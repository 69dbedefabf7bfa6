"""Squid's `logformat` grammar: a format line → literals and tokens, and the formats that pfsquid reads by name.

Source of the grammar: the section `logformat` of Squid's configuration manual (cf.data.pre). Never touches a log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from collectors.squid.known import KNOWN_FORMATS

# The formats that Squid ships, and pfsquid's own. The built-in ones write headers and URLs as they came (tried with
# 5.7), whatever the manual's text of them would mean in a logformat line; that is what `'` says. In ours every text is
# URL-encoded and so holds no space, each has a maximum, and the URL stands last: a record that Squid cuts at 8 KB loses
# the end of a URL and nothing else.
FORMATS: dict[str, str] = {
    "squid": "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt",
    "common": '%>a %[ui %[un [%tl] "%rm %\'ru HTTP/%rv" %>Hs %<st %Ss:%Sh',
    "combined": ('%>a %[ui %[un [%tl] "%rm %\'ru HTTP/%rv" %>Hs %<st "%\'{Referer}>h" "%\'{User-Agent}>h" %Ss:%Sh'),
    "referrer": "%ts.%03tu %>a %'{Referer}>h %'ru",
    "useragent": '%>a [%tl] "%\'{User-Agent}>h"',
    "pfsquid": (
        "%ts.%03tu %tr %>a %>p %>eui %#.512un %Ss/%03>Hs %>st %<st %rm %Sh/%<a %#.128mt"
        " %#.1024{Referer}>h %#.512{User-Agent}>h %ssl::>sni %ru"
    ),
}

QUOTINGS = "\"[#/'"
# These prefixes add nothing to a code. Others (`icap::`, `proxy_protocol::`) give it another meaning, and stay.
_IDLE_PREFIXES = ("http::", "adapt::", "ssl::", "tls::", "transport::")
_PREFIX = re.compile(r"[a-z_]+::")
# A code may begin with the letters of another (`<st`, `<tt`, `>a`, `>A`): the longest known one is taken.
_KNOWN = (
    "ts tu tl tg tr tS dt <tt <pt busy_time un ul ue us ui credentials ru >ru <ru rm >rm <rm rv >rv <rv >v rp >rp <rp",
    ">rs <rs >rd <rd >rP <rP >h <h >ha <ha >Hs <Hs Hs mt st >st <st >sh <sh <sH <sS <bs sh Ss Sh et ea sn note rG",
    ">a >A >p >eui >la >lp la lp oa <a <A <p <la <lp >handshake >qos <qos >nfmark <nfmark err_code err_detail",
    ">sni bump_mode >cert_subject >cert_issuer <cert_subject <cert_issuer <cert_errors <cert master_xaction",
    ">negotiated_version <negotiated_version >negotiated_cipher <negotiated_cipher >received_hello_version",
    "<received_hello_version >received_supported_version <received_supported_version all_trs sum_trs <last_h",
    ">connection_id request_attempts SRC SRCPORT SRCEUI48 SRCEUI64 LOGIN IDENT EXT_USER EXT_LOG EXT_TAG METHOD PROTO",
    "DST PORT PATH URI MYADDR MYPORT TAG",
)
_CODES = sorted(" ".join(_KNOWN).split(), key=len, reverse=True)
KNOWN = frozenset(_CODES)
_HEAD = re.compile(
    r"%(?P<quoting>[\"\[#/'])?(?P<left>-)?(?P<zero>0)?(?P<min>\d+)?(?:\.(?P<max>\d+))?(?:\{(?P<arg>[^}]*)\})?"
)
_WORD = re.compile(r"[<>]?[A-Za-z_]+")
_BYTE = re.compile(r"%byte\{(\d{1,3})\}")
_LINE = re.compile(r"\s*logformat\s+(\S+)\s+(\S.*)", re.DOTALL)


class LogformatError(ValueError):
    """A logformat line that does not keep to the grammar; says where."""


@dataclass(frozen=True)
class Token:
    """One `%` code. code: without idle prefix, e.g. `>a`. argument: the text in braces. quoting: one of QUOTINGS or ''.

    enclosed: the quoting that the literal text around it imposes (`"` or `[`), where the token has none of its own.
    minimum, maximum: its width in characters; left: filled up with spaces on its right; zero: numbers with zeros.
    """

    code: str
    argument: str = ""
    quoting: str = ""
    enclosed: str = ""
    minimum: int = 0
    maximum: int | None = None
    left: bool = False
    zero: bool = False

    @property
    def padded(self) -> bool:
        """Can there be spaces that only fill it up to its width?"""
        return self.minimum > 0 and not self.zero

    @property
    def style(self) -> str:
        """How its value is quoted: its own quoting, else that of the text around it."""
        return self.quoting or self.enclosed

    @property
    def key(self) -> str:
        """Its name in the column `extra`: the code as one writes it, without quoting and width."""
        return f"{{{self.argument}}}{self.code}" if self.argument else self.code


Item = str | Token


def format_of(text: str) -> str:
    """The logformat that `text` stands for: a name of FORMATS or of a known format, a whole line `logformat NAME …`,
    or a logformat itself.

    Raises LogformatError for a name that is not there, and for a text that keeps not to the grammar.
    """
    named = FORMATS | {known.name: known.logformat for known in KNOWN_FORMATS}
    if text in named:
        return named[text]
    whole = _LINE.fullmatch(text)
    logformat = (whole[2] if whole else text).strip()
    if "%" not in logformat:
        raise LogformatError(f"there is no format {logformat!r}; there are {', '.join(named)}")
    if not any(isinstance(item, Token) and item.code in ("ts", "tl", "tg") for item in parse_logformat(logformat)):
        raise LogformatError("there is no time in it: none of %ts, %tl, %tg")
    return logformat


def parse_logformat(text: str) -> tuple[Item, ...]:
    """A logformat line (without the word `logformat` and the name) → literals (str) and tokens, in order.

    A byte that is not UTF-8 (`%byte{255}`) stands in a literal as Python's surrogate escape. Raises LogformatError
    for a `%` that starts no code, and for a record that would take several lines, with its column (from 1).
    """
    items: list[Item] = []
    literal, at, enclosed = "", 0, ""
    while at < len(text):
        if text[at] in "\r\n":
            raise LogformatError(f"column {at + 1}: a record is one line")
        byte = _BYTE.match(text, at)
        if text[at] != "%":
            enclosed = _enclosing(enclosed, text[at])
            literal += text[at]
            at += 1
        elif byte:
            literal, at = literal + _one_byte(int(byte[1]), at), byte.end()
        elif text.startswith("%%", at):
            literal, at = literal + "%", at + 2
        else:
            token, at = _token(text, at, enclosed)
            if literal:
                items.append(literal)
                literal = ""
            items.append(token)
    if literal:
        items.append(literal)
    return tuple(items)


def literal_bytes(literal: str) -> bytes:
    """The bytes of a literal, as they stand in the log."""
    return literal.encode("utf-8", "surrogateescape")


def _one_byte(number: int, at: int) -> str:
    if number > 255 or number in (10, 13):
        raise LogformatError(f"column {at + 1}: %byte{{{number}}} is no byte of a line")
    return bytes([number]).decode("utf-8", "surrogateescape")


def _enclosing(now: str, char: str) -> str:
    """The quoting that literal text imposes on the tokens after it: from `"` to `"`, and from `[` to `]`."""
    if char == '"':
        return {'"': "", "": '"'}.get(now, now)
    if char == "[" and not now:
        return "["
    if char == "]" and now == "[":
        return ""
    return now


def _token(text: str, at: int, enclosed: str) -> tuple[Token, int]:
    head = _HEAD.match(text, at)
    assert head is not None, "the caller saw a %"
    end = head.end()
    prefix = _PREFIX.match(text, end)
    space = prefix.group() if prefix else ""
    end += len(space)
    code = next((known for known in _CODES if text.startswith(known, end)), "")
    if not code or (space and space not in _IDLE_PREFIXES):
        word = _WORD.match(text, end)
        if not word:
            raise LogformatError(f"column {at + 1}: {text[at : at + 12]!r} is no logformat code")
        code = word.group()
    end += len(code)
    argument = head["arg"] or ""
    if not argument and text.startswith("{", end):
        close = text.find("}", end)
        if close < 0:
            raise LogformatError(f"column {end + 1}: the brace of %{code} is not closed")
        argument, end = text[end + 1 : close], close + 1
    token = Token(
        code=code if space in _IDLE_PREFIXES else space + code,
        argument=argument,
        quoting=head["quoting"] or "",
        enclosed=enclosed,
        minimum=int(head["min"] or 0),
        maximum=int(head["max"]) if head["max"] else None,
        left=bool(head["left"]),
        zero=bool(head["zero"]),
    )
    return token, end
