"""Faults at the proxy, for capture_causes.py: keytab, helper, tokens, clock, Squid itself."""

from __future__ import annotations

import base64

from tests.lab.capture_bench import HELPER, PROXY, Bench, Texts, case
from tests.lab.fw_files import KEYTAB, LOGS, SQUID_CONF
from tests.lab.layout import REALM, SPN

NTLM_TYPE_1 = base64.b64encode(b"NTLMSSP\0\1\0\0\0\x97\x82\x08\xe2" + bytes(24)).decode()
# RFC 4178: NegTokenInit whose only mechanism is NTLMSSP (1.3.6.1.4.1.311.2.2.10), with the message as its token
NTLM_IN_SPNEGO = base64.b64encode(
    bytes.fromhex("604006062b0601050502a0363034a00e300c060a2b06010401823702020aa2220420")
    + b"NTLMSSP\0\1\0\0\0\x97\x82\x08\xe2"
    + bytes(16)
).decode()

PID = "/var/run/squid/squid.pid"
KILL_SQUID = f"master=$(cat {PID}); kill -KILL $master $(ps -o pid= --ppid $master)"


@case
def healthy(b: Bench) -> Texts:
    texts = b.request()
    b.out("fw", "rm -f /var/tmp/krb5_*")
    return {**texts, "helper.txt": b.by_hand(b.token())}


@case
def healthy_with_debug(b: Bench) -> Texts:
    b.helper_words(f"-d -k {KEYTAB}")
    return b.request()


@case
def keytab_missing(b: Bench) -> Texts:
    b.out("fw", f"rm {KEYTAB}")
    return {**b.request(), "helper.txt": b.by_hand("")}


@case
def keytab_missing_at_start(b: Bench) -> Texts:
    b.out("fw", f"rm {KEYTAB}")
    b.conf("startup=0 idle=1", "startup=5 idle=1")
    b.restart()
    return {"cache.log": b.log()}


@case
def keytab_not_readable(b: Bench) -> Texts:
    b.out("fw", f"chown root:root {KEYTAB}")
    return {**b.request(), "helper.txt": b.by_hand("")}


@case
def keytab_is_a_folder(b: Bench) -> Texts:
    return {"helper.txt": b.by_hand("", "-k /usr/local/etc/squid")}


@case
def keytab_not_given(b: Bench) -> Texts:
    b.helper_words("-d")
    return b.request()


@case
def keytab_empty(b: Bench) -> Texts:
    b.keytab(b"")
    return b.request()


@case
def keytab_is_html(b: Bench) -> Texts:
    b.keytab(b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n")
    return {**b.request(), "kinit.txt": b.out("fw", f"kinit -k -t {KEYTAB} {SPN}; klist -k {KEYTAB}")}


@case
def keytab_without_entries(b: Bench) -> Texts:
    b.keytab(b"\x05\x02")
    return b.request()


@case
def keytab_truncated(b: Bench) -> Texts:
    b.keytab(b.lab.read("fw", KEYTAB)[:60])
    return {**b.request(), "kinit.txt": b.out("fw", f"klist -ek {KEYTAB}; kinit -k -t {KEYTAB} svc_squid")}


@case
def keytab_of_another_case(b: Bench) -> Texts:
    b.keytab_by_ktutil("-p HTTP/Proxy.lab.pfsquid.test -k 2 -e aes256-cts")
    return b.request()


@case
def keytab_rc4_only(b: Bench) -> Texts:
    b.keytab_by_ktutil(f"-p {SPN} -k 2 -e arcfour-hmac")
    return b.request()


@case
def keytab_with_wrong_salt(b: Bench) -> Texts:
    b.keytab_by_ktutil(f"-p {SPN} -k 2 -e aes256-cts")
    b.kinit()
    b.lab.write("ws", "/tmp/fw.keytab", b.lab.read("fw", KEYTAB))
    return {**b.request(), "kvno.txt": b.out("ws", f"kvno -k /tmp/fw.keytab {SPN}")}


@case
def keytab_of_another_name(b: Bench) -> Texts:
    b.keytab_by_ktutil("-p HTTP/other.lab.pfsquid.test -k 2 -e aes256-cts")
    b.helper_words(f"-d -k {KEYTAB} -s GSS_C_NO_NAME")
    return b.request()


@case
def firewall_of_another_name(b: Bench) -> Texts:
    b.out("fw", "hostname pfsense.home.arpa; echo '10.77.0.1 pfsense.home.arpa pfsense' > /etc/hosts")
    return b.request()


@case
def firewall_without_name(b: Bench) -> Texts:
    b.out("fw", "hostname nobody.invalid; echo > /etc/hosts; echo nameserver 10.77.0.99 > /etc/resolv.conf")
    b.helper_words(f"-d -k {KEYTAB}")
    return {**b.request(), "helper.txt": b.by_hand("")}


@case
def service_principal_without_http(b: Bench) -> Texts:
    b.helper_words(f"-d -k {KEYTAB} -s proxy.lab.pfsquid.test")
    return b.request()


@case
def service_principal_of_another_name(b: Bench) -> Texts:
    b.helper_words(f"-k {KEYTAB} -s HTTP/other.lab.pfsquid.test@{REALM}")
    return b.request()


@case
def helper_option_unknown(b: Bench) -> Texts:
    b.helper_words(f"-Z -k {KEYTAB}")
    return {**b.request(), "helper.txt": b.by_hand("", f"-Z -k {KEYTAB}")}


@case
def helper_option_empty(b: Bench) -> Texts:
    return {"helper.txt": "".join(b.by_hand("", words) for words in ("-k ''", "-s ''", "-t ''", "-c ''", "-k"))}


@case
def clock_ahead(b: Bench) -> Texts:
    b.slow_clock("+10m")
    return b.request()


@case
def clock_behind(b: Bench) -> Texts:
    b.slow_clock("-10m")
    return b.request()


@case
def clock_hours_ahead(b: Bench) -> Texts:
    b.slow_clock("+11h")
    return b.request()


@case
def clock_of_the_client(b: Bench) -> Texts:
    b.restart()
    b.kinit()
    said = b.curl(before="faketime -f +10m") + b.curl(before="faketime -f -10m")
    return {"client.txt": said, "cache.log": b.log()}


@case
def ticket_ended(b: Bench) -> Texts:
    b.restart()
    b.kinit()
    return {"client.txt": b.curl(before="faketime -f +11h")}


@case
def no_ticket(b: Bench) -> Texts:
    b.restart()
    return {"client.txt": b.curl(), "kvno.txt": b.out("ws", f"kvno {SPN}"), "cache.log": b.log()}


@case
def ntlm(b: Bench) -> Texts:
    return b.send(f"Negotiate {NTLM_TYPE_1}")


@case
def ntlm_in_spnego(b: Bench) -> Texts:
    return b.send(f"Negotiate {NTLM_IN_SPNEGO}")


@case
def tokens_of_nothing(b: Bench) -> Texts:
    texts = b.send("Negotiate", "Negotiate bm90IGEgdG9rZW4=", "Negotiate ?!*")
    return {**texts, "helper.txt": b.by_hand("") + b.by_hand("?!*") + b.by_hand("bm90IGEgdG9rZW4=")}


@case
def basic_credentials(b: Bench) -> Texts:
    texts = b.send("Basic " + base64.b64encode(b"nobody:no-password").decode())
    return {
        **texts,
        "cache.log": texts["cache.log"].replace(base64.b64encode(b"nobody:no-password").decode(), "bm9ib2R5Om5v"),
    }


@case
def same_token_again(b: Bench) -> Texts:
    b.kinit()
    token = b.token()
    return {**b.send(f"Negotiate {token}", f"Negotiate {token}"), "helper.txt": b.by_hand(token)}


@case
def replay_cache_of_root(b: Bench) -> Texts:
    b.out("fw", "touch /var/tmp/krb5_$(id -u squid).rcache2; chmod 600 /var/tmp/krb5_*")
    return b.request()


@case
def replay_cache_without_folder(b: Bench) -> Texts:
    b.out("fw", "mv /var/tmp /var/tmp.away")
    b.kinit()
    token = b.token()
    return {**b.request(), "helper.txt": b.by_hand(token) + b.by_hand("", f"-k {KEYTAB} -c /nowhere")}


@case
def krb5_conf_broken(b: Bench) -> Texts:
    b.lab.write("fw", "/etc/krb5.conf", b"[libdefaults\n  default_realm = X\n")
    b.helper_words(f"-d -k {KEYTAB}")
    return {**b.request(), "kinit.txt": b.kinit(host="fw")}


@case
def krb5_conf_not_readable(b: Bench) -> Texts:
    b.out("fw", "chmod 600 /etc/krb5.conf")
    b.helper_words(f"-d -k {KEYTAB}")
    return {**b.request(), "kinit.txt": b.out("fw", "su -s /bin/sh squid -c 'kinit x@X'")}


@case
def krb5_conf_without_aes(b: Bench) -> Texts:
    conf = b.lab.read("fw", "/etc/krb5.conf") + b"  permitted_enctypes = arcfour-hmac\n  allow_weak_crypto = true\n"
    b.lab.write("fw", "/etc/krb5.conf", conf)
    return b.request()


@case
def too_few_helpers(b: Bench) -> Texts:
    slow = '#!/bin/sh\nwhile read -r l; do sleep 0.3; echo "$l"; done | /usr/lib/squid/negotiate_kerberos_auth "$@"\n'
    b.lab.write("fw", HELPER, slow.encode(), mode=0o755)
    b.conf("children 40 startup=0 idle=1", "children 2 startup=2 idle=1")
    b.restart()
    b.kinit()
    b.out(
        "ws",
        f"seq 12 | xargs -P 12 -I X curl -s --proxy-negotiate -U : -x http://{PROXY}:3128 -o /dev/null http://www.dropbox.com/X",
    )
    return {"cache.log": b.log()}


@case
def too_many_in_the_queue(b: Bench) -> Texts:
    slow = "#!/bin/sh\nexec sleep 20\n"
    b.lab.write("fw", HELPER, slow.encode(), mode=0o755)
    b.conf("children 40 startup=0 idle=1", "children 1 startup=1 idle=1 queue-size=2")
    b.restart()
    b.kinit()
    many = (
        f"-P {{}} -I X curl -s -m 4 --proxy-negotiate -U : -x http://{PROXY}:3128 -o /dev/null http://www.dropbox.com/X"
    )
    b.out("ws", f"seq 8 | xargs {many.format(8)}")
    b.out("ws", "sleep 1; true")
    return {"cache.log": b.log()}


@case
def squid_killed(b: Bench) -> Texts:
    """What it left belongs to somebody else, as after a start by hand: only then the next one stumbles over it."""
    b.out("fw", f"{KILL_SQUID}; sleep 0.5; chown root:root /dev/shm/squid-*; rm -f {LOGS}/* {PID}")
    b.out("fw", f"squid -f {SQUID_CONF}; sleep 2")
    return {"cache.log": b.log()}


@case
def squid_port_taken(b: Bench) -> Texts:
    b.out(
        "fw", f"squid -f {SQUID_CONF} -k shutdown; sleep 1.5; rm -f {LOGS}/* /dev/shm/squid-* /var/run/squid/squid.pid"
    )
    b.out("fw", "setsid python3 -m http.server --bind 10.77.0.1 3128 >/dev/null 2>&1 & sleep 1")
    b.out("fw", f"squid -f {SQUID_CONF}; sleep 2")
    return {"cache.log": b.log()}


@case
def squid_twice(b: Bench) -> Texts:
    return {"cache.log": b.out("fw", f"squid -f {SQUID_CONF}; sleep 0.5")}


@case
def squid_down(b: Bench) -> Texts:
    b.stop()
    b.kinit()
    return {"cache.log": b.out("fw", f"squid -f {SQUID_CONF} -k reconfigure"), "client.txt": b.curl()}


@case
def squid_disk_full(b: Bench) -> Texts:
    b.stop()
    b.out("fw", f"mount -t tmpfs -o size=64k,mode=777 tmpfs {LOGS}; head -c 60000 /dev/zero > {LOGS}/full")
    said = b.out("fw", f"timeout 3 squid -f {SQUID_CONF} -N -d 1; head -c 90000 /dev/zero > {LOGS}/more")
    return {"cache.log": said}


def _parse(b: Bench, old: str, new: str) -> Texts:
    b.conf(old, new)
    said = b.out("fw", f"squid -f {SQUID_CONF} -k parse; echo status $?")
    return {"cache.log": "".join(line + "\n" for line in said.splitlines() if "Processing:" not in line)}


@case
def parse_bungled(b: Bench) -> Texts:
    return _parse(b, "acl auth proxy_auth REQUIRED", "acl auth proxy_auth\nhttp_acess deny all\nhttp_port x:y")


@case
def parse_without_scheme(b: Bench) -> Texts:
    return _parse(b, "auth_param negotiate", "# auth_param negotiate")


@case
def parse_unknown_acl(b: Bench) -> Texts:
    return _parse(b, "http_access deny blocked", "http_access deny whitelist")


@case
def parse_unknown_code(b: Bench) -> Texts:
    return _parse(b, "logformat pfsquid ", "logformat pfsquid %{x}nonsense ")


@case
def parse_obsolete(b: Bench) -> Texts:
    return _parse(b, "http_access deny blocked", "dns_v4_first on\nhttp_access deny blocked")


@case
def parse_without_helper(b: Bench) -> Texts:
    return _parse(b, HELPER, "/usr/local/libexec/squid/negotiate_wrong")


@case
def helper_not_executable(b: Bench) -> Texts:
    b.out("fw", f"chmod 0644 {HELPER}")
    parsed = _parse(b, "acl auth", "acl auth")["cache.log"]
    return {"cache.log": parsed + b.request()["cache.log"]}


@case
def proxy_name_unknown(b: Bench) -> Texts:
    return {"client.txt": b.curl(name="nowhere.example")}
