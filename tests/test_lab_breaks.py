"""Each break of tests/lab/breaks does what it says, by the words of dig, kinit, kvno, curl and ldapsearch, and nothing
else; and after it all is well again, exactly."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.firewall.at_work import State, desk_in, posed, state
from tests.lab import dc
from tests.lab.breaks import BREAKS, broken
from tests.lab.breaks.clocks import WRONG
from tests.lab.breaks.symptoms import symptoms
from tests.lab.fixture import Lab
from tests.lab.layout import DC, DC2, REALM, SERVICE_ACCOUNT
from tests.lab.traces import directory, of_directory

pytestmark = pytest.mark.lab

# What differs from a healthy chain, as regular expressions.
NO_TICKET = {"kvno": "No credentials cache found", "answered": "407 Negotiate"}
NO_KDC = {
    **NO_TICKET,
    "kinit": f'Cannot find KDC for realm "{REALM}"',
    "fw_kinit": f'Cannot find KDC for realm "{REALM}"',
}
NO_CONTACT = {name: text.replace("find", "contact any").replace('"', "'") for name, text in NO_KDC.items()}
SILENCE = {**NO_TICKET, "kinit": "silence", "fw_kinit": "silence"}
NO_NAMES = {"srv_kerberos": "^$", "srv_ldap": "^$", "kdc": "^$"}
NO_LDAP = {"ldap": "Can't contact LDAP server"}
LDAP_SILENT = {"ldap": "^$"}
NO_PROXY = {"offered": "^$", "answered": "^$"}
REFUSED = {"answered": "407 Negotiate"}
UNKNOWN_SPN = {"kvno": "Server not found in Kerberos database", "answered": "407 Negotiate"}
NO_PROXY_NAME = {"proxy": "^$", "reverse": "^$", "answered": "^$"}
TWO = {"srv_kerberos": "dc2", "srv_ldap": "dc2"}
GATE = {"reverse": "gate"}


def person(text: str) -> dict[str, str]:
    return {**NO_TICKET, "kinit": text, "fw_kinit": text}


REVOKED, EXPIRED = "Client's credentials have been revoked", "Cannot read password|Password expired"

EXPECTED: dict[str, dict[str, str]] = {
    "override_missing": {**NO_NAMES, **NO_KDC, **NO_LDAP},
    "override_wrong": {**NO_NAMES, **SILENCE, **LDAP_SILENT},
    "reverse_override_missing": {},
    "rebinding": {**NO_CONTACT, **NO_LDAP, "kdc": "^$"},
    # the firewall itself has the domain controller as its second resolver
    "resolver_down": {**NO_NAMES, **NO_TICKET, **LDAP_SILENT, "kinit": "silence", **NO_PROXY_NAME},
    "srv_missing": {**NO_KDC, "srv_kerberos": "^$", "srv_ldap": "^$"},
    "srv_kerberos_missing": {**NO_KDC, "srv_kerberos": "^$"},
    "srv_ldap_missing": {"srv_ldap": "^$"},
    "kdc_no_address": {**NO_CONTACT, **NO_LDAP, "kdc": "^$"},
    "proxy_cname": {**GATE, **REFUSED, "proxy": "10.77.0.1 gate"},
    "proxy_no_address": {**GATE, "proxy": "^$", "answered": "^$"},
    "proxy_wrong_address": {**GATE, "proxy": "10.77.0.80", "answered": "^$"},
    "reverse_wrong": GATE,
    "reverse_missing": {"reverse": "^$"},
    "dc_stopped": {**NO_NAMES, **SILENCE, **LDAP_SILENT},
    "dc_unreachable": {**NO_NAMES, **SILENCE, **LDAP_SILENT},
    "second_unreachable": TWO,
    "first_of_two_unreachable": TWO,
    "controllers_differ": TWO,
    "kdc_silent": SILENCE,
    "kdc_tcp_silent": SILENCE,  # the answer with a PAC is too big for UDP
    "kdc_udp_silent": SILENCE,  # it asks by UDP first, and waits before it tries TCP
    "ldap_silent": LDAP_SILENT,
    "certificate_untrusted": NO_LDAP,
    "certificate_wrong_name": NO_LDAP,
    "certificate_expired": NO_LDAP,
    "clock_firewall_ahead": REFUSED,
    "clock_firewall_behind": REFUSED,
    "clock_controller_ahead": REFUSED,
    "clock_controller_behind": REFUSED,
    "service_disabled": {},
    "service_locked": {"kvno": "Credentials for server have been revoked", "answered": "407 Negotiate"},
    "service_expired": {},
    "service_password_expired": {},
    "service_must_change": {},
    "service_delegation": {},
    "checker_disabled": {"ldap": "data 533"},
    "checker_locked": {"ldap": "data 775"},
    "checker_expired": {"ldap": "data 701"},
    "checker_password_expired": {"ldap": "data 532"},
    "checker_must_change": {"ldap": "data 773"},
    "checker_wrong_password": {"ldap": "data 52e"},
    "person_disabled": person(REVOKED),
    "person_locked": person(REVOKED),
    "person_expired": person(REVOKED),
    "person_password_expired": person(EXPIRED),
    "person_must_change": person(EXPIRED),
    "person_wrong_password": person("Password incorrect"),
    "spn_missing": UNKNOWN_SPN,
    "spn_duplicate": UNKNOWN_SPN,
    "spn_elsewhere": REFUSED,
    "spn_case": {},
    "spn_other_name": UNKNOWN_SPN,
    "password_reset": {**REFUSED, "kvno": "kvno = 3"},
    "account_rc4_only": {**REFUSED, "kvno": "kvno = 3"},
    "account_enctypes_unset": REFUSED,
    "keytab_missing": NO_PROXY,
    "keytab_unreadable": NO_PROXY,
    "keytab_readable_by_all": {},
    "keytab_other_kvno": REFUSED,
    **dict.fromkeys(
        [f"keytab_{kind}" for kind in ("empty", "html", "base64", "truncated", "rc4_only", "wrong_key")]
        + [f"keytab_{kind}" for kind in ("other_principal", "principal_case", "realm_case")],
        REFUSED,
    ),
    "krb5_other_realm": {"fw_kinit": 'Cannot find KDC for realm "OTHER.EXAMPLE"'},
    "krb5_broken": {**REFUSED, "fw_kinit": "Improper format of Kerberos configuration file"},
    "krb5_missing": {"fw_kinit": "Configuration file does not specify default realm"},
    "krb5_unreadable": REFUSED,
    "krb5_overridden": {},  # the lab's Kerberos reads /etc/krb5.conf only
    "krb5_enctypes": REFUSED,
    "krb5_kdc_wrong": {"fw_kinit": "Cannot contact any KDC"},
    "helper_missing": {},
    "helper_missing_restarted": NO_PROXY,
    "helper_not_executable": NO_PROXY,
    "helper_slow": {"answered": "^$"},
    "helper_hung": {"answered": "^$"},
    "squid_down": NO_PROXY,
    "squid_disabled": NO_PROXY,
    "ntlm_token": {},
    "ntlm_in_spnego": {},
    "transparent": {},
    "auth_method": {"offered": "407 Negotiate Basic"},
    "block_gone": {"offered": "200"},
    "allowed_before": {"offered": "200"},
    "helper_other_spn": REFUSED,
    "helper_other_keytab": NO_PROXY,
    "log_off": {},
    "log_without_person": {},
    "ssh_refused": {},
    "host_key_changed": {},
}


@dataclass(frozen=True)
class Healthy:
    """A firewall that `pfsquid configure` has configured, before any break."""

    lab: Lab
    symptoms: dict[str, str]
    firewall: State
    directory: Mapping[str, Mapping[str, list[str]]]


CHANGING = ("clock", "cache_log")
# Which of two controllers is asked is chance, and how long it takes until the other one is.
BY_CHANCE = {
    "second_unreachable": {"kinit", "fw_kinit", "kvno", "answered"},
    "first_of_two_unreachable": {"kinit", "fw_kinit", "kvno", "answered", "kdc", "srv_kerberos", "srv_ldap", "ldap"},
    "controllers_differ": {"kvno", "answered"},
}


@pytest.fixture(scope="module")
def healthy(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Healthy]:
    posed(lab, "2.8")
    desk_in(tmp_path_factory.mktemp("desk"), lab).configured()
    yield Healthy(lab, symptoms(lab), state(lab), directory(lab))
    lab.pose(None)


def differing(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in after.items() if text != before[name] and name not in CHANGING}


def computed(lab: Lab, account: str) -> int:
    """msDS-User-Account-Control-Computed ([MS-ADTS] 3.1.1.4.5.17) and userAccountControl, together."""
    names = ("msDS-User-Account-Control-Computed", "userAccountControl")
    shown = dc.live(lab.state, ["show", account, *names])[0]
    return int(shown[names[0]][0]) | int(shown[names[1]][0])


def holders(lab: Lab) -> list[str]:
    """The accounts that have the SPN, and how it is written there."""
    spn = "(servicePrincipalName=HTTP/proxy.*)"
    search = f"ldbsearch -H /var/lib/samba/private/sam.ldb '{spn}' sAMAccountName servicePrincipalName"
    return re.findall(r"^(?:sAMAccountName|servicePrincipalName): (.*)$", lab.sh("dc", search), re.MULTILINE)


def login_lines(lab: Lab) -> list[bytes]:
    lab.sh(
        "ws",
        "echo Wubba-Lubba-1! | kinit rick.sanchez >/dev/null; curl -s -o /dev/null --proxy-negotiate -u : "
        "-x http://proxy.lab.pfsquid.test:3128 http://seen.example/; kdestroy",
    )
    return [line for log in (lab.native_log(), lab.own_log()) for line in log.splitlines() if b"seen.example" in line]


# What those tools do not show.
ALSO: dict[str, Callable[[Lab], bool]] = {
    "reverse_override_missing": lambda lab: not lab.sh("fw", "dig +short @127.0.0.1 -x 10.77.0.10").strip(),
    "service_disabled": lambda lab: bool(computed(lab, SERVICE_ACCOUNT) & 0x2),
    "service_locked": lambda lab: bool(computed(lab, SERVICE_ACCOUNT) & 0x10),
    "service_expired": lambda lab: (
        dc.live(lab.state, ["show", SERVICE_ACCOUNT, "accountExpires"])[0]["accountExpires"] != ["0"]
    ),
    "service_password_expired": lambda lab: bool(computed(lab, SERVICE_ACCOUNT) & 0x800000),
    "service_must_change": lambda lab: bool(computed(lab, SERVICE_ACCOUNT) & 0x800000),
    "service_delegation": lambda lab: bool(computed(lab, SERVICE_ACCOUNT) & 0x80000),
    "spn_duplicate": lambda lab: len(holders(lab)) == 4,
    "spn_elsewhere": lambda lab: "jerry.smith" in holders(lab),
    "spn_case": lambda lab: "http/PROXY.lab.pfsquid.test" in holders(lab),
    "keytab_readable_by_all": lambda lab: "-r--r--r--" in lab.sh("fw", "ls -l /usr/local/etc/squid/*.keytab"),
    "krb5_overridden": lambda lab: b"OTHER.EXAMPLE" in lab.read("fw", "/usr/local/etc/krb5.conf"),
    "helper_missing": lambda lab: (
        "none" in lab.sh("fw", "ls /usr/local/libexec/squid/negotiate_kerberos_auth || echo none")
    ),
    "helper_slow": lambda lab: "processes are busy" in symptoms(lab)["cache_log"],
    "helper_hung": lambda lab: "processes are busy" in symptoms(lab)["cache_log"],
    "transparent": lambda lab: "intercept" in lab.sh("fw", "cat /usr/local/etc/squid/squid.conf"),
    "log_off": lambda lab: "access_log /dev/null" in lab.sh("fw", "cat /usr/local/etc/squid/squid.conf"),
    "log_without_person": lambda lab: [b"rick.sanchez" in line for line in login_lines(lab)] == [True, False],
    "allowed_before": lambda lab: [b"rick.sanchez" in line for line in login_lines(lab)] == [False, False],
    "ntlm_token": lambda lab: lab.native_log().count(b"TCP_DENIED/407") >= 3,
    "ntlm_in_spnego": lambda lab: lab.native_log().count(b"TCP_DENIED/407") >= 3,
    "ssh_refused": lambda lab: b"Connection refused" in lab.ssh("true").stderr,
    "host_key_changed": lambda lab: b"IDENTIFICATION HAS CHANGED" in lab.ssh("true").stderr,
    "clock_firewall_ahead": lambda lab: abs(int(symptoms(lab)["clock"]) - time.time() - WRONG) < 20,
    "clock_firewall_behind": lambda lab: abs(int(symptoms(lab)["clock"]) - time.time() + WRONG) < 20,
    "clock_controller_ahead": lambda lab: controller_ahead(lab) > WRONG - 20,
    "clock_controller_behind": lambda lab: controller_ahead(lab) < 20 - WRONG,
    "second_unreachable": lambda lab: reached(lab) == [True, False],
    "first_of_two_unreachable": lambda lab: reached(lab) == [False, True],
    "controllers_differ": lambda lab: kvnos(lab) == ["3", "2"],
    "kdc_udp_silent": lambda lab: lab.exec("ws", ["bash", "-c", "</dev/tcp/10.77.0.10/88"]).returncode == 0,
}


def reached(lab: Lab) -> list[bool]:
    """Whether the controllers take connections to port 88."""
    once = "timeout 1 bash -c '</dev/tcp/{}/88' 2>/dev/null && echo yes || echo no"
    return [lab.sh("ws", once.format(host.address4)).strip() == "yes" for host in (DC, DC2)]


def kvnos(lab: Lab) -> list[str]:
    """The service account's, by each of two controllers."""
    search = f"ldbsearch -H /var/lib/samba/private/sam.ldb sAMAccountName={SERVICE_ACCOUNT} msDS-KeyVersionNumber"
    return [lab.sh(host, search).partition("KeyVersionNumber: ")[2].split()[0] for host in ("dc", "dc2")]


def controller_ahead(lab: Lab) -> float:
    """Seconds, by the rootDSE."""
    said = lab.sh("ws", "ldapsearch -x -H ldap://10.77.0.10 -b '' -s base -LLL currentTime | grep currentTime")
    return datetime.strptime(said.split()[1], "%Y%m%d%H%M%S.0Z").replace(tzinfo=UTC).timestamp() - time.time()


# One of each kind that needs no second controller is shown here, by the tools of others; each of all by
# `verify-kerberos` (test_lab_verify_*.py).
SHOWN = (
    *("override_missing", "srv_missing", "proxy_cname", "reverse_wrong", "kdc_silent", "certificate_untrusted"),
    *("service_disabled", "checker_wrong_password", "spn_missing", "password_reset"),
    *("keytab_unreadable", "krb5_broken", "helper_missing_restarted", "squid_down", "ntlm_token", "transparent"),
)


def test_every_break_has_its_symptoms_here() -> None:
    assert EXPECTED.keys() == BREAKS.keys()
    assert [name for name, expected in EXPECTED.items() if not expected and name not in ALSO] == []


@pytest.mark.parametrize("name", SHOWN)
def test_a_break_breaks_what_it_says_and_nothing_else(healthy: Healthy, name: str) -> None:
    """Nothing else: so the one before was mended."""
    lab, expected = healthy.lab, EXPECTED[name]
    with broken(lab, name):
        found = differing(healthy.symptoms, symptoms(lab))
        chance = BY_CHANCE.get(name, set())
        assert found.keys() - chance == expected.keys() - chance, found
        assert [one for one in found.keys() - chance if not re.search(expected[one], found[one])] == [], found
        if name in ALSO:
            assert ALSO[name](lab)


def test_after_all_of_them_everything_is_exactly_as_before(healthy: Healthy) -> None:
    assert differing(healthy.symptoms, symptoms(healthy.lab)) == {}
    assert of_directory(healthy.directory, directory(healthy.lab)) == []
    assert state(healthy.lab) == healthy.firewall
