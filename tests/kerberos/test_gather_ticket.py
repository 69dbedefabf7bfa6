"""Whose ticket is tried, in which order; a password that was refused is never tried again; which way to the KDC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from pfsquid.errors import WrongUse
from pfsquid.firewall.pfsense import Pfsense
from pfsquid.firewall.probes import Answer, Question
from pfsquid.kerberos import ccache, gather_directory, gather_ticket, keytab
from pfsquid.kerberos.check import NotAsked, Waiting
from pfsquid.kerberos.directory import Kind, LdapProblem
from pfsquid.kerberos.enctypes import Key
from pfsquid.kerberos.facts import Refusal
from pfsquid.kerberos.facts_proxy import Service
from pfsquid.kerberos.gather_ticket import Credentials, Refused, credentials, exchange, for_proxy, fresh_token, log_in
from pfsquid.kerberos.kdc import NoKdc
from pfsquid.kerberos.principal import parse_principal
from pfsquid.kerberos.spnego import TokenKind, kind_of
from pfsquid.settings import DirectorySettings, VerifySettings
from tests.kerberos.made import DC1_AT, DC2_AT, REALM, WHO, asked, entry, kdcs, keys, names, tgt
from tests.kerberos.small_kdc import SmallKdc

NOBODY = cast(Pfsense, None)
PASSWORD = "Wubba-Lubba-1!"
READER: dict[str, Any] = {"user": f"reader@{REALM}", "password": "file:reader"}
RICK: dict[str, Any] = {"user": "rick.sanchez", "password": "file:rick"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, secret in (("reader", "Reader-1!"), ("rick", PASSWORD)):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(secret, "utf-8")
    return tmp_path


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[..., dict[str, str]]:
    """Puts a ticket into the caller's cache: gives the environment that leads there."""

    def put(who: str = f"morty.smith@{REALM}", **other: Any) -> dict[str, str]:
        held = ccache.Cache(parse_principal(who, REALM), (tgt(**other),))
        (folder / "cache").write_bytes(b"a cache")
        monkeypatch.setattr(ccache, "read", lambda _data: held)
        return {"KRB5CCNAME": f"FILE:{folder / 'cache'}"}

    return put


def whose(folder: Path, environment: Mapping[str, str] | None = None, **sections: dict[str, Any]) -> Credentials:
    nothing = {"KRB5CCNAME": f"FILE:{folder / 'none'}"}
    verify, directory = (sections.get(name, {}) for name in ("verify", "directory"))
    return credentials(
        asked(), VerifySettings(**verify), DirectorySettings(**directory), folder, environment or nothing
    )


# ---- whose


def test_the_person_of_the_configuration_comes_first(folder: Path, own: Callable[..., dict[str, str]]) -> None:
    one = whose(folder, own(), verify=RICK, directory=READER)
    assert (str(one.principal), one.source, one.password) == (WHO, "verify.password", PASSWORD)


def test_a_keytab_of_that_person_comes_before_the_password(folder: Path) -> None:
    (folder / "rick.keytab").write_bytes(
        keytab.dump([entry(18, 3, WHO), entry(18, 4, WHO), entry(17, 4, WHO), entry()])
    )
    one = whose(folder, verify={**RICK, "keytab": "rick.keytab"})
    assert (one.password, [key.enctype for key in one.keys]) == (None, [18, 17])


@pytest.mark.parametrize(
    ("content", "word"), [(None, "cannot be read"), (b"", "it is empty"), (keytab.dump([entry()]), f"no key of {WHO}")]
)
def test_a_keytab_that_is_of_no_use_is_said_to_be_so(folder: Path, content: bytes | None, word: str) -> None:
    if content is not None:
        (folder / "rick.keytab").write_bytes(content)
    with pytest.raises(NotAsked, match=word):
        whose(folder, verify={"user": "rick.sanchez", "keytab": "rick.keytab"})


def test_ones_own_ticket_comes_before_the_account_of_the_directory(
    folder: Path, own: Callable[..., dict[str, str]]
) -> None:
    one = whose(folder, own(), directory=READER)
    assert (str(one.principal), one.source) == (f"morty.smith@{REALM}", f"ticket cache {folder / 'cache'}")


def test_the_account_of_the_directory_comes_before_a_ticket_that_has_ended(
    folder: Path, own: Callable[..., dict[str, str]]
) -> None:
    environment = own(ends=datetime.now(UTC) - timedelta(hours=1))
    assert whose(folder, environment, directory=READER).source == "directory.password"


def test_a_ticket_that_has_ended_is_better_than_none(folder: Path, own: Callable[..., dict[str, str]]) -> None:
    one = whose(folder, own(ends=datetime.now(UTC) - timedelta(hours=1)))
    told = log_in(one, SmallKdc({}), Refused())
    assert (told.tgt, told.code, told.error.startswith("it ended at")) == (None, 32, True)


def test_a_ticket_ends_by_the_clock_of_the_kdc(folder: Path, own: Callable[..., dict[str, str]]) -> None:
    one = whose(folder, own(ends=datetime.now(UTC) + timedelta(minutes=1), offset=timedelta(minutes=5)))
    assert log_in(one, SmallKdc({}), Refused()).code == 32


@pytest.mark.parametrize(
    "environment",
    [{"KRB5CCNAME": "KCM:"}, {"KRB5CCNAME": "DIR:/tmp"}, {"KRB5CCNAME": "KEYRING:x"}, {"KRB5CCNAME": "/nowhere"}],
)
def test_a_cache_that_is_no_file_is_nobodys_ticket(folder: Path, environment: dict[str, str]) -> None:
    with pytest.raises(NotAsked, match="nobody's ticket"):
        whose(folder, environment)


def test_a_file_that_is_no_cache_is_nobodys_ticket(folder: Path) -> None:
    with pytest.raises(NotAsked, match="nobody's ticket"):
        whose(folder, {"KRB5CCNAME": str(folder / "rick")})


@pytest.mark.parametrize(
    "other", [{"who": "rick@OTHER.EXAMPLE"}, {"server": parse_principal("krbtgt/OTHER.EXAMPLE", "OTHER.EXAMPLE")}]
)
def test_a_ticket_of_another_realm_is_nobodys(
    folder: Path, own: Callable[..., dict[str, str]], other: dict[str, Any]
) -> None:
    with pytest.raises(NotAsked, match="nobody's ticket"):
        whose(folder, own(**other))


@pytest.mark.parametrize("user", ["rick.sanchez", WHO, "rick.sanchez@lab.example", "LAB\\rick.sanchez"])
def test_a_person_is_the_same_however_they_are_written(folder: Path, user: str) -> None:
    assert str(whose(folder, verify={**RICK, "user": user}).principal) == WHO


@pytest.mark.parametrize("user", ["rick@OTHER.EXAMPLE", "CN=rick,DC=lab,DC=example", "a@b@c", "@LAB.EXAMPLE", "rick\\"])
def test_who_is_no_principal_of_the_realm_is_said_to_be_none(folder: Path, user: str) -> None:
    with pytest.raises(NotAsked, match=r"is no principal of LAB\.EXAMPLE"):
        whose(folder, verify={**RICK, "user": user})


@pytest.mark.parametrize("user", ["CN=reader,DC=lab,DC=example", "reader@corp.example"])
def test_an_account_of_the_directory_that_is_no_principal_tries_nothing(folder: Path, user: str) -> None:
    with pytest.raises(NotAsked, match="nobody's ticket"):
        whose(folder, directory={**READER, "user": user})


def test_a_password_that_is_not_there_is_an_error_of_the_configuration(folder: Path) -> None:
    with pytest.raises(WrongUse):
        whose(folder, verify={**RICK, "password": "file:nowhere"})


def test_no_password_and_no_key_is_in_a_repr(folder: Path) -> None:
    one = replace(whose(folder, verify=RICK), keys=(Key(18, PASSWORD.encode()),))
    assert PASSWORD not in repr(one)


# ---- a login, once


@dataclass
class Directory:
    """LDAP that refuses everybody; or takes them. tried: (user, password, address) of each login."""

    refuses: Kind | None = Kind.BAD_PASSWORD
    tried: list[tuple[str, str, str]] = field(default_factory=list)

    @contextmanager
    def connect(self, site: Any, name: str, address: str) -> Iterator[Any]:
        self.tried.append((site.user, site.password, address))
        if self.refuses:
            raise LdapProblem(self.refuses, f"{name} refuses")
        self.name = name
        yield self


@pytest.fixture
def ldap(monkeypatch: pytest.MonkeyPatch) -> Directory:
    one = Directory()
    monkeypatch.setattr(gather_directory, "connect", one.connect)
    return one


def enter(folder: Path, refused: Refused, **directory: Any) -> gather_directory.Controllers:
    settings = DirectorySettings(**{**READER, **directory})
    with ExitStack() as stack:
        return gather_directory.controllers(asked(), settings, folder, names(ldap=names().kerberos), stack, refused)


def test_a_login_gives_a_ticket(folder: Path) -> None:
    told = log_in(whose(folder, verify=RICK), SmallKdc({"krbtgt": "x", "rick.sanchez": PASSWORD}), Refused())
    assert told.tgt
    assert (told.who, str(told.tgt.client), told.error) == (WHO, WHO, "")


def test_a_refused_password_is_not_sent_again_in_another_round_or_to_another_firewall(folder: Path) -> None:
    kdc, refused = SmallKdc({"krbtgt": "x", "rick.sanchez": "another"}), Refused()
    first = log_in(whose(folder, verify=RICK), kdc, refused)
    sent = len(kdc.seen)
    again = log_in(whose(folder, verify=RICK), kdc, refused)
    assert (first.code, again, len(kdc.seen)) == (24, first, sent)


def test_a_login_that_failed_for_another_reason_is_tried_again(folder: Path) -> None:
    kdc, refused = SmallKdc({"krbtgt": "x"}), Refused()
    assert log_in(whose(folder, verify=RICK), kdc, refused).code == 6
    kdc.accounts["rick.sanchez"] = PASSWORD
    assert log_in(whose(folder, verify=RICK), kdc, refused).tgt


def test_after_a_refused_password_no_other_controller_is_tried_with_it(folder: Path, ldap: Directory) -> None:
    found = enter(folder, Refused()).ldap
    assert len(ldap.tried) == 1
    assert [one.kind for one in found.refused.values()] == ["bad_password", "bad_password"]


def test_after_a_refused_password_no_later_round_tries_it(folder: Path, ldap: Directory) -> None:
    refused = Refused()
    for user in (f"reader@{REALM}", f"READER@{REALM}"):
        enter(folder, refused, user=user)
    assert len(ldap.tried) == 1


def test_what_is_wrong_with_the_way_there_is_tried_again(folder: Path, ldap: Directory) -> None:
    ldap.refuses, refused = Kind.UNREACHABLE, Refused()
    enter(folder, refused)
    enter(folder, refused)
    assert len(ldap.tried) == 4


def test_a_password_that_the_directory_refused_is_not_sent_to_a_kdc(folder: Path, ldap: Directory) -> None:
    kdc, refused = SmallKdc({"reader": "another"}), Refused()
    enter(folder, refused)
    with pytest.raises(Waiting) as waiting:
        log_in(whose(folder, directory=READER), kdc, refused)
    assert (waiting.value.code, kdc.seen) == ("ldap-login", [])


def test_the_same_password_under_another_key_of_the_configuration_is_known_to_be_refused(
    folder: Path, ldap: Directory
) -> None:
    kdc, refused = SmallKdc({"reader": "another"}), Refused()
    enter(folder, refused)
    with pytest.raises(Waiting):
        log_in(whose(folder, verify={"user": "reader", "password": "file:reader"}, directory=READER), kdc, refused)
    assert kdc.seen == []


def test_a_password_that_a_kdc_refused_is_not_sent_to_the_directory(folder: Path, ldap: Directory) -> None:
    refused = Refused()
    assert log_in(whose(folder, directory=READER), SmallKdc({"krbtgt": "x", "reader": "y"}), refused).code == 24
    with pytest.raises(Waiting) as waiting:
        enter(folder, refused)
    assert (waiting.value.code, ldap.tried) == ("login", [])


def test_a_controller_is_logged_in_to_at_one_of_its_addresses(folder: Path, ldap: Directory) -> None:
    ldap.refuses = None
    assert [address for _, _, address in ldap.tried] == []
    found = enter(folder, Refused())
    assert sorted(address for _, _, address in ldap.tried) == [DC1_AT, DC2_AT]
    assert (len(found.open), found.ldap.refused) == (2, {})


def test_a_controller_without_an_address_is_unreachable(folder: Path, ldap: Directory) -> None:
    with ExitStack() as stack:
        found = gather_directory.controllers(
            asked(ldap_servers=("nowhere.example",)), DirectorySettings(**READER), folder, names(), stack, Refused()
        )
    assert found.ldap.refused == {
        "nowhere.example": Refusal("unreachable", "nowhere.example has no address", ("see dns-kdc",))
    }


@pytest.mark.parametrize("without", [{"user": None}, {"password": None}])
def test_without_an_account_the_directory_is_not_asked(folder: Path, ldap: Directory, without: dict[str, None]) -> None:
    with pytest.raises(NotAsked, match="who may ask the directory"):
        enter(folder, Refused(), **without)


# ---- a ticket for the proxy, and the way to a KDC


def test_a_ticket_for_the_proxy_is_tried_with_the_keytab(folder: Path) -> None:
    kdc = SmallKdc({"krbtgt": "x", "rick.sanchez": PASSWORD, "HTTP/proxy.lab.example": "secret"})
    told = log_in(whose(folder, verify=RICK), kdc, Refused())
    ours = replace(entry(), key=kdc.key("HTTP/proxy.lab.example", kdc.enctypes[0]))
    service = for_proxy(asked(), told, kdc, keys(ours))
    assert service.opened
    assert str(service.opened.client) == WHO
    other = for_proxy(asked(), told, kdc, keys(entry(kdc.enctypes[0])))
    assert (other.opened, other.reason) == (None, "wrong_key")


def test_a_ticket_that_the_kdc_does_not_give_is_told_with_its_code(folder: Path) -> None:
    kdc = SmallKdc({"krbtgt": "x", "rick.sanchez": PASSWORD})
    assert for_proxy(asked(), log_in(whose(folder, verify=RICK), kdc, Refused()), kdc, keys()).code == 7


def test_a_ticket_of_another_program_that_cannot_be_used_is_told_and_no_fault_of_ours(folder: Path) -> None:
    one = Credentials(tgt().client, "ticket cache", tgt=tgt(session=Key(25, bytes(16))))
    service = for_proxy(asked(), log_in(one, SmallKdc({}), Refused()), SmallKdc({}), keys())
    assert (service.ticket, "cannot be used here" in service.error) == (None, True)


def test_without_a_login_a_ticket_waits_for_it() -> None:
    with pytest.raises(Waiting) as waiting:
        for_proxy(
            asked(),
            log_in(
                Credentials(tgt().client, "x", tgt=tgt(ends=datetime(2020, 1, 1, tzinfo=UTC))), SmallKdc({}), Refused()
            ),
            SmallKdc({}),
            keys(),
        )
    assert waiting.value.code == "login"


def test_a_token_is_made_anew_each_time_and_waits_for_a_ticket() -> None:
    service = Service(tgt(session=Key(18, bytes(32)), der=b"\x61\x00"))
    assert fresh_token(service) != fresh_token(service)
    assert kind_of(fresh_token(service)) is TokenKind.KERBEROS
    with pytest.raises(Waiting):
        fresh_token(Service(None))


@dataclass
class Ways:
    """Which addresses answer, directly and from the firewall. went: what was tried, in order."""

    direct: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    went: list[str] = field(default_factory=list)

    def over_network(self, address: str, seconds: float) -> Callable[[bytes], bytes]:
        assert seconds < 5

        def send(message: bytes) -> bytes:
            self.went.append(address)
            if address not in self.direct:
                raise NoKdc(f"{address} does not answer")
            return message

        return send

    def relay(self, _pfsense: Pfsense, questions: Sequence[Question]) -> dict[str, Answer]:
        (one,) = questions
        self.went.append(f"firewall {one.host} {one.transport} {one.framing}")
        return {one.id: Answer(one.data, "" if one.host in self.through else "refused", one.host, 0.1)}


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    one = Ways()
    monkeypatch.setattr(gather_ticket, "over_network", one.over_network)
    monkeypatch.setattr(gather_ticket, "relay", one.relay)
    return one


def test_a_kdc_is_asked_directly_where_that_works(ways: Ways) -> None:
    ways.direct = (DC1_AT,)
    assert (exchange(NOBODY, kdcs())(b"x"), ways.went) == (b"x", [DC1_AT])


def test_a_kdc_is_asked_through_the_firewall_where_it_cannot_be_reached_from_here(ways: Ways) -> None:
    ways.through = (DC2_AT,)
    assert exchange(NOBODY, kdcs())(b"x") == b"x"
    assert ways.went == [DC1_AT, DC2_AT, f"firewall {DC1_AT} tcp 4", f"firewall {DC2_AT} tcp 4"]


def test_a_way_that_worked_is_the_first_for_the_next_message(ways: Ways) -> None:
    ways.through = (DC2_AT,)
    send = exchange(NOBODY, kdcs())
    send(b"x")
    ways.went.clear()
    send(b"y")
    assert ways.went == [f"firewall {DC2_AT} tcp 4"]


def test_where_no_way_leads_to_a_kdc_the_last_reason_is_told(ways: Ways) -> None:
    with pytest.raises(NoKdc, match=f"{DC2_AT}, asked from the firewall: refused"):
        exchange(NOBODY, kdcs())(b"x")


def test_where_no_kdc_is_known_that_is_told(ways: Ways) -> None:
    with pytest.raises(NoKdc, match="no KDC is known"):
        exchange(NOBODY, replace(kdcs(), answers={}))(b"x")
