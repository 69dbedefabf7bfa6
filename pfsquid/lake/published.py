"""The tables in which the meaning of the rows is published for other engines: columns, and what they were made of.

What they say is made in `discovery`; here is what the lake needs to keep them. Nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pfsquid.lake.catalog import Lake

_TIMESTAMP = pa.timestamp("us", tz="UTC")

HOSTS, APPS, PEOPLE = "hosts", "apps", "people"
PRINCIPALS, IDENTITIES, SIGNIN_APPS = "principals", "identities", "signin_apps"

# Properties of the tables. OF: a digest of what decides on each row, so that rows of the same need not be made again.
# CONTENT: a digest of the rows. AT, ROWS: of `hosts` alone, which is written last: when all were published, and of
# which states of the lake's other tables.
OF, CONTENT = "pfsquid.published.of", "pfsquid.published.content"
AT, ROWS = "pfsquid.published.at", "pfsquid.published.rows"
KNOWN = "pfsquid.published.known"  # of `hosts`: a digest of catalogue and configuration
EVERY = timedelta(hours=1)
SOURCES = ("proxy", "usage", "signins", "accounts", "service_principals")


def _texts(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string()) for name in names]


_VALIDITY = [pa.field("valid_from", _TIMESTAMP), pa.field("valid_to", _TIMESTAMP)]

PUBLISHED: dict[str, pa.Schema] = {
    HOSTS: pa.schema(_texts("host", "domain", "app_id", "kind", "rule")),
    APPS: pa.schema(
        [
            *_texts("app_id", "name", "vendor", "category", "risk", "risk_reasons", "tag", "entra_app_ids"),
            pa.field("federated", pa.bool_()),
        ]
    ),
    PEOPLE: pa.schema(
        [
            *_texts("person_id", "identity", "upn", "sam_account_name", "realm", "display_name", "department", "mail"),
            pa.field("enabled", pa.bool_()),
            *_VALIDITY,
        ]
    ),
    PRINCIPALS: pa.schema([*_texts("user_name", "kind", "person_id", "reason"), *_VALIDITY]),
    IDENTITIES: pa.schema(_texts("identity", "person_id")),
    SIGNIN_APPS: pa.schema(_texts("signin_app", "app_id")),
}
"""The columns of each, by name."""


@dataclass(frozen=True)
class Stand:
    """When meaning was published; of which states of the tables (SOURCES), and by which knowledge, as digests."""

    at: datetime
    rows: str
    known: str


def stand(lake: Lake) -> Stand | None:
    """What is published; None where nothing ever was. Raises what a catalog raises."""
    table = lake.table(HOSTS)
    found = table.properties if table else {}
    if AT not in found:
        return None
    return Stand(datetime.fromisoformat(str(found[AT])), str(found.get(ROWS, "")), str(found.get(KNOWN, "")))


def is_due(lake: Lake, now: datetime) -> bool:
    """Is it an hour since meaning was published, or was it never? Raises what a catalog raises."""
    last = stand(lake)
    return last is None or not last.at <= now < last.at + EVERY  # a clock that was set back is no reason to wait
