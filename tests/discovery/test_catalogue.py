"""The SaaS catalogue keeps the promises of configs/apps/README.md, and knows the hosts that it must know."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from publicsuffixlist import PublicSuffixList

from pfsquid.discovery import apps as apps_module
from pfsquid.discovery.apps import NOISE, Catalogue, classify, load
from pfsquid.resources import configs

FOLDER = configs() / "apps"
README = (FOLDER / "README.md").read_text("utf-8")
FIELDS = ["id", "name", "vendor", "category", "domains", "entra_names", "entra_app_ids", "risk", "source"]
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]+)")
PUBLIC_SUFFIXES_OF_ONE_APP = {
    "claudeusercontent.com": "Anthropic lists it to keep artefacts apart from each other; all of it is Claude",
    "files.oaiusercontent.com": "OpenAI lists *.oaiusercontent.com for the same reason; this is ChatGPT's uploads",
}

Entry = tuple[str, dict[str, Any]]


def _read(path: Path) -> list[Entry]:
    return [(path.name, entry) for entry in yaml.safe_load(path.read_text("utf-8"))]


ENTRIES = [entry for path in sorted(FOLDER.glob("*.yaml")) for entry in _read(path)]
APPS = [(file, entry) for file, entry in ENTRIES if "kind" not in entry]
DOMAINS = [(file, domain) for file, entry in ENTRIES for domain in entry["domains"]]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load([FOLDER])


def _section(heading: str) -> str:
    return README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_there_are_150_apps_and_more() -> None:
    assert len(APPS) >= 150


def test_every_app_has_every_field_in_order() -> None:
    assert [(file, entry) for file, entry in APPS if list(entry) != FIELDS] == []


def test_every_entry_of_noise_has_a_kind_of_the_readme() -> None:
    kinds = set(re.findall(r"^\| `([a-z]+)` \|", _section("Noise"), re.MULTILINE)) - {"internal"}
    assert kinds == set(NOISE)
    assert {entry["kind"] for _, entry in ENTRIES if "kind" in entry} <= kinds


def test_noise_stands_in_its_own_file() -> None:
    assert {file for file, entry in ENTRIES if "kind" in entry} == {"noise.yaml"}


def test_ids_are_unique() -> None:
    assert [one for one, n in Counter(entry["id"] for _, entry in APPS).items() if n > 1] == []


def test_ids_are_lower_case_letters_digits_and_hyphens() -> None:
    assert [entry["id"] for _, entry in APPS if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry["id"])] == []


def test_names_are_unique_so_that_app_may_be_asked_for_by_name() -> None:
    assert [name for name, n in Counter(entry["name"].casefold() for _, entry in APPS).items() if n > 1] == []


def test_no_name_is_the_id_of_another_app() -> None:
    ids = {entry["id"] for _, entry in APPS}
    assert [entry for _, entry in APPS if entry["name"].casefold() in ids - {entry["id"]}] == []


def test_a_name_in_sign_ins_means_one_app() -> None:
    names = [{name.casefold() for name in (*entry["entra_names"], entry["name"], entry["id"])} for _, entry in APPS]
    assert [name for name, n in Counter(name for own in names for name in own).items() if n > 1] == []


def test_entra_app_ids_are_unique_guids() -> None:
    ids = [one for _, entry in APPS for one in entry["entra_app_ids"]]
    assert [one for one in ids if not GUID.fullmatch(one)] == []
    assert len(set(ids)) == len(ids)


def test_categories_are_those_of_the_readme() -> None:
    known = set(re.findall(r"[a-zA-Z]+", _section("Categories").partition("\n\n")[2].partition("\nGraph has none")[0]))
    assert {entry["category"] for _, entry in APPS} - known == set()


def test_risk_words_are_those_of_the_readme() -> None:
    known = set(re.findall(r"^\| `([a-z-]+)` \|", _section("Risk words"), re.MULTILINE))
    assert {word for _, entry in APPS for word in entry["risk"]} - known == set()


def test_the_words_that_make_a_risk_are_words_of_the_readme() -> None:
    known = set(re.findall(r"^\| `([a-z-]+)` \|", _section("Risk words"), re.MULTILINE))
    assert known == apps_module._HIGH | apps_module._MEDIUM


def test_no_domain_stands_twice_over_all_files() -> None:
    assert [domain for domain, n in Counter(domain for _, domain in DOMAINS).items() if n > 1] == []


def test_domains_are_valid_lower_case_ascii() -> None:
    assert [pair for pair in DOMAINS if not DOMAIN.fullmatch(pair[1])] == []


def test_punycode_domains_are_names() -> None:
    labels = [label for _, domain in DOMAINS for label in domain.split(".") if label.startswith("xn--")]
    assert [label for label in labels if label.encode().decode("idna").encode("idna").decode() != label] == []


def test_no_domain_of_an_app_is_a_public_suffix() -> None:
    suffixes = PublicSuffixList()
    public = {domain for _, entry in APPS for domain in entry["domains"] if suffixes.privatesuffix(domain) is None}
    assert public == set(PUBLIC_SUFFIXES_OF_ONE_APP)


def test_no_domain_of_noise_is_an_icann_suffix() -> None:
    icann = PublicSuffixList(only_icann=True)
    noise = [domain for _, entry in ENTRIES if "kind" in entry for domain in entry["domains"]]
    assert [domain for domain in noise if icann.privatesuffix(domain) is None] == []


def test_no_entry_holds_a_domain_that_its_own_entry_covers() -> None:
    covered = [
        (file, domain)
        for file, entry in ENTRIES
        for domain in entry["domains"]
        if any(domain.endswith("." + other) for other in entry["domains"]) and not _cut(domain, entry["domains"])
    ]
    assert covered == []


def _cut(domain: str, own: list[str]) -> bool:
    """Is there, between the domain and its entry's shorter one, a suffix of another entry?"""
    others = {other for _, other in DOMAINS} - set(own)
    suffix = domain.partition(".")[2]
    while suffix not in own:
        if suffix in others:
            return True
        suffix = suffix.partition(".")[2]
    return False


def test_every_source_is_the_vendors_page_or_for_noise_an_observation() -> None:
    bad = [
        (file, entry["source"])
        for file, entry in ENTRIES
        if not entry["source"].startswith("https://") and not ("kind" in entry and entry["source"] == "own observation")
    ]
    assert bad == []


HOSTS = """
www.dropbox.com dropbox | content.dropboxapi.com dropbox | app.box.com box | mega.nz mega | we.tl wetransfer
chatgpt.com chatgpt | cdn.oaistatic.com chatgpt | api.openai.com openai-api | files.oaiusercontent.com chatgpt
claude.ai claude | abc.claudeusercontent.com claude | api.anthropic.com anthropic-api | www.perplexity.ai perplexity
chat.deepseek.com deepseek | chat.mistral.ai mistral | grok.com grok | gemini.google.com google-gemini
copilot.microsoft.com microsoft-copilot | huggingface.co hugging-face | grammarly.com grammarly | deepl.com deepl
acme.slack.com slack | teams.microsoft.com microsoft-teams | discord.com discord | web.whatsapp.com whatsapp
web.telegram.org telegram | us02web.zoom.us zoom | acme.webex.com webex | meet.google.com google-meet
contoso.sharepoint.com sharepoint-online | contoso-my.sharepoint.com sharepoint-online
onedrive.live.com onedrive-personal | outlook.office.com exchange-online | outlook.live.com outlook-com
mail.google.com gmail | mail.proton.me proton
drive.google.com google-drive | docs.google.com google-docs | www.google.com google-search | www.icloud.com icloud
github.com github | gist.github.com github-gist | raw.githubusercontent.com github | gitlab.com gitlab
bitbucket.org bitbucket | acme.atlassian.net jira | trello.com trello | www.notion.so notion | miro.com miro
www.figma.com figma | www.canva.com canva | acme.my.salesforce.com salesforce | acme.service-now.com servicenow
wd5.myworkday.com workday | acme.okta.com okta | acme.zendesk.com zendesk | app.hubspot.com hubspot
www.docusign.net docusign | app.asana.com asana | monday.com monday | zapier.com zapier | app.powerbi.com power-bi
acme.snowflakecomputing.com snowflake | console.aws.amazon.com aws | portal.azure.com azure-portal
www.linkedin.com linkedin | www.facebook.com facebook | x.com x-twitter | www.youtube.com youtube
pastebin.com pastebin | www.teamviewer.com teamviewer | anydesk.com anydesk | nordvpn.com nordvpn
1password.com 1password | ngrok.com ngrok | www.torproject.org tor-project | file.io file-io | api.stripe.com stripe
calendly.com calendly | typeform.com typeform
ads.linkedin.com advertising | ad.doubleclick.net advertising | www.google-analytics.com analytics
d111.cloudfront.net cdn | fonts.gstatic.com cdn | login.microsoftonline.com identity | accounts.google.com identity
ctldl.windowsupdate.com infrastructure | ocsp.digicert.com infrastructure | bucket.s3.amazonaws.com infrastructure
acme.github.io unknown | abc.ngrok-free.app unknown | unheard-of.example unknown
nas.local internal | 10.1.1.1 internal
"""


def _expected() -> list[tuple[str, str]]:
    pairs = [pair.split() for line in HOSTS.strip().splitlines() for pair in line.split(" | ")]
    return [(host, meaning) for host, meaning in pairs]


@pytest.mark.parametrize(("host", "meaning"), _expected())
def test_a_well_known_host_is_known(catalogue: Catalogue, host: str, meaning: str) -> None:
    found = classify(host, catalogue)
    assert (found.app_id or found.kind) == meaning
