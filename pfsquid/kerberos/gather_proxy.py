"""The proxy: its helper, what it offers, a real request, its logs. The firewall is asked by programs that only read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from pfsquid.firewall import probes
from pfsquid.firewall.inspected import FileState, Inspected
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.probes import Question, positions, relay, since
from pfsquid.firewall.squid_conf import children, helpers, negotiate_command
from pfsquid.kerberos.facts import Asked
from pfsquid.kerberos.facts_proxy import Children, Journal, Line, Offer, Requested, Spoken
from pfsquid.kerberos.negotiate import NoProxy, ask
from pfsquid.kerberos.places import proxy_place, squid_conf

_PROOF = b"GET http://pfsquid-proof.invalid/ HTTP/1.1\r\nHost: pfsquid-proof.invalid\r\nConnection: close\r\n\r\n"
_STAMP = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d)(?:\.\d+)?[| ]")
_DENIED = re.compile(r"^(\d{9,11}(?:\.\d+)?)\s+\S+\s+(\S+)\s(?:.*\s)?\S*DENIED/407\s")
_TAIL = 262_144
_SECOND = 1.5
_ZONE = 900  # offsets of time zones are multiples of a quarter of an hour
_CACHE_LOG = "/var/squid/logs/cache.log"


def speak(pfsense: Pfsense, firewall: Inspected, token: bytes) -> Spoken:
    """What the helper of squid.conf, run as Squid's user, says to one token."""
    command = negotiate_command(squid_conf(firewall))
    if command is None:
        return Spoken("", "", "squid.conf names no helper")
    said = probes.accept(pfsense, command.words, [token])
    return Spoken(said.lines[0] if said.lines else "", said.errors, said.problem if not said.lines else "")


def offer(pfsense: Pfsense, asked: Asked, firewall: Inspected) -> Offer:
    """What the proxy says at its LAN address to a request without a token; asked by the firewall itself."""
    address, port = proxy_place(asked, firewall)
    answer = relay(pfsense, [Question("offer", "tcp", address, port, _PROOF, 0, 5.0)])["offer"]
    head = answer.data.split(b"\r\n\r\n", 1)[0].decode("latin-1")
    status = re.match(r"HTTP/\d\.\d (\d{3})", head)
    schemes = tuple(re.findall(r"(?im)^Proxy-Authenticate:[ \t]*([\w.-]+)", head))
    if not status:
        return Offer(address, port, 0, (), answer.error or "what it says is no HTTP")
    return Offer(address, port, int(status[1]), schemes)


def requested(pfsense: Pfsense, asked: Asked, firewall: Inspected, offer: Offer, who: str, token: bytes) -> Requested:
    """A real request from this machine, and what the logs got of it."""
    logs = tuple(path for path, file in firewall.logs.items() if file is not None)
    begun = positions(pfsense, [*logs, _CACHE_LOG])
    try:
        reply = ask(offer.address, offer.port, asked.url, token)
    except (NoProxy, OSError) as exc:
        return Requested(who, asked.url, "this machine", "", 0, "", str(exc), {}, "")
    page = asked.url.partition("?")[0]  # Squid leaves out what stands after it (strip_query_terms)
    got = since(pfsense, begun, page.encode() if reply.status != 407 else None, 3.0)
    texts = {path: data.decode("utf-8", "replace") for path, data in got.items()}
    cache_log = texts.pop(_CACHE_LOG, "")
    return Requested(who, asked.url, "this machine", reply.local[0], reply.status, reply.error, "", texts, cache_log)


def journal(pfsense: Pfsense, firewall: Inspected) -> Journal:
    """cache.log's end, and, where NTLM came, who was turned away then."""
    begun = _begun(firewall)
    lines = _lines(firewall.cache_log)
    recent = tuple(line for line in lines if _is_recent(line, begun))
    older = tuple(line for line in lines if not _is_recent(line, begun))
    knocks: list[tuple[float, str]] = []
    if any("NTLM" in line.text or "unsupported mechanism" in line.text for line in recent):
        knocks = _knocks(pfsense, firewall)
    return Journal(begun, recent, older, tuple(knocks))


def counted(firewall: Inspected) -> Children:
    """The helpers by Squid's own count, or by squid.conf alone."""
    most = children(squid_conf(firewall)).maximum
    page = helpers(firewall.squid.manager) if firewall.squid.manager else None
    if page is None:
        return Children(most, problem=firewall.squid.manager_problem or "its page of helpers could not be had")
    average = None if page.milliseconds is None else round(page.milliseconds)
    return Children(page.maximum or most, page.running, page.busy, page.queue, average)


def _is_recent(line: Line, begun: float | None) -> bool:
    """Both times are whole seconds: what may have been after the beginning is recent."""
    return begun is None or line.at is None or line.at >= begun - _SECOND


def _begun(firewall: Inspected) -> float | None:
    """Since when the present state of Squid counts: its start, its configuration, its oldest running helper."""
    squid = firewall.squid
    command = negotiate_command(squid_conf(firewall))
    program = (command.program if command else "").rpartition("/")[2] or "negotiate_kerberos_auth"
    running = [one.started for one in squid.processes if program in one.command]
    times = [squid.started, squid.conf.mtime if squid.conf else None, min(running, default=None)]
    return max((float(one) for one in times if one is not None), default=None)


def _lines(file: FileState | None) -> list[Line]:
    """Lines with their time as seconds since 1970. They are written in local time, by a zone that nothing tells: the
    last line was written when the file was touched last, which is right to the quarter of an hour that zones are apart.
    A line without a time has that of the line before it."""
    if file is None or not file.content:
        return []
    texts = file.content.decode("utf-8", "replace").splitlines()
    stamps = [_seconds(text) for text in texts]
    last = next((one for one in reversed(stamps) if one is not None), None)
    zone = 0 if last is None else round((file.mtime - last) / _ZONE) * _ZONE
    lines: list[Line] = []
    at: float | None = None
    for text, stamp in zip(texts, stamps, strict=True):
        at = at if stamp is None else stamp + zone
        lines.append(Line(at, text))
    return lines


def _seconds(text: str) -> float | None:
    found = _STAMP.search(text[:200])
    if not found:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _knocks(pfsense: Pfsense, firewall: Inspected) -> list[tuple[float, str]]:
    begun = {
        path: probes.Position(file.inode, max(0, file.size - _TAIL))
        for path, file in firewall.logs.items()
        if file is not None
    }
    found: Sequence[bytes] = list(since(pfsense, begun, None, 0.0).values())
    lines = [line for data in found for line in data.decode("utf-8", "replace").splitlines()]
    matches = [match for line in lines if (match := _DENIED.match(line))]
    return [(float(match[1]), match[2]) for match in matches if match[2] not in firewall.addresses]
