"""Faults of Squid, of its settings on pfSense, of what it is sent, and of the way to the firewall."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.breaks.parts import BLOCK, CONF, END_SQUID, HELPER, Fault, block, files, gui, reload_squid
from tests.lab.fixture import Lab
from tests.lab.layout import DOMAIN, FW, PERSON_PASSWORD, PROXY_PORT, REALM

GENERAL = "installedpackages/squid/config/0"
# A type 1 message, NEGOTIATE_MESSAGE ([MS-NLMP] 2.2.1.1): flags, no domain, no workstation, version.
NTLM = b"NTLMSSP\0" + bytes.fromhex("01000000 07820008 0000000000000000 0000000000000000 0a00614a0000000f")
_NTLMSSP_OID = bytes.fromhex("060a2b06010401823702020a")
_SPNEGO_OID = bytes.fromhex("06062b0601050502")

# One helper that answers each question after 1 s, and people who ask all the time.
SLOW = """#!/bin/sh
while read -r line; do sleep 1; echo "$line"; done | /usr/lib/squid/negotiate_kerberos_auth "$@"
"""
HUNG = "#!/bin/sh\nexec sleep 3600\n"
ASK = f"""echo '{PERSON_PASSWORD}' | kinit -c /run/lab-crowd rick.sanchez@{REALM} >/dev/null
for n in 1 2 3 4; do
  KRB5CCNAME=/run/lab-crowd setsid sh -c 'echo $$ >>/run/lab-crowd.pids; while :; do
    curl -s -m 20 -o /dev/null --proxy-negotiate -u : -x $0 http://www.example.com/; sleep 0.1
  done' http://proxy.{DOMAIN}:{PROXY_PORT} </dev/null >/dev/null 2>&1 &
done; sleep 0.3"""
GO = """for pid in $(cat /run/lab-crowd.pids 2>/dev/null); do kill -9 -$pid 2>/dev/null; done
rm -f /run/lab-crowd /run/lab-crowd.pids"""


def _tlv(tag: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def ntlm_in_spnego() -> bytes:
    """A NegTokenInit that offers NTLM only (RFC 4178, section 4.2.1)."""
    offer = _tlv(0xA0, _tlv(0x30, _NTLMSSP_OID)) + _tlv(0xA2, _tlv(0x04, NTLM))
    return _tlv(0x60, _SPNEGO_OID + _tlv(0xA0, _tlv(0x30, offer)))


def send(lab: Lab, token: bytes) -> str:
    """What the proxy answers to a request from ws with this token: the head."""
    head = (
        f"GET http://www.example.com/ HTTP/1.1\\r\\nHost: www.example.com\\r\\nConnection: close\\r\\n"
        f"Proxy-Authorization: Negotiate {base64.b64encode(token).decode()}\\r\\n\\r\\n"
    )
    script = f"exec 3<>/dev/tcp/{FW.address4}/{PROXY_PORT}; printf '{head}' >&3; timeout 5 sed '/^\\r$/q' <&3"
    return lab.sh("ws", script)


def token(raw: bytes) -> Fault:
    """A browser sends this, three times; the logs tell of it until the end of the context."""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        for _ in range(3):
            send(lab, raw)
        yield

    return inside


def helper(program: str, children: str) -> Fault:
    """Another program in the helper's place, as many of them as `children` says, and four people who ask."""
    script = f"""printf '%s' '{base64.b64encode(program.encode()).decode()}' | base64 -d >{HELPER}.new
chmod 755 {HELPER}.new; mv {HELPER}.new {HELPER}
sed -i 's/^auth_param negotiate children .*/auth_param negotiate children {children}/' {CONF}"""

    @contextmanager
    def inside(lab: Lab) -> Iterator[None]:
        with files(script, fresh=True)(lab):
            lab.sh("ws", ASK)
            try:
                yield
            finally:
                lab.sh("ws", GO)

    return inside


@contextmanager
def squid_down(lab: Lab) -> Iterator[None]:
    """It was killed, and nothing starts it."""
    lab.sh("fw", END_SQUID)
    try:
        yield
    finally:
        reload_squid(lab)


@contextmanager
def ssh_refused(lab: Lab) -> Iterator[None]:
    """Nothing listens on the firewall's port 22; sessions go on."""
    lab.sh("fw", "pid=$(cat /run/sshd.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.01; done")
    try:
        yield
    finally:
        lab.sh("fw", "/usr/sbin/sshd")


@contextmanager
def host_key_changed(lab: Lab) -> Iterator[None]:
    """The firewall shows host keys that nobody knows."""
    lab.new_host_key()
    try:
        yield
    finally:
        lab.first_host_key()


def field(name: str, value: str, section: str = GENERAL) -> Fault:
    """A field of the package, saved in the GUI."""
    return gui(f"config_set_path('{section}/{name}', '{value}');", squid=True)


DISABLED = gui(f"config_set_path('{GENERAL}/enable_squid', '');", squid=True, ends=True)
FAULTS: dict[str, tuple[str, Fault]] = {
    "squid_down": ("Squid does not run", squid_down),
    "squid_disabled": ("Squid is disabled in the package", DISABLED),
    "helper_slow": ("one helper, which takes a second for each answer", helper(SLOW, "1 startup=0 idle=1")),
    "helper_hung": ("one helper, which never answers", helper(HUNG, "1 startup=1 idle=1")),
    "ntlm_token": ("a browser sends NTLM", token(NTLM)),
    "ntlm_in_spnego": ("a browser sends NTLM inside SPNEGO", token(ntlm_in_spnego())),
    "transparent": ("the package is set to transparent mode", field("transparent_proxy", "on")),
    "auth_method": (
        "the package has an authentication method of its own",
        field("auth_method", "local", "installedpackages/squidauth/config/0"),
    ),
    "block_gone": (
        "the managed block is gone from squid.conf, by a hand edit",
        gui(f"config_set_path('{BLOCK}', '');", squid=True),
    ),
    "allowed_before": (
        "a rule before the block lets everybody pass, so that nobody is asked for a name",
        block((r"\A", "http_access allow all\r\n")),
    ),
    "helper_other_spn": ("the helper is started with another SPN (-s)", block(("-s HTTP/proxy", "-s HTTP/gate"))),
    "helper_other_keytab": (
        "the helper is started with another keytab (-k)",
        block((r"-k \S+", "-k /usr/local/etc/squid/other.keytab")),
    ),
    "log_off": ("the access log is switched off", field("log_enabled", "")),
    "log_without_person": (
        "pfsquid's own log has no user in it",
        block((r"%#\.512un", "-")),
    ),
    "ssh_refused": ("the firewall's SSH does not run", ssh_refused),
    "host_key_changed": ("the firewall shows another host key", host_key_changed),
}
