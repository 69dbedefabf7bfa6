"""However a stream is split into reads, the same lines come out; what is no line is marked, counted, and rejected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.squid import framing
from collectors.squid.framing import KEPT, LONGEST, MARK, Framed, Framer, datagram
from tests.collectors.access_logs import BOUNDED

TLS_GREETING = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
SYSLOG = b"<134>1 2026-11-16T09:00:00Z fw squid 7 - - "


def framed(*reads: bytes) -> tuple[Framed, str]:
    """All that a connection gives that ends after these reads, and why it was hung up on."""
    framer = Framer()
    every = [*(framer.feed(read) for read in reads), framer.end()]
    return added(every), framer.broken


def added(every: list[Framed]) -> Framed:
    data = b"".join(one.data for one in every)
    return Framed(data, *(sum(numbers) for numbers in zip(*(astuple(one)[1:] for one in every), strict=True)))


def lines(*reads: bytes) -> list[bytes]:
    return framed(*reads)[0].data.splitlines(keepends=True)


def counted(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


@contextmanager
def short() -> Iterator[None]:
    """Lines of 40 bytes are the longest, so that random ones are too long now and then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "LONGEST", 40)
        patch.setattr(framing, "KEPT", 8)
        patch.setattr(framing, "_LONGEST_MESSAGE", 200)
        yield


_texts = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"\r", b"<1>x", b"5 <1>x", b"5 <1>xy", b"7 <1>a\nb", b"99 <1>" + b"y" * 95, b"999 <1>", b"0 "]
    ),
)
_streams = st.one_of(
    st.lists(_texts, max_size=6).map(b"\n".join),
    st.lists(_texts, max_size=6).map(lambda texts: b"".join(counted(b"<1>" + text) for text in texts)),
    st.lists(_texts, max_size=6).map(b"".join),
    st.binary(max_size=300),
)


@BOUNDED
@given(stream=_streams, cuts=st.lists(st.integers(0, 300), max_size=12))
def test_any_split_of_a_stream_gives_the_same(stream: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(stream)) for cut in cuts})
    reads = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    with short():
        assert framed(*reads) == framed(stream) == framed(*(bytes([one]) for one in stream))


@BOUNDED
@given(stream=_streams)
def test_only_whole_lines_come_out_as_many_as_are_counted(stream: bytes) -> None:
    with short():
        out, _ = framed(stream)
    assert out.data.count(b"\n") == out.lines + out.bad
    assert not out.data or out.data.endswith(b"\n")


@BOUNDED
@given(texts=st.lists(st.binary(max_size=90).map(lambda raw: b"L" + raw.replace(b"\n", b"")), min_size=1, max_size=20))
def test_raw_lines_come_out_as_they_went_in(texts: list[bytes]) -> None:
    stream = b"".join(text + b"\n" for text in texts)
    assert framed(stream) == (Framed(stream, len(texts)), "")


@BOUNDED
@given(texts=st.lists(st.binary(max_size=90).map(lambda raw: raw.replace(b"\n", b"") + b"."), min_size=1, max_size=20))
def test_counted_messages_come_out_as_lines_with_their_header(texts: list[bytes]) -> None:
    messages = [SYSLOG + text for text in texts]
    out, broken = framed(b"".join(map(counted, messages)))
    assert (out.data, out.lines, broken) == (b"".join(message + b"\n" for message in messages), len(texts), "")


@BOUNDED
@given(data=st.binary(max_size=400))
def test_a_datagram_gives_whole_lines_whatever_is_in_it(data: bytes) -> None:
    out = datagram(data)
    assert out.data.count(b"\n") == out.lines + out.bad


@pytest.mark.parametrize(
    ("stream", "out"),
    [
        (b"1402454773.542 307 192.0.2.1 a\nb\n", [b"1402454773.542 307 192.0.2.1 a\n", b"b\n"]),
        (b"1335542309 35 127.0.0.1 a\n", [b"1335542309 35 127.0.0.1 a\n"]),  # no octet count, a whole-second stamp
        (b"<134>Aug 10 16:17:59 fw a\n<134>b\n", [b"<134>Aug 10 16:17:59 fw a\n", b"<134>b\n"]),
        (b"6 <134>a7 <134>bc", [b"<134>a\n", b"<134>bc\n"]),
        (b"7 <134>a\n\n7 <134>b\n", [b"<134>a\n", b"<134>b\n"]),  # senders that count, and end the line all the same
        (b"<134>a\x00<134>b\x00", [b"<134>a\n", b"<134>b\n"]),
        (b"a\r\n\r\n\nb\n", [b"a\r\n", b"b\n"]),
        (b"cut\x00at 8 KB\n", [b"cut\x00at 8 KB\n"]),  # Squid's own
    ],
)
def test_the_three_framings_are_told_apart(stream: bytes, out: list[bytes]) -> None:
    assert lines(stream) == out


@pytest.mark.parametrize(
    ("data", "out"),
    [
        (SYSLOG + b"a", [SYSLOG + b"a\n"]),
        (SYSLOG + b"a\n\x00", [SYSLOG + b"a\n"]),
        (b"raw 1\nraw 2\n", [b"raw 1\n", b"raw 2\n"]),
        (b"raw 1\nraw 2", [b"raw 1\n", b"raw 2\n"]),
        (b"<134>a\nb", [b"<134>a\\nb" + MARK + b"a syslog message with a line feed in it\n"]),
        (b"", []),
    ],
)
def test_datagrams(data: bytes, out: list[bytes]) -> None:
    assert datagram(data).data.splitlines(keepends=True) == out


def test_a_line_that_is_too_long_is_cut_and_marked_and_the_next_one_is_sound() -> None:
    out, broken = framed(b"x" * LONGEST + b"\n" + b"y" * (LONGEST + 1) + b"\nz\n")
    whole, cut, after = out.data.splitlines()
    assert (len(whole), after, broken) == (LONGEST, b"z", "")
    assert cut == b"y" * KEPT + MARK + b"longer than 64 KB (65,537 bytes)"
    assert (out.lines, out.bad, out.skipped) == (2, 1, LONGEST + 1 - KEPT)


def test_a_counted_message_that_is_too_long_is_skipped_and_the_next_one_is_sound() -> None:
    out, broken = framed(counted(b"<1>" + b"y" * LONGEST), counted(b"<1>z"))
    assert out.data.splitlines()[1] == b"<1>z"
    assert (out.lines, out.bad, broken) == (1, 1, "")


def test_a_stream_without_any_line_feed_takes_the_memory_of_one_line() -> None:
    framer = Framer()
    for _ in range(100):
        assert framer.feed(b"\x00" * 65536).data == b""
        assert len(framer._rest) <= LONGEST
    assert framer.feed(b"\n").data.endswith(MARK + b"longer than 64 KB (6,553,600 bytes)\n")
    assert framer.feed(b"a\n").data == b"a\n"


@pytest.mark.parametrize("count", [b"1000000000000 <134>", b"10000000 <134>a", b"5 <1>abx", b"5 <1>ab05 <1>ab"])
def test_a_count_that_is_none_ends_the_connection(count: bytes) -> None:
    out, broken = framed(count, b"12 <134>more..")
    assert broken.startswith("an octet count that is none")
    assert out.bad == 1


def test_a_tls_greeting_at_a_port_without_tls_is_told() -> None:
    out, broken = framed(TLS_GREETING)
    assert "speaks TLS" in broken
    assert out == Framed()


@pytest.mark.parametrize("stream", [b"half", b"50 <134>half", b"<134>half", b"12"])
def test_what_is_unfinished_at_the_end_is_marked(stream: bytes) -> None:
    assert lines(stream) == [stream + MARK + b"the connection ended in the middle of this line\n"]
