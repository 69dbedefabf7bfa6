"""Records are found in whatever text, each with its own, and no text raises anything but CutOffError."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from collectors.entra.records import CutOffError, Record, records
from tests.collectors.access_logs import BOUNDED

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(["id", "x", "status", '"'] ), values, min_size=1, max_size=3)  # fmt: skip


def all_of(text: str) -> tuple[list[Record], bool]:
    found: list[Record] = []
    try:
        for record in records(text):
            found.append(record)  # noqa: PERF402  (what came before an error counts)
    except CutOffError:
        return found, False
    return found, True


@BOUNDED
@given(st.lists(objects, max_size=4), st.sampled_from(["page", "list", "lines", "pages"]), st.sampled_from([None, 1]))
def test_every_shape_gives_back_its_records(written: list[dict[str, Any]], shape: str, indent: int | None) -> None:
    texts = [json.dumps(record, indent=indent) for record in written]
    text = {
        "page": '{"@odata.context": "c", "value": [' + ", ".join(texts) + "]}",
        "list": "[" + ",\n".join(texts) + "]",
        "lines": "\n".join(texts),
        "pages": "\n".join('{"value": [' + each + '], "@odata.count": 1}' for each in texts),
    }[shape]
    found, whole = all_of(text)
    assert whole
    assert [record.value for record in found] == written
    assert [record.text for record in found] == texts
    assert all(text[record.offset :].startswith(record.text) for record in found)


@BOUNDED
@given(st.lists(objects, min_size=1, max_size=4), st.data())
def test_a_list_cut_anywhere_gives_the_records_before_the_cut(
    written: list[dict[str, Any]], data: st.DataObject
) -> None:
    text = json.dumps(written)
    end = data.draw(st.integers(1, len(text) - 1))
    found, whole = all_of(text[:end])
    assert not whole
    assert [record.value for record in found] == written[: len(found)]


@BOUNDED
@given(st.text(st.sampled_from('{}[]",:\n\\ uvalue0123.eE-'), max_size=60) | st.text(max_size=40))
@example("[" * 100_000)
@example('{"a":' * 100_000)
@example('{"value":[],"x":' + "[" * 100_000)
@example('{"value":[{"x":' + "[" * 100_000)
@example("[" + "9" * 5000 + "]")
@example('{"value":[],"x":' + "9" * 5000 + "}")
@example('{"@odata.count":' + "9" * 5000)
def test_no_text_raises_anything_but_cut_off(text: str) -> None:
    all_of(text)


@BOUNDED
@given(st.text(st.sampled_from('{}[]"\n x1'), max_size=60))
def test_the_text_of_a_record_is_what_stands_at_its_offset(text: str) -> None:
    found, _ = all_of(text)
    assert all(text[record.offset :].startswith(record.text) for record in found)
