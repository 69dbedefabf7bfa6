"""Takes out of a text what would let its reader be somebody: tokens, credentials, keys. Pure, and linear in the text.

Squid's cache.log holds whole AP-REQ tokens where the helper runs with -d, and the Basic credentials of a client that
sends some. Such a token can be sent again by whoever reads it, so no line leaves here with one.
"""

from __future__ import annotations

import base64
import re

REMOVED = "[removed]"

_BASE64 = r"[A-Za-z0-9+/_-]"
# Scheme or line of the helper protocol, and what follows it. `AF` and the names of schemes also stand before words.
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:proxy-)?authentication-info|(?:set-)?cookie2?)(['\"]?\s?[:=])[^\r\n]+"
)
_AUTHENTICATE = re.compile(rf"(?i)\b((?:proxy|www)-authenticate\s?:\s?(?:negotiate|ntlm|kerberos)\s){_BASE64}+=*")
_AFTER_WORD = re.compile(rf"\b((?:YR|KK|TT)\s|[Tt]oken\s?[=:]\s?['\"]?){_BASE64}+=*")
_AFTER_SCHEME = re.compile(rf"(?i)\b((?:negotiate|ntlm|kerberos|bearer|AF)\s+['\"]?)({_BASE64}{{8,}}=*)")
_BASIC = re.compile(rf"(?i)\b(basic\s+['\"]?)({_BASE64}{{2,}}=*)")
_PASSWORD = re.compile(
    r"(?i)((?:password|passwd|passphrase|secret|unicodePwd)['\"]?(?:=|::?\s)|[/-]pass(?:word)?\s)(?!for\b)\s?\S+"
)
_IN_URL = re.compile(r"(://[^\s/:@]{1,200}:)[^\s/@]{1,500}@")
_HEX = re.compile(r"\b(0x)?[0-9A-Fa-f]{32,}\b")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def redact(text: str) -> str:
    """The text without tokens, credentials, passwords and keys, each of them replaced by `[removed]`; without control
    characters, which would speak to the terminal, and with its ends of line. What is in doubt goes."""
    text = _CONTROL.sub("?", text)
    text = _HEADER.sub(_keep_scheme, text)
    for pattern in (_AUTHENTICATE, _AFTER_WORD):
        text = pattern.sub(rf"\1{REMOVED}", text)
    text = _AFTER_SCHEME.sub(lambda m: m[0] if _is_word(m[2]) else m[1] + REMOVED, text)
    text = _BASIC.sub(lambda m: m[1] + REMOVED if _is_credentials(m[2]) else m[0], text)
    text = _PASSWORD.sub(rf"\1{REMOVED}", text)
    text = _IN_URL.sub(rf"\1{REMOVED}@", text)
    text = _HEX.sub(REMOVED, text)
    return _RUN.sub(lambda m: REMOVED if _is_secret(m[0]) else m[0], text)


def _keep_scheme(match: re.Match[str]) -> str:
    scheme = re.match(
        r"(?i)\s?['\"]?(negotiate|ntlm|basic|bearer|kerberos|digest)\b", match[0][match.end(2) - match.start() :]
    )
    return f"{match[1]}{match[2]} {scheme[1] + ' ' if scheme else ''}{REMOVED}"


def _is_word(run: str) -> bool:
    """`Authentication` in "Negotiate Authentication", but not a token."""
    return len(run) < 24 and re.fullmatch(r"[A-Za-z]?[a-z_]+", run) is not None


def _is_credentials(run: str) -> bool:
    """RFC 7617: base64 of user, colon, password; perhaps cut at its end. Long ones in any case."""
    whole = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    return len(run) >= 24 or b":" in base64.b64decode(
        whole[: len(whole) - (len(whole) % 4 == 1)] + "===", validate=False
    )


def _is_secret(run: str) -> bool:
    """A long run that is no path and no name: in base64 all kinds of characters occur."""
    if len(run) >= 120:
        return True
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]")
    return all(re.search(kind, run) for kind in kinds)
