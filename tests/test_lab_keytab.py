"""`pfsquid keytab` against a real Active Directory (Samba), and its keytabs by MIT's programs."""

from __future__ import annotations

import getpass
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pfsquid.kerberos import enrol
from pfsquid.kerberos.keytabs import held
from pfsquid.kerberos.principal import parse_principal
from tests.firewall.at_work import Desk, Ran, desk_in
from tests.lab import dc
from tests.lab.fixture import Lab
from tests.lab.layout import ADMIN_PASSWORD, BASE_DN, DC, DOMAIN, PERSON_PASSWORD, REALM

pytestmark = pytest.mark.lab

HOST = f"kt.{DOMAIN}"
SERVICE = f"HTTP/{HOST}"
SPN = parse_principal(SERVICE, REALM)
ACCOUNT = "svc_kt"
DN = f"CN={ACCOUNT},CN=Users,{BASE_DN}"  # a name would find what was deleted before, too
OU = f"OU=Kt Services,{BASE_DN}"


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Iterator[Desk]:
    """A desk with a service of its own; its account is gone afterwards."""
    desk = desk_in(tmp_path, lab)
    (tmp_path / "ca.pem").write_bytes(lab.read("dc", dc.CA))
    written(desk)
    yield desk
    lab.exec("dc", ["samba-tool", "user", "delete", ACCOUNT])


def written(desk: Desk, account: str = ACCOUNT, **directory: Any) -> None:
    """The configuration, with other words about the directory."""
    usual = {"ca": "ca.pem", "user": "Administrator", "password": "env:PW"}
    desk.write(
        firewall=None,
        kerberos={"proxy": HOST, "account": account, "keytab": "kt.keytab"},
        directory={key: value for key, value in {**usual, **directory}.items() if value is not None},
    )


def run(desk: Desk, *words: str, password: str = ADMIN_PASSWORD, fault: Callable[[], object] | None = None) -> Ran:
    return desk("keytab", *words, environment={"PW": password}, fault=fault)


def done(desk: Desk, *words: str) -> Ran:
    ran = run(desk, *words)
    assert ran.status == 0, ran.err
    return ran


def path(desk: Desk) -> Path:
    return desk.folder / "kt.keytab"


def shown(desk: Desk, account: str = DN) -> dict[str, list[str]]:
    """What the directory has of the account."""
    found: dict[str, list[str]] = dc.live(desk.lab.state, ["show", account, "*", "msDS-KeyVersionNumber"])[0]
    return found


def kvnos(desk: Desk) -> list[int]:
    return list(dict.fromkeys(one.kvno for one in held(path(desk)).of(SPN)))


def taken_by_mit(desk: Desk, account: str = ACCOUNT) -> str:
    """MIT's programs take the keytab: list it, get a ticket for the service, open it. What kvno says."""
    lab = desk.lab
    lab.write("ws", "/root/kt.keytab", path(desk).read_bytes(), mode=0o600)
    listed = lab.sh("ws", "klist -kte /root/kt.keytab")
    assert f"{SERVICE}@{REALM} (aes256-cts-hmac-sha1-96)" in listed
    assert f"{SERVICE}@{REALM} (aes128-cts-hmac-sha1-96)" in listed
    login = f"kdestroy -q; echo '{PERSON_PASSWORD}' | kinit rick.sanchez >/dev/null; "
    return lab.sh("ws", f"{login} kvno -k /root/kt.keytab {SERVICE} && kvno -e aes128-cts -k /root/kt.keytab {SERVICE}")


def test_account_and_keytab_are_made_and_mit_takes_them(desk: Desk) -> None:
    ran = done(desk, "create")
    account = shown(desk)
    assert account["servicePrincipalName"] == [SERVICE]
    assert account["msDS-SupportedEncryptionTypes"] == ["24"]
    assert account["userAccountControl"] == ["66048"]
    assert stat.S_IMODE(path(desk).stat().st_mode) == 0o600
    assert f"kvno = {account['msDS-KeyVersionNumber'][0]}, keytab entry valid" in taken_by_mit(desk)
    assert not {"kt.keytab"} - {one.name for one in desk.folder.iterdir()}
    assert ran.out == ""


def test_a_second_run_changes_nothing(desk: Desk) -> None:
    done(desk, "create")

    def state() -> tuple[object, ...]:
        told = shown(desk)
        kept = ("pwdLastSet", "msDS-KeyVersionNumber", "userAccountControl", "servicePrincipalName", "whenChanged")
        return path(desk).read_bytes(), path(desk).stat().st_mtime_ns, *(told[name] for name in kept)

    before = state()
    assert "right already" in done(desk, "create").err
    assert state() == before


def test_an_account_that_is_there_is_adopted_when_asked_to(desk: Desk) -> None:
    done(desk, "create")
    path(desk).unlink()
    ran = run(desk, "create")
    assert ran.status == 1
    assert "--adopt" in ran.err
    done(desk, "create", "--adopt")
    assert kvnos(desk) == [3]
    assert "keytab entry valid" in taken_by_mit(desk)


def test_an_adopted_account_is_mended_whatever_ails_it(desk: Desk) -> None:
    done(desk, "create")
    dc.live(
        desk.lab.state,
        ["flags", DN, 0x2 | 0x20 | 0x200000, 0x10000],
        ["replace", DN, "msDS-SupportedEncryptionTypes", "4"],
        ["replace", DN, "servicePrincipalName", "HTTP/elsewhere"],
    )
    done(desk, "create", "--adopt")
    account = shown(desk)
    assert account["userAccountControl"] == ["66048"]
    assert account["msDS-SupportedEncryptionTypes"] == ["24"]
    assert set(account["servicePrincipalName"]) == {"HTTP/elsewhere", SERVICE}
    assert "keytab entry valid" in taken_by_mit(desk)


def test_another_upn_makes_another_salt_and_the_keytab_is_right(desk: Desk) -> None:
    done(desk, "create")
    dc.live(desk.lab.state, ["replace", DN, "userPrincipalName", f"{SERVICE}@{DOMAIN}"])
    path(desk).unlink()
    done(desk, "create", "--adopt")
    assert "keytab entry valid" in taken_by_mit(desk)
    dc.live(desk.lab.state, ["replace", DN, "userPrincipalName", f"other.name@{DOMAIN}"])
    ran = done(desk, "rotate", "--yes", "--no-configure")
    assert "otherwise than foretold" not in ran.err
    assert kvnos(desk) == [4, 3]
    assert "keytab entry valid" in taken_by_mit(desk)


def test_names_with_spaces_and_other_folders_do(desk: Desk) -> None:
    lab = desk.lab
    lab.sh("dc", f"samba-tool ou add '{OU}'")
    written(desk, account="svc kt ü")
    try:
        assert f"CN=svc kt ü,{OU} was made" in done(desk, "create", "--in", OU).err
        assert "keytab entry valid" in taken_by_mit(desk)
    finally:
        lab.exec("dc", ["samba-tool", "user", "delete", "svc kt ü"])
        lab.exec("dc", ["samba-tool", "ou", "delete", OU])


def test_an_spn_on_another_account_stops_it_with_name_and_cure(desk: Desk) -> None:
    dc.live(desk.lab.state, ["add", "jerry.smith", "servicePrincipalName", SERVICE.replace("kt.", "KT.")])
    try:
        ran = run(desk, "create")
    finally:
        dc.live(desk.lab.state, ["replace", "jerry.smith", "servicePrincipalName"])
    assert ran.status == 1
    assert "CN=jerry.smith,CN=Users" in ran.err
    assert f"setspn -D HTTP/KT.{DOMAIN} jerry.smith" in ran.err
    assert not path(desk).exists()


@pytest.mark.parametrize(
    ("directory", "password", "told"),
    [
        ({}, "wrong", "wrong user name or password"),
        ({"user": "rick.sanchez"}, PERSON_PASSWORD, "no right to do that"),
        ({"ca": None}, ADMIN_PASSWORD, "is not trusted by what this machine trusts"),
        ({"port": 389}, ADMIN_PASSWORD, "does not speak TLS"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_changed(
    desk: Desk, directory: dict[str, Any], password: str, told: str
) -> None:
    written(desk, **directory)
    ran = run(desk, "create", password=password)
    assert ran.status == 1
    assert told in ran.err
    assert "next:" in ran.err
    assert not path(desk).exists()
    assert desk.lab.exec("dc", ["samba-tool", "user", "show", ACCOUNT]).returncode != 0


def test_starttls_does_as_well_and_the_password_is_asked_for(desk: Desk) -> None:
    written(desk, tls="starttls", password=None)

    def fault() -> None:  # the real one throws away what was typed before it asks
        getpass.getpass = lambda prompt: input(prompt)  # type: ignore[misc,assignment]

    ran = desk("keytab", "create", typed=f"{ADMIN_PASSWORD}\n", fault=fault)
    assert ran.status == 0, ran.err
    assert ADMIN_PASSWORD not in ran.err + ran.out
    assert kvnos(desk) == [2]


def test_a_full_disk_is_found_before_the_password_is_changed(desk: Desk) -> None:
    done(desk, "create")
    before = path(desk).read_bytes()

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    ran = run(desk, "rotate", "--yes", "--no-configure", fault=no_room)
    assert ran.status == 1
    assert "nothing was changed" in ran.err
    assert path(desk).read_bytes() == before
    assert shown(desk)["msDS-KeyVersionNumber"] == ["2"]
    assert sorted(one.name for one in desk.folder.iterdir() if "kt.keytab" in one.name) == ["kt.keytab"]


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_between_password_and_file_the_next_run_goes_on(desk: Desk) -> None:
    def fault() -> None:
        vars(enrol)["derived"] = killed

    assert run(desk, "create", fault=fault).status == -9
    assert not path(desk).exists()
    again = run(desk, "create")
    assert again.status == 1
    assert "--adopt" in again.err
    done(desk, "create", "--adopt")
    assert "keytab entry valid" in taken_by_mit(desk)


def test_rotated_twice_all_tickets_in_use_are_opened(desk: Desk) -> None:
    lab = desk.lab
    done(desk, "create")
    caches = ["/root/kt.first", "/root/kt.second"]
    lab.sh(
        "ws", f"echo '{PERSON_PASSWORD}' | kinit -c {caches[0]} morty.smith >/dev/null; kvno -c {caches[0]} {SERVICE}"
    )
    done(desk, "rotate", "--yes", "--no-configure")
    lab.sh(
        "ws", f"echo '{PERSON_PASSWORD}' | kinit -c {caches[1]} beth.smith >/dev/null; kvno -c {caches[1]} {SERVICE}"
    )
    ran = done(desk, "rotate", "--yes", "--no-configure")
    assert kvnos(desk) == [4, 3, 2]
    assert "kvno 2, 3 stays" in ran.err
    assert "keytab entry valid" in taken_by_mit(desk)
    for cache, kvno in zip(caches, (2, 3), strict=True):
        said = lab.sh("ws", f"kvno -c {cache} -k /root/kt.keytab {SERVICE}")
        assert f"kvno = {kvno}, keytab entry valid" in said


def test_drop_is_refused_while_tickets_may_be_in_use_and_done_afterwards(desk: Desk) -> None:
    done(desk, "create")
    done(desk, "rotate", "--yes", "--no-configure")
    early = run(desk, "rotate", "--drop", "--yes", "--no-configure")
    assert early.status == 1
    assert "too early" in early.err
    assert kvnos(desk) == [3, 2]
    dc.live(desk.lab.state, ["replace", DN, "pwdLastSet", "-40000 s"])
    done(desk, "rotate", "--drop", "--yes", "--no-configure")
    assert kvnos(desk) == [3]
    assert "keytab entry valid" in taken_by_mit(desk)


def test_a_keytab_that_went_stale_is_not_rotated(desk: Desk) -> None:
    done(desk, "create")
    before = path(desk).read_bytes()
    dc.live(desk.lab.state, ["password", ACCOUNT, "Somebody-Else-1!"])
    ran = run(desk, "rotate", "--yes", "--no-configure")
    assert ran.status == 1
    assert "has not the present key" in ran.err
    assert path(desk).read_bytes() == before


def test_mit_logs_in_with_the_key_under_the_accounts_name(desk: Desk) -> None:
    """The key is the account's: with the account's name on it, `kinit -k` takes it."""
    from dataclasses import replace

    from pfsquid.kerberos.keytab import dump
    from pfsquid.kerberos.principal import Principal

    done(desk, "create")
    renamed = [replace(one, principal=Principal((ACCOUNT,), REALM)) for one in held(path(desk)).of(SPN)]
    desk.lab.write("ws", "/root/kt.account", dump(renamed), mode=0o600)
    assert f"{ACCOUNT}@{REALM}" in desk.lab.sh("ws", f"kdestroy -q; kinit -k -t /root/kt.account {ACCOUNT} && klist")


def test_no_ldap_password_or_key_is_told(desk: Desk) -> None:
    ran = done(desk, "create")
    more = done(desk, "rotate", "--yes", "--no-configure")
    table = done(desk, "show")
    told = ran.err + ran.out + more.err + more.out + table.out
    assert ADMIN_PASSWORD not in told
    for entry in held(path(desk)).entries:
        assert entry.key.value.hex() not in told
    assert DC.fqdn not in table.out
