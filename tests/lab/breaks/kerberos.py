"""Faults of Kerberos on the firewall itself: krb5.conf, and the helper."""

from __future__ import annotations

from tests.lab.breaks.parts import END_SQUID, HELPER, Fault, files
from tests.lab.layout import DOMAIN, REALM

OTHER_REALM = "OTHER.EXAMPLE"
OTHER_KDC = f"s/^    {REALM} = {{/&\\n        kdc = web.{DOMAIN}/; s/dns_lookup_kdc = true/dns_lookup_kdc = false/"

FAULTS: dict[str, tuple[str, Fault]] = {
    "krb5_other_realm": ("krb5.conf has another realm", files(f"sed -i 's/{REALM}/{OTHER_REALM}/' /etc/krb5.conf")),
    "krb5_broken": ("krb5.conf cannot be parsed", files("sed -i 's/^\\[realms\\]/[realms/; s/}$//' /etc/krb5.conf")),
    "krb5_missing": ("there is no krb5.conf", files("rm /etc/krb5.conf")),
    "krb5_unreadable": ("krb5.conf is root's alone", files("chmod 600 /etc/krb5.conf")),
    "krb5_overridden": (
        "another krb5.conf comes first",
        files(f"sed 's/{REALM}/{OTHER_REALM}/' /etc/krb5.conf >/usr/local/etc/krb5.conf"),
    ),
    "krb5_enctypes": (
        "krb5.conf permits other enctypes than tickets have",
        files("sed -i 's/aes256-cts-hmac-sha1-96//' /etc/krb5.conf"),
    ),
    "krb5_kdc_wrong": ("krb5.conf names a KDC that is none", files(f"sed -i '{OTHER_KDC}' /etc/krb5.conf")),
    "helper_missing": (
        "the helper's program is missing; Squid goes on with what it has started before",
        files(f"rm {HELPER}", squid=False),
    ),
    "helper_missing_restarted": (
        "the helper's program is missing, and Squid was started anew: it does not start",
        files(f"rm {HELPER}; {END_SQUID}"),
    ),
    "helper_not_executable": ("the helper's program may not be run", files(f"chmod 644 {HELPER}")),
}
