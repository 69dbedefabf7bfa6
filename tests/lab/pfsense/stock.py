"""The config.xml with which a pose begins: a stock file of the release, changed by options. Nothing is written here."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape

from tests.lab.errors import LabError
from tests.lab.layout import BASE_DN, DC, REVERSE_ZONE, SERVICE_ACCOUNT, SERVICE_PASSWORD

RELEASES = ("2.7.2", "2.8", "2.9")
VERSIONS = {"2.7.2": "2.7.2-RELEASE", "2.8": "2.8.0-RELEASE", "2.9": "2.9.0-RELEASE"}
FOLDER = Path(__file__).with_name("stock")
# pfSense writes these as CDATA with HTML's entities inside, and decodes them again.
CDATA = re.compile(r"<(descr|description|username|auth_prompt)>([^<]+)</")

# What others have put there already: a product must leave every byte of it alone.
FOREIGN: Mapping[str, Any] = {
    "before_auth": 'acl intranet dstdomain .intra.example\r\nhttp_access allow intranet\r\n# keep: "Jörg\'s" rule\r\n',
    "after_auth": "# nothing of this is rendered while the method is none\r\nhttp_access allow all\r\n",
    "integrations": "# by hand;url_rewrite_children 16 startup=8 idle=4 concurrency=0;url_rewrite_access allow all",
    "domain_overrides": (
        ("partner.example", "10.77.0.80"),
        ("partner.example", "10.77.0.81@5353"),
        (REVERSE_ZONE.replace("77.10", "99.10"), "10.77.0.80"),
    ),
    "host_overrides": (("printer", "intra.example", "10.77.0.90"), ("nas", "intra.example", "10.77.0.91")),
}


@dataclass(frozen=True)
class Stock:
    """What differs from the stock file. Texts of custom options are plain here; the GUI's CR LF is up to the caller."""

    package: bool = True  # the Squid package is installed
    before_auth: str = ""
    after_auth: str = ""
    integrations: str = ""  # `;` between entries
    domain_overrides: tuple[tuple[str, str], ...] = ()  # domain, address
    host_overrides: tuple[tuple[str, str, str], ...] = ()  # host, domain, address
    acls: Mapping[str, str] = field(default_factory=dict)  # fields of squidnac, plain
    auth_method: str = "none"  # none, local, ldap
    transparent: bool = False
    ha: str = ""  # address of the other node
    resolver: str = "unbound"  # unbound, dnsmasq, none
    keep_squid_data: bool = True
    rc_local: bool = False  # /etc/rc.local exists, which 2.7.2 tells on stdout


def stock(options: Mapping[str, Any]) -> Stock:
    """Options by name; LabError for a name or a choice that is unknown."""
    unknown = set(options) - set(Stock.__dataclass_fields__)
    if unknown:
        raise LabError(f"unknown options {sorted(unknown)}; there are {', '.join(Stock.__dataclass_fields__)}")
    made = Stock(**options)
    for name, choices in (("auth_method", ("none", "local", "ldap")), ("resolver", ("unbound", "dnsmasq", "none"))):
        if getattr(made, name) not in choices:
            raise LabError(f"{name} is one of {', '.join(choices)}, not {getattr(made, name)!r}")
    return made


def _set(root: ET.Element, path: str, text: str) -> None:
    """Set the text of a tag, which is made (as the last of its parent) when it is missing."""
    parent, _, name = path.rpartition("/")
    above = root.find(parent) if parent else root
    if above is None:
        raise LabError(f"the stock config.xml has no {parent}")
    found = above.find(name)
    (ET.SubElement(above, name) if found is None else found).text = text


def _add(root: ET.Element, path: str, **fields: str) -> None:
    above = root.find(path.rpartition("/")[0])
    assert above is not None, path
    entry = ET.SubElement(above, path.rpartition("/")[2])
    for name, text in fields.items():
        ET.SubElement(entry, name).text = text


def _remove(root: ET.Element, path: str, *names: str) -> None:
    above = root.find(path)
    assert above is not None, path
    for name in names:
        for found in above.findall(name):
            above.remove(found)


def _as_cdata(found: re.Match[str]) -> str:
    return f"<{found[1]}><![CDATA[{unescape(found[2])}]]></"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config_xml(release: str, chosen: Stock) -> bytes:
    """The file as the pose writes it, UTF-8. LabError for an unknown release."""
    if release not in RELEASES:
        raise LabError(f"there is no release {release}; releases are {', '.join(RELEASES)}")
    root = ET.fromstring((FOLDER / f"config-{release}.xml").read_bytes())
    general = "installedpackages/squid/config/"
    _set(root, general + "custom_options", chosen.integrations)
    _set(root, general + "custom_options_squid3", _encoded(chosen.before_auth))
    _set(root, general + "custom_options2_squid3", _encoded(chosen.after_auth))
    _set(root, general + "transparent_proxy", "on" if chosen.transparent else "")
    _set(root, general + "keep_squid_data", "on" if chosen.keep_squid_data else "")
    for name, text in chosen.acls.items():
        _set(root, f"installedpackages/squidnac/config/{name}", _encoded(text))
    _set(root, "installedpackages/squidauth/config/auth_method", chosen.auth_method)
    if chosen.auth_method == "ldap":
        ldap = {
            "auth_server": DC.address4,
            "ldap_urltype": "ssl",
            "ldap_user": f"CN={SERVICE_ACCOUNT},CN=Users,{BASE_DN}",
            "ldap_pass": SERVICE_PASSWORD,
            "ldap_basedomain": BASE_DN,
            "ldap_userattribute": "sAMAccountName",
            "ldap_filter": "(&(objectClass=user)(sAMAccountName=%s))",
        }
        for name, text in ldap.items():
            _set(root, f"installedpackages/squidauth/config/{name}", text)
    if chosen.ha:
        ET.SubElement(root, "hasync")
        _set(root, "hasync/synchronizetoip", chosen.ha)
        _set(root, "hasync/username", "admin")
        _set(root, "installedpackages/squidsync/config/synconchanges", "auto")
    section = "unbound"
    if chosen.resolver != "unbound":
        _remove(root, "unbound", "enable")
    if chosen.resolver == "dnsmasq":
        section = "dnsmasq"
        ET.SubElement(root, "dnsmasq")
        _set(root, "dnsmasq/enable", "")
    for domain, address in chosen.domain_overrides:
        _add(root, f"{section}/domainoverrides", domain=domain, ip=address, descr="partner", tls_hostname="")
    for host, domain, address in chosen.host_overrides:
        _add(root, f"{section}/hosts", host=host, domain=domain, ip=address, descr="", aliases="")
    if not chosen.package:
        packages = root.find("installedpackages")
        assert packages is not None
        for child in list(packages):
            if child.tag.startswith("squid") or child.findtext("name") == "squid":
                packages.remove(child)
        cron = root.find("cron")
        assert cron is not None
        for item in cron.findall("item"):
            if "squid" in item.findtext("command", "") or "swapstate" in item.findtext("command", ""):
                cron.remove(item)
    ET.indent(root, "\t")
    text = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    return f'<?xml version="1.0"?>\n{CDATA.sub(_as_cdata, text)}\n'.encode()
