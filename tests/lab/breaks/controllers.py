"""Faults of the domain controller as a machine: it is down, a port is closed, its certificate is no good."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab import dc
from tests.lab.breaks.parts import Fault, forget_names, together
from tests.lab.fixture import Lab
from tests.lab.hosts import entry_command, running
from tests.lab.layout import ADMIN_PASSWORD, DC, DC2, DOMAIN, SERVICE_ACCOUNT, SWITCH, Host

SAN = f"DNS:{DC.fqdn},DNS:{DOMAIN},IP:{DC.address4},IP:{DC.address6}"


@contextmanager
def stopped(lab: Lab) -> Iterator[None]:
    """Samba does not run: ports are closed."""
    dc.stop(lab.state)
    forget_names(lab)
    try:
        yield
    finally:
        dc.start(lab.state)
        forget_names(lab)


def unplugged(host: Host) -> Fault:
    """The host's wire is out: silence."""

    def wire(lab: Lab, state: str) -> None:
        words = ["ip", "link", "set", f"v{host.name}", state]
        subprocess.run(entry_command(lab.state, SWITCH, words, root=False), check=True)
        forget_names(lab)

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        wire(lab, "down")
        try:
            yield
        finally:
            wire(lab, "up")
            lab.sh(host.name, "ip neigh flush dev eth0")
            once = "timeout 0.2 bash -c '</dev/tcp/$0/53' $0 2>/dev/null"
            reached = f"for i in $(seq 50); do {once} && exit; sleep 0.02; done"
            lab.exec("fw", ["/bin/sh", "-c", reached, host.address4])
            forget_names(lab)

    return inside


def silent(*ports: str) -> Fault:
    """Answers from these ports of dc (tcp/88) are lost, as behind a firewall that drops."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        rules = [
            f"ip -{family} rule {{}} ipproto {port.partition('/')[0]} sport {port.partition('/')[2]} blackhole pref 77"
            for port in ports
            for family in "46"
        ]
        lab.sh("dc", "; ".join(rule.format("add") for rule in rules))
        forget_names(lab)
        try:
            yield
        finally:
            lab.sh("dc", "; ".join(rule.format("del") for rule in rules))
            forget_names(lab)

    return inside


@contextmanager
def two(lab: Lab) -> Iterator[None]:
    """The domain has a second controller, dc2; one that it has already is left as it is."""
    if running(lab.state, DC2):
        yield
        return
    with lab.second_dc():
        forget_names(lab)
        yield
    forget_names(lab)


@contextmanager
def diverged(lab: Lab) -> Iterator[None]:
    """The service account's password was reset, and dc2 has not heard of it: mended with `two` only."""
    admin = f"-U 'Administrator%{ADMIN_PASSWORD}'"
    lab.sh("dc", f"samba-tool drs options {DC2.fqdn} --dsa-option=+DISABLE_INBOUND_REPL {admin}")
    dc.live(lab.state, ["password", SERVICE_ACCOUNT, "Heard-by-0ne-only!"])
    yield


def certificate(name: str, san: str, ca: bool = True, faketime: str = "") -> Fault:
    """Samba shows another certificate: for another name, of another CA, or of another time."""
    own = "cp ca.pem ca.key other/;" if ca else ""
    foreign = """openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
-subj '/CN=somebody else' -keyout other/ca.key -out other/ca.pem;"""
    clock = f"faketime -f {faketime}" if faketime else ""
    script = f"""set -e; cd /lab/tls; rm -rf other; mkdir other; {own or foreign} cp -p dc.pem dc.key other/
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN={name}' -keyout dc.key -out other/csr
printf 'subjectAltName={san}\\n' >other/san
{clock} openssl x509 -req -in other/csr -CA other/ca.pem -CAkey other/ca.key -CAcreateserial -days 10 \
  -extfile other/san -out dc.pem; chmod 600 dc.key"""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        lab.sh("dc", f"cp -p /lab/tls/dc.pem /run/kept.pem; cp -p /lab/tls/dc.key /run/kept.key; ( {script} ) 2>&1")
        try:
            dc.restart(lab.state)
            yield
        finally:
            lab.sh("dc", "cd /lab/tls; rm -rf other; mv /run/kept.pem dc.pem; mv /run/kept.key dc.key")
            dc.restart(lab.state)

    return inside


FAULTS: dict[str, tuple[str, Fault]] = {
    "dc_stopped": ("no service of the domain controller runs", stopped),
    "dc_unreachable": ("the domain controller cannot be reached", unplugged(DC)),
    "second_unreachable": ("one of two domain controllers cannot be reached", together(two, unplugged(DC2))),
    "first_of_two_unreachable": ("the other one of the two cannot be reached", together(two, unplugged(DC))),
    "controllers_differ": ("the two controllers have different keys of the service account", together(two, diverged)),
    "kdc_silent": ("port 88 of the domain controller is blocked", silent("tcp/88", "udp/88")),
    "kdc_tcp_silent": ("TCP port 88 of the domain controller is blocked, UDP is not", silent("tcp/88")),
    "kdc_udp_silent": ("UDP port 88 of the domain controller is blocked, TCP is not", silent("udp/88")),
    "ldap_silent": ("LDAP on the domain controller is blocked", silent("tcp/389", "tcp/636", "tcp/3268", "tcp/3269")),
    "certificate_untrusted": ("another CA made the controller's certificate", certificate(DC.fqdn, SAN, ca=False)),
    "certificate_wrong_name": (
        "the controller's certificate is another host's",
        certificate("other.example", "DNS:other.example"),
    ),
    "certificate_expired": ("the controller's certificate has expired", certificate(DC.fqdn, SAN, faketime="-30d")),
}
