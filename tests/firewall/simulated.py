"""A firewall in memory that answers pfsquid's four programs: for what the lab has only one of, and for odd states."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pfsquid.errors import PfsquidError
from pfsquid.firewall import configure
from pfsquid.firewall.configure import Site
from pfsquid.firewall.pfsense import Pfsense


@dataclass
class Simulated:
    """files: path → (content, owner, mode). ran: the programs, in order, in a list that several may share."""

    name: str
    ran: list[tuple[str, str, dict[str, Any]]]
    fields: dict[str, Any] = field(default_factory=dict)
    files: dict[str, tuple[bytes, str, int]] = field(default_factory=dict)
    overrides: list[dict[str, Any]] = field(default_factory=list)
    staged: dict[str, tuple[bytes, str, int]] = field(default_factory=dict)
    dies_at: str = ""
    connected: bool = True

    @property
    def connection(self) -> Any:
        key = SimpleNamespace(get_name=lambda: "ssh-ed25519", get_base64=lambda: "AAAA")
        return SimpleNamespace(transport=SimpleNamespace(get_remote_server_key=lambda: key))

    def run(self, program: str, data: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
        self.ran.append((self.name, program, data))
        if self.dies_at == program:
            self.dies_at, self.connected = "", False
            raise PfsquidError("the connection was lost")
        answer: dict[str, Any] = getattr(self, program)(data)
        return answer

    def read(self, data: dict[str, Any]) -> dict[str, Any]:
        key = base64.b64decode(data["key"])
        facts = {"package": True, "squid": "Squid", "squid_tls": True, "helper": True, "pid": 7, "auth_method": "none"}
        facts |= {"transparent": "", "cache_saved": True, "sync": "auto", "interfaces": {"lan": "10.77.0.1"}}
        return {
            **facts,
            "release": "2.8",
            "fields": {path: self.fields.get(path) for path in data["fields"]},
            "files": {path: _shown(path, one, key) for path, one in self.files.items()},
            "resolver": "unbound",
            "overrides": self.overrides,
            "squid_conf": None,
        }

    def stage(self, data: dict[str, Any]) -> dict[str, Any]:
        for one in data["files"]:
            content = base64.b64decode(one["content"])
            self.staged[f"{one['path']}.{data['id']}"] = (content, one["owner"], one["mode"])
        return {"problem": ""}

    def apply(self, data: dict[str, Any]) -> dict[str, Any]:
        for change in data["changes"]:
            if change["kind"] == "file":
                staged = self.staged.pop(f"{change['resource']}.{data['id']}", None)
                if staged:
                    self.files[change["resource"]] = staged
                elif change["action"] == "delete":
                    self.files.pop(change["resource"], None)
            elif change["kind"] == "dns":
                self.overrides = change["after"]
            else:
                self.fields[change["resource"]] = change["after"]
        return {"result": "applied", "problem": "", "after": ""}

    def clean(self, data: dict[str, Any]) -> dict[str, Any]:
        self.staged.clear()
        for path in data["keytabs"]:
            self.files.pop(path, None)
        return {}

    @property
    def keytabs(self) -> list[str]:
        return [path for path in self.files if path.endswith(".keytab")]


def _shown(path: str, one: tuple[bytes, str, int], key: bytes) -> dict[str, Any]:
    content, owner, mode = one
    digest = hmac.new(key, content, hashlib.sha256).hexdigest()
    shown = None if path.endswith(".keytab") else base64.b64encode(content).decode()
    return {"digest": digest, "size": len(content), "owner": owner, "group": "proxy", "mode": mode, "content": shown}


def reached(monkeypatch: pytest.MonkeyPatch, *firewalls: Simulated) -> None:
    """pfsquid reaches these, by their names, and nothing else."""

    @contextmanager
    def opened(_: Site, name: str) -> Iterator[Pfsense]:
        firewall = next(one for one in firewalls if one.name == name)
        firewall.connected = True
        yield cast(Pfsense, firewall)

    monkeypatch.setattr(configure, "open_firewall", opened)
