"""Squid's `logformat` grammar: a format line → literals and tokens, and the formats that pfsquid reads by name.

Source of the grammar: the section `logformat` of Squid's configuration manual (cf.data.pre). Never touches a log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The formats that Squid ships, and pfsquid's own. In ours every text is URL-encoded and so holds no space, each has a
# maximum, and the URL stands last: a record that Squid cuts at 8 KB loses the end of a URL and nothing else.
FORMATS: dict[str, str] = {
    "squid": "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt",
    "common": '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st %Ss:%Sh',
    "combined": '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh',
    "pfsquid": (
        "%ts.%03tu %tr %>a %>p %>eui %#.512un %Ss/%03>Hs %>st %<st %rm %Sh/%<a %#.128mt"
        " %#.1024{Referer}>h %#.512{User-Agent}>h %ssl::>sni %ru"
    ),
}

QUOTINGS = "\"[#/'"
_PREFIXES = ("http::", "adapt::", "ssl::", "transport::", "icap::", "tls::", "proxy_protocol::")
# A code may begin with the letters of another (`<st`, `<tt`, `>a`, `>A`): the longest known one is taken.
_KNOWN = (
    "ts tu tl tg tr tS dt <tt busy_time un ul ue us ui credentials ru >ru <ru rm >rm <rm rv >rv <rv rp >rp <rp",
    ">rs <rs >rd <rd >rP <rP >h <h >ha <ha >Hs <Hs mt st >st <st >sh <sh <bs sh Ss Sh et ea sn note",
    ">a >A >p >eui >la >lp la lp <a <A <p <la <lp >handshake >qos <qos >nfmark <nfmark err_code err_detail",
    ">sni bump_mode >cert_subject >cert_issuer <cert_subject <cert_issuer <cert_errors <cert master_xaction",
    ">negotiated_version <negotiated_version >negotiated_cipher <negotiated_cipher >received_hello_version",
    "<received_hello_version >received_supported_version <received_supported_version all_trs request_attempts",
)
_CODES = sorted(" ".join(_KNOWN).split(), key=len, reverse=True)
_HEAD = re.compile(
    r"%(?P<quoting>[\"\[#/'])?(?P<left>-)?(?P<zero>0)?(?P<min>\d+)?(?:\.(?P<max>\d+))?(?:\{(?P<arg>[^}]*)\})?"
)
_WORD = re.compile(r"[<>]?[A-Za-z_]+")


class LogformatError(ValueError):
    """A logformat line that does not keep to the grammar; says where."""


@dataclass(frozen=True)
class Token:
    """One `%` code. code: without prefix, e.g. `>a`. argument: the text in braces. quoting: one of QUOTINGS or ''.

    enclosed: the quoting that the literal text around it imposes (`"` or `[`), where the token has none of its own.
    """

    code: str
    argument: str = ""
    quoting: str = ""
    enclosed: str = ""
    padded: bool = False
    maximum: int | None = None


Item = str | Token


def parse_logformat(text: str) -> tuple[Item, ...]:
    """A logformat line (without the word `logformat` and the name) → literals (str) and tokens, in order.

    Raises LogformatError for a `%` that starts no code, with its column (from 1).
    """
    items: list[Item] = []
    literal, at, enclosed = "", 0, ""
    while at < len(text):
        if text[at] != "%":
            enclosed = _enclosing(enclosed, text[at])
            literal += text[at]
            at += 1
            continue
        if text.startswith("%%", at):
            literal, at = literal + "%", at + 2
            continue
        token, end = _token(text, at, enclosed)
        if literal:
            items.append(literal)
            literal = ""
        items.append(token)
        at = end
    if literal:
        items.append(literal)
    return tuple(items)


def _enclosing(now: str, char: str) -> str:
    """The quoting that literal text imposes on the tokens after it: from `"` to `"`, and from `[` to `]`."""
    if char == '"':
        return "" if now == '"' else '"'
    if char == "[" and not now:
        return "["
    if char == "]" and now == "[":
        return ""
    return now


def _token(text: str, at: int, enclosed: str) -> tuple[Token, int]:
    head = _HEAD.match(text, at)
    assert head is not None, "the caller saw a %"
    end = head.end()
    for prefix in _PREFIXES:
        if text.startswith(prefix, end):
            end += len(prefix)
            break
    code = next((known for known in _CODES if text.startswith(known, end)), "")
    if not code:
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
        code=code,
        argument=argument,
        quoting=head["quoting"] or "",
        enclosed=enclosed,
        padded=bool(head["min"]) and not head["zero"],
        maximum=int(head["max"]) if head["max"] else None,
    )
    return token, end


def groups(items: tuple[Item, ...]) -> list[tuple[Item, ...]] | None:
    """Items cut at spaces: `%ts.%03tu %tr` → [(ts, '.', tu), (tr,)].

    None where a literal holds quotes or brackets: what stands in them holds spaces as a rule, and such a format
    cannot be cut at spaces. (A value that holds a space now and then, as `%[un` may, shows by the count.)
    """
    cut: list[list[Item]] = [[]]
    for item in items:
        if isinstance(item, Token):
            if item.enclosed:
                return None
            cut[-1].append(item)
            continue
        if '"' in item or "[" in item:
            return None
        first, *rest = item.split(" ")
        if first:
            cut[-1].append(first)
        cut.extend([part] if part else [] for part in rest)
    return [tuple(group) for group in cut if group]
