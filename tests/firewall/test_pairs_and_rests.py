"""Several firewalls in one file, a pair of them, and what is left of a run that did not come to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfsquid.errors import PfsquidError, WrongUse
from pfsquid.firewall import configure as doing
from pfsquid.firewall.checkpoint import all_of
from pfsquid.firewall.configure import Site
from pfsquid.firewall.desired import BEFORE_AUTH, block_in, decoded, encoded
from pfsquid.settings import DnsSettings, FirewallSettings, KerberosSettings, ProxySettings
from tests.firewall.conftest import KERBEROS, TEMPLATES
from tests.firewall.simulated import Simulated, reached

PIN = "ssh-ed25519 AAAA"
FIRST = FirewallSettings(host="10.0.0.1", host_keys=(PIN,))
SECOND = FirewallSettings(host="10.0.0.2", host_keys=(PIN,), synced_from="first")


def site(folder: Path, **firewalls: FirewallSettings) -> Site:
    (folder / "squid.keytab").write_bytes(b"\x05\x02key")
    dns = DnsSettings(servers=("10.77.0.10",))
    kerberos = KerberosSettings.model_validate(KERBEROS.model_dump())
    return Site(firewalls, kerberos, ProxySettings(), dns, folder, TEMPLATES, folder / "state")


def run(at: Site, *names: str) -> None:
    with doing.nodes(at, names, lambda _: None, mend=True) as nodes:
        for node in nodes:
            if node.prepared.plan.changes:
                doing.configure(node, None, lambda _: None, lambda _: None)
            doing.tidy(node, node.prepared.plan.keytab_path)


def pair() -> tuple[Simulated, Simulated]:
    ran: list[tuple[str, str, dict[str, object]]] = []
    return Simulated("first", ran), Simulated("second", ran)


@pytest.mark.parametrize("asked", [(), ("first",)])
def test_the_second_node_gets_its_files_before_the_first_sends_it_the_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, ...]
) -> None:
    first, second = pair()
    reached(monkeypatch, first, second)
    run(site(tmp_path, second=SECOND, first=FIRST), *asked)
    assert [name for name, program, _ in first.ran if program == "apply"] == ["second", "first"]
    assert second.keytabs == first.keytabs
    assert "/etc/krb5.conf" in second.files
    assert second.fields == {}
    assert block_in(first.fields[BEFORE_AUTH]) is not None


def test_the_second_node_is_not_expected_to_ask_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = pair()
    reached(monkeypatch, first, second)
    run(site(tmp_path, first=FIRST, second=SECOND))
    wants = {name: data["proof"]["want"] for name, program, data in first.ran if program == "apply"}
    assert wants == {"second": "alive", "first": "negotiate"}


def test_the_second_node_alone_gets_the_keytab_where_the_first_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair()
    reached(monkeypatch, first, second)
    run(site(tmp_path, first=FIRST))
    before = len(first.ran)
    run(site(tmp_path, first=FIRST, second=SECOND), "second")
    assert second.keytabs == first.keytabs
    assert {(name, program) for name, program, _ in first.ran[before:] if name == "first"} == {("first", "read")}


@pytest.mark.parametrize("named", ["nobody", "second"])
def test_a_pair_must_have_a_first_node(tmp_path: Path, named: str) -> None:
    odd = SECOND.model_copy(update={"synced_from": named})
    with pytest.raises(WrongUse, match="synced_from"):
        run(site(tmp_path, first=FIRST, second=odd))


def one_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Site, Simulated]:
    firewall = Simulated("first", [])
    reached(monkeypatch, firewall)
    at = site(tmp_path, first=FIRST)
    run(at)
    return at, firewall


def test_undoing_never_removes_the_keytab_that_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at, firewall = one_configured(tmp_path, monkeypatch)
    keytab = firewall.keytabs[0]
    content, owner, _ = firewall.files[keytab]
    firewall.files[keytab] = (content, owner, 0o444)
    firewall.dies_at = "apply"  # while its mode was to be put right
    with pytest.raises(PfsquidError):
        run(at)
    run(at)
    assert firewall.files[keytab] == (content, owner, 0o400)


def test_a_cut_off_run_is_undone_around_what_others_did_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at, firewall = one_configured(tmp_path, monkeypatch)
    (tmp_path / "squid.keytab").write_bytes(b"\x05\x02renewed")
    run(at)
    late = all_of(at.state / "first")[-1]
    (late.folder / "journal").write_text("serving\nstaged\napplying\n")  # as if it had died before the answer
    theirs = encoded(decoded(firewall.fields[BEFORE_AUTH]) + "# theirs\r\n")
    firewall.fields[BEFORE_AUTH] = theirs
    run(at)
    text = decoded(firewall.fields[BEFORE_AUTH])
    assert text.endswith("# theirs\r\n")
    assert any(path in text for path in firewall.keytabs)
    assert all(one.finished for one in all_of(at.state / "first"))


def test_going_back_to_a_keytab_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at, firewall = one_configured(tmp_path, monkeypatch)
    (tmp_path / "squid.keytab").write_bytes(b"\x05\x02renewed")
    run(at)
    assert len(firewall.keytabs) == 2  # the former one is kept for a step back
    del firewall.files[firewall.keytabs[0]]
    with (
        doing.nodes(at, ("first",), lambda _: None, mend=True) as nodes,
        pytest.raises(PfsquidError, match="is not there any more"),
    ):
        doing.rollback(nodes[0], None, lambda *_: True, lambda _: None)


def test_half_a_checkpoint_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at, _ = one_configured(tmp_path, monkeypatch)
    half = at.state / "first/pfsquid-20200101000000000000"
    half.mkdir()
    (half / "plan.json.new").write_text("{")
    run(at)
    assert len(all_of(at.state / "first")) == 1


def test_an_entry_of_overrides_that_is_none_of_ours_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    firewall = Simulated("first", [])
    firewall.overrides = [{"domain": "lab.pfsquid.test", "ip": "10.9.9.9"}, {"domain": "x.example", "ip": "10.0.0.1"}]
    reached(monkeypatch, firewall)
    run(site(tmp_path, first=FIRST))
    assert [one["ip"] for one in firewall.overrides] == ["10.0.0.1", "10.77.0.10"]
