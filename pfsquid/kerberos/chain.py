"""The chain: every link from SSH to a real request, in order, with what it needs. Pure."""

from __future__ import annotations

from pfsquid.kerberos import (
    chain_directory,
    chain_firewall,
    chain_kdc,
    chain_keytab,
    chain_names,
    chain_proxy,
    chain_ticket,
)
from pfsquid.kerberos.check import Check

CHAIN = (
    Check("ssh", "SSH and host key", chain_firewall.ssh, quick=True),
    Check("pfsense", "pfSense", chain_firewall.pfsense, ("ssh",), quick=True),
    Check("package", "Squid package", chain_firewall.package, ("pfsense",), quick=True),
    Check("squid-conf", "squid.conf", chain_firewall.squid_conf, ("package",), quick=True),
    Check("krb5-conf", "krb5.conf", chain_firewall.krb5_conf, ("pfsense",), quick=True),
    Check("dns-override", "DNS override of the domain", chain_names.dns_override, ("pfsense",), quick=True),
    Check("dc", "domain controllers", chain_kdc.dc, ("pfsense",), quick=True),
    Check("dns-srv", "SRV records", chain_names.dns_srv, ("dns-override", "dc"), quick=True),
    Check("dns-kdc", "addresses of the domain controllers", chain_names.dns_kdc, ("dns-srv",), quick=True),
    Check("kdc", "Kerberos service (KDC)", chain_kdc.kdc, ("dns-kdc",), quick=True),
    Check("dc-all", "all domain controllers", chain_kdc.dc_all, ("kdc",)),
    Check("clock", "clocks", chain_kdc.clock, ("kdc",), quick=True),
    Check("dns-proxy", "name of the proxy", chain_names.dns_proxy, ("dns-override", "dc")),
    Check("dns-reverse", "reverse record of the proxy", chain_names.dns_reverse, ("dns-proxy",)),
    Check("ldap", "LDAP inside TLS", chain_directory.ldap, ("dns-kdc",)),
    Check("ldap-login", "login to the directory", chain_directory.ldap_login, ("ldap",)),
    Check("spn", "SPN", chain_directory.spn, ("ldap-login",)),
    Check("account", "service account", chain_directory.account, ("ldap-login",), ("spn",)),
    Check("account-enctypes", "enctypes of the service account", chain_directory.account_enctypes, ("account",)),
    Check("keytab-readable", "keytab on the firewall", chain_keytab.keytab_readable, ("squid-conf",), quick=True),
    Check("keytab-private", "readers of the keytab", chain_keytab.keytab_private, ("keytab-readable",), quick=True),
    Check("keytab", "keytab", chain_keytab.keytab, ("keytab-readable",), quick=True),
    Check("keytab-principal", "principal in the keytab", chain_keytab.keytab_principal, ("keytab",), quick=True),
    Check(
        "keytab-enctypes", "enctypes in the keytab", chain_keytab.keytab_enctypes, ("keytab-principal",),
        ("account-enctypes",),
    ),
    Check(
        "keytab-kvno", "kvno in the keytab", chain_keytab.keytab_kvno, ("keytab-principal", "account"),
        ("account-enctypes", "keytab-enctypes"),
    ),
    Check("login", "login to the domain", chain_ticket.login, ("kdc",), quick=True),
    Check(
        "ticket", "ticket for the proxy", chain_ticket.ticket, ("login", "keytab-principal"),
        ("spn", "account", "account-enctypes", "keytab-enctypes", "keytab-kvno"), quick=True,
    ),
    Check(
        "helper-program", "Squid's helper", chain_proxy.helper_program, ("keytab",), ("keytab-principal", "krb5-conf"),
        quick=True,
    ),
    Check("helper", "the helper with a token", chain_proxy.helper, ("helper-program", "ticket", "clock"), quick=True),
    Check(
        "squid", "Squid", chain_proxy.squid, ("squid-conf",), ("keytab-readable", "keytab", "helper-program"), True
    ),
    Check("cache-log", "cache.log", chain_proxy.cache_log, ("squid",)),
    Check("children", "helper processes", chain_proxy.children, ("squid",)),
    Check("request", "request through the proxy", chain_proxy.request, ("squid", "helper"), ("children",), quick=True),
    Check("access-log", "access log", chain_proxy.access_log, ("request",)),
    Check("ntlm", "NTLM", chain_proxy.ntlm, ("squid",)),
)  # fmt: skip
QUICK = tuple(check for check in CHAIN if check.quick)
