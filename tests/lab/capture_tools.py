"""Faults that names, reachability, the directory and SSH tell of, for capture_causes.py."""

from __future__ import annotations

from tests.lab.capture_bench import Bench, Texts, case
from tests.lab.capture_domain import AS_ADMIN, PARTITION, RICK_DN, SERVICE_DN, START_SAMBA, STOP_SAMBA, modify
from tests.lab.layout import BASE_DN, DC, DOMAIN, FW, PERSON_PASSWORD, REALM, REPOSITORY, SPN, UPN_SUFFIX, WEB

OVERRIDES = "/var/unbound/domainoverrides.conf"
RESTART_UNBOUND = "kill $(cat /var/run/unbound.pid); sleep 0.5; unbound -c /var/unbound/unbound.conf"

RESOLVE = """
import dns.resolver
r = dns.resolver.Resolver(configure=False)
r.nameservers, r.lifetime = ['127.0.0.1'], 3
try:
    print(r.resolve('{name}', '{kind}').rrset)
except Exception as error:
    print(type(error).__name__, error, sep=': ')
"""


def overrides(b: Bench, text: str) -> None:
    """Other domain overrides, and the resolver anew."""
    b.lab.write("fw", OVERRIDES, text.encode(), owner="unbound")
    b.out("fw", RESTART_UNBOUND)


def forward(address: str, *more: str) -> str:
    """An override of the domain."""
    server = "".join(f"  {line}\n" for line in (f'domain-insecure: "{DOMAIN}"', *more))
    return f'server:\n{server}forward-zone:\n  name: "{DOMAIN}"\n  forward-addr: {address}\n'


def resolved(b: Bench, name: str, kind: str = "SRV") -> str:
    """What dnspython says of a name, asked of the firewall."""
    return b.python("fw", RESOLVE.format(name=name, kind=kind))


@case
def override_missing(b: Bench) -> Texts:
    overrides(b, "")
    srv = f"_kerberos._tcp.{DOMAIN}"
    return {
        "kinit.txt": b.kinit(host="fw"),
        "dns.txt": b.out("fw", f"dig @127.0.0.1 SRV {srv}; host -t SRV {srv} 127.0.0.1") + resolved(b, srv),
    }


@case
def override_to_nobody(b: Bench) -> Texts:
    overrides(b, forward("10.77.0.99"))
    srv = f"_kerberos._tcp.{DOMAIN}"
    said = b.out("fw", f"dig +tries=1 +time=9 @127.0.0.1 SRV {srv}; dig +tries=1 +time=2 @10.77.0.99 SRV {srv}")
    return {"dns.txt": said + resolved(b, srv)}


@case
def override_to_a_stranger(b: Bench) -> Texts:
    b.out("fw", "sed -i 's#0.0.0.0/0 allow#0.0.0.0/0 refuse#' /var/unbound/unbound.conf")
    b.out("fw", RESTART_UNBOUND)
    srv = f"_kerberos._tcp.{DOMAIN}"
    return {"dns.txt": b.out("ws", f"dig +tries=1 @{FW.address4} SRV {srv}")}


@case
def built_in_zone(b: Bench) -> Texts:
    b.out("fw", "sed -i '/nodefault/d' /var/unbound/unbound.conf /var/unbound/internet.conf")
    b.lab.write("fw", "/var/unbound/internet.conf", b"")
    b.out("fw", RESTART_UNBOUND)
    return {
        "dns.txt": b.out("fw", "dig @127.0.0.1 -x 10.77.0.1; dig @127.0.0.1 nobody.test"),
        "kinit.txt": b.kinit(host="fw"),
    }


@case
def srv_records_missing(b: Bench) -> Texts:
    for kind in ("_tcp", "_udp"):
        for service in ("_kerberos", "_kpasswd"):
            port = 88 if service == "_kerberos" else 464
            b.out(
                "dc",
                f"samba-tool dns delete {DC.fqdn} {DOMAIN} {service}.{kind} SRV '{DC.fqdn} {port} 0 100' {AS_ADMIN}",
            )
    b.out("fw", RESTART_UNBOUND)
    return {"kinit.txt": b.kinit(host="fw"), "dns.txt": resolved(b, f"_kerberos._tcp.{DOMAIN}")}


@case
def rebinding_protection(b: Bench) -> Texts:
    overrides(b, forward(DC.address4))
    b.out("fw", "sed -i 's#10.0.0.0/8#10.0.0.0/8\\n  private-address: fd77::/16#' /var/unbound/unbound.conf")
    b.out("fw", RESTART_UNBOUND)
    return {"kinit.txt": b.kinit(host="fw"), "dns.txt": b.out("fw", f"dig @127.0.0.1 {DC.fqdn}")}


@case
def kdc_silent(b: Bench) -> Texts:
    conf = f"[libdefaults]\n default_realm = {REALM}\n[realms]\n {REALM} = {{\n kdc = {WEB.address4}\n }}\n"
    b.lab.write("fw", "/etc/krb5.conf", conf.encode())
    return {"kinit.txt": b.kinit(host="fw")}


@case
def proxy_port_closed(b: Bench) -> Texts:
    return {
        "client.txt": b.out(
            "ws", "curl -sv -x http://proxy.lab.pfsquid.test:3129 http://x.example/ 2>&1 | grep -v '^{'"
        )
    }


# LDAP, by ldap3 from the workstation --------------------------------------------------------------------------------

LDAP3 = """
import ssl, sys
from ldap3 import *
def attempt(
    user={user!r}, password={password!r}, host={host!r}, port={port}, ca='/etc/ssl/lab-ca.pem', act=None, **words
):
    try:
        tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca)
        server = Server(host, port=port, use_ssl=port == 636, tls=tls, get_info=None, connect_timeout=3)
        c = Connection(server, user, password, auto_bind=False, receive_timeout=5, **words)
        c.bind()
        print(c.result)
        if act:
            act(c)
            print(c.result)
    except Exception as error:
        print(type(error).__name__, error, sep=': ')
"""


def ldap(b: Bench, call: str = "attempt()", before: str = "", **words: object) -> str:
    """What ldap3 says to a bind, and to what follows."""
    given = {"user": f"rick.sanchez@{UPN_SUFFIX}", "password": PERSON_PASSWORD, "host": DC.fqdn, "port": 636}
    program = LDAP3.format(**{**given, **words}) + call
    b.lab.write("ws", "/tmp/attempt.py", program.encode())
    return b.out("ws", f"{before} {REPOSITORY}/.venv/bin/python -I -W ignore /tmp/attempt.py")


@case
def ldap_in_the_clear(b: Bench) -> Texts:
    tool = b.out(
        "ws", f"ldapsearch -x -H ldap://{DC.fqdn} -D rick.sanchez@{UPN_SUFFIX} -w '{PERSON_PASSWORD}' -b '' -s base"
    )
    return {"ldap.txt": ldap(b, port=389) + tool}


@case
def ldap_wrong_password(b: Bench) -> Texts:
    return {"ldap.txt": ldap(b, password="wrong")}


@case
def ldap_unknown_user(b: Bench) -> Texts:
    return {"ldap.txt": ldap(b, user=f"nobody@{DOMAIN}")}


@case
def ldap_disabled(b: Bench) -> Texts:
    b.lab.sh("dc", "samba-tool user disable rick.sanchez")
    return {"ldap.txt": ldap(b)}


@case
def ldap_expired(b: Bench) -> Texts:
    modify(b, RICK_DN, "accountExpires", "130000000000000000")
    return {"ldap.txt": ldap(b)}


@case
def ldap_must_change(b: Bench) -> Texts:
    modify(b, RICK_DN, "userAccountControl", "512")
    modify(b, RICK_DN, "pwdLastSet", "0")
    return {"ldap.txt": ldap(b)}


@case
def ldap_password_expired(b: Bench) -> Texts:
    modify(b, RICK_DN, "userAccountControl", "512")
    b.lab.sh("dc", "samba-tool domain passwordsettings set --max-pwd-age=30")
    b.out("dc", STOP_SAMBA)
    modify(b, RICK_DN, "pwdLastSet", "130000000000000000", PARTITION)
    b.out("dc", START_SAMBA)
    return {"ldap.txt": ldap(b)}


@case
def ldap_locked(b: Bench) -> Texts:
    b.lab.sh("dc", "samba-tool domain passwordsettings set --account-lockout-threshold=2")
    for _ in range(3):
        ldap(b, password="wrong")
    return {"ldap.txt": ldap(b)}


@case
def ldap_other_workstation(b: Bench) -> Texts:
    modify(b, RICK_DN, "userWorkstations", "OTHER")
    return {"ldap.txt": ldap(b)}


@case
def ldap_logon_hours(b: Bench) -> Texts:
    modify(b, RICK_DN, "logonHours", "A" * 28, base64=True)
    return {"ldap.txt": ldap(b)}


@case
def ldap_certificate(b: Bench) -> Texts:
    tool = f"LDAPTLS_REQCERT=demand ldapsearch -x -H ldaps://{DC.fqdn} -b '' -s base"
    return {
        "ldap.txt": ldap(b, "attempt(ca='/etc/ssl/certs/ca-certificates.crt')")
        + b.out("ws", f"{tool} -d 1 | grep -a TLS:")
    }


@case
def ldap_certificate_of_another_name(b: Bench) -> Texts:
    b.out("ws", f"echo {DC.address4} other.{DOMAIN} >> /etc/hosts")
    return {"ldap.txt": ldap(b, host=f"other.{DOMAIN}")}


@case
def ldap_certificate_expired(b: Bench) -> Texts:
    return {"ldap.txt": ldap(b, before="faketime -f +20y")}


@case
def ldap_port_closed(b: Bench) -> Texts:
    return {"ldap.txt": ldap(b, host=FW.fqdn)}


@case
def ldap_anonymous(b: Bench) -> Texts:
    search = f"attempt(user=None, password=None, act=lambda c: c.search('{BASE_DN}', '(cn=*)'))"
    return {"ldap.txt": ldap(b, search)}


@case
def ldap_ntlm(b: Bench) -> Texts:
    return {"ldap.txt": ldap(b, "attempt(user='LAB\\\\rick.sanchez', authentication=NTLM)", port=389)}


@case
def ldap_without_rights(b: Bench) -> Texts:
    change = f"c.modify('{SERVICE_DN}', {{'servicePrincipalName': [(MODIFY_ADD, ['HTTP/x.{DOMAIN}'])]}})"
    return {"ldap.txt": ldap(b, f"attempt(act=lambda c: {change})")}


@case
def ldap_spn_taken(b: Bench) -> Texts:
    change = f"c.modify('{RICK_DN}', {{'servicePrincipalName': [(MODIFY_ADD, ['{SPN}'])]}})"
    said = ldap(b, f"attempt(act=lambda c: {change})", user=f"Administrator@{DOMAIN}", password="Adm1n-Passw0rd!")
    return {"ldap.txt": said + b.out("dc", f"samba-tool spn add {SPN} rick.sanchez")}


@case
def ldap_password_policy(b: Bench) -> Texts:
    b.lab.sh("dc", "samba-tool domain passwordsettings set --min-pwd-length=14")
    change = f"c.modify('{SERVICE_DN}', {{'unicodePwd': [(MODIFY_REPLACE, ['\"Shrt1!\"'.encode('utf-16-le')])]}})"
    return {
        "ldap.txt": ldap(
            b, f"attempt(act=lambda c: {change})", user=f"Administrator@{DOMAIN}", password="Adm1n-Passw0rd!"
        )
    }


# SSH, from the workstation --------------------------------------------------------------------------------------------

PARAMIKO = """
import paramiko, sys
def attempt(known='/root/.ssh/known_hosts', port=22, **words):
    client = paramiko.SSHClient()
    try:
        if known:
            client.load_host_keys(known)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        words = {'username': 'root', 'look_for_keys': False, 'allow_agent': False, 'timeout': 5, **words}
        client.connect('10.77.0.1', port, **words)
        print('connected')
    except Exception as error:
        print(type(error).__name__, error, sep=': ')
    finally:
        client.close()
"""


def ssh(b: Bench, *calls: str) -> str:
    """What paramiko says."""
    return b.python("ws", PARAMIKO + "\n".join(calls))


@case
def ssh_host_unknown(b: Bench) -> Texts:
    tool = b.out("ws", f"ssh -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/null root@{FW.address4} true")
    return {"ssh.txt": ssh(b, "attempt(known='', key_filename='/root/.ssh/id_ed25519')") + tool}


@case
def ssh_host_key_changed(b: Bench) -> Texts:
    b.out(
        "ws", "ssh-keygen -q -t ed25519 -N '' -f /tmp/k; echo \"10.77.0.1 $(cut -d' ' -f1,2 /tmp/k.pub)\" > /tmp/known"
    )
    tool = b.out("ws", f"ssh -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/tmp/known root@{FW.address4} true")
    return {"ssh.txt": ssh(b, "attempt(known='/tmp/known', key_filename='/root/.ssh/id_ed25519')") + tool}


@case
def ssh_login_refused(b: Bench) -> Texts:
    b.out("ws", "ssh-keygen -q -t ed25519 -N '' -f /tmp/k; ssh-keygen -q -t ed25519 -N secret -f /tmp/locked")
    said = ssh(b, "attempt(key_filename='/tmp/k')", "attempt(password='wrong')", "attempt(key_filename='/tmp/locked')")
    return {
        "ssh.txt": said + b.out("ws", f"ssh -i /tmp/k -o IdentitiesOnly=yes -o BatchMode=yes root@{FW.address4} true")
    }


@case
def ssh_closed(b: Bench) -> Texts:
    return {"ssh.txt": ssh(b, "attempt(port=2222)") + b.out("ws", f"ssh -p 2222 root@{FW.address4} true")}


@case
def ssh_banner(b: Bench) -> Texts:
    listen = "import socket\ns = socket.create_server(('10.77.0.1', 2224))\nwhile True: s.accept()[0].close()"
    b.lab.write("fw", "/tmp/drop.py", listen.encode())
    b.out("fw", "setsid python3 /tmp/drop.py >/dev/null 2>&1 & sleep 0.5")
    return {"ssh.txt": ssh(b, "attempt(port=2224)") + b.out("ws", f"ssh -p 2224 root@{FW.address4} true")}


@case
def ssh_without_sudo(b: Bench) -> Texts:
    b.lab.pose("2.8")
    return {"ssh.txt": b.lab.ssh("sudo -n /bin/sh -c true", user="viewer").stderr.decode()}
