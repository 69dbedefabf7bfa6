"""Runs inside dc, beside a running Samba: changes the directory as no tool lets one, and puts it back exactly.

stdin: a JSON list of deeds, each a list of a name and its words (`DEEDS` below); stdout: a JSON list of their answers.
Values go to the raw partition files, past Samba's checks (it would refuse a second owner of an SPN, say); the running
KDC, LDAP and DNS servers see them at once. Only passwords and new records take Samba's own way. `keep` stores the raw
records of the domain and of its DNS zones in memory of this host, `restore` makes them again what they were: kvno,
keys, counters and time stamps too. Right for one domain controller only: another would not hear of it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pickle
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.layout import BASE_DN, DOMAIN

KEPT = Path("/run/lab-kept")
PARTITIONS = {"domain": BASE_DN, "dns": f"DC=DomainDnsZones,{BASE_DN}"}
_FILETIME_EPOCH = 11644473600


def _module(name: str) -> Any:
    return importlib.import_module(name)


def filetime(ago: float = 0.0) -> str:
    """Now, or `ago` seconds ago, in 100 ns since 1601 ([MS-DTYP] 2.3.3)."""
    return str(int((time.time() - ago + _FILETIME_EPOCH) * 10_000_000))


class Directory:
    """The database files of this domain controller."""

    def __init__(self) -> None:
        self.ldb = _module("ldb")
        self.parameters = _module("samba.param").LoadParm()
        self.parameters.load("/etc/samba/smb.conf")
        self._raw: dict[str, Any] = {}
        self._samdb: Any = None

    @property
    def samdb(self) -> Any:
        """Samba's own view, with all its checks."""
        if self._samdb is None:
            self._samdb = _module("samba.samdb").SamDB(
                url=self.parameters.private_path("sam.ldb"),
                lp=self.parameters,
                session_info=_module("samba.auth").system_session(),
            )
        return self._samdb

    def raw(self, partition: str) -> Any:
        """One partition file, without any module of Samba."""
        if partition not in self._raw:
            self._raw[partition] = self.ldb.Ldb()
            path = self.parameters.private_path(f"sam.ldb.d/{PARTITIONS[partition].upper()}.ldb")
            self._raw[partition].connect(path)
        return self._raw[partition]

    def _find(self, who: str) -> Any:
        """A record of the domain: a DN, or a sAMAccountName."""
        raw = self.raw("domain")
        if "=" in who:
            return raw.search(base=who, scope=self.ldb.SCOPE_BASE)[0]
        return raw.search(base=BASE_DN, expression=f"(sAMAccountName={self.ldb.binary_encode(who)})")[0]

    def _modify(self, who: str, attribute: str, values: list[str], how: int) -> None:
        message = self.ldb.Message(self._find(who).dn)
        message[attribute] = self.ldb.MessageElement(values, how, attribute)
        self.raw("domain").modify(message)

    def replace(self, who: str, attribute: str, *values: str) -> None:
        """Give an attribute these values; none: it is gone. `now` stands for the time, `-86400 s` for a day ago."""
        given = [filetime() if one == "now" else _ago(one) for one in values]
        self._modify(who, attribute, given, self.ldb.FLAG_MOD_REPLACE)

    def add(self, who: str, attribute: str, *values: str) -> None:
        self._modify(who, attribute, list(values), self.ldb.FLAG_MOD_ADD)

    def flags(self, who: str, on: int, off: int) -> None:
        """Bits of userAccountControl ([MS-ADTS] 2.2.16)."""
        before = int(str(self._find(who)["userAccountControl"]))
        self._modify(who, "userAccountControl", [str((before | on) & ~off)], self.ldb.FLAG_MOD_REPLACE)

    def password(self, who: str, password: str) -> None:
        """Reset, as an administrator does: new keys, next kvno."""
        self.samdb.setpassword(f"(sAMAccountName={self.ldb.binary_encode(who)})", password)

    def show(self, who: str, *attributes: str) -> dict[str, list[str]]:
        """Attributes as text, through Samba (computed ones too); `*`: all that one may read."""
        dn = self.ldb.Dn(self.samdb, str(self._find(who).dn))
        found = self.samdb.search(base=dn, scope=self.ldb.SCOPE_BASE, attrs=list(attributes) or None)[0]
        return {
            name: [bytes(value).decode("utf-8", "backslashreplace") for value in found[name]]
            for name in found
            if name != "dn"
        }

    def dump(self, partition: str = "domain") -> dict[str, dict[str, list[str]]]:
        """Every record as it is stored: DN, attribute, values; of what is no text, secrets above all, a digest."""
        return {
            dn: {name: sorted(_text(value) for value in values) for name, values in record.items()}
            for dn, record in self._records(partition).items()
        }

    def dns_delete(self, pattern: str, zone: str = DOMAIN) -> list[str]:
        """Remove the names of a zone that match a regular expression in full; their names."""
        raw, gone = self.raw("dns"), []
        base = f"DC={zone},CN=MicrosoftDNS,{PARTITIONS['dns']}"
        for record in raw.search(base=base, expression="(objectClass=dnsNode)", attrs=["name"]):
            if re.fullmatch(pattern, str(record["name"])):
                raw.delete(record.dn)
                gone.append(str(record["name"]))
        return gone

    def dns_put(self, name: str, kind: str, value: str, zone: str = DOMAIN) -> None:
        """Give a name of a zone one record (A, CNAME, PTR) instead of all that it has."""
        dnsp, ndr = _module("samba.dcerpc.dnsp"), _module("samba.ndr")
        record = dnsp.DnssrvRpcRecord()
        record.wType, record.rank = getattr(dnsp, f"DNS_TYPE_{kind}"), dnsp.DNS_RANK_ZONE
        record.dwSerial, record.dwTtlSeconds, record.data = 1, 900, value
        packed = ndr.ndr_pack(record)
        dn = self.ldb.Dn(self.samdb, f"DC={name},DC={zone},CN=MicrosoftDNS,{PARTITIONS['dns']}")
        message = self.ldb.Message(dn)
        if self.samdb.search(base=dn.parent(), scope=self.ldb.SCOPE_ONELEVEL, expression=f"(name={name})"):
            message["dnsRecord"] = self.ldb.MessageElement([packed], self.ldb.FLAG_MOD_REPLACE, "dnsRecord")
            self.samdb.modify(message)
        else:
            message["objectClass"] = ["top", "dnsNode"]
            message["dnsRecord"] = self.ldb.MessageElement([packed], self.ldb.FLAG_MOD_ADD, "dnsRecord")
            self.samdb.add(message)

    def _records(self, partition: str) -> dict[str, dict[str, list[bytes]]]:
        found = self.raw(partition).search(scope=self.ldb.SCOPE_SUBTREE)
        return {
            str(one.dn): {name: [bytes(value) for value in one[name]] for name in one if name != "dn"}
            for one in found
            if not str(one.dn).startswith("@")
        }

    def keep(self, name: str) -> None:
        """Store every record under a name."""
        KEPT.mkdir(mode=0o700, exist_ok=True)
        (KEPT / name).write_bytes(pickle.dumps({one: self._records(one) for one in PARTITIONS}))

    def restore(self, name: str) -> list[str]:
        """Every record as it was kept; the DNs of those that differed."""
        kept, differed = pickle.loads((KEPT / name).read_bytes()), []
        for partition in PARTITIONS:
            raw, before, now = self.raw(partition), kept[partition], self._records(partition)
            raw.transaction_start()
            for dn in now.keys() | before.keys():
                if now.get(dn) == before.get(dn):
                    continue
                differed.append(dn)
                if dn in now:
                    raw.delete(self.ldb.Dn(raw, dn))
                if dn in before:
                    message = self.ldb.Message(self.ldb.Dn(raw, dn))
                    for attribute, values in before[dn].items():
                        message[attribute] = self.ldb.MessageElement(values, self.ldb.FLAG_MOD_ADD, attribute)
                    raw.add(message)
            raw.transaction_commit()
        (KEPT / name).unlink()
        return sorted(differed)


def _text(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return text if text.isprintable() and "\ufffd" not in text else hashlib.sha256(value).hexdigest()


def _ago(value: str) -> str:
    found = re.fullmatch(r"-(\d+) s", value)
    return filetime(float(found[1])) if found else value


DEEDS: dict[str, Callable[..., Any]] = {
    name: getattr(Directory, name)
    for name in ("replace", "add", "flags", "password", "show", "dump", "dns_delete", "dns_put", "keep", "restore")
}


def main() -> None:
    directory = Directory()
    answers = [DEEDS[name](directory, *words) for name, *words in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
