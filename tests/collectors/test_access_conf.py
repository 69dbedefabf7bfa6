"""Which logs a squid.conf writes, and in which logformat."""

from __future__ import annotations

import pytest

from collectors.squid.access_conf import logs_in
from collectors.squid.logformat import FORMATS

OWN = "%ts.%03tu %>a %ru"


@pytest.mark.parametrize(
    ("line", "log"),
    [
        ("access_log /var/squid/logs/access.log", ("/var/squid/logs/access.log", FORMATS["squid"])),
        ("access_log /a squid", ("/a", FORMATS["squid"])),
        ("access_log stdio:/a combined !noise", ("/a", FORMATS["combined"])),
        ("access_log daemon:/a logformat=own rotate=3 noise", ("/a", OWN)),
        ("access_log stdio:/a buffer-size=64KB logformat=own", ("/a", OWN)),
        ("access_log stdio:/a own", ("/a", OWN)),
        ("access_log stdio:/a noise", ("/a", FORMATS["squid"])),
        ("  access_log \\\n stdio:/a \\\r\n own", ("/a", OWN)),
    ],
)
def test_a_log_has_its_path_and_its_format(line: str, log: tuple[str, str]) -> None:
    assert logs_in(f"# access_log /no squid\n{line}\nlogformat own {OWN}\n") == (log,)


@pytest.mark.parametrize(
    "line",
    ["access_log none", "access_log syslog:local4.info squid", "access_log udp://10.0.0.1:514 squid", "access_log",
     "access_log tcp://10.0.0.1:514", "access_log /a logformat=nowhere", "#access_log /a"],
)  # fmt: skip
def test_what_writes_no_file_is_left_out(line: str) -> None:
    assert logs_in(line) == ()


def test_all_logs_come_in_their_order() -> None:
    conf = "access_log /b common\nhttp_port 3128\naccess_log /a squid\n"
    assert logs_in(conf) == (("/b", FORMATS["common"]), ("/a", FORMATS["squid"]))
