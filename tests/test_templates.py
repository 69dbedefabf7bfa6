"""The templates say what the code reads."""

from __future__ import annotations

from collectors.squid.logformat import FORMATS
from pfsquid import resources

TEMPLATE = (resources.configs().parent / "templates" / "squid-access-log.conf").read_text("utf-8").splitlines()


def test_the_template_of_the_access_log_holds_exactly_the_format_pfsquid() -> None:
    assert [line for line in TEMPLATE if line.startswith("logformat ")] == [f"logformat pfsquid {FORMATS['pfsquid']}"]


def test_the_template_of_the_access_log_writes_a_log_of_that_format() -> None:
    written = [line for line in TEMPLATE if line.startswith("access_log ")]
    assert written == ["access_log stdio:/var/squid/logs/pfsquid.log logformat=pfsquid"]


def test_the_template_of_the_access_log_holds_nothing_else() -> None:
    assert {line.split()[0] for line in TEMPLATE if line.strip()} == {"#", "logformat", "access_log"}
