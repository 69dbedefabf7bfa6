"""Links in the proxy: the helper, Squid itself, its cache.log, and a real request with its line in the log. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from pfsquid.firewall.inspected import Inspected
from pfsquid.kerberos.causes import Diagnosed, diagnose, fill, redact
from pfsquid.kerberos.check import Finding, fail, ok, unknown, warn
from pfsquid.kerberos.facts import Asked
from pfsquid.kerberos.facts_proxy import Children, Journal, Line, Offer, Requested, Spoken

_CONFIGURE = "pfsquid configure"
_CRASH = re.compile(
    r"FATAL|helpers? (are )?crash|Helper crashed|#Hlpr\d+ .*exited|Too few \S+ processes are running|unexpected read",
    re.I,
)
_NTLM = re.compile(r"type [13] NTLM token|unsupported mechanism was requested", re.I)
_BUSY = re.compile(r"processes are busy|pending requests queued|increasing the number of negotiateauthenticator")
_FEW, _USUAL = 2, 20
_LONGEST = 300


def helper_program(asked: Asked, firewall: Inspected, tried: Spoken) -> Finding:
    """The helper is there, starts as Squid's user, and takes the keytab: tried with a token that is none."""
    helper = firewall.helper
    if helper is None or helper.file is None:
        return fail(
            f"there is no {helper.path}" if helper else "squid.conf names no helper",
            "Squid does not start without it (FATAL), though `squid -k parse` says nothing",
            "System > Package Manager: reinstall squid",
            "proxy.helper.path    # in pfsquid.yaml, if it lies elsewhere",
            cause=["helper-missing"],
        )
    if helper.runs is False:
        return fail(
            f"Squid's user may not run {helper.path} ({helper.file.owner}:{helper.file.group} {helper.file.mode:04o})",
            "Squid does not start without it",
            f"chmod 755 {helper.path}    # on the firewall",
            cause=["helper-not-executable"],
        )
    if tried.problem:
        return _diagnosed(f"{helper.path} does not start as Squid's user: {tried.problem}", tried.problem, asked)
    # What it says of a token that is none shows how far it came with the keytab.
    if "gss_accept_sec_context" in tried.answer:
        return ok(f"{helper.path} starts as Squid's user and takes the keytab")
    said = _said(tried)
    return _diagnosed(f"the helper does not take the keytab: {_first_of(said)}", said, asked)


def helper(asked: Asked, accepted: Spoken) -> Finding:
    """The helper, as Squid's user, accepts a real token and names the person."""
    words = redact(accepted.answer).split()
    if words[:1] in (["OK"], ["AF"]):
        named = [word.partition("=")[2] for word in words if word.startswith("user=")]
        return ok(f"accepts a real token: {_first_of((named or words)[-1])}")
    said = _said(accepted)
    return _diagnosed(f"the helper refuses a real token: {_first_of(said)}", said, asked)


def squid(firewall: Inspected, offer: Offer, journal: Journal) -> Finding:
    """Squid runs, and asks for Negotiate at the LAN address (never 127.0.0.1, which it lets through unasked)."""
    where = f"{offer.address}:{offer.port}"
    if not firewall.squid.pid:
        lines = [line.text for line in (*journal.older, *journal.recent) if _CRASH.search(line.text)]
        causes = diagnose("\n".join(lines[-50:]), "squid")
        why = f": {causes[0].text}" if causes else f": {_first_of(redact(lines[-1]))}" if lines else ""
        return fail(
            f"Squid does not run{why}",
            "start it, and look at what it says",
            "/usr/local/sbin/squid -k parse    # on the firewall: does it take its configuration? FATAL counts, too",
            "/usr/local/etc/rc.d/squid.sh start; tail /var/squid/logs/cache.log",
            "Status > Services: squid",
            cause=["squid-not-running", *(one.code for one in causes[:1] if one.code != "squid-not-running")],
            evidence=[redact(line) for line in lines[-8:]],
        )
    if not offer.status:
        return fail(
            f"Squid runs, and does not answer at {where}: {offer.error}",
            "it listens elsewhere, or hangs; is that interface one of the proxy's?",
            "Services > Squid Proxy Server > General: Proxy Interface(s), Proxy Port",
            "sockstat -l | grep squid    # on the firewall",
        )
    if offer.status == 407 and any(scheme.lower() == "negotiate" for scheme in offer.schemes):
        others = [scheme for scheme in offer.schemes if scheme.lower() != "negotiate"]
        beside = f", and offers {', '.join(others)}" if others else ""
        return ok(f"{where} asks for Negotiate (407){beside}")
    if offer.status == 407:
        return fail(
            f"{where} asks for {', '.join(offer.schemes) or 'nothing'}, not for Negotiate",
            "the configuration that is live is not the one on the disk, or the block of pfsquid is not in it",
            _CONFIGURE,
            "/usr/local/sbin/squid -k reconfigure    # on the firewall",
        )
    return fail(
        f"{where} answers {offer.status} to a request without a ticket, where 407 was due",
        "an earlier rule lets it through (or the firewall itself is exempt): the first `http_access` that matches wins",
        _CONFIGURE,
        "grep -n http_access /usr/local/etc/squid/squid.conf    # on the firewall",
    )


def cache_log(asked: Asked, journal: Journal) -> Finding:
    """cache.log has no crash of a helper since the helpers that run now were started."""
    # When a helper was started is known to a second, and what crashed before it is over.
    fresh = [line for line in journal.recent if line.at is None or line.at >= (journal.since or 0)]
    crashes = [line for line in fresh if _CRASH.search(line.text)]
    if crashes:
        text = "\n".join(line.text for line in journal.recent[-2000:])
        told = "1 line tells of a crash" if len(crashes) == 1 else f"{len(crashes)} lines tell of crashes, the last"
        finding = _diagnosed(f"{told} {_when(crashes[-1])}", text, asked)
        return replace(finding, evidence=tuple(redact(line.text) for line in crashes[-8:]))
    earlier = [line for line in journal.older if _CRASH.search(line.text)]
    told = (
        f"; before the helpers were started the last time there were some, the last {_when(earlier[-1])}"
        if earlier
        else ""
    )
    return ok(f"no crash since {_stamp(journal.since)}{told}")


def request(asked: Asked, offer: Offer, requested: Requested) -> Finding:
    """A request with a ticket gets through the proxy."""
    who = f"{requested.who}, from {requested.via}"
    if requested.problem:
        return unknown(
            f"the proxy cannot be reached: {requested.problem}", "does this machine reach the proxy's port?",
            f"curl -v --proxy-negotiate -U : -x http://{asked.proxy}:{offer.port} {asked.url}",
        )  # fmt: skip
    if requested.status == 407:
        return _diagnosed(f"{who}: 407 to a request with a ticket", requested.cache_log, asked, "squid")
    if 200 <= requested.status < 400:
        return ok(f"{who}: {requested.status} for {requested.url}")
    refused = requested.squid_error.startswith("ERR_ACCESS_DENIED") or requested.status == 403
    lines = [line for text in requested.logs.values() for line in text.splitlines()]
    if refused and lines and not any(_names(line, requested.who) for line in lines):
        return unknown(
            f"{who}: refused by a rule ({requested.status} {requested.squid_error}) before the ticket was looked at",
            "this machine may be in none of the networks that the proxy serves: run pfsquid where it may use the "
            "proxy, or allow it",
            "Services > Squid Proxy Server > ACLs: Allowed Subnets, Unrestricted IPs",
            "verify.url    # in pfsquid.yaml, where it is the page that is refused",
        )
    if refused:
        return warn(
            f"{who}: let in, and then refused by a rule ({requested.status} {requested.squid_error})",
            f"the login works; {requested.url} is not allowed to them: choose another page, or look at the rules",
            "verify.url    # in pfsquid.yaml",
        )
    return warn(
        f"{who}: let in, and then {requested.status} {requested.squid_error}",
        f"the login works; {requested.url} cannot be had: choose another page, or look at the proxy's way out",
        "verify.url    # in pfsquid.yaml",
    )


def access_log(requested: Requested) -> Finding:
    """The access log has the request, with the person."""
    found = {
        path: [line for line in text.splitlines() if _is_of(line, requested)] for path, text in requested.logs.items()
    }
    named = {path: lines for path, lines in found.items() if any(_names(line, requested.who) for line in lines)}
    evidence = [redact(line) for lines in found.values() for line in lines[:2]]
    nameless = [path for path, lines in found.items() if lines and path not in named]
    if named and not nameless:
        return ok(f"{', '.join(named)}: {requested.who}", evidence)
    if nameless:
        path = nameless[0]
        return fail(
            f"{path} has the request, without {requested.who}",
            "the log's format has no user (%un), or an earlier rule answered before anybody was asked for a login",
            "pfsquid configure    # pfsquid's own log has the person in it",
            evidence=evidence,
        )
    return fail(
        f"no access log got the request ({', '.join(requested.logs) or 'there is none'})",
        "logging is off, the disk is full, or the log lies elsewhere",
        "Services > Squid Proxy Server > General: Enable Access Logging",
        "df -h /var/squid/logs    # on the firewall",
    )


def ntlm(asked: Asked, offer: Offer, journal: Journal) -> Finding:
    """No browser sends an NTLM token in place of a Kerberos one."""
    lines = [line for line in journal.recent if _NTLM.search(line.text)]
    if not lines:
        return ok(f"no NTLM token since {_stamp(journal.since)}")
    times = [line.at for line in lines if line.at is not None]
    clients = dict.fromkeys(who for at, who in journal.knocks if any(abs(at - time) < 1.5 for time in times))
    whose = f", from {', '.join(clients)}" if clients else ""
    return fail(
        f"{len(lines)} NTLM token{'s' if len(lines) > 1 else ''} came in place of Kerberos, the last {_when(lines[-1])}"
        f"{whose}",
        "a browser sends NTLM where it gets no Kerberos ticket for the proxy's name. Likeliest first: it is set by "
        f"its IP address or a short name instead of {asked.proxy}; the SPN is missing (check spn); the machine is not "
        "in the domain, or the person not logged in to it; the name is in no zone that the browser trusts with "
        "logins. This proxy cannot take NTLM, so the person is asked for a password",
        f"{asked.proxy}:{offer.port}    # so must the proxy be set: WPAD or PAC file, group policy, not an address",
        f"klist get {asked.service}    # on that machine: does Windows get a ticket?",
        "setspn -Q " + asked.service,
        "AuthServerAllowlist, Local intranet zone    # policies of Edge and Chrome; Firefox: "
        "network.negotiate-auth.trusted-uris",
        cause=["ntlm-token"],
        evidence=[redact(line.text) for line in lines[-5:]],
    )


def children(children: Children, journal: Journal) -> Finding:
    """There are enough helper processes: one is free, and nobody waits."""
    busy_lines = [line for line in journal.recent if _BUSY.search(line.text)]
    state = (
        f"{children.busy} of {children.running} helpers busy, at most {children.most}, {children.waiting} requests wait"
    )
    wanted = max(_USUAL, 2 * children.most)
    more = (
        f"proxy.helper.children: {wanted}    # in pfsquid.yaml, then: pfsquid configure",
        f"auth_param negotiate children {wanted} startup=2 idle=2    # in squid.conf, where it is written by hand",
    )
    why = "each login occupies a helper for a moment; when none is free, everybody waits"
    if busy_lines:
        return fail(
            f"cache.log: {_first_of(redact(_bare(busy_lines[-1])))} ({_when(busy_lines[-1])}); {state}", why, *more,
            cause=["children-busy"], evidence=[redact(line.text) for line in busy_lines[-5:]],
        )  # fmt: skip
    if not children.problem and (children.waiting or (children.busy >= children.most)):
        return fail(f"no helper is free: {state}", why, *more, cause=["children-busy"])
    if children.most < _FEW:
        return fail(
            f"there may be only {children.most} of them", f"{why}: one slow answer holds up all", *more,
            cause=["children-busy"],
        )  # fmt: skip
    if children.problem:
        return ok(f"at most {children.most}; how many are busy Squid does not tell: {children.problem}")
    return ok(f"{state}{f', {children.average_ms} ms each' if children.average_ms else ''}")


def _diagnosed(detail: str, text: str, asked: Asked, where: str | None = None) -> Finding:
    """A failure with the cause that the text tells, where it tells one that is known."""
    found = [one for one in diagnose(text, where) if one.cause.severity == "error"]
    if not found:
        return fail(
            detail, "the text is not known here: what Squid and the helper say is in cache.log",
            "proxy.helper.debug: true    # in pfsquid.yaml, then pfsquid configure; take it out again afterwards",
            "tail -50 /var/squid/logs/cache.log    # on the firewall",
            evidence=[redact(line) for line in text.splitlines()[-8:]],
        )  # fmt: skip
    first: Diagnosed = next((one for one in found if not one.cause.symptom), found[0])
    values = {
        "spn": asked.service,
        "realm": asked.realm,
        "proxy": asked.proxy,
        "zone": asked.zone,
        "account": asked.who,
    }
    remedy = fill((first.cause.remedy, *first.cause.commands), **values)
    return fail(
        f"{detail.rstrip('.')}\n{first.text}", remedy[0], *remedy[1:],
        cause=[one.code for one in found], evidence=[one.line for one in found],
    )  # fmt: skip


def _said(spoken: Spoken) -> str:
    """All that the helper said, without tokens; `nothing` where it was silent."""
    return redact(f"{spoken.answer}\n{spoken.errors}\n{spoken.problem}").strip() or "nothing"


def _first_of(text: str) -> str:
    """The first line of a text that is not empty, at a length that people read."""
    line = next(iter(text.splitlines()), "")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _is_of(line: str, requested: Requested) -> bool:
    """Is a line of a log about our request? By its page, as Squid writes it (without what stands after the `?`), and
    by our address or, where that is translated on the way, by the person."""
    page = requested.url.partition("?")[0].lower()
    return page in line.lower() and (requested.client in line.split() or _names(line, requested.who))


def _names(line: str, who: str) -> bool:
    """Does a line of the log have the person: as user@REALM, or without the realm (helper's -r)?"""
    words = {word.lower() for word in line.split()}
    return bool({who.lower(), who.partition("@")[0].lower()} & words)


def _bare(line: Line) -> str:
    return re.sub(r"^\S+ \S+( kid\d+)?\| ", "", line.text)


def _when(line: Line) -> str:
    return "at an unknown time" if line.at is None else f"at {_stamp(line.at)}"


def _stamp(at: float | None) -> str:
    return "its beginning" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
