"""Bodies of Graph's answers: each record with its own text, whatever Graph's documentation shows or a cut leaves."""

from __future__ import annotations

import json

import pytest

from collectors.entra.answers import parsed
from collectors.entra.errors import GraphError, Kind


def test_each_record_keeps_its_very_text() -> None:
    first, second = '{"id" : "a","n":1.50,"u":"\\u00e9/\\/"}', '{ "id": "b" }'
    answer = parsed(f'{{"@odata.context":"x","value":[{first},\n {second}],"@odata.nextLink":"l"}}'.encode())
    assert answer.records is not None
    assert [record.text for record in answer.records] == [first, second]
    assert [record.value["id"] for record in answer.records] == ["a", "b"]
    assert answer.next == "l"


def test_the_link_may_come_before_the_records() -> None:
    assert parsed(b'{"@odata.nextLink":"l","value":[{"id":"a"}]}').next == "l"


def test_trailing_commas_lose_nothing() -> None:
    answer = parsed(b'{"value":[{"id":"a","x":["1,]",],},{"id":"b",},],}')
    assert answer.records is not None
    assert [record.value for record in answer.records] == [{"id": "a", "x": ["1,]"]}, {"id": "b"}]
    assert [json.loads(record.text) for record in answer.records] == [record.value for record in answer.records]


def test_a_key_twice_stays_in_the_text() -> None:
    answer = parsed(b'{"value":[{"id":"a","appId":"1","appId":"2"}]}')
    assert answer.records is not None
    assert answer.records[0].text == '{"id":"a","appId":"1","appId":"2"}'


def test_a_list_twice_loses_neither() -> None:
    answer = parsed(b'{"value":[{"id":"a"}],"value":[{"id":"b"}]}')
    assert [record.value["id"] for record in answer.records or []] == ["a", "b"]


def test_a_record_that_cannot_be_read_is_there_without_value_and_its_neighbours_are_whole() -> None:
    answer = parsed(b'{"value":[{"id":"a"},{"id":b-a-d "]" },{"id":"c"}],"@odata.nextLink":"l"}')
    assert answer.records is not None
    assert [record.value for record in answer.records] == [{"id": "a"}, None, {"id": "c"}]
    assert answer.records[1].text == '{"id":b-a-d "]" }'
    assert answer.next == "l"


@pytest.mark.parametrize("value", ["null", "7", '"text"', "[1, 2]", "-", "{}"])
def test_what_is_no_record_comes_as_what_it_is(value: str) -> None:
    answer = parsed(f'{{"value":[{{"id":"a"}},{value},{{"id":"b"}}]}}'.encode())
    assert answer.records is not None
    assert len(answer.records) == 3


def test_control_characters_and_bytes_that_are_no_unicode_do_not_end_the_page() -> None:
    answer = parsed(b'\xef\xbb\xbf{"value":[{"id":"a\tb"},{"id":"\xff"},{"id":"c"}]}')
    assert answer.records is not None
    assert [record.value["id"] for record in answer.records] == ["a\tb", "\udcff", "c"]


def test_an_endless_nesting_is_one_bad_record() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    answer = parsed(f'{{"value":[{{"id":"a"}},{deep}]}}'.encode())
    assert answer.records is not None
    assert [record.value for record in answer.records] == [{"id": "a"}, None]


WHOLE = '{"@odata.context":"c","value":[{"id":"a","t":["x",{"y":"}"}]},{"id":"b",}],"@odata.nextLink":"https://l"}'


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_page_that_is_cut_anywhere_is_broken(length: int) -> None:
    with pytest.raises(GraphError) as caught:
        parsed(WHOLE[:length].encode())
    assert caught.value.kind is Kind.BROKEN


@pytest.mark.parametrize("body", [b"", b"  ", b"<html>sign in</html>", b"[]", b"null", b"{}{}", b'{"value" []}', b"\0"])
def test_what_is_no_answer_is_broken(body: bytes) -> None:
    with pytest.raises(GraphError) as caught:
        parsed(body)
    assert caught.value.kind is Kind.BROKEN


def test_a_page_without_list_is_told_apart_from_an_empty_one() -> None:
    assert parsed(b"{}").records is None
    assert parsed(b'{"value":null}').records is None
    assert parsed(b'{"value":[]}').records == []
