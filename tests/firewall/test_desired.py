"""What a firewall should be, from the configuration: the block, the files, and all that is left alone."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pfsquid.errors import PfsquidError
from pfsquid.firewall.desired import BEGIN, END, block_in, decoded, encoded, with_block, with_overrides
from pfsquid.settings import DnsSettings, ExemptSettings, HelperSettings, KerberosSettings, ProxySettings
from tests.firewall.conftest import KERBEROS, wanted

FOREIGN = "# théirs\r\nacl theirs src 10.9.0.0/16\r\n\r\nhttp_access deny theirs\r\n"


def test_the_block_asks_for_kerberos_and_denies_who_has_no_ticket() -> None:
    lines = wanted().block.splitlines()
    assert lines[0] == BEGIN
    assert lines[-1] == END
    helper = "/usr/local/libexec/squid/negotiate_kerberos_auth"
    keytab = "/usr/local/etc/squid/pfsquid-20261124T080000.keytab"
    spn = "HTTP/proxy.lab.pfsquid.test@LAB.PFSQUID.TEST"
    assert f"auth_param negotiate program {helper} -k {keytab} -s {spn} -t none" in lines
    assert "http_access deny !pfsquid_person" in lines
    assert not any(line.startswith("http_access allow") for line in lines)


def test_squid_says_in_cache_log_what_goes_wrong_unless_told_not_to() -> None:
    assert wanted().block.splitlines()[1] == "debug_options ALL,1 rotate=0"
    assert "debug_options" not in wanted(ProxySettings(cache_log=False)).block


def test_exempt_sites_and_sources_are_not_asked_and_stay_under_the_packages_rules() -> None:
    exempt = ExemptSettings(sites=(".windowsupdate.com",), sources=("10.1.2.0/24",))
    lines = wanted(ProxySettings(exempt=exempt)).block.splitlines()
    assert "http_access deny !pfsquid_open_site !pfsquid_open_source !pfsquid_person" in lines
    assert "acl pfsquid_open_site dstdomain .windowsupdate.com" in lines
    assert "acl pfsquid_open_source src 10.1.2.0/24" in lines


def test_blocked_sites_are_denied_before_anybody_is_asked() -> None:
    lines = wanted(ProxySettings(blocked=(".pastebin.com",))).block.splitlines()
    assert lines.index("http_access deny pfsquid_blocked") < lines.index("http_access deny !pfsquid_person")


def test_groups_are_told_by_the_sids_that_tickets_carry() -> None:
    # The binary form was seen in the note of a real helper: Samba AD, Squid 5.7.
    sid = "S-1-5-21-2592272889-3721700642-3094187091-1113"
    block = wanted(ProxySettings(groups=(sid,))).block
    assert "acl pfsquid_member note group AQUAAAAAAAUVAAAA+fGCmiKl1N1TjG24WQQAAA==\n" in block
    # Without `all` at the end Squid would ask a person who is no member for another ticket, for ever.
    assert "http_access deny !pfsquid_member all\n" in block


def test_aes_only_by_default_and_weak_enctypes_only_when_named() -> None:
    text = wanted().files[1].content.decode()
    assert "permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96\n" in text
    assert "allow_weak_crypto" not in text
    weak = KERBEROS.model_copy(update={"enctypes": ("aes256-sha1", "rc4-hmac")})
    text = wanted(kerberos=weak).files[1].content.decode()
    assert "arcfour-hmac" in text
    assert "allow_weak_crypto = true" in text


def test_the_keytab_is_for_squids_user_alone() -> None:
    keytab = wanted().files[0]
    assert (keytab.owner, keytab.mode, keytab.secret) == ("squid", 0o400, True)


@pytest.mark.lab
@pytest.mark.usefixtures("lab")  # which brings klist
def test_krb5_conf_is_read_by_mit_kerberos(tmp_path: Path) -> None:
    kdcs = KERBEROS.model_copy(update={"kdcs": ("dc1.lab.pfsquid.test", "10.77.0.10")})
    (tmp_path / "krb5.conf").write_bytes(wanted(kerberos=kdcs).files[1].content)
    klist = subprocess.run(
        ["klist", "-k", str(tmp_path / "none")],
        env={"KRB5_CONFIG": str(tmp_path / "krb5.conf"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "not found" in klist.stderr or "No such file" in klist.stderr, klist.stderr


@pytest.mark.parametrize("field", ["", encoded(FOREIGN), encoded("no end of line")])
def test_other_lines_of_the_field_stay_byte_for_byte(field: str) -> None:
    block = wanted().block
    once = with_block(field, block)
    assert block_in(once) == block
    assert decoded(once).startswith(decoded(field))
    assert with_block(once, block) == once
    newer = with_block(once, f"{BEGIN}\nnew\n{END}")
    assert block_in(newer) == f"{BEGIN}\nnew\n{END}"
    assert decoded(newer).startswith(decoded(field))


def test_lines_on_both_sides_of_the_block_stay_when_it_goes() -> None:
    both = with_block(encoded(FOREIGN), wanted().block)
    both = encoded(decoded(both) + "# after\r\n")
    assert decoded(with_block(both, None)) == FOREIGN + "# after\r\n"


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_a_field_of_any_bytes_survives(raw: bytes) -> None:
    field = base64.b64encode(raw).decode()
    if BEGIN.encode() not in raw:
        assert base64.b64decode(with_block(field, wanted().block)).startswith(raw)


@pytest.mark.parametrize(
    "lines",
    [
        f"{BEGIN}\r\nacl a src all\r\n# theirs\r\n",
        f"# theirs\r\n{END}\r\n",
        f"{END}\r\n# theirs\r\n{BEGIN}\r\n",
        f"{BEGIN}\r\n{END}\r\n# theirs\r\n{BEGIN}\r\n{END}\r\n",
    ],
)
def test_damaged_marks_are_told_and_no_line_between_them_is_lost(lines: str) -> None:
    with pytest.raises(PfsquidError, match="are damaged"):
        with_block(encoded(lines), wanted().block)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.text(max_size=60), st.text(max_size=60))
def test_the_block_comes_and_goes_between_any_lines(before: str, after: str) -> None:
    field = encoded(f"{before}\r\n{BEGIN}\r\nold\r\n{END}\r\n{after}")
    with_new = with_block(field, wanted().block)
    assert block_in(with_new) == wanted().block
    assert decoded(with_block(with_new, None)) == f"{before}\r\n{after}"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(max_size=30))
def test_any_accepted_value_is_one_word_or_one_name_and_nothing_more(text: str) -> None:
    usual = {"realm": "R", "proxy": "p.example", "keytab": "k"}
    for field in ("realm", "proxy", "krb5_conf", "log", "kdcs"):
        value: object = (text,) if field == "kdcs" else text
        try:
            made = KerberosSettings.model_validate({**usual, field: value})
        except ValidationError:
            continue
        accepted = getattr(made, field)
        for word in accepted if isinstance(accepted, tuple) else (accepted,):
            assert not set(word) & set(" \t\r\n\"'`$!#;\\{}()<>|&*?[]=,"), word
            assert word.isascii()


@pytest.mark.parametrize(
    "text",
    ["Proxy Users", "S-1-5", "S-1-5-21-4294967296-1", "S-1-5-21-1\n", "s-1-5-21-1", "S-1-5-21-١", "S-2-5-21-1", ""],
)
def test_a_group_that_is_no_sid_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must be the SID"):
        ProxySettings(groups=(text,))


def test_entries_of_other_zones_stay_as_and_where_they_are() -> None:
    theirs = {"domain": "foreign.example", "ip": "192.0.2.1", "descr": "d", "tls_hostname": "", "extra": "x"}
    ours = {"domain": "lab.example", "ip": "10.0.0.1", "descr": "kept", "tls_hostname": ""}
    wrong = {"domain": "lab.example", "ip": "10.9.9.9", "descr": "old", "tls_hostname": ""}
    after = with_overrides([wrong, theirs, ours], {"lab.example": ("10.0.0.1", "10.0.0.2")})
    assert after[0] == theirs
    assert after[1] == ours
    assert [entry["ip"] for entry in after] == ["192.0.2.1", "10.0.0.1", "10.0.0.2"]
    assert all(next(iter(entry)) == "domain" for entry in after)


INJECTIONS = [
    "x\nhttp_access allow all",
    'x" y',
    "x y",
    "x#y",
    "$(id)",
    "`id`",
    "x;y",
    "x!y",
    "ü",
    "x\r\ny",
    "x\x00y",
    "../x",
    "-x",
    "",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_values_that_could_mean_more_than_they_say_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        KerberosSettings(realm="LAB.EXAMPLE", proxy=text, keytab=Path("k"))
    with pytest.raises(ValidationError):
        KerberosSettings(realm=text, proxy="proxy.lab.example", keytab=Path("k"))
    with pytest.raises(ValidationError):
        ExemptSettings(sites=(text,))
    with pytest.raises(ValidationError):
        ProxySettings(blocked=(text,))
    with pytest.raises(ValidationError):
        ExemptSettings(sources=(text,))
    with pytest.raises(ValidationError):
        DnsSettings(servers=(text,))
    with pytest.raises(ValidationError):
        HelperSettings(path=text)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(max_size=40))
def test_any_accepted_site_makes_exactly_one_line(text: str) -> None:
    try:
        exempt = ExemptSettings(sites=(text,))
    except ValidationError:
        return
    plain, with_site = wanted().block.splitlines(), wanted(ProxySettings(exempt=exempt)).block.splitlines()
    assert len(with_site) == len(plain) + 1
