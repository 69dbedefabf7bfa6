"""What a sender's stream is cut into: whole lines, ready for the spool. Pure: bytes in, bytes out.

Three framings are told apart by the first bytes of a connection: raw lines as Squid's `access_log tcp://` sends them,
syslog ended by line feeds, and syslog with octet counts (RFC 6587, 3.4.1 and 3.4.2; RFC 5425, 4.3 over TLS). A syslog
header stays on its line. What is no line is not dropped in silence: it becomes a line with MARK and a reason in it,
which no format reads, so that it ends among the rejects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

LONGEST = 64 * 1024  # bytes of a line, without its end
KEPT = 4096  # bytes kept of what is no line
MARK = b"\x18 "  # ASCII CAN ("the data before it is in error"): Squid writes no control characters, parsers take none

_LONGEST_MESSAGE = 1024 * 1024  # a greater octet count is no count: the stream cannot be followed
_COUNTED = re.compile(rb"[1-9]\d{0,18} <")
_UNDECIDED = re.compile(rb"(?:[1-9]\d{0,18} ?|\x16)?")
_COUNT = re.compile(rb"([1-9]\d{0,6}) ")
_COUNT_BEGINS = re.compile(rb"[1-9]\d{0,6}")
_PRIORITY = re.compile(rb"<\d{1,3}>")
_TRAILERS = b"\r\n\x00"


@dataclass(frozen=True)
class Framed:
    """Whole lines, each with its line feed, in the order of their coming.

    lines: how many of them are sound. bad: how many are marked. empty: lines of nothing, left out. skipped: bytes of
    marked lines that were left out.
    """

    data: bytes = b""
    lines: int = 0
    bad: int = 0
    empty: int = 0
    skipped: int = 0


def marked(raw: bytes, reason: str) -> bytes:
    """A line that no format reads: the first KEPT bytes of `raw` (a line feed as `\\n`), MARK, the reason."""
    return raw[:KEPT].replace(b"\n", b"\\n") + MARK + reason.encode("utf-8") + b"\n"


class _Output:
    """A Framed in the making."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._lines = self._bad = self._empty = self._skipped = 0

    def block(self, whole: bytes) -> None:
        """Bytes that end with a line feed, as they are where all is well with them."""
        lines = whole.split(b"\n")
        lines.pop()
        if b"" not in lines and b"\r" not in lines and max(map(len, lines)) <= LONGEST:
            self._parts.append(whole)
            self._lines += len(lines)
            return
        for line in lines:
            self.line(line)

    def line(self, line: bytes) -> None:
        if line in (b"", b"\r"):
            self._empty += 1
        elif len(line) > LONGEST:
            self.too_long(line, len(line))
        else:
            self._parts.append(line + b"\n")
            self._lines += 1

    def message(self, message: bytes) -> None:
        """A syslog message whose end is known otherwise than by a line feed."""
        text = message.rstrip(_TRAILERS)
        if b"\n" in text:
            self.spoilt(text, "a syslog message with a line feed in it", len(text))
        else:
            self.line(text)

    def too_long(self, head: bytes, length: int) -> None:
        self.spoilt(head, f"longer than {LONGEST // 1024} KB ({length:,} bytes)", length)

    def spoilt(self, raw: bytes, reason: str, length: int) -> None:
        self._parts.append(marked(raw, reason))
        self._bad += 1
        self._skipped += max(0, length - KEPT)

    def framed(self) -> Framed:
        return Framed(b"".join(self._parts), self._lines, self._bad, self._empty, self._skipped)


class Framer:
    """The stream of one connection. `broken`: why it cannot be followed any further (then hang up), or ''.

    Memory: what `feed` is given, and one line of LONGEST bytes. How the stream is split into `feed`s makes no
    difference to what comes out.
    """

    def __init__(self) -> None:
        self.broken = ""
        self._rest = bytearray()  # of an unfinished line or message; only its head where _gone
        self._gone = 0  # bytes of it that were left out
        self._left = 0  # bytes still to come of a message that is too long
        self._read: Callable[[_Output, bytes], None] | None = None

    def feed(self, data: bytes) -> Framed:
        """The lines that `data` completes."""
        output = _Output()
        if not self.broken:
            if self._read is None:
                data = bytes(self._rest) + data
                self._rest.clear()
                self._decide(data)
            if self._read is not None:
                self._read(output, data)
        return output.framed()

    def end(self) -> Framed:
        """The connection has ended: what is unfinished, marked."""
        output = _Output()
        if self._rest.strip(_TRAILERS) and not self.broken:
            length = len(self._rest) + self._gone
            output.spoilt(bytes(self._rest), "the connection ended in the middle of this line", length)
        self._rest.clear()
        self._gone = self._left = 0
        return output.framed()

    def _decide(self, data: bytes) -> None:
        if data[:2] == b"\x16\x03":
            self.broken = "a sender speaks TLS to a port without TLS: listen on tls://, or turn TLS off at the sender"
        elif _COUNTED.match(data):
            self._read = self._counted
        elif _UNDECIDED.fullmatch(data):
            self._rest += data
        else:
            self._read = self._syslog_lines if data[:1] == b"<" else self._lines

    def _syslog_lines(self, output: _Output, data: bytes) -> None:
        """Some senders end a message with NUL (RFC 6587, 3.4.2), Python's SysLogHandler among them."""
        self._lines(output, data.replace(b"\x00", b"\n"))

    def _lines(self, output: _Output, data: bytes) -> None:
        if self._gone:
            end = data.find(b"\n")
            if end < 0:
                self._gone += len(data)
                return
            output.too_long(bytes(self._rest), len(self._rest) + self._gone + end)
            self._rest.clear()
            self._gone, data = 0, data[end + 1 :]
        end = data.rfind(b"\n") + 1
        if end:
            output.block(bytes(self._rest) + data[:end])
            self._rest.clear()
        self._rest += data[end:]
        if len(self._rest) > LONGEST:
            self._gone = len(self._rest) - KEPT
            del self._rest[KEPT:]

    def _counted(self, output: _Output, data: bytes) -> None:
        data = bytes(self._rest) + data if not self._left else data
        begin = self._skip(output, data) if self._left else 0
        if self._left:
            return
        self._rest.clear()
        while True:
            while data[begin : begin + 1] in (b"\n", b"\r", b"\x00"):
                begin += 1
            count = _COUNT.match(data, begin)
            if count is None:
                break
            end = count.end() + int(count[1])
            if end - count.end() > LONGEST:
                if end - count.end() > _LONGEST_MESSAGE:
                    break
                self._left = end - count.end()
                begin = count.end() + self._skip(output, data[count.end() :])
                if self._left:
                    return
            elif end > len(data):
                self._rest += data[begin:]
                return
            else:
                output.message(data[count.end() : end])
                begin = end
        rest = data[begin : begin + 9]
        begins = _COUNT_BEGINS.match(rest)
        if count is None and len(rest) == (begins.end() if begins else 0):
            self._rest += rest
            return
        seen = data[begin : count.end() if count else begin + (begins.end() if begins else 0) + 1]
        self.broken = f"an octet count that is none, or over {_LONGEST_MESSAGE // 1024:,} KB"
        output.spoilt(seen, f"{self.broken}: the connection was closed", len(seen))

    def _skip(self, output: _Output, data: bytes) -> int:
        """Leave out a message that is too long but for its head; how many bytes of `data` were its."""
        part = data[: self._left]
        room = max(0, KEPT - len(self._rest))
        self._rest += part[:room]
        self._gone += len(part[room:])
        self._left -= len(part)
        if not self._left:
            output.too_long(bytes(self._rest), len(self._rest) + self._gone)
            self._rest.clear()
            self._gone = 0
        return len(part)


def datagram(data: bytes) -> Framed:
    """The lines of one UDP datagram: one syslog message, or several raw lines, as Squid's `access_log udp://` packs
    them. A datagram is whole: its last line needs no line feed."""
    output = _Output()
    if _PRIORITY.match(data):
        output.message(data)
    elif data:
        output.block(data if data.endswith(b"\n") else data + b"\n")
    return output.framed()
