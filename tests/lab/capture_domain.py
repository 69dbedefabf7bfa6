"""Faults of the domain, for capture_causes.py: account, SPN, people and records, as the proxy and kinit see them."""

from __future__ import annotations

from tests.lab.capture_bench import PROXY, RICK, Bench, Texts, case
from tests.lab.fw_files import KEYTAB
from tests.lab.layout import (
    ADMIN_PASSWORD,
    BASE_DN,
    DC,
    DOMAIN,
    PERSON_PASSWORD,
    REALM,
    REVERSE_ZONE,
    SERVICE_PASSWORD,
    SPN,
)

SAM = "/var/lib/samba/private/sam.ldb"
PARTITION = f"{SAM}.d/{BASE_DN.upper()}.ldb"
SERVICE_DN = f"CN=svc_squid,CN=Users,{BASE_DN}"
RICK_DN = f"CN=rick.sanchez,CN=Users,{BASE_DN}"
STOP_SAMBA = "kill $(cat /run/samba/samba.pid); sleep 1"
START_SAMBA = "setsid samba -D --no-process-group </dev/null >/dev/null 2>&1; sleep 4"
AS_ADMIN = f"-U 'Administrator%{ADMIN_PASSWORD}'"


def modify(b: Bench, dn: str, attribute: str, value: str, database: str = SAM, base64: bool = False) -> None:
    """Replace an attribute in the directory's database."""
    colon = "::" if base64 else ":"
    ldif = f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}{colon} {value}\n"
    b.lab.write("dc", "/tmp/change.ldif", ldif.encode())
    b.lab.sh("dc", f"ldbmodify -H '{database}' /tmp/change.ldif")


def new_password(b: Bench, times: int = 1, password: str = "An0ther-Passw0rd!") -> None:
    """The service account gets another password, once or more; each raises its kvno."""
    for number in range(times):
        b.lab.sh("dc", f"samba-tool user setpassword svc_squid --newpassword='{password}{number}'")


@case
def password_reset(b: Bench) -> Texts:
    new_password(b)
    b.kinit()
    b.lab.write("ws", "/tmp/fw.keytab", b.lab.read("fw", KEYTAB))
    kvno = b.out("ws", f"kvno -k /tmp/fw.keytab {SPN}")
    return {**b.request(), "kvno.txt": kvno, "helper.txt": b.by_hand(b.token())}


@case
def old_ticket_new_keytab(b: Bench) -> Texts:
    b.kinit()
    b.token()
    new_password(b)
    b.export()
    b.restart()
    return {"client.txt": b.curl(), "cache.log": b.log()}


@case
def spn_on_another_account(b: Bench) -> Texts:
    new_password(b, 3)
    b.export()
    b.lab.sh("dc", f"samba-tool spn delete {SPN} svc_squid && samba-tool spn add {SPN} bird.person")
    return b.request()


@case
def account_rc4(b: Bench) -> Texts:
    modify(b, SERVICE_DN, "msDS-SupportedEncryptionTypes", "4")
    b.lab.sh("dc", f"samba-tool user setpassword svc_squid --newpassword='{SERVICE_PASSWORD}'")
    b.keytab_by_ktutil(f"-p {SPN} -k {b.kvno()} -e aes256-cts")
    return b.request()


@case
def spn_missing(b: Bench) -> Texts:
    b.lab.sh("dc", f"samba-tool spn delete {SPN} svc_squid")
    return {**b.request(), "kvno.txt": b.out("ws", f"kvno {SPN}")}


@case
def spn_duplicate(b: Bench) -> Texts:
    b.out("dc", STOP_SAMBA)
    dn = f"CN=bird.person,CN=Users,{BASE_DN}"
    ldif = f"dn: {dn}\nchangetype: modify\nadd: servicePrincipalName\nservicePrincipalName: {SPN}\n"
    b.lab.write("dc", "/tmp/change.ldif", ldif.encode())
    b.lab.sh("dc", f"ldbmodify -H '{PARTITION}' /tmp/change.ldif")
    b.out("dc", START_SAMBA)
    return {**b.request(), "kvno.txt": b.out("ws", f"kvno {SPN}")}


@case
def proxy_by_alias(b: Bench) -> Texts:
    b.lab.sh("dc", f"samba-tool dns add {DC.fqdn} {DOMAIN} www CNAME {PROXY} {AS_ADMIN}")
    conf = b.lab.read("ws", "/etc/krb5.conf") + b"  dns_canonicalize_hostname = false\n"
    b.lab.write("ws", "/etc/krb5.conf", conf)
    return b.request(name=f"www.{DOMAIN}")


@case
def reverse_record_of_another_host(b: Bench) -> Texts:
    b.lab.sh("dc", f"samba-tool dns delete {DC.fqdn} {REVERSE_ZONE} 1 PTR {PROXY} {AS_ADMIN}")
    b.lab.sh("dc", f"samba-tool dns add {DC.fqdn} {REVERSE_ZONE} 1 PTR router.{DOMAIN} {AS_ADMIN}")
    conf = b.lab.read("ws", "/etc/krb5.conf").replace(b"rdns = false", b"rdns = true")
    b.lab.write("ws", "/etc/krb5.conf", conf)
    return b.request()


@case
def person_in_1200_groups(b: Bench) -> Texts:
    ldif = "".join(
        f"dn: CN=team{n},CN=Users,{BASE_DN}\nobjectClass: group\nsAMAccountName: team{n}\nmember: {RICK_DN}\n\n"
        for n in range(1200)
    )
    b.lab.write("dc", "/tmp/groups.ldif", ldif.encode())
    b.out("dc", f"{STOP_SAMBA}; ldbadd -H {SAM} /tmp/groups.ldif", timeout=300)
    b.out("dc", START_SAMBA)
    b.helper_words(f"-d -k {KEYTAB}")
    texts = b.request()
    lines = [line for line in texts["cache.log"].splitlines() if "rid" not in line]
    texts["cache.log"] = "\n".join(lines[: lines.index(next(line for line in lines if "Too many" in line)) + 3])
    return texts


@case
def service_account_without_keys(b: Bench) -> Texts:
    """The account says AES, its keys are RC4 alone: the password is older than the setting."""
    modify(b, SERVICE_DN, "msDS-SupportedEncryptionTypes", "4")
    b.lab.sh("dc", f"samba-tool user setpassword svc_squid --newpassword='{SERVICE_PASSWORD}'")
    b.lab.write("ws", "/etc/krb5.conf", b.lab.read("ws", "/etc/krb5.conf") + b"  permitted_enctypes = aes256-cts\n")
    b.kinit()
    return {"kvno.txt": b.out("ws", f"kvno {SPN}"), "client.txt": b.curl()}


# kinit, on the firewall ------------------------------------------------------------------------------------------


@case
def person_wrong_password(b: Bench) -> Texts:
    return {"kinit.txt": b.kinit(password="wrong", host="fw")}


@case
def person_unknown(b: Bench) -> Texts:
    return {"kinit.txt": b.kinit(f"nobody@{REALM}", host="fw") + b.kinit(f"{SPN}@{REALM}", host="fw")}


@case
def person_disabled(b: Bench) -> Texts:
    b.lab.sh("dc", "samba-tool user disable rick.sanchez")
    return {"kinit.txt": b.kinit(host="fw")}


@case
def person_expired(b: Bench) -> Texts:
    modify(b, RICK_DN, "accountExpires", "130000000000000000")
    return {"kinit.txt": b.kinit(host="fw")}


@case
def person_locked(b: Bench) -> Texts:
    b.lab.sh("dc", "samba-tool domain passwordsettings set --account-lockout-threshold=2")
    for _ in range(3):
        b.kinit(password="wrong", host="fw")
    return {"kinit.txt": b.kinit(host="fw")}


@case
def person_password_expired(b: Bench) -> Texts:
    for dn in (RICK_DN, SERVICE_DN):
        modify(b, dn, "userAccountControl", "512")  # without "does not expire"
        modify(b, dn, "pwdLastSet", "0")
    said = b.kinit(host="fw")
    b.lab.sh("dc", "rm -f /tmp/s.keytab; samba-tool domain exportkeytab /tmp/s.keytab --principal=svc_squid")
    b.lab.write("fw", "/tmp/s.keytab", b.lab.read("dc", "/tmp/s.keytab"))
    return {"kinit.txt": said + b.out("fw", "kinit -k -t /tmp/s.keytab svc_squid")}


@case
def realm_in_small_letters(b: Bench) -> Texts:
    return {"kinit.txt": b.kinit(f"rick.sanchez@{DOMAIN}", host="fw")}


@case
def realm_not_configured(b: Bench) -> Texts:
    b.out("fw", "rm /etc/krb5.conf")
    return {"kinit.txt": b.kinit("rick.sanchez", host="fw"), "kvno.txt": b.out("fw", f"kvno {SPN}")}


@case
def realm_wrong(b: Bench) -> Texts:
    conf = f"[libdefaults]\n default_realm = WRONG.TEST\n[realms]\n WRONG.TEST = {{\n kdc = {DC.fqdn}\n }}\n"
    b.lab.write("fw", "/etc/krb5.conf", conf.encode())
    return {"kinit.txt": b.kinit("rick.sanchez", host="fw")}


@case
def enctypes_without_a_match(b: Bench) -> Texts:
    conf = b.lab.read("fw", "/etc/krb5.conf") + b"  permitted_enctypes = camellia256-cts\n"
    b.lab.write("fw", "/etc/krb5.conf", conf)
    camellia = b.kinit(host="fw")
    b.lab.write("fw", "/etc/krb5.conf", conf.replace(b"camellia256-cts", b"nonsense"))
    return {"kinit.txt": camellia + b.kinit(host="fw")}


@case
def keytab_login_with_old_key(b: Bench) -> Texts:
    b.lab.sh("dc", "samba-tool domain exportkeytab /tmp/s.keytab --principal=svc_squid")
    b.lab.write("fw", "/tmp/s.keytab", b.lab.read("dc", "/tmp/s.keytab"))
    new_password(b)
    return {"kinit.txt": b.out("fw", "kinit -k -t /tmp/s.keytab svc_squid")}


@case
def keytab_login_without_entry(b: Bench) -> Texts:
    return {"kinit.txt": b.out("fw", f"kinit -k -t {KEYTAB} svc_squid; kinit -k -t {KEYTAB} {SPN}")}


@case
def keytab_login_without_keytab(b: Bench) -> Texts:
    said = b.out(
        "fw", f"kinit -k svc_squid; kinit -k -t /nowhere.keytab svc_squid; su -s /bin/sh nobody -c 'klist -k {KEYTAB}'"
    )
    return {"kinit.txt": said}


@case
def clock_of_kinit(b: Bench) -> Texts:
    conf = b.lab.read("fw", "/etc/krb5.conf") + b"  kdc_timesync = 0\n"
    b.lab.write("fw", "/etc/krb5.conf", conf)
    said = b.out("fw", f"echo '{PERSON_PASSWORD}' | faketime -f +10m kinit {RICK}")
    b.kinit(host="fw")
    return {"kinit.txt": said, "kvno.txt": b.out("fw", f"faketime -f +11h kvno {SPN}")}
