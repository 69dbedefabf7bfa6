"""The plan: only what must change, nothing shown that is secret, stale where the state moved on."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest

from pfsquid.firewall.desired import BEFORE_AUTH, SQUID, block_in, decoded, encoded
from pfsquid.firewall.explain import explain
from pfsquid.firewall.plan import DNS, FILE, Actual, ActualFile, Plan, base_of, plan
from pfsquid.firewall.undo import reversal
from pfsquid.settings import ProxySettings
from tests.firewall.conftest import KEYTAB_PATH, wanted

KEYTAB = b"\x05\x02key"


def carried_out(actual: Actual, done: Plan) -> Actual:
    """The state after a plan was carried out."""
    fields: dict[str, Any] = dict(actual.fields)
    files, overrides = dict(actual.files), actual.overrides
    for change in done.changes:
        if change.kind == FILE:
            content = base64.b64decode(change.after)
            digest = hmac.new(actual.key, content, hashlib.sha256).hexdigest()
            shown = None if change.sensitive else content
            files[change.resource] = ActualFile(digest, len(content), change.owner, "wheel", change.mode, shown)
        elif change.kind == DNS:
            overrides = change.after
        else:
            fields[change.resource] = change.after
    return replace(actual, fields=fields, files=files, overrides=overrides)


def test_a_second_plan_has_no_changes(stock: Actual) -> None:
    first = plan("fw", stock, wanted())
    assert len(first.changes) >= 8
    assert plan("fw", carried_out(stock, first), wanted()).changes == ()


def test_a_hand_edit_in_the_managed_block_is_drift(stock: Actual) -> None:
    right = carried_out(stock, plan("fw", stock, wanted()))
    edited = decoded(str(right.fields[BEFORE_AUTH])).replace("keep_alive on", "keep_alive off")
    drifted = replace(right, fields={**right.fields, BEFORE_AUTH: encoded(edited)})
    changes = plan("fw", drifted, wanted()).changes
    assert [change.resource for change in changes] == [BEFORE_AUTH]
    assert "+auth_param negotiate keep_alive on" in explain(plan("fw", drifted, wanted()))[0].diff


def test_a_keytab_that_others_may_read_is_drift(stock: Actual) -> None:
    right = carried_out(stock, plan("fw", stock, wanted()))
    loose = replace(right.files[KEYTAB_PATH], mode=0o444)
    drifted = replace(right, files={**right.files, KEYTAB_PATH: loose})
    assert [change.resource for change in plan("fw", drifted, wanted()).changes] == [KEYTAB_PATH]


def test_no_byte_of_a_secret_is_shown_or_written(stock: Actual) -> None:
    made = plan("fw", stock, wanted(keytab=KEYTAB))
    text = made.to_json()
    assert base64.b64encode(KEYTAB).decode() not in text
    told = [one for one in explain(made) if one.resource == KEYTAB_PATH]
    assert told[0].summary.startswith("5 bytes, HMAC ")
    assert told[0].diff == ()


def test_a_plan_from_a_file_takes_only_the_secret_that_it_was_made_with(stock: Actual) -> None:
    text = plan("fw", stock, wanted(keytab=KEYTAB)).to_json()
    filled = Plan.from_json(text).with_secret(KEYTAB)
    secret = next(change for change in filled.changes if change.sensitive)
    assert base64.b64decode(secret.after) == KEYTAB
    with pytest.raises(ValueError, match="not what it was"):
        Plan.from_json(text).with_secret(b"another")


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"changes": 1}'])
def test_a_file_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a plan"):
        Plan.from_json(text)


def test_a_plan_from_a_file_is_the_plan_with_every_key_in_its_place(stock: Actual) -> None:
    made = plan("fw", stock, wanted())
    again = Plan.from_json(made.to_json()).with_secret(KEYTAB)
    assert again == made
    orders = [[list(entry) for entry in change.before] for change in again.changes if change.kind == DNS]
    assert orders == [[["domain", "ip", "descr", "tls_hostname"]]]


def test_a_file_with_one_byte_changed_is_no_plan(stock: Actual) -> None:
    text = plan("fw", stock, wanted()).to_json()
    for at in range(0, len(text), 97):
        if not text[at].isspace():
            with pytest.raises(ValueError, match="not a plan"):
                Plan.from_json(text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :])


def test_the_base_moves_with_the_state(stock: Actual) -> None:
    moved = replace(stock, fields={f"{SQUID}/proxy_port": "3129"})
    assert base_of(stock) != base_of(moved)
    assert base_of(stock) == base_of(replace(stock, key=b"other"))


def test_going_back_takes_the_fields_back_and_leaves_what_others_changed_since(stock: Actual) -> None:
    before = replace(stock, fields={f"{SQUID}/proxy_port": "8080", f"{SQUID}/log_rotate": "7"})
    done = plan("fw", before, wanted(ProxySettings(port=3128, log_days=30)))
    now = carried_out(before, done)
    now = replace(now, fields={**now.fields, f"{SQUID}/log_rotate": "99"})
    theirs = decoded(str(now.fields[BEFORE_AUTH])) + "# added since\r\n"
    now = replace(now, fields={**now.fields, BEFORE_AUTH: encoded(theirs)})
    now = replace(
        now, overrides=[*now.overrides, {"domain": "new.example", "ip": "192.0.2.9", "descr": "", "tls_hostname": ""}]
    )
    back, left = reversal(done, now)
    after = {change.resource: change.after for change in back.changes}
    assert after[f"{SQUID}/proxy_port"] == "8080"
    assert left == [f"{SQUID}/log_rotate"]
    assert block_in(after[BEFORE_AUTH]) is None
    assert decoded(after[BEFORE_AUTH]) == "# added since\r\n"
    zones = [entry["domain"] for change in back.changes if change.kind == DNS for entry in change.after]
    assert zones == ["foreign.example", "new.example"]
