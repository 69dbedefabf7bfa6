"""Links that are the firewall itself: the way in, the release, the Squid package, squid.conf and krb5.conf. Pure."""

from __future__ import annotations

import re

from pfsquid.firewall.inspected import Inspected
from pfsquid.firewall.squid_conf import negotiate_command
from pfsquid.kerberos.check import Finding, fail, ok, unknown, warn
from pfsquid.kerberos.enctypes import name_of
from pfsquid.kerberos.facts import Asked, Door
from pfsquid.kerberos.krb5_conf import Profile, enctypes_in, profile

_CONFIGURE = "pfsquid configure    # puts it as pfsquid.yaml says, proves it, and goes back if that fails"
_PACKAGE = "Services > Squid Proxy Server > General"
_OLDEST = (2, 7)


def ssh(door: Door) -> Finding:
    """The firewall lets us in, and shows the host key that is pinned."""
    if door.problem:
        return fail(door.problem, "pfsquid has to get in to look; all that it asks there, it only reads", *door.next)
    return ok(f"in as {door.user}; the host key is the pinned one ({door.key})")


def pfsense(firewall: Inspected) -> Finding:
    """It is a pfSense of a release that we know, and its configuration can be read."""
    if not firewall.release:
        return unknown("there is no /etc/version: is this a pfSense?", "firewalls.*.host in pfsquid.yaml names it")
    told = f"release {firewall.release}, PHP {firewall.php}"
    if firewall.settings is None:
        return fail(
            f"{told}: config.xml cannot be read: {firewall.settings_problem}",
            "without it pfSense does not come up again: restore the last good one",
            "Diagnostics > Backup & Restore > Config History",
        )
    version = re.match(r"(\d{1,4})\.(\d{1,4})", firewall.release)
    # Releases of pfSense Plus are years: 23.01 and later.
    if version is None:
        return warn(told, "that is no release of pfSense that pfsquid knows", "cat /etc/version    # on the firewall")
    if (int(version[1]), int(version[2])) < _OLDEST:
        return warn(told, "releases before 2.7 were never tried", "System > Update")
    return ok(told)


def package(asked: Asked, firewall: Inspected) -> Finding:
    """The Squid package is there, on, and in a state in which it can ask for tickets."""
    settings = firewall.settings
    if settings is None or settings.squid is None:
        return fail(
            "the Squid package is not installed, or its settings were never saved",
            "install it and save its General page; it needs its Local Cache page saved once, too",
            "System > Package Manager > Available Packages: squid",
        )
    if not firewall.squid.version:
        return fail(
            "the settings of the Squid package are there, but its program does not run",
            "the package was taken out, or an update of pfSense left it half installed: install it again",
            "squid -v    # on the firewall: what it says",
            "System > Package Manager > Available Packages: squid",
        )
    squid, told = settings.squid, _versions(firewall)
    if squid.get("enable_squid") != "on":
        return fail(f"{told}: the proxy is switched off", f"{_PACKAGE}: Enable Squid Proxy", _CONFIGURE)
    if squid.get("transparent_proxy") == "on":
        return fail(
            f"{told}: the proxy is transparent, and an intercepted request cannot be asked for a ticket",
            f"{_PACKAGE}: switch Transparent HTTP Proxy off, and tell browsers the proxy's name instead",
            f"{asked.proxy}    # what browsers have to be told, by WPAD, PAC file or policy",
        )
    if firewall.squid.negotiate is False:
        return fail(
            f"{told} was built without Negotiate",
            "pfSense's own package has it: was it replaced?",
            "System > Package Manager: reinstall squid",
        )
    if squid.get("keep_squid_data", "on") != "on":
        return warn(
            f"{told}: an update of the package deletes its settings and logs",
            f"{_PACKAGE}: Keep Settings/Data",
            _CONFIGURE,
        )
    if settings.auth_method not in (None, "", "none"):
        return ok(f"{told}; its own authentication ({settings.auth_method}) is offered beside Negotiate")
    return ok(f"{told}, enabled, not transparent")


def squid_conf(asked: Asked, firewall: Inspected) -> Finding:
    """The squid.conf that is live asks for tickets, with the right service name and a keytab."""
    conf = firewall.squid.conf
    if conf is None or conf.content is None:
        return fail("there is no squid.conf", "save the package's General page: that writes it", _CONFIGURE)
    text = conf.content.decode("utf-8", "replace")
    command = negotiate_command(text)
    if command is None:
        return fail(
            "squid.conf has no `auth_param negotiate program`: nobody is asked for a ticket",
            "the block of pfsquid is not in Custom Options (Before Auth) any more, or what was written by hand was "
            "overwritten: only fields of config.xml live",
            _CONFIGURE,
        )
    line = " ".join(command.words)
    evidence = [line]
    keytab = command.keytab or command.environment.get("KRB5_KTNAME")
    if not keytab:
        return fail(
            "the helper is given no keytab (-k), so it looks for /etc/krb5.keytab",
            "no environment reaches Squid on pfSense, so KRB5_KTNAME cannot be set for it: name the keytab with -k",
            _CONFIGURE,
            cause=["keytab-default-missing"],
            evidence=evidence,
        )
    named = command.spn
    if named is None and firewall.hostname.lower() != asked.proxy:
        return fail(
            f"the helper is not told its service name (-s), and takes this host's: HTTP/{firewall.hostname}",
            f"browsers ask for {asked.service}",
            _CONFIGURE,
            cause=["keytab-other-principal"],
            evidence=evidence,
        )
    if named not in (None, "GSS_C_NO_NAME", asked.spn, asked.service):
        return fail(
            f"the helper answers as {named}, and browsers ask for {asked.spn}",
            "correct -s, or kerberos.proxy and kerberos.realm where those are wrong",
            _CONFIGURE,
            cause=["keytab-server-mismatch"],
            evidence=evidence,
        )
    if not re.search(r"^\s*acl\s+\S+\s+proxy_auth(_regex)?\s", text, re.MULTILINE):
        return fail(
            "squid.conf names a helper, but no rule asks for a login (`acl … proxy_auth REQUIRED`)",
            "everybody is let through without a name",
            _CONFIGURE,
            evidence=evidence,
        )
    if "d" in command.options:
        return warn(
            f"the helper runs with -d, which writes whole tokens to cache.log: {line}",
            "whoever reads such a token in time can pose as its owner: take -d out when you have seen enough",
            _CONFIGURE,
            evidence=evidence,
        )
    return ok(f"{asked.spn}, keytab {keytab}", evidence)


def krb5_conf(asked: Asked, firewall: Inspected) -> Finding:
    """krb5.conf can be read by Squid's user, has our realm and enctypes, and no other file overrides it."""
    path = asked.krb5_conf
    file = firewall.krb5.get(path)
    if file is None or file.content is None:
        return fail(f"there is no {path}", "the helper works without, kinit and other tools do not", _CONFIGURE)
    if file.squid_reads is False:
        return fail(
            f"Squid cannot read {path} ({file.owner}:{file.group} {file.mode:04o})",
            "the helper then refuses every token (krb5_init_context failed: Permission denied)",
            f"chmod 644 {path}    # on the firewall",
            cause=["krb5-conf-unreadable"],
        )
    profiles = {name: profile(one.content) for name, one in firewall.krb5.items() if one and one.content is not None}
    broken = {name: one for name, one in profiles.items() if one.problem}
    if broken:
        name, one = next(iter(broken.items()))
        return fail(
            f"{name} is broken: {one.problem}",
            "the Kerberos libraries refuse the whole file, and the helper every token",
            _CONFIGURE,
            cause=["krb5-conf-syntax"],
        )
    first = next(iter(profiles))
    whole = Profile.merged(tuple(profiles.values()))
    evidence = [
        f"{name}: default_realm {one.get('libdefaults', 'default_realm') or '-'}" for name, one in profiles.items()
    ]
    realm = whole.get("libdefaults", "default_realm")
    if realm != asked.realm:
        other = "" if first == path or profiles[path].get("libdefaults", "default_realm") != asked.realm else first
        return fail(
            f"{other or path} says default_realm = {realm or 'nothing'}, and the domain's realm is {asked.realm}",
            f"MIT Kerberos reads {first} first, and its word wins"
            if other
            else "the realm is the domain's name in capitals; or is kerberos.realm in pfsquid.yaml wrong?",
            _CONFIGURE,
            *([f"mv {other} {other}.off    # on the firewall, if nothing else needs it"] if other else []),
            cause=["krb5-conf-wrong-realm"],
            evidence=evidence,
        )
    permitted = whole.get("libdefaults", "permitted_enctypes")
    missing = [] if permitted is None else [one for one in asked.enctypes if one not in enctypes_in(permitted)]
    if missing:
        return fail(
            f"permitted_enctypes = {permitted} leaves out {', '.join(map(name_of, missing))}",
            "the helper refuses tickets of that type, and says that it cannot decrypt them, which misleads",
            _CONFIGURE,
            cause=["krb5-conf-enctypes"],
            evidence=evidence,
        )
    kdcs = whole.all("realms", asked.realm, "kdc")
    if not kdcs and (whole.get("libdefaults", "dns_lookup_kdc") or "true").lower() in ("false", "no", "n", "off", "0"):
        return fail(
            f"no KDC of {asked.realm} is named, and dns_lookup_kdc is off", "name them, or let DNS say", _CONFIGURE,
            evidence=evidence,
        )  # fmt: skip
    strange = [one for one in kdcs if _host_of(one) not in asked.kdcs]
    if strange:
        return fail(
            f"{path} names the KDC {', '.join(strange)}, which pfsquid.yaml does not", "somebody changed it by hand",
            _CONFIGURE, "kerberos.kdcs    # in pfsquid.yaml, if it is right", evidence=evidence,
        )  # fmt: skip
    others = {name: one.get("libdefaults", "default_realm") for name, one in profiles.items()}
    second = next((name for name, other in others.items() if other not in (None, realm)), None)
    if second:
        return warn(
            f"{second} says default_realm = {others[second]}; {first} wins",
            "MIT Kerberos reads both: what only the second has counts, too",
            f"rm {second}    # on the firewall, if nothing else needs it",
            evidence=evidence,
        )
    return ok(f"{realm}; KDCs {', '.join(kdcs) if kdcs else 'from DNS'} ({path})", evidence)


def _host_of(kdc: str) -> str:
    """The host of a `kdc =` line of krb5.conf: `tcp/name`, `name:88`, `[address]:88` or the host alone."""
    place = kdc.removeprefix("tcp/").removeprefix("udp/").lower()
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place if place.count(":") > 1 else place.partition(":")[0]


def _versions(firewall: Inspected) -> str:
    version = re.search(r"Version (\S+)", firewall.squid.version)
    package = firewall.settings.package if firewall.settings else None
    return f"Squid {version[1] if version else '?'}{f' (package {package})' if package else ''}"
