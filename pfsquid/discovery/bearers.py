"""Who bore a name when, from the versions of accounts: a rename keeps one person, a re-used name means two. Pure.

A name means its last bearer until another bears it: a listing tells late that an account is gone, and tickets outlive
it. Who bore it when the directory was first read is taken to have borne it before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

EVER, ALWAYS = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Account:
    """A version of an account of Entra ID or Active Directory, as in the table `accounts`."""

    origin: str
    tenant: str
    account_id: str
    upn: str | None = None
    sam_account_name: str | None = None
    realm: str | None = None
    on_premises_upn: str | None = None
    sid: str | None = None
    immutable_id: str | None = None
    mail: str | None = None
    display_name: str | None = None
    department: str | None = None
    enabled: bool | None = None
    created_at: datetime | None = None
    valid_from: datetime = EVER
    valid_to: datetime | None = None


@dataclass(frozen=True)
class Span:
    """From when to when (not included) somebody was seen to bear a name. who: a number. since: from when they may have
    borne it, where nobody else did: a listing sees a rename late."""

    begin: datetime
    end: datetime
    who: int
    since: datetime | None = None


@dataclass(frozen=True)
class Turn:
    """A span of time, and who then is meant: one, or several that nobody can tell apart, or nobody that is known."""

    begin: datetime
    end: datetime
    who: tuple[int, ...]


def first_listings(versions: Iterable[Account]) -> dict[tuple[str, str], datetime]:
    """When each origin and tenant was first read."""
    first: dict[tuple[str, str], datetime] = {}
    for one in versions:
        place = (one.origin, one.tenant)
        first[place] = min(first.get(place, ALWAYS), one.valid_from)
    return first


def spans(versions: Sequence[Account], first: datetime) -> list[tuple[Account, datetime, datetime]]:
    """When each version of one account held, as good as can be known. first: when its directory was first read."""
    held = []
    for number, one in enumerate(versions):
        begin = one.valid_from
        if number == 0:
            begin = EVER if begin <= first else min(one.created_at or begin, begin)
        held.append((one, begin, one.valid_to or ALWAYS))
    return [each for each in held if each[1] < each[2]]


def turns(borne: Iterable[Span]) -> list[Turn]:
    """Whom a name means from the beginning of time to its end, without a gap."""
    known = sorted(borne, key=lambda span: (span.begin, span.end, span.who))
    head = known[0]
    known[0] = replace(head, begin=min(head.begin, head.since or head.begin))
    if len({span.who for span in known}) == 1 and known[0].begin == EVER:
        return [Turn(EVER, ALWAYS, (known[0].who,))]
    moments = sorted({EVER, *(span.begin for span in known), *(span.end for span in known)} - {ALWAYS})
    told: list[Turn] = []
    for begin, end in zip(moments, [*moments[1:], ALWAYS], strict=True):
        who = _at(begin, known)
        if told and told[-1].who == who:
            told[-1] = Turn(told[-1].begin, end, who)
        else:
            told.append(Turn(begin, end, who))
    return told


def _at(moment: datetime, known: Sequence[Span]) -> tuple[int, ...]:
    active = [span for span in known if span.begin <= moment < span.end]
    if not active:
        ended = [span for span in known if span.end <= moment]
        last = max((span.end for span in ended), default=EVER)
        return tuple(sorted({span.who for span in ended if span.end == last}))
    newest = max(span.begin for span in active)
    # One that ended later, or is said to have, had lost the name when another got it: that was seen late only.
    staying = [span for span in active if span.end == ALWAYS or span.begin == newest]
    return tuple(sorted({span.who for span in staying}))


class Bearers:
    """Who bore which name of each kind. keys: kind → name → spans."""

    KINDS = ("sam", "on_premises_upn", "upn", "mail")

    def __init__(self, accounts: Mapping[int, Sequence[Sequence[Account]]], first: Mapping[tuple[str, str], datetime]):
        self._borne: dict[str, dict[object, list[Span]]] = {kind: defaultdict(list) for kind in (*self.KINDS, "bare")}
        for who, of_one in accounts.items():
            for versions in of_one:
                since = first[versions[0].origin, versions[0].tenant]
                for number, (one, begin, end) in enumerate(spans(versions, since)):
                    told = number == 0 and one.created_at is not None
                    for kind, name in _names(one):
                        self._borne[kind][name].append(Span(begin, end, who, None if told else since))

    def of(self, kind: str, *names: object) -> list[Turn]:
        """Whom any of these names of a kind means, and when; [] where nobody ever bore it."""
        borne = [span for name in names for span in self._borne[kind].get(name, ())]
        return turns(borne) if borne else []


def _names(one: Account) -> Iterable[tuple[str, object]]:
    if one.sam_account_name:
        sam = one.sam_account_name.casefold()
        yield "bare", sam
        if one.realm:
            yield "sam", (sam, one.realm.upper())
    for kind in Bearers.KINDS[1:]:
        name = getattr(one, kind)
        # What AD calls a UPN is one of the premises, which Entra's need not be.
        if name and not (kind == "upn" and one.origin == "ad"):
            yield kind, name.casefold()
