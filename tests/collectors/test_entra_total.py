"""Whatever a record holds, it is a row or a reject, with every byte of it kept, and never an exception."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from collectors.entra import audits, signins
from collectors.entra.exports import collect
from collectors.entra.shapes import Alien, Told, told
from collectors.entra.streamed import FileError
from collectors.entra.values import timestamp
from tests.collectors.access_logs import BOUNDED
from tests.collectors.entra_shapes import PORTAL, PORTAL_AUDIT, analytics, audit, hub, pascal
from tests.collectors.graph_records import signin

SAMPLES: tuple[dict[str, Any], ...] = (
    *(signin(), audit(), analytics(True), analytics(False), pascal(signin()), pascal(audit())),
    *(hub("SignInLogs", signin()), hub("AuditLogs", audit())),
)
WRAPPERS = {"value", "records", "results", "tables", "_raw", "result", "data", "message"}
odd = st.sampled_from(
    ["", "null", "[]", "{}", "[{}]", '{"a": NaN}', "\ud800", "é", "2026-11-20T08:15:30Z", "1/2/2026 1:00:00"]
)
odd |= st.sampled_from(["/tenants/x/", "0", "true", "nan", "9" * 400, "SignInLogs", "AuditLogs", "x.y"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | odd | st.text(max_size=4)
names = st.sampled_from(sorted({key for sample in SAMPLES for key in sample} | WRAPPERS | {"status.errorCode"}))
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=6)
changed = st.builds(lambda sample, changes: {**sample, **changes}, st.sampled_from(SAMPLES), objects)


@BOUNDED
@given(changed | objects | values, st.sampled_from(["{}", "é", "\ud800"]))
def test_any_value_is_a_row_or_a_reason(value: Any, text: str) -> None:
    for module, schema in ((signins, signins.SIGNINS_SCHEMA), (audits, audits.AUDITS_SCHEMA)):
        row = module.row_of(value, text)
        if isinstance(row, str):
            assert row
        else:
            assert row["raw"] == text
            pa.Table.from_pylist([row], schema=schema)


@BOUNDED
@given(changed | objects)
def test_any_object_stands_for_records_or_says_what_it_is(value: dict[str, Any]) -> None:
    before = repr(value)
    found = list(told(value))
    assert found or any(isinstance(value.get(key), list) for key in value)
    for one in found:
        assert isinstance(one, Told) or (isinstance(one, Alien) and one.reason)
    assert repr(value) == before


def _named(value: dict[str, Any], identity: str) -> dict[str, Any]:
    """The record with an id of its own, wherever it may stand, and not a wrapper of others."""
    own = {key: each for key, each in value.items() if key not in WRAPPERS} | {"id": identity, "Id": identity}
    if isinstance(own.get("properties"), dict):
        own["properties"] = own["properties"] | {"id": identity}
    return own


@BOUNDED
@given(st.lists(changed | objects, min_size=1, max_size=4), st.sampled_from(["lines", "list", "page"]))
def test_of_any_file_each_record_is_kept_as_it_stood(written: list[dict[str, Any]], shape: str) -> None:
    texts = [json.dumps(_named(each, f"r{number}")) for number, each in enumerate(written)]
    all_of = [json.dumps(signin("first")), *texts]
    content = {"lines": "\n".join(all_of), "list": f"[{','.join(all_of)}]", "page": f'{{"value":[{",".join(all_of)}]}}'}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        path.write_text(content[shape], "utf-8")
        batches = list(collect(path))
    kept = [raw for batch in batches for raw in batch.rows["raw"].to_pylist()]
    rejected = [reject.raw.decode() for batch in batches for reject in batch.rejects]
    assert sorted([*kept, *rejected]) == sorted(all_of)


@BOUNDED
@given(st.text(max_size=40) | st.from_regex(r"[0-9]{1,5}[-/][0-9]{1,2}[-/T][0-9:.]{0,12}( [AP]M|Z|[+-][0-9:]{0,6})?"))
def test_any_text_is_a_time_or_none(text: str) -> None:
    found = timestamp(text)
    assert found is None or found.utcoffset() is not None


places = st.tuples(st.integers(0, 40), st.text(max_size=6) | odd)


@BOUNDED
@given(st.sampled_from([PORTAL, PORTAL_AUDIT]), st.lists(places, max_size=6), st.booleans())
def test_any_csv_is_rows_and_rejects_or_refused(
    sample: dict[str, str], cells: list[tuple[int, str]], name: bool
) -> None:
    header, row = list(sample), list(sample.values())
    for place, cell in cells:
        (header if name else row)[place % len(row)] = cell.replace("\ud800", "")
    content = ",".join(header) + "\n" + ",".join(row) + "\n" + ",".join(sample.values()) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(content.encode("utf-8", "replace"))
        try:
            found = list(collect(path))
        except FileError:
            return
    assert all(batch.table in ("signins", "audits") for batch in found)
