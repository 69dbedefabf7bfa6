"""Two machines, one lake in S3 that fails at random: nothing lost, nothing doubled. The long one: two_collectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aws.seaweed import Seaweed
from tests.aws.two_collectors import Trial


@pytest.mark.parametrize("catalog", ["sqlite", "rest"])
def test_two_collectors_at_once_while_s3_fails_bring_each_row_once(
    as_writer: Seaweed, tmp_path: Path, catalog: str
) -> None:
    found = Trial(tmp_path, as_writer, seconds=3.0, catalog=catalog, sign_ins=100).run()
    assert found["rows"] > 0
    assert found["sign-ins"] > 0
    assert sum(found["injected"].values()) > 10
