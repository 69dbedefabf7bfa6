"""Users and service principals of Microsoft Graph → rows of listings (see collectors.directory.schema).

Source of the fields: Graph's resource types user and servicePrincipal, v1.0. A listing is read by plain paging; what
`graph` raises on the way ends it, so that half of one is never taken for the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import pyarrow as pa

from collectors.directory.schema import ACCOUNTS_SCHEMA, ENTRA, TIMESTAMP, ListingError, table_of
from collectors.entra.records import Record
from collectors.entra.streams import DIRECTORY_STREAMS, query_of
from collectors.entra.values import compact, flag, list_of, object_of, text_of, timestamp

SERVICE_PRINCIPALS_SCHEMA = pa.schema(
    [
        pa.field("tenant", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("app_id", pa.string()),
        pa.field("display_name", pa.string()),
        pa.field("homepage", pa.string()),
        pa.field("login_url", pa.string()),
        pa.field("reply_urls", pa.string()),  # a JSON list
        pa.field("publisher", pa.string()),
        pa.field("owner_tenant", pa.string()),
        pa.field("sso_mode", pa.string()),
        pa.field("enabled", pa.bool_()),
        pa.field("tags", pa.string()),  # a JSON list
        pa.field("kind", pa.string()),  # Application, ManagedIdentity, Legacy …
        pa.field("valid_from", TIMESTAMP, nullable=False),
        pa.field("valid_to", TIMESTAMP),  # null: it is so now
        pa.field("raw", pa.string(), nullable=False),
    ]
)


class _Page(Protocol):
    @property
    def records(self) -> Iterable[Record]: ...


class Pages(Protocol):
    """What of `collectors.entra.graph.Graph` is needed here."""

    def pages(self, path: str, query: Mapping[str, str], version: str = "v1.0") -> Iterator[_Page]:
        """The pages of a collection, from the first to the last."""


def users(graph: Pages, tenant: str) -> Iterator[pa.Table]:
    """All users of a tenant, a table a page. Raises ListingError, and what `graph` raises."""
    return _listing(graph, "users", ACCOUNTS_SCHEMA, lambda record: user_row(record.value, record.text, tenant))


def service_principals(graph: Pages, tenant: str) -> Iterator[pa.Table]:
    """All service principals of a tenant, a table a page. Raises ListingError, and what `graph` raises."""
    return _listing(
        graph,
        "service_principals",
        SERVICE_PRINCIPALS_SCHEMA,
        lambda record: service_principal_row(record.value, record.text, tenant),
    )


def user_row(value: Any, text: str, tenant: str) -> dict[str, Any]:
    """A user as a row of a listing. tenant: its id. Raises ListingError where it has no id."""
    user = object_of(value)
    domain = text_of(user.get("onPremisesDomainName"))
    return {
        "origin": ENTRA,
        "tenant": tenant.lower(),
        "account_id": _id(user, "user", tenant),
        "upn": text_of(user.get("userPrincipalName")),
        "sam_account_name": text_of(user.get("onPremisesSamAccountName")),
        "realm": domain.upper() if domain else None,
        "on_premises_upn": text_of(user.get("onPremisesUserPrincipalName")),
        "sid": text_of(user.get("onPremisesSecurityIdentifier")),
        "immutable_id": text_of(user.get("onPremisesImmutableId")),
        "mail": text_of(user.get("mail")),
        "display_name": text_of(user.get("displayName")),
        "department": text_of(user.get("department")),
        "enabled": flag(user.get("accountEnabled")),
        "user_type": text_of(user.get("userType")),
        "created_at": timestamp(user.get("createdDateTime")),
        "raw": text_of(text) or "",
    }


def service_principal_row(value: Any, text: str, tenant: str) -> dict[str, Any]:
    """A service principal as a row of a listing. Raises ListingError where it has no id."""
    one = object_of(value)
    verified = object_of(one.get("verifiedPublisher"))
    return {
        "tenant": tenant.lower(),
        "id": _id(one, "service principal", tenant),
        "app_id": text_of(one.get("appId")),
        "display_name": text_of(one.get("displayName")) or text_of(one.get("appDisplayName")),
        "homepage": text_of(one.get("homepage")),
        "login_url": text_of(one.get("loginUrl")),
        "reply_urls": _texts(one.get("replyUrls")),
        "publisher": text_of(verified.get("displayName")) or text_of(one.get("publisherName")),
        "owner_tenant": text_of(one.get("appOwnerOrganizationId")),
        "sso_mode": text_of(one.get("preferredSingleSignOnMode")),
        "enabled": flag(one.get("accountEnabled")),
        "tags": _texts(one.get("tags")),
        "kind": text_of(one.get("servicePrincipalType")),
        "raw": text_of(text) or "",
    }


def _listing(
    graph: Pages, stream: str, schema: pa.Schema, row: Callable[[Record], dict[str, Any]]
) -> Iterator[pa.Table]:
    asked = DIRECTORY_STREAMS[stream]
    for page in graph.pages(asked.path, query_of(asked), asked.version):
        yield table_of(schema, (row(record) for record in page.records))


def _id(record: Mapping[str, Any], what: str, tenant: str) -> str:
    found = text_of(record.get("id"))
    if found is None:
        raise ListingError(f"a {what} of {tenant} came without id")
    return found.lower()


def _texts(value: Any) -> str | None:
    """A list of texts as JSON, in an order of our own, since Graph has none; None where it is empty."""
    texts = sorted({text for one in list_of(value) if (text := text_of(one))})
    return compact(texts) if texts else None
