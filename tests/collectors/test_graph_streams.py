"""The questions to Graph use documented operators only, and the clouds are whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from collectors.entra.clouds import CLOUDS
from collectors.entra.errors import APP_ROLES
from collectors.entra.streams import DIRECTORY_STREAMS, STREAMS, query_of, stamp

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
END = START + timedelta(hours=1, microseconds=-1)


def test_interactive_sign_ins_are_asked_for_without_a_type() -> None:
    assert query_of(STREAMS["interactive"], START, END) == {
        "$filter": "createdDateTime ge 2026-01-02T03:04:05Z and createdDateTime le 2026-01-02T04:04:04.999999Z",
        "$orderby": "createdDateTime asc",
        "$top": "1000",
    }
    assert STREAMS["interactive"].version == "v1.0"


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        ("non_interactive", "nonInteractiveUser"),
        ("service_principal", "servicePrincipal"),
        ("managed_identity", "managedIdentity"),
    ],
)
def test_the_other_kinds_are_asked_for_by_their_type_on_beta(name: str, literal: str) -> None:
    query = query_of(STREAMS[name], START, END)
    assert query["$filter"].endswith(f" and signInEventTypes/any(t: t eq '{literal}')")
    assert STREAMS[name].version == "beta"


def test_audits_are_asked_for_by_activity_as_a_filter_on_created_is_refused() -> None:
    assert "createdDateTime" not in str(query_of(STREAMS["audits"], START, END))
    assert "activityDateTime ge 2026-01-02T03:04:05Z" in query_of(STREAMS["audits"], START, END)["$filter"]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda one: one.name)
def test_no_undocumented_operator_is_used(stream: object) -> None:
    query = query_of(stream, START, END)  # type: ignore[arg-type]
    assert not {" gt ", " lt ", " or ", "$skip"} & {word for word in (" gt ", " lt ", " or ") if word in str(query)}
    assert set(query) == {"$filter", "$orderby", "$top"}


def test_a_moment_of_another_zone_is_asked_for_in_utc() -> None:
    assert stamp(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00Z"


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        stamp(datetime(2026, 1, 1))


@pytest.mark.parametrize(("asked", "given"), [(None, "1000"), (50, "50"), (5000, "1000"), (-1, "1")])
def test_a_page_is_never_larger_than_graph_takes(asked: int | None, given: str) -> None:
    assert query_of(STREAMS["audits"], START, END, asked)["$top"] == given


@pytest.mark.parametrize("stream", DIRECTORY_STREAMS.values(), ids=lambda one: one.name)
def test_the_directory_is_read_as_a_whole_with_what_joins_need(stream: object) -> None:
    query = query_of(stream)  # type: ignore[arg-type]
    assert set(query) == {"$select", "$top"}
    with pytest.raises(ValueError, match="as a whole"):
        query_of(stream, START, END)  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "end"), [(None, None), (START, None), (None, END)])
def test_a_stream_with_times_is_never_asked_for_without(start: datetime | None, end: datetime | None) -> None:
    with pytest.raises(ValueError, match="from a start"):
        query_of(STREAMS["audits"], start, end)


def test_every_permission_has_its_identifier() -> None:
    needed = {name for stream in (*STREAMS.values(), *DIRECTORY_STREAMS.values()) for name in stream.permissions}
    assert needed == set(APP_ROLES)


def test_every_cloud_is_https_and_ends_without_slash() -> None:
    urls = [url for cloud in CLOUDS.values() for url in (cloud.authority, cloud.graph)]
    assert [url for url in urls if not url.startswith("https://") or url.endswith("/")] == []
    assert {"global", "usgov", "dod", "china"} <= set(CLOUDS)
