"""A desk whose firewall is configured and whose chain is whole, for `verify-kerberos` and what breaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.firewall.at_work import Desk, desk_in, posed
from tests.lab.fixture import Lab
from tests.lab.layout import CHECKER_ACCOUNT, CHECKER_PASSWORD, PERSON_PASSWORD, REALM, SERVICE_ACCOUNT

PERSON = f"rick.sanchez@{REALM}"


def configuration() -> dict[str, Any]:
    """The sections beside the usual ones: who asks the directory, and whose ticket is tried."""
    return {
        "kerberos": {"account": SERVICE_ACCOUNT},
        "directory": {
            "ca": "ca.pem",
            "user": f"{CHECKER_ACCOUNT}@{REALM}",
            "password": "file:checker",
        },
        "verify": {"user": PERSON, "password": "file:person"},
    }


def furnished(folder: Path, lab: Lab, **sections: Any) -> Desk:
    """A desk with the CA, the passwords and the configuration of a verification."""
    desk = desk_in(folder, lab)
    (folder / "ca.pem").write_bytes(lab.read("dc", "/lab/tls/ca.pem"))
    for name, secret in (("checker", CHECKER_PASSWORD), ("person", PERSON_PASSWORD)):
        (folder / name).touch(0o600)
        (folder / name).write_text(secret, "utf-8")
    desk.write(**{**configuration(), **sections})
    return desk


@contextmanager
def verifying(lab: Lab, folder: Path, release: str = "2.8", **sections: Any) -> Iterator[Desk]:
    """The firewall posing as a release and configured; the lab's own again at the end."""
    posed(lab, release)
    try:
        desk = furnished(folder, lab, **sections)
        desk.configured()
        yield desk
    finally:
        lab.pose(None)


def at_health(desk: Desk) -> list[tuple[str, str, str]]:
    """What is not `ok`, as (code, status, detail): nothing, where the chain is whole."""
    ran = desk("verify-kerberos", "--json")
    assert ran.out, ran.err
    return [(one["code"], one["status"], one["detail"]) for one in json.loads(ran.out)["rows"] if one["status"] != "ok"]
