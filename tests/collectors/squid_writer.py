"""A small Squid: random logformats, random records, and what Squid writes of them, by the grammar of its manual.

Independent of how pfsquid reads: the quoting is written anew here, after src/format/Quoting.cc and Format.cc.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

UNSAFE = b"<>\"#%{}|\\^~[]`' "


def url_encoded(raw: bytes, percent: bool = True) -> bytes:
    """rfc1738_escape, and with percent=False rfc1738_escape_unescaped."""
    unsafe = UNSAFE if percent else UNSAFE.replace(b"%", b"")
    return b"".join(b"%%%02X" % c if c in unsafe or c < 32 or c >= 127 else bytes([c]) for c in raw)


def mime_blob(raw: bytes) -> bytes:
    """QuoteMimeBlob."""
    named = {13: b"\\r", 10: b"\\n", 92: b"\\\\"}
    return b"".join(named.get(c) or (b"%%%02x" % c if c < 32 or c >= 127 or c in b"%[]" else bytes([c])) for c in raw)


def quoted(raw: bytes) -> bytes:
    """log_quoted_string."""
    named = {13: b"\\r", 10: b"\\n", 9: b"\\t", 34: b'\\"', 92: b"\\\\"}
    return b"".join(named.get(c, bytes([c])) for c in raw)


def shell(raw: bytes) -> bytes:
    """strwordquote."""
    named = {13: b"\\r", 10: b"\\n", 34: b'\\"', 92: b"\\\\"}
    text = b"".join(named.get(c, bytes([c])) for c in raw)
    return b'"' + text + b'"' if b" " in raw else text


QUOTE: dict[str, Callable[[bytes], bytes]] = {"#": url_encoded, "[": mime_blob, '"': quoted, "/": shell, "'": bytes}


@dataclass(frozen=True)
class Code:
    """A code that can be drawn. column: the column that it fills ('' for extra). key: its name in extra."""

    text: str
    column: str
    kind: str  # number, word, text, header, user, url

    @property
    def key(self) -> str:
        return self.text


CODES = (
    Code("tr", "elapsed_ms", "number"),
    Code("<st", "bytes_down", "number"),
    Code(">st", "bytes_up", "number"),
    Code("<tt", "", "number"),
    Code("sn", "", "number"),
    Code(">a", "client_ip", "address"),
    Code(">p", "client_port", "port"),
    Code("la", "", "address"),
    Code("rm", "method", "method"),
    Code("mt", "content_type", "word"),
    Code("rv", "", "word"),
    Code("err_code", "", "word"),
    Code("un", "user_name", "user"),
    Code("ru", "url", "url"),
    Code("{User-Agent}>h", "user_agent", "header"),
    Code("{Referer}>h", "referrer", "header"),
    Code("{X-Odd}>h", "", "header"),
    Code("{Server}<h", "", "header"),
    Code("some_future_code", "", "user"),
    Code("icap::tr", "", "number"),
)
ODD = ["-", "a", "curl/8.0 (x; y)", 'A "B"', "back\\slash", "\\", '"', "[b]", "a  b", " lead", "é", "100%", "%41",
       "%zz", "a|b", "a,b", "x=y", "{}", "\t", "~", "ü" * 5, '" "', "#", "'"]  # fmt: skip


def _value(kind: str) -> st.SearchStrategy[bytes]:
    if kind == "number":
        return st.integers(0, 10**9).map(lambda number: b"%d" % number)
    if kind == "port":
        return st.integers(0, 65535).map(lambda number: b"%d" % number)
    texts = {
        "address": ["192.0.2.7", "2001:db8::5", "fe80::1"],
        "method": ["GET", "POST", "CONNECT", "X-ODD!"],
        "word": ["-", "text/html", "1.1", "ERR_NONE"],
        "url": ["http://a.example/", "http://a.example/q\"u'[x]|{y}\\z", "https://b.example:8/é?a=b%20c", "error:none"],
    }
    if kind in texts:
        return st.sampled_from(texts[kind]).map(str.encode)
    return st.one_of(
        st.sampled_from(ODD).map(str.encode), st.text(st.sampled_from('ab "\\[]%é~/='), max_size=8).map(str.encode)
    )


@dataclass(frozen=True)
class Field:
    """One code in a logformat, as it is written there, and what it is enclosed in."""

    code: Code
    style: str
    minimum: int
    left: bool
    maximum: int | None
    before: str
    after: str

    @property
    def written(self) -> str:
        width = ("-" if self.left else "") + (str(self.minimum) if self.minimum else "")
        width += f".{self.maximum}" if self.maximum else ""
        return f"{self.before}%{self.style}{width}{self.code.text}{self.after}"

    @property
    def quoting(self) -> str:
        return self.style or {'"': '"', "[": "["}.get(self.before[-1:], "")

    @property
    def ends_plainly(self) -> bool:
        """Can nobody take the value's end for another place?"""
        if self.left and self.minimum:
            return False
        if self.code.kind in ("number", "port", "address", "method", "word"):
            return True
        if self.quoting == "#" or (not self.quoting and self.code.kind == "header"):
            return self.before == "" or self.after in '"]'
        return (self.quoting, self.after) in (('"', '"'), ("[", "]")) or (self.quoting == "/" and not self.before)

    def render(self, raw: bytes) -> bytes:
        """What Squid writes."""
        number = self.code.kind in ("number", "port")
        if raw in (b"", b"-") and not number:
            text = b"-"
            return self._around(text)
        if self.quoting:
            text = QUOTE[self.quoting](raw)
        elif self.code.kind in ("header", "method"):
            text = url_encoded(raw, percent=False)
        else:
            text = raw
        if self.maximum and not number:
            text = text[: self.maximum]
        pad = b" " * max(0, self.minimum - len(text))
        return self._around(text + pad if self.left else pad + text)

    def _around(self, text: bytes) -> bytes:
        return self.before.encode() + text + self.after.encode()

    def expected(self, raw: bytes) -> str | None:
        """The value that a reader must come to."""
        if raw in (b"", b"-"):
            return None
        if self.code.column == "referrer" and not self.quoting:  # a URL stays as it is logged
            raw = url_encoded(raw, percent=False)
        return raw.decode("utf-8")


@st.composite
def fields(draw: st.DrawFn) -> Field:
    code = draw(st.sampled_from(CODES))
    before, after = draw(st.sampled_from([("", ""), ("", ""), ('"', '"'), ("[", "]"), ('key="', '"'), ("x=", "")]))
    style = draw(st.sampled_from(["", "", '"', "[", "#", "/", "'"]))
    wide = draw(st.integers(0, 3)) == 0
    return Field(
        code=code,
        style=style,
        minimum=draw(st.integers(1, 30)) if wide else 0,
        left=draw(st.booleans()) if wide else False,
        maximum=200 if draw(st.integers(0, 5)) == 0 and code.kind != "number" else None,
        before=before,
        after=after,
    )


TIMES = (
    ("%ts.%03tu", b"1402454773.542", "2014-06-11T02:46:13.542000+00:00"),
    ("%ts.%06.6tu", b"1402454773.542001", "2014-06-11T02:46:13.542001+00:00"),
    ("[%tl]", b"[11/Jun/2014:04:46:13 +0200]", "2014-06-11T02:46:13+00:00"),
    ("%{%F:%T%z}tl", b"2014-06-11:04:46:13+0200", "2014-06-11T02:46:13+00:00"),
    ("%{%s}tg.%03tu", b"1402454773.542", "2014-06-11T02:46:13.542000+00:00"),
    ("%{%d %b %Y %H:%M:%S}tg", b"11 Jun 2014 02:46:13", "2014-06-11T02:46:13+00:00"),
)


@dataclass(frozen=True)
class Written:
    """A logformat, a line that Squid writes by it, and the row that it stands for."""

    logformat: str
    line: bytes
    row: dict[str, Any]
    certain: bool  # there is one way to read it


@st.composite
def written(draw: st.DrawFn) -> Written:
    chosen = draw(st.lists(fields(), min_size=1, max_size=6, unique_by=lambda field: field.code.text))
    between = draw(st.sampled_from([" ", " ", " ", "|", ", ", "\t"]))
    time, stamp, moment = draw(st.sampled_from(TIMES))
    at = draw(st.integers(0, len(chosen)))
    texts, parts = [field.written for field in chosen], []
    row: dict[str, Any] = {"ts": moment}
    extra: dict[str, str] = {}
    for field in chosen:
        raw = draw(_value(field.code.kind))
        parts.append(field.render(raw))
        value = field.expected(raw)
        if value is None:
            continue
        if field.code.column:
            row[field.code.column] = int(value) if field.code.kind in ("number", "port") else value
        else:
            extra[field.code.key] = value
    texts.insert(at, time)
    parts.insert(at, stamp)
    if extra:
        row["extra"] = extra
    certain = between == " " and all(field.ends_plainly for field in chosen)
    return Written(between.join(texts), between.encode().join(parts), row, certain)
