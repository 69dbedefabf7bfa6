"""What the addresses of service principals tell: which domains are an app's, which nobody's, and what is federated."""

from __future__ import annotations

from typing import Any

import pytest

from pfsquid.discovery.apps import App, Catalogue, classify
from pfsquid.discovery.links import Linked, ServicePrincipal, domain_of, hosts_of, linked

CATALOGUE = Catalogue(
    {
        "slack": App("slack", "Slack", "Slack", "collaboration", ("slack.com",), entra_app_ids=("id-of-slack",)),
        "gmail": App("gmail", "Gmail", "Google", "webemail", ("mail.google.com",)),
    },
    {
        "slack.com": ("app", "slack"),
        "mail.google.com": ("app", "gmail"),
        "azurewebsites.net": ("infrastructure", None),
        "doubleclick.net": ("advertising", None),
    },
    {"slack": "slack", "id-of-slack": "slack", "gmail": "gmail"},
)


def one(id: str = "sp", **more: Any) -> ServicePrincipal:
    return ServicePrincipal(
        **{"tenant": "t", "id": id, "app_id": f"app-{id}", "display_name": "Our CRM", "enabled": True, **more}
    )


def link(*urls: str, **more: Any) -> Linked:
    return linked(CATALOGUE, [one(reply_urls=urls, **more)])


def app_of(host: str, links: Linked) -> str | None:
    return classify(host, links.catalogue).app_id


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:3000/cb", "https://localhost", "https://127.0.0.1/cb", "https://[::1]/cb", "https://10.0.0.7/",
        "https://login.microsoftonline.com/common/oauth2/nativeclient", "urn:ietf:wg:oauth:2.0:oob", "msal1234://auth",
        "ms-appx-web://microsoft.aad.brokerplugin/1", "com.acme.app://cb", "https://jwt.ms", "https://x.ngrok-free.app/cb",
        "https://oauth.pstmn.io/v1/callback", "https://intranet/cb", "not a URL", "", "https://", "https://[bad", "*",
        "https://account.activedirectory.windowsazure.com:444/applications/default.aspx?metadata=x|ISV9.1|primary|z",
    ],
)  # fmt: skip
def test_what_stands_in_everybodys_registrations_tells_nothing(url: str) -> None:
    assert hosts_of(one(reply_urls=(url,))) == []


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://app.acme-crm.com/auth", "acme-crm.com"),
        ("HTTPS://App.Acme-CRM.co.uk:8443/auth?x=1#f", "acme-crm.co.uk"),
        ("https://*.acme-crm.com/cb", "acme-crm.com"),
        ("https://our-tool.azurewebsites.net/.auth/login/aad/callback", "our-tool.azurewebsites.net"),
        ("https://our.azure-api.net/x", "our.azure-api.net"),
        ("https://our.westeurope.cloudapp.azure.com/x", "our.westeurope.cloudapp.azure.com"),
        ("https://our-tool.msappproxy.net", "our-tool.msappproxy.net"),
        ("https://bücher.example/cb", "xn--bcher-kva.example"),
    ],
)
def test_an_address_tells_a_domain_or_a_host_where_the_domain_is_shared(url: str, domain: str) -> None:
    assert [domain_of(host) for host in hosts_of(one(reply_urls=(url,)))] == [domain]


def test_a_domain_that_nothing_explains_is_an_app_of_its_own() -> None:
    links = link("https://app.acme-crm.com/auth", publisher="Acme")
    app = links.catalogue.apps["our-crm"]
    assert (app_of("files.acme-crm.com", links), app.vendor, app.category) == ("our-crm", "Acme", "Entra application")
    assert (app.domains, app.entra_app_ids, app.name) == (("acme-crm.com",), ("app-sp",), "Our CRM")


def test_a_sign_in_means_the_app_of_its_own() -> None:
    assert link("https://app.acme-crm.com").app_of_sign_in("APP-SP", "renamed since") == "our-crm"


def test_a_host_on_shared_machines_is_an_app_and_its_neighbours_are_not() -> None:
    links = link("https://our-tool.azurewebsites.net/cb")
    assert app_of("our-tool.azurewebsites.net", links) == "our-crm"
    assert classify("another.azurewebsites.net", links.catalogue).kind == "infrastructure"


@pytest.mark.parametrize("url", ["https://acme.slack.com/sso", "https://ad.doubleclick.net/cb"])
def test_what_the_catalogue_explains_stays_as_it_is(url: str) -> None:
    assert link(url).catalogue.suffixes == CATALOGUE.suffixes


def test_a_sign_in_is_the_catalogues_app_by_its_address() -> None:
    links = link("https://acme.slack.com/sso", "https://localhost")
    assert links.app_of_sign_in("app-sp", "Chat") == "slack"
    assert links.federated == {"slack"}


def test_the_name_goes_before_the_address() -> None:
    assert link("https://acme.slack.com/sso", display_name="Gmail").app_of_sign_in("app-sp", "Gmail") == "gmail"


def test_addresses_of_two_apps_tell_none() -> None:
    links = link("https://acme.slack.com/sso", "https://mail.google.com/cb")
    assert (links.app_of_sign_in("app-sp", "Chat"), links.federated) == (None, frozenset())


def test_a_domain_that_two_link_is_nobodys() -> None:
    links = linked(CATALOGUE, [one(str(n), homepage=f"https://app{n}.contoso.com") for n in (1, 2)])
    assert app_of("www.contoso.com", links) is None


def test_the_same_app_in_two_tenants_is_one() -> None:
    twice = [one(tenant=tenant, id=tenant, app_id="a", homepage="https://acme-crm.com") for tenant in "tu"]
    assert app_of("acme-crm.com", linked(CATALOGUE, twice)) == "our-crm"


def test_the_domain_of_one_that_the_catalogue_knows_by_name_is_that_apps() -> None:
    links = link("https://chat.contoso.com", display_name="SLACK")
    assert (app_of("chat.contoso.com", links), set(links.catalogue.apps)) == ("slack", {"slack", "gmail"})


@pytest.mark.parametrize(
    "more",
    [
        {"enabled": False}, {"present": False}, {"kind": "ManagedIdentity"},
        {"owner_tenant": "F8CDEF31-A31E-4B4A-93E4-5F571E91255A"},
    ],
)  # fmt: skip
def test_what_nobody_can_sign_in_to_and_what_is_microsofts_makes_no_app(more: dict[str, Any]) -> None:
    assert link("https://acme-crm.com", **more).catalogue == CATALOGUE


@pytest.mark.parametrize(
    ("more", "is_federated"),
    [
        ({}, True), ({"sso_mode": "saml"}, True), ({"sso_mode": "oidc"}, True), ({"enabled": None}, True),
        ({"sso_mode": "password"}, False), ({"sso_mode": "notSupported"}, False), ({"enabled": False}, False),
        ({"present": False}, False),
    ],
)  # fmt: skip
def test_federated_is_what_people_can_sign_in_to_now(more: dict[str, Any], is_federated: bool) -> None:
    assert ("slack" in link(display_name="Slack", **more).federated) is is_federated


def test_names_of_one_slug_are_told_apart() -> None:
    links = linked(CATALOGUE, [one("1", homepage="https://a.com"), one("2", homepage="https://b.com")])
    assert sorted(links.catalogue.apps.keys() - CATALOGUE.apps.keys()) == ["our-crm", "our-crm-app-2"]


@pytest.mark.parametrize("name", [None, "", "経費精算", "---"])
def test_an_app_without_a_name_in_letters_is_called_by_its_domain(name: str | None) -> None:
    assert "acme-crm-com" in link("https://acme-crm.com", display_name=name).catalogue.apps
