"""The body of a Graph answer → its records, each with the very text it came in, and the link to the next page.

JSON with commas too many, control characters or a key twice is read all the same; what cannot be read becomes a
record without value, so that nothing is lost in silence. A body that ends too early is no answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from collectors.entra.errors import GraphError, Kind
from collectors.entra.records import Record

Each = Callable[[Record], Any]
_DECODER = json.JSONDecoder(strict=False)
_BLANK = re.compile(r"[ \t\r\n]*")
_BLANK_OR_COMMA = re.compile(r"[ \t\r\n,]*")
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
_STRING_OR_COMMA = re.compile(rf"({_STRING})|,(?=[\s,]*[\]}}])", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\s]+")
# The status that an error object stands for.
_STATUS_OF = {
    "toomanyrequests": 429,
    "activitylimitreached": 429,
    "servicenotavailable": 503,
    "serviceunavailable": 503,
    "gatewaytimeout": 504,
    "timeout": 504,
    "unknownerror": 500,
    "generalexception": 500,
    "internalservererror": 500,
    "invalidauthenticationtoken": 401,
    "authorization_requestdenied": 403,
    "badrequest": 400,
    "resourcenotfound": 404,
    "request_resourcenotfound": 404,
}


@dataclass
class Parsed:
    """An answer. records: what was made of each, None where there is no list `value`. next: the link, '' where this is
    the last page. print_: a digest of the records' texts."""

    records: list[Any] | None = None
    next: str = ""
    print_: bytes = b""
    error: Any = None
    others: dict[str, Any] = field(default_factory=dict)


def parsed(body: bytes, each: Each | None = None) -> Parsed:
    """A JSON object as Graph sends it. each: what to make of a record, at once: a record takes ten times its text as
    long as it is held. Raises GraphError BROKEN where it is none, or is cut off."""
    seen = hashlib.blake2b(digest_size=16)

    def made(record: Record) -> Any:
        seen.update(record.text.encode("utf-8", "surrogatepass") + b"\0")
        return record if each is None else each(record)

    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    at = _after(_BLANK, text, 0)
    if text[at : at + 1] != "{":
        raise _broken("the answer is no JSON of Graph" if text.strip() else "the answer is empty", text)
    answer = Parsed()
    at = _after(_BLANK_OR_COMMA, text, at + 1)
    while text[at : at + 1] == '"':
        key, at = _value(text, at)
        at = _after(_BLANK, text, at)
        if text[at : at + 1] != ":":
            raise _broken("the answer is damaged", text[at:])
        at = _after(_BLANK, text, at + 1)
        if key == "value" and text[at : at + 1] == "[":
            at = _elements(text, at, answer, made)
        else:
            value, at = _value(text, at)
            _take(answer, str(key), value)
        at = _after(_BLANK_OR_COMMA, text, at)
    if text[at : at + 1] != "}":
        raise _broken("the answer is cut off" if at >= len(text) else "the answer is damaged", text[at:])
    if text[at + 1 :].strip():
        raise _broken("more follows the answer", text[at + 1 :])
    answer.print_ = seen.digest()
    return answer


def _take(answer: Parsed, key: str, value: Any) -> None:
    if key == "@odata.nextLink" and isinstance(value, str):
        answer.next = value
    elif key == "error" and value is not None:
        answer.error = value
    else:
        answer.others[key] = value


def _elements(text: str, begin: int, answer: Parsed, made: Each) -> int:
    """Append what is made of the elements of a list to the records. Returns the place after it."""
    if answer.records is None:
        answer.records = []
    at = _after(_BLANK_OR_COMMA, text, begin + 1)
    while at < len(text) and text[at] != "]":
        record, end = _record(text, at)
        answer.records.append(made(record))
        del record
        at = _after(_BLANK_OR_COMMA, text, end)
    if at >= len(text):
        raise _broken("the answer is cut off", "")
    return at + 1


def _value(text: str, at: int) -> tuple[Any, int]:
    """The value at a place, and the place after it."""
    record, end = _record(text, at)
    return record.value, end


def _record(text: str, at: int) -> tuple[Record, int]:
    """The value at a place with its text, and the place after it. BROKEN where it does not end.

    The text is without its commas too many, as it will be read as JSON again; a text that is no JSON has value None.
    """
    try:
        value, end = _DECODER.raw_decode(text, at)
        return Record(at, text[at:end], value), end
    except (ValueError, RecursionError):
        end = _end(text, at)
    mended = _STRING_OR_COMMA.sub(lambda found: found.group(1) or "", text[at:end])
    try:
        return Record(at, mended, json.loads(mended, strict=False)), end
    except (ValueError, RecursionError):
        return Record(at, text[at:end], None), end


def _end(text: str, begin: int) -> int:
    """Where a value ends that is no sound JSON: by its brackets, those in strings left out."""
    if text[begin : begin + 1] not in ("{", "["):
        scalar = _SCALAR.match(text, begin)
        if scalar is None or scalar.end() >= len(text) or text[begin] == '"':
            raise _broken("the answer is cut off", "")
        return scalar.end()
    depth = 0
    for token in _TOKEN.finditer(text, begin):
        if token.group() in ("{", "["):
            depth += 1
        elif token.group() in ("}", "]"):
            depth -= 1
            if depth == 0:
                return token.end()
    raise _broken("the answer is cut off", "")


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _broken(why: str, text: str) -> GraphError:
    begin = " ".join(text[:200].split())[:60]
    return GraphError(
        Kind.BROKEN,
        why + (f": {begin!r}" if begin else ""),
        "check `graph` and `cloud`, and whether a proxy answers in Graph's place",
    )


class ErrorObject(Exception):  # noqa: N818 - Graph's word for it
    """An error of Graph that came with 200. code, text: as in the answer."""

    def __init__(self, error: Any) -> None:
        super().__init__()
        self.code, self.text = _code_and_text(error)


def collection(body: bytes, each: Each | None = None) -> Parsed:
    """A page of records; see `parsed`. Raises GraphError BROKEN where it is none, ErrorObject where it is an error."""
    answer = parsed(body, each)
    if answer.error is not None:
        raise ErrorObject(answer.error)
    if answer.records is None:
        raise GraphError(Kind.BROKEN, "a page without records: no list `value` in the answer")
    return answer


def anything(body: bytes) -> Any:
    """Any JSON. Raises as `collection`."""
    try:
        value = json.loads(body.decode("utf-8-sig", "surrogateescape"), strict=False)
    except (ValueError, RecursionError) as exc:
        raise GraphError(Kind.BROKEN, f"the answer is no JSON: {exc}") from exc
    if isinstance(value, dict) and value.get("error") is not None:
        raise ErrorObject(value["error"])
    return value


def said(body: bytes) -> tuple[str, str]:
    """Code and text of an answer that is no 200. A page of HTML says nothing."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    return _code_and_text(value.get("error") if isinstance(value, dict) else None)


def _code_and_text(error: Any) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", str(error or "")
    inner = error.get("innerError")
    code = error.get("code") or (inner.get("code") if isinstance(inner, dict) else "")
    text = str(error.get("message") or "")
    request = inner.get("request-id") if isinstance(inner, dict) else None
    return str(code or ""), f"{text} [request-id {request}]" if request else text


def status_of(code: str, text: str) -> int:
    """The status of HTTP that an error object stands for. An unknown one may pass: it is tried again."""
    if code.lower().startswith("authentication_"):
        return 403
    if "skip token" in text.lower() or "skiptoken" in text.lower():
        return 400
    return _STATUS_OF.get(code.lower(), 500)
