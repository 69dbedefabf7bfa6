"""The directory: users and service principals, made from a seed; a test may change, add and remove any of them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from tests.graph.dice import Dice
from tests.graph.names import APPS, DEPARTMENTS, GIVEN, SURNAMES, guid, words

USER_FIELDS = frozenset(
    words(
        """
    id displayName givenName surname userPrincipalName mail mailNickname otherMails proxyAddresses userType
    accountEnabled createdDateTime deletedDateTime department jobTitle companyName officeLocation employeeId
    employeeType businessPhones mobilePhone preferredLanguage usageLocation country city state creationType
    externalUserState externalUserStateChangeDateTime identities imAddresses onPremisesDistinguishedName
    onPremisesDomainName onPremisesImmutableId onPremisesLastSyncDateTime onPremisesSamAccountName
    onPremisesSecurityIdentifier onPremisesSyncEnabled onPremisesUserPrincipalName onPremisesExtensionAttributes
    onPremisesProvisioningErrors signInSessionsValidFromDateTime securityIdentifier assignedLicenses
    lastPasswordChangeDateTime employeeHireDate streetAddress postalCode faxNumber
    """
    )
)
# What /users gives where no $select says more.
USER_DEFAULT = words(
    """
    businessPhones displayName givenName jobTitle mail mobilePhone officeLocation preferredLanguage surname
    userPrincipalName id
    """
)
APP_FIELDS = frozenset(
    words(
        """
    id accountEnabled addIns alternativeNames appDescription appDisplayName appId appOwnerOrganizationId
    appRoleAssignmentRequired appRoles applicationTemplateId createdDateTime deletedDateTime description
    disabledByMicrosoftStatus displayName endpoints homepage info keyCredentials loginUrl logoutUrl notes
    notificationEmailAddresses oauth2PermissionScopes passwordCredentials preferredSingleSignOnMode publisherName
    replyUrls resourceSpecificApplicationPermissions samlSingleSignOnSettings servicePrincipalNames
    servicePrincipalType signInAudience tags tokenEncryptionKeyId verifiedPublisher
    """
    )
)


@dataclass(frozen=True)
class App:
    """A service principal as far as sign-ins name it. name may be empty."""

    id: str
    app_id: str
    name: str


class Directory:
    """users and service_principals are Graph's records, by id. What a test changes in them changes no sign-in."""

    def __init__(self, seed: int, tenant: str, people: int, licence: str = "P2") -> None:
        self.tenant, self.licence = tenant, licence
        rng = Dice(seed)
        made = [_user(rng, seed, number) for number in range(people)]
        self.users: dict[str, dict[str, Any]] = {user["id"]: user for user in made}
        self.service_principals: dict[str, dict[str, Any]] = {}
        self._people = [dict(one) for one in made] or [_user(rng, seed, 0)]
        self._apps = [App(guid(seed, "sp", n), guid(seed, "app", n), name) for n, name in enumerate(APPS)]
        for app in self._apps:
            self.service_principals[app.id] = _service_principal(rng, app, tenant)

    def user_of(self, rng: Dice) -> dict[str, Any]:
        """Some people sign in far more often than others."""
        return self._people[int(len(self._people) * rng.random() ** 2)]

    def app_of(self, rng: Dice) -> App:
        return self._apps[int(len(self._apps) * rng.random() ** 2)]


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum())


def _user(rng: Dice, seed: int, number: int) -> dict[str, Any]:
    given, surname = rng.pick(GIVEN), rng.pick(SURNAMES)
    own, kind = guid(seed, "user", number), rng.random()
    guest, cloud = kind < 0.06, kind > 0.85
    sam = (f"{_ascii(given)[:1] or 'x'}{_ascii(surname) or 'x'}"[:14] + str(number))[:20]
    mail = f"{_ascii(given) or 'x'}.{_ascii(surname) or 'y'}{number}@contoso.example"
    name = mail if rng.random() < 0.7 else f"{sam}@contoso.example"
    if guest:
        mail = f"{_ascii(given) or 'x'}{number}@partner.example"
        name = f"{mail.replace('@', '_')}#EXT#@contoso.onmicrosoft.example"
    synced = not guest and not cloud
    label = f"{surname}, {given}" if rng.random() < 0.5 else f"{given} {surname}"
    return {
        "id": own,
        "displayName": label if rng.random() > 0.01 else None,
        "givenName": given if rng.random() > 0.05 else None,
        "surname": surname,
        "userPrincipalName": name if rng.random() < 0.8 or guest else name.title(),
        "mail": mail if guest or rng.random() > 0.05 else None,
        "mailNickname": sam,
        "otherMails": [mail] if guest else [],
        "proxyAddresses": [f"SMTP:{mail}", f"smtp:{sam}@old.contoso.example"] if synced else [],
        "userType": "Guest" if guest else ("Member" if rng.random() > 0.01 else None),
        "accountEnabled": rng.random() > 0.05,
        "createdDateTime": f"20{rng.number(10, 26)}-03-0{rng.number(1, 10)}T08:15:00Z",
        "department": rng.pick(DEPARTMENTS),
        "jobTitle": rng.pick(("Clerk", "Head of …", None)),
        "companyName": rng.pick(("Contoso", None)),
        "employeeId": str(10_000 + number) if synced else None,
        "businessPhones": [],
        "preferredLanguage": rng.pick(("de-AT", "en-US", None)),
        "creationType": "Invitation" if guest else None,
        "externalUserState": "Accepted" if guest else None,
        "onPremisesSyncEnabled": True if synced else None,
        "onPremisesSamAccountName": sam if synced else None,
        "onPremisesDomainName": ("corp.contoso.example" if number % 7 else "emea.contoso.example") if synced else None,
        "onPremisesUserPrincipalName": f"{sam}@corp.contoso.example" if synced else None,
        "onPremisesDistinguishedName": f"CN={given}\\, {surname},OU=People,DC=corp,DC=contoso,DC=example"
        if synced
        else None,
        "onPremisesImmutableId": f"{rng.getrandbits(64):016x}=" if synced else None,
        "onPremisesSecurityIdentifier": f"S-1-5-21-1004336348-1177238915-682003330-{2000 + number}" if synced else None,
        "onPremisesLastSyncDateTime": "2026-07-01T06:00:00Z" if synced else None,
    }


def _service_principal(rng: Dice, app: App, tenant: str) -> dict[str, Any]:
    site = f"{_ascii(app.name) or 'unnamed'}.example"
    own = rng.random() < 0.3
    return {
        "id": app.id,
        "appId": app.app_id,
        "displayName": app.name or None,
        "appDisplayName": app.name or None,
        "accountEnabled": rng.random() > 0.05,
        "appOwnerOrganizationId": tenant if own else guid("publisher", app.name),
        "appRoleAssignmentRequired": rng.random() < 0.3,
        "alternativeNames": [],
        "createdDateTime": "2021-05-05T05:05:05Z",
        "homepage": rng.pick((f"https://www.{site}/?metadata=app|ISV9.1|primary|z", f"https://{site}", "", None)),
        "loginUrl": rng.pick((f"https://login.{site}/start", None)),
        "logoutUrl": rng.pick((f"https://{site}/logout", None, "not a URL")),
        "replyUrls": [f"https://{site}/auth", f"https://*.{site}/cb", "http://localhost", "urn:ietf:wg:oauth:2.0:oob"][
            : rng.number(0, 5)
        ],
        "servicePrincipalNames": [app.app_id, f"https://{site}"],
        "servicePrincipalType": rng.pick(("Application", "Application", "ManagedIdentity", "Legacy")),
        "preferredSingleSignOnMode": rng.pick((None, "saml", "oidc", "notSupported")),
        "publisherName": rng.pick((None, "", "Contoso")),
        "signInAudience": rng.pick(("AzureADMyOrg", "AzureADMultipleOrgs")),
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"] if rng.random() < 0.6 else [],
        "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
        "info": {"termsOfServiceUrl": None, "supportUrl": None, "privacyStatementUrl": None, "logoUrl": None},
        "notificationEmailAddresses": [],
    }
