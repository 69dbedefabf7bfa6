"""What requests were spent on, and whether the limit was made use of: told from what the server has seen."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from urllib.parse import parse_qs

from tests.graph.site import Seen

# Answers that a collector can use though a fault was in them.
_USEFUL = frozenset(("", "REPEATED_RECORD", "NO_NEXT_LINK", "SELF_LINK", "SHORT_PAGE"))


def kinds(requests: Iterable[Seen]) -> Counter[str]:
    """How many requests of the logs were for what.

    failed: it got no page. asked again: for what a good answer was given to before. first: begins a slice that begins
    where none did. next: by a link.
    """
    found: Counter[str] = Counter()
    answered: set[tuple[str, str]] = set()
    for one in sorted(requests, key=lambda one: one.at):
        if one.status != 200 or one.fault not in _USEFUL:
            found["failed"] += 1
            continue
        what = _place(one)
        found["asked again" if what in answered else "next" if "$skiptoken" in one.query else "first"] += 1
        answered.add(what)
    return found


def idle(moments: Iterable[float], limit: int, per: float) -> float:
    """The share of the time from the first request to the last in which one more would have been within the limit."""
    times = sorted(moments)
    if len(times) < 2:
        return 0.0
    edges = sorted({*times, *(one + per for one in times if one + per < times[-1])})
    free = sum(
        after - at for at, after in pairwise(edges) if bisect_right(times, at) - bisect_right(times, at - per) < limit
    )
    return free / (times[-1] - times[0])


def _place(one: Seen) -> tuple[str, str]:
    """Which stream, and where in it: the link's own token, or the beginning of the slice."""
    given = parse_qs(one.query)
    clauses = given.get("$filter", [""])[0].split(" and ")
    kind = next((clause for clause in clauses if "signInEventTypes" in clause), "")
    begin = next((clause for clause in clauses if " ge " in clause), "")
    return f"{one.path} {kind}", given.get("$skiptoken", [begin])[0]
