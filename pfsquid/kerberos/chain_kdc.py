"""Links that are the domain controllers, as the firewall reaches them: alive, Kerberos (TCP and UDP), clocks. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pfsquid.kerberos.check import Finding, fail, ok, warn
from pfsquid.kerberos.facts import Answers, Asked, Clocks, Kdcs, Names

_GUI = "Services > DNS Resolver > General Settings > Domain Overrides"


def dc(names: Names) -> Finding:
    """At least one of the override's servers answers anything at all."""
    if not names.servers:
        return ok("the configuration names no server to ask by its address")
    evidence = _told(names.servers)
    alive = [address for address, answers in names.servers.items() if answers.any_good]
    if alive:
        return ok(f"{', '.join(alive)} answers the firewall", evidence)
    first = next(iter(names.servers))
    return fail(
        f"no domain controller answers the firewall, neither for names nor for tickets: {', '.join(names.servers)}",
        "it is down, has another address now, or a filter stands between: look at the machine itself first",
        f"ping -c 3 {first}    # on the firewall",
        f"nc -vz {first} 88    # on the firewall; also 53, 389 and 636",
        cause=["dc-down"],
        evidence=evidence,
    )


def dc_all(names: Names, kdcs: Kdcs) -> Finding:
    """Every domain controller that DNS or the override names answers."""
    answers = _by_address(names, kdcs)
    wrong = {place: one for place, one in answers.items() if one.silent}
    if not wrong:
        return ok("the only one answers" if len(answers) == 1 else f"all {len(answers)} answer", _told(answers))
    told = [f"{place}: {one.silent if one.any_good else 'no answer'}" for place, one in wrong.items()]
    return fail(
        f"{'; '.join(told)}. Another one does answer, so tickets still come, some of them late",
        "start what is down there again; or, if that machine is gone for good, remove what still names it: its SRV "
        f"records (by demoting it) and its entry in the override ({_GUI})",
        "samba-tool drs showrepl    # on another domain controller; on Windows: repadmin /replsummary",
        cause=["dc-down"],
        evidence=_told(wrong),
    )


def kdc(kdcs: Kdcs) -> Finding:
    """At least one KDC answers the firewall, over TCP and over UDP."""
    evidence = _told({f"{name} {address}": answers for (name, address), answers in kdcs.answers.items()})
    both = [name for (name, _), answers in kdcs.answers.items() if answers.tcp == "" and answers.udp == ""]
    if both:
        return ok(f"{', '.join(dict.fromkeys(both))} answers over TCP and UDP", evidence)
    if not kdcs.answers:
        return fail(
            "there is no KDC to ask: none that is named has an address",
            "see dns-kdc: the KDCs are those of kerberos.kdcs in pfsquid.yaml, else those of the SRV records",
            "kerberos.kdcs    # in pfsquid.yaml",
        )
    if kdcs.good:
        silent = "; ".join(f"{name}: {kdcs.answers[name, address].silent}" for name, address in kdcs.good)
        return fail(
            f"the KDC answers over one of TCP and UDP only: {silent}",
            "tickets of people in many groups are too large for UDP, and some clients begin with UDP: let both through",
            *_filters(kdcs),
            cause=["kdc-unreachable"],
            evidence=evidence,
        )
    return fail(
        "no KDC answers the firewall on port 88: "
        + "; ".join(f"{name} ({address}): {answers.silent}" for (name, address), answers in kdcs.answers.items()),
        "the Kerberos service is stopped there, or a filter stands between",
        *_filters(kdcs),
        cause=["kdc-unreachable"],
        evidence=evidence,
    )


def clock(asked: Asked, clocks: Clocks) -> Finding:
    """The clocks of the firewall, the KDCs and this machine are within the skew that Kerberos allows."""
    limit = asked.clock_skew
    all_clocks = {"this machine": 0.0, asked.firewall: clocks.firewall, **clocks.kdcs}
    usual = sorted(all_clocks.values())[len(all_clocks) // 2]
    evidence = [f"{name}: {seconds - usual:+.1f} s from the middle" for name, seconds in all_clocks.items()]
    spread = max(all_clocks.values()) - min(all_clocks.values()) - clocks.uncertain
    odd = max(all_clocks, key=lambda name: abs(all_clocks[name] - usual))
    off = all_clocks[odd] - usual
    told = f"{odd} is {_duration(abs(off))} {'ahead of' if off > 0 else 'behind'} the others"
    what = "this machine" if odd == "this machine" else "the firewall" if odd == asked.firewall else odd
    commands = {
        "the firewall": (
            "System > General Setup > Timeservers: the domain controllers",
            "ntpq -pn    # on the firewall",
        ),
        "this machine": ("timedatectl status", "chronyc sources"),
    }.get(what, ("w32tm /query /status    # on the domain controller", "w32tm /resync"))
    if spread > limit:
        return fail(
            f"{told}; Kerberos allows {_duration(limit)}",
            f"set the clock of {what} right, and let all of them take the time from one source",
            *commands,
            cause=["clock-skew"],
            evidence=evidence,
        )
    if spread > limit / 2:
        return warn(
            f"{told}; Kerberos allows {_duration(limit)}", f"find out why {what} drifts", *commands, evidence=evidence
        )
    return ok(f"within {max(spread, 0):.1f} s of each other ({_duration(limit)} allowed)", evidence)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _filters(kdcs: Kdcs) -> tuple[str, ...]:
    address = next(iter(kdcs.answers), ("", "DC"))[1]
    return (
        f"nc -vz {address} 88; nc -vzu {address} 88    # on the firewall",
        "Firewall > Rules, and the Windows firewall: Kerberos Key Distribution Center (TCP-In, UDP-In)",
    )


def _by_address(names: Names, kdcs: Kdcs) -> dict[str, Answers]:
    """What each machine answers, by `name (address)`.

    A server of the override that is no KDC by any record, and answers for names, is a DNS server only: that nothing
    listens on its port 88 is no fault.
    """
    found = {f"{name} ({address})": answers for (name, address), answers in kdcs.answers.items()}
    places = {address: f"{name} ({address})" for name, address in kdcs.answers}
    for address, answers in names.servers.items():
        if address in places:
            known = found[places[address]]
            found[places[address]] = Answers(answers.dns, known.tcp, known.udp)
        else:
            found[address] = Answers(answers.dns) if answers.dns == "" else answers
    return found


def _told(answers: Mapping[str, Answers]) -> list[str]:
    return [f"{name}: {one.silent or 'answers'}" for name, one in answers.items()]
