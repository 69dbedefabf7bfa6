"""Streams, kinds, and the words that generated records are made of. Nothing here is a real person, site or address."""

from __future__ import annotations

import hashlib

# Stream → (path, value of signInEventTypes)
SIGN_INS = {
    "interactive": "interactiveUser",
    "non_interactive": "nonInteractiveUser",
    "service_principal": "servicePrincipal",
    "managed_identity": "managedIdentity",
}
KIND_STREAM = {kind: stream for stream, kind in SIGN_INS.items()}
AUDITS = "audits"
USERS = "users"
SERVICE_PRINCIPALS = "service_principals"
SHARES = {"interactive": 0.22, "non_interactive": 0.56, "service_principal": 0.14, "managed_identity": 0.08}


def words(text: str) -> tuple[str, ...]:
    """The words of a text that goes over several lines."""
    return tuple(text.split())


GIVEN = words(
    """
    Ada Björn Chloë Dmitri Élodie Farid Grażyna Hồng Ibrahim Jörg Katarína Łukasz Małgorzata Nadia Øystein Priya
    Quentin Renée Søren Tomáš Ümit Violeta Wang Ximena Yūki Zoë 美咲 Олена
    """
)
SURNAMES = words(
    """
    Nguyen Müller O'Brien García Kowalski Özdemir Schröder D'Angelo Smith Çelik Novák Åkesson Dupont Żak Li
    Ivanova Brown Strauß Papadopoulos Haddad 山田 Шевченко Fernández-Prieto de la Cruz
    """
)
DEPARTMENTS = ("Finance", "Sales", "Engineering", "Förderung & Recht", "IT", "HR", "", None)
PLACES = (
    ("Redmond", "Washington", "US", 47.68050003051758, -122.12094116210938),
    ("Wien", "Wien", "AT", 48.20849, 16.37208),
    ("São Paulo", "São Paulo", "BR", -23.5475, -46.63611),
    ("東京", "東京都", "JP", 35.6895, 139.69171),
    ("Kraków", "Małopolskie", "PL", 50.06143, 19.93658),
    ("", "", "DE", 51.0, 9.0),
)
SYSTEMS = ("Windows 10", "Windows11", "MacOs", "Ios 17.4", "Android", "Linux", "", None)
BROWSERS = ("Edge 126.0.0", "Chrome 126.0.0", "Firefox 127.0", "Safari 17.4", "Rich Client 4.61.0.0", "", None)
CLIENTS = ("Browser", "Mobile Apps and Desktop clients", "Exchange ActiveSync", "IMAP4", "", None)
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) "quoted" \\ and a backslash',
    "python-requests/2.32.3",
    "",
    None,
)
APPS = (
    "Microsoft Teams", "Office 365 Exchange Online", "Microsoft Azure PowerShell", "Salesforce", "Dropbox Business",
    "Slack", "Jira & Confluence", "Übersetzer", "Canva", "", "Box", "Miro", "Zoom", "ServiceNow", "DocuSign",
    "GitHub", "Figma", "Notion", "SAP S/4", "Workday", "経費精算", "Trello", "Asana", "HubSpot",
)  # fmt: skip
# errorCode → failureReason
FAILURES = (
    (50126, "Error validating credentials due to invalid username or password."),
    (50053, "Account is locked because user tried to sign in too many times with an incorrect user ID or password."),
    (53003, "Access has been blocked by Conditional Access policies."),
    (50034, "The user account does not exist in the directory."),
    (700016, "Application wasn't found in the directory."),
    (16000, None),
)
INTERRUPTED = (50074, "User did not pass the MFA challenge.")


def guid(*parts: object) -> str:
    """A GUID that is always the same for the same parts."""
    text = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
