"""Times by strftime texts: read back exactly, or known not to tell a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.squid.clock import clock, pattern
from tests.collectors.access_logs import BOUNDED

FORMS = ["", "%F:%T%z", "%s", "%d/%b/%Y:%H:%M:%S %z", "%a %b %e %H:%M:%S %Y %z", "%Y-%j %I:%M:%S %p %z", "%y%m%d %T%z"]


@pytest.mark.parametrize("form", FORMS)
@BOUNDED
@given(moment=st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)), hours=st.integers(-12, 14))
def test_a_time_with_its_zone_is_read_back(form: str, moment: datetime, hours: int) -> None:
    local = moment.replace(microsecond=0, tzinfo=timezone(timedelta(hours=hours)))
    text = local.strftime((form or "%d/%b/%Y:%H:%M:%S %z").replace("%s", str(int(local.timestamp()))))
    read = clock(form, False)
    assert read is not None
    assert re.fullmatch(pattern(form, False), text)
    assert read(text) == local


@pytest.mark.parametrize("form", ["%F %T", "%H:%M:%S %z", "%F %z", "%d/%b %T %z", "%F %H:%M %z", "%c"])
def test_a_text_without_date_time_or_zone_tells_no_moment(form: str) -> None:
    assert clock(form, False) is None


@pytest.mark.parametrize(
    ("form", "text"),
    [("%F %T", "2026-11-20 09:15:30"), ("", "20/Nov/2026:09:15:30"), ("", "20/Nov/2026:09:15:30 +0000")],
)
def test_greenwich_time_needs_no_zone(form: str, text: str) -> None:
    read = clock(form, True)
    assert read is not None
    assert read(text) == datetime(2026, 11, 20, 9, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "text"), [("%F %T %Z", "2026-11-20 09:15:30 CST"), ("", "31/Feb/2026:09:15:30 +0000"), ("", "x")]
)
def test_what_is_no_moment_is_none(form: str, text: str) -> None:
    read = clock(form, False)
    assert read is not None
    assert read(text) is None
