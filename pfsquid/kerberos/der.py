"""DER, as much as Kerberos needs (RFC 4120 5.2, X.690): bytes to values and back. Pure.

Every reader takes the bytes of one whole element and raises BadDer, and nothing else, for whatever bytes there are. A
length never reaches beyond what is there and takes at most four bytes, indefinite ones are refused, nothing recurses,
and nothing is allocated that the input does not pay for. A length may take more bytes than it needs: MIT reads that.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OBJECT_ID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0A
GENERALIZED_TIME, GENERAL_STRING, SEQUENCE = 0x18, 0x1B, 0x30
_CONTEXT, _APPLICATION, _NUMBER, _LONG = 0xA0, 0x60, 0x1F, 0x80
_MOST_LENGTH_BYTES, _MOST_INTEGER_BYTES = 4, 8
_TIME = "%Y%m%d%H%M%SZ"


class BadDer(ValueError):  # noqa: N818 - reads as what it is
    """The bytes are not the DER that is expected here."""


def element(tag: int, content: bytes) -> bytes:
    """Tag (one byte), length and content."""
    size = len(content)
    if size < _LONG:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG | len(length)]) + length + content


def sequence(*elements: bytes) -> bytes:
    """A SEQUENCE (OF) of elements."""
    return element(SEQUENCE, b"".join(elements))


def fields(**numbered: bytes | None) -> bytes:
    """A SEQUENCE of `[number] EXPLICIT` elements, given as `f0=…, f3=…` in order; None where a field is absent."""
    return sequence(*(context(int(name[1:]), inner) for name, inner in numbered.items() if inner is not None))


def context(number: int, inner: bytes) -> bytes:
    """`[number] EXPLICIT` around an element."""
    return element(_CONTEXT | number, inner)


def application(number: int, inner: bytes) -> bytes:
    """`[APPLICATION number]` around an element."""
    return element(_APPLICATION | number, inner)


def integer(value: int) -> bytes:
    """An INTEGER."""
    return element(INTEGER, value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    """An OCTET STRING."""
    return element(OCTET_STRING, value)


def boolean(value: bool) -> bytes:
    """A BOOLEAN."""
    return element(BOOLEAN, b"\xff" if value else b"\x00")


def flags(value: int) -> bytes:
    """KerberosFlags: a BIT STRING of 32 bits (RFC 4120 5.2.8)."""
    return element(BIT_STRING, b"\x00" + value.to_bytes(4, "big"))


def text(value: str) -> bytes:
    """A KerberosString: UTF-8 in a GeneralString, as AD and MIT have it (RFC 4120 5.2.1 promises only ASCII)."""
    return element(GENERAL_STRING, value.encode("utf-8", "surrogateescape"))


def time(value: datetime) -> bytes:
    """A KerberosTime of an aware datetime: whole seconds, UTC (RFC 4120 5.2.3)."""
    return element(GENERALIZED_TIME, value.astimezone(UTC).strftime(_TIME).rjust(15, "0").encode())


def split(data: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows) of the first element."""
    if len(data) < 2:
        raise BadDer("ends within an element")
    tag, length, start = data[0], data[1], 2
    if tag & _NUMBER == _NUMBER:
        raise BadDer("a tag of more than one byte")
    if length >= _LONG:
        count = length - _LONG
        if not 1 <= count <= _MOST_LENGTH_BYTES:
            raise BadDer("an indefinite length, or one of more than four bytes")
        start += count
        if len(data) < start:
            raise BadDer("ends within a length")
        length = int.from_bytes(data[2:start], "big")
    if length > len(data) - start:
        raise BadDer(f"an element of {length} bytes where {len(data) - start} are left")
    return tag, data[start : start + length], data[start + length :]


def first(data: bytes) -> bytes:
    """The first element, whole, without what follows it: decrypted parts may be padded (RFC 4120 5.2.9)."""
    _, _, rest = split(data)
    return data[: len(data) - len(rest)]


def content(data: bytes, tag: int) -> bytes:
    """The content of the one element that `data` is; it has this tag."""
    found, inner, rest = split(data)
    if found != tag:
        raise BadDer(f"tag 0x{found:02x} where 0x{tag:02x} is expected")
    if rest:
        raise BadDer(f"{len(rest)} bytes after the end")
    return inner


def in_application(data: bytes, number: int) -> bytes:
    """The element within `[APPLICATION number]`."""
    return content(data, _APPLICATION | number)


def elements(data: bytes) -> Iterator[bytes]:
    """The whole elements of a SEQUENCE OF."""
    rest = content(data, SEQUENCE)
    while rest:
        one = first(rest)
        rest = rest[len(one) :]
        yield one


def numbered(data: bytes) -> dict[int, bytes]:
    """The fields of a SEQUENCE of `[number] EXPLICIT` elements: number → element within."""
    found: dict[int, bytes] = {}
    for one in elements(data):
        tag, inner, _ = split(one)
        number = tag & _NUMBER
        if tag & ~_NUMBER != _CONTEXT or number in found:
            raise BadDer(f"tag 0x{tag:02x} where a new numbered field is expected")
        found[number] = inner
    return found


def needed(found: dict[int, bytes], number: int) -> bytes:
    """The field of that number, which must be there."""
    if number not in found:
        raise BadDer(f"field {number} is missing")
    return found[number]


def to_integer(data: bytes) -> int:
    """The value of an INTEGER of at most 64 bits."""
    inner = content(data, INTEGER)
    if not 1 <= len(inner) <= _MOST_INTEGER_BYTES:
        raise BadDer(f"an integer of {len(inner)} bytes")
    return int.from_bytes(inner, "big", signed=True)


def to_octets(data: bytes) -> bytes:
    """The value of an OCTET STRING."""
    return content(data, OCTET_STRING)


def to_text(data: bytes) -> str:
    """The value of a KerberosString; bytes that are no UTF-8 become surrogates, and go back as they came."""
    return content(data, GENERAL_STRING).decode("utf-8", "surrogateescape")


def to_time(data: bytes) -> datetime:
    """The value of a KerberosTime, UTC."""
    inner = content(data, GENERALIZED_TIME)
    if len(inner) != 15 or not inner[:14].isdigit() or inner[14:] != b"Z":
        raise BadDer("a time that is not YYYYMMDDHHMMSSZ")
    try:
        return datetime.strptime(inner.decode(), _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise BadDer("a time that there is not") from None
