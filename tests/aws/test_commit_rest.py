"""A REST catalog judges commits by itself: there, too, of two from the same state one is told, and none is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyiceberg.table import Table

from pfsquid.lake.catalog import Lake, open_lake
from pfsquid.lake.commit import committed, put_properties
from pfsquid.place import Place
from tests.aws.faulty import faulty
from tests.aws.rest_catalog import rest_catalog
from tests.aws.seaweed import Seaweed
from tests.lake.rivals import collected
from tests.lake.rows import held, snapshots


@pytest.fixture
def place(as_writer: Seaweed, tmp_path: Path) -> Iterator[Place]:
    place = as_writer.place(tmp_path)
    with rest_catalog(place, tmp_path / "rest") as behind:
        yield replace(place, catalog=f"rest:{behind}")


def machine(place: Place, name: str) -> Lake:
    return open_lake(replace(place, folder=place.folder / name), make=True)


def test_of_two_who_set_a_property_from_the_same_state_one_is_told(place: Place) -> None:
    one, two = machine(place, "one"), machine(place, "two")
    tries: list[str | None] = []

    def add(table: Table, name: str) -> None:
        before = table.properties.get("names")
        if name == "a":
            tries.append(before)
            if len(tries) == 1:
                committed(two, "proxy", lambda other: add(other, "b"))
        with table.transaction() as tx:
            put_properties(tx, {"names": (before or "") + name})

    committed(one, "proxy", lambda table: add(table, "a"))
    assert (one.made_table("proxy").properties["names"], tries) == ("ba", [None, "b"])


def test_a_commit_whose_answer_got_lost_is_not_made_twice(place: Place) -> None:
    with faulty(place.catalog.removeprefix("rest:"), rates={}) as proxy:
        lake = machine(replace(place, catalog=f"rest:{proxy.endpoint}"), "one")
        lake.made_table("proxy")
        lake.made_table("rejects")
        proxy.rates = {"cut_after": 0.4}
        collected(lake, "a", 3)
        proxy.calm()
    assert held(machine(place, "two"), "proxy", "source_offset") == [n * 4 + row for n in range(3) for row in range(3)]
    assert proxy.injected["cut_after"] > 0
    assert snapshots(machine(place, "two"), "proxy") == 3
