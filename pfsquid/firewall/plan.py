"""Actual and desired state → a plan: one list of changes that `explain` shows and `apply` carries out. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from pfsquid.firewall.desired import BEFORE_AUTH, Desired, WantedFile, with_block, with_overrides

FIELD, FILE, DNS = "field", "file", "dns"
DNS_PATHS = {"unbound": "unbound/domainoverrides", "dnsmasq": "dnsmasq/domainoverrides"}


@dataclass(frozen=True)
class ActualFile:
    """A file as it is. digest: HMAC-SHA256 under the reading's key; content only where it is no secret."""

    digest: str
    size: int
    owner: str
    group: str
    mode: int
    content: bytes | None = None


@dataclass(frozen=True)
class Actual:
    """A firewall as it is, as far as pfsquid touches it. key: under which digests were made."""

    release: str
    host_key: str
    fields: dict[str, str | None]
    files: dict[str, ActualFile]
    resolver: str | None
    overrides: list[dict[str, Any]]
    key: bytes


@dataclass(frozen=True)
class Change:
    """One change. resource: a path in config.xml or a file's. before, after: text, list or base64; None: not there.

    action: create, update or delete. then: what must happen after it (squid, dns). sensitive: never shown and never
    written to a plan's file; digest (salt and HMAC of `after`) tells whether the secret at hand is the one meant.
    """

    kind: str
    resource: str
    action: str
    before: Any
    after: Any
    sensitive: bool = False
    then: str = ""
    owner: str = ""
    group: str = ""
    mode: int = 0
    digest: str = ""
    former: tuple[str, str, int] | None = None  # owner, group and mode of the file that was there


@dataclass(frozen=True)
class Plan:
    """Changes for one firewall. target: its host key. base: digest of the state that it was made from."""

    firewall: str
    target: str
    base: str
    changes: tuple[Change, ...]
    keytab_path: str

    def change_of(self, resource: str) -> Change | None:
        """The change of one field or file, or None."""
        return next((change for change in self.changes if change.resource == resource), None)

    def to_json(self) -> str:
        """The plan as text, for `--out` and a checkpoint: without the content of secrets, with a digest of itself."""
        data = asdict(self)
        for change in data["changes"]:
            if change["sensitive"]:
                change["after"] = None
        return json.dumps({"plan": data, "sha256": _digest_of(data)}, indent=1)

    @staticmethod
    def from_json(text: str) -> Plan:
        """Read what `to_json` wrote. Raises ValueError, also where a byte of it is not as it was written."""
        try:
            whole = json.loads(text)
            data = whole["plan"]
            if whole["sha256"] != _digest_of(data):
                raise ValueError("its digest is another: the file was changed or damaged")
            changes = tuple(_change(change) for change in data.pop("changes"))
            return Plan(changes=changes, **data)
        except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as exc:
            raise ValueError(f"not a plan: {exc}") from exc

    def with_secret(self, content: bytes) -> Plan:
        """The plan with the secret filled in. Raises ValueError where it is not the one that the plan was made with."""
        return replace(self, changes=tuple(_with_secret(change, content) for change in self.changes))


def _digest_of(data: dict[str, Any]) -> str:
    # The order of keys counts: pfSense groups domain overrides by the first key of each.
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def _change(data: dict[str, Any]) -> Change:
    former = data.pop("former")
    return Change(**data, former=None if former is None else (former[0], former[1], former[2]))


def _with_secret(change: Change, content: bytes) -> Change:
    if not change.sensitive or change.after is not None:
        return change
    if not hmac.compare_digest(_salted(content, change.digest.partition(":")[0]), change.digest):
        raise ValueError(f"{change.resource} is not what it was when the plan was made")
    return replace(change, after=base64.b64encode(content).decode())


def _salted(content: bytes, salt: str) -> str:
    return f"{salt}:{hmac.new(salt.encode(), content, hashlib.sha256).hexdigest()}"


def plan(firewall: str, actual: Actual, wanted: Desired) -> Plan:
    """What must change for `actual` to become `wanted`; no changes where all is as it should be."""
    changes = [*_files(actual, wanted), *_dns(actual, wanted), *_fields(actual, wanted)]
    return Plan(firewall, actual.host_key, base_of(actual), tuple(changes), wanted.keytab_path)


def same(one: Any, other: Any) -> bool:
    """Do two values of a field say the same? Not there and empty do."""
    return (one or None) == (other or None)


def base_of(actual: Actual) -> str:
    """Digest of the parts of the state that a plan hangs on."""
    state = {
        "fields": actual.fields,
        "overrides": actual.overrides,
        "resolver": actual.resolver,
        "files": {
            path: (file.size, file.owner, file.group, file.mode, _plain_digest(file))
            for path, file in actual.files.items()
        },
    }
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def short_hmac(content: bytes, key: bytes) -> str:
    """How a secret is shown: eight digits of an HMAC under a key of the moment."""
    return hmac.new(key, content, hashlib.sha256).hexdigest()[:8]


def _plain_digest(file: ActualFile) -> str:
    return hashlib.sha256(file.content).hexdigest() if file.content is not None else "secret"


def _fields(actual: Actual, wanted: Desired) -> Iterator[Change]:
    for path, value in wanted.fields.items():
        now = actual.fields.get(path)
        if not same(now, value):
            yield Change(FIELD, path, "create" if now is None else "update", now, value, then="squid")
    if not wanted.block:  # the other node of a pair gets the fields by synchronisation
        return
    now = actual.fields.get(BEFORE_AUTH)
    after = with_block(now or "", wanted.block)
    if (now or "") != after:
        yield Change(FIELD, BEFORE_AUTH, "create" if now is None else "update", now, after, then="squid")


def _files(actual: Actual, wanted: Desired) -> Iterator[Change]:
    for file in wanted.files:
        now = actual.files.get(file.path)
        if now is None:
            yield _file_change(file, "create", None)
        elif not _same(file, now, actual.key):
            yield _file_change(file, "update", now)


def _same(file: WantedFile, now: ActualFile, key: bytes) -> bool:
    digest = hmac.new(key, file.content, hashlib.sha256).hexdigest()
    return digest == now.digest and (now.owner, now.mode) == (file.owner, file.mode)


def _file_change(file: WantedFile, action: str, now: ActualFile | None) -> Change:
    before = base64.b64encode(now.content).decode() if now and now.content is not None else None
    return Change(
        FILE,
        file.path,
        action,
        before,
        base64.b64encode(file.content).decode(),
        sensitive=file.secret,
        then="squid",
        owner=file.owner,
        group=file.group,
        mode=file.mode,
        former=(now.owner, now.group, now.mode) if now else None,
        digest=_salted(file.content, secrets.token_hex(8)) if file.secret else "",
    )


def _dns(actual: Actual, wanted: Desired) -> Iterator[Change]:
    if actual.resolver is None or not wanted.overrides:
        return
    after = with_overrides(actual.overrides, wanted.overrides)
    if after != actual.overrides:
        action = "update" if actual.overrides else "create"
        yield Change(DNS, DNS_PATHS[actual.resolver], action, actual.overrides, after, then="dns")
