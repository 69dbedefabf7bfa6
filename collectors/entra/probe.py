"""Whether each stream can be read: one small request for each, and what a refusal means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from collectors.entra.errors import GraphError, Kind
from collectors.entra.graph import Graph
from collectors.entra.streams import GraphStream, query_of

# Within what every licence keeps, and short, so that Graph answers fast.
_SPAN = timedelta(hours=1)
# What is the same for every stream: no need to hear it once for each.
_COMMON = frozenset({Kind.CREDENTIAL, Kind.UNREACHABLE, Kind.UNAUTHORIZED})


@dataclass(frozen=True)
class Probe:
    """What asking for a stream came to. kind: why it does not work, None where it does. cures: as in GraphError."""

    stream: str
    works: bool
    detail: str
    cures: tuple[str, ...] = ()
    kind: Kind | None = None


def probe(graph: Graph, streams: Iterable[GraphStream], now: datetime) -> Iterator[Probe]:
    """One Probe for each stream, in order. now: aware. After a failure that all share, the rest is not tried.

    Raises Stopped as Graph does; GraphError never.
    """
    common: Probe | None = None
    for stream in streams:
        if common is not None:
            yield Probe(stream.name, False, f"not tried: waits for what {common.stream} met", (), common.kind)
            continue
        result = _asked(graph, stream, now)
        if result.kind in _COMMON:
            common = result
        yield result


def _asked(graph: Graph, stream: GraphStream, now: datetime) -> Probe:
    start, end = (now - _SPAN, now) if stream.time_field else (None, None)
    try:
        answer = graph.get(stream.path, query_of(stream, start, end, top=1), stream.version)
    except GraphError as exc:
        return Probe(stream.name, False, exc.message, exc.cures, exc.kind)
    records = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(records, list):
        return Probe(stream.name, False, "an answer without records", (), Kind.BROKEN)
    if not stream.time_field:
        return Probe(stream.name, True, "works" if records else "works, but there are none")
    return Probe(stream.name, True, "works" if records else "works; nothing in the last hour")
