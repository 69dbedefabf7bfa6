"""Runs inside dc, before Samba's first start: accounts, SPN, keytabs and DNS records.

Works on the database files through Samba's own Python modules (one process, about a second,
where samba-tool would take one second for each account). Never run on a domain that is up.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from tests.lab.layout import (
    BASE_DN,
    CHECKER_ACCOUNT,
    CHECKER_PASSWORD,
    COMPUTER_ACCOUNT,
    COMPUTER_PASSWORD,
    DC,
    DOMAIN,
    FW,
    PEOPLE,
    PERSON_PASSWORD,
    REALM,
    REVERSE_ZONE,
    SERVICE_ACCOUNT,
    SERVICE_PASSWORD,
    SPN,
    UPN_SUFFIX,
    WS,
)

AES_ONLY = "24"  # msDS-SupportedEncryptionTypes: AES128 and AES256
KEYTABS = "/lab/keytabs"


def _module(name: str) -> Any:
    return importlib.import_module(name)


def set_attributes(samdb: Any, dn: str, values: dict[str, str | list[str]]) -> None:
    ldb = _module("ldb")
    message = ldb.Message(ldb.Dn(samdb, dn))
    for name, value in values.items():
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    samdb.modify(message)


def dn_of(samdb: Any, account: str) -> str:
    found = samdb.search(base=BASE_DN, expression=f"(sAMAccountName={account})", attrs=[])
    return str(found[0].dn)


def make_accounts(samdb: Any) -> None:
    set_attributes(
        samdb,
        BASE_DN,
        {
            "pwdProperties": "0",
            "pwdHistoryLength": "0",
            "minPwdAge": "0",
            "minPwdLength": "4",
            "maxPwdAge": "-9223372036854775808",
        },
    )
    partitions = f"CN=Partitions,CN=Configuration,{BASE_DN}"
    set_attributes(samdb, partitions, {"uPNSuffixes": UPN_SUFFIX})
    # encryption types before the password: keys are made for the types allowed at that moment
    samdb.newuser(SERVICE_ACCOUNT, SERVICE_PASSWORD, description="Squid proxy")
    set_attributes(
        samdb,
        dn_of(samdb, SERVICE_ACCOUNT),
        {"msDS-SupportedEncryptionTypes": AES_ONLY, "servicePrincipalName": SPN},
    )
    samdb.newuser(CHECKER_ACCOUNT, CHECKER_PASSWORD, description="Reads the directory")
    for person in PEOPLE:
        samdb.newuser(
            person.account,
            PERSON_PASSWORD,
            useusernameascn=True,
            givenname=person.given_name,
            surname=person.surname,
            department=person.department,
            mailaddress=person.mail,
            company="Citadel of Ricks",
        )
        set_attributes(
            samdb,
            dn_of(samdb, person.account),
            {"displayName": person.display_name, "userPrincipalName": person.mail},
        )
    samdb.newcomputer(COMPUTER_ACCOUNT.rstrip("$"))
    set_attributes(
        samdb,
        dn_of(samdb, COMPUTER_ACCOUNT),
        {
            "msDS-SupportedEncryptionTypes": AES_ONLY,
            "dNSHostName": WS.fqdn,
            "servicePrincipalName": [f"HOST/{WS.fqdn}", "HOST/WS1"],
        },
    )
    samdb.setpassword(f"(sAMAccountName={COMPUTER_ACCOUNT})", COMPUTER_PASSWORD)
    samdb.enable_account(f"(sAMAccountName={COMPUTER_ACCOUNT})")
    for account in (SERVICE_ACCOUNT, CHECKER_ACCOUNT, *(person.account for person in PEOPLE)):
        samdb.setexpiry(f"(sAMAccountName={account})", 0, no_expiry_req=True)


def make_records(samdb: Any) -> None:
    """A and PTR of each host, and the reverse zone itself, as provision writes its own zones."""
    dns, ldb = _module("samba.provision.sambadns"), _module("ldb")
    dnsp, security, ndr = _module("samba.dcerpc.dnsp"), _module("samba.dcerpc.security"), _module("samba.ndr")
    partition = f"DC=DomainDnsZones,{BASE_DN}"
    forward = f"DC={DOMAIN},CN=MicrosoftDNS,{partition}"
    reverse = f"DC={REVERSE_ZONE},CN=MicrosoftDNS,{partition}"
    domain_sid = security.dom_sid(samdb.get_domain_sid())
    dns.add_domain_record(
        samdb, BASE_DN, "DC=DomainDnsZones", REVERSE_ZONE, domain_sid, dns.get_dnsadmins_sid(samdb, BASE_DN)
    )
    dns.add_at_record(samdb, reverse, "DC=@", DC.fqdn.split(".")[0], DOMAIN, None, None)
    for host in (FW, WS):
        dns.add_host_record(samdb, forward, f"DC={host.fqdn.split('.')[0]}", host.address4, None)
    for host in (DC, FW, WS):
        record = dnsp.DnssrvRpcRecord()
        record.wType, record.rank, record.dwSerial, record.dwTtlSeconds = (
            dnsp.DNS_TYPE_PTR,
            dnsp.DNS_RANK_ZONE,
            1,
            900,
        )
        record.data = host.fqdn
        message = ldb.Message(ldb.Dn(samdb, f"DC={host.address4.split('.')[3]},{reverse}"))
        message["objectClass"] = ["top", "dnsNode"]
        message["dnsRecord"] = ldb.MessageElement([ndr.ndr_pack(record)], ldb.FLAG_MOD_ADD, "dnsRecord")
        samdb.add(message)


def export_keytabs(parameters: Any) -> None:
    importlib.import_module("samba.dckeytab")  # adds export_keytab to Net
    net = _module("samba.net").Net(None, parameters)
    Path(KEYTABS).mkdir(mode=0o700, parents=True, exist_ok=True)
    net.export_keytab(keytab=f"{KEYTABS}/squid.keytab", principal=f"{SPN}@{REALM}")
    net.export_keytab(keytab=f"{KEYTABS}/ws1.keytab", principal=f"{COMPUTER_ACCOUNT}@{REALM}")


def main() -> None:
    parameters = _module("samba.param").LoadParm()
    parameters.load("/etc/samba/smb.conf")
    samdb = _module("samba.samdb").SamDB(
        url=parameters.private_path("sam.ldb"),
        lp=parameters,
        session_info=_module("samba.auth").system_session(),
    )
    samdb.transaction_start()
    make_accounts(samdb)
    samdb.transaction_commit()
    make_records(samdb)
    export_keytabs(parameters)


if __name__ == "__main__":
    main()
