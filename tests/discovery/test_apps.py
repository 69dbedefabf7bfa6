"""What a host is: the longest suffix of whole labels, addresses, names of the house; and what a catalogue must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfsquid.discovery.apps import INTERNAL, UNKNOWN, Catalogue, Host, classify, load, registrable_domain
from pfsquid.errors import WrongUse

ENTRIES = """
- {id: dropbox, name: Dropbox, vendor: Dropbox, category: cloudStorage, domains: [dropbox.com, DB.tt],
   entra_names: [Dropbox Business], entra_app_ids: [AAAAAAAA-0000-0000-0000-000000000001], risk: [file-upload]}
- {id: google, name: Google, vendor: Google, category: unknown, domains: [google.com]}
- {id: drive, name: Google Drive, vendor: Google, category: cloudStorage, domains: [drive.google.com]}
- {kind: advertising, domains: [ads.google.com, doubleclick.net]}
- {kind: cdn, domains: [cloudfront.net]}
"""


def catalogue_of(folder: Path, text: str, name: str = "apps.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return load([catalogue_of(tmp_path / "apps", ENTRIES)])


@pytest.mark.parametrize(
    ("host", "app", "rule"),
    [
        ("dropbox.com", "dropbox", "dropbox.com"),
        ("www.dropbox.com", "dropbox", "dropbox.com"),
        ("a.b.c.d.dropbox.com", "dropbox", "dropbox.com"),
        ("db.tt", "dropbox", "db.tt"),
        ("mail.google.com", "google", "google.com"),
        ("drive.google.com", "drive", "drive.google.com"),
        ("x.drive.google.com", "drive", "drive.google.com"),
    ],
)
def test_the_longest_suffix_of_whole_labels_decides(catalogue: Catalogue, host: str, app: str, rule: str) -> None:
    found = classify(host, catalogue)
    assert (found.app_id, found.kind, found.rule) == (app, "app", rule)


@pytest.mark.parametrize("host", ["notdropbox.com", "dropbox.com.evil.example", "xdb.tt", "com", "dropbox.co"])
def test_a_suffix_of_half_a_label_is_none(catalogue: Catalogue, host: str) -> None:
    assert classify(host, catalogue).app_id is None


def test_noise_below_an_app_is_noise(catalogue: Catalogue) -> None:
    assert classify("x.ads.google.com", catalogue) == Host(
        "x.ads.google.com", "google.com", None, "advertising", "ads.google.com"
    )


PRIVATE = (
    "10.0.0.1 192.168.1.1 172.16.0.9 127.0.0.1 169.254.1.1 100.64.0.1 0.0.0.0 ::1 fe80::1 fe80::1%eth0 fd00::5"
    " ::ffff:10.0.0.1"
)


@pytest.mark.parametrize("host", PRIVATE.split())
def test_a_private_address_is_internal(catalogue: Catalogue, host: str) -> None:
    assert classify(host, catalogue) == Host(host, host, None, INTERNAL, None)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "256.256.256.256", "1.2.3", "12345"]
)
def test_any_other_address_is_unknown_and_its_own_domain(catalogue: Catalogue, host: str) -> None:
    assert classify(host, catalogue) == Host(host, host, None, UNKNOWN, None)


@pytest.mark.parametrize("host", ["intranet", "printer.local", "a.b.internal", "nas.lan", "x.home.arpa", "a.localhost"])
def test_a_name_of_the_house_is_internal(catalogue: Catalogue, host: str) -> None:
    assert classify(host, catalogue).kind == INTERNAL


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.example.co.uk", "example.co.uk"),
        ("someone.github.io", "someone.github.io"),
        ("a.someone.github.io", "someone.github.io"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("co.uk", "co.uk"),
        ("github.io", "github.io"),
        ("a.unheard-of-tld", "a.unheard-of-tld"),
        ("_dmarc.example.com", "example.com"),
    ],
)
def test_an_unknown_host_has_its_registrable_domain_private_suffixes_included(
    catalogue: Catalogue, host: str, domain: str
) -> None:
    assert classify(host, catalogue) == Host(host, domain, None, UNKNOWN, None)


@pytest.mark.parametrize("host", ["www.dropbox.com.", "WWW.Dropbox.COM", "a..dropbox.com", ".dropbox.com"])
def test_dots_and_capitals_that_do_not_belong_there_do_no_harm(catalogue: Catalogue, host: str) -> None:
    found = classify(host, catalogue)
    assert (found.host, found.app_id) == (host, "dropbox")


@pytest.mark.parametrize("host", ["", ".", "..", "-", "%", "a..b", "\u2603.example", "x" * 300])
def test_no_host_is_too_odd_to_be_answered(catalogue: Catalogue, host: str) -> None:
    assert classify(host, catalogue).host == host


def test_a_host_as_long_as_dns_allows_is_matched(catalogue: Catalogue) -> None:
    host = "a." * ((253 - len("dropbox.com")) // 2) + "dropbox.com"
    assert len(host) == 253
    assert classify(host, catalogue).app_id == "dropbox"


def test_registrable_domain_of_what_has_none_is_itself() -> None:
    assert registrable_domain("com") == "com"


def test_an_own_folder_wins_over_the_same_suffix(tmp_path: Path) -> None:
    given = catalogue_of(tmp_path / "given", ENTRIES)
    own = catalogue_of(
        tmp_path / "own",
        "- {id: our-drop, name: Ours, vendor: Us, category: cloudStorage, domains: [dropbox.com]}\n"
        "- {kind: internal, domains: [corp.example.com]}\n",
    )
    catalogue = load([given, own])
    assert classify("www.dropbox.com", catalogue).app_id == "our-drop"
    assert classify("a.corp.example.com", catalogue).kind == INTERNAL


def test_an_own_folder_wins_over_the_same_id(tmp_path: Path) -> None:
    given = catalogue_of(tmp_path / "given", ENTRIES)
    own = catalogue_of(
        tmp_path / "own", "- {id: dropbox, name: Our Dropbox, vendor: Us, category: unknown, domains: [drop.example]}\n"
    )
    catalogue = load([given, own])
    assert catalogue.apps["dropbox"].name == "Our Dropbox"
    assert classify("www.dropbox.com", catalogue).app_id == "dropbox"


@pytest.mark.parametrize(
    ("app_id", "name", "app"),
    [
        ("aaaaaaaa-0000-0000-0000-000000000001", "whatever", "dropbox"),
        (None, "dropbox BUSINESS", "dropbox"),
        ("", "Google Drive", "drive"),
        ("unheard", "Unheard", None),
        (None, None, None),
        ("", "", None),
    ],
)
def test_a_sign_in_names_its_app_by_id_then_by_name(
    catalogue: Catalogue, app_id: str | None, name: str | None, app: str | None
) -> None:
    assert catalogue.app_of_sign_in(app_id, name) == app


def test_the_configuration_names_apps_of_sign_ins_that_the_catalogue_does_not_know(tmp_path: Path) -> None:
    catalogue = load([catalogue_of(tmp_path / "apps", ENTRIES)], {"Our File Drop": "dropbox"})
    assert catalogue.app_of_sign_in("some-id", "our file drop") == "dropbox"


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ([], "low"),
        (["unheard-of"], "low"),
        (["file-upload"], "medium"),
        (["file-upload", "tunnel"], "high"),
    ],
)
def test_the_risk_is_the_worst_of_its_words(tmp_path: Path, words: list[str], level: str) -> None:
    text = f"- {{id: a, name: A, vendor: A, category: unknown, domains: [a.example], risk: {words}}}"
    assert load([catalogue_of(tmp_path / "apps", text)]).apps["a"].risk_level() == level


GOOD = "- {id: a, name: A, vendor: A, category: unknown, domains: [a.example]}\n"


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("- just a text", "entry 2 must have id, name"),
        ("- {id: b}", "entry 2 must have id, name"),
        ("- {id: b, name: B, vendor: B, category: unknown, domains: b.example}", "entry 2 must have"),
        ("- {id: b, name: B, vendor: B, category: unknown, domains: [1]}", "entry 2 must have"),
        ("- {name: B, vendor: B, category: unknown, domains: [b.example]}", "entry 2: id is missing"),
        ("- {id: 7, name: B, vendor: B, category: unknown, domains: [b.example]}", "entry 2: id is no text"),
        ("- {id: b, name: B, vendor: , category: unknown, domains: [b.example]}", "entry 2: vendor is no text"),
        (
            "- {id: b, name: B, vendor: B, category: unknown, domains: [b.example], entra_names: Bee}",
            "entry 2 (b): entra_names must be a list",
        ),
        (
            "- {id: b, name: B, vendor: B, category: unknown, domains: [b.example], risk: paste}",
            "entry 2 (b): risk must be a list",
        ),
        ("- {kind: adverts, domains: [b.example]}", "entry 2: there is no kind 'adverts'"),
        ("- {kind: cdn}", "entry 2 must have"),
    ],
)
def test_a_malformed_entry_is_named_with_its_file(tmp_path: Path, entry: str, what: str) -> None:
    folder = catalogue_of(tmp_path / "apps", GOOD + entry, "mine.yaml")
    with pytest.raises(WrongUse) as caught:
        load([folder])
    assert str(folder / "mine.yaml") in caught.value.message
    assert what in caught.value.message


@pytest.mark.parametrize("text", [b"", b"a: [", b"key: value", b"\xff\xfe\x00", b"just text"])
def test_a_file_that_is_no_list_of_apps_is_named(tmp_path: Path, text: bytes) -> None:
    folder = tmp_path / "apps"
    folder.mkdir()
    (folder / "bad.yaml").write_bytes(text)
    with pytest.raises(WrongUse, match=r"bad\.yaml"):
        load([folder])


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="there is no folder"):
        load([tmp_path / "typo"])
