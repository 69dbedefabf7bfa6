"""No token, credential, password or key survives; what a person needs for a diagnosis does."""

from __future__ import annotations

import base64
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfsquid.kerberos.redact import REMOVED, redact

TOKEN = base64.b64encode(random.Random(1).randbytes(1500)).decode()
KEYTAB = base64.b64encode(b"\x05\x02" + random.Random(2).randbytes(90)).decode()


@pytest.mark.parametrize(
    "line",
    [
        "negotiate_kerberos_auth: DEBUG: Got 'YR {}' from squid (length: 2063).",
        "negotiate_kerberos_auth: DEBUG: Got 'KK {}' from squid (length: 2063).",
        "negotiate_kerberos_auth: DEBUG: Decode '{}' (decoded length estimate: 1545).",
        "negotiate_kerberos_auth: DEBUG: OK token={} user=rick.sanchez@LAB.EXAMPLE",
        "OK token={} user=rick.sanchez@LAB.EXAMPLE group=AQUAAAAAAAU=",
        "AF {} rick.sanchez@LAB.EXAMPLE",
        "Token: {}",
        "Proxy-Authorization: Negotiate {}",
        "> Proxy-Authorization: Negotiate {}",
        "{{'Proxy-Authorization': 'Negotiate {}'}}",
        "< Proxy-Authenticate: Negotiate {}",
        "Authorization: Bearer {}",
        "Proxy-Authorization: NTLM {}",
        "received {} from a client",
        "a keytab pasted into a ticket: {}",
    ],
)
@pytest.mark.parametrize("secret", [TOKEN, TOKEN[:400], TOKEN[:60], KEYTAB, TOKEN.replace("/", "_").replace("+", "-")])
def test_a_token_never_survives(line: str, secret: str) -> None:
    redacted = redact(line.format(secret))
    assert REMOVED in redacted
    assert not any(secret[start : start + 12] in redacted for start in range(0, len(secret) - 12, 4))


@pytest.mark.parametrize("pair", ["rick:Wubba", "a:b", "rick.sanchez@lab.example:Wubba-Lubba-1!", ":x", "rené:é"])
@pytest.mark.parametrize(
    "line", ["WARNING: Unsupported or unconfigured/inactive proxy-auth scheme, 'Basic {}'", "basic {}"]
)
def test_basic_credentials_never_survive(line: str, pair: str) -> None:
    secret = base64.b64encode(pair.encode()).decode()
    assert secret.rstrip("=") not in redact(line.format(secret))


@pytest.mark.parametrize(
    "short", ["Negotiate YIIG", "NTLM TlRMTVNTUAAB", "Basic YTpi", "Digest username=x, response=y"]
)
def test_a_header_loses_everything_but_its_scheme(short: str) -> None:
    assert redact(f"Proxy-Authorization: {short}") == f"Proxy-Authorization: {short.split()[0]} {REMOVED}"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("ktpass /princ HTTP/p@R /pass Secret1! /out x", "Secret1!"),
        ("ldapsearch password=Secret1! x", "Secret1!"),
        ("unicodePwd:: IgBTAGUAYwByAGUAdAAiAA==", "IgBTAGUA"),
        ("http://rick:Secret1!@proxy.lab.example/", "Secret1!"),
        ("2 HTTP/p@R (aes256-cts-hmac-sha1-96) (0x8846f7eaee8fb117ad06bdd830b7586c)", "8846f7ea"),
        ("key 8846f7eaee8fb117ad06bdd830b7586c8846f7eaee8fb117ad06bdd830b7586c", "8846f7ea"),
        ("Cookie: session=abc", "abc"),
    ],
)
def test_passwords_keys_and_cookies_do_not_survive(line: str, secret: str) -> None:
    assert secret not in redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: Negotiate Authentication validating user. Result: {result=BH, notes={message: x; }}",
        "WARNING: received type 1 NTLM token",
        "Basic authentication is off; basic auth realm",
        "AF rick.sanchez@LAB.EXAMPLE",
        "kinit: Password incorrect while getting initial credentials",
        "Password for rick.sanchez@LAB.EXAMPLE: ",
        "Request ticket server HTTP/p.lab.example@LAB.EXAMPLE kvno 6 not found in keytab; keytab is likely out of date",
        "keytab file /usr/local/etc/squid/pfsquid/proxy.lab.example.keytab is not accessible",
        "80090308: LdapErr: DSID-0C090453, comment: AcceptSecurityContext error, data 52e, v4563",
        "1 HTTP/proxy.lab.example@LAB.EXAMPLE (aes256-cts-hmac-sha1-96)",
        "/usr/local/libexec/squid/negotiate/kerberos/auth/somewhere/deep/below",
        "Invalid negotiate request [YR ]",
    ],
)
def test_what_a_diagnosis_needs_stays(line: str) -> None:
    assert redact(line) == line


def test_the_terminal_is_not_spoken_to() -> None:
    assert redact("a\x1b[2Jb\x00\u202ec\r\nd") == "a?[2Jb??c\r\nd"


@given(st.text(max_size=300))
def test_redaction_is_done_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "word", ["a", " ", "A1b", "YR ", "://a:", "Basic ", "password=", "Negotiate ", "0x", "Cookie:", "token="]
)
def test_a_megabyte_takes_little_time(word: str) -> None:
    begin = time.process_time()
    redact(word * (1_000_000 // len(word)))
    assert time.process_time() - begin < 3
